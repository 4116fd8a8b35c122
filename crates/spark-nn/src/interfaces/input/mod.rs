//! Signals in, spikes out: by chance, at regular intervals, and spread over units that each stand for a value.

mod linear;
mod poisson;
mod topological;

use spark_core::payload::{Floats, Spikes};

pub use linear::{LinearSpiker, LinearSpikerConfig};
pub use poisson::{PoissonSpiker, PoissonSpikerConfig};
pub use topological::{
    Topological, TopologicalLinearSpiker, TopologicalLinearSpikerConfig, TopologicalMap,
    TopologicalPoissonSpiker, TopologicalPoissonSpikerConfig,
};

spark_core::ports! {
    /// What a spiker takes.
    pub struct SpikerInputs {
        /// A number for each unit, 1 for its highest rate.
        signal: Floats,
    }
}

spark_core::ports! {
    /// What a spiker gives.
    pub struct SpikerOutputs {
        /// Spikes of the units.
        spikes: Spikes,
    }
}
