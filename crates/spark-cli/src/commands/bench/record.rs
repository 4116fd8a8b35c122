//! `spark bench record`: what recording costs the neurons of `spark bench sim`.

use anyhow::Result;
use serde_json::{Map, json};
use spark::core::component::Instance;
use spark::record::{
    Measurement as Recorded, Preset, Probe, Recorder, RunAbout, RunWriter, Status, StreamKind, Units,
};
use std::time::Instant;

use super::brains::{Neuron, at};
use super::{Bench, Measurement, Workload};

const BASELINE: &str = "the same steps, not recorded";

pub const WORKLOADS: &[Workload] = &[
    Workload { name: "activity_lif_linear_1024", baseline: BASELINE, run: |bench| activity(bench, LINEAR) },
    Workload { name: "summary_lif_linear_1024", baseline: BASELINE, run: |bench| summary(bench, LINEAR) },
    Workload {
        name: "activity_lif_traced_delays_1024",
        baseline: BASELINE,
        run: |bench| activity(bench, Neuron::delayed),
    },
    Workload {
        name: "summary_lif_traced_delays_1024",
        baseline: BASELINE,
        run: |bench| summary(bench, Neuron::delayed),
    },
    Workload {
        name: "activity_lif_traced_hebbian_1024",
        baseline: BASELINE,
        run: |bench| activity(bench, Neuron::hebbian),
    },
    Workload {
        name: "summary_lif_traced_hebbian_1024",
        baseline: BASELINE,
        run: |bench| summary(bench, Neuron::hebbian),
    },
];

const LINEAR: fn(usize) -> Neuron = Neuron::linear;
const UNITS: usize = 1024;

/// Steps in one measured stretch.
const STEPS: usize = 5000;

/// Spikes of every unit and the potential of four.
fn activity(bench: &Bench, neuron: fn(usize) -> Neuron) -> Result<Measurement> {
    let trace = Probe { units: Some(Units::Some(4)), ..Probe::new("soma.potential", StreamKind::Trace) };
    let probes = vec![Probe::new("out_spikes", StreamKind::Raster), trace];
    measure(bench, neuron(UNITS), Recorded::new("activity", probes))
}

/// Rate and active fraction of the spikes, mean, deviation and extremes of the potential.
fn summary(bench: &Bench, neuron: fn(usize) -> Neuron) -> Result<Measurement> {
    measure(bench, neuron(UNITS), Preset::Summary.measurement())
}

/// Times stretches of steps with and without recording, into the folder of a run, in turn, so that whatever else the
/// machine does is met by both.
fn measure(bench: &Bench, neuron: Neuron, recorded: Recorded) -> Result<Measurement> {
    let device = &bench.device;
    let inputs = neuron.inputs(device);
    let (scale, rate) = neuron.scale(&inputs, device)?;
    let mut plain = neuron.build(scale, device)?;
    let mut watched = neuron.build(scale, device)?;
    let mut recorder = Recorder::new(&[recorded], &mut watched, 0, 1.0, device)?;
    let folder = std::env::temp_dir().join(format!("spark-bench-{}", std::process::id()));
    let writer = RunWriter::create(&folder, RunAbout::new("bench"), true)?;
    let (mut step, mut bytes) = (0, 0_usize);
    let mut times = [Vec::new(), Vec::new()];
    for run in 0..=bench.runs.max(1) {
        let mut found = [0.0; 2];
        // Each goes first as often as the other.
        for recorded in [run % 2 == 0, run % 2 != 0] {
            let start = Instant::now();
            for step in step..step + STEPS {
                let inputs = at(&inputs, step);
                if !recorded {
                    plain.step(inputs)?;
                    continue;
                }
                watched.step(inputs)?;
                for window in recorder.see(&watched) {
                    bytes += window.rows.iter().map(|rows| rows.data.bytes().len()).sum::<usize>();
                    writer.window(window)?;
                }
            }
            device.sync()?;
            found[usize::from(!recorded)] = 1e3 * start.elapsed().as_secs_f64() / STEPS as f64;
        }
        // The first stretches do not count.
        if run > 0 {
            times.iter_mut().zip(found).for_each(|(times, found)| times.push(found));
        }
        step += STEPS;
    }
    writer.finish(Status::Finished)?;
    std::fs::remove_dir_all(&folder)?;
    let mut overheads: Vec<f64> =
        times[0].iter().zip(&times[1]).map(|(ours, baseline)| 100.0 * (ours / baseline - 1.0)).collect();
    let [ours, baseline] = times.map(|mut times| median(&mut times));
    let details = Map::from_iter([
        ("overhead_percent".to_owned(), json!((100.0 * median(&mut overheads)).round() / 100.0)),
        ("bytes_per_step".to_owned(), json!(bytes / step)),
        ("output_hz".to_owned(), json!(rate)),
    ]);
    Ok(Measurement { ours, baseline: Some(baseline), details })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
