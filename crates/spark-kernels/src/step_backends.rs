//! Which backends carry the extension of simulation, and with which kernels.
//!
//! What a backend does not override runs the composed reference.
#![allow(deprecated)] // Burn deprecates its ndarray backend; Spark offers it for comparison.

use burn::backend::{
    Flex, NdArray,
    tensor::{FloatTensor, IntTensor},
};
use std::sync::Arc;

use crate::channels::{self, ChannelForm};
use crate::composed::T;
use crate::cpu::{self, HostBackend};
use crate::delays::{self, DelayOrder};
use crate::eligibility::{self, EligibilityForm};
use crate::philox::Stream;
use crate::planes::Planes;
use crate::plasticity::{self, Context, MaybeInt, PlasticityForm};
use crate::plateau::{self, PlateauForm};
use crate::somas::{self, SomaForm};
use crate::sparse::{self, SparseDelays, SparsePlaces, SparseRows};
use crate::traces::{self, LazyDecay, Trace};
use crate::{StepOps, random};

/// The kernels for tensors that are slices in memory; another element type than `f32` takes the reference.
macro_rules! host_kernels {
    ($backend:ty) => {
        impl StepOps for $backend {
            fn soma_step(
                mut current: FloatTensor<Self>,
                planes: Planes<Self>,
                form: SomaForm,
            ) -> (FloatTensor<Self>, Planes<Self>) {
                let (mut planes, count) = (planes.0, form.soma.count());
                let (parameters, state) = planes.split_at_mut(count);
                if cpu::somas::step::<Self>(&form, parameters, &mut current, state).is_some() {
                    planes.drain(..count);
                    return (current, Planes(planes));
                }
                somas::step_planes(current, Planes(planes), form)
            }

            fn bernoulli(mut probability: FloatTensor<Self>, stream: Stream) -> FloatTensor<Self> {
                match Self::slice_mut(&mut probability) {
                    Some(values) => cpu::draws::bernoulli(values, stream),
                    None => return random::compare::<Self>(probability, stream),
                }
                probability
            }

            fn trace_step(
                mut trace: FloatTensor<Self>,
                input: FloatTensor<Self>,
                planes: Planes<Self>,
                form: Trace<()>,
            ) -> FloatTensor<Self> {
                let mut next = planes.into_source();
                let parameters = form.map(|()| next());
                match cpu::traces::step::<Self>(&mut trace, &input, &parameters) {
                    Some(()) => trace,
                    None => traces::step::<Self>(T(trace), T(input), parameters.map(T)).0,
                }
            }

            fn lazy_trace_hit(
                mut value: FloatTensor<Self>,
                mut last: FloatTensor<Self>,
                input: FloatTensor<Self>,
                planes: Planes<Self>,
                form: LazyDecay<()>,
                now: f32,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                let mut next = planes.into_source();
                let decay = form.map(|()| next());
                match cpu::traces::lazy_hit::<Self>(&mut value, &mut last, &input, &decay, now) {
                    Some(()) => (value, last),
                    None => {
                        let decay = decay.map(T::<Self>);
                        let (value, last) = traces::lazy_hit(T(value), T(last), T(input), decay, now);
                        (value.0, last.0)
                    }
                }
            }

            fn lazy_trace_read(
                value: FloatTensor<Self>,
                last: FloatTensor<Self>,
                planes: Planes<Self>,
                form: LazyDecay<()>,
                now: f32,
            ) -> FloatTensor<Self> {
                let mut next = planes.into_source();
                let decay = form.map(|()| next());
                cpu::traces::lazy_read::<Self>(&value, &last, &decay, now)
                    .unwrap_or_else(|| traces::lazy_read::<Self>(T(value), T(last), decay.map(T), now).0)
            }

            fn delay_push(
                mut history: FloatTensor<Self>,
                signal: FloatTensor<Self>,
                slot: usize,
            ) -> FloatTensor<Self> {
                match cpu::delays::push::<Self>(&mut history, &signal, slot) {
                    Some(()) => history,
                    None => delays::push::<Self>(history, signal, slot),
                }
            }

            fn delay_read(
                history: FloatTensor<Self>,
                steps: IntTensor<Self>,
                order: Arc<DelayOrder>,
                newest: usize,
            ) -> FloatTensor<Self> {
                cpu::delays::read::<Self>(&history, &order, newest)
                    .unwrap_or_else(|| delays::read::<Self>(history, steps, newest))
            }

            fn delay_read_pairs(
                history: FloatTensor<Self>,
                steps: IntTensor<Self>,
                order: Arc<DelayOrder>,
                newest: usize,
            ) -> FloatTensor<Self> {
                cpu::delays::read_pairs::<Self>(&history, &order, newest)
                    .unwrap_or_else(|| delays::read_pairs::<Self>(history, steps, order.max(), newest))
            }

            fn delayed_currents(
                history: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                steps: IntTensor<Self>,
                order: Arc<DelayOrder>,
                newest: usize,
            ) -> FloatTensor<Self> {
                cpu::delays::currents::<Self>(&history, &weight, &order, newest)
                    .unwrap_or_else(|| delays::currents::<Self>(history, weight, steps, order.max(), newest))
            }

            fn plasticity_step(
                mut weight: FloatTensor<Self>,
                steps: MaybeInt<Self>,
                planes: Planes<Self>,
                form: PlasticityForm,
            ) -> (FloatTensor<Self>, Planes<Self>) {
                let mut next = planes.into_source();
                let terms = form.terms.map(|()| next());
                let mut target = form.target.map(|dynamics| (next(), dynamics));
                let order = form.order.as_deref();
                let moving = target.as_mut().map(|(z, dynamics)| (z, *dynamics));
                let done = cpu::plasticity::step::<Self>(&mut weight, moving, &terms, order, form.options);
                if done.is_some() {
                    return (weight, Planes(target.into_iter().map(|(z, _)| z).collect()));
                }
                let context = Context { steps: steps.into_option(), order };
                let target = target.map(|(z, dynamics)| (T(z), dynamics));
                let (weight, target) =
                    plasticity::step(weight, terms.map(T::<Self>), target, &context, form.options);
                (weight, Planes(target.into_iter().collect()))
            }

            fn eligibility_step(
                mut weight: FloatTensor<Self>,
                mut eligibility: FloatTensor<Self>,
                steps: MaybeInt<Self>,
                planes: Planes<Self>,
                form: EligibilityForm,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                let mut next = planes.into_source();
                let terms = form.terms.as_ref().map(|()| next());
                let modulation = next();
                let both = [&mut weight, &mut eligibility];
                if cpu::eligibility::step::<Self>(both, &terms, &modulation, &form).is_some() {
                    return (weight, eligibility);
                }
                let context = Context { steps: steps.into_option(), order: form.order.as_deref() };
                let (terms, modulation) = (terms.map(T::<Self>), T(modulation));
                let decay = form.decay;
                eligibility::step(weight, eligibility, terms, modulation, decay, &context, form.options)
            }

            fn plateau_step(
                mut weight: FloatTensor<Self>,
                steps: MaybeInt<Self>,
                planes: Planes<Self>,
                form: PlateauForm,
            ) -> FloatTensor<Self> {
                match cpu::plateau::step::<Self>(&mut weight, &planes.0, &form) {
                    Some(()) => weight,
                    None => plateau::step_planes::<Self>(weight, steps, planes, &form),
                }
            }

            fn sparse_matmul(
                spikes: FloatTensor<Self>,
                values: FloatTensor<Self>,
                places: SparsePlaces<Self>,
                pattern: Arc<SparseRows>,
            ) -> FloatTensor<Self> {
                cpu::sparse::product::<Self>(&spikes, &values, &pattern).unwrap_or_else(|| {
                    sparse::product::<Self>(spikes, values, places.sources, places.targets, pattern.post)
                })
            }

            fn sparse_matmul_values_gradient(
                spikes: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                places: SparsePlaces<Self>,
                pattern: Arc<SparseRows>,
            ) -> FloatTensor<Self> {
                cpu::sparse::values_gradient::<Self>(&spikes, &gradient, &pattern).unwrap_or_else(|| {
                    sparse::values_gradient::<Self>(spikes, gradient, places.sources, places.targets)
                })
            }

            fn sparse_matmul_spikes_gradient(
                gradient: FloatTensor<Self>,
                values: FloatTensor<Self>,
                places: SparsePlaces<Self>,
                pattern: Arc<SparseRows>,
            ) -> FloatTensor<Self> {
                cpu::sparse::spikes_gradient::<Self>(&gradient, &values, &pattern).unwrap_or_else(|| {
                    sparse::spikes_gradient::<Self>(
                        gradient,
                        values,
                        places.sources,
                        places.targets,
                        pattern.pre(),
                    )
                })
            }

            fn channel_step(
                spikes: FloatTensor<Self>,
                values: FloatTensor<Self>,
                places: SparsePlaces<Self>,
                pattern: Arc<SparseRows>,
                mut planes: Planes<Self>,
                form: ChannelForm,
            ) -> (FloatTensor<Self>, Planes<Self>) {
                match cpu::channels::step::<Self>(&spikes, &values, &pattern, &mut planes.0, form) {
                    Some(current) => {
                        planes.0.truncate(2);
                        (current, planes)
                    }
                    None => channels::step::<Self>(spikes, values, places, pattern, planes, form),
                }
            }

            fn sparse_currents(
                history: FloatTensor<Self>,
                values: FloatTensor<Self>,
                places: SparsePlaces<Self>,
                steps: IntTensor<Self>,
                pattern: SparseDelays,
                newest: usize,
            ) -> FloatTensor<Self> {
                let SparseDelays { rows, order } = pattern;
                cpu::sparse::currents::<Self>(&history, &values, &rows, &order, newest).unwrap_or_else(|| {
                    let SparsePlaces { sources, targets, .. } = places;
                    sparse::currents::<Self>(history, values, sources, targets, steps, rows.post, newest)
                })
            }
        }
    };
}

host_kernels!(Flex);
host_kernels!(NdArray);

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl StepOps for burn_cubecl::CubeBackend {
    fn soma_step_known(
        current: FloatTensor<Self>,
        planes: Planes<Self>,
        form: SomaForm,
    ) -> (FloatTensor<Self>, Planes<Self>) {
        crate::gpu::somas::step(current, planes, &form)
            .unwrap_or_else(|(current, planes)| somas::step_planes(current, planes, form))
    }

    fn delay_read(
        history: FloatTensor<Self>,
        steps: IntTensor<Self>,
        _: Arc<DelayOrder>,
        newest: usize,
    ) -> FloatTensor<Self> {
        crate::gpu::delays::read(&history, &steps, newest)
            .unwrap_or_else(|| delays::read::<Self>(history, steps, newest))
    }

    fn delay_read_pairs(
        history: FloatTensor<Self>,
        steps: IntTensor<Self>,
        order: Arc<DelayOrder>,
        newest: usize,
    ) -> FloatTensor<Self> {
        crate::gpu::delays::read_pairs(&history, &steps, newest)
            .unwrap_or_else(|| delays::read_pairs::<Self>(history, steps, order.max(), newest))
    }

    fn delayed_currents(
        history: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        steps: IntTensor<Self>,
        order: Arc<DelayOrder>,
        newest: usize,
    ) -> FloatTensor<Self> {
        crate::gpu::delays::currents(&history, &weight, &steps, newest)
            .unwrap_or_else(|| delays::currents::<Self>(history, weight, steps, order.max(), newest))
    }

    fn plasticity_step(
        weight: FloatTensor<Self>,
        steps: MaybeInt<Self>,
        planes: Planes<Self>,
        form: PlasticityForm,
    ) -> (FloatTensor<Self>, Planes<Self>) {
        crate::gpu::plasticity::step(weight, planes, &steps, &form)
            .unwrap_or_else(|(weight, planes)| plasticity::step_planes(weight, steps, planes, form))
    }

    fn eligibility_step(
        weight: FloatTensor<Self>,
        eligibility: FloatTensor<Self>,
        steps: MaybeInt<Self>,
        planes: Planes<Self>,
        form: EligibilityForm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        match crate::gpu::eligibility::step([weight, eligibility], planes, &steps, &form) {
            Ok([weight, eligibility]) => (weight, eligibility),
            Err(([weight, eligibility], planes)) => {
                eligibility::step_planes(weight, eligibility, steps, planes, form)
            }
        }
    }

    fn trace_step(
        trace: FloatTensor<Self>,
        input: FloatTensor<Self>,
        planes: Planes<Self>,
        form: Trace<()>,
    ) -> FloatTensor<Self> {
        let mut next = planes.into_source();
        let parameters = form.map(|()| next());
        crate::gpu::traces::step(trace, &input, &parameters)
            .unwrap_or_else(|trace| traces::step::<Self>(T(trace), T(input), parameters.map(T)).0)
    }

    fn lazy_trace_hit(
        value: FloatTensor<Self>,
        last: FloatTensor<Self>,
        input: FloatTensor<Self>,
        planes: Planes<Self>,
        form: LazyDecay<()>,
        now: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let mut next = planes.into_source();
        let decay = form.map(|()| next());
        match crate::gpu::traces::lazy_hit([value, last], &input, &decay, now) {
            Ok([value, last]) => (value, last),
            Err([value, last]) => {
                let decay = decay.map(T::<Self>);
                let (value, last) = traces::lazy_hit(T(value), T(last), T(input), decay, now);
                (value.0, last.0)
            }
        }
    }

    fn lazy_trace_read(
        value: FloatTensor<Self>,
        last: FloatTensor<Self>,
        planes: Planes<Self>,
        form: LazyDecay<()>,
        now: f32,
    ) -> FloatTensor<Self> {
        let mut next = planes.into_source();
        let decay = form.map(|()| next());
        crate::gpu::traces::lazy_read(&value, &last, &decay, now)
            .unwrap_or_else(|| traces::lazy_read::<Self>(T(value), T(last), decay.map(T), now).0)
    }

    fn sparse_matmul(
        spikes: FloatTensor<Self>,
        values: FloatTensor<Self>,
        places: SparsePlaces<Self>,
        pattern: Arc<SparseRows>,
    ) -> FloatTensor<Self> {
        crate::gpu::sparse::product(&spikes, &values, &places, &pattern).unwrap_or_else(|| {
            sparse::product::<Self>(spikes, values, places.sources, places.targets, pattern.post)
        })
    }

    fn sparse_matmul_values_gradient(
        spikes: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        places: SparsePlaces<Self>,
        pattern: Arc<SparseRows>,
    ) -> FloatTensor<Self> {
        crate::gpu::sparse::values_gradient(&spikes, &gradient, &places, &pattern).unwrap_or_else(|| {
            sparse::values_gradient::<Self>(spikes, gradient, places.sources, places.targets)
        })
    }

    fn sparse_matmul_spikes_gradient(
        gradient: FloatTensor<Self>,
        values: FloatTensor<Self>,
        places: SparsePlaces<Self>,
        pattern: Arc<SparseRows>,
    ) -> FloatTensor<Self> {
        crate::gpu::sparse::spikes_gradient(&gradient, &values, &places, &pattern).unwrap_or_else(|| {
            let SparsePlaces { sources, targets, .. } = places;
            sparse::spikes_gradient::<Self>(gradient, values, sources, targets, pattern.pre())
        })
    }

    fn sparse_currents(
        history: FloatTensor<Self>,
        values: FloatTensor<Self>,
        places: SparsePlaces<Self>,
        steps: IntTensor<Self>,
        pattern: SparseDelays,
        newest: usize,
    ) -> FloatTensor<Self> {
        let rows = &pattern.rows;
        crate::gpu::sparse::currents(&history, &values, &places, &steps, rows, newest).unwrap_or_else(|| {
            let SparsePlaces { sources, targets, .. } = places;
            sparse::currents::<Self>(history, values, sources, targets, steps, rows.post, newest)
        })
    }
}
