//! Connections between modules, written as text.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a connection comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// An input of the controller itself, written `__call__`.
    Call,
    /// The controller itself, for its own properties, written `__self__`.
    Own,
    /// A module of the controller.
    Module(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call => "__call__",
            Self::Own => "__self__",
            Self::Module(name) => name,
        })
    }
}

impl From<&str> for Origin {
    fn from(name: &str) -> Self {
        match name {
            "__call__" => Self::Call,
            "__self__" => Self::Own,
            name => Self::Module(name.to_owned()),
        }
    }
}

/// A connection: what feeds an input port, or writes a property.
///
/// Written `module.port` for an output port, `module#property` for a property, `__call__.port` for an input
/// of the controller itself and `__self__#property` for a property of it.
///
/// # Examples
/// ```
/// use spark_core::model::{Origin, Wire};
///
/// let wire: Wire = "synapses#kernel".parse()?;
/// assert_eq!(wire.origin, Origin::Module("synapses".to_owned()));
/// assert!(wire.property && wire.port == "kernel");
/// assert_eq!(wire.to_string(), "synapses#kernel");
/// assert!("synapses".parse::<Wire>().unwrap_err().to_string().contains("module.port"));
/// # Ok::<(), spark_core::model::WireError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wire {
    /// Where it comes from.
    pub origin: Origin,
    /// The port, or the property.
    pub port: String,
    /// Whether it is a property that is read.
    pub property: bool,
}

impl Wire {
    /// From an output port of a module.
    pub fn output(module: &str, port: &str) -> Self {
        Self { origin: module.into(), port: port.to_owned(), property: false }
    }

    /// From a property of a module.
    pub fn property(module: &str, name: &str) -> Self {
        Self { origin: module.into(), port: name.to_owned(), property: true }
    }

    /// From an input of the controller itself.
    pub fn call(port: &str) -> Self {
        Self { origin: Origin::Call, port: port.to_owned(), property: false }
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.origin, if self.property { '#' } else { '.' }, self.port)
    }
}

/// Text that is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found `{0}`, expected module.port, module#property or __call__.port")]
pub struct WireError(String);

impl FromStr for Wire {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        let wrong = || WireError(text.to_owned());
        let at = text.find(['.', '#']).ok_or_else(wrong)?;
        let (origin, port) = (&text[..at], &text[at + 1..]);
        let property = text[at..].starts_with('#');
        if !is_name(origin) || !is_name(port) || (property && origin == "__call__") {
            return Err(wrong());
        }
        Ok(Self { origin: origin.into(), port: port.to_owned(), property })
    }
}

/// Whether text can name a module, a port or a property: not empty, and free of the signs of addresses,
/// patterns and connections.
///
/// # Examples
/// ```
/// use spark_core::model::is_name;
///
/// assert!(is_name("pool_a") && is_name("A-excitatory"));
/// assert!(!is_name("") && !is_name("pool.soma") && !is_name("a*"));
/// ```
pub fn is_name(text: &str) -> bool {
    let sign = |letter: char| {
        letter.is_whitespace() || letter.is_control() || ".#*[]={},'\"\\/".contains(letter)
    };
    !text.is_empty() && text.len() <= 128 && !text.contains(sign)
}

impl Serialize for Wire {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Wire {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Wire".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "module.port, module#property, __call__.port or __self__#property",
            "pattern": "^[^.#\\s]+[.#][^.#\\s]+$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_connection_is_refused() {
        for text in ["", ".", "a", "a.", ".b", "a.b.c", "a#b#c", "__call__#x", "a b.c"] {
            assert!(text.parse::<Wire>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_connection_are_the_same(module in "[a-z_][a-zA-Z0-9_-]{0,8}", port in "[a-z_]{1,9}", own in any::<bool>()) {
            let wire = if own { Wire::property(&module, &port) } else { Wire::output(&module, &port) };
            prop_assert_eq!(wire.to_string().parse::<Wire>().unwrap(), wire);
        }
    }
}
