//! The layers of a network with the paths of their parameters.

use spark_nn::layers::LayerConfig;

/// Visits every layer that is no container, with the path of its parameters such as `layers.2.body.0`.
pub(super) fn visit(layers: &mut [LayerConfig], visitor: &mut dyn FnMut(&str, &mut LayerConfig)) {
    visit_in(layers, "layers", visitor);
}

fn visit_in(layers: &mut [LayerConfig], path: &str, visitor: &mut dyn FnMut(&str, &mut LayerConfig)) {
    for (index, layer) in layers.iter_mut().enumerate() {
        visit_layer(layer, &format!("{path}.{index}"), visitor);
    }
}

fn visit_layer(layer: &mut LayerConfig, path: &str, visitor: &mut dyn FnMut(&str, &mut LayerConfig)) {
    match layer {
        LayerConfig::Sequential(config) => {
            visit_in(&mut config.layers, &format!("{path}.layers"), visitor);
        }
        LayerConfig::Residual(config) => {
            visit_in(&mut config.body, &format!("{path}.body"), visitor);
            visit_in(&mut config.shortcut, &format!("{path}.shortcut"), visitor);
        }
        LayerConfig::Graph(config) => {
            for (index, node) in config.nodes.iter_mut().enumerate() {
                visit_layer(&mut node.layer, &format!("{path}.nodes.{index}.layer"), visitor);
            }
        }
        layer => visitor(path, layer),
    }
}
