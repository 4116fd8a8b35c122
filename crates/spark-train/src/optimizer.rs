//! Burn's optimizers over a whole network, with state by name of parameter.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{
    AdamConfig, AdamWConfig, DynOptimizer, DynState, GradientsParams, SgdConfig, StateSink, StateSource,
    momentum::MomentumConfig,
};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_pack::Scalar;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_io::parameters::Path;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which optimizer, and its constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Kingma & Ba, *Adam: a method for stochastic optimization* (2015).
    Adam {
        /// Decay of the first moment.
        beta_1: f32,
        /// Decay of the second moment.
        beta_2: f32,
        /// Added to the denominator.
        epsilon: f32,
    },
    /// Loshchilov & Hutter, *Decoupled weight decay regularization* (2019).
    AdamW {
        /// Decay of the first moment.
        beta_1: f32,
        /// Decay of the second moment.
        beta_2: f32,
        /// Added to the denominator.
        epsilon: f32,
        /// Fraction of a weight lost per step, times the learning rate.
        weight_decay: f32,
    },
    /// Stochastic gradient descent with momentum.
    Sgd {
        /// Decay of the velocity, in `[0, 1]`; 0 for none.
        momentum: f64,
    },
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 }
    }
}

/// How large gradients are cut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum GradientClip {
    /// All gradients are scaled together so that their joint Euclidean norm is at most this.
    Norm {
        /// The largest norm.
        max: f32,
    },
    /// Every entry is cut to `±max`.
    Value {
        /// The largest magnitude.
        max: f32,
    },
}

impl OptimizerConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        match *self {
            Self::Adam { beta_1, beta_2, epsilon } | Self::AdamW { beta_1, beta_2, epsilon, .. } => {
                problems.unit_interval(format!("{path}.beta_1"), beta_1);
                problems.unit_interval(format!("{path}.beta_2"), beta_2);
                problems.positive(format!("{path}.epsilon"), epsilon);
            }
            Self::Sgd { momentum } => problems.unit_interval(format!("{path}.momentum"), momentum),
        }
        if let Self::AdamW { weight_decay, .. } = *self {
            problems.non_negative(format!("{path}.weight_decay"), weight_decay);
        }
    }

    fn build(&self) -> Arc<dyn DynOptimizer> {
        match *self {
            Self::Adam { beta_1, beta_2, epsilon } => Arc::new(
                AdamConfig::new().with_beta_1(beta_1).with_beta_2(beta_2).with_epsilon(epsilon).build(),
            ),
            Self::AdamW { beta_1, beta_2, epsilon, weight_decay } => Arc::new(
                AdamWConfig::new()
                    .with_beta_1(beta_1)
                    .with_beta_2(beta_2)
                    .with_epsilon(epsilon)
                    .with_weight_decay(weight_decay)
                    .build(),
            ),
            Self::Sgd { momentum } => {
                let momentum =
                    (momentum > 0.0).then_some(MomentumConfig { momentum, dampening: 0.0, nesterov: false });
                Arc::new(SgdConfig::new().with_momentum(momentum).build())
            }
        }
    }
}

/// An optimizer and its state for every parameter, by name.
///
/// Burn's own module optimizer keeps its state by parameter number, which a new process draws anew; by
/// name it can be saved, read by people and taken up again.
#[derive(Clone)]
pub struct Optimizer {
    rule: Arc<dyn DynOptimizer>,
    clip: Option<GradientClip>,
    states: BTreeMap<String, DynState>,
}

impl std::fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.states.keys().collect();
        f.debug_struct("Optimizer").field("clip", &self.clip).field("states", &names).finish_non_exhaustive()
    }
}

impl Optimizer {
    /// An optimizer without state yet.
    pub fn new(config: &OptimizerConfig, clip: Option<GradientClip>) -> Self {
        Self { rule: config.build(), clip, states: BTreeMap::new() }
    }

    /// The module after one step; parameters without a gradient stay as they are. `norm` is the joint
    /// [`gradient_norm`].
    pub fn step<M: Module>(
        &mut self,
        learning_rate: f64,
        module: M,
        mut gradients: GradientsParams,
        norm: Tensor<1>,
    ) -> M {
        let scale = match self.clip {
            // The smallest positive number keeps the quotient finite for a gradient of zero.
            Some(GradientClip::Norm { max }) => {
                Some((norm + f32::MIN_POSITIVE).recip().mul_scalar(max).clamp_max(1.0))
            }
            _ => None,
        };
        let limit = match self.clip {
            Some(GradientClip::Value { max }) => Some(max),
            _ => None,
        };
        module.map(&mut Step {
            path: Path::default(),
            optimizer: self,
            learning_rate,
            gradients: &mut gradients,
            scale,
            limit,
        })
    }

    /// The state as tensors and scalars, named by parameter and field; tensors take the layout of their
    /// parameter in files.
    pub fn save<M: Module>(&self, module: &M) -> OptimizerState {
        let mut saved = OptimizerState::default();
        for (name, state) in &self.states {
            let mut sink = StateSink::default();
            self.rule.state_flatten(name, state, &mut sink);
            saved.tensors.extend(sink.tensors);
            saved.scalars.extend(sink.scalars.into_iter().map(|(name, value)| (name, to_json(value))));
        }
        exchange(module, saved, Direction::Save)
    }

    /// Takes up a saved state.
    ///
    /// # Errors
    /// Every tensor that belongs to no parameter, or whose shape is not that of its parameter.
    pub fn load<M: Module>(&mut self, module: &M, saved: OptimizerState) -> Result<(), Problems> {
        let mut problems = Problems::default();
        let parameters = shapes(module);
        let owner = |name: &str| {
            parameters.iter().find(|(parameter, _)| {
                name.strip_prefix(parameter.as_str()).is_some_and(|rest| rest.starts_with('.'))
            })
        };
        let saved = exchange(module, saved, Direction::Load);
        for (name, data) in &saved.tensors {
            let found = data.shape().to_vec();
            match owner(name) {
                Some((_, shape)) if *shape != found || data.dtype() != DType::F32 => {
                    let found = format!("shape {found:?}, dtype {:?}", data.dtype());
                    problems.push(format!("optimizer.{name}"), found, format!("shape {shape:?}, dtype F32"));
                }
                // A tensor of no parameter stays unread and is reported below.
                _ => {}
            }
        }
        problems.into_result()?;

        let mut problems = Problems::default();
        let mut unread = saved.tensors.keys().chain(saved.scalars.keys()).cloned().collect::<Vec<_>>();
        let scalars = saved.scalars.into_iter().filter_map(|(name, value)| Some((name, from_json(&value)?)));
        let mut source = StateSource::new(scalars.collect());
        for (name, data) in saved.tensors {
            source.insert_tensor(name, data);
        }
        // Burn moves a state to the device of its parameter when it is used.
        let device = Device::flex();
        let mut states = BTreeMap::new();
        for (name, shape) in parameters {
            if let Some(state) = self.rule.state_unflatten(shape.len(), &name, &mut source, &device) {
                unread.retain(|saved| !saved.starts_with(&format!("{name}.")));
                states.insert(name, state);
            }
        }
        for name in unread {
            problems.push(
                format!("optimizer.{name}"),
                "an incomplete state",
                "all tensors and scalars of it",
            );
        }
        problems.into_result()?;
        self.states = states;
        Ok(())
    }
}

/// The state of an optimizer, in the form that a checkpoint holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerState {
    /// Tensors by name of parameter and field.
    pub tensors: BTreeMap<String, TensorData>,
    /// Scalars likewise.
    pub scalars: BTreeMap<String, serde_json::Value>,
}

fn to_json(value: Scalar) -> serde_json::Value {
    match value {
        Scalar::Int(value) => value.into(),
        Scalar::UInt(value) => value.into(),
        Scalar::Float(value) => value.into(),
        Scalar::Bool(value) => value.into(),
    }
}

fn from_json(value: &serde_json::Value) -> Option<Scalar> {
    let integer = || value.as_u64().map(Scalar::UInt).or_else(|| value.as_i64().map(Scalar::Int));
    let other = || value.as_f64().map(Scalar::Float).or_else(|| value.as_bool().map(Scalar::Bool));
    integer().or_else(other)
}

/// One step over every parameter.
struct Step<'a> {
    path: Path,
    optimizer: &'a mut Optimizer,
    learning_rate: f64,
    gradients: &'a mut GradientsParams,
    scale: Option<Tensor<1>>,
    limit: Option<f32>,
}

impl ModuleMapper for Step<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(mut gradient) = self.gradients.remove::<D>(param.id) else {
            return param;
        };
        if let Some(scale) = &self.scale {
            gradient = gradient * scale.clone().unsqueeze();
        }
        if let Some(limit) = self.limit {
            gradient = gradient.clamp(-limit, limit);
        }
        let name = self.path.name();
        let rule = &self.optimizer.rule;
        let state = self.optimizer.states.remove(&name);
        let state = state.map(|state| rule.to_device_dyn(state, &gradient.device()));
        let (id, tensor, mapper) = param.consume();
        let learned = tensor.is_require_grad();
        let autodiff = tensor.device();
        let (tensor, state) =
            rule.step_dyn(D, self.learning_rate, tensor.inner().into_bridge(), gradient.into_bridge(), state);
        if let Some(state) = state {
            self.optimizer.states.insert(name, state);
        }
        let tensor = Tensor::<D>::from_bridge(tensor);
        let tensor = if autodiff.is_autodiff() { Tensor::from_inner(tensor) } else { tensor };
        Param::from_mapped_value(id, tensor.set_require_grad(learned), mapper)
    }
}

/// The Euclidean norm of all gradients together, `[1]`, on their device; not a number when one of them is
/// not, zero when there is none.
pub fn gradient_norm<M: Module>(module: &M, gradients: &GradientsParams, device: &Device) -> Tensor<1> {
    struct SquaredNorm<'a> {
        gradients: &'a GradientsParams,
        sum: Tensor<1>,
    }
    impl ModuleVisitor for SquaredNorm<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                self.sum = self.sum.clone() + gradient.square().sum();
            }
        }
    }
    let mut visitor = SquaredNorm { gradients, sum: Tensor::zeros([1], device) };
    module.visit(&mut visitor);
    visitor.sum.sqrt()
}

/// Names and shapes in memory of the float parameters.
fn shapes<M: Module>(module: &M) -> BTreeMap<String, Vec<usize>> {
    #[derive(Default)]
    struct Shapes(Path, BTreeMap<String, Vec<usize>>);
    impl ModuleVisitor for Shapes {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, container: &str) {
            self.0.exit(container);
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.insert(self.0.name(), param.val().dims().to_vec());
        }
    }
    let mut visitor = Shapes::default();
    module.visit(&mut visitor);
    visitor.1
}

#[derive(Clone, Copy)]
enum Direction {
    Save,
    Load,
}

/// Changes the tensors of a state between the layout of their parameters in memory and in files.
fn exchange<M: Module>(module: &M, state: OptimizerState, direction: Direction) -> OptimizerState {
    struct Exchange(Path, OptimizerState, Direction);
    impl ModuleVisitor for Exchange {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, container: &str) {
            self.0.exit(container);
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let prefix = format!("{}.", self.0.name());
            for (name, data) in &mut self.1.tensors {
                if name.starts_with(&prefix) && data.shape().num_dims() == D {
                    let tensor = Tensor::<D>::from_data(data.clone(), &Device::flex());
                    let (_, _, mapper) = param.clone().consume();
                    let tensor = match self.2 {
                        Direction::Save => mapper.on_save(tensor),
                        Direction::Load => mapper.on_load(tensor),
                    };
                    *data = tensor.into_data();
                }
            }
        }
    }
    let mut visitor = Exchange(Path::default(), state, direction);
    module.visit(&mut visitor);
    visitor.1
}
