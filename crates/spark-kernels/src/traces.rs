//! Exponential traces, advanced step by step or only when somebody looks.

use burn::backend::{Backend, Dispatch};
use burn::tensor::Tensor;

use crate::StepOps;
use crate::composed::T;
use crate::planes::Planes;

/// The parameters of an exponential trace `T ← T + λ·(b − T) + c·x`.
///
/// `P` is the type of a parameter plane: `Tensor<1>` with one entry for all, one for each unit of the last
/// axis, or one for each entry of the last axes together, in row-major order (as for a trace of every
/// synapse).
#[derive(Clone, Debug, PartialEq)]
pub struct Trace<P> {
    /// `λ = 1 − exp(−dt/τ)`.
    pub rate: P,
    /// What the trace falls back to, `b`.
    pub base: P,
    /// What an input of 1 adds, `c`.
    pub scale: P,
    /// Bound of the trace in both directions.
    pub saturation: Option<P>,
}

impl<P> Trace<P> {
    pub(crate) fn try_map<Q>(self, mut each: impl FnMut(P) -> Option<Q>) -> Option<Trace<Q>> {
        Some(Trace {
            rate: each(self.rate)?,
            base: each(self.base)?,
            scale: each(self.scale)?,
            saturation: match self.saturation {
                Some(saturation) => Some(each(saturation)?),
                None => None,
            },
        })
    }

    /// The same structure over other planes, visited in the order of the fields.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::Trace;
    ///
    /// let trace = Trace { rate: 0.1, base: 0.0, scale: 1.0, saturation: None };
    /// assert_eq!(trace.map(|parameter| 2.0 * parameter).scale, 2.0);
    /// ```
    pub fn map<Q>(self, mut each: impl FnMut(P) -> Q) -> Trace<Q> {
        self.try_map(|plane| Some(each(plane))).expect("every plane is mapped")
    }

    /// The same structure over references.
    pub fn as_ref(&self) -> Trace<&P> {
        Trace { rate: &self.rate, base: &self.base, scale: &self.scale, saturation: self.saturation.as_ref() }
    }
}

/// One step of a trace: `T + λ·(b − T) + c·x`, clipped to `±saturation` where there is one.
///
/// * `trace`, `input`: `T` and `x`, of one shape.
/// * `parameters`: see [`Trace`].
///
/// On the CPU the trace is updated in place where nothing else holds it. Differentiable in all arguments.
///
/// # Panics
/// If the shapes differ, or a parameter fits neither one entry nor the last axes.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{Trace, trace_step};
///
/// let device = Device::flex();
/// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
/// let parameters = Trace { rate: all(0.5), base: all(0.0), scale: all(1.0), saturation: None };
/// let trace = Tensor::<2>::from_floats([[0.0, 4.0]], &device);
/// let trace = trace_step(trace, Tensor::ones([1, 2], &device), &parameters);
/// assert_eq!(trace.into_data().try_to_vec::<f32>().unwrap(), [1.0, 3.0]);
/// ```
pub fn trace_step<const D: usize>(
    trace: Tensor<D>,
    input: Tensor<D>,
    parameters: &Trace<Tensor<1>>,
) -> Tensor<D> {
    let shape = trace.dims();
    assert_eq!(input.dims(), shape, "trace_step: input against trace");
    let mut planes = Planes::<Dispatch>::with_capacity(4);
    let form = parameters.as_ref().map(|parameter| {
        check_period("trace_step", parameter, &shape);
        planes.put(parameter.clone());
    });
    Tensor::from_dispatch(Dispatch::trace_step(trace.into_dispatch(), input.into_dispatch(), planes, form))
}

/// A parameter has one entry, or as many as some of the last axes of `shape` together.
fn check_period(operation: &str, parameter: &Tensor<1>, shape: &[usize]) {
    let [length] = parameter.dims();
    let mut periods = (0..shape.len()).map(|axis| shape[axis..].iter().product::<usize>());
    assert!(
        length == 1 || periods.any(|period| period == length),
        "{operation}: a parameter has {length} entries for a trace of shape {shape:?}"
    );
}

/// The reference body of [`trace_step`].
pub(crate) fn step<B: Backend>(trace: T<B>, input: T<B>, parameters: Trace<T<B>>) -> T<B> {
    let shape = trace.shape();
    let parameters = parameters.map(|parameter| spread(parameter, shape.num_elements()));
    let [trace, input] = [trace, input].map(|x| x.reshape([shape.num_elements()]));
    let pull = parameters.rate * (parameters.base - trace.clone());
    let mut trace = trace + pull + parameters.scale * input;
    if let Some(bound) = parameters.saturation {
        trace = trace.at_most(bound.clone());
        trace = -(-trace).at_most(bound);
    }
    trace.reshape(shape.to_vec())
}

/// A parameter as often as it takes for `count` entries.
fn spread<B: Backend>(parameter: T<B>, count: usize) -> T<B> {
    let length = parameter.shape().num_elements();
    if length == 1 {
        return parameter;
    }
    parameter.reshape([1, length]).expand([count / length, length]).reshape([count])
}

/// The parameters of a [`LazyTrace`]: what [`Trace`] has, with the decay as an exponent.
///
/// `P` is the type of a parameter plane, as in [`Trace`].
#[derive(Clone, Debug, PartialEq)]
pub struct LazyDecay<P> {
    /// `dt/τ`: over `n` steps a deviation from the base shrinks by `exp(−n·dt/τ)`.
    pub exponent: P,
    /// What the trace falls back to, `b`.
    pub base: P,
    /// What an input of 1 adds, `c`.
    pub scale: P,
}

impl<P> LazyDecay<P> {
    pub(crate) fn try_map<Q>(self, mut each: impl FnMut(P) -> Option<Q>) -> Option<LazyDecay<Q>> {
        Some(LazyDecay { exponent: each(self.exponent)?, base: each(self.base)?, scale: each(self.scale)? })
    }

    /// The same structure over other planes, visited in the order of the fields.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::LazyDecay;
    ///
    /// let decay = LazyDecay { exponent: 0.1, base: 0.0, scale: 1.0 };
    /// assert_eq!(decay.map(|parameter| 2.0 * parameter).scale, 2.0);
    /// ```
    pub fn map<Q>(self, mut each: impl FnMut(P) -> Q) -> LazyDecay<Q> {
        self.try_map(|plane| Some(each(plane))).expect("every plane is mapped")
    }

    /// The same structure over references.
    pub fn as_ref(&self) -> LazyDecay<&P> {
        LazyDecay { exponent: &self.exponent, base: &self.base, scale: &self.scale }
    }
}

/// A trace that is advanced only where something happens: each entry keeps its value as of the step of its
/// last event, and the exponential bridges the silence when it is hit or read.
///
/// It equals [`trace_step`] with `λ = 1 − exp(−dt/τ)` up to rounding: where that multiplies `n` times by
/// `1 − λ`, this takes one exponential of `n·dt/τ`. The dense trace is then off by at most about `n/2`
/// roundings of its value, this one by about `1 + n·dt/τ`, of 6·10⁻⁸ each; after 16 time constants nothing
/// but the base is left in either.
///
/// A step of a dense trace costs a pass over all entries; this costs a scan of the input and an exponential
/// per event. It pays for traces of every synapse, hardly for those of units.
#[derive(Clone, Debug)]
pub struct LazyTrace<const D: usize> {
    /// The value of each entry right after its last event.
    pub value: Tensor<D>,
    /// The step of its last event, counted from `origin`.
    pub last: Tensor<D>,
    /// The step that `last` is counted from.
    pub origin: u64,
}

/// Steps up to which a float counts exactly; from here a lazy trace starts to count anew.
const COUNTED: u64 = 1 << 23;

impl<const D: usize> LazyTrace<D> {
    /// A trace that had these values at `step`.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_kernels::{LazyDecay, LazyTrace};
    ///
    /// let device = Device::flex();
    /// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
    /// let decay = LazyDecay { exponent: all(0.5), base: all(0.0), scale: all(1.0) };
    /// let spikes = Tensor::<2>::from_floats([[1.0, 0.0]], &device);
    /// let trace = LazyTrace::new(Tensor::zeros([1, 2], &device), 0).hit(spikes, 10, &decay);
    /// let later = trace.read(14, &decay).into_data().try_to_vec::<f32>().unwrap();
    /// assert!((later[0] - (-2.0f32).exp()).abs() < 1e-6);
    /// assert_eq!(later[1], 0.0);
    /// ```
    pub fn new(value: Tensor<D>, step: u64) -> Self {
        let last = value.zeros_like();
        Self { value, last, origin: step }
    }

    /// Adds `c·x` at `step` where the input `x`, of the shape of the trace, is not zero.
    ///
    /// On the CPU in place where nothing else holds the trace.
    ///
    /// # Panics
    /// If the shapes differ, a parameter fits neither one entry nor the last axes, or `step` lies before the
    /// first one.
    ///
    /// # Examples
    /// See [`LazyTrace::new`].
    pub fn hit(self, input: Tensor<D>, step: u64, decay: &LazyDecay<Tensor<1>>) -> Self {
        assert_eq!(input.dims(), self.value.dims(), "LazyTrace: input against trace");
        let mut trace = self;
        if step.saturating_sub(trace.origin) > COUNTED {
            trace = Self::new(trace.read(step, decay), step);
        }
        let (now, planes, form) = trace.at(step, decay);
        let (value, last) = Dispatch::lazy_trace_hit(
            trace.value.into_dispatch(),
            trace.last.into_dispatch(),
            input.into_dispatch(),
            planes,
            form,
            now,
        );
        Self { value: Tensor::from_dispatch(value), last: Tensor::from_dispatch(last), origin: trace.origin }
    }

    /// The values at `step`, at or after the last event.
    ///
    /// # Panics
    /// If a parameter fits neither one entry nor the last axes, or `step` lies before the first one.
    ///
    /// # Examples
    /// See [`LazyTrace::new`].
    pub fn read(&self, step: u64, decay: &LazyDecay<Tensor<1>>) -> Tensor<D> {
        let (now, planes, form) = self.at(step, decay);
        let (value, last) = (self.value.clone().into_dispatch(), self.last.clone().into_dispatch());
        Tensor::from_dispatch(Dispatch::lazy_trace_read(value, last, planes, form, now))
    }

    fn at(&self, step: u64, decay: &LazyDecay<Tensor<1>>) -> (f32, Planes<Dispatch>, LazyDecay<()>) {
        assert!(step >= self.origin, "LazyTrace: step {step} lies before step {}", self.origin);
        let shape = self.value.dims();
        let mut planes = Planes::with_capacity(3);
        let form = decay.as_ref().map(|parameter| {
            check_period("LazyTrace", parameter, &shape);
            planes.put(parameter.clone());
        });
        ((step - self.origin) as f32, planes, form)
    }
}

/// The reference body of [`LazyTrace::read`].
pub(crate) fn lazy_read<B: Backend>(value: T<B>, last: T<B>, decay: LazyDecay<T<B>>, now: f32) -> T<B> {
    let shape = value.shape();
    let decay = decay.map(|parameter| spread(parameter, shape.num_elements()));
    let [value, last] = [value, last].map(|x| x.reshape([shape.num_elements()]));
    let left = T::<B>(B::float_exp(((last + -now) * decay.exponent).0));
    let value = decay.base.clone() + (value - decay.base) * left;
    value.reshape(shape.to_vec())
}

/// The reference body of [`LazyTrace::hit`].
pub(crate) fn lazy_hit<B: Backend>(
    value: T<B>,
    last: T<B>,
    input: T<B>,
    decay: LazyDecay<T<B>>,
    now: f32,
) -> (T<B>, T<B>) {
    let shape = value.shape();
    let count = shape.num_elements();
    let added = spread(decay.scale.clone(), count) * input.clone().reshape([count]);
    let advanced = lazy_read(value.clone(), last.clone(), decay, now).reshape([count]) + added;
    let hit = input.nonzero();
    let stamp = last.clone() * 0.0 + now;
    (value.replaced(hit.clone(), advanced.reshape(shape.to_vec())), last.replaced(hit, stamp))
}
