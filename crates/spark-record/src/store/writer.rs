//! Writing a run.

use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use super::lock::{self, Lock};
use super::thread::{Message, Shared, Work};
use super::{RunAbout, RunPaths, RunRecord, Status, StoreError, resume, window_file};
use crate::Window;

/// Bytes that wait to be written, at most.
const LIMIT: usize = 64 << 20;

/// Writes a run, in a thread of its own.
///
/// What is recorded waits in a queue of at most 64 MiB; whoever records when it is full waits. What cannot be written
/// – the disk is full, the folder is gone – ends the recording and nothing else: the next call and
/// [`finish`](Self::finish) return [`StoreError::Stopped`], the calls between them do nothing, and the run keeps what
/// it has. A writer that is dropped without `finish` leaves a run that failed.
///
/// # Examples
/// ```
/// use spark_record::{RunAbout, RunReader, RunWriter, Status};
///
/// let root = tempfile::tempdir()?;
/// let folder = root.path().join("first");
/// let run = RunWriter::create(&folder, RunAbout::new("run"), false)?;
/// for step in 1..=100 {
///     run.scalar("loss", step, 1.0 / step as f64)?;
/// }
/// run.finish(Status::Finished)?;
///
/// let run = RunReader::open(&folder)?;
/// assert_eq!(run.scalars("loss")?.len(), 100);
/// assert_eq!(run.status(), Status::Finished);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RunWriter {
    paths: RunPaths,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    record: Mutex<RunRecord>,
    begun: Instant,
    /// Released when everything else is over.
    _lock: Lock,
}

impl RunWriter {
    /// Begins a run in `folder`, which is made if it is not there. Files that do not belong to a run stay.
    ///
    /// # Errors
    /// When the folder holds a run and not `overwrite`, another writer has it, or it is not writable.
    pub fn create(folder: &Path, about: RunAbout, overwrite: bool) -> Result<Self, StoreError> {
        let paths = RunPaths::new(folder);
        if paths.is_run() && !overwrite {
            return Err(StoreError::Exists { path: folder.to_owned() });
        }
        std::fs::create_dir_all(folder).map_err(StoreError::io("make", folder))?;
        let lock = Lock::take(&paths)?;
        resume::clear(&paths)?;
        let index = super::index::Index::create(&paths.index())?;
        let record = RunRecord::begin(about);
        Self::start(paths, lock, record, resume::Resumed { index, numbers: Default::default() })
    }

    /// Goes on with the run in `folder` after `from_step`: what was recorded of later steps is dropped.
    ///
    /// # Errors
    /// When there is no run, a newer Spark wrote it, another writer has it, or it cannot be read or written.
    pub fn resume(folder: &Path, from_step: u64) -> Result<Self, StoreError> {
        let paths = RunPaths::new(folder);
        let mut record = RunRecord::read(&paths)?;
        let lock = Lock::take(&paths)?;
        let resumed = resume::resume(&paths, from_step)?;
        record.start();
        let writer = Self::start(paths, lock, record, resumed)?;
        writer.event("resumed", from_step, Value::Null)?;
        Ok(writer)
    }

    pub(super) fn start(
        paths: RunPaths,
        lock: Lock,
        mut record: RunRecord,
        resumed: resume::Resumed,
    ) -> Result<Self, StoreError> {
        lock::beat(&paths).map_err(StoreError::io("write", &paths.heartbeat()))?;
        record.write(&paths)?;
        let shared = Arc::new(Shared::new(LIMIT));
        let work = Work {
            paths: paths.clone(),
            index: resumed.index,
            numbers: resumed.numbers,
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new().name("run-writer".into()).spawn(move || work.run());
        let thread = Some(thread.map_err(StoreError::io("start a thread for", paths.folder()))?);
        Ok(Self { paths, shared, thread, record: Mutex::new(record), begun: Instant::now(), _lock: lock })
    }

    /// Where the parts of the run are.
    pub fn paths(&self) -> &RunPaths {
        &self.paths
    }

    /// Records a window.
    ///
    /// # Errors
    /// [`StoreError::Window`] when its rows do not have the shape, type or steps that it says they have; recording
    /// goes on then. [`StoreError::Stopped`] as for all calls.
    pub fn window(&self, window: Window) -> Result<(), StoreError> {
        window_file::check(&window)
            .map_err(|message| StoreError::Window { measurement: window.measurement.clone(), message })?;
        self.send(Message::Window(window))
    }

    /// Records the value of something at a step.
    ///
    /// # Errors
    /// When recording stopped.
    pub fn scalar(&self, name: &str, step: u64, value: f64) -> Result<(), StoreError> {
        self.send(Message::Scalar { name: name.to_owned(), step: number(step), wall: lock::now(), value })
    }

    /// Records that something happened.
    ///
    /// # Errors
    /// When recording stopped.
    pub fn event(&self, kind: &str, step: u64, detail: Value) -> Result<(), StoreError> {
        let (kind, detail) = (kind.to_owned(), detail.to_string());
        self.send(Message::Event { step: number(step), wall: lock::now(), kind, detail })
    }

    /// Records the value that a tag, such as the episode, has from a step on.
    ///
    /// # Errors
    /// When recording stopped.
    pub fn tag(&self, name: &str, step: u64, value: i64) -> Result<(), StoreError> {
        self.send(Message::Tag { name: name.to_owned(), step: number(step), value })
    }

    /// Records something that should not be.
    ///
    /// # Errors
    /// When recording stopped.
    pub fn warning(&self, step: u64, message: &str) -> Result<(), StoreError> {
        self.send(Message::Warning { step: number(step), wall: lock::now(), message: message.to_owned() })
    }

    /// Notes how long something took, in s, for `run.json`.
    pub fn timing(&self, name: &str, seconds: f64) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.timings.insert(name.to_owned(), seconds);
    }

    /// Waits until everything that was recorded is written.
    ///
    /// # Errors
    /// When recording stopped.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.wait();
        self.shared.untold_failure().map_or(Ok(()), |error| Err(StoreError::Stopped(error)))
    }

    /// The same, and leaves an error to the next call.
    pub fn wait(&self) {
        let (done, wait) = std::sync::mpsc::sync_channel(1);
        let message = Message::Flush(done);
        self.shared.queue.push(message, 0, true);
        // Without a thread there is no answer, and the failure says why.
        let _ = wait.recv();
    }

    /// What other processes asked for since the last call; asked for at every step, it costs nothing.
    pub fn requests(&self) -> Vec<Value> {
        self.shared.take_requests()
    }

    /// Whether recording stopped because something could not be written.
    pub fn is_stopped(&self) -> bool {
        self.shared.is_stopped()
    }

    /// Writes what is left and how the run ended.
    ///
    /// # Errors
    /// When recording stopped, or the end cannot be written down.
    pub fn finish(mut self, status: Status) -> Result<(), StoreError> {
        self.end(status, None)
    }

    /// The same for a run that an error ended.
    ///
    /// # Errors
    /// When recording stopped, or the end cannot be written down.
    pub fn fail(mut self, error: &str) -> Result<(), StoreError> {
        self.end(Status::Failed, Some(error.to_owned()))
    }

    fn end(&mut self, status: Status, error: Option<String>) -> Result<(), StoreError> {
        self.shared.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is a failure that it has noted.
            let _ = thread.join();
        }
        let failure = self.shared.failure().map(StoreError::Stopped);
        let record = self.record.get_mut().unwrap_or_else(PoisonError::into_inner);
        record.status = status;
        record.finished = Some(jiff::Timestamp::now());
        record.error = error.or_else(|| failure.as_ref().map(ToString::to_string));
        *record.timings.entry("total".into()).or_default() += self.begun.elapsed().as_secs_f64();
        let written = record.write(&self.paths);
        failure.map_or(written, Err)
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        if self.shared.is_stopped() {
            return self.shared.untold_failure().map_or(Ok(()), |error| Err(StoreError::Stopped(error)));
        }
        let (bytes, urgent) = (message.bytes(), message.is_urgent());
        self.shared.queue.push(message, bytes, urgent);
        Ok(())
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // There is nobody to tell.
            let _ = self.end(Status::Failed, None);
        }
    }
}

/// A step as SQLite keeps it; a run has no 2⁶³ steps.
fn number(step: u64) -> i64 {
    i64::try_from(step).unwrap_or(i64::MAX)
}
