//! Online training through time, on whole sequences.

use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};
use spark_nn::layers::{Inputs, Network, Reach};

use super::stages::Stages;
use super::{Aim, Found, add, backward, gradient_of, seeded};

pub(super) fn find(
    network: &Network,
    stages: &Stages<'_>,
    input: Inputs,
    labels: Tensor<1, Int>,
    aim: Aim<'_>,
) -> Found {
    let mut passed = Vec::with_capacity(stages.stages.len());
    let mut x = input;
    for stage in &stages.stages {
        let synapses = stage.pass(x);
        let units = synapses.units(Reach::Membrane);
        x = units.output.clone().detach().into();
        passed.push((synapses, units));
    }

    let mut gradients = GradientsParams::new();
    let (mut above, units) = passed.pop().expect("at least one stage");
    let output = stages.output(units);
    let (whole, scores) = aim.whole(&output, labels.clone());
    add(network, &mut backward(aim.mean_of_steps(output, labels.clone())), &mut gradients);
    if passed.is_empty() {
        return Found { loss: whole, scores, gradients };
    }

    // The same without traces, for the layers below.
    let leaf = above.current.clone().detach().require_grad();
    let output = stages.output(above.units_on(leaf.clone(), Reach::Step));
    let mut delta = gradient_of(&leaf, &mut aim.mean_of_steps(output, labels).backward());
    while let Some((synapses, units)) = passed.pop() {
        let signal = above.pull_back(delta.clone());
        add(network, &mut backward(seeded(units.output, signal.clone())), &mut gradients);
        if !passed.is_empty() {
            let leaf = synapses.current.clone().detach().require_grad();
            let alone = synapses.units_on(leaf.clone(), Reach::Step);
            delta = gradient_of(&leaf, &mut seeded(alone.output, signal).backward());
        }
        above = synapses;
    }
    Found { loss: whole, scores, gradients }
}
