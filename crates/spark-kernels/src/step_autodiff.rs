//! Gradients of the extension of simulation.
//!
//! The composed reference runs on the autodiff backend and is differentiable by itself, so only what has a
//! cheaper rule than that stands here.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, binary};
use burn::backend::tensor::FloatTensor;
use std::sync::Arc;

use crate::StepOps;
use crate::sparse::{SparsePlaces, SparseRows};

impl<B: StepOps, C: CheckpointStrategy> StepOps for Autodiff<B, C> {
    fn sparse_matmul(
        spikes: FloatTensor<Self>,
        values: FloatTensor<Self>,
        places: SparsePlaces<Self>,
        pattern: Arc<SparseRows>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct SparseMatmul;

        impl<B: StepOps> Backward<B, 2> for SparseMatmul {
            type State = (FloatTensor<B>, FloatTensor<B>, SparsePlaces<B>, Arc<SparseRows>);

            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let (spikes, values, places, pattern) = ops.state;
                let pattern = || (places.clone(), Arc::clone(&pattern));
                binary::<B, _, _>(
                    ops.parents,
                    ops.node,
                    grads,
                    |gradient| {
                        let (places, pattern) = pattern();
                        B::sparse_matmul_spikes_gradient(gradient, values, places, pattern)
                    },
                    |gradient| {
                        let (places, pattern) = pattern();
                        B::sparse_matmul_values_gradient(spikes, gradient, places, pattern)
                    },
                );
            }
        }

        let (spikes, spikes_node) = spikes.into_parts();
        let (values, values_node) = values.into_parts();
        let SparsePlaces { sources, targets, leaving, order, arriving } = places;
        let places = SparsePlaces::<B> { sources, targets, leaving, order, arriving };
        let output = B::sparse_matmul(spikes.clone(), values.clone(), places.clone(), Arc::clone(&pattern));
        match SparseMatmul.prepare::<C>([spikes_node, values_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((spikes, values, places, pattern), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
