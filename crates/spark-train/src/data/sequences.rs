//! Sequences of varying length.

use super::{Frames, Source, label};
use crate::Purpose;

/// Labelled sequences `[time, …]` of varying length.
///
/// # Examples
/// ```
/// use spark_train::data::Sequences;
///
/// let mut sequences = Sequences::new(&[3]);
/// sequences.push(&[0.0; 12], 1)?;
/// sequences.push(&[1.0; 6], 0)?;
/// assert_eq!((sequences.len(), sequences.steps(0), sequences.steps(1)), (2, 4, 2));
/// assert!(sequences.push(&[0.0; 4], 0).unwrap_err().contains("found 4 numbers"));
/// assert!(sequences.push(&[f32::NAN; 3], 0).unwrap_err().contains("step 0, number 0: found NaN"));
/// assert!(sequences.push(&[0.0; 3], 256).unwrap_err().contains("class 256"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sequences {
    shape: Vec<usize>,
    values: Vec<f32>,
    /// Where each sequence ends among the values.
    ends: Vec<usize>,
    labels: Vec<u8>,
    frames: usize,
    /// Whether all numbers are 0 or 1.
    spikes: bool,
}

impl Sequences {
    /// No sequences yet, of steps of the given shape.
    pub fn new(shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            values: Vec::new(),
            ends: Vec::new(),
            labels: Vec::new(),
            frames: 0,
            spikes: true,
        }
    }

    /// Adds a sequence of class `class`: numbers step by step.
    ///
    /// # Errors
    /// A sentence, when there is no whole number of steps or none at all, a number is not finite, or the
    /// class is above 255.
    pub fn push(&mut self, values: &[f32], class: usize) -> Result<(), String> {
        let width = self.width();
        if values.is_empty() || !values.len().is_multiple_of(width.max(1)) {
            return Err(format!(
                "sequence {}: found {} numbers, expected one or more steps of the shape {:?}",
                self.len(),
                values.len(),
                self.shape
            ));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (step, number, found) = (at / width, at % width, values[at]);
            let place = format!("sequence {}, step {step}, number {number}", self.len());
            return Err(format!("{place}: found {found}, expected a finite number"));
        }
        let label = label(class).map_err(|message| format!("sequence {}: {message}", self.len()))?;
        self.spikes &= values.iter().all(|&value| value == 0.0 || value == 1.0);
        self.values.extend_from_slice(values);
        self.ends.push(self.values.len());
        self.labels.push(label);
        self.frames = self.frames.max(values.len() / width);
        Ok(())
    }

    /// The sequences of the given indices alone.
    pub(super) fn only(&self, indices: &[usize]) -> Self {
        let mut only = Self { frames: self.frames, spikes: self.spikes, ..Self::new(&self.shape) };
        for &index in indices {
            only.values.extend_from_slice(self.sequence(index));
            only.ends.push(only.values.len());
            only.labels.push(self.labels[index]);
        }
        only
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Numbers of a step.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Sequence `index`, step by step.
    pub fn sequence(&self, index: usize) -> &[f32] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.values[start..self.ends[index]]
    }

    /// Steps of sequence `index`.
    pub fn steps(&self, index: usize) -> usize {
        self.sequence(index).len() / self.width().max(1)
    }

    /// Makes batches at least `frames` frames long, as those of another set are.
    #[must_use]
    pub fn at_least(mut self, frames: usize) -> Self {
        self.frames = self.frames.max(frames);
        self
    }

    /// The same sequences with every number scaled.
    ///
    /// # Panics
    /// When `scaling` is of steps of another width.
    #[must_use]
    pub fn scaled(mut self, scaling: &Scaling) -> Self {
        let width = self.width();
        assert_eq!(scaling.factors.len(), width, "a scaling of other steps");
        self.spikes = false;
        for step in self.values.chunks_exact_mut(width.max(1)) {
            for ((value, offset), factor) in step.iter_mut().zip(&scaling.offsets).zip(&scaling.factors) {
                *value = (*value - offset) * factor;
            }
        }
        self
    }
}

impl Source for Sequences {
    fn labels(&self) -> &[u8] {
        &self.labels
    }

    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn frames(&self) -> usize {
        self.frames
    }

    fn spikes(&self) -> bool {
        self.spikes
    }

    fn sample(&self, index: usize, _: u64, _: Purpose) -> Frames<'_> {
        Frames::Values(self.sequence(index).into())
    }
}

/// For each number of a step, what is taken off and what the rest is multiplied by.
///
/// Take it from the training set and apply it to both.
///
/// # Examples
/// ```
/// use spark_train::data::{Scaling, Sequences};
///
/// let mut sequences = Sequences::new(&[2]);
/// sequences.push(&[1.0, 10.0, 3.0, 10.0], 0)?;
/// let unit = sequences.clone().scaled(&Scaling::unit(&sequences));
/// assert_eq!(unit.sequence(0), [0.0, 0.0, 1.0, 0.0]);
/// let standard = sequences.clone().scaled(&Scaling::standard(&sequences));
/// assert_eq!(standard.sequence(0), [-1.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    offsets: Vec<f32>,
    factors: Vec<f32>,
}

impl Scaling {
    /// Least numbers to 0 and greatest to 1, as intensities are; a number that never changes becomes 0.
    pub fn unit(sequences: &Sequences) -> Self {
        Self::of(sequences, |values| {
            let bounds = (f64::INFINITY, f64::NEG_INFINITY);
            let (low, high) = values.fold(bounds, |(low, high), value| (low.min(value), high.max(value)));
            (low, high - low)
        })
    }

    /// To mean 0 and standard deviation 1; a number that never changes becomes 0.
    pub fn standard(sequences: &Sequences) -> Self {
        Self::of(sequences, |values| {
            let (count, sum, squares) = values.fold((0.0, 0.0, 0.0), |(count, sum, squares), value| {
                (count + 1.0, sum + value, squares + value * value)
            });
            let mean: f64 = sum / count;
            (mean, (squares / count - mean * mean).max(0.0).sqrt())
        })
    }

    /// By what `of` finds of all values of a number: an offset and an extent.
    fn of(sequences: &Sequences, of: impl Fn(&mut dyn Iterator<Item = f64>) -> (f64, f64)) -> Self {
        let width = sequences.width();
        let found = (0..width).map(|number| {
            let (offset, extent) =
                of(&mut sequences.values.iter().skip(number).step_by(width).map(|&value| f64::from(value)));
            let constant = !extent.is_finite() || extent <= 1e-12 * offset.abs();
            (offset as f32, if constant { 0.0 } else { (1.0 / extent) as f32 })
        });
        let (offsets, factors) = found.unzip();
        Self { offsets, factors }
    }
}
