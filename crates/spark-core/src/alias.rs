//! Other names of components.

use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;

/// Another name of a component, with the fields that it sets where a configuration does not, and the ports
/// that were called otherwise under it.
///
/// # Examples
/// ```
/// use serde_json::json;
/// use spark_core::component::{Alias, Preset};
///
/// const STRICT: Alias = Alias {
///     fields: &[("cooldown", Preset::Number(2.0)), ("clamp_duration", Preset::SameAs("cooldown"))],
///     ports: &[("input_current", "current")],
///     ..Alias::new("StrictSoma")
/// };
/// let mut config = json!({ "cooldown": 5.0 });
/// STRICT.complete(config.as_object_mut().unwrap());
/// assert_eq!(config, json!({ "cooldown": 5.0, "clamp_duration": 5.0 }));
/// assert_eq!(STRICT.port("input_current"), "current");
/// assert_eq!(STRICT.port("inhibition_mask"), "inhibition_mask");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alias {
    /// The name.
    pub name: &'static str,
    /// Fields and what they are set to.
    pub fields: &'static [(&'static str, Preset)],
    /// Ports by the name that they had and the one that they have.
    pub ports: &'static [(&'static str, &'static str)],
}

/// What an alias sets a field to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Preset {
    /// A number.
    Number(f32),
    /// The value of another field, unless that is absent too.
    SameAs(&'static str),
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::SameAs(field) => f.write_str(field),
        }
    }
}

impl Alias {
    /// A name that changes nothing.
    pub const fn new(name: &'static str) -> Self {
        Self { name, fields: &[], ports: &[] }
    }

    /// Sets the fields that a configuration leaves out, in the order in which they stand here.
    pub fn complete(&self, config: &mut Map<String, Value>) {
        for (field, preset) in self.fields {
            let value = match preset {
                Preset::Number(number) => Some(Value::from(*number)),
                Preset::SameAs(other) => config.get(*other).cloned(),
            };
            if let Some(value) = value {
                config.entry(*field).or_insert(value);
            }
        }
    }

    /// The name that a port has of those that use this alias.
    pub fn port<'a>(&self, port: &'a str) -> &'a str {
        self.ports.iter().find(|(old, _)| *old == port).map_or(port, |(_, new)| new)
    }
}
