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

#[test]
fn all_to_all_synapses_train_their_kernels() {
    for synapses in ["LinearSynapses", "TracedSynapses", "RDTracedSynapses", "RFSTracedSynapses"] {
        let layers = [
            json!({"kind": "physical", "component": synapses, "settings": {"units": [2], "kernel": KERNEL}}),
            json!({"kind": "physical", "component": "LeakySoma"}),
        ];
        let blank = network(&[4], &layers, &Device::flex());
        let Layer::Physical(layer) = &blank.layers[0] else { unreachable!() };
        let kernel = layer.component.parameters().into_iter().find(|name| name.contains("kernel"));
        let mut learned = layers.clone();
        let learn = kernel.unwrap_or_else(|| panic!("{synapses}: {:?}", layer.component.parameters()));
        learned[0]["learn"] = json!([{"parameter": learn}]);
        check(&[4], &learned, [0.0, 1.0]);
    }
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
