//! Networks from a `state_dict` alone.

use serde_json::{Value, json};
use spark_core::Problems;
use spark_nn::layers::NetworkConfig;
use std::str::FromStr;

use super::groups::{Class, Group, groups};
use super::snntorch::FACTOR;
use super::{Library, read_network};
use crate::pytorch::StateDict;

/// What a `state_dict` does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Hints {
    /// Whose it is.
    pub library: Library,
    /// Shape of one input, `[channels, height, width]`; needed where the first synapses are a convolution.
    pub input: Option<Vec<usize>>,
    /// The pooling behind every convolution, before its units.
    pub pool: Option<Pool>,
    /// The units of SpikingJelly that hold no tensors.
    pub units: UnitKind,
    /// Their time constant τ in steps, above 1, where they are leaky.
    pub tau: Option<f64>,
    /// Whether units of SpikingJelly scale their input by 1/τ (`decay_input` there).
    pub decay_input: bool,
    /// Whether units of snnTorch reset in the step after a spike (`reset_delay` there).
    pub reset_delay: bool,
}

impl Hints {
    /// What the library does by default, and nothing about shapes.
    pub fn new(library: Library) -> Self {
        Self {
            library,
            input: None,
            pool: None,
            units: UnitKind::Leaky,
            tau: None,
            decay_input: true,
            reset_delay: true,
        }
    }
}

/// Units of SpikingJelly that hold no tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitKind {
    /// `LIFNode`.
    Leaky,
    /// `IFNode`.
    IntegrateAndFire,
}

/// How pooling puts a window together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// By the maximum.
    Max,
    /// By the mean.
    Average,
    /// By the sum.
    Sum,
}

/// Pooling over square windows that do not overlap.
///
/// # Examples
/// ```
/// use spark_io::exchange::{Pool, PoolKind};
///
/// assert_eq!("max2".parse(), Ok(Pool { kind: PoolKind::Max, window: 2 }));
/// assert!("median3".parse::<Pool>().unwrap_err().contains("max2"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// How.
    pub kind: PoolKind,
    /// Height and width of the window.
    pub window: usize,
}

impl FromStr for Pool {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kinds = [("max", PoolKind::Max), ("avg", PoolKind::Average), ("sum", PoolKind::Sum)];
        let found = kinds.into_iter().find_map(|(name, kind)| {
            let window = text.strip_prefix(name)?.parse().ok().filter(|&window| window > 0)?;
            Some(Self { kind, window })
        });
        found.ok_or_else(|| format!("found {text}, expected a kind and a window, such as max2, avg2 or sum2"))
    }
}

/// The network that a `state_dict` describes: modules of synapses in order, behind each its batch
/// normalisation, the pooling of [`Hints::pool`] and its units.
///
/// # Errors
/// Everything that the file does not say and the hints leave open, with the flag of `spark import` that says it;
/// modules that are not known; shapes that do not follow from each other.
///
/// # Examples
/// ```
/// use burn::tensor::TensorData;
/// use spark_io::exchange::{Hints, Library, infer};
///
/// let weight = |shape: [usize; 2]| TensorData::new(vec![0.5f32; shape[0] * shape[1]], shape);
/// let tensors = [("0.weight".to_owned(), weight([8, 4])), ("2.weight".to_owned(), weight([2, 8]))];
/// let tensors = tensors.into_iter().collect();
/// let hints = Hints { tau: Some(2.0), ..Hints::new(Library::SpikingJelly) };
/// let network = infer(&tensors, &hints)?;
/// assert_eq!((network.inputs(), network.outputs()?, network.layers.len()), (4, 2, 4));
///
/// let error = infer(&tensors, &Hints::new(Library::SpikingJelly)).unwrap_err();
/// assert!(error.to_string().contains("--tau"));
/// # Ok::<(), spark_core::Problems>(())
/// ```
pub fn infer(tensors: &StateDict, hints: &Hints) -> Result<NetworkConfig, Problems> {
    let groups = groups(tensors.clone());
    let of = |class: Class| -> Vec<&Group> { groups.iter().filter(|group| group.class() == class).collect() };
    let synapses: Vec<&Group> = groups
        .iter()
        .filter(|group| matches!(group.class(), Class::Linear | Class::Conv1d | Class::Conv2d))
        .collect();
    let (norms, units) = (of(Class::Norm), of(Class::Units));
    let mut problems = Problems::default();
    for group in of(Class::Unknown) {
        let names: Vec<_> = group.tensors.keys().map(|name| group.full(name)).collect();
        problems.push(
            &group.name,
            names.join(", "),
            "modules that are known; --rename MODULE= leaves one out",
        );
    }
    if synapses.is_empty() {
        problems.push("the file", "no linear or convolutional module", "at least one; or --model FILE.json");
    }
    if !(units.is_empty() || units.len() == synapses.len()) {
        let found = format!("{} modules of units behind {} of synapses", units.len(), synapses.len());
        problems.push("the file", found, "one behind each; or the order of layers by --model FILE.json");
    }
    problems.into_result()?;

    let behind = norms_behind(&synapses, &norms)?;
    let mut layers = Vec::new();
    let mut problems = Problems::default();
    for (index, group) in synapses.iter().enumerate() {
        layers.push(synapse(group));
        if behind.contains(&index) {
            layers.push(json!({"kind": "batch_norm"}));
        }
        if let (Some(pool), Class::Conv1d | Class::Conv2d) = (hints.pool, group.class()) {
            layers.push(pooling(pool, group.class()));
        }
        match units.get(index) {
            Some(units) => layers.extend(described(units, hints.library, &mut problems)),
            None => layers.push(unseen(hints, &mut problems)),
        }
    }
    let input = input(synapses[0], hints, &mut problems);
    problems.into_result()?;
    let network = read_network(json!({"input": input, "layers": layers}), hints)?;
    check_widths(&network, &synapses, hints)?;
    Ok(network)
}

/// The synapses, by number, behind which batch normalisations stand.
fn norms_behind(synapses: &[&Group], norms: &[&Group]) -> Result<Vec<usize>, Problems> {
    let channels = |group: &Group| group.shape("weight").map(|shape| shape[0]);
    let all: Vec<usize> = (0..synapses.len()).collect();
    let images: Vec<usize> =
        all.iter().copied().filter(|&index| synapses[index].class() != Class::Linear).collect();
    let agree = |places: &[usize]| {
        places.len() == norms.len()
            && places.iter().zip(norms).all(|(&index, norm)| {
                channels(synapses[index])
                    == norm.shape("running_mean").and_then(|shape| shape.first().copied())
            })
    };
    for places in [Vec::new(), images, all] {
        if agree(&places) {
            return Ok(places);
        }
    }
    let mut problems = Problems::default();
    let found = format!("{} batch normalisations", norms.len());
    problems.push("the file", found, "one behind each convolution or each module; or --model FILE.json");
    Err(problems)
}

fn synapse(group: &Group) -> Value {
    let shape = group.shape("weight").unwrap_or_default();
    let bias = group.tensors.contains_key("bias");
    match group.class() {
        Class::Linear => json!({"kind": "dense", "units": shape[0], "bias": bias}),
        Class::Conv1d => json!({"kind": "conv1d", "channels": shape[0], "kernel": shape[2], "bias": bias}),
        _ => json!({"kind": "conv2d", "channels": shape[0], "kernel": [shape[2], shape[3]], "bias": bias}),
    }
}

fn pooling(pool: Pool, class: Class) -> Value {
    let kind = match pool.kind {
        PoolKind::Max => "max_pool2d",
        PoolKind::Average => "avg_pool2d",
        PoolKind::Sum => "sum_pool2d",
    };
    let height = if class == Class::Conv1d { 1 } else { pool.window };
    json!({"kind": kind, "window": [height, pool.window]})
}

/// Units that hold tensors, and the factor behind them.
fn described(group: &Group, library: Library, problems: &mut Problems) -> Vec<Value> {
    let has = |name: &str| group.tensors.contains_key(name);
    if library == Library::SpikingJelly {
        return match group.shape("weight") {
            Some(shape) => vec![json!({"kind": "parallel", "order": shape[0]})],
            None => vec![json!({"kind": "parametric"})],
        };
    }
    if has("lstm_cell.weight_ih") || group.shape("recurrent.weight").is_some_and(|shape| shape.len() != 2) {
        let found = "units with synapses of their own";
        problems.push(&group.name, found, "a description of the network: --model FILE.json");
        return Vec::new();
    }
    let reset = match group.number(super::groups::RESET) {
        Some(1.0) => "zero",
        Some(2.0) => "none",
        _ => "subtract",
    };
    let kind = match (has("alpha"), has("R") && has("C")) {
        (true, _) => "synaptic",
        (_, true) => "lapicque",
        _ => "leaky",
    };
    let mut units = json!({"kind": kind, "reset": reset});
    if has("recurrent.weight") || has("V") {
        let connection = if has("V") { "one_to_one" } else { "all_to_all" };
        units = json!({
            "kind": "recurrent", "units": units, "connection": connection, "bias": has("recurrent.bias"),
        });
    }
    let graded = has(FACTOR) && group.number(FACTOR) != Some(1.0);
    let factor = graded.then(|| json!({"kind": "scale", "factor": 1.0}));
    std::iter::once(units).chain(factor).collect()
}

/// Units that hold no tensors.
fn unseen(hints: &Hints, problems: &mut Problems) -> Value {
    match (hints.library, hints.units) {
        (Library::SnnTorch, _) => {
            problems.push("the file", "no modules of units", "units of snnTorch; or --model FILE.json");
            Value::Null
        }
        (Library::SpikingJelly, UnitKind::IntegrateAndFire) => json!({"kind": "integrate_and_fire"}),
        (Library::SpikingJelly, UnitKind::Leaky) => {
            if hints.tau.is_none() && problems.list().is_empty() {
                let expected = "--tau TAU for LIFNode, --units if for IFNode, or --model FILE.json";
                problems.push("units", "no tensors: files of SpikingJelly do not hold tau", expected);
            }
            json!({"kind": "leaky"})
        }
    }
}

/// The shape of the input.
fn input(first: &Group, hints: &Hints, problems: &mut Problems) -> Vec<usize> {
    let weight = first.shape("weight").unwrap_or_default();
    match (&hints.input, first.class()) {
        (Some(input), _) => input.clone(),
        (None, Class::Linear) => vec![weight[1]],
        (None, class) => {
            let shape = if class == Class::Conv1d { "CHANNELSxLENGTH" } else { "CHANNELSxHEIGHTxWIDTH" };
            let found = format!("a convolution of {} channels first", weight[1]);
            problems.push("input", found, format!("the shape of one input: --input {shape}"));
            Vec::new()
        }
    }
}

/// Whether every linear module takes as much as comes to it.
fn check_widths(network: &NetworkConfig, synapses: &[&Group], hints: &Hints) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let shapes = network.shapes()?;
    let mut incoming = vec![network.input.clone()];
    incoming.extend(shapes);
    let mut synapses = synapses.iter();
    for (index, layer) in network.layers.iter().enumerate() {
        use spark_nn::layers::LayerConfig::{Conv1d, Conv2d, Dense};
        let (Dense(_) | Conv1d(_) | Conv2d(_)) = layer else { continue };
        let Some(group) = synapses.next() else { break };
        let taken = group.shape("weight").unwrap_or_default()[1];
        let (coming, what) = match layer {
            Dense(_) => (incoming[index].iter().product(), "inputs"),
            _ => (incoming[index][0], "channels"),
        };
        if taken != coming {
            let from = format!("a weight for {taken} {what} where {coming} arrive");
            let expected = match hints.pool {
                None => {
                    "pooling behind every convolution by --pool max2, avg2 or sum2, or strides, padding \
                         and other pooling by --model FILE.json"
                }
                Some(_) => "the same number: --input, --pool, or the whole network by --model FILE.json",
            };
            problems.push(group.full("weight"), from, expected);
            break;
        }
    }
    problems.into_result()
}
