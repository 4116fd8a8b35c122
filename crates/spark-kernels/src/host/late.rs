//! Spikes that arrive late, by pair.

use burn::tensor::Device;
use std::sync::Arc;

use super::{Spiking, tensor, values};
use crate::delays::{DelayMasks, DelayOrder, DelayRing, Delays};

/// The last steps of units whose spikes arrive at each synapse after a delay of its own.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use spark_kernels::host::{LateSpikes, Spiking};
/// use spark_kernels::{DelayRing, Delays};
///
/// let device = Device::flex();
/// let delays = Delays::new(Tensor::<2, Int>::from_ints([[1, 2]], &device), 2).unwrap();
/// let ring = DelayRing::new(2, 1, 1, &device);
/// let mut late = LateSpikes::new(&delays, &ring, &ring).unwrap();
/// let mut spiking = Spiking::default();
/// spiking.find(&[1.0], &[]);
/// late.push(&spiking);
/// let [spikes, _] = late.rings(&device);
/// assert_eq!(spikes.history.into_data().try_to_vec::<f32>().unwrap(), [1.0, 0.0, 0.0]);
/// ```
#[derive(Debug)]
pub struct LateSpikes {
    order: Arc<DelayOrder>,
    slots: usize,
    newest: usize,
    /// For each unit, bit `d` says whether it spiked `d` steps ago.
    recent: Vec<u32>,
    /// −1 for units that inhibited when they last spiked, else 1.
    signs: Vec<f32>,
    /// The units with a bit, ascending.
    active: Vec<u32>,
    /// Those that had none before the step.
    fresh: Vec<u32>,
}

impl LateSpikes {
    /// From the rings of spikes and of signed spikes, `[slots, 1, pre]`; `None` where there are several samples,
    /// delays too long for bits, or something else than spikes.
    ///
    /// # Examples
    /// See [`LateSpikes`].
    pub fn new(delays: &Delays<2>, spikes: &DelayRing, signed: &DelayRing) -> Option<Self> {
        let ([slots, samples, units], order) = (spikes.history.dims(), delays.order());
        order.masks.as_ref()?;
        if samples != 1 || slots > u32::BITS as usize || signed.newest != spikes.newest {
            return None;
        }
        let (spikes_of, signed_of) = (values(&spikes.history)?, values(&signed.history)?);
        let (mut recent, mut signs) = (vec![0; units], vec![1.0; units]);
        // From the oldest on, so that the sign is that of the latest spike.
        for delay in (0..slots).rev() {
            let at = (spikes.newest + slots - delay) % slots * units;
            for unit in 0..units {
                let (spike, value) = (spikes_of[at + unit], signed_of[at + unit]);
                if spike != 0.0 {
                    if spike != 1.0 || value.abs() != 1.0 {
                        return None;
                    }
                    recent[unit] |= 1 << delay;
                    signs[unit] = value;
                }
            }
        }
        let active = (0..units as u32).filter(|unit| recent[*unit as usize] != 0).collect();
        Some(Self { order, slots, newest: spikes.newest, recent, signs, active, fresh: Vec::new() })
    }

    /// Number of presynaptic units.
    pub(super) fn units(&self) -> usize {
        self.recent.len()
    }

    /// How many steps back a spike is remembered, the current one included.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    pub(super) fn masks(&self) -> &DelayMasks {
        self.order.masks.as_ref().expect("checked when it was made")
    }

    /// The delay of each pair, row by row.
    pub(super) fn delays(&self) -> &[u16] {
        &self.order.steps
    }

    /// The units that spiked lately.
    pub(super) fn active(&self) -> &[u32] {
        &self.active
    }

    /// Bit `d` says whether a unit spiked `d` steps ago.
    pub(super) fn recent(&self, unit: u32) -> u32 {
        self.recent[unit as usize]
    }

    pub(super) fn sign(&self, unit: u32) -> f32 {
        self.signs[unit as usize]
    }

    /// Appends what spikes in this step.
    ///
    /// # Panics
    /// If the number of units differs.
    ///
    /// # Examples
    /// See [`LateSpikes`].
    pub fn push(&mut self, spiking: &Spiking) {
        assert_eq!(spiking.units(), self.recent.len(), "LateSpikes::push: number of units");
        self.newest = (self.newest + 1) % self.slots;
        let kept = u32::MAX >> (u32::BITS as usize - self.slots);
        let recent = &mut self.recent;
        self.active.retain(|unit| {
            let recent = &mut recent[*unit as usize];
            *recent = (*recent << 1) & kept;
            *recent != 0
        });
        self.fresh.clear();
        for (unit, inhibits) in spiking.iter() {
            if recent[unit] == 0 {
                self.fresh.push(unit as u32);
            }
            recent[unit] |= 1;
            self.signs[unit] = if inhibits { -1.0 } else { 1.0 };
        }
        merge(&mut self.active, &self.fresh);
    }

    /// The rings of spikes and of signed spikes, `[slots, 1, pre]`.
    ///
    /// # Examples
    /// See [`LateSpikes`].
    pub fn rings(&self, device: &Device) -> [DelayRing; 2] {
        let (slots, units) = (self.slots, self.units());
        [false, true].map(|signed| {
            let mut history = vec![0.0; slots * units];
            for unit in self.active.iter().map(|unit| *unit as usize) {
                for delay in (0..slots).filter(|delay| (self.recent[unit] >> delay) & 1 != 0) {
                    let at = (self.newest + slots - delay) % slots * units + unit;
                    history[at] = if signed { self.signs[unit] } else { 1.0 };
                }
            }
            DelayRing { history: tensor(history, [slots, 1, units], device), newest: self.newest }
        })
    }
}

/// Puts numbers where they belong among others; both ascend.
fn merge(sorted: &mut Vec<u32>, more: &[u32]) {
    let (mut left, mut to) = (sorted.len(), sorted.len() + more.len());
    sorted.resize(to, 0);
    for number in more.iter().rev() {
        while left > 0 && sorted[left - 1] > *number {
            (left, to) = (left - 1, to - 1);
            sorted[to] = sorted[left];
        }
        to -= 1;
        sorted[to] = *number;
    }
}
