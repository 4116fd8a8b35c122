//! Where the events of a run go: into its log, into its record, and to whoever watches.

use serde_json::json;
use spark_record::{RunAbout, RunPaths, RunWriter, Status, StoreError};
use std::time::Instant;

use crate::run::MetricsLog;
use crate::{EpochRecord, Event, Observer, RunFolder, TrainConfig, TrainError};

/// The log of a run, its record, and whoever watches.
pub(crate) struct Report<'a> {
    log: MetricsLog,
    run: RunWriter,
    observer: &'a mut dyn Observer,
    /// When the last event was: a step takes what lies between the event before it and its own.
    since: Instant,
    epoch: usize,
}

impl<'a> Report<'a> {
    /// Opens log and record for what comes after `step`.
    ///
    /// # Errors
    /// When another process trains in the folder, or it is not writable.
    pub fn open(
        folder: &RunFolder,
        config: &TrainConfig,
        step: u64,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, TrainError> {
        // The record first: it keeps two processes from writing one run.
        let run = match step > 0 && RunPaths::new(folder.path()).is_run() {
            true => RunWriter::resume(folder.path(), step)?,
            false => {
                let configuration = serde_json::to_value(config).map_err(|error| TrainError::Folder {
                    path: folder.config(),
                    message: error.to_string(),
                })?;
                let about = RunAbout { seed: Some(config.seed), configuration, ..RunAbout::new("train") };
                RunWriter::create(folder.path(), about, true)?
            }
        };
        folder.write_config(config)?;
        let log = MetricsLog::open(folder, step)?;
        Ok(Self { log, run, observer, since: Instant::now(), epoch: 0 })
    }

    /// Something happened.
    pub fn event(&mut self, event: &Event) -> Result<(), TrainError> {
        self.observer.event(event);
        self.log.write(event)?;
        if let Err(error) = self.record(event) {
            // The network is what matters: it is trained to its end without a record.
            let warning = Event::Warning { step: event.step(), message: error.to_string() };
            self.observer.event(&warning);
            self.log.write(&warning)?;
        }
        self.since = Instant::now();
        Ok(())
    }

    fn record(&mut self, event: &Event) -> Result<(), StoreError> {
        let run = &self.run;
        match event {
            Event::Start { device, parameters, samples, step, steps_per_epoch, epochs, .. } => {
                let detail = json!({
                    "device": device, "parameters": parameters, "samples": samples,
                    "steps_per_epoch": steps_per_epoch, "epochs": epochs,
                });
                run.event("start", *step, detail)
            }
            Event::Step { step, epoch, loss, gradient_norm, learning_rate } => {
                if self.epoch != *epoch {
                    run.tag("epoch", *step, *epoch as i64)?;
                    self.epoch = *epoch;
                }
                run.scalar("loss", *step, *loss)?;
                run.scalar("gradient_norm", *step, *gradient_norm)?;
                run.scalar("learning_rate", *step, *learning_rate)?;
                run.scalar("step_seconds", *step, self.since.elapsed().as_secs_f64())
            }
            Event::Epoch(record) => {
                scalars(record).try_for_each(|(name, value)| run.scalar(&name, record.step, value))
            }
            Event::Warning { step, message } => run.warning(*step, message),
            Event::Checkpoint { step, path } => run.event("checkpoint", *step, json!({ "path": path })),
        }
    }

    /// Sees to it that what was logged before a checkpoint is there for the run that goes on from it.
    pub fn flush(&mut self) -> Result<(), TrainError> {
        self.log.flush()?;
        // An error comes with the next event.
        self.run.wait();
        Ok(())
    }

    /// Writes down how the run ended; `interrupted` where it did without an error.
    pub fn end(mut self, result: &Result<bool, TrainError>) -> Result<(), TrainError> {
        let flushed = self.log.flush();
        let ended = match result {
            Ok(true) => self.run.finish(Status::Interrupted),
            Ok(false) => self.run.finish(Status::Finished),
            Err(error) => self.run.fail(&error.to_string()),
        };
        match ended {
            // That recording stopped is no failure of the training, and was told.
            Ok(()) | Err(StoreError::Stopped(_)) => flushed,
            Err(error) => flushed.and(Err(error.into())),
        }
    }
}

/// The numbers of an epoch by name.
fn scalars(record: &EpochRecord) -> impl Iterator<Item = (String, f64)> {
    let cost = record.cost;
    let further = [
        ("sparsity", Some(record.sparsity)),
        ("operations", cost.map(|cost| cost.operations)),
        ("energy", cost.map(|cost| cost.energy)),
        ("epoch_seconds", Some(record.seconds)),
    ];
    let further = further.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let rates = record.rates.iter().enumerate().map(|(layer, rate)| (format!("rates.{layer}"), *rate));
    record.numbers().into_iter().chain(further).chain(rates)
}
