//! What happens inside the brain, into the folder of a run (`--record`).

use anyhow::Result;
use serde_json::json;
use spark::core::component::Instance;
use spark::core::model::Model;
use spark::prelude::Device;
use spark::record::{
    Grouping, Measurement, Preset, Probe, Recorder, RunAbout, RunWriter, Status, StreamKind, Trigger,
};
use std::path::Path;

/// Set to 1 while the brain is told that the pole has fallen.
const FALLEN: &str = "fallen";
const EPISODE: &str = "episode";

/// A run of the brain that is recorded.
pub struct Recording {
    recorder: Recorder,
    run: RunWriter,
}

/// Statistics all the time, weights now and then, and every spike of the last moments before a fall.
fn measurements() -> Vec<Measurement> {
    let mut weights = Preset::Weights.measurement();
    for probe in &mut weights.probes {
        probe.stride = Some(if probe.record == StreamKind::Snapshot { 50_000 } else { 5_000 });
    }
    weights.window = 50_000;
    let falls = Measurement {
        trigger: Trigger::Condition { expression: format!("tag({FALLEN}) > 0") },
        look_back: 150,
        group: Some(Grouping::Tag(EPISODE.to_owned())),
        ..Measurement::new("falls", vec![Probe::new("*.out_spikes", StreamKind::Raster)])
    };
    let mut summary = Preset::Summary.measurement();
    summary.probes.iter_mut().for_each(|probe| probe.stride = Some(500));
    summary.window = 10_000;
    vec![summary, weights, falls]
}

impl Recording {
    /// Begins a run in a folder.
    pub fn begin(
        folder: &Path,
        overwrite: bool,
        model: &Model,
        seed: u64,
        brain: &mut dyn Instance,
        device: &Device,
    ) -> Result<Self> {
        let configuration = json!({ "model": model, "episodes": "a pole on a cart" });
        let about = RunAbout { seed: Some(seed), configuration, ..RunAbout::new("cartpole") };
        let run = RunWriter::create(folder, about, overwrite)?;
        spark::io::model::write(&run.paths().model(), model, true)?;
        let recorder = Recorder::new(&measurements(), brain, 0, 1.0, device)?;
        Ok(Self { recorder, run })
    }

    /// The brain has done a step.
    pub fn step(&mut self, brain: &dyn Instance) -> Result<()> {
        for window in self.recorder.see(brain) {
            self.run.window(window)?;
        }
        Ok(())
    }

    /// An episode begins.
    pub fn episode(&mut self, episode: i64, step: u64) -> Result<()> {
        self.recorder.tag(EPISODE, episode);
        Ok(self.run.tag(EPISODE, step + 1, episode)?)
    }

    /// The pole has fallen, or the brain has been told.
    pub fn fallen(&mut self, fallen: bool) {
        self.recorder.tag(FALLEN, i64::from(fallen));
    }

    /// How an episode ended.
    pub fn lasted(&self, lasted: u32, mean: f32, step: u64) -> Result<()> {
        self.run.scalar("lasted", step, f64::from(lasted))?;
        self.run.scalar("mean", step, f64::from(mean))?;
        Ok(())
    }

    /// The run is over.
    pub fn finish(mut self, brain: &dyn Instance) -> Result<()> {
        for window in self.recorder.finish(brain) {
            self.run.window(window)?;
        }
        Ok(self.run.finish(Status::Finished)?)
    }
}
