//! What import and export have in common.

use anyhow::{Context, Result, bail};
use spark::burn::tensor::TensorData;
use spark::io::TensorFile;
use spark::io::parameters;
use spark::io::rename::Rename;
use spark::prelude::{Device, Network, NetworkConfig, Tensor};
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

/// A change of names on the command line: `FROM=TO`.
#[derive(Clone, Debug)]
pub struct Renaming(pub Rename);

impl FromStr for Renaming {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text
            .split_once('=')
            .ok_or("expected FROM=TO, such as fc1=layers.0; nothing behind = leaves FROM out")?;
        // Without signs a module is meant, or a single tensor.
        let all = if from.contains('*') { "" } else { ".**" };
        let from = format!("{from}{all}");
        Ok(Self(if to.is_empty() { Rename::drop(&from) } else { Rename::new(&from, &format!("{to}{all}")) }))
    }
}

/// The rules in their order.
pub fn rules(renamings: &[Renaming]) -> Vec<Rename> {
    renamings.iter().map(|renaming| renaming.0.clone()).collect()
}

/// Refuses to replace a file.
pub fn check_new(path: &Path, overwrite: bool) -> Result<()> {
    if path.exists() && !overwrite {
        bail!("{} is there already: --overwrite replaces it", path.display());
    }
    Ok(())
}

/// A network with these parameters.
pub fn network(config: &NetworkConfig, parameters: BTreeMap<String, TensorData>) -> Result<Network> {
    Ok(parameters::load(config.init(0, &Device::flex())?, parameters)?)
}

/// Inputs over time, and what the last units gave for them.
pub struct Record {
    /// `[time, batch, inputs]`.
    pub input: TensorData,
    /// `[time, batch, units]`.
    pub spikes: TensorData,
}

impl Record {
    /// What `network` gives for an input.
    pub fn of(network: &Network, input: TensorData) -> Self {
        let output = network.forward(Tensor::from_data(input.clone(), &Device::flex()), None).output;
        Self { input, spikes: output.into_data() }
    }

    /// Reads `input`, `[time, batch, …]`, and `spikes`, `[time, batch, …]`, for a network of so many inputs and
    /// outputs.
    pub fn read(path: &Path, inputs: usize, outputs: usize) -> Result<Self> {
        let mut tensors = TensorFile::read(path)?.tensors;
        let mut take = |name: &str, units: usize| {
            let data = tensors.remove(name).with_context(|| {
                format!("{}: found no tensor `{name}`, expected `input` and `spikes`", path.display())
            })?;
            let shape = data.shape().to_vec();
            if shape.len() < 3 || shape[2..].iter().product::<usize>() != units || shape.contains(&0) {
                bail!(
                    "{}: `{name}` has the shape {shape:?}, expected [time, batch, {units}]",
                    path.display()
                );
            }
            let values: Vec<f32> = data.iter().collect();
            Ok(TensorData::new(values, [shape[0], shape[1], units]))
        };
        let record = Self { input: take("input", inputs)?, spikes: take("spikes", outputs)? };
        let steps = |data: &TensorData| data.shape()[..2].to_vec();
        if steps(&record.input) != steps(&record.spikes) {
            bail!("{}: `input` and `spikes` differ in time or batch", path.display());
        }
        Ok(record)
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = TensorFile::default();
        file.tensors.insert("input".into(), self.input.clone());
        file.tensors.insert("spikes".into(), self.spikes.clone());
        Ok(file.write(path)?)
    }

    /// How many places there are, how many of them hold a spike, and in how many the other record differs.
    pub fn compared(&self, other: &Self) -> [usize; 3] {
        let spikes = self.spikes.iter::<f32>().filter(|&spike| spike != 0.0).count();
        let pairs = self.spikes.iter::<f32>().zip(other.spikes.iter::<f32>());
        let different = pairs.filter(|(own, other)| own != other).count();
        [self.spikes.num_elements(), spikes, different]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_signs_is_a_module() {
        let rule = |text: &str| text.parse::<Renaming>().unwrap().0;
        assert_eq!(rule("fc1=layers.0"), Rename::module("fc1", "layers.0"));
        assert_eq!(rule("**.beta=**.decay"), Rename::new("**.beta", "**.decay"));
        assert_eq!(rule("optimizer="), Rename::drop("optimizer.**"));
        assert!("fc1".parse::<Renaming>().unwrap_err().contains("FROM=TO"));
    }
}
