//! Dimensionless trainable layers: decay factors instead of time constants, thresholds around 1.
//!
//! Every layer is a Burn module that holds parameters only. What changes from step to step is a state
//! of its own, passed in and handed back: nothing is carried over between sequences by accident, and
//! nothing has to be reset. [`Stateful`] keeps the state for callers that step through time.

mod conv2d;
mod dense;
mod leaky;
mod network;
mod pool;
mod temporal;

pub use conv2d::{Conv2d, Conv2dConfig};
pub use dense::{Dense, DenseConfig};
pub use leaky::{Leaky, LeakyConfig, LeakyState};
pub use network::{Layer, LayerConfig, Network, NetworkConfig, NetworkOutput, NetworkState};
pub use pool::{MaxPool2d, MaxPool2dConfig};
pub use temporal::{Stateful, Temporal, step_through};
