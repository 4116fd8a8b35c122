//! A model run over inputs: what comes in by port, how much every part spikes, and what is kept of it.
//!
//! * [`Drives`]: constants and sequences for the inputs, checked once and not at every step.
//! * [`Simulation`]: a model with its inputs; counts spikes on the device and brings them to the host at the end.
//! * [`Activity`]: spikes, rates and means by output.

mod drive;
mod planes;
mod run;
mod watch;

pub use drive::{Drive, DriveError, Drives};
pub use run::{Record, Simulation, SimulationError};
pub use watch::Activity;
