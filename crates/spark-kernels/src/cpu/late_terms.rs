//! What late spikes mean for the synapses of one presynaptic unit, found by bits: whole registers of synapses
//! take part or not, side by side.

use multiversion::multiversion;

use super::delays::Past;
use super::plasticity::{Settle, settle_all};
use super::spike_terms::Sums;
use crate::delays::{DelayMasks, LANES};

/// The terms of spikes that arrive late.
pub(super) struct LateTerms<'a> {
    /// What the units did, by row.
    rows: Vec<Past<'a>>,
    masks: &'a DelayMasks,
    /// What a spike adds, `[rows, post]`.
    factor: &'a [f32],
    post: usize,
}

/// What arrives at the synapses of a unit in one step.
#[derive(Default)]
pub(super) struct Arrivals {
    /// Row and value of each.
    events: Vec<(usize, f32)>,
    /// Bits of the synapses that it arrives at, as many words for each.
    bits: Vec<u32>,
}

impl Arrivals {
    fn clear(&mut self) {
        self.events.clear();
        self.bits.clear();
    }

    /// Appends an event, to the last one where they mean the same.
    fn push(&mut self, row: usize, value: f32, bits: &[u32]) {
        let last = self.events.last();
        if last.is_some_and(|last| last.0 == row && last.1.to_bits() == value.to_bits()) {
            let end = self.bits.len();
            self.bits[end - bits.len()..].iter_mut().zip(bits).for_each(|(all, bits)| *all |= bits);
        } else {
            self.events.push((row, value));
            self.bits.extend(bits);
        }
    }
}

/// What one event adds to the synapses whose bits are set.
struct Addition<'a> {
    value: f32,
    factor: &'a [f32],
    bits: &'a [u32],
}

impl<'a> LateTerms<'a> {
    pub fn new(rows: Vec<Past<'a>>, masks: &'a DelayMasks, factor: &'a [f32], post: usize) -> Self {
        Self { rows, masks, factor, post }
    }

    /// Finds what arrives at the synapses of a unit; tells whether anything does.
    pub fn find(&self, unit: usize, arrivals: &mut Arrivals) -> bool {
        if !self.rows.iter().any(|past| past.any(unit)) {
            return false;
        }
        arrivals.clear();
        for (row, past) in self.rows.iter().enumerate() {
            past.of(unit, |delay, value| arrivals.push(row, value, self.masks.of(unit, delay)));
        }
        true
    }

    fn additions<'b>(&'b self, arrivals: &'b Arrivals) -> impl Iterator<Item = Addition<'b>> {
        let events = arrivals.events.iter().zip(arrivals.bits.chunks_exact(self.masks.words()));
        events.map(|(&(row, value), bits)| {
            let factor = &self.factor[row * self.post..(row + 1) * self.post];
            Addition { value, factor, bits }
        })
    }

    /// Moves the weights of a unit at whose synapses something arrives. `add_fired` adds to the sums what
    /// postsynaptic spikes mean, at units that `fired`; the sums are cleared.
    pub fn settle(
        &self,
        arrivals: &Arrivals,
        weight: &mut [f32],
        (sums, fired): (&mut Sums, &[u32]),
        settle: &Settle<'_>,
        add_fired: impl FnOnce(&mut Sums),
    ) {
        let mut additions = self.additions(arrivals);
        match additions.next() {
            Some(only) if arrivals.events.len() == 1 && settle.is_plain() => {
                add_fired(sums);
                settle_with(weight, &sums.values, only, settle);
                fired.iter().for_each(|&i| sums.values[i as usize] = 0.0);
            }
            first => {
                first.into_iter().chain(additions).for_each(|addition| add(&mut sums.values, addition));
                add_fired(sums);
                settle_all(weight, &mut sums.values, settle);
            }
        }
        sums.spiked = false;
    }
}

/// Adds what an event means to sums.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn add<'a>(sums: &mut [f32], addition: Addition<'a>) {
    let n = sums.len();
    let (factor, bits) = (&addition.factor[..n], &addition.bits[..n.div_ceil(LANES)]);
    let blocks = sums.chunks_mut(LANES).zip(factor.chunks(LANES)).zip(bits);
    for ((sums, factor), bits) in blocks {
        for (lane, (sum, factor)) in sums.iter_mut().zip(factor).enumerate() {
            *sum += if (bits >> lane) & 1 != 0 { addition.value * factor } else { 0.0 };
        }
    }
}

/// Moves all weights of a row by what an event and postsynaptic spikes, as sums, add; bounds are hit and there is
/// no third factor.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn settle_with<'a>(weight: &mut [f32], sums: &[f32], addition: Addition<'a>, settle: &Settle<'a>) {
    let n = weight.len();
    let (sums, factor, bits) = (&sums[..n], &addition.factor[..n], &addition.bits[..n.div_ceil(LANES)]);
    let plain = Settle { each_max: None, modulation: None, soft: false, ..*settle };
    let (weights, rest) = weight.as_chunks_mut::<LANES>();
    let (sums, sums_left) = sums.as_chunks::<LANES>();
    let (factors, factors_left) = factor.as_chunks::<LANES>();
    let moved = |bits: u32, lane: usize, weight: f32, factor: f32, sum: f32| {
        let change = if (bits >> lane) & 1 != 0 { addition.value * factor } else { 0.0 };
        plain.weight(0, weight, change + sum)
    };
    for (((weights, sums), factors), bits) in weights.iter_mut().zip(sums).zip(factors).zip(bits) {
        // As many lanes as stay a loop until loops become vectors.
        for lane in 0..LANES {
            weights[lane] = moved(*bits, lane, weights[lane], factors[lane], sums[lane]);
        }
    }
    for (lane, weight) in rest.iter_mut().enumerate() {
        *weight = moved(bits[n / LANES], lane, *weight, factors_left[lane], sums_left[lane]);
    }
}
