//! What a gradient is taken of.

use burn::tensor::{Device, Int, Tensor, TensorData};
use spark_nn::layers::{LocalRun, NetworkOutput, NetworkState, Synapses};

use crate::{Judged, Loss, Penalty};

/// A loss with its penalties, for a batch whose samples may be shorter than the sequence.
#[derive(Clone, Copy)]
pub(crate) struct Aim<'a> {
    pub loss: &'a Loss,
    pub penalties: &'a [Penalty],
    /// The synapses that some penalties count.
    pub synapses: &'a [Synapses],
    /// Steps of each sample; all of the sequence where absent.
    pub lengths: Option<&'a [usize]>,
}

impl<'a> From<&'a Loss> for Aim<'a> {
    fn from(loss: &'a Loss) -> Self {
        Self { loss, penalties: &[], synapses: &[], lengths: None }
    }
}

impl Aim<'_> {
    /// Scores and loss of the steps so far.
    pub fn judge(&self, output: NetworkOutput, labels: Tensor<1, Int>) -> Judged {
        let output = match self.lengths {
            Some(lengths) => output.until(lengths),
            None => output,
        };
        self.loss.judge(&output, labels)
    }

    /// A loss with the penalties of what [`penalty`](Self::penalty) found.
    pub fn with(judged: Judged, penalty: Option<Tensor<1>>) -> Judged {
        match penalty {
            Some(penalty) => Judged { loss: judged.loss + penalty, ..judged },
            None => judged,
        }
    }

    /// The sum of the penalties, where there are any.
    pub fn penalty(&self, output: &NetworkOutput) -> Option<Tensor<1>> {
        self.penalty_of(&output.spikes)
    }

    /// The same of the spikes of each spiking layer in order.
    pub fn penalty_of(&self, spikes: &[Tensor<3>]) -> Option<Tensor<1>> {
        let terms = self.penalties.iter().filter_map(|penalty| penalty.of(spikes, self.synapses));
        terms.reduce(|sum, term| sum + term)
    }

    /// The loss of every step by itself, averaged over the steps of all samples.
    pub fn mean_of_steps(&self, ran: LocalRun, labels: Tensor<1, Int>) -> Tensor<1> {
        let [time, batch, units] = ran.output.dims();
        let (mut output, mut potential) =
            (ran.output.reshape([time * batch, units]), ran.potential.reshape([time * batch, units]));
        let mut labels = labels.repeat_dim(0, time);
        if let Some(rows) = self.steps(time, batch, &labels.device()) {
            output = output.select(0, rows.clone());
            potential = potential.select(0, rows.clone());
            labels = labels.select(0, rows);
        }
        // Each step of each sample is a sample of one step.
        self.loss.judge(&given(output.unsqueeze(), potential.unsqueeze()), labels).loss
    }

    /// The same of scores `[time, batch, classes]` that were read out of a hidden layer.
    pub fn mean_of_scores(&self, scores: Tensor<3>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.mean_of_steps(LocalRun { output: scores.clone(), potential: scores }, labels)
    }

    /// Loss and scores of the whole sequence, without autodiff.
    pub fn whole(&self, ran: &LocalRun, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>) {
        let output = given(ran.output.clone().inner(), ran.potential.clone().inner());
        let Judged { scores, loss } = self.judge(output, labels.inner());
        (loss, scores)
    }

    /// Which of `[time, batch]` are steps of a sample; absent where all are.
    fn steps(&self, time: usize, batch: usize, device: &Device) -> Option<Tensor<1, Int>> {
        let lengths = self.lengths.filter(|lengths| lengths.iter().any(|&length| length < time))?;
        let within = (0..time * batch).filter(|index| index / batch < lengths[index % batch]);
        let rows: Vec<i32> = within.map(|index| index as i32).collect();
        let count = rows.len();
        Some(Tensor::from_data(TensorData::new(rows, [count]), device))
    }
}

/// Outputs and potentials as a loss takes them.
fn given(output: Tensor<3>, potential: Tensor<3>) -> NetworkOutput {
    NetworkOutput {
        spikes: vec![output.clone()],
        output,
        potential,
        state: NetworkState::default(),
        lengths: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LearningRule;
    use crate::rules::tests::by_name;
    use burn::tensor::Distribution;
    use spark_nn::layers::{LeakyConfig, NetworkConfig};

    #[test]
    fn what_follows_the_end_of_samples_changes_nothing() {
        let device = Device::flex().autodiff();
        let network = NetworkConfig::mlp(&[5, 8, 3], LeakyConfig::default()).init(3, &device).unwrap();
        let short = Tensor::<3>::random([6, 4, 5], Distribution::Uniform(0.0, 1.0), &device);
        let padding = Tensor::random([5, 4, 5], Distribution::Uniform(0.0, 1.0), &device);
        let long = Tensor::cat(vec![short.clone(), padding], 0);
        let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 0], &device);
        for rule in LearningRule::PRESETS {
            // A window more for the steps that do not count gives a loss more of the same output.
            if matches!(rule, LearningRule::TruncatedBptt { .. }) {
                continue;
            }
            let gradients = |input: &Tensor<3>| {
                let aim = Aim { lengths: Some(&[6; 4]), ..Aim::from(&Loss::CountCrossEntropy {}) };
                let found = rule.find(&network, input.clone().into(), labels.clone(), aim);
                by_name(&network, &found.gradients).into_values().flatten().collect::<Vec<f32>>()
            };
            let (expected, found) = (gradients(&short), gradients(&long));
            assert!(expected.iter().any(|&value| value != 0.0) && expected.len() == found.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5, "{rule:?}: {found} against {expected}");
            }
        }
    }
}
