use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Value, json};
use spark_core::component::{Context, Instance};
use spark_core::model::{Model, Pattern, Wire};
use spark_core::payload::{Floats, Payload, PayloadKind, Shape, Spikes};
use spark_core::ports::{InputShapes, PortValues};
use spark_core::state::StateError;

fn model(config: Value, module: &str) -> Model {
    serde_json::from_value(json!({ "spark": 1, "module": module, "config": config })).unwrap()
}

/// Two pools that drive each other, a spiker in front and a readout behind.
fn two_pools() -> Model {
    model(
        json!({
            "seed": 3,
            "inputs": { "signal": [6] },
            "modules": [
                {
                    "name": "spiker", "module": "PoissonSpiker",
                    "inputs": { "signal": "__call__.signal" }, "config": { "max_freq": 200.0 },
                },
                {
                    "name": "a", "module": "LIFNeuron",
                    "inputs": { "in_spikes": ["spiker.spikes", "a.out_spikes", "b.out_spikes"] },
                    "config": {
                        "units": [8],
                        "modules": [{ "name": "synapses", "config": { "kernel": { "kind": "uniform", "scale": 900.0 } } }],
                    },
                },
                {
                    "name": "b", "module": "ALIFNeuron", "inputs": { "in_spikes": "a.out_spikes" },
                    "config": {
                        "units": [5],
                        "modules": [{ "name": "synapses", "config": { "kernel": { "kind": "uniform", "scale": 900.0 } } }],
                    },
                },
                {
                    "name": "readout", "module": "ExponentialIntegrator", "inputs": { "spikes": "b.out_spikes" },
                    "outputs": { "action": "signal" }, "config": { "num_outputs": 2 },
                },
            ],
        }),
        "Brain",
    )
}

fn build(model: &Model) -> Box<dyn Instance> {
    let inputs = model.declared_inputs().unwrap();
    model.build(&inputs, 1, &Context::new("", &Device::flex())).unwrap()
}

fn signal(step: usize) -> PortValues {
    let signal: Vec<f32> = (0..6).map(|entry| 0.5 + 0.5 * ((step + 3 * entry) as f32 * 0.1).sin()).collect();
    let mut values = PortValues::default();
    values.put("signal", Floats(Tensor::from_data(TensorData::new(signal, [1, 6]), &Device::flex())));
    values
}

fn action(outputs: &PortValues) -> Vec<f32> {
    let Some(Payload::Floats(Floats(action))) = outputs.get("action") else { panic!("an action") };
    action.clone().into_data().try_to_vec().unwrap()
}

fn problems(model: &Model) -> Vec<String> {
    let problems = model.checked().map(|_| ()).unwrap_err();
    problems.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn a_brain_steps_saves_and_goes_on_as_if_nothing_had_happened() {
    let mut brain = build(&two_pools());
    let mut actions = Vec::new();
    let mut saved = None;
    for step in 0..120 {
        if step == 60 {
            saved = Some(brain.save());
        }
        actions.push(action(&brain.step(signal(step)).unwrap()));
    }
    assert!(actions.iter().flatten().any(|value| *value > 0.0), "the brain is silent");
    let mut other = build(&two_pools());
    other.restore(&saved.unwrap()).unwrap();
    let again: Vec<_> = (60..120).map(|step| action(&other.step(signal(step)).unwrap())).collect();
    assert_eq!(again, actions[60..]);
    brain.reset();
    // Kernels have learned meanwhile; a new brain has not.
    assert_ne!(brain.save(), build(&two_pools()).save());
}

#[test]
fn a_state_of_another_brain_is_refused_and_nothing_changes() {
    let mut brain = build(&two_pools());
    brain.step(signal(0)).unwrap();
    let before = brain.save();
    let mut other = two_pools();
    other.set(&"a.units".parse().unwrap(), &json!([9])).unwrap();
    let error = brain.restore(&build(&other).save()).unwrap_err();
    assert!(error.to_string().contains('a'), "{error}");
    let mut missing = before.clone();
    missing.remove("a.soma.potential");
    assert_eq!(brain.restore(&missing), Err(StateError::Missing("a.soma.potential".to_owned())));
    assert_eq!(brain.save(), before);
}

#[test]
fn every_connection_of_a_brain_takes_one_step() {
    let accumulator = |name: &str, from: &str| {
        json!({ "name": name, "module": "SignalAccumulator", "inputs": { "signal": from },
                "outputs": { (name): "output" }, "config": { "tau": 1e9 } })
    };
    let modules = [accumulator("first", "__call__.x"), accumulator("second", "first.output")];
    let mut brain = build(&model(json!({ "inputs": { "x": [1] }, "modules": modules }), "Brain"));
    let mut step = |x: f32| {
        let mut inputs = PortValues::default();
        inputs.put("x", Floats(Tensor::full([1, 1], x, &Device::flex())));
        let outputs = brain.step(inputs).unwrap();
        ["first", "second"].map(|name| match outputs.get(name) {
            Some(Payload::Floats(Floats(value))) => value.clone().into_scalar::<f32>().round(),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!([step(1.0), step(0.0), step(0.0)], [[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]);
}

#[test]
fn what_a_brain_caches_can_be_read() {
    let inputs = two_pools().declared_inputs().unwrap();
    let settings = two_pools().complete().unwrap().config;
    let brain = super::BrainConfig::from_settings("Brain", settings).unwrap();
    let mut brain = brain.build(&inputs, 1, &Context::new("", &Device::flex())).unwrap();
    let spikes = Wire::output("spiker", "spikes");
    let found = |brain: &super::Controller| match brain.read(&spikes) {
        Some(Payload::Spikes(spikes)) => spikes.units().unwrap().sum().into_scalar::<f32>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(found(&brain), 0.0);
    let steps = brain.run(40, signal, |_, _| true).unwrap();
    assert_eq!(steps, 40);
    assert!((0..40).any(|step| {
        brain.step(signal(step)).unwrap();
        found(&brain) > 0.0
    }));
    assert!(brain.read(&Wire::output("spiker", "nothing")).is_none());
    assert!(brain.read(&Wire::property("a", "soma.potential")).is_some());
}

#[test]
fn every_mistake_is_reported_at_once_with_its_path() {
    let mut wrong = two_pools();
    wrong.config.modules[1].inputs.insert("in_spikes".to_owned(), vec!["nobody.spikes".parse().unwrap()]);
    wrong.config.modules[2].inputs.insert("in_spike".to_owned(), vec!["a.out_spikes".parse().unwrap()]);
    wrong.config.modules[3].inputs.insert("spikes".to_owned(), vec!["__call__.signal".parse().unwrap()]);
    wrong.config.modules[3].config.fields.insert("tau".to_owned(), json!(-1.0));
    let found = problems(&wrong);
    let expected = [
        "a.inputs.in_spikes: found `nobody.spikes`, a module that is not there, expected spiker, a, b, readout",
        "b.inputs.in_spike: found a port that the module does not have, expected in_spikes",
        "readout.inputs.spikes: found floats from `__call__.signal`, as another port takes it, expected spikes",
        "readout.tau: found -1, expected a number above 0",
    ];
    for line in expected {
        assert!(found.iter().any(|found| found == line), "{line}\nis not among\n{}", found.join("\n"));
    }
}

#[test]
fn names_effects_and_outputs_are_checked() {
    let mut twice = two_pools();
    twice.config.modules[2].name = "a".to_owned();
    let found = problems(&twice).join("\n");
    assert!(found.starts_with("a: found a name that another module has"), "{found}");
    let mut wrong = two_pools();
    wrong.config.modules[0].effects.insert("nothing".to_owned(), vec!["a.out_spikes".parse().unwrap()]);
    wrong.config.modules[0].outputs.insert("action".to_owned(), "spikes".to_owned());
    let found = problems(&wrong).join("\n");
    for part in [
        "spiker.effects.nothing: found a property that the module does not have",
        "readout.outputs.action: found `action`, expected a name that no other output has",
    ] {
        assert!(found.contains(part), "{part}\nis not in\n{found}");
    }
    let neuron = json!({
        "units": [2],
        "modules": [{ "name": "soma", "effects": { "potential": ["synapses.currents"] } }],
    });
    let found = problems(&model(neuron, "LIFNeuron")).join("\n");
    assert!(found.contains("soma.effects.potential: found a property that cannot be written"), "{found}");
    assert!(found.contains("currents from `synapses.currents`, expected potentials"), "{found}");
}

#[test]
fn a_loop_that_cannot_be_resolved_is_spelled_out() {
    let neuron = json!({
        "units": [2],
        "modules": [
            { "name": "a", "module": "NDelays", "inputs": { "in_spikes": "c.out_spikes" } },
            { "name": "b", "module": "NDelays", "inputs": { "in_spikes": "a.out_spikes" } },
            { "name": "c", "module": "NDelays", "inputs": { "in_spikes": "b.out_spikes" } },
        ],
    });
    let found = problems(&model(neuron, "Neuron")).join("\n");
    assert!(found.contains("the loop a → b → c → a"), "{found}");
}

#[test]
fn a_loop_through_synapses_reads_the_step_before() {
    let neuron = json!({
        "units": [1],
        "inhibitory_rate": 0.0,
        "inputs": {},
        "modules": [
            { "name": "synapses", "module": "LinearSynapses", "inputs": { "spikes": ["__call__.drive", "soma.spikes"] },
              "config": { "kernel": [[1e6, 1e6]] } },
            { "name": "soma", "module": "LeakySoma", "inputs": { "current": "synapses.currents" },
              "outputs": { "spikes": "spikes" } },
        ],
    });
    let device = Device::flex();
    let shapes = InputShapes::default().with("drive", Shape::new(PayloadKind::Spikes, &[1]));
    let mut neuron = model(neuron, "Neuron").build(&shapes, 1, &Context::new("", &device)).unwrap();
    let mut step = |drive: f32| {
        let mut inputs = PortValues::default();
        inputs.put("drive", Spikes::new(Tensor::full([1, 1], drive, &device)));
        match neuron.step(inputs).unwrap().get("spikes") {
            Some(Payload::Spikes(spikes)) => spikes.units().unwrap().into_scalar::<f32>(),
            other => panic!("{other:?}"),
        }
    };
    // One spike keeps itself going.
    assert_eq!([step(0.0), step(1.0), step(0.0), step(0.0)], [0.0, 1.0, 1.0, 1.0]);
}

#[test]
fn what_a_controller_hands_down_may_not_be_contradicted() {
    let mut wrong = two_pools();
    wrong.set(&"a.soma.dt".parse().unwrap(), &json!(0.5)).unwrap();
    let found = problems(&wrong).join("\n");
    assert!(found.contains("a.soma.dt: found 0.5, expected 1.0, as the controller hands it down"), "{found}");
    let mut right = two_pools();
    right.set(&"dt".parse().unwrap(), &json!(0.5)).unwrap();
    right.checked().unwrap();
    assert_eq!(right.get(&"a.soma.dt".parse().unwrap()).unwrap()[0].1, 0.5);
}

#[test]
fn shapes_that_do_not_fit_and_inputs_that_are_missing_are_named() {
    let device = Device::flex();
    let error = two_pools().build(&InputShapes::default(), 1, &Context::new("", &device)).unwrap_err();
    assert!(error.to_string().contains("port `signal`"), "{error}");
    let mut brain = build(&two_pools());
    let error = brain.step(PortValues::default()).unwrap_err();
    assert_eq!(error.to_string(), "port `signal`: found nothing, expected floats [6]");
    let mut wrong = PortValues::default();
    wrong.put("signal", Floats(Tensor::zeros([1, 5], &device)));
    assert_eq!(
        brain.step(wrong).unwrap_err().to_string(),
        "port `signal`: found floats [1, 5], expected [1, 6]"
    );
}

#[test]
fn seeds_decide_what_is_drawn() {
    let kernel = |model: &Model| build(model).save()["a.synapses.kernel"].clone();
    let same = two_pools();
    assert_eq!(kernel(&same), kernel(&two_pools()));
    let other = same.with_new_seeds(4);
    assert_ne!(kernel(&same), kernel(&other));
    assert_eq!(kernel(&other), kernel(&same.with_new_seeds(4)));
    let saved = build(&same).save();
    assert_ne!(saved["a.delays.kernel"], saved["b.delays.kernel"]);
}

#[test]
fn addresses_read_and_set_and_the_brief_form_means_the_same() {
    let mut model = two_pools();
    let pattern = |text: &str| text.parse::<Pattern>().unwrap();
    let set = model.set(&pattern("*.soma.threshold"), &json!(-45.0)).unwrap();
    let names: Vec<String> = set.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a.soma.threshold", "b.soma.threshold"]);
    model.set(&pattern("a.synapses.kernel.scale"), &json!(300.0)).unwrap();
    assert_eq!(
        model.get(&pattern("a.synapses.kernel")).unwrap()[0].1,
        json!({ "kind": "uniform", "scale": 300.0 })
    );
    let changes: Vec<String> = two_pools().diff(&model).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(changes.len(), 3, "{changes:?}");
    assert!(changes.contains(&"~ b.soma.threshold: -40.0 → -45.0".to_owned()), "{changes:?}");
    let brief = model.complete().unwrap().brief().unwrap();
    assert_eq!(brief.diff(&model).unwrap(), []);
    assert!(serde_json::to_string(&brief).unwrap().len() < 1500);
    let error = model.set(&pattern("*.soma.treshold"), &json!(1)).unwrap_err();
    assert!(error.to_string().starts_with("no field matches"), "{error}");
}

#[test]
fn inhibitory_units_are_as_many_as_the_rate_says_and_reach_the_soma() {
    for (rate, count) in [(0.0, 0.0), (0.25, 2.0), (1.0, 8.0)] {
        let mut model = two_pools();
        model.set(&"a.inhibitory_rate".parse().unwrap(), &json!(rate)).unwrap();
        let brain = build(&model);
        let Payload::Mask(mask) = brain.property("a.inhibition_mask").unwrap() else { panic!("a mask") };
        assert_eq!(mask.0.dims(), [8]);
        assert_eq!(mask.0.sum().into_scalar::<f32>(), count);
    }
}
