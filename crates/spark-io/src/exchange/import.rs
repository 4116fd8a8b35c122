//! From a `state_dict` to the parameters of a network.

use burn::tensor::{Device, TensorData};
use indexmap::IndexMap;
use spark_core::Problems;
use spark_nn::layers::{LayerConfig, NetworkConfig};
use std::collections::{BTreeMap, BTreeSet};

use super::groups::{Class, Group, groups};
use super::slots::{Counterpart, Slots, counterpart, kind};
use super::{Library, places, snntorch, spikingjelly};
use crate::floats::{self, Float};
use crate::parameters;
use crate::pytorch::StateDict;
use crate::rename::{self, Rename};

/// How [`import`] reads a `state_dict`.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// Whose it is.
    pub library: Library,
    /// Changes of names before anything else, such as `fc1.**` to `layers.0.**`.
    pub rules: Vec<Rename>,
    /// Whether layers without a module keep parameters as they are drawn, and modules without a layer are left
    /// out, both reported. Without it, either is an error.
    pub partial: bool,
    /// Seed of the parameters that are drawn.
    pub seed: u64,
}

impl Import {
    /// Strict, without changes of names.
    pub fn new(library: Library) -> Self {
        Self { library, rules: Vec::new(), partial: false, seed: 0 }
    }
}

/// What [`import`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The network, with what the file says of its units.
    pub network: NetworkConfig,
    /// Its parameters by name, for [`parameters::load`].
    pub parameters: BTreeMap<String, TensorData>,
    /// Which module became which layer, in the order of the layers.
    pub modules: Vec<(String, String)>,
    /// What was taken differently from how it was described.
    pub notes: Vec<String>,
    /// Parameters without a tensor, of a partial import.
    pub missing: Vec<String>,
    /// Tensors without a parameter, of a partial import.
    pub unused: Vec<String>,
}

/// What is known of a layer on the way.
#[derive(Clone, Copy)]
struct Place {
    class: Class,
    slots: Slots,
}

/// Puts a `state_dict` into `network`, whose seed, units and shapes stay, but for what the file says: decays,
/// thresholds and kinds of reset, whether there is a bias, whether units have parameters of their own.
///
/// # Errors
/// Everything that does not fit: modules and layers that have no partner (unless the import is
/// [partial](Import::partial)), tensors of another shape than a parameter, values that are not finite, layers
/// without a counterpart in the library.
///
/// # Examples
/// ```
/// use burn::tensor::TensorData;
/// use spark_io::exchange::{Import, Library, import};
/// use spark_nn::layers::{LeakyConfig, NetworkConfig};
///
/// let one = |value: f32| TensorData::new(vec![value], [0usize; 0]);
/// let tensors = [
///     ("fc.weight", TensorData::from([[0.5f32, -0.5]])),
///     ("fc.bias", TensorData::from([0.25f32])),
///     ("lif.threshold", one(1.0)),
///     ("lif.graded_spikes_factor", one(1.0)),
///     ("lif.reset_mechanism_val", TensorData::new(vec![1i64], [0usize; 0])),
///     ("lif.beta", one(0.75)),
/// ];
/// let tensors = tensors.into_iter().map(|(name, data)| (name.to_owned(), data)).collect();
/// let network = NetworkConfig::mlp(&[2, 1], LeakyConfig::default().like_snntorch());
/// let imported = import(tensors, network, &Import::new(Library::SnnTorch))?;
/// assert_eq!(imported.parameters["layers.1.decay"], TensorData::from([0.75f32]));
/// assert_eq!(imported.notes, ["layers.1: reset is `zero` in the file, `subtract` was given"]);
/// # Ok::<(), spark_core::Problems>(())
/// ```
pub fn import(tensors: StateDict, mut network: NetworkConfig, how: &Import) -> Result<Imported, Problems> {
    let library = how.library;
    let groups = groups(rename::apply(&how.rules, tensors)?);
    let mut problems = Problems::default();
    let places = find_places(&mut network, library, how.partial, &mut problems);
    let pairs = pair(&groups, &places, how.partial, &mut problems);
    let mut notes = Vec::new();
    let mut wrong = |path: &str, layer: &mut LayerConfig| {
        if let Some(&group) = pairs.get(path) {
            // A state_dict says what units are like, and whether synapses have a bias.
            let facts = match library {
                Library::SnnTorch => snntorch::facts(&groups[group], layer),
                Library::SpikingJelly => spikingjelly::facts(&groups[group], layer),
            };
            match facts {
                Ok(found) => notes.extend(found.into_iter().map(|note| format!("{path}: {note}"))),
                Err((found, expected)) => problems.push(path, found, expected),
            }
        }
    };
    places::visit(&mut network.layers, &mut wrong);
    let factors = snntorch::factors(&mut network, &groups, &pairs, library, &mut problems);
    problems.into_result()?;

    let mut parameters = parameters::collect(&network.init(how.seed, &Device::flex())?);
    let mut problems = Problems::default();
    let mut filling = Filling { groups: &groups, parameters: &mut parameters, taken: BTreeSet::new() };
    for (path, &index) in &pairs {
        filling.layer(index, path, places[path].slots, &mut problems);
    }
    for (path, index) in factors {
        filling.layer(index, &path, &[(snntorch::FACTOR, "factor")], &mut problems);
    }
    let unused = filling.unused();
    let missing = missing(&places, &pairs, &parameters);
    if !how.partial {
        for name in &unused {
            problems.push(name, "a tensor", format!("no such tensor in {library}'s form of the layer"));
        }
    }
    problems.into_result()?;
    let modules = pairs.iter().map(|(path, &index)| (groups[index].name.clone(), path.clone())).collect();
    Ok(Imported { network, parameters, modules, notes, missing, unused })
}

/// The layers that hold tensors in the library, by path and in order.
fn find_places(
    network: &mut NetworkConfig,
    library: Library,
    partial: bool,
    problems: &mut Problems,
) -> IndexMap<String, Place> {
    let mut places = IndexMap::new();
    places::visit(&mut network.layers, &mut |path, layer| match counterpart(library, layer) {
        Counterpart::Module(class, slots) => drop(places.insert(path.to_owned(), Place { class, slots })),
        Counterpart::Empty => {}
        Counterpart::None if partial => {}
        Counterpart::None => {
            problems.push(path, format!("a layer `{}`", kind(layer)), format!("one that {library} has"));
        }
    });
    places
}

/// The module of each layer: by name, otherwise by order within its class.
fn pair(
    groups: &[Group],
    places: &IndexMap<String, Place>,
    partial: bool,
    problems: &mut Problems,
) -> IndexMap<String, usize> {
    let mut pairs = IndexMap::new();
    for (index, group) in groups.iter().enumerate() {
        let Some(place) = places.get(&group.name) else { continue };
        if place.class == group.class() {
            pairs.insert(group.name.clone(), index);
        } else {
            let found = format!("one of the {}", group.class().text());
            problems.push(&group.name, found, format!("one of the {}", place.class.text()));
        }
    }
    for class in [Class::Linear, Class::Conv1d, Class::Conv2d, Class::Norm, Class::Units] {
        let theirs: Vec<usize> = (0..groups.len())
            .filter(|&index| groups[index].class() == class && !places.contains_key(&groups[index].name))
            .collect();
        let of_class = places.iter().filter(|(_, place)| place.class == class);
        let ours: Vec<&String> =
            of_class.map(|(path, _)| path).filter(|path| !pairs.contains_key(*path)).collect();
        if theirs.len() != ours.len() && !partial {
            let listed = |names: Vec<&str>| match names.as_slice() {
                [] => String::new(),
                names => format!(" ({})", names.join(", ")),
            };
            let found = listed(theirs.iter().map(|&index| groups[index].name.as_str()).collect());
            let wanted = listed(ours.iter().map(|path| path.as_str()).collect());
            problems.push(
                class.text(),
                format!("{}{found}", theirs.len()),
                format!(
                    "{}{wanted}; --rename MODULE=LAYER says which is which, --partial leaves out",
                    ours.len()
                ),
            );
            continue;
        }
        pairs.extend(ours.into_iter().cloned().zip(theirs));
    }
    if !partial {
        for group in groups.iter().filter(|group| group.class() == Class::Unknown) {
            let names: Vec<_> = group.tensors.keys().map(|name| group.full(name)).collect();
            let expected = "modules that have layers here; --rename MODULE= leaves one out";
            problems.push(&group.name, names.join(", "), expected);
        }
    }
    // In the order of the layers.
    pairs.sort_by(|a, _, b, _| places.get_index_of(a).cmp(&places.get_index_of(b)));
    pairs
}

/// Parameters of layers without a module.
fn missing(
    places: &IndexMap<String, Place>,
    pairs: &IndexMap<String, usize>,
    parameters: &BTreeMap<String, TensorData>,
) -> Vec<String> {
    let unpaired = places.iter().filter(|(path, _)| !pairs.contains_key(*path));
    let names =
        unpaired.flat_map(|(path, place)| place.slots.iter().map(move |(_, ours)| format!("{path}.{ours}")));
    names.filter(|name| parameters.contains_key(name)).collect()
}

/// Parameters on the way from their initial values to those of a file.
struct Filling<'a> {
    groups: &'a [Group],
    parameters: &'a mut BTreeMap<String, TensorData>,
    /// Full names of the tensors that found a parameter.
    taken: BTreeSet<String>,
}

impl Filling<'_> {
    /// The parameters of the layer at `path`, from the module of this index.
    fn layer(&mut self, index: usize, path: &str, slots: Slots, problems: &mut Problems) {
        let group = &self.groups[index];
        for (theirs, ours) in slots {
            let Some(data) = group.tensors.get(*theirs) else { continue };
            let Some(own) = self.parameters.get_mut(&format!("{path}.{ours}")) else { continue };
            self.taken.insert(group.full(theirs));
            match fitted(data, own) {
                Ok(data) => *own = data,
                Err((found, expected)) => {
                    problems.push(group.full(theirs), found, format!("{expected}, for {path}.{ours}"));
                }
            }
        }
    }

    /// The tensors that nothing took and that mean something.
    fn unused(&self) -> Vec<String> {
        let ignored = |group: &Group, name: &str| {
            snntorch::IGNORED.contains(&name) && group.class() == Class::Units
                || name == "num_batches_tracked" && group.class() == Class::Norm
        };
        let all = self.groups.iter().flat_map(|group| {
            let names = group.tensors.keys().filter(move |name| !ignored(group, name));
            names.map(|name| group.full(name))
        });
        all.filter(|name| !self.taken.contains(name)).collect()
    }
}

/// A tensor in shape and type of the parameter that it becomes; what was found and expected otherwise.
fn fitted(data: &TensorData, parameter: &TensorData) -> Result<TensorData, (String, String)> {
    let (found, wanted) = (data.shape().to_vec(), parameter.shape().to_vec());
    if !data.dtype().is_float() && data.dtype() != parameter.dtype() && found.len() > 1 {
        return Err((format!("dtype {:?}", data.dtype()), format!("{:?}", parameter.dtype())));
    }
    let data = if data.dtype().is_float() { data.clone() } else { data.clone().convert::<f32>() };
    if !data.iter::<f64>().all(f64::is_finite) {
        return Err(("values that are not finite".into(), "finite numbers".into()));
    }
    let float = Float::of(parameter.dtype()).unwrap_or(Float::F32);
    let data =
        floats::convert(data, float).map_err(|overflow| (overflow.to_string(), floats::too_large(float)))?;
    if found == wanted {
        return Ok(data);
    }
    let mismatch = || (format!("shape {found:?}"), format!("shape {wanted:?}"));
    // Numbers of units: one for all, or one for each in the shape that the units have there.
    let &[units] = wanted.as_slice() else { return Err(mismatch()) };
    let values: Vec<f32> = data.iter::<f32>().collect();
    let per_channel = found.len() > 1 && found[1..].iter().all(|&size| size == 1);
    match values.len() {
        count if count == units => Ok(TensorData::new(values, [units])),
        1 => Ok(TensorData::new(vec![values[0]; units], [units])),
        count if per_channel && count > 0 && units % count == 0 => {
            let repeated = values.iter().flat_map(|&value| std::iter::repeat_n(value, units / count));
            Ok(TensorData::new(repeated.collect::<Vec<_>>(), [units]))
        }
        _ => Err(mismatch()),
    }
}
