//! What nodes of SpikingJelly hold. Source: SpikingJelly 2.0, `spikingjelly.activation_based.neuron`.

use spark_nn::layers::LayerConfig;

use super::groups::{Class, Group};
use super::snntorch::{Mismatch, bias};

/// Puts what a module says into the configuration of its layer; gives what was different there.
pub(super) fn facts(group: &Group, layer: &mut LayerConfig) -> Result<Vec<String>, Mismatch> {
    match group.class() {
        Class::Linear | Class::Conv1d | Class::Conv2d => return Ok(bias(group, layer, "bias")),
        Class::Units => {}
        _ => return Ok(Vec::new()),
    }
    match layer {
        LayerConfig::Parametric(config) => {
            if let Some(w) = group.number("w") {
                config.tau = (1.0 + (-w).exp()) as f32;
            }
        }
        LayerConfig::Parallel(config) => {
            let length = group.shape("weight").and_then(|shape| shape.first().copied());
            config.order = length.ok_or(("no weight".to_owned(), "weights of the last steps".to_owned()))?;
        }
        _ => {}
    }
    Ok(Vec::new())
}
