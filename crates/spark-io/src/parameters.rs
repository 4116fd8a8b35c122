//! The parameters of a Burn module by name.
//!
//! A name is the path of fields and list indices, such as `layers.0.weight`; the variant of an enum is
//! not part of it. Values take the layout in which a layer is exchanged, which the layer itself declares
//! (`Param::save_mapper`): weights are `[post, pre]` in files whatever they are in memory.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, DType, Int, Tensor, TensorData};
use spark_core::Problems;
use std::collections::BTreeMap;

use crate::floats::{self, Float};
use crate::rename::{self, Rename};

/// The path of the parameter that a visitor or mapper is at.
///
/// Call [`enter`](Self::enter) and [`exit`](Self::exit) from the methods of the same meaning.
///
/// # Examples
/// ```
/// let mut path = spark_io::parameters::Path::default();
/// path.enter("layers", "Struct:Network");
/// path.enter("0", "Vec");
/// path.enter("Dense", "Enum:Layer");
/// path.enter("weight", "Struct:Dense");
/// assert_eq!(path.name(), "layers.0.weight");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Path(Vec<String>);

impl Path {
    /// Goes down into `name` of a container.
    pub fn enter(&mut self, name: &str, container: &str) {
        if !is_enum(container) {
            self.0.push(name.to_owned());
        }
    }

    /// Comes back up out of a container.
    pub fn exit(&mut self, container: &str) {
        if !is_enum(container) {
            self.0.pop();
        }
    }

    /// The name, with dots between the parts.
    pub fn name(&self) -> String {
        self.0.join(".")
    }
}

fn is_enum(container: &str) -> bool {
    container.starts_with("Enum:")
}

/// Every parameter of a module by name, as it is exchanged.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use spark_nn::layers::{LeakyConfig, NetworkConfig};
///
/// let config = NetworkConfig::mlp(&[784, 10], LeakyConfig::default());
/// let tensors = spark_io::parameters::collect(&config.init(1, &Device::flex())?);
/// let shape: Vec<usize> = tensors["layers.0.weight"].shape().to_vec();
/// assert_eq!(shape, [10, 784]);
/// # Ok::<(), spark_core::Problems>(())
/// ```
pub fn collect<M: Module>(module: &M) -> BTreeMap<String, TensorData> {
    let mut visitor = Collect::default();
    module.visit(&mut visitor);
    visitor.tensors
}

/// The module with every parameter replaced by the tensor of its name.
///
/// Numbers take the type of the parameter, whatever they are in the file.
///
/// # Errors
/// Every parameter without a tensor, every tensor without a parameter, and every shape, type or value
/// (not a number, infinite, too large for the type) that does not fit; the module is then dropped as it was.
pub fn load<M: Module>(module: M, tensors: BTreeMap<String, TensorData>) -> Result<M, Problems> {
    load_as(module, tensors, &Loading::default()).map(|(module, _)| module)
}

/// How [`load_as`] takes tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loading {
    /// Whether parameters without a tensor stay as they are, and tensors without a parameter, or of another
    /// shape than it, are left out. Without it, either is an error.
    pub partial: bool,
    /// Changes of names, in order, before names are compared.
    pub rules: Vec<Rename>,
}

/// What a partial load did not do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Parameters that stayed as they were.
    pub missing: Vec<String>,
    /// Tensors that no parameter took: by the name after all rules, and why.
    pub unused: Vec<(String, String)>,
}

/// The module with parameters replaced by the tensors of their names, after changes of names and, where asked
/// for, as many as fit; and what then remained.
///
/// # Errors
/// Those of [`rename::apply`]; every value that is not a number, infinite or too large for the type of its
/// parameter; and, unless the load is [`partial`](Loading::partial), everything that [`load`] reports.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, TensorData};
/// use spark_io::parameters::{self, Loading};
/// use spark_io::rename::Rename;
/// use spark_nn::layers::{LeakyConfig, NetworkConfig};
///
/// let network = NetworkConfig::mlp(&[2, 1], LeakyConfig::default()).init(1, &Device::flex())?;
/// let tensors = [
///     ("fc.weight".to_owned(), TensorData::from([[0.25f64, 0.5]])),
///     ("fc.scale".to_owned(), TensorData::from([1.0f64])),
/// ];
/// let loading = Loading { partial: true, rules: vec![Rename::module("fc", "layers.0")] };
/// let (network, remains) = parameters::load_as(network, tensors.into(), &loading)?;
/// assert_eq!(parameters::collect(&network)["layers.0.weight"], TensorData::from([[0.25f32, 0.5]]));
/// assert_eq!(remains.missing, ["layers.0.bias", "layers.1.decay", "layers.1.threshold"]);
/// assert_eq!(remains.unused, [("layers.0.scale".to_owned(), "no such parameter".to_owned())]);
/// # Ok::<(), spark_core::Problems>(())
/// ```
pub fn load_as<M: Module>(
    module: M,
    tensors: BTreeMap<String, TensorData>,
    loading: &Loading,
) -> Result<(M, Remains), Problems> {
    let tensors = match loading.rules.as_slice() {
        [] => tensors,
        rules => rename::apply(rules, tensors.into_iter().collect())?.into_iter().collect(),
    };
    let mut mapper = Load {
        path: Path::default(),
        tensors,
        partial: loading.partial,
        problems: Problems::default(),
        remains: Remains::default(),
    };
    let module = module.map(&mut mapper);
    for (name, data) in mapper.tensors {
        if loading.partial {
            mapper.remains.unused.push((name, "no such parameter".to_owned()));
        } else {
            let found = format!("a tensor of shape {:?}", data.shape().to_vec());
            mapper.problems.push(name, found, "no such parameter");
        }
    }
    mapper.problems.into_result().map(|()| (module, mapper.remains))
}

#[derive(Default)]
struct Collect {
    path: Path,
    tensors: BTreeMap<String, TensorData>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.tensors.insert(self.path.name(), param.transform_for_save().val().into_data());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.tensors.insert(self.path.name(), param.transform_for_save().val().into_data());
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.tensors.insert(self.path.name(), param.transform_for_save().val().into_data());
    }
}

struct Load {
    path: Path,
    tensors: BTreeMap<String, TensorData>,
    partial: bool,
    problems: Problems,
    remains: Remains,
}

impl Load {
    /// The tensor for the parameter at the current path, when it has one that fits.
    fn take(&mut self, shape: Vec<usize>, dtype: DType) -> Option<TensorData> {
        let name = self.path.name();
        let Some(data) = self.tensors.remove(&name) else {
            if self.partial {
                self.remains.missing.push(name);
            } else {
                self.problems.push(name, "no tensor", format!("a tensor of shape {shape:?}"));
            }
            return None;
        };
        let found = data.shape().to_vec();
        let float = Float::of(dtype).filter(|_| data.dtype().is_float());
        if found != shape || (data.dtype() != dtype && float.is_none()) {
            let found = format!("shape {found:?}, dtype {:?}", data.dtype());
            let expected = format!("shape {shape:?}, dtype {dtype:?}");
            if self.partial {
                self.remains.missing.push(name.clone());
                self.remains.unused.push((name, format!("found {found}, expected {expected}")));
            } else {
                self.problems.push(name, found, expected);
            }
            return None;
        }
        if dtype.is_float() && !data.iter::<f64>().all(f64::is_finite) {
            self.problems.push(name, "values that are not finite", "finite numbers");
            return None;
        }
        let Some(float) = float else { return Some(data) };
        match floats::convert(data, float) {
            Ok(data) => Some(data),
            Err(overflow) => {
                self.problems.push(name, overflow, floats::too_large(float));
                None
            }
        }
    }
}

macro_rules! map_kind {
    ($method:ident, $kind:ty) => {
        fn $method<const D: usize>(&mut self, param: Param<Tensor<D, $kind>>) -> Param<Tensor<D, $kind>> {
            let exchanged = param.transform_for_save().val();
            let shape = exchanged.dims().to_vec();
            match self.take(shape, exchanged.dtype()) {
                Some(data) => {
                    let id = param.id;
                    let tensor = Tensor::from_data(data, &exchanged.device());
                    param.transform_for_load(tensor, id)
                }
                None => param,
            }
        }
    };
}

impl Load {
    map_kind!(exchange_float, burn::tensor::Float);
}

impl ModuleMapper for Load {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.exchange_float(param).map(|tensor| {
            // A layout in memory other than that of a fresh parameter, such as a transposed view, would make the
            // same products round in another way: a run would not go on bit for bit.
            let learned = tensor.is_require_grad();
            let device = tensor.device();
            let plain = Tensor::from_data(tensor.into_data(), &device);
            if learned { plain.require_grad() } else { plain }
        })
    }

    map_kind!(map_int, Int);
    map_kind!(map_bool, Bool);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorFile;
    use burn::tensor::Device;
    use proptest::prelude::*;
    use spark_nn::layers::{LeakyConfig, Network, NetworkConfig};

    fn network(seed: u64) -> Network {
        let leaky = LeakyConfig { learn_decay: true, per_unit: true, ..Default::default() };
        NetworkConfig::mlp(&[3, 2], leaky).init(seed, &Device::flex()).unwrap()
    }

    #[test]
    fn load_restores_what_collect_took() {
        let saved = collect(&network(1));
        let names: Vec<_> = saved.keys().map(String::as_str).collect();
        assert_eq!(names, ["layers.0.bias", "layers.0.weight", "layers.1.decay", "layers.1.threshold"]);
        assert_ne!(collect(&network(2)), saved);
        let loaded = load(network(2), saved.clone()).unwrap();
        assert_eq!(collect(&loaded), saved);
    }

    #[test]
    fn every_mismatch_is_reported_at_once() {
        let mut tensors = collect(&network(1));
        tensors.remove("layers.0.bias");
        tensors.insert("layers.0.weight".into(), TensorData::from([1.0f32]));
        tensors.insert("layers.1.decay".into(), TensorData::from([f32::NAN, 0.5]));
        tensors.insert("layers.1.threshold".into(), TensorData::from([1i64, 1]));
        tensors.insert("extra".into(), TensorData::from([0.0f32]));
        let problems = load(network(2), tensors).unwrap_err();
        let paths: Vec<_> = problems.list().iter().map(|p| p.path.as_str()).collect();
        assert_eq!(
            paths,
            ["layers.0.weight", "layers.0.bias", "layers.1.decay", "layers.1.threshold", "extra"]
        );
    }

    #[test]
    fn a_partial_load_takes_what_fits_and_says_what_remained() {
        let mut tensors = collect(&network(1));
        tensors.remove("layers.0.bias");
        tensors.insert("layers.1.decay".into(), TensorData::from([0.5f32; 3]));
        tensors.insert("layers.1.threshold".into(), TensorData::from([1i64, 1]));
        tensors.insert("extra".into(), TensorData::from([0.0f32]));
        let partial = Loading { partial: true, ..Loading::default() };
        let (loaded, remains) = load_as(network(2), tensors.clone(), &partial).unwrap();
        assert_eq!(remains.missing, ["layers.0.bias", "layers.1.decay", "layers.1.threshold"]);
        let unused: Vec<_> = remains.unused.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(unused, ["layers.1.decay", "layers.1.threshold", "extra"]);
        let (loaded, before) = (collect(&loaded), collect(&network(2)));
        assert_eq!(loaded["layers.0.weight"], tensors["layers.0.weight"]);
        assert_eq!(loaded["layers.0.bias"], before["layers.0.bias"]);

        tensors.insert("layers.0.weight".into(), TensorData::from([[f32::NAN; 3]; 2]));
        let error = load_as(network(2), tensors, &partial).unwrap_err().to_string();
        assert_eq!(error, "layers.0.weight: found values that are not finite, expected finite numbers");
    }

    #[test]
    fn numbers_that_the_type_of_a_parameter_cannot_hold_are_named() {
        let mut tensors = collect(&network(1));
        tensors.insert("layers.0.bias".into(), TensorData::from([1e300f64, 0.0]));
        let error = load(network(2), tensors).unwrap_err().to_string();
        assert!(
            error.starts_with("layers.0.bias: found 1") && error.contains("too large for f32"),
            "{error}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_saved_in_any_type_loads(seed in any::<u64>(), float in prop::sample::select(&Float::ALL[..])) {
            let saved = collect(&network(seed));
            let tensors = floats::convert_all(saved.clone(), float).unwrap();
            let file = TensorFile { tensors, ..TensorFile::default() };
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.safetensors");
            file.write(&path).unwrap();
            let read = TensorFile::read(&path).unwrap().tensors;
            prop_assert!(read.values().all(|data| data.dtype() == float.dtype()));
            let loaded = collect(&load(network(0), read).unwrap());
            let rounded = floats::convert_all(saved.clone(), float).unwrap();
            prop_assert_eq!(&loaded, &floats::convert_all(rounded, Float::F32).unwrap());
            if matches!(float, Float::F64 | Float::F32) {
                prop_assert_eq!(&loaded, &saved);
            }
        }
    }
}
