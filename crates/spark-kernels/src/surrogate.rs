//! Surrogate derivatives of the step function.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f32::consts::FRAC_PI_2;

/// The derivative that replaces that of the Heaviside step in the backward pass.
///
/// The forward pass is always the exact step `s = 1 if x > 0 else 0`, where `x` is the membrane
/// potential minus the threshold. Only gradients depend on the choice made here.
///
/// Sources: Zenke & Ganguli, *SuperSpike* (2018); Neftci, Mostafa & Zenke, *Surrogate gradient
/// learning in spiking neural networks* (2019); Fang et al., *Incorporating learnable membrane time
/// constant* (2021, arc tangent); Bellec et al., *Long short-term memory and learning-to-learn in
/// networks of spiking neurons* (2018, triangular).
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
    Atan {
        /// Steepness α, without unit; larger is narrower.
        alpha: f32,
    },
    /// Fast sigmoid: `1 / (1 + k·|x|)²`, peak 1.
    FastSigmoid {
        /// Steepness k, without unit; larger is narrower.
        slope: f32,
    },
    /// Logistic sigmoid: `k·σ(kx)·(1 − σ(kx))`, peak `k/4`.
    Sigmoid {
        /// Steepness k, without unit; larger is narrower.
        slope: f32,
    },
    /// Triangular: `max(0, 1 − k·|x|)`, peak 1, zero outside `|x| < 1/k`.
    Triangular {
        /// Steepness k, without unit; the support is `2/k` wide.
        slope: f32,
    },
}

/// A surrogate whose parameter cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub struct SurrogateError {
    /// Name of the parameter.
    pub field: &'static str,
    /// The value found.
    pub found: f32,
}

impl std::fmt::Display for SurrogateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "surrogate {}: found {}, expected a finite number above 0", self.field, self.found)
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
    /// The derivative at `x`, the membrane potential minus the threshold.
    #[inline]
    pub fn derivative(self, x: f32) -> f32 {
        match self {
            Self::Atan { alpha } => {
                let z = FRAC_PI_2 * alpha * x;
                0.5 * alpha / (1.0 + z * z)
            }
            Self::FastSigmoid { slope } => {
                let z = 1.0 + slope * x.abs();
                1.0 / (z * z)
            }
            Self::Sigmoid { slope } => {
                // Written with e^{-|kx|} so that it cannot overflow; the derivative is even in x.
                let e = (-(slope * x).abs()).exp();
                slope * e / ((1.0 + e) * (1.0 + e))
            }
            Self::Triangular { slope } => (1.0 - slope * x.abs()).max(0.0),
        }
    }

    /// Checks that the parameter is finite and above zero.
    ///
    /// # Errors
    /// Names the parameter and the value found.
    pub fn validate(self) -> Result<(), SurrogateError> {
        let (field, found) = match self {
            Self::Atan { alpha } => ("alpha", alpha),
            Self::FastSigmoid { slope } | Self::Sigmoid { slope } | Self::Triangular { slope } => {
                ("slope", slope)
            }
        };
        if found.is_finite() && found > 0.0 { Ok(()) } else { Err(SurrogateError { field, found }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Surrogate; 4] = [
        Surrogate::Atan { alpha: 2.0 },
        Surrogate::FastSigmoid { slope: 3.0 },
        Surrogate::Sigmoid { slope: 4.0 },
        Surrogate::Triangular { slope: 0.5 },
    ];

    /// Each closed form against the derivative of its own antiderivative.
    #[test]
    fn derivatives_match_their_antiderivatives() {
        let antiderivative = |surrogate: Surrogate, x: f64| match surrogate {
            Surrogate::Atan { alpha } => {
                (std::f64::consts::FRAC_PI_2 * f64::from(alpha) * x).atan() / std::f64::consts::PI
            }
            Surrogate::FastSigmoid { slope } => x / (1.0 + f64::from(slope) * x.abs()),
            Surrogate::Sigmoid { slope } => 1.0 / (1.0 + (-f64::from(slope) * x).exp()),
            Surrogate::Triangular { slope } => {
                let (k, a) = (f64::from(slope), x.abs().min(1.0 / f64::from(slope)));
                x.signum() * (a - 0.5 * k * a * a)
            }
        };
        for surrogate in ALL {
            for x in [-3.1, -1.0, -0.3, -0.01, 0.02, 0.4, 1.1, 2.7] {
                let h = 1e-6;
                let expected =
                    (antiderivative(surrogate, x + h) - antiderivative(surrogate, x - h)) / (2.0 * h);
                let found = f64::from(surrogate.derivative(x as f32));
                assert!((found - expected).abs() < 1e-5, "{surrogate:?} at {x}: {found} {expected}");
            }
        }
    }

    #[test]
    fn derivative_is_finite_far_from_threshold() {
        for surrogate in ALL {
            for x in [-1e30, -1e10, 0.0, 1e10, 1e30] {
                assert!(surrogate.derivative(x).is_finite(), "{surrogate:?} at {x}");
            }
        }
    }

    #[test]
    fn parameters_must_be_finite_and_positive() {
        for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            let error = Surrogate::Atan { alpha: bad }.validate().unwrap_err();
            assert_eq!(error.field, "alpha");
        }
        for surrogate in ALL {
            surrogate.validate().unwrap();
        }
    }
}
