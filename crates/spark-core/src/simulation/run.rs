//! A model at work.

use burn::tensor::TensorData;
use std::collections::BTreeMap;

use super::planes::{self, Plane};
use super::watch::Watched;
use super::{Activity, Drives};
use crate::Problems;
use crate::component::{BuildError, Context, Family, Instance};
use crate::model::{Model, Pattern, Settings};
use crate::payload::PayloadKind;
use crate::ports::PortError;
use crate::registry;
use crate::state::{Saved, StateError};

/// A model that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// It does not make sense.
    #[error(transparent)]
    Model(#[from] Problems),
    /// It does not fit its inputs.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A step fails.
    #[error("step {step}: {source}")]
    Step {
        /// The step, from 0.
        step: usize,
        /// What does not fit.
        source: PortError,
    },
    /// There are fewer rows of input than steps.
    #[error("found inputs for {found} steps, expected at least {expected}")]
    Short {
        /// Rows of the shortest input.
        found: usize,
        /// Steps that were asked for.
        expected: usize,
    },
    /// Nothing that could be kept matches a pattern.
    #[error("no state matches `{pattern}`: there are {known}")]
    NoPlane {
        /// The pattern.
        pattern: String,
        /// The paths there are.
        known: String,
    },
    /// A plane cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What is kept of every step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Every output, and the spikes of every module of a brain.
    pub outputs: bool,
    /// States and kernels, such as `pool.soma.potential` or `**.kernel`.
    pub planes: Vec<Pattern>,
}

/// A model with what comes in.
///
/// Spikes of the outputs are counted, and in a brain those of the modules inside as well.
///
/// # Examples
/// `spark_nn::neurons` runs a neuron.
pub struct Simulation {
    instance: Box<dyn Instance>,
    drives: Drives,
    watched: Vec<Watched>,
    planes: Vec<Plane>,
    dt: f64,
    steps: usize,
}

impl Simulation {
    /// Builds a model for one sample of its inputs.
    ///
    /// # Errors
    /// When the model does not make sense or does not fit its inputs, or a pattern of `record` means nothing.
    pub fn new(
        model: &Model,
        drives: Drives,
        record: &Record,
        context: &Context,
    ) -> Result<Self, SimulationError> {
        model.checked()?;
        let (open, inside) = opened(model)?;
        let instance = open.build(drives.shapes(), 1, context)?;
        let outputs = instance.outputs().iter().map(|port| port.name);
        let watched = outputs.map(|name| {
            let inner = inside.iter().any(|port| port == name);
            Watched::new(name.to_owned(), !inner, record.outputs)
        });
        let watched = watched.collect();
        let planes = planes::meant(instance.as_ref(), &record.planes).map_err(|(pattern, known)| {
            SimulationError::NoPlane { pattern: pattern.to_string(), known: known.join(", ") }
        })?;
        let dt = open.config.fields.get("dt").and_then(serde_json::Value::as_f64).unwrap_or(1.0);
        Ok(Self { instance, drives, watched, planes, dt, steps: 0 })
    }

    /// Steps until `steps` are done in all, or `go_on`, which is told how many are and sees the model, says to stop.
    /// Returns how many are done in all.
    ///
    /// # Errors
    /// When there are fewer rows of input; nothing is done then.
    pub fn run(
        &mut self,
        steps: usize,
        mut go_on: impl FnMut(usize, &mut dyn Instance) -> bool,
    ) -> Result<usize, SimulationError> {
        if let Some(found) = self.drives.steps().filter(|found| *found < steps) {
            return Err(SimulationError::Short { found, expected: steps });
        }
        while self.steps < steps {
            let step = self.steps;
            let outputs = self.instance.step(self.drives.at(step));
            let outputs = outputs.map_err(|source| SimulationError::Step { step, source })?;
            for watched in &mut self.watched {
                if let Some(payload) = outputs.get(&watched.port) {
                    watched.see(payload);
                }
            }
            for plane in &mut self.planes {
                plane.see(self.instance.as_ref())?;
            }
            self.steps += 1;
            if !go_on(self.steps, self.instance.as_mut()) {
                break;
            }
        }
        // So that the time of a run includes what a device has still to do.
        self.watched.iter_mut().for_each(Watched::settle);
        Ok(self.steps)
    }

    /// Goes on from what another run of the same model left; its inputs begin with their first row all the same.
    ///
    /// # Errors
    /// When it is the state of another model: one is missing, unknown or of another shape. Nothing is changed then.
    pub fn restore(&mut self, state: &Saved) -> Result<(), StateError> {
        self.instance.restore(state)
    }

    /// Duration of a step in ms.
    pub fn dt(&self) -> f64 {
        self.dt
    }

    /// What was built.
    pub fn instance(&self) -> &dyn Instance {
        self.instance.as_ref()
    }

    /// What was built, to be prepared for what will be looked at.
    pub fn instance_mut(&mut self) -> &mut dyn Instance {
        self.instance.as_mut()
    }

    /// How active every output was, and in a brain every module.
    pub fn activity(&self) -> Vec<Activity> {
        self.watched.iter().filter_map(|watched| watched.activity(self.dt)).collect()
    }

    /// What was kept, by name: outputs as `[time, units]`, states and kernels as `[time, …]`.
    pub fn record(&self) -> BTreeMap<String, TensorData> {
        let outputs = self.watched.iter().filter_map(|watched| Some((watched.name.clone(), watched.rows()?)));
        outputs.chain(self.planes.iter().map(|plane| (plane.path.clone(), plane.rows()))).collect()
    }
}

/// The model with every default, and for a brain with the spikes of its modules as further outputs; and the
/// names of these, such as `pool>out_spikes`.
fn opened(model: &Model) -> Result<(Model, Vec<String>), Problems> {
    let mut open = model.complete().map_err(|error| {
        let mut problems = Problems::default();
        problems.push(error.path, error.message, "a registered module");
        problems
    })?;
    let brain = registry::find(&open.module).is_ok_and(|(found, _)| found.family == Family::Brain);
    let mut inside = Vec::new();
    if brain {
        for spec in &mut open.config.modules {
            for port in spiking(&spec.module, &spec.config) {
                if !spec.outputs.values().any(|given| given == port) {
                    let name = format!("{}>{port}", spec.name);
                    spec.outputs.insert(name.clone(), port.to_owned());
                    inside.push(name);
                }
            }
        }
    }
    Ok((open, inside))
}

/// The output ports of a module that carry spikes.
fn spiking(module: &str, config: &Settings) -> Vec<&'static str> {
    let Ok((registration, _)) = registry::find(module) else { return Vec::new() };
    let Ok(config) = registration.parse_settings(config.clone()) else { return Vec::new() };
    let outputs = config.interface().outputs.into_iter();
    let spiking = outputs.filter(|port| port.kind == Some(PayloadKind::Spikes) && !port.many);
    spiking.map(|port| port.name).collect()
}
