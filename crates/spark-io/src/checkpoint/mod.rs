//! What `spark train` writes: a network and everything needed to go on training it.

mod hashes;
mod migrate;

use burn::tensor::TensorData;
use serde::Deserialize;
use spark_core::Problems;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{TensorFile, TensorFileError};

/// Value of the metadata key `format`.
pub const FORMAT: &str = "spark-checkpoint";

/// Version of the layout that this build writes; it reads every version up to this one.
///
/// | version | what is new |
/// | --- | --- |
/// | 2 | `hashes` |
pub const VERSION: u32 = 2;

/// Prefix of the tensors that belong to the optimizer.
const OPTIMIZER: &str = "optimizer.";

/// A training checkpoint: one safetensors file.
///
/// Tensors: the network's parameters under their names (`layers.0.weight`, weights `[post, pre]`), and
/// the optimizer's under `optimizer.` and the name of the parameter
/// (`optimizer.layers.0.weight.momentum.moment_1`).
///
/// Metadata, each value a JSON text:
///
/// | key | value |
/// | --- | --- |
/// | `format` | `"spark-checkpoint"` |
/// | `version` | version of this layout |
/// | `spark` | version of the program that wrote the file |
/// | `config` | the whole configuration of the run |
/// | `seed` | its seed |
/// | `epoch`, `step` | epochs and steps completed |
/// | `metrics` | name → number, as of this point |
/// | `progress` | what else the trainer needs to resume |
/// | `optimizer` | scalars of the optimizer, by name |
/// | `hashes` | tensor → SHA-256 of a line with its type and shape, such as `F32 [10, 784]`, and of its bytes |
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Version of the program that wrote the file.
    pub spark: String,
    /// The whole configuration of the run.
    pub config: serde_json::Value,
    /// Seed of the run.
    pub seed: u64,
    /// Epochs completed.
    pub epoch: usize,
    /// Optimizer steps completed.
    pub step: u64,
    /// Numbers worth showing, as of this point.
    pub metrics: BTreeMap<String, f64>,
    /// What else the trainer needs to resume.
    pub progress: serde_json::Value,
    /// Parameters of the network by name.
    pub parameters: BTreeMap<String, TensorData>,
    /// Tensors of the optimizer, by name of parameter and field.
    pub optimizer: BTreeMap<String, TensorData>,
    /// Scalars of the optimizer, likewise.
    pub optimizer_scalars: BTreeMap<String, serde_json::Value>,
}

/// A checkpoint that cannot be read, written or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file itself is at fault.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// The file is a safetensors file, but not a checkpoint.
    #[error("{} is not a Spark checkpoint: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        message: String,
    },
    /// The file was written by a later version.
    #[error("{} has checkpoint version {found}; this build reads up to {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Tensors are not what they were when the file was written.
    #[error(
        "{} is damaged: {} not what was written (the hashes differ)", path.display(), listed(tensors)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The tensors that changed, are new or are gone.
        tensors: Vec<String>,
    },
    /// The tensors do not fit the network of the configuration.
    #[error("{}: the tensors do not fit the network:\n{problems}", path.display())]
    Tensors {
        /// The file.
        path: PathBuf,
        /// Everything that does not fit.
        problems: Problems,
    },
}

/// The first of these tensors and how many more there are.
fn listed(tensors: &[String]) -> String {
    let shown: Vec<_> = tensors.iter().take(3).map(|name| format!("`{name}`")).collect();
    match tensors.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

impl Checkpoint {
    /// Reads a checkpoint of this version or an earlier one.
    ///
    /// # Errors
    /// When the file cannot be read, is corrupt or truncated, is no checkpoint, is of a later version, or holds
    /// tensors other than those that were written.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let mut file = TensorFile::read(path)?;
        let fields = Fields { path, metadata: &file.metadata };
        let format: String = fields.get("format")?;
        if format != FORMAT {
            let message = format!("its format is `{format}`, expected `{FORMAT}`");
            return Err(CheckpointError::Format { path: path.to_owned(), message });
        }
        let version: u32 = fields.get("version")?;
        if version > VERSION {
            return Err(CheckpointError::Version { path: path.to_owned(), found: version });
        }
        migrate::migrate(&mut file, version)
            .map_err(|message| CheckpointError::Format { path: path.to_owned(), message })?;
        let tensors = std::mem::take(&mut file.tensors);
        let fields = Fields { path, metadata: &file.metadata };
        let changed = hashes::changed(&fields.get("hashes")?, &tensors);
        if !changed.is_empty() {
            return Err(CheckpointError::Damaged { path: path.to_owned(), tensors: changed });
        }
        let (spark, config) = (fields.get("spark")?, fields.get("config")?);
        let (seed, epoch, step) = (fields.get("seed")?, fields.get("epoch")?, fields.get("step")?);
        let (metrics, progress) = (fields.get("metrics")?, fields.get("progress")?);
        let optimizer_scalars = fields.get("optimizer")?;
        let mut optimizer = BTreeMap::new();
        let mut parameters = BTreeMap::new();
        for (name, data) in tensors {
            match name.strip_prefix(OPTIMIZER) {
                Some(name) => optimizer.insert(name.to_owned(), data),
                None => parameters.insert(name, data),
            };
        }
        Ok(Self {
            spark,
            config,
            seed,
            epoch,
            step,
            metrics,
            progress,
            parameters,
            optimizer,
            optimizer_scalars,
        })
    }

    /// Writes the checkpoint atomically.
    ///
    /// # Errors
    /// When the file cannot be written; a file that was there is kept.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let mut file = TensorFile::default();
        let mut set = |key: &str, value: serde_json::Value| {
            file.metadata.insert(key.to_owned(), value.to_string());
        };
        set("format", FORMAT.into());
        set("version", VERSION.into());
        set("spark", self.spark.clone().into());
        set("config", self.config.clone());
        set("seed", self.seed.into());
        set("epoch", self.epoch.into());
        set("step", self.step.into());
        set("metrics", self.metrics.iter().map(|(k, &v)| (k.clone(), serde_json::Value::from(v))).collect());
        set("progress", self.progress.clone());
        set("optimizer", self.optimizer_scalars.clone().into_iter().collect());
        file.tensors = self.parameters.clone();
        for (name, data) in &self.optimizer {
            file.tensors.insert(format!("{OPTIMIZER}{name}"), data.clone());
        }
        hashes::add(&mut file);
        Ok(file.write(path)?)
    }
}

/// The JSON metadata of a file.
struct Fields<'a> {
    path: &'a Path,
    metadata: &'a BTreeMap<String, String>,
}

impl Fields<'_> {
    fn get<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<T, CheckpointError> {
        let format = |message| CheckpointError::Format { path: self.path.to_owned(), message };
        let text = self.metadata.get(key).ok_or_else(|| format(format!("no metadata `{key}`")))?;
        serde_json::from_str(text).map_err(|error| format(format!("metadata `{key}`: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Checkpoint {
        Checkpoint {
            spark: "0.1.0".into(),
            config: serde_json::json!({"epochs": 3, "learning_rate": 0.1}),
            seed: u64::MAX,
            epoch: 2,
            step: 126,
            metrics: BTreeMap::from([("test_accuracy".into(), 0.951_234_567_890_1)]),
            progress: serde_json::json!({"best": 0.95}),
            parameters: BTreeMap::from([("layers.0.bias".into(), TensorData::from([1.0f32]))]),
            optimizer: BTreeMap::from([("layers.0.bias.moment".into(), TensorData::from([0.5f32]))]),
            optimizer_scalars: BTreeMap::from([("layers.0.bias.time".into(), 126.into())]),
        }
    }

    #[test]
    fn reading_gives_back_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.safetensors");
        sample().write(&path).unwrap();
        assert_eq!(Checkpoint::read(&path).unwrap(), sample());
    }

    #[test]
    fn a_file_of_version_1_means_what_it_meant() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/checkpoint_v1.safetensors");
        assert_eq!(TensorFile::read(&path).unwrap().metadata["version"], "1");
        let read = Checkpoint::read(&path).unwrap();
        assert_eq!((read.seed, read.epoch, read.step), (3, 1, 3));
        let names: Vec<_> = read.parameters.keys().map(String::as_str).collect();
        assert_eq!(names, ["layers.1.bias", "layers.1.weight", "layers.2.decay", "layers.2.threshold"]);
        assert_eq!(read.optimizer.len(), 6);
        assert_eq!(read.config["network"]["layers"][0]["kind"], "avg_pool2d");
        // Written again it is of the present version and otherwise the same.
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.safetensors");
        read.write(&copy).unwrap();
        assert_eq!(TensorFile::read(&copy).unwrap().metadata["version"], VERSION.to_string());
        assert_eq!(Checkpoint::read(&copy).unwrap(), read);
    }

    #[test]
    fn tensors_that_changed_came_or_went_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let changes: [fn(&mut TensorFile); 3] = [
            |file| drop(file.tensors.insert("layers.0.bias".into(), TensorData::from([1.5f32]))),
            |file| drop(file.tensors.insert("extra".into(), TensorData::from([1.0f32]))),
            |file| drop(file.tensors.remove("optimizer.layers.0.bias.moment")),
        ];
        for (change, name) in
            changes.iter().zip(["`layers.0.bias`", "`extra`", "`optimizer.layers.0.bias.moment`"])
        {
            sample().write(&path).unwrap();
            let mut file = TensorFile::read(&path).unwrap();
            change(&mut file);
            file.write(&path).unwrap();
            let error = Checkpoint::read(&path).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("is damaged"), "{error}");
        }
    }

    #[test]
    fn other_files_and_later_versions_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        TensorFile::default().write(&path).unwrap();
        let error = Checkpoint::read(&path).unwrap_err();
        assert!(error.to_string().contains("no metadata `format`"), "{error}");

        sample().write(&path).unwrap();
        let mut file = TensorFile::read(&path).unwrap();
        file.metadata.insert("version".into(), "99".into());
        file.write(&path).unwrap();
        let error = Checkpoint::read(&path).unwrap_err();
        assert!(error.to_string().contains("version 99"), "{error}");
    }
}
