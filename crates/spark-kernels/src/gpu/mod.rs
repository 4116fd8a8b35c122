//! Kernels for GPUs, compiled at run time for the device of their tensors.
//!
//! The scans run on `f32`; elements that a kernel does not know take the reference.

pub(crate) mod metadata;
pub(crate) mod scan;
mod surrogate;
pub(crate) mod synapses;
