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
//! * [`spike_matmul`], [`spike_linear`]: the current through synapses, read from active units only where that pays.
//! * [`spike_conv2d`]: the same through convolutional synapses.
//! * [`window_maximum`]: pooling.
//! * [`unit_scan`]: a whole sequence of units as one operation; [`leaky_scan`], [`current_scan`],
//!   [`adaptive_scan`] and [`integrator_scan`] for the common ones.
//! * [`philox`]: counter-based random numbers, the same bits on every backend.

mod autodiff;
mod backends;
mod composed;
mod conv;
mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu;
mod ops;
pub mod philox;
mod pool;
mod scan;
mod spike;
mod surrogate;
mod synapses;

pub use conv::{SpikeConv2d, spike_conv2d};
pub use ops::{Maybe, SpikeOps};
pub use pool::window_maximum;
pub use scan::{
    Adaptation, AdaptiveSequence, CurrentSequence, IntegratorSequence, LeakySequence, Reset, ScanGradients,
    ScanInputs, ScanOptions, ScanOutputGradients, ScanOutputs, ScanSaved, Unit, UnitSequence, UnitState,
    Wanted, adaptive_scan, current_scan, integrator_scan, leaky_scan, unit_scan,
};
pub use spike::{CustomSurrogate, spike, spike_with, spike_with_slope};
pub use surrogate::{Surrogate, SurrogateError};
pub use synapses::{spike_linear, spike_matmul};
