//! One-dimensional convolutional synapses.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::{Initializer, Problems, seed};
use spark_kernels::{SpikeConv2d, spike_conv2d};

/// Configuration of [`Conv1d`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conv1dConfig {
    /// Number of output channels.
    pub channels: usize,
    /// Length of the kernel.
    pub kernel: usize,
    /// Distance between applications.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros added on each side.
    #[serde(default)]
    pub padding: usize,
    /// Whether each channel has a constant input besides.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How weights and bias are drawn.
    #[serde(default)]
    pub weight: Initializer,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

/// Convolution of spikes along one axis in space, not in time.
///
/// ```text
/// I[f, x] = b[f] + Σ_{c, i} w[f, c, i]·S[c, x·stride + i − padding]
/// ```
///
/// Inputs and outputs are flattened, `channels·length` row-major. The weight is `[output channels, input
/// channels, kernel]`, like PyTorch's.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::Conv1dConfig;
///
/// let device = Device::flex();
/// let config = Conv1dConfig::new(8, 5);
/// assert_eq!(config.output_shape([2, 100]), Some([8, 96]));
/// let synapses = config.init([2, 100], 1, "synapses", &device);
/// assert_eq!(synapses.forward(Tensor::zeros([25, 3, 200], &device)).dims(), [25, 3, 8 * 96]);
/// ```
#[derive(Module, Debug)]
pub struct Conv1d {
    /// Weights, `[output channels, input channels, kernel]`.
    pub weight: Param<Tensor<3>>,
    /// Bias, `[output channels]`.
    pub bias: Option<Param<Tensor<1>>>,
    input: [usize; 2],
    stride: usize,
    padding: usize,
}

impl Conv1dConfig {
    /// A convolution to `channels` channels with stride 1, no padding and bias.
    pub fn new(channels: usize, kernel: usize) -> Self {
        Self { channels, kernel, stride: 1, padding: 0, bias: true, weight: Initializer::default() }
    }

    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.positive(format!("{path}.channels"), self.channels);
        problems.positive(format!("{path}.kernel"), self.kernel);
        problems.positive(format!("{path}.stride"), self.stride);
        self.weight.validate(&format!("{path}.weight"), problems);
    }

    /// `[channels, length]` of the output for that of the input; `None` when the kernel does not fit.
    pub fn output_shape(&self, [_, length]: [usize; 2]) -> Option<[usize; 2]> {
        let free = (length + 2 * self.padding).checked_sub(self.kernel)?;
        Some([self.channels, free.checked_div(self.stride)? + 1])
    }

    /// Draws the parameters for inputs of shape `input`, `[channels, length]`; `name` picks the random stream
    /// under `seed`.
    pub fn init(&self, input: [usize; 2], seed: u64, name: &str, device: &Device) -> Conv1d {
        let fan_in = input[0] * self.kernel;
        let draw = |count: usize, field: &str| {
            self.weight.draw(count, fan_in, &mut seed::rng(seed, &format!("{name}.{field}")))
        };
        let shape = [self.channels, input[0], self.kernel];
        let weight = TensorData::new(draw(self.channels * fan_in, "weight"), shape);
        let bias = self.bias.then(|| TensorData::new(draw(self.channels, "bias"), [self.channels]));
        Conv1d {
            weight: Param::from_data(weight, device),
            bias: bias.map(|bias| Param::from_data(bias, device)),
            input,
            stride: self.stride,
            padding: self.padding,
        }
    }
}

impl Conv1d {
    /// The current into each unit, over every step and sample at once.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let mut shape = input.dims();
        let rows: usize = shape[..D - 1].iter().product();
        let [channels, length] = self.input;
        let options = SpikeConv2d { stride: [1, self.stride], padding: [0, self.padding] };
        // An image of one row.
        let spikes = input.reshape([rows, channels, 1, length]);
        let weight = self.weight.val().unsqueeze_dim(2);
        let output = spike_conv2d(spikes, weight, self.bias.as_ref().map(Param::val), options);
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
        let config = Conv1dConfig {
            bias: false,
            stride: 2,
            padding: 1,
            weight: Initializer::Constant { value: 1.0 },
            ..Conv1dConfig::new(1, 3)
        };
        assert_eq!(config.output_shape([2, 4]), Some([1, 2]));
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0]], &device);
        let y = config.init([2, 4], 0, "conv", &device).forward(x);
        assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [33.0, 99.0]);
    }

    #[test]
    fn a_kernel_longer_than_the_input_has_no_output() {
        assert_eq!(Conv1dConfig::new(1, 5).output_shape([1, 4]), None);
    }
}
