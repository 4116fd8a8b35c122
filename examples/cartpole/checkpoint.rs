//! What a brain starts from, and what is left of it.

use anyhow::{Context as _, Result, bail};
use spark::core::component::Instance;
use spark::io::TensorFile;
use std::path::Path;

use crate::report::Run;

/// What the metadata of a checkpoint calls it.
const KIND: &str = "cartpole";

/// Replaces kernels and delays by those of a file, which has some of them by their path.
pub fn start_from(brain: &mut dyn Instance, file: &Path) -> Result<()> {
    let given = TensorFile::read(file)?.tensors;
    let mut saved = brain.save();
    for (path, data) in given {
        match saved.get_mut(&path) {
            Some(place) => *place = data,
            None => bail!("{}: the model has no `{path}`", file.display()),
        }
    }
    brain.restore(&saved).with_context(|| format!("{} does not fit the model", file.display()))
}

/// Writes everything that a brain remembers.
pub fn write(brain: &dyn Instance, run: &Run, file: &Path) -> Result<()> {
    let metadata = [
        ("kind", KIND.to_owned()),
        ("seed", run.seed.to_string()),
        ("episodes", run.lasted.len().to_string()),
        ("ema", run.last().to_string()),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value)).into();
    Ok(TensorFile { metadata, tensors: brain.save() }.write(file)?)
}

/// Brings a brain back to where it was written.
pub fn read(brain: &mut dyn Instance, file: &Path) -> Result<()> {
    let TensorFile { metadata, tensors } = TensorFile::read(file)?;
    if metadata.get("kind").is_none_or(|kind| kind != KIND) {
        bail!("{} is no checkpoint of this example", file.display());
    }
    brain.restore(&tensors).with_context(|| format!("{} does not fit the model", file.display()))
}
