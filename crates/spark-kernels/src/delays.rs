//! Delays of spikes: rings of the last steps, read event by event.

use burn::backend::{
    Backend, Dispatch, Scalar, Slice, TensorMetadata, get_device_settings,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{Int, Tensor};
use std::sync::{Arc, OnceLock};

use crate::StepOps;
use crate::composed::T;

/// Whole delays in steps, of every presynaptic unit (`D = 1`) or of every pair (`D = 2`, `[pre, post]`).
///
/// Kept on the device and, ordered by delay, on the host, so that a step visits nothing but what arrives.
#[derive(Clone, Debug)]
pub struct Delays<const D: usize> {
    steps: Tensor<D, Int>,
    max: usize,
    order: Arc<DelayOrder>,
}

/// Delays that a ring cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayError {
    /// Position of the first wrong entry in row-major order.
    pub index: usize,
    /// The delay found there.
    pub found: i64,
    /// The longest delay allowed.
    pub max: usize,
}

impl std::fmt::Display for DelayError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { index, found, max } = self;
        write!(f, "delay {index}: found {found} steps, expected 0 to {max}")
    }
}

impl std::error::Error for DelayError {}

/// The entries of each row of delays by ascending delay, and by ascending position where delays are equal.
#[derive(Clone, Debug)]
pub struct DelayOrder {
    /// Delays in row-major order.
    pub(crate) steps: Vec<u16>,
    /// For each row, where in `entries` each delay from 0 to the longest starts, and where the row ends.
    pub(crate) starts: Vec<u32>,
    /// Positions, counted from the start of their row for pairs and from 0 for sparse synapses.
    pub(crate) entries: Vec<u32>,
    /// Of pairs whose delays are few, the same bit by bit.
    pub(crate) masks: Option<DelayMasks>,
    /// Of pairs, `steps` with its axes swapped; found when first asked for.
    by_post: OnceLock<Vec<u16>>,
    max: usize,
}

/// Up to this delay the entries of pairs are kept as bits too: with longer ones, few of a row have the same.
const FEW: usize = 16;

/// Which entries of each row have which delay: rows of bits by row and delay, [`LANES`] to a word.
#[derive(Clone, Debug)]
pub(crate) struct DelayMasks {
    bits: Vec<u32>,
    words: usize,
    depth: usize,
    /// Whether anything arrives in the step in which it leaves.
    immediate: bool,
}

/// Bits of a word of [`DelayMasks`].
pub(crate) const LANES: usize = u32::BITS as usize;

impl DelayMasks {
    fn new(steps: &[u16], width: usize, max: usize) -> Self {
        let (words, depth) = (width.div_ceil(LANES), max + 1);
        let mut bits = vec![0; steps.len() / width.max(1) * depth * words];
        for (row, steps) in steps.chunks(width.max(1)).enumerate() {
            for (position, &delay) in steps.iter().enumerate() {
                bits[(row * depth + delay as usize) * words + position / LANES] |= 1 << (position % LANES);
            }
        }
        Self { bits, words, depth, immediate: steps.contains(&0) }
    }

    /// The entries of a row with one delay.
    pub(crate) fn of(&self, row: usize, delay: usize) -> &[u32] {
        let at = (row * self.depth + delay) * self.words;
        &self.bits[at..at + self.words]
    }

    /// Whether anything arrives of what left as many steps ago as bits say, in a row or another.
    pub(crate) fn may_arrive(&self, delays: u32) -> bool {
        delays > 1 || self.immediate
    }

    /// Appends the entries of a row with any of the delays whose bits are set.
    pub(crate) fn extend(&self, all: &mut Vec<u32>, row: usize, mut delays: u32) {
        let start = all.len();
        all.resize(start + self.words, 0);
        while delays != 0 {
            let bits = self.of(row, delays.trailing_zeros() as usize);
            all[start..].iter_mut().zip(bits).for_each(|(all, bits)| *all |= bits);
            delays &= delays - 1;
        }
    }

    /// The words of a row of bits.
    pub(crate) fn words(&self) -> usize {
        self.words
    }
}

impl DelayOrder {
    /// Orders rows of entries; `rows` gives the range of each.
    pub(crate) fn new(
        steps: Vec<u16>,
        rows: impl Iterator<Item = std::ops::Range<usize>>,
        max: usize,
        name: impl Fn(usize) -> u32,
    ) -> Self {
        let mut starts = Vec::new();
        let mut entries = Vec::with_capacity(steps.len());
        for row in rows {
            // Counting sort keeps equal delays in order.
            let mut places = vec![0u32; max + 1];
            for &delay in &steps[row.clone()] {
                places[delay as usize] += 1;
            }
            let mut next = entries.len() as u32;
            for place in &mut places {
                next += std::mem::replace(place, next);
            }
            starts.extend(&places);
            starts.push(next);
            entries.resize(next as usize, 0);
            for position in row {
                let place = &mut places[steps[position] as usize];
                entries[*place as usize] = name(position);
                *place += 1;
            }
        }
        Self { steps, starts, entries, masks: None, by_post: OnceLock::new(), max }
    }

    /// The entries of a row with one delay.
    #[inline]
    pub(crate) fn of(&self, row: usize, delay: usize) -> &[u32] {
        let at = row * (self.max + 2) + delay;
        &self.entries[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    /// The delays of pairs by postsynaptic unit, `[post, pre]`.
    pub(crate) fn by_post(&self, post: usize) -> &[u16] {
        self.by_post.get_or_init(|| {
            (0..post).flat_map(|i| self.steps.iter().skip(i).step_by(post)).copied().collect()
        })
    }

    /// The longest delay that a row may have.
    pub(crate) fn max(&self) -> usize {
        self.max
    }
}

/// Delays on the host, checked.
pub(crate) fn check(found: impl Iterator<Item = i64>, max: usize) -> Result<Vec<u16>, DelayError> {
    let checked = found.enumerate().map(|(index, found)| match u16::try_from(found) {
        Ok(steps) if steps as usize <= max => Ok(steps),
        _ => Err(DelayError { index, found, max }),
    });
    checked.collect()
}

impl<const D: usize> Delays<D> {
    /// Delays of 0 to `max` steps: `[pre]`, or `[pre, post]` for pairs.
    ///
    /// # Errors
    /// Names the first delay outside of that, or above 65,535.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Int, Tensor};
    /// use spark_kernels::Delays;
    ///
    /// let device = Device::flex();
    /// let steps = Tensor::<1, Int>::from_ints([1, 9, 3], &device);
    /// let error = Delays::new(steps.clone(), 8).unwrap_err();
    /// assert_eq!(error.to_string(), "delay 1: found 9 steps, expected 0 to 8");
    /// assert!(Delays::new(steps, 9).is_ok());
    /// ```
    ///
    /// # Panics
    /// If `D` is neither 1 nor 2.
    pub fn new(steps: Tensor<D, Int>, max: usize) -> Result<Self, DelayError> {
        assert!(D == 1 || D == 2, "delays belong to units or to pairs, not to {D} axes");
        let host = check(steps.to_data().iter::<i64>(), max)?;
        let width = if D == 2 { steps.dims()[1] } else { 1 };
        let rows = if D == 2 { steps.dims()[0] } else { 0 };
        let ranges = (0..rows).map(|row| row * width..(row + 1) * width);
        let mut order = DelayOrder::new(host, ranges, max, |position| (position % width) as u32);
        order.masks = (D == 2 && max <= FEW).then(|| DelayMasks::new(&order.steps, width, max));
        Ok(Self { steps, max, order: Arc::new(order) })
    }

    /// The delays in steps.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Int, Tensor};
    /// use spark_kernels::Delays;
    ///
    /// let steps = Tensor::<1, Int>::from_ints([1, 2, 3], &Device::flex());
    /// let delays = Delays::new(steps, 8).unwrap();
    /// assert_eq!(delays.steps().into_data().iter::<i64>().collect::<Vec<_>>(), [1, 2, 3]);
    /// ```
    pub fn steps(&self) -> Tensor<D, Int> {
        self.steps.clone()
    }

    /// The longest delay allowed.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Int, Tensor};
    /// use spark_kernels::Delays;
    ///
    /// let steps = Tensor::<1, Int>::from_ints([1, 2, 3], &Device::flex());
    /// assert_eq!(Delays::new(steps, 8).unwrap().max(), 8);
    /// ```
    pub fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn order(&self) -> Arc<DelayOrder> {
        Arc::clone(&self.order)
    }
}

/// The last steps of some signal of units: spikes, signed spikes, a trace.
///
/// A step pushes the signal first and reads it then, so that a delay of `d` steps delivers `d` steps after
/// the push and a delay of 0 at once. Before the first push the signal was zero.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use spark_kernels::{DelayRing, Delays};
///
/// let device = Device::flex();
/// let delays = Delays::new(Tensor::<1, Int>::from_ints([1, 2], &device), 2).unwrap();
/// let mut ring = DelayRing::new(2, 1, 2, &device);
/// let mut out = Vec::new();
/// for spikes in [[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]] {
///     ring = ring.push(Tensor::from_floats([spikes], &device));
///     out.push(ring.read(&delays).into_data().try_to_vec::<f32>().unwrap());
/// }
/// assert_eq!(out, [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]);
/// ```
#[derive(Clone, Debug)]
pub struct DelayRing {
    /// The signal, `[slots, batch, units]`: step `t` lies in slot `t mod slots`.
    pub history: Tensor<3>,
    /// The slot of the step pushed last.
    pub newest: usize,
}

impl DelayRing {
    /// A silent past that holds delays up to `max` steps.
    ///
    /// # Examples
    /// See [`DelayRing`].
    pub fn new(max: usize, batch: usize, units: usize, device: &burn::tensor::Device) -> Self {
        Self { history: Tensor::zeros([max + 1, batch, units], device), newest: max }
    }

    /// Appends the signal of a step, `[batch, units]`, over the oldest one; in place where nothing else
    /// holds the ring.
    ///
    /// # Panics
    /// If the shape does not fit.
    ///
    /// # Examples
    /// See [`DelayRing`].
    pub fn push(self, signal: Tensor<2>) -> Self {
        let [slots, batch, units] = self.history.dims();
        assert_eq!(
            signal.dims(),
            [batch, units],
            "DelayRing::push: signal against {:?}",
            self.history.dims()
        );
        let newest = (self.newest + 1) % slots;
        let history = Dispatch::delay_push(self.history.into_dispatch(), signal.into_dispatch(), newest);
        Self { history: Tensor::from_dispatch(history), newest }
    }

    /// The signal of each unit as many steps ago as its delay, `[batch, units]`.
    ///
    /// # Panics
    /// If the units differ or a delay may be longer than the ring.
    ///
    /// # Examples
    /// See [`DelayRing`].
    pub fn read(&self, delays: &Delays<1>) -> Tensor<2> {
        let [_, _, units] = self.history.dims();
        assert_eq!(delays.steps.dims(), [units], "DelayRing::read: delays for {units} units");
        self.check(delays.max);
        let history = self.history.clone().into_dispatch();
        let steps = delays.steps.clone().into_dispatch();
        Tensor::from_dispatch(Dispatch::delay_read(history, steps, delays.order(), self.newest))
    }

    /// For each pair the signal of its presynaptic unit as many steps ago as the pair's delay,
    /// `[batch, pre, post]`.
    ///
    /// This is the definition; [`currents`](Self::currents) needs no entry per pair.
    ///
    /// # Panics
    /// If the units differ or a delay may be longer than the ring.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Int, Tensor};
    /// use spark_kernels::{DelayRing, Delays};
    ///
    /// let device = Device::flex();
    /// let delays = Delays::new(Tensor::<2, Int>::from_ints([[0, 1, 2]], &device), 2).unwrap();
    /// let ring = DelayRing::new(2, 1, 1, &device).push(Tensor::ones([1, 1], &device));
    /// assert_eq!(ring.read_pairs(&delays).into_data().try_to_vec::<f32>().unwrap(), [1.0, 0.0, 0.0]);
    /// ```
    pub fn read_pairs(&self, delays: &Delays<2>) -> Tensor<3> {
        self.check_pairs(delays);
        let history = self.history.clone().into_dispatch();
        let steps = delays.steps.clone().into_dispatch();
        Tensor::from_dispatch(Dispatch::delay_read_pairs(history, steps, delays.order(), self.newest))
    }

    /// The current through synapses with a delay of their own each: `I[b, i] = Σ_j w[j, i]·x[b, j]` with `x`
    /// taken `d[j, i]` steps ago, `[batch, post]`.
    ///
    /// * `weight`: `[pre, post]`, as it is now: what a weight was when the spike left does not matter.
    ///
    /// On the CPU only synapses of units are visited that were active within the longest delay. Their sum
    /// runs over ascending presynaptic units, whatever the number of threads: with weights whose sums are
    /// exact (whole numbers, say) this equals the sum over [`read_pairs`](Self::read_pairs) bit for bit,
    /// with others to rounding.
    ///
    /// # Panics
    /// If the shapes differ or a delay may be longer than the ring.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Int, Tensor};
    /// use spark_kernels::{DelayRing, Delays};
    ///
    /// let device = Device::flex();
    /// let delays = Delays::new(Tensor::<2, Int>::from_ints([[1, 2]], &device), 2).unwrap();
    /// let weight = Tensor::<2>::from_floats([[0.5, 0.25]], &device);
    /// let ring = DelayRing::new(2, 1, 1, &device).push(Tensor::ones([1, 1], &device));
    /// let ring = ring.push(Tensor::zeros([1, 1], &device));
    /// let current = ring.currents(weight, &delays);
    /// assert_eq!(current.into_data().try_to_vec::<f32>().unwrap(), [0.5, 0.0]);
    /// ```
    pub fn currents(&self, weight: Tensor<2>, delays: &Delays<2>) -> Tensor<2> {
        self.check_pairs(delays);
        assert_eq!(weight.dims(), delays.steps.dims(), "DelayRing::currents: weight against delays");
        Tensor::from_dispatch(Dispatch::delayed_currents(
            self.history.clone().into_dispatch(),
            weight.into_dispatch(),
            delays.steps.clone().into_dispatch(),
            delays.order(),
            self.newest,
        ))
    }

    pub(crate) fn check(&self, max: usize) {
        let [slots, _, _] = self.history.dims();
        assert!(max < slots, "a ring of {slots} steps is too short for delays of up to {max}");
    }

    fn check_pairs(&self, delays: &Delays<2>) {
        let [_, _, units] = self.history.dims();
        assert_eq!(delays.steps.dims()[0], units, "DelayRing: delays [pre, post] for {units} units");
        self.check(delays.max);
    }
}

/// The reference body of [`DelayRing::push`].
pub(crate) fn push<B: Backend>(
    history: FloatTensor<B>,
    signal: FloatTensor<B>,
    slot: usize,
) -> FloatTensor<B> {
    let mut slices = [Slice::full(); 3];
    slices[0] = Slice::from(slot..slot + 1);
    let signal = T::<B>(signal).lift(3);
    B::float_slice_assign(history, &slices, signal.0)
}

/// The reference body of [`DelayRing::read`].
pub(crate) fn read<B: Backend>(
    history: FloatTensor<B>,
    steps: IntTensor<B>,
    newest: usize,
) -> FloatTensor<B> {
    let [slots, batch, units] = dims(&history);
    let slot = slot_of::<B>(steps, slots, newest);
    let slot = B::int_expand(B::int_reshape(slot, [1, 1, units].into()), [1, batch, units].into());
    T::<B>(B::float_gather(0, history, slot)).reshape([batch, units]).0
}

/// The slot in which each delay looks.
pub(crate) fn slot_of<B: Backend>(steps: IntTensor<B>, slots: usize, newest: usize) -> IntTensor<B> {
    let ago = B::int_add_scalar(B::int_neg(steps), Scalar::from((newest + slots) as i64));
    B::int_remainder_scalar(ago, Scalar::from(slots as i64))
}

pub(crate) fn dims<T: TensorMetadata>(history: &T) -> [usize; 3] {
    let shape = history.shape();
    [shape[0], shape[1], shape[2]]
}

/// The reference body of [`DelayRing::read_pairs`]: delay by delay, the signal where pairs have that delay.
pub(crate) fn read_pairs<B: Backend>(
    history: FloatTensor<B>,
    steps: IntTensor<B>,
    max: usize,
    newest: usize,
) -> FloatTensor<B> {
    let ([slots, batch, pre], post) = (dims(&history), steps.shape()[1]);
    let history = T::<B>(history);
    let arriving = |delay: usize| {
        let signal = history.at((newest + slots - delay) % slots).reshape([batch, pre, 1]);
        signal * with_delay::<B>(&steps, delay, &history).reshape([1, pre, post])
    };
    (1..=max).fold(arriving(0), |sum, delay| sum + arriving(delay)).0
}

/// The reference body of [`DelayRing::currents`]: one product for each delay.
pub(crate) fn currents<B: Backend>(
    history: FloatTensor<B>,
    weight: FloatTensor<B>,
    steps: IntTensor<B>,
    max: usize,
    newest: usize,
) -> FloatTensor<B> {
    let [slots, _, _] = dims(&history);
    let (history, weight) = (T::<B>(history), T::<B>(weight));
    let arriving = |delay: usize| {
        let weight = weight.clone() * with_delay::<B>(&steps, delay, &history);
        T::<B>(B::float_matmul(history.at((newest + slots - delay) % slots).0, weight.0))
    };
    (1..=max).fold(arriving(0), |sum, delay| sum + arriving(delay)).0
}

/// 1 where a delay is `delay`, else 0.
fn with_delay<B: Backend>(steps: &IntTensor<B>, delay: usize, like: &T<B>) -> T<B> {
    let settings = get_device_settings::<B>(&like.0.device());
    let equal = B::int_equal_elem(steps.clone(), Scalar::from(delay as i64), settings.bool_dtype);
    T(B::bool_into_float(equal, like.0.dtype().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_ordered_by_delay_and_position() {
        let steps = vec![2, 0, 2, 1, 1, 0];
        let order = DelayOrder::new(steps, [0..4, 4..6].into_iter(), 2, |position| position as u32);
        assert_eq!([order.of(0, 0), order.of(0, 1), order.of(0, 2)], [&[1][..], &[3], &[0, 2]]);
        assert_eq!([order.of(1, 0), order.of(1, 1), order.of(1, 2)], [&[5][..], &[4], &[]]);
    }

    #[test]
    fn masks_name_what_lists_name() {
        let (width, max) = (LANES + 3, 2);
        let steps: Vec<u16> = (0..2 * width).map(|i| (i * i % 3) as u16).collect();
        let masks = DelayMasks::new(&steps, width, max);
        let ranges = [0..width, width..2 * width].into_iter();
        let order = DelayOrder::new(steps, ranges, max, |position| (position % width) as u32);
        for (row, delay) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
            let mask = masks.of(row, delay);
            let named = (0..width).filter(|i| (mask[i / LANES] >> (i % LANES)) & 1 != 0);
            assert_eq!(named.map(|i| i as u32).collect::<Vec<_>>(), order.of(row, delay));
        }
    }

    #[test]
    fn delays_out_of_range_are_named() {
        assert_eq!(check([3, -1].into_iter(), 3), Err(DelayError { index: 1, found: -1, max: 3 }));
        assert_eq!(check([0, 3].into_iter(), 3), Ok(vec![0, 3]));
    }
}
