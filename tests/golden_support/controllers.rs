//! Recorded runs of neurons and brains: built from their configuration, with what the reference drew at random
//! restored into them, and compared step by step.

use super::components::config;
use super::{Case, Checked, agree, floats, row};
use serde_json::{Map, Value};
use spark::burn::tensor::TensorData;
use spark::core::component::{Context, Family, Instance};
use spark::core::model::{Model, ModuleSpec, Settings, Wire};
use spark::core::payload::{Floats, Payload, PayloadKind, Shape, Spikes, signs};
use spark::core::ports::{InputShapes, PortValues};
use spark::core::registry;
use spark::core::state::Saved;
use spark::prelude::*;

/// Families of the manifest whose cases are controllers.
pub const FAMILIES: [&str; 2] = ["neurons", "brains"];

/// Endings of recorded state that Spark holds in another form; the kernel or the output that follows from it
/// is compared.
const HELD_OTHERWISE: [&str; 5] =
    ["delays.bitmask", "delays.current_idx", "pre_trace.trace", "post_trace.trace", "indices"];

pub fn check(case: &Case, device: &Device) -> Checked {
    let steps = case.steps()?;
    let mut model = Model::new(case.text("component")?, settings(&case.entry["config"])?);
    for name in case.names().filter(|name| name.starts_with("init.") && name.ends_with(".indices")) {
        let map = name["init.".len()..].replace(".indices", ".output_map");
        let indices: Vec<u32> = case.values(name)?;
        let pattern = map.parse().map_err(|error| format!("{map}: {error}"))?;
        model.set(&pattern, &indices.into()).map_err(|error| error.to_string())?;
    }
    let described = model.checked().map_err(|problems| problems.to_string())?;
    let mut shapes = InputShapes::default();
    for port in described.interface().inputs {
        let kind = port.kind.ok_or("an input of no type")?;
        let name = recorded_input(port.name, kind);
        let shape = case.shape(&name).ok_or_else(|| format!("{name} is not recorded"))?;
        shapes = shapes.with(port.name, Shape::new(kind, &shape[1..]));
    }
    let mut instance =
        model.build(&shapes, 1, &Context::new("", device)).map_err(|error| error.to_string())?;
    load_drawn(case, instance.as_mut())?;
    let interfaces = model.config.modules.iter().filter(|module| {
        registry::find(&module.module).is_ok_and(|(known, _)| known.family == Family::InputInterface)
    });
    // What these remember is compared by the spikes that they make.
    let interfaces: Vec<String> = interfaces.map(|module| format!("{}.", module.name)).collect();
    let run = Run { case, shapes, interfaces, device };
    for step in 0..steps {
        let outputs = instance.step(run.at(step)?).map_err(|error| error.to_string())?;
        run.compare_outputs(&outputs, step)?;
        run.compare_state(instance.as_ref(), step)?;
    }
    Ok(())
}

/// The settings of a recorded controller.
fn settings(recorded: &Value) -> Checked<Settings> {
    let fields = recorded.as_object().ok_or("a configuration that is no object")?;
    let Some(modules) = fields.get("modules_specs") else {
        let Value::Object(fields) = config(recorded, &Value::Null)? else { return Err("no fields".into()) };
        return Ok(Settings::from(fields));
    };
    let mut own: Map<String, Value> = fields.clone();
    own.remove("modules_specs");
    let Value::Object(own) = config(&Value::Object(own), &recorded["dt"])? else {
        return Err("no fields".into());
    };
    let modules = modules.as_array().ok_or("modules that are no list")?;
    Ok(Settings { fields: own, modules: modules.iter().map(module).collect::<Checked<_>>()? })
}

fn module(recorded: &Value) -> Checked<ModuleSpec> {
    let text = |field: &str| recorded[field].as_str().ok_or_else(|| format!("a module without {field}"));
    let mut spec = ModuleSpec::named(text("name")?, text("module")?, settings(&recorded["config"])?);
    for (port, wires) in recorded["inputs"].as_object().into_iter().flatten() {
        spec.inputs.insert(port.clone(), connections(wires)?);
    }
    for (property, wires) in recorded["effects"].as_object().into_iter().flatten() {
        spec.effects.insert(property.clone(), connections(wires)?);
    }
    for (name, port) in recorded["outputs"].as_object().into_iter().flatten() {
        spec.outputs.insert(name.clone(), port.as_str().ok_or("an output of no port")?.to_owned());
    }
    Ok(spec)
}

/// `[["synapses", "kernel", true]]` as connections.
fn connections(recorded: &Value) -> Checked<Vec<Wire>> {
    let wire = |wire: &Value| match (wire[0].as_str(), wire[1].as_str(), wire[2].as_bool()) {
        (Some(origin), Some(port), Some(property)) => {
            Ok(Wire { origin: origin.into(), port: port.to_owned(), property })
        }
        _ => Err(format!("the connection {wire}")),
    };
    recorded.as_array().ok_or("connections that are no list")?.iter().map(wire).collect()
}

fn recorded_input(port: &str, kind: PayloadKind) -> String {
    if kind == PayloadKind::Spikes { format!("in.{port}.spikes") } else { format!("in.{port}") }
}

/// Restores what the reference drew at random.
fn load_drawn(case: &Case, instance: &mut dyn Instance) -> Checked {
    let mut saved: Saved = instance.save();
    for (path, data) in &mut saved {
        let name = format!("init.{path}");
        if case.shape(&name).is_none() || !(path.ends_with(".kernel") || path.ends_with("inhibition_mask")) {
            continue;
        }
        let values: Vec<f32> = case.values(&name)?;
        if values.len() != data.num_elements() {
            return Err(format!("{name}: {} values for {}", values.len(), data.num_elements()));
        }
        *data = TensorData::new(values, data.shape().clone());
    }
    instance.restore(&saved).map_err(|error| error.to_string())
}

struct Run<'a> {
    case: &'a Case,
    shapes: InputShapes,
    /// What the state of input interfaces starts with.
    interfaces: Vec<String>,
    device: &'a Device,
}

impl Run<'_> {
    /// What the recording feeds in one step.
    fn at(&self, step: usize) -> Checked<PortValues> {
        let mut values = PortValues::default();
        for (port, shape) in self.shapes.iter() {
            let entries = row(self.case.sample(&recorded_input(port, shape.kind), step)?, self.device);
            match shape.kind {
                PayloadKind::Spikes => {
                    let mask =
                        row(self.case.sample(&format!("in.{port}.inhibition_mask"), step)?, self.device);
                    values.put(
                        port.to_owned(),
                        Spikes::new(entries).with_inhibitory(Some(mask.squeeze_dim(0))),
                    );
                }
                PayloadKind::Floats => values.put(port.to_owned(), Floats(entries)),
                other => return Err(format!("no recording feeds {other}")),
            }
        }
        Ok(values)
    }

    fn compare_outputs(&self, outputs: &PortValues, step: usize) -> Checked {
        for (port, payload) in outputs.iter() {
            let what = format!("step {step}: {port}");
            match payload {
                Payload::Spikes(spikes) => {
                    let found = floats(spikes.units().ok_or("spikes of no form")?);
                    agree(&found, &self.case.sample(&format!("out.{port}.spikes"), step)?, 0.0, &what)?;
                    let recorded = self.case.sample(&format!("out.{port}.inhibition_mask"), step)?;
                    let recorded: Vec<f32> = recorded.into_iter().map(|mask| 1.0 - 2.0 * mask).collect();
                    let found = match &spikes.inhibitory {
                        Some(mask) => floats(signs(mask)),
                        None => vec![1.0; recorded.len()],
                    };
                    agree(&found, &recorded, 0.0, &format!("{what}, mask"))?;
                }
                Payload::Floats(Floats(found)) => {
                    agree(
                        &floats(found.clone()),
                        &self.case.sample(&format!("out.{port}"), step)?,
                        1e-4,
                        &what,
                    )?;
                }
                other => return Err(format!("{what}: no recording holds {}", other.kind())),
            }
        }
        let recorded = self.case.names().filter(|name| name.starts_with("out."));
        let recorded = recorded.filter(|name| !name.ends_with(".inhibition_mask")).count();
        match outputs.iter().count() {
            found if found < recorded => Err(format!("{found} outputs, recorded {recorded}")),
            _ => Ok(()),
        }
    }

    fn compare_state(&self, instance: &dyn Instance, step: usize) -> Checked {
        let saved = instance.save();
        for name in self.case.names().filter(|name| name.starts_with("state.")) {
            let path = &name["state.".len()..];
            let interface = self.interfaces.iter().any(|interface| path.starts_with(interface.as_str()));
            if interface || HELD_OTHERWISE.iter().any(|held| path.ends_with(held)) {
                continue;
            }
            let what = format!("step {step}: {name}");
            let data = saved.get(path).ok_or_else(|| format!("{what}: there is no such state"))?;
            let found: Vec<f32> = data.iter().collect();
            agree(&found, &self.case.sample(name, step)?, 1e-4, &what)?;
        }
        Ok(())
    }
}
