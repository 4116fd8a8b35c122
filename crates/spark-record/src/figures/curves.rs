//! Scalars over steps, of one run or several.

use std::collections::BTreeMap;

use super::{Chart, Figure, Series, Style};

/// The scalars of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunCurves {
    /// Name of the run.
    pub name: String,
    /// What it shares with runs that differ from it in the seed alone, such as the setting in which it differs from
    /// others.
    pub group: String,
    /// Step and value by name of the scalar.
    pub scalars: BTreeMap<String, Vec<(f64, f64)>>,
}

/// The curves of a run's scalars, those in one chart whose names are the same up to the last `/`.
///
/// # Examples
/// ```
/// use spark_record::figures::{RunCurves, curves};
///
/// let points = vec![(1.0, 2.0), (2.0, 1.5)];
/// let names = ["loss/train", "loss/test", "rate"];
/// let scalars = names.map(|name| (name.to_owned(), points.clone())).into();
/// let figure = curves(&RunCurves { scalars, ..RunCurves::default() });
/// assert_eq!(figure.titles(), ["loss", "rate"]);
/// ```
pub fn curves(run: &RunCurves) -> Figure {
    let mut charts: Vec<Chart> = Vec::new();
    for (name, points) in &run.scalars {
        let (chart, series) = name.rsplit_once('/').unwrap_or((name, ""));
        let series = Series { style: style(points.len()), ..Series::line(series, points.clone()) };
        match charts.iter_mut().find(|known| known.title == chart) {
            Some(known) => known.series.push(series),
            None => charts.push(Chart::new(chart, "step", chart, vec![series])),
        }
    }
    Figure::grid(charts.into_iter().map(Into::into), 2)
}

/// Each scalar of several runs in a chart of its own, a colour for each run; runs of one group are drawn as their mean,
/// with a band from the lowest to the highest.
pub fn comparison(runs: &[RunCurves]) -> Figure {
    let mut names: Vec<&String> = runs.iter().flat_map(|run| run.scalars.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let mut groups: Vec<Vec<&RunCurves>> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|group| !run.group.is_empty() && group[0].group == run.group) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    let chart = |name: &String| {
        let mut series = Vec::new();
        for (place, group) in groups.iter().enumerate() {
            let curves: Vec<_> =
                group.iter().filter_map(|run| Some((*run, run.scalars.get(name)?))).collect();
            match together(&curves.iter().map(|(_, points)| points.as_slice()).collect::<Vec<_>>()) {
                Some((points, band)) => {
                    let label = format!("{}, {} runs", group[0].group, curves.len());
                    series.push(Series { band, colour: Some(place), ..Series::line(&label, points) });
                }
                None => series.extend(curves.into_iter().map(|(run, points)| Series {
                    style: style(points.len()),
                    ..Series::line(&run.name, points.clone())
                })),
            }
        }
        let banded = series.iter().any(|series| !series.band.is_empty());
        let note = if banded {
            "means of runs that differ in the seed alone, from the lowest to the highest"
        } else {
            ""
        };
        Chart { note: note.to_owned(), ..Chart::new(name, "step", name, series) }.into()
    };
    Figure::grid(names.into_iter().map(chart), 2)
}

/// Few points are marked.
fn style(points: usize) -> Style {
    if points <= 40 { Style::Marked } else { Style::Line }
}

/// Points and band of a mean.
type Mean = (Vec<(f64, f64)>, Vec<(f64, f64, f64)>);

/// The mean and the range of several curves at the steps that they share; `None` where there is one curve alone or it
/// shares no two steps with the others.
fn together(curves: &[&[(f64, f64)]]) -> Option<Mean> {
    let mut by_step: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (step, value) in curves.iter().flat_map(|points| points.iter()) {
        by_step.entry(*step as u64).or_default().push(*value);
    }
    by_step.retain(|_, values| values.len() == curves.len() && values.iter().all(|value| value.is_finite()));
    if curves.len() < 2 || by_step.len() < 2 {
        return None;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let points = by_step.iter().map(|(step, values)| (*step as f64, mean(values))).collect();
    let band = by_step.iter().map(|(step, values)| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        (*step as f64, low, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    });
    Some((points, band.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Panel;

    fn run(name: &str, group: &str, values: [f64; 3]) -> RunCurves {
        let points = [1.0, 2.0, 3.0].into_iter().zip(values).collect();
        RunCurves { name: name.into(), group: group.into(), scalars: [("loss".to_owned(), points)].into() }
    }

    #[test]
    fn seeds_are_drawn_as_their_mean_and_others_by_themselves() {
        let runs = [
            run("a-1", "rate=1", [3.0, 2.0, 1.0]),
            run("b", "", [9.0, 9.0, 9.0]),
            run("a-2", "rate=1", [5.0, 2.0, f64::NAN]),
        ];
        let figure = comparison(&runs);
        let [Panel::Chart(chart)] = figure.rows[0].as_slice() else { panic!("{figure:?}") };
        let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["rate=1, 2 runs", "b"]);
        assert_eq!(chart.series[0].points, [(1.0, 4.0), (2.0, 2.0)]);
        assert_eq!(chart.series[0].band, [(1.0, 3.0, 5.0), (2.0, 2.0, 2.0)]);
        assert!(figure.svg().unwrap().contains("rate=1, 2 runs"));
    }
}
