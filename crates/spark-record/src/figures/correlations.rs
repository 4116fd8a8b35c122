//! What units do together: correlations and spectra.

use super::distributions::{charted, trains};
use super::{Chart, ColourScale, Figure, Matrix, Scale, Series};
use crate::Recording;
use crate::statistics::{Histogram, SpikeTrains, mean, welch};

/// Units of a matrix of correlations at most.
const UNITS: usize = 150;

/// Bins of a unit at most.
const BINS: f64 = 20_000.0;

/// The shortest bin of counts, in ms.
const LEAST: f64 = 5.0;

/// Samples of a stretch of which a spectrum is taken.
const STRETCH: usize = 512;

/// The correlation of each pair of units of a raster, and how many pairs have which; nothing for another kind of stream.
/// Of many units the most active ones are taken.
pub fn correlations(recording: &Recording) -> Figure {
    let Some(trains) = SpikeTrains::of(recording) else { return Figure::default() };
    let (start, end) = trains.span();
    let counts = trains.counts(LEAST.max(((end - start) / BINS).ceil()));
    let mut units: Vec<usize> = (0..trains.units()).collect();
    units.sort_by_key(|unit| std::cmp::Reverse(trains.train(*unit).len()));
    units.truncate(UNITS);
    units.sort_unstable();
    let matrix = counts.correlations(&units);
    let pairs = (0..units.len()).flat_map(|row| (0..row).map(move |column| (row, column)));
    let pairs: Vec<f64> = pairs
        .map(|(row, column)| f64::from(matrix[row * units.len() + column]))
        .filter(|value| value.is_finite())
        .collect();
    let all = units.len() == trains.units();
    let which = if all { "unit" } else { "unit, by place among the most active ones" };
    let mut notes = vec![format!("spikes counted in bins of {} ms", counts.bin())];
    if !all {
        notes.push(format!("the {} most active of {} units", units.len(), trains.units()));
    }
    let number = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {value:.3}"));
    notes.extend(number("synchrony", counts.synchrony()));
    notes.extend(number("Fano factor", trains.fano(counts.bin())));
    let most = pairs.iter().map(|value| value.abs()).fold(0.05, f64::max);
    let title = format!("Correlation of {}", recording.stream().name);
    let matrix = Matrix {
        note: notes.join("; "),
        scale: ColourScale::Diverging(most),
        ..Matrix::new(&title, [which, which, "correlation"], units.len(), matrix)
    };
    let edges = Histogram::edges(pairs.iter().copied());
    let histogram = Histogram::new(edges.clone(), pairs.iter().copied());
    let chart = Chart {
        note: mean(pairs.iter().copied()).map_or_else(
            || "no two units have spikes enough".to_owned(),
            |mean| format!("{} pairs, mean {mean:.3}", pairs.len()),
        ),
        ..Chart::new(
            "Pairs of units",
            "correlation",
            "pairs",
            vec![Series::bars("", &edges, &histogram.heights())],
        )
    };
    Figure::grid([matrix.into(), chart.into()], 2)
}

/// The power spectra of the mean rates of rasters.
pub fn spectra(recordings: &[Recording]) -> Figure {
    let all = trains(recordings);
    let bin = recordings.iter().map(|recording| recording.dt).fold(1.0, f64::max);
    let mut series: Vec<Series> =
        all.iter().filter_map(|(name, trains)| spectrum(name, trains, bin)).collect();
    let method = format!("Welch's method, rates in bins of {bin} ms");
    let note = match series.as_mut_slice() {
        [] => "there are too few steps for a spectrum".to_owned(),
        [only] => format!("{}: {method}", std::mem::take(&mut only.name)),
        _ => method,
    };
    let chart = Chart {
        note,
        y_scale: Scale::Log,
        ..Chart::new("Spectrum of the mean rate", "frequency (Hz)", "power density (Hz²/Hz)", series)
    };
    charted(all.is_empty(), chart)
}

/// The spectrum of the longest stretch without gaps.
fn spectrum(name: &str, trains: &SpikeTrains, bin: f64) -> Option<Series> {
    let longest = trains.stretches().iter().max_by(|a, b| a.duration().total_cmp(&b.duration()))?;
    let bins = trains.rate_over_time(bin).into_iter();
    let whole =
        bins.filter(|(from, to, _)| *from >= longest.start && *to <= longest.end && to - from > 0.99 * bin);
    let rates: Vec<f64> = whole.map(|(.., rate)| rate).collect();
    let spectrum = welch(&rates, 1000.0 / bin, STRETCH.min(rates.len() / 4).max(8))?;
    // At zero stands what the mean left.
    let points = spectrum.frequencies.into_iter().zip(spectrum.density).skip(1).collect();
    Some(Series::line(name, points))
}
