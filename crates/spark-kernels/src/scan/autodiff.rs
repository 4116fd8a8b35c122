//! The gradient of a scan.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::ops::NodeGuard;
use burn::backend::{Autodiff, AutodiffBackend, tensor::FloatTensor};

use super::tensors::INPUTS;
use super::{ScanInputs, ScanOptions, ScanOutputGradients, ScanOutputs, ScanSaved, Wanted};
use crate::autodiff::{ManyOutputs, track};
use crate::{Maybe, SpikeOps};

/// A recorded scan.
#[derive(Clone, Debug)]
struct Scan<B: SpikeOps> {
    saved: ScanSaved<B>,
    options: ScanOptions,
}

/// Spikes, potential and the state after the last step.
const OUTPUTS: usize = 5;

impl<B: SpikeOps> ManyOutputs<B, INPUTS, OUTPUTS> for Scan<B> {
    fn backward(
        self,
        wanted: [bool; INPUTS],
        gradients: [Option<FloatTensor<B>>; OUTPUTS],
    ) -> [Option<FloatTensor<B>>; INPUTS] {
        let [spikes, potential, membrane, current, adaptation] = gradients.map(Maybe::from);
        let gradients = ScanOutputGradients { spikes, potential, membrane, current, adaptation };
        B::unit_scan_backward(self.saved, gradients, Wanted::new(wanted), self.options).into_array()
    }
}

/// Takes a tensor apart; one that is not there becomes a constant of the graph.
fn take_apart<B: SpikeOps, C: CheckpointStrategy>(
    tensor: Maybe<Autodiff<B, C>>,
    stand_in: &FloatTensor<B>,
) -> (Maybe<B>, NodeGuard) {
    match tensor {
        Maybe::Present(tensor) => {
            let (tensor, node) = tensor.into_parts();
            (Maybe::Present(tensor), node)
        }
        Maybe::Absent => {
            (Maybe::Absent, <Autodiff<B, C> as AutodiffBackend>::from_inner(stand_in.clone()).node())
        }
    }
}

/// Runs a scan on the inner backend and records it where something is to be differentiated.
pub(crate) fn unit_scan<B: SpikeOps, C: CheckpointStrategy>(
    inputs: ScanInputs<Autodiff<B, C>>,
    options: ScanOptions,
) -> ScanOutputs<Autodiff<B, C>> {
    let recorded = inputs.tensors().any(|tensor| tensor.is_tracked());
    let (input, input_node) = inputs.input.into_parts();
    let (membrane, membrane_node) = inputs.membrane.into_parts();
    let (decay, decay_node) = inputs.decay.into_parts();
    let (threshold, threshold_node) = take_apart(inputs.threshold, &decay);
    let (current, current_node) = take_apart(inputs.current, &decay);
    let (current_decay, current_decay_node) = take_apart(inputs.current_decay, &decay);
    let (adaptation, adaptation_node) = take_apart(inputs.adaptation, &decay);
    let (adaptation_decay, adaptation_decay_node) = take_apart(inputs.adaptation_decay, &decay);
    let (adaptation_strength, adaptation_strength_node) = take_apart(inputs.adaptation_strength, &decay);
    let nodes = [
        input_node,
        membrane_node,
        decay_node,
        threshold_node,
        current_node,
        current_decay_node,
        adaptation_node,
        adaptation_decay_node,
        adaptation_strength_node,
    ];
    let inputs = ScanInputs {
        input,
        membrane,
        decay,
        threshold,
        current,
        current_decay,
        adaptation,
        adaptation_decay,
        adaptation_strength,
    };
    let outputs = B::unit_scan(inputs.clone(), recorded, options);
    let scan = Scan { saved: ScanSaved { inputs, checkpoints: outputs.checkpoints }, options };
    let outputs = [
        outputs.spikes.into_option(),
        outputs.potential.into_option(),
        Some(outputs.membrane),
        outputs.current.into_option(),
        outputs.adaptation.into_option(),
    ];
    let [spikes, potential, membrane, current, adaptation] =
        track::<B, C, _, INPUTS, OUTPUTS>(scan, nodes, outputs);
    ScanOutputs {
        spikes: spikes.into(),
        potential: potential.into(),
        membrane: membrane.expect("a scan returns the membrane"),
        current: current.into(),
        adaptation: adaptation.into(),
        checkpoints: Maybe::Absent,
    }
}
