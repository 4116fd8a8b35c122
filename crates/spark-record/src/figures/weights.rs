//! Weights and other values of which every entry is recorded.

use super::traces::quantity;
use super::{Chart, Figure, Matrix, Panel, Series};
use crate::statistics::Histogram;
use crate::{Recording, StreamKind};

/// Stretches of time in a histogram over time at most.
const TIMES: usize = 200;

/// The last snapshot of a stream as a matrix, and the histogram of its entries over time; of changes their sum and the
/// histogram of each; of a list of values, such as potentials, all of them over time. Nothing for another kind of stream.
pub fn weights(recording: &Recording) -> Figure {
    let stream = recording.stream();
    let kind = stream.kind;
    if !matches!(kind, StreamKind::Snapshot | StreamKind::Delta) || recording.is_empty() {
        return Figure::default();
    }
    let last = recording.rows.steps.last().copied().unwrap_or_default();
    let (title, entries) = if kind == StreamKind::Delta {
        (format!("Change of {} up to step {last}", stream.address), total(recording))
    } else {
        (format!("{} at step {last}", stream.address), recording.row(recording.len() - 1).to_vec())
    };
    let value = if kind == StreamKind::Delta {
        format!("change of {}", quantity(recording))
    } else {
        quantity(recording)
    };
    let Some((rows, columns)) = sides(&stream.shape) else { return over_time(recording, &title, &value) };
    let names = ["presynaptic unit", "postsynaptic unit", &value];
    let mut matrix = Matrix::new(&title, names, columns, entries);
    if stream.shape.len() > 2 {
        let sizes: Vec<String> = stream.shape.iter().map(usize::to_string).collect();
        matrix.note = format!("{} entries, drawn as {rows} × {columns}", sizes.join(" × "));
    }
    let beside = if recording.len() > 1 { history(recording, &value) } else { histogram(recording, &value) };
    Figure::grid([matrix.into(), beside], 2)
}

/// The sum of all changes.
fn total(recording: &Recording) -> Vec<f32> {
    let mut total = vec![0.0; recording.stream().source_units()];
    for row in 0..recording.len() {
        for (sum, change) in total.iter_mut().zip(recording.row(row)) {
            *sum += change;
        }
    }
    total
}

/// Rows and columns of a kernel: the first half of the axes are those of the postsynaptic units.
fn sides(shape: &[usize]) -> Option<(usize, usize)> {
    let (post, pre) = shape.split_at(shape.len() / 2);
    (shape.len() > 1).then(|| (post.iter().product(), pre.iter().product()))
}

/// Entries that are not zero: absent synapses would hide all others.
fn present(row: &[f32]) -> impl Iterator<Item = f64> + '_ {
    row.iter().copied().filter(|value| *value != 0.0 && value.is_finite()).map(f64::from)
}

/// What part of the entries of all rows is not counted.
fn absent(recording: &Recording) -> String {
    let all = recording.len() * recording.stream().source_units();
    let counted: usize = (0..recording.len()).map(|row| present(recording.row(row)).count()).sum();
    if counted == all {
        return String::new();
    }
    format!(
        "{:.1} % of the entries are 0 and not counted",
        100.0 * (all - counted) as f64 / all.max(1) as f64
    )
}

fn histogram(recording: &Recording, value: &str) -> Panel {
    let edges = Histogram::edges(present(recording.row(0)));
    let histogram = Histogram::new(edges.clone(), present(recording.row(0)));
    let series = vec![Series::bars("", &edges, &histogram.heights())];
    Chart { note: absent(recording), ..Chart::new("Distribution", value, "entries", series) }.into()
}

/// The histogram of each row as a column of a matrix, in percent.
fn history(recording: &Recording, value: &str) -> Panel {
    let rows = recording.len();
    let entries = (0..rows).flat_map(|row| present(recording.row(row)));
    let (low, high) = entries.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let edges = Histogram::edges([low, high]);
    let bins = 40;
    let (low, high) = (edges[0], edges[edges.len() - 1]);
    let edges: Vec<f64> =
        (0..=bins).map(|bin| low + (high - low) * f64::from(bin) / f64::from(bins)).collect();
    let each = rows.div_ceil(TIMES);
    let columns: Vec<Vec<f32>> = (0..rows)
        .step_by(each)
        .map(|row| {
            let histogram = Histogram::new(edges.clone(), present(recording.row(row)));
            let all = histogram.counts.iter().sum::<usize>().max(1) as f32;
            histogram.counts.iter().map(|count| 100.0 * *count as f32 / all).collect()
        })
        .collect();
    let values = (0..edges.len() - 1).flat_map(|bin| columns.iter().map(move |column| column[bin])).collect();
    let (start, end) = ends(recording);
    Matrix {
        note: absent(recording),
        across: start..end,
        up: low..high,
        ..Matrix::new("Distribution over time", ["time (ms)", value, "entries (%)"], columns.len(), values)
    }
    .into()
}

/// Values of units over time.
fn over_time(recording: &Recording, title: &str, value: &str) -> Figure {
    let (rows, units) = (recording.len(), recording.stream().source_units());
    let values = (0..units).flat_map(|unit| (0..rows).map(move |row| recording.row(row)[unit])).collect();
    let (start, end) = ends(recording);
    let matrix =
        Matrix { across: start..end, ..Matrix::new(title, ["time (ms)", "unit", value], rows, values) };
    Figure::column([matrix.into()])
}

/// When the first row begins and the last one ends, in ms.
pub(super) fn ends(recording: &Recording) -> (f64, f64) {
    let times = recording.times();
    let first = times.first().copied().unwrap_or_default();
    let last = times.last().copied().unwrap_or_default();
    let each = recording.stream().stride.max(1) as f64 * recording.dt;
    ((first - each).max(0.0), last)
}
