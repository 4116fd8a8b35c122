//! Synapses whose current is a trace of what arrives.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use spark_core::build::Builder;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::host::{HostStep, HostWiring, Signal};
use spark_core::payload::{Currents, Payload, PayloadKind, Shape};
use spark_core::ports::{InputShapes, PortError, PropertySpec};
use spark_core::state::{State, StateMapper};
use spark_core::{Parameter, Problems};
use spark_kernels::host::HostFilter;
use std::cell::Cell;

use super::kernel::{self, KERNEL, KernelOnHost};
use super::{Ends, SynapseInputs, SynapseOutputs};
use crate::components::tracers::{RDTracer, RFSTracer, RFSTracerConfig, TraceModel, Tracer};
use crate::config::{check_units, config};

config! {
    /// Synapses whose current decays exponentially.
    pub struct TracedSynapsesConfig {
        /// Shape of the postsynaptic units.
        #[schemars(extend("range" = "positive"))]
        units: Vec<usize> = Vec::new(),
        /// Strengths of the synapses, by postsynaptic and presynaptic axes.
        #[schemars(extend("unit" = "pA"))]
        kernel: Parameter = kernel::default_kernel(),
        /// Time constant of the current, of all or by synapse.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau: Parameter = 5.0.into(),
        /// Factor on the kernel.
        scale: Parameter = 1.0.into(),
        /// Current of a synapse at rest.
        #[schemars(extend("unit" = "pA"))]
        base: Parameter = 0.0.into(),
    }
}

config! {
    /// Synapses whose current rises before it decays.
    pub struct RDTracedSynapsesConfig {
        /// Shape of the postsynaptic units.
        #[schemars(extend("range" = "positive"))]
        units: Vec<usize> = Vec::new(),
        /// Strengths of the synapses, by postsynaptic and presynaptic axes.
        #[schemars(extend("unit" = "pA"))]
        kernel: Parameter = kernel::default_kernel(),
        /// Time constant of the rise, of all or by synapse.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_rise: Parameter = 1.0.into(),
        /// Factor on the kernel in the rise.
        scale_rise: Parameter = 1.0.into(),
        /// Rise of a synapse at rest.
        #[schemars(extend("unit" = "pA"))]
        base_rise: Parameter = 0.0.into(),
        /// Time constant of the decay, of all or by synapse.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_decay: Parameter = 5.0.into(),
        /// Factor on the kernel in the decay.
        scale_decay: Parameter = 1.0.into(),
        /// Decay of a synapse at rest.
        #[schemars(extend("unit" = "pA"))]
        base_decay: Parameter = 0.0.into(),
    }
}

config! {
    /// Synapses whose current rises, then decays fast and slowly.
    pub struct RFSTracedSynapsesConfig {
        /// Shape of the postsynaptic units.
        #[schemars(extend("range" = "positive"))]
        units: Vec<usize> = Vec::new(),
        /// Strengths of the synapses, by postsynaptic and presynaptic axes.
        #[schemars(extend("unit" = "pA"))]
        kernel: Parameter = kernel::default_kernel(),
        /// Share of the fast decay.
        #[schemars(extend("range" = "unit_interval"))]
        alpha: Parameter = 0.8.into(),
        /// Time constant of the rise, of all or by synapse.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_rise: Parameter = 1.0.into(),
        /// Factor on the kernel in the rise.
        scale_rise: Parameter = 1.0.into(),
        /// Rise of a synapse at rest.
        #[schemars(extend("unit" = "pA"))]
        base_rise: Parameter = 0.0.into(),
        /// Time constant of the fast decay, of all or by synapse.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_fast_decay: Parameter = 5.0.into(),
        /// Factor on the kernel in the fast decay.
        scale_fast_decay: Parameter = 1.0.into(),
        /// Fast decay of a synapse at rest.
        #[schemars(extend("unit" = "pA"))]
        base_fast_decay: Parameter = 0.0.into(),
        /// Time constant of the slow decay, of all or by synapse.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        tau_slow_decay: Parameter = 50.0.into(),
        /// Factor on the kernel in the slow decay.
        scale_slow_decay: Parameter = 1.0.into(),
        /// Slow decay of a synapse at rest.
        #[schemars(extend("unit" = "pA"))]
        base_slow_decay: Parameter = 0.0.into(),
    }
}

/// Synapses whose current is a linear trace of what arrives:
///
/// ```text
/// I_i = Σ_j trace(W_ij·s_j)
/// ```
///
/// Where no parameter of the trace differs between the synapses of a postsynaptic unit, the sum comes first
/// and there is one trace for each postsynaptic unit, whose base is that of all its synapses together:
/// the same current at a fraction of the cost. Otherwise there is one for every synapse.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::synapses::{SynapseInputs, TracedSynapsesConfig};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[2]));
/// let config = TracedSynapsesConfig { units: vec![1], kernel: 3.0.into(), ..Default::default() };
/// let mut synapses = config.run(&wired, 1, &Context::new("synapses", &device))?;
/// let mut current = |spike: f32| {
///     let spikes = Spikes::new(Tensor::full([1, 2], spike, &device));
///     synapses.advance(SynapseInputs { spikes }).currents.0.into_scalar::<f32>()
/// };
/// assert_eq!(current(1.0), 6.0);
/// assert!((current(0.0) - 6.0 * (-0.2f32).exp()).abs() < 1e-5);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct FilteredSynapses<M: Module> {
    /// Strengths in pA, `[pre, post]`.
    pub kernel: Param<Tensor<2>>,
    /// The trace: of each postsynaptic unit, or of each synapse in the order of `[pre, post]`.
    pub tracer: M,
    #[module(skip)]
    ends: Ends,
    contracted: bool,
    dt: f32,
}

/// Synapses whose current decays exponentially.
pub type TracedSynapses = FilteredSynapses<Tracer>;

/// Synapses whose current rises before it decays.
pub type RDTracedSynapses = FilteredSynapses<RDTracer>;

/// Synapses whose current rises, then decays fast and slowly.
pub type RFSTracedSynapses = FilteredSynapses<RFSTracer>;

/// What filtered synapses remember.
#[derive(Clone, Debug)]
pub struct FilterState<S> {
    /// The traces, `[batch, post]`, or `[batch, pre·post]` where every synapse has its own.
    pub current_tracer: S,
}

impl<S: State> State for FilterState<S> {
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
        Self { current_tracer: mapper.field("current_tracer", self.current_tracer) }
    }
}

impl<M: Module> FilteredSynapses<M> {
    /// Whether there is one trace for each postsynaptic unit instead of one for each synapse.
    pub fn is_contracted(&self) -> bool {
        self.contracted
    }
}

impl<M: TraceModel> Component for FilteredSynapses<M> {
    type Inputs = SynapseInputs;
    type Outputs = SynapseOutputs;
    type State = FilterState<M::State>;
    type Plan = M::Plan;

    const PROPERTIES: &'static [PropertySpec] = &[KERNEL];

    fn plan(&self) -> M::Plan {
        self.tracer.plan(self.dt)
    }

    fn replanned(&self, _: &str) -> Option<M::Plan> {
        None // The kernel is no part of it.
    }

    fn initial_state(&self, plan: &M::Plan, batch: usize) -> FilterState<M::State> {
        let [pre, post] = self.ends.dims();
        let entries = if self.contracted { post } else { pre * post };
        FilterState { current_tracer: self.tracer.initial_state(plan, batch, entries) }
    }

    fn step(
        &self,
        plan: &M::Plan,
        inputs: SynapseInputs,
        state: FilterState<M::State>,
    ) -> (SynapseOutputs, FilterState<M::State>) {
        let (kernel, tracer) = (self.kernel.val(), &self.tracer);
        let (currents, current_tracer) = if self.contracted {
            tracer.step(plan, kernel::currents(kernel, &inputs.spikes), state.current_tracer)
        } else {
            let [pre, post] = self.ends.dims();
            let arriving = kernel::by_pair(kernel, &inputs.spikes);
            let [batch, _, _] = arriving.dims();
            let (value, state) =
                tracer.step(plan, arriving.reshape([batch, pre * post]), state.current_tracer);
            (value.reshape([batch, pre, post]).sum_dim(1).squeeze_dim(1), state)
        };
        (SynapseOutputs { currents: Currents(currents) }, FilterState { current_tracer })
    }

    fn on_host(
        &self,
        plan: &M::Plan,
        state: &Self::State,
        wiring: &mut HostWiring,
    ) -> Option<Box<dyn HostStep<Self>>> {
        let filter =
            if self.contracted { self.tracer.on_host(plan, &state.current_tracer)? } else { return None };
        Some(Box::new(FilteredOnHost { kernel: KernelOnHost::new(&self.kernel, wiring)?, filter }))
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Currents, &self.ends.post)]
    }

    fn property(&self, _: &Self::State, name: &str) -> Option<Payload> {
        kernel::property(&self.kernel, name)
    }

    fn property_shape(&self, _: &str) -> Option<Shape> {
        Some(self.ends.kernel())
    }

    fn set_property(&mut self, _: &mut Self::State, _: &str, value: Payload) -> Result<(), PortError> {
        kernel::write(&mut self.kernel, value, &self.ends)
    }

    fn take_property(&mut self, _: &mut Self::State, _: &str) -> Option<Payload> {
        Some(kernel::take(&mut self.kernel))
    }
}

/// Filtered synapses at work on the host.
#[derive(Debug)]
struct FilteredOnHost {
    kernel: KernelOnHost,
    filter: HostFilter,
}

impl<M: TraceModel> HostStep<FilteredSynapses<M>> for FilteredOnHost {
    fn step(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        let filter = &mut self.filter;
        self.kernel.currents(inputs, |currents| outputs[0].write(filter.step(currents)));
    }

    fn settle(&self, component: &mut FilteredSynapses<M>, state: &mut FilterState<M::State>) {
        self.kernel.write(&mut component.kernel);
        M::settle(&mut state.current_tracer, &self.filter);
    }
}

/// What draws a parameter of a trace from its name and description.
type Drawing<'a> = &'a dyn Fn(&str, &Parameter) -> Result<Param<Tensor<1>>, Defect>;

/// Synapses with a trace that `tracer` makes of parameters, contracted when all of them allow for it.
fn filtered<M: Module>(
    builder: Builder<'_>,
    ends: Ends,
    kernel: &Parameter,
    dt: f32,
    tracer: impl Fn(Drawing<'_>) -> Result<M, Defect>,
) -> Result<FilteredSynapses<M>, Defect> {
    let traces = Traces { builder, ends: &ends };
    let contracted = Cell::new(true);
    let by_synapse = tracer(&|name, parameter| {
        let values = traces.values(name, parameter)?;
        contracted.set(contracted.get() && traces.by_post(&values).is_some());
        Ok(traces.parameter(values))
    })?;
    let contracted = contracted.get();
    let tracer = if contracted {
        tracer(&|name, parameter| Ok(traces.parameter(traces.contracted(name, parameter)?)))?
    } else {
        by_synapse
    };
    let kernel = kernel::build(&builder, kernel, &ends)?;
    Ok(FilteredSynapses { kernel, tracer, ends, contracted, dt })
}

/// Draws the parameters of a trace for synapses.
struct Traces<'a> {
    builder: Builder<'a>,
    ends: &'a Ends,
}

impl Traces<'_> {
    /// One value for all, or one for each synapse as `[pre, post]`.
    fn values(&self, name: &str, parameter: &Parameter) -> Result<Vec<f32>, Defect> {
        if let Parameter::Number(value) = parameter {
            return Ok(vec![*value]);
        }
        let values = self.builder.synapses(name, parameter, &self.ends.post, &self.ends.pre)?;
        Ok(values.into_data().iter().collect())
    }

    /// One value for all or for each postsynaptic unit, where its synapses do not differ.
    fn by_post<'v>(&self, values: &'v [f32]) -> Option<&'v [f32]> {
        let [_, post] = self.ends.dims();
        if values.len() == 1 {
            return Some(values);
        }
        let first = values.get(..post)?;
        values.chunks(post).all(|row| row == first).then_some(first)
    }

    /// The values of traces for all synapses of a postsynaptic unit together.
    fn contracted(&self, name: &str, parameter: &Parameter) -> Result<Vec<f32>, Defect> {
        let [pre, _] = self.ends.dims();
        let values = self.values(name, parameter)?;
        let mut values = self.by_post(&values).unwrap_or_default().to_vec();
        // A base is that of all synapses together.
        if name.starts_with("base") {
            values.iter_mut().for_each(|value| *value *= pre as f32);
        }
        Ok(values)
    }

    fn parameter(&self, values: Vec<f32>) -> Param<Tensor<1>> {
        let count = values.len();
        let data = TensorData::new(values, [count]);
        Param::from_data(data, &self.builder.context.device).set_require_grad(false)
    }
}

impl ComponentConfig for TracedSynapsesConfig {
    const NAME: &'static str = "TracedSynapses";
    const FAMILY: Family = Family::Synapse;
    const SUMMARY: &'static str = "Synapses whose current decays exponentially";
    const EQUATION: &'static str = "I_i = Σ_j T_ij; T ← T + λ·(b − T) + c·W_ij·s_j, λ = 1 − exp(−dt/τ)";
    const SOURCE: &'static str = "Gerstner, Kistler, Naud & Paninski, Neuronal Dynamics (2014), chapter 3.1";

    type Component = TracedSynapses;

    fn check(&self, path: &str, problems: &mut Problems) {
        check_units(&self.units, path, problems);
    }

    fn infer(&self, _: &InputShapes) -> Option<Vec<Shape>> {
        kernel::currents_onto(&self.units)
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<TracedSynapses, Defect> {
        let ends = Ends::new(&self.units, inputs)?;
        let builder = Builder { context, seed: self.seed };
        filtered(builder, ends, &self.kernel, self.dt, |parameter| {
            let (tau, scale) = (parameter("tau", &self.tau)?, parameter("scale", &self.scale)?);
            Ok(Tracer::new(tau, scale, parameter("base", &self.base)?))
        })
    }
}

impl ComponentConfig for RDTracedSynapsesConfig {
    const NAME: &'static str = "RDTracedSynapses";
    const FAMILY: Family = Family::Synapse;
    const SUMMARY: &'static str = "Synapses whose current rises before it decays";
    const EQUATION: &'static str =
        "I_i = Σ_j (D_ij − R_ij): traces of W_ij·s_j with τ_d and with τ_r·τ_d/(τ_r + τ_d)";
    const SOURCE: &'static str = "Dayan & Abbott, Theoretical Neuroscience (2001), chapter 5.8";

    type Component = RDTracedSynapses;

    fn check(&self, path: &str, problems: &mut Problems) {
        check_units(&self.units, path, problems);
    }

    fn infer(&self, _: &InputShapes) -> Option<Vec<Shape>> {
        kernel::currents_onto(&self.units)
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<RDTracedSynapses, Defect> {
        let ends = Ends::new(&self.units, inputs)?;
        let builder = Builder { context, seed: self.seed };
        filtered(builder, ends, &self.kernel, self.dt, |parameter| {
            Ok(RDTracer {
                tau_rise: parameter("tau_rise", &self.tau_rise)?,
                scale_rise: parameter("scale_rise", &self.scale_rise)?,
                base_rise: parameter("base_rise", &self.base_rise)?,
                tau_decay: parameter("tau_decay", &self.tau_decay)?,
                scale_decay: parameter("scale_decay", &self.scale_decay)?,
                base_decay: parameter("base_decay", &self.base_decay)?,
            })
        })
    }
}

impl RFSTracedSynapsesConfig {
    /// The trace of a synapse by itself.
    fn trace(&self) -> RFSTracerConfig {
        let Self { units: _, kernel: _, seed, dt, .. } = *self;
        RFSTracerConfig {
            seed,
            dt,
            alpha: self.alpha.clone(),
            tau_rise: self.tau_rise.clone(),
            scale_rise: self.scale_rise.clone(),
            base_rise: self.base_rise.clone(),
            tau_fast_decay: self.tau_fast_decay.clone(),
            scale_fast_decay: self.scale_fast_decay.clone(),
            base_fast_decay: self.base_fast_decay.clone(),
            tau_slow_decay: self.tau_slow_decay.clone(),
            scale_slow_decay: self.scale_slow_decay.clone(),
            base_slow_decay: self.base_slow_decay.clone(),
        }
    }
}

impl ComponentConfig for RFSTracedSynapsesConfig {
    const NAME: &'static str = "RFSTracedSynapses";
    const FAMILY: Family = Family::Synapse;
    const SUMMARY: &'static str = "Synapses whose current rises, then decays fast and slowly";
    const EQUATION: &'static str =
        "I_i = Σ_j (α·F_ij + (1 − α)·S_ij): rise–decay traces of W_ij·s_j with τ_fast and τ_slow";

    type Component = RFSTracedSynapses;

    fn check(&self, path: &str, problems: &mut Problems) {
        check_units(&self.units, path, problems);
    }

    fn infer(&self, _: &InputShapes) -> Option<Vec<Shape>> {
        kernel::currents_onto(&self.units)
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<RFSTracedSynapses, Defect> {
        let ends = Ends::new(&self.units, inputs)?;
        let builder = Builder { context, seed: self.seed };
        filtered(builder, ends, &self.kernel, self.dt, |parameter| self.trace().tracer(parameter))
    }
}

spark_core::register!(TracedSynapsesConfig);
spark_core::register!(RDTracedSynapsesConfig);
spark_core::register!(RFSTracedSynapsesConfig);
