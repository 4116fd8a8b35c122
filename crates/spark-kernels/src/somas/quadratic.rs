//! One step of the quadratic integrate-and-fire model.

use crate::surrogate::number::Number;

/// The parameters of [`SomaModel::Quadratic`](crate::SomaModel::Quadratic).
#[derive(Clone)]
pub(crate) struct Quadratic<N> {
    pub rate: N,
    pub resistance: N,
    pub curvature: N,
    pub rest: N,
    pub critical: N,
}

/// The potential after a step with constant current.
///
/// With `y = V − (V_rest + V_crit)/2` the model is `dy/dt = (a/τ)·(y² + D)`, a Riccati equation with constant
/// coefficients, whose solution after a step is `y′ = (y + D·T)/(1 − y·T)` with `T = tan(s·√D)/√D` and
/// `s = a·dt/τ`; the hyperbolic tangent for `D < 0` is the same function. `T` is a Padé approximant in `s²·D`.
/// Whatever positive `T` is, both fixed points are exact and the lower one is stable.
#[inline(always)]
pub(crate) fn potential<N: Number>(model: Quadratic<N>, v: N, input: N) -> N {
    /// `s²·D` just before `tan` is infinite, from which every `y` passes infinity within the step.
    const FURTHEST: f32 = 2.4;
    /// How near to infinity `y·T → 1` a potential is let go.
    const NEAREST: f32 = 0.99;
    let Quadratic { rate, resistance, curvature, rest, critical } = model;
    let middle = (rest.clone() + critical.clone()) * 0.5;
    let half = (critical + -rest) * 0.5;
    let d = resistance * input * curvature.clone().recip() - half.clone() * half;
    let s = rate * curvature;
    let z = (s.clone() * s.clone() * d.clone()).bounded(-1e9, FURTHEST);
    let denominator = (z.clone() + -45.0) * z.clone() + 105.0;
    let t = s * (z * -10.0 + 105.0) * denominator.recip();
    // A solution that passes infinity within the step ends high above any threshold instead.
    let highest = t.clone().recip() * NEAREST;
    let y = v - middle.clone();
    let y = (y.clone() - highest.clone()).choose(0.0, highest, y);
    middle + (y.clone() + d * t.clone()) * (-(y * t) + 1.0).recip()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: Quadratic<f32> =
        Quadratic { rate: 0.01, resistance: 0.1, curvature: 0.1, rest: -65.0, critical: -50.0 };

    /// Runge–Kutta of fourth order with steps a thousandth as long.
    fn integrated(model: &Quadratic<f32>, v: f32, input: f32) -> f64 {
        let Quadratic { rate, resistance, curvature, rest, critical } = model;
        let [rate, resistance, curvature, rest, critical] =
            [rate, resistance, curvature, rest, critical].map(|parameter| f64::from(*parameter));
        let change = |v: f64| {
            rate / 1000.0 * (curvature * (v - rest) * (v - critical) + resistance * f64::from(input))
        };
        (0..1000).fold(f64::from(v), |v, _| {
            let one = change(v);
            let two = change(v + 0.5 * one);
            let three = change(v + 0.5 * two);
            let four = change(v + three);
            v + (one + 2.0 * two + 2.0 * three + four) / 6.0
        })
    }

    #[test]
    fn a_step_is_the_solution() {
        for rate in [0.01, 0.1] {
            let model = Quadratic { rate, ..MODEL };
            for v in [-120.0, -80.0, -65.0, -57.0, -50.0, -40.0] {
                for input in [-300.0, 0.0, 56.25, 100.0, 800.0] {
                    let (found, expected) =
                        (potential(model.clone(), v, input), integrated(&model, v, input));
                    let error = (f64::from(found) - expected).abs();
                    assert!(
                        error < 2e-4 * (1.0 + expected.abs()),
                        "{rate}, {v}, {input}: {found}, {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_passes_infinity_is_high_and_finite() {
        for rate in [0.01, 0.1, 1.0, 10.0] {
            for (v, input) in [(1e3, 0.0), (1e6, 100.0), (f32::MAX, 100.0), (-60.0, 1e7)] {
                let next = potential(Quadratic { rate, ..MODEL }, v, input);
                assert!(next.is_finite() && next > 30.0, "{rate}, {v}, {input}: {next}");
            }
        }
    }

    #[test]
    fn rest_is_stable_whatever_the_step() {
        for rate in [0.01, 0.1, 1.0, 10.0, 1e3] {
            let mut v = -51.0;
            for _ in 0..2000 {
                v = potential(Quadratic { rate, ..MODEL }, v, 0.0);
            }
            assert!((v - -65.0f32).abs() < 1e-2, "{rate}: {v}");
        }
    }
}
