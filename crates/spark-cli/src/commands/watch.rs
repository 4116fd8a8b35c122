//! `spark watch`

use anyhow::Result;
use console::Term;
use spark::record::{RunReader, Scalar, Status};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use super::braille::curve;
use super::recorded::{duration, number, open, ranked};
use crate::output::Output;

/// Watch a run while it is under way
///
/// Curves of what it records, losses and rates first, drawn anew until the run ends; where standard output is no
/// terminal, a line whenever something new was recorded. Ctrl-C ends the watching, not the run. The exit code is 1 for
/// a run that failed or was abandoned.
///
/// Example: spark watch runs/mnist10k-001
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Folder of the run
    run: PathBuf,
    /// Seconds from one look to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5, value_parser = seconds)]
    interval: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("found {text}, expected a number"))?;
    if (0.01..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0.01 to 3600 s".into()) }
}

/// Scalars on a line where there is no terminal.
const ON_A_LINE: usize = 6;
/// Lines of a curve, at most.
const TALLEST: usize = 4;
/// Lines for a scalar, at least, as long as there are any.
const LEAST: usize = 3;

pub fn run(args: &Args) -> Result<ExitCode> {
    let mut watched = Watched { run: open(&args.run)?, starts: 0, scalars: BTreeMap::new() };
    let mut screen = Screen { term: Term::stdout(), lines: 0, step: None };
    loop {
        // What is recorded between the two looks belongs to the end of the run.
        let status = watched.run.status();
        watched.look()?;
        screen.show(&watched, status)?;
        if status != Status::Running {
            screen.end(&watched, status)?;
            let well = matches!(status, Status::Finished | Status::Interrupted);
            return Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        std::thread::sleep(Duration::from_secs_f64(args.interval));
    }
}

/// A run and what was read of it.
struct Watched {
    run: RunReader,
    starts: u32,
    scalars: BTreeMap<String, Vec<Scalar>>,
}

impl Watched {
    /// Reads what is new.
    fn look(&mut self) -> Result<()> {
        self.run.refresh()?;
        // A run that goes on has forgotten what came after its checkpoint.
        if self.starts != self.run.about().starts {
            self.starts = self.run.about().starts;
            self.scalars.clear();
        }
        for name in self.run.scalar_names()? {
            let known = self.scalars.entry(name.clone()).or_default();
            let next = known.last().map_or(0, |last| last.step + 1);
            known.extend(self.run.scalars_from(&name, next)?);
        }
        Ok(())
    }

    fn step(&self) -> Option<u64> {
        self.scalars.values().filter_map(|values| Some(values.last()?.step)).max()
    }

    /// The scalars in the order in which they are shown, without those that have no value yet.
    fn ranked(&self) -> Vec<(&str, &[Scalar])> {
        let names = ranked(self.scalars.keys().cloned().collect());
        let find = |name: &String| {
            let (name, values) = self.scalars.get_key_value(name)?;
            (!values.is_empty()).then_some((name.as_str(), values.as_slice()))
        };
        names.iter().filter_map(find).collect()
    }

    /// Name, kind, status, step and speed.
    fn head(&self, status: Status) -> String {
        let about = self.run.about();
        let name = self.run.paths().folder().display();
        let step = self.step().map_or(String::new(), |step| format!("  step {step}"));
        let since = SystemTime::from(about.created).elapsed().unwrap_or_default();
        let total = about.timings.get("total").and_then(|&total| Duration::try_from_secs_f64(total).ok());
        let time = if status == Status::Running { since } else { total.unwrap_or(since) };
        format!("{name}  {}  {status}{step}{}  {}", about.kind, self.speed(), duration(time))
    }

    /// Steps per second over the last steps of the scalar that is recorded most often.
    fn speed(&self) -> String {
        let Some(values) = self.scalars.values().max_by_key(|values| values.len()) else {
            return String::new();
        };
        let [first, .., last] = &values[values.len().saturating_sub(50)..] else { return String::new() };
        let (steps, seconds) = (last.step.saturating_sub(first.step), last.wall - first.wall);
        if steps == 0 || seconds <= 0.0 {
            return String::new();
        }
        format!("  {} steps/s", number(steps as f64 / seconds))
    }
}

/// What is on the terminal.
struct Screen {
    term: Term,
    lines: usize,
    /// The last step of which there is a line, where lines are written.
    step: Option<u64>,
}

impl Screen {
    fn show(&mut self, watched: &Watched, status: Status) -> Result<()> {
        if !self.term.is_term() {
            return self.line(watched);
        }
        let (height, width) = self.term.size();
        let lines = picture(watched, status, usize::from(width), usize::from(height));
        self.term.move_cursor_up(self.lines)?;
        for line in &lines {
            self.term.clear_line()?;
            self.term.write_line(line)?;
        }
        self.term.clear_to_end_of_screen()?;
        self.lines = lines.len();
        Ok(())
    }

    /// A line where there is something new.
    fn line(&mut self, watched: &Watched) -> Result<()> {
        let step = watched.step();
        if step == self.step {
            return Ok(());
        }
        self.step = step;
        let scalars = watched.ranked();
        let last = scalars
            .iter()
            .take(ON_A_LINE)
            .filter_map(|(name, values)| Some(format!("  {name} {}", number(values.last()?.value))));
        let out = Output { json: false };
        out.text(format_args!("step {}{}", step.unwrap_or(0), last.collect::<String>()))?;
        Ok(())
    }

    fn end(&self, watched: &Watched, status: Status) -> Result<()> {
        let out = Output { json: false };
        let step = watched.step().map_or(String::new(), |step| format!(" after step {step}"));
        out.text(format_args!("{status}{step}"))?;
        if let Some(error) = &watched.run.about().error {
            out.text(error)?;
        }
        Ok(())
    }
}

/// The lines of a terminal of `width` columns and `height` rows.
fn picture(watched: &Watched, status: Status, width: usize, height: usize) -> Vec<String> {
    let fit = |line: &str| console::truncate_str(line, width.saturating_sub(1), "…").into_owned();
    let mut lines = vec![fit(&watched.head(status))];
    let scalars = watched.ranked();
    // One row for the head and one for the cursor; a curve has a line of numbers above it.
    let rows = height.saturating_sub(2);
    let shown = scalars.len().min(rows / LEAST).max(1);
    let tall = (rows / shown).saturating_sub(1).clamp(1, TALLEST);
    for (name, scalars) in scalars.iter().take(rows / (tall + 1)) {
        let values: Vec<f64> = scalars.iter().map(|scalar| scalar.value).collect();
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let (min, max) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let last = values.last().copied().unwrap_or(f64::NAN);
        let name = console::style(name).bold();
        lines.push(fit(&format!("{name}  {}  ({} … {})", number(last), number(min), number(max))));
        lines.extend(curve(&values, width.saturating_sub(3), tall).iter().map(|line| format!("  {line}")));
    }
    lines
}
