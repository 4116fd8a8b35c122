//! NumPy archives: arrays by name in one file, as `numpy.load` reads them.

use burn::tensor::{BoolStore, DType, TensorData};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

use crate::npy;
use crate::zip::ZipWriter;

/// Writes an archive array by array, so that only one of them is in memory.
///
/// # Examples
/// ```
/// use burn::tensor::TensorData;
/// use spark_io::npz::NpzWriter;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("run.npz");
/// let mut archive = NpzWriter::create(&path)?;
/// archive.array("potential", &TensorData::from([[1.0f32, 2.0], [3.0, 4.0]]))?;
/// archive.text("names", &["soma", "synapse"])?;
/// archive.finish()?;
/// assert!(path.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct NpzWriter {
    path: PathBuf,
    archive: ZipWriter<BufWriter<NamedTempFile>>,
}

impl NpzWriter {
    /// Begins an archive under a temporary name beside `path`.
    ///
    /// # Errors
    /// When the folder is not writable.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = crate::tensor_file::temporary_beside(path)?;
        Ok(Self { path: path.to_owned(), archive: ZipWriter::new(BufWriter::new(file)) })
    }

    /// Adds an array.
    ///
    /// # Errors
    /// When it cannot be written, or has a type that NumPy does not know.
    pub fn array(&mut self, name: &str, array: &TensorData) -> io::Result<()> {
        let dtype = array.dtype();
        let kind = kind(dtype).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}`: NumPy has no type {dtype:?}"))
        })?;
        let order = match dtype.size() {
            1 => '|',
            _ if cfg!(target_endian = "big") => '>',
            _ => '<',
        };
        let header = npy::header(&format!("{order}{kind}{}", dtype.size()), &array.shape().to_vec());
        self.archive.entry(&format!("{name}.npy"), &[&header, array.as_bytes()])
    }

    /// Adds an array of texts.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn text(&mut self, name: &str, texts: &[impl AsRef<str>]) -> io::Result<()> {
        let width = texts.iter().map(|text| text.as_ref().chars().count()).max().unwrap_or(0).max(1);
        let header = npy::header(&format!("<U{width}"), &[texts.len()]);
        let mut bytes = Vec::with_capacity(4 * width * texts.len());
        for text in texts {
            let signs = text.as_ref().chars().map(u32::from).chain(std::iter::repeat(0)).take(width);
            bytes.extend(signs.flat_map(u32::to_le_bytes));
        }
        self.archive.entry(&format!("{name}.npy"), &[&header, &bytes])
    }

    /// Writes the directory and gives the file its name.
    ///
    /// # Errors
    /// When it cannot be written; an older file of that name is then as it was.
    pub fn finish(self) -> io::Result<()> {
        let file = self.archive.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

/// The letter of a type of number.
fn kind(dtype: DType) -> Option<char> {
    Some(match dtype {
        DType::F64 | DType::F32 | DType::F16 => 'f',
        DType::I64 | DType::I32 | DType::I16 | DType::I8 => 'i',
        DType::U64 | DType::U32 | DType::U16 | DType::U8 => 'u',
        DType::Bool(BoolStore::Native) => 'b',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::Array;
    use crate::zip::Zip;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let mut archive = NpzWriter::create(&path).unwrap();
        archive.array("a/b", &TensorData::from([[1.5f32, -2.0], [0.0, 7.0]])).unwrap();
        archive.array("steps", &TensorData::from([1i64 << 40, -9])).unwrap();
        archive.array("spikes", &TensorData::from([true, false])).unwrap();
        archive.array("none", &TensorData::new(Vec::<u8>::new(), [0, 3])).unwrap();
        archive.text("names", &["µ", "soma"]).unwrap();
        assert!(archive.array("brain", &TensorData::from([burn::tensor::bf16::ONE])).is_err());
        archive.finish().unwrap();

        let bytes = std::fs::read(&path).unwrap();
        let zip = Zip::parse(&bytes).unwrap();
        let names: Vec<_> = zip.entries().iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["a/b.npy", "names.npy", "none.npy", "spikes.npy", "steps.npy"]);
        let array = |name: &str| Array::parse(zip.stored(zip.entry(name).unwrap()).unwrap());
        let values = array("a/b.npy").unwrap();
        assert_eq!((values.shape.clone(), values.floats()), (vec![2, 2], vec![1.5, -2.0, 0.0, 7.0]));
        assert_eq!(array("steps.npy").unwrap().integers().collect::<Vec<_>>(), [1 << 40, -9]);
        assert_eq!(array("spikes.npy").unwrap().integers().collect::<Vec<_>>(), [1, 0]);
        assert_eq!(array("none.npy").unwrap().shape, [0, 3]);
    }
}
