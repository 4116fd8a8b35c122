//! Synapses with reversal potentials as Brian2 computed them.

use serde_json::{Value, json};
use spark::core::component::{Context, Instance};
use spark::core::payload::{Payload, PayloadKind, Potentials, Shape, Spikes};
use spark::core::ports::{InputShapes, PortValues};
use spark::core::registry;
use spark::prelude::*;

use crate::online::golden::{Case, simulated};
use crate::support::devices;

/// A synapse onto a leaky membrane, and how its recording calls it.
struct Recording {
    case: Case,
    post: usize,
    pre: usize,
}

impl Recording {
    fn read() -> Self {
        let case = simulated("syn_conductance_exp.safetensors");
        let [post, pre] = ["state.g", "in.spikes"].map(|tensor| case.at(tensor, 0).len());
        Self { case, post, pre }
    }

    fn instance(name: &str, config: Value, wired: &InputShapes, device: &Device) -> Box<dyn Instance> {
        let config = registry::parse(name, config, name).unwrap();
        config.instance(wired, 1, &Context::new(name, device)).unwrap()
    }

    /// The synapses; the recorded parameters are those of either sign, those of the other are far from them.
    fn synapses(&self, inhibitory: bool, device: &Device) -> Box<dyn Instance> {
        let (case, quantum) = (&self.case, self.case.number("q_nS"));
        let kernel: Vec<Vec<f32>> = case
            .values("in.weights")
            .chunks(self.pre)
            .map(|row| row.iter().map(|weight| quantum * weight).collect())
            .collect();
        let (tau, reversal) = (case.number("taus_ms"), case.number("Ee_mV"));
        let (used, other) =
            if inhibitory { ("inhibitory", "excitatory") } else { ("excitatory", "inhibitory") };
        let config = json!({
            "dt": case.dt,
            "units": [self.post],
            "kernel": kernel,
            format!("tau_{used}"): tau,
            format!("reversal_{used}"): reversal,
            format!("tau_{other}"): 50.0 * tau,
            format!("reversal_{other}"): reversal + 500.0,
            "soma_potential_rest": case.number("El_mV"),
        });
        let wired = InputShapes::default()
            .with("spikes", Shape::new(PayloadKind::Spikes, &[self.pre]))
            .with("potential", Shape::new(PayloadKind::Potentials, &[self.post]));
        Self::instance("ConductanceSynapses", config, &wired, device)
    }

    /// The membrane, which never spikes.
    fn soma(&self, device: &Device) -> Box<dyn Instance> {
        let case = &self.case;
        let (capacitance, leak) = (case.number("C_pF"), case.number("gL_nS"));
        let config = json!({
            "dt": case.dt,
            "potential_rest": case.number("El_mV"),
            "potential_tau": capacitance / leak,
            "resistance": 1.0 / leak,
            "threshold": 1000.0,
        });
        let wired = InputShapes::default().with("current", Shape::new(PayloadKind::Currents, &[self.post]));
        Self::instance("LeakySoma", config, &wired, device)
    }

    /// What arrives in a step.
    fn spikes(&self, step: usize, inhibitory: bool, device: &Device) -> Spikes {
        let mask = inhibitory.then(|| Tensor::ones([self.pre], device));
        Spikes::new(self.case.sample("in.spikes", step, device)).with_inhibitory(mask)
    }
}

fn entries(payload: &Payload) -> Vec<f32> {
    match payload {
        Payload::Currents(currents) => currents.0.clone().into_data().iter().collect(),
        Payload::Potentials(potentials) => potentials.0.clone().into_data().iter().collect(),
        other => panic!("{other:?}"),
    }
}

fn close(found: &[f32], expected: impl IntoIterator<Item = f32>, tolerance: f32, what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        let off = (found - expected).abs();
        assert!(off <= tolerance * (1.0 + expected.abs()), "{what}: {found} {expected}");
    }
}

/// Conductances and, given the recorded potential, the current into the membrane.
#[test]
fn conductances_and_currents_equal_those_of_brian() {
    let recording = Recording::read();
    let case = &recording.case;
    let (rest, reversal) = (case.number("El_mV"), case.number("Ee_mV"));
    for (backend, device) in devices() {
        let steps = if backend.starts_with("wgpu") { 60 } else { case.steps };
        for inhibitory in [false, true] {
            let mut synapses = recording.synapses(inhibitory, &device);
            let trace = if inhibitory { "inhibitory.trace" } else { "excitatory.trace" };
            // What a spike does is recorded at the beginning of the next step.
            for step in 1..steps {
                let (g, v) = (case.at("state.g", step), case.at("state.v", step));
                let mut inputs = PortValues::default();
                inputs.put("spikes", recording.spikes(step - 1, inhibitory, &device));
                inputs.put("potential", Potentials(case.sample("state.v", step, &device) - rest));
                let outputs = synapses.step(inputs).unwrap();
                let what = format!("step {step} on {backend}");
                let found: Vec<f32> = synapses.save().get(trace).unwrap().iter().collect();
                close(&found, g.iter().copied(), 2e-6, &format!("conductance, {what}"));
                let current = g.iter().zip(&v).map(|(g, v)| g * (reversal - v));
                let found = entries(outputs.get("currents").unwrap());
                close(&found, current, 1e-5, &format!("current, {what}"));
            }
        }
    }
}

/// The potential of the membrane that the synapses drive. Brian2 takes the conductance as constant during a
/// step, the soma takes the current as constant: that is the difference.
#[test]
fn the_membrane_follows_that_of_brian() {
    let recording = Recording::read();
    let case = &recording.case;
    let rest = case.number("El_mV");
    for (backend, device) in devices() {
        let steps = if backend.starts_with("wgpu") { 60 } else { case.steps };
        let (mut synapses, mut soma) = (recording.synapses(false, &device), recording.soma(&device));
        for step in 1..steps - 1 {
            let mut inputs = PortValues::default();
            inputs.put("spikes", recording.spikes(step - 1, false, &device));
            inputs.put("potential", soma.property("potential").unwrap());
            let currents = synapses.step(inputs).unwrap().get("currents").unwrap().clone();
            let mut inputs = PortValues::default();
            inputs.put("current", currents);
            soma.step(inputs).unwrap();
            for (v, expected) in
                entries(&soma.property("potential").unwrap()).iter().zip(case.at("state.v", step + 1))
            {
                let off = (v + rest - expected).abs();
                assert!(off < 3e-3, "step {step} on {backend}: {} {expected} mV", v + rest);
            }
        }
    }
}
