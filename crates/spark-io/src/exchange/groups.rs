//! The modules of a `state_dict`: tensors whose names share all but their last part.

use burn::tensor::TensorData;
use indexmap::IndexMap;

use crate::pytorch::StateDict;

/// What units of snnTorch hold in modules of their own.
const INNER: [&str; 7] = [
    "recurrent.weight",
    "recurrent.bias",
    "recurrent.V",
    "lstm_cell.weight_ih",
    "lstm_cell.weight_hh",
    "lstm_cell.bias_ih",
    "lstm_cell.bias_hh",
];

/// What every unit of snnTorch holds.
pub(super) const RESET: &str = "reset_mechanism_val";

/// A module.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Its name; empty for the outermost module.
    pub name: String,
    /// Its tensors by the rest of their names.
    pub tensors: IndexMap<String, TensorData>,
}

/// What a module is, as far as tensors tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Linear,
    Conv1d,
    Conv2d,
    Norm,
    Units,
    Unknown,
}

impl Class {
    /// The class in words, one of it or several.
    pub fn text(self) -> &'static str {
        match self {
            Self::Linear => "linear modules",
            Self::Conv1d => "one-dimensional convolutions",
            Self::Conv2d => "two-dimensional convolutions",
            Self::Norm => "batch normalisations",
            Self::Units => "modules of units",
            Self::Unknown => "modules of another kind",
        }
    }
}

impl Group {
    /// What it is.
    pub fn class(&self) -> Class {
        let has = |name: &str| self.tensors.contains_key(name);
        let rank = |name: &str| self.tensors.get(name).map(|data| data.shape().len());
        if has("running_mean") && has("running_var") {
            return Class::Norm;
        }
        let sliding = rank("weight") == Some(1) && rank("bias") == Some(0);
        if has(RESET) || has("beta") || has("w") || sliding {
            return Class::Units;
        }
        match rank("weight") {
            Some(2) => Class::Linear,
            Some(3) => Class::Conv1d,
            Some(4) => Class::Conv2d,
            _ => Class::Unknown,
        }
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|data| data.shape().to_vec())
    }

    /// The numbers of a tensor.
    pub fn values(&self, name: &str) -> Option<Vec<f64>> {
        self.tensors.get(name).map(|data| data.iter::<f64>().collect())
    }

    /// The number that all entries of a tensor are.
    pub fn number(&self, name: &str) -> Option<f64> {
        let values = self.values(name)?;
        let first = *values.first()?;
        values.iter().all(|&value| value == first).then_some(first)
    }

    /// The full name of a tensor.
    pub fn full(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_owned() } else { format!("{}.{name}", self.name) }
    }
}

/// The modules in the order of their first tensors.
pub(super) fn groups(tensors: StateDict) -> Vec<Group> {
    let mut groups: IndexMap<String, Group> = IndexMap::new();
    let owned: Vec<(String, String)> = tensors.keys().map(|name| split(name, &tensors)).collect();
    for ((module, own), data) in owned.into_iter().zip(tensors.into_values()) {
        let group = groups
            .entry(module)
            .or_insert_with_key(|name| Group { name: name.clone(), tensors: IndexMap::new() });
        group.tensors.insert(own, data);
    }
    groups.into_values().collect()
}

/// The module of a tensor and the rest of its name.
fn split(name: &str, tensors: &StateDict) -> (String, String) {
    for inner in INNER {
        let Some(module) = name.strip_suffix(inner) else { continue };
        if tensors.contains_key(&format!("{module}{RESET}")) {
            return (module.strip_suffix('.').unwrap_or(module).to_owned(), inner.to_owned());
        }
    }
    let (module, own) = name.rsplit_once('.').unwrap_or(("", name));
    (module.to_owned(), own.to_owned())
}
