//! Delayed signals: what arrives is found by walking the events of each past step and, of each of them, the
//! entries with just that delay.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use rayon::prelude::*;

use super::HostBackend;
use super::lists::Block;
use crate::delays::{DelayOrder, dims};

/// Postsynaptic units that one thread takes at a time, where events are many.
const POST: usize = 512;

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
    let arrivals = Arrivals::new(&B::slice(history)?, shape, order.max(), newest);
    let weight = B::slice(weight)?;
    let [_, batch, _] = shape;
    let mut output = vec![0.0; batch * post];
    let gather = |sample: usize, from: usize, output: &mut [f32]| {
        for (delay, unit, value) in arrivals.of(sample) {
            let targets = order.of(unit, delay);
            let row = &weight[unit * post + from..unit * post + from + output.len()];
            add_some(output, row, within(targets, from, output.len()), from, value);
        }
    };
    // An event meets about one in `max` of its synapses per step.
    let parallel = arrivals.count() * post > PARALLEL * order.max().max(1);
    let width = if parallel { POST } else { post.max(1) };
    let each = |(sample, output): (usize, &mut [f32])| {
        if parallel {
            let parts = output.par_chunks_mut(width).enumerate();
            parts.for_each(|(part, output)| gather(sample, part * width, output));
        } else {
            gather(sample, 0, output);
        }
    };
    if parallel {
        output.par_chunks_mut(post.max(1)).enumerate().for_each(each);
    } else {
        output.chunks_mut(post.max(1)).enumerate().for_each(each);
    }
    Some(B::tensor(output, Shape::from([batch, post])))
}

/// Those of ascending targets that lie in `from..from + length`.
fn within(targets: &[u32], from: usize, length: usize) -> &[u32] {
    let start = if from == 0 { 0 } else { targets.partition_point(|&target| (target as usize) < from) };
    let end = match targets.last() {
        Some(&last) if last as usize >= from + length => {
            targets.partition_point(|&target| (target as usize) < from + length)
        }
        _ => targets.len(),
    };
    &targets[start..end]
}

/// `output[i] += value·row[i]` for the given targets, which count from `from`.
fn add_some(output: &mut [f32], row: &[f32], targets: &[u32], from: usize, value: f32) {
    for &target in targets {
        let i = target as usize - from;
        output[i] += value * row[i];
    }
}
