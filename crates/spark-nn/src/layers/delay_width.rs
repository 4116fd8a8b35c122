//! How far learned delays are spread over neighbouring steps, and how that shrinks in training.

use super::{Layer, LayerConfig, Network, NetworkConfig};

/// The width of the kernel at which delays are near enough to whole steps to be rounded; the last one of training.
pub(super) const LAST_WIDTH: f32 = 0.5;

/// The width σ of delay kernels after a share of the training, `progress` from 0 to 1.
///
/// Shrinks by the same factor in equal times from `first` to half a step, and stays there for the last quarter of
/// the training.
///
/// # Examples
/// ```
/// use spark_nn::layers::shrunk_width;
///
/// assert_eq!(shrunk_width(12.5, 0.0), 12.5);
/// assert!((shrunk_width(8.0, 0.375) - 2.0).abs() < 1e-5);
/// assert_eq!(shrunk_width(12.5, 0.8), 0.5);
/// ```
pub fn shrunk_width(first: f32, progress: f32) -> f32 {
    let part = (progress / 0.75).clamp(0.0, 1.0);
    if part == 1.0 || first <= LAST_WIDTH {
        return first.min(LAST_WIDTH);
    }
    first * (LAST_WIDTH / first).powf(part)
}

impl Network {
    /// Sets the width σ of the kernel of every [`DelayedDense`](super::DelayedDense) inside, in steps; 0 for delays that are rounded.
    ///
    /// # Examples
    /// The width that training starts from and the one after half of it:
    /// ```
    /// use burn::tensor::Device;
    /// use spark_nn::layers::{Layer, NetworkConfig, shrunk_width};
    ///
    /// let text = r#"{"input": [4], "layers": [
    ///     {"kind": "delayed_dense", "units": 3, "max_delay": 10}, {"kind": "leaky"}]}"#;
    /// let network = serde_json::from_str::<NetworkConfig>(text)?.init(1, &Device::flex())?;
    /// let Layer::DelayedDense(layer) = &network.layers[0] else { unreachable!() };
    /// assert_eq!(layer.width.value().into_scalar::<f32>(), 5.0);
    /// network.set_delay_width(shrunk_width(5.0, 0.5));
    /// assert!(layer.width.value().into_scalar::<f32>() < 2.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_delay_width(&self, width: f32) {
        set_width(&self.layers, width);
    }
}

impl NetworkConfig {
    /// The width σ that training starts from: that of the widest of all [`DelayedDense`](super::DelayedDense) inside; absent without.
    ///
    /// # Examples
    /// ```
    /// use spark_nn::layers::NetworkConfig;
    ///
    /// let text = r#"{"input": [4], "layers": [
    ///     {"kind": "delayed_dense", "units": 3, "max_delay": 10}, {"kind": "leaky"}]}"#;
    /// assert_eq!(serde_json::from_str::<NetworkConfig>(text)?.first_delay_width(), Some(5.0));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn first_delay_width(&self) -> Option<f32> {
        widest(&self.layers)
    }
}

fn widest(layers: &[LayerConfig]) -> Option<f32> {
    let width = |layer: &LayerConfig| match layer {
        LayerConfig::DelayedDense(config) => Some(config.first_width()),
        LayerConfig::Sequential(inner) => widest(&inner.layers),
        LayerConfig::Residual(inner) => larger(widest(&inner.body), widest(&inner.shortcut)),
        LayerConfig::Graph(graph) => {
            let nodes = graph.nodes.iter().map(|node| widest(std::slice::from_ref(&node.layer)));
            nodes.fold(None, larger)
        }
        _ => None,
    };
    layers.iter().map(width).fold(None, larger)
}

/// The larger of two widths that may be absent.
fn larger(a: Option<f32>, b: Option<f32>) -> Option<f32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (one, other) => one.or(other),
    }
}

fn set_width(layers: &[Layer], width: f32) {
    for layer in layers {
        match layer {
            Layer::DelayedDense(layer) => layer.set_width(width),
            Layer::Sequential(inner) => set_width(&inner.layers, width),
            Layer::Residual(inner) => {
                set_width(&inner.body, width);
                set_width(&inner.shortcut, width);
            }
            Layer::Graph(graph) => {
                for node in &graph.nodes {
                    set_width(std::slice::from_ref(&node.layer), width);
                }
            }
            _ => {}
        }
    }
}
