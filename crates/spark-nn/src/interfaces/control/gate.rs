//! What passes of a signal.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::Builder;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::host::{HostStep, HostWiring, Signal};
use spark_core::payload::{Floats, PayloadKind, Shape};
use spark_core::ports::InputShapes;
use spark_kernels::host;

use crate::config::config;

config! {
    /// A signal that passes where it is strong enough, scaled by its sign.
    pub struct SignalGateConfig {
        /// The weakest signal that passes, of either sign.
        #[schemars(extend("range" = "non_negative"))]
        threshold: Parameter = 0.0.into(),
        /// Factor on positive signals.
        positive_gain: Parameter = 1.0.into(),
        /// Factor on negative signals.
        negative_gain: Parameter = 1.0.into(),
    }
}

spark_core::ports! {
    /// What a gate takes.
    pub struct SignalGateInputs {
        /// The signal.
        signal: Floats,
    }
}

spark_core::ports! {
    /// What a gate gives.
    pub struct SignalGateOutputs {
        /// What passes of it.
        output: Floats,
    }
}

/// A signal that passes where it is strong enough, scaled by its sign:
///
/// ```text
/// output = g₊·signal where signal ≥ θ,   g₋·signal where signal ≤ −θ,   else 0
/// ```
///
/// As a third factor goes through it on its way to a learning rule, the threshold keeps a weak one from wearing
/// down over many steps what a strong one has taught, and the gains set how much more is learnt from failure
/// than from success. Dopamine neurons answer positive and negative errors of prediction with different gains:
/// Dabney, Kurth-Nelson, Uchida, Starkweather, Hassabis, Munos & Botvinick, *A distributional code for value in
/// dopamine-based reinforcement learning* (2020).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Floats, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::interfaces::control::{SignalGateConfig, SignalGateInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[4]));
/// let config =
///     SignalGateConfig { threshold: 0.5.into(), positive_gain: 0.25.into(), ..Default::default() };
/// let mut gate = config.run(&wired, 1, &Context::new("gate", &device))?;
/// let signal = Floats(Tensor::from_floats([[-2.0, -0.4, 0.5, 4.0]], &device));
/// let output = gate.advance(SignalGateInputs { signal }).output.0;
/// assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [-2.0, 0.0, 0.125, 1.0]);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct SignalGate {
    /// The weakest signal that passes, `[entries]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    /// Factor on positive signals, `[entries]` or `[1]`.
    pub positive_gain: Param<Tensor<1>>,
    /// Factor on negative signals, `[entries]` or `[1]`.
    pub negative_gain: Param<Tensor<1>>,
    #[module(skip)]
    entries: Vec<usize>,
}

impl Component for SignalGate {
    type Inputs = SignalGateInputs;
    type Outputs = SignalGateOutputs;
    type State = ();
    /// Threshold and gains, `[1, entries]` or `[1, 1]`.
    type Plan = [Tensor<2>; 3];

    fn plan(&self) -> Self::Plan {
        [self.threshold.val().detach(), self.positive_gain.val(), self.negative_gain.val()]
            .map(Tensor::unsqueeze)
    }

    fn initial_state(&self, _: &Self::Plan, _: usize) {}

    fn step(
        &self,
        [threshold, positive_gain, negative_gain]: &Self::Plan,
        inputs: SignalGateInputs,
        (): (),
    ) -> (SignalGateOutputs, ()) {
        let signal = inputs.signal.0;
        let weak = signal.clone().abs().lower(threshold.clone().expand(signal.dims()));
        let raised = signal.clone().clamp_min(0.0) * positive_gain.clone();
        let lowered = signal.clamp_max(0.0) * negative_gain.clone();
        (SignalGateOutputs { output: Floats((raised + lowered).mask_fill(weak, 0.0)) }, ())
    }

    fn on_host(
        &self,
        plan: &Self::Plan,
        (): &(),
        wiring: &mut HostWiring,
    ) -> Option<Box<dyn HostStep<Self>>> {
        let [threshold, positive, negative] = plan.each_ref().map(host::values);
        let entries: usize = self.entries.iter().product();
        let each = |values: Vec<f32>| if values.len() == 1 { vec![values[0]; entries] } else { values };
        Some(Box::new(GateOnHost {
            signal: wiring.place("signal")?,
            threshold: each(threshold?),
            gains: [each(positive?), each(negative?)],
        }))
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Floats, &self.entries)]
    }
}

/// A gate at work on the host.
#[derive(Debug)]
struct GateOnHost {
    signal: usize,
    threshold: Vec<f32>,
    gains: [Vec<f32>; 2],
}

impl HostStep<SignalGate> for GateOnHost {
    fn step(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        let signal = inputs[self.signal].values();
        outputs[0].write(signal);
        let Signal::Values(output) = &mut outputs[0] else { unreachable!("values were written") };
        let [positive, negative] = &self.gains;
        for (entry, signal) in output.iter_mut().enumerate() {
            let raised = signal.max(0.0) * positive[entry] + signal.min(0.0) * negative[entry];
            *signal = if signal.abs() < self.threshold[entry] { 0.0 } else { raised };
        }
    }

    fn settle(&self, _: &mut SignalGate, (): &mut ()) {}
}

impl ComponentConfig for SignalGateConfig {
    const NAME: &'static str = "SignalGate";
    const FAMILY: Family = Family::Control;
    const SUMMARY: &'static str = "A signal that passes where it is strong enough, scaled by its sign";
    const EQUATION: &'static str = "output = g₊·signal where signal ≥ θ, g₋·signal where signal ≤ −θ, else 0";

    type Component = SignalGate;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<SignalGate, Defect> {
        let entries = &inputs.require("signal", PayloadKind::Floats)?.units;
        let builder = Builder { context, seed: self.seed };
        Ok(SignalGate {
            threshold: builder.units("threshold", &self.threshold, entries)?,
            positive_gain: builder.units("positive_gain", &self.positive_gain, entries)?,
            negative_gain: builder.units("negative_gain", &self.negative_gain, entries)?,
            entries: entries.clone(),
        })
    }
}

spark_core::register!(SignalGateConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn gradients_pass_where_the_signal_does_with_the_gain_of_its_sign() {
        let device = Device::flex().autodiff();
        let wired = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[3]));
        let config = r#"{"threshold": [0.5, 2.0, 0.1], "positive_gain": 3.0, "negative_gain": 0.5}"#;
        let config: SignalGateConfig = serde_json::from_str(config).unwrap();
        let mut gate = config.run(&wired, 2, &Context::new("gate", &device)).unwrap();
        let signal = Tensor::<2>::from_floats([[1.0, 1.0, 0.2], [-0.4, -3.0, -0.2]], &device).require_grad();
        let output = gate.advance(SignalGateInputs { signal: Floats(signal.clone()) }).output.0;
        assert_eq!(output.to_data().try_to_vec::<f32>().unwrap(), [3.0, 0.0, 0.6, 0.0, -1.5, -0.1]);
        let slopes = signal.grad(&output.sum().backward()).unwrap().into_data();
        assert_eq!(slopes.try_to_vec::<f32>().unwrap(), [3.0, 0.0, 3.0, 0.0, 0.5, 0.5]);
    }
}
