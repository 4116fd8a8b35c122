//! `spark run --record`: what happens inside, into the folder of the run.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use spark::core::component::Instance;
use spark::core::config;
use spark::core::model::{Pattern, Variant};
use spark::core::simulation::Simulation;
use spark::prelude::Device;
use spark::record::{Measurement, Preset, Recorder, RunAbout, RunWriter, Status, StoreError, Window};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::Plan;
use crate::commands::record::{REFUSED, Request};

/// One `--record`.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Measurements that are ready for use.
    Preset(Preset),
    /// Measurements in a file.
    File(PathBuf),
    /// States and kernels at every step.
    Address(Pattern),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(preset) = text.parse() {
            return Ok(Self::Preset(preset));
        }
        if Path::new(text).extension().is_some_and(|extension| extension == "json") {
            return Ok(Self::File(text.into()));
        }
        let presets = Preset::ALL.map(|preset| preset.to_string()).join(", ");
        let wrong =
            |error| format!("{error}; or one of {presets}; or a file of measurements, such as probes.json");
        text.parse().map(Self::Address).map_err(wrong)
    }
}

/// The measurements that are asked for.
pub fn measurements(wanted: &[Wanted]) -> Result<Vec<Measurement>> {
    let mut found = Vec::new();
    for one in wanted {
        match one {
            Wanted::Preset(preset) => found.push(preset.measurement()),
            Wanted::File(path) => found.extend(config::read::<Vec<Measurement>>(path)?),
            Wanted::Address(_) => {}
        }
    }
    spark::record::validate(&found).context("what is to be recorded is not valid")?;
    Ok(found)
}

/// The states and kernels that are asked for.
pub fn planes(wanted: &[Wanted]) -> Vec<Pattern> {
    let pattern = |one: &Wanted| match one {
        Wanted::Address(pattern) => Some(pattern.clone()),
        _ => None,
    };
    wanted.iter().filter_map(pattern).collect()
}

/// A run that is recorded while it goes on.
pub struct Recording {
    recorder: Recorder,
    writer: RunWriter,
    device: Device,
    /// Why recording stopped; the run itself goes on.
    failure: Option<StoreError>,
    /// When the speed was last told, and at which step.
    begun: (Instant, u64),
}

/// How often a run tells how fast it is.
const PERIOD: Duration = Duration::from_secs(1);

/// Checks that what is to be recorded is there.
pub fn check(measurements: &[Measurement], simulation: &mut Simulation, device: &Device) -> Result<()> {
    recorder(measurements, simulation, device).map(drop)
}

fn recorder(measurements: &[Measurement], simulation: &mut Simulation, device: &Device) -> Result<Recorder> {
    let dt = simulation.dt();
    Recorder::new(measurements, simulation.instance_mut(), 0, dt, device)
        .context("what is to be recorded does not fit the model")
}

impl Recording {
    /// Begins a run in a folder, in the place of the one that may be there.
    pub fn begin(
        folder: &Path,
        plan: &Plan<'_>,
        variant: &Variant,
        simulation: &mut Simulation,
    ) -> Result<Self> {
        let recorder = recorder(&plan.measurements, simulation, &plan.device)?;
        let settings: Map<String, Value> = variant.settings.iter().cloned().collect();
        let configuration = json!({
            "model": variant.model,
            "settings": settings,
            "steps": plan.steps,
            "dt": simulation.dt(),
            "device": format!("{:?}", plan.device),
            "measurements": plan.measurements,
        });
        let experiment = plan.experiment.clone();
        let about = RunAbout { seed: variant.seed, configuration, experiment, ..RunAbout::new("run") };
        let writer = RunWriter::create(folder, about, true)?;
        spark::io::model::write(&writer.paths().model(), &variant.model, true)?;
        let begun = (Instant::now(), 0);
        Ok(Self { recorder, writer, device: plan.device.clone(), failure: None, begun })
    }

    /// After every step.
    pub fn see(&mut self, step: u64, instance: &mut dyn Instance) {
        for window in self.recorder.see(instance) {
            self.write(window);
        }
        for request in self.writer.requests() {
            self.answer(request, step, instance);
        }
        // Looking at the clock takes as long as a small step.
        if step.is_multiple_of(64) && self.begun.0.elapsed() > PERIOD {
            let (start, before) = std::mem::replace(&mut self.begun, (Instant::now(), step));
            let speed = (step - before) as f64 / start.elapsed().as_secs_f64();
            let told = self.writer.scalar("steps_per_second", step, speed);
            self.note(told);
        }
    }

    /// What another process asks for.
    fn answer(&mut self, request: Value, step: u64, instance: &mut dyn Instance) {
        let answered = serde_json::from_value::<Request>(request).context("not a request to record");
        let answered = answered.and_then(|request| {
            let name = request.measurement.name.clone();
            if !self.recorder.streams().iter().any(|(known, _)| *known == name) {
                self.recorder.add(request.measurement, instance, &self.device)?;
            }
            self.recorder.request(&name, request.steps);
            Ok(json!({ "measurement": name, "steps": request.steps }))
        });
        let told = match answered {
            Ok(detail) => self.writer.event("record", step, detail),
            Err(error) => self.writer.warning(step, &format!("{REFUSED}: {error:#}")),
        };
        self.note(told);
    }

    fn write(&mut self, window: Window) {
        let told = self.writer.window(window);
        self.note(told);
    }

    fn note(&mut self, told: Result<(), StoreError>) {
        if let Err(error) = told {
            self.failure.get_or_insert(error);
        }
    }

    /// Ends the run; the error is that of the recording.
    pub fn finish(mut self, simulation: &Simulation, steps: usize, interrupted: bool) -> Result<()> {
        for window in self.recorder.finish(simulation.instance()) {
            self.write(window);
        }
        for one in simulation.activity() {
            let named = [("rate", one.rate), ("mean", one.mean)];
            for (kind, value) in named.into_iter().filter_map(|(kind, value)| Some((kind, value?))) {
                let told = self.writer.scalar(&format!("{kind}/{}", one.name), steps as u64, value);
                self.note(told);
            }
        }
        let status = if interrupted { Status::Interrupted } else { Status::Finished };
        let finished = self.writer.finish(status);
        match (self.failure, finished) {
            (Some(failure), _) => Err(failure.into()),
            (None, finished) => Ok(finished?),
        }
    }

    /// Ends a run that an error ended.
    pub fn fail(self, error: &anyhow::Error) {
        // The error of the run is what is told.
        let _ = self.writer.fail(&format!("{error:#}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_named_as_people_write_it() {
        assert_eq!("activity".parse(), Ok(Wanted::Preset(Preset::Activity)));
        assert_eq!("probes.json".parse(), Ok(Wanted::File("probes.json".into())));
        assert_eq!("**.kernel".parse(), Ok(Wanted::Address("**.kernel".parse().unwrap())));
        let error = "a..b".parse::<Wanted>().unwrap_err();
        assert!(error.contains("activity") && error.contains("probes.json"), "{error}");
    }
}
