use std::f64::consts::{FRAC_2_PI, FRAC_2_SQRT_PI, FRAC_PI_2, PI, SQRT_2, TAU};

use burn::backend::Flex;
use burn::tensor::Shape;

use super::*;
use crate::composed::T;
use crate::cpu::HostBackend;

/// The presets, and parameters under which other terms of a formula matter.
fn all() -> Vec<Surrogate> {
    let mut all = Surrogate::PRESETS.to_vec();
    all.extend([
        Surrogate::Triangular { slope: 0.7 },
        Surrogate::DampedTriangular { height: 2.0, slope: 3.0 },
        Surrogate::SparseFastSigmoid { slope: 2.0, boundary: -0.6 },
        Surrogate::PiecewiseQuadratic { alpha: 0.6 },
        Surrogate::Gaussian { sigma: 1.3, scale: 0.4 },
        Surrogate::Tanh { alpha: 3.0 },
        Surrogate::Circ { alpha: 0.3 },
        Surrogate::Rectangular { alpha: 0.3 },
        Surrogate::PiecewiseLeakyRelu { width: 0.8, leak: 0.0 },
        Surrogate::LeakyKRelu { leak: 2.0, slope: -2.0 },
        Surrogate::FakeNumericalGradient { alpha: 1.7 },
        Surrogate::SpikeRateEscape { slope: 3.0, beta: 2.0 },
        Surrogate::QPseudoSpike { alpha: 3.5 },
        Surrogate::SquarewaveFourierSeries { terms: 5, period: 3.0 },
    ]);
    all
}

/// The error function as a series of positive terms.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > 1e-18 * sum.abs() {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

fn triangle(x: f64, k: f64) -> f64 {
    let a = x.abs().min(1.0 / k);
    x.signum() * (a - 0.5 * k * a * a)
}

/// An antiderivative of every surrogate, up to a constant on either side of a jump.
#[allow(clippy::too_many_lines)]
fn primitive(surrogate: Surrogate, x: f64) -> f64 {
    let (a, sign) = (x.abs(), x.signum());
    match surrogate {
        Surrogate::Atan { alpha } => (FRAC_PI_2 * f64::from(alpha) * x).atan() / PI,
        Surrogate::FastSigmoid { slope } => x / (1.0 + f64::from(slope) * a),
        Surrogate::Sigmoid { slope } => 1.0 / (1.0 + (-f64::from(slope) * x).exp()),
        Surrogate::Triangular { slope } => triangle(x, f64::from(slope)),
        Surrogate::DampedTriangular { height, slope } => f64::from(height) * triangle(x, f64::from(slope)),
        Surrogate::StraightThrough {} => x,
        Surrogate::SuperSpike { alpha } => f64::from(alpha) * x / (1.0 + a),
        Surrogate::SparseFastSigmoid { slope, boundary } if x > f64::from(boundary) => {
            x / (1.0 + f64::from(slope) * a)
        }
        Surrogate::SparseFastSigmoid { .. } => 0.0,
        Surrogate::PiecewiseQuadratic { alpha } => f64::from(alpha) * triangle(x, f64::from(alpha)),
        Surrogate::PiecewiseExponential { alpha } => sign * 0.5 * (1.0 - (-f64::from(alpha) * a).exp()),
        Surrogate::SoftSign { alpha } => 0.5 * f64::from(alpha) * x / (1.0 + f64::from(alpha) * a),
        Surrogate::Erf { alpha } => 0.5 * erf(f64::from(alpha) * x),
        Surrogate::Gaussian { sigma, scale } => 0.5 * f64::from(scale) * erf(x / (f64::from(sigma) * SQRT_2)),
        Surrogate::Tanh { alpha } => (f64::from(alpha) * x).tanh() / f64::from(alpha),
        Surrogate::Circ { alpha } => x / (1.0 + (x / f64::from(alpha)).powi(2)).sqrt(),
        Surrogate::Rectangular { alpha } => (f64::from(alpha) * x).clamp(-0.5, 0.5),
        Surrogate::PiecewiseLeakyRelu { width, leak } => {
            let (w, c) = (f64::from(width), f64::from(leak));
            if a < w { x / (2.0 * w) } else { sign * (0.5 + c * (a - w)) }
        }
        Surrogate::LeakyKRelu { leak, slope } => x * f64::from(if x < 0.0 { leak } else { slope }),
        Surrogate::LogTailedRelu { alpha } if x <= 0.0 => f64::from(alpha) * x,
        Surrogate::LogTailedRelu { .. } => x.min(1.0) + x.max(1.0).ln(),
        Surrogate::NonzeroSignLogAbs { alpha } => sign * (1.0 + f64::from(alpha) * a).ln(),
        Surrogate::FakeNumericalGradient { alpha } => {
            let z = f64::from(alpha) * a;
            sign * (z.min(1.0) + z.max(1.0).ln())
        }
        Surrogate::SpikeRateEscape { slope, beta } => {
            let (k, b) = (f64::from(slope), f64::from(beta));
            (x - 1.0).signum() * k / b * (1.0 - (-b * (x - 1.0).abs()).exp())
        }
        Surrogate::S2nn { alpha, .. } if x < 0.0 => 1.0 / (1.0 + (-f64::from(alpha) * x).exp()),
        Surrogate::S2nn { beta, .. } => f64::from(beta) * (1.0 + x).ln(),
        Surrogate::QPseudoSpike { alpha } => {
            let alpha = f64::from(alpha);
            -0.5 * sign * (1.0 + 2.0 * a / (alpha - 1.0)).powf(1.0 - alpha)
        }
        Surrogate::SquarewaveFourierSeries { terms, period } => {
            let odd = (1..=terms).map(|i| f64::from(2 * i - 1));
            odd.map(|k| FRAC_2_PI / k * (TAU * k * x / f64::from(period)).sin()).sum()
        }
    }
}

#[test]
fn derivatives_match_their_antiderivatives() {
    for surrogate in all() {
        for x in [-3.1f32, -1.3, -0.45, -0.3, -0.01, 0.02, 0.4, 0.55, 1.1, 2.7] {
            let (h, x) = (1e-6, f64::from(x));
            let expected = (primitive(surrogate, x + h) - primitive(surrogate, x - h)) / (2.0 * h);
            let found = f64::from(surrogate.derivative(x as f32));
            let close = (found - expected).abs() <= 2e-6 * (1.0 + expected.abs());
            assert!(close, "{surrogate:?} at {x}: {found}, expected {expected}");
        }
    }
}

#[test]
fn tensors_and_scalars_share_their_formulas() {
    let points: Vec<f32> = (-80..=80).map(|i| i as f32 / 20.0).collect();
    for surrogate in all() {
        let x = T::<Flex>(Flex::tensor(points.clone(), Shape::from([points.len()])));
        let derivative = x.derivative(surrogate);
        let found = Flex::slice(&derivative.0).expect("f32");
        for (&x, &found) in points.iter().zip(found.iter()) {
            let expected = surrogate.derivative(x);
            let close = (found - expected).abs() <= 4e-6 * (1.0 + expected.abs());
            assert!(close, "{surrogate:?} at {x}: tensor {found}, scalar {expected}");
        }
    }
}

#[test]
fn derivative_is_finite_far_from_threshold() {
    let far = [f32::MIN, -1e30, -1e10, -100.0, -0.0, 0.0, f32::MIN_POSITIVE, 100.0, 1e10, 1e30, f32::MAX];
    for surrogate in all() {
        let x = T::<Flex>(Flex::tensor(far.to_vec(), Shape::from([far.len()])));
        let derivative = x.derivative(surrogate);
        assert!(Flex::slice(&derivative.0).expect("f32").iter().all(|d| d.is_finite()), "{surrogate:?}");
        for x in far {
            assert!(surrogate.derivative(x).is_finite(), "{surrogate:?} at {x}");
        }
    }
}

#[test]
fn a_support_bounds_the_derivative_exactly() {
    let mut bounded = 0;
    for k in (1..500).map(|i| 0.037 * i as f32) {
        for surrogate in [
            Surrogate::Triangular { slope: k },
            Surrogate::DampedTriangular { height: 0.3, slope: k },
            Surrogate::PiecewiseQuadratic { alpha: k },
            Surrogate::Rectangular { alpha: k },
            Surrogate::PiecewiseLeakyRelu { width: k, leak: 0.0 },
        ] {
            let width = surrogate.support().expect("compact support");
            for outside in [width.next_up(), 1.001 * width, 7.0 * width, 1e20] {
                assert_eq!(surrogate.derivative(outside), 0.0, "{surrogate:?} at {outside}");
                assert_eq!(surrogate.derivative(-outside), 0.0, "{surrogate:?} at −{outside}");
            }
            assert!(surrogate.derivative(0.999 * width) > 0.0, "{surrogate:?}: wider than it has to be");
            bounded += 1;
        }
    }
    assert_eq!(bounded, 499 * 5);
    let unbounded = Surrogate::PiecewiseLeakyRelu { width: 1.0, leak: 0.01 };
    assert_eq!([unbounded.support(), Surrogate::default().support()], [None; 2]);
}

#[test]
fn presets_are_distinct_valid_and_named_as_in_json() {
    for (i, surrogate) in Surrogate::PRESETS.into_iter().enumerate() {
        surrogate.validate().unwrap();
        let json = serde_json::to_value(surrogate).unwrap();
        assert_eq!(json["kind"], surrogate.name());
        assert_eq!(serde_json::from_value::<Surrogate>(json.clone()).unwrap(), surrogate);
        assert!(Surrogate::PRESETS[..i].iter().all(|other| other.name() != surrogate.name()));
        let mut unknown = json;
        unknown["nonsense"] = 1.into();
        assert!(serde_json::from_value::<Surrogate>(unknown).is_err(), "{surrogate:?}");
    }
}

#[test]
fn parameters_are_checked() {
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let error = Surrogate::Atan { alpha: bad }.validate().unwrap_err();
        assert_eq!(error.field, "alpha");
    }
    let refused = [
        (Surrogate::Gaussian { sigma: 1.0, scale: 0.0 }, "scale"),
        (Surrogate::SparseFastSigmoid { slope: 1.0, boundary: f32::NAN }, "boundary"),
        (Surrogate::PiecewiseLeakyRelu { width: 1.0, leak: -0.1 }, "leak"),
        (Surrogate::QPseudoSpike { alpha: 1.0 }, "alpha"),
        (Surrogate::SquarewaveFourierSeries { terms: 0, period: 1.0 }, "terms"),
        (Surrogate::SquarewaveFourierSeries { terms: 101, period: 1.0 }, "terms"),
    ];
    for (surrogate, field) in refused {
        assert_eq!(surrogate.validate().unwrap_err().field, field, "{surrogate:?}");
    }
    for surrogate in all() {
        surrogate.validate().unwrap();
    }
}
