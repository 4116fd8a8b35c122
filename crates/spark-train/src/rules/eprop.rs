//! Eligibility propagation, on whole sequences.

use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};
use spark_core::seed::derive;
use spark_kernels::{philox::Stream, random};
use spark_nn::layers::{Inputs, Network, Reach};

use super::stages::Stages;
use super::{Aim, Feedback, Found, add, backward, gradient_of, seeded, with};

pub(super) fn find(
    network: &Network,
    stages: &Stages<'_>,
    input: Inputs,
    labels: Tensor<1, Int>,
    aim: Aim<'_>,
    (feedback, seed): (Feedback, u64),
) -> Found {
    let (spikes, readout, x) = stages.hidden(input);

    let readout = readout.pass(x);
    let leaf = readout.current.clone().detach().require_grad();
    let output = stages.output(readout.units_on(leaf.clone(), Reach::Membrane));
    let (whole, scores) = aim.whole(&output, labels.clone());
    let mut found = aim.mean_of_steps(output, labels).backward();
    let mut gradients = GradientsParams::new();
    add(network, &mut found, &mut gradients);
    // The gradient of the potential, and what it will be of later steps, as the readout decays: multiplying the
    // eligibility by this is the same as filtering it and multiplying by the gradient.
    let error = gradient_of(&leaf, &mut found);

    let penalty = match aim.penalties {
        [] => None,
        // Of the readout too on the graph of its synapses, from where nothing is broadcast.
        _ => {
            let outputs = spikes.iter().cloned().chain([readout.units(Reach::Membrane).output]).collect();
            aim.penalty_of(&stages.fired(outputs))
        }
    };
    let mut pseudo = seeded(readout.current.clone(), error.clone());
    let last = spikes.len().wrapping_sub(1);
    for (index, spikes) in spikes.into_iter().enumerate() {
        let signal = match feedback {
            Feedback::Symmetric if index == last => readout.pull_back(error.clone()),
            _ => broadcast(error.clone(), spikes.dims()[2], derive(seed, &format!("feedback.{index}"))),
        };
        pseudo = pseudo + seeded(spikes, signal);
    }
    if let Some(penalty) = &penalty {
        pseudo = pseudo + penalty.clone();
    }
    add(network, &mut backward(pseudo), &mut gradients);
    Found { loss: with(whole, penalty), scores, gradients }
}

/// `[time, batch, outputs]` through fixed random weights to `[time, batch, units]`.
fn broadcast(error: Tensor<3>, units: usize, seed: u64) -> Tensor<3> {
    let [time, batch, outputs] = error.dims();
    let weight = weight(outputs, units, seed, &error.device());
    error.reshape([time * batch, outputs]).matmul(weight).reshape([time, batch, units])
}

/// Random feedback weights, `[outputs, units]`.
pub(super) fn weight(outputs: usize, units: usize, seed: u64, device: &Device) -> Tensor<2> {
    random::normal([outputs, units], Stream::new(seed, 0, 0), device) / (outputs as f32).sqrt()
}
