//! Networks of other libraries in and out.

use super::{json_lines, spark};
use predicates::prelude::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn recorded(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/exchange").join(file)
}

/// Flags of a run that takes about a second, of units that snnTorch has.
fn model(folder: &Path) -> PathBuf {
    let path = folder.join("model.json");
    let text = r#"{"input": [1, 28, 28], "layers": [
        {"kind": "avg_pool2d", "window": [4, 4]},
        {"kind": "dense", "units": 12},
        {"kind": "leaky", "decay": 0.8, "reset": "zero"},
        {"kind": "dense", "units": 10},
        {"kind": "leaky", "decay": 0.8, "reset_delay": true, "snntorch_reset": true}]}"#;
    std::fs::write(&path, text).unwrap();
    path
}

fn trained(folder: &Path) {
    let model = model(folder);
    let mut command = spark(folder);
    command.args([
        "train", "--limit", "200", "--epochs", "1", "--steps", "5", "--device", "flex", "--out", "run",
    ]);
    command.arg("--model").arg(model).assert().success();
}

#[test]
fn a_network_that_was_imported_has_the_recorded_spikes_and_trains_on() {
    let folder = tempfile::tempdir().unwrap();
    let lines = json_lines(
        spark(folder.path())
            .args(["import", "--from", "spikingjelly", "--tau", "2", "--out", "net.safetensors"])
            .arg(recorded("spikingjelly_lif.pt"))
            .arg("--compare")
            .arg(recorded("spikingjelly_lif.safetensors")),
    );
    let summary = lines.last().unwrap();
    assert_eq!(summary["compared"]["different"], 0, "{summary}");
    assert!(summary["compared"]["spikes"].as_u64().unwrap() > 0);
    let inspect = json_lines(spark(folder.path()).args(["inspect", "net.safetensors"]));
    assert_eq!(inspect.last().unwrap()["config"]["network"]["layers"][1]["decay"], 0.5);
    let again = spark(folder.path())
        .args(["import", "--from", "spikingjelly", "--tau", "2", "--out", "net.safetensors"])
        .arg(recorded("spikingjelly_lif.pt"))
        .assert()
        .failure();
    again.stderr(predicate::str::contains("--overwrite"));
}

#[test]
fn a_trained_network_goes_out_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    let lines = json_lines(spark(folder.path()).args([
        "export",
        "run",
        "--to",
        "snntorch",
        "--out",
        "there.safetensors",
        "--record",
        "record.safetensors",
        "--samples",
        "20",
        "--rename",
        "layers.1=fc1",
    ]));
    let summary = lines.last().unwrap();
    assert_eq!((&summary["dtype"], &summary["tensors"]), (&"f32".into(), &12.into()));
    let description = std::fs::read_to_string(folder.path().join("there.json")).unwrap();
    let description: Value = serde_json::from_str(&description).unwrap();
    assert_eq!(description["modules"][2]["name"], "fc1");

    let back = [
        "import",
        "there.safetensors",
        "--from",
        "snntorch",
        "--model",
        "there.json",
        "--config",
        "run/config.json",
        "--out",
        "back.safetensors",
        "--compare",
        "record.safetensors",
    ];
    let lines = json_lines(spark(folder.path()).args(back));
    assert_eq!(lines.last().unwrap()["compared"]["different"], 0);
    let accuracy = |path: &str| {
        let lines = json_lines(spark(folder.path()).args(["eval", path, "--device", "flex"]));
        lines.last().unwrap()["accuracy"].clone()
    };
    assert_eq!(accuracy("back.safetensors"), accuracy("run"));

    let start = ["train", "--init", "back.safetensors", "--epochs", "1", "--device", "flex", "--out", "more"];
    let lines = json_lines(spark(folder.path()).args(start));
    assert_eq!(lines.last().unwrap()["epochs"], 1);
}

#[test]
fn half_precision_starts_another_training() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    let out = ["export", "run", "--to", "safetensors", "--dtype", "bf16", "--out", "half.safetensors"];
    spark(folder.path()).args(out).assert().success();
    let train = ["train", "--limit", "100", "--epochs", "1", "--steps", "3", "--device", "flex"];
    let model = model(folder.path());
    let start = |extra: &[&str]| {
        let mut command = spark(folder.path());
        command.args(train).arg("--model").arg(&model).args(["--init", "half.safetensors"]).args(extra);
        command.assert()
    };
    start(&["--out", "same"]).success();
    let wider = std::fs::read_to_string(&model).unwrap().replace("\"units\": 12", "\"units\": 11");
    std::fs::write(&model, wider).unwrap();
    start(&["--out", "other"])
        .failure()
        .stderr(predicate::str::contains("layers.1.weight").and(predicate::str::contains("--partial")));
    assert!(!folder.path().join("other").exists());
    start(&["--out", "other", "--partial"])
        .success()
        .stderr(predicate::str::contains("layers.1.weight: left out"));
}

#[test]
fn what_cannot_be_read_or_has_no_counterpart_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let import = |file: &Path, flags: &[&str]| {
        let mut command = spark(folder.path());
        command.args(["import", "--out", "net.safetensors"]).arg(file).args(flags);
        command.assert().failure().code(1)
    };
    let lif = recorded("spikingjelly_lif.pt");
    import(&lif, &["--from", "spikingjelly"]).stderr(predicate::str::contains("--tau TAU for LIFNode"));
    import(&recorded("spikingjelly_conv.pt"), &["--from", "spikingjelly"])
        .stderr(predicate::str::contains("--input CHANNELSxHEIGHTxWIDTH"));
    import(&lif, &["--from", "snntorch"]).stderr(predicate::str::contains("no modules of units"));

    let cut = folder.path().join("cut.pt");
    let bytes = std::fs::read(&lif).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    import(&cut, &["--from", "spikingjelly"]).stderr(predicate::str::contains("cut.pt"));
    let code = folder.path().join("code.pt");
    std::fs::write(&code, b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00exit\x85R.").unwrap();
    import(&code, &["--from", "spikingjelly"]).stderr(predicate::str::contains("zip archive"));
    assert!(!folder.path().join("net.safetensors").exists());
}
