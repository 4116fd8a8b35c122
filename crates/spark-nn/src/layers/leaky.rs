//! Leaky integrate-and-fire units.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use spark_core::Problems;
use spark_kernels::{LeakySequence, Surrogate, Unit, UnitState};

use super::units::{
    Conventions, ScanState, Scanned, project_decay, project_threshold, run, scaled, scanned_layers,
    unit_config,
};

unit_config! {
    /// Configuration of [`Leaky`].
    pub struct LeakyConfig {
        /// Decay factor β of the membrane per step, without unit, in `[0, 1]`.
        decay: f32 = 0.95,
        /// Whether β is trained.
        learn_decay: bool = false,
        /// Whether the input is scaled by 1 − β, so that a constant input is what the membrane goes to:
        /// `decay_input` of SpikingJelly.
        scale_input: bool = false,
    }
}

/// A population of leaky integrate-and-fire units.
///
/// ```text
/// U[t] = β·V[t−1] + I[t]        membrane potential before the reset; (1 − β)·I[t] where the input is scaled
/// S[t] = 1 if U[t] > θ else 0   spike
/// V[t] = U[t] − θ·S[t]          reset by subtraction; (1 − S[t])·U[t] to zero; U[t] for none
/// ```
///
/// Input and output are `[batch, units]` per step and `[time, batch, units]` per sequence. The spikes
/// are exactly 0 or 1; gradients take the surrogate. A sequence runs as one fused operation,
/// [`leaky_scan`](spark_kernels::leaky_scan), which also documents the reset delayed by a step. Without a
/// reset these are the units that other libraries call parallel.
///
/// With a reset value `V_r` all potentials count from it: `U[t] = V_r + β·(V[t−1] − V_r) + I[t]`, a reset to
/// zero takes the membrane to `V_r`, and the first step starts there.
///
/// snnTorch departs from the equations when the reset is not delayed; with `snntorch_reset` so do these units,
/// without a fused operation:
///
/// ```text
/// R = H(V[t−1] − θ)    U[t] = β·V[t−1] + I[t] − θ·R    S[t] = H(U[t] − θ)    V[t] = U[t] − θ·(S[t] − R)
/// ```
///
/// Sources: Eshraghian et al., *Training spiking neural networks using lessons from deep learning* (2023);
/// Fang et al., *SpikingJelly* (2023), for the scaled input and the reset value.
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
    scale_input: bool,
    #[module(skip)]
    conventions: Conventions,
}

spark_core::state! {
    /// What units with a membrane alone remember.
    pub struct LeakyState {
        /// Membrane potential V after the latest step, `[batch, units]`, without unit.
        membrane: Tensor<2>,
    }
}

impl From<LeakyState> for UnitState {
    fn from(state: LeakyState) -> Self {
        Self { membrane: state.membrane, current: None, adaptation: None }
    }
}

impl From<UnitState> for LeakyState {
    fn from(state: UnitState) -> Self {
        Self { membrane: state.membrane }
    }
}

impl ScanState for LeakyState {
    fn at_rest(rest: f32, batch: usize, units: usize, device: &Device) -> Self {
        Self { membrane: Tensor::full([batch, units], rest, device) }
    }
}

impl LeakyConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.unit_interval(format!("{path}.decay"), self.decay);
        self.validate_unit(path, problems);
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize, device: &Device) -> Leaky {
        Leaky {
            decay: self.parameter(self.decay, self.learn_decay, units, device),
            threshold: self.parameter(self.threshold, self.learn_threshold, units, device),
            units,
            scale_input: self.scale_input,
            // snnTorch's Leaky leaves the input of a step out of its reset.
            conventions: Conventions { zero_whole: false, ..self.conventions() },
        }
    }
}

impl Leaky {
    /// Spikes, last membrane and, when asked for, the potential of a whole sequence.
    pub fn scan(&self, input: Tensor<3>, state: LeakyState, potential: bool) -> LeakySequence {
        let ran = run(self, input, state, potential);
        LeakySequence { spikes: ran.output, potential: ran.potential, membrane: ran.state.membrane }
    }

    /// The derivative that stands in for that of the threshold crossing.
    pub fn surrogate(&self) -> Surrogate {
        self.conventions.surrogate
    }

    /// With resets to zero as snnTorch has them in its recurrent units, where it is followed.
    pub(super) fn with_whole_reset(self, snntorch: bool) -> Self {
        Self { conventions: Conventions { zero_whole: snntorch, ..self.conventions }, ..self }
    }

    /// Number of units.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The layer with learned parameters moved back to where they make sense: β into `[0, 1]`, θ above
    /// zero. For use after an optimizer step; parameters that are not learned stay as they are.
    #[must_use]
    pub fn constrained(self) -> Self {
        Self { decay: project_decay(self.decay), threshold: project_threshold(self.threshold), ..self }
    }
}

impl Scanned for Leaky {
    type State = LeakyState;

    fn unit(&self) -> Unit {
        Unit {
            decay: self.decay.val(),
            threshold: Some(self.threshold.val()),
            current_decay: None,
            adaptation: None,
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

scanned_layers!(Leaky => LeakyState);

#[cfg(test)]
mod tests {
    use super::super::units::MIN_THRESHOLD;
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
