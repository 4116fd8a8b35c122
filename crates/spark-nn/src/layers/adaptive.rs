//! Leaky units with an adaptive threshold.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use spark_core::Problems;
use spark_kernels::{Adaptation, Unit, UnitState};

use super::units::{
    Conventions, ScanState, Scanned, project, project_decay, project_threshold, scaled, scanned_layers,
    unit_config,
};

unit_config! {
    /// Configuration of [`Adaptive`].
    pub struct AdaptiveConfig {
        /// Decay factor β of the membrane per step, without unit, in `[0, 1]`.
        decay: f32 = 0.95,
        /// Decay factor ρ of the adaptation per step, without unit, in `[0, 1]`.
        adaptation_decay: f32 = 0.98,
        /// By how much κ a spike raises the threshold, without unit, at least 0.
        adaptation_strength: f32 = 0.1,
        /// Whether β is trained.
        learn_decay: bool = false,
        /// Whether ρ and κ are trained.
        learn_adaptation: bool = false,
        /// Whether the input is scaled by 1 − β.
        scale_input: bool = false,
    }
}

/// Leaky integrate-and-fire units whose threshold rises with every spike.
///
/// ```text
/// Θ[t] = θ + κ·A[t−1]
/// U[t] = β·V[t−1] + I[t]        (1 − β)·I[t] where the input is scaled
/// S[t] = 1 if U[t] > Θ[t] else 0
/// A[t] = ρ·A[t−1] + S[t]
/// ```
///
/// and resets as in [`Leaky`](super::Leaky), by the threshold that was crossed. Input and output are
/// `[batch, units]` per step and `[time, batch, units]` per sequence, which runs as one fused operation,
/// [`adaptive_scan`](spark_kernels::adaptive_scan).
///
/// Source: Bellec et al., *Long short-term memory and learning-to-learn in networks of spiking neurons* (2018).
///
/// # Examples
/// A constant input is answered by ever longer intervals:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{AdaptiveConfig, Temporal};
///
/// let device = Device::flex();
/// let config = AdaptiveConfig { adaptation_decay: 1.0, adaptation_strength: 0.5, ..Default::default() };
/// let layer = config.init(1, &device);
/// let input = Tensor::full([100, 1, 1], 0.5, &device);
/// let (spikes, _) = layer.sequence(input, layer.initial_state(1, &device));
/// let count = |from: usize, to: usize| spikes.clone().slice_dim(0, from..to).sum().into_scalar::<f32>();
/// assert!(count(0, 50) > count(50, 100));
/// ```
#[derive(Module, Debug)]
pub struct Adaptive {
    /// Decay factor β of the membrane, `[units]` or `[1]`.
    pub decay: Param<Tensor<1>>,
    /// Decay factor ρ of the adaptation, `[units]` or `[1]`.
    pub adaptation_decay: Param<Tensor<1>>,
    /// Strength κ of the adaptation, `[units]` or `[1]`.
    pub adaptation_strength: Param<Tensor<1>>,
    /// Threshold θ of a rested unit, `[units]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    units: usize,
    scale_input: bool,
    #[module(skip)]
    conventions: Conventions,
}

spark_core::state! {
    /// What units with an adaptive threshold remember.
    pub struct AdaptiveState {
        /// Membrane potential V after the latest step, `[batch, units]`, without unit.
        membrane: Tensor<2>,
        /// Adaptation A after the latest step, `[batch, units]`, without unit.
        adaptation: Tensor<2>,
    }
}

impl From<AdaptiveState> for UnitState {
    fn from(state: AdaptiveState) -> Self {
        Self { membrane: state.membrane, current: None, adaptation: Some(state.adaptation) }
    }
}

impl From<UnitState> for AdaptiveState {
    fn from(state: UnitState) -> Self {
        let adaptation = state.adaptation.unwrap_or_else(|| state.membrane.zeros_like());
        Self { membrane: state.membrane, adaptation }
    }
}

impl ScanState for AdaptiveState {
    fn at_rest(rest: f32, batch: usize, units: usize, device: &Device) -> Self {
        let plane = |value: f32| Tensor::full([batch, units], value, device);
        Self { membrane: plane(rest), adaptation: plane(0.0) }
    }
}

impl AdaptiveConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.unit_interval(format!("{path}.decay"), self.decay);
        problems.unit_interval(format!("{path}.adaptation_decay"), self.adaptation_decay);
        problems.non_negative(format!("{path}.adaptation_strength"), self.adaptation_strength);
        self.validate_unit(path, problems);
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize, device: &Device) -> Adaptive {
        let adaptation = |value: f32| self.parameter(value, self.learn_adaptation, units, device);
        Adaptive {
            decay: self.parameter(self.decay, self.learn_decay, units, device),
            adaptation_decay: adaptation(self.adaptation_decay),
            adaptation_strength: adaptation(self.adaptation_strength),
            threshold: self.parameter(self.threshold, self.learn_threshold, units, device),
            units,
            scale_input: self.scale_input,
            conventions: self.conventions(),
        }
    }
}

impl Adaptive {
    /// The layer with learned parameters moved back to where they make sense: decays into `[0, 1]`, θ above
    /// zero, κ to at least zero. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        Self {
            decay: project_decay(self.decay),
            adaptation_decay: project_decay(self.adaptation_decay),
            adaptation_strength: project(self.adaptation_strength, 0.0, f32::MAX),
            threshold: project_threshold(self.threshold),
            ..self
        }
    }
}

impl Scanned for Adaptive {
    type State = AdaptiveState;

    fn unit(&self) -> Unit {
        let adaptation =
            Adaptation { decay: self.adaptation_decay.val(), strength: self.adaptation_strength.val() };
        Unit {
            decay: self.decay.val(),
            threshold: Some(self.threshold.val()),
            current_decay: None,
            adaptation: Some(adaptation),
        }
    }

    fn conventions(&self) -> Conventions {
        self.conventions
    }

    fn count(&self) -> usize {
        self.units
    }

    fn drive<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if self.scale_input { scaled(input, -self.decay.val() + 1.0) } else { input }
    }
}

scanned_layers!(Adaptive => AdaptiveState);
