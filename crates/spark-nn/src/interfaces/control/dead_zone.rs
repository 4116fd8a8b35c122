//! Weak signals held back.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::Builder;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{Floats, PayloadKind, Shape};
use spark_core::ports::InputShapes;

use crate::config::config;

config! {
    /// A signal that passes where it is strong enough.
    pub struct DeadZoneConfig {
        /// The weakest signal that passes, of either sign.
        #[schemars(extend("range" = "non_negative"))]
        threshold: Parameter = 1.0.into(),
    }
}

spark_core::ports! {
    /// What a dead zone takes.
    pub struct DeadZoneInputs {
        /// The signal.
        signal: Floats,
    }
}

spark_core::ports! {
    /// What a dead zone gives.
    pub struct DeadZoneOutputs {
        /// The signal where it is strong enough, elsewhere 0.
        output: Floats,
    }
}

/// A signal that passes where it is strong enough, unchanged:
///
/// ```text
/// output = signal where |signal| ≥ θ, else 0
/// ```
///
/// Before a learning rule, it keeps a weak third factor from wearing down, over many steps, what a strong one
/// has taught.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Floats, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::interfaces::control::{DeadZoneConfig, DeadZoneInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[4]));
/// let config = DeadZoneConfig { threshold: 0.5.into(), ..Default::default() };
/// let mut zone = config.run(&wired, 1, &Context::new("zone", &device))?;
/// let signal = Floats(Tensor::from_floats([[-2.0, -0.4, 0.5, 0.1]], &device));
/// let output = zone.advance(DeadZoneInputs { signal }).output.0;
/// assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [-2.0, 0.0, 0.5, 0.0]);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct DeadZone {
    /// The weakest signal that passes, `[entries]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    #[module(skip)]
    entries: Vec<usize>,
}

impl Component for DeadZone {
    type Inputs = DeadZoneInputs;
    type Outputs = DeadZoneOutputs;
    type State = ();
    /// The threshold, `[1, entries]` or `[1, 1]`.
    type Plan = Tensor<2>;

    fn plan(&self) -> Self::Plan {
        self.threshold.val().detach().unsqueeze()
    }

    fn initial_state(&self, _: &Self::Plan, _: usize) {}

    fn step(&self, threshold: &Self::Plan, inputs: DeadZoneInputs, (): ()) -> (DeadZoneOutputs, ()) {
        let signal = inputs.signal.0;
        let weak = signal.clone().abs().lower(threshold.clone().expand(signal.dims()));
        (DeadZoneOutputs { output: Floats(signal.mask_fill(weak, 0.0)) }, ())
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Floats, &self.entries)]
    }
}

impl ComponentConfig for DeadZoneConfig {
    const NAME: &'static str = "DeadZone";
    const FAMILY: Family = Family::Control;
    const SUMMARY: &'static str = "A signal that passes where it is strong enough";
    const EQUATION: &'static str = "output = signal where |signal| ≥ θ, else 0";

    type Component = DeadZone;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<DeadZone, Defect> {
        let entries = &inputs.require("signal", PayloadKind::Floats)?.units;
        let builder = Builder { context, seed: self.seed };
        let threshold = builder.units("threshold", &self.threshold, entries)?;
        Ok(DeadZone { threshold, entries: entries.clone() })
    }
}

spark_core::register!(DeadZoneConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn gradients_pass_where_the_signal_does() {
        let device = Device::flex().autodiff();
        let wired = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[3]));
        let config: DeadZoneConfig = serde_json::from_str(r#"{"threshold": [0.5, 2.0, 0.0]}"#).unwrap();
        let mut zone = config.run(&wired, 2, &Context::new("zone", &device)).unwrap();
        let signal = Tensor::<2>::from_floats([[1.0, 1.0, 0.0], [-0.4, -3.0, -1e-9]], &device).require_grad();
        let output = zone.advance(DeadZoneInputs { signal: Floats(signal.clone()) }).output.0;
        let slopes = signal.grad(&output.sum().backward()).unwrap().into_data();
        assert_eq!(slopes.try_to_vec::<f32>().unwrap(), [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]);
    }
}
