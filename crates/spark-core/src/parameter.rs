//! Parameters that are a number, an array or a random draw.

use rand_chacha::ChaCha8Rng;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use crate::draw::{Distribution, Draw};

/// A parameter of many units or synapses: one number for all, an array, or values drawn when the module is
/// built.
///
/// # Examples
/// ```
/// use spark_core::Parameter;
///
/// let tau: Parameter = serde_json::from_str("[[8.0, 10.0]]")?;
/// let values = tau.values(&[3, 2], &[], &mut spark_core::seed::rng(0, "tau")).unwrap();
/// assert_eq!(values, [8.0, 10.0, 8.0, 10.0, 8.0, 10.0]);
///
/// let drawn: Parameter = serde_json::from_str(r#"{"kind": "uniform", "scale": 5.0}"#)?;
/// let values = drawn.values(&[4], &[], &mut spark_core::seed::rng(0, "tau")).unwrap();
/// assert!(values.iter().all(|value| (0.0..5.0).contains(value)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// The same number everywhere.
    Number(f32),
    /// Numbers that broadcast to the shape of the module, from the last axis backwards.
    Array(Array),
    /// Numbers drawn when the module is built.
    Draw(Draw),
}

impl From<f32> for Parameter {
    fn from(value: f32) -> Self {
        Self::Number(value)
    }
}

impl From<Draw> for Parameter {
    fn from(draw: Draw) -> Self {
        Self::Draw(draw)
    }
}

impl From<Array> for Parameter {
    fn from(array: Array) -> Self {
        Self::Array(array)
    }
}

/// Shapes that do not broadcast.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found an array of shape {found:?}, expected one that broadcasts to {expected:?}")]
pub struct ShapeError {
    /// Shape of the array.
    pub found: Vec<usize>,
    /// Shape that it should broadcast to.
    pub expected: Vec<usize>,
}

impl Parameter {
    /// One value for every entry of `shape`, in row-major order.
    ///
    /// `norm_axes` are the axes that a normalised draw keeps apart, for those that do not name their own.
    ///
    /// # Errors
    /// When an array does not broadcast to the shape.
    pub fn values(
        &self,
        shape: &[usize],
        norm_axes: &[usize],
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<f32>, ShapeError> {
        match self {
            Self::Number(value) => Ok(vec![*value; shape.iter().product()]),
            Self::Array(array) => array.broadcast(shape),
            Self::Draw(draw) => Ok(draw.draw(shape, norm_axes, rng)),
        }
    }

    /// As [`values`](Self::values), but a single entry where all are the same number by construction.
    ///
    /// # Errors
    /// When an array does not broadcast to the shape.
    pub fn compact(&self, shape: &[usize], rng: &mut ChaCha8Rng) -> Result<Vec<f32>, ShapeError> {
        match self {
            Self::Number(value) => Ok(vec![*value]),
            Self::Array(array) if array.values.len() == 1 => Ok(array.values.clone()),
            _ => self.values(shape, &[], rng),
        }
    }
}

/// Numbers with a shape, in JSON as nested lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    /// An array from its entries in row-major order; `None` when their number does not fit the shape.
    ///
    /// # Examples
    /// ```
    /// use spark_core::parameter::Array;
    ///
    /// assert!(Array::new(vec![2, 2], vec![1.0, 2.0, 3.0]).is_none());
    /// let array = Array::new(vec![2], vec![1.0, 2.0]).unwrap();
    /// assert_eq!(array.broadcast(&[3, 2]).unwrap(), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    /// ```
    pub fn new(shape: Vec<usize>, values: Vec<f32>) -> Option<Self> {
        (shape.iter().product::<usize>() == values.len()).then_some(Self { shape, values })
    }

    /// Extents of its axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The entries in row-major order.
    pub fn entries(&self) -> &[f32] {
        &self.values
    }

    /// One value for every entry of `shape`, in row-major order; missing leading axes and axes of extent 1
    /// repeat.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn broadcast(&self, shape: &[usize]) -> Result<Vec<f32>, ShapeError> {
        let mismatch = || ShapeError { found: self.shape.clone(), expected: shape.to_vec() };
        let leading = shape.len().checked_sub(self.shape.len()).ok_or_else(mismatch)?;
        let mut strides = vec![0; shape.len()];
        let mut stride = 1;
        for axis in (0..self.shape.len()).rev() {
            let (own, wanted) = (self.shape[axis], shape[leading + axis]);
            if own == wanted {
                strides[leading + axis] = stride;
            } else if own != 1 {
                return Err(mismatch());
            }
            stride *= own;
        }
        let mut values = Vec::with_capacity(shape.iter().product());
        let mut index = vec![0; shape.len()];
        for _ in 0..values.capacity() {
            let place: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
            values.push(self.values[place]);
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Ok(values)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let (mut shape, mut values) = (Vec::new(), Vec::new());
        collect(value, 0, &mut shape, &mut values)?;
        Ok(Self { shape, values })
    }

    fn to_json(&self) -> Value {
        fn nest(shape: &[usize], values: &[f32]) -> Value {
            match shape {
                [] => number(values[0]),
                [_, inner @ ..] => {
                    let width: usize = inner.iter().product();
                    let rows = (0..shape[0]).map(|row| nest(inner, &values[row * width..(row + 1) * width]));
                    Value::Array(rows.collect())
                }
            }
        }
        nest(&self.shape, &self.values)
    }
}

/// Collects nested lists of equal extents.
fn collect(value: &Value, axis: usize, shape: &mut Vec<usize>, values: &mut Vec<f32>) -> Result<(), String> {
    match value {
        Value::Array(rows) => {
            if axis == shape.len() && values.is_empty() {
                shape.push(rows.len());
            }
            if shape.get(axis) != Some(&rows.len()) {
                return Err(format!("found lists of different lengths on axis {axis} of an array"));
            }
            rows.iter().try_for_each(|row| collect(row, axis + 1, shape, values))
        }
        _ if axis < shape.len() => Err("found numbers and lists side by side in an array".to_owned()),
        other => {
            let number =
                other.as_f64().ok_or_else(|| format!("found {other} in an array, expected a number"))?;
            values.push(number as f32);
            Ok(())
        }
    }
}

/// JSON has no number that is not finite; as text it is at least seen by validation.
fn number(value: f32) -> Value {
    // Through its shortest decimal form, so that 0.1 stays 0.1.
    value
        .to_string()
        .parse()
        .ok()
        .and_then(serde_json::Number::from_f64)
        .map_or_else(|| Value::String(value.to_string()), Value::Number)
}

impl Serialize for Parameter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(value) => number(*value).serialize(serializer),
            Self::Array(array) => array.to_json().serialize(serializer),
            Self::Draw(draw) => draw.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(number) => {
                let value = number.as_f64().ok_or_else(|| D::Error::custom("found a number out of range"))?;
                Ok(Self::Number(value as f32))
            }
            list @ Value::Array(_) => Array::from_json(&list).map(Self::Array).map_err(D::Error::custom),
            object @ Value::Object(_) => {
                serde_json::from_value(object).map(Self::Draw).map_err(D::Error::custom)
            }
            other => Err(D::Error::custom(format!(
                "found {other}, expected a number, a list of numbers or an initializer"
            ))),
        }
    }
}

impl JsonSchema for Parameter {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Parameter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One number for all, nested lists that broadcast to the units, or an initializer.",
            "anyOf": [{ "type": "number" }, { "type": "array" }, generator.subschema_for::<Draw>()],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Parameter, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn every_form_survives_json() {
        for text in ["0.1", "[1.5,2.0]", "[[1.0,2.0],[3.0,4.0]]"] {
            let parameter = parse(text).unwrap();
            assert_eq!(serde_json::to_string(&parameter).unwrap(), text);
        }
        let draw = Parameter::Draw(Draw { sigma: Some(0.5), ..Draw::new(Distribution::LogNormal) });
        let text = serde_json::to_string(&draw).unwrap();
        assert_eq!(parse(&text).unwrap(), draw);
    }

    #[test]
    fn ragged_and_foreign_content_is_named() {
        let message = |text| parse(text).unwrap_err().to_string();
        assert!(message("[[1, 2], [3]]").contains("different lengths"));
        assert!(message("[1, [2]]").contains("different lengths"));
        assert!(message("[[1], 2]").contains("side by side"));
        assert!(message("[true]").contains("expected a number"));
        assert!(message("\"fast\"").contains("expected a number, a list"));
        assert!(message(r#"{"kind": "uniform", "sale": 1}"#).contains("sale"));
    }

    #[test]
    fn arrays_broadcast_from_the_last_axis() {
        let array = |shape: &[usize]| {
            let count = shape.iter().product::<usize>();
            Array::new(shape.to_vec(), (0..count).map(|i| i as f32).collect()).unwrap()
        };
        assert_eq!(array(&[2, 1]).broadcast(&[2, 2]).unwrap(), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(array(&[1]).broadcast(&[2]).unwrap(), [0.0, 0.0]);
        let error = array(&[3]).broadcast(&[2]).unwrap_err();
        assert!(error.to_string().contains("[3]") && error.to_string().contains("[2]"));
        assert!(array(&[2, 2]).broadcast(&[2]).is_err());
    }
}
