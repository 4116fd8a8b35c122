//! Initializers and payloads: what parameters are drawn from, and what travels between modules.

use anyhow::{Result, bail};
use serde_json::json;
use spark::core::parameter::Distribution;
use spark::core::payload::PayloadKind;

use crate::output::Output;

/// A kind of values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Values {
    Initializers,
    Payloads,
}

impl Values {
    pub const ALL: [Self; 2] = [Self::Initializers, Self::Payloads];

    /// The name of the kind.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Initializers => "initializer",
            Self::Payloads => "payload",
        }
    }

    /// The kind that a user means, in the singular or plural.
    pub fn of_kind(word: &str) -> Option<Self> {
        let word = word.to_lowercase();
        let word = word.strip_suffix('s').unwrap_or(&word);
        Self::ALL.into_iter().find(|values| values.kind() == word)
    }

    /// The kind that has a value of this name.
    pub fn with(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|values| values.entries().iter().any(|(known, _)| known == name))
    }

    /// A name that is one of this kind.
    pub fn known(self, name: &str) -> Result<String> {
        let names: Vec<String> = self.entries().into_iter().map(|(name, _)| name).collect();
        if names.iter().any(|known| known == name) {
            return Ok(name.to_owned());
        }
        bail!("unknown {} `{name}`: there are {}", self.kind(), names.join(", "))
    }

    /// Names and what they mean.
    fn entries(self) -> Vec<(String, String)> {
        match self {
            Self::Initializers => Distribution::described(),
            Self::Payloads => {
                let entry = |kind: PayloadKind| (kind.name().to_owned(), kind.description().to_owned());
                PayloadKind::ALL.map(entry).to_vec()
            }
        }
    }

    /// Prints all of them, or the one of a name.
    pub fn show(self, name: Option<&str>, out: Output) -> Result<()> {
        let shown: Vec<_> =
            self.entries().into_iter().filter(|(known, _)| name.is_none_or(|name| name == known)).collect();
        let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        out.text(self.kind())?;
        for (name, summary) in &shown {
            out.text(format_args!("  {name:<width$}  {summary}"))?;
            out.json(&json!({ "event": self.kind(), "name": name, "summary": summary }))?;
        }
        if self == Self::Initializers {
            out.text("\nA parameter is a number, nested lists of numbers, or one of these:")?;
            out.text("  {\"kind\": \"sparse_uniform\", \"scale\": 120.0, \"density\": 0.5}")?;
        }
        let names: Vec<&String> = shown.iter().map(|(name, _)| name).collect();
        out.json(&json!({ "event": "summary", "kind": self.kind(), "names": names }))?;
        Ok(())
    }
}
