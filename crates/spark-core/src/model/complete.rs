//! Defaults filled in, and taken out again.

use serde_json::Value;

use super::{ModuleSpec, Settings};
use crate::component::Family;
use crate::registry::{self, Registration};
use crate::schema::join;

/// A model whose defaults cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct CompleteError {
    /// The module, by its path.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// How deep modules may nest.
const DEEPEST: usize = 8;

/// The settings of a module with every default, and every module inside with what is handed down to it.
///
/// A neuron that is registered with modules of its own keeps those: what is given is laid over them, module
/// by module and field by field.
///
/// # Errors
/// Names the module that is unknown.
pub fn complete(module: &str, settings: &Settings) -> Result<Settings, CompleteError> {
    within(module, settings, &[], "")
}

fn within(
    module: &str,
    settings: &Settings,
    handed: &[(&str, Value)],
    path: &str,
) -> Result<Settings, CompleteError> {
    if path.split('.').count() > DEEPEST {
        let message =
            format!("found modules inside modules inside modules, expected at most {DEEPEST} levels");
        return Err(CompleteError { path: path.to_owned(), message });
    }
    let twice = |(at, module): (usize, &ModuleSpec)| {
        settings.modules[..at].iter().any(|before| before.name == module.name).then(|| module.name.clone())
    };
    if let Some(name) = settings.modules.iter().enumerate().find_map(twice) {
        let message = "found two modules of this name, expected a name for each".to_owned();
        return Err(CompleteError { path: join(path, &name), message });
    }
    let (registration, base) = base(module, handed, path)?;
    let mut complete = merge(&base, settings);
    if !registration.family.is_controller() {
        return Ok(complete);
    }
    let handed: Vec<(&str, Value)> = handed_down(registration.family, &complete);
    for inside in &mut complete.modules {
        let path = join(path, &inside.name);
        without_alias(inside);
        inside.config = within(&inside.module, &inside.config, &handed, &path)?;
    }
    Ok(complete)
}

/// Writes what an alias means in place of it.
pub(super) fn without_alias(module: &mut ModuleSpec) {
    let Ok((registration, Some(alias))) = registry::find(&module.module) else { return };
    alias.complete(&mut module.config.fields);
    module.module = registration.name.to_owned();
    module.inputs = std::mem::take(&mut module.inputs)
        .into_iter()
        .map(|(port, wires)| (alias.port(&port).to_owned(), wires))
        .collect();
}

/// What is registered under a name, and what its settings are where nothing is given.
fn base(
    module: &str,
    handed: &[(&str, Value)],
    path: &str,
) -> Result<(&'static Registration, Settings), CompleteError> {
    let wrong = |message: String| CompleteError { path: path.to_owned(), message };
    if module.is_empty() {
        return Err(wrong("found no `module`, expected what it is".to_owned()));
    }
    let (registration, _) = registry::find(module).map_err(|error| wrong(error.to_string()))?;
    let mut base = registration.default_settings();
    for (field, value) in handed {
        if base.fields.contains_key(*field) {
            base.fields.insert((*field).to_owned(), value.clone());
        }
    }
    Ok((registration, base))
}

/// Fields that a controller of this family hands down to the modules inside, with their values: the duration of
/// a step, and of neurons their units.
pub fn handed_down(family: Family, settings: &Settings) -> Vec<(&'static str, Value)> {
    let fields: &[&str] = match family {
        Family::Neuron => &["dt", "units"],
        // A brain's modules have units of their own.
        _ => &["dt"],
    };
    let value = |field: &&'static str| Some((*field, settings.fields.get(*field)?.clone()));
    fields.iter().filter_map(value).collect()
}

/// Settings laid over others: fields replace fields, modules of the same name are merged, others are added.
pub fn merge(base: &Settings, over: &Settings) -> Settings {
    let mut merged = base.clone();
    merged.fields.extend(over.fields.clone());
    for module in &over.modules {
        match merged.module_mut(&module.name) {
            Some(below) if module.module.is_empty() || module.module == below.module => {
                lay_over(below, module);
            }
            Some(below) => *below = module.clone(),
            None => merged.modules.push(module.clone()),
        }
    }
    merged
}

fn lay_over(below: &mut ModuleSpec, module: &ModuleSpec) {
    below.inputs.extend(module.inputs.clone());
    below.outputs.extend(module.outputs.clone());
    below.effects.extend(module.effects.clone());
    below.metadata.extend(module.metadata.clone());
    below.config = merge(&below.config, &module.config);
}

/// The settings without what [`complete`] would fill in again.
///
/// # Errors
/// Names the module that is unknown.
pub fn brief(module: &str, settings: &Settings) -> Result<Settings, CompleteError> {
    // Modules that are given in part say only then what they are.
    brief_within(module, &complete(module, settings)?, &[], "")
}

fn brief_within(
    module: &str,
    settings: &Settings,
    handed: &[(&str, Value)],
    path: &str,
) -> Result<Settings, CompleteError> {
    let (registration, base) = base(module, handed, path)?;
    let mut brief = settings.clone();
    brief.fields.retain(|field, value| !base.fields.get(field).is_some_and(|base| same(base, value)));
    if !registration.family.is_controller() {
        return Ok(brief);
    }
    let handed = handed_down(registration.family, &merge(&base, settings));
    let mut modules = Vec::new();
    for given in settings.modules.clone() {
        let path = join(path, &given.name);
        let Some(below) = base.module(&given.name).filter(|below| below.module == given.module) else {
            let config = brief_within(&given.module, &given.config, &handed, &path)?;
            modules.push(ModuleSpec { config, ..given });
            continue;
        };
        let full = merge(&below.config, &given.config);
        let mut config = brief_within(&given.module, &full, &handed, &path)?;
        // What the registered neuron sets itself need not be said again; what it sets and this one does not
        // has to be.
        let below_full = within(&below.module, &below.config, &handed, &path)?;
        let full = within(&given.module, &full, &handed, &path)?;
        config.fields = full
            .fields
            .into_iter()
            .filter(|(field, value)| !below_full.fields.get(field).is_some_and(|below| same(below, value)))
            .collect();
        let mut spec = ModuleSpec { config, ..given };
        spec.inputs.retain(|port, wires| below.inputs.get(port) != Some(wires));
        spec.outputs.retain(|name, port| below.outputs.get(name) != Some(port));
        spec.effects.retain(|property, wires| below.effects.get(property) != Some(wires));
        spec.module = String::new();
        let nothing = ModuleSpec { name: spec.name.clone(), ..ModuleSpec::default() };
        if spec != nothing {
            modules.push(spec);
        }
    }
    brief.modules = modules;
    Ok(brief)
}

/// Whether two values mean the same: numbers count by their value.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}
