//! The runs in a folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::{RunPaths, RunReader, StoreError};

/// How deep below a folder runs are looked for: those of an experiment have a folder around them.
const DEPTH: usize = 2;

/// A run in a folder.
pub struct RunEntry {
    /// Its folder.
    pub folder: PathBuf,
    /// The run, or why it cannot be read.
    pub run: Result<RunReader, StoreError>,
}

/// The runs in `folder`, which may be a run itself, and in the folders in it, two levels deep; in the order of names.
///
/// # Errors
/// When the folder cannot be listed.
///
/// # Examples
/// ```
/// use spark_record::{RunAbout, RunWriter, Status, runs_in};
///
/// let root = tempfile::tempdir()?;
/// for name in ["b", "sweep/a"] {
///     RunWriter::create(&root.path().join(name), RunAbout::new("run"), false)?.finish(Status::Finished)?;
/// }
/// let runs = runs_in(root.path())?;
/// assert!(runs[0].folder.ends_with("b") && runs[1].folder.ends_with("sweep/a"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn runs_in(folder: &Path) -> Result<Vec<RunEntry>, StoreError> {
    fs::read_dir(folder).map_err(StoreError::io("list", folder))?;
    let mut found = Vec::new();
    gather(folder, DEPTH, &mut found);
    Ok(found)
}

fn gather(folder: &Path, depth: usize, found: &mut Vec<RunEntry>) {
    if RunPaths::new(folder).is_run() {
        found.push(RunEntry { folder: folder.to_owned(), run: RunReader::open(folder) });
        return;
    }
    if depth == 0 {
        return;
    }
    // A folder that may not be looked into has no runs for us.
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut folders: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.iter().for_each(|folder| gather(folder, depth - 1, found));
}
