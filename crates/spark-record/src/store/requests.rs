//! What other processes ask of the one that writes a run: files in its folder `requests`.

use serde_json::Value;
use std::fs;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{RunPaths, StoreError, lock};

static SENT: AtomicU64 = AtomicU64::new(0);

/// Puts a request where the writer finds it.
pub fn send(paths: &RunPaths, request: &Value) -> Result<(), StoreError> {
    let folder = paths.requests();
    fs::create_dir_all(&folder).map_err(StoreError::io("make", &folder))?;
    let micros = (lock::now() * 1e6) as u64;
    let count = SENT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("{micros:020}-{}-{count:06}.json", std::process::id()));
    spark_io::write_atomically(&path, request.to_string().as_bytes()).map_err(StoreError::io("write", &path))
}

/// Takes all requests, in the order in which they came; those that are no JSON are dropped.
pub fn take(paths: &RunPaths) -> Vec<Value> {
    let Ok(entries) = fs::read_dir(paths.requests()) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    files.sort();
    let take = |path: &std::path::PathBuf| {
        let bytes = fs::read(path);
        // A request that cannot be removed would come again and again.
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => None,
            _ => serde_json::from_slice(&bytes.ok()?).ok(),
        }
    };
    files.iter().filter_map(take).collect()
}
