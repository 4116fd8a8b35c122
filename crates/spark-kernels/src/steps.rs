//! The backend extension of simulation: operations that go one step of time at a time.
#![allow(deprecated)] // Burn deprecates its ndarray backend; Spark offers it for comparison.

use burn::backend::{
    TensorMetadata, backend_extension,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::DType;
use std::sync::Arc;

use crate::channels::{self, ChannelForm};
use crate::composed::T;
use crate::delays::{self, DelayOrder};
use crate::eligibility::{self, EligibilityForm};
use crate::philox::Stream;
use crate::planes::Planes;
use crate::plasticity::{self, MaybeInt, PlasticityForm};
use crate::plateau::{self, PlateauForm};
use crate::somas::{self, SomaForm};
use crate::sparse::{self, SparseDelays, SparsePlaces, SparseRows};
use crate::traces::{self, LazyDecay, Trace};
use crate::{SpikeOps, random};

/// Operations of a simulation step.
///
/// Shapes are those of the functions on tensors of the same names; call those instead.
/// The default bodies are the reference that every kernel is tested against; on an autodiff backend they
/// run as they stand and are differentiable.
#[backend_extension(
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Flex,
    NdArray,
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda"))
)]
pub trait StepOps: SpikeOps {
    /// See [`soma_step`](crate::soma_step). Returns spikes and the planes of the new state.
    #[fusion(default)]
    fn soma_step(
        current: FloatTensor<Self>,
        #[extension_type] planes: Planes<Self>,
        form: SomaForm,
    ) -> (FloatTensor<Self>, Planes<Self>) {
        if form.has_gpu_kernel() && current.dtype() == DType::F32 {
            Self::soma_step_known(current, planes, form)
        } else {
            somas::step_planes(current, planes, form)
        }
    }

    /// [`soma_step`](crate::soma_step) of a model that GPUs have a kernel for.
    ///
    /// An operation of its own: Burn fuses the composed body of another model, but not a kernel that it does
    /// not know.
    #[fusion(meta = crate::gpu::metadata::soma_step)]
    fn soma_step_known(
        current: FloatTensor<Self>,
        #[extension_type] planes: Planes<Self>,
        form: SomaForm,
    ) -> (FloatTensor<Self>, Planes<Self>) {
        somas::step_planes(current, planes, form)
    }

    /// See [`random::bernoulli_each`](crate::random::bernoulli_each).
    #[fusion(default)]
    fn bernoulli(probability: FloatTensor<Self>, stream: Stream) -> FloatTensor<Self> {
        random::compare::<Self>(probability, stream)
    }

    /// See [`trace_step`](crate::trace_step).
    #[fusion(dtype = trace, shape = trace)]
    fn trace_step(
        trace: FloatTensor<Self>,
        input: FloatTensor<Self>,
        #[extension_type] planes: Planes<Self>,
        form: Trace<()>,
    ) -> FloatTensor<Self> {
        let mut next = planes.into_source();
        traces::step::<Self>(T(trace), T(input), form.map(|()| T(next()))).0
    }

    /// See [`LazyTrace::hit`](crate::LazyTrace::hit). Returns values and steps of the last events.
    #[fusion(meta = crate::gpu::metadata::lazy_trace_hit)]
    fn lazy_trace_hit(
        value: FloatTensor<Self>,
        last: FloatTensor<Self>,
        input: FloatTensor<Self>,
        #[extension_type] planes: Planes<Self>,
        form: LazyDecay<()>,
        now: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let mut next = planes.into_source();
        let decay = form.map(|()| T::<Self>(next()));
        let (value, last) = traces::lazy_hit(T(value), T(last), T(input), decay, now);
        (value.0, last.0)
    }

    /// See [`LazyTrace::read`](crate::LazyTrace::read).
    #[fusion(dtype = value, shape = value)]
    fn lazy_trace_read(
        value: FloatTensor<Self>,
        last: FloatTensor<Self>,
        #[extension_type] planes: Planes<Self>,
        form: LazyDecay<()>,
        now: f32,
    ) -> FloatTensor<Self> {
        let mut next = planes.into_source();
        traces::lazy_read::<Self>(T(value), T(last), form.map(|()| T(next())), now).0
    }

    /// See [`DelayRing::push`](crate::DelayRing::push).
    #[fusion(default)]
    fn delay_push(history: FloatTensor<Self>, signal: FloatTensor<Self>, slot: usize) -> FloatTensor<Self> {
        delays::push::<Self>(history, signal, slot)
    }

    /// See [`DelayRing::read`](crate::DelayRing::read).
    #[fusion(dtype = history, shape = burn::tensor::Shape::from([history[1], history[2]]))]
    fn delay_read(
        history: FloatTensor<Self>,
        steps: IntTensor<Self>,
        _order: Arc<DelayOrder>,
        newest: usize,
    ) -> FloatTensor<Self> {
        delays::read::<Self>(history, steps, newest)
    }

    /// See [`DelayRing::read_pairs`](crate::DelayRing::read_pairs).
    #[fusion(dtype = history, shape = burn::tensor::Shape::from([history[1], history[2], steps[1]]))]
    fn delay_read_pairs(
        history: FloatTensor<Self>,
        steps: IntTensor<Self>,
        order: Arc<DelayOrder>,
        newest: usize,
    ) -> FloatTensor<Self> {
        delays::read_pairs::<Self>(history, steps, order.max(), newest)
    }

    /// See [`DelayRing::currents`](crate::DelayRing::currents).
    #[fusion(dtype = history, shape = burn::tensor::Shape::from([history[1], weight[1]]))]
    fn delayed_currents(
        history: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        steps: IntTensor<Self>,
        order: Arc<DelayOrder>,
        newest: usize,
    ) -> FloatTensor<Self> {
        delays::currents::<Self>(history, weight, steps, order.max(), newest)
    }

    /// See [`plasticity_step`](crate::plasticity_step). Returns the weight and at most one plane: the target.
    #[fusion(meta = crate::gpu::metadata::plasticity_step)]
    fn plasticity_step(
        weight: FloatTensor<Self>,
        #[extension_type] steps: MaybeInt<Self>,
        #[extension_type] planes: Planes<Self>,
        form: PlasticityForm,
    ) -> (FloatTensor<Self>, Planes<Self>) {
        plasticity::step_planes(weight, steps, planes, form)
    }

    /// See [`eligibility_step`](crate::eligibility_step). Returns weight and eligibility.
    #[fusion(meta = crate::gpu::metadata::eligibility_step)]
    fn eligibility_step(
        weight: FloatTensor<Self>,
        eligibility: FloatTensor<Self>,
        #[extension_type] steps: MaybeInt<Self>,
        #[extension_type] planes: Planes<Self>,
        form: EligibilityForm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        eligibility::step_planes(weight, eligibility, steps, planes, form)
    }

    /// See [`plateau_step`](crate::plateau_step).
    #[fusion(default)]
    fn plateau_step(
        weight: FloatTensor<Self>,
        #[extension_type] steps: MaybeInt<Self>,
        #[extension_type] planes: Planes<Self>,
        form: PlateauForm,
    ) -> FloatTensor<Self> {
        plateau::step_planes::<Self>(weight, steps, planes, &form)
    }

    /// See [`sparse_matmul`](crate::sparse_matmul).
    #[fusion(dtype = spikes, shape = burn::tensor::Shape::from([spikes[0], pattern.post]))]
    fn sparse_matmul(
        spikes: FloatTensor<Self>,
        values: FloatTensor<Self>,
        #[extension_type] places: SparsePlaces<Self>,
        pattern: Arc<SparseRows>,
    ) -> FloatTensor<Self> {
        sparse::product::<Self>(spikes, values, places.sources, places.targets, pattern.post)
    }

    /// The gradient of [`sparse_matmul`](crate::sparse_matmul) with respect to the values, `[synapses]`, given
    /// that of its output.
    #[fusion(dtype = spikes, shape = places.sources.shape.clone())]
    fn sparse_matmul_values_gradient(
        spikes: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        #[extension_type] places: SparsePlaces<Self>,
        _pattern: Arc<SparseRows>,
    ) -> FloatTensor<Self> {
        sparse::values_gradient::<Self>(spikes, gradient, places.sources, places.targets)
    }

    /// The gradient of [`sparse_matmul`](crate::sparse_matmul) with respect to the spikes, `[rows, pre]`,
    /// given that of its output.
    #[fusion(dtype = gradient, shape = burn::tensor::Shape::from([gradient[0], pattern.pre()]))]
    fn sparse_matmul_spikes_gradient(
        gradient: FloatTensor<Self>,
        values: FloatTensor<Self>,
        #[extension_type] places: SparsePlaces<Self>,
        pattern: Arc<SparseRows>,
    ) -> FloatTensor<Self> {
        sparse::spikes_gradient::<Self>(gradient, values, places.sources, places.targets, pattern.pre())
    }

    /// See [`channel_step`](crate::channel_step). Returns currents and the planes of both channels.
    #[fusion(default)]
    fn channel_step(
        spikes: FloatTensor<Self>,
        values: FloatTensor<Self>,
        #[extension_type] places: SparsePlaces<Self>,
        pattern: Arc<SparseRows>,
        #[extension_type] planes: Planes<Self>,
        form: ChannelForm,
    ) -> (FloatTensor<Self>, Planes<Self>) {
        channels::step::<Self>(spikes, values, places, pattern, planes, form)
    }

    /// See [`DelayRing::sparse_currents`](crate::DelayRing::sparse_currents).
    #[fusion(dtype = history, shape = burn::tensor::Shape::from([history[1], pattern.rows.post]))]
    fn sparse_currents(
        history: FloatTensor<Self>,
        values: FloatTensor<Self>,
        #[extension_type] places: SparsePlaces<Self>,
        steps: IntTensor<Self>,
        pattern: SparseDelays,
        newest: usize,
    ) -> FloatTensor<Self> {
        let post = pattern.rows.post;
        sparse::currents::<Self>(history, values, places.sources, places.targets, steps, post, newest)
    }
}
