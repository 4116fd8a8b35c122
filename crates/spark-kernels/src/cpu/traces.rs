//! Traces: one pass over all entries, or a visit to those that an event hits.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use multiversion::multiversion;
use rayon::prelude::*;

use super::lanes::{self, LANES, Lane};
use super::{HostBackend, math};
use crate::traces::{LazyDecay, Trace};

/// Entries that one thread takes at a time.
const CHUNK: usize = 1 << 16;

/// See [`trace_step`](crate::trace_step); `None`, with nothing changed, when a tensor is not `f32`.
pub(crate) fn step<B: HostBackend>(
    trace: &mut FloatTensor<B>,
    input: &FloatTensor<B>,
    parameters: &Trace<FloatTensor<B>>,
) -> Option<()> {
    let input = B::slice(input)?;
    lanes::with_rows(PARAMETERS, input.len(), |mut rows| {
        let lane = |parameter| Some(Lane::new(B::slice(parameter)?, rows.next()?));
        let parameters = parameters.as_ref().try_map(lane)?;
        let mut period = Period::default();
        parameters.as_ref().map(|lane| period.note(lane));
        let width = period.width(input.len())?;
        let trace = B::slice_mut(trace)?;
        in_chunks(trace, &input, |start, trace, input| {
            lanes::blocks(start, trace.len(), width, |unit, part| {
                let parameters = parameters.as_ref().map(|lane| lane.block(unit, part.len()));
                step_block(&mut trace[part.clone()], &input[part], &parameters);
            });
        });
        Some(())
    })
}

/// Traces of one sample that stay on the host from step to step.
#[derive(Debug)]
pub(crate) struct Resident {
    parameters: Trace<Lane<'static>>,
    value: Vec<f32>,
}

impl Resident {
    pub fn new(trace: Trace<Vec<f32>>, value: Vec<f32>) -> Self {
        Self { parameters: trace.map(|values| Lane::owned(values, value.len())), value }
    }

    pub fn step(&mut self, input: &[f32]) -> &[f32] {
        let entries = self.value.len();
        lanes::blocks(0, entries, entries.max(1), |entry, part| {
            let parameters = self.parameters.as_ref().map(|lane| lane.block(entry, part.len()));
            step_block(&mut self.value[part.clone()], &input[part], &parameters);
        });
        &self.value
    }

    pub fn value(&self) -> &[f32] {
        &self.value
    }
}

/// The most parameters that a trace has.
const PARAMETERS: usize = 4;

/// The number of entries of those parameters that have several.
#[derive(Default)]
struct Period {
    length: Option<usize>,
    differs: bool,
}

impl Period {
    fn note(&mut self, lane: &Lane<'_>) {
        if !lane.shared {
            self.differs |= *self.length.get_or_insert(lane.len()) != lane.len();
        }
    }

    /// After how many of `entries` entries the parameters repeat; `None` when they do so after different
    /// ones, which the reference handles.
    fn width(&self, entries: usize) -> Option<usize> {
        (!self.differs).then(|| self.length.unwrap_or(entries).max(1))
    }
}

/// Calls `each` with start, values and inputs of every chunk.
fn in_chunks(values: &mut [f32], input: &[f32], each: impl Fn(usize, &mut [f32], &[f32]) + Sync) {
    let chunks = values.par_chunks_mut(CHUNK).zip(input.par_chunks(CHUNK)).enumerate();
    chunks.for_each(|(index, (values, input))| each(index * CHUNK, values, input));
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn step_block<'a>(trace: &mut [f32], input: &[f32], parameters: &Trace<&'a [f32]>) {
    let n = trace.len();
    let (input, rate) = (&input[..n], &parameters.rate[..n]);
    let (base, scale) = (&parameters.base[..n], &parameters.scale[..n]);
    for i in 0..n {
        trace[i] = trace[i] + rate[i] * (base[i] - trace[i]) + scale[i] * input[i];
    }
    if let Some(bound) = parameters.saturation {
        let bound = &bound[..n];
        for i in 0..n {
            let below = if trace[i] > bound[i] { bound[i] } else { trace[i] };
            trace[i] = if -below > bound[i] { -bound[i] } else { below };
        }
    }
}

/// See [`LazyTrace::hit`](crate::LazyTrace::hit); `None`, with nothing changed, when a tensor is not `f32`.
pub(crate) fn lazy_hit<B: HostBackend>(
    value: &mut FloatTensor<B>,
    last: &mut FloatTensor<B>,
    input: &FloatTensor<B>,
    decay: &LazyDecay<FloatTensor<B>>,
    now: f32,
) -> Option<()> {
    let decay = decay.as_ref().try_map(|parameter| B::slice(parameter))?;
    let input = B::slice(input)?;
    let (value, last) = (B::slice_mut(value)?, B::slice_mut(last)?);
    let chunks = value.par_chunks_mut(CHUNK).zip(last.par_chunks_mut(CHUNK)).zip(input.par_chunks(CHUNK));
    chunks.enumerate().for_each(|(index, ((value, last), input))| {
        for (group, entries) in input.chunks(LANES).enumerate() {
            if silent(entries) {
                continue;
            }
            let start = group * LANES;
            for (i, &x) in entries.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                let decay = decay.as_ref().map(|values| values[(index * CHUNK + start + i) % values.len()]);
                let (value, last) = (&mut value[start + i], &mut last[start + i]);
                let left = math::exp((*last - now) * decay.exponent);
                *value = decay.base + (*value - decay.base) * left + decay.scale * x;
                *last = now;
            }
        }
    });
    Some(())
}

/// Whether all inputs are zero, without a branch for each.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn silent(input: &[f32]) -> bool {
    // The bits of a float without its sign are zero where it is.
    input.iter().fold(0, |bits, x| bits | x.to_bits()) << 1 == 0
}

/// See [`LazyTrace::read`](crate::LazyTrace::read); `None` when a tensor is not `f32`.
pub(crate) fn lazy_read<B: HostBackend>(
    value: &FloatTensor<B>,
    last: &FloatTensor<B>,
    decay: &LazyDecay<FloatTensor<B>>,
    now: f32,
) -> Option<FloatTensor<B>> {
    let (shape, last) = (value.shape(), B::slice(last)?);
    let mut values = B::slice(value)?.into_owned();
    lanes::with_rows(PARAMETERS, values.len(), |mut rows| {
        let lane = |parameter| Some(Lane::new(B::slice(parameter)?, rows.next()?));
        let decay = decay.as_ref().try_map(lane)?;
        let mut period = Period::default();
        decay.as_ref().map(|lane| period.note(lane));
        let width = period.width(values.len())?;
        in_chunks(&mut values, &last, |start, values, last| {
            lanes::blocks(start, values.len(), width, |unit, part| {
                let decay = decay.as_ref().map(|lane| lane.block(unit, part.len()));
                read_block(&mut values[part.clone()], &last[part], &decay, now);
            });
        });
        Some(())
    })?;
    Some(B::tensor(values, shape))
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn read_block<'a>(values: &mut [f32], last: &[f32], decay: &LazyDecay<&'a [f32]>, now: f32) {
    let n = values.len();
    let (last, exponent, base) = (&last[..n], &decay.exponent[..n], &decay.base[..n]);
    for i in 0..n {
        let left = math::exp((last[i] - now) * exponent[i]);
        values[i] = base[i] + (values[i] - base[i]) * left;
    }
}
