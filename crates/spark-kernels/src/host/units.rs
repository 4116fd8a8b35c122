//! Steps of units.

use burn::tensor::{Device, Tensor};

use super::{Spiking, tensor, values};
use crate::cpu::somas;
use crate::somas::{Soma, SomaState};

/// Units of one sample with their state.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::host::{HostUnits, Spiking};
/// use spark_kernels::{Soma, SomaModel};
///
/// let device = Device::flex();
/// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
/// let soma = Soma {
///     model: SomaModel::Leaky { decay: all(0.5), gain: all(1.0) },
///     reset: all(0.0),
///     threshold: all(1.0),
///     cooldown: None,
///     clamp: None,
///     adaptive_threshold: None,
///     adaptation: None,
/// };
/// let state = soma.initial_state(Tensor::zeros([1, 2], &device));
/// let mut units = HostUnits::new(&soma, &state).unwrap();
/// let mut spiking = Spiking::default();
/// units.step(&[0.5, 2.0], &[], &mut spiking);
/// assert_eq!(spiking.values(), [0.0, 1.0]);
/// assert_eq!(units.state(&device).potential.into_data().try_to_vec::<f32>().unwrap(), [0.5, 0.0]);
/// ```
#[derive(Debug)]
pub struct HostUnits {
    inner: somas::Resident,
    /// Currents before a step and spikes after it.
    io: Vec<f32>,
}

impl HostUnits {
    /// Units in a state `[1, units]`; `None` where there are several samples or something is not `f32`.
    ///
    /// # Examples
    /// See [`HostUnits`].
    pub fn new(soma: &Soma<Tensor<1>>, state: &SomaState<Tensor<2>>) -> Option<Self> {
        let [samples, units] = state.potential.dims();
        if samples != 1 {
            return None;
        }
        let soma = soma.as_ref().try_map(values)?;
        let state = state.as_ref().try_map(values)?;
        Some(Self { inner: somas::Resident::new(soma, state), io: vec![0.0; units] })
    }

    /// One step on a current by unit; `inhibits` says which units do, and may be empty.
    ///
    /// # Panics
    /// If there are not as many currents as units.
    ///
    /// # Examples
    /// See [`HostUnits`].
    pub fn step(&mut self, current: &[f32], inhibits: &[bool], spiking: &mut Spiking) {
        self.io.copy_from_slice(current);
        self.inner.step(&mut self.io);
        spiking.find(&self.io, inhibits);
    }

    /// The state, `[1, units]`.
    ///
    /// # Examples
    /// See [`HostUnits`].
    pub fn state(&self, device: &Device) -> SomaState<Tensor<2>> {
        let plane = |plane: &Vec<f32>| tensor(plane.clone(), [1, plane.len()], device);
        self.inner.state().as_ref().map(plane)
    }

    /// The state where it lies, a value by unit in each plane.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_kernels::host::HostUnits;
    /// use spark_kernels::{Soma, SomaModel};
    ///
    /// let device = Device::flex();
    /// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
    /// let soma = Soma {
    ///     model: SomaModel::Leaky { decay: all(0.5), gain: all(1.0) },
    ///     reset: all(0.0),
    ///     threshold: all(1.0),
    ///     cooldown: None,
    ///     clamp: None,
    ///     adaptive_threshold: None,
    ///     adaptation: None,
    /// };
    /// let state = soma.initial_state(Tensor::zeros([1, 2], &device));
    /// assert_eq!(HostUnits::new(&soma, &state).unwrap().planes().potential, [0.0, 0.0]);
    /// ```
    pub fn planes(&self) -> SomaState<&[f32]> {
        let state = self.inner.state();
        state.as_ref().map(|plane| plane.as_slice())
    }
}
