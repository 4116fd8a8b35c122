use burn::tensor::{Device, TensorData};
use spark_core::model::Model;
use spark_nn as _;
use std::path::PathBuf;

use super::*;

/// A dump of a brain whose neurons are late, of two types and learn.
fn recorded() -> TensorFile {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/spark_snn/learning.safetensors");
    TensorFile::read(&path).unwrap()
}

fn opened(file: &TensorFile) -> Result<Dump, DumpError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump.safetensors");
    file.write(&path).unwrap();
    Dump::read(&path)
}

fn snapshot(file: &TensorFile) -> Result<Snapshot, DumpError> {
    let dump = opened(file)?;
    let model: Model = dump.model.clone().unwrap().model;
    Ok(dump.snapshot(&model, &Device::flex())?.0)
}

/// What is said of a dump with a change.
fn error(change: impl Fn(&mut TensorFile)) -> String {
    let mut file = recorded();
    change(&mut file);
    snapshot(&file).unwrap_err().to_string()
}

#[test]
fn states_come_by_their_names_and_draws_as_they_were_drawn() {
    let file = recorded();
    let snapshot = snapshot(&file).unwrap();
    assert_eq!(snapshot.steps, 120);
    for [ours, theirs] in [
        ["a.soma.potential", "state.a.soma.potential"],
        ["c.soma.recovery", "state.c.soma.recovery"],
        ["b.synapses.kernel", "state.b.synapses.kernel"],
        ["b.delays.kernel", "constant.b.delays.kernel"],
        ["readout.trace.tracer_rise.trace", "state.readout.trace.tracer_rise.trace"],
        ["readout>signal", "waiting.readout.signal"],
    ] {
        let values = |data: &TensorData| data.iter::<f32>().collect::<Vec<f32>>();
        assert_eq!(values(&snapshot.state[ours]), values(&file.tensors[theirs]), "{ours}");
    }
    let pattern = "a.soma.threshold".parse().unwrap();
    let (_, threshold) = snapshot.model.get(&pattern).unwrap().remove(0);
    let threshold: Vec<f32> = serde_json::from_value(threshold).unwrap();
    let relative: Vec<f32> = file.tensors["constant.a.soma.threshold"].iter().collect();
    assert_eq!(threshold.len(), 10);
    assert!(threshold.iter().zip(&relative).all(|(found, above)| (found + 60.0 - above).abs() < 1e-4));
}

#[test]
fn traces_of_late_spikes_say_at_every_synapse_what_they_said_there() {
    let file = recorded();
    let snapshot = snapshot(&file).unwrap();
    let of = |name: &str| snapshot.state[name].iter::<f32>().collect::<Vec<f32>>();
    let (past, delays) = (of("b.rule.pre_trace.past.history"), of("b.delays.kernel"));
    let newest = of("b.rule.pre_trace.past.newest")[0] as usize;
    let [slots, _, pre] = snapshot.state["b.rule.pre_trace.past.history"].shape()[..] else { panic!() };
    let theirs: Vec<f32> = file.tensors["state.b.rule.pre_trace.trace"].iter().collect();
    assert!(theirs.iter().filter(|trace| **trace > 0.0).count() > 20);
    for (synapse, expected) in theirs.into_iter().enumerate() {
        let slot = (newest + slots - delays[synapse] as usize) % slots;
        let found = past[slot * pre + synapse % pre];
        assert!((found - expected).abs() < 1e-6, "synapse {synapse}: {found}, expected {expected}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let plane = |length: usize| TensorData::new(vec![0.0f32; length], [length]);
    let found = error(|file| drop(file.tensors.remove("state.a.soma.potential")));
    assert!(found.contains("found no tensor `state.a.soma.potential`"), "{found}");
    let found = error(|file| drop(file.tensors.insert("state.a.soma.gate".into(), plane(10))));
    assert!(found.contains("the model has no place for `state.a.soma.gate`"), "{found}");
    let found = error(|file| drop(file.tensors.insert("state.a.soma.potential".into(), plane(9))));
    assert!(found.contains("`a.soma.potential`: found 9 entries, expected 10"), "{found}");
    let found = error(|file| drop(file.tensors.insert("state.a.delays.bitmask".into(), plane(9))));
    assert!(found.contains("`state.a.delays.bitmask`: found shape [9], expected rows of bytes"), "{found}");
    let found = error(|file| drop(file.tensors.remove("constant.a.soma.threshold")));
    assert!(found.contains("`a.soma.threshold` is drawn at random"), "{found}");
    let found = error(|file| {
        let kernel = &file.tensors["constant.b.delays.kernel"];
        let late = TensorData::new(vec![6u8; kernel.num_elements()], kernel.shape().clone());
        file.tensors.insert("constant.b.delays.kernel".into(), late);
    });
    assert!(found.contains("`b.delays`: a delay of 6 steps in a buffer of 6 arrives at once"), "{found}");
}

#[test]
fn what_is_no_dump_is_named() {
    let with =
        |key: &str, value: &str| error(|file| drop(file.metadata.insert(key.to_owned(), value.to_owned())));
    assert!(with("format", "pt").contains("found format `pt`, expected `spark-snn-state`"));
    assert!(with("version", "2").contains("dump version 2, this program reads up to 1"));
    assert!(with("steps", "-1").contains("`steps`: found `-1`, expected a whole number"));
    assert!(with("inputs", "{}").contains("signal"));
    assert!(with("inputs", r#"{"signal": {"payload": "Sound", "shape": [1]}}"#).contains("`Sound`"));
    assert!(with("model", "{").contains("EOF"));
    let error = error(|file| drop(file.metadata.remove("format")));
    assert!(error.contains("this is no dump of spark-snn"), "{error}");
}
