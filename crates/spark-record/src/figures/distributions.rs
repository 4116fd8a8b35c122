//! How rates and intervals are spread over units.

use super::{Chart, Figure, Line, Scale, Series};
use crate::Recording;
use crate::statistics::{Histogram, SpikeTrains, cv2, local_variation, mean};

/// Histograms drawn over one another at most.
const MOST: usize = 6;

/// Ratio of the largest to the smallest value from which on an axis is logarithmic.
const WIDE: f64 = 50.0;

/// The rates of the units of rasters: how many units have which rate.
pub fn rates(recordings: &[Recording]) -> Figure {
    let all = trains(recordings);
    let values: Vec<Vec<f64>> = all.iter().map(|(_, trains)| trains.rates()).collect();
    let above = || values.iter().flatten().copied().filter(|rate| *rate > 0.0);
    let wide = above().fold(0.0, f64::max) > WIDE * above().fold(f64::INFINITY, f64::min);
    let edges =
        if wide { Histogram::log_edges(above()) } else { Histogram::edges(values.iter().flatten().copied()) };
    let note = |((name, trains), rates): (&(&str, SpikeTrains), &Vec<f64>)| {
        let silent = rates.iter().filter(|rate| **rate == 0.0).count();
        let mean = mean(rates.iter().copied()).unwrap_or(0.0);
        format!("{name}: mean {mean:.3} Hz, {silent} of {} units silent", trains.units())
    };
    let chart = Chart {
        note: all.iter().zip(&values).map(note).collect::<Vec<_>>().join("; "),
        x_scale: if wide { Scale::Log } else { Scale::Linear },
        ..Chart::new("Rates", "rate (Hz)", "units", histograms(&all, &values, &edges))
    };
    charted(all.is_empty(), chart)
}

/// The intervals between spikes of the units of rasters: how many intervals have which length.
pub fn intervals(recordings: &[Recording]) -> Figure {
    let all = trains(recordings);
    let values: Vec<Vec<f64>> = all.iter().map(|(_, trains)| trains.all_intervals()).collect();
    let edges = Histogram::log_edges(values.iter().flatten().copied());
    let note = |((name, trains), intervals): (&(&str, SpikeTrains), &Vec<f64>)| {
        let by_unit = |of: fn(&[f64]) -> Option<f64>| {
            let values = mean((0..trains.units()).filter_map(|unit| of(&trains.intervals(unit))));
            values.map_or("unknown".to_owned(), |value| format!("{value:.2}"))
        };
        let (cv2, local) = (by_unit(cv2), by_unit(local_variation));
        format!("{name}: {} intervals, CV2 {cv2}, local variation {local}", intervals.len())
    };
    let chart = Chart {
        note: all.iter().zip(&values).map(note).collect::<Vec<_>>().join("; "),
        x_scale: Scale::Log,
        ..Chart::new(
            "Intervals between spikes",
            "interval (ms)",
            "intervals",
            histograms(&all, &values, &edges),
        )
    };
    charted(all.is_empty(), chart)
}

/// The coefficients of variation of the units of rasters: how many units are how irregular.
pub fn irregularity(recordings: &[Recording]) -> Figure {
    let all = trains(recordings);
    let values: Vec<Vec<f64>> = all.iter().map(|(_, trains)| trains.irregularity()).collect();
    let edges = Histogram::edges(values.iter().flatten().copied());
    let note = |((name, trains), cvs): (&(&str, SpikeTrains), &Vec<f64>)| match mean(cvs.iter().copied()) {
        Some(mean) => format!("{name}: mean {mean:.2} of {} units", cvs.len()),
        None => format!("{name}: none of {} units spikes often enough", trains.units()),
    };
    let chart = Chart {
        note: all.iter().zip(&values).map(note).collect::<Vec<_>>().join("; "),
        lines: vec![Line { name: "Poisson process".to_owned(), at: 1.0, upright: true }],
        ..Chart::new("Irregularity", "CV of a unit's intervals", "units", histograms(&all, &values, &edges))
    };
    charted(all.is_empty(), chart)
}

/// The spikes of all rasters.
pub(super) fn trains(recordings: &[Recording]) -> Vec<(&str, SpikeTrains)> {
    let of = |one| Some((Recording::stream(one).name.as_str(), SpikeTrains::of(one)?));
    recordings.iter().filter_map(of).take(MOST).collect()
}

fn histograms(all: &[(&str, SpikeTrains)], values: &[Vec<f64>], edges: &[f64]) -> Vec<Series> {
    let of = |((name, _), values): (&(&str, SpikeTrains), &Vec<f64>)| {
        let histogram = Histogram::new(edges.to_vec(), values.iter().copied());
        Series::bars(if all.len() > 1 { name } else { "" }, edges, &histogram.heights())
    };
    all.iter().zip(values).map(of).collect()
}

/// Nothing where there is nothing to be drawn.
pub(super) fn charted(empty: bool, chart: Chart) -> Figure {
    if empty { Figure::default() } else { Figure::column([chart.into()]) }
}
