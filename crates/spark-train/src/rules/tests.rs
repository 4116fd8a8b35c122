//! Rules against backpropagation where theory says that they are the same.

use super::*;
use crate::Penalty;
use burn::tensor::Device;
use proptest::prelude::*;
use serde_json::{Value, json};
use spark_core::{DeviceChoice, seed};
use spark_io::parameters::Path;
use spark_kernels::{ScanOptions, leaky_scan};
use spark_nn::layers::{Inputs, Layer, NetworkConfig, Temporal};
use std::collections::BTreeMap;

/// A network on an autodiff device, from its layers.
pub(super) fn network(inputs: Value, layers: Value, device: &Device) -> Network {
    let config: NetworkConfig =
        serde_json::from_value(json!({"input": inputs, "layers": layers})).expect("a configuration");
    config.init(5, &device.clone().autodiff()).expect("a valid configuration")
}

/// Spikes of probability one half, times two so that units are active, `[time, batch, inputs]`.
pub(super) fn spikes(shape: [usize; 3], device: &Device) -> Tensor<3> {
    let stream = spark_kernels::philox::Stream::new(7, 0, 0);
    spark_kernels::random::bernoulli(0.5, shape, stream, &device.clone().autodiff()) * 2.0
}

/// Labels that go round all classes.
pub(super) fn labels(batch: usize, classes: usize, device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i32> = (0..batch).map(|sample| (sample % classes) as i32).collect();
    Tensor::from_ints(labels.as_slice(), &device.clone().autodiff())
}

/// Gradients by the name of their parameter, as they lie in memory.
pub(super) fn by_name(network: &Network, gradients: &GradientsParams) -> BTreeMap<String, Vec<f32>> {
    struct Names<'a>(Path, &'a GradientsParams, BTreeMap<String, Vec<f32>>);
    impl ModuleVisitor for Names<'_> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, container: &str) {
            self.0.exit(container);
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.1.get::<D>(param.id) {
                self.2.insert(self.0.name(), gradient.into_data().iter::<f32>().collect());
            }
        }
    }
    let mut names = Names(Path::default(), gradients, BTreeMap::new());
    network.visit(&mut names);
    names.2
}

pub(super) fn assert_close(found: &BTreeMap<String, Vec<f32>>, expected: &BTreeMap<String, Vec<f32>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, expected) in expected {
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        assert!(largest > 0.0, "{name}: nothing to compare");
        for (found, expected) in found[name].iter().zip(expected) {
            let distance = (found - expected).abs();
            assert!(distance < 1e-5 * largest + 1e-9, "{name}: found {found}, expected {expected}");
        }
    }
}

/// Backpropagation through time of the loss that the online rules have.
fn backpropagated(
    network: &Network,
    input: Tensor<3>,
    labels: Tensor<1, Int>,
    loss: &Loss,
) -> GradientsParams {
    let output = network.forward(input, None);
    let ran = spark_nn::layers::LocalRun { output: output.output, potential: output.potential };
    GradientsParams::from_grads(Aim::from(loss).mean_of_steps(ran, labels).backward(), network)
}

/// Compares a rule with backpropagation of the loss of every step.
fn assert_backpropagates(rule: LearningRule, inputs: Value, layers: Value, [time, classes]: [usize; 2]) {
    let device = Device::flex();
    let network = network(inputs.clone(), layers, &device);
    let count = inputs.as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).product();
    let (input, labels) = (spikes([time, 4, count], &device), labels(4, classes, &device));
    for loss in [Loss::CountCrossEntropy {}, Loss::MembraneCrossEntropy {}] {
        // Copies draw the same masks of dropout.
        let copy = network.clone();
        let expected = backpropagated(&copy, input.clone(), labels.clone(), &loss);
        let found = rule.gradients(&network, input.clone(), labels.clone(), &loss).unwrap();
        assert_close(&by_name(&network, &found.gradients), &by_name(&copy, &expected));
    }
}

const ONLINE: [LearningRule; 2] =
    [LearningRule::Ottt {}, LearningRule::Eprop { feedback: Feedback::Symmetric, seed: 0 }];

#[test]
fn one_layer_learns_as_by_backpropagation() {
    for rule in ONLINE.into_iter().chain([LearningRule::Decolle { seed: 0 }]) {
        let units = json!({"kind": "leaky", "decay": 0.8, "learn_decay": true, "learn_threshold": true});
        assert_backpropagates(rule, json!([6]), json!([{"kind": "dense", "units": 3}, units]), [12, 3]);
    }
}

#[test]
fn one_step_learns_as_by_backpropagation() {
    let layers = json!([
        {"kind": "conv2d", "channels": 3, "kernel": [3, 3]},
        {"kind": "max_pool2d", "window": [2, 2]},
        {"kind": "leaky", "threshold": 0.05, "reset_gradient": true},
        {"kind": "dropout", "probability": 0.3},
        {"kind": "dense", "units": 7},
        {"kind": "leaky", "threshold": 0.05},
        {"kind": "sequential", "layers": [{"kind": "dense", "units": 6}, {"kind": "leaky", "threshold": 0.05}]},
        {"kind": "scale", "factor": 2.0, "learn": true}]);
    assert_backpropagates(LearningRule::Ottt {}, json!([1, 8, 8]), layers, [1, 6]);
}

#[test]
fn layers_without_memory_learn_online_as_by_backpropagation() {
    let units = json!({"kind": "leaky", "decay": 0.0, "reset": "none", "threshold": 0.2});
    let layers = json!([{"kind": "dense", "units": 8}, units, {"kind": "dense", "units": 5}, units,
                        {"kind": "dense", "units": 3}, units]);
    assert_backpropagates(LearningRule::Ottt {}, json!([6]), layers, [9, 3]);
}

#[test]
fn eligibility_of_one_hidden_layer_is_its_gradient() {
    let rule = LearningRule::Eprop { feedback: Feedback::Symmetric, seed: 0 };
    let hidden = [
        json!({"kind": "leaky", "decay": 0.9, "learn_decay": true}),
        json!({"kind": "leaky", "decay": 0.9, "reset": "zero"}),
        json!({"kind": "leaky", "decay": 0.9, "reset_delay": true, "scale_input": true, "threshold": 0.2}),
        json!({"kind": "adaptive", "decay": 0.8, "reset": "zero"}),
        json!({"kind": "adaptive", "decay": 0.8}),
        json!({"kind": "synaptic", "threshold": 2.0}),
        json!({"kind": "parametric"}),
        json!({"kind": "lapicque"}),
        json!({"kind": "integrate_and_fire"}),
    ];
    let readouts =
        [json!({"kind": "leaky_integrator", "decay": 0.7}), json!({"kind": "leaky", "threshold": 0.5})];
    for hidden in &hidden {
        for readout in &readouts {
            let layers =
                json!([{"kind": "dense", "units": 9}, hidden, {"kind": "dense", "units": 3}, readout]);
            assert_backpropagates(rule, json!([6]), layers, [11, 3]);
        }
    }
}

#[test]
fn a_window_of_all_steps_is_backpropagation_through_time() {
    let device = Device::flex();
    let units = json!({"kind": "leaky", "decay": 0.9, "learn_threshold": true});
    let layers = json!([{"kind": "dense", "units": 9}, units, {"kind": "dense", "units": 3}, units]);
    let network = network(json!([6]), layers, &device);
    let (input, labels) = (spikes([10, 4, 6], &device), labels(4, 3, &device));
    let losses = [
        Loss::CountCrossEntropy {},
        Loss::RateMse { correct: 0.8, incorrect: 0.1 },
        Loss::MembraneCrossEntropy {},
    ];
    for loss in losses {
        let gradients = |rule: LearningRule| {
            let found = rule.gradients(&network, input.clone(), labels.clone(), &loss).unwrap();
            (by_name(&network, &found.gradients), found.loss.into_data(), found.scores.into_data())
        };
        for steps in [10, 25] {
            assert_eq!(gradients(LearningRule::TruncatedBptt { steps }), gradients(LearningRule::Bptt {}));
        }
        let windows = gradients(LearningRule::TruncatedBptt { steps: 3 });
        assert_ne!(windows.0, gradients(LearningRule::Bptt {}).0);
        assert_eq!(windows.2, gradients(LearningRule::Bptt {}).2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Against scans from the start of the sequence that cut the gradient of their state themselves.
    #[test]
    fn windows_pass_no_gradient_on(time in 1usize..14, window in 1usize..6, batch in 1usize..4) {
        let device = Device::flex();
        let layers = json!([{"kind": "dense", "units": 3}, {"kind": "leaky", "decay": 0.9}]);
        let network = network(json!([5]), layers, &device);
        let (input, labels) = (spikes([time, batch, 5], &device), labels(batch, 3, &device));
        let loss = Loss::CountCrossEntropy {};
        let [Layer::Dense(dense), Layer::Leaky(leaky)] = &network.layers[..] else { unreachable!() };
        let current = || {
            leaky_scan(
                dense.forward(input.clone()),
                Tensor::zeros([batch, 3], &input.device()),
                leaky.decay.val(),
                leaky.threshold.val(),
                ScanOptions { window: Some(window), ..Default::default() },
            ).spikes
        };
        let mut expected = GradientsParams::new();
        for start in (0..time).step_by(window) {
            let end = (start + window).min(time);
            let mut counts = current().slice_dim(0, start..end).sum_dim(0).reshape([batch, 3]);
            if start > 0 {
                counts = counts + current().detach().slice_dim(0, 0..start).sum_dim(0).reshape([batch, 3]);
            }
            let whole = Aim::from(&loss).mean_of_scores(counts.unsqueeze(), labels.clone());
            let part = whole * ((end - start) as f32 / time as f32);
            add(&network, &mut part.backward(), &mut expected);
        }
        let rule = LearningRule::TruncatedBptt { steps: window };
        let found = rule.gradients(&network, input.clone(), labels, &loss).unwrap();
        assert_close(&by_name(&network, &found.gradients), &by_name(&network, &expected));
    }

    /// Of any shape, without spikes too, gradients are finite and backends agree.
    #[test]
    fn backends_agree(time in 1usize..6, batch in 1usize..4, inputs in 1usize..5, scale in prop::sample::select(vec![0.0f32, 1.0])) {
        let units = json!({"kind": "leaky", "decay": 0.9});
        let recurrent = json!({"kind": "recurrent", "units": units});
        let layers = json!([{"kind": "dense", "units": 4}, recurrent, {"kind": "dense", "units": 3}, units,
                            {"kind": "dense", "units": 2}, {"kind": "leaky_integrator"}]);
        for rule in LearningRule::PRESETS {
            let [flex, ndarray] = [DeviceChoice::Flex, DeviceChoice::NdArray].map(|choice| {
                let device = choice.resolve().unwrap();
                let network = network(json!([inputs]), layers.clone(), &device);
                let input = spikes([time, batch, inputs], &device) * scale;
                let found = rule.gradients(&network, input, labels(batch, 2, &device), &Loss::default()).unwrap();
                by_name(&network, &found.gradients)
            });
            prop_assert_eq!(flex.len(), 8);
            for (name, flex) in &flex {
                prop_assert!(flex.iter().all(|value| value.is_finite()));
                for (a, b) in flex.iter().zip(&ndarray[name]) {
                    prop_assert!((a - b).abs() < 1e-5, "{:?} {}: {} and {}", rule, name, a, b);
                }
            }
        }
    }
}

#[test]
fn what_a_rule_cannot_train_is_named() {
    let device = Device::flex();
    let layers = json!([
        {"kind": "dense", "units": 3},
        {"kind": "sequential", "layers": [{"kind": "batch_norm"}, {"kind": "adaptive"}]},
        {"kind": "leaky", "snntorch_reset": true}]);
    let network = network(json!([4]), layers, &device);
    let paths = |rule: LearningRule| {
        let mut problems = Problems::default();
        rule.check(&network, "network", &mut problems);
        problems.list().iter().map(|problem| problem.path.clone()).collect::<Vec<_>>()
    };
    assert!(paths(LearningRule::Bptt {}).is_empty());
    let [norm, adaptive, leaky] =
        ["network.layers[1].layers[0]", "network.layers[1].layers[1]", "network.layers[2]"];
    assert_eq!(paths(LearningRule::Ottt {}), [norm, adaptive, leaky]);
    assert_eq!(paths(LearningRule::Decolle { seed: 0 }), [norm, leaky]);
}

#[test]
fn empty_and_unequal_inputs_are_refused() {
    let device = Device::flex();
    let layers = json!([{"kind": "dense", "units": 3}, {"kind": "leaky"}]);
    let network = network(json!([4]), layers, &device);
    let refused = |rule: LearningRule, shape: [usize; 3], labelled: usize| {
        let input = Tensor::zeros(shape, &device.clone().autodiff());
        let error = rule.gradients(&network, input, labels(labelled, 3, &device), &Loss::default());
        error.unwrap_err().list()[0].path.clone()
    };
    for rule in LearningRule::PRESETS {
        assert_eq!(refused(rule, [0, 2, 4], 2), "input");
        assert_eq!(refused(rule, [5, 2, 4], 3), "labels");
    }
    assert_eq!(refused(LearningRule::TruncatedBptt { steps: 0 }, [5, 2, 4], 2), "rule.steps");
}

#[test]
fn layers_without_anything_to_train_pass_gradients_on() {
    let device = Device::flex();
    let units = json!({"kind": "leaky", "threshold": 0.05});
    let layers = json!([{"kind": "dense", "units": 3}, units, units, units]);
    let network = network(json!([4]), layers, &device);
    for rule in LearningRule::PRESETS {
        let (input, labels) = (spikes([5, 3, 4], &device), labels(3, 3, &device));
        let found = rule.gradients(&network, input, labels, &Loss::default()).unwrap();
        let gradients = by_name(&network, &found.gradients);
        assert_eq!(gradients.len(), 2);
        assert!(gradients["layers.0.weight"].iter().any(|gradient| *gradient != 0.0), "{rule:?}");
    }
    let frozen = network.no_grad();
    for rule in &LearningRule::PRESETS[1..] {
        let (input, labels) = (spikes([5, 3, 4], &device), labels(3, 3, &device));
        let found = rule.gradients(&frozen, input, labels, &Loss::default()).unwrap();
        assert!(found.gradients.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn inputs_that_stay_teach_what_their_steps_teach(
        rule in prop::sample::select(LearningRule::PRESETS.to_vec()),
        window in 1usize..8,
        (frames, hold) in (1usize..4, 1usize..6),
        cut in 0usize..4,
    ) {
        let rule = match rule {
            LearningRule::TruncatedBptt { .. } => LearningRule::TruncatedBptt { steps: window },
            other => other,
        };
        let device = Device::flex();
        let layers = json!([
            {"kind": "conv2d", "channels": 3, "kernel": [3, 3]},
            {"kind": "max_pool2d", "window": [2, 2]},
            {"kind": "dropout", "probability": 0.3},
            {"kind": "leaky", "threshold": 0.1},
            {"kind": "dense", "units": 4},
            {"kind": "leaky", "threshold": 0.1}]);
        let network = network(json!([1, 6, 6]), layers, &device);
        let rows = spikes([frames, 3, 36], &device) * 0.5;
        let time = frames * hold;
        let lengths = [time, time - time.min(cut + 1) + 1, 1];
        let gradients = |inputs: Inputs| {
            let network = network.clone();
            let aim = Aim { lengths: Some(&lengths), ..Aim::from(&Loss::CountCrossEntropy {}) };
            let found = rule.find(&network, inputs, labels(3, 4, &device), aim);
            (found.scores.into_data(), by_name(&network, &found.gradients))
        };
        let inputs = Inputs::held(rows, hold);
        let (scores, found) = gradients(inputs.clone());
        let (expected_scores, expected) = gradients(inputs.expanded().into());
        prop_assert_eq!(scores, expected_scores);
        assert_close(&found, &expected);
    }
}

#[test]
fn penalties_change_each_layer_by_its_own_spikes() {
    let device = Device::flex();
    let units = json!({"kind": "leaky", "decay": 0.8, "threshold": 0.4});
    let adaptive = json!({"kind": "adaptive", "decay": 0.8, "threshold": 0.4, "reset": "none"});
    let layers = json!([{"kind": "dense", "units": 9}, units, {"kind": "dense", "units": 6}, adaptive,
                        {"kind": "leaky_integrator"}, {"kind": "dense", "units": 3}, units]);
    let config = json!({"input": [6], "layers": layers});
    let synapses = serde_json::from_value::<NetworkConfig>(config).unwrap().synapses().unwrap().unwrap();
    let network = network(json!([6]), layers, &device);
    let (input, labels) = (spikes([11, 4, 6], &device), labels(4, 3, &device));
    let penalties = [
        Penalty::Spikes { weight: 0.5 },
        Penalty::RateBand { weight: 2.0, low: 0.2, high: 0.2 },
        Penalty::Operations { weight: 3.0 },
    ];
    let rules = [
        LearningRule::Eprop { feedback: Feedback::Symmetric, seed: 0 },
        LearningRule::Eprop { feedback: Feedback::Random, seed: 0 },
        LearningRule::Decolle { seed: 0 },
    ];
    for penalty in penalties {
        let (mut x, mut fired) = (input.clone(), Vec::new());
        for layer in &network.layers {
            let state = layer.initial_state(4, &x.device());
            x = layer.sequence(x, state).0;
            if matches!(layer, Layer::Leaky(_) | Layer::Adaptive(_)) {
                fired.push(x.clone());
                x = x.detach();
            }
        }
        let term = penalty.of(&fired, &synapses).unwrap();
        let value = term.clone().into_scalar::<f32>();
        let expected = by_name(&network, &GradientsParams::from_grads(term.backward(), &network));
        for rule in rules {
            let found = |penalties: &[Penalty]| {
                let aim = Aim { penalties, synapses: &synapses, ..Aim::from(&Loss::CountCrossEntropy {}) };
                rule.find(&network, input.clone().into(), labels.clone(), aim)
            };
            let (with, without) = (found(&[penalty]), found(&[]));
            let loss = |found: &Found| found.loss.clone().into_scalar::<f32>();
            assert!((loss(&with) - loss(&without) - value).abs() < 1e-4 * value.abs().max(1.0));
            let with = by_name(&network, &with.gradients);
            let without = by_name(&network, &without.gradients);
            for (name, expected) in &expected {
                let largest = expected.iter().chain(&without[name]).fold(1e-6f32, |a, b| a.max(b.abs()));
                for ((with, without), expected) in with[name].iter().zip(&without[name]).zip(expected) {
                    let distance = (with - without - expected).abs();
                    assert!(distance < 1e-5 * largest, "{rule:?}, {penalty:?}, {name}: {distance}");
                }
            }
        }
    }
}

#[test]
fn random_weights_follow_from_the_seed() {
    let device = Device::flex();
    let units = json!({"kind": "leaky", "decay": 0.9});
    let layers = json!([{"kind": "dense", "units": 9}, units, {"kind": "dense", "units": 3}, units]);
    let network = network(json!([6]), layers, &device);
    let gradients = |rule: LearningRule| {
        let (input, labels) = (spikes([10, 4, 6], &device), labels(4, 3, &device));
        by_name(&network, &rule.gradients(&network, input, labels, &Loss::default()).unwrap().gradients)
    };
    for rule in [
        |seed| LearningRule::Eprop { feedback: Feedback::Random, seed },
        |seed| LearningRule::Decolle { seed },
    ] {
        assert_eq!(gradients(rule(1)), gradients(rule(1)));
        assert_ne!(gradients(rule(1))["layers.0.weight"], gradients(rule(2))["layers.0.weight"]);
        assert_eq!(gradients(rule(1))["layers.2.weight"], gradients(rule(2))["layers.2.weight"]);
    }
    assert_ne!(seed::derive(1, "feedback.0"), seed::derive(1, "feedback.1"));
}

#[test]
fn rules_survive_json() {
    for rule in LearningRule::PRESETS {
        let text = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<LearningRule>(&text).unwrap(), rule);
    }
    let eprop: LearningRule = serde_json::from_str(r#"{"kind": "eprop"}"#).unwrap();
    assert_eq!(eprop, LearningRule::PRESETS[3]);
    assert!(serde_json::from_str::<LearningRule>(r#"{"kind": "ottt", "trace": 1}"#).is_err());
}
