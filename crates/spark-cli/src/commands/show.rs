//! `spark show`

use anyhow::Result;
use serde_json::{Map, Value, json};
use spark::record::{MeasurementInfo, RunReader, Scalar, StoreError, Stream};
use std::path::PathBuf;
use std::process::ExitCode;

use super::recorded::{age, number, open, ranked, table, took};
use crate::output::Output;

/// Show what a run is, where it stands and what it recorded
///
/// Example: spark show runs/mnist10k-001
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Folder of the run
    run: PathBuf,
    /// Print all events and warnings, not only the last ten of each
    #[arg(long)]
    all: bool,
    /// Print JSON lines, the last one a summary
    #[arg(long)]
    json: bool,
}

/// Events and warnings that are shown without `--all`.
const FEW: usize = 10;

/// What a scalar was over the run.
struct Range {
    name: String,
    count: usize,
    last: Scalar,
    min: f64,
    max: f64,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.json };
    let run = open(&args.run)?;
    let ranges = ranges(&run)?;
    let measurements = run.measurements();
    if args.json {
        out.json(&summary(&run, &ranges, &measurements)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown = if args.all { usize::MAX } else { FEW };
    let sections = [
        ("", about(&run)?),
        ("scalars", scalar_lines(&ranges)),
        ("measurements", measurements.iter().flat_map(measurement_lines).collect()),
        ("events", event_lines(&run, shown)?),
        ("warnings", warning_lines(&run, shown)?),
        ("problems", run.problems().to_vec()),
    ];
    for (title, lines) in sections.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        let indent = if title.is_empty() { "" } else { "  " };
        if !title.is_empty() {
            out.text(format_args!("\n{title}"))?;
        }
        lines.iter().try_for_each(|line| out.text(format_args!("{indent}{line}")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn ranges(run: &RunReader) -> Result<Vec<Range>, StoreError> {
    let mut found = Vec::new();
    for name in ranked(run.scalar_names()?) {
        let values = run.scalars(&name)?;
        let Some(&last) = values.last() else { continue };
        let known = || values.iter().map(|scalar| scalar.value).filter(|value| !value.is_nan());
        found.push(Range {
            count: values.len(),
            min: known().reduce(f64::min).unwrap_or(f64::NAN),
            max: known().reduce(f64::max).unwrap_or(f64::NAN),
            name,
            last,
        });
    }
    Ok(found)
}

fn about(run: &RunReader) -> Result<Vec<String>, StoreError> {
    let about = run.about();
    let lines = [
        ("run", Some(run.paths().folder().display().to_string())),
        ("kind", Some(about.kind.clone())),
        ("status", Some(run.status().to_string())),
        ("error", about.error.clone()),
        ("experiment", about.experiment.clone()),
        ("seed", about.seed.map(|seed| seed.to_string())),
        ("steps", run.last_step()?.map(|step| step.to_string())),
        ("created", Some(format!("{} ({} ago)", about.created, age(about.created)))),
        ("took", took(about)),
        ("starts", (about.starts > 1).then(|| about.starts.to_string())),
        ("command", Some(about.command.join(" "))),
        ("commit", about.commit.clone()),
        ("spark", Some(about.spark.clone())),
        ("host", about.host.clone()),
    ];
    Ok(lines.into_iter().filter_map(|(name, value)| Some(format!("{name:<10}  {}", value?))).collect())
}

fn scalar_lines(ranges: &[Range]) -> Vec<String> {
    if ranges.is_empty() {
        return Vec::new();
    }
    let header = ["name", "last", "at step", "min", "max", "values"].map(str::to_owned).to_vec();
    let row = |range: &Range| {
        let numbers = [range.min, range.max].map(number);
        let [min, max] = numbers;
        let last = number(range.last.value);
        vec![range.name.clone(), last, range.last.step.to_string(), min, max, range.count.to_string()]
    };
    table(&std::iter::once(header).chain(ranges.iter().map(row)).collect::<Vec<_>>())
}

fn measurement_lines(measurement: &MeasurementInfo) -> Vec<String> {
    let MeasurementInfo { name, first, last, windows, .. } = measurement;
    let bytes: u64 = windows.iter().map(|window| window.bytes).sum();
    let megabytes = bytes as f64 / 1e6;
    let head = format!(
        "{name}: steps {first} to {last} in {} window{}, {megabytes:.1} MB",
        windows.len(),
        if windows.len() == 1 { "" } else { "s" }
    );
    let rows: Vec<Vec<String>> = measurement.streams.iter().map(stream_row).collect();
    std::iter::once(head).chain(table(&rows).into_iter().map(|line| format!("  {line}"))).collect()
}

fn stream_row(stream: &Stream) -> Vec<String> {
    let shape = stream.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
    let kept = match &stream.units {
        Some(units) => format!("{} of {shape} units", units.len()),
        None => format!("{shape} units"),
    };
    let every =
        if stream.stride == 1 { "every step".into() } else { format!("every {} steps", stream.stride) };
    vec![stream.name.clone(), stream.kind.to_string(), kept, every, stream.unit.clone().unwrap_or_default()]
}

fn event_lines(run: &RunReader, shown: usize) -> Result<Vec<String>, StoreError> {
    let events = run.events()?;
    let lines = events.iter().map(|event| {
        let detail = if event.detail.is_null() { String::new() } else { event.detail.to_string() };
        vec![format!("step {}", event.step), event.kind.clone(), detail]
    });
    Ok(latest(table(&lines.collect::<Vec<_>>()), shown))
}

fn warning_lines(run: &RunReader, shown: usize) -> Result<Vec<String>, StoreError> {
    let lines =
        run.warnings()?.into_iter().map(|warning| format!("step {}: {}", warning.step, warning.message));
    Ok(latest(lines.collect(), shown))
}

/// The last lines, and how many came before.
fn latest(mut lines: Vec<String>, shown: usize) -> Vec<String> {
    let left_out = lines.len().saturating_sub(shown);
    if left_out > 0 {
        lines.splice(..left_out, [format!("… {left_out} more, which --all shows")]);
    }
    lines
}

fn summary(run: &RunReader, ranges: &[Range], measurements: &[MeasurementInfo]) -> Result<Value> {
    let scalar = |range: &Range| {
        let Range { count, last, min, max, .. } = range;
        let value = json!({"last": last.value, "step": last.step, "min": min, "max": max, "values": count});
        (range.name.clone(), value)
    };
    let measurement = |one: &MeasurementInfo| {
        json!({
            "name": one.name, "first": one.first, "last": one.last, "windows": one.windows.len(),
            "bytes": one.windows.iter().map(|window| window.bytes).sum::<u64>(), "streams": one.streams,
        })
    };
    let events: Vec<Value> = run.events()?.into_iter().map(|event| {
        json!({"step": event.step, "wall": event.wall, "kind": event.kind, "detail": event.detail})
    }).collect();
    let warnings: Vec<Value> = run
        .warnings()?
        .into_iter()
        .map(|warning| json!({"step": warning.step, "wall": warning.wall, "message": warning.message}))
        .collect();
    Ok(json!({
        "event": "summary",
        "folder": run.paths().folder(),
        "status": run.status(),
        "steps": run.last_step()?,
        "about": run.about(),
        "scalars": ranges.iter().map(scalar).collect::<Map<_, _>>(),
        "measurements": measurements.iter().map(measurement).collect::<Vec<_>>(),
        "events": events,
        "warnings": warnings,
        "problems": run.problems(),
    }))
}
