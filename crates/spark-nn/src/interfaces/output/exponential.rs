//! The activity of groups of units as exponential traces.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::{Builder, rate};
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::host::{HostStep, HostWiring, Signal};
use spark_core::payload::{Floats, PayloadKind, Shape};
use spark_core::ports::InputShapes;
use spark_kernels::host::HostFilter;
use spark_kernels::{Trace, trace_step};

use super::groups::{self, Deal, Groups};
use super::{DecoderInputs, DecoderOutputs, Traced, of_units};
use crate::config::config;

config! {
    /// The activity of groups of units as exponential traces.
    pub struct ExponentialIntegratorConfig {
        /// Number of groups, each with an output.
        #[schemars(extend("range" = "positive"))]
        num_outputs: usize = 1,
        /// Rate of the units of a group at which its trace saturates around 1.
        #[schemars(extend("unit" = "Hz", "range" = "positive"))]
        saturation_freq: Parameter = 50.0.into(),
        /// Time constant of the trace.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau: Parameter = 5.0.into(),
        /// The output of each unit, from 0. Where absent, units are dealt evenly.
        output_map: Option<Vec<usize>> = None,
        /// Whether units are dealt in random order.
        shuffle: bool = true,
        /// Whether a second, slower trace smoothes the first.
        smooth_trace: bool = true,
    }
}

/// Time constant of the second trace in ms, and what a spike adds to it.
const SMOOTHING: [f32; 2] = [10.0, 0.1];

/// One exponential trace for each group of units:
///
/// ```text
/// x_k = number of spikes in group k;   c_k = 1000/(f_sat·dt·τ·n_k), n_k the number of its units
/// plain:  T ← T + λ(τ)·(0 − T) + c_k·x_k;   signal = T              λ(τ) = 1 − exp(−dt/τ)
/// smooth: R ← R + λ(τ_r)·(0 − R) + c_k·x_k;   D ← D + λ(10 ms)·(0 − D) + x_k/10;   signal = D − R
///         1/τ_r = 1/τ + 1/(10 ms)
/// ```
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::interfaces::output::{DecoderInputs, ExponentialIntegratorConfig};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[4]));
/// let config = ExponentialIntegratorConfig {
///     num_outputs: 2,
///     output_map: Some(vec![0, 0, 1, 1]),
///     smooth_trace: false,
///     ..Default::default()
/// };
/// let mut integrator = config.run(&wired, 1, &Context::new("out", &device))?;
/// let spikes = Spikes::new(Tensor::from_floats([[1.0, 1.0, 0.0, 1.0]], &device));
/// let signal = integrator.advance(DecoderInputs { spikes }).signal.0;
/// // 1000/(50·1·5·2) = 2 for each spike.
/// assert_eq!(signal.into_data().try_to_vec::<f32>().unwrap(), [4.0, 2.0]);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct ExponentialIntegrator {
    /// Which units count for which output.
    pub groups: Groups,
    /// Rate at which a trace saturates in Hz, `[outputs]` or `[1]`.
    pub saturation_freq: Param<Tensor<1>>,
    /// Time constant in ms, `[outputs]` or `[1]`.
    pub tau: Param<Tensor<1>>,
    smooth: bool,
    dt: f32,
}

/// What a step of an [`ExponentialIntegrator`] reads.
#[derive(Clone, Debug)]
pub struct ExponentialPlan {
    members: Tensor<2>,
    trace: Trace<Tensor<1>>,
    /// The slower trace.
    decay: Option<Trace<Tensor<1>>>,
}

spark_core::state! {
    /// What an exponential integrator remembers.
    pub struct ExponentialState {
        /// Its traces.
        trace: ExponentialTraces,
    }
}

spark_core::state! {
    /// One trace, or two.
    pub struct ExponentialTraces {
        /// The plain trace, `[batch, outputs]`.
        trace: Option<Tensor<2>>,
        /// The faster one of two.
        tracer_rise: Option<Traced>,
        /// The slower one of two.
        tracer_decay: Option<Traced>,
    }
}

impl Component for ExponentialIntegrator {
    type Inputs = DecoderInputs;
    type Outputs = DecoderOutputs;
    type State = ExponentialState;
    type Plan = ExponentialPlan;

    fn plan(&self) -> ExponentialPlan {
        let tau = self.tau.val();
        let scale =
            (tau.clone() * self.saturation_freq.val() * self.groups.sizes()).recip() * 1000.0 / self.dt;
        let [smoothing, added] = SMOOTHING;
        let trace = |tau: Tensor<1>, scale| {
            let base = tau.clone().detach().zeros_like();
            Trace { rate: rate(self.dt, tau), base, scale, saturation: None }
        };
        let alike = |value: f32| Tensor::full([1], value, &tau.device());
        let decay = self.smooth.then(|| trace(alike(smoothing), alike(added)));
        let fast = if self.smooth { (tau.clone().recip() + 1.0 / smoothing).recip() } else { tau.clone() };
        ExponentialPlan { members: self.groups.members(), trace: trace(fast, scale), decay }
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> ExponentialState {
        let zeros = || Traced::start([batch, self.groups.outputs()], &self.tau.device());
        ExponentialState {
            trace: ExponentialTraces {
                trace: (!self.smooth).then(|| zeros().trace),
                tracer_rise: self.smooth.then(zeros),
                tracer_decay: self.smooth.then(zeros),
            },
        }
    }

    fn step(
        &self,
        plan: &ExponentialPlan,
        inputs: DecoderInputs,
        state: ExponentialState,
    ) -> (DecoderOutputs, ExponentialState) {
        let count = groups::count(of_units(&inputs.spikes), &plan.members);
        let traces = state.trace;
        let trace = traces.trace.map(|trace| trace_step(trace, count.clone(), &plan.trace));
        let rise = traces
            .tracer_rise
            .map(|rise| Traced { trace: trace_step(rise.trace, count.clone(), &plan.trace) });
        let decay = traces
            .tracer_decay
            .zip(plan.decay.as_ref())
            .map(|(decay, slow)| Traced { trace: trace_step(decay.trace, count, slow) });
        let signal = match (&trace, &rise, &decay) {
            (_, Some(rise), Some(decay)) => decay.trace.clone() - rise.trace.clone(),
            (Some(trace), ..) => trace.clone(),
            _ => unreachable!("the initial state holds the traces of the form"),
        };
        let trace = ExponentialTraces { trace, tracer_rise: rise, tracer_decay: decay };
        (DecoderOutputs { signal: Floats(signal) }, ExponentialState { trace })
    }

    fn on_host(
        &self,
        plan: &ExponentialPlan,
        state: &ExponentialState,
        wiring: &mut HostWiring,
    ) -> Option<Box<dyn HostStep<Self>>> {
        let traces = &state.trace;
        let first = traces.trace.as_ref().or(traces.tracer_rise.as_ref().map(|rise| &rise.trace))?;
        let slow = match (&traces.tracer_decay, &plan.decay) {
            (Some(decay), Some(slow)) => Some(HostFilter::new(slow, &decay.trace)?),
            _ => None,
        };
        let of_unit = self.groups.of_unit.val().into_data();
        Some(Box::new(IntegratorOnHost {
            spikes: wiring.place("spikes")?,
            of_unit: of_unit.iter::<i64>().map(|output| output as usize).collect(),
            counts: vec![0.0; self.groups.outputs()],
            trace: HostFilter::new(&plan.trace, first)?,
            slow,
        }))
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Floats, &[self.groups.outputs()])]
    }
}

/// An integrator at work on the host.
#[derive(Debug)]
struct IntegratorOnHost {
    spikes: usize,
    /// The output of each unit.
    of_unit: Vec<usize>,
    counts: Vec<f32>,
    trace: HostFilter,
    slow: Option<HostFilter>,
}

impl HostStep<ExponentialIntegrator> for IntegratorOnHost {
    fn step(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        self.counts.fill(0.0);
        for unit in inputs[self.spikes].spiking().active() {
            self.counts[self.of_unit[*unit as usize]] += 1.0;
        }
        let trace = self.trace.step(&self.counts);
        match &mut self.slow {
            None => outputs[0].write(trace),
            Some(slow) => {
                outputs[0].write(slow.step(&self.counts));
                let Signal::Values(signal) = &mut outputs[0] else { unreachable!("values were written") };
                signal.iter_mut().zip(trace).for_each(|(signal, rise)| *signal -= rise);
            }
        }
    }

    fn settle(&self, component: &mut ExponentialIntegrator, state: &mut ExponentialState) {
        let device = component.tau.val().device();
        let (first, traces) = (self.trace.value(&device), &mut state.trace);
        match &self.slow {
            None => traces.trace = Some(first),
            Some(slow) => {
                traces.tracer_rise = Some(Traced { trace: first });
                traces.tracer_decay = Some(Traced { trace: slow.value(&device) });
            }
        }
    }
}

impl ComponentConfig for ExponentialIntegratorConfig {
    const NAME: &'static str = "ExponentialIntegrator";
    const FAMILY: Family = Family::OutputInterface;
    const SUMMARY: &'static str = "The activity of groups of units as exponential traces";
    const EQUATION: &'static str = "T_k ← T_k·exp(−dt/τ) + c_k·Σ S, c_k = 1000/(f_sat·dt·τ·n_k); smooth: D_k − R_k with 1/τ_r = 1/τ + 1/(10 ms) \
         for R_k and D_k ← D_k·exp(−dt/(10 ms)) + Σ S/10";

    type Component = ExponentialIntegrator;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<ExponentialIntegrator, Defect> {
        let units = groups::units(inputs, "spikes")?.count();
        let Self { num_outputs: outputs, shuffle, seed, .. } = *self;
        let deal = Deal { outputs, map: self.output_map.as_deref(), shuffle, seed };
        let builder = Builder { context, seed };
        Ok(ExponentialIntegrator {
            groups: deal.groups(units, context)?,
            saturation_freq: builder.units("saturation_freq", &self.saturation_freq, &[outputs])?,
            tau: builder.units("tau", &self.tau, &[outputs])?,
            smooth: self.smooth_trace,
            dt: self.dt,
        })
    }
}

spark_core::register!(ExponentialIntegratorConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use spark_core::payload::Spikes;

    fn integrator(smooth_trace: bool, tau: f32, device: &Device) -> ExponentialIntegrator {
        let wired = InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[4]));
        let config = ExponentialIntegratorConfig {
            num_outputs: 2,
            smooth_trace,
            tau: tau.into(),
            ..Default::default()
        };
        config.build(&wired, &Context::new("out", device)).unwrap()
    }

    /// The sum of all signals over some steps of a fixed pattern.
    fn total(integrator: &ExponentialIntegrator, scale: Tensor<2>) -> Tensor<1> {
        let device = scale.device();
        let patterns = [[1.0, 0.0, 1.0, 1.0], [0.0; 4], [0.0, 1.0, 0.0, 0.0]];
        let inputs = patterns.map(|pattern| DecoderInputs {
            spikes: Spikes::new(Tensor::<2>::from_floats([pattern], &device) * scale.clone()),
        });
        let (outputs, _) = integrator.sequence(inputs, integrator.initial_state(&integrator.plan(), 1));
        outputs.into_iter().fold(Tensor::zeros([1], &device), |sum, out| sum + out.signal.0.sum())
    }

    #[test]
    fn gradients_reach_spikes_and_time_constant() {
        for smooth in [false, true] {
            let at = |tau: f32| {
                let device = Device::flex();
                total(&integrator(smooth, tau, &device), Tensor::ones([1, 4], &device)).into_scalar::<f32>()
            };
            let slope = (at(5.01) - at(4.99)) / 0.02;
            let device = Device::flex().autodiff();
            let mut integrator = integrator(smooth, 5.0, &device);
            integrator.tau = integrator.tau.set_require_grad(true);
            let scale = Tensor::<2>::ones([1, 4], &device).require_grad();
            let sum = total(&integrator, scale.clone());
            let value = sum.clone().into_scalar::<f32>();
            let gradients = sum.backward();
            let found = integrator.tau.val().grad(&gradients).unwrap().into_scalar::<f32>();
            assert!((found - slope).abs() < 1e-2 * (1.0 + slope.abs()), "{smooth}: {found}, {slope}");
            // The signal is linear in the spikes.
            let along = scale.grad(&gradients).unwrap().sum().into_scalar::<f32>();
            assert!((along - value).abs() < 1e-4 * (1.0 + value.abs()), "{smooth}: {along}, {value}");
        }
    }
}
