use super::*;
use proptest::prelude::*;
use serde_json::json;
use spark_kernels::Reset;
use spark_nn::layers::{Layer, LeakyConfig};

/// Spikes `[time, 1, inputs]` as random as they need to be.
fn spikes(time: usize, inputs: usize, seed: u64) -> Tensor<3> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f32::from(u8::from((state >> 33).is_multiple_of(3)))
    };
    let values: Vec<f32> = (0..time * inputs).map(|_| next()).collect();
    Tensor::from_data(TensorData::new(values, [time, 1, inputs]), &Device::flex())
}

/// A network with every kind of units that has a counterpart, and its weights.
fn network(conventions: &Value, bias: bool, seed: u64) -> (NetworkConfig, Network) {
    let units = |more: &Value| {
        let mut fields = conventions.clone();
        let more = more.as_object().unwrap().clone();
        fields.as_object_mut().unwrap().extend(more);
        fields
    };
    // Those of a recurrent layer name their kind themselves; snnTorch's ways are not those of somas there.
    let recurrent = |connection: &str| {
        json!({ "kind": "recurrent", "connection": connection, "bias": bias,
                "units": units(&json!({ "kind": "leaky", "snntorch_reset": false })) })
    };
    let dense = |count: usize| {
        json!({ "kind": "dense", "units": count, "bias": bias,
        "weight": { "kind": "uniform", "min": -0.6, "max": 0.6 } })
    };
    let config: NetworkConfig = serde_json::from_value(json!({ "input": [2, 4, 4], "layers": [
        { "kind": "flatten" },
        dense(20), units(&json!({ "kind": "leaky", "per_unit": true })),
        { "kind": "sequential", "layers": [dense(12), { "kind": "dropout", "probability": 0.3 }, recurrent("all_to_all")] },
        dense(9), recurrent("one_to_one"),
        dense(3), units(&json!({ "kind": "leaky" })),
    ] }))
    .unwrap();
    let mut network = config.init(seed, &Device::flex()).unwrap();
    network.layers.iter_mut().for_each(weaken);
    (config, network)
}

/// Makes biases small, so that no unit would have to begin above its threshold.
fn weaken(layer: &mut Layer) {
    let dense = match layer {
        Layer::Dense(dense) => Some(dense),
        Layer::Recurrent(recurrent) => recurrent.recurrent.as_mut(),
        Layer::Sequential(inner) => {
            inner.layers.iter_mut().for_each(weaken);
            None
        }
        _ => None,
    };
    if let Some(dense) = dense {
        dense.bias = dense.bias.take().map(|bias| bias.map(|bias| bias * 0.04));
    }
}

/// Whether all spikes are the same, and how many there are.
fn compare(brain: &TrainedBrain, network: &Network, input: &Tensor<3>) -> (bool, Vec<f32>) {
    let expected = network.forward(input.clone(), None).spikes;
    let found = brain.spikes(input.clone()).unwrap();
    assert_eq!(found.len(), expected.len());
    let same = found.iter().zip(&expected).all(|(found, expected)| found.to_data() == expected.to_data());
    (same, expected.into_iter().map(|spikes| spikes.sum().into_scalar::<f32>()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn a_brain_spikes_as_its_network_does(
        decay in 0.0f32..0.98, threshold in 0.6f32..1.5, reset_value in -0.3f32..0.3, dt in 0.1f32..2.0,
        scale_input in any::<bool>(), reset_delay in any::<bool>(), spike_at_threshold in any::<bool>(),
        bias in any::<bool>(), seed in any::<u64>(),
    ) {
        // What forgets at once forgets what a bias has done, too.
        let decay = if bias { 0.5 + decay / 2.1 } else { decay };
        let conventions = json!({ "decay": decay, "threshold": threshold, "reset": "zero",
            "reset_value": reset_value, "scale_input": scale_input, "reset_delay": reset_delay,
            "snntorch_reset": reset_delay, "spike_at_threshold": spike_at_threshold });
        let (config, network) = network(&conventions, bias, seed);
        let options = BrainOptions { dt, ..BrainOptions::default() };
        let brain = TrainedBrain::new(&config, &network, &options).unwrap();
        prop_assert!(brain.snapshot.model.checked().is_ok());
        let (same, counts) = compare(&brain, &network, &spikes(40, 32, seed));
        prop_assert!(same, "{:?}", counts);
    }
}

fn plain(bias: bool) -> (NetworkConfig, Network) {
    network(&json!({ "decay": 0.8, "reset": "zero" }), bias, 5)
}

#[test]
fn what_is_written_is_read_and_spikes_as_before() {
    let (config, network) = plain(true);
    let brain = TrainedBrain::new(&config, &network, &BrainOptions::default()).unwrap();
    assert_eq!(brain.populations, ["hidden_1", "hidden_2", "hidden_3", "output"]);
    let folder = tempfile::tempdir().unwrap();
    let [model, state] = brain.write(folder.path(), false).unwrap();
    assert!(brain.write(folder.path(), false).unwrap_err().to_string().contains("--overwrite"));
    let read = spark_io::model::read(&model).unwrap();
    assert!(read.notes.is_empty());
    read.model.checked().unwrap();
    let snapshot = Snapshot::read(&state).unwrap();
    assert_eq!(snapshot.model, read.model);
    let again = TrainedBrain { snapshot, ..brain };
    let (same, counts) = compare(&again, &network, &spikes(60, 32, 9));
    assert!(same && counts.iter().all(|count| *count > 0.0), "{counts:?}");
}

#[test]
fn a_model_may_hold_its_kernels_itself() {
    let (config, network) = plain(false);
    let options = BrainOptions { kernels_in_model: true, ..BrainOptions::default() };
    let brain = TrainedBrain::new(&config, &network, &options).unwrap();
    let Snapshot { model, state, .. } = &brain.snapshot;
    let context = Context::new("", &Device::flex());
    let built = model.build(&model.declared_inputs().unwrap(), 1, &context).unwrap().save();
    assert_eq!(built["output.synapses.kernel"], state["output.synapses.kernel"]);
    assert_eq!(built.keys().collect::<Vec<_>>(), state.keys().collect::<Vec<_>>());
}

#[test]
fn layers_without_a_counterpart_are_named() {
    let error = |layers: Value| {
        let config: NetworkConfig =
            serde_json::from_value(json!({ "input": [1, 8, 8], "layers": layers })).unwrap();
        let network = config.init(1, &Device::flex()).unwrap();
        TrainedBrain::new(&config, &network, &BrainOptions::default()).unwrap_err().to_string()
    };
    let leaky = json!({ "kind": "leaky", "reset": "zero" });
    let found = error(json!([
        { "kind": "conv2d", "channels": 2, "kernel": [5, 5] }, { "kind": "leaky" }, { "kind": "flatten" },
        { "kind": "dense", "units": 3 }, { "kind": "leaky", "decay": 1.0 },
        { "kind": "dense", "units": 3 }, { "kind": "sequential", "layers": [{ "kind": "leaky_integrator" }] },
    ]));
    for part in [
        "layers[0]: found conv2d, expected dense",
        "layers[1]: found units without synapses",
        "layers[4].reset: found subtract, expected zero",
        "layers[4].decay: found 1",
        "layers[6].layers[0]: found leaky_integrator",
    ] {
        assert!(found.contains(part), "{part}\n{found}");
    }
    let found = error(json!([{ "kind": "dense", "units": 3 }, { "kind": "dense", "units": 3 }, leaky]));
    assert!(found.contains("layers[1]: found synapses after synapses"), "{found}");
    let whole = json!({ "kind": "recurrent", "units":
        { "kind": "leaky", "reset": "zero", "reset_delay": true, "snntorch_reset": true } });
    let found = error(json!([{ "kind": "dense", "units": 3 }, whole]));
    assert!(found.contains("layers[1].snntorch_reset: found true"), "{found}");
    let other = json!({ "kind": "recurrent", "units": { "kind": "synaptic" } });
    let found = error(json!([{ "kind": "dense", "units": 3 }, other]));
    assert!(found.contains("layers[1].units: found other units"), "{found}");
}

/// A brain of two populations with a rule at one of them.
fn with_rule(population: usize, rule: LocalRule) -> Result<TrainedBrain, BrainError> {
    let leaky = LeakyConfig { reset: Reset::Zero, ..LeakyConfig::default() };
    let config = NetworkConfig::mlp(&[6, 5, 3], leaky);
    let network = config.init(2, &Device::flex()).unwrap();
    let rules = [(population, rule)].into();
    TrainedBrain::new(&config, &network, &BrainOptions { rules, ..BrainOptions::default() })
}

fn rule(component: &str, settings: Value, third_factor: ThirdFactorOf) -> LocalRule {
    let settings = settings.as_object().cloned().unwrap_or_default();
    LocalRule { component: component.to_owned(), settings, third_factor }
}

#[test]
fn a_rule_moves_its_kernel_where_its_third_factor_says_so() {
    let settings = json!({ "q_beta": 0, "q_gamma": 0, "q_delta": 0, "eta": 0.5, "min_clip": -20 });
    let brain = with_rule(1, rule("ModulatedQuadrupletRule", settings, ThirdFactorOf::Units)).unwrap();
    assert_eq!(brain.third_factors, [("output_modulation".to_owned(), 3)]);
    let device = Device::flex();
    let mut running = brain.snapshot.build(&device).unwrap();
    let before = running.save();
    let mut heard = [0.0; 5];
    for _ in 0..30 {
        let mut values = PortValues::default();
        values.put(INPUT, Spikes::new(Tensor::ones([1, 6], &device)));
        values.put("output_modulation", Floats(Tensor::from_floats([[0.0, 1.0, -1.0]], &device)));
        let waiting: Vec<f32> = running.save()["hidden_1>out_spikes"].iter().collect();
        heard.iter_mut().zip(waiting).for_each(|(heard, spike)| *heard += spike);
        running.step(values).unwrap();
    }
    assert!(heard.iter().any(|count| *count > 0.0));
    let after = running.save();
    assert_eq!(before["hidden_1.synapses.kernel"], after["hidden_1.synapses.kernel"]);
    let [before, after] =
        [before, after].map(|state| state["output.synapses.kernel"].iter::<f32>().collect::<Vec<_>>());
    for (place, (before, after)) in before.iter().zip(after).enumerate() {
        let expected = 0.5 * [0.0, 1.0, -1.0][place / 5] * heard[place % 5];
        assert!((after - before - expected).abs() < 1e-4, "{place}: {before} {after} {expected}");
    }
}

#[test]
fn rules_that_do_not_fit_are_refused() {
    let error = |population, component: &str| {
        with_rule(population, rule(component, json!({}), ThirdFactorOf::All)).unwrap_err().to_string()
    };
    assert!(error(2, "OjaRule").contains("rule of population 2: found 2, expected one of 0 to 1"));
    assert!(error(0, "OjaRul").contains("did you mean"));
    assert!(error(0, "LeakySoma").contains("found LeakySoma, expected a rule that changes a kernel"));
    assert!(error(0, "RUShortTermPlasticity").contains("a rule that changes a kernel"));
    let reward = with_rule(0, rule("RewardModulatedSTDP", json!({}), ThirdFactorOf::All)).unwrap();
    assert_eq!(reward.third_factors, [("hidden_1_reward".to_owned(), 1)]);
    let scaling = with_rule(1, rule("HomeostaticScaling", json!({}), ThirdFactorOf::All)).unwrap();
    assert!(scaling.third_factors.is_empty());
    let unknown = with_rule(1, rule("OjaRule", json!({ "etta": 1 }), ThirdFactorOf::All)).unwrap_err();
    assert!(unknown.to_string().contains("etta"), "{unknown}");
}
