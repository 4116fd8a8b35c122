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

/// What training starts from.
pub struct Origin {
    /// The file.
    path: PathBuf,
    /// The configuration, if it is a checkpoint.
    pub config: Option<TrainConfig>,
    tensors: BTreeMap<String, TensorData>,
    partial: bool,
}

impl Start {
    /// Reads the file; none without one.
    pub fn open(&self) -> Result<Option<Origin>> {
        let Some(path) = self.init.as_deref().map(RunFolder::checkpoint) else { return Ok(None) };
        let (config, tensors) = if is_checkpoint(&path)? {
            let checkpoint = Checkpoint::read(&path)?;
            (Some(config_of(&checkpoint, &path)?), checkpoint.parameters)
        } else {
            (None, pytorch::read_any(&path)?.into_iter().collect())
        };
        Ok(Some(Origin { path, config, tensors, partial: self.partial }))
    }
}

impl Origin {
    /// Every parameter of the network of `config`, from the file as far as it has them.
    pub fn parameters(self, config: &TrainConfig) -> Result<BTreeMap<String, TensorData>> {
        let Self { path, tensors, partial, .. } = self;
        let network = config.network.init(config.seed, &Device::flex())?;
        let loading = Loading { partial, ..Loading::default() };
        let (network, remains) = parameters::load_as(network, tensors, &loading).with_context(|| {
            format!("{} does not fit the network (--partial takes what does)", path.display())
        })?;
        for name in &remains.missing {
            eprintln!("note: {name}: not in the file, starts as drawn");
        }
        for (name, why) in &remains.unused {
            eprintln!("note: {name}: left out, {why}");
        }
        Ok(parameters::collect(&network))
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
