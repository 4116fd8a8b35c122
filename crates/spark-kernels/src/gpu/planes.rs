//! Lists of tensors, for Burn's fusion.

use burn::backend::Backend;
use burn::backend::fusion::custom::{
    ExtensionMetadata, Float, FusionValueAdapter, HandleContainer, OutputTensor, TensorId, TensorIr,
    TensorSpec,
};
use burn::backend::fusion::{ExecutionError, Fusion, FusionBackend, FusionRuntime, FusionTensor};

use crate::Planes;

type Handles<B> = HandleContainer<<<B as FusionBackend>::FusionRuntime as FusionRuntime>::FusionHandle>;

impl<B: Backend> ExtensionMetadata for Planes<B> {
    type Metadata = Vec<TensorSpec>;
    type Input = Vec<TensorIr>;
    type Output = Vec<OutputTensor>;
}

/// Every plane as Burn handles a tensor.
impl<B: FusionBackend> FusionValueAdapter<B> for Planes<B> {
    type Metadata = Vec<TensorSpec>;
    type Input = Vec<TensorIr>;
    type Output = Vec<OutputTensor>;
    type Inner = Self;
    type Fused = Planes<Fusion<B>>;

    fn to_metadata(value: &Self::Fused) -> Self::Metadata {
        value.0.iter().map(<Float as FusionValueAdapter<B>>::to_metadata).collect()
    }

    fn visit_fused_tensors(value: &Self::Fused, visit: &mut impl FnMut(&FusionTensor<B::FusionRuntime>)) {
        value.0.iter().for_each(visit);
    }

    fn tensor_count(meta: &Self::Metadata) -> usize {
        meta.len()
    }

    fn append_input_ir(value: Self::Fused, inputs: &mut Vec<TensorIr>) -> Self::Input {
        let mut append = |plane| <Float as FusionValueAdapter<B>>::append_input_ir(plane, inputs);
        value.0.into_iter().map(&mut append).collect()
    }

    fn resolve_inputs(input: &Self::Input, handles: &mut Handles<B>) -> Self {
        let mut resolve = |plane| <Float as FusionValueAdapter<B>>::resolve_inputs(plane, handles);
        Self(input.iter().map(&mut resolve).collect())
    }

    fn append_output_ir(
        meta: &Self::Metadata,
        out: &mut Vec<TensorIr>,
        create: &mut impl FnMut() -> TensorId,
    ) -> Self::Output {
        let mut append = |plane| <Float as FusionValueAdapter<B>>::append_output_ir(plane, out, create);
        meta.iter().map(&mut append).collect()
    }

    fn validate_outputs(
        value: &Self,
        output: &Self::Output,
        device: Option<&B::Device>,
    ) -> Result<(), ExecutionError> {
        if value.0.len() != output.len() {
            return Err(ExecutionError::generic("a list of planes differs in length from its metadata"));
        }
        let mut planes = value.0.iter().zip(output);
        planes.try_for_each(|(plane, output)| {
            <Float as FusionValueAdapter<B>>::validate_outputs(plane, output, device)
        })
    }

    fn register_output_handles(value: Self, output: &Self::Output, handles: &mut Handles<B>) {
        for (plane, output) in value.0.into_iter().zip(output) {
            <Float as FusionValueAdapter<B>>::register_output_handles(plane, output, handles);
        }
    }

    fn build_fused_output(
        meta: &Self::Metadata,
        tensors: &mut std::vec::IntoIter<FusionTensor<B::FusionRuntime>>,
    ) -> Self::Fused {
        Planes(tensors.take(meta.len()).collect())
    }
}
