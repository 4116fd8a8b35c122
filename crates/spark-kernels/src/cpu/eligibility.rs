//! Three-factor rules: one pass over the eligibility, and over the weights when a third factor is there.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use multiversion::multiversion;
use rayon::prelude::*;

use super::plasticity::{ROWS, Settle, settle_all};
use super::spike_terms::{SpikeTerms, Sums, add_products, add_scaled};
use super::{HostBackend, columns_mut};
use crate::eligibility::EligibilityForm;
use crate::plasticity::Terms;

/// See [`eligibility_step`](crate::eligibility_step), on weight and eligibility; `None`, with nothing
/// changed, when a tensor is not `f32`.
pub(crate) fn step<B: HostBackend>(
    [weight, eligibility]: [&mut FloatTensor<B>; 2],
    terms: &Terms<FloatTensor<B>>,
    modulation: &FloatTensor<B>,
    form: &EligibilityForm,
) -> Option<()> {
    let [pre, post] = [weight.shape()[0], weight.shape()[1]];
    let terms = terms.as_ref().try_map(B::slice)?;
    let spikes = SpikeTerms::new(terms.on_pre, terms.on_post, form.order.as_deref(), [pre, post]);
    let modulation = Modulation {
        pre: modulation.shape()[1],
        post: modulation.shape()[2],
        values: &B::slice(modulation)?,
    };
    let weight = B::slice_mut(weight)?;
    let eligibility = B::slice_mut(eligibility)?;
    if weight.is_empty() {
        return Some(());
    }

    let options = form.options;
    let used = modulation.values.iter().any(|m| *m != 0.0);
    let block = |start: usize, weight: &mut [f32], samples: &mut [&mut [f32]]| {
        let (mut sums, mut change) = (Sums::new(post), vec![0.0; post]);
        for (row, weight) in weight.chunks_exact_mut(post).enumerate() {
            let unit = start + row;
            for (sample, eligibility) in samples.iter_mut().enumerate() {
                let rows = spikes.rows.map(|rows| {
                    let each = rows / options.samples;
                    sample * each..(sample + 1) * each
                });
                spikes.add(unit, rows, &mut sums);
                let eligibility = &mut eligibility[row * post..(row + 1) * post];
                decay(eligibility, &mut sums.values, form.decay);
                modulation.add(sample, unit, eligibility, &mut change);
            }
            if used {
                let at = unit * post..(unit + 1) * post;
                let settle = Settle {
                    rate: options.rate / options.samples as f32,
                    min: options.min,
                    max: options.max,
                    each_max: terms.max.as_deref().map(|max| &max[at]),
                    modulation: None,
                    soft: options.soft,
                };
                settle_all(weight, &mut change, &settle);
            }
        }
    };
    let blocks = columns_mut(eligibility, pre * post, ROWS * post);
    let parts = weight.par_chunks_mut(ROWS * post).zip(blocks).enumerate();
    parts.for_each(|(part, (weight, mut samples))| block(part * ROWS, weight, &mut samples));
    Some(())
}

/// A third factor, `[samples, pre or 1, post or 1]`.
struct Modulation<'a> {
    values: &'a [f32],
    pre: usize,
    post: usize,
}

impl Modulation<'_> {
    /// Adds a unit's share of the change in a sample.
    fn add(&self, sample: usize, unit: usize, eligibility: &[f32], change: &mut [f32]) {
        let row = sample * self.pre + if self.pre == 1 { 0 } else { unit };
        let factors = &self.values[row * self.post..(row + 1) * self.post];
        match factors {
            [0.0] => {}
            &[factor] => add_scaled(change, eligibility, factor),
            _ => add_products(change, eligibility, factors),
        }
    }
}

/// `e ← e − λ·e + Δ`, and clears the sums `Δ`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn decay(eligibility: &mut [f32], sums: &mut [f32], rate: f32) {
    for (e, sum) in eligibility.iter_mut().zip(sums) {
        *e = *e + -*e * rate + *sum;
        *sum = 0.0;
    }
}
