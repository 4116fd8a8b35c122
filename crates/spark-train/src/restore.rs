//! A trained network back from its checkpoint.

use burn::tensor::Device;
use spark_io::{Checkpoint, CheckpointError, parameters};
use spark_nn::layers::Network;
use std::path::Path;

use crate::{TrainConfig, TrainError};

/// The configuration and the network of a checkpoint that came from the file `path`; learned delays are rounded to
/// whole steps.
///
/// # Errors
/// When the configuration in the checkpoint is not one, or its tensors do not fit the network.
///
/// # Examples
/// ```no_run
/// use burn::tensor::Device;
/// use spark_io::Checkpoint;
/// use spark_train::restore;
///
/// let path = "runs/mnist10k-001/best.safetensors".as_ref();
/// let (config, network) = restore(&Checkpoint::read(path)?, path, &Device::flex())?;
/// # Ok::<(), spark_train::TrainError>(())
/// ```
pub fn restore(
    checkpoint: &Checkpoint,
    path: &Path,
    device: &Device,
) -> Result<(TrainConfig, Network), TrainError> {
    let config = config_of(checkpoint, path)?;
    let network = load(config.network.init(config.seed, device)?, checkpoint, path)?;
    network.set_delay_width(0.0);
    Ok((config, network))
}

/// The configuration in a checkpoint that came from the file `path`.
///
/// # Errors
/// When it is not one.
pub fn config_of(checkpoint: &Checkpoint, path: &Path) -> Result<TrainConfig, TrainError> {
    let origin = format!("{}, metadata `config`", path.display());
    let config: TrainConfig = spark_core::config::parse(&checkpoint.config.to_string(), &origin)?;
    config.validate()?;
    Ok(config)
}

/// `network` with the parameters of a checkpoint.
pub(crate) fn load(
    network: Network,
    checkpoint: &Checkpoint,
    path: &Path,
) -> Result<Network, CheckpointError> {
    parameters::load(network, checkpoint.parameters.clone())
        .map_err(|problems| CheckpointError::Tensors { path: path.to_owned(), problems })
}
