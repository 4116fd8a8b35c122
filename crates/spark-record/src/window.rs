//! What is recorded: streams of rows, in windows of a run.

use burn::tensor::TensorData;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is kept of a port, a state or a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// Values of chosen units: `[rows, units]`, f32.
    Trace,
    /// Spikes of chosen units as bits: `[rows, ⌈units / 8⌉]`, u8; unit 8·i + j is bit j of byte i.
    Raster,
    /// Statistics by group of units: `[rows, groups, statistics]`, f32.
    Summary,
    /// All entries: `[rows, …shape]`, f32.
    Snapshot,
    /// The change of all entries since the row before (the first row: since recording began): `[rows, …shape]`,
    /// f32.
    Delta,
}

impl fmt::Display for StreamKind {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.pad(match self {
            Self::Trace => "trace",
            Self::Raster => "raster",
            Self::Summary => "summary",
            Self::Snapshot => "snapshot",
            Self::Delta => "delta",
        })
    }
}

/// A number that stands for several units, over the steps since the row before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// The mean over units and steps.
    Mean,
    /// The standard deviation over units and steps (of the population: the divisor is the number of values).
    Std,
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// The fraction of units that are not zero at least once.
    Active,
    /// Spikes per unit and second, in Hz.
    Rate,
}

/// One thing that is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Its name, of which there is one in a measurement: the address, with `#summary` and the like where more than
    /// one thing is kept of it.
    pub name: String,
    /// Where it comes from, such as `pool.soma.potential` or `pool.out_spikes`.
    pub address: String,
    /// What is kept.
    pub kind: StreamKind,
    /// Unit of the values, such as `mV`; absent where they have none or it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Shape of the source, without the axes of time and samples.
    pub shape: Vec<usize>,
    /// Which units of the flattened source are kept; absent where all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<Vec<usize>>,
    /// First units of the groups of a summary, which divide the flattened source; empty for other kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<usize>,
    /// The statistics of a summary, in the order of the last axis; empty for other kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statistics: Vec<Statistic>,
    /// Steps from one row to the next.
    pub stride: u64,
}

impl Stream {
    /// Number of units in the source.
    pub fn source_units(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of units that are kept.
    pub fn kept_units(&self) -> usize {
        self.units.as_ref().map_or_else(|| self.source_units(), Vec::len)
    }

    /// The shape of a row.
    pub fn row_shape(&self) -> Vec<usize> {
        match self.kind {
            StreamKind::Trace => vec![self.kept_units()],
            StreamKind::Raster => vec![self.kept_units().div_ceil(8)],
            StreamKind::Summary => vec![self.groups.len(), self.statistics.len()],
            StreamKind::Snapshot | StreamKind::Delta => self.shape.clone(),
        }
    }
}

/// Rows of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// What they are rows of.
    pub stream: Stream,
    /// The step after which each row was taken, from 1: a row of step 1 is what the first step led to.
    pub steps: Vec<u64>,
    /// The rows, in the layout of the stream's kind.
    pub data: TensorData,
}

/// A stretch of a measurement, as it is handed to a store; it is kept whole or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The measurement.
    pub measurement: String,
    /// First step that it covers.
    pub first: u64,
    /// Last step that it covers.
    pub last: u64,
    /// The value of the tag that groups windows, such as the episode.
    pub group: Option<i64>,
    /// Duration of a step in ms.
    pub dt: f64,
    /// What was recorded.
    pub rows: Vec<Rows>,
}

/// All rows of a stream in a range of steps, from however many windows, as a reader gets them.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The measurement.
    pub measurement: String,
    /// Duration of a step in ms.
    pub dt: f64,
    /// The rows.
    pub rows: Rows,
}

impl Recording {
    /// What it is a recording of.
    pub fn stream(&self) -> &Stream {
        &self.rows.stream
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.steps.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.steps.is_empty()
    }

    /// The time of each row in ms.
    pub fn times(&self) -> Vec<f64> {
        self.rows.steps.iter().map(|step| *step as f64 * self.dt).collect()
    }

    /// The unit of the source that is in a column of a trace or raster.
    pub fn unit(&self, column: usize) -> usize {
        self.stream().units.as_ref().map_or(column, |units| units[column])
    }

    /// The spikes of a raster: time in ms and column, in the order of time.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::TensorData;
    /// use spark_record::{Recording, Rows, Stream, StreamKind};
    ///
    /// let stream = Stream {
    ///     name: "pool.out_spikes".into(),
    ///     address: "pool.out_spikes".into(),
    ///     kind: StreamKind::Raster,
    ///     unit: None,
    ///     shape: vec![10],
    ///     units: None,
    ///     groups: Vec::new(),
    ///     statistics: Vec::new(),
    ///     stride: 1,
    /// };
    /// let data = TensorData::new(vec![0b101_u8, 0, 0, 0b10], [2, 2]);
    /// let rows = Rows { stream, steps: vec![1, 2], data };
    /// let recording = Recording { measurement: "activity".into(), dt: 0.5, rows };
    /// assert_eq!(recording.spikes(), [(0.5, 0), (0.5, 2), (1.0, 9)]);
    /// ```
    pub fn spikes(&self) -> Vec<(f64, usize)> {
        let Ok(bytes) = self.rows.data.as_slice::<u8>() else { return Vec::new() };
        let width = self.stream().kept_units().div_ceil(8).max(1);
        let rows = self.times().into_iter().zip(bytes.chunks_exact(width));
        let mut spikes = Vec::new();
        for (time, row) in rows {
            for (place, byte) in row.iter().enumerate().filter(|(_, byte)| **byte != 0) {
                let bits = (0..8).filter(|bit| byte >> bit & 1 == 1);
                spikes.extend(bits.map(|bit| (time, 8 * place + bit)));
            }
        }
        spikes
    }

    /// The values of all rows in a column of the flattened row; empty for a raster.
    pub fn column(&self, column: usize) -> Vec<f32> {
        let Ok(values) = self.rows.data.as_slice::<f32>() else { return Vec::new() };
        let width = self.stream().row_shape().iter().product::<usize>().max(1);
        values.chunks_exact(width).filter_map(|row| row.get(column).copied()).collect()
    }

    /// The values of a row; empty for a raster.
    pub fn row(&self, row: usize) -> &[f32] {
        let Ok(values) = self.rows.data.as_slice::<f32>() else { return &[] };
        let width = self.stream().row_shape().iter().product::<usize>();
        values.get(row * width..(row + 1) * width).unwrap_or_default()
    }
}
