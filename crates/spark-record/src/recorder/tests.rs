use burn::tensor::{Device, TensorData};
use proptest::prelude::*;
use spark_core::component::Context;
use spark_core::model::{Model, Pattern};
use spark_core::payload::{PayloadKind, Shape};
use spark_core::ports::InputShapes;
use spark_core::simulation::{Drive, Drives, Record, Simulation};
use std::collections::BTreeMap;

use super::*;
use crate::window::{Recording, Statistic, StreamKind};

const UNITS: usize = 11;

/// Neurons that spike now and then, on eight inputs.
fn model() -> Model {
    let mut neuron = spark_nn::neurons::lif();
    neuron.units = vec![UNITS];
    let mut model = Model::of(&neuron).unwrap();
    model
        .set(&"synapses.kernel".parse().unwrap(), &serde_json::json!({"kind": "uniform", "scale": 1500.0}))
        .unwrap();
    model
}

fn inputs(steps: usize) -> Drive {
    let spikes: Vec<f32> = (0..steps * 8).map(|at| f32::from(u8::from(at % 3 == 0 || at % 7 == 2))).collect();
    Drive::Sequence(spikes)
}

fn simulation(steps: usize, record: &Record, device: &Device) -> Simulation {
    let shapes = InputShapes::default().with("in_spikes", Shape::new(PayloadKind::Spikes, &[8]));
    let drives = Drives::new(&shapes, &[("in_spikes".to_owned(), inputs(steps))], device).unwrap();
    Simulation::new(&model(), drives, record, &Context::new("", device)).unwrap()
}

/// What was recorded of a run, by measurement and stream, with the windows it came in.
fn recorded(
    measurements: &[Measurement],
    steps: usize,
    mut each: impl FnMut(usize, &mut Recorder),
) -> (Vec<Window>, BTreeMap<(String, String), Recording>) {
    let device = Device::flex();
    let mut run = simulation(steps, &Record::default(), &device);
    let mut recorder = Recorder::new(measurements, run.instance_mut(), 0, 1.0, &device).unwrap();
    let mut windows = Vec::new();
    each(0, &mut recorder);
    run.run(steps, |done, instance| {
        windows.extend(recorder.see(instance));
        each(done, &mut recorder);
        true
    })
    .unwrap();
    windows.extend(recorder.finish(run.instance()));
    let joined = joined(&windows);
    (windows, joined)
}

fn joined(windows: &[Window]) -> BTreeMap<(String, String), Recording> {
    let mut found: BTreeMap<(String, String), Recording> = BTreeMap::new();
    for window in windows {
        for rows in &window.rows {
            let key = (window.measurement.clone(), rows.stream.name.clone());
            match found.get_mut(&key) {
                None => {
                    let (measurement, rows) = (window.measurement.clone(), rows.clone());
                    found.insert(key, Recording { measurement, dt: window.dt, rows });
                }
                Some(before) => {
                    before.rows.steps.extend(&rows.steps);
                    let mut shape = before.rows.data.shape().to_vec();
                    shape[0] = before.rows.steps.len();
                    before.rows.data = match rows.stream.kind {
                        StreamKind::Raster => {
                            TensorData::new(both::<u8>(&before.rows.data, &rows.data), shape)
                        }
                        _ => TensorData::new(both::<f32>(&before.rows.data, &rows.data), shape),
                    };
                }
            }
        }
    }
    found
}

fn both<E: burn::tensor::Element>(a: &TensorData, b: &TensorData) -> Vec<E> {
    [a.as_slice::<E>().unwrap(), b.as_slice::<E>().unwrap()].concat()
}

/// Spikes and potentials of every step, as a simulation itself keeps them.
fn truth(steps: usize) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let planes = vec!["soma.potential".parse::<Pattern>().unwrap()];
    let mut run = simulation(steps, &Record { outputs: true, planes }, &Device::flex());
    run.run(steps, |_, _| true).unwrap();
    let kept = run.record();
    let rows = |name: &str| -> Vec<Vec<f32>> {
        kept[name].iter::<f32>().collect::<Vec<_>>().chunks(UNITS).map(<[f32]>::to_vec).collect()
    };
    (rows("out_spikes"), rows("soma.potential"))
}

fn spikes_of(rows: &[Vec<f32>]) -> Vec<(f64, usize)> {
    let of_row = |(step, row): (usize, &Vec<f32>)| {
        let spiking: Vec<usize> = (0..row.len()).filter(|unit| row[*unit] == 1.0).collect();
        spiking.into_iter().map(move |unit| ((step + 1) as f64, unit))
    };
    rows.iter().enumerate().flat_map(of_row).collect()
}

fn key(measurement: &str, stream: &str) -> (String, String) {
    (measurement.to_owned(), stream.to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_recorded_is_what_happened(steps in 1_usize..120, window in 1_u64..70, stride in 1_u64..9) {
        let (spikes, potentials) = truth(steps);
        let units = Some(Units::These(vec![7, 2]));
        let trace = Probe { units, stride: Some(stride), ..Probe::new("**.potential", StreamKind::Trace) };
        let probes = vec![Probe::new("out_spikes", StreamKind::Raster), trace];
        let measurement = Measurement { window, ..Measurement::new("all", probes) };
        let (windows, found) = recorded(&[measurement], steps, |_, _| {});
        let raster = &found[&key("all", "out_spikes")];
        prop_assert_eq!(&raster.rows.steps, &(1..=steps as u64).collect::<Vec<_>>());
        prop_assert_eq!(raster.spikes(), spikes_of(&spikes));
        if let Some(trace) = found.get(&key("all", "soma.potential")) {
            for (row, step) in trace.rows.steps.iter().enumerate() {
                let truth = &potentials[*step as usize - 1];
                prop_assert_eq!(trace.row(row), &[truth[7], truth[2]]);
            }
            prop_assert_eq!(trace.len(), steps / stride as usize);
        } else {
            prop_assert!((steps as u64) < stride);
        }
        prop_assert!(windows.iter().all(|one| one.last - one.first < window));
        let bounds: Vec<u64> = windows.iter().map(|window| window.last).collect();
        prop_assert!(bounds.is_sorted());
    }
}

#[test]
fn the_model_spikes_at_all() {
    let (spikes, _) = truth(100);
    assert!(spikes_of(&spikes).len() > 20);
}

#[test]
fn summaries_are_statistics_of_units_and_steps() {
    let steps = 47;
    let (spikes, potentials) = truth(steps);
    let of = |address: &str| Probe {
        stride: Some(20),
        groups: Some(2),
        ..Probe::new(address, StreamKind::Summary)
    };
    let probes = vec![of("soma.potential"), of("out_spikes")];
    let (_, found) = recorded(&[Measurement::new("all", probes)], steps, |_, _| {});
    let (potential, spiking) =
        (&found[&key("all", "soma.potential#summary")], &found[&key("all", "out_spikes#summary")]);
    assert_eq!(potential.rows.steps, [20, 40, 47]);
    assert_eq!(potential.stream().groups, [0, 5]);
    assert_eq!(spiking.stream().statistics, [Statistic::Rate, Statistic::Active]);
    for (row, stretch) in [0..20, 20..40, 40..47].into_iter().enumerate() {
        for (group, units) in [0..5, 5..UNITS].into_iter().enumerate() {
            let values: Vec<f64> = potentials[stretch.clone()]
                .iter()
                .flat_map(|row| row[units.clone()].iter().map(|value| f64::from(*value)))
                .collect();
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
            let (min, max) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
            let found = &potential.row(row)[4 * group..4 * group + 4];
            for (found, expected) in found.iter().zip([mean, std, min, max]) {
                assert!((f64::from(*found) - expected).abs() < 1e-2, "{found} for {expected}");
            }
            let of_units: Vec<&[f32]> =
                spikes[stretch.clone()].iter().map(|row| &row[units.clone()]).collect();
            let count = of_units.iter().map(|row| row.iter().sum::<f32>()).sum::<f32>();
            let rate = 1000.0 * count / (of_units.len() * units.len()) as f32;
            let active = (0..units.len()).filter(|unit| of_units.iter().any(|row| row[*unit] == 1.0)).count();
            let found = &spiking.row(row)[2 * group..2 * group + 2];
            assert!((found[0] - rate).abs() < 1e-3 * rate.max(1.0), "{found:?} for {rate}");
            assert_eq!(found[1], active as f32 / units.len() as f32);
        }
    }
}

#[test]
fn snapshots_and_changes_have_a_beginning_and_an_end() {
    let probes = vec![
        Probe { stride: Some(30), ..Probe::new("synapses.kernel", StreamKind::Snapshot) },
        Probe { stride: Some(30), ..Probe::new("soma.potential", StreamKind::Delta) },
    ];
    let (windows, found) = recorded(&[Measurement::new("weights", probes)], 70, |_, _| {});
    let kernel = &found[&key("weights", "synapses.kernel#snapshot")];
    assert_eq!(kernel.rows.steps, [0, 30, 60, 70]);
    assert_eq!(kernel.rows.data.shape().to_vec(), [4, UNITS, 8]);
    assert!(kernel.row(0).iter().any(|weight| *weight != 0.0));
    assert_ne!(kernel.row(0), kernel.row(3), "a neuron that learns");
    let (_, potentials) = truth(70);
    let change = &found[&key("weights", "soma.potential#delta")];
    assert_eq!(change.rows.steps, [30, 60, 70]);
    let expected: Vec<f32> = (0..UNITS).map(|unit| potentials[59][unit] - potentials[29][unit]).collect();
    assert_eq!(change.row(1), expected);
    assert_eq!((windows[0].first, windows[0].last), (0, 70));
}

#[test]
fn triggers_look_back_hold_and_can_be_combined() {
    let raster = || vec![Probe::new("out_spikes", StreamKind::Raster)];
    let steps_of = |measurement: Measurement, each: &mut dyn FnMut(usize, &mut Recorder)| {
        let (windows, found) = recorded(&[measurement], 100, |done, recorder| each(done, recorder));
        let steps = found.get(&key("m", "out_spikes")).map(|found| found.rows.steps.clone());
        (windows, steps.unwrap_or_default())
    };
    let when = |trigger: Trigger| Measurement { trigger, ..Measurement::new("m", raster()) };
    let nothing = &mut |_: usize, _: &mut Recorder| {};

    let (_, steps) = steps_of(when(Trigger::Every { steps: 40 }), nothing);
    assert_eq!(steps, [40, 80]);
    let back = Measurement { look_back: 3, hold: 1, ..when(Trigger::At { steps: vec![10, 50] }) };
    let (windows, steps) = steps_of(back, nothing);
    assert_eq!(steps, [7, 8, 9, 10, 11, 47, 48, 49, 50, 51]);
    assert_eq!(windows.iter().map(|one| (one.first, one.last)).collect::<Vec<_>>(), [(7, 11), (47, 51)]);
    // What was recorded is not recorded again.
    let close = Measurement { look_back: 8, ..when(Trigger::At { steps: vec![2, 6] }) };
    assert_eq!(steps_of(close, nothing).1, [1, 2, 3, 4, 5, 6]);

    let between = Trigger::Between { first: 3, last: 6 };
    let not = Trigger::Not { of: Box::new(Trigger::Every { steps: 2 }) };
    assert_eq!(steps_of(when(Trigger::All { of: vec![between.clone(), not] }), nothing).1, [3, 5]);
    let any = Trigger::Any { of: vec![between, Trigger::At { steps: vec![9] }] };
    assert_eq!(steps_of(when(any), nothing).1, [3, 4, 5, 6, 9]);

    let (_, steps) = steps_of(when(Trigger::Manual), &mut |done, recorder| {
        if done == 20 {
            assert!(recorder.request("m", 3) && !recorder.request("n", 3));
        }
    });
    assert_eq!(steps, [21, 22, 23]);
}

#[test]
fn conditions_see_what_happens() {
    let (spikes, potentials) = truth(100);
    let expression = "max(soma.potential) > -56 and not out_spikes[3] > 0 or rate(out_spikes, 4) >= 250";
    let trigger = Trigger::Condition { expression: expression.to_owned() };
    let probes = vec![Probe::new("out_spikes", StreamKind::Raster)];
    let (_, found) = recorded(&[Measurement { trigger, ..Measurement::new("m", probes) }], 100, |_, _| {});
    let count = |step: usize| f64::from(spikes[step].iter().sum::<f32>()) / UNITS as f64;
    let expected = (0..100_usize).filter(|step| {
        let recent = step.saturating_sub(3)..=*step;
        let length = recent.clone().count() as f64;
        let rate = 1000.0 * recent.map(count).sum::<f64>() / length;
        let max = potentials[*step].iter().copied().fold(f32::MIN, f32::max);
        (max > -56.0 && spikes[*step][3] == 0.0) || rate >= 250.0
    });
    let expected: Vec<u64> = expected.map(|step| step as u64 + 1).collect();
    assert!(!expected.is_empty() && expected.len() < 100, "{} steps", expected.len());
    assert_eq!(found[&key("m", "out_spikes")].rows.steps, expected);
}

#[test]
fn windows_end_with_their_group() {
    let probes = vec![Probe::new("out_spikes", StreamKind::Raster)];
    let by_steps =
        Measurement { group: Some(Grouping::Steps(30)), ..Measurement::new("steps", probes.clone()) };
    let by_tag =
        Measurement { group: Some(Grouping::Tag("episode".into())), ..Measurement::new("tag", probes) };
    let (windows, _) = recorded(&[by_steps, by_tag], 70, |done, recorder| {
        if done == 25 {
            recorder.tag("episode", 8);
        }
    });
    let of = |name: &str| {
        let own = windows.iter().filter(|window| window.measurement == name);
        own.map(|window| (window.group, window.first, window.last)).collect::<Vec<_>>()
    };
    assert_eq!(of("steps"), [(Some(0), 1, 30), (Some(1), 31, 60), (Some(2), 61, 70)]);
    assert_eq!(of("tag"), [(None, 1, 25), (Some(8), 26, 70)]);
}

#[test]
fn every_mistake_is_reported_with_what_may_have_been_meant() {
    let device = Device::flex();
    let error = |measurements: &[Measurement]| {
        let mut run = simulation(1, &Record::default(), &device);
        Recorder::new(measurements, run.instance_mut(), 0, 1.0, &device).unwrap_err().to_string()
    };
    let one = |probe: Probe| error(&[Measurement::new("m", vec![probe])]);
    let text = one(Probe::new("soma.potentail", StreamKind::Trace));
    assert!(text.contains("m.probes[0].address") && text.contains("soma.potential"), "{text}");
    let text = one(Probe::new("soma.potential", StreamKind::Raster));
    assert!(text.contains("carries potentials") && text.contains("spikes"), "{text}");
    let far =
        Probe { units: Some(Units::These(vec![11])), ..Probe::new("soma.potential", StreamKind::Trace) };
    assert!(one(far).contains("from 0 to 10"));
    let text = one(Probe { groups: Some(2), ..Probe::new("soma.potential", StreamKind::Trace) });
    assert!(text.contains("groups") && text.contains("summary alone"), "{text}");
    assert!(one(Probe { stride: Some(0), ..Probe::new("*", StreamKind::Raster) }).contains("at least 1"));

    let raster = Measurement::new("m", vec![Probe::new("out_spikes", StreamKind::Raster)]);
    assert!(error(&[raster.clone(), raster.clone()]).contains("`m` again"));
    let condition = |expression: &str| {
        let trigger = Trigger::Condition { expression: expression.to_owned() };
        error(&[Measurement { trigger, ..raster.clone() }])
    };
    assert!(condition("rate(out_spike) > 1").contains("out_spikes"));
    assert!(condition("rate(out_spikes) >").contains("found the end"));
    assert!(condition("out_spikes[99] > 0").contains("below 11"));
    assert!(error(&[Measurement { name: "a b".into(), ..raster.clone() }]).contains("letters, digits"));
    assert!(error(&[Measurement { probes: Vec::new(), ..raster }]).contains("at least one probe"));
}

#[test]
fn a_measurement_that_is_refused_leaves_nothing_behind() {
    let device = Device::flex();
    let mut run = simulation(1, &Record::default(), &device);
    let mut recorder = Recorder::new(&[], run.instance_mut(), 0, 1.0, &device).unwrap();
    let good = Probe::new("out_spikes", StreamKind::Raster);
    let slip = Probe::new("soma.potentail", StreamKind::Trace);
    let half = Measurement::new("m", vec![good.clone(), slip]);
    assert!(recorder.add(half, run.instance_mut(), &device).is_err());
    assert!(recorder.streams().is_empty());
    recorder.add(Measurement::new("m", vec![good]), run.instance_mut(), &device).unwrap();
    assert_eq!(recorder.streams().len(), 1);
}

#[test]
fn presets_find_something_in_every_neuron() {
    for preset in Preset::ALL {
        let (windows, _) = recorded(&[preset.measurement()], 5, |_, _| {});
        assert!(!windows.is_empty(), "{preset}");
    }
    assert!("weight".parse::<Preset>().unwrap_err().to_string().contains("weights"));
}

#[test]
fn measurements_are_read_strictly() {
    let unknown = r#"{"name": "m", "probes": [{"address": "a", "record": "trace", "unit": 3}]}"#;
    assert!(serde_json::from_str::<Measurement>(unknown).unwrap_err().to_string().contains("unknown field"));
    for preset in Preset::ALL {
        let text = serde_json::to_string(&preset.measurement()).unwrap();
        assert_eq!(serde_json::from_str::<Measurement>(&text).unwrap(), preset.measurement());
    }
}
