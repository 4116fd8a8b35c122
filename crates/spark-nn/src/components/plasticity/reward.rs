//! Spike-timing-dependent plasticity that waits for a reward.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::build::{Builder, decay};
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{Floats, Kernel, PayloadKind, Shape, Spikes};
use spark_core::ports::InputShapes;
use spark_core::{Parameter, Problems};
use spark_kernels::{OnPost, OnPre, PlasticityOptions, ThreeFactor, Trace, eligibility_step};

use super::stdp::{around, check_bounds, within};
use super::traces::counting;
use super::{Bounds, KernelOutput, Pairing, PostTrace, PreSpikes, PreTrace, Synapses, ThirdFactorShape};
use crate::config::config;

config! {
    /// Reward-modulated spike-timing-dependent plasticity.
    pub struct RewardModulatedSTDPConfig {
        /// What a presynaptic spike right before a postsynaptic one adds to the eligibility.
        #[schemars(extend("range" = "non_negative"))]
        a_plus: f32 = 0.01,
        /// What a presynaptic spike right after a postsynaptic one takes from it.
        #[schemars(extend("range" = "non_negative"))]
        a_minus: f32 = 0.0105,
        /// How long a presynaptic spike is remembered.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        pre_tau: Parameter = 20.0.into(),
        /// How long a postsynaptic spike is remembered.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        post_tau: Parameter = 20.0.into(),
        /// How long a synapse stays eligible.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        eligibility_tau: f32 = 1000.0,
        /// Learning rate: what an eligibility of 1 turns into during a ms of reward 1.
        #[schemars(extend("unit" = "pA/ms"))]
        eta: f32 = 0.01,
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

spark_core::ports! {
    /// What reward-modulated plasticity takes.
    pub struct RewardInputs {
        /// The reward: one for all synapses, or one by presynaptic unit, postsynaptic unit or synapse.
        reward: Floats,
        /// Spikes that arrive at the synapses.
        pre_spikes: Spikes,
        /// Spikes of the postsynaptic units.
        post_spikes: Spikes,
        /// The strengths of the synapses.
        kernel: Kernel,
    }
}

/// Reward-modulated spike-timing-dependent plasticity: what pairs of spikes would do waits in an eligibility
/// `e` of each synapse and sample until a reward `R` makes use of it.
///
/// ```text
/// e ← e·exp(−dt/τ_e) − A₋·y·s_pre + A₊·x·s_post
/// W ← clip(W + dt·η·R·e, W_min, W_max)
/// ```
///
/// The traces `x` and `y` are those of [`PairStdp`](super::PairStdp). Soft bounds go by the sign of `R·e`, with
/// a batch by that of its mean.
///
/// Source: Izhikevich, *Solving the distal reward problem through linkage of STDP and dopamine signaling*
/// (2007); Frémaux & Gerstner (2016).
///
/// # Examples
/// As [`Hebbian`](super::Hebbian), with a `reward` of shape `[1]` besides.
#[derive(Module, Debug)]
pub struct RewardModulatedStdp {
    /// Time constant of `x` in ms, `[pre]` or `[1]`.
    pub pre_tau: Param<Tensor<1>>,
    /// Time constant of `y` in ms, `[post]` or `[1]`.
    pub post_tau: Param<Tensor<1>>,
    #[module(skip)]
    config: RewardModulatedSTDPConfig,
    #[module(skip)]
    synapses: Synapses,
    #[module(skip)]
    reward: ThirdFactorShape,
}

spark_core::state! {
    /// What reward-modulated plasticity remembers.
    pub struct RewardModulatedStdpState {
        /// The trace `x`.
        pre_trace: PreTrace,
        /// The trace `y`.
        post_trace: PostTrace,
        /// The eligibility `e`, `[batch, pre, post]`.
        eligibility: Tensor<3>,
    }
}

impl Component for RewardModulatedStdp {
    type Inputs = RewardInputs;
    type Outputs = KernelOutput;
    type State = RewardModulatedStdpState;
    /// The trace `x`, and the decay of `y`.
    type Plan = (Trace<Tensor<1>>, Tensor<1>);

    fn plan(&self) -> Self::Plan {
        let RewardModulatedSTDPConfig { dt, pairing, .. } = self.config;
        let pre_tau = self.synapses.of_pre(self.pre_tau.val());
        (counting(dt, pre_tau, pairing == Pairing::Nearest), decay(dt, self.post_tau.val()))
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> RewardModulatedStdpState {
        let (device, [pre, post]) = (&self.pre_tau.val().device(), self.synapses.counts());
        RewardModulatedStdpState {
            pre_trace: PreTrace::new(&self.synapses, batch, device),
            post_trace: PostTrace::new(&self.synapses, batch, device),
            eligibility: Tensor::zeros([batch, pre, post], device),
        }
    }

    fn step(
        &self,
        (x, decay): &Self::Plan,
        inputs: RewardInputs,
        state: RewardModulatedStdpState,
    ) -> (KernelOutput, RewardModulatedStdpState) {
        let config = &self.config;
        let post = inputs.post_spikes.units().expect("spikes by unit, as checked when the rule was built");
        let pre = PreSpikes::new(inputs.pre_spikes, &self.synapses);
        let pre_trace = state.pre_trace.step(&pre, x);
        let (y, post_trace) = around(state.post_trace.trace, decay, &post, config.pairing);
        let [samples, _] = post.dims();
        let rule = ThreeFactor {
            on_pre: Some(OnPre { spikes: pre.signal, factor: y * -config.a_minus }),
            on_post: Some(OnPost { spikes: post * config.a_plus, factor: pre_trace.signal() }),
            delays: pre.delays,
            decay: -(-config.dt / config.eligibility_tau).exp_m1(),
            modulation: self.reward.read(inputs.reward, &self.synapses).0,
            max: None,
        };
        let options = PlasticityOptions {
            rate: config.dt * config.eta,
            samples,
            ..within(config.w_min, config.w_max, config.bounds)
        };
        let (kernel, eligibility) = eligibility_step(inputs.kernel.0, state.eligibility, rule, options);
        let state = RewardModulatedStdpState { pre_trace, post_trace, eligibility };
        (KernelOutput { kernel: Kernel(kernel) }, state)
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![self.synapses.kernel()]
    }
}

impl ComponentConfig for RewardModulatedSTDPConfig {
    const NAME: &'static str = "RewardModulatedSTDP";
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str =
        "Spike-timing-dependent plasticity with an eligibility that waits for a reward";
    const EQUATION: &'static str =
        "e ← e·exp(−dt/τ_e) − A₋·y·s_pre + A₊·x·s_post; W ← clip(W + dt·η·R·e, W_min, W_max)";
    const SOURCE: &'static str = "Izhikevich, Solving the distal reward problem through linkage of STDP and dopamine \
                                  signaling (2007)";

    type Component = RewardModulatedStdp;

    fn check(&self, path: &str, problems: &mut Problems) {
        check_bounds(path, [self.w_min, self.w_max], problems);
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<RewardModulatedStdp, Defect> {
        let synapses = Synapses::wired(inputs)?;
        let reward =
            ThirdFactorShape::of("reward", inputs.require("reward", PayloadKind::Floats)?, &synapses)?;
        let builder = Builder { context, seed: self.seed };
        Ok(RewardModulatedStdp {
            pre_tau: builder.units("pre_tau", &self.pre_tau, &synapses.pre)?,
            post_tau: builder.units("post_tau", &self.post_tau, &synapses.post)?,
            config: self.clone(),
            synapses,
            reward,
        })
    }
}

spark_core::register!(RewardModulatedSTDPConfig);
