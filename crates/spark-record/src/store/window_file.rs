//! A window as a safetensors file that says by itself what is in it.

use burn::tensor::{Bytes, Shape, TensorData};
use spark_io::TensorFile;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::recording::{WindowInfo, dtype};
use super::{RUN_FORMAT, StoreError};
use crate::{Rows, Stream, Window};

/// What the metadata of a file calls itself.
const FORMAT: &str = "spark-window";
/// What follows the name of a stream in that of its steps.
const STEPS: &str = "/steps";

/// A window and where it is kept.
pub struct WindowFile {
    pub window: Window,
    pub bytes: u64,
}

impl WindowFile {
    /// Reads a file and checks that it is a whole window.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let window = read(path, &|_| true)?;
        let bytes = std::fs::metadata(path).map_err(StoreError::io("read", path))?.len();
        Ok(Self { window, bytes })
    }

    /// What an index says of the file.
    pub fn info(&self, path: &Path) -> WindowInfo {
        info(&self.window, path, self.bytes)
    }

    /// What its streams are.
    pub fn streams(&self) -> Vec<Stream> {
        self.window.rows.iter().map(|rows| rows.stream.clone()).collect()
    }
}

/// The rows of one stream in a file that has them.
pub fn rows_of(path: &Path, stream: &str) -> Result<Option<Rows>, StoreError> {
    Ok(read(path, &|name| name == stream)?.rows.pop())
}

/// The window in a file with the streams that are wanted.
fn read(path: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Window, StoreError> {
    let stream = |tensor: &str| wanted(tensor) || tensor.strip_suffix(STEPS).is_some_and(wanted);
    let mut file = TensorFile::read_some(path, stream)
        .map_err(|error| StoreError::content(path, reason(&error.to_string(), path)))?;
    let window = parse(&mut file, wanted).map_err(|message| StoreError::content(path, message))?;
    check(&window).map_err(|message| StoreError::content(path, message))?;
    Ok(window)
}

/// What an error of a file says after its path, with which ours begin too.
fn reason(message: &str, path: &Path) -> String {
    let rest = message.strip_prefix(&path.display().to_string()).unwrap_or(message);
    rest.trim_start_matches([':', ' ']).to_owned()
}

fn info(window: &Window, path: &Path, bytes: u64) -> WindowInfo {
    WindowInfo {
        measurement: window.measurement.clone(),
        group: window.group,
        first: window.first,
        last: window.last,
        dt: window.dt,
        rows: window.rows.iter().map(|rows| rows.steps.len()).max().unwrap_or(0) as u64,
        file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        bytes,
    }
}

/// Writes a window that was checked; returns what an index says of it.
pub fn write(window: &Window, path: &Path) -> Result<WindowInfo, StoreError> {
    let mut file = TensorFile::default();
    let streams: Vec<&Stream> = window.rows.iter().map(|rows| &rows.stream).collect();
    let streams =
        serde_json::to_string(&streams).map_err(|error| StoreError::content(path, error.to_string()))?;
    let metadata = [
        ("format", FORMAT.to_owned()),
        ("version", RUN_FORMAT.to_string()),
        ("measurement", window.measurement.clone()),
        ("first", window.first.to_string()),
        ("last", window.last.to_string()),
        ("dt", window.dt.to_string()),
        ("streams", streams),
    ];
    file.metadata.extend(metadata.map(|(key, value)| (key.to_owned(), value)));
    if let Some(group) = window.group {
        file.metadata.insert("group".into(), group.to_string());
    }
    for rows in &window.rows {
        let steps: Vec<i64> = rows.steps.iter().map(|&step| step as i64).collect();
        let count = steps.len();
        file.tensors.insert(steps_of(&rows.stream.name), TensorData::new(steps, [count]));
        file.tensors.insert(rows.stream.name.clone(), rows.data.clone());
    }
    file.write(path).map_err(|error| match error {
        spark_io::TensorFileError::Write { path, source } => StoreError::Io { action: "write", path, source },
        other => StoreError::content(path, reason(&other.to_string(), path)),
    })?;
    let bytes = std::fs::metadata(path).map_err(StoreError::io("read", path))?.len();
    Ok(info(window, path, bytes))
}

/// The tensor of a stream's steps.
fn steps_of(stream: &str) -> String {
    format!("{stream}{STEPS}")
}

fn parse(file: &mut TensorFile, wanted: &dyn Fn(&str) -> bool) -> Result<Window, String> {
    let metadata = std::mem::take(&mut file.metadata);
    if metadata.get("format").map(String::as_str) != Some(FORMAT) {
        return Err("not a window of a run".into());
    }
    let version: u32 = number(&metadata, "version")?;
    if version > RUN_FORMAT {
        return Err(format!("a window of format {version}, this Spark knows formats up to {RUN_FORMAT}"));
    }
    let streams: Vec<Stream> = serde_json::from_str(text(&metadata, "streams")?)
        .map_err(|error| format!("metadata `streams`: {error}"))?;
    let mut rows = Vec::with_capacity(streams.len());
    for stream in streams.into_iter().filter(|stream| wanted(&stream.name)) {
        let mut take =
            |name: &str| file.tensors.remove(name).ok_or_else(|| format!("tensor `{name}` is missing"));
        let steps = take(&steps_of(&stream.name))?;
        let steps =
            steps.as_slice::<i64>().map_err(|_| format!("the steps of `{}` are not i64", stream.name))?;
        let steps = steps.iter().map(|&step| step as u64).collect();
        let data = take(&stream.name)?;
        rows.push(Rows { stream, steps, data });
    }
    Ok(Window {
        measurement: text(&metadata, "measurement")?.to_owned(),
        first: number(&metadata, "first")?,
        last: number(&metadata, "last")?,
        group: metadata.contains_key("group").then(|| number(&metadata, "group")).transpose()?,
        dt: number(&metadata, "dt")?,
        rows,
    })
}

fn text<'a>(metadata: &'a BTreeMap<String, String>, key: &str) -> Result<&'a str, String> {
    metadata.get(key).map(String::as_str).ok_or_else(|| format!("metadata `{key}` is missing"))
}

fn number<N: std::str::FromStr>(metadata: &BTreeMap<String, String>, key: &str) -> Result<N, String> {
    let text = text(metadata, key)?;
    text.parse().map_err(|_| format!("metadata `{key}`: found {text}, expected a number"))
}

/// What is wrong with a window, if anything.
pub fn check(window: &Window) -> Result<(), String> {
    if window.measurement.is_empty() {
        return Err("it has no name".into());
    }
    if window.first > window.last || window.last > i64::MAX as u64 {
        return Err(format!("it covers steps {} to {}", window.first, window.last));
    }
    let mut names = BTreeSet::new();
    for rows in &window.rows {
        let name = &rows.stream.name;
        if name.is_empty() || name == "__metadata__" {
            return Err(format!("a stream cannot be called `{name}`"));
        }
        if !names.insert(name.clone()) || !names.insert(steps_of(name)) {
            return Err(format!("two streams are called `{name}`"));
        }
        check_rows(window, rows).map_err(|message| format!("stream `{name}`: {message}"))?;
    }
    Ok(())
}

fn check_rows(window: &Window, rows: &Rows) -> Result<(), String> {
    let expected: Vec<usize> = std::iter::once(rows.steps.len()).chain(rows.stream.row_shape()).collect();
    let shape: Vec<usize> = rows.data.shape().to_vec();
    if shape != expected {
        return Err(format!("shape {shape:?}, expected {expected:?}"));
    }
    let wanted = dtype(rows.stream.kind);
    if rows.data.dtype() != wanted {
        return Err(format!("numbers of type {:?}, expected {wanted:?}", rows.data.dtype()));
    }
    if let Some(pair) = rows.steps.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(format!("step {} follows step {}", pair[1], pair[0]));
    }
    let outside = |step: &&u64| !(window.first..=window.last).contains(step);
    if let Some(step) = rows.steps.iter().find(outside) {
        return Err(format!("a row of step {step} in a window of steps {} to {}", window.first, window.last));
    }
    Ok(())
}

/// The part of a window up to a step; `None` when there is none.
pub fn until(window: &Window, step: u64) -> Option<Window> {
    if window.first > step {
        return None;
    }
    let keep = |rows: &Rows| {
        let count = rows.steps.partition_point(|&at| at <= step);
        let row = rows.stream.row_shape();
        let size = row.iter().product::<usize>() * dtype(rows.stream.kind).size();
        let bytes = Bytes::from_bytes_vec(rows.data.as_bytes()[..count * size].to_vec());
        let shape: Vec<usize> = std::iter::once(count).chain(row).collect();
        let data = TensorData::from_bytes(bytes, Shape::from(shape), dtype(rows.stream.kind));
        Rows { stream: rows.stream.clone(), steps: rows.steps[..count].to_vec(), data }
    };
    let rows = window.rows.iter().map(keep).collect();
    Some(Window { last: window.last.min(step), rows, ..window.clone() })
}
