//! Fully connected synapses.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::{Initializer, Problems, seed};
use spark_kernels::{Crossings, spike_linear, spike_linear_near};

/// Configuration of [`Dense`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DenseConfig {
    /// Number of postsynaptic units.
    pub units: usize,
    /// Whether each unit has a constant input besides.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How weights and bias are drawn.
    #[serde(default)]
    pub weight: Initializer,
}

fn yes() -> bool {
    true
}

/// Fully connected synapses: `I = x·W + b`.
///
/// Every unit of the layer receives every input. The weight is kept pre-major, `[inputs, units]`, so
/// that the weights of one presynaptic unit lie together; it is documented, saved and loaded as
/// `[units, inputs]`, like PyTorch's.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::DenseConfig;
///
/// let device = Device::flex();
/// let synapses = DenseConfig::new(10).init(784, 1, "synapses", &device);
/// let current = synapses.forward(Tensor::zeros([25, 128, 784], &device));
/// assert_eq!(current.dims(), [25, 128, 10]);
/// ```
#[derive(Module, Debug)]
pub struct Dense {
    /// Weights, `[inputs, units]` in memory.
    pub weight: Param<Tensor<2>>,
    /// Bias, `[units]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl DenseConfig {
    /// `units` postsynaptic units with bias and the default weights.
    pub fn new(units: usize) -> Self {
        Self { units, bias: true, weight: Initializer::default() }
    }

    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.positive(format!("{path}.units"), self.units);
        self.weight.validate(&format!("{path}.weight"), problems);
    }

    /// Draws the parameters for `inputs` presynaptic units; `name` picks the random stream under `seed`.
    pub fn init(&self, inputs: usize, seed: u64, name: &str, device: &Device) -> Dense {
        let draw = |count: usize, field: &str| {
            self.weight.draw(count, inputs, &mut seed::rng(seed, &format!("{name}.{field}")))
        };
        let weight = TensorData::new(draw(inputs * self.units, "weight"), [inputs, self.units]);
        let bias = self.bias.then(|| TensorData::new(draw(self.units, "bias"), [self.units]));
        Dense {
            weight: Param::from_data(weight, device)
                .save_mapper(Tensor::transpose)
                .load_mapper(Tensor::transpose),
            bias: bias.map(|bias| Param::from_data(bias, device)),
        }
    }
}

impl Dense {
    /// The current into each unit: `[…, inputs]` to `[…, units]`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.apply(input, None)
    }

    /// As [`forward`](Self::forward), for the spikes of units of which only those near their threshold pass a
    /// gradient on; see [`spike_linear_near`].
    pub fn forward_near<const D: usize>(&self, spikes: Tensor<D>, crossings: Crossings) -> Tensor<D> {
        self.apply(spikes, Some(crossings))
    }

    fn apply<const D: usize>(&self, input: Tensor<D>, crossings: Option<Crossings>) -> Tensor<D> {
        let mut shape = input.dims();
        let [inputs, units] = self.weight.val().dims();
        let rows: usize = shape[..D - 1].iter().product();
        shape[D - 1] = units;
        let (input, weight) = (input.reshape([rows, inputs]), self.weight.val());
        let bias = self.bias.as_ref().map(Param::val);
        let current = match crossings {
            None => spike_linear(input, weight, bias),
            Some(crossings) => spike_linear_near(input, weight, bias, crossings),
        };
        current.reshape(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_is_the_weighted_sum_plus_bias() {
        let device = Device::flex();
        let config = DenseConfig { units: 2, bias: true, weight: Initializer::Constant { value: 0.5 } };
        let dense = config.init(3, 0, "dense", &device);
        let x = Tensor::<2>::from_floats([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]], &device);
        assert_eq!(dense.forward(x).into_data().try_to_vec::<f32>().unwrap(), [1.5, 1.5, 2.0, 2.0]);
    }

    #[test]
    fn the_saved_weight_is_post_by_pre() {
        let dense = DenseConfig::new(2).init(3, 0, "dense", &Device::flex());
        assert_eq!(dense.weight.val().dims(), [3, 2]);
        assert_eq!(dense.weight.transform_for_save().val().dims(), [2, 3]);
    }

    #[test]
    fn parameters_depend_on_seed_and_name_only() {
        let draw =
            |seed, name| DenseConfig::new(4).init(3, seed, name, &Device::flex()).weight.val().into_data();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }
}
