//! What the JSON schema of a configuration says about its fields, and checks that follow from it.
//!
//! A field states its unit and range once, beside itself:
//!
//! ```
//! #[derive(schemars::JsonSchema)]
//! struct MembraneConfig {
//!     /// Membrane time constant.
//!     #[schemars(extend("unit" = "ms", "range" = "positive"))]
//!     tau: f32,
//! }
//! let fields = spark_core::schema::fields(&schemars::schema_for!(MembraneConfig).into());
//! assert_eq!(fields[0].unit.as_deref(), Some("ms"));
//! assert_eq!(fields[0].description, "Membrane time constant.");
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

use crate::parameter::Draw;
use crate::validate::Problems;

/// Which numbers make sense in a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// Every number but NaN and infinities.
    #[default]
    Finite,
    /// Above 0.
    Positive,
    /// At least 0.
    NonNegative,
    /// From 0 to 1.
    UnitInterval,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finite => "finite",
            Self::Positive => "> 0",
            Self::NonNegative => "≥ 0",
            Self::UnitInterval => "0 … 1",
        })
    }
}

/// A field of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it means.
    pub description: String,
    /// Its unit, where it has one.
    pub unit: Option<String>,
    /// Which numbers it takes.
    pub range: Range,
    /// Whether it may be null, which turns off what it belongs to.
    pub nullable: bool,
}

/// The fields of a configuration in the order of its schema.
///
/// # Panics
/// If a field has a range that is none of [`Range`]: a mistake in the program.
pub fn fields(schema: &Value) -> Vec<Field> {
    // A configuration that wraps another one refers to it.
    let wrapped = schema["$ref"].as_str().and_then(|path| schema.pointer(path.trim_start_matches('#')));
    let Some(properties) = wrapped.unwrap_or(schema)["properties"].as_object() else {
        return Vec::new();
    };
    let text = |value: &Value| value.as_str().map(|text| text.replace('\n', " "));
    let field = |(name, property): (&String, &Value)| Field {
        name: name.clone(),
        description: text(&property["description"]).unwrap_or_default(),
        unit: text(&property["unit"]),
        range: match &property["range"] {
            Value::Null => Range::default(),
            range => Range::deserialize(range).unwrap_or_else(|_| panic!("{name}: unknown range {range}")),
        },
        nullable: nullable(property),
    };
    properties.iter().map(field).collect()
}

fn nullable(property: &Value) -> bool {
    let null = |value: &Value| value == "null" || value["type"] == "null";
    match (&property["type"], &property["anyOf"]) {
        (Value::Array(types), _) => types.iter().any(null),
        (_, Value::Array(options)) => options.iter().any(null),
        _ => false,
    }
}

/// Checks every number of a configuration against the range of its field, and every initializer.
///
/// * `value`: the configuration as JSON.
/// * `path`: where it stands; empty at the top.
pub fn validate(fields: &[Field], value: &Value, path: &str, problems: &mut Problems) {
    for field in fields {
        let path = join(path, &field.name);
        match &value[&field.name] {
            Value::Null if field.nullable => {}
            // What JSON cannot write: NaN and infinities.
            Value::Null => problems.push(path, "no number", expected(field.range)),
            found => check(field.range, found, &path, problems),
        }
    }
}

/// Where a field of what stands at `path` stands; `path` is empty at the top.
///
/// # Examples
/// ```
/// use spark_core::schema::join;
///
/// assert_eq!(join("", "threshold"), "threshold");
/// assert_eq!(join("modules[1].config", "threshold"), "modules[1].config.threshold");
/// ```
pub fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

fn check(range: Range, value: &Value, path: &str, problems: &mut Problems) {
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            let fits = match range {
                Range::Finite => number.is_finite(),
                Range::Positive => number > 0.0,
                Range::NonNegative => number >= 0.0,
                Range::UnitInterval => (0.0..=1.0).contains(&number),
            };
            if !fits {
                problems.push(path, number, expected(range));
            }
        }
        Value::Array(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                check(range, entry, &format!("{path}[{index}]"), problems);
            }
        }
        Value::Null => problems.push(path, "no number", expected(range)),
        Value::String(text) if text.parse::<f32>().is_ok() => problems.push(path, text, expected(range)),
        object @ Value::Object(_) => {
            if let Ok(draw) = Draw::deserialize(object) {
                draw.validate(path, problems);
            }
        }
        Value::Bool(_) | Value::String(_) => {}
    }
}

fn expected(range: Range) -> &'static str {
    match range {
        Range::Finite => "a finite number",
        Range::Positive => "a number above 0",
        Range::NonNegative => "a number of at least 0",
        Range::UnitInterval => "a number between 0 and 1",
    }
}
