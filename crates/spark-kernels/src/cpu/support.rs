//! The gradient of spikes where it is needed, one inner product at a time.
//!
//! A surrogate of compact support multiplies the gradient of most spikes by zero. Where few are left, their
//! inner products cost less than the dense product, though each is slower than its share of that.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use multiversion::{multiversion, target::target_cfg_f};
use rayon::prelude::*;

use super::HostBackend;
use super::masks::{BITS, Masks};

/// Above this fraction of needed entries the dense product is faster.
const DENSITY_LIMIT: f32 = 0.25;

/// Rows of the gradient that one thread takes at a time: they share the weights in the second-level cache.
const ROWS: usize = 64;

/// `gradient [rows, post] × weightᵀ` with weight `[pre, post]`, where the potential lies within `half_width`
/// of the threshold, and zero elsewhere; `None` when the dense product is the better choice.
pub(crate) fn input_gradient<B: HostBackend>(
    gradient: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    [potential, threshold]: [&FloatTensor<B>; 2],
    half_width: f32,
) -> Option<FloatTensor<B>> {
    let (rows, pre, post) = (gradient.shape()[0], weight.shape()[0], weight.shape()[1]);
    if rows * pre * post == 0 {
        return None;
    }
    let (potential, threshold) = (B::slice(potential)?, B::slice(threshold)?);
    let threshold: Vec<f32> = threshold.iter().copied().cycle().take(pre).collect();
    let near = |potential: f32, threshold: f32| (potential - threshold).abs() <= half_width;
    let needed = Masks::of_rows(&potential, &threshold, near);
    if needed.count() as f32 > DENSITY_LIMIT * (rows * pre) as f32 {
        return None;
    }
    let (gradient, weight) = (B::slice(gradient)?, B::slice(weight)?);
    let mut output = vec![0.0; rows * pre];
    output
        .par_chunks_mut(ROWS * pre)
        .zip(gradient.par_chunks(ROWS * post))
        .zip(needed.bits.par_chunks(ROWS * needed.words))
        .for_each(|((output, gradient), needed_here)| {
            for word in 0..needed.words {
                let masks = needed_here.iter().skip(word).step_by(needed.words);
                let rows = output.chunks_exact_mut(pre).zip(gradient.chunks_exact(post));
                for ((output, gradient), &mask) in rows.zip(masks) {
                    let mut mask = mask;
                    while mask != 0 {
                        let unit = word * BITS + mask.trailing_zeros() as usize;
                        mask &= mask - 1;
                        output[unit] = inner_product(gradient, &weight[unit * post..][..post]);
                    }
                }
            }
        });
    Some(B::tensor(output, Shape::from([rows, pre])))
}

/// Numbers that are summed up side by side.
const SIDE: usize = 64;

/// `Σ a·b`, in an order that does not depend on the instruction set.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn inner_product(a: &[f32], b: &[f32]) -> f32 {
    // Without the instruction a fused product would be a call.
    let fused = target_cfg_f!(any(target_feature = "fma", target_arch = "aarch64"));
    let mut sums = [0.0f32; SIDE];
    let ((whole_a, rest_a), (whole_b, rest_b)) = (a.as_chunks::<SIDE>(), b.as_chunks::<SIDE>());
    for (a, b) in whole_a.iter().zip(whole_b) {
        for i in 0..SIDE {
            if fused {
                sums[i] = a[i].mul_add(b[i], sums[i]);
            } else {
                sums[i] += a[i] * b[i];
            }
        }
    }
    for (sum, (a, b)) in sums.iter_mut().zip(rest_a.iter().zip(rest_b)) {
        *sum += a * b;
    }
    // Halving keeps the additions of each level independent of one another.
    let mut width = SIDE;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            sums[i] += sums[i + width];
        }
    }
    sums[0]
}
