//! Pictures: what is drawn, as values that can be compared and written as SVG or PNG.
//!
//! A [`Figure`] is rows of [`Panel`]s: a [`Chart`] of curves and histograms, a [`Raster`] of spikes, a [`Matrix`] of
//! numbers as colours, or the [`Graph`] of a model. What a recording shows is made by the functions of this module, such
//! as [`activity`] and [`weights`]. Colours are told apart with any colour vision, axes have units, and where there is
//! more than a picture can show, it says what it leaves out.

mod activity;
mod axis;
mod chart;
mod clock;
mod colours;
mod correlations;
mod curves;
mod distributions;
mod graph;
mod layers;
mod legend;
mod matrix;
mod panel;
mod picture;
mod raster;
mod summaries;
mod svg;
#[cfg(test)]
mod tests;
mod thin;
mod traces;
mod weights;

pub use activity::activity;
pub use axis::Scale;
pub use chart::{Chart, Line, Series, Style};
pub use colours::ColourScale;
pub use correlations::{correlations, spectra};
pub use curves::{RunCurves, comparison, curves};
pub use distributions::{intervals, irregularity, rates};
pub use graph::Graph;
pub use matrix::Matrix;
pub use panel::Panel;
pub use picture::{Figure, FigureError};
pub use raster::Raster;
pub use summaries::summaries;
pub use svg::escaped;
pub use traces::traces;
pub use weights::weights;
