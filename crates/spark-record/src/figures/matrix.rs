//! Numbers as colours.

use plotters::backend::RGBPixel;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::ops::Range;

use super::ColourScale;
use super::axis::{Axis, tick};
use super::chart::mesh;
use super::panel::{Drawn, SPACE, TEXT, headed};
use super::picture::FONT;

/// Width of the strip with the colour scale and its numbers, and of the scale alone, in pixels.
const STRIP: (u32, u32) = (115, 16);

/// A matrix of numbers as colours, with the scale beside it. Row 0 is at the bottom, column 0 on the left. What is not
/// finite has the colour of the ground. Where there are more entries than pixels, each pixel shows a mean, and a note says
/// so.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Title above it.
    pub title: String,
    /// What else is to be known, below the title.
    pub note: String,
    /// Name of the horizontal axis.
    pub x: String,
    /// Name of the vertical axis.
    pub y: String,
    /// Name and unit of the numbers.
    pub value: String,
    /// Where the first column begins and the last one ends on its axis.
    pub across: Range<f64>,
    /// Where the first row begins and the last one ends on its axis.
    pub up: Range<f64>,
    /// Number of columns.
    pub columns: usize,
    /// The numbers, row by row.
    pub values: Vec<f32>,
    /// Which colour stands for which number.
    pub scale: ColourScale,
}

impl Matrix {
    /// A matrix whose axes count rows and columns from 0, and whose colours suit its numbers.
    ///
    /// # Examples
    /// ```
    /// use spark_record::figures::Matrix;
    ///
    /// let matrix = Matrix::new("weights", ["presynaptic unit", "postsynaptic unit", "nS"], 3, vec![0.5; 6]);
    /// assert_eq!((matrix.rows(), matrix.up), (2, -0.5..1.5));
    /// ```
    pub fn new(title: &str, [x, y, value]: [&str; 3], columns: usize, values: Vec<f32>) -> Self {
        let rows = values.len() / columns.max(1);
        let [title, x, y, value] = [title, x, y, value].map(str::to_owned);
        let edges = |count: usize| -0.5..count.max(1) as f64 - 0.5;
        let scale = ColourScale::of(values.iter().copied());
        Self {
            title,
            note: String::new(),
            x,
            y,
            value,
            across: edges(columns),
            up: edges(rows),
            columns,
            values,
            scale,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    pub(super) fn draw<B>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B: DrawingBackend<ErrorType: 'static>,
    {
        let room = area.dim_in_pixel();
        let large = self.columns > room.0 as usize - 220 || self.rows() > room.1 as usize - 100;
        let mean = if large { "each pixel is the mean of several entries" } else { "" };
        let notes = [self.note.as_str(), mean].into_iter().filter(|note| !note.is_empty());
        let area = headed(area, &self.title, &notes.collect::<Vec<_>>().join("; "))?;
        let (plot, strip) = area.split_horizontally(area.dim_in_pixel().0 - STRIP.0);
        let mut chart = ChartBuilder::on(&plot)
            .margin(SPACE.0)
            .x_label_area_size(SPACE.2)
            .y_label_area_size(SPACE.1)
            .build_cartesian_2d(Axis::spanning(self.across.clone()), Axis::spanning(self.up.clone()))?;
        mesh(&mut chart, &self.x, &self.y, plot.dim_in_pixel())?;
        let inside = chart.plotting_area();
        let (across, along) = inside.get_pixel_range();
        let size = (across.end.abs_diff(across.start), along.end.abs_diff(along.start));
        if !self.values.is_empty() {
            let image = BitMapElement::<_, RGBPixel>::with_owned_buffer((0, 0), size, self.pixels(size));
            inside.strip_coord_spec().draw(&image.ok_or("no room for the matrix")?)?;
        }
        self.draw_scale(&strip, size.1)
    }

    /// Every pixel is the mean of the finite entries in it, or of the entry that it is in.
    fn pixels(&self, (width, height): (u32, u32)) -> Vec<u8> {
        let (rows, columns) = (self.rows(), self.columns);
        let part = |place: u32, of: u32, count: usize| {
            let at = |place: u32| place as usize * count / of as usize;
            at(place)..at(place + 1).max(at(place) + 1)
        };
        let mut pixels = Vec::with_capacity(3 * width as usize * height as usize);
        let mut line = Vec::new();
        let mut before = None;
        for y in (0..height).rev() {
            let here = part(y, height, rows);
            // Many lines of pixels show the same row.
            if before.as_ref() != Some(&here) {
                line.clear();
                for x in 0..width {
                    let entries = here.clone().flat_map(|row| {
                        let across = part(x, width, columns);
                        self.values[row * columns + across.start..row * columns + across.end].iter()
                    });
                    let finite = entries.filter(|value| value.is_finite());
                    let (sum, count) =
                        finite.fold((0.0, 0.0), |(sum, count), v| (sum + f64::from(*v), count + 1.0));
                    line.extend(self.scale.colour(sum / count));
                }
                before = Some(here);
            }
            pixels.extend_from_slice(&line);
        }
        pixels
    }

    /// The colour scale with its numbers.
    fn draw_scale<B>(&self, area: &DrawingArea<B, Shift>, height: u32) -> Drawn
    where
        B: DrawingBackend<ErrorType: 'static>,
    {
        let (low, high) = self.scale.ends();
        let line = |y: u32| self.scale.colour(high - (high - low) * (f64::from(y) + 0.5) / f64::from(height));
        let pixels = (0..height).flat_map(|y| line(y).repeat(STRIP.1 as usize)).collect();
        let top = SPACE.0 as i32;
        let image = BitMapElement::<_, RGBPixel>::with_owned_buffer((0, top), (STRIP.1, height), pixels);
        area.draw(&image.ok_or("no room for the colour scale")?)?;
        let numbers = (FONT, TEXT.2).into_text_style(area);
        let axis = Axis::spanning(low..high);
        for mark in axis.marks((height / 50).clamp(2, 8) as usize) {
            let y = top + ((1.0 - axis.part(mark)) * f64::from(height)) as i32;
            let x = STRIP.1 as i32;
            area.draw(&PathElement::new([(x, y), (x + 4, y)], BLACK.mix(0.6)))?;
            area.draw_text(&tick(mark), &numbers, (x + 7, y - 7))?;
        }
        let name = (FONT, TEXT.1).into_text_style(area).transform(FontTransform::Rotate270);
        let centre = plotters::style::text_anchor::Pos::new(
            plotters::style::text_anchor::HPos::Center,
            plotters::style::text_anchor::VPos::Center,
        );
        area.draw_text(&self.value, &name.pos(centre), (STRIP.0 as i32 - 24, top + height as i32 / 2))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figure;

    #[test]
    fn rows_go_up_and_columns_to_the_right() {
        let matrix = Matrix::new("w", ["x", "y", "v"], 2, vec![0.0, 1.0, 1.0, 1.0]);
        let pixels = matrix.pixels((4, 4));
        let dark = |x: usize, y: usize| pixels[3 * (4 * y + x)] == 0x44;
        assert!(dark(0, 3) && dark(1, 2) && !dark(2, 3) && !dark(0, 1));
    }

    #[test]
    fn many_entries_are_averaged() {
        let matrix = Matrix::new("w", ["x", "y", "v"], 4, vec![0.0, 2.0, f32::NAN, 2.0]);
        let pixels = matrix.pixels((2, 1));
        assert_eq!(pixels[..3], matrix.scale.colour(1.0));
        assert_eq!(pixels[3..], matrix.scale.colour(2.0));
    }

    #[test]
    fn a_large_or_empty_matrix_is_drawn_with_its_names() {
        let large = Matrix::new("weights", ["pre", "post", "weight (nS)"], 2000, vec![0.25; 2000 * 300]);
        let svg = Figure::column([large.into()]).svg().unwrap();
        for text in [">pre<", ">post<", ">weight (nS)<", "each pixel is the mean", "data:image/png"] {
            assert!(svg.contains(text), "{text}");
        }
        Figure::column([Matrix::new("", ["", "", ""], 0, Vec::new()).into()]).png().unwrap();
    }
}
