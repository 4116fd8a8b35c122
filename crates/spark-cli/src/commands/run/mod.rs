//! `spark run`

pub mod folder;
mod inputs;
mod plot;
mod recording;
mod report;
mod start;

use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use spark::core::model::{Model, SettingError, Sweep, Variant, seeds};
use spark::core::registry::AnyConfig;
use spark::core::simulation::{Record, Simulation};
use spark::prelude::Device;
use spark::record::Measurement;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Common;
use super::interrupt::{INTERRUPTED, stop_on_ctrl_c};
use super::model::{ModelArgs, checked};
use crate::output::Output;
use folder::Folder;
use inputs::{Given, InputArgs};
use recording::{Recording, Wanted};
use report::{Outcome, Report};
use start::Start;

/// Run a model over inputs, once or for every combination of settings and seeds
///
/// At the end, rates of the spiking outputs, and in a brain of every module, means of the other outputs, and steps
/// per second. With several values or seeds, one row for each run. Ctrl-C finishes the step in progress, reports
/// and writes what there is, and exits with 130.
///
/// What happens inside is recorded into the folder of the run while it goes on (--record); see `spark show`, `spark
/// plot`, `spark report` and `spark watch`.
///
/// Examples:
///   spark run brain.json --steps 1000 --constant signal=0.5 --plot
///   spark run brain.json --steps 100000 --constant signal=0.5 --record activity
///   spark run brain.json --input signal=in.npy --out result --record pool.soma.potential
///   spark run brain.json --steps 500 --set '**.threshold=-45,-40' --seeds 0..9 --json
///   spark run brain.json --input signal=more.npy --state result/state.safetensors
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Number of steps (default: those of the shortest input file)
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Draw everything at random anew, from this seed
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// One run for each seed, such as 0..9 (both included) or 1,5,20..29
    #[arg(long, value_name = "SEEDS")]
    seeds: Option<Seeds>,
    #[command(flatten)]
    inputs: InputArgs,
    /// Go on from the state.safetensors that another run of the same model wrote; the inputs begin anew
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "seeds"])]
    state: Option<PathBuf>,
    /// Write outputs.safetensors ([time, units] by output), summary.json, model.json and state.safetensors here;
    /// for several runs into folders 001, 002 and so on
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    out: Option<PathBuf>,
    /// Draw spikes, rates and the other outputs as spikes.svg; without --out into the next free runs/NAME-NNN
    #[arg(long, help_heading = "Results")]
    plot: bool,
    /// Record what happens inside: summary, activity, weights or default; measurements in a FILE.json; or a state
    /// or kernel at every step, such as pool.soma.potential or '**.kernel'. Without --out into the next free
    /// runs/NAME-NNN; may be repeated
    #[arg(long = "record", value_name = "WHAT", help_heading = "Results")]
    records: Vec<Wanted>,
    /// The experiment that the run is one of, by which `spark runs` groups (default: several runs that are recorded are
    /// one, named after their folder)
    #[arg(long, value_name = "NAME", help_heading = "Results")]
    experiment: Option<String>,
    /// Replace the run that --out holds
    #[arg(long, requires = "out", help_heading = "Results")]
    overwrite: bool,
    #[command(flatten)]
    common: Common,
}

/// A list of seeds.
#[derive(Clone, Debug)]
struct Seeds(Vec<u64>);

impl FromStr for Seeds {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        seeds(text).map(Self)
    }
}

/// More runs than anybody waits for; a slip of the keyboard should not fill the memory with models.
const MOST_RUNS: usize = 100_000;

/// Runs shorter than this show no bar.
const PATIENCE: Duration = Duration::from_millis(500);

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.common.json };
    let model = args.model.read()?;
    let start = Start::read(args.state.as_deref(), &model)?;
    let variants = variants(args, &model)?;
    let device = args.common.device.resolve()?;
    let configs: Vec<Box<dyn AnyConfig>> = variants
        .iter()
        .map(|variant| described(variant, checked(&variant.model, &args.model.path)))
        .collect::<Result<_>>()?;
    let given = args.inputs.read(&configs[0].interface())?;
    let measurements = recording::measurements(&args.records)?;
    let mut plan =
        Plan { args, given, device, start, steps: 0, measurements, experiment: args.experiment.clone() };
    plan.steps = plan.steps(configs[0].as_ref())?;
    // Everything that can fail for what the user gave happens before the first step.
    for (place, variant) in variants.iter().enumerate() {
        let again = place > 0 && variants[place - 1].settings == variant.settings;
        if !again {
            let (mut simulation, _) = described(variant, plan.simulation(variant, configs[place].as_ref()))?;
            described(variant, recording::check(&plan.measurements, &mut simulation, &plan.device))?;
        }
    }
    let stop = stop_on_ctrl_c()?;
    let folder = Folder::prepare(
        args.out.as_deref(),
        args.overwrite,
        args.plot || !args.records.is_empty(),
        &args.model.path,
    )?;
    if let Some(folder) = folder.as_ref().filter(|_| variants.len() > 1) {
        let name = folder.path().file_name().map(|name| name.to_string_lossy().into_owned());
        plan.experiment = plan.experiment.or(name);
    }
    let bar = bar(plan.steps, variants.len())?;

    let mut report = Report::new(out, &args.model.path, &variants, plan.steps);
    let mut recorded = true;
    for (place, (variant, config)) in variants.iter().zip(&configs).enumerate() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let (mut simulation, silent) = described(variant, plan.simulation(variant, config.as_ref()))?;
        let folder = folder.as_ref().map(|folder| folder.of_run(place, variants.len()));
        let mut recording = match &folder {
            Some(folder) if variants.len() == 1 || !plan.measurements.is_empty() => {
                Some(Recording::begin(folder, &plan, variant, &mut simulation)?)
            }
            _ => None,
        };
        let advanced = advance(&mut simulation, &plan, place, &bar, &stop, recording.as_mut());
        let (steps, seconds) = match (advanced, recording) {
            (Ok((steps, seconds)), Some(recording)) => {
                let ended = recording.finish(&simulation, steps, stop.load(Ordering::SeqCst));
                if let Err(error) = ended {
                    bar.suspend(|| eprintln!("error: recording stopped: {error:#}"));
                    recorded = false;
                }
                (steps, seconds)
            }
            (Ok(done), None) => done,
            (Err(error), recording) => {
                recording.into_iter().for_each(|recording| recording.fail(&error));
                return Err(error);
            }
        };
        let outcome = Outcome::new(variant, &simulation, steps, seconds, silent, folder);
        outcome.write(variant, &simulation, args.plot, &plan.start)?;
        bar.suspend(|| report.add(outcome))?;
    }
    bar.finish_and_clear();
    let interrupted = stop.load(Ordering::SeqCst);
    let all_finite = report.finish(folder.as_ref().map(Folder::path), interrupted)?;
    Ok(match (interrupted, all_finite && recorded) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

/// The models to run.
fn variants(args: &Args, model: &Model) -> Result<Vec<Variant>> {
    let seeds = match (&args.seeds, args.seed) {
        (Some(Seeds(seeds)), _) => seeds.clone(),
        (None, seed) => seed.into_iter().collect(),
    };
    let sweep = Sweep { settings: args.model.settings.clone(), seeds };
    ensure!(sweep.count() <= MOST_RUNS, "found {} runs, expected at most {MOST_RUNS}", sweep.count());
    sweep.variants(model).with_context(|| args.model.path.display().to_string())
}

/// An error with the settings of the run that it is about.
fn described<T>(variant: &Variant, result: Result<T>) -> Result<T> {
    let settings: Vec<String> =
        variant.settings.iter().map(|(pattern, value)| format!("{pattern}={value}")).collect();
    match settings.as_slice() {
        [] => result,
        settings => result.with_context(|| format!("with {}", settings.join(" "))),
    }
}

/// What is common to all runs.
struct Plan<'a> {
    args: &'a Args,
    given: Given,
    device: Device,
    start: Start,
    steps: usize,
    /// What is recorded.
    measurements: Vec<Measurement>,
    /// The experiment that all runs are of.
    experiment: Option<String>,
}

impl Plan<'_> {
    /// The number of steps: as asked for, else as many as there are rows of input.
    fn steps(&self, config: &dyn AnyConfig) -> Result<usize> {
        let (drives, _) = self.args.inputs.drives(&self.given, config, &self.device)?;
        let steps = self.args.steps.or(drives.steps());
        let steps = steps.context("nothing says how many steps to run: pass --steps N")?;
        ensure!(steps > 0, "found 0 steps, expected at least one");
        if let Some(rows) = drives.steps() {
            ensure!(
                rows >= steps,
                "found {rows} rows of input for {steps} steps: pass --steps {rows}, or a longer file"
            );
        }
        Ok(steps)
    }

    /// The model of a run, built, and the inputs that get nothing but zeros.
    fn simulation(&self, variant: &Variant, config: &dyn AnyConfig) -> Result<(Simulation, Vec<String>)> {
        let (drives, silent) = self.args.inputs.drives(&self.given, config, &self.device)?;
        let written = self.args.out.is_some() || !self.args.records.is_empty();
        // A run that records into its folder needs no memory for what comes out.
        let outputs = self.args.plot || (written && self.measurements.is_empty());
        let record = Record { outputs, planes: recording::planes(&self.args.records) };
        self.start.check(&drives)?;
        let context = self.start.context(&self.device);
        let mut simulation = Simulation::new(&variant.model, drives, &record, &context)?;
        self.start.put(&mut simulation)?;
        Ok((simulation, silent))
    }
}

/// Runs to the end or until Ctrl-C; returns the steps done and the seconds that they took.
fn advance(
    simulation: &mut Simulation,
    plan: &Plan,
    place: usize,
    bar: &ProgressBar,
    stop: &AtomicBool,
    mut recording: Option<&mut Recording>,
) -> Result<(usize, f64)> {
    let start = Instant::now();
    let before = (place * plan.steps) as u64;
    let steps = simulation.run(plan.steps, |done, instance| {
        if let Some(recording) = &mut recording {
            recording.see(done as u64, instance);
        }
        if done.is_multiple_of(64) && (place > 0 || start.elapsed() > PATIENCE) {
            bar.set_position(before + done as u64);
        }
        !stop.load(Ordering::SeqCst)
    })?;
    Ok((steps, start.elapsed().as_secs_f64()))
}

fn bar(steps: usize, runs: usize) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps {elapsed} + {eta}")?;
    Ok(ProgressBar::new((steps * runs) as u64).with_style(style))
}
