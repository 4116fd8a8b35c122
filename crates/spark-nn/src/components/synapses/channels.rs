//! What sparse synapses with an excitatory and an inhibitory channel share.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::{Builder, rate};
use spark_core::component::{Context, Defect};
use spark_core::payload::{PayloadKind, Shape, Spikes};
use spark_core::ports::InputShapes;
use spark_kernels::host::HostChannels;
use spark_kernels::{Channel, ChannelInput, DelayRing, Pull, SparsePattern, Trace, channel_step, trace_step};

use super::SparseConnections;
use super::connections::Described;
use crate::components::tracers::TracerState;

/// Sparse connections whose arrivals decay in one of two channels of the postsynaptic unit: one for excitatory
/// and one for inhibitory presynaptic units. See [`channel_step`].
#[derive(Module, Debug)]
pub struct SparseChannels {
    /// The synapses there are.
    pub connections: SparseConnections,
    /// Time constant of the excitatory channel in ms, `[post]` or `[1]`.
    pub tau_excitatory: Param<Tensor<1>>,
    /// Time constant of the inhibitory channel in ms, `[post]` or `[1]`.
    pub tau_inhibitory: Param<Tensor<1>>,
    /// Factor on the weights of excitatory synapses, `[post]` or `[1]`.
    pub scale_excitatory: Param<Tensor<1>>,
    /// Factor on the weights of inhibitory synapses, `[post]` or `[1]`.
    pub scale_inhibitory: Param<Tensor<1>>,
    dt: f32,
}

/// What a step of two channels reads.
#[derive(Clone, Debug)]
pub struct ChannelPlan {
    pattern: SparsePattern,
    dynamics: [Channel<Tensor<1>>; 2],
}

spark_core::state! {
    /// What two channels remember.
    pub struct ChannelState {
        /// The excitatory channel of each postsynaptic unit, `[batch, post]`.
        excitatory: TracerState,
        /// The inhibitory one.
        inhibitory: TracerState,
        /// The last steps of excitatory units, where synapses have delays.
        excitatory_spikes: Option<DelayRing>,
        /// The last steps of inhibitory units, where synapses have delays.
        inhibitory_spikes: Option<DelayRing>,
    }
}

/// The fields of a configuration that describe two channels: of either, first the excitatory one.
pub(super) struct DescribedChannels<'a> {
    pub connections: Described<'a>,
    pub tau: [&'a Parameter; 2],
    pub scale: [&'a Parameter; 2],
}

impl DescribedChannels<'_> {
    pub fn build(&self, inputs: &InputShapes, context: &Context) -> Result<SparseChannels, Defect> {
        let builder = Builder { context, seed: self.connections.seed };
        let units = |name: &str, value: &Parameter| builder.units(name, value, self.connections.units);
        Ok(SparseChannels {
            connections: self.connections.build(inputs, context)?,
            tau_excitatory: units("tau_excitatory", self.tau[0])?,
            tau_inhibitory: units("tau_inhibitory", self.tau[1])?,
            scale_excitatory: units("scale_excitatory", self.scale[0])?,
            scale_inhibitory: units("scale_inhibitory", self.scale[1])?,
            dt: self.connections.dt,
        })
    }
}

impl SparseChannels {
    pub(super) fn plan(&self) -> ChannelPlan {
        let channel = |tau: &Param<Tensor<1>>, scale: &Param<Tensor<1>>| Channel {
            rate: rate(self.dt, tau.val()),
            scale: scale.val(),
        };
        ChannelPlan {
            pattern: self.connections.pattern(),
            dynamics: [
                channel(&self.tau_excitatory, &self.scale_excitatory),
                channel(&self.tau_inhibitory, &self.scale_inhibitory),
            ],
        }
    }

    pub(super) fn initial_state(&self, batch: usize) -> ChannelState {
        let [_, post] = self.connections.ends().dims();
        let device = self.connections.weights.val().device();
        let closed = || TracerState { trace: Tensor::zeros([batch, post], &device) };
        ChannelState {
            excitatory: closed(),
            inhibitory: closed(),
            excitatory_spikes: self.connections.ring(batch),
            inhibitory_spikes: self.connections.ring(batch),
        }
    }

    /// The current into each postsynaptic unit, `[batch, post]`: that of conductances where there is a `pull`.
    pub(super) fn step(
        &self,
        plan: &ChannelPlan,
        spikes: Spikes,
        pull: Option<Pull<Tensor<2>, Tensor<1>>>,
        state: ChannelState,
    ) -> (Tensor<2>, ChannelState) {
        let Some(units) = spikes.units() else { panic!("sparse synapses take spikes by unit") };
        let (weights, inhibitory) = (self.connections.weights.val(), spikes.inhibitory);
        let channels = [state.excitatory.trace, state.inhibitory.trace];
        let (currents, [e, i], [excitatory_spikes, inhibitory_spikes]) =
            match state.excitatory_spikes.zip(state.inhibitory_spikes) {
                None => {
                    let input = ChannelInput { spikes: units, inhibitory, pull };
                    let (currents, channels) =
                        channel_step(input, weights, &plan.pattern, channels, &plan.dynamics);
                    (currents, channels, [None, None])
                }
                Some((e, i)) => {
                    let inhibiting = match inhibitory {
                        Some(mask) => units.clone() * mask.unsqueeze(),
                        None => units.zeros_like(),
                    };
                    let rings = [e.push(units - inhibiting.clone()), i.push(inhibiting)];
                    let (currents, channels) = plan.late(&rings, weights, channels, pull);
                    (currents, channels, rings.map(Some))
                }
            };
        let [excitatory, inhibitory] = [e, i].map(|trace| TracerState { trace });
        (currents, ChannelState { excitatory, inhibitory, excitatory_spikes, inhibitory_spikes })
    }

    /// The same on the host, for spikes without delays.
    pub(super) fn on_host(&self, plan: &ChannelPlan, state: &ChannelState) -> Option<HostChannels> {
        let weights = self.connections.weights.val();
        let channels = [&state.excitatory.trace, &state.inhibitory.trace];
        HostChannels::new(&plan.pattern, &weights, &plan.dynamics, channels)
    }

    /// The shape of what comes out.
    pub(super) fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Currents, &self.connections.ends().post)]
    }
}

impl ChannelPlan {
    /// A step of synapses with delays.
    fn late(
        &self,
        rings: &[DelayRing; 2],
        weights: Tensor<1>,
        [e, i]: [Tensor<2>; 2],
        pull: Option<Pull<Tensor<2>, Tensor<1>>>,
    ) -> (Tensor<2>, [Tensor<2>; 2]) {
        let follow = |channel: Tensor<2>, ring: &DelayRing, Channel { rate, scale }: &Channel<Tensor<1>>| {
            let base = Tensor::zeros([1], &rate.device());
            let trace = Trace { rate: rate.clone(), base, scale: scale.clone(), saturation: None };
            trace_step(channel, ring.sparse_currents(weights.clone(), &self.pattern), &trace)
        };
        let [excitatory, inhibitory] = &self.dynamics;
        let (e, i) = (follow(e, &rings[0], excitatory), follow(i, &rings[1], inhibitory));
        let currents = match pull {
            Some(Pull { potential, reversals }) => {
                let [to_e, to_i] = reversals.map(|reversal| reversal.unsqueeze() - potential.clone());
                e.clone() * to_e + i.clone() * to_i
            }
            None => e.clone() - i.clone(),
        };
        (currents, [e, i])
    }
}
