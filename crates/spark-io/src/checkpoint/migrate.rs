//! Checkpoints of earlier versions, brought up to the present one step by step.
//!
//! A step works on the file as it was read, before anything else looks at it: it may rename, add or take away
//! tensors and metadata. Steps stay as they are once a version was released; a new version adds one at the end.

use super::{VERSION, hashes};
use crate::TensorFile;

/// A step from one version to the next: what it has to change, or why the file cannot be one of its version.
type Step = fn(&mut TensorFile) -> Result<(), String>;

/// The steps from version 1 on.
const STEPS: [Step; VERSION as usize - 1] = [add_hashes];

/// Brings a file from `version` up to [`VERSION`].
pub(super) fn migrate(file: &mut TensorFile, version: u32) -> Result<(), String> {
    let Some(done) = version.checked_sub(1) else {
        return Err("version 0, expected 1 or later".to_owned());
    };
    for step in STEPS.iter().skip(done as usize) {
        step(file)?;
    }
    file.metadata.insert("version".to_owned(), VERSION.to_string());
    Ok(())
}

/// 1 → 2: version 2 says what every tensor was when it was written.
fn add_hashes(file: &mut TensorFile) -> Result<(), String> {
    hashes::add(file);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn each_version_takes_the_steps_that_it_lacks() {
        let file = || {
            let mut file = TensorFile::default();
            file.tensors.insert("a".into(), TensorData::from([1.0f32]));
            file
        };
        let mut first = file();
        migrate(&mut first, 1).unwrap();
        assert!(first.metadata["hashes"].contains("\"a\""));
        assert_eq!(first.metadata["version"], VERSION.to_string());
        let mut present = file();
        migrate(&mut present, VERSION).unwrap();
        assert_eq!(present.metadata.len(), 1);
        assert!(migrate(&mut file(), 0).unwrap_err().contains("version 0"));
    }
}
