//! Pictures of what a network did.
//!
//! [`Chart`] draws curves to SVG or PNG: the learning curves of `spark train`.

mod chart;

pub use chart::{Chart, ChartError, Figure, Series};
