//! Everything that a run has, on one page.

#[cfg(test)]
mod tests;

use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

use crate::figures::{Figure, escaped};
use crate::plots::{PlotKind, all};
use crate::{RunReader, Status, StoreError};

/// Rows of a table of events or warnings at most: the first ones and the last ones.
const ROWS: usize = 200;

/// Pictures of one kind at most.
const PICTURES: usize = 12;

const STYLE: &str = include_str!("report.css");

/// A run as an HTML page that needs no other file: what the run is, its configuration, its scalars, every picture that
/// fits what was recorded, events and warnings. It follows the colours of the reader's system and prints well.
///
/// # Errors
/// When the run's index is damaged. What else cannot be read or drawn is said on the page.
///
/// # Examples
/// ```
/// use spark_record::{RunAbout, RunReader, RunWriter, Status, report};
///
/// let root = tempfile::tempdir()?;
/// let run = RunWriter::create(root.path(), RunAbout::new("train"), false)?;
/// run.scalar("loss", 1, 0.5)?;
/// run.finish(Status::Finished)?;
/// let page = report::html(&RunReader::open(root.path())?)?;
/// assert!(page.contains("<svg") && page.contains("loss"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn html(run: &RunReader) -> Result<String, StoreError> {
    let name = name(run);
    let (plots, mut problems) = all(run);
    problems.splice(0..0, run.problems().iter().cloned());
    let mut body = String::new();
    let mut section = |id: &str, title: &str, content: String| {
        if !content.is_empty() {
            let title = escaped(title);
            let _ = write!(
                body,
                "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n{content}</section>\n"
            );
        }
    };
    section("problems", "Problems", list(&problems));
    section("scalars", "Scalars", scalars(run)?);
    for (kind, plot) in &plots {
        section(kind.name(), kind.title(), pictures(*kind, &plot.figures));
    }
    section("recorded", "What was recorded", streams(run));
    section("warnings", "Warnings", warnings(run)?);
    section("events", "Events", events(run)?);
    let configuration = serde_json::to_string_pretty(&run.about().configuration).unwrap_or_default();
    let details = format!(
        "<details>\n<summary>Show</summary>\n<pre tabindex=\"0\">{}</pre>\n</details>\n",
        escaped(&configuration)
    );
    section(
        "configuration",
        "Configuration",
        if run.about().configuration.is_null() { String::new() } else { details },
    );
    let title = escaped(&name);
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{title} – Spark</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n{}</header>\n<main>\n{body}</main>\n</body>\n</html>\n",
        about(run)
    ))
}

/// Writes the page to a file.
///
/// # Errors
/// When the run's index is damaged or the file cannot be written.
pub fn write(run: &RunReader, path: &Path) -> Result<(), StoreError> {
    let page = html(run)?;
    spark_io::write_atomically(path, page.as_bytes()).map_err(|source| StoreError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// The name of a run's folder.
fn name(run: &RunReader) -> String {
    let folder = run.paths().folder();
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.file_name().map_or_else(|| whole.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// What the run is.
fn about(run: &RunReader) -> String {
    let (record, status) = (run.about(), run.status());
    let mut text = format!("<p><strong class=\"status {status}\">{status}</strong></p>\n<dl>\n");
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = writeln!(text, "<div><dt>{name}</dt><dd>{}</dd></div>", escaped(&value));
        }
    };
    line("kind", Some(record.kind.clone()));
    line("experiment", record.experiment.clone());
    line("began", Some(time(record.created.as_second())));
    line("ended", record.finished.map(|end| time(end.as_second())));
    line("under way", record.timings.get("total").map(|seconds| duration(*seconds)));
    line("started", (record.starts > 1).then(|| format!("{} times", record.starts)));
    line("seed", record.seed.map(|seed| seed.to_string()));
    line("last step", run.last_step().ok().flatten().map(|step| step.to_string()));
    line("Spark", Some(record.spark.clone()));
    line("commit", record.commit.clone());
    line("computer", record.host.clone());
    line("error", record.error.clone().filter(|_| status == Status::Failed));
    let others = record.timings.iter().filter(|(name, _)| *name != "total");
    let others: Vec<String> =
        others.map(|(name, seconds)| format!("{name} {}", duration(*seconds))).collect();
    line("timings", Some(others.join(", ")));
    text.push_str("</dl>\n");
    if !record.command.is_empty() {
        let _ = writeln!(
            text,
            "<pre class=\"command\" tabindex=\"0\" aria-label=\"command\">{}</pre>",
            escaped(&record.command.join(" "))
        );
    }
    text
}

fn scalars(run: &RunReader) -> Result<String, StoreError> {
    let mut rows = Vec::new();
    for name in run.scalar_names()? {
        let values = run.scalars(&name)?;
        let points: Vec<(f64, f64)> = values.iter().map(|one| (one.step as f64, one.value)).collect();
        let [last, low, high] = extremes(&points).unwrap_or([f64::NAN; 3]).map(number);
        let step = values.last().map_or(0, |last| last.step).to_string();
        rows.push(vec![name, last, low, high, values.len().to_string(), step]);
    }
    Ok(table(&["scalar", "last", "smallest", "largest", "values", "last step"], &rows, 1))
}

/// A scalar's last, smallest and largest finite value.
fn extremes(points: &[(f64, f64)]) -> Option<[f64; 3]> {
    let finite = points.iter().map(|point| point.1).filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    points.last().filter(|_| low <= high).map(|last| [last.1, low, high])
}

fn streams(run: &RunReader) -> String {
    let mut rows = Vec::new();
    for measurement in run.measurements() {
        let steps = format!("{} to {}", measurement.first, measurement.last);
        let windows = measurement.windows.len().to_string();
        for stream in &measurement.streams {
            let shape: Vec<String> = stream.shape.iter().map(usize::to_string).collect();
            rows.push(vec![
                measurement.name.clone(),
                stream.name.clone(),
                stream.kind.to_string(),
                stream.unit.clone().unwrap_or_default(),
                shape.join(" × "),
                stream.kept_units().to_string(),
                stream.stride.to_string(),
                steps.clone(),
                windows.clone(),
            ]);
        }
    }
    let names =
        ["measurement", "stream", "kind", "unit", "shape", "units kept", "every … steps", "steps", "windows"];
    table(&names, &rows, 4)
}

fn events(run: &RunReader) -> Result<String, StoreError> {
    let detail = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let row = |event: &crate::RunEvent| {
        vec![event.kind.clone(), detail(&event.detail), time(event.wall as i64), event.step.to_string()]
    };
    let rows: Vec<Vec<String>> = run.events()?.iter().map(row).collect();
    Ok(shortened(&["event", "detail", "time", "step"], &rows, 3))
}

fn warnings(run: &RunReader) -> Result<String, StoreError> {
    let row = |warning: &crate::Warning| {
        vec![warning.message.clone(), time(warning.wall as i64), warning.step.to_string()]
    };
    let rows: Vec<Vec<String>> = run.warnings()?.iter().map(row).collect();
    Ok(shortened(&["warning", "time", "step"], &rows, 2))
}

/// A table of which the middle is left out where it is long.
fn shortened(names: &[&str], rows: &[Vec<String>], numbers: usize) -> String {
    if rows.len() <= ROWS {
        return table(names, rows, numbers);
    }
    let half = ROWS / 2;
    let kept = [&rows[..half], &rows[rows.len() - half..]].concat();
    format!(
        "<p>The first {half} and the last {half} of {}.</p>\n{}",
        rows.len(),
        table(names, &kept, numbers)
    )
}

/// A table, or nothing where it has no rows.
///
/// * `numbers`: the first of the columns that hold numbers.
fn table(names: &[&str], rows: &[Vec<String>], numbers: usize) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let class = |column: usize| if column >= numbers { " class=\"number\"" } else { "" };
    let mut text = format!(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">\n<table>\n<thead><tr>",
        escaped(names[0])
    );
    for (column, name) in names.iter().enumerate() {
        let _ = write!(text, "<th scope=\"col\"{}>{}</th>", class(column), escaped(name));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        text.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let _ = write!(text, "<td{}>{}</td>", class(column), escaped(cell));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table>\n</div>\n");
    text
}

fn list(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", escaped(line))).collect();
    format!("<ul class=\"problems\">\n{items}</ul>\n")
}

fn pictures(kind: PlotKind, figures: &[Figure]) -> String {
    let mut text = String::new();
    for figure in figures.iter().take(PICTURES) {
        let titles = figure.titles().join(", ");
        let label = escaped(if titles.is_empty() { kind.title() } else { &titles });
        let content = match figure.inline_svg() {
            Ok(svg) => svg,
            Err(error) => format!("<p>{}</p>\n", escaped(&error.to_string())),
        };
        let _ = write!(
            text,
            "<figure class=\"wide\" style=\"--width: {}px\" tabindex=\"0\" aria-label=\"{label}\">\n{content}</figure>\n",
            figure.size().0
        );
    }
    if figures.len() > PICTURES {
        let _ = writeln!(
            text,
            "<p>{} more are drawn by <code>spark plot RUN {kind}</code>.</p>",
            figures.len() - PICTURES
        );
    }
    text
}

/// A moment, from seconds since 1970.
fn time(seconds: i64) -> String {
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    moment.to_string().replace('T', " ").replace('Z', " UTC")
}

fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{seconds:.2} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Six digits at most.
fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-3..1e6).contains(&size) {
        let decimals = (5 - size.max(1e-3).log10().floor() as i32).clamp(0, 8) as usize;
        let text = format!("{value:.decimals$}");
        return if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        };
    }
    if value.is_finite() { format!("{value:.4e}") } else { value.to_string() }
}
