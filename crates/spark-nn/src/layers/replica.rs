//! Copies of a network that see parts of a batch at the same time.

use burn::module::Module;
use burn::tensor::Device;

use super::layer::leaves;
use super::{Layer, Network};

impl Network {
    /// A copy on another device, with a graph of its own, that runs part `part` of a batch while other copies run
    /// the others.
    ///
    /// It draws the masks of dropout that this network would draw for that part after those before, and writes the
    /// statistics of batch normalisation down for [`take_over`](Self::take_over).
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_nn::layers::{Layer, NetworkConfig};
    ///
    /// let text = r#"{"input": [2], "layers": [{"kind": "batch_norm"}, {"kind": "leaky"}]}"#;
    /// let device = Device::flex().autodiff();
    /// let network = serde_json::from_str::<NetworkConfig>(text)?.init(1, &device)?;
    /// let copies = [network.replica(&device, 0), network.replica(&device, 1)];
    /// for (copy, level) in copies.iter().zip([1.0, 2.0]) {
    ///     copy.forward(Tensor::full([3, 1, 2], level, &device), None);
    /// }
    /// network.take_over(&copies);
    /// let Layer::BatchNorm(layer) = &network.layers[0] else { unreachable!() };
    /// let mean = layer.mean.value().into_data().try_to_vec::<f32>().unwrap();
    /// assert!((mean[0] - (0.9 * 0.1 + 0.1 * 2.0)).abs() < 1e-6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn replica(&self, device: &Device, part: usize) -> Self {
        let replica = self.clone().fork(device);
        for layer in leaves(&replica.layers) {
            match layer {
                Layer::BatchNorm(layer) => layer.note_statistics(),
                Layer::Dropout(layer) => layer.skip(part),
                _ => {}
            }
        }
        replica
    }

    /// Moves the running statistics on as if this network had seen, one after another, what its replicas saw, and
    /// leaves out the masks that they drew.
    pub fn take_over(&self, replicas: &[Self]) {
        let own = leaves(&self.layers);
        for replica in replicas {
            for (layer, replica) in own.iter().zip(leaves(&replica.layers)) {
                match (layer, replica) {
                    (Layer::BatchNorm(layer), Layer::BatchNorm(replica)) => layer.take_over(replica),
                    (Layer::Dropout(layer), Layer::Dropout(_)) => layer.skip(1),
                    _ => {}
                }
            }
        }
    }
}
