//! Integrate-and-fire units as a resistor and a capacitor.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use spark_core::Problems;
use spark_kernels::Unit;

use super::units::{Conventions, Scanned, project, project_threshold, scaled, scanned_layers, unit_config};
use super::{LeakyState, units::MIN_THRESHOLD};

unit_config! {
    /// Configuration of [`Lapicque`].
    pub struct LapicqueConfig {
        /// Resistance R of the membrane, above 0; its unit makes that of `R·C` the one of a step.
        resistance: f32 = 1.0,
        /// Capacitance C of the membrane, above 0.
        capacitance: f32 = 5.0,
        /// Duration Δ of a step, above 0 and at most `R·C`.
        dt: f32 = 1.0,
        /// Whether R is trained.
        learn_resistance: bool = false,
        /// Whether C is trained.
        learn_capacitance: bool = false,
    }
}

/// Leaky integrate-and-fire units with a resistance and a capacitance, by forward Euler.
///
/// ```text
/// U[t] = (1 − Δ/(R·C))·V[t−1] + Δ/C·I[t]
/// S[t] = 1 if U[t] > θ else 0
/// ```
///
/// and resets as in [`Leaky`](super::Leaky). Input and output are `[batch, units]` per step and
/// `[time, batch, units]` per sequence, which runs as one fused operation. With `snntorch_reset` a reset to
/// zero takes the input of its own step along, as snnTorch does here; that has no fused operation.
///
/// Source: Lapicque, *Recherches quantitatives sur l'excitation électrique des nerfs traitée comme une
/// polarisation* (1907).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{LapicqueConfig, Temporal};
///
/// let device = Device::flex();
/// let layer = LapicqueConfig::with_decay(0.9).init(1, &device);
/// // One step of a current of 5 through a capacitance of 10.
/// let (_, state) = layer.step(Tensor::full([1, 1], 5.0, &device), layer.initial_state(1, &device));
/// assert!((state.membrane.into_scalar::<f32>() - 0.5).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct Lapicque {
    /// Resistance R, `[units]` or `[1]`.
    pub resistance: Param<Tensor<1>>,
    /// Capacitance C, `[units]` or `[1]`.
    pub capacitance: Param<Tensor<1>>,
    /// Threshold θ, `[units]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    dt: f32,
    units: usize,
    #[module(skip)]
    conventions: Conventions,
}

impl LapicqueConfig {
    /// Units of resistance 1 whose membrane decays by the factor `decay` per step, below 1.
    pub fn with_decay(decay: f32) -> Self {
        Self { capacitance: 1.0 / (1.0 - decay), ..Default::default() }
    }

    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.positive(format!("{path}.resistance"), self.resistance);
        problems.positive(format!("{path}.capacitance"), self.capacitance);
        problems.positive(format!("{path}.dt"), self.dt);
        if self.dt > self.resistance * self.capacitance {
            problems.push(format!("{path}.dt"), self.dt, "at most resistance times capacitance");
        }
        self.validate_unit(path, problems);
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize, device: &Device) -> Lapicque {
        Lapicque {
            resistance: self.parameter(self.resistance, self.learn_resistance, units, device),
            capacitance: self.parameter(self.capacitance, self.learn_capacitance, units, device),
            threshold: self.parameter(self.threshold, self.learn_threshold, units, device),
            dt: self.dt,
            units,
            conventions: self.conventions(),
        }
    }
}

impl Lapicque {
    /// The layer with learned parameters moved back above zero. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        let positive = |param| project(param, MIN_THRESHOLD, f32::MAX);
        Self {
            resistance: positive(self.resistance),
            capacitance: positive(self.capacitance),
            threshold: project_threshold(self.threshold),
            ..self
        }
    }
}

impl Scanned for Lapicque {
    type State = LeakyState;

    fn unit(&self) -> Unit {
        let decay = -(self.resistance.val() * self.capacitance.val()).recip() * self.dt + 1.0;
        Unit { decay, threshold: Some(self.threshold.val()), current_decay: None, adaptation: None }
    }

    fn conventions(&self) -> Conventions {
        self.conventions
    }

    fn count(&self) -> usize {
        self.units
    }

    fn drive<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        scaled(input, self.capacitance.val().recip() * self.dt)
    }
}

scanned_layers!(Lapicque => LeakyState);
