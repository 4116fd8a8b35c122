//! Losses on what a network did over a sequence.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_nn::layers::NetworkOutput;

/// How far an output is from its label.
///
/// The variants without fields have braces so that a configuration with an unknown field is refused.
///
/// Every loss comes with scores, one per class: the class of the highest score is the prediction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// Cross-entropy of the softmax of the spike counts. Scores: counts.
    CountCrossEntropy {},
    /// Mean squared distance of the firing rates (spikes per step) from target rates. Scores: rates.
    RateMse {
        /// Target rate of the labelled class, in `[0, 1]`.
        correct: f32,
        /// Target rate of every other class, in `[0, 1]`.
        incorrect: f32,
    },
    /// Cross-entropy of the softmax of the highest membrane potential over time. Scores: those potentials.
    MembraneCrossEntropy {},
}

impl Default for Loss {
    fn default() -> Self {
        Self::CountCrossEntropy {}
    }
}

impl Loss {
    /// One score per class, `[batch, classes]`.
    pub fn scores(&self, output: &NetworkOutput) -> Tensor<2> {
        match self {
            Self::CountCrossEntropy {} => output.counts(),
            Self::RateMse { .. } => {
                let steps = output.potential.dims()[0];
                output.counts() / steps as f32
            }
            Self::MembraneCrossEntropy {} => {
                let [_, batch, classes] = output.potential.dims();
                output.potential.clone().max_dim(0).reshape([batch, classes])
            }
        }
    }

    /// The loss, averaged over the batch, `[1]`, from [`scores`](Self::scores) and labels `[batch]`.
    pub fn forward(&self, scores: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let classes = scores.dims()[1];
        match *self {
            Self::CountCrossEntropy {} | Self::MembraneCrossEntropy {} => {
                let log_probability = log_softmax(scores, 1);
                -log_probability.gather(1, labels.unsqueeze_dim(1)).mean()
            }
            Self::RateMse { correct, incorrect } => {
                let target = labels.one_hot::<2>(classes).float() * (correct - incorrect) + incorrect;
                (scores - target).square().mean()
            }
        }
    }

    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        if let Self::RateMse { correct, incorrect } = *self {
            problems.unit_interval(format!("{path}.correct"), correct);
            problems.unit_interval(format!("{path}.incorrect"), incorrect);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn forward(loss: Loss) -> f32 {
        let device = Device::flex();
        let scores = Tensor::<2>::from_floats([[2.0, 0.0], [1.0, 3.0]], &device);
        let labels = Tensor::<1, Int>::from_ints([0, 0], &device);
        loss.forward(scores, labels).into_scalar()
    }

    #[test]
    fn cross_entropy_matches_its_formula() {
        let sample = |own: f32, other: f32| (own.exp() + other.exp()).ln() - own;
        let expected = (sample(2.0, 0.0) + sample(1.0, 3.0)) / 2.0;
        assert!((forward(Loss::CountCrossEntropy {}) - expected).abs() < 1e-6);
    }

    #[test]
    fn mean_squared_error_matches_its_formula() {
        let expected = (1.2f32.powi(2) + 0.2f32.powi(2) + 0.2f32.powi(2) + 2.8f32.powi(2)) / 4.0;
        assert!((forward(Loss::RateMse { correct: 0.8, incorrect: 0.2 }) - expected).abs() < 1e-6);
    }
}
