//! Units that hear their own spikes.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::{Initializer, Problems, seed};

use super::member::{Asked, Member, Ran};
use super::units::steps;
use super::{
    Adaptive, AdaptiveConfig, Dense, DenseConfig, IntegrateAndFire, IntegrateAndFireConfig, Lapicque,
    LapicqueConfig, LayerState, Leaky, LeakyConfig, Parametric, ParametricConfig, Synaptic, SynapticConfig,
    Temporal,
};

/// From which units a unit hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// From all of its layer.
    #[default]
    AllToAll,
    /// From itself alone.
    OneToOne,
}

/// Configuration of the units of a [`Recurrent`] layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)] // Each is named after the layer.
pub enum RecurrentUnitsConfig {
    Leaky(LeakyConfig),
    Lapicque(LapicqueConfig),
    IntegrateAndFire(IntegrateAndFireConfig),
    Parametric(ParametricConfig),
    Synaptic(SynapticConfig),
    Adaptive(AdaptiveConfig),
}

/// The units of a [`Recurrent`] layer.
#[derive(Module, Debug)]
#[allow(missing_docs, clippy::large_enum_variant)] // Each is named after the layer; there are few of them.
pub enum RecurrentUnits {
    Leaky(Leaky),
    Lapicque(Lapicque),
    IntegrateAndFire(IntegrateAndFire),
    Parametric(Parametric),
    Synaptic(Synaptic),
    Adaptive(Adaptive),
}

macro_rules! each_recurrent {
    ($value:expr, $units:ident => $result:expr) => {
        match $value {
            RecurrentUnits::Leaky($units) => $result,
            RecurrentUnits::Lapicque($units) => $result,
            RecurrentUnits::IntegrateAndFire($units) => $result,
            RecurrentUnits::Parametric($units) => $result,
            RecurrentUnits::Synaptic($units) => $result,
            RecurrentUnits::Adaptive($units) => $result,
        }
    };
}

pub(super) use each_recurrent;

/// Configuration of [`Recurrent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecurrentConfig {
    /// The units.
    pub units: RecurrentUnitsConfig,
    /// From which units a unit hears.
    #[serde(default)]
    pub connection: Connection,
    /// Whether each unit has a constant input besides; all-to-all only.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How the weights of the connection and its bias are drawn.
    #[serde(default)]
    pub weight: Initializer,
}

fn yes() -> bool {
    true
}

/// Units whose spikes come back to them a step later.
///
/// ```text
/// I'[t] = I[t] + S[t−1]·W + b      all-to-all
/// I'[t] = I[t] + w·S[t−1]          one-to-one
/// ```
///
/// `I'` is the input of the units. Input and output are `[batch, units]` per step and `[time, batch, units]`
/// per sequence, which is a loop of fused steps. Gradients pass through the connection. Other loops, such as
/// one through several layers, are made by [`Graph`](super::Graph).
///
/// Source: Eshraghian et al., *Training spiking neural networks using lessons from deep learning* (2023).
///
/// # Examples
/// A unit that inhibits itself spikes at half the rate:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::Initializer;
/// use spark_nn::layers::{Connection, LeakyConfig, RecurrentConfig, RecurrentUnitsConfig, Temporal};
///
/// let device = Device::flex();
/// let config = RecurrentConfig {
///     connection: Connection::OneToOne,
///     weight: Initializer::Constant { value: -1.5 },
///     ..RecurrentConfig::new(RecurrentUnitsConfig::Leaky(LeakyConfig { decay: 0.0, ..Default::default() }))
/// };
/// let layer = config.init(1, 1, "recurrent", &device);
/// let input = Tensor::full([4, 1, 1], 1.5, &device);
/// let (spikes, _) = layer.sequence(input, layer.initial_state(1, &device));
/// assert_eq!(spikes.into_data().try_to_vec::<f32>().unwrap(), [1.0, 0.0, 1.0, 0.0]);
/// ```
#[derive(Module, Debug)]
pub struct Recurrent {
    /// The units.
    pub units: RecurrentUnits,
    /// Synapses from all units to all; present where the connection is all-to-all.
    pub recurrent: Option<Dense>,
    /// Weights from each unit to itself, `[units]`; present where the connection is one-to-one.
    pub weight: Option<Param<Tensor<1>>>,
    count: usize,
}

spark_core::state! {
    /// What [`Recurrent`] units remember.
    pub struct RecurrentState {
        /// Spikes of the latest step, `[batch, units]`.
        spikes: Tensor<2>,
        /// What the units themselves remember.
        units: LayerState,
    }
}

impl RecurrentUnitsConfig {
    fn validate(&self, path: &str, problems: &mut Problems) {
        match self {
            Self::Leaky(config) => config.validate(path, problems),
            Self::Lapicque(config) => config.validate(path, problems),
            Self::IntegrateAndFire(config) => config.validate(path, problems),
            Self::Parametric(config) => config.validate(path, problems),
            Self::Synaptic(config) => config.validate(path, problems),
            Self::Adaptive(config) => config.validate(path, problems),
        }
    }

    fn init(&self, units: usize, device: &Device) -> RecurrentUnits {
        match self {
            // Of snnTorch's recurrent units a reset takes the input of its own step along.
            Self::Leaky(config) => {
                let leaky = config.init(units, device);
                RecurrentUnits::Leaky(leaky.with_whole_reset(config.snntorch_reset))
            }
            Self::Lapicque(config) => RecurrentUnits::Lapicque(config.init(units, device)),
            Self::IntegrateAndFire(config) => RecurrentUnits::IntegrateAndFire(config.init(units, device)),
            Self::Parametric(config) => RecurrentUnits::Parametric(config.init(units, device)),
            Self::Synaptic(config) => RecurrentUnits::Synaptic(config.init(units, device)),
            Self::Adaptive(config) => RecurrentUnits::Adaptive(config.init(units, device)),
        }
    }
}

impl RecurrentConfig {
    /// Units connected all to all, with bias.
    pub fn new(units: RecurrentUnitsConfig) -> Self {
        Self { units, connection: Connection::AllToAll, bias: true, weight: Initializer::default() }
    }

    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        self.units.validate(&format!("{path}.units"), problems);
        self.weight.validate(&format!("{path}.weight"), problems);
    }

    /// Draws the parameters of `units` units; `name` picks the random stream under `seed`.
    pub fn init(&self, units: usize, seed: u64, name: &str, device: &Device) -> Recurrent {
        let all = self.connection == Connection::AllToAll;
        let recurrent = all.then(|| {
            let config = DenseConfig { units, bias: self.bias, weight: self.weight };
            config.init(units, seed, &format!("{name}.recurrent"), device)
        });
        let weight = (!all).then(|| {
            let values = self.weight.draw(units, 1, &mut seed::rng(seed, &format!("{name}.weight")));
            Param::from_data(TensorData::new(values, [units]), device)
        });
        Recurrent { units: self.units.init(units, device), recurrent, weight, count: units }
    }
}

impl Recurrent {
    /// The layer with learned parameters of its units moved back to where they make sense. For use after an
    /// optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        self.bounded()
    }

    /// The input of the units, `[…, units]`, from what comes in and the spikes that they hear.
    pub(super) fn drive<const D: usize>(&self, input: Tensor<D>, spikes: Tensor<D>) -> Tensor<D> {
        let input = match &self.recurrent {
            Some(dense) => input + dense.forward(spikes.clone()),
            None => input,
        };
        match &self.weight {
            Some(weight) => input + spikes * weight.val().unsqueeze(),
            None => input,
        }
    }
}

impl Temporal for Recurrent {
    type State = RecurrentState;

    fn initial_state(&self, batch: usize, device: &Device) -> RecurrentState {
        let spikes = Tensor::zeros([batch, self.count], device);
        RecurrentState { spikes, units: each_recurrent!(&self.units, units => units.begin(batch, device)) }
    }

    fn step(&self, input: Tensor<2>, state: RecurrentState) -> (Tensor<2>, RecurrentState) {
        let input = self.drive(input, state.spikes);
        let (spikes, units) = each_recurrent!(&self.units, units => units.advance(input, state.units));
        (spikes.clone(), RecurrentState { spikes, units })
    }

    fn sequence(&self, input: Tensor<3>, state: RecurrentState) -> (Tensor<3>, RecurrentState) {
        let (spikes, _, state) = self.scan(input, state, false);
        (spikes, state)
    }
}

impl Recurrent {
    /// Spikes and, when asked for, potentials of a whole sequence, `[time, batch, units]` each.
    pub fn scan(
        &self,
        input: Tensor<3>,
        mut state: RecurrentState,
        potential: bool,
    ) -> (Tensor<3>, Option<Tensor<3>>, RecurrentState) {
        let asked = Asked { potential, crossings: false };
        let (mut spikes, mut potentials) = (Vec::new(), Vec::new());
        for input in steps(&input) {
            let input = self.drive(input, state.spikes).unsqueeze();
            let ran = each_recurrent!(&self.units, units => units.run(input, state.units, asked));
            potentials.extend(ran.potential);
            state = RecurrentState { spikes: ran.output.clone().squeeze_dim(0), units: ran.state };
            spikes.push(ran.output);
        }
        let potentials = potential.then(|| Tensor::cat(potentials, 0));
        (Tensor::cat(spikes, 0), potentials, state)
    }
}

impl Member for Recurrent {
    fn begin(&self, batch: usize, device: &Device) -> LayerState {
        LayerState::Recurrent(Box::new(self.initial_state(batch, device)))
    }

    fn run(&self, input: Tensor<3>, state: LayerState, asked: Asked) -> Ran {
        let (spikes, potential, state) = self.scan(input, own(state), asked.potential);
        Ran::spiked(spikes, potential, LayerState::Recurrent(Box::new(state)))
    }

    fn advance(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState) {
        let (spikes, state) = self.step(input, own(state));
        (spikes, LayerState::Recurrent(Box::new(state)))
    }

    fn bounded(self) -> Self {
        let units = match self.units {
            RecurrentUnits::Leaky(units) => RecurrentUnits::Leaky(units.constrained()),
            RecurrentUnits::Lapicque(units) => RecurrentUnits::Lapicque(units.constrained()),
            RecurrentUnits::IntegrateAndFire(units) => RecurrentUnits::IntegrateAndFire(units.constrained()),
            RecurrentUnits::Parametric(units) => RecurrentUnits::Parametric(units.constrained()),
            RecurrentUnits::Synaptic(units) => RecurrentUnits::Synaptic(units.constrained()),
            RecurrentUnits::Adaptive(units) => RecurrentUnits::Adaptive(units.constrained()),
        };
        Self { units, ..self }
    }
}

/// The state of a recurrent layer out of one of any kind.
fn own(state: LayerState) -> RecurrentState {
    match state {
        LayerState::Recurrent(state) => *state,
        other => panic!("a state of another layer: {other:?}"),
    }
}
