//! One step of spiking units, with mechanisms that adapt them.

pub(crate) mod ionic;
mod model;
pub(crate) mod quadratic;
mod reference;
mod state;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

pub use ionic::{HodgkinHuxleyRates, IonicCurrent, IonicMembrane};
pub use model::{AdaptationCurrent, AdaptiveThreshold, Soma, SomaModel};
pub(crate) use reference::step_planes;
pub use state::{Gates, SomaState};

use crate::planes::Planes;
use crate::{StepOps, Surrogate};

/// What else decides a step of units; both only matter for gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SomaOptions {
    /// The derivative of the threshold crossing.
    pub surrogate: Surrogate,
    /// Whether gradients pass through the reset (`true`) or only through the other uses of a spike.
    pub reset_gradient: bool,
}

/// Which planes a call of [`StepOps::soma_step`] hands over: those of the soma, then those of the state.
#[derive(Clone, Debug)]
pub struct SomaForm {
    pub(crate) soma: Soma<()>,
    pub(crate) state: SomaState<()>,
    pub(crate) options: SomaOptions,
}

impl SomaForm {
    /// Whether `crate::gpu::somas` knows the model.
    pub(crate) fn has_gpu_kernel(&self) -> bool {
        let model = &self.soma.model;
        matches!(
            model,
            SomaModel::Leaky { .. } | SomaModel::Exponential { .. } | SomaModel::Izhikevich { .. }
        )
    }
}

/// One step of units on the state `[batch, units]`: returns their spikes, exactly 0 or 1, and the new state.
///
/// With input current `I`, the step function `H(x) = 1 if x > 0 else 0`, the steps `n` since the last spike
/// and `ready = n ≥ cooldown`, a step does in this order:
///
/// ```text
/// I_eff = ready·I − w
/// V′    = integrate(V, I_eff),        or V_reset while n < clamp
/// u     ← u + a·(b·V′ − u)            Izhikevich
/// S     = H(V′ − (θ + o))·ready
/// V     = V_reset if S else V′
/// u     ← u + d·S                     Izhikevich
/// n     ← 0 if S else min(n + 1, max(cooldown, clamp))
/// o     ← o + λ·(0 − o) + δ·S         adaptive threshold
/// w     ← w + r·(−w + a·V) + b·S      adaptation current
/// ```
///
/// A model with ionic currents has no reset and no clamp. It spikes where the potential rises through the threshold, once:
///
/// ```text
/// V′, m, h, n = integrate(V, m, h, n, I_eff)
/// S     = H(V′ − (θ + o))·(1 − H(V − (θ + o)))·ready
/// V     = V′
/// ```
///
/// * `soma`: parameters, `[units]` or `[1]` each; see [`SomaModel`] for units and sources.
/// * `current`: `I` in pA, `[batch, units]`.
/// * `state`: as [`Soma::initial_state`] makes it.
///
/// On the CPU the state is updated in place where nothing else holds it. On an autodiff device gradients
/// reach current, state and parameters; the count of steps and what follows from it is constant, and so is
/// whether a potential was above the threshold before.
///
/// # Panics
/// If a shape is not as above, or the state lacks a plane that the soma needs or has one too many.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{Soma, SomaModel, SomaOptions, soma_step};
///
/// let device = Device::flex();
/// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
/// let soma = Soma {
///     model: SomaModel::Leaky { decay: all(0.5), gain: all(1.0) },
///     reset: all(0.0),
///     threshold: all(1.4),
///     cooldown: Some(all(2.0)),
///     clamp: None,
///     adaptive_threshold: None,
///     adaptation: None,
/// };
/// let mut state = soma.initial_state(Tensor::zeros([1, 1], &device));
/// let mut train = Vec::new();
/// for _ in 0..6 {
///     let (spikes, next) = soma_step(&soma, Tensor::ones([1, 1], &device), state, SomaOptions::default());
///     train.push(spikes.into_scalar::<f32>());
///     state = next;
/// }
/// assert_eq!(train, [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
/// ```
pub fn soma_step(
    soma: &Soma<Tensor<1>>,
    current: Tensor<2>,
    state: SomaState<Tensor<2>>,
    options: SomaOptions,
) -> (Tensor<2>, SomaState<Tensor<2>>) {
    let shape @ [_, units] = current.dims();
    let mut count = 0;
    let form = SomaForm {
        soma: soma.as_ref().map(|parameter| {
            count += 1;
            let [length] = parameter.dims();
            assert!(
                length == 1 || length == units,
                "soma_step: a parameter has {length} entries for {units} units"
            );
        }),
        state: state.as_ref().map(|plane| {
            count += 1;
            assert_eq!(plane.dims(), shape, "soma_step: a plane of the state against the current {shape:?}");
        }),
        options,
    };
    assert_eq!(form.state, soma.state_form(), "soma_step: planes of the state against those of the soma");
    let mut planes = Planes::<Dispatch>::with_capacity(count);
    soma.as_ref().map(|parameter| planes.put(parameter.clone()));
    state.map(|plane| planes.put(plane));
    let state_form = form.state.clone();
    let (spikes, planes) = Dispatch::soma_step(current.into_dispatch(), planes, form);
    let mut next = planes.into_source();
    (Tensor::from_dispatch(spikes), state_form.map(|()| Tensor::from_dispatch(next())))
}
