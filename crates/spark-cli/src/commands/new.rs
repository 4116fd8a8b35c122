//! `spark new`

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};
use spark::core::model::{Model, ModuleSpec, Settings, is_name};
use spark::core::parameter::{Distribution, Draw};
use spark::nn::components::delays::N2NDelaysConfig;
use spark::nn::components::plasticity::HebbianRuleConfig;
use spark::nn::components::somas::AdaptiveLeakySomaConfig;
use spark::nn::components::synapses::TracedSynapsesConfig;
use spark::nn::controllers::{BrainConfig, NeuronConfig};
use spark::nn::interfaces::input::PoissonSpikerConfig;
use spark::nn::interfaces::output::ExponentialIntegratorConfig;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::output::Output;

/// Write a model file to start from
///
/// brain: signals become spikes by chance, drive a pool of neurons that also excite one another, and are read out
/// as two numbers. neuron: delays, synapses, a soma and a learning rule. Both can be run at once; the notes in
/// their metadata say what each module does.
///
/// Example: spark new brain first && spark run first.json --steps 1000 --constant signal=0.5
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What to write
    #[arg(value_enum)]
    kind: Kind,
    /// Name of the model
    name: String,
    /// File to write (default: NAME.json)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if there is one
    #[arg(long)]
    overwrite: bool,
    /// Print JSON lines, the last one a summary
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Brain,
    Neuron,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.json };
    ensure!(
        is_name(&args.name),
        "found the name `{}`, expected one without dots, spaces, brackets and slashes",
        args.name
    );
    let (model, description, drive) = match args.kind {
        Kind::Brain => {
            (brain()?, "Signals to spikes, a recurrent pool, and a readout", "--constant signal=0.5")
        }
        Kind::Neuron => (
            neuron()?,
            "Neurons with delays, current-based synapses and Hebbian learning",
            "--constant in_spikes=1",
        ),
    };
    let metadata = [("name", args.name.as_str()), ("description", description)];
    let metadata = metadata.map(|(key, text)| (key.to_owned(), text.into())).into_iter().collect();
    let model = Model { metadata, ..model };
    let path = args.out.clone().unwrap_or_else(|| format!("{}.json", args.name).into());
    spark::io::model::write(&path, &model, args.overwrite)?;
    out.text(format_args!("wrote {}", path.display()))?;
    out.text(format_args!("  spark inspect {0}\n  spark run {0} --steps 1000 {drive}", path.display()))?;
    out.json(&json!({ "event": "summary", "file": path }))?;
    Ok(ExitCode::SUCCESS)
}

/// Number of units of the templates.
const UNITS: usize = 64;

fn brain() -> Result<Model> {
    let spiker = PoissonSpikerConfig { max_freq: 200.0, ..Default::default() };
    let decoder = ExponentialIntegratorConfig { num_outputs: 2, ..Default::default() };
    let fields = |value: Value| match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let mut pool = Settings::from(fields(json!({ "units": [UNITS], "inhibitory_rate": 0.2 })));
    let kernel = json!({ "kernel": { "kind": "sparse_uniform", "scale": 350.0, "density": 0.5 } });
    pool.modules.push(ModuleSpec::named("synapses", "LinearSynapses", fields(kernel).into()));
    let mut brain = BrainConfig { seed: Some(1), ..BrainConfig::default() };
    brain.inputs.insert("signal".to_owned(), vec![16]);
    let brain = brain
        .with(noted(
            ModuleSpec::new("spiker", &spiker).input("signal", "__call__.signal"),
            "Each number of the signal, from 0 to 1, is one unit that spikes by chance at up to max_freq.",
        ))
        .with(noted(
            ModuleSpec::named("pool", "LIFNeuron", pool)
                .input("in_spikes", "spiker.spikes")
                .input("in_spikes", "pool.out_spikes"),
            "Hears the spiker and, one step later, itself. A fifth of the units inhibits.",
        ))
        .with(noted(
            ModuleSpec::new("readout", &decoder)
                .input("spikes", "pool.out_spikes")
                .output("action", "signal"),
            "The activity of two groups of units as two numbers.",
        ));
    Ok(Model::of(&brain)?)
}

fn neuron() -> Result<Model> {
    let soma = AdaptiveLeakySomaConfig { cooldown: Some(3.0.into()), ..Default::default() };
    let kernel = Draw { scale: 8.0, ..Draw::new(Distribution::Uniform) };
    let synapses = TracedSynapsesConfig { kernel: kernel.into(), ..Default::default() };
    let mut neuron = NeuronConfig::default();
    (neuron.seed, neuron.units) = (Some(1), vec![UNITS]);
    neuron.inputs.insert("in_spikes".to_owned(), vec![16]);
    let neuron = neuron
        .with(noted(
            ModuleSpec::new("delays", &N2NDelaysConfig::default()).input("in_spikes", "__call__.in_spikes"),
            "Every synapse has a delay of its own.",
        ))
        .with(noted(
            ModuleSpec::new("synapses", &synapses)
                .input("spikes", "delays.out_spikes")
                .effect("kernel", "rule.kernel"),
            "Currents that decay exponentially. After every step the kernel is what the rule makes of it.",
        ))
        .with(noted(
            ModuleSpec::new("soma", &soma)
                .input("current", "synapses.currents")
                .output("out_spikes", "spikes"),
            "Leaky integrate-and-fire units that are refractory for 3 ms.",
        ))
        .with(noted(
            ModuleSpec::new("rule", &HebbianRuleConfig::default())
                .input("pre_spikes", "delays.out_spikes")
                .input("post_spikes", "soma.spikes")
                .input("kernel", "synapses#kernel"),
            "Moves the kernel by the spikes on both sides of each synapse.",
        ));
    Ok(Model::of(&neuron)?)
}

fn noted(mut spec: ModuleSpec, note: &str) -> ModuleSpec {
    spec.metadata.insert("note".to_owned(), note.into());
    spec
}
