//! Parameters that depend on what both units of a synapse are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A parameter of synapses: one number, or one for each combination of excitatory and inhibitory units.
///
/// Four numbers are ordered EE, EI, IE, II with the postsynaptic type first: EI belongs to inhibitory synapses
/// onto excitatory units.
///
/// # Examples
/// ```
/// use spark_nn::components::plasticity::PerType;
///
/// let parameter: PerType = serde_json::from_str("[1, 2, 3, 4]")?;
/// assert_eq!(parameter.each(), [1.0, 2.0, 3.0, 4.0]);
/// let error = serde_json::from_str::<PerType>("[1, 2]").unwrap_err();
/// assert_eq!(error.to_string(), "expected one number, or four: EE, EI, IE, II");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected one number, or four: EE, EI, IE, II")]
pub enum PerType {
    /// The same for all.
    Same(f32),
    /// By postsynaptic and presynaptic type.
    Each([f32; 4]),
}

impl PerType {
    /// All four numbers.
    pub fn each(self) -> [f32; 4] {
        match self {
            Self::Same(value) => [value; 4],
            Self::Each(values) => values,
        }
    }

    /// Whether any of them differs from the others.
    pub(super) fn differs(self) -> bool {
        self.each() != [self.each()[0]; 4]
    }
}

impl From<f32> for PerType {
    fn from(value: f32) -> Self {
        Self::Same(value)
    }
}

impl From<[f32; 4]> for PerType {
    fn from(values: [f32; 4]) -> Self {
        Self::Each(values)
    }
}
