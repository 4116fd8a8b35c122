//! Surrogates with a learned slope and of one's own, on every backend.

use crate::support::devices;
use spark::burn::tensor::TensorData;
use spark::kernels::{CustomSurrogate, spike, spike_with, spike_with_slope};
use spark::prelude::*;

/// Rows of four units from −2 to 2, one of them exactly zero.
const SHAPE: [usize; 2] = [9, 4];

fn points() -> Vec<f32> {
    (0..36).map(|i| (i as f32 - 16.0) / 8.0).collect()
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= 1e-5 * (1.0 + e.abs()), "{what}[{i}]: found {f}, expected {e}");
    }
}

fn step(x: f32) -> f32 {
    if x > 0.0 { 1.0 } else { 0.0 }
}

/// Inputs and the weight that a loss gives to each spike.
fn inputs(device: &Device) -> (Tensor<2>, Tensor<2>, Vec<f32>) {
    let weights: Vec<f32> = points().iter().map(|x| 1.0 + 0.5 * x).collect();
    let tensor = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, SHAPE), device);
    (tensor(points()).require_grad(), tensor(weights.clone()), weights)
}

#[test]
fn a_learned_slope_has_the_gradient_of_its_equation() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for surrogate in Surrogate::PRESETS {
            for slopes in [vec![1.7f32], vec![0.5, 1.0, 2.0, 3.0]] {
                let what = format!("{name} {surrogate:?} {slopes:?}");
                let (x, weight, weights) = inputs(&device);
                let slope = Tensor::<1>::from_floats(slopes.as_slice(), &device).require_grad();
                let spikes = spike_with_slope(x.clone(), slope.clone(), surrogate);
                let gradients = (spikes.clone() * weight).sum().backward();
                let expected: Vec<f32> = points().into_iter().map(step).collect();
                assert_eq!(floats(spikes), expected, "{what}");

                let (mut d_x, mut d_slope) = (Vec::new(), vec![0.0; slopes.len()]);
                for (i, (x, weight)) in points().into_iter().zip(weights).enumerate() {
                    let k = slopes[i % slopes.len()];
                    d_x.push(weight * k * surrogate.derivative(k * x));
                    d_slope[i % slopes.len()] += weight * x * surrogate.derivative(k * x);
                }
                assert_close(&floats(x.grad(&gradients).unwrap()), &d_x, &what);
                assert_close(&floats(slope.grad(&gradients).unwrap()), &d_slope, &what);
            }
        }
    }
}

#[test]
fn a_slope_replaces_the_parameter_of_a_surrogate_of_area_one() {
    let device = Device::flex().autodiff();
    let unit_and_steep: [(Surrogate, Surrogate); 4] = [
        (Surrogate::Atan { alpha: 1.0 }, Surrogate::Atan { alpha: 3.0 }),
        (Surrogate::Sigmoid { slope: 1.0 }, Surrogate::Sigmoid { slope: 3.0 }),
        (Surrogate::PiecewiseQuadratic { alpha: 1.0 }, Surrogate::PiecewiseQuadratic { alpha: 3.0 }),
        (Surrogate::Erf { alpha: 1.0 }, Surrogate::Erf { alpha: 3.0 }),
    ];
    for (unit, steep) in unit_and_steep {
        let gradient = |spikes: fn(Tensor<2>, Surrogate) -> Tensor<2>, surrogate| {
            let (x, weight, _) = inputs(&device);
            let gradients = (spikes(x.clone(), surrogate) * weight).sum().backward();
            floats(x.grad(&gradients).unwrap())
        };
        let learned: fn(Tensor<2>, Surrogate) -> Tensor<2> =
            |x, surrogate| spike_with_slope(x.clone(), Tensor::from_floats([3.0], &x.device()), surrogate);
        assert_close(&gradient(learned, unit), &gradient(spike, steep), &format!("{steep:?}"));
    }
}

#[test]
fn spikes_do_not_depend_on_the_slope() {
    for (name, device) in devices() {
        let (x, ..) = inputs(&device.clone().autodiff());
        let expected: Vec<f32> = points().into_iter().map(step).collect();
        for slope in [-2.0f32, 0.0, 1e-30, 1e30] {
            let slope = Tensor::<1>::from_floats([slope], &x.device());
            assert_eq!(floats(spike_with_slope(x.clone(), slope, Surrogate::default())), expected, "{name}");
        }
    }
}

#[test]
#[should_panic(expected = "3 slopes for 4 units")]
fn slopes_that_fit_no_axis_are_refused() {
    let device = Device::flex();
    let _ = spike_with_slope(
        Tensor::<2>::zeros(SHAPE, &device),
        Tensor::zeros([3], &device),
        Surrogate::default(),
    );
}

/// The fast sigmoid, as a user would write it.
struct Own {
    slope: Tensor<1>,
}

impl CustomSurrogate for Own {
    fn derivative<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        (x.abs() * self.slope.clone().unsqueeze() + 1.0).powf_scalar(-2.0)
    }
}

#[test]
fn a_surrogate_of_ones_own_scales_the_gradient_and_leaves_spikes_exact() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let own = Own { slope: Tensor::<1>::from_floats([10.0], &device).require_grad() };
        let (x, weight, weights) = inputs(&device);
        let spikes = spike_with(x.clone(), &own);
        let gradients = (spikes.clone() * weight).sum().backward();
        let expected: Vec<f32> = points().into_iter().map(step).collect();
        assert_eq!(floats(spikes), expected, "{name}");

        let surrogate = Surrogate::FastSigmoid { slope: 10.0 };
        let expected: Vec<f32> =
            points().iter().zip(weights).map(|(&x, weight)| weight * surrogate.derivative(x)).collect();
        assert_close(&floats(x.grad(&gradients).unwrap()), &expected, &name);
        assert!(own.slope.grad(&gradients).is_none(), "{name}: a derivative has no gradient of its own");
    }
}

/// Membranes so far out that a product with them would not cancel.
#[test]
fn spikes_stay_exact_for_extreme_membranes() {
    struct Steep;
    impl CustomSurrogate for Steep {
        fn derivative<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
            x.ones_like() * 1e30
        }
    }
    let values = [f32::MIN, -1e30, -1e-30, 1e-30, 1e30, f32::MAX, f32::INFINITY, f32::NEG_INFINITY];
    let device = Device::flex().autodiff();
    let x = Tensor::<1>::from_floats(values, &device).require_grad();
    let expected: Vec<f32> = values.into_iter().map(step).collect();
    assert_eq!(floats(spike_with(x.clone(), &Steep)), expected);
    let slope = Tensor::<1>::from_floats([1e-20], &device).require_grad();
    assert_eq!(floats(spike_with_slope(x, slope, Surrogate::default())), expected);
}
