//! What all somas share.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::component::Component;
use spark_core::host::{HostStep, HostWiring, Signal};
use spark_core::payload::{Currents, Mask, Payload, PayloadKind, Potentials, Shape, Spikes};
use spark_core::ports::PropertySpec;
use spark_core::state::{State, StateMapper};
use spark_kernels::host::HostUnits;
use spark_kernels::{self as kernels, Gates, SomaModel, SomaOptions, SomaState, Surrogate, soma_step};

use super::Mechanisms;

spark_core::ports! {
    /// What a soma takes.
    pub struct SomaInputs {
        /// Input current in pA.
        current: Currents,
        /// Which units inhibit, stamped on the spikes.
        inhibition_mask: Option<Mask>,
    }
}

spark_core::ports! {
    /// What a soma gives.
    pub struct SomaOutputs {
        /// Spikes of the units.
        spikes: Spikes,
    }
}

/// The equations of a model of a membrane.
pub trait Membrane: Module + ModuleDisplay + 'static {
    /// What the kernel integrates, for steps of `dt` ms.
    fn model(&self, dt: f32) -> SomaModel<Tensor<1>>;

    /// Reset and threshold in mV, counted as the model counts.
    fn limits(&self) -> [Tensor<1>; 2];

    /// The potential of a unit at rest in mV, counted as the model counts, `[units]` or `[1]`.
    fn rest(&self) -> Tensor<1>;
}

/// What gradients see of a spike; forwards it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gradient {
    /// The derivative that stands in for that of the threshold crossing, taken of the distance to the
    /// threshold in mV.
    pub surrogate: Surrogate,
    /// Whether gradients pass through the reset too.
    pub reset: bool,
}

impl Default for Gradient {
    /// A derivative as wide as the few mV that decide over a spike.
    fn default() -> Self {
        Self { surrogate: Surrogate::Atan { alpha: 0.5 }, reset: false }
    }
}

/// Units of one membrane model with the mechanisms that adapt them.
///
/// See [`spark_kernels::soma_step`] for the order within a step.
#[derive(Module, Debug)]
pub struct Soma<M: Module> {
    /// The model and its parameters.
    pub membrane: M,
    /// Refractoriness and adaptation.
    pub mechanisms: Mechanisms,
    #[module(skip)]
    units: Vec<usize>,
    dt: f32,
    #[module(skip)]
    gradient: Gradient,
}

impl<M: Membrane> Soma<M> {
    /// Units of a shape, with steps of `dt` ms.
    pub fn new(membrane: M, mechanisms: Mechanisms, units: &[usize], dt: f32, gradient: Gradient) -> Self {
        Self { membrane, mechanisms, units: units.to_vec(), dt, gradient }
    }

    /// The shape of the units.
    pub fn units(&self) -> &[usize] {
        &self.units
    }
}

/// What units remember.
#[derive(Clone, Debug)]
pub struct UnitsState(pub SomaState<Tensor<2>>);

impl State for UnitsState {
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
        let SomaState { potential, recovery, since_spike, threshold_offset, adaptation, gates } = self.0;
        let mut plane = |name: &str, plane: Option<Tensor<2>>| plane.map(|plane| mapper.field(name, plane));
        Self(SomaState {
            recovery: plane("recovery", recovery),
            since_spike: plane("spike_counter", since_spike),
            threshold_offset: plane("threshold_trace.trace", threshold_offset),
            adaptation: plane("adaptation_current", adaptation),
            gates: gates.map(|Gates { m, h, n }| Gates {
                m: m.map(|m| mapper.field("gate_m", m)),
                h: mapper.field("gate_h", h),
                n: mapper.field("gate_n", n),
            }),
            potential: mapper.field("potential", potential),
        })
    }
}

/// Units at work on the host.
#[derive(Debug)]
pub(crate) struct UnitsOnHost {
    units: HostUnits,
    input: usize,
    inhibits: Vec<bool>,
}

impl UnitsOnHost {
    /// Units that read a port.
    pub fn new(
        soma: &kernels::Soma<Tensor<1>>,
        state: &UnitsState,
        wiring: &HostWiring,
        port: &str,
    ) -> Option<Self> {
        let (input, inhibits) = (wiring.place(port)?, wiring.mask("inhibition_mask"));
        Some(Self { units: HostUnits::new(soma, &state.0)?, input, inhibits })
    }

    pub fn advance(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        self.units.step(inputs[self.input].values(), &self.inhibits, outputs[0].spikes());
    }

    pub fn write(&self, state: &mut UnitsState) {
        state.0 = self.units.state(&state.0.potential.device());
    }

    /// A plane of the state where it lies.
    pub fn look(&self, name: &str) -> Option<&[f32]> {
        let planes = self.units.planes();
        match name {
            "potential" => Some(planes.potential),
            "recovery" => planes.recovery,
            "spike_counter" => planes.since_spike,
            "threshold_trace.trace" => planes.threshold_offset,
            "adaptation_current" => planes.adaptation,
            _ => None,
        }
    }
}

impl<M: Membrane> HostStep<Soma<M>> for UnitsOnHost {
    fn step(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        self.advance(inputs, outputs);
    }

    fn settle(&self, _: &mut Soma<M>, state: &mut UnitsState) {
        self.write(state);
    }

    fn look(&self, name: &str) -> Option<&[f32]> {
        UnitsOnHost::look(self, name)
    }
}

/// Properties of every soma.
pub(super) const POTENTIAL: PropertySpec = PropertySpec {
    name: "potential",
    kind: PayloadKind::Potentials,
    writable: false,
    description: "Membrane potential, counted as the model counts.",
};

impl<M: Membrane> Component for Soma<M> {
    type Inputs = SomaInputs;
    type Outputs = SomaOutputs;
    type State = UnitsState;
    type Plan = kernels::Soma<Tensor<1>>;

    const PROPERTIES: &'static [PropertySpec] = &[POTENTIAL];

    fn plan(&self) -> Self::Plan {
        let [reset, threshold] = self.membrane.limits();
        let Mechanisms { cooldown, clamp, threshold: adaptive_threshold, current } = &self.mechanisms;
        kernels::Soma {
            model: self.membrane.model(self.dt),
            reset,
            threshold,
            cooldown: cooldown.as_ref().map(|steps| steps.val()),
            clamp: clamp.as_ref().map(|steps| steps.val()),
            adaptive_threshold: adaptive_threshold.as_ref().map(|threshold| threshold.plan(self.dt)),
            adaptation: current.as_ref().map(|current| current.plan(self.dt)),
        }
    }

    fn initial_state(&self, plan: &Self::Plan, batch: usize) -> UnitsState {
        let units = self.units.iter().product();
        let rest: Tensor<2> = self.membrane.rest().unsqueeze();
        // A copy of its own for every sample: the state is written in place.
        let potential = Tensor::zeros([batch, units], &rest.device()) + rest;
        UnitsState(plan.initial_state(potential))
    }

    fn step(&self, plan: &Self::Plan, inputs: SomaInputs, state: UnitsState) -> (SomaOutputs, UnitsState) {
        let Gradient { surrogate, reset } = self.gradient;
        let options = SomaOptions { surrogate, reset_gradient: reset };
        let (spikes, state) = soma_step(plan, inputs.current.0, state.0, options);
        let spikes = Spikes::new(spikes).with_inhibitory(inputs.inhibition_mask.map(|mask| mask.0));
        (SomaOutputs { spikes }, UnitsState(state))
    }

    fn on_host(
        &self,
        plan: &Self::Plan,
        state: &UnitsState,
        wiring: &mut HostWiring,
    ) -> Option<Box<dyn HostStep<Self>>> {
        Some(Box::new(UnitsOnHost::new(plan, state, wiring, "current")?))
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Spikes, &self.units)]
    }

    fn property(&self, state: &UnitsState, name: &str) -> Option<Payload> {
        (name == POTENTIAL.name).then(|| Potentials(state.0.potential.clone()).into())
    }
}
