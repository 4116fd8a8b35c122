//! Kernels that only GPU backends have, against the CPU.

use crate::support::devices;
use proptest::prelude::*;
use spark::burn::tensor::{DType, TensorData, Tolerance};
use spark::kernels::spike_linear;
use spark::prelude::*;

/// How the weights lie in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Rows,
    Transposed,
    /// Every row a part of a longer one.
    Narrowed,
}

/// A product of few rows of spikes.
#[derive(Clone, Debug)]
struct Product {
    shape: [usize; 3],
    density: f32,
    signed: bool,
    bias: bool,
    layout: Layout,
    seed: u64,
}

fn products() -> impl Strategy<Value = Product> {
    // Rows on both sides of the limit for the kernel, and widths that are no whole vectors or workgroups.
    let rows = prop_oneof![4 => 1usize..17, 1 => 17usize..20];
    let shape = (rows, 1usize..100, prop_oneof![1usize..80, (1usize..20).prop_map(|vectors| 4 * vectors)]);
    let density = prop_oneof![Just(0.0f32), Just(0.1), Just(1.0)];
    let layout =
        prop_oneof![2 => Just(Layout::Rows), 1 => Just(Layout::Transposed), 1 => Just(Layout::Narrowed)];
    (shape, density, layout, any::<[bool; 2]>(), any::<u64>()).prop_map(
        |((rows, pre, post), density, layout, [signed, bias], seed)| Product {
            shape: [rows, pre, post],
            density,
            signed,
            bias,
            layout,
            seed,
        },
    )
}

fn draw<const D: usize>(shape: [usize; D], seed: u64, name: &str, device: &Device) -> Tensor<D> {
    let mut rng = spark::core::seed::rng(seed, name);
    let values = Initializer::Uniform { min: -1.0, max: 1.0 }.draw(shape.iter().product(), 1, &mut rng);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Output and gradients of a random weighting of it, by the operation or by Burn's dense product.
fn multiply(case: &Product, device: &Device, ours: bool) -> Vec<TensorData> {
    let device = device.clone().autodiff();
    let [rows, pre, post] = case.shape;
    let active =
        draw([rows, pre], case.seed, "active", &device).lower_scalar(2.0 * case.density - 1.0).float();
    let sign = draw([rows, pre], case.seed, "sign", &device).sign();
    let spikes = if case.signed { active * sign } else { active }.detach().require_grad();
    let weight = match case.layout {
        Layout::Rows => draw([pre, post], case.seed, "weight", &device),
        Layout::Transposed => draw([post, pre], case.seed, "weight", &device).transpose(),
        Layout::Narrowed => draw([pre, post + 4], case.seed, "weight", &device).slice_dim(1, 0..post),
    };
    let weight = weight.detach().require_grad();
    let bias = case.bias.then(|| draw([post], case.seed, "bias", &device).require_grad());
    let output = if ours {
        spike_linear(spikes.clone(), weight.clone(), bias.clone())
    } else {
        let current = spikes.clone().matmul(weight.clone());
        bias.iter().fold(current, |current, bias| current + bias.clone().unsqueeze())
    };
    let scale = draw([rows, post], case.seed, "scale", &device);
    let gradients = (output.clone() * scale).sum().backward();
    let mut found = vec![output.into_data()];
    found.push(spikes.grad(&gradients).expect("of the spikes").into_data());
    found.push(weight.grad(&gradients).expect("of the weight").into_data());
    found.extend(bias.map(|bias| bias.grad(&gradients).expect("of the bias").into_data()));
    found
}

proptest! {
    // A launch costs milliseconds on a software renderer.
    #![proptest_config(ProptestConfig { cases: 16, ..Default::default() })]

    #[test]
    fn products_of_few_rows_equal_dense_ones(case in products()) {
        for (_, device) in devices().iter().skip(2) {
            let expected = multiply(&case, &Device::flex(), false);
            let found = multiply(&case, device, true);
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                found.assert_approx_eq::<f32>(expected, Tolerance::rel_abs(1e-5, 1e-5));
            }
        }
    }
}

/// A dense product multiplies the infinite weight by zero, which is no number.
#[test]
fn weights_of_silent_units_are_not_read() {
    for (name, device) in devices() {
        let spikes = Tensor::<2>::from_floats([[1.0, 0.0, 0.0], [1.0, 0.0, 1.0]], &device);
        let weight = [[1.0, 2.0], [f32::INFINITY, f32::INFINITY], [4.0, 8.0]];
        let weight = Tensor::<2>::from_floats(weight, &device);
        let bias = Tensor::<1>::from_floats([0.5, 0.25], &device);
        let current = spike_linear(spikes, weight, Some(bias)).into_data();
        assert_eq!(current.try_to_vec::<f32>().expect("f32"), [1.5, 2.25, 5.5, 10.25], "{name}");
    }
}

#[test]
fn half_precision_sums_in_single_precision() {
    for (name, device) in devices().iter().skip(2).filter(|(_, device)| device.supports_dtype(DType::F16)) {
        // Half precision would stop counting ones at 2048. More units than a workgroup packs at a time.
        let spikes = Tensor::<2>::ones([2, 9000], (device, DType::F16));
        let weight = Tensor::<2>::ones([9000, 3], (device, DType::F16));
        let current: Vec<f32> = spike_linear(spikes, weight, None).into_data().iter().collect();
        assert_eq!(current, [9000.0; 6], "{name}");
    }
}
