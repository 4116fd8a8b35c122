//! Sparse synapses: those of active units, found in compressed rows.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use rayon::prelude::*;

use super::HostBackend;
use super::delays::Arrivals;
use super::lists::Block;
use crate::delays::{DelayOrder, dims};
use crate::sparse::SparseRows;

/// Synapses to visit from which a second thread is worth waking.
const PARALLEL: usize = 1 << 15;

/// Presynaptic units whose gradients one thread gathers at a time.
const UNITS: usize = 64;

/// See [`sparse_matmul`](crate::sparse_matmul); `None` when a tensor is not `f32`.
pub(crate) fn product<B: HostBackend>(
    spikes: &FloatTensor<B>,
    values: &FloatTensor<B>,
    pattern: &SparseRows,
) -> Option<FloatTensor<B>> {
    let (rows, pre, post) = (spikes.shape()[0], pattern.pre(), pattern.post);
    let (spikes, values) = (B::slice(spikes)?, B::slice(values)?);
    let mut output = vec![0.0; rows * post];
    if spikes.is_empty() {
        return Some(B::tensor(output, Shape::from([rows, post])));
    }
    let gather = |spikes: &[f32], output: &mut [f32]| {
        let events = Block::new(spikes, pre);
        let (units, strengths) = events.row(0);
        for (i, &unit) in units.iter().enumerate() {
            let strength = strengths.get(i).copied().unwrap_or(1.0);
            let synapses = pattern.of(unit as usize);
            let targets = &pattern.targets[synapses.clone()];
            for (&target, value) in targets.iter().zip(&values[synapses]) {
                output[target as usize] += strength * value;
            }
        }
    };
    if rows > 1 && spikes.len() + values.len() > PARALLEL {
        let each = output.par_chunks_mut(post.max(1)).zip(spikes.par_chunks(pre));
        each.for_each(|(output, spikes)| gather(spikes, output));
    } else {
        let each = output.chunks_mut(post.max(1)).zip(spikes.chunks(pre));
        each.for_each(|(output, spikes)| gather(spikes, output));
    }
    Some(B::tensor(output, Shape::from([rows, post])))
}

/// The gradient of [`product`] with respect to the values, `[synapses]`.
pub(crate) fn values_gradient<B: HostBackend>(
    spikes: &FloatTensor<B>,
    gradient: &FloatTensor<B>,
    pattern: &SparseRows,
) -> Option<FloatTensor<B>> {
    let (pre, post) = (pattern.pre(), pattern.post);
    let (spikes, gradient) = (B::slice(spikes)?, B::slice(gradient)?);
    let mut sums = vec![0.0; pattern.targets.len()];
    let mut blocks = Vec::with_capacity(pre.div_ceil(UNITS));
    let mut rest = &mut sums[..];
    for start in (0..pre).step_by(UNITS) {
        let units = start..(start + UNITS).min(pre);
        let first = pattern.of(start).start;
        let (block, later) = rest.split_at_mut(pattern.of(units.end - 1).end - first);
        blocks.push((units, first, block));
        rest = later;
    }
    blocks.into_par_iter().for_each(|(units, first, block)| {
        // Row by row, so that the sums of a block stay in the cache.
        for (spikes, gradient) in spikes.chunks(pre).zip(gradient.chunks(post.max(1))) {
            for (unit, &spike) in units.clone().zip(&spikes[units.clone()]).filter(|(_, s)| **s != 0.0) {
                let synapses = pattern.of(unit);
                let targets = &pattern.targets[synapses.clone()];
                for (sum, &target) in block[synapses.start - first..].iter_mut().zip(targets) {
                    *sum += spike * gradient[target as usize];
                }
            }
        }
    });
    Some(B::tensor(sums, Shape::from([pattern.targets.len()])))
}

/// The gradient of [`product`] with respect to the spikes, `[rows, pre]`.
pub(crate) fn spikes_gradient<B: HostBackend>(
    gradient: &FloatTensor<B>,
    values: &FloatTensor<B>,
    pattern: &SparseRows,
) -> Option<FloatTensor<B>> {
    let (rows, pre, post) = (gradient.shape()[0], pattern.pre(), pattern.post);
    let (gradient, values) = (B::slice(gradient)?, B::slice(values)?);
    let mut output = vec![0.0; rows * pre];
    let each = output.par_chunks_mut(pre.max(1)).zip(gradient.par_chunks(post.max(1)));
    each.for_each(|(output, gradient)| {
        for (unit, output) in output.iter_mut().enumerate() {
            let synapses = pattern.of(unit);
            let targets = &pattern.targets[synapses.clone()];
            let products = targets
                .iter()
                .zip(&values[synapses])
                .map(|(&target, value)| value * gradient[target as usize]);
            *output = products.sum();
        }
    });
    Some(B::tensor(output, Shape::from([rows, pre])))
}

/// See [`DelayRing::sparse_currents`](crate::DelayRing::sparse_currents); `None` when a tensor is not `f32`.
pub(crate) fn currents<B: HostBackend>(
    history: &FloatTensor<B>,
    values: &FloatTensor<B>,
    pattern: &SparseRows,
    order: &DelayOrder,
    newest: usize,
) -> Option<FloatTensor<B>> {
    let (shape @ [_, batch, _], post) = (dims(history), pattern.post);
    let arrivals = Arrivals::new(&B::slice(history)?, shape, order.max(), newest);
    let values = B::slice(values)?;
    let mut output = vec![0.0; batch * post];
    let gather = |(sample, output): (usize, &mut [f32])| {
        for (delay, unit, strength) in arrivals.of(sample) {
            for &synapse in order.of(unit, delay) {
                let synapse = synapse as usize;
                output[pattern.targets[synapse] as usize] += strength * values[synapse];
            }
        }
    };
    if batch > 1 && arrivals.count() + values.len() > PARALLEL {
        output.par_chunks_mut(post.max(1)).enumerate().for_each(gather);
    } else {
        output.chunks_mut(post.max(1)).enumerate().for_each(gather);
    }
    Some(B::tensor(output, Shape::from([batch, post])))
}
