//! What holds for all rules, over random shapes, spikes and third factors.

use proptest::prelude::*;
use serde_json::{Value, json};
use spark::burn::tensor::{Int, TensorData};
use spark::core::component::Instance;
use spark::core::payload::{Arrival, Floats, Kernel, Late, PayloadKind, Shape, Spikes};
use spark::core::ports::{InputShapes, PortValues};
use spark::kernels::{DelayRing, Delays};
use spark::prelude::*;
use std::ops::Range;

use super::{floats, instance, kernel_of, tensor, wired};

const MAX_DELAY: usize = 3;
const STEPS: usize = 8;

/// Uniform draws under a name.
pub fn uniform(seed: u64, name: &str, count: usize, min: f32, max: f32) -> Vec<f32> {
    Initializer::Uniform { min, max }.draw(count, 1, &mut spark::core::seed::rng(seed, name))
}

/// A rule with strong parameters.
struct Setup {
    name: &'static str,
    config: Value,
    /// The port of its third factor.
    third: Option<&'static str>,
    /// The largest weight that it allows.
    max: f32,
    /// Whether weights without an event stay as they are.
    by_events: bool,
}

fn setups() -> Vec<Setup> {
    let by_type = json!({
        "pre_tau": 5.0, "post_tau": [2.0, 4.0, 6.0, 8.0], "q_alpha": [0.1, -0.1, 0.05, -0.05],
        "q_beta": [-0.5, 0.5, -0.25, 0.25], "q_delta": [1.0, 0.5, 0.25, 0.75], "eta": 0.04,
        "max_clip": [1.5, 1.2, 1.1, 1.3],
    });
    let same = json!({ "post_tau": 4.0, "q_alpha": -0.2, "q_gamma": 0.3, "max_clip": 1.5, "eta": 0.3 });
    let stdp = |bounds: &str, pairing: &str| json!({ "a_plus": 0.02, "a_minus": 0.03, "bounds": bounds, "pairing": pairing });
    let zenke = json!({ "target_tau": 20.0, "eta": 0.3, "c": -100.0 });
    let triplet = json!({ "a2_plus": 0.02, "a3_plus": 0.01, "a2_minus": 0.03, "a3_minus": 0.01 });
    let reward = json!({ "a_plus": 0.5, "a_minus": 0.5, "eta": 0.5, "eligibility_tau": 5.0 });
    let btsp = json!({ "et_scale": 0.3, "eta": 200.0, "is_tau": 4.0, "beta_dep": 100.0 });
    let setup = |name, config, third, max, by_events| Setup { name, config, third, max, by_events };
    let infinity = f32::INFINITY;
    vec![
        setup("HebbianRule", json!({ "eta": 2.0 }), None, infinity, true),
        setup("OjaRule", json!({ "eta": 5.0 }), None, infinity, false),
        setup("ZenkeRule", zenke.clone(), None, infinity, false),
        setup("QuadrupletRule", by_type.clone(), None, 1.5, true),
        setup("QuadrupletRule", same, None, 1.5, true),
        setup("PairSTDP", stdp("hard", "all_to_all"), None, 1.0, true),
        setup("PairSTDP", stdp("soft", "nearest"), None, 1.0, true),
        setup("TripletSTDP", triplet, None, 1.0, true),
        setup("ModulatedHebbianRule", json!({ "eta": 2.0 }), Some("modulation"), infinity, true),
        setup("ModulatedOjaRule", json!({ "eta": 5.0 }), Some("modulation"), infinity, false),
        setup("ModulatedZenkeRule", zenke, Some("modulation"), infinity, false),
        setup("ModulatedQuadrupletRule", by_type, Some("modulation"), 1.5, true),
        setup("RewardModulatedSTDP", reward, Some("reward"), 1.0, false),
        setup("BTSPRule", btsp, Some("modulation"), 4.02, false),
    ]
}

/// How presynaptic spikes come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Units,
    Pairs,
    /// Late, with a rule that keeps their traces by unit.
    Delayed,
    /// Late, with a rule that does not know beforehand.
    Unannounced,
}

#[derive(Clone, Debug)]
struct Trial {
    rule: usize,
    form: Form,
    /// What the third factor distinguishes: nothing, pre, post, pairs.
    third: usize,
    batch: usize,
    pre: usize,
    post: usize,
    seed: u64,
}

prop_compose! {
    fn trials()(
        rule in 0..setups().len(),
        form in prop_oneof![Just(Form::Units), Just(Form::Pairs), Just(Form::Delayed), Just(Form::Unannounced)],
        third in 0usize..4, batch in 1usize..4, pre in 1usize..7, post in 1usize..7, seed: u64,
    ) -> Trial {
        Trial { rule, form, third, batch, pre, post, seed }
    }
}

impl Trial {
    fn third_shape(&self, name: &str) -> Vec<usize> {
        match self.third {
            2 => vec![self.post],
            1 if name != "BTSPRule" => vec![self.pre],
            3 if name != "BTSPRule" => vec![self.post, self.pre],
            _ => vec![1],
        }
    }

    fn wired(&self, setup: &Setup) -> InputShapes {
        let mut wired = wired(self.pre, self.post);
        let (post, pre) = (&[self.post], &[self.pre]);
        match self.form {
            Form::Units => {}
            Form::Delayed => wired = wired.with("pre_spikes", Shape::delayed(post, pre, MAX_DELAY)),
            Form::Pairs | Form::Unannounced => wired = wired.with("pre_spikes", Shape::pairs(post, pre)),
        }
        match setup.third {
            Some(port) => wired.with(port, Shape::new(PayloadKind::Floats, &self.third_shape(setup.name))),
            None => wired,
        }
    }

    fn spikes(&self, name: &str, units: usize, samples: &Range<usize>) -> Vec<f32> {
        let draws = uniform(self.seed, name, self.batch * units, 0.0, 1.0);
        let spikes = draws.iter().map(|draw| f32::from(u8::from(*draw < 0.3)));
        spikes.skip(samples.start * units).take(samples.len() * units).collect()
    }

    fn delays(&self, device: &Device) -> Delays<2> {
        let steps = uniform(self.seed, "delays", self.pre * self.post, 1.0, MAX_DELAY as f32 + 0.99);
        let steps: Vec<i32> = steps.into_iter().map(|steps| steps as i32).collect();
        let steps = Tensor::<2, Int>::from_data(TensorData::new(steps, [self.pre, self.post]), device);
        Delays::new(steps, MAX_DELAY).unwrap()
    }

    fn kernel(&self, min: f32, max: f32, device: &Device) -> Tensor<2> {
        tensor(&uniform(self.seed, "kernel", self.pre * self.post, min, max), [self.pre, self.post], device)
    }
}

/// Some samples of a trial on their way through a rule.
struct Run<'a> {
    trial: &'a Trial,
    setup: &'a Setup,
    rule: Box<dyn Instance>,
    samples: Range<usize>,
    ring: Option<DelayRing>,
    delays: Delays<2>,
    device: Device,
}

impl<'a> Run<'a> {
    fn new(trial: &'a Trial, setup: &'a Setup, samples: Range<usize>, device: &Device) -> Self {
        let rule = instance(setup.name, &setup.config, &trial.wired(setup), samples.len(), device);
        let ring = Some(DelayRing::new(MAX_DELAY, samples.len(), trial.pre, device));
        Self { trial, setup, rule, samples, ring, delays: trial.delays(device), device: device.clone() }
    }

    /// What arrives in a step.
    fn arrival(&mut self, step: usize) -> Arrival {
        let Trial { pre, post, form, .. } = *self.trial;
        let batch = self.samples.len();
        if form == Form::Pairs {
            let spikes = self.trial.spikes(&format!("pairs {step}"), pre * post, &self.samples);
            return Arrival::Pairs(tensor(&spikes, [batch, pre, post], &self.device));
        }
        let spikes = self.trial.spikes(&format!("pre {step}"), pre, &self.samples);
        let spikes = tensor(&spikes, [batch, pre], &self.device);
        if form == Form::Units {
            return Arrival::Units(spikes);
        }
        let ring = self.ring.take().unwrap().push(spikes);
        self.ring = Some(ring.clone());
        Arrival::Delayed(Box::new(Late { spikes: ring, signed: None, delays: self.delays.clone() }))
    }

    fn step(&mut self, step: usize, kernel: Tensor<2>) -> Tensor<2> {
        let Trial { pre, post, seed, batch, .. } = *self.trial;
        let mask = |name: &str, units: usize| {
            let draws = uniform(seed, name, units, 0.0, 1.0);
            let mask: Vec<f32> = draws.iter().map(|draw| f32::from(u8::from(*draw < 0.4))).collect();
            Some(tensor(&mask, [units], &self.device))
        };
        let (pre_mask, post_mask) = (mask("pre mask", pre), mask("post mask", post));
        let arrival = self.arrival(step);
        let spikes = self.trial.spikes(&format!("post {step}"), post, &self.samples);
        let spikes = tensor(&spikes, [self.samples.len(), post], &self.device);
        let mut values = PortValues::default();
        values.put("pre_spikes", Spikes { arrival, inhibitory: pre_mask });
        values.put("post_spikes", Spikes::new(spikes).with_inhibitory(post_mask));
        values.put("kernel", Kernel(kernel));
        if let Some(port) = self.setup.third {
            let width = self.trial.third_shape(self.setup.name).iter().product::<usize>();
            let all = uniform(seed, &format!("third {step}"), batch * width, -0.5, 1.5);
            let third = &all[self.samples.start * width..self.samples.end * width];
            values.put(port, Floats(tensor(third, [self.samples.len(), width], &self.device)));
        }
        kernel_of(&self.rule.step(values).unwrap())
    }

    /// 1 where a pre- or postsynaptic spike met the synapse in the step just done.
    fn touched(&self, step: usize) -> Vec<f32> {
        let Trial { pre, post, form, .. } = *self.trial;
        let batch = self.samples.len();
        let spikes =
            |name: &str, count: usize| self.trial.spikes(&format!("{name} {step}"), count, &self.samples);
        let arrived = match form {
            Form::Pairs => tensor(&spikes("pairs", pre * post), [batch, pre, post], &self.device),
            Form::Units => {
                let units: Tensor<3> = tensor(&spikes("pre", pre), [batch, pre, 1], &self.device);
                units.expand([batch, pre, post])
            }
            _ => self.ring.as_ref().unwrap().read_pairs(&self.delays),
        };
        let fired: Tensor<3> = tensor(&spikes("post", post), [batch, 1, post], &self.device);
        floats((arrived + fired).sum_dim(0))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..Default::default() })]

    #[test]
    fn a_batch_learns_the_mean_of_what_its_samples_would(trial in trials()) {
        let (setup, device) = (&setups()[trial.rule], Device::flex());
        let mut batch = Run::new(&trial, setup, 0..trial.batch, &device);
        let mut singles: Vec<Run<'_>> =
            (0..trial.batch).map(|sample| Run::new(&trial, setup, sample..sample + 1, &device)).collect();
        let ends = setup.max.min(10.0);
        for step in 0..STEPS {
            // From the middle every time, so that no bound cuts a single sample off.
            let kernel = trial.kernel(0.45 * ends, 0.55 * ends, &device);
            let found = floats(batch.step(step, kernel.clone()));
            let all: Vec<Vec<f32>> =
                singles.iter_mut().map(|single| floats(single.step(step, kernel.clone()))).collect();
            for (i, found) in found.iter().enumerate() {
                let within = all.iter().all(|single| single[i] > 0.0 && single[i] < setup.max);
                let mean = all.iter().map(|single| single[i]).sum::<f32>() / all.len() as f32;
                // In one step PairSTDP and TripletSTDP depress all samples before they potentiate them.
                let tolerance = if setup.config["bounds"] == "soft" { 1e-2 } else { 2e-5 };
                prop_assert!(
                    !within || (found - mean).abs() <= tolerance * (1.0 + mean.abs()),
                    "{} {trial:?} step {step}: {found} {mean}", setup.name
                );
            }
        }
    }

    #[test]
    fn weights_stay_within_bounds(trial in trials()) {
        let (setup, device) = (&setups()[trial.rule], Device::flex());
        let mut run = Run::new(&trial, setup, 0..trial.batch, &device);
        let mut kernel = trial.kernel(0.0, 1.0, &device);
        for step in 0..STEPS {
            kernel = run.step(step, kernel);
            for weight in floats(kernel.clone()) {
                prop_assert!((0.0..=setup.max).contains(&weight), "{} {trial:?}: {weight}", setup.name);
            }
        }
    }

    #[test]
    fn nothing_moves_without_an_event(trial in trials()) {
        let (setup, device) = (&setups()[trial.rule], Device::flex());
        prop_assume!(setup.by_events);
        let mut run = Run::new(&trial, setup, 0..trial.batch, &device);
        let mut kernel = trial.kernel(0.0, 1.0, &device);
        for step in 0..STEPS {
            let before = floats(kernel.clone());
            kernel = run.step(step, kernel);
            let touched = run.touched(step);
            for ((after, before), touched) in floats(kernel.clone()).iter().zip(before).zip(touched) {
                prop_assert!(touched > 0.0 || *after == before, "{} {trial:?}: {after} {before}", setup.name);
            }
        }
    }

    #[test]
    fn traces_by_unit_serve_delayed_pairs(trial in trials()) {
        let (setup, device) = (&setups()[trial.rule], Device::flex());
        let [by_unit, by_pair] =
            [Form::Delayed, Form::Unannounced].map(|form| Trial { form, ..trial.clone() });
        let [mut by_unit, mut by_pair] =
            [&by_unit, &by_pair].map(|trial| Run::new(trial, setup, 0..trial.batch, &device));
        let start = trial.kernel(0.0, 1.0, &device);
        let (mut found, mut expected) = (start.clone(), start);
        for step in 0..STEPS {
            (found, expected) = (by_unit.step(step, found), by_pair.step(step, expected));
            for (found, expected) in floats(found.clone()).iter().zip(floats(expected.clone())) {
                let close = (found - expected).abs() <= 2e-5 * (1.0 + expected.abs());
                prop_assert!(close, "{} {trial:?} step {step}: {found} {expected}", setup.name);
            }
        }
    }

    #[test]
    fn a_saved_rule_goes_on_as_it_would_have(trial in trials()) {
        let (setup, device) = (&setups()[trial.rule], Device::flex());
        let mut run = Run::new(&trial, setup, 0..trial.batch, &device);
        let mut kernel = trial.kernel(0.0, 1.0, &device);
        for step in 0..STEPS / 2 {
            kernel = run.step(step, kernel);
        }
        let mut other = Run::new(&trial, setup, 0..trial.batch, &device);
        other.ring = run.ring.clone();
        other.rule.restore(&run.rule.save()).unwrap();
        for step in STEPS / 2..STEPS {
            let again = other.step(step, kernel.clone());
            kernel = run.step(step, kernel);
            prop_assert_eq!(floats(again), floats(kernel.clone()), "{} {:?}", setup.name, trial);
        }
    }
}
