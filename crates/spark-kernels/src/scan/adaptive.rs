//! Leaky integrate-and-fire units with an adaptive threshold.

use burn::tensor::Tensor;

use super::{Adaptation, ScanOptions, Unit, UnitSequence, UnitState, unit_scan};

/// What [`adaptive_scan`] returns.
#[derive(Clone, Debug)]
pub struct AdaptiveSequence {
    /// Spikes, exactly 0 or 1, `[time, batch, units]`.
    pub spikes: Tensor<3>,
    /// Membrane potential `U` before the reset of its own step, `[time, batch, units]`, when asked for.
    pub potential: Option<Tensor<3>>,
    /// Membrane after the last step, `[batch, units]`.
    pub membrane: Tensor<2>,
    /// Adaptation after the last step, `[batch, units]`.
    pub adaptation: Tensor<2>,
}

/// Runs leaky integrate-and-fire units whose threshold rises with every spike, differentiably.
///
/// With the decays `β` and `ρ` of membrane and adaptation, fixed threshold `θ`, strength `κ` and input `I`:
///
/// ```text
/// Θ[t] = θ + κ·A[t−1]
/// U[t] = β·V[t−1] + I[t]
/// S[t] = H(U[t] − Θ[t])
/// A[t] = ρ·A[t−1] + S[t]
/// ```
///
/// and resets as in [`leaky_scan`](crate::leaky_scan), by the threshold `Θ` that the spike crossed.
/// [`unit_scan`] has the equations of the delayed reset. The gradient that reaches the spikes through the
/// adaptation is never cut, whatever `reset_gradient` says of the reset.
///
/// * `input`: `[time, batch, units]`, none of them zero.
/// * `membrane`, `adaptation`: `V` and `A` before the first step, `[batch, units]`.
/// * `decay`, `threshold` and those in `parameters`: one per unit (`[units]`) or one for all (`[1]`).
///
/// Gradients reach all seven. What the backward pass stores, and truncated gradients, see [`unit_scan`].
///
/// Source: Bellec et al., *Long short-term memory and learning-to-learn in networks of spiking neurons*
/// (2018); their `b` is `(1 − ρ)·A`, so that their `β` is `κ / (1 − ρ)`.
///
/// # Panics
/// If a shape is not as above.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{Adaptation, ScanOptions, adaptive_scan};
///
/// let device = Device::flex();
/// let scalar = |value: f32| Tensor::<1>::from_floats([value], &device);
/// let zeros = || Tensor::<2>::zeros([1, 1], &device);
/// let input = Tensor::<3>::ones([4, 1, 1], &device) * 1.5;
/// let adaptation = Adaptation { decay: scalar(0.5), strength: scalar(1.0) };
/// let options = ScanOptions::default();
/// let out = adaptive_scan(input, zeros(), zeros(), scalar(0.0), scalar(1.0), adaptation, options);
/// assert_eq!(out.spikes.into_data().try_to_vec::<f32>().unwrap(), [1.0, 0.0, 0.0, 1.0]);
/// ```
pub fn adaptive_scan(
    input: Tensor<3>,
    membrane: Tensor<2>,
    adaptation: Tensor<2>,
    decay: Tensor<1>,
    threshold: Tensor<1>,
    parameters: Adaptation,
    options: ScanOptions,
) -> AdaptiveSequence {
    let unit = Unit { decay, threshold: Some(threshold), current_decay: None, adaptation: Some(parameters) };
    let state = UnitState { membrane, current: None, adaptation: Some(adaptation) };
    let UnitSequence { spikes, potential, state } = unit_scan(input, state, unit, options);
    AdaptiveSequence {
        spikes: spikes.expect("units with a threshold spike"),
        potential,
        membrane: state.membrane,
        adaptation: state.adaptation.expect("units with an adaptation keep it"),
    }
}
