//! Adaptive leaky integrate-and-fire neurons.

use super::{hebbian, neuron};
use crate::components::somas::AdaptiveLeakySomaConfig;
use crate::components::synapses::TracedSynapsesConfig;
use crate::controllers::NeuronConfig;

/// Leaky integrate-and-fire neurons that are refractory for 3 ms and whose threshold rises by 100 mV with a
/// spike, with Hebbian synapses whose current decays exponentially.
///
/// # Examples
/// ```
/// let neuron = spark_nn::neurons::alif();
/// assert_eq!(neuron.modules[2].config.fields["threshold_delta"], 100.0);
/// ```
pub fn alif() -> NeuronConfig {
    let soma = AdaptiveLeakySomaConfig {
        cooldown: Some(3.0.into()),
        threshold_delta: Some(100.0.into()),
        ..Default::default()
    };
    hebbian("ALIFNeuron", &TracedSynapsesConfig::default(), &soma)
}

neuron!("ALIFNeuron", "Leaky integrate-and-fire neurons with an adaptive threshold and Hebbian synapses", alif);
