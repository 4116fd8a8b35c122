//! Units that sum their recent inputs, all steps at once.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_kernels::{Surrogate, spike};

use super::Temporal;

/// Configuration of [`Parallel`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ParallelConfig {
    /// Number k of steps that a unit looks back, its own included, above 0.
    pub order: usize,
    /// Factor between the weights of one step and of the one before it that training starts from, in `[0, 1]`:
    /// the decay of a leaky unit without reset.
    pub decay: f32,
    /// Threshold θ that training starts from, without unit, above 0.
    pub threshold: f32,
    /// Whether the weights and the threshold are trained.
    pub learn: bool,
    /// Whether a sum exactly at the threshold spikes, as in SpikingJelly, or only one above it.
    pub spike_at_threshold: bool,
    /// The derivative that stands in for that of the threshold crossing.
    pub surrogate: Surrogate,
}

impl Default for ParallelConfig {
    fn default() -> Self {
        Self {
            order: 4,
            decay: 0.5,
            threshold: 1.0,
            learn: true,
            spike_at_threshold: false,
            surrogate: Surrogate::default(),
        }
    }
}

/// Units without reset that sum their last inputs with learned weights: a leaky membrane of any shape, cut off
/// after k steps.
///
/// ```text
/// U[t] = Σ_{i<k} w[i]·I[t − k + 1 + i] + b
/// S[t] = 1 if U[t] > 0 else 0
/// ```
///
/// The last weight is that of the step itself, and the bias b is −θ. Because nothing resets, all steps are
/// computed at once. Input and output are `[batch, units]` per step and `[time, batch, units]` per sequence.
///
/// A leaky unit without reset and without an end to its memory is [`Leaky`](super::Leaky) with `reset: none`.
///
/// Source: Fang et al., *Parallel spiking neurons with high efficiency and ability to learn long-term
/// dependencies* (2023), the sliding parallel spiking neuron.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{ParallelConfig, Temporal};
///
/// let device = Device::flex();
/// let layer = ParallelConfig { order: 2, ..Default::default() }.init(1, &device);
/// // Weights 0.5 and 1, threshold 1.
/// let input = Tensor::<3>::from_floats([[[0.75]], [[0.75]], [[0.0]]], &device);
/// let (spikes, _) = layer.sequence(input, layer.initial_state(1, &device));
/// assert_eq!(spikes.into_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0]);
/// ```
#[derive(Module, Debug)]
pub struct Parallel {
    /// Weights w of the last steps, the oldest first, `[order]`.
    pub weight: Param<Tensor<1>>,
    /// Bias b, `[1]`.
    pub bias: Param<Tensor<1>>,
    units: usize,
    spike_at_threshold: bool,
    #[module(skip)]
    surrogate: Surrogate,
}

spark_core::state! {
    /// What [`Parallel`] units remember.
    pub struct ParallelState {
        /// The inputs of the last steps, the oldest first, `[order − 1, batch, units]`; absent for order 1.
        inputs: Option<Tensor<3>>,
    }
}

impl ParallelConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.positive(format!("{path}.order"), self.order);
        problems.unit_interval(format!("{path}.decay"), self.decay);
        problems.positive(format!("{path}.threshold"), self.threshold);
        if let Err(error) = self.surrogate.validate() {
            let path = format!("{path}.surrogate.{}", error.field);
            problems.push(path, error.found, error.expected);
        }
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize, device: &Device) -> Parallel {
        let weight = (0..self.order).rev().map(|age| self.decay.powi(age as i32)).collect();
        let parameter = |values: Vec<f32>| {
            let length = values.len();
            Param::from_data(TensorData::new(values, [length]), device).set_require_grad(self.learn)
        };
        Parallel {
            weight: parameter(weight),
            bias: parameter(vec![-self.threshold]),
            units,
            spike_at_threshold: self.spike_at_threshold,
            surrogate: self.surrogate,
        }
    }
}

impl Parallel {
    /// Spikes, and sums before the threshold, of a whole sequence, `[time, batch, units]` each.
    pub fn scan(&self, input: Tensor<3>, state: ParallelState) -> (Tensor<3>, Tensor<3>, ParallelState) {
        let time = input.dims()[0];
        let weight = self.weight.val();
        let order = weight.dims()[0];
        let history = match state.inputs {
            Some(inputs) => Tensor::cat(vec![inputs, input], 0),
            None => input,
        };
        let term =
            |i: usize| history.clone().narrow(0, i, time) * weight.clone().narrow(0, i, 1).unsqueeze::<3>();
        let sum = (1..order).fold(term(0), |sum, i| sum + term(i)) + self.bias.val().unsqueeze::<3>();
        // The smallest step above: what is 0 spikes, and nothing below does.
        let crossed = if self.spike_at_threshold { sum.clone() + f32::MIN_POSITIVE } else { sum.clone() };
        let inputs = (order > 1).then(|| history.narrow(0, time, order - 1));
        (spike(crossed, self.surrogate), sum, ParallelState { inputs })
    }
}

impl Temporal for Parallel {
    type State = ParallelState;

    fn initial_state(&self, batch: usize, device: &Device) -> ParallelState {
        let [order] = self.weight.val().dims();
        let inputs = (order > 1).then(|| Tensor::zeros([order - 1, batch, self.units], device));
        ParallelState { inputs }
    }

    fn step(&self, input: Tensor<2>, state: ParallelState) -> (Tensor<2>, ParallelState) {
        let (spikes, _, state) = self.scan(input.unsqueeze(), state);
        (spikes.squeeze_dim(0), state)
    }

    fn sequence(&self, input: Tensor<3>, state: ParallelState) -> (Tensor<3>, ParallelState) {
        let (spikes, _, state) = self.scan(input, state);
        (spikes, state)
    }
}
