//! Spikes by chance.

use burn::module::Module;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{PayloadKind, Shape, Spikes};
use spark_core::ports::InputShapes;
use spark_kernels::philox::Stream;
use spark_kernels::random;

use super::{SpikerInputs, SpikerOutputs};
use crate::config::config;

config! {
    /// Units that spike by chance at a rate in proportion to their signal.
    pub struct PoissonSpikerConfig {
        /// Rate at a signal of 1.
        #[schemars(extend("unit" = "Hz", "range" = "non_negative"))]
        max_freq: f32 = 100.0,
    }
}

/// Units that spike by chance, each step for itself:
///
/// ```text
/// P(S = 1) = dt·f_max/1000·signal
/// ```
///
/// The draws are a function of seed, step and unit, so the spikes are the same on every backend. For
/// gradients a spike counts as its probability (straight through: Bengio, Léonard & Courville (2013)).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Floats, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::interfaces::input::{PoissonSpikerConfig, SpikerInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[2]));
/// let config = PoissonSpikerConfig { seed: Some(3), max_freq: 500.0, ..Default::default() };
/// let mut spiker = config.run(&wired, 1, &Context::new("spiker", &device))?;
/// let mut counts = Tensor::<2>::zeros([1, 2], &device);
/// for _ in 0..1000 {
///     let signal = Floats(Tensor::from_floats([[0.0, 1.0]], &device));
///     counts = counts + spiker.advance(SpikerInputs { signal }).spikes.units().unwrap();
/// }
/// let counts = counts.into_data().try_to_vec::<f32>().unwrap();
/// assert!(counts[0] == 0.0 && (counts[1] - 500.0).abs() < 60.0);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct PoissonSpiker {
    /// Probability of a spike in one step at a signal of 1.
    probability: f32,
    #[module(skip)]
    seed: u64,
    #[module(skip)]
    units: Vec<usize>,
}

spark_core::state! {
    /// What units that spike by chance remember.
    pub struct PoissonState {
        /// Steps since the start.
        step: u64,
    }
}

impl Component for PoissonSpiker {
    type Inputs = SpikerInputs;
    type Outputs = SpikerOutputs;
    type State = PoissonState;
    type Plan = ();

    fn plan(&self) {}

    fn initial_state(&self, _: &Self::Plan, _batch: usize) -> PoissonState {
        PoissonState { step: 0 }
    }

    fn step(&self, _plan: &(), inputs: SpikerInputs, state: PoissonState) -> (SpikerOutputs, PoissonState) {
        let probability = inputs.signal.0 * self.probability;
        let stream = Stream::new(self.seed, 0, state.step);
        let spikes = if probability.is_autodiff() {
            let drawn = random::bernoulli_each(probability.clone().detach(), stream);
            drawn + (probability.clone() - probability.detach())
        } else {
            random::bernoulli_each(probability, stream)
        };
        (SpikerOutputs { spikes: Spikes::new(spikes) }, PoissonState { step: state.step + 1 })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Spikes, &self.units)]
    }
}

impl PoissonSpikerConfig {
    pub(super) fn spiker(&self, units: &[usize], context: &Context) -> PoissonSpiker {
        PoissonSpiker {
            probability: self.dt * self.max_freq / 1000.0,
            seed: context.stream(self.seed),
            units: units.to_vec(),
        }
    }
}

pub(super) const EQUATION: &str = "P(S = 1) = dt·f_max/1000·signal";
pub(super) const SOURCE: &str = "Dayan & Abbott, Theoretical Neuroscience (2001), chapter 1.4";

impl ComponentConfig for PoissonSpikerConfig {
    const NAME: &'static str = "PoissonSpiker";
    const FAMILY: Family = Family::InputInterface;
    const SUMMARY: &'static str = "Units that spike by chance at a rate in proportion to their signal";
    const EQUATION: &'static str = EQUATION;
    const SOURCE: &'static str = SOURCE;

    type Component = PoissonSpiker;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<PoissonSpiker, Defect> {
        Ok(self.spiker(&inputs.require("signal", PayloadKind::Floats)?.units, context))
    }
}

spark_core::register!(PoissonSpikerConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};
    use spark_core::component::Running;
    use spark_core::payload::Floats;

    fn spiker(seed: u64, units: usize, device: &Device) -> Running<PoissonSpiker> {
        let wired = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[units]));
        let config = PoissonSpikerConfig { seed: Some(seed), ..Default::default() };
        config.run(&wired, 2, &Context::new("spiker", device)).unwrap()
    }

    #[test]
    fn a_signal_learns_as_if_a_spike_were_its_probability() {
        let device = Device::flex().autodiff();
        let signal = Tensor::<2>::full([2, 3], 0.7, &device).require_grad();
        let spikes = spiker(1, 3, &device).advance(SpikerInputs { signal: Floats(signal.clone()) }).spikes;
        let spikes = spikes.units().unwrap();
        assert!(spikes.to_data().iter::<f32>().all(|spike| spike == 0.0 || spike == 1.0));
        let gradient = signal.grad(&spikes.sum().backward()).unwrap();
        assert!(gradient.into_data().iter::<f32>().all(|slope| (slope - 0.1).abs() < 1e-6));
    }

    #[test]
    fn samples_and_steps_draw_for_themselves_and_a_reset_draws_again() {
        use spark_core::component::Instance;
        let device = Device::flex();
        let mut spiker = spiker(1, 200, &device);
        let mut step = || {
            let signal = Floats(Tensor::full([2, 200], 5.0, &device));
            spiker.advance(SpikerInputs { signal }).spikes.units().unwrap().into_data()
        };
        let (first, second) = (step(), step());
        assert_ne!(first, second);
        let entries: Vec<f32> = first.iter().collect();
        assert_ne!(entries[..200], entries[200..]);
        spiker.reset();
        let signal = Floats(Tensor::full([2, 200], 5.0, &device));
        assert_eq!(spiker.advance(SpikerInputs { signal }).spikes.units().unwrap().into_data(), first);
    }
}
