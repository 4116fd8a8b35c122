//! Sparse synapses whose current decays.

use burn::module::Module;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::host::{HostStep, HostWiring, Signal};
use spark_core::parameter::{Distribution, Draw};
use spark_core::payload::{Currents, Payload, Shape};
use spark_core::ports::{InputShapes, PortError, PropertySpec};
use spark_core::{Parameter, Problems};
use spark_kernels::host::HostChannels;

use super::channels::{ChannelPlan, ChannelState, DescribedChannels, SparseChannels};
use super::connections::{WEIGHTS, described};
use super::{Connectivity, SynapseInputs, SynapseOutputs};
use crate::config::config;

config! {
    /// Sparse synapses whose current decays exponentially.
    pub struct SparseTracedSynapsesConfig {
        /// Shape of the postsynaptic units.
        #[schemars(extend("range" = "positive"))]
        units: Vec<usize> = Vec::new(),
        /// Which units are connected.
        connectivity: Connectivity = Connectivity::default(),
        /// Strength of each synapse; an array is in the order of explicit pairs, or by presynaptic unit.
        #[schemars(extend("unit" = "pA"))]
        weights: Parameter = Draw::new(Distribution::Uniform).into(),
        /// Factor on the strengths of excitatory synapses.
        scale_excitatory: Parameter = 1.0.into(),
        /// Factor on the strengths of inhibitory synapses.
        scale_inhibitory: Parameter = 1.0.into(),
        /// Time constant of the current of excitatory synapses.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_excitatory: Parameter = 5.0.into(),
        /// Time constant of the current of inhibitory synapses.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_inhibitory: Parameter = 10.0.into(),
        /// The longest delay.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        max_delay: f32 = 8.0,
        /// Delay of each synapse in whole steps, from 1 to those of the longest, in the order of the weights.
        /// Of an initializer, shares of the longest. No delays where absent.
        delays: Option<Parameter> = None,
    }
}

/// Synapses of units of which few are connected, with a current that every spike raises and that decays
/// exponentially. Which of the two it acts on is decided by the sign of the unit that spikes:
///
/// ```text
/// e_i ← e_i·exp(−dt/τ_e) + c_e·Σ_k w_k·s_j     over the synapses k from excitatory units j to unit i
/// h_i ← h_i·exp(−dt/τ_i) + c_i·Σ_k w_k·s_j     over those from inhibitory units j
/// I_i = e_i − h_i
/// ```
///
/// Source: Vogels & Abbott, *Signal propagation and logic gating in networks of integrate-and-fire neurons*
/// (2005), whose time constants are the defaults.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::synapses::{SparseTracedSynapsesConfig, SynapseInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[2]));
/// let config: SparseTracedSynapsesConfig = serde_json::from_str(
///     r#"{"units": [1], "weights": 2, "scale_inhibitory": 3,
///         "connectivity": {"kind": "pairs", "pairs": [[0, 0], [1, 0]]}}"#,
/// )?;
/// let mut synapses = config.run(&wired, 1, &Context::new("synapses", &device))?;
/// let mut current = |spike: f32| {
///     let spikes = Spikes::new(Tensor::full([1, 2], spike, &device))
///         .with_inhibitory(Some(Tensor::from_floats([0.0, 1.0], &device)));
///     synapses.advance(SynapseInputs { spikes }).currents.0.into_scalar::<f32>()
/// };
/// assert_eq!(current(1.0), 2.0 - 6.0);
/// assert!((current(0.0) - (2.0 * (-0.2f32).exp() - 6.0 * (-0.1f32).exp())).abs() < 1e-5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct SparseTracedSynapses {
    /// The synapses there are, their strengths in pA, and the currents that they make.
    pub channels: SparseChannels,
}

impl Component for SparseTracedSynapses {
    type Inputs = SynapseInputs;
    type Outputs = SynapseOutputs;
    type State = ChannelState;
    type Plan = ChannelPlan;

    const PROPERTIES: &'static [PropertySpec] = &[WEIGHTS];

    fn plan(&self) -> ChannelPlan {
        self.channels.plan()
    }

    fn replanned(&self, _: &str) -> Option<ChannelPlan> {
        None // The weights are no part of it.
    }

    fn initial_state(&self, _: &ChannelPlan, batch: usize) -> ChannelState {
        self.channels.initial_state(batch)
    }

    fn step(
        &self,
        plan: &ChannelPlan,
        inputs: SynapseInputs,
        state: ChannelState,
    ) -> (SynapseOutputs, ChannelState) {
        let (currents, state) = self.channels.step(plan, inputs.spikes, None, state);
        (SynapseOutputs { currents: Currents(currents) }, state)
    }

    fn on_host(
        &self,
        plan: &ChannelPlan,
        state: &ChannelState,
        wiring: &mut HostWiring,
    ) -> Option<Box<dyn HostStep<Self>>> {
        let (spikes, channels) = (wiring.place("spikes")?, self.channels.on_host(plan, state)?);
        Some(Box::new(ChannelsOnHost { spikes, channels }))
    }

    fn output_shapes(&self) -> Vec<Shape> {
        self.channels.output_shapes()
    }

    fn property(&self, _: &ChannelState, name: &str) -> Option<Payload> {
        self.channels.connections.property(name)
    }

    fn set_property(&mut self, _: &mut ChannelState, _: &str, value: Payload) -> Result<(), PortError> {
        self.channels.connections.write(value)
    }
}

/// Synapses at work on the host.
#[derive(Debug)]
struct ChannelsOnHost {
    spikes: usize,
    channels: HostChannels,
}

impl HostStep<SparseTracedSynapses> for ChannelsOnHost {
    fn step(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        outputs[0].write(self.channels.currents(inputs[self.spikes].spiking()));
    }

    fn settle(&self, _: &mut SparseTracedSynapses, state: &mut ChannelState) {
        let device = state.excitatory.trace.device();
        let [excitatory, inhibitory] = self.channels.channels(&device);
        (state.excitatory.trace, state.inhibitory.trace) = (excitatory, inhibitory);
    }
}

impl ComponentConfig for SparseTracedSynapsesConfig {
    const NAME: &'static str = "SparseTracedSynapses";
    const FAMILY: Family = Family::Synapse;
    const SUMMARY: &'static str = "Sparse synapses whose current decays exponentially";
    const EQUATION: &'static str =
        "I_i = e_i − h_i; e ← e·exp(−dt/τ_e) + c_e·Σ_k w_k·s_j over excitatory units j, h likewise";
    const SOURCE: &'static str = "Vogels & Abbott, Journal of Neuroscience 25 (2005)";

    type Component = SparseTracedSynapses;

    fn check(&self, path: &str, problems: &mut Problems) {
        described!(self).check(path, problems);
    }

    fn infer(&self, _: &InputShapes) -> Option<Vec<Shape>> {
        super::kernel::currents_onto(&self.units)
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<SparseTracedSynapses, Defect> {
        let channels = DescribedChannels {
            connections: described!(self),
            tau: [&self.tau_excitatory, &self.tau_inhibitory],
            scale: [&self.scale_excitatory, &self.scale_inhibitory],
        };
        Ok(SparseTracedSynapses { channels: channels.build(inputs, context)? })
    }
}

spark_core::register!(SparseTracedSynapsesConfig);
