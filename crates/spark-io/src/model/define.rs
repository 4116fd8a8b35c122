//! Neurons registered from model files.

use spark_core::component::Family;
use spark_core::model::{Definition, Model, Settings, merge};
use spark_core::registry::{self, Registration};
use std::path::Path;

use super::{ModelFileError, read};

/// Registers what a model file defines, so that other models use it by name: each of its `neurons`, and the
/// model itself where it is a neuron, under the name in its metadata or else that of the file. Returns what is
/// registered; the same file once more changes nothing.
///
/// # Errors
/// When the file holds no model or no neuron, a name is taken by something else, or what a neuron is based on
/// is unknown.
///
/// # Examples
/// ```
/// use spark_core::model::Model;
/// use spark_core::registry;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("SlowNeuron.json");
/// let text = r#"{"spark": 1, "module": "LIFNeuron", "config": {"modules": [
///     {"name": "soma", "config": {"potential_tau": 40.0}}]}}"#;
/// std::fs::write(&path, text)?;
/// let defined = spark_io::model::define_from(&path)?;
/// assert_eq!(defined[0].name, "SlowNeuron");
/// let (found, _) = registry::find("SlowNeuron")?;
/// let soma = found.default_settings().module("soma").unwrap().clone();
/// assert_eq!(soma.config.fields["potential_tau"], 40.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn define_from(path: &Path) -> Result<Vec<&'static Registration>, ModelFileError> {
    let content = |field: String, message: String| ModelFileError::Content {
        path: path.to_owned(),
        field,
        message,
    };
    let model = read(path)?.model;
    let mut open: Vec<(&String, &Definition)> = model.neurons.iter().collect();
    let mut defined = Vec::new();
    // A definition may be based on another one that comes later.
    while !open.is_empty() {
        let ready = open.iter().position(|(_, definition)| !open.iter().any(|(name, _)| **name == definition.base));
        let Some(ready) = ready else {
            let (name, definition) = open[0];
            let message = format!("`{name}` is based on `{}`, and that on `{name}`", definition.base);
            return Err(content(format!("neurons.{name}.base"), message));
        };
        let (name, definition) = open.remove(ready);
        let registration = define(name, &definition.summary, &definition.base, &definition.config)
            .map_err(|message| content(format!("neurons.{name}"), message))?;
        defined.push(registration);
    }
    if let Some(name) = own_name(&model, path) {
        let summary = model.metadata.get("description").and_then(|text| text.as_str()).unwrap_or_default();
        let registration = define(&name, summary, &model.module, &model.config)
            .map_err(|message| content("module".to_owned(), message))?;
        defined.push(registration);
    }
    if defined.is_empty() {
        let message = format!("found a {} without neurons of its own, expected a neuron", model.module);
        return Err(content("neurons".to_owned(), message));
    }
    Ok(defined)
}

/// The name under which the model itself is registered, where it is a neuron.
fn own_name(model: &Model, path: &Path) -> Option<String> {
    let (registration, _) = registry::find(&model.module).ok()?;
    let named = || model.metadata.get("name")?.as_str().map(str::to_owned);
    let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    (registration.family == Family::Neuron).then(|| named().or_else(stem)).flatten()
}

fn define(name: &str, summary: &str, base: &str, config: &Settings) -> Result<&'static Registration, String> {
    let (parent, _) = registry::find(base).map_err(|error| error.to_string())?;
    let settings = merge(&parent.default_settings(), config);
    registry::define(name, summary, base, settings).map_err(|error| error.to_string())
}
