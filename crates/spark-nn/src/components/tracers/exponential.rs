//! The exponential trace, with or without a bound.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use spark_core::Parameter;
use spark_core::build::{Builder, rate};
use spark_core::component::{ComponentConfig, Context, Defect, Family};
use spark_core::payload::PayloadKind;
use spark_core::ports::InputShapes;
use spark_kernels::host::HostFilter;
use spark_kernels::{Trace, trace_step};

use super::{SignalTracer, TraceModel};
use crate::config::config;

config! {
    /// An exponential trace.
    pub struct TracerConfig {
        /// Time constant.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau: Parameter = 20.0.into(),
        /// What an input of 1 adds.
        scale: Parameter = 1.0.into(),
        /// Where the trace starts and falls back to.
        base: Parameter = 0.0.into(),
    }
}

config! {
    /// An exponential trace that stays within bounds.
    pub struct SaturableTracerConfig {
        /// Time constant.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau: Parameter = 20.0.into(),
        /// What an input of 1 adds.
        scale: Parameter = 1.0.into(),
        /// Where the trace starts and falls back to.
        base: Parameter = 0.0.into(),
        /// Bound of the trace in both directions.
        #[schemars(extend("range" = "non_negative"))]
        saturation: Parameter = 1.0.into(),
    }
}

/// An exponential trace, clipped where it has a bound:
///
/// ```text
/// T ← T + λ·(b − T) + c·x        λ = 1 − exp(−dt/τ)
/// T ← clip(T, −s, s)
/// ```
///
/// # Examples
/// See [`TraceModel`].
#[derive(Module, Debug)]
pub struct Tracer {
    /// Time constant in ms.
    pub tau: Param<Tensor<1>>,
    /// What an input of 1 adds, `c`.
    pub scale: Param<Tensor<1>>,
    /// Where the trace starts and falls back to, `b`.
    pub base: Param<Tensor<1>>,
    /// Bound in both directions, `s`.
    pub saturation: Option<Param<Tensor<1>>>,
}

/// An exponential trace with a bound.
pub type SaturableTracer = Tracer;

spark_core::state! {
    /// What an exponential trace remembers.
    pub struct TracerState {
        /// The trace, `[batch, entries]`.
        trace: Tensor<2>,
    }
}

/// A number as a parameter that is not trained unless somebody says so.
pub(super) fn number(value: f32, device: &Device) -> Param<Tensor<1>> {
    Param::from_data([value], device).set_require_grad(false)
}

impl Tracer {
    /// A trace without bound.
    pub fn new(tau: Param<Tensor<1>>, scale: Param<Tensor<1>>, base: Param<Tensor<1>>) -> Self {
        Self { tau, scale, base, saturation: None }
    }

    /// A trace whose parameters, τ in ms, are the same for all entries.
    ///
    /// # Examples
    /// See [`TraceModel`].
    pub fn fixed(tau: f32, scale: f32, base: f32, device: &Device) -> Self {
        let [tau, scale, base] = [tau, scale, base].map(|value| number(value, device));
        Self::new(tau, scale, base)
    }
}

/// The trace before the first step: its base, in a copy of its own for every entry.
pub(super) fn at_base(trace: &Trace<Tensor<1>>, batch: usize, entries: usize) -> TracerState {
    let base = trace.base.clone();
    TracerState { trace: Tensor::zeros([batch, entries], &base.device()) + base.unsqueeze() }
}

/// The trace with the entries under the mask back at their base.
pub(super) fn back_at_base(trace: &Trace<Tensor<1>>, mask: Tensor<2>, state: TracerState) -> TracerState {
    let away = trace.base.clone().unsqueeze() - state.trace.clone();
    TracerState { trace: state.trace + mask * away }
}

impl TraceModel for Tracer {
    type State = TracerState;
    type Plan = Trace<Tensor<1>>;

    fn plan(&self, dt: f32) -> Trace<Tensor<1>> {
        Trace {
            rate: rate(dt, self.tau.val()),
            base: self.base.val(),
            scale: self.scale.val(),
            saturation: self.saturation.as_ref().map(|bound| bound.val()),
        }
    }

    fn initial_state(&self, plan: &Self::Plan, batch: usize, entries: usize) -> TracerState {
        at_base(plan, batch, entries)
    }

    fn step(&self, plan: &Self::Plan, x: Tensor<2>, state: TracerState) -> (Tensor<2>, TracerState) {
        let trace = trace_step(state.trace, x, plan);
        (trace.clone(), TracerState { trace })
    }

    fn masked_reset(&self, plan: &Self::Plan, mask: Tensor<2>, state: TracerState) -> TracerState {
        back_at_base(plan, mask, state)
    }

    fn on_host(&self, plan: &Self::Plan, state: &TracerState) -> Option<HostFilter> {
        HostFilter::new(plan, &state.trace)
    }

    fn settle(state: &mut TracerState, filter: &HostFilter) {
        state.trace = filter.value(&state.trace.device());
    }
}

impl ComponentConfig for TracerConfig {
    const NAME: &'static str = "Tracer";
    const FAMILY: Family = Family::Tracer;
    const SUMMARY: &'static str = "An exponential trace";
    const EQUATION: &'static str = "T ← T + λ·(b − T) + c·x, λ = 1 − exp(−dt/τ)";

    type Component = SignalTracer<Tracer>;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Self::Component, Defect> {
        let units = &inputs.require("x", PayloadKind::Floats)?.units;
        let builder = Builder { context, seed: self.seed };
        let tracer = Tracer::new(
            builder.units("tau", &self.tau, units)?,
            builder.units("scale", &self.scale, units)?,
            builder.units("base", &self.base, units)?,
        );
        Ok(SignalTracer::new(tracer, units, self.dt))
    }
}

impl ComponentConfig for SaturableTracerConfig {
    const NAME: &'static str = "SaturableTracer";
    const FAMILY: Family = Family::Tracer;
    const SUMMARY: &'static str = "An exponential trace that stays within bounds";
    const EQUATION: &'static str = "T ← clip(T + λ·(b − T) + c·x, −s, s), λ = 1 − exp(−dt/τ)";

    type Component = SignalTracer<SaturableTracer>;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Self::Component, Defect> {
        let units = &inputs.require("x", PayloadKind::Floats)?.units;
        let builder = Builder { context, seed: self.seed };
        let tracer = Tracer {
            tau: builder.units("tau", &self.tau, units)?,
            scale: builder.units("scale", &self.scale, units)?,
            base: builder.units("base", &self.base, units)?,
            saturation: Some(builder.units("saturation", &self.saturation, units)?),
        };
        Ok(SignalTracer::new(tracer, units, self.dt))
    }
}

spark_core::register!(TracerConfig);
spark_core::register!(SaturableTracerConfig);
