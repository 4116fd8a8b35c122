//! The backward pass, one stretch between two checkpoints after another.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::DType;
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

use super::LANES;
use super::block::{Block, Parameters, State, slice, step};
use super::forward::{pieces_mut, tensor};
use super::gradients::{Past, Scratch, Sums, step_back};
use crate::cpu::{HostBackend, buffer, columns_mut};
use crate::scan::{ScanGradients, ScanOutputGradients, ScanSaved, Wanted, checkpoint_interval};
use crate::{Maybe, ScanOptions};

/// The fused backward pass; `None`, with everything as it was, when a tensor is not `f32`.
///
/// The gradient of the input is written over that of the spikes where nobody else holds it.
pub(crate) fn backward<B: HostBackend>(
    saved: &ScanSaved<B>,
    gradients: &mut ScanOutputGradients<B>,
    wanted: Wanted,
    options: ScanOptions,
) -> Option<ScanGradients<B>> {
    let inputs = &saved.inputs;
    let (shape, state_shape) = (inputs.input.shape(), inputs.membrane.shape());
    let (time, width) = (shape[0], state_shape.num_elements());
    let parameters = Parameters::new(inputs, options)?;
    let parts = parameters.parts;
    let wanted = wanted.of(parts);
    // Gradients of the state, of a part that there is: those of the last one become those of the first.
    let last = |gradient: &Maybe<B>, there: bool| {
        let gradient = slice(gradient)?;
        let length = if there { width } else { 0 };
        Some(if gradient.is_empty() { vec![0.0; length] } else { gradient.into_owned() })
    };
    let mut d_membrane = last(&gradients.membrane, true)?;
    let mut d_current = last(&gradients.current, parts.current)?;
    let mut d_adaptation = last(&gradients.adaptation, parts.adaptation)?;
    let (input, checkpoints) = (B::slice(&inputs.input)?, slice(&saved.checkpoints)?);
    let start = [B::slice(&inputs.membrane)?, slice(&inputs.current)?, slice(&inputs.adaptation)?];

    // What turns into the gradient of the input on its way back.
    let turning = if parts.spikes { &mut gradients.spikes } else { &mut gradients.potential };
    if matches!(&*turning, Maybe::Present(gradient) if gradient.dtype() != DType::F32) {
        return None;
    }
    let turning = std::mem::replace(turning, Maybe::Absent);
    let (mut d_input, turning) = destination(turning, || B::tensor(buffer(time * width), shape));
    let arriving = Arriving {
        in_place: turning.is_none(),
        turning: slice(turning.as_ref().unwrap_or(&Maybe::Absent))?,
        // Of units without spikes this has been taken above.
        potential: slice(&gradients.potential)?,
    };
    let pass = Pass {
        input,
        start,
        checkpoints,
        arriving,
        parameters,
        wanted,
        time,
        width,
        every: checkpoint_interval(&options).min(time),
    };

    let sum = |wanted: bool| vec![0.0; if wanted { width } else { 0 }];
    let mut d_decay = sum(wanted.decay);
    let mut d_threshold = sum(wanted.threshold);
    let mut d_current_decay = sum(wanted.current_decay);
    let mut d_adaptation_decay = sum(wanted.adaptation_decay);
    let mut d_adaptation_strength = sum(wanted.adaptation_strength);
    let planes = [
        &mut d_membrane,
        &mut d_current,
        &mut d_adaptation,
        &mut d_decay,
        &mut d_threshold,
        &mut d_current_decay,
        &mut d_adaptation_decay,
        &mut d_adaptation_strength,
    ];
    pass.run(B::unique_slice_mut(&mut d_input)?, planes);
    Some(ScanGradients {
        input: d_input,
        membrane: B::tensor(d_membrane, state_shape.clone()),
        decay: sum_to(&d_decay, &Maybe::Present(inputs.decay.clone())),
        threshold: sum_to(&d_threshold, &inputs.threshold),
        current: tensor(d_current, &state_shape),
        current_decay: sum_to(&d_current_decay, &inputs.current_decay),
        adaptation: tensor(d_adaptation, &state_shape),
        adaptation_decay: sum_to(&d_adaptation_decay, &inputs.adaptation_decay),
        adaptation_strength: sum_to(&d_adaptation_strength, &inputs.adaptation_strength),
    })
}

/// Where the gradient of the input goes: over the gradient that arrives when nobody else holds that.
/// Otherwise to a fresh tensor, and what arrives comes back.
fn destination<B: HostBackend>(
    arriving: Maybe<B>,
    fresh: impl FnOnce() -> FloatTensor<B>,
) -> (FloatTensor<B>, Option<Maybe<B>>) {
    match arriving {
        Maybe::Present(mut gradient) => match B::unique_slice_mut(&mut gradient).is_some() {
            true => (gradient, None),
            false => (fresh(), Some(Maybe::Present(gradient))),
        },
        Maybe::Absent => (fresh(), Some(Maybe::Absent)),
    }
}

/// Sums over all units that are taken side by side, as vector instructions do.
const SIDE_BY_SIDE: usize = 64;

/// Sums over samples, and over units too for a parameter that they share, in the order of the lanes;
/// absent where nothing was summed up.
fn sum_to<B: HostBackend>(lanes: &[f32], parameter: &Maybe<B>) -> Maybe<B> {
    let Maybe::Present(parameter) = parameter else {
        return Maybe::Absent;
    };
    if lanes.is_empty() {
        return Maybe::Absent;
    }
    let shape = parameter.shape();
    let entries = shape.num_elements();
    let mut sums = vec![0.0; if entries == 1 { SIDE_BY_SIDE } else { entries }];
    for sample in lanes.chunks(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(sample) {
            *sum += value;
        }
    }
    if entries == 1 {
        sums = vec![sums.iter().sum()];
    }
    Maybe::Present(B::tensor(sums, shape))
}

/// The gradients of the outputs of every step; empty for those that are zero.
struct Arriving<'a> {
    /// Whether `turning` stands where the gradient of the input goes.
    in_place: bool,
    /// That of the spikes, or of the potential of units that do not spike.
    turning: Cow<'a, [f32]>,
    /// That of the potential of spiking units.
    potential: Cow<'a, [f32]>,
}

/// What all blocks share.
struct Pass<'a> {
    input: Cow<'a, [f32]>,
    /// Initial membrane, current and adaptation.
    start: [Cow<'a, [f32]>; 3],
    checkpoints: Cow<'a, [f32]>,
    arriving: Arriving<'a>,
    parameters: Parameters<'a>,
    wanted: Wanted,
    time: usize,
    /// Samples times units.
    width: usize,
    /// Steps between two checkpoints.
    every: usize,
}

/// One block: the rows of the input's gradient; gradients of membrane, current and adaptation; sums for
/// decay, threshold, current decay, adaptation decay and strength.
struct Work<'a> {
    rows: Vec<&'a mut [f32]>,
    planes: [&'a mut [f32]; 8],
}

/// What a thread needs to go back through a stretch of steps.
struct Room {
    /// Of every step of the stretch: potential, and membrane, current and adaptation before it. Empty
    /// where nobody asks.
    potential: Vec<f32>,
    before: [Vec<f32>; 3],
    /// Membrane, current and adaptation on the way.
    state: [Vec<f32>; 3],
    spikes: Vec<f32>,
    scratch: Scratch,
}

/// Row `index` of `length` entries; nothing of nothing.
fn row(plane: &[f32], index: usize, length: usize) -> &[f32] {
    if plane.is_empty() { plane } else { &plane[index * length..(index + 1) * length] }
}

impl Pass<'_> {
    fn run(&self, d_input: &mut [f32], planes: [&mut Vec<f32>; 8]) {
        let blocks = self.width.div_ceil(LANES);
        let mut rows = columns_mut(d_input, self.width, LANES).into_iter();
        let mut planes = planes.map(|plane| pieces_mut(plane, blocks).into_iter());
        let work: Vec<Work<'_>> = (0..blocks)
            .map(|_| Work {
                rows: rows.next().unwrap_or_default(),
                planes: planes.each_mut().map(|plane| plane.next().unwrap_or_default()),
            })
            .collect();
        work.into_par_iter()
            .enumerate()
            .for_each_init(|| self.room(), |room, (index, work)| self.back(index, work, room));
    }

    fn room(&self) -> Room {
        let Parameters { parts, options, .. } = &self.parameters;
        let lanes = LANES.min(self.width);
        let plane = |wanted: bool, rows: usize| vec![0.0; if wanted { rows * lanes } else { 0 }];
        Room {
            potential: plane(true, self.every),
            before: [
                plane(self.wanted.decay || options.reset_delay, self.every),
                plane(self.wanted.current_decay, self.every),
                plane(parts.adaptation, self.every),
            ],
            state: [plane(true, 1), plane(parts.current, 1), plane(parts.adaptation, 1)],
            spikes: plane(true, 1),
            scratch: Scratch::new(lanes),
        }
    }

    /// Takes a block back through all steps.
    fn back(&self, index: usize, mut work: Work<'_>, room: &mut Room) {
        let lanes = index * LANES..index * LANES + work.planes[0].len();
        let mut block = self.parameters.block(index, lanes.len());
        let [membrane, current, adaptation, decay, threshold, current_decay, adaptation_decay, strength] =
            work.planes;
        let mut carried = State { membrane, current, adaptation };
        let adaptation_strength = strength;
        let mut sums = Sums { decay, threshold, current_decay, adaptation_decay, adaptation_strength };
        let replayed = self.parameters.parts.spikes || !sums.none_wanted();
        for first in (0..self.time).step_by(self.every).rev() {
            let steps = first..self.time.min(first + self.every);
            if replayed {
                self.replay(&mut block, &steps, &lanes, room);
            }
            for t in steps.rev() {
                let to = &mut *work.rows[t];
                self.arrive(t, &lanes, to);
                let before = room.before.each_ref().map(|plane| row(plane, t - first, lanes.len()));
                let past = Past {
                    potential: row(&room.potential, t - first, lanes.len()),
                    membrane: before[0],
                    current: before[1],
                    adaptation: before[2],
                };
                let d_potential = &*self.arriving.potential;
                let d_potential = (!d_potential.is_empty()).then(|| &d_potential[self.at(t, &lanes)]);
                step_back(&mut block, &past, d_potential, to, &mut carried, &mut sums, &mut room.scratch);
                if t > 0 && self.parameters.options.window.is_some_and(|window| t % window == 0) {
                    carried.planes().for_each(|plane| plane.fill(0.0));
                }
            }
        }
    }

    /// Where the entries of one step of a block stand in a tensor `[time, batch, units]`.
    fn at(&self, t: usize, lanes: &Range<usize>) -> Range<usize> {
        t * self.width + lanes.start..t * self.width + lanes.end
    }

    /// Puts what arrives at one step where it turns into the gradient of the input.
    fn arrive(&self, t: usize, lanes: &Range<usize>, to: &mut [f32]) {
        let Arriving { in_place, turning, .. } = &self.arriving;
        match (in_place, turning.is_empty()) {
            (true, _) => {}
            (false, true) => to.fill(0.0),
            (false, false) => to.copy_from_slice(&turning[self.at(t, lanes)]),
        }
    }

    /// Goes through a stretch of steps again, from the checkpoint before it, and notes what it passes.
    fn replay(&self, block: &mut Block, steps: &Range<usize>, lanes: &Range<usize>, room: &mut Room) {
        let length = lanes.len();
        let [membrane, current, adaptation] = room.state.each_mut().map(|plane| {
            let end = length.min(plane.len());
            &mut plane[..end]
        });
        let mut state = State { membrane, current, adaptation };
        let starts = self.start.iter().filter(|plane| !plane.is_empty());
        let parts = self.parameters.parts.planes();
        for (part, (plane, start)) in state.planes().zip(starts).enumerate() {
            let from = match steps.start / self.every {
                0 => start,
                stretch => row(&self.checkpoints, (stretch - 1) * parts + part, self.width),
            };
            plane.copy_from_slice(&from[lanes.clone()]);
        }
        for (j, t) in steps.clone().enumerate() {
            let here = j * length..(j + 1) * length;
            let parts = [&*state.membrane, &*state.current, &*state.adaptation];
            for (noted, part) in room.before.iter_mut().zip(parts) {
                if !noted.is_empty() {
                    noted[here.clone()].copy_from_slice(part);
                }
            }
            let input = &self.input[self.at(t, lanes)];
            step(block, &mut state, input, &mut room.spikes[..length], &mut room.potential[here]);
        }
    }
}
