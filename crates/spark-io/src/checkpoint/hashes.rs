//! What every tensor of a checkpoint was when it was written.

use burn::tensor::TensorData;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

use crate::TensorFile;

/// The metadata key.
const KEY: &str = "hashes";

/// The hash of a tensor: SHA-256 of a line with its type and shape, such as `F32 [10, 784]`, and of its bytes.
fn of(data: &TensorData) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("{:?} {:?}\n", data.dtype(), data.shape().to_vec()));
    hasher.update(data.as_bytes());
    hasher.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes what is written to it");
        text
    })
}

/// Writes the hash of every tensor into the metadata.
pub(super) fn add(file: &mut TensorFile) {
    let hashes: serde_json::Map<_, _> =
        file.tensors.iter().map(|(name, data)| (name.clone(), of(data).into())).collect();
    file.metadata.insert(KEY.to_owned(), serde_json::Value::from(hashes).to_string());
}

/// The tensors that are not what they were, are new or are gone.
pub(super) fn changed(
    hashes: &BTreeMap<String, String>,
    tensors: &BTreeMap<String, TensorData>,
) -> Vec<String> {
    let here =
        tensors.iter().filter(|&(name, data)| hashes.get(name) != Some(&of(data))).map(|(name, _)| name);
    let gone = hashes.keys().filter(|name| !tensors.contains_key(*name));
    here.chain(gone).cloned().collect()
}
