//! One step of spiking units, with mechanisms that adapt them.

use burn::backend::{Dispatch, tensor::FloatTensor};
use burn::tensor::Tensor;

use crate::composed::T;
use crate::planes::Planes;
use crate::{StepOps, Surrogate};

/// How the membrane integrates its input current over one step of `dt`.
///
/// `P` is the type of a parameter plane: `Tensor<1>`, one entry per unit or one for all.
#[derive(Clone, Debug, PartialEq)]
pub enum SomaModel<P> {
    /// Leaky integration, exact for a current that is constant during the step: `V′ = α·V + g·I`.
    ///
    /// With `α = exp(−dt/τ)` and `g = (1 − α)·R`. `V` counts from the resting potential.
    Leaky {
        /// Decay `α` per step.
        decay: P,
        /// Gain `g` in mV/pA.
        gain: P,
    },
    /// Exponential integrate-and-fire by forward Euler:
    /// `V′ = V + r·(−V + Δ·exp((V − V_rh)/Δ) + R·I)`. `V` counts from the resting potential.
    ///
    /// Source: Fourcaud-Trocmé, Hansel, van Vreeswijk & Brunel (2003).
    Exponential {
        /// `r = dt/τ`.
        rate: P,
        /// Resistance `R` in GΩ.
        resistance: P,
        /// Rheobase threshold `V_rh` in mV above rest.
        rheobase: P,
        /// Sharpness `Δ` of the upstroke in mV.
        slope: P,
    },
    /// The quadratic model of Izhikevich by forward Euler, in absolute mV:
    /// `V′ = V + dt·(0.04·V² + 5·V + 140 − u + R·I)`, then `u ← u + a·(b·V′ − u)` and `u ← u + d·S`.
    ///
    /// Source: Izhikevich, *Simple model of spiking neurons* (2003).
    Izhikevich {
        /// Step `dt` in ms.
        dt: P,
        /// Resistance `R` in GΩ.
        resistance: P,
        /// `a`: `dt` times the recovery timescale.
        recovery_rate: P,
        /// `b`: what of the potential the recovery follows.
        sensitivity: P,
        /// `d`: what a spike adds to the recovery.
        jump: P,
    },
}

/// A threshold that rises with every spike and falls back: `o ← o + λ·(0 − o) + δ·S`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveThreshold<P> {
    /// `λ = 1 − exp(−dt/τ)`.
    pub rate: P,
    /// What a spike adds, `δ`, in mV.
    pub delta: P,
}

/// A current that grows with potential and spikes and opposes the input:
/// `w ← w + r·(−w + a·V) + b·S`, with `V` after the reset.
///
/// Source: Brette & Gerstner, *Adaptive exponential integrate-and-fire model* (2005).
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptationCurrent<P> {
    /// `r = dt/τ_w`.
    pub rate: P,
    /// Coupling `a` to the potential in nS.
    pub subthreshold: P,
    /// What a spike adds, `b`, in pA.
    pub delta: P,
}

/// Spiking units: a model of integration and the mechanisms composed with it.
///
/// A mechanism that is `None` costs nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Soma<P> {
    /// How the membrane integrates.
    pub model: SomaModel<P>,
    /// Potential after a spike, in mV, counted as the model counts.
    pub reset: P,
    /// Threshold in mV, counted as the model counts.
    pub threshold: P,
    /// Steps after a spike during which input is cut off and no spike occurs, a whole number.
    pub cooldown: Option<P>,
    /// Steps after a spike during which the potential is held at the reset, a whole number.
    pub clamp: Option<P>,
    /// An adaptive part of the threshold.
    pub adaptive_threshold: Option<AdaptiveThreshold<P>>,
    /// An adaptation current.
    pub adaptation: Option<AdaptationCurrent<P>>,
}

/// What units carry from step to step; what their [`Soma`] has no use for is `None`.
///
/// `P` is the type of a plane: `Tensor<2>`, `[batch, units]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SomaState<P> {
    /// Membrane potential `V` in mV.
    pub potential: P,
    /// Recovery `u` of the Izhikevich model.
    pub recovery: Option<P>,
    /// Whole steps since the last spike, up to the larger of cooldown and clamp.
    pub since_spike: Option<P>,
    /// What the threshold has risen by, in mV.
    pub threshold_offset: Option<P>,
    /// Adaptation current `w` in pA.
    pub adaptation: Option<P>,
}

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
/// * `soma`: parameters, `[units]` or `[1]` each; see [`SomaModel`] for units and sources.
/// * `current`: `I` in pA, `[batch, units]`.
/// * `state`: as [`Soma::initial_state`] makes it.
///
/// On the CPU the state is updated in place where nothing else holds it. On an autodiff device gradients
/// reach current, state and parameters; the count of steps and what follows from it is constant.
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
    let form = SomaForm {
        soma: soma.as_ref().map(|parameter| {
            let [length] = parameter.dims();
            assert!(
                length == 1 || length == units,
                "soma_step: a parameter has {length} entries for {units} units"
            );
        }),
        state: state.as_ref().map(|plane| {
            assert_eq!(plane.dims(), shape, "soma_step: a plane of the state against the current {shape:?}");
        }),
        options,
    };
    assert_eq!(form.state, soma.state_form(), "soma_step: planes of the state against those of the soma");
    let mut planes = Planes::<Dispatch>::default();
    soma.as_ref().map(|parameter| planes.put(parameter.clone()));
    state.map(|plane| planes.put(plane));
    let state_form = form.state.clone();
    let (spikes, planes) = Dispatch::soma_step(current.into_dispatch(), planes, form);
    let mut next = planes.into_source();
    (Tensor::from_dispatch(spikes), state_form.map(|()| Tensor::from_dispatch(next())))
}

impl<P> SomaModel<P> {
    fn try_map<Q>(self, each: &mut impl FnMut(P) -> Option<Q>) -> Option<SomaModel<Q>> {
        Some(match self {
            Self::Leaky { decay, gain } => SomaModel::Leaky { decay: each(decay)?, gain: each(gain)? },
            Self::Exponential { rate, resistance, rheobase, slope } => SomaModel::Exponential {
                rate: each(rate)?,
                resistance: each(resistance)?,
                rheobase: each(rheobase)?,
                slope: each(slope)?,
            },
            Self::Izhikevich { dt, resistance, recovery_rate, sensitivity, jump } => SomaModel::Izhikevich {
                dt: each(dt)?,
                resistance: each(resistance)?,
                recovery_rate: each(recovery_rate)?,
                sensitivity: each(sensitivity)?,
                jump: each(jump)?,
            },
        })
    }

    fn as_ref(&self) -> SomaModel<&P> {
        match self {
            Self::Leaky { decay, gain } => SomaModel::Leaky { decay, gain },
            Self::Exponential { rate, resistance, rheobase, slope } => {
                SomaModel::Exponential { rate, resistance, rheobase, slope }
            }
            Self::Izhikevich { dt, resistance, recovery_rate, sensitivity, jump } => {
                SomaModel::Izhikevich { dt, resistance, recovery_rate, sensitivity, jump }
            }
        }
    }
}

/// `each` on a plane that may be missing; `None` where `each` gives none.
fn optional<P, Q>(plane: Option<P>, each: &mut impl FnMut(P) -> Option<Q>) -> Option<Option<Q>> {
    match plane {
        Some(plane) => each(plane).map(Some),
        None => Some(None),
    }
}

impl<P> Soma<P> {
    /// The same structure over other planes, visited in the order of the fields; `None` if `each` gives one.
    pub(crate) fn try_map<Q>(self, mut each: impl FnMut(P) -> Option<Q>) -> Option<Soma<Q>> {
        let each = &mut each;
        Some(Soma {
            model: self.model.try_map(each)?,
            reset: each(self.reset)?,
            threshold: each(self.threshold)?,
            cooldown: optional(self.cooldown, each)?,
            clamp: optional(self.clamp, each)?,
            adaptive_threshold: match self.adaptive_threshold {
                Some(AdaptiveThreshold { rate, delta }) => {
                    Some(AdaptiveThreshold { rate: each(rate)?, delta: each(delta)? })
                }
                None => None,
            },
            adaptation: match self.adaptation {
                Some(AdaptationCurrent { rate, subthreshold, delta }) => Some(AdaptationCurrent {
                    rate: each(rate)?,
                    subthreshold: each(subthreshold)?,
                    delta: each(delta)?,
                }),
                None => None,
            },
        })
    }

    /// The same structure over other planes, visited in the order of the fields.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::{Soma, SomaModel};
    ///
    /// let soma = Soma {
    ///     model: SomaModel::Leaky { decay: 0.9, gain: 0.1 },
    ///     reset: 0.0,
    ///     threshold: 1.0,
    ///     cooldown: None,
    ///     clamp: None,
    ///     adaptive_threshold: None,
    ///     adaptation: None,
    /// };
    /// let doubled = soma.map(|parameter| 2.0 * parameter);
    /// assert_eq!(doubled.threshold, 2.0);
    /// ```
    pub fn map<Q>(self, mut each: impl FnMut(P) -> Q) -> Soma<Q> {
        self.try_map(|plane| Some(each(plane))).expect("every plane is mapped")
    }

    /// The same structure over references.
    pub fn as_ref(&self) -> Soma<&P> {
        Soma {
            model: self.model.as_ref(),
            reset: &self.reset,
            threshold: &self.threshold,
            cooldown: self.cooldown.as_ref(),
            clamp: self.clamp.as_ref(),
            adaptive_threshold: self
                .adaptive_threshold
                .as_ref()
                .map(|AdaptiveThreshold { rate, delta }| AdaptiveThreshold { rate, delta }),
            adaptation: self.adaptation.as_ref().map(|AdaptationCurrent { rate, subthreshold, delta }| {
                AdaptationCurrent { rate, subthreshold, delta }
            }),
        }
    }

    /// The number of its planes.
    pub(crate) fn count(&self) -> usize {
        let mut count = 0;
        self.as_ref().map(|_| count += 1);
        count
    }

    /// The planes of its state.
    fn state_form(&self) -> SomaState<()> {
        let counts = self.cooldown.is_some() || self.clamp.is_some();
        SomaState {
            potential: (),
            recovery: matches!(self.model, SomaModel::Izhikevich { .. }).then_some(()),
            since_spike: counts.then_some(()),
            threshold_offset: self.adaptive_threshold.as_ref().map(|_| ()),
            adaptation: self.adaptation.as_ref().map(|_| ()),
        }
    }
}

impl Soma<Tensor<1>> {
    /// The state of units at `potential`, `[batch, units]`, long after their last spike: recovery `b·V`, no
    /// adaptation.
    ///
    /// # Panics
    /// If a parameter has neither one entry nor as many as there are units.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_kernels::{Soma, SomaModel};
    ///
    /// let device = Device::flex();
    /// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
    /// let soma = Soma {
    ///     model: SomaModel::Izhikevich {
    ///         dt: all(1.0),
    ///         resistance: all(0.1),
    ///         recovery_rate: all(0.02),
    ///         sensitivity: all(0.2),
    ///         jump: all(2.0),
    ///     },
    ///     reset: all(-65.0),
    ///     threshold: all(30.0),
    ///     cooldown: None,
    ///     clamp: None,
    ///     adaptive_threshold: None,
    ///     adaptation: None,
    /// };
    /// let state = soma.initial_state(Tensor::full([2, 3], -65.0, &device));
    /// assert_eq!(state.recovery.unwrap().into_data().try_to_vec::<f32>().unwrap(), [-13.0; 6]);
    /// assert!(state.adaptation.is_none());
    /// ```
    pub fn initial_state(&self, potential: Tensor<2>) -> SomaState<Tensor<2>> {
        let zeros = || potential.zeros_like();
        let ceiling = match (&self.cooldown, &self.clamp) {
            (Some(cooldown), Some(clamp)) => Some(cooldown.clone().max_pair(clamp.clone())),
            (one, other) => one.as_ref().or(other.as_ref()).cloned(),
        };
        SomaState {
            recovery: match &self.model {
                SomaModel::Izhikevich { sensitivity, .. } => {
                    Some(potential.clone() * sensitivity.clone().unsqueeze())
                }
                _ => None,
            },
            since_spike: ceiling.map(|steps| zeros() + steps.unsqueeze()),
            threshold_offset: self.adaptive_threshold.as_ref().map(|_| zeros()),
            adaptation: self.adaptation.as_ref().map(|_| zeros()),
            potential,
        }
    }
}

impl<P> SomaState<P> {
    /// The same structure over other planes, visited in the order of the fields; `None` if `each` gives one.
    pub(crate) fn try_map<Q>(self, mut each: impl FnMut(P) -> Option<Q>) -> Option<SomaState<Q>> {
        let each = &mut each;
        Some(SomaState {
            potential: each(self.potential)?,
            recovery: optional(self.recovery, each)?,
            since_spike: optional(self.since_spike, each)?,
            threshold_offset: optional(self.threshold_offset, each)?,
            adaptation: optional(self.adaptation, each)?,
        })
    }

    /// The same structure over other planes, visited in the order of the fields.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::SomaState;
    ///
    /// let state = SomaState {
    ///     potential: 1.0,
    ///     recovery: None,
    ///     since_spike: None,
    ///     threshold_offset: Some(2.0),
    ///     adaptation: None,
    /// };
    /// assert_eq!(state.map(|plane| -plane).threshold_offset, Some(-2.0));
    /// ```
    pub fn map<Q>(self, mut each: impl FnMut(P) -> Q) -> SomaState<Q> {
        self.try_map(|plane| Some(each(plane))).expect("every plane is mapped")
    }

    /// The same structure over references.
    pub fn as_ref(&self) -> SomaState<&P> {
        SomaState {
            potential: &self.potential,
            recovery: self.recovery.as_ref(),
            since_spike: self.since_spike.as_ref(),
            threshold_offset: self.threshold_offset.as_ref(),
            adaptation: self.adaptation.as_ref(),
        }
    }

    /// The same structure over references to write through.
    pub(crate) fn as_mut(&mut self) -> SomaState<&mut P> {
        SomaState {
            potential: &mut self.potential,
            recovery: self.recovery.as_mut(),
            since_spike: self.since_spike.as_mut(),
            threshold_offset: self.threshold_offset.as_mut(),
            adaptation: self.adaptation.as_mut(),
        }
    }
}

/// The reference body of [`soma_step`] on collected planes.
pub(crate) fn step_planes<B: StepOps>(
    current: FloatTensor<B>,
    planes: Planes<B>,
    form: SomaForm,
) -> (FloatTensor<B>, Planes<B>) {
    let mut next = planes.into_source();
    let soma = form.soma.map(|()| T::<B>(next()));
    let state = form.state.map(|()| T(next()));
    let (spikes, state) = step(soma, T(current), state, form.options);
    let mut planes = Vec::new();
    state.map(|plane| planes.push(plane.0));
    (spikes.0, Planes(planes))
}

/// The reference body of [`soma_step`].
fn step<B: StepOps>(
    soma: Soma<T<B>>,
    current: T<B>,
    state: SomaState<T<B>>,
    options: SomaOptions,
) -> (T<B>, SomaState<T<B>>) {
    let Soma { model, reset, threshold, cooldown, clamp, adaptive_threshold, adaptation } =
        soma.map(|parameter| parameter.lift(2));
    let since = state.since_spike;
    let not_yet = |steps: &T<B>| (steps.clone() - since.clone().expect("counted")).step();
    let ready = cooldown.as_ref().map(|steps| not_yet(steps).complement());

    let mut input = current;
    if let Some(ready) = &ready {
        input = input * ready.clone();
    }
    if let Some(w) = &state.adaptation {
        input = input - w.clone();
    }
    let mut v = integrate(&model, state.potential, input, state.recovery.as_ref());
    if let Some(steps) = &clamp {
        v = v.replaced(not_yet(steps), reset.clone());
    }
    let mut recovery = state.recovery;
    if let (SomaModel::Izhikevich { recovery_rate, sensitivity, .. }, Some(u)) = (&model, recovery.take()) {
        let pull = sensitivity.clone() * v.clone() - u.clone();
        recovery = Some(u + recovery_rate.clone() * pull);
    }

    let threshold = match &state.threshold_offset {
        Some(offset) => threshold + offset.clone(),
        None => threshold,
    };
    let mut s = T::<B>(B::spike((v.clone() - threshold).0, options.surrogate));
    if let Some(ready) = ready {
        s = s * ready;
    }
    let potential = after_spike(v, s.clone(), reset, options.reset_gradient);

    if let (SomaModel::Izhikevich { jump, .. }, Some(u)) = (model, recovery.take()) {
        recovery = Some(u + jump * s.clone());
    }
    let since_spike = since.map(|since| {
        let silent = s.clone().detach().complement();
        let steps = match (cooldown, clamp) {
            (Some(cooldown), Some(clamp)) => {
                let longer = (clamp.clone() - cooldown.clone()).step();
                cooldown.replaced(longer, clamp)
            }
            (one, other) => one.or(other).expect("steps are counted for one of them"),
        };
        (since + 1.0).at_most(steps) * silent
    });
    let threshold_offset =
        adaptive_threshold.zip(state.threshold_offset).map(|(AdaptiveThreshold { rate, delta }, offset)| {
            offset.clone() + rate * -offset + delta * s.clone()
        });
    let adaptation =
        adaptation.zip(state.adaptation).map(|(AdaptationCurrent { rate, subthreshold, delta }, w)| {
            let pull = -w.clone() + subthreshold * potential.clone();
            w + rate * pull + delta * s.clone()
        });
    (s, SomaState { potential, recovery, since_spike, threshold_offset, adaptation })
}

fn integrate<B: StepOps>(model: &SomaModel<T<B>>, v: T<B>, input: T<B>, recovery: Option<&T<B>>) -> T<B> {
    match model.as_ref() {
        SomaModel::Leaky { decay, gain } => v * decay.clone() + input * gain.clone(),
        SomaModel::Exponential { rate, resistance, rheobase, slope } => {
            let exponent = T::<B>(B::float_div((v.clone() - rheobase.clone()).0, slope.0.clone()));
            let upstroke = slope.clone() * T(B::float_exp(exponent.0));
            v.clone() + rate.clone() * (upstroke - v + resistance.clone() * input)
        }
        SomaModel::Izhikevich { dt, resistance, .. } => {
            let u = recovery.expect("the Izhikevich model has a recovery").clone();
            let quadratic = v.clone() * 0.04 * v.clone() + v.clone() * 5.0 + 140.0;
            v + dt.clone() * (quadratic - u + resistance.clone() * input)
        }
    }
}

/// `reset` where a unit spiked and `v` elsewhere, also where `v` is not finite.
fn after_spike<B: StepOps>(v: T<B>, s: T<B>, reset: T<B>, gradient: bool) -> T<B> {
    let after = v.clone().replaced(s.clone().detach(), reset.clone());
    if !gradient {
        return after;
    }
    // Zero forwards; backwards what the reset passes to the spikes. The bound keeps 0·∞ away.
    let drop = (reset - v).detach();
    let drop = T::<B>(B::float_clamp(drop.0, (-f32::MAX).into(), f32::MAX.into()));
    after + (s.clone() - s.detach()) * drop
}
