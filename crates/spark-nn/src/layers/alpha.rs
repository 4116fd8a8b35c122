//! Units whose membrane is a difference of exponentials.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_kernels::{Reset, Surrogate, spike};

use super::Temporal;
use super::units::{parameter, project, project_threshold, steps};

/// How far learned decays stay away from 0 and 1, where their logarithms mean nothing.
const MARGIN: f32 = 1e-3;

/// Configuration of [`Alpha`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlphaConfig {
    /// Decay factor α of the excitatory trace per step, without unit, above β and below 1.
    pub decay_excitatory: f32,
    /// Decay factor β of the inhibitory trace per step, without unit, above 0.
    pub decay_inhibitory: f32,
    /// Threshold θ, without unit, above 0.
    pub threshold: f32,
    /// Whether α and β are trained.
    pub learn_decays: bool,
    /// Whether θ is trained.
    pub learn_threshold: bool,
    /// Whether each unit has parameters of its own instead of sharing one of each.
    pub per_unit: bool,
    /// What a spike does in the step after it.
    pub reset: Reset,
    /// Whether gradients pass through the reset too, instead of through the output spikes alone.
    pub reset_gradient: bool,
    /// The derivative that stands in for that of the threshold crossing.
    pub surrogate: Surrogate,
}

impl Default for AlphaConfig {
    fn default() -> Self {
        Self {
            decay_excitatory: 0.9,
            decay_inhibitory: 0.8,
            threshold: 1.0,
            learn_decays: false,
            learn_threshold: false,
            per_unit: false,
            reset: Reset::Zero,
            reset_gradient: false,
            surrogate: Surrogate::default(),
        }
    }
}

/// Units whose membrane answers an input spike with a rise and a decay, as the alpha function does.
///
/// ```text
/// R = H(V[t−1] − θ)             the spike of the step before
/// E[t] = α·E[t−1] + I[t]        excitatory trace
/// F[t] = β·F[t−1] − I[t]        inhibitory trace
/// V[t] = τ·(E[t] + F[t])        τ = ln α / (ln β − ln α) + 1
/// S[t] = H(V[t] − θ)
/// ```
///
/// With reset to zero R sets `E[t]`, `F[t]` and `V[t]` to zero before the crossing is looked for, the input of
/// the step included. With reset by subtraction it takes θ from `E[t]`, sets `F[t]` to zero and adds
/// `F[t−1]` to `V[t]`, as snnTorch does.
///
/// Input and output are `[batch, units]` per step and `[time, batch, units]` per sequence. There is no fused
/// operation: a sequence is a loop of plain ones.
///
/// Source: Eshraghian et al., *Training spiking neural networks using lessons from deep learning* (2023), the
/// spike response model; the reset by subtraction is snnTorch's.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{AlphaConfig, Temporal};
///
/// let device = Device::flex();
/// let layer = AlphaConfig::default().init(1, &device);
/// let mut state = layer.initial_state(1, &device);
/// let mut membranes = Vec::new();
/// for input in [0.1, 0.0, 0.0] {
///     (_, state) = layer.step(Tensor::full([1, 1], input, &device), state);
///     membranes.push(state.membrane.clone().into_scalar::<f32>());
/// }
/// // It rises after the input.
/// assert!(membranes[0] == 0.0 && membranes[1] > 0.0 && membranes[2] > membranes[1]);
/// ```
#[derive(Module, Debug)]
pub struct Alpha {
    /// Decay factor α of the excitatory trace, `[units]` or `[1]`.
    pub decay_excitatory: Param<Tensor<1>>,
    /// Decay factor β of the inhibitory trace, `[units]` or `[1]`.
    pub decay_inhibitory: Param<Tensor<1>>,
    /// Threshold θ, `[units]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    units: usize,
    reset_gradient: bool,
    #[module(skip)]
    reset: Reset,
    #[module(skip)]
    surrogate: Surrogate,
}

spark_core::state! {
    /// What [`Alpha`] units remember.
    pub struct AlphaState {
        /// Excitatory trace E, `[batch, units]`, without unit.
        excitatory: Tensor<2>,
        /// Inhibitory trace F, `[batch, units]`, without unit.
        inhibitory: Tensor<2>,
        /// Membrane potential V, `[batch, units]`, without unit.
        membrane: Tensor<2>,
    }
}

impl AlphaConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        let (fast, slow) = (self.decay_inhibitory, self.decay_excitatory);
        if !(0.0 < fast && fast < slow && slow < 1.0) {
            let found = format!("{slow} beside an inhibitory {fast}");
            let expected = "decays between 0 and 1, the inhibitory one the smaller";
            problems.push(format!("{path}.decay_excitatory"), found, expected);
        }
        problems.positive(format!("{path}.threshold"), self.threshold);
        if let Err(error) = self.surrogate.validate() {
            let path = format!("{path}.surrogate.{}", error.field);
            problems.push(path, error.found, error.expected);
        }
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize, device: &Device) -> Alpha {
        let length = if self.per_unit { units } else { 1 };
        Alpha {
            decay_excitatory: parameter(self.decay_excitatory, self.learn_decays, length, device),
            decay_inhibitory: parameter(self.decay_inhibitory, self.learn_decays, length, device),
            threshold: parameter(self.threshold, self.learn_threshold, length, device),
            units,
            reset_gradient: self.reset_gradient,
            reset: self.reset,
            surrogate: self.surrogate,
        }
    }
}

/// What a step reads, `[1, units]` or `[1, 1]` each.
struct Plan {
    excitatory: Tensor<2>,
    inhibitory: Tensor<2>,
    threshold: Tensor<2>,
    scale: Tensor<2>,
}

impl Alpha {
    /// The layer with learned parameters moved back to where they make sense: decays between 0 and 1, θ above
    /// zero. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        Self {
            decay_excitatory: project(self.decay_excitatory, 2.0 * MARGIN, 1.0 - MARGIN),
            decay_inhibitory: project(self.decay_inhibitory, MARGIN, 1.0 - 2.0 * MARGIN),
            threshold: project_threshold(self.threshold),
            ..self
        }
    }

    fn plan(&self) -> Plan {
        let [excitatory, inhibitory, threshold] =
            [&self.decay_excitatory, &self.decay_inhibitory, &self.threshold]
                .map(|p| p.val().unsqueeze::<2>());
        let (slow, fast) = (excitatory.clone().log(), inhibitory.clone().log());
        let scale = slow.clone() / (fast - slow) + 1.0;
        Plan { excitatory, inhibitory, threshold, scale }
    }

    fn advance(&self, plan: &Plan, input: Tensor<2>, state: AlphaState) -> (Tensor<2>, AlphaState) {
        let crossing = |membrane: Tensor<2>| spike(membrane - plan.threshold.clone(), self.surrogate);
        let late = crossing(state.membrane);
        let late = if self.reset_gradient { late } else { late.detach() };
        let before = state.inhibitory;
        let excitatory = state.excitatory * plan.excitatory.clone() + input.clone();
        let inhibitory = before.clone() * plan.inhibitory.clone() - input;
        let (excitatory, inhibitory, membrane) = match self.reset {
            Reset::Zero => {
                let kept = -late + 1.0;
                let (excitatory, inhibitory) = (excitatory * kept.clone(), inhibitory * kept);
                let membrane = (excitatory.clone() + inhibitory.clone()) * plan.scale.clone();
                (excitatory, inhibitory, membrane)
            }
            Reset::Subtract => {
                let membrane = (excitatory.clone() + inhibitory.clone()) * plan.scale.clone();
                (
                    excitatory - late.clone() * plan.threshold.clone(),
                    inhibitory * (-late.clone() + 1.0),
                    membrane + late * before,
                )
            }
            Reset::None => {
                let membrane = (excitatory.clone() + inhibitory.clone()) * plan.scale.clone();
                (excitatory, inhibitory, membrane)
            }
        };
        (crossing(membrane.clone()), AlphaState { excitatory, inhibitory, membrane })
    }

    /// Spikes and membranes of a whole sequence, `[time, batch, units]` each.
    pub fn scan(&self, input: Tensor<3>, mut state: AlphaState) -> (Tensor<3>, Tensor<3>, AlphaState) {
        let plan = self.plan();
        let (mut spikes, mut membranes) = (Vec::new(), Vec::new());
        for current in steps(&input) {
            let spiked;
            (spiked, state) = self.advance(&plan, current, state);
            spikes.push(spiked);
            membranes.push(state.membrane.clone());
        }
        (Tensor::stack(spikes, 0), Tensor::stack(membranes, 0), state)
    }
}

impl Temporal for Alpha {
    type State = AlphaState;

    fn initial_state(&self, batch: usize, device: &Device) -> AlphaState {
        let plane = || Tensor::zeros([batch, self.units], device);
        AlphaState { excitatory: plane(), inhibitory: plane(), membrane: plane() }
    }

    fn step(&self, input: Tensor<2>, state: AlphaState) -> (Tensor<2>, AlphaState) {
        self.advance(&self.plan(), input, state)
    }

    fn sequence(&self, input: Tensor<3>, state: AlphaState) -> (Tensor<3>, AlphaState) {
        let (spikes, _, state) = self.scan(input, state);
        (spikes, state)
    }
}
