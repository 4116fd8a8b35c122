//! What runs did, for people and programs.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use spark::core::model::Variant;
use spark::core::simulation::{Activity, Simulation};
use spark::io::{Snapshot, TensorFile, write_atomically};
use spark::prelude::Device;
use std::path::{Path, PathBuf};

use super::folder::{self, MODEL, OUTPUTS, PLOT, STATE, SUMMARY};
use super::plot;
use super::start::Start;
use crate::commands::model::shortened;
use crate::output::Output;

/// One run.
pub struct Outcome {
    settings: Vec<(String, Value)>,
    seed: Option<u64>,
    steps: usize,
    dt: f64,
    seconds: f64,
    activity: Vec<Activity>,
    silent: Vec<String>,
    folder: Option<PathBuf>,
    /// A path of the state that holds what is no finite number.
    diverged: Option<String>,
}

impl Outcome {
    pub fn new(
        variant: &Variant,
        simulation: &Simulation,
        steps: usize,
        seconds: f64,
        silent: Vec<String>,
        folder: Option<PathBuf>,
    ) -> Self {
        let state = simulation.instance().save();
        let diverged = state.iter().find(|(_, data)| data.iter::<f64>().any(|value| !value.is_finite()));
        Self {
            settings: variant.settings.clone(),
            seed: variant.seed,
            steps,
            dt: simulation.dt(),
            seconds,
            activity: simulation.activity(),
            silent,
            folder,
            diverged: diverged.map(|(path, _)| path.clone()),
        }
    }

    fn spikes(&self) -> u64 {
        self.activity.iter().filter_map(|one| one.spikes).sum()
    }

    fn us_per_step(&self) -> f64 {
        1e6 * self.seconds / self.steps.max(1) as f64
    }

    /// The run as one JSON object.
    fn json(&self) -> Value {
        let rates: Map<String, Value> =
            self.activity.iter().filter_map(|one| Some((one.name.clone(), one.rate?.into()))).collect();
        let settings: Map<String, Value> = self.settings.iter().cloned().collect();
        json!({
            "event": "run",
            "settings": settings,
            "seed": self.seed,
            "steps": self.steps,
            "dt": self.dt,
            "seconds": self.seconds,
            "us_per_step": self.us_per_step(),
            "steps_per_second": self.steps as f64 / self.seconds,
            "spikes": self.spikes(),
            "rates": rates,
            "outputs": self.activity,
            "silent_inputs": self.silent,
            "finite": self.diverged.is_none(),
            "folder": self.folder,
        })
    }

    /// Writes what was kept, where there is a folder for it.
    pub fn write(
        &self,
        variant: &Variant,
        simulation: &Simulation,
        picture: bool,
        start: &Start,
    ) -> Result<()> {
        let Some(path) = &self.folder else { return Ok(()) };
        folder::clear(path)?;
        let tensors = simulation.record();
        if picture {
            plot::draw(&tensors, &self.activity, self.dt).write(&path.join(PLOT))?;
        }
        if self.diverged.is_none() {
            let metadata = [("dt".to_owned(), self.dt.to_string())].into();
            if !tensors.is_empty() {
                TensorFile { metadata, tensors }.write(&path.join(OUTPUTS))?;
            }
            let context = start.context(&Device::flex()); // For its seed alone.
            let (instance, steps) = (simulation.instance(), start.steps() + self.steps as u64);
            Snapshot::of(&variant.model, instance, 1, steps, &context).write(&path.join(STATE))?;
        }
        spark::io::model::write(&path.join(MODEL), &variant.model, true)?;
        let summary = serde_json::to_string_pretty(&self.json())? + "\n";
        let summary_path = path.join(SUMMARY);
        write_atomically(&summary_path, summary.as_bytes())
            .with_context(|| format!("cannot write {}", summary_path.display()))
    }
}

/// All runs.
pub struct Report {
    out: Output,
    name: String,
    model: PathBuf,
    runs: usize,
    steps: usize,
    done: Vec<Value>,
    widths: Vec<usize>,
    seconds: f64,
    finite: bool,
}

impl Report {
    pub fn new(out: Output, model: &Path, variants: &[Variant], steps: usize) -> Self {
        let (done, widths) = Default::default();
        let name = model.display().to_string();
        Self {
            out,
            name,
            model: model.to_owned(),
            runs: variants.len(),
            steps,
            done,
            widths,
            seconds: 0.0,
            finite: true,
        }
    }

    /// Reports one run as it ends.
    pub fn add(&mut self, run: Outcome) -> Result<()> {
        if self.done.is_empty() {
            self.head(&run)?;
        }
        if self.runs == 1 {
            self.table(&run)?;
        } else {
            self.row(&run)?;
        }
        if let Some(path) = &run.diverged {
            self.finite = false;
            eprintln!("error: after {} steps {path} holds a number that is not finite", run.steps);
        }
        self.seconds += run.seconds;
        let line = run.json();
        self.out.json(&line)?;
        self.done.push(line);
        Ok(())
    }

    fn head(&self, run: &Outcome) -> Result<()> {
        let runs = if self.runs == 1 { String::new() } else { format!("{} runs of ", self.runs) };
        self.out.text(format_args!("{}: {runs}{} steps of {} ms", self.name, self.steps, run.dt))?;
        for port in &run.silent {
            self.out.text(format_args!("input {port} is fed by nothing and stays 0"))?;
        }
        Ok(())
    }

    /// One line for each output.
    fn table(&self, run: &Outcome) -> Result<()> {
        let width = run.activity.iter().map(|one| one.name.chars().count()).max().unwrap_or(0).max(6);
        self.out.text(format_args!(
            "\n{:<width$} {:>7} {:>10} {:>10} {:>10}",
            "output", "units", "spikes", "rate/Hz", "mean"
        ))?;
        for one in &run.activity {
            let spikes = one.spikes.map_or(String::new(), |count| count.to_string());
            let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.3}"));
            self.out.text(format_args!(
                "{:<width$} {:>7} {spikes:>10} {:>10} {:>10}",
                one.name,
                one.units,
                number(one.rate),
                number(one.mean)
            ))?;
        }
        self.out.text(format_args!(
            "\n{} steps in {:.3} s: {:.0} steps/s, {:.1} µs per step",
            run.steps,
            run.seconds,
            run.steps as f64 / run.seconds,
            run.us_per_step()
        ))?;
        Ok(())
    }

    /// One line for a run; the first one comes with the names of the columns.
    fn row(&mut self, run: &Outcome) -> Result<()> {
        let mut cells: Vec<(String, String)> =
            run.settings.iter().map(|(pattern, value)| (pattern.clone(), shortened(value))).collect();
        cells.extend(run.seed.map(|seed| ("seed".to_owned(), seed.to_string())));
        for one in &run.activity {
            let (unit, value) = match one.rate {
                Some(rate) => (" Hz", rate),
                None => ("", one.mean.unwrap_or_default()),
            };
            cells.push((format!("{}{unit}", one.name), format!("{value:.3}")));
        }
        cells.push(("spikes".to_owned(), run.spikes().to_string()));
        cells.push(("µs/step".to_owned(), format!("{:.1}", run.us_per_step())));
        let line = |cells: Vec<&String>, widths: &[usize]| -> String {
            let cells = cells.into_iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}"));
            cells.collect::<Vec<_>>().join("  ")
        };
        if self.done.is_empty() {
            self.widths =
                cells.iter().map(|(name, cell)| name.chars().count().max(cell.chars().count() + 2)).collect();
            self.out.text(format_args!(
                "\n{}",
                line(cells.iter().map(|(name, _)| name).collect(), &self.widths)
            ))?;
        }
        self.out.text(line(cells.iter().map(|(_, cell)| cell).collect(), &self.widths))?;
        Ok(())
    }

    /// The last lines; says whether all numbers stayed finite.
    pub fn finish(&self, folder: Option<&Path>, interrupted: bool) -> Result<bool> {
        if interrupted {
            self.out.text("interrupted")?;
        }
        if let Some(folder) = folder {
            self.out.text(format_args!("results  {}", folder.display()))?;
            if self.runs > 1 {
                let summary = serde_json::to_string_pretty(&self.done)? + "\n";
                write_atomically(&folder.join(SUMMARY), summary.as_bytes())
                    .with_context(|| format!("cannot write to {}", folder.display()))?;
            }
        }
        self.out.json(&json!({
            "event": "summary",
            "model": self.model,
            "runs": self.done.len(),
            "steps": self.steps,
            "seconds": self.seconds,
            "finite": self.finite,
            "interrupted": interrupted,
            "folder": folder,
        }))?;
        Ok(self.finite)
    }
}
