//! What the Python framework calls things.

use spark_core::component::Family;
use spark_core::parameter::Distribution;

/// Fields that components have here and not there.
pub(super) const OWN_FIELDS: [&str; 2] = ["gradient", "inputs"];

/// What version 1.2.2 knows; other components can be written, but only be read here.
const KNOWN: [&str; 46] = [
    "ALIFNeuron",
    "AdExNeuron",
    "AdaptiveExponentialSoma",
    "AdaptiveIzhikevichSoma",
    "AdaptiveLeakySoma",
    "BTSPRule",
    "Brain",
    "Concat",
    "ConcatReshape",
    "CoupledAdaptiveExponentialSoma",
    "CoupledLeakySoma",
    "ExponentialIntegrator",
    "ExponentialSoma",
    "HebbianRule",
    "IzhikevichSoma",
    "LIFNeuron",
    "LeakyDendrite",
    "LeakySoma",
    "LinearSpiker",
    "LinearSynapses",
    "ModulatedHebbianRule",
    "ModulatedOjaRule",
    "ModulatedQuadrupletRule",
    "ModulatedZenkeRule",
    "N2NDelays",
    "NDelays",
    "Neuron",
    "OjaRule",
    "PoissonSpiker",
    "QuadrupletRule",
    "RDTracedSynapses",
    "RDTracer",
    "RFSTracedSynapses",
    "RFSTracer",
    "RUShortTermPlasticity",
    "RUTracer",
    "Sampler",
    "SaturableTracer",
    "SignalAccumulator",
    "SignalAverage",
    "TanhIntegrator",
    "TopologicalLinearSpiker",
    "TopologicalPoissonSpiker",
    "TracedSynapses",
    "Tracer",
    "ZenkeRule",
];

/// Whether the Python framework has a component of this name.
pub(super) fn known(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// A name as model files write it: an underscore before a capital that starts a word after a small letter, or
/// after an acronym. Digits belong to the acronym that they stand in.
pub(super) fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut text = String::with_capacity(name.len() + 4);
    for (place, letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).map(|before| letters[before]);
        let next_small = letters.get(place + 1).is_some_and(|next| next.is_ascii_lowercase());
        let starts = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase() || (before.is_ascii_uppercase() && next_small)
            });
        if starts {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// The part of the registry that a family of modules is in.
pub(super) fn subregistry(family: Family) -> &'static str {
    match family {
        Family::InputInterface | Family::OutputInterface | Family::Control => "Interfaces",
        Family::Neuron => "Neurons",
        Family::Brain => "Brains",
        _ => "Components",
    }
}

/// What follows the name of a distribution in that of its initializer's configuration.
const INITIALIZER: &str = "_initializer_config";

/// The configuration of an initializer.
pub(super) fn initializer_config(kind: &str) -> String {
    format!("{kind}{INITIALIZER}")
}

/// The distribution of an initializer's configuration, with its name here.
pub(super) fn distribution(config: &str) -> Result<(&str, Distribution), String> {
    let name = |kind: &Distribution| serde_json::to_value(kind).ok()?.as_str().map(str::to_owned);
    let known = || Distribution::ALL.iter().filter_map(name).map(|kind| initializer_config(&kind));
    let kind = config.strip_suffix(INITIALIZER);
    let found = kind.and_then(|kind| Some((kind, serde_json::from_value(kind.into()).ok()?)));
    found.ok_or_else(|| format!("one of {}", known().collect::<Vec<_>>().join(", ")))
}

/// Fields of a distribution beside its scale and its bounds, with their defaults.
pub(super) fn fields(kind: Distribution) -> &'static [(&'static str, f64)] {
    use Distribution as D;
    match kind {
        D::Constant | D::Uniform => &[],
        D::SparseUniform | D::NormalizedSparseUniform => &[("density", 0.2)],
        D::Normal | D::LogNormal => &[("mu", 0.0), ("sigma", 1.0)],
        D::SparseNormal | D::SparseLogNormal => &[("density", 0.2), ("mu", 0.0), ("sigma", 1.0)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spark_core::registry;
    use spark_nn as _;

    #[test]
    fn names_are_written_as_the_samples_write_them() {
        let names = [
            ("N2NDelays", "n2n_delays"),
            ("NDelays", "n_delays"),
            ("ALIFNeuron", "alif_neuron"),
            ("AdExNeuron", "ad_ex_neuron"),
            ("RDTracedSynapses", "rd_traced_synapses"),
            ("RUShortTermPlasticity", "ru_short_term_plasticity"),
            ("BTSPRule", "btsp_rule"),
            ("PairSTDP", "pair_stdp"),
            ("TopologicalLinearSpiker", "topological_linear_spiker"),
        ];
        for (name, written) in names {
            assert_eq!(snake_case(name), written);
        }
    }

    #[test]
    fn every_registered_name_is_found_as_it_is_written() {
        for component in registry::all() {
            let aliases = component.aliases.iter().map(|alias| alias.name);
            for name in aliases.chain([component.name]) {
                let found = registry::find_snake_case(&snake_case(name)).unwrap().0;
                assert_eq!(found.name, component.name, "{name}");
            }
        }
        for name in KNOWN {
            assert_eq!(registry::find(name).unwrap().0.name, name);
        }
    }

    #[test]
    fn initializers_are_known_by_their_distribution() {
        let (kind, distribution) = distribution("log_normal_initializer_config").unwrap();
        assert_eq!((kind, distribution), ("log_normal", Distribution::LogNormal));
        for wrong in ["uniform", "unifrm_initializer_config", "_initializer_config"] {
            assert!(super::distribution(wrong).unwrap_err().contains("sparse_uniform_initializer_config"));
        }
    }
}
