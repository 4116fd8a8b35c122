//! Which pictures a run has, and what is drawn on them.

use serde_json::Value;
use spark_core::model::{Model, Pattern};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::figures::{
    Figure, Graph, Line, RunCurves, activity, comparison, correlations, curves, intervals, irregularity,
    rates, spectra, summaries, traces, weights,
};
use crate::{Recording, RunReader, StoreError, Stream, StreamKind};

/// What a run has, in the message of an error, at most.
const LISTED: usize = 12;

/// A kind of picture.
///
/// # Examples
/// ```
/// use spark_record::plots::PlotKind;
///
/// let kind: PlotKind = "isi".parse()?;
/// assert_eq!(kind.to_string(), "isi");
/// assert!("rastr".parse::<PlotKind>().unwrap_err().contains("raster"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // `title` says what each is.
pub enum PlotKind {
    Raster,
    Traces,
    Summary,
    Weights,
    Rates,
    Isi,
    Cv,
    Correlation,
    Spectrum,
    Graph,
    Curves,
}

impl PlotKind {
    /// All kinds, in the order in which a report has them.
    pub const ALL: [Self; 11] = [
        Self::Curves,
        Self::Raster,
        Self::Traces,
        Self::Summary,
        Self::Rates,
        Self::Isi,
        Self::Cv,
        Self::Correlation,
        Self::Spectrum,
        Self::Weights,
        Self::Graph,
    ];

    /// Its name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raster => "raster",
            Self::Traces => "traces",
            Self::Summary => "summary",
            Self::Weights => "weights",
            Self::Rates => "rates",
            Self::Isi => "isi",
            Self::Cv => "cv",
            Self::Correlation => "correlation",
            Self::Spectrum => "spectrum",
            Self::Graph => "graph",
            Self::Curves => "curves",
        }
    }

    /// What it shows, as a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Raster => "Spikes and rates over time",
            Self::Traces => "Traces",
            Self::Summary => "Summaries over time",
            Self::Weights => "Weights",
            Self::Rates => "Distribution of rates",
            Self::Isi => "Intervals between spikes",
            Self::Cv => "Irregularity",
            Self::Correlation => "Pairwise correlation",
            Self::Spectrum => "Spectrum of the rate",
            Self::Graph => "Modules of the model",
            Self::Curves => "Scalars over steps",
        }
    }

    /// What a run needs for it.
    pub fn needs(self) -> &'static str {
        match self {
            Self::Raster | Self::Rates | Self::Isi | Self::Cv | Self::Correlation | Self::Spectrum => {
                "a recorded raster"
            }
            Self::Traces => "a recorded trace",
            Self::Summary => "a recorded summary",
            Self::Weights => "a recorded snapshot or delta",
            Self::Graph => "a model file",
            Self::Curves => "scalars",
        }
    }

    /// The kinds of streams that it draws.
    fn streams(self) -> &'static [StreamKind] {
        match self {
            Self::Raster | Self::Rates | Self::Isi | Self::Cv | Self::Correlation | Self::Spectrum => {
                &[StreamKind::Raster]
            }
            Self::Traces => &[StreamKind::Trace],
            Self::Summary => &[StreamKind::Summary],
            Self::Weights => &[StreamKind::Snapshot, StreamKind::Delta],
            Self::Graph | Self::Curves => &[],
        }
    }
}

impl fmt::Display for PlotKind {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for PlotKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("found `{text}`, expected a kind of picture: {names}")
        })
    }
}

/// What of a run is drawn.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The measurement; all where nothing is said.
    pub measurement: Option<String>,
    /// Which streams or scalars; all where nothing is said.
    pub streams: Option<Pattern>,
    /// The first step.
    pub from: Option<u64>,
    /// The last step.
    pub to: Option<u64>,
}

impl Selection {
    fn names(&self, name: &str) -> bool {
        let plain = |pattern: &Pattern| pattern.to_string() == name || pattern.matches(name.split('.'));
        self.streams.as_ref().is_none_or(plain)
    }

    fn takes(&self, stream: &Stream) -> bool {
        self.names(&stream.name) || self.names(&stream.address)
    }

    fn has(&self, step: u64) -> bool {
        self.from.is_none_or(|from| from <= step) && self.to.is_none_or(|to| step <= to)
    }
}

/// A picture, in parts that can stand alone, and what is drawn on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// The parts: one for each stream, where it has one of its own.
    pub figures: Vec<Figure>,
    /// The streams, as measurement and name, or the scalars.
    pub sources: Vec<String>,
}

impl Plot {
    /// All parts below one another.
    pub fn figure(&self) -> Figure {
        self.figures.iter().cloned().fold(Figure::default(), Figure::above)
    }
}

/// A picture that a run has nothing for.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// There is nothing of the kind.
    #[error("{run} has nothing for `{kind}`, which needs {}{}: it has {available}", kind.needs(), wanted(*selected))]
    Nothing {
        /// The run's folder.
        run: String,
        /// The kind of picture.
        kind: PlotKind,
        /// Whether there would be something without the options that select.
        selected: bool,
        /// What there is.
        available: String,
    },
    /// The kind of picture shows one run.
    #[error("`{0}` draws one run; several are compared by `curves`")]
    Several(PlotKind),
    /// What was recorded cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn wanted(selected: bool) -> &'static str {
    if selected { " that the options do not leave out" } else { "" }
}

/// Draws one kind of picture of a run, or compares several.
///
/// # Errors
/// When there is nothing of the kind in the run or in what is selected of it, or it cannot be read.
///
/// # Examples
/// ```
/// use spark_record::plots::{PlotKind, Selection, plot};
/// use spark_record::{RunAbout, RunReader, RunWriter, Status};
///
/// let root = tempfile::tempdir()?;
/// let run = RunWriter::create(root.path(), RunAbout::new("train"), false)?;
/// run.scalar("loss", 1, 0.5)?;
/// run.finish(Status::Finished)?;
/// let runs = [RunReader::open(root.path())?];
/// let drawn = plot(PlotKind::Curves, &runs, &Selection::default())?;
/// assert_eq!((drawn.sources[0].as_str(), drawn.figure().titles()), ("loss", vec!["loss"]));
/// let nothing = plot(PlotKind::Raster, &runs, &Selection::default()).unwrap_err().to_string();
/// assert!(nothing.contains("needs a recorded raster: it has scalar loss"), "{nothing}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn plot(kind: PlotKind, runs: &[RunReader], selection: &Selection) -> Result<Plot, PlotError> {
    let [run] = runs else {
        return if kind == PlotKind::Curves {
            compared(runs, selection)
        } else {
            Err(PlotError::Several(kind))
        };
    };
    let found = match kind {
        PlotKind::Graph => graph(run),
        PlotKind::Curves => scalars(run, selection)?,
        _ => recorded(kind, run, selection)?,
    };
    if found.figures.iter().all(Figure::is_empty) { Err(nothing(kind, run, selection)?) } else { Ok(found) }
}

fn nothing(kind: PlotKind, run: &RunReader, selection: &Selection) -> Result<PlotError, StoreError> {
    let measured = run.measurements().into_iter().flat_map(|measurement| {
        let name = measurement.name;
        measurement.streams.into_iter().map(move |stream| format!("{} {name}/{}", stream.kind, stream.name))
    });
    let scalars = run.scalar_names()?.into_iter().map(|name| format!("scalar {name}"));
    let model = run.paths().model().is_file().then(|| "a model file".to_owned());
    let all: Vec<String> = measured.chain(scalars).chain(model).collect();
    let more = if all.len() > LISTED { format!(" and {} more", all.len() - LISTED) } else { String::new() };
    let shown = all.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    let available = if all.is_empty() { "nothing recorded".to_owned() } else { shown + &more };
    let selects = selection.measurement.is_some() || selection.streams.is_some();
    let selects = selects || selection.from.is_some() || selection.to.is_some();
    let of_kind = |measurement: &crate::MeasurementInfo| {
        measurement.streams.iter().any(|stream| kind.streams().contains(&stream.kind))
    };
    let selected = selects && (kind == PlotKind::Curves || run.measurements().iter().any(of_kind));
    let run = run.paths().folder().display().to_string();
    Ok(PlotError::Nothing { run, kind, selected, available })
}

fn graph(run: &RunReader) -> Plot {
    let Some(model) = model(run) else { return Plot::default() };
    let graphs =
        [Graph::of(&model)].into_iter().chain(Graph::inside(&model)).filter(|graph| !graph.is_empty());
    Plot {
        figures: graphs.map(|graph| Figure::column([graph.into()])).collect(),
        sources: vec!["model.json".to_owned()],
    }
}

/// The model that ran, where its file is there and can be read.
fn model(run: &RunReader) -> Option<Model> {
    spark_io::model::read(&run.paths().model()).ok().map(|loaded| loaded.model)
}

fn scalars(run: &RunReader, selection: &Selection) -> Result<Plot, StoreError> {
    let curve = curves_of(run, selection)?;
    Ok(Plot { figures: vec![curves(&curve)], sources: curve.scalars.into_keys().collect() })
}

fn curves_of(run: &RunReader, selection: &Selection) -> Result<RunCurves, StoreError> {
    let mut scalars = BTreeMap::new();
    for name in run.scalar_names()?.into_iter().filter(|name| selection.names(name)) {
        let points = run.scalars(&name)?.into_iter().filter(|scalar| selection.has(scalar.step));
        let points: Vec<(f64, f64)> = points.map(|scalar| (scalar.step as f64, scalar.value)).collect();
        if !points.is_empty() {
            scalars.insert(name, points);
        }
    }
    let folder = run.paths().folder();
    let name =
        folder.file_name().map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into());
    Ok(RunCurves { name, group: String::new(), scalars })
}

/// Scalars of several runs, those that differ in the seed alone as one.
fn compared(runs: &[RunReader], selection: &Selection) -> Result<Plot, PlotError> {
    let mut all = Vec::new();
    for run in runs {
        all.push(curves_of(run, selection)?);
    }
    let settings: Vec<BTreeMap<String, String>> =
        runs.iter().map(|run| settings(&run.about().configuration)).collect();
    for (place, curves) in all.iter_mut().enumerate() {
        let seeds: Vec<Option<u64>> =
            same_settings(&settings, place).map(|other| runs[other].about().seed).collect();
        let differ = seeds.iter().enumerate().all(|(at, seed)| seed.is_some() && !seeds[..at].contains(seed));
        if seeds.len() > 1 && differ {
            curves.group = described(&settings, place);
        }
    }
    if all.iter().all(|curves| curves.scalars.is_empty()) {
        return match runs.first() {
            Some(run) => Err(nothing(PlotKind::Curves, run, selection)?),
            None => Err(PlotError::Several(PlotKind::Curves)),
        };
    }
    let mut sources: Vec<String> = all.iter().flat_map(|curves| curves.scalars.keys().cloned()).collect();
    sources.sort_unstable();
    sources.dedup();
    Ok(Plot { figures: vec![comparison(&all)], sources })
}

/// The runs whose settings are those of one of them.
fn same_settings(settings: &[BTreeMap<String, String>], place: usize) -> impl Iterator<Item = usize> + '_ {
    (0..settings.len()).filter(move |other| settings[*other] == settings[place])
}

/// What sets a run apart from others, such as `rate=0.1`.
fn described(settings: &[BTreeMap<String, String>], place: usize) -> String {
    let own = settings[place].iter();
    let apart = own.filter(|(key, value)| settings.iter().any(|other| other.get(*key) != Some(value)));
    let text = apart.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
    if text.is_empty() { "all".to_owned() } else { text }
}

/// Every setting of a configuration by its path, without seeds.
fn settings(configuration: &Value) -> BTreeMap<String, String> {
    fn collect(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields.iter().filter(|(name, _)| *name != "seed") {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    collect(&path, value, found);
                }
            }
            value => {
                found.insert(path.to_owned(), value.to_string());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect("", configuration, &mut found);
    found
}

/// Pictures of what was recorded.
fn recorded(kind: PlotKind, run: &RunReader, selection: &Selection) -> Result<Plot, StoreError> {
    let model = if kind == PlotKind::Traces { model(run) } else { None };
    let mut found = Plot::default();
    for measurement in run.measurements() {
        if selection.measurement.as_ref().is_some_and(|name| *name != measurement.name) {
            continue;
        }
        let read = |stream: &Stream| {
            let (from, to) = (selection.from.unwrap_or(0), selection.to.unwrap_or(u64::MAX));
            run.recording(&measurement.name, &stream.name, from..=to)
        };
        let wanted = |stream: &&Stream| kind.streams().contains(&stream.kind) && selection.takes(stream);
        let mut recordings = Vec::new();
        for stream in measurement.streams.iter().filter(wanted) {
            let recording = read(stream)?;
            if !recording.is_empty() {
                found.sources.push(format!("{}/{}", measurement.name, stream.name));
                recordings.push(recording);
            }
        }
        let spikes = |trace: &Recording| {
            let raster = spikes_of(trace.stream(), &measurement.streams)?;
            Some(read(raster))
        };
        let mut below = |part: Figure| found.figures.extend((!part.is_empty()).then_some(part));
        match kind {
            PlotKind::Raster => recordings.iter().map(activity).for_each(below),
            PlotKind::Traces => {
                for trace in &recordings {
                    let raster = spikes(trace).transpose()?;
                    below(traces(trace, raster.as_ref(), threshold(trace, model.as_ref())));
                }
            }
            PlotKind::Summary => recordings.iter().map(summaries).for_each(below),
            PlotKind::Weights => recordings.iter().map(weights).for_each(below),
            PlotKind::Correlation => recordings.iter().map(correlations).for_each(below),
            PlotKind::Rates => below(rates(&recordings)),
            PlotKind::Isi => below(intervals(&recordings)),
            PlotKind::Cv => below(irregularity(&recordings)),
            PlotKind::Spectrum => below(spectra(&recordings)),
            PlotKind::Graph | PlotKind::Curves => {}
        }
    }
    Ok(found)
}

/// The raster of the units of a trace: of the same shape, and with the longest part of the address in common.
fn spikes_of<'a>(trace: &Stream, streams: &'a [Stream]) -> Option<&'a Stream> {
    let common = |raster: &Stream| {
        let names = trace.address.split('.').zip(raster.address.split('.'));
        names.take_while(|(one, other)| one == other).count()
    };
    let rasters =
        streams.iter().filter(|stream| stream.kind == StreamKind::Raster && stream.shape == trace.shape);
    rasters.filter(|raster| common(raster) > 0).max_by_key(|raster| common(raster))
}

/// The threshold of a potential, where the model has one number for all units.
fn threshold(trace: &Recording, model: Option<&Model>) -> Option<Line> {
    let soma = trace.stream().address.strip_suffix(".potential")?;
    let field = |name: &str| {
        let pattern: Pattern = format!("{soma}.{name}").parse().ok()?;
        let found = model?.get(&pattern).ok()?;
        found.first().and_then(|(_, value)| value.as_f64())
    };
    let at = field("threshold")?;
    // Most somas count potentials from rest, some from zero: what they spike at is then near the highest ones.
    let from_rest = field("potential_rest").map(|rest| at - rest);
    let values =
        trace.rows.data.as_slice::<f32>().unwrap_or_default().iter().filter(|value| value.is_finite());
    let highest = f64::from(values.copied().fold(f32::NEG_INFINITY, f32::max));
    match from_rest {
        Some(above) if (above - highest).abs() < (at - highest).abs() => {
            Some(Line::across("threshold, counted from rest", above))
        }
        _ => Some(Line::across("threshold", at)),
    }
}

/// Every picture that a run has, with its kind, and what could not be drawn.
pub(crate) fn all(run: &RunReader) -> (Vec<(PlotKind, Plot)>, Vec<String>) {
    let (mut plots, mut problems) = (Vec::new(), Vec::new());
    for kind in PlotKind::ALL {
        match plot(kind, std::slice::from_ref(run), &Selection::default()) {
            Ok(plot) => plots.push((kind, plot)),
            Err(PlotError::Nothing { .. }) => {}
            Err(error) => problems.push(format!("{}: {error}", kind.title())),
        }
    }
    (plots, problems)
}
