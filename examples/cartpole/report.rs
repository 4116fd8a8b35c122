//! What is shown of learning.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use spark::record::figures::{Chart, Figure, Series};
use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};

use crate::physics::LONGEST;

/// A brain that has reached this mean knows how to balance.
const REACHED: f32 = 350.0;
/// A mean below this means that it has forgotten.
const FORGOTTEN: f32 = 195.0;

/// The course of learning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Seed of the starts.
    pub seed: u64,
    /// Steps that the pole stood in each episode.
    pub lasted: Vec<u32>,
    /// Their running mean after each episode.
    pub ema: Vec<f32>,
    /// How long all of it took.
    pub seconds: f64,
    /// Steps of the brain.
    pub steps: u64,
}

impl Run {
    /// Adds an episode.
    pub fn add(&mut self, lasted: u32, ema: f32) {
        self.lasted.push(lasted);
        self.ema.push(ema);
    }

    /// The mean at the end.
    pub fn last(&self) -> f32 {
        self.ema.last().copied().unwrap_or_default()
    }

    /// The best mean.
    pub fn best(&self) -> f32 {
        self.ema.iter().copied().fold(0.0, f32::max)
    }

    /// The lowest mean from when it knew how to balance; `None` where it never did.
    pub fn lowest_since(&self) -> Option<f32> {
        let first = self.ema.iter().position(|ema| *ema >= REACHED)?;
        Some(self.ema[first..].iter().copied().fold(f32::INFINITY, f32::min))
    }

    fn us_per_step(&self) -> f64 {
        self.seconds * 1e6 / self.steps.max(1) as f64
    }
}

/// Tells of episodes as they come: lines of JSON, a bar on a terminal, or nothing.
pub struct Reporter {
    json: bool,
    silent: bool,
    bar: Option<ProgressBar>,
}

impl Reporter {
    pub fn new(json: bool) -> Self {
        Self { json, silent: false, bar: None }
    }

    /// Tells nothing from now on.
    #[cfg(test)]
    pub fn silence(&mut self) {
        self.silent = true;
    }

    /// Before the first episode.
    pub fn begin(&mut self, seed: u64, episodes: u32) {
        if self.json || self.silent || !stderr().is_terminal() {
            return;
        }
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} episodes, {msg}, {eta} left");
        let bar = ProgressBar::new(u64::from(episodes));
        bar.set_style(style.expect("a template that is valid"));
        bar.set_prefix(format!("seed {seed}"));
        self.bar = Some(bar);
    }

    /// After an episode, the last one of the run.
    pub fn episode(&mut self, run: &Run) -> Result<()> {
        let (episode, lasted) = (run.lasted.len(), run.lasted.last().copied().unwrap_or_default());
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{lasted} steps, mean {:.0}", run.last()));
            bar.inc(1);
        }
        if self.json && !self.silent {
            let line = json!({ "seed": run.seed, "episode": episode, "steps": lasted, "ema": run.last() });
            writeln!(stdout(), "{line}")?;
        }
        Ok(())
    }

    /// After the last episode of a run.
    pub fn finished(&mut self, run: &Run) -> Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.json {
            writeln!(stdout(), "{}", in_short(run))?;
            return Ok(());
        }
        let Run { seed, seconds, .. } = run;
        let lowest = run.lowest_since().map_or("–".to_owned(), |lowest| format!("{lowest:.0}"));
        writeln!(
            stdout(),
            "seed {seed:>3}: mean {:>3.0} at the end, best {:>3.0}, lowest since {REACHED}: {lowest:>3}; \
             {seconds:.1} s, {:.1} µs per step",
            run.last(),
            run.best(),
            run.us_per_step(),
        )?;
        Ok(())
    }

    /// Which files there are now.
    pub fn wrote<'a>(&self, files: impl Iterator<Item = &'a PathBuf>) {
        if !self.json {
            for file in files {
                eprintln!("wrote {}", file.display());
            }
        }
    }

    /// After several runs.
    pub fn summary(&self, runs: &[Run]) -> Result<()> {
        if runs.len() < 2 {
            return Ok(());
        }
        let count = |holds: &dyn Fn(&Run) -> bool| runs.iter().filter(|run| holds(run)).count();
        let reached = count(&|run| run.best() >= REACHED);
        let held = count(&|run| run.lowest_since().is_some_and(|lowest| lowest > FORGOTTEN));
        match self.json {
            true => {
                let line = json!({
                    "seeds": runs.len(), "reached": reached, "held": held,
                    "runs": runs.iter().map(in_short).collect::<Vec<_>>(),
                });
                writeln!(stdout(), "{line}")?;
            }
            false => writeln!(
                stdout(),
                "{reached} of {} reached a mean of {REACHED}; {held} of them stayed above {FORGOTTEN} from there on",
                runs.len(),
            )?,
        }
        Ok(())
    }
}

fn in_short(run: &Run) -> serde_json::Value {
    json!({
        "seed": run.seed, "episodes": run.lasted.len(), "ema": run.last(), "max_ema": run.best(),
        "lowest_since": run.lowest_since(), "seconds": run.seconds, "us_per_step": run.us_per_step(),
    })
}

/// Draws the means of all runs.
pub fn draw(runs: &[Run], file: &Path) -> Result<()> {
    let series = runs.iter().map(|run| {
        let name = if runs.len() > 1 { format!("seed {}", run.seed) } else { String::new() };
        let means = run.ema.iter().map(|ema| f64::from(*ema));
        Series::line(&name, (1u32..).map(f64::from).zip(means).collect())
    });
    let title = format!("CartPole: running mean of the steps, at most {LONGEST}");
    let chart = Chart::new(&title, "episode", "steps", series.collect());
    Ok(Figure::column([chart.into()]).write(file)?)
}

/// Tells how long a brain balanced without learning.
pub fn games(lasted: &[u32], json: bool) -> Result<()> {
    let mean = f64::from(lasted.iter().sum::<u32>()) / lasted.len() as f64;
    match json {
        true => writeln!(stdout(), "{}", json!({ "episodes": lasted.len(), "steps": lasted, "mean": mean }))?,
        false => {
            for (game, steps) in lasted.iter().enumerate() {
                writeln!(stdout(), "{:>2}: {steps}", game + 1)?;
            }
            writeln!(stdout(), "mean: {mean:.1} of {LONGEST} steps")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_the_lowest_mean_after_the_first_that_is_high_enough() {
        let mut run = Run::default();
        assert_eq!((run.last(), run.best(), run.lowest_since()), (0.0, 0.0, None));
        for ema in [20.0, 349.0, 351.0, 400.0, 210.0, 300.0] {
            run.add(0, ema);
        }
        assert_eq!((run.last(), run.best(), run.lowest_since()), (300.0, 400.0, Some(210.0)));
    }
}
