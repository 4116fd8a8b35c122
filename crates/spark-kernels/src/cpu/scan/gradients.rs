//! One step of a block backwards.
//!
//! `dx` stands for the gradient of the loss with respect to `x`.

use multiversion::multiversion;

use super::block::{Block, State, adapt_threshold};
use crate::cpu::crossing;
use crate::surrogate::formula::with_derivative;
use crate::{Reset, Surrogate};

/// What the units of a block went through in one step.
pub(super) struct Past<'a> {
    /// `U[t]`.
    pub potential: &'a [f32],
    /// `V[t−1]`.
    pub membrane: &'a [f32],
    /// `C[t−1]`, empty where nobody wants the gradient of its decay.
    pub current: &'a [f32],
    /// `A[t−1]`.
    pub adaptation: &'a [f32],
}

/// Sums over the steps of the gradients of the parameters; empty where nobody wants them.
pub(super) struct Sums<'a> {
    pub decay: &'a mut [f32],
    pub threshold: &'a mut [f32],
    pub current_decay: &'a mut [f32],
    pub adaptation_decay: &'a mut [f32],
    pub adaptation_strength: &'a mut [f32],
}

impl Sums<'_> {
    pub fn none_wanted(&self) -> bool {
        self.decay.is_empty()
            && self.threshold.is_empty()
            && self.current_decay.is_empty()
            && self.adaptation_decay.is_empty()
            && self.adaptation_strength.is_empty()
    }
}

/// Room for one step.
pub(super) struct Scratch {
    /// Surrogate derivative at `U[t] − Θ[t]`.
    slope: Vec<f32>,
    /// Surrogate derivative at `V[t−1] − Θ'`.
    reset_slope: Vec<f32>,
    d_threshold: Vec<f32>,
    zeros: Vec<f32>,
}

impl Scratch {
    pub fn new(lanes: usize) -> Self {
        let plane = || vec![0.0; lanes];
        Self { slope: plane(), reset_slope: plane(), d_threshold: plane(), zeros: plane() }
    }
}

/// Goes one step back. `carried` turns from the gradient of the state after the step to that of the state
/// before it, and `row` from the gradient of the spikes (of the potential, for units that do not spike) to
/// that of the input.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn step_back<'a, 'b, 'c>(
    block: &mut Block,
    past: &Past<'a>,
    d_potential: Option<&[f32]>,
    row: &mut [f32],
    carried: &mut State<'b>,
    sums: &mut Sums<'c>,
    scratch: &mut Scratch,
) {
    if block.parts.adaptation {
        adapt_threshold(block, past.membrane, past.adaptation);
    }
    if block.parts.spikes {
        slopes(&mut scratch.slope, past.potential, &block.threshold, block.options.surrogate);
        match (block.options.reset, block.delayed()) {
            (Reset::Subtract, false) => {
                same::<SUBTRACT>(block, past, d_potential, row, carried, sums, scratch);
            }
            (Reset::Zero, false) => same::<ZERO>(block, past, d_potential, row, carried, sums, scratch),
            (Reset::None, false) => same::<NONE>(block, past, d_potential, row, carried, sums, scratch),
            (Reset::Subtract, true) => {
                late::<SUBTRACT>(block, past, d_potential, row, carried, sums, scratch);
            }
            (Reset::Zero, true) => late::<ZERO>(block, past, d_potential, row, carried, sums, scratch),
            (Reset::None, true) => late::<NONE>(block, past, d_potential, row, carried, sums, scratch),
        }
    } else {
        integrated(&block.decay, row, carried.membrane);
        add_products(sums.decay, row, past.membrane);
    }
    if block.parts.current {
        current(block, past, row, carried.current, sums);
    }
}

const SUBTRACT: u8 = 0;
const ZERO: u8 = 1;
const NONE: u8 = 2;

/// The surrogate derivative at `u − Θ`, as one loop per surrogate.
#[inline(always)]
fn slopes(out: &mut [f32], potential: &[f32], threshold: &[f32], surrogate: Surrogate) {
    with_derivative!(surrogate, |derivative| {
        for ((out, u), theta) in out.iter_mut().zip(potential).zip(threshold) {
            *out = derivative(u - theta);
        }
    });
}

/// `sum ← sum + a·b`, for a sum that somebody wants.
#[inline(always)]
fn add_products(sum: &mut [f32], a: &[f32], b: &[f32]) {
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        *sum += a * b;
    }
}

/// `sum ← sum + a`, for a sum that somebody wants.
#[inline(always)]
fn add(sum: &mut [f32], a: &[f32]) {
    for (sum, a) in sum.iter_mut().zip(a) {
        *sum += a;
    }
}

/// Through `Θ = θ + κ·A`: adds to the gradients of `θ`, `κ` and `A`.
#[inline(always)]
fn threshold(
    block: &Block,
    d_threshold: &[f32],
    adaptation: &[f32],
    d_adaptation: &mut [f32],
    sums: &mut Sums<'_>,
) {
    add(sums.threshold, d_threshold);
    add_products(sums.adaptation_strength, d_threshold, adaptation);
    add_products(d_adaptation, d_threshold, &block.adaptation_strength);
}

/// Through `ρ·A + S`: adds to the gradient of `ρ` and leaves that of `A`.
#[inline(always)]
fn adaptation(block: &Block, before: &[f32], d_adaptation: &mut [f32], sums: &mut Sums<'_>) {
    add_products(sums.adaptation_decay, d_adaptation, before);
    for (d_adaptation, decay) in d_adaptation.iter_mut().zip(&block.adaptation_decay) {
        *d_adaptation *= decay;
    }
}

/// `dD` in `row` and `dV[t−1]` of units that do not spike.
#[inline(always)]
fn integrated(decay: &[f32], row: &mut [f32], dv: &mut [f32]) {
    for ((row, dv), decay) in row.iter_mut().zip(dv).zip(decay) {
        *row += *dv;
        *dv = *row * decay;
    }
}

/// Through the reset in the step of its spike.
#[inline(always)]
fn same<const RESET: u8>(
    block: &Block,
    past: &Past<'_>,
    d_potential: Option<&[f32]>,
    row: &mut [f32],
    carried: &mut State<'_>,
    sums: &mut Sums<'_>,
    scratch: &mut Scratch,
) {
    let n = row.len();
    let through_reset = if block.options.reset_gradient { 1.0 } else { 0.0 };
    let zeros = &scratch.zeros[..n];
    let d_potential = &d_potential.unwrap_or(zeros)[..n];
    let da = if block.parts.adaptation { &carried.adaptation[..n] } else { zeros };
    let (decay, theta) = (&block.decay[..n], &block.threshold[..n]);
    let (potential, slope) = (&past.potential[..n], &scratch.slope[..n]);
    let (dv, d_threshold) = (&mut carried.membrane[..n], &mut scratch.d_threshold[..n]);
    for i in 0..n {
        let u = potential[i];
        let s = crossing(u - theta[i]);
        let (du, dr) = match RESET {
            SUBTRACT => (dv[i], -(dv[i] * theta[i])),
            ZERO => (dv[i] * (1.0 - s), -(dv[i] * u)),
            _ => (dv[i], 0.0),
        };
        let d_crossing = (row[i] + through_reset * dr + da[i]) * slope[i];
        let du = du + d_crossing + d_potential[i];
        d_threshold[i] = -d_crossing - if RESET == SUBTRACT { dv[i] * s } else { 0.0 };
        dv[i] = du * decay[i];
        row[i] = du;
    }
    add_products(sums.decay, row, past.membrane);
    adaptation(block, past.adaptation, carried.adaptation, sums);
    threshold(block, d_threshold, past.adaptation, carried.adaptation, sums);
}

/// Through the reset one step after its spike.
#[inline(always)]
fn late<const RESET: u8>(
    block: &Block,
    past: &Past<'_>,
    d_potential: Option<&[f32]>,
    row: &mut [f32],
    carried: &mut State<'_>,
    sums: &mut Sums<'_>,
    scratch: &mut Scratch,
) {
    let n = row.len();
    let Scratch { slope, reset_slope, d_threshold, zeros } = scratch;
    let (slope, d_threshold, zeros) = (&slope[..n], &mut d_threshold[..n], &zeros[..n]);
    let d_potential = &d_potential.unwrap_or(zeros)[..n];
    let dv = &mut carried.membrane[..n];
    for i in 0..n {
        let d_crossing = row[i] * slope[i];
        row[i] = dv[i] + d_crossing + d_potential[i];
        d_threshold[i] = -d_crossing;
    }
    threshold(block, d_threshold, &block.raised, carried.adaptation, sums);

    let (membrane, theta) = (&past.membrane[..n], &block.reset_threshold()[..n]);
    let through_reset = if block.options.reset_gradient { 1.0 } else { 0.0 };
    if block.options.reset_gradient || block.parts.adaptation {
        slopes(reset_slope, membrane, theta, block.options.surrogate);
    }
    let (decay, reset_slope) = (&block.decay[..n], &reset_slope[..n]);
    let da = if block.parts.adaptation { &carried.adaptation[..n] } else { zeros };
    for i in 0..n {
        let (du, v) = (row[i], membrane[i]);
        let r = crossing(v - theta[i]);
        let decayed = du * decay[i];
        let (dr, kept) = match RESET {
            SUBTRACT => (-(du * theta[i]), decayed),
            ZERO => (-(decayed * v), decayed * (1.0 - r)),
            _ => (0.0, decayed),
        };
        let d_crossing = (through_reset * dr + da[i]) * reset_slope[i];
        d_threshold[i] = -d_crossing - if RESET == SUBTRACT { du * r } else { 0.0 };
        dv[i] = kept + d_crossing;
    }
    if RESET == ZERO {
        for (((sum, du), v), theta) in sums.decay.iter_mut().zip(&*row).zip(membrane).zip(theta) {
            *sum += du * (v * (1.0 - crossing(v - theta)));
        }
    } else {
        add_products(sums.decay, row, membrane);
    }
    adaptation(block, past.adaptation, carried.adaptation, sums);
    threshold(block, d_threshold, past.adaptation, carried.adaptation, sums);
}

/// Through the synaptic current: `row` turns from `dD` to `dI`, and `carried` from `dC[t]` to `dC[t−1]`.
#[inline(always)]
fn current(block: &Block, past: &Past<'_>, row: &mut [f32], carried: &mut [f32], sums: &mut Sums<'_>) {
    let steps = row.iter_mut().zip(carried).zip(&block.current_decay);
    if block.options.current_delay {
        for ((row, carried), decay) in steps {
            let d_drive = *row;
            *row = *carried;
            *carried = *row * decay + d_drive;
        }
    } else {
        for ((row, carried), decay) in steps {
            *row += *carried;
            *carried = *row * decay;
        }
    }
    add_products(sums.current_decay, row, past.current);
}
