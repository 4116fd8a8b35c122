//! Triplet-based spike-timing-dependent plasticity.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::build::{Builder, decay};
use spark_core::component::{ComponentConfig, Context, Defect, Family};
use spark_core::ports::InputShapes;
use spark_core::{Parameter, Problems};
use spark_kernels::{OnPost, OnPre, Trace};

use super::stdp::{around, check_bounds, counted, in_turn, within};
use super::traces::{by_unit, counting, signal};
use super::{Bounds, Events, Learning, LearningRule, Pairing, PostTrace, PreTrace, Rule, Synapses};
use crate::config::config;

config! {
    /// Triplet-based spike-timing-dependent plasticity; the defaults are those fitted to visual cortex.
    pub struct TripletSTDPConfig {
        /// Potentiation by pairs, `A₂⁺`.
        #[schemars(extend("unit" = "pA", "range" = "non_negative"))]
        a2_plus: f32 = 5e-10,
        /// Potentiation by triplets, `A₃⁺`.
        #[schemars(extend("unit" = "pA", "range" = "non_negative"))]
        a3_plus: f32 = 6.2e-3,
        /// Depression by pairs, `A₂⁻`.
        #[schemars(extend("unit" = "pA", "range" = "non_negative"))]
        a2_minus: f32 = 7e-3,
        /// Depression by triplets, `A₃⁻`.
        #[schemars(extend("unit" = "pA", "range" = "non_negative"))]
        a3_minus: f32 = 2.3e-4,
        /// Time constant of the presynaptic trace of pairs, `τ₊`.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        pre_tau: Parameter = 16.8.into(),
        /// Time constant of the presynaptic trace of triplets, `τ_x`.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        pre_slow_tau: Parameter = 101.0.into(),
        /// Time constant of the postsynaptic trace of pairs, `τ₋`.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        post_tau: Parameter = 33.7.into(),
        /// Time constant of the postsynaptic trace of triplets, `τ_y`.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        post_slow_tau: Parameter = 125.0.into(),
        /// Lower bound of a weight.
        #[schemars(extend("unit" = "pA"))]
        w_min: f32 = 0.0,
        /// Upper bound of a weight.
        #[schemars(extend("unit" = "pA"))]
        w_max: f32 = 1.0,
        /// What happens near the bounds.
        bounds: Bounds = Bounds::Hard,
        /// Which spikes pair.
        pairing: Pairing = Pairing::AllToAll,
    }
}

/// Triplet-based spike-timing-dependent plasticity. With fast and slow traces `r₁`, `r₂` of presynaptic and
/// `o₁`, `o₂` of postsynaptic spikes, the slow ones read before the spike of this step:
///
/// ```text
/// presynaptic spike:   W ← W − o₁·(A₂⁻ + A₃⁻·r₂)
/// postsynaptic spike:  W ← W + r₁·(A₂⁺ + A₃⁺·o₂)
/// ```
///
/// Bounds, pairing and order within a step are those of [`PairStdp`](super::PairStdp), to which the rule comes
/// down without `A₃`.
///
/// Source: Pfister & Gerstner, *Triplets of spikes in a model of spike timing-dependent plasticity* (2006).
///
/// # Examples
/// As [`Hebbian`](super::Hebbian).
#[derive(Module, Debug)]
pub struct TripletStdp {
    /// Time constant of `r₁` in ms, `[pre]` or `[1]`.
    pub pre_tau: Param<Tensor<1>>,
    /// Time constant of `r₂` in ms, `[pre]` or `[1]`.
    pub pre_slow_tau: Param<Tensor<1>>,
    /// Time constant of `o₁` in ms, `[post]` or `[1]`.
    pub post_tau: Param<Tensor<1>>,
    /// Time constant of `o₂` in ms, `[post]` or `[1]`.
    pub post_slow_tau: Param<Tensor<1>>,
    #[module(skip)]
    config: TripletSTDPConfig,
}

spark_core::state! {
    /// What triplet-based plasticity remembers.
    pub struct TripletStdpState {
        /// The trace `r₁`.
        pre_trace: PreTrace,
        /// The trace `r₂`, and what spikes that are late stand for.
        pre_slow_trace: PreTrace,
        /// The trace `o₁`.
        post_trace: PostTrace,
        /// The trace `o₂`.
        post_slow_trace: PostTrace,
    }
}

/// What a step of [`TripletStdp`] reads.
#[derive(Clone, Debug)]
pub struct TripletPlan {
    pre: Trace<Tensor<1>>,
    /// Decay of `r₂`, `[1, pre or 1, post or 1]`.
    pre_slow: Tensor<3>,
    post: Tensor<1>,
    post_slow: Tensor<1>,
}

impl LearningRule for TripletStdp {
    type State = TripletStdpState;
    type Plan = TripletPlan;

    fn plan(&self, synapses: &Synapses) -> TripletPlan {
        let TripletSTDPConfig { dt, pairing, .. } = self.config;
        let pre_slow = decay(dt, synapses.of_pre(self.pre_slow_tau.val()));
        let ([pre, _], [length]) = (synapses.counts(), pre_slow.dims());
        let shape = if length == 1 { [1, 1, 1] } else { [1, pre, length / pre] };
        let pre_tau = synapses.of_pre(self.pre_tau.val());
        TripletPlan {
            pre: counting(dt, pre_tau, pairing == Pairing::Nearest),
            pre_slow: pre_slow.reshape(shape),
            post: decay(dt, self.post_tau.val()),
            post_slow: decay(dt, self.post_slow_tau.val()),
        }
    }

    fn initial_state(&self, synapses: &Synapses, batch: usize) -> TripletStdpState {
        let device = &self.pre_tau.val().device();
        TripletStdpState {
            pre_trace: PreTrace::new(synapses, batch, device),
            pre_slow_trace: PreTrace::new(synapses, batch, device),
            post_trace: PostTrace::new(synapses, batch, device),
            post_slow_trace: PostTrace::new(synapses, batch, device),
        }
    }

    fn learn(
        &self,
        plan: &TripletPlan,
        events: Events,
        learning: Learning,
        state: TripletStdpState,
    ) -> (Learning, TripletStdpState) {
        let TripletSTDPConfig { a2_plus, a3_plus, a2_minus, a3_minus, pairing, .. } = self.config;
        let pre_trace = state.pre_trace.step(&events.pre, &plan.pre);
        let (fast, post_trace) = around(state.post_trace.trace, &plan.post, &events.post, pairing);
        let (slow, post_slow_trace) =
            around(state.post_slow_trace.trace, &plan.post_slow, &events.post, pairing);

        let PreTrace { trace, past } = state.pre_slow_trace;
        let before = trace * plan.pre_slow.clone();
        let after = counted(before.clone(), &events.pre.now, pairing);
        let events_down = events.pre.now * (before * a3_minus + a2_minus);
        let past = past.map(|past| past.push(by_unit(events_down.clone())));
        let depression = OnPre { spikes: signal(events_down, past.clone()), factor: fast };
        let potentiation =
            OnPost { spikes: events.post * (slow * a3_plus + a2_plus), factor: pre_trace.signal() };

        let TripletSTDPConfig { w_min, w_max, bounds, .. } = self.config;
        let learning = in_turn(learning, depression, potentiation, [1.0, 1.0], within(w_min, w_max, bounds));
        let pre_slow_trace = PreTrace { trace: after, past };
        (learning, TripletStdpState { pre_trace, pre_slow_trace, post_trace, post_slow_trace })
    }
}

impl ComponentConfig for TripletSTDPConfig {
    const NAME: &'static str = "TripletSTDP";
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "Triplet-based spike-timing-dependent plasticity";
    const EQUATION: &'static str = "pre: W ← W − o₁·(A₂⁻ + A₃⁻·r₂); post: W ← W + r₁·(A₂⁺ + A₃⁺·o₂); \
                                    r₁, r₂, o₁, o₂: fast and slow traces of s_pre and s_post";
    const SOURCE: &'static str =
        "Pfister & Gerstner, Triplets of spikes in a model of spike timing-dependent plasticity (2006)";

    type Component = Rule<TripletStdp>;

    fn check(&self, path: &str, problems: &mut Problems) {
        check_bounds(path, [self.w_min, self.w_max], problems);
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Rule<TripletStdp>, Defect> {
        let builder = Builder { context, seed: self.seed };
        Rule::new(inputs, |synapses| {
            Ok(TripletStdp {
                pre_tau: builder.units("pre_tau", &self.pre_tau, &synapses.pre)?,
                pre_slow_tau: builder.units("pre_slow_tau", &self.pre_slow_tau, &synapses.pre)?,
                post_tau: builder.units("post_tau", &self.post_tau, &synapses.post)?,
                post_slow_tau: builder.units("post_slow_tau", &self.post_slow_tau, &synapses.post)?,
                config: self.clone(),
            })
        })
    }
}

spark_core::register!(TripletSTDPConfig);
