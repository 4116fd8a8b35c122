//! Recorded runs: listed, shown, watched and exported.

use predicates::prelude::*;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{SMALL, json_lines, spark};

/// A finished training run in `folder`/run.
fn trained(folder: &Path) {
    spark(folder).args(["train", "--out", "run"]).args(SMALL).assert().success();
}

fn text(folder: &Path, arguments: &[&str]) -> String {
    let output = spark(folder).args(arguments).assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}

#[test]
fn a_training_run_is_listed_shown_and_watched() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert_eq!(text(folder.path(), &["runs", "empty"]), "no runs in empty\n");
    let listed = text(folder.path(), &["runs", "."]);
    let line = listed.lines().nth(1).unwrap();
    for expected in ["run  train  finished  12", "loss ", "test_accuracy "] {
        assert!(line.contains(expected), "{expected} in {line}");
    }
    let lines = json_lines(spark(folder.path()).args(["runs", "."]));
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["status"], &lines[0]["seed"], &lines[1]["runs"]),
        (&"finished".into(), &1.into(), &1.into())
    );

    let shown = json_lines(spark(folder.path()).args(["show", "run"])).pop().unwrap();
    assert_eq!(shown["about"]["configuration"]["steps"], 5);
    assert!(shown["about"]["command"].as_array().unwrap().contains(&"--hidden".into()));
    let scalars = &shown["scalars"];
    for name in ["loss", "gradient_norm", "learning_rate", "step_seconds"] {
        assert_eq!((&scalars[name]["values"], &scalars[name]["step"]), (&12.into(), &12.into()), "{name}");
    }
    for name in
        ["test_accuracy", "validation_loss", "rates.0", "rates.1", "sparsity", "energy", "epoch_seconds"]
    {
        assert_eq!(scalars[name]["values"], 2, "{name}");
    }
    let range = &scalars["loss"];
    assert!(
        range["min"].as_f64() <= range["last"].as_f64() && range["last"].as_f64() <= range["max"].as_f64()
    );
    let kinds: Vec<_> = shown["events"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert!(kinds[0] == "start" && kinds.contains(&&"checkpoint".into()), "{kinds:?}");
    let shown = text(folder.path(), &["show", "run/run.json"]);
    for expected in ["status      finished", "\nscalars\n", "  loss ", "\nevents\n"] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }

    let watched = text(folder.path(), &["watch", "run"]);
    let lines: Vec<_> = watched.lines().collect();
    assert!(lines[0].starts_with("step 12  loss ") && lines[1] == "finished after step 12", "{watched}");
}

#[test]
fn a_run_that_goes_on_keeps_its_record() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    let loss = || {
        let table = fs::read_to_string(folder.path().join("t/scalars.csv")).unwrap();
        let lines = table.lines().filter(|line| line.contains(",loss,")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    let export = ["export", "run", "--csv", "--out", "t", "--overwrite"];
    spark(folder.path()).args(export).assert().success();
    let before = loss();
    spark(folder.path())
        .args(["train", "--resume", "run", "--epochs", "3", "--device", "flex"])
        .assert()
        .success();
    spark(folder.path()).args(export).assert().success();
    let after = loss();
    assert_eq!((before.len(), after.len()), (12, 18));
    assert_eq!(after[..12], before);
    let shown = json_lines(spark(folder.path()).args(["show", "run"])).pop().unwrap();
    assert_eq!((&shown["about"]["starts"], &shown["steps"]), (&2.into(), &18.into()));
    // Another run in its place knows nothing of it.
    spark(folder.path()).args(["train", "--out", "run", "--overwrite"]).args(SMALL).assert().success();
    let shown = json_lines(spark(folder.path()).args(["show", "run"])).pop().unwrap();
    assert_eq!((&shown["about"]["starts"], &shown["steps"]), (&1.into(), &12.into()));
}

#[test]
fn records_are_exported_as_tables_and_archives() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    let summary = json_lines(spark(folder.path()).args(["export", "run", "--csv"])).pop().unwrap();
    assert_eq!(summary["files"][0], "run/records/scalars.csv");
    let table = fs::read_to_string(folder.path().join("run/records/scalars.csv")).unwrap();
    assert!(table.starts_with("step,wall,name,value\n") && table.contains(",test_accuracy,"));
    let table = fs::read_to_string(folder.path().join("run/records/tags.csv")).unwrap();
    assert_eq!(table, "step,name,value\n1,epoch,1\n7,epoch,2\n");
    let again = spark(folder.path()).args(["export", "run", "--csv"]).assert().failure();
    again.stderr(predicate::str::contains("pass --overwrite"));

    let summary =
        json_lines(spark(folder.path()).args(["export", "run", "--npz", "--out", "a.npz"])).pop().unwrap();
    assert_eq!(summary["files"][0], "a.npz");
    let bytes = fs::read(folder.path().join("a.npz")).unwrap();
    assert!(bytes.starts_with(b"PK") && bytes.windows(22).any(|part| part == b"scalars/loss/value.npy"));
    spark(folder.path()).args(["export", "run", "--npz", "--out", "a.npz"]).assert().failure();

    // The same folder is still that of a network.
    let network = ["export", "run", "--to", "safetensors", "--out", "net.safetensors"];
    spark(folder.path()).args(network).assert().success();
    let neither = spark(folder.path()).args(["export", "run"]).assert().failure();
    neither.stderr(predicate::str::contains("--to"));
    let both = spark(folder.path()).args(["export", "run", "--npz", "--to", "nir"]).assert().failure();
    both.stderr(predicate::str::contains("cannot be used with"));
    for name in ["last.safetensors", "best.safetensors"] {
        fs::remove_file(folder.path().join("run").join(name)).unwrap();
    }
    let nothing = spark(folder.path()).args(network).arg("--overwrite").assert().failure();
    nothing.stderr(predicate::str::contains("has no network that was trained"));
}

#[test]
fn what_is_no_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("x")).unwrap();
    for command in [&["show", "x"][..], &["watch", "x"], &["export", "x", "--npz"], &["export", "x", "--csv"]]
    {
        let failed = spark(folder.path()).args(command).assert().failure();
        failed.stderr(predicate::str::contains("x holds no run: there is no run.json in it"));
    }
    let failed = spark(folder.path()).args(["runs", "nowhere"]).assert().failure();
    failed.stderr(predicate::str::contains("there is no folder nowhere"));
    fs::write(folder.path().join("x/run.json"), r#"{"format": 9}"#).unwrap();
    let failed = spark(folder.path()).args(["show", "x"]).assert().failure();
    failed.stderr(predicate::str::contains("x holds a run of format 9, written by a newer Spark"));
    let listed = spark(folder.path()).args(["runs", "."]).assert().success();
    listed.stderr(predicate::str::contains("format 9"));
}

/// A process that ends with the test, however that ends.
struct Training(Child);

impl Drop for Training {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_run_under_way_is_watched_guarded_and_abandoned_when_killed() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let child = Command::new(env!("CARGO_BIN_EXE_spark"))
        .current_dir(folder.path())
        .args(["train", "--out", "run"])
        .args(SMALL)
        .args(["--epochs", "100000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut training = Training(child);
    let status = || -> Option<Value> {
        let lines = json_lines(spark(folder.path()).args(["show", "run"]));
        lines.into_iter().next_back()
    };
    let begun = Instant::now();
    let recorded =
        || run.join("run.json").exists() && status().is_some_and(|shown| shown["steps"].as_u64() > Some(3));
    while !recorded() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was recorded");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(status().unwrap()["status"], "running");
    let second =
        spark(folder.path()).args(["train", "--resume", "run", "--epochs", "100001"]).assert().failure();
    second.stderr(predicate::str::contains("is writing the run in run"));
    let mut watching = Command::new(env!("CARGO_BIN_EXE_spark"))
        .current_dir(folder.path())
        .args(["watch", "run", "--interval", "0.05"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(600));
    training.0.kill().unwrap();
    training.0.wait().unwrap();
    let ended = watching.wait().unwrap();
    let mut output = String::new();
    std::io::Read::read_to_string(&mut watching.stdout.take().unwrap(), &mut output).unwrap();
    assert_eq!(ended.code(), Some(1), "{output}");
    assert!(
        output.lines().count() > 2 && output.lines().last().unwrap().starts_with("abandoned after step ")
    );
    assert_eq!(status().unwrap()["status"], "abandoned");
}
