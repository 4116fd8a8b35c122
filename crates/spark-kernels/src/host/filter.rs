//! Traces of dense signals.

use burn::tensor::{Device, Tensor};

use super::{tensor, values};
use crate::cpu::traces;
use crate::traces::Trace;

/// Exponential traces of one sample with their values: those of [`trace_step`](crate::trace_step).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::Trace;
/// use spark_kernels::host::HostFilter;
///
/// let device = Device::flex();
/// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
/// let trace = Trace { rate: all(0.5), base: all(0.0), scale: all(2.0), saturation: None };
/// let mut filter = HostFilter::new(&trace, &Tensor::ones([1, 2], &device)).unwrap();
/// assert_eq!(filter.step(&[0.0, 1.0]), [0.5, 2.5]);
/// assert_eq!(filter.value(&device).into_data().try_to_vec::<f32>().unwrap(), [0.5, 2.5]);
/// ```
#[derive(Debug)]
pub struct HostFilter(traces::Resident);

impl HostFilter {
    /// Traces with a value, `[1, entries]`; `None` where there are several samples, something is not `f32`, or
    /// parameters are neither those of all entries nor of each.
    ///
    /// # Examples
    /// See [`HostFilter`].
    pub fn new(trace: &Trace<Tensor<1>>, value: &Tensor<2>) -> Option<Self> {
        let [samples, entries] = value.dims();
        let fits = |parameter: Vec<f32>| [1, entries].contains(&parameter.len()).then_some(parameter);
        let trace = trace.as_ref().try_map(|parameter| values(parameter).and_then(fits))?;
        (samples == 1).then_some(Self(traces::Resident::new(trace, values(value)?)))
    }

    /// The value after an input.
    ///
    /// # Panics
    /// If there are not as many entries.
    ///
    /// # Examples
    /// See [`HostFilter`].
    pub fn step(&mut self, input: &[f32]) -> &[f32] {
        self.0.step(input)
    }

    /// The value, `[1, entries]`.
    ///
    /// # Examples
    /// See [`HostFilter`].
    pub fn value(&self, device: &Device) -> Tensor<2> {
        let value = self.0.value();
        tensor(value.to_vec(), [1, value.len()], device)
    }
}
