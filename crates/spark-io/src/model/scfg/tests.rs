//! Samples of the Python framework, and files that are wrong.

use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use serde_json::{Value, json};
use spark_core::component::{Context, Instance};
use spark_core::model::{Model, ModuleSpec};
use spark_core::payload::{Floats, PayloadKind, Shape, Spikes};
use spark_core::ports::{InputShapes, PortValues};
use spark_nn::components::somas::LeakySomaConfig;
use spark_nn::controllers::NeuronConfig;
use std::fs;
use std::path::PathBuf;

use crate::model::tree::{Json, parse};
use crate::model::{LARGEST, Loaded, read, write, xz};

const SAMPLES: [&str; 4] =
    ["alif_neuron", "topological_alif_brain", "cartpole_ab_brain", "cartpole_alif_mod_neuron"];

fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/models").join(name).with_extension("scfg")
}

fn unpacked(path: &PathBuf) -> String {
    let bytes = xz::unpack(&fs::read(path).unwrap(), LARGEST).unwrap().unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Steps on 200 random inputs; the number of spikes, or of signals, that came out.
fn run(model: &Model) -> f32 {
    let device = Device::flex();
    let config = model.checked().unwrap();
    let mut shapes = InputShapes::default();
    for port in &config.interface().inputs {
        let count = if port.kind == Some(PayloadKind::Spikes) {
            6
        } else if port.name == "signal" {
            4
        } else {
            1
        };
        shapes = shapes.with(port.name, Shape::new(port.kind.unwrap(), &[count]));
    }
    let mut instance: Box<dyn Instance> = model.build(&shapes, 1, &Context::new("", &device)).unwrap();
    let mut sum = 0.0;
    for step in 0..200 {
        let mut inputs = PortValues::default();
        for port in instance.inputs() {
            let count = instance.input_shape(port.name).unwrap().count();
            let value = |unit: usize| f32::from(u8::from((7 * unit + 3 * step) % 5 < 2));
            let plane: Vec<f32> = (0..count).map(value).collect();
            let plane = Tensor::<1>::from_floats(plane.as_slice(), &device).unsqueeze::<2>();
            match port.kind.unwrap() {
                PayloadKind::Spikes => inputs.put(port.name, Spikes::new(plane)),
                _ if port.name == "signal" => inputs.put(port.name, Floats(plane)),
                _ => inputs.put(port.name, Floats(plane * 1e-4)),
            }
        }
        for (_, payload) in instance.step(inputs).unwrap() {
            sum += match payload {
                spark_core::payload::Payload::Spikes(spikes) => {
                    spikes.units().unwrap().sum().into_scalar::<f32>()
                }
                spark_core::payload::Payload::Floats(Floats(x)) => x.sum().into_scalar::<f32>(),
                other => panic!("{other:?}"),
            };
        }
    }
    assert!(sum.is_finite());
    sum
}

fn with_units(mut model: Model) -> Model {
    if model.config.fields.get("units") == Some(&json!([])) {
        model.set(&"units".parse().unwrap(), &json!([16])).unwrap();
    }
    model
}

#[test]
fn samples_are_read_run_written_and_read_again_equal() {
    let folder = tempfile::tempdir().unwrap();
    for name in SAMPLES {
        let Loaded { model, notes } = read(&sample(name)).unwrap();
        let mut output = run(&with_units(model.clone()));
        if name == "alif_neuron" {
            // Its weak synapses never reach the threshold with six inputs.
            let mut strong = model.clone();
            strong
                .set(&"synapses.kernel".parse().unwrap(), &json!({ "kind": "uniform", "scale": 900.0 }))
                .unwrap();
            output = run(&strong);
        }
        assert!(output > 0.0 || name == "cartpole_alif_mod_neuron", "{name}: nothing came out");
        let packed = folder.path().join(name).with_extension("scfg");
        assert_eq!(write(&packed, &model, false).unwrap(), Vec::<String>::new());
        assert_eq!(read(&packed).unwrap().model, model, "{name}");
        let text = folder.path().join(name).with_extension("json");
        write(&text, &model, false).unwrap();
        let own = read(&text).unwrap();
        assert_eq!((&own.model, own.notes.len()), (&model, 0));
        // Through our own layout and back.
        write(&packed, &own.model, true).unwrap();
        assert_eq!(read(&packed).unwrap().model, model, "{name}");
        assert!(notes.iter().any(|note| note.contains("float16")), "{notes:?}");
    }
}

#[test]
fn samples_of_the_form_that_is_written_come_back_value_by_value() {
    let folder = tempfile::tempdir().unwrap();
    for name in &SAMPLES[..2] {
        let path = folder.path().join("model.scfg");
        write(&path, &read(&sample(name)).unwrap().model, true).unwrap();
        let [before, after] = [unpacked(&sample(name)), unpacked(&path)];
        let [before, after]: [Value; 2] = [before, after].map(|text| serde_json::from_str(&text).unwrap());
        assert_eq!(before, after, "{name}");
    }
}

#[test]
fn the_unpacked_text_is_read_too() {
    let folder = tempfile::tempdir().unwrap();
    for name in SAMPLES {
        let path = folder.path().join("model.json");
        fs::write(&path, unpacked(&sample(name))).unwrap();
        assert_eq!(read(&path).unwrap(), read(&sample(name)).unwrap());
    }
}

/// Every number of a field of a name.
fn numbers(json: &Json, field: &str, found: &mut Vec<Value>) {
    match json {
        Json::Object(entries) => {
            for (name, value) in entries {
                if name == field { found.push(value.into()) } else { numbers(value, field, found) }
            }
        }
        Json::List(items) => items.iter().for_each(|item| numbers(item, field, found)),
        _ => {}
    }
}

#[test]
fn the_older_form_keeps_every_value() {
    let Loaded { model, notes } = read(&sample("cartpole_ab_brain")).unwrap();
    let tree = parse(unpacked(&sample("cartpole_ab_brain")).as_bytes()).unwrap();
    let fields = [
        "seed",
        "q_alpha",
        "post_tau",
        "eta",
        "resistance",
        "threshold_delta",
        "max_freq",
        "inhibitory_rate",
    ];
    for field in fields {
        let mut expected = Vec::new();
        numbers(&tree, field, &mut expected);
        let pattern = format!("**.{field}").parse().unwrap();
        let mut found: Vec<Value> =
            model.get(&pattern).unwrap().into_iter().map(|(_, value)| value).collect();
        // What the editor notes of a field is an object.
        expected.retain(|value| !value.is_object());
        for value in &expected {
            let place = found.iter().position(|found| found == value);
            found.remove(place.unwrap_or_else(|| panic!("{field}: {value} is not in the model")));
        }
    }
    let pool = model.config.module("A_excitatory").unwrap();
    assert_eq!(
        (pool.module.as_str(), &pool.metadata["scfg"]["class"]),
        ("Neuron", &json!("alif_mod_neuron"))
    );
    let rule = pool.config.module("plasticity").unwrap();
    assert_eq!(
        (rule.module.as_str(), &rule.config.fields["pre_tau"]),
        ("ModulatedQuadrupletRule", &json!(10.75268817204301))
    );
    assert_eq!(rule.metadata["scfg"]["narrowed"]["pre_tau"][3], 76.92307692307692);
    assert_eq!(
        rule.metadata["graph_editor"]["inheritance_tree"]["main"]["eta"]["type_string"],
        json!(["float"])
    );
    let soma = pool.config.module("soma").unwrap();
    assert_eq!(soma.inputs["inhibition_mask"][0].to_string(), "__self__#inhibition_mask");
    assert_eq!(model.config.module("spiker").unwrap().config.fields["mins"], -1);
    assert_eq!(model.metadata["graph_editor"]["signal"]["spec"]["__data__"]["shape"], json!([1]));
    for expected in [
        "1.0.0",
        "float16",
        "`alif_mod_neuron` is not registered",
        "`quadruplet_rule_tensor` is",
        "pre_tau: found one",
    ] {
        assert!(notes.iter().any(|note| note.contains(expected)), "{expected}: {notes:#?}");
    }
}

#[test]
fn what_files_have_no_place_for_stands_beside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.scfg");
    let mut spec = ModuleSpec::new("soma", &LeakySomaConfig::default())
        .input("current", "__call__.current")
        .output("out_spikes", "spikes");
    spec.metadata.insert("position".to_owned(), json!([3, 4]));
    let mut neuron = NeuronConfig::default().with(spec);
    neuron.units = vec![2];
    let mut model = Model::of(&neuron).unwrap();
    model.metadata.insert("author".to_owned(), "µ".into());
    let field = |name: &str, value: Value, model: &mut Model| {
        model.config.module_mut("soma").unwrap().config.fields.insert(name.to_owned(), value);
    };
    field("threshold", json!([-45.0, -44.5]), &mut model);
    field("potential_rest", json!({ "kind": "log_normal", "scale": 2.0, "sigma": 0.5 }), &mut model);
    assert_eq!(write(&path, &model, false).unwrap(), Vec::<String>::new());
    let again = read(&path).unwrap();
    assert_eq!(again.model.diff(&model).unwrap(), []);
    assert_eq!(
        again.model.config.module("soma").unwrap().metadata,
        model.config.module("soma").unwrap().metadata
    );
    assert_eq!(again.model.metadata, model.metadata);
    let text: Value = serde_json::from_str(&unpacked(&path)).unwrap();
    let written = &text["__data__"]["__cfg__"]["modules_specs"][0]["__data__"]["config"]["__cfg__"];
    assert_eq!(
        written["threshold"],
        json!({ "__type__": "jax_array", "dtype": "float32", "shape": [2], "data": [-45.0, -44.5] })
    );
    assert_eq!(written["potential_rest"]["__type__"], "log_normal_initializer_config");
    assert!(text["__spark__"].is_string(), "objects would be decoded by Python");

    // What only we know is written too, and said.
    let own = Model::new("HodgkinHuxleySoma", Default::default());
    let notes = write(&path, &own, true).unwrap();
    assert!(notes[0].contains("the Python framework has no HodgkinHuxleySoma"), "{notes:?}");
    assert_eq!(read(&path).unwrap().model.diff(&own).unwrap(), []);
}

#[test]
fn everything_registered_survives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.scfg");
    for registration in spark_core::registry::all() {
        let model = Model::new(registration.name, Default::default());
        write(&path, &model, true).unwrap();
        let again = read(&path).unwrap().model;
        assert_eq!(again.diff(&model).unwrap(), [], "{}", registration.name);
        write(&path, &again, true).unwrap();
        assert_eq!(read(&path).unwrap().model, again, "{}", registration.name);
    }
}

/// The error of a sample in which text was replaced.
fn error(name: &str, from: &str, to: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.scfg");
    let text = unpacked(&sample(name));
    assert!(text.contains(from), "{from}");
    fs::write(&path, xz::pack(text.replacen(from, to, 1).as_bytes()).unwrap()).unwrap();
    let error = match read(&path) {
        Err(error) => error.to_string(),
        Ok(loaded) => loaded.model.checked().unwrap_err().to_string(),
    };
    assert!(error.len() < 2000, "{error}");
    error
}

#[test]
fn mistakes_are_named_with_their_path() {
    let cases = [
        (
            "\"max_delay\": 8.0",
            "\"max_delay\": NaN",
            "modules_specs[0].__data__.config.__cfg__.max_delay`: found NaN",
        ),
        ("\"max_delay\": 8.0", "\"max_delay\": -Infinity", "max_delay`: found -Infinity"),
        ("\"max_delay\": 8.0", "\"max_delay\": \"long\"", "delays"),
        ("\"max_delay\": 8.0", "\"max_dely\": 8.0", "config.__cfg__.max_dely`: unknown field, N2NDelays has"),
        ("\"1.0\"", "\"2.0\"", "__version__`: found `2.0`, expected version 1.0"),
        ("\"1.0\"", "7", "__version__`: found 7, expected text"),
        ("\"n2n_delays\"", "\"n2n_delay\"", "unknown component `n2ndelay`"),
        (
            "n2n_delays_config",
            "n_delays_config",
            "config.__type__`: found `n_delays_config`, expected `n2n_delays_config`",
        ),
        (
            "\"name\": \"synapses\"",
            "\"name\": \"delays\"",
            "[1].__data__.name`: found `delays`, expected a name that no other",
        ),
        (
            "\"name\": \"synapses\"",
            "\"name\": \"a.b\"",
            "[1].__data__.name`: found `a.b`, expected a name without dots",
        ),
        ("\"origin\": \"delays\"", "\"origin\": 3", "port_map"),
        ("\"is_property\": false", "\"is_property\": 0", "is_property`: found 0, expected true or false"),
        (
            "sparse_uniform_initializer_config",
            "sparse_initializer_config",
            "expected one of constant_initializer_config",
        ),
        ("\"density\": 0.2", "\"density\": \"low\"", "kernel.__cfg__`"),
        ("\"density\": 0.2", "\"density\": 1.5", "density"),
        ("\"density\": 0.2", "\"densitie\": 0.2", "densitie"),
        (
            "\"tau\": 5.0",
            "\"tau\": {\"__type__\": \"jax_array\", \"dtype\": \"float32\", \"shape\": [-1], \"data\": []}",
            "tau.shape[0]`: found -1",
        ),
        ("\"tau\": 5.0", "\"tau\": {\"__type__\": \"tensor\"}", "tau.__type__`: found `tensor`"),
        ("\"tau\": 5.0", "\"tau\": 5.0, \"tau\": 6.0", "`tau` is listed twice"),
        ("\"tau\": 5.0", "\"tau\": 1e999", "tau`: number out of range"),
        ("\"tau\": 5.0", "\"tau\": -5.0", "synapses.tau"),
        ("\"inhibitory_rate\": 0.2", "\"inhibitory_rate\": 0.2, \"gain\": 2", "gain`: unknown field"),
        ("\"effects\": {}", "\"effect\": {}", "effect`: unknown entry, expected one of name, module_cls"),
        ("\"__data__\": {", "\"__spark__\": 3, \"__data__\": {", "__spark__`: found 3"),
        ("\"__data__\": {", "\"__spark__\": \"{\", \"__data__\": {", "__spark__`: EOF"),
    ];
    for (from, to, expected) in cases {
        if from == "\"origin\": \"delays\"" {
            assert!(error("alif_neuron", from, to).contains("origin`: found 3, expected text"));
            continue;
        }
        let found = error("alif_neuron", from, to);
        assert!(found.contains(expected), "{from} → {to}: {found}");
    }
    // The units of a brain's neuron are not those of the brain: they must make sense by themselves.
    assert!(error("topological_alif_brain", "32\n", "-32\n").contains("units"));
}

#[test]
fn files_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.scfg");
    let bytes = fs::read(sample("alif_neuron")).unwrap();
    let error = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        read(&path).unwrap_err().to_string()
    };
    assert!(error(b"{}").contains("no xz file"));
    assert!(error(b"").contains("no xz file"));
    for length in (0..bytes.len()).step_by(7) {
        assert!(error(&bytes[..length]).contains("bad.scfg"), "{length}");
    }
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 4;
    assert!(error(&flipped).contains("bad.scfg"));
    let deep = xz::pack(format!("{{\"__data__\": {}", "[".repeat(1 << 20)).as_bytes()).unwrap();
    assert!(error(&deep).contains("recursion limit"));
    let many = xz::pack(format!("{{\"__data__\": [{}0]}}", "0,".repeat(9 << 20)).as_bytes()).unwrap();
    assert!(error(&many).contains("found more than 8388608 values"));
    assert!(
        error(&xz::pack(b"{\"a\": 1}").unwrap()).contains("expected an object with `__data__` or `__cfg__`")
    );
    // 300 MB of blanks in a few kilobytes.
    let bomb = xz::pack(&vec![b' '; 300 << 20]).unwrap();
    assert!(bomb.len() < 100_000 && error(&bomb).contains("found more than 268435456 bytes"));
    assert!(
        write(&path, &Model::new("Brain", Default::default()), false)
            .unwrap_err()
            .to_string()
            .contains("--overwrite")
    );
    assert_eq!(fs::read(&path).unwrap(), bomb);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic(
        sample_at in 0..4usize, packed in any::<bool>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = fs::read(sample(SAMPLES[sample_at])).unwrap();
        if !packed {
            bytes = unpacked(&sample(SAMPLES[sample_at])).into_bytes();
        }
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if packed {
            if let Ok(Some(text)) = xz::unpack(&bytes, 1 << 20) {
                let _ = super::read(&text);
            }
        } else if let Ok(Loaded { model, .. }) = super::read(&bytes) {
            // A model that is accepted makes sense, or says what does not.
            let _ = model.checked();
            let _ = super::write(&model);
        }
    }

    #[test]
    fn swapped_values_never_panic(at in any::<prop::sample::Index>(), from in any::<prop::sample::Index>(), which in 0..3usize) {
        let tree = parse(unpacked(&sample(["alif_neuron", "topological_alif_brain", "cartpole_alif_mod_neuron"][which])).as_bytes()).unwrap();
        let count = count(&tree);
        let donor = pick(&tree, &mut (from.index(count))).unwrap().clone();
        let mut changed = tree.clone();
        put(&mut changed, &mut at.index(count), &donor);
        let text = serde_json::to_vec(&changed).unwrap();
        if let Ok(Loaded { model, .. }) = super::read(&text) {
            let _ = model.checked();
            if let Ok((text, _)) = super::write(&model) {
                let again = super::read(&text).unwrap();
                prop_assert_eq!(again.model.diff(&model).unwrap(), []);
            }
        }
    }
}

/// Cases of a property: 2,000, or as many as the environment asks for.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(2000)
}

fn inside(json: &Json) -> Vec<&Json> {
    match json {
        Json::List(items) => items.iter().collect(),
        Json::Object(entries) => entries.values().collect(),
        _ => Vec::new(),
    }
}

fn count(json: &Json) -> usize {
    1 + inside(json).into_iter().map(count).sum::<usize>()
}

/// The value at a place, counted from the outside in.
fn pick<'a>(json: &'a Json, place: &mut usize) -> Option<&'a Json> {
    if *place == 0 {
        return Some(json);
    }
    *place -= 1;
    inside(json).into_iter().find_map(|below| pick(below, place))
}

fn put(json: &mut Json, place: &mut usize, value: &Json) -> bool {
    if *place == 0 {
        *json = value.clone();
        return true;
    }
    *place -= 1;
    match json {
        Json::List(items) => items.iter_mut().any(|below| put(below, place, value)),
        Json::Object(entries) => entries.values_mut().any(|below| put(below, place, value)),
        _ => false,
    }
}
