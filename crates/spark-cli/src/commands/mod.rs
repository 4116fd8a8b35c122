//! One file per command.

pub mod bench;
mod braille;
pub mod check;
pub mod convert;
pub mod devices;
pub mod diff;
pub mod eval;
mod exchange;
pub mod export;
mod export_records;
pub mod import;
mod import_brain;
pub mod inspect;
mod interrupt;
pub mod list;
mod model;
pub mod new;
pub mod plot;
pub mod predict;
pub mod record;
mod recorded;
pub mod report;
pub mod run;
pub mod runs;
pub mod schema;
pub mod show;
pub mod train;
mod train_flags;
mod train_init;
mod train_progress;
pub mod watch;

use anyhow::Result;
use spark::core::DeviceChoice;
use spark::io::Checkpoint;
use spark::nn::layers::Network;
use spark::prelude::{Device, TrainConfig};
use spark::train::{DataConfig, RunFolder, restore};
use std::path::{Path, PathBuf};

/// Options of every command that computes.
#[derive(clap::Args, Clone)]
pub struct Common {
    /// Where to compute: auto, flex, ndarray, wgpu[:N] or cuda[:N]
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: DeviceChoice,
    /// Print JSON lines, the last one a summary
    #[arg(long)]
    json: bool,
}

/// Options that pick samples other than those of the training run.
#[derive(clap::Args, Clone)]
pub struct DataArgs {
    /// Folder or file of the same kind of samples (default: that of the training run)
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Use only the first N samples
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl DataArgs {
    /// Puts these options over those of a training run.
    fn apply(&self, config: &mut TrainConfig) {
        if let Some(folder) = &self.data {
            let task = config.data.task.clone();
            config.data = DataConfig { task, folder: Some(folder.clone()), ..DataConfig::default() };
        }
        if self.limit.is_some() {
            config.data.train_limit = self.limit;
            config.data.test_limit = self.limit;
        }
    }
}

/// A trained network and what it came from.
struct Restored {
    path: PathBuf,
    config: TrainConfig,
    network: Network,
    device: Device,
}

/// Reads the checkpoint that `path`, a file or a run folder, means.
fn open(path: &Path, device: DeviceChoice) -> Result<Restored> {
    let device = device.resolve()?;
    let path = RunFolder::checkpoint(path);
    let (config, network) = restore(&Checkpoint::read(&path)?, &path, &device)?;
    Ok(Restored { path, config, network, device })
}
