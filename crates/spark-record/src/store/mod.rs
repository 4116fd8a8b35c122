//! One folder per run: what was recorded, and what the run was.
//!
//! [`RunWriter`] writes a run and [`RunReader`] reads one, while it is written too. The layout of the folder stands at
//! [`RunPaths`]; numpy, sqlite3 and safetensors alone read it from Python.

mod about;
mod error;
mod git;
mod index;
mod list;
mod lock;
mod paths;
mod queue;
mod reader;
mod recording;
mod requests;
mod resume;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_kill;
mod thread;
mod window_file;
mod writer;

pub use about::{RunAbout, RunRecord, Status};
pub use error::StoreError;
pub use index::{RunEvent, Scalar, Tag, Warning};
pub use list::{RunEntry, runs_in};
pub use paths::RunPaths;
pub use reader::RunReader;
pub use recording::{MeasurementInfo, WindowInfo};
pub use writer::RunWriter;

/// The version of the layout that this program writes, and the newest that it reads.
pub const RUN_FORMAT: u32 = 1;
