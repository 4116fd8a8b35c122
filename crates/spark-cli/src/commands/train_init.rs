//! Parameters that training starts from.

use anyhow::{Context, Result};
use spark::burn::tensor::TensorData;
use spark::io::parameters::{self, Loading};
use spark::io::{Checkpoint, FORMAT, TensorFile, pytorch};
use spark::prelude::{Device, TrainConfig};
use spark::train::{RunFolder, config_of};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Options of where training starts.
#[derive(clap::Args)]
pub struct Start {
    /// Start from the parameters of a checkpoint, of the best one of a run folder, or of a .safetensors or .pt with
    /// names as `spark inspect` shows them. Without --config, the configuration is that of the checkpoint
    #[arg(long, value_name = "PATH", conflicts_with = "resume")]
    init: Option<PathBuf>,
    /// With --init: take what fits by name and shape, and list the rest
    #[arg(long, requires = "init")]
    partial: bool,
}

impl Start {
    /// The configuration of the checkpoint to start from, if it is one.
    pub fn config(&self) -> Result<Option<TrainConfig>> {
        let Some(path) = self.init.as_deref().map(RunFolder::checkpoint) else { return Ok(None) };
        if !is_checkpoint(&path)? {
            return Ok(None);
        }
        Ok(Some(config_of(&Checkpoint::read(&path)?, &path)?))
    }

    /// Every parameter of the network of `config`, from the file as far as it has them; none without a file.
    pub fn parameters(&self, config: &TrainConfig) -> Result<Option<BTreeMap<String, TensorData>>> {
        let Some(path) = self.init.as_deref().map(RunFolder::checkpoint) else { return Ok(None) };
        let tensors = if is_checkpoint(&path)? {
            Checkpoint::read(&path)?.parameters
        } else {
            pytorch::read_any(&path)?.into_iter().collect()
        };
        let network = config.network.init(config.seed, &Device::flex())?;
        let loading = Loading { partial: self.partial, ..Loading::default() };
        let (network, remains) = parameters::load_as(network, tensors, &loading).with_context(|| {
            format!("{} does not fit the network (--partial takes what does)", path.display())
        })?;
        for name in &remains.missing {
            eprintln!("note: {name}: not in the file, starts as drawn");
        }
        for (name, why) in &remains.unused {
            eprintln!("note: {name}: left out, {why}");
        }
        Ok(Some(parameters::collect(&network)))
    }
}

/// Whether a file is a checkpoint of Spark, and not only a table of tensors.
fn is_checkpoint(path: &Path) -> Result<bool> {
    if path.extension().is_none_or(|ending| ending != "safetensors") {
        return Ok(false);
    }
    let format = TensorFile::read(path)?.metadata.remove("format");
    Ok(format.is_some_and(|format| format == format!("\"{FORMAT}\"")))
}
