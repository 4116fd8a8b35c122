//! `spark plot`

use anyhow::{Result, ensure};
use serde_json::json;
use spark::core::model::Pattern;
use spark::record::RunReader;
use spark::record::plots::{PlotKind, Selection, plot};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::output::Output;

/// Draw what a run recorded
///
/// Kinds, and what of a run each draws:
///   curves       scalars over steps, such as losses; of several runs a comparison, where those that differ in the seed
///                alone are drawn as their mean and range
///   raster       spikes over time and the mean rate below (rasters)
///   traces       values of units over time, with threshold and spikes (traces)
///   summary      statistics of many units over time (summaries)
///   rates        how many units have which rate (rasters)
///   isi          how long the intervals between spikes are (rasters)
///   cv           how irregular units spike (rasters)
///   correlation  correlations of pairs of units (rasters)
///   spectrum     power spectrum of the mean rate (rasters)
///   weights      a kernel as a matrix, and its entries over time (snapshots and deltas)
///   graph        modules and connections (the model file of the run)
///
/// Examples:
///   spark plot runs/brain-001 raster --from 1000 --to 3000 --out spikes.png
///   spark plot runs/brain-001 traces --stream 'pool_*.soma.potential'
///   spark plot runs/rate-*/ curves --stream 'loss/*' --out losses.svg
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Folders of runs
    #[arg(value_name = "RUN", required = true, num_args = 1..)]
    runs: Vec<PathBuf>,
    /// What to draw: curves, raster, traces, summary, rates, isi, cv, correlation, spectrum, weights or graph
    #[arg(value_name = "KIND")]
    kind: PlotKind,
    /// Only what this measurement recorded
    #[arg(long, value_name = "NAME")]
    measurement: Option<String>,
    /// Only these streams or scalars, such as 'pool_*.out_spikes', '**.potential' or 'loss/*'
    #[arg(long, value_name = "PATTERN")]
    stream: Option<Pattern>,
    /// Begin with this step
    #[arg(long, value_name = "STEP")]
    from: Option<u64>,
    /// End with this step
    #[arg(long, value_name = "STEP")]
    to: Option<u64>,
    /// The picture, PNG or SVG by its name (default: KIND.svg in the folder of the run, of several runs here)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print what was drawn as a line of JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let selection = Selection {
        measurement: args.measurement.clone(),
        streams: args.stream.clone(),
        from: args.from,
        to: args.to,
    };
    if let (Some(from), Some(to)) = (args.from, args.to) {
        ensure!(from <= to, "--from {from} is after --to {to}");
    }
    let path = match (&args.out, args.runs.as_slice()) {
        (Some(path), _) => path.clone(),
        (None, [run]) => run.join(format!("{}.svg", args.kind)),
        (None, _) => PathBuf::from(format!("{}.svg", args.kind)),
    };
    ensure!(is_picture(&path), "{}: expected a name that ends in .png or .svg", path.display());
    let runs: Vec<RunReader> = args.runs.iter().map(|run| RunReader::open(run)).collect::<Result<_, _>>()?;
    let drawn = plot(args.kind, &runs, &selection)?;
    let figure = drawn.figure();
    figure.write(&path)?;

    let out = Output { json: args.json };
    for problem in runs.iter().flat_map(RunReader::problems) {
        eprintln!("warning: {problem}");
    }
    for source in &drawn.sources {
        out.text(source)?;
    }
    out.text(path.display())?;
    let (width, height) = figure.size();
    out.json(&json!({
        "event": "plot",
        "kind": args.kind.name(),
        "runs": args.runs,
        "file": path,
        "width": width,
        "height": height,
        "titles": figure.titles(),
        "sources": drawn.sources,
    }))?;
    Ok(ExitCode::SUCCESS)
}

fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("png") || end.eq_ignore_ascii_case("svg"))
}
