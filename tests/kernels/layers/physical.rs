//! Somas and synapses of the registry as layers.

use super::{check, network, random};
use serde_json::json;
use spark::core::component::Family;
use spark::core::registry;
use spark::nn::layers::Layer;
use spark::prelude::*;
use spark::train::{Learner, Optimizer};

/// A kernel strong enough for spikes within a few steps.
const KERNEL: f32 = 900.0;

#[test]
fn every_soma_trains_with_all_its_parameters() {
    let somas: Vec<_> = registry::all().into_iter().filter(|found| found.family == Family::Soma).collect();
    assert!(somas.len() >= 14);
    for soma in somas {
        let layers = |learn: &[String]| {
            let learn: Vec<_> = learn.iter().map(|parameter| json!({"parameter": parameter})).collect();
            [
                json!({"kind": "scale", "factor": KERNEL, "learn": true}),
                json!({"kind": "physical", "component": soma.name, "learn": learn}),
            ]
        };
        let blank = network(&[3], &layers(&[]), &Device::flex());
        let Layer::Physical(layer) = &blank.layers[1] else { unreachable!() };
        let parameters = layer.component.parameters();
        assert!(parameters.iter().any(|name| name.contains("membrane.")), "{}: {parameters:?}", soma.name);
        check(&[3], &layers(&parameters), [0.0, 1.0]);
    }
}

/// The settings under which a synapse drives its soma.
fn settings(synapses: &str) -> serde_json::Value {
    // Conductances in nS, currents in pA.
    let field = if synapses.contains("Sparse") { "weights" } else { "kernel" };
    if synapses.contains("Conductance") {
        // Where the potential of the soma counts from.
        return json!({"units": [2], field: 10.0, "soma_potential_rest": -60.0});
    }
    json!({"units": [2], field: KERNEL})
}

#[test]
fn every_synapse_trains_its_weights() {
    let synapses = registry::all().into_iter().filter(|found| found.family == Family::Synapse);
    let mut count = 0;
    for synapses in synapses {
        count += 1;
        let layers = |learn: &[String]| {
            let learn: Vec<_> = learn.iter().map(|parameter| json!({"parameter": parameter})).collect();
            let parts = [
                json!({"component": synapses.name, "settings": settings(synapses.name), "learn": learn}),
                json!({"component": "LeakySoma", "learn": [{"parameter": "membrane.tau"}]}),
            ];
            [json!({"kind": "neurons", "synapses": parts[0], "soma": parts[1]})]
        };
        let blank = network(&[4], &layers(&[]), &Device::flex());
        let Layer::Neurons(layer) = &blank.layers[0] else { unreachable!() };
        let known = layer.synapses.component.parameters();
        let weights: Vec<String> =
            known.iter().filter(|name| name.contains("kernel") || name.contains("weight")).cloned().collect();
        assert!(!weights.is_empty(), "{}: {known:?}", synapses.name);
        let input = random([20, 2, 4], [0.0, 1.0], "input", &Device::flex());
        let spikes: f32 = blank.forward(input, None).counts().sum().into_scalar();
        assert!(spikes > 0.0, "{}", synapses.name);
        check(&[4], &layers(&weights), [0.0, 1.0]);
    }
    assert!(count >= 8);
}

#[test]
fn synapses_alone_are_layers_too() {
    for synapses in ["LinearSynapses", "RDTracedSynapses"] {
        let layers = [
            json!({"kind": "physical", "component": synapses, "settings": settings(synapses)}),
            json!({"kind": "physical", "component": "LeakySoma"}),
        ];
        check(&[4], &layers, [0.0, 1.0]);
    }
    let alone = json!({"input": [4], "layers": [{"kind": "physical", "component": "ConductanceSynapses"}]});
    let config: NetworkConfig = serde_json::from_value(alone).unwrap();
    assert!(config.shapes().unwrap_err().to_string().contains("belongs into `neurons`"));
}

/// Two classes of inputs, told apart by a net of AdEx units: weights, time constants and thresholds are trained.
#[test]
fn a_net_of_adex_units_learns() {
    let adex = json!({
        "kind": "physical", "component": "AdaptiveExponentialSoma",
        "settings": {"adaptation_tau": 50.0},
        "learn": [{"parameter": "membrane.tau", "min": 1.0}, {"parameter": "membrane.threshold"}],
    });
    // Weights around 1, currents of some hundred pA.
    let dense = |units: usize| json!({"kind": "dense", "units": units});
    let scale = json!({"kind": "scale", "factor": 300.0});
    for (name, device) in crate::support::devices() {
        let device = device.autodiff();
        let network = network(
            &[8],
            &[dense(12), scale.clone(), adex.clone(), dense(2), scale.clone(), adex.clone()],
            &device,
        );
        let optimizer = Optimizer::new(&OptimizerConfig::default(), None);
        let mut learner = Learner::new(network, optimizer, Loss::default());
        let rates = random([1, 8, 8], [0.0, 1.0], "rates", &device);
        let input = (random([25, 8, 8], [0.0, 1.0], "spikes", &device) - rates).lower_elem(0.0).float();
        let labels = Tensor::<1, Int>::from_ints([0, 1, 0, 1, 0, 1, 0, 1], &device);
        let losses: Vec<f64> = (0..50)
            .map(|_| learner.step(input.clone(), labels.clone(), 0.03).expect("finite numbers").loss)
            .collect();
        let (first, last) = (losses[0], losses[45..].iter().sum::<f64>() / 5.0);
        assert!(last < 0.6 * first, "{name}: the loss went from {first} to {last}");
        let Layer::Physical(layer) = &learner.network.layers[2] else { unreachable!() };
        assert!(layer.component.parameters().contains(&"membrane.tau".to_owned()));
        let moved = spark::io::parameters::collect(&learner.network);
        let tau: f32 = moved["layers.2.component.membrane.tau"].iter().next().unwrap();
        assert!(tau >= 1.0 && tau != 5.0, "{name}: {tau}");
    }
}
