//! Standard output: text for people, or one JSON object a line for programs.

use serde::Serialize;
use serde_json::json;
use spark::train::Cost;
use std::io::{ErrorKind, Write};

/// Where results go.
#[derive(Clone, Copy)]
pub struct Output {
    /// Whether programs read it.
    pub json: bool,
}

impl Output {
    /// A line for people; nothing in JSON mode.
    pub fn text(self, line: impl std::fmt::Display) -> std::io::Result<()> {
        if self.json { Ok(()) } else { writeln!(std::io::stdout(), "{line}") }
    }

    /// A line for programs; nothing otherwise.
    pub fn json(self, value: &impl Serialize) -> std::io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let mut stdout = std::io::stdout().lock();
        serde_json::to_writer(&mut stdout, value)?;
        writeln!(stdout)?;
        stdout.flush()
    }

    /// What somebody should know of a file that was read or written, a line each.
    pub fn notes(self, notes: &[String]) -> std::io::Result<()> {
        notes.iter().try_for_each(|note| {
            self.text(format_args!("note: {note}"))?;
            self.json(&json!({ "event": "note", "note": note }))
        })
    }
}

/// Whether the reader of standard output has gone.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// A fraction as people read it.
pub fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

/// Firing rates as people read them.
pub fn rates(rates: &[f64]) -> String {
    rates.iter().map(|rate| format!("{rate:.3}")).collect::<Vec<_>>().join(" ")
}

/// Sparsity, operations and energy as people read them.
pub fn cost_line(sparsity: f64, cost: &Cost) -> String {
    let additions = format!("{:.0} additions", cost.operations);
    let operations = match cost.multiply_adds {
        0.0 => additions,
        multiply_adds => format!("{additions} and {multiply_adds:.0} multiply-adds"),
    };
    format!(
        "cost      {operations} a sample, about {:.1} nJ (without spikes {:.1} nJ); {} of the units silent at a step",
        cost.energy,
        cost.dense_energy,
        percent(sparsity)
    )
}
