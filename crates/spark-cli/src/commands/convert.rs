//! `spark convert`

use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

use super::model::{ModelArgs, checked, set};
use crate::output::Output;

/// Write a model to another file: in another format, with other seeds or settings
///
/// The format follows from the ending of the file: .scfg for that of the Python framework, anything else for
/// JSON. What has to be put differently is listed.
///
/// Example: spark convert brain.scfg brain.json --seed 7 --set '**.dt=0.5'
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// File to write
    #[arg(value_name = "FILE")]
    target: PathBuf,
    /// Draw everything at random anew, from this seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Replace the file if there is one
    #[arg(long)]
    overwrite: bool,
    /// Print JSON lines, the last one a summary
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.json };
    args.model.neurons.define()?;
    let loaded = spark::io::model::read(&args.model.path)?;
    let mut model = loaded.model;
    if let Some(seed) = args.seed {
        model = model.with_new_seeds(seed);
    }
    set(&mut model, &args.model.settings)?;
    checked(&model, &args.model.path)?;
    let written = spark::io::model::write(&args.target, &model, args.overwrite)?;
    let notes = |stage: &'static str, notes: Vec<String>| notes.into_iter().map(move |note| (stage, note));
    let mut count = 0;
    for (stage, note) in notes("read", loaded.notes).chain(notes("written", written)) {
        count += 1;
        out.text(format_args!("{stage}: {note}"))?;
        out.json(&json!({ "event": "note", "stage": stage, "note": note }))?;
    }
    out.text(format_args!("wrote {}", args.target.display()))?;
    out.json(&json!({ "event": "summary", "file": args.target, "notes": count }))?;
    Ok(ExitCode::SUCCESS)
}
