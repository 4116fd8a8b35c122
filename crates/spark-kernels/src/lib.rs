//! Fused, event-driven spiking operations for every Burn backend.
//!
//! Everything that makes a spiking network fast is one method of [`SpikeOps`], a Burn backend
//! extension. A method's default body is composed of plain Burn operations: it is the reference, and it
//! is what a backend without a kernel of its own runs. Callers use the functions on tensors
//! ([`spike`](spike()), [`spike_matmul`], [`leaky_scan`]) and never learn which body ran.
//!
//! The crate knows tensors, not neurons: what a layer or a component is lives in the crates above.
//!
//! * [`Surrogate`]: the derivative that stands in for that of the step function.
//! * [`spike`](spike()): one threshold crossing per element, differentiable through a surrogate.
//! * [`spike_matmul`]: the current through synapses, read from active units only where that pays.
//! * [`leaky_scan`]: a whole sequence of leaky integrate-and-fire units as one operation.
//! * [`philox`]: counter-based random numbers, the same bits on every backend.
//!
//! Simulation runs step by step on a state `[batch, units]`. Its operations are methods of a second
//! extension, [`StepOps`]:
//!
//! * [`soma_step`]: one step of units of any model, with adaptation.
//! * [`trace_step`], [`LazyTrace`]: exponential traces, step by step or from event to event.
//! * [`DelayRing`]: spikes that arrive some steps later, by unit or by synapse.
//! * [`plasticity_step`], [`eligibility_step`]: local learning rules, at the synapses with an event where
//!   the rule allows it.
//! * [`sparse_matmul`]: the current through sparsely connected synapses.
//! * [`random`]: random tensors.

mod autodiff;
mod backends;
mod composed;
mod cpu;
mod delays;
mod eligibility;
mod leaky;
mod ops;
mod pair_types;
pub mod philox;
mod planes;
mod plasticity;
pub mod random;
mod somas;
mod sparse;
mod spike;
mod step_autodiff;
mod step_backends;
mod steps;
mod surrogate;
mod synapses;
mod traces;

pub use delays::{DelayError, DelayOrder, DelayRing, Delays};
pub use eligibility::{EligibilityForm, ThreeFactor, eligibility_step};
pub use leaky::{LeakyGradients, LeakyScan, LeakySequence, Reset, leaky_scan};
pub use ops::{Maybe, SpikeOps};
pub use pair_types::PairTypes;
pub use planes::Planes;
pub use plasticity::{
    MaybeInt, OnPost, OnPre, Plasticity, PlasticityForm, PlasticityOptions, PreSignal, Relaxation, Target,
    TargetDynamics, plasticity_step,
};
pub use somas::{
    AdaptationCurrent, AdaptiveThreshold, Soma, SomaForm, SomaModel, SomaOptions, SomaState, soma_step,
};
pub use sparse::{SparseDelays, SparseError, SparsePattern, SparseRows, sparse_matmul};
pub use spike::spike;
pub use steps::StepOps;
pub use surrogate::{Surrogate, SurrogateError};
pub use synapses::spike_matmul;
pub use traces::{LazyDecay, LazyTrace, Trace, trace_step};
