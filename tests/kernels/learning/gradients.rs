//! Gradients through learning, against finite differences.

use serde_json::{Value, json};
use spark::burn::module::Param;
use spark::core::component::{Component, ComponentConfig, Context};
use spark::core::payload::{Floats, Kernel, PayloadKind, Shape, Spikes};
use spark::core::ports::PortValues;
use spark::nn::components::plasticity::{HebbianRuleConfig, RuleInputs};
use spark::prelude::*;

use super::properties::uniform;
use super::{floats, instance, kernel_of, tensor, wired};

const PRE: usize = 3;
const POST: usize = 2;
const STEPS: usize = 6;

/// Spikes of a step; of 3 + 2 units about two at a time.
fn events(step: usize, device: &Device) -> [Spikes; 2] {
    let draws = uniform(9, &format!("step {step}"), PRE + POST, 0.0, 1.0);
    let spikes: Vec<f32> = draws.iter().map(|draw| f32::from(u8::from(*draw < 0.5))).collect();
    let (pre, post) = spikes.split_at(PRE);
    [tensor(pre, [1, PRE], device), tensor(post, [1, POST], device)].map(Spikes::new)
}

/// A sum over the kernel after some steps, with the parts of the third factor and the kernel as given.
fn outcome(
    (name, config, port): (&str, &Value, &'static str),
    kernel: Tensor<2>,
    third: &Tensor<2>,
    device: &Device,
) -> Tensor<1> {
    let shapes = wired(PRE, POST).with(port, Shape::new(PayloadKind::Floats, &[POST]));
    let mut rule = instance(name, config, &shapes, 1, device);
    let mut kernel = kernel;
    for step in 0..STEPS {
        let [pre, post] = events(step, device);
        let mut values = PortValues::default();
        values.put("pre_spikes", pre);
        values.put("post_spikes", post);
        values.put(port, Floats(third.clone()));
        values.put("kernel", Kernel(kernel));
        kernel = kernel_of(&rule.step(values).unwrap());
    }
    (kernel * weights(device)).sum()
}

/// What each synapse counts.
fn weights(device: &Device) -> Tensor<2> {
    tensor(&uniform(2, "weights", PRE * POST, 0.5, 1.5), [PRE, POST], device)
}

/// The slope of `f` in each entry.
fn slopes(at: &[f32], f: impl Fn(&[f32]) -> f32) -> Vec<f32> {
    let step = 1e-2;
    let moved = |i: usize, by: f32| {
        let mut at = at.to_vec();
        at[i] += by;
        f(&at)
    };
    (0..at.len()).map(|i| (moved(i, step) - moved(i, -step)) / (2.0 * step)).collect()
}

fn assert_slopes(found: &[f32], expected: &[f32], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 2e-3 * (1.0 + expected.abs()), "{what}: {found} {expected}");
    }
    assert!(expected.iter().any(|slope| slope.abs() > 1e-3), "{what}: nothing depends on it: {expected:?}");
}

#[test]
fn gradients_reach_the_kernel_and_the_third_factor() {
    let rules = [
        ("ModulatedHebbianRule", json!({ "eta": 2.0 }), "modulation"),
        ("ModulatedOjaRule", json!({ "eta": 20.0 }), "modulation"),
        ("ModulatedZenkeRule", json!({ "target_tau": 50.0, "eta": 20.0 }), "modulation"),
        ("ModulatedQuadrupletRule", json!({ "eta": 0.02, "max_clip": 50.0 }), "modulation"),
        ("RewardModulatedSTDP", json!({ "eta": 2.0, "bounds": "soft", "w_max": 5.0 }), "reward"),
        ("BTSPRule", json!({ "eta": 50.0, "et_scale": 0.4, "is_tau": 5.0, "beta_dep": 20.0 }), "modulation"),
    ];
    let (plain, tracked) = (Device::flex(), Device::flex().autodiff());
    let kernel = uniform(3, "kernel", PRE * POST, 1.0, 2.0);
    let third = uniform(4, "third", POST, 0.5, 1.5);
    for (name, config, port) in &rules {
        let of = |kernel: &[f32], third: &[f32]| {
            let (kernel, third) = (tensor(kernel, [PRE, POST], &plain), tensor(third, [1, POST], &plain));
            floats(outcome((name, config, port), kernel, &third, &plain))[0]
        };
        let leaf = tensor(&kernel, [PRE, POST], &tracked).require_grad();
        let factor = tensor(&third, [1, POST], &tracked).require_grad();
        let gradients = outcome((name, config, port), leaf.clone(), &factor, &tracked).backward();
        let found = |gradient: Option<Tensor<2>>| floats(gradient.expect("a gradient"));
        let by_kernel = slopes(&kernel, |kernel| of(kernel, &third));
        assert_slopes(&found(leaf.grad(&gradients)), &by_kernel, &format!("{name}, kernel"));
        let by_third = slopes(&third, |third| of(&kernel, third));
        assert_slopes(&found(factor.grad(&gradients)), &by_third, &format!("{name}, third factor"));
    }
}

#[test]
fn gradients_reach_time_constants() {
    let outcome = |tau: f32, device: &Device| {
        let config = HebbianRuleConfig { eta: 20.0, ..Default::default() };
        let mut rule = config.build(&wired(PRE, POST), &Context::new("rule", device)).unwrap();
        let leaf = Tensor::<1>::from_floats([tau], device);
        rule.rule.pre_tau = Param::from_tensor(leaf);
        let plan = rule.plan();
        let mut state = rule.initial_state(&plan, 1);
        let mut kernel = Tensor::<2>::ones([PRE, POST], device);
        for step in 0..STEPS {
            let [pre_spikes, post_spikes] = events(step, device);
            let inputs = RuleInputs { pre_spikes, post_spikes, kernel: Kernel(kernel) };
            let outputs;
            (outputs, state) = rule.step(&plan, inputs, state);
            kernel = outputs.kernel.0;
        }
        ((kernel * weights(device)).sum(), rule.rule.pre_tau.val())
    };
    let (sum, tau) = outcome(8.0, &Device::flex().autodiff());
    let found = floats(tau.grad(&sum.backward()).expect("a gradient"));
    let expected = slopes(&[8.0], |tau| floats(outcome(tau[0], &Device::flex()).0)[0]);
    assert_slopes(&found, &expected, "pre_tau");
}
