//! The backend extension of simulation: operations that go one step of time at a time.
#![allow(deprecated)] // Burn deprecates its ndarray backend; Spark offers it for comparison.

use burn::backend::{
    backend_extension,
    tensor::{FloatTensor, IntTensor},
};
use std::sync::Arc;

use crate::composed::T;
use crate::delays::{self, DelayOrder};
use crate::eligibility::{self, EligibilityForm};
use crate::philox::Stream;
use crate::planes::Planes;
use crate::plasticity::{self, Context, MaybeInt, PlasticityForm};
use crate::plateau::{self, PlateauForm};
use crate::somas::{self, SomaForm};
use crate::sparse::{self, SparseDelays, SparseRows};
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
        somas::step_planes(current, planes, form)
    }

    /// See [`random::bernoulli_each`](crate::random::bernoulli_each).
    #[fusion(default)]
    fn bernoulli(probability: FloatTensor<Self>, stream: Stream) -> FloatTensor<Self> {
        random::compare::<Self>(probability, stream)
    }

    /// See [`trace_step`](crate::trace_step).
    #[fusion(default)]
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
    #[fusion(default)]
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
    #[fusion(default)]
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
    #[fusion(default)]
    fn delay_read(
        history: FloatTensor<Self>,
        steps: IntTensor<Self>,
        _order: Arc<DelayOrder>,
        newest: usize,
    ) -> FloatTensor<Self> {
        delays::read::<Self>(history, steps, newest)
    }

    /// See [`DelayRing::read_pairs`](crate::DelayRing::read_pairs).
    #[fusion(default)]
    fn delay_read_pairs(
        history: FloatTensor<Self>,
        steps: IntTensor<Self>,
        order: Arc<DelayOrder>,
        newest: usize,
    ) -> FloatTensor<Self> {
        delays::read_pairs::<Self>(history, steps, order.max(), newest)
    }

    /// See [`DelayRing::currents`](crate::DelayRing::currents).
    #[fusion(default)]
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
    #[fusion(default)]
    fn plasticity_step(
        weight: FloatTensor<Self>,
        #[extension_type] steps: MaybeInt<Self>,
        #[extension_type] planes: Planes<Self>,
        form: PlasticityForm,
    ) -> (FloatTensor<Self>, Planes<Self>) {
        let mut next = planes.into_source();
        let terms = form.terms.map(|()| T::<Self>(next()));
        let target = form.target.map(|dynamics| (T(next()), dynamics));
        let context = Context { steps: steps.into_option(), order: form.order.as_deref() };
        let (weight, target) = plasticity::step(weight, terms, target, &context, form.options);
        (weight, Planes(target.into_iter().collect()))
    }

    /// See [`eligibility_step`](crate::eligibility_step). Returns weight and eligibility.
    #[fusion(default)]
    fn eligibility_step(
        weight: FloatTensor<Self>,
        eligibility: FloatTensor<Self>,
        #[extension_type] steps: MaybeInt<Self>,
        #[extension_type] planes: Planes<Self>,
        form: EligibilityForm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let mut next = planes.into_source();
        let terms = form.terms.map(|()| T::<Self>(next()));
        let modulation = T(next());
        let context = Context { steps: steps.into_option(), order: form.order.as_deref() };
        let decay = form.decay;
        eligibility::step(weight, eligibility, terms, modulation, decay, &context, form.options)
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
    #[fusion(default)]
    fn sparse_matmul(
        spikes: FloatTensor<Self>,
        values: FloatTensor<Self>,
        sources: IntTensor<Self>,
        targets: IntTensor<Self>,
        pattern: Arc<SparseRows>,
    ) -> FloatTensor<Self> {
        sparse::product::<Self>(spikes, values, sources, targets, pattern.post)
    }

    /// The gradient of [`sparse_matmul`](crate::sparse_matmul) with respect to the values, `[synapses]`, given
    /// that of its output.
    #[fusion(default)]
    fn sparse_matmul_values_gradient(
        spikes: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        sources: IntTensor<Self>,
        targets: IntTensor<Self>,
        _pattern: Arc<SparseRows>,
    ) -> FloatTensor<Self> {
        sparse::values_gradient::<Self>(spikes, gradient, sources, targets)
    }

    /// The gradient of [`sparse_matmul`](crate::sparse_matmul) with respect to the spikes, `[rows, pre]`,
    /// given that of its output.
    #[fusion(default)]
    fn sparse_matmul_spikes_gradient(
        gradient: FloatTensor<Self>,
        values: FloatTensor<Self>,
        sources: IntTensor<Self>,
        targets: IntTensor<Self>,
        pattern: Arc<SparseRows>,
    ) -> FloatTensor<Self> {
        sparse::spikes_gradient::<Self>(gradient, values, sources, targets, pattern.pre())
    }

    /// See [`DelayRing::sparse_currents`](crate::DelayRing::sparse_currents).
    #[fusion(default)]
    fn sparse_currents(
        history: FloatTensor<Self>,
        values: FloatTensor<Self>,
        sources: IntTensor<Self>,
        targets: IntTensor<Self>,
        steps: IntTensor<Self>,
        pattern: SparseDelays,
        newest: usize,
    ) -> FloatTensor<Self> {
        let post = pattern.rows.post;
        sparse::currents::<Self>(history, values, sources, targets, steps, post, newest)
    }
}
