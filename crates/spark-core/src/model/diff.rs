//! What differs between two models, and one laid over another.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

use super::complete::same;
use super::{ModuleSpec, Settings, Wiring};
use crate::schema::join;

/// One difference between two models.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A module that only the second one has.
    Added {
        /// Its path.
        path: String,
        /// What it is.
        module: String,
    },
    /// A module that only the first one has.
    Removed {
        /// Its path.
        path: String,
        /// What it is.
        module: String,
    },
    /// A field, a connection or the kind of a module that differs.
    Changed {
        /// Its address.
        path: String,
        /// In the first one; absent where it has none.
        before: Option<Value>,
        /// In the second one; absent where it has none.
        after: Option<Value>,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| match value {
            None => "absent".to_owned(),
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" + ")
            }
            Some(Value::String(text)) => text.clone(),
            Some(value) => shortened(value),
        };
        match self {
            Self::Added { path, module } => write!(f, "+ {path} ({module})"),
            Self::Removed { path, module } => write!(f, "- {path} ({module})"),
            Self::Changed { path, before, after } => {
                write!(f, "~ {path}: {} → {}", text(before), text(after))
            }
        }
    }
}

/// A value on one line; long arrays by their length.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match value {
        Value::Array(entries) if text.chars().count() > 60 => format!("[… {} entries]", entries.len()),
        _ => text,
    }
}

/// What differs between two settings, both with every default.
pub fn changes(before: &Settings, after: &Settings) -> Vec<Change> {
    let mut found = Vec::new();
    compare(before, after, "", &mut found);
    found
}

fn compare(before: &Settings, after: &Settings, path: &str, found: &mut Vec<Change>) {
    let names: BTreeSet<&String> = before.fields.keys().chain(after.fields.keys()).collect();
    for name in names {
        let (old, new) = (before.fields.get(name), after.fields.get(name));
        if !matches!((old, new), (Some(old), Some(new)) if same(old, new)) {
            found.push(Change::Changed { path: join(path, name), before: old.cloned(), after: new.cloned() });
        }
    }
    for old in &before.modules {
        let path = join(path, &old.name);
        match after.module(&old.name) {
            None => found.push(Change::Removed { path, module: old.module.clone() }),
            Some(new) => compare_modules(old, new, &path, found),
        }
    }
    for new in after.modules.iter().filter(|new| before.module(&new.name).is_none()) {
        found.push(Change::Added { path: join(path, &new.name), module: new.module.clone() });
    }
}

fn compare_modules(old: &ModuleSpec, new: &ModuleSpec, path: &str, found: &mut Vec<Change>) {
    let mut changed = |name: String, before: Option<Value>, after: Option<Value>| {
        if before != after {
            found.push(Change::Changed { path: join(path, &name), before, after });
        }
    };
    changed("module".to_owned(), Some(old.module.as_str().into()), Some(new.module.as_str().into()));
    for (what, old, new) in [("inputs", &old.inputs, &new.inputs), ("effects", &old.effects, &new.effects)] {
        for port in union(old.keys(), new.keys()) {
            changed(format!("{what}.{port}"), wires(old, port), wires(new, port));
        }
    }
    for name in union(old.outputs.keys(), new.outputs.keys()) {
        let port = |spec: &ModuleSpec| spec.outputs.get(name).map(|port| port.as_str().into());
        changed(format!("outputs.{name}"), port(old), port(new));
    }
    compare(&old.config, &new.config, path, found);
}

fn union<'a>(
    a: impl Iterator<Item = &'a String>,
    b: impl Iterator<Item = &'a String>,
) -> BTreeSet<&'a String> {
    a.chain(b).collect()
}

fn wires(wiring: &Wiring, port: &str) -> Option<Value> {
    let wires = wiring.get(port)?;
    Some(Value::Array(wires.iter().map(|wire| wire.to_string().into()).collect()))
}
