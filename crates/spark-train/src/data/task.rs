//! What is to be learned, and where its samples come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    AugmentedImages, Bins, DataError, EventFrames, Images, Polarities, Recordings, Rows, Saccades, Scaling,
    Sequences, Source, Split, Subset,
};

/// A task: which samples are to be told apart.
///
/// Those with files find them in the folder of [`DataConfig`](crate::DataConfig); [`Task::at`] tells from a
/// file or folder which task it holds.
///
/// # Examples
/// ```
/// use spark_train::data::Task;
///
/// let task: Task = serde_json::from_str(r#"{"kind": "recall", "pause": 20}"#)?;
/// let data = task.load(None, 1)?;
/// assert_eq!((data.train.shape(), data.train.frames()), (vec![4], 32));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Images in the IDX files of a folder in the layout of MNIST; without a folder the digits that ship with
    /// Spark.
    Mnist {
        /// Whether images are shown row by row, each for as many steps as there are, instead of at once.
        #[serde(default)]
        rows: bool,
        /// Probability of left and right being exchanged in training.
        #[serde(default)]
        flip: f32,
        /// The most pixels by which an image moves in each direction in training.
        #[serde(default)]
        shift: u16,
    },
    /// PNG pictures `train/CLASS/NAME.png` and `test/CLASS/NAME.png` of a folder.
    Pictures {
        /// Rows to which pictures are resized.
        height: usize,
        /// Columns to which pictures are resized.
        width: usize,
        /// Whether red, green and blue are channels of their own.
        #[serde(default)]
        colour: bool,
        /// Probability of left and right being exchanged in training.
        #[serde(default)]
        flip: f32,
        /// The most pixels by which a picture moves in each direction in training.
        #[serde(default)]
        shift: u16,
    },
    /// The speakers of Japanese vowels, by 12 cepstral coefficients over 7 to 29 frames; ships with Spark.
    JapaneseVowels {
        /// How channels are scaled.
        #[serde(default)]
        scaling: ScalingKind,
    },
    /// Time series in the `.ts` files `NAME_TRAIN` and `NAME_TEST` of a folder, as the UCR and UEA archives have
    /// them.
    Series {
        /// The name.
        name: String,
        /// How channels are scaled.
        #[serde(default)]
        scaling: ScalingKind,
    },
    /// Arrays of one file (`.npz`, `.safetensors` with `inputs`, `labels` and perhaps `lengths`; `.csv`, `.npy`
    /// with the class in the last column); the folder is that file.
    Arrays {
        /// Fraction of the samples that is set aside for the test.
        #[serde(default = "a_fifth")]
        test: f64,
        /// How channels are scaled.
        #[serde(default)]
        scaling: ScalingKind,
    },
    /// Two cues with a pause between them, alike or not; see [`RecallTask`](super::RecallTask). Made up.
    Recall {
        /// Steps of each cue.
        #[serde(default = "four")]
        cue: usize,
        /// Steps between the cues.
        #[serde(default = "twelve")]
        pause: usize,
        /// Probability of a spike of the distractor at each step.
        #[serde(default = "a_fifth_single")]
        noise: f32,
        /// Training samples; a quarter as many are for the test.
        #[serde(default = "two_thousand")]
        samples: usize,
    },
    /// *Simulated* recordings of an event camera that looks at the images of MNIST's layout, in frames; see
    /// [`Saccades`].
    Saccades {
        /// Frames, bins of 300 ms over their number.
        #[serde(default = "ten")]
        frames: usize,
    },
    /// Recordings of an event camera in `Train/CLASS` and `Test/CLASS` of a folder, such as N-MNIST's, in frames
    /// of equal duration.
    Events {
        /// Columns of the sensor.
        #[serde(default = "nmnist")]
        width: u16,
        /// Rows of the sensor.
        #[serde(default = "nmnist")]
        height: u16,
        /// Frames.
        #[serde(default = "ten")]
        frames: usize,
    },
    /// Spoken digits or words as spikes of a cochlea, in the files `NAME_train.h5` and `NAME_test.h5` of a folder,
    /// such as `shd_train.h5`; in frames of equal duration, `[1, 1, 700]`.
    SpikingSpeech {
        /// The name, such as `shd`.
        #[serde(default = "shd")]
        name: String,
        /// Frames; spikes after the last are left out.
        #[serde(default = "a_hundred")]
        frames: usize,
        /// Duration of a frame, in ms.
        #[serde(default = "ten_ms")]
        bin: f64,
    },
    /// DVS-Gesture as it is published, in frames of equal duration.
    Gestures {
        /// Frames.
        #[serde(default = "ten")]
        frames: usize,
        /// So many columns and rows of the 128 × 128 become one.
        #[serde(default = "four_pixels")]
        shrink: u16,
    },
}

/// How the numbers of sequences are scaled, each channel by what it is in the training set.
///
/// # Examples
/// ```
/// use spark_train::data::ScalingKind;
///
/// assert_eq!(serde_json::from_str::<ScalingKind>("\"unit\"")?, ScalingKind::Unit);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScalingKind {
    /// To mean 0 and standard deviation 1.
    #[default]
    Standard,
    /// To `[0, 1]`.
    Unit,
    /// Not at all.
    None,
}

/// The samples of a task.
///
/// # Examples
/// ```
/// use spark_train::data::{self, Source, TaskData};
///
/// let data = TaskData::from(data::mnist10k()?);
/// assert_eq!((data.train.labels().len(), data.class_count()), (8000, 10));
/// # Ok::<(), data::DataError>(())
/// ```
#[derive(Clone)]
pub struct TaskData {
    /// Samples to learn from.
    pub train: Arc<dyn Source>,
    /// Samples to judge by.
    pub test: Arc<dyn Source>,
    /// Names of the classes in order; none where they are numbers.
    pub classes: Vec<String>,
}

fn shd() -> String {
    "shd".into()
}

fn a_hundred() -> usize {
    100
}

fn ten_ms() -> f64 {
    10.0
}

fn a_fifth() -> f64 {
    0.2
}

fn a_fifth_single() -> f32 {
    0.2
}

fn four() -> usize {
    4
}

fn four_pixels() -> u16 {
    4
}

fn ten() -> usize {
    10
}

fn twelve() -> usize {
    12
}

fn two_thousand() -> usize {
    2000
}

fn nmnist() -> u16 {
    34
}

impl Default for Task {
    fn default() -> Self {
        Self::Mnist { rows: false, flip: 0.0, shift: 0 }
    }
}

impl<S: Source> From<Split<S>> for TaskData {
    fn from(split: Split<S>) -> Self {
        Self { train: Arc::new(split.train), test: Arc::new(split.test), classes: Vec::new() }
    }
}

impl std::fmt::Debug for TaskData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = [self.train.labels().len(), self.test.labels().len()];
        f.debug_struct("TaskData")
            .field("shape", &self.train.shape())
            .field("frames", &self.train.frames())
            .field("samples", &counts)
            .finish()
    }
}

impl TaskData {
    /// How many classes the labels, or their names, tell apart.
    pub fn class_count(&self) -> usize {
        let labels = self.train.labels().iter().chain(self.test.labels());
        labels.max().map_or(0, |&label| usize::from(label) + 1).max(self.classes.len())
    }

    /// The name of a class.
    pub fn class(&self, class: usize) -> String {
        self.classes.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// The first so many samples of each part; all where there is no limit.
    #[must_use]
    pub fn limited(self, train: Option<usize>, test: Option<usize>) -> Self {
        let first = |source: Arc<dyn Source>, limit: Option<usize>| match limit {
            Some(limit) if limit < source.labels().len() => {
                Arc::new(Subset::new(source, (0..limit).collect())) as Arc<dyn Source>
            }
            _ => source,
        };
        Self { train: first(self.train, train), test: first(self.test, test), classes: self.classes }
    }
}

impl Task {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        let field = |name: &str| format!("{path}.{name}");
        match *self {
            Self::Mnist { flip, .. } => problems.unit_interval(field("flip"), flip),
            Self::Pictures { height, width, flip, .. } => {
                problems.positive(field("height"), height);
                problems.positive(field("width"), width);
                problems.unit_interval(field("flip"), flip);
            }
            Self::JapaneseVowels { .. } | Self::Series { .. } => {}
            Self::Arrays { test, .. } => {
                if !(test > 0.0 && test < 1.0) {
                    problems.push(field("test"), test, "a fraction above 0 and below 1");
                }
            }
            Self::Recall { cue, noise, samples, .. } => {
                problems.positive(field("cue"), cue);
                problems.unit_interval(field("noise"), noise);
                if samples < 8 {
                    problems.push(field("samples"), samples, "at least 8");
                }
            }
            Self::Saccades { frames } => problems.positive(field("frames"), frames),
            Self::Events { width, height, frames } => {
                problems.positive(field("width"), usize::from(width));
                problems.positive(field("height"), usize::from(height));
                problems.positive(field("frames"), frames);
            }
            Self::SpikingSpeech { frames, bin, .. } => {
                problems.positive(field("frames"), frames);
                if !(0.001..=1000.0).contains(&bin) {
                    problems.push(field("bin"), bin, "a duration from 0.001 to 1000 ms");
                }
            }
            Self::Gestures { frames, shrink } => {
                problems.positive(field("frames"), frames);
                problems.positive(field("shrink"), usize::from(shrink));
            }
        }
    }

    /// Loads the samples; those that are made up or shuffled follow `seed`.
    ///
    /// # Errors
    /// When the task needs files and `folder` is absent, or they cannot be read.
    pub fn load(&self, folder: Option<&Path>, seed: u64) -> Result<TaskData, DataError> {
        let needed = || folder.ok_or_else(|| DataError::NoFolder { task: self.name() });
        match self {
            &Self::Mnist { rows, flip, shift } => {
                let split = digits(folder)?;
                Ok(images(split, flip, shift, rows, Vec::new()))
            }
            &Self::Pictures { height, width, colour, flip, shift } => {
                let folder = needed()?;
                let read = |part: &str| super::read_image_folder(&folder.join(part), height, width, colour);
                let (train, test) = (read("train")?, read("test")?);
                same_classes(folder, &train.classes, &test.classes)?;
                let split = Split { train: train.images, test: test.images };
                Ok(images(split, flip, shift, false, train.classes))
            }
            Self::JapaneseVowels { scaling } => {
                let split = super::japanese_vowels()?;
                let classes = (1..=9).map(|speaker| format!("speaker {speaker}")).collect();
                Ok(TaskData { classes, ..scaling.apply(split).into() })
            }
            Self::Series { name, scaling } => {
                let (split, classes) = super::read_series_split(needed()?, name)?;
                Ok(TaskData { classes, ..scaling.apply(split).into() })
            }
            Self::Arrays { test, scaling } => {
                let path = needed()?;
                let all = super::read_labelled_arrays(path)?;
                arrays(path, all, *test, *scaling, seed)
            }
            &Self::Recall { cue, pause, noise, samples } => {
                let task = super::RecallTask { cue, pause, noise };
                let train = task.samples(samples, seed);
                // Another seed, so that no sample of the test was learned from.
                let test = task.samples(samples / 4, seed ^ 0x7e57);
                let classes = ["alike", "different"].map(str::to_owned).into();
                Ok(TaskData { classes, ..Split { train, test }.into() })
            }
            &Self::Saccades { frames } => {
                let split = digits(folder)?;
                let part = |images: &Images, seed: u64| {
                    let recordings = Arc::new(Saccades::default().recordings(images, seed));
                    let micros = (300_000 / frames.max(1)).max(1) as u32;
                    EventFrames::new(recordings, Bins::Fixed { micros, count: frames })
                };
                let (train, test) = (part(&split.train, seed), part(&split.test, seed ^ 0x7e57));
                Ok(Split { train, test }.into())
            }
            &Self::Events { width, height, frames } => {
                let folder = needed()?;
                let read = |part: &str| Recordings::read(&folder.join(part), width, height);
                let ((train, classes), (test, others)) = (read("Train")?, read("Test")?);
                same_classes(folder, &classes, &others)?;
                let part = |recordings| EventFrames::new(Arc::new(recordings), Bins::Equal { count: frames });
                Ok(TaskData { classes, ..Split { train: part(train), test: part(test) }.into() })
            }
            Self::SpikingSpeech { name, frames, bin } => {
                let folder = needed()?;
                let read = |part: &str| super::read_spiking_digits(&folder.join(format!("{name}_{part}.h5")));
                let ((train, classes), (test, others)) = (read("train")?, read("test")?);
                same_classes(folder, &classes, &others)?;
                let bins = Bins::Fixed { micros: (bin * 1000.0).round() as u32, count: *frames };
                let part = |recordings| EventFrames {
                    polarities: Polarities::Merged,
                    ..EventFrames::new(Arc::new(recordings), bins)
                };
                Ok(TaskData { classes, ..Split { train: part(train), test: part(test) }.into() })
            }
            &Self::Gestures { frames, shrink } => {
                let folder = needed()?;
                let part = |list: &str| -> Result<EventFrames, DataError> {
                    let recordings = Arc::new(super::read_gestures(&folder.join(list))?);
                    let frames = EventFrames::new(recordings, Bins::Equal { count: frames });
                    Ok(EventFrames { shrink, ..frames })
                };
                let (train, test) = (part("trials_to_train.txt")?, part("trials_to_test.txt")?);
                Ok(Split { train, test }.into())
            }
        }
    }

    /// The name of its kind, with dashes.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mnist { .. } => "mnist",
            Self::Pictures { .. } => "pictures",
            Self::JapaneseVowels { .. } => "japanese-vowels",
            Self::Series { .. } => "series",
            Self::Arrays { .. } => "arrays",
            Self::Recall { .. } => "recall",
            Self::Saccades { .. } => "saccades",
            Self::Events { .. } => "events",
            Self::SpikingSpeech { .. } => "spiking-speech",
            Self::Gestures { .. } => "gestures",
        }
    }

    /// Whether a sample is a sequence by itself, which is shown a step a frame.
    pub fn is_temporal(&self) -> bool {
        !matches!(self, Self::Mnist { rows: false, .. } | Self::Pictures { .. })
    }

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

fn digits(folder: Option<&Path>) -> Result<Split, DataError> {
    match folder {
        None => super::mnist10k(),
        Some(folder) => super::read_split(folder),
    }
}

fn images(split: Split, flip: f32, shift: u16, rows: bool, classes: Vec<String>) -> TaskData {
    let train: Arc<dyn Source> = if flip > 0.0 || shift > 0 {
        Arc::new(AugmentedImages { images: Arc::new(split.train), flip, shift })
    } else {
        Arc::new(split.train)
    };
    let test: Arc<dyn Source> = Arc::new(split.test);
    let by_row = |source| if rows { Arc::new(Rows::new(source)) as Arc<dyn Source> } else { source };
    TaskData { train: by_row(train), test: by_row(test), classes }
}

fn same_classes(folder: &Path, train: &[String], test: &[String]) -> Result<(), DataError> {
    if train == test {
        return Ok(());
    }
    Err(DataError::content(folder, format!("classes {test:?} for the test, {train:?} for training")))
}

fn arrays(
    path: &Path,
    all: Sequences,
    test: f64,
    scaling: ScalingKind,
    seed: u64,
) -> Result<TaskData, DataError> {
    let indices: Vec<usize> = (0..all.len()).collect();
    let mut train = crate::batches::shuffled(&indices, seed, usize::MAX);
    let test = train.split_off(all.len() - (test * all.len() as f64).ceil() as usize);
    if train.is_empty() {
        let message = format!("found {} samples, expected enough for training and test", all.len());
        return Err(DataError::content(path, message));
    }
    // Sequences of training and test are scaled alike, by what the training ones are.
    let scaled = match scaling.of(&all.only(&train)) {
        Some(scaling) => all.scaled(&scaling),
        None => all,
    };
    let source: Arc<dyn Source> = Arc::new(scaled);
    let part = |indices| Arc::new(Subset::new(Arc::clone(&source), indices)) as Arc<dyn Source>;
    Ok(TaskData { train: part(train), test: part(test), classes: Vec::new() })
}

impl ScalingKind {
    fn of(self, train: &Sequences) -> Option<Scaling> {
        match self {
            Self::Standard => Some(Scaling::standard(train)),
            Self::Unit => Some(Scaling::unit(train)),
            Self::None => None,
        }
    }

    fn apply(self, split: Split<Sequences>) -> Split<Sequences> {
        match self.of(&split.train) {
            Some(scaling) => Split { train: split.train.scaled(&scaling), test: split.test.scaled(&scaling) },
            None => split,
        }
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
