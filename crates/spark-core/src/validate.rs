//! Checks of values that report every problem at once.

use std::fmt;

/// One thing wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, such as `layers[1].decay`.
    pub path: String,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, expected {}", self.path, self.found, self.expected)
    }
}

/// Everything that is wrong with a configuration.
///
/// # Examples
/// ```
/// use spark_core::Problems;
///
/// let mut problems = Problems::default();
/// problems.positive("epochs", 0usize);
/// problems.unit_interval("layers[0].decay", 1.5);
/// let text = problems.into_result().unwrap_err().to_string();
/// assert_eq!(
///     text,
///     "epochs: found 0, expected a number above 0\n\
///      layers[0].decay: found 1.5, expected a number between 0 and 1"
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl Problems {
    /// Records a problem.
    pub fn push(&mut self, path: impl Into<String>, found: impl fmt::Display, expected: impl Into<String>) {
        self.0.push(Problem { path: path.into(), found: found.to_string(), expected: expected.into() });
    }

    /// Requires a finite number above zero.
    pub fn positive<N: Number>(&mut self, path: impl Into<String>, value: N) {
        if !(value.to_f64() > 0.0 && value.to_f64().is_finite()) {
            self.push(path, value, "a number above 0");
        }
    }

    /// Requires a finite number of at least zero.
    pub fn non_negative<N: Number>(&mut self, path: impl Into<String>, value: N) {
        if !(value.to_f64() >= 0.0 && value.to_f64().is_finite()) {
            self.push(path, value, "a number of at least 0");
        }
    }

    /// Requires a finite number.
    pub fn finite<N: Number>(&mut self, path: impl Into<String>, value: N) {
        if !value.to_f64().is_finite() {
            self.push(path, value, "a finite number");
        }
    }

    /// Requires a number in `[0, 1]`.
    pub fn unit_interval<N: Number>(&mut self, path: impl Into<String>, value: N) {
        if !(0.0..=1.0).contains(&value.to_f64()) {
            self.push(path, value, "a number between 0 and 1");
        }
    }

    /// The problems found so far.
    pub fn list(&self) -> &[Problem] {
        &self.0
    }

    /// `Ok` when there is none.
    ///
    /// # Errors
    /// The problems, all of them.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// A number that the checks understand.
pub trait Number: Copy + fmt::Display {
    /// The value as `f64`.
    fn to_f64(self) -> f64;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Number for $number {
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

numbers!(f32, f64, usize, u32, u64, i32, i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_a_number_fails_every_check() {
        let mut problems = Problems::default();
        problems.positive("a", f32::NAN);
        problems.non_negative("b", f32::NAN);
        problems.finite("c", f32::NAN);
        problems.unit_interval("d", f32::NAN);
        assert_eq!(problems.list().len(), 4);
    }

    #[test]
    fn bounds_are_inclusive_where_they_should_be() {
        let mut problems = Problems::default();
        problems.non_negative("a", 0.0f32);
        problems.unit_interval("b", 0.0f32);
        problems.unit_interval("c", 1.0f32);
        problems.into_result().unwrap();
    }
}
