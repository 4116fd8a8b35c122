//! What the reference calls components is found here under the same names.

use serde_json::{Value, json};
use spark_core::registry;

/// Components of the reference, with the names that its model files write for some of them.
const NAMES: [(&str, &str); 41] = [
    ("AdaptiveExponentialSoma", "adaptive_exponential_soma"),
    ("AdaptiveIzhikevichSoma", "adaptive_izhikevich_soma"),
    ("AdaptiveLeakySoma", "adaptive_leaky_soma"),
    ("BTSPRule", "btsp_rule"),
    ("Concat", "concat"),
    ("ConcatReshape", "concat_reshape"),
    ("CoupledAdaptiveExponentialSoma", "coupled_adaptive_exponential_soma"),
    ("CoupledLeakySoma", "coupled_leaky_soma"),
    ("ExponentialIntegrator", "exponential_integrator"),
    ("ExponentialSoma", "exponential_soma"),
    ("HebbianRule", "hebbian_rule"),
    ("IzhikevichSoma", "izhikevich_soma"),
    ("LeakyDendrite", "leaky_dendrite"),
    ("LeakySoma", "leaky_soma"),
    ("LinearSpiker", "linear_spiker"),
    ("LinearSynapses", "linear_synapses"),
    ("ModulatedHebbianRule", "modulated_hebbian_rule"),
    ("ModulatedOjaRule", "modulated_oja_rule"),
    ("ModulatedQuadrupletRule", "modulated_quadruplet_rule"),
    ("ModulatedZenkeRule", "modulated_zenke_rule"),
    ("N2NDelays", "n2n_delays"),
    ("NDelays", "n_delays"),
    ("OjaRule", "oja_rule"),
    ("PoissonSpiker", "poisson_spiker"),
    ("QuadrupletRule", "quadruplet_rule"),
    ("RDTracedSynapses", "rd_traced_synapses"),
    ("RDTracer", "rd_tracer"),
    ("RFSTracedSynapses", "rfs_traced_synapses"),
    ("RFSTracer", "rfs_tracer"),
    ("RUShortTermPlasticity", "ru_short_term_plasticity"),
    ("RUTracer", "ru_tracer"),
    ("Sampler", "sampler"),
    ("SaturableTracer", "saturable_tracer"),
    ("SignalAccumulator", "signal_accumulator"),
    ("SignalAverage", "signal_average"),
    ("TanhIntegrator", "tanh_integrator"),
    ("TopologicalLinearSpiker", "topological_linear_spiker"),
    ("TopologicalPoissonSpiker", "topological_poisson_spiker"),
    ("TracedSynapses", "traced_synapses"),
    ("Tracer", "tracer"),
    ("ZenkeRule", "zenke_rule"),
];

/// Other names, of this version or older ones, and what they stand for.
const ALIASES: [(&str, &str, &str); 7] = [
    ("ModulatedBTSPRule", "modulated_btsp_rule", "BTSPRule"),
    ("QuadrupletRuleTensor", "quadruplet_rule_tensor", "ModulatedQuadrupletRule"),
    ("RefractoryExponentialSoma", "refractory_exponential_soma", "AdaptiveExponentialSoma"),
    ("RefractoryLeakySoma", "refractory_leaky_soma", "AdaptiveLeakySoma"),
    ("SimplifiedAdaptiveExponentialSoma", "simplified_adaptive_exponential_soma", "AdaptiveExponentialSoma"),
    ("StrictRefractoryLeakySoma", "strict_refractory_leaky_soma", "AdaptiveLeakySoma"),
    ("ThreeFactorHebbianRule", "three_factor_hebbian_rule", "ModulatedHebbianRule"),
];

#[test]
fn components_are_found_by_name_and_as_model_files_write_it() {
    for (name, written) in NAMES {
        let (found, alias) = registry::find(name).unwrap();
        assert_eq!((found.name, alias), (name, None));
        assert_eq!(registry::find_snake_case(written).unwrap().0.name, name);
    }
    let error = registry::find_snake_case("leaky_somma").unwrap_err();
    assert!(error.near.contains(&"LeakySoma"), "{error}");
}

#[test]
fn aliases_lead_to_components_whose_ports_and_fields_they_name() {
    for (name, written, meant) in ALIASES {
        let (found, alias) = registry::find(name).unwrap();
        assert_eq!((found.name, alias.unwrap().name), (meant, name));
        assert_eq!(registry::find_snake_case(written).unwrap().1, alias);
    }
    for component in registry::all() {
        for alias in component.aliases {
            let has =
                |port: &str| component.inputs.iter().chain(component.outputs).any(|spec| spec.name == port);
            for (old, new) in alias.ports {
                assert!(has(new) && !has(old), "{}: port {old} for {new}", alias.name);
            }
            registry::parse(alias.name, json!({}), alias.name).unwrap();
        }
    }
}

#[test]
fn a_strictly_refractory_soma_is_clamped_as_long_as_it_rests() {
    let strict = |config: Value| registry::parse("StrictRefractoryLeakySoma", config, "test").unwrap();
    let durations = |config: Value| {
        let config = strict(config).to_value();
        [config["cooldown"].clone(), config["clamp_duration"].clone()]
    };
    assert_eq!(durations(json!({})), [json!(2.0), json!(2.0)]);
    assert_eq!(durations(json!({ "cooldown": 5.0 })), [json!(5.0), json!(5.0)]);
    assert_eq!(durations(json!({ "clamp_duration": 1.0 })), [json!(2.0), json!(1.0)]);
    let refractory = registry::parse("RefractoryLeakySoma", json!({}), "test").unwrap().to_value();
    assert_eq!([&refractory["cooldown"], &refractory["clamp_duration"]], [&json!(2.0), &Value::Null]);
}

#[test]
fn the_reward_of_older_rules_is_a_modulation() {
    let alias = registry::find("ThreeFactorHebbianRule").unwrap().1.unwrap();
    assert_eq!(["reward", "pre_spikes"].map(|port| alias.port(port)), ["modulation", "pre_spikes"]);
}
