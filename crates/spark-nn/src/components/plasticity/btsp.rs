//! Plasticity on the time scale of behaviour, driven by dendritic plateaus.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::build::{Builder, rate};
use spark_core::component::{Alias, Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{Floats, Kernel, Mask, PayloadKind, Shape, Spikes};
use spark_core::ports::{InputShapes, PortError};
use spark_core::schema::join;
use spark_core::{Parameter, Problems};
use spark_kernels::{Gate, PlasticityOptions, Plateau, PlateauDynamics, Trace, plateau_step};

use super::traces::{counting, trace};
use super::{KernelOutput, PostTrace, PreSpikes, PreTrace, Synapses, ThirdFactorShape};
use crate::config::config;

config! {
    /// Behavioural time scale plasticity.
    pub struct BTSPRuleConfig {
        /// Time constant of the eligibility.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        et_tau: Parameter = 863.91.into(),
        /// What a presynaptic spike adds to the eligibility.
        et_scale: f32 = 0.05,
        /// Time constant of the instructive signal.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        is_tau: Parameter = 542.76.into(),
        /// What the instructive signal rises to during a lasting plateau.
        is_scale: f32 = 2.36,
        /// Upper bound of a weight.
        #[schemars(extend("unit" = "pA", "range" = "positive"))]
        w_max: f32 = 4.02,
        /// Rate of potentiation.
        #[schemars(extend("unit" = "1/s", "range" = "non_negative"))]
        k_pot: f32 = 2.27,
        /// Rate of depression.
        #[schemars(extend("unit" = "1/s", "range" = "non_negative"))]
        k_dep: f32 = 0.33,
        /// Rate of depression where the sign is negative.
        #[schemars(extend("unit" = "1/s", "range" = "non_negative"))]
        k_neg: f32 = 2.27,
        /// Time constant of spikes on both sides where only their coincidence makes eligible; 0 turns that off.
        #[schemars(extend("unit" = "ms", "range" = "non_negative"))]
        et_post_tau: f32 = 0.0,
        /// Overlap at which potentiation sets in.
        alpha_pot: f32 = 0.24,
        /// How sharply it sets in.
        #[schemars(extend("range" = "positive"))]
        beta_pot: f32 = 30.32,
        /// Overlap at which depression sets in.
        alpha_dep: f32 = 0.09,
        /// How sharply it sets in.
        #[schemars(extend("range" = "positive"))]
        beta_dep: f32 = 2260.61,
        /// Learning rate.
        eta: f32 = 1.0,
    }
}

spark_core::ports! {
    /// What behavioural time scale plasticity takes.
    pub struct BtspInputs {
        /// Plateaus, the third factor: one for all postsynaptic units or one each.
        modulation: Floats,
        /// Spikes that arrive at the synapses.
        pre_spikes: Spikes,
        /// The strengths of the synapses.
        kernel: Kernel,
        /// The direction of learning, from 1, as without, to -1: one for all postsynaptic units or one each.
        sign: Option<Floats>,
        /// Which postsynaptic units inhibit; they learn as the others do.
        inhibition_mask: Option<Mask>,
        /// Spikes of the postsynaptic units, for eligibility by coincidence.
        post_spikes: Option<Spikes>,
    }
}

/// Behavioural time scale plasticity: spikes leave an eligibility `E` that lasts for seconds, plateaus an
/// instructive signal `P`, and their overlap `o` decides over the sign of learning together with the weight.
///
/// ```text
/// E: trace of s_pre with time constant et_tau and scale et_scale
/// P: trace of the plateau with time constant is_tau, at is_scale during a lasting one
/// o = clip(E·P, 0, 1)
/// Δ = (w_max − W)·k_pot·q₊(o) − W·k_dep·q₋(o)            rates per second
/// Δ = [g]₊·Δ − [−g]₊·W·k_neg·q₊(o)                       where a sign is wired
/// W ← clip(W + dt·η·Δ, 0, w_max)
/// ```
///
/// with sigmoids `q` that go from 0 at `o = 0` to 1 at `o = 1`, see [`Gate`]. With an `et_post_tau` and
/// postsynaptic spikes the eligibility is a trace of coincidences `s_pre·y + s_post·x` instead.
///
/// Source: Milstein et al., *Bidirectional synaptic plasticity rapidly modifies hippocampal representations*
/// (2021).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Floats, Kernel, PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::plasticity::{BTSPRuleConfig, BtspInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default()
///     .with("modulation", Shape::new(PayloadKind::Floats, &[1]))
///     .with("pre_spikes", Shape::new(PayloadKind::Spikes, &[2]))
///     .with("kernel", Shape::new(PayloadKind::Kernel, &[1, 2]));
/// let mut rule = BTSPRuleConfig::default().run(&wired, 1, &Context::new("rule", &device))?;
/// let mut kernel = Tensor::<2>::full([2, 1], 1.0, &device);
/// for _ in 0..300 {
///     let inputs = BtspInputs {
///         modulation: Floats(Tensor::from_floats([[1.0]], &device)),
///         pre_spikes: Spikes::new(Tensor::from_floats([[1.0, 0.0]], &device)),
///         kernel: Kernel(kernel),
///         sign: None,
///         inhibition_mask: None,
///         post_spikes: None,
///     };
///     kernel = rule.advance(inputs).kernel.0;
/// }
/// let kernel = kernel.into_data().try_to_vec::<f32>().unwrap();
/// assert!(kernel[0] > 1.2 && kernel[1] == 1.0);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct Btsp {
    /// Time constant of `E` in ms, `[pre]` or `[1]`.
    pub et_tau: Param<Tensor<1>>,
    /// Time constant of `P` in ms, `[post]` or `[1]`.
    pub is_tau: Param<Tensor<1>>,
    #[module(skip)]
    config: BTSPRuleConfig,
    #[module(skip)]
    synapses: Synapses,
    coincidence: bool,
}

spark_core::state! {
    /// What behavioural time scale plasticity remembers.
    pub struct BtspState {
        /// The eligibility `E`.
        eligibility: PreTrace,
        /// The instructive signal `P`.
        instructive: PostTrace,
        /// Traces of both sides, where coincidences count.
        pair: Option<PairEligibility>,
    }
}

spark_core::state! {
    /// Traces of spikes on both sides.
    pub struct PairEligibility {
        /// Of presynaptic spikes, `x`.
        pre: PreTrace,
        /// Of postsynaptic ones, `y`.
        post: PostTrace,
    }
}

impl Btsp {
    /// The synapses as the eligibility sees them.
    fn eligible(&self) -> Synapses {
        Synapses { pairs: self.coincidence || self.synapses.pairs, ..self.synapses.clone() }
    }
}

impl Component for Btsp {
    type Inputs = BtspInputs;
    type Outputs = KernelOutput;
    type State = BtspState;
    /// The traces `E`, `P`, and those of spikes whose coincidence counts.
    type Plan = [Trace<Tensor<1>>; 3];

    fn plan(&self) -> Self::Plan {
        let BTSPRuleConfig { dt, et_scale, is_scale, et_post_tau, .. } = self.config;
        let et_tau = self.eligible().of_pre(self.et_tau.val());
        let is_tau = self.is_tau.val();
        let coincidence = Tensor::from_floats([et_post_tau.max(dt)], &is_tau.device());
        [
            trace(dt, et_tau.clone(), et_tau.ones_like() * et_scale),
            trace(dt, is_tau.clone(), rate(dt, is_tau) * is_scale),
            counting(dt, coincidence, false),
        ]
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> BtspState {
        let device = &self.is_tau.val().device();
        BtspState {
            eligibility: PreTrace::new(&self.eligible(), batch, device),
            instructive: PostTrace::new(&self.synapses, batch, device),
            pair: self.coincidence.then(|| PairEligibility {
                pre: PreTrace::new(&self.synapses, batch, device),
                post: PostTrace::new(&self.synapses, batch, device),
            }),
        }
    }

    fn step(
        &self,
        [et, is, coincidence]: &Self::Plan,
        inputs: BtspInputs,
        state: BtspState,
    ) -> (KernelOutput, BtspState) {
        let [_, post] = self.synapses.counts();
        let [samples, _] = inputs.modulation.0.dims();
        let by_unit = |values: Floats| values.0.expand([samples, post]);
        let mut pre = PreSpikes::new(inputs.pre_spikes, &self.synapses);
        let mut pair = None;
        if let (Some(traces), Some(spikes)) = (state.pair, inputs.post_spikes.and_then(|s| s.units())) {
            let (x, y) = (traces.pre.step(&pre, coincidence), traces.post.step(&spikes, coincidence));
            let spikes: Tensor<3> = spikes.unsqueeze_dim(1);
            pre.now = pre.now * y.trace.clone().unsqueeze_dim(1) + x.trace.clone() * spikes;
            pair = Some(PairEligibility { pre: x, post: y });
        }
        let eligibility = state.eligibility.step(&pre, et);
        let instructive = state.instructive.step(&by_unit(inputs.modulation), is);
        let config = &self.config;
        let plateau = Plateau {
            eligibility: eligibility.signal(),
            instructive: instructive.trace.clone(),
            sign: inputs.sign.map(by_unit),
            delays: pre.delays,
            dynamics: PlateauDynamics {
                potentiation: Gate { midpoint: config.alpha_pot, slope: config.beta_pot },
                depression: Gate { midpoint: config.alpha_dep, slope: config.beta_dep },
                k_pot: config.k_pot,
                k_dep: config.k_dep,
                k_neg: config.k_neg,
            },
        };
        let options = PlasticityOptions {
            rate: config.dt * config.eta / 1000.0,
            samples,
            min: 0.0,
            max: config.w_max,
            ..Default::default()
        };
        let kernel = plateau_step(inputs.kernel.0, plateau, options);
        (KernelOutput { kernel: Kernel(kernel) }, BtspState { eligibility, instructive, pair })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![self.synapses.kernel()]
    }
}

/// The synapses of what is wired: where no postsynaptic spikes are, the presynaptic units, or else the
/// plateaus, tell the axes of the kernel apart.
fn synapses(inputs: &InputShapes) -> Result<Synapses, PortError> {
    if inputs.get("post_spikes").is_some() {
        return Synapses::wired(inputs);
    }
    let kernel = inputs.require("kernel", PayloadKind::Kernel)?;
    let pre = inputs.require("pre_spikes", PayloadKind::Spikes)?;
    let plateau = inputs.require("modulation", PayloadKind::Floats)?;
    let post = if !pre.pairs && kernel.units.ends_with(&pre.units) {
        kernel.units.len() - pre.units.len()
    } else if kernel.units.starts_with(&plateau.units) {
        plateau.units.len()
    } else {
        1.min(kernel.units.len())
    };
    Synapses::onto(&kernel.units[..post], inputs)
}

/// Requires one value, or one for each postsynaptic unit.
fn check_by_post(port: &str, shape: &Shape, synapses: &Synapses) -> Result<(), PortError> {
    match ThirdFactorShape::of(port, shape, synapses) {
        Ok(ThirdFactorShape::All | ThirdFactorShape::Post) => Ok(()),
        _ => Err(PortError::Mismatch {
            port: port.to_owned(),
            found: shape.to_string(),
            expected: format!("[1] or {:?}", synapses.post),
        }),
    }
}

impl ComponentConfig for BTSPRuleConfig {
    const NAME: &'static str = "BTSPRule";
    const ALIASES: &'static [Alias] = &[Alias::new("ModulatedBTSPRule")];
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "Behavioural time scale plasticity, driven by dendritic plateaus";
    const EQUATION: &'static str = "o = clip(E·P, 0, 1); W ← clip(W + dt·η·((w_max − W)·k_pot·q₊(o) − W·k_dep·q₋(o)), \
                                    0, w_max); E, P: traces of s_pre and of the plateau; q: sigmoids";
    const SOURCE: &'static str = "Milstein et al., Bidirectional synaptic plasticity rapidly modifies hippocampal representations (2021)";

    type Component = Btsp;

    fn check(&self, path: &str, problems: &mut Problems) {
        for (name, alpha, beta) in
            [("alpha_pot", self.alpha_pot, self.beta_pot), ("alpha_dep", self.alpha_dep, self.beta_dep)]
        {
            let [low, per_span] = Gate { midpoint: alpha, slope: beta }.levels();
            if !(low.is_finite() && per_span.is_finite()) {
                problems.push(
                    join(path, name),
                    alpha,
                    "a midpoint at which the sigmoid changes between 0 and 1",
                );
            }
        }
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Btsp, Defect> {
        let coincidence = self.et_post_tau > 0.0 && inputs.get("post_spikes").is_some();
        let mut synapses = synapses(inputs)?;
        if coincidence {
            // A coincidence belongs to a synapse, so that it has to be kept by pair.
            synapses.max_delay = None;
        }
        for port in ["modulation", "sign"] {
            if let Some(shape) = inputs.get(port) {
                check_by_post(port, shape, &synapses)?;
            }
        }
        let builder = Builder { context, seed: self.seed };
        Ok(Btsp {
            et_tau: builder.units("et_tau", &self.et_tau, &synapses.pre)?,
            is_tau: builder.units("is_tau", &self.is_tau, &synapses.post)?,
            config: self.clone(),
            synapses,
            coincidence,
        })
    }
}

spark_core::register!(BTSPRuleConfig);
