//! Labelled data: images, sequences, event recordings, and what makes more of them.
//!
//! Everything that batches are made of is a [`Source`]: samples of frames over time with a label each.
//!
//! * [`Images`]: IDX files, [folders of PNG pictures](read_image_folder), digits that ship with Spark.
//! * [`Sequences`]: `[time, channels…]` of varying length, from UCR/UEA `.ts` files, arrays, speech features
//!   that ship with Spark, or made up to need memory ([`RecallTask`]).
//! * [`Recordings`] of event cameras (N-MNIST, [DVS-Gesture](read_gestures)) and of a cochlea
//!   ([SHD and SSC](read_spiking_digits)), which [`EventFrames`] puts into frames; [`Saccades`] *simulates* some.
//! * [`AugmentedImages`], [`EventAugment`]: changes that keep the class, new ones every epoch; [`Rows`] of images
//!   one after the other, a [`Subset`] of samples.
//! * [`Images::rotated`], [`Images::permuted`]: data that are no longer what they were.
//!
//! A [`Task`] names one of these in a configuration, and loads it.

mod arrays;
mod augment;
mod event_frames;
mod gestures;
mod idx;
mod image_folder;
mod japanese_vowels;
mod mnist10k;
mod picture;
mod recall;
mod recordings;
mod saccades;
mod sequences;
mod series;
mod shift;
mod source;
mod spiking_digits;
mod task;
mod views;

pub use arrays::{read_arrays, read_labelled_arrays};
pub use augment::{AugmentedImages, EventAugment};
pub use event_frames::{Bins, EventContent, EventFrames, Polarities};
pub use gestures::read_gestures;
pub use idx::{read_images, read_labels, read_split};
pub use image_folder::{ImageFolder, read_image_folder};
pub use japanese_vowels::japanese_vowels;
pub use mnist10k::mnist10k;
pub use picture::read_picture;
pub use recall::RecallTask;
pub use recordings::Recordings;
pub use saccades::Saccades;
pub use sequences::{Scaling, Sequences};
pub use series::{read_series, read_series_split};
pub use source::{Frames, Source};
pub use spiking_digits::read_spiking_digits;
pub use task::{ScalingKind, Task, TaskData};
pub use views::{Rows, Subset};

use spark_io::FormatError;
use spark_io::signals::SignalError;
use std::path::{Path, PathBuf};

use crate::Purpose;

/// Labelled images of one size.
///
/// # Examples
/// ```
/// use spark_train::data::Images;
///
/// let images = Images { pixels: vec![0, 9, 9, 0], labels: vec![1, 0], channels: 1, height: 1, width: 2 };
/// assert_eq!((images.len(), images.size(), images.image(1)), (2, 2, &[9, 0][..]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Intensities from 0 to 255, image after image, each `[channels, height, width]`.
    pub pixels: Vec<u8>,
    /// Class of each image, from 0.
    pub labels: Vec<u8>,
    /// 1 for grey-scale images, 3 for those of red, green and blue.
    pub channels: usize,
    /// Pixels per column.
    pub height: usize,
    /// Pixels per row.
    pub width: usize,
}

/// A training and a test set: of [`Images`], [`Sequences`] and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split<S = Images> {
    /// Samples to learn from.
    pub train: S,
    /// Samples to judge by.
    pub test: S,
}

/// Data that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A folder holds no file of the names that IDX data sets use.
    #[error("{}: no {name} or {name}.gz", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The name expected.
        name: String,
    },
    /// A file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A task is to be loaded from files, and there is no word of where they are.
    #[error("the task `{task}` needs the folder of its files (`data.folder`)")]
    NoFolder {
        /// The task.
        task: &'static str,
    },
    /// A file is not what it should be.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found and expected.
        message: String,
    },
    /// A file in a format of others.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A file of arrays.
    #[error(transparent)]
    Signals(#[from] SignalError),
}

impl DataError {
    fn content(path: &Path, message: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), message: message.into() }
    }
}

/// The most classes that a label can tell apart.
const CLASSES: usize = 256;

/// A class as a label.
fn label(class: usize) -> Result<u8, String> {
    u8::try_from(class).map_err(|_| format!("found class {class}, expected one below {CLASSES}"))
}

impl Source for Images {
    fn labels(&self) -> &[u8] {
        &self.labels
    }

    fn shape(&self) -> Vec<usize> {
        vec![self.channels, self.height, self.width]
    }

    fn frames(&self) -> usize {
        1
    }

    fn sample(&self, index: usize, _: u64, _: Purpose) -> Frames<'_> {
        Frames::Levels(self.image(index).into())
    }
}

impl Images {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Numbers per image: pixels, times channels.
    pub fn size(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The numbers of image `index`, `[channels, height, width]`.
    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.size()..(index + 1) * self.size()]
    }

    /// Keeps the first `count` images.
    pub fn truncate(&mut self, count: usize) {
        self.labels.truncate(count);
        self.pixels.truncate(self.labels.len() * self.size());
    }
}
