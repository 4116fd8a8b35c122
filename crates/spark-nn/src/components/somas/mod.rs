//! Somas: currents in, spikes out.
//!
//! Every soma is a [`Membrane`] – the equations of one model – inside [`Soma`], which adds what all models
//! share: refractoriness, a clamp, an adaptive threshold, an adaptation current, a surrogate gradient.
//! [`Coupled`] adds a current that others write.

mod coupled;
mod leaky;
mod mechanisms;
mod soma;

pub use coupled::{Coupled, CoupledState};
pub use leaky::{
    AdaptiveLeakySoma, AdaptiveLeakySomaConfig, CoupledLeakySoma, CoupledLeakySomaConfig, LeakyMembrane,
    LeakySoma, LeakySomaConfig,
};
pub use mechanisms::{Adaptation, AdaptationCurrent, Mechanisms, ThresholdAdaptation};
pub use soma::{Gradient, Membrane, Soma, SomaInputs, SomaOutputs, UnitsState};
