//! Which devices there are, and several at once.

use predicates::prelude::*;

use crate::{SMALL, json_lines, spark};

#[test]
fn devices_are_listed_and_wrong_ones_explained() {
    let folder = tempfile::tempdir().unwrap();
    let lines = json_lines(spark(folder.path()).arg("devices"));
    let devices = lines.last().unwrap()["devices"].as_array().unwrap().clone();
    assert!(devices.contains(&"flex".into()) && devices.contains(&"ndarray".into()));
    spark(folder.path())
        .args(["train", "--device", "gpu"])
        .assert()
        .failure()
        .stderr(predicate::str::contains("unknown device `gpu`"));
    #[cfg(not(feature = "cuda"))]
    spark(folder.path())
        .args(["train", "--device", "cuda"])
        .assert()
        .failure()
        .stderr(predicate::str::contains("--features cuda"));
}

#[test]
fn devices_share_batches_and_give_what_one_gives_part_by_part() {
    let folder = tempfile::tempdir().unwrap();
    let losses = |devices: &[&str]| -> Vec<f64> {
        let lines = json_lines(spark(folder.path()).arg("train").args(&SMALL[..12]).args(devices));
        lines
            .iter()
            .filter(|line| line["event"] == "step")
            .map(|line| line["loss"].as_f64().unwrap())
            .collect()
    };
    let parts = losses(&["--micro-batch", "25", "--device", "flex"]);
    assert_eq!(losses(&["--devices", "flex,flex"]), parts);
    for (found, expected) in losses(&["--devices", "flex", "--devices", "ndarray"]).iter().zip(&parts) {
        assert!((found - expected).abs() < 1e-3, "{found} against {expected}");
    }
    let refused = [
        (&["--devices", "flex,gpu"][..], "unknown device `gpu`"),
        (&["--devices", "flex,flex", "--device", "flex"], "cannot be used with"),
        (&["--devices", "flex,flex,flex", "--batch", "2"], "at least one sample for each of 3 devices"),
    ];
    for (devices, message) in refused {
        spark(folder.path())
            .args(["train", "--out", "none"])
            .args(devices)
            .assert()
            .failure()
            .stderr(predicate::str::contains(message));
        assert!(!folder.path().join("none").exists());
    }
}
