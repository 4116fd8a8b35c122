//! `spark diff`

use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

use super::model::{Neurons, read};
use crate::output::Output;

/// What a program that compares reports for what it cannot compare, as diff(1) does.
const TROUBLE: u8 = 2;

/// Show what differs between two models
///
/// Defaults are filled in first, so that a field that is left out equals one that says its default. One line for
/// each difference: + for a module that only B has, - for one that only A has, ~ for a field, a connection or a
/// kind that differs. The exit code is 0 where the models are equal, 1 where they differ and 2 for trouble.
///
/// Example: spark diff before.json after.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Model file
    a: PathBuf,
    /// Model file to compare it with
    b: PathBuf,
    #[command(flatten)]
    neurons: Neurons,
    /// Print JSON lines, the last one a summary
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> ExitCode {
    match compare(args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) if crate::output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(TROUBLE)
        }
    }
}

/// The number of differences.
fn compare(args: &Args) -> Result<usize> {
    let out = Output { json: args.json };
    args.neurons.define()?;
    let changes = read(&args.a)?.diff(&read(&args.b)?)?;
    for change in &changes {
        out.text(change)?;
        let mut line = serde_json::to_value(change)?;
        line["event"] = "change".into();
        out.json(&line)?;
    }
    out.json(&json!({ "event": "summary", "changes": changes.len(), "equal": changes.is_empty() }))?;
    Ok(changes.len())
}
