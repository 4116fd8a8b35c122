//! All-to-all synapses.

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::learning::Row;
use super::{HostLearning, LateSpikes, Spiking, tensor, values};
use crate::cpu::delays::{self, Arrival};
use crate::delays::{DelayMasks, LANES};

/// Synapses that one step visits from which a second thread is worth waking.
const PARALLEL: usize = 1 << 20;

/// Late spikes, whatever became of others who held them.
fn locked(late: &Mutex<LateSpikes>) -> MutexGuard<'_, LateSpikes> {
    late.lock().unwrap_or_else(PoisonError::into_inner)
}

/// At which synapses of which units something arrives in a step.
#[derive(Debug, Default)]
struct Arriving {
    /// Ascending.
    units: Vec<u32>,
    /// Their signs.
    signs: Vec<f32>,
    /// Whether they spike in this step.
    spikes: Vec<bool>,
    /// The places of those at whose synapses something arrives: of a late spike nothing does when it leaves.
    reached: Vec<u32>,
    /// Where spikes are late: the delay with which something arrives, or of several the place in `mixed`.
    delays: Vec<Delayed>,
    /// Bits of those synapses.
    mixed: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Delayed {
    By(u32),
    Mixed(usize),
}

impl Arriving {
    /// Finds it.
    fn find(&mut self, spiking: &Spiking, late: Option<&LateSpikes>) {
        self.units.clear();
        self.signs.clear();
        self.spikes.clear();
        self.reached.clear();
        self.delays.clear();
        self.mixed.clear();
        let Some(late) = late else {
            self.units.extend(spiking.active());
            self.signs.extend(spiking.iter().map(|(_, inhibits)| if inhibits { -1.0 } else { 1.0 }));
            self.spikes.resize(spiking.count(), true);
            self.reached.extend(0..self.units.len() as u32);
            return;
        };
        for &unit in late.active() {
            let recent = late.recent(unit);
            if late.masks().may_arrive(recent) {
                self.reached.push(self.units.len() as u32);
            }
            self.units.push(unit);
            self.signs.push(late.sign(unit));
            self.spikes.push(recent & 1 != 0);
            if recent.is_power_of_two() {
                self.delays.push(Delayed::By(recent.trailing_zeros()));
            } else {
                self.delays.push(Delayed::Mixed(self.mixed.len()));
                late.masks().extend(&mut self.mixed, unit as usize, recent);
            }
        }
    }

    /// The synapses of a unit at which something arrives, as bits; empty where that is none.
    fn mask<'a>(&'a self, at: usize, masks: &'a DelayMasks) -> &'a [u32] {
        match self.delays[at] {
            Delayed::By(0) if !masks.may_arrive(1) => &[],
            Delayed::By(delay) => masks.of(self.units[at] as usize, delay as usize),
            Delayed::Mixed(place) => &self.mixed[place..place + masks.words()],
        }
    }

    /// Adds what arrives to postsynaptic units from the multiple `from` of [`LANES`] on.
    fn add(&self, weight: &[f32], post: usize, masks: Option<&DelayMasks>, from: usize, output: &mut [f32]) {
        let width = output.len();
        let row = |at: usize| &weight[self.units[at] as usize * post + from..][..width];
        match masks {
            None => delays::add_rows(self.units.len(), |at| (self.signs[at], row(at)), output),
            Some(masks) => {
                let arrival = |place: usize| {
                    let at = self.reached[place] as usize;
                    let mask = &self.mask(at, masks)[from / LANES..];
                    Arrival { value: self.signs[at], row: row(at), mask }
                };
                delays::add_arriving(self.reached.len(), arrival, output);
            }
        }
    }
}

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
        if let Some(late) = &late {
            let late = locked(late);
            if late.units() != pre || late.delays().len() != pre * post {
                return None;
            }
        }
        Some(Self {
            dims,
            weight: values(weight)?,
            late,
            learning: None,
            inhibits: Vec::new(),
            arriving: Arriving::default(),
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
            Some(late) => locked(late).slots(),
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
        let late = self.late.as_deref().map(locked);
        self.arriving.find(spiking, late.as_deref());
        if let Some(learning) = self.learning.as_mut().filter(|learning| learning.logs()) {
            for unit in self.arriving.units.iter().map(|unit| *unit as usize) {
                let row = unit * post..(unit + 1) * post;
                let delays = late.as_ref().map(|late| &late.delays()[row.clone()]);
                learning.catch_up(unit, &mut self.weight[row], delays);
            }
        }
        self.currents.fill(0.0);
        let (weight, arriving) = (&self.weight, &self.arriving);
        let masks = late.as_ref().map(|late| late.masks());
        if arriving.reached.len() * post > PARALLEL {
            let width = post.div_ceil(rayon::current_num_threads()).next_multiple_of(LANES);
            let parts = self.currents.par_chunks_mut(width).enumerate();
            parts.for_each(|(part, output)| arriving.add(weight, post, masks, part * width, output));
        } else {
            arriving.add(weight, post, masks, 0, &mut self.currents);
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
        let late = self.late.as_deref().map(locked);
        learning.begin(&self.inhibits, spiking, factor);
        let arriving = &self.arriving;
        // Where nothing was learnt lately, weights have nothing to catch up with later.
        let visited = if learning.logs() { arriving.units.len() } else { 0 };
        for at in 0..visited {
            let unit = arriving.units[at] as usize;
            let row = unit * post..(unit + 1) * post;
            let row = Row {
                unit,
                spikes: arriving.spikes[at],
                delays: late.as_ref().map(|late| &late.delays()[row.clone()]),
                arriving: late.as_ref().map(|late| arriving.mask(at, late.masks())),
                weight: &mut self.weight[row],
            };
            learning.visit(row, spiking, factor);
        }
        let now = arriving.units.iter().zip(&arriving.spikes).filter(|(_, spikes)| **spikes);
        let now = now.map(|(unit, _)| *unit as usize);
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
        let late = self.late.as_deref().map(locked);
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
