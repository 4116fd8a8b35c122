//! Which backends carry the extension, and with which kernels.
//!
//! An empty body runs the composed reference.
#![allow(deprecated)] // Burn deprecates its ndarray backend; Spark offers it for comparison.

use burn::backend::{Flex, NdArray};

use crate::SpikeOps;

impl SpikeOps for Flex {}

impl SpikeOps for NdArray {}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl SpikeOps for burn_cubecl::CubeBackend {}
