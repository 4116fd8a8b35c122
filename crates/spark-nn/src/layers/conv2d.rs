//! Two-dimensional convolutional synapses.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::{Initializer, Problems, seed};
use spark_kernels::{SpikeConv2d, spike_conv2d};

/// Configuration of [`Conv2d`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conv2dConfig {
    /// Number of output channels.
    pub channels: usize,
    /// Height and width of the kernel, in pixels.
    pub kernel: [usize; 2],
    /// Vertical and horizontal distance between applications, in pixels.
    #[serde(default = "one_by_one")]
    pub stride: [usize; 2],
    /// Rows and columns of zeros added on each side.
    #[serde(default)]
    pub padding: [usize; 2],
    /// Whether each channel has a constant input besides.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How weights and bias are drawn.
    #[serde(default)]
    pub weight: Initializer,
}

fn one_by_one() -> [usize; 2] {
    [1, 1]
}

fn yes() -> bool {
    true
}

/// Two-dimensional convolution of spike images.
///
/// Inputs and outputs are flattened images, `channels·height·width` row-major. The weight is
/// `[output channels, input channels, kernel height, kernel width]`, like PyTorch's.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::Conv2dConfig;
///
/// let device = Device::flex();
/// let config = Conv2dConfig::new(12, [5, 5]);
/// assert_eq!(config.output_shape([1, 28, 28]), Some([12, 24, 24]));
/// let synapses = config.init([1, 28, 28], 1, "synapses", &device);
/// assert_eq!(synapses.forward(Tensor::zeros([25, 2, 784], &device)).dims(), [25, 2, 12 * 24 * 24]);
/// ```
#[derive(Module, Debug)]
pub struct Conv2d {
    /// Weights, `[output channels, input channels, kernel height, kernel width]`.
    pub weight: Param<Tensor<4>>,
    /// Bias, `[output channels]`.
    pub bias: Option<Param<Tensor<1>>>,
    input: [usize; 3],
    stride: [usize; 2],
    padding: [usize; 2],
}

impl Conv2dConfig {
    /// A convolution to `channels` channels with stride 1, no padding and bias.
    pub fn new(channels: usize, kernel: [usize; 2]) -> Self {
        Self {
            channels,
            kernel,
            stride: one_by_one(),
            padding: [0, 0],
            bias: true,
            weight: Initializer::default(),
        }
    }

    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.positive(format!("{path}.channels"), self.channels);
        for i in 0..2 {
            problems.positive(format!("{path}.kernel[{i}]"), self.kernel[i]);
            problems.positive(format!("{path}.stride[{i}]"), self.stride[i]);
        }
        self.weight.validate(&format!("{path}.weight"), problems);
    }

    /// `[channels, height, width]` of the output for that of the input; `None` when the kernel does not fit.
    pub fn output_shape(&self, [_, height, width]: [usize; 3]) -> Option<[usize; 3]> {
        let extent = |size: usize, i: usize| {
            let padded = size + 2 * self.padding[i];
            (self.stride[i] > 0 && padded >= self.kernel[i])
                .then(|| (padded - self.kernel[i]) / self.stride[i] + 1)
        };
        Some([self.channels, extent(height, 0)?, extent(width, 1)?])
    }

    /// Draws the parameters for images of shape `input`, `[channels, height, width]`; `name` picks the
    /// random stream under `seed`.
    pub fn init(&self, input: [usize; 3], seed: u64, name: &str, device: &Device) -> Conv2d {
        let [height, width] = self.kernel;
        let fan_in = input[0] * height * width;
        let draw = |count: usize, field: &str| {
            self.weight.draw(count, fan_in, &mut seed::rng(seed, &format!("{name}.{field}")))
        };
        let shape = [self.channels, input[0], height, width];
        let weight = TensorData::new(draw(self.channels * fan_in, "weight"), shape);
        let bias = self.bias.then(|| TensorData::new(draw(self.channels, "bias"), [self.channels]));
        Conv2d {
            weight: Param::from_data(weight, device),
            bias: bias.map(|bias| Param::from_data(bias, device)),
            input,
            stride: self.stride,
            padding: self.padding,
        }
    }
}

impl Conv2d {
    /// The current into each unit, over every step and sample at once.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let mut shape = input.dims();
        let images: usize = shape[..D - 1].iter().product();
        let [channels, height, width] = self.input;
        let options = SpikeConv2d { stride: self.stride, padding: self.padding };
        let bias = self.bias.as_ref().map(Param::val);
        let spikes = input.reshape([images, channels, height, width]);
        let output = spike_conv2d(spikes, self.weight.val(), bias, options);
        shape[D - 1] = output.dims()[1..].iter().product();
        output.reshape(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_sums_over_the_kernel() {
        let device = Device::flex();
        let config = Conv2dConfig {
            bias: false,
            weight: Initializer::Constant { value: 1.0 },
            ..Conv2dConfig::new(1, [2, 2])
        };
        let x = Tensor::<2>::from_floats([[1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]], &device);
        let y = config.init([1, 3, 3], 0, "conv", &device).forward(x);
        assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [2.0, 2.0, 2.0, 1.0]);
    }

    #[test]
    fn a_kernel_larger_than_the_image_has_no_output() {
        assert_eq!(Conv2dConfig::new(1, [5, 5]).output_shape([1, 4, 9]), None);
        let padded = Conv2dConfig { padding: [1, 0], stride: [1, 2], ..Conv2dConfig::new(3, [5, 5]) };
        assert_eq!(padded.output_shape([1, 4, 9]), Some([3, 2, 3]));
    }
}
