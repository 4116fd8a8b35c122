//! Two channels of sparse synapses: one pass over the units, then a visit to the synapses of those that spike.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use multiversion::multiversion;
use rayon::prelude::*;
use std::borrow::Cow;
use std::slice::ChunksExactMut;
use std::sync::Arc;

use super::lanes::{self, Lane};
use super::traces::silent;
use super::{HostBackend, buffer};
use crate::channels::{Channel, ChannelForm, Pull};
use crate::sparse::SparseRows;

/// Numbers to touch from which a second thread is worth waking.
const PARALLEL: usize = 1 << 15;

/// Presynaptic units that are found silent at once.
const GROUP: usize = 64;

/// What all samples share.
struct Shared<'a> {
    pattern: &'a SparseRows,
    values: &'a [f32],
    dynamics: &'a [Channel<Lane<'a>>; 2],
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
    let (batch, post) = (spikes.shape()[0], pattern.post);
    lanes::with_rows(planes.len(), post, |mut rows| {
        let (channels, fixed) = planes.split_at_mut(2);
        let mut fixed = fixed.iter().map(|plane| B::slice(plane));
        let mut next = || fixed.next().expect("as many planes as the form has");
        let rows = &mut rows;
        let dynamics = [
            Channel { rate: lane(next()?, rows)?, scale: lane(next()?, rows)? },
            Channel { rate: lane(next()?, rows)?, scale: lane(next()?, rows)? },
        ];
        let inhibitory = if form.masked { Some(next()?) } else { None };
        let (potential, reversals) = if form.pull {
            (Some(next()?), Some([lane(next()?, rows)?, lane(next()?, rows)?]))
        } else {
            (None, None)
        };
        let (spikes, values) = (B::slice(spikes)?, B::slice(values)?);
        let [e, i] = channels else { unreachable!("two channels") };
        let (e, i) = (B::slice_mut(e)?, B::slice_mut(i)?);
        let inhibitory = inhibitory.as_deref();
        let dynamics = &dynamics;
        let shared = Shared { pattern, values: &values, dynamics, inhibitory, reversals };
        let mut output = buffer(batch * post);
        shared.run(&spikes, potential.as_deref(), [e, i], &mut output);
        Some(B::tensor(output, Shape::from([batch, post])))
    })
}

fn lane<'a, 'r: 'a>(values: Cow<'a, [f32]>, rows: &mut ChunksExactMut<'r, f32>) -> Option<Lane<'a>> {
    Some(Lane::new(values, rows.next()?))
}

/// Synapses of one sample that stay on the host from step to step.
#[derive(Debug)]
pub(crate) struct Resident {
    pattern: Arc<SparseRows>,
    values: Vec<f32>,
    dynamics: [Channel<Lane<'static>>; 2],
    channels: [Vec<f32>; 2],
    output: Vec<f32>,
}

impl Resident {
    pub fn new(
        pattern: Arc<SparseRows>,
        values: Vec<f32>,
        dynamics: [Channel<Vec<f32>>; 2],
        channels: [Vec<f32>; 2],
    ) -> Self {
        let post = pattern.post;
        let dynamics = dynamics.map(|Channel { rate, scale }| Channel {
            rate: Lane::owned(rate, post),
            scale: Lane::owned(scale, post),
        });
        Self { pattern, values, dynamics, channels, output: vec![0.0; post] }
    }

    /// The currents after units spiked, some of which inhibit.
    pub fn step(&mut self, units: usize, spiking: impl Iterator<Item = (usize, bool)>) -> &[f32] {
        assert_eq!(units, self.pattern.pre(), "synapses: number of presynaptic units");
        let Self { pattern, values, dynamics, channels: [e, i], output } = self;
        let shared = Shared { pattern, values, dynamics, inhibitory: None, reversals: None };
        shared.advance(spiking.map(|(unit, inhibits)| (unit, 1.0, inhibits)), None, [e, i], output);
        output
    }

    pub fn channels(&self) -> &[Vec<f32>; 2] {
        &self.channels
    }
}

/// The number of a sample, its currents, and its two channels.
type Sample<'a> = ((usize, &'a mut [f32]), (&'a mut [f32], &'a mut [f32]));

impl Shared<'_> {
    /// All samples.
    fn run(&self, spikes: &[f32], potential: Option<&[f32]>, [e, i]: [&mut [f32]; 2], output: &mut [f32]) {
        let (pre, post) = (self.pattern.pre(), self.pattern.post.max(1));
        let sample = |((at, output), (e, i)): Sample<'_>| {
            let potential = potential.map(|potential| &potential[at * post..(at + 1) * post]);
            self.step(&spikes[at * pre..(at + 1) * pre], potential, [e, i], output);
        };
        if output.len() > post && spikes.len() + output.len() > PARALLEL {
            let channels = e.par_chunks_mut(post).zip(i.par_chunks_mut(post));
            output.par_chunks_mut(post).enumerate().zip(channels).for_each(sample);
        } else {
            let channels = e.chunks_mut(post).zip(i.chunks_mut(post));
            output.chunks_mut(post).enumerate().zip(channels).for_each(sample);
        }
    }

    /// One sample.
    fn step(&self, spikes: &[f32], potential: Option<&[f32]>, channels: [&mut [f32]; 2], output: &mut [f32]) {
        let inhibits = |unit: usize| self.inhibitory.is_some_and(|mask| mask[unit] != 0.0);
        let events = active(spikes).map(|(unit, strength)| (unit, strength, inhibits(unit)));
        self.advance(events, potential, channels, output);
    }

    /// One sample with its events: unit, strength, and whether the unit inhibits.
    fn advance(
        &self,
        events: impl Iterator<Item = (usize, f32, bool)>,
        potential: Option<&[f32]>,
        channels: [&mut [f32]; 2],
        output: &mut [f32],
    ) {
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
        for (unit, strength, inhibits) in events {
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

/// The entries that are not zero, ascending.
fn active(row: &[f32]) -> impl Iterator<Item = (usize, f32)> {
    let groups = row.chunks(GROUP).enumerate().filter(|(_, entries)| !silent(entries));
    let entries = groups.flat_map(|(group, entries)| (group * GROUP..).zip(entries.iter().copied()));
    entries.filter(|(_, entry)| *entry != 0.0)
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
