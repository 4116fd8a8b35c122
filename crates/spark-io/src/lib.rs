//! Checkpoints: networks, optimizers and everything needed to go on, in one safetensors file.
//!
//! * [`TensorFile`]: named tensors and text metadata; reads with checks, writes atomically.
//! * [`model`]: model files, JSON and `.scfg`.
//! * [`parameters`]: the parameters of a Burn module by name, out of it and into it; [`floats`]: in which type.
//! * [`Snapshot`]: a model with the state of one that runs; [`spark_snn`]: models of spark-snn with theirs.
//! * [`signals`]: inputs over time from `.npy`, `.csv` and `.safetensors`.
//! * [`pytorch`]: `state_dict`s of PyTorch, without running anything; [`rename`]: names of others into ours;
//!   [`exchange`]: whole networks of snnTorch and SpikingJelly into ours and back.
//! * [`events`]: recordings of event cameras; [`series`]: labelled time series in UCR/UEA `.ts`.
//! * [`nir`]: graphs of the Neuromorphic Intermediate Representation.
//! * [`gzip`]: files that may be packed; [`hdf5`]: groups of arrays; [`npz`]: archives of NumPy.
//! * [`Checkpoint`]: the layout that `spark train` writes, documented at its type.

mod checkpoint;
mod cursor;
pub mod events;
pub mod exchange;
pub mod floats;
mod format_error;
pub mod gzip;
pub mod hdf5;
pub mod model;
pub mod nir;
mod npy;
pub mod npz;
pub mod parameters;
pub mod pytorch;
pub mod rename;
pub mod series;
pub mod signals;
mod snapshot;
pub mod spark_snn;
mod tensor_file;
#[cfg(test)]
mod test_memory;
mod zip;

pub use checkpoint::{Checkpoint, CheckpointError, FORMAT, VERSION};
pub use format_error::FormatError;
pub use snapshot::{Snapshot, SnapshotError};
pub use tensor_file::{TensorFile, TensorFileError, write_atomically};
