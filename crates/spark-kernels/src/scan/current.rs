//! Current-based leaky integrate-and-fire units.

use burn::tensor::Tensor;

use super::{ScanOptions, Unit, UnitSequence, UnitState, unit_scan};

/// What [`current_scan`] returns.
#[derive(Clone, Debug)]
pub struct CurrentSequence {
    /// Spikes, exactly 0 or 1, `[time, batch, units]`.
    pub spikes: Tensor<3>,
    /// Membrane potential `U` before the reset of its own step, `[time, batch, units]`, when asked for.
    pub potential: Option<Tensor<3>>,
    /// Membrane after the last step, `[batch, units]`.
    pub membrane: Tensor<2>,
    /// Synaptic current after the last step, `[batch, units]`.
    pub current: Tensor<2>,
}

/// Runs leaky integrate-and-fire units whose synaptic current decays too, differentiably.
///
/// With the decays `α` and `β` of current and membrane, threshold `θ` and input `I`:
///
/// ```text
/// C[t] = α·C[t−1] + I[t]
/// U[t] = β·V[t−1] + C[t]       with `current_delay`: β·V[t−1] + C[t−1]
/// S[t] = H(U[t] − θ)
/// ```
///
/// and resets as in [`leaky_scan`](crate::leaky_scan). The current of the same step makes the second-order
/// unit of snnTorch and, with an input scaled by `k`, the feed-forward unit of Norse: `V ← V + k·(C − V)` with
/// `β = 1 − k`. With `current_delay` that is Norse's recurrent unit.
///
/// * `input`: `[time, batch, units]`, none of them zero.
/// * `membrane`, `current`: `V` and `C` before the first step, `[batch, units]`.
/// * `decay`, `current_decay`, `threshold`: one per unit (`[units]`) or one for all (`[1]`).
///
/// Gradients reach all six. What the backward pass stores, and truncated gradients, see [`unit_scan`].
///
/// Source: Gerstner et al., *Neuronal Dynamics* (2014), section 1.3, with exponential synaptic currents;
/// Neftci, Mostafa & Zenke, *Surrogate gradient learning in spiking neural networks* (2019), equations 4
/// and 5.
///
/// # Panics
/// If a shape is not as above.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{ScanOptions, current_scan};
///
/// let device = Device::flex();
/// let scalar = |value: f32| Tensor::<1>::from_floats([value], &device);
/// let zeros = || Tensor::<2>::zeros([1, 1], &device);
/// let input = Tensor::<3>::from_floats([[[0.75]], [[0.0]], [[0.0]]], &device);
/// let out = current_scan(input, zeros(), zeros(), scalar(1.0), scalar(0.5), scalar(1.0), ScanOptions::default());
/// assert_eq!(out.spikes.into_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0]);
/// assert_eq!(out.current.into_scalar::<f32>(), 0.1875);
/// ```
pub fn current_scan(
    input: Tensor<3>,
    membrane: Tensor<2>,
    current: Tensor<2>,
    decay: Tensor<1>,
    current_decay: Tensor<1>,
    threshold: Tensor<1>,
    options: ScanOptions,
) -> CurrentSequence {
    let unit =
        Unit { decay, threshold: Some(threshold), current_decay: Some(current_decay), adaptation: None };
    let state = UnitState { membrane, current: Some(current), adaptation: None };
    let UnitSequence { spikes, potential, state } = unit_scan(input, state, unit, options);
    CurrentSequence {
        spikes: spikes.expect("units with a threshold spike"),
        potential,
        membrane: state.membrane,
        current: state.current.expect("units with a current keep it"),
    }
}
