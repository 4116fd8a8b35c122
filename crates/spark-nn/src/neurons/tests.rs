//! Neurons run over inputs, and swept over settings.

use burn::tensor::{Device, TensorData};
use spark_core::component::Context;
use spark_core::model::{Model, Sweep};
use spark_core::payload::{PayloadKind, Shape};
use spark_core::ports::InputShapes;
use spark_core::registry::AnyConfig;
use spark_core::simulation::{Drive, Drives, Record, Simulation, SimulationError};

fn model() -> Model {
    let mut neuron = super::lif();
    (neuron.units, neuron.seed) = (vec![4], Some(3));
    Model::of(&neuron as &dyn AnyConfig).unwrap()
}

fn simulation(model: &Model, drive: Drive, record: &Record) -> Result<Simulation, SimulationError> {
    let device = Device::flex();
    let shapes = InputShapes::default().with("in_spikes", Shape::new(PayloadKind::Spikes, &[3]));
    let drives = Drives::new(&shapes, &[("in_spikes".to_owned(), drive)], &device).unwrap();
    Simulation::new(model, drives, record, &Context::new("", &device))
}

fn strong() -> Model {
    let mut model = model();
    model.set(&"synapses.kernel".parse().unwrap(), &3000.into()).unwrap();
    model
}

#[test]
fn rates_follow_from_the_spikes_that_are_kept() {
    let record = Record { outputs: true, planes: vec!["soma.potential".parse().unwrap()] };
    let mut run = simulation(&strong(), Drive::Constant(1.0), &record).unwrap();
    assert_eq!(run.run(600, |_, _| true).unwrap(), 600);
    let activity = run.activity();
    let [spikes] = activity.as_slice() else { panic!("one output") };
    let kept = run.record();
    let count: f32 = kept["out_spikes"].iter::<f32>().sum();
    assert!(count > 0.0);
    assert_eq!(spikes.spikes, Some(count as u64));
    assert!((spikes.rate.unwrap() - f64::from(count) / (4.0 * 0.6)).abs() < 1e-9);
    assert_eq!(kept["out_spikes"].shape().to_vec(), [600, 4]);
    assert_eq!(kept["soma.potential"].shape().to_vec(), [600, 4]);
}

#[test]
fn a_run_that_was_stopped_goes_on_where_it_was() {
    let record = Record { outputs: true, planes: Vec::new() };
    let rows: Vec<f32> = (0..900).map(|at| f32::from(u8::from(at % 7 < 3))).collect();
    let sequence = Drive::Sequence(rows);
    let mut whole = simulation(&strong(), sequence.clone(), &record).unwrap();
    whole.run(300, |_, _| true).unwrap();
    let mut parts = simulation(&strong(), sequence, &record).unwrap();
    assert_eq!(parts.run(300, |done, _| done < 17).unwrap(), 17);
    parts.run(300, |_, _| true).unwrap();
    let spikes = |run: &Simulation| -> TensorData { run.record().remove("out_spikes").unwrap() };
    assert_eq!(spikes(&whole), spikes(&parts));
    assert!(matches!(parts.run(301, |_, _| true), Err(SimulationError::Short { found: 300, expected: 301 })));
}

#[test]
fn what_is_not_there_cannot_be_kept() {
    let record = Record { outputs: false, planes: vec!["soma.potentials".parse().unwrap()] };
    let error = simulation(&model(), Drive::Constant(0.0), &record).err().unwrap().to_string();
    assert!(error.contains("soma.potential,"), "{error}");
}

#[test]
fn a_sweep_is_the_product_of_all_values() {
    let settings = ["soma.threshold=-45,-40", "**.cooldown=2"].map(|text| text.parse().unwrap()).to_vec();
    let sweep = Sweep { settings, seeds: vec![7, 8] };
    let variants = sweep.variants(&model()).unwrap();
    assert_eq!(variants.len(), sweep.count());
    let found: Vec<_> = variants
        .iter()
        .map(|one| {
            let soma = &one.model.config.module("soma").unwrap().config.fields;
            (soma["threshold"].as_i64().unwrap(), soma["cooldown"].as_i64().unwrap(), one.seed.unwrap())
        })
        .collect();
    assert_eq!(found, [(-45, 2, 7), (-45, 2, 8), (-40, 2, 7), (-40, 2, 8)]);
    assert!(variants.iter().all(|one| one.model.config.fields["seed"] == one.seed.unwrap()));
    let wrong = Sweep { settings: vec!["soma.treshold=1".parse().unwrap()], seeds: Vec::new() };
    assert!(wrong.variants(&model()).is_err());
}

#[test]
fn the_schema_of_models_refers_to_what_is_there_alone() {
    fn references(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(|path| path.as_str()).map(str::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            serde_json::Value::Array(entries) => entries.iter().for_each(|entry| references(entry, found)),
            _ => {}
        }
    }
    let schema = spark_core::model::schema();
    let mut found = Vec::new();
    references(&schema, &mut found);
    assert!(found.len() > 50);
    for path in found {
        assert!(schema.pointer(path.trim_start_matches('#')).is_some(), "{path}");
    }
    assert_eq!(schema["$defs"]["LeakySoma"]["properties"]["threshold"]["unit"], "mV");
}
