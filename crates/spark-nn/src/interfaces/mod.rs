//! Where signals become spikes, spikes become signals, and payloads are joined, picked and averaged.
//!
//! Signals are dimensionless numbers; what they mean in Hz stands in the configuration of each interface.
//! As with [`components`](crate::components), each is a file of its own and registers itself.

pub mod control;
pub mod input;
pub mod output;
