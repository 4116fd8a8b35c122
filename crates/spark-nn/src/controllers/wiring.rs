//! How modules are wired: checked, and put in order.

use serde_json::Value;
use spark_core::Problems;
use spark_core::model::{ModuleSpec, Origin, Wire, is_name, same};
use spark_core::payload::PayloadKind;
use spark_core::ports::{InputShapes, PortSpec};
use spark_core::registry::{self, AnyConfig, Interface};
use spark_core::schema::join;

use super::assembly::Assembly;

/// When modules run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// After those whose outputs they read, within one step.
    Dependencies,
    /// All on what was there before the step.
    Latency,
}

/// Where a payload comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An input of the controller, by its place.
    Call(usize),
    /// An output port of a module.
    Port {
        /// The module, by its place.
        module: usize,
        /// The port.
        port: String,
    },
    /// A property of a module.
    Property {
        /// The module, by its place.
        module: usize,
        /// The property.
        name: String,
    },
    /// The inhibition mask of the neuron.
    Mask,
}

/// What feeds one port, or writes one property.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The port or property.
    pub port: String,
    /// Where from; several are joined.
    pub sources: Vec<Source>,
}

/// A module together with what its wiring means.
#[derive(Debug)]
pub struct WiredModule {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: Box<dyn AnyConfig>,
    /// Its ports.
    pub interface: Interface,
    /// What feeds its inputs.
    pub feeds: Vec<Feed>,
    /// What writes its properties after a step.
    pub effects: Vec<Feed>,
}

/// An output of a controller.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name outside.
    pub name: String,
    /// The module that it comes from, by its place.
    pub module: usize,
    /// The port of that module.
    pub port: String,
}

/// Modules with their wiring resolved.
#[derive(Debug)]
pub struct Wired {
    /// The modules as they are listed.
    pub modules: Vec<WiredModule>,
    /// When they run.
    pub when: Order,
    /// The order in which they run.
    pub order: Vec<usize>,
    /// Inputs of the controller.
    pub calls: Vec<PortSpec>,
    /// Outputs of the controller.
    pub outputs: Vec<Output>,
}

impl Wired {
    /// Resolves the wiring of modules whose configurations are complete; what is wrong is left out and
    /// reported.
    ///
    /// * `handed`: fields that the controller hands down, which modules must not contradict.
    /// * `path`: where the controller stands; empty at the top.
    pub fn new(
        specs: &[ModuleSpec],
        when: Order,
        handed: &[(&'static str, Value)],
        path: &str,
        problems: &mut Problems,
    ) -> Self {
        let mut wired =
            Self { modules: Vec::new(), when, order: Vec::new(), calls: Vec::new(), outputs: Vec::new() };
        let mut known: Vec<&ModuleSpec> = Vec::new();
        for spec in specs {
            let path = join(path, &spec.name);
            check_name(spec, &path, problems);
            contradictions(spec, handed, &path, problems);
            if let Some(module) = configured(spec, &path, problems) {
                wired.modules.push(module);
                known.push(spec);
            }
        }
        for (place, spec) in known.iter().enumerate() {
            wired.connect(place, spec, &join(path, &spec.name), problems);
        }
        wired.order = match when {
            Order::Dependencies => wired.dependencies(path, problems),
            Order::Latency => wired.owners_first(),
        };
        wired
    }

    /// The ports of the controller.
    pub fn interface(&self) -> Interface {
        let output = |output: &Output| {
            let port = self.modules[output.module].interface.output(&output.port);
            PortSpec::of_controller(&output.name, port.and_then(|port| port.kind), false)
        };
        Interface {
            inputs: self.calls.clone(),
            outputs: self.outputs.iter().map(output).collect(),
            properties: Vec::new(),
        }
    }

    /// A source as it is written.
    pub fn wire(&self, source: &Source) -> Wire {
        match source {
            Source::Call(place) => Wire::call(self.calls[*place].name),
            Source::Port { module, port } => Wire::output(&self.modules[*module].name, port),
            Source::Property { module, name } => Wire::property(&self.modules[*module].name, name),
            Source::Mask => Wire::property("__self__", INHIBITION_PORT),
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.modules.iter().position(|module| module.name == name)
    }

    fn connect(&mut self, place: usize, spec: &ModuleSpec, path: &str, problems: &mut Problems) {
        let mut feeds = Vec::new();
        for (port, wires) in &spec.inputs {
            let path = format!("{path}.inputs.{port}");
            let interface = &self.modules[place].interface;
            let Some(known) = interface.input(port) else {
                let names = interface.inputs.iter().map(|port| port.name);
                problems.push(path, "a port that the module does not have", one_of(names));
                continue;
            };
            let (kind, optional) = (known.kind, known.optional);
            if wires.is_empty() {
                problems.push(&path, "no connection", "at least one");
            }
            let sources: Vec<Source> =
                wires.iter().filter_map(|wire| self.source(wire, kind, optional, &path, problems)).collect();
            if sources.len() > 1 && matches!(kind, Some(PayloadKind::Kernel | PayloadKind::DelayKernel)) {
                problems.push(&path, format!("{} connections", sources.len()), "one: kernels are not joined");
            }
            feeds.push(Feed { port: port.clone(), sources });
        }
        for port in &self.modules[place].interface.inputs {
            let fed = match port.many {
                true => !feeds.is_empty(),
                false => feeds.iter().any(|feed| feed.port == port.name),
            };
            if fed {
                continue;
            }
            if port.name == INHIBITION_PORT && self.when == Order::Dependencies {
                feeds.push(Feed { port: INHIBITION_PORT.to_owned(), sources: vec![Source::Mask] });
            } else if !port.optional {
                problems.push(format!("{path}.inputs.{}", port.name), "no connection", port.carries());
            }
        }
        self.modules[place].feeds = feeds;
        self.connect_effects(place, spec, path, problems);
        self.connect_outputs(place, spec, path, problems);
    }

    fn connect_effects(&mut self, place: usize, spec: &ModuleSpec, path: &str, problems: &mut Problems) {
        let mut effects = Vec::new();
        for (name, wires) in &spec.effects {
            let path = format!("{path}.effects.{name}");
            let interface = &self.modules[place].interface;
            let Some(property) = interface.property(name).copied() else {
                let names = interface.properties.iter().map(|property| property.name);
                problems.push(path, "a property that the module does not have", one_of(names));
                continue;
            };
            if !property.writable {
                problems.push(&path, "a property that cannot be written", "one that can");
            }
            if wires.len() != 1 {
                problems.push(&path, format!("{} connections", wires.len()), "one");
            }
            let source = |wire| self.source(wire, Some(property.kind), false, &path, problems);
            let sources: Vec<Source> = wires.iter().filter_map(source).collect();
            effects.push(Feed { port: name.clone(), sources });
        }
        self.modules[place].effects = effects;
    }

    fn connect_outputs(&mut self, place: usize, spec: &ModuleSpec, path: &str, problems: &mut Problems) {
        for (name, port) in &spec.outputs {
            let path = format!("{path}.outputs.{name}");
            let interface = &self.modules[place].interface;
            if interface.output(port).is_none() {
                problems.push(
                    path,
                    format!("`{port}`"),
                    one_of(interface.outputs.iter().map(|port| port.name)),
                );
                continue;
            }
            if self.outputs.iter().any(|output| output.name == *name) || !is_name(name) {
                problems.push(path, format!("`{name}`"), "a name that no other output has, without dots");
                continue;
            }
            self.outputs.push(Output { name: name.clone(), module: place, port: port.clone() });
        }
    }

    /// What a connection means for a port of this kind.
    fn source(
        &mut self,
        wire: &Wire,
        kind: Option<PayloadKind>,
        optional: bool,
        path: &str,
        problems: &mut Problems,
    ) -> Option<Source> {
        let mut unknown = |what: &str, names: Vec<&str>| {
            problems.push(path, format!("`{wire}`, {what}"), one_of(names.into_iter()));
        };
        let (source, found) = match &wire.origin {
            Origin::Call => return self.call(wire, kind, optional, path, problems).map(Source::Call),
            Origin::Own
                if wire.property && wire.port == INHIBITION_PORT && self.when == Order::Dependencies =>
            {
                (Source::Mask, Some(PayloadKind::Mask))
            }
            Origin::Own => {
                unknown(
                    "a property that the controller does not have",
                    vec!["__self__#inhibition_mask of a neuron"],
                );
                return None;
            }
            Origin::Module(name) => {
                let Some(module) = self.place(name) else {
                    let names = self.modules.iter().map(|module| module.name.as_str());
                    unknown("a module that is not there", names.collect());
                    return None;
                };
                let interface = &self.modules[module].interface;
                let (port, name) = (wire.port.clone(), wire.port.clone());
                if wire.property {
                    let Some(property) = interface.property(&wire.port) else {
                        let names = interface.properties.iter().map(|property| property.name);
                        unknown("a property that the module does not have", names.collect());
                        return None;
                    };
                    (Source::Property { module, name }, Some(property.kind))
                } else {
                    let Some(output) = interface.output(&wire.port) else {
                        let names = interface.outputs.iter().map(|port| port.name);
                        unknown("a port that the module does not have", names.collect());
                        return None;
                    };
                    (Source::Port { module, port }, output.kind)
                }
            }
        };
        match (found, kind) {
            (Some(found), Some(kind)) if found != kind => {
                problems.push(path, format!("{found} from `{wire}`"), kind.name());
                None
            }
            _ => Some(source),
        }
    }

    /// The place of an input of the controller; its type is that of the first port that says one.
    fn call(
        &mut self,
        wire: &Wire,
        kind: Option<PayloadKind>,
        optional: bool,
        path: &str,
        problems: &mut Problems,
    ) -> Option<usize> {
        let Some(place) = self.calls.iter().position(|call| call.name == wire.port) else {
            self.calls.push(PortSpec::of_controller(&wire.port, kind, optional));
            return Some(self.calls.len() - 1);
        };
        let call = &mut self.calls[place];
        match (call.kind, kind) {
            (Some(known), Some(kind)) if known != kind => {
                problems.push(path, format!("{known} from `{wire}`, as another port takes it"), kind.name());
                return None;
            }
            (None, kind) => call.kind = kind,
            _ => {}
        }
        call.optional &= optional;
        Some(place)
    }

    /// Modules whose outputs a module reads.
    fn read_by(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        let sources = self.modules[place].feeds.iter().flat_map(|feed| &feed.sources);
        sources.filter_map(|source| match source {
            Source::Port { module, .. } => Some(*module),
            _ => None,
        })
    }

    /// Modules after those that they read from. In a loop somebody has to read what was there one step before:
    /// it can where the shapes of the other are known without building it. Of several that could, the one that is
    /// listed first does.
    fn dependencies(&self, path: &str, problems: &mut Problems) -> Vec<usize> {
        let recurrent = Assembly::new(self, &InputShapes::default()).foreseen();
        let mut order: Vec<usize> = Vec::new();
        while order.len() < self.modules.len() {
            let left: Vec<usize> = (0..self.modules.len()).filter(|place| !order.contains(place)).collect();
            let waits = |place: usize, late: bool| {
                let there = |read: usize| order.contains(&read) || (late && recurrent[read]);
                !self.read_by(place).all(there)
            };
            let ready = left.iter().find(|place| !waits(**place, false));
            match ready.or_else(|| left.iter().find(|place| !waits(**place, true))) {
                Some(place) => order.push(*place),
                None => {
                    let names = self.loop_among(&left).join(" → ");
                    let expected = "no loop within a step, or a module in it whose shapes follow from its \
                                    configuration, such as synapses";
                    problems.push(
                        if path.is_empty() { "modules" } else { path },
                        format!("the loop {names}"),
                        expected,
                    );
                    order.extend(left);
                }
            }
        }
        order
    }

    /// The names along a loop among modules that all wait for one another.
    fn loop_among(&self, left: &[usize]) -> Vec<&str> {
        let mut trail = vec![left[0]];
        loop {
            let last = *trail.last().expect("the trail has a start");
            let Some(next) = self.read_by(last).find(|read| left.contains(read)) else { break };
            if let Some(start) = trail.iter().position(|seen| *seen == next) {
                trail.drain(..start);
                trail.push(next);
                break;
            }
            trail.push(next);
        }
        // The trail runs against the flow.
        trail.iter().rev().map(|place| self.modules[*place].name.as_str()).collect()
    }

    /// Modules after those whose properties they read, where that is possible: who reads a property last may
    /// then take it and change it in place.
    fn owners_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = Vec::new();
        let owners = |place: usize| {
            let sources = self.modules[place].feeds.iter().flat_map(|feed| &feed.sources);
            sources.filter_map(|source| match source {
                Source::Property { module, .. } => Some(*module),
                _ => None,
            })
        };
        while order.len() < self.modules.len() {
            let mut left = (0..self.modules.len()).filter(|place| !order.contains(place));
            let ready = left.clone().find(|place| owners(*place).all(|owner| order.contains(&owner)));
            order.extend(ready.or_else(|| left.next()));
        }
        order
    }
}

/// The port and the property by which a neuron says which of its units inhibit.
pub const INHIBITION_PORT: &str = "inhibition_mask";

fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none, there is none".to_owned() } else { names.join(", ") }
}

fn check_name(spec: &ModuleSpec, path: &str, problems: &mut Problems) {
    if !is_name(&spec.name) || spec.name.starts_with("__") {
        problems.push(path, format!("the name `{}`", spec.name), "a name without dots, spaces and brackets");
    }
}

fn contradictions(spec: &ModuleSpec, handed: &[(&str, Value)], path: &str, problems: &mut Problems) {
    for (field, value) in handed {
        if let Some(found) = spec.config.fields.get(*field)
            && !same(found, value)
        {
            problems.push(join(path, field), found, format!("{value}, as the controller hands it down"));
        }
    }
}

fn configured(spec: &ModuleSpec, path: &str, problems: &mut Problems) -> Option<WiredModule> {
    let registration = match registry::find(&spec.module) {
        Ok((registration, _)) => registration,
        Err(error) => {
            problems.push(path, error, "a registered module");
            return None;
        }
    };
    match registration.parse_settings(spec.config.clone()) {
        Ok(config) => {
            let interface = config.interface();
            let (feeds, effects) = Default::default();
            Some(WiredModule { name: spec.name.clone(), config, interface, feeds, effects })
        }
        Err((field, message)) => {
            problems.push(join(path, &field), message, format!("a configuration of {}", spec.module));
            None
        }
    }
}
