//! From numbers to input sequences.

mod codes;
#[cfg(test)]
mod tests;

use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_kernels::philox::Stream;
use spark_nn::layers::Inputs;
use std::borrow::Cow;

use crate::data::{Frames, Source};
use codes::Window;

/// How a number becomes an input over the `steps` steps for which it is shown.
///
/// A static sample – an image – is one frame; a sequence is one frame after the other, and each is shown for
/// `steps` steps. Most codes take intensities `x` in `[0, 1]` and cut what lies outside. Spikes are 0 or 1.
///
/// # Examples
/// ```
/// use spark_train::Encoding;
///
/// let encoding: Encoding = serde_json::from_str(r#"{"kind": "delta", "threshold": 0.1, "off": true}"#)?;
/// assert_eq!(encoding.shape(&[28, 28]), [2, 28, 28]);
/// assert_eq!(encoding.inputs(784), 1568);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Encoding {
    /// A spike with probability `gain·x` at every step, independently.
    ///
    /// Source: E. D. Adrian & Y. Zotterman, *The impulses produced by sensory nerve-endings*, Journal of
    /// Physiology 61, 1926.
    Rate {
        /// Factor on the intensity; the product is cut at 1.
        gain: f32,
    },
    /// One spike, the earlier the brighter: at step `round((1 − x)·(steps − 1))`.
    ///
    /// Source: S. Thorpe, A. Delorme & R. Van Rullen, *Spike-based strategies for rapid processing*, Neural
    /// Networks 14, 2001.
    Latency {
        /// Intensities up to this one give no spike.
        threshold: f32,
    },
    /// One spike when a leaky membrane driven by `x` reaches the threshold `θ`: at step
    /// `round(τ·ln(x/(x − θ)))`, at the last one at the latest, for `x ≥ θ`.
    ///
    /// Source: J. K. Eshraghian et al., *Training spiking neural networks using lessons from deep learning*,
    /// Proceedings of the IEEE 111, 2023, appendix B; the same steps as `spikegen.latency` of snnTorch.
    LogLatency {
        /// Time constant `τ` of the membrane, in steps.
        tau: f32,
        /// Threshold `θ`; lower intensities give no spike.
        threshold: f32,
    },
    /// The binary digits of `round(x·(2ᵇ − 1))`, the highest first, over `b` steps, again and again.
    ///
    /// A spike at phase `k` counts `2⁻⁽ᵏ⁺¹⁾`; that weight is for the reader to apply. Source: J. Kim, H. Kim,
    /// S. Huh, J. Lee & K. Choi, *Deep neural networks with weighted spikes*, Neurocomputing 311, 2018.
    Phase {
        /// Digits `b`, from 1 to 16: the period in steps.
        bits: u8,
    },
    /// A spike where the signal has risen by at least the threshold since the step before, and in a channel
    /// of its own where it has fallen by as much.
    ///
    /// Before the first step the signal is 0. The spikes of rises come first, those of falls after them:
    /// `[2, …]`. Source: P. Lichtsteiner, C. Posch & T. Delbruck, *A 128×128 120 dB 15 µs latency
    /// asynchronous temporal contrast vision sensor*, IEEE Journal of Solid-State Circuits 43, 2008; the same
    /// steps as `spikegen.delta` of snnTorch.
    Delta {
        /// The least change that gives a spike.
        threshold: f32,
        /// Whether falls give spikes too.
        off: bool,
    },
    /// Overlapping Gaussian receptive fields: `n` units for each number, `[…, n]`.
    ///
    /// Unit `i = 1 … n` has its centre at `μ = low + (2i − 3)/2 · (high − low)/(n − 2)` and answers
    /// `r = exp(−(x − μ)²/2σ²)` with `σ = (high − low)/(β·(n − 2))`. Source: S. M. Bohte, H. La Poutré &
    /// J. N. Kok, *Unsupervised clustering with spiking neurons by sparse temporal coding and multilayer RBF
    /// networks*, IEEE Transactions on Neural Networks 13, 2002, with `β = 1.5`.
    Population {
        /// Units `n` for each number, at least 3.
        fields: u16,
        /// Lower end of the numbers.
        low: f32,
        /// Upper end of the numbers.
        high: f32,
        /// How narrow the fields are, `β`.
        narrowness: f32,
        /// How answers become spikes.
        by: PopulationCode,
    },
    /// A burst at the start: `⌈n·x⌉` spikes, one every `⌈longest − (longest − shortest)·x⌉` steps.
    ///
    /// Spikes after the last step are lost. Source: W. Guo, M. E. Fouda, A. M. Eltawil & K. N. Salama,
    /// *Neural coding in spiking neural networks: a comparative study for robust neuromorphic systems*,
    /// Frontiers in Neuroscience 15:638474, 2021.
    Burst {
        /// The most spikes, `n`.
        spikes: u16,
        /// Steps between the spikes of the brightest, at least 1.
        shortest: u16,
        /// Steps between the spikes of the darkest.
        longest: u16,
    },
    /// The constant current `gain·x` at every step; `x` may be any number.
    Direct {
        /// Factor on the intensity.
        gain: f32,
    },
}

/// How the answer `r` of a receptive field becomes spikes.
///
/// # Examples
/// ```
/// use spark_train::{Encoding, PopulationCode};
///
/// let by = PopulationCode::Latency { threshold: 0.1 };
/// let population = Encoding::Population { fields: 8, low: -2.0, high: 2.0, narrowness: 1.5, by };
/// assert_eq!(population.shape(&[12]), [12, 8]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PopulationCode {
    /// A spike with probability `r` at every step.
    Rate {},
    /// One spike at step `round((1 − r)·(steps − 1))`.
    Latency {
        /// Answers up to this one give no spike.
        threshold: f32,
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
            Self::LogLatency { tau, threshold } => {
                problems.positive(format!("{path}.tau"), tau);
                problems.positive(format!("{path}.threshold"), threshold);
            }
            Self::Phase { bits } => {
                if !(1..=16).contains(&bits) {
                    problems.push(format!("{path}.bits"), bits, "1 to 16 binary digits");
                }
            }
            Self::Delta { threshold, .. } => problems.positive(format!("{path}.threshold"), threshold),
            Self::Population { fields, low, high, narrowness, by } => {
                if fields < 3 {
                    problems.push(format!("{path}.fields"), fields, "at least 3 units");
                }
                if !(low < high && low.is_finite() && high.is_finite()) {
                    problems.push(format!("{path}.high"), high, format!("a finite number above low, {low}"));
                }
                problems.positive(format!("{path}.narrowness"), narrowness);
                if let PopulationCode::Latency { threshold } = by {
                    problems.unit_interval(format!("{path}.by.threshold"), threshold);
                }
            }
            Self::Burst { spikes, shortest, longest } => {
                problems.positive(format!("{path}.spikes"), usize::from(spikes));
                problems.positive(format!("{path}.shortest"), usize::from(shortest));
                if longest < shortest {
                    problems.push(
                        format!("{path}.longest"),
                        longest,
                        format!("at least shortest, {shortest}"),
                    );
                }
            }
        }
    }

    /// The shape of one step for frames of the shape `frame`.
    pub fn shape(&self, frame: &[usize]) -> Vec<usize> {
        match *self {
            Self::Delta { off: true, .. } => [&[2], frame].concat(),
            Self::Population { fields, .. } => [frame, &[usize::from(fields)]].concat(),
            _ => frame.to_vec(),
        }
    }

    /// Whether it gives spikes, for samples that `spike` themselves or not.
    pub fn spikes(&self, spike: bool) -> bool {
        match *self {
            Self::Direct { gain } => spike && gain == 1.0,
            _ => true,
        }
    }

    /// Inputs of a step for frames of `values` numbers.
    pub fn inputs(&self, values: usize) -> usize {
        self.shape(&[values]).iter().product()
    }
}

/// What the draws of a random code are for; one stream each.
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
    /// Time steps for which each frame is shown: all steps of an image, one or more for each of a sequence.
    pub steps: usize,
    /// Seed of the run.
    pub seed: u64,
}

/// Encoded samples on the host, `[time, batch, inputs]`; inputs that stay constant for some steps are there
/// once.
///
/// Spikes and levels take a byte an entry: batches lie ready in memory, and long sequences are large.
#[derive(Clone, Debug)]
pub struct Encoded {
    content: Content,
    shape: [usize; 3],
    /// Steps for which each entry along the first axis stays.
    hold: usize,
    lengths: Vec<usize>,
}

/// The entries of [`Encoded`].
#[derive(Clone, Debug)]
enum Content {
    /// 0 or 1.
    Spikes(Vec<u8>),
    /// Levels of brightness, for a current of `gain` at the brightest.
    Levels { levels: Vec<u8>, gain: f32 },
    /// Currents.
    Currents(Vec<f32>),
}

impl Encoded {
    /// The sequence on a device, `[time, batch, inputs]`.
    pub fn into_tensor(self, device: &Device) -> Tensor<3> {
        self.into_inputs(device).expanded()
    }

    /// The same, where inputs that stay constant for some steps are there once.
    pub fn into_inputs(self, device: &Device) -> Inputs {
        let values: Vec<f32> = match self.content {
            Content::Spikes(spikes) => spikes.into_iter().map(f32::from).collect(),
            Content::Levels { levels, gain } => {
                levels.into_iter().map(|level| gain * intensity(level)).collect()
            }
            Content::Currents(values) => values,
        };
        Inputs::held(Tensor::from_data(TensorData::new(values, self.shape), device), self.hold)
    }

    /// Steps of each sample; what follows up to the length of the batch is 0.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Number of inputs that are not 0, over all steps and samples.
    pub fn active(&self) -> usize {
        let entries = match &self.content {
            Content::Spikes(bytes) | Content::Levels { levels: bytes, .. } => {
                bytes.iter().filter(|&&byte| byte != 0).count()
            }
            Content::Currents(values) => values.iter().filter(|&&value| value != 0.0).count(),
        };
        entries * self.hold
    }
}

impl Encoder {
    /// Encodes the samples of the given indices.
    ///
    /// The time axis has `steps` steps for each frame of the longest sample of `data`, whichever are in the
    /// batch; shorter ones are followed by zeros.
    ///
    /// # Panics
    /// When an index is not that of a sample, or the encoding does not pass [`Encoding::validate`].
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
    pub fn encode<S: Source + ?Sized>(&self, data: &S, indices: &[usize], purpose: Purpose) -> Encoded {
        let (batch, width, frames) = (indices.len(), data.shape().iter().product::<usize>(), data.frames());
        let samples: Vec<Frames> =
            indices.iter().map(|&index| data.sample(index, self.seed, purpose)).collect();
        let lengths = samples.iter().map(|sample| sample.len() / width.max(1) * self.steps).collect();
        if let Encoding::Direct { gain } = self.encoding {
            let content = currents(&samples, gain, frames, width);
            return Encoded { content, shape: [frames, batch, width], hold: self.steps, lengths };
        }
        let (time, inputs) = (frames * self.steps, self.encoding.inputs(width));
        let mut spikes = vec![0; time * batch * inputs];
        for (row, (sample, &index)) in samples.iter().zip(indices).enumerate() {
            let stream = self.stream(purpose, index);
            self.spikes(&mut spikes, Place { row, batch, inputs }, sample, width, stream);
        }
        Encoded { content: Content::Spikes(spikes), shape: [time, batch, inputs], hold: 1, lengths }
    }

    /// The spikes of a sample, frame after frame.
    fn spikes(&self, out: &mut [u8], place: Place, frames: &Frames, values: usize, stream: Stream) {
        if self.steps == 0 {
            return;
        }
        let numbers = frames.values();
        let mut before = vec![0.0; values];
        for (frame, x) in numbers.chunks_exact(values.max(1)).enumerate() {
            let mut window = Window { out, place, start: frame * self.steps, steps: self.steps, stream };
            match (self.encoding, frames) {
                (Encoding::Rate { gain }, Frames::Levels(levels)) => {
                    let levels = &levels[frame * values..(frame + 1) * values];
                    let limits: [u32; 256] = std::array::from_fn(|level| codes::level_limit(gain, level));
                    window.bernoulli(levels.iter().map(|&level| limits[usize::from(level)]).collect());
                }
                (Encoding::Rate { gain }, Frames::Values(_)) => {
                    window.bernoulli(x.iter().map(|x| codes::limit(gain * x)).collect());
                }
                (Encoding::Latency { threshold }, _) => window.latency(x, threshold),
                (Encoding::LogLatency { tau, threshold }, _) => window.log_latency(x, tau, threshold),
                (Encoding::Phase { bits }, _) => window.phase(x, bits),
                (Encoding::Delta { threshold, off }, _) => {
                    window.delta(x, &before, threshold, off);
                    before.copy_from_slice(x);
                }
                (Encoding::Population { fields, low, high, narrowness, by }, _) => {
                    let answers = codes::receptive_fields(x, fields, [low, high], narrowness);
                    match by {
                        PopulationCode::Rate {} => {
                            window.bernoulli(answers.iter().map(|&r| codes::limit(r)).collect());
                        }
                        PopulationCode::Latency { threshold } => window.latency(&answers, threshold),
                    }
                }
                (Encoding::Burst { spikes, shortest, longest }, _) => {
                    window.burst(x, spikes, [shortest, longest]);
                }
                // A current, and no spikes.
                (Encoding::Direct { .. }, _) => {}
            }
        }
    }

    fn stream(&self, purpose: Purpose, sample: usize) -> Stream {
        match purpose {
            Purpose::Evaluate => Stream::new(self.seed, 0, sample as u64),
            Purpose::Train(epoch) => Stream::new(self.seed, 1 + epoch, sample as u64),
        }
    }
}

impl Frames<'_> {
    /// The intensities.
    fn values(&self) -> Cow<'_, [f32]> {
        match self {
            Self::Levels(levels) => levels.iter().map(|&level| intensity(level)).collect(),
            Self::Values(values) => Cow::Borrowed(values),
        }
    }
}

/// Where a sample lies in a batch.
#[derive(Clone, Copy, Debug)]
struct Place {
    row: usize,
    batch: usize,
    inputs: usize,
}

impl Place {
    /// Where the inputs of step `t` begin.
    fn step(self, t: usize) -> usize {
        (t * self.batch + self.row) * self.inputs
    }
}

/// Samples as they are, `[frames, batch, width]`, for a current of `gain` at intensity 1.
fn currents(samples: &[Frames], gain: f32, frames: usize, width: usize) -> Content {
    let levels: Vec<&[u8]> = samples
        .iter()
        .filter_map(|sample| match sample {
            Frames::Levels(levels) => Some(&**levels),
            Frames::Values(_) => None,
        })
        .collect();
    if levels.len() == samples.len() {
        return Content::Levels { levels: side_by_side(&levels, frames, width), gain };
    }
    let values: Vec<Vec<f32>> =
        samples.iter().map(|sample| sample.values().iter().map(|x| gain * x).collect()).collect();
    Content::Currents(side_by_side(&values.iter().map(Vec::as_slice).collect::<Vec<_>>(), frames, width))
}

/// Samples `[time, width]` as a batch `[frames, batch, width]`.
fn side_by_side<T: Copy + Default>(samples: &[&[T]], frames: usize, width: usize) -> Vec<T> {
    let mut batch = vec![T::default(); frames * samples.len() * width];
    for (row, sample) in samples.iter().enumerate() {
        for (t, frame) in sample.chunks_exact(width.max(1)).enumerate() {
            let start = (t * samples.len() + row) * width;
            batch[start..start + width].copy_from_slice(frame);
        }
    }
    batch
}

fn intensity(level: u8) -> f32 {
    f32::from(level) / 255.0
}
