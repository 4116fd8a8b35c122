//! `spark bench`

mod balanced;
mod brains;
mod kernels;
mod record;
mod rules;
mod scans;
mod sim;
mod synapses;
mod train;

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};
use spark::prelude::Device;
use std::process::ExitCode;
use std::time::Instant;

use super::Common;
use crate::output::Output;

/// Measure speed beside a baseline in the same process
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(clap::Subcommand)]
enum Suite {
    /// Single operations, forward and backward, against composed or dense ones
    Kernels(SuiteArgs),
    /// Steps of a simulation, against composed ones
    Sim(SuiteArgs),
    /// Whole training steps (forward, backward, Adam), against layers run step by step
    Train(SuiteArgs),
    /// Steps of a simulation that is recorded, against the same steps without
    Record(SuiteArgs),
}

#[derive(clap::Args)]
struct SuiteArgs {
    /// Only the workload of this name
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Print the names of the workloads and stop
    #[arg(long)]
    list: bool,
    /// Measured runs; the median counts
    #[arg(long, default_value_t = 15, value_name = "N")]
    runs: usize,
    /// Leave out the baselines, which can take long
    #[arg(long)]
    no_baseline: bool,
    #[command(flatten)]
    common: Common,
}

/// Something to measure.
#[derive(Clone, Copy)]
struct Workload {
    name: &'static str,
    /// What the baseline is.
    baseline: &'static str,
    run: fn(&Bench) -> Result<Measurement>,
}

/// How to measure.
#[derive(Clone)]
struct Bench {
    device: Device,
    runs: usize,
    with_baseline: bool,
}

/// Medians, in milliseconds.
struct Measurement {
    ours: f64,
    baseline: Option<f64>,
    /// More to report.
    details: Map<String, Value>,
}

impl Bench {
    /// The median time of `run` in milliseconds, after one run that does not count.
    fn time(&self, runs: usize, mut run: impl FnMut() -> Result<()>) -> Result<f64> {
        run()?;
        self.device.sync()?;
        let mut times = Vec::with_capacity(runs);
        for _ in 0..runs.max(1) {
            let start = Instant::now();
            run()?;
            self.device.sync()?;
            times.push(1e3 * start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }

    /// Times `ours` and, when wanted, `baseline`; of the slower baseline a few runs are enough.
    fn compare(
        &self,
        ours: impl FnMut() -> Result<()>,
        baseline: impl FnMut() -> Result<()>,
    ) -> Result<Measurement> {
        let ours = self.time(self.runs, ours)?;
        let few = self.runs.div_ceil(5);
        let baseline = self.with_baseline.then(|| self.time(few, baseline)).transpose()?;
        Ok(Measurement { ours, baseline, details: Map::new() })
    }
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let (suite, args, workloads) = match &args.suite {
        Suite::Kernels(args) => ("kernels", args, [scans::WORKLOADS, kernels::WORKLOADS].concat()),
        Suite::Sim(args) => {
            let workloads = [
                sim::WORKLOADS,
                synapses::WORKLOADS,
                rules::WORKLOADS,
                brains::WORKLOADS,
                balanced::WORKLOADS,
            ];
            ("sim", args, workloads.concat())
        }
        Suite::Train(args) => ("train", args, train::WORKLOADS.to_vec()),
        Suite::Record(args) => ("record", args, record::WORKLOADS.to_vec()),
    };
    let out = Output { json: args.common.json };
    if args.list {
        for workload in &workloads {
            out.text(workload.name)?;
            out.json(&json!({ "workload": workload.name, "baseline": workload.baseline }))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let wanted: Vec<&Workload> = workloads
        .iter()
        .filter(|workload| args.workload.as_deref().is_none_or(|name| name == workload.name))
        .collect();
    if wanted.is_empty() {
        let names: Vec<_> = workloads.iter().map(|workload| workload.name).collect();
        bail!(
            "no workload `{}` in `spark bench {suite}`: there are {}",
            args.workload.as_deref().unwrap_or_default(),
            names.join(", ")
        );
    }
    let device = args.common.device.resolve()?;
    let bench = Bench { device, runs: args.runs, with_baseline: !args.no_baseline };
    for workload in wanted {
        let measurement = (workload.run)(&bench)?;
        let unit = if matches!(suite, "sim" | "record") { &MICROSECONDS } else { &MILLISECONDS };
        report(out, &args.common, workload, &measurement, unit)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What times are told in.
struct Unit {
    symbol: &'static str,
    name: &'static str,
    per_millisecond: f64,
}

const MILLISECONDS: Unit = Unit { symbol: "ms", name: "ms_per_step", per_millisecond: 1.0 };
const MICROSECONDS: Unit = Unit { symbol: "µs", name: "us_per_step", per_millisecond: 1e3 };

fn report(out: Output, common: &Common, workload: &Workload, found: &Measurement, unit: &Unit) -> Result<()> {
    let ratio = found.baseline.map(|baseline| baseline / found.ours);
    let (ours, symbol) = (found.ours * unit.per_millisecond, unit.symbol);
    let baseline = found.baseline.map(|baseline| baseline * unit.per_millisecond);
    let beside = match (baseline, ratio) {
        (Some(baseline), Some(ratio)) => {
            format!("{baseline:>10.2} {symbol}  {ratio:>6.2} ×  {}", workload.baseline)
        }
        _ => String::new(),
    };
    let details: String = found.details.iter().map(|(name, value)| format!("  {name} {value}")).collect();
    out.text(format_args!("{:<36} {ours:>10.3} {symbol} {beside}{details}", workload.name))?;
    let mut line = json!({
        "workload": workload.name,
        "device": common.device.to_string(),
        "dtype": "f32",
        "threads": std::thread::available_parallelism().map_or(1, usize::from),
        unit.name: ours,
        "baseline": workload.baseline,
        format!("baseline_{}", unit.name): baseline,
        "ratio": ratio,
        "peak_rss_mb": peak_rss_mb(),
    });
    if let Some(line) = line.as_object_mut() {
        line.extend(found.details.clone());
    }
    out.json(&line)?;
    Ok(())
}

/// The most memory this process ever held, where the system tells (Linux).
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
