//! What comes in: files, constants and sizes from the command line.

use anyhow::{Context as _, Result, bail, ensure};
use spark::core::model::is_name;
use spark::core::payload::{PayloadKind, Shape};
use spark::core::ports::InputShapes;
use spark::core::registry::{AnyConfig, Interface};
use spark::core::simulation::{Drive, Drives};
use spark::io::signals::{self, Signal, Signals};
use spark::prelude::Device;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::commands::model::{Size, all_input_shapes, input_shapes, ports};

/// A file for one port or for those that it names, written `signal=in.npy` or `in.npy`.
#[derive(Clone, Debug, PartialEq)]
pub struct InputFile {
    port: Option<String>,
    path: PathBuf,
}

impl FromStr for InputFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            // A path may hold the sign as well.
            Some((port, path)) if is_name(port) && !path.is_empty() && !Path::new(text).exists() => {
                Ok(Self { port: Some(port.to_owned()), path: path.into() })
            }
            _ if text.is_empty() => Err("found nothing, expected FILE or PORT=FILE".to_owned()),
            _ => Ok(Self { port: None, path: text.into() }),
        }
    }
}

/// A number for all units of a port, written `signal=0.5`.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    port: String,
    value: f32,
}

impl FromStr for Constant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("found `{text}`, expected PORT=NUMBER, such as signal=0.5");
        let (port, value) = text.split_once('=').ok_or_else(wrong)?;
        let value = value.trim().parse().ok().filter(|value: &f32| value.is_finite()).ok_or_else(wrong)?;
        if port.is_empty() { Err(wrong()) } else { Ok(Self { port: port.to_owned(), value }) }
    }
}

/// What the command line says of the inputs.
#[derive(clap::Args, Clone)]
#[command(next_help_heading = "Inputs")]
pub struct InputArgs {
    /// Numbers for an input, one row for each step: a .npy, .csv or .safetensors file. FILE alone where there is
    /// one input, or where the tensors of a .safetensors are named after the inputs; may be repeated
    #[arg(id = "input", long = "input", value_name = "[PORT=]FILE")]
    files: Vec<InputFile>,
    /// A number for all units of an input at every step (default 0); may be repeated
    #[arg(long = "constant", value_name = "PORT=NUMBER", allow_hyphen_values = true)]
    constants: Vec<Constant>,
    /// Size of an input that neither the model nor a file says, such as signal=4 or image=16x16; may be repeated
    #[arg(long = "size", value_name = "PORT=SIZE")]
    sizes: Vec<Size>,
}

/// Signals by port, with the file that each comes from.
pub struct Given {
    signals: Vec<(String, PathBuf, Signal)>,
}

impl InputArgs {
    /// Reads the files.
    ///
    /// * `interface`: that of the model, which knows its ports.
    pub fn read(&self, interface: &Interface) -> Result<Given> {
        let mut found: Vec<(String, PathBuf, Signal)> = Vec::new();
        for InputFile { port, path } in &self.files {
            for (port, signal) in by_port(port.as_deref(), signals::read(path)?, path, interface)? {
                if let Some((_, other, _)) = found.iter().find(|(known, ..)| *known == port) {
                    bail!("input port `{port}` is fed by {} and {}", other.display(), path.display());
                }
                found.push((port, path.clone(), signal));
            }
        }
        for Constant { port, .. } in &self.constants {
            ensure!(
                interface.input(port).is_some(),
                "unknown input port `{port}`: the model has {}",
                ports(interface)
            );
            if let Some((_, path, _)) = found.iter().find(|(known, ..)| known == port) {
                bail!("input port `{port}` is fed by {} and by --constant", path.display());
            }
        }
        Ok(Given { signals: found })
    }

    /// What comes in at every port of a model, and the ports that get nothing but zeros.
    pub fn drives(
        &self,
        given: &Given,
        config: &dyn AnyConfig,
        device: &Device,
    ) -> Result<(Drives, Vec<String>)> {
        let mut sizes = self.sizes.clone();
        let (shapes, _) = input_shapes(config, &sizes)?;
        for (port, path, signal) in &given.signals {
            match shapes.get(port) {
                Some(shape) => fits(port, path, signal, shape)?,
                None => {
                    let units = if signal.shape.is_empty() { vec![1] } else { signal.shape.clone() };
                    sizes.push(Size { port: port.clone(), units });
                }
            }
        }
        self.size_optional(config, &shapes, &sizes)?;
        let shapes = all_input_shapes(config, &sizes)?;
        let constants = self.constants.iter().map(|one| (one.port.clone(), Drive::Constant(one.value)));
        let signals = given.signals.iter();
        let signals = signals.map(|(port, _, signal)| (port.clone(), Drive::Sequence(signal.values.clone())));
        let drives: Vec<(String, Drive)> = constants.chain(signals).collect();
        let silent = shapes.iter().map(|(port, _)| port);
        let silent = silent.filter(|port| !drives.iter().any(|(known, _)| known == port)).map(str::to_owned);
        let silent = silent.collect();
        let drives = Drives::new(&shapes, &drives, device).with_context(|| self.origin())?;
        Ok((drives, silent))
    }

    /// An optional input that gets a constant has to have a size.
    fn size_optional(&self, config: &dyn AnyConfig, shapes: &InputShapes, sizes: &[Size]) -> Result<()> {
        let interface = config.interface();
        for Constant { port, .. } in &self.constants {
            let known = shapes.get(port).is_some() || sizes.iter().any(|size| size.port == *port);
            let optional = interface.input(port).is_some_and(|spec| spec.optional);
            ensure!(known || !optional, "nobody says how large the input {port} is: pass --size {port}=N");
        }
        Ok(())
    }

    fn origin(&self) -> String {
        let files: Vec<String> = self.files.iter().map(|file| file.path.display().to_string()).collect();
        if files.is_empty() { "inputs".to_owned() } else { files.join(", ") }
    }
}

/// The signals of a file by the port that each is for.
fn by_port(
    port: Option<&str>,
    signals: Signals,
    path: &Path,
    interface: &Interface,
) -> Result<Vec<(String, Signal)>> {
    let path = path.display();
    let known = |port: &str| {
        ensure!(
            interface.input(port).is_some(),
            "{path}: unknown input port `{port}`: the model has {}",
            ports(interface)
        );
        Ok(port.to_owned())
    };
    match (port, signals) {
        (Some(port), Signals::One(signal)) => Ok(vec![(known(port)?, signal)]),
        (Some(port), Signals::Named(signals)) => {
            let names: Vec<String> = signals.iter().map(|(name, _)| name.clone()).collect();
            let only = signals.len() == 1;
            let signal = signals.into_iter().find(|(name, _)| only || name == port).map(|(_, signal)| signal);
            let signal = signal
                .with_context(|| format!("{path}: found no tensor `{port}`, only {}", names.join(", ")))?;
            Ok(vec![(known(port)?, signal)])
        }
        (None, Signals::Named(signals)) => {
            signals.into_iter().map(|(name, signal)| Ok((known(&name)?, signal))).collect()
        }
        (None, Signals::One(signal)) => match interface.inputs.as_slice() {
            [only] if !only.many => Ok(vec![(only.name.to_owned(), signal)]),
            _ => bail!("{path}: the model has {}: say which one as PORT={path}", ports(interface)),
        },
    }
}

fn fits(port: &str, path: &Path, signal: &Signal, shape: &Shape) -> Result<()> {
    ensure!(
        signal.width() == shape.count(),
        "{}: found rows of {} numbers, expected {} for the input `{port}`, {shape}",
        path.display(),
        signal.width(),
        shape.count()
    );
    ensure!(
        shape.kind != PayloadKind::Kernel && shape.kind != PayloadKind::DelayKernel,
        "{}: the input `{port}` carries a {}, which no file of signals holds",
        path.display(),
        shape.kind
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_read_as_people_write_them() {
        let file = |text: &str| text.parse::<InputFile>().unwrap();
        assert_eq!(file("signal=a.npy"), InputFile { port: Some("signal".into()), path: "a.npy".into() });
        assert_eq!(file("a.npy"), InputFile { port: None, path: "a.npy".into() });
        assert_eq!(file("./a=b.npy"), InputFile { port: None, path: "./a=b.npy".into() });
        assert!("x=nan".parse::<Constant>().is_err() && "x".parse::<Constant>().is_err());
        assert_eq!("x=-1e3".parse(), Ok(Constant { port: "x".into(), value: -1000.0 }));
    }
}
