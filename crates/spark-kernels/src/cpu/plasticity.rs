//! Learning rules, row of synapses by row: those of one presynaptic unit lie side by side.
//!
//! A row without a presynaptic event is visited at the postsynaptic units that spiked only; where nothing
//! happens nothing is read.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use multiversion::multiversion;
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

use super::HostBackend;
use super::delays::slot;
use super::lists::Block;
use crate::delays::DelayOrder;
use crate::plasticity::{Kind, PlasticityOptions, TargetDynamics, Terms};

/// Presynaptic units that one thread takes at a time.
pub(super) const ROWS: usize = 32;

/// Synapses to visit from which a second thread is worth waking.
const PARALLEL: usize = 1 << 15;

/// A presynaptic signal.
struct Signal<'a> {
    kind: Kind,
    values: Cow<'a, [f32]>,
    /// Rows of all slots together.
    rows: usize,
    pre: usize,
    post: usize,
    order: Option<&'a DelayOrder>,
}

impl Signal<'_> {
    /// What unit `unit` shows in `row`, to all its synapses.
    fn unit(&self, row: usize, unit: usize) -> f32 {
        self.values[row * self.pre + unit]
    }

    /// What it shows to each of its synapses.
    fn pairs(&self, row: usize, unit: usize) -> &[f32] {
        let at = (row * self.pre + unit) * self.post;
        &self.values[at..at + self.post]
    }
}

/// The terms of a rule that come from spikes, ready to be summed up by rows of synapses.
pub(super) struct SpikeTerms<'a> {
    on_pre: Option<(Signal<'a>, Cow<'a, [f32]>)>,
    on_post: Option<(Signal<'a>, Block)>,
    post: usize,
    /// Rows of `on_pre` and of `on_post`.
    pub rows: [usize; 2],
}

/// Which synapses of a row have a change.
#[derive(Default)]
pub(super) struct Touched {
    /// All of them.
    pub all: bool,
    /// Those with one of these delays.
    delays: Vec<usize>,
    /// Those with postsynaptic units that spiked.
    spiked: bool,
}

/// A term of a rule: what it depends on, and its two factors.
type Term<'a> = (Kind, Cow<'a, [f32]>, Cow<'a, [f32]>);

impl<'a> SpikeTerms<'a> {
    /// From the terms of a rule as slices, for weights `[pre, post]`.
    pub fn new(
        on_pre: Option<Term<'a>>,
        on_post: Option<Term<'a>>,
        order: Option<&'a DelayOrder>,
        [pre, post]: [usize; 2],
    ) -> Self {
        let rows = |other: &[f32]| other.len() / post.max(1);
        let signal = |kind, values, rows| Signal { kind, values, rows, pre, post, order };
        let count = [&on_pre, &on_post].map(|term| term.as_ref().map_or(0, |(_, _, other)| rows(other)));
        Self {
            on_pre: on_pre.map(|(kind, spikes, factor)| (signal(kind, spikes, count[0]), factor)),
            on_post: on_post.map(|(kind, factor, spikes)| {
                (signal(kind, factor, count[1]), Block::new(&spikes, post.max(1)))
            }),
            post,
            rows: count,
        }
    }

    /// About how many synapses have an event.
    pub fn size(&self, pre: usize) -> usize {
        let events = match &self.on_pre {
            Some((signal, _)) if signal.kind == Kind::Pairs => pre,
            Some((signal, _)) => {
                let events = signal.values.iter().filter(|x| **x != 0.0).count();
                events / (signal.values.len() / (signal.rows * pre).max(1)).max(1)
            }
            None => 0,
        };
        events * self.post + self.on_post.as_ref().map_or(0, |(_, spikes)| spikes.count() * pre)
    }

    /// The postsynaptic units with an event in any row, ascending.
    pub fn columns(&self) -> Vec<u32> {
        let Some((signal, spikes)) = &self.on_post else {
            return Vec::new();
        };
        let mut columns: Vec<u32> = (0..signal.rows).flat_map(|row| spikes.row(row).0).copied().collect();
        if signal.rows > 1 {
            columns.sort_unstable();
            columns.dedup();
        }
        columns
    }

    /// Adds to `sums` what the given rows of `on_pre` and of `on_post` mean for the synapses of a unit.
    pub fn add(&self, unit: usize, rows: [Range<usize>; 2], sums: &mut [f32], touched: &mut Touched) {
        let [on_pre, on_post] = rows;
        if let Some((signal, factor)) = &self.on_pre {
            for row in on_pre {
                arrive(signal, row, unit, &factor[row * self.post..(row + 1) * self.post], sums, touched);
            }
        }
        if let Some((signal, spikes)) = &self.on_post {
            for row in on_post {
                touched.spiked |= fire(signal, row, unit, spikes.row(row), sums);
            }
        }
    }
}

/// A presynaptic event.
fn arrive(
    signal: &Signal<'_>,
    row: usize,
    unit: usize,
    factor: &[f32],
    sums: &mut [f32],
    touched: &mut Touched,
) {
    match signal.kind {
        Kind::Units => {
            let spike = signal.unit(row, unit);
            if spike != 0.0 {
                add_scaled(sums, factor, spike);
                touched.all = true;
            }
        }
        Kind::Pairs => {
            add_products(sums, signal.pairs(row, unit), factor);
            touched.all = true;
        }
        Kind::Delayed { newest } => {
            let Some(order) = signal.order else { return };
            let slots = signal.values.len() / (signal.rows * signal.pre).max(1);
            for delay in 0..=order.max() {
                let spike = signal.unit(slot(newest, slots, delay) * signal.rows + row, unit);
                if spike == 0.0 {
                    continue;
                }
                for &target in order.of(unit, delay) {
                    sums[target as usize] += spike * factor[target as usize];
                }
                if !touched.delays.contains(&delay) {
                    touched.delays.push(delay);
                }
            }
        }
    }
}

/// Postsynaptic events; returns whether they can mean a change.
fn fire(
    signal: &Signal<'_>,
    row: usize,
    unit: usize,
    (units, values): (&[u32], &[f32]),
    sums: &mut [f32],
) -> bool {
    let spikes = units.iter().enumerate();
    let spikes = spikes.map(|(k, &i)| (i as usize, values.get(k).copied().unwrap_or(1.0)));
    match signal.kind {
        Kind::Units => {
            let factor = signal.unit(row, unit);
            if factor == 0.0 {
                return false;
            }
            spikes.for_each(|(i, spike)| sums[i] += factor * spike);
        }
        Kind::Pairs => {
            let factor = signal.pairs(row, unit);
            spikes.for_each(|(i, spike)| sums[i] += factor[i] * spike);
        }
        Kind::Delayed { newest } => {
            let Some(order) = signal.order else { return false };
            let slots = signal.values.len() / (signal.rows * signal.pre).max(1);
            let delays = &order.steps[unit * signal.post..(unit + 1) * signal.post];
            for (i, spike) in spikes {
                let slot = slot(newest, slots, delays[i] as usize);
                sums[i] += signal.unit(slot * signal.rows + row, unit) * spike;
            }
        }
    }
    !units.is_empty()
}

/// Bounds, rate and third factor of the synapses of a unit.
pub(super) struct Settle<'a> {
    pub rate: f32,
    pub min: f32,
    pub max: &'a [f32],
    pub modulation: Option<&'a [f32]>,
}

impl Settle<'_> {
    #[inline(always)]
    fn weight(&self, i: usize, weight: f32, change: f32) -> f32 {
        let change = self.modulation.map_or(change, |modulation| change * modulation[i]);
        let weight = weight + change * self.rate;
        let weight = if weight > self.max[i] { self.max[i] } else { weight };
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
    let spikes = SpikeTerms::new(terms.on_pre, terms.on_post, order, shape);
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

    let columns = spikes.columns();
    let same = vec![options.max; post];
    let block = |start: usize, weight: &mut [f32], z: &mut [f32]| {
        let mut sums = vec![0.0; post];
        let mut z = z.chunks_exact_mut(post);
        for (unit, weight) in (start..).zip(weight.chunks_exact_mut(post)) {
            let row = unit * post..(unit + 1) * post;
            let settle = Settle {
                rate: options.rate / options.samples as f32,
                min: options.min,
                max: terms.max.as_deref().map_or(&same, |max| &max[row.clone()]),
                modulation: terms.modulation.as_deref().map(|modulation| &modulation[row]),
            };
            let mut touched = Touched::default();
            spikes.add(unit, [0..spikes.rows[0], 0..spikes.rows[1]], &mut sums, &mut touched);
            if let Some(pull) = &pull {
                relax(weight, z.next().zip(dynamics), pull, &mut sums);
                touched.all = true;
            }
            if touched.all {
                settle_all(weight, &mut sums, &settle);
                continue;
            }
            let arrived = touched.delays.iter().flat_map(|&delay| match order {
                Some(order) => order.of(unit, delay),
                None => &[],
            });
            let spiked = if touched.spiked { &columns[..] } else { &[] };
            for &i in arrived.chain(spiked) {
                let i = i as usize;
                weight[i] = settle.weight(i, weight[i], std::mem::take(&mut sums[i]));
            }
        }
    };
    let size = if pull.is_some() { pre * post } else { spikes.size(pre) };
    let blocks = weight.chunks_mut(ROWS * post).len();
    // Without a target there is nothing to cut, but every block wants its piece of it.
    let mut pieces: Vec<&mut [f32]> = Vec::with_capacity(blocks);
    for _ in 0..blocks {
        let (piece, rest) = z.split_at_mut((ROWS * post).min(z.len()));
        pieces.push(piece);
        z = rest;
    }
    if size > PARALLEL {
        let parts = weight.par_chunks_mut(ROWS * post).zip(pieces).enumerate();
        parts.for_each(|(part, (weight, z))| block(part * ROWS, weight, z));
    } else {
        let parts = weight.chunks_mut(ROWS * post).zip(pieces).enumerate();
        parts.for_each(|(part, (weight, z))| block(part * ROWS, weight, z));
    }
    Some(())
}

fn sum_rows(values: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    for row in values.chunks_exact(width.max(1)) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    sums
}

/// `sums[i] += row[i]·value`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn add_scaled(sums: &mut [f32], row: &[f32], value: f32) {
    for (sum, x) in sums.iter_mut().zip(row) {
        *sum += x * value;
    }
}

/// `sums[i] += a[i]·b[i]`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn add_products(sums: &mut [f32], a: &[f32], b: &[f32]) {
    for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
        *sum += a * b;
    }
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
        Some((z, TargetDynamics { rate, scale, strength })) => {
            let z = &mut z[..n];
            for i in 0..n {
                let force = z[i] * strength * (-z[i] + 0.25) * (-z[i] + 0.5);
                z[i] = z[i] + -z[i] * rate + (weight[i] - force) * scale;
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

/// Moves all weights of a row and clears its sums.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn settle_all<'a>(weight: &mut [f32], sums: &mut [f32], settle: &Settle<'a>) {
    let n = weight.len();
    let sums = &mut sums[..n];
    let settle = Settle {
        max: &settle.max[..n],
        modulation: settle.modulation.map(|modulation| &modulation[..n]),
        ..*settle
    };
    for i in 0..n {
        weight[i] = settle.weight(i, weight[i], sums[i]);
        sums[i] = 0.0;
    }
}
