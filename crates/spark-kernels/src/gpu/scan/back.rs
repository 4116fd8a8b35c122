//! One step of a unit backwards, in a kernel.
//!
//! `dx` stands for the gradient of the loss with respect to `x`.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::unit::{Parameters, Plan, State, thresholds};
use crate::Reset;
use crate::gpu::buffers::crossing;
use crate::gpu::surrogate::slope;

/// What a unit went through in one step: `U[t]`, and its state before.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(super) struct Past {
    pub potential: f32,
    pub membrane: f32,
    pub current: f32,
    pub adaptation: f32,
}

/// Gradients that the outputs of a step receive from outside.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(super) struct Arrived {
    pub spikes: f32,
    pub potential: f32,
}

/// The gradients that one step gives.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(super) struct Back {
    pub input: f32,
    /// Of the state before the step.
    pub before: State,
    /// Of the parameters; the threshold's is that of `θ`.
    pub terms: Parameters,
}

/// Goes one step back from the gradients of the state after it.
#[cube]
pub(super) fn step_back(
    unit: Parameters,
    past: Past,
    arrived: Arrived,
    carried: State,
    #[comptime] plan: Plan,
) -> Back {
    let theta = thresholds(unit, past.membrane, past.adaptation, plan);
    let through_reset = f32::new(comptime!(if plan.reset_gradient { 1.0 } else { 0.0 }));
    let mut da = carried.adaptation;
    let mut d_decay = f32::new(0.0);
    let mut d_threshold = f32::new(0.0);
    let mut d_adaptation_decay = f32::new(0.0);
    let mut d_strength = f32::new(0.0);

    // To U[t], through a reset at once and the crossing of Θ[t].
    let mut du = carried.membrane;
    if comptime!(plan.parts.spikes) {
        let s = crossing(past.potential - theta.now);
        let mut ds = arrived.spikes;
        let mut d_theta = f32::new(0.0);
        if comptime!(plan.at_once(Reset::Subtract)) {
            ds -= through_reset * (carried.membrane * theta.now);
            d_theta -= carried.membrane * s;
        }
        if comptime!(plan.at_once(Reset::Zero)) {
            ds -= through_reset * (carried.membrane * past.potential);
            du = carried.membrane * (1.0 - s);
        }
        if comptime!(plan.parts.adaptation && !plan.reset_delay) {
            ds += da;
            d_adaptation_decay += da * past.adaptation;
            da *= unit.adaptation_decay;
        }
        let d_crossing = ds * slope(past.potential - theta.now, plan.surrogate);
        du += d_crossing;
        d_theta -= d_crossing;
        d_threshold += d_theta;
        if comptime!(plan.parts.adaptation) {
            d_strength += d_theta * theta.raised;
            da += d_theta * unit.adaptation_strength;
        }
    }
    du += arrived.potential;

    // To V[t−1] and A[t−1], through a delayed reset and the crossing of Θ'.
    let mut dv = du * unit.decay;
    let mut integrated = past.membrane;
    if comptime!(plan.late_crossing()) {
        let r = crossing(past.membrane - theta.reset);
        let mut dr = f32::new(0.0);
        let mut d_theta = f32::new(0.0);
        if comptime!(plan.late(Reset::Subtract)) {
            dr -= through_reset * (du * theta.reset);
            d_theta -= du * r;
        }
        if comptime!(plan.late(Reset::Zero)) {
            dr -= through_reset * (dv * past.membrane);
            dv *= 1.0 - r;
            integrated *= 1.0 - r;
        }
        if comptime!(plan.parts.adaptation) {
            dr += da;
            d_adaptation_decay += da * past.adaptation;
            da *= unit.adaptation_decay;
        }
        let d_crossing = dr * slope(past.membrane - theta.reset, plan.surrogate);
        dv += d_crossing;
        d_theta -= d_crossing;
        d_threshold += d_theta;
        if comptime!(plan.parts.adaptation) {
            d_strength += d_theta * past.adaptation;
            da += d_theta * unit.adaptation_strength;
        }
    }
    d_decay += du * integrated;

    // To I[t] and C[t−1].
    let mut input = du;
    let mut dc = f32::new(0.0);
    let mut d_current_decay = f32::new(0.0);
    if comptime!(plan.parts.current) {
        if comptime!(plan.current_delay) {
            input = carried.current;
            dc = carried.current * unit.current_decay + du;
        } else {
            input = du + carried.current;
            dc = input * unit.current_decay;
        }
        d_current_decay = input * past.current;
    }
    Back {
        input,
        before: State { membrane: dv, current: dc, adaptation: da },
        terms: Parameters {
            decay: d_decay,
            threshold: d_threshold,
            current_decay: d_current_decay,
            adaptation_decay: d_adaptation_decay,
            adaptation_strength: d_strength,
        },
    }
}
