//! One unit of one sample in a kernel.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use crate::gpu::buffers::crossing;
use crate::gpu::surrogate::Fixed;
use crate::scan::Parts;
use crate::{Reset, ScanOptions};

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Plan {
    pub parts: Parts,
    pub reset: Reset,
    pub reset_delay: bool,
    pub reset_gradient: bool,
    pub current_delay: bool,
    pub surrogate: Fixed,
}

impl Plan {
    pub fn new(parts: Parts, options: &ScanOptions) -> Self {
        Self {
            parts,
            reset: options.reset,
            reset_delay: options.reset_delay,
            reset_gradient: options.reset_gradient,
            current_delay: options.current_delay,
            surrogate: Fixed(options.surrogate),
        }
    }

    /// Whether this reset acts in the step of its spike.
    pub fn at_once(&self, reset: Reset) -> bool {
        self.parts.spikes && !self.reset_delay && self.reset == reset
    }

    /// Whether this reset acts one step late.
    pub fn late(&self, reset: Reset) -> bool {
        self.parts.spikes && self.reset_delay && self.reset == reset
    }

    /// Whether a spike acts on its unit one step late at all.
    pub fn late_crossing(&self) -> bool {
        self.parts.spikes && self.reset_delay && (self.reset != Reset::None || self.parts.adaptation)
    }
}

/// What does not change from step to step; zero where the unit has no such part.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(super) struct Parameters {
    pub decay: f32,
    pub threshold: f32,
    pub current_decay: f32,
    pub adaptation_decay: f32,
    pub adaptation_strength: f32,
}

/// What a unit carries from step to step; zero where it has no such part.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(super) struct State {
    pub membrane: f32,
    pub current: f32,
    pub adaptation: f32,
}

/// What a step computes.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(super) struct Step {
    pub potential: f32,
    pub spikes: f32,
    pub after: State,
}

/// The thresholds of a step.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(super) struct Thresholds {
    /// `Θ[t]`.
    pub now: f32,
    /// `Θ'`, by which a delayed reset acts.
    pub reset: f32,
    /// The adaptation that `Θ[t]` knows.
    pub raised: f32,
}

#[cube]
pub(super) fn thresholds(
    unit: Parameters,
    membrane: f32,
    adaptation: f32,
    #[comptime] plan: Plan,
) -> Thresholds {
    let mut now = unit.threshold;
    let mut reset = unit.threshold;
    let mut raised = adaptation;
    if comptime!(plan.parts.adaptation) {
        reset = adaptation * unit.adaptation_strength + unit.threshold;
        if comptime!(plan.reset_delay) {
            raised = adaptation * unit.adaptation_decay + crossing(membrane - reset);
        }
        now = raised * unit.adaptation_strength + unit.threshold;
    }
    Thresholds { now, reset, raised }
}

/// One step from the state `before` with input `x`.
#[cube]
pub(super) fn step(unit: Parameters, before: State, x: f32, #[comptime] plan: Plan) -> Step {
    let mut current = before.current;
    let mut drive = x;
    if comptime!(plan.parts.current) {
        current = before.current * unit.current_decay + x;
        if comptime!(plan.current_delay) {
            drive = before.current;
        } else {
            drive = current;
        }
    }
    let theta = thresholds(unit, before.membrane, before.adaptation, plan);
    let mut u = before.membrane * unit.decay + drive;
    if comptime!(plan.late(Reset::Subtract)) {
        u -= crossing(before.membrane - theta.reset) * theta.reset;
    }
    if comptime!(plan.late(Reset::Zero)) {
        let kept = 1.0 - crossing(before.membrane - theta.reset);
        u = before.membrane * kept * unit.decay + drive;
    }
    let potential = u;
    let mut spikes = f32::new(0.0);
    if comptime!(plan.parts.spikes) {
        spikes = crossing(potential - theta.now);
    }
    let mut membrane = potential;
    if comptime!(plan.at_once(Reset::Subtract)) {
        membrane = potential - spikes * theta.now;
    }
    if comptime!(plan.at_once(Reset::Zero)) {
        membrane = potential * (1.0 - spikes);
    }
    let mut adaptation = theta.raised;
    if comptime!(plan.parts.adaptation && !plan.reset_delay) {
        adaptation = before.adaptation * unit.adaptation_decay + spikes;
    }
    Step { potential, spikes, after: State { membrane, current, adaptation } }
}
