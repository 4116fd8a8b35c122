//! Threshold crossings.

use burn::backend::{TensorMetadata, tensor::FloatTensor};

use super::{HostBackend, crossing};

/// The fused forward pass of a crossing per element; `None` when the tensor is not `f32`.
pub(crate) fn forward<B: HostBackend>(x: &FloatTensor<B>) -> Option<FloatTensor<B>> {
    let spikes = B::slice(x)?.iter().map(|&x| crossing(x)).collect();
    Some(B::tensor(spikes, x.shape()))
}
