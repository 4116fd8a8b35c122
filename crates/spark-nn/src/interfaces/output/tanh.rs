//! Two groups of units that pull against each other.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::{Builder, rate};
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{Floats, PayloadKind, Shape, Spikes};
use spark_core::ports::InputShapes;
use spark_kernels::{Trace, trace_step};
use std::f32::consts::PI;

use super::{DecoderOutputs, Traced, groups, of_units};
use crate::config::config;

config! {
    /// The difference in activity of two groups of units, from −1 to 1.
    pub struct TanhIntegratorConfig {
        /// Rate of the units of a group at which its trace saturates around 1.
        #[schemars(extend("unit" = "Hz", "range" = "positive"))]
        saturation_freq: Parameter = 50.0.into(),
        /// Time constant of the traces.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau: Parameter = 5.0.into(),
        /// Whether the difference is smoothed by a trace of its own.
        smooth: bool = true,
        /// Time constant of that trace.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        smooth_tau: Parameter = 5.0.into(),
    }
}

spark_core::ports! {
    /// What a tanh integrator takes.
    pub struct TanhInputs {
        /// Spikes of the units that pull up.
        x_spikes: Spikes,
        /// Spikes of the units that pull down.
        y_spikes: Spikes,
    }
}

/// The difference in activity of two groups of units:
///
/// ```text
/// T_g ← clip(T_g + λ(τ)·(0 − T_g) + 1000/(f_sat·dt·τ·n_g)·Σ S_g, −1, 1)     for each group g of n_g units
/// d = T_x − T_y
/// D ← clip(D + λ(τ_s)·(0 − D) + d/τ_s, −1, 1)                               smoothed; else D = d
/// signal = tanh(π·D)                                                        λ(τ) = 1 − exp(−dt/τ)
/// ```
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::interfaces::output::{TanhInputs, TanhIntegratorConfig};
///
/// let device = Device::flex();
/// let wired = InputShapes::default()
///     .with("x_spikes", Shape::new(PayloadKind::Spikes, &[2]))
///     .with("y_spikes", Shape::new(PayloadKind::Spikes, &[3]));
/// let config = TanhIntegratorConfig { smooth: false, ..Default::default() };
/// let mut integrator = config.run(&wired, 1, &Context::new("out", &device))?;
/// let x_spikes = Spikes::new(Tensor::ones([1, 2], &device));
/// let y_spikes = Spikes::new(Tensor::zeros([1, 3], &device));
/// let signal = integrator.advance(TanhInputs { x_spikes, y_spikes }).signal.0;
/// assert!(signal.into_scalar::<f32>() > 0.99);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct TanhIntegrator {
    /// Rate at which a trace saturates in Hz, `[2]` or `[1]`.
    pub saturation_freq: Param<Tensor<1>>,
    /// Time constant of the traces in ms, `[2]` or `[1]`.
    pub tau: Param<Tensor<1>>,
    /// Time constant of the trace that smoothes in ms, `[1]`.
    pub smooth_tau: Option<Param<Tensor<1>>>,
    #[module(skip)]
    units: [usize; 2],
    dt: f32,
}

/// What a step of a [`TanhIntegrator`] reads.
#[derive(Clone, Debug)]
pub struct TanhPlan {
    trace: Trace<Tensor<1>>,
    smooth: Option<Trace<Tensor<1>>>,
}

spark_core::state! {
    /// What a tanh integrator remembers.
    pub struct TanhState {
        /// The trace of each group, `[batch, 2]`.
        trace: Traced,
        /// The trace of the difference, `[batch, 1]`.
        smooth_trace: Option<Traced>,
    }
}

impl Component for TanhIntegrator {
    type Inputs = TanhInputs;
    type Outputs = DecoderOutputs;
    type State = TanhState;
    type Plan = TanhPlan;

    fn plan(&self) -> TanhPlan {
        let trace = |tau: Tensor<1>, scale: Tensor<1>| {
            let one = Tensor::ones([1], &tau.device());
            Trace { rate: rate(self.dt, tau), base: one.zeros_like(), scale, saturation: Some(one) }
        };
        let tau = self.tau.val();
        let sizes = Tensor::<1>::from_floats(self.units.map(|units| units as f32), &tau.device());
        let scale = (tau.clone() * self.saturation_freq.val() * sizes).recip() * 1000.0 / self.dt;
        let smooth = self.smooth_tau.as_ref().map(|tau| trace(tau.val(), tau.val().recip()));
        TanhPlan { trace: trace(tau, scale), smooth }
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> TanhState {
        let start = |width| Traced::start([batch, width], &self.tau.device());
        TanhState { trace: start(2), smooth_trace: self.smooth_tau.is_some().then(|| start(1)) }
    }

    fn step(&self, plan: &TanhPlan, inputs: TanhInputs, state: TanhState) -> (DecoderOutputs, TanhState) {
        let counts = [&inputs.x_spikes, &inputs.y_spikes].map(|spikes| of_units(spikes).sum_dim(1));
        let trace = trace_step(state.trace.trace, Tensor::cat(counts.into(), 1), &plan.trace);
        let difference = trace.clone().narrow(1, 0, 1) - trace.clone().narrow(1, 1, 1);
        let (pull, smooth_trace) = match (state.smooth_trace, &plan.smooth) {
            (Some(smooth), Some(parameters)) => {
                let trace = trace_step(smooth.trace, difference, parameters);
                (trace.clone(), Some(Traced { trace }))
            }
            _ => (difference, None),
        };
        let signal = Floats((pull * PI).tanh());
        (DecoderOutputs { signal }, TanhState { trace: Traced { trace }, smooth_trace })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Floats, &[1])]
    }
}

impl ComponentConfig for TanhIntegratorConfig {
    const NAME: &'static str = "TanhIntegrator";
    const FAMILY: Family = Family::OutputInterface;
    const SUMMARY: &'static str = "The difference in activity of two groups of units, from −1 to 1";
    const EQUATION: &'static str = "signal = tanh(π·(T_x − T_y)); T_g ← clip(T_g·exp(−dt/τ) + 1000/(f_sat·dt·τ·n_g)·Σ S_g, −1, 1); \
         the difference smoothed by a trace of time constant τ_s";

    type Component = TanhIntegrator;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<TanhIntegrator, Defect> {
        let units = [groups::units(inputs, "x_spikes")?.count(), groups::units(inputs, "y_spikes")?.count()];
        let builder = Builder { context, seed: self.seed };
        let smooth_tau = self.smooth.then_some(&self.smooth_tau);
        Ok(TanhIntegrator {
            saturation_freq: builder.units("saturation_freq", &self.saturation_freq, &[2])?,
            tau: builder.units("tau", &self.tau, &[2])?,
            smooth_tau: builder.optional("smooth_tau", smooth_tau, &[1])?,
            units,
            dt: self.dt,
        })
    }
}

spark_core::register!(TanhIntegratorConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// The last signal after some steps of a fixed pattern that saturates no trace.
    fn last(tau: f32, scale: Tensor<2>, train: bool) -> (Tensor<2>, TanhIntegrator) {
        let shape = |units| Shape::new(PayloadKind::Spikes, &[units]);
        let wired = InputShapes::default().with("x_spikes", shape(20)).with("y_spikes", shape(12));
        let config = TanhIntegratorConfig { tau: tau.into(), ..Default::default() };
        let device = scale.device();
        let mut integrator = config.build(&wired, &Context::new("out", &device)).unwrap();
        if train {
            integrator.tau = integrator.tau.set_require_grad(true);
        }
        let inputs = (0..3).map(|step| {
            let spikes = |units, rest: usize| {
                let pattern = (0..units).map(|unit| f32::from((unit + step) % 11 == rest));
                let pattern = Tensor::<1>::from_floats(pattern.collect::<Vec<_>>().as_slice(), &device);
                Spikes::new(pattern.unsqueeze::<2>() * scale.clone())
            };
            TanhInputs { x_spikes: spikes(20, 0), y_spikes: spikes(12, 6) }
        });
        let (outputs, _) = integrator.sequence(inputs, integrator.initial_state(&integrator.plan(), 1));
        (outputs.into_iter().last().unwrap().signal.0, integrator)
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let plain = Device::flex();
        let at = |tau: f32, scale: f32| {
            last(tau, Tensor::full([1, 1], scale, &plain), false).0.into_scalar::<f32>()
        };
        let slopes = [(at(5.02, 1.0) - at(4.98, 1.0)) / 0.04, (at(5.0, 1.01) - at(5.0, 0.99)) / 0.02];
        let scale = Tensor::<2>::ones([1, 1], &Device::flex().autodiff()).require_grad();
        let (signal, integrator) = last(5.0, scale.clone(), true);
        let gradients = signal.sum().backward();
        let found = [integrator.tau.val().grad(&gradients).unwrap().into_scalar::<f32>(), {
            scale.grad(&gradients).unwrap().into_scalar::<f32>()
        }];
        for (found, slope) in found.into_iter().zip(slopes) {
            assert!(slope != 0.0 && (found - slope).abs() < 2e-2 * (0.1 + slope.abs()), "{found}, {slope}");
        }
    }
}
