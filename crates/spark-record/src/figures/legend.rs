//! Legends, where they cover the fewest points.

use plotters::chart::ChartContext;
use plotters::prelude::*;

use super::axis::Axis;
use super::chart::{Chart, Series, Style, colour};
use super::colours::CATEGORIES;
use super::panel::{Drawn, TEXT};
use super::picture::FONT;

/// Names in a legend at most; the last one says how many there are besides.
const MOST: usize = 14;

/// Where the legend covers the fewest points.
///
/// * `plot`: size of the plot in pixels.
pub(super) fn position(chart: &Chart, [x, y]: [&Axis; 2], plot: (u32, u32)) -> SeriesLabelPosition {
    use SeriesLabelPosition::{
        LowerLeft, LowerMiddle, LowerRight, MiddleLeft, MiddleMiddle, MiddleRight, UpperLeft, UpperMiddle,
        UpperRight,
    };
    let named = chart.series.iter().filter(|series| !series.name.is_empty());
    let longest = named.clone().map(|series| series.name.chars().count()).max().unwrap_or_default();
    // In parts of the plot.
    let width = (50.0 + 8.0 * longest as f64) / f64::from(plot.0.max(1));
    let height = (10.0 + 18.0 * named.count().min(MOST) as f64) / f64::from(plot.1.max(1));
    let thirds = |size: f64| [[0.0, size], [0.5 - size / 2.0, 0.5 + size / 2.0], [1.0 - size, 1.0]];
    let ([left, middle, right], [low, centre, high]) = (thirds(width), thirds(height));
    let inside = |value: f64, [from, to]: [f64; 2]| (from - 0.02..=to + 0.02).contains(&value);
    let covered = |across: [f64; 2], up: [f64; 2]| {
        let points = chart.series.iter().flat_map(Series::finite);
        points.filter(|(px, py)| inside(x.part(*px), across) && inside(y.part(*py), up)).count()
    };
    let candidates = [
        (MiddleRight, right, centre),
        (UpperRight, right, high),
        (LowerRight, right, low),
        (UpperLeft, left, high),
        (MiddleLeft, left, centre),
        (LowerLeft, left, low),
        (UpperMiddle, middle, high),
        (LowerMiddle, middle, low),
        (MiddleMiddle, middle, centre),
    ];
    let best = candidates.into_iter().min_by_key(|(_, across, up)| covered(*across, *up));
    best.map_or(MiddleRight, |(position, ..)| position)
}

/// Draws the legend, where a series has a name.
pub(super) fn draw<'a, B>(
    context: &mut ChartContext<'a, B, Cartesian2d<Axis, Axis>>,
    chart: &Chart,
    position: SeriesLabelPosition,
) -> Drawn
where
    B: DrawingBackend<ErrorType: 'static> + 'a,
{
    let named: Vec<(usize, &Series)> =
        chart.series.iter().enumerate().filter(|(_, series)| !series.name.is_empty()).collect();
    if named.is_empty() {
        return Ok(());
    }
    let shown = if named.len() > MOST { MOST - 1 } else { named.len() };
    for (place, series) in &named[..shown] {
        let (colour, bars) = (colour(*place, series), series.style == Style::Bars);
        let length = if *place >= CATEGORIES.len() && series.colour.is_none() { 8 } else { 18 };
        let entry = context.draw_series(std::iter::empty::<PathElement<(f64, f64)>>())?;
        entry.label(&series.name).legend(move |(x, y)| {
            let key = [(x, y), (x + length, y)];
            PathElement::new(key, colour.stroke_width(if bars { 9 } else { 3 }))
        });
    }
    if shown < named.len() {
        let entry = context.draw_series(std::iter::empty::<PathElement<(f64, f64)>>())?;
        entry.label(format!("and {} more", named.len() - shown));
    }
    context
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, TEXT.2))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Scale;

    #[test]
    fn the_legend_goes_where_there_is_room() {
        let axis = |most: f64| Axis::around([0.0, most].into_iter(), 0.0, Scale::Linear);
        let axes = [axis(99.0), axis(1.0)];
        let place = |chart: &Chart| position(chart, [&axes[0], &axes[1]], (540, 330));
        let rising = |steps: u32| (0..steps).map(|x| (f64::from(x), 1.0 - (-f64::from(x) / 9.0).exp()));
        let mut chart = Chart::new("", "", "", vec![Series::line("loss", rising(100).collect())]);
        assert!(matches!(place(&chart), SeriesLabelPosition::MiddleRight));
        // Many, over the right half at all heights.
        let scaled = |k: u32| rising(100).map(move |(x, y)| (x, y * f64::from(k) / 8.0));
        let spread =
            (0..8).map(|k| Series::line(&format!("seed {k}"), scaled(k).filter(|p| p.0 > 40.0).collect()));
        chart.series.extend(spread);
        let position = place(&chart);
        assert!(
            matches!(position, SeriesLabelPosition::UpperLeft | SeriesLabelPosition::LowerLeft),
            "{position:?}"
        );
    }
}
