//! Where the parts of a run are.

use std::path::{Path, PathBuf};

/// The layout of a run's folder.
///
/// | name | what it holds |
/// | --- | --- |
/// | `run.json` | what the run is and where it stands: [`RunRecord`](crate::RunRecord) |
/// | `index.sqlite` | scalars, events, tags, warnings, and a row for each window |
/// | `windows/NAME-000001.safetensors` | the windows of the measurement NAME: a tensor for each stream, and its steps under `STREAM/steps` |
/// | `checkpoints/` | what the run goes on from, where it has no other place |
/// | `model.json` | the model that ran |
/// | `heartbeat` | when the writer was last alive, in seconds since 1970 |
/// | `lock` | locked while a process writes the run |
/// | `requests/` | what other processes ask of the one that writes |
///
/// # Examples
/// ```
/// let paths = spark_record::RunPaths::new("runs/cartpole-001");
/// assert!(paths.model().ends_with("cartpole-001/model.json"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPaths {
    folder: PathBuf,
}

impl RunPaths {
    /// The layout in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder of the run.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the run is and where it stands.
    pub fn record(&self) -> PathBuf {
        self.folder.join("run.json")
    }

    /// The SQLite database.
    pub fn index(&self) -> PathBuf {
        self.folder.join("index.sqlite")
    }

    /// The folder of the windows.
    pub fn windows(&self) -> PathBuf {
        self.folder.join("windows")
    }

    /// The folder for checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.folder.join("checkpoints")
    }

    /// The model that ran.
    pub fn model(&self) -> PathBuf {
        self.folder.join("model.json")
    }

    /// When the writer was last alive.
    pub fn heartbeat(&self) -> PathBuf {
        self.folder.join("heartbeat")
    }

    /// Locked by the process that writes.
    pub fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    /// The folder of requests.
    pub fn requests(&self) -> PathBuf {
        self.folder.join("requests")
    }

    /// Whether the folder holds a run.
    pub fn is_run(&self) -> bool {
        self.record().is_file()
    }
}
