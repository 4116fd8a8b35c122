//! Components at work: with their state, of one type or of any.

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{DType, Int, Tensor};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;

use crate::component::Component;
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

    /// Back to the initial state; parameters stay.
    fn reset(&mut self);

    /// The modules inside, by name; none in a component.
    fn modules(&self) -> Vec<(&str, &dyn Instance)> {
        Vec::new()
    }

    /// A module inside, to be changed.
    fn module_mut(&mut self, _name: &str) -> Option<&mut dyn Instance> {
        None
    }

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
#[derive(Clone, Debug)]
pub struct Running<C: Component> {
    component: C,
    plan: C::Plan,
    /// Absent only while a step is under way.
    state: Option<C::State>,
    inputs: InputShapes,
    batch: usize,
}

impl<C: Component> Running<C> {
    /// A component in its initial state, for `batch` samples of what is wired to it.
    pub fn new(component: C, inputs: InputShapes, batch: usize) -> Self {
        let plan = component.plan();
        let state = Some(component.initial_state(&plan, batch));
        Self { component, plan, state, inputs, batch }
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

    fn forward(&mut self, inputs: PortValues) -> PortValues {
        let inputs = C::Inputs::from_values(inputs).unwrap_or_else(|error| panic!("{error}"));
        self.advance(inputs).into_values()
    }

    fn reset(&mut self) {
        self.state = Some(self.component.initial_state(&self.plan, self.batch));
    }

    fn property(&self, name: &str) -> Result<Payload, PortError> {
        self.known(name)?;
        Ok(self.component.property(self.state(), name).expect("a property of the list has a value"))
    }

    fn property_shape(&self, name: &str) -> Result<Shape, PortError> {
        let shape = self.component.property_shape(name);
        shape.map_or_else(|| self.property(name).map(|value| value.shape()), Ok)
    }

    fn set_property(&mut self, name: &str, value: Payload) -> Result<(), PortError> {
        self.writable(name)?;
        let state = self.state.as_mut().expect("no step is under way");
        self.component.set_property(state, name, value)?;
        if let Some(plan) = self.component.replanned(name) {
            self.plan = plan;
        }
        Ok(())
    }

    fn take_property(&mut self, name: &str) -> Result<Payload, PortError> {
        self.writable(name)?;
        let state = self.state.as_mut().expect("no step is under way");
        Ok(self.component.take_property(state, name).expect("a property of the list has a value"))
    }

    fn save(&self) -> Saved {
        state::save(self.state().clone())
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.state = Some(state::restore(self.state().clone(), saved)?);
        Ok(())
    }
}
