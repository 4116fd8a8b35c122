//! Gradients of the extension of simulation.
//!
//! The composed reference runs on the autodiff backend and is differentiable by itself, so only what has a
//! cheaper rule than that stands here.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, binary};
use burn::backend::tensor::{FloatTensor, IntTensor};
use std::sync::Arc;

use crate::StepOps;
use crate::sparse::SparseRows;

impl<B: StepOps, C: CheckpointStrategy> StepOps for Autodiff<B, C> {
    fn sparse_matmul(
        spikes: FloatTensor<Self>,
        values: FloatTensor<Self>,
        sources: IntTensor<Self>,
        targets: IntTensor<Self>,
        pattern: Arc<SparseRows>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct SparseMatmul;

        impl<B: StepOps> Backward<B, 2> for SparseMatmul {
            type State = (FloatTensor<B>, FloatTensor<B>, IntTensor<B>, IntTensor<B>, Arc<SparseRows>);

            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let (spikes, values, sources, targets, pattern) = ops.state;
                let places = || (sources.clone(), targets.clone(), Arc::clone(&pattern));
                binary::<B, _, _>(
                    ops.parents,
                    ops.node,
                    grads,
                    |gradient| {
                        let (sources, targets, pattern) = places();
                        B::sparse_matmul_spikes_gradient(gradient, values, sources, targets, pattern)
                    },
                    |gradient| {
                        let (sources, targets, pattern) = places();
                        B::sparse_matmul_values_gradient(spikes, gradient, sources, targets, pattern)
                    },
                );
            }
        }

        let (spikes, spikes_node) = spikes.into_parts();
        let (values, values_node) = values.into_parts();
        let product = |spikes: &FloatTensor<B>, values: &FloatTensor<B>| {
            let (sources, targets) = (sources.clone(), targets.clone());
            B::sparse_matmul(spikes.clone(), values.clone(), sources, targets, Arc::clone(&pattern))
        };
        let output = product(&spikes, &values);
        match SparseMatmul.prepare::<C>([spikes_node, values_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((spikes, values, sources, targets, pattern), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
