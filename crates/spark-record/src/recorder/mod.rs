//! Recording a model while it runs.

mod channel;
mod condition;
mod expression;
mod layers;
mod measurement;
mod probe;
mod seen;
mod summary;
#[cfg(test)]
mod tests;
mod trigger;

use burn::tensor::Device;
use spark_core::Problems;
use spark_core::component::Instance;
use spark_core::device::is_cpu;
use spark_core::look::Sight;
use std::collections::BTreeMap;

use crate::window::{Rows, Stream, Window};
use channel::Channel;
use condition::Watch;

pub use layers::record_layers;
pub use measurement::{Grouping, Measurement, Preset, UnknownPreset, validate};
pub use probe::{Probe, Units};
pub use trigger::Trigger;

/// Records what measurements say while a model runs, and gives windows as they are complete.
///
/// Nothing is looked at that no measurement asks for. On a GPU rows stay there until their window ends, and
/// statistics are added up there.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use spark_core::component::Context;
/// use spark_core::payload::{PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_core::simulation::{Drive, Drives, Record, Simulation};
/// use spark_record::{Preset, Recorder};
///
/// let device = Device::flex();
/// let mut neuron = spark_nn::neurons::lif();
/// neuron.units = vec![4];
/// let model = spark_core::model::Model::of(&neuron)?;
/// let shapes = InputShapes::default().with("in_spikes", Shape::new(PayloadKind::Spikes, &[8]));
/// let drives = Drives::new(&shapes, &[("in_spikes".into(), Drive::Constant(1.0))], &device)?;
/// let mut run = Simulation::new(&model, drives, &Record::default(), &Context::new("", &device))?;
///
/// let presets = [Preset::Activity.measurement()];
/// let mut recorder = Recorder::new(&presets, run.instance_mut(), 0, 1.0, &device)?;
/// let mut windows = Vec::new();
/// run.run(100, |_, instance| {
///     windows.extend(recorder.see(instance));
///     true
/// })?;
/// windows.extend(recorder.finish(run.instance()));
/// assert_eq!((windows[0].first, windows[0].last), (1, 100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Recorder {
    measurements: Vec<Running>,
    tags: BTreeMap<String, i64>,
    step: u64,
    dt: f64,
}

/// Bytes of a window after which it ends.
const LARGE: usize = 16 << 20;

/// A measurement under way.
#[derive(Debug)]
struct Running {
    config: Measurement,
    channels: Vec<Channel>,
    /// What the conditions of its trigger look at.
    watches: Vec<Watch>,
    /// First step of the window that is open.
    open: Option<u64>,
    /// Last step that was recorded.
    last: u64,
    /// Last step for which the trigger keeps it going.
    until: u64,
    /// Last step of a request.
    asked_until: u64,
    group: Option<i64>,
}

impl Recorder {
    /// A recorder for a model.
    ///
    /// * `step`: the steps that the model has done.
    /// * `dt`: duration of a step in ms.
    ///
    /// # Errors
    /// Every mistake in the measurements: what can be told without a model, and probes that mean nothing in it.
    pub fn new(
        measurements: &[Measurement],
        instance: &mut dyn Instance,
        step: u64,
        dt: f64,
        device: &Device,
    ) -> Result<Self, Problems> {
        let mut recorder = Self { measurements: Vec::new(), tags: BTreeMap::new(), step, dt };
        validate(measurements)?;
        let mut problems = Problems::default();
        for measurement in measurements {
            recorder.prepare(measurement.clone(), instance, is_cpu(device), &mut problems);
        }
        problems.into_result()?;
        Ok(recorder)
    }

    /// Adds a measurement to those under way.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and a name that is in use.
    pub fn add(
        &mut self,
        measurement: Measurement,
        instance: &mut dyn Instance,
        device: &Device,
    ) -> Result<(), Problems> {
        let known: Vec<Measurement> = self.measurements.iter().map(|known| known.config.clone()).collect();
        validate(&[&known[..], std::slice::from_ref(&measurement)].concat())?;
        let mut problems = Problems::default();
        self.prepare(measurement, instance, is_cpu(device), &mut problems);
        problems.into_result()
    }

    fn prepare(
        &mut self,
        config: Measurement,
        instance: &mut dyn Instance,
        here: bool,
        problems: &mut Problems,
    ) {
        let sights: Vec<Sight> =
            instance.sights().into_iter().filter(|sight| !sight.address.contains('>')).collect();
        let before = problems.list().len();
        let mut found = Vec::new();
        for (at, probe) in config.probes.iter().enumerate() {
            let path = format!("{}.probes[{at}]", config.name);
            for stream in probe.resolve(instance, &sights, &path, problems) {
                let same = |known: &probe::Found| {
                    known.place == stream.place && known.stream.kind == stream.stream.kind
                };
                if !found.iter().any(same) {
                    found.push(stream);
                }
            }
        }
        let watches = config.trigger.conditions().into_iter().filter_map(|condition| {
            Watch::new(condition, instance, &sights, here, self.dt, &config.name, problems)
        });
        let watches = watches.collect();
        if found.is_empty() && problems.list().len() == before {
            problems.push(
                format!("{}.probes", config.name),
                "nothing to record in this model",
                "at least one match",
            );
        }
        if problems.list().len() > before {
            return;
        }
        let mut channels: Vec<Channel> =
            found.into_iter().map(|found| Channel::new(found, self.dt, here)).collect();
        let always = config.trigger == Trigger::Always;
        channels.iter_mut().for_each(|channel| channel.begin(self.step, instance, always));
        self.measurements.push(Running {
            channels,
            watches,
            open: None,
            last: self.step,
            until: 0,
            asked_until: 0,
            group: None,
            config,
        });
    }

    /// The streams of each measurement.
    pub fn streams(&self) -> Vec<(&str, Vec<&Stream>)> {
        let streams = self.measurements.iter().map(|running| {
            (running.config.name.as_str(), running.channels.iter().map(Channel::stream).collect())
        });
        streams.collect()
    }

    /// Sets a tag, such as the number of the episode, from the next step on.
    pub fn tag(&mut self, name: &str, value: i64) {
        self.tags.insert(name.to_owned(), value);
    }

    /// Records for the next `steps` steps, whatever the trigger says. Returns whether there is such a measurement.
    pub fn request(&mut self, measurement: &str, steps: u64) -> bool {
        let until = self.step.saturating_add(steps);
        let running = self.measurements.iter_mut().find(|running| running.config.name == measurement);
        running.map(|running| running.asked_until = running.asked_until.max(until)).is_some()
    }

    /// Looks at a model that has done a step. Returns the windows that it completes.
    pub fn see(&mut self, instance: &dyn Instance) -> Vec<Window> {
        self.step += 1;
        let (step, dt, tags) = (self.step, self.dt, &self.tags);
        let mut windows = Vec::new();
        for running in &mut self.measurements {
            running.see(instance, step, dt, tags, &mut windows);
        }
        windows
    }

    /// What is recorded and in no window yet, and snapshots of how everything ends.
    pub fn finish(&mut self, instance: &dyn Instance) -> Vec<Window> {
        let (step, dt) = (self.step, self.dt);
        let mut windows = Vec::new();
        for running in &mut self.measurements {
            if running.is_always() {
                running.channels.iter_mut().for_each(|channel| channel.end(step, instance));
            }
            running.close(dt, &mut windows);
        }
        windows
    }
}

impl Running {
    fn see(
        &mut self,
        instance: &dyn Instance,
        step: u64,
        dt: f64,
        tags: &BTreeMap<String, i64>,
        windows: &mut Vec<Window>,
    ) {
        if self.is_triggered(instance, step, dt, tags) {
            self.until = step.saturating_add(self.config.hold);
        }
        let active = step <= self.until.max(self.asked_until);
        let group = match &self.config.group {
            None => None,
            Some(Grouping::Steps(steps)) => Some(((step - 1) / steps) as i64),
            Some(Grouping::Tag(tag)) => tags.get(tag).copied(),
        };
        let look_back = self.config.look_back;
        // Short stretches share a window, unless each has to bring what was before it.
        let ended = !active && look_back > 0;
        let large = self.channels.iter().map(Channel::bytes).sum::<usize>() > LARGE;
        let full = self.open.is_some_and(|first| large || step - first >= self.config.window);
        if self.open.is_some() && (ended || full || (active && group != self.group)) {
            self.close(dt, windows);
        }
        if !active && look_back == 0 {
            return;
        }
        self.channels.iter_mut().for_each(|channel| channel.see(step, instance));
        if active {
            self.open.get_or_insert(step.saturating_sub(look_back).max(self.last + 1));
            (self.group, self.last) = (group, step);
        } else {
            let needed = (step + 1).saturating_sub(look_back);
            self.channels.iter_mut().for_each(|channel| channel.forget(needed));
        }
    }

    fn is_triggered(
        &mut self,
        instance: &dyn Instance,
        step: u64,
        dt: f64,
        tags: &BTreeMap<String, i64>,
    ) -> bool {
        if self.watches.is_empty() {
            return self.config.trigger.is_active(step, &mut 0, &|_| false);
        }
        let tag = |name: &str| tags.get(name).map(|value| *value as f64);
        let holds: Vec<bool> =
            self.watches.iter_mut().map(|watch| watch.holds(instance, step, dt, &tag)).collect();
        self.config.trigger.is_active(step, &mut 0, &|place| holds[place])
    }

    fn is_always(&self) -> bool {
        self.config.trigger == Trigger::Always
    }

    /// Ends the window that is open; one that always records also has what was there before the first step.
    fn close(&mut self, dt: f64, windows: &mut Vec<Window>) {
        let Some(first) = self.open.take().or(self.is_always().then_some(self.last)) else { return };
        let from = if self.is_always() { 0 } else { first };
        let last = self.last;
        let rows: Vec<Rows> =
            self.channels.iter_mut().filter_map(|channel| channel.take(from, last)).collect();
        if let Some(earliest) = rows.iter().filter_map(|rows| rows.steps.first()).min() {
            let (measurement, group) = (self.config.name.clone(), self.group);
            windows.push(Window { measurement, first: first.min(*earliest), last, group, dt, rows });
        }
    }
}
