//! What a run recorded, as tables or as a NumPy archive.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use spark::burn::tensor::TensorData;
use spark::io::npz::NpzWriter;
use spark::io::write_atomically;
use spark::record::{Recording, RunReader, StreamKind};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::exchange::check_new;
use super::recorded;
use crate::output::Output;

/// How records are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A folder of tables.
    Csv,
    /// One archive.
    Npz,
}

/// Writes what the run at `path` recorded, beside it where no target is named.
pub fn export(path: &Path, form: Form, to: Option<&Path>, overwrite: bool, out: Output) -> Result<ExitCode> {
    let run = recorded::open(path)?;
    let folder = run.paths().folder();
    let files = match form {
        Form::Csv => {
            let to = to.map_or_else(|| folder.join("records"), Path::to_owned);
            tables(&run, &to, overwrite)?
        }
        Form::Npz => {
            let to = to.map_or_else(|| folder.join("records.npz"), Path::to_owned);
            check_new(&to, overwrite)?;
            archive(&run, &to).with_context(|| format!("cannot write {}", to.display()))?;
            vec![to]
        }
    };
    run.problems().iter().for_each(|problem| eprintln!("warning: {problem}"));
    for file in &files {
        out.text(format_args!("wrote {}", file.display()))?;
    }
    out.json(&json!({"event": "summary", "files": files, "problems": run.problems()}))?;
    Ok(ExitCode::SUCCESS)
}

/// A table for all scalars, one for events, tags and warnings each, and one for each stream.
fn tables(run: &RunReader, folder: &Path, overwrite: bool) -> Result<Vec<PathBuf>> {
    let empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    ensure!(empty || overwrite, "{} holds files: pass --overwrite to replace them", folder.display());
    let mut files = Vec::new();
    let mut write = |name: &str, header: &str, lines: String| -> Result<()> {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        write_atomically(&path, format!("{header}\n{lines}").as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        files.push(path);
        Ok(())
    };
    let mut lines = String::new();
    for name in run.scalar_names()? {
        for scalar in run.scalars(&name)? {
            writeln!(lines, "{},{},{},{}", scalar.step, scalar.wall, cell(&name), scalar.value)?;
        }
    }
    write("scalars.csv", "step,wall,name,value", std::mem::take(&mut lines))?;
    for event in run.events()? {
        let (kind, detail) = (cell(&event.kind), cell(&event.detail.to_string()));
        writeln!(lines, "{},{},{kind},{detail}", event.step, event.wall)?;
    }
    write("events.csv", "step,wall,kind,detail", std::mem::take(&mut lines))?;
    for name in run.tag_names()? {
        for tag in run.tags(&name)? {
            writeln!(lines, "{},{},{}", tag.step, cell(&name), tag.value)?;
        }
    }
    write("tags.csv", "step,name,value", std::mem::take(&mut lines))?;
    for warning in run.warnings()? {
        writeln!(lines, "{},{},{}", warning.step, warning.wall, cell(&warning.message))?;
    }
    write("warnings.csv", "step,wall,message", lines)?;
    for measurement in run.measurements() {
        for stream in &measurement.streams {
            let recording = run.recording(&measurement.name, &stream.name, ..)?;
            let (header, lines) = table(&recording)?;
            write(
                &format!("{}/{}.csv", file_name(&measurement.name), file_name(&stream.name)),
                &header,
                lines,
            )?;
        }
    }
    Ok(files)
}

/// Header and lines of a stream: the spikes of a raster, a line for each group of a summary, otherwise a line for each
/// row.
fn table(recording: &Recording) -> Result<(String, String)> {
    let mut lines = String::new();
    let stream = recording.stream();
    if stream.kind == StreamKind::Raster {
        for (time, column) in recording.spikes() {
            writeln!(lines, "{time},{}", recording.unit(column))?;
        }
        return Ok(("time_ms,unit".into(), lines));
    }
    let (steps, times) = (&recording.rows.steps, recording.times());
    if stream.kind == StreamKind::Summary {
        let names = stream.statistics.iter().map(serde_json::to_value);
        let names = names.map(|name| Ok(name?.as_str().unwrap_or_default().to_owned()));
        let names = names.collect::<Result<Vec<_>>>()?.join(",");
        let width = stream.statistics.len().max(1);
        for (row, (step, time)) in steps.iter().zip(times).enumerate() {
            for (unit, values) in stream.groups.iter().zip(recording.row(row).chunks(width)) {
                writeln!(lines, "{step},{time},{unit},{}", joined(values))?;
            }
        }
        return Ok((format!("step,time_ms,first_unit,{names}"), lines));
    }
    for (row, (step, time)) in steps.iter().zip(times).enumerate() {
        writeln!(lines, "{step},{time},{}", joined(recording.row(row)))?;
    }
    let width: usize = stream.row_shape().iter().product();
    let units: Vec<String> = (0..width).map(|column| recording.unit(column).to_string()).collect();
    Ok((format!("step,time_ms,{}", units.join(",")), lines))
}

fn joined(values: &[f32]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A text in a table.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// A name as that of a file on any system.
fn file_name(name: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-.#".contains(letter);
    let name: String = name.chars().map(|letter| if fits(letter) { letter } else { '_' }).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}

fn archive(run: &RunReader, path: &Path) -> Result<()> {
    let mut archive = NpzWriter::create(path)?;
    for name in run.scalar_names()? {
        let scalars = run.scalars(&name)?;
        archive.array(&format!("scalars/{name}/step"), &steps(scalars.iter().map(|one| one.step)))?;
        archive.array(&format!("scalars/{name}/wall"), &floats(scalars.iter().map(|one| one.wall)))?;
        archive.array(&format!("scalars/{name}/value"), &floats(scalars.iter().map(|one| one.value)))?;
    }
    for name in run.tag_names()? {
        let tags = run.tags(&name)?;
        archive.array(&format!("tags/{name}/step"), &steps(tags.iter().map(|tag| tag.step)))?;
        let values: Vec<i64> = tags.iter().map(|tag| tag.value).collect();
        archive.array(&format!("tags/{name}/value"), &vector(values))?;
    }
    let (events, warnings) = (run.events()?, run.warnings()?);
    archive.array("events/step", &steps(events.iter().map(|event| event.step)))?;
    archive.array("events/wall", &floats(events.iter().map(|event| event.wall)))?;
    archive.text("events/kind", &events.iter().map(|event| &event.kind).collect::<Vec<_>>())?;
    archive
        .text("events/detail", &events.iter().map(|event| event.detail.to_string()).collect::<Vec<_>>())?;
    archive.array("warnings/step", &steps(warnings.iter().map(|warning| warning.step)))?;
    archive.array("warnings/wall", &floats(warnings.iter().map(|warning| warning.wall)))?;
    archive.text("warnings/message", &warnings.iter().map(|warning| &warning.message).collect::<Vec<_>>())?;
    for measurement in run.measurements() {
        for stream in &measurement.streams {
            let recording = run.recording(&measurement.name, &stream.name, ..)?;
            let place = format!("measurements/{}/{}", measurement.name, stream.name);
            archive.array(&format!("{place}/steps"), &steps(recording.rows.steps.iter().copied()))?;
            archive.array(&format!("{place}/times"), &floats(recording.times().into_iter()))?;
            archive.array(&format!("{place}/data"), &unpacked(&recording))?;
        }
    }
    Ok(archive.finish()?)
}

/// The rows of a stream; those of a raster as a truth value for each unit.
fn unpacked(recording: &Recording) -> TensorData {
    let stream = recording.stream();
    let Ok(bytes) = recording.rows.data.as_slice::<u8>() else { return recording.rows.data.clone() };
    let units = stream.kept_units();
    let rows = bytes.chunks_exact(units.div_ceil(8).max(1));
    let bits = rows.flat_map(|row| (0..units).map(|unit| row[unit / 8] >> (unit % 8) & 1 == 1));
    TensorData::new(bits.collect::<Vec<bool>>(), [recording.len(), units])
}

fn steps(steps: impl Iterator<Item = u64>) -> TensorData {
    vector(steps.map(|step| step as i64).collect())
}

fn floats(values: impl Iterator<Item = f64>) -> TensorData {
    vector(values.collect())
}

fn vector<E: spark::burn::tensor::Element>(values: Vec<E>) -> TensorData {
    let count = values.len();
    TensorData::new(values, [count])
}
