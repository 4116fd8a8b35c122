use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Value, json};
use spark_io::nir::{Array, Graph, Kind, Pooling, parse, to_bytes};
use spark_io::{TensorFile, parameters};
use spark_nn::layers::{LayerConfig, Network, NetworkConfig};
use std::path::Path;

use super::*;

fn config(input: &[usize], layers: Value) -> NetworkConfig {
    serde_json::from_value(json!({ "input": input, "layers": layers })).unwrap()
}

/// A network whose units differ from each other where they may.
fn network(config: &NetworkConfig) -> Network {
    let network = config.init(3, &Device::flex()).unwrap();
    let mut tensors = parameters::collect(&network);
    for (name, data) in &mut tensors {
        let field = name.rsplit('.').next().unwrap();
        if !["weight", "bias", "w", "factor"].contains(&field) && data.shape().to_vec() != [1] {
            let numbers: Vec<f32> =
                data.iter::<f32>().enumerate().map(|(i, x)| x * (1.0 - 0.013 * i as f32)).collect();
            *data = TensorData::new(numbers, data.shape().to_vec());
        }
    }
    parameters::load(network, tensors).unwrap()
}

/// 40 steps of 3 samples, the same numbers for every network of as many inputs.
fn input(config: &NetworkConfig) -> TensorData {
    let inputs = config.inputs();
    let numbers = (0..40 * 3 * inputs).map(|i| ((i * 7919 + 13) % 1009) as f32 / 450.0 - 0.4);
    TensorData::new(numbers.collect::<Vec<f32>>(), [40, 3, inputs])
}

fn output(network: &Network, config: &NetworkConfig) -> Vec<f32> {
    let input = Tensor::from_data(input(config), &Device::flex());
    network.forward(input, None).output.into_data().try_to_vec::<f32>().unwrap()
}

/// Out through the bytes of a file and back in, with the same output, bit by bit.
fn round_trip(config: &NetworkConfig, options: &NirOptions) -> Imported {
    let network = network(config);
    let exported = export_nir(config, &network, options).unwrap();
    exported.graph.shapes().unwrap();
    let graph = parse(&to_bytes(&exported.graph).unwrap()).unwrap();
    assert_eq!(graph, exported.graph);
    let imported = import_nir(&graph, options).unwrap();
    let expected = output(&network, config);
    assert!(expected.iter().any(|&x| x != 0.0), "nothing leaves {config:?}");
    let found = output(&imported.network(&Device::flex()).unwrap(), &imported.config);
    assert!(found == expected, "{config:?}\n{:?}", imported.config);
    imported
}

fn spiking(kind: &str, more: Value) -> Value {
    let mut layer = json!({ "kind": kind, "reset": "zero", "threshold": 0.6 });
    layer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    layer
}

#[test]
fn units_of_every_kind_keep_their_spikes() {
    let units = [
        spiking("leaky", json!({ "decay": 0.83 })),
        spiking("leaky", json!({ "decay": 0.9, "per_unit": true })),
        spiking("leaky", json!({ "decay": 0.7, "scale_input": true, "threshold": 0.2 })),
        spiking("leaky", json!({ "decay": 0.9, "reset_delay": true, "snntorch_reset": true })),
        spiking("leaky", json!({ "decay": 0.9, "spike_at_threshold": true })),
        spiking("leaky", json!({ "decay": 0.0, "reset": "none" })),
        spiking("integrate_and_fire", json!({})),
        spiking("integrate_and_fire", json!({ "per_unit": true })),
        spiking(
            "lapicque",
            json!({ "resistance": 2.0, "capacitance": 3.0, "per_unit": true, "threshold": 0.1 }),
        ),
        spiking("parametric", json!({ "tau": 3.0, "threshold": 0.2 })),
        spiking("parametric", json!({ "tau": 3.0, "scale_input": false, "per_unit": true })),
        spiking("synaptic", json!({ "decay": 0.8, "current_decay": 0.6, "per_unit": true })),
        json!({ "kind": "leaky_integrator", "decay": 0.8 }),
        json!({ "kind": "leaky_integrator", "decay": 1.0 }),
        json!({ "kind": "leaky_integrator", "decay": 0.8, "per_unit": true, "scale_input": true }),
        json!({ "kind": "membrane", "decay": 0.8, "gain": 0.4, "leak": 0.1, "reset_value": -0.3, "per_unit": true }),
        json!({ "kind": "membrane", "decay": 0.8, "leak": 0.1, "reset_value": -0.3, "current_decay": 0.7, "per_unit": true }),
        json!({ "kind": "membrane", "decay": 1.0, "gain": 0.4, "reset_value": -0.3 }),
        json!({ "kind": "membrane", "decay": 1.0, "gain": 0.4, "threshold": null }),
        json!({ "kind": "membrane", "decay": 0.6, "gain": 0.4, "leak": -0.2, "threshold": null, "per_unit": true }),
        json!({ "kind": "membrane", "decay": 0.6, "leak": -0.2, "threshold": null, "current_decay": 0.5 }),
        json!({ "kind": "membrane", "decay": 0.0, "threshold": -0.2 }),
    ];
    for units in units {
        for dt in [1e-4, 1e-3] {
            let config = config(&[5], json!([{ "kind": "dense", "units": 7 }, units]));
            round_trip(&config, &NirOptions { dt, ..Default::default() });
        }
    }
}

#[test]
fn plain_units_come_back_as_they_were() {
    for units in [
        spiking("leaky", json!({ "decay": 0.83 })),
        spiking("integrate_and_fire", json!({})),
        spiking("synaptic", json!({ "decay": 0.83, "current_decay": 0.6 })),
        json!({ "kind": "leaky_integrator", "decay": 0.83 }),
    ] {
        let config = config(&[5], json!([{ "kind": "dense", "units": 7 }, units]));
        assert_eq!(round_trip(&config, &NirOptions::default()).config, config);
    }
    let at = NirOptions { spike_at_threshold: true, ..Default::default() };
    let spikes = spiking("leaky", json!({ "decay": 0.83, "spike_at_threshold": true }));
    let config = config(&[5], json!([{ "kind": "dense", "units": 7 }, spikes]));
    assert_eq!(round_trip(&config, &at).config, config);
}

#[test]
fn layers_of_every_kind_keep_their_spikes() {
    let leaky = || spiking("leaky", json!({ "decay": 0.8 }));
    let images = config(
        &[2, 9, 9],
        json!([
            { "kind": "conv2d", "channels": 4, "kernel": [3, 2], "stride": [1, 2], "padding": [1, 0] },
            spiking("integrate_and_fire", json!({ "threshold": 0.3 })),
            { "kind": "sum_pool2d", "window": [2, 2] },
            { "kind": "avg_pool2d", "window": [1, 2] },
            { "kind": "dropout", "probability": 0.0 },
            { "kind": "dense", "units": 5, "bias": false },
            leaky(),
        ]),
    );
    assert!(round_trip(&images, &NirOptions::default()).config.layers.len() == 7);
    let rows = config(
        &[3, 12],
        json!([
            { "kind": "conv1d", "channels": 4, "kernel": 3, "stride": 2, "padding": 1 },
            leaky(),
            { "kind": "flatten" },
            { "kind": "scale", "factor": 0.7 },
            { "kind": "delay_line", "steps": [2] },
            { "kind": "sequential", "layers": [{ "kind": "dense", "units": 4 }, leaky()] },
        ]),
    );
    round_trip(&rows, &NirOptions::default());
}

#[test]
fn branches_and_loops_keep_their_spikes() {
    let leaky = || spiking("leaky", json!({ "decay": 0.8 }));
    let dense = |units: usize, bias: bool| json!({ "kind": "dense", "units": units, "bias": bias });
    for connection in ["all_to_all", "one_to_one"] {
        for units in [leaky(), spiking("synaptic", json!({ "decay": 0.8, "current_decay": 0.5 }))] {
            let recurrent = json!({ "kind": "recurrent", "units": units, "connection": connection });
            round_trip(
                &config(&[5], json!([dense(6, true), recurrent, dense(3, true), leaky()])),
                &NirOptions::default(),
            );
        }
    }
    let residual = json!({ "kind": "residual", "body": [dense(6, true), leaky()] });
    round_trip(&config(&[5], json!([dense(6, true), leaky(), residual, leaky()])), &NirOptions::default());
    let node = |name: &str, from: Value, back: Value, layer: Value| json!({ "name": name, "from": from, "back": back, "layer": layer });
    // Two populations, the second of which comes back to the first; and what is heard late outside of loops.
    for late in [json!([]), json!(["in"])] {
        let graph = json!({ "kind": "graph", "output": "b", "nodes": [
            node("in", json!(["input"]), json!([]), dense(4, true)),
            node("a", json!(["in"]), json!(["feedback"]), leaky()),
            node("forward", json!(["a"]), json!([]), dense(4, true)),
            node("b", json!(["forward", "in"]), late, leaky()),
            node("feedback", json!(["b"]), json!([]), dense(4, false)),
        ]});
        round_trip(&config(&[5], json!([graph])), &NirOptions::default());
    }
    // A bias behind the step acts from the first step on.
    let graph = json!({ "kind": "graph", "output": "a", "nodes": [
        { "name": "feedback", "from": [], "back": ["a"], "shape": [4], "layer": dense(4, true) },
        node("in", json!(["input"]), json!([]), dense(4, true)),
        node("a", json!(["in", "feedback"]), json!([]), leaky()),
    ]});
    round_trip(&config(&[5], json!([graph])), &NirOptions::default());
}

#[test]
fn what_nir_cannot_say_is_named_by_layer_and_field() {
    let error = |layers: Value| {
        let config = config(&[4], layers);
        export_nir(&config, &config.init(1, &Device::flex()).unwrap(), &NirOptions::default()).unwrap_err()
    };
    let leaky = || spiking("leaky", json!({}));
    let subtract = error(json!([{ "kind": "sequential", "layers": [{ "kind": "leaky" }] }]));
    assert_eq!(subtract, "layers[0].layers[0] (leaky): reset: found Subtract, expected Zero, which NIR has");
    let adaptive = error(json!([{ "kind": "adaptive" }]));
    assert_eq!(adaptive, "layers[0] (adaptive): NIR has no node for it");
    let whole = error(json!([spiking("synaptic", json!({ "reset_delay": true, "snntorch_reset": true }))]));
    assert!(whole.starts_with("layers[0] (synaptic): snntorch_reset: found true"), "{whole}");
    let graph = json!({ "kind": "graph", "output": "a", "nodes": [
        { "name": "a", "from": ["input"], "back": ["feedback"], "layer": leaky() },
        { "name": "feedback", "from": ["a"], "layer": { "kind": "conv1d", "channels": 1, "kernel": 1 } },
    ]});
    let biased = config(&[1, 4], json!([graph]));
    let mut tensors = parameters::collect(&network(&biased));
    tensors.insert("layers.0.nodes.1.layer.bias".into(), TensorData::from([0.5f32]));
    let biased_network = parameters::load(network(&biased), tensors).unwrap();
    let error = export_nir(&biased, &biased_network, &NirOptions::default()).unwrap_err();
    assert!(
        error.starts_with("found `0_feedback` → `0_a` to take a step behind a node with a bias"),
        "{error}"
    );
}

/// `input` → `x` → `output`.
fn single(kind: Kind, input: &[usize], output: &[usize]) -> Graph {
    let mut graph = Graph::default();
    graph.nodes.insert("input".into(), Kind::Input { shape: input.to_vec() }.into());
    graph.nodes.insert("x".into(), kind.into());
    graph.nodes.insert("output".into(), Kind::Output { shape: output.to_vec() }.into());
    graph.connect("input", "x");
    graph.connect("x", "output");
    graph
}

#[test]
fn what_no_layer_has_is_named_by_node_and_field() {
    let error = |graph: Graph| import_nir(&graph, &NirOptions::default()).unwrap_err();
    let pool = Pooling { kernel_size: [2, 2], stride: [1, 1], padding: [0, 0] };
    let pool = error(single(Kind::SumPool2d(pool), &[1, 4, 4], &[1, 3, 3]));
    assert_eq!(pool, "node `x` (SumPool2d): stride: found [1, 1], expected that of the window, [2, 2]");
    let one = |x: f64| Array::doubles(vec![1], vec![x]);
    let fast = error(single(Kind::Li { tau: one(5e-5), r: one(1.0), v_leak: one(0.0) }, &[1], &[1]));
    assert_eq!(fast, "node `x` (LI): tau: found 0.00005 s, expected at least one step, 0.0001 s");
    let slow = error(single(Kind::Delay { delay: one(100.0) }, &[1], &[1]));
    assert_eq!(slow, "node `x` (Delay): delay: found 100 s, expected at most 65536 steps of 0.0001 s");
    let flat = Kind::Flatten { input_shape: None, start_dim: 1, end_dim: -1 };
    let flat = error(single(flat, &[3, 4, 4], &[3, 16]));
    assert_eq!(
        flat,
        "node `x` (Flatten): start_dim: found [3, 16] to be left of [3, 4, 4], expected one axis"
    );
    let mut looped = single(Kind::Scale { scale: one(1.0) }, &[1], &[1]);
    looped.nodes.insert("y".into(), Kind::Scale { scale: one(1.0) }.into());
    looped.connect("x", "y");
    looped.connect("y", "x");
    let message = error(looped);
    assert!(message.contains("found a loop without units"), "{message}");
    let mut lonely = single(Kind::Scale { scale: one(1.0) }, &[1], &[1]);
    lonely.nodes.insert("y".into(), Kind::Scale { scale: one(1.0) }.into());
    assert_eq!(error(lonely), "node `y`: found no way from the input to it");
}

#[test]
fn groups_and_dilation_become_zeros_of_the_kernel() {
    use spark_io::nir::{Convolution, Padding};
    let conv = Convolution {
        input_shape: None,
        weight: Array::floats(vec![2, 1, 2], vec![1.0, 2.0, 3.0, 4.0]),
        stride: vec![1],
        padding: Padding::Same,
        dilation: vec![2],
        groups: 2,
        bias: Array::floats(vec![2], vec![0.5, 0.25]),
    };
    let imported = import_nir(&single(Kind::Conv1d(conv), &[2, 5], &[2, 5]), &NirOptions::default()).unwrap();
    let kernel = imported.parameters["layers.0.weight"].iter::<f32>().collect::<Vec<f32>>();
    assert_eq!(kernel, [1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 4.0]);
    // What does not end in units gets some that pass on.
    assert!(matches!(&imported.config.layers[1], LayerConfig::LeakyIntegrator(layer) if layer.decay == 0.0));
    let network = imported.network(&Device::flex()).unwrap();
    let input = TensorData::new((0..10).map(|i| i as f32).collect::<Vec<_>>(), [1, 1, 10]);
    let output = network.forward(Tensor::from_data(input, &Device::flex()), None).output;
    let found = output.into_data().try_to_vec::<f32>().unwrap();
    assert_eq!(found, [2.5, 4.5, 7.5, 10.5, 3.5, 24.25, 43.25, 50.25, 57.25, 24.25]);
}

/// What is written of a network is what lies in `tests/golden/nir/written`, which
/// `examples/python/nir_roundtrip.py` runs elsewhere.
fn committed(name: &str, config: &NetworkConfig) {
    let network = network(config);
    let bytes = to_bytes(&export_nir(config, &network, &NirOptions::default()).unwrap().graph).unwrap();
    let (x, y) = (input(config), output(&network, config));
    let shape = [&[40, 3][..], &config.input].concat();
    let x = TensorData::new(x.iter::<f32>().collect::<Vec<_>>(), shape);
    let y = TensorData::new(y.clone(), [40, 3, y.len() / 120]);
    let recorded = TensorFile { tensors: [("x".into(), x), ("y".into(), y)].into(), ..Default::default() };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/nir/written");
    let found = std::fs::read(folder.join(format!("{name}.nir"))).unwrap_or_default();
    let tensors = TensorFile::read(&folder.join(format!("{name}.safetensors"))).unwrap_or_default().tensors;
    if found != bytes || tensors != recorded.tensors {
        let new = std::env::temp_dir().join("spark_nir_written");
        std::fs::create_dir_all(&new).unwrap();
        std::fs::write(new.join(format!("{name}.nir")), bytes).unwrap();
        recorded.write(&new.join(format!("{name}.safetensors"))).unwrap();
        panic!("{name} is not what it was; what it is now lies in {}", new.display());
    }
}

#[test]
fn what_is_written_is_what_was_run_elsewhere() {
    let leaky = |more: Value| spiking("leaky", more);
    let dense = |units: usize| json!({ "kind": "dense", "units": units });
    let networks = [
        (
            "mlp",
            config(
                &[8],
                json!([
                    dense(10),
                    leaky(json!({ "decay": 0.85, "per_unit": true })),
                    dense(4),
                    leaky(json!({ "decay": 0.9 })),
                ]),
            ),
        ),
        (
            "conv",
            config(
                &[1, 8, 8],
                json!([
                    { "kind": "conv2d", "channels": 3, "kernel": [3, 3], "padding": [1, 1] },
                    spiking("integrate_and_fire", json!({})),
                    { "kind": "sum_pool2d", "window": [2, 2] },
                    dense(5),
                    { "kind": "membrane", "decay": 0.9, "gain": 0.3, "leak": 0.1, "reset_value": -0.3, "per_unit": true },
                ]),
            ),
        ),
        (
            "recurrent",
            config(
                &[8],
                json!([
                    dense(6),
                    { "kind": "recurrent", "units": leaky(json!({ "decay": 0.85 })) },
                    dense(4),
                    spiking("synaptic", json!({ "decay": 0.8, "current_decay": 0.6 })),
                ]),
            ),
        ),
        (
            "loop",
            config(
                &[8],
                json!([{ "kind": "graph", "output": "readout", "nodes": [
                    { "name": "in", "from": ["input"], "layer": dense(6) },
                    { "name": "a", "from": ["in"], "back": ["feedback"], "layer": leaky(json!({ "per_unit": true })) },
                    { "name": "late", "from": ["a"], "layer": { "kind": "delay_line", "steps": [0, 1, 2, 3, 4, 5] } },
                    { "name": "forward", "from": ["late"], "layer": dense(5) },
                    { "name": "b", "from": ["forward"], "layer": leaky(json!({})) },
                    { "name": "feedback", "from": ["b"], "layer": { "kind": "dense", "units": 6, "bias": false } },
                    { "name": "readout", "from": ["b"], "layer": { "kind": "leaky_integrator", "decay": 0.8 } },
                ]}]),
            ),
        ),
    ];
    for (name, config) in networks {
        committed(name, &config);
    }
}
