//! From a network to a `state_dict` and the modules that load it.

mod snntorch;
mod spikingjelly;

use burn::tensor::TensorData;
use serde::Serialize;
use serde_json::{Map, Value, json};
use spark_core::Problems;
use spark_nn::layers::{LayerConfig, NetworkConfig};
use std::collections::BTreeMap;

use super::Library;
use super::slots::kind;
use crate::pytorch::StateDict;
use crate::rename::{self, Rename};

/// The network of a library that equals ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// Whose it is.
    pub library: Library,
    /// Every tensor of its modules, buffers included, so that they load strictly.
    pub tensors: StateDict,
    /// The modules in the order in which they run.
    pub modules: Vec<PythonModule>,
    /// The network as it comes back by [`import`](super::import): ours, but for what the library puts otherwise.
    pub network: NetworkConfig,
    /// What the library puts otherwise, in words.
    pub notes: Vec<String>,
}

/// A module of PyTorch or of a library on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PythonModule {
    /// Its name, the part of the names of its tensors before their own; absent where it holds none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its class, in `torch.nn` where the library has none of that name; `Residual` for layers with a way around
    /// them.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its arguments. `{"tensor": [shape]}` stands for a tensor, whose values are in the file.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
    /// The surrogate derivative, as our configurations write it; of no effect forwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surrogate: Option<Value>,
    /// The way through a `Residual`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub body: Vec<PythonModule>,
    /// The way around it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shortcut: Vec<PythonModule>,
}

impl PythonModule {
    fn new(kind: &str, args: Value) -> Self {
        let Value::Object(args) = args else { return Self { kind: kind.to_owned(), ..Self::default() } };
        Self { kind: kind.to_owned(), args, ..Self::default() }
    }

    fn rename(&mut self, rules: &[Rename]) {
        if let Some(name) = &mut self.name {
            for rule in rules {
                if let Some(renamed) = rule.renamed(name) {
                    *name = renamed;
                }
            }
        }
        self.body.iter_mut().chain(&mut self.shortcut).for_each(|module| module.rename(rules));
    }

    fn named(self, path: &str) -> Self {
        Self { name: Some(path.to_owned()), ..self }
    }
}

impl Exported {
    /// The same with other names of modules, such as `layers.0` as `fc1`.
    ///
    /// # Errors
    /// Those of [`rename::apply`].
    pub fn renamed(mut self, rules: &[Rename]) -> Result<Self, Problems> {
        self.tensors = rename::apply(rules, self.tensors)?;
        self.modules.iter_mut().for_each(|module| module.rename(rules));
        Ok(self)
    }

    /// What Python needs to build the modules: `library`, `input`, `modules`; and `network`, with which
    /// [`read_network`](super::read_network) reads the file back.
    pub fn description(&self) -> Value {
        json!({
            "library": self.library.to_string().to_lowercase(),
            "input": self.network.input,
            "modules": self.modules,
            "network": self.network,
        })
    }
}

/// The modules of `library` that spike as the network with these parameters does, and their tensors.
///
/// # Errors
/// Every layer that has no counterpart, by the path of its parameters.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use spark_io::exchange::{Library, export};
/// use spark_io::parameters;
/// use spark_nn::layers::{LeakyConfig, NetworkConfig};
///
/// let config = NetworkConfig::mlp(&[4, 2], LeakyConfig::default().like_snntorch());
/// let network = config.init(1, &Device::flex())?;
/// let exported = export(Library::SnnTorch, &config, &parameters::collect(&network))?;
/// let names: Vec<_> = exported.tensors.keys().map(String::as_str).collect();
/// assert_eq!(names[..3], ["layers.0.weight", "layers.0.bias", "layers.1.beta"]);
/// assert_eq!(exported.modules[1].kind, "Leaky");
/// # Ok::<(), spark_core::Problems>(())
/// ```
pub fn export(
    library: Library,
    network: &NetworkConfig,
    parameters: &BTreeMap<String, TensorData>,
) -> Result<Exported, Problems> {
    network.shapes()?;
    let mut writer = Writer {
        library,
        parameters,
        tensors: StateDict::new(),
        notes: Vec::new(),
        problems: Problems::default(),
    };
    let mut network = network.clone();
    let input = network.input.clone();
    let (modules, _) = writer.row(&mut network.layers, "layers", input);
    writer.problems.into_result()?;
    Ok(Exported { library, tensors: writer.tensors, modules, network, notes: writer.notes })
}

/// An export on the way.
struct Writer<'a> {
    library: Library,
    parameters: &'a BTreeMap<String, TensorData>,
    tensors: StateDict,
    notes: Vec<String>,
    problems: Problems,
}

impl Writer<'_> {
    /// Layers one after another behind something of shape `input`; the shape that leaves them.
    fn row(
        &mut self,
        layers: &mut [LayerConfig],
        path: &str,
        input: Vec<usize>,
    ) -> (Vec<PythonModule>, Vec<usize>) {
        let (mut modules, mut shape) = (Vec::new(), input);
        for (index, layer) in layers.iter_mut().enumerate() {
            let output = layer.output_shape(&shape).unwrap_or_default();
            self.layer(layer, &format!("{path}.{index}"), &shape, &output, &mut modules);
            shape = output;
        }
        (modules, shape)
    }

    fn layer(
        &mut self,
        layer: &mut LayerConfig,
        path: &str,
        input: &[usize],
        output: &[usize],
        modules: &mut Vec<PythonModule>,
    ) {
        match layer {
            LayerConfig::Sequential(config) => {
                modules.extend(self.row(&mut config.layers, &format!("{path}.layers"), input.to_vec()).0);
            }
            LayerConfig::Residual(config) => {
                let (body, _) = self.row(&mut config.body, &format!("{path}.body"), input.to_vec());
                let (shortcut, _) =
                    self.row(&mut config.shortcut, &format!("{path}.shortcut"), input.to_vec());
                modules.push(PythonModule { body, shortcut, ..PythonModule::new("Residual", json!({})) });
            }
            layer => {
                if self.plain(layer, path, input, output, modules) {
                    return;
                }
                let found = match self.library {
                    Library::SnnTorch => self.snntorch(layer, path, output, modules),
                    Library::SpikingJelly => self.spikingjelly(layer, path),
                };
                match found {
                    Ok(module) => modules.extend(module),
                    Err((found, expected)) => self.problems.push(path, found, expected),
                }
            }
        }
    }

    /// A layer that is one of PyTorch itself; whether it is.
    fn plain(
        &mut self,
        layer: &LayerConfig,
        path: &str,
        input: &[usize],
        output: &[usize],
        modules: &mut Vec<PythonModule>,
    ) -> bool {
        // Ours take images as rows of numbers.
        let flatten = || PythonModule::new("Flatten", json!({}));
        let axes = if input.len() == 2 { "1d" } else { "2d" };
        let window = |window: [usize; 2]| if input.len() == 2 { json!(window[1]) } else { json!(window) };
        let module = match layer {
            LayerConfig::Dense(config) => {
                if input.len() > 1 {
                    modules.push(flatten());
                }
                self.synapses(path);
                let inputs: usize = input.iter().product();
                let args = json!({"in_features": inputs, "out_features": config.units, "bias": config.bias});
                PythonModule::new("Linear", args).named(path)
            }
            LayerConfig::Conv1d(config) => {
                self.synapses(path);
                let args = json!({
                    "in_channels": input[0], "out_channels": config.channels, "kernel_size": config.kernel,
                    "stride": config.stride, "padding": config.padding, "bias": config.bias,
                });
                PythonModule::new("Conv1d", args).named(path)
            }
            LayerConfig::Conv2d(config) => {
                self.synapses(path);
                let args = json!({
                    "in_channels": input[0], "out_channels": config.channels, "kernel_size": config.kernel,
                    "stride": config.stride, "padding": config.padding, "bias": config.bias,
                });
                PythonModule::new("Conv2d", args).named(path)
            }
            LayerConfig::BatchNorm(config) => {
                self.norm(path);
                let axes = if input.len() == 3 { "2d" } else { "1d" };
                let args =
                    json!({"num_features": output[0], "eps": config.epsilon, "momentum": config.momentum});
                PythonModule::new(&format!("BatchNorm{axes}"), args).named(path)
            }
            LayerConfig::MaxPool2d(config) => {
                PythonModule::new(&format!("MaxPool{axes}"), json!({"kernel_size": window(config.window)}))
            }
            LayerConfig::AvgPool2d(config) => {
                PythonModule::new(&format!("AvgPool{axes}"), json!({"kernel_size": window(config.window)}))
            }
            LayerConfig::SumPool2d(config) if input.len() == 3 => {
                PythonModule::new("AvgPool2d", json!({"kernel_size": config.window, "divisor_override": 1}))
            }
            LayerConfig::Flatten(_) => flatten(),
            LayerConfig::Dropout(config) => {
                self.notes
                    .push(format!("{path}: in training, a mask for each step instead of each sequence"));
                PythonModule::new("Dropout", json!({"p": config.probability}))
            }
            _ => return false,
        };
        modules.push(module);
        true
    }

    /// Weights and bias.
    fn synapses(&mut self, path: &str) {
        self.copy(path, "weight", "weight");
        self.copy(path, "bias", "bias");
    }

    fn norm(&mut self, path: &str) {
        let names =
            [("weight", "weight"), ("bias", "bias"), ("mean", "running_mean"), ("variance", "running_var")];
        for (ours, theirs) in names {
            self.copy(path, ours, theirs);
        }
        self.put(path, "num_batches_tracked", whole(0));
    }

    /// A parameter under another name, as it is.
    fn copy(&mut self, path: &str, ours: &str, theirs: &str) {
        if let Some(data) = self.parameters.get(&format!("{path}.{ours}")) {
            self.put(path, theirs, data.clone());
        }
    }

    fn put(&mut self, path: &str, name: &str, data: TensorData) {
        self.tensors.insert(format!("{path}.{name}"), data);
    }

    /// The numbers of a parameter: one for all units, or one for each.
    fn numbers(&self, path: &str, name: &str) -> Vec<f32> {
        let data = self.parameters.get(&format!("{path}.{name}"));
        data.map(|data| data.iter::<f32>().collect()).unwrap_or_default()
    }

    /// The one number of a parameter; an error where units have different ones.
    fn number(&self, path: &str, name: &str) -> Result<f32, Missing> {
        let numbers = self.numbers(path, name);
        match numbers.split_first() {
            Some((&first, rest)) if rest.iter().all(|&number| number == first) => Ok(first),
            _ => Err((
                format!("`{name}` that differs between units"),
                format!("one for the layer, as {} has it", self.library),
            )),
        }
    }

    /// A layer that the library does not have.
    fn lacking<T>(&self, layer: &LayerConfig) -> Result<T, Missing> {
        Err((format!("a layer `{}`", kind(layer)), format!("one that {} has", self.library)))
    }
}

/// What was found, and what was expected for there to be a counterpart.
type Missing = (String, String);

/// A whole number, as PyTorch keeps it.
fn whole(number: i64) -> TensorData {
    TensorData::new(vec![number], [0usize; 0])
}

/// Numbers of units in the shape that they have in the library: a single one without axes, one for each in the
/// shape of the units.
fn shaped(numbers: &[f32], units: &[usize]) -> TensorData {
    match numbers {
        &[number] => TensorData::new(vec![number], [0usize; 0]),
        numbers => TensorData::new(numbers.to_vec(), units.to_vec()),
    }
}

/// The same as an argument: a number, or the shape of a tensor.
fn argument(numbers: &[f32], units: &[usize]) -> Value {
    match numbers {
        &[number] => json!(number),
        _ => json!({"tensor": units}),
    }
}
