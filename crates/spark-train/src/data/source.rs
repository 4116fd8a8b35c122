//! What batches are made of.

use std::borrow::Cow;

use crate::Purpose;

/// The frames of a sample, one after the other, each of the shape that its source states.
///
/// # Examples
/// ```
/// use spark_train::data::Frames;
///
/// assert_eq!(Frames::Levels(vec![0, 128, 255].into()).len(), 3);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Frames<'a> {
    /// Levels of brightness; the intensity is a 255th of that.
    Levels(Cow<'a, [u8]>),
    /// Intensities, or any numbers for codes that take such.
    Values(Cow<'a, [f32]>),
}

impl Frames<'_> {
    /// Number of numbers, those of all frames.
    pub fn len(&self) -> usize {
        match self {
            Self::Levels(levels) => levels.len(),
            Self::Values(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Labelled samples, each of one or more frames over time.
///
/// A sample may differ from epoch to epoch, as augmentation makes it, but it is a function of seed, purpose and
/// index only: not of the batch it is in or of what was asked for before.
///
/// # Examples
/// ```
/// use spark_train::data::{Frames, Sequences, Source};
/// use spark_train::{Batches, Encoder, Encoding, Purpose};
/// use std::sync::Arc;
///
/// let mut sequences = Sequences::new(&[2]);
/// sequences.push(&[0.0, 1.0, 0.5, 0.5, 1.0, 0.0], 1)?; // three frames of two numbers
/// sequences.push(&[1.0, 1.0], 0)?;
/// let source: Arc<dyn Source> = Arc::new(sequences);
/// assert_eq!((source.shape(), source.frames()), (vec![2], 3));
///
/// let encoder = Encoder { encoding: Encoding::Direct { gain: 1.0 }, steps: 2, seed: 1 };
/// let mut batches = Batches::new(source, vec![0, 1], encoder, Purpose::Evaluate, 2);
/// let batch = batches.next().unwrap();
/// assert_eq!((batch.labels(), batch.lengths()), (&[1, 0][..], &[6, 2][..]));
/// assert_eq!(batch.into_tensors(&burn::tensor::Device::flex()).0.dims(), [6, 2, 2]);
/// # Ok::<(), String>(())
/// ```
pub trait Source: Send + Sync + 'static {
    /// Class of each sample, from 0.
    fn labels(&self) -> &[u8];

    /// The shape of a frame, such as `[channels, height, width]`.
    fn shape(&self) -> Vec<usize>;

    /// Frames of the longest sample; every batch is as long.
    fn frames(&self) -> usize;

    /// Whether all numbers are spikes: 0 or 1.
    fn spikes(&self) -> bool {
        false
    }

    /// Sample `index` as it is under `seed` for `purpose`: whole frames, at most [`frames`](Self::frames), of
    /// the same kind of numbers for every sample.
    fn sample(&self, index: usize, seed: u64, purpose: Purpose) -> Frames<'_>;
}
