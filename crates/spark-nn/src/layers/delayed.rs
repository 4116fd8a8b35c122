//! Fully connected synapses with learned delays.

use burn::module::{Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::{Initializer, Problems, seed};
use spark_kernels::spike_linear;

use super::Temporal;
use super::buffer::Buffer;
use super::delay_width::LAST_WIDTH;
use super::units::project;

/// The longest delay in steps that a layer may have.
const LONGEST: usize = 1 << 12;

/// Configuration of [`DelayedDense`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayedDenseConfig {
    /// Number of postsynaptic units.
    pub units: usize,
    /// The longest delay, in steps.
    pub max_delay: usize,
    /// Whether each unit has a constant input besides.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How weights and bias are drawn.
    #[serde(default)]
    pub weight: Initializer,
    /// Whether delays are trained.
    #[serde(default = "yes")]
    pub learn_delays: bool,
    /// Width σ of the interpolation that training starts from, in steps; 0 for delays that are rounded. Half of the
    /// longest delay where absent.
    #[serde(default)]
    pub width: Option<f32>,
}

fn yes() -> bool {
    true
}

/// Fully connected synapses, each with a delay that is learned.
///
/// ```text
/// I[t, j] = b_j + Σ_i Σ_τ w_ij·k_τ(d_ij)·x[t − τ, i]          τ = 0 … longest delay
/// k_τ(d)  = exp(−(τ − d)²/2σ²) / Σ_τ' exp(−(τ' − d)²/2σ²)      while σ > 0
/// k_τ(d)  = 1 where τ is d rounded, else 0                      σ = 0
/// ```
///
/// The Gaussian spreads each weight over neighbouring steps, so that the gradient says whether a spike had better come
/// sooner or later. σ starts wide, to see far, and shrinks in training ([`shrunk_width`](super::shrunk_width),
/// [`Network::set_delay_width`](super::Network::set_delay_width)); in the end [`rounded`](Self::rounded) leaves one whole step for each synapse, and
/// [`steps`](Self::steps) exports them. σ is saved with the parameters.
///
/// Input and output are `[batch, inputs]` to `[batch, units]` per step and `[time, batch, inputs]` to
/// `[time, batch, units]` per sequence, which is one product of the inputs of the last steps, side by side, with the
/// weights of all steps. Weight and delays are kept pre-major, `[inputs, units]`, and saved as `[units, inputs]`.
///
/// Source: Hammouamri, Khalfaoui-Hassani & Masquelier, *Learning delays in spiking neural networks using dilated
/// convolutions with learnable spacings* (ICLR 2024).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::Initializer;
/// use spark_nn::layers::{DelayedDenseConfig, Temporal};
///
/// let device = Device::flex();
/// let config = DelayedDenseConfig {
///     bias: false,
///     width: Some(0.0),
///     weight: Initializer::Constant { value: 0.5 },
///     ..DelayedDenseConfig::new(1, 3)
/// };
/// let layer = config.init(1, 1, "synapses", &device);
/// let delay = layer.steps()[0][0];
/// let input = Tensor::<3>::from_floats([[[1.0]], [[0.0]], [[0.0]], [[0.0]]], &device);
/// let (current, _) = layer.sequence(input, layer.initial_state(1, &device));
/// assert_eq!(current.into_data().try_to_vec::<f32>().unwrap()[delay], 0.5);
/// ```
#[derive(Module, Debug)]
pub struct DelayedDense {
    /// Weights w, `[inputs, units]` in memory.
    pub weight: Param<Tensor<2>>,
    /// Delays d in steps, `[inputs, units]` in memory.
    pub delays: Param<Tensor<2>>,
    /// Bias, `[units]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Width σ of the kernel in steps, `[1]`.
    pub width: Buffer<1>,
    max_delay: usize,
}

spark_core::state! {
    /// What [`DelayedDense`] synapses remember.
    pub struct DelayedState {
        /// The inputs of the last steps, the oldest first, `[longest delay, batch, inputs]`; absent without delays.
        inputs: Option<Tensor<3>>,
    }
}

impl DelayedDenseConfig {
    /// `units` postsynaptic units with bias, the default weights, and delays of up to `max_delay` steps.
    pub fn new(units: usize, max_delay: usize) -> Self {
        let weight = Initializer::default();
        Self { units, max_delay, bias: true, weight, learn_delays: true, width: None }
    }

    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.positive(format!("{path}.units"), self.units);
        self.weight.validate(&format!("{path}.weight"), problems);
        if self.max_delay > LONGEST {
            problems.push(format!("{path}.max_delay"), self.max_delay, format!("at most {LONGEST} steps"));
        }
        if let Some(width) = self.width {
            problems.non_negative(format!("{path}.width"), width);
        }
    }

    /// The width of the kernel that training starts from, in steps.
    pub fn first_width(&self) -> f32 {
        self.width.unwrap_or((self.max_delay as f32 / 2.0).max(LAST_WIDTH))
    }

    /// Draws the parameters for `inputs` presynaptic units, delays uniform from 0 to the longest; `name` picks
    /// the random stream under `seed`.
    pub fn init(&self, inputs: usize, seed: u64, name: &str, device: &Device) -> DelayedDense {
        let draw = |from: &Initializer, count: usize, field: &str| {
            from.draw(count, inputs, &mut seed::rng(seed, &format!("{name}.{field}")))
        };
        let by_pair = |values: Vec<f32>, learned: bool| {
            Param::from_data(TensorData::new(values, [inputs, self.units]), device)
                .save_mapper(Tensor::transpose)
                .load_mapper(Tensor::transpose)
                .set_require_grad(learned)
        };
        let pairs = inputs * self.units;
        let uniform = Initializer::Uniform { min: 0.0, max: self.max_delay as f32 };
        let bias = self.bias.then(|| TensorData::new(draw(&self.weight, self.units, "bias"), [self.units]));
        DelayedDense {
            weight: by_pair(draw(&self.weight, pairs, "weight"), true),
            delays: by_pair(draw(&uniform, pairs, "delays"), self.learn_delays),
            bias: bias.map(|bias| Param::from_data(bias, device)),
            width: Buffer::on_host(Tensor::from_floats([self.first_width()], &Device::flex())),
            max_delay: self.max_delay,
        }
    }
}

impl DelayedDense {
    /// The layer with another width σ of its kernel, in steps; 0 for delays that are rounded.
    #[must_use]
    pub fn with_width(self, width: f32) -> Self {
        self.set_width(width);
        self
    }

    pub(super) fn set_width(&self, width: f32) {
        self.width.set(Tensor::from_floats([width], &Device::flex()));
    }

    /// The layer with delays of whole steps, without interpolation.
    #[must_use]
    pub fn rounded(self) -> Self {
        let delays = self.delays.map(|delays| {
            let learned = delays.is_require_grad();
            delays.round().detach().set_require_grad(learned)
        });
        Self { delays, ..self }.with_width(0.0)
    }

    /// The delay of each synapse rounded to whole steps, `[post][pre]`.
    ///
    /// In a brain spikes take a step besides on every connection, and delays by pair,
    /// [`N2NDelays`](crate::components::delays::N2NDelays), count from 1: there each is longer by one.
    pub fn steps(&self) -> Vec<Vec<usize>> {
        let [inputs, _] = self.delays.val().dims();
        let values: Vec<f32> = self.delays.val().round().transpose().into_data().iter::<f32>().collect();
        let steps = |row: &[f32]| row.iter().map(|delay| *delay as usize).collect();
        values.chunks(inputs.max(1)).map(steps).collect()
    }

    /// The longest delay, in steps.
    pub fn max_delay(&self) -> usize {
        self.max_delay
    }

    /// The layer with learned delays moved back to between 0 and the longest. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        Self { delays: project(self.delays, 0.0, self.max_delay as f32), ..self }
    }

    /// Weights of every step back, the oldest first, `[(longest + 1)·inputs, units]`.
    fn kernel(&self) -> Tensor<2> {
        let [inputs, units] = self.weight.val().dims();
        let taps = self.max_delay + 1;
        let weight = self.weight.val();
        if taps == 1 {
            return weight;
        }
        let ages = Tensor::<1, Int>::arange(0..taps as i64, &weight.device()).flip([0]).float();
        let delays: Tensor<3> = self.delays.val().unsqueeze();
        let width = self.width.value().into_scalar::<f32>();
        let shares = if width > 0.0 {
            let distance = (delays - ages.reshape([taps, 1, 1])) / width;
            softmax(distance.square() * -0.5, 0)
        } else {
            (delays.detach().round() - ages.reshape([taps, 1, 1])).equal_elem(0.0).float()
        };
        (shares * weight.unsqueeze()).reshape([taps * inputs, units])
    }
}

impl Temporal for DelayedDense {
    type State = DelayedState;

    fn initial_state(&self, batch: usize, device: &Device) -> DelayedState {
        let [inputs, _] = self.weight.val().dims();
        let past = (self.max_delay > 0).then(|| Tensor::zeros([self.max_delay, batch, inputs], device));
        DelayedState { inputs: past }
    }

    fn step(&self, input: Tensor<2>, state: DelayedState) -> (Tensor<2>, DelayedState) {
        let (current, state) = self.sequence(input.unsqueeze(), state);
        (current.squeeze_dim(0), state)
    }

    fn sequence(&self, input: Tensor<3>, state: DelayedState) -> (Tensor<3>, DelayedState) {
        let [time, batch, inputs] = input.dims();
        let history = match state.inputs {
            Some(past) => Tensor::cat(vec![past, input], 0),
            None => input,
        };
        let taps = self.max_delay + 1;
        // The inputs of the last steps of each step, side by side.
        let beside: Vec<_> = (0..taps).map(|tap| history.clone().narrow(0, tap, time)).collect();
        let rows = Tensor::cat(beside, 2).reshape([time * batch, taps * inputs]);
        let bias = self.bias.as_ref().map(Param::val);
        let current = spike_linear(rows, self.kernel(), bias);
        let units = current.dims()[1];
        let past = (self.max_delay > 0).then(|| history.narrow(0, time, self.max_delay));
        (current.reshape([time, batch, units]), DelayedState { inputs: past })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{shrunk_width, step_through};
    use proptest::prelude::*;
    use spark_kernels::{philox::Stream, random};

    fn layer(inputs: usize, units: usize, max_delay: usize, width: f32, device: &Device) -> DelayedDense {
        let config = DelayedDenseConfig { width: Some(width), ..DelayedDenseConfig::new(units, max_delay) };
        config.init(inputs, 3, "delayed", device)
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "found {found}, expected {expected}");
        }
    }

    /// The equations, entry by entry.
    fn defined(layer: &DelayedDense, width: f32, input: &[f32], shape: [usize; 3]) -> Vec<f32> {
        let [time, batch, inputs] = shape;
        let (weight, delays) = (values(layer.weight.val()), values(layer.delays.val()));
        let bias = values(layer.bias.as_ref().unwrap().val());
        let units = bias.len();
        let gauss = |tap: usize, delay: f32| match width {
            0.0 => f32::from(u8::from(tap as f32 == delay.round())),
            _ => (-((tap as f32 - delay) / width).powi(2) / 2.0).exp(),
        };
        let mut output = Vec::new();
        for t in 0..time {
            for b in 0..batch {
                for (j, bias) in bias.iter().enumerate() {
                    let mut current = *bias;
                    for i in 0..inputs {
                        let pair = i * units + j;
                        let sum: f32 = (0..=layer.max_delay).map(|tap| gauss(tap, delays[pair])).sum();
                        for tap in 0..=layer.max_delay.min(t) {
                            let x = input[((t - tap) * batch + b) * inputs + i];
                            current += weight[pair] * gauss(tap, delays[pair]) / sum * x;
                        }
                    }
                    output.push(current);
                }
            }
        }
        output
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn sequences_steps_and_the_equations_agree(
            shape in [1usize..9, 1..4, 1..6],
            units in 1usize..5,
            max_delay in 0usize..6,
            width in prop::sample::select(vec![0.0f32, 0.4, 1.0, 3.0]),
            cut in 0usize..9,
        ) {
            let device = Device::flex();
            let layer = layer(shape[2], units, max_delay, width, &device);
            let input = random::bernoulli(0.4, shape, Stream::new(1, 0, 0), &device);
            let start = || layer.initial_state(shape[1], &device);
            let (whole, end) = layer.sequence(input.clone(), start());
            let expected = defined(&layer, width, &values(input.clone()), shape);
            assert_close(&values(whole.clone()), &expected);

            let (stepped, stepped_end) = step_through(&layer, input.clone(), start());
            assert_close(&values(stepped), &expected);
            prop_assert_eq!(end.inputs.map(values), stepped_end.inputs.map(values));

            let cut = cut.clamp(1, shape[0]);
            let (first, between) = layer.sequence(input.clone().slice_dim(0, 0..cut), start());
            let mut parts = values(first);
            if cut < shape[0] {
                let rest = input.slice_dim(0, cut..shape[0]);
                parts.extend(values(layer.sequence(rest, between).0));
            }
            assert_close(&parts, &expected);
        }
    }

    /// Loss of a fixed readout, in which every output counts by another number.
    fn loss(layer: &DelayedDense, input: Tensor<3>) -> Tensor<1> {
        let batch = input.dims()[1];
        let state = layer.initial_state(batch, &input.device());
        let (output, _) = layer.sequence(input, state);
        let weights = random::normal(output.dims(), Stream::new(2, 0, 0), &output.device());
        (output * weights).sum()
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let device = Device::flex().autodiff();
        let input = random::bernoulli(0.5, [9, 2, 3], Stream::new(1, 0, 0), &device);
        for width in [0.5, 1.0, 2.5] {
            let layer = layer(3, 2, 4, width, &device);
            let gradients = loss(&layer, input.clone()).backward();
            let found = |param: &Param<Tensor<2>>| values(param.val().grad(&gradients).unwrap());
            let moved = |of_delays: bool, index: usize, by: f32| {
                let shift = |param: Param<Tensor<2>>| {
                    param.map(|tensor| {
                        let mut numbers = values(tensor.clone());
                        numbers[index] += by;
                        Tensor::from_data(TensorData::new(numbers, tensor.dims()), &tensor.device())
                    })
                };
                let mut moved = layer.clone();
                let param = if of_delays { &mut moved.delays } else { &mut moved.weight };
                *param = shift(param.clone());
                loss(&moved, input.clone()).into_scalar::<f32>()
            };
            for (of_delays, found) in [(false, found(&layer.weight)), (true, found(&layer.delays))] {
                assert!(found.iter().any(|gradient| gradient.abs() > 0.05));
                for (index, found) in found.iter().enumerate() {
                    let by = |step| moved(of_delays, index, step);
                    let slope = (by(0.02) - by(-0.02)) / 0.04;
                    let distance = (found - slope).abs();
                    assert!(distance < 2e-3 + 1e-2 * slope.abs(), "found {found}, expected {slope}");
                }
            }
        }
    }

    #[test]
    fn rounded_delays_are_whole_steps_and_pass_no_gradient() {
        let device = Device::flex().autodiff();
        let layer = layer(4, 3, 5, 1.0, &device).rounded();
        let delays = values(layer.delays.val());
        assert!(delays.iter().all(|delay| delay.fract() == 0.0 && (0.0..=5.0).contains(delay)));
        let steps = layer.steps();
        assert_eq!((steps.len(), steps[0].len()), (3, 4));
        assert_eq!(steps[2][1] as f32, delays[3 + 2]);
        let input = random::bernoulli(0.5, [9, 2, 4], Stream::new(1, 0, 0), &device);
        let gradients = loss(&layer, input).backward();
        assert!(layer.weight.val().grad(&gradients).is_some());
        assert!(layer.delays.val().grad(&gradients).is_none());
        assert!(layer.delays.val().is_require_grad());
    }

    #[test]
    fn delays_are_moved_back_and_saved_by_post() {
        let device = Device::flex().autodiff();
        let layer = layer(3, 2, 4, 1.0, &device);
        let far = layer.delays.clone().map(|delays| (delays * 10.0 - 5.0).detach().require_grad());
        let layer = DelayedDense { delays: far, ..layer }.constrained();
        assert!(values(layer.delays.val()).iter().all(|delay| (0.0..=4.0).contains(delay)));
        assert_eq!(layer.delays.transform_for_save().val().dims(), [2, 3]);
    }

    /// A spike at step 1 is wanted at step 7, from a delay of 2.
    #[test]
    fn a_shrinking_kernel_finds_a_delay() {
        let device = Device::flex().autodiff();
        let config = DelayedDenseConfig {
            bias: false,
            weight: Initializer::Constant { value: 1.0 },
            ..DelayedDenseConfig::new(1, 9)
        };
        let mut layer = config.init(1, 1, "delayed", &device);
        layer.delays = layer.delays.map(|delays| delays.full_like(2.0).require_grad());
        let at = |step: usize| {
            let values = (0..12).map(|t| f32::from(u8::from(t == step))).collect::<Vec<_>>();
            Tensor::<3>::from_data(TensorData::new(values, [12, 1, 1]), &device)
        };
        for step in 0..200 {
            layer = layer.with_width(shrunk_width(config.first_width(), step as f32 / 200.0));
            let (output, _) = layer.sequence(at(1), layer.initial_state(1, &device));
            let gradients = (output - at(7)).square().sum().backward();
            let gradient = layer.delays.val().grad(&gradients).unwrap();
            let change = gradient.sign() * 0.1;
            layer.delays =
                layer.delays.map(|delays| Tensor::from_inner(delays.inner() - change.clone()).require_grad());
            layer = layer.constrained();
        }
        assert_eq!(layer.rounded().steps(), [[6]]);
    }
}
