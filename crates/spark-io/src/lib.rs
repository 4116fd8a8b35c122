//! Checkpoints: networks, optimizers and everything needed to go on, in one safetensors file.
//!
//! * [`TensorFile`]: named tensors and text metadata; reads with checks, writes atomically.
//! * [`model`]: model files, JSON and `.scfg`.
//! * [`parameters`]: the parameters of a Burn module by name, out of it and into it.
//! * [`signals`]: inputs over time from `.npy`, `.csv` and `.safetensors`.
//! * [`Checkpoint`]: the layout that `spark train` writes, documented at its type.

mod checkpoint;
pub mod model;
pub mod parameters;
pub mod signals;
mod tensor_file;

pub use checkpoint::{Checkpoint, CheckpointError, FORMAT, VERSION};
pub use tensor_file::{TensorFile, TensorFileError, write_atomically};
