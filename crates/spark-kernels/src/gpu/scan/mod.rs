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
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::{calculate_cube_count_elemwise, client::Client};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::tensor::CubeTensor;

use crate::Maybe;
use crate::scan::ScanInputs;

/// A tensor of the same device and type whose elements are not set.
fn empty(like: &CubeTensor, shape: Shape) -> CubeTensor {
    empty_device_dtype(like.client.clone(), like.device.clone(), shape, like.dtype)
}

/// The elements of a tensor as the argument of a kernel.
fn elements(tensor: CubeTensor) -> BufferArg {
    into_contiguous(tensor).into_buffer_arg()
}

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
        let dim = CubeDim::new(&client, width);
        Some(Self {
            count: calculate_cube_count_elemwise(&client, width, dim),
            dim,
            address: inputs.input.required_address_type(),
            width,
            time: inputs.input.shape()[0],
            client,
        })
    }
}
