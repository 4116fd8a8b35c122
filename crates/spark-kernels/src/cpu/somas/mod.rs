//! Steps of units: a block of them goes through all parts of a step while it stays in the first-level cache,
//! so that every plane of the state passes through memory once, and is written where it lies.
//!
//! The arithmetic is that of the reference in `crate::somas`, in the same order. Only the exponential is
//! another one than Burn's, equal to rounding.

mod integrate;

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use multiversion::multiversion;

use super::lanes::{self, LANES, Lane};
use super::{HostBackend, crossing};
use crate::somas::{Soma, SomaForm, SomaModel, SomaState};

/// Entries from which a second thread is worth waking.
const PARALLEL: usize = 1 << 15;

/// Updates the planes of the state and turns `current` into spikes; `None`, with nothing changed, when a
/// tensor is not `f32`.
pub(crate) fn step<B: HostBackend>(
    form: &SomaForm,
    parameters: &[FloatTensor<B>],
    current: &mut FloatTensor<B>,
    state: &mut [FloatTensor<B>],
) -> Option<()> {
    let shape = current.shape();
    let units = shape[1];
    let mut state = state.iter_mut();
    lanes::with_rows(parameters.len(), shape.num_elements(), |mut rows| {
        let mut parameters = parameters.iter();
        let parameters = form.soma.as_ref().try_map(|()| {
            let values = B::slice(parameters.next()?)?;
            Some(Lane::new(values, rows.next()?))
        })?;
        let state = form.state.as_ref().try_map(|()| B::slice_mut(state.next()?))?;
        let current = B::slice_mut(current)?;
        let mut shared = true;
        parameters.as_ref().map(|lane| shared &= lane.shared);
        // Without parameters of single units there are no rows to keep apart.
        let width = if shared { current.len() } else { units };
        run(&parameters, width.max(1), 0, current, state);
        Some(())
    })
}

/// Units of one sample that stay on the host from step to step.
#[derive(Debug)]
pub(crate) struct Resident {
    parameters: Soma<Lane<'static>>,
    state: SomaState<Vec<f32>>,
    width: usize,
}

impl Resident {
    pub fn new(soma: Soma<Vec<f32>>, state: SomaState<Vec<f32>>) -> Self {
        let units = state.potential.len();
        let parameters = soma.map(|values| Lane::owned(values, units));
        Self { parameters, state, width: units.max(1) }
    }

    /// Turns `current` into spikes.
    pub fn step(&mut self, current: &mut [f32]) {
        let state = self.state.as_mut().map(|plane| &mut plane[..]);
        run(&self.parameters, self.width, 0, current, state);
    }

    pub fn state(&self) -> &SomaState<Vec<f32>> {
        &self.state
    }
}

/// Steps the entries from `start` on, in blocks that end where rows end.
fn run(
    parameters: &Soma<Lane<'_>>,
    width: usize,
    start: usize,
    current: &mut [f32],
    mut state: SomaState<&mut [f32]>,
) {
    if current.len() > PARALLEL {
        let half = (current.len() / 2).next_multiple_of(LANES);
        let (left, right) = current.split_at_mut(half);
        let (state, rest) = split(state, half);
        rayon::join(
            || run(parameters, width, start, left, state),
            || run(parameters, width, start + half, right, rest),
        );
        return;
    }
    lanes::blocks(start, current.len(), width, |unit, part| {
        let parameters = parameters.as_ref().map(|lane| lane.block(unit, part.len()));
        let mut state = state.as_mut().map(|plane| &mut plane[part.clone()]);
        block(&parameters, &mut current[part], &mut state);
    });
}

/// The planes before and from an entry on.
fn split(mut state: SomaState<&mut [f32]>, at: usize) -> (SomaState<&mut [f32]>, SomaState<&mut [f32]>) {
    let first = state.as_mut().map(|plane| {
        let (first, rest) = std::mem::take(plane).split_at_mut(at);
        *plane = rest;
        first
    });
    (first, state)
}

/// One step of a block: `io` holds currents before and spikes after.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn block<'a, 'b>(soma: &Soma<&'a [f32]>, io: &mut [f32], state: &mut SomaState<&'b mut [f32]>) {
    let n = io.len();
    let v = &mut state.potential[..n];
    let mut ready = [1.0; LANES];
    let ready = &mut ready[..n];
    if let (Some(steps), Some(since)) = (soma.cooldown, &state.since_spike) {
        let (steps, since) = (&steps[..n], &since[..n]);
        for i in 0..n {
            ready[i] = if since[i] >= steps[i] { 1.0 } else { 0.0 };
            io[i] *= ready[i];
        }
    }
    if let Some(w) = &state.adaptation {
        let w = &w[..n];
        for i in 0..n {
            io[i] -= w[i];
        }
    }
    let threshold = &soma.threshold[..n];
    let resets = soma.model.resets();
    if !resets {
        let offset = state.threshold_offset.as_deref().unwrap_or(&[0.0; LANES]);
        let offset = &offset[..n];
        for i in 0..n {
            ready[i] *= 1.0 - crossing(v[i] - (threshold[i] + offset[i]));
        }
    }
    integrate::step(&soma.model, v, io, state.recovery.as_deref(), state.gates.as_mut());
    let reset = &soma.reset[..n];
    if let (true, Some(steps), Some(since)) = (resets, soma.clamp, &state.since_spike) {
        let (steps, since) = (&steps[..n], &since[..n]);
        for i in 0..n {
            v[i] = choose(since[i] < steps[i], reset[i], v[i]);
        }
    }
    if let (SomaModel::Izhikevich { recovery_rate, sensitivity, .. }, Some(u)) =
        (&soma.model, state.recovery.as_deref_mut())
    {
        let (rate, sensitivity, u) = (&recovery_rate[..n], &sensitivity[..n], &mut u[..n]);
        for i in 0..n {
            u[i] += rate[i] * (sensitivity[i] * v[i] - u[i]);
        }
    }

    match &state.threshold_offset {
        Some(offset) => {
            let offset = &offset[..n];
            for i in 0..n {
                io[i] = crossing(v[i] - (threshold[i] + offset[i])) * ready[i];
            }
        }
        None => {
            for i in 0..n {
                io[i] = crossing(v[i] - threshold[i]) * ready[i];
            }
        }
    }
    let s = &io[..n];
    if resets {
        for i in 0..n {
            v[i] = choose(s[i] > 0.0, reset[i], v[i]);
        }
    }
    if let (SomaModel::Izhikevich { jump, .. }, Some(u)) = (&soma.model, state.recovery.as_deref_mut()) {
        let (jump, u) = (&jump[..n], &mut u[..n]);
        for i in 0..n {
            u[i] += jump[i] * s[i];
        }
    }
    if let (Some(steps), Some(since)) = (soma.cooldown.or(soma.clamp), state.since_spike.as_deref_mut()) {
        let (one, other, since) = (&steps[..n], &soma.clamp.unwrap_or(steps)[..n], &mut since[..n]);
        for i in 0..n {
            let ceiling = if other[i] > one[i] { other[i] } else { one[i] };
            let next = since[i] + 1.0;
            let next = if next > ceiling { ceiling } else { next };
            since[i] = if s[i] > 0.0 { 0.0 } else { next };
        }
    }
    if let (Some(adaptive), Some(offset)) = (&soma.adaptive_threshold, state.threshold_offset.as_deref_mut())
    {
        let (rate, delta, offset) = (&adaptive.rate[..n], &adaptive.delta[..n], &mut offset[..n]);
        for i in 0..n {
            offset[i] = offset[i] + rate[i] * -offset[i] + delta[i] * s[i];
        }
    }
    if let (Some(adaptation), Some(w)) = (&soma.adaptation, state.adaptation.as_deref_mut()) {
        let (rate, delta, w) = (&adaptation.rate[..n], &adaptation.delta[..n], &mut w[..n]);
        let subthreshold = &adaptation.subthreshold[..n];
        for i in 0..n {
            w[i] = w[i] + rate[i] * (-w[i] + subthreshold[i] * v[i]) + delta[i] * s[i];
        }
    }
}

/// `one` or `other`, both of them read: a choice between places to read from keeps a loop from being
/// vectorised.
#[inline(always)]
fn choose(condition: bool, one: f32, other: f32) -> f32 {
    let mask = u32::from(condition).wrapping_neg();
    f32::from_bits((one.to_bits() & mask) | (other.to_bits() & !mask))
}
