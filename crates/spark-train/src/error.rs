//! What can go wrong in training.

use spark_core::Problems;
use spark_core::config::ConfigError;
use spark_io::CheckpointError;
use spark_record::StoreError;
use std::path::PathBuf;

use crate::data::DataError;

/// Training that cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The configuration does not make sense.
    #[error("the configuration is not valid:\n{0}")]
    Config(#[from] Problems),
    /// The configuration cannot be read.
    #[error(transparent)]
    ConfigFile(#[from] ConfigError),
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The data do not fit the network.
    #[error("the data do not fit the network: {0}")]
    Mismatch(String),
    /// A checkpoint cannot be read, written or used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The run folder cannot be used.
    #[error("{}: {message}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        message: String,
    },
    /// The record of the run cannot be written, or another process writes it.
    #[error(transparent)]
    Record(#[from] StoreError),
    /// The loss or a parameter is no longer a number.
    #[error(
        "training diverged at step {step} of epoch {epoch}: {what} is not finite; \
         the last good checkpoint is {}", checkpoint.display()
    )]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Step, from 1.
        step: u64,
        /// What is not finite.
        what: String,
        /// The last good checkpoint.
        checkpoint: PathBuf,
    },
}
