//! Delays in whole steps, checked.

use burn::module::{Param, ParamId};
use burn::tensor::{Int, Tensor, TensorData};
use spark_core::build::Builder;
use spark_core::component::Defect;
use spark_core::payload::{DelayKernel, Payload};
use spark_core::ports::{PortError, typed};
use spark_core::schema::join;
use spark_core::{Parameter, Problems};

use super::KERNEL;

/// The longest delay in steps that a ring holds.
const LONGEST: usize = u16::MAX as usize;

/// Steps that cover `max_delay`.
pub(in crate::components) fn count(max_delay: f32, dt: f32) -> usize {
    let exact = max_delay / dt;
    // What is a whole number but for rounding is meant as one.
    let nearest = exact.round();
    let steps = if (exact - nearest).abs() < 1e-4 * nearest { nearest } else { exact.ceil() };
    (steps as usize).max(1)
}

pub(in crate::components) fn check(max_delay: f32, dt: f32, path: &str, problems: &mut Problems) {
    if count(max_delay, dt) > LONGEST {
        problems.push(join(path, "max_delay"), max_delay, format!("at most {LONGEST} steps of {dt} ms"));
    }
}

/// Delays of 1 to `max` steps, one for each entry of `shape` in row-major order.
pub(in crate::components) fn draw(
    builder: &Builder<'_>,
    delays: &Parameter,
    shape: &[usize],
    max: usize,
) -> Result<Vec<i32>, Defect> {
    let mut rng = builder.context.rng(builder.seed, "delays");
    let values = delays.values(shape, &[], &mut rng).map_err(|error| {
        Defect::field("delays", format!("shape {:?}", error.found), format!("one that fits {shape:?}"))
    })?;
    if let Parameter::Draw(_) = delays {
        let step = |share: f32| 1 + (share * max as f32).max(0.0) as usize;
        return Ok(values.into_iter().map(|share| step(share).min(max) as i32).collect());
    }
    let wrong = values.iter().position(|&delay| delay.fract() != 0.0 || !fits(i64::from(delay as i32), max));
    match wrong {
        Some(place) => {
            Err(Defect::field(&format!("delays{}", index(place, shape)), values[place], expected(max)))
        }
        None => Ok(values.into_iter().map(|delay| delay as i32).collect()),
    }
}

fn fits(delay: i64, max: usize) -> bool {
    (1..=max as i64).contains(&delay)
}

fn expected(max: usize) -> String {
    format!("a whole number of steps from 1 to {max}")
}

/// The place of an entry as `[i][j]`.
fn index(mut place: usize, shape: &[usize]) -> String {
    let mut axes = Vec::new();
    for extent in shape.iter().rev() {
        axes.push(format!("[{}]", place % extent));
        place /= extent;
    }
    axes.into_iter().rev().collect()
}

/// Delays as a parameter.
pub(super) fn parameter<const D: usize>(
    delays: Vec<i32>,
    shape: [usize; D],
    builder: &Builder<'_>,
) -> Param<Tensor<D, Int>> {
    let tensor = Tensor::from_data(TensorData::new(delays, shape), &builder.context.device);
    Param::initialized(ParamId::new(), tensor)
}

/// The delays that somebody writes, checked.
pub(super) fn written(
    value: Payload,
    expected_dims: [usize; 2],
    max: usize,
) -> Result<Tensor<2, Int>, PortError> {
    let DelayKernel(steps) = typed(KERNEL.name, value)?;
    let wrong = |found: String, expected: String| PortError::Mismatch {
        port: KERNEL.name.to_owned(),
        found,
        expected,
    };
    if steps.dims() != expected_dims {
        return Err(wrong(format!("shape {:?}", steps.dims()), format!("{expected_dims:?}")));
    }
    match steps.to_data().iter::<i64>().enumerate().find(|(_, delay)| !fits(*delay, max)) {
        Some((place, delay)) => {
            Err(wrong(format!("{delay} at {}", index(place, &expected_dims)), expected(max)))
        }
        None => Ok(steps),
    }
}
