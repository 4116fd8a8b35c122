//! Networks of snnTorch and SpikingJelly into ours and back: numbers and architecture, so that the spikes agree.
//!
//! * [`import`] puts a `state_dict` ([`pytorch`](crate::pytorch)) into a network that a
//!   [`NetworkConfig`](spark_nn::layers::NetworkConfig) describes. What a file says of its units (decays,
//!   thresholds, kinds of reset) goes into parameters and configuration.
//! * [`read_network`] reads such a description with the conventions of the library for what it leaves out;
//!   [`infer`] works it out from the `state_dict` alone, as far as that goes.
//! * [`export`] gives the `state_dict` that a module of the same architecture loads strictly there, and a list of
//!   the modules, in JSON, with which a few lines of Python build it (`examples/python/exchange.py`).
//!
//! Modules find their layers by name, where they are called as ours are (`layers.0`), and otherwise by order
//! among those of their kind: the first linear module is the first dense layer, and so on. [`Import::rules`]
//! gives names to those that stand in another order. A `.pt` keeps the order in which modules were made; of a
//! `.safetensors` the order is that of names, numbers by value.
//!
//! What agrees: spikes of the library equal ours wherever a membrane is not within rounding of its threshold,
//! because the sums of synapses are rounded in another order. What has no counterpart is an error with the path
//! of the layer.

mod defaults;
mod export;
mod groups;
mod import;
mod infer;
mod places;
mod slots;
mod snntorch;
mod spikingjelly;
#[cfg(test)]
mod tests;

pub use defaults::read_network;
pub use export::{Exported, PythonModule, export};
pub use import::{Import, Imported, import};
pub use infer::{Hints, Pool, PoolKind, UnitKind, infer};

use std::fmt;

/// A library whose networks are exchanged.
///
/// # Examples
/// ```
/// use spark_io::exchange::Library;
///
/// assert_eq!(Library::SpikingJelly.to_string(), "SpikingJelly");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// snnTorch, tested with 1.0.0.
    SnnTorch,
    /// SpikingJelly, tested with 2.0.0.
    SpikingJelly,
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SnnTorch => "snnTorch",
            Self::SpikingJelly => "SpikingJelly",
        })
    }
}
