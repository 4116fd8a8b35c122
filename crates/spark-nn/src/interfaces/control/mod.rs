//! Joining, picking, averaging and gating of payloads.
//!
//! [`Concat`](ConcatConfig) and [`Sampler`] take any number of payloads of any one type: their input ports
//! have the names that the wiring gives them, in its order.

mod gate;
mod join;
mod sampler;
mod signals;

use spark_core::payload::{Payload, Shape};
use spark_core::ports::{InputShapes, PortError};

pub use gate::{SignalGate, SignalGateConfig, SignalGateInputs, SignalGateOutputs};
pub use join::{ConcatConfig, ConcatReshapeConfig, Join, JoinOutputs};
pub use sampler::{Sampler, SamplerConfig, SamplerOutputs};
pub use signals::{
    SignalAccumulator, SignalAccumulatorConfig, SignalAverage, SignalAverageConfig, SignalInputs,
    SignalOutputs, SignalState, SignalTrace, SignalTracer,
};

spark_core::ports! {
    /// What is joined.
    pub struct JoinInputs {
        /// Payloads of one type, under any names, in the order of the wiring.
        inputs: Vec<Payload>,
    }
}

/// The shape of everything that is wired, joined and flat.
fn joined(inputs: &InputShapes) -> Result<Shape, PortError> {
    let shape = Shape::join("inputs", inputs.iter().map(|(_, shape)| shape))?;
    Ok(Shape::new(shape.kind, &[shape.count()]))
}
