//! Scans: whole sequences of spiking units as one operation.

mod adaptive;
pub(crate) mod autodiff;
mod backward;
mod current;
mod forward;
mod integrator;
mod leaky;
mod tensors;
mod unit;

pub use adaptive::{AdaptiveSequence, adaptive_scan};
pub use current::{CurrentSequence, current_scan};
pub use integrator::{IntegratorSequence, integrator_scan};
pub use leaky::{LeakySequence, leaky_scan};
pub use tensors::{ScanGradients, ScanInputs, ScanOutputGradients, ScanOutputs, ScanSaved, Wanted};
pub use unit::{Adaptation, Unit, UnitSequence, UnitState, unit_scan};

pub(crate) use backward::backward;
pub(crate) use forward::forward;
pub(crate) use tensors::{Parts, checkpoint_interval};
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) use tensors::{
    ScanGradientsMetadata, ScanInputsMetadata, ScanOutputGradientsMetadata, ScanOutputsMetadata,
    ScanSavedMetadata,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Surrogate;

/// What a spike does to the membrane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// The threshold is subtracted: what lies above it is kept.
    #[default]
    Subtract,
    /// The membrane returns to zero.
    Zero,
    /// Nothing: the membrane goes on integrating.
    None,
}

/// How a scan steps; everything about it that is not a tensor.
///
/// # Examples
/// ```
/// use spark_kernels::{Reset, ScanOptions};
///
/// let options = ScanOptions { reset: Reset::Zero, window: Some(50), ..Default::default() };
/// assert!(!options.potential);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScanOptions {
    /// What a spike does to the membrane.
    pub reset: Reset,
    /// Whether what a spike does to its unit, reset and adaptation, happens in the step after it instead
    /// of the same one.
    pub reset_delay: bool,
    /// Whether gradients pass through the reset (`true`) or only through the output spikes and the
    /// adaptation.
    pub reset_gradient: bool,
    /// The derivative of the threshold crossing.
    pub surrogate: Surrogate,
    /// Whether the membrane integrates the synaptic current of the step before instead of the same one.
    pub current_delay: bool,
    /// Whether the potential of every step is returned too.
    pub potential: bool,
    /// Truncated backpropagation: the gradient of the state is cut before every step whose number is a
    /// multiple of this, at least 1. `None` for the whole sequence.
    pub window: Option<usize>,
    /// Steps between two states that the forward pass keeps, at least 1; `None` for the default of 32.
    /// Results do not depend on it.
    pub checkpoint: Option<usize>,
}
