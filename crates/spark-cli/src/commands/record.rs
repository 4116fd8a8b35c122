//! `spark record`

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use spark::core::config;
use spark::record::{Measurement, Preset, RunReader, Status, Trigger};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::output::Output;

/// Ask a run that is under way to record
///
/// The run is one of `spark run --out` or `--record` in another process. What is asked for is recorded for so many
/// steps from the next one on, into the folder of the run.
///
/// Examples:
///   spark record runs/brain-001 --preset activity --steps 500
///   spark record runs/brain-001 --measurement bursts.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// What to record: summary, activity, weights or default
    #[arg(long, value_name = "NAME", conflicts_with = "measurement")]
    preset: Option<Preset>,
    /// A file with one measurement or a list of them
    #[arg(long, value_name = "FILE")]
    measurement: Option<PathBuf>,
    /// For how many steps
    #[arg(long, value_name = "N", default_value_t = 1000)]
    steps: u64,
    /// Seconds to wait for the run to begin (0: not at all)
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    wait: f64,
    /// Print JSON lines, the last one a summary
    #[arg(long)]
    json: bool,
}

/// How the warning of a run begins that does not record what it was asked to.
pub const REFUSED: &str = "a request to record was refused";

/// What a run is asked to record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What to record; its trigger is manual.
    pub measurement: Measurement,
    /// For how many steps.
    pub steps: u64,
}

/// One measurement or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Measurements {
    Several(Vec<Measurement>),
    One(Box<Measurement>),
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.json };
    ensure!(args.steps > 0, "found 0 steps, expected at least one");
    let measurements = match &args.measurement {
        Some(path) => match config::read(path)? {
            Measurements::Several(measurements) => measurements,
            Measurements::One(measurement) => vec![*measurement],
        },
        None => vec![args.preset.unwrap_or(Preset::Default).measurement()],
    };
    spark::record::validate(&measurements)?;
    let mut run = RunReader::open(&args.run)?;
    ensure!(
        run.status() == Status::Running,
        "{} is {}: only a run that is under way can be asked to record",
        args.run.display(),
        run.status()
    );
    let warnings = run.warnings()?.len();
    let before = run.events()?.len() + warnings;
    for measurement in measurements.clone() {
        // Under a name of its own: the run may record something else of this name all the time.
        let name = format!("{}-asked", measurement.name);
        let measurement = Measurement { name, trigger: Trigger::Manual, ..measurement };
        run.request(&serde_json::to_value(Request { measurement, steps: args.steps })?)?;
    }
    let names: Vec<String> = measurements.iter().map(|one| format!("{}-asked", one.name)).collect();
    let answered = wait(&mut run, before, measurements.len(), args.wait)?;
    if let Some(warning) =
        run.warnings()?.into_iter().skip(warnings).find(|one| one.message.contains(REFUSED))
    {
        bail!("{}", warning.message);
    }
    out.text(format_args!(
        "{} {} for {} steps into {}",
        if answered { "records" } else { "asked to record" },
        names.join(", "),
        args.steps,
        args.run.display()
    ))?;
    out.json(&json!({
        "event": "record",
        "run": args.run,
        "measurements": names,
        "steps": args.steps,
        "answered": answered,
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// Waits until a run has answered.
fn wait(run: &mut RunReader, before: usize, answers: usize, seconds: f64) -> Result<bool> {
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < seconds {
        run.refresh()?;
        if run.events()?.len() + run.warnings()?.len() >= before + answers {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(false)
}
