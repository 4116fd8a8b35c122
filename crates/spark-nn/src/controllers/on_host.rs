//! Modules at work on the host: signals instead of payloads, see [`spark_core::host`].

use burn::tensor::{Device, Tensor};
use spark_core::device::is_cpu;
use spark_core::host::{HostPort, HostWiring, Link, Origin, Signal};
use spark_core::payload::{Mask, Payload, PayloadKind, Shape};
use spark_core::ports::PortValues;
use std::collections::HashMap;
use std::mem;

use super::controller::{Controller, Node};
use super::layout::Read;
use super::wiring::Order;

/// The most ports of a module.
const PORTS: usize = 8;

/// Steps after which entering has paid for itself, and how often it may fail to.
const WORTHWHILE: u64 = 64;
const PATIENCE: u32 = 8;

/// What a port without a signal reads.
static NOTHING: Signal = Signal::Values(Vec::new());

/// Whether and how a controller works on the host.
#[derive(Debug, Default)]
pub(super) enum Hosting {
    /// It has not been tried, or was left after so many stays that were too short.
    Out { short: u32 },
    /// It does.
    In(Box<Stay>),
    /// It cannot.
    #[default]
    Never,
}

impl Hosting {
    /// To be tried, for one sample on a device whose memory is the host's.
    pub fn possible(batch: usize, device: &Device) -> Self {
        match batch == 1 && is_cpu(device) && !device.is_autodiff() {
            true => Self::Out { short: 0 },
            false => Self::Never,
        }
    }
}

/// Work on the host.
#[derive(Debug)]
pub(super) struct Stay {
    modules: Vec<Module>,
    /// The outputs of each module, as others read them now.
    pub(super) signals: Vec<Vec<Signal>>,
    /// What its next step writes; what others read before, for its memory.
    next: Vec<Vec<Signal>>,
    /// Inputs of the controller, where it stands alone.
    external: Vec<Signal>,
    outputs: Vec<(&'static str, PayloadKind, Place)>,
    short: u32,
    steps: u64,
}

/// An output of a module.
#[derive(Clone, Copy, Debug)]
struct Place {
    node: usize,
    output: usize,
}

#[derive(Clone, Debug)]
enum Source {
    /// An input of the controller, by its place among those that are wired.
    Call(usize),
    Place(Place),
    /// Nothing that changes.
    Fixed,
    /// Several signals, put together before the step, by place in `joined`.
    Joined(usize),
}

#[derive(Debug)]
struct Module {
    /// Whether it steps on signals itself.
    native: bool,
    ports: Vec<(&'static str, PayloadKind, Source)>,
    joined: Vec<(Vec<Source>, Signal)>,
}

impl Module {
    /// Puts together what comes from several sources.
    fn join(&mut self, calls: &[&Signal], signals: &[Vec<Signal>]) {
        for (sources, joined) in &mut self.joined {
            joined.join(sources.iter().map(|source| single(source, calls, signals)));
        }
    }

    /// A step on what others gave.
    fn step(
        &mut self,
        node: &mut Node,
        signals: &[Vec<Signal>],
        next: &mut [Signal],
        around: &Surroundings<'_>,
    ) {
        self.join(around.inputs, signals);
        if self.native {
            let mut ports = [&NOTHING; PORTS];
            for (port, input) in ports[..self.ports.len()].iter_mut().enumerate() {
                *input = self.input(port, around.inputs, signals);
            }
            return node.instance.step_on_host(&ports[..self.ports.len()], next);
        }
        let mut values = PortValues::default();
        for (place, (port, kind, source)) in self.ports.iter().enumerate() {
            let payload = match source {
                Source::Fixed => around.mask.map(|mask| Mask(mask.clone()).into()),
                _ => self.input(place, around.inputs, signals).payload(*kind, around.device),
            };
            if let Some(payload) = payload {
                values.put(*port, payload);
            }
        }
        for (signal, (_, payload)) in next.iter_mut().zip(node.instance.forward(values)) {
            assert!(signal.read(&payload), "shapes are checked when the host is entered");
        }
    }

    fn input<'a>(&'a self, port: usize, calls: &[&'a Signal], signals: &'a [Vec<Signal>]) -> &'a Signal {
        match &self.ports[port].2 {
            Source::Joined(place) => &self.joined[*place].1,
            source => single(source, calls, signals),
        }
    }
}

/// What a step of a module reads that no module gives.
struct Surroundings<'a> {
    inputs: &'a [&'a Signal],
    mask: Option<&'a Tensor<1>>,
    device: &'a Device,
}

fn single<'a>(source: &Source, calls: &[&'a Signal], signals: &'a [Vec<Signal>]) -> &'a Signal {
    match source {
        Source::Call(place) => calls[*place],
        Source::Place(Place { node, output }) => &signals[*node][*output],
        Source::Fixed | Source::Joined(_) => &NOTHING,
    }
}

/// Kernels pass by being shared.
fn is_shared(kind: PayloadKind) -> bool {
    kind == PayloadKind::Kernel
}

impl Controller {
    /// Enters the host if that is possible and has not failed to pay before.
    pub(super) fn try_host(&mut self) -> bool {
        match self.host {
            Hosting::In(_) => return true,
            Hosting::Never => return false,
            Hosting::Out { .. } => {}
        }
        let wired = self.calls.iter().filter(|(_, shape)| !shape.units.is_empty());
        let inputs = wired.enumerate().map(|(place, (name, _))| {
            let sources = vec![Origin::Call(place)];
            HostPort { name, sources, link: None, mask: None }
        });
        let inputs = inputs.collect();
        self.enter(&mut HostWiring { inputs, ..Default::default() })
    }

    pub(super) fn enter(&mut self, wiring: &mut HostWiring) -> bool {
        let Hosting::Out { short } = self.host else { return matches!(self.host, Hosting::In(_)) };
        let stay = self.plan_stay(wiring, short);
        let entered = stay.is_some();
        self.host = stay.map_or(Hosting::Never, |stay| Hosting::In(Box::new(stay)));
        if !entered {
            self.nodes.iter_mut().for_each(|node| node.instance.leave_host());
        }
        entered
    }

    fn plan_stay(&mut self, wiring: &HostWiring, short: u32) -> Option<Stay> {
        if !self.kernels_are_handed_round() {
            return None;
        }
        let places: Vec<Place> = (self.nodes.iter().enumerate())
            .flat_map(|(node, of)| (0..of.outputs.len()).map(move |output| Place { node, output }))
            .collect();
        // Slots are numbered as modules are listed, nodes as they run.
        let mut by_slot = vec![Place { node: 0, output: 0 }; places.len()];
        for place in &places {
            by_slot[self.nodes[place.node].first + place.output] = *place;
        }
        let mut shared: HashMap<(usize, String), Link> = HashMap::new();
        let mut modules = Vec::with_capacity(self.nodes.len());
        for at in 0..self.nodes.len() {
            let (module, mut own) = self.module(at, wiring, &by_slot, &shared)?;
            let native = self.nodes[at].instance.enter_host(&mut own);
            for (name, link) in own.shared {
                shared.insert((at, name.to_owned()), link);
            }
            if !native && !self.may_stay_behind(at, &module) {
                return None;
            }
            modules.push(Module { native, ..module });
        }
        if !modules.iter().any(|module| module.native) {
            return None;
        }
        let signals = self.first_signals()?;
        let outputs = self.outputs.iter().zip(&self.output_shapes);
        let outputs = outputs.map(|((name, read), shape)| match read {
            Read::Slot { slot, .. } if Signal::carries(shape.kind) && !shape.pairs => {
                Some((*name, shape.kind, by_slot[*slot]))
            }
            _ => None,
        });
        let outputs: Option<Vec<_>> = outputs.collect();
        let external = wiring.inputs.iter().map(|_| Signal::default()).collect();
        let next = signals.clone();
        Some(Stay { modules, signals, next, external, outputs: outputs?, short, steps: 0 })
    }

    /// Whether every effect gives back a kernel that the module which gives it has taken: such a pair shares it.
    fn kernels_are_handed_round(&self) -> bool {
        self.effects.iter().all(|effect| {
            let Read::Slot { slot, .. } = effect.read else { return false };
            let maker = self
                .nodes
                .iter()
                .position(|node| (node.first..node.first + node.outputs.len()).contains(&slot));
            let Some(maker) = maker else { return false };
            let taken = |read: &Read| {
                matches!(read, Read::Property { node, name, take: true }
                    if *node == effect.node && *name == effect.property)
            };
            let kind = self.nodes[maker].outputs[slot - self.nodes[maker].first].1.kind;
            is_shared(kind) && self.nodes[maker].feeds.iter().any(|(_, reads)| reads.iter().any(taken))
        })
    }

    /// How a module is wired; `None` where something cannot pass as a signal.
    fn module(
        &self,
        at: usize,
        wiring: &HostWiring,
        by_slot: &[Place],
        shared: &HashMap<(usize, String), Link>,
    ) -> Option<(Module, HostWiring)> {
        let node = &self.nodes[at];
        let (mut ports, mut joined, mut inputs) = (Vec::new(), Vec::new(), Vec::new());
        for (port, reads) in &node.feeds {
            let mut found = Vec::new();
            let mut of_port = HostPort { name: port, sources: Vec::new(), link: None, mask: None };
            let mut kind_of_port = PayloadKind::Floats;
            for read in reads {
                let (source, kind) = match read {
                    Read::Call(call) => {
                        let (name, shape) = &self.calls[*call];
                        if shape.units.is_empty() {
                            continue;
                        }
                        let place = wiring.place(name)?;
                        of_port.link = wiring.inputs[place].link.clone();
                        (Source::Call(place), shape.kind)
                    }
                    Read::Slot { slot, .. } => {
                        let place = by_slot[*slot];
                        let (name, shape) = &self.nodes[place.node].outputs[place.output];
                        of_port.link = shared.get(&(place.node, name.to_string())).cloned();
                        if shape.pairs && (of_port.link.is_none() || place.node >= at || reads.len() > 1) {
                            return None;
                        }
                        (Source::Place(place), shape.kind)
                    }
                    Read::Mask => {
                        let mask = self.mask.as_ref().map(|mask| mask.to_data());
                        let inhibits =
                            |mask: burn::tensor::TensorData| mask.iter().map(|x: f32| x != 0.0).collect();
                        of_port.mask = mask.map(inhibits);
                        (Source::Fixed, PayloadKind::Mask)
                    }
                    Read::Property { node, name, take: true } => {
                        of_port.link = shared.get(&(*node, (*name).to_owned())).cloned();
                        (Source::Fixed, PayloadKind::Kernel)
                    }
                    Read::Property { .. } => return None,
                };
                if !matches!(source, Source::Fixed) && !Signal::carries(kind) {
                    return None;
                }
                match source {
                    Source::Call(place) => of_port.sources.push(Origin::Call(place)),
                    Source::Place(Place { node: module, output }) => {
                        let late = self.when == Order::Latency || module >= at;
                        of_port.sources.push(Origin::Module { module, output, late });
                    }
                    Source::Fixed | Source::Joined(_) => {}
                }
                kind_of_port = kind;
                found.push(source);
            }
            let source = match &found[..] {
                [] => continue,
                [source] => source.clone(),
                _ => {
                    of_port.link = None;
                    joined.push((found, Signal::default()));
                    Source::Joined(joined.len() - 1)
                }
            };
            ports.push((*port, kind_of_port, source));
            inputs.push(of_port);
        }
        let module = Module { native: false, ports, joined };
        (module.ports.len() <= PORTS).then_some((module, HostWiring { inputs, ..Default::default() }))
    }

    /// Whether a module may go on with tensors: payloads can be translated, and none of its weights would have to
    /// travel.
    fn may_stay_behind(&self, at: usize, module: &Module) -> bool {
        let node = &self.nodes[at];
        let kinds = node.instance.properties().iter().map(|property| property.kind);
        let weights =
            kinds.into_iter().any(|kind| matches!(kind, PayloadKind::Kernel | PayloadKind::DelayKernel));
        let plain = |shape: &Shape| Signal::carries(shape.kind) && !shape.pairs;
        let takes_pairs = module.ports.iter().any(|(_, _, source)| match source {
            Source::Place(place) => self.nodes[place.node].outputs[place.output].1.pairs,
            _ => false,
        });
        let takes_kernel = module.ports.iter().any(|(_, kind, _)| is_shared(*kind));
        !weights && !takes_pairs && !takes_kernel && node.outputs.iter().all(|(_, shape)| plain(shape))
    }

    /// What others read before the first step.
    fn first_signals(&self) -> Option<Vec<Vec<Signal>>> {
        let of_node = |node: &Node| {
            let outputs = node.outputs.iter().enumerate();
            let signals = outputs.map(|(place, (_, shape))| {
                let slot = node.first + place;
                let mut signal = Signal::nothing(shape.kind, shape.count());
                match &self.slots[slot] {
                    Some(payload) if self.waiting[slot] && !is_shared(shape.kind) => {
                        signal.read(payload).then_some(signal)
                    }
                    _ => Some(signal),
                }
            });
            signals.collect()
        };
        self.nodes.iter().map(of_node).collect()
    }

    /// A step of all modules on signals.
    pub(super) fn advance_on_host(&mut self, inputs: &[&Signal]) {
        let Hosting::In(stay) = &mut self.host else { panic!("the controller has not entered the host") };
        let Stay { modules, signals, next, .. } = &mut **stay;
        let surroundings = Surroundings { inputs, mask: self.mask.as_ref(), device: &self.device };
        let nodes = self.nodes.iter_mut().zip(modules).zip(next.iter_mut());
        match self.when {
            Order::Dependencies => {
                for (at, ((node, module), next)) in nodes.enumerate() {
                    module.step(node, signals, next, &surroundings);
                    mem::swap(&mut signals[at], next);
                }
            }
            Order::Latency => {
                let mut nodes: Vec<_> = nodes.collect();
                self.schedule.run(&mut nodes, |((node, module), next)| {
                    module.step(node, signals, next, &surroundings);
                });
                mem::swap(signals, next);
            }
        }
        stay.steps += 1;
    }

    /// A step on the inputs that wait, of a controller that stands alone; `None`, with nothing done, where they
    /// cannot pass as signals.
    pub(super) fn step_alone(&mut self) -> Option<PortValues> {
        let Hosting::In(stay) = &mut self.host else { return None };
        let mut external = mem::take(&mut stay.external);
        let given = self.external.iter().zip(&self.calls).filter(|(_, (_, shape))| !shape.units.is_empty());
        let read = given.zip(&mut external).all(|((payload, _), signal)| match payload {
            Some(payload) => signal.read(payload),
            None => false,
        });
        if read {
            self.advance_on_host(&external.iter().collect::<Vec<_>>());
        }
        let Hosting::In(stay) = &mut self.host else { return None };
        stay.external = external;
        if !read {
            self.come_back();
            self.host = Hosting::Never;
            return None;
        }
        let mut outputs = PortValues::default();
        for (name, kind, Place { node, output }) in &stay.outputs {
            let payload = stay.signals[*node][*output].payload(*kind, &self.device);
            outputs.put(*name, payload.expect("outputs are checked when the host is entered"));
        }
        Some(outputs)
    }

    /// A step of a controller inside another one.
    pub(super) fn step_inside(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        self.advance_on_host(inputs);
        let Hosting::In(stay) = &mut self.host else { return };
        for ((_, _, Place { node, output }), given) in stay.outputs.iter().zip(outputs) {
            match (&stay.signals[*node][*output], given) {
                (Signal::Spikes(spikes), given) => given.spikes().copy(spikes),
                (Signal::Values(values), given) => given.write(values),
            }
        }
    }

    /// What a slot holds, wherever that is.
    pub(super) fn slot(&self, node: &Node, output: usize) -> Option<Payload> {
        let slot = node.first + output;
        let Hosting::In(stay) = &self.host else { return self.slots[slot].clone() };
        let at = self.nodes.iter().position(|other| other.first == node.first && other.name == node.name)?;
        let shape = &node.outputs[output].1;
        match Signal::carries(shape.kind) && !shape.pairs {
            true => stay.signals[at][output].payload(shape.kind, &self.device),
            false => None,
        }
    }

    /// Comes back from the host, to try again unless that did not pay.
    pub(super) fn come_back(&mut self) {
        if !matches!(self.host, Hosting::In(_)) {
            return;
        }
        for at in 0..self.nodes.len() {
            for output in 0..self.nodes[at].outputs.len() {
                let slot = self.nodes[at].first + output;
                let waiting = if self.waiting[slot] { self.slot(&self.nodes[at], output) } else { None };
                self.slots[slot] = waiting;
            }
        }
        self.nodes.iter_mut().for_each(|node| node.instance.leave_host());
        let Hosting::In(stay) = mem::take(&mut self.host) else { return };
        let short = if stay.steps < WORTHWHILE { stay.short + 1 } else { 0 };
        self.host = if short < PATIENCE { Hosting::Out { short } } else { Hosting::Never };
    }
}
