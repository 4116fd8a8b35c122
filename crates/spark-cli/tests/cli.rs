//! The program as its users meet it.

mod devices;
mod exchange;
mod models;
mod pictures;
mod runs;

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;
use std::path::Path;

fn spark(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spark"));
    command.current_dir(folder);
    command
}

/// Flags of a run that takes about a second.
#[rustfmt::skip]
const SMALL: [&str; 14] = [
    "--hidden", "20", "--steps", "5", "--limit", "300", "--epochs", "2", "--batch", "50", "--seed", "1",
    "--device", "flex",
];

fn json_lines(command: &mut Command) -> Vec<Value> {
    let output = command.arg("--json").assert().success().get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn train_eval_predict_and_inspect_agree() {
    let folder = tempfile::tempdir().unwrap();
    let lines = json_lines(spark(folder.path()).arg("train").args(SMALL));
    let summary = lines.last().unwrap();
    assert_eq!(lines.iter().filter(|line| line["event"] == "step").count(), 12);
    for field in ["test_accuracy", "train_loss", "epochs", "seconds", "checkpoint"] {
        assert!(!summary[field].is_null(), "{field} in {summary}");
    }
    let checkpoint = summary["checkpoint"].as_str().unwrap();
    assert_eq!(checkpoint, "runs/mnist10k-001/best.safetensors");
    let svg = std::fs::read_to_string(folder.path().join("runs/mnist10k-001/curves.svg")).unwrap();
    assert!(svg.contains("Accuracy") && svg.contains("validation"));

    let eval = json_lines(spark(folder.path()).args(["eval", "runs/mnist10k-001"]));
    assert_eq!(eval.last().unwrap()["accuracy"], summary["test_accuracy"]);

    let predict = json_lines(spark(folder.path()).args(["predict", checkpoint, "--index", "3"]));
    assert_eq!(predict.last().unwrap()["counts"].as_array().unwrap().len(), 10);

    let inspect = json_lines(spark(folder.path()).args(["inspect", checkpoint]));
    let weight = inspect.iter().find(|line| line["name"] == "layers.0.weight").unwrap();
    assert_eq!(weight["shape"], serde_json::json!([20, 784]));
    assert_eq!(inspect.last().unwrap()["config"]["steps"], 5);
}

#[test]
fn predict_reads_a_png_picture() {
    let folder = tempfile::tempdir().unwrap();
    spark(folder.path()).args(["train", "--out", "run"]).args(SMALL).assert().success();
    let stroke = |x: u32, y: u32| image::Luma([if x.abs_diff(28) < 5 && y > 8 && y < 48 { 0 } else { 255 }]);
    image::GrayImage::from_fn(56, 56, stroke).save(folder.path().join("one.png")).unwrap();
    spark(folder.path())
        .args(["predict", "run", "--image", "one.png", "--invert"])
        .assert()
        .success()
        .stdout(predicate::str::contains("predicted").and(predicate::str::contains("spikes")));
    std::fs::write(folder.path().join("bad.png"), b"not a picture").unwrap();
    spark(folder.path())
        .args(["predict", "run", "--image", "bad.png"])
        .assert()
        .failure()
        .stderr(predicate::str::contains("bad.png: not a PNG picture"));
}

#[test]
fn a_run_is_neither_overwritten_nor_lost() {
    let folder = tempfile::tempdir().unwrap();
    let train = |extra: &[&str]| {
        spark(folder.path()).args(["train", "--out", "run"]).args(SMALL).args(extra).assert()
    };
    train(&[]).success();
    let path = folder.path().join("run/last.safetensors");
    let before = std::fs::read(&path).unwrap();
    train(&[]).failure().stderr(predicate::str::contains("holds a run already"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    train(&["--overwrite", "--data", "nowhere"]).failure().stderr(predicate::str::contains("nowhere"));
    train(&["--overwrite", "--steps", "0"]).failure();
    assert_eq!(std::fs::read(&path).unwrap(), before, "bad input leaves the run as it was");
    spark(folder.path())
        .args(["train", "--resume", "run", "--epochs", "3", "--device", "flex"])
        .assert()
        .success()
        .stdout(predicate::str::contains("epoch  3/3"));
}

#[test]
fn config_files_are_read_strictly_and_flags_override_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("c.json"), text).unwrap();
    let print = || {
        spark(folder.path()).args(["train", "--config", "c.json", "--print-config", "--epochs", "9"]).assert()
    };
    write(r#"{"epochs": 4, "learning_rate": 0.25}"#);
    let text = String::from_utf8(print().success().get_output().stdout.clone()).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&config["epochs"], &config["learning_rate"]), (&9.into(), &0.25.into()));
    write(r#"{"network": {"input": [784], "layers": [{"kind": "leaky", "taus": 3}]}}"#);
    print()
        .failure()
        .stderr(predicate::str::contains("network.layers[0]").and(predicate::str::contains("taus")));
    write(r#"{"epochs": 4"#);
    print().failure().stderr(predicate::str::contains("c.json").and(predicate::str::contains("EOF")));
    assert!(!folder.path().join("runs").exists());
}

/// A recurrent network with a readout that does not spike, from a file.
#[test]
fn networks_of_files_are_trained() {
    let folder = tempfile::tempdir().unwrap();
    let network = r#"{
        "input": [1, 28, 28],
        "layers": [
            { "kind": "flatten" },
            { "kind": "dense", "units": 16 },
            { "kind": "recurrent", "units": { "kind": "leaky" } },
            { "kind": "dense", "units": 10 },
            { "kind": "leaky_integrator" }
        ]
    }"#;
    std::fs::write(folder.path().join("net.json"), network).unwrap();
    let train = |model: &str| {
        let mut command = spark(folder.path());
        command.args([
            "train",
            "--out",
            "run",
            "--model",
            model,
            "--loss",
            "membrane",
            "--encoding",
            "phase",
        ]);
        command.args(&SMALL[2..]).assert()
    };
    train("net.json").success();
    spark(folder.path()).args(["eval", "run"]).assert().success();
    train("nothing.json")
        .failure()
        .stderr(predicate::str::contains("neither mlp, conv or recurrent nor a file"));
}

#[test]
fn sequences_are_trained_judged_and_predicted_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let flags =
        ["--task", "japanese-vowels", "--hidden", "20", "--epochs", "2", "--batch", "30", "--lr", "0.01"];
    let lines = json_lines(spark(folder.path()).args(["train", "--model", "recurrent"]).args(flags));
    let summary = lines.last().unwrap();
    assert_eq!(summary["folder"], "runs/japanese-vowels-001");
    assert!(summary["cost"]["multiply_adds"].as_f64().unwrap() > 0.0, "{summary}");
    let eval = json_lines(spark(folder.path()).args(["eval", "runs/japanese-vowels-001"]));
    let eval = eval.last().unwrap();
    assert_eq!((&eval["accuracy"], &eval["samples"]), (&summary["test_accuracy"], &Value::from(370)));
    assert_eq!(eval["classes"][8], "speaker 9");
    let predict =
        json_lines(spark(folder.path()).args(["predict", "runs/japanese-vowels-001", "--index", "3"]));
    let predict = predict.last().unwrap();
    assert!(predict["name"].as_str().unwrap().starts_with("speaker "), "{predict}");
    spark(folder.path())
        .args(["predict", "runs/japanese-vowels-001", "--image", "a.png"])
        .assert()
        .failure()
        .stderr(predicate::str::contains("was not trained with images: use --index"));
}

#[test]
fn a_table_and_rows_of_images_are_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..40).map(|i| format!("{}.5,{},{}\n", i % 2, i % 3, i % 2)).collect();
    std::fs::write(folder.path().join("table.csv"), rows).unwrap();
    let small = ["--epochs", "1", "--batch", "10", "--hidden", "8"];
    let table = json_lines(spark(folder.path()).args(["train", "--task", "table.csv"]).args(small));
    assert_eq!(table[0]["samples"], serde_json::json!([29, 3, 8]));

    let rows = ["train", "--rows", "--limit", "60", "--print-config"];
    let config = json_lines(spark(folder.path()).args(rows).args(small)).pop().unwrap();
    assert_eq!((&config["network"]["input"], &config["steps"]), (&serde_json::json!([28]), &Value::from(1)));
    assert_eq!(config["network"]["layers"][0]["units"], 8);

    for flag in [&["--rows"][..], &["--shift", "1"]] {
        spark(folder.path())
            .args(["train", "--task", "recall"])
            .args(flag)
            .assert()
            .failure()
            .stderr(predicate::str::contains(format!("{} is for images", flag[0])));
    }
    spark(folder.path())
        .args(["train", "--task", "nowhere"])
        .assert()
        .failure()
        .stderr(predicate::str::contains("not one of mnist, japanese-vowels"));
}

#[test]
fn a_layer_that_never_spikes_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    spark(folder.path())
        .args(["train", "--threshold", "1000"])
        .args(SMALL)
        .assert()
        .success()
        .stderr(predicate::str::contains("spiking layer 0 is silent"));
}

#[test]
fn all_problems_of_a_configuration_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    spark(folder.path())
        .args(["train", "--steps", "0", "--batch", "0", "--decay", "1.5"])
        .assert()
        .failure()
        .stderr(
            predicate::str::contains("steps: found 0")
                .and(predicate::str::contains("batch: found 0"))
                .and(predicate::str::contains("network.layers[1].decay: found 1.5")),
        );
    assert!(!folder.path().join("runs").exists(), "nothing is made for a bad configuration");
}

#[test]
fn checkpoints_that_are_none_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    spark(folder.path()).args(["train", "--out", "run"]).args(SMALL).assert().success();
    let good = std::fs::read(folder.path().join("run/best.safetensors")).unwrap();
    let bad = folder.path().join("bad.safetensors");
    for (bytes, message) in [
        (good[..good.len() / 2].to_vec(), "truncated"),
        (b"PK\x03\x04 not a checkpoint".to_vec(), "not a valid safetensors file"),
        (Vec::new(), "truncated"),
    ] {
        std::fs::write(&bad, bytes).unwrap();
        for command in ["eval", "inspect"] {
            spark(folder.path())
                .args([command, "bad.safetensors"])
                .assert()
                .failure()
                .stderr(predicate::str::contains("bad.safetensors").and(predicate::str::contains(message)));
        }
    }
    spark(folder.path())
        .args(["eval", "missing.safetensors"])
        .assert()
        .failure()
        .stderr(predicate::str::contains("missing.safetensors"));
}

#[test]
fn components_are_listed_and_described() {
    let folder = tempfile::tempdir().unwrap();
    let list = |arguments: &[&str]| {
        let mut command = spark(folder.path());
        command.arg("list").args(arguments);
        command
    };
    let lines = json_lines(&mut list(&[]));
    let (summary, components) = lines.split_last().unwrap();
    let names: Vec<&Value> = components.iter().map(|component| &component["name"]).collect();
    assert_eq!(summary["components"], serde_json::json!(names));
    for name in ["LeakySoma", "PoissonSpiker", "PopulationRateDecoder", "Concat"] {
        assert!(names.contains(&&Value::from(name)), "{name}");
    }
    let controls = json_lines(&mut list(&["control"]));
    assert!(controls.len() < lines.len());
    assert!(controls.iter().all(|line| line["event"] == "summary" || line["family"] == "control"));

    let [soma] = &json_lines(&mut list(&["soma", "LeakySoma"]))[..] else { panic!("one line") };
    let parameters = soma["parameters"].as_array().unwrap();
    let tau = parameters.iter().find(|parameter| parameter["name"] == "potential_tau").unwrap();
    let found = ["unit", "range", "default"].map(|key| &tau[key]);
    assert_eq!(found, [&Value::from("ms"), &"positive".into(), &20.0.into()]);
    assert!(soma["equation"].as_str().unwrap().contains("exp(−dt/τ)"));

    let text = predicate::str::contains;
    let decoder = list(&["FirstSpikeDecoder"]).assert().success();
    decoder.stdout(text("time or decay").and(text("Thorpe")).and(text("num_outputs")));
    list(&["Sampler"]).assert().success().stdout(text("output_0, output_1").and(text("any names")));
    let misspelt = list(&["LekySoma"]).assert().failure();
    misspelt.stderr(text("did you mean LeakySoma").and(text("control")));
    list(&["input", "piosson"]).assert().failure().stderr(text("did you mean PoissonSpiker"));
}

/// The page in the repository is written by the program, so it cannot fall behind the components.
#[test]
fn the_page_of_components_is_what_the_registry_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spark-nn/COMPONENTS.md");
    let output =
        spark(Path::new(".")).args(["list", "--markdown"]).assert().success().get_output().stdout.clone();
    let given = String::from_utf8(output).unwrap();
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = given.lines().zip(found.lines()).position(|(given, found)| given != found);
    let line = differs.unwrap_or_else(|| given.lines().count().min(found.lines().count())) + 1;
    assert!(
        given == found,
        "crates/spark-nn/COMPONENTS.md is not what the registry gives, from line {line} on; write it with\n\
         cargo run --release --bin spark -- list --markdown > crates/spark-nn/COMPONENTS.md"
    );
}

#[test]
fn a_benchmark_reports_itself_beside_its_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let bench = |extra: &[&str]| {
        let mut command = spark(folder.path());
        command.args(["bench", "kernels"]).args(extra);
        command
    };
    let names = json_lines(&mut bench(&["--list"]));
    let name = names[0]["workload"].as_str().unwrap();
    let lines = json_lines(&mut bench(&["--workload", name, "--runs", "1", "--device", "flex"]));
    let [line] = lines.as_slice() else { panic!("one line per workload: {lines:?}") };
    let number = |field: &str| line[field].as_f64().unwrap_or_else(|| panic!("{field} in {line}"));
    assert!((number("ratio") * number("ms_per_step") / number("baseline_ms_per_step") - 1.0).abs() < 1e-9);
    assert!(number("threads") >= 1.0);
    bench(&["--workload", "nothing"]).assert().failure().stderr(predicate::str::contains(name));
}

/// The loss of every step in the log of a run, as text.
#[cfg(unix)]
fn losses(folder: &Path) -> Vec<(u64, String)> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events
        .filter(|event| event["event"] == "step")
        .map(|event| (event["step"].as_u64().unwrap(), event["loss"].to_string()))
        .collect()
}

/// Starts a run of 40 epochs, sends it `signal` after its eighth step, and returns its exit code and the
/// last line it printed.
#[cfg(unix)]
fn train_until_signal(folder: &Path, signal: &str) -> (Option<i32>, String) {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let mut child = Command::new(env!("CARGO_BIN_EXE_spark"))
        .current_dir(folder)
        .args(["train", "--out", "run", "--json"])
        .args(SMALL)
        .args(["--epochs", "40", "--checkpoint-steps", "5"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut steps, mut last) = (0, String::new());
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        last = line.unwrap();
        steps += usize::from(last.contains("\"event\":\"step\""));
        if steps == 8 {
            let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
            assert!(sent.success());
            steps += 1_000_000;
        }
    }
    (child.wait().unwrap().code(), last)
}

#[cfg(unix)]
#[test]
fn a_stopped_run_goes_on_as_if_it_had_not() {
    let whole = tempfile::tempdir().unwrap();
    let train = |folder: &Path, extra: &[&str]| {
        spark(folder)
            .arg("train")
            .args(extra)
            .args(["--device", "flex", "--epochs", "40"])
            .assert()
            .success();
    };
    let mut first = vec!["--out", "run", "--checkpoint-steps", "5"];
    first.extend(SMALL);
    train(whole.path(), &first);
    let expected = losses(&whole.path().join("run"));
    assert_eq!(expected.len(), 240);

    for (signal, code) in [("-INT", Some(130)), ("-KILL", None)] {
        let stopped = tempfile::tempdir().unwrap();
        let (found, last) = train_until_signal(stopped.path(), signal);
        assert_eq!(found, code, "{signal}");
        if signal == "-INT" {
            let summary: Value = serde_json::from_str(&last).unwrap();
            assert_eq!(summary["interrupted"], true);
        }
        let run = stopped.path().join("run");
        let checkpoint = json_lines(spark(stopped.path()).args(["inspect", "run/last.safetensors"]));
        let step = checkpoint.last().unwrap()["step"].as_u64().unwrap();
        assert!((5..240).contains(&step), "{signal}: stopped at step {step}");
        train(stopped.path(), &["--resume", "run"]);
        assert_eq!(losses(&run), expected, "{signal}");
    }
}

#[test]
fn every_surrogate_can_be_asked_for_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, kind) in
        [("fast-sigmoid", "fast_sigmoid"), ("q_pseudo_spike", "q_pseudo_spike"), ("s2nn", "s2nn")]
    {
        spark(folder.path())
            .args(["train", "--print-config", "--surrogate", flag])
            .assert()
            .success()
            .stdout(predicate::str::contains(format!("\"kind\": \"{kind}\"")));
    }
    spark(folder.path())
        .args(["train", "--print-config", "--surrogate", "nonsense"])
        .assert()
        .failure()
        .stderr(predicate::str::contains("piecewise-quadratic"));
}

#[test]
fn networks_go_out_as_nir_and_as_brains_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let train = ["train", "--out", "run", "--reset", "zero"];
    spark(folder.path()).args(train).args(SMALL).assert().success();
    spark(folder.path()).args(["export", "run", "--to", "nir", "--out", "net.nir"]).assert().success();
    let import =
        ["import", "net.nir", "--from", "nir", "--config", "run/config.json", "--out", "again.safetensors"];
    json_lines(spark(folder.path()).args(import));
    let accuracy =
        |path: &str| json_lines(spark(folder.path()).args(["eval", path])).pop().unwrap()["accuracy"].clone();
    assert_eq!(accuracy("again.safetensors"), accuracy("run"));

    let export = ["export", "run", "--to", "brain", "--out", "brain"];
    let summary = json_lines(spark(folder.path()).args(export)).pop().unwrap();
    let model = summary["files"][0].as_str().unwrap();
    spark(folder.path()).args(["check", model]).assert().success();

    let cut = &std::fs::read(folder.path().join("net.nir")).unwrap()[..200];
    std::fs::write(folder.path().join("cut.nir"), cut).unwrap();
    let import = ["import", "cut.nir", "--from", "nir", "--out", "x.safetensors"];
    spark(folder.path()).args(import).assert().failure().stderr(predicate::str::contains("cut.nir"));
    assert!(!folder.path().join("x.safetensors").exists());
}

#[test]
fn a_network_that_resets_by_subtraction_has_no_form_as_a_brain_or_nir() {
    let folder = tempfile::tempdir().unwrap();
    spark(folder.path()).args(["train", "--out", "run"]).args(SMALL).assert().success();
    for (to, expected) in [("nir", "reset: found Subtract"), ("brain", "spark train --reset zero")] {
        let export = ["export", "run", "--to", to, "--out", "gone"];
        spark(folder.path()).args(export).assert().failure().stderr(predicate::str::contains(expected));
        assert!(!folder.path().join("gone").exists(), "{to}");
    }
}

#[test]
fn online_rules_train_and_what_they_cannot_train_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // A network as small as this one learns little without layers that hear each other, as in DECOLLE.
    for (rule, least) in [("ottt", 0.3), ("eprop", 0.3), ("tbptt", 0.3), ("decolle", 0.05)] {
        let train = ["train", "--out", rule, "--rule", rule, "--loss", "count"];
        let lines = json_lines(spark(folder.path()).args(train).args(SMALL).args(["--epochs", "10"]));
        let accuracy = lines.last().unwrap()["test_accuracy"].as_f64().unwrap();
        assert!(accuracy > least, "{rule}: {accuracy}");
    }
    let model = r#"{"input": [784], "layers": [{"kind": "dense", "units": 10}, {"kind": "alpha"}]}"#;
    std::fs::write(folder.path().join("model.json"), model).unwrap();
    spark(folder.path())
        .args(["train", "--model", "model.json", "--rule", "ottt", "--limit", "100"])
        .assert()
        .failure()
        .stderr(predicate::str::contains("network.layers[1]"));
    assert!(!folder.path().join("runs").exists());
}
