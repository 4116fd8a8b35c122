//! Simulation of one sample on the host: spikes are lists of units, state lies in slices, and weights are moved
//! when somebody reads them.
//!
//! Where tensors pass from module to module, a step of a small network is mostly the passing. Here it is not: a
//! [`Spiking`] is what spiked, [`HostUnits`] step where they lie, and [`HostSynapses`] sum currents and learn.
//! The results are those of [`soma_step`](crate::soma_step), [`DelayRing::currents`](crate::DelayRing::currents),
//! [`trace_step`](crate::trace_step) and [`plasticity_step`](crate::plasticity_step) bit for bit, but for sums of
//! currents, which are equal to rounding.
//!
//! # Learning late
//! A postsynaptic spike changes a whole column of weights, one in each row, that lie far apart. [`HostLearning`]
//! writes it down instead, and a row catches up when its presynaptic unit next spikes: nobody reads it before. By
//! then it is in the first-level cache, and its trace has only decayed. A weight goes through the same changes in
//! the same order, so it comes out the same.

mod channels;
mod filter;
mod late;
mod learning;
mod moments;
mod spiking;
mod synapses;
mod units;

use burn::tensor::{Device, Tensor, TensorData};

pub use channels::HostChannels;
pub use filter::HostFilter;
pub use late::LateSpikes;
pub use learning::{HostLearning, HostTrace, PostTraces, TermsOfSpikes};
pub use moments::Moments;
pub use spiking::Spiking;
pub use synapses::HostSynapses;
pub use units::HostUnits;

/// The values of a tensor in row-major order; `None` where they are not `f32`.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::host;
///
/// let tensor = Tensor::<2>::from_floats([[1.0, 2.0]], &Device::flex());
/// assert_eq!(host::values(&tensor), Some(vec![1.0, 2.0]));
/// ```
pub fn values<const D: usize>(tensor: &Tensor<D>) -> Option<Vec<f32>> {
    tensor.to_data().try_to_vec::<f32>().ok()
}

/// A tensor of values in row-major order.
///
/// # Panics
/// If their number is not that of the shape.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use spark_kernels::host;
///
/// assert_eq!(host::tensor(vec![1.0, 2.0], [1, 2], &Device::flex()).dims(), [1, 2]);
/// ```
pub fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
