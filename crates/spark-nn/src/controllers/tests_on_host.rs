//! Work on the host gives what work with tensors gives.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use serde_json::{Value, json};
use spark_core::component::{Context, Instance};
use spark_core::model::Model;
use spark_core::payload::{Floats, Payload, PayloadKind, Shape, Spikes};
use spark_core::ports::{InputShapes, PortValues};
use spark_core::state::Saved;

use super::{Controller, NeuronConfig};

const INPUTS: usize = 13;
const UNITS: usize = 37;

/// What a neuron is made of.
#[derive(Clone, Debug)]
struct Design {
    delays: bool,
    synapses: &'static str,
    soma: &'static str,
    rule: Option<&'static str>,
    inhibitory: f32,
    recurrent: bool,
    seed: u64,
}

impl Design {
    fn config(&self) -> Value {
        let spikes = match self.recurrent {
            true => json!(["__call__.in_spikes", "soma.spikes"]),
            false => json!(["__call__.in_spikes"]),
        };
        let arriving = if self.delays { json!("delays.out_spikes") } else { spikes.clone() };
        let mut modules = Vec::new();
        if self.delays {
            let config = json!({ "max_delay": 5.0 });
            modules.push(json!({ "name": "delays", "module": "N2NDelays", "inputs": { "in_spikes": spikes }, "config": config }));
        }
        // A current that lasts adds up.
        let scale = if self.synapses == "LinearSynapses" { 300.0 } else { 60.0 };
        let kernel = json!({ "kind": "uniform", "scale": scale });
        let mut synapses = json!({
            "name": "synapses", "module": self.synapses, "inputs": { "spikes": arriving },
            "config": { "kernel": kernel },
        });
        if self.rule.is_some() {
            synapses["effects"] = json!({ "kernel": "plasticity.kernel" });
        }
        modules.push(synapses);
        modules.push(json!({
            "name": "soma", "module": self.soma, "inputs": { "current": "synapses.currents" },
            "outputs": { "out_spikes": "spikes" },
            "config": { "potential_tau": 10.0, "resistance": 0.5, "cooldown": 2.0, "threshold_delta": 5.0 },
        }));
        if let Some(rule) = self.rule {
            let mut inputs = json!({
                "pre_spikes": arriving, "post_spikes": "soma.spikes", "kernel": "synapses#kernel",
            });
            if rule.starts_with("Modulated") {
                inputs["modulation"] = json!("__call__.modulation");
            }
            // Weights start within their bounds: out of them, it depends on the path when they are clipped.
            let config = match rule.contains("Quadruplet") {
                true => json!({ "eta": 0.5, "max_clip": [340.0, 330.0, 320.0, 310.0] }),
                false => json!({ "eta": 0.5 }),
            };
            modules.push(json!({ "name": "plasticity", "module": rule, "inputs": inputs, "config": config }));
        }
        json!({ "units": [UNITS], "inhibitory_rate": self.inhibitory, "seed": self.seed, "modules": modules })
    }

    fn build(&self, device: &Device) -> Controller {
        let mut wired = InputShapes::default().with("in_spikes", Shape::new(PayloadKind::Spikes, &[INPUTS]));
        if self.is_modulated() {
            wired = wired.with("modulation", Shape::new(PayloadKind::Floats, &[1]));
        }
        let settings = serde_json::from_value(self.config()).unwrap();
        let config = NeuronConfig::from_settings("Neuron", settings).unwrap();
        config.build(&wired, 1, &Context::new("", device)).unwrap()
    }

    fn is_modulated(&self) -> bool {
        self.rule.is_some_and(|rule| rule.starts_with("Modulated"))
    }
}

fn design() -> impl Strategy<Value = Design> {
    let rules = [
        None,
        Some("HebbianRule"),
        Some("ModulatedHebbianRule"),
        Some("QuadrupletRule"),
        Some("ModulatedQuadrupletRule"),
    ];
    (
        any::<bool>(),
        prop::sample::select(vec!["LinearSynapses", "TracedSynapses"]),
        prop::sample::select(vec!["AdaptiveLeakySoma", "AdaptiveExponentialSoma"]),
        prop::sample::select(rules.to_vec()),
        prop::sample::select(vec![0.0f32, 0.3]),
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(delays, synapses, soma, rule, inhibitory, recurrent, seed)| Design {
            delays,
            synapses,
            soma,
            rule,
            inhibitory,
            recurrent,
            seed: seed >> 12,
        })
}

/// Inputs of a step, different in every one; the third factor is nothing for long, then of either sign.
fn inputs(design: &Design, step: usize, device: &Device) -> PortValues {
    let noise =
        |place: usize| (design.seed as usize ^ (step * 131 + place * 37 + 7)).wrapping_mul(0x9E37_79B9) >> 7;
    let spikes = (0..INPUTS).map(|place| if noise(place) % 100 < 6 { 1.0 } else { 0.0 }).collect();
    let plane = |values: Vec<f32>| {
        let count = values.len();
        Tensor::<2>::from_data(TensorData::new(values, [1, count]), device)
    };
    let mut ports = PortValues::default();
    ports.put("in_spikes", Spikes::new(plane(spikes)));
    if design.is_modulated() {
        let factor = match step % 130 {
            0..40 => 1.0,
            40..60 => -0.5,
            60..70 => 0.0,
            70..75 => 0.25,
            _ => 0.0,
        };
        ports.put("modulation", Floats(plane(vec![factor])));
    }
    ports
}

fn spikes(outputs: &PortValues) -> Vec<f32> {
    let Some(Payload::Spikes(spikes)) = outputs.get("out_spikes") else { panic!("spikes") };
    spikes.units().unwrap().into_data().try_to_vec().unwrap()
}

fn assert_close(found: &Saved, expected: &Saved) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (path, expected) in expected {
        let pairs = found[path].iter::<f32>().zip(expected.iter::<f32>());
        for (found, expected) in pairs {
            assert!(
                (found - expected).abs() <= 1e-4 * expected.abs().max(1.0),
                "{path}: {found}, {expected}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Spikes are the same, states equal to rounding; looking at it in between changes nothing, and who goes on
    /// from a saved state goes on the same way.
    #[test]
    fn the_host_gives_what_tensors_give(design in design()) {
        // Devices for gradients do not enter the host.
        let (host, tensors) = (Device::flex(), Device::flex().autodiff());
        let (mut one, mut other) = (design.build(&host), design.build(&tensors));
        let mut undisturbed = design.build(&host);
        let mut total = 0.0;
        let mut saved = None;
        for step in 0..400 {
            let found = spikes(&one.step(inputs(&design, step, &host)).unwrap());
            let expected = spikes(&other.step(inputs(&design, step, &tensors)).unwrap());
            prop_assert_eq!(&found, &expected, "step {}", step);
            undisturbed.step(inputs(&design, step, &host)).unwrap();
            total += found.iter().sum::<f32>();
            if step % 67 == 66 {
                assert_close(&one.save(), &other.save());
            }
            if step == 300 {
                saved = Some(one.save());
            }
        }
        // Without delays, a rule hears recurrent spikes a step before the synapses do.
        let apart = design.recurrent && design.rule.is_some() && !design.delays;
        prop_assert_eq!([one.is_on_host(), other.is_on_host()], [!apart, false]);
        prop_assert!(total > 0.0, "the neuron is silent");
        prop_assert_eq!(one.save(), undisturbed.save());
        let mut again = design.build(&host);
        again.restore(&saved.unwrap()).unwrap();
        for step in 301..400 {
            again.step(inputs(&design, step, &host)).unwrap();
        }
        prop_assert_eq!(one.save(), again.save());
        one.reset();
        prop_assert!(!one.is_on_host());
    }
}

/// What is written from outside counts from the next step on.
#[test]
fn a_kernel_written_from_outside_is_used() {
    let design = Design {
        delays: true,
        synapses: "TracedSynapses",
        soma: "AdaptiveLeakySoma",
        rule: Some("HebbianRule"),
        inhibitory: 0.0,
        recurrent: false,
        seed: 1,
    };
    let device = Device::flex();
    let mut neuron = design.build(&device);
    for step in 0..100 {
        neuron.step(inputs(&design, step, &device)).unwrap();
    }
    assert!(neuron.is_on_host());
    let Payload::Kernel(kernel) = neuron.property("synapses.kernel").unwrap() else { panic!("a kernel") };
    let silence = spark_core::payload::Kernel(kernel.0.zeros_like());
    neuron.set_property("synapses.kernel", silence.into()).unwrap();
    neuron.reset();
    let total: f32 = (0..30)
        .map(|step| spikes(&neuron.step(inputs(&design, step, &device)).unwrap()).iter().sum::<f32>())
        .sum();
    assert_eq!(total, 0.0);
    let Payload::Kernel(kernel) = neuron.property("synapses.kernel").unwrap() else { panic!("a kernel") };
    assert_eq!(kernel.0.sum().into_scalar::<f32>(), 0.0);
}

/// A rule that hears other spikes than the synapses, or hears them at another time, has weights as tensors.
#[test]
fn what_cannot_be_shared_stays_with_tensors() {
    let neuron = |pre_spikes: Value| {
        let config = json!({
            "units": [4],
            "modules": [
                { "name": "synapses", "module": "LinearSynapses",
                  "inputs": { "spikes": ["__call__.in_spikes", "soma.spikes"] },
                  "effects": { "kernel": "plasticity.kernel" },
                  "config": { "kernel": { "kind": "uniform", "scale": 400.0 } } },
                { "name": "soma", "module": "LeakySoma", "inputs": { "current": "synapses.currents" },
                  "outputs": { "out_spikes": "spikes" } },
                { "name": "plasticity", "module": "HebbianRule",
                  "inputs": { "pre_spikes": pre_spikes, "post_spikes": "soma.spikes", "kernel": "synapses#kernel" } },
            ],
        });
        let wired = InputShapes::default().with("in_spikes", Shape::new(PayloadKind::Spikes, &[4]));
        let config = NeuronConfig::from_settings("Neuron", serde_json::from_value(config).unwrap()).unwrap();
        config.build(&wired, 1, &Context::new("", &Device::flex())).unwrap()
    };
    // The rule runs after the soma, so what it hears is a step newer than what the synapses heard.
    let mut later = neuron(json!(["__call__.in_spikes", "soma.spikes"]));
    let mut other_order = neuron(json!(["soma.spikes", "__call__.in_spikes"]));
    for neuron in [&mut later, &mut other_order] {
        let mut ports = PortValues::default();
        ports.put("in_spikes", Spikes::new(Tensor::ones([1, 4], &Device::flex())));
        neuron.step(ports).unwrap();
        assert!(!neuron.is_on_host());
    }
}

/// Pools inside a brain go to the host with it, and their states are read through it.
#[test]
fn a_brain_and_its_pools_work_on_the_host() {
    let pool = |name: &str, from: Value, rate: f32| {
        let design = Design {
            delays: true,
            synapses: "TracedSynapses",
            soma: "AdaptiveLeakySoma",
            rule: Some("QuadrupletRule"),
            inhibitory: rate,
            recurrent: false,
            seed: 5,
        };
        json!({ "name": name, "module": "Neuron", "inputs": { "in_spikes": from }, "config": design.config() })
    };
    let brain = json!({
        "seed": 3, "inputs": { "signal": [6] },
        "modules": [
            { "name": "spiker", "module": "TopologicalLinearSpiker", "inputs": { "signal": "__call__.signal" },
              "config": { "resolution": 8, "max_freq": 150.0 } },
            pool("a", json!(["spiker.spikes", "a.out_spikes", "b.out_spikes"]), 0.0),
            pool("b", json!(["a.out_spikes", "spiker.spikes"]), 1.0),
            { "name": "sampler", "module": "PopulationRateDecoder", "inputs": { "spikes": "a.out_spikes" },
              "outputs": { "rate": "signal" } },
            { "name": "readout", "module": "ExponentialIntegrator", "inputs": { "spikes": "a.out_spikes" },
              "outputs": { "action": "signal" }, "config": { "num_outputs": 2 } },
        ],
    });
    let model: Model =
        serde_json::from_value(json!({ "spark": 1, "module": "Brain", "config": brain })).unwrap();
    let run = |device: &Device| {
        let inputs = model.declared_inputs().unwrap();
        let mut brain = model.build(&inputs, 1, &Context::new("", device)).unwrap();
        let mut seen = Vec::new();
        for step in 0..300 {
            let signal: Vec<f32> =
                (0..6).map(|entry| 0.5 + 0.5 * ((step / 50 + entry) as f32).sin()).collect();
            let mut ports = PortValues::default();
            ports.put("signal", Floats(Tensor::from_data(TensorData::new(signal, [1, 6]), device)));
            let outputs = brain.step(ports).unwrap();
            let value = |name: &str| match outputs.get(name) {
                Some(Payload::Floats(Floats(value))) => value.to_data().iter::<f32>().collect::<Vec<f32>>(),
                other => panic!("{other:?}"),
            };
            seen.push([value("rate"), value("action")].concat());
        }
        (seen, brain.save(), brain.property("a.soma.potential").unwrap())
    };
    let (found, expected) = (run(&Device::flex()), run(&Device::flex().autodiff()));
    assert!(found.0.iter().flatten().any(|value| *value > 0.0), "the brain is silent");
    for (found, expected) in found.0.iter().flatten().zip(expected.0.iter().flatten()) {
        assert!((found - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{found}, {expected}");
    }
    assert_close(&found.1, &expected.1);
    let potential = |payload: Payload| match payload {
        Payload::Potentials(potentials) => potentials.0.into_data().iter::<f32>().collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(potential(found.2), found.1["a.soma.potential"].iter::<f32>().collect::<Vec<_>>());
}
