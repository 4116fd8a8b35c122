//! Spikes in, signals out: activity of groups of units, rates in Hz, and times of first spikes.

mod exponential;
mod first_spike;
mod groups;
mod rate;
mod tanh;

use burn::tensor::Tensor;
use spark_core::payload::{Floats, Spikes};

pub use exponential::{
    ExponentialIntegrator, ExponentialIntegratorConfig, ExponentialPlan, ExponentialState,
};
pub use first_spike::{FirstSpikeCode, FirstSpikeDecoder, FirstSpikeDecoderConfig, FirstSpikeState};
pub use groups::Groups;
pub use rate::{PopulationRateDecoder, PopulationRateDecoderConfig, PopulationRateState};
pub use tanh::{TanhInputs, TanhIntegrator, TanhIntegratorConfig, TanhPlan, TanhState};

spark_core::ports! {
    /// What a decoder takes.
    pub struct DecoderInputs {
        /// Spikes of the units.
        spikes: Spikes,
    }
}

spark_core::ports! {
    /// What a decoder gives.
    pub struct DecoderOutputs {
        /// A number for each group of units.
        signal: Floats,
    }
}

spark_core::state! {
    /// An exponential trace.
    pub struct Traced {
        /// Its value, `[batch, outputs]`.
        trace: Tensor<2>,
    }
}

impl Traced {
    /// A trace at 0.
    fn start(shape: [usize; 2], device: &burn::tensor::Device) -> Self {
        Self { trace: Tensor::zeros(shape, device) }
    }
}

/// The spikes of units, of a payload that was checked to have them.
fn of_units(spikes: &Spikes) -> Tensor<2> {
    spikes.units().expect("build takes no spikes by pair")
}
