//! A trace that rises before it decays.

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
    /// A trace that rises before it decays.
    pub struct RDTracerConfig {
        /// Time constant of the rise.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_rise: Parameter = 1.0.into(),
        /// What an input of 1 adds to the rise.
        scale_rise: Parameter = 1.0.into(),
        /// Where the rise starts and falls back to.
        base_rise: Parameter = 0.0.into(),
        /// Time constant of the decay.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_decay: Parameter = 5.0.into(),
        /// What an input of 1 adds to the decay.
        scale_decay: Parameter = 1.0.into(),
        /// Where the decay starts and falls back to.
        base_decay: Parameter = 0.0.into(),
    }
}

/// The difference of two exponential traces of the same input:
///
/// ```text
/// value = D − R        D: trace with τ_d;  R: trace with τ_r·τ_d/(τ_r + τ_d)
/// ```
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::components::tracers::{RDTracer, TraceModel};
///
/// let device = Device::flex();
/// let tracer = RDTracer::fixed([2.0, 10.0], [1.0, 1.0], &device);
/// let plan = tracer.plan(1.0);
/// let mut state = tracer.initial_state(&plan, 1, 1);
/// let mut values = Vec::new();
/// for input in [1.0, 0.0, 0.0] {
///     let value;
///     (value, state) = tracer.step(&plan, Tensor::full([1, 1], input, &device), state);
///     values.push(value.into_scalar::<f32>());
/// }
/// assert!(values[0] == 0.0 && values[1] > 0.0 && values[2] > values[1]);
/// ```
#[derive(Module, Debug)]
pub struct RDTracer {
    /// Time constant of the rise in ms, `τ_r`.
    pub tau_rise: Param<Tensor<1>>,
    /// What an input of 1 adds to the rise.
    pub scale_rise: Param<Tensor<1>>,
    /// Where the rise starts and falls back to.
    pub base_rise: Param<Tensor<1>>,
    /// Time constant of the decay in ms, `τ_d`.
    pub tau_decay: Param<Tensor<1>>,
    /// What an input of 1 adds to the decay.
    pub scale_decay: Param<Tensor<1>>,
    /// Where the decay starts and falls back to.
    pub base_decay: Param<Tensor<1>>,
}

/// What a step of an [`RDTracer`] reads.
#[derive(Clone, Debug)]
pub struct RiseDecayPlan {
    /// The trace that is subtracted.
    pub rise: Trace<Tensor<1>>,
    /// The trace that it is subtracted from.
    pub decay: Trace<Tensor<1>>,
}

spark_core::state! {
    /// What an [`RDTracer`] remembers.
    pub struct RiseDecayState {
        /// The trace that is subtracted.
        tracer_rise: TracerState,
        /// The trace that it is subtracted from.
        tracer_decay: TracerState,
    }
}

impl RDTracer {
    /// A trace that falls back to 0; time constants in ms and scales of rise and decay.
    ///
    /// # Examples
    /// See [`RDTracer`].
    pub fn fixed(taus: [f32; 2], scales: [f32; 2], device: &Device) -> Self {
        let [tau_rise, tau_decay] = taus.map(|tau| number(tau, device));
        let [scale_rise, scale_decay] = scales.map(|scale| number(scale, device));
        let [base_rise, base_decay] = [0.0; 2].map(|base| number(base, device));
        Self { tau_rise, scale_rise, base_rise, tau_decay, scale_decay, base_decay }
    }
}

impl RiseDecayPlan {
    /// Of time constants, scales and bases, each of rise and decay.
    pub(super) fn new(dt: f32, taus: [Tensor<1>; 2], scales: [Tensor<1>; 2], bases: [Tensor<1>; 2]) -> Self {
        let [tau_rise, tau_decay] = taus;
        let coupled = tau_rise.clone() * tau_decay.clone() / (tau_rise + tau_decay.clone());
        let ([rise, decay], [base_rise, base_decay]) = (scales, bases);
        let trace = |tau, scale, base| Trace { rate: rate(dt, tau), base, scale, saturation: None };
        Self { rise: trace(coupled, rise, base_rise), decay: trace(tau_decay, decay, base_decay) }
    }

    pub(super) fn initial_state(&self, batch: usize, entries: usize) -> RiseDecayState {
        let [tracer_rise, tracer_decay] = [&self.rise, &self.decay].map(|t| at_base(t, batch, entries));
        RiseDecayState { tracer_rise, tracer_decay }
    }

    pub(super) fn step(&self, x: Tensor<2>, state: RiseDecayState) -> (Tensor<2>, RiseDecayState) {
        let rise = trace_step(state.tracer_rise.trace, x.clone(), &self.rise);
        let decay = trace_step(state.tracer_decay.trace, x, &self.decay);
        let value = decay.clone() - rise.clone();
        let [tracer_rise, tracer_decay] = [rise, decay].map(|trace| TracerState { trace });
        (value, RiseDecayState { tracer_rise, tracer_decay })
    }

    pub(super) fn masked_reset(&self, mask: Tensor<2>, state: RiseDecayState) -> RiseDecayState {
        RiseDecayState {
            tracer_rise: back_at_base(&self.rise, mask.clone(), state.tracer_rise),
            tracer_decay: back_at_base(&self.decay, mask, state.tracer_decay),
        }
    }
}

impl TraceModel for RDTracer {
    type State = RiseDecayState;
    type Plan = RiseDecayPlan;

    fn plan(&self, dt: f32) -> RiseDecayPlan {
        RiseDecayPlan::new(
            dt,
            [self.tau_rise.val(), self.tau_decay.val()],
            [self.scale_rise.val(), self.scale_decay.val()],
            [self.base_rise.val(), self.base_decay.val()],
        )
    }

    fn initial_state(&self, plan: &RiseDecayPlan, batch: usize, entries: usize) -> RiseDecayState {
        plan.initial_state(batch, entries)
    }

    fn step(&self, plan: &RiseDecayPlan, x: Tensor<2>, state: RiseDecayState) -> (Tensor<2>, RiseDecayState) {
        plan.step(x, state)
    }

    fn masked_reset(&self, plan: &RiseDecayPlan, mask: Tensor<2>, state: RiseDecayState) -> RiseDecayState {
        plan.masked_reset(mask, state)
    }
}

impl ComponentConfig for RDTracerConfig {
    const NAME: &'static str = "RDTracer";
    const FAMILY: Family = Family::Tracer;
    const SUMMARY: &'static str = "A trace that rises before it decays";
    const EQUATION: &'static str = "value = D − R: traces of x with τ_d and with τ_r·τ_d/(τ_r + τ_d)";

    type Component = SignalTracer<RDTracer>;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Self::Component, Defect> {
        let units = &inputs.require("x", PayloadKind::Floats)?.units;
        let builder = Builder { context, seed: self.seed };
        let tracer = RDTracer {
            tau_rise: builder.units("tau_rise", &self.tau_rise, units)?,
            scale_rise: builder.units("scale_rise", &self.scale_rise, units)?,
            base_rise: builder.units("base_rise", &self.base_rise, units)?,
            tau_decay: builder.units("tau_decay", &self.tau_decay, units)?,
            scale_decay: builder.units("scale_decay", &self.scale_decay, units)?,
            base_decay: builder.units("base_decay", &self.base_decay, units)?,
        };
        Ok(SignalTracer::new(tracer, units, self.dt))
    }
}

spark_core::register!(RDTracerConfig);
