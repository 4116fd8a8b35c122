//! Learning from spikes, put off until somebody looks.

use burn::tensor::{Device, Tensor};
use multiversion::multiversion;
use std::cmp::Ordering;

use super::{Spiking, tensor, values};
use crate::delays::{DelayRing, LANES};
use crate::traces::Trace;

/// After so many steps, or postsynaptic spikes, all rows catch up, and after so many steps in which nothing was
/// learnt.
const STEPS: usize = 256;
const SPIKES: usize = 1 << 14;
const IDLE: usize = 32;

/// A parameter by the types of the units of a synapse: EE, EI, IE, II, the postsynaptic one first.
type ByType = [f32; 4];

/// What spikes add to a weight from unit `j` to unit `i`, with `x` and `y` the traces of `s_j` and `s_i` and a
/// third factor `M`:
///
/// ```text
/// w ← clip(w + rate·M·((α + β·y)·s_j + (γ + δ·x)·s_i), min, max)
/// ```
///
/// What has four numbers may differ by the types of both units: EE, EI, IE, II, the postsynaptic one first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TermsOfSpikes {
    /// `α` and `β`.
    pub on_pre: [ByType; 2],
    /// `γ` and `δ`.
    pub on_post: [ByType; 2],
    /// `dt` times the learning rate.
    pub rate: f32,
    /// Lower bound of a weight.
    pub min: f32,
    /// Upper bound of a weight.
    pub max: ByType,
}

/// The trace of postsynaptic spikes.
#[derive(Clone, Debug)]
pub enum PostTraces {
    /// The same for all synapses of a unit.
    One(HostTrace),
    /// One as excitatory synapses see it and one as inhibitory ones do.
    ByType {
        /// What a step takes away, `1 − exp(−dt/τ)`.
        rate: ByType,
        /// What a spike adds.
        scale: ByType,
        /// Their values, `[2, post]`.
        value: Vec<f32>,
    },
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
    /// The trace of presynaptic spikes.
    pre: HostTrace,
    /// The same in the last steps, as many as delays look back, `[slots, pre]`, and the slot of the newest.
    recent: Vec<f32>,
    newest: usize,
    depth: usize,
    /// What the synapses of excitatory presynaptic units learn by, and those of inhibitory ones, or of all.
    sets: Vec<Set>,
    /// The set of each row.
    set_of: Vec<u8>,
    /// Traces of sets that are still to be made, once types of units are known.
    untyped: Option<PostTraces>,
    /// Whether the log is kept: from the first step on in which something is learnt.
    logs: bool,
    /// Steps since something was learnt.
    idle: usize,
    log: Log,
    /// How many steps of the log each row has seen.
    seen: Vec<u32>,
    /// For each presynaptic unit, its trace when the row last saw the log, and in the steps before that.
    past: Vec<f32>,
    /// Number of postsynaptic units.
    width: usize,
    /// Memory for weights onto units that spike, as they were before.
    kept: Vec<f32>,
    /// Memory for a trace over time.
    over_time: Vec<f32>,
}

/// What the synapses of some presynaptic units learn by: planes by postsynaptic unit.
#[derive(Debug)]
struct Set {
    post: HostTrace,
    on_pre: [Vec<f32>; 2],
    on_post: [Vec<f32>; 2],
    max: Vec<f32>,
    /// Whether all units have the same `γ`, `δ` and upper bound.
    alike: bool,
    /// What a presynaptic spike adds onto each unit in this step.
    factor: Vec<f32>,
}

impl Set {
    /// For presynaptic units of a type.
    fn new(terms: &TermsOfSpikes, post: HostTrace, pre_inhibits: bool, post_inhibits: &[bool]) -> Self {
        let width = post.value.len();
        let plane = |each| by_unit(each, pre_inhibits, post_inhibits, width);
        let (on_post, max) = (terms.on_post.map(plane), plane(terms.max));
        let alike = [&on_post[0], &on_post[1], &max].iter().all(|plane| plane.iter().all(|x| *x == plane[0]));
        Self { post, on_pre: terms.on_pre.map(plane), on_post, max, alike, factor: vec![0.0; width] }
    }

    /// What a postsynaptic spike adds onto a unit.
    #[inline(always)]
    fn of_post(&self, i: usize, x: f32) -> f32 {
        x * self.on_post[1][i] + self.on_post[0][i]
    }
}

/// A parameter of synapses from units of a type, by postsynaptic unit; none of those inhibits where nothing is said.
fn by_unit(each: ByType, pre_inhibits: bool, post_inhibits: &[bool], width: usize) -> Vec<f32> {
    let inhibits = |unit: usize| post_inhibits.get(unit).is_some_and(|inhibits| *inhibits);
    (0..width).map(|unit| each[2 * usize::from(inhibits(unit)) + usize::from(pre_inhibits)]).collect()
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
        post: PostTraces,
        past: Option<&DelayRing>,
    ) -> Option<Self> {
        let units = pre.value.len();
        let (recent, depth, newest) = match past {
            None => (pre.value.clone(), 1, 0),
            Some(ring) => {
                let [slots, samples, width] = ring.history.dims();
                let history = values(&ring.history).filter(|_| samples == 1 && width == units)?;
                (history, slots, ring.newest)
            }
        };
        let width = match &post {
            PostTraces::One(trace) => trace.value.len(),
            PostTraces::ByType { value, .. } => value.len() / 2,
        };
        Some(Self {
            terms,
            pre,
            past: vec![0.0; units * depth],
            recent,
            newest,
            depth,
            sets: Vec::new(),
            set_of: vec![0; units],
            untyped: Some(post),
            logs: false,
            idle: 0,
            log: Log::default(),
            seen: vec![0; units],
            width,
            kept: Vec::new(),
            over_time: Vec::new(),
        })
    }

    /// How many steps back the presynaptic trace is remembered, the current one included.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Numbers of units on both sides.
    pub(super) fn dims(&self) -> [usize; 2] {
        [self.seen.len(), self.width]
    }

    /// Sorts units by what they are; from the first step on that is fixed.
    fn sort(&mut self, pre_inhibits: &[bool], post_inhibits: &[bool]) {
        let terms = self.terms;
        match self.untyped.take() {
            None => {}
            Some(PostTraces::One(trace)) => self.sets = vec![Set::new(&terms, trace, false, post_inhibits)],
            Some(PostTraces::ByType { rate, scale, value }) => {
                let width = self.width;
                let set = |(pre, value): (bool, &[f32])| {
                    let plane = |each| by_unit(each, pre, post_inhibits, width);
                    let trace = HostTrace { rate: plane(rate), scale: plane(scale), value: value.to_vec() };
                    Set::new(&terms, trace, pre, post_inhibits)
                };
                self.sets =
                    [false, true].into_iter().zip(value.chunks_exact(width.max(1))).map(set).collect();
                for (set, inhibits) in self.set_of.iter_mut().zip(pre_inhibits) {
                    *set = u8::from(*inhibits);
                }
            }
        }
    }

    /// Whether all rows are to catch up now.
    pub(super) fn is_full(&self) -> bool {
        let Log { units, .. } = &self.log;
        self.logs && (self.log.steps() >= STEPS || units.len() >= SPIKES || self.idle >= IDLE)
    }

    /// Whether rows may be behind.
    pub(super) fn logs(&self) -> bool {
        self.logs
    }

    /// To be called when all rows have caught up.
    pub(super) fn forget(&mut self) {
        self.logs = false;
        self.log.clear();
    }

    /// From here on rows may fall behind.
    fn start_log(&mut self) {
        self.logs = true;
        self.seen.fill(0);
        let units = self.seen.len();
        for delay in 0..self.depth {
            let slot = self.slot(delay);
            let recent = &self.recent[slot * units..(slot + 1) * units];
            for (past, x) in self.past[delay..].iter_mut().step_by(self.depth).zip(recent) {
                *past = *x;
            }
        }
    }

    /// The slot of so many steps ago.
    fn slot(&self, delay: usize) -> usize {
        (self.newest + self.depth - delay) % self.depth
    }

    /// Does to a row what happened since it was last looked at.
    pub(super) fn catch_up(&mut self, unit: usize, weight: &mut [f32], delays: Option<&[u16]>) {
        let (from, now) = (self.seen[unit] as usize, self.log.steps());
        if from == now {
            return;
        }
        self.seen[unit] = now as u32;
        let TermsOfSpikes { rate, min, .. } = self.terms;
        let set = &self.sets[self.set_of[unit] as usize];
        let past = &mut self.past[unit * self.depth..(unit + 1) * self.depth];
        let Some(delays) = delays else {
            let mut x = past[0];
            for step in from..now {
                x = self.pre.decayed(unit, x);
                let (units, factor) = (self.log.units(step), self.log.factors[step]);
                if set.alike {
                    let (change, max) = (factor * set.of_post(0, x) * rate, set.max[0]);
                    for &i in units {
                        let weight = &mut weight[i as usize];
                        *weight = clip(*weight + change, min, max);
                    }
                } else {
                    for i in units.iter().map(|unit| *unit as usize) {
                        weight[i] = clip(weight[i] + factor * set.of_post(i, x) * rate, min, set.max[i]);
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
                weight[i] = clip(weight[i] + factor * set.of_post(i, x) * rate, min, set.max[i]);
            }
        }
        past.iter_mut().zip(x.iter().rev()).for_each(|(past, x)| *past = *x);
    }

    /// Begins a step with postsynaptic spikes and a third factor; `pre_inhibits` says which presynaptic units do.
    pub(super) fn begin(&mut self, pre_inhibits: &[bool], spiking: &Spiking, factor: f32) {
        self.sort(pre_inhibits, spiking.inhibits());
        self.sets.iter_mut().for_each(|set| set.post.step(spiking));
        self.idle = if factor == 0.0 { self.idle + 1 } else { 0 };
        if factor != 0.0 {
            if !self.logs {
                self.start_log();
            }
            for Set { post, on_pre, factor: of_pre, .. } in &mut self.sets {
                factors(of_pre, &post.value, on_pre, factor);
            }
        }
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
        let TermsOfSpikes { rate, min, .. } = self.terms;
        let set = &self.sets[self.set_of[unit] as usize];
        // Where both sides spike, the weight moves once, by the sum of both.
        self.kept.clear();
        self.kept.extend(spiking.active().iter().map(|unit| weight[*unit as usize]));
        match (arriving, set.alike) {
            (Some([]), _) => {}
            (None, true) => change_all(weight, &set.factor, [rate, min, set.max[0]]),
            (None, false) => change_all_within(weight, &set.factor, &set.max, [rate, min]),
            (Some(bits), true) => change_some(weight, &set.factor, bits, [rate, min, set.max[0]]),
            (Some(bits), false) => change_some_within(weight, &set.factor, &set.max, bits, [rate, min]),
        }
        for (unit, before) in spiking.active().iter().zip(&self.kept) {
            let i = *unit as usize;
            let arrives = arriving
                .is_none_or(|bits| bits.get(i / LANES).is_some_and(|bits| (bits >> (i % LANES)) & 1 != 0));
            let of_pre = if arrives { set.factor[i] } else { 0.0 };
            let x = past[delays.map_or(0, |delays| delays[i] as usize)];
            weight[i] = clip(before + (of_pre + factor * set.of_post(i, x)) * rate, min, set.max[i]);
        }
    }

    /// Ends a step that [`begin`](Self::begin) began, with the presynaptic units that spike.
    pub(super) fn end(&mut self, spikes: impl Iterator<Item = usize>, spiking: &Spiking, factor: f32) {
        if self.logs {
            self.log.push(spiking, factor);
        }
        let (units, before) = (self.seen.len(), self.newest);
        self.newest = (self.newest + 1) % self.depth;
        let (now, before) = match self.newest.cmp(&before) {
            Ordering::Equal => (&mut self.recent[..], None),
            Ordering::Greater => {
                let (old, new) = self.recent.split_at_mut(self.newest * units);
                (new, Some(&old[before * units..]))
            }
            Ordering::Less => {
                let (new, old) = self.recent.split_at_mut(before * units);
                (new, Some(&*old))
            }
        };
        let now = &mut now[..units];
        if let Some(before) = before {
            now.copy_from_slice(&before[..units]);
        }
        decay(now, &self.pre.rate);
        for unit in spikes {
            now[unit] += self.pre.scale[unit];
        }
    }

    /// The trace of presynaptic spikes, `[pre]`.
    ///
    /// # Examples
    /// See [`HostSynapses`](super::HostSynapses).
    pub fn pre_trace(&self) -> Vec<f32> {
        let units = self.seen.len();
        self.recent[self.newest * units..][..units].to_vec()
    }

    /// The same in the last steps, `[slots, 1, pre]`.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_kernels::host::{HostLearning, HostTrace, PostTraces, TermsOfSpikes};
    /// use spark_kernels::{DelayRing, Trace};
    ///
    /// let device = Device::flex();
    /// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
    /// let trace = Trace { rate: all(0.5), base: all(0.0), scale: all(1.0), saturation: None };
    /// let traces = |units| HostTrace::new(&trace, vec![0.0; units]).unwrap();
    /// let terms = TermsOfSpikes {
    ///     on_pre: [[0.0; 4], [1.0; 4]],
    ///     on_post: [[0.0; 4], [1.0; 4]],
    ///     rate: 0.1,
    ///     min: 0.0,
    ///     max: [1.0; 4],
    /// };
    /// let ring = DelayRing::new(4, 1, 3, &device);
    /// let post = PostTraces::One(traces(2));
    /// let learning = HostLearning::new(terms, traces(3), post, Some(&ring)).unwrap();
    /// assert_eq!(learning.past(&device).history.dims(), [5, 1, 3]);
    /// ```
    pub fn past(&self, device: &Device) -> DelayRing {
        let (slots, units) = (self.depth, self.seen.len());
        DelayRing { history: tensor(self.recent.clone(), [slots, 1, units], device), newest: self.newest }
    }

    /// The trace of postsynaptic spikes, `[post]`, or `[2, post]` by type.
    ///
    /// # Examples
    /// See [`HostSynapses`](super::HostSynapses).
    pub fn post_trace(&self) -> Vec<f32> {
        match &self.untyped {
            Some(PostTraces::One(trace)) => trace.value.clone(),
            Some(PostTraces::ByType { value, .. }) => value.clone(),
            None => self.sets.iter().flat_map(|set| &set.post.value).copied().collect(),
        }
    }
}

#[inline(always)]
fn clip(weight: f32, min: f32, max: f32) -> f32 {
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
fn factors(factors: &mut [f32], y: &[f32], [alpha, beta]: &[Vec<f32>; 2], factor: f32) {
    let n = factors.len();
    let (y, alpha, beta) = (&y[..n], &alpha[..n], &beta[..n]);
    for i in 0..n {
        factors[i] = (y[i] * beta[i] + alpha[i]) * factor;
    }
}

/// Changes all weights of a row by what arrives; rate, lower and upper bound.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn change_all(weight: &mut [f32], factor: &[f32], [rate, min, max]: [f32; 3]) {
    for (weight, factor) in weight.iter_mut().zip(factor) {
        *weight = clip(*weight + factor * rate, min, max);
    }
}

/// The same with an upper bound for each.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn change_all_within(weight: &mut [f32], factor: &[f32], max: &[f32], [rate, min]: [f32; 2]) {
    for ((weight, factor), max) in weight.iter_mut().zip(factor).zip(max) {
        *weight = clip(*weight + factor * rate, min, *max);
    }
}

/// Changes the weights of a row whose bits are set by what arrives there.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn change_some(weight: &mut [f32], factor: &[f32], bits: &[u32], [rate, min, max]: [f32; 3]) {
    change_bits(weight, factor, bits, |weight, _, factor| clip(weight + factor * rate, min, max));
}

/// The same with an upper bound for each.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn change_some_within(weight: &mut [f32], factor: &[f32], max: &[f32], bits: &[u32], [rate, min]: [f32; 2]) {
    let max = &max[..weight.len()];
    change_bits(weight, factor, bits, |weight, i, factor| clip(weight + factor * rate, min, max[i]));
}

/// `weight[i]` becomes `change(weight[i], i, factor[i])`, with a factor of 0 where its bit is not set.
#[inline(always)]
fn change_bits(weight: &mut [f32], factor: &[f32], bits: &[u32], change: impl Fn(f32, usize, f32) -> f32) {
    let factor = &factor[..weight.len()];
    let (weights, rest) = weight.as_chunks_mut::<LANES>();
    let (factors, factors_left) = factor.as_chunks::<LANES>();
    let blocks = weights.len();
    for (block, ((weights, factors), bits)) in weights.iter_mut().zip(factors).zip(bits).enumerate() {
        // As many lanes as stay a loop until loops become vectors.
        for lane in 0..LANES {
            let factor = if (bits >> lane) & 1 != 0 { factors[lane] } else { 0.0 };
            weights[lane] = change(weights[lane], block * LANES + lane, factor);
        }
    }
    let bits = bits.last().copied().unwrap_or_default();
    for (lane, (weight, factor)) in rest.iter_mut().zip(factors_left).enumerate() {
        let factor = if (bits >> lane) & 1 != 0 { *factor } else { 0.0 };
        *weight = change(*weight, blocks * LANES + lane, factor);
    }
}
