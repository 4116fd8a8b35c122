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

/// Exactly 1 where `x > 0` and 0 elsewhere, differentiable through a surrogate whose slope can be learned.
///
/// `x` is the membrane potential minus the threshold, of any shape; `slope` is `k`, above zero and without
/// unit, one for all (`[1]`) or one per unit of the last axis (`[units]`). With `d` the derivative of
/// `surrogate` and `P` its primitive, `P' = d`, the backward pass takes the crossing for `P(k·x)`:
///
/// ```text
/// ∂s/∂x = k·d(k·x)        ∂s/∂k = x·d(k·x) = (x/k)·∂s/∂x
/// ```
///
/// A surrogate that is itself a function of slope times `x` with area 1 (arc tangent, sigmoid, piecewise
/// quadratic, error function, …) at parameter 1 becomes the one of parameter `k`; another one is narrowed
/// and raised by `k`. A spike is a matter of `x` alone whatever the slope; one that an optimizer
/// drives below zero turns gradients around, so learn a positive function of it.
///
/// Source: Wang et al., *Adaptive smoothing gradient learning for spiking neural networks* (2023).
///
/// # Panics
/// If `slope` has neither one entry nor as many as the last axis of `x`.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{Surrogate, spike_with_slope};
///
/// let device = Device::flex().autodiff();
/// let x = Tensor::<2>::from_floats([[-0.25, 0.5]], &device).require_grad();
/// let slope = Tensor::<1>::from_floats([2.0], &device).require_grad();
/// let spikes = spike_with_slope(x.clone(), slope.clone(), Surrogate::PiecewiseQuadratic { alpha: 1.0 });
/// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0]);
///
/// let gradients = spikes.sum().backward();
/// assert_eq!(x.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap(), [1.0, 0.0]);
/// assert_eq!(slope.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap(), [-0.125]);
/// ```
pub fn spike_with_slope<const D: usize>(x: Tensor<D>, slope: Tensor<1>, surrogate: Surrogate) -> Tensor<D> {
    let ([length], units) = (slope.dims(), x.dims()[D - 1]);
    assert!(length == 1 || length == units, "spike_with_slope: {length} slopes for {units} units");
    let spikes = spike(x.clone().detach(), surrogate);
    let scaled = spike(x * slope.unsqueeze(), surrogate);
    // The difference is exactly zero and carries the gradient.
    spikes + (scaled.clone() - scaled.detach())
}

/// A surrogate of one's own for [`spike_with`].
///
/// # Examples
/// The negative part of a second, wider Gaussian keeps the gradient of silent units small:
/// ```
/// use burn::tensor::Tensor;
/// use spark_kernels::CustomSurrogate;
///
/// struct DifferenceOfGaussians {
///     width: f32,
/// }
///
/// impl CustomSurrogate for DifferenceOfGaussians {
///     fn derivative<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
///         let z = (x / self.width).square();
///         (-z.clone()).exp() - (z * -0.25).exp() * 0.3
///     }
/// }
/// ```
pub trait CustomSurrogate {
    /// The derivative at every element of `x`, the membrane potential minus the threshold: finite, of the
    /// shape of `x`. No gradient passes through it.
    fn derivative<const D: usize>(&self, x: Tensor<D>) -> Tensor<D>;
}

/// Exactly 1 where `x > 0` and 0 elsewhere, differentiable through a surrogate of one's own.
///
/// `x` is the membrane potential minus the threshold, of any shape; the output has that shape. The
/// backward pass multiplies the incoming gradient by [`CustomSurrogate::derivative`] at `x`, which is
/// evaluated together with the spikes. For the surrogates of [`Surrogate`], [`spike`](spike()) does less work.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{CustomSurrogate, spike_with};
///
/// struct Cauchy;
///
/// impl CustomSurrogate for Cauchy {
///     fn derivative<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
///         (x.square() + 1.0).recip()
///     }
/// }
///
/// let device = Device::flex().autodiff();
/// let x = Tensor::<1>::from_floats([-1.0, 0.0, 2.0], &device).require_grad();
/// let spikes = spike_with(x.clone(), &Cauchy);
/// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, 1.0]);
///
/// let gradients = spikes.sum().backward();
/// assert_eq!(x.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap(), [0.5, 1.0, 0.2]);
/// ```
pub fn spike_with<const D: usize>(x: Tensor<D>, surrogate: &impl CustomSurrogate) -> Tensor<D> {
    let derivative = surrogate.derivative(x.clone().detach()).detach();
    let crossing = spike(x, Surrogate::StraightThrough {});
    let spikes = crossing.clone().detach();
    // The difference is exactly zero, with the gradient of x itself.
    spikes.clone() + derivative * (crossing - spikes)
}
