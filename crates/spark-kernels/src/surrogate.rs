//! Surrogate derivatives of the step function.

pub(crate) mod formula;
pub(crate) mod number;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use formula::with_derivative;

/// The derivative that replaces that of the Heaviside step in the backward pass.
///
/// The forward pass is always the exact step `s = 1 if x > 0 else 0`, where `x` is the membrane
/// potential minus the threshold. Only gradients depend on the choice made here.
///
/// In JSON a surrogate is an object with its name as `kind`, such as
/// `{"kind": "fast_sigmoid", "slope": 10.0}`. [`Surrogate::PRESETS`] lists all of them.
///
/// Where a variant names a library, the derivative is the one that this library computes, and equal to
/// recordings of it.
///
/// # Examples
/// ```
/// use spark_kernels::Surrogate;
///
/// let surrogate = Surrogate::Triangular { slope: 1.0 };
/// assert_eq!(surrogate.derivative(0.0), 1.0);
/// assert_eq!(surrogate.derivative(-0.25), 0.75);
/// assert_eq!(surrogate.derivative(1.5), 0.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Surrogate {
    /// Arc tangent: `(α/2) / (1 + (π/2·α·x)²)`, peak `α/2`.
    ///
    /// Source: Fang et al., *Incorporating learnable membrane time constant to enhance learning of spiking
    /// neural networks* (2021).
    Atan {
        /// Steepness α, without unit; larger is narrower.
        alpha: f32,
    },
    /// Fast sigmoid: `1 / (1 + k·|x|)²`, peak 1.
    ///
    /// Source: Zenke & Ganguli, *SuperSpike* (2018), where k is β.
    FastSigmoid {
        /// Steepness k, without unit; larger is narrower.
        slope: f32,
    },
    /// Logistic sigmoid: `k·σ(kx)·(1 − σ(kx))`, peak `k/4`.
    ///
    /// Source: Neftci, Mostafa & Zenke, *Surrogate gradient learning in spiking neural networks* (2019).
    Sigmoid {
        /// Steepness k, without unit; larger is narrower.
        slope: f32,
    },
    /// Triangular: `max(0, 1 − k·|x|)`, peak 1, zero outside `|x| < 1/k`.
    ///
    /// Source: Esser et al., *Convolutional networks for fast, energy-efficient neuromorphic computing* (2016).
    Triangular {
        /// Steepness k, without unit; the support is `2/k` wide.
        slope: f32,
    },
    /// Damped triangular: `γ·max(0, 1 − k·|x|)`, peak γ, zero outside `|x| < 1/k`.
    ///
    /// Source: Bellec et al., *Long short-term memory and learning-to-learn in networks of spiking neurons*
    /// (2018), with γ = 0.3 and k the inverse threshold. Norse calls `k = 1` triangle.
    DampedTriangular {
        /// Dampening factor γ, without unit.
        height: f32,
        /// Steepness k, without unit; the support is `2/k` wide.
        slope: f32,
    },
    /// Straight through: 1 everywhere.
    ///
    /// Source: Bengio, Léonard & Courville, *Estimating or propagating gradients through stochastic
    /// neurons for conditional computation* (2013).
    StraightThrough {},
    /// SuperSpike in the scaling of SpikingJelly: `α / (1 + |x|)²`, peak α.
    ///
    /// [`FastSigmoid`](Self::FastSigmoid) has the steepness of the original instead.
    SuperSpike {
        /// Peak α, without unit.
        alpha: f32,
    },
    /// Sparse fast sigmoid (SFS) of snnTorch: `1 / (1 + k·|x|)²` where `x > B`, 0 elsewhere.
    ///
    /// Source: Perez-Nieves & Goodman, *Sparse spiking gradient descent* (2021).
    SparseFastSigmoid {
        /// Steepness k, without unit; larger is narrower.
        slope: f32,
        /// B, in units of the membrane: gradients pass only above it.
        boundary: f32,
    },
    /// Piecewise quadratic: `α·max(0, 1 − α·|x|)`, peak α, area 1, zero outside `|x| < 1/α`.
    ///
    /// Source: Wu et al., *Spatio-temporal backpropagation for training high-performance spiking neural
    /// networks* (2018).
    PiecewiseQuadratic {
        /// Steepness α, without unit; the support is `2/α` wide.
        alpha: f32,
    },
    /// Piecewise exponential: `(α/2)·e^{−α|x|}`, peak `α/2`.
    ///
    /// Source: Shrestha & Orchard, *SLAYER* (2018).
    PiecewiseExponential {
        /// Steepness α, without unit; larger is narrower.
        alpha: f32,
    },
    /// Soft sign: `(α/2) / (1 + α·|x|)²`, peak `α/2`.
    SoftSign {
        /// Steepness α, without unit; larger is narrower.
        alpha: f32,
    },
    /// Gaussian error function: `α/√π · e^{−α²x²}`, peak `α/√π`, area 1.
    ///
    /// Source: Esser et al., *Backpropagation for energy-efficient neuromorphic computing* (2015).
    Erf {
        /// Steepness α, without unit; larger is narrower.
        alpha: f32,
    },
    /// Gaussian: `γ / (σ√(2π)) · e^{−x²/(2σ²)}`, area γ.
    ///
    /// Source: Yin, Corradi & Bohté, *Accurate and efficient time-domain classification with adaptive
    /// spiking recurrent neural networks* (2021).
    Gaussian {
        /// Standard deviation σ, in units of the membrane.
        sigma: f32,
        /// Area γ, without unit.
        scale: f32,
    },
    /// Hyperbolic tangent, as in Norse: `1 − tanh²(αx)`, peak 1.
    Tanh {
        /// Steepness α, without unit; larger is narrower.
        alpha: f32,
    },
    /// Circle, as in Norse: `(1 + (x/α)²)^{−3/2}`, peak 1.
    Circ {
        /// Width α, in units of the membrane; larger is wider.
        alpha: f32,
    },
    /// Rectangular: α where `|x| < 1/(2α)`, 0 elsewhere; area 1.
    ///
    /// Source: Wu et al., *Spatio-temporal backpropagation for training high-performance spiking neural
    /// networks* (2018).
    Rectangular {
        /// Height α, without unit; the support is `1/α` wide.
        alpha: f32,
    },
    /// Piecewise leaky ReLU, as in SpikingJelly: `1/(2w)` where `|x| < w`, c elsewhere.
    PiecewiseLeakyRelu {
        /// Half-width w, in units of the membrane.
        width: f32,
        /// Derivative c outside, without unit, at least 0.
        leak: f32,
    },
    /// Leaky k-ReLU, as in SpikingJelly: k where `x ≥ 0`, `leak` below.
    ///
    /// With k = −`leak` it is what snnTorch calls triangular.
    LeakyKRelu {
        /// Derivative below the threshold, without unit.
        leak: f32,
        /// Derivative k from the threshold on, without unit.
        slope: f32,
    },
    /// Log-tailed ReLU: α where `x ≤ 0`, 1 where `0 < x ≤ 1`, `1/x` beyond.
    ///
    /// Source: Cai et al., *Deep learning with low precision by half-wave Gaussian quantization* (2017).
    LogTailedRelu {
        /// Derivative α below the threshold, without unit, at least 0.
        alpha: f32,
    },
    /// Nonzero sign-log-abs, as in SpikingJelly: `1 / (1/α + |x|)`, peak α.
    NonzeroSignLogAbs {
        /// Peak α, without unit.
        alpha: f32,
    },
    /// Fake numerical gradient, as in SpikingJelly: `min(α, 1/|x|)`, peak α.
    FakeNumericalGradient {
        /// Peak α, without unit.
        alpha: f32,
    },
    /// Spike-rate escape, as in snnTorch: `k·e^{−β|x − 1|}`, peak k at `x = 1`.
    ///
    /// Source: Gerstner, Kistler, Naud & Paninski, *Neuronal Dynamics* (2014), chapter 9.
    SpikeRateEscape {
        /// Peak k, without unit.
        slope: f32,
        /// Steepness β, without unit; larger is narrower.
        beta: f32,
    },
    /// S2NN: `α·σ(αx)·(1 − σ(αx))` where `x < 0`, `β / (1 + x)` elsewhere.
    ///
    /// Source: Suetake et al., *S²NN: time step reduction of spiking surrogate gradients for training
    /// energy efficient single-step neural networks* (2022).
    S2nn {
        /// Steepness α below the threshold, without unit.
        alpha: f32,
        /// Factor β from the threshold on, without unit.
        beta: f32,
    },
    /// q-PseudoSpike: `(1 + 2|x|/(α − 1))^{−α}`, peak 1.
    ///
    /// Source: Herranz-Celotti & Rouat, *Surrogate gradients design* (2022).
    QPseudoSpike {
        /// Tail fatness α, without unit, above 1; larger is thinner.
        alpha: f32,
    },
    /// Fourier series of a square wave, as in SpikingJelly: `(4/T)·Σ cos(2π(2i − 1)x/T)` for i from 1 to n.
    ///
    /// SpikingJelly's own n counts one more than the terms that it sums.
    SquarewaveFourierSeries {
        /// Number of terms n, from 1 to 100.
        terms: u32,
        /// Period T, in units of the membrane.
        period: f32,
    },
}

/// A surrogate whose parameter cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub struct SurrogateError {
    /// Name of the parameter.
    pub field: &'static str,
    /// The value found.
    pub found: f32,
    /// What was expected.
    pub expected: &'static str,
}

impl std::fmt::Display for SurrogateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "surrogate {}: found {}, expected {}", self.field, self.found, self.expected)
    }
}

impl std::error::Error for SurrogateError {}

impl Default for Surrogate {
    /// The arc tangent with α = 2.
    fn default() -> Self {
        Self::Atan { alpha: 2.0 }
    }
}

impl Surrogate {
    /// Every surrogate once, with usual parameters: a start for a configuration.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::Surrogate;
    ///
    /// let named = Surrogate::PRESETS.into_iter().find(|surrogate| surrogate.name() == "erf");
    /// assert_eq!(named, Some(Surrogate::Erf { alpha: 2.0 }));
    /// ```
    pub const PRESETS: [Self; 25] = [
        Self::Atan { alpha: 2.0 },
        Self::FastSigmoid { slope: 10.0 },
        Self::Sigmoid { slope: 4.0 },
        Self::Triangular { slope: 1.0 },
        Self::DampedTriangular { height: 0.3, slope: 1.0 },
        Self::StraightThrough {},
        Self::SuperSpike { alpha: 1.0 },
        Self::SparseFastSigmoid { slope: 25.0, boundary: 1.0 },
        Self::PiecewiseQuadratic { alpha: 1.0 },
        Self::PiecewiseExponential { alpha: 1.0 },
        Self::SoftSign { alpha: 2.0 },
        Self::Erf { alpha: 2.0 },
        Self::Gaussian { sigma: 0.5, scale: 1.0 },
        Self::Tanh { alpha: 1.0 },
        Self::Circ { alpha: 1.0 },
        Self::Rectangular { alpha: 1.0 },
        Self::PiecewiseLeakyRelu { width: 1.0, leak: 0.01 },
        Self::LeakyKRelu { leak: 0.1, slope: 1.0 },
        Self::LogTailedRelu { alpha: 0.1 },
        Self::NonzeroSignLogAbs { alpha: 1.0 },
        Self::FakeNumericalGradient { alpha: 0.3 },
        Self::SpikeRateEscape { slope: 1.0, beta: 1.0 },
        Self::S2nn { alpha: 4.0, beta: 1.0 },
        Self::QPseudoSpike { alpha: 2.0 },
        Self::SquarewaveFourierSeries { terms: 1, period: 8.0 },
    ];

    /// The name in configurations, the `kind` of the JSON form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Atan { .. } => "atan",
            Self::FastSigmoid { .. } => "fast_sigmoid",
            Self::Sigmoid { .. } => "sigmoid",
            Self::Triangular { .. } => "triangular",
            Self::DampedTriangular { .. } => "damped_triangular",
            Self::StraightThrough {} => "straight_through",
            Self::SuperSpike { .. } => "super_spike",
            Self::SparseFastSigmoid { .. } => "sparse_fast_sigmoid",
            Self::PiecewiseQuadratic { .. } => "piecewise_quadratic",
            Self::PiecewiseExponential { .. } => "piecewise_exponential",
            Self::SoftSign { .. } => "soft_sign",
            Self::Erf { .. } => "erf",
            Self::Gaussian { .. } => "gaussian",
            Self::Tanh { .. } => "tanh",
            Self::Circ { .. } => "circ",
            Self::Rectangular { .. } => "rectangular",
            Self::PiecewiseLeakyRelu { .. } => "piecewise_leaky_relu",
            Self::LeakyKRelu { .. } => "leaky_k_relu",
            Self::LogTailedRelu { .. } => "log_tailed_relu",
            Self::NonzeroSignLogAbs { .. } => "nonzero_sign_log_abs",
            Self::FakeNumericalGradient { .. } => "fake_numerical_gradient",
            Self::SpikeRateEscape { .. } => "spike_rate_escape",
            Self::S2nn { .. } => "s2nn",
            Self::QPseudoSpike { .. } => "q_pseudo_spike",
            Self::SquarewaveFourierSeries { .. } => "squarewave_fourier_series",
        }
    }

    /// The derivative at `x`, the membrane potential minus the threshold.
    #[inline]
    pub fn derivative(self, x: f32) -> f32 {
        with_derivative!(self, |derivative| derivative(x))
    }

    /// The half-width `w` of the support: the derivative is exactly zero wherever `|x| > w`.
    ///
    /// `None` when the derivative vanishes nowhere, on one side only, or no more than nearly.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::Surrogate;
    ///
    /// assert_eq!(Surrogate::Triangular { slope: 4.0 }.support(), Some(0.25));
    /// assert_eq!(Surrogate::Erf { alpha: 2.0 }.support(), None);
    /// ```
    pub fn support(self) -> Option<f32> {
        match self {
            Self::Triangular { slope } | Self::DampedTriangular { slope, .. } => Some(1.0 / slope),
            Self::PiecewiseQuadratic { alpha } => Some(1.0 / alpha),
            Self::Rectangular { alpha } => Some(0.5 / alpha),
            Self::PiecewiseLeakyRelu { width, leak: 0.0 } => Some(width),
            _ => None,
        }
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// Names the first parameter that cannot be used, the value found and what was expected.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::Surrogate;
    ///
    /// let error = Surrogate::QPseudoSpike { alpha: 0.5 }.validate().unwrap_err();
    /// assert_eq!(error.to_string(), "surrogate alpha: found 0.5, expected a finite number above 1");
    /// ```
    pub fn validate(self) -> Result<(), SurrogateError> {
        match self {
            Self::Atan { alpha }
            | Self::SuperSpike { alpha }
            | Self::PiecewiseQuadratic { alpha }
            | Self::PiecewiseExponential { alpha }
            | Self::SoftSign { alpha }
            | Self::Erf { alpha }
            | Self::Tanh { alpha }
            | Self::Circ { alpha }
            | Self::Rectangular { alpha }
            | Self::NonzeroSignLogAbs { alpha }
            | Self::FakeNumericalGradient { alpha } => positive("alpha", alpha),
            Self::FastSigmoid { slope } | Self::Sigmoid { slope } | Self::Triangular { slope } => {
                positive("slope", slope)
            }
            Self::DampedTriangular { height, slope } => {
                positive("height", height)?;
                positive("slope", slope)
            }
            Self::StraightThrough {} => Ok(()),
            Self::SparseFastSigmoid { slope, boundary } => {
                positive("slope", slope)?;
                finite("boundary", boundary)
            }
            Self::Gaussian { sigma, scale } => {
                positive("sigma", sigma)?;
                positive("scale", scale)
            }
            Self::PiecewiseLeakyRelu { width, leak } => {
                positive("width", width)?;
                not_negative("leak", leak)
            }
            Self::LeakyKRelu { leak, slope } => {
                finite("leak", leak)?;
                finite("slope", slope)
            }
            Self::LogTailedRelu { alpha } => not_negative("alpha", alpha),
            Self::SpikeRateEscape { slope, beta } => {
                positive("slope", slope)?;
                positive("beta", beta)
            }
            Self::S2nn { alpha, beta } => {
                positive("alpha", alpha)?;
                positive("beta", beta)
            }
            Self::QPseudoSpike { alpha } => {
                expect(alpha.is_finite() && alpha > 1.0, "alpha", alpha, "a finite number above 1")
            }
            Self::SquarewaveFourierSeries { terms, period } => {
                expect((1..=100).contains(&terms), "terms", terms as f32, "a whole number from 1 to 100")?;
                positive("period", period)
            }
        }
    }
}

fn expect(
    holds: bool,
    field: &'static str,
    found: f32,
    expected: &'static str,
) -> Result<(), SurrogateError> {
    if holds { Ok(()) } else { Err(SurrogateError { field, found, expected }) }
}

fn positive(field: &'static str, found: f32) -> Result<(), SurrogateError> {
    expect(found.is_finite() && found > 0.0, field, found, "a finite number above 0")
}

fn not_negative(field: &'static str, found: f32) -> Result<(), SurrogateError> {
    expect(found.is_finite() && found >= 0.0, field, found, "a finite number of at least 0")
}

fn finite(field: &'static str, found: f32) -> Result<(), SurrogateError> {
    expect(found.is_finite(), field, found, "a finite number")
}
