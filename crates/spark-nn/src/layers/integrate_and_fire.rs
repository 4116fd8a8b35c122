//! Integrate-and-fire units without leak.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use spark_core::Problems;
use spark_kernels::Unit;

use super::LeakyState;
use super::units::{Conventions, Scanned, project_threshold, scanned_layers, unit_config};

unit_config! {
    /// Configuration of [`IntegrateAndFire`].
    pub struct IntegrateAndFireConfig {}
}

/// Integrate-and-fire units: the membrane keeps all that came in since its last reset.
///
/// ```text
/// U[t] = V[t−1] + I[t]
/// S[t] = 1 if U[t] > θ else 0
/// ```
///
/// and resets as in [`Leaky`](super::Leaky). Input and output are `[batch, units]` per step and
/// `[time, batch, units]` per sequence, which runs as one fused operation. With reset by subtraction the firing
/// rate of a unit is its mean input over the threshold, as far as that lies between 0 and 1: the unit into
/// which trained rectified ones are converted.
///
/// Source: Gerstner, Kistler, Naud & Paninski, *Neuronal Dynamics* (2014), chapter 1.3, without leak.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{IntegrateAndFireConfig, Temporal};
///
/// let device = Device::flex();
/// let layer = IntegrateAndFireConfig::default().init(1, &device);
/// let input = Tensor::full([100, 1, 1], 0.25, &device);
/// let (spikes, _) = layer.sequence(input, layer.initial_state(1, &device));
/// let rate: f32 = spikes.mean().into_scalar();
/// assert!((rate - 0.25).abs() < 0.02);
/// ```
#[derive(Module, Debug)]
pub struct IntegrateAndFire {
    /// Threshold θ, `[units]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    units: usize,
    #[module(skip)]
    conventions: Conventions,
}

impl IntegrateAndFireConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        self.validate_unit(path, problems);
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize, device: &Device) -> IntegrateAndFire {
        IntegrateAndFire {
            threshold: self.parameter(self.threshold, self.learn_threshold, units, device),
            units,
            conventions: self.conventions(),
        }
    }
}

impl IntegrateAndFire {
    /// The layer with a learned threshold moved back above zero. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        Self { threshold: project_threshold(self.threshold), ..self }
    }
}

impl Scanned for IntegrateAndFire {
    type State = LeakyState;

    fn unit(&self) -> Unit {
        let threshold = self.threshold.val();
        let decay = Tensor::ones([1], &threshold.device());
        Unit { decay, threshold: Some(threshold), current_decay: None, adaptation: None }
    }

    fn conventions(&self) -> Conventions {
        self.conventions
    }

    fn count(&self) -> usize {
        self.units
    }
}

scanned_layers!(IntegrateAndFire => LeakyState);
