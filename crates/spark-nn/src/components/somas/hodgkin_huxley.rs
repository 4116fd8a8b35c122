//! The neuron of Hodgkin and Huxley.

use burn::module::Module;
use burn::tensor::Tensor;
use spark_core::Problems;
use spark_core::build::Builder;
use spark_core::component::Defect;
use spark_kernels::{HodgkinHuxleyRates, SomaModel};

use super::ionic::{no_clamp, patch};
use super::mechanisms::{soma_components, soma_config};
use super::{Membrane, Patch, Soma};

soma_config! {
    /// Hodgkin's and Huxley's units.
    plain HodgkinHuxleySomaConfig;
    /// Hodgkin's and Huxley's units with refractoriness and adaptation.
    adaptive AdaptiveHodgkinHuxleySomaConfig;
    dt = 0.1;
    fields {
        /// Resting potential: where units start, with their gates settled.
        #[schemars(extend("unit" = "mV"))]
        potential_rest = -65.0,
        /// What counts as a spike when it is crossed upwards.
        #[schemars(extend("unit" = "mV"))]
        threshold = 0.0,
        /// Membrane capacitance.
        #[schemars(extend("unit" = "pF", "range" = "positive"))]
        capacitance = 1.0,
        /// Conductance of the sodium channels when all of them are open.
        #[schemars(extend("unit" = "nS", "range" = "non_negative"))]
        sodium_conductance = 120.0,
        /// Reversal potential of sodium.
        #[schemars(extend("unit" = "mV"))]
        sodium_reversal = 50.0,
        /// Conductance of the potassium channels when all of them are open.
        #[schemars(extend("unit" = "nS", "range" = "non_negative"))]
        potassium_conductance = 36.0,
        /// Reversal potential of potassium.
        #[schemars(extend("unit" = "mV"))]
        potassium_reversal = -77.0,
        /// Conductance of the leak.
        #[schemars(extend("unit" = "nS", "range" = "positive"))]
        leak_conductance = 0.3,
        /// Reversal potential of the leak.
        #[schemars(extend("unit" = "mV"))]
        leak_reversal = -54.4,
        /// How much faster than published the gates are, φ: 3^((T − 6.3)/10) at a temperature of T °C.
        #[schemars(extend("range" = "positive"))]
        gate_speed = 1.0,
        /// What the potentials of the rates are moved by.
        #[schemars(extend("unit" = "mV"))]
        rate_shift = 0.0,
    }
    options {
        /// Rates of the gates. Those of Traub and Miles go with other conductances: per 100 µm² 100 for
        /// sodium, 30 for potassium and 0.05 for the leak, and a shift of −63 mV.
        rates: HodgkinHuxleyRates,
    }
}

/// The membrane of [`Patch`] with gates `m`, `h` and `n` that follow `dx/dt = φ·(α·(1 − x) − β·x)`; see
/// [`HodgkinHuxleyRates`] for the rates.
///
/// `V` counts from the resting potential. There is no reset: a unit spikes where `V` rises above the
/// threshold, and its currents bring it down again. Stable at any step; intervals between spikes come out
/// about 5 % too long at 0.1 ms and 0.5 % at 0.01 ms.
///
/// Source: Hodgkin & Huxley, *A quantitative description of membrane current and its application to
/// conduction and excitation in nerve* (1952).
#[derive(Module, Debug)]
pub struct HodgkinHuxleyMembrane {
    /// Channels and their parameters.
    pub patch: Patch,
    /// Rates of the gates.
    #[module(skip)]
    pub rates: HodgkinHuxleyRates,
}

impl Membrane for HodgkinHuxleyMembrane {
    fn model(&self, dt: f32) -> SomaModel<Tensor<1>> {
        SomaModel::HodgkinHuxley { membrane: self.patch.membrane(dt), rates: self.rates }
    }

    fn limits(&self) -> [Tensor<1>; 2] {
        self.patch.limits()
    }

    fn rest(&self) -> Tensor<1> {
        self.patch.rest.val().zeros_like()
    }
}

/// Hodgkin's and Huxley's units; their potential counts from the resting potential. The defaults are
/// 100 µm² of the squid's giant axon at 6.3 °C.
///
/// # Examples
/// Above a current of about 6 pA they fire at once at some 50 Hz, in contrast to units whose rate grows
/// from zero:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{Currents, PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::somas::{HodgkinHuxleySomaConfig, SomaInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("current", Shape::new(PayloadKind::Currents, &[2]));
/// let config = HodgkinHuxleySomaConfig { dt: 0.05, ..Default::default() };
/// let mut soma = config.run(&wired, 1, &Context::new("soma", &device))?;
/// let current = Currents(Tensor::from_floats([[6.0, 7.0]], &device));
/// let mut counts = Tensor::zeros([1, 2], &device);
/// for _ in 0..10_000 {
///     let out = soma.advance(SomaInputs { current: current.clone(), inhibition_mask: None });
///     counts = counts + out.spikes.units().unwrap();
/// }
/// let counts = counts.into_data().try_to_vec::<f32>().unwrap();
/// assert!(counts[0] < 5.0 && (24.0..32.0).contains(&counts[1]), "{counts:?}");
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
pub type HodgkinHuxleySoma = Soma<HodgkinHuxleyMembrane>;

/// Hodgkin's and Huxley's units with refractoriness and adaptation.
///
/// There is no clamp, since there is no reset that it could hold. A cooldown cuts off the input and counts no
/// spike, but leaves the currents alone. An adaptive threshold changes what counts as a spike, not how one
/// comes about. An adaptation current is one more current of the membrane, `a·V − w` away from rest.
pub type AdaptiveHodgkinHuxleySoma = Soma<HodgkinHuxleyMembrane>;

impl HodgkinHuxleySomaConfig {
    fn membrane(&self, builder: &Builder<'_>, units: &[usize]) -> Result<HodgkinHuxleyMembrane, Defect> {
        Ok(HodgkinHuxleyMembrane { patch: patch!(self, builder, units), rates: self.rates })
    }
}

const EQUATION: &str = "C·dV/dt = I − g_Na·m³·h·(V − E_Na) − g_K·n⁴·(V − E_K) − g_L·(V − E_L); \
                        dx/dt = φ·(α_x·(1 − x) − β_x·x); S where V rises above θ";
const SOURCE: &str = "Hodgkin & Huxley, A quantitative description of membrane current and its application to conduction \
                      and excitation in nerve (1952)";

soma_components! {
    HodgkinHuxleyMembrane;
    HodgkinHuxleySomaConfig {
        const NAME: &'static str = "HodgkinHuxleySoma";
        const SUMMARY: &'static str = "Hodgkin's and Huxley's units: 100 µm² of the squid's giant axon at 6.3 °C";
        const EQUATION: &'static str = EQUATION;
        const SOURCE: &'static str = SOURCE;
    }
    AdaptiveHodgkinHuxleySomaConfig {
        const NAME: &'static str = "AdaptiveHodgkinHuxleySoma";
        const SUMMARY: &'static str = "Hodgkin's and Huxley's units with refractoriness and adaptation";
        const EQUATION: &'static str = EQUATION;
        const SOURCE: &'static str = SOURCE;

        fn check(&self, path: &str, problems: &mut Problems) {
            no_clamp(self.clamp_duration.as_ref(), path, problems);
        }
    }
}
