//! Sparse synapses with reversal potentials.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::build::Builder;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::parameter::{Distribution, Draw};
use spark_core::payload::{Currents, Payload, Shape};
use spark_core::ports::{InputShapes, PortError, PropertySpec};
use spark_core::{Parameter, Problems};
use spark_kernels::Pull;

use super::channels::{ChannelPlan, ChannelState, DescribedChannels, SparseChannels};
use super::conductance::check_potential;
use super::connections::{WEIGHTS, described};
use super::{ConductanceInputs, Connectivity, SynapseOutputs};
use crate::config::config;

config! {
    /// Sparse synapses with reversal potentials.
    pub struct SparseConductanceSynapsesConfig {
        /// Shape of the postsynaptic units.
        #[schemars(extend("range" = "positive"))]
        units: Vec<usize> = Vec::new(),
        /// Which units are connected.
        connectivity: Connectivity = Connectivity::default(),
        /// What a spike adds to the conductance; an array is in the order of explicit pairs, or by presynaptic
        /// unit.
        #[schemars(extend("unit" = "nS"))]
        weights: Parameter = Draw::new(Distribution::Uniform).into(),
        /// Factor on the weights of excitatory synapses.
        scale_excitatory: Parameter = 1.0.into(),
        /// Factor on the weights of inhibitory synapses.
        scale_inhibitory: Parameter = 1.0.into(),
        /// Time constant of the conductance of excitatory synapses.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_excitatory: Parameter = 5.0.into(),
        /// Time constant of the conductance of inhibitory synapses.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_inhibitory: Parameter = 10.0.into(),
        /// Reversal potential of excitatory synapses.
        #[schemars(extend("unit" = "mV"))]
        reversal_excitatory: Parameter = 0.0.into(),
        /// Reversal potential of inhibitory synapses.
        #[schemars(extend("unit" = "mV"))]
        reversal_inhibitory: Parameter = (-80.0).into(),
        /// What the wired potential counts from: the resting potential of somas that count from there, as
        /// leaky and exponential ones do, and 0 for those that count absolutely.
        #[schemars(extend("unit" = "mV"))]
        soma_potential_rest: Parameter = 0.0.into(),
        /// The longest delay.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        max_delay: f32 = 8.0,
        /// Delay of each synapse in whole steps, from 1 to those of the longest, in the order of the weights.
        /// Of an initializer, shares of the longest. No delays where absent.
        delays: Option<Parameter> = None,
    }
}

/// Synapses of units of which few are connected, which open a conductance with every spike:
///
/// ```text
/// e_i ← e_i·exp(−dt/τ_e) + c_e·Σ_k w_k·s_j     over the synapses k from excitatory units j to unit i
/// h_i ← h_i·exp(−dt/τ_i) + c_i·Σ_k w_k·s_j     over those from inhibitory units j
/// I_i = e_i·(E_e − V_i) + h_i·(E_i − V_i)
/// ```
///
/// Conductances in nS times potentials in mV are currents in pA. The sparse form of
/// [`ConductanceSynapses`](super::ConductanceSynapses). Source: Vogels & Abbott, *Signal propagation and logic
/// gating in networks of integrate-and-fire neurons* (2005), whose constants are the defaults.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Potentials, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::synapses::{ConductanceInputs, SparseConductanceSynapsesConfig};
///
/// let device = Device::flex();
/// let wired = InputShapes::default()
///     .with("spikes", Shape::new(PayloadKind::Spikes, &[1]))
///     .with("potential", Shape::new(PayloadKind::Potentials, &[1]));
/// let config: SparseConductanceSynapsesConfig =
///     serde_json::from_str(r#"{"units": [1], "weights": 2, "connectivity": {"kind": "one_to_one"}}"#)?;
/// let mut synapses = config.run(&wired, 1, &Context::new("synapses", &device))?;
/// let mut current = |potential: f32| {
///     let spikes = Spikes::new(Tensor::ones([1, 1], &device));
///     let potential = Potentials(Tensor::full([1, 1], potential, &device));
///     let outputs = synapses.advance(ConductanceInputs { spikes, potential });
///     outputs.currents.0.into_scalar::<f32>()
/// };
/// assert_eq!(current(-60.0), 120.0);
/// assert!(current(0.0).abs() < 1e-6 && current(10.0) < 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct SparseConductanceSynapses {
    /// The synapses there are, what a spike adds to the conductance in nS, and the conductances.
    pub channels: SparseChannels,
    /// Reversal potential of excitatory synapses in mV, `[post]` or `[1]`.
    pub reversal_excitatory: Param<Tensor<1>>,
    /// Reversal potential of inhibitory synapses in mV, `[post]` or `[1]`.
    pub reversal_inhibitory: Param<Tensor<1>>,
    /// What the wired potential counts from in mV, `[post]` or `[1]`.
    pub soma_potential_rest: Param<Tensor<1>>,
}

/// What a step of [`SparseConductanceSynapses`] reads.
#[derive(Clone, Debug)]
pub struct SparseConductancePlan {
    channels: ChannelPlan,
    /// Reversal potentials, counted as the wired potential counts, `[post]` or `[1]`.
    reversals: [Tensor<1>; 2],
}

impl Component for SparseConductanceSynapses {
    type Inputs = ConductanceInputs;
    type Outputs = SynapseOutputs;
    type State = ChannelState;
    type Plan = SparseConductancePlan;

    const PROPERTIES: &'static [PropertySpec] = &[PropertySpec {
        description: "What a spike adds to the conductance in nS, ordered by presynaptic unit, [1, synapses].",
        ..WEIGHTS
    }];

    fn plan(&self) -> SparseConductancePlan {
        SparseConductancePlan {
            channels: self.channels.plan(),
            reversals: [&self.reversal_excitatory, &self.reversal_inhibitory]
                .map(|reversal| reversal.val() - self.soma_potential_rest.val()),
        }
    }

    fn replanned(&self, _: &str) -> Option<SparseConductancePlan> {
        None // The weights are no part of it.
    }

    fn initial_state(&self, _: &SparseConductancePlan, batch: usize) -> ChannelState {
        self.channels.initial_state(batch)
    }

    fn step(
        &self,
        plan: &SparseConductancePlan,
        inputs: ConductanceInputs,
        state: ChannelState,
    ) -> (SynapseOutputs, ChannelState) {
        let pull = Pull { potential: inputs.potential.0, reversals: plan.reversals.clone() };
        let (currents, state) = self.channels.step(&plan.channels, inputs.spikes, Some(pull), state);
        (SynapseOutputs { currents: Currents(currents) }, state)
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

impl ComponentConfig for SparseConductanceSynapsesConfig {
    const NAME: &'static str = "SparseConductanceSynapses";
    const FAMILY: Family = Family::Synapse;
    const SUMMARY: &'static str = "Sparse synapses with reversal potentials";
    const EQUATION: &'static str = "I = e·(E_e − V) + h·(E_i − V); e ← e·exp(−dt/τ_e) + c_e·Σ_k w_k·s_j over \
        excitatory units j, h likewise";
    const SOURCE: &'static str = "Vogels & Abbott, Journal of Neuroscience 25 (2005)";

    type Component = SparseConductanceSynapses;

    fn check(&self, path: &str, problems: &mut Problems) {
        described!(self).check(path, problems);
    }

    fn infer(&self, _: &InputShapes) -> Option<Vec<Shape>> {
        super::kernel::currents_onto(&self.units)
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<SparseConductanceSynapses, Defect> {
        check_potential(inputs, &self.units)?;
        let channels = DescribedChannels {
            connections: described!(self),
            tau: [&self.tau_excitatory, &self.tau_inhibitory],
            scale: [&self.scale_excitatory, &self.scale_inhibitory],
        };
        let builder = Builder { context, seed: self.seed };
        let units = |name: &str, parameter: &Parameter| builder.units(name, parameter, &self.units);
        Ok(SparseConductanceSynapses {
            channels: channels.build(inputs, context)?,
            reversal_excitatory: units("reversal_excitatory", &self.reversal_excitatory)?,
            reversal_inhibitory: units("reversal_inhibitory", &self.reversal_inhibitory)?,
            soma_potential_rest: units("soma_potential_rest", &self.soma_potential_rest)?,
        })
    }
}

spark_core::register!(SparseConductanceSynapsesConfig);
