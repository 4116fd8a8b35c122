//! `spark export`

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde_json::json;
use spark::io::exchange::{self, Library};
use spark::io::floats::{self, Float};
use spark::io::{Checkpoint, TensorFile, rename, write_atomically};
use spark::prelude::Device;
use spark::record::RunPaths;
use spark::train::nir::{NirOptions, write_nir};
use spark::train::{BrainOptions, Purpose, RunFolder, TrainConfig, TrainedBrain, config_of};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::exchange::{self as common, Record, Renaming, check_new, rules};
use super::export_records::{self, Form};
use crate::output::Output;

/// Write a trained network, or what a run recorded, as others read it
///
/// With --csv or --npz what a run recorded is written as tables or as a NumPy archive: scalars, events, tags, warnings
/// and every stream of every measurement; the spikes of a raster are listed in tables and unpacked in archives.
/// Otherwise a network is written, of a checkpoint or a run of spark train.
///
/// The tensors go into a .safetensors file that the modules of the library load with strict=True. Beside it, under
/// the same name with the ending .json, stands what the modules are; examples/python/exchange.py builds them from
/// that. What the library puts differently is listed, and what it does not have is an error.
///
/// With --to safetensors the parameters go out under the names of Spark, with --to nir a NIR graph is written, and
/// with --to brain a folder with a model file and its initial state, which spark run takes like any other brain.
///
/// Examples:
///   spark export runs/mnist10k-001 --to snntorch --out net.safetensors
///   spark export best.safetensors --to spikingjelly --rename layers.0=fc1 --dtype f16 --out net.safetensors
///   spark export best.safetensors --to nir --out net.nir
///   spark export best.safetensors --to brain --out brain
///   spark export runs/cartpole-001 --npz
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Checkpoint, or the folder of a run for its best one
    #[arg(value_name = "CHECKPOINT|RUN")]
    checkpoint: PathBuf,
    /// Library that loads it
    #[arg(long, value_enum, required_unless_present_any = ["csv", "npz"])]
    to: Option<Target>,
    /// What a run recorded, as a folder of tables
    #[arg(long, conflicts_with_all = ["to", "npz", "record", "dtype", "renamings", "dt"])]
    csv: bool,
    /// What a run recorded, as a NumPy archive
    #[arg(long, conflicts_with_all = ["to", "record", "dtype", "renamings", "dt"])]
    npz: bool,
    /// File to write, or folder of a brain or of tables (default of --csv and --npz: records and records.npz in the
    /// run)
    #[arg(long, value_name = "PATH", required_unless_present_any = ["csv", "npz"])]
    out: Option<PathBuf>,
    /// Type of the numbers: f64, f32, f16 or bf16
    #[arg(long, default_value = "f32")]
    dtype: Float,
    /// Call a module something else, such as layers.0=fc1; may be repeated
    #[arg(long = "rename", value_name = "FROM=TO")]
    renamings: Vec<Renaming>,
    /// Also write the encoded test images `input`, [time, batch, inputs], and the `spikes` of the network for them,
    /// to compare with
    #[arg(long, value_name = "FILE.safetensors")]
    record: Option<PathBuf>,
    /// Images to record, at most
    #[arg(long, value_name = "N", default_value_t = 100, requires = "record")]
    samples: usize,
    /// NIR: duration of a step in s
    #[arg(long, value_name = "SECONDS", default_value_t = 1e-4)]
    dt: f64,
    /// Replace the files if they are there
    #[arg(long)]
    overwrite: bool,
    /// Print JSON lines, the last one a summary
    #[arg(long)]
    json: bool,
}

/// Where networks go.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// Modules of snnTorch
    Snntorch,
    /// Nodes of SpikingJelly
    Spikingjelly,
    /// The parameters alone
    Safetensors,
    /// A NIR graph
    Nir,
    /// A brain that runs, and can learn, by itself
    Brain,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.json };
    if args.csv || args.npz {
        let form = if args.csv { Form::Csv } else { Form::Npz };
        return export_records::export(&args.checkpoint, form, args.out.as_deref(), args.overwrite, out);
    }
    let (Some(to), Some(target)) = (args.to, args.out.as_deref()) else {
        bail!("--to and --out say what to write; --csv and --npz write what a run recorded");
    };
    let path = RunFolder::checkpoint(&args.checkpoint);
    let run = RunPaths::new(&args.checkpoint);
    ensure!(
        path.exists() || !run.is_run(),
        "the run in {} has no network that was trained; --csv and --npz write what it recorded",
        run.folder().display()
    );
    let checkpoint = Checkpoint::read(&path)?;
    let config = config_of(&checkpoint, &path)?;
    if to != Target::Brain {
        check_new(target, args.overwrite)?;
    }
    if let Some(path) = &args.record {
        check_new(path, args.overwrite)?;
        record(&config, &checkpoint, args.samples)?.write(path)?;
        out.text(format_args!("wrote {}", path.display()))?;
    }
    match to {
        Target::Snntorch => modules(args, Library::SnnTorch, &path, target, &checkpoint, &config, out),
        Target::Spikingjelly => {
            modules(args, Library::SpikingJelly, &path, target, &checkpoint, &config, out)
        }
        Target::Safetensors => parameters(args, target, checkpoint, &config, out),
        Target::Nir => graph(args, target, checkpoint, &config, out),
        Target::Brain => brain(args, target, checkpoint, &config, out),
    }
}

/// The modules of a library, and what they are.
fn modules(
    args: &Args,
    library: Library,
    path: &Path,
    target: &Path,
    checkpoint: &Checkpoint,
    config: &TrainConfig,
    out: Output,
) -> Result<ExitCode> {
    let description = target.with_extension("json");
    check_new(&description, args.overwrite)?;
    let exported = exchange::export(library, &config.network, &checkpoint.parameters)
        .with_context(|| format!("{} cannot be a network of {library}", path.display()))?;
    let exported = exported.renamed(&rules(&args.renamings))?;
    let tensors = floats::convert_all(exported.tensors.clone().into_iter().collect(), args.dtype)?;
    let file = TensorFile { tensors, ..TensorFile::default() };
    file.write(target)?;
    let text = serde_json::to_string_pretty(&exported.description())? + "\n";
    write_atomically(&description, text.as_bytes())
        .with_context(|| format!("cannot write {}", description.display()))?;
    out.notes(&exported.notes)?;
    out.text(format_args!("wrote {} ({} tensors)", target.display(), file.tensors.len()))?;
    out.text(format_args!("wrote {}", description.display()))?;
    out.json(&json!({
        "event": "summary",
        "file": target,
        "description": description,
        "tensors": file.tensors.len(),
        "dtype": args.dtype.to_string(),
        "modules": exported.modules,
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// What the network gives for the first test images.
fn record(config: &TrainConfig, checkpoint: &Checkpoint, samples: usize) -> Result<Record> {
    let test = config.load_data()?.test;
    let indices: Vec<usize> = (0..test.labels().len().min(samples)).collect();
    let device = Device::flex();
    let input = config.encoder().encode(&*test, &indices, Purpose::Evaluate).into_tensor(&device);
    let network = common::network(&config.network, checkpoint.parameters.clone())?;
    Ok(Record::of(&network, input.into_data()))
}

/// A NIR graph.
fn graph(
    args: &Args,
    target: &Path,
    checkpoint: Checkpoint,
    config: &TrainConfig,
    out: Output,
) -> Result<ExitCode> {
    let network = common::network(&config.network, checkpoint.parameters)?;
    let options = NirOptions { dt: args.dt, ..NirOptions::default() };
    let notes = write_nir(target, &config.network, &network, &options)?;
    out.notes(&notes)?;
    out.text(format_args!("wrote {}", target.display()))?;
    out.json(&json!({"event": "summary", "file": target, "dt": args.dt}))?;
    Ok(ExitCode::SUCCESS)
}

/// A model file with its state.
fn brain(
    args: &Args,
    target: &Path,
    checkpoint: Checkpoint,
    config: &TrainConfig,
    out: Output,
) -> Result<ExitCode> {
    let network = common::network(&config.network, checkpoint.parameters)?;
    // The weights stand in the model: it runs without the state beside it too.
    let options = BrainOptions { kernels_in_model: true, seed: config.seed, ..BrainOptions::default() };
    let brain = TrainedBrain::new(&config.network, &network, &options).context(
        "the network has no form as a brain (units that reset to zero have: spark train --reset zero)",
    )?;
    std::fs::create_dir_all(target).with_context(|| format!("cannot make {}", target.display()))?;
    let files = brain.write(target, args.overwrite)?;
    for file in &files {
        out.text(format_args!("wrote {}", file.display()))?;
    }
    out.text(format_args!("its output spikes {} steps after its input", brain.latency()))?;
    out.json(&json!({"event": "summary", "files": files, "latency": brain.latency()}))?;
    Ok(ExitCode::SUCCESS)
}

/// The parameters under the names of Spark, with the network in the metadata.
fn parameters(
    args: &Args,
    target: &Path,
    checkpoint: Checkpoint,
    config: &TrainConfig,
    out: Output,
) -> Result<ExitCode> {
    let tensors = rename::apply(&rules(&args.renamings), checkpoint.parameters.into_iter().collect())?;
    let tensors = floats::convert_all(tensors.into_iter().collect(), args.dtype)?;
    let mut file = TensorFile { tensors, ..TensorFile::default() };
    file.metadata.insert("network".into(), serde_json::to_string(&config.network)?);
    file.write(target)?;
    out.text(format_args!("wrote {} ({} tensors)", target.display(), file.tensors.len()))?;
    out.json(&json!({
        "event": "summary",
        "file": target,
        "tensors": file.tensors.len(),
        "dtype": args.dtype.to_string(),
    }))?;
    Ok(ExitCode::SUCCESS)
}
