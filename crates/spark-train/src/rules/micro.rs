//! A batch in parts: less memory, the same step.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};
use spark_nn::layers::Network;

use super::{Aim, Found, LearningRule, accumulate};

/// What a rule finds for a batch that it sees `size` samples at a time: the mean over the parts, each weighted by
/// its samples. Where the loss is a mean over samples that is what it finds for the whole batch.
pub(crate) fn find(
    rule: LearningRule,
    network: &Network,
    input: Tensor<3>,
    labels: Tensor<1, Int>,
    aim: Aim<'_>,
    size: usize,
) -> Found {
    let batch = input.dims()[1];
    let (mut loss, mut scores, mut gradients) = (None::<Tensor<1>>, Vec::new(), GradientsParams::new());
    for start in (0..batch).step_by(size) {
        let range = start..(start + size).min(batch);
        let share = range.len() as f32 / batch as f32;
        let aim = Aim { lengths: aim.lengths.map(|lengths| &lengths[range.clone()]), ..aim };
        let part = input.clone().slice_dim(1, range.clone());
        let mut found = rule.find(network, part, labels.clone().slice_dim(0, range), aim);
        network.visit(&mut Join { share, from: &mut found.gradients, into: &mut gradients });
        let part = found.loss * share;
        loss = Some(loss.map_or(part.clone(), |sum| sum + part));
        scores.push(found.scores);
    }
    Found { loss: loss.expect("a batch of at least one sample"), scores: Tensor::cat(scores, 0), gradients }
}

/// Adds `share` times one set of gradients to another.
struct Join<'a> {
    share: f32,
    from: &'a mut GradientsParams,
    into: &'a mut GradientsParams,
}

impl ModuleVisitor for Join<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(param.id) {
            accumulate(self.into, param.id, gradient * self.share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Loss;
    use crate::rules::tests::by_name;
    use burn::tensor::{Device, Distribution};
    use spark_nn::layers::{LeakyConfig, NetworkConfig};

    /// All gradients, parameter after parameter.
    fn flat(network: &Network, gradients: &GradientsParams) -> Vec<f32> {
        by_name(network, gradients).into_values().flatten().collect()
    }

    #[test]
    fn parts_of_a_batch_give_what_the_batch_gives() {
        let device = Device::flex().autodiff();
        let config = NetworkConfig::mlp(&[6, 8, 3], LeakyConfig::default());
        let network = config.init(1, &device).unwrap();
        let input = Tensor::random([9, 5, 6], Distribution::Uniform(0.0, 1.0), &device);
        let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 0, 1], &device);
        let lengths = [9, 3, 9, 7, 1];
        for rule in [LearningRule::Bptt {}, LearningRule::TruncatedBptt { steps: 4 }] {
            let aim = Aim { lengths: Some(&lengths), ..Aim::from(&Loss::CountCrossEntropy {}) };
            let whole = rule.find(&network, input.clone(), labels.clone(), aim);
            let expected = flat(&network, &whole.gradients);
            for size in [1, 2, 4] {
                let found = find(rule, &network, input.clone(), labels.clone(), aim, size);
                let gradients = flat(&network, &found.gradients);
                assert_eq!(gradients.len(), expected.len());
                for (found, expected) in gradients.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-5, "{rule:?}, {size}: {found} against {expected}");
                }
                let value = |loss: &Tensor<1>| loss.clone().into_scalar::<f32>();
                assert!((value(&found.loss) - value(&whole.loss)).abs() < 1e-5);
                assert_eq!(found.scores.into_data(), whole.scores.clone().into_data());
            }
        }
    }
}
