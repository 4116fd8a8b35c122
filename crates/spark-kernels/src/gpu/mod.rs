//! Kernels for GPUs, compiled at run time for the device of their tensors.
//!
//! Most run on `f32` only; elements that a kernel does not know take the reference.
#![allow(clippy::result_large_err)] // Those are arguments that a kernel hands back, not errors.

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
