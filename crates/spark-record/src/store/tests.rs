//! The store as a whole: what goes in comes out, whatever happens to the folder.

use burn::tensor::TensorData;
use proptest::prelude::*;
use serde_json::json;
use std::fs;
use std::path::Path;

use super::{RunAbout, RunPaths, RunReader, RunWriter, Status, StoreError, runs_in};
use crate::{Rows, Statistic, Stream, StreamKind, Window};

fn create(folder: &Path) -> RunWriter {
    RunWriter::create(folder, RunAbout::new("run"), false).unwrap()
}

pub fn stream(name: &str, kind: StreamKind, units: usize, stride: u64) -> Stream {
    let summary = kind == StreamKind::Summary;
    Stream {
        name: name.into(),
        address: name.into(),
        kind,
        unit: Some("mV".into()),
        shape: vec![units],
        units: None,
        groups: if summary { vec![0] } else { Vec::new() },
        statistics: if summary { vec![Statistic::Mean, Statistic::Max] } else { Vec::new() },
        stride,
    }
}

/// Rows at every `stride`th of the steps, whose numbers follow from the step.
pub fn rows(stream: Stream, first: u64, last: u64) -> Rows {
    let steps: Vec<u64> = (first..=last).filter(|step| step % stream.stride == 0).collect();
    let width: usize = stream.row_shape().iter().product();
    let shape: Vec<usize> = std::iter::once(steps.len()).chain(stream.row_shape()).collect();
    let entry = |step: u64, place: usize| step.wrapping_mul(31).wrapping_add(7 * place as u64);
    let entries = steps.iter().flat_map(|&step| (0..width).map(move |place| entry(step, place)));
    let data = if stream.kind == StreamKind::Raster {
        TensorData::new(entries.map(|entry| entry as u8).collect(), shape)
    } else {
        TensorData::new(entries.map(|entry| entry as f32 / 8.0 - 70.0).collect(), shape)
    };
    Rows { stream, steps, data }
}

pub fn window(measurement: &str, first: u64, last: u64) -> Window {
    let raster = stream("pool.out_spikes", StreamKind::Raster, 19, 1);
    let trace = stream("pool.soma.potential", StreamKind::Trace, 5, 2);
    let rows = vec![rows(raster, first, last), rows(trace, first, last)];
    Window { measurement: measurement.into(), first, last, group: None, dt: 0.5, rows }
}

/// The names of the files of windows.
fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(RunPaths::new(folder).windows()) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn everything_that_is_recorded_is_read() {
    let root = tempfile::tempdir().unwrap();
    let about = RunAbout {
        seed: Some(u64::MAX),
        configuration: json!({"pool": {"units": 19}}),
        experiment: Some("sweep".into()),
        ..RunAbout::new("run")
    };
    let run = RunWriter::create(root.path(), about, false).unwrap();
    for step in 0..50 {
        run.scalar("loss", step, 1.0 / step as f64).unwrap();
        run.scalar("a \"b\"", step, f64::NAN).unwrap();
    }
    run.event("reward", 3, json!({"size": 1.5})).unwrap();
    run.tag("episode", 0, -1).unwrap();
    run.tag("episode", 10, 1).unwrap();
    run.warning(4, "µ is silent").unwrap();
    run.window(Window { group: Some(-3), ..window("activity", 1, 10) }).unwrap();
    run.window(window("activity", 11, 20)).unwrap();
    run.window(window("a/b", 5, 6)).unwrap();
    run.timing("build", 0.25);
    run.flush().unwrap();

    let reader = RunReader::open(root.path()).unwrap();
    assert_eq!(reader.status(), Status::Running);
    run.finish(Status::Finished).unwrap();
    for reader in [reader, RunReader::open(root.path()).unwrap()] {
        assert_eq!(reader.status(), Status::Finished);
        let record = reader.about();
        assert_eq!((record.seed, record.experiment.as_deref()), (Some(u64::MAX), Some("sweep")));
        assert_eq!(record.configuration["pool"]["units"], 19);
        assert_eq!(reader.scalar_names().unwrap(), ["a \"b\"", "loss"]);
        let loss = reader.scalars("loss").unwrap();
        assert!(loss[0].value == f64::INFINITY && loss[4].value == 0.25 && loss[49].step == 49);
        assert!(loss[0].wall > 1.7e9 && loss.is_sorted_by_key(|scalar| scalar.wall));
        assert!(reader.scalars("a \"b\"").unwrap()[7].value.is_nan());
        assert_eq!(reader.last_scalar("loss").unwrap().unwrap(), loss[49]);
        assert_eq!(reader.scalars_from("loss", 48).unwrap(), loss[48..]);
        let event = &reader.events().unwrap()[0];
        assert_eq!((event.step, event.kind.as_str(), &event.detail["size"]), (3, "reward", &json!(1.5)));
        let tags: Vec<_> = reader.tags("episode").unwrap().iter().map(|tag| (tag.step, tag.value)).collect();
        assert_eq!(tags, [(0, -1), (10, 1)]);
        assert_eq!(reader.tag_names().unwrap(), ["episode"]);
        assert_eq!(reader.warnings().unwrap()[0].message, "µ is silent");
        assert_eq!(reader.last_step().unwrap(), Some(49));
        assert!(reader.problems().is_empty(), "{:?}", reader.problems());

        let measurements = reader.measurements();
        let names: Vec<_> = measurements.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a/b", "activity"]);
        let activity = &measurements[1];
        assert_eq!((activity.first, activity.last, activity.windows.len()), (1, 20, 2));
        assert_eq!(activity.windows[0].group, Some(-3));
        let all = reader.recording("activity", "pool.soma.potential", ..).unwrap();
        let whole = window("activity", 1, 20);
        assert_eq!((&all.rows, all.dt), (&whole.rows[1], 0.5));
        let part = reader.recording("activity", "pool.out_spikes", 8..13).unwrap();
        assert_eq!(part.rows, window("activity", 8, 12).rows[0]);
        assert!(reader.recording("activity", "pool.out_spikes", 99..).unwrap().is_empty());
    }
    assert_eq!(
        files(root.path()),
        ["a_b-000001.safetensors", "activity-000001.safetensors", "activity-000002.safetensors"]
    );
    let record = RunReader::open(root.path()).unwrap().about().clone();
    assert!(record.timings["build"] == 0.25 && record.timings["total"] > 0.0, "{record:?}");
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path());
    run.window(window("activity", 1, 2)).unwrap();
    run.finish(Status::Finished).unwrap();
    let reader = RunReader::open(root.path()).unwrap();
    let error = reader.recording("weights", "x", ..).unwrap_err().to_string();
    assert_eq!(error, "there is no measurement `weights`; there is `activity`");
    let error = reader.recording("activity", "x", ..).unwrap_err().to_string();
    assert_eq!(error, "there is no stream `x`; there are `pool.out_spikes`, `pool.soma.potential`");
    let error = RunReader::open(&root.path().join("nowhere")).err().unwrap().to_string();
    assert!(error.contains("holds no run"), "{error}");
}
