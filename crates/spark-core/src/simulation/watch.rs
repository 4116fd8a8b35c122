//! Outputs counted and kept.

use burn::tensor::{Tensor, TensorData};
use serde::Serialize;
use std::mem;

use crate::payload::{Currents, Floats, Integers, Payload, PayloadKind, Potentials};

/// How many steps are kept one by one before they are put together.
const CHUNK: usize = 256;

/// How active an output was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Activity {
    /// The output, or `module.port` of a module inside.
    pub name: String,
    /// Whether it is an output of the model itself.
    pub output: bool,
    /// What it carries.
    pub kind: PayloadKind,
    /// Number of units.
    pub units: usize,
    /// Spikes in all; absent where it does not spike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spikes: Option<u64>,
    /// Spikes per unit and second; absent where it does not spike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The mean over units and steps; absent where it spikes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
}

/// An output that is watched.
pub(super) struct Watched {
    /// The output of the controller that is read.
    pub port: String,
    /// As people know it.
    pub name: String,
    /// Whether it is an output of the model itself.
    pub output: bool,
    /// What it carries, once it has.
    kind: Option<PayloadKind>,
    /// The sum over all steps that are not in `total`, `[1, units]`.
    sum: Option<Tensor<2>>,
    /// Sums of earlier steps: an f32 counts to 2²⁴ only.
    total: Vec<f64>,
    kept: Option<Kept>,
    steps: usize,
}

/// Rows of all steps.
#[derive(Default)]
struct Kept {
    recent: Vec<Tensor<2>>,
    rows: Vec<f32>,
}

impl Watched {
    pub fn new(port: String, output: bool, keep: bool) -> Self {
        let (name, kept) = (port.replace('>', "."), keep.then(Kept::default));
        Self { port, name, output, kind: None, sum: None, total: Vec::new(), kept, steps: 0 }
    }

    /// Counts what came out in a step; what has no row of units is left out.
    pub fn see(&mut self, payload: &Payload) {
        let Some(row) = row(payload) else { return };
        self.kind = Some(payload.kind());
        self.steps += 1;
        if let Some(kept) = &mut self.kept {
            kept.recent.push(row.clone());
        }
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + row,
            None => row,
        });
        if self.steps.is_multiple_of(CHUNK) {
            self.settle();
        }
    }

    /// Brings what was counted and kept to the host.
    pub fn settle(&mut self) {
        if let Some(sum) = self.sum.take() {
            let sum: Vec<f64> = sum.into_data().iter().collect();
            self.total.resize(sum.len(), 0.0);
            self.total.iter_mut().zip(sum).for_each(|(total, more)| *total += more);
        }
        if let Some(kept) = &mut self.kept
            && !kept.recent.is_empty()
        {
            let rows = Tensor::cat(mem::take(&mut kept.recent), 0).into_data();
            kept.rows.extend(rows.iter::<f32>());
        }
    }

    /// How active it was; `None` where nothing came out that could be counted.
    ///
    /// * `dt`: duration of a step in ms.
    pub fn activity(&self, dt: f64) -> Option<Activity> {
        let kind = self.kind?;
        let (units, sum) = (self.total.len(), self.total.iter().sum::<f64>());
        let spiking = kind == PayloadKind::Spikes;
        let seconds = self.steps as f64 * dt / 1000.0;
        let count = (units * self.steps).max(1) as f64;
        Some(Activity {
            name: self.name.clone(),
            output: self.output,
            kind,
            units,
            spikes: spiking.then_some(sum as u64),
            rate: spiking.then(|| sum / (seconds * units.max(1) as f64)),
            mean: (!spiking).then_some(sum / count),
        })
    }

    /// The rows of all steps, `[time, units]`.
    pub fn rows(&self) -> Option<TensorData> {
        let kept = self.kept.as_ref().filter(|_| self.kind.is_some())?;
        Some(TensorData::new(kept.rows.clone(), [self.steps, kept.rows.len() / self.steps]))
    }
}

/// The row of a payload of one sample, `[1, units]`.
fn row(payload: &Payload) -> Option<Tensor<2>> {
    match payload {
        Payload::Spikes(spikes) => spikes.units(),
        Payload::Currents(Currents(x)) | Payload::Potentials(Potentials(x)) | Payload::Floats(Floats(x)) => {
            Some(x.clone())
        }
        Payload::Integers(Integers(x)) => Some(x.clone().float()),
        Payload::Mask(_) | Payload::IntegerMask(_) | Payload::Kernel(_) | Payload::DelayKernel(_) => None,
    }
}
