//! Networks that other libraries saved, imported and exported again.

use super::{Checked, floats};
use serde_json::Value;
use spark::burn::tensor::TensorData;
use spark::io::exchange::{self, Hints, Import, Imported, Library, UnitKind};
use spark::io::pytorch::{self, StateDict};
use spark::io::{TensorFile, parameters};
use spark::prelude::*;
use std::path::Path;

/// What the manifest says besides the files.
fn hints(entry: &Value) -> Checked<Hints> {
    let library = match entry["library"].as_str() {
        Some("snntorch") => Library::SnnTorch,
        Some("spikingjelly") => Library::SpikingJelly,
        other => return Err(format!("unknown library {other:?}")),
    };
    let mut hints = Hints::new(library);
    for (name, value) in entry["hints"].as_object().into_iter().flatten() {
        match name.as_str() {
            "tau" => hints.tau = value.as_f64(),
            "units" if value == "if" => hints.units = UnitKind::IntegrateAndFire,
            "reset_delay" => hints.reset_delay = value == true,
            "input" => hints.input = serde_json::from_value(value.clone()).ok(),
            "pool" => hints.pool = value.as_str().map(str::parse).transpose()?,
            _ => return Err(format!("unknown hint {name}")),
        }
    }
    Ok(hints)
}

fn text(problems: spark::core::Problems) -> String {
    problems.to_string()
}

fn imported(tensors: StateDict, network: NetworkConfig, library: Library) -> Checked<Imported> {
    exchange::import(tensors, network, &Import::new(library)).map_err(text)
}

/// The places where the output of our network is not what was recorded.
fn different(imported: &Imported, record: &TensorFile, device: &Device) -> Checked<usize> {
    let network = imported.network.init(0, device).map_err(text)?;
    let network = parameters::load(network, imported.parameters.clone()).map_err(text)?;
    let data = &record.tensors["input"];
    let shape = data.shape().to_vec();
    let values: Vec<f32> = data.iter().collect();
    let input = TensorData::new(values, [shape[0], shape[1], shape[2..].iter().product()]);
    let ours = floats(network.forward(Tensor::from_data(input, device), None).output);
    let theirs: Vec<f32> = record.tensors["spikes"].iter().collect();
    if ours.len() != theirs.len() {
        return Err(format!("{} outputs, recorded {}", ours.len(), theirs.len()));
    }
    Ok(ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).count())
}

/// Imported, it gives the recorded spikes; exported, every tensor is the one of the file; imported again, it is the
/// same network.
pub fn check(folder: &Path, entry: &Value) -> Checked {
    let file = entry["file"].as_str().ok_or("no file")?;
    let hints = hints(entry)?;
    let tensors = pytorch::read_any(&folder.join(format!("{file}.pt"))).map_err(|error| error.to_string())?;
    let network = match &entry["model"] {
        Value::Null => exchange::infer(&tensors, &hints),
        model => exchange::read_network(model.clone(), &hints),
    };
    let first = imported(tensors.clone(), network.map_err(text)?, hints.library)?;

    let path = folder.join(format!("{file}.safetensors"));
    let record = TensorFile::read(&path).map_err(|error| error.to_string())?;
    let spikes = record.tensors["spikes"].iter::<f32>().filter(|&spike| spike != 0.0).count();
    if spikes == 0 {
        return Err("nothing spikes in the record".into());
    }
    for (name, device) in crate::support::devices() {
        let different = different(&first, &record, &device)?;
        if different > 0 {
            return Err(format!("{different} spikes of {spikes} differ on {name}"));
        }
    }

    let exported = exchange::export(hints.library, &first.network, &first.parameters).map_err(text)?;
    for (module, layer) in &first.modules {
        let of = |names: &StateDict, module: &str| -> Vec<(String, TensorData)> {
            let prefix = format!("{module}.");
            let own = names
                .iter()
                .filter_map(|(name, data)| Some((name.strip_prefix(&prefix)?.to_owned(), data.clone())));
            let mut own: Vec<_> = own.collect();
            own.sort_by(|(a, _), (b, _)| a.cmp(b));
            own
        };
        for ((name, theirs), (again, ours)) in
            of(&tensors, module).into_iter().zip(of(&exported.tensors, layer))
        {
            let same =
                theirs.iter::<f64>().eq(ours.iter::<f64>()) || theirs.num_elements() < ours.num_elements();
            if name != again || !same {
                return Err(format!("{module}.{name} came back as {layer}.{again}: {theirs} and {ours}"));
            }
        }
        if of(&tensors, module).len() != of(&exported.tensors, layer).len() {
            return Err(format!("{module} came back with other tensors"));
        }
    }
    let json = exported.description();
    let network = exchange::read_network(json, &Hints::new(hints.library)).map_err(text)?;
    let second = imported(exported.tensors, network, hints.library)?;
    if (&second.network, &second.parameters) != (&first.network, &first.parameters) {
        return Err("what was exported comes back as another network".into());
    }
    Ok(())
}
