//! What all tracers share.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use spark_core::component::Component;
use spark_core::payload::{Floats, PayloadKind, Shape};
use spark_core::state::State;
use spark_kernels::host::HostFilter;

/// Parameters of a trace and the pure functions that advance it.
///
/// Parameters have one entry for all or one for each entry of a trace `[batch, entries]`.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::components::tracers::{TraceModel, Tracer};
///
/// let device = Device::flex();
/// let tracer = Tracer::fixed(20.0, 1.0, 0.0, &device);
/// let plan = tracer.plan(1.0);
/// let state = tracer.initial_state(&plan, 1, 2);
/// let spikes = Tensor::<2>::from_floats([[1.0, 0.0]], &device);
/// let (value, state) = tracer.step(&plan, spikes.clone(), state);
/// assert_eq!(value.into_data().try_to_vec::<f32>().unwrap(), [1.0, 0.0]);
/// let state = tracer.masked_reset(&plan, spikes, state);
/// assert_eq!(state.trace.into_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0]);
/// ```
pub trait TraceModel: Module + ModuleDisplay + 'static {
    /// The traces.
    type State: State;
    /// What a step reads, derived from the parameters.
    type Plan: Clone + std::fmt::Debug + Send;

    /// Derives what steps of `dt` ms read.
    fn plan(&self, dt: f32) -> Self::Plan;

    /// The traces before the first step, each plane `[batch, entries]`.
    fn initial_state(&self, plan: &Self::Plan, batch: usize, entries: usize) -> Self::State;

    /// One step: the value after the input `x`, `[batch, entries]`, and the traces. They are updated in place
    /// where nothing else holds them. Differentiable in input, traces and parameters.
    ///
    /// # Panics
    /// If the shapes differ.
    fn step(&self, plan: &Self::Plan, x: Tensor<2>, state: Self::State) -> (Tensor<2>, Self::State);

    /// The traces with those entries set back to where they started at which the mask, `[batch, entries]`,
    /// is 1.
    ///
    /// # Panics
    /// If the shapes differ.
    fn masked_reset(&self, plan: &Self::Plan, mask: Tensor<2>, state: Self::State) -> Self::State;

    /// The same on the host, where it has that form; see [`spark_core::host`].
    fn on_host(&self, _plan: &Self::Plan, _state: &Self::State) -> Option<HostFilter> {
        None
    }

    /// Brings the state to where the steps on the host have led.
    fn settle(_state: &mut Self::State, _filter: &HostFilter) {}
}

spark_core::ports! {
    /// What a tracer takes.
    pub struct TracerInputs {
        /// The signal.
        x: Floats,
    }
}

spark_core::ports! {
    /// What a tracer gives.
    pub struct TracerOutputs {
        /// The value of the trace after this step.
        value: Floats,
    }
}

/// A tracer of a signal, entry by entry.
#[derive(Module, Debug)]
pub struct SignalTracer<M: Module> {
    /// The model and its parameters.
    pub tracer: M,
    #[module(skip)]
    units: Vec<usize>,
    dt: f32,
}

impl<M: TraceModel> SignalTracer<M> {
    /// A tracer of a signal of this shape, with steps of `dt` ms.
    pub fn new(tracer: M, units: &[usize], dt: f32) -> Self {
        Self { tracer, units: units.to_vec(), dt }
    }
}

impl<M: TraceModel> Component for SignalTracer<M> {
    type Inputs = TracerInputs;
    type Outputs = TracerOutputs;
    type State = M::State;
    type Plan = M::Plan;

    fn plan(&self) -> M::Plan {
        self.tracer.plan(self.dt)
    }

    fn initial_state(&self, plan: &M::Plan, batch: usize) -> M::State {
        self.tracer.initial_state(plan, batch, self.units.iter().product())
    }

    fn step(&self, plan: &M::Plan, inputs: TracerInputs, state: M::State) -> (TracerOutputs, M::State) {
        let (value, state) = self.tracer.step(plan, inputs.x.0, state);
        (TracerOutputs { value: Floats(value) }, state)
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Floats, &self.units)]
    }
}
