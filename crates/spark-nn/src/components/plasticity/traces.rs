//! What learning rules remember of the spikes of both sides.

use burn::tensor::{Device, Tensor};
use spark_core::build::rate;
use spark_core::payload::{Arrival, Late, Spikes};
use spark_kernels::host::{self, HostLearning, HostTrace};
use spark_kernels::{DelayRing, Delays, PreSignal, Trace, trace_step};

use super::Synapses;

/// Presynaptic spikes of one step.
#[derive(Clone, Debug)]
pub struct PreSpikes {
    /// What arrives at the synapses.
    pub signal: PreSignal,
    /// What enters traces: spikes of units `[batch, pre, 1]`, those of delayed ones as they leave, or spikes
    /// that every synapse has of its own, `[batch, pre, post]`.
    pub now: Tensor<3>,
    /// The delays of pairs.
    pub delays: Option<Delays<2>>,
}

impl PreSpikes {
    /// The spikes of a payload. Delayed ones are written out by pair unless the synapses were wired to such.
    pub fn new(spikes: Spikes, synapses: &Synapses) -> Self {
        let by_pair =
            |pairs: Tensor<3>| Self { signal: PreSignal::Pairs(pairs.clone()), now: pairs, delays: None };
        match spikes.arrival {
            Arrival::Units(units) => {
                let now = units.clone().unsqueeze_dim(2);
                Self { signal: PreSignal::Units(units), now, delays: None }
            }
            Arrival::Pairs(pairs) => by_pair(pairs),
            Arrival::Delayed(late) if synapses.max_delay.is_some() => {
                let Late { spikes, delays, .. } = *late;
                let [_, batch, pre] = spikes.history.dims();
                let newest = spikes.history.clone().slice_dim(0, spikes.newest..spikes.newest + 1);
                let now = newest.reshape([batch, pre, 1]);
                Self { signal: PreSignal::Delayed(spikes), now, delays: Some(delays) }
            }
            Arrival::Delayed(late) => by_pair(late.spikes.read_pairs(&late.delays)),
        }
    }
}

spark_core::state! {
    /// A trace of presynaptic spikes.
    pub struct PreTrace {
        /// The trace, by unit `[batch, pre, 1]` or by pair `[batch, pre, post]`.
        trace: Tensor<3>,
        /// What it, or what was made of it, showed in the last steps, where spikes are late.
        past: Option<DelayRing>,
    }
}

impl PreTrace {
    /// Nothing yet.
    pub fn new(synapses: &Synapses, batch: usize, device: &Device) -> Self {
        let [pre, post] = synapses.counts();
        let width = if synapses.by_pair() { post } else { 1 };
        Self {
            trace: Tensor::zeros([batch, pre, width], device),
            past: synapses.max_delay.map(|max| DelayRing::new(max, batch, pre, device)),
        }
    }

    /// The trace after the spikes of this step.
    #[must_use]
    pub fn step(self, spikes: &PreSpikes, trace: &Trace<Tensor<1>>) -> Self {
        let past = self.past;
        let trace = trace_step(self.trace, spikes.now.clone(), trace);
        let past = past.map(|past| past.push(by_unit(trace.clone())));
        Self { trace, past }
    }

    /// The same on the host; `None` where it is kept by pair.
    pub(super) fn on_host(&self, trace: &Trace<Tensor<1>>) -> Option<HostTrace> {
        let [_, _, width] = self.trace.dims();
        if width == 1 { HostTrace::new(trace, host::values(&self.trace)?) } else { None }
    }

    /// Becomes what it was on the host.
    pub(super) fn settle(&mut self, learning: &HostLearning) {
        let (device, value) = (self.trace.device(), learning.pre_trace());
        let shape = [1, value.len(), 1];
        self.trace = host::tensor(value, shape, &device);
        self.past = self.past.as_ref().map(|_| learning.past(&device));
    }

    /// What it shows to the synapses.
    pub fn signal(&self) -> PreSignal {
        signal(self.trace.clone(), self.past.clone())
    }
}

/// What a plane by unit or by pair shows to the synapses, with its past where there are delays.
pub(super) fn signal(plane: Tensor<3>, past: Option<DelayRing>) -> PreSignal {
    match (past, plane.dims()) {
        (Some(past), _) => PreSignal::Delayed(past),
        (None, [_, _, 1]) => PreSignal::Units(by_unit(plane)),
        (None, _) => PreSignal::Pairs(plane),
    }
}

/// `[batch, pre, 1]` without its last axis.
pub(super) fn by_unit(plane: Tensor<3>) -> Tensor<2> {
    let [batch, pre, _] = plane.dims();
    plane.reshape([batch, pre])
}

spark_core::state! {
    /// A trace of postsynaptic spikes.
    pub struct PostTrace {
        /// The trace, `[batch, post]`.
        trace: Tensor<2>,
    }
}

impl PostTrace {
    /// Nothing yet.
    pub fn new(synapses: &Synapses, batch: usize, device: &Device) -> Self {
        let [_, post] = synapses.counts();
        Self { trace: Tensor::zeros([batch, post], device) }
    }

    /// The trace after the spikes of this step.
    #[must_use]
    pub fn step(self, spikes: &Tensor<2>, trace: &Trace<Tensor<1>>) -> Self {
        Self { trace: trace_step(self.trace, spikes.clone(), trace) }
    }
}

/// A trace to which an input adds `scale`, for steps of `dt` ms.
pub(super) fn trace(dt: f32, tau: Tensor<1>, scale: Tensor<1>) -> Trace<Tensor<1>> {
    Trace { rate: rate(dt, tau.clone()), base: tau.zeros_like(), scale, saturation: None }
}

/// A trace of spikes per ms, smoothed over τ: a spike adds 1/τ.
pub(super) fn averaging(dt: f32, tau: Tensor<1>) -> Trace<Tensor<1>> {
    trace(dt, tau.clone(), tau.recip())
}

/// A trace to which every spike adds 1, or which the last one sets to 1.
pub(super) fn counting(dt: f32, tau: Tensor<1>, nearest: bool) -> Trace<Tensor<1>> {
    let one = tau.ones_like();
    Trace { saturation: nearest.then(|| one.clone()), ..trace(dt, tau, one) }
}
