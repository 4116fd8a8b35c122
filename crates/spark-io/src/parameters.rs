//! The parameters of a Burn module by name.
//!
//! A name is the path of fields and list indices, such as `layers.0.weight`; the variant of an enum is
//! not part of it. Values take the layout in which a layer is exchanged, which the layer itself declares
//! (`Param::save_mapper`): weights are `[post, pre]` in files whatever they are in memory.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, DType, Int, Tensor, TensorData};
use spark_core::Problems;
use std::collections::BTreeMap;

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
/// # Errors
/// Every parameter without a tensor, every tensor without a parameter, and every shape, type or value
/// (not a number, infinite) that does not fit; the module is then dropped as it was.
pub fn load<M: Module>(module: M, tensors: BTreeMap<String, TensorData>) -> Result<M, Problems> {
    let mut mapper = Load { path: Path::default(), tensors, problems: Problems::default() };
    let module = module.map(&mut mapper);
    for (name, data) in mapper.tensors {
        mapper.problems.push(
            name,
            format!("a tensor of shape {:?}", data.shape().to_vec()),
            "no such parameter",
        );
    }
    mapper.problems.into_result().map(|()| module)
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
    problems: Problems,
}

impl Load {
    /// The tensor for the parameter at the current path, when it has one that fits.
    fn take(&mut self, shape: Vec<usize>, dtype: DType) -> Option<TensorData> {
        let name = self.path.name();
        let Some(data) = self.tensors.remove(&name) else {
            self.problems.push(name, "no tensor", format!("a tensor of shape {shape:?}"));
            return None;
        };
        let found = data.shape().to_vec();
        if found != shape || data.dtype() != dtype {
            let found = format!("shape {found:?}, dtype {:?}", data.dtype());
            self.problems.push(name, found, format!("shape {shape:?}, dtype {dtype:?}"));
            return None;
        }
        if dtype.is_float() && !data.iter::<f64>().all(f64::is_finite) {
            self.problems.push(name, "values that are not finite", "finite numbers");
            return None;
        }
        Some(data)
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
    use burn::tensor::Device;
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
}
