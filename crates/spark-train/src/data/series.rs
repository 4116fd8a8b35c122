//! Time series of the UCR and UEA archives as sequences.

use spark_io::series::{self, LabelledSeries};
use std::path::Path;

use super::{DataError, Sequences, Source, Split};

/// Reads labelled time series in UCR/UEA `.ts`, plain or packed with gzip, with the names of the classes.
///
/// # Errors
/// When the file cannot be read or is not in that format, or has more than 256 classes.
///
/// # Examples
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("two.ts");
/// std::fs::write(&path, "@classLabel true low high\n@data\n1,2,3:4,5,6:high\n7:8:low\n")?;
/// let (sequences, classes) = spark_train::data::read_series(&path)?;
/// assert_eq!(sequences.sequence(0), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// assert_eq!(classes, ["low", "high"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_series(path: &Path) -> Result<(Sequences, Vec<String>), DataError> {
    let series = series::read(path)?;
    let sequences = sequences(&series).map_err(|message| DataError::content(path, message))?;
    Ok((sequences, series.classes))
}

/// Series with their labels as numbers.
pub(super) fn sequences(series: &LabelledSeries) -> Result<Sequences, String> {
    let mut sequences = Sequences::new(&[series.channels]);
    let mut rest = &series.values[..];
    for (&steps, &label) in series.steps.iter().zip(&series.labels) {
        let (sequence, others) = rest.split_at(steps as usize * series.channels);
        sequences.push(sequence, label.into())?;
        rest = others;
    }
    Ok(sequences)
}

/// Reads `NAME_TRAIN.ts` and `NAME_TEST.ts` of a folder, each plain or with `.gz`; batches of both are as long
/// as the longest sequence of either.
///
/// # Errors
/// Those of [`read_series`], and when channels or classes of the two differ.
///
/// # Examples
/// ```
/// let folder = tempfile::tempdir()?;
/// let text = "@classLabel true a b\n@data\n1,2:3,4:a\n5:6:b\n";
/// for part in ["TRAIN", "TEST"] {
///     std::fs::write(folder.path().join(format!("Pairs_{part}.ts")), text)?;
/// }
/// let (split, classes) = spark_train::data::read_series_split(folder.path(), "Pairs")?;
/// assert_eq!((split.train.len(), split.test.len(), classes.len()), (2, 2, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_series_split(folder: &Path, name: &str) -> Result<(Split<Sequences>, Vec<String>), DataError> {
    let read = |part: &str| {
        let name = format!("{name}_{part}.ts");
        let files = [folder.join(&name), folder.join(format!("{name}.gz"))];
        let file = files.into_iter().find(|path| path.is_file());
        read_series(&file.ok_or_else(|| DataError::Missing { folder: folder.to_owned(), name })?)
    };
    let ((train, classes), (test, test_classes)) = (read("TRAIN")?, read("TEST")?);
    if (train.width(), &classes) != (test.width(), &test_classes) {
        let message = format!(
            "test series of {} channels and classes {test_classes:?}, training series of {} and {classes:?}",
            test.width(),
            train.width()
        );
        return Err(DataError::content(folder, message));
    }
    let frames = train.frames().max(test.frames());
    Ok((Split { train: train.at_least(frames), test: test.at_least(frames) }, classes))
}
