//! Deep continuous local learning, on whole sequences.

use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};
use spark_core::seed::derive;
use spark_kernels::{philox::Stream, random, spike_matmul};
use spark_nn::layers::{Inputs, Network, Reach};

use super::stages::Stages;
use super::{Aim, Found, add, backward, with};

pub(super) fn find(
    network: &Network,
    stages: &Stages<'_>,
    input: Inputs,
    labels: Tensor<1, Int>,
    aim: Aim<'_>,
    seed: u64,
) -> Found {
    let (spikes, last, x) = stages.hidden(input);
    let units = last.pass(x).units(Reach::Membrane);
    let outputs = spikes.iter().chain([&units.output]).cloned().collect();
    let penalty = aim.penalty_of(&stages.fired(outputs));
    let output = stages.output(units);
    let classes = output.output.dims()[2];
    let (whole, scores) = aim.whole(&output, labels.clone());

    let mut sum = aim.mean_of_steps(output, labels.clone());
    for (index, spikes) in spikes.into_iter().enumerate() {
        let scores = readout(spikes, classes, derive(seed, &format!("readout.{index}")));
        sum = sum + aim.mean_of_scores(scores, labels.clone());
    }
    // On the graph of each layer alone.
    if let Some(penalty) = &penalty {
        sum = sum + penalty.clone();
    }
    let mut gradients = GradientsParams::new();
    add(network, &mut backward(sum), &mut gradients);
    Found { loss: with(whole, penalty), scores, gradients }
}

/// The scores of a hidden layer in each step, `[time, batch, classes]`.
fn readout(spikes: Tensor<3>, classes: usize, seed: u64) -> Tensor<3> {
    let [time, batch, units] = spikes.dims();
    let weight = weight(units, classes, seed, &spikes.device());
    spike_matmul(spikes.reshape([time * batch, units]), weight).reshape([time, batch, classes])
}

/// The weights of a readout, `[units, classes]`.
pub(super) fn weight(units: usize, classes: usize, seed: u64, device: &Device) -> Tensor<2> {
    let uniform = random::uniform([units, classes], Stream::new(seed, 0, 0), device);
    (uniform * 2.0 - 1.0) / (units as f32).sqrt()
}
