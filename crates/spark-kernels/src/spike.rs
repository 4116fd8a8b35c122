//! One threshold crossing per element.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::{SpikeOps, Surrogate};

/// Exactly 1 where `x > 0` and 0 elsewhere, differentiable through `surrogate`.
///
/// `x` is the membrane potential minus the threshold, of any shape; the output has that shape. The
/// backward pass multiplies the incoming gradient by [`Surrogate::derivative`] at `x`.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{Surrogate, spike};
///
/// let device = Device::flex().autodiff();
/// let x = Tensor::<1>::from_floats([-0.5, 0.0, 0.5], &device).require_grad();
/// let spikes = spike(x.clone(), Surrogate::Triangular { slope: 1.0 });
/// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, 1.0]);
///
/// let gradients = spikes.sum().backward();
/// assert_eq!(x.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap(), [0.5, 1.0, 0.5]);
/// ```
pub fn spike<const D: usize>(x: Tensor<D>, surrogate: Surrogate) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::spike(x.into_dispatch(), surrogate))
}
