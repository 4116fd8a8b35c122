//! Learning rules: event-driven against composed ones, and against sums written out.

use proptest::prelude::*;
use spark::burn::tensor::{Int, TensorData};
use spark::kernels::{
    DelayRing, Delays, OnPost, OnPre, Plasticity, PlasticityOptions, PreSignal, Relaxation, Target,
    TargetDynamics, ThreeFactor, eligibility_step, plasticity_step,
};
use spark::prelude::*;

use super::{assert_close, draw, floats, on_one_and_two_threads, spikes, tensor};
use crate::support::devices;

/// A random rule; kinds count 0 none, 1 by unit, 2 by pair, 3 delayed.
#[derive(Clone, Debug)]
struct Rule {
    pre: usize,
    post: usize,
    samples: usize,
    sets: usize,
    on_pre: u8,
    on_post: u8,
    relaxation: u8,
    planes: [bool; 2],
    density: f32,
    /// Whether all events are 1.
    binary: bool,
    /// The longest delay.
    longest: usize,
    seed: u64,
}

fn rules() -> impl Strategy<Value = Rule> {
    let size =
        (prop_oneof![3 => 1usize..8, 1 => 60usize..120], prop_oneof![3 => 1usize..8, 1 => 90usize..300]);
    let density = prop_oneof![Just(0.0f32), Just(0.1), Just(0.5)];
    let kinds = (0u8..4, 0u8..4, 0u8..3);
    let events = (density, any::<bool>(), prop_oneof![2 => Just(3usize), 1 => 0usize..9, 1 => Just(20)]);
    (size, 1usize..4, 1usize..3, kinds, any::<[bool; 2]>(), events, any::<u64>()).prop_map(
        |((pre, post), samples, sets, (on_pre, on_post, relaxation), planes, events, seed)| Rule {
            pre,
            post,
            samples,
            sets,
            on_pre,
            on_post,
            relaxation,
            planes,
            density: events.0,
            binary: events.1,
            longest: events.2,
            seed,
        },
    )
}

impl Rule {
    fn rows(&self) -> usize {
        self.samples * self.sets
    }

    /// A ring of past signals.
    fn ring(&self, name: &str, events: bool, device: &Device) -> DelayRing {
        let mut ring = DelayRing::new(self.longest, self.rows(), self.pre, device);
        for step in 0..self.longest + 2 {
            let name = format!("{name} {step}");
            let count = self.rows() * self.pre;
            let signal = if events { self.events(&name, count) } else { self.values(&name, count) };
            ring = ring.push(tensor(signal, [self.rows(), self.pre], device));
        }
        ring
    }

    fn events(&self, name: &str, count: usize) -> Vec<f32> {
        let values = draw(self.seed, name, count, 0.5, 1.5);
        let spikes = spikes(self.seed, &format!("{name} when"), count, self.density);
        if self.binary {
            return spikes;
        }
        spikes.iter().zip(values).map(|(spike, value)| spike * value).collect()
    }

    fn values(&self, name: &str, count: usize) -> Vec<f32> {
        draw(self.seed, name, count, -0.3, 0.3)
    }

    fn signal(&self, kind: u8, name: &str, events: bool, device: &Device) -> Option<PreSignal> {
        let (rows, pre, post) = (self.rows(), self.pre, self.post);
        let draw = |count| if events { self.events(name, count) } else { self.values(name, count) };
        match kind {
            0 => None,
            1 => Some(PreSignal::Units(tensor(draw(rows * pre), [rows, pre], device))),
            2 => Some(PreSignal::Pairs(tensor(draw(rows * pre * post), [rows, pre, post], device))),
            _ => Some(PreSignal::Delayed(self.ring(name, events, device))),
        }
    }

    fn delays(&self, device: &Device) -> Option<Delays<2>> {
        (self.on_pre == 3 || self.on_post == 3).then(|| {
            let steps = draw(self.seed, "delays", self.pre * self.post, 0.0, self.longest as f32 + 0.99);
            let steps: Vec<i32> = steps.into_iter().map(|x| x as i32).collect();
            let data = TensorData::new(steps, [self.pre, self.post]);
            Delays::new(Tensor::<2, Int>::from_data(data, device), self.longest).unwrap()
        })
    }

    fn weight(&self, device: &Device) -> Tensor<2> {
        tensor(draw(self.seed, "weight", self.pre * self.post, 0.0, 1.0), [self.pre, self.post], device)
    }

    fn plane(&self, name: &str, min: f32, device: &Device) -> Tensor<2> {
        tensor(draw(self.seed, name, self.pre * self.post, min, 1.5), [self.pre, self.post], device)
    }

    fn terms(&self, device: &Device) -> (Option<OnPre>, Option<OnPost>) {
        let (rows, post) = (self.rows(), self.post);
        let on_pre = self.signal(self.on_pre, "pre", true, device).map(|spikes| OnPre {
            spikes,
            factor: tensor(self.values("pre factor", rows * post), [rows, post], device),
        });
        let on_post = self.signal(self.on_post, "post factor", false, device).map(|factor| OnPost {
            spikes: tensor(self.events("post", rows * post), [rows, post], device),
            factor,
        });
        (on_pre, on_post)
    }

    fn rule(&self, device: &Device) -> Plasticity {
        let (on_pre, on_post) = self.terms(device);
        let dynamics = TargetDynamics { rate: 0.05, scale: 0.1, strength: 2.0 };
        Plasticity {
            on_pre,
            on_post,
            relaxation: (self.relaxation > 0).then(|| Relaxation {
                pull: tensor(self.values("pull", self.rows() * self.post), [self.rows(), self.post], device),
                target: (self.relaxation > 1)
                    .then(|| Target { trace: self.plane("target", 0.0, device), dynamics }),
            }),
            delays: self.delays(device),
            modulation: self.planes[0].then(|| self.plane("modulation", -1.0, device)),
            max: self.planes[1].then(|| self.plane("max", 1.0, device)),
        }
    }

    fn options(&self) -> PlasticityOptions {
        let soft = self.seed % 8 < 4;
        PlasticityOptions { rate: 0.4, samples: self.samples, min: 0.0, max: 1.05, soft }
    }

    fn run(&self, device: &Device) -> [Vec<f32>; 2] {
        let mut weight = self.weight(device);
        let mut trace = None;
        for _ in 0..3 {
            let mut rule = self.rule(device);
            // Handed on, so that it may be updated in place as the weights are.
            if let (Some(relaxation), Some(trace)) = (&mut rule.relaxation, trace.take()) {
                relaxation.target = relaxation.target.take().map(|old| Target { trace, ..old });
            }
            (weight, trace) = plasticity_step(weight, rule, self.options());
        }
        [floats(weight), trace.map_or_else(Vec::new, floats)]
    }

    fn run_three_factor(&self, device: &Device) -> [Vec<f32>; 2] {
        let (samples, pre, post) = (self.samples, self.pre, self.post);
        let shapes = [[samples, 1, 1], [samples, pre, 1], [samples, 1, post], [samples, pre, post]];
        let shape = shapes[(self.seed % 4) as usize];
        let mut weight = self.weight(device);
        let count = samples * pre * post;
        let mut eligibility = tensor(self.values("eligibility", count), [samples, pre, post], device);
        for step in 0..3 {
            let (on_pre, on_post) = self.terms(device);
            let factors = self.events(&format!("modulation {step}"), shape.iter().product());
            let rule = ThreeFactor {
                on_pre,
                on_post,
                delays: self.delays(device),
                decay: 0.1,
                modulation: tensor(factors, shape, device),
                max: self.planes[1].then(|| self.plane("max", 1.0, device)),
            };
            (weight, eligibility) = eligibility_step(weight, eligibility, rule, self.options());
        }
        [floats(weight), floats(eligibility)]
    }

    fn check(&self, name: &str, device: &Device) {
        let what = format!("{name}, {self:?}");
        let reference = Device::flex().autodiff();
        for (found, expected) in self.run(device).iter().zip(&self.run(&reference)) {
            assert_close(found, expected, 1e-5, &what);
        }
        for (found, expected) in self.run_three_factor(device).iter().zip(&self.run_three_factor(&reference))
        {
            assert_close(found, expected, 1e-5, &format!("three factors: {what}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..Default::default() })]

    #[test]
    fn event_driven_rules_equal_dense_ones_on_the_cpu(rule in rules()) {
        for (name, device) in &devices()[..2] {
            rule.check(name, device);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..Default::default() })]

    #[test]
    fn event_driven_rules_equal_dense_ones_on_gpus(rule in rules()) {
        for (name, device) in devices().iter().skip(2) {
            rule.check(name, device);
        }
    }
}

#[test]
fn rules_do_not_depend_on_the_number_of_threads() {
    for (kind, relaxation, binary, seed) in
        [(1, 0, false, 8), (2, 0, false, 8), (3, 0, false, 8), (3, 0, true, 12), (1, 2, false, 8)]
    {
        let rule = Rule {
            pre: 300,
            post: 257,
            samples: 2,
            sets: 1,
            on_pre: kind,
            on_post: kind,
            relaxation,
            planes: [false; 2],
            density: 0.3,
            binary,
            longest: 3,
            seed,
        };
        let [one, two] =
            on_one_and_two_threads(|| (rule.run(&Device::flex()), rule.run_three_factor(&Device::flex())));
        assert!(one == two, "{rule:?}");
    }
}

/// Spikes of 1 that arrive late, between hard bounds, alone and with all else that a rule may have.
#[test]
fn late_spikes_side_by_side_equal_pairs() {
    for case in 0..24 {
        let rule = Rule {
            pre: 61,
            post: 100 + 7 * case,
            samples: 1 + case % 2,
            sets: 1 + case / 2 % 2,
            on_pre: 3,
            on_post: [0, 3, 1, 3][case / 4 % 4],
            relaxation: 0,
            planes: [case % 8 == 6, case % 8 == 7],
            density: 0.1,
            binary: true,
            longest: [1, 4, 8, 16][case % 4],
            seed: 4 + 8 * case as u64,
        };
        for (name, device) in &devices()[..2] {
            rule.check(name, device);
        }
        let [one, two] = on_one_and_two_threads(|| rule.run(&Device::flex()));
        assert!(one == two, "{rule:?}");
    }
}

#[test]
fn weights_held_elsewhere_do_not_change() {
    for (name, device) in devices() {
        let shape = (5, 6);
        let rule = Rule {
            pre: shape.0,
            post: shape.1,
            samples: 1,
            sets: 1,
            on_pre: 1,
            on_post: 1,
            relaxation: 2,
            planes: [false; 2],
            density: 1.0,
            binary: false,
            longest: 3,
            seed: 1,
        };
        let weight = rule.weight(&device);
        let before = floats(weight.clone());
        let learning = rule.rule(&device);
        let target = learning.relaxation.clone().and_then(|term| term.target).unwrap().trace;
        let target_before = floats(target.clone());
        let (after, moved) = plasticity_step(weight.clone(), learning, rule.options());
        assert_eq!(floats(weight.clone()), before, "{name}");
        assert_eq!(floats(target), target_before, "{name}");
        assert_ne!(floats(after), before, "{name}");
        assert_ne!(floats(moved.unwrap()), target_before, "{name}");

        let eligibility = Tensor::<3>::zeros([1, shape.0, shape.1], &device);
        let (on_pre, on_post) = rule.terms(&device);
        let modulation = Tensor::ones([1, 1, 1], &device);
        let rule = ThreeFactor { on_pre, on_post, delays: None, decay: 0.1, modulation, max: None };
        let options = PlasticityOptions::default();
        let (after, grown) = eligibility_step(weight.clone(), eligibility.clone(), rule, options);
        assert_eq!(floats(weight), before, "{name}");
        assert!(floats(eligibility).iter().all(|e| *e == 0.0), "{name}");
        assert!(floats(after) != before && floats(grown).iter().any(|e| *e != 0.0), "{name}");
    }
}

/// Triplet STDP over a train of pairs, against Pfister & Gerstner's rule written out for one synapse.
#[test]
fn triplets_follow_their_rule() {
    let (a2_plus, a3_plus, a2_minus, a3_minus) = (0.03f32, 0.05f32, 0.04f32, 0.02f32);
    let [fast_pre, slow_pre, fast_post, slow_post] = [0.06f32, 0.01, 0.03, 0.008];
    for (name, device) in devices() {
        let one = |value: f32| Tensor::<2>::from_floats([[value]], &device);
        let (mut r1, mut r2, mut o1, mut o2) = (0.0f32, 0.0f32, 0.0f32, 0.0f32);
        let mut expected = 0.5f32;
        let mut weight = one(expected);
        for step in 0..30u32 {
            let (pre, post) = (f32::from(u8::from(step % 4 == 0)), f32::from(u8::from(step % 6 == 1)));
            for (trace, rate) in
                [(&mut r1, fast_pre), (&mut r2, slow_pre), (&mut o1, fast_post), (&mut o2, slow_post)]
            {
                *trace -= rate * *trace;
            }
            // The slow traces are read before the spike of this step.
            let depression = pre * o1 * (a2_minus + a3_minus * r2);
            let potentiation = post * r1 * (a2_plus + a3_plus * o2);
            expected = (expected - depression + potentiation).clamp(0.0, 1.0);
            let rule = Plasticity {
                on_pre: Some(OnPre {
                    spikes: PreSignal::Units(one(pre * (a2_minus + a3_minus * r2))),
                    factor: one(-o1),
                }),
                on_post: Some(OnPost {
                    spikes: one(post * (a2_plus + a3_plus * o2)),
                    factor: PreSignal::Units(one(r1)),
                }),
                ..Default::default()
            };
            let options = PlasticityOptions { min: 0.0, max: 1.0, ..Default::default() };
            weight = plasticity_step(weight, rule, options).0;
            (r1, r2, o1, o2) = (r1 + pre, r2 + pre, o1 + post, o2 + post);
        }
        let found = floats(weight)[0];
        assert!((found - expected).abs() < 1e-6, "{name}: {found} {expected}");
        assert!((expected - 0.5).abs() > 0.01, "nothing was learned");
    }
}
