//! What is recorded is what was computed, on every backend, and comes back from a run folder as it went in.

use burn::tensor::{Tensor, TensorData};
use spark::burn;
use spark::core::component::Context;
use spark::core::model::{Model, Pattern};
use spark::core::payload::{PayloadKind, Shape};
use spark::core::ports::InputShapes;
use spark::core::simulation::{Drive, Drives, Record, Simulation};
use spark::nn::layers::{DenseConfig, LayerConfig, LeakyConfig, NetworkConfig};
use spark::nn::neurons;
use spark::prelude::Device;
use spark::record::{
    Measurement, Preset, Probe, Recorder, RunAbout, RunReader, RunWriter, Status, StreamKind, Trigger, Units,
    record_layers,
};

use crate::support::devices;

const UNITS: usize = 13;
const STEPS: usize = 40;

fn simulation(record: &Record, device: &Device) -> Simulation {
    let mut neuron = neurons::lif();
    neuron.units = vec![UNITS];
    let mut model = Model::of(&neuron).unwrap();
    let kernel = serde_json::json!({"kind": "uniform", "scale": 1500.0});
    model.set(&"synapses.kernel".parse().unwrap(), &kernel).unwrap();
    let spikes = (0..STEPS * 8).map(|at| f32::from(u8::from(at % 3 == 0 || at % 7 == 2))).collect();
    let shapes = InputShapes::default().with("in_spikes", Shape::new(PayloadKind::Spikes, &[8]));
    let drives = Drives::new(&shapes, &[("in_spikes".to_owned(), Drive::Sequence(spikes))], device).unwrap();
    Simulation::new(&model, drives, record, &Context::new("", device)).unwrap()
}

fn rows(data: &TensorData) -> Vec<Vec<f32>> {
    data.iter::<f32>().collect::<Vec<_>>().chunks(UNITS).map(<[f32]>::to_vec).collect()
}

#[test]
fn recordings_are_what_was_computed() {
    for (name, device) in devices() {
        let planes: Vec<Pattern> =
            ["soma.potential", "synapses.kernel"].map(|path| path.parse().unwrap()).to_vec();
        let mut kept = simulation(&Record { outputs: true, planes }, &device);
        kept.run(STEPS, |_, _| true).unwrap();
        let truth = kept.record();
        let (spikes, potentials) = (rows(&truth["out_spikes"]), rows(&truth["soma.potential"]));
        assert!(spikes.iter().flatten().sum::<f32>() > 10.0, "{name}: spikes at all");

        let trace =
            Probe { units: Some(Units::These(vec![3, 12])), ..Probe::new("**.potential", StreamKind::Trace) };
        let bursts = Measurement {
            trigger: Trigger::Condition {
                expression: "max(soma.potential) > -55 or active(out_spikes) > 0".into(),
            },
            look_back: 2,
            ..Measurement::new("bursts", vec![Probe::new("soma.potential", StreamKind::Trace)])
        };
        let snapshot = Probe { stride: Some(16), ..Probe::new("synapses.kernel", StreamKind::Snapshot) };
        let probes = vec![Probe::new("out_spikes", StreamKind::Raster), trace, snapshot];
        let all = Measurement { window: 15, ..Measurement::new("all", probes) };
        let measurements = [all, bursts, Preset::Summary.measurement()];

        let folder = tempfile::tempdir().unwrap();
        let writer = RunWriter::create(folder.path(), RunAbout::new("run"), false).unwrap();
        let mut run = simulation(&Record::default(), &device);
        let mut recorder = Recorder::new(&measurements, run.instance_mut(), 0, 1.0, &device).unwrap();
        run.run(STEPS, |_, instance| {
            recorder.see(instance).into_iter().for_each(|window| writer.window(window).unwrap());
            true
        })
        .unwrap();
        recorder.finish(run.instance()).into_iter().for_each(|window| writer.window(window).unwrap());
        writer.finish(Status::Finished).unwrap();

        let reader = RunReader::open(folder.path()).unwrap();
        let read = |measurement: &str, stream: &str| reader.recording(measurement, stream, ..).unwrap();
        let raster = read("all", "out_spikes");
        let fired: Vec<(f64, usize)> = (0..STEPS)
            .flat_map(|step| (0..UNITS).map(move |unit| (step, unit)))
            .filter(|(step, unit)| spikes[*step][*unit] == 1.0)
            .map(|(step, unit)| ((step + 1) as f64, unit))
            .collect();
        assert_eq!(raster.spikes(), fired, "{name}");
        let trace = read("all", "soma.potential");
        for (row, potentials) in potentials.iter().enumerate() {
            assert_eq!(trace.row(row), [potentials[3], potentials[12]], "{name}, step {}", row + 1);
        }
        let weights = read("all", "synapses.kernel#snapshot");
        assert_eq!(weights.rows.steps, [0, 16, 32, 40], "{name}");
        let kernels: Vec<f32> = truth["synapses.kernel"].iter().collect();
        assert_eq!(weights.row(2), &kernels[31 * UNITS * 8..32 * UNITS * 8], "{name}");

        let bursts = read("bursts", "soma.potential");
        assert!(!bursts.is_empty(), "{name}");
        for (row, step) in bursts.rows.steps.iter().enumerate() {
            assert_eq!(bursts.row(row), potentials[*step as usize - 1], "{name}, step {step}");
        }
        let summary = read("summary", "soma.potential#summary");
        let values: Vec<f64> = potentials.iter().flatten().map(|value| f64::from(*value)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let max = values.iter().copied().fold(f64::MIN, f64::max);
        assert!((f64::from(summary.row(0)[0]) - mean).abs() < 1e-2, "{name}");
        assert_eq!(f64::from(summary.row(0)[3]), max, "{name}");
    }
}

#[test]
fn layers_are_recorded_sample_by_sample() {
    for (name, device) in devices() {
        let leaky = || LayerConfig::Leaky(LeakyConfig::default());
        let dense = |units| LayerConfig::Dense(DenseConfig::new(units));
        let layers = vec![dense(20), leaky(), dense(5), leaky()];
        let network = NetworkConfig { input: vec![6], layers }.init(3, &device).unwrap();
        let (time, batch) = (9, 3);
        let input = Tensor::<3>::from_data(
            TensorData::new(
                (0..time * batch * 6).map(|at| (at % 5) as f32).collect::<Vec<_>>(),
                [time, batch, 6],
            ),
            &device,
        );
        let output = network.forward(input, None).until(&[9, 4, 9]);
        let windows = record_layers("batch", &output, &[30, 31, 32]);
        assert_eq!(
            windows.iter().map(|window| window.last + 1 - window.first).collect::<Vec<_>>(),
            [9, 4, 9]
        );
        for (layer, spikes) in output.spikes.iter().enumerate() {
            let [_, _, units] = spikes.dims();
            let spikes: Vec<f32> = spikes.to_data().iter().collect();
            for (sample, window) in windows.iter().enumerate() {
                let bytes = window.rows[layer].data.as_slice::<u8>().unwrap();
                let length = window.rows[layer].steps.len();
                for (step, row) in bytes.chunks(units.div_ceil(8)).take(length).enumerate() {
                    let truth = &spikes[(step * batch + sample) * units..][..units];
                    let bits = (0..units).map(|unit| f32::from(row[unit / 8] >> (unit % 8) & 1));
                    assert!(
                        bits.eq(truth.iter().copied()),
                        "{name}, layer {layer}, sample {sample}, step {step}"
                    );
                }
            }
        }
    }
}
