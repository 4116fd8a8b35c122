//! Hebbian learning that keeps the weights of a unit bounded.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::Builder;
use spark_core::component::{ComponentConfig, Context, Defect, Family};
use spark_core::ports::InputShapes;
use spark_kernels::{OnPre, Plasticity, PlasticityOptions, Relaxation, Trace};

use super::traces::averaging;
use super::{Events, Learning, LearningRule, Modulated, PostTrace, Rule, Synapses};
use crate::config::config;

config! {
    /// Oja's rule on spikes.
    pub struct OjaRuleConfig {
        /// Time constant of the trace of postsynaptic spikes.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        post_tau: Parameter = 20.0.into(),
        /// Learning rate.
        eta: f32 = 0.1,
    }
}

/// Oja's rule on spikes, with a third factor.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ModulatedOjaRuleConfig(pub OjaRuleConfig);

/// Oja's rule with `y` the trace of postsynaptic spikes:
///
/// ```text
/// W ← max(W + dt·η·(y·s_pre − W·y²), 0)
/// ```
///
/// All synapses of an active unit decay, so that a step is a pass over all of them.
///
/// Source: Oja, *A simplified neuron model as a principal component analyzer* (1982).
///
/// # Examples
/// As [`Hebbian`](super::Hebbian).
#[derive(Module, Debug)]
pub struct Oja {
    /// Time constant of `y` in ms, `[post]` or `[1]`.
    pub post_tau: Param<Tensor<1>>,
    eta: f32,
    dt: f32,
}

spark_core::state! {
    /// What Oja's rule remembers.
    pub struct OjaState {
        /// The trace `y`.
        post_trace: PostTrace,
    }
}

impl LearningRule for Oja {
    type State = OjaState;
    type Plan = Trace<Tensor<1>>;

    fn plan(&self, _: &Synapses) -> Self::Plan {
        averaging(self.dt, self.post_tau.val())
    }

    fn initial_state(&self, synapses: &Synapses, batch: usize) -> OjaState {
        OjaState { post_trace: PostTrace::new(synapses, batch, &self.post_tau.val().device()) }
    }

    fn learn(
        &self,
        y: &Self::Plan,
        events: Events,
        learning: Learning,
        state: OjaState,
    ) -> (Learning, OjaState) {
        let post_trace = state.post_trace.step(&events.post, y);
        let y = post_trace.trace.clone();
        let rule = Plasticity {
            on_pre: Some(OnPre { spikes: events.pre.signal, factor: y.clone() }),
            relaxation: Some(Relaxation { pull: -(y.clone() * y), target: None }),
            ..Default::default()
        };
        let options = PlasticityOptions { rate: self.dt * self.eta, min: 0.0, ..Default::default() };
        let (learning, _) = learning.apply(rule, options);
        (learning, OjaState { post_trace })
    }
}

impl OjaRuleConfig {
    fn rule(&self, synapses: &Synapses, context: &Context) -> Result<Oja, Defect> {
        let builder = Builder { context, seed: self.seed };
        let post_tau = builder.units("post_tau", &self.post_tau, &synapses.post)?;
        Ok(Oja { post_tau, eta: self.eta, dt: self.dt })
    }
}

const SOURCE: &str = "Oja, A simplified neuron model as a principal component analyzer (1982)";

impl ComponentConfig for OjaRuleConfig {
    const NAME: &'static str = "OjaRule";
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "Hebbian learning that keeps the weights of a unit bounded";
    const EQUATION: &'static str = "W ← max(W + dt·η·(y·s_pre − W·y²), 0); y: trace of s_post";
    const SOURCE: &'static str = SOURCE;

    type Component = Rule<Oja>;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Rule<Oja>, Defect> {
        Rule::new(inputs, |synapses| self.rule(synapses, context))
    }
}

impl ComponentConfig for ModulatedOjaRuleConfig {
    const NAME: &'static str = "ModulatedOjaRule";
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "Oja's rule with a third factor";
    const EQUATION: &'static str = "W ← max(W + dt·η·M·(y·s_pre − W·y²), 0); otherwise as OjaRule";
    const SOURCE: &'static str = SOURCE;

    type Component = Modulated<Oja>;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Modulated<Oja>, Defect> {
        Modulated::new(inputs, |synapses| self.0.rule(synapses, context))
    }
}

spark_core::register!(OjaRuleConfig);
spark_core::register!(ModulatedOjaRuleConfig);
