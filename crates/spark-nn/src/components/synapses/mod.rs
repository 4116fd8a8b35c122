//! Synapses: spikes in, currents out.
//!
//! All-to-all synapses hold a kernel `[pre, post]`: [`LinearSynapses`] pass on what arrives,
//! [`FilteredSynapses`] as a trace of it, [`ConductanceSynapses`] as a conductance that pulls the potential
//! towards a reversal potential. [`SparseLinearSynapses`], [`SparseTracedSynapses`] and
//! [`SparseConductanceSynapses`] hold only the synapses there are.
//!
//! Spikes come by unit, by pair, or late ([`Arrival`](spark_core::payload::Arrival)); those of inhibitory
//! units count negative.

mod channels;
mod conductance;
mod connections;
mod connectivity;
mod kernel;
mod linear;
mod sparse;
mod sparse_conductance;
mod sparse_traced;
#[cfg(test)]
mod tests;
mod traced;

pub use channels::{ChannelPlan, ChannelState, SparseChannels};
pub use conductance::{
    ConductanceInputs, ConductancePlan, ConductanceState, ConductanceSynapses, ConductanceSynapsesConfig,
};
pub use connections::SparseConnections;
pub use connectivity::Connectivity;
pub use kernel::Ends;
pub(crate) use kernel::SharedSynapses;
pub use linear::{LinearSynapses, LinearSynapsesConfig};
pub use sparse::{SparseLinearSynapses, SparseLinearSynapsesConfig, SparseState};
pub use sparse_conductance::{
    SparseConductancePlan, SparseConductanceSynapses, SparseConductanceSynapsesConfig,
};
pub use sparse_traced::{SparseTracedSynapses, SparseTracedSynapsesConfig};
pub use traced::{
    FilterState, FilteredSynapses, RDTracedSynapses, RDTracedSynapsesConfig, RFSTracedSynapses,
    RFSTracedSynapsesConfig, TracedSynapses, TracedSynapsesConfig,
};

use spark_core::payload::{Currents, Spikes};

spark_core::ports! {
    /// What synapses take.
    pub struct SynapseInputs {
        /// Spikes of the presynaptic units.
        spikes: Spikes,
    }
}

spark_core::ports! {
    /// What synapses give.
    pub struct SynapseOutputs {
        /// The current into each postsynaptic unit, in pA.
        currents: Currents,
    }
}
