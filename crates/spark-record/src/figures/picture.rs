//! Panels in rows, as SVG or PNG.

use image::{ImageFormat, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use std::error::Error;
use std::io::Cursor;
use std::path::Path;

use super::Panel;
use super::panel::Drawn;
use super::svg::{Place, Svg};

/// Width of a figure with one column, and of a column where there are several, in pixels.
const WIDTHS: (u32, u32) = (1000, 600);

/// The font of all text. It comes with the program, so that pictures are the same on every machine.
pub(super) const FONT: &str = "sans-serif";

/// Panels in rows, written as one SVG or PNG file.
///
/// # Examples
/// ```
/// use spark_record::figures::{Chart, Figure, Raster, Series};
///
/// let spikes = (0..100).map(|step| (f64::from(step), step as usize % 7)).collect();
/// let raster = Raster { title: "pool".into(), units: 7, end: 100.0, spikes, ..Raster::default() };
/// let decay = (0..100).map(|t| (f64::from(t), (-f64::from(t) / 20.0).exp())).collect();
/// let decay = Chart::new("Membrane", "time (ms)", "potential (mV)", vec![Series::line("V", decay)]);
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("both.svg");
/// Figure::column([raster.into(), decay.into()]).write(&path)?;
/// assert!(std::fs::read_to_string(&path)?.contains("potential (mV)"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// The rows from top to bottom, each with panels from left to right.
    pub rows: Vec<Vec<Panel>>,
}

/// A picture that cannot be drawn or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw {what}: {message}")]
pub struct FigureError {
    what: String,
    message: String,
}

impl Figure {
    /// Panels below one another.
    pub fn column(panels: impl IntoIterator<Item = Panel>) -> Self {
        Self { rows: panels.into_iter().map(|panel| vec![panel]).collect() }
    }

    /// Panels side by side, `columns` in a row.
    ///
    /// # Panics
    /// If `columns` is zero.
    pub fn grid(panels: impl IntoIterator<Item = Panel>, columns: usize) -> Self {
        let panels: Vec<Panel> = panels.into_iter().collect();
        Self { rows: panels.chunks(columns).map(<[Panel]>::to_vec).collect() }
    }

    /// The panels of both, those of the other figure below.
    #[must_use]
    pub fn above(mut self, other: Self) -> Self {
        self.rows.extend(other.rows);
        self
    }

    /// Whether there is nothing to be drawn.
    pub fn is_empty(&self) -> bool {
        self.rows.iter().all(Vec::is_empty)
    }

    /// The titles of the panels.
    pub fn titles(&self) -> Vec<&str> {
        self.rows.iter().flatten().map(Panel::title).filter(|title| !title.is_empty()).collect()
    }

    /// Draws the panels and writes them to `path`: as PNG where its name ends in `.png`, else as SVG. Points that are
    /// not finite are left out.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), FigureError> {
        let as_png = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
        let fail = |message: String| FigureError { what: path.display().to_string(), message };
        let bytes = if as_png { self.png() } else { self.svg().map(String::into_bytes) };
        let bytes = bytes.map_err(|error| fail(error.message))?;
        spark_io::write_atomically(path, &bytes).map_err(|error| fail(error.to_string()))
    }

    /// The figure as an SVG document on white ground.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn svg(&self) -> Result<String, FigureError> {
        self.written(Place::File)
    }

    /// The figure as an SVG element for a page, whose colours it takes: text has `currentColor`, and the ground is that
    /// of the page, which is also named by the variable `--paper`.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn inline_svg(&self) -> Result<String, FigureError> {
        self.written(Place::Page)
    }

    /// The figure as a PNG file.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn png(&self) -> Result<Vec<u8>, FigureError> {
        let draw = || -> Result<Vec<u8>, Box<dyn Error>> {
            let (width, height) = self.size();
            let mut pixels = vec![0; 3 * width as usize * height as usize];
            let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
            area.fill(&WHITE)?;
            self.draw(&area)?;
            drop(area);
            let image = RgbImage::from_raw(width, height, pixels).ok_or("a picture of another size")?;
            let mut png = Cursor::new(Vec::new());
            image.write_to(&mut png, ImageFormat::Png)?;
            Ok(png.into_inner())
        };
        draw().map_err(|error| self.fault(error.as_ref()))
    }

    fn written(&self, place: Place) -> Result<String, FigureError> {
        let mut text = String::new();
        let area = Svg::new(&mut text, self.size(), &self.titles().join(", "), place).into_drawing_area();
        let draw = || -> Drawn {
            if place == Place::File {
                area.fill(&WHITE)?;
            }
            self.draw(&area)
        };
        draw().map_err(|error| self.fault(error.as_ref()))?;
        drop(area);
        Ok(text)
    }

    fn fault(&self, error: &dyn Error) -> FigureError {
        FigureError { what: self.titles().join(", "), message: error.to_string() }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0) as u32;
        let wide = self.rows.iter().flatten().map(Panel::least_width).max().unwrap_or(0);
        let width = if columns < 2 { WIDTHS.0.max(wide) } else { columns * WIDTHS.1.max(wide) };
        let height = self.rows.iter().map(|row| self.height(row)).sum::<u32>();
        (width, height.max(100))
    }

    fn height(&self, row: &[Panel]) -> u32 {
        let narrow = row.len() > 1 || self.rows.len() == 1;
        row.iter().map(|panel| panel.height(narrow)).max().unwrap_or(0)
    }

    fn draw<B>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B: DrawingBackend<ErrorType: 'static>,
    {
        register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
            .map_err(|_| "the font cannot be read")?;
        let mut rest = area.clone();
        for row in &self.rows {
            let (top, below) = rest.split_vertically(self.height(row));
            for (panel, area) in row.iter().zip(top.split_evenly((1, row.len()))) {
                panel.draw(&area)?;
            }
            rest = below;
        }
        area.present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Chart, Raster, Series};

    fn chart(points: Vec<(f64, f64)>) -> Figure {
        Figure::column([
            Chart::new("Training", "step", "loss (nats)", vec![Series::marked("loss", points)]).into()
        ])
    }

    #[test]
    fn titles_axes_and_legend_are_drawn() {
        let svg = chart(vec![(0.0, 2.0), (1.0, 1.0)]).svg().unwrap();
        for text in ["<title>Training</title>", ">step<", ">loss (nats)<", ">loss<", "<path", "<circle"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn a_png_shows_the_same() {
        let figure = chart(vec![(0.0, 2.0), (1.0, 1.0)]);
        let picture = image::load_from_memory(&figure.png().unwrap()).unwrap().into_rgb8();
        assert_eq!(picture.dimensions(), figure.size());
        let drawn = |colour: [u8; 3]| picture.pixels().any(|pixel| pixel.0 == colour);
        assert!(drawn([0, 114, 178]) && drawn([0; 3]) && drawn([255; 3]), "curve, text and ground");
    }

    #[test]
    fn panels_go_into_rows() {
        let panels = vec![chart(vec![]).rows.remove(0).remove(0); 3];
        let figure = Figure::grid(panels.clone(), 2);
        assert_eq!((figure.rows.len(), figure.size().0), (2, 2 * WIDTHS.1));
        let column = Figure::column(panels);
        assert_eq!((column.rows.len(), column.size().0), (3, WIDTHS.0));
        assert_eq!(figure.above(column).rows.len(), 5);
        assert!(Figure::default().is_empty());
        Figure::default().svg().unwrap();
    }

    #[test]
    fn inside_a_page_black_and_white_are_those_of_the_page() {
        let raster = Raster { title: "a < b".into(), ..Raster::default() };
        let figure = Figure::column([raster.into()]);
        let (file, page) = (figure.svg().unwrap(), figure.inline_svg().unwrap());
        assert!(file.contains("#000000") && !file.contains("currentColor"));
        assert!(page.contains("currentColor") && !page.contains("#000000"));
        assert!(page.contains("<title>a &lt; b</title>"));
    }

    #[test]
    fn an_unwritable_file_is_named() {
        let error = chart(vec![]).write(Path::new("/nowhere/at/all.svg")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all.svg"));
    }
}
