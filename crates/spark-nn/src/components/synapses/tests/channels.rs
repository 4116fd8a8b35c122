//! Sparse synapses with two channels against dense ones.

use super::*;
use crate::components::delays::N2NDelays;

/// A configuration of two channels.
fn channels(delays: serde_json::Value) -> serde_json::Value {
    json!({
        "units": [POST], "seed": 2, "delays": delays, "weights": {"kind": "uniform"},
        "connectivity": {"kind": "probability", "probability": 0.5},
        "tau_excitatory": 4.0, "tau_inhibitory": [6.0, 7.0, 8.0, 9.0],
    })
}

/// The weights as a kernel `[pre, post]`, and delays between the same units where there are any.
fn written_densely(connections: &SparseConnections, batch: usize) -> (Tensor<2>, Option<Running<N2NDelays>>) {
    let pattern = connections.pattern();
    let delays = connections.delays.as_ref().map(|steps| {
        let steps = pattern.to_dense(steps.val().float()).int().clamp(1, 8);
        let config: N2NDelaysConfig = config(json!({"units": [POST]}));
        let shapes = InputShapes::default().with("in_spikes", units());
        let mut delays = config.run(&shapes, batch, &context()).unwrap();
        delays.set_property("kernel", spark_core::payload::DelayKernel(steps).into()).unwrap();
        delays
    });
    (pattern.to_dense(connections.weights.val()), delays)
}

fn close(found: &[f32], expected: &[f32], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-3 * (1.0 + expected.abs()), "{what}: {found} {expected}");
    }
}

/// The values of postsynaptic units for each of their synapses.
fn by_synapse(values: [f32; POST]) -> serde_json::Value {
    values.map(|value| [value; PRE]).to_vec().into_iter().map(|row| json!(row)).collect()
}

/// Traced synapses have one time constant, so one of either sign is needed.
#[test]
fn sparse_traced_synapses_are_two_dense_ones() {
    let (device, batch) = (Device::flex(), 2);
    for delays in [json!(null), json!({"kind": "uniform"})] {
        let mut json = channels(delays);
        json["scale_excitatory"] = json!(2.0);
        json["scale_inhibitory"] = json!([3.0, 4.0, 5.0, 6.0]);
        let synapses: SparseTracedSynapsesConfig = config(json);
        let mut sparse = synapses.run(&wired(units()), batch, &context()).unwrap();
        let connections = &sparse.component().channels.connections;
        let (kernel, mut delays) = written_densely(connections, batch);
        let shape = if delays.is_some() { pairs() } else { units() };
        let signs = signs(&inhibitory(&device)).unsqueeze_dim::<2>(1);
        let mut dense = [
            (json!(4.0), json!(2.0), 1.0),
            (by_synapse([6.0, 7.0, 8.0, 9.0]), by_synapse([3.0, 4.0, 5.0, 6.0]), -1.0),
        ]
        .map(|(tau, scale, sign)| {
            let traced: TracedSynapsesConfig =
                config(json!({"units": [POST], "tau": tau, "scale": scale, "kernel": 0.0}));
            let mut traced = traced.run(&wired(shape.clone()), batch, &context()).unwrap();
            let own = signs.clone().equal_scalar(sign).float();
            traced.set_property("kernel", Kernel(kernel.clone() * own).into()).unwrap();
            traced
        });
        for step in 0..30 {
            let spikes = spikes(batch, step, &device);
            let found = currents(&mut sparse, spikes.clone());
            let arriving = match &mut delays {
                Some(delays) => delays.advance(DelayInputs { in_spikes: spikes }).out_spikes,
                None => spikes,
            };
            let [e, i] = &mut dense;
            let (e, i) = (currents(e, arriving.clone()), currents(i, arriving));
            let expected: Vec<f32> = e.iter().zip(&i).map(|(e, i)| e + i).collect();
            close(&found, &expected, &format!("step {step}"));
        }
    }
}

#[test]
fn sparse_conductances_are_dense_ones_with_most_of_them_zero() {
    let (device, batch) = (Device::flex(), 2);
    for delays in [json!(null), json!({"kind": "uniform"})] {
        let mut json = channels(delays);
        json["reversal_inhibitory"] = json!([-80.0, -75.0, -70.0, -65.0]);
        json["soma_potential_rest"] = json!(-60.0);
        let mut plain = json.clone();
        for field in ["delays", "weights", "connectivity"] {
            plain.as_object_mut().unwrap().remove(field);
        }
        let synapses: SparseConductanceSynapsesConfig = config(json);
        let mut sparse = synapses.run(&conductances(units()), batch, &context()).unwrap();
        let connections = &sparse.component().channels.connections;
        let (kernel, mut delays) = written_densely(connections, batch);
        let shape = if delays.is_some() { pairs() } else { units() };
        let dense: ConductanceSynapsesConfig = config(plain);
        let mut dense = dense.run(&conductances(shape), batch, &context()).unwrap();
        dense.set_property("kernel", Kernel(kernel).into()).unwrap();
        for step in 0..30 {
            let spikes = spikes(batch, step, &device);
            let plane = random::uniform([batch, POST], Stream::new(3, 0, step), &device);
            let potential = Potentials(plane * 10.0);
            let inputs = ConductanceInputs { spikes: spikes.clone(), potential: potential.clone() };
            let found = values(sparse.advance(inputs).currents.0);
            let arriving = match &mut delays {
                Some(delays) => delays.advance(DelayInputs { in_spikes: spikes }).out_spikes,
                None => spikes,
            };
            let inputs = ConductanceInputs { spikes: arriving, potential };
            close(&found, &values(dense.advance(inputs).currents.0), &format!("step {step}"));
        }
    }
}

#[test]
fn gradients_reach_the_weights_and_scales_of_channels() {
    let device = Device::flex().autodiff();
    for delays in [json!(null), json!(1)] {
        let mut json = channels(delays);
        json["tau_inhibitory"] = json!(6.0);
        let config: SparseTracedSynapsesConfig = config(json);
        let mut synapses = config.build(&wired(units()), &Context::new("synapses", &device)).unwrap();
        let channels = &mut synapses.channels;
        channels.connections.weights = channels.connections.weights.clone().set_require_grad(true);
        channels.scale_inhibitory = channels.scale_inhibitory.clone().set_require_grad(true);
        let (weights, scale) = (channels.connections.weights.clone(), channels.scale_inhibitory.clone());
        let mut synapses = Running::new(synapses, wired(units()), 1);
        let mut current = || {
            let spikes = Spikes::new(Tensor::ones([1, PRE], &device));
            let spikes = spikes.with_inhibitory(Some(inhibitory(&device)));
            synapses.advance(SynapseInputs { spikes }).currents.0
        };
        current();
        let gradients = current().sum().backward();
        // Each synapse adds once or twice to a current that decays in one step by exp(−1/τ).
        let signs: Vec<f32> = signs(&inhibitory(&Device::flex())).into_data().iter().collect();
        let sources = synapses.component().channels.connections.sources.val().into_data();
        let twice = if synapses.component().channels.connections.delays.is_some() { 0.0 } else { 1.0 };
        let expected: Vec<f32> = sources
            .iter::<i64>()
            .map(|source| signs[source as usize])
            .map(|sign| {
                sign * (1.0 + twice * if sign > 0.0 { (-0.25f32).exp() } else { (-1.0f32 / 6.0).exp() })
            })
            .collect();
        let found: Vec<f32> = weights.grad(&gradients).unwrap().into_data().iter().collect();
        close(&found, &expected, "weights");
        let by_weight = found.iter().zip(weights.val().into_data().iter::<f32>().collect::<Vec<_>>());
        let inhibiting: f32 = by_weight.filter(|(found, _)| **found < 0.0).map(|(found, w)| found * w).sum();
        close(&[scale.grad(&gradients).unwrap().into_scalar::<f32>()], &[inhibiting], "scale");
    }
}
