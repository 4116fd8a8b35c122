//! Batches, prepared by a second thread while the device works on the one before.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::seq::SliceRandom;
use spark_core::seed;
use spark_nn::layers::Inputs;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use crate::data::Source;
use crate::encoding::{Encoded, Encoder, Purpose};

/// How many batches may lie ready; more would only cost memory.
const AHEAD: usize = 1;

/// Encoded samples with their labels.
#[derive(Debug)]
pub struct Batch {
    encoded: Encoded,
    labels: Vec<u8>,
}

impl Batch {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Class of each sample.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Steps of each sample; what follows up to the length of the batch is 0.
    pub fn lengths(&self) -> &[usize] {
        self.encoded.lengths()
    }

    /// Number of inputs that are not 0, over all steps and samples.
    pub fn active(&self) -> usize {
        self.encoded.active()
    }

    /// Input `[time, batch, inputs]` and labels `[batch]` on a device.
    pub fn into_tensors(self, device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
        let (inputs, labels) = self.into_inputs(device);
        (inputs.expanded(), labels)
    }

    /// The same, where inputs that stay constant for some steps are there once.
    pub fn into_inputs(self, device: &Device) -> (Inputs, Tensor<1, Int>) {
        let labels: Vec<i32> = self.labels.into_iter().map(i32::from).collect();
        let count = labels.len();
        let labels = Tensor::from_data(TensorData::new(labels, [count]), device);
        (self.encoded.into_inputs(device), labels)
    }
}

/// The batches of one pass over the data, encoded ahead of time in a thread of their own.
///
/// The data are any [`Source`]: images, sequences, frames of event recordings, or an `Arc<dyn Source>` that is
/// chosen when the program runs.
///
/// # Examples
/// ```
/// use spark_train::{Batches, Encoder, Encoding, Purpose, data};
/// use std::sync::Arc;
///
/// let digits = Arc::new(data::mnist10k()?.test);
/// let encoder = Encoder { encoding: Encoding::default(), steps: 25, seed: 1 };
/// let batches = Batches::new(digits, (0..300).collect(), encoder, Purpose::Evaluate, 128);
/// assert_eq!(batches.map(|batch| batch.len()).collect::<Vec<_>>(), [128, 128, 44]);
/// # Ok::<(), data::DataError>(())
/// ```
#[derive(Debug)]
pub struct Batches {
    receiver: Receiver<Batch>,
    thread: Option<JoinHandle<()>>,
}

impl Batches {
    /// Batches of at most `size` of the samples `indices`, in order.
    pub fn new<S: Source + ?Sized>(
        data: Arc<S>,
        indices: Vec<usize>,
        encoder: Encoder,
        purpose: Purpose,
        size: usize,
    ) -> Self {
        let (sender, receiver) = sync_channel(AHEAD);
        let thread = std::thread::spawn(move || {
            for indices in indices.chunks(size) {
                let encoded = encoder.encode(&*data, indices, purpose);
                let labels = indices.iter().map(|&index| data.labels()[index]).collect();
                // The receiver is gone when training stopped early.
                if sender.send(Batch { encoded, labels }).is_err() {
                    return;
                }
            }
        });
        Self { receiver, thread: Some(thread) }
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let batch = self.receiver.recv().ok();
        if batch.is_none()
            && let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
        {
            // The end of the data and the death of the thread must not look the same.
            std::panic::resume_unwind(panic);
        }
        batch
    }
}

/// `indices` in the order of epoch `epoch` under `seed`.
pub(crate) fn shuffled(indices: &[usize], seed: u64, epoch: usize) -> Vec<usize> {
    let mut order = indices.to_vec();
    order.shuffle(&mut seed::rng(seed, &format!("order.{epoch}")));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_permutation_that_depends_on_seed_and_epoch() {
        let indices: Vec<usize> = (0..100).collect();
        let order = shuffled(&indices, 1, 0);
        assert_eq!(order, shuffled(&indices, 1, 0));
        assert_ne!(order, shuffled(&indices, 1, 1));
        assert_ne!(order, shuffled(&indices, 2, 0));
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, indices);
    }

    #[test]
    fn stopping_early_does_not_hang() {
        let digits = Arc::new(crate::data::mnist10k().unwrap().test);
        let encoder = Encoder { encoding: crate::Encoding::default(), steps: 2, seed: 1 };
        let mut batches = Batches::new(digits, (0..2000).collect(), encoder, Purpose::Evaluate, 10);
        assert_eq!(batches.next().unwrap().len(), 10);
    }
}
