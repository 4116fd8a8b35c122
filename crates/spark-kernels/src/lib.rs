//! Fused, event-driven spiking operations for every Burn backend.
//!
//! Everything that makes a spiking network fast is one method of [`SpikeOps`], a Burn backend
//! extension. A method's default body is composed of plain Burn operations: it is the reference, and it
//! is what a backend without a kernel of its own runs. Callers use the functions on tensors
//! ([`spike`](spike()), [`spike_linear`], [`leaky_scan`]) and never learn which body ran.
//!
//! The crate knows tensors, not neurons: what a layer or a component is lives in the crates above.
//!
//! * [`Surrogate`]: the derivative that stands in for that of the step function.
//! * [`spike`](spike()): one threshold crossing per element, differentiable through a surrogate.
//!   [`spike_with_slope`] learns its slope, [`spike_with`] takes one of your own.
//! * [`spike_matmul`], [`spike_linear`]: the current through synapses, read from active units only where that pays.
//! * [`spike_conv2d`]: the same through convolutional synapses.
//! * [`window_maximum`]: maxima over windows of images.
//! * [`leaky_scan`]: a whole sequence of leaky integrate-and-fire units as one operation.
//! * [`philox`]: counter-based random numbers, the same bits on every backend.

mod autodiff;
mod backends;
mod composed;
mod conv;
mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu;
mod leaky;
mod ops;
pub mod philox;
mod pool;
mod spike;
mod surrogate;
mod synapses;

pub use conv::{SpikeConv2d, spike_conv2d};
pub use leaky::{LeakyGradients, LeakyScan, LeakySequence, Reset, leaky_scan};
pub use ops::{Maybe, SpikeOps};
pub use pool::window_maximum;
pub use spike::{CustomSurrogate, spike, spike_with, spike_with_slope};
pub use surrogate::{Surrogate, SurrogateError};
pub use synapses::{spike_linear, spike_matmul};
