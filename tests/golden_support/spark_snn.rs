//! Brains of spark-snn in the middle of their life: what it did from a dump on, Spark has to do.

use super::{Checked, agree, floats, row};
use spark::burn::tensor::TensorData;
use spark::core::payload::{Floats, Payload};
use spark::core::ports::PortValues;
use spark::io::TensorFile;
use spark::io::spark_snn::Dump;
use spark::prelude::Device;
use std::path::{Path, PathBuf};

/// Ending of what was recorded behind a dump.
const RUN: &str = ".run.safetensors";

/// Every dump of a folder with its record.
pub fn cases(folder: &Path) -> Vec<[PathBuf; 2]> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut cases: Vec<[PathBuf; 2]> = entries
        .filter_map(|entry| {
            let record = entry.path();
            let name = record.file_name()?.to_str()?.strip_suffix(RUN)?.to_owned();
            Some([folder.join(name + ".safetensors"), record])
        })
        .collect();
    cases.sort();
    cases
}

pub fn check([dump, record]: &[PathBuf; 2], device: &Device) -> Checked {
    let text = |error: &dyn std::error::Error| error.to_string();
    let dump = Dump::read(dump).map_err(|error| text(&error))?;
    let model = &dump.model.as_ref().ok_or("a dump without a model")?.model;
    let (snapshot, _) = dump.snapshot(model, device).map_err(|error| text(&error))?;
    let mut brain = snapshot.build(device).map_err(|error| text(&error))?;
    let record = TensorFile::read(record).map_err(|error| text(&error))?.tensors;
    let steps = record.values().next().ok_or("an empty record")?.shape()[0];
    let at = |data: &TensorData, step: usize| {
        let entries = data.num_elements() / steps;
        data.iter::<f32>().skip(step * entries).take(entries).collect::<Vec<f32>>()
    };
    for step in 0..steps {
        let mut inputs = PortValues::default();
        for (name, data) in &record {
            if let Some(port) = name.strip_prefix("in.") {
                inputs.put(port.to_owned(), Floats(row(at(data, step), device)));
            }
        }
        let outputs = brain.step(inputs).map_err(|error| text(&error))?;
        let saved = brain.save();
        for (name, data) in &record {
            let (recorded, what) = (at(data, step), format!("step {step}: {name}"));
            if let Some(port) = name.strip_prefix("out.") {
                let Some(Payload::Floats(Floats(found))) = outputs.get(port) else {
                    return Err(format!("{what}: no such output"));
                };
                agree(&floats(found.clone()), &recorded, 1e-4, &what)?;
            } else if let Some(path) = name.strip_prefix("spikes.") {
                let path = path.replace('.', ">");
                let found = saved.get(&path).ok_or_else(|| format!("{what}: nothing waits there"))?;
                agree(&found.iter().collect::<Vec<f32>>(), &recorded, 0.0, &what)?;
            }
        }
    }
    Ok(())
}
