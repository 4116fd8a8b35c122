//! What the commands for models have in common.

use anyhow::{Context as _, Result, bail, ensure};
use spark::core::component::BuildError;
use spark::core::model::{Model, Setting};
use spark::core::payload::{PayloadKind, Shape};
use spark::core::ports::{InputShapes, PortSpec};
use spark::core::registry::{AnyConfig, Interface};
use spark::core::{Problem, Problems, schema};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Neurons from files.
#[derive(clap::Args, Clone, Default)]
pub struct Neurons {
    /// Register the neurons of a model file first, so that models can use them by name; may be repeated
    #[arg(id = "neurons", long = "neurons", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Neurons {
    /// Registers them.
    pub fn define(&self) -> Result<()> {
        for file in &self.files {
            spark::io::model::define_from(file)?;
        }
        Ok(())
    }
}

/// A model and fields that are set before anything else happens.
#[derive(clap::Args, Clone)]
pub struct ModelArgs {
    /// Model file: Spark's JSON, or .scfg
    #[arg(value_name = "MODEL")]
    pub path: PathBuf,
    /// Set every field that an address or pattern means, such as pool.soma.threshold=-45 or '**.dt=0.5'; may be
    /// repeated
    #[arg(long = "set", value_name = "ADDRESS=VALUE", allow_hyphen_values = true)]
    pub settings: Vec<Setting>,
    #[command(flatten)]
    pub neurons: Neurons,
}

impl ModelArgs {
    /// Reads the model, before anything is set.
    pub fn read(&self) -> Result<Model> {
        self.neurons.define()?;
        read(&self.path)
    }

    /// Reads the model and sets what is to be set.
    pub fn open(&self) -> Result<Model> {
        let mut model = self.read()?;
        set(&mut model, &self.settings)?;
        Ok(model)
    }
}

/// Reads a model; what had to be put differently goes to standard error.
pub fn read(path: &Path) -> Result<Model> {
    let loaded = spark::io::model::read(path)?;
    for note in &loaded.notes {
        eprintln!("note: {}: {note}", path.display());
    }
    Ok(loaded.model)
}

/// Sets fields to one value each.
pub fn set(model: &mut Model, settings: &[Setting]) -> Result<()> {
    for setting in settings {
        let [value] = setting.values.as_slice() else {
            bail!(
                "--set {setting}: found {} values, and only `spark run` takes several",
                setting.values.len()
            );
        };
        model.set(&setting.pattern, value).with_context(|| format!("--set {setting}"))?;
    }
    Ok(())
}

/// The configuration of a model that makes sense.
pub fn checked(model: &Model, path: &Path) -> Result<Box<dyn AnyConfig>> {
    model.checked().map_err(|problems| {
        let lines: Vec<String> = problems.list().iter().map(|problem| format!("  {problem}")).collect();
        anyhow::anyhow!("{}: the model does not make sense\n{}", path.display(), lines.join("\n"))
    })
}

/// The size of an input, written `signal=4` or `image=16x16`.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    pub port: String,
    pub units: Vec<usize>,
}

/// More entries than any input has; a slip of the keyboard should not ask for all memory.
const LARGEST: usize = 1 << 28;

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("found `{text}`, expected PORT=SIZE, such as signal=4 or image=16x16");
        let (port, units) = text.split_once('=').ok_or_else(wrong)?;
        let units: Option<Vec<usize>> = units.split('x').map(|extent| extent.trim().parse().ok()).collect();
        let units = units.filter(|units| units.iter().all(|extent| *extent > 0)).ok_or_else(wrong)?;
        let count = units.iter().try_fold(1usize, |count, extent| count.checked_mul(*extent));
        match count {
            Some(1..=LARGEST) if !port.is_empty() => Ok(Self { port: port.to_owned(), units }),
            Some(_) | None => Err(format!("{}, with at most {LARGEST} entries", wrong())),
        }
    }
}

/// The shapes of the inputs: as given, else as the model declares them; and the ports whose shapes nobody says.
pub fn input_shapes(config: &dyn AnyConfig, sizes: &[Size]) -> Result<(InputShapes, Vec<PortSpec>)> {
    let interface = config.interface();
    let mut shapes = config.declared_inputs();
    for Size { port, units } in sizes {
        let Some(known) = interface.input(port) else {
            bail!("unknown input port `{port}`: the model has {}", ports(&interface));
        };
        shapes = shapes.with(port, Shape::new(known.kind.unwrap_or(PayloadKind::Floats), units));
    }
    let named = |port: &PortSpec| match port.many {
        true => shapes.iter().next().is_some(),
        false => shapes.get(port.name).is_some(),
    };
    let missing = interface.inputs.iter().filter(|port| !port.optional && !named(port)).copied();
    let missing = missing.collect();
    Ok((shapes, missing))
}

/// The shapes of the inputs, all of them known.
pub fn all_input_shapes(config: &dyn AnyConfig, sizes: &[Size]) -> Result<InputShapes> {
    let (shapes, missing) = input_shapes(config, sizes)?;
    let names: Vec<&str> = missing.iter().map(|port| port.name).collect();
    ensure!(
        missing.is_empty(),
        "nobody says how large the input {} is: pass --size {}=N, or declare it in the field `inputs` of the model",
        names.join(" and "),
        names[0]
    );
    Ok(shapes)
}

/// The names of the inputs, in words.
pub fn ports(interface: &Interface) -> String {
    let names: Vec<&str> = interface.inputs.iter().map(|port| port.name).collect();
    if names.is_empty() { "no inputs".to_owned() } else { names.join(", ") }
}

/// What is wrong with a model that cannot be built, with paths from its root.
pub fn problems(error: &BuildError) -> Vec<Problem> {
    match error {
        BuildError::Config { module, problems } => {
            let within =
                |problem: &Problem| Problem { path: schema::join(module, &problem.path), ..problem.clone() };
            problems.list().iter().map(within).collect()
        }
        BuildError::Port { module, source } => {
            let mut problems = Problems::default();
            let path = if module.is_empty() { "inputs" } else { module };
            problems.push(path, source, "wiring that fits");
            problems.list().to_vec()
        }
    }
}

/// A number of bytes as people read it.
pub fn bytes(count: usize) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} kB", count / 1000),
        _ => format!("{} MB", count / 1_000_000),
    }
}

/// A value on one line; what is long by its number of entries.
pub fn shortened(value: &serde_json::Value) -> String {
    let text = value.to_string();
    match value {
        serde_json::Value::Array(entries) if text.len() > 60 => format!("[… {} entries]", entries.len()),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_slips_refused() {
        let size = |text: &str| text.parse::<Size>();
        assert_eq!(size("image=16x8"), Ok(Size { port: "image".into(), units: vec![16, 8] }));
        for text in ["image", "=4", "image=", "image=0", "image=-1", "image=4x", "image=99999999999999999999"]
        {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(size("a=100000x100000").unwrap_err().contains("at most"));
    }

    #[test]
    fn bytes_are_readable() {
        assert_eq!([12, 12_345, 12_345_678].map(bytes), ["12 B", "12 kB", "12 MB"]);
    }
}
