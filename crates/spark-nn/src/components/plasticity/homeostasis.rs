//! Weights that keep a unit's rate where it should be.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::Builder;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{Kernel, PayloadKind, Shape, Spikes};
use spark_core::ports::{InputShapes, PortError};
use spark_kernels::{Plasticity, PlasticityOptions, Relaxation, Trace, plasticity_step, trace_step};

use super::traces::trace;
use super::{KernelOutput, Synapses};
use crate::config::config;

config! {
    /// Homeostatic synaptic scaling.
    pub struct HomeostaticScalingConfig {
        /// The rate that a unit should have.
        #[schemars(extend("unit" = "Hz", "range" = "positive"))]
        target_rate: Parameter = 5.0.into(),
        /// Time constant of the running mean of the rate.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        rate_tau: f32 = 10_000.0,
        /// Time constant of scaling: how long a silent unit takes to scale its weights by e.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        scaling_tau: f32 = 100_000.0,
        /// How often weights are scaled; the change in between is made up for.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        interval: f32 = 100.0,
        /// Upper bound of a weight; none where absent.
        #[schemars(extend("unit" = "pA", "range" = "non_negative"))]
        w_max: Option<f32> = None,
    }
}

spark_core::ports! {
    /// What homeostatic scaling takes.
    pub struct HomeostaticScalingInputs {
        /// Spikes of the postsynaptic units.
        post_spikes: Spikes,
        /// The strengths of the synapses.
        kernel: Kernel,
    }
}

/// Multiplicative synaptic scaling: all synapses onto a unit grow or shrink in proportion while its mean rate
/// `r` lies below or above its target `ρ`, so that their ratios stay.
///
/// ```text
/// r ← r + λ·(s/dt − r)                                     λ = 1 − exp(−dt/τ_r)
/// W ← clip(W·(1 + T/τ_s·(ρ − r)/ρ), 0, W_max)              once in T = interval
/// ```
///
/// Rates start at their target. Source: Turrigiano, Leslie, Desai, Rutherford & Nelson, *Activity-dependent
/// scaling of quantal amplitude in neocortical neurons* (1998); equation: van Rossum, Bi & Turrigiano (2000).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Kernel, PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::plasticity::{HomeostaticScalingConfig, HomeostaticScalingInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default()
///     .with("post_spikes", Shape::new(PayloadKind::Spikes, &[1]))
///     .with("kernel", Shape::new(PayloadKind::Kernel, &[1, 2]));
/// let mut scaling = HomeostaticScalingConfig::default().run(&wired, 1, &Context::new("scaling", &device))?;
/// let mut kernel = Tensor::<2>::from_floats([[1.0], [2.0]], &device);
/// for _ in 0..1000 {
///     let post_spikes = Spikes::new(Tensor::zeros([1, 1], &device));
///     kernel = scaling.advance(HomeostaticScalingInputs { post_spikes, kernel: Kernel(kernel) }).kernel.0;
/// }
/// let kernel = kernel.into_data().try_to_vec::<f32>().unwrap();
/// assert!(kernel[0] > 1.0 && (kernel[1] / kernel[0] - 2.0).abs() < 1e-6);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct HomeostaticScaling {
    /// The rate `ρ` that a unit should have in Hz, `[post]` or `[1]`.
    pub target_rate: Param<Tensor<1>>,
    #[module(skip)]
    config: HomeostaticScalingConfig,
    #[module(skip)]
    post: usize,
    #[module(skip)]
    kernel: Vec<usize>,
}

spark_core::state! {
    /// What homeostatic scaling remembers.
    pub struct HomeostaticScalingState {
        /// Mean rates in Hz, `[batch, post]`.
        rate: Tensor<2>,
        /// Steps since the start.
        steps: u64,
    }
}

/// What a step of [`HomeostaticScaling`] reads.
#[derive(Clone, Debug)]
pub struct HomeostaticScalingPlan {
    rate: Trace<Tensor<1>>,
    per_target: Tensor<2>,
    interval: u64,
}

impl Component for HomeostaticScaling {
    type Inputs = HomeostaticScalingInputs;
    type Outputs = KernelOutput;
    type State = HomeostaticScalingState;
    type Plan = HomeostaticScalingPlan;

    fn plan(&self) -> HomeostaticScalingPlan {
        let HomeostaticScalingConfig { dt, rate_tau, interval, .. } = self.config;
        let target = self.target_rate.val();
        let one = |value: f32| Tensor::<1>::from_floats([value], &target.device());
        // A spike is a rate of 1000/dt Hz during its step.
        let gain = -(-f64::from(dt) / f64::from(rate_tau)).exp_m1() * 1000.0 / f64::from(dt);
        HomeostaticScalingPlan {
            rate: trace(dt, one(rate_tau), one(gain as f32)),
            per_target: target.recip().unsqueeze(),
            interval: ((interval / dt).round() as u64).max(1),
        }
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> HomeostaticScalingState {
        let target = self.target_rate.val();
        let rate = Tensor::zeros([batch, self.post], &target.device()) + target.unsqueeze();
        HomeostaticScalingState { rate, steps: 0 }
    }

    fn step(
        &self,
        plan: &HomeostaticScalingPlan,
        inputs: HomeostaticScalingInputs,
        state: HomeostaticScalingState,
    ) -> (KernelOutput, HomeostaticScalingState) {
        let post = inputs.post_spikes.units().expect("spikes by unit, as checked when the rule was built");
        let [samples, _] = post.dims();
        let rate = trace_step(state.rate, post, &plan.rate);
        let steps = state.steps + 1;
        let Kernel(mut kernel) = inputs.kernel;
        if steps.is_multiple_of(plan.interval) {
            let pull = -(rate.clone() * plan.per_target.clone()) + 1.0;
            let rule =
                Plasticity { relaxation: Some(Relaxation { pull, target: None }), ..Default::default() };
            let HomeostaticScalingConfig { dt, scaling_tau, w_max, .. } = self.config;
            let options = PlasticityOptions {
                rate: plan.interval as f32 * dt / scaling_tau,
                samples,
                min: 0.0,
                max: w_max.unwrap_or(f32::INFINITY),
                ..Default::default()
            };
            (kernel, _) = plasticity_step(kernel, rule, options);
        }
        (KernelOutput { kernel: Kernel(kernel) }, HomeostaticScalingState { rate, steps })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Kernel, &self.kernel)]
    }
}

impl ComponentConfig for HomeostaticScalingConfig {
    const NAME: &'static str = "HomeostaticScaling";
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "Multiplicative synaptic scaling toward a target rate";
    const EQUATION: &'static str =
        "r: running mean of the rate; W ← clip(W·(1 + T/τ_s·(ρ − r)/ρ), 0, W_max) once in T";
    const SOURCE: &'static str = "Turrigiano, Leslie, Desai, Rutherford & Nelson, Activity-dependent scaling of quantal \
                                  amplitude in neocortical neurons (1998)";

    type Component = HomeostaticScaling;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<HomeostaticScaling, Defect> {
        let post = inputs.require("post_spikes", PayloadKind::Spikes)?;
        Synapses::check_by_unit("post_spikes", post)?;
        let kernel = inputs.require("kernel", PayloadKind::Kernel)?;
        if !kernel.units.starts_with(&post.units) {
            return Err(PortError::Mismatch {
                port: "kernel".to_owned(),
                found: kernel.to_string(),
                expected: format!("a kernel [post…, pre…] onto units {:?}", post.units),
            }
            .into());
        }
        let builder = Builder { context, seed: self.seed };
        Ok(HomeostaticScaling {
            target_rate: builder.units("target_rate", &self.target_rate, &post.units)?,
            config: self.clone(),
            post: post.count(),
            kernel: kernel.units.clone(),
        })
    }
}

spark_core::register!(HomeostaticScalingConfig);
