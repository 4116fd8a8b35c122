//! `spark import`

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};
use spark::core::config;
use spark::io::exchange::{self, Hints, Import, Imported, Library, Pool, UnitKind};
use spark::io::pytorch::{self, StateDict};
use spark::io::rename;
use spark::nn::layers::NetworkConfig;
use spark::prelude::TrainConfig;
use spark::train::nir::{NirOptions, read_nir};
use spark::train::untrained;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::exchange::{self as common, Record, Renaming, check_new, rules};
use super::import_brain::{self, Task};
use crate::output::Output;

/// Make a checkpoint of a network that another library trained
///
/// With --from nir the file is a NIR graph (.nir), which says all of the network. With --from spark-snn it is a brain
/// in the middle of its life, as examples/python/spark_snn_dump.py writes it: --out takes the model file, --state
/// the state with which spark run goes on.
///
/// The file is a state_dict: .pt or .pth as torch.save writes it (read without executing anything), or
/// .safetensors. The network follows from it where it can: linear and convolutional modules in order, batch
/// normalisation, units with their decays, thresholds and resets. What a file does not hold (pooling, strides,
/// tau of SpikingJelly's LIFNode) is given by flags, or the whole network by --model. eval, predict, inspect,
/// export and train --init take the checkpoint that is written.
///
/// Examples:
///   spark import net.pt --from snntorch --out net.safetensors
///   spark import net.pt --from spikingjelly --tau 2 --input 1x28x28 --pool max2 --out net.safetensors
///   spark import net.pt --from snntorch --print-model > model.json
///   spark import net.pt --from snntorch --model model.json --rename out=layers.2 --out net.safetensors
///   spark import net.nir --from nir --dt 0.0001 --out net.safetensors
///   spark import dump.safetensors --from spark-snn --out brain.json --state state.safetensors
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// State_dict, NIR graph or dump to read
    file: PathBuf,
    /// Library that the network was trained with
    #[arg(long, value_enum)]
    from: Source,
    /// Checkpoint to write; from spark-snn the model, JSON or .scfg
    #[arg(long, value_name = "FILE", required_unless_present = "print_model")]
    out: Option<PathBuf>,
    /// From spark-snn: the state to write
    #[arg(long, value_name = "FILE.safetensors")]
    state: Option<PathBuf>,
    /// Network (JSON): as `network` of spark train --print-config is written, or a file with one under `network`.
    /// What units leave out is as the library has it. From spark-snn: the model, JSON or .scfg, in place of that in
    /// the dump
    #[arg(long, value_name = "FILE.json")]
    model: Option<PathBuf>,
    /// Training configuration (JSON) of the checkpoint: data, encoding, steps, loss (default: that of spark train)
    #[arg(long, value_name = "FILE.json")]
    config: Option<PathBuf>,
    /// Print the network that follows from the file as JSON and stop
    #[arg(long)]
    print_model: bool,
    /// Call a module or tensor something else before it is looked for, such as fc1=layers.0; with nothing behind =
    /// it is left out; may be repeated
    #[arg(long = "rename", value_name = "FROM=TO")]
    renamings: Vec<Renaming>,
    /// Run the network on the `input` of this file, [time, batch, …], and count the places where its output is not
    /// the file's `spikes`
    #[arg(long, value_name = "FILE.safetensors")]
    compare: Option<PathBuf>,
    /// Take what fits and list the rest, instead of refusing
    #[arg(long)]
    partial: bool,
    /// Replace the checkpoint if there is one
    #[arg(long)]
    overwrite: bool,
    /// Print JSON lines, the last one a summary
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hints: HintArgs,
}

/// What a state_dict does not say.
#[derive(clap::Args)]
#[command(next_help_heading = "What the file does not say")]
struct HintArgs {
    /// Shape of one input, such as 1x28x28, for networks that begin with a convolution
    #[arg(long, value_name = "SHAPE", value_parser = shape)]
    input: Option<Shape>,
    /// Pooling behind every convolution, before its units: max2, avg2, sum2 or another window
    #[arg(long, value_name = "POOL")]
    pool: Option<Pool>,
    /// SpikingJelly: units that hold no tensors
    #[arg(long, value_enum, default_value_t = Units::Lif)]
    units: Units,
    /// SpikingJelly: tau of LIFNode, above 1
    #[arg(long, value_name = "STEPS", value_parser = tau)]
    tau: Option<f64>,
    /// SpikingJelly: units with decay_input=False
    #[arg(long)]
    no_decay_input: bool,
    /// snnTorch: units with reset_delay=False
    #[arg(long)]
    no_reset_delay: bool,
    /// NIR: duration of a step in s
    #[arg(long, value_name = "SECONDS", default_value_t = 1e-4)]
    dt: f64,
    /// NIR: units spike at their threshold and start where a spike takes them, as those of SpikingJelly do
    #[arg(long)]
    as_spikingjelly: bool,
}

/// Where networks come from.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    /// A state_dict of snnTorch
    Snntorch,
    /// A state_dict of SpikingJelly
    Spikingjelly,
    /// A NIR graph
    Nir,
    /// A dump of spark-snn
    SparkSnn,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Units {
    /// LIFNode
    Lif,
    /// IFNode
    If,
}

/// Sizes of axes; a type of its own because a list would be several values.
#[derive(Clone)]
struct Shape(Vec<usize>);

fn shape(text: &str) -> Result<Shape, String> {
    let sizes: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
    match sizes {
        Ok(sizes) if sizes.iter().all(|&size| size > 0) => Ok(Shape(sizes)),
        _ => Err("expected sizes with x between them, such as 784 or 1x28x28".into()),
    }
}

fn tau(text: &str) -> Result<f64, String> {
    let tau: Option<f64> = text.parse().ok().filter(|&tau: &f64| tau > 1.0 && tau.is_finite());
    tau.ok_or_else(|| "expected a number above 1".into())
}

impl Args {
    fn hints(&self, library: Library) -> Hints {
        let hints = &self.hints;
        Hints {
            library,
            input: hints.input.clone().map(|shape| shape.0),
            pool: hints.pool,
            units: if hints.units == Units::If { UnitKind::IntegrateAndFire } else { UnitKind::Leaky },
            tau: hints.tau,
            decay_input: !hints.no_decay_input,
            reset_delay: !hints.no_reset_delay,
        }
    }

    /// The network, from a description or from the tensors.
    fn network(&self, tensors: &StateDict, library: Library) -> Result<NetworkConfig> {
        match &self.model {
            Some(path) => {
                let json: Value = config::read(path)?;
                let network = exchange::read_network(json, &self.hints(library));
                network.with_context(|| format!("{} does not describe the network", path.display()))
            }
            None => exchange::infer(tensors, &self.hints(library))
                .with_context(|| format!("{} does not say what the network is", self.file.display())),
        }
    }
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.json };
    ensure!(args.state.is_none() || args.from == Source::SparkSnn, "--state goes with --from spark-snn");
    let mut config: TrainConfig = match &args.config {
        Some(path) => config::read(path)?,
        None => TrainConfig::default(),
    };
    let imported = match args.from {
        Source::Snntorch => state_dict(args, Library::SnnTorch, config.seed)?,
        Source::Spikingjelly => state_dict(args, Library::SpikingJelly, config.seed)?,
        Source::Nir => graph(args)?,
        Source::SparkSnn => return brain(args, out),
    };
    let Some(path) = args.out.as_deref().filter(|_| !args.print_model) else {
        out.json(&imported.network)?;
        out.text(serde_json::to_string_pretty(&imported.network)?)?;
        return Ok(ExitCode::SUCCESS);
    };
    check_new(path, args.overwrite)?;
    config.network.clone_from(&imported.network);
    let compared = args.compare.as_deref().map(|record| compare(record, &imported)).transpose()?;
    untrained(&config, imported.parameters.clone())?.write(path)?;
    report(out, path, &imported, compared)?;
    Ok(ExitCode::SUCCESS)
}

/// A network with its parameters from a state_dict; with the network alone to be printed, from its names and shapes.
fn state_dict(args: &Args, library: Library, seed: u64) -> Result<Imported> {
    let tensors = pytorch::read_any(&args.file)?;
    let tensors = rename::apply(&rules(&args.renamings), tensors)
        .with_context(|| format!("the names of {} cannot be changed so", args.file.display()))?;
    let network = args.network(&tensors, library)?;
    let how = Import { partial: args.partial || args.print_model, seed, ..Import::new(library) };
    exchange::import(tensors, network, &how)
        .with_context(|| format!("{} does not fit the network", args.file.display()))
}

/// A network with its parameters from a NIR graph.
fn graph(args: &Args) -> Result<Imported> {
    let HintArgs { dt, as_spikingjelly, .. } = args.hints;
    let options = NirOptions { dt, spike_at_threshold: as_spikingjelly, start_at_reset: as_spikingjelly };
    let found = read_nir(&args.file, &options)?;
    Ok(Imported {
        network: found.config,
        parameters: found.parameters,
        modules: Vec::new(),
        missing: Vec::new(),
        unused: Vec::new(),
        notes: found.warnings,
    })
}

/// A brain with its state.
fn brain(args: &Args, out: Output) -> Result<ExitCode> {
    match (&args.out, &args.state) {
        (Some(model), Some(state)) if !args.print_model => import_brain::run(&Task {
            dump: &args.file,
            model: args.model.as_deref(),
            to: [model, state],
            overwrite: args.overwrite,
            out,
        }),
        _ => bail!("--from spark-snn takes --out for the model and --state for its state"),
    }
}

/// What the network gives against what was recorded: places, spikes, differences.
fn compare(path: &Path, imported: &Imported) -> Result<[usize; 3]> {
    let network = &imported.network;
    let recorded = Record::read(path, network.inputs(), network.outputs()?)?;
    let ours = Record::of(&common::network(network, imported.parameters.clone())?, recorded.input.clone());
    Ok(ours.compared(&recorded))
}

fn report(out: Output, path: &Path, imported: &Imported, compared: Option<[usize; 3]>) -> Result<()> {
    for (module, layer) in &imported.modules {
        out.text(format_args!("{layer:<24} {module}"))?;
        out.json(&json!({"event": "module", "layer": layer, "module": module}))?;
    }
    out.notes(&imported.notes)?;
    for (what, names) in [("stays as drawn", &imported.missing), ("left out", &imported.unused)] {
        for name in names {
            out.text(format_args!("{what}: {name}"))?;
        }
    }
    let numbers: usize = imported.parameters.values().map(|data| data.num_elements()).sum();
    if let Some([places, spikes, different]) = compared {
        out.text(format_args!("{spikes} spikes in {places} places, {different} differ from the record"))?;
    }
    out.text(format_args!("wrote {} ({numbers} numbers)", path.display()))?;
    out.json(&json!({
        "event": "summary",
        "checkpoint": path,
        "numbers": numbers,
        "layers": imported.network.layers.len(),
        "missing": imported.missing,
        "unused": imported.unused,
        "compared": compared.map(|[places, spikes, different]| {
            json!({"places": places, "spikes": spikes, "different": different})
        }),
    }))?;
    Ok(())
}
