//! Models of spark-snn in the middle of their life, as `examples/python/spark_snn_dump.py` writes them.
//!
//! A dump holds the text of the `.scfg` file and every variable and constant under the path of its attribute; the
//! script says how they are named. [`Dump::snapshot`] puts each into the place that Spark has for it. Most go by
//! their names. Others are held in another form here: the bits of a delay's buffer are a ring of planes; a trace of
//! late spikes, there one for each synapse, is one for each unit with its last steps; what is drawn at random in
//! a model becomes what was drawn.

mod drawn;
mod late;
mod places;
#[cfg(test)]
mod tests;

use burn::tensor::TensorData;
use serde::Deserialize;
use spark_core::component::{BuildError, Context};
use spark_core::model::{CompleteError, Model, ModuleSpec};
use spark_core::payload::{PayloadKind, Shape};
use spark_core::ports::InputShapes;
use spark_core::schema::join;
use spark_core::state::StateError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::model::{Loaded, ModelFileError, scfg_text};
use crate::{Snapshot, TensorFile, TensorFileError};
use places::Places;

/// Value of the metadata key `format`.
const FORMAT: &str = "spark-snn-state";

/// Newest version of the layout that is read.
const VERSION: u32 = 1;

/// A dump that cannot be read or used.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The file itself is at fault.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// The model inside cannot be read.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// The file is no dump, or holds something else than the model needs.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found, where, and what was expected.
        message: String,
    },
    /// Defaults of the model cannot be filled in.
    #[error(transparent)]
    Complete(#[from] CompleteError),
    /// The model cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The state is not that of the model.
    #[error("the state belongs to another model: {0}")]
    Foreign(#[from] StateError),
}

/// A dump of a model of spark-snn.
///
/// # Examples
/// ```no_run
/// use burn::tensor::Device;
/// use spark_io::spark_snn::Dump;
///
/// let dump = Dump::read("dump.safetensors".as_ref())?;
/// let model = &dump.model.as_ref().expect("the script writes it").model;
/// let (snapshot, notes) = dump.snapshot(model, &Device::flex())?;
/// snapshot.write("state.safetensors".as_ref())?;
/// notes.iter().for_each(|note| eprintln!("{note}"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dump {
    /// The model, where the file holds one.
    pub model: Option<Loaded>,
    /// Steps done.
    pub steps: u64,
    /// The shapes of its inputs.
    pub inputs: Vec<(String, Shape)>,
    path: PathBuf,
    tensors: BTreeMap<String, TensorData>,
}

#[derive(Deserialize)]
struct Input {
    payload: String,
    shape: Vec<usize>,
}

impl Dump {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is no dump, or one of a newer layout.
    pub fn read(path: &Path) -> Result<Self, DumpError> {
        let TensorFile { metadata, tensors } = TensorFile::read(path)?;
        let wrong = |message: String| DumpError::Content { path: path.to_owned(), message };
        let text = |key: &str| {
            metadata
                .get(key)
                .ok_or_else(|| wrong(format!("metadata has no `{key}`: this is no dump of spark-snn")))
        };
        let format = text("format")?;
        if format != FORMAT {
            return Err(wrong(format!("found format `{format}`, expected `{FORMAT}`")));
        }
        let number = |key: &str| {
            let found = text(key)?;
            found
                .parse::<u64>()
                .map_err(|_| wrong(format!("`{key}`: found `{found}`, expected a whole number")))
        };
        let version = number("version")?;
        if version == 0 || version > u64::from(VERSION) {
            return Err(wrong(format!("dump version {version}, this program reads up to {VERSION}")));
        }
        let inputs: BTreeMap<String, Input> =
            serde_json::from_str(text("inputs")?).map_err(|error| wrong(format!("`inputs`: {error}")))?;
        let inputs = inputs.into_iter().map(|(port, Input { payload, shape })| {
            let kind = payload_kind(&payload).ok_or_else(|| {
                wrong(format!("`inputs`: `{port}` takes `{payload}`, which is not known here"))
            })?;
            Ok((port, Shape::new(kind, &shape)))
        });
        Ok(Self {
            inputs: inputs.collect::<Result<_, DumpError>>()?,
            steps: number("steps")?,
            model: metadata.get("model").map(|text| scfg_text(text.as_bytes(), path)).transpose()?,
            path: path.to_owned(),
            tensors,
        })
    }

    /// The model with its state, and what is to be known of the way here.
    ///
    /// * `model`: that of the dump, or another of the same modules. What it draws at random and the dump knows
    ///   becomes what was drawn.
    ///
    /// # Errors
    /// When a state of the model is not in the dump or of another shape, when the dump holds a state that the
    /// model has no place for, or the model cannot be built.
    pub fn snapshot(
        &self,
        model: &Model,
        device: &burn::tensor::Device,
    ) -> Result<(Snapshot, Vec<String>), DumpError> {
        let mut model = model.clone();
        drawn::put(self, &mut model)?;
        let complete = model.complete()?;
        let shapes = self.inputs.iter().cloned();
        let shapes = shapes.fold(InputShapes::default(), |all, (port, shape)| all.with(&port, shape));
        let context = Context::new("", device);
        let mut instance = model.build(&shapes, 1, &context)?;
        let blank = instance.save();
        let (state, notes) = Places::new(self, &complete, &blank).fill()?;
        instance.restore(&state)?;
        Ok((Snapshot::of(&model, instance.as_ref(), 1, self.steps, &context), notes))
    }

    fn wrong(&self, message: impl Into<String>) -> DumpError {
        DumpError::Content { path: self.path.clone(), message: message.into() }
    }

    fn get(&self, name: &str) -> Option<&TensorData> {
        self.tensors.get(name)
    }

    fn need(&self, name: &str) -> Result<&TensorData, DumpError> {
        self.get(name).ok_or_else(|| self.wrong(format!("found no tensor `{name}`")))
    }
}

fn payload_kind(name: &str) -> Option<PayloadKind> {
    Some(match name {
        "SpikeArray" => PayloadKind::Spikes,
        "CurrentArray" => PayloadKind::Currents,
        "PotentialArray" => PayloadKind::Potentials,
        "FloatArray" => PayloadKind::Floats,
        "IntegerArray" => PayloadKind::Integers,
        "BooleanMask" => PayloadKind::Mask,
        "IntegerMask" => PayloadKind::IntegerMask,
        _ => return None,
    })
}

/// The numbers of a tensor of any type.
fn floats(data: &TensorData) -> Vec<f32> {
    data.iter().collect()
}

/// A module, and the path of the controller around it.
struct Standing<'a> {
    controller: &'a str,
    spec: &'a ModuleSpec,
}

/// Finds a module by its path; `None` for the model itself.
fn standing<'a>(model: &'a Model, path: &'a str) -> Option<Standing<'a>> {
    let mut around = &model.config;
    let mut start = 0;
    loop {
        let rest = path.get(start..)?;
        let (name, end) = rest.split_once('.').map_or((rest, true), |(name, _)| (name, false));
        let spec = around.module(name)?;
        if end {
            return Some(Standing { controller: path[..start].trim_end_matches('.'), spec });
        }
        around = &spec.config;
        start += name.len() + 1;
    }
}

/// Every module of a model with its path, the model itself as the first.
fn modules(model: &Model) -> Vec<(String, ModuleSpec)> {
    let mut found = vec![(String::new(), ModuleSpec::named("", &model.module, model.config.clone()))];
    let mut next = 0;
    while next < found.len() {
        let (path, spec) = found[next].clone();
        found.extend(spec.config.modules.into_iter().map(|module| (join(&path, &module.name), module)));
        next += 1;
    }
    found
}
