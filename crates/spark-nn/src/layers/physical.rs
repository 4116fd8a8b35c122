//! Components with physical units as layers.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spark_core::Problems;
use spark_core::component::{BuildError, Context, Family};
use spark_core::erased::AnyComponent;
use spark_core::payload::{PayloadKind, Shape};
use spark_core::ports::InputShapes;
use spark_core::registry::{self, AnyConfig};
use spark_core::schema::join;

use super::LayerState;
use super::member::{Asked, Member, Ran};
use super::state::own;

/// Configuration of [`Physical`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhysicalConfig {
    /// Name of a registered component, such as `AdaptiveExponentialSoma` or `TracedSynapses`.
    pub component: String,
    /// Its fields; what is left out has its default.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// The parameters that are trained; all others stay as they are.
    #[serde(default)]
    pub learn: Vec<LearnedParameter>,
}

/// A parameter of a component that is trained, with the range in which it makes sense.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearnedParameter {
    /// Its name in the component, such as `kernel` or `membrane.tau`.
    pub parameter: String,
    /// The lowest value that training may reach.
    #[serde(default)]
    pub min: Option<f32>,
    /// The highest value that training may reach.
    #[serde(default)]
    pub max: Option<f32>,
}

/// A soma or synapse of [`components`](crate::components), or one that a program has registered itself, as a
/// layer that is trained through time.
///
/// A soma takes currents in pA, `[batch, units]` per step, and gives spikes; synapses take spikes and give
/// currents. Sequences are `[time, batch, units]`. Somas, and synapses that remember, step through time; synapses
/// without memory see all steps at once. Synapses with reversal potentials belong into [`Neurons`](super::Neurons). Gradients reach the input and every parameter that is trained, time
/// constants and thresholds among them. The potential of a soma is reported after its reset.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use serde_json::json;
/// use spark_nn::layers::{NetworkConfig, Temporal};
///
/// let device = Device::flex();
/// let config: NetworkConfig = serde_json::from_value(json!({
///     "input": [4],
///     "layers": [
///         {"kind": "physical", "component": "LinearSynapses",
///          "settings": {"units": [2], "kernel": 600.0}, "learn": [{"parameter": "kernel"}]},
///         {"kind": "physical", "component": "LeakySoma", "settings": {"potential_tau": 10.0},
///          "learn": [{"parameter": "membrane.tau", "min": 1.0}]},
///     ],
/// }))?;
/// let network = config.init(1, &device)?;
/// let (spikes, _) = network.sequence(Tensor::ones([20, 1, 4], &device), network.initial_state(1, &device));
/// assert!(spikes.sum().into_scalar::<f32>() > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct Physical {
    /// The component.
    pub component: AnyComponent,
    spikes: bool,
    #[module(skip)]
    learned: Vec<LearnedParameter>,
}

impl PhysicalConfig {
    /// A component with its defaults, nothing of it trained.
    pub fn new(component: &str) -> Self {
        Self { component: component.to_owned(), settings: Map::new(), learn: Vec::new() }
    }

    fn parse(&self, path: &str) -> Result<Box<dyn AnyConfig>, Problems> {
        let settings = Value::Object(self.settings.clone());
        registry::parse(&self.component, settings, path).map_err(|error| {
            let mut problems = Problems::default();
            problems.push(join(path, "component"), error, "a registered component and its fields");
            problems
        })
    }

    /// What is wired to it for an input of this shape: that, and the potential of the units behind where it is
    /// needed.
    fn wired(config: &dyn AnyConfig, input: &[usize]) -> InputShapes {
        let mut wired = InputShapes::default();
        let required = config.interface().inputs.into_iter().filter(|port| !port.optional);
        let (potential, others): (Vec<_>, Vec<_>) =
            required.partition(|port| port.kind == Some(PayloadKind::Potentials));
        if let Some((port, kind)) = others.first().and_then(|port| Some((port.name, port.kind?))) {
            wired = wired.with(port, Shape::new(kind, input));
        }
        if let (Some(port), [(_, units)]) = (potential.first(), &config.infer(&wired)[..]) {
            wired = wired.with(port.name, Shape::new(PayloadKind::Potentials, &units.units));
        }
        wired
    }

    pub(super) fn check(&self, input: &[usize], path: &str, problems: &mut Problems) -> Option<Vec<usize>> {
        let config = match self.parse(path) {
            Ok(config) => config,
            Err(found) => {
                found.list().iter().for_each(|p| problems.push(&p.path, &p.found, &p.expected));
                return None;
            }
        };
        config.validate(&join(path, "settings"), problems);
        for (i, learned) in self.learn.iter().enumerate() {
            if let (Some(min), Some(max)) = (learned.min, learned.max)
                && min > max
            {
                problems.push(join(path, &format!("learn[{i}].min")), min, format!("at most max, {max}"));
            }
        }
        let outputs = config.infer(&Self::wired(config.as_ref(), input));
        let [(_, shape)] = &outputs[..] else {
            let found = format!("{} for an input of shape {input:?}", self.component);
            problems.push(join(path, "component"), found, "a soma or synapse with one output");
            return None;
        };
        Some(shape.units.clone())
    }

    /// Whether it needs the potential of the units behind it.
    pub(super) fn hears_potential(&self) -> bool {
        let potential = Some(PayloadKind::Potentials);
        registry::find(&self.component)
            .is_ok_and(|(found, _)| found.inputs.iter().any(|port| !port.optional && port.kind == potential))
    }

    /// Whether what leaves are spikes.
    pub(super) fn spikes(&self) -> bool {
        registry::find(&self.component).is_ok_and(|(found, _)| {
            found.family == Family::Soma
                && matches!(found.outputs, [port] if port.kind == Some(PayloadKind::Spikes))
        })
    }

    /// The component behind a layer of shape `input`; `name` picks the random stream under `seed`.
    ///
    /// # Errors
    /// When there is no such component, when it does not fit the input, or when a parameter that is to be
    /// trained is unknown.
    pub fn init(
        &self,
        input: &[usize],
        seed: u64,
        name: &str,
        device: &Device,
    ) -> Result<Physical, Problems> {
        let config = self.parse(name)?;
        let context = Context { name: name.to_owned(), device: device.clone(), seed };
        let wired = Self::wired(config.as_ref(), input);
        let component = config.module(&wired, &context).map_err(|error| match error {
            BuildError::Config { problems, .. } => problems,
            BuildError::Port { source, .. } => {
                let mut problems = Problems::default();
                problems.push(name, source, "an input that fits the component");
                problems
            }
        })?;
        let known = component.parameters().join(", ");
        let names: Vec<&str> = self.learn.iter().map(|learned| learned.parameter.as_str()).collect();
        let component = component.training(&names).map_err(|unknown| {
            let mut problems = Problems::default();
            problems.push(join(name, "learn"), unknown, format!("one of {known}"));
            problems
        })?;
        Ok(Physical { component, spikes: self.spikes(), learned: self.learn.clone() })
    }
}

impl Physical {
    /// The layer with learned parameters moved back into their ranges. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        self.bounded()
    }
}

impl Member for Physical {
    fn begin(&self, batch: usize, _: &Device) -> LayerState {
        self.component.initial_state(batch).into()
    }

    fn run(&self, input: Tensor<3>, state: LayerState, asked: Asked) -> Ran {
        let found = self.component.sequence(input, own(state));
        let state = found.state.into();
        if self.spikes {
            Ran::spiked(found.output, found.potential.filter(|_| asked.potential), state)
        } else {
            Ran::plain(found.output, state)
        }
    }

    fn advance(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState) {
        let found = self.component.sequence(input.unsqueeze(), own(state));
        (found.output.squeeze_dim(0), found.state.into())
    }

    fn bounded(self) -> Self {
        if self.learned.iter().all(|learned| learned.min.is_none() && learned.max.is_none()) {
            return self;
        }
        let component = self.component.map(&mut Bounds { path: Vec::new(), learned: &self.learned });
        Self { component, ..self }
    }
}

/// Moves learned parameters back into their ranges.
struct Bounds<'a> {
    path: Vec<String>,
    learned: &'a [LearnedParameter],
}

impl ModuleMapper for Bounds<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.path.pop();
        }
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let Some(learned) = self.learned.iter().find(|learned| learned.parameter == name) else {
            return param;
        };
        let (low, high) = (learned.min.unwrap_or(f32::MIN), learned.max.unwrap_or(f32::MAX));
        param.map(|tensor| {
            if !tensor.is_require_grad() {
                return tensor;
            }
            Tensor::from_inner(tensor.inner().clamp(low, high)).require_grad()
        })
    }
}
