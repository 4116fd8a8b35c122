//! `spark plot` and `spark report`

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::json;
use spark::burn::tensor::TensorData;
use spark::record::{Rows, RunAbout, RunWriter, Status, Stream, StreamKind, Window};
use std::path::Path;

use super::{json_lines, spark};

/// A run of 200 steps with the spikes of 16 units, and a loss.
fn record(folder: &Path, rate: f64, seed: u64) {
    let configuration = json!({ "rate": rate, "seed": seed });
    let about = RunAbout { seed: Some(seed), configuration, ..RunAbout::new("run") };
    let run = RunWriter::create(folder, about, false).unwrap();
    let stream = Stream {
        name: "pool.out_spikes".into(),
        address: "pool.out_spikes".into(),
        kind: StreamKind::Raster,
        unit: None,
        shape: vec![16],
        units: None,
        groups: Vec::new(),
        statistics: Vec::new(),
        stride: 1,
    };
    let bytes: Vec<u8> =
        (0..400_u32).map(|place| if place % 5 == 0 { (place % 256) as u8 } else { 0 }).collect();
    let rows = vec![Rows { stream, steps: (1..=200).collect(), data: TensorData::new(bytes, [200, 2]) }];
    run.window(Window { measurement: "activity".into(), first: 1, last: 200, group: None, dt: 1.0, rows })
        .unwrap();
    for step in 1..=10 {
        run.scalar("loss", step, rate / step as f64 + seed as f64).unwrap();
    }
    run.finish(Status::Finished).unwrap();
}

#[test]
fn pictures_of_a_run_are_drawn_and_described() {
    let folder = tempfile::tempdir().unwrap();
    record(&folder.path().join("run"), 0.1, 1);
    for kind in ["curves", "raster", "rates", "isi", "cv", "correlation", "spectrum"] {
        let file = format!("{kind}.png");
        let lines = json_lines(spark(folder.path()).args(["plot", "run", kind, "--out", &file]));
        let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
        let picture = image::open(folder.path().join(&file)).unwrap();
        assert_eq!(
            (line["width"].as_u64(), line["height"].as_u64()),
            (Some(picture.width().into()), Some(picture.height().into()))
        );
        let source = if kind == "curves" { "loss" } else { "activity/pool.out_spikes" };
        assert_eq!(line["sources"], json!([source]));
    }
    let part = ["plot", "run", "raster", "--stream", "pool.*", "--from", "50", "--to", "100"];
    spark(folder.path()).args(part).assert().success().stdout(contains("run/raster.svg"));
    let svg = std::fs::read_to_string(folder.path().join("run/raster.svg")).unwrap();
    assert!(
        svg.contains("pool.out_spikes")
            && svg.contains(">50<")
            && svg.contains(">100<")
            && !svg.contains(">150<")
    );
}

#[test]
fn runs_that_differ_in_the_seed_alone_are_drawn_as_one() {
    let folder = tempfile::tempdir().unwrap();
    for (name, rate, seed) in [("a", 0.1, 1), ("b", 0.1, 2), ("c", 0.5, 1)] {
        record(&folder.path().join(name), rate, seed);
    }
    spark(folder.path())
        .args(["plot", "a", "b", "c", "curves"])
        .assert()
        .success()
        .stdout(contains("curves.svg"));
    let svg = std::fs::read_to_string(folder.path().join("curves.svg")).unwrap();
    assert!(svg.contains("rate=0.1, 2 runs") && svg.contains(">c<"), "{svg}");
    let several = spark(folder.path()).args(["plot", "a", "b", "raster"]).assert().failure();
    several.stderr(contains("`raster` draws one run"));
}

#[test]
fn what_a_run_does_not_have_is_said_with_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    record(&folder.path().join("run"), 0.1, 1);
    let fails = |args: &[&str]| spark(folder.path()).arg("plot").args(args).assert().failure().code(1);
    fails(&["run", "weights"]).stderr(
        contains("`weights`, which needs a recorded snapshot or delta")
            .and(contains("raster activity/pool.out_spikes, scalar loss")),
    );
    fails(&["run", "raster", "--stream", "other.*"]).stderr(contains("that the options do not leave out"));
    fails(&["run", "raster", "--from", "1000"]).stderr(contains("that the options do not leave out"));
    fails(&["run", "raster", "--from", "9", "--to", "3"]).stderr(contains("--from 9 is after --to 3"));
    fails(&["run", "raster", "--out", "a.jpg"]).stderr(contains(".png or .svg"));
    fails(&["nothing", "raster"]).stderr(contains("holds no run"));
    let unknown = spark(folder.path()).args(["plot", "run", "rastr"]).assert().failure();
    unknown.stderr(contains("expected a kind of picture: curves, raster"));
    assert!(!folder.path().join("run/weights.svg").exists());
}

#[test]
fn a_report_is_one_page() {
    let folder = tempfile::tempdir().unwrap();
    record(&folder.path().join("run"), 0.1, 1);
    spark(folder.path()).args(["report", "run"]).assert().success().stdout(contains("run/report.html"));
    let page = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(page.contains("<svg") && page.contains("finished") && !page.contains("http"));
    let lines = json_lines(spark(folder.path()).args(["report", "run", "--out", "page.html"]));
    assert_eq!(lines[0]["file"], "page.html");
    spark(folder.path()).args(["report", "none"]).assert().failure().stderr(contains("holds no run"));
}
