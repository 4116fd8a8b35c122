//! What happens inside a running network: recorded, kept in a run folder, looked at as pictures.
//!
//! A [`Recorder`] looks into a model while it runs, as [`Measurement`]s say: [`Probe`]s by address, and a [`Trigger`].
//! [`Stream`] names what is recorded and [`Window`] is a stretch of it; [`record_layers`] makes windows of a batch that
//! a trained network saw. [`RunWriter`] keeps what was recorded in a run's folder, and [`RunReader`] reads it.
//! [`statistics`] says in numbers what spikes do, [`figures`] draws recordings as SVG or PNG, [`plots`] knows which
//! pictures a run has, and [`report`] puts everything that it has into one page.

pub mod figures;
pub mod plots;
mod recorder;
pub mod report;
pub mod statistics;
mod store;
mod window;

pub use recorder::{
    Grouping, Measurement, Preset, Probe, Recorder, Trigger, Units, UnknownPreset, record_layers, validate,
};
pub use store::{
    MeasurementInfo, RUN_FORMAT, RunAbout, RunEntry, RunEvent, RunPaths, RunReader, RunRecord, RunWriter,
    Scalar, Status, StoreError, Tag, Warning, WindowInfo, runs_in,
};
pub use window::{Recording, Rows, Statistic, Stream, StreamKind, Window};
