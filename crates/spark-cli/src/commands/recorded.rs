//! What commands about recorded runs share.

use anyhow::Result;
use spark::record::{RunReader, RunRecord, StoreError};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Opens the run that `path` means: its folder, or a file in it.
pub fn open(path: &Path) -> Result<RunReader> {
    let folder = match path.parent() {
        Some(parent) if path.is_file() => parent,
        _ => path,
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    Ok(RunReader::open(folder)?)
}

/// What people look at first; `rates.0` and `rate/pool` are rates.
const FIRST: [&str; 8] =
    ["loss", "validation_accuracy", "test_accuracy", "accuracy", "return", "reward", "rates", "rate"];

/// Scalars as people want them listed: what is learned first, then by name, durations last.
pub fn ranked(mut names: Vec<String>) -> Vec<String> {
    let rank = |name: &String| {
        let kind = name.split(['.', '/']).next();
        FIRST.iter().position(|known| kind == Some(known)).unwrap_or(FIRST.len())
    };
    names.sort_by_key(|name| (rank(name), name.contains("seconds"), name.clone()));
    names
}

/// The last values of the first few scalars.
pub fn last_values(run: &RunReader, count: usize) -> Result<Vec<(String, f64)>, StoreError> {
    let names = ranked(run.scalar_names()?).into_iter().take(count);
    let value = |name: String| Ok(run.last_scalar(&name)?.map(|last| (name, last.value)));
    names.filter_map(|name| value(name).transpose()).collect()
}

/// A number in at most four significant digits.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.3e}");
    }
    let places = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.to_owned()
}

/// How long ago something was.
pub fn age(time: impl Into<SystemTime>) -> String {
    duration(time.into().elapsed().unwrap_or_default())
}

/// How long a run was under way, once it has been said.
pub fn took(about: &RunRecord) -> Option<String> {
    let total = about.timings.get("total")?;
    Duration::try_from_secs_f64(*total).ok().map(duration)
}

/// A duration in its two largest units.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Rows as columns of one width each; nothing stands behind the last one.
pub fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let texts = rows.iter().filter_map(|row| row.get(column));
        texts.map(|text| console::measure_text_width(text)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(text, &width)| console::pad_str(text, width, console::Alignment::Left, None).into_owned());
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_short() {
        let found = [0.0, 0.25, 12.345_67, -0.001_236, 123_456.7, 1e-7, 3.0, 2.5e9, f64::NAN].map(number);
        assert_eq!(found, ["0", "0.25", "12.35", "-0.001236", "123457", "1.000e-7", "3", "2.500e9", "NaN"]);
        let found = [0.25, 59.9, 61.0, 7322.0, 1e6].map(|seconds| duration(Duration::from_secs_f64(seconds)));
        assert_eq!(found, ["0.2 s", "59 s", "1 min 1 s", "2 h 2 min", "11 d 13 h"]);
    }

    #[test]
    fn what_is_learned_comes_first() {
        let names = ["energy", "step_seconds", "rate/pool.out", "loss", "zeta"].map(str::to_owned);
        assert_eq!(ranked(names.to_vec()), ["loss", "rate/pool.out", "energy", "zeta", "step_seconds"]);
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["a", "µm", "x"], ["long", "1", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), ["a     µm  x", "long  1"]);
    }
}
