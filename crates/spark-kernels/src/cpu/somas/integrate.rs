//! The potential after a step of each model.

use super::super::lanes::LANES;
use super::super::math;
use crate::somas::ionic::{self, GateRates, Kinetics, SQUID_AXON, TRAUB_MILES, WANG_BUZSAKI};
use crate::somas::quadratic::{self, Quadratic};
use crate::somas::{Gates, HodgkinHuxleyRates, IonicMembrane, SomaModel};

/// Updates the potential and, of a model with ionic currents, its gates.
#[inline(always)]
pub(super) fn step(
    model: &SomaModel<&[f32]>,
    v: &mut [f32],
    input: &[f32],
    recovery: Option<&[f32]>,
    gates: Option<&mut Gates<&mut [f32]>>,
) {
    let n = v.len();
    let input = &input[..n];
    match model {
        SomaModel::Leaky { decay, gain } => {
            let (decay, gain) = (&decay[..n], &gain[..n]);
            for i in 0..n {
                v[i] = v[i] * decay[i] + input[i] * gain[i];
            }
        }
        SomaModel::Exponential { rate, resistance, rheobase, slope } => {
            let (rate, resistance) = (&rate[..n], &resistance[..n]);
            let (rheobase, slope) = (&rheobase[..n], &slope[..n]);
            for i in 0..n {
                let upstroke = slope[i] * math::exp((v[i] - rheobase[i]) / slope[i]);
                v[i] += rate[i] * (upstroke - v[i] + resistance[i] * input[i]);
            }
        }
        SomaModel::Izhikevich { dt, resistance, .. } => {
            let u = &recovery.unwrap_or_default()[..n];
            let (dt, resistance) = (&dt[..n], &resistance[..n]);
            for i in 0..n {
                let quadratic = v[i] * 0.04 * v[i] + v[i] * 5.0 + 140.0;
                v[i] += dt[i] * (quadratic - u[i] + resistance[i] * input[i]);
            }
        }
        SomaModel::Quadratic { rate, resistance, curvature, rest, critical } => {
            let (rate, resistance, curvature) = (&rate[..n], &resistance[..n], &curvature[..n]);
            let (rest, critical) = (&rest[..n], &critical[..n]);
            for i in 0..n {
                let model = Quadratic {
                    rate: rate[i],
                    resistance: resistance[i],
                    curvature: curvature[i],
                    rest: rest[i],
                    critical: critical[i],
                };
                v[i] = quadratic::potential(model, v[i], input[i]);
            }
        }
        SomaModel::HodgkinHuxley { membrane, rates } => match rates {
            HodgkinHuxleyRates::SquidAxon => ionic_step(SQUID_AXON, membrane, v, input, gates),
            HodgkinHuxleyRates::TraubMiles => ionic_step(TRAUB_MILES, membrane, v, input, gates),
        },
        SomaModel::WangBuzsaki { membrane } => ionic_step(WANG_BUZSAKI, membrane, v, input, gates),
    }
}

/// Updates potential and gates, of which a missing `m` is instantaneous. One loop for each of them, few
/// enough slices in it that it becomes vector instructions.
#[inline(always)]
fn ionic_step(
    kinetics: Kinetics,
    membrane: &IonicMembrane<&[f32]>,
    v: &mut [f32],
    input: &[f32],
    gates: Option<&mut Gates<&mut [f32]>>,
) {
    let Gates { m, h, n } = gates.expect("a model with ionic currents has gates");
    let membrane = membrane.as_ref().map(|plane| &plane[..v.len()]);
    let mut next = [0.0; LANES];
    let next = &mut next[..v.len()];
    match m {
        Some(m) => {
            potential(&membrane, 1.0, v, input, [m, h, n], next);
            relax(kinetics.m, m, v, &membrane);
            relax(kinetics.h, h, v, &membrane);
            relax(kinetics.n, n, v, &membrane);
        }
        None => {
            relax(kinetics.h, h, v, &membrane);
            relax(kinetics.n, n, v, &membrane);
            let mut m = [0.0; LANES];
            let m = &mut m[..v.len()];
            settle(kinetics.m, m, v, &membrane);
            potential(&membrane, 0.5, v, input, [m, h, n], next);
            settle(kinetics.m, m, next, &membrane);
            potential(&membrane, 1.0, v, input, [m, h, n], next);
        }
    }
    v.copy_from_slice(next);
}

/// Writes the potential after a portion of the step to `next`.
#[inline(always)]
fn potential(
    membrane: &IonicMembrane<&[f32]>,
    portion: f32,
    v: &[f32],
    input: &[f32],
    gates: [&[f32]; 3],
    next: &mut [f32],
) {
    let count = next.len();
    let membrane = membrane.as_ref().map(|plane| &plane[..count]);
    let [m, h, n] = gates.map(|gate| &gate[..count]);
    let (v, input) = (&v[..count], &input[..count]);
    for i in 0..count {
        let membrane = membrane.as_ref().map(|plane| plane[i]);
        next[i] = ionic::potential(membrane, portion, v[i], input[i], [m[i], h[i], n[i]]);
    }
}

#[inline(always)]
fn relax(rates: GateRates, gate: &mut [f32], v: &[f32], membrane: &IonicMembrane<&[f32]>) {
    let n = gate.len();
    let (v, shift) = (&v[..n], &membrane.shift[..n]);
    let (speed, dt) = (&membrane.speed[..n], &membrane.dt[..n]);
    for i in 0..n {
        gate[i] = rates.relax(gate[i], v[i] - shift[i], speed[i] * dt[i]);
    }
}

#[inline(always)]
fn settle(rates: GateRates, gate: &mut [f32], v: &[f32], membrane: &IonicMembrane<&[f32]>) {
    let n = gate.len();
    let (v, shift) = (&v[..n], &membrane.shift[..n]);
    for i in 0..n {
        gate[i] = rates.steady(v[i] - shift[i]);
    }
}
