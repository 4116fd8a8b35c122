//! Rules against the equations of their papers, written out step by step, synapse by synapse.

use super::tests::{assert_close, by_name, labels, network, spikes};
use super::*;
use burn::tensor::Device;
use serde_json::{Value, json};
use spark_core::seed::derive;
use spark_kernels::Surrogate;
use spark_nn::layers::{Dense, Layer};
use std::collections::BTreeMap;

const THRESHOLD: f64 = 1.0;
const SHAPE: [usize; 3] = [13, 3, 5];
const CLASSES: usize = 3;

type Matrix = Vec<Vec<f64>>;

fn matrix(tensor: &Tensor<2>) -> Matrix {
    let columns = tensor.dims()[1];
    let values: Vec<f64> = tensor.to_data().iter::<f64>().collect();
    values.chunks(columns).map(<[f64]>::to_vec).collect()
}

/// Weights `[pre, post]` with the bias as the row of one more input, which is always 1.
fn synapses(dense: &Dense) -> Matrix {
    let mut rows = matrix(&dense.weight.val());
    rows.push(dense.bias.as_ref().expect("a bias").val().into_data().iter::<f64>().collect());
    rows
}

fn with_one(mut inputs: Vec<f64>) -> Vec<f64> {
    inputs.push(1.0);
    inputs
}

/// `x·W`.
fn forward(weights: &Matrix, inputs: &[f64]) -> Vec<f64> {
    let units = weights[0].len();
    (0..units).map(|j| weights.iter().zip(inputs).map(|(row, x)| row[j] * x).sum()).collect()
}

/// `W·δ`, without the row of the bias.
fn backward(weights: &Matrix, delta: &[f64]) -> Vec<f64> {
    let rows = weights[..weights.len() - 1].iter();
    rows.map(|row| row.iter().zip(delta).map(|(w, d)| w * d).sum()).collect()
}

fn slope(potential: f64, threshold: f64) -> f64 {
    f64::from(Surrogate::default().derivative((potential - threshold) as f32))
}

/// The gradient of the cross-entropy of one step, averaged over all steps and samples.
fn error(scores: &[f64], label: usize) -> Vec<f64> {
    let sum: f64 = scores.iter().map(|score| score.exp()).sum();
    let one = |k: usize| if k == label { 1.0 } else { 0.0 };
    let mean = (SHAPE[0] * SHAPE[1]) as f64;
    scores.iter().enumerate().map(|(k, score)| (score.exp() / sum - one(k)) / mean).collect()
}

/// Adds the product of a trace of inputs and a signal of units.
fn add_outer(sum: &mut Matrix, trace: &[f64], signal: &[f64]) {
    for (row, a) in sum.iter_mut().zip(trace) {
        for (entry, d) in row.iter_mut().zip(signal) {
            *entry += a * d;
        }
    }
}

fn decay(trace: &mut [f64], rate: f64, inputs: &[f64]) {
    for (trace, x) in trace.iter_mut().zip(inputs) {
        *trace = *trace * rate + x;
    }
}

fn zeros(like: &Matrix) -> Matrix {
    like.iter().map(|row| vec![0.0; row.len()]).collect()
}

/// Leaky units with reset by subtraction in the same step.
struct Units {
    decay: f64,
    membrane: Vec<f64>,
    potential: Vec<f64>,
    spikes: Vec<f64>,
}

impl Units {
    fn new(decay: f64, count: usize) -> Self {
        let zeros = vec![0.0; count];
        Self { decay, membrane: zeros.clone(), potential: zeros.clone(), spikes: zeros }
    }

    fn step(&mut self, current: &[f64]) {
        for (j, current) in current.iter().enumerate() {
            self.potential[j] = self.decay * self.membrane[j] + current;
            self.spikes[j] = if self.potential[j] > THRESHOLD { 1.0 } else { 0.0 };
            self.membrane[j] = self.potential[j] - THRESHOLD * self.spikes[j];
        }
    }

    fn slopes(&self) -> Vec<f64> {
        self.potential.iter().map(|&u| slope(u, THRESHOLD)).collect()
    }
}

fn times(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

/// Every step of every sample: sample, label and input with a one.
fn samples(device: &Device) -> Vec<(usize, Vec<Vec<f64>>)> {
    let [time, batch, inputs] = SHAPE;
    let values: Vec<f64> = spikes(SHAPE, device).into_data().iter::<f64>().collect();
    let at = |t: usize, b: usize| values[(t * batch + b) * inputs..][..inputs].to_vec();
    (0..batch).map(|b| (b % CLASSES, (0..time).map(|t| with_one(at(t, b))).collect())).collect()
}

fn named(prefix: &str, gradient: &Matrix) -> BTreeMap<String, Vec<f32>> {
    let (bias, weight) = gradient.split_last().expect("a row of the bias");
    let floats = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
    [(format!("{prefix}.bias"), floats(bias.clone())), (format!("{prefix}.weight"), floats(weight.concat()))]
        .into()
}

fn compare(rule: LearningRule, network: &Network, loss: &Loss, expected: Vec<(&str, Matrix)>) {
    let device = Device::flex();
    let (input, labels) = (spikes(SHAPE, &device), labels(SHAPE[1], CLASSES, &device));
    let found = rule.gradients(network, input, labels, loss).unwrap();
    let expected = expected.iter().flat_map(|(name, gradient)| named(name, gradient)).collect();
    assert_close(&by_name(network, &found.gradients), &expected);
}

fn dense(network: &Network, index: usize) -> &Dense {
    match &network.layers[index] {
        Layer::Dense(dense) => dense,
        Layer::Recurrent(layer) => layer.recurrent.as_ref().expect("all to all"),
        other => panic!("{}", other.name()),
    }
}

fn leaky(decay: f64) -> Value {
    json!({"kind": "leaky", "decay": decay, "threshold": THRESHOLD})
}

/// Xiao et al. (2022), equations 7 to 9: three layers, each with a decay of its own.
#[test]
fn online_training_through_time() {
    let device = Device::flex();
    let decays = [0.9, 0.7, 0.8];
    let layers = json!([
        {"kind": "dense", "units": 8}, leaky(decays[0]),
        {"kind": "dense", "units": 6}, leaky(decays[1]),
        {"kind": "dense", "units": CLASSES}, leaky(decays[2])]);
    let network = network(json!([SHAPE[2]]), layers, &device);
    let weights: Vec<Matrix> = [0, 2, 4].map(|index| synapses(dense(&network, index))).into();
    let mut sums: Vec<Matrix> = weights.iter().map(zeros).collect();
    for (label, inputs) in samples(&device) {
        let mut traces: Vec<Vec<f64>> = weights.iter().map(|rows| vec![0.0; rows.len()]).collect();
        let mut units: Vec<Units> =
            weights.iter().zip(decays).map(|(rows, decay)| Units::new(decay, rows[0].len())).collect();
        for mut x in inputs {
            for l in 0..3 {
                decay(&mut traces[l], decays[l], &x);
                units[l].step(&forward(&weights[l], &x));
                x = with_one(units[l].spikes.clone());
            }
            let mut delta = times(&error(&units[2].spikes, label), &units[2].slopes());
            for l in (0..3).rev() {
                add_outer(&mut sums[l], &traces[l], &delta);
                if l > 0 {
                    delta = times(&backward(&weights[l], &delta), &units[l - 1].slopes());
                }
            }
        }
    }
    let [first, second, third] = sums.try_into().expect("three");
    let expected = vec![("layers.0", first), ("layers.2", second), ("layers.4", third)];
    compare(LearningRule::Ottt {}, &network, &Loss::CountCrossEntropy {}, expected);
}

/// Bellec et al. (2020), equations 4, 22, 28 and those of the readout: recurrent units, by both kinds of feedback.
#[test]
fn eligibility_propagation_in_recurrent_units() {
    let device = Device::flex();
    let (alpha, kappa) = (0.9, 0.6);
    let layers = json!([
        {"kind": "dense", "units": 7},
        {"kind": "recurrent", "units": leaky(alpha)},
        {"kind": "dense", "units": CLASSES},
        {"kind": "leaky_integrator", "decay": kappa}]);
    let network = network(json!([SHAPE[2]]), layers, &device);
    let [w_in, w_rec, w_out] = [0, 1, 2].map(|index| synapses(dense(&network, index)));
    for feedback in [Feedback::Symmetric, Feedback::Random] {
        let mut heard_as = w_out.clone();
        if feedback == Feedback::Random {
            heard_as = matrix(&eprop::weight(CLASSES, 7, derive(3, "feedback.0"), &device).transpose());
            heard_as.push(vec![0.0; CLASSES]);
        }
        let mut sums = [zeros(&w_in), zeros(&w_rec), zeros(&w_out)];
        for (label, inputs) in samples(&device) {
            let mut units = Units::new(alpha, 7);
            // One entry per synapse: of the hidden layer as [pre][post].
            let (mut epsilon_in, mut filtered_in) = (zeros(&w_in), zeros(&w_in));
            let (mut epsilon_rec, mut filtered_rec) = (zeros(&w_rec), zeros(&w_rec));
            let mut spikes_filtered = vec![0.0; 8];
            let mut readout = vec![0.0; CLASSES];
            for x in inputs {
                let before = with_one(units.spikes.clone());
                let current = [forward(&w_in, &x), forward(&w_rec, &before)];
                units.step(&(0..7).map(|j| current[0][j] + current[1][j]).collect::<Vec<_>>());
                let z = with_one(units.spikes.clone());
                decay(&mut readout, kappa, &forward(&w_out, &z));
                decay(&mut spikes_filtered, kappa, &z);
                let error = error(&readout, label);
                add_outer(&mut sums[2], &spikes_filtered, &error);
                let signal = backward(&heard_as, &error);
                let slopes = units.slopes();
                for (pre, epsilon, filtered, sum) in [
                    (&x, &mut epsilon_in, &mut filtered_in, 0),
                    (&before, &mut epsilon_rec, &mut filtered_rec, 1),
                ] {
                    for i in 0..pre.len() {
                        for j in 0..7 {
                            epsilon[i][j] = alpha * epsilon[i][j] + pre[i];
                            filtered[i][j] = kappa * filtered[i][j] + slopes[j] * epsilon[i][j];
                            sums[sum][i][j] += signal[j] * filtered[i][j];
                        }
                    }
                }
            }
        }
        let [first, recurrent, second] = sums;
        let expected = vec![("layers.0", first), ("layers.1.recurrent", recurrent), ("layers.2", second)];
        let rule = LearningRule::Eprop { feedback, seed: 3 };
        compare(rule, &network, &Loss::MembraneCrossEntropy {}, expected);
    }
}

/// Bellec et al. (2020), equations 24 and 25: the eligibility of units with adaptive thresholds has two parts.
#[test]
fn eligibility_propagation_in_adaptive_units() {
    let device = Device::flex();
    let (alpha, rho, beta, kappa) = (0.9, 0.95, 0.5, 0.6);
    let adaptive = json!({"kind": "adaptive", "decay": alpha, "adaptation_decay": rho,
                          "adaptation_strength": beta, "threshold": THRESHOLD, "reset": "none"});
    let layers = json!([{"kind": "dense", "units": 7}, adaptive, {"kind": "dense", "units": CLASSES},
                        {"kind": "leaky_integrator", "decay": kappa}]);
    let network = network(json!([SHAPE[2]]), layers, &device);
    let [w_in, w_out] = [0, 2].map(|index| synapses(dense(&network, index)));
    let mut sums = [zeros(&w_in), zeros(&w_out)];
    for (label, inputs) in samples(&device) {
        let (mut potential, mut raised, mut readout) = (vec![0.0; 7], vec![0.0; 7], vec![0.0; CLASSES]);
        let (mut epsilon_v, mut epsilon_a, mut filtered) = (zeros(&w_in), zeros(&w_in), zeros(&w_in));
        let mut spikes_filtered = vec![0.0; 8];
        for x in inputs {
            decay(&mut potential, alpha, &forward(&w_in, &x));
            let thresholds: Vec<f64> = raised.iter().map(|a| THRESHOLD + beta * a).collect();
            let crossings = potential.iter().zip(&thresholds);
            let z: Vec<f64> = crossings.clone().map(|(u, t)| if u > t { 1.0 } else { 0.0 }).collect();
            let slopes: Vec<f64> = crossings.map(|(&u, &t)| slope(u, t)).collect();
            decay(&mut raised, rho, &z);
            let z = with_one(z);
            decay(&mut readout, kappa, &forward(&w_out, &z));
            decay(&mut spikes_filtered, kappa, &z);
            let error = error(&readout, label);
            add_outer(&mut sums[1], &spikes_filtered, &error);
            let signal = backward(&w_out, &error);
            for i in 0..x.len() {
                for j in 0..7 {
                    epsilon_v[i][j] = alpha * epsilon_v[i][j] + x[i];
                    let eligibility = slopes[j] * (epsilon_v[i][j] - beta * epsilon_a[i][j]);
                    epsilon_a[i][j] =
                        slopes[j] * epsilon_v[i][j] + (rho - slopes[j] * beta) * epsilon_a[i][j];
                    filtered[i][j] = kappa * filtered[i][j] + eligibility;
                    sums[0][i][j] += signal[j] * filtered[i][j];
                }
            }
        }
    }
    let [first, second] = sums;
    let expected = vec![("layers.0", first), ("layers.2", second)];
    compare(LearningRule::PRESETS[3], &network, &Loss::MembraneCrossEntropy {}, expected);
}

/// Kaiser et al. (2020), equations 2, 7 and 9: units with a synaptic current, whose traces are Q and P.
#[test]
fn deep_continuous_local_learning() {
    let device = Device::flex();
    let (alpha, beta, out) = (0.5, 0.8, 0.9);
    let hidden = json!({"kind": "synaptic", "decay": beta, "current_decay": alpha, "threshold": THRESHOLD});
    let layers =
        json!([{"kind": "dense", "units": 8}, hidden, {"kind": "dense", "units": CLASSES}, leaky(out)]);
    let network = network(json!([SHAPE[2]]), layers, &device);
    let [first, second] = [0, 2].map(|index| synapses(dense(&network, index)));
    let readout = matrix(&decolle::weight(8, CLASSES, derive(4, "readout.0"), &device));
    let mut sums = [zeros(&first), zeros(&second)];
    for (label, inputs) in samples(&device) {
        let (mut q, mut p, mut trace) = (vec![0.0; 6], vec![0.0; 6], vec![0.0; 9]);
        let mut current = vec![0.0; 8];
        let (mut hidden, mut outputs) = (Units::new(beta, 8), Units::new(out, CLASSES));
        for x in inputs {
            decay(&mut q, alpha, &x);
            decay(&mut p, beta, &q);
            decay(&mut current, alpha, &forward(&first, &x));
            hidden.step(&current);
            let error_of = error(&forward(&readout, &hidden.spikes), label);
            let back: Vec<f64> =
                readout.iter().map(|row| row.iter().zip(&error_of).map(|(w, d)| w * d).sum()).collect();
            add_outer(&mut sums[0], &p, &times(&back, &hidden.slopes()));

            let z = with_one(hidden.spikes.clone());
            decay(&mut trace, out, &z);
            outputs.step(&forward(&second, &z));
            let delta = times(&error(&outputs.spikes, label), &outputs.slopes());
            add_outer(&mut sums[1], &trace, &delta);
        }
    }
    let [first, second] = sums;
    let expected = vec![("layers.0", first), ("layers.2", second)];
    compare(LearningRule::Decolle { seed: 4 }, &network, &Loss::CountCrossEntropy {}, expected);
}
