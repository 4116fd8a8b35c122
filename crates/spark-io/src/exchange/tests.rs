//! What does not fit, and networks there and back.

use burn::tensor::{Device, TensorData};
use proptest::prelude::*;
use serde_json::{Value, json};
use spark_nn::layers::{LeakyConfig, Network, NetworkConfig};

use super::*;
use crate::parameters;
use crate::pytorch::StateDict;
use crate::rename::Rename;

fn config(layers: Value, input: &[usize]) -> NetworkConfig {
    serde_json::from_value(json!({"input": input, "layers": layers})).unwrap()
}

fn drawn(config: &NetworkConfig, seed: u64) -> Network {
    config.init(seed, &Device::flex()).unwrap()
}

fn exported(library: Library, config: &NetworkConfig) -> Result<Exported, String> {
    export(library, config, &parameters::collect(&drawn(config, 1))).map_err(|problems| problems.to_string())
}

fn mlp() -> NetworkConfig {
    NetworkConfig::mlp(&[4, 3, 2], LeakyConfig::default().like_snntorch())
}

/// A `state_dict` of snnTorch with modules of their own names.
fn sample() -> StateDict {
    let names = [("layers.0", "fc1"), ("layers.1", "lif1"), ("layers.2", "fc2"), ("layers.3", "lif2")];
    let rules: Vec<_> = names.iter().map(|(ours, theirs)| Rename::module(ours, theirs)).collect();
    exported(Library::SnnTorch, &mlp()).unwrap().renamed(&rules).unwrap().tensors
}

fn error(tensors: StateDict, network: NetworkConfig) -> String {
    import(tensors, network, &Import::new(Library::SnnTorch)).unwrap_err().to_string()
}

#[test]
fn a_network_comes_back_as_it_went() {
    let imported = import(sample(), mlp(), &Import::new(Library::SnnTorch)).unwrap();
    assert_eq!(imported.parameters, parameters::collect(&drawn(&mlp(), 1)));
    assert_eq!(imported.network, mlp());
    let inferred = infer(&sample(), &Hints::new(Library::SnnTorch)).unwrap();
    let imported = import(sample(), inferred, &Import::new(Library::SnnTorch)).unwrap();
    assert_eq!(imported.parameters, parameters::collect(&drawn(&mlp(), 1)));
    assert_eq!(imported.network, mlp());
}

#[test]
fn shapes_values_and_types_that_do_not_fit_are_named_on_both_sides() {
    let mut tensors = sample();
    tensors.insert("fc1.weight".into(), TensorData::from([[0.5f32; 5]; 3]));
    tensors.insert("fc2.bias".into(), TensorData::from([f32::NAN, 0.0]));
    tensors.insert("lif2.beta".into(), TensorData::from([0.5f32; 7]));
    let text = error(tensors, mlp());
    assert!(
        text.contains("fc1.weight: found shape [3, 5], expected shape [3, 4], for layers.0.weight"),
        "{text}"
    );
    assert!(text.contains("fc2.bias: found values that are not finite"), "{text}");
    assert!(text.contains("lif2.beta: found shape [7], expected shape [2], for layers.3.decay"), "{text}");

    let mut tensors = sample();
    tensors.insert("fc1.bias".into(), TensorData::from([1e300f64, 0.0, 0.0]));
    assert!(error(tensors, mlp()).contains("too large for f32"));
    let mut tensors = sample();
    tensors.insert("lif1.reset_mechanism_val".into(), TensorData::from([5i64]));
    assert!(error(tensors, mlp()).contains("layers.1: found reset_mechanism_val 5, expected 0, 1 or 2"));
}

#[test]
fn modules_and_layers_without_a_partner_are_named() {
    let mut tensors = sample();
    tensors.retain(|name, _| !name.starts_with("fc2"));
    tensors.insert("attention.scores".into(), TensorData::from([1.0f32]));
    let text = error(tensors.clone(), mlp());
    assert!(
        text.contains("linear modules: found 1 (fc1), expected 2 (layers.0, layers.2); --rename"),
        "{text}"
    );
    assert!(text.contains("attention: found attention.scores"), "{text}");

    let partial = Import { partial: true, ..Import::new(Library::SnnTorch) };
    let imported = import(tensors, mlp(), &partial).unwrap();
    assert_eq!(imported.missing, ["layers.2.weight", "layers.2.bias"]);
    assert_eq!(imported.unused, ["attention.scores"]);
}

#[test]
fn names_say_which_module_is_which_layer() {
    let square = NetworkConfig::mlp(&[3, 3, 3], LeakyConfig::default().like_snntorch());
    let tensors = exported(Library::SnnTorch, &square).unwrap().tensors;
    let swapped = vec![
        Rename::module("layers.0", "x"),
        Rename::module("layers.2", "layers.0"),
        Rename::module("x", "layers.2"),
    ];
    let how = Import { rules: swapped, ..Import::new(Library::SnnTorch) };
    let imported = import(tensors, square.clone(), &how).unwrap();
    let before = parameters::collect(&drawn(&square, 1));
    assert_eq!(imported.parameters["layers.0.weight"], before["layers.2.weight"]);
    assert_eq!(imported.parameters["layers.2.weight"], before["layers.0.weight"]);
}

#[test]
fn what_a_file_does_not_say_is_asked_for() {
    let weight = |shape: &[usize]| TensorData::new(vec![0.5f32; shape.iter().product()], shape.to_vec());
    let asked = |names: &[(&str, &[usize])], hints: &Hints| {
        let tensors = names.iter().map(|(name, shape)| ((*name).to_owned(), weight(shape))).collect();
        infer(&tensors, hints).unwrap_err().to_string()
    };
    let jelly = Hints::new(Library::SpikingJelly);
    let conv: [(&str, &[usize]); 2] = [("0.weight", &[2, 1, 3, 3]), ("4.weight", &[5, 18])];
    let text = asked(&conv, &jelly);
    assert!(text.contains("--tau") && text.contains("--input CHANNELSxHEIGHTxWIDTH"), "{text}");
    let hints = Hints { tau: Some(2.0), input: Some(vec![1, 8, 8]), ..jelly.clone() };
    let text = asked(&conv, &hints);
    assert!(
        text.contains("4.weight: found a weight for 18 inputs where 72 arrive") && text.contains("--pool"),
        "{text}"
    );
    let text = asked(&[("fc.weight", &[5, 18])], &Hints::new(Library::SnnTorch));
    assert!(text.contains("found no modules of units"), "{text}");
    let text = asked(&[("fc.scale", &[5])], &jelly);
    assert!(text.contains("fc: found fc.scale") && text.contains("--rename"), "{text}");

    let json = json!({"input": [4], "layers": [{"kind": "dense", "units": 2}, {"kind": "leaky"}]});
    let text = read_network(json, &jelly).unwrap_err().to_string();
    assert!(text.starts_with("layers[1].decay: found nothing"), "{text}");
}

#[test]
fn layers_without_a_counterpart_are_named_by_their_path() {
    let residual = json!([
        {"kind": "dense", "units": 4},
        {"kind": "residual", "body": [{"kind": "dense", "units": 4}, {"kind": "adaptive"}]},
        {"kind": "leaky"}
    ]);
    for library in [Library::SnnTorch, Library::SpikingJelly] {
        let text = exported(library, &config(residual.clone(), &[4])).unwrap_err();
        assert!(text.starts_with("layers.1.body.1: found a layer `adaptive`, expected one that"), "{text}");
    }
    let of = |library: Library, units: Value| {
        exported(library, &config(json!([{"kind": "dense", "units": 4}, units]), &[4])).unwrap_err()
    };
    let text = of(Library::SpikingJelly, json!({"kind": "leaky", "reset": "none"}));
    assert!(text.contains("layers.1: found units without reset"), "{text}");
    let text = of(Library::SpikingJelly, json!({"kind": "leaky", "reset_delay": true}));
    assert!(text.contains("found a reset that SpikingJelly does not have"), "{text}");
    let text = of(Library::SnnTorch, json!({"kind": "leaky", "reset": "zero", "reset_value": -0.5}));
    assert!(text.contains("found the reset value -0.5"), "{text}");
    let text = of(Library::SnnTorch, json!({"kind": "synaptic"}));
    assert!(text.contains("found a reset that snnTorch does not have"), "{text}");

    let lstm = config(json!([{"kind": "spiking_lstm", "units": 3}]), &[4]);
    let text = exported(Library::SnnTorch, &lstm).unwrap_err();
    assert!(text.starts_with("layers.0: found 4 inputs of 3 units, expected as many"), "{text}");

    let mut network = mlp();
    network.layers.pop();
    network.layers.push(serde_json::from_value(json!({"kind": "adaptive"})).unwrap());
    assert!(error(sample(), network).contains("layers.3: found a layer `adaptive`"));
}

#[test]
fn factors_on_spikes_need_a_layer() {
    let mut tensors = sample();
    tensors.insert("lif1.graded_spikes_factor".into(), TensorData::from([0.5f32]));
    assert!(
        error(tensors.clone(), mlp()).contains("layers.1: found `lif1.graded_spikes_factor` other than 1")
    );
    let inferred = infer(&tensors, &Hints::new(Library::SnnTorch)).unwrap();
    let imported = import(tensors, inferred, &Import::new(Library::SnnTorch)).unwrap();
    assert_eq!(imported.parameters["layers.2.factor"], TensorData::from([0.5f32]));
}

#[test]
fn a_reset_at_once_goes_out_as_a_connection_and_comes_back() {
    let network = NetworkConfig::mlp(&[4, 2], LeakyConfig { decay: 0.8, ..LeakyConfig::default() });
    let exported = exported(Library::SnnTorch, &network).unwrap();
    assert_eq!(exported.modules[1].kind, "RLeaky");
    assert_eq!(exported.tensors["layers.1.V"].iter::<f32>().collect::<Vec<_>>(), [-0.8]);
    let how = Import::new(Library::SnnTorch);
    let imported = import(exported.tensors.clone(), network.clone(), &how).unwrap();
    assert_eq!(imported.parameters, parameters::collect(&drawn(&network, 1)));
    // Trained on there, it is no reset any more.
    let mut tensors = exported.tensors;
    tensors.insert("layers.1.V".into(), TensorData::from([-0.7f32]));
    assert!(error(tensors, network).contains("weights other than those of a reset"));
}

#[test]
fn scaled_inputs_and_thresholds_that_spike_go_out_as_numbers() {
    let jelly = LeakyConfig { decay: 0.5, scale_input: true, ..LeakyConfig::default() }.like_spikingjelly();
    let network = NetworkConfig::mlp(&[4, 2], jelly);
    let there = exported(Library::SpikingJelly, &network).unwrap();
    assert_eq!(there.modules[1].args["tau"], 2.0);
    assert!(there.notes.is_empty());
    let there = exported(Library::SnnTorch, &network).unwrap();
    let threshold: Vec<f32> = there.tensors["layers.1.threshold"].iter().collect();
    assert!(threshold[0] < 2.0 && threshold[0] > 1.999_999, "{threshold:?}");
    assert_eq!(there.notes.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_network_of_these_layers_comes_back(
        seed in any::<u64>(),
        width in 1usize..6,
        decay in 0.05f32..0.95,
        threshold in 0.1f32..2.0,
        reset in prop::sample::select(&["subtract", "zero", "none"][..]),
        per_unit in any::<bool>(),
        bias in any::<bool>(),
    ) {
        let units = json!({
            "kind": "leaky", "decay": decay, "threshold": threshold, "reset": reset, "per_unit": per_unit,
            "reset_delay": true, "snntorch_reset": true,
        });
        let layers = json!([
            {"kind": "conv2d", "channels": width, "kernel": [2, 2], "bias": bias},
            {"kind": "batch_norm"},
            units,
            {"kind": "dense", "units": width},
            {"kind": "recurrent", "units": {"kind": "synaptic", "decay": decay, "reset_delay": true, "snntorch_reset": true}},
        ]);
        let network = config(layers, &[1, 4, 4]);
        let before = parameters::collect(&drawn(&network, seed));
        let exported = export(Library::SnnTorch, &network, &before).unwrap();
        let network = read_network(exported.description(), &Hints::new(Library::SnnTorch)).unwrap();
        let how = Import { seed: seed.wrapping_add(1), ..Import::new(Library::SnnTorch) };
        let imported = import(exported.tensors, network.clone(), &how).unwrap();
        prop_assert_eq!(&imported.parameters, &before);
        prop_assert_eq!(imported.network.layers[0].clone(), network.layers[0].clone());
    }
}
