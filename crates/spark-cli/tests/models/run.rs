//! `spark run`

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use spark::burn::tensor::TensorData;
use spark::io::TensorFile;
use spark::record::{RunReader, Status};
use std::path::Path;

use super::super::json_lines;
use super::{names, read, templates, with};

const DRIVEN: [&str; 8] =
    ["run", "brain.json", "--steps", "200", "--constant", "signal=0.8", "--device", "flex"];

fn outputs(folder: &Path) -> TensorFile {
    TensorFile::read(&folder.join("outputs.safetensors")).unwrap()
}

#[test]
fn a_run_reports_rates_and_writes_what_happened() {
    let folder = templates();
    let extra = ["--out", "result", "--plot", "--record", "pool.soma.potential", "--record", "**.kernel"];
    let lines = json_lines(with(folder.path(), &DRIVEN).args(extra));
    let [run, summary] = lines.as_slice() else { panic!("two lines: {lines:?}") };
    let rate = |name: &str| run["rates"][name].as_f64().unwrap();
    assert!((rate("spiker.spikes") - 160.0).abs() < 20.0 && rate("pool.out_spikes") > 0.0, "{run}");
    assert_eq!(summary["runs"], 1);
    let result = folder.path().join("result");
    assert_eq!(
        names(&result),
        [
            "heartbeat",
            "index.sqlite",
            "lock",
            "model.json",
            "outputs.safetensors",
            "run.json",
            "spikes.svg",
            "state.safetensors",
            "summary.json"
        ]
    );
    let file = outputs(&result);
    let shape = |name: &str| file.tensors[name].shape().to_vec();
    assert_eq!(shape("pool.out_spikes"), [200, 64]);
    assert_eq!(shape("pool.soma.potential"), [200, 64]);
    assert_eq!(shape("pool.synapses.kernel"), [200, 64, 80]);
    assert_eq!(shape("action"), [200, 2]);
    let spikes: f64 = file.tensors["pool.out_spikes"].iter::<f64>().sum();
    assert!((rate("pool.out_spikes") - spikes / (64.0 * 0.2)).abs() < 1e-9);
    assert_eq!(read(&result, "summary.json")["spikes"], run["spikes"]);
    let svg = std::fs::read_to_string(result.join("spikes.svg")).unwrap();
    assert!(svg.contains("pool.out_spikes") && svg.contains("rate (Hz)") && svg.contains("action"));

    let shown = with(folder.path(), &["inspect", "result"]).assert().success();
    shown.stdout(contains("state after 200 steps").and(contains("pool.soma.potential")));
    with(folder.path(), &DRIVEN).args(extra).assert().failure().stderr(contains("--overwrite"));
    with(folder.path(), &DRIVEN).args(["--out", "result", "--overwrite"]).assert().success();
    assert_eq!(
        names(&result),
        [
            "heartbeat",
            "index.sqlite",
            "lock",
            "model.json",
            "outputs.safetensors",
            "run.json",
            "state.safetensors",
            "summary.json"
        ]
    );
}

#[test]
fn nothing_is_written_unless_asked_for() {
    let folder = templates();
    let text = with(folder.path(), &["run", "brain.json", "--steps", "20"]).assert().success();
    text.stdout(contains("input signal is fed by nothing and stays 0").and(contains("steps/s")));
    assert_eq!(names(folder.path()), ["brain.json", "neuron.json"]);
    with(folder.path(), &["run", "brain.json", "--steps", "20", "--plot"]).assert().success();
    assert!(folder.path().join("runs/brain-001/spikes.svg").exists());
}

#[test]
fn a_sweep_gives_what_single_runs_give() {
    let folder = templates();
    let sweep = ["--set", "pool.soma.threshold=-45,-40", "--seeds", "1..2", "--out", "all"];
    let lines = json_lines(with(folder.path(), &DRIVEN).args(sweep));
    let (summary, runs) = lines.split_last().unwrap();
    assert_eq!((runs.len(), &summary["runs"]), (4, &json!(4)));
    let mut spikes = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        let (threshold, seed) = ([-45, -40][place / 2], 1 + place % 2);
        assert_eq!(run["settings"], json!({ "pool.soma.threshold": threshold }));
        assert_eq!(run["seed"], seed);
        let (threshold, seed) = (format!("pool.soma.threshold={threshold}"), seed.to_string());
        let single = ["--set", &threshold, "--seed", &seed, "--out", "one", "--overwrite"];
        let single = &json_lines(with(folder.path(), &DRIVEN).args(single))[0];
        assert_eq!(single["rates"], run["rates"]);
        let found = [format!("all/{:03}", place + 1), "one".to_owned()]
            .map(|path| outputs(&folder.path().join(path)));
        assert_eq!(found[0], found[1]);
        spikes.push(run["spikes"].as_u64().unwrap());
    }
    assert!(spikes[0] > spikes[2], "a lower threshold is crossed more often: {spikes:?}");
    assert_ne!(spikes[0], spikes[1]);
    assert_eq!(read(folder.path(), "all/summary.json").as_array().unwrap().len(), 4);
    let table = with(folder.path(), &DRIVEN).args(&sweep[..4]).assert().success().get_output().stdout.clone();
    let table = String::from_utf8(table).unwrap();
    assert!(table.contains("4 runs of 200 steps") && table.contains("µs/step"), "{table}");
}

/// The bytes of a NumPy array of 4-byte floats.
fn npy(shape: &str, values: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [b"\x93NUMPY\x01\x00", length.as_slice(), header.as_bytes(), &data].concat()
}

#[test]
fn the_same_input_from_any_file_gives_the_same() {
    let folder = templates();
    let at = |name: &str| folder.path().join(name);
    let values: Vec<f32> = (0..50 * 16).map(|place| (place % 5) as f32 / 4.0).collect();
    std::fs::write(at("in.npy"), npy("(50, 16)", &values)).unwrap();
    let rows = values.chunks(16).map(|row| row.iter().map(f32::to_string).collect::<Vec<_>>().join(","));
    std::fs::write(at("in.csv"), rows.collect::<Vec<_>>().join("\n")).unwrap();
    let mut file = TensorFile::default();
    file.tensors.insert("signal".into(), TensorData::new(values, [50, 16]));
    file.write(&at("in.safetensors")).unwrap();
    let rates: Vec<Value> = ["in.npy", "signal=in.npy", "in.csv", "in.safetensors", "signal=in.safetensors"]
        .iter()
        .map(|input| {
            let run =
                json_lines(&mut with(folder.path(), &["run", "brain.json", "--input", input]))[0].clone();
            assert_eq!((&run["steps"], &run["silent_inputs"]), (&json!(50), &json!([])));
            run["rates"].clone()
        })
        .collect();
    assert!(
        rates.iter().all(|other| *other == rates[0] && other["spiker.spikes"].as_f64() > Some(50.0)),
        "{rates:?}"
    );
}

#[test]
fn inputs_that_do_not_fit_are_refused_and_nothing_is_written() {
    let folder = templates();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("wide.npy"), npy("(5, 3)", &[0.0; 15])).unwrap();
    std::fs::write(at("cut.npy"), &npy("(5, 16)", &[0.0; 80])[..200]).unwrap();
    std::fs::write(at("nan.npy"), npy("(5, 16)", &[f32::NAN; 80])).unwrap();
    std::fs::write(at("half.npy"), npy("(5, 16)", &[0.5; 80])).unwrap();
    std::fs::write(at("words.csv"), "1,2\n3,four\n").unwrap();
    std::fs::write(at("in.txt"), "1\n").unwrap();
    let mut file = TensorFile::default();
    file.tensors.insert("sgnal".into(), TensorData::from([[0.0f32; 16]]));
    file.write(&at("names.safetensors")).unwrap();
    let before = names(folder.path());
    let brain = |extra: &[&str], message: &str| {
        let mut command = with(folder.path(), &["run", "brain.json", "--out", "result"]);
        command.args(extra).assert().failure().stderr(contains(message));
    };
    brain(&["--input", "wide.npy"], "found rows of 3 numbers, expected 16 for the input `signal`");
    brain(&["--input", "cut.npy"], "cut.npy: found");
    brain(&["--input", "nan.npy"], "nan.npy: row 1, column 1: found NaN");
    brain(&["--input", "words.csv"], "words.csv: row 2, column 2: found `four`");
    brain(&["--input", "in.txt"], "ends in .npy, .csv or .safetensors");
    brain(&["--input", "gone.npy"], "gone.npy");
    brain(&["--input", "sgnal=half.npy"], "unknown input port `sgnal`: the model has signal");
    brain(&["--input", "names.safetensors"], "unknown input port `sgnal`");
    brain(&["--input", "half.npy", "--constant", "signal=1"], "fed by half.npy and by --constant");
    brain(&["--input", "half.npy", "--steps", "6"], "found 5 rows of input for 6 steps");
    brain(&["--constant", "sgnal=1", "--steps", "5"], "unknown input port `sgnal`");
    brain(&["--constant", "signal=nan", "--steps", "5"], "expected PORT=NUMBER");
    brain(&["--size", "signal=0", "--steps", "5"], "expected PORT=SIZE");
    brain(&[], "pass --steps N");
    brain(&["--steps", "0"], "found 0 steps");
    brain(&["--steps", "5", "--record", "pool.soma.potentials"], "pool.soma.potential");
    brain(&["--steps", "5", "--set", "pool.soma.treshold=1"], "no field matches `pool.soma.treshold`");
    brain(&["--steps", "5", "--set", "pool.soma.potential_tau=20,-1"], "pool.soma.potential_tau: found -1");
    brain(&["--steps", "5", "--seeds", "5..1"], "expected seeds such as");
    let mut neuron = with(folder.path(), &["run", "neuron.json", "--input", "half.npy", "--out", "result"]);
    neuron
        .assert()
        .failure()
        .stderr(contains("half.npy: port `in_spikes`: found 0.5 in row 1, column 1, expected 0 or 1"));
    assert_eq!(names(folder.path()), before);
    with(folder.path(), &["run", "brain.json", "--steps", "5", "--out", "in.txt"])
        .assert()
        .failure()
        .stderr(contains("in.txt").and(contains("folder")));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_writes_what_there_is() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let folder = templates();
    let child = Command::new(env!("CARGO_BIN_EXE_spark"))
        .current_dir(folder.path())
        .args(["run", "brain.json", "--steps", "100000000", "--out", "result", "--json", "--device", "flex"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The folder is made when the first step is about to be done.
    let start = Instant::now();
    while !folder.path().join("result").exists() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let text = String::from_utf8(output.stdout).unwrap();
    let run: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let steps = run["steps"].as_u64().unwrap() as usize;
    assert!(steps > 0);
    let file = outputs(&folder.path().join("result"));
    assert_eq!(file.tensors["pool.out_spikes"].shape().to_vec(), [steps, 64]);
}

#[test]
fn several_runs_that_are_recorded_are_an_experiment() {
    let folder = templates();
    let extra = ["--out", "sweep", "--record", "summary", "--seeds", "1..2"];
    json_lines(with(folder.path(), &DRIVEN).args(extra));
    let lines = json_lines(with(folder.path(), &["runs"]).arg("sweep"));
    let seeds: Vec<i64> = lines.iter().filter_map(|line| line["seed"].as_i64()).collect();
    assert_eq!(seeds.len(), 2, "{lines:?}");
    let of = |name: &str| {
        let run = RunReader::open(&folder.path().join(name)).unwrap();
        (run.about().seed, run.about().experiment.clone())
    };
    assert_eq!(of("sweep/001"), (Some(1), Some("sweep".to_owned())));
    assert_eq!(of("sweep/002"), (Some(2), Some("sweep".to_owned())));
}

#[test]
fn what_happens_inside_is_recorded_into_the_folder() {
    let folder = templates();
    let probes = r#"[{
        "name": "late",
        "probes": [{"address": "pool.soma.potential", "record": "trace", "units": [0, 5]}],
        "trigger": {"when": "condition", "expression": "step > 150 and max(pool.soma.potential) > -1000"}
    }]"#;
    std::fs::write(folder.path().join("late.json"), probes).unwrap();
    let extra = ["--out", "result", "--record", "activity", "--record", "late.json"];
    json_lines(with(folder.path(), &DRIVEN).args(extra));
    let kept = ["--out", "kept", "--record", "pool.soma.potential"];
    json_lines(with(folder.path(), &DRIVEN).args(kept));
    let truth = outputs(&folder.path().join("kept"));
    let spikes: Vec<f32> = truth.tensors["pool.out_spikes"].iter().collect();
    let potential: Vec<f32> = truth.tensors["pool.soma.potential"].iter().collect();

    let run = RunReader::open(&folder.path().join("result")).unwrap();
    assert_eq!(run.status(), Status::Finished);
    let raster = run.recording("activity", "pool.out_spikes", ..).unwrap();
    let count = |rows: &[f32]| rows.iter().filter(|spike| **spike == 1.0).count();
    assert_eq!(raster.spikes().len(), count(&spikes));
    assert!(raster.spikes().iter().all(|(time, unit)| spikes[(*time as usize - 1) * 64 + unit] == 1.0));
    let late = run.recording("late", "pool.soma.potential", ..).unwrap();
    assert_eq!(late.rows.steps, (151..=200).collect::<Vec<_>>());
    assert_eq!(late.row(0), [potential[150 * 64], potential[150 * 64 + 5]]);
    assert!(!folder.path().join("result/outputs.safetensors").exists());

    let wrong = |record: &str, message: &str| {
        let failed =
            with(folder.path(), &DRIVEN).args(["--out", "wrong", "--record", record]).assert().failure();
        let told = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
        assert!(told.contains(message), "{told}");
        assert!(!folder.path().join("wrong").exists(), "nothing is made for a run that cannot be recorded");
    };
    let slip = probes.replace(r#"soma.potential", "record"#, r#"soma.potentail", "record"#);
    std::fs::write(folder.path().join("slip.json"), slip).unwrap();
    wrong("slip.json", "such as pool.soma.potential");
    std::fs::write(folder.path().join("field.json"), probes.replace("units", "unit")).unwrap();
    wrong("field.json", "unknown field");
    wrong("missing.json", "missing.json");
    with(folder.path(), &["record", "result", "--preset", "weights"])
        .assert()
        .failure()
        .stderr(contains("only a run that is under way"));
}
