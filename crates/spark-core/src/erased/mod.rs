//! Components of any type as one Burn module: parameters visited by name, state passed in and handed back.
//!
//! Burn's modules cannot be made into trait objects, because visitors are generic over ranks. What stands here
//! takes parameters out of a component and puts them back, so that containers of trainable layers, optimizers
//! and checkpoints handle a component that they have never heard of like any other module.

mod parameters;
mod planes;

use burn::module::{
    Content, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
};
use burn::tensor::{Device, Tensor};
use std::fmt;

use crate::component::Component;
use crate::payload::{Currents, Floats, Payload, PayloadKind, Potentials, Spikes};
use crate::ports::{PortSpec, PortValues, Ports};
use parameters::Held;

pub use planes::{Plane, Planes};

/// A component of any type that takes one payload and gives one, as a Burn module.
///
/// # Examples
/// ```
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
/// use spark_core::Component;
/// use spark_core::erased::AnyComponent;
/// use spark_core::payload::{Currents, PayloadKind, Shape, Spikes};
///
/// spark_core::ports! {
///     /// What it takes.
///     pub struct Inputs {
///         /// In pA.
///         current: Currents,
///     }
/// }
///
/// spark_core::ports! {
///     /// What it gives.
///     pub struct Outputs {
///         /// Of the units.
///         spikes: Spikes,
///     }
/// }
///
/// /// Spikes as soon as enough charge has come in.
/// #[derive(Module, Debug)]
/// struct Counter {
///     limit: f32,
/// }
///
/// impl Component for Counter {
///     type Inputs = Inputs;
///     type Outputs = Outputs;
///     type State = Tensor<2>;
///     type Plan = ();
///
///     fn plan(&self) {}
///
///     fn initial_state(&self, (): &(), batch: usize) -> Tensor<2> {
///         Tensor::zeros([batch, 2], &Device::flex())
///     }
///
///     fn step(&self, (): &(), inputs: Inputs, charge: Tensor<2>) -> (Outputs, Tensor<2>) {
///         let charge = charge + inputs.current.0;
///         let spikes = Spikes::new(charge.clone().greater_elem(self.limit).float());
///         (Outputs { spikes }, charge)
///     }
///
///     fn output_shapes(&self) -> Vec<Shape> {
///         vec![Shape::new(PayloadKind::Spikes, &[2])]
///     }
/// }
///
/// let component = AnyComponent::new(Counter { limit: 1.5 }).unwrap();
/// let ran = component.sequence(Tensor::ones([3, 1, 2], &Device::flex()), component.initial_state(1));
/// assert_eq!(ran.output.into_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
/// ```
#[derive(Debug)]
pub struct AnyComponent(Box<dyn Erased>);

/// What a component gives for a sequence.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// `[time, batch, units]`; spikes carry the sign of their unit.
    pub output: Tensor<3>,
    /// The property `potential` after each step, `[time, batch, units]`; `None` where there is none.
    pub potential: Option<Tensor<3>>,
    /// State after the last step.
    pub state: Planes,
}

/// A component on its way through a sequence.
pub trait Walk {
    /// One step `[batch, units]`; `potential` is that of the postsynaptic units, for synapses that need it.
    ///
    /// # Panics
    /// If the input is not of the shape that the component was built for, or a potential is missing.
    fn step(&mut self, input: Tensor<2>, potential: Option<Tensor<2>>) -> Tensor<2>;

    /// The property `potential`, `[batch, units]`, where there is one.
    fn potential(&self) -> Option<Tensor<2>>;

    /// The state after the last step.
    fn finish(self: Box<Self>) -> Planes;
}

impl AnyComponent {
    /// A component; `None` where it gives anything else than one payload per unit, or takes anything else than
    /// that and, as synapses with reversal potentials do, the potential of the units behind it.
    pub fn new<C: Component>(component: C) -> Option<Self> {
        input_port::<C>()?;
        output_kind::<C>()?;
        Some(Self(Box::new(component)))
    }

    /// Whether it takes the potential of the units behind it too.
    pub fn needs_potential(&self) -> bool {
        self.0.needs_potential()
    }

    /// The state before the first step of `batch` samples.
    pub fn initial_state(&self, batch: usize) -> Planes {
        self.0.initial_state(batch)
    }

    /// A sequence `[time, batch, units]` of what its input port takes.
    ///
    /// A component without state sees all steps as one batch.
    ///
    /// # Panics
    /// If the input or the state is not of the shape that it was built for, or if it needs a potential.
    pub fn sequence(&self, input: Tensor<3>, state: Planes) -> Sequence {
        self.0.sequence(input, state)
    }

    /// The same step by step, for who has to look at it in between; `batch` samples from `state`.
    ///
    /// # Panics
    /// If the state is not one of this component.
    pub fn walk(&self, batch: usize, state: Planes) -> Box<dyn Walk + '_> {
        self.0.walk(batch, state)
    }

    /// The names of its parameters, such as `membrane.tau`, in their order.
    pub fn parameters(&self) -> Vec<String> {
        self.0.parameters().iter().map(Held::name).collect()
    }
}

/// What is needed of a component of any type; implemented for all of them.
trait Erased: fmt::Debug + Send {
    fn duplicate(&self) -> Box<dyn Erased>;
    fn parameters(&self) -> Vec<Held>;
    fn with_parameters(&self, parameters: Vec<Held>) -> Box<dyn Erased>;
    fn devices(&self, devices: Vec<Device>) -> Vec<Device>;
    fn changed(&self, change: Change<'_>) -> Box<dyn Erased>;
    fn needs_potential(&self) -> bool;
    fn initial_state(&self, batch: usize) -> Planes;
    fn sequence(&self, input: Tensor<3>, state: Planes) -> Sequence;
    fn walk(&self, batch: usize, state: Planes) -> Box<dyn Walk + '_>;
}

/// What [`Module`] does to all of a module.
enum Change<'a> {
    Fork(&'a Device),
    Move(&'a Device),
    Train,
    Valid,
    Materialize,
}

impl<C: Component> Erased for C {
    fn duplicate(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }

    fn parameters(&self) -> Vec<Held> {
        parameters::of(self)
    }

    fn with_parameters(&self, held: Vec<Held>) -> Box<dyn Erased> {
        Box::new(parameters::put(self.clone(), held))
    }

    fn devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.collect_devices(devices)
    }

    fn changed(&self, change: Change<'_>) -> Box<dyn Erased> {
        let component = self.clone();
        Box::new(match change {
            Change::Fork(device) => component.fork(device),
            Change::Move(device) => component.to_device(device),
            Change::Train => component.train(),
            Change::Valid => component.valid(),
            Change::Materialize => component.materialize(),
        })
    }

    fn needs_potential(&self) -> bool {
        takes_potential::<C>()
    }

    fn initial_state(&self, batch: usize) -> Planes {
        Planes::of(Component::initial_state(self, &self.plan(), batch))
    }

    fn sequence(&self, input: Tensor<3>, state: Planes) -> Sequence {
        let [time, batch, units] = input.dims();
        if size_of::<C::State>() == 0 {
            let output =
                self.walk(time * batch, Planes::default()).step(input.reshape([time * batch, units]), None);
            let units = output.dims()[1];
            return Sequence { output: output.reshape([time, batch, units]), potential: None, state };
        }
        let mut walk = self.walk(batch, state);
        let (mut found, mut potentials) = (Vec::with_capacity(time), Vec::new());
        for t in 0..time {
            let current = input.clone().slice_dim(0, t..t + 1).reshape([batch, units]);
            found.push(walk.step(current, None));
            potentials.extend(walk.potential());
        }
        Sequence {
            output: Tensor::stack(found, 0),
            potential: (!potentials.is_empty()).then(|| Tensor::stack(potentials, 0)),
            state: walk.finish(),
        }
    }

    fn walk(&self, batch: usize, state: Planes) -> Box<dyn Walk + '_> {
        let plan = self.plan();
        let state = state.put(Component::initial_state(self, &plan, batch));
        Box::new(Walking { component: self, plan, state: Some(state) })
    }
}

/// A component with what a sequence needs of it.
struct Walking<'a, C: Component> {
    component: &'a C,
    plan: C::Plan,
    /// Absent only while a step is under way.
    state: Option<C::State>,
}

impl<C: Component> Walk for Walking<'_, C> {
    fn step(&mut self, input: Tensor<2>, potential: Option<Tensor<2>>) -> Tensor<2> {
        let state = self.state.take().expect("no step is under way");
        let (outputs, state) = self.component.step(&self.plan, inputs::<C>(input, potential), state);
        self.state = Some(state);
        output::<C>(outputs)
    }

    fn potential(&self) -> Option<Tensor<2>> {
        match self.component.property(self.state.as_ref()?, POTENTIAL) {
            Some(Payload::Potentials(Potentials(potential))) => Some(potential),
            _ => None,
        }
    }

    fn finish(self: Box<Self>) -> Planes {
        Planes::of(self.state.expect("no step is under way"))
    }
}

/// The name of the property of somas and of the port of synapses with reversal potentials.
const POTENTIAL: &str = "potential";

fn takes_potential<C: Component>() -> bool {
    let mut required = <C::Inputs as Ports>::PORTS.iter().filter(|port| !port.optional);
    required.any(|port| port.name == POTENTIAL && port.kind == Some(PayloadKind::Potentials))
}

/// The port that has to be wired besides that of a potential.
fn input_port<C: Component>() -> Option<&'static PortSpec> {
    let required = <C::Inputs as Ports>::PORTS.iter().filter(|port| !port.optional);
    let mut required = required.filter(|port| port.name != POTENTIAL);
    let port = required.next().filter(|port| !port.many)?;
    (required.next().is_none() && port.kind.is_some_and(is_per_unit)).then_some(port)
}

fn output_kind<C: Component>() -> Option<PayloadKind> {
    match <C::Outputs as Ports>::PORTS {
        [port] if !port.many => port.kind.filter(|&kind| is_per_unit(kind)),
        _ => None,
    }
}

fn is_per_unit(kind: PayloadKind) -> bool {
    use PayloadKind as Kind;
    matches!(kind, Kind::Spikes | Kind::Currents | Kind::Potentials | Kind::Floats)
}

fn inputs<C: Component>(values: Tensor<2>, potential: Option<Tensor<2>>) -> C::Inputs {
    let port = input_port::<C>().expect("checked when it was made");
    let payload = match port.kind {
        Some(PayloadKind::Spikes) => Payload::from(Spikes::new(values)),
        Some(PayloadKind::Currents) => Currents(values).into(),
        Some(PayloadKind::Potentials) => Potentials(values).into(),
        _ => Floats(values).into(),
    };
    let mut entries = PortValues::default();
    entries.put(port.name, payload);
    if let Some(potential) = potential {
        entries.put(POTENTIAL, Potentials(potential));
    }
    C::Inputs::from_values(entries).unwrap_or_else(|error| panic!("{error}"))
}

fn output<C: Component>(outputs: C::Outputs) -> Tensor<2> {
    let payload = outputs.into_values().into_iter().next().map(|(_, payload)| payload);
    match payload {
        Some(Payload::Spikes(spikes)) => spikes.value(),
        Some(Payload::Currents(Currents(values))) => Some(values),
        Some(Payload::Potentials(Potentials(values))) => Some(values),
        Some(Payload::Floats(Floats(values))) => Some(values),
        _ => None,
    }
    .expect("a component that gives something per unit, as was checked when it was made")
}

impl Clone for AnyComponent {
    fn clone(&self) -> Self {
        Self(self.0.duplicate())
    }
}

impl Module for AnyComponent {
    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.0.devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        Self(self.0.changed(Change::Fork(device)))
    }

    fn to_device(self, device: &Device) -> Self {
        Self(self.0.changed(Change::Move(device)))
    }

    fn train(self) -> Self {
        Self(self.0.changed(Change::Train))
    }

    fn valid(&self) -> Self {
        Self(self.0.changed(Change::Valid))
    }

    fn materialize(self) -> Self {
        Self(self.0.changed(Change::Materialize))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for parameter in self.0.parameters() {
            parameter.visit(visitor);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let parameters = self.0.parameters().into_iter().map(|parameter| parameter.map(mapper)).collect();
        Self(self.0.with_parameters(parameters))
    }
}

impl fmt::Display for AnyComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "component with {}", self.parameters().join(", "))
    }
}

impl ModuleDisplayDefault for AnyComponent {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&self.to_string()).optional()
    }
}

impl ModuleDisplay for AnyComponent {}

impl AnyComponent {
    /// The same with exactly these parameters trained.
    ///
    /// # Errors
    /// The first name that no parameter has.
    pub fn training(self, names: &[&str]) -> Result<Self, String> {
        let known = self.parameters();
        if let Some(name) = names.iter().find(|name| !known.iter().any(|known| known == *name)) {
            return Err((*name).to_owned());
        }
        struct Choose<'a>(&'a [&'a str], Vec<String>);
        impl ModuleMapper for Choose<'_> {
            fn enter_module(&mut self, name: &str, container: &str) {
                if parameters::is_named(container) {
                    self.1.push(name.to_owned());
                }
            }

            fn exit_module(&mut self, _: &str, container: &str) {
                if parameters::is_named(container) {
                    self.1.pop();
                }
            }

            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let trained = self.0.contains(&self.1.join(".").as_str());
                param.set_require_grad(trained)
            }
        }
        Ok(self.map(&mut Choose(names, Vec::new())))
    }
}
