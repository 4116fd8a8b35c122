//! Delayed signals.
//!
//! A spike of `d` steps ago arrives at those synapses of its unit whose delay is `d`. With few delays these
//! are many of a row, and a bit for each of them says which of a whole register take part; with many delays
//! they are few, and lists name them.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use multiversion::multiversion;
use rayon::prelude::*;

use super::HostBackend;
use super::lists::Block;
use crate::delays::{DelayMasks, DelayOrder, LANES, dims};

/// Synapses visited from which on a second thread is worth waking: a register of them takes less than a
/// nanosecond.
const PARALLEL: usize = 1 << 20;

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
    let mut values = Vec::with_capacity(batch * units);
    for sample in 0..batch {
        let place = |(unit, &delay): (usize, &u16)| {
            (slot(newest, slots, delay as usize) * batch + sample) * units + unit
        };
        values.extend(order.steps.iter().enumerate().map(place).map(|place| ring[place]));
    }
    Some(B::tensor(values, Shape::from([batch, units])))
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
    let mut output = vec![0.0; shape[1] * post];
    for (sample, output) in output.chunks_mut(post.max(1)).enumerate() {
        let past = Past::new(&ring, shape, sample, order.max() + 1, newest);
        let masks = order.masks.as_ref().map(|masks| Arriving::new(&past, masks));
        let add = |from: usize, output: &mut [f32]| match &masks {
            Some(arriving) => arriving.add(&weight, post, from, output),
            None => add_listed(&past, order, &weight, post, from, output),
        };
        let visited = masks.as_ref().map_or(past.active.len(), |masks| masks.units.len()) * post;
        if visited > PARALLEL {
            let width = post.div_ceil(rayon::current_num_threads()).next_multiple_of(LANES);
            let parts = output.par_chunks_mut(width).enumerate();
            parts.for_each(|(part, output)| add(part * width, output));
        } else {
            add(0, output);
        }
    }
    Some(B::tensor(output, Shape::from([shape[1], post])))
}

/// What the units of a sample did lately.
pub(super) struct Past<'a> {
    /// The signal of the units by delay.
    signal: Vec<&'a [f32]>,
    /// For each unit, bit `b` says whether it was active `b << shift` to `((b + 1) << shift) - 1` steps ago.
    recent: Vec<u32>,
    shift: u32,
    /// The units that were active, ascending.
    active: Vec<u32>,
}

impl<'a> Past<'a> {
    pub fn new(
        ring: &'a [f32],
        [slots, batch, units]: [usize; 3],
        sample: usize,
        depth: usize,
        newest: usize,
    ) -> Self {
        let row = |delay: usize| {
            let at = (slot(newest, slots, delay) * batch + sample) * units;
            &ring[at..at + units]
        };
        let signal: Vec<&[f32]> = (0..depth).map(row).collect();
        let shift = depth.div_ceil(u32::BITS as usize).next_power_of_two().trailing_zeros();
        let mut recent = vec![0; units];
        for (delay, row) in signal.iter().enumerate() {
            note(row, 1 << (delay >> shift), &mut recent);
        }
        let (mut active, mut count) = (vec![0; units], 0);
        for (unit, recent) in (0..).zip(&recent) {
            active[count] = unit;
            count += usize::from(*recent != 0);
        }
        active.truncate(count);
        Self { signal, recent, shift, active }
    }

    /// Whether a unit was active.
    #[inline]
    pub fn any(&self, unit: usize) -> bool {
        self.recent[unit] != 0
    }

    /// Calls `each` with the delays at which a unit was active, ascending, and its value then.
    #[inline]
    pub fn of(&self, unit: usize, mut each: impl FnMut(usize, f32)) {
        let mut bits = self.recent[unit];
        while bits != 0 {
            let first = (bits.trailing_zeros() as usize) << self.shift;
            bits &= bits - 1;
            for (delay, row) in self.signal.iter().enumerate().skip(first).take(1 << self.shift) {
                if row[unit] != 0.0 {
                    each(delay, row[unit]);
                }
            }
        }
    }
}

/// Sets `bit` of the units that are active in `row`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn note(row: &[f32], bit: u32, recent: &mut [u32]) {
    for (&now, recent) in row.iter().zip(recent) {
        *recent |= if now != 0.0 { bit } else { 0 };
    }
}

/// `output[i] += x·w[i]` for the synapses listed under the delays of what arrives, unit by unit.
fn add_listed(
    past: &Past<'_>,
    order: &DelayOrder,
    weight: &[f32],
    post: usize,
    from: usize,
    output: &mut [f32],
) {
    let to = from + output.len();
    for unit in past.active.iter().map(|&unit| unit as usize) {
        let row = &weight[unit * post + from..unit * post + to];
        past.of(unit, |delay, value| {
            let mut listed = order.of(unit, delay);
            if output.len() < post {
                let place = |target: usize| listed.partition_point(|&listed| (listed as usize) < target);
                listed = &listed[place(from)..place(to)];
            }
            add_entries(listed, from, value, row, output);
        });
    }
}

/// `output[i] += value·row[i]` for the entries `i + from`.
fn add_entries(entries: &[u32], from: usize, value: f32, row: &[f32], output: &mut [f32]) {
    let row = &row[..output.len()];
    for &entry in entries {
        let at = entry as usize - from;
        output[at] += value * row[at];
    }
}

/// Which synapses of which units something arrives at, bit by bit.
struct Arriving {
    /// Ascending; a unit that had several values is there once for each.
    units: Vec<u32>,
    values: Vec<f32>,
    /// A row of words for each of `units`.
    masks: Vec<u32>,
    words: usize,
}

impl Arriving {
    fn new(past: &Past<'_>, masks: &DelayMasks) -> Self {
        let words = masks.words();
        let mut arriving = Self {
            units: Vec::with_capacity(past.active.len()),
            values: Vec::with_capacity(past.active.len()),
            masks: Vec::with_capacity(past.active.len() * words),
            words,
        };
        for &unit in &past.active {
            past.of(unit as usize, |delay, value| {
                arriving.push(unit, value, masks.of(unit as usize, delay));
            });
        }
        arriving
    }

    #[inline]
    fn push(&mut self, unit: u32, value: f32, mask: &[u32]) {
        let last = self.units.last().zip(self.values.last());
        if last.is_some_and(|(last, before)| *last == unit && before.to_bits() == value.to_bits()) {
            let end = self.masks.len();
            for (all, mask) in self.masks[end - self.words..].iter_mut().zip(mask) {
                *all |= mask;
            }
        } else {
            self.units.push(unit);
            self.values.push(value);
            self.masks.extend(mask);
        }
    }

    /// Adds what arrives to postsynaptic units from the multiple `from` of [`LANES`] on.
    fn add(&self, weight: &[f32], post: usize, from: usize, output: &mut [f32]) {
        let width = output.len();
        let arrival = |at: usize| Arrival {
            value: self.values[at],
            row: &weight[self.units[at] as usize * post + from..][..width],
            mask: &self.masks[at * self.words + from / LANES..(at + 1) * self.words],
        };
        add_arriving(self.units.len(), arrival, output);
    }
}

/// Adds arrivals one after another.
pub(crate) fn add_arriving<'a>(count: usize, arrival: impl Fn(usize) -> Arrival<'a>, output: &mut [f32]) {
    let whole = count - count % 4;
    for at in (0..whole).step_by(4) {
        let arrivals = [arrival(at), arrival(at + 1), arrival(at + 2), arrival(at + 3)];
        if arrivals.iter().all(|arrival| arrival.value == 1.0) {
            add_four_spikes(arrivals, output);
        } else {
            add_four(arrivals, output);
        }
    }
    for at in whole..count {
        add_one(arrival(at), output);
    }
}

/// Adds rows, each with a factor, one after another.
pub(crate) fn add_rows<'a>(count: usize, row: impl Fn(usize) -> (f32, &'a [f32]), output: &mut [f32]) {
    let whole = count - count % 4;
    for at in (0..whole).step_by(4) {
        add_four_rows([row(at), row(at + 1), row(at + 2), row(at + 3)], output);
    }
    (whole..count).for_each(|at| add_row(row(at), output));
}

/// One value for some synapses of a unit.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub value: f32,
    pub row: &'a [f32],
    pub mask: &'a [u32],
}

/// Four units for one pass over the output; added one after another, as everywhere.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_four<'a>(arrivals: [Arrival<'a>; 4], output: &mut [f32]) {
    add_arrivals(arrivals, output, |arrival, weight| arrival.value * weight);
}

/// The same for values of 1.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_four_spikes<'a>(arrivals: [Arrival<'a>; 4], output: &mut [f32]) {
    add_arrivals(arrivals, output, |_, weight| weight);
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_one<'a>(arrival: Arrival<'a>, output: &mut [f32]) {
    add_arrivals([arrival], output, |arrival, weight| arrival.value * weight);
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn add_four_rows<'a>(rows: [(f32, &'a [f32]); 4], output: &mut [f32]) {
    let [a, b, c, d] = rows;
    let weights = a.1.iter().zip(b.1).zip(c.1).zip(d.1);
    for (output, (((one, two), three), four)) in output.iter_mut().zip(weights) {
        *output = *output + a.0 * one + b.0 * two + c.0 * three + d.0 * four;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn add_row<'a>((value, row): (f32, &'a [f32]), output: &mut [f32]) {
    for (output, weight) in output.iter_mut().zip(row) {
        *output += value * weight;
    }
}

/// `output[i] += x·w[i]` where the mask of an arrival has its bit, arrival by arrival.
#[inline(always)]
fn add_arrivals<const N: usize>(
    arrivals: [Arrival<'_>; N],
    output: &mut [f32],
    term: impl Fn(&Arrival<'_>, f32) -> f32,
) {
    let (blocks, rest) = output.as_chunks_mut::<LANES>();
    let pieces = arrivals.map(|arrival| {
        let (weights, rest) = arrival.row.as_chunks::<LANES>();
        (&weights[..blocks.len()], &arrival.mask[..blocks.len()], rest)
    });
    for (index, output) in blocks.iter_mut().enumerate() {
        let mut sums = *output;
        for (arrival, (weights, masks, _)) in arrivals.iter().zip(&pieces) {
            let (mask, weights) = (masks[index], &weights[index]);
            // As many lanes as stay a loop until loops become vectors.
            for lane in 0..LANES {
                sums[lane] += if (mask >> lane) & 1 != 0 { term(arrival, weights[lane]) } else { 0.0 };
            }
        }
        *output = sums;
    }
    for (arrival, (_, _, weights)) in arrivals.iter().zip(&pieces) {
        for (lane, (sum, weight)) in rest.iter_mut().zip(*weights).enumerate() {
            if (arrival.mask[blocks.len()] >> lane) & 1 != 0 {
                *sum += term(arrival, *weight);
            }
        }
    }
}
