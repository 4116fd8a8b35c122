//! Scans: one thread takes one unit of one sample through all steps.
//!
//! The arithmetic is that of the reference in `crate::scan`; compilers of kernels may contract a product and a
//! sum, so that values agree to rounding.
#![allow(clippy::manual_div_ceil, clippy::manual_is_multiple_of, clippy::collapsible_if)] // Kernels know none of these.

mod back;
mod backward;
mod forward;
mod unit;

pub(crate) use backward::backward;
pub(crate) use forward::forward;

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::prelude::*;

use super::buffers::{elements, threads};
use crate::Maybe;
use crate::scan::ScanInputs;

/// Those of a tensor that may be absent.
fn maybe(tensor: Maybe<CubeBackend>) -> Option<BufferArg> {
    tensor.into_option().map(elements)
}

/// How a kernel starts: one thread per unit and sample.
struct Launch {
    client: Client,
    count: CubeCount,
    dim: CubeDim,
    /// What counts the elements of the longest tensor.
    address: AddressType,
    /// Units times samples.
    width: usize,
    time: usize,
}

impl Launch {
    /// `None` when a tensor is not `f32`.
    fn new(inputs: &ScanInputs<CubeBackend>) -> Option<Self> {
        if inputs.tensors().any(|tensor| tensor.dtype != DType::F32) {
            return None;
        }
        let client = inputs.input.client.clone();
        let width = inputs.membrane.shape().num_elements();
        let (count, dim) = threads(&client, width);
        Some(Self {
            count,
            dim,
            address: inputs.input.required_address_type(),
            width,
            time: inputs.input.shape()[0],
            client,
        })
    }
}
