//! Fused, event-driven spiking operations for every Burn backend.
//!
//! Everything that makes a spiking network fast is one method of [`SpikeOps`], a Burn backend
//! extension. A method's default body is composed of plain Burn operations: it is the reference, and it
//! is what a backend without a kernel of its own runs. Callers use the functions on tensors
//! ([`spike`](spike()), [`spike_linear`], [`unit_scan`]) and never learn which body ran.
//!
//! The crate knows tensors, not neurons: what a layer or a component is lives in the crates above.
//!
//! * [`Surrogate`]: the derivative that stands in for that of the step function.
//! * [`spike`](spike()): one threshold crossing per element, differentiable through a surrogate.
//!   [`spike_with_slope`] learns its slope, [`spike_with`] takes one of your own.
//! * [`spike_matmul`], [`spike_linear`]: the current through synapses, read from active units only where
//!   that pays.
//! * [`spike_conv2d`]: the same through convolutional synapses.
//! * [`window_maximum`] pools.
//! * [`unit_scan`]: a whole sequence of units as one operation; [`leaky_scan`], [`current_scan`],
//!   [`adaptive_scan`] and [`integrator_scan`] for the common ones.
//! * [`philox`]: counter-based random numbers, the same bits on every backend.
//!
//! Simulation runs step by step on a state `[batch, units]`. Its operations are methods of a second
//! extension, [`StepOps`]:
//!
//! * [`soma_step`]: one step of units of any model, with adaptation.
//! * [`trace_step`], [`LazyTrace`]: exponential traces, step by step or from event to event.
//! * [`DelayRing`]: spikes that arrive some steps later, by unit or by synapse.
//! * [`plasticity_step`], [`eligibility_step`]: local learning rules, at the synapses with an event where
//!   the rule allows it; [`plateau_step`]: learning from dendritic plateaus, at all synapses.
//! * [`sparse_matmul`]: the current through sparsely connected synapses; [`channel_step`]: through those whose
//!   arrivals decay in an excitatory and an inhibitory channel.
//! * [`random`]: random tensors.
//!
//! Where one sample is simulated on the CPU, [`host`] does the same without tensors.

mod autodiff;
mod backends;
mod channels;
mod composed;
mod conv;
mod cpu;
mod delays;
mod eligibility;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu;
pub mod host;
mod ops;
mod pair_types;
pub mod philox;
mod planes;
mod plasticity;
mod plateau;
mod pool;
pub mod random;
mod scan;
mod somas;
mod sparse;
mod spike;
mod step_autodiff;
mod step_backends;
mod steps;
mod surrogate;
mod synapses;
mod traces;

pub use channels::{Channel, ChannelForm, ChannelInput, Pull, channel_step};
pub use conv::{SpikeConv2d, spike_conv2d};
pub use delays::{DelayError, DelayOrder, DelayRing, Delays};
pub use eligibility::{EligibilityForm, ThreeFactor, eligibility_step};
pub use ops::{Bits, Kept, Maybe, Needed, SpikeOps};
pub use pair_types::PairTypes;
pub use planes::Planes;
pub use plasticity::{
    MaybeInt, OnPost, OnPre, Plasticity, PlasticityForm, PlasticityOptions, PreSignal, Relaxation, Target,
    TargetDynamics, plasticity_step,
};
pub use plateau::{Gate, Plateau, PlateauDynamics, PlateauForm, plateau_step};
pub use pool::window_maximum;
pub use scan::{
    Adaptation, AdaptiveSequence, CurrentSequence, IntegratorSequence, LeakySequence, Reset, ScanGradients,
    ScanInputs, ScanOptions, ScanOutputGradients, ScanOutputs, ScanSaved, Unit, UnitSequence, UnitState,
    Wanted, adaptive_scan, current_scan, integrator_scan, leaky_scan, unit_scan,
};
pub use somas::{
    AdaptationCurrent, AdaptiveThreshold, Gates, HodgkinHuxleyRates, IonicCurrent, IonicMembrane, Soma,
    SomaForm, SomaModel, SomaOptions, SomaState, soma_step,
};
pub use sparse::{SparseDelays, SparseError, SparsePattern, SparsePlaces, SparseRows, sparse_matmul};
pub use spike::{CustomSurrogate, spike, spike_with, spike_with_slope};
pub use steps::StepOps;
pub use surrogate::{Surrogate, SurrogateError};
pub use synapses::{Crossings, spike_linear, spike_linear_near, spike_matmul};
pub use traces::{LazyDecay, LazyTrace, Trace, trace_step};
