//! Spikes of a recording: over time, and as rates.

use super::clock::Clock;
use super::{Chart, Figure, Raster, Series};
use crate::Recording;
use crate::statistics::SpikeTrains;

/// The spikes of a raster, and below it the mean rate of its units over time; nothing for another kind of stream.
///
/// # Examples
/// ```
/// use burn::tensor::TensorData;
/// use spark_record::{Recording, Rows, Stream, StreamKind, figures};
///
/// let stream = Stream {
///     name: "pool.out_spikes".into(),
///     address: "pool.out_spikes".into(),
///     kind: StreamKind::Raster,
///     unit: None,
///     shape: vec![8],
///     units: None,
///     groups: Vec::new(),
///     statistics: Vec::new(),
///     stride: 1,
/// };
/// let data = TensorData::new(vec![1_u8, 2, 4], [3, 1]);
/// let rows = Rows { stream, steps: vec![1, 2, 3], data };
/// let recording = Recording { measurement: "activity".into(), dt: 1.0, rows };
/// assert_eq!(figures::activity(&recording).titles(), ["pool.out_spikes"]);
/// ```
pub fn activity(recording: &Recording) -> Figure {
    let Some(trains) = SpikeTrains::of(recording) else { return Figure::default() };
    let stream = recording.stream();
    let clock = Clock::of(recording);
    let (start, end) = clock.ends();
    let notes = [kept(recording), clock.note()];
    let raster = Raster {
        title: stream.name.clone(),
        note: noted(notes),
        x: clock.name().to_owned(),
        y: if stream.units.is_some() { "recorded unit".to_owned() } else { "unit".to_owned() },
        units: trains.units(),
        start,
        end,
        spikes: recording.spikes().into_iter().map(|(time, unit)| (clock.at(time), unit)).collect(),
    };
    Figure::column([raster.into(), rate(&trains, &clock).into()])
}

/// The mean rate over time, as columns.
fn rate(trains: &SpikeTrains, clock: &Clock) -> Chart {
    let bin = trains.bin();
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut last = None;
    for (from, to, rate) in trains.rate_over_time(bin) {
        let (to, from) = (clock.at(to), clock.at(to) - (to - from));
        // Between stretches there is nothing, not the last rate.
        points.extend(last.filter(|last| from - last > 1e-9 * bin).map(|last| (last, 0.0)));
        points.push((from, rate));
        last = Some(to);
    }
    points.extend(last.map(|last| (last, 0.0)));
    let series = Series { points, style: super::Style::Bars, ..Series::default() };
    Chart {
        note: format!("mean rate of the units in bins of {bin} ms"),
        x_range: Some(clock.ends()),
        ..Chart::new("", clock.name(), "rate (Hz)", vec![series])
    }
}

/// What is to be said, without what is empty.
pub(super) fn noted(notes: impl IntoIterator<Item = String>) -> String {
    notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join("; ")
}

/// How many of the units of the source are in a recording, where that is not all.
pub(super) fn kept(recording: &Recording) -> String {
    let stream = recording.stream();
    match &stream.units {
        Some(units) => format!("{} of {} units", units.len(), stream.source_units()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::trains_tests::raster;
    use crate::{StreamKind, figures::Panel};

    #[test]
    fn the_rate_stands_below_the_spikes_on_the_same_axis() {
        let steps: Vec<u64> = (1..=100).chain(201..=300).collect();
        let figure = activity(&raster(16, steps, 1, &[(5, 3), (250, 9)]));
        let [Panel::Raster(raster)] = figure.rows[0].as_slice() else { panic!("{figure:?}") };
        let [Panel::Chart(rate)] = figure.rows[1].as_slice() else { panic!("{figure:?}") };
        assert_eq!((raster.start, raster.end, raster.units), (0.0, 150.0, 16));
        assert_eq!(rate.x_range, Some((0.0, 150.0)));
        let points = &rate.series[0].points;
        assert!(points.contains(&(50.0, 0.0)) && points.contains(&(100.0, 0.0)), "{points:?}");
        assert_eq!(points.iter().find(|point| point.0 == 2.0).unwrap().1, 1000.0 / 16.0);
    }

    #[test]
    fn what_is_no_raster_has_no_spikes() {
        let mut recording = raster(1, vec![1], 1, &[]);
        recording.rows.stream.kind = StreamKind::Summary;
        assert!(activity(&recording).is_empty());
        let none = activity(&raster(3, Vec::new(), 1, &[]));
        none.svg().unwrap();
    }
}
