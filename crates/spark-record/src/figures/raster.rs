//! Spikes over time.

use plotters::coord::Shift;
use plotters::prelude::*;
use std::ops::Range;

use super::axis::Axis;
use super::chart::mesh;
use super::colours::CATEGORIES;
use super::panel::{Drawn, SPACE, headed};

/// Most spikes that are drawn one by one; above it they are counted by pixel.
const MOST: usize = 20_000;

/// A spike raster: one dot for each spike, time from left to right and units from bottom to top. Where there are too many,
/// each pixel is the stronger the more spikes fall on it, and a note says so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Raster {
    /// Title above it.
    pub title: String,
    /// What else is to be known, below the title.
    pub note: String,
    /// Name and unit of the horizontal axis, `time (ms)` where it is empty.
    pub x: String,
    /// Name of the vertical axis, `unit` where it is empty.
    pub y: String,
    /// Number of units.
    pub units: usize,
    /// When the picture begins, in ms.
    pub start: f64,
    /// When the picture ends, in ms.
    pub end: f64,
    /// Time in ms and unit of every spike.
    pub spikes: Vec<(f64, usize)>,
}

impl Raster {
    /// When it begins and ends; never empty.
    fn span(&self) -> Range<f64> {
        let start = if self.start.is_finite() { self.start } else { 0.0 };
        let end = if self.end.is_finite() && self.end > start { self.end } else { start + 1.0 };
        start..end
    }

    /// The spikes that are on the picture.
    fn shown(&self) -> impl Iterator<Item = (f64, usize)> + '_ {
        let span = self.span();
        let inside = move |time: f64| span.start <= time && time <= span.end;
        self.spikes.iter().copied().filter(move |(time, unit)| inside(*time) && *unit < self.units)
    }

    pub(super) fn draw<B>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B: DrawingBackend<ErrorType: 'static>,
    {
        let dense = self.shown().nth(MOST).is_some();
        let counted = if dense { "each pixel is the stronger the more spikes fall on it" } else { "" };
        let notes = [self.note.as_str(), counted].into_iter().filter(|note| !note.is_empty());
        let area = headed(area, &self.title, &notes.collect::<Vec<_>>().join("; "))?;
        let top = self.units.max(1) as f64 - 0.5;
        let mut chart = ChartBuilder::on(&area)
            .margin(SPACE.0)
            .margin_right(2 * SPACE.0)
            .x_label_area_size(SPACE.2)
            .y_label_area_size(SPACE.1)
            .build_cartesian_2d(Axis::spanning(self.span()), Axis::spanning(-0.5..top))?;
        if dense {
            let plot = chart.plotting_area();
            let (across, along) = plot.get_pixel_range();
            let size = (across.end.abs_diff(across.start), along.end.abs_diff(along.start));
            let image = BitMapElement::<_, plotters::backend::RGBPixel>::with_owned_buffer(
                (0, 0),
                size,
                self.density(size),
            );
            plot.strip_coord_spec().draw(&image.ok_or("no room for the spikes")?)?;
        }
        mesh(
            &mut chart,
            if self.x.is_empty() { "time (ms)" } else { &self.x },
            if self.y.is_empty() { "unit" } else { &self.y },
            area.dim_in_pixel(),
        )?;
        if !dense {
            let ink = CATEGORIES[0].filled();
            chart.draw_series(self.shown().map(|(time, unit)| Circle::new((time, unit as f64), 1, ink)))?;
        }
        Ok(())
    }

    /// Pixels, the stronger the more spikes are in them.
    fn density(&self, (width, height): (u32, u32)) -> Vec<u8> {
        let span = self.span();
        let mut counts = vec![0_u32; width as usize * height as usize];
        for (time, unit) in self.shown() {
            let along = (time - span.start) / (span.end - span.start);
            let x = ((along * f64::from(width)) as usize).min(width as usize - 1);
            // A unit fills all pixels of its row.
            let row = |unit: usize| unit * height as usize / self.units;
            for y in row(unit)..row(unit + 1).max(row(unit) + 1).min(height as usize) {
                counts[(height as usize - 1 - y) * width as usize + x] += 1;
            }
        }
        let most = f64::from(counts.iter().copied().max().unwrap_or(1).max(1));
        let RGBColor(red, green, blue) = CATEGORIES[0];
        let pixel = |count: u32| {
            // One spike among many is still seen.
            let dark = if count == 0 { 0.0 } else { 0.25 + 0.75 * (f64::from(count) / most).sqrt() };
            [red, green, blue].map(|full| (255.0 - dark * (255.0 - f64::from(full))).round() as u8)
        };
        counts.into_iter().flat_map(pixel).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figure;

    fn svg(raster: Raster) -> String {
        Figure::column([raster.into()]).svg().unwrap()
    }

    fn raster(count: usize) -> Raster {
        let spikes = (0..count).map(|spike| ((spike / 10) as f64, spike % 10)).collect();
        Raster { title: "pool".into(), units: 10, end: (count / 10) as f64, spikes, ..Raster::default() }
    }

    #[test]
    fn every_spike_is_a_dot() {
        let picture = svg(raster(200));
        assert_eq!(picture.matches("h0").count(), 200);
        assert!(picture.contains("pool") && picture.contains("unit") && picture.contains("time (ms)"));
    }

    #[test]
    fn very_many_spikes_are_counted_by_pixel_and_a_note_says_so() {
        let picture = svg(raster(3 * MOST));
        assert!(picture.contains("data:image/png;base64,") && picture.contains("each pixel"));
        assert!(picture.len() < 1_000_000, "{}", picture.len());
    }

    #[test]
    fn pixels_are_dark_where_spikes_are() {
        let raster =
            Raster { units: 2, end: 4.0, spikes: vec![(0.0, 1), (0.1, 1), (3.9, 0)], ..Raster::default() };
        let pixels = raster.density((4, 2));
        let grey = |x: usize, y: usize| u32::from(pixels[3 * (4 * y + x)]);
        assert!(grey(0, 0) < grey(3, 1) && grey(3, 1) < 255);
        assert_eq!([grey(1, 0), grey(0, 1), grey(3, 0)], [255; 3]);
    }

    #[test]
    fn what_is_not_on_the_picture_is_left_out() {
        let spikes = vec![(f64::NAN, 0), (f64::INFINITY, 1), (-1.0, 0), (5.0, 0), (1.0, 9), (1.0, 0)];
        let raster = Raster { units: 2, end: 2.0, spikes, ..Raster::default() };
        assert_eq!(raster.shown().collect::<Vec<_>>(), [(1.0, 0)]);
        assert!(!svg(Raster { end: f64::NAN, ..raster }).contains("NaN"));
    }
}
