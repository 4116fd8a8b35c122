//! Values of units over time.

use super::activity::{kept, noted};
use super::clock::Clock;
use super::{Chart, Figure, Line, Series, Style};
use crate::{Recording, StreamKind};

/// Units in one chart at most.
const MOST: usize = 6;

/// The values of a trace over time, its first units each in a colour; nothing for another kind of stream.
///
/// * `spikes`: a raster of the same units, whose spikes are marked above the curves.
/// * `threshold`: what the units spike at, drawn as a line.
pub fn traces(recording: &Recording, spikes: Option<&Recording>, threshold: Option<Line>) -> Figure {
    let stream = recording.stream();
    if stream.kind != StreamKind::Trace {
        return Figure::default();
    }
    let (times, shown) = (recording.times(), stream.kept_units().min(MOST));
    let clock = Clock::of(recording);
    let columns = (0..shown).map(|place| recording.column(place));
    let steps = &recording.rows.steps;
    let curve = |values: Vec<f32>| {
        let mut points = Vec::with_capacity(values.len());
        for (place, (time, value)) in times.iter().zip(values).enumerate() {
            // No line goes across a gap.
            if place > 0 && steps[place] != steps[place - 1] + stream.stride {
                points.push((clock.at(*time), f64::NAN));
            }
            points.push((clock.at(*time), f64::from(value)));
        }
        points
    };
    let curves: Vec<Vec<(f64, f64)>> = columns.map(curve).collect();
    let values = curves.iter().flatten().map(|point| point.1).chain(threshold.iter().map(|line| line.at));
    let top = values.filter(|value| value.is_finite()).fold(f64::NEG_INFINITY, f64::max);
    let marks: Vec<Series> = spikes.map_or(Vec::new(), |raster| {
        let marks = (0..shown).map(|place| spikes_of(raster, recording.unit(place), &times));
        let at = |(place, times): (usize, Vec<f64>)| Series {
            points: times.into_iter().map(|time| (clock.at(time), top)).collect(),
            style: Style::Ticks,
            colour: Some(place),
            ..Series::default()
        };
        marks.enumerate().map(at).collect()
    });
    let name = |place: usize| format!("unit {}", recording.unit(place));
    let lines = curves.into_iter().enumerate().map(|(place, points)| Series::line(&name(place), points));
    let mut notes = vec![kept(recording), clock.note()];
    if shown < stream.kept_units() {
        notes.push(format!("the first {shown} are drawn"));
    }
    if marks.iter().any(|series| !series.points.is_empty()) {
        notes.push("marks above are spikes".to_owned());
    }
    let chart = Chart {
        note: noted(notes),
        lines: threshold.into_iter().collect(),
        ..Chart::new(&stream.name, clock.name(), &quantity(recording), lines.chain(marks).collect())
    };
    Figure::column([chart.into()])
}

/// What a stream is a recording of, with its unit.
pub(super) fn quantity(recording: &Recording) -> String {
    let stream = recording.stream();
    let name = stream.address.rsplit(['.', '#']).next().unwrap_or_default();
    match &stream.unit {
        Some(unit) => format!("{name} ({unit})"),
        None => name.to_owned(),
    }
}

/// When a unit of the source spiked, within the times of a trace.
fn spikes_of(raster: &Recording, unit: usize, times: &[f64]) -> Vec<f64> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Vec::new() };
    let spikes = raster.spikes().into_iter().filter(|(_, column)| raster.unit(*column) == unit);
    spikes.map(|(time, _)| time).filter(|time| (*first..=*last).contains(time)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Panel;
    use crate::statistics::trains_tests::raster;
    use burn::tensor::TensorData;

    #[test]
    fn curves_have_their_units_threshold_and_spikes() {
        let spikes = raster(9, (1..=4).collect(), 1, &[(2, 8), (3, 0)]);
        let mut trace = spikes.clone();
        trace.rows.stream.kind = StreamKind::Trace;
        trace.rows.stream.address = "pool.soma.potential".into();
        trace.rows.stream.unit = Some("mV".into());
        trace.rows.stream.units = Some(vec![8]);
        trace.rows.data = TensorData::new(vec![-60.0_f32, -50.0, f32::NAN, -55.0], [4, 1]);
        let figure = traces(&trace, Some(&spikes), Some(Line::across("threshold", -45.0)));
        let [Panel::Chart(chart)] = figure.rows[0].as_slice() else { panic!("{figure:?}") };
        assert_eq!((chart.y.as_str(), chart.lines[0].at), ("potential (mV)", -45.0));
        assert_eq!(chart.series[0].name, "unit 8");
        assert_eq!(chart.series[1].points, [(1.0, -45.0)]);
        assert!(figure.svg().unwrap().contains("threshold"));
        assert!(traces(&spikes, None, None).is_empty());
    }
}
