//! From graphs to networks.

use burn::tensor::{Device, TensorData};
use spark_core::Problems;
use spark_core::model::is_name;
use spark_io::nir::{self, Array, Convolution, Graph, Kind, Meta, Pooling};
use spark_io::{FormatError, parameters};
use spark_nn::layers::{
    AvgPool2dConfig, Conv1dConfig, Conv2dConfig, DelayLineConfig, DenseConfig, FlattenConfig, GraphConfig,
    LayerConfig, LeakyIntegratorConfig, Network, NetworkConfig, NodeConfig, ScaleConfig, SumPool2dConfig,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::NirOptions;
use super::constants::{Constants, Fields, Made};
use super::flow::flow;

/// Kernels whose groups and dilation became zeros have at most so many entries.
const MAX_KERNEL: usize = 1 << 27;

/// What became of a NIR graph.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The layers.
    pub config: NetworkConfig,
    /// Their parameters by name, as [`spark_io::parameters::load`] takes them.
    pub parameters: BTreeMap<String, TensorData>,
    /// What the graph leaves in doubt, a sentence each.
    pub warnings: Vec<String>,
}

impl Imported {
    /// The network with its parameters.
    ///
    /// # Errors
    /// What is wrong with the configuration or a parameter.
    pub fn network(&self, device: &Device) -> Result<Network, Problems> {
        parameters::load(self.config.init(0, device)?, self.parameters.clone())
    }
}

/// Reads a `.nir` file as a network.
///
/// # Errors
/// When the file cannot be read, is no NIR graph, or has a node or field that no layer has, by its name.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{LeakyConfig, NetworkConfig};
/// use spark_kernels::Reset;
/// use spark_train::nir::{NirOptions, read_nir, write_nir};
///
/// let leaky = LeakyConfig { reset: Reset::Zero, ..Default::default() };
/// let config = NetworkConfig::mlp(&[4, 3, 2], leaky);
/// let network = config.init(1, &Device::flex())?;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("net.nir");
/// write_nir(&path, &config, &network, &NirOptions::default())?;
///
/// let again = read_nir(&path, &NirOptions::default())?.network(&Device::flex())?;
/// let input = Tensor::<3>::ones([10, 1, 4], &Device::flex());
/// let spikes = |network: &spark_nn::layers::Network| network.forward(input.clone(), None).output.into_data();
/// assert_eq!(spikes(&again), spikes(&network));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_nir(path: &Path, options: &NirOptions) -> Result<Imported, FormatError> {
    let graph = nir::read(path)?;
    import_nir(&graph, options).map_err(|message| FormatError::Content { path: path.to_owned(), message })
}

/// A NIR graph as a network.
///
/// # Errors
/// A sentence that names the node and the field that no layer has.
pub fn import_nir(graph: &Graph, options: &NirOptions) -> Result<Imported, String> {
    options.check()?;
    graph.check()?;
    let flat = graph.flat()?;
    let mut import = Import { warnings: Vec::new(), options };
    import.doubts(graph);
    let (input, output) = (end(&flat, "Input")?, end(&flat, "Output")?);
    let shapes = flat.shapes()?;
    let flow = flow(&flat, input)?;
    let mut nodes = Vec::new();
    for &name in flow.order.iter().filter(|&&name| name != input && name != output) {
        let node = &flat.nodes[name];
        let (shape, _) = &shapes[name];
        let made = import.layer(name, &node.kind, shape);
        let made = made.map_err(|message| format!("node `{name}` ({}): {message}", node.kind.name()))?;
        let heard = |cut: bool| {
            let edges = flat.edges.iter().filter(|(_, to)| to == name);
            let edges = edges.filter(|(from, to)| flow.cuts.contains(&(from.as_str(), to.as_str())) == cut);
            edges.map(|(from, _)| from.as_str()).collect::<Vec<_>>()
        };
        nodes.push(Step { name, made, shape, from: heard(false), back: heard(true) });
    }
    let last: Vec<&str> =
        flat.edges.iter().filter(|(_, to)| to == output).map(|(from, _)| from.as_str()).collect();
    let shape = &shapes[input].0;
    let mut imported = match chain(&nodes, input, &last) {
        true => sequential(nodes, shape),
        false => graph_layer(nodes, [input, output], &last, shape)?,
    };
    end_in_units(&mut imported)?;
    imported.warnings = import.warnings;
    Ok(imported)
}

/// The only node of a kind.
fn end<'g>(graph: &'g Graph, kind: &str) -> Result<&'g str, String> {
    let mut ends = graph.nodes.iter().filter(|(_, node)| node.kind.name() == kind).map(|(name, _)| name);
    match (ends.next(), ends.next()) {
        (Some(end), None) => Ok(end),
        (None, _) => Err(format!("found no {kind} in the graph, expected one")),
        (Some(a), Some(b)) => Err(format!("found `{a}` and `{b}`, expected one {kind}")),
    }
}

/// A node as a layer.
struct Step<'g> {
    name: &'g str,
    made: Made,
    /// Shape of its input.
    shape: &'g [usize],
    from: Vec<&'g str>,
    back: Vec<&'g str>,
}

/// Whether each node hears the one before it and nothing else.
fn chain(nodes: &[Step<'_>], input: &str, last: &[&str]) -> bool {
    let before = std::iter::once(input).chain(nodes.iter().map(|node| node.name));
    let follows =
        nodes.iter().zip(before).all(|(node, before)| node.back.is_empty() && node.from == [before]);
    follows && *last == [nodes.last().map_or(input, |node| node.name)]
}

fn named(made: Made, prefix: &str, parameters: &mut BTreeMap<String, TensorData>) -> LayerConfig {
    parameters.extend(made.parameters.into_iter().map(|(name, data)| (format!("{prefix}.{name}"), data)));
    made.config
}

fn sequential(nodes: Vec<Step<'_>>, input: &[usize]) -> Imported {
    let mut parameters = BTreeMap::new();
    let layers = nodes.into_iter().enumerate();
    let layers = layers.map(|(i, node)| named(node.made, &format!("layers.{i}"), &mut parameters));
    let config = NetworkConfig { input: input.to_vec(), layers: layers.collect() };
    Imported { config, parameters, warnings: Vec::new() }
}

fn graph_layer(
    nodes: Vec<Step<'_>>,
    [input, output]: [&str; 2],
    last: &[&str],
    shape: &[usize],
) -> Result<Imported, String> {
    let mut names = BTreeMap::from([(input, "input".to_owned())]);
    let mut taken = BTreeSet::from(["input".to_owned()]);
    for name in nodes.iter().map(|node| node.name).chain([output]) {
        names.insert(name, free_name(name, &mut taken));
    }
    let mut parameters = BTreeMap::new();
    let called = |heard: &[&str]| heard.iter().map(|&name| names[name].clone()).collect::<Vec<_>>();
    let mut configs: Vec<NodeConfig> = Vec::with_capacity(nodes.len() + 1);
    for (i, node) in nodes.into_iter().enumerate() {
        configs.push(NodeConfig {
            name: names[node.name].clone(),
            from: called(&node.from),
            back: called(&node.back),
            join: Default::default(),
            shape: node.from.is_empty().then(|| node.shape.to_vec()),
            layer: named(node.made, &format!("layers.0.nodes.{i}.layer"), &mut parameters),
        });
    }
    let output = match *last {
        [] => return Err(format!("node `{output}` (Output): found no node that it hears")),
        [one] if one != input => names[one].clone(),
        _ => {
            let made = Fields::new(vec![("factor", &vec![1.0])])
                .made(|_, _| LayerConfig::Scale(ScaleConfig { factor: 1.0, learn: false, per_unit: false }));
            let prefix = format!("layers.0.nodes.{}.layer", configs.len());
            configs.push(NodeConfig {
                name: names[output].clone(),
                from: called(last),
                back: Vec::new(),
                join: Default::default(),
                shape: None,
                layer: named(made, &prefix, &mut parameters),
            });
            names[output].clone()
        }
    };
    let layers = vec![LayerConfig::Graph(GraphConfig { nodes: configs, output })];
    let config = NetworkConfig { input: shape.to_vec(), layers };
    Ok(Imported { config, parameters, warnings: Vec::new() })
}

/// A name that a graph may have and none has yet.
fn free_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let letter = |letter: char| if is_name(&letter.to_string()) { letter } else { '_' };
    let plain: String = name.chars().map(letter).collect();
    let end = (0..=100.min(plain.len())).rev().find(|&end| plain.is_char_boundary(end)).unwrap_or(0);
    let plain = if end == 0 { "_" } else { &plain[..end] };
    let mut free = plain.to_owned();
    let mut number = 2;
    while !taken.insert(free.clone()) {
        free = format!("{plain}_{number}");
        number += 1;
    }
    free
}

/// What leaves a network comes from units: integrators without memory pass on what does not.
fn end_in_units(imported: &mut Imported) -> Result<(), String> {
    match imported.config.shapes() {
        Ok(_) => return Ok(()),
        Err(problems) if problems.list().iter().any(|problem| problem.path != "layers") => {
            return Err(problems.to_string());
        }
        Err(_) => {}
    }
    let layer = LeakyIntegratorConfig { decay: 0.0, learn_decay: false, per_unit: false, scale_input: false };
    let prefix = format!("layers.{}", imported.config.layers.len());
    let made = Fields::new(vec![("decay", &vec![0.0])]).made(|_, _| LayerConfig::LeakyIntegrator(layer));
    let layer = named(made, &prefix, &mut imported.parameters);
    imported.config.layers.push(layer);
    imported.config.shapes().map(|_| ()).map_err(|problems| problems.to_string())
}

struct Import<'o> {
    options: &'o NirOptions,
    warnings: Vec<String>,
}

impl Import<'_> {
    /// What the graph as a whole leaves in doubt.
    fn doubts(&mut self, graph: &Graph) {
        if let Some(Meta::Numbers(dt)) = graph.metadata.get("dt")
            && dt.len() == 1
            && (dt.at(0) / self.options.dt - 1.0).abs() > 1e-6
        {
            let (written, read) = (dt.at(0), self.options.dt);
            self.warnings
                .push(format!("the graph was written for steps of {written} s and is read with {read} s"));
        }
    }

    fn layer(&mut self, name: &str, kind: &Kind, shape: &[usize]) -> Result<Made, String> {
        let count: usize = shape.iter().product();
        if kind.is_per_entry() && count > 1 && kind.arrays().iter().all(|(_, array)| array.len() == 1) {
            self.warnings.push(format!("node `{name}`: one number stands for all of {count} units"));
        }
        if let Some(constants) = Constants::of(kind, count, self.options.dt)? {
            if matches!(kind, Kind::Lif { .. } | Kind::CubaLif { .. }) && constants.is_plain() {
                self.warnings.push(format!(
                    "node `{name}`: resets to zero; snnTorch writes the same for units that reset by \
                     subtraction, whose spikes differ"
                ));
            }
            return constants.layer(self.options);
        }
        match kind {
            Kind::Affine { weight, bias } => Ok(dense(weight, Some(bias))),
            Kind::Linear { weight } => Ok(dense(weight, None)),
            Kind::Scale { scale } => {
                let factors: Vec<f64> = (0..count).map(|unit| scale.at(unit)).collect();
                Ok(Fields::new(vec![("factor", &factors)]).made(|at, per_unit| {
                    LayerConfig::Scale(ScaleConfig { factor: at("factor"), learn: false, per_unit })
                }))
            }
            Kind::Conv1d(conv) => {
                let (stride, padding) = (conv.stride[0], conv.zeros()?[0]);
                let (weight, shape) = kernel(conv, shape)?;
                let config = Conv1dConfig { stride, padding, ..Conv1dConfig::new(shape[0], shape[2]) };
                Ok(convolution(LayerConfig::Conv1d(config), TensorData::new(weight, shape), conv))
            }
            Kind::Conv2d(conv) => {
                let zeros = conv.zeros()?;
                let (weight, shape) = kernel(conv, shape)?;
                let config = Conv2dConfig {
                    stride: [conv.stride[0], conv.stride[1]],
                    padding: [zeros[0], zeros[1]],
                    ..Conv2dConfig::new(shape[0], [shape[2], shape[3]])
                };
                Ok(convolution(LayerConfig::Conv2d(config), TensorData::new(weight, shape), conv))
            }
            Kind::SumPool2d(pool) => {
                let config = SumPool2dConfig { window: window(pool)? };
                Ok(Made { config: LayerConfig::SumPool2d(config), parameters: Vec::new() })
            }
            Kind::AvgPool2d(pool) => {
                let config = AvgPool2dConfig { window: window(pool)? };
                Ok(Made { config: LayerConfig::AvgPool2d(config), parameters: Vec::new() })
            }
            Kind::Flatten { .. } => match *kind.output_shape(shape)? {
                [_] => Ok(Made { config: LayerConfig::Flatten(FlattenConfig {}), parameters: Vec::new() }),
                ref left => {
                    Err(format!("start_dim: found {left:?} to be left of {shape:?}, expected one axis"))
                }
            },
            Kind::Delay { delay } => self.delay(name, delay, count),
            _ => Err("found no layer for it here".to_owned()),
        }
    }

    fn delay(&mut self, name: &str, delay: &Array, count: usize) -> Result<Made, String> {
        let dt = self.options.dt;
        let steps: Vec<f64> = (0..count).map(|unit| delay.at(unit) / dt).collect();
        if let Some(unit) = steps.iter().position(|steps| (steps - steps.round()).abs() > 1e-3) {
            let found = delay.at(unit);
            self.warnings.push(format!("node `{name}`: a delay of {found} s is rounded to steps of {dt} s"));
        }
        if let Some(unit) = steps.iter().position(|&steps| steps > 65536.0) {
            return Err(format!("delay: found {} s, expected at most 65536 steps of {dt} s", delay.at(unit)));
        }
        let mut steps: Vec<usize> = steps.into_iter().map(|steps| steps.round() as usize).collect();
        if steps.iter().all(|&delay| delay == steps[0]) {
            steps.truncate(1);
        }
        Ok(Made { config: LayerConfig::DelayLine(DelayLineConfig { steps }), parameters: Vec::new() })
    }
}

fn dense(weight: &Array, bias: Option<&Array>) -> Made {
    let config = DenseConfig { bias: bias.is_some(), ..DenseConfig::new(weight.shape[0]) };
    let data = |array: &Array| TensorData::new(array.to_floats(), array.shape.clone());
    let mut parameters = vec![("weight", data(weight))];
    parameters.extend(bias.map(|bias| ("bias", data(bias))));
    Made { config: LayerConfig::Dense(config), parameters }
}

fn convolution(config: LayerConfig, weight: TensorData, conv: &Convolution) -> Made {
    let bias = TensorData::new(conv.bias.to_floats(), [conv.bias.len()]);
    Made { config, parameters: vec![("weight", weight), ("bias", bias)] }
}

/// The kernel of a convolution of an input of this shape, with zeros for what groups and dilation leave out, and
/// its shape.
fn kernel(conv: &Convolution, input: &[usize]) -> Result<(Vec<f32>, Vec<usize>), String> {
    let from = &conv.weight.shape;
    let numbers = conv.weight.to_floats();
    if conv.groups == 1 && conv.dilation.iter().all(|&dilation| dilation == 1) {
        return Ok((numbers, from.clone()));
    }
    let covered = from[2..].iter().zip(&conv.dilation).map(|(extent, dilation)| (extent - 1) * dilation + 1);
    let shape: Vec<usize> = [from[0], input[0]].into_iter().chain(covered).collect();
    let count = shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent));
    let count = count.filter(|&count| count <= MAX_KERNEL);
    let count = count.ok_or_else(|| format!("dilation: found a kernel of shape {shape:?} without it"))?;
    let mut kernel = vec![0.0; count];
    let per_group = from[0] / conv.groups;
    for (i, number) in numbers.into_iter().enumerate() {
        // From the last axis to the first, where the entry is and where it goes.
        let (mut rest, mut place, mut stride) = (i, 0, 1);
        for axis in (2..from.len()).rev() {
            place += rest % from[axis] * conv.dilation[axis - 2] * stride;
            rest /= from[axis];
            stride *= shape[axis];
        }
        let (pre, post) = (rest % from[1], rest / from[1]);
        place += (post / per_group * from[1] + pre) * stride + post * stride * shape[1];
        kernel[place] = number;
    }
    Ok((kernel, shape))
}

fn window(pool: &Pooling) -> Result<[usize; 2], String> {
    if pool.stride != pool.kernel_size {
        let expected = pool.kernel_size;
        return Err(format!("stride: found {:?}, expected that of the window, {expected:?}", pool.stride));
    }
    if pool.padding != [0, 0] {
        return Err(format!("padding: found {:?}, expected none", pool.padding));
    }
    Ok(pool.kernel_size)
}
