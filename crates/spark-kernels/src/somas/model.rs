//! What units are: how they integrate, and the mechanisms composed with that.

use super::ionic::{HodgkinHuxleyRates, IonicMembrane};
use super::state::{Gates, SomaState};

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
    /// Quadratic integrate-and-fire, in absolute mV: `τ·dV/dt = a·(V − V_rest)·(V − V_crit) + R·I`.
    ///
    /// Not by Euler, which falls behind on the upstroke the more the longer its steps are: for a current
    /// that is constant during the step the equation has a solution in closed form, also past the time at
    /// which the potential reaches infinity. With `m = (V_rest + V_crit)/2`, `y = V − m`, `s = a·r` and
    /// `D = R·I/a − (V_crit − V_rest)²/4`,
    ///
    /// ```text
    /// y′ = (y + D·T)/(1 − y·T)    T = tan(s·√D)/√D, or tanh(s·√−D)/√−D for D < 0
    /// ```
    ///
    /// where `tan x/x` is the quotient `(105 − 10·x²)/(105 − 45·x² + x⁴)`, right to 2e-5 for `x ≤ 1`. The
    /// fixed points are exact and the lower one is stable at steps of any length. A potential that would
    /// pass infinity ends finite, near `99/T` above `m`: far over any threshold as long as `s·√|D| < ½`.
    ///
    /// Source: Ermentrout & Kopell (1986); Latham et al. (2000); Gerstner et al., *Neuronal Dynamics*
    /// (2014), section 5.3.
    Quadratic {
        /// `r = dt/τ`.
        rate: P,
        /// Resistance `R` in GΩ.
        resistance: P,
        /// Curvature `a` in 1/mV, above zero.
        curvature: P,
        /// Resting potential `V_rest` in mV.
        rest: P,
        /// Critical potential `V_crit` in mV, beyond which a unit without current spikes.
        critical: P,
    },
    /// The neuron of Hodgkin and Huxley, in absolute mV: the currents of [`IonicMembrane`], with the gates
    /// `m`, `h` and `n`.
    ///
    /// By exponential Euler: every variable is linear in itself and is integrated exactly with the others as
    /// they are at the start of the step, `x′ = x∞ + (x − x∞)·exp(−dt/τ_x)`. Stable at any step. Of first
    /// order: intervals between spikes come out about 5 % too long at 0.1 ms and 0.5 % at 0.01 ms.
    ///
    /// There is no reset: a spike is an upward crossing of the threshold, `V ≤ θ` before the step and above
    /// it afterwards, and what brings the potential down are the currents. Reset and clamp of the [`Soma`]
    /// are ignored. A threshold that a spike raises above the potential can be crossed once more by the same
    /// upstroke; a cooldown of the length of a spike prevents that.
    ///
    /// Source: Hodgkin & Huxley, *A quantitative description of membrane current* (1952); Rush & Larsen
    /// (1978) for the integration.
    HodgkinHuxley {
        /// Currents and step.
        membrane: IonicMembrane<P>,
        /// The rates of the gates.
        rates: HodgkinHuxleyRates,
    },
    /// The fast-spiking interneuron of Wang and Buzsáki: as [`HodgkinHuxley`](Self::HodgkinHuxley), but `m`
    /// is always where it settles, `α_m/(α_m + β_m)`. With `u = V − V_T` and `L(x) = x/(1 − e⁻ˣ)`,
    ///
    /// ```text
    /// α_m = L((u + 35)/10)                β_m = 4·exp(−(u + 60)/18)
    /// α_h = 0.07·exp(−(u + 58)/20)        β_h = 1/(1 + exp(−(u + 28)/10))
    /// α_n = 0.1·L((u + 34)/10)            β_n = 0.125·exp(−(u + 44)/80)
    /// ```
    ///
    /// An explicit `m∞` would make intervals a third too long at 0.1 ms. So `h` and `n` move first, at the
    /// potential before the step, and that potential is then integrated over half a step, which tells `m∞`
    /// for the whole one: intervals within 1 % at 0.1 ms.
    ///
    /// Source: Wang & Buzsáki, *Gamma oscillation by synaptic inhibition in a hippocampal interneuronal
    /// network model* (1996).
    WangBuzsaki {
        /// Currents and step.
        membrane: IonicMembrane<P>,
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
/// `w ← w + r·(−w + a·V) + b·S`, with `V` after the reset and counted as the model counts.
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
    /// Potential after a spike, in mV, counted as the model counts; without effect on a model whose currents
    /// end the spike.
    pub reset: P,
    /// Threshold in mV, counted as the model counts.
    pub threshold: P,
    /// Steps after a spike during which input is cut off and no spike occurs, a whole number.
    pub cooldown: Option<P>,
    /// Steps after a spike during which the potential is held at the reset, a whole number; without effect
    /// on a model whose currents end the spike.
    pub clamp: Option<P>,
    /// An adaptive part of the threshold.
    pub adaptive_threshold: Option<AdaptiveThreshold<P>>,
    /// An adaptation current.
    pub adaptation: Option<AdaptationCurrent<P>>,
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
            Self::Quadratic { rate, resistance, curvature, rest, critical } => SomaModel::Quadratic {
                rate: each(rate)?,
                resistance: each(resistance)?,
                curvature: each(curvature)?,
                rest: each(rest)?,
                critical: each(critical)?,
            },
            Self::HodgkinHuxley { membrane, rates } => {
                SomaModel::HodgkinHuxley { membrane: membrane.try_map(each)?, rates }
            }
            Self::WangBuzsaki { membrane } => SomaModel::WangBuzsaki { membrane: membrane.try_map(each)? },
        })
    }

    pub(super) fn as_ref(&self) -> SomaModel<&P> {
        match self {
            Self::Leaky { decay, gain } => SomaModel::Leaky { decay, gain },
            Self::Exponential { rate, resistance, rheobase, slope } => {
                SomaModel::Exponential { rate, resistance, rheobase, slope }
            }
            Self::Izhikevich { dt, resistance, recovery_rate, sensitivity, jump } => {
                SomaModel::Izhikevich { dt, resistance, recovery_rate, sensitivity, jump }
            }
            Self::Quadratic { rate, resistance, curvature, rest, critical } => {
                SomaModel::Quadratic { rate, resistance, curvature, rest, critical }
            }
            Self::HodgkinHuxley { membrane, rates } => {
                SomaModel::HodgkinHuxley { membrane: membrane.as_ref(), rates: *rates }
            }
            Self::WangBuzsaki { membrane } => SomaModel::WangBuzsaki { membrane: membrane.as_ref() },
        }
    }

    /// Whether a spike is ended by a reset, and not by the currents that made it.
    pub(crate) fn resets(&self) -> bool {
        !matches!(self, Self::HodgkinHuxley { .. } | Self::WangBuzsaki { .. })
    }

    /// The gates of its state.
    fn gates(&self) -> Option<Gates<()>> {
        match self {
            Self::HodgkinHuxley { .. } => Some(Gates { m: Some(()), h: (), n: () }),
            Self::WangBuzsaki { .. } => Some(Gates { m: None, h: (), n: () }),
            Self::Leaky { .. }
            | Self::Exponential { .. }
            | Self::Izhikevich { .. }
            | Self::Quadratic { .. } => None,
        }
    }
}

/// `each` on a plane that may be missing; `None` where `each` gives none.
pub(super) fn optional<P, Q>(plane: Option<P>, each: &mut impl FnMut(P) -> Option<Q>) -> Option<Option<Q>> {
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
    pub(super) fn state_form(&self) -> SomaState<()> {
        let counts = self.cooldown.is_some() || self.clamp.is_some();
        SomaState {
            potential: (),
            recovery: matches!(self.model, SomaModel::Izhikevich { .. }).then_some(()),
            since_spike: counts.then_some(()),
            threshold_offset: self.adaptive_threshold.as_ref().map(|_| ()),
            adaptation: self.adaptation.as_ref().map(|_| ()),
            gates: self.model.gates(),
        }
    }
}
