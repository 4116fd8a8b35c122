//! A task that needs memory, made offline.

use rand::RngExt;
use spark_core::seed;

use super::Sequences;

/// Two cues with a pause between them: are they the same? (Exclusive or over time.)
///
/// Each sample has four channels of spikes: two for the cues, one for distraction, one that asks for the answer.
/// The first cue – a burst of [`cue`](Self::cue) steps in channel 0 or 1 – comes at the start, the second after
/// a pause; then channel 3 fires for as long. Channel 2 spikes by chance all the while. Class 0: the cues were
/// the same, 1: they differed. At the
/// question nothing of the input tells the answer any more, and what a network without memory adds up over time
/// does not either: it is linear in the spikes of channel 0, of which there are all or none against half. The
/// classes are equally frequent up to one sample.
///
/// Source: the delayed exclusive-or, a working-memory task such as in R. Kim, Y. Li & T. J. Sejnowski, *Simple
/// framework for constructing functional spiking recurrent neural networks*, PNAS 116, 2019.
///
/// # Examples
/// ```
/// use spark_train::data::{RecallTask, Source};
///
/// let task = RecallTask { pause: 20, ..RecallTask::default() };
/// let samples = task.samples(100, 7);
/// assert_eq!((samples.len(), samples.shape(), samples.frames()), (100, vec![4], task.steps()));
/// assert_eq!(samples.labels().iter().filter(|label| **label == 1).count(), 50);
/// assert_eq!(samples, task.samples(100, 7));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecallTask {
    /// Steps of each cue and of the question.
    pub cue: usize,
    /// Steps between the cues.
    pub pause: usize,
    /// Probability of a distracting spike in each step.
    pub noise: f32,
}

impl Default for RecallTask {
    fn default() -> Self {
        Self { cue: 4, pause: 12, noise: 0.2 }
    }
}

impl RecallTask {
    /// Steps of a sample.
    pub fn steps(&self) -> usize {
        3 * self.cue + self.pause
    }

    /// `count` samples under `seed`.
    ///
    /// # Panics
    /// When a sample would have no step.
    pub fn samples(&self, count: usize, seed: u64) -> Sequences {
        assert!(self.steps() > 0, "a sample without a step");
        let mut sequences = Sequences::new(&[4]);
        for index in 0..count {
            let mut rng = seed::rng(seed, &format!("recall.{index}"));
            let first = usize::from(rng.random::<bool>());
            let class = index % 2;
            let second = first ^ class;
            let mut values = vec![0.0; 4 * self.steps()];
            for (t, step) in values.chunks_exact_mut(4).enumerate() {
                if t < self.cue {
                    step[first] = 1.0;
                } else if (self.cue + self.pause..2 * self.cue + self.pause).contains(&t) {
                    step[second] = 1.0;
                } else if t >= 2 * self.cue + self.pause {
                    step[3] = 1.0;
                }
                step[2] = f32::from(rng.random::<f32>() < self.noise);
            }
            sequences.push(&values, class).expect("finite spikes of four channels and a class below two");
        }
        sequences
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;

    #[test]
    fn cues_decide_and_come_where_they_should() {
        let task = RecallTask::default();
        let samples = task.samples(200, 1);
        let mut seen = [0; 4];
        for index in 0..samples.len() {
            let values = samples.sequence(index);
            let at = |t: usize, channel: usize| values[4 * t + channel];
            let (first, second) = (at(0, 1) as usize, at(task.cue + task.pause, 1) as usize);
            assert_eq!(usize::from(samples.labels()[index]), first ^ second);
            seen[2 * first + second] += 1;
            for t in 0..task.steps() {
                let cue = t < task.cue || (task.cue + task.pause..2 * task.cue + task.pause).contains(&t);
                assert_eq!(at(t, 0) + at(t, 1), f32::from(cue), "{t}");
                assert_eq!(at(t, 3), f32::from(t >= 2 * task.cue + task.pause), "{t}");
            }
        }
        // Neither cue alone says anything.
        assert!(seen.iter().all(|&count| count > 30), "{seen:?}");
        assert_ne!(samples, task.samples(200, 2));
    }
}
