//! The scan of every kind of unit.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::{ScanInputs, ScanOptions};
use crate::{Maybe, SpikeOps};

/// The parameters of units, each `[units]` or one for all, `[1]`.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Decay `β` of the membrane per step.
    pub decay: Tensor<1>,
    /// Threshold `θ`; `None` for units that integrate and never spike.
    pub threshold: Option<Tensor<1>>,
    /// Decay `α` of the synaptic current per step; `None` for units that integrate their input directly.
    pub current_decay: Option<Tensor<1>>,
    /// How spikes raise the threshold; `None` for a fixed one.
    pub adaptation: Option<Adaptation>,
}

/// An adaptive threshold, which lies `κ·A` above the fixed one.
#[derive(Clone, Debug)]
pub struct Adaptation {
    /// Decay `ρ` of the adaptation `A` per step.
    pub decay: Tensor<1>,
    /// Strength `κ`.
    pub strength: Tensor<1>,
}

/// What units carry from step to step, `[batch, units]` each.
#[derive(Clone, Debug)]
pub struct UnitState {
    /// Membrane `V`.
    pub membrane: Tensor<2>,
    /// Synaptic current `C`, where units have one.
    pub current: Option<Tensor<2>>,
    /// Adaptation `A`, where units have one.
    pub adaptation: Option<Tensor<2>>,
}

/// What [`unit_scan`] returns.
#[derive(Clone, Debug)]
pub struct UnitSequence {
    /// Spikes, exactly 0 or 1, `[time, batch, units]`; `None` for units without a threshold.
    pub spikes: Option<Tensor<3>>,
    /// Membrane potential `U` before the reset of its own step, `[time, batch, units]`, when asked for.
    pub potential: Option<Tensor<3>>,
    /// State after the last step, to go on from.
    pub state: UnitState,
}

/// Runs units over a whole sequence, differentiably.
///
/// The parts that a unit has are those of its parameters: a membrane always; a synaptic current that
/// filters the input; a threshold, fixed or adaptive. With input `I`, the step function
/// `H(x) = 1 if x > 0 else 0` and the decays `β`, `α`, `ρ`:
///
/// ```text
/// C[t] = α·C[t−1] + I[t]           drive D[t] = C[t], with `current_delay` C[t−1]; D[t] = I[t] without current
///
/// same-step reset:  Θ[t] = θ + κ·A[t−1]
///                   U[t] = β·V[t−1] + D[t]
///                   S[t] = H(U[t] − Θ[t])
///                   V[t] = U[t] − Θ[t]·S[t]  (subtract),  (1 − S[t])·U[t]  (zero),  U[t]  (none)
///                   A[t] = ρ·A[t−1] + S[t]
/// delayed reset:    R = H(V[t−1] − Θ'),  Θ' = θ + κ·A[t−1]
///                   A[t] = ρ·A[t−1] + R,  Θ[t] = θ + κ·A[t]
///                   U[t] = β·V[t−1] + D[t] − Θ'·R  (subtract),  β·(1 − R)·V[t−1] + D[t]  (zero),
///                          β·V[t−1] + D[t]  (none)
///                   S[t] = H(U[t] − Θ[t]),  V[t] = U[t]
/// ```
///
/// Without adaptation `Θ = Θ' = θ`. Either way the threshold of a step knows the spikes of all steps
/// before it. Without a threshold `V[t] = U[t]`. A gain on the input or the current is a factor of `I`
/// and of the first `C`.
///
/// * `input`: `[time, batch, units]`, none of them zero.
/// * `state`: before the first step, with a current and an adaptation where `unit` has them.
///
/// Gradients reach the input, the initial state and every parameter. With `options.window` the gradient of
/// the state stops before every step whose number (the first is 0) is a multiple of the window, as if the
/// state had been detached there; the initial state still receives its gradient.
///
/// **Memory.** The forward pass keeps the input, which is there anyway, and the state after every 32 steps
/// (`options.checkpoint`): one float per unit and step and a thirty-second of that per number of the state.
/// Sequences of up to 32 steps keep nothing but the input. The backward pass computes the potentials of one
/// such stretch at a time again, the same bits, in the cache or in a buffer of 32 steps. The potential of
/// every step exists as a tensor only where `options.potential` asks for it.
///
/// # Panics
/// If a shape is not as above, if a part of the state is missing or too many, if there is an adaptation
/// without a threshold, or if a window or a number of steps between checkpoints is 0.
///
/// # Examples
/// A current-based readout without spikes:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{ScanOptions, Unit, UnitState, unit_scan};
///
/// let device = Device::flex();
/// let unit = Unit {
///     decay: Tensor::from_floats([0.5], &device),
///     threshold: None,
///     current_decay: Some(Tensor::from_floats([0.5], &device)),
///     adaptation: None,
/// };
/// let state = UnitState {
///     membrane: Tensor::zeros([1, 1], &device),
///     current: Some(Tensor::zeros([1, 1], &device)),
///     adaptation: None,
/// };
/// let input = Tensor::<3>::from_floats([[[1.0]], [[0.0]], [[0.0]]], &device);
/// let options = ScanOptions { potential: true, ..Default::default() };
/// let potential = unit_scan(input, state, unit, options).potential.unwrap();
/// assert_eq!(potential.into_data().try_to_vec::<f32>().unwrap(), [1.0, 1.0, 0.75]);
/// ```
pub fn unit_scan(input: Tensor<3>, state: UnitState, unit: Unit, options: ScanOptions) -> UnitSequence {
    check(&input, &state, &unit, &options);
    let (adaptation_decay, adaptation_strength) =
        unit.adaptation.map(|adaptation| (adaptation.decay, adaptation.strength)).unzip();
    let inputs = ScanInputs {
        input: input.into_dispatch(),
        membrane: state.membrane.into_dispatch(),
        decay: unit.decay.into_dispatch(),
        threshold: maybe(unit.threshold),
        current: maybe(state.current),
        current_decay: maybe(unit.current_decay),
        adaptation: maybe(state.adaptation),
        adaptation_decay: maybe(adaptation_decay),
        adaptation_strength: maybe(adaptation_strength),
    };
    let outputs = Dispatch::unit_scan(inputs, false, options);
    UnitSequence {
        spikes: tensor(outputs.spikes),
        potential: tensor(outputs.potential),
        state: UnitState {
            membrane: Tensor::from_dispatch(outputs.membrane),
            current: tensor(outputs.current),
            adaptation: tensor(outputs.adaptation),
        },
    }
}

fn maybe<const D: usize>(tensor: Option<Tensor<D>>) -> Maybe<Dispatch> {
    tensor.map(Tensor::into_dispatch).into()
}

fn tensor<const D: usize>(tensor: Maybe<Dispatch>) -> Option<Tensor<D>> {
    tensor.into_option().map(Tensor::from_dispatch)
}

fn check(input: &Tensor<3>, state: &UnitState, unit: &Unit, options: &ScanOptions) {
    let shape @ [time, batch, units] = input.dims();
    assert!(time * batch * units > 0, "scan: input {shape:?} is empty");
    let states = [
        ("membrane", Some(&state.membrane)),
        ("current", state.current.as_ref()),
        ("adaptation", state.adaptation.as_ref()),
    ];
    for (name, tensor) in states {
        if let Some(tensor) = tensor {
            assert_eq!(tensor.dims(), [batch, units], "scan: {name} against input {shape:?}");
        }
    }
    let parameters = [
        ("decay", Some(&unit.decay)),
        ("threshold", unit.threshold.as_ref()),
        ("current decay", unit.current_decay.as_ref()),
        ("adaptation decay", unit.adaptation.as_ref().map(|adaptation| &adaptation.decay)),
        ("adaptation strength", unit.adaptation.as_ref().map(|adaptation| &adaptation.strength)),
    ];
    for (name, tensor) in parameters {
        if let Some([length]) = tensor.map(Tensor::dims) {
            assert!(length == 1 || length == units, "scan: {name} has {length} entries for {units} units");
        }
    }
    let current = (state.current.is_some(), unit.current_decay.is_some());
    assert!(current.0 == current.1, "scan: (initial current, current decay) are there: {current:?}");
    let adaptation = (state.adaptation.is_some(), unit.adaptation.is_some());
    assert!(adaptation.0 == adaptation.1, "scan: (initial adaptation, adaptation) are there: {adaptation:?}");
    assert!(unit.threshold.is_some() || !adaptation.1, "scan: adaptation without a threshold");
    assert!(options.window != Some(0), "scan: a window of 0 steps");
    assert!(options.checkpoint != Some(0), "scan: checkpoints every 0 steps");
}
