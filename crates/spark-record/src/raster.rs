//! Spikes over time, and panels below one another.

use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

use crate::chart::{COLOURS, Chart, ChartError, FONT, Picture, tick, write};

/// Width of a panel and height of one with curves, in pixels.
const SIZE: (u32, u32) = (1200, 300);

/// Height of a panel of spikes by its number of units, at least and at most, in pixels.
const HEIGHTS: (u32, u32) = (160, 720);

/// Most spikes that are drawn; above it only every second unit is, or fewer.
const MOST: usize = 40_000;

/// A spike raster: one dot for each spike, time from left to right and units from bottom to top.
#[derive(Clone, Debug, PartialEq)]
pub struct Raster {
    /// Title above it.
    pub title: String,
    /// Number of units.
    pub units: usize,
    /// When the picture ends, in ms.
    pub end: f64,
    /// Time in ms and unit of every spike.
    pub spikes: Vec<(f64, usize)>,
}

/// A part of a [`Stack`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // Each is named after what it holds.
pub enum Panel {
    Raster(Raster),
    Chart(Chart),
}

/// Panels below one another, written as one SVG or PNG file.
///
/// # Examples
/// ```
/// use spark_record::{Panel, Raster, Stack};
///
/// let spikes = (0..100).map(|step| (f64::from(step), step as usize % 7)).collect();
/// let raster = Raster { title: "pool".into(), units: 7, end: 100.0, spikes };
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("spikes.svg");
/// Stack { panels: vec![Panel::Raster(raster)] }.write(&path)?;
/// assert!(std::fs::read_to_string(&path)?.contains("time (ms)"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// The panels from top to bottom.
    pub panels: Vec<Panel>,
}

impl Stack {
    /// Draws the panels and writes them to `path`: as PNG where its name ends in `.png`, else as SVG. Where
    /// there are very many spikes, only some of the units are drawn, and the title says which.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ChartError> {
        write(self, path)
    }
}

impl Picture for Stack {
    fn size(&self) -> (u32, u32) {
        (SIZE.0, self.panels.iter().map(Panel::height).sum::<u32>().max(SIZE.1))
    }

    fn draw<B>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Box<dyn Error>>
    where
        B: DrawingBackend<ErrorType: 'static>,
    {
        let mut rest = area.clone();
        for panel in &self.panels {
            let (top, below) = rest.split_vertically(panel.height());
            match panel {
                Panel::Raster(raster) => raster.draw(&top)?,
                Panel::Chart(chart) => chart.draw(&top)?,
            }
            rest = below;
        }
        Ok(())
    }
}

impl Panel {
    fn height(&self) -> u32 {
        match self {
            Self::Chart(_) => SIZE.1,
            // Two pixels for each unit, and room for title and axis.
            Self::Raster(raster) => (90 + 2 * raster.units.min(1000) as u32).clamp(HEIGHTS.0, HEIGHTS.1),
        }
    }
}

impl Raster {
    /// Every how many units one is drawn.
    fn stride(&self) -> usize {
        self.spikes.len().div_ceil(MOST).max(1)
    }

    fn draw<B>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Box<dyn Error>>
    where
        B: DrawingBackend<ErrorType: 'static>,
    {
        let stride = self.stride();
        let title = match stride {
            1 => self.title.clone(),
            _ => format!("{} (one of {stride} units drawn)", self.title),
        };
        let top = self.units.max(1) as f64 - 0.5;
        let mut chart = ChartBuilder::on(area)
            .caption(&title, (FONT, 18))
            .margin(10)
            .x_label_area_size(38)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..self.end.max(f64::MIN_POSITIVE), -0.5..top)?;
        chart
            .configure_mesh()
            .x_desc("time (ms)")
            .y_desc("unit")
            .x_labels(12)
            .y_labels(5)
            .x_label_formatter(&|x| tick(*x))
            .y_label_formatter(&|y| tick(*y))
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.08))
            .axis_desc_style((FONT, 14))
            .label_style((FONT, 12))
            .draw()?;
        let drawn = self.spikes.iter().filter(|(time, unit)| time.is_finite() && unit.is_multiple_of(stride));
        chart.draw_series(drawn.map(|(time, unit)| Circle::new((*time, *unit as f64), 1, COLOURS[0].filled())))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::svg;

    fn raster(count: usize) -> Raster {
        let spikes = (0..count).map(|spike| ((spike / 10) as f64, spike % 10)).collect();
        Raster { title: "pool".into(), units: 10, end: (count / 10) as f64, spikes }
    }

    #[test]
    fn every_spike_is_a_dot() {
        let picture = svg(&Stack { panels: vec![Panel::Raster(raster(200))] }).unwrap();
        assert_eq!(picture.matches("<circle").count(), 200);
        assert!(picture.contains("pool") && picture.contains("unit"));
    }

    #[test]
    fn very_many_spikes_are_thinned_and_the_title_says_so() {
        let picture = svg(&Stack { panels: vec![Panel::Raster(raster(3 * MOST))] }).unwrap();
        assert!(picture.matches("<circle").count() <= 2 * MOST);
        assert!(picture.contains("one of 3 units drawn"));
    }

    #[test]
    fn panels_stand_below_one_another_and_may_be_empty() {
        let chart = Chart { title: "output".into(), x: "t".into(), y: "y".into(), series: Vec::new() };
        let panels = vec![Panel::Raster(raster(0)), Panel::Chart(chart)];
        let stack = Stack { panels };
        assert_eq!(stack.size(), (SIZE.0, HEIGHTS.0 + SIZE.1));
        assert!(svg(&stack).unwrap().contains("output"));
        svg(&Stack { panels: Vec::new() }).unwrap();
    }
}
