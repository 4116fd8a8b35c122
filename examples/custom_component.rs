//! Components of your own: a soma and a learning rule that Spark does not have, each registered with one line
//! and then used from a model file by name, like any other.
//!
//! The soma integrates its input without a leak. The rule is that of Bienenstock, Cooper & Munro (1982): it
//! strengthens active synapses while the unit fires above a threshold and weakens them below it, and the
//! threshold follows the square of the rate; inputs compete, and rates settle near a target. The program shows
//! the rate of the units as they learn.
//!
//! ```sh
//! cargo run --release --example custom_component
//! ```

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use clap::Parser;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark::core::Parameter;
use spark::core::build::{Builder, rate};
use spark::core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark::core::payload::{Kernel, Payload, PayloadKind, Potentials, Shape, Spikes};
use spark::core::ports::{InputShapes, PortValues, PropertySpec};
use spark::io::model;
use spark::kernels::philox::Stream;
use spark::kernels::{Surrogate, random, spike};
use spark::nn::components::plasticity::{KernelOutput, RuleInputs};
use spark::nn::components::somas::{SomaInputs, SomaOutputs};
use spark::prelude::Device;
use std::error::Error;
use std::path::PathBuf;

// ── a soma ──

/// What a configuration may say of the soma; units and ranges are checked, shown and documented.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct PerfectIntegratorSomaConfig {
    /// Seed of the parameters that are drawn.
    seed: Option<u64>,
    /// Duration of a step.
    #[schemars(extend("unit" = "ms", "range" = "positive"))]
    dt: f32,
    /// Membrane capacitance.
    #[schemars(extend("unit" = "pF", "range" = "positive"))]
    capacitance: Parameter,
    /// Threshold above the reset.
    #[schemars(extend("unit" = "mV", "range" = "positive"))]
    threshold: Parameter,
}

impl Default for PerfectIntegratorSomaConfig {
    fn default() -> Self {
        Self { seed: None, dt: 1.0, capacitance: 200.0.into(), threshold: 10.0.into() }
    }
}

/// `V ← V + dt/C·I`; a unit spikes where `V > θ`, which takes `θ` off.
#[derive(Module, Debug)]
struct PerfectIntegratorSoma {
    capacitance: Param<Tensor<1>>,
    threshold: Param<Tensor<1>>,
    #[module(skip)]
    units: Vec<usize>,
    dt: f32,
}

spark::core::state! {
    /// What the soma remembers.
    pub struct IntegratorState {
        /// Potential in mV, `[batch, units]`.
        potential: Tensor<2>,
    }
}

impl Component for PerfectIntegratorSoma {
    type Inputs = SomaInputs;
    type Outputs = SomaOutputs;
    type State = IntegratorState;
    /// Gain and threshold, `[1, units]` or `[1, 1]`.
    type Plan = [Tensor<2>; 2];

    const PROPERTIES: &'static [PropertySpec] = &[PropertySpec {
        name: "potential",
        kind: PayloadKind::Potentials,
        writable: false,
        description: "Membrane potential above the reset.",
    }];

    fn plan(&self) -> Self::Plan {
        [self.capacitance.val().recip() * self.dt, self.threshold.val()].map(|plane| plane.unsqueeze())
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> IntegratorState {
        let units = self.units.iter().product();
        IntegratorState { potential: Tensor::zeros([batch, units], &self.threshold.val().device()) }
    }

    fn step(
        &self,
        [gain, threshold]: &Self::Plan,
        inputs: SomaInputs,
        state: IntegratorState,
    ) -> (SomaOutputs, IntegratorState) {
        let v = state.potential + inputs.current.0 * gain.clone();
        // A step forwards; backwards its derivative is a surrogate.
        let spikes = spike(v.clone() - threshold.clone(), Surrogate::default());
        let potential = v - spikes.clone() * threshold.clone();
        let spikes = Spikes::new(spikes).with_inhibitory(inputs.inhibition_mask.map(|mask| mask.0));
        (SomaOutputs { spikes }, IntegratorState { potential })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Spikes, &self.units)]
    }

    fn property(&self, state: &IntegratorState, name: &str) -> Option<Payload> {
        (name == "potential").then(|| Potentials(state.potential.clone()).into())
    }
}

impl ComponentConfig for PerfectIntegratorSomaConfig {
    const NAME: &'static str = "PerfectIntegratorSoma";
    const FAMILY: Family = Family::Soma;
    const SUMMARY: &'static str = "Integrate-and-fire units without a leak";
    const EQUATION: &'static str = "V ← V + dt/C·I; S = V > θ; V ← V − θ·S";
    const SOURCE: &'static str = "Lapicque (1907)";

    type Component = PerfectIntegratorSoma;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<PerfectIntegratorSoma, Defect> {
        let units = &inputs.require("current", PayloadKind::Currents)?.units;
        let builder = Builder { context, seed: self.seed };
        Ok(PerfectIntegratorSoma {
            capacitance: builder.units("capacitance", &self.capacitance, units)?,
            threshold: builder.units("threshold", &self.threshold, units)?,
            units: units.clone(),
            dt: self.dt,
        })
    }
}

spark::core::register!(PerfectIntegratorSomaConfig);

// ── a learning rule ──

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct BCMRuleConfig {
    /// Duration of a step.
    #[schemars(extend("unit" = "ms", "range" = "positive"))]
    dt: f32,
    /// Learning rate.
    eta: f32,
    /// Time constant of the rates of inputs and units.
    #[schemars(extend("unit" = "ms", "range" = "positive"))]
    rate_tau: Parameter,
    /// Time constant of the threshold.
    #[schemars(extend("unit" = "ms", "range" = "positive"))]
    threshold_tau: Parameter,
    /// Rate near which units settle.
    #[schemars(extend("unit" = "Hz", "range" = "positive"))]
    target: f32,
}

impl Default for BCMRuleConfig {
    fn default() -> Self {
        let (rate_tau, threshold_tau) = (100.0.into(), 1000.0.into());
        Self { dt: 1.0, eta: 1e-4, rate_tau, threshold_tau, target: 10.0 }
    }
}

/// With `x` and `y` the rates of inputs and units in Hz as traces, and `θ` the average of `y²/y₀`:
///
/// ```text
/// W ← max(W + dt·η·x·y·(y − θ)/y₀, 0)
/// ```
#[derive(Module, Debug)]
struct BCMRule {
    rate_tau: Param<Tensor<1>>,
    threshold_tau: Param<Tensor<1>>,
    #[module(skip)]
    kernel: Shape,
    #[module(skip)]
    counts: [usize; 2],
    eta: f32,
    target: f32,
    dt: f32,
}

spark::core::state! {
    /// What the rule remembers.
    pub struct BCMState {
        /// Rate of the inputs in Hz, `[batch, pre]`.
        x: Tensor<2>,
        /// Rate of the units in Hz, `[batch, post]`.
        y: Tensor<2>,
        /// The threshold in Hz, `[batch, post]`.
        threshold: Tensor<2>,
    }
}

impl Component for BCMRule {
    type Inputs = RuleInputs;
    type Outputs = KernelOutput;
    type State = BCMState;
    /// By how much rates and threshold move towards what is new, `[1, 1]` each.
    type Plan = [Tensor<2>; 2];

    fn plan(&self) -> Self::Plan {
        [&self.rate_tau, &self.threshold_tau].map(|tau| rate(self.dt, tau.val()).unsqueeze())
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> BCMState {
        let [x, y] = self.counts.map(|units| Tensor::zeros([batch, units], &self.rate_tau.val().device()));
        BCMState { x, threshold: y.clone() + self.target, y }
    }

    fn step(
        &self,
        [rates, slow]: &Self::Plan,
        inputs: RuleInputs,
        BCMState { x, y, threshold }: BCMState,
    ) -> (KernelOutput, BCMState) {
        let follow = |trace: Tensor<2>, spikes: &Spikes| {
            let fired = spikes.units().expect("spikes by unit") * (1000.0 / self.dt);
            trace.clone() + (fired - trace) * rates.clone()
        };
        let (x, y) = (follow(x, &inputs.pre_spikes), follow(y, &inputs.post_spikes));
        let square = y.clone().powi_scalar(2) / self.target;
        let threshold = threshold.clone() + (square - threshold) * slow.clone();
        // The mean over samples of x·φ for every pair, `[pre, post]`.
        let [samples, _] = x.dims();
        let drive = y.clone() * (y.clone() - threshold.clone()) * (self.dt * self.eta / self.target);
        let change = x.clone().transpose().matmul(drive) / samples as f32;
        let kernel = Kernel((inputs.kernel.0 + change).clamp_min(0.0));
        (KernelOutput { kernel }, BCMState { x, y, threshold })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![self.kernel.clone()]
    }
}

impl ComponentConfig for BCMRuleConfig {
    const NAME: &'static str = "BCMRule";
    const FAMILY: Family = Family::Plasticity;
    const SUMMARY: &'static str = "Competing synapses under a threshold that slides";
    const EQUATION: &'static str = "W ← max(W + dt·η·x·y·(y − θ)/y₀, 0); θ: average of y²/y₀";
    const SOURCE: &'static str = "Bienenstock, Cooper & Munro (1982)";

    type Component = BCMRule;

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<BCMRule, Defect> {
        let builder = Builder { context, seed: None };
        let [pre, post] = [
            inputs.require("pre_spikes", PayloadKind::Spikes)?,
            inputs.require("post_spikes", PayloadKind::Spikes)?,
        ];
        if pre.pairs {
            return Err(Defect::field("pre_spikes", pre, "spikes by unit"));
        }
        Ok(BCMRule {
            rate_tau: builder.units("rate_tau", &self.rate_tau, &[])?,
            threshold_tau: builder.units("threshold_tau", &self.threshold_tau, &[])?,
            kernel: inputs.require("kernel", PayloadKind::Kernel)?.clone(),
            counts: [pre.count(), post.count()],
            eta: self.eta,
            target: self.target,
            dt: self.dt,
        })
    }
}

spark::core::register!(BCMRuleConfig);

// ── used like any other component ──

/// Run a model that uses a soma and a learning rule of this program
#[derive(Parser)]
struct Args {
    /// The model
    #[arg(long, default_value = "examples/models/custom_component.json", value_name = "FILE")]
    model: PathBuf,
    /// Seconds to simulate
    #[arg(long, default_value_t = 10, value_name = "N")]
    seconds: usize,
}

/// Rate of the inputs in Hz.
const INPUT: f64 = 20.0;

#[allow(clippy::print_stdout)] // What the program is for.
fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let device = Device::flex();
    let model = model::read(&args.model)?.model;
    let shapes = model.declared_inputs()?;
    let inputs = shapes.get("in_spikes").ok_or("the model has no input `in_spikes`")?.count();
    let mut neuron = model.build(&shapes, 1, &Context::new("", &device))?;
    println!("second  units (Hz)");
    for second in 0..args.seconds {
        let (mut spikes, mut units) = (0.0, 1);
        for step in 0..1000 {
            let stream = Stream::new(1, 0, (1000 * second + step) as u64);
            let arriving = random::bernoulli(INPUT as f32 / 1000.0, [1, inputs], stream, &device);
            let mut values = PortValues::default();
            values.put("in_spikes", Spikes::new(arriving));
            let outputs = neuron.step(values)?;
            if let Some(Payload::Spikes(fired)) = outputs.get("out_spikes")
                && let Some(fired) = fired.units()
            {
                units = fired.dims()[1];
                spikes += fired.sum().into_scalar::<f32>();
            }
        }
        println!("{:>6}  {:>10.1}", second + 1, spikes / units as f32);
    }
    Ok(())
}
