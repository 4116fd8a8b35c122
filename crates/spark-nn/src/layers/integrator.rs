//! Leaky integrators that never spike.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_kernels::{Reset, Surrogate, Unit};

use super::LeakyState;
use super::units::{Conventions, Scanned, parameter, project_decay, scaled, scanned_layers};

/// Configuration of [`LeakyIntegrator`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LeakyIntegratorConfig {
    /// Decay factor β of the membrane per step, without unit, in `[0, 1]`.
    pub decay: f32,
    /// Whether β is trained.
    pub learn_decay: bool,
    /// Whether each unit has a β of its own instead of sharing one.
    pub per_unit: bool,
    /// Whether the input is scaled by 1 − β, so that a constant input is what the membrane goes to.
    pub scale_input: bool,
}

impl Default for LeakyIntegratorConfig {
    fn default() -> Self {
        Self { decay: 0.95, learn_decay: false, per_unit: false, scale_input: false }
    }
}

/// Leaky integrators, the readout of a network: what they give is their membrane.
///
/// ```text
/// V[t] = β·V[t−1] + I[t]        (1 − β)·I[t] where the input is scaled
/// ```
///
/// Input and output are `[batch, units]` per step and `[time, batch, units]` per sequence, which runs as one
/// fused operation, [`integrator_scan`](spark_kernels::integrator_scan).
///
/// Source: Neftci, Mostafa & Zenke, *Surrogate gradient learning in spiking neural networks* (2019), section
/// "Supervised learning example".
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{LeakyIntegratorConfig, Temporal};
///
/// let device = Device::flex();
/// let layer = LeakyIntegratorConfig { decay: 0.5, ..Default::default() }.init(1, &device);
/// let input = Tensor::<3>::from_floats([[[1.0]], [[1.0]], [[0.0]]], &device);
/// let (membrane, _) = layer.sequence(input, layer.initial_state(1, &device));
/// assert_eq!(membrane.into_data().try_to_vec::<f32>().unwrap(), [1.0, 1.5, 0.75]);
/// ```
#[derive(Module, Debug)]
pub struct LeakyIntegrator {
    /// Decay factor β, `[units]` or `[1]`.
    pub decay: Param<Tensor<1>>,
    units: usize,
    scale_input: bool,
}

impl LeakyIntegratorConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.unit_interval(format!("{path}.decay"), self.decay);
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize, device: &Device) -> LeakyIntegrator {
        let length = if self.per_unit { units } else { 1 };
        LeakyIntegrator {
            decay: parameter(self.decay, self.learn_decay, length, device),
            units,
            scale_input: self.scale_input,
        }
    }
}

impl LeakyIntegrator {
    /// The layer with a learned decay moved back into `[0, 1]`. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        Self { decay: project_decay(self.decay), ..self }
    }
}

impl Scanned for LeakyIntegrator {
    type State = LeakyState;

    fn unit(&self) -> Unit {
        Unit { decay: self.decay.val(), threshold: None, current_decay: None, adaptation: None }
    }

    fn conventions(&self) -> Conventions {
        Conventions {
            reset: Reset::None,
            reset_delay: false,
            reset_gradient: false,
            reset_value: 0.0,
            spike_at_threshold: false,
            surrogate: Surrogate::default(),
            current_delay: false,
            given_back: false,
            zero_whole: false,
            window: None,
        }
    }

    fn count(&self) -> usize {
        self.units
    }

    fn drive<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if self.scale_input { scaled(input, -self.decay.val() + 1.0) } else { input }
    }
}

scanned_layers!(LeakyIntegrator => LeakyState);
