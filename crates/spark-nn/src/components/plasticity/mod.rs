//! Plasticity: spikes of both sides and a kernel in, the kernel as it is after the step out.
//!
//! A [`LearningRule`] says what its traces make of a step; [`Rule`] makes a component of it, and [`Modulated`]
//! one with a third factor. Kernels are taken by value, so that they change in place where nothing else holds
//! them, and at the synapses with an event only, where the rule allows it.
//!
//! Presynaptic spikes come by unit or by pair. Of spikes that are late by a delay of each pair, the trace at a
//! synapse is that of the unit as many steps ago: kept by unit, in a ring.

mod btsp;
mod hebbian;
mod homeostasis;
mod oja;
mod per_type;
mod quadruplet;
mod reward;
mod rule;
mod short_term;
mod stdp;
mod third_factor;
mod traces;
mod triplet;
mod zenke;

pub use btsp::{BTSPRuleConfig, Btsp, BtspInputs, BtspState, PairEligibility};
pub use hebbian::{Hebbian, HebbianRuleConfig, HebbianState, ModulatedHebbianRuleConfig};
pub use homeostasis::{
    HomeostaticScaling, HomeostaticScalingConfig, HomeostaticScalingInputs, HomeostaticScalingPlan,
    HomeostaticScalingState,
};
pub use oja::{ModulatedOjaRuleConfig, Oja, OjaRuleConfig, OjaState};
pub use per_type::PerType;
pub use quadruplet::{ModulatedQuadrupletRuleConfig, Quadruplet, QuadrupletRuleConfig, QuadrupletState};
pub use reward::{RewardInputs, RewardModulatedSTDPConfig, RewardModulatedStdp, RewardModulatedStdpState};
pub use rule::{
    Events, KernelOutput, Learning, LearningRule, Modulated, ModulatedInputs, Rule, RuleInputs, Synapses,
};
pub use short_term::{
    RUShortTermPlasticityConfig, ShortTermInputs, ShortTermOutputs, ShortTermPlasticity, ShortTermState,
};
pub use stdp::{Bounds, PairSTDPConfig, PairStdp, PairStdpState, Pairing};
pub use third_factor::{ThirdFactor, ThirdFactorShape};
pub use traces::{PostTrace, PreSpikes, PreTrace};
pub use triplet::{TripletPlan, TripletSTDPConfig, TripletStdp, TripletStdpState};
pub use zenke::{ModulatedZenkeRuleConfig, TargetTrace, Zenke, ZenkeRuleConfig, ZenkeState};
