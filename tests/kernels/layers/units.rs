//! Every kind of unit in every convention.

use super::{check, floats, network, random};
use proptest::prelude::*;
use serde_json::{Value, json};
use spark::nn::layers::{LayerState, NetworkState};
use spark::prelude::*;

fn merged(mut fields: Value, more: &Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
        fields.extend(more.clone());
    }
    fields
}

/// Spiking units that scans run, everything learned.
fn scanned() -> Vec<Value> {
    vec![
        json!({"kind": "leaky", "decay": 0.8, "learn_decay": true}),
        json!({"kind": "leaky", "decay": 0.8, "learn_decay": true, "scale_input": true}),
        json!({"kind": "lapicque", "capacitance": 4.0, "learn_resistance": true, "learn_capacitance": true}),
        json!({"kind": "integrate_and_fire"}),
        json!({"kind": "parametric", "tau": 3.0}),
        json!({"kind": "parametric", "tau": 3.0, "scale_input": false}),
        json!({"kind": "synaptic", "decay": 0.8, "current_decay": 0.6, "learn_decay": true,
               "learn_current_decay": true}),
        json!({"kind": "synaptic", "decay": 0.8, "current_decay": 0.6, "learn_decay": true, "scale_input": true,
               "current_delay": true}),
        json!({"kind": "adaptive", "decay": 0.8, "adaptation_decay": 0.9, "adaptation_strength": 0.3,
               "learn_decay": true, "learn_adaptation": true}),
    ]
}

fn conventions() -> impl Strategy<Value = Value> {
    let reset = prop_oneof![Just("subtract"), Just("zero"), Just("none")];
    let surrogate = proptest::sample::select(Surrogate::PRESETS.to_vec());
    let value = prop_oneof![Just(0.0f32), Just(-0.3), Just(0.1)];
    (reset, any::<[bool; 5]>(), value, surrogate).prop_map(
        |(reset, [delay, gradient, at_threshold, snntorch, per_unit], value, surrogate)| {
            json!({
                "reset": reset, "reset_delay": delay, "reset_gradient": gradient,
                "reset_value": if reset == "zero" { value } else { 0.0 },
                "spike_at_threshold": at_threshold, "snntorch_reset": snntorch, "per_unit": per_unit,
                "threshold": 0.7, "learn_threshold": true, "surrogate": surrogate,
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_sequence_of_units_is_a_loop_over_steps(
        units in proptest::sample::select(scanned()),
        conventions in conventions(),
    ) {
        check(&[4], &[merged(units, &conventions)], [-0.2, 1.0]);
    }

    #[test]
    fn so_is_one_of_recurrent_units(
        units in proptest::sample::select(scanned()),
        conventions in conventions(),
        all in any::<bool>(),
    ) {
        let connection = if all { "all_to_all" } else { "one_to_one" };
        let units = merged(units, &conventions);
        check(&[4], &[json!({"kind": "recurrent", "units": units, "connection": connection})], [-0.2, 1.0]);
    }
}

#[test]
fn a_sequence_of_other_units_is_a_loop_over_steps() {
    for reset in ["subtract", "zero", "none"] {
        check(
            &[4],
            &[json!({"kind": "alpha", "threshold": 0.3, "learn_decays": true, "learn_threshold": true,
                             "reset": reset})],
            [0.0, 1.0],
        );
        check(
            &[5],
            &[json!({"kind": "spiking_lstm", "units": 4, "threshold": 0.05, "learn_threshold": true,
                             "reset": reset})],
            [-1.0, 1.0],
        );
    }
    for order in [1, 4] {
        check(&[4], &[json!({"kind": "parallel", "order": order})], [0.0, 1.0]);
    }
    check(
        &[4],
        &[json!({"kind": "leaky_integrator", "learn_decay": true, "scale_input": true})],
        [-1.0, 1.0],
    );
}

#[test]
fn a_sequence_of_delayed_synapses_is_a_loop_over_steps() {
    for (max_delay, width) in [(0, 1.0), (3, 0.8), (5, 2.5), (3, 0.0)] {
        let synapses = json!({"kind": "delayed_dense", "units": 3, "max_delay": max_delay, "width": width});
        check(&[4], &[synapses, json!({"kind": "leaky", "threshold": 0.3})], [-1.0, 1.0]);
    }
}

#[test]
fn membranes_at_the_threshold_spike_where_they_should() {
    for (name, device) in crate::support::devices() {
        for (at_threshold, expected) in [(false, 0.0), (true, 1.0)] {
            let units =
                json!({"kind": "integrate_and_fire", "threshold": 1.0, "spike_at_threshold": at_threshold});
            let network = network(&[1], &[units], &device);
            let input = Tensor::<3>::from_floats([[[0.5]], [[0.5]]], &device);
            let spikes = floats(network.forward(input, None).output);
            assert_eq!(spikes, [0.0, expected], "{name}");
        }
    }
}

#[test]
fn a_sequence_starts_from_the_initial_state_unless_told_otherwise() {
    for (name, device) in crate::support::devices() {
        let layers = [json!({"kind": "recurrent", "units": {"kind": "synaptic", "threshold": 0.4}})];
        let network = network(&[4], &layers, &device);
        let input = random([12, 3, 4], [0.0, 1.0], "input", &device);
        let first = network.forward(input.clone(), None);
        let again = network.forward(input.clone(), None);
        assert_eq!(floats(first.output.clone()), floats(again.output), "{name}");

        let half = |from: usize, to: usize| input.clone().slice_dim(0, from..to);
        let one = network.forward(half(0, 5), None);
        let other = network.forward(half(5, 12), Some(one.state));
        let both = Tensor::cat(vec![one.output, other.output], 0);
        assert_eq!(floats(both), floats(first.output), "{name}");
    }
}

#[test]
#[should_panic(expected = "a state of another layer")]
fn a_state_of_another_network_is_refused() {
    let device = Device::flex();
    let network = network(&[2], &[json!({"kind": "leaky"})], &device);
    let state = NetworkState { layers: vec![LayerState::None] };
    network.forward(Tensor::ones([1, 1, 2], &device), Some(state));
}
