//! Leaky integrators that never spike.

use burn::tensor::Tensor;

use super::{ScanOptions, Unit, UnitSequence, UnitState, unit_scan};

/// What [`integrator_scan`] returns.
#[derive(Clone, Debug)]
pub struct IntegratorSequence {
    /// Membrane at every step, `[time, batch, units]`.
    pub potential: Tensor<3>,
    /// Membrane after the last step, `[batch, units]`.
    pub membrane: Tensor<2>,
}

/// Runs leaky integrators, the readout of a network, over a whole sequence, differentiably.
///
/// With decay `β` and input `I`: `V[t] = β·V[t−1] + I[t]`.
///
/// * `input`: `[time, batch, units]`, none of them zero.
/// * `membrane`: `V` before the first step, `[batch, units]`.
/// * `decay`: one per unit (`[units]`) or one for all (`[1]`).
/// * `options`: only `window` and `checkpoint` matter.
///
/// Gradients reach all three. An integrator of a synaptic current is a [`unit_scan`] with a current decay
/// and without a threshold.
///
/// # Panics
/// If a shape is not as above.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{ScanOptions, integrator_scan};
///
/// let device = Device::flex();
/// let input = Tensor::<3>::from_floats([[[1.0]], [[1.0]], [[0.0]]], &device);
/// let decay = Tensor::<1>::from_floats([0.5], &device);
/// let out = integrator_scan(input, Tensor::zeros([1, 1], &device), decay, ScanOptions::default());
/// assert_eq!(out.potential.into_data().try_to_vec::<f32>().unwrap(), [1.0, 1.5, 0.75]);
/// assert_eq!(out.membrane.into_scalar::<f32>(), 0.75);
/// ```
pub fn integrator_scan(
    input: Tensor<3>,
    membrane: Tensor<2>,
    decay: Tensor<1>,
    options: ScanOptions,
) -> IntegratorSequence {
    let unit = Unit { decay, threshold: None, current_decay: None, adaptation: None };
    let state = UnitState { membrane, current: None, adaptation: None };
    let options = ScanOptions { potential: true, ..options };
    let UnitSequence { potential, state, .. } = unit_scan(input, state, unit, options);
    IntegratorSequence { potential: potential.expect("asked for"), membrane: state.membrane }
}
