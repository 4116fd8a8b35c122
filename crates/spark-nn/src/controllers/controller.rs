//! Modules at work.

use burn::tensor::{Device, Int, Tensor, TensorData};
use spark_core::component::{Footprint, Instance};
use spark_core::model::Wire;
use spark_core::payload::{
    Currents, DelayKernel, Floats, IntegerMask, Integers, Kernel, Mask, Payload, PayloadKind, Potentials,
    Shape, Spikes,
};
use spark_core::ports::{InputShapes, PortError, PortSpec, PortValues, PropertySpec, intern};
use spark_core::registry::{Interface, OutputShapes};
use spark_core::state::{Saved, StateError};
use std::borrow::Cow;
use std::mem;

use super::assembly::exchanged;
use super::wiring::{self, Feed, Order, Wired};

/// The mask of a neuron, as others read it.
pub(super) const INHIBITION_MASK: PropertySpec = PropertySpec {
    name: wiring::INHIBITION_PORT,
    kind: PayloadKind::Mask,
    writable: false,
    description: "Which units inhibit.",
};

/// A built module with its wiring.
pub struct Part {
    /// Its name.
    pub name: String,
    /// The module.
    pub instance: Box<dyn Instance>,
    /// Its outputs.
    pub outputs: OutputShapes,
    /// What feeds its inputs.
    pub feeds: Vec<Feed>,
    /// What writes its properties after a step.
    pub effects: Vec<Feed>,
}

/// Where a payload is read.
#[derive(Clone, Debug)]
enum Read {
    Call(usize),
    /// A slot; the last reader takes what is there, so that whoever made it is alone with its tensors.
    Slot { slot: usize, take: bool },
    /// A property of a node; taken where the effect of the same node writes it back after the step.
    Property { node: usize, name: &'static str, take: bool },
    Mask,
}

/// A module that runs.
struct Node {
    name: &'static str,
    instance: Box<dyn Instance>,
    feeds: Vec<(&'static str, Vec<Read>)>,
    /// Its first slot; its outputs have slots in a row.
    first: usize,
    outputs: Vec<(Cow<'static, str>, Shape)>,
}

/// Something that writes a property after a step.
struct Effect {
    node: usize,
    property: &'static str,
    read: Read,
}

/// Modules wired to one another, stepped as one: what [`NeuronConfig`](super::NeuronConfig) and
/// [`BrainConfig`](super::BrainConfig) describe.
pub struct Controller {
    nodes: Vec<Node>,
    when: Order,
    calls: Vec<(&'static str, Shape)>,
    slots: Vec<Option<Payload>>,
    /// Where modules write that all read what was there before.
    fresh: Vec<Option<Payload>>,
    effects: Vec<Effect>,
    outputs: Vec<(&'static str, Read)>,
    mask: Option<Tensor<1>>,
    interface: Interface,
    output_shapes: Vec<Shape>,
    batch: usize,
    device: Device,
    /// Inputs of the step under way.
    external: Vec<Option<Payload>>,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.nodes.iter().map(|node| node.name).collect();
        f.debug_struct("Controller").field("modules", &names).field("batch", &self.batch).finish()
    }
}

/// A run that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The inputs of a step do not fit.
    #[error("step {step}: {source}")]
    Step {
        /// The step, from 0.
        step: usize,
        /// What does not fit.
        source: PortError,
    },
}

/// Sees what a controller gives at every step; returns whether to go on.
pub trait Observer: FnMut(usize, &PortValues) -> bool {}

impl<F: FnMut(usize, &PortValues) -> bool> Observer for F {}

impl Controller {
    pub(super) fn new(
        parts: Vec<Part>,
        wired: &Wired,
        interface: Interface,
        inputs: InputShapes,
        mask: Option<Tensor<1>>,
        batch: usize,
        device: Device,
    ) -> Self {
        let layout = Layout::new(&parts, wired);
        let slots = layout.slots;
        let calls = wired.calls.iter();
        let calls = calls.map(|call| (call.name, inputs.get(call.name).cloned()));
        // Inputs that nobody feeds are optional; who reads them was told.
        let calls: Vec<_> = calls.map(|(name, shape)| (name, shape.unwrap_or_else(no_shape))).collect();
        let effects = layout.effects(&parts, wired);
        let outputs = layout.outputs(&parts, wired);
        let output_shapes = wired
            .outputs
            .iter()
            .map(|output| {
                let port = parts[output.module].outputs.iter().find(|(name, _)| *name == output.port);
                port.expect("outputs are checked").1.clone()
            })
            .collect();
        let reads: Vec<_> = (0..parts.len()).map(|place| layout.reads(place, &parts, wired)).collect();
        let mut nodes: Vec<Option<Node>> = parts
            .into_iter()
            .zip(reads)
            .zip(&layout.first)
            .map(|((part, feeds), first)| {
                let (name, outputs) = (intern(&part.name), part.outputs);
                Some(Node { name, instance: part.instance, feeds, first: *first, outputs })
            })
            .collect();
        let in_order = wired.order.iter().map(|place| nodes[*place].take().expect("runs once"));
        let mut controller = Self {
            nodes: in_order.collect(),
            when: wired.when,
            external: calls.iter().map(|_| None).collect(),
            calls,
            slots: (0..slots).map(|_| None).collect(),
            fresh: (0..slots).map(|_| None).collect(),
            effects,
            outputs,
            mask,
            interface,
            output_shapes,
            batch,
            device,
        };
        controller.fill_slots();
        controller
    }

    /// What there is to read before the first step: zeros.
    fn fill_slots(&mut self) {
        for node in &mut self.nodes {
            for (place, (_, shape)) in node.outputs.iter().enumerate() {
                let nothing = match shape.pairs {
                    false => Some(zeros(shape, self.batch, &self.device)),
                    true => idle(node.instance.as_mut(), &node.feeds, place, self.batch, &self.device),
                };
                self.slots[node.first + place] = nothing;
            }
        }
    }

    /// What a connection reads now: in a brain what its modules gave in the last step. `None` where there is no
    /// such port, or where a neuron has handed it on already.
    ///
    /// # Examples
    /// See [`BrainConfig`](super::BrainConfig).
    pub fn read(&self, wire: &Wire) -> Option<Payload> {
        let name = wire.origin.to_string();
        let node = self.nodes.iter().find(|node| node.name == name)?;
        if wire.property {
            return node.instance.property(&wire.port).ok();
        }
        let place = node.outputs.iter().position(|(port, _)| *port == wire.port)?;
        self.slots[node.first + place].clone()
    }

    /// Steps on inputs that `input` gives for every step, until `steps` are done or `observe` says to stop;
    /// returns the number of steps done.
    ///
    /// # Errors
    /// Names the step whose inputs do not fit; the steps before it are done.
    pub fn run(
        &mut self,
        steps: usize,
        mut input: impl FnMut(usize) -> PortValues,
        mut observe: impl Observer,
    ) -> Result<usize, RunError> {
        for step in 0..steps {
            let outputs =
                self.step(input(step)).map_err(|source| RunError::Step { step, source })?;
            if !observe(step, &outputs) {
                return Ok(step + 1);
            }
        }
        Ok(steps)
    }

    fn accept(&mut self, mut inputs: PortValues) -> Result<(), PortError> {
        for ((name, shape), external) in self.calls.iter().zip(&mut self.external) {
            let payload = inputs.take_any(name);
            match &payload {
                Some(payload) => payload.check(name, shape, self.batch)?,
                None if shape.units.is_empty() => {}
                None => {
                    let (port, expected) = ((*name).to_owned(), shape.to_string());
                    return Err(PortError::Mismatch { port, found: "nothing".to_owned(), expected });
                }
            }
            *external = payload;
        }
        match inputs.iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(PortError::Unknown {
                what: "input port",
                name: name.to_owned(),
                known: self.calls.iter().map(|(name, _)| *name).collect(),
            }),
        }
    }

    fn advance(&mut self) -> PortValues {
        for at in 0..self.nodes.len() {
            let inputs = self.gather(at);
            let node = &mut self.nodes[at];
            let outputs = node.instance.forward(inputs);
            let into = match self.when {
                Order::Dependencies => &mut self.slots,
                Order::Latency => &mut self.fresh,
            };
            for (slot, (_, payload)) in (node.first..).zip(outputs) {
                into[slot] = Some(payload);
            }
        }
        if self.when == Order::Latency {
            mem::swap(&mut self.slots, &mut self.fresh);
        }
        self.apply_effects();
        let mut outputs = PortValues::default();
        for at in 0..self.outputs.len() {
            let (name, read) = self.outputs[at].clone();
            outputs.put(name, self.fetch(&read).expect("outputs are there"));
        }
        outputs
    }

    fn gather(&mut self, at: usize) -> PortValues {
        let feeds = mem::take(&mut self.nodes[at].feeds);
        let mut inputs = PortValues::default();
        for (port, reads) in &feeds {
            let payload = match reads.as_slice() {
                [read] => self.fetch(read),
                reads => Some(Payload::join(reads.iter().filter_map(|read| self.fetch(read)).collect())),
            };
            if let Some(payload) = payload {
                inputs.put(*port, payload);
            }
        }
        self.nodes[at].feeds = feeds;
        inputs
    }

    fn fetch(&mut self, read: &Read) -> Option<Payload> {
        match read {
            Read::Call(place) => self.external[*place].clone(),
            Read::Slot { slot, take: true } => self.slots[*slot].take(),
            Read::Slot { slot, take: false } => self.slots[*slot].clone(),
            Read::Property { node, name, take } => {
                let owner = &mut self.nodes[*node].instance;
                let value = if *take { owner.take_property(name) } else { owner.property(name) };
                Some(value.expect("wiring is checked"))
            }
            Read::Mask => self.mask.clone().map(|mask| Mask(mask).into()),
        }
    }

    fn apply_effects(&mut self) {
        for at in 0..self.effects.len() {
            let Effect { node, property, ref read } = self.effects[at];
            let read = read.clone();
            if let Some(value) = self.fetch(&read) {
                self.nodes[node].instance.set_property(property, value).expect("wiring is checked");
            }
        }
    }

    fn unknown(&self, name: &str) -> PortError {
        let modules = self.nodes.iter().map(|node| node.name);
        let properties = self.interface.properties.iter().map(|property| property.name);
        PortError::Unknown { what: "property", name: name.to_owned(), known: properties.chain(modules).collect() }
    }

    /// The node that a path leads into, and the rest of the path.
    fn inside<'a>(&self, path: &'a str) -> Result<(usize, &'a str), PortError> {
        let place = |(module, rest)| Some((self.nodes.iter().position(|node| node.name == module)?, rest));
        path.split_once('.').and_then(place).ok_or_else(|| self.unknown(path))
    }
}

impl Instance for Controller {
    fn inputs(&self) -> &[PortSpec] {
        &self.interface.inputs
    }

    fn outputs(&self) -> &[PortSpec] {
        &self.interface.outputs
    }

    fn properties(&self) -> &[PropertySpec] {
        &self.interface.properties
    }

    fn input_shape(&self, port: &str) -> Option<Shape> {
        let call = self.calls.iter().find(|(name, shape)| *name == port && !shape.units.is_empty());
        call.map(|(_, shape)| shape.clone())
    }

    fn output_shapes(&self) -> Vec<Shape> {
        self.output_shapes.clone()
    }

    fn step(&mut self, inputs: PortValues) -> Result<PortValues, PortError> {
        self.accept(inputs)?;
        Ok(self.advance())
    }

    fn forward(&mut self, mut inputs: PortValues) -> PortValues {
        for ((name, _), external) in self.calls.iter().zip(&mut self.external) {
            *external = inputs.take_any(name);
        }
        self.advance()
    }

    fn reset(&mut self) {
        for node in &mut self.nodes {
            node.instance.reset();
        }
        self.fill_slots();
    }

    fn modules(&self) -> Vec<(&str, &dyn Instance)> {
        self.nodes.iter().map(|node| (node.name, node.instance.as_ref())).collect()
    }

    fn module_mut(&mut self, name: &str) -> Option<&mut dyn Instance> {
        let node = self.nodes.iter_mut().find(|node| node.name == name)?;
        Some(node.instance.as_mut())
    }

    fn footprint(&self) -> Footprint {
        self.nodes.iter().map(|node| node.instance.footprint()).sum()
    }

    fn property(&self, name: &str) -> Result<Payload, PortError> {
        if self.interface.properties.iter().any(|property| property.name == name) {
            let units = || self.output_shapes.first().map_or(0, Shape::count);
            let mask = self.mask.clone().unwrap_or_else(|| Tensor::zeros([units()], &self.device));
            return Ok(Mask(mask).into());
        }
        let (node, rest) = self.inside(name)?;
        self.nodes[node].instance.property(rest)
    }

    fn property_shape(&self, name: &str) -> Result<Shape, PortError> {
        match self.inside(name) {
            Ok((node, rest)) => self.nodes[node].instance.property_shape(rest),
            Err(_) => self.property(name).map(|value| value.shape()),
        }
    }

    fn set_property(&mut self, name: &str, value: Payload) -> Result<(), PortError> {
        if self.interface.properties.iter().any(|property| property.name == name) {
            return Err(PortError::ReadOnly(name.to_owned()));
        }
        let (node, rest) = self.inside(name)?;
        self.nodes[node].instance.set_property(rest, value)
    }

    fn take_property(&mut self, name: &str) -> Result<Payload, PortError> {
        let (node, rest) = self.inside(name)?;
        self.nodes[node].instance.take_property(rest)
    }

    /// States and kernels by path, such as `pool.soma.potential` and `pool.synapses.kernel` (`[post, pre]`), the
    /// inhibition mask, and what modules read in the next step (`pool>out_spikes`).
    fn save(&self) -> Saved {
        let mut saved = Saved::new();
        for node in &self.nodes {
            let prefixed = |(path, data): (String, TensorData)| (format!("{}.{path}", node.name), data);
            saved.extend(node.instance.save().into_iter().map(prefixed));
            for property in node.instance.properties().iter().filter(|property| property.writable) {
                let value = node.instance.property(property.name).ok();
                if let Some(data) = value.as_ref().and_then(exchanged) {
                    saved.insert(format!("{}.{}", node.name, property.name), data);
                }
            }
            for (place, (port, _)) in node.outputs.iter().enumerate() {
                if let Some(data) = self.slots[node.first + place].as_ref().and_then(plane) {
                    saved.insert(format!("{}>{port}", node.name), data);
                }
            }
        }
        if let Some(mask) = &self.mask {
            saved.insert(INHIBITION_MASK.name.to_owned(), mask.to_data());
        }
        saved
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        let before = self.save();
        let result = self.load(saved);
        if result.is_err() {
            self.load(&before).expect("what was saved a moment ago fits");
        }
        result
    }
}

impl Controller {
    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        let mut left = saved.clone();
        if let Some(mask) = &mut self.mask {
            let path = INHIBITION_MASK.name;
            let data = left.remove(path).ok_or_else(|| StateError::Missing(path.to_owned()))?;
            let shape = mask.dims();
            fits(path, &data, &shape)?;
            *mask = Tensor::from_data(data.convert::<f32>(), &self.device);
        }
        for node in &mut self.nodes {
            let own = format!("{}.", node.name);
            let mut inside: Saved = Saved::new();
            left.retain(|path, data| match path.strip_prefix(&own) {
                Some(rest) => {
                    inside.insert(rest.to_owned(), data.clone());
                    false
                }
                None => true,
            });
            let full = |error: StateError| error.within(node.name);
            let writable: Vec<PropertySpec> =
                node.instance.properties().iter().filter(|property| property.writable).copied().collect();
            for property in writable {
                let Some(now) = node.instance.property(property.name).ok().as_ref().and_then(exchanged) else {
                    continue;
                };
                let data = inside.remove(property.name);
                let data = data.ok_or_else(|| full(StateError::Missing(property.name.to_owned())))?;
                fits(property.name, &data, &now.shape()[..]).map_err(full)?;
                let value = received(property.kind, data, &self.device);
                node.instance.set_property(property.name, value).map_err(|error| {
                    full(StateError::Content { path: property.name.to_owned(), message: error.to_string() })
                })?;
            }
            node.instance.restore(&inside).map_err(full)?;
            for (place, (port, _)) in node.outputs.iter().enumerate() {
                let slot = &mut self.slots[node.first + place];
                let path = format!("{}>{port}", node.name);
                let Some(data) = left.remove(&path) else { continue };
                let Some(payload) = slot else { continue };
                let now = plane(payload).ok_or_else(|| StateError::Unknown(path.clone()))?;
                fits(&path, &data, &now.shape()[..])?;
                rewrite(payload, data, &self.device);
            }
        }
        match left.into_keys().next() {
            None => Ok(()),
            Some(path) => Err(StateError::Unknown(path)),
        }
    }
}

fn fits(path: &str, data: &TensorData, expected: &[usize]) -> Result<(), StateError> {
    let path = path.to_owned();
    if data.shape()[..] != *expected {
        return Err(StateError::Shape { path, found: data.shape().to_vec(), expected: expected.to_vec() });
    }
    if data.iter::<f64>().any(|value| !value.is_finite()) {
        return Err(StateError::Content { path, message: "holds a number that is not finite".to_owned() });
    }
    Ok(())
}

/// A kernel that was exchanged as `[post, pre]`.
fn received(kind: PayloadKind, data: TensorData, device: &Device) -> Payload {
    match kind {
        PayloadKind::DelayKernel => {
            DelayKernel(Tensor::<2, Int>::from_data(data.convert::<i64>(), device).transpose()).into()
        }
        _ => Kernel(Tensor::<2>::from_data(data.convert::<f32>(), device).transpose()).into(),
    }
}

/// What there is to save of a payload that waits to be read.
fn plane(payload: &Payload) -> Option<TensorData> {
    match payload {
        Payload::Spikes(spikes) => spikes.units().map(Tensor::into_data),
        Payload::Currents(Currents(x)) | Payload::Potentials(Potentials(x)) | Payload::Floats(Floats(x)) => {
            Some(x.to_data())
        }
        Payload::Integers(Integers(x)) => Some(x.to_data()),
        Payload::Mask(_) | Payload::IntegerMask(_) | Payload::Kernel(_) | Payload::DelayKernel(_) => None,
    }
}

fn rewrite(payload: &mut Payload, data: TensorData, device: &Device) {
    let float = |data: TensorData| Tensor::<2>::from_data(data.convert::<f32>(), device);
    match payload {
        Payload::Spikes(spikes) => {
            let inhibitory = spikes.inhibitory.take();
            *spikes = Spikes::new(float(data)).with_inhibitory(inhibitory);
        }
        Payload::Currents(Currents(x)) | Payload::Potentials(Potentials(x)) | Payload::Floats(Floats(x)) => {
            *x = float(data);
        }
        Payload::Integers(Integers(x)) => *x = Tensor::from_data(data, device),
        Payload::Mask(_) | Payload::IntegerMask(_) | Payload::Kernel(_) | Payload::DelayKernel(_) => {}
    }
}

/// The shape of an input that nobody feeds.
fn no_shape() -> Shape {
    Shape::new(PayloadKind::Floats, &[])
}

/// A payload of zeros.
fn zeros(shape: &Shape, batch: usize, device: &Device) -> Payload {
    let count = shape.count();
    let plane = || Tensor::<2>::zeros([batch, count], device);
    match shape.kind {
        PayloadKind::Spikes => Spikes::new(plane()).into(),
        PayloadKind::Currents => Currents(plane()).into(),
        PayloadKind::Potentials => Potentials(plane()).into(),
        PayloadKind::Floats => Floats(plane()).into(),
        PayloadKind::Integers => Integers(Tensor::zeros([batch, count], device)).into(),
        PayloadKind::Mask => Mask(Tensor::zeros([count], device)).into(),
        PayloadKind::IntegerMask => IntegerMask(Tensor::zeros([count], device)).into(),
        // Nobody reads kernels from a port but the effect that comes after the first step.
        PayloadKind::Kernel => Kernel(Tensor::zeros([0, 0], device)).into(),
        PayloadKind::DelayKernel => DelayKernel(Tensor::zeros([0, 0], device)).into(),
    }
}

/// What delays by pair give when nothing ever came in: only they know the form of it.
fn idle(
    instance: &mut dyn Instance,
    feeds: &[(&'static str, Vec<Read>)],
    place: usize,
    batch: usize,
    device: &Device,
) -> Option<Payload> {
    let mut inputs = PortValues::default();
    for port in instance.inputs().iter().filter(|port| !port.optional) {
        let fed = feeds.iter().any(|(name, _)| *name == port.name);
        let shape = instance.input_shape(port.name)?;
        if !fed || shape.pairs {
            return None;
        }
        inputs.put(port.name, zeros(&shape, batch, device));
    }
    let outputs = instance.forward(inputs);
    instance.reset();
    outputs.into_iter().nth(place).map(|(_, payload)| payload)
}

/// Where every output of every module has its slot, and who reads it last.
struct Layout {
    /// The first slot of each module, as they are listed.
    first: Vec<usize>,
    slots: usize,
    /// When each module runs.
    position: Vec<usize>,
}

impl Layout {
    fn new(parts: &[Part], wired: &Wired) -> Self {
        let mut slots = 0;
        let first = parts.iter().map(|part| {
            slots += part.outputs.len();
            slots - part.outputs.len()
        });
        let first = first.collect();
        let mut position = vec![0; parts.len()];
        for (at, place) in wired.order.iter().enumerate() {
            position[*place] = at;
        }
        Self { first, slots, position }
    }

    fn slot(&self, parts: &[Part], module: usize, port: &str) -> usize {
        let place = parts[module].outputs.iter().position(|(name, _)| name == port);
        self.first[module] + place.expect("wiring is checked")
    }

    /// Every read of a slot by a module: the module that makes it, the reader, and its place among the reads
    /// of that reader.
    fn readers(&self, parts: &[Part], slot: usize) -> Vec<(usize, usize)> {
        let mut readers = Vec::new();
        for (place, part) in parts.iter().enumerate() {
            for (count, source) in part.feeds.iter().flat_map(|feed| &feed.sources).enumerate() {
                if let wiring::Source::Port { module, port } = source
                    && self.slot(parts, *module, port) == slot
                {
                    readers.push((place, count));
                }
            }
        }
        readers
    }

    /// Whether a read is the last one before the slot is written again.
    fn takes(&self, parts: &[Part], wired: &Wired, maker: usize, slot: usize, read: (usize, usize)) -> bool {
        let key = |(place, count): &(usize, usize)| (self.position[*place], *count);
        let readers = self.readers(parts, slot);
        let late = |reader: &&(usize, usize)| match wired.when {
            Order::Latency => true,
            Order::Dependencies => self.position[reader.0] <= self.position[maker],
        };
        if let Some(last) = readers.iter().filter(late).max_by_key(|reader| key(reader)) {
            return *last == read;
        }
        let given = wired.outputs.iter().any(|output| self.slot(parts, output.module, &output.port) == slot);
        let written = self.written_from(parts, slot).is_some();
        !given && !written && readers.iter().max_by_key(|reader| key(reader)) == Some(&read)
    }

    /// The effect that reads a slot.
    fn written_from(&self, parts: &[Part], slot: usize) -> Option<(usize, String)> {
        let effects = parts.iter().enumerate().flat_map(|(owner, part)| {
            part.effects.iter().map(move |effect| (owner, effect))
        });
        let mut effects = effects.filter(|(_, effect)| {
            matches!(effect.sources.as_slice(), [wiring::Source::Port { module, port }]
                if self.slot(parts, *module, port) == slot)
        });
        effects.next().map(|(owner, effect)| (owner, effect.port.clone()))
    }

    fn reads(&self, place: usize, parts: &[Part], wired: &Wired) -> Vec<(&'static str, Vec<Read>)> {
        let mut count = 0;
        let mut read = |source: &wiring::Source| {
            let at = count;
            count += 1;
            match source {
                wiring::Source::Call(place) => Read::Call(*place),
                wiring::Source::Mask => Read::Mask,
                wiring::Source::Port { module, port } => {
                    let slot = self.slot(parts, *module, port);
                    Read::Slot { slot, take: self.takes(parts, wired, *module, slot, (place, at)) }
                }
                wiring::Source::Property { module, name } => {
                    let take = self.takes_property(place, *module, name, parts);
                    Read::Property { node: self.position[*module], name: intern(name), take }
                }
            }
        };
        let feeds = parts[place].feeds.iter();
        feeds.map(|feed| (intern(&feed.port), feed.sources.iter().map(&mut read).collect())).collect()
    }

    /// Whether a module may take a property out: it is the only one that reads it, its owner has run, and an
    /// effect of this module writes it back.
    fn takes_property(&self, reader: usize, owner: usize, name: &str, parts: &[Part]) -> bool {
        let sources = parts.iter().flat_map(|part| part.feeds.iter().chain(&part.effects));
        let reads = sources.flat_map(|feed| &feed.sources).filter(|source| {
            matches!(source, wiring::Source::Property { module, name: read } if *module == owner && read == name)
        });
        let back = parts[owner].effects.iter().filter(|effect| effect.port == name).any(|effect| {
            matches!(effect.sources.as_slice(), [wiring::Source::Port { module, .. }] if *module == reader)
        });
        back && reads.count() == 1 && self.position[owner] < self.position[reader]
    }

    fn effects(&self, parts: &[Part], wired: &Wired) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (owner, part) in parts.iter().enumerate() {
            for effect in &part.effects {
                let read = match effect.sources.as_slice() {
                    [wiring::Source::Call(place)] => Read::Call(*place),
                    [wiring::Source::Mask] => Read::Mask,
                    [wiring::Source::Port { module, port }] => {
                        let slot = self.slot(parts, *module, port);
                        let read_later = !self.readers(parts, slot).is_empty();
                        let late = wired.when == Order::Latency
                            || self.readers(parts, slot).iter().any(|reader| {
                                self.position[reader.0] <= self.position[*module]
                            });
                        let given = wired
                            .outputs
                            .iter()
                            .any(|output| self.slot(parts, output.module, &output.port) == slot);
                        Read::Slot { slot, take: !given && !(read_later && late) }
                    }
                    [wiring::Source::Property { module, name }] => {
                        Read::Property { node: self.position[*module], name: intern(name), take: false }
                    }
                    _ => continue,
                };
                effects.push(Effect { node: self.position[owner], property: intern(&effect.port), read });
            }
        }
        effects
    }

    /// Outputs are few and cheap to copy, and so their slots stay readable.
    fn outputs(&self, parts: &[Part], wired: &Wired) -> Vec<(&'static str, Read)> {
        let read = |output: &wiring::Output| {
            let slot = self.slot(parts, output.module, &output.port);
            (intern(&output.name), Read::Slot { slot, take: false })
        };
        wired.outputs.iter().map(read).collect()
    }
}
