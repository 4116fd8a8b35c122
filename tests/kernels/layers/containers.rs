//! Synapses, pooling, normalisation and containers.

use super::{check, floats, network, random};
use serde_json::{Value, json};
use spark::io::parameters::{collect, load};
use spark::prelude::*;

fn leaky() -> Value {
    json!({"kind": "leaky", "decay": 0.8, "threshold": 0.3, "learn_decay": true})
}

#[test]
fn what_stands_between_units_passes_gradients() {
    check(
        &[2, 9],
        &[json!({"kind": "conv1d", "channels": 3, "kernel": 3, "stride": 2, "padding": 1}), leaky()],
        [0.0, 1.0],
    );
    for pool in ["avg_pool2d", "sum_pool2d", "max_pool2d"] {
        check(&[2, 4, 6], &[json!({"kind": pool, "window": [2, 3]}), leaky()], [0.0, 1.0]);
        check(&[2, 6], &[json!({"kind": pool, "window": [1, 3]}), leaky()], [0.0, 1.0]);
    }
    let scale = json!({"kind": "scale", "factor": 1.5, "learn": true, "per_unit": true});
    check(&[4], &[scale.clone(), leaky(), scale], [0.0, 1.0]);
}

#[test]
fn containers_nest() {
    let dense = |units: usize| json!({"kind": "dense", "units": units});
    let inner = json!({"kind": "sequential", "layers": [dense(6), leaky()]});
    let residual =
        json!({"kind": "residual", "body": [inner, dense(4), leaky()], "shortcut": [dense(4), leaky()]});
    check(
        &[4],
        &[residual.clone(), json!({"kind": "residual", "body": [dense(4), leaky()]}), leaky()],
        [0.0, 1.0],
    );
    let graph = json!({"kind": "graph", "output": "out", "nodes": [
        {"name": "a", "from": ["input"], "layer": {"kind": "sequential", "layers": [dense(3), leaky()]}},
        {"name": "b", "from": ["input"], "layer": residual},
        {"name": "both", "from": ["a", "b"], "join": "concatenate", "layer": dense(5)},
        {"name": "units", "from": ["both"], "back": ["units", "late"], "layer": leaky()},
        {"name": "late", "from": ["units"], "layer": {"kind": "sequential", "layers": [dense(5), leaky()]}},
        {"name": "sum", "from": ["units", "late"], "layer": dense(2)},
        {"name": "out", "from": ["sum"], "layer": leaky()},
    ]});
    check(&[4], &[graph], [0.0, 1.0]);
}

#[test]
fn a_graph_reports_spikes_and_potential_of_all_steps() {
    let device = Device::flex();
    let graph = json!({"kind": "graph", "output": "a", "nodes": [
        {"name": "a", "from": ["input"], "back": ["b"], "layer": leaky()},
        {"name": "b", "from": ["a"], "layer": leaky()},
    ]});
    let network = network(&[4], &[graph], &device);
    let output = network.forward(random([6, 2, 4], [0.0, 1.0], "input", &device), None);
    assert_eq!(output.spikes.len(), 2);
    assert_eq!(output.potential.dims(), [6, 2, 4]);
    assert_eq!(floats(output.spikes[1].clone()), floats(output.output.clone()));
    assert_ne!(floats(output.potential), floats(output.output));
}

#[test]
fn batch_norm_takes_statistics_of_all_steps_and_samples() {
    let layers = [
        json!({"kind": "batch_norm", "scale": 1.0, "momentum": 0.5}),
        json!({"kind": "leaky_integrator", "decay": 0.0}),
    ];
    for (name, device) in crate::support::devices() {
        let network = network(&[2, 3], &layers, &device.clone().autodiff());
        let input = random([5, 4, 6], [-1.0, 3.0], "input", &device.clone().autodiff());
        let output = network.forward(input.clone(), None).output.inner();
        let by_channel = |x: Tensor<3>| x.reshape([20, 2, 3]).swap_dims(0, 1).reshape([2, 60]);
        let (variance, mean) = by_channel(output).var_mean_bias(1);
        assert!(floats(mean).iter().all(|mean| mean.abs() < 1e-4), "{name}");
        assert!(floats(variance).iter().all(|variance| (variance - 1.0).abs() < 1e-2), "{name}");

        // The running statistics moved half the way, are saved, and are what counts without autodiff.
        let (_, mean) = by_channel(input.clone().inner()).var_mean_bias(1);
        let saved: Vec<f32> = collect(&network)["layers.0.mean"].iter().collect();
        let expected: Vec<f32> = floats(mean).iter().map(|mean| mean / 2.0).collect();
        assert!(
            saved.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5),
            "{name}: {saved:?} {expected:?}"
        );
        let valid = network.clone().valid();
        let first = floats(valid.forward(input.clone().inner(), None).output);
        assert_eq!(first, floats(valid.forward(input.clone().inner(), None).output), "{name}");

        // A copy that was set aside stays as it was, and what was saved comes back.
        let aside = network.clone();
        network.forward(input.clone() + 5.0, None);
        assert_eq!(collect(&aside)["layers.0.mean"].iter::<f32>().collect::<Vec<_>>(), saved, "{name}");
        let loaded = load(network, collect(&aside)).unwrap();
        assert_eq!(floats(loaded.valid().forward(input.inner(), None).output), first, "{name}");
    }
    // Without statistics of its own a sequence is a loop over steps, too.
    let device = Device::flex();
    let network = network(&[2, 3], &layers, &device);
    let input = random([5, 4, 6], [-1.0, 3.0], "input", &device);
    let (stepped, _) =
        spark::nn::layers::step_through(&network, input.clone(), network.initial_state(4, &device));
    assert_eq!(floats(network.forward(input, None).output), floats(stepped));
}

#[test]
fn dropout_keeps_its_mask_over_time_and_its_place_over_restarts() {
    let layers =
        [json!({"kind": "dropout", "probability": 0.4}), json!({"kind": "leaky_integrator", "decay": 0.0})];
    for (name, device) in crate::support::devices() {
        let tracked = device.clone().autodiff();
        let network = network(&[50], &layers, &tracked);
        let input = Tensor::ones([6, 3, 50], &tracked);
        let mask = |network: &Network| floats(network.forward(input.clone(), None).output);
        let first = mask(&network);
        assert!(first.chunks(150).all(|step| step == &first[..150]), "{name}");
        let kept = first[..150].iter().filter(|&&factor| factor > 0.0).count();
        assert!((70..110).contains(&kept), "{name}: {kept}");
        assert!(first.iter().all(|&factor| factor == 0.0 || (factor - 1.0 / 0.6).abs() < 1e-6), "{name}");

        let saved = collect(&network);
        let second = mask(&network);
        assert_ne!(first, second, "{name}");
        let resumed = load(super::network(&[50], &layers, &tracked), saved).unwrap();
        assert_eq!(mask(&resumed), second, "{name}");
        let plain = network.valid().forward(input.clone().inner(), None).output;
        assert!(floats(plain).iter().all(|&factor| factor == 1.0), "{name}");
    }
}
