//! Kernels for the CPU, shared by every backend whose tensors are slices in memory.
#![allow(deprecated)] // Burn deprecates its ndarray backend; Spark offers it for comparison.

pub(crate) mod channels;
pub(crate) mod conv;
pub(crate) mod delays;
pub(crate) mod draws;
pub(crate) mod eligibility;
pub(crate) mod events;
mod lanes;
mod late_terms;
mod lists;
pub(crate) mod masks;
mod math;
pub(crate) mod plasticity;
pub(crate) mod plateau;
pub(crate) mod pool;
pub(crate) mod scan;
pub(crate) mod somas;
pub(crate) mod sparse;
pub(crate) mod spike;
mod spike_terms;
pub(crate) mod support;
pub(crate) mod traces;

use burn::backend::{Backend, Flex, NdArray, tensor::FloatTensor};
use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};
use burn_ndarray::NdArrayTensor;
use std::borrow::Cow;

/// A backend whose tensors are slices in memory.
pub(crate) trait HostBackend: Backend {
    /// The elements in row-major order, when they are `f32`.
    fn slice(tensor: &FloatTensor<Self>) -> Option<Cow<'_, [f32]>>;

    /// The elements in row-major order for writing, when they are `f32` and nobody else holds them.
    fn unique_slice_mut(tensor: &mut FloatTensor<Self>) -> Option<&mut [f32]>;

    /// The elements in row-major order for writing, when they are `f32`; copied first if shared.
    fn slice_mut(tensor: &mut FloatTensor<Self>) -> Option<&mut [f32]>;

    /// A tensor of the given elements in row-major order.
    fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Self>;
}

impl HostBackend for Flex {
    fn slice(tensor: &FlexTensor) -> Option<Cow<'_, [f32]>> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        match tensor.as_slice::<f32>() {
            Some(slice) => Some(Cow::Borrowed(slice)),
            None => Some(Cow::Owned(tensor.to_contiguous().as_slice::<f32>()?.to_vec())),
        }
    }

    fn slice_mut(tensor: &mut FlexTensor) -> Option<&mut [f32]> {
        if !tensor.is_unique() || !tensor.is_contiguous() {
            let values = Self::slice(tensor)?.into_owned();
            *tensor = Self::tensor(values, tensor.layout().shape().clone());
        }
        let (start, end) = tensor.layout().contiguous_offsets()?;
        (tensor.dtype() == DType::F32).then(|| &mut tensor.storage_mut::<f32>()[start..end])
    }

    fn unique_slice_mut(tensor: &mut FlexTensor) -> Option<&mut [f32]> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        let (start, end) = tensor.layout().contiguous_offsets()?;
        tensor.try_storage_mut::<f32>()?.get_mut(start..end)
    }

    fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
        FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
    }
}

impl HostBackend for NdArray {
    fn slice(tensor: &NdArrayTensor) -> Option<Cow<'_, [f32]>> {
        let NdArrayTensor::F32(storage) = tensor else {
            return None;
        };
        let view = storage.view();
        Some(match view.to_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(view.iter().copied().collect()),
        })
    }

    fn slice_mut(tensor: &mut NdArrayTensor) -> Option<&mut [f32]> {
        let NdArrayTensor::F32(storage) = tensor else {
            return None;
        };
        let array = storage.ensure_owned();
        if !array.is_standard_layout() {
            *array = array.as_standard_layout().into_owned().into_shared();
        }
        array.as_slice_mut()
    }

    fn unique_slice_mut(tensor: &mut NdArrayTensor) -> Option<&mut [f32]> {
        match tensor {
            NdArrayTensor::F32(storage) if storage.is_unique() => storage.ensure_owned().as_slice_mut(),
            _ => None,
        }
    }

    fn tensor(values: Vec<f32>, shape: Shape) -> NdArrayTensor {
        let array = ndarray::ArrayD::from_shape_vec(ndarray::IxDyn(&shape), values)
            .expect("as many values as the shape has elements");
        NdArrayTensor::from(array.into_shared())
    }
}

/// Exactly 1 for `x > 0`, else 0.
#[inline(always)]
fn crossing(x: f32) -> f32 {
    if x > 0.0 { 1.0 } else { 0.0 }
}

/// Memory for the elements of an output; what it holds does not matter.
fn buffer(length: usize) -> Vec<f32> {
    vec![0.0; length]
}

/// Cuts every row of `rows × width` into pieces of `lanes` columns and gathers the pieces by column, so that
/// each column block can be given to a thread with all its rows.
fn columns_mut(data: &mut [f32], width: usize, lanes: usize) -> Vec<Vec<&mut [f32]>> {
    let rows = data.len() / width.max(1);
    let mut blocks: Vec<Vec<&mut [f32]>> =
        (0..width.div_ceil(lanes)).map(|_| Vec::with_capacity(rows)).collect();
    for row in data.chunks_mut(width.max(1)) {
        for (block, piece) in blocks.iter_mut().zip(row.chunks_mut(lanes)) {
            block.push(piece);
        }
    }
    blocks
}
