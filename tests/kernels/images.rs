//! Convolution and pooling of spike images on every backend, against Burn's own.

use crate::support::devices;
use proptest::prelude::*;
use spark::burn::tensor::module::{conv2d, max_pool2d};
use spark::burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use spark::burn::tensor::{TensorData, Tolerance};
use spark::kernels::{SpikeConv2d, spike_conv2d, window_maximum};
use spark::prelude::*;

/// What the pixels of an image are.
#[derive(Clone, Copy, Debug)]
enum Pixels {
    Spikes,
    SignedSpikes,
    Numbers,
}

/// A random convolution.
#[derive(Clone, Debug)]
struct Convolution {
    image: [usize; 4],
    kernel: [usize; 4],
    options: SpikeConv2d,
    pixels: Pixels,
    density: f32,
    bias: bool,
    seed: u64,
}

fn convolutions(images: usize) -> impl Strategy<Value = Convolution> {
    let pixels = prop_oneof![
        4 => Just(Pixels::Spikes),
        1 => Just(Pixels::SignedSpikes),
        1 => Just(Pixels::Numbers)
    ];
    let density = prop_oneof![Just(0.0f32), Just(0.1), Just(0.4), Just(1.0)];
    // Rows longer than a word of bits, more taps than a word has, more filters than a strip.
    let size = (1..images, 1usize..6, 1usize..14, prop_oneof![5 => 1usize..14, 1 => 60usize..70]);
    let kernel = (prop_oneof![5 => 1usize..7, 1 => 62usize..80], 1usize..6, 1usize..6);
    let options = ([1usize..4, 1usize..4], [0usize..3, 0usize..3]);
    (size, kernel, options, pixels, density, any::<bool>(), any::<u64>()).prop_map(
        |((n, c, h, w), (filters, kh, kw), (stride, padding), pixels, density, bias, seed)| Convolution {
            image: [n, c, h, w],
            kernel: [filters, c, kh.min(h + 2 * padding[0]), kw.min(w + 2 * padding[1])],
            options: SpikeConv2d { stride, padding },
            pixels,
            density,
            bias,
            seed,
        },
    )
}

fn draw<const D: usize>(shape: [usize; D], seed: u64, name: &str, device: &Device) -> Tensor<D> {
    let mut rng = spark::core::seed::rng(seed, name);
    let values = Initializer::Uniform { min: -1.0, max: 1.0 }.draw(shape.iter().product(), 1, &mut rng);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Output and gradients of a random weighting of it: of image, weight and bias.
fn convolve(case: &Convolution, device: &Device, ours: bool) -> Vec<TensorData> {
    let device = device.clone().autodiff();
    let numbers = draw(case.image, case.seed, "pixels", &device);
    let active =
        draw(case.image, case.seed, "active", &device).lower_scalar(2.0 * case.density - 1.0).float();
    let image = match case.pixels {
        Pixels::Spikes => active,
        Pixels::SignedSpikes => active * numbers.sign(),
        Pixels::Numbers => active * numbers,
    };
    let image = image.detach().require_grad();
    let weight = draw(case.kernel, case.seed, "weight", &device).require_grad();
    let bias = case.bias.then(|| draw([case.kernel[0]], case.seed, "bias", &device).require_grad());
    let output = if ours {
        spike_conv2d(image.clone(), weight.clone(), bias.clone(), case.options)
    } else {
        let options = ConvOptions::new(case.options.stride, case.options.padding, [1, 1], 1);
        conv2d(image.clone(), weight.clone(), bias.clone(), options)
    };
    let scale = draw(output.dims(), case.seed, "scale", &device);
    // After pooling most of the gradient is zero; the sparse way has to be right for any.
    let scale =
        if case.seed.is_multiple_of(2) { scale.clone() * scale.greater_elem(0.5).float() } else { scale };
    let gradients = (output.clone() * scale).sum().backward();
    let mut found = vec![output.into_data()];
    found.push(image.grad(&gradients).expect("of the image").into_data());
    found.push(weight.grad(&gradients).expect("of the weight").into_data());
    found.extend(bias.map(|bias| bias.grad(&gradients).expect("of the bias").into_data()));
    found
}

fn check_convolution(case: &Convolution, device: &Device) {
    let expected = convolve(case, &Device::flex(), false);
    let found = convolve(case, device, true);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        found.assert_approx_eq::<f32>(expected, Tolerance::rel_abs(1e-5, 1e-4));
    }
}

/// Maxima and the gradient of a random weighting of them.
fn pool(shape: [usize; 4], window: [usize; 2], seed: u64, device: &Device, ours: bool) -> [TensorData; 2] {
    let device = device.clone().autodiff();
    let numbers = draw(shape, seed, "pixels", &device);
    // Half of the cases are full of ties.
    let image = if seed.is_multiple_of(2) { numbers.greater_elem(0.3).float() } else { numbers };
    let image = image.detach().require_grad();
    let output = if ours {
        window_maximum(image.clone(), window)
    } else {
        max_pool2d(image.clone(), MaxPoolOptions::new(window))
    };
    let scale = draw(output.dims(), seed, "scale", &device);
    let gradients = (output.clone() * scale).sum().backward();
    [output.into_data(), image.grad(&gradients).expect("of the image").into_data()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..Default::default() })]

    #[test]
    fn event_driven_convolutions_equal_dense_ones_on_the_cpu(case in convolutions(6)) {
        for (_, device) in &devices()[..2] {
            check_convolution(&case, device);
        }
    }

    #[test]
    fn convolutions_do_not_depend_on_the_number_of_threads(case in convolutions(20)) {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| convolve(&case, &Device::flex(), true))
        };
        prop_assert!(with(1) == with(2));
    }

    #[test]
    fn maxima_equal_those_of_burn(
        (n, c, h, w) in (1usize..5, 1usize..4, 1usize..12, 1usize..12),
        window in [1usize..4, 1usize..4],
        seed in any::<u64>(),
    ) {
        let window = [window[0].min(h), window[1].min(w)];
        let expected = pool([n, c, h, w], window, seed, &Device::flex(), false);
        for (_, device) in &devices()[..2] {
            prop_assert!(pool([n, c, h, w], window, seed, device, true) == expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..Default::default() })]

    #[test]
    fn convolutions_and_maxima_are_the_same_on_gpus(case in convolutions(4)) {
        for (_, device) in devices().iter().skip(2) {
            check_convolution(&case, device);
            let expected = pool([2, 3, 7, 6], [2, 3], case.seed, &Device::flex(), false);
            prop_assert!(pool([2, 3, 7, 6], [2, 3], case.seed, device, true) == expected);
        }
    }
}

#[test]
fn a_maximum_over_something_that_is_no_number_is_none() {
    for (name, device) in &devices()[..2] {
        for window in [[2, 2], [1, 4], [2, 3]] {
            for place in 0..window[0] * window[1] {
                let mut image = vec![1.0f32; window[0] * window[1]];
                image[place] = f32::NAN;
                let image = TensorData::new(image, [1, 1, window[0], window[1]]);
                let maximum: f32 = window_maximum(Tensor::from_data(image, device), window).into_scalar();
                assert!(maximum.is_nan(), "{name}: {window:?}, {place}");
            }
        }
    }
}
