//! From networks to graphs.

use burn::tensor::{Device, Tensor, TensorData, activation::sigmoid};
use spark_io::nir::{self, Array, Convolution, Graph, Kind, Meta, Numbers, Padding, Pooling};
use spark_io::{FormatError, parameters};
use spark_kernels::Reset;
use spark_nn::layers::{
    Connection, GraphConfig, Joining, LayerConfig, Network, NetworkConfig, RecurrentConfig,
    RecurrentUnitsConfig,
};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::NirOptions;
use super::constants::Constants;
use super::loops::settle;

/// A factor that takes a number to the one below it.
const JUST_BELOW: f32 = 1.0 - f32::EPSILON / 2.0;

/// What became of a network.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The graph.
    pub graph: Graph,
    /// What a reader has to know besides, a sentence each.
    pub warnings: Vec<String>,
}

/// Writes a network as a `.nir` file that `nir.read` and [`read_nir`](super::read_nir) read; gives what a reader
/// has to know besides, a sentence each.
///
/// # Errors
/// When a layer has no form in NIR, by its name and field, or the file cannot be written.
pub fn write_nir(
    path: &Path,
    config: &NetworkConfig,
    network: &Network,
    options: &NirOptions,
) -> Result<Vec<String>, FormatError> {
    let exported = export_nir(config, network, options)
        .map_err(|message| FormatError::Content { path: path.to_owned(), message })?;
    nir::write(path, &exported.graph)?;
    Ok(exported.warnings)
}

/// A network as a NIR graph; the shape of every node is filled in.
///
/// # Errors
/// A sentence that names the layer and the field that NIR has no form for: a reset by subtraction, units with an
/// adaptive threshold, batch normalisation and others.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use spark_nn::layers::{LeakyConfig, NetworkConfig};
/// use spark_train::nir::{NirOptions, export_nir};
///
/// let config = NetworkConfig::mlp(&[4, 2], LeakyConfig::default());
/// let network = config.init(1, &Device::flex())?;
/// let error = export_nir(&config, &network, &NirOptions::default()).unwrap_err();
/// assert!(error.starts_with("layers[1] (leaky): reset: found Subtract, expected Zero"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn export_nir(
    config: &NetworkConfig,
    network: &Network,
    options: &NirOptions,
) -> Result<Exported, String> {
    options.check()?;
    config.shapes().map_err(|problems| problems.to_string())?;
    let mut export = Export {
        graph: Graph::default(),
        parameters: parameters::collect(network),
        options,
        warnings: Vec::new(),
        heard: HashSet::new(),
    };
    export.add("input", Kind::Input { shape: config.input.clone() }, &[]);
    let input = Place { name: String::new(), path: String::new(), parameters: String::new() };
    let (ends, shape) =
        export.row(&config.layers, &input, "layers", vec!["input".into()], config.input.clone())?;
    export.add("output", Kind::Output { shape }, &ends);
    let dt = Array::doubles(Vec::new(), vec![options.dt]);
    export.graph.metadata.insert("dt".into(), Meta::Numbers(dt));
    let Export { mut graph, warnings, heard, .. } = export;
    settle(&mut graph, heard, options.dt)?;
    graph.check()?;
    Ok(Exported { graph, warnings })
}

struct Export<'o> {
    graph: Graph,
    parameters: BTreeMap<String, TensorData>,
    options: &'o NirOptions,
    warnings: Vec<String>,
    /// Connections that carry what the step before gave.
    heard: HashSet<(String, String)>,
}

/// Where a layer is.
struct Place {
    /// Of its nodes.
    name: String,
    /// In the configuration.
    path: String,
    /// Of its parameters.
    parameters: String,
}

impl Place {
    fn inside(&self, name: &str, path: &str, parameters: &str) -> Self {
        let join = |before: &str, sign: &str, more: &str| match (before, more) {
            ("", one) | (one, "") => one.to_owned(),
            _ => format!("{before}{sign}{more}"),
        };
        Self {
            name: join(&self.name, "_", name),
            path: join(&self.path, ".", path),
            parameters: join(&self.parameters, ".", parameters),
        }
    }
}

/// The nodes that give what a layer gives; what hears it hears them all.
type Ends = Vec<String>;

impl Export<'_> {
    fn add(&mut self, name: &str, kind: Kind, hears: &[String]) -> Ends {
        self.graph.nodes.insert(name.to_owned(), kind.into());
        for from in hears {
            self.graph.connect(from, name);
        }
        vec![name.to_owned()]
    }

    /// Layers one after another, in the list `field` of the one at `place` or in a list that is at `place` itself.
    fn row(
        &mut self,
        layers: &[LayerConfig],
        place: &Place,
        field: &str,
        mut ends: Ends,
        mut shape: Vec<usize>,
    ) -> Result<(Ends, Vec<usize>), String> {
        let list = place.inside("", field, field);
        for (i, layer) in layers.iter().enumerate() {
            let mut place = list.inside(&i.to_string(), "", &i.to_string());
            place.path = format!("{}[{i}]", list.path);
            (ends, shape) = self.layer(layer, &place, ends, shape)?;
        }
        Ok((ends, shape))
    }

    fn layer(
        &mut self,
        layer: &LayerConfig,
        place: &Place,
        ends: Ends,
        shape: Vec<usize>,
    ) -> Result<(Ends, Vec<usize>), String> {
        let kind =
            serde_json::to_value(layer).ok().and_then(|value| value["kind"].as_str().map(str::to_owned));
        let at =
            |message: String| format!("{} ({}): {message}", place.path, kind.as_deref().unwrap_or_default());
        let output =
            layer.output_shape(&shape).ok_or_else(|| at(format!("found an input of shape {shape:?}")))?;
        let name = place.name.as_str();
        let ends = match layer {
            LayerConfig::Sequential(config) => return self.row(&config.layers, place, "layers", ends, shape),
            LayerConfig::Residual(config) => {
                let body = place.inside("body", "body", "body");
                let shortcut = place.inside("shortcut", "shortcut", "shortcut");
                let (mut left, _) = self.row(&config.body, &body, "", ends.clone(), shape.clone())?;
                let (right, _) = self.row(&config.shortcut, &shortcut, "", ends, shape)?;
                left.extend(right);
                left
            }
            LayerConfig::Graph(config) => self.inside(config, place, &ends, &shape)?,
            LayerConfig::Recurrent(config) => self.recurrent(config, place, &ends, &shape).map_err(at)?,
            LayerConfig::Dropout(_) => {
                self.warnings.push(at("left out, as it acts in training alone".to_owned()));
                ends
            }
            LayerConfig::Flatten(_) if shape.len() == 1 => ends,
            LayerConfig::Dense(_) if shape.len() > 1 => {
                let flat = Kind::Flatten { input_shape: Some(shape.clone()), start_dim: 0, end_dim: -1 };
                let ends = self.add(&format!("{name}_flatten"), flat, &ends);
                let kind = self.synapses(layer, place, &[shape.iter().product()]).map_err(at)?;
                self.add(name, kind, &ends)
            }
            _ => {
                let kind = match self.units(layer, &place.parameters, shape.iter().product()).map_err(at)? {
                    Some(constants) => constants.kind(&shape, self.options.dt).map_err(at)?,
                    None => self.synapses(layer, place, &shape).map_err(at)?,
                };
                self.add(name, kind, &ends)
            }
        };
        Ok((ends, output))
    }

    fn data(&self, prefix: &str, field: &str) -> Result<&TensorData, String> {
        let name = format!("{prefix}.{field}");
        self.parameters.get(&name).ok_or_else(|| format!("found no parameter `{name}` in the network"))
    }

    fn numbers(&self, prefix: &str, field: &str) -> Result<Vec<f32>, String> {
        Ok(self.data(prefix, field)?.iter::<f32>().collect())
    }

    fn array(&self, prefix: &str, field: &str) -> Result<Array, String> {
        let data = self.data(prefix, field)?;
        let shape = data.shape().to_vec();
        Ok(Array { numbers: Numbers::F32(data.iter::<f32>().collect()), shape })
    }

    /// The node of a layer without memory, or of delays.
    fn synapses(&self, layer: &LayerConfig, place: &Place, shape: &[usize]) -> Result<Kind, String> {
        let array = |field: &str| self.array(&place.parameters, field);
        let bias = |has: bool, channels: usize| match has {
            true => array("bias"),
            false => Ok(Array::floats(vec![channels], vec![0.0; channels])),
        };
        let count: usize = shape.iter().product();
        Ok(match layer {
            LayerConfig::Dense(config) if config.bias => {
                Kind::Affine { weight: array("weight")?, bias: array("bias")? }
            }
            LayerConfig::Dense(_) => Kind::Linear { weight: array("weight")? },
            LayerConfig::Conv1d(config) => Kind::Conv1d(Convolution {
                input_shape: Some(shape[1..].to_vec()),
                weight: array("weight")?,
                stride: vec![config.stride],
                padding: Padding::Zeros(vec![config.padding]),
                dilation: vec![1],
                groups: 1,
                bias: bias(config.bias, config.channels)?,
            }),
            LayerConfig::Conv2d(config) => Kind::Conv2d(Convolution {
                input_shape: Some(shape[1..].to_vec()),
                weight: array("weight")?,
                stride: config.stride.to_vec(),
                padding: Padding::Zeros(config.padding.to_vec()),
                dilation: vec![1, 1],
                groups: 1,
                bias: bias(config.bias, config.channels)?,
            }),
            LayerConfig::SumPool2d(config) => Kind::SumPool2d(pooling(config.window, shape)?),
            LayerConfig::AvgPool2d(config) => Kind::AvgPool2d(pooling(config.window, shape)?),
            LayerConfig::Flatten(_) => {
                Kind::Flatten { input_shape: Some(shape.to_vec()), start_dim: 0, end_dim: -1 }
            }
            LayerConfig::Scale(_) => {
                let factor = self.numbers(&place.parameters, "factor")?;
                Kind::Scale { scale: Array::floats(shape.to_vec(), spread(factor, count)) }
            }
            LayerConfig::DelayLine(config) => {
                let delays = config.steps.iter().map(|&steps| steps as f64 * self.options.dt);
                Kind::Delay { delay: Array::doubles(shape.to_vec(), spread(delays.collect(), count)) }
            }
            _ => return Err("NIR has no node for it".to_owned()),
        })
    }

    /// What the units of a layer do in a step; `None` for a layer without units that NIR knows.
    fn units(&self, layer: &LayerConfig, prefix: &str, count: usize) -> Result<Option<Constants>, String> {
        let field = |name: &str| self.numbers(prefix, name).map(|numbers| spread(numbers, count));
        let double = |numbers: Vec<f32>| numbers.into_iter().map(f64::from).collect::<Vec<f64>>();
        // What a layer scales its input with, in the arithmetic of the layer.
        let gain = |decay: &[f32], scaled: bool| -> Vec<f32> {
            decay.iter().map(|decay| if scaled { -decay + 1.0 } else { 1.0 }).collect()
        };
        macro_rules! spiking {
            ($config:expr, $decay:expr, $gain:expr, $current:expr, $whole:expr) => {{
                let config = $config;
                let (decay, gain, current): (Vec<f32>, Vec<f32>, Option<Vec<f32>>) =
                    ($decay, $gain, $current);
                let forgets = decay.iter().all(|&decay| decay == 0.0);
                let resets = Resets {
                    reset: config.reset,
                    delayed: config.reset_delay,
                    snntorch: config.snntorch_reset,
                    whole: $whole,
                };
                if !forgets {
                    resets.check()?;
                }
                let threshold = self.threshold(field("threshold")?, config.spike_at_threshold)?;
                let rest = vec![f64::from(config.reset_value); count];
                Ok(Some(Constants {
                    decay: double(decay),
                    gain: double(gain),
                    leak: rest.clone(),
                    spikes: Some([double(threshold), rest]),
                    current_decay: current.map(double),
                }))
            }};
        }
        match layer {
            LayerConfig::Leaky(config) => {
                let decay = field("decay")?;
                let gain = gain(&decay, config.scale_input);
                spiking!(config, decay, gain, None, false)
            }
            LayerConfig::IntegrateAndFire(config) => {
                spiking!(config, vec![1.0; count], vec![1.0; count], None, true)
            }
            LayerConfig::Lapicque(config) => {
                let (r, c) = (field("resistance")?, field("capacitance")?);
                let decay = r.iter().zip(&c).map(|(r, c)| -(r * c).recip() * config.dt + 1.0).collect();
                spiking!(config, decay, c.iter().map(|c| c.recip() * config.dt).collect(), None, true)
            }
            LayerConfig::Parametric(config) => {
                let rate = Tensor::<1>::from_floats(field("w")?.as_slice(), &Device::flex());
                let rate: Vec<f32> = sigmoid(rate).into_data().iter().collect();
                let gain = rate.iter().map(|&rate| if config.scale_input { rate } else { 1.0 }).collect();
                spiking!(config, rate.iter().map(|rate| -rate + 1.0).collect(), gain, None, true)
            }
            LayerConfig::Synaptic(config) => {
                if config.current_delay {
                    return Err("current_delay: found true, expected false".to_owned());
                }
                let decay = field("decay")?;
                let gain = gain(&decay, config.scale_input);
                spiking!(config, decay, gain, Some(field("current_decay")?), true)
            }
            LayerConfig::LeakyIntegrator(config) => {
                let decay = field("decay")?;
                let gain = double(gain(&decay, config.scale_input));
                let leak = vec![0.0; count];
                Ok(Some(Constants { decay: double(decay), gain, leak, spikes: None, current_decay: None }))
            }
            LayerConfig::Membrane(config) => {
                let spikes = match config.threshold {
                    None => None,
                    Some(_) => {
                        let threshold = self.threshold(field("threshold")?, config.spike_at_threshold)?;
                        Some([double(threshold), double(field("reset_value")?)])
                    }
                };
                let current = config.current_decay.map(|_| field("current_decay")).transpose()?;
                Ok(Some(Constants {
                    decay: double(field("decay")?),
                    gain: double(field("gain")?),
                    leak: double(field("leak")?),
                    spikes,
                    current_decay: current.map(double),
                }))
            }
            _ => Ok(None),
        }
    }

    /// Thresholds for a reader whose units spike above them, or at them, as the options say.
    fn threshold(&self, threshold: Vec<f32>, at: bool) -> Result<Vec<f32>, String> {
        match (at, self.options.spike_at_threshold) {
            (true, false) => Ok(threshold.into_iter().map(|threshold| threshold * JUST_BELOW).collect()),
            (false, true) => {
                Err("spike_at_threshold: found false, expected true as in the options".to_owned())
            }
            _ => Ok(threshold),
        }
    }

    fn recurrent(
        &mut self,
        config: &RecurrentConfig,
        place: &Place,
        ends: &[String],
        shape: &[usize],
    ) -> Result<Ends, String> {
        let (units, snntorch) = match config.units.clone() {
            RecurrentUnitsConfig::Leaky(units) => {
                (LayerConfig::Leaky(units.clone()), units.snntorch_reset && units.reset_delay)
            }
            RecurrentUnitsConfig::Lapicque(units) => (LayerConfig::Lapicque(units), false),
            RecurrentUnitsConfig::IntegrateAndFire(units) => (LayerConfig::IntegrateAndFire(units), false),
            RecurrentUnitsConfig::Parametric(units) => (LayerConfig::Parametric(units), false),
            RecurrentUnitsConfig::Synaptic(units) => (LayerConfig::Synaptic(units), false),
            RecurrentUnitsConfig::Adaptive(units) => (LayerConfig::Adaptive(units), false),
        };
        if snntorch {
            return Err(Resets::WHOLE.to_owned());
        }
        let count: usize = shape.iter().product();
        let (name, prefix) = (&place.name, &place.parameters);
        let constants = self.units(&units, &format!("{prefix}.units"), count)?;
        let constants = constants.ok_or("units: NIR has no node for them")?;
        let kind = constants.kind(shape, self.options.dt)?;
        let loops = match config.connection {
            Connection::AllToAll if shape.len() > 1 => {
                return Err(format!("found units of shape {shape:?}, expected one axis"));
            }
            Connection::AllToAll => {
                let part = format!("{prefix}.recurrent");
                let weight = self.array(&part, "weight")?;
                match config.bias {
                    true => Kind::Affine { weight, bias: self.array(&part, "bias")? },
                    false => Kind::Linear { weight },
                }
            }
            Connection::OneToOne => {
                let weight = self.numbers(prefix, "weight")?;
                Kind::Scale { scale: Array::floats(shape.to_vec(), spread(weight, count)) }
            }
        };
        // The names that snnTorch gives, which its import looks for.
        let units = self.add(&format!("{name}.lif"), kind, ends);
        let loops = self.add(&format!("{name}.w_rec"), loops, &units);
        self.graph.connect(&loops[0], &units[0]);
        self.heard.insert((units[0].clone(), loops[0].clone()));
        Ok(units)
    }

    /// The nodes of a graph inside.
    fn inside(
        &mut self,
        config: &GraphConfig,
        place: &Place,
        ends: &[String],
        shape: &[usize],
    ) -> Result<Ends, String> {
        let mut found: BTreeMap<&str, (Ends, Vec<usize>)> = BTreeMap::new();
        found.insert("input", (ends.to_vec(), shape.to_vec()));
        // What a node hears of later ones is a name without a node, until there is one.
        let later = |name: &str| format!("\0{}\0{name}", place.path);
        for (i, node) in config.nodes.iter().enumerate() {
            let path = format!("nodes[{i}]");
            let inside = place.inside(&node.name, &path, &format!("nodes.{i}.layer"));
            if node.join == Joining::Concatenate && node.from.len() > 1 {
                return Err(format!("{}: join: found Concatenate, expected Sum", inside.path));
            }
            let mut hears: Ends = node.from.iter().flat_map(|name| found[name.as_str()].0.clone()).collect();
            hears.extend(node.back.iter().map(|name| later(name)));
            let first = node.from.first().map(|name| found[name.as_str()].1.clone());
            let shape = first.or_else(|| node.shape.clone()).unwrap_or_default();
            let (ends, output) = self.layer(&node.layer, &inside, hears, shape)?;
            found.insert(&node.name, (ends, output));
        }
        let mut edges = Vec::with_capacity(self.graph.edges.len());
        for (from, to) in std::mem::take(&mut self.graph.edges) {
            match config.nodes.iter().find(|node| later(&node.name) == from) {
                None => edges.push((from, to)),
                Some(node) => {
                    for end in &found[node.name.as_str()].0 {
                        self.heard.insert((end.clone(), to.clone()));
                        edges.push((end.clone(), to.clone()));
                    }
                }
            }
        }
        self.graph.edges = edges;
        Ok(found[config.output.as_str()].0.clone())
    }
}

/// How spikes reset, as far as NIR is concerned.
struct Resets {
    reset: Reset,
    delayed: bool,
    snntorch: bool,
    /// Whether units of this kind follow snnTorch in resets to zero.
    whole: bool,
}

impl Resets {
    const WHOLE: &'static str =
        "snntorch_reset: found true, expected false: such a reset takes the input of its own step along";

    fn check(&self) -> Result<(), String> {
        if self.reset != Reset::Zero {
            return Err(format!("reset: found {:?}, expected Zero, which NIR has", self.reset));
        }
        // A reset to zero in the step after the spike gives the same spikes: the membrane is not seen in between.
        if self.snntorch && (!self.delayed || self.whole) {
            return Err(Self::WHOLE.to_owned());
        }
        Ok(())
    }
}

fn pooling(window: [usize; 2], shape: &[usize]) -> Result<Pooling, String> {
    if shape.len() != 3 {
        return Err(format!("found an input of shape {shape:?}, expected [channels, height, width]"));
    }
    Ok(Pooling { kernel_size: window, stride: window, padding: [0, 0] })
}

/// One number for each unit, where there may be one for all.
fn spread<N: Copy>(numbers: Vec<N>, count: usize) -> Vec<N> {
    if numbers.len() == 1 { vec![numbers[0]; count] } else { numbers }
}
