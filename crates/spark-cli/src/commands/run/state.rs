//! Where a run of a model stands: its model and what its modules remember, in one file.

use anyhow::{Context as _, Result};
use spark::burn::tensor::TensorData;
use spark::core::model::Model;
use spark::io::TensorFile;
use std::collections::BTreeMap;
use std::path::Path;

/// The file in the folder of a run.
pub const FILE: &str = "state.safetensors";

/// What the metadata of the file says that it is.
const FORMAT: &str = "spark-model-state";

/// A model after some steps.
pub struct State {
    pub model: Model,
    pub steps: usize,
    /// What is remembered, by path.
    pub tensors: BTreeMap<String, TensorData>,
}

impl State {
    /// Writes it whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        let metadata = [
            ("format", FORMAT.to_owned()),
            ("model", serde_json::to_string(&self.model)?),
            ("steps", self.steps.to_string()),
        ];
        let metadata = metadata.map(|(key, text)| (key.to_owned(), text)).into();
        TensorFile { metadata, tensors: self.tensors.clone() }.write(path)?;
        Ok(())
    }
}

/// Reads a state; `None` where the file is another file of tensors.
pub fn read(path: &Path) -> Result<Option<State>> {
    let TensorFile { mut metadata, tensors } = TensorFile::read(path)?;
    if metadata.get("format").is_none_or(|format| format != FORMAT) {
        return Ok(None);
    }
    let mut text = |key: &str| {
        metadata.remove(key).with_context(|| format!("{}: found no `{key}` in the metadata", path.display()))
    };
    let wrong = |key: &str| format!("{}: at `{key}` of the metadata", path.display());
    let model = serde_json::from_str(&text("model")?).with_context(|| wrong("model"))?;
    let steps = text("steps")?.parse().with_context(|| wrong("steps"))?;
    Ok(Some(State { model, steps, tensors }))
}
