//! The backward pass, one stretch between two checkpoints after another.
//!
//! A thread notes what its unit passes on the way through a stretch in a buffer of that length, and reads it on
//! the way back. Gradients of parameters come as one sum per unit and sample, and are reduced by Burn.

use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::back::{Arrived, Past, step_back};
use super::unit::{Parameters, Plan, State, step};
use super::{Launch, maybe};
use crate::composed::T;
use crate::gpu::buffers::{element_or_zero, elements, empty, parameter, parameter_or_zero};
use crate::scan::{ScanGradients, ScanOutputGradients, ScanSaved, Wanted, checkpoint_interval};
use crate::{Maybe, ScanOptions};

/// Sums that a unit of a sample collects: for decay, threshold, current decay, adaptation decay and strength.
const SUMS: usize = 5;

/// The fused backward pass; `None` when a tensor is not `f32`.
pub(crate) fn backward(
    saved: &ScanSaved<CubeBackend>,
    gradients: &ScanOutputGradients<CubeBackend>,
    wanted: Wanted,
    options: ScanOptions,
) -> Option<ScanGradients<CubeBackend>> {
    let inputs = &saved.inputs;
    let launch = Launch::new(inputs)?;
    let parts = inputs.parts();
    let wanted = wanted.of(parts);
    let state_shape = inputs.membrane.shape();
    let every = checkpoint_interval(&options).min(launch.time);
    let fresh = |shape: Shape| empty(&inputs.input, shape);
    let part = |there: bool| -> Maybe<CubeBackend> { there.then(|| fresh(state_shape.clone())).into() };
    let (d_input, d_membrane) = (fresh(inputs.input.shape()), fresh(state_shape.clone()));
    let (d_current, d_adaptation) = (part(parts.current), part(parts.adaptation));
    let sums = fresh(Shape::from([SUMS, state_shape[0], state_shape[1]]));
    // Potential, and membrane, current and adaptation before the step.
    let notes = fresh(Shape::from([1 + parts.planes(), every, launch.width]));

    let (from, arriving) = (saved.inputs.clone(), gradients.clone());
    backward_kernel::launch(
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
        maybe(saved.checkpoints.clone()).into(),
        maybe(arriving.spikes).into(),
        maybe(arriving.potential).into(),
        maybe(arriving.membrane).into(),
        maybe(arriving.current).into(),
        maybe(arriving.adaptation).into(),
        elements(d_input.clone()),
        elements(d_membrane.clone()),
        maybe(d_current.clone()).into(),
        maybe(d_adaptation.clone()).into(),
        elements(sums.clone()),
        elements(notes),
        launch.width,
        launch.time,
        every,
        // A window as long as the sequence cuts nothing.
        options.window.unwrap_or(launch.time),
        Plan::new(parts, &options),
    );

    let sums = T::<CubeBackend>(sums);
    let sum = |index: usize, wanted: bool, parameter: &Maybe<CubeBackend>| -> Maybe<CubeBackend> {
        let parameter = parameter.as_option().filter(|_| wanted);
        parameter.map(|parameter: &CubeTensor| sums.at(index).sum_to(&parameter.shape()).0).into()
    };
    Some(ScanGradients {
        input: d_input,
        membrane: d_membrane,
        decay: sum(0, wanted.decay, &Maybe::Present(inputs.decay.clone())),
        threshold: sum(1, wanted.threshold, &inputs.threshold),
        current: d_current,
        current_decay: sum(2, wanted.current_decay, &inputs.current_decay),
        adaptation: d_adaptation,
        adaptation_decay: sum(3, wanted.adaptation_decay, &inputs.adaptation_decay),
        adaptation_strength: sum(4, wanted.adaptation_strength, &inputs.adaptation_strength),
    })
}

#[cube(launch, address_type = "dynamic")]
fn backward_kernel(
    input: &[f32],
    membrane: &[f32],
    decay: &[f32],
    threshold: ComptimeOption<&[f32]>,
    current: ComptimeOption<&[f32]>,
    current_decay: ComptimeOption<&[f32]>,
    adaptation: ComptimeOption<&[f32]>,
    adaptation_decay: ComptimeOption<&[f32]>,
    adaptation_strength: ComptimeOption<&[f32]>,
    checkpoints: ComptimeOption<&[f32]>,
    d_spikes: ComptimeOption<&[f32]>,
    d_potential: ComptimeOption<&[f32]>,
    d_last_membrane: ComptimeOption<&[f32]>,
    d_last_current: ComptimeOption<&[f32]>,
    d_last_adaptation: ComptimeOption<&[f32]>,
    d_input: &mut [f32],
    d_membrane: &mut [f32],
    mut d_current: ComptimeOption<&mut [f32]>,
    mut d_adaptation: ComptimeOption<&mut [f32]>,
    sums: &mut [f32],
    notes: &mut [f32],
    width: usize,
    time: usize,
    every: usize,
    window: usize,
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
    let mut dv = element_or_zero(&d_last_membrane, lane);
    let mut dc = element_or_zero(&d_last_current, lane);
    let mut da = element_or_zero(&d_last_adaptation, lane);
    let mut d_decay = f32::new(0.0);
    let mut d_threshold = f32::new(0.0);
    let mut d_current_decay = f32::new(0.0);
    let mut d_adaptation_decay = f32::new(0.0);
    let mut d_adaptation_strength = f32::new(0.0);
    let plane = every * width;
    let stretches = (time + every - 1) / every;
    for back in 0..stretches {
        let stretch = stretches - 1 - back;
        let first = stretch * every;
        let end = min(first + every, time);

        let mut v = membrane[lane];
        let mut c = element_or_zero(&current, lane);
        let mut a = element_or_zero(&adaptation, lane);
        #[comptime]
        if let ComptimeOption::Some(checkpoints) = &checkpoints {
            if stretch > 0 {
                let planes = comptime!(plan.parts.planes());
                let mut at = (stretch - 1) * planes * width + lane;
                v = checkpoints[at];
                if comptime!(plan.parts.current) {
                    at += width;
                    c = checkpoints[at];
                }
                if comptime!(plan.parts.adaptation) {
                    at += width;
                    a = checkpoints[at];
                }
            }
        }
        for t in first..end {
            let mut at = (t - first) * width + lane;
            let before = State { membrane: v, current: c, adaptation: a };
            let done = step(unit, before, input[t * width + lane], plan);
            notes[at] = done.potential;
            at += plane;
            notes[at] = v;
            if comptime!(plan.parts.current) {
                at += plane;
                notes[at] = c;
            }
            if comptime!(plan.parts.adaptation) {
                at += plane;
                notes[at] = a;
            }
            v = done.after.membrane;
            c = done.after.current;
            a = done.after.adaptation;
        }
        for j in 0..end - first {
            let t = end - 1 - j;
            let here = t * width + lane;
            let mut at = (t - first) * width + lane;
            let potential = notes[at];
            at += plane;
            let v = notes[at];
            let mut c = f32::new(0.0);
            let mut a = f32::new(0.0);
            if comptime!(plan.parts.current) {
                at += plane;
                c = notes[at];
            }
            if comptime!(plan.parts.adaptation) {
                at += plane;
                a = notes[at];
            }
            let arrived = Arrived {
                spikes: element_or_zero(&d_spikes, here),
                potential: element_or_zero(&d_potential, here),
            };
            let past = Past { potential, membrane: v, current: c, adaptation: a };
            let carried = State { membrane: dv, current: dc, adaptation: da };
            let back = step_back(unit, past, arrived, carried, plan);
            d_input[here] = back.input;
            dv = back.before.membrane;
            dc = back.before.current;
            da = back.before.adaptation;
            if t > 0 && t % window == 0 {
                dv = f32::new(0.0);
                dc = f32::new(0.0);
                da = f32::new(0.0);
            }
            d_decay += back.terms.decay;
            d_threshold += back.terms.threshold;
            d_current_decay += back.terms.current_decay;
            d_adaptation_decay += back.terms.adaptation_decay;
            d_adaptation_strength += back.terms.adaptation_strength;
        }
    }
    d_membrane[lane] = dv;
    #[comptime]
    if let ComptimeOption::Some(d_current) = &mut d_current {
        d_current[lane] = dc;
    }
    #[comptime]
    if let ComptimeOption::Some(d_adaptation) = &mut d_adaptation {
        d_adaptation[lane] = da;
    }
    sums[lane] = d_decay;
    sums[width + lane] = d_threshold;
    sums[2 * width + lane] = d_current_decay;
    sums[3 * width + lane] = d_adaptation_decay;
    sums[4 * width + lane] = d_adaptation_strength;
}
