//! Four terms, each with a parameter for every combination of types.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use spark_core::build::Builder;
use spark_core::component::{Alias, ComponentConfig, Context, Defect, Family};
use spark_core::ports::InputShapes;
use spark_core::schema::join;
use spark_core::state::{State, StateMapper};
use spark_core::{Parameter, Problems};
use spark_kernels::host::{self, HostLearning, HostTrace, PostTraces, TermsOfSpikes};
use spark_kernels::{
    DelayRing, OnPost, OnPre, PairTypes, Plasticity, PlasticityOptions, PreSignal, Trace, trace_step,
};

use super::traces::averaging;
use super::{Events, Learning, LearningRule, Modulated, PerType, PreTrace, Rule, Synapses};
use crate::config::config;

config! {
    /// Learning by four terms with parameters by type.
    pub struct QuadrupletRuleConfig {
        /// Time constant of the trace of presynaptic spikes.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        pre_tau: Parameter = 1.0.into(),
        /// Time constant of the trace of postsynaptic spikes.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        post_tau: PerType = [1.0, 2.0, 3.0, 4.0].into(),
        /// What a presynaptic spike adds by itself.
        q_alpha: PerType = 1.0.into(),
        /// What it adds in proportion to the postsynaptic trace.
        q_beta: PerType = 1.0.into(),
        /// What a postsynaptic spike adds by itself.
        q_gamma: PerType = [1.0, 2.0, 3.0, 4.0].into(),
        /// What it adds in proportion to the presynaptic trace.
        q_delta: PerType = 1.0.into(),
        /// Learning rate.
        eta: f32 = 0.1,
        /// Upper bound of a weight.
        #[schemars(extend("unit" = "pA", "range" = "non_negative"))]
        max_clip: PerType = 20.0.into(),
        /// Lower bound of a weight. Below 0, synapses may change from exciting to inhibiting and back.
        #[schemars(extend("unit" = "pA"))]
        min_clip: f32 = 0.0,
    }
}

/// Learning by four terms with parameters by type, with a third factor.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ModulatedQuadrupletRuleConfig(pub QuadrupletRuleConfig);

/// Learning by four terms with `x` and `y` the traces of pre- and postsynaptic spikes:
///
/// ```text
/// W ← clip(W + dt·η·(α·s_pre + β·y·s_pre + γ·s_post + δ·x·s_post), min, max)
/// ```
///
/// With `α = 1`, the other terms 0, a `min` below 0 and a third factor for each postsynaptic unit that says how much
/// more it should have been active, this is the delta rule (Widrow & Hoff, *Adaptive switching circuits*, 1960).
///
/// Parameters may differ by the types of both units. The types come with the spikes; they are read in the
/// first step and taken as fixed from there until the state is reset.
///
/// # Examples
/// As [`Hebbian`](super::Hebbian).
#[derive(Module, Debug)]
pub struct Quadruplet {
    /// Time constant of `x` in ms, `[pre]` or `[1]`.
    pub pre_tau: Param<Tensor<1>>,
    #[module(skip)]
    config: QuadrupletRuleConfig,
}

/// What the rule remembers.
#[derive(Clone, Debug)]
pub struct QuadrupletState {
    /// The trace `x`.
    pub pre_trace: PreTrace,
    /// The trace `y`, `[batch, sets, post]`: one, or one as excitatory and one as inhibitory synapses see it.
    pub post_trace: Tensor<3>,
    /// What follows from the types of units; found again where it is missing.
    types: Option<Types>,
    /// What follows from the last steps of delayed spikes and their trace; found again where it is missing.
    late: Option<Late>,
}

/// Rings `[slots, 2·batch, pre]` of what delayed spikes and their trace mean, by type.
#[derive(Clone, Debug)]
struct Late {
    spikes: DelayRing,
    factor: DelayRing,
}

impl State for QuadrupletState {
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
        Self {
            pre_trace: mapper.field("pre_trace", self.pre_trace),
            post_trace: mapper.field("post_trace.trace", self.post_trace),
            types: self.types,
            // The mapper may put other planes in place of those that this was made of.
            late: None,
        }
    }
}

/// Parameters laid out for units of both types.
#[derive(Clone, Debug)]
struct Types {
    /// 1 for units of each type, `[1, 2, units]`, of both sides.
    masks: [Tensor<3>; 2],
    y: Trace<Tensor<1>>,
    /// `α` and `β` for excitatory, then for inhibitory presynaptic units, `[1, 2, post]`.
    on_pre: [Tensor<3>; 2],
    /// `γ` and `δ` for excitatory, then for inhibitory postsynaptic units, `[1, 2, pre]`, or by synapse,
    /// `[1, pre, post]`, where spikes come by pair.
    on_post: [Tensor<3>; 2],
    /// Upper bounds by synapse, where they differ.
    max: Option<Tensor<2>>,
}

impl Types {
    fn new(config: &QuadrupletRuleConfig, types: PairTypes, by_pair: bool) -> Self {
        let QuadrupletRuleConfig { dt, q_alpha, q_beta, q_gamma, q_delta, .. } = *config;
        let post_tau: Tensor<1> = types.for_pre(config.post_tau.each()).flatten(0, 1);
        let on_post = |parameter: PerType| match by_pair {
            true => types.pairs(parameter.each()).unsqueeze(),
            false => types.for_post(parameter.each()).unsqueeze(),
        };
        let ones = |inhibitory: &Tensor<1>| inhibitory.ones_like().unsqueeze();
        let masks = [
            types.split_pre(ones(&types.pre_inhibitory)).unsqueeze(),
            types.split_post(ones(&types.post_inhibitory)).unsqueeze(),
        ];
        Self {
            masks,
            y: averaging(dt, post_tau),
            on_pre: [q_alpha, q_beta].map(|parameter| types.for_pre(parameter.each()).unsqueeze()),
            on_post: [q_gamma, q_delta].map(on_post),
            max: config.max_clip.differs().then(|| types.pairs(config.max_clip.each())),
        }
    }

    fn terms(&self, events: Events, y: Tensor<3>, x: PreSignal, late: &mut Option<Late>) -> Plasticity {
        let [alpha, beta] = self.on_pre.clone();
        let [pre_masks, post_masks] = &self.masks;
        let (spikes, x) = match (events.pre.signal, x) {
            (PreSignal::Delayed(spikes), PreSignal::Delayed(x)) => {
                let now = self.late(late.take(), spikes, x);
                let Late { spikes, factor } = late.insert(now).clone();
                (PreSignal::Delayed(spikes), PreSignal::Delayed(factor))
            }
            (PreSignal::Pairs(spikes), x) => (self.split_pairs(spikes), self.factor(x)),
            (PreSignal::Units(spikes), x) => (PreSignal::Units(split(spikes, pre_masks)), self.factor(x)),
            (PreSignal::Delayed(spikes), x) => (PreSignal::Delayed(self.split_ring(spikes)), self.factor(x)),
        };
        let post = match &x {
            PreSignal::Pairs(_) => events.post,
            _ => split(events.post, post_masks),
        };
        Plasticity {
            on_pre: Some(OnPre { spikes, factor: rows(y * beta + alpha) }),
            on_post: Some(OnPost { spikes: post, factor: x }),
            max: self.max.clone(),
            ..Default::default()
        }
    }

    /// What a trace of presynaptic spikes means to a postsynaptic spike.
    fn factor(&self, x: PreSignal) -> PreSignal {
        let [gamma, delta] = self.on_post.clone();
        match x {
            PreSignal::Pairs(x) => PreSignal::Pairs(x * delta + gamma),
            PreSignal::Units(x) => PreSignal::Units(self.factor_of_units(x)),
            PreSignal::Delayed(ring) => {
                PreSignal::Delayed(of_steps(ring, |history| self.factor_of_units(history)))
            }
        }
    }

    /// As [`factor`](Self::factor), `[2·rows, pre]` of a trace `[rows, pre]`.
    fn factor_of_units(&self, x: Tensor<2>) -> Tensor<2> {
        let [gamma, delta] = self.on_post.clone();
        rows(x.unsqueeze_dim::<3>(1) * delta + gamma)
    }

    /// Rings by type of delayed spikes and of their trace: those of the step before with this step pushed, or
    /// where there are none, made of all steps.
    fn late(&self, before: Option<Late>, spikes: DelayRing, x: DelayRing) -> Late {
        let [slots, batch, pre] = spikes.history.dims();
        let follows = |ring: &DelayRing, now: &DelayRing| {
            (ring.newest + 1) % slots == now.newest && ring.history.dims() == [slots, 2 * batch, pre]
        };
        match before {
            Some(before) if follows(&before.spikes, &spikes) && follows(&before.factor, &x) => Late {
                spikes: before.spikes.push(split(newest(&spikes), &self.masks[0])),
                factor: before.factor.push(self.factor_of_units(newest(&x))),
            },
            _ => Late {
                spikes: self.split_ring(spikes),
                factor: of_steps(x, |history| self.factor_of_units(history)),
            },
        }
    }

    /// Delayed spikes by type.
    fn split_ring(&self, spikes: DelayRing) -> DelayRing {
        of_steps(spikes, |history| split(history, &self.masks[0]))
    }

    /// Spikes of pairs by type.
    fn split_pairs(&self, spikes: Tensor<3>) -> PreSignal {
        let [batch, pre, post] = spikes.dims();
        let split: Tensor<4> = spikes.unsqueeze_dim::<4>(1) * self.masks[0].clone().reshape([1, 2, pre, 1]);
        PreSignal::Pairs(split.reshape([2 * batch, pre, post]))
    }
}

/// A signal `[rows, units]` by type, `[2·rows, units]`: zero for units of the other one.
fn split(signal: Tensor<2>, masks: &Tensor<3>) -> Tensor<2> {
    rows(signal.unsqueeze_dim::<3>(1) * masks.clone())
}

/// A ring of which every step is made twice as many rows.
fn of_steps(ring: DelayRing, each: impl Fn(Tensor<2>) -> Tensor<2>) -> DelayRing {
    let [slots, batch, pre] = ring.history.dims();
    let history = each(ring.history.reshape([slots * batch, pre])).reshape([slots, 2 * batch, pre]);
    DelayRing { history, newest: ring.newest }
}

/// The step that a ring got last, `[batch, pre]`.
fn newest(ring: &DelayRing) -> Tensor<2> {
    let [_, batch, pre] = ring.history.dims();
    ring.history.clone().slice_dim(0, ring.newest..ring.newest + 1).reshape([batch, pre])
}

/// `[batch, 2, units]` as `[2·batch, units]`.
fn rows(plane: Tensor<3>) -> Tensor<2> {
    let [batch, sets, units] = plane.dims();
    plane.reshape([batch * sets, units])
}

impl Quadruplet {
    /// Whether any parameter depends on the types of units.
    fn by_type(&self) -> bool {
        let QuadrupletRuleConfig { post_tau, q_alpha, q_beta, q_gamma, q_delta, max_clip, .. } = self.config;
        let parameters = [post_tau, q_alpha, q_beta, q_gamma, q_delta, max_clip];
        parameters.iter().any(|parameter| parameter.differs())
    }

    /// The terms where all types have the same parameters.
    fn terms(&self, events: Events, y: Tensor<3>, x: PreSignal) -> Plasticity {
        let QuadrupletRuleConfig { q_alpha, q_beta, q_gamma, q_delta, .. } = self.config;
        let [alpha, beta, gamma, delta] =
            [q_alpha, q_beta, q_gamma, q_delta].map(|parameter| parameter.each()[0]);
        let factor = match x {
            PreSignal::Units(x) => PreSignal::Units(x * delta + gamma),
            PreSignal::Pairs(x) => PreSignal::Pairs(x * delta + gamma),
            PreSignal::Delayed(DelayRing { history, newest }) => {
                PreSignal::Delayed(DelayRing { history: history * delta + gamma, newest })
            }
        };
        Plasticity {
            on_pre: Some(OnPre { spikes: events.pre.signal, factor: rows(y * beta + alpha) }),
            on_post: Some(OnPost { spikes: events.post, factor }),
            ..Default::default()
        }
    }
}

impl LearningRule for Quadruplet {
    type State = QuadrupletState;
    /// The trace `x`, and `y` where it is the same for all types.
    type Plan = [Trace<Tensor<1>>; 2];

    fn plan(&self, synapses: &Synapses) -> Self::Plan {
        let pre_tau = self.pre_tau.val();
        let post_tau =
            Tensor::from_data(TensorData::new(vec![self.config.post_tau.each()[0]], [1]), &pre_tau.device());
        [synapses.of_pre(pre_tau), post_tau].map(|tau| averaging(self.config.dt, tau))
    }

    fn initial_state(&self, synapses: &Synapses, batch: usize) -> QuadrupletState {
        let (device, [_, post]) = (&self.pre_tau.val().device(), synapses.counts());
        let sets = if self.by_type() { 2 } else { 1 };
        QuadrupletState {
            pre_trace: PreTrace::new(synapses, batch, device),
            post_trace: Tensor::zeros([batch, sets, post], device),
            types: None,
            late: None,
        }
    }

    fn learn(
        &self,
        [x, y]: &Self::Plan,
        events: Events,
        learning: Learning,
        state: QuadrupletState,
    ) -> (Learning, QuadrupletState) {
        let pre_trace = state.pre_trace.step(&events.pre, x);
        let x = pre_trace.signal();
        let types = self.by_type().then(|| {
            state.types.unwrap_or_else(|| {
                let types = pair_types(&events.inhibitory, &learning.kernel);
                Types::new(&self.config, types, matches!(x, PreSignal::Pairs(_)))
            })
        });
        let y = types.as_ref().map_or(y, |types| &types.y);
        let spikes: Tensor<3> = events.post.clone().unsqueeze_dim(1);
        let shape = state.post_trace.dims();
        let post_trace = trace_step(state.post_trace, spikes.expand(shape), y);
        let mut late = state.late;
        let rule = match &types {
            Some(types) => types.terms(events, post_trace.clone(), x, &mut late),
            None => self.terms(events, post_trace.clone(), x),
        };
        let QuadrupletRuleConfig { dt, eta, min_clip, max_clip, .. } = self.config;
        let options = PlasticityOptions {
            rate: dt * eta,
            min: min_clip,
            max: max_clip.each()[0],
            ..Default::default()
        };
        let (learning, _) = learning.apply(rule, options);
        (learning, QuadrupletState { pre_trace, post_trace, types, late })
    }

    fn on_host(&self, [x, y]: &Self::Plan, state: &QuadrupletState) -> Option<HostLearning> {
        let QuadrupletRuleConfig { dt, post_tau, q_alpha, q_beta, q_gamma, q_delta, eta, .. } = self.config;
        let terms = TermsOfSpikes {
            on_pre: [q_alpha, q_beta].map(PerType::each),
            on_post: [q_gamma, q_delta].map(PerType::each),
            rate: dt * eta,
            min: self.config.min_clip,
            max: self.config.max_clip.each(),
        };
        let value = host::values(&state.post_trace)?;
        let post = if self.by_type() {
            let trace = averaging(dt, Tensor::from_floats(post_tau.each(), &state.post_trace.device()));
            let each = |parameter: &Tensor<1>| host::values(parameter)?.try_into().ok();
            PostTraces::ByType { rate: each(&trace.rate)?, scale: each(&trace.scale)?, value }
        } else {
            PostTraces::One(HostTrace::new(y, value)?)
        };
        HostLearning::new(terms, state.pre_trace.on_host(x)?, post, state.pre_trace.past.as_ref())
    }

    fn settle(state: &mut QuadrupletState, learning: &HostLearning) {
        state.pre_trace.settle(learning);
        let (value, device) = (learning.post_trace(), state.post_trace.device());
        let shape = state.post_trace.dims();
        state.post_trace = host::tensor(value, shape, &device);
        // Of steps that it has not seen.
        state.late = None;
    }
}

/// The types of units on both sides of a kernel; excitatory where nothing is said.
fn pair_types(inhibitory: &[Option<Tensor<1>>; 2], kernel: &Tensor<2>) -> PairTypes {
    let mask = |side: usize| {
        inhibitory[side].clone().unwrap_or_else(|| Tensor::zeros([kernel.dims()[side]], &kernel.device()))
    };
    PairTypes { pre_inhibitory: mask(0), post_inhibitory: mask(1) }
}

impl QuadrupletRuleConfig {
    fn check_bounds(&self, path: &str, problems: &mut Problems) {
        let field = join(path, "min_clip");
        problems.finite(&field, self.min_clip);
        if self.max_clip.each().iter().any(|max| self.min_clip > *max) {
            problems.push(field, self.min_clip, "a number up to max_clip");
        }
    }

    fn rule(&self, synapses: &Synapses, context: &Context) -> Result<Quadruplet, Defect> {
        let builder = Builder { context, seed: self.seed };
        let pre_tau = builder.units("pre_tau", &self.pre_tau, &synapses.pre)?;
        Ok(Quadruplet { pre_tau, config: self.clone() })
    }
}

impl ComponentConfig for QuadrupletRuleConfig {
    const NAME: &'static str = "QuadrupletRule";
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "Learning by four terms with parameters by type";
    const EQUATION: &'static str = "W ← clip(W + dt·η·(α·s_pre + β·y·s_pre + γ·s_post + δ·x·s_post), min, max); \
                                    x, y: traces of s_pre, s_post";

    type Component = Rule<Quadruplet>;

    fn check(&self, path: &str, problems: &mut Problems) {
        self.check_bounds(path, problems);
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Rule<Quadruplet>, Defect> {
        Rule::new(inputs, |synapses| self.rule(synapses, context))
    }
}

impl ComponentConfig for ModulatedQuadrupletRuleConfig {
    const NAME: &'static str = "ModulatedQuadrupletRule";
    const ALIASES: &'static [Alias] = &[Alias::new("QuadrupletRuleTensor")];
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "QuadrupletRule with a third factor";
    const EQUATION: &'static str = "W ← clip(W + dt·η·M·Δ, min, max); Δ as in QuadrupletRule";

    type Component = Modulated<Quadruplet>;

    fn check(&self, path: &str, problems: &mut Problems) {
        self.0.check_bounds(path, problems);
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Modulated<Quadruplet>, Defect> {
        Modulated::new(inputs, |synapses| self.0.rule(synapses, context))
    }
}

spark_core::register!(QuadrupletRuleConfig);
spark_core::register!(ModulatedQuadrupletRuleConfig);

#[cfg(test)]
mod tests {
    use super::super::{ModulatedInputs, RuleInputs};
    use super::*;
    use burn::tensor::Device;
    use spark_core::payload::{Floats, Kernel, PayloadKind, Shape, Spikes};

    /// A single term with a factor for each unit is the delta rule, and passes through zero.
    #[test]
    fn below_zero_weights_go_where_the_third_factor_takes_them() {
        let device = Device::flex();
        let wired = InputShapes::default()
            .with("pre_spikes", Shape::new(PayloadKind::Spikes, &[2]))
            .with("post_spikes", Shape::new(PayloadKind::Spikes, &[3]))
            .with("kernel", Shape::new(PayloadKind::Kernel, &[3, 2]));
        let modulated = wired.clone().with("modulation", Shape::new(PayloadKind::Floats, &[3]));
        let zero = PerType::Same(0.0);
        let config = QuadrupletRuleConfig {
            q_beta: zero,
            q_gamma: zero,
            q_delta: zero,
            eta: 1.0,
            min_clip: -2.0,
            max_clip: 2.0.into(),
            ..Default::default()
        };
        let context = Context::new("rule", &device);
        let mut rule = ModulatedQuadrupletRuleConfig(config.clone()).run(&modulated, 1, &context).unwrap();
        let row = |values: [f32; 3]| Tensor::<2>::from_floats([values], &device);
        let weights = rule.advance(ModulatedInputs {
            modulation: Floats(row([-1.0, 0.5, -3.0])),
            pre_spikes: Spikes::new(Tensor::from_floats([[1.0, 0.0]], &device)),
            post_spikes: Spikes::new(row([1.0, 0.0, 1.0])),
            kernel: Kernel(Tensor::from_floats([[0.25, 0.25, 0.25], [-1.0, 1.0, 0.0]], &device)),
        });
        let weights = weights.kernel.0.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(weights, [-0.75, 0.75, -2.0, -1.0, 1.0, 0.0]);

        let mut plain = QuadrupletRuleConfig { eta: -1.0, q_alpha: 1.0.into(), ..config };
        let advance = |config: &QuadrupletRuleConfig| {
            let mut rule = config.run(&wired, 1, &context).unwrap();
            let inputs = RuleInputs {
                pre_spikes: Spikes::new(Tensor::ones([1, 2], &device)),
                post_spikes: Spikes::new(Tensor::zeros([1, 3], &device)),
                kernel: Kernel(Tensor::full([2, 3], 0.5, &device)),
            };
            rule.advance(inputs).kernel.0.into_data().try_to_vec::<f32>().unwrap()
        };
        assert_eq!(advance(&plain), [-0.5; 6]);
        plain.min_clip = 0.0;
        assert_eq!(advance(&plain), [0.0; 6]);
        let mut problems = Problems::default();
        QuadrupletRuleConfig { min_clip: 3.0, ..plain }.check("rule", &mut problems);
        assert_eq!(problems.to_string(), "rule.min_clip: found 3, expected a number up to max_clip");
    }
}
