//! What is to be learned, and where its samples come from.

mod find;
mod load;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use std::sync::Arc;

use super::{Source, Split, Subset};

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
    /// [`Saccades`](super::Saccades).
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
}

#[cfg(test)]
mod tests;
