//! Networks: layers one after another.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_kernels::Crossings;

use super::{
    Conv2d, Conv2dConfig, Dense, DenseConfig, Leaky, LeakyConfig, LeakyState, MaxPool2d, MaxPool2dConfig,
    Temporal,
};

/// Configuration of one layer of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LayerConfig {
    /// Fully connected synapses.
    Dense(DenseConfig),
    /// Two-dimensional convolutional synapses.
    Conv2d(Conv2dConfig),
    /// Two-dimensional maximum pooling.
    #[serde(rename = "max_pool2d")]
    MaxPool2d(MaxPool2dConfig),
    /// Leaky integrate-and-fire units, as many as the layer before has outputs.
    Leaky(LeakyConfig),
}

/// Configuration of a [`Network`].
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{LeakyConfig, NetworkConfig};
///
/// let device = Device::flex();
/// let config = NetworkConfig::mlp(&[784, 512, 10], LeakyConfig::default());
/// let network = config.init(1, &device)?;
/// let output = network.forward(Tensor::zeros([25, 8, 784], &device), None);
/// assert_eq!(output.counts().dims(), [8, 10]);
/// # Ok::<(), spark_core::Problems>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Shape of one input, such as `[784]` or `[channels, height, width]`.
    pub input: Vec<usize>,
    /// The layers in order; the last one spikes.
    pub layers: Vec<LayerConfig>,
}

/// A layer of a network.
// Only ever a handful of layers per network, so the spread of sizes does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum Layer {
    /// Fully connected synapses.
    Dense(Dense),
    /// Two-dimensional convolutional synapses.
    Conv2d(Conv2d),
    /// Two-dimensional maximum pooling.
    MaxPool2d(MaxPool2d),
    /// Leaky integrate-and-fire units.
    Leaky(Leaky),
}

/// Layers one after another, the last of them spiking.
///
/// A sequence passes layer by layer: synapses see all steps and samples as one matrix product, units
/// run as one scan.
#[derive(Module, Debug)]
pub struct Network {
    /// The layers in order.
    pub layers: Vec<Layer>,
}

/// The state of every layer that has one.
#[derive(Clone, Debug)]
pub struct NetworkState {
    /// One entry per layer; `None` for a layer without state.
    pub layers: Vec<Option<LeakyState>>,
}

/// What a network returns for a sequence.
#[derive(Clone, Debug)]
pub struct NetworkOutput {
    /// Spikes of each spiking layer in order, `[time, batch, units]`; the last entry is the output.
    pub spikes: Vec<Tensor<3>>,
    /// Membrane potential of the last layer before its resets, `[time, batch, units]`.
    pub potential: Tensor<3>,
    /// Where the sequence ended.
    pub state: NetworkState,
}

impl NetworkOutput {
    /// Mean firing rate of each spiking layer in order, spikes per unit and step; read back to the host.
    pub fn rates(&self) -> Vec<f64> {
        let rate = |spikes: &Tensor<3>| f64::from(spikes.clone().mean().into_scalar::<f32>());
        self.spikes.iter().map(rate).collect()
    }

    /// Spikes per output unit over the sequence, `[batch, units]`.
    pub fn counts(&self) -> Tensor<2> {
        let spikes = self.spikes[self.spikes.len() - 1].clone();
        let [_, batch, units] = spikes.dims();
        spikes.sum_dim(0).reshape([batch, units])
    }
}

impl NetworkConfig {
    /// Fully connected layers of leaky units: `sizes` are inputs, hidden units and outputs.
    pub fn mlp(sizes: &[usize], leaky: LeakyConfig) -> Self {
        let layers = sizes
            .iter()
            .skip(1)
            .flat_map(|&units| {
                [LayerConfig::Dense(DenseConfig::new(units)), LayerConfig::Leaky(leaky.clone())]
            })
            .collect();
        Self { input: sizes.iter().take(1).copied().collect(), layers }
    }

    /// The convolutional network 12C5-MP2-64C5-MP2-`classes` for images of shape `[channels, height,
    /// width]`: twice a 5×5 convolution, pooling by 2 and leaky units, then fully connected outputs.
    pub fn conv(input: [usize; 3], classes: usize, leaky: LeakyConfig) -> Self {
        let block = |channels| {
            [
                LayerConfig::Conv2d(Conv2dConfig::new(channels, [5, 5])),
                LayerConfig::MaxPool2d(MaxPool2dConfig { window: [2, 2] }),
                LayerConfig::Leaky(leaky.clone()),
            ]
        };
        let readout = [LayerConfig::Dense(DenseConfig::new(classes)), LayerConfig::Leaky(leaky.clone())];
        let layers = block(12).into_iter().chain(block(64)).chain(readout).collect();
        Self { input: input.to_vec(), layers }
    }

    /// The shape that leaves each layer; checks every field on the way.
    ///
    /// # Errors
    /// Everything that is wrong, each with the path of the field.
    pub fn shapes(&self) -> Result<Vec<Vec<usize>>, Problems> {
        let mut problems = Problems::default();
        if self.input.is_empty() || self.input.contains(&0) {
            problems.push("input", format!("{:?}", self.input), "a shape without zeros, such as [784]");
        }
        if !matches!(self.layers.last(), Some(LayerConfig::Leaky(_))) {
            problems.push("layers", "a last layer that does not spike", "a leaky layer at the end");
        }
        let mut shape = self.input.clone();
        let mut shapes = Vec::with_capacity(self.layers.len());
        for (i, layer) in self.layers.iter().enumerate() {
            let path = format!("layers[{i}]");
            layer.validate(&path, &mut problems);
            match layer.output_shape(&shape) {
                Some(next) => shape = next,
                None => {
                    let expected = "an input of [channels, height, width] at least as large as the kernel";
                    problems.push(path, format!("an input of shape {shape:?}"), expected);
                    break;
                }
            }
            shapes.push(shape.clone());
        }
        problems.into_result().map(|()| shapes)
    }

    /// Draws the parameters under `seed`: the same ones on every backend.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration.
    pub fn init(&self, seed: u64, device: &Device) -> Result<Network, Problems> {
        let shapes = self.shapes()?;
        let inputs = std::iter::once(&self.input).chain(&shapes);
        let layers = self.layers.iter().zip(inputs).enumerate();
        let layers = layers
            .map(|(i, (layer, input))| layer.init(input, seed, &format!("layers.{i}"), device))
            .collect();
        Ok(Network { layers })
    }

    /// The leaky layers, to change them all.
    pub fn leaky_mut(&mut self) -> impl Iterator<Item = &mut LeakyConfig> {
        self.layers.iter_mut().filter_map(|layer| match layer {
            LayerConfig::Leaky(leaky) => Some(leaky),
            _ => None,
        })
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.input.iter().product()
    }

    /// Number of outputs.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration.
    pub fn outputs(&self) -> Result<usize, Problems> {
        Ok(self.shapes()?.last().map_or(0, |shape| shape.iter().product()))
    }
}

impl LayerConfig {
    fn validate(&self, path: &str, problems: &mut Problems) {
        match self {
            Self::Dense(config) => config.validate(path, problems),
            Self::Conv2d(config) => config.validate(path, problems),
            Self::MaxPool2d(config) => config.validate(path, problems),
            Self::Leaky(config) => config.validate(path, problems),
        }
    }

    /// The shape of the output for that of the input; `None` when the layer cannot take it.
    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        match self {
            Self::Dense(config) => Some(vec![config.units]),
            Self::Conv2d(config) => config.output_shape(input.try_into().ok()?).map(Vec::from),
            Self::MaxPool2d(config) => config.output_shape(input.try_into().ok()?).map(Vec::from),
            Self::Leaky(_) => Some(input.to_vec()),
        }
    }

    /// `input` is a shape that [`output_shape`](Self::output_shape) accepted.
    fn init(&self, input: &[usize], seed: u64, name: &str, device: &Device) -> Layer {
        let units = input.iter().product();
        let image = || [input[0], input[1], input[2]];
        match self {
            Self::Dense(config) => Layer::Dense(config.init(units, seed, name, device)),
            Self::Conv2d(config) => Layer::Conv2d(config.init(image(), seed, name, device)),
            Self::MaxPool2d(config) => Layer::MaxPool2d(config.init(image())),
            Self::Leaky(config) => Layer::Leaky(config.init(units, device)),
        }
    }
}

impl Network {
    /// Runs a sequence `[time, batch, inputs]` from `state`, or from the initial state.
    pub fn forward(&self, input: Tensor<3>, state: Option<NetworkState>) -> NetworkOutput {
        let state = state.unwrap_or_else(|| self.initial_state(input.dims()[1], &input.device()));
        let mut x = input;
        let mut spikes = Vec::new();
        let mut potential = None;
        let mut crossings = None;
        let mut states = Vec::with_capacity(self.layers.len());
        for (index, (layer, state)) in self.layers.iter().zip(state.layers).enumerate() {
            let mut next = None;
            x = match (layer, state) {
                (Layer::Leaky(leaky), state) => {
                    let state = state.unwrap_or_else(|| leaky.initial_state(x.dims()[1], &x.device()));
                    let following = self.layers.get(index + 1);
                    let support = match following {
                        Some(Layer::Dense(_)) if x.device().is_autodiff() => leaky.surrogate().support(),
                        _ => None,
                    };
                    let out = leaky.scan(x, state, following.is_none() || support.is_some());
                    spikes.push(out.spikes.clone());
                    crossings = support.zip(out.potential.clone()).map(|(half_width, potential)| Crossings {
                        potential: potential.flatten(0, 1),
                        threshold: leaky.threshold.val(),
                        half_width,
                    });
                    potential = out.potential;
                    next = Some(LeakyState { membrane: out.membrane });
                    out.spikes
                }
                (Layer::Dense(dense), _) => match crossings.take() {
                    Some(crossings) => dense.forward_near(x, crossings),
                    None => dense.forward(x),
                },
                (layer, _) => layer.synapses(x),
            };
            states.push(next);
        }
        let potential = potential.unwrap_or(x);
        NetworkOutput { spikes, potential, state: NetworkState { layers: states } }
    }
}

impl Network {
    /// The network with learned parameters moved back to where they make sense; see
    /// [`Leaky::constrained`]. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        let layers = self.layers.into_iter().map(|layer| match layer {
            Layer::Leaky(leaky) => Layer::Leaky(leaky.constrained()),
            other => other,
        });
        Self { layers: layers.collect() }
    }
}

impl Layer {
    /// A layer without memory, over any leading axes.
    fn synapses<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Dense(dense) => dense.forward(input),
            Self::Conv2d(conv) => conv.forward(input),
            Self::MaxPool2d(pool) => pool.forward(input),
            Self::Leaky(_) => input,
        }
    }
}

impl Temporal for Network {
    type State = NetworkState;

    fn initial_state(&self, batch: usize, device: &Device) -> NetworkState {
        let layers = self.layers.iter().map(|layer| match layer {
            Layer::Leaky(leaky) => Some(leaky.initial_state(batch, device)),
            _ => None,
        });
        NetworkState { layers: layers.collect() }
    }

    fn step(&self, input: Tensor<2>, state: NetworkState) -> (Tensor<2>, NetworkState) {
        let mut x = input;
        let mut states = Vec::with_capacity(self.layers.len());
        for (layer, state) in self.layers.iter().zip(state.layers) {
            let next;
            (x, next) = match (layer, state) {
                (Layer::Leaky(leaky), Some(state)) => {
                    let (spikes, state) = leaky.step(x, state);
                    (spikes, Some(state))
                }
                (layer, state) => (layer.synapses(x), state),
            };
            states.push(next);
        }
        (x, NetworkState { layers: states })
    }

    fn sequence(&self, input: Tensor<3>, state: NetworkState) -> (Tensor<3>, NetworkState) {
        let mut output = self.forward(input, Some(state));
        let spikes = output.spikes.pop().unwrap_or(output.potential);
        (spikes, output.state)
    }
}
