//! `spark import --from spark-snn`

use anyhow::{Context, Result};
use serde_json::json;
use spark::io::spark_snn::Dump;
use spark::prelude::Device;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::exchange::check_new;
use super::model;
use crate::output::Output;

/// A dump to take in.
pub struct Task<'a> {
    /// The dump.
    pub dump: &'a Path,
    /// The model, in place of that in the dump.
    pub model: Option<&'a Path>,
    /// Where model and state go.
    pub to: [&'a PathBuf; 2],
    /// Whether files there are replaced.
    pub overwrite: bool,
    /// Where to report.
    pub out: Output,
}

/// Writes the model and the state of a dump.
pub fn run(task: &Task<'_>) -> Result<ExitCode> {
    let &Task { dump: path, to: [to_model, to_state], overwrite, out, .. } = task;
    check_new(to_model, overwrite)?;
    check_new(to_state, overwrite)?;
    let dump = Dump::read(path)?;
    let mut notes = Vec::new();
    let given = match (task.model, &dump.model) {
        (Some(file), _) => model::read(file)?,
        (None, Some(loaded)) => {
            notes.clone_from(&loaded.notes);
            loaded.model.clone()
        }
        (None, None) => {
            return Err(anyhow::anyhow!("{} holds no model", path.display()))
                .context("pass --model FILE.scfg");
        }
    };
    let (snapshot, ours) = dump.snapshot(&given, &Device::flex())?;
    notes.extend(ours);
    notes.extend(spark::io::model::write(to_model, &snapshot.model, overwrite)?);
    snapshot.write(to_state)?;
    out.notes(&notes)?;
    let numbers: usize = snapshot.state.values().map(|data| data.num_elements()).sum();
    out.text(format_args!(
        "wrote {} and {}: {} after {} steps, {numbers} numbers",
        to_model.display(),
        to_state.display(),
        snapshot.model.module,
        snapshot.steps
    ))?;
    out.json(&json!({
        "event": "summary",
        "model": to_model,
        "state": to_state,
        "steps": snapshot.steps,
        "numbers": numbers,
    }))?;
    Ok(ExitCode::SUCCESS)
}
