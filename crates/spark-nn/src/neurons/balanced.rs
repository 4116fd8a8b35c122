//! Balanced networks: few, strong inhibitory units hold many excitatory ones at a low, irregular rate.

use burn::tensor::TensorData;
use spark_core::component::Instance;
use spark_core::model::ModuleSpec;
use spark_core::state::StateError;
use spark_core::{ComponentConfig, Initializer, seed};

use crate::components::somas::AdaptiveLeakySomaConfig;
use crate::components::synapses::{
    Connectivity, SparseConductanceSynapsesConfig, SparseTracedSynapsesConfig,
};
use crate::controllers::NeuronConfig;

/// The networks of Vogels & Abbott, *Signal propagation and logic gating in networks of integrate-and-fire
/// neurons* (2005): leaky integrate-and-fire units, one in five of which inhibits, recurrently and sparsely
/// connected, without input from outside.
///
/// Steps are of 0.1 ms; time constants are 20 ms (membrane), 5 ms (excitatory synapses) and 10 ms (inhibitory
/// ones), and a spike holds the potential at its reset of −60 mV for 5 ms. The paper's networks have 4,000
/// units and connect two pairs in a hundred, which is 80 synapses onto each unit; smaller ones keep these 80.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use spark_core::component::{Context, Instance};
/// use spark_core::payload::Payload;
/// use spark_core::ports::{InputShapes, PortValues};
/// use spark_nn::neurons::Balanced;
///
/// let nothing = InputShapes::default();
/// let mut network = Balanced::Cuba.config(400).build(&nothing, 1, &Context::new("", &Device::flex()))?;
/// Balanced::Cuba.start(&mut network, 1)?;
/// let mut spikes = 0.0;
/// for _ in 0..1000 {
///     let outputs = network.step(PortValues::default())?;
///     let Some(Payload::Spikes(out)) = outputs.get("out_spikes") else { unreachable!() };
///     spikes += out.units().unwrap().sum().into_scalar::<f32>();
/// }
/// assert!(spikes > 100.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balanced {
    /// Synapses are currents: a spike moves the potential that a unit tends to by 1.62 mV up or 9 mV down. The
    /// resting potential of −49 mV lies above the threshold of −50 mV.
    Cuba,
    /// Synapses are conductances of 6 nS and 67 nS that pull towards 0 mV and −80 mV; the leak is 10 nS, the
    /// resting potential −60 mV.
    Coba,
}

/// Duration of a step in ms.
const DT: f32 = 0.1;

/// Synapses onto each unit.
const IN_DEGREE: f32 = 80.0;

/// Resistance of a leak of 10 nS in GΩ.
const RESISTANCE: f32 = 0.1;

const RESET: f32 = -60.0;
const THRESHOLD: f32 = -50.0;

impl Balanced {
    /// The network as one neuron of so many units; its spikes are the output `out_spikes`.
    ///
    /// # Examples
    /// See [`Balanced`].
    pub fn config(self, units: usize) -> NeuronConfig {
        let connectivity = Connectivity::Probability { probability: (IN_DEGREE / units as f32).min(1.0) };
        let neuron =
            NeuronConfig { dt: DT, units: vec![units], inhibitory_rate: 0.2, ..NeuronConfig::default() };
        let soma = AdaptiveLeakySomaConfig {
            potential_rest: self.rest().into(),
            potential_reset: RESET.into(),
            threshold: THRESHOLD.into(),
            resistance: RESISTANCE.into(),
            clamp_duration: Some(5.0.into()),
            ..Default::default()
        };
        let soma = ModuleSpec::new("soma", &soma)
            .input("current", "synapses.currents")
            .output("out_spikes", "spikes");
        match self {
            Self::Cuba => {
                let synapses = SparseTracedSynapsesConfig {
                    connectivity,
                    weights: 1.0.into(),
                    scale_excitatory: (1.62 / RESISTANCE).into(),
                    scale_inhibitory: (9.0 / RESISTANCE).into(),
                    ..Default::default()
                };
                neuron.with(synapses_of(&synapses)).with(soma)
            }
            Self::Coba => {
                let synapses = SparseConductanceSynapsesConfig {
                    connectivity,
                    weights: 1.0.into(),
                    scale_excitatory: 6.0.into(),
                    scale_inhibitory: 67.0.into(),
                    soma_potential_rest: self.rest().into(),
                    ..Default::default()
                };
                neuron.with(synapses_of(&synapses).input("potential", "soma#potential")).with(soma)
            }
        }
    }

    /// Draws the state that the network starts from: potentials between reset and threshold and, of
    /// conductances, such as a network in full activity has, from which it may keep going by itself: with
    /// currents always, with conductances about every second network of 4,000 units does for longer than a second.
    ///
    /// # Errors
    /// When `network` was not built of this [`config`](Self::config).
    ///
    /// # Examples
    /// See [`Balanced`].
    pub fn start(self, network: &mut dyn Instance, seed: u64) -> Result<(), StateError> {
        let mut state = network.save();
        let mut draw = |path: &str, initializer: Initializer, lowest: f32| -> Result<(), StateError> {
            let plane = state.get_mut(path).ok_or_else(|| StateError::Missing(path.to_owned()))?;
            let mut values = initializer.draw(plane.num_elements(), 1, &mut seed::rng(seed, path));
            values.iter_mut().for_each(|value| *value = value.max(lowest));
            *plane = TensorData::new(values, plane.shape().clone());
            Ok(())
        };
        let potentials = Initializer::Uniform { min: RESET - self.rest(), max: THRESHOLD - self.rest() };
        draw("soma.potential", potentials, f32::MIN)?;
        if self == Self::Coba {
            // As in Brian2's benchmark of this network: g_e = (4 ± 1.5) and g_i = (20 ± 12) leaks.
            draw("synapses.excitatory.trace", Initializer::Normal { mean: 40.0, std: 15.0 }, 0.0)?;
            draw("synapses.inhibitory.trace", Initializer::Normal { mean: 200.0, std: 120.0 }, 0.0)?;
        }
        network.restore(&state)
    }

    /// Resting potential in mV.
    fn rest(self) -> f32 {
        match self {
            Self::Cuba => -49.0,
            Self::Coba => -60.0,
        }
    }
}

/// Synapses of the units among themselves.
fn synapses_of<C: ComponentConfig>(config: &C) -> ModuleSpec {
    ModuleSpec::new("synapses", config).input("spikes", "soma.spikes")
}
