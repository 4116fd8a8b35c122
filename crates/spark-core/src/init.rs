//! Initial values of parameters, drawn on the host so that every backend starts from the same ones.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::validate::Problems;

/// How the entries of a parameter are drawn.
///
/// # Examples
/// ```
/// use spark_core::{Initializer, seed};
///
/// let initializer = Initializer::FanIn { gain: 1.0 };
/// let weights = initializer.draw(1000, 100, &mut seed::rng(1, "weight"));
/// assert!(weights.iter().all(|w| w.abs() <= 0.1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Initializer {
    /// Every entry is `value`.
    Constant {
        /// The value.
        value: f32,
    },
    /// Uniform in `[min, max)`.
    Uniform {
        /// Lower bound.
        min: f32,
        /// Upper bound.
        max: f32,
    },
    /// Normal with the given mean and standard deviation.
    Normal {
        /// Mean.
        mean: f32,
        /// Standard deviation.
        std: f32,
    },
    /// Uniform in `±gain/√fan_in`; gain 1 is what PyTorch's linear and convolutional layers start from.
    FanIn {
        /// Factor on the bound, without unit.
        gain: f32,
    },
}

impl Default for Initializer {
    fn default() -> Self {
        Self::FanIn { gain: 1.0 }
    }
}

impl Initializer {
    /// Draws `count` entries; `fan_in` is the number of inputs that one unit sums over.
    pub fn draw(&self, count: usize, fan_in: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
        let mut uniform = |min: f32, max: f32| -> Vec<f32> {
            (0..count).map(|_| min + (max - min) * rng.random::<f32>()).collect()
        };
        match *self {
            Self::Constant { value } => vec![value; count],
            Self::Uniform { min, max } => uniform(min, max),
            Self::FanIn { gain } => {
                let bound = gain / (fan_in.max(1) as f32).sqrt();
                uniform(-bound, bound)
            }
            Self::Normal { mean, std } => (0..count).map(|_| mean + std * standard_normal(rng)).collect(),
        }
    }

    /// Checks the parameters; `path` is where the initializer stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        match *self {
            Self::Constant { value } => problems.finite(format!("{path}.value"), value),
            Self::Uniform { min, max } => {
                problems.finite(format!("{path}.min"), min);
                problems.finite(format!("{path}.max"), max);
                if min > max {
                    problems.push(format!("{path}.min"), min, format!("at most max, {max}"));
                }
            }
            Self::Normal { mean, std } => {
                problems.finite(format!("{path}.mean"), mean);
                problems.non_negative(format!("{path}.std"), std);
            }
            Self::FanIn { gain } => problems.non_negative(format!("{path}.gain"), gain),
        }
    }
}

/// One draw of the standard normal distribution, by the Box–Muller transform.
pub(crate) fn standard_normal(rng: &mut ChaCha8Rng) -> f32 {
    // 1 − u lies in (0, 1], where the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed;

    fn moments(values: &[f32]) -> (f32, f32) {
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / values.len() as f32;
        (mean, variance.sqrt())
    }

    #[test]
    fn draws_have_the_moments_they_promise() {
        let mut rng = seed::rng(3, "moments");
        let (mean, std) = moments(&Initializer::Normal { mean: 2.0, std: 0.5 }.draw(40_000, 1, &mut rng));
        assert!((mean - 2.0).abs() < 0.02 && (std - 0.5).abs() < 0.02, "{mean} {std}");
        let (mean, std) = moments(&Initializer::Uniform { min: -1.0, max: 3.0 }.draw(40_000, 1, &mut rng));
        assert!((mean - 1.0).abs() < 0.04 && (std - 4.0 / 12f32.sqrt()).abs() < 0.04, "{mean} {std}");
    }

    #[test]
    fn validation_names_each_field() {
        let mut problems = Problems::default();
        Initializer::Uniform { min: 2.0, max: 1.0 }.validate("layers[0].weight", &mut problems);
        Initializer::Normal { mean: f32::NAN, std: -1.0 }.validate("layers[1].weight", &mut problems);
        let paths: Vec<_> = problems.list().iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["layers[0].weight.min", "layers[1].weight.mean", "layers[1].weight.std"]);
    }
}
