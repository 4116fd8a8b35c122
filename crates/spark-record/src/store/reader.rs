//! Reading a run.

use rusqlite::params;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::ops::RangeBounds;
use std::path::Path;

use super::index::{Index, RunEvent, Scalar, Tag, Warning};
use super::recording::{self, MeasurementInfo, WindowInfo};
use super::window_file::WindowFile;
use super::{RunPaths, RunRecord, Status, StoreError, lock, requests};
use crate::{Recording, Stream};

/// Reads a run, finished or under way.
///
/// Scalars, events, tags and warnings are read when they are asked for; the record and the windows are those that were
/// there on opening or at the last [`refresh`](Self::refresh).
///
/// # Examples
/// ```
/// use burn::tensor::TensorData;
/// use spark_record::{Rows, RunAbout, RunReader, RunWriter, Status, Stream, StreamKind, Window};
///
/// let root = tempfile::tempdir()?;
/// let run = RunWriter::create(root.path(), RunAbout::new("run"), false)?;
/// let stream = Stream {
///     name: "pool.soma.potential".into(),
///     address: "pool.soma.potential".into(),
///     kind: StreamKind::Trace,
///     unit: Some("mV".into()),
///     shape: vec![100],
///     units: Some(vec![3, 7]),
///     groups: Vec::new(),
///     statistics: Vec::new(),
///     stride: 1,
/// };
/// let data = TensorData::from([[-65.0f32, -64.0], [-63.0, -62.0]]);
/// let rows = vec![Rows { stream, steps: vec![1, 2], data }];
/// run.window(Window { measurement: "activity".into(), first: 1, last: 2, group: None, dt: 0.1, rows })?;
/// run.finish(Status::Finished)?;
///
/// let run = RunReader::open(root.path())?;
/// let potential = run.recording("activity", "pool.soma.potential", ..)?;
/// assert_eq!(potential.column(1), [-64.0, -62.0]);
/// assert_eq!(run.recording("activity", "pool.soma.potential", 2..)?.row(0), [-63.0, -62.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RunReader {
    paths: RunPaths,
    record: RunRecord,
    index: Option<Index>,
    windows: Windows,
    problems: Vec<String>,
}

impl RunReader {
    /// Opens the run in `folder`.
    ///
    /// An index that cannot be read, windows that are missing or damaged are no errors: what is left can be read, and
    /// [`problems`](Self::problems) says what is not.
    ///
    /// # Errors
    /// When there is no run, its record cannot be read, or a newer Spark wrote it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let paths = RunPaths::new(folder);
        let record = RunRecord::read(&paths)?;
        let mut run = Self { paths, record, index: None, windows: Windows::default(), problems: Vec::new() };
        run.refresh()?;
        Ok(run)
    }

    /// Reads what changed since the run was opened.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn refresh(&mut self) -> Result<(), StoreError> {
        let created = self.record.created;
        self.record = RunRecord::read(&self.paths)?;
        self.problems.clear();
        if self.record.created != created {
            // Another run in its place has an index of its own.
            self.index = None;
        }
        if self.index.is_none() {
            self.index = match Index::open(&self.paths.index()) {
                Ok(index) => Some(index),
                Err(error @ StoreError::Newer { .. }) => return Err(error),
                Err(error) => {
                    let lost = "there are no scalars, events, tags and warnings";
                    self.problems.push(format!("the index cannot be read, {lost}: {error}"));
                    None
                }
            };
        }
        self.windows = match windows_of(&self.paths, self.index.as_ref()) {
            // The index is damaged where windows are listed; their files say the same.
            Err(error @ StoreError::Index { .. }) => {
                self.problems.push(format!("the windows are those of the files: {error}"));
                windows_of(&self.paths, None)?
            }
            found => found?,
        };
        self.problems.append(&mut self.windows.problems);
        Ok(())
    }

    /// Where the parts of the run are.
    pub fn paths(&self) -> &RunPaths {
        &self.paths
    }

    /// What the run is.
    pub fn about(&self) -> &RunRecord {
        &self.record
    }

    /// Where the run stands now: a run that says that it is running while no process writes it is abandoned.
    pub fn status(&self) -> Status {
        let first = RunRecord::read(&self.paths).unwrap_or_else(|_| self.record.clone());
        if first.status != Status::Running || self.is_written(&first) {
            return first.status;
        }
        // It may have ended, or gone on, between the two looks.
        match RunRecord::read(&self.paths) {
            Ok(second) if second.status == Status::Running && second.starts == first.starts => {
                Status::Abandoned
            }
            Ok(second) => second.status,
            Err(_) => Status::Abandoned,
        }
    }

    fn is_written(&self, record: &RunRecord) -> bool {
        match lock::is_taken(&self.paths) {
            Some(true) => true,
            // The lock of another computer is not always seen here.
            Some(false) => !record.is_here() && lock::beats(&self.paths),
            None => lock::beats(&self.paths),
        }
    }

    /// When the writer was last alive, in seconds since 1970.
    pub fn heartbeat(&self) -> Option<f64> {
        lock::last_beat(&self.paths)
    }

    /// What is missing or damaged.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The names of all scalars, sorted.
    ///
    /// # Errors
    /// When the index is damaged.
    pub fn scalar_names(&self) -> Result<Vec<String>, StoreError> {
        // From name to name along the index instead of through all rows.
        let query = "WITH RECURSIVE names(name) AS (
                SELECT min(name) FROM scalars
                UNION ALL
                SELECT (SELECT min(name) FROM scalars WHERE name > names.name) FROM names WHERE name IS NOT NULL
            ) SELECT name FROM names WHERE name IS NOT NULL";
        self.rows(query, [], |row| row.get(0))
    }

    /// The values of a scalar, in the order of steps; none of one that was not recorded.
    ///
    /// # Errors
    /// When the index is damaged.
    pub fn scalars(&self, name: &str) -> Result<Vec<Scalar>, StoreError> {
        self.scalars_from(name, 0)
    }

    /// The values of a scalar from a step on.
    ///
    /// # Errors
    /// When the index is damaged.
    pub fn scalars_from(&self, name: &str, step: u64) -> Result<Vec<Scalar>, StoreError> {
        let query = "SELECT step, wall, value FROM scalars WHERE name = ? AND step >= ? ORDER BY step, rowid";
        self.rows(query, params![name, i64::try_from(step).unwrap_or(i64::MAX)], scalar)
    }

    /// The last value of a scalar.
    ///
    /// # Errors
    /// When the index is damaged.
    pub fn last_scalar(&self, name: &str) -> Result<Option<Scalar>, StoreError> {
        let query =
            "SELECT step, wall, value FROM scalars WHERE name = ? ORDER BY step DESC, rowid DESC LIMIT 1";
        Ok(self.rows(query, [name], scalar)?.pop())
    }

    /// What happened, in the order in which it did.
    ///
    /// # Errors
    /// When the index is damaged.
    pub fn events(&self) -> Result<Vec<RunEvent>, StoreError> {
        self.rows("SELECT step, wall, kind, detail FROM events ORDER BY rowid", [], |row| {
            let detail: String = row.get(3)?;
            let detail = serde_json::from_str(&detail).unwrap_or(Value::String(detail));
            Ok(RunEvent { step: unsigned(row.get(0)?), wall: row.get(1)?, kind: row.get(2)?, detail })
        })
    }

    /// The names of all tags, sorted.
    ///
    /// # Errors
    /// When the index is damaged.
    pub fn tag_names(&self) -> Result<Vec<String>, StoreError> {
        self.rows("SELECT DISTINCT name FROM tags ORDER BY name", [], |row| row.get(0))
    }

    /// The values of a tag, in the order of steps.
    ///
    /// # Errors
    /// When the index is damaged.
    pub fn tags(&self, name: &str) -> Result<Vec<Tag>, StoreError> {
        self.rows("SELECT step, value FROM tags WHERE name = ? ORDER BY step, rowid", [name], |row| {
            Ok(Tag { step: unsigned(row.get(0)?), value: row.get(1)? })
        })
    }

    /// What should not have been, in the order in which it was noticed.
    ///
    /// # Errors
    /// When the index is damaged.
    pub fn warnings(&self) -> Result<Vec<Warning>, StoreError> {
        self.rows("SELECT step, wall, message FROM warnings ORDER BY rowid", [], |row| {
            Ok(Warning { step: unsigned(row.get(0)?), wall: row.get(1)?, message: row.get(2)? })
        })
    }

    /// The last step of which something was recorded.
    ///
    /// # Errors
    /// When the index is damaged.
    pub fn last_step(&self) -> Result<Option<u64>, StoreError> {
        let query = "SELECT max(step) FROM (SELECT max(step) AS step FROM scalars UNION ALL SELECT max(step) FROM events \
                     UNION ALL SELECT max(step) FROM tags UNION ALL SELECT max(step) FROM warnings)";
        let noted: Option<i64> = self.rows(query, [], |row| row.get(0))?.pop().flatten();
        let recorded = self.windows.windows.iter().map(|window| window.last).max();
        Ok(noted.map(unsigned).max(recorded))
    }

    /// The measurements, by name.
    pub fn measurements(&self) -> Vec<MeasurementInfo> {
        recording::measurements(&self.windows.windows, &self.windows.streams)
    }

    /// The rows of a stream at `steps`, from all windows of a measurement.
    ///
    /// # Errors
    /// When there is no such measurement or stream, the stream was recorded in different ways at these steps, or a
    /// window cannot be read any more.
    pub fn recording(
        &self,
        measurement: &str,
        stream: &str,
        steps: impl RangeBounds<u64>,
    ) -> Result<Recording, StoreError> {
        let all = self.measurements();
        let unknown =
            |what, name: &str, known: Vec<String>| StoreError::Unknown { what, name: name.to_owned(), known };
        let found = all.iter().find(|one| one.name == measurement).ok_or_else(|| {
            unknown("measurement", measurement, all.iter().map(|one| one.name.clone()).collect())
        })?;
        let of_it = found.streams.iter().find(|one| one.name == stream).ok_or_else(|| {
            unknown("stream", stream, found.streams.iter().map(|one| one.name.clone()).collect())
        })?;
        recording::recording(&self.paths, found, of_it, &steps)
    }

    /// Asks the process that writes the run for something, such as to record.
    ///
    /// # Errors
    /// When no process writes it, or the folder is not writable.
    pub fn request(&self, request: &Value) -> Result<(), StoreError> {
        match self.status() {
            Status::Running => requests::send(&self.paths, request),
            status => Err(StoreError::NotRunning { path: self.paths.folder().to_owned(), status }),
        }
    }

    fn rows<R>(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row) -> rusqlite::Result<R>,
    ) -> Result<Vec<R>, StoreError> {
        self.index.as_ref().map_or(Ok(Vec::new()), |index| index.rows(query, parameters, read))
    }
}

/// SQLite has no number that is not a number, and keeps nothing in its place.
fn scalar(row: &rusqlite::Row) -> rusqlite::Result<Scalar> {
    let value: Option<f64> = row.get(2)?;
    Ok(Scalar { step: unsigned(row.get(0)?), wall: row.get(1)?, value: value.unwrap_or(f64::NAN) })
}

fn unsigned(step: i64) -> u64 {
    step.max(0) as u64
}

/// The windows of a run, as its index and its files say together.
#[derive(Default)]
pub struct Windows {
    /// All that are whole.
    pub windows: Vec<WindowInfo>,
    /// Those of them that the index does not have, or not as they are.
    pub adopted: Vec<WindowInfo>,
    /// The names of all files.
    pub files: BTreeSet<String>,
    /// What each measurement is made of.
    pub streams: Vec<(String, Stream)>,
    /// Windows that are missing or damaged.
    pub problems: Vec<String>,
}

/// The windows of a run. A whole file is a window of the run even if a crash came before its row; where row and file
/// differ, the file is right.
pub fn windows_of(paths: &RunPaths, index: Option<&Index>) -> Result<Windows, StoreError> {
    let rows = index.map_or(Ok(Vec::new()), Index::windows)?;
    let mut found = Windows {
        streams: index.map_or(Ok(Vec::new()), Index::streams)?,
        files: files(&paths.windows())?,
        ..Windows::default()
    };
    let mut rows: BTreeMap<String, WindowInfo> =
        rows.into_iter().map(|row| (row.file.clone(), row)).collect();
    for file in found.files.clone() {
        let path = paths.windows().join(&file);
        let row = rows.remove(&file);
        let size = fs::metadata(&path).map(|data| data.len());
        match row {
            Some(row) if size.as_ref().is_ok_and(|&size| size == row.bytes) => found.windows.push(row),
            _ => found.adopt(&path),
        }
    }
    for row in rows.into_values() {
        let (file, measurement) = (paths.windows().join(&row.file), &row.measurement);
        let (first, last) = (row.first, row.last);
        let message = format!("{} is missing: steps {first} to {last} of `{measurement}`", file.display());
        found.problems.push(message);
    }
    Ok(found)
}

impl Windows {
    /// Takes in a file that the index does not have as it is.
    fn adopt(&mut self, path: &Path) {
        match WindowFile::read(path) {
            Ok(file) => {
                let info = file.info(path);
                for stream in file.streams() {
                    let known = |(measurement, old): &(String, Stream)| {
                        *measurement == info.measurement && old.name == stream.name
                    };
                    if !self.streams.iter().any(known) {
                        self.streams.push((info.measurement.clone(), stream));
                    }
                }
                self.adopted.push(info.clone());
                self.windows.push(info);
            }
            // The writer may have taken it away since.
            Err(_) if !path.exists() => {}
            Err(error) => self.problems.push(format!("a window is left out: {error}")),
        }
    }
}

/// The names of the files of windows.
fn files(folder: &Path) -> Result<BTreeSet<String>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(StoreError::io("list", folder)(error)),
    };
    let name = |entry: fs::DirEntry| Some(entry.file_name().to_string_lossy().into_owned());
    let names = entries.filter_map(|entry| name(entry.ok()?));
    Ok(names.filter(|name| name.ends_with(".safetensors")).collect())
}
