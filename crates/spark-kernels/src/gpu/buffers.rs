//! Tensors as arguments of kernels, and what kernels read of them.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::{calculate_cube_count_elemwise, client::Client};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// A tensor of the same device and type whose elements are not set, without gaps between its rows.
pub(super) fn empty(like: &CubeTensor, shape: Shape) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape, like.dtype)
}

/// The elements of a tensor as the argument of a kernel.
pub(super) fn elements(tensor: CubeTensor) -> BufferArg {
    into_contiguous(tensor).into_buffer_arg()
}

/// Where a kernel writes what becomes of a plane that it reads as its buffer number `position`: over it
/// where nothing else holds it, else to a new one.
///
/// The plane has no gaps, and each of its elements is read and written by one thread.
pub(super) fn over(plane: &CubeTensor, position: usize) -> (CubeTensor, BufferArg) {
    if plane.can_mut() {
        return (plane.clone(), BufferArg::alias(position, plane.meta.num_elements()));
    }
    let fresh = empty(plane, plane.meta.shape().clone());
    (fresh.clone(), fresh.into_buffer_arg())
}

/// Whether all of these are `f32`, which the kernels are made for, and few enough for the device to see them
/// and `results` more at once.
pub(super) fn known<'a>(tensors: impl IntoIterator<Item = &'a CubeTensor>, results: usize) -> bool {
    let (mut count, mut limit) = (results, u32::MAX);
    let known = tensors.into_iter().all(|tensor| {
        count += 1;
        limit = tensor.client.properties().hardware.max_bindings;
        tensor.dtype == DType::F32
    });
    known && count <= limit as usize
}

/// What counts the elements of the longest of some tensors.
pub(super) fn address<'a>(tensors: impl IntoIterator<Item = &'a CubeTensor>) -> AddressType {
    tensors.into_iter().map(CubeTensor::required_address_type).max().unwrap_or_default()
}

/// One thread for each of `count` elements.
pub(super) fn threads(client: &Client, count: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new(client, count);
    (calculate_cube_count_elemwise(client, count, dim), dim)
}

/// Exactly 1 for `x > 0`, else 0.
#[cube]
pub(super) fn crossing(x: f32) -> f32 {
    select(x > 0.0, 1.0f32, 0.0f32)
}

/// Entry `lane` of a parameter that repeats as often as it takes.
#[cube]
pub(super) fn parameter(parameter: &[f32], lane: usize) -> f32 {
    parameter[lane % parameter.len()]
}

/// The entry of a unit in a parameter that all units share or each has its own.
#[cube]
pub(super) fn of_unit(parameter: &[f32], unit: usize) -> f32 {
    parameter[min(unit, parameter.len() - 1)]
}

/// Entry `lane` of a parameter that repeats as often as it takes, 0 where there is none.
#[cube]
pub(super) fn parameter_or_zero(values: &ComptimeOption<&[f32]>, lane: usize) -> f32 {
    #[comptime]
    match values {
        ComptimeOption::Some(values) => values[lane % values.len()],
        ComptimeOption::None => f32::new(0.0),
    }
}

/// Entry `index`, 0 where there is none.
#[cube]
pub(super) fn element_or_zero(values: &ComptimeOption<&[f32]>, index: usize) -> f32 {
    #[comptime]
    match values {
        ComptimeOption::Some(values) => values[index],
        ComptimeOption::None => f32::new(0.0),
    }
}
