//! A trained network back from its checkpoint.

use burn::tensor::{Device, TensorData};
use spark_io::{Checkpoint, CheckpointError, parameters};
use spark_nn::layers::Network;
use std::collections::BTreeMap;
use std::path::Path;

use crate::{Progress, TrainConfig, TrainError};

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

/// A checkpoint of a network that no run has trained yet, such as one of another program.
///
/// # Errors
/// When the configuration is not valid, or has no form in JSON.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use spark_io::parameters;
/// use spark_train::{TrainConfig, untrained};
///
/// let config = TrainConfig::default();
/// let network = config.network.init(config.seed, &Device::flex())?;
/// let checkpoint = untrained(&config, parameters::collect(&network))?;
/// assert_eq!((checkpoint.epoch, checkpoint.parameters.len()), (0, 8));
/// # Ok::<(), spark_train::TrainError>(())
/// ```
pub fn untrained(
    config: &TrainConfig,
    parameters: BTreeMap<String, TensorData>,
) -> Result<Checkpoint, TrainError> {
    config.validate()?;
    let json = |error: serde_json::Error| TrainError::Mismatch(error.to_string());
    Ok(Checkpoint {
        spark: env!("CARGO_PKG_VERSION").to_owned(),
        config: serde_json::to_value(config).map_err(json)?,
        seed: config.seed,
        epoch: 0,
        step: 0,
        metrics: BTreeMap::new(),
        progress: serde_json::to_value(Progress::default()).map_err(json)?,
        parameters,
        optimizer: BTreeMap::new(),
        optimizer_scalars: BTreeMap::new(),
    })
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
