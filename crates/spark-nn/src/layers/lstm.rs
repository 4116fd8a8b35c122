//! Long short-term memory that spikes.

use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::{Initializer, Problems, seed};
use spark_kernels::{Reset, Surrogate, spike, spike_linear};

use super::Temporal;
use super::units::{parameter, project_threshold, steps};

/// Configuration of [`SpikingLstm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpikingLstmConfig {
    /// Number of units.
    pub units: usize,
    /// Threshold θ on the membrane, without unit, above 0.
    #[serde(default = "one")]
    pub threshold: f32,
    /// Whether θ is trained.
    #[serde(default)]
    pub learn_threshold: bool,
    /// What a spike does to the membrane in the step after it.
    #[serde(default = "no_reset")]
    pub reset: Reset,
    /// How weights and biases are drawn; the bound of the default follows from the number of units.
    #[serde(default)]
    pub weight: Initializer,
    /// The derivative that stands in for that of the threshold crossing.
    #[serde(default)]
    pub surrogate: Surrogate,
}

fn one() -> f32 {
    1.0
}

fn no_reset() -> Reset {
    Reset::None
}

/// Long short-term memory whose hidden state is a membrane with a threshold.
///
/// ```text
/// [i, f, g, o] = W_ih·x[t] + b_ih + W_hh·V[t−1] + b_hh
/// C[t] = sigmoid(f)·C[t−1] + sigmoid(i)·tanh(g)
/// V[t] = sigmoid(o)·tanh(C[t])
/// S[t] = 1 if V[t] > θ else 0
/// ```
///
/// A spike of the step before resets `V[t]`: by subtraction of θ, to zero, or, by default, not at all; no
/// gradient passes through the reset. Input is `[batch, inputs]` per step and `[time, batch, inputs]` per
/// sequence, output the same with units. What comes from the input is one product for all steps; what
/// comes from the membrane is a loop.
///
/// Weights are `[inputs, 4·units]` in memory, saved as `[4·units, inputs]`, gates in the order i, f, g, o: the
/// layout of PyTorch's `LSTMCell`.
///
/// Sources: Hochreiter & Schmidhuber, *Long short-term memory* (1997); Eshraghian et al., *Training spiking
/// neural networks using lessons from deep learning* (2023).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{SpikingLstmConfig, Temporal};
///
/// let device = Device::flex();
/// let layer = SpikingLstmConfig::new(8).init(12, 1, "lstm", &device);
/// let input = Tensor::ones([20, 4, 12], &device);
/// let (spikes, state) = layer.sequence(input, layer.initial_state(4, &device));
/// assert_eq!(spikes.dims(), [20, 4, 8]);
/// assert_eq!(state.cell.dims(), [4, 8]);
/// ```
#[derive(Module, Debug)]
pub struct SpikingLstm {
    /// Weights of the input, `[inputs, 4·units]` in memory.
    pub weight_ih: Param<Tensor<2>>,
    /// Weights of the membrane, `[units, 4·units]` in memory.
    pub weight_hh: Param<Tensor<2>>,
    /// Bias beside the input, `[4·units]`.
    pub bias_ih: Param<Tensor<1>>,
    /// Bias beside the membrane, `[4·units]`.
    pub bias_hh: Param<Tensor<1>>,
    /// Threshold θ, `[1]`.
    pub threshold: Param<Tensor<1>>,
    units: usize,
    #[module(skip)]
    reset: Reset,
    #[module(skip)]
    surrogate: Surrogate,
}

spark_core::state! {
    /// What a [`SpikingLstm`] remembers.
    pub struct SpikingLstmState {
        /// Cell C, `[batch, units]`, without unit.
        cell: Tensor<2>,
        /// Membrane V, `[batch, units]`, without unit.
        membrane: Tensor<2>,
    }
}

impl SpikingLstmConfig {
    /// `units` units without reset.
    pub fn new(units: usize) -> Self {
        Self {
            units,
            threshold: one(),
            learn_threshold: false,
            reset: no_reset(),
            weight: Initializer::default(),
            surrogate: Surrogate::default(),
        }
    }

    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.positive(format!("{path}.units"), self.units);
        problems.positive(format!("{path}.threshold"), self.threshold);
        self.weight.validate(&format!("{path}.weight"), problems);
        if let Err(error) = self.surrogate.validate() {
            let path = format!("{path}.surrogate.{}", error.field);
            problems.push(path, error.found, error.expected);
        }
    }

    /// Draws the parameters for `inputs` inputs; `name` picks the random stream under `seed`.
    pub fn init(&self, inputs: usize, seed: u64, name: &str, device: &Device) -> SpikingLstm {
        let gates = 4 * self.units;
        let draw = |count: usize, field: &str| {
            self.weight.draw(count, self.units, &mut seed::rng(seed, &format!("{name}.{field}")))
        };
        let weight = |rows: usize, field: &str| {
            let data = TensorData::new(draw(rows * gates, field), [rows, gates]);
            Param::<Tensor<2>>::from_data(data, device)
                .save_mapper(Tensor::transpose)
                .load_mapper(Tensor::transpose)
        };
        let bias = |field: &str| Param::from_data(TensorData::new(draw(gates, field), [gates]), device);
        SpikingLstm {
            weight_ih: weight(inputs, "weight_ih"),
            weight_hh: weight(self.units, "weight_hh"),
            bias_ih: bias("bias_ih"),
            bias_hh: bias("bias_hh"),
            threshold: parameter(self.threshold, self.learn_threshold, 1, device),
            units: self.units,
            reset: self.reset,
            surrogate: self.surrogate,
        }
    }
}

impl SpikingLstm {
    /// The layer with a learned threshold moved back above zero. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        Self { threshold: project_threshold(self.threshold), ..self }
    }

    /// What the input adds to the gates, `[rows, 4·units]`.
    fn gates(&self, input: Tensor<2>) -> Tensor<2> {
        spike_linear(input, self.weight_ih.val(), Some(self.bias_ih.val() + self.bias_hh.val()))
    }

    fn advance(&self, gates: Tensor<2>, state: SpikingLstmState) -> (Tensor<2>, SpikingLstmState) {
        let threshold = self.threshold.val().unsqueeze::<2>();
        let crossing = |membrane: Tensor<2>| spike(membrane - threshold.clone(), self.surrogate);
        let gates = gates + state.membrane.clone().matmul(self.weight_hh.val());
        let [input, forget, candidate, output] =
            std::array::from_fn(|i| gates.clone().narrow(1, i * self.units, self.units));
        let cell = sigmoid(forget) * state.cell + sigmoid(input) * candidate.tanh();
        let membrane = sigmoid(output) * cell.clone().tanh();
        let membrane = match self.reset {
            Reset::None => membrane,
            Reset::Subtract => membrane - crossing(state.membrane).detach() * threshold.clone(),
            Reset::Zero => membrane * (-crossing(state.membrane).detach() + 1.0),
        };
        (crossing(membrane.clone()), SpikingLstmState { cell, membrane })
    }

    /// Spikes and membranes of a whole sequence, `[time, batch, units]` each.
    pub fn scan(
        &self,
        input: Tensor<3>,
        mut state: SpikingLstmState,
    ) -> (Tensor<3>, Tensor<3>, SpikingLstmState) {
        let [time, batch, inputs] = input.dims();
        let gates = self.gates(input.reshape([time * batch, inputs])).reshape([time, batch, 4 * self.units]);
        let (mut spikes, mut membranes) = (Vec::with_capacity(time), Vec::with_capacity(time));
        for gates in steps(&gates) {
            let spiked;
            (spiked, state) = self.advance(gates, state);
            spikes.push(spiked);
            membranes.push(state.membrane.clone());
        }
        (Tensor::stack(spikes, 0), Tensor::stack(membranes, 0), state)
    }
}

impl Temporal for SpikingLstm {
    type State = SpikingLstmState;

    fn initial_state(&self, batch: usize, device: &Device) -> SpikingLstmState {
        let plane = || Tensor::zeros([batch, self.units], device);
        SpikingLstmState { cell: plane(), membrane: plane() }
    }

    fn step(&self, input: Tensor<2>, state: SpikingLstmState) -> (Tensor<2>, SpikingLstmState) {
        self.advance(self.gates(input), state)
    }

    fn sequence(&self, input: Tensor<3>, state: SpikingLstmState) -> (Tensor<3>, SpikingLstmState) {
        let (spikes, _, state) = self.scan(input, state);
        (spikes, state)
    }
}
