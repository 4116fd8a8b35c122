//! Modules at work.

use burn::tensor::{Device, Tensor};
use spark_core::component::{Footprint, Instance};
use spark_core::host::{HostWiring, Signal};
use spark_core::look::{Look, Place, Sight, Spot};
use spark_core::model::Wire;
use spark_core::payload::{Mask, Payload, PayloadKind, Shape};
use spark_core::ports::{InputShapes, PortError, PortSpec, PortValues, PropertySpec, intern};
use spark_core::registry::{Interface, OutputShapes};
use spark_core::state::{Saved, StateError};
use std::borrow::Cow;
use std::mem;

use super::idle::{idle, zeros};
use super::layout::{Effect, Layout, Read};
use super::on_host::Hosting;
use super::saved;
use super::schedule::Schedule;
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

/// A module that runs.
pub(super) struct Node {
    pub name: &'static str,
    pub instance: Box<dyn Instance>,
    pub feeds: Vec<(&'static str, Vec<Read>)>,
    /// Its first slot; its outputs have slots in a row.
    pub first: usize,
    pub outputs: Vec<(Cow<'static, str>, Shape)>,
    /// Inputs of the step under way.
    waiting: PortValues,
    /// Outputs of the step under way.
    given: PortValues,
}

impl Node {
    /// Steps on what waits.
    pub fn run(&mut self) {
        self.given = self.instance.forward(mem::take(&mut self.waiting));
    }
}

/// Whether a feed takes a property that others own.
fn takes(reads: &[Read]) -> bool {
    matches!(reads, [Read::Property { take: true, .. }])
}

/// Modules wired to one another, stepped as one: what [`NeuronConfig`](super::NeuronConfig) and
/// [`BrainConfig`](super::BrainConfig) describe.
pub struct Controller {
    pub(super) nodes: Vec<Node>,
    pub(super) when: Order,
    pub(super) calls: Vec<(&'static str, Shape)>,
    pub(super) slots: Vec<Option<Payload>>,
    /// Slots that hold something for the next step.
    pub(super) waiting: Vec<bool>,
    pub(super) schedule: Schedule,
    pub(super) effects: Vec<Effect>,
    pub(super) outputs: Vec<(&'static str, Read)>,
    pub(super) mask: Option<Tensor<1>>,
    interface: Interface,
    pub(super) output_shapes: Vec<Shape>,
    batch: usize,
    pub(super) device: Device,
    /// Inputs of the step under way.
    pub(super) external: Vec<Option<Payload>>,
    pub(super) host: Hosting,
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
        let waiting = layout.waiting(&parts, wired, &effects);
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
                let (waiting, given) = Default::default();
                Some(Node { name, instance: part.instance, feeds, first: *first, outputs, waiting, given })
            })
            .collect();
        let in_order = wired.order.iter().map(|place| nodes[*place].take().expect("runs once"));
        let mut controller = Self {
            nodes: in_order.collect(),
            when: wired.when,
            external: calls.iter().map(|_| None).collect(),
            calls,
            slots: (0..slots).map(|_| None).collect(),
            waiting,
            schedule: Schedule::default(),
            effects,
            outputs,
            mask,
            interface,
            output_shapes,
            batch,
            host: Hosting::possible(batch, &device),
            device,
        };
        let takes_any = controller.nodes.iter().any(|node| node.feeds.iter().any(|(_, reads)| takes(reads)));
        if controller.when == Order::Latency && !takes_any {
            controller.schedule = Schedule::new(controller.nodes.len(), &controller.device);
        }
        controller.fill_slots();
        controller
    }

    /// What there is to read before the first step: zeros, of units that inhibit or not as they will.
    fn fill_slots(&mut self) {
        for node in &mut self.nodes {
            let stamped = node.feeds.iter().any(|(_, reads)| matches!(reads[..], [Read::Mask]));
            let mask = if stamped { self.mask.clone() } else { inhibition_mask(node.instance.as_ref()) };
            for (place, (_, shape)) in node.outputs.iter().enumerate() {
                let nothing = match shape.pairs {
                    _ if !self.waiting[node.first + place] => None,
                    false => Some(zeros(shape, mask.as_ref(), self.batch, &self.device)),
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
        self.slot(node, place)
    }

    /// Whether it works without tensors between its modules now: for one sample on a CPU device, from the first
    /// step on until something is written from outside, if most of its modules have a form for that (see
    /// [`spark_core::host`]).
    ///
    /// # Examples
    /// See [`BrainConfig`](super::BrainConfig).
    pub fn is_on_host(&self) -> bool {
        matches!(self.host, Hosting::In(_))
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
            let outputs = self.step(input(step)).map_err(|source| RunError::Step { step, source })?;
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
        if self.try_host()
            && let Some(outputs) = self.step_alone()
        {
            return outputs;
        }
        match self.when {
            Order::Dependencies => {
                for at in 0..self.nodes.len() {
                    let inputs = self.gather(at, true);
                    let node = &mut self.nodes[at];
                    for (slot, (_, payload)) in (node.first..).zip(node.instance.forward(inputs)) {
                        self.slots[slot] = Some(payload);
                    }
                }
            }
            Order::Latency => self.advance_all(),
        }
        self.apply_effects();
        let mut outputs = PortValues::default();
        for at in 0..self.outputs.len() {
            let (name, read) = self.outputs[at].clone();
            outputs.put(name, self.fetch(&read).expect("outputs are there"));
        }
        outputs
    }

    /// Steps modules that all read what was there before: first everything is read, then they run, several at
    /// a time where that pays.
    fn advance_all(&mut self) {
        for at in 0..self.nodes.len() {
            self.nodes[at].waiting = self.gather(at, false);
        }
        if self.schedule.is_alone() {
            for at in 0..self.nodes.len() {
                self.gather_taken(at);
                self.nodes[at].run();
            }
        } else {
            self.schedule.run(&mut self.nodes, Node::run);
        }
        for node in &mut self.nodes {
            for (slot, (_, payload)) in (node.first..).zip(mem::take(&mut node.given)) {
                self.slots[slot] = Some(payload);
            }
        }
    }

    /// What a module reads; without what it takes from others unless `taken` is set.
    fn gather(&mut self, at: usize, taken: bool) -> PortValues {
        let feeds = mem::take(&mut self.nodes[at].feeds);
        let mut inputs = PortValues::default();
        for (port, reads) in &feeds {
            if !taken && takes(reads) {
                continue;
            }
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

    /// Takes what a module has to itself from others that have run.
    fn gather_taken(&mut self, at: usize) {
        for feed in 0..self.nodes[at].feeds.len() {
            let (port, reads) = &self.nodes[at].feeds[feed];
            if takes(reads) {
                let (port, read) = (*port, reads[0].clone());
                if let Some(payload) = self.fetch(&read) {
                    self.nodes[at].waiting.put(port, payload);
                }
            }
        }
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
        PortError::Unknown {
            what: "property",
            name: name.to_owned(),
            known: properties.chain(modules).collect(),
        }
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

    fn enter_host(&mut self, wiring: &mut HostWiring) -> bool {
        self.enter(wiring)
    }

    fn step_on_host(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        self.step_inside(inputs, outputs);
    }

    fn leave_host(&mut self) {
        self.come_back();
    }

    fn reset(&mut self) {
        self.come_back();
        for node in &mut self.nodes {
            node.instance.reset();
        }
        self.fill_slots();
    }

    fn modules(&self) -> Vec<(&str, &dyn Instance)> {
        self.nodes.iter().map(|node| (node.name, node.instance.as_ref())).collect()
    }

    fn sights(&self) -> Vec<Sight> {
        self.sights_inside()
    }

    fn find(&mut self, address: &str) -> Option<Place> {
        self.find_inside(address)
    }

    fn look_along(&self, route: &[usize], spot: &Spot, see: &mut dyn FnMut(Look<'_>)) {
        self.show(route, spot, see);
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
        self.come_back();
        self.nodes[node].instance.set_property(rest, value)
    }

    fn take_property(&mut self, name: &str) -> Result<Payload, PortError> {
        let (node, rest) = self.inside(name)?;
        self.come_back();
        self.nodes[node].instance.take_property(rest)
    }

    fn save(&self) -> Saved {
        saved::save(self)
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.come_back();
        let before = self.save();
        let result = saved::load(self, saved);
        if result.is_err() {
            saved::load(self, &before).expect("what was saved a moment ago fits");
        }
        result
    }
}

/// Which units of a neuron inhibit, if any does.
fn inhibition_mask(instance: &dyn Instance) -> Option<Tensor<1>> {
    instance.properties().iter().find(|property| property.name == INHIBITION_MASK.name)?;
    match instance.property(INHIBITION_MASK.name) {
        Ok(Payload::Mask(Mask(mask))) if mask.to_data().iter::<f32>().any(|inhibits| inhibits != 0.0) => {
            Some(mask)
        }
        _ => None,
    }
}

/// The shape of an input that nobody feeds.
fn no_shape() -> Shape {
    Shape::new(PayloadKind::Floats, &[])
}
