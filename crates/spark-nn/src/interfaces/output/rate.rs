//! Rates of groups of units.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::{Builder, rate};
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{Floats, PayloadKind, Shape};
use spark_core::ports::InputShapes;
use spark_kernels::{Trace, trace_step};

use super::groups::{self, Deal, Groups};
use super::{DecoderInputs, DecoderOutputs, of_units};
use crate::config::config;

config! {
    /// Rates of groups of units in Hz, over an exponential window.
    pub struct PopulationRateDecoderConfig {
        /// Number of groups, each with an output.
        #[schemars(extend("range" = "positive"))]
        num_outputs: usize = 1,
        /// Time constant of the window.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau: Parameter = 50.0.into(),
        /// The output of each unit, from 0. Where absent, units are dealt evenly.
        output_map: Option<Vec<usize>> = None,
        /// Whether units are dealt in random order.
        shuffle: bool = false,
    }
}

/// The rate of each group of units, over an exponential window into the past:
///
/// ```text
/// r_k ← r_k + λ·(1000/(dt·n_k)·Σ S − r_k)        λ = 1 − exp(−dt/τ), n_k units in group k
/// ```
///
/// The weights of the window sum to 1 for every step, so units that spike with `f` Hz give `f` in the mean.
/// Source: Dayan & Abbott, *Theoretical Neuroscience* (2001), chapter 1.2, with an exponential kernel.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::interfaces::output::{DecoderInputs, PopulationRateDecoderConfig};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[4]));
/// let config = PopulationRateDecoderConfig { num_outputs: 2, ..Default::default() };
/// let mut decoder = config.run(&wired, 1, &Context::new("out", &device))?;
/// let mut rates = Vec::<f32>::new();
/// for _ in 0..1000 {
///     // One unit of the first group spikes in every step.
///     let spikes = Spikes::new(Tensor::from_floats([[1.0, 0.0, 0.0, 0.0]], &device));
///     rates = decoder.advance(DecoderInputs { spikes }).signal.0.into_data().try_to_vec().unwrap();
/// }
/// assert!((rates[0] - 500.0).abs() < 0.1 && rates[1] == 0.0);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct PopulationRateDecoder {
    /// Which units count for which output.
    pub groups: Groups,
    /// Time constant of the window in ms, `[outputs]` or `[1]`.
    pub tau: Param<Tensor<1>>,
    dt: f32,
}

spark_core::state! {
    /// What a decoder of rates remembers.
    pub struct PopulationRateState {
        /// The rates in Hz, `[batch, outputs]`.
        rate: Tensor<2>,
    }
}

impl Component for PopulationRateDecoder {
    type Inputs = DecoderInputs;
    type Outputs = DecoderOutputs;
    type State = PopulationRateState;
    /// Members of the groups, and the window.
    type Plan = (Tensor<2>, Trace<Tensor<1>>);

    fn plan(&self) -> Self::Plan {
        let rate = rate(self.dt, self.tau.val());
        let scale = rate.clone() * self.groups.sizes().recip() * (1000.0 / self.dt);
        let base = Tensor::zeros([1], &self.tau.device());
        (self.groups.members(), Trace { rate, base, scale, saturation: None })
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> PopulationRateState {
        PopulationRateState { rate: Tensor::zeros([batch, self.groups.outputs()], &self.tau.device()) }
    }

    fn step(
        &self,
        (members, window): &Self::Plan,
        inputs: DecoderInputs,
        state: PopulationRateState,
    ) -> (DecoderOutputs, PopulationRateState) {
        let count = groups::count(of_units(&inputs.spikes), members);
        let rate = trace_step(state.rate, count, window);
        (DecoderOutputs { signal: Floats(rate.clone()) }, PopulationRateState { rate })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Floats, &[self.groups.outputs()])]
    }
}

impl ComponentConfig for PopulationRateDecoderConfig {
    const NAME: &'static str = "PopulationRateDecoder";
    const FAMILY: Family = Family::OutputInterface;
    const SUMMARY: &'static str = "Rates of groups of units in Hz, over an exponential window";
    const EQUATION: &'static str = "r_k ← r_k + λ·(1000/(dt·n_k)·Σ S − r_k), λ = 1 − exp(−dt/τ)";
    const SOURCE: &'static str = "Dayan & Abbott, Theoretical Neuroscience (2001), chapter 1.2";

    type Component = PopulationRateDecoder;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<PopulationRateDecoder, Defect> {
        let units = groups::units(inputs, "spikes")?.count();
        let Self { num_outputs: outputs, shuffle, seed, .. } = *self;
        let deal = Deal { outputs, map: self.output_map.as_deref(), shuffle, seed };
        let builder = Builder { context, seed };
        Ok(PopulationRateDecoder {
            groups: deal.groups(units, context)?,
            tau: builder.units("tau", &self.tau, &[outputs])?,
            dt: self.dt,
        })
    }
}

spark_core::register!(PopulationRateDecoderConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use spark_core::payload::Spikes;

    fn decoder(dt: f32, tau: f32, device: &Device) -> PopulationRateDecoder {
        let wired = InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[3]));
        let config =
            PopulationRateDecoderConfig { dt, tau: tau.into(), num_outputs: 2, ..Default::default() };
        config.build(&wired, &Context::new("out", device)).unwrap()
    }

    /// A single spike decays with the time constant and counts 1 in all: `Σ r·dt = 1000 ms/s/n`.
    #[test]
    fn one_spike_counts_once_whatever_step_and_window() {
        let device = Device::flex();
        for (dt, tau) in [(1.0, 20.0), (0.1, 20.0), (0.5, 3.0)] {
            let decoder = decoder(dt, tau, &device);
            let steps = (20.0 * tau / dt) as usize;
            let inputs = (0..steps).map(|step| {
                let spikes =
                    if step == 0 { Tensor::ones([1, 3], &device) } else { Tensor::zeros([1, 3], &device) };
                DecoderInputs { spikes: Spikes::new(spikes) }
            });
            let (outputs, _) = decoder.sequence(inputs, decoder.initial_state(&decoder.plan(), 1));
            let rates: Vec<Vec<f32>> =
                outputs.into_iter().map(|out| out.signal.0.into_data().iter().collect()).collect();
            for output in 0..2 {
                let total: f32 = rates.iter().map(|rate| rate[output] * dt).sum();
                assert!((total - 1000.0).abs() < 0.1, "{total}");
                let left = rates[1][output] / rates[0][output];
                assert!((left - (-dt / tau).exp()).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn gradients_reach_spikes_and_window() {
        let rate = |tau: f32, device: &Device| {
            let mut decoder = decoder(1.0, tau, device);
            if device.is_autodiff() {
                decoder.tau = decoder.tau.set_require_grad(true);
            }
            let pattern = Tensor::<2>::from_floats([[1.0, 0.0, 1.0]], device);
            let pattern = if device.is_autodiff() { pattern.require_grad() } else { pattern };
            let inputs = (0..4).map(|_| DecoderInputs { spikes: Spikes::new(pattern.clone()) });
            let (outputs, _) = decoder.sequence(inputs, decoder.initial_state(&decoder.plan(), 1));
            (outputs[3].signal.0.clone().sum(), pattern, decoder)
        };
        let at = |tau: f32| rate(tau, &Device::flex()).0.into_scalar::<f32>();
        let slope = (at(20.2) - at(19.8)) / 0.4;
        let (total, pattern, decoder) = rate(20.0, &Device::flex().autodiff());
        let gradients = total.backward();
        let found = decoder.tau.val().grad(&gradients).unwrap().into_scalar::<f32>();
        assert!((found - slope).abs() < 1e-2 * slope.abs(), "{found}, {slope}");
        // Groups of two units and of one.
        let each: Vec<f32> = pattern.grad(&gradients).unwrap().into_data().iter().collect();
        assert!((each[0] / each[2] - 0.5).abs() < 1e-5 && each[0] == each[1], "{each:?}");
    }
}
