//! Spark's own layout: a [`Model`] in JSON.

use spark_core::model::{Model, VERSION};
use std::path::Path;

use super::tree::explained;
use super::{Loaded, ModelFileError};

pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Loaded, ModelFileError> {
    let content =
        |field: String, message: String| ModelFileError::Content { path: path.to_owned(), field, message };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let model: Model = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| content(error.path().to_string(), explained(bytes, error.inner())))?;
    deserializer.end().map_err(|error| content(".".to_owned(), error.to_string()))?;
    if model.version == 0 || model.version > VERSION {
        let message = format!("found version {}, expected 1 to {VERSION}", model.version);
        return Err(content("spark".to_owned(), message));
    }
    Ok(Loaded { model, notes: Vec::new() })
}

pub(super) fn write(model: &Model) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(model).expect("a model is JSON");
    bytes.push(b'\n');
    bytes
}
