//! Learning rules, row of synapses by row: those of one presynaptic unit lie side by side.
//!
//! A row without a presynaptic event is visited at the postsynaptic units that spiked only; where nothing
//! happens nothing is read.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use multiversion::multiversion;
use rayon::prelude::*;

use super::HostBackend;
use super::spike_terms::{Fired, SpikeTerms, Sums};
use crate::delays::DelayOrder;
use crate::plasticity::{PlasticityOptions, TargetDynamics, Terms};

/// Presynaptic units that one thread takes at a time.
pub(super) const ROWS: usize = 32;

/// Synapses to visit one by one from which a second thread is worth waking.
const PARALLEL: usize = 1 << 15;

/// Neighbouring synapses that are moved in the time of one that is visited alone.
pub(super) const SIDE_BY_SIDE: usize = 8;

/// Bounds, rate and third factor of the synapses of a unit.
pub(super) struct Settle<'a> {
    pub rate: f32,
    pub min: f32,
    pub max: f32,
    /// An upper bound for every synapse, in place of `max`.
    pub each_max: Option<&'a [f32]>,
    pub modulation: Option<&'a [f32]>,
    pub soft: bool,
}

impl Settle<'_> {
    /// Whether all synapses have the same bounds, which they hit, and no third factor.
    pub fn is_plain(&self) -> bool {
        self.each_max.is_none() && self.modulation.is_none() && !self.soft
    }

    #[inline(always)]
    pub fn weight(&self, i: usize, weight: f32, change: f32) -> f32 {
        let change = self.modulation.map_or(change, |modulation| change * modulation[i]);
        let max = self.each_max.map_or(self.max, |max| max[i]);
        let mut change = change * self.rate;
        if self.soft {
            let room = if change > 0.0 { max - weight } else { weight - self.min };
            change = change * room / (max - self.min);
        }
        let weight = weight + change;
        let weight = if weight > max { max } else { weight };
        if weight < self.min { self.min } else { weight }
    }
}

/// See [`plasticity_step`](crate::plasticity_step); `None`, with nothing changed, when a tensor is not
/// `f32`.
pub(crate) fn step<B: HostBackend>(
    weight: &mut FloatTensor<B>,
    target: Option<(&mut FloatTensor<B>, TargetDynamics)>,
    terms: &Terms<FloatTensor<B>>,
    order: Option<&DelayOrder>,
    options: PlasticityOptions,
) -> Option<()> {
    let shape = [weight.shape()[0], weight.shape()[1]];
    let [pre, post] = shape;
    let terms = terms.as_ref().try_map(B::slice)?;
    // As where the third factor is 0.
    let on_pre = terms.on_pre.filter(|(_, _, factor)| factor.iter().any(|f| *f != 0.0));
    let spikes = SpikeTerms::new(on_pre, terms.on_post, order, shape);
    let pull = terms.pull.map(|pull| sum_rows(&pull, post));
    let dynamics = target.as_ref().map(|(_, dynamics)| *dynamics);
    let mut z: &mut [f32] = match target {
        Some((target, _)) => B::slice_mut(target)?,
        None => &mut [],
    };
    let weight = B::slice_mut(weight)?;
    if weight.is_empty() {
        return Some(());
    }

    let fired = spikes.fired();
    if pull.is_none() && fired.units.is_empty() && spikes.rows[0] == 0 {
        return Some(());
    }
    let late = if pull.is_none() { spikes.late() } else { None };
    let pulled = pull.as_ref().and_then(|pull| few_pulled(pull, &fired));
    let block = |sums: &mut Sums, start: usize, weight: &mut [f32], z: &mut [f32]| {
        let mut z = z.chunks_exact_mut(post);
        for (unit, weight) in (start..).zip(weight.chunks_exact_mut(post)) {
            let row = unit * post..(unit + 1) * post;
            let settle = Settle {
                rate: options.rate / options.samples as f32,
                min: options.min,
                max: options.max,
                each_max: terms.max.as_deref().map(|max| &max[row.clone()]),
                modulation: terms.modulation.as_deref().map(|modulation| &modulation[row]),
                soft: options.soft,
            };
            if let Some(late) = &late {
                if late.find(unit, &mut sums.arrivals) {
                    let arrivals = std::mem::take(&mut sums.arrivals);
                    let add_fired = |sums: &mut Sums| spikes.add_fired(unit, 0..spikes.rows[1], sums);
                    late.settle(&arrivals, weight, (&mut *sums, &fired.units), &settle, add_fired);
                    sums.arrivals = arrivals;
                } else {
                    settle_fired(weight, (&spikes, &fired), unit, &mut sums.seen, &settle);
                }
                continue;
            }
            if spikes.may_arrive(unit) {
                spikes.add_arriving(unit, 0..spikes.rows[0], sums);
            }
            let arrived = sums.all || !sums.delays.is_empty();
            if let (Some(pull), Some(pulled), false) = (&pull, &pulled, arrived) {
                spikes.add_fired(unit, 0..spikes.rows[1], sums);
                sums.spiked = false;
                let z = z.next().zip(dynamics).map(|(z, dynamics)| consolidate(z, weight, dynamics));
                for i in pulled.iter().map(|i| *i as usize) {
                    sums.values[i] += (weight[i] - z.as_deref().map_or(0.0, |z| z[i])) * pull[i];
                }
                settle_some(weight, &mut sums.values, pulled, &settle);
                continue;
            }
            if pull.is_none() && !arrived {
                settle_fired(weight, (&spikes, &fired), unit, &mut sums.seen, &settle);
                continue;
            }
            spikes.add_fired(unit, 0..spikes.rows[1], sums);
            if let Some(pull) = &pull {
                relax(weight, z.next().zip(dynamics), pull, &mut sums.values);
                sums.all = true;
            }
            if std::mem::take(&mut sums.all) {
                sums.delays.clear();
                sums.spiked = false;
                settle_all(weight, &mut sums.values, &settle);
                continue;
            }
            while let Some(delay) = sums.delays.pop() {
                let arrived = order.map_or(&[][..], |order| order.of(unit, delay));
                settle_some(weight, &mut sums.values, arrived, &settle);
            }
            if std::mem::take(&mut sums.spiked) {
                settle_some(weight, &mut sums.values, &fired.units, &settle);
            }
        }
    };
    let size = if pull.is_some() { pre * post / SIDE_BY_SIDE } else { spikes.size(pre) };
    if size <= PARALLEL {
        block(&mut Sums::new(post), 0, weight, z);
        return Some(());
    }
    // Without a target there is nothing to cut, but every block wants its piece of it.
    let mut pieces: Vec<&mut [f32]> = Vec::with_capacity(pre.div_ceil(ROWS));
    for _ in 0..pre.div_ceil(ROWS) {
        let (piece, rest) = z.split_at_mut((ROWS * post).min(z.len()));
        pieces.push(piece);
        z = rest;
    }
    let parts = weight.par_chunks_mut(ROWS * post).zip(pieces).enumerate();
    parts.for_each_init(|| Sums::new(post), |sums, (part, (weight, z))| block(sums, part * ROWS, weight, z));
    Some(())
}

fn sum_rows(values: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    for row in values.chunks_exact(width.max(1)) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    sums
}

/// The postsynaptic units that fired or that pull their weights, if they are few enough to be visited one by one.
fn few_pulled(pull: &[f32], fired: &Fired) -> Option<Vec<u32>> {
    let mut units = fired.units.clone();
    units.extend((0..).zip(pull).filter(|(_, pull)| **pull != 0.0).map(|(i, _)| i));
    units.sort_unstable();
    units.dedup();
    (units.len() * SIDE_BY_SIDE <= pull.len()).then_some(units)
}

/// The new target of a weight.
#[inline(always)]
fn consolidated(z: f32, weight: f32, TargetDynamics { rate, scale, strength }: TargetDynamics) -> f32 {
    let force = z * strength * (-z + 0.25) * (-z + 0.5);
    z + -z * rate + (weight - force) * scale
}

/// Moves the target.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn consolidate<'a>(z: &'a mut [f32], weight: &[f32], dynamics: TargetDynamics) -> &'a mut [f32] {
    for (z, weight) in z.iter_mut().zip(weight) {
        *z = consolidated(*z, *weight, dynamics);
    }
    z
}

/// Moves the target, where there is one, and adds the pull towards it.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn relax<'a>(
    weight: &[f32],
    target: Option<(&'a mut [f32], TargetDynamics)>,
    pull: &[f32],
    sums: &mut [f32],
) {
    let n = weight.len();
    let (pull, sums) = (&pull[..n], &mut sums[..n]);
    match target {
        Some((z, dynamics)) => {
            let z = &mut z[..n];
            for i in 0..n {
                z[i] = consolidated(z[i], weight[i], dynamics);
                sums[i] += (weight[i] - z[i]) * pull[i];
            }
        }
        None => {
            for i in 0..n {
                sums[i] += weight[i] * pull[i];
            }
        }
    }
}

/// Moves the weights of a row onto units that fired, of a unit to which nothing else happened.
#[inline(never)] // A loop of its own: inside the larger one its numbers would not stay in registers.
fn settle_fired(
    weight: &mut [f32],
    (spikes, fired): (&SpikeTerms<'_>, &Fired),
    unit: usize,
    seen: &mut Vec<f32>,
    settle: &Settle<'_>,
) {
    if settle.is_plain() {
        let plain = Settle { each_max: None, modulation: None, soft: false, ..*settle };
        spikes.each_fired(unit, fired, seen, |i, change| weight[i] = plain.weight(i, weight[i], change));
    } else {
        spikes.each_fired(unit, fired, seen, |i, change| weight[i] = settle.weight(i, weight[i], change));
    }
}

/// Moves the given weights of a row and clears their sums.
fn settle_some(weight: &mut [f32], sums: &mut [f32], some: &[u32], settle: &Settle<'_>) {
    for &i in some {
        let i = i as usize;
        weight[i] = settle.weight(i, weight[i], std::mem::take(&mut sums[i]));
    }
}

/// Moves all weights of a row and clears its sums.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn settle_all<'a>(weight: &mut [f32], sums: &mut [f32], settle: &Settle<'a>) {
    let n = weight.len();
    let sums = &mut sums[..n];
    let settle = Settle {
        each_max: settle.each_max.map(|max| &max[..n]),
        modulation: settle.modulation.map(|modulation| &modulation[..n]),
        ..*settle
    };
    for i in 0..n {
        weight[i] = settle.weight(i, weight[i], sums[i]);
        sums[i] = 0.0;
    }
}
