//! What single pairs, trains of pairs and rates do to a synapse, against closed forms.

use serde_json::{Value, json};
use spark::burn::tensor::TensorData;
use spark::core::payload::{Currents, Kernel, Payload, PayloadKind, Shape, Spikes};
use spark::core::ports::{InputShapes, PortValues};
use spark::prelude::*;

use super::{Diagonal, floats, instance, kernel_of, tensor};

/// The change of a weight by trains of spikes, `(pre, post)` at each step.
fn change(name: &str, config: &Value, weight: f32, trains: impl Iterator<Item = (bool, bool)>) -> f32 {
    let device = Device::flex();
    let mut pair = Diagonal::new(name, config, weight, 1, &device);
    let mut last = weight;
    for (pre, post) in trains {
        last = pair.step(&[f32::from(u8::from(pre))], &[f32::from(u8::from(post))], None)[0];
    }
    last - weight
}

/// A pair with the postsynaptic spike `lag` steps after the presynaptic one.
fn pair(lag: i32) -> impl Iterator<Item = (bool, bool)> {
    (0..200).map(move |step| (step == 100, step == 100 + lag))
}

const LAGS: [i32; 10] = [-60, -20, -10, -5, -1, 1, 5, 10, 20, 60];

#[test]
fn a_pair_changes_the_weight_by_the_window() {
    let windows = |dt: f32, soft: bool| {
        let config = json!({
            "dt": dt, "a_plus": 0.04, "a_minus": 0.03, "pre_tau": 15.0, "post_tau": 30.0,
            "bounds": if soft { "soft" } else { "hard" },
        });
        for lag in LAGS {
            let interval = lag as f32 * dt;
            let expected = match (lag > 0, soft) {
                (true, false) => 0.04 * (-interval / 15.0).exp(),
                (false, false) => -0.03 * (interval / 30.0).exp(),
                (true, true) => 0.04 * (-interval / 15.0).exp() * 0.75,
                (false, true) => -0.03 * (interval / 30.0).exp() * 0.25,
            };
            let found = change("PairSTDP", &config, 0.25, pair(lag));
            assert!((found - expected).abs() < 1e-6, "{config}, {lag} steps: {found} {expected}");
        }
    };
    windows(1.0, false);
    windows(0.5, false);
    windows(1.0, true);
}

#[test]
fn hebbian_pairs_potentiate_in_either_order_less_with_their_distance() {
    let config = json!({ "pre_tau": 10.0, "post_tau": 40.0, "eta": 0.5 });
    // Spikes at different steps add one product of a trace and a spike.
    for lag in LAGS {
        let (tau, distance) = if lag > 0 { (10.0, lag) } else { (40.0, -lag) };
        let expected = 0.5 / tau * (-distance as f32 / tau).exp();
        let found = change("HebbianRule", &config, 0.25, pair(lag));
        assert!((found - expected).abs() < 1e-6, "{lag}: {found} {expected}");
    }
}

#[test]
fn nearest_spikes_pair_once() {
    let config =
        |pairing: &str| json!({ "a_plus": 0.1, "a_minus": 0.0, "pre_tau": 20.0, "pairing": pairing });
    let trains = || (0..40).map(|step| (step < 10, step == 20));
    let window = |distance: f32| 0.1 * (-distance / 20.0).exp();
    let nearest = change("PairSTDP", &config("nearest"), 0.0, trains());
    assert!((nearest - window(11.0)).abs() < 1e-6, "{nearest}");
    let all = change("PairSTDP", &config("all_to_all"), 0.0, trains());
    let expected: f32 = (11..=20).map(|distance| window(distance as f32)).sum();
    assert!((all - expected).abs() < 1e-5, "{all} {expected}");
}

/// A triplet rule for one synapse in ordinary numbers; without its triplet terms, pair STDP.
struct ByHand {
    amplitudes: [f64; 4],
    decays: [f64; 4],
    traces: [f64; 4],
    soft: bool,
    nearest: bool,
}

impl ByHand {
    fn step(&mut self, weight: &mut f64, pre: bool, post: bool) {
        let [a2_plus, a3_plus, a2_minus, a3_minus] = self.amplitudes;
        for (trace, decay) in self.traces.iter_mut().zip(self.decays) {
            *trace *= decay;
        }
        let add = |trace: f64, nearest: bool| if nearest { 1.0 } else { trace + 1.0 };
        let [r1, r2, o1, o2] = self.traces;
        let fast = if pre { add(r1, self.nearest) } else { r1 };
        if pre {
            let room = if self.soft { *weight } else { 1.0 };
            *weight = (*weight - o1 * (a2_minus + a3_minus * r2) * room).max(0.0);
        }
        if post {
            let room = if self.soft { 1.0 - *weight } else { 1.0 };
            *weight = (*weight + fast * (a2_plus + a3_plus * o2) * room).min(1.0);
        }
        if pre {
            self.traces[0] = fast;
            self.traces[1] = add(r2, self.nearest);
        }
        if post {
            self.traces[2] = add(o1, self.nearest);
            self.traces[3] = add(o2, self.nearest);
        }
    }
}

#[test]
fn triplets_and_pairs_equal_their_rules_written_out() {
    let draws = super::properties::uniform(5, "trains", 1200, 0.0, 1.0);
    for (soft, nearest) in [(false, false), (false, true), (true, false), (true, true)] {
        let bounds = if soft { "soft" } else { "hard" };
        let pairing = if nearest { "nearest" } else { "all_to_all" };
        let taus = [16.0, 100.0, 34.0, 125.0];
        let triplet = json!({
            "a2_plus": 0.02, "a3_plus": 0.05, "a2_minus": 0.04, "a3_minus": 0.03,
            "pre_tau": taus[0], "pre_slow_tau": taus[1], "post_tau": taus[2], "post_slow_tau": taus[3],
            "bounds": bounds, "pairing": pairing,
        });
        let pair = json!({
            "a_plus": 0.02, "a_minus": 0.04, "pre_tau": taus[0], "post_tau": taus[2],
            "bounds": bounds, "pairing": pairing,
        });
        let rules =
            [("TripletSTDP", triplet, [0.02, 0.05, 0.04, 0.03]), ("PairSTDP", pair, [0.02, 0.0, 0.04, 0.0])];
        for (name, config, amplitudes) in rules {
            let decays = taus.map(|tau: f64| (-1.0 / tau).exp());
            let mut by_hand = ByHand { amplitudes, decays, traces: [0.0; 4], soft, nearest };
            let mut rule = Diagonal::new(name, &config, 0.5, 1, &Device::flex());
            let mut expected = 0.5;
            for draws in draws.chunks(2) {
                let [pre, post] = [draws[0] < 0.1, draws[1] < 0.1];
                by_hand.step(&mut expected, pre, post);
                let spike = |there: bool| [f32::from(u8::from(there))];
                let found = rule.step(&spike(pre), &spike(post), None)[0];
                assert!((f64::from(found) - expected).abs() < 1e-4, "{name} {config}: {found} {expected}");
            }
        }
    }
}

#[test]
fn triplets_make_learning_depend_on_the_rate() {
    // Sjöström, Turrigiano & Nelson (2001): 60 pairs, the fit of Pfister & Gerstner (2006).
    let config = json!({ "w_max": 100.0 });
    let pairs = |lag: usize, interval: usize| {
        let trains = (0..60 * interval + 100).map(move |step| {
            let [pre, post] = if lag > 0 { [0, lag] } else { [10, 0] };
            let within = step / interval < 60;
            (within && step % interval == pre, within && step % interval == post)
        });
        change("TripletSTDP", &config, 50.0, trains)
    };
    let (causal, anticausal) = (|interval| pairs(10, interval), |interval| pairs(0, interval));
    assert!(causal(1000).abs() < 0.01 && causal(20) > causal(50) && causal(50) > causal(100));
    assert!(anticausal(1000) < -0.1 && anticausal(20) > 0.1);
}

#[test]
fn rewards_find_the_synapses_that_are_eligible() {
    let config = json!({ "a_plus": 0.02, "a_minus": 0.03, "eligibility_tau": 200.0, "eta": 0.5 });
    let device = Device::flex();
    // A causal pair, an anticausal one, and none.
    let mut pairs = Diagonal::new("RewardModulatedSTDP", &config, 0.5, 3, &device);
    let mut weights = Vec::new();
    for step in 0..=105 {
        let at = |steps: [usize; 2]| steps.map(|when| f32::from(u8::from(step == when)));
        let ([causal, anticausal], [late, early]) = (at([0, 5]), at([5, 0]));
        let reward = if step == 105 { 2.0 } else { 0.0 };
        weights = pairs.step(&[causal, anticausal, 0.0], &[late, early, 0.0], Some(reward));
        if step < 105 {
            assert_eq!(weights, [0.5; 3]);
        }
    }
    let left = 0.5 * 2.0 * (-100.0f32 / 200.0).exp() * (-5.0f32 / 20.0).exp();
    for (found, expected) in weights.iter().zip([0.02 * left, -0.03 * left, 0.0]) {
        assert!((found - 0.5 - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn scaling_brings_rates_to_their_target() {
    let config = json!({ "target_rate": 10.0, "rate_tau": 100.0, "scaling_tau": 1000.0, "interval": 1.0 });
    let device = Device::flex();
    let shapes = InputShapes::default()
        .with("post_spikes", Shape::new(PayloadKind::Spikes, &[2]))
        .with("kernel", Shape::new(PayloadKind::Kernel, &[2, 2]));
    let mut scaling = instance("HomeostaticScaling", &config, &shapes, 1, &device);
    let mut kernel = tensor(&[1.0, 1.0, 2.0, 2.0], [2, 2], &device);
    for step in 0..2000 {
        // Silent, and at 20 Hz.
        let post = [0.0, f32::from(u8::from(step % 50 == 0))];
        let mut values = PortValues::default();
        values.put("post_spikes", Spikes::new(tensor(&post, [1, 2], &device)));
        values.put("kernel", Kernel(kernel));
        kernel = kernel_of(&scaling.step(values).unwrap());
    }
    let found = floats(kernel);
    // Until the mean rate has followed, a bit over the time constant of rates is missing.
    let grown = (1900.0f32 / 1000.0).exp();
    assert!((found[0] / grown - 1.0).abs() < 0.02, "{found:?} {grown}");
    assert!((found[1] * grown - 1.0).abs() < 0.05, "{found:?}");
    assert!((found[2] / found[0] - 2.0).abs() < 1e-5 && (found[3] / found[1] - 2.0).abs() < 1e-5);
}

#[test]
fn plateaus_raise_weak_synapses_and_lower_strong_ones() {
    let device = Device::flex();
    let shapes = InputShapes::default()
        .with("modulation", Shape::new(PayloadKind::Floats, &[1]))
        .with("pre_spikes", Shape::new(PayloadKind::Spikes, &[3]))
        .with("kernel", Shape::new(PayloadKind::Kernel, &[1, 3]));
    let mut rule = instance("BTSPRule", &json!({}), &shapes, 1, &device);
    // Weak and strong at the time of the plateau, and strong long before it.
    let start = [0.5, 3.9, 3.0];
    let mut kernel = tensor(&start, [3, 1], &device);
    for step in 0..6000 {
        let plateau = f32::from(u8::from((3000..3300).contains(&step)));
        let near = f32::from(u8::from((2800..3300).contains(&step) && step % 40 == 0));
        let far = f32::from(u8::from((500..1500).contains(&step) && step % 40 == 0));
        let mut values = PortValues::default();
        values.put("modulation", spark::core::payload::Floats(tensor(&[plateau], [1, 1], &device)));
        values.put("pre_spikes", Spikes::new(tensor(&[near, near, far], [1, 3], &device)));
        values.put("kernel", Kernel(kernel));
        kernel = kernel_of(&rule.step(values).unwrap());
    }
    let found = floats(kernel);
    assert!(
        found[0] > start[0] + 0.2 && found[1] < start[1] - 0.05 && found[2] < start[2] - 0.01,
        "{found:?}"
    );
}

#[test]
fn short_term_plasticity_equals_its_equations() {
    let device = Device::flex();
    let config = json!({ "r_tau": 200.0, "u_tau": [30.0, 80.0], "u_scale": 0.3, "dt": 0.5 });
    let shapes = InputShapes::default()
        .with("pre_spikes", Shape::new(PayloadKind::Spikes, &[2]))
        .with("currents", Shape::new(PayloadKind::Currents, &[2]));
    let mut rule = instance("RUShortTermPlasticity", &config, &shapes, 1, &device);
    let mut state = [[0.0f64, 1.0]; 2];
    for step in 0..400 {
        let spikes = [step % 20 == 0, step % 50 == 10].map(|there| f32::from(u8::from(there)));
        let mut values = PortValues::default();
        values.put("pre_spikes", Spikes::new(tensor(&spikes, [1, 2], &device)));
        values
            .put("currents", Currents(Tensor::from_data(TensorData::new(vec![7.0f32; 2], [1, 2]), &device)));
        let outputs = rule.step(values).unwrap();
        let Some(Payload::Currents(Currents(found))) = outputs.get("kernel") else { panic!("no currents") };
        let found = floats(found.clone());
        for (unit, tau) in [30.0f64, 80.0].into_iter().enumerate() {
            let [usage, resources] = &mut state[unit];
            let spike = f64::from(spikes[unit]);
            *usage = *usage * (-0.5 / tau).exp() + 0.3 * spike;
            let expected = 7.0 * *usage * *resources;
            let rate = -(-0.5f64 / 200.0).exp_m1();
            *resources += rate * (1.0 - *resources) - *usage * *resources * spike;
            assert!((f64::from(found[unit]) - expected).abs() < 1e-4, "{step}: {found:?} {expected}");
        }
    }
}
