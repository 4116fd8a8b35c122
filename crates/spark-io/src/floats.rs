//! Numbers with a fraction in files: f64, f32, f16 and bf16, and from each to the others.
//!
//! Narrowing rounds to the nearest number there is. What lies beyond the largest one is an error instead of an
//! infinity.

use burn::tensor::{DType, TensorData};
use spark_core::Problems;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A type of numbers with a fraction.
///
/// # Examples
/// ```
/// use spark_io::floats::Float;
///
/// let half: Float = "bf16".parse()?;
/// assert_eq!((half, half.to_string()), (Float::BF16, "bf16".to_owned()));
/// assert_eq!("f8".parse::<Float>().unwrap_err(), "found f8, expected f64, f32, f16 or bf16");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// 64 bits, 53 of them digits.
    F64,
    /// 32 bits, 24 of them digits.
    F32,
    /// 16 bits, 11 of them digits; at most 65,504.
    F16,
    /// 16 bits, 8 of them digits; as far as f32.
    BF16,
}

impl Float {
    /// All of them, the widest first.
    pub const ALL: [Self; 4] = [Self::F64, Self::F32, Self::F16, Self::BF16];

    /// The type as Burn calls it.
    pub fn dtype(self) -> DType {
        match self {
            Self::F64 => DType::F64,
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
        }
    }

    /// The one that Burn calls `dtype`; none for whole numbers and truth values.
    pub fn of(dtype: DType) -> Option<Self> {
        Self::ALL.into_iter().find(|float| float.dtype() == dtype)
    }
}

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
        })
    }
}

impl FromStr for Float {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|float| float.to_string() == text);
        known.ok_or_else(|| format!("found {text}, expected f64, f32, f16 or bf16"))
    }
}

/// A number that the type it was to become cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{value}, which is too large for {to}")]
pub struct Overflow {
    /// The number.
    pub value: f64,
    /// The type.
    pub to: Float,
}

/// The numbers of a tensor in another type; whole numbers and truth values stay what they are.
///
/// # Errors
/// The first finite number that would become infinite.
///
/// # Examples
/// ```
/// use burn::tensor::{DType, TensorData};
/// use spark_io::floats::{Float, convert};
///
/// let narrow = convert(TensorData::from([0.1f32, -2.0]), Float::F16)?;
/// assert_eq!(narrow.dtype(), DType::F16);
/// let error = convert(TensorData::from([1.0f32, 1e6]), Float::F16).unwrap_err();
/// assert_eq!(error.to_string(), "1000000, which is too large for f16");
/// # Ok::<(), spark_io::floats::Overflow>(())
/// ```
pub fn convert(data: TensorData, to: Float) -> Result<TensorData, Overflow> {
    let Some(from) = Float::of(data.dtype()) else { return Ok(data) };
    if from == to {
        return Ok(data);
    }
    let converted = data.clone().convert_dtype(to.dtype());
    let infinite = |number: &(f64, f64)| number.0.is_finite() && number.1.is_infinite();
    let lost = data.iter::<f64>().zip(converted.iter::<f64>()).find(infinite);
    match lost {
        Some((value, _)) => Err(Overflow { value, to }),
        None => Ok(converted),
    }
}

/// [`convert`] of every tensor.
///
/// # Errors
/// Every tensor that holds a number which is too large, by its name.
///
/// # Examples
/// ```
/// use burn::tensor::TensorData;
/// use spark_io::floats::{Float, convert_all};
///
/// let tensors = [("weight".to_owned(), TensorData::from([1e5f32]))].into();
/// let error = convert_all(tensors, Float::F16).unwrap_err().to_string();
/// assert_eq!(error, "weight: found 100000, which is too large for f16, expected at most 65504");
/// ```
pub fn convert_all(
    tensors: BTreeMap<String, TensorData>,
    to: Float,
) -> Result<BTreeMap<String, TensorData>, Problems> {
    let mut problems = Problems::default();
    let mut converted = BTreeMap::new();
    for (name, data) in tensors {
        match convert(data, to) {
            Ok(data) => drop(converted.insert(name, data)),
            Err(overflow) => problems.push(name, overflow, too_large(to)),
        }
    }
    problems.into_result().map(|()| converted)
}

/// What is expected instead of a number that is too large.
pub(crate) fn too_large(to: Float) -> String {
    let largest = match to {
        Float::F64 => f64::MAX,
        Float::F32 => f64::from(f32::MAX),
        Float::F16 => 65_504.0,
        Float::BF16 => 3.389_531_389_251_535_5e38,
    };
    if largest < 1e6 { format!("at most {largest}") } else { format!("at most {largest:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers_and_truth_values_stay() {
        for data in [TensorData::from([3i64]), TensorData::from([true])] {
            assert_eq!(convert(data.clone(), Float::BF16).unwrap(), data);
        }
    }

    #[test]
    fn the_largest_numbers_of_a_type_pass_and_larger_ones_do_not() {
        for (to, largest, more) in [(Float::F16, 65_504.0, 65_520.0), (Float::F32, f64::from(f32::MAX), 4e38)]
        {
            assert!(convert(TensorData::from([largest]), to).is_ok(), "{to}");
            assert_eq!(convert(TensorData::from([-more]), to).unwrap_err(), Overflow { value: -more, to });
        }
        let infinite = convert(TensorData::from([f32::INFINITY]), Float::F16).unwrap();
        assert_eq!(infinite.iter::<f64>().collect::<Vec<_>>(), [f64::INFINITY]);
    }

    proptest! {
        #[test]
        fn narrowing_rounds_to_the_nearest_and_widening_loses_nothing(values in prop::collection::vec(-100.0f32..100.0, 0..40)) {
            let data = TensorData::new(values.clone(), [values.len()]);
            // Relative to the number, half a unit in the last of these digits; subnormal ones of f16 to 2⁻²⁵.
            for (to, digits) in [(Float::F64, 53), (Float::F32, 24), (Float::F16, 11), (Float::BF16, 8)] {
                let there = convert(data.clone(), to).unwrap();
                prop_assert_eq!(there.dtype(), to.dtype());
                let back = convert(there.clone(), Float::F32).unwrap();
                for (now, then) in back.iter::<f64>().zip(data.iter::<f64>()) {
                    let bound = (then.abs() * 0.5f64.powi(digits)).max(0.5f64.powi(25));
                    prop_assert!((now - then).abs() <= bound, "{} as {} is {}", then, to, now);
                }
                prop_assert_eq!(convert(back, to).unwrap(), there);
            }
        }
    }
}
