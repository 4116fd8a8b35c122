//! Synapses of units of which few are connected.

use burn::module::Module;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::parameter::{Distribution, Draw};
use spark_core::payload::{Currents, Payload, PayloadKind, Shape};
use spark_core::ports::{InputShapes, PortError, PropertySpec};
use spark_core::{Parameter, Problems};
use spark_kernels::{DelayRing, SparsePattern, sparse_matmul};

use super::connections::{WEIGHTS, described};
use super::{Connectivity, SparseConnections, SynapseInputs, SynapseOutputs};
use crate::config::config;

config! {
    /// Synapses of units of which few are connected.
    pub struct SparseLinearSynapsesConfig {
        /// Shape of the postsynaptic units.
        #[schemars(extend("range" = "positive"))]
        units: Vec<usize> = Vec::new(),
        /// Which units are connected.
        connectivity: Connectivity = Connectivity::default(),
        /// Strength of each synapse; an array is in the order of explicit pairs, or by presynaptic unit.
        #[schemars(extend("unit" = "pA"))]
        weights: Parameter = Draw::new(Distribution::Uniform).into(),
        /// The longest delay.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        max_delay: f32 = 8.0,
        /// Delay of each synapse in whole steps, from 1 to those of the longest, in the order of the weights.
        /// Of an initializer, shares of the longest. No delays where absent.
        delays: Option<Parameter> = None,
    }
}

/// Synapses of units of which few are connected: only those there are take memory and time.
///
/// ```text
/// I_i(t) = Σ_k w_k·s_j(t − d_k)        over the synapses k from units j to unit i
/// ```
///
/// Without delays, what arrives acts at once.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::synapses::{SparseLinearSynapsesConfig, SynapseInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[3]));
/// let config: SparseLinearSynapsesConfig = serde_json::from_str(
///     r#"{"units": [2], "weights": [5, 7], "delays": [1, 2],
///         "connectivity": {"kind": "pairs", "pairs": [[0, 1], [2, 0]]}}"#,
/// )?;
/// let mut synapses = config.run(&wired, 1, &Context::new("synapses", &device))?;
/// let mut step = |spike: f32| {
///     let spikes = Spikes::new(Tensor::full([1, 3], spike, &device));
///     let currents = synapses.advance(SynapseInputs { spikes }).currents.0;
///     currents.into_data().try_to_vec::<f32>().unwrap()
/// };
/// assert_eq!([step(1.0), step(0.0), step(0.0)], [[0.0, 0.0], [0.0, 5.0], [7.0, 0.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct SparseLinearSynapses {
    /// The synapses there are, their strengths in pA.
    pub connections: SparseConnections,
}

spark_core::state! {
    /// What sparse synapses remember.
    pub struct SparseState {
        /// The last signed steps of the presynaptic units, where synapses have delays.
        signed: Option<DelayRing>,
    }
}

impl Component for SparseLinearSynapses {
    type Inputs = SynapseInputs;
    type Outputs = SynapseOutputs;
    type State = SparseState;
    type Plan = SparsePattern;

    const PROPERTIES: &'static [PropertySpec] = &[WEIGHTS];

    fn plan(&self) -> SparsePattern {
        self.connections.pattern()
    }

    fn replanned(&self, _: &str) -> Option<SparsePattern> {
        None // The weights are no part of it.
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> SparseState {
        SparseState { signed: self.connections.ring(batch) }
    }

    fn step(
        &self,
        plan: &SparsePattern,
        inputs: SynapseInputs,
        state: SparseState,
    ) -> (SynapseOutputs, SparseState) {
        let Some(value) = inputs.spikes.value() else { panic!("sparse synapses take spikes by unit") };
        let weights = self.connections.weights.val();
        let (currents, signed) = match state.signed {
            None => (sparse_matmul(value, weights, plan), None),
            Some(ring) => {
                let ring = ring.push(value);
                (ring.sparse_currents(weights, plan), Some(ring))
            }
        };
        (SynapseOutputs { currents: Currents(currents) }, SparseState { signed })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Currents, &self.connections.ends().post)]
    }

    fn property(&self, _: &SparseState, name: &str) -> Option<Payload> {
        self.connections.property(name)
    }

    fn set_property(&mut self, _: &mut SparseState, _: &str, value: Payload) -> Result<(), PortError> {
        self.connections.write(value)
    }
}

impl ComponentConfig for SparseLinearSynapsesConfig {
    const NAME: &'static str = "SparseLinearSynapses";
    const FAMILY: Family = Family::Synapse;
    const SUMMARY: &'static str = "Synapses of units of which few are connected";
    const EQUATION: &'static str = "I_i(t) = Σ_k w_k·s_j(t − d_k) over the synapses k from j to i";

    type Component = SparseLinearSynapses;

    fn check(&self, path: &str, problems: &mut Problems) {
        described!(self).check(path, problems);
    }

    fn infer(&self, _: &InputShapes) -> Option<Vec<Shape>> {
        super::kernel::currents_onto(&self.units)
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<SparseLinearSynapses, Defect> {
        Ok(SparseLinearSynapses { connections: described!(self).build(inputs, context)? })
    }
}

spark_core::register!(SparseLinearSynapsesConfig);
