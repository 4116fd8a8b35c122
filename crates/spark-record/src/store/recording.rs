//! Measurements of a run, and the rows of their streams.

use burn::tensor::{Bytes, DType, Shape, TensorData};
use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

use super::{RunPaths, StoreError, window_file};
use crate::{Recording, Rows, Stream, StreamKind};

/// What a run has of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasurementInfo {
    /// Its name.
    pub name: String,
    /// What was recorded, as it was last.
    pub streams: Vec<Stream>,
    /// When it was recorded, in the order of steps.
    pub windows: Vec<WindowInfo>,
    /// First step that a window covers.
    pub first: u64,
    /// Last step that a window covers.
    pub last: u64,
}

/// A window of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowInfo {
    /// The measurement.
    pub measurement: String,
    /// The value of the tag that groups windows, such as the episode.
    pub group: Option<i64>,
    /// First step that it covers.
    pub first: u64,
    /// Last step that it covers.
    pub last: u64,
    /// Duration of a step in ms.
    pub dt: f64,
    /// Rows of the stream that has most.
    pub rows: u64,
    /// Name of the file in the folder of windows.
    pub file: String,
    /// Size of the file.
    pub bytes: u64,
}

/// Gathers windows by measurement, in the order of steps.
pub fn measurements(windows: &[WindowInfo], streams: &[(String, Stream)]) -> Vec<MeasurementInfo> {
    let mut found: BTreeMap<&str, Vec<&WindowInfo>> = BTreeMap::new();
    for window in windows {
        found.entry(&window.measurement).or_default().push(window);
    }
    let gather = |(name, mut windows): (&str, Vec<&WindowInfo>)| {
        windows.sort_by_key(|window| (window.first, &window.file));
        let of_it = streams.iter().filter(|(measurement, _)| measurement == name);
        MeasurementInfo {
            name: name.to_owned(),
            streams: of_it.map(|(_, stream)| stream.clone()).collect(),
            first: windows.iter().map(|window| window.first).min().unwrap_or(0),
            last: windows.iter().map(|window| window.last).max().unwrap_or(0),
            windows: windows.into_iter().cloned().collect(),
        }
    };
    found.into_iter().map(gather).collect()
}

/// The rows of a stream at `steps`, from all windows of a measurement.
pub fn recording(
    paths: &RunPaths,
    measurement: &MeasurementInfo,
    stream: &Stream,
    steps: &impl RangeBounds<u64>,
) -> Result<Recording, StoreError> {
    let dtype = dtype(stream.kind);
    let width = stream.row_shape().iter().product::<usize>() * dtype.size();
    let (mut found, mut bytes): (Vec<u64>, Vec<u8>) = (Vec::new(), Vec::new());
    let mut dt = measurement.windows.last().map_or(0.0, |window| window.dt);
    for window in measurement.windows.iter().filter(|window| meets(window, steps)) {
        let path = paths.windows().join(&window.file);
        let Some(rows) = window_file::rows_of(&path, &stream.name)? else { continue };
        if rows.stream != *stream {
            let message = format!(
                "`{}` was recorded in another way at steps {} to {} than later: ask for a part of the steps",
                stream.name, window.first, window.last
            );
            return Err(StoreError::content(&path, message));
        }
        dt = window.dt;
        let data = rows.data.as_bytes();
        for (row, &step) in rows.steps.iter().enumerate() {
            // Windows that look back may share steps.
            if steps.contains(&step) && found.last().is_none_or(|&last| last < step) {
                found.push(step);
                bytes.extend_from_slice(&data[row * width..(row + 1) * width]);
            }
        }
    }
    let shape: Vec<usize> = std::iter::once(found.len()).chain(stream.row_shape()).collect();
    let data = TensorData::from_bytes(Bytes::from_bytes_vec(bytes), Shape::from(shape), dtype);
    let rows = Rows { stream: stream.clone(), steps: found, data };
    Ok(Recording { measurement: measurement.name.clone(), dt, rows })
}

/// The type of the numbers of a kind of stream.
pub fn dtype(kind: StreamKind) -> DType {
    if kind == StreamKind::Raster { DType::U8 } else { DType::F32 }
}

fn meets(window: &WindowInfo, steps: &impl RangeBounds<u64>) -> bool {
    let begins = match steps.start_bound() {
        Bound::Included(&start) => window.last >= start,
        Bound::Excluded(&start) => window.last > start,
        Bound::Unbounded => true,
    };
    let ends = match steps.end_bound() {
        Bound::Included(&end) => window.first <= end,
        Bound::Excluded(&end) => window.first < end,
        Bound::Unbounded => true,
    };
    begins && ends
}
