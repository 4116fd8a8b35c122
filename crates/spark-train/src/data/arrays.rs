//! Arrays of numbers as samples: `.safetensors`, `.npy` and `.csv`.

use spark_io::signals::{self, Signal, Signals};
use std::path::Path;

use super::{DataError, Sequences};

/// Reads samples and labels from one file.
///
/// - `.safetensors` with the tensors `inputs` and `labels [samples]`, and `lengths [samples]` where sequences
///   are shorter than the tensor.
/// - `.csv` with a sample in each row and its class, from 0, in the last column.
///
/// Inputs of one or two axes, `[samples, features]`, are samples of one frame; those of more are sequences
/// `[samples, time, …]`.
///
/// # Errors
/// When the file cannot be read, is not in its format, lacks a tensor, or holds a number that is not finite, or
/// a label that is no class from 0 to 255: with the sample.
///
/// # Examples
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("points.csv");
/// std::fs::write(&path, "width,height,class\n0.1,0.9,0\n0.8,0.2,1\n")?;
/// let points = spark_train::data::read_labelled_arrays(&path)?;
/// assert_eq!((points.len(), points.sequence(1)), (2, &[0.8, 0.2][..]));
///
/// std::fs::write(&path, "0.1,0.9,0\n0.8,0.2,0.5\n")?;
/// let error = spark_train::data::read_labelled_arrays(&path).unwrap_err().to_string();
/// assert!(error.ends_with("label of sample 1: found 0.5, expected a class from 0 to 255"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_labelled_arrays(path: &Path) -> Result<Sequences, DataError> {
    let content = |message: String| DataError::content(path, message);
    match signals::read(path)? {
        Signals::One(table) => {
            let (inputs, labels) = last_column(&table).map_err(content)?;
            sequences(&inputs, &labels, None).map_err(content)
        }
        Signals::Named(tensors) => {
            let tensor =
                |name: &str| tensors.iter().find(|(found, _)| found == name).map(|(_, tensor)| tensor);
            let names: Vec<_> = tensors.iter().map(|(name, _)| name.as_str()).collect();
            let (Some(inputs), Some(labels)) = (tensor("inputs"), tensor("labels")) else {
                return Err(content(format!("found the tensors {names:?}, expected `inputs` and `labels`")));
            };
            sequences(inputs, labels, tensor("lengths")).map_err(content)
        }
    }
}

/// Reads samples from one file, `.npy` or `.csv`, and their labels from another.
///
/// # Errors
/// Those of [`read_labelled_arrays`].
///
/// # Examples
/// ```
/// let folder = tempfile::tempdir()?;
/// let (inputs, labels) = (folder.path().join("x.csv"), folder.path().join("y.csv"));
/// std::fs::write(&inputs, "0.1,0.9\n0.8,0.2\n")?;
/// std::fs::write(&labels, "3\n1\n")?;
/// let points = spark_train::data::read_arrays(&inputs, &labels)?;
/// assert_eq!(spark_train::data::Source::labels(&points), [3, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_arrays(inputs: &Path, labels: &Path) -> Result<Sequences, DataError> {
    let one = |path: &Path| match signals::read(path)? {
        Signals::One(signal) => Ok(signal),
        Signals::Named(_) => Err(DataError::content(path, "found named tensors, expected one array")),
    };
    sequences(&one(inputs)?, &one(labels)?, None).map_err(|message| DataError::content(inputs, message))
}

/// A table as its first columns and its last.
fn last_column(table: &Signal) -> Result<(Signal, Signal), String> {
    let columns = table.width();
    if table.shape.len() != 1 || columns < 2 {
        return Err(format!(
            "found rows of the shape {:?}, expected at least a number and a class",
            table.shape
        ));
    };
    let rows = table.values.chunks_exact(columns);
    let inputs = rows.clone().flat_map(|row| &row[..columns - 1]).copied().collect();
    let labels = rows.map(|row| row[columns - 1]).collect();
    Ok((Signal { shape: vec![columns - 1], values: inputs }, Signal { shape: Vec::new(), values: labels }))
}

fn sequences(inputs: &Signal, labels: &Signal, lengths: Option<&Signal>) -> Result<Sequences, String> {
    let samples = inputs.steps();
    let (frames, shape) = match &inputs.shape[..] {
        [] => (1, &[1][..]),
        features @ [_] => (1, features),
        [frames, shape @ ..] => (*frames, shape),
    };
    let column = |signal: &Signal, what: &str| {
        if signal.width() == 1 && signal.steps() == samples {
            return Ok(());
        }
        let found = [&[signal.steps()], &signal.shape[..]].concat();
        Err(format!("found {what} of the shape {found:?} for {samples} samples"))
    };
    column(labels, "labels")?;
    if let Some(lengths) = lengths {
        column(lengths, "lengths")?;
    }
    let mut sequences = Sequences::new(shape);
    for (index, values) in inputs.values.chunks_exact(inputs.width()).enumerate() {
        let class = whole(labels.values[index], 0..=255);
        let class = class.ok_or_else(|| {
            format!("label of sample {index}: found {}, expected a class from 0 to 255", labels.values[index])
        })?;
        let length = lengths.map_or(Some(frames), |lengths| whole(lengths.values[index], 1..=frames));
        let length =
            length.ok_or_else(|| format!("length of sample {index}: expected one from 1 to {frames}"))?;
        sequences.push(&values[..length * sequences.width()], class)?;
    }
    Ok(sequences)
}

/// A whole number within bounds.
fn whole(value: f32, bounds: std::ops::RangeInclusive<usize>) -> Option<usize> {
    let number = value as usize;
    (number as f32 == value && bounds.contains(&number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use spark_io::TensorFile;

    #[test]
    fn tensors_with_lengths_are_sequences() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let mut file = TensorFile::default();
        file.tensors.insert("inputs".into(), TensorData::from([[[1.0f32], [2.0]], [[3.0], [0.0]]]));
        file.tensors.insert("labels".into(), TensorData::from([4i64, 0]));
        file.tensors.insert("lengths".into(), TensorData::from([2i64, 1]));
        file.write(&path).unwrap();
        let sequences = read_labelled_arrays(&path).unwrap();
        assert_eq!((sequences.sequence(0), sequences.sequence(1)), (&[1.0, 2.0][..], &[3.0][..]));
        file.tensors.insert("lengths".into(), TensorData::from([2i64, 3]));
        file.write(&path).unwrap();
        assert!(read_labelled_arrays(&path).unwrap_err().to_string().contains("length of sample 1"));
        file.tensors.insert("labels".into(), TensorData::from([4i64, -1]));
        file.write(&path).unwrap();
        assert!(read_labelled_arrays(&path).unwrap_err().to_string().contains("label of sample 1: found -1"));
        file.tensors.insert("labels".into(), TensorData::from([4i64]));
        file.write(&path).unwrap();
        let error = read_labelled_arrays(&path).unwrap_err().to_string();
        assert!(error.contains("labels of the shape [1] for 2 samples"), "{error}");
        file.tensors.remove("labels");
        file.write(&path).unwrap();
        assert!(
            read_labelled_arrays(&path).unwrap_err().to_string().contains("expected `inputs` and `labels`")
        );
    }
}
