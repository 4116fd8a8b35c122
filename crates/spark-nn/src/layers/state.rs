//! What layers remember, of any kind.

use burn::tensor::Tensor;
use spark_core::erased::Planes;
use spark_core::state::{State, StateMapper};

use super::{
    AdaptiveState, AlphaState, DelayLineState, DelayedState, DropoutState, GraphState, LeakyState,
    MembraneState, NeuronsState, ParallelState, RecurrentState, SpikingLstmState, SynapticState,
};

/// What one layer of a container remembers.
///
/// [`spark_core::state::save`] names its leaves and moves them to the host; `restore` puts them back.
// One per layer and sequence: the spread of sizes does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, Default)]
pub enum LayerState {
    /// Nothing.
    #[default]
    None,
    /// A membrane: [`Leaky`](super::Leaky), [`Lapicque`](super::Lapicque),
    /// [`IntegrateAndFire`](super::IntegrateAndFire), [`Parametric`](super::Parametric) and
    /// [`LeakyIntegrator`](super::LeakyIntegrator).
    Leaky(LeakyState),
    /// Membrane and current of [`Synaptic`](super::Synaptic).
    Synaptic(SynapticState),
    /// Membrane and adaptation of [`Adaptive`](super::Adaptive).
    Adaptive(AdaptiveState),
    /// Membrane and current of [`Membrane`](super::Membrane) units.
    Membrane(MembraneState),
    /// The last inputs of a [`DelayLine`](super::DelayLine).
    DelayLine(DelayLineState),
    /// Traces and membrane of [`Alpha`](super::Alpha).
    Alpha(AlphaState),
    /// The last inputs of [`Parallel`](super::Parallel).
    Parallel(ParallelState),
    /// Cell and membrane of a [`SpikingLstm`](super::SpikingLstm).
    SpikingLstm(SpikingLstmState),
    /// The last spikes of [`Recurrent`](super::Recurrent) units and what those remember.
    Recurrent(Box<RecurrentState>),
    /// The last inputs of a [`DelayedDense`](super::DelayedDense).
    Delayed(DelayedState),
    /// The mask of a [`Dropout`](super::Dropout).
    Dropout(DropoutState),
    /// One state per layer of a [`Sequential`](super::Sequential).
    Sequential(NetworkState),
    /// Body and shortcut of a [`Residual`](super::Residual).
    Residual(Box<[NetworkState; 2]>),
    /// The nodes of a [`Graph`](super::Graph).
    Graph(GraphState),
    /// A [`Physical`](super::Physical) component, by the names of its planes.
    Physical(Planes),
    /// Synapses and soma of [`Neurons`](super::Neurons).
    Neurons(NeuronsState),
}

impl State for LayerState {
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
        match self {
            Self::None => Self::None,
            Self::Leaky(state) => Self::Leaky(state.map(mapper)),
            Self::Synaptic(state) => Self::Synaptic(state.map(mapper)),
            Self::Adaptive(state) => Self::Adaptive(state.map(mapper)),
            Self::Membrane(state) => Self::Membrane(state.map(mapper)),
            Self::DelayLine(state) => Self::DelayLine(state.map(mapper)),
            Self::Alpha(state) => Self::Alpha(state.map(mapper)),
            Self::Parallel(state) => Self::Parallel(state.map(mapper)),
            Self::SpikingLstm(state) => Self::SpikingLstm(state.map(mapper)),
            Self::Recurrent(state) => Self::Recurrent(Box::new(state.map(mapper))),
            Self::Delayed(state) => Self::Delayed(state.map(mapper)),
            Self::Dropout(state) => Self::Dropout(state.map(mapper)),
            Self::Sequential(state) => Self::Sequential(state.map(mapper)),
            Self::Residual(state) => {
                let [body, shortcut] = *state;
                let body = mapper.field("body", body);
                Self::Residual(Box::new([body, mapper.field("shortcut", shortcut)]))
            }
            Self::Graph(state) => Self::Graph(state.map(mapper)),
            Self::Physical(state) => Self::Physical(state.map(mapper)),
            Self::Neurons(state) => Self::Neurons(state.map(mapper)),
        }
    }
}

/// The state of every layer of a network, in their order.
///
/// # Examples
/// A sequence in two halves, the state saved in between:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::state::{restore, save};
/// use spark_nn::layers::{LeakyConfig, NetworkConfig, Temporal};
///
/// let device = Device::flex();
/// let network = NetworkConfig::mlp(&[4, 2], LeakyConfig::default()).init(1, &device)?;
/// let input = Tensor::ones([10, 1, 4], &device);
/// let half = network.forward(input.clone(), None);
/// let saved = save(half.state);
/// assert_eq!(saved.keys().collect::<Vec<_>>(), ["layers.1.membrane"]);
/// let state = restore(network.initial_state(1, &device), &saved)?;
/// assert_eq!(network.forward(input, Some(state)).output.dims(), [10, 1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct NetworkState {
    /// One entry per layer; [`LayerState::None`] for a layer without memory.
    pub layers: Vec<LayerState>,
}

impl State for NetworkState {
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
        mapper.enter("layers");
        let layers = self.layers.into_iter().enumerate();
        let layers = layers.map(|(i, state)| mapper.field(&i.to_string(), state)).collect();
        mapper.leave();
        Self { layers }
    }
}

impl LayerState {
    /// The same, cut off from the graph that made it: for truncated backpropagation over parts of a sequence.
    #[must_use]
    pub fn detached(self) -> Self {
        self.map(&mut Detach)
    }
}

impl NetworkState {
    /// The same, cut off from the graph that made it: for truncated backpropagation over parts of a sequence.
    #[must_use]
    pub fn detached(self) -> Self {
        self.map(&mut Detach)
    }
}

struct Detach;

impl StateMapper for Detach {
    fn enter(&mut self, _: &str) {}

    fn leave(&mut self) {}

    fn float<const D: usize>(&mut self, plane: Tensor<D>) -> Tensor<D> {
        plane.detach()
    }

    fn int<const D: usize>(&mut self, plane: Tensor<D, burn::tensor::Int>) -> Tensor<D, burn::tensor::Int> {
        plane
    }

    fn count(&mut self, count: u64) -> u64 {
        count
    }
}

/// Takes the state of one kind of layer out of one of any kind.
macro_rules! layer_states {
    ($($kind:ident($state:ty)),*) => {$(
        impl From<$state> for LayerState {
            fn from(state: $state) -> Self {
                Self::$kind(state)
            }
        }

        impl TryFrom<LayerState> for $state {
            type Error = LayerState;

            fn try_from(state: LayerState) -> Result<Self, LayerState> {
                match state {
                    LayerState::$kind(state) => Ok(state),
                    other => Err(other),
                }
            }
        }
    )*};
}

layer_states! {
    Leaky(LeakyState),
    Synaptic(SynapticState),
    Adaptive(AdaptiveState),
    Membrane(MembraneState),
    DelayLine(DelayLineState),
    Alpha(AlphaState),
    Parallel(ParallelState),
    SpikingLstm(SpikingLstmState),
    Delayed(DelayedState),
    Dropout(DropoutState),
    Sequential(NetworkState),
    Graph(GraphState),
    Physical(Planes),
    Neurons(NeuronsState)
}

/// The state of a layer of this type.
///
/// # Panics
/// If it is that of another one: states go back to the network that they came from.
pub(super) fn own<S: TryFrom<LayerState, Error = LayerState>>(state: LayerState) -> S {
    state.try_into().unwrap_or_else(|other| panic!("a state of another layer: {other:?}"))
}
