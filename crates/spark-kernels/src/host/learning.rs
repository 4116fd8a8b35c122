//! Learning from spikes, put off until somebody looks.

use burn::tensor::{Device, Tensor};
use multiversion::multiversion;

use super::{Spiking, tensor, values};
use crate::delays::{DelayRing, LANES};
use crate::traces::Trace;

/// After so many steps, or postsynaptic spikes, all rows catch up.
const STEPS: usize = 256;
const SPIKES: usize = 1 << 14;

/// What spikes add to a weight from unit `j` to unit `i`, with `x` and `y` the traces of `s_j` and `s_i` and a
/// third factor `M`:
///
/// ```text
/// w ← clip(w + rate·M·((α + β·y)·s_j + (γ + δ·x)·s_i), min, max)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TermsOfSpikes {
    /// `α` and `β`.
    pub on_pre: [f32; 2],
    /// `γ` and `δ`.
    pub on_post: [f32; 2],
    /// `dt` times the learning rate.
    pub rate: f32,
    /// Bounds of a weight.
    pub bounds: [f32; 2],
}

/// An exponential trace of spikes that decays to 0.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::Trace;
/// use spark_kernels::host::HostTrace;
///
/// let all = |value: f32| Tensor::<1>::from_floats([value], &Device::flex());
/// let mut trace = Trace { rate: all(0.5), base: all(0.0), scale: all(1.0), saturation: None };
/// assert!(HostTrace::new(&trace, vec![0.0; 3]).is_some());
/// trace.base = all(1.0);
/// assert!(HostTrace::new(&trace, vec![0.0; 3]).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct HostTrace {
    rate: Vec<f32>,
    scale: Vec<f32>,
    value: Vec<f32>,
}

impl HostTrace {
    /// A trace with a value for each unit; `None` where it has a bound or a base.
    ///
    /// # Examples
    /// See [`HostTrace`].
    pub fn new(trace: &Trace<Tensor<1>>, value: Vec<f32>) -> Option<Self> {
        if trace.saturation.is_some() || values(&trace.base)?.iter().any(|base| *base != 0.0) {
            return None;
        }
        let each = |parameter: &Tensor<1>| {
            let values = values(parameter)?;
            match values[..] {
                [value_of_all] => Some(vec![value_of_all; value.len()]),
                _ => (values.len() == value.len()).then_some(values),
            }
        };
        Some(Self { rate: each(&trace.rate)?, scale: each(&trace.scale)?, value })
    }

    #[inline(always)]
    fn decayed(&self, unit: usize, value: f32) -> f32 {
        value + self.rate[unit] * (0.0 - value)
    }

    fn step(&mut self, spiking: &Spiking) {
        decay(&mut self.value, &self.rate);
        for unit in spiking.active().iter().map(|unit| *unit as usize) {
            self.value[unit] += self.scale[unit];
        }
    }
}

/// Traces of both sides of synapses, and what they mean.
#[derive(Debug)]
pub struct HostLearning {
    terms: TermsOfSpikes,
    /// The trace of presynaptic spikes; its values lie in `past`.
    pre: HostTrace,
    /// For each presynaptic unit, its trace when the row was last up to date and in the steps before that, as
    /// many as delays look back.
    past: Vec<f32>,
    depth: usize,
    /// Slot of the newest step, where the past came as a ring.
    newest: usize,
    post: HostTrace,
    /// How many steps of the log each row has seen.
    seen: Vec<u32>,
    log: Log,
    /// What a presynaptic spike adds onto each unit in this step.
    factor: Vec<f32>,
    /// What this step's postsynaptic spikes add to a row.
    sums: Vec<f32>,
    /// Memory for a trace over time.
    over_time: Vec<f32>,
}

/// Postsynaptic spikes that some rows have not seen.
#[derive(Debug, Default)]
struct Log {
    units: Vec<u32>,
    /// Where the spikes of each step end.
    ends: Vec<u32>,
    /// The third factor of each step.
    factors: Vec<f32>,
}

impl Log {
    fn steps(&self) -> usize {
        self.ends.len()
    }

    fn units(&self, step: usize) -> &[u32] {
        let start = step.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.units[start as usize..self.ends[step] as usize]
    }

    fn push(&mut self, spiking: &Spiking, factor: f32) {
        if factor != 0.0 {
            self.units.extend(spiking.active());
        }
        self.ends.push(self.units.len() as u32);
        self.factors.push(factor);
    }

    fn clear(&mut self) {
        self.units.clear();
        self.ends.clear();
        self.factors.clear();
    }
}

/// A row of weights, and what arrives at which of them.
pub(super) struct Row<'a> {
    pub unit: usize,
    /// Whether the presynaptic unit spikes now.
    pub spikes: bool,
    pub weight: &'a mut [f32],
    /// The delay of each synapse; none where spikes arrive at once.
    pub delays: Option<&'a [u16]>,
    /// The synapses at which a spike arrives; all if there are no delays.
    pub arriving: Option<&'a [u32]>,
}

impl HostLearning {
    /// Learning from the traces of pre- and postsynaptic spikes.
    ///
    /// * `past`: what the presynaptic trace was in the last steps, `[slots, 1, pre]`, where spikes are late.
    ///
    /// Returns `None` where the past is not that of one sample.
    ///
    /// # Examples
    /// See [`HostSynapses`](super::HostSynapses).
    pub fn new(
        terms: TermsOfSpikes,
        pre: HostTrace,
        post: HostTrace,
        past: Option<&DelayRing>,
    ) -> Option<Self> {
        let units = pre.value.len();
        let (past, depth, newest) = match past {
            None => (pre.value.clone(), 1, 0),
            Some(ring) => {
                let [slots, samples, width] = ring.history.dims();
                let history = values(&ring.history).filter(|_| samples == 1 && width == units)?;
                let at = |unit: usize, delay: usize| {
                    history[(ring.newest + slots - delay) % slots * units + unit]
                };
                let past = (0..units).flat_map(|unit| (0..slots).map(move |delay| (unit, delay)));
                (past.map(|(unit, delay)| at(unit, delay)).collect(), slots, ring.newest)
            }
        };
        let width = post.value.len();
        Some(Self {
            terms,
            pre,
            past,
            depth,
            newest,
            post,
            seen: vec![0; units],
            log: Log::default(),
            factor: vec![0.0; width],
            sums: vec![0.0; width],
            over_time: Vec::new(),
        })
    }

    /// How many steps back the presynaptic trace is remembered, the current one included.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Numbers of units on both sides.
    pub(super) fn dims(&self) -> [usize; 2] {
        [self.seen.len(), self.factor.len()]
    }

    /// Whether the rows have to catch up before the log grows further.
    pub(super) fn is_full(&self) -> bool {
        self.log.steps() >= STEPS || self.log.units.len() >= SPIKES
    }

    /// To be called when all rows have caught up.
    pub(super) fn forget(&mut self) {
        self.log.clear();
        self.seen.fill(0);
    }

    /// Does to a row what happened since it was last looked at.
    pub(super) fn catch_up(&mut self, unit: usize, weight: &mut [f32], delays: Option<&[u16]>) {
        let (from, now) = (self.seen[unit] as usize, self.log.steps());
        if from == now {
            return;
        }
        self.seen[unit] = now as u32;
        let TermsOfSpikes { on_post: [gamma, delta], rate, bounds, .. } = self.terms;
        let past = &mut self.past[unit * self.depth..(unit + 1) * self.depth];
        let Some(delays) = delays else {
            let mut x = past[0];
            for step in from..now {
                x = self.pre.decayed(unit, x);
                let change = self.log.factors[step] * (x * delta + gamma) * rate;
                if change != 0.0 {
                    for &i in self.log.units(step) {
                        let weight = &mut weight[i as usize];
                        *weight = clip(*weight + change, bounds);
                    }
                }
            }
            past[0] = x;
            return;
        };
        let x = &mut self.over_time;
        x.clear();
        x.extend(past.iter().rev());
        for step in from..now {
            x.push(self.pre.decayed(unit, x[x.len() - 1]));
            let x = &x[x.len() - self.depth..];
            let factor = self.log.factors[step];
            for &i in self.log.units(step) {
                let i = i as usize;
                let x = x[self.depth - 1 - delays[i] as usize];
                weight[i] = clip(weight[i] + factor * (x * delta + gamma) * rate, bounds);
            }
        }
        past.iter_mut().zip(x.iter().rev()).for_each(|(past, x)| *past = *x);
    }

    /// Begins a step with postsynaptic spikes and a third factor.
    pub(super) fn begin(&mut self, spiking: &Spiking, factor: f32) {
        self.post.step(spiking);
        let [alpha, beta] = self.terms.on_pre;
        factors(&mut self.factor, &self.post.value, [alpha, beta, factor]);
    }

    /// A step of a row that is up to date and whose unit spikes, or spiked so lately that something may arrive.
    pub(super) fn visit(&mut self, row: Row<'_>, spiking: &Spiking, factor: f32) {
        let Row { unit, spikes, weight, delays, arriving } = row;
        let past = &mut self.past[unit * self.depth..(unit + 1) * self.depth];
        let now = self.pre.decayed(unit, past[0]);
        past.copy_within(..self.depth - 1, 1);
        past[0] = if spikes { now + self.pre.scale[unit] } else { now };
        self.seen[unit] = self.log.steps() as u32 + 1;
        if factor == 0.0 {
            return;
        }
        let TermsOfSpikes { on_post: [gamma, delta], rate, bounds, .. } = self.terms;
        for i in spiking.active().iter().map(|unit| *unit as usize) {
            let x = past[delays.map_or(0, |delays| delays[i] as usize)];
            self.sums[i] = factor * (x * delta + gamma);
        }
        match arriving {
            None => change_all(weight, &self.factor, &self.sums, (rate, bounds)),
            Some(bits) => change_some(weight, &self.factor, &self.sums, bits, (rate, bounds)),
        }
        spiking.active().iter().for_each(|unit| self.sums[*unit as usize] = 0.0);
    }

    /// Ends a step that [`begin`](Self::begin) began.
    pub(super) fn end(&mut self, spiking: &Spiking, factor: f32) {
        self.log.push(spiking, factor);
        self.newest = (self.newest + 1) % self.depth;
    }

    /// The trace of presynaptic spikes, `[pre]`, when all rows have caught up.
    ///
    /// # Examples
    /// See [`HostSynapses`](super::HostSynapses).
    pub fn pre_trace(&self) -> Vec<f32> {
        self.past.iter().step_by(self.depth).copied().collect()
    }

    /// The same in the last steps, `[slots, 1, pre]`.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_kernels::host::{HostLearning, HostTrace, TermsOfSpikes};
    /// use spark_kernels::{DelayRing, Trace};
    ///
    /// let device = Device::flex();
    /// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
    /// let trace = Trace { rate: all(0.5), base: all(0.0), scale: all(1.0), saturation: None };
    /// let traces = |units| HostTrace::new(&trace, vec![0.0; units]).unwrap();
    /// let terms = TermsOfSpikes {
    ///     on_pre: [0.0, 1.0],
    ///     on_post: [0.0, 1.0],
    ///     rate: 0.1,
    ///     bounds: [0.0, 1.0],
    /// };
    /// let ring = DelayRing::new(4, 1, 3, &device);
    /// let learning = HostLearning::new(terms, traces(3), traces(2), Some(&ring)).unwrap();
    /// assert_eq!(learning.past(&device).history.dims(), [5, 1, 3]);
    /// ```
    pub fn past(&self, device: &Device) -> DelayRing {
        let (slots, units) = (self.depth, self.seen.len());
        let mut history = vec![0.0; slots * units];
        for (unit, past) in self.past.chunks_exact(slots).enumerate() {
            for (delay, x) in past.iter().enumerate() {
                history[(self.newest + slots - delay) % slots * units + unit] = *x;
            }
        }
        DelayRing { history: tensor(history, [slots, 1, units], device), newest: self.newest }
    }

    /// The trace of postsynaptic spikes, `[post]`.
    ///
    /// # Examples
    /// See [`HostSynapses`](super::HostSynapses).
    pub fn post_trace(&self) -> Vec<f32> {
        self.post.value.clone()
    }
}

#[inline(always)]
fn clip(weight: f32, [min, max]: [f32; 2]) -> f32 {
    let weight = if weight > max { max } else { weight };
    if weight < min { min } else { weight }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn decay(values: &mut [f32], rate: &[f32]) {
    for (value, rate) in values.iter_mut().zip(rate) {
        *value += rate * (0.0 - *value);
    }
}

/// `factor·(α + β·y)` of each unit.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn factors(factors: &mut [f32], y: &[f32], [alpha, beta, factor]: [f32; 3]) {
    for (of_unit, y) in factors.iter_mut().zip(y) {
        *of_unit = (y * beta + alpha) * factor;
    }
}

/// Changes all weights of a row by what arrives and by `sums`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn change_all(weight: &mut [f32], factor: &[f32], sums: &[f32], (rate, bounds): (f32, [f32; 2])) {
    for ((weight, factor), sum) in weight.iter_mut().zip(factor).zip(sums) {
        *weight = clip(*weight + (factor + sum) * rate, bounds);
    }
}

/// The same where things arrive at the weights whose bits are set only.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn change_some(
    weight: &mut [f32],
    factor: &[f32],
    sums: &[f32],
    bits: &[u32],
    (rate, bounds): (f32, [f32; 2]),
) {
    let n = weight.len();
    let (weights, rest) = weight.as_chunks_mut::<LANES>();
    let (factors, factors_left) = factor[..n].as_chunks::<LANES>();
    let (sums, sums_left) = sums[..n].as_chunks::<LANES>();
    let changed = |bits: u32, lane: usize, weight: f32, factor: f32, sum: f32| {
        let arriving = if (bits >> lane) & 1 != 0 { factor } else { 0.0 };
        clip(weight + (arriving + sum) * rate, bounds)
    };
    for (((weights, factors), sums), bits) in weights.iter_mut().zip(factors).zip(sums).zip(bits) {
        // As many lanes as stay a loop until loops become vectors.
        for lane in 0..LANES {
            weights[lane] = changed(*bits, lane, weights[lane], factors[lane], sums[lane]);
        }
    }
    let bits = bits.last().copied().unwrap_or_default();
    for (lane, ((weight, factor), sum)) in rest.iter_mut().zip(factors_left).zip(sums_left).enumerate() {
        *weight = changed(bits, lane, *weight, *factor, *sum);
    }
}
