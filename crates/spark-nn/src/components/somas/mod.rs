//! Somas: currents in, spikes out.
//!
//! Every soma is a [`Membrane`] – the equations of one model – inside [`Soma`], which adds what all models
//! share: refractoriness, a clamp, an adaptive threshold, an adaptation current, a surrogate gradient.
//! [`Coupled`] adds a current that others write.

mod coupled;
mod exponential;
mod hodgkin_huxley;
mod ionic;
mod izhikevich;
mod leaky;
mod mechanisms;
mod quadratic;
mod soma;
mod wang_buzsaki;

pub use coupled::{Coupled, CoupledState};
pub use exponential::{
    AdaptiveExponentialSoma, AdaptiveExponentialSomaConfig, CoupledAdaptiveExponentialSoma,
    CoupledAdaptiveExponentialSomaConfig, ExponentialMembrane, ExponentialSoma, ExponentialSomaConfig,
};
pub use hodgkin_huxley::{
    AdaptiveHodgkinHuxleySoma, AdaptiveHodgkinHuxleySomaConfig, HodgkinHuxleyMembrane, HodgkinHuxleySoma,
    HodgkinHuxleySomaConfig,
};
pub use ionic::{Channels, Patch};
pub use izhikevich::{
    AdaptiveIzhikevichSoma, AdaptiveIzhikevichSomaConfig, IzhikevichMembrane, IzhikevichSoma,
    IzhikevichSomaConfig,
};
pub use leaky::{
    AdaptiveLeakySoma, AdaptiveLeakySomaConfig, CoupledLeakySoma, CoupledLeakySomaConfig, LeakyMembrane,
    LeakySoma, LeakySomaConfig,
};
pub use mechanisms::{Adaptation, AdaptationCurrent, Mechanisms, ThresholdAdaptation};
pub use quadratic::{
    AdaptiveQuadraticSoma, AdaptiveQuadraticSomaConfig, QuadraticMembrane, QuadraticSoma, QuadraticSomaConfig,
};
pub(crate) use soma::UnitsOnHost;
pub use soma::{Gradient, Membrane, Soma, SomaInputs, SomaOutputs, UnitsState};
pub use wang_buzsaki::{
    AdaptiveWangBuzsakiSoma, AdaptiveWangBuzsakiSomaConfig, WangBuzsakiMembrane, WangBuzsakiSoma,
    WangBuzsakiSomaConfig,
};
