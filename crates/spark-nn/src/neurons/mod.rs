//! Neurons that are ready for use: delays, synapses, a soma and a rule that moves the synapses.
//!
//! [`lif`], [`alif`] and [`adex`] take `in_spikes` and give `out_spikes`, and are wired alike:
//!
//! ```text
//! in_spikes → delays → synapses → soma → out_spikes
//!               └──────────┐       │
//!                 hebbian_rule ←───┘    kernel of the synapses → rule → back
//! ```
//!
//! ```
//! use burn::tensor::Device;
//! use spark_core::component::Context;
//! use spark_core::model::Model;
//! use spark_core::payload::{PayloadKind, Shape};
//! use spark_core::ports::InputShapes;
//! use spark_core::simulation::{Drive, Drives, Record, Simulation};
//!
//! let mut neuron = spark_nn::neurons::lif();
//! neuron.units = vec![10];
//! let mut model = Model::of(&neuron)?;
//! model.set(&"synapses.kernel".parse()?, &1000.into())?;
//! let device = Device::flex();
//! let shapes = InputShapes::default().with("in_spikes", Shape::new(PayloadKind::Spikes, &[5]));
//! let drives = Drives::new(&shapes, &[("in_spikes".to_owned(), Drive::Constant(1.0))], &device)?;
//! let mut run = Simulation::new(&model, drives, &Record::default(), &Context::new("", &device))?;
//! run.run(100, |_, _| true)?;
//! assert!(run.activity()[0].rate > Some(0.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Any of their modules can be set, replaced or added to in a configuration, see
//! [`complete`](spark_core::model::complete). [`Balanced`] networks are neurons that feed themselves.

mod adex;
mod alif;
mod balanced;
mod lif;
#[cfg(test)]
mod tests;

pub use adex::adex;
pub use alif::alif;
pub use balanced::Balanced;
pub use lif::lif;

use spark_core::ComponentConfig;
use spark_core::model::ModuleSpec;

use crate::components::delays::N2NDelaysConfig;
use crate::components::plasticity::HebbianRuleConfig;
use crate::controllers::NeuronConfig;

/// Registers a neuron that a function makes.
macro_rules! neuron {
    ($name:literal, $summary:literal, $make:path) => {
        spark_core::registry::inventory::submit! {
            $crate::controllers::NeuronConfig::registration($name, $summary, || {
                spark_core::registry::AnyConfig::settings(&$make())
            })
        }
    };
}

use neuron;

/// Delays, synapses, soma and Hebbian rule.
fn hebbian<S: ComponentConfig, M: ComponentConfig>(
    name: &'static str,
    synapses: &S,
    soma: &M,
) -> NeuronConfig {
    NeuronConfig::called(name)
        .with(ModuleSpec::new("delays", &N2NDelaysConfig::default()).input("in_spikes", "__call__.in_spikes"))
        .with(
            ModuleSpec::new("synapses", synapses)
                .input("spikes", "delays.out_spikes")
                .effect("kernel", "hebbian_rule.kernel"),
        )
        .with(
            ModuleSpec::new("soma", soma)
                .input("current", "synapses.currents")
                .output("out_spikes", "spikes"),
        )
        .with(
            ModuleSpec::new("hebbian_rule", &HebbianRuleConfig::default())
                .input("pre_spikes", "delays.out_spikes")
                .input("post_spikes", "soma.spikes")
                .input("kernel", "synapses#kernel"),
        )
}
