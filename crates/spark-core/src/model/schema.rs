//! The JSON Schema of model files.

use serde_json::{Map, Value, json};

use super::Model;
use crate::registry::{self, Registration};

/// The JSON Schema of model files: the layout of a [`Model`], and under `$defs` the configuration of every
/// registered module, which applies wherever a module of that name is described.
///
/// # Examples
/// ```
/// let schema = spark_core::model::schema();
/// assert_eq!(schema["title"], "Model");
/// assert!(schema["$defs"]["ModuleSpec"]["properties"]["inputs"].is_object());
/// ```
pub fn schema() -> Value {
    let (mut root, mut definitions) = split(schemars::schema_for!(Model).into());
    let mut choices = Vec::new();
    for registration in registry::all() {
        let own = configuration(registration, &mut definitions);
        definitions.insert(registration.name.to_owned(), own);
        let names = registration.aliases.iter().map(|alias| alias.name).chain([registration.name]);
        let names: Vec<&str> = names.collect();
        choices.push(json!({
            "if": { "properties": { "module": { "enum": names } }, "required": ["module"] },
            "then": { "properties": { "config": { "$ref": reference(registration.name) } } },
        }));
    }
    if let Some(module) = definitions.get_mut("ModuleSpec") {
        module["allOf"] = choices.clone().into();
    }
    root["allOf"] = choices.into();
    root["$defs"] = definitions.into();
    root
}

/// The JSON Schema of the configuration of one registered module, that of the modules inside of a controller
/// included.
///
/// # Examples
/// ```
/// # use spark_core::model::module_schema;
/// # use spark_core::registry;
/// for registration in registry::all() {
///     assert_eq!(module_schema(registration)["title"], registration.name);
/// }
/// ```
pub fn module_schema(registration: &Registration) -> Value {
    let mut definitions = Map::new();
    if registration.family.is_controller() {
        let Value::Object(all) = schema()["$defs"].take() else { return Value::Null };
        definitions = all;
    }
    let mut own = configuration(registration, &mut definitions);
    own["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    own["title"] = registration.name.into();
    if !definitions.is_empty() {
        own["$defs"] = definitions.into();
    }
    own
}

fn reference(name: &str) -> String {
    format!("#/$defs/{name}")
}

/// A schema and what it defines for itself.
fn split(mut schema: Value) -> (Value, Map<String, Value>) {
    let definitions = match schema.as_object_mut().and_then(|schema| schema.remove("$defs")) {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    (schema, definitions)
}

/// The schema of a configuration, with what it defines moved into `definitions`.
fn configuration(registration: &Registration, definitions: &mut Map<String, Value>) -> Value {
    let (mut own, inner) = split(registration.schema());
    for (name, mut definition) in inner {
        // Two components may each have a type of the same name.
        let known = definitions.get(&name).is_some_and(|known| *known != definition);
        let place = if known { format!("{}.{name}", registration.name) } else { name.clone() };
        if known {
            redirect(&mut own, &reference(&name), &reference(&place));
            redirect(&mut definition, &reference(&name), &reference(&place));
        }
        definitions.insert(place, definition);
    }
    if let Some(fields) = own.as_object_mut() {
        fields.remove("$schema");
        fields.insert("title".to_owned(), registration.name.into());
        fields.insert("description".to_owned(), registration.summary.into());
    }
    if registration.family.is_controller() {
        own["properties"]["modules"] = json!({
            "type": "array",
            "description": "The modules.",
            "items": { "$ref": reference("ModuleSpec") },
        });
    }
    own
}

/// Lets every reference to one place point to another.
fn redirect(schema: &mut Value, from: &str, to: &str) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == "$ref" && value == from {
                    *value = to.into();
                } else {
                    redirect(value, from, to);
                }
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(|entry| redirect(entry, from, to)),
        _ => {}
    }
}
