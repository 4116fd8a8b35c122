//! A model with the state of one that runs.

use serde::de::DeserializeOwned;
use spark_core::component::{BuildError, Context, Instance};
use spark_core::model::Model;
use spark_core::payload::Shape;
use spark_core::ports::InputShapes;
use spark_core::state::{Saved, StateError};
use std::path::{Path, PathBuf};

use crate::{TensorFile, TensorFileError};

/// Value of the metadata key `format`.
const FORMAT: &str = "spark-snapshot";

/// Version of the layout that this build writes; it reads every version up to this one.
const VERSION: u32 = 1;

/// A brain, a neuron or a component in the middle of its life: one safetensors file.
///
/// Tensors: the state by path, as [`Instance::save`] names it (`pool.soma.potential`), kernels and delays
/// `[post, pre]` (`pool.synapses.kernel`), and what waits to be read (`pool>out_spikes`).
///
/// Metadata, each value a JSON text:
///
/// | key | value |
/// | --- | --- |
/// | `format` | `"spark-snapshot"` |
/// | `version` | version of this layout |
/// | `spark` | version of the program that wrote the file |
/// | `model` | the model, as in a model file |
/// | `inputs` | input port → its shape |
/// | `batch` | samples at once |
/// | `seed` | seed of what the model names no seed for |
/// | `steps` | steps done |
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::Context;
/// use spark_core::model::Model;
/// use spark_core::payload::{Currents, PayloadKind, Shape};
/// use spark_core::ports::{InputShapes, PortValues};
/// use spark_io::Snapshot;
/// # use spark_nn as _;
///
/// let context = Context::new("", &Device::flex());
/// let model = Model::new("LeakySoma", Default::default());
/// let inputs = InputShapes::default().with("current", Shape::new(PayloadKind::Currents, &[2]));
/// let mut soma = model.build(&inputs, 1, &context)?;
/// let mut current = PortValues::default();
/// current.put("current", Currents(Tensor::full([1, 2], 50.0, &context.device)));
/// soma.step(current)?;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("soma.safetensors");
/// Snapshot::of(&model, soma.as_ref(), 1, 1, &context).write(&path)?;
/// let snapshot = Snapshot::read(&path)?;
/// assert_eq!(snapshot.steps, 1);
/// let again = snapshot.build(&context.device)?;
/// assert_eq!(again.save(), soma.save());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The model.
    pub model: Model,
    /// The shapes of its inputs.
    pub inputs: Vec<(String, Shape)>,
    /// Samples at once.
    pub batch: usize,
    /// Seed of what the model names no seed for.
    pub seed: u64,
    /// Steps done.
    pub steps: u64,
    /// State, kernels and what waits, by path.
    pub state: Saved,
}

/// A snapshot that cannot be read, written or used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file itself is at fault.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// The file is a safetensors file, but no snapshot.
    #[error("{} is not a Spark snapshot: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        message: String,
    },
    /// A newer program wrote it.
    #[error("{}: snapshot version {found}, this program reads up to {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The state is not that of the model.
    #[error("the state belongs to another model: {0}")]
    Foreign(#[from] StateError),
    /// The model cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Snapshot {
    /// What there is to know of a model that runs.
    ///
    /// * `instance`: the model, built for `batch` samples in `context`.
    /// * `steps`: how many it has done.
    pub fn of(model: &Model, instance: &dyn Instance, batch: usize, steps: u64, context: &Context) -> Self {
        let shape = |name: &str| Some((name.to_owned(), instance.input_shape(name)?));
        let inputs = instance.inputs().iter().filter_map(|port| shape(port.name)).collect();
        let state = instance.save();
        Self { model: model.clone(), inputs, batch, seed: context.seed, steps, state }
    }

    /// Whether a file of tensors says of itself that it is a snapshot.
    ///
    /// # Errors
    /// When it cannot be read, or is no file of tensors.
    pub fn is_at(path: &Path) -> Result<bool, SnapshotError> {
        let file = TensorFile::read(path)?;
        Ok(entry::<String>(&file, "format").is_ok_and(|format| format == FORMAT))
    }

    /// Replaces the state of an instance of the same model.
    ///
    /// # Errors
    /// When it is one of another model: a tensor is missing, unknown or of another shape. The instance is then as
    /// it was.
    pub fn restore(&self, instance: &mut dyn Instance) -> Result<(), SnapshotError> {
        Ok(instance.restore(&self.state)?)
    }

    /// The model with its state.
    ///
    /// # Errors
    /// When the model cannot be built, or the state is that of another one.
    pub fn build(&self, device: &burn::tensor::Device) -> Result<Box<dyn Instance>, SnapshotError> {
        let inputs = self.inputs.iter().cloned();
        let inputs = inputs.fold(InputShapes::default(), |all, (port, shape)| all.with(&port, shape));
        let context = Context { seed: self.seed, ..Context::new("", device) };
        let mut instance = self.model.build(&inputs, self.batch, &context)?;
        self.restore(instance.as_mut())?;
        Ok(instance)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written; an older file of that name is then as it was.
    pub fn write(&self, path: &Path) -> Result<(), SnapshotError> {
        let mut file = TensorFile { tensors: self.state.clone(), ..TensorFile::default() };
        let mut put = |key: &str, value: serde_json::Value| {
            file.metadata.insert(key.to_owned(), value.to_string());
        };
        let json = |message: serde_json::Error| SnapshotError::Format {
            path: path.to_owned(),
            message: message.to_string(),
        };
        put("format", FORMAT.into());
        put("version", VERSION.into());
        put("spark", env!("CARGO_PKG_VERSION").into());
        put("model", serde_json::to_value(&self.model).map_err(json)?);
        put("inputs", serde_json::to_value(&self.inputs).map_err(json)?);
        put("batch", self.batch.into());
        put("seed", self.seed.into());
        put("steps", self.steps.into());
        Ok(file.write(path)?)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is no snapshot, or one of a newer program.
    pub fn read(path: &Path) -> Result<Self, SnapshotError> {
        let file = TensorFile::read(path)?;
        let wrong = |message: String| SnapshotError::Format { path: path.to_owned(), message };
        let format: String = entry(&file, "format").map_err(wrong)?;
        if format != FORMAT {
            return Err(wrong(format!("found format `{format}`, expected `{FORMAT}`")));
        }
        let version: u32 = entry(&file, "version").map_err(wrong)?;
        if version == 0 || version > VERSION {
            return Err(SnapshotError::Version { path: path.to_owned(), found: version });
        }
        let model: Model = entry(&file, "model").map_err(wrong)?;
        let batch: usize = entry(&file, "batch").map_err(wrong)?;
        if batch == 0 {
            return Err(wrong("`batch`: found 0, expected at least 1".to_owned()));
        }
        let inputs = entry(&file, "inputs").map_err(wrong)?;
        let (seed, steps) = (entry(&file, "seed").map_err(wrong)?, entry(&file, "steps").map_err(wrong)?);
        Ok(Self { model, inputs, batch, seed, steps, state: file.tensors })
    }
}

/// An entry of the metadata; an error says where inside and why.
fn entry<T: DeserializeOwned>(file: &TensorFile, key: &str) -> Result<T, String> {
    let text = file.metadata.get(key).ok_or_else(|| format!("metadata has no `{key}`"))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| format!("`{key}` at `{}`: {}", error.path(), error.inner()))?;
    json.end().map_err(|error| format!("`{key}`: {error}"))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};
    use proptest::prelude::*;
    use serde_json::json;
    use spark_core::payload::{Floats, Payload, PayloadKind};
    use spark_core::ports::PortValues;
    use spark_nn as _;

    /// Noise, a recurrent pool that inhibits and learns, and, in the brain itself, synapses with delays by pair.
    fn brain(units: usize, seed: u64) -> Model {
        let kernel = |scale: f64| json!({ "kind": "uniform", "scale": scale });
        let model = json!({ "spark": 1, "module": "Brain", "config": { "seed": seed, "modules": [
            { "name": "spiker", "module": "PoissonSpiker", "inputs": { "signal": "__call__.signal" },
              "config": { "max_freq": 400.0 } },
            { "name": "pool", "module": "ALIFNeuron", "inputs": { "in_spikes": ["spiker.spikes", "pool.out_spikes"] },
              "outputs": { "near": "out_spikes" },
              "config": { "units": [units], "inhibitory_rate": 0.4, "modules": [
                  { "name": "synapses", "config": { "kernel": kernel(600.0) } },
                  { "name": "soma", "config": { "threshold_delta": 5.0 } } ] } },
            { "name": "far", "module": "N2NDelays", "inputs": { "in_spikes": "pool.out_spikes" },
              "config": { "units": [3], "max_delay": 4.0 } },
            { "name": "synapses", "module": "TracedSynapses", "inputs": { "spikes": "far.out_spikes" },
              "config": { "units": [3], "kernel": kernel(900.0) } },
            { "name": "soma", "module": "LeakySoma", "inputs": { "current": "synapses.currents" },
              "outputs": { "far": "spikes" } }
        ] } });
        serde_json::from_value(model).unwrap()
    }

    fn built(model: &Model, context: &Context) -> Box<dyn Instance> {
        let inputs = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[4]));
        model.build(&inputs, 2, context).unwrap()
    }

    /// The spikes of some steps, by port.
    fn run(instance: &mut dyn Instance, steps: usize, device: &Device) -> Vec<Vec<f32>> {
        let step = |_| {
            let mut inputs = PortValues::default();
            inputs.put(
                "signal",
                Floats(Tensor::from_floats([[1.0, 0.5, 0.8, 0.2], [0.9, 0.1, 0.0, 1.0]], device)),
            );
            let outputs = instance.step(inputs).unwrap();
            let values = outputs.into_iter().flat_map(|(_, payload)| match payload {
                Payload::Spikes(spikes) => {
                    spikes.value().unwrap().into_data().iter::<f32>().collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            });
            values.collect()
        };
        (0..steps).map(step).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_restored_brain_goes_on_as_if_nothing_had_happened(
            units in 1..9usize, seed in any::<u64>(), before in 0..40usize, elsewhere in 0..10usize,
        ) {
            let context = Context { seed, ..Context::new("", &Device::flex()) };
            let model = brain(units, seed);
            let mut first = built(&model, &context);
            run(first.as_mut(), before, &context.device);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("brain.safetensors");
            Snapshot::of(&model, first.as_ref(), 2, before as u64, &context).write(&path).unwrap();
            let snapshot = Snapshot::read(&path).unwrap();
            prop_assert_eq!(snapshot.steps, before as u64);
            let mut second = snapshot.build(&context.device).unwrap();
            // One that was somewhere else before.
            let mut third = built(&model, &context);
            run(third.as_mut(), elsewhere, &context.device);
            snapshot.restore(third.as_mut()).unwrap();
            let expected = run(first.as_mut(), 50, &context.device);
            prop_assert_eq!(&run(second.as_mut(), 50, &context.device), &expected);
            prop_assert_eq!(&run(third.as_mut(), 50, &context.device), &expected);
            prop_assert_eq!(first.save(), second.save());
            prop_assert_eq!(first.save(), third.save());
        }
    }

    #[test]
    fn the_brain_of_the_property_spikes_and_learns() {
        let context = Context::new("", &Device::flex());
        let mut brain = built(&brain(8, 3), &context);
        let before = brain.save()["pool.synapses.kernel"].clone();
        let spikes: Vec<f32> = run(brain.as_mut(), 90, &context.device).concat();
        assert!(spikes.contains(&1.0) && spikes.contains(&-1.0));
        assert_ne!(brain.save()["pool.synapses.kernel"], before);
        assert!(brain.save().contains_key("pool>out_spikes>inhibitory"));
        assert!(brain.save().contains_key("far>out_spikes>delays"));
    }

    #[test]
    fn states_of_other_models_are_refused() {
        let context = Context::new("", &Device::flex());
        let (small, large) = (brain(4, 3), brain(5, 3));
        let snapshot = Snapshot::of(&small, built(&small, &context).as_ref(), 2, 0, &context);
        let mut other = built(&large, &context);
        let before = other.save();
        let error = snapshot.restore(other.as_mut()).unwrap_err().to_string();
        assert!(error.contains("belongs to another model") && error.contains("pool."), "{error}");
        assert_eq!(other.save(), before);
        let wrong = |change: fn(&mut Snapshot)| {
            let mut snapshot = snapshot.clone();
            change(&mut snapshot);
            snapshot.build(&context.device).err().unwrap().to_string()
        };
        assert!(
            wrong(|it| drop(it.state.remove("pool.soma.potential")))
                .contains("`pool.soma.potential` is missing")
        );
        assert!(wrong(|it| drop(it.state.insert("x".into(), [1.0f32].into()))).contains("unknown state `x`"));
        assert!(wrong(|it| it.batch = 1).contains("found shape"));
        assert!(wrong(|it| it.model.module = "Brian".into()).contains("Brian"));
    }

    #[test]
    fn what_is_no_snapshot_is_named() {
        let context = Context::new("", &Device::flex());
        let model = brain(2, 3);
        let snapshot = Snapshot::of(&model, built(&model, &context).as_ref(), 2, 0, &context);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("brain.safetensors");
        let error = |key: &str, value: Option<&str>| {
            snapshot.write(&path).unwrap();
            let mut file = TensorFile::read(&path).unwrap();
            file.metadata.remove(key);
            file.metadata.extend(value.map(|value| (key.to_owned(), value.to_owned())));
            file.write(&path).unwrap();
            Snapshot::read(&path).unwrap_err().to_string()
        };
        assert!(error("format", None).contains("metadata has no `format`"));
        assert!(error("format", Some("\"spark-checkpoint\"")).contains("found format `spark-checkpoint`"));
        assert!(error("version", Some("2")).contains("snapshot version 2, this program reads up to 1"));
        assert!(
            error("model", Some("{\"spark\": 1, \"module\": 3}"))
                .contains("`model` at `module`: invalid type")
        );
        assert!(error("batch", Some("0")).contains("`batch`: found 0"));
        assert!(error("steps", Some("-1")).contains("`steps` at `.`"));
        std::fs::write(&path, b"nothing").unwrap();
        assert!(Snapshot::read(&path).unwrap_err().to_string().contains("not a valid safetensors file"));
    }
}
