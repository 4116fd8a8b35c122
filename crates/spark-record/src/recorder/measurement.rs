//! What is recorded together, and when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_core::payload::PayloadKind;
use std::fmt;
use std::str::FromStr;

use super::probe::{Probe, Units};
use super::trigger::Trigger;
use crate::window::StreamKind;

/// A named set of probes with a trigger.
///
/// # Examples
/// ```
/// use spark_record::{Measurement, Preset};
///
/// let bursts: Measurement = serde_json::from_str(
///     r#"{
///         "name": "bursts",
///         "probes": [{"address": "pool.soma.potential", "record": "trace", "units": 4}],
///         "trigger": {"when": "condition", "expression": "rate(pool.out_spikes, 20) > 50"},
///         "look_back": 100
///     }"#,
/// )?;
/// assert_eq!((bursts.look_back, bursts.window), (100, 10_000));
/// assert_eq!(Preset::Activity.measurement().name, "activity");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Its name, of which there is one in a run.
    pub name: String,
    /// What is recorded.
    pub probes: Vec<Probe>,
    /// When (default: always).
    #[serde(default)]
    pub trigger: Trigger,
    /// Steps that are recorded from before the trigger; 0 by default.
    #[serde(default)]
    pub look_back: u64,
    /// Steps for which it goes on after the trigger; 0 by default.
    #[serde(default)]
    pub hold: u64,
    /// What windows are grouped by; by nothing without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Grouping>,
    /// Steps in a window (default 10000), which bounds the memory that it takes; a window that takes more than 16 MiB
    /// ends sooner.
    #[serde(default = "ten_thousand")]
    pub window: u64,
}

/// What windows are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// Stretches of so many steps, numbered from 0.
    Steps(u64),
    /// The value of a tag that the program sets, such as `episode`.
    Tag(String),
}

fn ten_thousand() -> u64 {
    10_000
}

impl Measurement {
    /// A measurement that records always, in windows of 10,000 steps.
    pub fn new(name: &str, probes: Vec<Probe>) -> Self {
        Self {
            name: name.to_owned(),
            probes,
            trigger: Trigger::Always,
            look_back: 0,
            hold: 0,
            group: None,
            window: ten_thousand(),
        }
    }

    /// Checks what can be checked without a model.
    fn validate(&self, path: &str, problems: &mut Problems) {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        if self.name.is_empty() || !self.name.chars().all(plain) {
            problems.push(format!("{path}.name"), format!("`{}`", self.name), "letters, digits, _ and -");
        }
        if self.probes.is_empty() {
            problems.push(format!("{path}.probes"), "none", "at least one probe");
        }
        for (at, probe) in self.probes.iter().enumerate() {
            probe.validate(&format!("{path}.probes[{at}]"), problems);
        }
        self.trigger.validate(&format!("{path}.trigger"), problems);
        problems.positive(format!("{path}.window"), self.window as f64);
        if self.group == Some(Grouping::Steps(0)) {
            problems.push(format!("{path}.group.steps"), 0, "at least 1");
        }
    }
}

/// Checks measurements as far as that can be done without a model.
///
/// # Errors
/// Every problem with its path.
pub fn validate(measurements: &[Measurement]) -> Result<(), Problems> {
    let mut problems = Problems::default();
    for (at, measurement) in measurements.iter().enumerate() {
        measurement.validate(&format!("[{at}]"), &mut problems);
        if measurements[..at].iter().any(|earlier| earlier.name == measurement.name) {
            problems.push(
                format!("[{at}].name"),
                format!("`{}` again", measurement.name),
                "a name of its own",
            );
        }
    }
    problems.into_result()
}

/// Measurements that are ready for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Statistics of spikes and potentials every 100 steps.
    Summary,
    /// Spikes of all units, and the potential of four units of every soma and dendrite.
    Activity,
    /// Kernels every 1,000 steps, and statistics of their weights.
    Weights,
    /// Spikes of all units, and statistics of potentials and weights every 100 steps.
    Default,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Summary, Self::Activity, Self::Weights, Self::Default];

    /// What it records.
    pub fn measurement(self) -> Measurement {
        let of = |address: &str, payload: PayloadKind, record: StreamKind| Probe {
            payload: Some(payload),
            optional: true,
            ..Probe::new(address, record)
        };
        let spikes = |record| [of("*", PayloadKind::Spikes, record), of("*.*", PayloadKind::Spikes, record)];
        let potentials = |record| of("**", PayloadKind::Potentials, record);
        let weights = |record| of("**", PayloadKind::Kernel, record);
        let probes = match self {
            Self::Summary => [&spikes(StreamKind::Summary)[..], &[potentials(StreamKind::Summary)]].concat(),
            Self::Activity => {
                let traces = Probe { units: Some(Units::Some(4)), ..potentials(StreamKind::Trace) };
                [&spikes(StreamKind::Raster)[..], &[traces]].concat()
            }
            Self::Weights => vec![weights(StreamKind::Snapshot), weights(StreamKind::Summary)],
            Self::Default => {
                let summaries = [potentials(StreamKind::Summary), weights(StreamKind::Summary)];
                [&spikes(StreamKind::Raster)[..], &summaries].concat()
            }
        };
        Measurement::new(&self.to_string(), probes)
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Summary => "summary",
            Self::Activity => "activity",
            Self::Weights => "weights",
            Self::Default => "default",
        })
    }
}

/// A name that no preset has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown preset `{0}`: there are summary, activity, weights and default")]
pub struct UnknownPreset(String);

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, UnknownPreset> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.to_string() == text)
            .ok_or_else(|| UnknownPreset(text.into()))
    }
}
