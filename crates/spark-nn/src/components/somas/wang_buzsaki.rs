//! The fast-spiking interneuron of Wang and Buzsáki.

use burn::module::Module;
use burn::tensor::Tensor;
use spark_core::Problems;
use spark_core::build::Builder;
use spark_core::component::Defect;
use spark_kernels::SomaModel;

use super::ionic::{no_clamp, patch};
use super::mechanisms::{soma_components, soma_config};
use super::{Membrane, Patch, Soma};

soma_config! {
    /// Wang's and Buzsáki's units.
    plain WangBuzsakiSomaConfig;
    /// Wang's and Buzsáki's units with refractoriness and adaptation.
    adaptive AdaptiveWangBuzsakiSomaConfig;
    dt = 0.1;
    fields {
        /// Resting potential: where units start, with their gates settled.
        #[schemars(extend("unit" = "mV"))]
        potential_rest = -64.0,
        /// What counts as a spike when it is crossed upwards.
        #[schemars(extend("unit" = "mV"))]
        threshold = 0.0,
        /// Membrane capacitance.
        #[schemars(extend("unit" = "pF", "range" = "positive"))]
        capacitance = 1.0,
        /// Conductance of the sodium channels when all of them are open.
        #[schemars(extend("unit" = "nS", "range" = "non_negative"))]
        sodium_conductance = 35.0,
        /// Reversal potential of sodium.
        #[schemars(extend("unit" = "mV"))]
        sodium_reversal = 55.0,
        /// Conductance of the potassium channels when all of them are open.
        #[schemars(extend("unit" = "nS", "range" = "non_negative"))]
        potassium_conductance = 9.0,
        /// Reversal potential of potassium.
        #[schemars(extend("unit" = "mV"))]
        potassium_reversal = -90.0,
        /// Conductance of the leak.
        #[schemars(extend("unit" = "nS", "range" = "positive"))]
        leak_conductance = 0.1,
        /// Reversal potential of the leak.
        #[schemars(extend("unit" = "mV"))]
        leak_reversal = -65.0,
        /// How much faster than published the gates are, φ.
        #[schemars(extend("range" = "positive"))]
        gate_speed = 5.0,
        /// What the potentials of the rates are moved by.
        #[schemars(extend("unit" = "mV"))]
        rate_shift = 0.0,
    }
    options {
    }
}

/// The membrane of [`Patch`] with gates `h` and `n` that follow `dx/dt = φ·(α·(1 − x) − β·x)`, and with `m`
/// where it settles; see [`SomaModel::WangBuzsaki`] for the rates.
///
/// `V` counts from the resting potential. There is no reset: a unit spikes where `V` rises above the
/// threshold, and its currents bring it down again. Stable at any step; intervals between spikes are right
/// within 1 % at 0.1 ms.
///
/// Source: Wang & Buzsáki, *Gamma oscillation by synaptic inhibition in a hippocampal interneuronal network
/// model* (1996).
#[derive(Module, Debug)]
pub struct WangBuzsakiMembrane {
    /// Channels and their parameters.
    pub patch: Patch,
}

impl Membrane for WangBuzsakiMembrane {
    fn model(&self, dt: f32) -> SomaModel<Tensor<1>> {
        SomaModel::WangBuzsaki { membrane: self.patch.membrane(dt) }
    }

    fn limits(&self) -> [Tensor<1>; 2] {
        self.patch.limits()
    }

    fn rest(&self) -> Tensor<1> {
        self.patch.rest.val().zeros_like()
    }
}

/// Wang's and Buzsáki's units, the fast-spiking interneurons of the hippocampus; their potential counts from
/// the resting potential. The defaults are 100 µm² of one.
///
/// # Examples
/// Their rate grows from zero, and they do not adapt:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Currents, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::somas::{WangBuzsakiSomaConfig, SomaInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("current", Shape::new(PayloadKind::Currents, &[2]));
/// let config = WangBuzsakiSomaConfig { dt: 0.05, ..Default::default() };
/// let mut soma = config.run(&wired, 1, &Context::new("soma", &device))?;
/// let current = Currents(Tensor::from_floats([[0.1, 1.0]], &device));
/// let mut counts = Tensor::zeros([1, 2], &device);
/// for _ in 0..10_000 {
///     let out = soma.advance(SomaInputs { current: current.clone(), inhibition_mask: None });
///     counts = counts + out.spikes.units().unwrap();
/// }
/// let counts = counts.into_data().try_to_vec::<f32>().unwrap();
/// assert!(counts[0] == 0.0 && (20.0..40.0).contains(&counts[1]), "{counts:?}");
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
pub type WangBuzsakiSoma = Soma<WangBuzsakiMembrane>;

/// Wang's and Buzsáki's units with refractoriness and adaptation.
///
/// There is no clamp, since there is no reset that it could hold. A cooldown cuts off the input and counts no
/// spike, but leaves the currents alone. An adaptive threshold changes what counts as a spike, not how one
/// comes about. An adaptation current is one more current of the membrane, `a·V − w` away from rest.
pub type AdaptiveWangBuzsakiSoma = Soma<WangBuzsakiMembrane>;

impl WangBuzsakiSomaConfig {
    fn membrane(&self, builder: &Builder<'_>, units: &[usize]) -> Result<WangBuzsakiMembrane, Defect> {
        Ok(WangBuzsakiMembrane { patch: patch!(self, builder, units) })
    }
}

const EQUATION: &str = "C·dV/dt = I − g_Na·m∞³·h·(V − E_Na) − g_K·n⁴·(V − E_K) − g_L·(V − E_L); \
                        dx/dt = φ·(α_x·(1 − x) − β_x·x); S where V rises above θ";
const SOURCE: &str = "Wang & Buzsáki, Gamma oscillation by synaptic inhibition in a hippocampal interneuronal \
                      network model (1996)";

soma_components! {
    WangBuzsakiMembrane;
    WangBuzsakiSomaConfig {
        const NAME: &'static str = "WangBuzsakiSoma";
        const SUMMARY: &'static str = "Wang's and Buzsáki's fast-spiking interneurons, 100 µm² of each";
        const EQUATION: &'static str = EQUATION;
        const SOURCE: &'static str = SOURCE;
    }
    AdaptiveWangBuzsakiSomaConfig {
        const NAME: &'static str = "AdaptiveWangBuzsakiSoma";
        const SUMMARY: &'static str = "Wang's and Buzsáki's units with refractoriness and adaptation";
        const EQUATION: &'static str = EQUATION;
        const SOURCE: &'static str = SOURCE;

        fn check(&self, path: &str, problems: &mut Problems) {
            no_clamp(self.clamp_duration.as_ref(), path, problems);
        }
    }
}
