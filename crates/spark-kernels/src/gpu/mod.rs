//! Kernels for GPUs, compiled at run time for the device of their tensors.
//!
//! Everything here runs on `f32`; other elements take the reference.

pub(crate) mod metadata;
pub(crate) mod scan;
mod surrogate;
