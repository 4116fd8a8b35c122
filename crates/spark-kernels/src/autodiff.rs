//! Gradients of the extension's operations.
//!
//! Burn's autodiff gives a step one output. An operation with several is recorded as a *carrier* step
//! that holds the real inputs, and one small step per output that only hands its gradient over; the
//! carrier runs after all of them, with whatever arrived.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind, binary, unary};
use burn::backend::{Autodiff, AutodiffBackend, Backend, FloatDType, TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use crate::scan::{self, ScanInputs, ScanOptions, ScanOutputs};
use crate::{SpikeOps, Surrogate};

impl<B: SpikeOps, C: CheckpointStrategy> SpikeOps for Autodiff<B, C> {
    fn spike(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Spike;

        impl<B: SpikeOps> Backward<B, 1> for Spike {
            type State = (FloatTensor<B>, Surrogate);

            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let (x, surrogate) = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
                    B::spike_backward(x, gradient, surrogate)
                });
            }
        }

        let (x, node) = x.into_parts();
        match Spike.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x.clone(), surrogate), B::spike(x, surrogate)),
            OpsKind::UnTracked(prep) => prep.finish(B::spike(x, surrogate)),
        }
    }

    fn spike_matmul(spikes: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct SpikeMatmul;

        impl<B: SpikeOps> Backward<B, 2> for SpikeMatmul {
            type State = (FloatTensor<B>, FloatTensor<B>);

            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let (spikes, weight) = ops.state;
                binary::<B, _, _>(
                    ops.parents,
                    ops.node,
                    grads,
                    |gradient| B::float_matmul(gradient, B::float_transpose(weight)),
                    |gradient| B::spike_matmul_weight_gradient(spikes, gradient),
                );
            }
        }

        let (spikes, spikes_node) = spikes.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let output = B::spike_matmul(spikes.clone(), weight.clone());
        match SpikeMatmul.prepare::<C>([spikes_node, weight_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((spikes, weight), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn unit_scan(inputs: ScanInputs<Self>, _: bool, options: ScanOptions) -> ScanOutputs<Self> {
        scan::autodiff::unit_scan::<B, C>(inputs, options)
    }
}

/// The backward pass of an operation with `N` inputs and `M` outputs; `self` is what it saved.
pub(crate) trait ManyOutputs<B: Backend, const N: usize, const M: usize>:
    Clone + Debug + Send + 'static
{
    /// Gradients of the inputs from those of the outputs; an output that nobody used has none. What is
    /// returned for an input that is not wanted is ignored.
    fn backward(
        self,
        wanted: [bool; N],
        gradients: [Option<FloatTensor<B>>; M],
    ) -> [Option<FloatTensor<B>>; N];
}

/// Where the outputs of one operation leave their gradients for its carrier.
#[derive(Debug)]
struct Slots<B: Backend, const M: usize>(Arc<Mutex<[Option<FloatTensor<B>>; M]>>);

impl<B: Backend, const M: usize> Clone for Slots<B, M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The step that holds an operation's inputs and runs its backward pass once.
struct Carrier<F, const M: usize>(PhantomData<F>);

impl<F, const M: usize> Debug for Carrier<F, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Carrier<{}>", std::any::type_name::<F>())
    }
}

impl<B, F, const N: usize, const M: usize> Backward<B, N> for Carrier<F, M>
where
    B: Backend,
    F: ManyOutputs<B, N, M>,
{
    type State = (F, Slots<B, M>);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        grads.consume::<B>(&ops.node);
        let (operation, slots) = ops.state;
        let arrived = std::mem::replace(
            &mut *slots.0.lock().unwrap_or_else(PoisonError::into_inner),
            [const { None }; M],
        );
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = operation.backward(wanted, arrived);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// One output: puts its gradient into its slot and wakes the carrier.
#[derive(Debug)]
struct Output<const M: usize>(usize);

impl<B: Backend, const M: usize> Backward<B, 1> for Output<M> {
    type State = Slots<B, M>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let device = gradient.device();
        ops.state.0.lock().unwrap_or_else(PoisonError::into_inner)[self.0] = Some(gradient);
        if let [Some(carrier)] = ops.parents {
            grads.register::<B>(carrier.id, token::<B>(&device));
        }
    }
}

/// The value of a carrier; it only has to exist.
fn token<B: Backend>(device: &B::Device) -> FloatTensor<B> {
    B::float_zeros(Shape::from([1]), device, FloatDType::F32)
}

/// Records an operation that has run: returns its outputs, as far as there are any, on the autodiff backend.
pub(crate) fn track<B, C, F, const N: usize, const M: usize>(
    operation: F,
    inputs: [NodeGuard; N],
    outputs: [Option<FloatTensor<B>>; M],
) -> [Option<FloatTensor<Autodiff<B, C>>>; M]
where
    B: Backend,
    C: CheckpointStrategy,
    F: ManyOutputs<B, N, M>,
{
    let Some(device) = outputs.iter().flatten().next().map(TensorMetadata::device) else {
        return [const { None }; M];
    };
    match Carrier::<F, M>(PhantomData).prepare::<C>(inputs).compute_bound().stateful() {
        OpsKind::UnTracked(_) => {
            outputs.map(|output| output.map(<Autodiff<B, C> as AutodiffBackend>::from_inner))
        }
        OpsKind::Tracked(prep) => {
            let slots = Slots(Arc::new(Mutex::new([const { None }; M])));
            let carrier = prep.finish((operation, slots.clone()), token::<B>(&device));
            let mut index = 0..M;
            outputs.map(|output| {
                let step = Output::<M>(index.next().unwrap_or_default());
                output.map(|output| match step.prepare::<C>([carrier.node()]).compute_bound().stateful() {
                    OpsKind::Tracked(prep) => prep.finish(slots.clone(), output),
                    OpsKind::UnTracked(prep) => prep.finish(output),
                })
            })
        }
    }
}
