//! A value spread over units that each prefer one.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Tensor, TensorData};
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::host::{HostStep, HostWiring, Signal};
use spark_core::payload::{Floats, PayloadKind, Shape};
use spark_core::ports::InputShapes;
use spark_core::{Parameter, Problems};
use spark_kernels::host;
use std::f32::consts::PI;

use super::linear::{GRADIENT, LinearSpiker, Rate};
use super::poisson::{PoissonSpiker, PoissonSpikerConfig};
use super::{SpikerInputs, SpikerOutputs};
use crate::components::somas::Gradient;
use crate::config::config;

/// The configurations of both spikers: the map's fields, then those of the spiker.
macro_rules! topological_config {
    ($(#[$meta:meta])* pub struct $name:ident { $($fields:tt)* }) => {
        config! {
            $(#[$meta])*
            pub struct $name {
                /// Whether the ends of the range are glued together, as those of an angle: 0 or 1.
                #[schemars(extend("range" = "unit_interval"))]
                glue: Parameter = 0.0.into(),
                /// Lower end of the range.
                mins: Parameter = 0.0.into(),
                /// Upper end of the range.
                maxs: Parameter = 1.0.into(),
                /// Number of units that a value is spread over.
                #[schemars(extend("range" = "positive"))]
                resolution: usize = 64,
                /// Width of the bump of activity.
                #[schemars(extend("range" = "positive"))]
                sigma: f32 = 1.0 / 32.0,
                $($fields)*
            }
        }

        impl $name {
            fn map(&self, inputs: &InputShapes, context: &Context) -> Result<TopologicalMap, Defect> {
                let signal = inputs.require("signal", PayloadKind::Floats)?;
                let range = [("glue", &self.glue), ("mins", &self.mins), ("maxs", &self.maxs)];
                TopologicalMap::new(range, self.seed, self.resolution, self.sigma, &signal.units, context)
            }
        }
    };
}

topological_config! {
    /// Values spread over units that prefer one each and spike by chance.
    pub struct TopologicalPoissonSpikerConfig {
        /// Rate of a unit whose preferred value comes.
        #[schemars(extend("unit" = "Hz", "range" = "non_negative"))]
        max_freq: f32 = 100.0,
    }
}

topological_config! {
    /// Values spread over units that prefer one each and spike at regular intervals.
    pub struct TopologicalLinearSpikerConfig {
        /// Time constant of the potential, and its threshold.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau: f32 = 100.0,
        /// Refractory period after a spike.
        #[schemars(extend("unit" = "ms", "range" = "non_negative"))]
        cd: f32 = 2.0,
        /// Rate of a unit whose preferred value comes; its period has to be longer than the refractory one.
        #[schemars(extend("unit" = "Hz", "range" = "positive"))]
        max_freq: f32 = 100.0,
        /// What gradients see of a spike, taken of the distance of the potential to `tau`.
        gradient: Gradient = GRADIENT,
    }
}

/// A bump of activity over units in a row, or on a ring, around the one that stands for the value:
///
/// ```text
/// x = (signal − min)/(max − min);   g = 0 … π in `resolution` steps
/// z = sin(g + π·x) on a ring, tanh(g − π·x) in a row
/// activity = exp(−z²/(2·σ))
/// ```
#[derive(Module, Debug)]
pub struct TopologicalMap {
    /// `π/(max − min)`, `[entries]` or `[1]`.
    slope: Tensor<1>,
    /// `−π·min/(max − min)`, `[entries]` or `[1]`.
    offset: Tensor<1>,
    /// 1 on a ring, 0 in a row, `[entries]` or `[1]`.
    glue: Tensor<1>,
    /// Place of each unit, `[resolution]`.
    grid: Tensor<1>,
    /// `1/(2·σ)`.
    sharpness: f32,
    #[module(skip)]
    ends: Ends,
    #[module(skip)]
    units: Vec<usize>,
}

/// Which entries of the signal have glued ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    AllOpen,
    AllGlued,
    Mixed,
}

impl TopologicalMap {
    fn new(
        range: [(&str, &Parameter); 3],
        seed: Option<u64>,
        resolution: usize,
        sigma: f32,
        signal: &[usize],
        context: &Context,
    ) -> Result<Self, Defect> {
        let values = |(name, parameter): (&str, &Parameter)| {
            parameter.values(signal, &[], &mut context.rng(seed, name)).map_err(|error| {
                Defect::field(name, format!("shape {:?}", error.found), format!("one that fits {signal:?}"))
            })
        };
        let [glue, mins, maxs] = range;
        let [glue, mins, maxs] = [values(glue)?, values(mins)?, values(maxs)?];
        if let Some(glue) = glue.iter().find(|glue| ![0.0, 1.0].contains(*glue)) {
            return Err(Defect::field("glue", glue, "0 or 1"));
        }
        if let Some((max, min)) = maxs.iter().zip(&mins).find(|(max, min)| max <= min) {
            return Err(Defect::field("maxs", max, format!("more than the lower end {min}")));
        }
        let ends = match glue.iter().sum::<f32>() as usize {
            0 => Ends::AllOpen,
            glued if glued == glue.len() => Ends::AllGlued,
            _ => Ends::Mixed,
        };
        let plane = |values: Vec<f32>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), &context.device)
        };
        let slopes = maxs.iter().zip(&mins).map(|(max, min)| PI / (max - min)).collect::<Vec<_>>();
        let offsets = slopes.iter().zip(&mins).map(|(slope, min)| -slope * min).collect();
        let last = resolution.saturating_sub(1).max(1) as f32;
        Ok(Self {
            slope: plane(slopes),
            offset: plane(offsets),
            glue: plane(glue),
            grid: plane((0..resolution).map(|place| PI * place as f32 / last).collect()),
            sharpness: 0.5 / sigma,
            ends,
            units: [signal, &[resolution]].concat(),
        })
    }

    /// The activity of the units, 0 to 1.
    ///
    /// * `signal`: `[batch, entries]`.
    ///
    /// Returns `[batch, entries·resolution]`, the units of an entry side by side.
    pub fn activity(&self, signal: Tensor<2>) -> Tensor<2> {
        let [batch, entries] = signal.dims();
        let place: Tensor<3> =
            (signal * self.slope.clone().unsqueeze() + self.offset.clone().unsqueeze()).unsqueeze_dim(2);
        let grid: Tensor<3> = self.grid.clone().unsqueeze();
        let ring = || (grid.clone() + place.clone()).sin();
        let row = || (grid.clone() - place.clone()).tanh();
        let z = match self.ends {
            Ends::AllOpen => row(),
            Ends::AllGlued => ring(),
            Ends::Mixed => {
                let glue = self.glue.clone().reshape([1, entries, 1]);
                ring() * glue.clone() + row() * (-glue + 1.0)
            }
        };
        let activity = (z.clone() * z * -self.sharpness).exp();
        activity.reshape([batch, entries * self.grid.dims()[0]])
    }
}

/// A [`TopologicalMap`] before the units of a spiker.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context, Instance};
/// use spark_core::payload::{Floats, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::interfaces::input::{SpikerInputs, TopologicalLinearSpikerConfig};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[1]));
/// let config = TopologicalLinearSpikerConfig { resolution: 5, ..Default::default() };
/// let mut spiker = config.run(&wired, 1, &Context::new("spiker", &device))?;
/// assert_eq!(spiker.output_shapes()[0].units, [1, 5]);
/// let mut counts = Tensor::<2>::zeros([1, 5], &device);
/// for _ in 0..100 {
///     let signal = Floats(Tensor::full([1, 1], 0.25, &device));
///     counts = counts + spiker.advance(SpikerInputs { signal }).spikes.units().unwrap();
/// }
/// // The second of five units stands for a quarter of the range.
/// assert_eq!(counts.argmax(1).into_scalar::<i64>(), 1);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct Topological<S: Module> {
    /// What each unit prefers.
    pub map: TopologicalMap,
    /// How it spikes.
    pub spiker: S,
}

/// Values spread over units that spike by chance.
pub type TopologicalPoissonSpiker = Topological<PoissonSpiker>;

/// Values spread over units that spike at regular intervals.
pub type TopologicalLinearSpiker = Topological<LinearSpiker>;

impl<S> Component for Topological<S>
where
    S: Component<Inputs = SpikerInputs, Outputs = SpikerOutputs> + ModuleDisplay,
{
    type Inputs = SpikerInputs;
    type Outputs = SpikerOutputs;
    type State = S::State;
    type Plan = S::Plan;

    fn plan(&self) -> Self::Plan {
        self.spiker.plan()
    }

    fn initial_state(&self, plan: &Self::Plan, batch: usize) -> Self::State {
        self.spiker.initial_state(plan, batch)
    }

    fn step(
        &self,
        plan: &Self::Plan,
        inputs: SpikerInputs,
        state: Self::State,
    ) -> (SpikerOutputs, Self::State) {
        let signal = Floats(self.map.activity(inputs.signal.0));
        self.spiker.step(plan, SpikerInputs { signal }, state)
    }

    fn on_host(
        &self,
        plan: &Self::Plan,
        state: &Self::State,
        wiring: &mut HostWiring,
    ) -> Option<Box<dyn HostStep<Self>>> {
        let signal = wiring.place("signal").filter(|place| *place == 0 && wiring.inputs.len() == 1)?;
        let spiker = self.spiker.on_host(plan, state, wiring)?;
        let (seen, activity) = (vec![f32::NAN], Signal::default());
        Some(Box::new(TopologicalOnHost { map: self.map.clone(), spiker, signal, seen, activity }))
    }

    fn output_shapes(&self) -> Vec<Shape> {
        self.spiker.output_shapes()
    }
}

/// A map at work on the host: a signal that does not change is not spread out again.
#[derive(Debug)]
struct TopologicalOnHost<S: Component> {
    map: TopologicalMap,
    spiker: Box<dyn HostStep<S>>,
    signal: usize,
    /// What `activity` was made of.
    seen: Vec<f32>,
    activity: Signal,
}

impl<S> HostStep<Topological<S>> for TopologicalOnHost<S>
where
    S: Component<Inputs = SpikerInputs, Outputs = SpikerOutputs> + ModuleDisplay,
{
    fn step(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        let signal = inputs[self.signal].values();
        if self.seen != signal {
            let entries = signal.len();
            let plane = host::tensor(signal.to_vec(), [1, entries], &self.map.grid.device());
            let activity = host::values(&self.map.activity(plane));
            self.activity = Signal::Values(activity.expect("made of f32"));
            self.seen = signal.to_vec();
        }
        self.spiker.step(&[&self.activity], outputs);
    }

    fn settle(&self, component: &mut Topological<S>, state: &mut S::State) {
        self.spiker.settle(&mut component.spiker, state);
    }
}

impl TopologicalLinearSpikerConfig {
    /// Without `dt` in exponent and input, the rate at a signal of 1 is the same for every step.
    fn rate(&self) -> Rate {
        let &Self { dt, tau, cd, max_freq, gradient, .. } = self;
        Rate { dt, tau, cd, max_freq, by_step: false, gradient }
    }
}

const SOURCE: &str =
    "Georgopoulos, Schwartz & Kettner, Neuronal population coding of movement direction (1986)";

impl ComponentConfig for TopologicalPoissonSpikerConfig {
    const NAME: &'static str = "TopologicalPoissonSpiker";
    const FAMILY: Family = Family::InputInterface;
    const SUMMARY: &'static str = "Values spread over units that prefer one each and spike by chance";
    const EQUATION: &'static str = "P(S = 1) = dt·f_max/1000·exp(−z²/(2σ)); z = tanh(g − πx), or sin(g + πx) with glued ends; \
         x = (signal − min)/(max − min), g = 0 … π";
    const SOURCE: &'static str = SOURCE;

    type Component = TopologicalPoissonSpiker;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<TopologicalPoissonSpiker, Defect> {
        let map = self.map(inputs, context)?;
        let &Self { seed, dt, max_freq, .. } = self;
        let spiker = PoissonSpikerConfig { seed, dt, max_freq }.spiker(&map.units, context);
        Ok(Topological { map, spiker })
    }
}

impl ComponentConfig for TopologicalLinearSpikerConfig {
    const NAME: &'static str = "TopologicalLinearSpiker";
    const FAMILY: Family = Family::InputInterface;
    const SUMMARY: &'static str =
        "Values spread over units that prefer one each and spike at regular intervals";
    const EQUATION: &'static str = "V ← αV + ready·τ·(1 − α)·k·exp(−z²/(2σ)), α = exp(−dt/τ); S = V > τ; V ← 0 after a spike; \
         k = 1/(e − 1) + 1, e = exp((1000/f_max − cd)/τ); z = tanh(g − πx), or sin(g + πx) with glued ends; \
         x = (signal − min)/(max − min), g = 0 … π";
    const SOURCE: &'static str = SOURCE;

    type Component = TopologicalLinearSpiker;

    fn check(&self, path: &str, problems: &mut Problems) {
        self.rate().check(path, problems);
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<TopologicalLinearSpiker, Defect> {
        let map = self.map(inputs, context)?;
        let spiker = self.rate().spiker(&map.units, context);
        Ok(Topological { map, spiker })
    }
}

spark_core::register!(TopologicalPoissonSpikerConfig);
spark_core::register!(TopologicalLinearSpikerConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use spark_core::parameter::Array;

    fn map(config: &TopologicalPoissonSpikerConfig, entries: usize) -> Result<TopologicalMap, Defect> {
        let wired = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[entries]));
        config.map(&wired, &Context::new("map", &Device::flex()))
    }

    fn list(values: &[f32]) -> Parameter {
        Array::new(vec![values.len()], values.to_vec()).unwrap().into()
    }

    /// Against the equation, written out for one entry and one unit.
    #[test]
    fn the_activity_is_that_of_the_equation_in_rows_and_rings() {
        let (glue, mins, maxs) = ([0.0, 1.0], [-1.0, 0.0], [3.0, 360.0]);
        let config = TopologicalPoissonSpikerConfig {
            glue: list(&glue),
            mins: list(&mins),
            maxs: list(&maxs),
            resolution: 7,
            sigma: 0.1,
            ..Default::default()
        };
        let signal = [0.4f32, 200.0];
        let tensor = Tensor::<2>::from_floats([signal], &Device::flex());
        let found = map(&config, 2).unwrap().activity(tensor).into_data().try_to_vec::<f32>().unwrap();
        for (place, found) in found.into_iter().enumerate() {
            let (entry, unit) = (place / 7, place % 7);
            let x = (signal[entry] - mins[entry]) / (maxs[entry] - mins[entry]);
            let g = PI * unit as f32 / 6.0;
            let z = if glue[entry] == 1.0 { (g + x * PI).sin() } else { (g - x * PI).tanh() };
            let expected = (-0.5 / 0.1 * z * z).exp();
            assert!((found - expected).abs() < 1e-5, "{place}: {found}, {expected}");
        }
    }

    #[test]
    fn gradients_of_the_activity_agree_with_finite_differences() {
        for glue in [0.0, 1.0] {
            let config = TopologicalPoissonSpikerConfig {
                glue: glue.into(),
                resolution: 6,
                sigma: 0.5,
                ..Default::default()
            };
            let map = map(&config, 1).unwrap();
            let at = |x: f32| {
                let signal = Tensor::<2>::full([1, 1], x, &Device::flex());
                map.activity(signal).sum().into_scalar::<f32>()
            };
            let slope = (at(0.31) - at(0.29)) / 0.02;
            let device = Device::flex().autodiff();
            let signal = Tensor::<2>::full([1, 1], 0.3, &device).require_grad();
            let total = map.clone().to_device(&device).activity(signal.clone()).sum();
            let found = signal.grad(&total.backward()).unwrap().into_scalar::<f32>();
            assert!((found - slope).abs() < 2e-2 * (1.0 + slope.abs()), "{found}, {slope}");
        }
    }

    #[test]
    fn a_range_the_wrong_way_round_is_refused() {
        let config = TopologicalPoissonSpikerConfig { mins: 2.0.into(), ..Default::default() };
        let Err(Defect::Problems(problems)) = map(&config, 1) else { panic!("refused") };
        assert_eq!(problems.to_string(), "maxs: found 1, expected more than the lower end 2");
        let config = TopologicalPoissonSpikerConfig { glue: 0.5.into(), ..Default::default() };
        assert!(map(&config, 1).is_err());
    }
}
