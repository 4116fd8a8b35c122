//! Short-term plasticity: facilitation and depression by what a synapse has left.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::{Builder, rate};
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{Currents, PayloadKind, Shape, Spikes};
use spark_core::ports::{InputShapes, PortError};
use spark_kernels::{Trace, trace_step};

use super::Synapses;
use super::traces::trace;
use crate::config::config;

config! {
    /// Short-term plasticity by resources and their usage.
    pub struct RUShortTermPlasticityConfig {
        /// Time constant with which resources recover.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        r_tau: Parameter = 750.0.into(),
        /// Time constant with which usage falls back.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        u_tau: Parameter = 50.0.into(),
        /// What a spike adds to the usage.
        u_scale: Parameter = 0.45.into(),
    }
}

spark_core::ports! {
    /// What short-term plasticity takes.
    pub struct ShortTermInputs {
        /// Spikes of the presynaptic units.
        pre_spikes: Spikes,
        /// What they would cause without it: one current for each presynaptic unit.
        currents: Currents,
    }
}

spark_core::ports! {
    /// What short-term plasticity gives.
    pub struct ShortTermOutputs {
        /// The currents in proportion to the resources used.
        kernel: Currents,
    }
}

/// Short-term plasticity: of its resources `r` a synapse uses the part `u` with each spike, which facilitates
/// the next ones while the resources last.
///
/// ```text
/// u ← u + λ_u·(0 − u) + u_scale·s          λ = 1 − exp(−dt/τ)
/// I_out = I·u·r
/// r ← r + λ_r·(1 − r) − u·r·s
/// ```
///
/// Source: Tsodyks, Pawelzik & Markram, *Neural networks with dynamic synapses* (1998).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Currents, PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::plasticity::{RUShortTermPlasticityConfig, ShortTermInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default()
///     .with("pre_spikes", Shape::new(PayloadKind::Spikes, &[1]))
///     .with("currents", Shape::new(PayloadKind::Currents, &[1]));
/// let config = RUShortTermPlasticityConfig::default();
/// let mut plasticity = config.run(&wired, 1, &Context::new("plasticity", &device))?;
/// let mut step = || {
///     let pre_spikes = Spikes::new(Tensor::ones([1, 1], &device));
///     let currents = Currents(Tensor::full([1, 1], 10.0, &device));
///     plasticity.advance(ShortTermInputs { pre_spikes, currents }).kernel.0.into_scalar::<f32>()
/// };
/// let first = step();
/// assert!((first - 4.5).abs() < 1e-5);
/// // Used resources are missing.
/// assert!((0..5).map(|_| step()).last().unwrap() < first);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct ShortTermPlasticity {
    /// Time constant of the resources in ms, `[pre]` or `[1]`.
    pub r_tau: Param<Tensor<1>>,
    /// Time constant of the usage in ms, `[pre]` or `[1]`.
    pub u_tau: Param<Tensor<1>>,
    /// What a spike adds to the usage, `[pre]` or `[1]`.
    pub u_scale: Param<Tensor<1>>,
    dt: f32,
    #[module(skip)]
    units: Vec<usize>,
}

spark_core::state! {
    /// What short-term plasticity remembers.
    pub struct ShortTermState {
        /// The usage `u`, `[batch, pre]`.
        usage: Tensor<2>,
        /// The resources `r`, `[batch, pre]`.
        resources: Tensor<2>,
    }
}

impl Component for ShortTermPlasticity {
    type Inputs = ShortTermInputs;
    type Outputs = ShortTermOutputs;
    type State = ShortTermState;
    /// How usage and resources move.
    type Plan = [Trace<Tensor<1>>; 2];

    fn plan(&self) -> Self::Plan {
        let (r_tau, u_tau, u_scale) = (self.r_tau.val(), self.u_tau.val(), self.u_scale.val());
        // A trace wants parameters of one length.
        let zeros = (u_tau.clone() + u_scale.clone()) * 0.0;
        let usage = Trace { scale: zeros.clone() + u_scale, ..trace(self.dt, zeros.clone() + u_tau, zeros) };
        let one = r_tau.ones_like();
        let resources =
            Trace { rate: rate(self.dt, r_tau), base: one.clone(), scale: -one, saturation: None };
        [usage, resources]
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> ShortTermState {
        let usage = Tensor::zeros([batch, self.units.iter().product()], &self.r_tau.val().device());
        ShortTermState { resources: usage.ones_like(), usage }
    }

    fn step(
        &self,
        [usage, resources]: &Self::Plan,
        inputs: ShortTermInputs,
        state: ShortTermState,
    ) -> (ShortTermOutputs, ShortTermState) {
        let spikes = inputs.pre_spikes.units().expect("spikes by unit, as checked when the rule was built");
        let usage = trace_step(state.usage, spikes.clone(), usage);
        let used = usage.clone() * state.resources.clone();
        let resources = trace_step(state.resources, used.clone() * spikes, resources);
        let kernel = Currents(inputs.currents.0 * used);
        (ShortTermOutputs { kernel }, ShortTermState { usage, resources })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Currents, &self.units)]
    }
}

impl ComponentConfig for RUShortTermPlasticityConfig {
    const NAME: &'static str = "RUShortTermPlasticity";
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "Short-term facilitation and depression by resources and their usage";
    const EQUATION: &'static str =
        "u ← u·exp(−dt/τ_u) + u_scale·s; I_out = I·u·r; r ← r + λ_r·(1 − r) − u·r·s";
    const SOURCE: &'static str = "Tsodyks, Pawelzik & Markram, Neural networks with dynamic synapses (1998)";

    type Component = ShortTermPlasticity;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<ShortTermPlasticity, Defect> {
        let spikes = inputs.require("pre_spikes", PayloadKind::Spikes)?;
        Synapses::check_by_unit("pre_spikes", spikes)?;
        let currents = inputs.require("currents", PayloadKind::Currents)?;
        if currents.units != spikes.units {
            return Err(PortError::Mismatch {
                port: "currents".to_owned(),
                found: currents.to_string(),
                expected: format!("currents {:?}, one for each presynaptic unit", spikes.units),
            }
            .into());
        }
        let builder = Builder { context, seed: self.seed };
        Ok(ShortTermPlasticity {
            r_tau: builder.units("r_tau", &self.r_tau, &spikes.units)?,
            u_tau: builder.units("u_tau", &self.u_tau, &spikes.units)?,
            u_scale: builder.units("u_scale", &self.u_scale, &spikes.units)?,
            dt: self.dt,
            units: spikes.units.clone(),
        })
    }
}

spark_core::register!(RUShortTermPlasticityConfig);
