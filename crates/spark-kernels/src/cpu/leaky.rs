//! The leaky scan and its gradients: each block of units goes through all steps while its state stays in
//! the cache, and only input, spikes and potential pass through memory.
//!
//! The arithmetic is that of the reference in `crate::leaky`, in the same order, so outputs are equal bit
//! for bit. Blocks do not depend on the number of threads, and sums are taken in a fixed order.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use multiversion::multiversion;
use rayon::prelude::*;
use std::borrow::Cow;

use super::{HostBackend, columns_mut, crossing};
use crate::composed::T;
use crate::leaky::{LeakyGradients, OutputGradients, Saved};
use crate::surrogate::formula::with_derivative;
use crate::{LeakyScan, Reset, Surrogate};

/// Units that one thread takes through all steps at a time: their state stays in the first-level cache.
const LANES: usize = 512;

/// The entries of a parameter, `[units]` or `[1]`, for the units of one block.
fn spread(parameter: &[f32], start: usize, length: usize) -> Vec<f32> {
    (start..start + length).map(|unit| parameter[unit % parameter.len()]).collect()
}

/// The fused forward pass; `None` when a tensor is not `f32`.
#[allow(clippy::type_complexity)]
pub(crate) fn forward<B: HostBackend>(
    input: &FloatTensor<B>,
    membrane: &FloatTensor<B>,
    decay: &FloatTensor<B>,
    threshold: &FloatTensor<B>,
    options: LeakyScan,
) -> Option<(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>)> {
    let (shape, state_shape) = (input.shape(), membrane.shape());
    let width = state_shape.num_elements();
    let (input, membrane) = (B::slice(input)?, B::slice(membrane)?);
    let (decay, threshold) = (B::slice(decay)?, B::slice(threshold)?);

    let mut spikes = vec![0.0; input.len()];
    let mut potential = vec![0.0; input.len()];
    let mut last = membrane.to_vec();
    columns_mut(&mut spikes, width, LANES)
        .into_par_iter()
        .zip(columns_mut(&mut potential, width, LANES))
        .zip(last.par_chunks_mut(LANES))
        .enumerate()
        .for_each(|(block, ((mut spikes, mut potential), v))| {
            let start = block * LANES;
            let decay = spread(&decay, start, v.len());
            let threshold = spread(&threshold, start, v.len());
            let steps = input.chunks_exact(width).zip(&mut spikes).zip(&mut potential);
            for ((input, spikes), potential) in steps {
                let input = &input[start..start + v.len()];
                forward_step(input, &decay, &threshold, v, spikes, potential, options);
            }
        });
    Some((B::tensor(spikes, shape.clone()), B::tensor(potential, shape), B::tensor(last, state_shape)))
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn forward_step(
    input: &[f32],
    decay: &[f32],
    threshold: &[f32],
    v: &mut [f32],
    spikes: &mut [f32],
    potential: &mut [f32],
    options: LeakyScan,
) {
    /// One step with the reset known to the compiler.
    #[inline(always)]
    fn step<const DELAY: bool>(
        [input, decay, threshold]: [&[f32]; 3],
        [v, spikes, potential]: [&mut [f32]; 3],
        // V from U, S and θ, where the reset is not delayed.
        reset: impl Fn(f32, f32, f32) -> f32,
        // U from V, R and [β, I, θ], where it is.
        integrate: impl Fn(f32, f32, [f32; 3]) -> f32,
    ) {
        let length = v.len();
        let (input, decay, threshold) = (&input[..length], &decay[..length], &threshold[..length]);
        let (spikes, potential) = (&mut spikes[..length], &mut potential[..length]);
        for i in 0..length {
            let theta = threshold[i];
            let u = if DELAY {
                integrate(v[i], crossing(v[i] - theta), [decay[i], input[i], theta])
            } else {
                v[i] * decay[i] + input[i]
            };
            let s = crossing(u - theta);
            v[i] = if DELAY { u } else { reset(u, s, theta) };
            spikes[i] = s;
            potential[i] = u;
        }
    }
    let inputs = [input, decay, threshold];
    let outputs = [v, spikes, potential];
    let plain = |v: f32, _: f32, [decay, input, _]: [f32; 3]| v * decay + input;
    match (options.reset, options.reset_delay) {
        (Reset::Subtract, false) => step::<false>(inputs, outputs, |u, s, theta| u - s * theta, plain),
        (Reset::Zero, false) => step::<false>(inputs, outputs, |u, s, _| u * (1.0 - s), plain),
        (Reset::None, _) => step::<false>(inputs, outputs, |u, _, _| u, plain),
        (Reset::Subtract, true) => {
            let integrate = |v, r, [decay, input, theta]: [f32; 3]| v * decay + input - r * theta;
            step::<true>(inputs, outputs, |u, _, _| u, integrate);
        }
        (Reset::Zero, true) => {
            let integrate = |v, r: f32, [decay, input, _]: [f32; 3]| v * (1.0 - r) * decay + input;
            step::<true>(inputs, outputs, |u, _, _| u, integrate);
        }
    }
}

/// The fused backward pass; `None` when a tensor is not `f32`.
pub(crate) fn backward<B: HostBackend>(
    saved: &Saved<B>,
    gradients: &OutputGradients<B>,
    parameter_gradients: bool,
    options: LeakyScan,
) -> Option<LeakyGradients<B>> {
    let (shape, state_shape) = (saved.potential.shape(), saved.membrane.shape());
    let width = state_shape.num_elements();
    let (potential, membrane) = (B::slice(&saved.potential.0)?, B::slice(&saved.membrane.0)?);
    let (decay, threshold) = (B::slice(&saved.decay.0)?, B::slice(&saved.threshold.0)?);
    let (d_spikes, d_potential) = (slice(&gradients.spikes)?, slice(&gradients.potential)?);
    let d_last = slice(&gradients.membrane)?;

    let mut d_input = vec![0.0; potential.len()];
    let mut d_membrane = d_last.map_or_else(|| vec![0.0; width], Cow::into_owned);
    let mut d_decay = vec![0.0; if parameter_gradients { width } else { 0 }];
    let mut d_threshold = d_decay.clone();
    let blocks = width.div_ceil(LANES);
    columns_mut(&mut d_input, width, LANES)
        .into_par_iter()
        .zip(d_membrane.par_chunks_mut(LANES))
        .zip(pieces_mut(&mut d_decay, blocks))
        .zip(pieces_mut(&mut d_threshold, blocks))
        .enumerate()
        .for_each(|(block, (((mut d_input, dv), d_decay), d_threshold))| {
            let (start, length) = (block * LANES, dv.len());
            let row = |t: usize| t * width + start..t * width + start + length;
            let mut lanes = Lanes {
                decay: spread(&decay, start, length),
                threshold: spread(&threshold, start, length),
                slope: vec![0.0; length],
                previous_slope: vec![0.0; length],
                zeros: vec![0.0; length],
                dv,
                d_decay,
                d_threshold,
            };
            for (t, d_input) in d_input.iter_mut().enumerate().rev() {
                let step = Step {
                    potential: &potential[row(t)],
                    previous: match t {
                        0 => &membrane[start..start + length],
                        _ => &potential[row(t - 1)],
                    },
                    first: t == 0,
                    d_spikes: d_spikes.as_deref().map(|gradient| &gradient[row(t)]),
                    d_potential: d_potential.as_deref().map(|gradient| &gradient[row(t)]),
                };
                backward_step(&step, &mut lanes, d_input, options);
            }
        });
    Some((
        B::tensor(d_input, shape),
        B::tensor(d_membrane, state_shape),
        sum_to::<B>(&d_decay, &saved.decay.0),
        sum_to::<B>(&d_threshold, &saved.threshold.0),
    ))
}

/// `Some(None)` for an absent tensor, `None` for one that is not `f32`.
#[allow(clippy::option_option)]
fn slice<B: HostBackend>(tensor: &Option<T<B>>) -> Option<Option<Cow<'_, [f32]>>> {
    match tensor {
        None => Some(None),
        Some(tensor) => B::slice(&tensor.0).map(Some),
    }
}

/// One piece of [`LANES`] per block, or empty pieces of nothing.
fn pieces_mut(data: &mut [f32], blocks: usize) -> Vec<&mut [f32]> {
    let mut pieces: Vec<&mut [f32]> = data.chunks_mut(LANES).collect();
    pieces.resize_with(blocks, Default::default);
    pieces
}

/// Sums over samples, and over units too for a parameter that they share, in the order of the lanes.
fn sum_to<B: HostBackend>(lanes: &[f32], parameter: &FloatTensor<B>) -> FloatTensor<B> {
    let shape = parameter.shape();
    let mut sums = vec![0.0; shape.num_elements()];
    for sample in lanes.chunks(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(sample) {
            *sum += value;
        }
    }
    B::tensor(sums, shape)
}

/// What a block keeps in the cache during the backward pass.
struct Lanes<'a> {
    decay: Vec<f32>,
    threshold: Vec<f32>,
    /// Surrogate derivative at the potential.
    slope: Vec<f32>,
    /// Surrogate derivative at the membrane before.
    previous_slope: Vec<f32>,
    zeros: Vec<f32>,
    /// Gradient of the membrane: of `V[t]` before a step back, of `V[t−1]` after it.
    dv: &'a mut [f32],
    /// Sums over the steps; empty where nobody wants them.
    d_decay: &'a mut [f32],
    d_threshold: &'a mut [f32],
}

/// What one step of the backward pass reads from memory, for the units of one block.
struct Step<'a> {
    potential: &'a [f32],
    /// `U[t−1]`, or the initial membrane.
    previous: &'a [f32],
    /// Whether `previous` is the initial membrane, which no reset follows.
    first: bool,
    d_spikes: Option<&'a [f32]>,
    d_potential: Option<&'a [f32]>,
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn backward_step<'a, 'b>(step: &Step<'a>, lanes: &mut Lanes<'b>, d_input: &mut [f32], options: LeakyScan) {
    slopes(&mut lanes.slope, step.potential, &lanes.threshold, options.surrogate);
    if options.reset_delay && options.reset_gradient {
        slopes(&mut lanes.previous_slope, step.previous, &lanes.threshold, options.surrogate);
    }
    let through_reset = if options.reset_gradient { 1.0 } else { 0.0 };
    match (options.reset, options.reset_delay, !lanes.d_decay.is_empty()) {
        (Reset::Subtract, false, false) => same_step::<SUBTRACT, false>(step, lanes, d_input, through_reset),
        (Reset::Subtract, false, true) => same_step::<SUBTRACT, true>(step, lanes, d_input, through_reset),
        (Reset::Zero, false, false) => same_step::<ZERO, false>(step, lanes, d_input, through_reset),
        (Reset::Zero, false, true) => same_step::<ZERO, true>(step, lanes, d_input, through_reset),
        (Reset::None, _, false) => same_step::<NONE, false>(step, lanes, d_input, through_reset),
        (Reset::None, _, true) => same_step::<NONE, true>(step, lanes, d_input, through_reset),
        (Reset::Subtract, true, false) => delayed::<SUBTRACT, false>(step, lanes, d_input, through_reset),
        (Reset::Subtract, true, true) => delayed::<SUBTRACT, true>(step, lanes, d_input, through_reset),
        (Reset::Zero, true, false) => delayed::<ZERO, false>(step, lanes, d_input, through_reset),
        (Reset::Zero, true, true) => delayed::<ZERO, true>(step, lanes, d_input, through_reset),
    }
}

const SUBTRACT: u8 = 0;
const ZERO: u8 = 1;
const NONE: u8 = 2;

/// The surrogate derivative at `u − θ`, as one loop per surrogate.
#[inline(always)]
fn slopes(out: &mut [f32], potential: &[f32], threshold: &[f32], surrogate: Surrogate) {
    with_derivative!(surrogate, |derivative| {
        for ((out, u), theta) in out.iter_mut().zip(potential).zip(threshold) {
            *out = derivative(u - theta);
        }
    });
}

/// A step back with the reset in the step of its spike.
#[inline(always)]
fn same_step<const RESET: u8, const PARAMETERS: bool>(
    step: &Step<'_>,
    lanes: &mut Lanes<'_>,
    d_input: &mut [f32],
    through_reset: f32,
) {
    let n = d_input.len();
    let (potential, previous) = (&step.potential[..n], &step.previous[..n]);
    let d_spikes = &step.d_spikes.unwrap_or(&lanes.zeros)[..n];
    let d_potential = &step.d_potential.unwrap_or(&lanes.zeros)[..n];
    let (decay, threshold, slope) = (&lanes.decay[..n], &lanes.threshold[..n], &lanes.slope[..n]);
    let dv = &mut lanes.dv[..n];
    let sums = if PARAMETERS { n } else { 0 };
    let (d_decay, d_threshold) = (&mut lanes.d_decay[..sums], &mut lanes.d_threshold[..sums]);
    for i in 0..n {
        let (u, theta) = (potential[i], threshold[i]);
        let s = crossing(u - theta);
        let (du, dr) = match RESET {
            SUBTRACT => (dv[i], -(dv[i] * theta)),
            ZERO => (dv[i] * (1.0 - s), -(dv[i] * u)),
            _ => (dv[i], 0.0),
        };
        let d_crossing = (d_spikes[i] + through_reset * dr) * slope[i];
        let du = du + d_crossing + d_potential[i];
        if PARAMETERS {
            let before = previous[i];
            let r = crossing(before - theta);
            let v = match RESET {
                _ if step.first => before,
                SUBTRACT => before - r * theta,
                ZERO => before * (1.0 - r),
                _ => before,
            };
            d_decay[i] += du * v;
            d_threshold[i] -= d_crossing + if RESET == SUBTRACT { dv[i] * s } else { 0.0 };
        }
        dv[i] = du * decay[i];
        d_input[i] = du;
    }
}

/// A step back with the reset one step after its spike.
#[inline(always)]
fn delayed<const RESET: u8, const PARAMETERS: bool>(
    step: &Step<'_>,
    lanes: &mut Lanes<'_>,
    d_input: &mut [f32],
    through_reset: f32,
) {
    let n = d_input.len();
    let previous = &step.previous[..n];
    let d_spikes = &step.d_spikes.unwrap_or(&lanes.zeros)[..n];
    let d_potential = &step.d_potential.unwrap_or(&lanes.zeros)[..n];
    let (decay, threshold) = (&lanes.decay[..n], &lanes.threshold[..n]);
    let (slope, previous_slope) = (&lanes.slope[..n], &lanes.previous_slope[..n]);
    let dv = &mut lanes.dv[..n];
    let sums = if PARAMETERS { n } else { 0 };
    let (d_decay, d_threshold) = (&mut lanes.d_decay[..sums], &mut lanes.d_threshold[..sums]);
    for i in 0..n {
        let (v, theta) = (previous[i], threshold[i]);
        let d_crossing = d_spikes[i] * slope[i];
        let du = dv[i] + d_crossing + d_potential[i];
        let r = crossing(v - theta);
        let decayed = du * decay[i];
        // Of R, of V[t−1] as it decays, and what of V[t−1] decays.
        let (dr, kept, integrated) = match RESET {
            SUBTRACT => (-(du * theta), decayed, v),
            _ => (-(decayed * v), decayed * (1.0 - r), v * (1.0 - r)),
        };
        let d_reset = through_reset * dr * previous_slope[i];
        if PARAMETERS {
            d_decay[i] += du * integrated;
            d_threshold[i] -= d_crossing + d_reset + if RESET == SUBTRACT { du * r } else { 0.0 };
        }
        dv[i] = kept + d_reset;
        d_input[i] = du;
    }
}
