//! Losses on what a network did over a sequence.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_nn::layers::NetworkOutput;

/// How far an output is from its label.
///
/// The variants without fields have braces so that a configuration with an unknown field is refused.
///
/// Every loss comes with scores, one per class: the class of the highest score is the prediction. Where samples
/// are shorter than their batch ([`NetworkOutput::until`]), only their own steps count. Those after functions of
/// snnTorch give the same values and gradients.
///
/// # Examples
/// ```
/// use spark_train::Loss;
///
/// let loss: Loss = serde_json::from_str(r#"{"kind": "first_spike_mse", "correct": 0, "incorrect": 20}"#)?;
/// assert_eq!(loss, Loss::FirstSpikeMse { correct: 0.0, incorrect: 20.0 });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// Cross-entropy of the softmax of the spike counts; of units that never spike, of the sum of their
    /// membrane. Scores: counts. As `ce_count_loss` of snnTorch.
    CountCrossEntropy {},
    /// Mean over the steps of the cross-entropy of the softmax of the output of each. Scores: counts. As
    /// `ce_rate_loss` of snnTorch.
    StepCrossEntropy {},
    /// Mean squared distance of the firing rates (spikes per step) from target rates. Scores: rates.
    RateMse {
        /// Target rate of the labelled class, in `[0, 1]`.
        correct: f32,
        /// Target rate of every other class, in `[0, 1]`.
        incorrect: f32,
    },
    /// Mean squared distance of the spike counts from those of target rates, over the number of steps. Scores:
    /// counts. As `mse_count_loss` of snnTorch.
    CountMse {
        /// Target rate of the labelled class, in `[0, 1]`.
        correct: f32,
        /// Target rate of every other class, in `[0, 1]`.
        incorrect: f32,
    },
    /// Cross-entropy of the softmax of the highest membrane potential over time. Scores: those potentials. As
    /// `ce_max_membrane_loss` of snnTorch.
    MembraneCrossEntropy {},
    /// Cross-entropy of the softmax of the mean membrane potential. Scores: those means.
    MeanMembraneCrossEntropy {},
    /// Mean squared distance of the membrane potential from targets at every step. Scores: the mean potential.
    /// As `mse_membrane_loss` of snnTorch.
    MembraneMse {
        /// Target of the labelled class.
        correct: f32,
        /// Target of every other class.
        incorrect: f32,
    },
    /// Cross-entropy of the softmax of the negated time of the first spike, in steps. Scores: those. As
    /// `ce_temporal_loss` of snnTorch.
    ///
    /// A unit that never spikes counts as one that spikes at the last step. The time changes by −1 with the
    /// spike at it.
    FirstSpikeCrossEntropy {},
    /// Mean squared distance of the time of the first spike from targets, each over the number of steps. Scores:
    /// the negated time. As `mse_temporal_loss` of snnTorch.
    FirstSpikeMse {
        /// Target step of the labelled class; below 0, from the end.
        correct: f32,
        /// Target step of every other class, likewise.
        incorrect: f32,
    },
}

impl Default for Loss {
    fn default() -> Self {
        Self::CountCrossEntropy {}
    }
}

/// What a loss makes of an output.
#[derive(Clone, Debug)]
pub struct Judged {
    /// One score per class, `[batch, classes]`.
    pub scores: Tensor<2>,
    /// The loss, averaged over the batch, `[1]`.
    pub loss: Tensor<1>,
}

impl Loss {
    /// One score per class, `[batch, classes]`.
    pub fn scores(&self, output: &NetworkOutput) -> Tensor<2> {
        match self {
            Self::CountCrossEntropy {} | Self::StepCrossEntropy {} | Self::CountMse { .. } => output.counts(),
            Self::RateMse { .. } => per_step(output, output.counts()),
            Self::MembraneCrossEntropy {} => {
                let potential = match output.mask() {
                    // Far below any other, and finite.
                    Some(mask) => output.potential.clone() * mask.clone() + (mask - 1.0) * 1e30,
                    None => output.potential.clone(),
                };
                over_time(potential.max_dim(0))
            }
            Self::MeanMembraneCrossEntropy {} | Self::MembraneMse { .. } => {
                per_step(output, over_time(within(output, output.potential.clone()).sum_dim(0)))
            }
            Self::FirstSpikeCrossEntropy {} | Self::FirstSpikeMse { .. } => -first_spikes(output),
        }
    }

    /// Scores and the loss against labels `[batch]`.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Int, Tensor};
    /// use spark_nn::layers::{LeakyConfig, NetworkConfig};
    /// use spark_train::Loss;
    ///
    /// let device = Device::flex();
    /// let network = NetworkConfig::mlp(&[4, 2], LeakyConfig::default()).init(1, &device)?;
    /// let output = network.forward(Tensor::zeros([10, 3, 4], &device), None);
    /// let judged = Loss::default().judge(&output, Tensor::<1, Int>::from_ints([0, 1, 1], &device));
    /// assert_eq!(judged.scores.dims(), [3, 2]);
    /// # Ok::<(), spark_core::Problems>(())
    /// ```
    pub fn judge(&self, output: &NetworkOutput, labels: Tensor<1, Int>) -> Judged {
        let scores = self.scores(output);
        let [_, classes] = scores.dims();
        let loss = match *self {
            Self::CountCrossEntropy {}
            | Self::MembraneCrossEntropy {}
            | Self::MeanMembraneCrossEntropy {}
            | Self::FirstSpikeCrossEntropy {} => cross_entropy(scores.clone(), labels),
            Self::StepCrossEntropy {} => {
                let [time, batch, _] = output.output.dims();
                let log_probability = log_softmax(output.output.clone(), 2);
                let labels = labels.reshape([1, batch, 1]).expand([time, batch, 1]);
                let chosen = within(output, log_probability.gather(2, labels)).sum_dim(0);
                -per_step(output, over_time(chosen)).mean()
            }
            Self::RateMse { correct, incorrect } => {
                (scores.clone() - targets(labels, classes, correct, incorrect)).square().mean()
            }
            Self::CountMse { correct, incorrect } => {
                let rates = per_step(output, scores.clone());
                let error = (rates - targets(labels, classes, correct, incorrect)).square();
                (error * step_counts(output)).mean()
            }
            Self::MembraneMse { correct, incorrect } => {
                let target = targets(labels, classes, correct, incorrect).unsqueeze::<3>();
                let error = within(output, (output.potential.clone() - target).square());
                per_step(output, over_time(error.sum_dim(0))).mean()
            }
            Self::FirstSpikeMse { correct, incorrect } => {
                let steps = output.output.dims()[0] as f32;
                let from_start = |step: f32| if step < 0.0 { steps + step } else { step };
                let target = targets(labels, classes, from_start(correct), from_start(incorrect));
                ((scores.clone() + target) / steps).square().mean()
            }
        };
        Judged { scores, loss }
    }

    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        match *self {
            Self::RateMse { correct, incorrect } | Self::CountMse { correct, incorrect } => {
                problems.unit_interval(format!("{path}.correct"), correct);
                problems.unit_interval(format!("{path}.incorrect"), incorrect);
            }
            Self::MembraneMse { correct, incorrect } | Self::FirstSpikeMse { correct, incorrect } => {
                problems.finite(format!("{path}.correct"), correct);
                problems.finite(format!("{path}.incorrect"), incorrect);
            }
            Self::CountCrossEntropy {}
            | Self::StepCrossEntropy {}
            | Self::MembraneCrossEntropy {}
            | Self::MeanMembraneCrossEntropy {}
            | Self::FirstSpikeCrossEntropy {} => {}
        }
    }
}

/// Mean over the batch of `−ln softmax(scores)` of the labelled class.
fn cross_entropy(scores: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    -log_softmax(scores, 1).gather(1, labels.unsqueeze_dim(1)).mean()
}

/// `correct` for the labelled class and `incorrect` for all others, `[batch, classes]`.
fn targets(labels: Tensor<1, Int>, classes: usize, correct: f32, incorrect: f32) -> Tensor<2> {
    labels.one_hot::<2>(classes).float() * (correct - incorrect) + incorrect
}

/// `[1, batch, units]` as `[batch, units]`.
fn over_time(tensor: Tensor<3>) -> Tensor<2> {
    tensor.squeeze_dim(0)
}

/// `values` with 0 after the end of each sample.
fn within(output: &NetworkOutput, values: Tensor<3>) -> Tensor<3> {
    match output.mask() {
        Some(mask) => values * mask,
        None => values,
    }
}

/// Steps of each sample, `[batch, 1]`.
fn step_counts(output: &NetworkOutput) -> Tensor<2> {
    let [time, batch, _] = output.output.dims();
    let counts: Vec<f32> = match &output.lengths {
        Some(lengths) => lengths.iter().map(|&length| length.max(1) as f32).collect(),
        None => vec![time as f32; batch],
    };
    Tensor::from_data(TensorData::new(counts, [batch, 1]), &output.output.device())
}

/// Sums over the steps of each sample as means.
fn per_step(output: &NetworkOutput, sums: Tensor<2>) -> Tensor<2> {
    match output.lengths {
        Some(_) => sums / step_counts(output),
        None => sums / output.output.dims()[0] as f32,
    }
}

/// The step of the first spike of each unit, `[batch, units]`; the last step of units without.
///
/// With the spike at that step – or its absence there – the time changes by −1.
fn first_spikes(output: &NetworkOutput) -> Tensor<2> {
    let [time, _, _] = output.output.dims();
    let device = output.output.device();
    let spikes = within(output, output.output.clone());
    let steps = Tensor::<1, Int>::arange(0..time as i64, &device).float().reshape([time, 1, 1]);
    // The earliest spike counts the most: T − t, and nothing without a spike.
    let earliest = (spikes.clone().detach() * (-steps.clone() + time as f32)).max_dim(0);
    let last = step_counts(output).unsqueeze::<3>() - 1.0;
    let first = (-earliest + time as f32).min_pair(last);
    let at_first = steps.equal(first.clone()).float();
    let change = (spikes.clone() - spikes.detach()) * at_first;
    over_time(first - change.sum_dim(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use spark_nn::layers::{LeakyConfig, NetworkConfig, Temporal};

    /// What a network would return whose last layer gave `values`, `[time, batch, 2]`, as spikes and membrane.
    fn output(values: &[[[f32; 2]; 2]]) -> NetworkOutput {
        let device = Device::flex();
        let flat: Vec<f32> = values.iter().flatten().flatten().copied().collect();
        let tensor = Tensor::<3>::from_data(TensorData::new(flat, [values.len(), 2, 2]), &device);
        let network = NetworkConfig::mlp(&[1, 2], LeakyConfig::default()).init(1, &device).unwrap();
        NetworkOutput {
            spikes: vec![tensor.clone()],
            potential: tensor.clone(),
            output: tensor,
            state: network.initial_state(2, &device),
            lengths: None,
        }
    }

    fn loss(loss: Loss, output: &NetworkOutput) -> f32 {
        let labels = Tensor::<1, Int>::from_ints([0, 0], &Device::flex());
        loss.judge(output, labels).loss.into_scalar()
    }

    fn scores(loss: Loss, output: &NetworkOutput) -> Vec<f32> {
        loss.scores(output).into_data().iter().collect()
    }

    /// One step in which scores are what the layer gives.
    fn one_step() -> NetworkOutput {
        output(&[[[2.0, 0.0], [1.0, 3.0]]])
    }

    #[test]
    fn cross_entropy_matches_its_formula() {
        let sample = |own: f32, other: f32| (own.exp() + other.exp()).ln() - own;
        let expected = (sample(2.0, 0.0) + sample(1.0, 3.0)) / 2.0;
        for kind in [Loss::CountCrossEntropy {}, Loss::StepCrossEntropy {}, Loss::MeanMembraneCrossEntropy {}]
        {
            assert!((loss(kind, &one_step()) - expected).abs() < 1e-6, "{kind:?}");
        }
    }

    #[test]
    fn mean_squared_error_matches_its_formula() {
        let expected = (1.2f32.powi(2) + 0.2f32.powi(2) + 0.2f32.powi(2) + 2.8f32.powi(2)) / 4.0;
        let (correct, incorrect) = (0.8, 0.2);
        for kind in [
            Loss::RateMse { correct, incorrect },
            Loss::CountMse { correct, incorrect },
            Loss::MembraneMse { correct, incorrect },
        ] {
            assert!((loss(kind, &one_step()) - expected).abs() < 1e-6, "{kind:?}");
        }
    }

    #[test]
    fn steps_after_the_end_of_a_sample_do_not_count() {
        let short = [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [1.0, 1.0]]];
        // Sample 0 ends after two steps; sample 1 goes on as it was.
        let long = [short[0], short[1], [[9.0, 9.0], [0.0, 1.0]], [[9.0, 9.0], [1.0, 0.0]]];
        let until = output(&long).until(&[2, 4]);
        let (correct, incorrect) = (1.0, 0.0);
        for kind in [
            Loss::CountCrossEntropy {},
            Loss::StepCrossEntropy {},
            Loss::RateMse { correct, incorrect },
            Loss::CountMse { correct, incorrect },
            Loss::MembraneCrossEntropy {},
            Loss::MeanMembraneCrossEntropy {},
            Loss::MembraneMse { correct, incorrect },
            Loss::FirstSpikeCrossEntropy {},
        ] {
            let alone = scores(kind, &output(&short))[..2].to_vec();
            assert_eq!(scores(kind, &until)[..2], alone, "{kind:?}");
            assert_eq!(scores(kind, &until)[2..], scores(kind, &output(&long))[2..], "{kind:?}");
            // The loss of sample 0 alone is that of the short batch: both samples are it.
            let twice = |values: &[[[f32; 2]; 2]]| values.iter().map(|step| [step[0]; 2]).collect::<Vec<_>>();
            let found = loss(kind, &output(&twice(&long)).until(&[2, 2]));
            assert!((found - loss(kind, &output(&twice(&short)))).abs() < 1e-6, "{kind:?}");
        }
    }

    #[test]
    fn the_first_spike_counts() {
        let spikes = output(&[[[0.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]]);
        assert_eq!(scores(Loss::FirstSpikeCrossEntropy {}, &spikes), [-1.0, -2.0, 0.0, -2.0]);
        let found = loss(Loss::FirstSpikeMse { correct: 0.0, incorrect: -1.0 }, &spikes);
        assert!((found - (1.0 / 9.0) / 4.0).abs() < 1e-7, "{found}");
    }
}
