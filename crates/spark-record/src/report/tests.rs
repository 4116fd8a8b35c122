//! The page of a run.

use burn::tensor::TensorData;
use serde_json::json;
use spark_nn as _; // Its neurons are registered.

use super::*;
use crate::{Rows, RunAbout, RunWriter, Statistic, Stream, StreamKind, Window};

/// A run with a stream of every kind, a model, scalars, events and warnings.
fn recorded(folder: &Path) -> RunReader {
    let about =
        RunAbout { seed: Some(7), configuration: json!({ "rate": "<script>" }), ..RunAbout::new("run") };
    let run = RunWriter::create(folder, about, false).unwrap();
    let stream = |name: &str, kind, shape: &[usize]| Stream {
        name: format!("{name}#{kind:?}"),
        address: name.into(),
        kind,
        unit: (kind != StreamKind::Raster).then(|| "mV".to_owned()),
        shape: shape.to_vec(),
        units: None,
        groups: if kind == StreamKind::Summary { vec![0] } else { Vec::new() },
        statistics: if kind == StreamKind::Summary {
            vec![Statistic::Mean, Statistic::Rate]
        } else {
            Vec::new()
        },
        stride: 1,
    };
    let steps = 400_u64;
    let rows = |stream: Stream| {
        let shape: Vec<usize> = [steps as usize].into_iter().chain(stream.row_shape()).collect();
        let count: usize = shape.iter().product();
        let wave = |place: usize| (place as f32 * 0.37).sin() * 10.0 - 50.0;
        let bits = |place: usize| if place.is_multiple_of(7) { (place * 31 % 251) as u8 } else { 0 };
        let data = match stream.kind {
            StreamKind::Raster => TensorData::new((0..count).map(bits).collect::<Vec<u8>>(), shape),
            _ => TensorData::new((0..count).map(wave).collect::<Vec<f32>>(), shape),
        };
        Rows { stream, steps: (1..=steps).collect(), data }
    };
    let all = [
        stream("pool.out_spikes", StreamKind::Raster, &[24]),
        stream("pool.soma.potential", StreamKind::Trace, &[24]),
        stream("pool.soma.potential", StreamKind::Summary, &[24]),
        stream("pool.synapses.kernel", StreamKind::Snapshot, &[6, 4]),
        stream("pool.synapses.kernel", StreamKind::Delta, &[6, 4]),
    ];
    let rows = all.into_iter().map(rows).collect();
    run.window(Window { measurement: "all".into(), first: 1, last: steps, group: None, dt: 0.5, rows })
        .unwrap();
    for step in 0..30_u32 {
        run.scalar("loss/train", u64::from(step), 1.0 / f64::from(step + 1)).unwrap();
    }
    run.event("checkpoint", 200, json!({ "file": "a<b>.safetensors" })).unwrap();
    run.warning(300, "a layer is \"silent\" & still").unwrap();
    let model = r#"{"spark": 1, "module": "Brain", "config": {"modules": [
        {"name": "pool", "module": "LIFNeuron", "inputs": {"in_spikes": "__call__.signal"},
         "outputs": {"spikes": "out_spikes"}}]}}"#;
    std::fs::write(run.paths().model(), model).unwrap();
    run.finish(Status::Finished).unwrap();
    RunReader::open(folder).unwrap()
}

#[test]
fn the_page_has_everything_and_needs_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let run = recorded(root.path());
    let page = html(&run).unwrap();
    for kind in PlotKind::ALL {
        assert!(page.contains(&format!("<section id=\"{kind}\"")), "{kind}");
    }
    for id in ["scalars", "recorded", "warnings", "events", "configuration"] {
        assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
    }
    for text in
        ["finished", "loss/train", "a&lt;b&gt;.safetensors", "&amp; still", "&lt;script&gt;", "threshold"]
    {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("http") && !page.contains("<script") && !page.contains("NaN"));
    assert!(!page.contains("id=\"problems\""), "{page}");
}

#[test]
fn the_page_is_well_formed_and_says_what_its_pictures_are() {
    let root = tempfile::tempdir().unwrap();
    let page = html(&recorded(root.path())).unwrap();
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
    let document = roxmltree::Document::parse_with_options(&page, options).unwrap();
    let of = |name: &'static str| document.descendants().filter(move |node| node.has_tag_name(name));
    let ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
    assert!(of("svg").count() >= 10);
    assert!(of("svg").all(|svg| svg.attribute("role") == Some("img")));
    assert!(of("figure").all(|figure| figure.attribute("aria-label").is_some_and(|label| !label.is_empty())));
    assert!(of("section").all(|section| ids.contains(&section.attribute("aria-labelledby").unwrap())));
    assert_eq!((of("title").next().is_some(), of("h1").count(), of("main").count()), (true, 1, 1));
}

#[test]
fn a_run_of_nothing_has_a_page() {
    let root = tempfile::tempdir().unwrap();
    RunWriter::create(root.path(), RunAbout::new("run"), false).unwrap().fail("no <device>").unwrap();
    let page = html(&RunReader::open(root.path()).unwrap()).unwrap();
    assert!(page.contains("failed") && page.contains("no &lt;device&gt;") && !page.contains("<svg"));
}

#[test]
fn a_window_that_is_gone_is_said_and_the_rest_is_drawn() {
    let root = tempfile::tempdir().unwrap();
    let run = recorded(root.path());
    for window in std::fs::read_dir(run.paths().windows()).unwrap() {
        std::fs::write(window.unwrap().path(), "cut").unwrap();
    }
    let page = html(&RunReader::open(root.path()).unwrap()).unwrap();
    assert!(page.contains("id=\"problems\"") && page.contains("id=\"curves\""));
}

#[test]
fn numbers_have_six_digits_at_most() {
    let numbers = [0.0, 1.0, -0.123_456_789, 123_456.7, 1e9, 1e-7, f64::NAN].map(number);
    assert_eq!(numbers, ["0", "1", "-0.123457", "123457", "1.0000e9", "1.0000e-7", "NaN"]);
}

#[test]
fn long_tables_lose_their_middle_and_say_so() {
    let rows: Vec<Vec<String>> = (0..1000).map(|row| vec![format!("row {row}")]).collect();
    let text = shortened(&["name"], &rows, 1);
    assert!(text.contains("of 1000") && text.contains("row 999") && !text.contains("row 500<"));
    assert_eq!(table(&["name"], &[], 1), "");
}

#[test]
fn times_are_readable() {
    assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
    assert_eq!([1.5, 90.0, 7260.0].map(duration), ["1.50 s", "1 min 30 s", "2 h 1 min"]);
}
