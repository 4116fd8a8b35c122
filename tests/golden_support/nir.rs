//! Networks out of NIR graphs.

use serde_json::Value;
use spark::burn::tensor::TensorData;
use spark::io::TensorFile;
use spark::prelude::*;
use spark::train::nir::{NirOptions, export_nir, import_nir, read_nir};
use std::path::Path;

use super::Checked;

/// Reads a graph, runs it on the recorded input and compares what leaves, then does the same with what is written
/// of it.
pub fn check(folder: &Path, entry: &Value, device: &Device) -> Checked {
    let text = |field: &str| entry[field].as_str().ok_or_else(|| format!("{entry} has no {field}"));
    let dt = entry["dt_s"].as_f64().ok_or_else(|| format!("{entry} has no dt_s"))?;
    let options = NirOptions { dt, ..Default::default() };
    let recorded = TensorFile::read(&folder.join(text("expected")?)).map_err(|error| error.to_string())?;
    let tensor = |name: &str| recorded.tensors.get(name).ok_or_else(|| format!("no tensor {name}"));
    let expected = tensor("spikes").or_else(|_| tensor("y"))?;
    let expected: Vec<f32> = expected.iter().collect();

    let imported = read_nir(&folder.join(text("file")?), &options).map_err(|error| error.to_string())?;
    let network = imported.network(device).map_err(|problems| problems.to_string())?;
    let x = tensor("x")?;
    let shape = x.shape().to_vec();
    // Without a batch axis where the shape has none.
    let batch = if shape.len() == imported.config.input.len() + 2 { shape[1] } else { 1 };
    let numbers = x.iter::<f32>().collect::<Vec<_>>();
    let x = TensorData::new(numbers, [shape[0], batch, imported.config.inputs()]);
    let run = |network: &Network| -> Vec<f32> {
        let output = network.forward(Tensor::from_data(x.clone(), device), None).output;
        output.into_data().iter().collect()
    };
    let found = run(&network);
    let differ = found.iter().zip(&expected).filter(|(found, expected)| found != expected).count();
    if found.len() != expected.len() {
        return Err(format!("found {} numbers, expected {}", found.len(), expected.len()));
    }
    if entry["note"].as_str().is_some_and(|note| note.contains("KNOWN LOSS")) {
        // The file does not say how this network resets; a reader can only warn.
        let warned = imported.warnings.iter().any(|warning| warning.contains("subtraction"));
        return warned.then_some(()).ok_or_else(|| "no warning of a reset that got lost".to_owned());
    }
    if differ > 0 {
        return Err(format!("{differ} of {} numbers differ", found.len()));
    }
    let exported = export_nir(&imported.config, &network, &options)?;
    let again = import_nir(&exported.graph, &options)?;
    let again = again.network(device).map_err(|problems| problems.to_string())?;
    if run(&again) == found { Ok(()) } else { Err("what was written of it differs".to_owned()) }
}
