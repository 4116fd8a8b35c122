//! The folder of one run.

use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Event, TrainError};

/// What a run leaves behind: `config.json`, `metrics.jsonl`, `last.safetensors`, `best.safetensors` and,
/// from `spark train`, `curves.svg`; beside them its record, as [`RunReader`](spark_record::RunReader) reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// A new folder `name-001`, or the next free number, in `root`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn numbered(root: &Path, name: &str) -> Result<Self, TrainError> {
        fs::create_dir_all(root).map_err(|error| fault(root, &error))?;
        for number in 1.. {
            let path = root.join(format!("{name}-{number:03}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fault(&path, &error)),
            }
        }
        unreachable!("the numbers do not end")
    }

    /// The folder `path`, made if it is not there. One that holds a run is refused unless `overwrite`.
    ///
    /// # Errors
    /// When the folder holds a run, or cannot be made.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, TrainError> {
        let folder = Self { path: path.to_owned() };
        if folder.last().exists() && !overwrite {
            return Err(TrainError::Folder {
                path: path.to_owned(),
                message: "holds a run already: --resume goes on with it, --overwrite replaces it".into(),
            });
        }
        fs::create_dir_all(path).map_err(|error| fault(path, &error))?;
        Ok(folder)
    }

    /// The folder that a checkpoint file is in, or the folder itself.
    pub fn of(path: &Path) -> Self {
        let folder = match path.parent() {
            _ if path.is_dir() => path,
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Self { path: folder.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.json")
    }

    /// The events, one JSON object a line.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The latest checkpoint, to go on from.
    pub fn last(&self) -> PathBuf {
        self.path.join("last.safetensors")
    }

    /// The checkpoint of the best epoch.
    pub fn best(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// The loss and accuracy curves.
    pub fn curves(&self) -> PathBuf {
        self.path.join("curves.svg")
    }

    /// Removes what an earlier run left that this one would not replace at once.
    pub(crate) fn remove_results(&self) -> Result<(), TrainError> {
        for path in [self.best(), self.curves()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(fault(&path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The checkpoint that `path` means: a file itself, or the best (else the latest) one of a folder.
    pub fn checkpoint(path: &Path) -> PathBuf {
        if !path.is_dir() {
            return path.to_owned();
        }
        let folder = Self::of(path);
        if folder.best().exists() { folder.best() } else { folder.last() }
    }

    /// The events in the log; lines that are not events are skipped, such as one cut off by a crash.
    ///
    /// # Errors
    /// When there is no log.
    pub fn events(&self) -> Result<Vec<Event>, TrainError> {
        let path = self.metrics();
        let bytes = fs::read(&path).map_err(|error| fault(&path, &error))?;
        Ok(String::from_utf8_lossy(&bytes)
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    pub(crate) fn write_config(&self, config: &impl Serialize) -> Result<(), TrainError> {
        let path = self.config();
        let write = || {
            let text = serde_json::to_string_pretty(config)?;
            spark_io::write_atomically(&path, (text + "\n").as_bytes())
        };
        write().map_err(|error: std::io::Error| fault(&path, &error))
    }
}

fn fault(path: &Path, error: &std::io::Error) -> TrainError {
    TrainError::Folder { path: path.to_owned(), message: error.to_string() }
}

/// The log of a run, `metrics.jsonl`.
pub(crate) struct MetricsLog {
    path: PathBuf,
    file: BufWriter<File>,
}

impl MetricsLog {
    /// Opens the log of `folder`, keeping what happened up to `step` and nothing later: a run that goes on
    /// from a checkpoint does again what came after it.
    pub fn open(folder: &RunFolder, step: u64) -> Result<Self, TrainError> {
        let path = folder.metrics();
        let kept = if step > 0 && path.exists() { folder.events()? } else { Vec::new() };
        let mut text = String::new();
        for event in kept.iter().filter(|event| event.step() <= step) {
            text.push_str(&line(event, &path)?);
        }
        spark_io::write_atomically(&path, text.as_bytes()).map_err(|error| fault(&path, &error))?;
        let file = OpenOptions::new().append(true).open(&path).map_err(|error| fault(&path, &error))?;
        Ok(Self { path, file: BufWriter::new(file) })
    }

    pub fn write(&mut self, event: &Event) -> Result<(), TrainError> {
        let line = line(event, &self.path)?;
        self.file.write_all(line.as_bytes()).map_err(|error| fault(&self.path, &error))
    }

    pub fn flush(&mut self) -> Result<(), TrainError> {
        self.file.flush().map_err(|error| fault(&self.path, &error))
    }
}

fn line(event: &Event, path: &Path) -> Result<String, TrainError> {
    let json = serde_json::to_string(event).map_err(|error| fault(path, &error.into()))?;
    Ok(json + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64) -> Event {
        Event::Step { step, epoch: 1, loss: 0.5, gradient_norm: 1.0, learning_rate: 0.1 }
    }

    #[test]
    fn folders_are_numbered_and_runs_are_not_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let first = RunFolder::numbered(root.path(), "mnist").unwrap();
        let second = RunFolder::numbered(root.path(), "mnist").unwrap();
        assert!(first.path().ends_with("mnist-001") && second.path().ends_with("mnist-002"));
        fs::write(first.last(), b"").unwrap();
        let error = RunFolder::create(first.path(), false).unwrap_err().to_string();
        assert!(error.contains("--resume") && error.contains("--overwrite"), "{error}");
        RunFolder::create(first.path(), true).unwrap();
    }

    #[test]
    fn a_resumed_log_forgets_what_came_after_the_checkpoint() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(root.path(), false).unwrap();
        let mut log = MetricsLog::open(&folder, 0).unwrap();
        (1..=5).for_each(|i| log.write(&step(i)).unwrap());
        log.flush().unwrap();
        // A line that was being written when the process died.
        let mut text = fs::read_to_string(folder.metrics()).unwrap();
        text.push_str("{\"event\":\"st");
        fs::write(folder.metrics(), text).unwrap();

        let mut log = MetricsLog::open(&folder, 3).unwrap();
        log.write(&step(4)).unwrap();
        log.flush().unwrap();
        assert_eq!(folder.events().unwrap(), [step(1), step(2), step(3), step(4)]);
    }
}
