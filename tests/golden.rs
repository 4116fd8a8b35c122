//! What other programs computed, from recordings in `tests/golden`, or in the folder that the environment
//! variable `SPARK_GOLDEN_DIR` names.
//!
//! `surrogate/manifest.json` lists surrogate derivatives and trained networks of snnTorch, SpikingJelly and
//! Norse; a `manifest.json` beside that folder, where there is one, lists components of neurons. Every entry
//! is run on every backend; one that names something unknown is a failure.
#![recursion_limit = "256"] // The kernel compiler of the GPU backends nests its types deeply.

mod golden_support;
mod support;

use golden_support::{Case, Checked, folder, manifest, networks, surrogates};
use serde_json::Value;
use spark::prelude::Device;
use std::collections::BTreeSet;
use support::devices;

/// Runs all entries of one kind of the surrogate manifest on every backend and reports every failure.
fn run(kind: &str, check: fn(&Case, &Device) -> Checked) {
    let folder = folder().join("surrogate");
    let entries = manifest(&folder.join("manifest.json"));
    let entries: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == kind).collect();
    assert!(!entries.is_empty(), "{} lists no case of kind {kind}", folder.display());
    let devices = devices();
    let mut failures = Vec::new();
    for entry in entries {
        for (name, device) in &devices {
            if let Err(problem) = Case::read(&folder, entry).and_then(|case| check(&case, device)) {
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
fn every_kind_of_case_is_known() {
    let entries = manifest(&folder().join("surrogate/manifest.json"));
    let unknown: BTreeSet<String> = entries
        .iter()
        .filter(|entry| entry["kind"] != "surrogate" && entry["kind"] != "net")
        .map(|entry| entry["kind"].to_string())
        .collect();
    assert!(unknown.is_empty(), "unknown kinds of cases: {unknown:?}");
}

#[test]
fn every_component_is_known() {
    let path = folder().join("manifest.json");
    if !path.exists() {
        return; // These recordings hold no components.
    }
    let unknown: BTreeSet<String> = manifest(&path)
        .iter()
        .map(|entry| format!("{} of family {}", entry["component"], entry["family"]))
        .collect();
    assert!(unknown.is_empty(), "unknown components:\n{}", Vec::from_iter(unknown).join("\n"));
}
