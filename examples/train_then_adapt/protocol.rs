//! How a brain sees digits, answers and learns.

use anyhow::{Context as _, Result};
use spark::burn::tensor::{Tensor, TensorData};
use spark::core::component::Instance;
use spark::core::payload::{Floats, Payload, Spikes};
use spark::core::ports::PortValues;
use spark::nn::layers::{Network, NetworkState};
use spark::prelude::Device;
use spark::train::data::Images;
use spark::train::{BrainOptions, Encoder, LocalRule, Purpose, ThirdFactorOf, TrainedBrain};

/// Classes of digits.
pub const CLASSES: usize = 10;
/// The input of the brain that takes the lesson, one entry for each output unit.
const LESSON: &str = "output_modulation";
/// For how many digits an error is remembered in how strongly the next ones are taught.
const REMEMBERED: f32 = 30.0;

/// Digits over which a curve averages, of those on the same side of the shift.
pub const WINDOW: usize = 200;
/// The fewest that a point of a curve stands for.
const FEWEST: usize = 20;

/// Steps of a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For which the spikes of the output are counted.
    pub look: usize,
    /// For which it is shown on while the teacher speaks.
    pub lesson: usize,
    /// Without any spike, before the next one.
    pub pause: usize,
}

/// How a network becomes a brain that learns at its output.
///
/// The rule is the quadruplet rule with its first term alone, `ΔW_ij = η·M_i·s_j`: a presynaptic spike moves the
/// synapse onto unit `i` by the third factor of that unit.
pub fn learning(eta: f32) -> BrainOptions {
    // A trace for each type of unit would be kept where they differ by type, as they do by default.
    let settings = [
        ("post_tau", 20.0),
        ("q_alpha", 1.0),
        ("q_beta", 0.0),
        ("q_gamma", 0.0),
        ("q_delta", 0.0),
        ("eta", eta),
        ("min_clip", -20.0),
    ];
    let rule = LocalRule {
        component: "ModulatedQuadrupletRule".to_owned(),
        settings: settings.into_iter().map(|(field, value)| (field.to_owned(), value.into())).collect(),
        third_factor: ThirdFactorOf::Units,
    };
    BrainOptions { rules: [(1, rule)].into(), ..BrainOptions::default() }
}

/// What the teacher says after an answer: by how much each unit should have been more active, as the share of the
/// right class among all, 1 or 0, less that of the answer.
pub fn lesson(counts: &[f32], label: u8) -> Vec<f32> {
    let highest = counts.iter().copied().fold(0.0, f32::max);
    let parts: Vec<f32> = counts.iter().map(|count| (count - highest).exp()).collect();
    let sum: f32 = parts.iter().sum();
    let right = |class: usize| f32::from(u8::from(class == usize::from(label)));
    parts.iter().enumerate().map(|(class, part)| right(class) - part / sum).collect()
}

/// The class whose unit spiked most; the first one of equals.
pub fn answer(counts: &[f32]) -> usize {
    let better = |best: usize, class: usize| if counts[class] > counts[best] { class } else { best };
    (1..counts.len()).fold(0, better)
}

/// Digits as spikes, one after another.
pub struct Stream<'a> {
    /// The digits.
    pub images: &'a Images,
    /// From intensities to spikes, for the steps that a digit is shown.
    pub encoder: Encoder,
    /// Steps of a digit.
    pub timing: Timing,
    /// Where the brain is.
    pub device: &'a Device,
}

impl<'a> Stream<'a> {
    /// The digits of `images` for a brain whose output is late by so many steps.
    pub fn new(
        images: &'a Images,
        encoder: Encoder,
        timing: Timing,
        latency: usize,
        device: &'a Device,
    ) -> Self {
        // The last spikes that count arrive when the digit has been there for so long.
        let steps = timing.look + latency + timing.lesson;
        Self { images, encoder: Encoder { steps, ..encoder }, timing, device }
    }

    /// All steps of a digit with the pause after it, `[time, 1, inputs]`.
    pub fn digit(&self, index: usize) -> Tensor<3> {
        let shown = self.encoder.encode(self.images, &[index], Purpose::Evaluate).into_tensor(self.device);
        let [_, _, inputs] = shown.dims();
        let silence = Tensor::zeros([self.timing.pause, 1, inputs], self.device);
        Tensor::cat(vec![shown, silence], 0)
    }
}

/// A brain at work.
pub struct Subject {
    brain: Box<dyn Instance>,
    latency: usize,
    /// Whether it is taught.
    taught: bool,
    /// Share of wrong answers among the last ones, a running mean.
    surprise: f32,
    steps: u64,
    device: Device,
}

impl Subject {
    /// A brain before its first digit.
    pub fn new(trained: &TrainedBrain, taught: bool, device: &Device) -> Result<Self> {
        let brain = trained.snapshot.build(device)?;
        Ok(Self {
            brain,
            latency: trained.latency(),
            taught,
            surprise: 0.0,
            steps: 0,
            device: device.clone(),
        })
    }

    /// The brain itself.
    pub fn brain(&self) -> &dyn Instance {
        self.brain.as_ref()
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Shows a digit, `[time, 1, inputs]`, and returns the answer: given before the lesson, which comes if the brain
    /// is taught at all.
    pub fn see(&mut self, digit: &Tensor<3>, label: u8, timing: Timing) -> Result<usize> {
        let mut counts = vec![0.0; CLASSES];
        let silence = self.row(&[0.0; CLASSES]);
        let mut said = silence.clone();
        let begin = timing.look + self.latency;
        for (step, spikes) in digit.clone().split(1, 0).into_iter().enumerate() {
            if step == begin && self.taught {
                let taught = self.taught_now(&counts, label);
                said = self.row(&taught);
            } else if step == begin + timing.lesson {
                said = silence.clone();
            }
            let mut inputs = PortValues::default();
            inputs.put(TrainedBrain::INPUT, Spikes::new(spikes.squeeze_dim(0)));
            inputs.put(LESSON, said.clone());
            let outputs = self.brain.step(inputs)?;
            self.steps += 1;
            if (self.latency..begin).contains(&step) {
                let Some(Payload::Spikes(output)) = outputs.get("output") else {
                    anyhow::bail!("the brain has no output `output` of spikes");
                };
                let spikes = output.units().context("spikes by unit")?.into_data();
                counts.iter_mut().zip(spikes.iter::<f32>()).for_each(|(count, spike)| *count += spike);
            }
        }
        Ok(answer(&counts))
    }

    /// The lesson after an answer, as strong as errors are frequent: who is surprised learns fast, and who is hardly
    /// ever wrong does not give up what it knows for a single digit.
    fn taught_now(&mut self, counts: &[f32], label: u8) -> Vec<f32> {
        let wrong = f32::from(u8::from(answer(counts) != usize::from(label)));
        self.surprise += (wrong - self.surprise) / REMEMBERED;
        lesson(counts, label).into_iter().map(|error| error * self.surprise).collect()
    }

    fn row(&self, values: &[f32]) -> Floats {
        Floats(Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len()]), &self.device))
    }
}

/// How far a brain does what the network did that it was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Agreement {
    /// Digits shown to both.
    pub digits: usize,
    /// Those to which both give the same answer.
    pub same_answer: usize,
    /// Those to which every unit of every population gives the same spikes.
    pub same_spikes: usize,
    /// Spikes of the network.
    pub spikes: f64,
    /// Spikes that only one of the two gives.
    pub differing: f64,
}

/// Shows the first digits of a stream to the network and to its brain. Both go on from digit to digit for as long as
/// `at_once` says, and then start again.
pub fn agreement(
    trained: &TrainedBrain,
    network: &Network,
    stream: &Stream<'_>,
    digits: usize,
    at_once: usize,
    mut done: impl FnMut(usize),
) -> Result<Agreement> {
    let mut found = Agreement::default();
    for begin in (0..digits).step_by(at_once) {
        let shown: Vec<Tensor<3>> =
            (begin..digits.min(begin + at_once)).map(|index| stream.digit(index)).collect();
        let brain = trained.spikes(Tensor::cat(shown.clone(), 0))?;
        let mut state: Option<NetworkState> = None;
        for (place, digit) in shown.into_iter().enumerate() {
            let [time, ..] = digit.dims();
            let output = network.forward(digit, state.take());
            state = Some(output.state);
            let mut differing = 0.0;
            for (brain, network) in brain.iter().zip(&output.spikes) {
                let brain = brain.clone().slice_dim(0, place * time..(place + 1) * time);
                differing += f64::from((brain - network.clone()).abs().sum().into_scalar::<f32>());
                found.spikes += f64::from(network.clone().sum().into_scalar::<f32>());
            }
            let answers = [(brain.last(), place * time), (output.spikes.last(), 0)];
            let [brain_says, network_says] = answers.map(|(output, begin)| {
                let seen = output.expect("an output").clone().slice_dim(0, begin..begin + stream.timing.look);
                answer(&seen.sum_dim(0).into_data().iter::<f32>().collect::<Vec<_>>())
            });
            found.digits += 1;
            found.same_answer += usize::from(brain_says == network_says);
            found.same_spikes += usize::from(differing == 0.0);
            found.differing += differing;
            done(found.digits);
        }
    }
    Ok(found)
}

/// What the frozen and the adapting brain said to a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it is.
    pub label: u8,
    /// Whether it came after the shift.
    pub shifted: bool,
    /// What the frozen brain said.
    pub frozen: usize,
    /// What the adapting one said.
    pub adapting: usize,
}

/// Accuracies in percent of both brains.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Pair {
    /// Of the brain that stays as it is.
    pub frozen: f64,
    /// Of the brain that learns.
    pub adapting: f64,
}

impl Pair {
    /// Over some answers.
    pub fn over(answers: &[Answer]) -> Self {
        let share = |said: fn(&Answer) -> usize| {
            let right = answers.iter().filter(|answer| said(answer) == usize::from(answer.label)).count();
            100.0 * right as f64 / answers.len().max(1) as f64
        };
        Self { frozen: share(|answer| answer.frozen), adapting: share(|answer| answer.adapting) }
    }
}

/// Accuracy in percent after each digit, over the last [`WINDOW`] of the same side of the shift; none where these are
/// too few.
pub fn moving(answers: &[Answer]) -> impl Iterator<Item = (usize, Pair)> {
    let shift = answers.partition_point(|answer| !answer.shifted);
    (1..=answers.len()).filter_map(move |end| {
        let side = if end > shift { shift } else { 0 };
        let begin = end.saturating_sub(WINDOW).max(side);
        (end - begin >= FEWEST).then(|| (end, Pair::over(&answers[begin..end])))
    })
}

/// Shows one digit after another to both brains.
pub fn show(
    stream: &Stream<'_>,
    indices: std::ops::Range<usize>,
    shifted: bool,
    [frozen, adapting]: [&mut Subject; 2],
    mut answered: impl FnMut(Answer) -> Result<()>,
) -> Result<()> {
    for index in indices {
        let (digit, label) = (stream.digit(index), stream.images.labels[index]);
        let frozen = frozen.see(&digit, label, stream.timing)?;
        let adapting = adapting.see(&digit, label, stream.timing)?;
        answered(Answer { label, shifted, frozen, adapting })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(count: usize, shifted: bool, right: [usize; 2]) -> impl Iterator<Item = Answer> {
        let said = move |i: usize, right: usize| usize::from(i >= right);
        (0..count).map(move |i| Answer {
            label: 0,
            shifted,
            frozen: said(i, right[0]),
            adapting: said(i, right[1]),
        })
    }

    #[test]
    fn averages_stay_on_their_side_of_the_shift() {
        let all: Vec<Answer> = answers(300, false, [300, 300]).chain(answers(30, true, [0, 15])).collect();
        let points: Vec<_> = moving(&all).collect();
        assert_eq!(points[0].0, FEWEST);
        let place = |end: usize| points.iter().find(|(at, _)| *at == end).map(|(_, pair)| *pair);
        assert_eq!(place(300), Some(Pair { frozen: 100.0, adapting: 100.0 }));
        assert_eq!(place(301), None);
        assert_eq!(place(330), Some(Pair { frozen: 0.0, adapting: 50.0 }));
    }
}
