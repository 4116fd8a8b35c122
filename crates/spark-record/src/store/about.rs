//! What a run says of itself: `run.json`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

use super::{RUN_FORMAT, RunPaths, StoreError, git};

/// What whoever starts a run says of it.
///
/// # Examples
/// ```
/// use spark_record::RunAbout;
///
/// let about = RunAbout { seed: Some(7), ..RunAbout::new("run") };
/// assert_eq!(about.kind, "run");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunAbout {
    /// What kind of run it is, such as `run` or `train`.
    pub kind: String,
    /// The seed of every random draw.
    pub seed: Option<u64>,
    /// Everything that decides the result.
    pub configuration: Value,
    /// The experiment that the run is one of.
    pub experiment: Option<String>,
}

impl RunAbout {
    /// A run of a kind, without anything else.
    pub fn new(kind: &str) -> Self {
        Self { kind: kind.to_owned(), ..Self::default() }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A process writes it.
    Running,
    /// It came to its end.
    Finished,
    /// Somebody stopped it.
    Interrupted,
    /// An error ended it.
    Failed,
    /// The process that wrote it is gone without a word.
    Abandoned,
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.pad(match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        })
    }
}

/// The contents of `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of the layout.
    pub format: u32,
    /// Version of Spark that wrote it last.
    pub spark: String,
    /// Where it stands, as its writer left it; [`RunReader::status`](crate::RunReader::status) knows whether a run is
    /// abandoned.
    pub status: Status,
    /// What kind of run it is.
    pub kind: String,
    /// The experiment that it is one of.
    pub experiment: Option<String>,
    /// The seed of every random draw.
    pub seed: Option<u64>,
    /// Everything that decides the result.
    pub configuration: Value,
    /// The command line that started it last.
    pub command: Vec<String>,
    /// The git commit of the working directory, where there is one.
    pub commit: Option<String>,
    /// The computer.
    pub host: Option<String>,
    /// The process on it.
    pub pid: u32,
    /// When the run began.
    #[serde(with = "time")]
    pub created: Timestamp,
    /// When this file was last written.
    #[serde(with = "time")]
    pub updated: Timestamp,
    /// When the run ended.
    #[serde(with = "optional_time")]
    pub finished: Option<Timestamp>,
    /// How often it was started: once, and once more for each time it went on.
    pub starts: u32,
    /// Durations in s; `total` is how long the run was under way, over all starts.
    pub timings: BTreeMap<String, f64>,
    /// Why it failed.
    pub error: Option<String>,
}

impl RunRecord {
    /// A run that begins now in this process.
    pub(super) fn begin(about: RunAbout) -> Self {
        let now = Timestamp::now();
        let mut record = Self {
            format: RUN_FORMAT,
            spark: String::new(),
            status: Status::Running,
            kind: about.kind,
            experiment: about.experiment,
            seed: about.seed,
            configuration: about.configuration,
            command: Vec::new(),
            commit: None,
            host: None,
            pid: 0,
            created: now,
            updated: now,
            finished: None,
            starts: 0,
            timings: BTreeMap::new(),
            error: None,
        };
        record.start();
        record
    }

    /// This process goes on with the run.
    pub(super) fn start(&mut self) {
        self.format = RUN_FORMAT;
        self.spark = env!("CARGO_PKG_VERSION").to_owned();
        self.status = Status::Running;
        self.command = std::env::args_os().map(|part| part.to_string_lossy().into_owned()).collect();
        self.commit = std::env::current_dir().ok().and_then(|folder| git::commit(&folder));
        self.host = host();
        self.pid = std::process::id();
        self.finished = None;
        self.starts += 1;
        self.error = None;
    }

    /// Whether it was written on this computer, as far as that is known.
    pub(super) fn is_here(&self) -> bool {
        self.host == host()
    }

    pub(super) fn read(paths: &RunPaths) -> Result<Self, StoreError> {
        let path = paths.record();
        let bytes = std::fs::read(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => StoreError::NoRun { path: paths.folder().to_owned() },
            _ => StoreError::io("read", &path)(source),
        })?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| StoreError::content(&path, format!("not JSON: {error}")))?;
        let found = value.get("format").and_then(Value::as_u64);
        let found = found
            .ok_or_else(|| StoreError::content(&path, "no `format`: this is not the record of a run"))?;
        if found > u64::from(RUN_FORMAT) {
            let path = paths.folder().to_owned();
            return Err(StoreError::Newer { path, found, supported: RUN_FORMAT });
        }
        serde_json::from_value(value).map_err(|error| StoreError::content(&path, error.to_string()))
    }

    pub(super) fn write(&mut self, paths: &RunPaths) -> Result<(), StoreError> {
        self.updated = Timestamp::now();
        let path = paths.record();
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| StoreError::content(&path, error.to_string()))?;
        spark_io::write_atomically(&path, (text + "\n").as_bytes())
            .map_err(|source| StoreError::io("write", &path)(source))
    }
}

/// The name of this computer, where the system tells it.
fn host() -> Option<String> {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let name = files.iter().find_map(|file| std::fs::read_to_string(file).ok());
    let name = name.or_else(|| std::env::var("COMPUTERNAME").ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Times as RFC 3339 text.
mod time {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// The same where there may be none.
mod optional_time {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => to.collect_str(time),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}
