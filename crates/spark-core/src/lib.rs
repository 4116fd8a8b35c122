//! What every Spark crate shares: devices, seeds, validated configuration, and what a component of a neuron
//! is.
//!
//! * [`device`]: `--device auto|flex|ndarray|wgpu[:N]|cuda[:N]` and what this machine offers.
//! * [`seed`]: independent streams of random numbers from one seed.
//! * [`init`]: parameters drawn on the host, the same on every backend.
//! * [`config`]: JSON configuration with errors that name the path.
//! * [`validate`]: checks that report every problem at once; [`schema`]: units and ranges of fields.
//! * [`parameter`]: numbers, arrays and initializers as parameters of units and synapses.
//! * [`payload`], [`mod@ports`]: what travels between components, and where it goes in and out.
//! * [`join`]: payloads put one after the other, and picked from.
//! * [`mod@state`]: what a component remembers, by name.
//! * [`model`]: modules and their wiring as a file describes them: addresses, defaults, differences.
//! * [`simulation`]: a model run over inputs, with rates and recordings.
//! * [`host`]: one sample on the CPU, without tensors between modules.
//! * [`component`], [`registry`]: components, and how they are found by name; [`build`]: their parameters;
//!   [`erased`]: those of any type as one Burn module.

mod alias;
mod any_config;
pub mod build;
pub mod component;
pub mod config;
pub mod device;
mod draw;
pub mod erased;
pub mod host;
pub mod init;
mod instance;
pub mod join;
pub mod look;
pub mod model;
pub mod parameter;
pub mod payload;
pub mod ports;
pub mod registry;
pub mod schema;
pub mod seed;
pub mod simulation;
pub mod state;
pub mod validate;

pub use component::{Component, ComponentConfig};
pub use device::{DeviceChoice, DeviceError};
pub use init::Initializer;
pub use parameter::Parameter;
pub use validate::{Problem, Problems};
