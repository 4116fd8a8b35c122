//! Learning from plateaus: one pass over the synapses of eligible presynaptic units.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use multiversion::multiversion;
use rayon::prelude::*;

use super::plasticity::{ROWS, Settle, settle_all};
use super::spike_terms::Signal;
use super::{HostBackend, math};
use crate::plateau::{Gate, PlateauDynamics, PlateauForm};

/// Synapses from which a second thread is worth waking.
const PARALLEL: usize = 1 << 13;

/// See [`plateau_step`](crate::plateau_step); `None`, with nothing changed, when a tensor is not `f32`.
pub(crate) fn step<B: HostBackend>(
    weight: &mut FloatTensor<B>,
    planes: &[FloatTensor<B>],
    form: &PlateauForm,
) -> Option<()> {
    let [pre, post] = [weight.shape()[0], weight.shape()[1]];
    let options = form.options;
    let eligibility = Signal { kind: form.kind, values: B::slice(&planes[0])?, rows: options.samples, pre };
    let instructive = B::slice(&planes[1])?;
    let sign = match planes.get(2) {
        Some(sign) => Some(B::slice(sign)?),
        None => None,
    };
    let weight = B::slice_mut(weight)?;
    if weight.is_empty() || instructive.iter().all(|p| *p == 0.0) {
        return Some(());
    }

    let part = |of: fn(f32) -> f32| match &sign {
        Some(sign) => sign.iter().map(|g| of(*g).clamp(0.0, 1.0)).collect(),
        None => vec![of(1.0).clamp(0.0, 1.0); options.samples * post],
    };
    let (onwards, back): (Vec<f32>, Vec<f32>) = (part(|g| g), part(|g| -g));
    let rule = Rule::new(form.dynamics, options.max);
    let settle = Settle {
        rate: options.rate / options.samples as f32,
        min: options.min,
        max: options.max,
        each_max: None,
        modulation: None,
        soft: false,
    };
    let block = |start: usize, weight: &mut [f32]| {
        let (mut eligible, mut sums) = (vec![0.0; post], vec![0.0; post]);
        for (unit, weight) in (start..).zip(weight.chunks_exact_mut(post)) {
            let mut any = false;
            for sample in 0..options.samples {
                if !eligibility.to_pairs(sample, unit, form.order.as_deref(), &mut eligible) {
                    continue;
                }
                any = true;
                let row = sample * post..(sample + 1) * post;
                let signals = [&eligible, &instructive[row.clone()], &onwards[row.clone()], &back[row]];
                add_changes(&mut sums, weight, signals, &rule);
            }
            if any {
                settle_all(weight, &mut sums, &settle);
            }
        }
    };
    if weight.len() > PARALLEL {
        let parts = weight.par_chunks_mut(ROWS * post).enumerate();
        parts.for_each(|(part, weight)| block(part * ROWS, weight));
    } else {
        block(0, weight);
    }
    Some(())
}

/// The parameters of the rule as the loop reads them.
struct Rule {
    potentiation: (Gate, [f32; 2]),
    depression: (Gate, [f32; 2]),
    rates: [f32; 3],
    max: f32,
}

impl Rule {
    fn new(dynamics: PlateauDynamics, max: f32) -> Self {
        let PlateauDynamics { potentiation, depression, k_pot, k_dep, k_neg } = dynamics;
        Self {
            potentiation: (potentiation, potentiation.levels()),
            depression: (depression, depression.levels()),
            rates: [k_pot, k_dep, k_neg],
            max,
        }
    }
}

#[inline(always)]
fn gated(overlap: f32, (gate, [low, per_span]): (Gate, [f32; 2])) -> f32 {
    let sigmoid = 1.0 / (1.0 + math::exp(-((overlap - gate.midpoint) * gate.slope)));
    (sigmoid - low) * per_span
}

/// Adds `Δ` of a sample for all synapses of a unit.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn add_changes<'a>(sums: &mut [f32], weight: &[f32], signals: [&'a [f32]; 4], rule: &Rule) {
    let n = weight.len();
    let [eligible, instructive, onwards, back] = signals.map(|signal| &signal[..n]);
    let sums = &mut sums[..n];
    let [k_pot, k_dep, k_neg] = rule.rates;
    for i in 0..n {
        let overlap = eligible[i] * instructive[i];
        let overlap = if overlap > 0.0 { overlap } else { 0.0 };
        let overlap = if overlap < 1.0 { overlap } else { 1.0 };
        let (up, down) = (gated(overlap, rule.potentiation), gated(overlap, rule.depression));
        let change = (rule.max - weight[i]) * up * k_pot - weight[i] * down * k_dep;
        sums[i] += change * onwards[i] - weight[i] * up * back[i] * k_neg;
    }
}
