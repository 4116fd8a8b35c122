//! Membranes whose spikes are made by ionic currents: parameters, gates, and one step of both.
//!
//! The formulas are written over [`Number`], once for the loop of the fused kernel and for the reference.

use crate::surrogate::number::Number;

/// A current through channels of one kind, `g·(V − E)` when all of them are open.
#[derive(Clone, Debug, PartialEq)]
pub struct IonicCurrent<P> {
    /// Largest conductance `g` in nS.
    pub conductance: P,
    /// Reversal potential `E` in mV.
    pub reversal: P,
}

/// A membrane with sodium, potassium and leak currents, in absolute mV:
/// `C·dV/dt = I − g_Na·m³·h·(V − E_Na) − g_K·n⁴·(V − E_K) − g_L·(V − E_L)`.
///
/// Every gate `x` of `m`, `h`, `n` follows `dx/dt = φ·(α·(1 − x) − β·x)` with rates `α` and `β` that
/// depend on `V − V_T`.
///
/// Papers give densities. A patch of 100 µm² has the same numbers: µF/cm² are pF there, mS/cm² are nS and
/// µA/cm² are pA.
#[derive(Clone, Debug, PartialEq)]
pub struct IonicMembrane<P> {
    /// Step `dt` in ms.
    pub dt: P,
    /// Capacitance `C` in pF.
    pub capacitance: P,
    /// How much faster than published the gates are, `φ`: 1, or what temperature makes of it.
    pub speed: P,
    /// What the potentials of the rates are moved by, `V_T` in mV: 0 for the published ones.
    pub shift: P,
    /// Sodium current.
    pub sodium: IonicCurrent<P>,
    /// Potassium current.
    pub potassium: IonicCurrent<P>,
    /// Leak current; its conductance is above zero.
    pub leak: IonicCurrent<P>,
}

impl IonicMembrane<f32> {
    /// 100 µm² of the squid's giant axon at 6.3 °C with steps of `dt` ms, at rest at −65 mV.
    ///
    /// Source: Hodgkin & Huxley, *A quantitative description of membrane current* (1952); the reversal of
    /// the leak as in Gerstner et al., *Neuronal Dynamics* (2014).
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::IonicMembrane;
    ///
    /// assert_eq!(IonicMembrane::squid_axon(0.1).sodium.conductance, 120.0);
    /// ```
    pub fn squid_axon(dt: f32) -> Self {
        Self {
            dt,
            capacitance: 1.0,
            speed: 1.0,
            shift: 0.0,
            sodium: IonicCurrent { conductance: 120.0, reversal: 50.0 },
            potassium: IonicCurrent { conductance: 36.0, reversal: -77.0 },
            leak: IonicCurrent { conductance: 0.3, reversal: -54.4 },
        }
    }

    /// 100 µm² of the fast-spiking interneuron of Wang & Buzsáki (1996) with steps of `dt` ms.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::IonicMembrane;
    ///
    /// assert_eq!(IonicMembrane::wang_buzsaki(0.1).speed, 5.0);
    /// ```
    pub fn wang_buzsaki(dt: f32) -> Self {
        Self {
            dt,
            capacitance: 1.0,
            speed: 5.0,
            shift: 0.0,
            sodium: IonicCurrent { conductance: 35.0, reversal: 55.0 },
            potassium: IonicCurrent { conductance: 9.0, reversal: -90.0 },
            leak: IonicCurrent { conductance: 0.1, reversal: -65.0 },
        }
    }
}

impl<P> IonicCurrent<P> {
    #[inline(always)]
    fn try_map<Q>(self, each: &mut impl FnMut(P) -> Option<Q>) -> Option<IonicCurrent<Q>> {
        Some(IonicCurrent { conductance: each(self.conductance)?, reversal: each(self.reversal)? })
    }

    #[inline(always)]
    fn as_ref(&self) -> IonicCurrent<&P> {
        IonicCurrent { conductance: &self.conductance, reversal: &self.reversal }
    }
}

impl<P> IonicMembrane<P> {
    /// The same structure over other planes, visited in the order of the fields; `None` if `each` gives one.
    #[inline(always)]
    pub(super) fn try_map<Q>(self, each: &mut impl FnMut(P) -> Option<Q>) -> Option<IonicMembrane<Q>> {
        Some(IonicMembrane {
            dt: each(self.dt)?,
            capacitance: each(self.capacitance)?,
            speed: each(self.speed)?,
            shift: each(self.shift)?,
            sodium: self.sodium.try_map(each)?,
            potassium: self.potassium.try_map(each)?,
            leak: self.leak.try_map(each)?,
        })
    }

    /// The same structure over other planes, visited in the order of the fields.
    #[inline(always)]
    pub(crate) fn map<Q>(self, mut each: impl FnMut(P) -> Q) -> IonicMembrane<Q> {
        self.try_map(&mut |plane| Some(each(plane))).expect("every plane is mapped")
    }

    /// The same structure over references.
    #[inline(always)]
    pub(crate) fn as_ref(&self) -> IonicMembrane<&P> {
        IonicMembrane {
            dt: &self.dt,
            capacitance: &self.capacitance,
            speed: &self.speed,
            shift: &self.shift,
            sodium: self.sodium.as_ref(),
            potassium: self.potassium.as_ref(),
            leak: self.leak.as_ref(),
        }
    }
}

/// The rates of the gates of [`SomaModel::HodgkinHuxley`](crate::SomaModel::HodgkinHuxley), per ms with
/// `u = V − V_T` in mV and `L(x) = x/(1 − e⁻ˣ)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HodgkinHuxleyRates {
    /// The squid's giant axon in absolute potentials, at rest at −65 mV:
    ///
    /// ```text
    /// α_m = L((u + 40)/10)                β_m = 4·exp(−(u + 65)/18)
    /// α_h = 0.07·exp(−(u + 65)/20)        β_h = 1/(1 + exp(−(u + 35)/10))
    /// α_n = 0.1·L((u + 55)/10)            β_n = 0.125·exp(−(u + 65)/80)
    /// ```
    ///
    /// Source: Hodgkin & Huxley, *A quantitative description of membrane current* (1952).
    #[default]
    SquidAxon,
    /// Hippocampal pyramidal neurons, with `V_T` near −63 mV:
    ///
    /// ```text
    /// α_m = 1.28·L((u − 13)/4)            β_m = 1.4·L(−(u − 40)/5)
    /// α_h = 0.128·exp(−(u − 17)/18)       β_h = 4/(1 + exp(−(u − 40)/5))
    /// α_n = 0.16·L((u − 15)/5)            β_n = 0.5·exp(−(u − 10)/40)
    /// ```
    ///
    /// Source: Traub & Miles, *Neuronal Networks of the Hippocampus* (1991), as in Brette et al.,
    /// *Simulation of networks of spiking neurons* (2007).
    TraubMiles,
}

impl HodgkinHuxleyRates {
    #[inline(always)]
    pub(crate) fn kinetics(self) -> Kinetics {
        match self {
            Self::SquidAxon => SQUID_AXON,
            Self::TraubMiles => TRAUB_MILES,
        }
    }
}

/// The rates of the three gates.
#[derive(Clone, Copy)]
pub(crate) struct Kinetics {
    pub m: GateRates,
    pub h: GateRates,
    pub n: GateRates,
}

/// The rates at which a gate opens and closes.
#[derive(Clone, Copy)]
pub(crate) struct GateRates {
    alpha: Rate,
    beta: Rate,
}

/// A rate per ms as a function of `x = (u − midpoint)/scale`.
#[derive(Clone, Copy)]
struct Rate {
    form: Form,
    factor: f32,
    midpoint: f32,
    scale: f32,
}

#[derive(Clone, Copy)]
enum Form {
    /// `x/(1 − e⁻ˣ)`
    Linoid,
    /// `e⁻ˣ`
    Exponential,
    /// `1/(1 + e⁻ˣ)`
    Sigmoid,
}

const fn linoid(factor: f32, midpoint: f32, scale: f32) -> Rate {
    Rate { form: Form::Linoid, factor, midpoint, scale }
}

const fn exponential(factor: f32, midpoint: f32, scale: f32) -> Rate {
    Rate { form: Form::Exponential, factor, midpoint, scale }
}

const fn sigmoid(factor: f32, midpoint: f32, scale: f32) -> Rate {
    Rate { form: Form::Sigmoid, factor, midpoint, scale }
}

pub(crate) const SQUID_AXON: Kinetics = Kinetics {
    m: GateRates { alpha: linoid(1.0, -40.0, 10.0), beta: exponential(4.0, -65.0, 18.0) },
    h: GateRates { alpha: exponential(0.07, -65.0, 20.0), beta: sigmoid(1.0, -35.0, 10.0) },
    n: GateRates { alpha: linoid(0.1, -55.0, 10.0), beta: exponential(0.125, -65.0, 80.0) },
};

pub(crate) const TRAUB_MILES: Kinetics = Kinetics {
    m: GateRates { alpha: linoid(1.28, 13.0, 4.0), beta: linoid(1.4, 40.0, -5.0) },
    h: GateRates { alpha: exponential(0.128, 17.0, 18.0), beta: sigmoid(4.0, 40.0, 5.0) },
    n: GateRates { alpha: linoid(0.16, 15.0, 5.0), beta: exponential(0.5, 10.0, 40.0) },
};

pub(crate) const WANG_BUZSAKI: Kinetics = Kinetics {
    m: GateRates { alpha: linoid(1.0, -35.0, 10.0), beta: exponential(4.0, -60.0, 18.0) },
    h: GateRates { alpha: exponential(0.07, -58.0, 20.0), beta: sigmoid(1.0, -28.0, 10.0) },
    n: GateRates { alpha: linoid(0.1, -34.0, 10.0), beta: exponential(0.125, -44.0, 80.0) },
};

impl Rate {
    #[inline(always)]
    fn at<N: Number>(self, u: N) -> N {
        /// What `x` is kept within: beyond it a rate is zero or a gate instantaneous as far as an `f32`
        /// can tell, and neither the exponential nor the square that its gradient takes overflows.
        const BOUND: f32 = 40.0;
        let x = ((u + -self.midpoint) * (1.0 / self.scale)).bounded(-BOUND, BOUND);
        let value = match self.form {
            Form::Linoid => smooth_linoid(x),
            Form::Exponential => (-x).exp(),
            Form::Sigmoid => ((-x).exp() + 1.0).recip(),
        };
        value * self.factor
    }
}

/// `x/(1 − e⁻ˣ)`, by its series `1 + x/2 + x²/12 − x⁴/720` where the quotient would lose digits.
#[inline(always)]
fn smooth_linoid<N: Number>(x: N) -> N {
    /// The square of the `x` up to which the series is at least as good.
    const EDGE: f32 = 0.09;
    let square = x.clone() * x.clone();
    let series = (square.clone() * (-1.0 / 720.0) + 1.0 / 12.0) * square.clone() + (x.clone() * 0.5 + 1.0);
    // Never at the singularity itself: not taken, it would still make a NaN of the gradient.
    let apart = square.clone().choose(EDGE, x.clone(), x.constant(1.0));
    let quotient = apart.clone() * (-(-apart).exp() + 1.0).recip();
    square.choose(EDGE, quotient, series)
}

impl GateRates {
    /// Where a gate settles at `u = V − V_T`, `α/(α + β)`.
    #[inline(always)]
    pub fn steady<N: Number>(self, u: N) -> N {
        let (alpha, beta) = (self.alpha.at(u.clone()), self.beta.at(u));
        alpha.clone() * (alpha + beta).recip()
    }

    /// A gate after a step of `pace = φ·dt` at constant `u`: `x∞ + (x − x∞)·exp(−φ·dt·(α + β))`.
    #[inline(always)]
    pub fn relax<N: Number>(self, gate: N, u: N, pace: N) -> N {
        let (alpha, beta) = (self.alpha.at(u.clone()), self.beta.at(u));
        let sum = alpha.clone() + beta;
        let steady = alpha * sum.clone().recip();
        steady.clone() + (gate - steady) * (-(pace * sum)).exp()
    }
}

/// The potential after a portion of a step with constant gates: `V∞ + (V − V∞)·exp(−portion·dt·G/C)` with the
/// total conductance `G` and `V∞ = (Σ g·E + I)/G`.
#[inline(always)]
pub(crate) fn potential<N: Number>(
    membrane: IonicMembrane<N>,
    portion: f32,
    v: N,
    input: N,
    [m, h, n]: [N; 3],
) -> N {
    let IonicMembrane { dt, capacitance, sodium, potassium, leak, .. } = membrane;
    let n_squared = n.clone() * n;
    let sodium_open = sodium.conductance * (m.clone() * m.clone() * m * h);
    let potassium_open = potassium.conductance * (n_squared.clone() * n_squared);
    let total = sodium_open.clone() + potassium_open.clone() + leak.conductance.clone();
    let drive = sodium_open * sodium.reversal
        + potassium_open * potassium.reversal
        + leak.conductance * leak.reversal
        + input;
    let steady = drive * total.clone().recip();
    let decay = (-(dt * portion * capacitance.recip() * total)).exp();
    steady.clone() + (v - steady) * decay
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(rate: Rate, u: f64) -> f64 {
        let x = (u - f64::from(rate.midpoint)) / f64::from(rate.scale);
        let value = match rate.form {
            Form::Linoid if x == 0.0 => 1.0,
            Form::Linoid => x / -(-x).exp_m1(),
            Form::Exponential => (-x).exp(),
            Form::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        };
        f64::from(rate.factor) * value
    }

    #[test]
    fn rates_are_smooth_through_their_singularities() {
        for kinetics in [SQUID_AXON, TRAUB_MILES, WANG_BUZSAKI] {
            for gate in [kinetics.m, kinetics.h, kinetics.n] {
                for rate in [gate.alpha, gate.beta] {
                    for i in -30_000i16..=30_000 {
                        let u = f32::from(i) * (1.0 / 256.0) + rate.midpoint;
                        let (found, expected) = (f64::from(rate.at(u)), expected(rate, f64::from(u)));
                        let error = (found - expected).abs() / expected;
                        let bounded = ((u - rate.midpoint) / rate.scale).abs() >= 39.9;
                        assert!(bounded || error < 4e-6, "{u}: {found}, expected {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_squid_axon_rests_at_its_resting_potential() {
        let rest = -65.0;
        let [m, h, n] = [SQUID_AXON.m, SQUID_AXON.h, SQUID_AXON.n].map(|gate| gate.steady(rest));
        // As tabulated: m 0.0529, h 0.5961, n 0.3177.
        assert!((m - 0.0529).abs() < 1e-4 && (h - 0.5961).abs() < 1e-4 && (n - 0.3177).abs() < 1e-4);
        let next = potential(IonicMembrane::squid_axon(0.1), 1.0, rest, 0.0, [m, h, n]);
        assert!((next - rest).abs() < 0.01, "{next}");
    }

    #[test]
    fn potentials_far_off_leave_gates_between_0_and_1() {
        for kinetics in [SQUID_AXON, TRAUB_MILES, WANG_BUZSAKI] {
            for gate in [kinetics.m, kinetics.h, kinetics.n] {
                for u in [-1e9, -1e3, 1e3, 1e9] {
                    let next = gate.relax(0.5, u, 0.1);
                    assert!((0.0..=1.0).contains(&next), "{u}: {next}");
                }
            }
        }
    }
}
