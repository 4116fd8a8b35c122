//! What comes in at the inputs of a model.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::payload::{Currents, Floats, IntegerMask, Integers, Mask, Payload, PayloadKind, Potentials, Shape, Spikes};
use crate::ports::{InputShapes, PortValues, intern};

/// What comes in at one port.
#[derive(Clone, Debug, PartialEq)]
pub enum Drive {
    /// The same number for all units, at every step.
    Constant(f32),
    /// One row for each step, units in the order of their axes.
    Sequence(Vec<f32>),
}

/// What comes in at a port does not fit it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DriveError {
    /// There is no such port.
    #[error("unknown input port `{port}`: the model has {known}")]
    Unknown {
        /// The port.
        port: String,
        /// The ports there are.
        known: String,
    },
    /// A port carries what is neither constant nor a sequence of numbers.
    #[error("port `{port}`: {kind} cannot come from a constant or a file")]
    Kind {
        /// The port.
        port: String,
        /// What it carries.
        kind: PayloadKind,
    },
    /// A sequence whose rows do not have as many entries as the port.
    #[error("port `{port}`: found {found} numbers, expected rows of {expected} for {shape}")]
    Rows {
        /// The port.
        port: String,
        /// Numbers in all.
        found: usize,
        /// Numbers in a row.
        expected: usize,
        /// The shape of the port.
        shape: String,
    },
    /// A number that the port cannot take.
    #[error("port `{port}`: found {value} in row {row}, column {column}, expected {expected}")]
    Value {
        /// The port.
        port: String,
        /// The number.
        value: f32,
        /// The row, from 1.
        row: usize,
        /// The column, from 1.
        column: usize,
        /// Which numbers it takes.
        expected: &'static str,
    },
}

/// What comes in at every port of a model, on the device.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use spark_core::payload::{PayloadKind, Shape};
/// use spark_core::ports::InputShapes;
/// use spark_core::simulation::{Drive, Drives};
///
/// let shapes = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[2]));
/// let sequence = Drive::Sequence(vec![0.0, 1.0, 2.0, 3.0]);
/// let drives = Drives::new(&shapes, &[("signal".to_owned(), sequence)], &Device::flex())?;
/// assert_eq!(drives.steps(), Some(2));
/// assert!(drives.at(1).get("signal").is_some());
/// # Ok::<(), spark_core::simulation::DriveError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Drives {
    shapes: InputShapes,
    ports: Vec<(&'static str, Source)>,
}

#[derive(Clone, Debug)]
enum Source {
    Same(Payload),
    /// `[time, entries]`.
    Rows { kind: PayloadKind, rows: Tensor<2>, steps: usize },
}

impl Drives {
    /// Checks what comes in against the shapes of the ports; a port that nothing is said of gets zeros.
    ///
    /// # Errors
    /// When a port is unknown, or a number or the number of them does not fit it.
    pub fn new(
        shapes: &InputShapes,
        drives: &[(String, Drive)],
        device: &Device,
    ) -> Result<Self, DriveError> {
        for (port, _) in drives {
            if shapes.get(port).is_none() {
                let known: Vec<&str> = shapes.iter().map(|(port, _)| port).collect();
                return Err(DriveError::Unknown { port: port.clone(), known: known.join(", ") });
            }
        }
        let source = |(port, shape): (&str, &Shape)| {
            let drive = drives.iter().rev().find(|(name, _)| name == port).map(|(_, drive)| drive);
            let source = match drive.unwrap_or(&Drive::Constant(0.0)) {
                Drive::Constant(value) => {
                    check(port, shape, &[*value], 1)?;
                    Source::Same(constant(port, shape, *value, device)?)
                }
                Drive::Sequence(values) => rows(port, shape, values, device)?,
            };
            Ok((intern(port), source))
        };
        let ports = shapes.iter().map(source).collect::<Result<_, _>>()?;
        Ok(Self { shapes: shapes.clone(), ports })
    }

    /// The shapes of the ports.
    pub fn shapes(&self) -> &InputShapes {
        &self.shapes
    }

    /// The steps of the shortest sequence; `None` where all is constant.
    pub fn steps(&self) -> Option<usize> {
        let steps = |(_, source): &(_, Source)| match source {
            Source::Same(_) => None,
            Source::Rows { steps, .. } => Some(*steps),
        };
        self.ports.iter().filter_map(steps).min()
    }

    /// What comes in at a step, of one sample.
    ///
    /// # Panics
    /// If the step is beyond [`steps`](Self::steps).
    pub fn at(&self, step: usize) -> PortValues {
        let mut values = PortValues::default();
        for (port, source) in &self.ports {
            match source {
                Source::Same(payload) => values.put(*port, payload.clone()),
                Source::Rows { kind, rows, .. } => {
                    let row = rows.clone().slice(burn::tensor::s![step..step + 1, ..]);
                    values.put(*port, payload(*kind, row));
                }
            }
        }
        values
    }
}

/// Which numbers a port takes, where not all.
fn check(port: &str, shape: &Shape, values: &[f32], width: usize) -> Result<(), DriveError> {
    let (fits, expected): (fn(f32) -> bool, _) = match shape.kind {
        PayloadKind::Spikes | PayloadKind::Mask => (|value| value == 0.0 || value == 1.0, "0 or 1"),
        PayloadKind::Integers | PayloadKind::IntegerMask => {
            (|value| value.is_finite() && value.fract() == 0.0, "a whole number")
        }
        _ => (f32::is_finite, "a finite number"),
    };
    match values.iter().position(|value| !fits(*value)) {
        None => Ok(()),
        Some(at) => Err(DriveError::Value {
            port: port.to_owned(),
            value: values[at],
            row: at / width + 1,
            column: at % width + 1,
            expected,
        }),
    }
}

fn constant(port: &str, shape: &Shape, value: f32, device: &Device) -> Result<Payload, DriveError> {
    let count = shape.count();
    match shape.kind {
        PayloadKind::Mask => Ok(Mask(Tensor::full([count], value, device)).into()),
        PayloadKind::IntegerMask => {
            Ok(IntegerMask(Tensor::<1, Int>::full([count], value as i64, device)).into())
        }
        kind if carries_rows(shape) => Ok(payload(kind, Tensor::full([1, count], value, device))),
        kind => Err(DriveError::Kind { port: port.to_owned(), kind }),
    }
}

fn rows(port: &str, shape: &Shape, values: &[f32], device: &Device) -> Result<Source, DriveError> {
    if !carries_rows(shape) {
        return Err(DriveError::Kind { port: port.to_owned(), kind: shape.kind });
    }
    let width = shape.count();
    if width == 0 || !values.len().is_multiple_of(width) {
        let (found, shape) = (values.len(), shape.to_string());
        return Err(DriveError::Rows { port: port.to_owned(), found, expected: width, shape });
    }
    check(port, shape, values, width)?;
    let steps = values.len() / width;
    let rows = Tensor::from_data(TensorData::new(values.to_vec(), [steps, width]), device);
    Ok(Source::Rows { kind: shape.kind, rows, steps })
}

fn carries_rows(shape: &Shape) -> bool {
    use PayloadKind as Kind;
    let plain = [Kind::Spikes, Kind::Currents, Kind::Potentials, Kind::Floats, Kind::Integers];
    plain.contains(&shape.kind) && !shape.pairs
}

fn payload(kind: PayloadKind, row: Tensor<2>) -> Payload {
    match kind {
        PayloadKind::Spikes => Spikes::new(row).into(),
        PayloadKind::Currents => Currents(row).into(),
        PayloadKind::Potentials => Potentials(row).into(),
        PayloadKind::Integers => Integers(row.int()).into(),
        _ => Floats(row).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: PayloadKind, drive: Drive) -> String {
        let shapes = InputShapes::default().with("x", Shape::new(kind, &[2]));
        Drives::new(&shapes, &[("x".to_owned(), drive)], &Device::flex()).unwrap_err().to_string()
    }

    #[test]
    fn numbers_that_do_not_fit_are_found() {
        let found = error(PayloadKind::Spikes, Drive::Sequence(vec![0.0, 1.0, 1.0, 0.5]));
        assert_eq!(found, "port `x`: found 0.5 in row 2, column 2, expected 0 or 1");
        assert!(error(PayloadKind::Floats, Drive::Constant(f32::NAN)).contains("a finite number"));
        assert!(error(PayloadKind::Integers, Drive::Constant(0.5)).contains("a whole number"));
        assert!(error(PayloadKind::Floats, Drive::Sequence(vec![0.0; 3])).contains("rows of 2"));
        assert!(error(PayloadKind::Mask, Drive::Sequence(vec![0.0; 2])).contains("mask cannot"));
        assert!(error(PayloadKind::Kernel, Drive::Constant(1.0)).contains("kernel cannot"));
    }

    #[test]
    fn an_unknown_port_is_refused_and_a_silent_one_is_zero() {
        let shapes = InputShapes::default().with("x", Shape::new(PayloadKind::Currents, &[3]));
        let device = Device::flex();
        let wrong = Drives::new(&shapes, &[("y".to_owned(), Drive::Constant(1.0))], &device).unwrap_err();
        assert_eq!(wrong.to_string(), "unknown input port `y`: the model has x");
        let silent = Drives::new(&shapes, &[], &device).unwrap();
        let Some(Payload::Currents(Currents(row))) = silent.at(5).get("x").cloned() else { panic!("currents") };
        assert_eq!(row.into_data().try_to_vec::<f32>().unwrap(), [0.0; 3]);
        assert_eq!(silent.steps(), None);
    }
}
