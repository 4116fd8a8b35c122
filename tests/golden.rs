//! What other programs computed, from recordings in `tests/golden`, or in the folder that the environment
//! variable `SPARK_GOLDEN_DIR` names.
//!
//! `surrogate/manifest.json` lists surrogate derivatives and trained networks of snnTorch, SpikingJelly and
//! Norse, `nir/manifest.json` graphs of NIR with the spikes of their nets; a `manifest.json` beside that folder, where there is one, lists components of neurons in spark-snn.
//! Every entry is run on every backend; one that names something unknown is a failure.
#![recursion_limit = "256"] // The kernel compiler of the GPU backends nests its types deeply.

mod golden_support;
mod support;

use golden_support::{
    Case, Checked, components, controllers, exchange, folder, losses, manifest, networks, nir, spark_snn,
    surrogates,
};
use serde_json::Value;
use spark::prelude::Device;
use std::collections::BTreeSet;
use std::path::Path;
use support::devices;

/// Runs all entries of one kind of the surrogate manifest on every backend and reports every failure.
fn run(kind: &str, check: fn(&Case, &Device) -> Checked) {
    let folder = folder().join("surrogate");
    let entries = manifest(&folder.join("manifest.json"));
    let entries: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == kind).collect();
    assert!(!entries.is_empty(), "{} lists no case of kind {kind}", folder.display());
    run_all(&folder, &entries, check);
}

/// Runs entries of a manifest in `folder` on every backend and reports every failure.
fn run_all(folder: &Path, entries: &[&Value], check: fn(&Case, &Device) -> Checked) {
    let devices = devices();
    let mut failures = Vec::new();
    for entry in entries {
        for (name, device) in &devices {
            if let Err(problem) = Case::read(folder, entry).and_then(|case| check(&case, device)) {
                failures.push(format!("{} on {name}: {problem}", entry["file"]));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn surrogates_have_the_derivatives_of_other_libraries() {
    run("surrogate", surrogates::check);
}

#[test]
fn networks_have_the_spikes_losses_and_gradients_of_other_libraries() {
    run("net", networks::check);
}

#[test]
fn layers_of_more_kinds_have_the_spikes_losses_and_gradients_of_other_libraries() {
    let folder = folder().join("layers");
    // A set of recordings may hold none of them.
    if folder.exists() {
        let entries = manifest(&folder.join("manifest.json"));
        run_all(&folder, &entries.iter().collect::<Vec<_>>(), networks::check);
    }
}

#[test]
fn losses_have_the_values_and_gradients_of_other_libraries() {
    let folder = folder().join("losses");
    // A set of recordings may hold none of them.
    if folder.exists() {
        let entries = manifest(&folder.join("manifest.json"));
        run_all(&folder, &entries.iter().collect::<Vec<_>>(), losses::check);
    }
}

#[test]
fn networks_of_other_libraries_come_in_with_their_spikes_and_go_out_as_they_came() {
    let folder = folder().join("exchange");
    // A set of recordings may hold none of them.
    if folder.exists() {
        let entries = manifest(&folder.join("manifest.json"));
        let failures: Vec<String> = entries
            .iter()
            .filter_map(|entry| {
                exchange::check(&folder, entry).err().map(|problem| format!("{}: {problem}", entry["file"]))
            })
            .collect();
        assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    }
}

#[test]
fn graphs_of_other_libraries_have_their_spikes() {
    let folder = folder().join("nir");
    // A set of recordings may hold none of them.
    if !folder.exists() {
        return;
    }
    let mut failures = Vec::new();
    for entry in manifest(&folder.join("manifest.json")) {
        for (name, device) in &devices() {
            if let Err(problem) = nir::check(&folder, &entry, device) {
                failures.push(format!("{} on {name}: {problem}", entry["file"]));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn brains_of_spark_snn_go_on_with_its_spikes() {
    // A set of recordings may hold none of them.
    let cases = spark_snn::cases(&folder().join("spark_snn"));
    let mut failures = Vec::new();
    for case in &cases {
        for (name, device) in &devices() {
            if let Err(problem) = spark_snn::check(case, device) {
                failures.push(format!("{} on {name}: {problem}", case[0].display()));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_kind_of_case_is_known() {
    let entries = manifest(&folder().join("surrogate/manifest.json"));
    let unknown: BTreeSet<String> = entries
        .iter()
        .filter(|entry| entry["kind"] != "surrogate" && entry["kind"] != "net")
        .map(|entry| entry["kind"].to_string())
        .collect();
    assert!(unknown.is_empty(), "unknown kinds of cases: {unknown:?}");
}

/// The recorded components, or none where a set of recordings holds no manifest of them.
fn component_entries() -> Vec<Value> {
    let path = folder().join("manifest.json");
    if path.exists() { manifest(&path) } else { Vec::new() }
}

fn family(family: &str) {
    let check = if controllers::FAMILIES.contains(&family) { controllers::check } else { components::check };
    let entries = component_entries();
    let entries: Vec<&Value> = entries.iter().filter(|entry| entry["family"] == family).collect();
    let own = std::env::var_os("SPARK_GOLDEN_DIR").is_none();
    assert!(!(own && entries.is_empty()), "no case of family {family}");
    run_all(&folder(), &entries, check);
}

#[test]
fn tracers_equal_the_reference() {
    family("tracers");
}

#[test]
fn somas_equal_the_reference() {
    family("somas");
}

#[test]
fn dendrites_equal_the_reference() {
    family("dendrites");
}

#[test]
fn synapses_equal_the_reference() {
    family("synapses");
}

#[test]
fn delays_equal_the_reference() {
    family("delays");
}

#[test]
fn plasticity_equals_the_reference() {
    family("plasticity");
}

#[test]
fn interfaces_equal_the_reference() {
    family("interfaces");
}

#[test]
fn neurons_equal_the_reference() {
    family("neurons");
}

#[test]
fn brains_equal_the_reference() {
    family("brains");
}

#[test]
fn every_component_is_known() {
    let known = |family: &Value| {
        components::FAMILIES.iter().chain(&controllers::FAMILIES).any(|known| family == known)
    };
    let entries = component_entries();
    let unknown: BTreeSet<String> = entries
        .iter()
        .filter(|entry| !known(&entry["family"]))
        .map(|entry| format!("{} of family {}", entry["component"], entry["family"]))
        .collect();
    assert!(unknown.is_empty(), "unknown components:\n{}", Vec::from_iter(unknown).join("\n"));
}
