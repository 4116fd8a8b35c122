//! Networks: layers one after another.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::{Initializer, Problems};

use super::config::Place;
use super::member::Asked;
use super::sequential;
use super::{
    Conv2dConfig, DenseConfig, DropoutConfig, Inputs, Layer, LayerConfig, LeakyConfig, MaxPool2dConfig,
    NetworkState, RecurrentConfig, RecurrentUnitsConfig, Temporal,
};

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
    /// The layers in order; the last ones are units.
    pub layers: Vec<LayerConfig>,
}

/// Layers one after another, the last of them units: spiking, or integrating what they report.
///
/// A sequence passes layer by layer: synapses see all steps and samples as one matrix product, units
/// run as one scan.
#[derive(Module, Debug)]
pub struct Network {
    /// The layers in order.
    pub layers: Vec<Layer>,
}

/// What a network returns for a sequence.
#[derive(Clone, Debug)]
pub struct NetworkOutput {
    /// What the last layer gives, spikes or the membrane of units that never spike, `[time, batch, units]`.
    pub output: Tensor<3>,
    /// Spikes of each spiking layer in order, `[time, batch, units]`; of a graph those of its output last.
    pub spikes: Vec<Tensor<3>>,
    /// Membrane potential of the last layer before its resets, `[time, batch, units]`.
    pub potential: Tensor<3>,
    /// Where the sequence ended.
    pub state: NetworkState,
    /// Steps of each sample, where some are shorter than the sequence; see [`until`](Self::until).
    pub lengths: Option<Vec<usize>>,
}

impl NetworkOutput {
    /// The output of a batch whose samples have `lengths` steps; what comes after them does not count.
    ///
    /// # Panics
    /// When there is not one length for each sample.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_nn::layers::{LayerConfig, LeakyConfig, NetworkConfig};
    ///
    /// let device = Device::flex();
    /// let units = LayerConfig::Leaky(LeakyConfig::default());
    /// let network = NetworkConfig { input: vec![1], layers: vec![units] };
    /// let output = network.init(1, &device)?.forward(Tensor::full([4, 2, 1], 2.0, &device), None);
    /// let counts = output.until(&[4, 3]).counts();
    /// assert_eq!(counts.into_data().try_to_vec::<f32>().unwrap(), [4.0, 3.0]);
    /// # Ok::<(), spark_core::Problems>(())
    /// ```
    #[must_use]
    pub fn until(self, lengths: &[usize]) -> Self {
        let [time, batch, _] = self.output.dims();
        assert_eq!(lengths.len(), batch, "a length for each sample");
        let shorter = lengths.iter().any(|&length| length < time);
        Self { lengths: shorter.then(|| lengths.to_vec()), ..self }
    }

    /// 1 at the steps of a sample and 0 after them, `[time, batch, 1]`; absent where all are as long as the
    /// sequence.
    pub fn mask(&self) -> Option<Tensor<3>> {
        let lengths = self.lengths.as_ref()?;
        let (time, device) = (self.output.dims()[0], self.output.device());
        let within = |step: usize| lengths.iter().map(move |&length| f32::from(step < length));
        let values: Vec<f32> = (0..time).flat_map(within).collect();
        Some(Tensor::from_data(TensorData::new(values, [time, lengths.len(), 1]), &device))
    }

    /// Mean firing rate of each spiking layer in order, spikes per unit and step; read back to the host.
    pub fn rates(&self) -> Vec<f64> {
        let rate = |spikes: &Tensor<3>| f64::from(spikes.clone().mean().into_scalar::<f32>());
        self.spikes.iter().map(rate).collect()
    }

    /// Spikes per output unit over the sequence, `[batch, units]`; of units that never spike the sum of their
    /// membrane.
    pub fn counts(&self) -> Tensor<2> {
        let [_, batch, units] = self.output.dims();
        let output = match self.mask() {
            Some(mask) => self.output.clone() * mask,
            None => self.output.clone(),
        };
        output.sum_dim(0).reshape([batch, units])
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

    /// A recurrent network for sequences: dense synapses onto leaky units that hear each other (all to all, weakly
    /// at first) with dropout behind them, layer by layer of `hidden` units, and dense synapses onto leaky units.
    pub fn recurrent(inputs: usize, hidden: &[usize], classes: usize, leaky: LeakyConfig) -> Self {
        let hidden = hidden.iter().flat_map(|&units| {
            let recurrent = RecurrentConfig {
                weight: Initializer::FanIn { gain: 0.5 },
                ..RecurrentConfig::new(RecurrentUnitsConfig::Leaky(leaky.clone()))
            };
            [
                LayerConfig::Dense(DenseConfig::new(units)),
                LayerConfig::Recurrent(recurrent),
                LayerConfig::Dropout(DropoutConfig { probability: 0.3 }),
            ]
        });
        let readout = [LayerConfig::Dense(DenseConfig::new(classes)), LayerConfig::Leaky(leaky.clone())];
        Self { input: vec![inputs], layers: hidden.chain(readout).collect() }
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
        if !sequential::ends_in_units(&self.layers) {
            problems.push(
                "layers",
                "a last layer that does not spike",
                "units at the end, such as a leaky layer",
            );
        }
        let shapes = sequential::shapes(&self.layers, &self.input, "", &mut problems);
        problems.into_result().map(|()| shapes)
    }

    /// Draws the parameters under `seed`: the same ones on every backend.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration.
    pub fn init(&self, seed: u64, device: &Device) -> Result<Network, Problems> {
        self.shapes()?;
        Ok(Network { layers: sequential::init(&self.layers, &self.input, "", Place { seed, device })? })
    }

    /// The leaky layers, recurrent ones too, to change them all.
    pub fn leaky_mut(&mut self) -> impl Iterator<Item = &mut LeakyConfig> {
        self.layers.iter_mut().filter_map(|layer| match layer {
            LayerConfig::Leaky(leaky) => Some(leaky),
            LayerConfig::Recurrent(RecurrentConfig { units: RecurrentUnitsConfig::Leaky(leaky), .. }) => {
                Some(leaky)
            }
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

impl Network {
    /// Runs a sequence `[time, batch, inputs]` from `state`, or from the initial state. Of [`Inputs`] that stay for some
    /// steps the layers before the first units see each once.
    ///
    /// Nothing is carried over: what a sequence leaves behind is in the state that it returns.
    ///
    /// # Panics
    /// If the state is not one of this network.
    pub fn forward(&self, input: impl Into<Inputs>, state: Option<NetworkState>) -> NetworkOutput {
        let input = input.into();
        let state = state.unwrap_or_else(|| self.initial_state(input.dims()[1], &input.device()));
        let asked = Asked { potential: true, crossings: false };
        let (ran, state) = sequential::run(&self.layers, input, state, asked);
        let potential = ran.potential.unwrap_or_else(|| ran.output.clone());
        NetworkOutput { output: ran.output, spikes: ran.spikes, potential, state, lengths: None }
    }

    /// The network with learned parameters moved back to where they make sense; see
    /// [`Leaky::constrained`](super::Leaky::constrained). For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        Self { layers: sequential::bounded(self.layers) }
    }
}

impl Temporal for Network {
    type State = NetworkState;

    fn initial_state(&self, batch: usize, device: &Device) -> NetworkState {
        sequential::begin(&self.layers, batch, device)
    }

    fn step(&self, input: Tensor<2>, state: NetworkState) -> (Tensor<2>, NetworkState) {
        sequential::advance(&self.layers, input, state)
    }

    fn sequence(&self, input: Tensor<3>, state: NetworkState) -> (Tensor<3>, NetworkState) {
        let (ran, state) = sequential::run(&self.layers, input.into(), state, Asked::default());
        (ran.output, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_without_newer_fields_mean_what_they_meant() {
        let text = r#"{"input": [1, 8, 8], "layers": [
            {"kind": "conv2d", "channels": 2, "kernel": [5, 5]},
            {"kind": "max_pool2d", "window": [2, 2]},
            {"kind": "leaky", "decay": 0.8, "threshold": 1.0, "learn_decay": true, "learn_threshold": false,
             "per_unit": false, "reset": "subtract", "reset_delay": false, "reset_gradient": false},
            {"kind": "dense", "units": 3},
            {"kind": "leaky"}]}"#;
        let config: NetworkConfig = serde_json::from_str(text).unwrap();
        let leaky = LeakyConfig { decay: 0.8, learn_decay: true, ..Default::default() };
        assert_eq!(config.layers[2], LayerConfig::Leaky(leaky));
        assert_eq!(config.shapes().unwrap().last().unwrap(), &[3]);
    }

    #[test]
    fn what_is_wrong_inside_containers_is_named_by_its_path() {
        let text = r#"{"input": [4], "layers": [
            {"kind": "sequential", "layers": [{"kind": "dense", "units": 0}, {"kind": "leaky", "decay": 2.0}]},
            {"kind": "residual", "body": [{"kind": "dense", "units": 3}]}]}"#;
        let config: NetworkConfig = serde_json::from_str(text).unwrap();
        let problems = config.shapes().unwrap_err();
        let paths: Vec<_> = problems.list().iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["layers", "layers[0].layers[0].units", "layers[0].layers[1].decay", "layers[1]"]);
    }

    #[test]
    fn a_graph_reports_every_name_that_does_not_fit() {
        let text = r#"{"input": [4], "layers": [{"kind": "graph", "output": "z", "nodes": [
            {"name": "a", "from": ["input"], "layer": {"kind": "dense", "units": 3}},
            {"name": "a", "from": ["a"], "back": ["b", "c"], "layer": {"kind": "leaky"}},
            {"name": "b", "from": ["a", "input"], "layer": {"kind": "leaky"}}]}]}"#;
        let config: NetworkConfig = serde_json::from_str(text).unwrap();
        let problems = config.shapes().unwrap_err();
        let paths: Vec<_> = problems.list().iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "layers",
                "layers[0].nodes[1].name",
                "layers[0].nodes[2].from",
                "layers[0].nodes[1].back",
                "layers[0].output"
            ]
        );
    }

    #[test]
    fn a_component_that_is_unknown_or_trains_what_it_lacks_is_named() {
        let init = |layer: &str| {
            let text = format!(r#"{{"input": [4], "layers": [{layer}]}}"#);
            let config: NetworkConfig = serde_json::from_str(&text).unwrap();
            config.init(1, &Device::flex()).unwrap_err().to_string()
        };
        let unknown = init(r#"{"kind": "physical", "component": "LeakySomma"}"#);
        assert!(unknown.contains("did you mean LeakySoma"), "{unknown}");
        let lacking = init(
            r#"{"kind": "physical", "component": "LeakySoma", "learn": [{"parameter": "membrane.tao"}]}"#,
        );
        assert!(lacking.contains("found membrane.tao, expected one of"), "{lacking}");
        let field = init(r#"{"kind": "physical", "component": "LeakySoma", "settings": {"tau": 1}}"#);
        assert!(field.contains("tau"), "{field}");
    }
}
