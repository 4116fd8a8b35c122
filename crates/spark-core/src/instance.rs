//! Components at work: with their state, of one type or of any.

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{DType, Int, Tensor};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;

use crate::component::Component;
use crate::host::{HostStep, HostWiring, Signal};
use crate::look::{Look, Place, Sight, SightKind, Spot};
use crate::payload::{Payload, Shape};
use crate::ports::{self, InputShapes, PortError, PortSpec, PortValues, Ports, PropertySpec};
use crate::state::{self, Saved, StateError};

/// A component with its state, as controllers hold it: of any type.
pub trait Instance: fmt::Debug + Send {
    /// Ports that it takes from.
    fn inputs(&self) -> &[PortSpec];

    /// Ports that it gives to.
    fn outputs(&self) -> &[PortSpec];

    /// What others may read and write.
    fn properties(&self) -> &[PropertySpec];

    /// The shape that is wired to an input port; `None` where nothing is.
    fn input_shape(&self, port: &str) -> Option<Shape>;

    /// The shape at each output port, in their order.
    fn output_shapes(&self) -> Vec<Shape>;

    /// Name and shape of each output port, where one stands for many those that there are.
    fn output_ports(&self) -> Vec<(Cow<'static, str>, Shape)> {
        ports::written_out(self.outputs(), self.output_shapes())
    }

    /// One step.
    ///
    /// # Errors
    /// When a payload is missing or does not fit its port; the state is then as before.
    fn step(&mut self, inputs: PortValues) -> Result<PortValues, PortError>;

    /// One step of payloads that are known to fit, as the wiring of a controller makes sure.
    ///
    /// # Panics
    /// If one is missing or does not fit its port.
    fn forward(&mut self, inputs: PortValues) -> PortValues;

    /// Goes to work on the host, where it has a form for that; see [`host`](crate::host). Returns whether it does.
    fn enter_host(&mut self, wiring: &mut HostWiring) -> bool;

    /// One step on the host: signals in the order in which ports are wired, and of outputs.
    ///
    /// # Panics
    /// If it did not enter.
    fn step_on_host(&mut self, inputs: &[&Signal], outputs: &mut [Signal]);

    /// Comes back from the host, in the state that its steps led to.
    fn leave_host(&mut self);

    /// Back to the initial state; parameters stay.
    fn reset(&mut self);

    /// The modules inside, by name; none in a component.
    fn modules(&self) -> Vec<(&str, &dyn Instance)> {
        Vec::new()
    }

    /// Everything that [`look`](Self::look) can see, by address: outputs, properties and planes of state.
    fn sights(&self) -> Vec<Sight>;

    /// Where an address leads; what passes there is kept from then on until the next step. `None` where nothing of
    /// that address can be seen.
    fn find(&mut self, address: &str) -> Option<Place>;

    /// Shows what stands at a place now; not called back where nothing is there yet. A component does not keep its
    /// outputs.
    ///
    /// # Panics
    /// If the place was not found in this module.
    fn look(&self, place: &Place, see: &mut dyn FnMut(Look<'_>)) {
        self.look_along(&place.route, &place.spot, see);
    }

    /// [`look`](Self::look) at what is at the end of a route.
    fn look_along(&self, route: &[usize], spot: &Spot, see: &mut dyn FnMut(Look<'_>));

    /// How much it holds.
    fn footprint(&self) -> Footprint;

    /// The value of a property.
    ///
    /// # Errors
    /// When there is none of this name.
    fn property(&self, name: &str) -> Result<Payload, PortError>;

    /// The shape of a property, with all its axes.
    ///
    /// # Errors
    /// When there is none of this name.
    fn property_shape(&self, name: &str) -> Result<Shape, PortError>;

    /// Writes a property.
    ///
    /// # Errors
    /// When there is none of this name, it cannot be written, or the payload does not fit.
    fn set_property(&mut self, name: &str, value: Payload) -> Result<(), PortError>;

    /// Takes the value of a writable property out, to be written back before the next step.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be written.
    fn take_property(&mut self, name: &str) -> Result<Payload, PortError>;

    /// The state by name.
    fn save(&self) -> Saved;

    /// Replaces the state.
    ///
    /// # Errors
    /// When a part is missing, unknown or of another shape; the state is then as before.
    fn restore(&mut self, saved: &Saved) -> Result<(), StateError>;
}

/// How much a module holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Footprint {
    /// Numbers that make up its parameters.
    pub parameters: usize,
    /// Bytes of its parameters and its state.
    pub bytes: usize,
}

/// Counts parameters: numbers, and whole numbers such as delays and targets of synapses.
impl ModuleVisitor for Footprint {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let plane = param.val();
        self.add(plane.shape().num_elements(), plane.dtype());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        let plane = param.val();
        self.add(plane.shape().num_elements(), plane.dtype());
    }
}

impl Footprint {
    fn add(&mut self, entries: usize, dtype: DType) {
        self.parameters += entries;
        self.bytes += entries * dtype.size();
    }
}

impl std::iter::Sum for Footprint {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| Self {
            parameters: sum.parameters + part.parameters,
            bytes: sum.bytes + part.bytes,
        })
    }
}

/// A component with its state.
///
/// # Examples
/// See [`ComponentConfig::run`](crate::ComponentConfig::run) and the components of `spark-nn`.
#[derive(Debug)]
pub struct Running<C: Component> {
    component: C,
    plan: C::Plan,
    /// Absent only while a step is under way.
    state: Option<C::State>,
    inputs: InputShapes,
    batch: usize,
    /// What steps in its place.
    host: Option<Box<dyn HostStep<C>>>,
}

impl<C: Component> Clone for Running<C> {
    /// A copy in the same state, with tensors of its own accord.
    fn clone(&self) -> Self {
        let (component, state) = self.present(|component, state| (component.clone(), state.clone()));
        let (plan, inputs) = (self.plan.clone(), self.inputs.clone());
        Self { component, plan, state: Some(state), inputs, batch: self.batch, host: None }
    }
}

impl<C: Component> Running<C> {
    /// A component in its initial state, for `batch` samples of what is wired to it.
    pub fn new(component: C, inputs: InputShapes, batch: usize) -> Self {
        let plan = component.plan();
        let state = Some(component.initial_state(&plan, batch));
        Self { component, plan, state, inputs, batch, host: None }
    }

    /// Component and state as they are now, wherever they are.
    fn present<R>(&self, read: impl FnOnce(&C, &C::State) -> R) -> R {
        let Some(host) = &self.host else { return read(&self.component, self.state()) };
        let (mut component, mut state) = (self.component.clone(), self.state().clone());
        host.settle(&mut component, &mut state);
        read(&component, &state)
    }

    /// The component.
    pub fn component(&self) -> &C {
        &self.component
    }

    /// The state.
    pub fn state(&self) -> &C::State {
        self.state.as_ref().expect("no step is under way")
    }

    /// One step of payloads by type instead of by name.
    ///
    /// # Panics
    /// If a payload is not of the shape that the component was built for.
    pub fn advance(&mut self, inputs: C::Inputs) -> C::Outputs {
        self.leave_host();
        let state = self.state.take().unwrap_or_else(|| self.component.initial_state(&self.plan, self.batch));
        let (outputs, state) = self.component.step(&self.plan, inputs, state);
        self.state = Some(state);
        outputs
    }

    fn known(&self, name: &str) -> Result<&'static PropertySpec, PortError> {
        C::PROPERTIES.iter().find(|property| property.name == name).ok_or_else(|| PortError::Unknown {
            what: "property",
            name: name.to_owned(),
            known: C::PROPERTIES.iter().map(|property| property.name).collect(),
        })
    }

    fn writable(&self, name: &str) -> Result<(), PortError> {
        if self.known(name)?.writable { Ok(()) } else { Err(PortError::ReadOnly(name.to_owned())) }
    }
}

impl<C: Component> Instance for Running<C> {
    fn inputs(&self) -> &[PortSpec] {
        C::Inputs::PORTS
    }

    fn outputs(&self) -> &[PortSpec] {
        C::Outputs::PORTS
    }

    fn properties(&self) -> &[PropertySpec] {
        C::PROPERTIES
    }

    fn input_shape(&self, port: &str) -> Option<Shape> {
        self.inputs.get(port).cloned()
    }

    fn footprint(&self) -> Footprint {
        let mut footprint = Footprint { parameters: 0, bytes: state::size(self.state().clone()) };
        self.component.visit(&mut footprint);
        footprint
    }

    fn output_shapes(&self) -> Vec<Shape> {
        self.component.output_shapes()
    }

    fn step(&mut self, mut inputs: PortValues) -> Result<PortValues, PortError> {
        for (port, payload) in inputs.iter() {
            if let Some(shape) = self.inputs.get(port) {
                payload.check(port, shape, self.batch)?;
            }
        }
        if C::Inputs::PORTS.iter().any(|port| port.many) {
            self.inputs.check_all(&inputs)?;
            inputs.sort_as(&self.inputs);
        }
        Ok(self.advance(C::Inputs::from_values(inputs)?).into_values())
    }

    fn enter_host(&mut self, wiring: &mut HostWiring) -> bool {
        self.host = match self.batch {
            1 => self.component.on_host(&self.plan, self.state(), wiring),
            _ => None,
        };
        self.host.is_some()
    }

    fn step_on_host(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        self.host.as_mut().expect("it entered").step(inputs, outputs);
    }

    fn leave_host(&mut self) {
        if let Some(host) = self.host.take() {
            let state = self.state.as_mut().expect("no step is under way");
            host.settle(&mut self.component, state);
        }
    }

    fn forward(&mut self, inputs: PortValues) -> PortValues {
        let inputs = C::Inputs::from_values(inputs).unwrap_or_else(|error| panic!("{error}"));
        self.advance(inputs).into_values()
    }

    fn reset(&mut self) {
        self.leave_host();
        self.state = Some(self.component.initial_state(&self.plan, self.batch));
    }

    fn property(&self, name: &str) -> Result<Payload, PortError> {
        self.known(name)?;
        let value = self.present(|component, state| component.property(state, name));
        Ok(value.expect("a property of the list has a value"))
    }

    fn property_shape(&self, name: &str) -> Result<Shape, PortError> {
        let shape = self.component.property_shape(name);
        shape.map_or_else(|| self.property(name).map(|value| value.shape()), Ok)
    }

    fn set_property(&mut self, name: &str, value: Payload) -> Result<(), PortError> {
        self.writable(name)?;
        self.leave_host();
        let state = self.state.as_mut().expect("no step is under way");
        self.component.set_property(state, name, value)?;
        if let Some(plan) = self.component.replanned(name) {
            self.plan = plan;
        }
        Ok(())
    }

    fn take_property(&mut self, name: &str) -> Result<Payload, PortError> {
        self.writable(name)?;
        self.leave_host();
        let state = self.state.as_mut().expect("no step is under way");
        Ok(self.component.take_property(state, name).expect("a property of the list has a value"))
    }

    fn sights(&self) -> Vec<Sight> {
        let properties = C::PROPERTIES.iter().map(|property| Sight {
            address: property.name.to_owned(),
            kind: SightKind::Property,
            payload: Some(property.kind),
            shape: self.property_shape(property.name).map_or_else(|_| Vec::new(), |shape| shape.units),
        });
        let known = |path: &str| C::PROPERTIES.iter().any(|property| property.name == path);
        let planes = self.save().into_iter().filter(|(path, _)| !known(path)).map(|(path, data)| Sight {
            address: path,
            kind: SightKind::State,
            payload: None,
            shape: of_one_sample(&data.shape()[..], self.batch),
        });
        properties.chain(planes).collect()
    }

    fn find(&mut self, address: &str) -> Option<Place> {
        let spot = match self.known(address) {
            Ok(property) => Spot::Property(property.name),
            Err(_) if self.save().contains_key(address) => Spot::State(address.to_owned()),
            Err(_) => return None,
        };
        Some(Place::here(spot))
    }

    fn look_along(&self, _: &[usize], spot: &Spot, see: &mut dyn FnMut(Look<'_>)) {
        let name = match spot {
            Spot::Property(name) => name,
            Spot::State(path) => path.as_str(),
            Spot::Output(..) => return,
        };
        if let Some(values) = self.host.as_ref().and_then(|host| host.look(name)) {
            return see(Look::Values(values));
        }
        match spot {
            Spot::Property(name) => see(Look::Payload(&self.property(name).expect("places are found first"))),
            _ => {
                let plane = self.present(|_, now| state::plane(now.clone(), name));
                see(Look::Data(&plane.expect("places are found first")));
            }
        }
    }

    fn save(&self) -> Saved {
        self.present(|_, now| state::save(now.clone()))
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.leave_host();
        self.state = Some(state::restore(self.state().clone(), saved)?);
        Ok(())
    }
}

/// A shape without the axis of samples, where it has one.
fn of_one_sample(shape: &[usize], batch: usize) -> Vec<usize> {
    match shape {
        [samples, rest @ ..] if *samples == batch => rest.to_vec(),
        shape => shape.to_vec(),
    }
}
