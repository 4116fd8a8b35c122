//! Recorded learning rules, written as terms.

use spark::kernels::{
    OnPost, OnPre, PairTypes, Plasticity, PlasticityOptions, PreSignal, Relaxation, Target, TargetDynamics,
    Trace, plasticity_step, trace_step,
};
use spark::prelude::*;

use super::golden::{self, Case};
use super::{assert_close, floats, tensor};
use crate::support::devices;

/// A recorded rule on its way: one sample, kernels turned to `[pre, post]`.
struct Run<'a> {
    case: &'a Case,
    device: &'a Device,
    pre: usize,
    post: usize,
    types: PairTypes,
    /// Whether every synapse has its own presynaptic spikes.
    by_pair: bool,
}

/// `[post, pre]` and back.
fn turned(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows;
    (0..values.len()).map(|i| values[i % rows * columns + i / rows]).collect()
}

impl<'a> Run<'a> {
    fn new(case: &'a Case, device: &'a Device) -> Self {
        let masks = case.at("in.pre_spikes.inhibition_mask", 0);
        let post_mask = case.at("in.post_spikes.inhibition_mask", 0);
        let by_pair = case.name.contains("async");
        let post = post_mask.len();
        let pre = case.at("in.kernel", 0).len() / post;
        let types = PairTypes {
            pre_inhibitory: Tensor::from_floats(&masks[..pre], device),
            post_inhibitory: Tensor::from_floats(post_mask.as_slice(), device),
        };
        Self { case, device, pre, post, types, by_pair }
    }

    /// A field with one entry or with one for each combination of types.
    fn field(&self, name: &str) -> [f32; 4] {
        match self.case.field(name)[..] {
            [value] => [value; 4],
            [ee, ei, ie, ii] => [ee, ei, ie, ii],
            ref other => panic!("{name}: {other:?}"),
        }
    }

    /// A trace with scale 1/τ for time constants given by some of its last axes.
    fn trace(&self, tau: Vec<f32>) -> Trace<Tensor<1>> {
        let upload = |f: &dyn Fn(f32) -> f32| {
            let values: Vec<f32> = tau.iter().map(|&tau| f(tau)).collect();
            Tensor::from_floats(values.as_slice(), self.device)
        };
        Trace {
            rate: upload(&|tau| -(-self.case.dt / tau).exp_m1()),
            base: upload(&|_| 0.0),
            scale: upload(&|tau| 1.0 / tau),
            saturation: None,
        }
    }

    /// Presynaptic spikes in as many rows as `like` says.
    fn pre_spikes(&self, step: usize) -> Tensor<3> {
        let spikes = self.case.at("in.pre_spikes.spikes", step);
        if self.by_pair {
            tensor(turned(&spikes, self.post), [1, self.pre, self.post], self.device)
        } else {
            tensor(spikes, [1, self.pre, 1], self.device)
        }
    }

    /// A signal `[rows, pre, 1 or post]` as the kernels take it.
    fn signal(&self, signal: Tensor<3>) -> PreSignal {
        let [rows, pre, width] = signal.dims();
        if self.by_pair && width == self.post {
            PreSignal::Pairs(signal)
        } else {
            PreSignal::Units(signal.reshape([rows, pre]))
        }
    }

    fn hebbian(&self, spikes: Tensor<3>, x: Tensor<3>, post: Tensor<2>, y: Tensor<2>) -> Plasticity {
        Plasticity {
            on_pre: Some(OnPre { spikes: self.signal(spikes), factor: y }),
            on_post: Some(OnPost { spikes: post, factor: self.signal(x) }),
            ..Default::default()
        }
    }

    /// The rule by type: rows of excitatory and of inhibitory units.
    fn quadruplet(&self, spikes: Tensor<3>, x: Tensor<3>, post: Tensor<2>, y: Tensor<2>) -> Plasticity {
        let [alpha, beta, gamma, delta] =
            ["q_alpha", "q_beta", "q_gamma", "q_delta"].map(|name| self.field(name));
        let ones = Tensor::ones([1, self.pre], self.device);
        let by_type = self.types.split_pre(ones).reshape([2, self.pre, 1]);
        let on_pre = OnPre {
            spikes: self.signal(spikes * by_type),
            factor: self.types.for_pre(alpha) + self.types.for_pre(beta) * y,
        };
        let on_post = if self.by_pair {
            let factor = self.types.pairs(gamma).unsqueeze() + self.types.pairs(delta).unsqueeze() * x;
            OnPost { spikes: post, factor: PreSignal::Pairs(factor) }
        } else {
            let x = x.reshape([1, self.pre]);
            let factor = self.types.for_post(gamma) + self.types.for_post(delta) * x;
            OnPost { spikes: self.types.split_post(post), factor: PreSignal::Units(factor) }
        };
        Plasticity {
            on_pre: Some(on_pre),
            on_post: Some(on_post),
            max: Some(self.types.pairs(self.field("max_clip"))),
            ..Default::default()
        }
    }

    fn check(&self, backend: &str, steps: usize) {
        let (case, device) = (self.case, self.device);
        let component = case.component.trim_start_matches("Modulated").trim_end_matches("Rule");
        let tau = |name: &str| if case.optional(name).is_some() { case.field(name) } else { vec![1.0] };
        let width = if self.by_pair { self.post } else { 1 };
        let mut x = Tensor::<3>::zeros([1, self.pre, width], device);
        let (mut y, mut slow) =
            (Tensor::zeros([1, self.post], device), Tensor::zeros([1, self.post], device));
        let mut post_tau = tau("post_tau");
        if post_tau.len() > 1 {
            // One trace for synapses with excitatory, one for those with inhibitory units.
            post_tau = floats(self.types.for_pre(self.field("post_tau")));
            y = Tensor::zeros([2, self.post], device);
        }
        let pair = [self.pre, self.post];
        let mut target = Tensor::zeros(pair, device);
        let mut weight = tensor(turned(&case.at("in.kernel", 0), self.post), pair, device);
        let options =
            PlasticityOptions { rate: case.dt * case.number("eta"), min: 0.0, ..Default::default() };
        for step in 0..steps {
            let spikes = self.pre_spikes(step);
            let post = case.sample("in.post_spikes.spikes", step, device);
            x = trace_step(x, spikes.clone(), &self.trace(tau("pre_tau")));
            y = trace_step(y.clone(), post.clone().expand(y.dims()), &self.trace(post_tau.clone()));
            slow = trace_step(slow, post.clone(), &self.trace(tau("post_slow_tau")));
            let mut rule = match component {
                "Hebbian" => self.hebbian(spikes, x.clone(), post, y.clone()),
                "Quadruplet" => self.quadruplet(spikes, x.clone(), post, y.clone()),
                "Oja" => Plasticity {
                    on_post: None,
                    relaxation: Some(Relaxation { pull: -y.clone().powi_scalar(2), target: None }),
                    ..self.hebbian(spikes, x.clone(), post, y.clone())
                },
                "Zenke" => {
                    let [a, b, c, d, p] = ["a", "b", "c", "d", "p"].map(|name| case.number(name));
                    let factor = y.clone() * b + d;
                    let events = post.clone() * slow.clone() * a;
                    let rate = -(-case.dt / case.number("target_tau")).exp_m1();
                    let scale = 1.0 / case.number("target_tau");
                    let dynamics = TargetDynamics { rate, scale, strength: p };
                    Plasticity {
                        relaxation: Some(Relaxation {
                            pull: y.clone().powi_scalar(3) * post * c,
                            target: Some(Target { trace: target.clone(), dynamics }),
                        }),
                        ..self.hebbian(spikes, x.clone(), events, factor)
                    }
                }
                other => panic!("unknown component {other}"),
            };
            if case.has("in.modulation") {
                let modulation = tensor(case.at("in.modulation", step), [1, 1], device);
                rule.on_pre =
                    rule.on_pre.map(|term| OnPre { factor: term.factor * modulation.clone(), ..term });
                rule.on_post = rule.on_post.map(|term| OnPost { spikes: term.spikes * modulation, ..term });
            }
            let (next, trace) = plasticity_step(weight, rule, options);
            weight = next;
            let what = format!("{} on {backend}, step {step}", case.name);
            let found = turned(&floats(weight.clone()), self.pre);
            assert_close(&found, &case.at("out.kernel", step), 1e-4, &what);
            if let Some(trace) = trace {
                target = trace;
                let found = turned(&floats(target.clone()), self.pre);
                assert_close(&found, &case.at("state.target_trace.trace", step), 1e-4, &what);
            }
        }
    }
}

#[test]
fn recorded_rules_are_reproduced() {
    // BTSP is no sum of the terms of `plasticity_step`.
    let mut cases = golden::cases("plasticity");
    cases.retain(|case| case.component != "BTSPRule");
    assert_eq!(cases.len(), 9);
    for (backend, device) in devices() {
        for case in &cases {
            let steps = if backend.starts_with("wgpu") { 10 } else { case.steps };
            Run::new(case, &device).check(&backend, steps);
        }
    }
}
