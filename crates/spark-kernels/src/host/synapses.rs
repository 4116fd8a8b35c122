//! All-to-all synapses.

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use super::learning::Row;
use super::{HostLearning, LateSpikes, Spiking, tensor, values};
use crate::cpu::delays::Arriving;
use crate::delays::LANES;

/// Synapses that one step visits from which a second thread is worth waking.
const PARALLEL: usize = 1 << 20;

/// Synapses from every unit of one population to every unit of another, for one sample.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::Trace;
/// use spark_kernels::host::{HostLearning, HostSynapses, HostTrace, PostTraces, Spiking, TermsOfSpikes};
///
/// let device = Device::flex();
/// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
/// let trace = Trace { rate: all(0.5), base: all(0.0), scale: all(1.0), saturation: None };
/// let traces = |units| HostTrace::new(&trace, vec![0.0; units]).unwrap();
/// let hebbian = TermsOfSpikes {
///     on_pre: [[0.0; 4], [1.0; 4]],
///     on_post: [[0.0; 4], [1.0; 4]],
///     rate: 0.5,
///     min: 0.0,
///     max: [2.0; 4],
/// };
/// let mut synapses = HostSynapses::new(&Tensor::ones([2, 1], &device), None).unwrap();
/// let post = PostTraces::One(traces(1));
/// synapses.teach(HostLearning::new(hebbian, traces(2), post, None).unwrap());
///
/// let mut spiking = [Spiking::default(), Spiking::default()];
/// spiking[0].find(&[1.0, 0.0], &[]);
/// spiking[1].find(&[1.0], &[]);
/// assert_eq!(synapses.currents(&spiking[0]), [1.0]);
/// synapses.learn(&spiking[1], 1.0);
/// // Both spikes find the trace of the other: 1 + 0.5·(1 + 1).
/// assert_eq!(synapses.weight(&device).into_data().try_to_vec::<f32>().unwrap(), [2.0, 1.0]);
/// assert_eq!(synapses.learning().unwrap().pre_trace(), [1.0, 0.0]);
/// assert_eq!(synapses.learning().unwrap().post_trace(), [1.0]);
/// ```
#[derive(Debug)]
pub struct HostSynapses {
    dims: [usize; 2],
    /// `[pre, post]`.
    weight: Vec<f32>,
    late: Option<Arc<Mutex<LateSpikes>>>,
    learning: Option<HostLearning>,
    /// Which presynaptic units inhibit; empty where none does.
    inhibits: Vec<bool>,
    /// What arrives in this step.
    arriving: Arriving,
    /// Whether each of its units spikes in this step.
    spikes: Vec<bool>,
    currents: Vec<f32>,
}

impl HostSynapses {
    /// Synapses of a strength, `[pre, post]`, whose spikes come late where it says so; `None` where something is
    /// not `f32` or does not fit.
    ///
    /// # Examples
    /// See [`HostSynapses`].
    pub fn new(weight: &Tensor<2>, late: Option<Arc<Mutex<LateSpikes>>>) -> Option<Self> {
        let dims @ [pre, post] = weight.dims();
        let words = match &late {
            None => 0,
            Some(late) => {
                let late = late.lock().unwrap_or_else(PoisonError::into_inner);
                if late.units() != pre || late.delays().len() != pre * post {
                    return None;
                }
                late.masks().words()
            }
        };
        Some(Self {
            dims,
            weight: values(weight)?,
            late,
            learning: None,
            inhibits: Vec::new(),
            arriving: Arriving::none(words),
            spikes: Vec::new(),
            currents: vec![0.0; post],
        })
    }

    /// Whether the synapses learn.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_kernels::host::HostSynapses;
    ///
    /// assert!(!HostSynapses::new(&Tensor::ones([2, 1], &Device::flex()), None).unwrap().learns());
    /// ```
    pub fn learns(&self) -> bool {
        self.learning.is_some()
    }

    /// Makes the synapses learn. Returns whether the traces fit them; they stay as they are otherwise.
    ///
    /// # Examples
    /// See [`HostSynapses`].
    pub fn teach(&mut self, learning: HostLearning) -> bool {
        let depth = match &self.late {
            None => 1,
            Some(late) => late.lock().unwrap_or_else(PoisonError::into_inner).slots(),
        };
        let fits = learning.dims() == self.dims && learning.depth() == depth;
        if fits {
            self.learning = Some(learning);
        }
        fits
    }

    /// The current into each postsynaptic unit in a step, `[post]`; late spikes are those that were pushed.
    ///
    /// # Panics
    /// If the number of units differs.
    ///
    /// # Examples
    /// See [`HostSynapses`].
    pub fn currents(&mut self, spiking: &Spiking) -> &[f32] {
        let [pre, post] = self.dims;
        assert_eq!(spiking.units(), pre, "HostSynapses::currents: number of units");
        if self.inhibits != spiking.inhibits() {
            self.inhibits = spiking.inhibits().to_vec();
        }
        self.arriving.clear();
        self.spikes.clear();
        let late = self.late.as_ref().map(|late| late.lock().unwrap_or_else(PoisonError::into_inner));
        match &late {
            None => {
                for (unit, inhibits) in spiking.iter() {
                    self.arriving.push(unit as u32, if inhibits { -1.0 } else { 1.0 }, &[]);
                    self.spikes.push(true);
                }
            }
            Some(late) => {
                for &unit in late.active() {
                    let mut recent = late.recent(unit);
                    self.spikes.push(recent & 1 != 0);
                    while recent != 0 {
                        let mask = late.masks().of(unit as usize, recent.trailing_zeros() as usize);
                        self.arriving.push(unit, late.sign(unit), mask);
                        recent &= recent - 1;
                    }
                }
            }
        }
        if let Some(learning) = self.learning.as_mut().filter(|learning| learning.logs()) {
            for unit in self.arriving.units().iter().map(|unit| *unit as usize) {
                let row = unit * post..(unit + 1) * post;
                let delays = late.as_ref().map(|late| &late.delays()[row.clone()]);
                learning.catch_up(unit, &mut self.weight[row], delays);
            }
        }
        self.currents.fill(0.0);
        let (weight, arriving) = (&self.weight, &self.arriving);
        if arriving.units().len() * post > PARALLEL {
            let width = post.div_ceil(rayon::current_num_threads()).next_multiple_of(LANES);
            let parts = self.currents.par_chunks_mut(width).enumerate();
            parts.for_each(|(part, output)| arriving.add(weight, post, part * width, output));
        } else {
            arriving.add(weight, post, 0, &mut self.currents);
        }
        &self.currents
    }

    /// Learns from the postsynaptic spikes of the step whose currents were asked for last, with a third factor.
    ///
    /// # Panics
    /// If the number of units differs.
    ///
    /// # Examples
    /// See [`HostSynapses`].
    pub fn learn(&mut self, spiking: &Spiking, factor: f32) {
        let [_, post] = self.dims;
        assert_eq!(spiking.units(), post, "HostSynapses::learn: number of units");
        let Some(learning) = &mut self.learning else { return };
        let late = self.late.as_ref().map(|late| late.lock().unwrap_or_else(PoisonError::into_inner));
        learning.begin(&self.inhibits, spiking, factor);
        let arriving = self.arriving.units().iter().zip(&self.spikes);
        let now = arriving.clone().filter(|(_, spikes)| **spikes).map(|(unit, _)| *unit as usize);
        // Where nothing was learnt lately, weights have nothing to catch up with later.
        let visited = if learning.logs() { self.spikes.len() } else { 0 };
        for (at, (unit, spikes)) in arriving.enumerate().take(visited) {
            let unit = *unit as usize;
            let row = unit * post..(unit + 1) * post;
            let row = Row {
                unit,
                spikes: *spikes,
                delays: late.as_ref().map(|late| &late.delays()[row.clone()]),
                arriving: late.as_ref().map(|_| self.arriving.mask(at)),
                weight: &mut self.weight[row],
            };
            learning.visit(row, spiking, factor);
        }
        learning.end(now, spiking, factor);
        let full = learning.is_full();
        drop(late);
        if full {
            self.catch_up();
        }
    }

    /// Brings all weights and traces up to date.
    fn catch_up(&mut self) {
        let [_, post] = self.dims;
        let Some(learning) = self.learning.as_mut().filter(|learning| learning.logs()) else { return };
        let late = self.late.as_ref().map(|late| late.lock().unwrap_or_else(PoisonError::into_inner));
        for (unit, weight) in self.weight.chunks_exact_mut(post.max(1)).enumerate() {
            let delays = late.as_ref().map(|late| &late.delays()[unit * post..(unit + 1) * post]);
            learning.catch_up(unit, weight, delays);
        }
        learning.forget();
    }

    /// The strengths, `[pre, post]`.
    ///
    /// # Examples
    /// See [`HostSynapses`].
    pub fn weight(&mut self, device: &Device) -> Tensor<2> {
        self.catch_up();
        tensor(self.weight.clone(), self.dims, device)
    }

    /// The traces that the synapses learn by, up to date.
    ///
    /// # Examples
    /// See [`HostSynapses`].
    pub fn learning(&mut self) -> Option<&HostLearning> {
        self.catch_up();
        self.learning.as_ref()
    }

    /// Makes the synapses stop learning; what they learnt stays.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_kernels::host::HostSynapses;
    ///
    /// let mut synapses = HostSynapses::new(&Tensor::ones([2, 1], &Device::flex()), None).unwrap();
    /// synapses.forget();
    /// assert!(synapses.learning().is_none());
    /// ```
    pub fn forget(&mut self) {
        self.catch_up();
        mem::take(&mut self.learning);
    }
}
