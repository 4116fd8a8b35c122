//! Trainable layers: dimensionless ones, with decay factors instead of time constants and thresholds around 1,
//! and, as [`Physical`], every component with physical units.
//!
//! Every layer is a Burn module that holds parameters only. What changes from step to step is a state
//! of its own, passed in and handed back: nothing is carried over between sequences by accident, and
//! nothing has to be reset. [`Stateful`] keeps the state for callers that step through time.
//!
//! | layers | what they are |
//! | --- | --- |
//! | [`Dense`], [`Conv1d`], [`Conv2d`] | synapses |
//! | [`DelayedDense`] | synapses with learned delays |
//! | [`MaxPool2d`], [`AvgPool2d`], [`SumPool2d`], [`Flatten`], [`Scale`] | what changes shapes and sizes |
//! | [`BatchNorm`], [`Dropout`] | what helps training, with statistics and masks for whole sequences |
//! | [`Leaky`], [`Lapicque`], [`IntegrateAndFire`], [`Parametric`], [`Synaptic`], [`Adaptive`] | spiking units, a sequence of which is one fused operation |
//! | [`Membrane`] | units with every constant of their membrane, spiking or not |
//! | [`DelayLine`] | fixed delays |
//! | [`Alpha`], [`Parallel`], [`SpikingLstm`] | spiking units of other kinds |
//! | [`LeakyIntegrator`] | a readout that never spikes |
//! | [`Recurrent`] | units that hear their own spikes |
//! | [`Physical`], [`Neurons`] | somas and synapses of [`components`](crate::components), alone and together |
//! | [`Sequential`], [`Residual`], [`Graph`], [`Network`] | containers, which nest |
//!
//! Units differ between libraries in decay, reset, delay of the reset and scaling of the input. The fields of
//! their configurations choose; `like_snntorch` and `like_spikingjelly` choose all of them at once.

mod adaptive;
mod alpha;
mod batch_norm;
mod buffer;
mod config;
mod conv1d;
mod conv2d;
mod delay_line;
mod delay_width;
mod delayed;
mod dense;
mod dropout;
mod flatten;
mod graph;
mod inputs;
mod integrate_and_fire;
mod integrator;
mod lapicque;
mod layer;
mod leaky;
mod local;
mod lstm;
mod member;
mod membrane;
mod network;
mod neurons;
mod parallel;
mod parametric;
mod physical;
mod pool;
mod recurrent;
mod replica;
mod residual;
mod scale;
mod sequential;
mod state;
mod synaptic;
mod temporal;
mod units;
mod wiring;

pub use adaptive::{Adaptive, AdaptiveConfig, AdaptiveState};
pub use alpha::{Alpha, AlphaConfig, AlphaState};
pub use batch_norm::{BatchNorm, BatchNormConfig};
pub use buffer::Buffer;
pub use config::LayerConfig;
pub use conv1d::{Conv1d, Conv1dConfig};
pub use conv2d::{Conv2d, Conv2dConfig};
pub use delay_line::{DelayLine, DelayLineConfig, DelayLineState};
pub use delay_width::shrunk_width;
pub use delayed::{DelayedDense, DelayedDenseConfig, DelayedState};
pub use dense::{Dense, DenseConfig};
pub use dropout::{Dropout, DropoutConfig, DropoutState};
pub use flatten::{Flatten, FlattenConfig};
pub use graph::{Graph, GraphConfig, GraphState, Joining, Node, NodeConfig};
pub use inputs::Inputs;
pub use integrate_and_fire::{IntegrateAndFire, IntegrateAndFireConfig};
pub use integrator::{LeakyIntegrator, LeakyIntegratorConfig};
pub use lapicque::{Lapicque, LapicqueConfig};
pub use layer::Layer;
pub use leaky::{Leaky, LeakyConfig, LeakyState};
pub use local::{LocalRun, Reach};
pub use lstm::{SpikingLstm, SpikingLstmConfig, SpikingLstmState};
pub use membrane::{Membrane, MembraneConfig, MembraneState};
pub use network::{Network, NetworkConfig, NetworkOutput};
pub use neurons::{Neurons, NeuronsConfig, NeuronsState};
pub use parallel::{Parallel, ParallelConfig, ParallelState};
pub use parametric::{Parametric, ParametricConfig};
pub use physical::{LearnedParameter, Physical, PhysicalConfig};
pub use pool::{AvgPool2d, AvgPool2dConfig, MaxPool2d, MaxPool2dConfig, SumPool2d, SumPool2dConfig};
pub use recurrent::{
    Connection, Recurrent, RecurrentConfig, RecurrentState, RecurrentUnits, RecurrentUnitsConfig,
};
pub use residual::{Residual, ResidualConfig};
pub use scale::{Scale, ScaleConfig};
pub use sequential::{Sequential, SequentialConfig};
pub use state::{LayerState, NetworkState};
pub use synaptic::{Synaptic, SynapticConfig, SynapticState};
pub use temporal::{Stateful, Temporal, step_through};
pub use wiring::Synapses;
