//! Leaky integrate-and-fire units.

use burn::tensor::Tensor;

use super::{ScanOptions, Unit, UnitSequence, UnitState, unit_scan};

/// What [`leaky_scan`] returns.
#[derive(Clone, Debug)]
pub struct LeakySequence {
    /// Spikes, exactly 0 or 1, `[time, batch, units]`.
    pub spikes: Tensor<3>,
    /// Membrane potential `U` before the reset of its own step, `[time, batch, units]`, when asked for.
    pub potential: Option<Tensor<3>>,
    /// Membrane after the last step, `[batch, units]`: the state to go on from.
    pub membrane: Tensor<2>,
}

/// Runs leaky integrate-and-fire units over a whole sequence, differentiably.
///
/// With decay `β`, threshold `θ`, input `I` and the step function `H(x) = 1 if x > 0 else 0`:
///
/// ```text
/// same-step reset:  U[t] = β·V[t−1] + I[t]
///                   S[t] = H(U[t] − θ)
///                   V[t] = U[t] − θ·S[t]  (subtract),  (1 − S[t])·U[t]  (zero),  U[t]  (none)
/// delayed reset:    R = H(V[t−1] − θ)
///                   U[t] = β·V[t−1] + I[t] − θ·R  (subtract),  β·(1 − R)·V[t−1] + I[t]  (zero),
///                          β·V[t−1] + I[t]  (none)
///                   S[t] = H(U[t] − θ),  V[t] = U[t]
/// ```
///
/// * `input`: `[time, batch, units]`, none of them zero.
/// * `membrane`: `V` before the first step, `[batch, units]`.
/// * `decay`, `threshold`: one per unit (`[units]`) or one for all (`[1]`).
///
/// Gradients reach all four. What the backward pass stores, and truncated gradients, see [`unit_scan`].
///
/// Source: Eshraghian et al., *Training spiking neural networks using lessons from deep learning*
/// (2023), equations 4 to 6.
///
/// # Panics
/// If a shape is not as above; the layers check shapes before they call.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{ScanOptions, leaky_scan};
///
/// let device = Device::flex();
/// let input = Tensor::<3>::from_floats([[[0.6]], [[0.6]], [[0.6]]], &device);
/// let out = leaky_scan(
///     input,
///     Tensor::zeros([1, 1], &device),
///     Tensor::from_floats([1.0], &device),
///     Tensor::from_floats([1.0], &device),
///     ScanOptions::default(),
/// );
/// assert_eq!(out.spikes.into_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0]);
/// ```
pub fn leaky_scan(
    input: Tensor<3>,
    membrane: Tensor<2>,
    decay: Tensor<1>,
    threshold: Tensor<1>,
    options: ScanOptions,
) -> LeakySequence {
    let unit = Unit { decay, threshold: Some(threshold), current_decay: None, adaptation: None };
    let state = UnitState { membrane, current: None, adaptation: None };
    let UnitSequence { spikes, potential, state } = unit_scan(input, state, unit, options);
    let spikes = spikes.expect("units with a threshold spike");
    LeakySequence { spikes, potential, membrane: state.membrane }
}
