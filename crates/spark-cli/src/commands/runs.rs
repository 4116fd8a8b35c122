//! `spark runs`

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};
use spark::record::{RunReader, StoreError, runs_in};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::recorded::{age, last_values, number, table, took};
use crate::output::Output;

/// List the runs in a folder
///
/// Runs are looked for in the folder and two levels below, where those of an experiment are. What a run recorded last
/// stands at the end of its line; spark show RUN tells everything about one.
///
/// Example: spark runs runs
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Folder of runs
    #[arg(default_value = "runs")]
    dir: PathBuf,
    /// Print JSON lines, the last one a summary
    #[arg(long)]
    json: bool,
}

/// Scalars on the line of a run.
const SCALARS: usize = 3;

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.json };
    ensure!(args.dir.is_dir(), "there is no folder {}", args.dir.display());
    let runs = runs_in(&args.dir)?;
    let header = ["run", "kind", "status", "steps", "took", "age", "experiment", "last"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let mut unreadable = Vec::new();
    for entry in &runs {
        let name = name(&entry.folder, &args.dir);
        let shown = entry.run.as_ref().map_err(ToString::to_string).and_then(|run| {
            let line = describe(run, &name, &entry.folder).map_err(|error| error.to_string())?;
            Ok((row(run, &name).map_err(|error| error.to_string())?, line))
        });
        match shown {
            Ok((row, line)) => {
                rows.push(row);
                out.json(&line)?;
            }
            Err(error) => {
                out.json(&json!({"event": "run", "name": name, "folder": entry.folder, "error": error}))?;
                unreadable.push(error);
            }
        }
    }
    if runs.is_empty() {
        out.text(format_args!("no runs in {}", args.dir.display()))?;
    } else {
        table(&rows).into_iter().try_for_each(|line| out.text(line))?;
    }
    unreadable.iter().for_each(|error| eprintln!("warning: {error}"));
    out.json(&json!({"event": "summary", "runs": runs.len(), "unreadable": unreadable.len()}))?;
    Ok(ExitCode::SUCCESS)
}

/// The folder of a run as seen from the folder of runs.
fn name(folder: &Path, dir: &Path) -> String {
    let below = folder.strip_prefix(dir).ok().filter(|path| !path.as_os_str().is_empty());
    below.unwrap_or(folder).display().to_string()
}

fn row(run: &RunReader, name: &str) -> Result<Vec<String>, StoreError> {
    let about = run.about();
    let last = last_values(run, SCALARS)?;
    let last = last.iter().map(|(name, value)| format!("{name} {}", number(*value)));
    Ok(vec![
        name.to_owned(),
        about.kind.clone(),
        run.status().to_string(),
        run.last_step()?.map_or("-".into(), |step| step.to_string()),
        took(about).unwrap_or_else(|| "-".into()),
        age(about.created),
        about.experiment.clone().unwrap_or_else(|| "-".into()),
        last.collect::<Vec<_>>().join("  "),
    ])
}

fn describe(run: &RunReader, name: &str, folder: &Path) -> Result<Value, StoreError> {
    let about = run.about();
    let scalars: Map<String, Value> =
        last_values(run, usize::MAX)?.into_iter().map(|(name, value)| (name, value.into())).collect();
    Ok(json!({
        "event": "run",
        "name": name,
        "folder": folder,
        "kind": about.kind,
        "status": run.status(),
        "experiment": about.experiment,
        "seed": about.seed,
        "steps": run.last_step()?,
        "created": about.created.to_string(),
        "seconds": about.timings.get("total"),
        "scalars": scalars,
        "problems": run.problems(),
    }))
}
