//! What `spark train` shows while it works.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use spark::prelude::Event;

use crate::output::{Output, percent, rates};

/// Turns events into lines on standard output and a bar on standard error (when that is a terminal).
pub struct Progress {
    out: Output,
    bar: ProgressBar,
    steps_per_epoch: u64,
    epochs: usize,
    /// What went wrong in writing to standard output; training goes on without it.
    error: Option<std::io::Error>,
}

impl Progress {
    pub fn new(out: Output) -> Result<Self> {
        let template = "{msg} {bar:36} {pos}/{len} steps {elapsed} + {eta}";
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(template)?);
        Ok(Self { out, bar, steps_per_epoch: 0, epochs: 0, error: None })
    }

    pub fn event(&mut self, event: &Event) {
        let written = self.show(event).and_then(|()| self.out.json(event));
        if let Err(error) = written {
            self.error.get_or_insert(error);
        }
    }

    fn show(&mut self, event: &Event) -> std::io::Result<()> {
        match event {
            Event::Start { device, parameters, samples, step, steps_per_epoch, epochs, .. } => {
                (self.steps_per_epoch, self.epochs) = (*steps_per_epoch, *epochs);
                self.bar.set_length(steps_per_epoch * *epochs as u64);
                self.bar.set_position(*step);
                self.bar.reset_eta();
                let [train, validation, test] = samples;
                self.out.text(format_args!(
                    "{parameters} parameters, {train} training, {validation} validation and {test} test \
                     samples, {device}"
                ))
            }
            Event::Step { step, epoch, loss, .. } => {
                self.bar.set_message(format!("epoch {epoch}/{} loss {loss:.4}", self.epochs));
                self.bar.set_position(*step);
                Ok(())
            }
            Event::Epoch(record) => {
                let validation = record
                    .validation_accuracy
                    .map_or(String::new(), |accuracy| format!("validation {}  ", percent(accuracy)));
                let line = format!(
                    "epoch {:>2}/{}  loss {:.4}  train {}  {validation}test {}  rates {}  {:.1} s",
                    record.epoch,
                    self.epochs,
                    record.train_loss,
                    percent(record.train_accuracy),
                    percent(record.test_accuracy),
                    rates(&record.rates),
                    record.seconds
                );
                self.bar.suspend(|| self.out.text(line))
            }
            Event::Warning { message, .. } => {
                self.bar.suspend(|| eprintln!("warning: {message}"));
                Ok(())
            }
            Event::Checkpoint { .. } => Ok(()),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// What went wrong in writing to standard output.
    pub fn into_result(self) -> std::io::Result<()> {
        self.error.map_or(Ok(()), Err)
    }
}
