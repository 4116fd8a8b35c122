//! One part of a figure.

use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;

use super::picture::FONT;
use super::{Chart, Graph, Matrix, Raster};

/// What drawing gives; the backends' errors have no type in common.
pub(super) type Drawn = Result<(), Box<dyn Error>>;

/// Sizes of the text of titles, of the names of axes and of numbers along them, in pixels.
pub(super) const TEXT: (u32, u32, u32) = (20, 16, 14);

/// Space around a panel, and left of and below its plot for numbers and names of axes, in pixels.
pub(super) const SPACE: (u32, u32, u32) = (10, 80, 46);

/// A part of a [`Figure`](super::Figure).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // Each is named after what it holds.
pub enum Panel {
    Chart(Chart),
    Raster(Raster),
    Matrix(Matrix),
    Graph(Graph),
}

impl Panel {
    /// The title above it.
    pub fn title(&self) -> &str {
        match self {
            Self::Chart(chart) => &chart.title,
            Self::Raster(raster) => &raster.title,
            Self::Matrix(matrix) => &matrix.title,
            Self::Graph(graph) => &graph.title,
        }
    }

    /// What it needs at least to be readable, in pixels.
    pub(super) fn least_width(&self) -> u32 {
        if let Self::Graph(graph) = self { graph.size().0 } else { 0 }
    }

    /// Its height in pixels.
    ///
    /// * `narrow`: whether it stands beside others or alone.
    pub(super) fn height(&self, narrow: bool) -> u32 {
        match self {
            Self::Chart(_) if narrow => 400,
            Self::Chart(_) => 300,
            // Two pixels for each unit, and room for title and axis.
            Self::Raster(raster) => (120 + 2 * raster.units.min(1000) as u32).clamp(220, 640),
            Self::Matrix(_) => 400,
            Self::Graph(graph) => graph.size().1,
        }
    }

    pub(super) fn draw<B>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B: DrawingBackend<ErrorType: 'static>,
    {
        match self {
            Self::Chart(chart) => chart.draw(area),
            Self::Raster(raster) => raster.draw(area),
            Self::Matrix(matrix) => matrix.draw(area),
            Self::Graph(graph) => graph.draw(area),
        }
    }
}

impl From<Chart> for Panel {
    fn from(chart: Chart) -> Self {
        Self::Chart(chart)
    }
}

impl From<Raster> for Panel {
    fn from(raster: Raster) -> Self {
        Self::Raster(raster)
    }
}

impl From<Matrix> for Panel {
    fn from(matrix: Matrix) -> Self {
        Self::Matrix(matrix)
    }
}

impl From<Graph> for Panel {
    fn from(graph: Graph) -> Self {
        Self::Graph(graph)
    }
}

/// Writes the title and, smaller, a note below it; returns what is left of the area.
pub(super) fn headed<B>(
    area: &DrawingArea<B, Shift>,
    title: &str,
    note: &str,
) -> Result<DrawingArea<B, Shift>, Box<dyn Error>>
where
    B: DrawingBackend<ErrorType: 'static>,
{
    let mut rest = area.margin(SPACE.0, 0, 0, 0);
    for (text, size, faint) in [(title, TEXT.0, 1.0), (note, TEXT.2, 0.65)] {
        if !text.is_empty() {
            let ink = BLACK.mix(faint);
            let style = (FONT, size).into_text_style(&rest).color(&ink);
            rest = rest.titled(&fitted(&rest, text, &style)?, style)?;
        }
    }
    Ok(rest)
}

/// As much of a text as is not wider than an area.
fn fitted<B>(area: &DrawingArea<B, Shift>, text: &str, style: &TextStyle) -> Result<String, Box<dyn Error>>
where
    B: DrawingBackend<ErrorType: 'static>,
{
    let room = area.dim_in_pixel().0;
    if area.estimate_text_size(text, style)?.0 <= room {
        return Ok(text.to_owned());
    }
    let letters: Vec<char> = text.chars().collect();
    let mut kept = letters.len();
    loop {
        kept -= kept.div_ceil(20).min(kept);
        let shorter: String = letters[..kept].iter().chain(&['…']).collect();
        if kept == 0 || area.estimate_text_size(&shorter, style)?.0 <= room {
            return Ok(shorter);
        }
    }
}
