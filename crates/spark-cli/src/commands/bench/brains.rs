//! Whole neurons and brains, step by step as a user runs them.

use anyhow::{Result, anyhow};
use serde_json::{Map, json};
use spark::burn::tensor::{Tensor, TensorData};
use spark::core::component::{ComponentConfig, Context, Instance};
use spark::core::model::{Model, ModuleSpec};
use spark::core::payload::{Floats, Kernel, Payload, PayloadKind, Shape, Spikes};
use spark::core::ports::{InputShapes, PortValues};
use spark::nn::components::delays::N2NDelaysConfig;
use spark::nn::components::plasticity::{HebbianRuleConfig, QuadrupletRuleConfig, ZenkeRuleConfig};
use spark::nn::components::somas::{AdaptiveExponentialSomaConfig, AdaptiveLeakySomaConfig};
use spark::nn::components::synapses::{LinearSynapsesConfig, TracedSynapsesConfig};
use spark::nn::controllers::{Controller, NeuronConfig};
use spark::prelude::Device;

use super::sim::{per_step, uniform};
use super::{Bench, Measurement, Workload};

const DENSE: &str = "dense products and Burn operations, without plasticity";

pub const WORKLOADS: &[Workload] = &[
    Workload { name: "lif_linear_256", baseline: DENSE, run: |bench| Neuron::linear(256).measure(bench) },
    Workload { name: "lif_linear_1024", baseline: DENSE, run: |bench| Neuron::linear(1024).measure(bench) },
    Workload { name: "lif_linear_4096", baseline: DENSE, run: |bench| Neuron::linear(4096).measure(bench) },
    Workload {
        name: "lif_traced_delays_1024",
        baseline: DENSE,
        run: |bench| Neuron::delayed(1024).measure(bench),
    },
    Workload {
        name: "lif_traced_delays_4096",
        baseline: DENSE,
        run: |bench| Neuron::delayed(4096).measure(bench),
    },
    Workload {
        name: "alif_traced_delays_1024",
        baseline: DENSE,
        run: |bench| Neuron { soma: Soma::Adaptive, ..Neuron::delayed(1024) }.measure(bench),
    },
    Workload {
        name: "adex_traced_delays_1024",
        baseline: DENSE,
        run: |bench| Neuron { soma: Soma::Exponential, ..Neuron::delayed(1024) }.measure(bench),
    },
    Workload {
        name: "lif_traced_hebbian_1024",
        baseline: DENSE,
        run: |bench| Neuron::hebbian(1024).measure(bench),
    },
    Workload {
        name: "lif_traced_zenke_1024",
        baseline: DENSE,
        run: |bench| Neuron { rule: Some(Rule::Zenke), ..Neuron::traced(1024) }.measure(bench),
    },
    Workload {
        name: "lif_traced_quadruplet_1024",
        baseline: DENSE,
        run: |bench| Neuron { rule: Some(Rule::Quadruplet), ..Neuron::traced(1024) }.measure(bench),
    },
    Workload {
        name: "lif_traced_delays_hebbian_1024",
        baseline: DENSE,
        run: |bench| Neuron { rule: Some(Rule::Hebbian), ..Neuron::delayed(1024) }.measure(bench),
    },
    Workload {
        name: "cartpole_brain",
        baseline: "the same brain, composed of Burn operations",
        run: cartpole,
    },
];

#[derive(Clone, Copy, PartialEq)]
enum Soma {
    Leaky,
    /// With a threshold that rises.
    Adaptive,
    Exponential,
}

#[derive(Clone, Copy)]
enum Rule {
    Hebbian,
    Zenke,
    Quadruplet,
}

/// A neuron of as many units as inputs. Inputs fire at 20 Hz; weights are such that units fire at about 10 Hz.
#[derive(Clone, Copy)]
pub(super) struct Neuron {
    units: usize,
    traced: bool,
    delays: bool,
    soma: Soma,
    rule: Option<Rule>,
}

const INPUT_HERTZ: f32 = 20.0;
const OUTPUT_HERTZ: f32 = 10.0;

/// The longest delay in steps.
const LONGEST: usize = 8;

impl Neuron {
    pub fn linear(units: usize) -> Self {
        Self { units, traced: false, delays: false, soma: Soma::Leaky, rule: None }
    }

    fn traced(units: usize) -> Self {
        Self { traced: true, ..Self::linear(units) }
    }

    pub fn delayed(units: usize) -> Self {
        Self { delays: true, ..Self::traced(units) }
    }

    /// One that learns.
    pub fn hebbian(units: usize) -> Self {
        Self { rule: Some(Rule::Hebbian), ..Self::traced(units) }
    }

    fn config(&self) -> NeuronConfig {
        let neuron = NeuronConfig { units: vec![self.units], seed: Some(1), ..NeuronConfig::default() };
        let arriving = if self.delays { "delays.out_spikes" } else { "__call__.in_spikes" };
        let synapses = match self.traced {
            true => ModuleSpec::new("synapses", &TracedSynapsesConfig::default()),
            false => ModuleSpec::new("synapses", &LinearSynapsesConfig::default()),
        };
        let synapses = synapses.input("spikes", arriving);
        let cooldown = Some(3.0.into());
        let soma = match self.soma {
            Soma::Leaky => soma(&AdaptiveLeakySomaConfig { cooldown, ..Default::default() }),
            Soma::Adaptive => soma(&AdaptiveLeakySomaConfig {
                cooldown,
                threshold_delta: Some(100.0.into()),
                ..Default::default()
            }),
            Soma::Exponential => soma(&AdaptiveExponentialSomaConfig {
                adaptation_delta: Some(7.0.into()),
                ..Default::default()
            }),
        };
        let neuron = match self.delays {
            true => {
                let delays = N2NDelaysConfig { max_delay: LONGEST as f32, ..Default::default() };
                neuron.with(ModuleSpec::new("delays", &delays).input("in_spikes", "__call__.in_spikes"))
            }
            false => neuron,
        };
        let Some(rule) = self.rule else { return neuron.with(synapses).with(soma) };
        let rule = match rule {
            Rule::Hebbian => ModuleSpec::new("rule", &HebbianRuleConfig::default()),
            Rule::Zenke => ModuleSpec::new("rule", &ZenkeRuleConfig::default()),
            Rule::Quadruplet => ModuleSpec::new("rule", &QuadrupletRuleConfig::default()),
        };
        let mut rule = rule;
        // Slow, so that units go on firing as the weights were set for.
        rule.config.fields.insert("eta".to_owned(), json!(1e-6));
        let rule = rule
            .input("pre_spikes", arriving)
            .input("post_spikes", "soma.spikes")
            .input("kernel", "synapses#kernel");
        neuron.with(synapses.effect("kernel", "rule.kernel")).with(soma).with(rule)
    }

    /// The neuron with a kernel uniform up to `scale` pA.
    pub fn build(&self, scale: f32, device: &Device) -> Result<Controller> {
        let shape = Shape::new(PayloadKind::Spikes, &[self.units]);
        let shapes = InputShapes::default().with("in_spikes", shape);
        let mut neuron = self.config().build(&shapes, 1, &Context::new("", device))?;
        neuron.set_property("synapses.kernel", Kernel(self.kernel(scale, device)).into())?;
        Ok(neuron)
    }

    fn kernel(&self, scale: f32, device: &Device) -> Tensor<2> {
        uniform([self.units; 2], "kernel", scale, device)
    }

    /// Spikes of some steps of 1 ms, used in turn.
    pub fn inputs(&self, device: &Device) -> Vec<Spikes> {
        let spikes = |step| uniform([1, self.units], &format!("input {step}"), 1.0, device);
        (0..100).map(|step| Spikes::new(spikes(step).lower_scalar(INPUT_HERTZ / 1000.0).float())).collect()
    }

    /// Spikes of a unit in a second over the last half of a run.
    fn rate(&self, scale: f32, inputs: &[Spikes], device: &Device) -> Result<f32> {
        let still = Self { rule: None, ..*self };
        let (mut neuron, steps, mut spikes) = (still.build(scale, device)?, 400, 0.0);
        for step in 0..steps {
            let fired = fired(&neuron.step(at(inputs, step))?);
            if step >= steps / 2 {
                spikes += fired;
            }
        }
        Ok(spikes / self.units as f32 / (steps as f32 / 2.0) * 1000.0)
    }

    /// The scale of the kernel at which units fire at [`OUTPUT_HERTZ`].
    pub fn scale(&self, inputs: &[Spikes], device: &Device) -> Result<(f32, f32)> {
        let (mut low, mut high) = (0.0, 400_000.0 / self.units as f32);
        let mut found = (0.0, 0.0);
        for _ in 0..10 {
            let scale = 0.5 * (low + high);
            let rate = self.rate(scale, inputs, device)?;
            found = (scale, rate);
            if (rate - OUTPUT_HERTZ).abs() < 1.0 {
                break;
            }
            if rate > OUTPUT_HERTZ { high = scale } else { low = scale }
        }
        Ok(found)
    }

    fn measure(self, bench: &Bench) -> Result<Measurement> {
        let device = &bench.device;
        let inputs = self.inputs(device);
        let (scale, rate) = self.scale(&inputs, device)?;
        let mut neuron = self.build(scale, device)?;
        let mut dense = self.dense(scale, device);
        let steps = (1 << 19) / self.units;
        let mut found = per_step(
            bench,
            steps.max(100),
            |step| {
                neuron.step(at(&inputs, step))?;
                Ok(())
            },
            |step| {
                dense(step, &inputs);
                Ok(())
            },
        )?;
        found.details = Map::from_iter([("output_hz".to_owned(), json!(rate))]);
        Ok(found)
    }

    /// A step in Burn's operations: one product for each delay, with the weights of that delay.
    fn dense(&self, scale: f32, device: &Device) -> impl FnMut(usize, &[Spikes]) + use<> {
        let (kernel, units) = (self.kernel(scale, device), self.units);
        let delays = if self.delays { LONGEST } else { 1 };
        let of_pair = uniform([units; 2], "delay", delays as f32, device).int().float();
        let kernels: Vec<Tensor<2>> = (0..delays)
            .map(|delay| kernel.clone() * of_pair.clone().equal_scalar(delay as f32).float())
            .collect();
        let zeros = Tensor::<2>::zeros([1, units], device);
        let (mut trace, mut v, mut since) = (zeros.clone(), zeros.clone(), zeros + 10.0);
        let traced = self.traced;
        move |step, inputs| {
            let late = |delay: usize| inputs[(step + inputs.len() - delay) % inputs.len()].units();
            let arriving = (0..delays)
                .filter_map(|delay| late(delay).map(|spikes| spikes.matmul(kernels[delay].clone())));
            let input = arriving.reduce(|a, b| a + b).expect("there is one delay at least");
            trace = if traced { trace.clone() * 0.818_730_8 + input } else { input };
            let ready = since.clone().greater_equal_scalar(3.0).float();
            v = v.clone() * 0.951_229_4 + trace.clone() * ready.clone() * 0.004_877_06;
            let spikes = v.clone().greater_scalar(20.0).float() * ready;
            v = v.clone() * (-spikes.clone() + 1.0) + spikes.clone() * 10.0;
            since = (since.clone() + 1.0) * (-spikes + 1.0);
        }
    }
}

/// The brain of the example `cartpole`, learning as it does during an episode.
fn cartpole(bench: &Bench) -> Result<Measurement> {
    let model: Model = serde_json::from_str(include_str!("../../../../../examples/models/cartpole.json"))?;
    let shapes = model.declared_inputs()?;
    let inputs = |step: usize, device: &Device| {
        let signal = |phase: f32| 0.4 * (step as f32 * 0.01 + phase).sin();
        let signal: Vec<f32> = (0..4).map(|entry| signal(entry as f32)).collect();
        let mut values = PortValues::default();
        values.put("signal", Floats(Tensor::from_data(TensorData::new(signal, [1, 4]), device)));
        for (port, modulation) in
            [("mod_a_ex", -1e-4), ("mod_b_ex", -1e-4), ("mod_a_in", -2.5e-5), ("mod_b_in", -2.5e-5)]
        {
            values.put(port, Floats(Tensor::full([1, 1], modulation, device)));
        }
        values
    };
    let device = &bench.device;
    // On an autodiff device every operation runs its composed body.
    let composed = device.clone().autodiff();
    let [mut ours, mut theirs] =
        [device, &composed].map(|device| model.build(&shapes, 1, &Context::new("", device)));
    let (ours, theirs) = (ours.as_mut().map_err(|error| anyhow!("{error}"))?, &mut theirs);
    let fed: Vec<PortValues> = (0..500).map(|step| inputs(step / 50 * 50, device)).collect();
    let fed_composed: Vec<PortValues> = (0..500).map(|step| inputs(step / 50 * 50, &composed)).collect();
    per_step(
        bench,
        500,
        |step| {
            ours.step(fed[step % fed.len()].clone())?;
            Ok(())
        },
        |step| {
            let theirs = theirs.as_mut().map_err(|error| anyhow!("{error}"))?;
            theirs.step(fed_composed[step % fed_composed.len()].clone())?;
            Ok(())
        },
    )
}

fn soma<C: ComponentConfig>(config: &C) -> ModuleSpec {
    ModuleSpec::new("soma", config).input("current", "synapses.currents").output("out_spikes", "spikes")
}

pub(super) fn at(inputs: &[Spikes], step: usize) -> PortValues {
    let mut values = PortValues::default();
    values.put("in_spikes", inputs[step % inputs.len()].clone());
    values
}

/// How many units fired.
fn fired(outputs: &PortValues) -> f32 {
    let Some(Payload::Spikes(spikes)) = outputs.get("out_spikes") else { return 0.0 };
    let plane: Option<TensorData> = spikes.units().map(Tensor::into_data);
    plane.map_or(0.0, |plane| plane.iter::<f32>().sum())
}
