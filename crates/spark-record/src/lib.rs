//! What happens inside a running network: recorded, kept in a run folder, looked at as pictures.
//!
//! [`Stream`] names what is recorded and [`Window`] is a stretch of it. [`RunWriter`] keeps what was recorded in a run's
//! folder, and [`RunReader`] reads it. [`statistics`] says in numbers what spikes do, [`figures`] draws recordings as SVG
//! or PNG, and [`report`] puts everything that a run has into one page.

pub mod figures;
pub mod plots;
pub mod report;
pub mod statistics;
mod store;
mod window;

pub use store::{
    MeasurementInfo, RUN_FORMAT, RunAbout, RunEntry, RunEvent, RunPaths, RunReader, RunRecord, RunWriter,
    Scalar, Status, StoreError, Tag, Warning, WindowInfo, runs_in,
};
pub use window::{Recording, Rows, Statistic, Stream, StreamKind, Window};
