//! Synapses as components, step by step as a neuron runs them.

use anyhow::Result;
use spark::burn::tensor::Tensor;
use spark::core::component::{ComponentConfig, Context, Instance};
use spark::core::payload::{Kernel, PayloadKind, Shape, Spikes};
use spark::core::ports::InputShapes;
use spark::nn::components::delays::{DelayInputs, N2NDelaysConfig};
use spark::nn::components::synapses::{LinearSynapsesConfig, SynapseInputs, TracedSynapsesConfig};
use spark::prelude::Device;

use super::sim::{STEPS, UNITS, per_step, uniform};
use super::{Bench, Measurement, Workload};

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "linear_synapses_1024x1024_2pct",
        baseline: "Burn's dense product",
        run: |bench| synapses(bench, &linear(), false),
    },
    Workload {
        name: "signed_synapses_1024x1024_2pct",
        baseline: "Burn's dense product",
        run: |bench| synapses(bench, &linear(), true),
    },
    Workload {
        name: "traced_synapses_1024x1024_2pct",
        baseline: "Burn's dense product",
        run: |bench| {
            synapses(bench, &TracedSynapsesConfig { units: vec![UNITS], ..Default::default() }, true)
        },
    },
    Workload {
        name: "delayed_synapses_1024x1024_2pct",
        baseline: "Burn's dense product, without delays",
        run: delayed,
    },
    Workload { name: "written_kernel_1024x1024", baseline: "a kernel that is copied", run: written_kernel },
];

fn linear() -> LinearSynapsesConfig {
    LinearSynapsesConfig { units: vec![UNITS], ..Default::default() }
}

/// Inputs of some steps, used in turn: spikes of one in fifty units, of which one in five inhibits.
fn inputs(signed: bool, device: &Device) -> Vec<Spikes> {
    let inhibitory = signed.then(|| uniform([UNITS], "inhibitory", 1.0, device).lower_scalar(0.2).float());
    let at = |step: usize| {
        let spikes = uniform([1, UNITS], &format!("spikes {step}"), 1.0, device).lower_scalar(0.02).float();
        Spikes::new(spikes).with_inhibitory(inhibitory.clone())
    };
    (0..50).map(at).collect()
}

fn dense(inputs: &[Spikes], weight: &Tensor<2>, step: usize) {
    if let Some(spikes) = inputs[step % inputs.len()].units() {
        spikes.matmul(weight.clone());
    }
}

/// Synapses by unit.
fn synapses<C>(bench: &Bench, config: &C, signed: bool) -> Result<Measurement>
where
    C: ComponentConfig<Component: spark::core::Component<Inputs = SynapseInputs>>,
{
    let device = &bench.device;
    let (input, weight) = (inputs(signed, device), uniform([UNITS; 2], "weight", 1.0, device));
    let shapes = InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[UNITS]));
    let mut synapses = config.run(&shapes, 1, &Context::new("synapses", device))?;
    per_step(
        bench,
        5 * STEPS,
        |step| {
            synapses.advance(SynapseInputs { spikes: input[step % input.len()].clone() });
            Ok(())
        },
        |step| {
            dense(&input, &weight, step);
            Ok(())
        },
    )
}

/// A delay for every pair, then synapses.
fn delayed(bench: &Bench) -> Result<Measurement> {
    let device = &bench.device;
    let (input, weight) = (inputs(true, device), uniform([UNITS; 2], "weight", 1.0, device));
    let shapes = InputShapes::default().with("in_spikes", Shape::new(PayloadKind::Spikes, &[UNITS]));
    let config = N2NDelaysConfig { units: vec![UNITS], ..Default::default() };
    let mut delays = config.run(&shapes, 1, &Context::new("delays", device))?;
    let shapes = InputShapes::default().with("spikes", Shape::pairs(&[UNITS], &[UNITS]));
    let mut synapses = linear().run(&shapes, 1, &Context::new("synapses", device))?;
    per_step(
        bench,
        5 * STEPS,
        |step| {
            let in_spikes = input[step % input.len()].clone();
            let spikes = delays.advance(DelayInputs { in_spikes }).out_spikes;
            synapses.advance(SynapseInputs { spikes });
            Ok(())
        },
        |step| {
            dense(&input, &weight, step);
            Ok(())
        },
    )
}

/// What it costs to hand a kernel to a rule and back.
fn written_kernel(bench: &Bench) -> Result<Measurement> {
    let device = &bench.device;
    let shapes = InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[UNITS]));
    let start = || linear().run(&shapes, 1, &Context::new("synapses", device));
    let (mut ours, mut theirs) = (start()?, start()?);
    per_step(
        bench,
        5 * STEPS,
        |_| {
            let kernel = ours.take_property("kernel")?;
            Ok(ours.set_property("kernel", kernel)?)
        },
        |_| {
            let weight: Kernel = spark::core::ports::typed("kernel", theirs.property("kernel")?)?;
            Ok(theirs.set_property("kernel", Kernel(weight.0 + 0.0).into())?)
        },
    )
}
