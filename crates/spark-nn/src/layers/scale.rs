//! Factors on what passes.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;

use super::units::{parameter, scaled};

/// Configuration of [`Scale`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleConfig {
    /// The factor that training starts from.
    pub factor: f32,
    /// Whether it is trained.
    #[serde(default)]
    pub learn: bool,
    /// Whether each unit has a factor of its own instead of sharing one.
    #[serde(default)]
    pub per_unit: bool,
}

/// Multiplies what passes by a factor: `y = k·x`.
///
/// Behind spiking units this makes the graded spikes of snnTorch; before physical somas it turns numbers around
/// 1 into currents in pA. Input and output are `[…, units]`.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::ScaleConfig;
///
/// let device = Device::flex();
/// let layer = ScaleConfig { factor: 0.5, learn: true, per_unit: false }.init(3, &device);
/// let output = layer.forward(Tensor::<2>::ones([1, 3], &device));
/// assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [0.5; 3]);
/// ```
#[derive(Module, Debug)]
pub struct Scale {
    /// The factor k, `[units]` or `[1]`.
    pub factor: Param<Tensor<1>>,
}

impl ScaleConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.finite(format!("{path}.factor"), self.factor);
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize, device: &Device) -> Scale {
        Scale { factor: parameter(self.factor, self.learn, if self.per_unit { units } else { 1 }, device) }
    }
}

impl Scale {
    /// What passes, `[…, units]`, times the factor.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        scaled(input, self.factor.val())
    }
}
