//! Gradients of the extension's operations.
//!
//! Burn's autodiff gives a step one output. An operation with several is recorded as a *carrier* step
//! that holds the real inputs, and one small step per output that only hands its gradient over; the
//! carrier runs after all of them, with whatever arrived.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind, unary};
use burn::backend::{Autodiff, AutodiffBackend, Backend, FloatDType, TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use crate::scan::{self, ScanInputs, ScanOptions, ScanOutputs};
use crate::{Kept, Maybe, Needed, SpikeConv2d, SpikeOps, Surrogate};

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

    fn spike_linear(
        spikes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Maybe<Self>,
        needed: Needed<Self>,
        half_width: f32,
    ) -> FloatTensor<Self> {
        /// Spikes, weight and, where there is one, bias.
        #[derive(Debug)]
        struct SpikeLinear<const N: usize>;

        #[derive(Clone, Debug)]
        struct State<B: Backend> {
            kept: Kept<B>,
            weight: FloatTensor<B>,
            needed: Needed<B>,
            half_width: f32,
        }

        impl<B: SpikeOps, const N: usize> Backward<B, N> for SpikeLinear<N> {
            type State = State<B>;

            fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
                let State { kept, weight, needed, half_width } = ops.state;
                let gradient = grads.consume::<B>(&ops.node);
                let inputs = weight.shape()[0];
                let mut parents = ops.parents.into_iter();
                if let Some(parent) = parents.next().flatten() {
                    let found = B::spike_linear_input_gradient(gradient.clone(), weight, needed, half_width);
                    grads.register::<B>(parent.id, found);
                }
                let [weight, bias] = [parents.next().flatten(), parents.next().flatten()];
                if weight.is_some() || bias.is_some() {
                    let found = B::spike_linear_kept_gradient(kept, gradient, inputs);
                    if let Some(node) = weight {
                        grads.register::<B>(node.id, found.0);
                    }
                    if let Some(node) = bias {
                        grads.register::<B>(node.id, found.1);
                    }
                }
            }
        }

        let (spikes, spikes_node) = spikes.into_parts();
        let (weight, weight_node) = weight.into_parts();
        // Where a gradient is needed has none itself.
        let needed = match needed {
            Needed::Everywhere => Needed::Everywhere,
            Needed::Near(potential, threshold) => {
                Needed::Near(potential.into_primitive(), threshold.into_primitive())
            }
        };
        let (bias, bias_node) = match bias {
            Maybe::Absent => (Maybe::Absent, None),
            Maybe::Present(bias) => {
                let (bias, node) = bias.into_parts();
                (Maybe::Present(bias), Some(node))
            }
        };
        let (output, kept) = B::spike_linear_keeping(spikes, weight.clone(), bias);
        let state = State { kept, weight, needed, half_width };
        match bias_node {
            None => record::<B, C, _, 2>(SpikeLinear, [spikes_node, weight_node], state, output),
            Some(bias) => record::<B, C, _, 3>(SpikeLinear, [spikes_node, weight_node, bias], state, output),
        }
    }

    fn spike_conv2d(
        spikes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Maybe<Self>,
        options: SpikeConv2d,
    ) -> FloatTensor<Self> {
        /// Spikes, weight and, where there is one, bias.
        #[derive(Debug)]
        struct Convolution<const N: usize>;

        impl<B: SpikeOps, const N: usize> Backward<B, N> for Convolution<N> {
            type State = (FloatTensor<B>, FloatTensor<B>, SpikeConv2d);

            fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
                let (spikes, weight, options) = ops.state;
                let gradient = grads.consume::<B>(&ops.node);
                let mut parents = ops.parents.into_iter();
                if let Some(parent) = parents.next().flatten() {
                    let (spikes, weight) = (spikes.clone(), weight.clone());
                    let found = B::spike_conv2d_input_gradient(spikes, weight, gradient.clone(), options);
                    grads.register::<B>(parent.id, found);
                }
                let [weight_node, bias_node] = [parents.next().flatten(), parents.next().flatten()];
                if weight_node.is_some() || bias_node.is_some() {
                    let found = B::spike_conv2d_weight_gradient(spikes, weight, gradient, options);
                    if let Some(node) = weight_node {
                        grads.register::<B>(node.id, found.0);
                    }
                    if let Some(node) = bias_node {
                        grads.register::<B>(node.id, found.1);
                    }
                }
            }
        }

        let (spikes, spikes_node) = spikes.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let state = (spikes.clone(), weight.clone(), options);
        match bias {
            Maybe::Absent => {
                let output = B::spike_conv2d(spikes, weight, Maybe::Absent, options);
                record::<B, C, _, 2>(Convolution, [spikes_node, weight_node], state, output)
            }
            Maybe::Present(bias) => {
                let (bias, bias_node) = bias.into_parts();
                let output = B::spike_conv2d(spikes, weight, Maybe::Present(bias), options);
                record::<B, C, _, 3>(Convolution, [spikes_node, weight_node, bias_node], state, output)
            }
        }
    }

    fn window_maximum(images: FloatTensor<Self>, window: [usize; 2]) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct WindowMaximum;

        impl<B: SpikeOps> Backward<B, 1> for WindowMaximum {
            type State = (FloatTensor<B>, [usize; 2]);

            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let (images, window) = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
                    B::window_maximum_backward(images, gradient, window)
                });
            }
        }

        let (images, node) = images.into_parts();
        let output = B::window_maximum(images.clone(), window);
        record::<B, C, _, 1>(WindowMaximum, [node], (images, window), output)
    }

    fn unit_scan(inputs: ScanInputs<Self>, _: bool, options: ScanOptions) -> ScanOutputs<Self> {
        scan::autodiff::unit_scan::<B, C>(inputs, options)
    }
}

/// Records an operation with one output that has run.
fn record<B, C, F, const N: usize>(
    operation: F,
    inputs: [NodeGuard; N],
    state: F::State,
    output: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>>
where
    B: Backend,
    C: CheckpointStrategy,
    F: Backward<B, N>,
{
    match operation.prepare::<C>(inputs).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(state, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
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
