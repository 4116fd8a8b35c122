//! Real speech features, compiled in.

use spark_io::series;
use std::path::Path;

use super::{DataError, Sequences, Source, Split, series::sequences};

/// 270 training and 370 test utterances by nine speakers, `[time, 12]` of 7 to 29 frames; the class is the
/// speaker.
///
/// They ship with the crate, so training works offline. The numbers are LPC cepstrum coefficients: bring them to
/// `[0, 1]` with [`Scaling::unit`](super::Scaling::unit) of the training set for codes that take intensities.
/// Origin: M. Kudo, J. Toyama & M. Shimbo, *Multidimensional curve classification using passing-through
/// regions*, Pattern Recognition Letters 20, 1999 (UCI "Japanese Vowels", CC BY 4.0).
///
/// # Errors
/// Never in practice: only when the compiled-in files are corrupt.
///
/// # Examples
/// ```
/// use spark_train::data::{Source, japanese_vowels};
///
/// let vowels = japanese_vowels()?;
/// assert_eq!((vowels.train.len(), vowels.test.len()), (270, 370));
/// assert_eq!((vowels.train.shape(), vowels.train.frames(), vowels.test.frames()), (vec![12], 29, 29));
/// # Ok::<(), spark_train::data::DataError>(())
/// ```
pub fn japanese_vowels() -> Result<Split<Sequences>, DataError> {
    let train = part(include_bytes!("../../data/japanese_vowels/JapaneseVowels_TRAIN.ts.gz"))?;
    let test = part(include_bytes!("../../data/japanese_vowels/JapaneseVowels_TEST.ts.gz"))?;
    let frames = train.frames().max(test.frames());
    Ok(Split { train: train.at_least(frames), test: test.at_least(frames) })
}

fn part(bytes: &[u8]) -> Result<Sequences, DataError> {
    let found = series::parse(bytes).and_then(|series| sequences(&series));
    found.map_err(|message| DataError::content(Path::new("japanese_vowels"), message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batches, Encoder, Encoding, Purpose};
    use burn::tensor::Device;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    #[test]
    fn utterances_are_what_their_origin_says() {
        let vowels = japanese_vowels().unwrap();
        let speakers: BTreeSet<u8> = vowels.train.labels().iter().copied().collect();
        assert_eq!(speakers, (0..9).collect());
        assert!(
            (0..9)
                .all(|speaker| vowels.train.labels().iter().filter(|&&label| label == speaker).count() == 30)
        );
        let lengths = |data: &Sequences| (0..data.len()).map(|i| data.steps(i)).collect::<BTreeSet<_>>();
        let all: BTreeSet<usize> = lengths(&vowels.train).union(&lengths(&vowels.test)).copied().collect();
        assert_eq!((all.first(), all.last()), (Some(&7), Some(&29)));
        // The first number of the first two channels in the file.
        assert_eq!(vowels.train.sequence(0)[..2], [1.860936, -0.207383]);
        assert_eq!(vowels.train.steps(0), 20);
    }

    #[test]
    fn batches_of_utterances_have_time_first() {
        let vowels = Arc::new(japanese_vowels().unwrap().train);
        let encoder = Encoder { encoding: Encoding::Direct { gain: 1.0 }, steps: 1, seed: 1 };
        let batch =
            Batches::new(Arc::clone(&vowels), vec![3, 0], encoder, Purpose::Evaluate, 2).next().unwrap();
        assert_eq!(batch.lengths()[1], 20);
        let (input, _) = batch.into_tensors(&Device::flex());
        assert_eq!(input.dims(), [29, 2, 12]);
        let values: Vec<f32> = input.into_data().iter().collect();
        // Step 2, second sample, as in the file.
        assert_eq!(values[(2 * 2 + 1) * 12..(2 * 2 + 2) * 12], vowels.sequence(0)[2 * 12..3 * 12]);
        assert!(values[(20 * 2 + 1) * 12..(20 * 2 + 2) * 12].iter().all(|&value| value == 0.0));
    }

    /// From the file to a gradient and back to a class; how well a network can do is not the question here.
    #[test]
    fn a_small_network_learns_the_speakers() {
        use crate::{Learner, Loss, Optimizer, OptimizerConfig, data::Scaling};
        use burn::module::Module;
        use spark_nn::layers::{LeakyConfig, NetworkConfig};

        let vowels = japanese_vowels().unwrap();
        let scaling = Scaling::standard(&vowels.train);
        let (train, test) = (Arc::new(vowels.train.scaled(&scaling)), vowels.test.scaled(&scaling));
        let device = Device::flex().autodiff();
        let network = NetworkConfig::mlp(&[12, 64, 9], LeakyConfig::default()).init(1, &device).unwrap();
        let mut learner =
            Learner::new(network, Optimizer::new(&OptimizerConfig::default(), None), Loss::default());
        let encoder = Encoder { encoding: Encoding::Direct { gain: 1.0 }, steps: 1, seed: 1 };
        for epoch in 0..15 {
            let order = crate::batches::shuffled(&(0..270).collect::<Vec<_>>(), 1, epoch);
            for batch in Batches::new(Arc::clone(&train), order, encoder, Purpose::Train(epoch as u32), 30) {
                let (input, labels) = batch.into_tensors(&device);
                learner.step(input, labels, 5e-3).unwrap();
            }
        }
        let all: Vec<usize> = (0..test.len()).collect();
        let network = learner.network.valid();
        let mut correct = 0;
        for batch in Batches::new(Arc::new(test), all, encoder, Purpose::Evaluate, 64) {
            let truth = batch.labels().to_vec();
            let output = network.forward(batch.into_tensors(&Device::flex()).0, None);
            let scores: Vec<f32> = learner.loss.scores(&output).into_data().iter().collect();
            let found = crate::evaluation::classes(&scores, 9);
            correct +=
                found.iter().zip(&truth).filter(|&(&found, &truth)| found == usize::from(truth)).count();
        }
        assert!(correct > 315, "{correct} of 370");
    }
}
