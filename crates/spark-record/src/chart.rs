//! Line charts.

use image::{ImageFormat, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::error::Error;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

/// Colours that people with any colour vision tell apart (Okabe & Ito, *Color universal design*, 2008).
pub(crate) const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// Width and height of one chart, in pixels.
const SIZE: (u32, u32) = (640, 420);

/// Points after which the gaps of a line come again.
const DASH: usize = 6;

/// How many charts stand side by side at most.
const COLUMNS: usize = 4;

/// The font of all text. It comes with the program, so that pictures are the same on every machine.
pub(crate) const FONT: &str = "sans-serif";

/// One curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Name in the legend; a series without a name is not in it.
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

/// Charts side by side, four in a row, written as one SVG or PNG file.
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
    /// The charts from left to right, row by row.
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
    /// Draws the charts and writes them to `path`: as PNG where its name ends in `.png`, else as SVG. Points
    /// that are not finite are left out.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ChartError> {
        write(self, path)
    }

    /// Rows and columns.
    fn grid(&self) -> (usize, usize) {
        let count = self.charts.len().max(1);
        (count.div_ceil(COLUMNS), count.min(COLUMNS))
    }
}

impl Picture for Figure {
    fn size(&self) -> (u32, u32) {
        let (rows, columns) = self.grid();
        (SIZE.0 * columns as u32, SIZE.1 * rows as u32)
    }

    fn draw<B>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Box<dyn Error>>
    where
        B: DrawingBackend<ErrorType: 'static>,
    {
        for (chart, area) in self.charts.iter().zip(area.split_evenly(self.grid())) {
            chart.draw(&area)?;
        }
        Ok(())
    }
}

/// What can be drawn, whatever the format.
pub(crate) trait Picture {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws on white ground.
    fn draw<B>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Box<dyn Error>>
    where
        B: DrawingBackend<ErrorType: 'static>;
}

/// Writes a picture as PNG where the name ends in `.png`, else as SVG.
pub(crate) fn write(picture: &impl Picture, path: &Path) -> Result<(), ChartError> {
    let fail = |message: String| ChartError { path: path.display().to_string(), message };
    let as_png = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    let bytes = if as_png { png(picture) } else { svg(picture).map(String::into_bytes) };
    let bytes = bytes.map_err(|error| fail(error.to_string()))?;
    spark_io::write_atomically(path, &bytes).map_err(|error| fail(error.to_string()))
}

pub(crate) fn svg(picture: &impl Picture) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    draw(picture, SVGBackend::with_string(&mut svg, picture.size()).into_drawing_area())?;
    Ok(svg)
}

fn png(picture: &impl Picture) -> Result<Vec<u8>, Box<dyn Error>> {
    let (width, height) = picture.size();
    let mut pixels = vec![0; 3 * width as usize * height as usize];
    draw(picture, BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area())?;
    let image = RgbImage::from_raw(width, height, pixels).ok_or("a picture of another size")?;
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

fn draw<B>(picture: &impl Picture, area: DrawingArea<B, Shift>) -> Result<(), Box<dyn Error>>
where
    B: DrawingBackend<ErrorType: 'static>,
{
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).map_err(|_| "the font cannot be read")?;
    area.fill(&WHITE)?;
    picture.draw(&area)?;
    area.present()?;
    Ok(())
}

impl Chart {
    pub(crate) fn draw<B>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Box<dyn Error>>
    where
        B: DrawingBackend<ErrorType: 'static>,
    {
        let points = || self.series.iter().flat_map(|series| series.finite());
        let ranges = [range(points().map(|p| p.0), 0.0), range(points().map(|p| p.1), 0.05)];
        let legend = self.legend(&ranges);
        let [x, y] = ranges;
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, (FONT, 20))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(76)
            .build_cartesian_2d(x, y)?;
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
            .axis_desc_style((FONT, 15))
            .label_style((FONT, 13))
            .draw()?;
        for (place, (series, colour)) in self.series.iter().zip(COLOURS.iter().cycle()).enumerate() {
            // Piece by piece: at a sharp bend the bitmap backend loses a wide line. Colours that come again are
            // drawn with gaps.
            let points: Vec<_> = series.finite().collect();
            let gaps = place >= COLOURS.len();
            let pieces = points.windows(2).enumerate().filter(|(piece, _)| !gaps || piece % DASH < DASH / 2);
            let pieces = pieces.map(|(_, pair)| PathElement::new(pair.to_vec(), colour.stroke_width(2)));
            let line = chart.draw_series(pieces)?;
            if !series.name.is_empty() {
                let length = if gaps { 8 } else { 18 };
                line.label(&series.name).legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + length, y)], colour.stroke_width(3))
                });
            }
            if series.marked {
                chart
                    .draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.stroke_width(2))))?;
            }
        }
        if self.series.iter().all(|series| series.name.is_empty()) {
            return Ok(());
        }
        chart
            .configure_series_labels()
            .position(legend)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font((FONT, 13))
            .draw()?;
        Ok(())
    }
}

impl Chart {
    /// Where the legend covers the fewest points.
    fn legend(&self, [x, y]: &[Range<f64>; 2]) -> SeriesLabelPosition {
        use SeriesLabelPosition::{
            LowerLeft, LowerMiddle, LowerRight, MiddleLeft, MiddleMiddle, MiddleRight, UpperLeft,
            UpperMiddle, UpperRight,
        };
        let named = self.series.iter().filter(|series| !series.name.is_empty());
        let longest = named.clone().map(|series| series.name.chars().count()).max().unwrap_or_default();
        // In parts of the plot, whose size is that of the chart without margins and labels.
        let width = (50.0 + 8.0 * longest as f64) / 540.0;
        let height = (10.0 + 18.0 * named.count() as f64) / 330.0;
        let thirds = |size: f64| [[0.0, size], [0.5 - size / 2.0, 0.5 + size / 2.0], [1.0 - size, 1.0]];
        let ([left, middle, right], [low, centre, high]) = (thirds(width), thirds(height));
        let part = |value: f64, range: &Range<f64>| (value - range.start) / (range.end - range.start);
        let inside = |value: f64, [from, to]: [f64; 2]| (from - 0.02..=to + 0.02).contains(&value);
        let covered = |across: [f64; 2], up: [f64; 2]| {
            let points = self.series.iter().flat_map(Series::finite);
            points.filter(|(px, py)| inside(part(*px, x), across) && inside(part(*py, y), up)).count()
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
}

impl Series {
    fn finite(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
    }
}

/// A number as an axis shows it: up to five decimals, none that are zero.
pub(crate) fn tick(value: f64) -> String {
    let text = format!("{value:.5}");
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
        super::svg(figure).unwrap()
    }

    #[test]
    fn titles_axes_and_legend_are_drawn() {
        let svg = svg(&chart(vec![(0.0, 2.0), (1.0, 1.0)]));
        for text in ["Training", "step", "loss", "<polyline", "<circle"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn a_png_shows_the_same() {
        let figure = chart(vec![(0.0, 2.0), (1.0, 1.0)]);
        let picture = image::load_from_memory(&png(&figure).unwrap()).unwrap().into_rgb8();
        assert_eq!(picture.dimensions(), SIZE);
        let drawn =
            |colour: RGBColor| picture.pixels().any(|pixel| pixel.0 == [colour.0, colour.1, colour.2]);
        assert!(drawn(COLOURS[0]) && drawn(BLACK) && drawn(WHITE), "curve, text and ground");
    }

    #[test]
    fn many_charts_go_into_rows() {
        let charts = vec![chart(vec![]).charts.remove(0); 6];
        assert_eq!(Figure { charts }.size(), (4 * SIZE.0, 2 * SIZE.1));
    }

    #[test]
    fn no_points_one_point_and_gaps_are_drawn() {
        svg(&chart(vec![]));
        svg(&chart(vec![(1.0, 1.0)]));
        let gaps = svg(&chart(vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, 2.0)]));
        assert!(!gaps.contains("NaN") && !gaps.contains("inf"));
    }

    #[test]
    fn the_legend_goes_where_there_is_room() {
        let rising = |steps: u32| (0..steps).map(|x| (f64::from(x), 1.0 - (-f64::from(x) / 9.0).exp()));
        let mut chart = chart(rising(100).collect()).charts.remove(0);
        // Many, over the right half at all heights.
        let spread = (0..8).map(|k| Series {
            name: format!("seed {k}"),
            points: rising(100)
                .filter(|(x, _)| *x > 40.0)
                .map(|(x, y)| (x, y * f64::from(k) / 8.0))
                .collect(),
            marked: false,
        });
        chart.series.extend(spread);
        let position = chart.legend(&[0.0..99.0, 0.0..1.0]);
        assert!(
            matches!(position, SeriesLabelPosition::UpperLeft | SeriesLabelPosition::LowerLeft),
            "{position:?}"
        );
        chart.series.truncate(1);
        assert!(matches!(chart.legend(&[0.0..99.0, 0.0..1.0]), SeriesLabelPosition::MiddleRight));
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
