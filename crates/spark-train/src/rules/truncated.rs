//! Backpropagation through windows of time.

use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};
use spark_nn::layers::{Inputs, Network, NetworkOutput};

use super::{Aim, Found, add, backward};
use crate::Judged;

pub(super) fn find(
    network: &Network,
    input: Inputs,
    labels: Tensor<1, Int>,
    aim: Aim<'_>,
    window: usize,
) -> Found {
    let time = input.dims()[0];
    let mut gradients = GradientsParams::new();
    let mut before: Option<[Tensor<3>; 2]> = None;
    let mut state = None;
    let mut found = None;
    for start in (0..time).step_by(window) {
        let end = (start + window).min(time);
        let output = network.forward(input.clone().steps(start..end), state.take());
        let penalty = aim.penalty(&output);
        let output = behind(before.take(), output);
        state = Some(output.state.clone().detached());
        before = Some([output.output.clone().detach(), output.potential.clone().detach()]);
        let Judged { scores, loss } = Aim::with(aim.judge(output, labels.clone()), penalty);
        let part = (end - start) as f32 / time as f32;
        let seed = if part == 1.0 { loss.clone() } else { loss.clone() * part };
        add(network, &mut backward(seed), &mut gradients);
        found = Some((loss.inner(), scores.inner()));
    }
    let (loss, scores) = found.expect("a sequence of at least one step");
    Found { loss, scores, gradients }
}

/// The output of a window behind those of the windows before it.
fn behind(before: Option<[Tensor<3>; 2]>, output: NetworkOutput) -> NetworkOutput {
    let Some([earlier_output, earlier_potential]) = before else {
        return output;
    };
    NetworkOutput {
        output: Tensor::cat(vec![earlier_output, output.output], 0),
        potential: Tensor::cat(vec![earlier_potential, output.potential], 0),
        ..output
    }
}
