//! Leaky units whose synaptic current decays too.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use spark_core::Problems;
use spark_kernels::{Unit, UnitState};

use super::units::{
    Conventions, ScanState, Scanned, project_decay, project_threshold, scaled, scanned_layers, unit_config,
};

unit_config! {
    /// Configuration of [`Synaptic`].
    pub struct SynapticConfig {
        /// Decay factor β of the membrane per step, without unit, in `[0, 1]`.
        decay: f32 = 0.95,
        /// Decay factor α of the synaptic current per step, without unit, in `[0, 1]`.
        current_decay: f32 = 0.9,
        /// Whether β is trained.
        learn_decay: bool = false,
        /// Whether α is trained.
        learn_current_decay: bool = false,
        /// Whether the input is scaled by 1 − β, as in Norse.
        scale_input: bool = false,
        /// Whether the membrane integrates the current of the step before, as Norse's recurrent unit does.
        current_delay: bool = false,
    }
}

/// Current-based leaky integrate-and-fire units, of second order.
///
/// ```text
/// C[t] = α·C[t−1] + I[t]        synaptic current; (1 − β)·I[t] where the input is scaled
/// U[t] = β·V[t−1] + C[t]        C[t−1] with `current_delay`
/// S[t] = 1 if U[t] > θ else 0
/// ```
///
/// and resets of the membrane as in [`Leaky`](super::Leaky). Input and output are `[batch, units]` per step and
/// `[time, batch, units]` per sequence, which runs as one fused operation,
/// [`current_scan`](spark_kernels::current_scan). With `snntorch_reset` a reset to zero takes the current of its
/// own step along, as snnTorch does here; that has no fused operation.
///
/// Source: Neftci, Mostafa & Zenke, *Surrogate gradient learning in spiking neural networks* (2019),
/// equations 4 and 5.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{SynapticConfig, Temporal};
///
/// let device = Device::flex();
/// let config = SynapticConfig { decay: 1.0, current_decay: 0.5, ..Default::default() };
/// let layer = config.init(1, &device);
/// let input = Tensor::<3>::from_floats([[[0.75]], [[0.0]], [[0.0]]], &device);
/// let (spikes, state) = layer.sequence(input, layer.initial_state(1, &device));
/// assert_eq!(spikes.into_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0]);
/// assert_eq!(state.current.into_scalar::<f32>(), 0.1875);
/// ```
#[derive(Module, Debug)]
pub struct Synaptic {
    /// Decay factor β of the membrane, `[units]` or `[1]`.
    pub decay: Param<Tensor<1>>,
    /// Decay factor α of the current, `[units]` or `[1]`.
    pub current_decay: Param<Tensor<1>>,
    /// Threshold θ, `[units]` or `[1]`.
    pub threshold: Param<Tensor<1>>,
    units: usize,
    scale_input: bool,
    #[module(skip)]
    conventions: Conventions,
}

spark_core::state! {
    /// What current-based units remember.
    pub struct SynapticState {
        /// Membrane potential V after the latest step, `[batch, units]`, without unit.
        membrane: Tensor<2>,
        /// Synaptic current C after the latest step, `[batch, units]`, without unit.
        current: Tensor<2>,
    }
}

impl From<SynapticState> for UnitState {
    fn from(state: SynapticState) -> Self {
        Self { membrane: state.membrane, current: Some(state.current), adaptation: None }
    }
}

impl From<UnitState> for SynapticState {
    fn from(state: UnitState) -> Self {
        let current = state.current.unwrap_or_else(|| state.membrane.zeros_like());
        Self { membrane: state.membrane, current }
    }
}

impl ScanState for SynapticState {
    fn at_rest(rest: f32, batch: usize, units: usize, device: &Device) -> Self {
        let plane = |value: f32| Tensor::full([batch, units], value, device);
        Self { membrane: plane(rest), current: plane(0.0) }
    }
}

impl SynapticConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.unit_interval(format!("{path}.decay"), self.decay);
        problems.unit_interval(format!("{path}.current_decay"), self.current_decay);
        self.validate_unit(path, problems);
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize, device: &Device) -> Synaptic {
        Synaptic {
            decay: self.parameter(self.decay, self.learn_decay, units, device),
            current_decay: self.parameter(self.current_decay, self.learn_current_decay, units, device),
            threshold: self.parameter(self.threshold, self.learn_threshold, units, device),
            units,
            scale_input: self.scale_input,
            conventions: Conventions { current_delay: self.current_delay, ..self.conventions() },
        }
    }
}

impl Synaptic {
    /// The layer with learned parameters moved back to where they make sense: decays into `[0, 1]`, θ above
    /// zero. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        Self {
            decay: project_decay(self.decay),
            current_decay: project_decay(self.current_decay),
            threshold: project_threshold(self.threshold),
            ..self
        }
    }
}

impl Scanned for Synaptic {
    type State = SynapticState;

    fn unit(&self) -> Unit {
        Unit {
            decay: self.decay.val(),
            threshold: Some(self.threshold.val()),
            current_decay: Some(self.current_decay.val()),
            adaptation: None,
        }
    }

    fn conventions(&self) -> Conventions {
        self.conventions
    }

    fn count(&self) -> usize {
        self.units
    }

    fn drive<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if self.scale_input { scaled(input, -self.decay.val() + 1.0) } else { input }
    }
}

scanned_layers!(Synaptic => SynapticState);
