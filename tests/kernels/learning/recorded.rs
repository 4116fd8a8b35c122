//! Pair STDP as Brian2 computed it.

use serde_json::{Value, json};
use spark::io::TensorFile;
use std::path::PathBuf;

use super::Diagonal;
use crate::support::devices;

#[test]
fn pair_stdp_equals_that_of_brian() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/physio");
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&manifest).unwrap();
    let cases: Vec<Value> = cases.into_iter().filter(|case| case["kind"] == "plasticity").collect();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let file = TensorFile::read(&folder.join(case["file"].as_str().unwrap())).unwrap();
        let values = |name: &str| -> Vec<f32> { file.tensors[name].iter().collect() };
        let (pre, post, expected) = (values("in.pre"), values("in.post"), values("state.w"));
        let rule = &case["rule"];
        let config = json!({
            "dt": case["dt_ms"],
            "a_plus": rule["A_pre"],
            "a_minus": -rule["A_post"].as_f64().unwrap(),
            "pre_tau": rule["tau_pre_ms"],
            "post_tau": rule["tau_post_ms"],
            "w_max": rule["w_max"],
            "bounds": match rule["mode"].as_str().unwrap() {
                "add" => "hard",
                "mult" => "soft",
                other => panic!("unknown mode {other}"),
            },
        });
        let steps = case["steps"].as_u64().unwrap() as usize;
        let (units, w0) = (pre.len() / steps, rule["w0"].as_f64().unwrap() as f32);
        for (backend, device) in devices() {
            let mut pairs = Diagonal::new("PairSTDP", &config, w0, units, &device);
            let steps = if backend.starts_with("wgpu") { 60 } else { steps };
            let at = |values: &[f32], step: usize| values[step * units..(step + 1) * units].to_vec();
            for step in 0..steps - 1 {
                let found = pairs.step(&at(&pre, step), &at(&post, step), None);
                // The state of a step is recorded at its beginning.
                for (found, expected) in found.iter().zip(at(&expected, step + 1)) {
                    let what = format!("{} on {backend}, step {step}", case["file"]);
                    assert!((found - expected).abs() < 2e-6, "{what}: {found} {expected}");
                }
            }
        }
    }
}
