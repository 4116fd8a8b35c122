//! Triplet learning kept stable by heterosynaptic and transmitter-induced terms and slow consolidation.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::Builder;
use spark_core::component::{ComponentConfig, Context, Defect, Family};
use spark_core::ports::InputShapes;
use spark_kernels::{
    OnPost, OnPre, Plasticity, PlasticityOptions, Relaxation, Target, TargetDynamics, Trace,
};

use super::traces::averaging;
use super::{Events, Learning, LearningRule, Modulated, PostTrace, PreTrace, Rule, Synapses};
use crate::config::config;

config! {
    /// Orchestrated learning of Zenke, Agnes and Gerstner.
    pub struct ZenkeRuleConfig {
        /// Time constant of the trace of presynaptic spikes.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        pre_tau: Parameter = 20.0.into(),
        /// Time constant of the trace of postsynaptic spikes.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        post_tau: Parameter = 20.0.into(),
        /// Time constant of the slow trace of postsynaptic spikes.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        post_slow_tau: Parameter = 100.0.into(),
        /// Time constant with which weights consolidate.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        target_tau: f32 = 1.2e6,
        /// Potentiation by triplets.
        a: f32 = 2.0,
        /// Depression by pairs, negative.
        b: f32 = -0.02,
        /// Heterosynaptic pull to the consolidated weight, negative.
        c: f32 = -400.0,
        /// Potentiation by presynaptic spikes alone.
        d: f32 = 2e-5,
        /// Strength of consolidation at the stable weights.
        p: f32 = 20.0,
        /// Learning rate.
        eta: f32 = 0.1,
    }
}

/// Orchestrated learning of Zenke, Agnes and Gerstner, with a third factor.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ModulatedZenkeRuleConfig(pub ZenkeRuleConfig);

/// Orchestrated learning with traces `x` of presynaptic and `y`, slow `ȳ`, of postsynaptic spikes, and a
/// consolidated copy `W̃` of the weights:
///
/// ```text
/// W ← max(W + dt·η·Δ, 0)
/// Δ = a·x·ȳ·s_post + b·y·s_pre + c·(W − W̃)·y³·s_post + d·s_pre
/// W̃: trace with time constant τ_W̃ of W − p·W̃·(¼ − W̃)·(½ − W̃)
/// ```
///
/// The copy moves at every synapse, so that a step is a pass over all of them.
///
/// Source: Zenke, Agnes & Gerstner, *Diverse synaptic plasticity mechanisms orchestrated to form and retrieve
/// memories in spiking neural networks* (2015).
///
/// # Examples
/// As [`Hebbian`](super::Hebbian).
#[derive(Module, Debug)]
pub struct Zenke {
    /// Time constant of `x` in ms, `[pre]` or `[1]`.
    pub pre_tau: Param<Tensor<1>>,
    /// Time constant of `y` in ms, `[post]` or `[1]`.
    pub post_tau: Param<Tensor<1>>,
    /// Time constant of `ȳ` in ms, `[post]` or `[1]`.
    pub post_slow_tau: Param<Tensor<1>>,
    #[module(skip)]
    config: ZenkeRuleConfig,
}

spark_core::state! {
    /// What the rule remembers.
    pub struct ZenkeState {
        /// The trace `x`.
        pre_trace: PreTrace,
        /// The trace `y`.
        post_trace: PostTrace,
        /// The trace `ȳ`.
        post_slow_trace: PostTrace,
        /// The consolidated weights.
        target_trace: TargetTrace,
    }
}

spark_core::state! {
    /// Consolidated weights.
    pub struct TargetTrace {
        /// `W̃`, `[pre, post]`.
        trace: Tensor<2>,
    }
}

impl LearningRule for Zenke {
    type State = ZenkeState;
    type Plan = [Trace<Tensor<1>>; 3];

    fn plan(&self, synapses: &Synapses) -> Self::Plan {
        let pre_tau = synapses.of_pre(self.pre_tau.val());
        [pre_tau, self.post_tau.val(), self.post_slow_tau.val()].map(|tau| averaging(self.config.dt, tau))
    }

    fn initial_state(&self, synapses: &Synapses, batch: usize) -> ZenkeState {
        let device = &self.pre_tau.val().device();
        ZenkeState {
            pre_trace: PreTrace::new(synapses, batch, device),
            post_trace: PostTrace::new(synapses, batch, device),
            post_slow_trace: PostTrace::new(synapses, batch, device),
            target_trace: TargetTrace { trace: Tensor::zeros(synapses.counts(), device) },
        }
    }

    fn learn(
        &self,
        [x, y, slow]: &Self::Plan,
        events: Events,
        learning: Learning,
        state: ZenkeState,
    ) -> (Learning, ZenkeState) {
        let ZenkeRuleConfig { dt, target_tau, a, b, c, d, p, eta, .. } = self.config;
        let pre_trace = state.pre_trace.step(&events.pre, x);
        let post_trace = state.post_trace.step(&events.post, y);
        let post_slow_trace = state.post_slow_trace.step(&events.post, slow);
        let dynamics =
            TargetDynamics { rate: -(-dt / target_tau).exp_m1(), scale: 1.0 / target_tau, strength: p };
        let y = post_trace.trace.clone();
        let rule = Plasticity {
            on_pre: Some(OnPre { spikes: events.pre.signal, factor: y.clone() * b + d }),
            on_post: Some(OnPost {
                spikes: post_slow_trace.trace.clone() * events.post.clone() * a,
                factor: pre_trace.signal(),
            }),
            relaxation: Some(Relaxation {
                pull: y.powi_scalar(3) * events.post * c,
                target: Some(Target { trace: state.target_trace.trace, dynamics }),
            }),
            ..Default::default()
        };
        let options = PlasticityOptions { rate: dt * eta, min: 0.0, ..Default::default() };
        let (learning, target) = learning.apply(rule, options);
        let target_trace = TargetTrace { trace: target.expect("the rule has a target") };
        (learning, ZenkeState { pre_trace, post_trace, post_slow_trace, target_trace })
    }
}

impl ZenkeRuleConfig {
    fn rule(&self, synapses: &Synapses, context: &Context) -> Result<Zenke, Defect> {
        let builder = Builder { context, seed: self.seed };
        Ok(Zenke {
            pre_tau: builder.units("pre_tau", &self.pre_tau, &synapses.pre)?,
            post_tau: builder.units("post_tau", &self.post_tau, &synapses.post)?,
            post_slow_tau: builder.units("post_slow_tau", &self.post_slow_tau, &synapses.post)?,
            config: self.clone(),
        })
    }
}

const SOURCE: &str = "Zenke, Agnes & Gerstner, Diverse synaptic plasticity mechanisms orchestrated to form and \
                      retrieve memories in spiking neural networks (2015)";

impl ComponentConfig for ZenkeRuleConfig {
    const NAME: &'static str = "ZenkeRule";
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "Triplet learning with heterosynaptic stabilisation and consolidation";
    const EQUATION: &'static str = "W ← max(W + dt·η·(a·x·ȳ·s_post + b·y·s_pre + c·(W − W̃)·y³·s_post + d·s_pre), 0); \
                                    W̃: slow trace of W − p·W̃·(¼ − W̃)·(½ − W̃)";
    const SOURCE: &'static str = SOURCE;

    type Component = Rule<Zenke>;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Rule<Zenke>, Defect> {
        Rule::new(inputs, |synapses| self.rule(synapses, context))
    }
}

impl ComponentConfig for ModulatedZenkeRuleConfig {
    const NAME: &'static str = "ModulatedZenkeRule";
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "ZenkeRule with a third factor";
    const EQUATION: &'static str = "W ← max(W + dt·η·M·Δ, 0); Δ as in ZenkeRule";
    const SOURCE: &'static str = SOURCE;

    type Component = Modulated<Zenke>;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Modulated<Zenke>, Defect> {
        Modulated::new(inputs, |synapses| self.0.rule(synapses, context))
    }
}

spark_core::register!(ZenkeRuleConfig);
spark_core::register!(ModulatedZenkeRuleConfig);
