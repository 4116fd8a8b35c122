//! Named tensors and text metadata in one safetensors file.

use burn::tensor::{BoolStore, Bytes, DType, Shape, TensorData};
use safetensors::tensor::{Dtype, Metadata, SafeTensorError, SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

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

    /// Reads the metadata of a file and those of its tensors that are `wanted` by name; the others stay on the disk.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    ///
    /// # Examples
    /// ```
    /// # use burn::tensor::TensorData;
    /// # use spark_io::TensorFile;
    /// let mut file = TensorFile::default();
    /// file.tensors.insert("large".into(), TensorData::from([0.0f32; 1000]));
    /// file.tensors.insert("small".into(), TensorData::from([1.0f32]));
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("weights.safetensors");
    /// file.write(&path)?;
    /// assert_eq!(TensorFile::read_some(&path, |name| name == "small")?.tensors.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_some(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self, TensorFileError> {
        let fault = |source| TensorFileError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(fault)?;
        let length = file.metadata().map_err(fault)?.len();
        let mut start = [0; 8];
        if length < 8 {
            return Err(content(path, &SafeTensorError::HeaderTooSmall));
        }
        file.read_exact(&mut start).map_err(fault)?;
        let begin = u64::from_le_bytes(start).saturating_add(8);
        if begin > length {
            return Err(content(path, &SafeTensorError::InvalidHeaderLength));
        }
        let mut header = vec![0; (begin - 8) as usize];
        file.read_exact(&mut header).map_err(fault)?;
        let header: Metadata = serde_json::from_slice(&header)
            .map_err(|error| content(path, &SafeTensorError::InvalidHeaderDeserialization(error)))?;
        if begin + header.data_len() as u64 != length {
            return Err(content(path, &SafeTensorError::MetadataIncompleteBuffer));
        }
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let mut tensors = BTreeMap::new();
        for (name, info) in header.tensors().into_iter().filter(|(name, _)| wanted(name)) {
            let (from, to) = info.data_offsets;
            let mut bytes = vec![0; to - from];
            file.seek(SeekFrom::Start(begin + from as u64)).map_err(fault)?;
            file.read_exact(&mut bytes).map_err(fault)?;
            let data = tensor(path, &name, info.dtype, &info.shape, bytes)?;
            tensors.insert(name, data);
        }
        Ok(Self { metadata, tensors })
    }

    /// The contents of the bytes of a file; `path` names it in errors.
    fn parse(bytes: &[u8], path: &Path) -> Result<Self, TensorFileError> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| content(path, &error))?;
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let mut tensors = BTreeMap::new();
        let views = SafeTensors::deserialize(bytes).map_err(|error| content(path, &error))?;
        for (name, view) in views.iter() {
            let data = tensor(path, name, view.dtype(), view.shape(), view.data().to_vec())?;
            tensors.insert(name.to_owned(), data);
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

/// The tensor `name` of the file `path`, from its bytes.
fn tensor(
    path: &Path,
    name: &str,
    dtype: Dtype,
    shape: &[usize],
    bytes: Vec<u8>,
) -> Result<TensorData, TensorFileError> {
    let known = to_burn(dtype).ok_or_else(|| TensorFileError::Dtype {
        path: path.to_owned(),
        tensor: name.to_owned(),
        dtype: format!("{dtype:?}"),
    })?;
    // Burn takes the bytes for truth values as they are, and panics at others when it reads them.
    if dtype == Dtype::BOOL
        && let Some(at) = bytes.iter().position(|&byte| byte > 1)
    {
        let message = format!("tensor `{name}`, entry {at}: found {}, expected 0 or 1", bytes[at]);
        return Err(TensorFileError::Content { path: path.to_owned(), message });
    }
    Ok(TensorData::from_bytes(Bytes::from_bytes_vec(bytes), Shape::from(shape.to_vec()), known))
}

fn content(path: &Path, error: &SafeTensorError) -> TensorFileError {
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
    let mut file = temporary_beside(path)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// A file of a temporary name that is to become `path`.
pub(crate) fn temporary_beside(path: &Path) -> std::io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // As for any new file, less what the user's umask takes away; temporary files are private otherwise.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
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
            for read in [TensorFile::read(&path), TensorFile::read_some(&path, |_| true)] {
                let error = read.unwrap_err();
                assert!(error.to_string().contains("not a valid safetensors file"), "{length}: {error}");
            }
        }
    }

    #[test]
    fn some_tensors_are_read_without_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        sample().write(&path).unwrap();
        assert_eq!(TensorFile::read_some(&path, |_| true).unwrap(), sample());
        let mut expected = sample();
        expected.tensors.remove("w");
        assert_eq!(TensorFile::read_some(&path, |name| name == "steps").unwrap(), expected);
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
