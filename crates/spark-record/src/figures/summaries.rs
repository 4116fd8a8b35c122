//! Numbers that stand for many units, over time.

use super::traces::quantity;
use super::weights::ends;
use super::{Chart, Figure, Matrix, Panel, Series};
use crate::{Recording, Statistic, StreamKind};

/// Groups drawn as curves at most; more are drawn as a matrix.
const MOST: usize = 6;

/// The statistics of a summary over time: the mean with a band of one standard deviation, or from the smallest to the
/// largest value, and each other statistic in a chart of its own. Nothing for another kind of stream.
pub fn summaries(recording: &Recording) -> Figure {
    let stream = recording.stream();
    if stream.kind != StreamKind::Summary {
        return Figure::default();
    }
    let place = |statistic| stream.statistics.iter().position(|one| *one == statistic);
    let band =
        match (place(Statistic::Mean), place(Statistic::Std), place(Statistic::Min), place(Statistic::Max)) {
            (Some(_), Some(std), _, _) => Band::Around(std),
            (Some(_), None, Some(min), Some(max)) => Band::Between(min, max),
            _ => Band::None,
        };
    let drawn = stream.statistics.iter().enumerate().filter(|(place, statistic)| match band {
        Band::Around(_) => **statistic != Statistic::Std,
        Band::Between(min, max) => *place != min && *place != max,
        Band::None => true,
    });
    let panels = drawn.map(|(place, statistic)| {
        let band = if *statistic == Statistic::Mean { band } else { Band::None };
        panel(recording, place, *statistic, band)
    });
    let panels: Vec<Panel> = panels.collect();
    Figure::grid(panels, 2)
}

/// What the band around a mean is.
#[derive(Clone, Copy, PartialEq)]
enum Band {
    None,
    Around(usize),
    Between(usize, usize),
}

fn panel(recording: &Recording, place: usize, statistic: Statistic, band: Band) -> Panel {
    let stream = recording.stream();
    let (groups, statistics) = (stream.groups.len(), stream.statistics.len());
    let scale = if statistic == Statistic::Active { 100.0 } else { 1.0 };
    let values = |group: usize, place: usize| recording.column(group * statistics + place);
    let y = match statistic {
        Statistic::Rate => "rate (Hz)".to_owned(),
        Statistic::Active => "active units (%)".to_owned(),
        Statistic::Mean => quantity(recording),
        Statistic::Std => format!("standard deviation of {}", quantity(recording)),
        Statistic::Min => format!("smallest {}", quantity(recording)),
        Statistic::Max => format!("largest {}", quantity(recording)),
    };
    if groups > MOST {
        let all =
            (0..groups).flat_map(|group| values(group, place)).map(|value| value * scale as f32).collect();
        let (start, end) = ends(recording);
        let matrix = Matrix::new(&stream.name, ["time (ms)", "group of units", &y], recording.len(), all);
        return Matrix { across: start..end, ..matrix }.into();
    }
    let times = recording.times();
    let series = |group: usize| {
        let middle: Vec<f64> =
            values(group, place).into_iter().map(|value| scale * f64::from(value)).collect();
        let at = |values: Vec<f32>| values.into_iter().map(f64::from);
        let ends: Vec<(f64, f64)> = match band {
            Band::None => Vec::new(),
            Band::Around(std) => {
                middle.iter().zip(at(values(group, std))).map(|(m, s)| (m - s, m + s)).collect()
            }
            Band::Between(min, max) => at(values(group, min)).zip(at(values(group, max))).collect(),
        };
        Series {
            band: times.iter().copied().zip(ends).map(|(time, (low, high))| (time, low, high)).collect(),
            ..Series::line(&group_name(recording, group), times.iter().copied().zip(middle).collect())
        }
    };
    let note = match band {
        Band::None => "",
        Band::Around(_) => "mean, with one standard deviation around it",
        Band::Between(..) => "mean, with the smallest and the largest value around it",
    };
    let series = (0..groups).map(series).collect();
    Chart { note: note.to_owned(), ..Chart::new(&stream.name, "time (ms)", &y, series) }.into()
}

/// The units of a group, where there are several.
fn group_name(recording: &Recording, group: usize) -> String {
    let stream = recording.stream();
    if stream.groups.len() < 2 {
        return String::new();
    }
    let end = stream.groups.get(group + 1).copied().unwrap_or_else(|| stream.source_units());
    format!("units {} to {}", stream.groups[group], end.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::trains_tests::raster;
    use burn::tensor::TensorData;

    fn summary(groups: usize, statistics: Vec<Statistic>) -> Recording {
        let mut recording = raster(60, vec![2, 4, 6], 2, &[]);
        recording.rows.stream.kind = StreamKind::Summary;
        recording.rows.stream.groups = (0..groups).map(|group| group * 5).collect();
        let width = groups * statistics.len();
        recording.rows.stream.statistics = statistics;
        let values = (0..3 * width).map(|place| place as f32).collect();
        recording.rows.data = TensorData::new::<f32, _>(values, [3, groups, width / groups]);
        recording
    }

    #[test]
    fn the_mean_has_a_band_and_groups_have_names() {
        let figure = summaries(&summary(2, vec![Statistic::Mean, Statistic::Std, Statistic::Active]));
        let [Panel::Chart(mean), Panel::Chart(active)] = figure.rows[0].as_slice() else {
            panic!("{figure:?}")
        };
        assert_eq!(mean.series[1].points, [(1.0, 3.0), (2.0, 9.0), (3.0, 15.0)]);
        assert_eq!(mean.series[1].band[0], (1.0, -1.0, 7.0));
        assert_eq!(mean.series[1].name, "units 5 to 59");
        assert_eq!((active.series[0].points[0].1, active.y.as_str()), (200.0, "active units (%)"));
        let figure = summaries(&summary(1, vec![Statistic::Min, Statistic::Mean, Statistic::Max]));
        let [Panel::Chart(mean)] = figure.rows[0].as_slice() else { panic!("{figure:?}") };
        assert_eq!(mean.series[0].band[1], (2.0, 3.0, 5.0));
    }

    #[test]
    fn many_groups_are_a_matrix() {
        let figure = summaries(&summary(12, vec![Statistic::Rate]));
        let [Panel::Matrix(matrix)] = figure.rows[0].as_slice() else { panic!("{figure:?}") };
        assert_eq!((matrix.rows(), matrix.columns, matrix.values[3]), (12, 3, 1.0));
    }
}
