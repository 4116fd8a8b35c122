//! Currents through sparsely connected synapses.

use burn::backend::{
    Backend, Dispatch, ExtensionType, FloatDType, Scalar, TensorMetadata,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{Device, IndexingUpdateOp, Int, Shape, Tensor, TensorData};
use std::sync::Arc;

use crate::StepOps;
use crate::composed::T;
use crate::delays::{self, DelayError, DelayOrder, DelayRing};

/// Which units are connected: a sparse matrix `[pre, post]` without its values, in compressed rows.
///
/// The synapses of presynaptic unit `j` are those from `offsets[j]` to `offsets[j + 1]`; their values are the
/// entries of a tensor `[synapses]` in the same order, which can be trained and saved. Each synapse may have
/// a delay.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{SparsePattern, sparse_matmul};
///
/// let device = Device::flex();
/// // Unit 0 reaches units 0 and 2, unit 1 reaches unit 1.
/// let pattern = SparsePattern::new(vec![0, 2, 3], vec![0, 2, 1], 3, &device).unwrap();
/// let values = Tensor::<1>::from_floats([1.0, 2.0, 3.0], &device);
/// let spikes = Tensor::<2>::from_floats([[1.0, 0.0], [1.0, 1.0]], &device);
/// let currents = sparse_matmul(spikes, values, &pattern);
/// assert_eq!(currents.into_data().try_to_vec::<f32>().unwrap(), [1.0, 0.0, 2.0, 1.0, 3.0, 2.0]);
/// ```
#[derive(Clone, Debug)]
pub struct SparsePattern {
    rows: Arc<SparseRows>,
    delayed: Option<Delayed>,
    places: Places,
}

/// The connections of a pattern on its device.
#[derive(Clone, Debug)]
struct Places {
    /// Presynaptic unit of each synapse.
    sources: Tensor<1, Int>,
    /// Postsynaptic unit of each synapse.
    targets: Tensor<1, Int>,
    /// Where the synapses of each presynaptic unit start, and where the last ones end.
    leaving: Tensor<1, Int>,
    /// The synapses by postsynaptic unit, and ascending for each.
    order: Tensor<1, Int>,
    /// Where those of each postsynaptic unit start in `order`, and where the last ones end.
    arriving: Tensor<1, Int>,
}

/// The connections of a [`SparsePattern`] as tensors of a backend.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda")))]
pub struct SparsePlaces<B: Backend> {
    /// Presynaptic unit of each synapse, `[synapses]`.
    pub(crate) sources: IntTensor<B>,
    /// Postsynaptic unit of each synapse, `[synapses]`.
    pub(crate) targets: IntTensor<B>,
    /// Where the synapses of each presynaptic unit start and end, `[pre + 1]`.
    pub(crate) leaving: IntTensor<B>,
    /// The synapses by postsynaptic unit, `[synapses]`.
    pub(crate) order: IntTensor<B>,
    /// Where those of each postsynaptic unit start and end, `[post + 1]`.
    pub(crate) arriving: IntTensor<B>,
}

impl Places {
    fn new(rows: &SparseRows, device: &Device) -> Self {
        let upload = |values: Vec<u32>| {
            let (count, values) = (values.len(), values.into_iter().map(|value| value as i32).collect());
            Tensor::from_data(TensorData::new::<i32, _>(values, [count]), device)
        };
        let sources = (0..rows.pre()).flat_map(|unit| rows.of(unit).map(move |_| unit as u32)).collect();
        // Counting sort keeps the synapses of a unit in order.
        let mut arriving = vec![0u32; rows.post + 1];
        rows.targets.iter().for_each(|&target| arriving[target as usize + 1] += 1);
        (0..rows.post).for_each(|unit| arriving[unit + 1] += arriving[unit]);
        let (mut next, mut order) = (arriving.clone(), vec![0; rows.targets.len()]);
        for (synapse, &target) in (0u32..).zip(&rows.targets) {
            let place = &mut next[target as usize];
            order[*place as usize] = synapse;
            *place += 1;
        }
        Self {
            sources: upload(sources),
            targets: upload(rows.targets.clone()),
            leaving: upload(rows.offsets.clone()),
            order: upload(order),
            arriving: upload(arriving),
        }
    }

    fn dispatch(&self) -> SparsePlaces<Dispatch> {
        let Self { sources, targets, leaving, order, arriving } = self;
        let [sources, targets, leaving, order, arriving] =
            [sources, targets, leaving, order, arriving].map(|places| places.clone().into_dispatch());
        SparsePlaces { sources, targets, leaving, order, arriving }
    }
}

/// Delays of the synapses of a pattern.
#[derive(Clone, Debug)]
struct Delayed {
    order: Arc<DelayOrder>,
    steps: Tensor<1, Int>,
}

/// The connections of a [`SparsePattern`] on the host.
#[derive(Clone, Debug)]
pub struct SparseRows {
    pub(crate) offsets: Vec<u32>,
    pub(crate) targets: Vec<u32>,
    pub(crate) post: usize,
}

impl SparseRows {
    pub(crate) fn pre(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The synapses of a presynaptic unit.
    #[inline]
    pub(crate) fn of(&self, unit: usize) -> std::ops::Range<usize> {
        self.offsets[unit] as usize..self.offsets[unit + 1] as usize
    }
}

/// Connections that make no sparse matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SparseError {
    /// The offsets do not rise from 0 to the number of synapses.
    Offsets {
        /// The number of synapses.
        synapses: usize,
        /// The row at which they go wrong.
        row: usize,
    },
    /// A synapse reaches a unit that is not there.
    Target {
        /// The synapse.
        synapse: usize,
        /// The unit it reaches.
        found: u32,
        /// The number of units.
        post: usize,
    },
}

impl std::fmt::Display for SparseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Offsets { synapses, row } => {
                write!(f, "offset {row}: offsets must rise from 0 to the number of synapses, {synapses}")
            }
            Self::Target { synapse, found, post } => {
                write!(f, "synapse {synapse}: found target {found}, expected one below {post}")
            }
        }
    }
}

impl std::error::Error for SparseError {}

impl SparsePattern {
    /// A pattern from the offsets of its rows, `[pre + 1]`, and the postsynaptic unit of each synapse.
    ///
    /// # Errors
    /// When the offsets do not rise from 0 to the number of synapses, or a target is not below `post`.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::Device;
    /// use spark_kernels::SparsePattern;
    ///
    /// let error = SparsePattern::new(vec![0, 2], vec![0, 3], 3, &Device::flex()).unwrap_err();
    /// assert_eq!(error.to_string(), "synapse 1: found target 3, expected one below 3");
    /// ```
    pub fn new(
        offsets: Vec<u32>,
        targets: Vec<u32>,
        post: usize,
        device: &Device,
    ) -> Result<Self, SparseError> {
        let synapses = targets.len();
        let rises = |row: usize| match row {
            0 => offsets.first() == Some(&0),
            _ => offsets[row - 1] <= offsets[row],
        };
        let wrong = (0..offsets.len().max(1)).find(|&row| !rises(row));
        let open = (offsets.last() != Some(&(synapses as u32))).then(|| offsets.len().saturating_sub(1));
        if let Some(row) = wrong.or(open) {
            return Err(SparseError::Offsets { synapses, row });
        }
        if let Some(synapse) = targets.iter().position(|&target| target as usize >= post) {
            return Err(SparseError::Target { synapse, found: targets[synapse], post });
        }
        let rows = SparseRows { offsets, targets, post };
        Ok(Self { places: Places::new(&rows, device), rows: Arc::new(rows), delayed: None })
    }

    /// The entries of a matrix `[pre, post]` that are not zero: their pattern and values.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_kernels::SparsePattern;
    ///
    /// let weight = Tensor::<2>::from_floats([[0.0, 2.0], [0.0, 0.0], [3.0, 4.0]], &Device::flex());
    /// let (pattern, values) = SparsePattern::from_dense(weight.clone());
    /// assert_eq!(values.to_data().try_to_vec::<f32>().unwrap(), [2.0, 3.0, 4.0]);
    /// assert_eq!(pattern.to_dense(values).into_data(), weight.into_data());
    /// ```
    pub fn from_dense(weight: Tensor<2>) -> (Self, Tensor<1>) {
        let ([_, post], device) = (weight.dims(), weight.device());
        let (mut offsets, mut targets, mut values) = (vec![0], Vec::new(), Vec::new());
        let entries: Vec<f32> = weight.into_data().iter().collect();
        for row in entries.chunks(post.max(1)) {
            for (target, &value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                targets.push(target as u32);
                values.push(value);
            }
            offsets.push(targets.len() as u32);
        }
        let count = values.len();
        let pattern = Self::new(offsets, targets, post, &device).expect("rows of a matrix are a pattern");
        (pattern, Tensor::from_data(TensorData::new(values, [count]), &device))
    }

    /// The same pattern with a delay of 0 to `max` steps for each synapse.
    ///
    /// # Errors
    /// Names the first delay outside of that, or above 65,535.
    ///
    /// # Panics
    /// If there are not as many delays as synapses.
    ///
    /// # Examples
    /// See [`DelayRing::sparse_currents`].
    pub fn with_delays(self, steps: &[u32], max: usize) -> Result<Self, DelayError> {
        let synapses = self.synapses();
        assert_eq!(steps.len(), synapses, "with_delays: delays for {synapses} synapses");
        let host = delays::check(steps.iter().map(|&steps| i64::from(steps)), max)?;
        let data: Vec<i32> = host.iter().map(|&steps| i32::from(steps)).collect();
        let steps = Tensor::from_data(TensorData::new(data, [synapses]), &self.places.sources.device());
        let rows = (0..self.rows.pre()).map(|unit| self.rows.of(unit));
        let order = Arc::new(DelayOrder::new(host, rows, max, |position| position as u32));
        Ok(Self { delayed: Some(Delayed { order, steps }), ..self })
    }

    /// Numbers of presynaptic and of postsynaptic units.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::Device;
    /// use spark_kernels::SparsePattern;
    ///
    /// let pattern = SparsePattern::new(vec![0, 2, 3], vec![0, 2, 1], 3, &Device::flex()).unwrap();
    /// assert_eq!((pattern.dims(), pattern.synapses()), ([2, 3], 3));
    /// ```
    pub fn dims(&self) -> [usize; 2] {
        [self.rows.pre(), self.rows.post]
    }

    /// The number of synapses.
    ///
    /// # Examples
    /// See [`SparsePattern::dims`].
    pub fn synapses(&self) -> usize {
        self.rows.targets.len()
    }

    /// Where the synapses of each presynaptic unit start and end, and the postsynaptic unit of each.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::Device;
    /// use spark_kernels::SparsePattern;
    ///
    /// let pattern = SparsePattern::new(vec![0, 2, 3], vec![0, 2, 1], 3, &Device::flex()).unwrap();
    /// assert_eq!(pattern.host(), (&[0, 2, 3][..], &[0, 2, 1][..]));
    /// ```
    pub fn host(&self) -> (&[u32], &[u32]) {
        (&self.rows.offsets, &self.rows.targets)
    }

    /// The matrix `[pre, post]` with these values; synapses between the same two units add up.
    ///
    /// # Panics
    /// If there are not as many values as synapses.
    ///
    /// # Examples
    /// See [`SparsePattern::from_dense`].
    pub fn to_dense(&self, values: Tensor<1>) -> Tensor<2> {
        self.check(&values);
        let [pre, post] = self.dims();
        let places = self.places.sources.clone() * post as i64 + self.places.targets.clone();
        let flat = Tensor::<1>::zeros([pre * post], &values.device());
        flat.select_assign(0, places, values, IndexingUpdateOp::Add).reshape([pre, post])
    }

    /// Its connections on their device.
    pub(crate) fn places(&self) -> SparsePlaces<Dispatch> {
        self.places.dispatch()
    }

    /// Its connections on the host.
    /// Whether synapses have delays.
    pub(crate) fn is_delayed(&self) -> bool {
        self.delayed.is_some()
    }

    pub(crate) fn rows(&self) -> Arc<SparseRows> {
        Arc::clone(&self.rows)
    }

    fn check(&self, values: &Tensor<1>) {
        assert_eq!(values.dims(), [self.synapses()], "sparse synapses: values against synapses");
    }
}

/// `spikes × matrix`: the current into each postsynaptic unit, `[rows, post]`.
///
/// * `spikes`: `[rows, pre]`, mostly zero.
/// * `values`: those of the synapses, `[synapses]`.
///
/// On the CPU only synapses of active units are read. The sum runs over ascending synapses, whatever the
/// number of threads. Differentiable in spikes and values; the gradient of the values is gathered from the
/// same events.
///
/// # Panics
/// If units or synapses differ in number.
///
/// # Examples
/// See [`SparsePattern`].
pub fn sparse_matmul(spikes: Tensor<2>, values: Tensor<1>, pattern: &SparsePattern) -> Tensor<2> {
    let [_, pre] = spikes.dims();
    assert_eq!(pre, pattern.rows.pre(), "sparse_matmul: spikes against pattern");
    pattern.check(&values);
    Tensor::from_dispatch(Dispatch::sparse_matmul(
        spikes.into_dispatch(),
        values.into_dispatch(),
        pattern.places.dispatch(),
        Arc::clone(&pattern.rows),
    ))
}

impl DelayRing {
    /// The current through sparse synapses with a delay of their own each, `[batch, post]`; as
    /// [`currents`](Self::currents).
    ///
    /// # Panics
    /// If the pattern has no delays, units or synapses differ in number, or a delay may be longer than the
    /// ring.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_kernels::{DelayRing, SparsePattern};
    ///
    /// let device = Device::flex();
    /// let pattern = SparsePattern::new(vec![0, 2], vec![0, 1], 2, &device).unwrap();
    /// let pattern = pattern.with_delays(&[0, 1], 1).unwrap();
    /// let values = Tensor::<1>::from_floats([2.0, 3.0], &device);
    /// let ring = DelayRing::new(1, 1, 1, &device).push(Tensor::ones([1, 1], &device));
    /// let current = ring.sparse_currents(values, &pattern);
    /// assert_eq!(current.into_data().try_to_vec::<f32>().unwrap(), [2.0, 0.0]);
    /// ```
    pub fn sparse_currents(&self, values: Tensor<1>, pattern: &SparsePattern) -> Tensor<2> {
        let [_, _, pre] = self.history.dims();
        assert_eq!(pre, pattern.rows.pre(), "sparse_currents: ring against pattern");
        pattern.check(&values);
        let delayed = pattern.delayed.as_ref().expect("sparse_currents: the pattern has delays");
        self.check(delayed.order.max());
        Tensor::from_dispatch(Dispatch::sparse_currents(
            self.history.clone().into_dispatch(),
            values.into_dispatch(),
            pattern.places.dispatch(),
            delayed.steps.clone().into_dispatch(),
            SparseDelays { rows: Arc::clone(&pattern.rows), order: Arc::clone(&delayed.order) },
            self.newest,
        ))
    }
}

/// A pattern with delays on the host.
#[derive(Clone, Debug)]
pub struct SparseDelays {
    pub(crate) rows: Arc<SparseRows>,
    pub(crate) order: Arc<DelayOrder>,
}

/// `signal[r, k]` summed up by `places[k]`, `[rows, count]`.
fn scatter<B: Backend>(signal: T<B>, places: IntTensor<B>, count: usize) -> FloatTensor<B> {
    let dtype: FloatDType = signal.0.dtype().into();
    let zeros = B::float_zeros(Shape::from([signal.shape()[0], count]), &signal.0.device(), dtype);
    B::float_select_assign(zeros, 1, places, signal.0, IndexingUpdateOp::Add)
}

/// The reference body of [`sparse_matmul`].
pub(crate) fn product<B: Backend>(
    spikes: FloatTensor<B>,
    values: FloatTensor<B>,
    sources: IntTensor<B>,
    targets: IntTensor<B>,
    post: usize,
) -> FloatTensor<B> {
    let spikes = T::<B>(B::float_select(spikes, 1, sources));
    scatter(spikes * T(values).lift(2), targets, post)
}

/// The reference of the gradient of [`sparse_matmul`] with respect to the values.
pub(crate) fn values_gradient<B: Backend>(
    spikes: FloatTensor<B>,
    gradient: FloatTensor<B>,
    sources: IntTensor<B>,
    targets: IntTensor<B>,
) -> FloatTensor<B> {
    let spikes = T::<B>(B::float_select(spikes, 1, sources));
    let products = spikes * T(B::float_select(gradient, 1, targets));
    let synapses = products.shape()[1];
    T::<B>(B::float_sum_dim(products.0, 0)).reshape([synapses]).0
}

/// The reference of the gradient of [`sparse_matmul`] with respect to the spikes.
pub(crate) fn spikes_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    values: FloatTensor<B>,
    sources: IntTensor<B>,
    targets: IntTensor<B>,
    pre: usize,
) -> FloatTensor<B> {
    product::<B>(gradient, values, targets, sources, pre)
}

/// The reference body of [`DelayRing::sparse_currents`].
pub(crate) fn currents<B: Backend>(
    history: FloatTensor<B>,
    values: FloatTensor<B>,
    sources: IntTensor<B>,
    targets: IntTensor<B>,
    steps: IntTensor<B>,
    post: usize,
    newest: usize,
) -> FloatTensor<B> {
    let [slots, batch, pre] = delays::dims(&history);
    let slot = delays::slot_of::<B>(steps, slots, newest);
    let places = B::int_add(B::int_mul_scalar(slot, Scalar::from(pre as i64)), sources);
    let flat = T::<B>(B::float_swap_dims(history, 0, 1)).reshape([batch, slots * pre]);
    product::<B>(flat.0, values, places, targets, post)
}
