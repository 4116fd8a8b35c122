//! What all learning rules share.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use spark_core::component::{Component, Defect};
use spark_core::host::{HostStep, HostWiring, Signal};
use spark_core::payload::{Floats, Kernel, PayloadKind, Shape, Spikes};
use spark_core::ports::{InputShapes, PortError};
use spark_core::state::State;
use spark_kernels::host::HostLearning;
use spark_kernels::{Delays, Plasticity, PlasticityOptions, plasticity_step};
use std::sync::Arc;

use super::third_factor::{ThirdFactor, ThirdFactorShape, modulated_step};
use super::traces::PreSpikes;
use crate::components::synapses::SharedSynapses;

spark_core::ports! {
    /// What a learning rule takes.
    pub struct RuleInputs {
        /// Spikes that arrive at the synapses.
        pre_spikes: Spikes,
        /// Spikes of the postsynaptic units.
        post_spikes: Spikes,
        /// The strengths of the synapses.
        kernel: Kernel,
    }
}

spark_core::ports! {
    /// What a learning rule with a third factor takes.
    pub struct ModulatedInputs {
        /// The third factor: one for all synapses, or one by presynaptic unit, postsynaptic unit or synapse.
        modulation: Floats,
        /// Spikes that arrive at the synapses.
        pre_spikes: Spikes,
        /// Spikes of the postsynaptic units.
        post_spikes: Spikes,
        /// The strengths of the synapses.
        kernel: Kernel,
    }
}

spark_core::ports! {
    /// What a learning rule gives.
    pub struct KernelOutput {
        /// The strengths of the synapses after the step.
        kernel: Kernel,
    }
}

/// The synapses that a rule is wired to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synapses {
    /// Shape of the presynaptic units.
    pub pre: Vec<usize>,
    /// Shape of the postsynaptic units.
    pub post: Vec<usize>,
    /// Whether each synapse has presynaptic spikes of its own.
    pub pairs: bool,
    /// The longest delay in steps, where those come as spikes of units and delays.
    pub max_delay: Option<usize>,
}

impl Synapses {
    /// Synapses between what is wired to `pre_spikes`, `post_spikes` and `kernel`.
    ///
    /// # Errors
    /// When their shapes do not fit one another.
    pub fn wired(inputs: &InputShapes) -> Result<Self, PortError> {
        let post = inputs.require("post_spikes", PayloadKind::Spikes)?;
        Self::check_by_unit("post_spikes", post)?;
        Self::onto(&post.units, inputs)
    }

    /// As [`wired`](Self::wired), for postsynaptic units of a known shape.
    ///
    /// # Errors
    /// When the shapes do not fit one another.
    pub fn onto(post: &[usize], inputs: &InputShapes) -> Result<Self, PortError> {
        let (spikes, kernel) = (
            inputs.require("pre_spikes", PayloadKind::Spikes)?,
            inputs.require("kernel", PayloadKind::Kernel)?,
        );
        let mismatch = |port: &str, found: &Shape, expected: String| PortError::Mismatch {
            port: port.to_owned(),
            found: found.to_string(),
            expected,
        };
        if !kernel.units.starts_with(post) {
            let expected = format!("a kernel [post…, pre…] onto units {post:?}");
            return Err(mismatch("kernel", kernel, expected));
        }
        let pre = kernel.units[post.len()..].to_vec();
        let expected = if spikes.pairs { &kernel.units } else { &pre };
        if spikes.units != *expected {
            let expected = format!("spikes {expected:?}, as the kernel {:?} has it", kernel.units);
            return Err(mismatch("pre_spikes", spikes, expected));
        }
        Ok(Self { pre, post: post.to_vec(), pairs: spikes.pairs, max_delay: spikes.max_delay })
    }

    /// Refuses spikes that arrive by pair.
    pub(super) fn check_by_unit(port: &str, shape: &Shape) -> Result<(), PortError> {
        match shape.pairs {
            false => Ok(()),
            true => Err(PortError::Mismatch {
                port: port.to_owned(),
                found: shape.to_string(),
                expected: "spikes by unit".to_owned(),
            }),
        }
    }

    /// Numbers of presynaptic and of postsynaptic units.
    pub fn counts(&self) -> [usize; 2] {
        [&self.pre, &self.post].map(|units| units.iter().product())
    }

    /// Whether traces of presynaptic spikes are kept by pair.
    pub fn by_pair(&self) -> bool {
        self.pairs && self.max_delay.is_none()
    }

    /// A parameter of presynaptic units, `[pre]` or `[1]`, as their traces have it.
    pub fn of_pre(&self, parameter: Tensor<1>) -> Tensor<1> {
        let ([pre, post], [length]) = (self.counts(), parameter.dims());
        if self.by_pair() && length > 1 {
            let pairs: Tensor<2> = parameter.unsqueeze_dim::<2>(1).expand([pre, post]);
            return pairs.reshape([pre * post]);
        }
        parameter
    }

    /// The shape of the kernel.
    pub fn kernel(&self) -> Shape {
        Shape::new(PayloadKind::Kernel, &[&self.post[..], &self.pre].concat())
    }
}

/// The spikes of one step.
#[derive(Clone, Debug)]
pub struct Events {
    /// Presynaptic ones.
    pub pre: PreSpikes,
    /// Postsynaptic ones, 0 or 1, `[batch, post]`.
    pub post: Tensor<2>,
    /// Which presynaptic and which postsynaptic units inhibit, `[units]`; `None` where none does.
    pub inhibitory: [Option<Tensor<1>>; 2],
}

/// A kernel on its way through a step.
#[derive(Clone, Debug)]
pub struct Learning {
    /// The kernel, `[pre, post]`.
    pub kernel: Tensor<2>,
    third_factor: Option<ThirdFactor>,
    delays: Option<Delays<2>>,
    samples: usize,
}

impl Learning {
    /// Moves the kernel by the mean over samples of what the terms of a rule add up to; see
    /// [`plasticity_step`]. Delays, samples and third factor come from the step. Returns the target's new
    /// trace where the rule has one.
    #[must_use]
    pub fn apply(self, rule: Plasticity, options: PlasticityOptions) -> (Self, Option<Tensor<2>>) {
        let options = PlasticityOptions { samples: self.samples, ..options };
        let rule = Plasticity { delays: self.delays.clone(), ..rule };
        let (kernel, target) = match &self.third_factor {
            None => plasticity_step(self.kernel, rule, options),
            Some(factor) => modulated_step(self.kernel, rule, factor.clone(), options),
        };
        (Self { kernel, ..self }, target)
    }
}

/// A local learning rule: traces of spikes, and what they mean for the synapses.
pub trait LearningRule: Module + ModuleDisplay + 'static {
    /// Its traces.
    type State: State;
    /// What a step reads.
    type Plan: Clone + std::fmt::Debug + Send;

    /// Derives what a step reads.
    fn plan(&self, synapses: &Synapses) -> Self::Plan;

    /// The traces before the first step.
    fn initial_state(&self, synapses: &Synapses, batch: usize) -> Self::State;

    /// One step: traces first, then the kernel.
    fn learn(
        &self,
        plan: &Self::Plan,
        events: Events,
        learning: Learning,
        state: Self::State,
    ) -> (Learning, Self::State);

    /// The same on the host, where it has that form: what spikes mean, and the traces by which they do; see
    /// [`spark_core::host`].
    fn on_host(&self, _plan: &Self::Plan, _state: &Self::State) -> Option<HostLearning> {
        None
    }

    /// Brings the traces to where the steps on the host have led.
    fn settle(_state: &mut Self::State, _learning: &HostLearning) {}
}

/// A learning rule of two factors.
#[derive(Module, Debug)]
pub struct Rule<R: Module> {
    /// The rule and its parameters.
    pub rule: R,
    #[module(skip)]
    synapses: Synapses,
}

/// A learning rule with a third factor `M`: `W ← clip(W + dt·η·M·Δ)`.
#[derive(Module, Debug)]
pub struct Modulated<R: Module> {
    /// The rule and its parameters.
    pub rule: R,
    #[module(skip)]
    synapses: Synapses,
    #[module(skip)]
    third_factor: ThirdFactorShape,
}

impl<R: LearningRule> Rule<R> {
    /// A rule for what is wired; `rule` is built for the synapses.
    ///
    /// # Errors
    /// When the shapes do not fit one another, or the rule cannot be built.
    pub fn new(
        inputs: &InputShapes,
        rule: impl FnOnce(&Synapses) -> Result<R, Defect>,
    ) -> Result<Self, Defect> {
        let synapses = Synapses::wired(inputs)?;
        Ok(Self { rule: rule(&synapses)?, synapses })
    }
}

impl<R: LearningRule> Modulated<R> {
    /// A rule for what is wired; `rule` is built for the synapses.
    ///
    /// # Errors
    /// When the shapes do not fit one another, or the rule cannot be built.
    pub fn new(
        inputs: &InputShapes,
        rule: impl FnOnce(&Synapses) -> Result<R, Defect>,
    ) -> Result<Self, Defect> {
        let synapses = Synapses::wired(inputs)?;
        let modulation = inputs.require("modulation", PayloadKind::Floats)?;
        let third_factor = ThirdFactorShape::of("modulation", modulation, &synapses)?;
        Ok(Self { rule: rule(&synapses)?, synapses, third_factor })
    }
}

fn learn<R: LearningRule>(
    (rule, plan, state): (&R, &R::Plan, R::State),
    synapses: &Synapses,
    [pre, post]: [Spikes; 2],
    kernel: Kernel,
    third_factor: Option<ThirdFactor>,
) -> (KernelOutput, R::State) {
    let inhibitory = [pre.inhibitory.clone(), post.inhibitory.clone()];
    let post = post.units().expect("spikes by unit, as checked when the rule was built");
    let pre = PreSpikes::new(pre, synapses);
    let [samples, _] = post.dims();
    let learning = Learning { kernel: kernel.0, third_factor, delays: pre.delays.clone(), samples };
    let (learning, state) = rule.learn(plan, Events { pre, post, inhibitory }, learning, state);
    (KernelOutput { kernel: Kernel(learning.kernel) }, state)
}

/// A rule at work on the host, on weights that it shares with the synapses.
#[derive(Debug)]
struct RuleOnHost {
    synapses: Arc<SharedSynapses>,
    post: usize,
    third_factor: Option<usize>,
}

impl RuleOnHost {
    /// For synapses that read the same presynaptic spikes.
    fn new<R: LearningRule>(rule: &R, plan: &R::Plan, state: &R::State, wiring: &HostWiring) -> Option<Self> {
        let synapses = wiring.link::<SharedSynapses>("kernel")?;
        let (post, third_factor) = (wiring.place("post_spikes")?, wiring.place("modulation"));
        let mut taught = synapses.lock();
        let same = synapses.sources == wiring.sources("pre_spikes");
        if !same || taught.learns() || !taught.teach(rule.on_host(plan, state)?) {
            return None;
        }
        drop(taught);
        Some(Self { synapses, post, third_factor })
    }

    fn learn(&self, inputs: &[&Signal]) {
        let third_factor = self.third_factor.map_or(1.0, |place| inputs[place].values()[0]);
        let mut synapses = self.synapses.lock();
        synapses.learn(inputs[self.post].spiking(), third_factor);
    }

    fn write<R: LearningRule>(&self, state: &mut R::State) {
        let mut synapses = self.synapses.lock();
        if let Some(learning) = synapses.learning() {
            R::settle(state, learning);
        }
    }
}

impl<R: LearningRule> HostStep<Rule<R>> for RuleOnHost {
    fn step(&mut self, inputs: &[&Signal], _: &mut [Signal]) {
        self.learn(inputs);
    }

    fn settle(&self, _: &mut Rule<R>, state: &mut R::State) {
        self.write::<R>(state);
    }
}

impl<R: LearningRule> HostStep<Modulated<R>> for RuleOnHost {
    fn step(&mut self, inputs: &[&Signal], _: &mut [Signal]) {
        self.learn(inputs);
    }

    fn settle(&self, _: &mut Modulated<R>, state: &mut R::State) {
        self.write::<R>(state);
    }
}

impl<R: LearningRule> Component for Rule<R> {
    type Inputs = RuleInputs;
    type Outputs = KernelOutput;
    type State = R::State;
    type Plan = R::Plan;

    fn plan(&self) -> R::Plan {
        self.rule.plan(&self.synapses)
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> R::State {
        self.rule.initial_state(&self.synapses, batch)
    }

    fn step(&self, plan: &R::Plan, inputs: RuleInputs, state: R::State) -> (KernelOutput, R::State) {
        let RuleInputs { pre_spikes, post_spikes, kernel } = inputs;
        learn((&self.rule, plan, state), &self.synapses, [pre_spikes, post_spikes], kernel, None)
    }

    fn on_host(
        &self,
        plan: &R::Plan,
        state: &R::State,
        wiring: &mut HostWiring,
    ) -> Option<Box<dyn HostStep<Self>>> {
        Some(Box::new(RuleOnHost::new(&self.rule, plan, state, wiring)?))
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![self.synapses.kernel()]
    }
}

impl<R: LearningRule> Component for Modulated<R> {
    type Inputs = ModulatedInputs;
    type Outputs = KernelOutput;
    type State = R::State;
    type Plan = R::Plan;

    fn plan(&self) -> R::Plan {
        self.rule.plan(&self.synapses)
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> R::State {
        self.rule.initial_state(&self.synapses, batch)
    }

    fn step(&self, plan: &R::Plan, inputs: ModulatedInputs, state: R::State) -> (KernelOutput, R::State) {
        let ModulatedInputs { modulation, pre_spikes, post_spikes, kernel } = inputs;
        let third_factor = Some(self.third_factor.read(modulation, &self.synapses));
        learn((&self.rule, plan, state), &self.synapses, [pre_spikes, post_spikes], kernel, third_factor)
    }

    fn on_host(
        &self,
        plan: &R::Plan,
        state: &R::State,
        wiring: &mut HostWiring,
    ) -> Option<Box<dyn HostStep<Self>>> {
        if self.third_factor != ThirdFactorShape::All || wiring.place("modulation").is_none() {
            return None;
        }
        Some(Box::new(RuleOnHost::new(&self.rule, plan, state, wiring)?))
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![self.synapses.kernel()]
    }
}
