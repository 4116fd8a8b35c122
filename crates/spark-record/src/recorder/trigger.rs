//! When something is recorded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;

use super::expression::Condition;

/// When a measurement records.
///
/// # Examples
/// ```
/// use spark_record::Trigger;
///
/// let burst: Trigger = serde_json::from_str(
///     r#"{"when": "condition", "expression": "rate(pool.out_spikes, 20) > 50"}"#,
/// )?;
/// assert!(matches!(burst, Trigger::Condition { .. }));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "when", rename_all = "snake_case", deny_unknown_fields)]
pub enum Trigger {
    /// At every step.
    #[default]
    Always,
    /// At every so manieth step.
    Every {
        /// Steps from one time to the next.
        steps: u64,
    },
    /// At certain steps.
    At {
        /// The steps, from 1.
        steps: Vec<u64>,
    },
    /// Between two steps, both included.
    Between {
        /// The first step.
        first: u64,
        /// The last step.
        last: u64,
    },
    /// When it is asked for, by the program or from another process.
    Manual,
    /// While a condition holds.
    Condition {
        /// The condition, such as `mean(pool.soma.potential) > -50 and step > 1000`: of an address mean, min, max,
        /// std, sum, active (fraction of units that are not zero) or rate (spikes per unit and second), each also
        /// as an average over steps (`rate(pool.out_spikes, 50)`), or one unit (`pool.soma.potential[3]`);
        /// `step`, `time` in ms, `tag(NAME)`; `+ - * / %`, comparisons, `and`, `or`, `not`.
        expression: String,
    },
    /// While at least one of these does.
    Any {
        /// The triggers.
        of: Vec<Self>,
    },
    /// While all of these do.
    All {
        /// The triggers.
        of: Vec<Self>,
    },
    /// While another one does not.
    Not {
        /// The other trigger.
        of: Box<Self>,
    },
}

impl Trigger {
    /// Checks what can be checked without a model; `path` is where it stands.
    pub(super) fn validate(&self, path: &str, problems: &mut Problems) {
        match self {
            Self::Always | Self::Manual => {}
            Self::Every { steps } => problems.positive(format!("{path}.steps"), *steps as f64),
            Self::At { steps } => {
                if steps.is_empty() {
                    problems.push(format!("{path}.steps"), "none", "at least one step");
                }
            }
            Self::Between { first, last } => {
                if first > last {
                    problems.push(format!("{path}.last"), last, format!("at least {first}, the first step"));
                }
            }
            Self::Condition { expression } => {
                if let Err(error) = Condition::parse(expression) {
                    problems.push(
                        format!("{path}.expression"),
                        format!("`{expression}`: {error}"),
                        "a condition",
                    );
                }
            }
            Self::Any { of } | Self::All { of } => {
                if of.is_empty() {
                    problems.push(format!("{path}.of"), "none", "at least one trigger");
                }
                for (at, inner) in of.iter().enumerate() {
                    inner.validate(&format!("{path}.of[{at}]"), problems);
                }
            }
            Self::Not { of } => of.validate(&format!("{path}.of"), problems),
        }
    }

    /// Whether it says to record at a step.
    ///
    /// * `condition`: whether the condition of so manieth place, counted from the outside in and from left to
    ///   right, holds.
    /// * `place`: the number of conditions before this trigger.
    pub(super) fn is_active(&self, step: u64, place: &mut usize, condition: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Self::Always => true,
            Self::Every { steps } => step.is_multiple_of(*steps),
            Self::At { steps } => steps.contains(&step),
            Self::Between { first, last } => (*first..=*last).contains(&step),
            Self::Manual => false,
            Self::Condition { .. } => {
                *place += 1;
                condition(*place - 1)
            }
            // Without a short cut: every condition counts.
            Self::Any { of } => {
                of.iter().fold(false, |any, trigger| trigger.is_active(step, place, condition) | any)
            }
            Self::All { of } => {
                of.iter().fold(true, |all, trigger| trigger.is_active(step, place, condition) & all)
            }
            Self::Not { of } => !of.is_active(step, place, condition),
        }
    }

    /// The conditions inside, from the outside in and from left to right.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        match self {
            Self::Condition { expression } => Condition::parse(expression).into_iter().collect(),
            Self::Any { of } | Self::All { of } => of.iter().flat_map(Self::conditions).collect(),
            Self::Not { of } => of.conditions(),
            _ => Vec::new(),
        }
    }
}
