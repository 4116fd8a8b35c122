//! Leaky integrate-and-fire neurons.

use super::{hebbian, neuron};
use crate::components::somas::AdaptiveLeakySomaConfig;
use crate::components::synapses::LinearSynapsesConfig;
use crate::controllers::NeuronConfig;

/// Leaky integrate-and-fire neurons that are refractory for 3 ms, with Hebbian synapses whose current lasts as
/// long as the spike.
///
/// # Examples
/// ```
/// use spark_core::registry::AnyConfig;
///
/// let neuron = spark_nn::neurons::lif();
/// assert_eq!(neuron.name(), "LIFNeuron");
/// assert_eq!(neuron.interface().inputs[0].name, "in_spikes");
/// ```
pub fn lif() -> NeuronConfig {
    let soma = AdaptiveLeakySomaConfig { cooldown: Some(3.0.into()), ..Default::default() };
    hebbian("LIFNeuron", &LinearSynapsesConfig::default(), &soma)
}

neuron!("LIFNeuron", "Refractory leaky integrate-and-fire neurons with Hebbian synapses", lif);
