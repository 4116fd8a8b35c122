//! Pair-based spike-timing-dependent plasticity.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::build::{Builder, decay};
use spark_core::component::{ComponentConfig, Context, Defect, Family};
use spark_core::ports::InputShapes;
use spark_core::schema::join;
use spark_core::{Parameter, Problems};
use spark_kernels::{OnPost, OnPre, Plasticity, PlasticityOptions, Trace};

use super::traces::counting;
use super::{Events, Learning, LearningRule, PostTrace, PreTrace, Rule, Synapses};
use crate::config::config;

/// What happens to a weight near its bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bounds {
    /// It is cut off there.
    #[default]
    Hard,
    /// Potentiation shrinks with the distance to the upper bound, depression with that to the lower one.
    Soft,
}

/// Which spikes of the other side a spike pairs with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pairing {
    /// With all earlier ones.
    #[default]
    AllToAll,
    /// With the last one.
    Nearest,
}

config! {
    /// Pair-based spike-timing-dependent plasticity.
    pub struct PairSTDPConfig {
        /// Potentiation by a presynaptic spike right before a postsynaptic one.
        #[schemars(extend("unit" = "pA", "range" = "non_negative"))]
        a_plus: f32 = 0.01,
        /// Depression by a presynaptic spike right after a postsynaptic one.
        #[schemars(extend("unit" = "pA", "range" = "non_negative"))]
        a_minus: f32 = 0.0105,
        /// How long a presynaptic spike is remembered: the width of the window of potentiation.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        pre_tau: Parameter = 20.0.into(),
        /// How long a postsynaptic spike is remembered: the width of the window of depression.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        post_tau: Parameter = 20.0.into(),
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

/// Pair-based spike-timing-dependent plasticity. With traces to which every spike adds 1, `x` of presynaptic
/// and `y` of postsynaptic spikes:
///
/// ```text
/// presynaptic spike:   x ← x + 1,  W ← W − A₋·y·d₋        d₋ = 1, or (W − W_min)/(W_max − W_min)
/// postsynaptic spike:  y ← y + 1,  W ← W + A₊·x·d₊        d₊ = 1, or (W_max − W)/(W_max − W_min)
/// ```
///
/// with `d = 1` for hard bounds, at which `W` is cut off. Traces decay before they are used; a presynaptic
/// spike comes before a postsynaptic one of the same step, so that the two potentiate. Where only the nearest
/// spikes pair, a spike sets its trace to 1. One pair changes the weight by `A₊·exp(−Δt/τ_pre)` or
/// `−A₋·exp(Δt/τ_post)`, whatever the duration of a step.
///
/// Source: Song, Miller & Abbott, *Competitive Hebbian learning through spike-timing-dependent synaptic
/// plasticity* (2000); soft bounds: van Rossum, Bi & Turrigiano (2000); pairing: Morrison, Diesmann & Gerstner
/// (2008).
///
/// # Examples
/// As [`Hebbian`](super::Hebbian).
#[derive(Module, Debug)]
pub struct PairStdp {
    /// Time constant of `x` in ms, `[pre]` or `[1]`.
    pub pre_tau: Param<Tensor<1>>,
    /// Time constant of `y` in ms, `[post]` or `[1]`.
    pub post_tau: Param<Tensor<1>>,
    #[module(skip)]
    config: PairSTDPConfig,
}

spark_core::state! {
    /// What pair-based plasticity remembers.
    pub struct PairStdpState {
        /// The trace `x`.
        pre_trace: PreTrace,
        /// The trace `y`.
        post_trace: PostTrace,
    }
}

/// Bounds of a weight as options of a step.
pub(super) fn within(min: f32, max: f32, bounds: Bounds) -> PlasticityOptions {
    PlasticityOptions { min, max, soft: bounds == Bounds::Soft, ..Default::default() }
}

/// Requires bounds in order.
pub(super) fn check_bounds(path: &str, [min, max]: [f32; 2], problems: &mut Problems) {
    if min >= max {
        problems.push(join(path, "w_max"), max, format!("a number above w_min, {min}"));
    }
}

/// A postsynaptic trace as it stands before the spikes of this step, and after them.
pub(super) fn around(
    trace: Tensor<2>,
    decay: &Tensor<1>,
    spikes: &Tensor<2>,
    pairing: Pairing,
) -> (Tensor<2>, PostTrace) {
    let before = trace * decay.clone().unsqueeze();
    let trace = counted(before.clone(), spikes, pairing);
    (before, PostTrace { trace })
}

/// A trace after the spikes of a step.
pub(super) fn counted<const D: usize>(before: Tensor<D>, spikes: &Tensor<D>, pairing: Pairing) -> Tensor<D> {
    let after = before + spikes.clone();
    if pairing == Pairing::Nearest { after.clamp_max(1.0) } else { after }
}

impl LearningRule for PairStdp {
    type State = PairStdpState;
    /// The trace `x`, and the decay of `y`.
    type Plan = (Trace<Tensor<1>>, Tensor<1>);

    fn plan(&self, synapses: &Synapses) -> Self::Plan {
        let PairSTDPConfig { dt, pairing, .. } = self.config;
        let pre_tau = synapses.of_pre(self.pre_tau.val());
        (counting(dt, pre_tau, pairing == Pairing::Nearest), decay(dt, self.post_tau.val()))
    }

    fn initial_state(&self, synapses: &Synapses, batch: usize) -> PairStdpState {
        let device = &self.pre_tau.val().device();
        PairStdpState {
            pre_trace: PreTrace::new(synapses, batch, device),
            post_trace: PostTrace::new(synapses, batch, device),
        }
    }

    fn learn(
        &self,
        (x, decay): &Self::Plan,
        events: Events,
        learning: Learning,
        state: PairStdpState,
    ) -> (Learning, PairStdpState) {
        let PairSTDPConfig { a_plus, a_minus, w_min, w_max, bounds, pairing, .. } = self.config;
        let pre_trace = state.pre_trace.step(&events.pre, x);
        let (y, post_trace) = around(state.post_trace.trace, decay, &events.post, pairing);
        let depression = OnPre { spikes: events.pre.signal, factor: y };
        let potentiation = OnPost { spikes: events.post, factor: pre_trace.signal() };
        let learning =
            in_turn(learning, depression, potentiation, [a_minus, a_plus], within(w_min, w_max, bounds));
        (learning, PairStdpState { pre_trace, post_trace })
    }
}

/// Depression, then potentiation of what that leaves.
pub(super) fn in_turn(
    learning: Learning,
    depression: OnPre,
    potentiation: OnPost,
    [a_minus, a_plus]: [f32; 2],
    bounds: PlasticityOptions,
) -> Learning {
    let depression = Plasticity { on_pre: Some(depression), ..Default::default() };
    let potentiation = Plasticity { on_post: Some(potentiation), ..Default::default() };
    let (learning, _) = learning.apply(depression, PlasticityOptions { rate: -a_minus, ..bounds });
    let (learning, _) = learning.apply(potentiation, PlasticityOptions { rate: a_plus, ..bounds });
    learning
}

impl ComponentConfig for PairSTDPConfig {
    const NAME: &'static str = "PairSTDP";
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "Pair-based spike-timing-dependent plasticity with hard or soft bounds";
    const EQUATION: &'static str = "pre: x ← x + 1, W ← W − A₋·y·d₋; post: y ← y + 1, W ← W + A₊·x·d₊; hard: d = 1; \
                                    soft: d₋ = (W − W_min)/(W_max − W_min), d₊ = 1 − d₋";
    const SOURCE: &'static str = "Song, Miller & Abbott, Competitive Hebbian learning through spike-timing-dependent \
                                  synaptic plasticity (2000); Morrison, Diesmann & Gerstner, Phenomenological models \
                                  of synaptic plasticity based on spike timing (2008)";

    type Component = Rule<PairStdp>;

    fn check(&self, path: &str, problems: &mut Problems) {
        check_bounds(path, [self.w_min, self.w_max], problems);
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Rule<PairStdp>, Defect> {
        let builder = Builder { context, seed: self.seed };
        Rule::new(inputs, |synapses| {
            Ok(PairStdp {
                pre_tau: builder.units("pre_tau", &self.pre_tau, &synapses.pre)?,
                post_tau: builder.units("post_tau", &self.post_tau, &synapses.post)?,
                config: self.clone(),
            })
        })
    }
}

spark_core::register!(PairSTDPConfig);
