//! Components: the interchangeable parts of neurons.
//!
//! A component is written once, as a functional core: parameters in a Burn module, what changes in a
//! [`State`], and a pure, differentiable [`step`](Component::step). Its [`ComponentConfig`] describes it,
//! checks it and builds it. From these two follows everything else: [`Running`] keeps the state for callers
//! that step through time, and one line of [`register!`](crate::register!) puts the component into
//! configuration files, the command line, the editor and the documentation.

use burn::module::Module;
use burn::tensor::Device;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

pub use crate::alias::{Alias, Preset};
use crate::host::{HostStep, HostWiring};
pub use crate::instance::{Footprint, Instance, Running};
use crate::payload::{Payload, PayloadKind, Shape};
use crate::ports::{InputShapes, PortError, Ports, PropertySpec};
use crate::state::State;
use crate::{Problems, schema, seed};

/// What kind of part a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // Each is named after what it is.
pub enum Family {
    Soma,
    Dendrite,
    Synapse,
    Delay,
    Plasticity,
    /// Turns signals into spikes.
    InputInterface,
    /// Turns spikes into signals.
    OutputInterface,
    /// Joins, picks and averages signals.
    Control,
    Tracer,
    /// Components wired to one another, in the order of their dependencies within a step.
    Neuron,
    /// Modules of any kind wired to one another, one step behind each other.
    Brain,
}

impl Family {
    /// Whether it holds modules that are wired to one another.
    ///
    /// # Examples
    /// ```
    /// use spark_core::component::Family;
    ///
    /// assert!(Family::Neuron.is_controller() && !Family::Soma.is_controller());
    /// ```
    pub fn is_controller(self) -> bool {
        matches!(self, Self::Neuron | Self::Brain)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Soma => "soma",
            Self::Dendrite => "dendrite",
            Self::Synapse => "synapse",
            Self::Delay => "delay",
            Self::Plasticity => "plasticity",
            Self::InputInterface => "input interface",
            Self::OutputInterface => "output interface",
            Self::Control => "control",
            Self::Tracer => "tracer",
            Self::Neuron => "neuron",
            Self::Brain => "brain",
        })
    }
}

/// A part of a neuron: parameters and a pure step.
pub trait Component: Module + 'static {
    /// What it takes, made by [`ports!`](crate::ports!).
    type Inputs: Ports;
    /// What it gives, made by [`ports!`](crate::ports!).
    type Outputs: Ports;
    /// What it remembers, made by [`state!`](crate::state!).
    type State: State;
    /// What a step reads, derived from the parameters: decays instead of time constants.
    type Plan: Clone + fmt::Debug + Send;

    /// What others may read and write between steps.
    const PROPERTIES: &'static [PropertySpec] = &[];

    /// Derives what a step reads. To be called again after the parameters have changed; on an autodiff
    /// device gradients pass through it to the parameters.
    fn plan(&self) -> Self::Plan;

    /// The plan after a property was written; `None` where the plan does not depend on it, which saves a
    /// kernel that is written at every step from having everything else derived anew.
    fn replanned(&self, _property: &str) -> Option<Self::Plan> {
        Some(self.plan())
    }

    /// The state before the first step of `batch` samples.
    fn initial_state(&self, plan: &Self::Plan, batch: usize) -> Self::State;

    /// One step. Differentiable, and free of side effects; state whose tensors nothing else holds is
    /// written in place.
    ///
    /// # Panics
    /// If a payload is not of the shape that the component was built for.
    fn step(
        &self,
        plan: &Self::Plan,
        inputs: Self::Inputs,
        state: Self::State,
    ) -> (Self::Outputs, Self::State);

    /// A form of itself that steps on the host, for one sample, from this state on; `None` where it has none or
    /// is wired to something that it does not know. What it shares with others goes into the wiring.
    fn on_host(
        &self,
        _plan: &Self::Plan,
        _state: &Self::State,
        _wiring: &mut HostWiring,
    ) -> Option<Box<dyn HostStep<Self>>>
    where
        Self: Sized,
    {
        None
    }

    /// Steps in a row. An override computes the same.
    fn sequence(
        &self,
        inputs: impl IntoIterator<Item = Self::Inputs>,
        mut state: Self::State,
    ) -> (Vec<Self::Outputs>, Self::State)
    where
        Self: Sized,
    {
        let plan = self.plan();
        let mut outputs = Vec::new();
        for inputs in inputs {
            let output;
            (output, state) = self.step(&plan, inputs, state);
            outputs.push(output);
        }
        (outputs, state)
    }

    /// The shape at each output port, in their order.
    fn output_shapes(&self) -> Vec<Shape>;

    /// The value of a property; `None` for a name that it does not have.
    fn property(&self, _state: &Self::State, _name: &str) -> Option<Payload> {
        None
    }

    /// The shape of a property with all its axes; `None` where that of its value says enough.
    fn property_shape(&self, _name: &str) -> Option<Shape> {
        None
    }

    /// Writes a property that is writable.
    ///
    /// # Errors
    /// When the payload is of another type or shape.
    fn set_property(
        &mut self,
        _state: &mut Self::State,
        name: &str,
        _value: Payload,
    ) -> Result<(), PortError> {
        Err(PortError::ReadOnly(name.to_owned()))
    }

    /// Takes the value of a writable property out, to be written back before the next step. A learning
    /// rule that takes a kernel so may change it in place.
    fn take_property(&mut self, state: &mut Self::State, name: &str) -> Option<Payload> {
        self.property(state, name)
    }
}

/// Where a component is built.
#[derive(Clone, Debug)]
pub struct Context {
    /// Name of the module, for errors and seeds.
    pub name: String,
    /// Where its tensors live.
    pub device: Device,
    /// The seed of a module that names none itself.
    pub seed: u64,
}

impl Context {
    /// A context of its own.
    pub fn new(name: &str, device: &Device) -> Self {
        Self { name: name.to_owned(), device: device.clone(), seed: 0 }
    }

    /// A generator for the draw called `what`; `own` is the seed that the configuration names.
    pub fn rng(&self, own: Option<u64>, what: &str) -> ChaCha8Rng {
        match own {
            Some(seed) => seed::rng(seed, what),
            None => seed::rng(self.seed, &format!("{}.{what}", self.name)),
        }
    }

    /// A seed for noise that is drawn at every step.
    pub fn stream(&self, own: Option<u64>) -> u64 {
        own.unwrap_or_else(|| seed::derive(self.seed, &self.name))
    }
}

/// A component that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Its configuration does not make sense.
    #[error("{}{problems}", named(module))]
    Config {
        /// The module.
        module: String,
        /// Everything that is wrong.
        problems: Problems,
    },
    /// What is wired to it does not fit.
    #[error("{}{source}", named(module))]
    Port {
        /// The module.
        module: String,
        /// What does not fit.
        source: PortError,
    },
}

/// How an error begins; the outermost module has no name.
fn named(module: &str) -> String {
    if module.is_empty() { String::new() } else { format!("module `{module}`: ") }
}

/// The description of a component: its fields are what a user sets.
///
/// Every field has a default, a doc comment, and, for physical quantities, unit and range as
/// `#[schemars(extend("unit" = "ms", "range" = "positive"))]` (see [`schema::Range`]).
pub trait ComponentConfig:
    Clone + fmt::Debug + Default + PartialEq + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// The name in configurations.
    const NAME: &'static str;
    /// Other names that configurations may use.
    const ALIASES: &'static [Alias] = &[];
    /// What kind of part it is.
    const FAMILY: Family;
    /// One line on what it is.
    const SUMMARY: &'static str;
    /// Its equations, in plain text.
    const EQUATION: &'static str;
    /// The paper or book that it comes from; empty where there is none to name.
    const SOURCE: &'static str = "";

    /// What it describes.
    type Component: Component;

    /// Checks that fields fit one another; ranges are checked from the schema.
    fn check(&self, _path: &str, _problems: &mut Problems) {}

    /// The shape at each output port, in their order, where they follow from this much of the wiring; `None`
    /// where the component has to be built to know. What knows its shapes early may stand in a loop.
    ///
    /// Unless it says otherwise, a soma that gives nothing but spikes has the units of its input current.
    fn infer(&self, inputs: &InputShapes) -> Option<Vec<Shape>> {
        let outputs = <<Self::Component as Component>::Outputs as Ports>::PORTS;
        let spikes_only = matches!(outputs, [port] if port.kind == Some(PayloadKind::Spikes));
        let current = inputs.get("current").filter(|_| Self::FAMILY == Family::Soma && spikes_only)?;
        Some(vec![Shape::new(PayloadKind::Spikes, &current.units)])
    }

    /// Builds the component for what is wired to it.
    ///
    /// # Errors
    /// When an array does not fit the units, or a wired shape does not fit.
    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Self::Component, Defect>;

    /// Checks everything; `path` is where the configuration stands, empty at the top.
    fn validate(&self, path: &str, problems: &mut Problems) {
        let schema = schemars::schema_for!(Self).into();
        let value = serde_json::to_value(self).unwrap_or_default();
        schema::validate(&schema::fields(&schema), &value, path, problems);
        self.check(path, problems);
    }

    /// The component itself, checked and built for what is wired to it.
    ///
    /// # Errors
    /// When the configuration does not make sense, or does not fit what is wired.
    fn component(&self, inputs: &InputShapes, context: &Context) -> Result<Self::Component, BuildError> {
        let module = || context.name.clone();
        let mut problems = Problems::default();
        self.validate("", &mut problems);
        problems.into_result().map_err(|problems| BuildError::Config { module: module(), problems })?;
        inputs
            .check(<<Self::Component as Component>::Inputs as Ports>::PORTS)
            .map_err(|source| BuildError::Port { module: module(), source })?;
        self.build(inputs, context).map_err(|defect| match defect {
            Defect::Problems(problems) => BuildError::Config { module: module(), problems },
            Defect::Port(source) => BuildError::Port { module: module(), source },
        })
    }

    /// The component with its initial state for `batch` samples.
    ///
    /// # Errors
    /// When the configuration does not make sense, or does not fit what is wired.
    fn run(
        &self,
        inputs: &InputShapes,
        batch: usize,
        context: &Context,
    ) -> Result<Running<Self::Component>, BuildError> {
        let component = self.component(inputs, context)?;
        Ok(Running::new(component, inputs.clone(), batch))
    }
}

/// Why a component cannot be built for what is wired to it.
#[derive(Debug)]
pub enum Defect {
    /// Fields that do not fit.
    Problems(Problems),
    /// A wired shape that does not fit.
    Port(PortError),
}

impl From<Problems> for Defect {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl From<PortError> for Defect {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl Defect {
    /// A field with a value that does not fit.
    pub fn field(path: &str, found: impl fmt::Display, expected: impl Into<String>) -> Self {
        let mut problems = Problems::default();
        problems.push(path, found, expected);
        Self::Problems(problems)
    }
}
