//! Losses of single steps.

use burn::tensor::{Int, Tensor};
use spark_nn::layers::{LocalRun, NetworkOutput, NetworkState};

use crate::Loss;

/// The loss of every step by itself, averaged over steps and samples.
pub(super) fn mean_loss(loss: &Loss, ran: LocalRun, labels: Tensor<1, Int>) -> Tensor<1> {
    let [time, batch, units] = ran.output.dims();
    // Each step of each sample as a sample of one step.
    let alone = |x: Tensor<3>| x.reshape([1, time * batch, units]);
    let scores = loss.scores(&output(alone(ran.output), alone(ran.potential)));
    loss.forward(scores, labels.repeat_dim(0, time))
}

/// The loss of scores `[time, batch, classes]` of single steps, averaged over steps and samples.
pub(super) fn mean_loss_of_scores(loss: &Loss, scores: Tensor<3>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [time, batch, classes] = scores.dims();
    loss.forward(scores.reshape([time * batch, classes]), labels.repeat_dim(0, time))
}

/// Loss and scores of the whole sequence, without autodiff.
pub(super) fn whole(loss: &Loss, ran: &LocalRun, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>) {
    let scores = loss.scores(&output(ran.output.clone().inner(), ran.potential.clone().inner()));
    (loss.forward(scores.clone(), labels.inner()), scores)
}

/// Outputs and potentials as a loss takes them.
pub(super) fn output(output: Tensor<3>, potential: Tensor<3>) -> NetworkOutput {
    NetworkOutput { spikes: vec![output.clone()], output, potential, state: NetworkState::default() }
}
