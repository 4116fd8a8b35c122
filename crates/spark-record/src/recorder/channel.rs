//! One stream while it is recorded.

use burn::tensor::{Int, Tensor, TensorData};
use spark_core::component::Instance;
use spark_core::look::{Look, Place};
use spark_core::payload::PayloadKind;
use std::mem;

use super::probe::Found;
use super::seen::Seen;
use super::summary::Summary;
use crate::window::{Rows, Stream, StreamKind};

/// A stream with the rows that are not in a window yet.
#[derive(Debug)]
pub(super) struct Channel {
    stream: Stream,
    place: Place,
    is_kernel: bool,
    /// Whether the memory of the device is the host's.
    here: bool,
    steps: Vec<u64>,
    bytes: Vec<u8>,
    values: Vec<f32>,
    /// Rows that are on a device still, one for each of the last steps.
    far: Vec<Tensor<1>>,
    summary: Option<Summary>,
    /// What the next change is a change from.
    before: Option<Vec<f32>>,
}

impl Channel {
    pub fn new(found: Found, dt: f64, here: bool) -> Self {
        let Found { stream, place, payload } = found;
        let summary = (stream.kind == StreamKind::Summary)
            .then(|| Summary::new(&stream.groups, stream.source_units(), &stream.statistics, dt));
        Self {
            stream,
            place,
            is_kernel: payload == Some(PayloadKind::Kernel) || payload == Some(PayloadKind::DelayKernel),
            here,
            steps: Vec::new(),
            bytes: Vec::new(),
            values: Vec::new(),
            far: Vec::new(),
            summary,
            before: None,
        }
    }

    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Bytes of the rows that are not in a window yet.
    pub fn bytes(&self) -> usize {
        let far = self.far.len() * self.stream.kept_units();
        self.bytes.len() + size_of::<f32>() * (self.values.len() + far)
    }

    /// Before the first step: what snapshots and changes begin with.
    pub fn begin(&mut self, step: u64, instance: &dyn Instance, is_recorded: bool) {
        match self.stream.kind {
            StreamKind::Snapshot if is_recorded => self.keep(step, instance),
            StreamKind::Delta => {
                instance.look(&self.place, &mut |look| {
                    self.before = Seen::of(look, self.here).map(|seen| seen.values().into_owned());
                });
            }
            _ => {}
        }
    }

    /// After the last step: what snapshots and changes end with.
    pub fn end(&mut self, step: u64, instance: &dyn Instance) {
        let whole = matches!(self.stream.kind, StreamKind::Snapshot | StreamKind::Delta);
        if whole && self.steps.last().is_none_or(|last| *last < step) {
            self.keep(step, instance);
        }
    }

    /// After a step.
    pub fn see(&mut self, step: u64, instance: &dyn Instance) {
        let due = step.is_multiple_of(self.stream.stride);
        // To look at a kernel it may have to be brought up to date first.
        if due || (self.summary.is_some() && !self.is_kernel) {
            self.keep_or_sum(step, instance, due);
        }
    }

    /// A row, or a part of a summary.
    fn keep_or_sum(&mut self, step: u64, instance: &dyn Instance, due: bool) {
        if let Some(summary) = &mut self.summary {
            let here = self.here;
            let see = &mut |look: Look<'_>| {
                if let Some(seen) = Seen::of(look, here) {
                    summary.see(seen);
                }
            };
            instance.look(&self.place, see);
            if due {
                self.close_summary(step);
            }
        } else {
            self.keep(step, instance);
        }
    }

    fn close_summary(&mut self, step: u64) {
        if let Some(summary) = self.summary.as_mut().filter(|summary| !summary.is_empty()) {
            summary.take(&mut self.values);
            self.steps.push(step);
        }
    }

    fn keep(&mut self, step: u64, instance: &dyn Instance) {
        let Self { stream, place, here, steps, bytes, values, far, before, .. } = self;
        let see = &mut |look: Look<'_>| {
            let Some(seen) = Seen::of(look, *here) else { return };
            steps.push(step);
            match (stream.kind, seen) {
                (StreamKind::Raster | StreamKind::Trace, Seen::Device(row)) => far.push(chosen(row, stream)),
                (StreamKind::Raster, seen) => pack(&seen, stream, bytes),
                (StreamKind::Trace, seen) => match (&stream.units, seen.values()) {
                    (None, all) => values.extend_from_slice(&all),
                    (Some(units), all) => values.extend(units.iter().map(|unit| all[*unit])),
                },
                (StreamKind::Delta, seen) => {
                    let now = seen.values().into_owned();
                    match before {
                        Some(before) => {
                            values.extend(now.iter().zip(before).map(|(now, before)| now - *before));
                        }
                        None => values.extend(now.iter().map(|_| 0.0)),
                    }
                    *before = Some(now);
                }
                (StreamKind::Snapshot | StreamKind::Summary, seen) => {
                    values.extend_from_slice(&seen.values());
                }
            }
        };
        instance.look(place, see);
    }

    /// Brings what is on a device to the host; one trip for all rows.
    fn settle(&mut self) {
        if self.far.is_empty() {
            return;
        }
        let rows = Tensor::cat(mem::take(&mut self.far), 0).into_data();
        let rows: Vec<f32> = rows.iter().collect();
        match self.stream.kind {
            StreamKind::Raster => {
                let whole =
                    Stream { units: None, shape: vec![self.stream.kept_units()], ..self.stream.clone() };
                for row in rows.chunks_exact(self.stream.kept_units()) {
                    pack(&Seen::Values(row.into()), &whole, &mut self.bytes);
                }
            }
            _ => self.values.extend(rows),
        }
    }

    /// Forgets rows of steps before `first`.
    pub fn forget(&mut self, first: u64) {
        self.settle();
        let old = self.steps.partition_point(|step| *step < first);
        // A copy of what is kept costs less than it saves only where much goes.
        if old > 0 && 2 * old >= self.steps.len() {
            let width = self.stream.row_shape().iter().product::<usize>();
            self.steps.drain(..old);
            match self.stream.kind {
                StreamKind::Raster => drop(self.bytes.drain(..old * width)),
                _ => drop(self.values.drain(..old * width)),
            }
        }
    }

    /// All rows from the step `first` on, as a window holds them; nothing is left.
    ///
    /// * `last`: the last step of the window, at which a summary ends.
    pub fn take(&mut self, first: u64, last: u64) -> Option<Rows> {
        self.settle();
        self.close_summary(last);
        let shape = self.stream.row_shape();
        let width = shape.iter().product::<usize>();
        let old = self.steps.partition_point(|step| *step < first);
        let steps = mem::take(&mut self.steps).split_off(old);
        let (bytes, values) = (mem::take(&mut self.bytes), mem::take(&mut self.values));
        if steps.is_empty() {
            return None;
        }
        let shape = [&[steps.len()], &shape[..]].concat();
        let data = match self.stream.kind {
            StreamKind::Raster => TensorData::new(from(bytes, old * width), shape),
            _ => TensorData::new(from(values, old * width), shape),
        };
        // The next window is about as large.
        self.steps.reserve(steps.len());
        match self.stream.kind {
            StreamKind::Raster => self.bytes.reserve(steps.len() * width),
            _ => self.values.reserve(steps.len() * width),
        }
        Some(Rows { stream: self.stream.clone(), steps, data })
    }
}

fn from<T>(mut values: Vec<T>, start: usize) -> Vec<T> {
    if start == 0 { values } else { values.split_off(start) }
}

/// The units of a row that a stream keeps, on the device.
fn chosen(row: Tensor<1>, stream: &Stream) -> Tensor<1> {
    match &stream.units {
        None => row,
        Some(units) => {
            let units: Vec<i64> = units.iter().map(|unit| *unit as i64).collect();
            let count = units.len();
            let units = Tensor::<1, Int>::from_data(TensorData::new(units, [count]), &row.device());
            row.select(0, units)
        }
    }
}

/// Puts the spikes of a step behind the bits of those before.
fn pack(seen: &Seen<'_>, stream: &Stream, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    let width = stream.kept_units().div_ceil(8);
    match (seen, &stream.units) {
        (Seen::Spikes(spikes), None) => {
            bytes.resize(start + width, 0);
            let row = &mut bytes[start..];
            for unit in spikes.active() {
                row[(*unit >> 3) as usize] |= 1 << (*unit & 7);
            }
        }
        (Seen::Spikes(spikes), Some(units)) => {
            bytes.resize(start + width, 0);
            let active = spikes.active();
            for (at, unit) in units.iter().enumerate() {
                if active.binary_search(&(*unit as u32)).is_ok() {
                    bytes[start + at / 8] |= 1 << (at % 8);
                }
            }
        }
        (Seen::Values(values), None) => bytes.extend(values.chunks(8).map(byte)),
        (Seen::Values(values), Some(units)) => {
            let values: Vec<f32> = units.iter().map(|unit| values[*unit]).collect();
            bytes.extend(values.chunks(8).map(byte));
        }
        (Seen::Device(_), _) => unreachable!("rows on a device are packed when they come to the host"),
    }
}

/// Up to eight spikes as bits.
pub(super) fn byte(spikes: &[f32]) -> u8 {
    spikes.iter().enumerate().fold(0, |byte, (bit, spike)| byte | u8::from(*spike != 0.0) << bit)
}
