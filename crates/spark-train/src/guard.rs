//! A watch over layers that fall silent and gradients that explode.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_io::parameters::Path;
use spark_nn::layers::{Network, Synapses};

/// What is watched, and what is done.
///
/// A layer is silent when its mean firing rate is below [`silent`](Self::silent): no spike, no gradient, and
/// usually no way back. It is reported; with [`revive`](Self::revive) the synapses onto it – and what normalises
/// them – are scaled up until it fires, before the first step and after every epoch.
///
/// # Examples
/// ```
/// use spark_train::Guard;
///
/// let guard: Guard = serde_json::from_str(r#"{"revive": true, "explode": 100.0}"#)?;
/// assert_eq!(guard, Guard { silent: 1e-3, revive: true, explode: Some(100.0) });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// Mean firing rate below which a layer counts as silent, in spikes per unit and step.
    pub silent: f64,
    /// Whether the synapses onto silent layers are scaled up.
    pub revive: bool,
    /// Norm of the gradient above which a step is left out, with a report; absent for never.
    pub explode: Option<f64>,
}

impl Default for Guard {
    fn default() -> Self {
        Self { silent: 1e-3, revive: false, explode: None }
    }
}

/// By how much synapses are scaled at a time.
pub(crate) const FACTOR: f32 = 1.5;

/// How often at most.
pub(crate) const ATTEMPTS: usize = 40;

impl Guard {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        if !(0.0..1.0).contains(&self.silent) {
            problems.push(format!("{path}.silent"), self.silent, "a rate of at least 0 and below 1");
        }
        if let Some(explode) = self.explode {
            problems.positive(format!("{path}.explode"), explode);
        }
    }

    /// The silent ones among layers with these firing rates.
    pub fn silent(&self, rates: &[f64]) -> Vec<usize> {
        (0..rates.len()).filter(|&layer| rates[layer] < self.silent).collect()
    }
}

/// `network` with the synapses onto spiking layer `layer` scaled up once; `None` where none are known.
pub(crate) fn strengthened(network: &Network, synapses: &[Synapses], layer: usize) -> Option<Network> {
    let onto = |found: &&Synapses| found.to == Some(layer) && found.from != Some(layer);
    let names: Vec<String> = synapses.iter().filter(onto).map(|found| format!("{}.", found.last)).collect();
    (!names.is_empty()).then(|| {
        let mut mapper = Strengthen { path: Path::default(), names };
        network.clone().map(&mut mapper)
    })
}

struct Strengthen {
    path: Path,
    /// Beginnings of the names of what is scaled.
    names: Vec<String>,
}

impl ModuleMapper for Strengthen {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        if !self.names.iter().any(|start| name.starts_with(start)) {
            return param;
        }
        param.map(|tensor| {
            // What is not learned, such as the statistics of a normalisation, stays.
            if !tensor.is_require_grad() {
                return tensor;
            }
            Tensor::from_inner(tensor.inner() * FACTOR).require_grad()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use spark_io::parameters::collect;
    use spark_nn::layers::{LeakyConfig, NetworkConfig};

    #[test]
    fn synapses_onto_the_silent_layer_alone_are_scaled() {
        let config = NetworkConfig::mlp(&[3, 4, 2], LeakyConfig::default());
        let network = config.init(1, &Device::flex().autodiff()).unwrap();
        let synapses = config.synapses().unwrap().unwrap();
        let (before, after) = (collect(&network), collect(&strengthened(&network, &synapses, 0).unwrap()));
        for (name, data) in &before {
            let factor = if name.starts_with("layers.0.") { FACTOR } else { 1.0 };
            let expected: Vec<f32> = data.iter::<f32>().map(|value| value * factor).collect();
            assert_eq!(after[name].iter::<f32>().collect::<Vec<_>>(), expected, "{name}");
        }
        assert!(strengthened(&network, &synapses, 7).is_none());
    }

    #[test]
    fn rates_below_the_limit_are_silent() {
        assert_eq!(Guard::default().silent(&[0.1, 0.0, 1e-4, 1e-3]), [1, 2]);
    }
}
