//! The quadratic model of Izhikevich.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::build::Builder;
use spark_core::component::Defect;
use spark_kernels::SomaModel;

use super::mechanisms::{soma_components, soma_config};
use super::{Membrane, Soma};

soma_config! {
    /// Izhikevich's units.
    plain IzhikevichSomaConfig;
    /// Izhikevich's units with refractoriness and adaptation.
    adaptive AdaptiveIzhikevichSomaConfig;
    dt = 1.0;
    fields {
        /// Potential at the start.
        #[schemars(extend("unit" = "mV"))]
        potential_rest = -65.0,
        /// Potential after a spike, `c`.
        #[schemars(extend("unit" = "mV"))]
        potential_reset = -65.0,
        /// Membrane resistance.
        #[schemars(extend("unit" = "GΩ"))]
        resistance = 0.1,
        /// Peak of a spike.
        #[schemars(extend("unit" = "mV"))]
        threshold = 30.0,
        /// How fast the recovery follows the potential, `a`.
        #[schemars(extend("unit" = "1/ms"))]
        recovery_timescale = 0.02,
        /// What of the potential the recovery follows, `b`.
        recovery_sensitivity = 0.2,
        /// What a spike adds to the recovery, `d`.
        recovery_update = 2.0,
    }
    options {}
}

/// A quadratic membrane with a recovery, by forward Euler in absolute mV and ms:
///
/// ```text
/// V ← V + dt·(0.04·V² + 5·V + 140 − u + R·I)
/// u ← u + dt·a·(b·V − u)
/// V ← c, u ← u + d            after a spike
/// ```
///
/// Units start at the resting potential with `u = b·V`.
///
/// Source: Izhikevich, *Simple model of spiking neurons* (2003).
#[derive(Module, Debug)]
pub struct IzhikevichMembrane {
    /// Potential at the start in mV, `[units]` or `[1]`.
    pub rest: Param<Tensor<1>>,
    /// Potential after a spike `c` in mV, `[units]` or `[1]`.
    pub reset: Param<Tensor<1>>,
    /// Resistance in GΩ, `[units]` or `[1]`.
    pub resistance: Param<Tensor<1>>,
    /// Peak of a spike in mV, `[units]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    /// `a` in 1/ms, `[units]` or `[1]`.
    pub timescale: Param<Tensor<1>>,
    /// `b`, `[units]` or `[1]`.
    pub sensitivity: Param<Tensor<1>>,
    /// `d`, `[units]` or `[1]`.
    pub update: Param<Tensor<1>>,
}

impl Membrane for IzhikevichMembrane {
    fn model(&self, dt: f32) -> SomaModel<Tensor<1>> {
        let timescale = self.timescale.val();
        SomaModel::Izhikevich {
            dt: Tensor::full([1], dt, &timescale.device()),
            resistance: self.resistance.val(),
            recovery_rate: timescale * dt,
            sensitivity: self.sensitivity.val(),
            jump: self.update.val(),
        }
    }

    fn limits(&self) -> [Tensor<1>; 2] {
        [self.reset.val(), self.threshold.val()]
    }

    fn rest(&self) -> Tensor<1> {
        self.rest.val()
    }
}

/// Izhikevich's units; their potential is absolute.
///
/// The four parameters of the recovery and the reset make most firing patterns of cortical neurons.
///
/// # Examples
/// Chattering: bursts of spikes, because the reset is high.
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Currents, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::somas::{IzhikevichSomaConfig, SomaInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("current", Shape::new(PayloadKind::Currents, &[1]));
/// let config = IzhikevichSomaConfig { potential_reset: (-50.0).into(), dt: 0.5, ..Default::default() };
/// let mut soma = config.run(&wired, 1, &Context::new("soma", &device))?;
/// let current = Currents(Tensor::full([1, 1], 100.0, &device));
/// let times: Vec<i32> = (0..1000)
///     .filter(|_| {
///         let out = soma.advance(SomaInputs { current: current.clone(), inhibition_mask: None });
///         out.spikes.units().unwrap().into_scalar::<f32>() > 0.0
///     })
///     .collect();
/// let gaps: Vec<i32> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
/// assert!(gaps.iter().min().unwrap() * 4 < *gaps.iter().max().unwrap());
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
pub type IzhikevichSoma = Soma<IzhikevichMembrane>;

/// Izhikevich's units with refractoriness and adaptation. A clamp holds what the recovery follows too, and
/// an adaptation current is coupled to the absolute potential.
pub type AdaptiveIzhikevichSoma = Soma<IzhikevichMembrane>;

impl IzhikevichSomaConfig {
    fn membrane(&self, builder: &Builder<'_>, units: &[usize]) -> Result<IzhikevichMembrane, Defect> {
        Ok(IzhikevichMembrane {
            rest: builder.units("potential_rest", &self.potential_rest, units)?,
            reset: builder.units("potential_reset", &self.potential_reset, units)?,
            resistance: builder.units("resistance", &self.resistance, units)?,
            threshold: builder.units("threshold", &self.threshold, units)?,
            timescale: builder.units("recovery_timescale", &self.recovery_timescale, units)?,
            sensitivity: builder.units("recovery_sensitivity", &self.recovery_sensitivity, units)?,
            update: builder.units("recovery_update", &self.recovery_update, units)?,
        })
    }
}

const EQUATION: &str = "V ← V + dt·(0.04V² + 5V + 140 − u + R·I); u ← u + dt·a·(b·V − u); S = V > θ; \
                        V ← c, u ← u + d after a spike";
const SOURCE: &str = "Izhikevich, Simple model of spiking neurons (2003)";

soma_components! {
    IzhikevichMembrane;
    IzhikevichSomaConfig {
        const NAME: &'static str = "IzhikevichSoma";
        const SUMMARY: &'static str = "Izhikevich's quadratic units with a recovery";
        const EQUATION: &'static str = EQUATION;
        const SOURCE: &'static str = SOURCE;
    }
    AdaptiveIzhikevichSomaConfig {
        const NAME: &'static str = "AdaptiveIzhikevichSoma";
        const SUMMARY: &'static str = "Izhikevich's units with refractoriness and adaptation";
        const EQUATION: &'static str = EQUATION;
        const SOURCE: &'static str = SOURCE;
    }
}
