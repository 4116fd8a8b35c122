//! Model files: Spark's own JSON, and the `.scfg` of the Python framework.

mod define;
mod json;
pub mod scfg;
mod tree;
mod xz;

pub use define::define_from;

use spark_core::model::Model;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tree::Wrong;

/// The largest model file that is read, in bytes; packed files are measured unpacked.
pub const LARGEST: u64 = 256 << 20;

/// A model as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// What had to be put differently or could not be kept, each with its path in the file.
    pub notes: Vec<String>,
}

/// A model file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is a file already.
    #[error("{} exists: pass --overwrite to replace it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is larger than models are.
    #[error("{}: found more than {limit} bytes, expected at most that", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// [`LARGEST`].
        limit: u64,
    },
    /// What it holds is no model.
    #[error("{}: at `{field}`: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Path inside the document; `.` for the whole.
        field: String,
        /// What was found and expected.
        message: String,
    },
}

impl ModelFileError {
    fn content(path: &Path, Wrong { field, message }: Wrong) -> Self {
        Self::Content { path: path.to_owned(), field, message }
    }
}

/// Reads a model: `.scfg` by its name, anything else as JSON, of either layout.
///
/// # Errors
/// When the file cannot be read, is too large, or holds no model.
///
/// # Examples
/// ```
/// use spark_core::model::Model;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("brain.json");
/// let model = Model::new("Brain", Default::default());
/// spark_io::model::write(&path, &model, false)?;
/// assert_eq!(spark_io::model::read(&path)?.model, model);
/// assert!(spark_io::model::write(&path, &model, false).unwrap_err().to_string().contains("--overwrite"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: &Path) -> Result<Loaded, ModelFileError> {
    let io = |source| ModelFileError::Io { path: path.to_owned(), source };
    let large = || ModelFileError::TooLarge { path: path.to_owned(), limit: LARGEST };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(LARGEST + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > LARGEST {
        return Err(large());
    }
    let wrong = |wrong| ModelFileError::content(path, wrong);
    if is_scfg(path) {
        let unpacked =
            xz::unpack(&bytes, LARGEST).map_err(|error| wrong(Wrong::new(".", error.to_string())))?;
        return scfg::read(&unpacked.ok_or_else(large)?).map_err(wrong);
    }
    if scfg::is_unpacked(&bytes) { scfg::read(&bytes).map_err(wrong) } else { json::read(&bytes, path) }
}

/// Reads the unpacked text of a `.scfg` file that stands inside another file, `path`.
pub(crate) fn scfg_text(text: &[u8], path: &Path) -> Result<Loaded, ModelFileError> {
    scfg::read(text).map_err(|wrong| ModelFileError::content(path, wrong))
}

/// Writes a model: `.scfg` by its name, anything else as JSON. Returns what could not be put the same way, each
/// with its path in the model.
///
/// # Errors
/// When there is a file and `overwrite` is not set, or it cannot be written; nothing is written then.
///
/// # Examples
/// ```
/// use spark_core::model::Model;
/// # use spark_nn as _;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("brain.scfg");
/// let mut model = Model::new("Brain", Default::default());
/// model.metadata.insert("author".to_owned(), "an example".into());
/// assert!(spark_io::model::write(&path, &model, false)?.is_empty());
/// let read = spark_io::model::read(&path)?.model;
/// assert!(read.metadata == model.metadata && read.diff(&model)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(path: &Path, model: &Model, overwrite: bool) -> Result<Vec<String>, ModelFileError> {
    if path.exists() && !overwrite {
        return Err(ModelFileError::Exists { path: path.to_owned() });
    }
    let io = |source| ModelFileError::Io { path: path.to_owned(), source };
    let (bytes, notes) = if is_scfg(path) {
        let (text, notes) = scfg::write(model).map_err(|wrong| ModelFileError::content(path, wrong))?;
        (xz::pack(&text).map_err(io)?, notes)
    } else {
        (json::write(model), Vec::new())
    };
    crate::write_atomically(path, &bytes).map_err(io)?;
    Ok(notes)
}

fn is_scfg(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("scfg"))
}
