//! Models: modules, how they are set and how they are wired, as a file or a builder describes them.
//!
//! Structure is typed ([`ModuleSpec`], [`Wire`]), settings are fields by name, so that one set of tools serves
//! every component: [`Model::complete`] fills in defaults, [`Pattern`]s read and set fields, [`diff`](Model::diff)
//! compares. What a field may hold is known to the configuration of its component alone.

mod address;
mod complete;
mod diff;
mod document;
mod schema;
mod spec;
mod sweep;
mod wire;

pub use address::{Address, Pattern, PatternError};
pub use complete::{CompleteError, brief, complete, handed_down, merge, same};
pub use diff::{Change, changes};
pub use document::{Definition, Model, SetError, VERSION};
pub use schema::{module_schema, schema};
pub use spec::{ModuleSpec, Settings, Wiring};
pub use sweep::{Setting, SettingError, Sweep, Variant, seeds};
pub use wire::{Origin, Wire, WireError, is_name};
