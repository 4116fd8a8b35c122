//! Initializers: distributions that parameters are drawn from.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::init::standard_normal;
use crate::validate::Problems;

/// The distributions of a [`Draw`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// `scale` everywhere.
    Constant,
    /// Uniform in `[0, scale)`.
    Uniform,
    /// Uniform in `[0, scale)`, each entry kept with probability `density` and else 0.
    SparseUniform,
    /// As sparse uniform, then divided by the sum over all axes but `norm_axes`, where that is not 0, and
    /// multiplied by `scale`: with the postsynaptic axes, what arrives at a unit sums to `scale`.
    NormalizedSparseUniform,
    /// `scale` times a normal number with mean `mu` and standard deviation `sigma`.
    Normal,
    /// As normal, each entry kept with probability `density` and else 0.
    SparseNormal,
    /// `scale·(mu + exp(n))` with normal `n` of mean 0 and standard deviation `sigma`.
    LogNormal,
    /// As log-normal, each entry kept with probability `density` and else 0.
    SparseLogNormal,
}

impl Distribution {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Constant,
        Self::Uniform,
        Self::SparseUniform,
        Self::NormalizedSparseUniform,
        Self::Normal,
        Self::SparseNormal,
        Self::LogNormal,
        Self::SparseLogNormal,
    ];

    /// Names in configurations, and what they mean.
    ///
    /// # Examples
    /// ```
    /// use spark_core::parameter::Distribution;
    ///
    /// let described = Distribution::described();
    /// assert_eq!(described[0], ("constant".to_owned(), "`scale` everywhere.".to_owned()));
    /// assert_eq!(described.len(), Distribution::ALL.len());
    /// ```
    pub fn described() -> Vec<(String, String)> {
        let schema = serde_json::Value::from(schemars::schema_for!(Self));
        let options = schema["oneOf"].as_array().cloned().unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().replace('\n', " ");
        options.iter().map(|option| (text(&option["const"]), text(&option["description"]))).collect()
    }

    fn sparse(self) -> bool {
        use Distribution as D;
        matches!(self, D::SparseUniform | D::NormalizedSparseUniform | D::SparseNormal | D::SparseLogNormal)
    }

    fn normal(self) -> bool {
        use Distribution as D;
        matches!(self, D::Normal | D::SparseNormal | D::LogNormal | D::SparseLogNormal)
    }
}

/// An initializer: values drawn from a seed, the same on every backend.
///
/// Entries are first drawn, then zeroed where the distribution is sparse, then clipped.
///
/// # Examples
/// ```
/// use spark_core::parameter::{Distribution, Draw};
///
/// let draw = Draw { scale: 3.0, density: Some(0.5), ..Draw::new(Distribution::NormalizedSparseUniform) };
/// // A kernel of 2 postsynaptic and 100 presynaptic units: each row sums to 3.
/// let kernel = draw.draw(&[2, 100], &[0], &mut spark_core::seed::rng(0, "kernel"));
/// assert!((kernel[..100].iter().sum::<f32>() - 3.0).abs() < 1e-4);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// The distribution.
    pub kind: Distribution,
    /// Factor on every entry.
    #[serde(default = "one")]
    pub scale: f32,
    /// Lower bound of an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_value: Option<f32>,
    /// Upper bound of an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_value: Option<f32>,
    /// Probability that an entry of a sparse distribution is kept, 0.2 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density: Option<f32>,
    /// Axes that a normalised distribution keeps apart; where absent those of the postsynaptic units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm_axes: Option<Vec<usize>>,
    /// Mean of a normal distribution, offset of a log-normal one, 0 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mu: Option<f32>,
    /// Standard deviation of a normal or log-normal distribution, 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f32>,
}

fn one() -> f32 {
    1.0
}

impl Draw {
    /// A distribution with its defaults.
    pub fn new(kind: Distribution) -> Self {
        let absent = None;
        Self {
            kind,
            scale: 1.0,
            min_value: absent,
            max_value: absent,
            density: absent,
            norm_axes: None,
            mu: absent,
            sigma: absent,
        }
    }

    /// One entry for each of `shape`, in row-major order; `norm_axes` is for normalised distributions that
    /// do not name their own.
    pub fn draw(&self, shape: &[usize], norm_axes: &[usize], rng: &mut ChaCha8Rng) -> Vec<f32> {
        let count = shape.iter().product();
        let (mu, sigma) = (self.mu.unwrap_or(0.0), self.sigma.unwrap_or(1.0));
        let mut entry = || match self.kind {
            Distribution::Constant => self.scale,
            Distribution::Uniform | Distribution::SparseUniform => self.scale * rng.random::<f32>(),
            Distribution::NormalizedSparseUniform => rng.random::<f32>(),
            Distribution::Normal | Distribution::SparseNormal => {
                self.scale * (mu + sigma * standard_normal(rng))
            }
            Distribution::LogNormal | Distribution::SparseLogNormal => {
                self.scale * (mu + (sigma * standard_normal(rng)).exp())
            }
        };
        let mut values: Vec<f32> = (0..count).map(|_| entry()).collect();
        if self.kind.sparse() {
            let density = self.density.unwrap_or(0.2);
            for value in &mut values {
                if rng.random::<f32>() >= density {
                    *value = 0.0;
                }
            }
        }
        if self.kind == Distribution::NormalizedSparseUniform {
            normalize(&mut values, shape, self.norm_axes.as_deref().unwrap_or(norm_axes), self.scale);
        }
        let (min, max) = (self.min_value, self.max_value);
        for value in &mut values {
            *value = min.map_or(*value, |min| value.max(min));
            *value = max.map_or(*value, |max| value.min(max));
        }
        values
    }

    /// Checks the fields; `path` is where the initializer stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        problems.finite(format!("{path}.scale"), self.scale);
        let finite = [("min_value", self.min_value), ("max_value", self.max_value), ("mu", self.mu)];
        for (name, value) in finite {
            if let Some(value) = value {
                problems.finite(format!("{path}.{name}"), value);
            }
        }
        if let (Some(min), Some(max)) = (self.min_value, self.max_value)
            && min > max
        {
            problems.push(format!("{path}.min_value"), min, format!("at most max_value, {max}"));
        }
        if let Some(density) = self.density {
            problems.unit_interval(format!("{path}.density"), density);
        }
        if let Some(sigma) = self.sigma {
            problems.non_negative(format!("{path}.sigma"), sigma);
        }
        let belongs = [
            ("density", self.density.is_some(), self.kind.sparse()),
            ("norm_axes", self.norm_axes.is_some(), self.kind == Distribution::NormalizedSparseUniform),
            ("mu", self.mu.is_some(), self.kind.normal()),
            ("sigma", self.sigma.is_some(), self.kind.normal()),
        ];
        for (name, given, known) in belongs {
            if given && !known {
                let expected = format!("no such field in a distribution of kind {:?}", self.kind);
                problems.push(format!("{path}.{name}"), "a value", expected);
            }
        }
    }
}

/// Divides by the sum over all axes but `kept`, then multiplies by `scale`; a sum of 0 is left.
fn normalize(values: &mut [f32], shape: &[usize], kept: &[usize], scale: f32) {
    let group = |mut place: usize| {
        let (mut group, mut stride) = (0, 1);
        for (axis, extent) in shape.iter().enumerate().rev() {
            if kept.contains(&axis) {
                group += place % extent * stride;
                stride *= extent;
            }
            place /= extent;
        }
        group
    };
    let groups: usize = kept.iter().filter_map(|&axis| shape.get(axis)).product();
    let mut sums = vec![0.0; groups];
    for (place, value) in values.iter().enumerate() {
        sums[group(place)] += value;
    }
    for (place, value) in values.iter_mut().enumerate() {
        let sum = sums[group(place)];
        *value *= if sum == 0.0 { scale } else { scale / sum };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed;

    fn mean_and_deviation(values: &[f32]) -> (f32, f32) {
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / values.len() as f32;
        (mean, variance.sqrt())
    }

    #[test]
    fn distributions_have_the_moments_they_promise() {
        let draw = |draw: Draw| draw.draw(&[200, 200], &[0], &mut seed::rng(4, "draw"));
        let close =
            |found: f32, expected: f32| assert!((found - expected).abs() < 0.02, "{found} {expected}");

        let (mean, deviation) = mean_and_deviation(&draw(Draw {
            mu: Some(2.0),
            sigma: Some(0.5),
            ..Draw::new(Distribution::Normal)
        }));
        close(mean, 2.0);
        close(deviation, 0.5);
        let log = draw(Draw { sigma: Some(0.5), ..Draw::new(Distribution::LogNormal) });
        close(mean_and_deviation(&log).0, (0.125f32).exp());
        let sparse = draw(Draw { density: Some(0.3), ..Draw::new(Distribution::SparseUniform) });
        close(sparse.iter().filter(|x| **x != 0.0).count() as f32 / 40_000.0, 0.3);
        close(mean_and_deviation(&sparse).0, 0.15);
    }

    #[test]
    fn a_normalised_draw_sums_to_its_scale_along_the_other_axes() {
        let draw = Draw { scale: 2.0, ..Draw::new(Distribution::NormalizedSparseUniform) };
        let values = draw.draw(&[3, 4, 50], &[0, 1], &mut seed::rng(1, "kernel"));
        for row in values.chunks(50) {
            assert!((row.iter().sum::<f32>() - 2.0).abs() < 1e-4);
        }
        let empty = Draw { density: Some(0.0), ..draw }.draw(&[2, 3], &[0], &mut seed::rng(1, "kernel"));
        assert_eq!(empty, [0.0; 6]);
    }

    #[test]
    fn the_clip_comes_last() {
        let draw =
            Draw { density: Some(0.5), min_value: Some(0.25), ..Draw::new(Distribution::SparseUniform) };
        let values = draw.draw(&[100], &[], &mut seed::rng(1, "clip"));
        assert!(values.iter().all(|value| *value >= 0.25) && values.contains(&0.25));
    }

    #[test]
    fn fields_of_other_distributions_are_problems() {
        let mut problems = Problems::default();
        Draw { density: Some(1.5), sigma: Some(-1.0), ..Draw::new(Distribution::Uniform) }
            .validate("kernel", &mut problems);
        let paths: Vec<_> = problems.list().iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["kernel.density", "kernel.sigma", "kernel.density", "kernel.sigma"]);
    }
}
