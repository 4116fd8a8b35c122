//! What is shown of it.

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use spark::record::figures::{Chart, Figure, Line, Series};
use std::io::{BufWriter, IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};

use crate::protocol::{Agreement, Answer, Pair, WINDOW, moving};

/// Digits at both ends of the time after the shift that the summary compares.
pub const ENDS: usize = 500;

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// What was done to the digits.
    pub shift: String,
    /// Seed of everything.
    pub seed: u64,
    /// Accuracy of the network on validation digits, in percent.
    pub trained: f64,
    /// How far the brain is the network.
    pub agreement: Agreement,
    /// Over all digits before the shift.
    pub before: Pair,
    /// Over the first digits after it.
    pub first_after: Pair,
    /// Over the last ones.
    pub last_after: Pair,
    /// Which part of what the shift took is back at the end: 0 for as bad as the frozen brain, 1 for as good as it
    /// was before; absent where the shift took nothing.
    pub recovered: Option<f64>,
    /// Digits before and after the shift.
    pub digits: [usize; 2],
    /// Seconds of training, of comparing network and brain, and of the digits one after another.
    pub seconds: [f64; 3],
}

impl Summary {
    /// Sums up all answers.
    pub fn judge(&mut self, answers: &[Answer]) {
        let (before, after) = answers.split_at(answers.partition_point(|answer| !answer.shifted));
        self.digits = [before.len(), after.len()];
        self.before = Pair::over(before);
        self.first_after = Pair::over(&after[..ENDS.min(after.len())]);
        self.last_after = Pair::over(&after[after.len().saturating_sub(ENDS)..]);
        let lost = self.before.frozen - self.last_after.frozen;
        let back = self.last_after.adapting - self.last_after.frozen;
        self.recovered = (lost > 0.0).then_some(back / lost);
    }

    fn text(&self) -> String {
        let Self { agreement, before, first_after, last_after, seconds, .. } = self;
        let row = |name: String, pair: &Pair| {
            format!("{name:<26}{:>8.1} %{:>10.1} %\n", pair.frozen, pair.adapting)
        };
        let [training, comparing, showing] = seconds;
        let table = [
            format!("{:<26}{:>10}{:>12}\n", "accuracy", "frozen", "adapting"),
            row(format!("before, {} digits", self.digits[0]), before),
            row(format!("after, the first {}", ENDS.min(self.digits[1])), first_after),
            row(format!("after, the last {}", ENDS.min(self.digits[1])), last_after),
        ];
        let recovered = match self.recovered {
            Some(part) => {
                format!("Without gradients, {:.0} % of what the shift took came back", 100.0 * part)
            }
            None => "The shift took nothing".to_owned(),
        };
        format!(
            "network: {:.1} % of the validation digits, trained in {training:.1} s\n\
             brain:   the same answer to {} of {} digits, every spike the same in {}; {} of {} spikes differ ({comparing:.1} s)\n\
             shift:   {}\n\n{}\n\
             {recovered} ({showing:.1} s).",
            self.trained,
            agreement.same_answer,
            agreement.digits,
            agreement.same_spikes,
            agreement.differing,
            agreement.spikes,
            self.shift,
            table.concat(),
        )
    }
}

/// Draws the accuracy of both brains over time, and the shift.
pub fn draw(answers: &[Answer], shift: &str, file: &Path) -> Result<()> {
    let points = |of: fn(&Pair) -> f64| moving(answers).map(|(end, pair)| (end as f64, of(&pair))).collect();
    let moment = answers.partition_point(|answer| !answer.shifted) as f64;
    let series = vec![
        Series::line("adapting", points(|pair| pair.adapting)),
        Series::line("frozen", points(|pair| pair.frozen)),
    ];
    let (title, y) =
        (format!("Digits one after another: {shift}"), format!("right of the last {WINDOW} (%)"));
    let lines = vec![Line { name: "the shift".to_owned(), at: moment, upright: true }];
    let chart = Chart { lines, ..Chart::new(&title, "digit", &y, series) };
    Ok(Figure::column([chart.into()]).write(file)?)
}

/// Writes one line for each digit, and the summary.
pub fn write(answers: &[Answer], summary: &Summary, folder: &Path) -> Result<[PathBuf; 2]> {
    let [lines, all] = ["adapt.jsonl", "adapt.json"].map(|name| folder.join(name));
    let mut text = Vec::new();
    let mut moving = moving(answers).peekable();
    for (digit, answer) in (1..).zip(answers) {
        let Answer { label, shifted, frozen, adapting } = answer;
        let accuracy = moving.next_if(|(end, _)| *end == digit).map(|(_, pair)| pair);
        let line = json!({ "digit": digit, "label": label, "shifted": shifted, "frozen": frozen,
            "adapting": adapting, "accuracy": accuracy });
        writeln!(text, "{line}")?;
    }
    spark::io::write_atomically(&lines, &text)
        .with_context(|| format!("cannot write {}", lines.display()))?;
    let text = serde_json::to_string_pretty(summary)? + "\n";
    spark::io::write_atomically(&all, text.as_bytes())
        .with_context(|| format!("cannot write {}", all.display()))?;
    Ok([lines, all])
}

/// Tells of what goes on: a bar on a terminal, and the summary as text or as a line of JSON.
pub struct Reporter {
    json: bool,
    bar: ProgressBar,
}

impl Reporter {
    pub fn new(json: bool) -> Self {
        Self { json, bar: ProgressBar::hidden() }
    }

    /// So much of something is to be done.
    pub fn begin(&mut self, what: &str, length: usize) {
        self.bar.finish_and_clear();
        if self.json || !stderr().is_terminal() {
            return;
        }
        let style = ProgressStyle::with_template("{prefix:<10} {bar:30} {pos}/{len} {msg}, {eta} left");
        self.bar = ProgressBar::new(length as u64);
        self.bar.set_style(style.expect("a template that is valid"));
        self.bar.set_prefix(what.to_owned());
    }

    /// So much of it is done.
    pub fn done(&self, position: usize, message: impl Into<String>) {
        self.bar.set_message(message.into());
        self.bar.set_position(position as u64);
    }

    /// The end.
    pub fn finish(self, summary: &Summary, files: &[PathBuf]) -> Result<()> {
        self.bar.finish_and_clear();
        let mut out = BufWriter::new(stdout());
        match self.json {
            true => writeln!(out, "{}", serde_json::to_string(summary)?)?,
            false => {
                writeln!(out, "{}", summary.text())?;
                for file in files {
                    writeln!(out, "wrote {}", file.display())?;
                }
            }
        }
        Ok(out.flush()?)
    }
}
