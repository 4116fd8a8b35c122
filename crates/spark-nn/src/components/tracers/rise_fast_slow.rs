//! A trace with a fast and a slow decay.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::Builder;
use spark_core::component::{ComponentConfig, Context, Defect, Family};
use spark_core::payload::PayloadKind;
use spark_core::ports::InputShapes;

use super::{RiseDecayPlan, RiseDecayState, SignalTracer, TraceModel};
use crate::config::config;

config! {
    /// A trace that rises, then decays fast and slowly.
    pub struct RFSTracerConfig {
        /// Share of the fast decay.
        #[schemars(extend("range" = "unit_interval"))]
        alpha: Parameter = 0.8.into(),
        /// Time constant of the rise.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_rise: Parameter = 1.0.into(),
        /// What an input of 1 adds to the rise.
        scale_rise: Parameter = 1.0.into(),
        /// Where the rise starts and falls back to.
        base_rise: Parameter = 0.0.into(),
        /// Time constant of the fast decay.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_fast_decay: Parameter = 5.0.into(),
        /// What an input of 1 adds to the fast decay.
        scale_fast_decay: Parameter = 1.0.into(),
        /// Where the fast decay starts and falls back to.
        base_fast_decay: Parameter = 0.0.into(),
        /// Time constant of the slow decay.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_slow_decay: Parameter = 50.0.into(),
        /// What an input of 1 adds to the slow decay.
        scale_slow_decay: Parameter = 1.0.into(),
        /// Where the slow decay starts and falls back to.
        base_slow_decay: Parameter = 0.0.into(),
    }
}

/// A mixture of two rise–decay traces with one rise:
///
/// ```text
/// value = α·F + (1 − α)·S        F, S: RDTracer with (τ_r, τ_fast) and (τ_r, τ_slow)
/// ```
///
/// # Examples
/// See [`TraceModel`] and [`RFSTracerConfig`].
#[derive(Module, Debug)]
pub struct RFSTracer {
    /// Share of the fast decay, `α`.
    pub alpha: Param<Tensor<1>>,
    /// Time constant of the rise in ms.
    pub tau_rise: Param<Tensor<1>>,
    /// What an input of 1 adds to the rise.
    pub scale_rise: Param<Tensor<1>>,
    /// Where the rise starts and falls back to.
    pub base_rise: Param<Tensor<1>>,
    /// Time constant of the fast decay in ms.
    pub tau_fast_decay: Param<Tensor<1>>,
    /// What an input of 1 adds to the fast decay.
    pub scale_fast_decay: Param<Tensor<1>>,
    /// Where the fast decay starts and falls back to.
    pub base_fast_decay: Param<Tensor<1>>,
    /// Time constant of the slow decay in ms.
    pub tau_slow_decay: Param<Tensor<1>>,
    /// What an input of 1 adds to the slow decay.
    pub scale_slow_decay: Param<Tensor<1>>,
    /// Where the slow decay starts and falls back to.
    pub base_slow_decay: Param<Tensor<1>>,
}

/// What a step of an [`RFSTracer`] reads.
#[derive(Clone, Debug)]
pub struct RiseFastSlowPlan {
    /// Share of the fast part.
    pub alpha: Tensor<1>,
    /// The part that decays fast.
    pub fast: RiseDecayPlan,
    /// The part that decays slowly.
    pub slow: RiseDecayPlan,
}

spark_core::state! {
    /// What an [`RFSTracer`] remembers.
    pub struct RiseFastSlowState {
        /// The part that decays fast.
        tracer_rise_fast: RiseDecayState,
        /// The part that decays slowly.
        tracer_rise_slow: RiseDecayState,
    }
}

impl TraceModel for RFSTracer {
    type State = RiseFastSlowState;
    type Plan = RiseFastSlowPlan;

    fn plan(&self, dt: f32) -> RiseFastSlowPlan {
        let part = |tau: &Param<Tensor<1>>, scale: &Param<Tensor<1>>, base: &Param<Tensor<1>>| {
            let [taus, scales, bases] =
                [[&self.tau_rise, tau], [&self.scale_rise, scale], [&self.base_rise, base]]
                    .map(|both| both.map(Param::val));
            RiseDecayPlan::new(dt, taus, scales, bases)
        };
        RiseFastSlowPlan {
            alpha: self.alpha.val(),
            fast: part(&self.tau_fast_decay, &self.scale_fast_decay, &self.base_fast_decay),
            slow: part(&self.tau_slow_decay, &self.scale_slow_decay, &self.base_slow_decay),
        }
    }

    fn initial_state(&self, plan: &RiseFastSlowPlan, batch: usize, entries: usize) -> RiseFastSlowState {
        let [tracer_rise_fast, tracer_rise_slow] =
            [&plan.fast, &plan.slow].map(|part| part.initial_state(batch, entries));
        RiseFastSlowState { tracer_rise_fast, tracer_rise_slow }
    }

    fn step(
        &self,
        plan: &RiseFastSlowPlan,
        x: Tensor<2>,
        state: RiseFastSlowState,
    ) -> (Tensor<2>, RiseFastSlowState) {
        let (fast, tracer_rise_fast) = plan.fast.step(x.clone(), state.tracer_rise_fast);
        let (slow, tracer_rise_slow) = plan.slow.step(x, state.tracer_rise_slow);
        let value = slow.clone() + (fast - slow) * plan.alpha.clone().unsqueeze();
        (value, RiseFastSlowState { tracer_rise_fast, tracer_rise_slow })
    }

    fn masked_reset(
        &self,
        plan: &RiseFastSlowPlan,
        mask: Tensor<2>,
        state: RiseFastSlowState,
    ) -> RiseFastSlowState {
        RiseFastSlowState {
            tracer_rise_fast: plan.fast.masked_reset(mask.clone(), state.tracer_rise_fast),
            tracer_rise_slow: plan.slow.masked_reset(mask, state.tracer_rise_slow),
        }
    }
}

impl RFSTracerConfig {
    /// The tracer, with its parameters drawn by `parameter` from their name and description.
    pub(crate) fn tracer(
        &self,
        parameter: impl Fn(&str, &Parameter) -> Result<Param<Tensor<1>>, Defect>,
    ) -> Result<RFSTracer, Defect> {
        Ok(RFSTracer {
            alpha: parameter("alpha", &self.alpha)?,
            tau_rise: parameter("tau_rise", &self.tau_rise)?,
            scale_rise: parameter("scale_rise", &self.scale_rise)?,
            base_rise: parameter("base_rise", &self.base_rise)?,
            tau_fast_decay: parameter("tau_fast_decay", &self.tau_fast_decay)?,
            scale_fast_decay: parameter("scale_fast_decay", &self.scale_fast_decay)?,
            base_fast_decay: parameter("base_fast_decay", &self.base_fast_decay)?,
            tau_slow_decay: parameter("tau_slow_decay", &self.tau_slow_decay)?,
            scale_slow_decay: parameter("scale_slow_decay", &self.scale_slow_decay)?,
            base_slow_decay: parameter("base_slow_decay", &self.base_slow_decay)?,
        })
    }
}

impl ComponentConfig for RFSTracerConfig {
    const NAME: &'static str = "RFSTracer";
    const FAMILY: Family = Family::Tracer;
    const SUMMARY: &'static str = "A trace that rises, then decays fast and slowly";
    const EQUATION: &'static str = "value = α·F + (1 − α)·S: rise–decay traces of x with τ_fast and τ_slow";

    type Component = SignalTracer<RFSTracer>;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Self::Component, Defect> {
        let units = &inputs.require("x", PayloadKind::Floats)?.units;
        let builder = Builder { context, seed: self.seed };
        let tracer = self.tracer(|name, parameter| builder.units(name, parameter, units))?;
        Ok(SignalTracer::new(tracer, units, self.dt))
    }
}

spark_core::register!(RFSTracerConfig);
