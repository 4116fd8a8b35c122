//! Synapses with reversal potentials.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::build::Builder;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::parameter::{Distribution, Draw};
use spark_core::payload::{Arrival, Currents, Late, Payload, PayloadKind, Potentials, Shape, Spikes, signs};
use spark_core::ports::{InputShapes, PortError, PropertySpec};
use spark_core::{Parameter, Problems};
use spark_kernels::spike_matmul;

use super::kernel::{self, KERNEL};
use super::{Ends, SynapseOutputs};
use crate::components::tracers::{TraceModel, Tracer, TracerState};
use crate::config::{check_units, config};

config! {
    /// Synapses with reversal potentials.
    pub struct ConductanceSynapsesConfig {
        /// Shape of the postsynaptic units.
        #[schemars(extend("range" = "positive"))]
        units: Vec<usize> = Vec::new(),
        /// What a spike adds to the conductance, by postsynaptic and presynaptic axes.
        #[schemars(extend("unit" = "nS"))]
        kernel: Parameter = Draw::new(Distribution::SparseUniform).into(),
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
    }
}

spark_core::ports! {
    /// What synapses with reversal potentials take.
    pub struct ConductanceInputs {
        /// Spikes of the presynaptic units.
        spikes: Spikes,
        /// Potential of the postsynaptic units in mV.
        potential: Potentials,
    }
}

/// Synapses that open a conductance with every spike:
///
/// ```text
/// g_e ← g_e·exp(−dt/τ_e) + Σ_j W_ij·s_j    over excitatory units j
/// g_i ← g_i·exp(−dt/τ_i) + Σ_j W_ij·s_j    over inhibitory units j
/// I = g_e·(E_e − V) + g_i·(E_i − V)
/// ```
///
/// Conductances in nS times potentials in mV are currents in pA. Source: Dayan & Abbott, *Theoretical
/// Neuroscience* (2001), chapter 5.8; the defaults are those of Vogels & Abbott (2005).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Potentials, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::synapses::{ConductanceInputs, ConductanceSynapsesConfig};
///
/// let device = Device::flex();
/// let wired = InputShapes::default()
///     .with("spikes", Shape::new(PayloadKind::Spikes, &[1]))
///     .with("potential", Shape::new(PayloadKind::Potentials, &[1]));
/// let config = ConductanceSynapsesConfig { units: vec![1], kernel: 2.0.into(), ..Default::default() };
/// let mut synapses = config.run(&wired, 1, &Context::new("synapses", &device))?;
/// let mut current = |potential: f32| {
///     let spikes = Spikes::new(Tensor::ones([1, 1], &device));
///     let potential = Potentials(Tensor::full([1, 1], potential, &device));
///     let outputs = synapses.advance(ConductanceInputs { spikes, potential });
///     outputs.currents.0.into_scalar::<f32>()
/// };
/// assert_eq!(current(-60.0), 120.0);
/// assert!(current(0.0).abs() < 1e-6 && current(10.0) < 0.0);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct ConductanceSynapses {
    /// What a spike adds to the conductance in nS, `[pre, post]`.
    pub kernel: Param<Tensor<2>>,
    /// Conductance of excitatory synapses in nS.
    pub excitatory: Tracer,
    /// Conductance of inhibitory synapses in nS.
    pub inhibitory: Tracer,
    /// Reversal potential of excitatory synapses in mV, `[post]` or `[1]`.
    pub reversal_excitatory: Param<Tensor<1>>,
    /// Reversal potential of inhibitory synapses in mV, `[post]` or `[1]`.
    pub reversal_inhibitory: Param<Tensor<1>>,
    /// What the wired potential counts from in mV, `[post]` or `[1]`.
    pub soma_potential_rest: Param<Tensor<1>>,
    #[module(skip)]
    ends: Ends,
    dt: f32,
}

/// What a step of [`ConductanceSynapses`] reads.
#[derive(Clone, Debug)]
pub struct ConductancePlan {
    conductances: [<Tracer as TraceModel>::Plan; 2],
    /// Reversal potentials, counted as the wired potential counts, `[1, post]` or `[1, 1]`.
    reversals: [Tensor<2>; 2],
}

spark_core::state! {
    /// What synapses with reversal potentials remember.
    pub struct ConductanceState {
        /// Conductance of the excitatory synapses of each postsynaptic unit in nS, `[batch, post]`.
        excitatory: TracerState,
        /// Conductance of its inhibitory synapses.
        inhibitory: TracerState,
    }
}

impl Component for ConductanceSynapses {
    type Inputs = ConductanceInputs;
    type Outputs = SynapseOutputs;
    type State = ConductanceState;
    type Plan = ConductancePlan;

    const PROPERTIES: &'static [PropertySpec] =
        &[PropertySpec { description: "What a spike adds to the conductance, in nS.", ..KERNEL }];

    fn plan(&self) -> ConductancePlan {
        ConductancePlan {
            conductances: [&self.excitatory, &self.inhibitory].map(|tracer| tracer.plan(self.dt)),
            reversals: [&self.reversal_excitatory, &self.reversal_inhibitory]
                .map(|reversal| (reversal.val() - self.soma_potential_rest.val()).unsqueeze()),
        }
    }

    fn replanned(&self, _: &str) -> Option<ConductancePlan> {
        None // The kernel is no part of it.
    }

    fn initial_state(&self, plan: &ConductancePlan, batch: usize) -> ConductanceState {
        let [_, post] = self.ends.dims();
        let [excitatory, inhibitory] = &plan.conductances;
        let excitatory = self.excitatory.initial_state(excitatory, batch, post);
        let inhibitory = self.inhibitory.initial_state(inhibitory, batch, post);
        ConductanceState { excitatory, inhibitory }
    }

    fn step(
        &self,
        plan: &ConductancePlan,
        inputs: ConductanceInputs,
        state: ConductanceState,
    ) -> (SynapseOutputs, ConductanceState) {
        let [opened, opened_inhibitory] = by_sign(self.kernel.val(), &inputs.spikes);
        let [excitatory, inhibitory] = &plan.conductances;
        let (g, excitatory) = self.excitatory.step(excitatory, opened, state.excitatory);
        let (g_inhibitory, inhibitory) =
            self.inhibitory.step(inhibitory, opened_inhibitory, state.inhibitory);
        let [pull, pull_inhibitory] =
            plan.reversals.clone().map(|reversal| reversal - inputs.potential.0.clone());
        let currents = Currents(g * pull + g_inhibitory * pull_inhibitory);
        (SynapseOutputs { currents }, ConductanceState { excitatory, inhibitory })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Currents, &self.ends.post)]
    }

    fn property(&self, _: &ConductanceState, name: &str) -> Option<Payload> {
        kernel::property(&self.kernel, name)
    }

    fn property_shape(&self, _: &str) -> Option<Shape> {
        Some(self.ends.kernel())
    }

    fn set_property(&mut self, _: &mut ConductanceState, _: &str, value: Payload) -> Result<(), PortError> {
        kernel::write(&mut self.kernel, value, &self.ends)
    }

    fn take_property(&mut self, _: &mut ConductanceState, _: &str) -> Option<Payload> {
        Some(kernel::take(&mut self.kernel))
    }
}

/// What arrives from excitatory and from inhibitory units, each `[batch, post]` and not negative.
fn by_sign(kernel: Tensor<2>, spikes: &Spikes) -> [Tensor<2>; 2] {
    let Some(mask) = &spikes.inhibitory else {
        let opened = kernel::currents(kernel, spikes);
        let none = opened.zeros_like();
        return [opened, none];
    };
    match &spikes.arrival {
        Arrival::Units(units) => {
            let inhibitory = units.clone() * mask.clone().unsqueeze();
            [
                spike_matmul(units.clone() - inhibitory.clone(), kernel.clone()),
                spike_matmul(inhibitory, kernel),
            ]
        }
        Arrival::Delayed(late) => {
            let Late { spikes, signed, delays } = late.as_ref();
            let all = spikes.currents(kernel.clone(), delays);
            match signed {
                // Half of sum and difference: the signs are those that the spikes left with.
                Some(signed) => {
                    let difference = signed.currents(kernel, delays);
                    [(all.clone() + difference.clone()) * 0.5, (all - difference) * 0.5]
                }
                None => {
                    let none = all.zeros_like();
                    [all, none]
                }
            }
        }
        Arrival::Pairs(pairs) => {
            let arriving = pairs.clone() * kernel.unsqueeze();
            let excites = (signs(mask) + 1.0) * 0.5;
            [excites, mask.clone()].map(|share: Tensor<1>| {
                (arriving.clone() * share.reshape([1, -1, 1])).sum_dim(1).squeeze_dim(1)
            })
        }
    }
}

/// The wired potential is that of the postsynaptic units.
pub(super) fn check_potential(inputs: &InputShapes, post: &[usize]) -> Result<(), PortError> {
    let potential = inputs.require("potential", PayloadKind::Potentials)?;
    if potential.count() == post.iter().product::<usize>() {
        return Ok(());
    }
    let expected = Shape::new(PayloadKind::Potentials, post).to_string();
    Err(PortError::Mismatch { port: "potential".to_owned(), found: potential.to_string(), expected })
}

impl ComponentConfig for ConductanceSynapsesConfig {
    const NAME: &'static str = "ConductanceSynapses";
    const FAMILY: Family = Family::Synapse;
    const SUMMARY: &'static str = "Synapses with reversal potentials";
    const EQUATION: &'static str =
        "I = g_e·(E_e − V) + g_i·(E_i − V); g ← g·exp(−dt/τ) + Σ_j W_ij·s_j, by the sign of unit j";
    const SOURCE: &'static str = "Dayan & Abbott, Theoretical Neuroscience (2001), chapter 5.8; \
        Vogels & Abbott, Journal of Neuroscience 25 (2005)";

    type Component = ConductanceSynapses;

    fn check(&self, path: &str, problems: &mut Problems) {
        check_units(&self.units, path, problems);
    }

    fn infer(&self, _: &InputShapes) -> Option<Vec<Shape>> {
        kernel::currents_onto(&self.units)
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<ConductanceSynapses, Defect> {
        let ends = Ends::new(&self.units, inputs)?;
        check_potential(inputs, &self.units)?;
        let builder = Builder { context, seed: self.seed };
        let units = |name: &str, parameter: &Parameter| builder.units(name, parameter, &self.units);
        let conductance = |name: &str, tau: &Parameter| -> Result<Tracer, Defect> {
            let fixed = |value: f32| Param::from_data([value], &context.device).set_require_grad(false);
            Ok(Tracer::new(units(name, tau)?, fixed(1.0), fixed(0.0)))
        };
        Ok(ConductanceSynapses {
            kernel: kernel::build(&builder, &self.kernel, &ends)?,
            excitatory: conductance("tau_excitatory", &self.tau_excitatory)?,
            inhibitory: conductance("tau_inhibitory", &self.tau_inhibitory)?,
            reversal_excitatory: units("reversal_excitatory", &self.reversal_excitatory)?,
            reversal_inhibitory: units("reversal_inhibitory", &self.reversal_inhibitory)?,
            soma_potential_rest: units("soma_potential_rest", &self.soma_potential_rest)?,
            ends,
            dt: self.dt,
        })
    }
}

spark_core::register!(ConductanceSynapsesConfig);
