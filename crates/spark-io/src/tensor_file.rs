//! Named tensors and text metadata in one safetensors file.

use burn::tensor::{BoolStore, Bytes, DType, Shape, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The contents of a safetensors file.
///
/// # Examples
/// ```
/// use burn::tensor::TensorData;
/// use spark_io::TensorFile;
///
/// let mut file = TensorFile::default();
/// file.tensors.insert("weight".into(), TensorData::from([[1.0f32, 2.0]]));
/// file.metadata.insert("origin".into(), "an example".into());
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("weights.safetensors");
/// file.write(&path)?;
/// assert_eq!(TensorFile::read(&path)?, file);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// Text metadata by key.
    pub metadata: BTreeMap<String, String>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, TensorData>,
}

/// A tensor file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TensorFileError {
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
    /// The contents are not a complete safetensors file.
    #[error("{} is not a valid safetensors file (truncated, corrupt or another format): {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A tensor has a type that Spark does not handle.
    #[error("{}: tensor `{tensor}` has dtype {dtype}, which is not supported", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Its type.
        dtype: String,
    },
}

impl TensorFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When the file cannot be read, is truncated or corrupt, or holds a type that is not supported or a
    /// truth value that is neither 0 nor 1.
    pub fn read(path: &Path) -> Result<Self, TensorFileError> {
        let bytes =
            std::fs::read(path).map_err(|source| TensorFileError::Read { path: path.to_owned(), source })?;
        Self::parse(&bytes, path)
    }

    /// The contents of the bytes of a file; `path` names it in errors.
    fn parse(bytes: &[u8], path: &Path) -> Result<Self, TensorFileError> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| content(path, &error))?;
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let mut tensors = BTreeMap::new();
        let views = SafeTensors::deserialize(bytes).map_err(|error| content(path, &error))?;
        for (name, view) in views.iter() {
            let dtype = to_burn(view.dtype()).ok_or_else(|| TensorFileError::Dtype {
                path: path.to_owned(),
                tensor: name.to_owned(),
                dtype: format!("{:?}", view.dtype()),
            })?;
            // Burn takes the bytes for truth values as they are, and panics at others when it reads them.
            if view.dtype() == Dtype::BOOL
                && let Some(at) = view.data().iter().position(|&byte| byte > 1)
            {
                let found = view.data()[at];
                let message = format!("tensor `{name}`, entry {at}: found {found}, expected 0 or 1");
                return Err(TensorFileError::Content { path: path.to_owned(), message });
            }
            let shape = Shape::from(view.shape().to_vec());
            let data = Bytes::from_bytes_vec(view.data().to_vec());
            tensors.insert(name.to_owned(), TensorData::from_bytes(data, shape, dtype));
        }
        Ok(Self { metadata, tensors })
    }

    /// Writes the file under a temporary name beside `path` and renames it: `path` holds either what it
    /// held before or the whole new file, never a part of one.
    ///
    /// # Errors
    /// When the folder is not writable or full, or a tensor has a type that is not supported.
    pub fn write(&self, path: &Path) -> Result<(), TensorFileError> {
        let mut views = Vec::with_capacity(self.tensors.len());
        for (name, data) in &self.tensors {
            let dtype = to_safetensors(data.dtype()).ok_or_else(|| TensorFileError::Dtype {
                path: path.to_owned(),
                tensor: name.clone(),
                dtype: format!("{:?}", data.dtype()),
            })?;
            let view = TensorView::new(dtype, data.shape().to_vec(), data.as_bytes());
            views.push((name.as_str(), view.map_err(|error| content(path, &error))?));
        }
        // An empty table without tensors would be written as broken JSON.
        let metadata = (!self.metadata.is_empty()).then(|| self.metadata.clone().into_iter().collect());
        let bytes = safetensors::serialize(views, metadata).map_err(|error| content(path, &error))?;
        write_atomically(path, &bytes)
            .map_err(|source| TensorFileError::Write { path: path.to_owned(), source })
    }
}

fn content(path: &Path, error: &safetensors::SafeTensorError) -> TensorFileError {
    TensorFileError::Content { path: path.to_owned(), message: error.to_string() }
}

/// Writes `bytes` under a temporary name beside `path` and renames it: `path` holds either what it held
/// before or all of the new bytes.
///
/// # Errors
/// When the folder is not writable or full.
///
/// # Examples
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("notes.txt");
/// spark_io::write_atomically(&path, b"whole or not at all")?;
/// assert_eq!(std::fs::read(&path)?, b"whole or not at all");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // As for any new file, less what the user's umask takes away; temporary files are private otherwise.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn to_burn(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool(BoolStore::Native),
        _ => return None,
    })
}

fn to_safetensors(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool(BoolStore::Native) => Dtype::BOOL,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::damaged;
    use crate::test_memory::peak;
    use proptest::prelude::*;

    fn sample() -> TensorFile {
        let mut file = TensorFile::default();
        file.tensors.insert("w".into(), TensorData::from([[1.0f32, -2.5], [0.0, f32::MAX]]));
        file.tensors.insert("steps".into(), TensorData::from([7i64]));
        file.metadata.insert("note".into(), "µ".into());
        file
    }

    #[test]
    fn an_empty_file_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.safetensors");
        TensorFile::default().write(&path).unwrap();
        assert_eq!(TensorFile::read(&path).unwrap(), TensorFile::default());
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        sample().write(&path).unwrap();
        let missing = folder.path().join("missing").join("b.safetensors");
        assert!(matches!(sample().write(&missing), Err(TensorFileError::Write { .. })));
        assert_eq!(TensorFile::read(&path).unwrap(), sample());
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "a temporary file was left behind");
    }

    #[test]
    fn every_truncation_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        sample().write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let error = TensorFile::read(&path).unwrap_err();
            assert!(error.to_string().contains("not a valid safetensors file"), "{length}: {error}");
        }
    }

    #[test]
    fn truth_values_are_0_or_1() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let mut file = TensorFile::default();
        file.tensors.insert("mask".into(), TensorData::from([true, false, true]));
        file.write(&path).unwrap();
        assert_eq!(TensorFile::read(&path).unwrap(), file);
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() = 7;
        let error = TensorFile::parse(&bytes, &path).unwrap_err().to_string();
        assert!(error.contains("tensor `mask`, entry 2: found 7, expected 0 or 1"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn mutated_files_never_panic_nor_take_much_memory(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut file = sample();
            file.tensors.insert("mask".into(), TensorData::from([true, false]));
            let views = file.tensors.iter().map(|(name, data)| {
                let dtype = to_safetensors(data.dtype()).unwrap();
                (name.as_str(), TensorView::new(dtype, data.shape().to_vec(), data.as_bytes()).unwrap())
            });
            let bytes = safetensors::serialize(views, None).unwrap();
            for bytes in damaged(&bytes, &changes, &cut) {
                let (read, peak) = peak(|| TensorFile::parse(&bytes, Path::new("x")));
                prop_assert!(peak <= 2 * bytes.len() + 16_384, "{peak}");
                for data in read.into_iter().flat_map(|file| file.tensors.into_values()) {
                    prop_assert_eq!(data.iter::<f64>().count(), data.num_elements());
                }
            }
        }
    }
}
