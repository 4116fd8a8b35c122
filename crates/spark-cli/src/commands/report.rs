//! `spark report`

use anyhow::Result;
use serde_json::json;
use spark::record::{RunReader, report};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::output::Output;

/// Write a run as one HTML page
///
/// What the run is, its scalars, every picture that fits what was recorded, events, warnings and the configuration. The
/// page needs no other file and no network.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The page (default: report.html in the folder of the run)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print what was written as a line of JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let run = RunReader::open(&args.run)?;
    let path = args.out.clone().unwrap_or_else(|| args.run.join("report.html"));
    report::write(&run, &path)?;
    let out = Output { json: args.json };
    out.text(path.display())?;
    out.json(&json!({ "event": "report", "run": args.run, "file": path, "status": run.status() }))?;
    Ok(ExitCode::SUCCESS)
}
