//! Signals over time from files: NumPy's `.npy`, `.csv`, and `.safetensors`.

mod csv;

use burn::tensor::TensorData;
use std::path::{Path, PathBuf};

use crate::{TensorFile, TensorFileError, npy};

/// Numbers over time: one row for each step.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The extents of one step; empty where a step is one number.
    pub shape: Vec<usize>,
    /// The numbers, step by step.
    pub values: Vec<f32>,
}

/// What a file of signals holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Signals {
    /// A signal without a name.
    One(Signal),
    /// Signals by name, in the order of their names.
    Named(Vec<(String, Signal)>),
}

/// A file of signals that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// It cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its name does not say what it is.
    #[error("{}: expected a file that ends in .npy, .csv or .safetensors", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// It is not what its name says.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// It is no file of tensors.
    #[error(transparent)]
    Tensors(#[from] TensorFileError),
}

impl Signal {
    /// Number of entries of one step.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.values.len().checked_div(self.width()).unwrap_or(0)
    }

    /// Numbers of the shape `[time, …]`.
    fn new(shape: &[usize], values: Vec<f32>) -> Result<Self, String> {
        let [steps, shape @ ..] = shape else {
            return Err("found a single number, expected one row for each step".to_owned());
        };
        let signal = Self { shape: shape.to_vec(), values };
        if *steps == 0 || signal.width() == 0 {
            return Err(format!(
                "found the shape {:?}, expected at least one number",
                [&[*steps], shape].concat()
            ));
        }
        match signal.values.iter().position(|value| !value.is_finite()) {
            None => Ok(signal),
            Some(at) => {
                let (row, column) = (at / signal.width() + 1, at % signal.width() + 1);
                let value = signal.values[at];
                Err(format!("row {row}, column {column}: found {value}, expected a finite number"))
            }
        }
    }
}

/// Reads signals: the rows of a `.csv` or the first axis of an array are the steps.
///
/// A `.csv` may start with a line of names. What is no finite number is an error; booleans and integers are
/// read as numbers.
///
/// # Errors
/// When the file cannot be read, is not what its name says, or holds what is no finite number: with its row
/// and column, counted from 1.
///
/// # Examples
/// ```
/// use spark_io::signals::{Signals, read};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("signal.csv");
/// std::fs::write(&path, "left,right\n0,0.5\n1,1.5\n2,2.5\n")?;
/// let Signals::One(signal) = read(&path)? else { unreachable!() };
/// assert_eq!((signal.steps(), signal.shape), (3, vec![2]));
/// assert_eq!(signal.values, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
///
/// std::fs::write(&path, "0,0.5\n1,fast\n")?;
/// let error = read(&path).unwrap_err().to_string();
/// assert!(error.ends_with("row 2, column 2: found `fast`, expected a finite number"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: &Path) -> Result<Signals, SignalError> {
    let content = |message: String| SignalError::Content { path: path.to_owned(), message };
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    if ending.as_deref() == Some("safetensors") {
        return named(TensorFile::read(path)?).map_err(content);
    }
    let bytes = || std::fs::read(path).map_err(|source| SignalError::Read { path: path.to_owned(), source });
    let (shape, values) = match ending.as_deref() {
        Some("npy") => npy::Array::parse(&bytes()?).map(|array| (array.shape.clone(), array.floats())),
        Some("csv") => csv::parse(&bytes()?),
        _ => return Err(SignalError::Format { path: path.to_owned() }),
    }
    .map_err(content)?;
    Signal::new(&shape, values).map(Signals::One).map_err(content)
}

fn named(file: TensorFile) -> Result<Signals, String> {
    let signal = |(name, data): (String, TensorData)| {
        let (shape, values) = (data.shape().to_vec(), data.iter::<f32>().collect());
        let signal = Signal::new(&shape, values).map_err(|message| format!("tensor `{name}`: {message}"))?;
        Ok((name, signal))
    };
    let signals: Vec<_> = file.tensors.into_iter().map(signal).collect::<Result<_, String>>()?;
    if signals.is_empty() { Err("found no tensors".to_owned()) } else { Ok(Signals::Named(signals)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(name: &str, bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read(&path).unwrap_err().to_string()
    }

    #[test]
    fn wrong_files_are_explained() {
        assert!(error("a.txt", b"1").contains("expected a file that ends in .npy, .csv or .safetensors"));
        assert!(error("a.safetensors", b"1").contains("not a valid safetensors file"));
        assert!(error("a.csv", b"").contains("expected at least one number"));
        assert!(error("a.csv", b"1,2\n3,nan\n").contains("row 2, column 2: found `nan`"));
        assert!(read(Path::new("/nowhere/a.npy")).unwrap_err().to_string().contains("/nowhere/a.npy"));
    }

    #[test]
    fn tensors_are_read_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let mut file = TensorFile::default();
        file.tensors.insert("b".into(), TensorData::from([[1i32, 0], [0, 1]]));
        file.tensors.insert("a".into(), TensorData::from([0.5f64]));
        file.write(&path).unwrap();
        let Signals::Named(signals) = read(&path).unwrap() else { panic!("by name") };
        assert_eq!(signals[0], ("a".to_owned(), Signal { shape: vec![], values: vec![0.5] }));
        assert_eq!(signals[1].1, Signal { shape: vec![2], values: vec![1.0, 0.0, 0.0, 1.0] });
        file.tensors.insert("c".into(), TensorData::from([[1.0f32], [f32::NAN]]));
        file.write(&path).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("tensor `c`: row 2, column 1: found NaN"), "{error}");
    }
}
