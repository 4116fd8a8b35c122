//! From images to input sequences.

use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_kernels::philox::Stream;

use crate::data::Images;

/// How an intensity `x` in `[0, 1]` becomes an input over time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Encoding {
    /// A spike with probability `gain·x` at every step, independently.
    Rate {
        /// Factor on the intensity; the product is cut at 1.
        gain: f32,
    },
    /// One spike, the earlier the brighter: at step `round((1 − x)·(steps − 1))`.
    Latency {
        /// Intensities up to this one give no spike.
        threshold: f32,
    },
    /// The constant current `gain·x` at every step.
    Direct {
        /// Factor on the intensity.
        gain: f32,
    },
}

impl Default for Encoding {
    fn default() -> Self {
        Self::Rate { gain: 1.0 }
    }
}

impl Encoding {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        match *self {
            Self::Rate { gain } | Self::Direct { gain } => {
                problems.positive(format!("{path}.gain"), gain);
            }
            Self::Latency { threshold } => problems.unit_interval(format!("{path}.threshold"), threshold),
        }
    }
}

/// What the draws of the rate encoding are for; one stream each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Training in the epoch of this number: new spikes every epoch.
    Train(u32),
    /// Evaluation: the same spikes every time.
    Evaluate,
}

/// Encodes samples of a run.
///
/// The spikes of a sample depend on seed, purpose and sample only: not on the batch it is in, the
/// backend, or the number of threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Encoder {
    /// How.
    pub encoding: Encoding,
    /// Time steps per sample.
    pub steps: usize,
    /// Seed of the run.
    pub seed: u64,
}

/// Encoded samples on the host, `[time, batch, inputs]`, with time 1 for an input that stays constant.
///
/// A byte an entry: batches lie ready in memory, and long sequences are large.
#[derive(Clone, Debug)]
pub struct Encoded {
    bytes: Vec<u8>,
    content: Content,
    shape: [usize; 3],
    steps: usize,
}

/// What a byte of [`Encoded`] means.
#[derive(Clone, Copy, Debug)]
enum Content {
    /// 0 or 1.
    Spikes,
    /// A level of brightness, for a current of `gain` at the brightest.
    Levels { gain: f32 },
}

impl Encoded {
    /// The sequence on a device, `[time, batch, inputs]`.
    pub fn into_tensor(self, device: &Device) -> Tensor<3> {
        let [time, batch, inputs] = self.shape;
        let values: Vec<f32> = match self.content {
            Content::Spikes => self.bytes.into_iter().map(f32::from).collect(),
            Content::Levels { gain } => self.bytes.into_iter().map(|level| gain * intensity(level)).collect(),
        };
        let tensor = Tensor::from_data(TensorData::new(values, self.shape), device);
        if time == self.steps { tensor } else { tensor.expand([self.steps, batch, inputs]) }
    }
}

impl Encoder {
    /// Encodes the images of the given indices.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::Device;
    /// use spark_train::{Encoder, Encoding, Purpose, data};
    ///
    /// let digits = data::mnist10k()?;
    /// let encoder = Encoder { encoding: Encoding::Rate { gain: 1.0 }, steps: 25, seed: 1 };
    /// let input = encoder.encode(&digits.test, &[0, 1], Purpose::Evaluate).into_tensor(&Device::flex());
    /// assert_eq!(input.dims(), [25, 2, 784]);
    /// # Ok::<(), data::DataError>(())
    /// ```
    pub fn encode(&self, images: &Images, indices: &[usize], purpose: Purpose) -> Encoded {
        let (batch, inputs) = (indices.len(), images.size());
        let time = if matches!(self.encoding, Encoding::Direct { .. }) { 1 } else { self.steps };
        let mut bytes = vec![0; time * batch * inputs];
        for (row, &index) in indices.iter().enumerate() {
            let image = images.image(index);
            let frame = |t: usize| (t * batch + row) * inputs;
            match self.encoding {
                Encoding::Rate { gain } => {
                    let stream = self.stream(purpose, index);
                    let limits: [u32; 256] = std::array::from_fn(|level| probability_limit(gain, level));
                    for t in 0..time {
                        let out = &mut bytes[frame(t)..frame(t) + inputs];
                        bernoulli(image, &limits, stream, t, out);
                    }
                }
                Encoding::Latency { threshold } => {
                    for (i, &level) in image.iter().enumerate() {
                        let x = intensity(level);
                        if x > threshold {
                            let t = ((1.0 - x) * (self.steps - 1) as f32).round() as usize;
                            bytes[frame(t) + i] = 1;
                        }
                    }
                }
                Encoding::Direct { .. } => bytes[frame(0)..frame(0) + inputs].copy_from_slice(image),
            }
        }
        let content = match self.encoding {
            Encoding::Direct { gain } => Content::Levels { gain },
            Encoding::Rate { .. } | Encoding::Latency { .. } => Content::Spikes,
        };
        Encoded { bytes, content, shape: [time, batch, inputs], steps: self.steps }
    }

    fn stream(&self, purpose: Purpose, sample: usize) -> Stream {
        match purpose {
            Purpose::Evaluate => Stream::new(self.seed, 0, sample as u64),
            Purpose::Train(epoch) => Stream::new(self.seed, 1 + epoch, sample as u64),
        }
    }
}

fn intensity(level: u8) -> f32 {
    f32::from(level) / 255.0
}

/// A uniform 24-bit number is below this with probability `gain·level/255`, cut at 1.
fn probability_limit(gain: f32, level: usize) -> u32 {
    ((gain * level as f32 / 255.0).min(1.0) * 16_777_216.0) as u32
}

/// One step of an image. Draws come four at a time, and none where four pixels in a row are black.
fn bernoulli(image: &[u8], limits: &[u32; 256], stream: Stream, t: usize, out: &mut [u8]) {
    let blocks = image.len().div_ceil(4);
    for (block, (levels, out)) in image.chunks(4).zip(out.chunks_mut(4)).enumerate() {
        if levels.iter().all(|&level| level == 0) {
            continue;
        }
        let words = stream.words((t * blocks + block) as u32);
        for ((out, &level), word) in out.iter_mut().zip(levels).zip(words) {
            *out = u8::from((word >> 8) < limits[usize::from(level)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(levels: &[u8]) -> Images {
        Images { pixels: levels.to_vec(), labels: vec![0], height: 1, width: levels.len() }
    }

    fn encode(encoding: Encoding, steps: usize, levels: &[u8]) -> Vec<f32> {
        let encoder = Encoder { encoding, steps, seed: 3 };
        let tensor = encoder.encode(&images(levels), &[0], Purpose::Evaluate).into_tensor(&Device::flex());
        assert_eq!(tensor.dims(), [steps, 1, levels.len()]);
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn rates_are_those_of_the_intensities() {
        let levels = [0, 51, 128, 255, 204];
        let spikes = encode(Encoding::Rate { gain: 1.0 }, 20_000, &levels);
        assert!(spikes.iter().all(|&s| s == 0.0 || s == 1.0));
        for (i, &level) in levels.iter().enumerate() {
            let rate = spikes.iter().skip(i).step_by(levels.len()).sum::<f32>() / 20_000.0;
            assert!((rate - intensity(level)).abs() < 0.015, "level {level}: {rate}");
        }
    }

    #[test]
    fn latency_gives_one_spike_brighter_earlier() {
        let spikes = encode(Encoding::Latency { threshold: 0.01 }, 11, &[0, 255, 128]);
        let times = |i: usize| -> Vec<usize> { (0..11).filter(|t| spikes[t * 3 + i] == 1.0).collect() };
        assert_eq!((times(0), times(1), times(2)), (vec![], vec![0], vec![5]));
    }

    #[test]
    fn direct_is_constant_over_time() {
        assert_eq!(encode(Encoding::Direct { gain: 2.0 }, 2, &[0, 255]), [0.0, 2.0, 0.0, 2.0]);
    }

    #[test]
    fn a_sample_encodes_the_same_in_any_batch_and_differently_in_any_epoch() {
        let digits = crate::data::mnist10k().unwrap().test;
        let encoder = Encoder { encoding: Encoding::default(), steps: 5, seed: 9 };
        let alone = encoder.encode(&digits, &[7], Purpose::Train(1)).bytes;
        let pair = encoder.encode(&digits, &[3, 7], Purpose::Train(1)).bytes;
        for t in 0..5 {
            assert_eq!(alone[t * 784..(t + 1) * 784], pair[(2 * t + 1) * 784..(2 * t + 2) * 784]);
        }
        assert_ne!(alone, encoder.encode(&digits, &[7], Purpose::Train(2)).bytes);
        assert_ne!(alone, encoder.encode(&digits, &[7], Purpose::Evaluate).bytes);
    }
}
