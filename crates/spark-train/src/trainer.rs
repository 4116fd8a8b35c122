//! The epoch loop.

use burn::module::Module;
use burn::tensor::{Device, TensorData};
use serde::{Deserialize, Serialize};
use spark_io::{Checkpoint, CheckpointError, parameters};
use spark_nn::layers::{Network, Synapses, shrunk_width};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::batches::shuffled;
use crate::data::{Source, TaskData};
use crate::evaluation::classes;
use crate::guard::{ATTEMPTS, strengthened};
use crate::report::Report;
use crate::restore;
use crate::{
    Batches, Cost, EpochRecord, Evaluation, Event, Learner, Observer, Optimizer, OptimizerState, Purpose,
    RunFolder, TrainConfig, TrainError,
};

/// Trains one network.
///
/// The order of the samples, the spikes they become and the first parameters are functions of the seed;
/// where training stands is in [`Progress`], which every checkpoint holds. A run that stops at any step
/// therefore goes on from its last checkpoint exactly as if it had never stopped.
///
/// # Examples
/// ```no_run
/// use burn::tensor::Device;
/// use spark_train::{Event, RunFolder, TrainConfig, Trainer};
/// use std::sync::atomic::AtomicBool;
///
/// let config = TrainConfig { epochs: 1, ..Default::default() };
/// let data = config.load_data()?;
/// let folder = RunFolder::numbered("runs".as_ref(), "example")?;
/// let mut trainer = Trainer::new(config, data, folder, &Device::flex())?;
/// let outcome = trainer.run(&mut |event: &Event| println!("{event:?}"), &AtomicBool::new(false))?;
/// println!("{:?}", outcome.best.map(|epoch| epoch.test_accuracy));
/// # Ok::<(), spark_train::TrainError>(())
/// ```
pub struct Trainer {
    config: TrainConfig,
    data: TaskData,
    /// Indices of the training samples that are learned from.
    learned: Vec<usize>,
    /// Indices of the training samples that pick the best epoch.
    held_out: Vec<usize>,
    learner: Learner,
    /// The synapses of the network, where they are known.
    synapses: Option<Vec<Synapses>>,
    progress: Progress,
    folder: RunFolder,
    device: Device,
    /// Devices that take parts of a batch besides.
    others: Vec<Device>,
}

/// Where training stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs completed.
    pub epoch: usize,
    /// Batches of the current epoch completed.
    pub batch: usize,
    /// Optimizer steps completed.
    pub step: u64,
    /// Sum of the losses of the samples seen in the current epoch.
    pub loss_sum: f64,
    /// Samples classified correctly in the current epoch.
    pub correct: usize,
    /// Samples seen in the current epoch.
    pub seen: usize,
    /// The best epoch so far.
    pub best: Option<EpochRecord>,
    /// The latest epoch.
    pub latest: Option<EpochRecord>,
    /// Epochs since the best one.
    pub stale: usize,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whether it was asked to stop before it was done.
    pub interrupted: bool,
    /// Optimizer steps done.
    pub step: u64,
    /// The best epoch by validation (by training loss without a validation set), once there is one.
    pub best: Option<EpochRecord>,
    /// The latest epoch, likewise.
    pub latest: Option<EpochRecord>,
    /// The checkpoint of the best epoch; the latest one when no epoch was completed.
    pub checkpoint: PathBuf,
    /// How long this process trained, in seconds.
    pub seconds: f64,
}

/// Why an epoch ended before its end.
enum Halt {
    Interrupted,
    Failed(TrainError),
}

impl From<TrainError> for Halt {
    fn from(error: TrainError) -> Self {
        Self::Failed(error)
    }
}

impl Trainer {
    /// Starts from fresh parameters.
    ///
    /// # Errors
    /// When the configuration is not valid.
    pub fn new(
        config: TrainConfig,
        data: impl Into<TaskData>,
        folder: RunFolder,
        device: &Device,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        let data = data.into();
        config.check_data(&data)?;
        let device = device.clone().autodiff();
        let network = config.network.init(config.seed, &device)?;
        let synapses = config.network.synapses()?;
        let optimizer = Optimizer::new(&config.optimizer, config.clip);
        let all: Vec<usize> = (0..data.train.labels().len()).collect();
        let mut learned = shuffled(&all, config.seed, usize::MAX);
        let held_out = learned.split_off(all.len() - (config.validation * all.len() as f64) as usize);
        if learned.is_empty() || data.test.labels().is_empty() {
            return Err(TrainError::Mismatch("no samples are left to train on or to test with".into()));
        }
        Ok(Self {
            data,
            learned,
            held_out,
            learner: Learner::new(network, optimizer, config.loss)
                .with_penalties(config.penalties.clone(), synapses.clone().unwrap_or_default())
                .with_limit(config.guard.explode)
                .with_micro_batch(config.micro_batch)
                .with_rule(config.rule)?,
            synapses,
            progress: Progress::default(),
            folder,
            device,
            others: Vec::new(),
            config,
        })
    }

    /// Splits every batch over these devices too, besides that of the trainer; see [`Learner::with_devices`].
    ///
    /// Parts have the size `micro_batch` of the configuration, or that of a batch over the number of devices: the
    /// run is that of one device with such a `micro_batch`, bit for bit where all are of one backend on the CPU.
    /// Like the device itself they belong to this process and not to the run, which may go on with others.
    ///
    /// # Errors
    /// When a batch has fewer samples than there are devices.
    pub fn share(&mut self, others: &[Device]) -> Result<(), TrainError> {
        self.config.check_devices(1 + others.len())?;
        self.others = others.iter().map(|device| device.clone().autodiff()).collect();
        if !others.is_empty() {
            let devices: Vec<_> = std::iter::once(&self.device).chain(&self.others).cloned().collect();
            // Of the last batch of an epoch, which may be smaller, too: what a run finds depends on this size alone.
            let size = self.config.micro_batch.unwrap_or(self.config.batch.div_ceil(devices.len()));
            self.learner = self.learner.clone().with_micro_batch(Some(size)).with_devices(devices);
        }
        Ok(())
    }

    /// Starts from these parameters instead of those that were drawn.
    ///
    /// # Errors
    /// Those of [`parameters::load`]; the trainer is then as it was.
    pub fn start_from(&mut self, tensors: BTreeMap<String, TensorData>) -> Result<(), TrainError> {
        self.learner.network = parameters::load(self.learner.network.clone(), tensors)?;
        Ok(())
    }

    /// Goes on from a checkpoint that came from the file `path`.
    ///
    /// `config` is that of the checkpoint; only how long to train (`epochs`, `patience`), how often to save
    /// and where the data lie may differ. A schedule that ends with the run follows the new `epochs`.
    ///
    /// # Errors
    /// When the configuration is not valid or another one, or the checkpoint does not fit it.
    pub fn resume(
        config: TrainConfig,
        data: impl Into<TaskData>,
        folder: RunFolder,
        device: &Device,
        checkpoint: Checkpoint,
        path: &Path,
    ) -> Result<Self, TrainError> {
        let before = restore::config_of(&checkpoint, path)?;
        let mut comparable = config.clone();
        comparable.epochs = before.epochs;
        comparable.patience = before.patience;
        comparable.checkpoint_steps = before.checkpoint_steps;
        comparable.data.folder.clone_from(&before.data.folder);
        if comparable != before {
            let message = "its configuration is another one: a run that goes on may change epochs, patience, \
                           checkpoint steps, the data folder and the device only";
            return Err(TrainError::Folder { path: path.to_owned(), message: message.into() });
        }
        let mut trainer = Self::new(config, data, folder, device)?;
        trainer.learner.network = restore::load(trainer.learner.network, &checkpoint, path)?;
        let state = OptimizerState { tensors: checkpoint.optimizer, scalars: checkpoint.optimizer_scalars };
        trainer
            .learner
            .optimizer
            .load(&trainer.learner.network, state)
            .map_err(|problems| CheckpointError::Tensors { path: path.to_owned(), problems })?;
        trainer.progress = serde_json::from_value(checkpoint.progress).map_err(|error| {
            let message = format!("metadata `progress`: {error}");
            CheckpointError::Format { path: path.to_owned(), message }
        })?;
        Ok(trainer)
    }

    /// Trains until the epochs are over, patience runs out or `stop` becomes true.
    ///
    /// A stop is obeyed after the step in progress, with a checkpoint.
    ///
    /// # Errors
    /// When the loss or a parameter is no longer finite, or a file cannot be written; the checkpoints
    /// written before are kept.
    pub fn run(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, TrainError> {
        let start = Instant::now();
        let mut report = Report::open(&self.folder, &self.config, self.progress.step, observer)?;
        let result = self.epochs(&mut report, stop);
        let ended = report.end(&result);
        let interrupted = result?;
        ended?;
        Ok(Outcome {
            interrupted,
            step: self.progress.step,
            best: self.progress.best.clone(),
            latest: self.progress.latest.clone(),
            checkpoint: RunFolder::checkpoint(self.folder.path()),
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// The epochs that are left; whether `stop` ended them.
    fn epochs(&mut self, report: &mut Report, stop: &AtomicBool) -> Result<bool, TrainError> {
        report.event(&self.start_event())?;
        if self.progress.step == 0 {
            // Without a hand for it a network is left to find its own way in the first epoch.
            if self.config.guard.revive {
                self.listen(report)?;
            }
            self.save(&self.folder.last(), report)?;
            self.folder.remove_results()?;
        }
        while !self.is_done() {
            match self.epoch(report, stop) {
                Ok(()) => {}
                Err(Halt::Interrupted) => return Ok(true),
                Err(Halt::Failed(error)) => return Err(error),
            }
        }
        Ok(false)
    }

    /// The folder of the run.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The network as trained so far, on the autodiff device.
    pub fn network(&self) -> &Network {
        &self.learner.network
    }

    fn is_done(&self) -> bool {
        let impatient = self.config.patience.is_some_and(|patience| self.progress.stale >= patience);
        self.progress.epoch >= self.config.epochs || (impatient && self.progress.batch == 0)
    }

    fn steps_per_epoch(&self) -> u64 {
        self.learned.len().div_ceil(self.config.batch) as u64
    }

    fn start_event(&self) -> Event {
        Event::Start {
            spark: env!("CARGO_PKG_VERSION").to_owned(),
            device: self.devices(),
            parameters: self.learner.network.num_params(),
            samples: [self.learned.len(), self.held_out.len(), self.data.test.labels().len()],
            step: self.progress.step,
            steps_per_epoch: self.steps_per_epoch(),
            epochs: self.config.epochs,
        }
    }

    fn devices(&self) -> String {
        let devices = std::iter::once(&self.device).chain(&self.others);
        devices.map(|device| format!("{device:?}")).collect::<Vec<_>>().join(", ")
    }

    /// What is left of the current epoch, its evaluation and its checkpoints.
    fn epoch(&mut self, report: &mut Report, stop: &AtomicBool) -> Result<(), Halt> {
        let start = Instant::now();
        let epoch = self.progress.epoch;
        let order = shuffled(&self.learned, self.config.seed, epoch);
        let rest = order[(self.progress.batch * self.config.batch).min(order.len())..].to_vec();
        let (encoder, purpose) = (self.config.encoder(), Purpose::Train(epoch as u32));
        self.narrow_delays();
        let batches = Batches::new(Arc::clone(&self.data.train), rest, encoder, purpose, self.config.batch);
        for batch in batches {
            self.train_step(batch, report)?;
            if stop.load(Ordering::Relaxed) {
                self.save(&self.folder.last(), report)?;
                return Err(Halt::Interrupted);
            }
            if self.progress.step.is_multiple_of(self.config.checkpoint_steps) {
                self.save(&self.folder.last(), report)?;
            }
        }
        // Until the epoch is evaluated a stop leaves a checkpoint whose epoch has no batch left.
        let goes_on = || !stop.load(Ordering::Relaxed);
        let Some(record) = self.judge(start, goes_on) else {
            self.save(&self.folder.last(), report)?;
            return Err(Halt::Interrupted);
        };
        for (what, loss) in [("validation", record.validation_loss), ("test", Some(record.test_loss))] {
            if loss.is_some_and(|loss| !loss.is_finite()) {
                return Err(self.diverged(record.step, &format!("the {what} loss")).into());
            }
        }
        report.event(&Event::Epoch(record.clone()))?;
        if !self.config.guard.silent(&record.rates).is_empty() {
            self.listen(report)?;
        }
        let better = self.progress.best.as_ref().is_none_or(|best| is_better(&record, best));
        self.progress.stale = if better { 0 } else { self.progress.stale + 1 };
        self.progress.latest = Some(record.clone());
        if better {
            self.progress.best = Some(record);
        }
        self.progress.epoch += 1;
        self.progress.batch = 0;
        (self.progress.loss_sum, self.progress.correct, self.progress.seen) = (0.0, 0, 0);
        if better {
            self.save(&self.folder.best(), report)?;
        }
        self.save(&self.folder.last(), report)?;
        Ok(())
    }

    /// Learned delays spread less and less over neighbouring steps; a function of the epoch, so that a run that
    /// goes on needs no word of it.
    fn narrow_delays(&self) {
        if let Some(first) = self.config.network.first_delay_width() {
            let progress = self.progress.epoch as f32 / self.config.epochs as f32;
            self.learner.network.set_delay_width(shrunk_width(first, progress));
        }
    }

    fn train_step(&mut self, batch: crate::Batch, report: &mut Report) -> Result<(), TrainError> {
        let epoch = self.progress.epoch;
        let total = self.steps_per_epoch() * self.config.epochs as u64;
        let rate = self.config.learning_rate * self.config.schedule.factor(self.progress.step, total, epoch);
        let truth = batch.labels().to_vec();
        let lengths = batch.lengths().to_vec();
        let (input, labels) = batch.into_inputs(&self.device);
        let found = self
            .learner
            .step_until(input, labels, &lengths, rate)
            .map_err(|error| self.diverged(self.progress.step + 1, error.what))?;

        let predicted = classes(&found.scores, found.scores.len() / truth.len());
        let correct = predicted.iter().zip(&truth).filter(|&(&p, &t)| p == usize::from(t)).count();
        self.progress.step += 1;
        self.progress.batch += 1;
        self.progress.seen += truth.len();
        self.progress.correct += correct;
        self.progress.loss_sum += found.loss * truth.len() as f64;
        let step = self.progress.step;
        report.event(&Event::Step {
            step,
            epoch: epoch + 1,
            loss: found.loss,
            gradient_norm: found.gradient_norm,
            learning_rate: rate,
        })?;
        if found.skipped {
            let message =
                format!("the gradient has a norm of {:.3e}: the step is left out", found.gradient_norm);
            report.event(&Event::Warning { step, message })?;
        }
        Ok(())
    }

    /// Reports layers that are silent on the first batch, and revives them where that is asked for.
    fn listen(&mut self, report: &mut Report) -> Result<(), TrainError> {
        let step = self.progress.step;
        let indices: Vec<usize> = self.learned.iter().copied().take(self.config.batch).collect();
        let (encoder, batch) = (self.config.encoder(), self.config.batch);
        let data = Arc::clone(&self.data.train);
        let Some(batch) = Batches::new(data, indices, encoder, Purpose::Evaluate, batch).next() else {
            return Ok(());
        };
        let (input, _) = batch.into_inputs(&self.device.clone().inner());
        let silent = |network: &Network| {
            let rates = network.valid().forward(input.clone(), None).rates();
            self.config.guard.silent(&rates).first().copied()
        };
        let synapses = self.synapses.as_deref().unwrap_or_default();
        let mut network = self.learner.network.clone();
        let (mut layer, mut scaled) = (silent(&network), None);
        for _ in 0..ATTEMPTS {
            // What is behind a silent layer is silent too: the first one is the one to wake.
            let Some(first) = layer.filter(|_| self.config.guard.revive) else { break };
            let Some(stronger) = strengthened(&network, synapses, first) else { break };
            (network, scaled) = (stronger, Some(first));
            layer = silent(&network);
        }
        if let Some(first) = scaled {
            let message = format!("spiking layer {first} was silent: the synapses onto it were scaled up");
            report.event(&Event::Warning { step, message })?;
            self.learner.network = network;
        }
        if let Some(layer) = layer {
            let message = format!(
                "spiking layer {layer} is silent, it spikes less than {} times per unit and step \
                 (guard.revive scales its synapses up)",
                self.config.guard.silent
            );
            report.event(&Event::Warning { step, message })?;
        }
        Ok(())
    }

    /// Validates and tests; `None` when asked to stop on the way.
    fn judge(&self, start: Instant, goes_on: impl Fn() -> bool) -> Option<EpochRecord> {
        let network = self.learner.network.valid();
        // Judged by what is used in the end: delays of whole steps.
        network.set_delay_width(0.0);
        let device = self.device.clone().inner();
        let evaluate = |samples: &Arc<dyn Source>, indices: &[usize]| {
            self.config.evaluator().evaluate(&network, samples, indices, &device, |_| goes_on())
        };
        let validation: Option<Evaluation> = match self.held_out.as_slice() {
            [] => None,
            held_out => Some(evaluate(&self.data.train, held_out)?),
        };
        let test = evaluate(&self.data.test, &(0..self.data.test.labels().len()).collect::<Vec<_>>())?;
        let seen = self.progress.seen.max(1) as f64;
        Some(EpochRecord {
            epoch: self.progress.epoch + 1,
            step: self.progress.step,
            train_loss: self.progress.loss_sum / seen,
            train_accuracy: self.progress.correct as f64 / seen,
            validation_accuracy: validation.as_ref().map(|v| v.accuracy),
            validation_loss: validation.as_ref().map(|v| v.loss),
            test_accuracy: test.accuracy,
            test_loss: test.loss,
            cost: self.synapses.as_ref().map(|synapses| Cost::of(synapses, &test.activity)),
            rates: test.rates,
            sparsity: test.sparsity,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    fn save(&self, path: &Path, report: &mut Report) -> Result<(), TrainError> {
        let parameters = parameters::collect(&self.learner.network);
        let optimizer = self.learner.optimizer.save(&self.learner.network);
        for (name, data) in parameters.iter().chain(&optimizer.tensors) {
            if data.dtype().is_float() && !data.iter::<f32>().all(f32::is_finite) {
                return Err(self.diverged(self.progress.step, &format!("`{name}`")));
            }
        }
        let checkpoint = Checkpoint {
            spark: env!("CARGO_PKG_VERSION").to_owned(),
            config: serde_json::to_value(&self.config).map_err(|error| json_error(path, &error))?,
            seed: self.config.seed,
            epoch: self.progress.epoch,
            step: self.progress.step,
            metrics: self.progress.latest.as_ref().map(EpochRecord::numbers).unwrap_or_default(),
            progress: serde_json::to_value(&self.progress).map_err(|error| json_error(path, &error))?,
            parameters,
            optimizer: optimizer.tensors,
            optimizer_scalars: optimizer.scalars,
        };
        report.flush()?;
        checkpoint.write(path)?;
        report.event(&Event::Checkpoint { step: self.progress.step, path: path.to_owned() })?;
        report.flush()
    }

    fn diverged(&self, step: u64, what: &str) -> TrainError {
        TrainError::Diverged {
            epoch: self.progress.epoch + 1,
            step,
            what: what.to_owned(),
            checkpoint: self.folder.last(),
        }
    }
}

fn json_error(path: &Path, error: &serde_json::Error) -> TrainError {
    TrainError::Folder { path: path.to_owned(), message: error.to_string() }
}

/// By validation accuracy, then loss; by training loss where nothing is held out.
fn is_better(new: &EpochRecord, best: &EpochRecord) -> bool {
    let key = |record: &EpochRecord| {
        let loss = record.validation_loss.unwrap_or(record.train_loss);
        (record.validation_accuracy.unwrap_or(0.0), -loss)
    };
    key(new) > key(best)
}
