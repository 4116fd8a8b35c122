//! Delayed signals.
//!
//! For currents, the last steps of a unit are the bits of a word: shifted by the delay of a synapse it says
//! whether something arrives there, for a whole register of synapses at once. Where only a part of the
//! synapses is stored, or every pair is written out, the entries of each delay are listed instead.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use multiversion::multiversion;
use rayon::prelude::*;
use std::ops::Range;

use super::HostBackend;
use super::lists::Block;
use crate::delays::{DelayOrder, SHORT, dims};

/// The fewest postsynaptic units that a thread takes.
const LEAST: usize = 128;

/// Events times units from which a second thread is worth waking.
const PARALLEL: usize = 1 << 15;

/// See [`DelayRing::push`](crate::DelayRing::push); `None`, with nothing changed, when a tensor is not `f32`.
pub(crate) fn push<B: HostBackend>(
    history: &mut FloatTensor<B>,
    signal: &FloatTensor<B>,
    slot: usize,
) -> Option<()> {
    let signal = B::slice(signal)?;
    let at = slot * signal.len();
    B::slice_mut(history)?[at..at + signal.len()].copy_from_slice(&signal);
    Some(())
}

/// See [`DelayRing::read`](crate::DelayRing::read); `None` when the ring is not `f32`.
pub(crate) fn read<B: HostBackend>(
    history: &FloatTensor<B>,
    order: &DelayOrder,
    newest: usize,
) -> Option<FloatTensor<B>> {
    let [slots, batch, units] = dims(history);
    let ring = B::slice(history)?;
    let places: Vec<usize> = order
        .steps
        .iter()
        .enumerate()
        .map(|(unit, &delay)| slot(newest, slots, delay as usize) * batch * units + unit)
        .collect();
    let samples = (0..batch).flat_map(|sample| places.iter().map(move |place| place + sample * units));
    Some(B::tensor(samples.map(|place| ring[place]).collect(), Shape::from([batch, units])))
}

/// The slot of `delay` steps ago.
pub(super) fn slot(newest: usize, slots: usize, delay: usize) -> usize {
    let slot = newest + slots - delay;
    if slot >= slots { slot - slots } else { slot }
}

/// The events that may arrive in one step, sample by sample.
pub(crate) struct Arrivals {
    /// For each delay, the events of all samples as many steps ago.
    past: Vec<Block>,
}

impl Arrivals {
    /// Of a ring `[slots, batch, units]`, for delays up to `max`.
    pub fn new(ring: &[f32], [slots, batch, units]: [usize; 3], max: usize, newest: usize) -> Self {
        let size = batch * units;
        let step = |delay| {
            let at = slot(newest, slots, delay) * size;
            Block::new(&ring[at..at + size], units.max(1))
        };
        Self { past: (0..=max).map(step).collect() }
    }

    /// The number of all events.
    pub fn count(&self) -> usize {
        self.past.iter().map(Block::count).sum()
    }

    /// Delay, unit and value of the events of a sample, by ascending delay and unit.
    pub fn of(&self, sample: usize) -> impl Iterator<Item = (usize, usize, f32)> {
        self.past.iter().enumerate().flat_map(move |(delay, block)| {
            let (columns, values) = block.row(sample);
            let event = move |(i, &unit): (usize, &u32)| {
                (delay, unit as usize, values.get(i).copied().unwrap_or(1.0))
            };
            columns.iter().enumerate().map(event)
        })
    }
}

/// See [`DelayRing::read_pairs`](crate::DelayRing::read_pairs); `None` when the ring is not `f32`.
pub(crate) fn read_pairs<B: HostBackend>(
    history: &FloatTensor<B>,
    order: &DelayOrder,
    newest: usize,
) -> Option<FloatTensor<B>> {
    let shape @ [_, batch, pre] = dims(history);
    let post = order.steps.len() / pre.max(1);
    let arrivals = Arrivals::new(&B::slice(history)?, shape, order.max(), newest);
    let mut output = vec![0.0; batch * pre * post];
    output.par_chunks_mut((pre * post).max(1)).enumerate().for_each(|(sample, output)| {
        for (delay, unit, value) in arrivals.of(sample) {
            let row = &mut output[unit * post..(unit + 1) * post];
            for &target in order.of(unit, delay) {
                row[target as usize] = value;
            }
        }
    });
    Some(B::tensor(output, Shape::from([batch, pre, post])))
}

/// See [`DelayRing::currents`](crate::DelayRing::currents); `None` when a tensor is not `f32`.
pub(crate) fn currents<B: HostBackend>(
    history: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    order: &DelayOrder,
    newest: usize,
) -> Option<FloatTensor<B>> {
    let (shape, post) = (dims(history), weight.shape()[1]);
    let (ring, weight) = (B::slice(history)?, B::slice(weight)?);
    let [_, batch, _] = shape;
    let pasts: Vec<Past> = (0..batch).map(|sample| Past::new(&ring, shape, sample, order, newest)).collect();
    let mut output = vec![0.0; batch * post];
    let gather = |sample: usize, from: usize, output: &mut [f32]| {
        let past = &pasts[sample];
        let active = past.recent.iter().enumerate().filter(|(_, recent)| **recent != 0);
        for (unit, _) in active {
            let synapses = unit * post + from..unit * post + from + output.len();
            past.add(unit, &weight[synapses.clone()], order, synapses, output);
        }
    };
    let active: usize = pasts.iter().map(|past| past.recent.iter().filter(|bits| **bits != 0).count()).sum();
    if active * post > PARALLEL {
        let width = post.div_ceil(rayon::current_num_threads()).max(LEAST);
        let samples = output.par_chunks_mut(post.max(1)).enumerate();
        samples.for_each(|(sample, output)| {
            let parts = output.par_chunks_mut(width).enumerate();
            parts.for_each(|(part, output)| gather(sample, part * width, output));
        });
    } else {
        output.chunks_mut(post.max(1)).enumerate().for_each(|(sample, output)| gather(sample, 0, output));
    }
    Some(B::tensor(output, Shape::from([batch, post])))
}

/// What the units of a sample did lately.
struct Past<'a> {
    /// The signal of the units by delay.
    signal: Vec<&'a [f32]>,
    /// For each unit, bit `d` says whether it was active `d` steps ago; with delays too long for that, bit 0
    /// says whether it was active at all.
    recent: Vec<u32>,
    /// The value that each unit had when it was active last.
    value: Vec<f32>,
    /// Not zero for a unit that had other values too, unlike spikes, or when the bits do not tell when.
    mixed: Vec<u32>,
}

impl<'a> Past<'a> {
    fn new(
        ring: &'a [f32],
        [slots, batch, units]: [usize; 3],
        sample: usize,
        order: &DelayOrder,
        newest: usize,
    ) -> Self {
        let depth = order.max() + 1;
        let row = |delay: usize| {
            let at = (slot(newest, slots, delay) * batch + sample) * units;
            &ring[at..at + units]
        };
        let signal: Vec<&[f32]> = (0..depth).map(row).collect();
        let told = depth <= SHORT;
        let (mut recent, mut value) = (vec![0; units], vec![0.0; units]);
        let mut mixed = vec![u32::from(!told); units];
        for (delay, row) in signal.iter().enumerate() {
            note(row, if told { 1 << delay } else { 1 }, &mut recent, &mut value, &mut mixed);
        }
        Self { signal, recent, value, mixed }
    }

    /// Adds what arrives of one unit: `output[i] += x·row[i]` with `x` as many steps ago as synapse `i` says.
    fn add(&self, unit: usize, row: &[f32], order: &DelayOrder, synapses: Range<usize>, output: &mut [f32]) {
        if self.mixed[unit] == 0 {
            let steps = &order.short[synapses];
            return add_arrived(output, row, steps, self.recent[unit], self.value[unit]);
        }
        for ((sum, weight), &delay) in output.iter_mut().zip(row).zip(&order.steps[synapses]) {
            let value = self.signal[delay as usize][unit];
            if value != 0.0 {
                *sum += value * weight;
            }
        }
    }
}

/// Sets `bit` of the units that are active in `row`, and notes their value.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn note(row: &[f32], bit: u32, recent: &mut [u32], value: &mut [f32], mixed: &mut [u32]) {
    let units = recent.iter_mut().zip(value).zip(mixed);
    for (&now, ((recent, value), mixed)) in row.iter().zip(units) {
        let active = now != 0.0;
        let other = active && *recent != 0 && now.to_bits() != value.to_bits();
        *mixed |= u32::from(other);
        *value = if active { now } else { *value };
        *recent |= if active { bit } else { 0 };
    }
}

/// `output[i] += value·row[i]` where the bit of `recent` is set that synapse `i` names.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_arrived(output: &mut [f32], row: &[f32], steps: &[u8], recent: u32, value: f32) {
    for ((sum, weight), &delay) in output.iter_mut().zip(row).zip(steps) {
        let arrives = (recent >> (u32::from(delay) & 31)) & 1 != 0;
        *sum += if arrives { value * weight } else { 0.0 };
    }
}
