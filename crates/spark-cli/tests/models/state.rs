//! `spark run --state`, and states of spark-snn.

use predicates::str::contains;
use spark::io::TensorFile;
use std::path::{Path, PathBuf};

use super::super::json_lines;
use super::{read, templates, with, write};

/// Flags of a run of the template of a brain.
fn driven<'a>(steps: &'a str, out: &'a str) -> Vec<&'a str> {
    let run = ["run", "brain.json", "--constant", "signal=0.8", "--device", "flex"];
    [&run[..], &["--steps", steps, "--out", out, "--record", "pool.soma.potential"]].concat()
}

fn tensors(folder: &Path, file: &str) -> TensorFile {
    TensorFile::read(&folder.join(file)).unwrap()
}

#[test]
fn a_run_from_a_state_goes_on_exactly() {
    let folder = templates();
    let run = |arguments: &[&str]| with(folder.path(), arguments).assert().success();
    run(&driven("150", "whole"));
    run(&driven("90", "first"));
    let state = ["--state", "first/state.safetensors"];
    run(&[&driven("60", "second")[..], &state].concat());
    let [whole, first, second] =
        ["whole", "first", "second"].map(|run| tensors(folder.path(), &format!("{run}/outputs.safetensors")));
    for (name, expected) in &whole.tensors {
        let parts = [&first, &second].map(|part| part.tensors[name].iter::<f32>().collect::<Vec<f32>>());
        assert_eq!(parts.concat(), expected.iter::<f32>().collect::<Vec<f32>>(), "{name}");
    }
    let spikes: f32 = second.tensors["pool.out_spikes"].iter::<f32>().sum();
    assert!(spikes > 0.0);
    let [whole, second] =
        ["whole", "second"].map(|run| tensors(folder.path(), &format!("{run}/state.safetensors")));
    assert_eq!(whole, second);
}

#[test]
fn states_that_do_not_belong_to_a_run_are_explained() {
    let folder = templates();
    with(folder.path(), &driven("5", "first")).assert().success();
    let state = folder.path().join("first/state.safetensors");
    let refused = |extra: &[&str], message: &str| {
        let arguments = [&driven("5", "second")[..], &["--state", "first/state.safetensors"], extra].concat();
        with(folder.path(), &arguments).assert().failure().stderr(contains(message));
        assert!(!folder.path().join("second").exists());
    };
    refused(&["--seed", "3"], "cannot be used with");
    refused(&["--size", "signal=3"], "input `signal`: found");
    refused(&["--set", "pool.units=[65]"], "is the state of another model");
    let model = read(folder.path(), "brain.json");
    let mut other = model.clone();
    other["config"]["dt"] = 0.5.into();
    write(folder.path(), "brain.json", &other);
    refused(&[], "is the state of another model: ~ dt: 1.0 → 0.5");
    write(folder.path(), "brain.json", &model);
    let bytes = std::fs::read(&state).unwrap();
    std::fs::write(&state, &bytes[..bytes.len() / 2]).unwrap();
    refused(&[], "is not a valid safetensors file (truncated");
    std::fs::copy(folder.path().join("first/outputs.safetensors"), &state).unwrap();
    refused(&[], "is not a Spark snapshot");
}

#[test]
fn a_brain_of_spark_snn_comes_in_and_goes_on_with_its_spikes() {
    let folder = tempfile::tempdir().unwrap();
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/spark_snn");
    let dump = golden.join("learning.safetensors");
    let import = ["import", dump.to_str().unwrap(), "--from", "spark-snn", "--out", "brain.json"];
    with(folder.path(), &import).assert().failure().stderr(contains("--state for its state"));
    let import = [&import[..], &["--state", "state.safetensors"]].concat();
    let lines = json_lines(&mut with(folder.path(), &import));
    assert_eq!(lines.last().unwrap()["steps"], 120);
    with(folder.path(), &import).assert().failure().stderr(contains("--overwrite"));

    let record = tensors(&golden, "learning.run.safetensors");
    let signal = TensorFile {
        tensors: [("signal".to_owned(), record.tensors["in.signal"].clone())].into(),
        ..TensorFile::default()
    };
    signal.write(&folder.path().join("signal.safetensors")).unwrap();
    let run = ["run", "brain.json", "--state", "state.safetensors", "--input", "signal=signal.safetensors"];
    with(folder.path(), &[&run[..], &["--out", "more"]].concat()).assert().success();
    let found = tensors(folder.path(), "more/outputs.safetensors");
    for module in ["a", "b", "c"] {
        let values =
            |file: &TensorFile, name: String| file.tensors[&name].iter::<f32>().collect::<Vec<f32>>();
        let expected = values(&record, format!("spikes.{module}.out_spikes"));
        assert!(expected.contains(&1.0));
        assert_eq!(values(&found, format!("{module}.out_spikes")), expected, "{module}");
    }
}
