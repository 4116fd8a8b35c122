//! Leaky integrate-and-fire units.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_kernels::{LeakySequence, Reset, ScanOptions, Surrogate, leaky_scan, spike};

use super::Temporal;

/// The lowest threshold that training may reach.
const MIN_THRESHOLD: f32 = 1e-3;

/// Configuration of [`Leaky`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LeakyConfig {
    /// Decay factor β of the membrane per step, without unit, in `[0, 1]`.
    pub decay: f32,
    /// Threshold θ, without unit, above 0.
    pub threshold: f32,
    /// Whether β is trained.
    pub learn_decay: bool,
    /// Whether θ is trained.
    pub learn_threshold: bool,
    /// Whether each unit has a β and a θ of its own instead of sharing one.
    pub per_unit: bool,
    /// What a spike does to the membrane.
    pub reset: Reset,
    /// Whether the reset acts in the step after the spike instead of the same one.
    pub reset_delay: bool,
    /// Whether gradients pass through the reset too, instead of through the output spikes alone.
    pub reset_gradient: bool,
    /// The derivative that stands in for that of the threshold crossing.
    pub surrogate: Surrogate,
}

impl Default for LeakyConfig {
    fn default() -> Self {
        Self {
            decay: 0.95,
            threshold: 1.0,
            learn_decay: false,
            learn_threshold: false,
            per_unit: false,
            reset: Reset::Subtract,
            reset_delay: false,
            reset_gradient: false,
            surrogate: Surrogate::default(),
        }
    }
}

/// A population of leaky integrate-and-fire units.
///
/// ```text
/// U[t] = β·V[t−1] + I[t]        membrane potential before the reset
/// S[t] = 1 if U[t] > θ else 0   spike
/// V[t] = U[t] − θ·S[t]          reset by subtraction; (1 − S[t])·U[t] to zero; U[t] for none
/// ```
///
/// Input and output are `[batch, units]` per step and `[time, batch, units]` per sequence. The spikes
/// are exactly 0 or 1; gradients take the surrogate. A sequence runs as one fused operation,
/// [`leaky_scan`], which also documents the reset delayed by a step.
///
/// Source: Eshraghian et al., *Training spiking neural networks using lessons from deep learning* (2023).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{LeakyConfig, Temporal};
///
/// let device = Device::flex();
/// let layer = LeakyConfig { decay: 0.9, ..Default::default() }.init(3, &device);
/// let input = Tensor::full([25, 8, 3], 0.3, &device);
/// let (spikes, state) = layer.sequence(input, layer.initial_state(8, &device));
/// assert_eq!(spikes.dims(), [25, 8, 3]);
/// assert_eq!(state.membrane.dims(), [8, 3]);
/// ```
#[derive(Module, Debug)]
pub struct Leaky {
    /// Decay factor β, `[units]` or `[1]`.
    pub decay: Param<Tensor<1>>,
    /// Threshold θ, `[units]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    units: usize,
    #[module(skip)]
    options: ScanOptions,
}

/// What leaky units remember.
#[derive(Module, Debug)]
pub struct LeakyState {
    /// Membrane potential V after the latest step, `[batch, units]`, without unit.
    pub membrane: Tensor<2>,
}

impl LeakyConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.unit_interval(format!("{path}.decay"), self.decay);
        problems.positive(format!("{path}.threshold"), self.threshold);
        if let Err(error) = self.surrogate.validate() {
            let path = format!("{path}.surrogate.{}", error.field);
            problems.push(path, error.found, error.expected);
        }
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize, device: &Device) -> Leaky {
        let length = if self.per_unit { units } else { 1 };
        let parameter = |value: f32, learned: bool| {
            Param::from_data(TensorData::new(vec![value; length], [length]), device).set_require_grad(learned)
        };
        Leaky {
            decay: parameter(self.decay, self.learn_decay),
            threshold: parameter(self.threshold, self.learn_threshold),
            units,
            options: ScanOptions {
                reset: self.reset,
                reset_delay: self.reset_delay,
                reset_gradient: self.reset_gradient,
                surrogate: self.surrogate,
                ..Default::default()
            },
        }
    }
}

impl Leaky {
    /// Spikes, last membrane and, when asked for, the potential of a whole sequence, as one fused operation.
    pub fn scan(&self, input: Tensor<3>, state: LeakyState, potential: bool) -> LeakySequence {
        let options = ScanOptions { potential, ..self.options };
        leaky_scan(input, state.membrane, self.decay.val(), self.threshold.val(), options)
    }

    /// The derivative that stands in for that of the threshold crossing.
    pub fn surrogate(&self) -> Surrogate {
        self.options.surrogate
    }

    /// Number of units.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The layer with learned parameters moved back to where they make sense: β into `[0, 1]`, θ above
    /// zero. For use after an optimizer step; parameters that are not learned stay as they are.
    #[must_use]
    pub fn constrained(self) -> Self {
        let project = |param: Param<Tensor<1>>, low: f32, high: f32| {
            param.map(|tensor| {
                if !tensor.is_require_grad() {
                    return tensor;
                }
                Tensor::from_inner(tensor.inner().clamp(low, high)).require_grad()
            })
        };
        Self {
            decay: project(self.decay, 0.0, 1.0),
            threshold: project(self.threshold, MIN_THRESHOLD, f32::MAX),
            ..self
        }
    }

    /// Spikes as a reset sees them: with or without their gradient.
    fn through_reset(&self, spikes: Tensor<2>) -> Tensor<2> {
        if self.options.reset_gradient { spikes } else { spikes.detach() }
    }

    fn reset(&self, potential: Tensor<2>, spikes: Tensor<2>, threshold: Tensor<2>) -> Tensor<2> {
        let spikes = self.through_reset(spikes);
        match self.options.reset {
            Reset::Subtract => potential - spikes * threshold,
            Reset::Zero => potential * (-spikes + 1.0),
            Reset::None => potential,
        }
    }
}

impl Temporal for Leaky {
    type State = LeakyState;

    fn initial_state(&self, batch: usize, device: &Device) -> LeakyState {
        LeakyState { membrane: Tensor::zeros([batch, self.units], device) }
    }

    fn step(&self, input: Tensor<2>, state: LeakyState) -> (Tensor<2>, LeakyState) {
        let crossing = |x: Tensor<2>| spike(x, self.options.surrogate);
        let threshold = self.threshold.val().unsqueeze::<2>();
        let before = state.membrane;
        let decay = self.decay.val().unsqueeze::<2>();
        let potential = if self.options.reset_delay {
            let spikes = self.through_reset(crossing(before.clone() - threshold.clone()));
            match self.options.reset {
                Reset::Subtract => before * decay + input - spikes * threshold.clone(),
                Reset::Zero => before * (-spikes + 1.0) * decay + input,
                Reset::None => before * decay + input,
            }
        } else {
            before * decay + input
        };
        let spikes = crossing(potential.clone() - threshold.clone());
        let membrane = if self.options.reset_delay {
            potential
        } else {
            self.reset(potential, spikes.clone(), threshold)
        };
        (spikes, LeakyState { membrane })
    }

    fn sequence(&self, input: Tensor<3>, state: LeakyState) -> (Tensor<3>, LeakyState) {
        let out = self.scan(input, state, false);
        (out.spikes, LeakyState { membrane: out.membrane })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learned_parameters_are_moved_back_and_fixed_ones_are_not() {
        let device = Device::flex().autodiff();
        let config = |learned: bool| LeakyConfig {
            decay: 1.5,
            threshold: -2.0,
            learn_decay: learned,
            learn_threshold: learned,
            ..Default::default()
        };
        let values = |layer: &Leaky| {
            let value = |param: &Param<Tensor<1>>| param.val().into_scalar::<f32>();
            (value(&layer.decay), value(&layer.threshold))
        };
        let learned = config(true).init(3, &device).constrained();
        assert_eq!(values(&learned), (1.0, MIN_THRESHOLD));
        assert!(learned.decay.val().is_require_grad() && learned.threshold.val().is_require_grad());
        assert_eq!(values(&config(false).init(3, &device).constrained()), (1.5, -2.0));
    }
}
