//! Line charts.

use plotters::coord::Shift;
use plotters::prelude::*;
use std::ops::Range;
use std::path::Path;

/// Colours that people with any colour vision tell apart (Okabe & Ito, *Color universal design*, 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// Width and height of one chart, in pixels.
const SIZE: (u32, u32) = (640, 420);

/// One curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points in the order of x.
    pub points: Vec<(f64, f64)>,
    /// Whether each point is marked, as fits few of them.
    pub marked: bool,
}

/// Curves over a common axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Title above the chart.
    pub title: String,
    /// Name and unit of the horizontal axis.
    pub x: String,
    /// Name and unit of the vertical axis.
    pub y: String,
    /// The curves.
    pub series: Vec<Series>,
}

/// Charts side by side, written as one SVG file.
///
/// # Examples
/// ```
/// use spark_record::{Chart, Figure, Series};
///
/// let points = (0..50).map(|t| (f64::from(t), (-f64::from(t) / 20.0).exp())).collect();
/// let decay = Chart {
///     title: "Membrane".into(),
///     x: "time (ms)".into(),
///     y: "potential (mV)".into(),
///     series: vec![Series { name: "V".into(), points, marked: false }],
/// };
/// let folder = tempfile::tempdir()?;
/// Figure { charts: vec![decay] }.write(&folder.path().join("decay.svg"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The charts from left to right.
    pub charts: Vec<Chart>,
}

/// A picture that cannot be drawn or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw {path}: {message}")]
pub struct ChartError {
    path: String,
    message: String,
}

impl Figure {
    /// Draws the charts and writes them to `path`. Points that are not finite are left out.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ChartError> {
        let fail = |message: String| ChartError { path: path.display().to_string(), message };
        let mut svg = String::new();
        self.draw(&mut svg).map_err(|error| fail(error.to_string()))?;
        spark_io::write_atomically(path, svg.as_bytes()).map_err(|error| fail(error.to_string()))
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
        let count = self.charts.len().max(1);
        let area = SVGBackend::with_string(svg, (SIZE.0 * count as u32, SIZE.1)).into_drawing_area();
        area.fill(&WHITE)?;
        for (chart, area) in self.charts.iter().zip(area.split_evenly((1, count))) {
            chart.draw(&area)?;
        }
        area.present()?;
        Ok(())
    }
}

impl Chart {
    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.series.iter().flat_map(|series| series.finite());
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(58)
            .build_cartesian_2d(range(points().map(|p| p.0), 0.0), range(points().map(|p| p.1), 0.05))?;
        chart
            .configure_mesh()
            .x_desc(&self.x)
            .y_desc(&self.y)
            .x_labels(8)
            .y_labels(8)
            .x_label_formatter(&|x| tick(*x))
            .y_label_formatter(&|y| tick(*y))
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .axis_desc_style(("sans-serif", 15))
            .label_style(("sans-serif", 13))
            .draw()?;
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let line = LineSeries::new(series.finite(), colour.stroke_width(2));
            let line = if series.marked { line.point_size(3) } else { line };
            chart
                .draw_series(line)?
                .label(&series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 13))
            .draw()?;
        Ok(())
    }
}

impl Series {
    fn finite(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
    }
}

/// A number as an axis shows it: up to four decimals, none that are zero.
fn tick(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// From the least to the greatest value, with `margin` of the span on both sides; never empty.
fn range(values: impl Iterator<Item = f64>, margin: f64) -> Range<f64> {
    let (low, high) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return 0.0..1.0;
    }
    let span = high - low;
    let pad = if span > 0.0 { margin * span } else { 0.5 };
    low - pad..high + pad
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Figure {
        let series = Series { name: "loss".into(), points, marked: true };
        Figure {
            charts: vec![Chart {
                title: "Training".into(),
                x: "step".into(),
                y: "loss".into(),
                series: vec![series],
            }],
        }
    }

    fn svg(figure: &Figure) -> String {
        let mut svg = String::new();
        figure.draw(&mut svg).unwrap();
        svg
    }

    #[test]
    fn titles_axes_and_legend_are_drawn() {
        let svg = svg(&chart(vec![(0.0, 2.0), (1.0, 1.0)]));
        for text in ["Training", "step", "loss", "<polyline", "<circle"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn no_points_one_point_and_gaps_are_drawn() {
        svg(&chart(vec![]));
        svg(&chart(vec![(1.0, 1.0)]));
        let gaps = svg(&chart(vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, 2.0)]));
        assert!(!gaps.contains("NaN") && !gaps.contains("inf"));
    }

    #[test]
    fn ticks_show_no_needless_digits() {
        assert_eq!([50.0, 0.5, -0.0, 0.0312].map(tick), ["50", "0.5", "0", "0.0312"]);
    }

    #[test]
    fn an_unwritable_file_is_named() {
        let error = chart(vec![]).write(Path::new("/nowhere/at/all.svg")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all.svg"));
    }
}
