//! Spikes on one side of a synapse strengthen it as far as the other side was active.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::Builder;
use spark_core::component::{Alias, ComponentConfig, Context, Defect, Family};
use spark_core::ports::InputShapes;
use spark_kernels::host::{self, HostLearning, HostTrace, PostTraces, TermsOfSpikes};
use spark_kernels::{OnPost, OnPre, Plasticity, PlasticityOptions, Trace};

use super::traces::averaging;
use super::{Events, Learning, LearningRule, Modulated, PostTrace, PreTrace, Rule, Synapses};
use crate::config::config;

config! {
    /// Hebbian learning from traces of spikes.
    pub struct HebbianRuleConfig {
        /// Time constant of the trace of presynaptic spikes.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        pre_tau: Parameter = 20.0.into(),
        /// Time constant of the trace of postsynaptic spikes.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        post_tau: Parameter = 20.0.into(),
        /// Learning rate.
        eta: f32 = 0.01,
    }
}

/// Hebbian learning from traces of spikes, with a third factor.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ModulatedHebbianRuleConfig(pub HebbianRuleConfig);

/// Hebbian learning with `x` and `y` the traces of pre- and postsynaptic spikes:
///
/// ```text
/// W ← max(W + dt·η·(y·s_pre + x·s_post), 0)
/// ```
///
/// Source: Gerstner, Kistler, Naud & Paninski, *Neuronal Dynamics* (2014), chapter 19.2.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Kernel, PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::plasticity::{HebbianRuleConfig, RuleInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default()
///     .with("pre_spikes", Shape::new(PayloadKind::Spikes, &[2]))
///     .with("post_spikes", Shape::new(PayloadKind::Spikes, &[1]))
///     .with("kernel", Shape::new(PayloadKind::Kernel, &[1, 2]));
/// let mut rule = HebbianRuleConfig::default().run(&wired, 1, &Context::new("rule", &device))?;
/// let inputs = RuleInputs {
///     pre_spikes: Spikes::new(Tensor::from_floats([[1.0, 0.0]], &device)),
///     post_spikes: Spikes::new(Tensor::from_floats([[1.0]], &device)),
///     kernel: Kernel(Tensor::zeros([2, 1], &device)),
/// };
/// let kernel = rule.advance(inputs).kernel.0.into_data().try_to_vec::<f32>().unwrap();
/// assert!(kernel[0] > 0.0 && kernel[1] == 0.0);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct Hebbian {
    /// Time constant of `x` in ms, `[pre]` or `[1]`.
    pub pre_tau: Param<Tensor<1>>,
    /// Time constant of `y` in ms, `[post]` or `[1]`.
    pub post_tau: Param<Tensor<1>>,
    eta: f32,
    dt: f32,
}

spark_core::state! {
    /// What Hebbian learning remembers.
    pub struct HebbianState {
        /// The trace `x`.
        pre_trace: PreTrace,
        /// The trace `y`.
        post_trace: PostTrace,
    }
}

impl LearningRule for Hebbian {
    type State = HebbianState;
    type Plan = [Trace<Tensor<1>>; 2];

    fn plan(&self, synapses: &Synapses) -> Self::Plan {
        let pre_tau = synapses.of_pre(self.pre_tau.val());
        [pre_tau, self.post_tau.val()].map(|tau| averaging(self.dt, tau))
    }

    fn initial_state(&self, synapses: &Synapses, batch: usize) -> HebbianState {
        let device = &self.pre_tau.val().device();
        HebbianState {
            pre_trace: PreTrace::new(synapses, batch, device),
            post_trace: PostTrace::new(synapses, batch, device),
        }
    }

    fn learn(
        &self,
        [x, y]: &Self::Plan,
        events: Events,
        learning: Learning,
        state: HebbianState,
    ) -> (Learning, HebbianState) {
        let pre_trace = state.pre_trace.step(&events.pre, x);
        let post_trace = state.post_trace.step(&events.post, y);
        let rule = Plasticity {
            on_pre: Some(OnPre { spikes: events.pre.signal, factor: post_trace.trace.clone() }),
            on_post: Some(OnPost { spikes: events.post, factor: pre_trace.signal() }),
            ..Default::default()
        };
        let options = PlasticityOptions { rate: self.dt * self.eta, min: 0.0, ..Default::default() };
        let (learning, _) = learning.apply(rule, options);
        (learning, HebbianState { pre_trace, post_trace })
    }

    fn on_host(&self, [x, y]: &Self::Plan, state: &HebbianState) -> Option<HostLearning> {
        let post = PostTraces::One(HostTrace::new(y, host::values(&state.post_trace.trace)?)?);
        let terms = TermsOfSpikes {
            on_pre: [[0.0; 4], [1.0; 4]],
            on_post: [[0.0; 4], [1.0; 4]],
            rate: self.dt * self.eta,
            min: 0.0,
            max: [f32::INFINITY; 4],
        };
        HostLearning::new(terms, state.pre_trace.on_host(x)?, post, state.pre_trace.past.as_ref())
    }

    fn settle(state: &mut HebbianState, learning: &HostLearning) {
        state.pre_trace.settle(learning);
        let (value, device) = (learning.post_trace(), state.post_trace.trace.device());
        let shape = [1, value.len()];
        state.post_trace.trace = host::tensor(value, shape, &device);
    }
}

impl HebbianRuleConfig {
    fn rule(&self, synapses: &Synapses, context: &Context) -> Result<Hebbian, Defect> {
        let builder = Builder { context, seed: self.seed };
        Ok(Hebbian {
            pre_tau: builder.units("pre_tau", &self.pre_tau, &synapses.pre)?,
            post_tau: builder.units("post_tau", &self.post_tau, &synapses.post)?,
            eta: self.eta,
            dt: self.dt,
        })
    }
}

const SOURCE: &str = "Gerstner, Kistler, Naud & Paninski, Neuronal Dynamics (2014), chapter 19.2";

impl ComponentConfig for HebbianRuleConfig {
    const NAME: &'static str = "HebbianRule";
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "Hebbian learning from traces of spikes";
    const EQUATION: &'static str = "W ← max(W + dt·η·(y·s_pre + x·s_post), 0); x, y: traces of s_pre, s_post";
    const SOURCE: &'static str = SOURCE;

    type Component = Rule<Hebbian>;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Rule<Hebbian>, Defect> {
        Rule::new(inputs, |synapses| self.rule(synapses, context))
    }
}

impl ComponentConfig for ModulatedHebbianRuleConfig {
    const NAME: &'static str = "ModulatedHebbianRule";
    const ALIASES: &'static [Alias] =
        &[Alias { ports: &[("reward", "modulation")], ..Alias::new("ThreeFactorHebbianRule") }];
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "Hebbian learning from traces of spikes, with a third factor";
    const EQUATION: &'static str = "W ← max(W + dt·η·M·(y·s_pre + x·s_post), 0); otherwise as HebbianRule";
    const SOURCE: &'static str = SOURCE;

    type Component = Modulated<Hebbian>;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Modulated<Hebbian>, Defect> {
        Modulated::new(inputs, |synapses| self.0.rule(synapses, context))
    }
}

spark_core::register!(HebbianRuleConfig);
spark_core::register!(ModulatedHebbianRuleConfig);
