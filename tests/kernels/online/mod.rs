//! The operations of a simulation step on every backend: recorded runs, fused against composed bodies, and
//! independence of the number of threads.

mod channels;
mod delays;
pub mod golden;
mod ionic;
mod plasticity;
mod plateau;
mod random;
mod rules;
mod somas;
mod sparse;
mod traces;

use spark::burn::tensor::TensorData;
use spark::prelude::*;

/// The elements in row-major order.
fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Uniform draws under a name.
fn draw(seed: u64, name: &str, count: usize, min: f32, max: f32) -> Vec<f32> {
    Initializer::Uniform { min, max }.draw(count, 1, &mut spark::core::seed::rng(seed, name))
}

/// Spikes of the given density.
fn spikes(seed: u64, name: &str, count: usize, density: f32) -> Vec<f32> {
    draw(seed, name, count, 0.0, 1.0).into_iter().map(|x| f32::from(u8::from(x < density))).collect()
}

/// Every entry within `tolerance` of the expected one, relative to `1 + |expected|`.
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let close = f == e || (f - e).abs() <= tolerance * (1.0 + e.abs());
        assert!(close, "{what}[{i}]: found {f}, expected {e}");
    }
}

/// What `run` gives with one thread and with two.
fn on_one_and_two_threads<T: Send>(run: impl Fn() -> T + Sync) -> [T; 2] {
    [1, 2].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(&run)
    })
}
