//! What operations return, in shapes and types: told to Burn's fusion before they run.

use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::Shape;

use crate::eligibility::EligibilityForm;
use crate::ops::MaybeMetadata;
use crate::plasticity::{MaybeIntMetadata, PlasticityForm};
use crate::scan::{
    Parts, ScanGradientsMetadata, ScanInputsMetadata, ScanOptions, ScanOutputGradientsMetadata,
    ScanOutputsMetadata, ScanSavedMetadata, Wanted, checkpoint_interval,
};
use crate::somas::SomaForm;
use crate::traces::LazyDecay;

fn when(there: bool, tensor: TensorSpec) -> MaybeMetadata {
    if there { MaybeMetadata::Present(tensor) } else { MaybeMetadata::Absent }
}

fn there(tensor: &MaybeMetadata) -> bool {
    matches!(tensor, MaybeMetadata::Present(_))
}

/// Of [`SpikeOps::unit_scan`](crate::SpikeOps::unit_scan).
pub(crate) fn unit_scan(
    inputs: &ScanInputsMetadata,
    keep: &bool,
    options: &ScanOptions,
) -> ScanOutputsMetadata {
    let parts = Parts {
        spikes: there(&inputs.threshold),
        current: there(&inputs.current),
        adaptation: there(&inputs.adaptation),
    };
    let (sequence, state) = (inputs.input.clone(), inputs.membrane.clone());
    let kept = if *keep { (sequence.shape[0] - 1) / checkpoint_interval(options) } else { 0 };
    let checkpoints = Shape::from([kept, parts.planes(), state.shape[0], state.shape[1]]);
    ScanOutputsMetadata {
        spikes: when(parts.spikes, sequence.clone()),
        potential: when(options.potential, sequence.clone()),
        current: when(parts.current, state.clone()),
        adaptation: when(parts.adaptation, state.clone()),
        membrane: state,
        checkpoints: when(kept > 0, TensorSpec::new(checkpoints, sequence.dtype)),
    }
}

/// Of [`SpikeOps::unit_scan_backward`](crate::SpikeOps::unit_scan_backward).
pub(crate) fn unit_scan_backward(
    saved: &ScanSavedMetadata,
    _: &ScanOutputGradientsMetadata,
    wanted: &Wanted,
    _: &ScanOptions,
) -> ScanGradientsMetadata {
    let inputs = &saved.inputs;
    let of = |wanted: bool, parameter: &MaybeMetadata| match parameter {
        MaybeMetadata::Present(parameter) => when(wanted, parameter.clone()),
        MaybeMetadata::Absent => MaybeMetadata::Absent,
    };
    ScanGradientsMetadata {
        input: inputs.input.clone(),
        membrane: inputs.membrane.clone(),
        decay: when(wanted.decay, inputs.decay.clone()),
        threshold: of(wanted.threshold, &inputs.threshold),
        current: inputs.current.clone(),
        current_decay: of(wanted.current_decay, &inputs.current_decay),
        adaptation: inputs.adaptation.clone(),
        adaptation_decay: of(wanted.adaptation_decay, &inputs.adaptation_decay),
        adaptation_strength: of(wanted.adaptation_strength, &inputs.adaptation_strength),
    }
}

/// Of [`StepOps::soma_step_known`](crate::StepOps::soma_step_known).
pub(crate) fn soma_step(
    current: &TensorSpec,
    planes: &[TensorSpec],
    form: &SomaForm,
) -> (TensorSpec, Vec<TensorSpec>) {
    (current.clone(), planes[form.soma.count()..].to_vec())
}

/// Of [`StepOps::plasticity_step`](crate::StepOps::plasticity_step).
pub(crate) fn plasticity_step(
    weight: &TensorSpec,
    _: &MaybeIntMetadata,
    _: &[TensorSpec],
    form: &PlasticityForm,
) -> (TensorSpec, Vec<TensorSpec>) {
    (weight.clone(), form.target.iter().map(|_| weight.clone()).collect())
}

/// Of [`StepOps::eligibility_step`](crate::StepOps::eligibility_step).
pub(crate) fn eligibility_step(
    weight: &TensorSpec,
    eligibility: &TensorSpec,
    _: &MaybeIntMetadata,
    _: &[TensorSpec],
    _: &EligibilityForm,
) -> (TensorSpec, TensorSpec) {
    (weight.clone(), eligibility.clone())
}

/// Of [`StepOps::lazy_trace_hit`](crate::StepOps::lazy_trace_hit).
pub(crate) fn lazy_trace_hit(
    value: &TensorSpec,
    last: &TensorSpec,
    _: &TensorSpec,
    _: &[TensorSpec],
    _: &LazyDecay<()>,
    _: &f32,
) -> (TensorSpec, TensorSpec) {
    (value.clone(), last.clone())
}
