//! `spark inspect`

mod checkpoint;
mod tree;

use anyhow::{Result, bail};
use spark::core::model::Setting;
use spark::io::Snapshot;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::model::{self, Neurons, Size};
use super::run::folder::STATE;
use crate::output::Output;

/// Show what a model, a run or a checkpoint holds
///
/// Of a model: its modules as a tree, with their ports and what feeds them, the parameters that differ from the
/// defaults, and, where the sizes of the inputs are known, shapes, numbers of parameters and memory. Of the
/// state.safetensors of a run: the same, and what it remembers. Of a training run: parameters and configuration.
///
/// Example: spark inspect brain.json --size signal=4
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Model file, state or checkpoint; or the folder of a run
    path: PathBuf,
    /// Set a field of the model before it is shown, such as pool.soma.threshold=-45; may be repeated
    #[arg(long = "set", value_name = "ADDRESS=VALUE", allow_hyphen_values = true)]
    settings: Vec<Setting>,
    /// Size of an input, such as signal=4 or image=16x16; may be repeated
    #[arg(long = "size", value_name = "PORT=SIZE")]
    sizes: Vec<Size>,
    #[command(flatten)]
    neurons: Neurons,
    /// Print JSON lines, the last one a summary
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.json };
    let path = resolved(&args.path);
    let state = match path.extension() {
        Some(ending) if ending == "safetensors" => match Snapshot::is_at(&path)? {
            true => Some(Snapshot::read(&path)?),
            false if args.settings.is_empty() && args.sizes.is_empty() => {
                return checkpoint::show(&path, out);
            }
            false => {
                bail!("{}: --set and --size are for models, not for checkpoints of training", path.display())
            }
        },
        _ if path.is_dir() => return checkpoint::show(&path, out),
        _ => None,
    };
    args.neurons.define()?;
    let mut found = match &state {
        Some(state) => state.model.clone(),
        None => model::read(&path)?,
    };
    model::set(&mut found, &args.settings)?;
    tree::show(&found, &path, &args.sizes, state.as_ref(), out)?;
    Ok(ExitCode::SUCCESS)
}

/// The file that is meant by the folder of a run of a model.
fn resolved(path: &Path) -> PathBuf {
    let state = path.join(STATE);
    if path.is_dir() && state.exists() { state } else { path.to_owned() }
}
