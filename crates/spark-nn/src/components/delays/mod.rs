//! Delays: spikes that arrive some steps later.
//!
//! A ring holds the spikes of the last steps. Of [`NDelays`] every presynaptic unit has one delay, of
//! [`N2NDelays`] every pair of units; the latter hands the ring itself on, and synapses and learning rules
//! look up in it what arrives.

mod pairs;
pub(super) mod steps;
#[cfg(test)]
mod tests;
mod units;

pub use pairs::{N2NDelays, N2NDelaysConfig, PairRings};
pub use units::{NDelays, NDelaysConfig, UnitRing};

use spark_core::payload::{PayloadKind, Shape, Spikes};
use spark_core::ports::{InputShapes, PortError, PropertySpec};

spark_core::ports! {
    /// What delays take.
    pub struct DelayInputs {
        /// Spikes of the presynaptic units.
        in_spikes: Spikes,
    }
}

spark_core::ports! {
    /// What delays give.
    pub struct DelayOutputs {
        /// The spikes as they arrive.
        out_spikes: Spikes,
    }
}

const KERNEL: PropertySpec = PropertySpec {
    name: "kernel",
    kind: PayloadKind::DelayKernel,
    writable: true,
    description: "Delays in steps.",
};

/// The shape of the presynaptic units.
fn presynaptic(inputs: &InputShapes) -> Result<&[usize], PortError> {
    let shape = inputs.require("in_spikes", PayloadKind::Spikes)?;
    if shape.pairs {
        return Err(PortError::Mismatch {
            port: "in_spikes".to_owned(),
            found: shape.to_string(),
            expected: Shape::new(PayloadKind::Spikes, &shape.units).to_string(),
        });
    }
    Ok(&shape.units)
}
