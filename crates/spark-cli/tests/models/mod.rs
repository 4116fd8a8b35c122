//! The commands for models.

mod run;
mod state;
mod wrong;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use std::path::Path;

use super::{json_lines, spark};

/// A folder with `brain.json` and `neuron.json`, as `spark new` writes them.
fn templates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["brain", "neuron"] {
        spark(folder.path()).args(["new", kind, kind]).assert().success().stdout(contains("spark run"));
    }
    folder
}

fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

fn write(folder: &Path, name: &str, model: &Value) {
    std::fs::write(folder.join(name), model.to_string()).unwrap();
}

/// Runs a command with arguments.
fn with(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = spark(folder);
    command.args(arguments);
    command
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn templates_are_right_and_are_not_overwritten() {
    let folder = templates();
    for name in ["brain.json", "neuron.json"] {
        let lines = json_lines(&mut with(folder.path(), &["check", name]));
        let summary = lines.last().unwrap();
        assert_eq!((&summary["valid"], &summary["built"]), (&true.into(), &true.into()), "{name}");
        let model = read(folder.path(), name);
        let notes = model["config"]["modules"].as_array().unwrap().iter();
        assert!(notes.into_iter().all(|module| module["metadata"]["note"].is_string()), "{name}");
    }
    let before = read(folder.path(), "brain.json");
    with(folder.path(), &["new", "neuron", "brain"]).assert().failure().stderr(contains("--overwrite"));
    assert_eq!(read(folder.path(), "brain.json"), before);
    with(folder.path(), &["new", "neuron", "brain", "--overwrite"]).assert().success();
    assert_eq!(read(folder.path(), "brain.json")["module"], "Neuron");
    with(folder.path(), &["new", "brain", "a.b"]).assert().failure().stderr(contains("without dots"));
    assert_eq!(names(folder.path()), ["brain.json", "neuron.json"]);
}

#[test]
fn a_model_is_shown_as_a_tree() {
    let folder = templates();
    let tree =
        with(folder.path(), &["inspect", "brain.json", "--set", "pool.soma.cooldown=2"]).assert().success();
    tree.stdout(
        contains("pool: LIFNeuron (neuron)")
            .and(contains("in_spikes        spikes [80]  ← spiker.spikes + pool.out_spikes"))
            .and(contains("set  cooldown = 2"))
            .and(contains("#kernel  ← hebbian_rule.kernel")),
    );
    let lines = json_lines(&mut with(folder.path(), &["inspect", "brain.json"]));
    let module = |path: &str| lines.iter().find(|line| line["path"] == path).unwrap().clone();
    assert_eq!(module("pool.soma")["module"], "AdaptiveLeakySoma");
    assert_eq!(module("pool")["outputs"][0]["shape"], json!([64]));
    let summary = lines.last().unwrap();
    let inner: u64 =
        ["spiker", "pool", "readout"].map(|path| module(path)["parameters"].as_u64().unwrap()).iter().sum();
    assert_eq!(summary["parameters"], inner);
    assert_eq!(summary["modules"], 7);

    let mut model = read(folder.path(), "brain.json");
    model["config"].as_object_mut().unwrap().remove("inputs");
    write(folder.path(), "open.json", &model);
    with(folder.path(), &["inspect", "open.json"])
        .assert()
        .success()
        .stdout(contains("pass --size signal=N"));
    let sized = json_lines(&mut with(folder.path(), &["inspect", "open.json", "--size", "signal=3"]));
    assert_eq!(sized.last().unwrap()["inputs"][0]["shape"], json!([3]));
    with(folder.path(), &["check", "open.json"]).assert().success().stdout(contains("not built"));
}

#[test]
fn differences_are_told_with_exit_codes() {
    let folder = templates();
    let mut other = read(folder.path(), "brain.json");
    other["config"]["modules"][1]["config"]["units"] = json!([32]);
    other["config"]["modules"][2]["outputs"] = json!({ "signal": "signal" });
    write(folder.path(), "other.json", &other);
    with(folder.path(), &["diff", "brain.json", "brain.json"]).assert().code(0).stdout("");
    with(folder.path(), &["diff", "brain.json", "other.json"]).assert().code(1).stdout(
        contains("~ pool.units: [64] → [32]").and(contains("~ readout.outputs.action: signal → absent")),
    );
    let output = with(folder.path(), &["diff", "brain.json", "neuron.json", "--json"]).output().unwrap();
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().any(|line| line["change"] == "removed" && line["path"] == "readout"));
    assert_eq!(lines.last().unwrap()["changes"], lines.len() - 1);
    with(folder.path(), &["diff", "brain.json", "nowhere.json"])
        .assert()
        .code(2)
        .stderr(contains("nowhere.json"));
}

#[test]
fn conversion_keeps_all_values_and_sets_what_is_asked_for() {
    let folder = templates();
    with(folder.path(), &["convert", "brain.json", "same.json"]).assert().success();
    with(folder.path(), &["diff", "brain.json", "same.json"]).assert().code(0);
    with(folder.path(), &["convert", "brain.json", "same.json"])
        .assert()
        .failure()
        .stderr(contains("--overwrite"));
    let other = ["convert", "brain.json", "other.json", "--seed", "9", "--set", "**.dt=0.5"];
    with(folder.path(), &other).assert().success();
    let model = read(folder.path(), "other.json");
    assert_eq!((&model["config"]["seed"], &model["config"]["dt"]), (&9.into(), &0.5.into()));
    let wrong = ["convert", "brain.json", "wrong.json", "--set", "pool.soma.potential_tau=-1"];
    with(folder.path(), &wrong).assert().failure().stderr(contains("pool.soma.potential_tau: found -1"));
    let several = ["convert", "brain.json", "wrong.json", "--set", "dt=1,2"];
    with(folder.path(), &several).assert().failure().stderr(contains("only `spark run` takes several"));
    assert!(!folder.path().join("wrong.json").exists());
}

#[test]
fn the_schema_knows_every_module() {
    let folder = tempfile::tempdir().unwrap();
    let [schema] = &json_lines(&mut with(folder.path(), &["schema"]))[..] else { panic!("one line") };
    for name in ["LeakySoma", "PoissonSpiker", "LIFNeuron", "Brain", "ModuleSpec"] {
        assert!(schema["$defs"][name].is_object(), "{name}");
    }
    let [soma] = &json_lines(&mut with(folder.path(), &["schema", "LeakySoma"]))[..] else {
        panic!("one line")
    };
    assert_eq!(soma["title"], "LeakySoma");
    assert_eq!(soma["properties"]["threshold"]["unit"], "mV");
    with(folder.path(), &["schema", "LekySoma"])
        .assert()
        .failure()
        .stderr(contains("did you mean LeakySoma"));
}

#[test]
fn neurons_from_files_can_be_used_by_name() {
    let folder = templates();
    std::fs::rename(folder.path().join("neuron.json"), folder.path().join("Mine.json")).unwrap();
    let mut model = read(folder.path(), "Mine.json");
    model["metadata"]["name"] = "Mine".into();
    write(folder.path(), "Mine.json", &model);
    let mut brain = read(folder.path(), "brain.json");
    brain["config"]["modules"][1]["module"] = "Mine".into();
    brain["config"]["modules"][1]["config"] = json!({ "units": [8] });
    write(folder.path(), "brain.json", &brain);
    with(folder.path(), &["check", "brain.json"])
        .assert()
        .failure()
        .stdout(contains("unknown component `Mine`"));
    let neurons = ["--neurons", "Mine.json"];
    with(folder.path(), &["check", "brain.json"]).args(neurons).assert().success();
    let [mine] = &json_lines(with(folder.path(), &["list", "neurons", "Mine"]).args(neurons))[..] else {
        panic!("one line")
    };
    let modules: Vec<_> = mine["modules"].as_array().unwrap().iter().map(|module| &module["name"]).collect();
    assert_eq!(modules, ["delays", "synapses", "soma", "rule"]);
    let wrong = ["check", "brain.json", "--neurons", "brain.json"];
    with(folder.path(), &wrong).assert().failure().stderr(contains("without neurons of its own"));
}

#[test]
fn neurons_brains_initializers_and_payloads_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let neurons = json_lines(&mut with(folder.path(), &["list", "neurons"]));
    let listed = neurons.last().unwrap()["components"].to_string();
    for name in ["LIFNeuron", "ALIFNeuron", "AdExNeuron"] {
        assert!(listed.contains(name), "{name}");
    }
    let lif = with(folder.path(), &["list", "LIFNeuron"]).assert().success();
    lif.stdout(
        contains("hebbian_rule").and(contains("#kernel ← hebbian_rule.kernel")).and(contains("in_spikes")),
    );
    with(folder.path(), &["list", "brains"]).assert().success().stdout(contains("Brain"));
    let initializers = json_lines(&mut with(folder.path(), &["list", "initializers"]));
    assert_eq!(initializers.last().unwrap()["names"].as_array().unwrap().len(), 8);
    with(folder.path(), &["list", "payload", "kernel"]).assert().success().stdout(contains("[post, pre]"));
    with(folder.path(), &["list", "payload", "karnel"]).assert().failure().stderr(contains("delay_kernel"));
}
