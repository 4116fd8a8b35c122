//! Signals summed or averaged over time.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::{Builder, rate};
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{Floats, PayloadKind, Shape};
use spark_core::ports::{InputShapes, PortError};
use spark_kernels::{Trace, trace_step};

use crate::config::config;

/// The configurations of both: they differ in what an input adds.
macro_rules! signal_config {
    ($(#[$meta:meta])* pub struct $name:ident;) => {
        config! {
            $(#[$meta])*
            pub struct $name {
                /// Time constant.
                #[schemars(extend("unit" = "ms", "range" = "positive"))]
                tau: Parameter = 10.0.into(),
                /// What the trace falls back to.
                base: Parameter = 0.0.into(),
            }
        }

        impl $name {
            fn tracer(
                &self,
                inputs: &InputShapes,
                context: &Context,
                average: bool,
            ) -> Result<SignalTracer, Defect> {
                let signal = inputs.require("signal", PayloadKind::Floats)?;
                if let Some(trace) = inputs.get("trace")
                    && trace.count() != signal.count()
                {
                    let (found, expected) = (trace.to_string(), format!("{signal} as at `signal`"));
                    return Err(PortError::Mismatch { port: "trace".to_owned(), found, expected }.into());
                }
                let builder = Builder { context, seed: self.seed };
                Ok(SignalTracer {
                    tau: builder.units("tau", &self.tau, &signal.units)?,
                    base: builder.units("base", &self.base, &signal.units)?,
                    average,
                    dt: self.dt,
                    entries: signal.units.clone(),
                })
            }
        }
    };
}

signal_config! {
    /// A signal summed over time, with a leak.
    pub struct SignalAccumulatorConfig;
}

signal_config! {
    /// A signal averaged over time.
    pub struct SignalAverageConfig;
}

spark_core::ports! {
    /// What an accumulator or average takes.
    pub struct SignalInputs {
        /// The signal.
        signal: Floats,
        /// Another trace, added to the output.
        trace: Option<Floats>,
    }
}

spark_core::ports! {
    /// What an accumulator or average gives.
    pub struct SignalOutputs {
        /// The trace of the signal.
        output: Floats,
    }
}

/// An exponential trace of a signal:
///
/// ```text
/// T ← T + λ·(b − T) + c·signal        λ = 1 − exp(−dt/τ);   c = 1 to accumulate, λ to average
/// output = T + trace
/// ```
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Floats, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::interfaces::control::{SignalAverageConfig, SignalInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[1]));
/// let mut average = SignalAverageConfig::default().run(&wired, 1, &Context::new("average", &device))?;
/// let mut last = 0.0;
/// for step in 0..200 {
///     // 0 and 6 in turn.
///     let signal = Floats(Tensor::full([1, 1], (step % 2) as f32 * 6.0, &device));
///     last = average.advance(SignalInputs { signal, trace: None }).output.0.into_scalar::<f32>();
/// }
/// assert!((last - 3.0).abs() < 0.2);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct SignalTracer {
    /// Time constant in ms, `[entries]` or `[1]`.
    pub tau: Param<Tensor<1>>,
    /// What the trace falls back to, `[entries]` or `[1]`.
    pub base: Param<Tensor<1>>,
    average: bool,
    dt: f32,
    #[module(skip)]
    entries: Vec<usize>,
}

/// A signal summed over time, with a leak.
pub type SignalAccumulator = SignalTracer;

/// A signal averaged over time.
pub type SignalAverage = SignalTracer;

spark_core::state! {
    /// What an accumulator or average remembers.
    pub struct SignalState {
        /// Its trace.
        trace: SignalTrace,
    }
}

spark_core::state! {
    /// An exponential trace.
    pub struct SignalTrace {
        /// Its value, `[batch, entries]`.
        trace: Tensor<2>,
    }
}

impl Component for SignalTracer {
    type Inputs = SignalInputs;
    type Outputs = SignalOutputs;
    type State = SignalState;
    type Plan = Trace<Tensor<1>>;

    fn plan(&self) -> Self::Plan {
        let (tau, base) = (self.tau.val(), self.base.val());
        let rate = rate(self.dt, tau);
        let scale = if self.average { rate.clone() } else { Tensor::ones([1], &rate.device()) };
        Trace { rate, base, scale, saturation: None }
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> SignalState {
        let base: Tensor<2> = self.base.val().unsqueeze();
        // A copy of its own for every sample: the state is written in place.
        let trace = Tensor::zeros([batch, self.entries.iter().product()], &base.device()) + base;
        SignalState { trace: SignalTrace { trace } }
    }

    fn step(
        &self,
        plan: &Self::Plan,
        inputs: SignalInputs,
        state: SignalState,
    ) -> (SignalOutputs, SignalState) {
        let trace = trace_step(state.trace.trace, inputs.signal.0, plan);
        let output = match inputs.trace {
            Some(Floats(other)) => trace.clone() + other,
            None => trace.clone(),
        };
        (SignalOutputs { output: Floats(output) }, SignalState { trace: SignalTrace { trace } })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Floats, &self.entries)]
    }
}

impl ComponentConfig for SignalAccumulatorConfig {
    const NAME: &'static str = "SignalAccumulator";
    const FAMILY: Family = Family::Control;
    const SUMMARY: &'static str = "A signal summed over time, with a leak";
    const EQUATION: &'static str = "T ← T + λ·(b − T) + signal, λ = 1 − exp(−dt/τ); output = T + trace";

    type Component = SignalAccumulator;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<SignalAccumulator, Defect> {
        self.tracer(inputs, context, false)
    }
}

impl ComponentConfig for SignalAverageConfig {
    const NAME: &'static str = "SignalAverage";
    const FAMILY: Family = Family::Control;
    const SUMMARY: &'static str = "A signal averaged over time";
    const EQUATION: &'static str = "T ← T + λ·(b − T) + λ·signal, λ = 1 − exp(−dt/τ); output = T + trace";

    type Component = SignalAverage;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<SignalAverage, Defect> {
        self.tracer(inputs, context, true)
    }
}

spark_core::register!(SignalAccumulatorConfig);
spark_core::register!(SignalAverageConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn shape(entries: &[usize]) -> Shape {
        Shape::new(PayloadKind::Floats, entries)
    }

    #[test]
    fn another_trace_is_added_to_the_output_only() {
        let device = Device::flex();
        let wired = InputShapes::default().with("signal", shape(&[2])).with("trace", shape(&[2]));
        let mut sum =
            SignalAccumulatorConfig::default().run(&wired, 1, &Context::new("sum", &device)).unwrap();
        let decay = (-0.1f32).exp();
        for expected in [1.5, 1.0 + decay + 0.5] {
            let trace = Some(Floats(Tensor::full([1, 2], 0.5, &device)));
            let signal = Floats(Tensor::ones([1, 2], &device));
            let output = sum.advance(SignalInputs { signal, trace }).output.0.into_data();
            assert!(output.iter::<f32>().all(|found| (found - expected).abs() < 1e-6), "{output}");
        }
        let wired = InputShapes::default().with("signal", shape(&[2])).with("trace", shape(&[3]));
        let error = SignalAverageConfig::default().run(&wired, 1, &Context::new("sum", &device)).unwrap_err();
        let expected = "port `trace`: found floats [3], expected floats [2] as at `signal`";
        assert!(error.to_string().ends_with(expected), "{error}");
    }

    #[test]
    fn gradients_reach_signal_time_constant_and_base() {
        let run = |tau: f32, base: f32, device: &Device| {
            let wired = InputShapes::default().with("signal", shape(&[2]));
            let config = SignalAverageConfig { tau: tau.into(), base: base.into(), ..Default::default() };
            let mut average = config.build(&wired, &Context::new("average", device)).unwrap();
            let mut signal = Tensor::<2>::from_floats([[1.0, -2.0]], device);
            if device.is_autodiff() {
                average.tau = average.tau.set_require_grad(true);
                average.base = average.base.set_require_grad(true);
                signal = signal.require_grad();
            }
            let inputs = (0..3).map(|_| SignalInputs { signal: Floats(signal.clone()), trace: None });
            let (outputs, _) = average.sequence(inputs, average.initial_state(&average.plan(), 1));
            (outputs[2].output.0.clone().powi_scalar(2).sum(), signal, average)
        };
        let at = |tau: f32, base: f32| run(tau, base, &Device::flex()).0.into_scalar::<f32>();
        let slopes = [(at(10.05, 0.3) - at(9.95, 0.3)) / 0.1, (at(10.0, 0.301) - at(10.0, 0.299)) / 0.002];
        let (total, signal, average) = run(10.0, 0.3, &Device::flex().autodiff());
        let gradients = total.backward();
        let found = [&average.tau, &average.base]
            .map(|parameter| parameter.val().grad(&gradients).unwrap().into_scalar::<f32>());
        for (found, slope) in found.into_iter().zip(slopes) {
            assert!((found - slope).abs() < 1e-2 * (0.1 + slope.abs()), "{found}, {slope}");
        }
        assert!(signal.grad(&gradients).unwrap().into_data().iter::<f32>().all(|slope| slope != 0.0));
    }
}
