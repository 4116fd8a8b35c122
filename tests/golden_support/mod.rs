//! Recorded cases: where they are, how they are read, when a result agrees with them.

pub mod components;
pub mod controllers;
pub mod exchange;
pub mod losses;
pub mod networks;
pub mod nir;
pub mod spark_snn;
pub mod surrogates;

use serde_json::Value;
use spark::burn::tensor::{Element, TensorData};
use spark::io::TensorFile;
use spark::prelude::*;
use std::path::{Path, PathBuf};

/// What is wrong with a case, in words.
pub type Checked<T = ()> = Result<T, String>;

/// The folder of recordings: `SPARK_GOLDEN_DIR` where it is set, `tests/golden` otherwise.
pub fn folder() -> PathBuf {
    std::env::var_os("SPARK_GOLDEN_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden"), PathBuf::from)
}

/// The entries of a manifest, a list in JSON.
pub fn manifest(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One entry of a manifest with its tensors.
pub struct Case {
    pub entry: Value,
    tensors: TensorFile,
}

impl Case {
    /// Reads the tensors that an entry of the manifest in `folder` names.
    pub fn read(folder: &Path, entry: &Value) -> Checked<Self> {
        let file = entry["file"].as_str().ok_or_else(|| format!("{entry} names no file"))?;
        let tensors = TensorFile::read(&folder.join(file)).map_err(|error| error.to_string())?;
        Ok(Self { entry: entry.clone(), tensors })
    }

    /// The text of a field of the entry.
    pub fn text(&self, field: &str) -> Checked<&str> {
        self.entry[field].as_str().ok_or_else(|| format!("{} has no {field}", self.entry))
    }

    /// The library without its version.
    pub fn library(&self) -> Checked<&str> {
        Ok(self.text("library")?.split(' ').next().unwrap_or_default())
    }

    /// A parameter of the function or layer.
    pub fn param(&self, name: &str) -> &Value {
        &self.entry["params"][name]
    }

    /// A parameter that is a number.
    pub fn number(&self, name: &str) -> Checked<f32> {
        let number = self.param(name).as_f64();
        number
            .map(|number| number as f32)
            .ok_or_else(|| format!("no number {name} in {}", self.entry["params"]))
    }

    /// Names of the recorded tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.tensors.keys().map(String::as_str)
    }

    /// The shape of a recorded tensor, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.tensors.get(name).map(|data| &data.shape()[..])
    }

    /// The recorded values of a tensor.
    pub fn values<E: Element>(&self, name: &str) -> Checked<Vec<E>> {
        Ok(self.data(name)?.iter().collect())
    }

    /// A recorded tensor on a device.
    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Checked<Tensor<D>> {
        Ok(Tensor::from_data(self.data(name)?.clone(), device))
    }

    /// Number of recorded steps.
    pub fn steps(&self) -> Checked<usize> {
        Ok(self.entry["steps"].as_u64().ok_or("no number of steps")? as usize)
    }

    /// One step of a recorded tensor.
    pub fn sample(&self, name: &str, step: usize) -> Checked<Vec<f32>> {
        let values: Vec<f32> = self.values(name)?;
        let width = values.len() / self.steps()?;
        Ok(values[step * width..(step + 1) * width].to_vec())
    }

    fn data(&self, name: &str) -> Checked<&TensorData> {
        self.tensors.tensors.get(name).ok_or_else(|| format!("no tensor {name}"))
    }
}

/// Values of one sample, `[1, entries]`.
pub fn row(values: Vec<f32>, device: &Device) -> Tensor<2> {
    let width = values.len();
    Tensor::from_data(TensorData::new(values, [1, width]), device)
}

pub fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

/// Every value within `tolerance · (1 + |recorded|)`; with a tolerance of zero, the same value.
pub fn agree(found: &[f32], recorded: &[f32], tolerance: f32, what: &str) -> Checked {
    if found.len() != recorded.len() {
        return Err(format!("{what}: found {} values, recorded {}", found.len(), recorded.len()));
    }
    let far = |(found, recorded): &(&f32, &f32)| {
        // So that a NaN is far from everything.
        let close = (*found - *recorded).abs() <= tolerance * (1.0 + recorded.abs());
        !close
    };
    match found.iter().zip(recorded).enumerate().find(|(_, pair)| far(pair)) {
        None => Ok(()),
        Some((i, (found, recorded))) => Err(format!("{what}[{i}]: found {found}, recorded {recorded}")),
    }
}
