//! Labelled images.

mod idx;
mod mnist10k;
mod picture;

pub use idx::{read_images, read_labels, read_split};
pub use mnist10k::mnist10k;
pub use picture::read_picture;

use std::path::{Path, PathBuf};

/// Labelled grey-scale images of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Intensities from 0 to 255, image after image, row-major.
    pub pixels: Vec<u8>,
    /// Class of each image, from 0.
    pub labels: Vec<u8>,
    /// Pixels per column.
    pub height: usize,
    /// Pixels per row.
    pub width: usize,
}

/// A training and a test set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Images to learn from.
    pub train: Images,
    /// Images to judge by.
    pub test: Images,
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
    /// A file is not what it should be.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found and expected.
        message: String,
    },
}

impl DataError {
    fn content(path: &Path, message: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), message: message.into() }
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

    /// Pixels per image.
    pub fn size(&self) -> usize {
        self.height * self.width
    }

    /// The pixels of image `index`, row-major.
    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.size()..(index + 1) * self.size()]
    }

    /// Keeps the first `count` images.
    pub fn truncate(&mut self, count: usize) {
        self.labels.truncate(count);
        self.pixels.truncate(self.labels.len() * self.size());
    }
}
