//! The fields of a module in a file.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use spark_core::component::{Alias, Family};
use spark_core::model::same;
use spark_core::parameter::Draw;
use spark_core::registry::Registration;

use super::{EDITOR, Noted, arrays, names};
use crate::model::tree::{At, Json, Wrong};

/// Entries of the older form that say the same everywhere.
const FIXED: [(&str, &str); 2] = [("__config_delimiter__", "__"), ("__shared_config_delimiter__", "_s_")];

/// What a controller decides for the modules inside.
#[derive(Default)]
pub(super) struct Handed {
    fields: Vec<(&'static str, Value)>,
    /// Whether it is a neuron: the Python framework then overwrites what the modules say.
    overwrites: bool,
}

impl Handed {
    /// What a controller with these fields hands down.
    pub(super) fn below(&self, registration: &Registration, fields: &Map<String, Value>) -> Self {
        let overwrites = registration.family == Family::Neuron;
        let names: &[&'static str] = if overwrites { &["dt", "units"] } else { &["dt"] };
        let value = |name: &&'static str| {
            let around = || self.fields.iter().find(|(around, _)| around == name).map(|(_, value)| value);
            Some((*name, fields.get(*name).or_else(around)?.clone()))
        };
        Self { fields: names.iter().filter_map(value).collect(), overwrites }
    }
}

/// Reads modules and collects what there is to say about them.
#[derive(Default)]
pub(super) struct Reader {
    pub notes: Vec<String>,
    /// The type of numbers that was found first.
    pub dtype: Option<String>,
}

impl Reader {
    pub(super) fn note(&mut self, at: &At<'_>, message: impl std::fmt::Display) {
        self.notes.push(format!("{}: {message}", at.path));
    }

    pub(super) fn fields(
        &mut self,
        registration: &Registration,
        config: &At<'_>,
        noted: &mut Noted,
        metadata: &mut Map<String, Value>,
    ) -> Result<Map<String, Value>, Wrong> {
        let known = registration.default_settings().fields;
        let mut fields = Map::new();
        for (name, at) in config.entries()? {
            match name {
                "modules_specs" => {}
                "dtype" => noted.dtype = self.number_type(&at)?,
                "__graph_editor_metadata__" if !is_empty(&at) => {
                    metadata.insert(EDITOR.to_owned(), at.json.into());
                }
                _ if name.starts_with("__") => self.bookkeeping(name, name, &at, noted),
                _ if known.contains_key(name) => {
                    fields.insert(name.to_owned(), self.value(name, &at, noted)?);
                }
                _ if *at.json == Json::Null => self.keep(name, &at, noted),
                _ => {
                    let known: Vec<&str> = known.keys().map(String::as_str).collect();
                    let message = format!("unknown field, {} has {}", registration.name, known.join(", "));
                    return Err(Wrong::new(at.path, message));
                }
            }
        }
        Ok(fields)
    }

    /// Fills in what is absent, and takes out what the controller around it decides.
    pub(super) fn complete(
        &mut self,
        registration: &Registration,
        alias: Option<&Alias>,
        fields: &mut Map<String, Value>,
        handed: &Handed,
        config: &At<'_>,
        noted: &mut Noted,
    ) {
        if let Some(alias) = alias {
            alias.complete(fields);
        }
        for (name, default) in registration.default_settings().fields {
            if !names::OWN_FIELDS.contains(&name.as_str()) {
                fields.entry(name).or_insert(default);
            }
        }
        for (name, value) in &handed.fields {
            // A neuron inside a neuron has units of its own.
            if *name == "units" && registration.family.is_controller() {
                continue;
            }
            let stated = config.get(name).is_some();
            match fields.get(*name) {
                Some(found) if stated && !same(found, value) => {
                    if !handed.overwrites {
                        continue;
                    }
                    let message = format!("{name}: found {found}, but the neuron around it decides: {value}");
                    self.note(config, message);
                    noted.handed_down.insert((*name).to_owned(), found.clone());
                    fields.remove(*name);
                }
                _ => {
                    fields.remove(*name);
                }
            }
        }
    }

    /// One time constant of a trace stands for those of every type of synapse in the older rule.
    pub(super) fn narrow(
        &mut self,
        class: &str,
        fields: &mut Map<String, Value>,
        config: &At<'_>,
        noted: &mut Noted,
    ) {
        const FIELD: &str = "pre_tau";
        let Some(Value::Array(values)) = fields.get(FIELD).filter(|_| class == "quadruplet_rule_tensor")
        else {
            return;
        };
        let Some(first) = values.first().cloned() else { return };
        if !values.iter().all(|value| same(value, &first)) {
            let message = "it is one for all synapses here: the first, of excitatory units, is taken";
            self.note(config, format!("{FIELD}: found one value for each type of synapse, {message}"));
        }
        if let Some(all) = fields.insert(FIELD.to_owned(), first) {
            noted.narrowed.insert(FIELD.to_owned(), all);
        }
    }

    fn value(&mut self, name: &str, at: &At<'_>, noted: &mut Noted) -> Result<Value, Wrong> {
        let Some(kind) = at.get("__type__") else { return Ok(at.json.into()) };
        if at.get("__cfg__").is_some() {
            return self.initializer(name, at, noted);
        }
        if !arrays::is_array(kind.text()?) {
            return Err(kind.wrong("an array or the configuration of an initializer"));
        }
        let (value, dtype) = arrays::read(at)?;
        if value.is_array() && dtype != "float32" {
            noted.arrays.insert(name.to_owned(), dtype);
        }
        Ok(value)
    }

    fn initializer(&mut self, field: &str, at: &At<'_>, noted: &mut Noted) -> Result<Value, Wrong> {
        at.only(&["__type__", "__cfg__"])?;
        let (kind, config) = (at.need("__type__")?, at.need("__cfg__")?);
        let (name, distribution) =
            names::distribution(kind.text()?).map_err(|expected| kind.wrong(expected))?;
        let mut draw = Map::new();
        for (entry, at) in config.entries()? {
            match entry {
                "dtype" => {
                    if let Some(dtype) = self.number_type(&at)? {
                        noted.initializers.insert(field.to_owned(), dtype);
                    }
                }
                "__class_ref__" if names_class(&at, kind.text()?) => {}
                _ if entry.starts_with("__") => {
                    self.bookkeeping(entry, &format!("{field}.{entry}"), &at, noted);
                }
                // The axes that synapses pass anyway.
                "norm_axes" if Value::from(at.json) == json!([0]) => {}
                _ if *at.json == Json::Null => {}
                _ => {
                    draw.insert(entry.to_owned(), at.json.into());
                }
            }
        }
        draw.insert("kind".to_owned(), name.into());
        draw.entry("scale").or_insert(1.0.into());
        // What is absent here has the same default there, and is written out again.
        for (entry, default) in names::fields(distribution) {
            if draw.get(*entry) == Some(&Value::from(*default)) {
                draw.remove(*entry);
            }
        }
        Draw::deserialize(&Value::Object(draw.clone()))
            .map_err(|error| Wrong::new(config.path, error.to_string()))?;
        Ok(Value::Object(draw))
    }

    /// The type of numbers, where it is another one than that of the model.
    fn number_type(&mut self, at: &At<'_>) -> Result<Option<String>, Wrong> {
        let name = match at.get("__type__") {
            None => at.text()?,
            Some(kind) if kind.text()? == "dtype" => {
                at.only(&["__type__", "name"])?;
                at.need("name")?.text()?
            }
            Some(kind) => return Err(kind.wrong("`dtype`")),
        };
        let first = self.dtype.get_or_insert_with(|| name.to_owned());
        Ok((first != name).then(|| name.to_owned()))
    }

    /// An entry that no component has; kept unless it says what it says everywhere.
    fn bookkeeping(&mut self, entry: &str, name: &str, at: &At<'_>, noted: &mut Noted) {
        let fixed = FIXED.iter().any(|(fixed, text)| *fixed == entry && *at.json == (*text).into());
        if !fixed && !is_empty(at) {
            self.keep(name, at, noted);
        }
    }

    fn keep(&mut self, name: &str, at: &At<'_>, noted: &mut Noted) {
        self.note(at, "has no meaning here, it is kept in the metadata");
        noted.entries.insert(name.to_owned(), at.json.into());
    }
}

fn is_empty(at: &At<'_>) -> bool {
    matches!(at.json, Json::Object(entries) if entries.is_empty())
}

/// Whether a class, by its name in Python, is that of a configuration.
fn names_class(at: &At<'_>, config: &str) -> bool {
    at.text().is_ok_and(|class| format!("{}_config", names::snake_case(class)) == config)
}
