//! Nodes of SpikingJelly. Source: SpikingJelly 2.0, `spikingjelly.activation_based.neuron`.

use serde_json::{Value, json};
use spark_kernels::{Reset, Surrogate};
use spark_nn::layers::{IntegrateAndFireConfig, LayerConfig, LeakyConfig, ParametricConfig};

use super::{Missing, PythonModule, Writer, shaped};

/// What resets are there.
struct Resets {
    reset: Reset,
    delay: bool,
    value: f32,
    /// As snnTorch departs from the equations.
    snntorch: bool,
}

/// The resets of units of any kind that have the fields.
macro_rules! resets {
    ($config:expr) => {
        Resets {
            reset: $config.reset,
            delay: $config.reset_delay,
            value: $config.reset_value,
            snntorch: $config.snntorch_reset,
        }
    };
}

impl Writer<'_> {
    /// The node of a layer of units.
    pub(super) fn spikingjelly(
        &mut self,
        layer: &mut LayerConfig,
        path: &str,
    ) -> Result<Option<PythonModule>, Missing> {
        Ok(Some(match layer {
            LayerConfig::Leaky(config) => self.leaky_node(config, path)?,
            LayerConfig::IntegrateAndFire(config) => self.integrating_node(config, path)?,
            LayerConfig::Parametric(config) => self.parametric_node(config, path)?,
            LayerConfig::Parallel(config) => {
                let weights = self.numbers(path, "weight");
                let mut bias = self.numbers(path, "bias");
                if !config.spike_at_threshold {
                    // Spikes at 0 there: a sum that is just 0 stays silent with a bias below by a rounding.
                    bias.iter_mut().for_each(|bias| *bias = bias.next_down());
                }
                self.put(path, "weight", burn::tensor::TensorData::new(weights, [config.order]));
                self.put(path, "bias", shaped(&bias[..1.min(bias.len())], &[]));
                let args = json!({"k": config.order});
                node("SlidingPSN", args, config.surrogate).named(path)
            }
            LayerConfig::Scale(config) if self.number(path, "factor") == Ok(1.0) && !config.learn => {
                return Ok(None);
            }
            layer => return self.lacking(layer),
        }))
    }

    fn leaky_node(&mut self, config: &mut LeakyConfig, path: &str) -> Result<PythonModule, Missing> {
        let decay = self.number(path, "decay")?;
        let resets = resets!(config);
        let mut args = self.common(path, &resets, config.spike_at_threshold, config.reset_gradient)?;
        config.learn_decay = false;
        config.decay = decay;
        if decay == 1.0 && !config.scale_input {
            return Ok(node("IFNode", args, config.surrogate));
        }
        if decay <= 0.0 || decay >= 1.0 {
            return Err((format!("the decay {decay}"), "one between 0 and 1, for a tau above 1".into()));
        }
        args["tau"] = json!(1.0 / (1.0 - f64::from(decay)));
        args["decay_input"] = json!(config.scale_input);
        Ok(node("LIFNode", args, config.surrogate))
    }

    fn integrating_node(
        &mut self,
        config: &mut IntegrateAndFireConfig,
        path: &str,
    ) -> Result<PythonModule, Missing> {
        let resets = resets!(config);
        let args = self.common(path, &resets, config.spike_at_threshold, config.reset_gradient)?;
        Ok(node("IFNode", args, config.surrogate))
    }

    fn parametric_node(
        &mut self,
        config: &mut ParametricConfig,
        path: &str,
    ) -> Result<PythonModule, Missing> {
        let resets = resets!(config);
        let mut args = self.common(path, &resets, config.spike_at_threshold, config.reset_gradient)?;
        let w = self.number(path, "w")?;
        self.put(path, "w", shaped(&[w], &[]));
        args["init_tau"] = json!(f64::from(config.tau));
        args["decay_input"] = json!(config.scale_input);
        Ok(node("ParametricLIFNode", args, config.surrogate).named(path))
    }

    /// The arguments of all nodes: threshold, reset and gradient.
    fn common(
        &mut self,
        path: &str,
        resets: &Resets,
        at_threshold: bool,
        gradient: bool,
    ) -> Result<Value, Missing> {
        let threshold = self.number(path, "threshold")?;
        let v_reset = match (resets.reset, resets.delay) {
            // A hard reset is seen by the next step only, whenever it is done.
            (Reset::Zero, false) => json!(resets.value),
            (Reset::Zero, true) if !resets.snntorch || self.takes_no_input(path) => json!(resets.value),
            (Reset::Subtract, false) if !resets.snntorch => Value::Null,
            (Reset::None, _) => {
                return Err(("units without reset".into(), "a reset, as nodes of SpikingJelly have".into()));
            }
            _ => {
                let expected = "a reset in the step of the spike, `reset_delay` and `snntorch_reset` false";
                return Err(("a reset that SpikingJelly does not have".into(), expected.into()));
            }
        };
        let v_threshold = if at_threshold {
            threshold
        } else {
            self.notes.push(format!("{path}: spikes at the threshold itself; it is a rounding higher"));
            threshold.next_up()
        };
        Ok(json!({"v_threshold": f64::from(v_threshold), "v_reset": v_reset, "detach_reset": !gradient}))
    }

    /// Whether a delayed reset to zero leaves the input of its own step, as of snnTorch's Leaky.
    fn takes_no_input(&self, path: &str) -> bool {
        self.parameters.contains_key(&format!("{path}.decay"))
    }
}

fn node(kind: &str, args: Value, surrogate: Surrogate) -> PythonModule {
    PythonModule { surrogate: serde_json::to_value(surrogate).ok(), ..PythonModule::new(kind, args) }
}
