//! Terms that a loss is joined by: how much a network may fire.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_nn::layers::{NetworkOutput, Synapses};

/// A term on the activity of the spiking layers, added to the loss.
///
/// # Examples
/// Keeps every unit between one spike in a hundred steps and one in five:
/// ```
/// use spark_train::Penalty;
///
/// let penalty: Penalty = serde_json::from_str(
///     r#"{"kind": "rate_band", "weight": 0.1, "low": 0.01, "high": 0.2}"#)?;
/// assert_eq!(penalty, Penalty::RateBand { weight: 0.1, low: 0.01, high: 0.2 });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Penalty {
    /// `weight·Σ S`: the number of all spikes of the batch. As `l1_rate_sparsity` of snnTorch.
    Spikes {
        /// Factor, per spike.
        weight: f32,
    },
    /// `weight·Σ mean(max(0, r − high)² + max(0, low − r)²)`, with the firing rate `r` of each unit over steps
    /// and batch, mean over the units of a layer and sum over the layers.
    ///
    /// A `low` above 0 brings back units that fell silent. Source: Zenke & Vogels, *The remarkable robustness of
    /// surrogate gradient learning for instilling complex function in spiking neural networks*, Neural
    /// Computation 33, 2021.
    RateBand {
        /// Factor.
        weight: f32,
        /// Rates from here on cost nothing, spikes per step.
        low: f32,
        /// Rates up to here cost nothing, spikes per step.
        high: f32,
    },
    /// `weight` times the fraction of the synaptic operations that take place, of those that would if every unit
    /// spiked at every step.
    Operations {
        /// Factor.
        weight: f32,
    },
}

impl Penalty {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        let (Self::Spikes { weight } | Self::RateBand { weight, .. } | Self::Operations { weight }) = *self;
        problems.non_negative(format!("{path}.weight"), weight);
        if let Self::RateBand { low, high, .. } = *self {
            problems.unit_interval(format!("{path}.low"), low);
            problems.unit_interval(format!("{path}.high"), high);
            if low > high {
                problems.push(format!("{path}.high"), high, format!("at least low, {low}"));
            }
        }
    }

    /// The term, `[1]`; absent where no layer spikes, or no spike goes through a synapse.
    pub fn forward(&self, output: &NetworkOutput, synapses: &[Synapses]) -> Option<Tensor<1>> {
        self.of(&output.spikes, synapses)
    }

    /// The same of the spikes of each spiking layer in order, `[time, batch, units]`.
    pub(crate) fn of(&self, spikes: &[Tensor<3>], synapses: &[Synapses]) -> Option<Tensor<1>> {
        let terms: Vec<Tensor<1>> = match *self {
            Self::Spikes { weight } => spikes.iter().map(|spikes| spikes.clone().sum() * weight).collect(),
            Self::RateBand { weight, low, high } => {
                let term = |spikes: &Tensor<3>| {
                    let [time, batch, units] = spikes.dims();
                    let rate = spikes.clone().reshape([time * batch, units]).mean_dim(0);
                    let above = (rate.clone() - high).clamp_min(0.0).square();
                    let below = (-rate + low).clamp_min(0.0).square();
                    (above + below).mean() * weight
                };
                spikes.iter().map(term).collect()
            }
            Self::Operations { weight } => {
                let from = |layer: usize| synapses.iter().filter(move |found| found.from == Some(layer));
                let fan_out = |layer: usize| from(layer).map(Synapses::fan_out).sum::<f64>();
                let all: f64 = (spikes.iter().enumerate())
                    .map(|(layer, spikes)| spikes.dims().iter().product::<usize>() as f64 * fan_out(layer))
                    .sum();
                let term = |(layer, spikes): (usize, &Tensor<3>)| {
                    let share = fan_out(layer) / all;
                    (share > 0.0).then(|| spikes.clone().sum() * (f64::from(weight) * share))
                };
                spikes.iter().enumerate().filter_map(term).collect()
            }
        };
        terms.into_iter().reduce(|sum, term| sum + term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use spark_nn::layers::{LeakyConfig, NetworkConfig};

    /// Spikes and synapses of a network 2-2-1 whose first layer spikes in half of all cases.
    fn case(device: &Device) -> (NetworkOutput, Vec<Synapses>, Tensor<3>) {
        let config = NetworkConfig::mlp(&[2, 2, 1], LeakyConfig::default());
        let network = config.init(1, device).unwrap();
        let mut output = network.forward(Tensor::zeros([2, 1, 2], device), None);
        let first = Tensor::<3>::from_floats([[[1.0, 0.0]], [[1.0, 0.0]]], device).require_grad();
        output.spikes = vec![first.clone(), Tensor::zeros([2, 1, 1], device)];
        (output, config.synapses().unwrap().unwrap(), first)
    }

    fn value(penalty: Penalty) -> f32 {
        let (output, synapses, _) = case(&Device::flex().autodiff());
        penalty.forward(&output, &synapses).unwrap().into_scalar()
    }

    #[test]
    fn terms_match_their_formulas() {
        assert_eq!(value(Penalty::Spikes { weight: 0.5 }), 1.0);
        // Rates 1 and 0, and 0 in the second layer.
        let band = value(Penalty::RateBand { weight: 2.0, low: 0.1, high: 0.5 });
        assert!((band - 2.0 * ((0.25 + 0.01) / 2.0 + 0.01)).abs() < 1e-6, "{band}");
        // 2 of 4 spikes go through a synapse each; the last layer has none behind it.
        assert_eq!(value(Penalty::Operations { weight: 3.0 }), 1.5);
    }

    #[test]
    fn silent_units_are_pushed_up_and_busy_ones_down() {
        let (output, synapses, first) = case(&Device::flex().autodiff());
        let penalty = Penalty::RateBand { weight: 1.0, low: 0.1, high: 0.5 };
        let gradients = penalty.forward(&output, &synapses).unwrap().backward();
        let gradient: Vec<f32> = first.grad(&gradients).unwrap().into_data().iter().collect();
        assert!(gradient[0] > 0.0 && gradient[1] < 0.0, "{gradient:?}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut problems = Problems::default();
        Penalty::RateBand { weight: -1.0, low: 0.5, high: 0.1 }.validate("p", &mut problems);
        let paths: Vec<_> = problems.list().iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["p.weight", "p.high"]);
    }
}
