//! Pictures of what a network did.
//!
//! [`Chart`] draws curves to SVG or PNG: the learning curves of `spark train`. A [`Raster`] shows spikes over
//! time, and a [`Stack`] puts both below one another.

mod chart;
mod raster;

pub use chart::{Chart, ChartError, Figure, Series};
pub use raster::{Panel, Raster, Stack};
