//! `spark bench sim`: learning rules as components, with the rates of a quiet network.

use anyhow::Result;
use spark::burn::tensor::Tensor;
use spark::core::component::{Component, ComponentConfig, Context, Running};
use spark::core::payload::{Arrival, Floats, Kernel, Late, PayloadKind, Shape, Spikes};
use spark::core::ports::InputShapes;
use spark::kernels::{DelayRing, Delays};
use spark::nn::components::plasticity::{
    BTSPRuleConfig, BtspInputs, HebbianRuleConfig, KernelOutput, ModulatedInputs,
    ModulatedQuadrupletRuleConfig, OjaRuleConfig, PairSTDPConfig, QuadrupletRuleConfig, RewardInputs,
    RewardModulatedSTDPConfig, RuleInputs, TripletSTDPConfig, ZenkeRuleConfig,
};
use spark::prelude::Device;

use super::sim::{Held, MAX_DELAY, STEPS, UNITS, delays, per_step, uniform};
use super::{Bench, Measurement, Workload};

const DENSE: &str = "Hebbian learning in outer products of Burn on all synapses";

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "hebbian_rule_1024x1024_20hz_10hz",
        baseline: DENSE,
        run: two_factor::<HebbianRuleConfig>,
    },
    Workload {
        name: "delayed_hebbian_rule_1024x1024_20hz_10hz",
        baseline: "a spike and a trace for every synapse",
        run: delayed_hebbian,
    },
    Workload {
        name: "quadruplet_rule_1024x1024_20hz_10hz",
        baseline: DENSE,
        run: two_factor::<QuadrupletRuleConfig>,
    },
    Workload {
        name: "modulated_quadruplet_rule_1024x1024_20hz_10hz",
        baseline: DENSE,
        run: modulated_quadruplet,
    },
    Workload {
        name: "delayed_modulated_quadruplet_256x832",
        baseline: "a spike and a trace for every synapse",
        run: |bench| delayed_modulated_quadruplet(bench, [832, 256]),
    },
    Workload {
        name: "delayed_modulated_quadruplet_64x768",
        baseline: "a spike and a trace for every synapse",
        run: |bench| delayed_modulated_quadruplet(bench, [768, 64]),
    },
    Workload { name: "zenke_rule_1024x1024_20hz_10hz", baseline: DENSE, run: two_factor::<ZenkeRuleConfig> },
    Workload { name: "oja_rule_1024x1024_20hz_10hz", baseline: DENSE, run: two_factor::<OjaRuleConfig> },
    Workload { name: "pair_stdp_1024x1024_20hz_10hz", baseline: DENSE, run: two_factor::<PairSTDPConfig> },
    Workload {
        name: "triplet_stdp_1024x1024_20hz_10hz",
        baseline: DENSE,
        run: two_factor::<TripletSTDPConfig>,
    },
    Workload { name: "reward_stdp_1024x1024_20hz_10hz", baseline: DENSE, run: reward_stdp },
    Workload { name: "btsp_rule_1024x1024_20hz", baseline: DENSE, run: btsp },
    Workload { name: "btsp_rule_1024x1024_20hz_own_plateaus", baseline: DENSE, run: btsp_of_units },
];

/// Spikes of some steps of 1 ms, used in turn.
fn spikes(units: usize, name: &str, hertz: f32, device: &Device) -> Vec<Tensor<2>> {
    let step = |step| uniform([1, units], &format!("{name} {step}"), 1.0, device);
    (0..50).map(|i| step(i).lower_scalar(hertz / 1000.0).float()).collect()
}

fn trains([pre, post]: [usize; 2], device: &Device) -> [Vec<Tensor<2>>; 2] {
    [spikes(pre, "pre", 20.0, device), spikes(post, "post", 10.0, device)]
}

fn wired() -> InputShapes {
    InputShapes::default()
        .with("pre_spikes", Shape::new(PayloadKind::Spikes, &[UNITS]))
        .with("post_spikes", Shape::new(PayloadKind::Spikes, &[UNITS]))
        .with("kernel", Shape::new(PayloadKind::Kernel, &[UNITS, UNITS]))
}

/// Times a rule on the spikes of a step beside Hebbian learning on all synapses.
fn beside_dense<C, F>(bench: &Bench, mut rule: Running<C>, inputs: F) -> Result<Measurement>
where
    C: Component<Outputs = KernelOutput>,
    F: Fn([Spikes; 2], Kernel) -> C::Inputs,
{
    let device = &bench.device;
    let [pre, post] = trains([UNITS; 2], device);
    let at = |step: usize| [&pre[step % pre.len()], &post[step % post.len()]];
    let weight = || uniform([UNITS; 2], "weight", 1.0, device);
    let mut ours = Held(Some(weight()));
    let zeros = || Tensor::<2>::zeros([1, UNITS], device);
    let mut theirs = Held(Some((weight(), zeros(), zeros())));
    per_step(
        bench,
        STEPS,
        |step| {
            let spikes = at(step).map(|spikes| Spikes::new(spikes.clone()));
            ours.update(|kernel| rule.advance(inputs(spikes, Kernel(kernel))).kernel.0);
            Ok(())
        },
        |step| {
            let [pre, post] = at(step).map(Tensor::clone);
            theirs.update(|(weight, x, y)| {
                let x = x.clone() - x * 0.05 + pre.clone() * 0.05;
                let y = y.clone() - y * 0.05 + post.clone() * 0.05;
                let change = pre.transpose().matmul(y.clone()) + x.clone().transpose().matmul(post);
                ((weight + change * 0.01).clamp_min(0.0), x, y)
            });
            Ok(())
        },
    )
}

fn two_factors([pre_spikes, post_spikes]: [Spikes; 2], kernel: Kernel) -> RuleInputs {
    RuleInputs { pre_spikes, post_spikes, kernel }
}

fn two_factor<C>(bench: &Bench) -> Result<Measurement>
where
    C: ComponentConfig + Default,
    C::Component: Component<Inputs = RuleInputs, Outputs = KernelOutput>,
{
    let context = Context::new("rule", &bench.device);
    beside_dense(bench, C::default().run(&wired(), 1, &context)?, two_factors)
}

fn modulated_quadruplet(bench: &Bench) -> Result<Measurement> {
    let context = Context::new("rule", &bench.device);
    let rule = ModulatedQuadrupletRuleConfig::default().run(&one_float("modulation"), 1, &context)?;
    let modulation = Tensor::full([1, 1], 0.5, &bench.device);
    beside_dense(bench, rule, |[pre_spikes, post_spikes], kernel| ModulatedInputs {
        modulation: Floats(modulation.clone()),
        pre_spikes,
        post_spikes,
        kernel,
    })
}

fn one_float(port: &str) -> InputShapes {
    wired().with(port, Shape::new(PayloadKind::Floats, &[1]))
}

fn reward_stdp(bench: &Bench) -> Result<Measurement> {
    let context = Context::new("rule", &bench.device);
    let rule = RewardModulatedSTDPConfig::default().run(&one_float("reward"), 1, &context)?;
    let reward = Tensor::full([1, 1], 0.5, &bench.device);
    beside_dense(bench, rule, |[pre_spikes, post_spikes], kernel| RewardInputs {
        reward: Floats(reward.clone()),
        pre_spikes,
        post_spikes,
        kernel,
    })
}

/// During a plateau of all units.
fn btsp(bench: &Bench) -> Result<Measurement> {
    let context = Context::new("rule", &bench.device);
    let rule = BTSPRuleConfig::default().run(&one_float("modulation"), 1, &context)?;
    let plateau = Tensor::full([1, 1], 1.0, &bench.device);
    beside_dense(bench, rule, |spikes, kernel| plateau_inputs(plateau.clone(), spikes, kernel))
}

/// While units have plateaus of different strength.
fn btsp_of_units(bench: &Bench) -> Result<Measurement> {
    let context = Context::new("rule", &bench.device);
    let wired = wired().with("modulation", Shape::new(PayloadKind::Floats, &[UNITS]));
    let rule = BTSPRuleConfig::default().run(&wired, 1, &context)?;
    let plateaus = uniform([1, UNITS], "plateaus", 1.0, &bench.device);
    beside_dense(bench, rule, |spikes, kernel| plateau_inputs(plateaus.clone(), spikes, kernel))
}

fn plateau_inputs(plateaus: Tensor<2>, [pre_spikes, post_spikes]: [Spikes; 2], kernel: Kernel) -> BtspInputs {
    BtspInputs {
        modulation: Floats(plateaus),
        pre_spikes,
        kernel,
        sign: None,
        inhibition_mask: None,
        post_spikes: Some(post_spikes),
    }
}

/// Times a rule on spikes that arrive late, from `pre` to `post` units, beside Hebbian learning with a trace for
/// every synapse.
fn beside_pairs<C, F>(
    bench: &Bench,
    ([pre, post], delays): ([usize; 2], Delays<2>),
    mut rule: Running<C>,
    inputs: F,
) -> Result<Measurement>
where
    C: Component<Outputs = KernelOutput>,
    F: Fn([Spikes; 2], Kernel) -> C::Inputs,
{
    let device = &bench.device;
    let trains = trains([pre, post], device);
    let at = |step: usize| [&trains[0][step % 50], &trains[1][step % 50]].map(Tensor::clone);
    let ring = || DelayRing::new(delays.max(), 1, pre, device);
    let weight = || uniform([pre, post], "weight", 1.0, device);
    let inhibitory = uniform([pre], "inhibitory", 1.0, device).lower_scalar(0.2).float();
    let mut ours = Held(Some((weight(), ring())));
    let by_pair = Tensor::<3>::zeros([1, pre, post], device);
    let mut theirs = Held(Some((weight(), ring(), by_pair, Tensor::<2>::zeros([1, post], device))));
    per_step(
        bench,
        STEPS,
        |step| {
            let [pre, post] = at(step);
            ours.update(|(kernel, ring)| {
                let ring = ring.push(pre);
                let arrival = Arrival::Delayed(Box::new(Late {
                    spikes: ring.clone(),
                    signed: None,
                    delays: delays.clone(),
                }));
                let late = Spikes { arrival, inhibitory: None }.with_inhibitory(Some(inhibitory.clone()));
                (rule.advance(inputs([late, Spikes::new(post)], Kernel(kernel))).kernel.0, ring)
            });
            Ok(())
        },
        |step| {
            let [now, fired] = at(step);
            theirs.update(|(weight, spikes, x, y)| {
                let spikes = spikes.push(now);
                let arriving = spikes.read_pairs(&delays);
                let x = x.clone() - x * 0.05 + arriving.clone() * 0.05;
                let y = y.clone() - y * 0.05 + fired.clone() * 0.05;
                let change = arriving * y.clone().unsqueeze() + x.clone() * fired.unsqueeze();
                ((weight + change.reshape([pre, post]) * 0.01).clamp_min(0.0), spikes, x, y)
            });
            Ok(())
        },
    )
}

fn delayed_hebbian(bench: &Bench) -> Result<Measurement> {
    let wired = wired().with("pre_spikes", Shape::delayed(&[UNITS], &[UNITS], MAX_DELAY));
    let rule = HebbianRuleConfig::default().run(&wired, 1, &Context::new("rule", &bench.device))?;
    beside_pairs(bench, ([UNITS; 2], delays(&bench.device)), rule, two_factors)
}

/// The learning of a pool with delays of 1 to 4 steps, slow so that weights stay between their bounds.
fn delayed_modulated_quadruplet(bench: &Bench, [pre, post]: [usize; 2]) -> Result<Measurement> {
    const LONGEST: usize = 4;
    let device = &bench.device;
    let wired = InputShapes::default()
        .with("modulation", Shape::new(PayloadKind::Floats, &[1]))
        .with("pre_spikes", Shape::delayed(&[post], &[pre], LONGEST))
        .with("post_spikes", Shape::new(PayloadKind::Spikes, &[post]))
        .with("kernel", Shape::new(PayloadKind::Kernel, &[post, pre]));
    let slow = QuadrupletRuleConfig { eta: 1e-6, ..Default::default() };
    let rule = ModulatedQuadrupletRuleConfig(slow).run(&wired, 1, &Context::new("rule", device))?;
    let steps = uniform([pre, post], "delays", LONGEST as f32, device).ceil().clamp_min(1.0).int();
    let delays = Delays::new(steps, LONGEST).expect("delays within bounds");
    let modulation = Tensor::full([1, 1], 0.5, device);
    beside_pairs(bench, ([pre, post], delays), rule, |[pre_spikes, post_spikes], kernel| ModulatedInputs {
        modulation: Floats(modulation.clone()),
        pre_spikes,
        post_spikes,
        kernel,
    })
}
