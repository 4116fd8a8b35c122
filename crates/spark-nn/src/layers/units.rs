//! What units that integrate and spike have in common: their conventions, and how they run.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use spark_core::Problems;
use spark_core::state::State;
use spark_kernels::{Reset, ScanOptions, Surrogate, Unit, UnitSequence, UnitState, spike, unit_scan};

/// The lowest threshold that training may reach.
pub(super) const MIN_THRESHOLD: f32 = 1e-3;

/// A factor that takes a number to the one below it: where `x > below(θ)`, there `x ≥ θ`.
const JUST_BELOW: f32 = 1.0 - f32::EPSILON / 2.0;

/// How units spike and reset; see the fields of the same names in their configurations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Conventions {
    pub reset: Reset,
    pub reset_delay: bool,
    pub reset_gradient: bool,
    pub reset_value: f32,
    pub spike_at_threshold: bool,
    pub surrogate: Surrogate,
    /// Whether the membrane integrates the synaptic current of the step before.
    pub current_delay: bool,
    /// Whether the part of a delayed reset that the step before has not seen yet is taken off at once, as
    /// snnTorch does.
    pub given_back: bool,
    /// Whether a delayed reset to zero takes the input of its own step along, as snnTorch does in most units.
    pub zero_whole: bool,
    /// Steps after which the gradient of the state is cut; `None` for never.
    pub window: Option<usize>,
}

/// What a step gives.
pub(super) struct UnitStep {
    /// `[batch, units]`; `None` for units without a threshold.
    pub spikes: Option<Tensor<2>>,
    /// Membrane before the reset of this step, `[batch, units]`.
    pub potential: Tensor<2>,
    pub state: UnitState,
}

/// Declares the configuration of units: to the fields given, those that all spiking units share are added.
macro_rules! unit_config {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
            /// Threshold θ, without unit, above 0.
            pub threshold: f32,
            /// Whether θ is trained.
            pub learn_threshold: bool,
            /// Whether each unit has parameters of its own instead of sharing one of each.
            pub per_unit: bool,
            /// What a spike does to the membrane.
            pub reset: spark_kernels::Reset,
            /// Whether the reset acts in the step after the spike instead of the same one.
            pub reset_delay: bool,
            /// Whether gradients pass through the reset too, instead of through the output spikes alone.
            pub reset_gradient: bool,
            /// Where the membrane starts, where it leaks to and where a reset to zero takes it, without
            /// unit. Other than 0 with that reset alone.
            pub reset_value: f32,
            /// Whether a membrane exactly at the threshold spikes, as in SpikingJelly, or only one above it.
            pub spike_at_threshold: bool,
            /// Whether resets follow snnTorch where it departs from the equations of the layer.
            pub snntorch_reset: bool,
            /// The derivative that stands in for that of the threshold crossing.
            pub surrogate: spark_kernels::Surrogate,
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $default,)*
                    threshold: 1.0,
                    learn_threshold: false,
                    per_unit: false,
                    reset: spark_kernels::Reset::Subtract,
                    reset_delay: false,
                    reset_gradient: false,
                    reset_value: 0.0,
                    spike_at_threshold: false,
                    snntorch_reset: false,
                    surrogate: spark_kernels::Surrogate::default(),
                }
            }
        }

        impl $name {
            /// With the resets of snnTorch: in the step after the spike, and as snnTorch does them where it
            /// departs from the equations of the layer.
            #[must_use]
            pub fn like_snntorch(self) -> Self {
                Self { reset_delay: true, snntorch_reset: true, ..self }
            }

            /// With the conventions of SpikingJelly: a hard reset to 0 that gradients pass through, spikes at
            /// the threshold itself, and the surrogate that it takes by default.
            #[must_use]
            pub fn like_spikingjelly(self) -> Self {
                Self {
                    reset: spark_kernels::Reset::Zero,
                    reset_delay: false,
                    reset_gradient: true,
                    spike_at_threshold: true,
                    snntorch_reset: false,
                    surrogate: spark_kernels::Surrogate::Sigmoid { slope: 4.0 },
                    ..self
                }
            }

            fn conventions(&self) -> $crate::layers::units::Conventions {
                $crate::layers::units::Conventions {
                    reset: self.reset,
                    reset_delay: self.reset_delay,
                    reset_gradient: self.reset_gradient,
                    reset_value: self.reset_value,
                    spike_at_threshold: self.spike_at_threshold,
                    surrogate: self.surrogate,
                    current_delay: false,
                    given_back: self.snntorch_reset && !self.reset_delay,
                    zero_whole: self.snntorch_reset,
                    window: None,
                }
            }

            fn validate_unit(&self, path: &str, problems: &mut spark_core::Problems) {
                problems.positive(format!("{path}.threshold"), self.threshold);
                self.conventions().validate(path, problems);
                if self.reset_value >= self.threshold {
                    problems.push(format!("{path}.reset_value"), self.reset_value, "less than the threshold");
                }
            }

            fn parameter(
                &self,
                value: f32,
                learned: bool,
                units: usize,
                device: &burn::tensor::Device,
            ) -> burn::module::Param<burn::tensor::Tensor<1>> {
                let length = if self.per_unit { units } else { 1 };
                $crate::layers::units::parameter(value, learned, length, device)
            }
        }
    };
}
pub(super) use unit_config;

/// A parameter of `length` equal entries.
pub(super) fn parameter(value: f32, learned: bool, length: usize, device: &Device) -> Param<Tensor<1>> {
    Param::from_data(TensorData::new(vec![value; length], [length]), device).set_require_grad(learned)
}

/// A learned parameter moved back into `[low, high]`; others stay as they are.
pub(super) fn project<const D: usize>(param: Param<Tensor<D>>, low: f32, high: f32) -> Param<Tensor<D>> {
    param.map(|tensor| {
        if !tensor.is_require_grad() {
            return tensor;
        }
        Tensor::from_inner(tensor.inner().clamp(low, high)).require_grad()
    })
}

/// A learned decay, moved back into `[0, 1]`.
pub(super) fn project_decay(param: Param<Tensor<1>>) -> Param<Tensor<1>> {
    project(param, 0.0, 1.0)
}

/// A learned threshold, moved back above zero.
pub(super) fn project_threshold(param: Param<Tensor<1>>) -> Param<Tensor<1>> {
    project(param, MIN_THRESHOLD, f32::MAX)
}

/// A factor per unit on something of any rank, units last.
pub(super) fn scaled<const D: usize>(input: Tensor<D>, factor: Tensor<1>) -> Tensor<D> {
    input * factor.unsqueeze()
}

/// The steps of a sequence `[time, batch, units]`, `[batch, units]` each.
pub(super) fn steps(input: &Tensor<3>) -> impl Iterator<Item = Tensor<2>> {
    let [time, batch, units] = input.dims();
    (0..time).map(move |t| input.clone().slice_dim(0, t..t + 1).reshape([batch, units]))
}

impl Conventions {
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.finite(format!("{path}.reset_value"), self.reset_value);
        if self.reset_value != 0.0 && self.reset != Reset::Zero {
            let expected = "0, or a reset to zero";
            problems.push(format!("{path}.reset_value"), self.reset_value, expected);
        }
        if let Err(error) = self.surrogate.validate() {
            let path = format!("{path}.surrogate.{}", error.field);
            problems.push(path, error.found, error.expected);
        }
    }

    /// What the scan is asked for.
    pub fn options(&self, potential: bool) -> ScanOptions {
        ScanOptions {
            reset: self.reset,
            reset_delay: self.reset_delay,
            reset_gradient: self.reset_gradient,
            surrogate: self.surrogate,
            current_delay: self.current_delay,
            potential,
            window: self.window,
            ..Default::default()
        }
    }

    /// Whether there is a reset whose missing part is taken off at once.
    fn gives_back(&self) -> bool {
        self.given_back && self.reset != Reset::None
    }

    /// Whether the scan knows these resets.
    pub fn has_scan(&self) -> bool {
        let whole = self.zero_whole && self.reset_delay && self.reset == Reset::Zero;
        !(self.gives_back() || whole)
    }

    /// The threshold that potentials are compared with as the scan counts them.
    pub fn compared(&self, threshold: Tensor<1>) -> Tensor<1> {
        let threshold = match self.reset_value {
            0.0 => threshold,
            rest => threshold - rest,
        };
        if self.spike_at_threshold { threshold * JUST_BELOW } else { threshold }
    }

    fn compared_unit(&self, unit: Unit) -> Unit {
        Unit { threshold: unit.threshold.map(|threshold| self.compared(threshold)), ..unit }
    }

    /// A state, moved by so much.
    fn moved(state: UnitState, by: f32) -> UnitState {
        if by == 0.0 { state } else { UnitState { membrane: state.membrane + by, ..state } }
    }

    /// A whole sequence `[time, batch, units]`: as one scan where there is one.
    pub fn sequence(&self, unit: Unit, input: Tensor<3>, state: UnitState, potential: bool) -> UnitSequence {
        let unit = self.compared_unit(unit);
        let state = Self::moved(state, -self.reset_value);
        let out = if self.has_scan() {
            unit_scan(input, state, unit, self.options(potential))
        } else {
            self.loop_through(&unit, &input, state, potential)
        };
        let potential = match self.reset_value {
            0.0 => out.potential,
            rest => out.potential.map(|potential| potential + rest),
        };
        UnitSequence { potential, state: Self::moved(out.state, self.reset_value), ..out }
    }

    fn loop_through(
        &self,
        unit: &Unit,
        input: &Tensor<3>,
        mut state: UnitState,
        potential: bool,
    ) -> UnitSequence {
        let (mut spikes, mut potentials) = (Vec::new(), Vec::new());
        for current in steps(input) {
            let step = self.composed(unit, current, state);
            spikes.extend(step.spikes);
            if potential {
                potentials.push(step.potential);
            }
            state = step.state;
        }
        let stack = |entries: Vec<Tensor<2>>| (!entries.is_empty()).then(|| Tensor::stack(entries, 0));
        UnitSequence { spikes: stack(spikes), potential: stack(potentials), state }
    }

    /// One step `[batch, units]`, composed of plain operations: what [`sequence`](Self::sequence) has to equal.
    pub fn step(&self, unit: Unit, input: Tensor<2>, state: UnitState) -> UnitStep {
        let unit = self.compared_unit(unit);
        let out = self.composed(&unit, input, Self::moved(state, -self.reset_value));
        UnitStep {
            spikes: out.spikes,
            potential: if self.reset_value == 0.0 { out.potential } else { out.potential + self.reset_value },
            state: Self::moved(out.state, self.reset_value),
        }
    }

    /// The equations of [`unit_scan`], and those of snnTorch where it departs from them.
    fn composed(&self, unit: &Unit, input: Tensor<2>, state: UnitState) -> UnitStep {
        let UnitState { membrane: before, current, adaptation } = state;
        let (drive, current) = match (current, &unit.current_decay) {
            (Some(earlier), Some(decay)) => {
                let current = scaled(earlier.clone(), decay.clone()) + input;
                (if self.current_delay { earlier } else { current.clone() }, Some(current))
            }
            _ => (input, None),
        };
        let decay = unit.decay.clone().unsqueeze::<2>();
        let Some(fixed) = &unit.threshold else {
            let membrane = before * decay + drive;
            let state = UnitState { membrane: membrane.clone(), current, adaptation: None };
            return UnitStep { spikes: None, potential: membrane, state };
        };
        let threshold = |adaptation: &Option<Tensor<2>>| match (adaptation, &unit.adaptation) {
            (Some(raised), Some(part)) => {
                scaled(raised.clone(), part.strength.clone()) + fixed.clone().unsqueeze::<2>()
            }
            _ => fixed.clone().unsqueeze::<2>(),
        };
        let crossed = |potential: &Tensor<2>, threshold: &Tensor<2>| {
            spike(potential.clone() - threshold.clone(), self.surrogate)
        };
        let adapted = |adaptation: Option<Tensor<2>>, spikes: &Tensor<2>| {
            let part = adaptation.zip(unit.adaptation.as_ref());
            part.map(|(raised, part)| scaled(raised, part.decay.clone()) + spikes.clone())
        };

        if !(self.reset_delay || self.gives_back()) {
            let threshold = threshold(&adaptation);
            let potential = before * decay + drive;
            let spikes = crossed(&potential, &threshold);
            let membrane = self.after(potential.clone(), self.through(spikes.clone()), threshold);
            let adaptation = adapted(adaptation, &spikes);
            let state = UnitState { membrane, current, adaptation };
            return UnitStep { spikes: Some(spikes), potential, state };
        }
        let crossed_before = threshold(&adaptation);
        let late = crossed(&before, &crossed_before);
        let adaptation = adapted(adaptation, &late);
        let late = self.through(late);
        let potential = match self.reset {
            Reset::Subtract => before * decay + drive - late.clone() * crossed_before,
            Reset::Zero if self.zero_whole => (before * decay + drive) * (-late.clone() + 1.0),
            Reset::Zero => before * (-late.clone() + 1.0) * decay + drive,
            Reset::None => before * decay + drive,
        };
        let threshold = threshold(&adaptation);
        let spikes = crossed(&potential, &threshold);
        let membrane = if self.gives_back() {
            // What resets here is the spike that leaves, and snnTorch lets its gradient through.
            self.after(potential.clone(), spikes.clone() - late, threshold)
        } else {
            potential.clone()
        };
        UnitStep { spikes: Some(spikes), potential, state: UnitState { membrane, current, adaptation } }
    }

    /// The membrane after a reset by these spikes.
    fn after(&self, potential: Tensor<2>, spikes: Tensor<2>, threshold: Tensor<2>) -> Tensor<2> {
        match self.reset {
            Reset::Subtract => potential - spikes * threshold,
            Reset::Zero => potential * (-spikes + 1.0),
            Reset::None => potential,
        }
    }

    /// Spikes as a reset sees them: with or without their gradient.
    fn through(&self, spikes: Tensor<2>) -> Tensor<2> {
        if self.reset_gradient { spikes } else { spikes.detach() }
    }
}

/// The state of units that a scan runs.
pub(super) trait ScanState: State + Into<UnitState> + From<UnitState> {
    /// Membranes at `rest`, all else zero.
    fn at_rest(rest: f32, batch: usize, units: usize, device: &Device) -> Self;
}

/// Units that a scan runs.
pub(super) trait Scanned {
    /// What they remember.
    type State: ScanState;

    /// Their parameters.
    fn unit(&self) -> Unit;

    /// How they spike and reset.
    fn conventions(&self) -> Conventions;

    /// Number of units.
    fn count(&self) -> usize;

    /// What is integrated, of what comes in: `[…, units]`.
    fn drive<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        input
    }
}

/// Makes layers of [`Scanned`] units: by themselves and in containers.
macro_rules! scanned_layers {
    ($($layer:ident => $state:ident),*) => {$(
        impl $crate::layers::Temporal for $layer {
            type State = $state;

            fn initial_state(&self, batch: usize, device: &burn::tensor::Device) -> $state {
                use $crate::layers::units::{ScanState, Scanned};
                $state::at_rest(Scanned::conventions(self).reset_value, batch, Scanned::count(self), device)
            }

            fn step(
                &self,
                input: burn::tensor::Tensor<2>,
                state: $state,
            ) -> (burn::tensor::Tensor<2>, $state) {
                use $crate::layers::units::Scanned;
                let step = Scanned::conventions(self).step(self.unit(), self.drive(input), state.into());
                (step.spikes.unwrap_or(step.potential), step.state.into())
            }

            fn sequence(
                &self,
                input: burn::tensor::Tensor<3>,
                state: $state,
            ) -> (burn::tensor::Tensor<3>, $state) {
                let ran = $crate::layers::units::run(self, input, state, false);
                (ran.output, ran.state)
            }
        }
    )*};
}
pub(super) use scanned_layers;

/// What a sequence of units gives.
pub(super) struct UnitRun<S> {
    /// Spikes, or the potential of units that never spike, `[time, batch, units]`.
    pub output: Tensor<3>,
    /// Potential before the reset of its own step, `[time, batch, units]`, when asked for.
    pub potential: Option<Tensor<3>>,
    pub state: S,
}

/// A whole sequence `[time, batch, units]`.
pub(super) fn run<L: Scanned>(
    layer: &L,
    input: Tensor<3>,
    state: L::State,
    potential: bool,
) -> UnitRun<L::State> {
    run_by(layer, layer.conventions(), input, state, potential)
}

/// As [`run`], by other conventions.
pub(super) fn run_by<L: Scanned>(
    layer: &L,
    conventions: Conventions,
    input: Tensor<3>,
    state: L::State,
    potential: bool,
) -> UnitRun<L::State> {
    let unit = layer.unit();
    let potential = potential || unit.threshold.is_none();
    let out = conventions.sequence(unit, layer.drive(input), state.into(), potential);
    let output = out.spikes.or_else(|| out.potential.clone());
    UnitRun {
        output: output.expect("a scan gives spikes or the potential that it was asked for"),
        potential: out.potential,
        state: out.state.into(),
    }
}
