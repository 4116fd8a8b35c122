//! The samples of a task.

use std::path::Path;
use std::sync::Arc;

use super::{ScalingKind, Task, TaskData};
use crate::data::{
    self, AugmentedImages, Bins, DataError, EventFrames, Images, Polarities, Recordings, Rows, Saccades,
    Scaling, Sequences, Source, Split, Subset,
};

impl Task {
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
                let read = |part: &str| data::read_image_folder(&folder.join(part), height, width, colour);
                let (train, test) = (read("train")?, read("test")?);
                same_classes(folder, &train.classes, &test.classes)?;
                let split = Split { train: train.images, test: test.images };
                Ok(images(split, flip, shift, false, train.classes))
            }
            Self::JapaneseVowels { scaling } => {
                let split = data::japanese_vowels()?;
                let classes = (1..=9).map(|speaker| format!("speaker {speaker}")).collect();
                Ok(TaskData { classes, ..scaling.apply(split).into() })
            }
            Self::Series { name, scaling } => {
                let (split, classes) = data::read_series_split(needed()?, name)?;
                Ok(TaskData { classes, ..scaling.apply(split).into() })
            }
            Self::Arrays { test, scaling } => {
                let path = needed()?;
                let all = data::read_labelled_arrays(path)?;
                arrays(path, all, *test, *scaling, seed)
            }
            &Self::Recall { cue, pause, noise, samples } => {
                let task = data::RecallTask { cue, pause, noise };
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
                let read = |part: &str| data::read_spiking_digits(&folder.join(format!("{name}_{part}.h5")));
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
                    let recordings = Arc::new(data::read_gestures(&folder.join(list))?);
                    let frames = EventFrames::new(recordings, Bins::Equal { count: frames });
                    Ok(EventFrames { shrink, ..frames })
                };
                let (train, test) = (part("trials_to_train.txt")?, part("trials_to_test.txt")?);
                Ok(Split { train, test }.into())
            }
        }
    }
}

fn digits(folder: Option<&Path>) -> Result<Split, DataError> {
    match folder {
        None => data::mnist10k(),
        Some(folder) => data::read_split(folder),
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
