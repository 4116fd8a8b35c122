//! What every Spark crate shares and no neuron needs to be known for: devices, seeds, initializers and
//! validated configuration.
//!
//! * [`device`]: `--device auto|flex|ndarray|wgpu[:N]|cuda[:N]` and what this machine offers.
//! * [`seed`]: independent streams of random numbers from one seed.
//! * [`init`]: parameters drawn on the host, the same on every backend.
//! * [`config`]: JSON configuration with errors that name the path.
//! * [`validate`]: checks that report every problem at once.

pub mod config;
pub mod device;
pub mod init;
pub mod seed;
pub mod validate;

pub use device::{DeviceChoice, DeviceError};
pub use init::Initializer;
pub use validate::{Problem, Problems};
