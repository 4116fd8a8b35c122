//! Times of first spikes.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Parameter;
use spark_core::build::Builder;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{Floats, PayloadKind, Shape};
use spark_core::ports::InputShapes;

use super::groups::{self, Deal, Groups};
use super::{DecoderInputs, DecoderOutputs, of_units};
use crate::config::config;

/// What a decoder of first spikes gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FirstSpikeCode {
    /// The time from reset to the first spike in ms; without one so far, the time since the reset.
    Time,
    /// `exp(−t/τ)` of that time, and 0 without a spike so far: the earlier, the larger.
    #[default]
    Decay,
}

config! {
    /// Times of the first spikes of units or groups of units since reset.
    pub struct FirstSpikeDecoderConfig {
        /// Number of groups, each with an output. Where absent, every unit has its own.
        #[schemars(extend("range" = "positive"))]
        num_outputs: Option<usize> = None,
        /// The output of each unit, from 0. Where absent, units are dealt evenly to the groups.
        output_map: Option<Vec<usize>> = None,
        /// What the signal is.
        code: FirstSpikeCode = FirstSpikeCode::default(),
        /// Time constant of the decaying code.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau: Parameter = 10.0.into(),
    }
}

/// The time to the first spike of each group of units since reset:
///
/// ```text
/// H_k ← H_k + (1 − H_k)·min(Σ S, 1)      whether a unit of group k has spiked
/// t_k ← t_k + dt·(1 − H_k)               0 for a spike in the first step
/// signal = t_k, or H_k·exp(−t_k/τ)
/// ```
///
/// Sources: Thorpe, Delorme & VanRullen, *Spike-based strategies for rapid processing* (2001); Gollisch &
/// Meister, *Rapid neural coding in the retina with relative spike latencies* (2008).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::interfaces::output::{DecoderInputs, FirstSpikeCode, FirstSpikeDecoderConfig};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[3]));
/// let config = FirstSpikeDecoderConfig { code: FirstSpikeCode::Time, ..Default::default() };
/// let mut decoder = config.run(&wired, 1, &Context::new("out", &device))?;
/// let mut times = Vec::<f32>::new();
/// for spikes in [[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]] {
///     let spikes = Spikes::new(Tensor::from_floats([spikes], &device));
///     times = decoder.advance(DecoderInputs { spikes }).signal.0.into_data().try_to_vec().unwrap();
/// }
/// assert_eq!(times, [1.0, 0.0, 2.0]);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct FirstSpikeDecoder {
    /// Which units count for which output, where not each for its own.
    pub groups: Option<Groups>,
    /// Time constant of the decaying code in ms, `[outputs]` or `[1]`.
    pub tau: Param<Tensor<1>>,
    #[module(skip)]
    code: FirstSpikeCode,
    #[module(skip)]
    outputs: Vec<usize>,
    dt: f32,
}

spark_core::state! {
    /// What a decoder of first spikes remembers.
    pub struct FirstSpikeState {
        /// 1 after the first spike, `[batch, outputs]`.
        seen: Tensor<2>,
        /// Time to the first spike, or since reset, in ms, `[batch, outputs]`.
        time: Tensor<2>,
    }
}

impl Component for FirstSpikeDecoder {
    type Inputs = DecoderInputs;
    type Outputs = DecoderOutputs;
    type State = FirstSpikeState;
    /// Members of the groups, where there are any, and `−1/τ`, `[1, outputs]` or `[1, 1]`.
    type Plan = (Option<Tensor<2>>, Tensor<2>);

    fn plan(&self) -> Self::Plan {
        (self.groups.as_ref().map(Groups::members), -self.tau.val().recip().unsqueeze())
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> FirstSpikeState {
        let zeros = || Tensor::zeros([batch, self.outputs.iter().product()], &self.tau.device());
        FirstSpikeState { seen: zeros(), time: zeros() }
    }

    fn step(
        &self,
        (members, slope): &Self::Plan,
        inputs: DecoderInputs,
        state: FirstSpikeState,
    ) -> (DecoderOutputs, FirstSpikeState) {
        let spikes = of_units(&inputs.spikes);
        let any = match members {
            Some(members) => groups::count(spikes, members).clamp_max(1.0),
            None => spikes,
        };
        let silent = (-state.seen.clone() + 1.0) * (-any + 1.0);
        let time = state.time + silent.clone() * self.dt;
        let seen = -silent + 1.0;
        let signal = match self.code {
            FirstSpikeCode::Time => time.clone(),
            FirstSpikeCode::Decay => seen.clone() * (time.clone() * slope.clone()).exp(),
        };
        (DecoderOutputs { signal: Floats(signal) }, FirstSpikeState { seen, time })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Floats, &self.outputs)]
    }
}

impl ComponentConfig for FirstSpikeDecoderConfig {
    const NAME: &'static str = "FirstSpikeDecoder";
    const FAMILY: Family = Family::OutputInterface;
    const SUMMARY: &'static str = "Times of the first spikes of units or groups of units since reset";
    const EQUATION: &'static str =
        "H ← H + (1 − H)·min(Σ S, 1); t ← t + dt·(1 − H); signal = t or H·exp(−t/τ)";
    const SOURCE: &'static str =
        "Thorpe, Delorme & VanRullen, Spike-based strategies for rapid processing (2001)";

    type Component = FirstSpikeDecoder;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<FirstSpikeDecoder, Defect> {
        let units = groups::units(inputs, "spikes")?;
        let (groups, outputs) = match (self.num_outputs, &self.output_map) {
            (Some(outputs), map) => {
                let deal = Deal { outputs, map: map.as_deref(), shuffle: false, seed: self.seed };
                (Some(deal.groups(units.count(), context)?), vec![outputs])
            }
            (None, None) => (None, units.units.clone()),
            (None, Some(_)) => return Err(Defect::field("output_map", "a map", "num_outputs beside it")),
        };
        let builder = Builder { context, seed: self.seed };
        let tau = builder.units("tau", &self.tau, &outputs)?;
        Ok(FirstSpikeDecoder { groups, tau, code: self.code, outputs, dt: self.dt })
    }
}

spark_core::register!(FirstSpikeDecoderConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use spark_core::component::Instance;
    use spark_core::payload::Spikes;

    fn wired(units: usize) -> InputShapes {
        InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[units]))
    }

    #[test]
    fn groups_report_their_earliest_unit_and_start_anew_after_a_reset() {
        let device = Device::flex();
        let config = FirstSpikeDecoderConfig {
            dt: 0.5,
            num_outputs: Some(2),
            output_map: Some(vec![0, 1, 0, 1]),
            tau: 2.0.into(),
            ..Default::default()
        };
        let mut decoder = config.run(&wired(4), 1, &Context::new("out", &device)).unwrap();
        for _ in 0..2 {
            let steps = [[0.0; 4], [0.0, 0.0, 1.0, 0.0], [1.0; 4], [1.0, 0.0, 1.0, 0.0]];
            let signals = steps.map(|spikes| {
                let spikes = Spikes::new(Tensor::from_floats([spikes], &device));
                decoder.advance(DecoderInputs { spikes }).signal.0.into_data().try_to_vec::<f32>().unwrap()
            });
            let code = |ms: f32| (-ms / 2.0f32).exp();
            let expected = [[0.0, 0.0], [code(0.5), 0.0], [code(0.5), code(1.0)], [code(0.5), code(1.0)]];
            for (found, expected) in signals.iter().flatten().zip(expected.iter().flatten()) {
                assert!((found - expected).abs() < 1e-6, "{signals:?}");
            }
            decoder.reset();
        }
    }

    #[test]
    fn a_map_without_groups_is_refused() {
        let config = FirstSpikeDecoderConfig { output_map: Some(vec![0]), ..Default::default() };
        let error = config.run(&wired(1), 1, &Context::new("out", &Device::flex())).unwrap_err();
        assert!(error.to_string().contains("output_map: found a map, expected num_outputs"), "{error}");
    }

    /// Of spikes between 0 and 1 the code is a smooth function.
    #[test]
    fn gradients_agree_with_finite_differences() {
        let total = |entry: Tensor<2>, tau: Option<f32>| {
            let device = entry.device();
            let config = FirstSpikeDecoderConfig { tau: tau.unwrap_or(3.0).into(), ..Default::default() };
            let mut decoder = config.build(&wired(2), &Context::new("out", &device)).unwrap();
            if device.is_autodiff() {
                decoder.tau = decoder.tau.set_require_grad(true);
            }
            let steps = [[0.1, 0.0], [0.3, 0.5], [0.2, 1.0]];
            let inputs = steps.map(|step| DecoderInputs {
                spikes: Spikes::new(Tensor::<2>::from_floats([step], &device) + entry.clone()),
            });
            let (outputs, _) = decoder.sequence(inputs, decoder.initial_state(&decoder.plan(), 1));
            let sum =
                outputs.into_iter().fold(Tensor::zeros([1], &device), |sum, out| sum + out.signal.0.sum());
            (sum, decoder)
        };
        let at = |entry: f32, tau: f32| {
            let entry = Tensor::full([1, 2], entry, &Device::flex());
            total(entry, Some(tau)).0.into_scalar::<f32>()
        };
        let slopes = [(at(0.01, 3.0) - at(-0.01, 3.0)) / 0.02, (at(0.0, 3.02) - at(0.0, 2.98)) / 0.04];
        let entry = Tensor::<2>::zeros([1, 2], &Device::flex().autodiff()).require_grad();
        let (sum, decoder) = total(entry.clone(), None);
        let gradients = sum.backward();
        let found = [
            entry.grad(&gradients).unwrap().sum().into_scalar::<f32>(),
            decoder.tau.val().grad(&gradients).unwrap().into_scalar::<f32>(),
        ];
        for (found, slope) in found.into_iter().zip(slopes) {
            assert!((found - slope).abs() < 1e-2 * (1.0 + slope.abs()), "{found}, {slope}");
        }
    }
}
