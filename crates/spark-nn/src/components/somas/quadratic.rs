//! Quadratic integrate-and-fire.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::build::Builder;
use spark_core::component::Defect;
use spark_core::schema::join;
use spark_core::{Parameter, Problems};
use spark_kernels::SomaModel;

use super::mechanisms::{soma_components, soma_config};
use super::{Membrane, Soma};

soma_config! {
    /// Quadratic integrate-and-fire units.
    plain QuadraticSomaConfig;
    /// Quadratic integrate-and-fire units with refractoriness and adaptation.
    adaptive AdaptiveQuadraticSomaConfig;
    dt = 1.0;
    fields {
        /// Resting potential.
        #[schemars(extend("unit" = "mV"))]
        potential_rest = -65.0,
        /// Potential after a spike.
        #[schemars(extend("unit" = "mV"))]
        potential_reset = -65.0,
        /// Potential beyond which a unit without input spikes.
        #[schemars(extend("unit" = "mV"))]
        potential_critical = -50.0,
        /// Membrane time constant.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        potential_tau = 10.0,
        /// Membrane resistance.
        #[schemars(extend("unit" = "GΩ"))]
        resistance = 0.1,
        /// Curvature of the current–voltage relation.
        #[schemars(extend("unit" = "1/mV", "range" = "positive"))]
        curvature = 0.1,
        /// Peak of a spike.
        #[schemars(extend("unit" = "mV"))]
        threshold = 30.0,
    }
    options {}
}

/// A membrane near the onset of spiking, where every neuron that starts to fire at arbitrarily low rates
/// looks like this:
///
/// ```text
/// τ·dV/dt = a·(V − V_rest)·(V − V_crit) + R·I
/// ```
///
/// `V` counts from the resting potential. A step is the solution for a constant current and so stable at any
/// length; see [`SomaModel::Quadratic`]. Currents above the rheobase `a·(V_crit − V_rest)²/(4·R)` make it
/// spike without end.
///
/// Source: Ermentrout & Kopell, *Parabolic bursting in an excitable system coupled with a slow oscillation*
/// (1986); Gerstner, Kistler, Naud & Paninski, *Neuronal Dynamics* (2014), section 5.3.
#[derive(Module, Debug)]
pub struct QuadraticMembrane {
    /// Resting potential in mV, `[units]` or `[1]`.
    pub rest: Param<Tensor<1>>,
    /// Potential after a spike in mV, `[units]` or `[1]`.
    pub reset: Param<Tensor<1>>,
    /// Critical potential in mV, `[units]` or `[1]`.
    pub critical: Param<Tensor<1>>,
    /// Time constant in ms, `[units]` or `[1]`.
    pub tau: Param<Tensor<1>>,
    /// Resistance in GΩ, `[units]` or `[1]`.
    pub resistance: Param<Tensor<1>>,
    /// Curvature in 1/mV, `[units]` or `[1]`.
    pub curvature: Param<Tensor<1>>,
    /// Peak of a spike in mV, `[units]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
}

impl Membrane for QuadraticMembrane {
    fn model(&self, dt: f32) -> SomaModel<Tensor<1>> {
        SomaModel::Quadratic {
            rate: self.tau.val().recip() * dt,
            resistance: self.resistance.val(),
            curvature: self.curvature.val(),
            rest: self.rest(),
            critical: self.critical.val() - self.rest.val(),
        }
    }

    fn limits(&self) -> [Tensor<1>; 2] {
        [&self.reset, &self.threshold].map(|limit| limit.val() - self.rest.val())
    }

    fn rest(&self) -> Tensor<1> {
        self.rest.val().zeros_like()
    }
}

/// Quadratic integrate-and-fire units; their potential counts from the resting potential.
///
/// # Examples
/// Spikes come at an arbitrarily low rate just above the rheobase of 56.25 pA:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Currents, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::somas::{QuadraticSomaConfig, SomaInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("current", Shape::new(PayloadKind::Currents, &[3]));
/// let mut soma = QuadraticSomaConfig::default().run(&wired, 1, &Context::new("soma", &device))?;
/// let current = Currents(Tensor::from_floats([[56.0, 57.0, 80.0]], &device));
/// let mut counts = Tensor::zeros([1, 3], &device);
/// for _ in 0..1000 {
///     let out = soma.advance(SomaInputs { current: current.clone(), inhibition_mask: None });
///     counts = counts + out.spikes.units().unwrap();
/// }
/// let counts = counts.into_data().try_to_vec::<f32>().unwrap();
/// assert!(counts[0] == 0.0 && counts[1] > 0.0 && counts[2] > 3.0 * counts[1]);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
pub type QuadraticSoma = Soma<QuadraticMembrane>;

/// Quadratic integrate-and-fire units with refractoriness and adaptation.
///
/// With an adaptation current this is the model of Izhikevich, *Dynamical Systems in Neuroscience* (2007),
/// chapter 8, with `k = a·C/τ`.
pub type AdaptiveQuadraticSoma = Soma<QuadraticMembrane>;

impl QuadraticSomaConfig {
    fn membrane(&self, builder: &Builder<'_>, units: &[usize]) -> Result<QuadraticMembrane, Defect> {
        Ok(QuadraticMembrane {
            rest: builder.units("potential_rest", &self.potential_rest, units)?,
            reset: builder.units("potential_reset", &self.potential_reset, units)?,
            critical: builder.units("potential_critical", &self.potential_critical, units)?,
            tau: builder.units("potential_tau", &self.potential_tau, units)?,
            resistance: builder.units("resistance", &self.resistance, units)?,
            curvature: builder.units("curvature", &self.curvature, units)?,
            threshold: builder.units("threshold", &self.threshold, units)?,
        })
    }
}

const EQUATION: &str = "τ·dV/dt = a·(V − V_rest)·(V − V_crit) + R·I, exact for a constant current; S = V > θ; \
                        V ← V_reset after a spike";
const SOURCE: &str = "Ermentrout & Kopell (1986); Gerstner, Kistler, Naud & Paninski, Neuronal Dynamics \
                      (2014), section 5.3";

soma_components! {
    QuadraticMembrane;
    QuadraticSomaConfig {
        const NAME: &'static str = "QuadraticSoma";
        const SUMMARY: &'static str = "Quadratic integrate-and-fire units";
        const EQUATION: &'static str = EQUATION;
        const SOURCE: &'static str = SOURCE;

        /// Where rest lies above the critical potential it is not stable.
        fn check(&self, path: &str, problems: &mut Problems) {
            let (Parameter::Number(rest), Parameter::Number(critical)) =
                (&self.potential_rest, &self.potential_critical)
            else {
                return;
            };
            if critical <= rest {
                problems.push(join(path, "potential_critical"), critical, format!("above potential_rest {rest}"));
            }
        }
    }
    AdaptiveQuadraticSomaConfig {
        const NAME: &'static str = "AdaptiveQuadraticSoma";
        const SUMMARY: &'static str = "Quadratic integrate-and-fire units with refractoriness and adaptation";
        const EQUATION: &'static str = EQUATION;
        const SOURCE: &'static str = SOURCE;

        fn check(&self, path: &str, problems: &mut Problems) {
            self.plain().check(path, problems);
        }
    }
}
