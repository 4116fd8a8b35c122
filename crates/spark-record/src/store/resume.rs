//! Going on with a run, and beginning one where another was.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::index::Index;
use super::reader::windows_of;
use super::recording::WindowInfo;
use super::thread::numbered;
use super::window_file::{self, WindowFile};
use super::{RunPaths, StoreError};

/// What a writer goes on with.
pub struct Resumed {
    pub index: Index,
    /// The next number of a window by the name in its file.
    pub numbers: HashMap<String, u64>,
}

/// Takes away what a run left in the folder, its record first: without one there is no run.
pub fn clear(paths: &RunPaths) -> Result<(), StoreError> {
    remove(&paths.record())?;
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut path = paths.index().into_os_string();
        path.push(ending);
        remove(path.as_ref())?;
    }
    remove(&paths.model())?;
    for (folder, ending) in
        [(paths.windows(), "safetensors"), (paths.checkpoints(), "safetensors"), (paths.requests(), "json")]
    {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        for path in paths.filter(|path| path.extension().is_some_and(|found| found == ending)) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Drops what was recorded after a step, and puts windows into the index that a crash kept out of it.
///
/// Rows go before files: a crash between the two leaves whole files without a row, which are windows as before, and the
/// next process that goes on drops them.
pub fn resume(paths: &RunPaths, from_step: u64) -> Result<Resumed, StoreError> {
    let index = Index::open_to_write(&paths.index())?;
    // What was asked of the process before is not asked of this one.
    super::requests::take(paths);
    let rows = index.windows()?;
    let found = windows_of(paths, Some(&index))?;
    for window in &found.adopted {
        let file = WindowFile::read(&paths.windows().join(&window.file))?;
        index.add_window(window, &file.streams())?;
    }
    let mut numbers = HashMap::new();
    for (name, number) in found.files.iter().filter_map(|file| numbered(file)) {
        let next = numbers.entry(name).or_insert(1);
        *next = number.saturating_add(1).max(*next);
    }
    drop_rows(&index, from_step)?;
    for window in found.windows.iter().filter(|window| window.last > from_step) {
        cut(paths, &index, window, from_step)?;
    }
    // Those that are damaged too.
    for row in rows.iter().filter(|row| row.first > from_step) {
        remove(&paths.windows().join(&row.file))?;
    }
    Ok(Resumed { index, numbers })
}

/// Takes the rows of later steps out of the index.
fn drop_rows(index: &Index, from_step: u64) -> Result<(), StoreError> {
    let from_step = i64::try_from(from_step).unwrap_or(i64::MAX);
    index.run(|connection| {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute("DELETE FROM windows WHERE last > ?", [from_step])?;
        for table in ["scalars", "events", "tags", "warnings"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE step > ?"), [from_step])?;
        }
        transaction.commit()
    })
}

/// Keeps of a window what came up to a step.
fn cut(paths: &RunPaths, index: &Index, window: &WindowInfo, from_step: u64) -> Result<(), StoreError> {
    let path = paths.windows().join(&window.file);
    if window.first > from_step {
        return remove(&path);
    }
    let Some(kept) = window_file::until(&WindowFile::read(&path)?.window, from_step) else { return Ok(()) };
    let streams: Vec<_> = kept.rows.iter().map(|rows| rows.stream.clone()).collect();
    index.add_window(&window_file::write(&kept, &path)?, &streams)
}
