//! What a trainer reports while it works.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::Cost;

/// One thing that happened; a line of the metrics log and of `spark train --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Training starts, or goes on.
    Start {
        /// Version of the program.
        spark: String,
        /// The device, as burn names it.
        device: String,
        /// Trained and fixed parameters of the network.
        parameters: usize,
        /// Samples trained on, validated with and tested with.
        samples: [usize; 3],
        /// Optimizer steps that were done before this start.
        step: u64,
        /// Optimizer steps per epoch.
        steps_per_epoch: u64,
        /// Epochs in all.
        epochs: usize,
    },
    /// An optimizer step is done.
    Step {
        /// Steps done, this one included.
        step: u64,
        /// Epoch, from 1.
        epoch: usize,
        /// Loss of the batch before the step.
        loss: f64,
        /// Joint Euclidean norm of the gradients, before clipping.
        gradient_norm: f64,
        /// Learning rate of the step.
        learning_rate: f64,
    },
    /// An epoch is done and evaluated.
    Epoch(EpochRecord),
    /// Something that should not be, such as a layer that never spikes.
    Warning {
        /// Steps done.
        step: u64,
        /// What it is, and what was done about it.
        message: String,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Steps done.
        step: u64,
        /// The file.
        path: PathBuf,
    },
}

impl Event {
    /// Optimizer steps that were done when it happened.
    pub fn step(&self) -> u64 {
        match self {
            Self::Start { step, .. }
            | Self::Step { step, .. }
            | Self::Warning { step, .. }
            | Self::Checkpoint { step, .. } => *step,
            Self::Epoch(record) => record.step,
        }
    }
}

/// How an epoch ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Steps done.
    pub step: u64,
    /// Mean loss over the training samples, as they were seen.
    pub train_loss: f64,
    /// Fraction of the training samples classified correctly, as they were seen.
    pub train_accuracy: f64,
    /// Fraction of the validation samples classified correctly; absent without a validation set.
    pub validation_accuracy: Option<f64>,
    /// Mean loss over the validation samples.
    pub validation_loss: Option<f64>,
    /// Fraction of the test samples classified correctly.
    pub test_accuracy: f64,
    /// Mean loss over the test samples.
    pub test_loss: f64,
    /// Mean firing rate of each spiking layer over the test samples, spikes per unit and step.
    pub rates: Vec<f64>,
    /// Fraction of the units of all spiking layers that are silent at a step, over the test samples.
    #[serde(default)]
    pub sparsity: f64,
    /// Operations and energy of a test sample; absent for networks whose synapses are not known.
    #[serde(default)]
    pub cost: Option<Cost>,
    /// Duration of the epoch, evaluation included, in seconds.
    pub seconds: f64,
}

impl EpochRecord {
    /// Losses and accuracies by name.
    pub(crate) fn numbers(&self) -> BTreeMap<String, f64> {
        let numbers = [
            ("train_loss", Some(self.train_loss)),
            ("train_accuracy", Some(self.train_accuracy)),
            ("validation_loss", self.validation_loss),
            ("validation_accuracy", self.validation_accuracy),
            ("test_loss", Some(self.test_loss)),
            ("test_accuracy", Some(self.test_accuracy)),
        ];
        numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// Someone who wants to know.
pub trait Observer {
    /// Something happened.
    fn event(&mut self, event: &Event);
}

impl<F: FnMut(&Event)> Observer for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}
