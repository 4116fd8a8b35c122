//! Which task a file or folder holds.

use std::path::{Path, PathBuf};

use super::{ScalingKind, Task, a_fifth, a_hundred, four_pixels, nmnist, ten, ten_ms};
use crate::data::DataError;

impl Task {
    /// The task that the file or folder `path` holds, and where to load it from.
    ///
    /// A file is a table of arrays, or one of the two of a task of time series. A folder holds IDX files, time
    /// series, lists of gestures, or folders of classes with recordings or pictures in `Train` and `Test` or
    /// `train` and `test`.
    ///
    /// # Errors
    /// When it is nothing of that kind.
    ///
    /// # Examples
    /// ```
    /// use spark_train::data::Task;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("table.csv");
    /// std::fs::write(&path, "0.1,0.2,0\n0.3,0.1,1\n")?;
    /// let (task, from) = Task::at(&path)?;
    /// assert_eq!((task.name(), from), ("arrays", path));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at(path: &Path) -> Result<(Self, PathBuf), DataError> {
        let unknown = |found: &str| {
            let expected = "IDX files, NAME_TRAIN.ts and NAME_TEST.ts, NAME_train.h5 and NAME_test.h5, \
                            trials_to_train.txt, Train/CLASS and \
                            Test/CLASS with recordings or pictures, or a file .npz, .safetensors, .csv, .npy or .ts";
            DataError::content(path, format!("found {found}, expected {expected}"))
        };
        if path.is_dir() {
            return Self::in_folder(path)
                .map(|task| (task, path.to_owned()))
                .ok_or_else(|| unknown("a folder with none of the data sets that Spark knows"));
        }
        if !path.exists() {
            return Err(unknown("nothing there"));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(name) = series_name(&name) {
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            return Ok((Self::Series { name, scaling: ScalingKind::default() }, folder));
        }
        let arrays = [".npz", ".safetensors", ".csv", ".npy"];
        if arrays.iter().any(|ending| name.ends_with(ending)) {
            return Ok((Self::Arrays { test: a_fifth(), scaling: ScalingKind::None }, path.to_owned()));
        }
        Err(unknown("a file of another kind"))
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        let names = names(folder);
        let has = |start: &str| names.iter().any(|name| name.starts_with(start));
        if has("train-images-idx3-ubyte") {
            return Some(Self::default());
        }
        if has("trials_to_train.txt") {
            return Some(Self::Gestures { frames: ten(), shrink: four_pixels() });
        }
        if let Some(name) = names.iter().find_map(|name| name.strip_suffix("_train.h5")) {
            return Some(Self::SpikingSpeech { name: name.into(), frames: a_hundred(), bin: ten_ms() });
        }
        if let Some(name) = names.iter().find_map(|name| series_name(name)) {
            return Some(Self::Series { name, scaling: ScalingKind::default() });
        }
        if has("Train") && has("Test") {
            return Some(Self::Events { width: nmnist(), height: nmnist(), frames: ten() });
        }
        if has("train") && has("test") {
            let class = names_of_folders(&folder.join("train")).into_iter().next()?;
            let picture = std::fs::read_dir(class).ok()?.flatten().map(|entry| entry.path());
            let picture =
                picture.filter(|path| path.extension().is_some_and(|ending| ending == "png")).min()?;
            // As large as they are; a task in the configuration may say otherwise.
            let (width, height) = image::image_dimensions(picture).ok()?;
            let (height, width) = (height as usize, width as usize);
            return Some(Self::Pictures { height, width, colour: false, flip: 0.0, shift: 0 });
        }
        None
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn names_of_folders(folder: &Path) -> Vec<PathBuf> {
    names(folder).into_iter().map(|name| folder.join(name)).filter(|path| path.is_dir()).collect()
}

/// `NAME` of `NAME_TRAIN.ts` and the like.
fn series_name(file: &str) -> Option<String> {
    let stem = file.strip_suffix(".gz").unwrap_or(file).strip_suffix(".ts")?;
    let name = stem.strip_suffix("_TRAIN").or_else(|| stem.strip_suffix("_TEST"))?;
    Some(name.to_owned())
}
