//! Spikes at regular intervals.

use burn::module::Module;
use burn::tensor::Tensor;
use spark_core::Problems;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::host::{HostStep, HostWiring, Signal};
use spark_core::payload::{PayloadKind, Shape, Spikes};
use spark_core::ports::InputShapes;
use spark_core::schema::join;
use spark_kernels::{Soma, SomaModel, SomaOptions, Surrogate, soma_step};

use super::{SpikerInputs, SpikerOutputs};
use crate::components::somas::{Gradient, UnitsOnHost, UnitsState};
use crate::config::config;

config! {
    /// Units that spike at regular intervals, at a rate that rises with their signal.
    pub struct LinearSpikerConfig {
        /// Time constant of the potential, and its threshold.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau: f32 = 100.0,
        /// Refractory period after a spike.
        #[schemars(extend("unit" = "ms", "range" = "non_negative"))]
        cd: f32 = 2.0,
        /// Rate at a signal of 1; its period has to be longer than the refractory one.
        #[schemars(extend("unit" = "Hz", "range" = "positive"))]
        max_freq: f32 = 100.0,
        /// What gradients see of a spike, taken of the distance of the potential to `tau`.
        gradient: Gradient = GRADIENT,
    }
}

/// As wide as what a signal of 1 adds to the potential in about a step.
pub(super) const GRADIENT: Gradient = Gradient { surrogate: Surrogate::Atan { alpha: 0.1 }, reset: false };

/// Units that integrate their signal with a leak and spike at a threshold:
///
/// ```text
/// V ← α·V + dt·ready·τ·(1 − α)·k·signal        α = exp(−dt/τ)
/// S = V > τ;  V ← 0 after a spike;  ready = at least cd since the last spike
/// k = 1/(e − 1) + 1,  e = exp(dt/τ·(1000/f_max − cd))
/// ```
///
/// At a signal of 1 and steps of 1 ms, this `k` lets the potential reach the threshold in `T = 1000/f_max − cd`,
/// so that units spike with `f_max`; with shorter steps it takes up to `−τ·ln(1 − T/τ)`, 4 % longer than `T`
/// at 100 Hz and 36 % at 20 Hz. On an autodiff device gradients pass the threshold through a surrogate.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Floats, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::interfaces::input::{LinearSpikerConfig, SpikerInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[1]));
/// let mut spiker = LinearSpikerConfig::default().run(&wired, 1, &Context::new("spiker", &device))?;
/// let spikes: f32 = (0..1000)
///     .map(|_| spiker.advance(SpikerInputs { signal: Floats(Tensor::ones([1, 1], &device)) }))
///     .map(|out| out.spikes.units().unwrap().into_scalar::<f32>())
///     .sum();
/// assert!((90.0..=101.0).contains(&spikes));
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct LinearSpiker {
    /// Decay of the potential, what a signal of 1 adds, threshold, and refractory period in steps.
    constants: Tensor<1>,
    #[module(skip)]
    units: Vec<usize>,
    #[module(skip)]
    gradient: Gradient,
}

impl LinearSpiker {
    fn soma(&self) -> Soma<Tensor<1>> {
        let [decay, gain, threshold, cooldown] =
            std::array::from_fn(|place| self.constants.clone().narrow(0, place, 1));
        Soma {
            model: SomaModel::Leaky { decay, gain },
            reset: threshold.zeros_like(),
            threshold,
            cooldown: Some(cooldown),
            clamp: None,
            adaptive_threshold: None,
            adaptation: None,
        }
    }
}

impl Component for LinearSpiker {
    type Inputs = SpikerInputs;
    type Outputs = SpikerOutputs;
    type State = UnitsState;
    type Plan = Soma<Tensor<1>>;

    fn plan(&self) -> Self::Plan {
        self.soma()
    }

    fn initial_state(&self, plan: &Self::Plan, batch: usize) -> UnitsState {
        let units = self.units.iter().product();
        UnitsState(plan.initial_state(Tensor::zeros([batch, units], &self.constants.device())))
    }

    fn step(
        &self,
        plan: &Self::Plan,
        inputs: SpikerInputs,
        state: UnitsState,
    ) -> (SpikerOutputs, UnitsState) {
        let Gradient { surrogate, reset } = self.gradient;
        let options = SomaOptions { surrogate, reset_gradient: reset };
        let (spikes, state) = soma_step(plan, inputs.signal.0, state.0, options);
        (SpikerOutputs { spikes: Spikes::new(spikes) }, UnitsState(state))
    }

    fn on_host(
        &self,
        plan: &Self::Plan,
        state: &UnitsState,
        wiring: &mut HostWiring,
    ) -> Option<Box<dyn HostStep<Self>>> {
        Some(Box::new(UnitsOnHost::new(plan, state, wiring, "signal")?))
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Spikes, &self.units)]
    }
}

impl HostStep<LinearSpiker> for UnitsOnHost {
    fn step(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        self.advance(inputs, outputs);
    }

    fn settle(&self, _: &mut LinearSpiker, state: &mut UnitsState) {
        self.write(state);
    }
}

/// What sets the rate of a unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub dt: f32,
    pub tau: f32,
    pub cd: f32,
    pub max_freq: f32,
    /// Whether `dt` enters the exponent of `e` and the input.
    pub by_step: bool,
    pub gradient: Gradient,
}

impl Rate {
    /// The period of the highest rate has to leave time for the refractory one.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        let period = 1000.0 / self.max_freq;
        if self.max_freq > 0.0 && self.cd >= period {
            let expected = format!("less than the {period} ms between spikes at {} Hz", self.max_freq);
            problems.push(join(path, "cd"), self.cd, expected);
        }
    }

    pub fn spiker(&self, units: &[usize], context: &Context) -> LinearSpiker {
        let [dt, tau, cd, max_freq] = [self.dt, self.tau, self.cd, self.max_freq].map(f64::from);
        let step = if self.by_step { dt } else { 1.0 };
        let rate = -(-dt / tau).exp_m1();
        // 1/(e − 1) + 1 without loss of digits for a long τ.
        let scale = 1.0 / -(-step / tau * (1000.0 / max_freq - cd)).exp_m1();
        // A period of whole steps stays one, whatever the rounding.
        let cooldown = (cd / dt - 1e-4).ceil();
        let constants = [1.0 - rate, step * tau * rate * scale, tau, cooldown].map(|x| x as f32);
        LinearSpiker {
            constants: Tensor::from_floats(constants, &context.device),
            units: units.to_vec(),
            gradient: self.gradient,
        }
    }
}

impl LinearSpikerConfig {
    fn rate(&self) -> Rate {
        let &Self { dt, tau, cd, max_freq, gradient, .. } = self;
        Rate { dt, tau, cd, max_freq, by_step: true, gradient }
    }
}

pub(super) const SOURCE: &str = "Gerstner, Kistler, Naud & Paninski, Neuronal Dynamics (2014), chapter 1.3";

impl ComponentConfig for LinearSpikerConfig {
    const NAME: &'static str = "LinearSpiker";
    const FAMILY: Family = Family::InputInterface;
    const SUMMARY: &'static str = "Units that spike at regular intervals, faster for a larger signal";
    const EQUATION: &'static str = "V ← αV + dt·ready·τ·(1 − α)·k·signal, α = exp(−dt/τ); S = V > τ; V ← 0 after a spike; \
         k = 1/(e − 1) + 1, e = exp(dt/τ·(1000/f_max − cd))";
    const SOURCE: &'static str = SOURCE;

    type Component = LinearSpiker;

    fn check(&self, path: &str, problems: &mut Problems) {
        self.rate().check(path, problems);
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<LinearSpiker, Defect> {
        Ok(self.rate().spiker(&inputs.require("signal", PayloadKind::Floats)?.units, context))
    }
}

spark_core::register!(LinearSpikerConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use spark_core::payload::Floats;

    fn wired(units: usize) -> InputShapes {
        InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[units]))
    }

    /// Spikes in a second at a constant signal.
    fn rate(config: &LinearSpikerConfig, signal: f32) -> f32 {
        let device = Device::flex();
        let mut spiker = config.run(&wired(1), 1, &Context::new("spiker", &device)).unwrap();
        let steps = (1000.0 / config.dt).round() as usize;
        let signal = Floats(Tensor::full([1, 1], signal, &device));
        let spikes = (0..steps).map(|_| spiker.advance(SpikerInputs { signal: signal.clone() }).spikes);
        spikes.map(|spikes| spikes.units().unwrap().into_scalar::<f32>()).sum()
    }

    /// The period in which an exponential approach to `g·τ` crosses `τ`, after the refractory one.
    fn period(config: &LinearSpikerConfig, by_step: bool) -> f32 {
        let &LinearSpikerConfig { dt, tau, cd, max_freq, .. } = config;
        let step = if by_step { dt } else { 1.0 };
        let g = step / (1.0 - (-step / tau * (1000.0 / max_freq - cd)).exp());
        cd - tau * (1.0 - 1.0 / g).ln()
    }

    #[test]
    fn a_signal_of_1_gives_about_the_highest_rate_whatever_the_step() {
        for dt in [0.1, 0.25, 0.5, 1.0] {
            for max_freq in [20.0, 50.0, 100.0] {
                let config = LinearSpikerConfig { dt, max_freq, ..Default::default() };
                // A spike comes at the first whole step after the crossing.
                let (found, exact) = (rate(&config, 1.0), period(&config, true));
                let bounds = 1000.0 / (exact + 1.5 * dt) - 1.0..=1000.0 / exact + 1.0;
                assert!(bounds.contains(&found), "{found} Hz, expected {bounds:?} at {dt} ms");
                // The exponent of the equation is off for steps other than 1 ms, the less the faster.
                let off = if dt == 1.0 { 1e-3 } else { 0.75 * (1000.0 / max_freq - 2.0) / 100.0 };
                assert!(
                    (exact * max_freq / 1000.0 - 1.0).abs() < off,
                    "{exact} ms at {max_freq} Hz, {dt} ms"
                );
                assert!((period(&config, false) * max_freq / 1000.0 - 1.0).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn the_rate_rises_with_the_signal() {
        let rates = [0.0, 0.3, 0.6, 1.0].map(|signal| rate(&LinearSpikerConfig::default(), signal));
        assert!(rates[0] == 0.0 && rates.is_sorted_by(|a, b| a < b), "{rates:?}");
        assert!((rates[2] / rates[3] - 0.6).abs() < 0.1, "{rates:?}");
    }

    #[test]
    fn a_refractory_period_longer_than_the_period_is_refused() {
        let config = LinearSpikerConfig { cd: 10.0, ..Default::default() };
        let error = config.run(&wired(1), 1, &Context::new("spiker", &Device::flex())).unwrap_err();
        let expected = "cd: found 10, expected less than the 10 ms between spikes at 100 Hz";
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn gradients_reach_the_signal_through_the_surrogate() {
        let device = Device::flex().autodiff();
        let mut spiker =
            LinearSpikerConfig::default().run(&wired(2), 1, &Context::new("spiker", &device)).unwrap();
        let signal = Tensor::<2>::from_floats([[0.5, 1.0]], &device).require_grad();
        let mut total = Tensor::<1>::zeros([1], &device);
        for _ in 0..12 {
            let inputs = SpikerInputs { signal: Floats(signal.clone()) };
            total = total + spiker.advance(inputs).spikes.units().unwrap().sum();
        }
        let gradient = signal.grad(&total.backward()).unwrap();
        assert!(gradient.into_data().iter::<f32>().all(|slope| slope > 0.0));
    }
}
