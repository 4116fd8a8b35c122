//! The parts of neurons, in physical units: mV, ms, pA, GΩ, nS, Hz.
//!
//! Each is a file of its own: configuration, equations, step, registration, tests. To add one, write the
//! file and its `mod` line; configuration files, command line, editor and documentation find it from there.

pub mod delays;
pub mod dendrites;
pub mod plasticity;
pub mod somas;
pub mod synapses;
pub mod tracers;

#[cfg(test)]
mod names;
