//! Other views of the same samples.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Frames, Source};
use crate::Purpose;

/// Some of the samples of a source.
///
/// # Examples
/// ```
/// use spark_train::data::{RecallTask, Source, Subset};
/// use std::sync::Arc;
///
/// let samples = Arc::new(RecallTask::default().samples(10, 1));
/// let subset = Subset::new(samples.clone(), vec![7, 2]);
/// assert_eq!(subset.labels(), [samples.labels()[7], samples.labels()[2]]);
/// ```
pub struct Subset {
    source: Arc<dyn Source>,
    indices: Vec<usize>,
    labels: Vec<u8>,
}

impl Subset {
    /// The samples of the given indices, in that order.
    ///
    /// # Panics
    /// When an index is not that of a sample.
    pub fn new(source: Arc<dyn Source>, indices: Vec<usize>) -> Self {
        let labels = indices.iter().map(|&index| source.labels()[index]).collect();
        Self { source, indices, labels }
    }
}

impl Source for Subset {
    fn labels(&self) -> &[u8] {
        &self.labels
    }

    fn shape(&self) -> Vec<usize> {
        self.source.shape()
    }

    fn frames(&self) -> usize {
        self.source.frames()
    }

    fn spikes(&self) -> bool {
        self.source.spikes()
    }

    fn sample(&self, index: usize, seed: u64, purpose: Purpose) -> Frames<'_> {
        self.source.sample(self.indices[index], seed, purpose)
    }
}

/// The rows of images one after the other: frames `[channels, width]`, or `[width]` of images of one channel.
///
/// # Examples
/// ```
/// use spark_train::Purpose;
/// use spark_train::data::{Frames, Images, Rows, Source};
/// use std::sync::Arc;
///
/// let images = Images { pixels: (0..8).collect(), labels: vec![0], channels: 2, height: 2, width: 2 };
/// let rows = Rows::new(Arc::new(images));
/// assert_eq!((rows.shape(), rows.frames()), (vec![2, 2], 2));
/// // Row 0 of both channels, then row 1 of both.
/// let expected = Frames::Levels(vec![0, 1, 4, 5, 2, 3, 6, 7].into());
/// assert_eq!(rows.sample(0, 1, Purpose::Evaluate), expected);
/// ```
pub struct Rows {
    images: Arc<dyn Source>,
    /// Channels, height and width of an image.
    extents: [usize; 3],
}

impl Rows {
    /// The rows of every frame of `images`.
    ///
    /// # Panics
    /// When frames are not of the shape `[channels, height, width]`.
    pub fn new(images: Arc<dyn Source>) -> Self {
        let extents = images.shape().try_into().expect("frames of the shape [channels, height, width]");
        Self { images, extents }
    }
}

impl Source for Rows {
    fn labels(&self) -> &[u8] {
        self.images.labels()
    }

    fn shape(&self) -> Vec<usize> {
        let [channels, _, width] = self.extents;
        if channels == 1 { vec![width] } else { vec![channels, width] }
    }

    fn frames(&self) -> usize {
        self.images.frames() * self.extents[1]
    }

    fn sample(&self, index: usize, seed: u64, purpose: Purpose) -> Frames<'_> {
        match self.images.sample(index, seed, purpose) {
            Frames::Levels(levels) => Frames::Levels(by_row(levels, self.extents)),
            Frames::Values(values) => Frames::Values(by_row(values, self.extents)),
        }
    }
}

/// `[frame, channel, row, column]` as `[frame, row, channel, column]`.
fn by_row<T: Copy>(numbers: Cow<'_, [T]>, [channels, height, width]: [usize; 3]) -> Cow<'_, [T]> {
    if channels == 1 {
        return numbers;
    }
    let frames = numbers.chunks_exact(channels * height * width);
    let rows = frames.flat_map(|frame| {
        (0..height).flat_map(move |row| {
            (0..channels).flat_map(move |channel| &frame[(channel * height + row) * width..][..width])
        })
    });
    rows.copied().collect()
}
