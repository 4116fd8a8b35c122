//! Leaky units that learn their time constant.

use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use spark_core::Problems;
use spark_kernels::Unit;

use super::LeakyState;
use super::units::{Conventions, Scanned, project_threshold, scaled, scanned_layers, unit_config};

unit_config! {
    /// Configuration of [`Parametric`].
    pub struct ParametricConfig {
        /// Time constant τ that training starts from, in steps, above 1.
        tau: f32 = 2.0,
        /// Whether the input is scaled by 1/τ too.
        scale_input: bool = true,
    }
}

/// Parametric leaky integrate-and-fire units: their time constant is learned as a number without bounds.
///
/// ```text
/// 1/τ = sigmoid(w)
/// U[t] = V[t−1] + (I[t] − V[t−1])/τ      V[t−1]·(1 − 1/τ) + I[t] where the input is not scaled
/// S[t] = 1 if U[t] > θ else 0
/// ```
///
/// and resets as in [`Leaky`](super::Leaky). Input and output are `[batch, units]` per step and
/// `[time, batch, units]` per sequence, which runs as one fused operation.
///
/// Source: Fang et al., *Incorporating learnable membrane time constant to enhance learning of spiking neural
/// networks* (2021).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{ParametricConfig, Temporal};
///
/// let device = Device::flex();
/// let layer = ParametricConfig { tau: 4.0, ..Default::default() }.like_spikingjelly().init(1, &device);
/// let (_, state) = layer.step(Tensor::full([1, 1], 2.0, &device), layer.initial_state(1, &device));
/// assert!((state.membrane.into_scalar::<f32>() - 0.5).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct Parametric {
    /// The number w whose sigmoid is 1/τ, `[units]` or `[1]`.
    pub w: Param<Tensor<1>>,
    /// Threshold θ, `[units]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    units: usize,
    scale_input: bool,
    #[module(skip)]
    conventions: Conventions,
}

impl ParametricConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        if !(self.tau > 1.0 && self.tau.is_finite()) {
            problems.push(format!("{path}.tau"), self.tau, "a number above 1");
        }
        self.validate_unit(path, problems);
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize, device: &Device) -> Parametric {
        Parametric {
            w: self.parameter(-(self.tau - 1.0).ln(), true, units, device),
            threshold: self.parameter(self.threshold, self.learn_threshold, units, device),
            units,
            scale_input: self.scale_input,
            conventions: self.conventions(),
        }
    }
}

impl Parametric {
    /// The layer with a learned threshold moved back above zero; every w makes sense. For use after an
    /// optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        Self { threshold: project_threshold(self.threshold), ..self }
    }
}

impl Scanned for Parametric {
    type State = LeakyState;

    fn unit(&self) -> Unit {
        Unit {
            decay: -sigmoid(self.w.val()) + 1.0,
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
        if self.scale_input { scaled(input, sigmoid(self.w.val())) } else { input }
    }
}

scanned_layers!(Parametric => LeakyState);
