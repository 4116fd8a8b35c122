//! How good a network is, and what it says about one image.

use burn::tensor::{Device, Tensor};
use serde::Serialize;
use spark_nn::layers::Network;
use std::sync::Arc;

use crate::data::Images;
use crate::encoding::{Encoder, Purpose};
use crate::{Batches, Loss};

/// The result of [`Evaluator::evaluate`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Number of images.
    pub samples: usize,
    /// Fraction classified correctly.
    pub accuracy: f64,
    /// Mean loss.
    pub loss: f64,
    /// Mean firing rate of each spiking layer in order, spikes per unit and step.
    pub rates: Vec<f64>,
    /// Images by class (row) and prediction (column).
    pub confusion: Vec<Vec<u32>>,
}

/// The result of [`Evaluator::predict`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The class of the highest score.
    pub class: usize,
    /// One score per class; what it is depends on the loss.
    pub scores: Vec<f32>,
    /// Spikes per output unit.
    pub counts: Vec<f32>,
    /// Mean firing rate of each spiking layer in order, spikes per unit and step.
    pub rates: Vec<f64>,
}

/// How a network is shown images and how its answer is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluator {
    /// From images to input sequences.
    pub encoder: Encoder,
    /// From output sequences to scores.
    pub loss: Loss,
    /// Images at a time.
    pub batch: usize,
}

impl Evaluator {
    /// Classifies the images of the given indices and compares with their labels.
    ///
    /// `network` is on `device`, without autodiff. `goes_on` is told after each batch how many images are
    /// through; when it returns `false` the evaluation stops and there is no result.
    pub fn evaluate(
        &self,
        network: &Network,
        images: &Arc<Images>,
        indices: &[usize],
        device: &Device,
        mut goes_on: impl FnMut(usize) -> bool,
    ) -> Option<Evaluation> {
        let mut sums = Sums::default();
        let (images, order) = (Arc::clone(images), indices.to_vec());
        let truth: Vec<u8> = order.iter().map(|&index| images.labels[index]).collect();
        for batch in Batches::new(images, order, self.encoder, Purpose::Evaluate, self.batch) {
            let truth = &truth[sums.samples..sums.samples + batch.len()];
            let (input, labels) = batch.into_tensors(device);
            let output = network.forward(input, None);
            let scores = self.loss.scores(&output);
            let loss: f32 = self.loss.forward(scores.clone(), labels).into_scalar();
            sums.add(truth, &classes(&floats(scores.clone()), scores.dims()[1]), loss, &output.rates());
            if !goes_on(sums.samples) {
                return None;
            }
        }
        Some(sums.finish())
    }

    /// What the network says about image `index`.
    pub fn predict(&self, network: &Network, images: &Images, index: usize, device: &Device) -> Prediction {
        let input = self.encoder.encode(images, &[index], Purpose::Evaluate).into_tensor(device);
        let output = network.forward(input, None);
        let scores = floats(self.loss.scores(&output));
        Prediction { class: argmax(&scores), counts: floats(output.counts()), rates: output.rates(), scores }
    }
}

/// The class of the highest score of each sample, from `[batch, classes]` scores.
pub(crate) fn classes(scores: &[f32], classes: usize) -> Vec<usize> {
    scores.chunks(classes).map(argmax).collect()
}

/// The index of the largest value; of the first one among equals.
fn argmax(values: &[f32]) -> usize {
    let better = |best: usize, i: usize| if values[i] > values[best] { i } else { best };
    (1..values.len()).fold(0, better)
}

fn floats(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[derive(Default)]
struct Sums {
    samples: usize,
    correct: usize,
    loss: f64,
    rates: Vec<f64>,
    confusion: Vec<Vec<u32>>,
}

impl Sums {
    fn add(&mut self, truth: &[u8], predicted: &[usize], loss: f32, rates: &[f64]) {
        let count = truth.len();
        let highest = truth.iter().map(|&t| usize::from(t)).chain(predicted.iter().copied()).max();
        let classes = self.confusion.len().max(highest.map_or(0, |class| class + 1));
        self.confusion.resize_with(classes, Vec::new);
        self.confusion.iter_mut().for_each(|row| row.resize(classes, 0));
        for (&truth, &predicted) in truth.iter().zip(predicted) {
            self.confusion[usize::from(truth)][predicted] += 1;
            self.correct += usize::from(usize::from(truth) == predicted);
        }
        self.samples += count;
        self.loss += f64::from(loss) * count as f64;
        self.rates.resize(rates.len(), 0.0);
        for (sum, rate) in self.rates.iter_mut().zip(rates) {
            *sum += rate * count as f64;
        }
    }

    fn finish(self) -> Evaluation {
        let samples = self.samples.max(1) as f64;
        Evaluation {
            samples: self.samples,
            accuracy: self.correct as f64 / samples,
            loss: self.loss / samples,
            rates: self.rates.into_iter().map(|sum| sum / samples).collect(),
            confusion: self.confusion,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_weigh_batches_by_their_size() {
        let mut sums = Sums::default();
        sums.add(&[0, 1, 1], &[0, 1, 0], 1.0, &[0.1]);
        sums.add(&[2], &[2], 5.0, &[0.5]);
        let evaluation = sums.finish();
        assert_eq!((evaluation.samples, evaluation.accuracy, evaluation.loss), (4, 0.75, 2.0));
        assert!((evaluation.rates[0] - 0.2).abs() < 1e-12);
        assert_eq!(evaluation.confusion, [[1, 0, 0], [1, 1, 0], [0, 0, 1]]);
    }

    #[test]
    fn the_first_of_equal_scores_wins() {
        assert_eq!(argmax(&[0.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[0.0, 0.0]), 0);
    }
}
