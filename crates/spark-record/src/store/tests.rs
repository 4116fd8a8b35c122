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

#[test]
fn runs_are_not_overwritten_unless_asked_for() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("notes.txt"), "mine").unwrap();
    let run = create(root.path());
    run.window(window("activity", 1, 2)).unwrap();
    run.scalar("loss", 1, 1.0).unwrap();
    run.finish(Status::Finished).unwrap();
    let error = RunWriter::create(root.path(), RunAbout::new("run"), false).err().unwrap();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    let mut reader = RunReader::open(root.path()).unwrap();
    RunWriter::create(root.path(), RunAbout::new("train"), true).unwrap().finish(Status::Failed).unwrap();
    reader.refresh().unwrap();
    assert_eq!((reader.about().kind.as_str(), reader.status()), ("train", Status::Failed));
    assert!(reader.measurements().is_empty() && reader.scalar_names().unwrap().is_empty());
    assert!(files(root.path()).is_empty() && root.path().join("notes.txt").exists());
}

#[test]
fn two_writers_of_a_run_are_one_too_many() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path());
    for error in [
        RunWriter::resume(root.path(), 0).err().unwrap(),
        RunWriter::create(root.path(), RunAbout::new("run"), true).err().unwrap(),
    ] {
        let expected = format!("another process ({}) is writing the run", std::process::id());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    run.scalar("loss", 1, 1.0).unwrap();
    run.finish(Status::Interrupted).unwrap();
    let run = RunWriter::resume(root.path(), 1).unwrap();
    let reader = RunReader::open(root.path()).unwrap();
    assert_eq!((reader.status(), reader.about().starts), (Status::Running, 2));
    // Without a word about how it ended.
    drop(run);
    assert_eq!(reader.status(), Status::Failed);
    assert_eq!(reader.events().unwrap()[0].kind, "resumed");
    assert_eq!(reader.scalars("loss").unwrap().len(), 1);
}

#[test]
fn a_run_whose_process_is_gone_is_abandoned() {
    let root = tempfile::tempdir().unwrap();
    create(root.path()).finish(Status::Finished).unwrap();
    let path = RunPaths::new(root.path()).record();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"finished\",", "\"running\",")).unwrap();
    let reader = RunReader::open(root.path()).unwrap();
    assert_eq!(reader.status(), Status::Abandoned);
    let error = reader.request(&json!("record")).unwrap_err().to_string();
    assert!(error.ends_with("is not being written: its status is abandoned"), "{error}");
}

#[test]
fn a_request_reaches_the_writer_once() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path());
    assert!(run.requests().is_empty());
    let reader = RunReader::open(root.path()).unwrap();
    let asked = [json!({"preset": "activity", "steps": 500}), json!(2)];
    asked.iter().for_each(|request| reader.request(request).unwrap());
    fs::write(RunPaths::new(root.path()).requests().join("0.json"), "{").unwrap();
    let mut found = Vec::new();
    let begun = std::time::Instant::now();
    while found.len() < 2 && begun.elapsed().as_secs() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(20));
        found.extend(run.requests());
    }
    assert_eq!(found, asked);
    assert_eq!(fs::read_dir(RunPaths::new(root.path()).requests()).unwrap().count(), 0);
}

#[test]
fn a_run_of_a_newer_program_is_refused() {
    let root = tempfile::tempdir().unwrap();
    create(root.path()).finish(Status::Finished).unwrap();
    let path = RunPaths::new(root.path()).record();
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["format"] = 7.into();
    record["kind"] = json!({"of another": "shape"});
    fs::write(&path, record.to_string()).unwrap();
    for error in
        [RunReader::open(root.path()).err().unwrap(), RunWriter::resume(root.path(), 0).err().unwrap()]
    {
        assert!(error.to_string().contains("format 7, written by a newer Spark"), "{error}");
    }
    assert!(runs_in(root.path()).unwrap()[0].run.is_err());
    fs::write(&path, "{").unwrap();
    assert!(RunReader::open(root.path()).err().unwrap().to_string().contains("not JSON"));
}

#[test]
fn damaged_windows_are_left_out_and_named() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path());
    (0..4).for_each(|i| run.window(window("activity", 10 * i + 1, 10 * i + 10)).unwrap());
    run.finish(Status::Finished).unwrap();
    let folder = RunPaths::new(root.path()).windows();
    let file = |number: u32| folder.join(format!("activity-{number:06}.safetensors"));
    let bytes = fs::read(file(2)).unwrap();
    fs::write(file(2), &bytes[..bytes.len() - 3]).unwrap();
    fs::remove_file(file(3)).unwrap();

    let reader = RunReader::open(root.path()).unwrap();
    let problems = reader.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("000002.safetensors: is not a valid"), "{problems:?}");
    assert!(problems[1].ends_with("000003.safetensors is missing: steps 21 to 30 of `activity`"));
    let steps = reader.recording("activity", "pool.out_spikes", ..).unwrap().rows.steps;
    assert_eq!(steps, (1..=10).chain(31..=40).collect::<Vec<u64>>());

    // Whoever goes on with it gets a number that no file has.
    let run = RunWriter::resume(root.path(), 40).unwrap();
    run.window(window("activity", 41, 45)).unwrap();
    run.finish(Status::Finished).unwrap();
    assert!(file(5).exists());
    let run = RunWriter::resume(root.path(), 5).unwrap();
    run.window(window("activity", 6, 7)).unwrap();
    run.finish(Status::Finished).unwrap();
    let reader = RunReader::open(root.path()).unwrap();
    assert!(reader.problems().is_empty(), "{:?}", reader.problems());
    let found = reader.recording("activity", "pool.soma.potential", ..).unwrap();
    assert_eq!(found.rows, window("activity", 1, 7).rows[1]);
}

#[test]
fn windows_are_read_without_their_index() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path());
    run.scalar("loss", 1, 1.0).unwrap();
    (0..3).for_each(|i| run.window(window("activity", 10 * i + 1, 10 * i + 10)).unwrap());
    run.finish(Status::Finished).unwrap();
    let index = RunPaths::new(root.path()).index();
    let good = fs::read(&index).unwrap();
    let mut overwritten = good.clone();
    overwritten[4096..].fill(0xa5);
    for bad in [
        b"not a database, whatever it is called".to_vec(),
        Vec::new(),
        good[..good.len() / 2].to_vec(),
        overwritten,
    ] {
        fs::write(&index, &bad).unwrap();
        let reader = RunReader::open(root.path()).unwrap();
        assert!(!reader.problems().is_empty());
        let found = reader.recording("activity", "pool.out_spikes", ..).unwrap();
        assert_eq!(found.rows, window("activity", 1, 30).rows[0]);
        if let Err(error) = reader.scalars("loss") {
            assert!(error.to_string().contains("index.sqlite"), "{error}");
        }
    }
    fs::write(&index, "no database").unwrap();
    let error = RunWriter::resume(root.path(), 3).err().unwrap().to_string();
    assert!(error.contains("index.sqlite"), "{error}");
}

#[test]
fn a_window_that_is_not_what_it_says_is_refused_and_recording_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path());
    type Spoil = fn(&mut Window);
    let spoil: [(&str, Spoil); 7] = [
        ("shape", |window| window.rows[0].data = TensorData::from([[1u8, 2, 3, 4]])),
        ("type", |window| window.rows[1].data = TensorData::new(vec![0f64; 10], [2, 5])),
        ("follows", |window| window.rows[0].steps.swap(0, 1)),
        ("in a window of steps", |window| window.last = 3),
        ("two streams", |window| window.rows[1].stream.name = window.rows[0].stream.name.clone()),
        ("cannot be called", |window| window.rows[1].stream.name.clear()),
        ("no name", |window| window.measurement.clear()),
    ];
    for (expected, spoil) in spoil {
        let mut bad = window("activity", 1, 4);
        spoil(&mut bad);
        let error = run.window(bad).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    run.window(window("activity", 1, 4)).unwrap();
    run.finish(Status::Finished).unwrap();
    assert_eq!(RunReader::open(root.path()).unwrap().measurements()[0].windows.len(), 1);
}

#[test]
fn what_cannot_be_written_ends_the_recording_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path());
    run.scalar("loss", 1, 1.0).unwrap();
    run.window(window("activity", 1, 5)).unwrap();
    run.flush().unwrap();
    // A file where the folder of windows was: nothing can be written there, whoever tries.
    let folder = RunPaths::new(root.path()).windows();
    fs::rename(&folder, root.path().join("kept")).unwrap();
    fs::write(&folder, "in the way").unwrap();
    run.scalar("loss", 2, 0.5).unwrap();
    run.window(window("activity", 6, 10)).unwrap();
    let error = run.flush().unwrap_err().to_string();
    assert!(error.starts_with("recording stopped: cannot make"), "{error}");
    // It was told; the simulation goes on.
    assert!(run.is_stopped());
    (3..10_000).for_each(|step| run.scalar("loss", step, 0.0).unwrap());
    let error = run.finish(Status::Finished).unwrap_err();
    assert!(matches!(error, StoreError::Stopped(_)), "{error}");
    fs::remove_file(&folder).unwrap();
    fs::rename(root.path().join("kept"), &folder).unwrap();
    let reader = RunReader::open(root.path()).unwrap();
    assert_eq!(reader.status(), Status::Finished);
    assert!(reader.about().error.as_ref().unwrap().contains("recording stopped"));
    let loss: Vec<_> = reader.scalars("loss").unwrap().iter().map(|scalar| scalar.step).collect();
    assert_eq!(loss, [1, 2]);
    assert_eq!(reader.measurements()[0].last, 5);
}

#[test]
fn a_full_disk_keeps_what_was_committed() {
    let root = tempfile::tempdir().unwrap();
    let paths = RunPaths::new(root.path());
    let index = super::index::Index::create(&paths.index()).unwrap();
    // SQLite reports the same error when it may not use more pages.
    index.run(|connection| connection.execute_batch("PRAGMA max_page_count = 30")).unwrap();
    let lock = super::lock::Lock::take(&paths).unwrap();
    let record = super::RunRecord::begin(RunAbout::new("run"));
    let resumed = super::resume::Resumed { index, numbers: std::collections::HashMap::new() };
    let run = RunWriter::start(paths, lock, record, resumed).unwrap();
    let mut recorded = 0;
    let error = loop {
        if let Err(error) = run.scalar("loss", recorded, 0.5).and_then(|()| run.flush()) {
            break error.to_string();
        }
        recorded += 1;
    };
    assert!(error.contains("database or disk is full"), "{error}");
    assert!(recorded > 100);
    assert!(matches!(run.finish(Status::Finished), Err(StoreError::Stopped(_))));
    let reader = RunReader::open(root.path()).unwrap();
    assert!(reader.problems().is_empty());
    assert_eq!(reader.scalars("loss").unwrap().len() as u64, recorded);
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    for folder in [file.clone(), file.join("below")] {
        let error = RunWriter::create(&folder, RunAbout::new("run"), false).err().unwrap().to_string();
        assert!(error.starts_with("cannot make") && error.contains("file"), "{error}");
    }
    assert!(runs_in(&root.path().join("nowhere")).err().unwrap().to_string().starts_with("cannot list"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_run_that_goes_on_has_what_came_before(
        lengths in prop::collection::vec(1u64..9, 1..6),
        cuts in prop::collection::vec(0u64..40, 1..4),
    ) {
        let root = tempfile::tempdir().unwrap();
        let record = |run: &RunWriter, from: u64| {
            let mut step = from;
            for length in &lengths {
                run.window(window("activity", step + 1, step + length)).unwrap();
                for step in step + 1..=step + length {
                    run.scalar("step", step, step as f64).unwrap();
                    run.event("step", step, json!(step)).unwrap();
                    run.tag("step", step, step as i64).unwrap();
                    run.warning(step, &step.to_string()).unwrap();
                }
                step += length;
            }
            step
        };
        let run = create(root.path());
        let mut last = record(&run, 0);
        run.finish(Status::Interrupted).unwrap();
        for cut in cuts {
            let cut = cut.min(last);
            let run = RunWriter::resume(root.path(), cut).unwrap();
            last = record(&run, cut);
            run.finish(Status::Finished).unwrap();
            let reader = RunReader::open(root.path()).unwrap();
            prop_assert!(reader.problems().is_empty(), "{:?}", reader.problems());
            let steps: Vec<u64> = (1..=last).collect();
            let found = reader.scalars("step").unwrap();
            prop_assert_eq!(found.iter().map(|one| one.value as u64).collect::<Vec<_>>(), &steps[..]);
            prop_assert_eq!(reader.tags("step").unwrap().len(), steps.len());
            prop_assert_eq!(reader.warnings().unwrap().len(), steps.len());
            let events = reader.events().unwrap();
            let found: Vec<u64> = events.iter().filter(|event| event.kind == "step").map(|event| event.step).collect();
            prop_assert_eq!(found, steps);
            let whole = window("activity", 1, last);
            for (place, name) in ["pool.out_spikes", "pool.soma.potential"].into_iter().enumerate() {
                let found = reader.recording("activity", name, ..).unwrap();
                prop_assert_eq!(&found.rows, &whole.rows[place]);
            }
        }
    }
}
