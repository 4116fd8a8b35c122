//! The speed of single operations on the CPU, each beside what it replaces.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use spark::burn::backend::Dispatch;
use spark::burn::backend::ops::ModuleOps;
use spark::burn::tensor::module::{conv2d, max_pool2d};
use spark::burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use spark::burn::tensor::{Tensor, TensorData};
use spark::kernels::{SpikeConv2d, SpikeOps, spike, spike_conv2d, spike_matmul, window_maximum};
use spark::nn::layers::step_through;
use spark::prelude::{Device, Initializer, Leaky, LeakyConfig, Surrogate, Temporal};
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: spark::memory::Allocator = spark::memory::Allocator;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
        .configure_from_args();
    leaky_scan(&mut criterion);
    products(&mut criterion);
    weight_gradient(&mut criterion);
    convolution(&mut criterion);
    pooling(&mut criterion);
    crossings(&mut criterion);
    surrogates(&mut criterion);
    criterion.final_summary();
}

/// Adds one operation to a group: what it returns is dropped within the measured time, as in a program.
fn measure<R>(group: &mut BenchmarkGroup<'_, WallTime>, name: impl Into<String>, operation: impl Fn() -> R) {
    group.bench_function(BenchmarkId::from_parameter(name.into()), |bencher| bencher.iter(&operation));
}

/// Numbers from 0 to 1.
fn uniform<const D: usize>(shape: [usize; D], name: &str, device: &Device) -> Tensor<D> {
    let mut rng = spark::core::seed::rng(1, name);
    let values = Initializer::Uniform { min: 0.0, max: 1.0 }.draw(shape.iter().product(), 1, &mut rng);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Spikes: the fraction `density` is 1.
fn spikes<const D: usize>(shape: [usize; D], density: f32, device: &Device) -> Tensor<D> {
    uniform(shape, "spikes", device).lower_scalar(density).float()
}

/// A sequence of units as one operation and as a loop over its steps.
fn leaky_scan(criterion: &mut Criterion) {
    const SHAPE: [usize; 3] = [25, 128, 512];
    type Run = fn(&Leaky, Tensor<3>) -> Tensor<3>;
    let fused: Run = |units, input| {
        let state = units.initial_state(SHAPE[1], &input.device());
        units.sequence(input, state).0
    };
    let stepped: Run = |units, input| {
        let state = units.initial_state(SHAPE[1], &input.device());
        step_through(units, input, state).0
    };
    let config = LeakyConfig { decay: 0.9, ..Default::default() };

    let mut group = criterion.benchmark_group("leaky_scan_T25_B128_N512/forward");
    let device = Device::flex();
    let units = config.init(SHAPE[2], &device);
    let input = uniform(SHAPE, "input", &device) * 0.4;
    for (name, run) in [("fused", fused), ("step by step", stepped)] {
        measure(&mut group, name, || run(&units, input.clone()));
    }
    group.finish();

    let mut group = criterion.benchmark_group("leaky_scan_T25_B128_N512/forward and backward");
    let device = device.autodiff();
    let units = config.init(SHAPE[2], &device);
    let input = uniform(SHAPE, "input", &device) * 0.4;
    let weight = uniform(SHAPE, "weight", &device);
    for (name, run) in [("fused", fused), ("step by step", stepped)] {
        measure(&mut group, name, || {
            let input = input.clone().detach().require_grad();
            let gradients = (run(&units, input.clone()) * weight.clone()).sum().backward();
            input.grad(&gradients)
        });
    }
    group.finish();
}

/// Rows, presynaptic and postsynaptic units of the products.
const PRODUCT: [usize; 3] = [3200, 1024, 1024];

fn products(criterion: &mut Criterion) {
    let [rows, pre, post] = PRODUCT;
    let device = Device::flex();
    let weight = uniform([pre, post], "weight", &device);
    let mut group = criterion.benchmark_group("spike_matmul_3200x1024x1024");
    for percent in [1, 5, 13, 30] {
        let spikes = spikes([rows, pre], percent as f32 / 100.0, &device);
        measure(&mut group, format!("events/{percent} %"), || spike_matmul(spikes.clone(), weight.clone()));
        measure(&mut group, format!("dense/{percent} %"), || spikes.clone().matmul(weight.clone()));
    }
    group.finish();
}

/// The gradients of weight and bias without the forward pass that autodiff would run before them.
fn weight_gradient(criterion: &mut Criterion) {
    let [rows, pre, post] = PRODUCT;
    let device = Device::flex();
    let spikes = spikes([rows, pre], 0.05, &device);
    let gradient = uniform([rows, post], "gradient", &device);
    let mut group = criterion.benchmark_group("spike_matmul_weight_gradient_3200x1024x1024");
    measure(&mut group, "events/5 %", || {
        let (spikes, gradient) = (spikes.clone().into_dispatch(), gradient.clone().into_dispatch());
        Dispatch::spike_linear_weight_gradient(spikes, gradient)
    });
    measure(&mut group, "dense/5 %", || {
        (spikes.clone().transpose().matmul(gradient.clone()), gradient.clone().sum_dim(0))
    });
    group.finish();
}

/// The second layer of a convolutional network on digits, 25 steps of 64 samples.
fn convolution(criterion: &mut Criterion) {
    let device = Device::flex();
    let images = spikes([1600, 12, 12, 12], 0.1, &device);
    let weight = uniform([64, 12, 5, 5], "weight", &device);
    let gradient = uniform([1600, 64, 8, 8], "gradient", &device);
    let ours = SpikeConv2d::default();
    let burn = || ConvOptions::new([1, 1], [0, 0], [1, 1], 1);

    let mut group = criterion.benchmark_group("spike_conv2d_1600x12x12x12_64C5/forward");
    measure(&mut group, "events", || spike_conv2d(images.clone(), weight.clone(), None, ours));
    measure(&mut group, "dense", || conv2d(images.clone(), weight.clone(), None, burn()));
    group.finish();

    let inputs = || [&images, &weight, &gradient].map(|tensor| tensor.clone().into_dispatch());
    let mut group = criterion.benchmark_group("spike_conv2d_1600x12x12x12_64C5/input gradient");
    measure(&mut group, "events", || {
        let [images, weight, gradient] = inputs();
        Dispatch::spike_conv2d_input_gradient(images, weight, gradient, ours)
    });
    measure(&mut group, "dense", || {
        let [images, weight, gradient] = inputs();
        Dispatch::conv2d_x_backward(images, weight, gradient, burn())
    });
    group.finish();

    let mut group = criterion.benchmark_group("spike_conv2d_1600x12x12x12_64C5/weight gradient");
    measure(&mut group, "events", || {
        let [images, weight, gradient] = inputs();
        Dispatch::spike_conv2d_weight_gradient(images, weight, gradient, ours)
    });
    measure(&mut group, "dense", || {
        let bias = gradient.clone().sum_dim(0).sum_dim(2).sum_dim(3);
        let [images, weight, gradient] = inputs();
        (Dispatch::conv2d_weight_backward(images, weight, gradient, burn()), bias)
    });
    group.finish();
}

fn pooling(criterion: &mut Criterion) {
    const WINDOW: [usize; 2] = [2, 2];
    let device = Device::flex();
    let images = spikes([1600, 64, 8, 8], 0.1, &device);
    let mut group = criterion.benchmark_group("window_maximum_1600x64x8x8_2x2");
    measure(&mut group, "ours", || window_maximum(images.clone(), WINDOW));
    measure(&mut group, "max_pool2d", || max_pool2d(images.clone(), MaxPoolOptions::new(WINDOW)));
    group.finish();
}

fn crossings(criterion: &mut Criterion) {
    let x = uniform([1 << 20], "x", &Device::flex()) * 4.0 - 2.0;
    let mut group = criterion.benchmark_group("spike_1M");
    measure(&mut group, "ours", || spike(x.clone(), Surrogate::default()));
    measure(&mut group, "comparison and conversion", || x.clone().greater_elem(0.0).float());
    group.finish();
}

/// The derivatives alone: as a plain loop over numbers, and as the backward pass on tensors.
fn surrogates(criterion: &mut Criterion) {
    let device = Device::flex();
    let x = uniform([1 << 20], "x", &device) * 4.0 - 2.0;
    let numbers: Vec<f32> = x.to_data().iter().collect();
    let gradient = uniform([1 << 20], "gradient", &device);
    let mut group = criterion.benchmark_group("surrogate_derivative_1M");
    for surrogate in Surrogate::PRESETS {
        let name = surrogate.name();
        measure(&mut group, format!("loop/{name}"), || {
            black_box(&numbers).iter().map(|&x| surrogate.derivative(x)).collect::<Vec<f32>>()
        });
        measure(&mut group, format!("tensor/{name}"), || {
            let (x, gradient) = (x.clone().into_dispatch(), gradient.clone().into_dispatch());
            Dispatch::spike_backward(x, gradient, surrogate)
        });
    }
    group.finish();
}
