//! Files in formats of others that cannot be read.

use std::path::{Path, PathBuf};

/// A file in a format of others that cannot be read.
///
/// # Examples
/// ```
/// let error = spark_io::series::read("/nowhere/a.ts".as_ref()).unwrap_err();
/// assert!(error.to_string().starts_with("cannot read /nowhere/a.ts: "));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be written; an older file of that name is as it was.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found, where, and what was expected.
        message: String,
    },
}

impl FormatError {
    /// What a parser of bytes has to say about the file `path`.
    pub(crate) fn content(path: &Path) -> impl FnOnce(String) -> Self {
        let path = path.to_owned();
        |message| Self::Content { path, message }
    }
}

/// The bytes of a file.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, FormatError> {
    std::fs::read(path).map_err(|source| FormatError::Read { path: path.to_owned(), source })
}
