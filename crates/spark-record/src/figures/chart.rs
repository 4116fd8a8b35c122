//! Curves and histograms.

use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::axis::{Axis, tick};
use super::colours::CATEGORIES;
use super::panel::{Drawn, SPACE, TEXT, headed};
use super::picture::FONT;
use super::thin::thinned;
use super::{Scale, legend};

/// Points after which the gaps of a line come again.
const DASH: usize = 6;

/// Height of a mark of [`Style::Ticks`], in pixels.
const TICK: i32 = 9;

/// How the points of a [`Series`] are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// A line through all points.
    #[default]
    Line,
    /// A line with a circle at each point, as fits few of them.
    Marked,
    /// Circles alone.
    Dots,
    /// Columns: each value holds from its x to that of the next point, and the last point only ends it.
    Bars,
    /// A short upright mark at each point, as for spikes.
    Ticks,
}

/// One curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Name in the legend; a series without a name is not in it.
    pub name: String,
    /// Points in the order of x.
    pub points: Vec<(f64, f64)>,
    /// How they are drawn.
    pub style: Style,
    /// Lowest and highest value at each x, drawn as a band.
    pub band: Vec<(f64, f64, f64)>,
    /// Which of the colours it has; the next one in the list where nothing is said.
    pub colour: Option<usize>,
}

/// A straight line across a chart, such as a threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its name, written beside it.
    pub name: String,
    /// Where it crosses the axis.
    pub at: f64,
    /// Whether it stands upright, at a number of the horizontal axis.
    pub upright: bool,
}

/// Curves over a common axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Title above the chart.
    pub title: String,
    /// What else is to be known, below the title.
    pub note: String,
    /// Name and unit of the horizontal axis.
    pub x: String,
    /// Name and unit of the vertical axis.
    pub y: String,
    /// How the horizontal axis goes.
    pub x_scale: Scale,
    /// How the vertical axis goes.
    pub y_scale: Scale,
    /// Where the horizontal axis begins and ends; with the points where nothing is said.
    pub x_range: Option<(f64, f64)>,
    /// The curves.
    pub series: Vec<Series>,
    /// Straight lines across it.
    pub lines: Vec<Line>,
}

impl Series {
    /// A line.
    pub fn line(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), points, ..Self::default() }
    }

    /// A line with marked points.
    pub fn marked(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { style: Style::Marked, ..Self::line(name, points) }
    }

    /// A histogram.
    ///
    /// * `edges`: one more than there are bins.
    ///
    /// # Examples
    /// ```
    /// use spark_record::figures::Series;
    ///
    /// let bars = Series::bars("rates", &[0.0, 1.0, 2.0], &[5.0, 3.0]);
    /// assert_eq!(bars.points, [(0.0, 5.0), (1.0, 3.0), (2.0, 0.0)]);
    /// ```
    pub fn bars(name: &str, edges: &[f64], heights: &[f64]) -> Self {
        let heights = heights.iter().copied().chain([0.0]);
        Self { style: Style::Bars, ..Self::line(name, edges.iter().copied().zip(heights).collect()) }
    }

    pub(super) fn finite(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
    }
}

impl Line {
    /// A horizontal line.
    pub fn across(name: &str, at: f64) -> Self {
        Self { name: name.to_owned(), at, upright: false }
    }
}

type Context<'a, B> = ChartContext<'a, B, Cartesian2d<Axis, Axis>>;

impl Chart {
    /// A chart with linear axes.
    pub fn new(title: &str, x: &str, y: &str, series: Vec<Series>) -> Self {
        let [title, x, y] = [title, x, y].map(str::to_owned);
        Self { title, x, y, series, ..Self::default() }
    }

    pub(super) fn draw<B>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B: DrawingBackend<ErrorType: 'static>,
    {
        let area = headed(area, &self.title, &self.note)?;
        let [x, y] = self.axes();
        let size = area.dim_in_pixel();
        let plot = (size.0.saturating_sub(SPACE.1 + 20), size.1.saturating_sub(SPACE.2 + 20));
        let legend = legend::position(self, [&x, &y], plot);
        let mut chart = ChartBuilder::on(&area)
            .margin(SPACE.0)
            .margin_right(2 * SPACE.0)
            .x_label_area_size(SPACE.2)
            .y_label_area_size(SPACE.1)
            .build_cartesian_2d(x, y)?;
        mesh(&mut chart, &self.x, &self.y, size)?;
        for (place, series) in self.series.iter().enumerate() {
            self.draw_series(&mut chart, place, series, plot.0 as usize)?;
        }
        self.draw_lines(&chart)?;
        legend::draw(&mut chart, self, legend)
    }

    /// Both axes, around everything that is drawn.
    fn axes(&self) -> [Axis; 2] {
        let shown = |(x, y): &(f64, f64)| self.shows(*x, *y);
        let points = || self.series.iter().flat_map(|series| series.points.iter().copied()).filter(shown);
        let bands = || self.series.iter().flat_map(|series| &series.band);
        let lines =
            |upright: bool| self.lines.iter().filter(move |line| line.upright == upright).map(|line| line.at);
        let x = match self.x_range {
            Some((start, end)) if start.is_finite() && end.is_finite() => Axis::spanning(start..end),
            _ => Axis::around(points().map(|p| p.0).chain(lines(true)), 0.0, self.x_scale),
        };
        // Columns stand on zero.
        let bars =
            self.series.iter().any(|series| series.style == Style::Bars) && self.y_scale == Scale::Linear;
        let values = points().map(|p| p.1).chain(bands().flat_map(|(_, low, high)| [*low, *high]));
        let y = Axis::around(values.chain(lines(false)).chain(bars.then_some(0.0)), 0.05, self.y_scale);
        let top = y.ends().end;
        [x, if bars && y.ends().start > -0.1 * top { Axis::spanning(0.0..top) } else { y }]
    }

    fn shows(&self, x: f64, y: f64) -> bool {
        let inside = self.x_range.is_none_or(|(start, end)| (start..=end).contains(&x));
        inside && self.x_scale.shows(x) && self.y_scale.shows(y)
    }

    fn draw_series<'a, B>(
        &self,
        chart: &mut Context<'a, B>,
        place: usize,
        series: &Series,
        width: usize,
    ) -> Drawn
    where
        B: DrawingBackend<ErrorType: 'static> + 'a,
    {
        let colour = colour(place, series);
        let bars = series.style == Style::Bars;
        if bars {
            return self.draw_bars(chart, series, colour);
        }
        let band = series.band.iter().filter(|(x, low, high)| self.shows(*x, *low) && self.shows(*x, *high));
        let band: Vec<_> = band.collect();
        if band.len() > 1 {
            let upper = band.iter().map(|(x, _, high)| (*x, *high));
            let lower = band.iter().rev().map(|(x, low, _)| (*x, *low));
            chart.draw_series([Polygon::new(
                upper.chain(lower).collect::<Vec<_>>(),
                colour.mix(0.2).filled(),
            )])?;
        }
        let shown = |(x, y): &(f64, f64)| self.shows(*x, *y);
        if matches!(series.style, Style::Line | Style::Marked) {
            let many = series.points.len() > 2 * width;
            let gaps = place >= CATEGORIES.len() && series.colour.is_none();
            // What has no place, such as a loss that is not finite, is a gap.
            for run in series.points.split(|point| !shown(point)).filter(|run| run.len() > 1) {
                let columns = (width * run.len()).div_ceil(series.points.len());
                let points = thinned(run.to_vec(), columns);
                // Piece by piece: at a sharp bend the bitmap backend loses a wide line. Colours that come again are drawn
                // with gaps.
                let pieces = points.windows(2).enumerate();
                let pieces = pieces.filter(|(piece, _)| !gaps || piece % DASH < DASH / 2);
                let style = colour.stroke_width(if many { 1 } else { 2 });
                chart.draw_series(pieces.map(|(_, pair)| PathElement::new(pair.to_vec(), style)))?;
            }
        }
        let points: Vec<_> = series.points.iter().copied().filter(shown).collect();
        match series.style {
            Style::Marked => {
                let few = points.len() <= 200;
                let marks = points.iter().filter(|_| few);
                chart.draw_series(marks.map(|point| Circle::new(*point, 3, colour.stroke_width(2))))?;
            }
            Style::Dots => {
                chart.draw_series(points.iter().map(|point| Circle::new(*point, 2, colour.filled())))?;
            }
            Style::Ticks => {
                let mark = |at: &(f64, f64)| {
                    EmptyElement::at(*at) + PathElement::new([(0, 0), (0, -TICK)], colour.stroke_width(2))
                };
                chart.draw_series(points.iter().map(mark))?;
            }
            Style::Line | Style::Bars => {}
        }
        Ok(())
    }

    /// Columns, filled faintly so that several histograms are seen through one another.
    fn draw_bars<'a, B>(&self, chart: &mut Context<'a, B>, series: &Series, colour: RGBColor) -> Drawn
    where
        B: DrawingBackend<ErrorType: 'static> + 'a,
    {
        let axis = chart.as_coord_spec().y_spec().ends().clone();
        let ground = if axis.contains(&0.0) { 0.0 } else { axis.start };
        let several = self.series.iter().filter(|series| series.style == Style::Bars).count() > 1;
        let mut outline = Vec::new();
        for pair in series.points.windows(2) {
            let ((left, height), (right, _)) = (pair[0], pair[1]);
            let height = if height.is_finite() { height.max(ground) } else { ground };
            if self.x_scale.shows(left) && self.x_scale.shows(right) && height > ground {
                let fill = colour.mix(if several { 0.25 } else { 0.7 }).filled();
                chart.draw_series([Rectangle::new([(left, ground), (right, height)], fill)])?;
            }
            outline.extend([(left, height), (right, height)]);
        }
        outline.retain(|(x, _)| self.x_scale.shows(*x));
        if let (Some((first, _)), Some((last, _))) = (outline.first(), outline.last()) {
            let (first, last) = (*first, *last);
            let outline: Vec<_> =
                [(first, ground)].into_iter().chain(outline).chain([(last, ground)]).collect();
            let pieces =
                outline.windows(2).map(|pair| PathElement::new(pair.to_vec(), colour.stroke_width(1)));
            chart.draw_series(pieces)?;
        }
        Ok(())
    }

    fn draw_lines<B>(&self, chart: &Context<B>) -> Drawn
    where
        B: DrawingBackend<ErrorType: 'static>,
    {
        let area = chart.plotting_area();
        let (across, along) = area.get_pixel_range();
        let area = area.strip_coord_spec();
        let (width, height) = (across.end - across.start, along.end - along.start);
        let [x, y] = [chart.as_coord_spec().x_spec(), chart.as_coord_spec().y_spec()];
        for line in self.lines.iter().filter(|line| line.at.is_finite()) {
            let ink = BLACK.mix(0.7);
            let text = (FONT, TEXT.2).into_text_style(&area).color(&ink);
            let long = area.estimate_text_size(&line.name, &text)?.0 as i32;
            let (ends, label) = if line.upright {
                let at = (x.part(line.at) * f64::from(width)) as i32;
                // On the side where there is room.
                ([(at, 0), (at, height)], (if at + long + 8 < width { at + 5 } else { at - long - 5 }, 4))
            } else {
                let at = ((1.0 - y.part(line.at)) * f64::from(height)) as i32;
                ([(0, at), (width, at)], (6, at - 17))
            };
            let dashes = dashed(ends).map(|dash| PathElement::new(dash, ink.stroke_width(1)));
            for dash in dashes {
                area.draw(&dash)?;
            }
            area.draw_text(&line.name, &text, label)?;
        }
        Ok(())
    }
}

/// A horizontal or upright line in dashes.
fn dashed([from, to]: [(i32, i32); 2]) -> impl Iterator<Item = [(i32, i32); 2]> {
    let length = (to.0 - from.0).max(to.1 - from.1).max(0);
    let along = move |way: i32| if to.0 > from.0 { (from.0 + way, from.1) } else { (from.0, from.1 + way) };
    (0..length).step_by(9).map(move |start| [along(start), along((start + 5).min(length))])
}

/// The colour of a series at a place in the list.
pub(super) fn colour(place: usize, series: &Series) -> RGBColor {
    CATEGORIES[series.colour.unwrap_or(place) % CATEGORIES.len()]
}

/// Draws the axes, with marks as dense as there is room.
pub(super) fn mesh<'a, B>(chart: &mut Context<'a, B>, x: &str, y: &str, size: (u32, u32)) -> Drawn
where
    B: DrawingBackend<ErrorType: 'static> + 'a,
{
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_labels((size.0 / 90) as usize)
        .y_labels((size.1 / 50).clamp(2, 10) as usize)
        .x_label_formatter(&|x| tick(*x))
        .y_label_formatter(&|y| tick(*y))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .axis_style(BLACK.mix(0.6))
        .axis_desc_style((FONT, TEXT.1))
        .label_style((FONT, TEXT.2))
        .draw()?;
    Ok(())
}
