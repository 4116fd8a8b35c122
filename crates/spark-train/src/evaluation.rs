//! How good a network is, and what it says about one sample.

use burn::tensor::{Device, Tensor};
use serde::Serialize;
use spark_nn::layers::Network;
use std::sync::Arc;

use crate::data::Source;
use crate::encoding::{Encoder, Purpose};
use crate::{Activity, Batches, Judged, Loss};

/// The result of [`Evaluator::evaluate`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Number of samples.
    pub samples: usize,
    /// Fraction classified correctly.
    pub accuracy: f64,
    /// Mean loss.
    pub loss: f64,
    /// Mean firing rate of each spiking layer in order, spikes per unit and step.
    pub rates: Vec<f64>,
    /// What happened in the network.
    #[serde(skip)]
    pub activity: Activity,
    /// Fraction of the units of all spiking layers that are silent at a step.
    pub sparsity: f64,
    /// Samples by class (row) and prediction (column).
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

/// How a network is shown samples and how its answer is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluator {
    /// From samples to input sequences.
    pub encoder: Encoder,
    /// From output sequences to scores.
    pub loss: Loss,
    /// Samples at a time.
    pub batch: usize,
}

impl Evaluator {
    /// Classifies the samples of the given indices and compares with their labels.
    ///
    /// `network` is on `device`, without autodiff. `goes_on` is told after each batch how many samples are
    /// through; when it returns `false` the evaluation stops and there is no result.
    pub fn evaluate<S: Source + ?Sized>(
        &self,
        network: &Network,
        data: &Arc<S>,
        indices: &[usize],
        device: &Device,
        mut goes_on: impl FnMut(usize) -> bool,
    ) -> Option<Evaluation> {
        let mut sums = Sums::default();
        let (source, order) = (Arc::clone(data), indices.to_vec());
        let truth: Vec<u8> = order.iter().map(|&index| data.labels()[index]).collect();
        for batch in Batches::new(source, order, self.encoder, Purpose::Evaluate, self.batch) {
            let truth = &truth[sums.samples..sums.samples + batch.len()];
            let (lengths, active) = (batch.lengths().to_vec(), batch.active());
            let (input, labels) = batch.into_inputs(device);
            let output = network.forward(input, None).until(&lengths);
            sums.units = output.spikes.iter().map(|spikes| spikes.dims()[2]).collect();
            sums.steps = output.output.dims()[0];
            sums.input += active as f64;
            sums.frames += lengths.iter().sum::<usize>() as f64 / self.encoder.steps.max(1) as f64;
            let Judged { scores, loss } = self.loss.judge(&output, labels);
            let count = scores.dims()[1];
            sums.add(truth, &classes(&floats(scores), count), loss.into_scalar(), &output.rates());
            if !goes_on(sums.samples) {
                return None;
            }
        }
        Some(sums.finish(self.encoder.encoding.spikes(data.spikes())))
    }

    /// What the network says about sample `index`.
    pub fn predict<S: Source + ?Sized>(
        &self,
        network: &Network,
        data: &S,
        index: usize,
        device: &Device,
    ) -> Prediction {
        let encoded = self.encoder.encode(data, &[index], Purpose::Evaluate);
        let lengths = encoded.lengths().to_vec();
        let output = network.forward(encoded.into_inputs(device), None).until(&lengths);
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
    /// Units of each spiking layer.
    units: Vec<usize>,
    /// Steps of a batch.
    steps: usize,
    /// Inputs that were not 0.
    input: f64,
    /// Frames of all samples.
    frames: f64,
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

    fn finish(self, input_spikes: bool) -> Evaluation {
        let samples = self.samples.max(1) as f64;
        let rates: Vec<f64> = self.rates.into_iter().map(|sum| sum / samples).collect();
        let spikes = |(rate, units): (&f64, &usize)| rate * (units * self.steps) as f64;
        let layers: Vec<f64> = rates.iter().zip(&self.units).map(spikes).collect();
        let possible = (self.units.iter().sum::<usize>() * self.steps).max(1) as f64;
        Evaluation {
            samples: self.samples,
            accuracy: self.correct as f64 / samples,
            loss: self.loss / samples,
            rates,
            sparsity: 1.0 - layers.iter().sum::<f64>() / possible,
            activity: Activity {
                input: self.input / samples,
                input_spikes,
                frames: self.frames / samples,
                layers,
            },
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
        (sums.units, sums.steps, sums.input, sums.frames) = (vec![10], 5, 12.0, 8.0);
        let evaluation = sums.finish(true);
        assert_eq!((evaluation.samples, evaluation.accuracy, evaluation.loss), (4, 0.75, 2.0));
        assert!((evaluation.rates[0] - 0.2).abs() < 1e-12);
        // 4 samples: 0.2 spikes of 10 units in 5 steps, and 12 inputs among them.
        assert!((evaluation.activity.layers[0] - 10.0).abs() < 1e-9 && evaluation.activity.input == 3.0);
        assert_eq!(evaluation.activity.frames, 2.0);
        assert!((evaluation.sparsity - 0.8).abs() < 1e-12);
        assert_eq!(evaluation.confusion, [[1, 0, 0], [1, 1, 0], [0, 0, 1]]);
    }

    #[test]
    fn the_first_of_equal_scores_wins() {
        assert_eq!(argmax(&[0.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[0.0, 0.0]), 0);
    }
}
