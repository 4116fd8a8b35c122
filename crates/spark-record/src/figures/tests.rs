//! Whatever a recording holds, pictures of it are drawn.

use burn::tensor::TensorData;
use proptest::prelude::*;

use super::*;
use crate::{Recording, Rows, Statistic, Stream, StreamKind};

/// A recording of any kind whose numbers come from a list.
fn recording(kind: StreamKind, shape: Vec<usize>, steps: Vec<u64>, numbers: &[f32], dt: f64) -> Recording {
    let summary = kind == StreamKind::Summary;
    let stream = Stream {
        name: "pool <&> \"1\"".into(),
        address: "pool.soma.potential".into(),
        kind,
        unit: Some("mV".into()),
        shape,
        units: None,
        groups: if summary { vec![0, 1] } else { Vec::new() },
        statistics: if summary { vec![Statistic::Mean, Statistic::Std, Statistic::Rate] } else { Vec::new() },
        stride: 1,
    };
    let shape: Vec<usize> = [steps.len()].into_iter().chain(stream.row_shape()).collect();
    let count = shape.iter().product();
    let number = |place: usize| numbers[place % numbers.len()];
    let data = if kind == StreamKind::Raster {
        TensorData::new((0..count).map(|place| number(place) as i64 as u8).collect::<Vec<u8>>(), shape)
    } else {
        TensorData::new((0..count).map(number).collect::<Vec<f32>>(), shape)
    };
    Recording { measurement: "m".into(), dt, rows: Rows { stream, steps, data } }
}

fn all(recording: &Recording) -> Vec<Figure> {
    let one = std::slice::from_ref(recording);
    vec![
        activity(recording),
        rates(one),
        intervals(one),
        irregularity(one),
        correlations(recording),
        spectra(one),
        traces(recording, None, Some(Line::across("threshold", -50.0))),
        summaries(recording),
        weights(recording),
    ]
}

fn drawn(figures: &[Figure]) {
    for figure in figures.iter().filter(|figure| !figure.is_empty()) {
        for svg in [figure.svg().unwrap(), figure.inline_svg().unwrap()] {
            let document = roxmltree::Document::parse(&svg).unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
            assert!(
                document.root_element().has_tag_name("svg")
                    || document.root_element().tag_name().name() == "svg"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_panics(
        kind in prop::sample::select(vec![
            StreamKind::Raster, StreamKind::Trace, StreamKind::Summary, StreamKind::Snapshot, StreamKind::Delta,
        ]),
        shape in prop::sample::select(vec![vec![1], vec![9], vec![3, 4], vec![2, 3, 4], vec![0], vec![1, 1]]),
        steps in prop::sample::select(vec![
            vec![], vec![1], vec![7], (1..40).collect::<Vec<u64>>(), vec![1, 2, 3, 100, 101, 5_000_000_000],
        ]),
        numbers in prop::collection::vec(
            prop_oneof![
                Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(f32::MAX), Just(f32::MIN_POSITIVE),
                Just(0.0), -100.0..300.0_f32,
            ],
            1..30,
        ),
        dt in prop::sample::select(vec![0.1, 1.0, 1e-6]),
    ) {
        drawn(&all(&recording(kind, shape, steps, &numbers, dt)));
    }
}

#[test]
fn pictures_have_the_size_and_the_names_that_they_say() {
    let numbers: Vec<f32> = (0..97).map(|k| (k as f32 * 0.7).sin() * 20.0 + 60.0).collect();
    let steps: Vec<u64> = (1..400).collect();
    let expected = |kind| match kind {
        StreamKind::Raster => {
            ["time (ms)", "rate (Hz)", "frequency (Hz)", "interval (ms)", "correlation"].as_slice()
        }
        StreamKind::Trace => &["time (ms)", "potential (mV)", "threshold"],
        StreamKind::Summary => &["time (ms)", "rate (Hz)", "potential (mV)"],
        StreamKind::Snapshot => &["presynaptic unit", "postsynaptic unit", "entries (%)"],
        StreamKind::Delta => &["presynaptic unit", "Change of pool.soma.potential up to step 399"],
    };
    for kind in
        [StreamKind::Raster, StreamKind::Trace, StreamKind::Summary, StreamKind::Snapshot, StreamKind::Delta]
    {
        let figures = all(&recording(kind, vec![6, 5], steps.clone(), &numbers, 0.5));
        let svg: String = figures.iter().map(|figure| figure.svg().unwrap()).collect();
        for name in expected(kind) {
            assert!(svg.contains(name), "{kind:?}: {name}");
        }
        let figure = figures.iter().find(|figure| !figure.is_empty()).unwrap();
        let picture = image::load_from_memory(&figure.png().unwrap()).unwrap();
        assert_eq!((picture.width(), picture.height()), figure.size());
    }
}

#[test]
fn a_large_raster_is_a_small_file() {
    let steps: Vec<u64> = (1..=100_000).collect();
    let numbers: Vec<f32> =
        (0..4001).map(|k| if k % 97 == 0 { (1 << (k % 8)) as f32 } else { 0.0 }).collect();
    let recording = recording(StreamKind::Raster, vec![1024], steps, &numbers, 0.1);
    let svg = activity(&recording).svg().unwrap();
    assert!(svg.len() < 2_000_000, "{} bytes", svg.len());
    assert!(svg.contains("each pixel is the stronger the more spikes fall on it"));
}
