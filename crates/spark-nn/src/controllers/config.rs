//! How neurons and brains are described.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use spark_core::Problems;
use spark_core::component::{BuildError, Context, Family, Instance};
use spark_core::model::{ModuleSpec, Settings, complete, handed_down};
use spark_core::payload::Shape;
use spark_core::ports::{InputShapes, PropertySpec};
use spark_core::registry::{AnyConfig, Interface, OutputShapes, Registration, fields_of, inventory};
use spark_core::schema::{self, join};
use spark_core::seed::derive;
use std::collections::BTreeMap;

use super::assembly::{Assembly, Inhibition};
use super::controller::{Controller, INHIBITION_MASK};
use super::wiring::{Order, Wired};
use crate::config::check_units;

/// Modules that run in the order of their dependencies within a step.
///
/// Duration of a step and units are handed down to every module inside. Of the units,
/// ⌊units · `inhibitory_rate`⌋ inhibit; which ones is drawn when the neuron is built.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use spark_core::component::Context;
/// use spark_core::model::ModuleSpec;
/// use spark_core::payload::{PayloadKind, Shape};
/// use spark_core::ports::{InputShapes, PropertySpec};
/// use spark_core::registry::AnyConfig;
/// use spark_nn::components::somas::LeakySomaConfig;
/// use spark_nn::components::synapses::LinearSynapsesConfig;
/// use spark_nn::controllers::NeuronConfig;
///
/// let neuron = NeuronConfig { units: vec![3], ..NeuronConfig::default() }
///     .with(ModuleSpec::new("synapses", &LinearSynapsesConfig::default()).input("spikes", "__call__.in_spikes"))
///     .with(
///         ModuleSpec::new("soma", &LeakySomaConfig::default())
///             .input("current", "synapses.currents")
///             .output("out_spikes", "spikes"),
///     );
/// let wired = InputShapes::default().with("in_spikes", Shape::new(PayloadKind::Spikes, &[5]));
/// let neuron = neuron.instance(&wired, 1, &Context::new("", &Device::flex()))?;
/// assert_eq!(neuron.output_shapes(), [Shape::new(PayloadKind::Spikes, &[3])]);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NeuronConfig {
    /// Seed of what is drawn at random; derived from that of the controller around it where absent.
    pub seed: Option<u64>,
    /// Duration of a step.
    #[schemars(extend("unit" = "ms", "range" = "positive"))]
    pub dt: f32,
    /// Shape of the units.
    #[schemars(extend("range" = "positive"))]
    pub units: Vec<usize>,
    /// Share of the units that inhibit.
    #[schemars(extend("range" = "unit_interval"))]
    pub inhibitory_rate: f32,
    /// Shapes of the inputs, for those who run the model without saying what they feed.
    pub inputs: BTreeMap<String, Vec<usize>>,
    /// The name under which it is registered.
    #[serde(skip, default = "neuron_name")]
    pub kind: &'static str,
    /// The modules.
    #[serde(skip)]
    pub modules: Vec<ModuleSpec>,
}

fn neuron_name() -> &'static str {
    NeuronConfig::NAME
}

impl Default for NeuronConfig {
    fn default() -> Self {
        Self {
            seed: None,
            dt: 1.0,
            units: Vec::new(),
            inhibitory_rate: 0.2,
            inputs: BTreeMap::new(),
            kind: Self::NAME,
            modules: Vec::new(),
        }
    }
}

/// Modules that all run on what they gave one step before.
///
/// Inputs of the brain itself are read at once; every other connection takes one step. The duration of a step
/// is handed down to every module inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BrainConfig {
    /// Seed of what is drawn at random; derived from that of the controller around it where absent.
    pub seed: Option<u64>,
    /// Duration of a step.
    #[schemars(extend("unit" = "ms", "range" = "positive"))]
    pub dt: f32,
    /// Shapes of the inputs, for those who run the model without saying what they feed.
    pub inputs: BTreeMap<String, Vec<usize>>,
    /// The name under which it is registered.
    #[serde(skip, default = "brain_name")]
    pub kind: &'static str,
    /// The modules.
    #[serde(skip)]
    pub modules: Vec<ModuleSpec>,
}

fn brain_name() -> &'static str {
    BrainConfig::NAME
}

impl Default for BrainConfig {
    fn default() -> Self {
        Self { seed: None, dt: 1.0, inputs: BTreeMap::new(), kind: Self::NAME, modules: Vec::new() }
    }
}

impl NeuronConfig {
    /// The name in configurations.
    pub const NAME: &'static str = "Neuron";
}

impl BrainConfig {
    /// The name in configurations.
    pub const NAME: &'static str = "Brain";
}

macro_rules! controller {
    ($config:ident, $family:expr, $order:expr, $summary:literal) => {
        impl $config {
            /// The same with one more module.
            #[must_use]
            pub fn with(mut self, module: ModuleSpec) -> Self {
                self.modules.push(module);
                self
            }

            /// Reads settings, which may leave out what has a default.
            ///
            /// # Errors
            /// The path of what is wrong, and what is wrong with it.
            pub fn from_settings(name: &'static str, settings: Settings) -> Result<Self, (String, String)> {
                let settings = complete(name, &settings).map_err(|error| (error.path, error.message))?;
                let fields = Value::Object(settings.fields);
                let config: Result<Self, _> = serde_path_to_error::deserialize(fields);
                let config = config.map_err(|error| (error.path().to_string(), error.inner().to_string()))?;
                Ok(Self { modules: settings.modules, kind: name, ..config })
            }

            fn wired(&self, path: &str, problems: &mut Problems) -> Wired {
                let settings = complete(self.kind, &self.settings()).unwrap_or_else(|error| {
                    problems.push(join(path, &error.path), error.message, "modules that are known");
                    Settings::default()
                });
                Wired::new(&settings.modules, $order, &handed_down($family, &settings), path, problems)
            }

            /// The controller, built for what is wired to it.
            ///
            /// # Errors
            /// When it does not make sense, or does not fit what is wired.
            pub fn build(
                &self,
                inputs: &InputShapes,
                batch: usize,
                context: &Context,
            ) -> Result<Controller, BuildError> {
                let module = || context.name.clone();
                let mut problems = Problems::default();
                self.validate("", &mut problems);
                problems
                    .into_result()
                    .map_err(|problems| BuildError::Config { module: module(), problems })?;
                let wired = self.wired("", &mut Problems::default());
                let interface = self.interface_of(&wired);
                inputs
                    .check(&interface.inputs)
                    .map_err(|source| BuildError::Port { module: module(), source })?;
                let seed = self.seed.unwrap_or_else(|| seed_below(context));
                let context = Context { seed, ..context.clone() };
                Assembly::new(&wired, inputs).build(interface, self.inhibition(), batch, &context)
            }

            fn interface_of(&self, wired: &Wired) -> Interface {
                Interface { properties: self.properties(), ..wired.interface() }
            }

            /// What is registered under a name: such a controller with other settings as the default.
            pub(crate) const fn registration(
                name: &'static str,
                summary: &'static str,
                default: fn() -> Settings,
            ) -> Registration {
                let parse =
                    |name, settings| Ok(Box::new(Self::from_settings(name, settings)?) as Box<dyn AnyConfig>);
                Registration::controller(
                    name,
                    $family,
                    summary,
                    || schemars::schema_for!(Self).into(),
                    default,
                    parse,
                )
            }
        }

        impl AnyConfig for $config {
            fn name(&self) -> &'static str {
                self.kind
            }

            fn interface(&self) -> Interface {
                self.interface_of(&self.wired("", &mut Problems::default()))
            }

            fn infer(&self, inputs: &InputShapes) -> OutputShapes {
                Assembly::new(&self.wired("", &mut Problems::default()), inputs).infer()
            }

            fn validate(&self, path: &str, problems: &mut Problems) {
                let schema = schemars::schema_for!(Self).into();
                let value = Value::Object(fields_of(self));
                schema::validate(&schema::fields(&schema), &value, path, problems);
                self.check_fields(path, problems);
                for module in &self.wired(path, problems).modules {
                    module.config.validate(&join(path, &module.name), problems);
                }
            }

            fn instance(
                &self,
                inputs: &InputShapes,
                batch: usize,
                context: &Context,
            ) -> Result<Box<dyn Instance>, BuildError> {
                self.build(inputs, batch, context).map(|controller| Box::new(controller) as Box<dyn Instance>)
            }

            fn declared_inputs(&self) -> InputShapes {
                let interface = self.interface();
                let kind = |port: &str| interface.input(port).and_then(|port| port.kind);
                let shape = |(port, units): (&String, &Vec<usize>)| {
                    Some((port.clone(), Shape::new(kind(port)?, units)))
                };
                let shapes = self.inputs.iter().filter_map(shape);
                shapes.fold(InputShapes::default(), |all, (port, shape)| all.with(&port, shape))
            }

            fn settings(&self) -> Settings {
                Settings { fields: fields_of(self), modules: self.modules.clone() }
            }
        }

        inventory::submit! {
            $config::registration($config::NAME, $summary, || $config::default().settings())
        }
    };
}

controller!(
    NeuronConfig,
    Family::Neuron,
    Order::Dependencies,
    "Modules that run in the order of their dependencies within a step"
);
controller!(
    BrainConfig,
    Family::Brain,
    Order::Latency,
    "Modules that all run on what they gave one step before"
);

impl NeuronConfig {
    fn properties(&self) -> Vec<PropertySpec> {
        vec![INHIBITION_MASK]
    }

    fn check_fields(&self, path: &str, problems: &mut Problems) {
        check_units(&self.units, path, problems);
    }

    fn inhibition(&self) -> Option<Inhibition> {
        Some(Inhibition { units: self.units.iter().product(), rate: self.inhibitory_rate })
    }

    /// Neurons that are registered under a name of their own.
    pub(crate) fn called(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }
}

impl BrainConfig {
    fn properties(&self) -> Vec<PropertySpec> {
        Vec::new()
    }

    fn check_fields(&self, _: &str, _: &mut Problems) {}

    fn inhibition(&self) -> Option<Inhibition> {
        None
    }
}

/// The seed of a controller that names none; a root has no name to derive one from.
fn seed_below(context: &Context) -> u64 {
    if context.name.is_empty() { context.seed } else { derive(context.seed, &context.name) }
}
