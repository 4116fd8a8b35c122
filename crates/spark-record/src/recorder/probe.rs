//! What is looked at, and what is kept of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_core::component::Instance;
use spark_core::look::{Place, Sight};
use spark_core::model::Pattern;
use spark_core::payload::PayloadKind;
use spark_core::registry::distance;

use crate::window::{Statistic, Stream, StreamKind};

/// Looks at everything that a pattern means, and keeps one thing of it.
///
/// # Examples
/// ```
/// use spark_record::Probe;
///
/// let probe: Probe = serde_json::from_str(
///     r#"{"address": "pool_*.soma.potential", "record": "trace", "units": [0, 7]}"#,
/// )?;
/// assert_eq!(probe.stride, None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// An address such as `pool.soma.potential`, or a pattern: `*` stands for any text within a name, `**` for any
    /// number of names.
    pub address: String,
    /// Of what the pattern means, that which carries this; everything without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadKind>,
    /// What is kept.
    pub record: StreamKind,
    /// Which units a trace or raster keeps; all of them without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<Units>,
    /// Steps from one row to the next; without it 1 for traces and rasters, 100 for summaries, 1000 for snapshots
    /// and changes. A summary looks at every step in between, but at kernels once a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<u64>,
    /// Groups of neighbouring units, each with statistics of its own, in a summary (default 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
    /// Statistics of a summary; without it rate and active fraction of spikes, and mean, standard deviation,
    /// minimum and maximum of everything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statistics: Vec<Statistic>,
    /// Whether it is no mistake if a model has nothing of the kind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// A choice of units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Units {
    /// So many, spread evenly; all where there are fewer.
    Some(usize),
    /// These, by their place in the flattened shape.
    These(Vec<usize>),
}

/// A stream with where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub stream: Stream,
    pub place: Place,
    pub payload: Option<PayloadKind>,
}

impl Probe {
    /// A probe that keeps one thing of what a pattern means, everything else as by default.
    pub fn new(address: &str, record: StreamKind) -> Self {
        Self {
            address: address.to_owned(),
            payload: None,
            record,
            units: None,
            stride: None,
            groups: None,
            statistics: Vec::new(),
            optional: false,
        }
    }

    /// Checks what can be checked without a model; `path` is where it stands.
    pub(super) fn validate(&self, path: &str, problems: &mut Problems) {
        if let Err(error) = self.address.parse::<Pattern>() {
            problems.push(format!("{path}.address"), &self.address, error.to_string());
        }
        let only = |field: &str, given: bool, kinds: &[StreamKind], problems: &mut Problems| {
            if given && !kinds.contains(&self.record) {
                let kind = format!("a {} record", self.record);
                problems.push(format!("{path}.{field}"), kind, format!("{} alone", names(kinds)));
            }
        };
        only("units", self.units.is_some(), &[StreamKind::Trace, StreamKind::Raster], problems);
        only("groups", self.groups.is_some(), &[StreamKind::Summary], problems);
        only("statistics", !self.statistics.is_empty(), &[StreamKind::Summary], problems);
        for (field, zero) in [("stride", self.stride == Some(0)), ("groups", self.groups == Some(0))] {
            if zero {
                problems.push(format!("{path}.{field}"), 0, "at least 1");
            }
        }
        if matches!(&self.units, Some(Units::Some(0))) {
            problems.push(format!("{path}.units"), 0, "at least 1, or a list of units");
        }
    }

    /// The streams that it means in a module.
    ///
    /// * `path`: where the probe stands, for errors.
    pub(super) fn resolve(
        &self,
        instance: &mut dyn Instance,
        sights: &[Sight],
        path: &str,
        problems: &mut Problems,
    ) -> Vec<Found> {
        let Ok(pattern) = self.address.parse::<Pattern>() else { return Vec::new() };
        let meant: Vec<&Sight> =
            sights.iter().filter(|sight| pattern.matches(sight.address.split('.'))).collect();
        let fitting: Vec<&Sight> = meant.iter().copied().filter(|sight| self.fits(sight)).collect();
        if fitting.is_empty() && !self.optional {
            self.complain(&meant, sights, path, problems);
        }
        let mut found: Vec<Found> = Vec::new();
        for sight in fitting {
            let Some(place) = instance.find(&sight.address) else { continue };
            // Outputs of a model are those of its modules by another name.
            let known = found.iter().any(|known| known.place == place);
            if !known && let Some(stream) = self.stream(sight, path, problems) {
                found.push(Found { stream, place, payload: sight.payload });
            }
        }
        found
    }

    /// Whether this can be kept of it.
    fn fits(&self, sight: &Sight) -> bool {
        let spikes = sight.payload == Some(PayloadKind::Spikes);
        let wanted = self.payload.is_none_or(|payload| sight.payload == Some(payload));
        wanted && !sight.shape.is_empty() && (spikes || self.record != StreamKind::Raster)
    }

    fn complain(&self, meant: &[&Sight], sights: &[Sight], path: &str, problems: &mut Problems) {
        let path = format!("{path}.address");
        if let Some(sight) = meant.first() {
            let kind = sight.payload.map_or("state", PayloadKind::name);
            let wanted = self.payload.unwrap_or(PayloadKind::Spikes).name();
            return problems.push(path, format!("{}, which carries {kind}", sight.address), wanted);
        }
        problems.push(path, format!("`{}`", self.address), nearest(&self.address, sights));
    }

    fn stream(&self, sight: &Sight, path: &str, problems: &mut Problems) -> Option<Stream> {
        let count = sight.shape.iter().product::<usize>();
        let units = match &self.units {
            None => None,
            Some(Units::Some(wanted)) if *wanted >= count => None,
            Some(Units::Some(wanted)) => Some((0..*wanted).map(|at| at * count / wanted).collect()),
            Some(Units::These(units)) => {
                if let Some(unit) = units.iter().find(|unit| **unit >= count) {
                    let expected = format!("units of {}, from 0 to {}", sight.address, count - 1);
                    problems.push(format!("{path}.units"), unit, expected);
                    return None;
                }
                Some(units.clone())
            }
        };
        let spikes = sight.payload == Some(PayloadKind::Spikes);
        let (groups, statistics) = match self.record {
            StreamKind::Summary => {
                let groups = self.groups.unwrap_or(1).clamp(1, count);
                (groups, self.statistics_of(spikes))
            }
            _ => (0, Vec::new()),
        };
        Some(Stream {
            name: match self.record {
                StreamKind::Trace | StreamKind::Raster => sight.address.clone(),
                kind => format!("{}#{kind}", sight.address),
            },
            address: sight.address.clone(),
            kind: self.record,
            unit: sight.unit().map(str::to_owned),
            shape: sight.shape.clone(),
            units,
            groups: (0..groups).map(|group| group * count / groups).collect(),
            statistics,
            stride: self.stride.unwrap_or(match self.record {
                StreamKind::Trace | StreamKind::Raster => 1,
                StreamKind::Summary => 100,
                StreamKind::Snapshot | StreamKind::Delta => 1000,
            }),
        })
    }

    fn statistics_of(&self, spikes: bool) -> Vec<Statistic> {
        match (self.statistics.as_slice(), spikes) {
            ([], true) => vec![Statistic::Rate, Statistic::Active],
            ([], false) => vec![Statistic::Mean, Statistic::Std, Statistic::Min, Statistic::Max],
            (given, _) => given.to_vec(),
        }
    }
}

/// The addresses most like a pattern, as an error expects them.
pub(super) fn nearest(address: &str, sights: &[Sight]) -> String {
    let last = address.rsplit('.').next().unwrap_or_default().to_lowercase();
    let mut near: Vec<(usize, &str)> = sights
        .iter()
        .map(|sight| {
            let own = sight.address.rsplit('.').next().unwrap_or_default().to_lowercase();
            // A slip in the last name weighs more than another module.
            (3 * distance(&own, &last) + distance(&sight.address, address), sight.address.as_str())
        })
        .collect();
    near.sort();
    match near.iter().take(3).map(|(_, address)| *address).collect::<Vec<_>>().as_slice() {
        [] => "something that can be recorded, of which there is nothing".to_owned(),
        near => format!("what can be recorded, such as {}", near.join(", ")),
    }
}

fn names(kinds: &[StreamKind]) -> String {
    kinds.iter().map(StreamKind::to_string).collect::<Vec<_>>().join(" or ")
}
