//! One writer at a time, and whether it is alive.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::time::{Duration, SystemTime};

use super::{RunPaths, StoreError};

/// How old a heartbeat from another computer may be before its writer counts as gone.
const SILENCE: Duration = Duration::from_secs(30);
/// A reader that looks whether somebody writes holds the lock for a moment; a writer waits that out.
const PATIENCE: u32 = 20;

/// The lock of a run, held until it is dropped or the process ends, however it ends.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub fn take(paths: &RunPaths) -> Result<Self, StoreError> {
        let path = paths.lock();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StoreError::io("write", &path))?;
        for _ in 0..PATIENCE {
            match file.try_lock() {
                Ok(()) => {
                    note_process(&mut file).map_err(StoreError::io("write", &path))?;
                    return Ok(Self { _file: file });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
                // A file system without locks: better no lock than no run.
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                    return Ok(Self { _file: file });
                }
                Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path)(error)),
            }
        }
        let mut text = String::new();
        let _ = file.read_to_string(&mut text);
        Err(StoreError::Locked { path: paths.folder().to_owned(), pid: text.trim().parse().ok() })
    }
}

fn note_process(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Whether a process on this computer has the lock; absent where that cannot be known.
pub fn is_taken(paths: &RunPaths) -> Option<bool> {
    let file = match File::open(paths.lock()) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Some(false),
        Err(_) => return None,
    };
    match file.try_lock_shared() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

/// Writes down that the writer is alive.
pub fn beat(paths: &RunPaths) -> std::io::Result<()> {
    std::fs::write(paths.heartbeat(), format!("{:.3}\n", now()))
}

/// When the writer was last alive, in seconds since 1970.
pub fn last_beat(paths: &RunPaths) -> Option<f64> {
    std::fs::read_to_string(paths.heartbeat()).ok()?.trim().parse().ok()
}

/// Whether the heartbeat is recent.
pub fn beats(paths: &RunPaths) -> bool {
    last_beat(paths).is_some_and(|beat| now() - beat < SILENCE.as_secs_f64())
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
