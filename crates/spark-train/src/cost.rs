//! What a network costs where only spikes are worked on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_nn::layers::Synapses;

/// Energy of adding two 32-bit floats at 45 nm, in pJ.
pub const ADD_PJ: f64 = 0.9;
/// Energy of multiplying two 32-bit floats and adding the product, likewise.
pub const MULTIPLY_ADD_PJ: f64 = 4.6;

/// Operations and energy of a sample, as if on hardware that works on spikes only.
///
/// A spike adds the weight of each synapse that it goes through to a membrane: one addition. An input that is no
/// spike – a current – costs a multiplication and an addition at each. Membranes, and memory, are not counted.
///
/// ```text
/// operations           = Σ spikes · fan-out                      over layers and steps
/// energy / nJ          = (0.9·operations + 4.6·multiply_adds) / 1000
/// dense_energy / nJ    = 4.6·synapses·frames / 1000              the same network without spikes, once a frame
/// ```
///
/// Sources: M. Horowitz, *Computing's energy problem (and what we can do about it)*, ISSCC 2014 (energies, 45 nm,
/// 0.9 V); counted as in P. Panda, S. A. Aketi & K. Roy, *Toward scalable, efficient, and accurate deep spiking
/// neural networks*, Frontiers in Neuroscience 14:653, 2020. Fan-out: [`Synapses::fan_out`].
///
/// # Examples
/// ```
/// use spark_nn::layers::{LeakyConfig, NetworkConfig};
/// use spark_train::{Activity, Cost};
///
/// let synapses = NetworkConfig::mlp(&[100, 50, 10], LeakyConfig::default()).synapses()?.unwrap();
/// let activity = Activity { input: 200.0, input_spikes: true, frames: 1.0, layers: vec![40.0, 5.0] };
/// let cost = Cost::of(&synapses, &activity);
/// assert_eq!((cost.operations, cost.multiply_adds), (200.0 * 50.0 + 40.0 * 10.0, 0.0));
/// # Ok::<(), spark_core::Problems>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Additions for spikes, per sample.
    pub operations: f64,
    /// Multiplications with additions for inputs that are no spikes, per sample.
    pub multiply_adds: f64,
    /// Estimated energy of both in nJ, per sample.
    pub energy: f64,
    /// Estimated energy of the same synapses in a network without spikes in nJ, per sample.
    pub dense_energy: f64,
}

/// What happened in a network, per sample.
///
/// The example is that of [`Cost`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activity {
    /// Inputs that were not 0, over all steps.
    pub input: f64,
    /// Whether inputs are spikes.
    pub input_spikes: bool,
    /// Frames: one of an image, as many as it has of a sequence.
    pub frames: f64,
    /// Spikes of each spiking layer over all steps.
    pub layers: Vec<f64>,
}

impl Cost {
    /// What `activity` costs.
    pub fn of(synapses: &[Synapses], activity: &Activity) -> Self {
        let mut cost = Self::default();
        for synapses in synapses {
            match synapses.from {
                Some(layer) => {
                    let spikes = activity.layers.get(layer).copied().unwrap_or(0.0);
                    cost.operations += spikes * synapses.fan_out();
                }
                None if activity.input_spikes => cost.operations += activity.input * synapses.fan_out(),
                None => cost.multiply_adds += activity.input * synapses.fan_out(),
            }
            cost.dense_energy += MULTIPLY_ADD_PJ * synapses.count as f64 * activity.frames / 1000.0;
        }
        cost.energy = (ADD_PJ * cost.operations + MULTIPLY_ADD_PJ * cost.multiply_adds) / 1000.0;
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spark_nn::layers::{LeakyConfig, NetworkConfig};

    #[test]
    fn currents_are_multiplied_and_recurrent_spikes_counted_twice() {
        let synapses =
            NetworkConfig::recurrent(3, &[4], 2, LeakyConfig::default()).synapses().unwrap().unwrap();
        let activity = Activity { input: 6.0, input_spikes: false, frames: 2.0, layers: vec![10.0, 3.0] };
        let cost = Cost::of(&synapses, &activity);
        assert_eq!((cost.multiply_adds, cost.operations), (24.0, 10.0 * (4.0 + 2.0)));
        assert!((cost.energy - (0.9 * 60.0 + 4.6 * 24.0) / 1000.0).abs() < 1e-12);
        assert!((cost.dense_energy - 2.0 * 4.6 * (12.0 + 16.0 + 8.0) / 1000.0).abs() < 1e-12);
    }
}
