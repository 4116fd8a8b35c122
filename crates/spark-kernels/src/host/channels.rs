//! Sparse synapses with an excitatory and an inhibitory channel.

use burn::tensor::{Device, Tensor};

use super::{Spiking, tensor, values};
use crate::channels::Channel;
use crate::cpu::channels;
use crate::sparse::SparsePattern;

/// Sparse synapses of one sample whose arrivals decay in two channels: those of
/// [`channel_step`](crate::channel_step), as currents.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::host::{HostChannels, Spiking};
/// use spark_kernels::{Channel, SparsePattern};
///
/// let device = Device::flex();
/// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
/// // From unit 0 to both others, from unit 1 to the first of them.
/// let pattern = SparsePattern::new(vec![0, 2, 3], vec![0, 1, 0], 2, &device).unwrap();
/// let channel = || Channel { rate: all(0.5), scale: all(1.0) };
/// let closed = || Tensor::zeros([1, 2], &device);
/// let weights = Tensor::from_floats([1.0, 2.0, 4.0], &device);
/// let dynamics = [channel(), channel()];
/// let mut synapses = HostChannels::new(&pattern, &weights, &dynamics, [&closed(), &closed()]).unwrap();
/// let mut spiking = Spiking::default();
/// spiking.find(&[1.0, 1.0], &[false, true]);
/// assert_eq!(synapses.currents(&spiking), [1.0 - 4.0, 2.0]);
/// assert_eq!(synapses.currents(&Spiking::none(2)), [0.5 - 2.0, 1.0]);
/// ```
#[derive(Debug)]
pub struct HostChannels(channels::Resident);

impl HostChannels {
    /// Synapses of a pattern without delays, with both channels as they are, `[1, post]`; `None` where there are
    /// several samples or something is not `f32`.
    ///
    /// * `weights`: of each synapse, `[synapses]`.
    ///
    /// # Examples
    /// See [`HostChannels`].
    pub fn new(
        pattern: &SparsePattern,
        weights: &Tensor<1>,
        dynamics: &[Channel<Tensor<1>>; 2],
        state: [&Tensor<2>; 2],
    ) -> Option<Self> {
        let rows = pattern.rows();
        let fits = |plane: &Tensor<2>| plane.dims() == [1, rows.post];
        if pattern.is_delayed() || !state.into_iter().all(fits) {
            return None;
        }
        let [excitatory, inhibitory] = dynamics
            .each_ref()
            .map(|channel| Some(Channel { rate: values(&channel.rate)?, scale: values(&channel.scale)? }));
        let [e, i] = state.map(values);
        Some(Self(channels::Resident::new(rows, values(weights)?, [excitatory?, inhibitory?], [e?, i?])))
    }

    /// The current into each postsynaptic unit after the spikes of a step, `[post]`.
    ///
    /// # Panics
    /// If the number of units differs.
    ///
    /// # Examples
    /// See [`HostChannels`].
    pub fn currents(&mut self, spiking: &Spiking) -> &[f32] {
        self.0.step(spiking.units(), spiking.iter())
    }

    /// Both channels, `[1, post]`.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_kernels::host::HostChannels;
    /// use spark_kernels::{Channel, SparsePattern};
    ///
    /// let device = Device::flex();
    /// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
    /// let pattern = SparsePattern::new(vec![0, 1], vec![0], 1, &device).unwrap();
    /// let channel = || Channel { rate: all(0.5), scale: all(1.0) };
    /// let open = Tensor::ones([1, 1], &device);
    /// let channels = [channel(), channel()];
    /// let synapses = HostChannels::new(&pattern, &all(1.0), &channels, [&open, &open]).unwrap();
    /// assert_eq!(synapses.channels(&device).map(|channel| channel.dims()), [[1, 1]; 2]);
    /// ```
    pub fn channels(&self, device: &Device) -> [Tensor<2>; 2] {
        self.0.channels().each_ref().map(|channel| tensor(channel.clone(), [1, channel.len()], device))
    }
}
