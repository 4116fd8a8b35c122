//! Currents through fully connected synapses.

use burn::backend::{Backend, Dispatch, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Shape, Tensor};

use crate::composed::T;
use crate::{Maybe, SpikeOps};

/// The most rows for which a GPU skips silent units: the kernel takes every row by itself, while a dense
/// product reads the weights once for many.
pub(crate) const FEW_ROWS: usize = 16;

/// `spikes × weight`: the current into each postsynaptic unit, `[rows, post]`.
///
/// * `spikes`: `[rows, pre]`, mostly zero: spikes, signed spikes or any other sparse input.
/// * `weight`: `[pre, post]`.
///
/// On the CPU only the weights of active units are read when few are (the density is measured), and the
/// weight gradient is gathered from the same events; the sum over `pre` runs in ascending order. A GPU reads
/// the weights of active units for up to 16 rows, as a step of a simulation has them. Otherwise this is the
/// dense product; all agree to rounding.
///
/// # Panics
/// If the two do not agree on `pre`; the layers check shapes before they call.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::spike_matmul;
///
/// let device = Device::flex();
/// let spikes = Tensor::<2>::from_floats([[1.0, 0.0, 0.0, 0.0]], &device);
/// let weight = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], &device);
/// let current = spike_matmul(spikes, weight);
/// assert_eq!(current.into_data().try_to_vec::<f32>().unwrap(), [1.0, 2.0]);
/// ```
pub fn spike_matmul(spikes: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    spike_linear(spikes, weight, None)
}

/// As [`spike_matmul`], with a constant current `bias`, `[post]`, into each unit besides.
///
/// # Panics
/// If the shapes do not agree; the layers check shapes before they call.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::spike_linear;
///
/// let device = Device::flex();
/// let spikes = Tensor::<2>::from_floats([[0.0, 1.0, 0.0, 0.0]], &device);
/// let weight = Tensor::<2>::from_floats([[1.0], [2.0], [3.0], [4.0]], &device);
/// let bias = Tensor::<1>::from_floats([0.5], &device);
/// let current = spike_linear(spikes, weight, Some(bias));
/// assert_eq!(current.into_data().try_to_vec::<f32>().unwrap(), [2.5]);
/// ```
pub fn spike_linear(spikes: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let ([rows, pre], [inputs, post]) = (spikes.dims(), weight.dims());
    assert_eq!(pre, inputs, "spikes [{rows}, {pre}] against weight [{inputs}, {post}]");
    if let Some(bias) = &bias {
        assert_eq!(bias.dims(), [post], "bias against weight [{inputs}, {post}]");
    }
    let bias = match bias {
        Some(bias) => Maybe::Present(bias.into_dispatch()),
        None => Maybe::Absent,
    };
    Tensor::from_dispatch(Dispatch::spike_linear(spikes.into_dispatch(), weight.into_dispatch(), bias))
}

/// The reference body of [`spike_linear`].
pub(crate) fn linear<B: Backend>(
    spikes: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Maybe<B>,
) -> FloatTensor<B> {
    let current = T::<B>(B::float_matmul(spikes, weight));
    match bias.into_option() {
        Some(bias) => (current + T(bias).lift(2)).0,
        None => current.0,
    }
}

/// The gradients of weight, `[pre, post]`, and bias, `[post]`.
pub(crate) fn weight_gradient<B: Backend>(
    spikes: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let bias = T::<B>(gradient.clone()).sum_to(&Shape::from([gradient.shape()[1]]));
    (B::float_matmul(B::float_transpose(spikes), gradient), bias.0)
}
