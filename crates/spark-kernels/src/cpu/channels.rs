//! Two channels of sparse synapses: one pass over the units, then a visit to the synapses of those that spike.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use multiversion::multiversion;
use rayon::prelude::*;

use super::lanes::{self, Lane};
use super::lists::Block;
use super::{HostBackend, buffer};
use crate::channels::{Channel, ChannelForm, Pull};
use crate::sparse::SparseRows;

/// Numbers to touch from which a second thread is worth waking.
const PARALLEL: usize = 1 << 15;

/// What all samples share.
struct Shared<'a> {
    pattern: &'a SparseRows,
    values: &'a [f32],
    dynamics: [Channel<Lane<'a>>; 2],
    inhibitory: Option<&'a [f32]>,
    reversals: Option<[Lane<'a>; 2]>,
}

/// See [`channel_step`](crate::channel_step): updates the channels, the first two `planes`, and returns the
/// currents; `None`, with nothing changed, when a tensor is not `f32`.
pub(crate) fn step<B: HostBackend>(
    spikes: &FloatTensor<B>,
    values: &FloatTensor<B>,
    pattern: &SparseRows,
    planes: &mut [FloatTensor<B>],
    form: ChannelForm,
) -> Option<FloatTensor<B>> {
    let (batch, pre, post) = (spikes.shape()[0], pattern.pre(), pattern.post);
    let (channels, fixed) = planes.split_at_mut(2);
    let fixed: Vec<_> = fixed.iter().map(|plane| B::slice(plane)).collect::<Option<_>>()?;
    let (spikes, values) = (B::slice(spikes)?, B::slice(values)?);
    let [e, i] = channels else { unreachable!("two channels") };
    let (e, i) = (B::slice_mut(e)?, B::slice_mut(i)?);

    let mut fixed = fixed.iter().map(|plane| &plane[..]);
    let mut next = || fixed.next().expect("as many planes as the form has");
    let dynamics = [(); 2].map(|()| Channel { rate: lane(next()), scale: lane(next()) });
    let inhibitory = form.masked.then(&mut next);
    let pull = form.pull.then(|| (next(), [lane(next()), lane(next())]));
    let (potential, reversals) = pull.unzip();
    let shared = Shared { pattern, values: &values, dynamics, inhibitory, reversals };

    let mut output = buffer(batch * post);
    let width = post.max(1);
    let sample = |at: usize, e: &mut [f32], i: &mut [f32], output: &mut [f32]| {
        let potential = potential.map(|potential| &potential[at * post..(at + 1) * post]);
        shared.step(&spikes[at * pre..(at + 1) * pre], potential, [e, i], output);
    };
    let rows = || 0..batch;
    if batch > 1 && spikes.len() + output.len() > PARALLEL {
        let planes = e.par_chunks_mut(width).zip(i.par_chunks_mut(width)).zip(output.par_chunks_mut(width));
        planes.zip(rows()).for_each(|(((e, i), output), at)| sample(at, e, i, output));
    } else {
        let planes = e.chunks_mut(width).zip(i.chunks_mut(width)).zip(output.chunks_mut(width));
        planes.zip(rows()).for_each(|(((e, i), output), at)| sample(at, e, i, output));
    }
    Some(B::tensor(output, Shape::from([batch, post])))
}

fn lane(values: &[f32]) -> Lane<'_> {
    Lane::new(values.into())
}

impl Shared<'_> {
    /// One sample.
    fn step(&self, spikes: &[f32], potential: Option<&[f32]>, channels: [&mut [f32]; 2], output: &mut [f32]) {
        let ([e, i], post) = (channels, output.len());
        lanes::blocks(0, post, post.max(1), |unit, part| {
            let rates = [0, 1].map(|channel: usize| self.dynamics[channel].rate.block(unit, part.len()));
            let channels = [&mut e[part.clone()], &mut i[part.clone()]];
            match potential.zip(self.reversals.as_ref()) {
                None => traced(rates, channels, &mut output[part]),
                Some((potential, reversals)) => {
                    let [to_e, to_i] = reversals;
                    let reversals = [to_e.block(unit, part.len()), to_i.block(unit, part.len())];
                    let pull = Pull { potential: &potential[part.clone()], reversals };
                    pulled(rates, channels, &pull, &mut output[part]);
                }
            }
        });
        if spikes.is_empty() {
            return;
        }
        let events = Block::new(spikes, spikes.len());
        let (units, strengths) = events.row(0);
        for (place, &unit) in units.iter().enumerate() {
            let unit = unit as usize;
            let strength = strengths.get(place).copied().unwrap_or(1.0);
            let inhibits = self.inhibitory.is_some_and(|mask| mask[unit] != 0.0);
            let to = if inhibits { &mut *i } else { &mut *e };
            self.arrive(unit, strength, usize::from(inhibits), to);
            self.settle(unit, potential, [e, i], output);
        }
    }

    /// Adds what the synapses of a unit bring to a channel.
    fn arrive(&self, unit: usize, strength: f32, channel: usize, to: &mut [f32]) {
        let synapses = self.pattern.of(unit);
        let (targets, values) = (&self.pattern.targets[synapses.clone()], &self.values[synapses]);
        let scale = &self.dynamics[channel].scale;
        let arrivals = targets.iter().zip(values);
        if scale.shared {
            let strength = strength * scale.at(0);
            arrivals.for_each(|(&target, value)| to[target as usize] += strength * value);
        } else {
            arrivals.for_each(|(&target, value)| {
                to[target as usize] += strength * scale.at(target as usize) * value;
            });
        }
    }

    /// Writes the currents into the units that a unit reaches.
    fn settle(&self, unit: usize, potential: Option<&[f32]>, [e, i]: [&[f32]; 2], output: &mut [f32]) {
        let targets = &self.pattern.targets[self.pattern.of(unit)];
        let targets = targets.iter().map(|&target| target as usize);
        match potential.zip(self.reversals.as_ref()) {
            None => targets.for_each(|at| output[at] = e[at] - i[at]),
            Some((potential, [to_e, to_i])) => targets.for_each(|at| {
                let v = potential[at];
                output[at] = e[at] * (to_e.at(at) - v) + i[at] * (to_i.at(at) - v);
            }),
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn traced<'a, 'b>(rates: [&'a [f32]; 2], channels: [&'b mut [f32]; 2], output: &mut [f32]) {
    let (n, [e, i], [rate_e, rate_i]) = (output.len(), channels, rates);
    let (e, i, rate_e, rate_i) = (&mut e[..n], &mut i[..n], &rate_e[..n], &rate_i[..n]);
    for at in 0..n {
        e[at] -= rate_e[at] * e[at];
        i[at] -= rate_i[at] * i[at];
        output[at] = e[at] - i[at];
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn pulled<'a, 'b>(
    rates: [&'a [f32]; 2],
    channels: [&'b mut [f32]; 2],
    pull: &Pull<&'a [f32], &'a [f32]>,
    output: &mut [f32],
) {
    let (n, [e, i], [rate_e, rate_i]) = (output.len(), channels, rates);
    let (e, i, rate_e, rate_i) = (&mut e[..n], &mut i[..n], &rate_e[..n], &rate_i[..n]);
    let [to_e, to_i] = pull.reversals;
    let (v, to_e, to_i) = (&pull.potential[..n], &to_e[..n], &to_i[..n]);
    for at in 0..n {
        e[at] -= rate_e[at] * e[at];
        i[at] -= rate_i[at] * i[at];
        output[at] = e[at] * (to_e[at] - v[at]) + i[at] * (to_i[at] - v[at]);
    }
}
