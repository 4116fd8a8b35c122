//! Images as rows of units.

use burn::module::Module;
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of [`Flatten`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlattenConfig {}

/// Forgets the shape of an image: `[channels, height, width]` becomes `[units]`, row-major.
///
/// Units always travel flat, so nothing moves; what follows sees one axis, as a [`Graph`](super::Graph) needs it
/// that puts images and rows of units together.
///
/// # Examples
/// ```
/// use spark_nn::layers::{FlattenConfig, LayerConfig};
///
/// let layer = LayerConfig::Flatten(FlattenConfig {});
/// assert_eq!(layer.output_shape(&[12, 4, 4]), Some(vec![192]));
/// ```
#[derive(Module, Debug)]
pub struct Flatten {
    units: usize,
}

impl FlattenConfig {
    /// A layer behind one of shape `input`.
    pub fn init(&self, input: &[usize]) -> Flatten {
        Flatten { units: input.iter().product() }
    }
}

impl Flatten {
    /// What came in.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        debug_assert_eq!(input.dims()[D - 1], self.units);
        input
    }
}
