//! Batch normalisation through time.

use burn::module::{Module, Param};
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::buffer::Buffer;

/// Configuration of [`BatchNorm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchNormConfig {
    /// Weight that training starts from, above 0. Units that are to spike from the beginning take their
    /// threshold here.
    pub scale: f32,
    /// Share of the newest statistics in the running ones, in `[0, 1]`.
    pub momentum: f32,
    /// Added to the variance, above 0.
    pub epsilon: f32,
}

impl Default for BatchNormConfig {
    fn default() -> Self {
        Self { scale: 1.0, momentum: 0.1, epsilon: 1e-5 }
    }
}

/// Normalises each channel over all steps and samples, and over all positions of an image.
///
/// ```text
/// y = γ·(x − μ)/√(σ² + ε) + b
/// ```
///
/// Where gradients are tracked, μ and σ² are those of the input, of all its steps together, and the running
/// ones move towards them; elsewhere they are the running ones, and a sequence equals a loop over its steps.
/// Input and output are `[…, channels·positions]`, the channels being the first axis of the shape of the layer
/// before.
///
/// Source: Zheng et al., *Going deeper with directly-trained larger spiking neural networks* (2021): their α·V_th
/// is the weight that training starts from.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::BatchNormConfig;
///
/// let device = Device::flex();
/// let layer = BatchNormConfig::default().init(&[1], &device.clone().autodiff());
/// let input = Tensor::<3>::from_floats([[[1.0]], [[3.0]]], &device.clone().autodiff());
/// let output = layer.forward(input).into_data().try_to_vec::<f32>().unwrap();
/// assert!((output[0] + 1.0).abs() < 1e-3 && (output[1] - 1.0).abs() < 1e-3);
/// assert!((layer.mean.value().into_scalar::<f32>() - 0.2).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Weight γ, `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// Bias b, `[channels]`.
    pub bias: Param<Tensor<1>>,
    /// Running mean μ, `[channels]`.
    pub mean: Buffer<1>,
    /// Running variance σ², `[channels]`.
    pub variance: Buffer<1>,
    channels: usize,
    momentum: f32,
    epsilon: f32,
    #[module(skip)]
    notes: Notes,
}

/// Mean and variance of each sequence that was seen, `[channels]`, where they are written down instead of followed.
/// A clone writes nothing down.
#[derive(Debug, Default)]
struct Notes(Mutex<Option<Vec<[Tensor<1>; 2]>>>);

impl Notes {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<[Tensor<1>; 2]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Notes {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl BatchNormConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.positive(format!("{path}.scale"), self.scale);
        problems.unit_interval(format!("{path}.momentum"), self.momentum);
        problems.positive(format!("{path}.epsilon"), self.epsilon);
    }

    /// A layer behind one of shape `input`, channels first.
    pub fn init(&self, input: &[usize], device: &Device) -> BatchNorm {
        let channels = input.first().copied().unwrap_or(1);
        let plain = device.clone().inner();
        let parameter = |value: f32| {
            Param::from_data(burn::tensor::TensorData::new(vec![value; channels], [channels]), device)
        };
        BatchNorm {
            weight: parameter(self.scale),
            bias: parameter(0.0),
            mean: Buffer::new(Tensor::zeros([channels], &plain)),
            variance: Buffer::new(Tensor::ones([channels], &plain)),
            channels,
            momentum: self.momentum,
            epsilon: self.epsilon,
            notes: Notes::default(),
        }
    }
}

impl BatchNorm {
    /// `[…, channels·positions]` to the same shape.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let shape = input.dims();
        let rows: usize = shape[..D - 1].iter().product();
        let input = input.reshape([rows, self.channels, shape[D - 1] / self.channels]);
        let epsilon = f64::from(self.epsilon);
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let output = if input.device().is_autodiff() {
            let found = batch_norm_train(input, weight, bias, epsilon);
            let statistics = [found.mean.inner(), found.variance.inner()];
            match self.notes.lock().as_mut() {
                Some(notes) => notes.push(statistics),
                None => self.follow(statistics),
            }
            found.output
        } else {
            batch_norm(input, weight, bias, self.mean.value(), self.variance.value(), epsilon)
        };
        output.reshape(shape)
    }

    /// Moves the running statistics towards mean and variance of a sequence.
    fn follow(&self, found: [Tensor<1>; 2]) {
        for (running, found) in [&self.mean, &self.variance].into_iter().zip(found) {
            let earlier = running.value();
            running.set(earlier * (1.0 - self.momentum) + found * self.momentum);
        }
    }

    /// From now on keeps statistics for [`take_over`](Self::take_over) instead of following them.
    pub(super) fn note_statistics(&self) {
        *self.notes.lock() = Some(Vec::new());
    }

    /// Follows the statistics that a replica kept.
    pub(super) fn take_over(&self, replica: &Self) {
        let device = self.mean.value().device();
        for found in replica.notes.lock().take().into_iter().flatten() {
            self.follow(found.map(|found| found.to_device(&device)));
        }
    }
}
