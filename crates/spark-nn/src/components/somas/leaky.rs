//! Leaky integrate-and-fire.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::build::{Builder, decay, rate};
use spark_core::component::{Alias, ComponentConfig, Context, Defect, Family, Preset};
use spark_core::ports::InputShapes;
use spark_kernels::SomaModel;

use super::mechanisms::{soma_components, soma_config};
use super::{Coupled, Membrane, Soma};

soma_config! {
    /// Leaky integrate-and-fire units.
    plain LeakySomaConfig;
    /// Leaky integrate-and-fire units with refractoriness and adaptation.
    adaptive AdaptiveLeakySomaConfig;
    dt = 1.0;
    fields {
        /// Resting potential.
        #[schemars(extend("unit" = "mV"))]
        potential_rest = -60.0,
        /// Potential after a spike.
        #[schemars(extend("unit" = "mV"))]
        potential_reset = -50.0,
        /// Membrane time constant.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        potential_tau = 20.0,
        /// Membrane resistance.
        #[schemars(extend("unit" = "GΩ"))]
        resistance = 0.1,
        /// Threshold.
        #[schemars(extend("unit" = "mV"))]
        threshold = -40.0,
    }
    options {}
}

/// Leaky integrate-and-fire units with a current that others write.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct CoupledLeakySomaConfig(pub LeakySomaConfig);

/// A leaky membrane, exact for a current that is constant during a step:
///
/// ```text
/// V ← α·V + (1 − α)·R·I        α = exp(−dt/τ)
/// ```
///
/// `V` counts from the resting potential. Source: Gerstner, Kistler, Naud & Paninski, *Neuronal Dynamics*
/// (2014), chapter 1.3.
#[derive(Module, Debug)]
pub struct LeakyMembrane {
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
}

impl Membrane for LeakyMembrane {
    fn model(&self, dt: f32) -> SomaModel<Tensor<1>> {
        let tau = self.tau.val();
        SomaModel::Leaky { decay: decay(dt, tau.clone()), gain: rate(dt, tau) * self.resistance.val() }
    }

    fn limits(&self) -> [Tensor<1>; 2] {
        [&self.reset, &self.threshold].map(|limit| limit.val() - self.rest.val())
    }

    fn rest(&self) -> Tensor<1> {
        self.rest.val().zeros_like()
    }
}

/// Leaky integrate-and-fire units.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Currents, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::somas::{LeakySomaConfig, SomaInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("current", Shape::new(PayloadKind::Currents, &[3]));
/// let config = LeakySomaConfig { potential_tau: 10.0.into(), ..Default::default() };
/// let mut soma = config.run(&wired, 1, &Context::new("soma", &device))?;
/// let current = Currents(Tensor::full([1, 3], 300.0, &device));
/// let spikes: f32 = (0..100)
///     .map(|_| soma.advance(SomaInputs { current: current.clone(), inhibition_mask: None }))
///     .map(|out| out.spikes.units().unwrap().sum().into_scalar::<f32>())
///     .sum();
/// assert!(spikes > 0.0);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
pub type LeakySoma = Soma<LeakyMembrane>;

/// Leaky integrate-and-fire units with refractoriness and adaptation.
pub type AdaptiveLeakySoma = Soma<LeakyMembrane>;

/// Leaky integrate-and-fire units with a current that others write.
pub type CoupledLeakySoma = Coupled<LeakyMembrane>;

impl LeakySomaConfig {
    fn membrane(&self, builder: &Builder<'_>, units: &[usize]) -> Result<LeakyMembrane, Defect> {
        Ok(LeakyMembrane {
            rest: builder.units("potential_rest", &self.potential_rest, units)?,
            reset: builder.units("potential_reset", &self.potential_reset, units)?,
            tau: builder.units("potential_tau", &self.potential_tau, units)?,
            resistance: builder.units("resistance", &self.resistance, units)?,
            threshold: builder.units("threshold", &self.threshold, units)?,
        })
    }
}

const EQUATION: &str = "V ← αV + (1 − α)·R·I, α = exp(−dt/τ); S = V > θ; V ← V_reset after a spike";
const SOURCE: &str = "Gerstner, Kistler, Naud & Paninski, Neuronal Dynamics (2014), chapter 1.3";

soma_components! {
    LeakyMembrane;
    LeakySomaConfig {
        const NAME: &'static str = "LeakySoma";
        const SUMMARY: &'static str = "Leaky integrate-and-fire units";
        const EQUATION: &'static str = EQUATION;
        const SOURCE: &'static str = SOURCE;
    }
    AdaptiveLeakySomaConfig {
        const NAME: &'static str = "AdaptiveLeakySoma";
        const ALIASES: &'static [Alias] = &[
            Alias { fields: &[("cooldown", Preset::Number(2.0))], ..Alias::new("RefractoryLeakySoma") },
            Alias {
                fields: &[("cooldown", Preset::Number(2.0)), ("clamp_duration", Preset::SameAs("cooldown"))],
                ..Alias::new("StrictRefractoryLeakySoma")
            },
        ];
        const SUMMARY: &'static str = "Leaky integrate-and-fire units with refractoriness and adaptation";
        const EQUATION: &'static str = EQUATION;
        const SOURCE: &'static str = SOURCE;
    }
}

impl ComponentConfig for CoupledLeakySomaConfig {
    const NAME: &'static str = "CoupledLeakySoma";
    const FAMILY: Family = Family::Soma;
    const SUMMARY: &'static str = "Leaky integrate-and-fire units with a current that others write";
    const EQUATION: &'static str = "V ← αV + (1 − α)·R·(I + I_C); otherwise as LeakySoma";
    const SOURCE: &'static str = SOURCE;

    type Component = CoupledLeakySoma;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<CoupledLeakySoma, Defect> {
        Ok(Coupled { soma: self.0.build(inputs, context)? })
    }
}

spark_core::register!(CoupledLeakySomaConfig);
