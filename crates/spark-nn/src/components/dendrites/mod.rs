//! Dendrites: compartments between synapses and a soma.

mod leaky;

pub use leaky::{
    DendriteInputs, DendriteOutputs, DendritePlan, DendriteState, LeakyDendrite, LeakyDendriteConfig,
};
