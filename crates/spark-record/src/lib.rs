//! What happens inside a running network: recorded, kept in a run folder, looked at as pictures.
//!
//! [`Stream`] names what is recorded and [`Window`] is a stretch of it. [`statistics`] says in numbers what spikes do, and
//! [`figures`] draws them, as SVG or PNG.

pub mod figures;
pub mod statistics;
mod window;

pub use window::{Recording, Rows, Statistic, Stream, StreamKind, Window};
