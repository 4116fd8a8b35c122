//! Resources that are used up and recover.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use spark_core::Parameter;
use spark_core::build::{Builder, rate};
use spark_core::component::{ComponentConfig, Context, Defect, Family};
use spark_core::payload::PayloadKind;
use spark_core::ports::InputShapes;
use spark_kernels::{Trace, trace_step};

use super::exponential::{at_base, back_at_base, number};
use super::{SignalTracer, TraceModel, TracerState};
use crate::config::config;

config! {
    /// Resources that are used up and recover.
    pub struct RUTracerConfig {
        /// Time constant with which resources recover.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        r_tau: Parameter = 750.0.into(),
        /// Time constant with which their usage falls back.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        u_tau: Parameter = 50.0.into(),
        /// What an input of 1 adds to the usage.
        u_scale: Parameter = 0.45.into(),
    }
}

/// Resources that each input uses a part of:
///
/// ```text
/// u ← u − λ_u·u + c·x
/// value = u·r
/// r ← r + λ_r·(1 − r) − value·x        λ = 1 − exp(−dt/τ)
/// ```
///
/// Source: Tsodyks, Pawelzik & Markram (1998), *Neural networks with dynamic synapses*.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::components::tracers::{RUTracer, TraceModel};
///
/// let device = Device::flex();
/// let tracer = RUTracer::fixed(750.0, 50.0, 0.45, &device);
/// let plan = tracer.plan(1.0);
/// let state = tracer.initial_state(&plan, 1, 1);
/// let (first, state) = tracer.step(&plan, Tensor::ones([1, 1], &device), state);
/// assert!((first.into_scalar::<f32>() - 0.45).abs() < 1e-6);
/// assert!((state.resource.trace.into_scalar::<f32>() - 0.55).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct RUTracer {
    /// Time constant with which resources recover, in ms.
    pub r_tau: Param<Tensor<1>>,
    /// Time constant with which their usage falls back, in ms.
    pub u_tau: Param<Tensor<1>>,
    /// What an input of 1 adds to the usage, `c`.
    pub u_scale: Param<Tensor<1>>,
}

/// What a step of an [`RUTracer`] reads.
#[derive(Clone, Debug)]
pub struct ResourceUsagePlan {
    /// The trace of the usage.
    pub usage: Trace<Tensor<1>>,
    /// The trace of the resources, from which is taken what is used.
    pub resource: Trace<Tensor<1>>,
}

spark_core::state! {
    /// What an [`RUTracer`] remembers.
    pub struct ResourceUsageState {
        /// The part of the resources that the next input uses, without its own effect.
        usage: TracerState,
        /// Resources that are left, 1 at rest.
        resource: TracerState,
    }
}

impl RUTracer {
    /// The same parameters for all entries, time constants in ms.
    ///
    /// # Examples
    /// See [`RUTracer`].
    pub fn fixed(r_tau: f32, u_tau: f32, u_scale: f32, device: &Device) -> Self {
        let [r_tau, u_tau, u_scale] = [r_tau, u_tau, u_scale].map(|value| number(value, device));
        Self { r_tau, u_tau, u_scale }
    }
}

impl TraceModel for RUTracer {
    type State = ResourceUsageState;
    type Plan = ResourceUsagePlan;

    fn plan(&self, dt: f32) -> ResourceUsagePlan {
        let device = self.r_tau.val().device();
        let all = |value: f32| Tensor::from_floats([value], &device);
        let trace = |tau: &Param<Tensor<1>>, base, scale| Trace {
            rate: rate(dt, tau.val()),
            base,
            scale,
            saturation: None,
        };
        ResourceUsagePlan {
            usage: trace(&self.u_tau, all(0.0), self.u_scale.val()),
            resource: trace(&self.r_tau, all(1.0), all(-1.0)),
        }
    }

    fn initial_state(&self, plan: &ResourceUsagePlan, batch: usize, entries: usize) -> ResourceUsageState {
        let [usage, resource] = [&plan.usage, &plan.resource].map(|trace| at_base(trace, batch, entries));
        ResourceUsageState { usage, resource }
    }

    fn step(
        &self,
        plan: &ResourceUsagePlan,
        x: Tensor<2>,
        state: ResourceUsageState,
    ) -> (Tensor<2>, ResourceUsageState) {
        let usage = trace_step(state.usage.trace, x.clone(), &plan.usage);
        let resource = state.resource.trace;
        let value = usage.clone() * resource.clone();
        let resource = trace_step(resource, value.clone() * x, &plan.resource);
        let [usage, resource] = [usage, resource].map(|trace| TracerState { trace });
        (value, ResourceUsageState { usage, resource })
    }

    fn masked_reset(
        &self,
        plan: &ResourceUsagePlan,
        mask: Tensor<2>,
        state: ResourceUsageState,
    ) -> ResourceUsageState {
        ResourceUsageState {
            usage: back_at_base(&plan.usage, mask.clone(), state.usage),
            resource: back_at_base(&plan.resource, mask, state.resource),
        }
    }
}

impl ComponentConfig for RUTracerConfig {
    const NAME: &'static str = "RUTracer";
    const FAMILY: Family = Family::Tracer;
    const SUMMARY: &'static str = "Resources that are used up and recover";
    const EQUATION: &'static str =
        "u ← u − λ_u·u + c·x; value = u·r; r ← r + λ_r·(1 − r) − value·x, λ = 1 − exp(−dt/τ)";
    const SOURCE: &'static str =
        "Tsodyks, Pawelzik & Markram, Neural Computation 10 (1998): Neural networks with dynamic synapses";

    type Component = SignalTracer<RUTracer>;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Self::Component, Defect> {
        let units = &inputs.require("x", PayloadKind::Floats)?.units;
        let builder = Builder { context, seed: self.seed };
        let tracer = RUTracer {
            r_tau: builder.units("r_tau", &self.r_tau, units)?,
            u_tau: builder.units("u_tau", &self.u_tau, units)?,
            u_scale: builder.units("u_scale", &self.u_scale, units)?,
        };
        Ok(SignalTracer::new(tracer, units, self.dt))
    }
}

spark_core::register!(RUTracerConfig);
