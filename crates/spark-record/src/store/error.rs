//! What can be wrong with a run.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A run that cannot be written or read.
///
/// # Examples
/// ```
/// use spark_record::{RunReader, StoreError};
///
/// let folder = tempfile::tempdir()?;
/// let Err(error) = RunReader::open(folder.path()) else { unreachable!("there is no run") };
/// assert!(matches!(error, StoreError::NoRun { .. }));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder cannot be read, written or made.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The index cannot be read or written.
    #[error("{}: {source}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        message: String,
    },
    /// The folder holds no run.
    #[error("{} holds no run: there is no run.json in it", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds a run that is not to be overwritten.
    #[error("{} holds a run already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Another writer has the run.
    #[error("another process{} is writing the run in {}", process(*pid), path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The other process, where it is known.
        pid: Option<u32>,
    },
    /// The run was written by a newer program.
    #[error(
        "{} holds a run of format {found}, written by a newer Spark; this one knows formats up to {supported}",
        path.display()
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format that is known.
        supported: u32,
    },
    /// A window that cannot be recorded; recording goes on without it.
    #[error("a window of `{measurement}` cannot be recorded: {message}")]
    Window {
        /// The measurement.
        measurement: String,
        /// What was found and what was expected.
        message: String,
    },
    /// The run has no such measurement, or the measurement no such stream.
    #[error("there is no {what} `{name}`; there {}", listed(known))]
    Unknown {
        /// What kind of thing was asked for.
        what: &'static str,
        /// Its name.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Recording ended when something could not be written; what was written before is kept.
    #[error("recording stopped: {0}")]
    Stopped(Arc<StoreError>),
    /// Nobody writes the run, so nobody takes requests.
    #[error("{} is not being written: its status is {status}", path.display())]
    NotRunning {
        /// The folder.
        path: PathBuf,
        /// How the run ended.
        status: super::Status,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map_or(String::new(), |pid| format!(" ({pid})"))
}

fn listed(known: &[String]) -> String {
    match known {
        [] => "is none".into(),
        [one] => format!("is `{one}`"),
        all => format!("are {}", all.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}

impl StoreError {
    /// An error of the file system about `path`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// An error of SQLite about the file `path`.
    pub(super) fn index(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Index { path, source }
    }

    /// Something wrong in the file `path`.
    pub(super) fn content(path: &Path, message: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), message: message.into() }
    }
}
