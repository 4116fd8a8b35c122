//! Which units a network's synapses join, read off its configuration.

use spark_core::Problems;
use spark_core::schema::join;

use super::{Connection, LayerConfig, NetworkConfig};

/// The synapses of one layer, and the spiking units before and behind them.
///
/// # Examples
/// ```
/// use spark_nn::layers::{LeakyConfig, NetworkConfig};
///
/// let network = NetworkConfig::mlp(&[784, 512, 10], LeakyConfig::default());
/// let synapses = network.synapses()?.expect("a plain network");
/// assert_eq!((synapses[0].from, synapses[0].to, synapses[0].count), (None, Some(0), 784 * 512));
/// assert_eq!((synapses[1].from, synapses[1].to, synapses[1].fan_out()), (Some(0), Some(1), 10.0));
/// # Ok::<(), spark_core::Problems>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synapses {
    /// The layer, as `layers.0`.
    pub layer: String,
    /// The last layer with parameters that lies between these synapses and the units behind them – the synapses
    /// themselves, or a normalisation – as `layers.1`.
    pub last: String,
    /// Where the spikes come from: which spiking layer, in the order of
    /// [`NetworkOutput::spikes`](super::NetworkOutput::spikes); absent for the input of the network.
    pub from: Option<usize>,
    /// Which spiking layer they end on; absent for units that never spike.
    pub to: Option<usize>,
    /// Number of pairs that are joined; of a convolution, those at its border included.
    pub count: usize,
    /// Number of inputs, `pre`.
    pub inputs: usize,
}

impl Synapses {
    /// The mean number of synapses that a spike goes through.
    ///
    /// Spikes that a pooling before the synapses joins into one are counted apart: an upper bound.
    pub fn fan_out(&self) -> f64 {
        self.count as f64 / self.inputs.max(1) as f64
    }
}

/// What is known of a row of layers so far.
#[derive(Default)]
struct Walk {
    found: Vec<Synapses>,
    /// The spiking layer whose spikes arrive; absent for the input.
    source: Option<usize>,
    /// Spiking layers so far.
    spiking: usize,
    /// Synapses, in `found`, whose units are still to come.
    open: Vec<usize>,
}

impl NetworkConfig {
    /// The synapses layer by layer; `None` where layers branch, or have synapses of their own that depend on
    /// their component.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration.
    pub fn synapses(&self) -> Result<Option<Vec<Synapses>>, Problems> {
        self.shapes()?;
        let mut walk = Walk::default();
        Ok(walk.row(&self.layers, self.input.clone(), "").map(|_| walk.found))
    }
}

impl Walk {
    /// Goes along a row of layers; gives the shape that leaves it.
    fn row(&mut self, layers: &[LayerConfig], mut shape: Vec<usize>, name: &str) -> Option<Vec<usize>> {
        for (i, layer) in layers.iter().enumerate() {
            shape = self.layer(layer, shape, &join(name, &format!("layers.{i}")))?;
        }
        Some(shape)
    }

    fn layer(&mut self, layer: &LayerConfig, shape: Vec<usize>, name: &str) -> Option<Vec<usize>> {
        let inputs: usize = shape.iter().product();
        let output = layer.output_shape(&shape)?;
        let outputs: usize = output.iter().product();
        match layer {
            LayerConfig::Dense(_) | LayerConfig::DelayedDense(_) => {
                self.synapses(name, inputs, inputs * outputs);
            }
            LayerConfig::Conv1d(config) => {
                self.synapses(name, inputs, outputs * shape[0] * config.kernel);
            }
            LayerConfig::Conv2d(config) => {
                let window: usize = config.kernel.iter().product();
                let channels = if shape.len() == 3 { shape[0] } else { 1 };
                self.synapses(name, inputs, outputs * channels * window);
            }
            LayerConfig::BatchNorm(_) => {
                for &open in &self.open {
                    self.found[open].last = name.to_owned();
                }
            }
            LayerConfig::MaxPool2d(_)
            | LayerConfig::AvgPool2d(_)
            | LayerConfig::SumPool2d(_)
            | LayerConfig::Scale(_)
            | LayerConfig::Flatten(_)
            | LayerConfig::DelayLine(_)
            | LayerConfig::Dropout(_) => {}
            LayerConfig::Leaky(_)
            | LayerConfig::Lapicque(_)
            | LayerConfig::IntegrateAndFire(_)
            | LayerConfig::Parametric(_)
            | LayerConfig::Synaptic(_)
            | LayerConfig::Adaptive(_)
            | LayerConfig::Alpha(_)
            | LayerConfig::Parallel(_) => {
                self.units();
            }
            LayerConfig::Membrane(config) if config.threshold.is_some() => {
                self.units();
            }
            LayerConfig::LeakyIntegrator(_) | LayerConfig::Membrane(_) => self.open.clear(),
            LayerConfig::Recurrent(config) => {
                let own = self.units();
                let count = match config.connection {
                    Connection::AllToAll => outputs * outputs,
                    Connection::OneToOne => outputs,
                };
                let last = format!("{name}.recurrent");
                let (layer, from, to) = (last.clone(), Some(own), Some(own));
                self.found.push(Synapses { layer, last, from, to, count, inputs: outputs });
            }
            LayerConfig::Sequential(config) => return self.row(&config.layers, shape, name),
            LayerConfig::SpikingLstm(_)
            | LayerConfig::Physical(_)
            | LayerConfig::Neurons(_)
            | LayerConfig::Residual(_)
            | LayerConfig::Graph(_) => return None,
        }
        Some(output)
    }

    fn synapses(&mut self, name: &str, inputs: usize, count: usize) {
        self.open.push(self.found.len());
        let (layer, last) = (name.to_owned(), name.to_owned());
        self.found.push(Synapses { layer, last, from: self.source, to: None, count, inputs });
    }

    /// Units that spike end the synapses before them; gives their place among spiking layers.
    fn units(&mut self) -> usize {
        let own = self.spiking;
        for open in self.open.drain(..) {
            self.found[open].to = Some(own);
        }
        (self.source, self.spiking) = (Some(own), own + 1);
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::LeakyConfig;

    fn network(layers: &str, input: &str) -> NetworkConfig {
        serde_json::from_str(&format!(r#"{{"input": {input}, "layers": {layers}}}"#)).unwrap()
    }

    #[test]
    fn convolutions_pooling_and_normalisation_are_seen_through() {
        let config = network(
            r#"[{"kind": "conv2d", "channels": 4, "kernel": [3, 3], "padding": [1, 1]}, {"kind": "batch_norm"},
                {"kind": "leaky"}, {"kind": "max_pool2d", "window": [2, 2]},
                {"kind": "sequential", "layers": [{"kind": "dense", "units": 5}, {"kind": "leaky"}]},
                {"kind": "dense", "units": 2}, {"kind": "leaky_integrator"}]"#,
            "[2, 8, 8]",
        );
        let found = config.synapses().unwrap().unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].count, found[0].from, found[0].to), (4 * 64 * 2 * 9, None, Some(0)));
        assert_eq!(found[0].last, "layers.1");
        assert_eq!((found[1].layer.as_str(), found[1].inputs), ("layers.4.layers.0", 4 * 16));
        assert_eq!((found[1].from, found[1].to), (Some(0), Some(1)));
        assert_eq!((found[2].from, found[2].to, found[2].fan_out()), (Some(1), None, 2.0));
    }

    #[test]
    fn units_that_hear_each_other_have_synapses_of_their_own() {
        let config = NetworkConfig::recurrent(3, &[4], 2, LeakyConfig::default());
        let found = config.synapses().unwrap().unwrap();
        let joined: Vec<_> = found.iter().map(|s| (s.layer.as_str(), s.from, s.to, s.count)).collect();
        assert_eq!(
            joined,
            [
                ("layers.0", None, Some(0), 12),
                ("layers.1.recurrent", Some(0), Some(0), 16),
                ("layers.3", Some(0), Some(1), 8)
            ]
        );
        // The spikes of a network are counted in the same order.
        let device = burn::tensor::Device::flex();
        let output =
            config.init(1, &device).unwrap().forward(burn::tensor::Tensor::zeros([2, 1, 3], &device), None);
        assert_eq!(output.spikes.len(), 2);
    }

    #[test]
    fn branches_are_not_guessed_at() {
        let body = r#"[{"kind": "dense", "units": 4}, {"kind": "leaky"}]"#;
        let config =
            network(&format!(r#"[{{"kind": "residual", "body": {body}}}, {{"kind": "leaky"}}]"#), "[4]");
        assert_eq!(config.synapses().unwrap(), None);
    }
}
