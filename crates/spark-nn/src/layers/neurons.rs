//! Synapses and a soma that hear each other.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_core::erased::Planes;
use spark_core::schema::join;

use super::member::{Asked, Member, Ran};
use super::state::own;
use super::units::steps;
use super::{LayerState, Physical, PhysicalConfig};

/// Configuration of [`Neurons`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NeuronsConfig {
    /// The synapses.
    pub synapses: PhysicalConfig,
    /// The soma behind them.
    pub soma: PhysicalConfig,
}

/// Synapses and a soma with physical units that step together: the currents of a step follow from the spikes of
/// that step and, for synapses with reversal potentials, from the potential that the step before left.
///
/// Input are spikes, `[batch, inputs]` per step and `[time, batch, inputs]` per sequence, output those of the
/// soma. Gradients reach the input and every parameter that is trained. The potential counts as that of the soma
/// does; `soma_potential_rest` of the synapses says from where.
///
/// # Examples
/// Conductances of 10 nS pull the membranes towards 0 mV:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use serde_json::json;
/// use spark_nn::layers::NetworkConfig;
///
/// let device = Device::flex();
/// let config: NetworkConfig = serde_json::from_value(json!({
///     "input": [4],
///     "layers": [{
///         "kind": "neurons",
///         "synapses": {"component": "ConductanceSynapses",
///                      "settings": {"units": [2], "kernel": 10.0, "soma_potential_rest": -60.0},
///                      "learn": [{"parameter": "kernel", "min": 0.0}]},
///         "soma": {"component": "LeakySoma"},
///     }],
/// }))?;
/// let network = config.init(1, &device)?;
/// let output = network.forward(Tensor::ones([20, 1, 4], &device), None);
/// assert!(output.counts().sum().into_scalar::<f32>() > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct Neurons {
    /// The synapses.
    pub synapses: Physical,
    /// The soma behind them.
    pub soma: Physical,
}

spark_core::state! {
    /// What [`Neurons`] remember.
    pub struct NeuronsState {
        /// Of the synapses, by the names of its planes.
        synapses: Planes,
        /// Of the soma.
        soma: Planes,
    }
}

impl NeuronsConfig {
    pub(super) fn check(&self, input: &[usize], path: &str, problems: &mut Problems) -> Option<Vec<usize>> {
        let units = self.synapses.check(input, &join(path, "synapses"), problems)?;
        let output = self.soma.check(&units, &join(path, "soma"), problems)?;
        if !self.soma.spikes() {
            problems.push(join(path, "soma.component"), &self.soma.component, "a soma");
        }
        Some(output)
    }

    /// Synapses and soma behind a layer of shape `input`; `name` picks the random stream under `seed`.
    ///
    /// # Errors
    /// When there are no such components, when they do not fit the input, or when a parameter that is to be
    /// trained is unknown.
    pub fn init(&self, input: &[usize], seed: u64, name: &str, device: &Device) -> Result<Neurons, Problems> {
        let mut problems = Problems::default();
        let units = self.synapses.check(input, &join(name, "synapses"), &mut problems);
        let units = units.ok_or(problems)?;
        Ok(Neurons {
            synapses: self.synapses.init(input, seed, &join(name, "synapses"), device)?,
            soma: self.soma.init(&units, seed, &join(name, "soma"), device)?,
        })
    }
}

impl Neurons {
    /// The layer with learned parameters moved back into their ranges. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        self.bounded()
    }
}

impl Member for Neurons {
    fn begin(&self, batch: usize, _: &Device) -> LayerState {
        let [synapses, soma] = [&self.synapses, &self.soma].map(|part| part.component.initial_state(batch));
        NeuronsState { synapses, soma }.into()
    }

    fn run(&self, input: Tensor<3>, state: LayerState, asked: Asked) -> Ran {
        let batch = input.dims()[1];
        let NeuronsState { synapses, soma } = own(state);
        let needed = self.synapses.component.needs_potential();
        let mut synapses = self.synapses.component.walk(batch, synapses);
        let mut soma = self.soma.component.walk(batch, soma);
        let (mut spikes, mut potentials) = (Vec::new(), Vec::new());
        for input in steps(&input) {
            let potential = if needed { soma.potential() } else { None };
            spikes.push(soma.step(synapses.step(input, potential), None));
            if asked.potential {
                potentials.extend(soma.potential());
            }
        }
        let potential = (!potentials.is_empty()).then(|| Tensor::stack(potentials, 0));
        let state = NeuronsState { synapses: synapses.finish(), soma: soma.finish() };
        Ran::spiked(Tensor::stack(spikes, 0), potential, state.into())
    }

    fn advance(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState) {
        let ran = self.run(input.unsqueeze(), state, Asked::default());
        (ran.output.squeeze_dim(0), ran.state)
    }

    fn bounded(self) -> Self {
        Self { synapses: self.synapses.constrained(), soma: self.soma.constrained() }
    }
}
