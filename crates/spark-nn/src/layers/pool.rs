//! Two-dimensional pooling.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_kernels::window_maximum;

/// Configuration of [`MaxPool2d`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2dConfig {
    /// Height and width of the window, in pixels; windows do not overlap.
    pub window: [usize; 2],
}

/// The maximum over windows that do not overlap: a spike leaves when any unit of the window spiked.
///
/// Rows and columns that do not fill a window are dropped.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::MaxPool2dConfig;
///
/// let pool = MaxPool2dConfig { window: [2, 2] }.init([1, 2, 4]);
/// let x = Tensor::<2>::from_floats([[0., 1., 0., 0., 1., 1., 0., 0.]], &Device::flex());
/// assert_eq!(pool.forward(x).into_data().try_to_vec::<f32>().unwrap(), [1.0, 0.0]);
/// ```
#[derive(Module, Debug)]
pub struct MaxPool2d {
    input: [usize; 3],
    window: [usize; 2],
}

impl MaxPool2dConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        for i in 0..2 {
            problems.positive(format!("{path}.window[{i}]"), self.window[i]);
        }
    }

    /// `[channels, height, width]` of the output for that of the input; `None` when the window does not fit.
    pub fn output_shape(&self, [channels, height, width]: [usize; 3]) -> Option<[usize; 3]> {
        let height = height.checked_div(self.window[0])?;
        let width = width.checked_div(self.window[1])?;
        (height > 0 && width > 0).then_some([channels, height, width])
    }

    /// Pooling of images of shape `input`, `[channels, height, width]`.
    pub fn init(&self, input: [usize; 3]) -> MaxPool2d {
        MaxPool2d { input, window: self.window }
    }
}

impl MaxPool2d {
    /// The maximum of each window, over every step and sample at once.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let mut shape = input.dims();
        let images: usize = shape[..D - 1].iter().product();
        let [channels, height, width] = self.input;
        let output = window_maximum(input.reshape([images, channels, height, width]), self.window);
        shape[D - 1] = output.dims()[1..].iter().product();
        output.reshape(shape)
    }
}

/// Configuration of [`AvgPool2d`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2dConfig {
    /// Height and width of the window, in pixels; windows do not overlap.
    pub window: [usize; 2],
}

/// The mean over windows that do not overlap.
///
/// Rows and columns that do not fill a window are dropped. Inputs and outputs are flattened images,
/// `channels·height·width` row-major; of `[channels, length]` the one row is pooled.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::AvgPool2dConfig;
///
/// let pool = AvgPool2dConfig { window: [2, 2] }.init([1, 2, 4]);
/// let x = Tensor::<2>::from_floats([[0., 1., 0., 0., 1., 1., 0., 1.]], &Device::flex());
/// assert_eq!(pool.forward(x).into_data().try_to_vec::<f32>().unwrap(), [0.75, 0.25]);
/// ```
#[derive(Module, Debug)]
pub struct AvgPool2d {
    input: [usize; 3],
    window: [usize; 2],
}

/// Configuration of [`SumPool2d`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SumPool2dConfig {
    /// Height and width of the window, in pixels; windows do not overlap.
    pub window: [usize; 2],
}

/// The sum over windows that do not overlap: the number of spikes in each.
///
/// Rows and columns that do not fill a window are dropped. Inputs and outputs are flattened images,
/// `channels·height·width` row-major; of `[channels, length]` the one row is pooled.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::SumPool2dConfig;
///
/// let pool = SumPool2dConfig { window: [2, 2] }.init([1, 2, 4]);
/// let x = Tensor::<2>::from_floats([[0., 1., 0., 0., 1., 1., 0., 1.]], &Device::flex());
/// assert_eq!(pool.forward(x).into_data().try_to_vec::<f32>().unwrap(), [3.0, 1.0]);
/// ```
#[derive(Module, Debug)]
pub struct SumPool2d {
    input: [usize; 3],
    window: [usize; 2],
}

macro_rules! as_max_pool {
    ($($config:ident => $layer:ident),*) => {$(
        impl $config {
            /// Checks the fields; `path` is where the configuration stands.
            pub fn validate(&self, path: &str, problems: &mut Problems) {
                MaxPool2dConfig { window: self.window }.validate(path, problems);
            }

            /// `[channels, height, width]` of the output for that of the input; `None` when the window does
            /// not fit.
            pub fn output_shape(&self, input: [usize; 3]) -> Option<[usize; 3]> {
                MaxPool2dConfig { window: self.window }.output_shape(input)
            }

            /// Pooling of images of shape `input`, `[channels, height, width]`.
            pub fn init(&self, input: [usize; 3]) -> $layer {
                $layer { input, window: self.window }
            }
        }
    )*};
}

as_max_pool!(AvgPool2dConfig => AvgPool2d, SumPool2dConfig => SumPool2d);

impl AvgPool2d {
    /// The mean of each window, over every step and sample at once.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        mean(input, self.input, self.window)
    }
}

impl SumPool2d {
    /// The sum of each window, over every step and sample at once.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        mean(input, self.input, self.window) * (self.window[0] * self.window[1]) as f32
    }
}

fn mean<const D: usize>(input: Tensor<D>, image: [usize; 3], window: [usize; 2]) -> Tensor<D> {
    let mut shape = input.dims();
    let images: usize = shape[..D - 1].iter().product();
    let [channels, height, width] = image;
    let input = input.reshape([images, channels, height, width]);
    let output = avg_pool2d(input, AvgPoolOptions::new(window).with_stride(window));
    shape[D - 1] = output.dims()[1..].iter().product();
    output.reshape(shape)
}
