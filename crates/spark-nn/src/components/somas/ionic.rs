//! What models with ionic currents share.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::schema::join;
use spark_core::{Parameter, Problems};
use spark_kernels::{IonicCurrent, IonicMembrane};

/// A patch of membrane with sodium, potassium and leak channels:
///
/// ```text
/// C·dV/dt = I − g_Na·m³·h·(V − E_Na) − g_K·n⁴·(V − E_K) − g_L·(V − E_L)
/// ```
///
/// Papers give densities; a patch of 100 µm² has the same numbers: µF/cm² are pF there, mS/cm² are nS and
/// µA/cm² are pA.
#[derive(Module, Debug)]
pub struct Patch {
    /// Resting potential in mV, `[units]` or `[1]`.
    pub rest: Param<Tensor<1>>,
    /// What counts as a spike when it is crossed upwards, in mV, `[units]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    /// Capacitance in pF, `[units]` or `[1]`.
    pub capacitance: Param<Tensor<1>>,
    /// Sodium channels.
    pub sodium: Channels,
    /// Potassium channels.
    pub potassium: Channels,
    /// Leak channels.
    pub leak: Channels,
    /// How much faster than published the gates are, `[units]` or `[1]`.
    pub speed: Param<Tensor<1>>,
    /// What the potentials of the rates are moved by, in mV, `[units]` or `[1]`.
    pub shift: Param<Tensor<1>>,
}

/// Channels of one kind.
#[derive(Module, Debug)]
pub struct Channels {
    /// Conductance in nS when all of them are open, `[units]` or `[1]`.
    pub conductance: Param<Tensor<1>>,
    /// Reversal potential in mV, `[units]` or `[1]`.
    pub reversal: Param<Tensor<1>>,
}

impl Patch {
    /// What the kernel integrates, in potentials that count from the resting potential.
    pub(super) fn membrane(&self, dt: f32) -> IonicMembrane<Tensor<1>> {
        let rest = self.rest.val();
        let current = |channels: &Channels| IonicCurrent {
            conductance: channels.conductance.val(),
            reversal: channels.reversal.val() - rest.clone(),
        };
        IonicMembrane {
            dt: Tensor::full([1], dt, &rest.device()),
            capacitance: self.capacitance.val(),
            speed: self.speed.val(),
            shift: self.shift.val() - rest.clone(),
            sodium: current(&self.sodium),
            potassium: current(&self.potassium),
            leak: current(&self.leak),
        }
    }

    /// The threshold in both places: there is no reset.
    pub(super) fn limits(&self) -> [Tensor<1>; 2] {
        let threshold = self.threshold.val() - self.rest.val();
        [threshold.clone(), threshold]
    }
}

/// Draws the [`Patch`] of a configuration that has its fields.
macro_rules! patch {
    ($config:expr, $builder:expr, $units:expr) => {{
        let (config, builder, units) = ($config, $builder, $units);
        $crate::components::somas::Patch {
            rest: builder.units("potential_rest", &config.potential_rest, units)?,
            threshold: builder.units("threshold", &config.threshold, units)?,
            capacitance: builder.units("capacitance", &config.capacitance, units)?,
            sodium: $crate::components::somas::Channels {
                conductance: builder.units("sodium_conductance", &config.sodium_conductance, units)?,
                reversal: builder.units("sodium_reversal", &config.sodium_reversal, units)?,
            },
            potassium: $crate::components::somas::Channels {
                conductance: builder.units("potassium_conductance", &config.potassium_conductance, units)?,
                reversal: builder.units("potassium_reversal", &config.potassium_reversal, units)?,
            },
            leak: $crate::components::somas::Channels {
                conductance: builder.units("leak_conductance", &config.leak_conductance, units)?,
                reversal: builder.units("leak_reversal", &config.leak_reversal, units)?,
            },
            speed: builder.units("gate_speed", &config.gate_speed, units)?,
            shift: builder.units("rate_shift", &config.rate_shift, units)?,
        }
    }};
}

pub(super) use patch;

/// Refuses a clamp, which would do nothing: currents end the spike, not a reset.
pub(super) fn no_clamp(clamp_duration: Option<&Parameter>, path: &str, problems: &mut Problems) {
    if clamp_duration.is_some() {
        let expected = "none: ionic currents end a spike, so there is no reset to hold";
        problems.push(join(path, "clamp_duration"), "a duration", expected);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use spark_core::registry;
    use spark_core::validate::Problems;

    #[test]
    fn a_clamp_is_refused() {
        for name in ["AdaptiveHodgkinHuxleySoma", "AdaptiveWangBuzsakiSoma"] {
            let config = registry::parse(name, json!({ "clamp_duration": 2.0 }), "test").unwrap();
            let mut problems = Problems::default();
            config.validate("soma", &mut problems);
            assert_eq!(problems.list()[0].path, "soma.clamp_duration", "{name}");
        }
    }
}
