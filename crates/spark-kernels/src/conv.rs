//! Currents through convolutional synapses.

use burn::backend::{Backend, Dispatch, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Shape, Tensor, ops::ConvOptions};

use crate::{Maybe, SpikeOps};

/// How a kernel moves over an image; everything about [`spike_conv2d`] that is not a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpikeConv2d {
    /// Vertical and horizontal distance between applications, in pixels.
    pub stride: [usize; 2],
    /// Rows and columns of zeros added on each side.
    pub padding: [usize; 2],
}

impl Default for SpikeConv2d {
    /// Stride 1, no padding.
    fn default() -> Self {
        Self { stride: [1, 1], padding: [0, 0] }
    }
}

/// The current through two-dimensional convolutional synapses, `[images, filters, height, width]`.
///
/// ```text
/// out[n, f, y, x] = bias[f] + Σ_{c, i, j} weight[f, c, i, j] · spikes[n, c, y·stride + i − padding, x·stride + j − padding]
/// ```
///
/// * `spikes`: `[images, channels, height, width]`, mostly zero.
/// * `weight`: `[filters, channels, kernel height, kernel width]`.
/// * `bias`: `[filters]`.
///
/// On the CPU the weights of active pixels alone are read when few of them are active and all are 0 or 1,
/// and the gradients take the same way; otherwise, and elsewhere, this is Burn's convolution.
///
/// # Panics
/// If the shapes do not agree or the kernel does not fit; the layers check shapes before they call.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{SpikeConv2d, spike_conv2d};
///
/// let device = Device::flex();
/// let spikes = Tensor::<4>::from_floats([[[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]], &device);
/// let weight = Tensor::<4>::from_floats([[[[1.0, 2.0], [3.0, 4.0]]]], &device);
/// let current = spike_conv2d(spikes, weight, None, SpikeConv2d::default());
/// assert_eq!(current.into_data().try_to_vec::<f32>().unwrap(), [1.0, 0.0, 0.0, 4.0]);
/// ```
pub fn spike_conv2d(
    spikes: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: SpikeConv2d,
) -> Tensor<4> {
    let (image, kernel) = (spikes.dims(), weight.dims());
    assert_eq!(image[1], kernel[1], "channels of spikes {image:?} against weight {kernel:?}");
    assert!(
        Geometry::new(image, kernel, options).is_some(),
        "a kernel {kernel:?} with {options:?} does not fit images {image:?}"
    );
    if let Some(bias) = &bias {
        assert_eq!(bias.dims(), [kernel[0]], "bias against weight {kernel:?}");
    }
    let bias = match bias {
        Some(bias) => Maybe::Present(bias.into_dispatch()),
        None => Maybe::Absent,
    };
    let (spikes, weight) = (spikes.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(Dispatch::spike_conv2d(spikes, weight, bias, options))
}

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub images: usize,
    pub channels: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    pub filters: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
    pub options: SpikeConv2d,
}

impl Geometry {
    /// From `[images, channels, height, width]` and `[filters, channels, height, width]`; `None` when
    /// something is empty or the kernel does not fit.
    pub fn new(image: [usize; 4], kernel: [usize; 4], options: SpikeConv2d) -> Option<Self> {
        let [images, channels, height, width] = image;
        let [filters, _, kernel_height, kernel_width] = kernel;
        let extent = |size: usize, kernel: usize, axis: usize| {
            let free = (size + 2 * options.padding[axis]).checked_sub(kernel)?;
            Some(free.checked_div(options.stride[axis])? + 1)
        };
        let output = [extent(height, kernel_height, 0)?, extent(width, kernel_width, 1)?];
        (image.iter().chain(&kernel).all(|&size| size > 0)).then_some(Self {
            images,
            channels,
            input: [height, width],
            filters,
            kernel: [kernel_height, kernel_width],
            output,
            options,
        })
    }

    /// Units of the output per filter.
    pub fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }
}

fn burn_options(options: SpikeConv2d) -> ConvOptions<2> {
    ConvOptions::new(options.stride, options.padding, [1, 1], 1)
}

/// The reference body of [`spike_conv2d`].
pub(crate) fn forward<B: Backend>(
    spikes: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Maybe<B>,
    options: SpikeConv2d,
) -> FloatTensor<B> {
    B::conv2d(spikes, weight, bias.into_option(), burn_options(options))
}

/// The gradient of the spikes.
pub(crate) fn input_gradient<B: Backend>(
    spikes: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    options: SpikeConv2d,
) -> FloatTensor<B> {
    B::conv2d_x_backward(spikes, weight, gradient, burn_options(options))
}

/// The gradients of weight and bias.
pub(crate) fn weight_gradient<B: Backend>(
    spikes: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    options: SpikeConv2d,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let filters = Shape::from([weight.shape()[0]]);
    let sums = [0, 2, 3].into_iter().fold(gradient.clone(), |sum, axis| B::float_sum_dim(sum, axis));
    let weight = B::conv2d_weight_backward(spikes, weight, gradient, burn_options(options));
    (weight, B::float_reshape(sums, filters))
}
