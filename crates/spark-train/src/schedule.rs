//! Learning rates over time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;

/// How the learning rate changes; a function of the step alone, so that a resumed run goes on exactly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// The same all the time.
    Constant {},
    /// Half a cosine from the full rate down to `floor` times the rate at the last step.
    Cosine {
        /// Factor at the end, in `[0, 1]`.
        floor: f64,
        /// Steps over which the rate first rises linearly from zero.
        warmup: u64,
    },
    /// Multiplied by `factor` after every `epochs` epochs.
    Step {
        /// Epochs between changes.
        epochs: usize,
        /// Factor of each change, in `[0, 1]`.
        factor: f64,
    },
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant {}
    }
}

impl Schedule {
    /// The factor on the learning rate at `step` (from 0) of `total`, in epoch `epoch` (from 0).
    ///
    /// # Examples
    /// ```
    /// use spark_train::Schedule;
    ///
    /// let cosine = Schedule::Cosine { floor: 0.0, warmup: 10 };
    /// assert_eq!(cosine.factor(0, 110, 0), 0.1);
    /// assert_eq!(cosine.factor(10, 110, 0), 1.0);
    /// assert!((cosine.factor(60, 110, 0) - 0.5).abs() < 1e-12);
    /// ```
    pub fn factor(&self, step: u64, total: u64, epoch: usize) -> f64 {
        match *self {
            Self::Constant {} => 1.0,
            Self::Cosine { warmup, .. } if step < warmup => (step + 1) as f64 / warmup as f64,
            Self::Cosine { floor, warmup } => {
                let span = total.saturating_sub(warmup).max(1) as f64;
                let progress = ((step - warmup) as f64 / span).min(1.0);
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            Self::Step { epochs, factor } => factor.powi((epoch / epochs) as i32),
        }
    }

    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        match *self {
            Self::Constant {} => {}
            Self::Cosine { floor, .. } => problems.unit_interval(format!("{path}.floor"), floor),
            Self::Step { epochs, factor } => {
                problems.positive(format!("{path}.epochs"), epochs);
                problems.unit_interval(format!("{path}.factor"), factor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_ends_at_its_floor_and_stays_there() {
        let cosine = Schedule::Cosine { floor: 0.1, warmup: 0 };
        assert_eq!(cosine.factor(0, 100, 0), 1.0);
        assert!((cosine.factor(100, 100, 0) - 0.1).abs() < 1e-12);
        assert!((cosine.factor(500, 100, 0) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn steps_multiply() {
        let schedule = Schedule::Step { epochs: 2, factor: 0.5 };
        let factors: Vec<_> = (0..5).map(|epoch| schedule.factor(0, 1, epoch)).collect();
        assert_eq!(factors, [1.0, 1.0, 0.5, 0.5, 0.25]);
    }
}
