//! `spark bench sim`: steps of a simulation, one sample, 1 ms each.

use anyhow::Result;
use spark::burn::tensor::{Bool, Int, Tensor, TensorData};
use spark::core::seed;
use spark::kernels::{
    AdaptationCurrent, DelayRing, Delays, HodgkinHuxleyRates, IonicMembrane, OnPost, OnPre, Plasticity,
    PlasticityOptions, PreSignal, Soma, SomaModel, SomaOptions, SomaState, SparsePattern, Trace,
    philox::Stream, plasticity_step, random, soma_step, sparse_matmul, spike_matmul, trace_step,
};
use spark::prelude::{Device, Initializer};

use super::{Bench, Measurement, Workload};

pub const WORKLOADS: &[Workload] = &[
    Workload { name: "leaky_1024", baseline: "Burn operations", run: leaky },
    Workload { name: "adex_1024", baseline: "Burn operations", run: adaptive_exponential },
    Workload { name: "quadratic_1024", baseline: "the composed reference", run: quadratic },
    Workload { name: "hodgkin_huxley_1024", baseline: "the composed reference", run: hodgkin_huxley },
    Workload { name: "wang_buzsaki_1024", baseline: "the composed reference", run: wang_buzsaki },
    Workload {
        name: "linear_leaky_1024x1024_5pct",
        baseline: "Burn's dense product and operations",
        run: linear,
    },
    Workload {
        name: "pair_delays_1024x1024_5pct",
        baseline: "a dense product for each delay, with weights split beforehand",
        run: pair_delays,
    },
    Workload {
        name: "hebbian_1024x1024_5pct",
        baseline: "outer products of Burn on all synapses",
        run: hebbian,
    },
    Workload {
        name: "delayed_hebbian_1024x1024_5pct",
        baseline: "a spike and a trace for every synapse",
        run: delayed_hebbian,
    },
    Workload { name: "sparse_4000x4000_2pct_5pct", baseline: "Burn's dense product", run: sparse },
    Workload { name: "bernoulli_1024", baseline: "Burn's own generator", run: bernoulli },
];

pub(super) const UNITS: usize = 1024;
pub(super) const MAX_DELAY: usize = 8;

/// Steps in one measured run.
pub(super) const STEPS: usize = 200;

/// Times `STEPS` steps at once and tells the time of one.
pub(super) fn per_step(
    bench: &Bench,
    steps: usize,
    mut ours: impl FnMut(usize) -> Result<()>,
    mut baseline: impl FnMut(usize) -> Result<()>,
) -> Result<Measurement> {
    let mut found =
        bench.compare(|| (0..steps).try_for_each(&mut ours), || (0..steps).try_for_each(&mut baseline))?;
    found.ours /= steps as f64;
    found.baseline = found.baseline.map(|baseline| baseline / steps as f64);
    Ok(found)
}

pub(super) fn uniform<const D: usize>(shape: [usize; D], name: &str, max: f32, device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    let values = Initializer::Uniform { min: 0.0, max }.draw(count, 1, &mut seed::rng(1, name));
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Inputs of some steps, used in turn: spikes of one in twenty units.
fn spikes(units: usize, name: &str, device: &Device) -> Vec<Tensor<2>> {
    (0..50)
        .map(|step| uniform([1, units], &format!("{name} {step}"), 1.0, device).lower_scalar(0.05).float())
        .collect()
}

fn all(value: f32, device: &Device) -> Tensor<1> {
    Tensor::from_floats([value], device)
}

fn leaky_soma(device: &Device) -> Soma<Tensor<1>> {
    Soma {
        model: SomaModel::Leaky { decay: all(0.951_229_4, device), gain: all(0.004_877_06, device) },
        reset: all(10.0, device),
        threshold: all(20.0, device),
        cooldown: None,
        clamp: None,
        adaptive_threshold: None,
        adaptation: None,
    }
}

/// What holds the state of a loop between two calls of its step.
pub(super) struct Held<T>(pub Option<T>);

impl<T> Held<T> {
    /// Replaces the state by what `step` makes of it; nothing else holds it meanwhile.
    pub fn update(&mut self, step: impl FnOnce(T) -> T) {
        self.0 = self.0.take().map(step);
    }
}

/// A leaky unit in Burn's operations.
fn leaky_by_hand(soma: &Soma<Tensor<1>>, current: Tensor<2>, v: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let SomaModel::Leaky { decay, gain } = &soma.model else { unreachable!("a leaky soma") };
    let v = v * decay.clone().unsqueeze() + current * gain.clone().unsqueeze();
    let spikes = v.clone().greater(soma.threshold.clone().unsqueeze::<2>().expand(v.dims()));
    let reset = soma.reset.clone().unsqueeze::<2>().expand(v.dims());
    (spikes.clone().float(), v.mask_where(spikes, reset))
}

fn leaky(bench: &Bench) -> Result<Measurement> {
    let device = &bench.device;
    let soma = leaky_soma(device);
    let current = uniform([1, UNITS], "current", 800.0, device);
    let mut state = Held(Some(soma.initial_state(Tensor::zeros([1, UNITS], device))));
    let mut potential = Held(Some(Tensor::zeros([1, UNITS], device)));
    per_step(
        bench,
        10 * STEPS,
        |_| {
            state.update(|state| soma_step(&soma, current.clone(), state, SomaOptions::default()).1);
            Ok(())
        },
        |_| {
            potential.update(|v| leaky_by_hand(&soma, current.clone(), v).1);
            Ok(())
        },
    )
}

/// AdEx with a refractory time.
fn adaptive_exponential(bench: &Bench) -> Result<Measurement> {
    let device = &bench.device;
    let (rate, resistance, rheobase, slope) = (0.2, 0.5, 20.0, 2.0);
    let (reset, threshold, cooldown) = (19.0, 40.0, 2.0);
    let (w_rate, subthreshold, delta) = (0.01, 0.5, 7.0);
    let soma = Soma {
        model: SomaModel::Exponential { rate, resistance, rheobase, slope },
        reset,
        threshold,
        cooldown: Some(cooldown),
        clamp: None,
        adaptive_threshold: None,
        adaptation: Some(AdaptationCurrent { rate: w_rate, subthreshold, delta }),
    }
    .map(|value| all(value, device));
    let current = uniform([1, UNITS], "current", 150.0, device);
    let start = || soma.initial_state(Tensor::zeros([1, UNITS], device));
    let mut state = Held(Some(start()));
    let mut by_hand = Held(Some(start()));
    let step_by_hand = |state: SomaState<Tensor<2>>| {
        let (v, since) = (state.potential, state.since_spike.expect("counted"));
        let w = state.adaptation.expect("adaptive");
        let ready: Tensor<2, Bool> = since.clone().greater_equal_scalar(cooldown);
        let input = current.clone() * ready.clone().float() - w.clone();
        let upstroke = ((v.clone() - rheobase) / slope).exp() * slope;
        let v = v.clone() + (upstroke - v + input * resistance) * rate;
        let spikes = v.clone().greater_scalar(threshold).float() * ready.float();
        let v = v.mask_fill(spikes.clone().bool(), reset);
        let since = (since + 1.0).clamp_max(cooldown) * (-spikes.clone() + 1.0);
        let w = w.clone() + (v.clone() * subthreshold - w) * w_rate + spikes * delta;
        SomaState { potential: v, since_spike: Some(since), adaptation: Some(w), ..state }
    };
    per_step(
        bench,
        10 * STEPS,
        |_| {
            state.update(|state| soma_step(&soma, current.clone(), state, SomaOptions::default()).1);
            Ok(())
        },
        |_| {
            by_hand.update(step_by_hand);
            Ok(())
        },
    )
}

/// Units without further mechanisms, from −65 mV, in steps of 0.1 ms; the reference body is what runs on an
/// autodiff device, here without anything to differentiate.
fn against_reference(
    bench: &Bench,
    model: SomaModel<f32>,
    threshold: f32,
    current: f32,
) -> Result<Measurement> {
    let soma = Soma {
        model,
        reset: -65.0,
        threshold,
        cooldown: None,
        clamp: None,
        adaptive_threshold: None,
        adaptation: None,
    };
    let step_on = |device: Device| {
        let soma = soma.clone().map(|value| all(value, &device));
        let current = uniform([1, UNITS], "current", current, &device);
        let mut state = Held(Some(soma.initial_state(Tensor::full([1, UNITS], -65.0, &device))));
        move |_| {
            state.update(|state| soma_step(&soma, current.clone(), state, SomaOptions::default()).1);
            Ok(())
        }
    };
    per_step(bench, STEPS, step_on(bench.device.clone()), step_on(bench.device.clone().autodiff()))
}

fn quadratic(bench: &Bench) -> Result<Measurement> {
    let (rate, resistance, curvature, rest, critical) = (0.01, 0.1, 0.1, -65.0, -50.0);
    let model = SomaModel::Quadratic { rate, resistance, curvature, rest, critical };
    against_reference(bench, model, 30.0, 400.0)
}

fn hodgkin_huxley(bench: &Bench) -> Result<Measurement> {
    let membrane = IonicMembrane::squid_axon(0.1);
    let model = SomaModel::HodgkinHuxley { membrane, rates: HodgkinHuxleyRates::SquidAxon };
    against_reference(bench, model, 0.0, 20.0)
}

fn wang_buzsaki(bench: &Bench) -> Result<Measurement> {
    let model = SomaModel::WangBuzsaki { membrane: IonicMembrane::wang_buzsaki(0.1) };
    against_reference(bench, model, 0.0, 5.0)
}

fn linear(bench: &Bench) -> Result<Measurement> {
    let device = &bench.device;
    let soma = leaky_soma(device);
    let (input, weight) = (spikes(UNITS, "spikes", device), uniform([UNITS; 2], "weight", 20.0, device));
    let mut state = Held(Some(soma.initial_state(Tensor::zeros([1, UNITS], device))));
    let mut potential = Held(Some(Tensor::zeros([1, UNITS], device)));
    per_step(
        bench,
        STEPS,
        |step| {
            let current = spike_matmul(input[step % input.len()].clone(), weight.clone());
            state.update(|state| soma_step(&soma, current, state, SomaOptions::default()).1);
            Ok(())
        },
        |step| {
            let current = input[step % input.len()].clone().matmul(weight.clone());
            potential.update(|v| leaky_by_hand(&soma, current, v).1);
            Ok(())
        },
    )
}

pub(super) fn delays(device: &Device) -> Delays<2> {
    let steps = uniform([UNITS; 2], "delays", MAX_DELAY as f32, device).ceil().clamp_min(1.0).int();
    Delays::new(steps, MAX_DELAY).expect("delays within bounds")
}

/// 1 where pairs have a delay.
fn with_delay(steps: &Tensor<2, Int>, delay: usize) -> Tensor<2> {
    steps.clone().equal_scalar(delay as i64).float()
}

fn pair_delays(bench: &Bench) -> Result<Measurement> {
    let device = &bench.device;
    let delays = delays(device);
    let (input, weight) = (spikes(UNITS, "spikes", device), uniform([UNITS; 2], "weight", 1.0, device));
    let ring = || DelayRing::new(MAX_DELAY, 1, UNITS, device);
    let (mut ours, mut theirs) = (Held(Some(ring())), Held(Some(ring())));
    let split: Vec<Tensor<2>> =
        (1..=MAX_DELAY).map(|delay| weight.clone() * with_delay(&delays.steps(), delay)).collect();
    per_step(
        bench,
        STEPS,
        |step| {
            ours.update(|ring| {
                let ring = ring.push(input[step % input.len()].clone());
                ring.currents(weight.clone(), &delays);
                ring
            });
            Ok(())
        },
        |step| {
            theirs.update(|ring| {
                let ring = ring.push(input[step % input.len()].clone());
                let mut current = Tensor::zeros([1, UNITS], device);
                for (delay, weight) in (1..).zip(&split) {
                    let slot = (ring.newest + MAX_DELAY + 1 - delay) % (MAX_DELAY + 1);
                    let spikes = ring.history.clone().slice_dim(0, slot..slot + 1).reshape([1, UNITS]);
                    current = current + spikes.matmul(weight.clone());
                }
                ring
            });
            Ok(())
        },
    )
}

const OPTIONS: PlasticityOptions =
    PlasticityOptions { rate: 1e-3, samples: 1, min: 0.0, max: 1.0, soft: false };

fn trace(device: &Device) -> Trace<Tensor<1>> {
    Trace { rate: 0.05, base: 0.0, scale: 0.05, saturation: None }.map(|value| all(value, device))
}

fn hebbian(bench: &Bench) -> Result<Measurement> {
    let device = &bench.device;
    let (pre, post) = (spikes(UNITS, "pre", device), spikes(UNITS, "post", device));
    let trace = trace(device);
    let start = || {
        let zeros = || Tensor::<2>::zeros([1, UNITS], device);
        Held(Some((uniform([UNITS; 2], "weight", 1.0, device), zeros(), zeros())))
    };
    let (mut ours, mut theirs) = (start(), start());
    per_step(
        bench,
        STEPS,
        |step| {
            let (pre, post) = (&pre[step % pre.len()], &post[step % post.len()]);
            ours.update(|(weight, x, y)| {
                let (x, y) = (trace_step(x, pre.clone(), &trace), trace_step(y, post.clone(), &trace));
                let rule = Plasticity {
                    on_pre: Some(OnPre { spikes: PreSignal::Units(pre.clone()), factor: y.clone() }),
                    on_post: Some(OnPost { spikes: post.clone(), factor: PreSignal::Units(x.clone()) }),
                    ..Default::default()
                };
                (plasticity_step(weight, rule, OPTIONS).0, x, y)
            });
            Ok(())
        },
        |step| {
            let (pre, post) = (&pre[step % pre.len()], &post[step % post.len()]);
            theirs.update(|(weight, x, y)| {
                let x = x.clone() - x * 0.05 + pre.clone() * 0.05;
                let y = y.clone() - y * 0.05 + post.clone() * 0.05;
                let change =
                    pre.clone().transpose().matmul(y.clone()) + x.clone().transpose().matmul(post.clone());
                ((weight + change * OPTIONS.rate).clamp(OPTIONS.min, OPTIONS.max), x, y)
            });
            Ok(())
        },
    )
}

/// The learning of a neuron with a delay for every synapse: its rule sees spikes as they arrive.
fn delayed_hebbian(bench: &Bench) -> Result<Measurement> {
    let device = &bench.device;
    let (pre, post) = (spikes(UNITS, "pre", device), spikes(UNITS, "post", device));
    let (trace, delays) = (trace(device), delays(device));
    let weight = || uniform([UNITS; 2], "weight", 1.0, device);
    let zeros = || Tensor::<2>::zeros([1, UNITS], device);
    let ring = || DelayRing::new(MAX_DELAY, 1, UNITS, device);
    let mut ours = Held(Some((weight(), ring(), ring(), zeros(), zeros())));
    let by_pair = Tensor::<3>::zeros([1, UNITS, UNITS], device);
    let mut theirs = Held(Some((weight(), ring(), by_pair, zeros())));
    per_step(
        bench,
        STEPS,
        |step| {
            let (pre, post) = (&pre[step % pre.len()], &post[step % post.len()]);
            ours.update(|(weight, spikes, traces, x, y)| {
                let (x, y) = (trace_step(x, pre.clone(), &trace), trace_step(y, post.clone(), &trace));
                let (spikes, traces) = (spikes.push(pre.clone()), traces.push(x.clone()));
                let rule = Plasticity {
                    on_pre: Some(OnPre { spikes: PreSignal::Delayed(spikes.clone()), factor: y.clone() }),
                    on_post: Some(OnPost {
                        spikes: post.clone(),
                        factor: PreSignal::Delayed(traces.clone()),
                    }),
                    delays: Some(delays.clone()),
                    ..Default::default()
                };
                (plasticity_step(weight, rule, OPTIONS).0, spikes, traces, x, y)
            });
            Ok(())
        },
        |step| {
            let (pre, post) = (&pre[step % pre.len()], &post[step % post.len()]);
            theirs.update(|(weight, spikes, x, y)| {
                let spikes = spikes.push(pre.clone());
                let arriving = spikes.read_pairs(&delays);
                let x = x.clone() - x * 0.05 + arriving.clone() * 0.05;
                let y = y.clone() - y * 0.05 + post.clone() * 0.05;
                let change = arriving * y.clone().unsqueeze() + x.clone() * post.clone().unsqueeze();
                let weight = weight + change.reshape([UNITS; 2]) * OPTIONS.rate;
                (weight.clamp(OPTIONS.min, OPTIONS.max), spikes, x, y)
            });
            Ok(())
        },
    )
}

fn sparse(bench: &Bench) -> Result<Measurement> {
    const MANY: usize = 4000;
    let device = &bench.device;
    let there = uniform([MANY; 2], "there", 1.0, device).lower_scalar(0.02).float();
    let weight = uniform([MANY; 2], "weight", 1.0, device) * there;
    let (pattern, values) = SparsePattern::from_dense(weight.clone());
    let input = spikes(MANY, "spikes", device);
    per_step(
        bench,
        STEPS / 4,
        |step| {
            sparse_matmul(input[step % input.len()].clone(), values.clone(), &pattern);
            Ok(())
        },
        |step| {
            input[step % input.len()].clone().matmul(weight.clone());
            Ok(())
        },
    )
}

fn bernoulli(bench: &Bench) -> Result<Measurement> {
    let device = &bench.device;
    let probability = uniform([1, UNITS], "probability", 0.1, device);
    per_step(
        bench,
        10 * STEPS,
        |step| {
            random::bernoulli_each(probability.clone(), Stream::new(1, 0, step as u64));
            Ok(())
        },
        |_| {
            let noise = probability.random_like(spark::burn::tensor::Distribution::Default);
            noise.lower(probability.clone()).float();
            Ok(())
        },
    )
}
