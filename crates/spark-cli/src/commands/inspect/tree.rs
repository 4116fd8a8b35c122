//! A model as a tree of modules.

use anyhow::{Result, anyhow};
use serde_json::{Map, Value, json};
use spark::core::component::{Context, Family, Footprint, Instance};
use spark::core::model::{Model, ModuleSpec, Settings, Wiring, same};
use spark::core::ports::PortSpec;
use spark::core::registry::{self, AnyConfig, Registration};
use spark::core::{DeviceChoice, schema};
use spark::io::Snapshot;
use std::path::Path;

use super::super::model::{Size, bytes, checked, input_shapes, problems, shortened};
use crate::output::Output;

/// What is shown of one module.
struct Entry {
    depth: usize,
    path: String,
    name: String,
    registration: &'static Registration,
    spec: ModuleSpec,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    changed: Map<String, Value>,
    footprint: Option<Footprint>,
}

/// A port with its shape, or with its type where the shape is unknown.
struct Port {
    name: String,
    shape: Option<spark::core::payload::Shape>,
    carries: &'static str,
}

/// Prints a model, built where the sizes of its inputs are known.
pub fn show(model: &Model, path: &Path, sizes: &[Size], state: Option<&Snapshot>, out: Output) -> Result<()> {
    let config = checked(model, path)?;
    let (shapes, missing) = input_shapes(config.as_ref(), sizes)?;
    let instance = match missing.is_empty() {
        true => {
            let device = DeviceChoice::Flex.resolve()?;
            let built = config.instance(&shapes, 1, &Context::new("", &device));
            Some(built.map_err(|error| {
                let lines: Vec<String> =
                    problems(&error).iter().map(|problem| format!("  {problem}")).collect();
                anyhow!("{}: the model does not fit its inputs\n{}", path.display(), lines.join("\n"))
            })?)
        }
        false => None,
    };
    let complete = model.complete()?;
    let root = ModuleSpec::named("", &complete.module, complete.config);
    let mut entries = Vec::new();
    collect(&root, None, "", instance.as_deref(), &mut entries)?;
    head(&entries, path, state, out)?;
    for entry in &entries[1..] {
        entry.text(out)?;
        out.json(&entry.json())?;
    }
    let unknown: Vec<&str> = missing.iter().map(|port| port.name).collect();
    if !unknown.is_empty() {
        out.text(format_args!(
            "\nShapes and memory follow from the sizes of the inputs: pass --size {}=N",
            unknown.join("=N --size ")
        ))?;
    }
    let total = entries[0].footprint;
    out.json(&json!({
        "event": "summary",
        "file": path,
        "module": model.module,
        "modules": entries.len() - 1,
        "inputs": entries[0].inputs.iter().map(Port::json).collect::<Vec<_>>(),
        "outputs": entries[0].outputs.iter().map(Port::json).collect::<Vec<_>>(),
        "settings": entries[0].changed,
        "parameters": total.map(|total| total.parameters),
        "bytes": total.map(|total| total.bytes),
        "unknown_sizes": unknown,
        "metadata": model.metadata,
        "steps": state.map(|state| state.steps),
    }))?;
    Ok(())
}

fn head(entries: &[Entry], path: &Path, state: Option<&Snapshot>, out: Output) -> Result<()> {
    let root = &entries[0];
    let modules = match entries.len() - 1 {
        0 => String::new(),
        count => format!(", {count} modules"),
    };
    let size = root.footprint.map_or(String::new(), |total| format!(", {}", size(total)));
    out.text(format_args!("{}: {}{modules}{size}", path.display(), root.registration.name))?;
    for line in root.lines() {
        out.text(format_args!("  {line}"))?;
    }
    if let Some(state) = state {
        out.text(format_args!("\nstate after {} steps", state.steps))?;
        for (name, data) in &state.state {
            out.text(format_args!("  {name:<36} {:?}", data.shape().to_vec()))?;
        }
    }
    Ok(())
}

fn size(footprint: Footprint) -> String {
    format!("{} parameters, {}", footprint.parameters, bytes(footprint.bytes))
}

/// The module and those inside of it, from the outside in.
fn collect(
    spec: &ModuleSpec,
    around: Option<&Settings>,
    path: &str,
    instance: Option<&dyn Instance>,
    entries: &mut Vec<Entry>,
) -> Result<()> {
    let (registration, preset) = registry::find(&spec.module)?;
    let config = registration
        .parse_settings(spec.config.clone())
        .map_err(|(field, message)| anyhow!("{}: {message}", schema::join(path, &field)))?;
    let mut default = registration.default_settings().fields;
    if let Some(alias) = preset {
        alias.complete(&mut default);
    }
    let handed = |field: &str, value: &Value| {
        ["dt", "units"].contains(&field)
            && around.and_then(|around| around.fields.get(field)).is_some_and(|outer| same(outer, value))
    };
    let fields = spec.config.fields.iter();
    let changed = fields.filter(|(field, value)| {
        !handed(field, value) && !default.get(*field).is_some_and(|default| same(default, value))
    });
    let changed = changed.map(|(field, value)| (field.clone(), value.clone())).collect();
    entries.push(Entry {
        depth: path.split('.').count(),
        path: path.to_owned(),
        name: spec.name.clone(),
        registration,
        inputs: inputs(spec, config.as_ref(), instance),
        outputs: outputs(config.as_ref(), instance),
        changed,
        footprint: instance.map(Instance::footprint),
        spec: spec.clone(),
    });
    for inside in &spec.config.modules {
        let built = instance.map(Instance::modules).unwrap_or_default();
        let built = built.into_iter().find(|(name, _)| *name == inside.name).map(|(_, module)| module);
        collect(inside, Some(&spec.config), &schema::join(path, &inside.name), built, entries)?;
    }
    Ok(())
}

fn inputs(spec: &ModuleSpec, config: &dyn AnyConfig, instance: Option<&dyn Instance>) -> Vec<Port> {
    let port = |name: &str, known: &PortSpec| Port {
        name: name.to_owned(),
        shape: instance.and_then(|instance| instance.input_shape(name)),
        carries: known.carries(),
    };
    let interface = config.interface();
    let fed = spec.inputs.keys().filter_map(|name| Some(port(name, interface.input(name)?)));
    let open = interface.inputs.iter().filter(|known| !known.many && !spec.inputs.contains_key(known.name));
    // What nobody feeds is of interest only at the root.
    let open = open.filter(|_| spec.name.is_empty()).map(|known| port(known.name, known));
    fed.chain(open).collect()
}

fn outputs(config: &dyn AnyConfig, instance: Option<&dyn Instance>) -> Vec<Port> {
    let interface = config.interface();
    let carries = |name: &str| interface.output(name).map_or("any", PortSpec::carries);
    match instance {
        Some(instance) => {
            let ports = instance.output_ports().into_iter();
            let port = |(name, shape): (std::borrow::Cow<'static, str>, _)| Port {
                carries: carries(&name),
                name: name.into_owned(),
                shape: Some(shape),
            };
            ports.map(port).collect()
        }
        None => {
            let port = |known: &PortSpec| Port {
                name: known.name.to_owned(),
                shape: None,
                carries: known.carries(),
            };
            interface.outputs.iter().map(port).collect()
        }
    }
}

impl Port {
    fn text(&self) -> String {
        let shape = self.shape.as_ref().map_or(self.carries.to_owned(), ToString::to_string);
        format!("{:<16} {shape}", self.name)
    }

    fn json(&self) -> Value {
        json!({ "name": self.name, "type": self.carries, "shape": self.shape.as_ref().map(|shape| &shape.units) })
    }
}

impl Entry {
    fn text(&self, out: Output) -> Result<()> {
        let indent = "  ".repeat(self.depth - 1);
        let size = self.footprint.map_or(String::new(), |own| format!(", {}", size(own)));
        let Self { name, registration: Registration { name: module, family, .. }, .. } = self;
        let gap = if self.depth == 1 { "\n" } else { "" };
        out.text(format_args!("{gap}{indent}{name}: {module} ({family}){size}"))?;
        for line in self.lines() {
            out.text(format_args!("{indent}  {line}"))?;
        }
        Ok(())
    }

    /// Ports, wiring and settings.
    fn lines(&self) -> Vec<String> {
        let wires = |wiring: &Wiring, port: &str| {
            let wires =
                wiring.get(port).map(|wires| wires.iter().map(ToString::to_string).collect::<Vec<_>>());
            wires.map_or(String::new(), |wires| format!("  ← {}", wires.join(" + ")))
        };
        let mut lines = Vec::new();
        for port in &self.inputs {
            lines.push(format!("in   {}{}", port.text(), wires(&self.spec.inputs, &port.name)));
        }
        for port in &self.outputs {
            let given = self.spec.outputs.iter().filter(|(_, inner)| **inner == port.name);
            let given: String = given.map(|(name, _)| format!("  → {name}")).collect();
            lines.push(format!("out  {}{given}", port.text()));
        }
        for property in self.spec.effects.keys() {
            lines.push(format!("     #{property}{}", wires(&self.spec.effects, property)));
        }
        lines
            .extend(self.changed.iter().map(|(field, value)| format!("set  {field} = {}", shortened(value))));
        lines
    }

    fn json(&self) -> Value {
        let wires = |wiring: &Wiring, port: &str| -> Vec<String> {
            wiring.get(port).into_iter().flatten().map(ToString::to_string).collect()
        };
        let input = |port: &Port| {
            let mut value = port.json();
            value["from"] = wires(&self.spec.inputs, &port.name).into();
            value
        };
        let effects = self.spec.effects.keys();
        let effects: Map<String, Value> =
            effects.map(|name| (name.clone(), wires(&self.spec.effects, name).into())).collect();
        let given = self.spec.outputs.iter();
        let given: Map<String, Value> =
            given.map(|(name, port)| (name.clone(), port.as_str().into())).collect();
        let family: Family = self.registration.family;
        json!({
            "event": "module",
            "path": self.path,
            "module": self.registration.name,
            "family": family,
            "inputs": self.inputs.iter().map(input).collect::<Vec<_>>(),
            "outputs": self.outputs.iter().map(Port::json).collect::<Vec<_>>(),
            "given": given,
            "effects": effects,
            "settings": self.changed,
            "parameters": self.footprint.map(|own| own.parameters),
            "bytes": self.footprint.map(|own| own.bytes),
        })
    }
}
