//! Units with every constant of their membrane.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_kernels::{Reset, Surrogate, Unit, UnitState};

use super::member::{Asked, Member, Ran};
use super::state::own;
use super::units::{Conventions, parameter, project_decay, scaled};
use super::{LayerState, Temporal};

/// Configuration of [`Membrane`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MembraneConfig {
    /// Decay factor β of the membrane per step, without unit, in `[0, 1]`.
    pub decay: f32,
    /// Factor k of the input, without unit.
    pub gain: f32,
    /// Where the membrane leaks to, without unit.
    pub leak: f32,
    /// Threshold θ, without unit; `null` for units that never spike and give their membrane.
    pub threshold: Option<f32>,
    /// Where a spike takes the membrane, without unit.
    pub reset_value: f32,
    /// Decay factor α of a synaptic current per step, without unit, in `[0, 1]`; `null` for an input that acts
    /// at once.
    pub current_decay: Option<f32>,
    /// Whether all of these are trained.
    pub learn: bool,
    /// Whether each unit has parameters of its own instead of sharing one of each.
    pub per_unit: bool,
    /// Whether the membrane starts where a spike takes it instead of at 0.
    pub start_at_reset: bool,
    /// Whether a membrane exactly at the threshold spikes, or only one above it.
    pub spike_at_threshold: bool,
    /// Whether gradients pass through the reset too, instead of through the output spikes alone.
    pub reset_gradient: bool,
    /// The derivative that stands in for that of the threshold crossing.
    pub surrogate: Surrogate,
}

impl Default for MembraneConfig {
    fn default() -> Self {
        Self {
            decay: 0.95,
            gain: 1.0,
            leak: 0.0,
            threshold: Some(1.0),
            reset_value: 0.0,
            current_decay: None,
            learn: false,
            per_unit: false,
            start_at_reset: false,
            spike_at_threshold: false,
            reset_gradient: false,
            surrogate: Surrogate::default(),
        }
    }
}

/// Leaky integrate-and-fire units whose membrane leaks to one potential and is reset to another.
///
/// ```text
/// C[t] = α·C[t−1] + k·I[t]                  k·I[t] alone for an input that acts at once
/// U[t] = β·V[t−1] + (1 − β)·V_leak + C[t]
/// S[t] = 1 if U[t] > θ else 0
/// V[t] = V_reset where S[t] = 1, else U[t]
/// ```
///
/// This is what a step of forward Euler makes of `τ·dV/dt = (V_leak − V) + R·I`: `β = 1 − Δ/τ` and `k = R·Δ/τ`.
/// Input and output are `[batch, units]` per step and `[time, batch, units]` per sequence, which runs as one
/// fused operation.
///
/// Source: Pedersen et al., *Neuromorphic intermediate representation* (2024), the units LIF, LI, IF, I, CubaLIF
/// and CubaLI.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{MembraneConfig, Temporal};
///
/// let device = Device::flex();
/// let config = MembraneConfig { decay: 0.5, leak: 3.0, reset_value: -1.0, threshold: Some(2.0), ..Default::default() };
/// let layer = config.init(1, &device);
/// // 1.5, then 2.25 above the threshold, then half of −1 and of 3.
/// let (spikes, state) = layer.sequence(Tensor::zeros([3, 1, 1], &device), layer.initial_state(1, &device));
/// assert_eq!(spikes.into_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0]);
/// assert_eq!(layer.potential(&state).into_scalar::<f32>(), 1.0);
/// ```
#[derive(Module, Debug)]
pub struct Membrane {
    /// Decay factor β, `[units]` or `[1]`.
    pub decay: Param<Tensor<1>>,
    /// Factor k of the input, `[units]` or `[1]`.
    pub gain: Param<Tensor<1>>,
    /// Where the membrane leaks to, `[units]` or `[1]`.
    pub leak: Param<Tensor<1>>,
    /// Threshold θ, `[units]` or `[1]`; absent where units never spike.
    pub threshold: Option<Param<Tensor<1>>>,
    /// Where a spike takes the membrane, `[units]` or `[1]`; absent where units never spike.
    pub reset_value: Option<Param<Tensor<1>>>,
    /// Decay factor α of the current, `[units]` or `[1]`; absent where the input acts at once.
    pub current_decay: Option<Param<Tensor<1>>>,
    units: usize,
    start_at_reset: bool,
    #[module(skip)]
    conventions: Conventions,
}

spark_core::state! {
    /// What [`Membrane`] units remember.
    pub struct MembraneState {
        /// Membrane after the latest step, `[batch, units]`, counted from where a spike takes it; from where it
        /// leaks to, of units that never spike.
        membrane: Tensor<2>,
        /// Synaptic current and what the leak adds to it, `[batch, units]`; absent where the input acts at once.
        current: Option<Tensor<2>>,
    }
}

impl MembraneConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.unit_interval(format!("{path}.decay"), self.decay);
        if let Some(decay) = self.current_decay {
            problems.unit_interval(format!("{path}.current_decay"), decay);
        }
        for (field, value) in [("gain", self.gain), ("leak", self.leak)] {
            problems.finite(format!("{path}.{field}"), value);
        }
        if let Some(threshold) = self.threshold {
            problems.finite(format!("{path}.threshold"), threshold);
            if self.spike_at_threshold && threshold <= self.reset_value {
                let expected = "more than the reset value, where a membrane at the threshold spikes";
                problems.push(format!("{path}.threshold"), threshold, expected);
            }
        }
        problems.finite(format!("{path}.reset_value"), self.reset_value);
        if let Err(error) = self.surrogate.validate() {
            problems.push(format!("{path}.surrogate.{}", error.field), error.found, error.expected);
        }
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize, device: &Device) -> Membrane {
        let length = if self.per_unit { units } else { 1 };
        let make = |value: f32| parameter(value, self.learn, length, device);
        Membrane {
            decay: make(self.decay),
            gain: make(self.gain),
            leak: make(self.leak),
            threshold: self.threshold.map(make),
            reset_value: self.threshold.map(|_| make(self.reset_value)),
            current_decay: self.current_decay.map(make),
            units,
            start_at_reset: self.start_at_reset,
            conventions: Conventions {
                // Potentials count from the reset value.
                reset: if self.threshold.is_some() { Reset::Zero } else { Reset::None },
                reset_delay: false,
                reset_gradient: self.reset_gradient,
                reset_value: 0.0,
                spike_at_threshold: self.spike_at_threshold,
                surrogate: self.surrogate,
                current_delay: false,
                given_back: false,
                zero_whole: false,
                window: None,
            },
        }
    }
}

impl Membrane {
    /// The layer with learned decays moved back into `[0, 1]`. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        Self {
            decay: project_decay(self.decay),
            current_decay: self.current_decay.map(project_decay),
            ..self
        }
    }

    /// The membrane potential of a state, `[batch, units]`.
    pub fn potential(&self, state: &MembraneState) -> Tensor<2> {
        state.membrane.clone() + self.base().unsqueeze()
    }

    /// What potentials count from.
    fn base(&self) -> Tensor<1> {
        self.reset_value.as_ref().unwrap_or(&self.leak).val()
    }

    /// What the leak adds to a membrane that counts from its base.
    fn pull(&self) -> Tensor<1> {
        (-self.decay.val() + 1.0) * (self.leak.val() - self.base())
    }

    fn unit(&self) -> Unit {
        Unit {
            decay: self.decay.val(),
            threshold: self.threshold.as_ref().map(|threshold| threshold.val() - self.base()),
            current_decay: self.current_decay.as_ref().map(Param::val),
            adaptation: None,
        }
    }

    /// What is integrated, `[…, units]`. A current carries what the leak adds along.
    fn drive<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let pull = match &self.current_decay {
            Some(decay) => self.pull() * (-decay.val() + 1.0),
            None => self.pull(),
        };
        scaled(input, self.gain.val()) + pull.unsqueeze()
    }

    /// Output, potential before the reset of its own step and state of a whole sequence, the first two
    /// `[time, batch, units]`; the potential when it is asked for.
    pub fn scan(
        &self,
        input: Tensor<3>,
        state: MembraneState,
        potential: bool,
    ) -> (Tensor<3>, Option<Tensor<3>>, MembraneState) {
        let potential = potential || self.threshold.is_none();
        let out = self.conventions.sequence(self.unit(), self.drive(input), state.into(), potential);
        let potential = out.potential.map(|potential| potential + self.base().unsqueeze());
        let output = out.spikes.or_else(|| potential.clone());
        (output.expect("spikes or the potential that was asked for"), potential, out.state.into())
    }
}

impl From<MembraneState> for UnitState {
    fn from(state: MembraneState) -> Self {
        Self { membrane: state.membrane, current: state.current, adaptation: None }
    }
}

impl From<UnitState> for MembraneState {
    fn from(state: UnitState) -> Self {
        Self { membrane: state.membrane, current: state.current }
    }
}

impl Temporal for Membrane {
    type State = MembraneState;

    fn initial_state(&self, batch: usize, device: &Device) -> MembraneState {
        let zeros = || Tensor::<2>::zeros([batch, self.units], device);
        let membrane = if self.start_at_reset { zeros() } else { zeros() - self.base().unsqueeze() };
        let current = self.current_decay.is_some().then(|| zeros() + self.pull().unsqueeze());
        MembraneState { membrane, current }
    }

    fn step(&self, input: Tensor<2>, state: MembraneState) -> (Tensor<2>, MembraneState) {
        let step = self.conventions.step(self.unit(), self.drive(input), state.into());
        let output = step.spikes.unwrap_or_else(|| step.potential + self.base().unsqueeze());
        (output, step.state.into())
    }

    fn sequence(&self, input: Tensor<3>, state: MembraneState) -> (Tensor<3>, MembraneState) {
        let (output, _, state) = self.scan(input, state, false);
        (output, state)
    }
}

impl Member for Membrane {
    fn begin(&self, batch: usize, device: &Device) -> LayerState {
        self.initial_state(batch, device).into()
    }

    fn run(&self, input: Tensor<3>, state: LayerState, asked: Asked) -> Ran {
        let (output, potential, state) = self.scan(input, own(state), asked.potential);
        let spikes = self.threshold.is_some().then(|| output.clone()).into_iter().collect();
        Ran { output, potential, support: None, spikes, state: state.into() }
    }

    fn advance(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState) {
        let (output, state) = self.step(input, own(state));
        (output, state.into())
    }

    fn bounded(self) -> Self {
        self.constrained()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The equations of the layer, for one unit.
    fn euler(config: &MembraneConfig, input: &[f32]) -> (Vec<f32>, f32) {
        let (mut v, mut current) = (if config.start_at_reset { config.reset_value } else { 0.0 }, 0.0);
        let outputs = input.iter().map(|input| {
            current = config.current_decay.map_or(0.0, |decay| decay * current) + config.gain * input;
            v = config.decay * v + (1.0 - config.decay) * config.leak + current;
            match config.threshold {
                None => v,
                Some(threshold) if v > threshold => {
                    v = config.reset_value;
                    1.0
                }
                Some(_) => 0.0,
            }
        });
        let outputs = outputs.collect();
        (outputs, v)
    }

    #[test]
    fn sequences_and_steps_follow_the_equations() {
        let device = Device::flex();
        let input: Vec<f32> = (0..40).map(|t| ((t * 7) % 11) as f32 / 4.0 - 0.5).collect();
        for number in 0..16 {
            let is = |bit: usize| number >> bit & 1 == 1;
            let config = MembraneConfig {
                decay: 0.75,
                gain: 0.3,
                leak: 0.2,
                threshold: is(0).then_some(1.0),
                reset_value: -0.4,
                current_decay: is(1).then_some(0.5),
                start_at_reset: is(2) && is(0),
                per_unit: is(3),
                ..Default::default()
            };
            let layer = config.init(1, &device);
            let (expected, v) = euler(&config, &input);
            let x = Tensor::<1>::from_floats(input.as_slice(), &device).reshape([40, 1, 1]);
            let (whole, state) = layer.sequence(x.clone(), layer.initial_state(1, &device));
            let (steps, after) = super::super::step_through(&layer, x, layer.initial_state(1, &device));
            for output in [whole, steps] {
                let found = output.into_data().try_to_vec::<f32>().unwrap();
                let close = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5);
                assert!(close, "{config:?} {found:?} {expected:?}");
            }
            for state in [state, after] {
                assert!((layer.potential(&state).into_scalar::<f32>() - v).abs() < 1e-5, "{config:?}");
            }
        }
    }
}
