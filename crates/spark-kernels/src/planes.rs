//! Groups of tensors that cross the backend extension together.

use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Backend, BackendTensor, Dispatch, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind,
    ExtensionType,
};
use burn::tensor::Tensor;

/// Any number of float tensors in a fixed order.
///
/// State and parameters of a step are structures over a type of plane `P`: `Tensor<2>` for callers, a
/// backend's primitive in the reference, a slice in a kernel. An operation takes the planes as this list
/// and, beside it, the same structure over `()`, which says what is there and in which order.
#[derive(Clone, Debug, Default)]
pub struct Planes<B: Backend>(pub Vec<FloatTensor<B>>);

impl<B: Backend> Planes<B> {
    /// Hands the planes out in order.
    pub(crate) fn into_source(self) -> impl FnMut() -> FloatTensor<B> {
        let mut planes = self.0.into_iter();
        move || planes.next().expect("as many planes as the structure that was collected has")
    }
}

impl Planes<Dispatch> {
    /// An empty list for `count` tensors.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Adds a tensor.
    pub(crate) fn put<const D: usize>(&mut self, tensor: Tensor<D>) {
        self.0.push(tensor.into_dispatch());
    }
}

impl<B: Backend> ExtensionType<B> for Planes<B> {
    type Target = Planes<Dispatch>;

    fn map_to_dispatch<F>(self, map_kind: F, autodiff: DispatchAutodiffContext) -> Self::Target
    where
        F: Fn(BackendTensor<B>) -> DispatchTensorKind,
    {
        let wrap = |tensor| DispatchTensor { kind: map_kind(BackendTensor::Float(tensor)), autodiff };
        Planes(self.0.into_iter().map(wrap).collect())
    }

    fn map_from_dispatch<F>(target: Self::Target, unwrap_kind: F) -> Self
    where
        F: Fn(DispatchTensor) -> BackendTensor<B>,
    {
        Self(target.0.into_iter().map(|tensor| unwrap_kind(tensor).float()).collect())
    }

    fn routing_tensor(target: &Self::Target) -> Option<&DispatchTensor> {
        target.0.first()
    }

    fn routing_float_tensor(target: &Self::Target) -> Option<&DispatchTensor> {
        target.0.first()
    }

    fn autodiff_context(target: &Self::Target) -> DispatchAutodiffContext {
        let disabled = DispatchAutodiffContext::Disabled;
        target.0.iter().fold(disabled, |context, tensor| context.merge(tensor.autodiff))
    }
}
