//! Networks that go on as brains: what a gradient has found, in a model file with its state.

mod population;

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Map, Value};
use spark_core::Problems;
use spark_core::component::{BuildError, Context, Family};
use spark_core::model::{CompleteError, Model, ModuleSpec, Settings};
use spark_core::parameter::Array;
use spark_core::payload::{Floats, Payload, PayloadKind, Spikes};
use spark_core::ports::{PortError, PortValues};
use spark_core::registry::{self, AnyConfig};
use spark_io::model::ModelFileError;
use spark_io::{Snapshot, SnapshotError};
use spark_nn::components::synapses::LinearSynapsesConfig;
use spark_nn::controllers::{BrainConfig, NeuronConfig};
use spark_nn::layers::{Network, NetworkConfig};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use population::{Population, populations};

const INPUT: &str = TrainedBrain::INPUT;

/// How a network becomes a brain.
///
/// # Examples
/// See [`TrainedBrain`].
#[derive(Clone, Debug, PartialEq)]
pub struct BrainOptions {
    /// Duration of a step in ms.
    pub dt: f32,
    /// Seed of the brain, for components that draw.
    pub seed: u64,
    /// Learning rules by population: 0 is the first one after the inputs.
    pub rules: BTreeMap<usize, LocalRule>,
    /// Whether kernels stand in the model too, so that its file says everything; else they start at 0 and are in
    /// the state alone.
    pub kernels_in_model: bool,
}

impl Default for BrainOptions {
    fn default() -> Self {
        Self { dt: 1.0, seed: 0, rules: BTreeMap::new(), kernels_in_model: false }
    }
}

/// A learning rule for the synapses onto a population.
///
/// Trained weights have both signs: a rule whose lower bound is 0 would cut half of them off in its first step.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalRule {
    /// The component, such as `ModulatedQuadrupletRule`.
    pub component: String,
    /// Its settings; what is left out has its default.
    pub settings: Map<String, Value>,
    /// What its third factor tells apart, if it takes one.
    pub third_factor: ThirdFactorOf,
}

/// What a third factor tells apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThirdFactorOf {
    /// Nothing: one number, such as a reward.
    #[default]
    All,
    /// Postsynaptic units, such as the error of each.
    Units,
}

/// A network as a brain, with the weights that it was trained to.
///
/// Every dense layer with the leaky units after it becomes a neuron of `LinearSynapses` and a `LeakySoma`: `hidden_1`,
/// `hidden_2` … and `output`, each of which gives its spikes to the outside under its name. Recurrent units hear
/// themselves, by synapses of the same kernel. A unit of the layer is a mV of the soma, a weight as many pA; a bias is
/// where the soma rests. With a reset to zero both then go through the same equations, and the spikes are the same but
/// for the rounding of sums.
///
/// Every connection of a brain takes a step: population `k`, from 0, spikes `k` steps later than in the network, which
/// runs layer after layer. Where it has biases it begins at potentials from which these take it to those of the network
/// meanwhile, as far as they lie below the threshold. The brain goes on from digit to digit, from sound to sound; nothing is reset in between.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::Reset;
/// use spark_nn::layers::{LeakyConfig, NetworkConfig};
/// use spark_train::{BrainOptions, TrainedBrain};
///
/// let device = Device::flex();
/// let leaky = LeakyConfig { decay: 0.9, reset: Reset::Zero, ..Default::default() };
/// let config = NetworkConfig::mlp(&[20, 30, 3], leaky);
/// let network = config.init(1, &device)?;
/// let brain = TrainedBrain::new(&config, &network, &BrainOptions::default())?;
/// assert_eq!((brain.populations.join(" "), brain.latency()), ("hidden_1 output".to_owned(), 1));
///
/// let input = Tensor::ones([25, 1, 20], &device);
/// let expected = network.forward(input.clone(), None).spikes;
/// for (found, expected) in brain.spikes(input)?.into_iter().zip(expected) {
///     assert_eq!(found.into_data(), expected.into_data());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedBrain {
    /// Model and state before the first step.
    pub snapshot: Snapshot,
    /// The names of the populations from the inputs to the output.
    pub populations: Vec<String>,
    /// Inputs of third factors: name and number of entries.
    pub third_factors: Vec<(String, usize)>,
}

/// A network that cannot become a brain, or a brain that cannot be written or run.
#[derive(Debug, thiserror::Error)]
pub enum BrainError {
    /// Layers that have no counterpart among the components of brains.
    #[error("the network cannot become a brain:\n{0}")]
    Network(#[from] Problems),
    /// A rule that cannot be wired.
    #[error("rule of population {population}: {message}")]
    Rule {
        /// Which population.
        population: usize,
        /// What is wrong.
        message: String,
    },
    /// The model cannot be filled in.
    #[error(transparent)]
    Complete(#[from] CompleteError),
    /// The model cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The model cannot be written.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// The state cannot be used or written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The inputs do not fit.
    #[error(transparent)]
    Input(#[from] PortError),
}

impl TrainedBrain {
    /// The input that takes spikes.
    pub const INPUT: &'static str = "in_spikes";

    /// The brain of a network.
    ///
    /// * `config`: what the network was made from.
    /// * `network`: with the parameters that it was trained to, on any device.
    ///
    /// # Errors
    /// Names every layer that has no counterpart, and rules that cannot be wired.
    pub fn new(
        config: &NetworkConfig,
        network: &Network,
        options: &BrainOptions,
    ) -> Result<Self, BrainError> {
        if !(options.dt > 0.0 && options.dt.is_finite()) {
            let mut problems = Problems::default();
            problems.positive("dt", options.dt);
            return Err(problems.into());
        }
        let parts = populations(config, network, options.dt)?;
        let last = parts.len() - 1;
        if let Some(population) = options.rules.keys().find(|population| **population > last).copied() {
            let message = format!("found {population}, expected one of 0 to {last}");
            return Err(BrainError::Rule { population, message });
        }
        let name =
            |place: usize| if place == last { "output".into() } else { format!("hidden_{}", place + 1) };
        let populations: Vec<String> = (0..parts.len()).map(name).collect();
        let mut brain = BrainConfig { seed: Some(options.seed), dt: options.dt, ..BrainConfig::default() };
        brain.inputs.insert(INPUT.to_owned(), vec![parts[0].sources]);
        let mut third_factors = Vec::new();
        for (place, part) in parts.iter().enumerate() {
            let name = &populations[place];
            let rule = options.rules.get(&place).map(|rule| wired(rule, name, part.units));
            let rule = rule.transpose().map_err(|message| BrainError::Rule { population: place, message })?;
            let before = place.checked_sub(1).map(|before| populations[before].as_str());
            brain = brain.with(neuron(part, name, before, rule.as_ref(), options));
            third_factors.extend(rule.into_iter().flat_map(|rule| rule.third_factors));
        }
        for (input, entries) in &third_factors {
            brain.inputs.insert(input.clone(), vec![*entries]);
        }
        let snapshot = snapshot(&Model::of(&brain)?, &parts, &populations, options.seed)?;
        Ok(Self { snapshot, populations, third_factors })
    }

    /// How many steps later than in the network the output spikes.
    pub fn latency(&self) -> usize {
        self.populations.len() - 1
    }

    /// Writes the model and its state into a folder, as `model.json` and `state.safetensors`; returns both paths.
    ///
    /// # Errors
    /// When one of them is there and `overwrite` is not set, or cannot be written.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::Device;
    /// use spark_io::Snapshot;
    /// use spark_kernels::Reset;
    /// use spark_nn::layers::{LeakyConfig, NetworkConfig};
    /// use spark_train::{BrainOptions, TrainedBrain};
    ///
    /// let leaky = LeakyConfig { reset: Reset::Zero, ..Default::default() };
    /// let config = NetworkConfig::mlp(&[4, 3], leaky);
    /// let network = config.init(1, &Device::flex())?;
    /// let brain = TrainedBrain::new(&config, &network, &BrainOptions::default())?;
    /// let folder = tempfile::tempdir()?;
    /// let [model, state] = brain.write(folder.path(), false)?;
    /// assert_eq!(spark_io::model::read(&model)?.model, brain.snapshot.model);
    /// assert_eq!(Snapshot::read(&state)?, brain.snapshot);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(&self, folder: &Path, overwrite: bool) -> Result<[PathBuf; 2], BrainError> {
        let [model, state] = ["model.json", "state.safetensors"].map(|name| folder.join(name));
        if state.exists() && !overwrite {
            return Err(ModelFileError::Exists { path: state }.into());
        }
        spark_io::model::write(&model, &self.snapshot.model, overwrite)?;
        self.snapshot.write(&state)?;
        Ok([model, state])
    }

    /// The spikes of every population for a sequence of input spikes `[time, 1, inputs]` from the initial state, as
    /// the network has them: `[time, 1, units]` each, without the delay of the populations before.
    ///
    /// Third factors are 0. Rules without one learn meanwhile.
    ///
    /// # Errors
    /// When the inputs are not those of the brain.
    pub fn spikes(&self, input: Tensor<3>) -> Result<Vec<Tensor<3>>, BrainError> {
        let (device, [time, batch, inputs]) = (input.device(), input.dims());
        let mut brain = self.snapshot.build(&device)?;
        let silence = Tensor::zeros([batch, inputs], &device);
        let mut trains: Vec<Vec<Tensor<2>>> = self.populations.iter().map(|_| Vec::new()).collect();
        for step in 0..time + self.latency() {
            let mut values = PortValues::default();
            let spikes = match step < time {
                true => input.clone().slice_dim(0, step..step + 1).squeeze_dim(0),
                false => silence.clone(),
            };
            values.put(INPUT, Spikes::new(spikes));
            for (port, entries) in &self.third_factors {
                values.put(port.clone(), Floats(Tensor::zeros([1, *entries], &device)));
            }
            let outputs = brain.step(values)?;
            for (late, (name, train)) in self.populations.iter().zip(&mut trains).enumerate() {
                if (late..late + time).contains(&step)
                    && let Some(Payload::Spikes(spikes)) = outputs.get(name)
                {
                    train.extend(spikes.units());
                }
            }
        }
        Ok(trains.into_iter().map(|train| Tensor::stack(train, 0)).collect())
    }
}

/// A rule as a module, and the inputs of the brain and of the neuron that its third factors come by.
struct WiredRule {
    module: ModuleSpec,
    /// Inputs of the neuron.
    ports: Vec<&'static str>,
    /// Inputs of the brain, with their number of entries.
    third_factors: Vec<(String, usize)>,
}

/// Wires a rule to the synapses and the soma of its neuron.
fn wired(rule: &LocalRule, population: &str, units: usize) -> Result<WiredRule, String> {
    let (registration, _) = registry::find(&rule.component).map_err(|error| error.to_string())?;
    let interface = registration.interface();
    let kernel = |port: Option<_>| port.is_some();
    if registration.family != Family::Plasticity
        || !kernel(interface.input("kernel").filter(|port| port.kind == Some(PayloadKind::Kernel)))
        || !kernel(interface.output("kernel").filter(|port| port.kind == Some(PayloadKind::Kernel)))
    {
        return Err(format!("found {}, expected a rule that changes a kernel", registration.name));
    }
    let settings = Settings::from(rule.settings.clone());
    let mut module = ModuleSpec::named("rule", registration.name, settings);
    let (mut ports, mut third_factors) = (Vec::new(), Vec::new());
    for port in interface.inputs.iter().filter(|port| !port.optional) {
        let wire = match (port.name, port.kind) {
            ("pre_spikes", _) => format!("__call__.{INPUT}"),
            ("post_spikes", _) => "soma.spikes".to_owned(),
            ("kernel", _) => "synapses#kernel".to_owned(),
            (name, Some(PayloadKind::Floats)) => {
                let entries = if rule.third_factor == ThirdFactorOf::Units { units } else { 1 };
                ports.push(port.name);
                third_factors.push((format!("{population}_{name}"), entries));
                format!("__call__.{name}")
            }
            (name, _) => return Err(format!("{} takes `{name}`, which nothing gives", registration.name)),
        };
        module = module.input(port.name, &wire);
    }
    Ok(WiredRule { module, ports, third_factors })
}

/// A population as a module of the brain; `before` is the one that it hears.
fn neuron(
    part: &Population,
    name: &str,
    before: Option<&str>,
    rule: Option<&WiredRule>,
    options: &BrainOptions,
) -> ModuleSpec {
    let pre = part.sources + if part.recurrent { part.units } else { 0 };
    let kernel = match options.kernels_in_model {
        true => Array::new(vec![part.units, pre], part.kernel.clone()).expect("a row for each unit").into(),
        false => 0.0.into(),
    };
    let synapses = LinearSynapsesConfig { kernel, ..LinearSynapsesConfig::default() };
    let mut synapses = ModuleSpec::new("synapses", &synapses).input("spikes", &format!("__call__.{INPUT}"));
    if rule.is_some() {
        synapses = synapses.effect("kernel", "rule.kernel");
    }
    let soma = ModuleSpec::new("soma", &part.soma)
        .input("current", "synapses.currents")
        .output("out_spikes", "spikes");
    let config = NeuronConfig {
        units: vec![part.units],
        inhibitory_rate: 0.0,
        dt: options.dt,
        modules: [synapses, soma].into_iter().chain(rule.map(|rule| rule.module.clone())).collect(),
        ..NeuronConfig::default()
    };
    let mut module = ModuleSpec::named(name, NeuronConfig::NAME, config.settings())
        .input(INPUT, &before.map_or(format!("__call__.{INPUT}"), |before| format!("{before}.out_spikes")))
        .output(name, "out_spikes");
    if part.recurrent {
        module = module.input(INPUT, &format!("{name}.out_spikes"));
    }
    for port in rule.into_iter().flat_map(|rule| &rule.ports) {
        module = module.input(port, &format!("__call__.{name}_{port}"));
    }
    module
}

/// The model with the trained kernels, at the potentials from which the network starts.
fn snapshot(
    model: &Model,
    parts: &[Population],
    names: &[String],
    seed: u64,
) -> Result<Snapshot, BrainError> {
    let context = Context { seed, ..Context::new("", &Device::flex()) };
    let mut brain = model.build(&model.declared_inputs()?, 1, &context)?;
    let mut state = brain.save();
    for (name, part) in names.iter().zip(parts) {
        let pre = part.kernel.len() / part.units;
        let kernel = TensorData::new(part.kernel.clone(), [part.units, pre]);
        state.insert(format!("{name}.synapses.kernel"), kernel);
        state.insert(format!("{name}.soma.potential"), TensorData::new(part.start.clone(), [1, part.units]));
    }
    brain.restore(&state).map_err(SnapshotError::from)?;
    Ok(Snapshot::of(model, brain.as_ref(), 1, 0, &context))
}

#[cfg(test)]
mod tests;
