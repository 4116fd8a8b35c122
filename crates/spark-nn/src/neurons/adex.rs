//! Adaptive exponential integrate-and-fire neurons.

use super::{hebbian, neuron};
use crate::components::somas::AdaptiveExponentialSomaConfig;
use crate::components::synapses::TracedSynapsesConfig;
use crate::controllers::NeuronConfig;

/// Adaptive exponential integrate-and-fire neurons with a spike-triggered current of 7 pA, with Hebbian
/// synapses whose current decays exponentially.
///
/// Source: Brette & Gerstner, "Adaptive exponential integrate-and-fire model as an effective description of
/// neuronal activity", J. Neurophysiol. 94 (2005).
///
/// # Examples
/// ```
/// let neuron = spark_nn::neurons::adex();
/// assert_eq!(neuron.modules[2].module, "AdaptiveExponentialSoma");
/// ```
pub fn adex() -> NeuronConfig {
    let soma = AdaptiveExponentialSomaConfig { adaptation_delta: Some(7.0.into()), ..Default::default() };
    hebbian("AdExNeuron", &TracedSynapsesConfig::default(), &soma)
}

neuron!("AdExNeuron", "Adaptive exponential integrate-and-fire neurons with Hebbian synapses", adex);
