//! Currents through fully connected synapses.

use burn::backend::{Backend, Dispatch, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Shape, Tensor};

use crate::composed::T;
use crate::{Maybe, Needed, SpikeOps};

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
    linear_of(spikes, weight, bias, None)
}

/// Where spikes come from, when the surrogate of the units that sent them has a compact support.
#[derive(Clone, Debug)]
pub struct Crossings {
    /// Membrane potential of the units that spiked, `[rows, pre]`.
    pub potential: Tensor<2>,
    /// Their threshold, `[pre]` or `[1]`.
    pub threshold: Tensor<1>,
    /// How far from the threshold the derivative of the surrogate becomes zero
    /// ([`Surrogate::support`](crate::Surrogate::support)).
    pub half_width: f32,
}

/// As [`spike_linear`], for spikes whose gradient is multiplied by a surrogate of compact support next.
///
/// Where few potentials lie within the support, only their share of the gradient of the spikes is computed,
/// and the rest, which would be multiplied by zero, is zero. Output and all other gradients are those of
/// `spike_linear`. The gradient of the spikes is wrong if they reach the loss in another way than through
/// the surrogate.
///
/// # Panics
/// If the shapes do not agree; the layers check shapes before they call.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{Crossings, Surrogate, spike, spike_linear_near};
///
/// let device = Device::flex().autodiff();
/// let surrogate = Surrogate::Triangular { slope: 4.0 };
/// let potential = Tensor::<2>::from_floats([[0.1, 0.9, 1.1, 3.0]], &device).require_grad();
/// let threshold = Tensor::<1>::from_floats([1.0], &device);
/// let spikes = spike(potential.clone() - 1.0, surrogate);
/// let crossings = Crossings {
///     potential: potential.clone(),
///     threshold,
///     half_width: surrogate.support().unwrap(),
/// };
/// let weight = Tensor::<2>::from_floats([[1.0], [2.0], [3.0], [4.0]], &device);
/// let current = spike_linear_near(spikes, weight, None, crossings);
/// let gradients = current.sum().backward();
/// let gradient = potential.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!((gradient[0], gradient[3]), (0.0, 0.0));
/// assert!(gradient[1] > 1.0 && gradient[2] > 1.0);
/// ```
pub fn spike_linear_near(
    spikes: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    crossings: Crossings,
) -> Tensor<2> {
    linear_of(spikes, weight, bias, Some(crossings))
}

fn linear_of(
    spikes: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    crossings: Option<Crossings>,
) -> Tensor<2> {
    let ([rows, pre], [inputs, post]) = (spikes.dims(), weight.dims());
    assert_eq!(pre, inputs, "spikes [{rows}, {pre}] against weight [{inputs}, {post}]");
    if let Some(bias) = &bias {
        assert_eq!(bias.dims(), [post], "bias against weight [{inputs}, {post}]");
    }
    if let Some(crossings) = &crossings {
        let [length] = crossings.threshold.dims();
        assert_eq!(crossings.potential.dims(), [rows, pre], "potential against spikes");
        assert!(length == 1 || length == pre, "{length} thresholds for {pre} units");
    }
    let bias = match bias {
        Some(bias) => Maybe::Present(bias.into_dispatch()),
        None => Maybe::Absent,
    };
    let (needed, half_width) = match crossings {
        Some(Crossings { potential, threshold, half_width }) => {
            (Needed::Near(potential.into_dispatch(), threshold.into_dispatch()), half_width)
        }
        None => (Needed::Everywhere, f32::INFINITY),
    };
    let (spikes, weight) = (spikes.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(Dispatch::spike_linear(spikes, weight, bias, needed, half_width))
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

/// The gradient of the spikes, `[rows, pre]`.
pub(crate) fn input_gradient<B: Backend>(gradient: FloatTensor<B>, weight: FloatTensor<B>) -> FloatTensor<B> {
    B::float_matmul(gradient, B::float_transpose(weight))
}

/// The gradients of weight, `[pre, post]`, and bias, `[post]`.
pub(crate) fn weight_gradient<B: Backend>(
    spikes: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let bias = T::<B>(gradient.clone()).sum_to(&Shape::from([gradient.shape()[1]]));
    (B::float_matmul(B::float_transpose(spikes), gradient), bias.0)
}
