//! The forward pass.

use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::unit::{Parameters, Plan, State, step};
use super::{Launch, maybe};
use crate::gpu::buffers::{element_or_zero, elements, empty, parameter, parameter_or_zero};
use crate::scan::{ScanInputs, ScanOutputs, checkpoint_interval};
use crate::{Maybe, ScanOptions};

/// The fused forward pass; `None` when a tensor is not `f32`.
pub(crate) fn forward(
    inputs: &ScanInputs<CubeBackend>,
    keep: bool,
    options: ScanOptions,
) -> Option<ScanOutputs<CubeBackend>> {
    let launch = Launch::new(inputs)?;
    let parts = inputs.parts();
    let (shape, state_shape) = (inputs.input.shape(), inputs.membrane.shape());
    let every = checkpoint_interval(&options);
    let kept = if keep { (launch.time - 1) / every } else { 0 };
    let output = |wanted: bool, shape: &Shape| -> Maybe<CubeBackend> {
        wanted.then(|| empty(&inputs.input, shape.clone())).into()
    };
    let checkpoints = Shape::from([kept, parts.planes(), state_shape[0], state_shape[1]]);
    let outputs = ScanOutputs {
        spikes: output(parts.spikes, &shape),
        potential: output(options.potential, &shape),
        membrane: empty(&inputs.input, state_shape.clone()),
        current: output(parts.current, &state_shape),
        adaptation: output(parts.adaptation, &state_shape),
        checkpoints: output(kept > 0, &checkpoints),
    };
    let (from, to) = (inputs.clone(), outputs.clone());
    forward_kernel::launch(
        &launch.client,
        launch.count,
        launch.dim,
        launch.address,
        elements(from.input),
        elements(from.membrane),
        elements(from.decay),
        maybe(from.threshold).into(),
        maybe(from.current).into(),
        maybe(from.current_decay).into(),
        maybe(from.adaptation).into(),
        maybe(from.adaptation_decay).into(),
        maybe(from.adaptation_strength).into(),
        maybe(to.spikes).into(),
        maybe(to.potential).into(),
        elements(to.membrane),
        maybe(to.current).into(),
        maybe(to.adaptation).into(),
        maybe(to.checkpoints).into(),
        launch.width,
        launch.time,
        every,
        Plan::new(parts, &options),
    );
    Some(outputs)
}

#[cube(launch, address_type = "dynamic")]
fn forward_kernel(
    input: &[f32],
    membrane: &[f32],
    decay: &[f32],
    threshold: ComptimeOption<&[f32]>,
    current: ComptimeOption<&[f32]>,
    current_decay: ComptimeOption<&[f32]>,
    adaptation: ComptimeOption<&[f32]>,
    adaptation_decay: ComptimeOption<&[f32]>,
    adaptation_strength: ComptimeOption<&[f32]>,
    mut spikes: ComptimeOption<&mut [f32]>,
    mut potential: ComptimeOption<&mut [f32]>,
    last_membrane: &mut [f32],
    mut last_current: ComptimeOption<&mut [f32]>,
    mut last_adaptation: ComptimeOption<&mut [f32]>,
    mut checkpoints: ComptimeOption<&mut [f32]>,
    width: usize,
    time: usize,
    every: usize,
    #[comptime] plan: Plan,
) {
    let lane = ABSOLUTE_POS;
    if lane >= width {
        terminate!();
    }
    let unit = Parameters {
        decay: parameter(decay, lane),
        threshold: parameter_or_zero(&threshold, lane),
        current_decay: parameter_or_zero(&current_decay, lane),
        adaptation_decay: parameter_or_zero(&adaptation_decay, lane),
        adaptation_strength: parameter_or_zero(&adaptation_strength, lane),
    };
    let mut v = membrane[lane];
    let mut c = element_or_zero(&current, lane);
    let mut a = element_or_zero(&adaptation, lane);
    for t in 0..time {
        #[comptime]
        if let ComptimeOption::Some(checkpoints) = &mut checkpoints {
            if t > 0 && t % every == 0 {
                let planes = comptime!(plan.parts.planes());
                let mut at = (t / every - 1) * planes * width + lane;
                checkpoints[at] = v;
                if comptime!(plan.parts.current) {
                    at += width;
                    checkpoints[at] = c;
                }
                if comptime!(plan.parts.adaptation) {
                    at += width;
                    checkpoints[at] = a;
                }
            }
        }
        let at = t * width + lane;
        let before = State { membrane: v, current: c, adaptation: a };
        let done = step(unit, before, input[at], plan);
        #[comptime]
        if let ComptimeOption::Some(spikes) = &mut spikes {
            spikes[at] = done.spikes;
        }
        #[comptime]
        if let ComptimeOption::Some(potential) = &mut potential {
            potential[at] = done.potential;
        }
        v = done.after.membrane;
        c = done.after.current;
        a = done.after.adaptation;
    }
    last_membrane[lane] = v;
    #[comptime]
    if let ComptimeOption::Some(last_current) = &mut last_current {
        last_current[lane] = c;
    }
    #[comptime]
    if let ComptimeOption::Some(last_adaptation) = &mut last_adaptation {
        last_adaptation[lane] = a;
    }
}
