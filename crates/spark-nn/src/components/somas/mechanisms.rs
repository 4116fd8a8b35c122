//! What adapts units, whatever their model: each mechanism is off, and costs nothing, until its trigger is set.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::{Builder, rate};
use spark_core::component::Defect;
use spark_kernels as kernels;

/// The mechanisms of units and their parameters.
///
/// ```text
/// ready = n ≥ cooldown                    refractoriness: gates the input current and vetoes spikes
/// V     = V_reset while n < clamp         clamp
/// n     ← 0 after a spike, else n + dt
/// θ_eff = θ + o;  o ← o·exp(−dt/τ_θ) + δ·S    adaptive threshold
/// I_eff = I − w;  w ← w + dt/τ_w·(−w + a·V) + b·S    adaptation current
/// ```
///
/// Source: Brette & Gerstner (2005) for the adaptation current.
#[derive(Module, Debug, Default)]
pub struct Mechanisms {
    /// Refractory period in steps, `[units]` or `[1]`.
    pub cooldown: Option<Param<Tensor<1>>>,
    /// How long a spike clamps the potential, in steps, `[units]` or `[1]`.
    pub clamp: Option<Param<Tensor<1>>>,
    /// An adaptive part of the threshold.
    pub threshold: Option<ThresholdAdaptation>,
    /// An adaptation current.
    pub current: Option<AdaptationCurrent>,
}

/// A threshold that rises with every spike and falls back.
#[derive(Module, Debug)]
pub struct ThresholdAdaptation {
    /// What a spike adds in mV, `[units]` or `[1]`.
    pub delta: Param<Tensor<1>>,
    /// Time constant of the decay in ms, `[units]` or `[1]`.
    pub tau: Param<Tensor<1>>,
}

/// A current that grows with potential and spikes and opposes the input.
#[derive(Module, Debug)]
pub struct AdaptationCurrent {
    /// What a spike adds in pA, `[units]` or `[1]`.
    pub delta: Param<Tensor<1>>,
    /// Time constant in ms, `[units]` or `[1]`.
    pub tau: Param<Tensor<1>>,
    /// Coupling to the potential in nS, `[units]` or `[1]`.
    pub subthreshold: Param<Tensor<1>>,
}

/// The fields of a configuration that belong to the mechanisms.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // The fields of `adaptive_config!`, which documents them.
pub struct Adaptation<'a> {
    pub cooldown: Option<&'a Parameter>,
    pub clamp_duration: Option<&'a Parameter>,
    pub threshold_delta: Option<&'a Parameter>,
    pub threshold_tau: &'a Parameter,
    pub adaptation_delta: Option<&'a Parameter>,
    pub adaptation_tau: &'a Parameter,
    pub adaptation_subthreshold: &'a Parameter,
}

impl Adaptation<'_> {
    /// The mechanisms that are on.
    ///
    /// # Errors
    /// When an array does not broadcast to the units.
    pub fn build(&self, builder: &Builder<'_>, units: &[usize], dt: f32) -> Result<Mechanisms, Defect> {
        let steps = |name: &str, duration: Option<&Parameter>| -> Result<_, Defect> {
            let duration = builder.optional(name, duration, units)?;
            Ok(duration.map(|param| param.map(|duration| (duration / dt).round())))
        };
        let threshold = match self.threshold_delta {
            Some(delta) => Some(ThresholdAdaptation {
                delta: builder.units("threshold_delta", delta, units)?,
                tau: builder.units("threshold_tau", self.threshold_tau, units)?,
            }),
            None => None,
        };
        let current = match self.adaptation_delta {
            Some(delta) => Some(AdaptationCurrent {
                delta: builder.units("adaptation_delta", delta, units)?,
                tau: builder.units("adaptation_tau", self.adaptation_tau, units)?,
                subthreshold: builder.units(
                    "adaptation_subthreshold",
                    self.adaptation_subthreshold,
                    units,
                )?,
            }),
            None => None,
        };
        Ok(Mechanisms {
            cooldown: steps("cooldown", self.cooldown)?,
            clamp: steps("clamp_duration", self.clamp_duration)?,
            threshold,
            current,
        })
    }
}

impl ThresholdAdaptation {
    pub(super) fn plan(&self, dt: f32) -> kernels::AdaptiveThreshold<Tensor<1>> {
        kernels::AdaptiveThreshold { rate: rate(dt, self.tau.val()), delta: self.delta.val() }
    }
}

impl AdaptationCurrent {
    pub(super) fn plan(&self, dt: f32) -> kernels::AdaptationCurrent<Tensor<1>> {
        kernels::AdaptationCurrent {
            rate: self.tau.val().recip() * dt,
            subthreshold: self.subthreshold.val(),
            delta: self.delta.val(),
        }
    }
}

/// Declares the configurations of a soma: the plain one, and the one with the mechanisms of
/// [`Mechanisms`], whose fields stand here once for all models. `fields` are parameters of the model,
/// `options` whatever else it is told.
macro_rules! soma_config {
    (
        $(#[$meta:meta])*
        plain $plain:ident;
        $(#[$adaptive_meta:meta])*
        adaptive $adaptive:ident;
        dt = $dt:expr;
        fields {
            $($(#[$field_meta:meta])* $field:ident = $default:expr),* $(,)?
        }
        options {
            $($(#[$option_meta:meta])* $option:ident: $type:ty),* $(,)?
        }
    ) => {
        $crate::components::somas::mechanisms::soma_config! {
            @one $(#[$meta])* $plain, $dt, {
                $($(#[$field_meta])* $field: spark_core::Parameter = $default.into(),)*
                $($(#[$option_meta])* $option: $type = Default::default(),)*
            }
        }
        $crate::components::somas::mechanisms::soma_config! {
            @one $(#[$adaptive_meta])* $adaptive, $dt, {
                $($(#[$field_meta])* $field: spark_core::Parameter = $default.into(),)*
                $($(#[$option_meta])* $option: $type = Default::default(),)*
                /// Refractory period after a spike: input is cut off and no spike occurs. Off where absent.
                #[schemars(extend("unit" = "ms", "range" = "non_negative"))]
                cooldown: Option<spark_core::Parameter> = None,
                /// How long a spike holds the potential at its reset. Off where absent.
                #[schemars(extend("unit" = "ms", "range" = "non_negative"))]
                clamp_duration: Option<spark_core::Parameter> = None,
                /// What a spike adds to the threshold. No adaptive threshold where absent.
                #[schemars(extend("unit" = "mV"))]
                threshold_delta: Option<spark_core::Parameter> = None,
                /// Time constant with which the threshold falls back.
                #[schemars(extend("unit" = "ms", "range" = "positive"))]
                threshold_tau: spark_core::Parameter = 20.0.into(),
                /// What a spike adds to the adaptation current. No adaptation current where absent.
                #[schemars(extend("unit" = "pA"))]
                adaptation_delta: Option<spark_core::Parameter> = None,
                /// Time constant of the adaptation current.
                #[schemars(extend("unit" = "ms", "range" = "positive"))]
                adaptation_tau: spark_core::Parameter = 100.0.into(),
                /// Coupling of the adaptation current to the potential.
                #[schemars(extend("unit" = "nS"))]
                adaptation_subthreshold: spark_core::Parameter = 0.5.into(),
            }
        }

        impl $adaptive {
            fn adaptation(&self) -> $crate::components::somas::Adaptation<'_> {
                $crate::components::somas::Adaptation {
                    cooldown: self.cooldown.as_ref(),
                    clamp_duration: self.clamp_duration.as_ref(),
                    threshold_delta: self.threshold_delta.as_ref(),
                    threshold_tau: &self.threshold_tau,
                    adaptation_delta: self.adaptation_delta.as_ref(),
                    adaptation_tau: &self.adaptation_tau,
                    adaptation_subthreshold: &self.adaptation_subthreshold,
                }
            }

            /// The same without its mechanisms.
            fn plain(&self) -> $plain {
                $plain {
                    seed: self.seed,
                    dt: self.dt,
                    gradient: self.gradient,
                    $($field: self.$field.clone(),)*
                    $($option: self.$option.clone(),)*
                }
            }
        }
    };
    (
        @one $(#[$meta:meta])* $name:ident, $dt:expr, {
            $($(#[$field_meta:meta])* $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Seed of the parameters that are drawn; derived from that of the controller where absent.
            pub seed: Option<u64>,
            /// Duration of a step.
            #[schemars(extend("unit" = "ms", "range" = "positive"))]
            pub dt: f32,
            $($(#[$field_meta])* pub $field: $type,)*
            /// What gradients see of a spike.
            pub gradient: $crate::components::somas::Gradient,
        }

        impl Default for $name {
            fn default() -> Self {
                Self { seed: None, dt: $dt, $($field: $default,)* gradient: Default::default() }
            }
        }
    };
}

/// Makes components of the two configurations of [`soma_config!`], whose membrane the method `membrane` of the
/// plain one draws. Names, texts and whatever else is particular to one stand in its braces.
macro_rules! soma_components {
    ($membrane:ty; $plain:ident { $($plain_items:tt)* } $adaptive:ident { $($adaptive_items:tt)* }) => {
        $crate::components::somas::mechanisms::soma_components! {
            @one $plain, Soma<$membrane>, { $($plain_items)* },
            |config, builder, units| (config.membrane(builder, units)?, Default::default())
        }
        $crate::components::somas::mechanisms::soma_components! {
            @one $adaptive, Soma<$membrane>, { $($adaptive_items)* },
            |config, builder, units| (
                config.plain().membrane(builder, units)?,
                config.adaptation().build(builder, units, config.dt)?
            )
        }
    };
    (
        @one $name:ident, $component:ty, { $($items:tt)* },
        |$config:ident, $builder:ident, $units:ident| ($membrane:expr, $mechanisms:expr)
    ) => {
        impl spark_core::component::ComponentConfig for $name {
            $($items)*

            const FAMILY: spark_core::component::Family = spark_core::component::Family::Soma;

            type Component = $component;

            fn build(
                &self,
                inputs: &spark_core::ports::InputShapes,
                context: &spark_core::component::Context,
            ) -> Result<$component, spark_core::component::Defect> {
                let kind = spark_core::payload::PayloadKind::Currents;
                let ($config, $units) = (self, &inputs.require("current", kind)?.units);
                let $builder = &spark_core::build::Builder { context, seed: self.seed };
                Ok(<$component>::new($membrane, $mechanisms, $units, self.dt, self.gradient))
            }
        }

        spark_core::register!($name);
    };
}

pub(crate) use {soma_components, soma_config};
