//! Learning from plateaus: one pass over the synapses of eligible presynaptic units.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use multiversion::multiversion;
use rayon::prelude::*;
use std::ops::Range;

use super::plasticity::{ROWS, Settle, settle_all};
use super::spike_terms::Signal;
use super::{HostBackend, math};
use crate::plasticity::Kind;
use crate::plateau::{Gate, PlateauDynamics, PlateauForm};

/// Synapses from which a second thread is worth waking.
const PARALLEL: usize = 1 << 13;

/// Synapses whose gates are looked at together.
const PIECE: usize = 128;

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
    let signals = |sample: usize| {
        let row = sample * post..(sample + 1) * post;
        [&instructive[row.clone()], &onwards[row.clone()], &back[row]]
    };
    let parts: Vec<Vec<Part>> = (0..options.samples).map(|sample| parts(signals(sample)[0])).collect();
    let block = |start: usize, weight: &mut [f32]| {
        let (mut eligible, mut sums) = (vec![0.0; post], vec![0.0; post]);
        for (unit, weight) in (start..).zip(weight.chunks_exact_mut(post)) {
            let mut any = false;
            for sample in 0..options.samples {
                let row = Row { signals: signals(sample), weight, rule: &rule };
                if eligibility.kind == Kind::Units {
                    let eligible_unit = eligibility.unit(sample, unit);
                    any |= row.add_of_unit(eligible_unit, &parts[sample], &mut eligible, &mut sums);
                } else if eligibility.to_pairs(sample, unit, form.order.as_deref(), &mut eligible) {
                    row.add(0..post, &eligible, [None; 2], &mut sums);
                    any = true;
                }
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
    /// Of potentiation and of depression.
    gates: [Sigmoid; 2],
    rates: [f32; 3],
    max: f32,
}

impl Rule {
    fn new(dynamics: PlateauDynamics, max: f32) -> Self {
        let PlateauDynamics { potentiation, depression, k_pot, k_dep, k_neg } = dynamics;
        let sigmoid = |gate: Gate| Sigmoid { gate, levels: gate.levels() };
        Self { gates: [potentiation, depression].map(sigmoid), rates: [k_pot, k_dep, k_neg], max }
    }
}

/// A gate with its levels.
struct Sigmoid {
    gate: Gate,
    levels: [f32; 2],
}

impl Sigmoid {
    #[inline(always)]
    fn exponent(&self, overlap: f32) -> f32 {
        -((overlap - self.gate.midpoint) * self.gate.slope)
    }

    /// `q(o)`; exactly 0 at 0.
    #[inline(always)]
    fn at(&self, overlap: f32) -> f32 {
        let sigmoid = 1.0 / (1.0 + math::exp(self.exponent(overlap)));
        let [low, per_span] = self.levels;
        if overlap > 0.0 { (sigmoid - low) * per_span } else { 0.0 }
    }

    /// The value that [`at`](Self::at) has, bit for bit, at all overlaps between two, if there is one. `known`
    /// is where it was last found, and what.
    fn between(&self, ends: [f32; 2], known: &mut [f32; 2]) -> Option<f32> {
        if ends[0] == ends[1] {
            if known[0] != ends[0] {
                *known = [ends[0], self.at(ends[0])];
            }
            return Some(known[1]);
        }
        // Outside of these exponents a sigmoid is exactly 0 or 1.
        let exponents = ends.map(|overlap| self.exponent(overlap));
        let sigmoid = if exponents.iter().all(|x| *x >= 89.0) {
            0.0
        } else if exponents.iter().all(|x| *x <= -17.5) {
            1.0
        } else {
            return None;
        };
        let value = (sigmoid - self.levels[0]) * self.levels[1];
        (value == 0.0 || ends.iter().all(|overlap| *overlap > 0.0)).then_some(value)
    }
}

/// The synapses of a unit in a sample.
struct Row<'a> {
    /// Instructive signal and the parts of the sign, by postsynaptic unit.
    signals: [&'a [f32]; 3],
    weight: &'a [f32],
    rule: &'a Rule,
}

impl Row<'_> {
    /// Adds `Δ` for a unit with the same eligibility for all its synapses; `memory` is as long as the row. Tells
    /// whether there is any change.
    ///
    /// Most of the time gates are either shut or open, or all plateaus the same: exponentials are left for the
    /// parts where that is not so.
    fn add_of_unit(&self, eligible: f32, parts: &[Part], memory: &mut [f32], sums: &mut [f32]) -> bool {
        if eligible == 0.0 {
            return false;
        }
        let (mut any, mut known) = (false, [[f32::NAN, 0.0]; 2]);
        for (part, span) in parts {
            let ends = span.map(|instructive| overlap(eligible, instructive));
            let [potentiation, depression] = &self.rule.gates;
            let same = [potentiation.between(ends, &mut known[0]), depression.between(ends, &mut known[1])];
            if same == [Some(0.0); 2] {
                continue;
            }
            if same.contains(&None) {
                memory[part.clone()].fill(eligible);
            }
            self.add(part.clone(), memory, same, sums);
            any = true;
        }
        any
    }

    /// Adds `Δ` for a part of the synapses. Gates that have the `same` value for all of them are not computed.
    fn add(&self, part: Range<usize>, eligible: &[f32], same: [Option<f32>; 2], sums: &mut [f32]) {
        let [instructive, onwards, back] = self.signals.map(|signal| &signal[part.clone()]);
        let (sums, weight) = (&mut sums[part.clone()], &self.weight[part.clone()]);
        if let [Some(up), Some(down)] = same {
            return add_same(sums, [weight, onwards, back], [up, down], self.rule);
        }
        let mut values = [[0.0; PIECE]; 2];
        for start in (0..sums.len()).step_by(PIECE) {
            let piece = start..(start + PIECE).min(sums.len());
            for ((values, same), gate) in values.iter_mut().zip(same).zip(&self.rule.gates) {
                let values = &mut values[..piece.len()];
                match same {
                    Some(value) => values.fill(value),
                    None => gate_all(
                        values,
                        &eligible[part.start + piece.start..][..piece.len()],
                        &instructive[piece.clone()],
                        gate,
                    ),
                }
            }
            let [up, down] = &values;
            let row = [weight, onwards, back].map(|signal| &signal[piece.clone()]);
            add_each(&mut sums[piece], row, [up, down], self.rule);
        }
    }
}

/// Neighbouring units, and the smallest and the largest of their signals.
type Part = (Range<usize>, [f32; 2]);

/// Pieces of a row, joined where their signals lie between the same two.
fn parts(signals: &[f32]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (piece, signals) in signals.chunks(PIECE).enumerate() {
        let (start, span) = (piece * PIECE, span(signals));
        let end = start + signals.len();
        match parts.last_mut() {
            Some((part, before)) if *before == span => part.end = end,
            _ => parts.push((start..end, span)),
        }
    }
    parts
}

/// The smallest and the largest signal; without bounds where one is not a number.
fn span(signals: &[f32]) -> [f32; 2] {
    let mut span = [f32::INFINITY, f32::NEG_INFINITY];
    for &signal in signals {
        if signal.is_nan() {
            return [f32::NEG_INFINITY, f32::INFINITY];
        }
        span = [span[0].min(signal), span[1].max(signal)];
    }
    span
}

#[inline(always)]
fn overlap(eligible: f32, instructive: f32) -> f32 {
    let overlap = eligible * instructive;
    let overlap = if overlap > 0.0 { overlap } else { 0.0 };
    if overlap < 1.0 { overlap } else { 1.0 }
}

/// `q(o)` of some synapses.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn gate_all(values: &mut [f32], eligible: &[f32], instructive: &[f32], gate: &Sigmoid) {
    let n = values.len();
    let (eligible, instructive) = (&eligible[..n], &instructive[..n]);
    for i in 0..n {
        values[i] = gate.at(overlap(eligible[i], instructive[i]));
    }
}

/// `Δ` of a synapse from its weight and the parts of the sign.
#[inline(always)]
fn change([weight, onwards, back]: [f32; 3], [up, down]: [f32; 2], rule: &Rule) -> f32 {
    let [k_pot, k_dep, k_neg] = rule.rates;
    let change = (rule.max - weight) * up * k_pot - weight * down * k_dep;
    change * onwards - weight * up * back * k_neg
}

/// Adds `Δ` of synapses with the same gates.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn add_same<'a>(sums: &mut [f32], row: [&'a [f32]; 3], gates: [f32; 2], rule: &Rule) {
    let n = sums.len();
    let [weight, onwards, back] = row.map(|signal| &signal[..n]);
    for i in 0..n {
        sums[i] += change([weight[i], onwards[i], back[i]], gates, rule);
    }
}

/// Adds `Δ` of synapses with gates of their own.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn add_each<'a>(sums: &mut [f32], row: [&'a [f32]; 3], gates: [&'a [f32; PIECE]; 2], rule: &Rule) {
    let n = sums.len();
    let [weight, onwards, back] = row.map(|signal| &signal[..n]);
    let [up, down] = gates.map(|gate| &gate[..n]);
    for i in 0..n {
        sums[i] += change([weight[i], onwards[i], back[i]], [up[i], down[i]], rule);
    }
}
