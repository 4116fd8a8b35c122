//! The same spikes, losses and gradients as snnTorch and SpikingJelly, from recorded networks.
#![recursion_limit = "256"] // The kernel compiler of the GPU backends nests its types deeply.

mod support;

use serde_json::Value;
use spark::burn::module::Param;
use spark::burn::tensor::TensorData;
use spark::io::TensorFile;
use spark::prelude::*;
use std::path::Path;
use support::devices;

/// How a peer's layer is said in Spark: the configuration, and the factor on its input.
fn layer(library: &str, layer: &str, params: &Value) -> (LeakyConfig, f32) {
    let number = |name: &str| params[name].as_f64().unwrap_or_else(|| panic!("{name} in {params}")) as f32;
    let surrogate = match params["surrogate"].as_str() {
        Some("fast_sigmoid") => Surrogate::FastSigmoid { slope: number("slope") },
        Some("atan" | "ATan") => Surrogate::Atan { alpha: number("alpha") },
        other => panic!("unknown surrogate {other:?}"),
    };
    if library.starts_with("snntorch") && layer == "Leaky" {
        let reset = match params["reset"].as_str() {
            Some("subtract") => Reset::Subtract,
            Some("zero") => Reset::Zero,
            Some("none") => Reset::None,
            other => panic!("unknown reset {other:?}"),
        };
        let reset_delay = params["reset_delay"] == true;
        let config = LeakyConfig {
            decay: number("beta"),
            threshold: number("threshold"),
            learn_decay: params["learn_beta"] == true,
            learn_threshold: params["learn_threshold"] == true,
            per_unit: false,
            reset,
            reset_delay,
            reset_gradient: false,
            surrogate,
        };
        return (config, 1.0);
    }
    assert!(library.starts_with("spikingjelly"), "unknown library {library}");
    let leak = match layer {
        "IFNode" => 0.0,
        "LIFNode" => 1.0 / number("tau"),
        other => panic!("unknown layer {other}"),
    };
    let scaled = layer == "LIFNode" && params["decay_input"] != false;
    let config = LeakyConfig {
        decay: 1.0 - leak,
        threshold: number("v_threshold"),
        reset: if params["v_reset"].is_null() { Reset::Subtract } else { Reset::Zero },
        reset_gradient: params["detach_reset"] != true,
        surrogate,
        ..Default::default()
    };
    (config, if scaled { leak } else { 1.0 })
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= 1e-4 * (1.0 + e.abs()), "{what}[{i}]: found {f}, recorded {e}");
    }
}

fn check(case: &Value, file: &TensorFile, backend: &str, device: &Device) {
    let name = format!("{} on {backend}", case["file"].as_str().unwrap());
    let device = device.clone().autodiff();
    let data = |name: &str| -> TensorData { file.tensors[name].clone() };
    let floats = |name: &str| -> Vec<f32> { data(name).iter().collect() };
    let (leaky, scale) =
        layer(case["library"].as_str().unwrap(), case["layer"].as_str().unwrap(), &case["params"]);

    let mut network = NetworkConfig::mlp(&[12, 10, 5], leaky.clone()).init(0, &device).unwrap();
    for (index, number) in [(0, 1), (2, 2)] {
        let Layer::Dense(dense) = &mut network.layers[index] else { panic!("a dense layer") };
        let weight = Tensor::<2>::from_data(data(&format!("w{number}")), &device) * scale;
        let bias = Tensor::<1>::from_data(data(&format!("b{number}")), &device) * scale;
        dense.weight = Param::from_tensor(weight.detach().transpose());
        dense.bias = Some(Param::from_tensor(bias.detach()));
    }
    let output = network.forward(Tensor::from_data(data("x"), &device), None);
    for (spikes, name_of) in output.spikes.iter().zip(["spikes1", "spikes2"]) {
        let found: Vec<f32> = spikes.to_data().iter().collect();
        assert!(found == floats(name_of), "{name}: {name_of}");
    }
    let loss = Loss::default();
    let labels: Vec<i32> = data("y").iter().collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::from(labels.as_slice()), &device);
    let loss = loss.forward(loss.scores(&output), labels);
    assert_close(&[loss.clone().into_scalar()], &floats("loss"), &format!("{name}: loss"));

    let gradients = loss.backward();
    for (index, number) in [(0, 1), (2, 2)] {
        let Layer::Dense(dense) = &network.layers[index] else { panic!("a dense layer") };
        let weight = dense.weight.val().grad(&gradients).unwrap().transpose() * scale;
        let bias = dense.bias.as_ref().unwrap().val().grad(&gradients).unwrap() * scale;
        let values: Vec<f32> = weight.into_data().iter().collect();
        assert_close(&values, &floats(&format!("grad.w{number}")), &format!("{name}: gradient of w{number}"));
        let values: Vec<f32> = bias.into_data().iter().collect();
        assert_close(&values, &floats(&format!("grad.b{number}")), &format!("{name}: gradient of b{number}"));
    }
    for (index, number) in [(1, 1), (3, 2)] {
        let Layer::Leaky(units) = &network.layers[index] else { panic!("leaky units") };
        for (parameter, recorded) in [(&units.decay, "beta"), (&units.threshold, "threshold")] {
            let recorded = format!("grad.layer{number}.{recorded}");
            if let Some(expected) = file.tensors.get(&recorded) {
                let found: Vec<f32> = parameter.val().grad(&gradients).unwrap().into_data().iter().collect();
                let expected: Vec<f32> = expected.iter().collect();
                assert_close(&found, &expected, &format!("{name}: {recorded}"));
            }
        }
    }
}

#[test]
fn recorded_networks_of_other_libraries_are_reproduced() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/peers");
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&manifest).unwrap();
    assert_eq!(cases.len(), 14);
    for case in &cases {
        let file = TensorFile::read(&folder.join(case["file"].as_str().unwrap())).unwrap();
        for (backend, device) in devices() {
            check(case, &file, &backend, &device);
        }
    }
}
