//! The spiking operations on every backend: shapes, exact spikes, gradients against composed autodiff.

use crate::support::devices;
use proptest::prelude::*;
use spark::burn::tensor::{Gradients, TensorData};
use spark::kernels::{
    Crossings, ScanOptions, leaky_scan, spike, spike_linear, spike_linear_near, spike_matmul,
};
use spark::nn::layers::{LeakyConfig, LeakyState, Temporal};
use spark::prelude::*;

/// One random call of the scan.
#[derive(Clone, Debug)]
struct Case {
    shape: [usize; 3],
    config: LeakyConfig,
    values: Vec<f32>,
}

fn cases() -> impl Strategy<Value = Case> {
    let reset = prop_oneof![Just(Reset::Subtract), Just(Reset::Zero), Just(Reset::None)];
    let surrogate = proptest::sample::select(Surrogate::PRESETS.to_vec());
    // Some wider than the block of units that one thread takes.
    let units = prop_oneof![4 => 1usize..6, 1 => 300usize..600];
    let shape = (1usize..7, 1usize..4, units);
    (shape, any::<[bool; 3]>(), reset, surrogate, any::<u64>()).prop_map(
        |((time, batch, units), [per_unit, reset_delay, reset_gradient], reset, surrogate, seed)| {
            let mut rng = spark::core::seed::rng(seed, "case");
            let count = time * batch * units * 3 + batch * units * 2;
            let values = Initializer::Uniform { min: -0.5, max: 1.2 }.draw(count, 1, &mut rng);
            let config = LeakyConfig {
                reset,
                reset_delay,
                reset_gradient,
                surrogate,
                per_unit,
                learn_decay: true,
                learn_threshold: true,
                decay: 0.85,
                threshold: 0.7,
                ..Default::default()
            };
            Case { shape: [time, batch, units], config, values }
        },
    )
}

/// The outputs of a scan and the gradients of a random weighting of all of them.
#[derive(Debug)]
struct Result {
    spikes: Vec<f32>,
    potential: Vec<f32>,
    membrane: Vec<f32>,
    gradients: [Vec<f32>; 4],
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

/// Hands out consecutive pieces of the values of a case as tensors.
struct Pieces<'a>(&'a [f32], &'a Device);

impl Pieces<'_> {
    fn take<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        let (piece, rest) = self.0.split_at(shape.iter().product());
        self.0 = rest;
        Tensor::from_data(TensorData::new(piece.to_vec(), shape), self.1)
    }
}

/// Runs a case with the fused scan, or step by step with Burn's own autodiff.
fn run(case: &Case, device: &Device, fused: bool) -> Result {
    let device = device.clone().autodiff();
    let [time, batch, units] = case.shape;
    let mut pieces = Pieces(&case.values, &device);
    let input = pieces.take([time, batch, units]).require_grad();
    let start = pieces.take([batch, units]).require_grad();
    let weights =
        (pieces.take([time, batch, units]), pieces.take([time, batch, units]), pieces.take([batch, units]));
    let mut layer = case.config.init(units, &device);
    // Distinct parameters show whether each unit gets its own.
    let length = layer.decay.val().dims()[0];
    let ramp = |low: f32, high: f32| {
        let value = |i| low + (high - low) * i as f32 / length as f32;
        let values: Vec<f32> = (0..length).map(value).collect();
        Tensor::<1>::from_floats(values.as_slice(), &device).require_grad()
    };
    layer.decay = layer.decay.map(|_| ramp(0.85, 0.6));
    layer.threshold = layer.threshold.map(|_| ramp(0.7, 1.0));
    let (spikes, potential, membrane) = if fused {
        let config = &case.config;
        let options = ScanOptions {
            reset: config.reset,
            reset_delay: config.reset_delay,
            reset_gradient: config.reset_gradient,
            surrogate: config.surrogate,
            potential: true,
            ..Default::default()
        };
        let out = leaky_scan(input.clone(), start.clone(), layer.decay.val(), layer.threshold.val(), options);
        (out.spikes, out.potential.expect("asked for"), out.membrane)
    } else {
        let mut state = LeakyState { membrane: start.clone() };
        let (mut spikes, mut potential) = (Vec::new(), Vec::new());
        for t in 0..time {
            let current = input.clone().slice_dim(0, t..t + 1).reshape([batch, units]);
            let before = state.membrane.clone();
            let (s, next) = layer.step(current.clone(), state);
            // The potential before the reset is no output of a step: rebuilt from its definition.
            potential.push(if case.config.reset_delay {
                next.membrane.clone()
            } else {
                before * layer.decay.val().unsqueeze::<2>() + current
            });
            spikes.push(s);
            state = next;
        }
        (Tensor::stack(spikes, 0), Tensor::stack(potential, 0), state.membrane)
    };
    let loss = (spikes.clone() * weights.0).sum()
        + (potential.clone() * weights.1).sum()
        + (membrane.clone() * weights.2).sum();
    let gradients: Gradients = loss.backward();
    let of = |gradient: Option<Vec<f32>>| gradient.expect("every input has a gradient");
    Result {
        spikes: floats(spikes),
        potential: floats(potential),
        membrane: floats(membrane),
        gradients: [
            of(input.grad(&gradients).map(floats)),
            of(start.grad(&gradients).map(floats)),
            of(layer.decay.val().grad(&gradients).map(floats)),
            of(layer.threshold.val().grad(&gradients).map(floats)),
        ],
    }
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0f32, |scale, x| scale.max(x.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= tolerance * scale, "{what}[{i}]: found {f}, expected {e}");
    }
}

fn check(case: &Case, name: &str, device: &Device) {
    let expected = run(case, &Device::flex(), false);
    let found = run(case, device, true);
    assert_eq!(found.spikes, expected.spikes, "{name}: spikes");
    assert!(found.spikes.iter().all(|&s| s == 0.0 || s == 1.0), "{name}: spikes are 0 or 1");
    assert_close(&found.potential, &expected.potential, 1e-5, &format!("{name}: potential"));
    assert_close(&found.membrane, &expected.membrane, 1e-5, &format!("{name}: membrane"));
    let names = ["input", "initial membrane", "decay", "threshold"];
    for (input, (found, expected)) in names.iter().zip(found.gradients.iter().zip(&expected.gradients)) {
        assert_close(found, expected, 2e-5, &format!("{name}: gradient of {input}, {case:?}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..Default::default() })]

    #[test]
    fn the_scan_equals_its_steps_on_the_cpu(case in cases()) {
        for (name, device) in &devices()[..2] {
            check(&case, name, device);
        }
    }
}

proptest! {
    // A launch costs milliseconds on a software renderer.
    #![proptest_config(ProptestConfig { cases: 12, ..Default::default() })]

    #[test]
    fn the_scan_equals_its_steps_on_gpus(case in cases()) {
        for (name, device) in devices().iter().skip(2) {
            check(&case, name, device);
        }
    }
}

/// A random product: shape, density, and whether entries are spikes, signed spikes or anything.
#[derive(Clone, Debug)]
struct Product {
    shape: [usize; 3],
    density: f32,
    kind: u8,
    seed: u64,
}

fn products() -> impl Strategy<Value = Product> {
    // Rows beyond one block and columns beyond one tile, with remainders.
    let shape = (1usize..150, 1usize..40, 1usize..150);
    let density = prop_oneof![Just(0.0f32), Just(0.05), Just(0.2), Just(0.6), Just(1.0)];
    (shape, density, 0u8..3, any::<u64>()).prop_map(|((rows, pre, post), density, kind, seed)| Product {
        shape: [rows, pre, post],
        density,
        kind,
        seed,
    })
}

/// Output and both gradients of a product, by the event-driven operation or by Burn's dense one.
fn multiply(product: &Product, device: &Device, events: bool) -> [Vec<f32>; 3] {
    let device = device.clone().autodiff();
    let [rows, pre, post] = product.shape;
    let draw = |name: &str, count: usize| {
        let mut rng = spark::core::seed::rng(product.seed, name);
        Initializer::Uniform { min: -1.0, max: 1.0 }.draw(count, 1, &mut rng)
    };
    let values: Vec<f32> = draw("values", rows * pre)
        .into_iter()
        .zip(draw("mask", rows * pre))
        .map(|(value, mask)| match product.kind {
            _ if 0.5 * (mask + 1.0) >= product.density => 0.0,
            0 => 1.0,
            1 => value.signum(),
            _ => value,
        })
        .collect();
    let tensor =
        |values: Vec<f32>, shape: [usize; 2]| Tensor::<2>::from_data(TensorData::new(values, shape), &device);
    let spikes = tensor(values, [rows, pre]).require_grad();
    let weight = tensor(draw("weight", pre * post), [pre, post]).require_grad();
    let scale = tensor(draw("scale", rows * post), [rows, post]);
    let output = if events {
        spike_matmul(spikes.clone(), weight.clone())
    } else {
        spikes.clone().matmul(weight.clone())
    };
    let gradients = (output.clone() * scale).sum().backward();
    let gradient = |x: &Tensor<2>| floats(x.grad(&gradients).expect("both inputs have a gradient"));
    [floats(output), gradient(&spikes), gradient(&weight)]
}

fn check_product(product: &Product, name: &str, device: &Device) {
    let expected = multiply(product, &Device::flex(), false);
    let found = multiply(product, device, true);
    for (what, (found, expected)) in
        ["output", "spike gradient", "weight gradient"].iter().zip(found.iter().zip(&expected))
    {
        assert_close(found, expected, 1e-5, &format!("{name}: {what}, {product:?}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..Default::default() })]

    #[test]
    fn event_driven_products_equal_dense_ones_on_the_cpu(product in products()) {
        for (name, device) in &devices()[..2] {
            check_product(&product, name, device);
        }
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads(product in products(), case in cases()) {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let device = Device::flex();
                let scan = run(&case, &device, true);
                (multiply(&product, &device, true), format!("{scan:?}"))
            })
        };
        let (one, two) = (with(1), with(2));
        prop_assert!(one == two);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..Default::default() })]

    #[test]
    fn event_driven_products_equal_dense_ones_on_gpus(product in products()) {
        for (name, device) in devices().iter().skip(2) {
            check_product(&product, name, device);
        }
    }
}

/// Gradients of membranes and weights through spikes and a product, which may skip what the surrogate
/// multiplies by zero.
fn gradients_through_spikes(
    [rows, pre, post]: [usize; 3],
    surrogate: Surrogate,
    near: bool,
    device: &Device,
) -> [Vec<f32>; 2] {
    let device = device.clone().autodiff();
    let draw = |name: &str, shape: [usize; 2], min: f32, max: f32| {
        let mut rng = spark::core::seed::rng(5, name);
        let values = Initializer::Uniform { min, max }.draw(shape[0] * shape[1], 1, &mut rng);
        Tensor::<2>::from_data(TensorData::new(values, shape), &device)
    };
    let potential = draw("potential", [rows, pre], -1.0, 2.0).require_grad();
    let weight = draw("weight", [pre, post], -1.0, 1.0).require_grad();
    let threshold = draw("threshold", [1, pre], 0.5, 1.0);
    let spikes = spike(potential.clone() - threshold.clone(), surrogate);
    let current = if near {
        let crossings = Crossings {
            potential: potential.clone(),
            threshold: threshold.squeeze_dim(0),
            half_width: surrogate.support().expect("a compact support"),
        };
        spike_linear_near(spikes, weight.clone(), None, crossings)
    } else {
        spike_linear(spikes, weight.clone(), None)
    };
    let gradients = (current * draw("scale", [rows, post], -1.0, 1.0)).sum().backward();
    let of = |x: &Tensor<2>| floats(x.grad(&gradients).expect("both have a gradient"));
    [of(&potential), of(&weight)]
}

#[test]
fn gradients_that_a_surrogate_makes_zero_can_be_left_out() {
    // The first support leaves one in forty entries, the second more than the sparse way takes.
    for slope in [25.0, 1.0] {
        let surrogate = Surrogate::Triangular { slope };
        for shape in [[1, 1, 1], [70, 130, 65], [130, 64, 200]] {
            let expected = gradients_through_spikes(shape, surrogate, false, &Device::flex());
            for (name, device) in devices() {
                let found = gradients_through_spikes(shape, surrogate, true, &device);
                for (found, expected) in found.iter().zip(&expected) {
                    assert_close(found, expected, 1e-5, &format!("{name}, slope {slope}, {shape:?}"));
                }
            }
        }
    }
}

#[test]
fn spike_and_its_derivative_are_the_same_on_every_backend() {
    let points: Vec<f32> = (-60..=60).map(|i| i as f32 / 20.0).collect();
    for (name, device) in devices() {
        let device = device.autodiff();
        for surrogate in Surrogate::PRESETS {
            let x = Tensor::<1>::from_floats(points.as_slice(), &device).require_grad();
            let spikes = spike(x.clone(), surrogate);
            let gradient = x.grad(&spikes.clone().sum().backward()).expect("x has a gradient");
            let step: Vec<f32> = points.iter().map(|&x| f32::from(u8::from(x > 0.0))).collect();
            assert_eq!(floats(spikes), step, "{name} {surrogate:?}");
            let derivative: Vec<f32> = points.iter().map(|&x| surrogate.derivative(x)).collect();
            assert_close(&floats(gradient), &derivative, 1e-5, &format!("{name} {surrogate:?}"));
        }
    }
}

#[test]
fn a_scan_without_gradients_is_not_recorded() {
    for (name, device) in devices() {
        let input = Tensor::<3>::ones([4, 2, 3], &device.clone().autodiff());
        let layer = LeakyConfig::default().init(3, &device.clone().autodiff());
        let state = layer.initial_state(2, &input.device());
        let (spikes, _) = layer.sequence(input, state);
        // Burn refuses to make a recorded result the start of a new graph.
        let spikes = spikes.require_grad();
        assert!(spikes.grad(&spikes.clone().sum().backward()).is_some(), "{name}");
        assert_eq!(spikes.dims(), [4, 2, 3]);
    }
}

#[test]
fn a_sequence_in_two_parts_continues_exactly() {
    for (name, device) in devices() {
        let config = NetworkConfig::mlp(&[5, 7, 3], LeakyConfig { threshold: 0.3, ..Default::default() });
        let network = config.init(4, &device).unwrap();
        let values = Initializer::Uniform { min: 0.0, max: 1.0 }.draw(
            10 * 2 * 5,
            1,
            &mut spark::core::seed::rng(1, "input"),
        );
        let input = Tensor::<3>::from_data(TensorData::new(values, [10, 2, 5]), &device);
        let whole = network.forward(input.clone(), None);
        let first = network.forward(input.clone().slice_dim(0, 0..4), None);
        let second = network.forward(input.clone().slice_dim(0, 4..10), Some(first.state));
        let parts = Tensor::cat(vec![first.spikes[1].clone(), second.spikes[1].clone()], 0);
        assert_eq!(floats(parts), floats(whole.spikes[1].clone()), "{name}");

        let mut stepped = Stateful::new(network);
        let steps: Vec<Tensor<2>> =
            (0..10).map(|t| stepped.step(input.clone().slice_dim(0, t..t + 1).reshape([2, 5]))).collect();
        let steps: Tensor<3> = Tensor::stack(steps, 0);
        assert_eq!(floats(steps), floats(whole.spikes[1].clone()), "{name}");
        assert!(floats(whole.spikes[1].clone()).contains(&1.0), "{name}: a silent net shows nothing");
    }
}
