//! Networks out of NIR graphs, and back.
//!
//! NIR says what a network computes in continuous time; here it is cut into steps of `dt` by forward Euler. Of a
//! leaky unit `τ·dv/dt = (v_leak − v) + R·x` a step is `v ← v + dt/τ·((v_leak − v) + R·x)`, a spike where
//! `v > v_threshold` takes it to `v_reset`, and a synaptic current takes its step before the membrane does.
//! Connections act within a step but for one in each loop, which carries what the step before gave; it is one
//! that leaves units, so that a bias behind them acts from the first step on.
//!
//! | NIR | layers |
//! | --- | --- |
//! | Affine, Linear | [`Dense`](spark_nn::layers::Dense) |
//! | Conv1d, Conv2d | the layers of these names; groups and dilation become zeros of the kernel |
//! | SumPool2d, AvgPool2d | the layers of these names, with windows that do not overlap |
//! | Scale, Flatten, Delay | `Scale`, `Flatten`, `DelayLine` |
//! | LIF, IF, CubaLIF, LI without leak potential, reset potential and gain | `Leaky`, `IntegrateAndFire`, `Synaptic`, `LeakyIntegrator` |
//! | all other units, Threshold | [`Membrane`](spark_nn::layers::Membrane) |
//! | a chain | a network of layers |
//! | branches and loops | a [`Graph`](spark_nn::layers::Graph) as its one layer |
//!
//! Source: Pedersen et al., *Neuromorphic intermediate representation: a unified instruction set for interoperable
//! brain-inspired computing*, Nature Communications 15 (2024).

mod constants;
mod export;
mod flow;
mod import;
mod loops;

pub use export::{Exported, export_nir, write_nir};
pub use import::{Imported, import_nir, read_nir};

/// What NIR leaves open.
///
/// # Examples
/// ```
/// let options = spark_train::nir::NirOptions::default();
/// assert_eq!(options.dt, 1e-4);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NirOptions {
    /// Duration of a step, in s. snnTorch and SpikingJelly take 10⁻⁴ where nobody says otherwise.
    pub dt: f64,
    /// Whether a membrane exactly at its threshold spikes, as in SpikingJelly; in NIR only one above it.
    pub spike_at_threshold: bool,
    /// Whether membranes start where a spike takes them, as in SpikingJelly, instead of at 0.
    pub start_at_reset: bool,
}

impl Default for NirOptions {
    fn default() -> Self {
        Self { dt: 1e-4, spike_at_threshold: false, start_at_reset: false }
    }
}

impl NirOptions {
    fn check(&self) -> Result<(), String> {
        if self.dt > 0.0 && self.dt.is_finite() {
            return Ok(());
        }
        Err(format!("dt: found {} s, expected a duration above 0", self.dt))
    }
}

#[cfg(test)]
mod tests;
