//! Exponential integrate-and-fire.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::build::Builder;
use spark_core::component::{Alias, ComponentConfig, Context, Defect, Family, Preset};
use spark_core::ports::InputShapes;
use spark_kernels::SomaModel;

use super::mechanisms::{soma_components, soma_config};
use super::{Coupled, Membrane, Soma};

soma_config! {
    /// Exponential integrate-and-fire units.
    plain ExponentialSomaConfig;
    /// Exponential integrate-and-fire units with refractoriness and adaptation.
    adaptive AdaptiveExponentialSomaConfig;
    dt = 1.0;
    fields {
        /// Resting potential.
        #[schemars(extend("unit" = "mV"))]
        potential_rest = -70.0,
        /// Potential after a spike.
        #[schemars(extend("unit" = "mV"))]
        potential_reset = -51.0,
        /// Membrane time constant.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        potential_tau = 5.0,
        /// Membrane resistance.
        #[schemars(extend("unit" = "GΩ"))]
        resistance = 0.5,
        /// Potential above which a spike is counted and the upstroke cut off.
        #[schemars(extend("unit" = "mV"))]
        threshold = -30.0,
        /// Potential from which the exponential current overcomes the leak.
        #[schemars(extend("unit" = "mV"))]
        rheobase_threshold = -50.0,
        /// Sharpness of the upstroke: the smaller, the more sudden.
        #[schemars(extend("unit" = "mV", "range" = "positive"))]
        spike_slope = 2.0,
    }
    options {}
}

/// Exponential integrate-and-fire units with refractoriness, adaptation and a current that others write.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct CoupledAdaptiveExponentialSomaConfig(pub AdaptiveExponentialSomaConfig);

/// A leaky membrane with an exponential upstroke, by forward Euler:
///
/// ```text
/// V ← V + dt/τ·(−V + Δ·exp((V − V_rh)/Δ) + R·I)
/// ```
///
/// `V` counts from the resting potential, and so does the rheobase threshold `V_rh`. The upstroke is steep:
/// a step well below `τ` follows it; with a longer one only the time of the spike, not its shape, means
/// something.
///
/// Source: Fourcaud-Trocmé, Hansel, van Vreeswijk & Brunel, *How spike generation mechanisms determine the
/// neuronal response to fluctuating inputs* (2003).
#[derive(Module, Debug)]
pub struct ExponentialMembrane {
    /// Resting potential in mV, `[units]` or `[1]`.
    pub rest: Param<Tensor<1>>,
    /// Potential after a spike in mV, `[units]` or `[1]`.
    pub reset: Param<Tensor<1>>,
    /// Time constant in ms, `[units]` or `[1]`.
    pub tau: Param<Tensor<1>>,
    /// Resistance in GΩ, `[units]` or `[1]`.
    pub resistance: Param<Tensor<1>>,
    /// Threshold in mV, `[units]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    /// Rheobase threshold in mV, `[units]` or `[1]`.
    pub rheobase: Param<Tensor<1>>,
    /// Sharpness of the upstroke in mV, `[units]` or `[1]`.
    pub slope: Param<Tensor<1>>,
}

impl Membrane for ExponentialMembrane {
    fn model(&self, dt: f32) -> SomaModel<Tensor<1>> {
        SomaModel::Exponential {
            rate: self.tau.val().recip() * dt,
            resistance: self.resistance.val(),
            rheobase: self.rheobase.val() - self.rest.val(),
            slope: self.slope.val(),
        }
    }

    fn limits(&self) -> [Tensor<1>; 2] {
        [&self.reset, &self.threshold].map(|limit| limit.val() - self.rest.val())
    }

    fn rest(&self) -> Tensor<1> {
        self.rest.val().zeros_like()
    }
}

/// Exponential integrate-and-fire units; their potential counts from the resting potential.
///
/// # Examples
/// A current above the rheobase `(V_rh − V_rest − Δ)/R` makes them spike, one below does not:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Currents, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::somas::{ExponentialSomaConfig, SomaInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("current", Shape::new(PayloadKind::Currents, &[2]));
/// let config = ExponentialSomaConfig { dt: 0.1, ..Default::default() };
/// let mut soma = config.run(&wired, 1, &Context::new("soma", &device))?;
/// let current = Currents(Tensor::from_floats([[35.0, 37.0]], &device));
/// let mut counts = Tensor::zeros([1, 2], &device);
/// for _ in 0..1000 {
///     let out = soma.advance(SomaInputs { current: current.clone(), inhibition_mask: None });
///     counts = counts + out.spikes.units().unwrap();
/// }
/// let counts = counts.into_data().try_to_vec::<f32>().unwrap();
/// assert!(counts[0] == 0.0 && counts[1] > 0.0);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
pub type ExponentialSoma = Soma<ExponentialMembrane>;

/// Exponential integrate-and-fire units with refractoriness and adaptation; with an adaptation current this
/// is the AdEx model.
pub type AdaptiveExponentialSoma = Soma<ExponentialMembrane>;

/// Adaptive exponential units with a current that others write.
pub type CoupledAdaptiveExponentialSoma = Coupled<ExponentialMembrane>;

impl ExponentialSomaConfig {
    fn membrane(&self, builder: &Builder<'_>, units: &[usize]) -> Result<ExponentialMembrane, Defect> {
        Ok(ExponentialMembrane {
            rest: builder.units("potential_rest", &self.potential_rest, units)?,
            reset: builder.units("potential_reset", &self.potential_reset, units)?,
            tau: builder.units("potential_tau", &self.potential_tau, units)?,
            resistance: builder.units("resistance", &self.resistance, units)?,
            threshold: builder.units("threshold", &self.threshold, units)?,
            rheobase: builder.units("rheobase_threshold", &self.rheobase_threshold, units)?,
            slope: builder.units("spike_slope", &self.spike_slope, units)?,
        })
    }
}

const EQUATION: &str = "V ← V + dt/τ·(−V + Δ·exp((V − V_rh)/Δ) + R·I); S = V > θ; V ← V_reset after a spike";
const ADAPTATION: &str = "Brette & Gerstner, Adaptive exponential integrate-and-fire model (2005)";

soma_components! {
    ExponentialMembrane;
    ExponentialSomaConfig {
        const NAME: &'static str = "ExponentialSoma";
        const SUMMARY: &'static str = "Exponential integrate-and-fire units";
        const EQUATION: &'static str = EQUATION;
        const SOURCE: &'static str = "Fourcaud-Trocmé, Hansel, van Vreeswijk & Brunel, How spike generation \
                                      mechanisms determine the neuronal response to fluctuating inputs (2003)";
    }
    AdaptiveExponentialSomaConfig {
        const NAME: &'static str = "AdaptiveExponentialSoma";
        const ALIASES: &'static [Alias] = &[
            Alias { fields: &[("cooldown", Preset::Number(2.0))], ..Alias::new("RefractoryExponentialSoma") },
            Alias {
                fields: &[("cooldown", Preset::Number(2.0)), ("adaptation_subthreshold", Preset::Number(0.0))],
                ..Alias::new("SimplifiedAdaptiveExponentialSoma")
            },
        ];
        const SUMMARY: &'static str = "Exponential integrate-and-fire units with refractoriness and adaptation";
        const EQUATION: &'static str = EQUATION;
        const SOURCE: &'static str = ADAPTATION;
    }
}

impl ComponentConfig for CoupledAdaptiveExponentialSomaConfig {
    const NAME: &'static str = "CoupledAdaptiveExponentialSoma";
    const FAMILY: Family = Family::Soma;
    const SUMMARY: &'static str = "Adaptive exponential units with a current that others write";
    const EQUATION: &'static str =
        "V ← V + dt/τ·(−V + Δ·exp((V − V_rh)/Δ) + R·(I + I_C)); otherwise as AdaptiveExponentialSoma";
    const SOURCE: &'static str = ADAPTATION;

    type Component = CoupledAdaptiveExponentialSoma;

    fn build(
        &self,
        inputs: &InputShapes,
        context: &Context,
    ) -> Result<CoupledAdaptiveExponentialSoma, Defect> {
        Ok(Coupled { soma: self.0.build(inputs, context)? })
    }
}

spark_core::register!(CoupledAdaptiveExponentialSomaConfig);
