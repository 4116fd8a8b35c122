//! Where the results of runs go.

use anyhow::{Context as _, Result, ensure};
use spark::prelude::RunFolder;
use std::fs;
use std::path::{Path, PathBuf};

pub const OUTPUTS: &str = "outputs.safetensors";
pub const SUMMARY: &str = "summary.json";
pub const MODEL: &str = "model.json";
pub const STATE: &str = "state.safetensors";
pub const PLOT: &str = "spikes.svg";

/// A folder for one run or several.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder that was asked for, or the next free one where results are wanted and no folder is named;
    /// `None` where nothing is to be written.
    pub fn prepare(out: Option<&Path>, overwrite: bool, wanted: bool, model: &Path) -> Result<Option<Self>> {
        let path = match out {
            Some(path) => {
                let empty = match fs::read_dir(path) {
                    Ok(mut entries) => entries.next().is_none(),
                    Err(_) => !path.exists(),
                };
                ensure!(!path.is_file(), "{} is a file, expected a folder", path.display());
                ensure!(
                    empty || overwrite,
                    "{} holds files: pass --overwrite to replace the run in it",
                    path.display()
                );
                fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
                path.to_owned()
            }
            None if wanted => {
                let name = model.file_stem().map_or("model".into(), |stem| stem.to_string_lossy());
                RunFolder::numbered("runs".as_ref(), &name)?.path().to_owned()
            }
            None => return Ok(None),
        };
        Ok(Some(Self { path }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of one of several runs.
    pub fn of_run(&self, place: usize, runs: usize) -> PathBuf {
        if runs == 1 { self.path.clone() } else { self.path.join(format!("{:03}", place + 1)) }
    }
}

/// Makes the folder of a run, without what an earlier run left in it.
pub fn clear(path: &Path) -> Result<()> {
    let make = || {
        fs::create_dir_all(path)?;
        for name in [OUTPUTS, SUMMARY, MODEL, PLOT, STATE] {
            match fs::remove_file(path.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    };
    make().with_context(|| format!("cannot write to {}", path.display()))
}
