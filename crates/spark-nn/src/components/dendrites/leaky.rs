//! A leaky compartment with back-propagating action potentials and a plateau.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::build::{Builder, rate};
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{Currents, Floats, Payload, PayloadKind, Potentials, Shape, Spikes};
use spark_core::ports::{InputShapes, PortError, PropertySpec};
use spark_core::schema::join;
use spark_core::{Parameter, Problems};
use spark_kernels::{Trace, trace_step};

spark_core::ports! {
    /// What a dendrite takes.
    pub struct DendriteInputs {
        /// Current of its synapses in pA.
        in_current: Currents,
        /// Potential of the soma in mV above its resting potential.
        soma_potential: Option<Potentials>,
        /// Spikes of the soma that travel back into the dendrite.
        spikes: Option<Spikes>,
        /// Further current in pA.
        injected_current: Option<Currents>,
    }
}

spark_core::ports! {
    /// What a dendrite gives.
    pub struct DendriteOutputs {
        /// Current into the soma in pA.
        out_current: Currents,
        /// How far the plateau has developed, from 0 to 1.
        plateau: Floats,
    }
}

spark_core::state! {
    /// What a dendrite remembers.
    pub struct DendriteState {
        /// Potential in mV above the resting potential, `[batch, units]`.
        potential: Tensor<2>,
        /// Fast trace of the spikes that travel back, `[batch, units]`.
        bap_rise: Tensor<2>,
        /// Slow trace of the spikes that travel back, `[batch, units]`.
        bap_fall: Tensor<2>,
    }
}

/// Leaky dendritic compartments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LeakyDendriteConfig {
    /// Seed of the parameters that are drawn; derived from that of the controller where absent.
    pub seed: Option<u64>,
    /// Duration of a step.
    #[schemars(extend("unit" = "ms", "range" = "positive"))]
    pub dt: f32,
    /// Resting potential.
    #[schemars(extend("unit" = "mV"))]
    pub potential_rest: Parameter,
    /// Conductance between dendrite and soma.
    #[schemars(extend("unit" = "nS", "range" = "non_negative"))]
    pub coupling: Parameter,
    /// Resting potential of the soma; that of the dendrite where absent.
    #[schemars(extend("unit" = "mV"))]
    pub soma_potential_rest: Option<Parameter>,
    /// Peak conductance that a spike which travels back opens.
    #[schemars(extend("unit" = "nS", "range" = "non_negative"))]
    pub bap_conductance: Parameter,
    /// Reversal potential of that conductance.
    #[schemars(extend("unit" = "mV"))]
    pub bap_reversal: Parameter,
    /// Time constant with which it opens.
    #[schemars(extend("unit" = "ms", "range" = "positive"))]
    pub bap_rise: Parameter,
    /// Time constant with which it closes, longer than that of opening.
    #[schemars(extend("unit" = "ms", "range" = "positive"))]
    pub bap_decay: Parameter,
    /// Potential at which the plateau is half developed.
    #[schemars(extend("unit" = "mV"))]
    pub threshold: Parameter,
    /// Width of the plateau's onset.
    #[schemars(extend("unit" = "mV", "range" = "positive"))]
    pub plateau_slope: Parameter,
    /// Capacitance.
    #[schemars(extend("unit" = "pF", "range" = "positive"))]
    pub capacitance: Parameter,
    /// Leak conductance.
    #[schemars(extend("unit" = "nS", "range" = "positive"))]
    pub leak_conductance: Parameter,
}

impl Default for LeakyDendriteConfig {
    fn default() -> Self {
        Self {
            seed: None,
            dt: 1.0,
            potential_rest: (-55.0).into(),
            coupling: 5.0.into(),
            soma_potential_rest: None,
            bap_conductance: 28.0.into(),
            bap_reversal: 0.0.into(),
            bap_rise: 0.2.into(),
            bap_decay: 3.0.into(),
            threshold: (-25.0).into(),
            plateau_slope: 2.0.into(),
            capacitance: 23.6.into(),
            leak_conductance: 3.4.into(),
        }
    }
}

/// Leaky dendritic compartments, coupled to the soma where its potential is wired.
///
/// By exponential Euler, in potentials that count from the resting potential of the dendrite:
///
/// ```text
/// V_s = soma_potential + (soma_potential_rest − potential_rest)
/// rise ← rise·exp(−dt/τ_r) + s            fall ← fall·exp(−dt/τ_d) + s
/// g_bap = g_max·(fall − rise)/peak        peak of e^{−t/τ_d} − e^{−t/τ_r}
/// G = g_L + g_bap + g_C                   J = I + g_bap·E_bap + g_C·V_s
/// V ← V + (1 − exp(−dt·G/C))·(J/G − V)
/// plateau = 1/(1 + exp(−(V − θ)/slope))   out_current = g_C·(V − V_s)
/// ```
///
/// Without the potential of the soma `g_C` is 0, and without its spikes `g_bap`. The current `I` is the sum of
/// both inputs.
///
/// Source: Rall, *Core conductor theory and cable properties of neurons* (1977) for the compartment; Stuart &
/// Sakmann, *Active propagation of somatic action potentials into neocortical pyramidal cell dendrites* (1994)
/// for what travels back.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Currents, Floats, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::dendrites::{DendriteInputs, LeakyDendriteConfig};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("in_current", Shape::new(PayloadKind::Currents, &[2]));
/// let mut dendrite = LeakyDendriteConfig::default().run(&wired, 1, &Context::new("dendrite", &device))?;
/// // 68 pA over a leak of 3.4 nS lift the potential by 20 mV, 136 pA by 40: beyond the threshold 30 above rest.
/// let in_current = Currents(Tensor::from_floats([[68.0, 136.0]], &device));
/// let mut plateau = Vec::new();
/// for _ in 0..100 {
///     let inputs = DendriteInputs {
///         in_current: in_current.clone(),
///         soma_potential: None,
///         spikes: None,
///         injected_current: None,
///     };
///     plateau = dendrite.advance(inputs).plateau.0.into_data().try_to_vec::<f32>().unwrap();
/// }
/// assert!(plateau[0] < 0.01 && plateau[1] > 0.99);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct LeakyDendrite {
    /// Resting potential in mV, `[units]` or `[1]`.
    pub rest: Param<Tensor<1>>,
    /// Conductance to the soma in nS, `[units]` or `[1]`.
    pub coupling: Param<Tensor<1>>,
    /// Resting potential of the soma in mV, `[units]` or `[1]`; `None` where it is that of the dendrite.
    pub soma_rest: Option<Param<Tensor<1>>>,
    /// Peak conductance after a spike in nS, `[units]` or `[1]`.
    pub bap_conductance: Param<Tensor<1>>,
    /// Its reversal potential in mV, `[units]` or `[1]`.
    pub bap_reversal: Param<Tensor<1>>,
    /// Time constant of its opening in ms, `[units]` or `[1]`.
    pub bap_rise: Param<Tensor<1>>,
    /// Time constant of its closing in ms, `[units]` or `[1]`.
    pub bap_decay: Param<Tensor<1>>,
    /// Threshold of the plateau in mV, `[units]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    /// Width of the plateau's onset in mV, `[units]` or `[1]`.
    pub slope: Param<Tensor<1>>,
    /// Capacitance in pF, `[units]` or `[1]`.
    pub capacitance: Param<Tensor<1>>,
    /// Leak conductance in nS, `[units]` or `[1]`.
    pub leak: Param<Tensor<1>>,
    #[module(skip)]
    units: Vec<usize>,
    dt: f32,
}

/// What a step of a dendrite reads; planes are `[1, units]` or `[1, 1]`.
#[derive(Clone, Debug)]
pub struct DendritePlan {
    rise: Trace<Tensor<1>>,
    fall: Trace<Tensor<1>>,
    /// `g_max/peak`.
    bap_gain: Tensor<2>,
    bap_reversal: Tensor<2>,
    soma_offset: Tensor<2>,
    coupling: Tensor<2>,
    alone: Passive,
    coupled: Passive,
    /// `−dt/C`.
    pace: Tensor<2>,
    /// The plateau is the sigmoid of `steepness·V − onset`.
    steepness: Tensor<2>,
    onset: Tensor<2>,
}

/// What does not change while no spike travels back.
#[derive(Clone, Debug)]
struct Passive {
    /// `G`.
    conductance: Tensor<2>,
    /// `1/G`.
    resistance: Tensor<2>,
    /// `1 − exp(−dt·G/C)`.
    approach: Tensor<2>,
}

impl Passive {
    fn new(conductance: Tensor<2>, pace: &Tensor<2>) -> Self {
        let resistance = conductance.clone().recip();
        Self { approach: approach(conductance.clone(), pace), conductance, resistance }
    }
}

/// `1 − exp(−dt·G/C)`: what part of the way to `J/G` a step goes.
fn approach(conductance: Tensor<2>, pace: &Tensor<2>) -> Tensor<2> {
    (conductance * pace.clone()).exp() * -1.0 + 1.0
}

const POTENTIAL: &str = "potential";

impl Component for LeakyDendrite {
    type Inputs = DendriteInputs;
    type Outputs = DendriteOutputs;
    type State = DendriteState;
    type Plan = DendritePlan;

    const PROPERTIES: &'static [PropertySpec] = &[PropertySpec {
        name: POTENTIAL,
        kind: PayloadKind::Potentials,
        writable: false,
        description: "Potential in mV above the resting potential.",
    }];

    fn plan(&self) -> DendritePlan {
        let (rest, rise, decay) = (self.rest.val(), self.bap_rise.val(), self.bap_decay.val());
        let trace = |tau: &Tensor<1>| {
            let base = Tensor::zeros([1], &tau.device());
            Trace { rate: rate(self.dt, tau.clone()), scale: base.ones_like(), base, saturation: None }
        };
        let steepness = self.slope.val().recip();
        let offset = match &self.soma_rest {
            Some(soma_rest) => soma_rest.val() - rest.clone(),
            None => rest.zeros_like(),
        };
        let pace = (self.capacitance.val().recip() * -self.dt).unsqueeze();
        DendritePlan {
            rise: trace(&rise),
            fall: trace(&decay),
            bap_gain: (self.bap_conductance.val() / peak(rise, decay)).unsqueeze(),
            bap_reversal: (self.bap_reversal.val() - rest.clone()).unsqueeze(),
            soma_offset: offset.unsqueeze(),
            coupling: self.coupling.val().unsqueeze(),
            alone: Passive::new(self.leak.val().unsqueeze(), &pace),
            coupled: Passive::new((self.leak.val() + self.coupling.val()).unsqueeze(), &pace),
            pace,
            onset: ((self.threshold.val() - rest) * steepness.clone()).unsqueeze(),
            steepness: steepness.unsqueeze(),
        }
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> DendriteState {
        let plane = || Tensor::zeros([batch, self.units.iter().product()], &self.rest.device());
        DendriteState { potential: plane(), bap_rise: plane(), bap_fall: plane() }
    }

    fn step(
        &self,
        plan: &DendritePlan,
        inputs: DendriteInputs,
        state: DendriteState,
    ) -> (DendriteOutputs, DendriteState) {
        let DendriteInputs { in_current: Currents(mut drive), soma_potential, spikes, injected_current } =
            inputs;
        let DendriteState { potential: v, mut bap_rise, mut bap_fall } = state;
        if let Some(Currents(injected)) = injected_current {
            drive = drive + injected;
        }
        let soma = soma_potential.map(|Potentials(soma)| soma + plan.soma_offset.clone());
        let passive = if soma.is_some() { &plan.coupled } else { &plan.alone };
        if let Some(soma) = &soma {
            drive = drive + soma.clone() * plan.coupling.clone();
        }
        let (target, approach) = match spikes.and_then(|spikes| spikes.units()) {
            Some(spikes) => {
                bap_rise = trace_step(bap_rise, spikes.clone(), &plan.rise);
                bap_fall = trace_step(bap_fall, spikes, &plan.fall);
                let bap = (bap_fall.clone() - bap_rise.clone()) * plan.bap_gain.clone();
                let drive = drive + bap.clone() * plan.bap_reversal.clone();
                let conductance = bap + passive.conductance.clone();
                (drive / conductance.clone(), approach(conductance, &plan.pace))
            }
            None => (drive * passive.resistance.clone(), passive.approach.clone()),
        };
        let potential = v.clone() + (target - v) * approach;
        let plateau = sigmoid(potential.clone() * plan.steepness.clone() - plan.onset.clone());
        let out_current = match soma {
            Some(soma) => (potential.clone() - soma) * plan.coupling.clone(),
            None => potential.zeros_like(),
        };
        let outputs = DendriteOutputs { out_current: Currents(out_current), plateau: Floats(plateau) };
        (outputs, DendriteState { potential, bap_rise, bap_fall })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        [PayloadKind::Currents, PayloadKind::Floats].map(|kind| Shape::new(kind, &self.units)).to_vec()
    }

    fn property(&self, state: &DendriteState, name: &str) -> Option<Payload> {
        (name == POTENTIAL).then(|| Potentials(state.potential.clone()).into())
    }
}

/// The largest value of `e^{−t/τ_d} − e^{−t/τ_r}`.
fn peak(rise: Tensor<1>, decay: Tensor<1>) -> Tensor<1> {
    let ratio = (decay.clone() / rise.clone()).log();
    let time = rise.clone() * decay.clone() / (decay.clone() - rise.clone()) * ratio;
    (-time.clone() / decay).exp() - (-time / rise).exp()
}

/// The first pair of time constants, of one number each or one for every unit, whose decay is not the longer.
fn unordered(rise: &[f32], decay: &[f32]) -> Option<(f32, f32)> {
    let units = rise.len().max(decay.len());
    let pairs = rise.iter().cycle().zip(decay.iter().cycle()).take(units);
    pairs.map(|(rise, decay)| (*rise, *decay)).find(|(rise, decay)| decay <= rise)
}

const DECAY: &str = "bap_decay";

impl ComponentConfig for LeakyDendriteConfig {
    const NAME: &'static str = "LeakyDendrite";
    const FAMILY: Family = Family::Dendrite;
    const SUMMARY: &'static str = "Leaky compartments with back-propagating action potentials and a plateau";
    const EQUATION: &'static str = "G = g_L + g_bap + g_C; J = I + g_bap·(E_bap − V_rest) + g_C·V_s; V ← V + (1 − exp(−dt·G/C))·(J/G − V); \
         out_current = g_C·(V − V_s); plateau = σ((V − θ)/slope)";
    const SOURCE: &'static str = "Rall, Core conductor theory and cable properties of neurons (1977)";

    type Component = LeakyDendrite;

    fn check(&self, path: &str, problems: &mut Problems) {
        let (Parameter::Number(rise), Parameter::Number(decay)) = (&self.bap_rise, &self.bap_decay) else {
            return;
        };
        if unordered(&[*rise], &[*decay]).is_some() {
            problems.push(join(path, DECAY), decay, format!("more than bap_rise {rise}"));
        }
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<LeakyDendrite, Defect> {
        let units = &inputs.require("in_current", PayloadKind::Currents)?.units;
        for port in ["soma_potential", "spikes", "injected_current"] {
            match inputs.get(port) {
                Some(shape) if shape.pairs || shape.units != *units => Err(PortError::Mismatch {
                    port: port.to_owned(),
                    found: shape.to_string(),
                    expected: Shape::new(shape.kind, units).to_string(),
                })?,
                _ => {}
            }
        }
        let builder = Builder { context, seed: self.seed };
        let dendrite = LeakyDendrite {
            rest: builder.units("potential_rest", &self.potential_rest, units)?,
            coupling: builder.units("coupling", &self.coupling, units)?,
            soma_rest: builder.optional("soma_potential_rest", self.soma_potential_rest.as_ref(), units)?,
            bap_conductance: builder.units("bap_conductance", &self.bap_conductance, units)?,
            bap_reversal: builder.units("bap_reversal", &self.bap_reversal, units)?,
            bap_rise: builder.units("bap_rise", &self.bap_rise, units)?,
            bap_decay: builder.units(DECAY, &self.bap_decay, units)?,
            threshold: builder.units("threshold", &self.threshold, units)?,
            slope: builder.units("plateau_slope", &self.plateau_slope, units)?,
            capacitance: builder.units("capacitance", &self.capacitance, units)?,
            leak: builder.units("leak_conductance", &self.leak_conductance, units)?,
            units: units.clone(),
            dt: self.dt,
        };
        let drawn = |tau: &Param<Tensor<1>>| tau.val().into_data().iter().collect::<Vec<f32>>();
        match unordered(&drawn(&dendrite.bap_rise), &drawn(&dendrite.bap_decay)) {
            Some((rise, decay)) => Err(Defect::field(DECAY, decay, format!("more than bap_rise {rise}"))),
            None => Ok(dendrite),
        }
    }
}

spark_core::register!(LeakyDendriteConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn error(config: &LeakyDendriteConfig, more: &[(&str, Shape)]) -> String {
        let current = Shape::new(PayloadKind::Currents, &[2]);
        let wired =
            more.iter().fold(InputShapes::default().with("in_current", current), |wired, (port, shape)| {
                wired.with(port, shape.clone())
            });
        config.run(&wired, 1, &Context::new("dendrite", &Device::flex())).unwrap_err().to_string()
    }

    #[test]
    fn a_decay_that_is_not_the_longer_is_refused() {
        let config = LeakyDendriteConfig { bap_decay: 0.2.into(), ..Default::default() };
        let expected = "module `dendrite`: bap_decay: found 0.2, expected more than bap_rise 0.2";
        assert_eq!(error(&config, &[]), expected);
        let decay: Parameter = serde_json::from_str("[3.0, 0.1]").unwrap();
        let config = LeakyDendriteConfig { bap_decay: decay, ..Default::default() };
        let expected = "module `dendrite`: bap_decay: found 0.1, expected more than bap_rise 0.2";
        assert_eq!(error(&config, &[]), expected);
    }

    #[test]
    fn inputs_of_other_units_are_refused() {
        let potential = ("soma_potential", Shape::new(PayloadKind::Potentials, &[3]));
        let expected =
            "module `dendrite`: port `soma_potential`: found potentials [3], expected potentials [2]";
        assert_eq!(error(&LeakyDendriteConfig::default(), &[potential]), expected);
    }

    /// Between spikes the potential is where the current through leak and coupling is in balance.
    #[test]
    fn a_dendrite_settles_between_its_conductances() {
        let device = Device::flex();
        let wired = InputShapes::default()
            .with("in_current", Shape::new(PayloadKind::Currents, &[1]))
            .with("soma_potential", Shape::new(PayloadKind::Potentials, &[1]));
        let config = LeakyDendriteConfig::default();
        let mut dendrite = config.run(&wired, 1, &Context::new("dendrite", &device)).unwrap();
        let mut current = 0.0;
        for _ in 0..200 {
            let inputs = DendriteInputs {
                in_current: Currents(Tensor::full([1, 1], 100.0, &device)),
                soma_potential: Some(Potentials(Tensor::full([1, 1], 4.0, &device))),
                spikes: None,
                injected_current: None,
            };
            current = dendrite.advance(inputs).out_current.0.into_scalar::<f32>();
        }
        // V = (100 + 5·4)/(3.4 + 5)
        let expected = 5.0 * (120.0 / 8.4 - 4.0);
        assert!((current - expected).abs() < 1e-3, "{current}, expected {expected}");
    }
}
