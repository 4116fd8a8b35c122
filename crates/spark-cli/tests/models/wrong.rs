//! Model files with mistakes.

use predicates::str::contains;
use serde_json::{Value, json};

use super::{names, read, templates, with, write};

/// A change of the template of a neuron, and what has to be said of it.
type Case = (fn(&mut Value), &'static [&'static str]);

/// The modules of the template are delays, synapses, soma and rule.
const CASES: [Case; 12] = [
    (
        |modules| modules[2]["module"] = "LekySoma".into(),
        &["soma: found unknown component `LekySoma`: did you mean LeakySoma"],
    ),
    (
        |modules| {
            modules[0]["module"] = "N2NDelay".into();
            modules[3]["module"] = "HebianRule".into();
        },
        &[
            "delays: found unknown component",
            "did you mean N2NDelays",
            "rule: found unknown component",
            "HebbianRule",
        ],
    ),
    (
        |modules| modules[2]["inputs"] = json!({}),
        &["soma.inputs.current: found no connection, expected currents"],
    ),
    (
        |modules| modules[2]["inputs"]["current"] = "synapsis.currents".into(),
        &[
            "soma.inputs.current: found `synapsis.currents`, a module that is not there",
            "delays, synapses, soma, rule",
        ],
    ),
    (
        |modules| modules[2]["inputs"]["current"] = "delays.out_spikes".into(),
        &["soma.inputs.current: found spikes from `delays.out_spikes`, expected currents"],
    ),
    (
        |modules| modules[2]["inputs"]["curent"] = "synapses.currents".into(),
        &["soma.inputs.curent: found a port that the module does not have"],
    ),
    (
        |modules| modules[2]["effects"] = json!({ "potential": "synapses.currents" }),
        &["soma.effects.potential: found a property that cannot be written"],
    ),
    (|modules| modules[3]["name"] = "soma".into(), &["soma: found a name that another module has"]),
    (
        |modules| {
            let join = |name: &str, from: &str| json!({ "name": name, "module": "Concat", "inputs": { "x": format!("{from}.output") } });
            modules.as_array_mut().unwrap().extend([join("a", "b"), join("b", "c"), join("c", "a")]);
        },
        &["found the loop", "a → ", " → b", "c → "],
    ),
    (
        |modules| modules[2]["config"]["dt"] = 0.5.into(),
        &["soma.dt: found 0.5, expected 1.0, as the controller hands it down"],
    ),
    (
        |modules| modules[1]["config"]["kernel"] = json!([[1.0, 2.0], [3.0, 4.0]]),
        &["synapses.kernel: found shape [2, 2], expected one that fits [64, 16]"],
    ),
    (
        |modules| {
            modules[2]["config"]["potential_tau"] = 0.into();
            modules[3]["config"]["learning_rte"] = 1.into();
            modules[0]["config"]["max_delay"] = (-1).into();
        },
        &["soma.potential_tau: found 0", "learning_rte", "delays"],
    ),
];

#[test]
fn every_mistake_is_found_with_its_path_and_nothing_is_written() {
    let folder = templates();
    for (change, messages) in CASES {
        let mut model = read(folder.path(), "neuron.json");
        change(&mut model["config"]["modules"]);
        write(folder.path(), "wrong.json", &model);
        let before = names(folder.path());
        let output =
            with(folder.path(), &["check", "wrong.json"]).assert().code(1).get_output().stdout.clone();
        let text = String::from_utf8(output).unwrap();
        for message in messages {
            assert!(text.contains(message), "{message}\nnot in\n{text}");
        }
        let summary = with(folder.path(), &["check", "wrong.json", "--json"]).assert().code(1);
        let lines = String::from_utf8(summary.get_output().stdout.clone()).unwrap();
        let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!((&last["valid"], &last["problems"]), (&false.into(), &json!(lines.lines().count() - 1)));
        with(folder.path(), &["run", "wrong.json", "--steps", "3", "--out", "result"]).assert().failure();
        with(folder.path(), &["inspect", "wrong.json"]).assert().failure();
        assert_eq!(names(folder.path()), before);
    }
}

#[test]
fn files_that_are_no_models_are_explained_by_every_command() {
    let folder = templates();
    let whole = std::fs::read_to_string(folder.path().join("brain.json")).unwrap();
    let cases: [(&str, &str); 5] = [
        (&whole[..whole.len() / 2], "EOF"),
        ("", "EOF"),
        ("[1, 2]", "invalid"),
        (r#"{"spark": 99, "module": "Brain"}"#, "at `spark`: found version 99"),
        (r#"{"spark": 1, "module": "Brain", "modulse": []}"#, "unknown field `modulse`"),
    ];
    for (text, message) in cases {
        std::fs::write(folder.path().join("bad.json"), text).unwrap();
        let before = names(folder.path());
        for command in [
            &["check", "bad.json"][..],
            &["inspect", "bad.json"],
            &["run", "bad.json", "--steps", "3", "--out", "result"],
            &["diff", "brain.json", "bad.json"],
            &["convert", "bad.json", "new.json"],
            &["list", "--neurons", "bad.json"],
        ] {
            let failed = with(folder.path(), command).assert().failure();
            failed.stderr(contains("bad.json")).stderr(contains(message));
        }
        assert_eq!(names(folder.path()), before);
    }
}

#[test]
fn a_state_file_with_damage_is_explained() {
    let folder = templates();
    with(folder.path(), &["run", "brain.json", "--steps", "3", "--out", "result"]).assert().success();
    let path = folder.path().join("result/state.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    with(folder.path(), &["inspect", "result"]).assert().failure().stderr(contains("truncated"));
}
