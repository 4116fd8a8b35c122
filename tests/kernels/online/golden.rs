//! Reading of the recorded runs.

use serde_json::Value;
use spark::burn::tensor::{Tensor, TensorData};
use spark::io::TensorFile;
use spark::prelude::Device;
use std::path::PathBuf;

/// One recorded run of a component.
pub struct Case {
    pub name: String,
    pub component: String,
    pub dt: f32,
    pub steps: usize,
    config: Value,
    file: TensorFile,
}

/// All recorded runs of a family.
pub fn cases(family: &str) -> Vec<Case> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&manifest).unwrap();
    let cases = cases.into_iter().filter(|case| case["family"] == family);
    cases
        .map(|case| {
            let name = case["file"].as_str().unwrap();
            Case {
                name: name.to_owned(),
                component: case["component"].as_str().unwrap().to_owned(),
                dt: case["dt"].as_f64().unwrap() as f32,
                steps: case["steps"].as_u64().unwrap() as usize,
                config: case["config"].clone(),
                file: TensorFile::read(&folder.join(name)).unwrap(),
            }
        })
        .collect()
}

/// A neuron or synapse recorded from another simulator; its configuration are the parameters as listed there.
pub fn simulated(name: &str) -> Case {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/physio");
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&manifest).unwrap();
    let case = cases.into_iter().find(|case| case["file"] == name).expect("a file of the manifest");
    Case {
        name: name.to_owned(),
        component: case["model"].as_str().unwrap().to_owned(),
        dt: case["dt_ms"].as_f64().unwrap() as f32,
        steps: case["steps"].as_u64().unwrap() as usize,
        config: case["params"].clone(),
        file: TensorFile::read(&folder.join(name)).unwrap(),
    }
}

impl Case {
    /// The entries of a field of the configuration, one or many; `None` for null or a missing field.
    pub fn optional(&self, field: &str) -> Option<Vec<f32>> {
        let number = |value: &Value| value.as_f64().map(|x| x as f32);
        match &self.config[field] {
            Value::Array(values) => values.iter().map(number).collect(),
            value => number(value).map(|x| vec![x]),
        }
    }

    pub fn field(&self, field: &str) -> Vec<f32> {
        self.optional(field).unwrap_or_else(|| panic!("{}: no field {field}", self.name))
    }

    /// A field with one entry.
    pub fn number(&self, field: &str) -> f32 {
        let values = self.field(field);
        assert_eq!(values.len(), 1, "{}: {field}", self.name);
        values[0]
    }

    pub fn has(&self, tensor: &str) -> bool {
        self.file.tensors.contains_key(tensor)
    }

    fn data(&self, tensor: &str) -> &TensorData {
        self.file.tensors.get(tensor).unwrap_or_else(|| panic!("{}: no tensor {tensor}", self.name))
    }

    /// The elements of a tensor.
    pub fn values(&self, tensor: &str) -> Vec<f32> {
        self.data(tensor).iter().collect()
    }

    /// The elements of one step of a recorded tensor.
    pub fn at(&self, tensor: &str, step: usize) -> Vec<f32> {
        let values = self.values(tensor);
        let width = values.len() / self.steps;
        values[step * width..(step + 1) * width].to_vec()
    }

    /// One step of a recorded tensor as one sample, `[1, units]`.
    pub fn sample(&self, tensor: &str, step: usize, device: &Device) -> Tensor<2> {
        let values = self.at(tensor, step);
        let units = values.len();
        super::tensor(values, [1, units], device)
    }
}
