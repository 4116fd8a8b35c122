//! Tracers: signals that are remembered and forgotten exponentially.
//!
//! Every tracer is a [`TraceModel`]: parameters and pure functions on planes `[batch, entries]`, to be used
//! inside of other components (a current, a learning rule, an integrator). [`SignalTracer`] makes each a
//! component of its own.

mod exponential;
mod model;
mod resource;
mod rise_decay;
mod rise_fast_slow;
#[cfg(test)]
mod tests;

pub use exponential::{SaturableTracer, SaturableTracerConfig, Tracer, TracerConfig, TracerState};
pub use model::{SignalTracer, TraceModel, TracerInputs, TracerOutputs};
pub use resource::{RUTracer, RUTracerConfig, ResourceUsagePlan, ResourceUsageState};
pub use rise_decay::{RDTracer, RDTracerConfig, RiseDecayPlan, RiseDecayState};
pub use rise_fast_slow::{RFSTracer, RFSTracerConfig, RiseFastSlowPlan, RiseFastSlowState};
