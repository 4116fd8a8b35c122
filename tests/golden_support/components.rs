//! Recorded runs of components: built from their configuration by name, fed step by step.

use super::{Case, Checked, agree, floats, row};
use serde_json::{Map, Value};
use spark::burn::tensor::TensorData;
use spark::core::component::{Context, Family, Instance};
use spark::core::payload::{
    Arrival, Currents, DelayKernel, Floats, Kernel, Mask, Payload, PayloadKind, Potentials, Shape, Spikes,
    signs,
};
use spark::core::ports::{InputShapes, PortSpec, PortValues};
use spark::core::registry;
use spark::prelude::*;

/// Families of the manifest whose cases are single components.
pub const FAMILIES: [&str; 7] =
    ["tracers", "somas", "dendrites", "synapses", "delays", "plasticity", "interfaces"];

/// State that Spark holds in another form than the recordings, each with what is checked in its place.
const HELD_OTHERWISE: [(&str, &str, &str); 5] = [
    ("delays", "bitmask", "the delayed spikes"),
    ("delays", "current_idx", "the delayed spikes"),
    ("plasticity", "pre_trace.trace", "the kernel: traces of delayed spikes are kept by unit"),
    ("plasticity", "post_trace.trace", "the kernel: traces with a time constant by type are kept by type"),
    ("interfaces", "indices", "the integrated signals"),
];

/// A recorded run together with the component that repeats it.
struct Run<'a> {
    case: &'a Case,
    family: &'a str,
    device: &'a Device,
    inputs: &'static [PortSpec],
    shapes: InputShapes,
}

pub fn check(case: &Case, device: &Device) -> Checked {
    let family = case.text("family")?;
    let component = case.text("component")?;
    let config = config(&case.entry["config"], &case.entry["dt"])?;
    let config = registry::parse(component, config, case.text("file")?).map_err(|error| error.to_string())?;
    let (registration, _) = registry::find(component).map_err(|error| error.to_string())?;
    let steps = case.steps()?;
    let mut run = Run { case, family, device, inputs: registration.inputs, shapes: InputShapes::default() };
    run.shapes = run.input_shapes()?;
    let mut instance = config
        .instance(&run.shapes, 1, &Context::new("golden", device))
        .map_err(|error| error.to_string())?;
    run.load_drawn(instance.as_mut())?;
    // Izhikevich's units amplify rounding on their upstroke. The linear spikers are compared by rate.
    let tolerance = if component.contains("Izhikevich") { 3e-2 } else { 1e-4 };
    let by_rate = registration.family == Family::InputInterface;
    let mut counts = Counts::default();
    for step in 0..steps {
        run.write_properties(instance.as_mut(), step)?;
        let outputs = instance.step(run.at(step)?).map_err(|error| error.to_string())?;
        run.compare_outputs(&outputs, step, tolerance, by_rate.then_some(&mut counts))?;
        if !by_rate {
            run.compare_state(instance.as_ref(), step, tolerance)?;
        }
    }
    counts.compare()
}

/// Spikes counted over a run.
#[derive(Default)]
struct Counts {
    found: f32,
    recorded: f32,
}

impl Counts {
    fn compare(&self) -> Checked {
        let close = (self.found - self.recorded).abs() <= 2e-2 * self.recorded;
        if close { Ok(()) } else { Err(format!("found {} spikes, recorded {}", self.found, self.recorded)) }
    }
}

/// The configuration as Spark writes it: initializers by kind, without what is the same for all.
pub fn config(recorded: &Value, dt: &Value) -> Checked<Value> {
    let Value::Object(fields) = recorded else { return Err(format!("the configuration is {recorded}")) };
    let mut config = Map::new();
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("__config__", _) => {}
            ("dtype", Value::String(dtype)) if dtype == "float32" => {}
            ("dtype", other) => return Err(format!("dtype {other}")),
            (_, Value::Object(initializer)) => drop(config.insert(name.clone(), draw(initializer)?)),
            _ => drop(config.insert(name.clone(), value.clone())),
        }
    }
    config.entry("dt").or_insert_with(|| dt.clone());
    Ok(Value::Object(config))
}

/// `{"__config__": "SparseUniformInitializerConfig", …}` as `{"kind": "sparse_uniform", …}`.
fn draw(recorded: &Map<String, Value>) -> Checked<Value> {
    let name = recorded.get("__config__").and_then(Value::as_str).ok_or("a nested object of no type")?;
    let name = name.strip_suffix("InitializerConfig").ok_or_else(|| format!("a nested {name}"))?;
    let mut kind = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kind.is_empty() {
            kind.push('_');
        }
        kind.extend(letter.to_lowercase());
    }
    let fields = recorded.iter().filter(|(name, value)| {
        !value.is_null() && *name != "__config__" && *name != "dtype" && *name != "seed"
    });
    let mut draw: Map<String, Value> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    draw.insert("kind".to_owned(), Value::String(kind));
    Ok(Value::Object(draw))
}

impl Run<'_> {
    /// The shape of one step of a recorded tensor.
    fn shape(&self, tensor: &str) -> Option<Vec<usize>> {
        self.case.shape(tensor).map(|shape| shape[1..].to_vec())
    }

    /// The recorded tensor of a port, where it is wired.
    fn recorded(&self, direction: &str, port: &PortSpec) -> Option<String> {
        let name = format!("{direction}.{}", port.name);
        let name = if port.kind == Some(PayloadKind::Spikes) { format!("{name}.spikes") } else { name };
        self.shape(&name).map(|_| name)
    }

    fn input_shapes(&self) -> Checked<InputShapes> {
        let mut shapes = InputShapes::default();
        for port in self.inputs {
            let Some(name) = self.recorded("in", port) else { continue };
            let units = self.shape(&name).ok_or(name)?;
            let kind = port.kind.ok_or("no recording feeds a port of any type")?;
            // A kernel of one axis belongs to units.
            let by_pair = units.len() > 1 && self.kernel_shape().as_ref() == Some(&units);
            let pairs = kind == PayloadKind::Spikes && by_pair;
            shapes = shapes.with(port.name, Shape { pairs, ..Shape::new(kind, &units) });
        }
        let known = |name: &str| {
            let port = name.split('.').nth(1).unwrap_or_default();
            self.inputs.iter().any(|spec| spec.name == port)
        };
        match self.case.names().find(|name| name.starts_with("in.") && !known(name)) {
            Some(name) => Err(format!("no port takes {name}")),
            None => Ok(shapes),
        }
    }

    /// The shape of the synapses, `[post…, pre…]`, where the component has any.
    fn kernel_shape(&self) -> Option<Vec<usize>> {
        let initial = || self.case.shape("init.kernel").map(<[usize]>::to_vec);
        self.shape("in.kernel").or_else(initial)
    }

    /// Numbers of postsynaptic and presynaptic units.
    fn ends(&self) -> Checked<[usize; 2]> {
        let kernel = self.kernel_shape().ok_or("no kernel")?;
        let post = match &self.case.entry["config"]["units"] {
            Value::Array(units) => units.len(),
            // Rules are recorded with one axis of units on either side.
            _ => 1,
        };
        Ok([kernel[..post].iter().product(), kernel[post..].iter().product()])
    }

    /// A recorded `[post, pre]` as `[pre, post]`.
    fn turned(&self, values: Vec<f32>) -> Checked<Tensor<2>> {
        let [post, pre] = self.ends()?;
        if values.len() != post * pre {
            return Err(format!("{} entries for {post} by {pre} synapses", values.len()));
        }
        let turned = (0..pre).flat_map(|from| (0..post).map(move |to| to * pre + from));
        let turned: Vec<f32> = turned.map(|place| values[place]).collect();
        Ok(Tensor::from_data(TensorData::new(turned, [pre, post]), self.device))
    }

    /// What the recording feeds in one step.
    fn at(&self, step: usize) -> Checked<PortValues> {
        let mut values = PortValues::default();
        for port in self.inputs {
            let Some(shape) = self.shapes.get(port.name) else { continue };
            let name = self.recorded("in", port).ok_or(port.name)?;
            let entries = self.case.sample(&name, step)?;
            let payload = match shape.kind {
                PayloadKind::Spikes => self.spikes(port.name, entries, shape.pairs, step)?.into(),
                PayloadKind::Currents => Currents(row(entries, self.device)).into(),
                PayloadKind::Potentials => Potentials(row(entries, self.device)).into(),
                PayloadKind::Floats => Floats(row(entries, self.device)).into(),
                PayloadKind::Mask => Mask(row(entries, self.device).squeeze_dim(0)).into(),
                PayloadKind::Kernel => Payload::from(Kernel(self.turned(entries)?)),
                other => return Err(format!("no recording feeds {other}")),
            };
            values.put(port.name, payload);
        }
        Ok(values)
    }

    fn spikes(&self, port: &str, spikes: Vec<f32>, pairs: bool, step: usize) -> Checked<Spikes> {
        let mask = self.case.sample(&format!("in.{port}.inhibition_mask"), step)?;
        if !pairs {
            let mask = row(mask, self.device).squeeze_dim(0);
            return Ok(Spikes::new(row(spikes, self.device)).with_inhibitory(Some(mask)));
        }
        // The mask belongs to the presynaptic unit, so it is the same for all synapses of one.
        let [_, pre] = self.ends()?;
        let arrival = Arrival::Pairs(self.turned(spikes)?.unsqueeze());
        let inhibitory = Some(row(mask[..pre].to_vec(), self.device).squeeze_dim(0));
        Ok(Spikes { arrival, inhibitory })
    }

    /// Sets what the reference drew at random.
    fn load_drawn(&self, instance: &mut dyn Instance) -> Checked {
        let writable: Vec<_> =
            instance.properties().iter().filter(|property| property.writable).copied().collect();
        for property in writable {
            let name = format!("init.{}", property.name);
            if self.case.shape(&name).is_none() {
                continue;
            }
            let values = self.case.values(&name)?;
            let payload = match property.kind {
                PayloadKind::Kernel => Payload::from(Kernel(self.turned(values)?)),
                PayloadKind::DelayKernel if self.case.entry["config"].get("units").is_some() => {
                    DelayKernel(self.turned(values)?.int()).into()
                }
                PayloadKind::DelayKernel => DelayKernel(row(values, self.device).int()).into(),
                PayloadKind::Currents => Currents(row(values, self.device)).into(),
                other => return Err(format!("no recording holds a property of type {other}")),
            };
            instance.set_property(property.name, payload).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Coupling currents are recorded as they were set before each step but the first.
    fn write_properties(&self, instance: &mut dyn Instance, step: usize) -> Checked {
        let name = "state.coupling_current";
        if step > 0 && self.case.shape(name).is_some() {
            let current = Currents(row(self.case.sample(name, step)?, self.device));
            instance.set_property("coupling_current", current.into()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// A payload in the order of the recordings.
    fn entries(&self, payload: Payload) -> Checked<Vec<f32>> {
        let back = |tensor: Tensor<2>| floats(tensor.transpose());
        Ok(match payload {
            Payload::Spikes(spikes) => match spikes.pairs() {
                Some(pairs) => back(pairs.squeeze_dim(0)),
                None => floats(spikes.units().ok_or("spikes of no form")?),
            },
            Payload::Currents(Currents(x)) | Payload::Potentials(Potentials(x)) => floats(x),
            Payload::Floats(Floats(x)) => floats(x),
            Payload::Kernel(Kernel(x)) => back(x),
            other => return Err(format!("no recording holds {}", other.kind())),
        })
    }

    fn compare_outputs(
        &self,
        outputs: &PortValues,
        step: usize,
        tolerance: f32,
        counts: Option<&mut Counts>,
    ) -> Checked {
        let mut counts = counts;
        let mut compared = 0;
        for (port, payload) in outputs.iter() {
            let spikes = payload.kind() == PayloadKind::Spikes;
            let name = if spikes { format!("out.{port}.spikes") } else { format!("out.{port}") };
            if self.case.shape(&name).is_none() {
                return Err(format!("{name} is not recorded"));
            }
            compared += 1;
            let recorded = self.case.sample(&name, step)?;
            let found = self.entries(payload.clone())?;
            let what = format!("step {step}: {name}");
            if let (Some(counts), true) = (counts.as_deref_mut(), spikes) {
                counts.found += found.iter().sum::<f32>();
                counts.recorded += recorded.iter().sum::<f32>();
                continue;
            }
            agree(&found, &recorded, if spikes { 0.0 } else { tolerance }, &what)?;
            if let Payload::Spikes(spikes) = payload {
                self.compare_mask(spikes, port, step)?;
            }
        }
        let recorded = self.case.names().filter(|name| name.starts_with("out."));
        let recorded = recorded.filter(|name| !name.ends_with(".inhibition_mask")).count();
        if compared < recorded { Err(format!("{compared} outputs, recorded {recorded}")) } else { Ok(()) }
    }

    fn compare_mask(&self, spikes: &Spikes, port: &str, step: usize) -> Checked {
        let recorded = self.case.sample(&format!("out.{port}.inhibition_mask"), step)?;
        let recorded: Vec<f32> = recorded.into_iter().map(|mask| 1.0 - 2.0 * mask).collect();
        let found = match &spikes.inhibitory {
            Some(mask) => floats(signs(mask)),
            None => vec![1.0; recorded.len()],
        };
        // Of spikes by pair, every postsynaptic unit sees the same mask.
        let found: Vec<f32> = found.iter().copied().cycle().take(recorded.len()).collect();
        agree(&found, &recorded, 0.0, &format!("step {step}: mask of {port}"))
    }

    fn compare_state(&self, instance: &dyn Instance, step: usize, tolerance: f32) -> Checked {
        let saved = instance.save();
        for name in self.case.names().filter(|name| name.starts_with("state.")) {
            let path = &name["state.".len()..];
            let recorded = self.case.sample(name, step)?;
            let what = format!("step {step}: {name}");
            if instance.properties().iter().any(|property| property.name == path) {
                let property = instance.property(path).map_err(|error| error.to_string())?;
                agree(&self.entries(property)?, &recorded, tolerance, &what)?;
                continue;
            }
            let otherwise =
                HELD_OTHERWISE.iter().any(|(family, held, _)| *family == self.family && *held == path);
            match saved.get(path) {
                Some(data) if data.num_elements() == recorded.len() => {
                    let found: Vec<f32> = data.iter().collect();
                    let found =
                        if self.is_by_synapse(recorded.len()) { self.turned_back(&found)? } else { found };
                    agree(&found, &recorded, tolerance, &what)?;
                }
                _ if otherwise => {}
                Some(data) => return Err(format!("{what}: {} entries", data.num_elements())),
                None => return Err(format!("{what}: the component has no such state")),
            }
        }
        Ok(())
    }

    fn is_by_synapse(&self, entries: usize) -> bool {
        self.ends().is_ok_and(|[post, pre]| entries == post * pre)
    }

    /// `[pre, post]` as recorded, `[post, pre]`.
    fn turned_back(&self, values: &[f32]) -> Checked<Vec<f32>> {
        let [post, pre] = self.ends()?;
        let places = (0..post).flat_map(|to| (0..pre).map(move |from| from * post + to));
        Ok(places.map(|place| values[place]).collect())
    }
}
