//! From a model to a file.

use serde::{Deserialize, Serialize};
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value};
use spark_core::model::{Model, ModuleSpec, Settings, Wiring, same};
use spark_core::parameter::{Distribution, Draw};
use spark_core::registry::{self, Registration};
use spark_core::schema::join;

use super::{BESIDE, Beside, NOTED, Noted, VERSION, arrays, names};
use crate::model::tree::{Entries, Json, Wrong, object};

/// The order in which files write the fields that most modules have; the others follow.
const FIRST: [&str; 5] = ["seed", "dtype", "dt", "units", "inhibitory_rate"];

/// The text of a file, and what the Python framework does not know of it.
pub(in crate::model) fn write(model: &Model) -> Result<(Vec<u8>, Vec<String>), Wrong> {
    let complete = model.complete().map_err(|error| Wrong::new(error.path, error.message))?;
    let mut notes: Vec<String> =
        model.neurons.keys().map(|name| format!("neurons.{name}: written out where it is used")).collect();
    let dtype = Noted::of(&complete.metadata).dtype.unwrap_or_else(|| "float32".to_owned());
    let mut writer = Writer { dtype, notes: Vec::new() };
    let (class, config, beside) =
        writer.module(&complete.module, &complete.config, &complete.metadata, "")?;
    notes.append(&mut writer.notes);
    let Json::Object(mut document) =
        object([("__version__", VERSION.into()), ("__data__", tagged_config(&class, config))])
    else {
        unreachable!("an object")
    };
    if beside != Beside::default() {
        let text = serde_json::to_string(&beside).map_err(|error| Wrong::new(".", error.to_string()))?;
        document.insert(BESIDE.to_owned(), Json::Text(text));
    }
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    Json::Object(document).serialize(&mut serializer).map_err(|error| Wrong::new(".", error.to_string()))?;
    Ok((text, notes))
}

fn tagged_config(class: &str, config: Entries) -> Json {
    object([("__type__", format!("{class}_config").as_str().into()), ("__cfg__", Json::Object(config))])
}

struct Writer {
    dtype: String,
    notes: Vec<String>,
}

impl Writer {
    /// What a module is called, its configuration, and what has no place in it.
    fn module(
        &mut self,
        module: &str,
        settings: &Settings,
        metadata: &Map<String, Value>,
        path: &str,
    ) -> Result<(String, Entries, Beside), Wrong> {
        let (registration, _) =
            registry::find(module).map_err(|error| Wrong::new(path, error.to_string()))?;
        let noted = Noted::of(metadata);
        let controller = registration.family.is_controller();
        let given = noted.class.clone().filter(|_| controller);
        if given.is_none() && !names::known(registration.name) {
            let place = if path.is_empty() { "." } else { path };
            self.notes.push(format!("{place}: the Python framework has no {}", registration.name));
        }
        let mut beside = Beside { metadata: left(metadata, controller), ..Beside::default() };
        let mut config = Entries::new();
        if controller {
            let modules = self.modules(&settings.modules, path, &mut beside)?;
            config.insert("modules_specs".to_owned(), Json::List(modules));
        }
        self.fields(registration, &settings.fields, &noted, path, &mut config, &mut beside);
        Ok((given.unwrap_or_else(|| names::snake_case(registration.name)), config, beside))
    }

    fn fields(
        &mut self,
        registration: &Registration,
        fields: &Map<String, Value>,
        noted: &Noted,
        path: &str,
        config: &mut Entries,
        beside: &mut Beside,
    ) {
        let default = registration.default_settings().fields;
        let others = fields.keys().map(String::as_str).filter(|name| !FIRST.contains(name));
        for name in FIRST.into_iter().chain(others) {
            if name == "dtype" && !registration.family.is_controller() {
                config.insert(name.to_owned(), self.number_type(noted.dtype.as_ref()));
            }
            let Some(value) = fields.get(name) else { continue };
            if names::OWN_FIELDS.contains(&name) {
                if !default.get(name).is_some_and(|default| same(default, value)) {
                    self.notes.push(format!("{}: the Python framework does not know it", join(path, name)));
                    beside.fields.insert(name.to_owned(), value.clone());
                }
                continue;
            }
            let value = noted.handed_down.get(name).unwrap_or(value);
            config.insert(name.to_owned(), self.value(registration, name, value, noted));
        }
    }

    fn modules(
        &mut self,
        modules: &[ModuleSpec],
        path: &str,
        beside: &mut Beside,
    ) -> Result<Vec<Json>, Wrong> {
        let mut written = Vec::new();
        for spec in modules {
            let path = join(path, &spec.name);
            let (class, config, below) = self.module(&spec.module, &spec.config, &spec.metadata, &path)?;
            if below != Beside::default() {
                beside.modules.insert(spec.name.clone(), below);
            }
            let kind =
                object([("__module_type__", class.as_str().into()), ("__subregistry__", subregistry(spec))]);
            let outputs = spec.outputs.iter().map(|(name, port)| (name.clone(), port.as_str().into()));
            let data = object([
                ("name", spec.name.as_str().into()),
                ("module_cls", kind),
                ("inputs", wiring(&spec.inputs)),
                ("config", tagged_config(&class, config)),
                ("outputs", Json::Object(outputs.collect())),
                ("effects", wiring(&spec.effects)),
            ]);
            written.push(object([("__type__", "module_specs".into()), ("__data__", data)]));
        }
        Ok(written)
    }

    fn value(&self, registration: &Registration, name: &str, value: &Value, noted: &Noted) -> Json {
        match value {
            Value::Object(fields) => match Draw::deserialize(value) {
                Ok(draw) => self.initializer(draw.kind, fields, noted.initializers.get(name)),
                Err(_) => value.into(),
            },
            Value::Array(_) if is_parameter(registration, name) => {
                arrays::write(value, noted.arrays.get(name).map_or("float32", String::as_str))
            }
            _ => value.into(),
        }
    }

    fn initializer(&self, kind: Distribution, draw: &Map<String, Value>, dtype: Option<&String>) -> Json {
        let mut config = Entries::new();
        config.insert("dtype".to_owned(), self.number_type(dtype));
        let one = Value::from(1.0);
        config.insert("scale".to_owned(), draw.get("scale").unwrap_or(&one).into());
        for name in ["min_value", "max_value"] {
            config.insert(name.to_owned(), draw.get(name).unwrap_or(&Value::Null).into());
        }
        for (name, default) in names::fields(kind) {
            config.insert((*name).to_owned(), draw.get(*name).unwrap_or(&Value::from(*default)).into());
        }
        if kind == Distribution::NormalizedSparseUniform {
            let axes = Value::from(vec![0]);
            config.insert("norm_axes".to_owned(), draw.get("norm_axes").unwrap_or(&axes).into());
        }
        let name = draw.get("kind").and_then(Value::as_str).unwrap_or_default();
        object([
            ("__type__", names::initializer_config(name).as_str().into()),
            ("__cfg__", Json::Object(config)),
        ])
    }

    fn number_type(&self, name: Option<&String>) -> Json {
        object([("__type__", "dtype".into()), ("name", name.unwrap_or(&self.dtype).as_str().into())])
    }
}

/// What of the metadata the file has no place for.
fn left(metadata: &Map<String, Value>, controller: bool) -> Map<String, Value> {
    let mut left = metadata.clone();
    if let Some(Value::Object(noted)) = left.get_mut(NOTED) {
        let mut written = vec!["dtype", "initializers", "arrays", "handed_down"];
        written.extend(controller.then_some("class"));
        noted.retain(|name, _| !written.contains(&name.as_str()));
        if noted.is_empty() {
            left.remove(NOTED);
        }
    }
    left
}

fn subregistry(spec: &ModuleSpec) -> Json {
    let noted = Noted::of(&spec.metadata);
    let kept = noted.entries.get("__subregistry__").and_then(Value::as_str);
    let usual =
        || registry::find(&spec.module).map_or("Components", |(found, _)| names::subregistry(found.family));
    kept.unwrap_or_else(usual).into()
}

/// Whether a field may hold an array by unit, and not only lists that mean something else.
fn is_parameter(registration: &Registration, name: &str) -> bool {
    let schema = registration.schema();
    let wrapped = schema["$ref"].as_str().and_then(|path| schema.pointer(path.trim_start_matches('#')));
    let property = &wrapped.unwrap_or(&schema)["properties"][name];
    property.to_string().contains("/Parameter\"")
}

fn wiring(wiring: &Wiring) -> Json {
    let ports = wiring.iter().map(|(port, wires)| {
        let wires = wires.iter().map(|wire| {
            let data = object([
                ("origin", wire.origin.to_string().as_str().into()),
                ("port", wire.port.as_str().into()),
                ("is_property", Json::Bool(wire.property)),
            ]);
            object([("__type__", "port_map".into()), ("__data__", data)])
        });
        (port.clone(), Json::List(wires.collect()))
    });
    Json::Object(ports.collect())
}
