//! Kernels for GPUs, compiled at run time for the device of their tensors.
//!
//! They run on `f32`; elements that a kernel does not know take the reference.

mod buffers;
pub(crate) mod delays;
pub(crate) mod eligibility;
pub(crate) mod metadata;
pub(crate) mod planes;
pub(crate) mod plasticity;
pub(crate) mod scan;
pub(crate) mod somas;
pub(crate) mod sparse;
mod surrogate;
pub(crate) mod synapses;
mod terms;
pub(crate) mod traces;
