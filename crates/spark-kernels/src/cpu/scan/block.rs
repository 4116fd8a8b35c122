//! A block of units and one step of it.

use multiversion::multiversion;
use std::borrow::Cow;

use super::LANES;
use crate::cpu::{HostBackend, crossing};
use crate::scan::{Parts, ScanInputs};
use crate::{Maybe, Reset, ScanOptions};

/// The elements of a tensor, none for an absent one; `None` when they are not `f32`.
pub(super) fn slice<B: HostBackend>(tensor: &Maybe<B>) -> Option<Cow<'_, [f32]>> {
    match tensor {
        Maybe::Absent => Some(Cow::Borrowed(&[])),
        Maybe::Present(tensor) => B::slice(tensor),
    }
}

/// The numbers of units that do not change from step to step.
pub(super) struct Parameters<'a> {
    pub decay: Cow<'a, [f32]>,
    pub threshold: Cow<'a, [f32]>,
    pub current_decay: Cow<'a, [f32]>,
    pub adaptation_decay: Cow<'a, [f32]>,
    pub adaptation_strength: Cow<'a, [f32]>,
    pub parts: Parts,
    pub options: ScanOptions,
}

impl<'a> Parameters<'a> {
    /// `None` when a tensor is not `f32`.
    pub fn new<B: HostBackend>(inputs: &'a ScanInputs<B>, options: ScanOptions) -> Option<Self> {
        Some(Self {
            decay: B::slice(&inputs.decay)?,
            threshold: slice(&inputs.threshold)?,
            current_decay: slice(&inputs.current_decay)?,
            adaptation_decay: slice(&inputs.adaptation_decay)?,
            adaptation_strength: slice(&inputs.adaptation_strength)?,
            parts: inputs.parts(),
            options,
        })
    }

    /// Block `index` of `length` units.
    pub fn block(&self, index: usize, length: usize) -> Block {
        let spread = |parameter: &[f32]| spread(parameter, index * LANES, length);
        let threshold = spread(&self.threshold);
        let adaptation = if self.parts.adaptation { length } else { 0 };
        Block {
            decay: spread(&self.decay),
            reset_threshold: vec![0.0; adaptation],
            raised: vec![0.0; adaptation],
            base: if self.parts.adaptation { threshold.clone() } else { Vec::new() },
            threshold,
            current_decay: spread(&self.current_decay),
            adaptation_decay: spread(&self.adaptation_decay),
            adaptation_strength: spread(&self.adaptation_strength),
            parts: self.parts,
            options: self.options,
        }
    }
}

/// The entries of a parameter for `length` units of the samples one after another, from unit `start`. A
/// parameter that all units share has one entry, one that they do not have none.
fn spread(parameter: &[f32], start: usize, length: usize) -> Vec<f32> {
    match parameter {
        [] => Vec::new(),
        [shared] => vec![*shared; length],
        own => {
            let mut entries = Vec::with_capacity(length);
            let mut next = start % own.len();
            while entries.len() < length {
                let end = own.len().min(next + length - entries.len());
                entries.extend_from_slice(&own[next..end]);
                next = 0;
            }
            entries
        }
    }
}

/// The parameters of the units of one block, one entry per unit.
pub(super) struct Block {
    pub decay: Vec<f32>,
    /// The threshold of the current step: `Θ[t]` where it adapts.
    pub threshold: Vec<f32>,
    /// `θ` of an adaptive threshold.
    base: Vec<f32>,
    /// `Θ'`, by which an adaptive threshold resets after a step.
    reset_threshold: Vec<f32>,
    /// The adaptation that `Θ[t]` knows, where that is not the one before the step.
    pub raised: Vec<f32>,
    pub current_decay: Vec<f32>,
    pub adaptation_decay: Vec<f32>,
    pub adaptation_strength: Vec<f32>,
    pub parts: Parts,
    pub options: ScanOptions,
}

/// What the units of a block carry from step to step, or the gradients of that; empty where they have no
/// such part.
pub(super) struct State<'a> {
    pub membrane: &'a mut [f32],
    pub current: &'a mut [f32],
    pub adaptation: &'a mut [f32],
}

impl State<'_> {
    /// The parts in the order in which checkpoints hold them.
    pub fn planes(&mut self) -> impl Iterator<Item = &mut [f32]> {
        [&mut *self.membrane, &mut *self.current, &mut *self.adaptation]
            .into_iter()
            .filter(|plane| !plane.is_empty())
    }
}

impl Block {
    /// The threshold by which a delayed reset acts.
    pub fn reset_threshold(&self) -> &[f32] {
        if self.parts.adaptation { &self.reset_threshold } else { &self.threshold }
    }

    /// Whether spikes act on their unit one step late.
    pub fn delayed(&self) -> bool {
        self.options.reset_delay && (self.options.reset != Reset::None || self.parts.adaptation)
    }
}

/// Sets the thresholds of an adaptive step from the membrane and the adaptation before it. With a delayed
/// reset `raised` becomes the adaptation that already knows the last spike.
#[inline(always)]
pub(super) fn adapt_threshold(block: &mut Block, membrane: &[f32], adaptation: &[f32]) {
    let n = adaptation.len();
    let (base, strength) = (&block.base[..n], &block.adaptation_strength[..n]);
    let threshold = &mut block.threshold[..n];
    if !block.options.reset_delay {
        for i in 0..n {
            threshold[i] = adaptation[i] * strength[i] + base[i];
        }
        return;
    }
    let (membrane, decay) = (&membrane[..n], &block.adaptation_decay[..n]);
    let (reset_threshold, raised) = (&mut block.reset_threshold[..n], &mut block.raised[..n]);
    for i in 0..n {
        let theta = adaptation[i] * strength[i] + base[i];
        let a = adaptation[i] * decay[i] + crossing(membrane[i] - theta);
        reset_threshold[i] = theta;
        raised[i] = a;
        threshold[i] = a * strength[i] + base[i];
    }
}

/// `state ← decay·state + x`.
#[inline(always)]
fn leak(state: &mut [f32], decay: &[f32], x: &[f32]) {
    for ((state, decay), x) in state.iter_mut().zip(decay).zip(x) {
        *state = *state * decay + x;
    }
}

/// One step of a block. Writes spikes (where the units have a threshold) and potential.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn step<'a>(
    block: &mut Block,
    state: &mut State<'a>,
    input: &[f32],
    spikes: &mut [f32],
    potential: &mut [f32],
) {
    let options = block.options;
    if block.parts.current && !options.current_delay {
        leak(state.current, &block.current_decay, input);
    }
    if block.parts.adaptation {
        adapt_threshold(block, state.membrane, state.adaptation);
    }
    let drive = if block.parts.current { &*state.current } else { input };
    if block.parts.spikes {
        cross(block, drive, [state.membrane, spikes, potential]);
    } else {
        leak(state.membrane, &block.decay, drive);
        potential.copy_from_slice(state.membrane);
    }
    if block.parts.adaptation {
        if options.reset_delay {
            state.adaptation.copy_from_slice(&block.raised);
        } else {
            leak(state.adaptation, &block.adaptation_decay, spikes);
        }
    }
    if block.parts.current && options.current_delay {
        leak(state.current, &block.current_decay, input);
    }
}

/// Integrates, compares with the threshold and resets; membrane, spikes and potential are written.
#[inline(always)]
fn cross(block: &Block, drive: &[f32], outputs: [&mut [f32]; 3]) {
    /// With the reset known to the compiler.
    #[inline(always)]
    fn each<const DELAY: bool>(
        [drive, decay, threshold, reset_threshold]: [&[f32]; 4],
        [v, spikes, potential]: [&mut [f32]; 3],
        // V from U, S and Θ, where the reset is not delayed.
        reset: impl Fn(f32, f32, f32) -> f32,
        // U from V, R and [β, D, Θ'], where it is.
        integrate: impl Fn(f32, f32, [f32; 3]) -> f32,
    ) {
        let n = v.len();
        let (drive, decay, threshold) = (&drive[..n], &decay[..n], &threshold[..n]);
        let reset_threshold = &reset_threshold[..n];
        let (spikes, potential) = (&mut spikes[..n], &mut potential[..n]);
        for i in 0..n {
            let u = if DELAY {
                let theta = reset_threshold[i];
                integrate(v[i], crossing(v[i] - theta), [decay[i], drive[i], theta])
            } else {
                v[i] * decay[i] + drive[i]
            };
            let s = crossing(u - threshold[i]);
            v[i] = if DELAY { u } else { reset(u, s, threshold[i]) };
            spikes[i] = s;
            potential[i] = u;
        }
    }
    let inputs = [drive, &block.decay, &block.threshold, block.reset_threshold()];
    let plain = |v: f32, _: f32, [decay, drive, _]: [f32; 3]| v * decay + drive;
    match (block.options.reset, block.options.reset_delay) {
        (Reset::Subtract, false) => each::<false>(inputs, outputs, |u, s, theta| u - s * theta, plain),
        (Reset::Zero, false) => each::<false>(inputs, outputs, |u, s, _| u * (1.0 - s), plain),
        (Reset::None, _) => each::<false>(inputs, outputs, |u, _, _| u, plain),
        (Reset::Subtract, true) => {
            let integrate = |v, r, [decay, drive, theta]: [f32; 3]| v * decay + drive - r * theta;
            each::<true>(inputs, outputs, |u, _, _| u, integrate);
        }
        (Reset::Zero, true) => {
            let integrate = |v, r: f32, [decay, drive, _]: [f32; 3]| v * (1.0 - r) * decay + drive;
            each::<true>(inputs, outputs, |u, _, _| u, integrate);
        }
    }
}
