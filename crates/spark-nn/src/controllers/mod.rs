//! Controllers: modules wired to one another, stepped as one.
//!
//! A [`NeuronConfig`] runs its modules in the order of their dependencies, each on what the others gave in the
//! same step; a [`BrainConfig`] runs all of them on what they gave one step before, so that any loop is legal.
//! Both are modules themselves and nest.
//!
//! In the source, `wiring` checks how modules are wired, `assembly` works out shapes and builds them, and
//! [`Controller`] runs them.

mod assembly;
mod config;
mod controller;
mod idle;
mod layout;
mod look;
mod on_host;
mod saved;
mod schedule;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_on_host;
mod waiting;
mod wiring;

pub use config::{BrainConfig, NeuronConfig};
pub use controller::{Controller, Observer, RunError};
