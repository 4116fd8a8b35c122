//! The thread that writes a run.

use rusqlite::params;
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::index::Index;
use super::queue::Queue;
use super::{RunPaths, StoreError, lock, requests, window_file};
use crate::Window;

/// How long what is not urgent waits to be written.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long one transaction may take.
const TRANSACTION: Duration = Duration::from_millis(250);
const BEAT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(500);

/// Something to be written.
pub enum Message {
    Window(Window),
    Scalar { name: String, step: i64, wall: f64, value: f64 },
    Event { step: i64, wall: f64, kind: String, detail: String },
    Tag { name: String, step: i64, value: i64 },
    Warning { step: i64, wall: f64, message: String },
    Flush(SyncSender<()>),
}

impl Message {
    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        let held = match self {
            Self::Window(window) => {
                window.rows.iter().map(|rows| rows.data.as_bytes().len() + 8 * rows.steps.len()).sum()
            }
            Self::Event { kind, detail, .. } => kind.len() + detail.len(),
            Self::Scalar { name, .. } | Self::Tag { name, .. } => name.len(),
            Self::Warning { message, .. } => message.len(),
            Self::Flush(_) => 0,
        };
        size_of::<Self>() + held
    }

    /// Whether the thread is woken for it.
    pub fn is_urgent(&self) -> bool {
        matches!(self, Self::Window(_) | Self::Flush(_))
    }
}

/// What the thread and the rest of the program share.
pub struct Shared {
    pub queue: Queue<Message>,
    /// Why recording stopped, and whether that was told.
    failure: Mutex<Option<(Arc<StoreError>, bool)>>,
    stopped: AtomicBool,
    requests: Mutex<Vec<Value>>,
    asked: AtomicBool,
}

impl Shared {
    pub fn new(limit: usize) -> Self {
        Self {
            queue: Queue::new(limit),
            failure: Mutex::new(None),
            stopped: AtomicBool::new(false),
            requests: Mutex::new(Vec::new()),
            asked: AtomicBool::new(false),
        }
    }

    /// Whether recording stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    fn stop(&self, error: StoreError) {
        held(&self.failure).get_or_insert((Arc::new(error), false));
        self.stopped.store(true, Ordering::Release);
    }

    /// Why recording stopped.
    pub fn failure(&self) -> Option<Arc<StoreError>> {
        held(&self.failure).as_ref().map(|(error, _)| Arc::clone(error))
    }

    /// The same, for the first who asks.
    pub fn untold_failure(&self) -> Option<Arc<StoreError>> {
        let mut failure = held(&self.failure);
        let (error, told) = failure.as_mut()?;
        (!std::mem::replace(told, true)).then(|| Arc::clone(error))
    }

    /// The requests that came since the last call.
    pub fn take_requests(&self) -> Vec<Value> {
        if !self.asked.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut requests = held(&self.requests);
        self.asked.store(false, Ordering::Release);
        std::mem::take(&mut requests)
    }

    fn add_requests(&self, new: Vec<Value>) {
        if !new.is_empty() {
            held(&self.requests).extend(new);
            self.asked.store(true, Ordering::Release);
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes the queue when the thread ends, however it ends: nobody may wait for it then.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let message = "the thread that writes the run panicked";
            self.0.stop(StoreError::content("the run".as_ref(), message));
        }
        self.0.queue.abandon();
    }
}

/// What the thread works with.
pub struct Work {
    pub paths: RunPaths,
    pub index: Index,
    /// The next number of a window by the name in its file.
    pub numbers: HashMap<String, u64>,
    pub shared: Arc<Shared>,
}

impl Work {
    /// Writes until the queue is closed and empty.
    pub fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let _closing = Closing(&shared);
        let (mut beaten, mut polled) = (Instant::now(), Instant::now());
        while !shared.queue.is_finished() {
            let mut flushes = Vec::new();
            let written = self.write_some(&mut flushes);
            if let Err(error) = written {
                shared.stop(error);
            }
            // Whoever waits for a flush learns from the failure whether it was one.
            for done in flushes {
                let _ = done.try_send(());
            }
            if beaten.elapsed() >= BEAT {
                beaten = Instant::now();
                self.beat();
            }
            if polled.elapsed() >= POLL {
                polled = Instant::now();
                shared.add_requests(requests::take(&self.paths));
            }
        }
        self.index.settle();
    }

    fn beat(&self) {
        if let Err(error) = lock::beat(&self.paths)
            && error.kind() == std::io::ErrorKind::NotFound
        {
            self.shared.stop(StoreError::io("write", &self.paths.heartbeat())(error));
        }
    }

    /// Writes what is there in one transaction.
    fn write_some(&mut self, flushes: &mut Vec<SyncSender<()>>) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let Some(first) = shared.queue.pop(PATIENCE) else { return Ok(()) };
        let begun = Instant::now();
        let mut next = Some(first);
        let mut result = Ok(());
        let mut writing = false;
        while let Some(message) = next {
            if let Message::Flush(done) = message {
                flushes.push(done);
            } else if result.is_ok() && !shared.is_stopped() {
                if !writing {
                    result = self.index.run(|connection| connection.execute_batch("BEGIN IMMEDIATE"));
                    writing = result.is_ok();
                }
                if writing {
                    result = self.write(message);
                }
            }
            next = if begun.elapsed() < TRANSACTION { shared.queue.pop(Duration::ZERO) } else { None };
        }
        if writing {
            // What came before an error is kept where that is possible.
            let committed = self.index.run(|connection| connection.execute_batch("COMMIT"));
            result = result.and(committed);
        }
        result
    }

    fn write(&mut self, message: Message) -> Result<(), StoreError> {
        match message {
            Message::Window(window) => self.write_window(&window),
            Message::Scalar { name, step, wall, value } => self.insert(
                "INSERT INTO scalars(name, step, wall, value) VALUES(?, ?, ?, ?)",
                params![name, step, wall, value],
            ),
            Message::Event { step, wall, kind, detail } => self.insert(
                "INSERT INTO events(step, wall, kind, detail) VALUES(?, ?, ?, ?)",
                params![step, wall, kind, detail],
            ),
            Message::Tag { name, step, value } => {
                self.insert("INSERT INTO tags(name, step, value) VALUES(?, ?, ?)", params![name, step, value])
            }
            Message::Warning { step, wall, message } => self.insert(
                "INSERT INTO warnings(step, wall, message) VALUES(?, ?, ?)",
                params![step, wall, message],
            ),
            Message::Flush(_) => Ok(()),
        }
    }

    fn insert(&self, statement: &str, values: impl rusqlite::Params) -> Result<(), StoreError> {
        self.index.run(|connection| connection.prepare_cached(statement)?.execute(values)).map(drop)
    }

    fn write_window(&mut self, window: &Window) -> Result<(), StoreError> {
        let path = self.next_path(&window.measurement)?;
        let info = window_file::write(window, &path)?;
        let streams: Vec<_> = window.rows.iter().map(|rows| rows.stream.clone()).collect();
        self.index.add_window(&info, &streams)
    }

    /// The file of a measurement's next window.
    fn next_path(&mut self, measurement: &str) -> Result<PathBuf, StoreError> {
        let folder = self.paths.windows();
        std::fs::create_dir_all(&folder).map_err(StoreError::io("make", &folder))?;
        let name = file_name(measurement);
        let number = self.numbers.entry(name.to_lowercase()).or_insert(1);
        let path = folder.join(format!("{name}-{number:06}.safetensors"));
        *number += 1;
        Ok(path)
    }
}

/// A measurement's name as part of a file's name on any system.
fn file_name(measurement: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    let name: String =
        measurement.chars().take(80).map(|letter| if fits(letter) { letter } else { '_' }).collect();
    // A leading dot would hide the file.
    if name.starts_with('.') { format!("_{name}") } else { name }
}

/// The name and number that a window's file was given.
pub fn numbered(file: &str) -> Option<(String, u64)> {
    let (name, number) = file.strip_suffix(".safetensors")?.rsplit_once('-')?;
    Some((name.to_lowercase(), number.parse().ok()?))
}
