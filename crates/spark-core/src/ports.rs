//! The ports of modules: what they take and give, by name.

use std::collections::BTreeMap;

use crate::payload::{Payload, PayloadKind, PayloadType, Shape};

/// A port of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// Its name.
    pub name: &'static str,
    /// What it carries.
    pub kind: PayloadKind,
    /// Whether it may be left unwired.
    pub optional: bool,
    /// What it is for.
    pub description: &'static str,
}

/// A property of a module: what others may read, and some write, between steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertySpec {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: PayloadKind,
    /// Whether others may write it.
    pub writable: bool,
    /// What it is.
    pub description: &'static str,
}

/// Something wrong at a port or property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// A port that has to be wired is not.
    #[error("port `{port}`: found nothing, expected {expected}")]
    Missing {
        /// The port.
        port: &'static str,
        /// What it carries.
        expected: PayloadKind,
    },
    /// A payload of another type, shape or content than the port takes.
    #[error("port `{port}`: found {found}, expected {expected}")]
    Mismatch {
        /// The port.
        port: String,
        /// What came.
        found: String,
        /// What should have come.
        expected: String,
    },
    /// A name that the module does not have.
    #[error("unknown {what} `{name}`: the module has {}", names(known))]
    Unknown {
        /// Port or property.
        what: &'static str,
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// A property that cannot be written.
    #[error("property `{0}` cannot be written")]
    ReadOnly(String),
}

fn names(known: &[&str]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

/// Payloads by the name of their port.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::payload::{Currents, Floats};
/// use spark_core::ports::PortValues;
///
/// let mut values = PortValues::default();
/// values.put("current", Currents(Tensor::zeros([1, 3], &Device::flex())));
/// let error = values.take::<Floats>("current").unwrap_err();
/// assert_eq!(error.to_string(), "port `current`: found currents, expected floats");
/// ```
#[derive(Clone, Debug, Default)]
pub struct PortValues {
    entries: Vec<(&'static str, Payload)>,
}

impl PortValues {
    /// Adds a payload.
    pub fn put(&mut self, port: &'static str, payload: impl Into<Payload>) {
        self.entries.push((port, payload.into()));
    }

    /// The payload at a port.
    pub fn get(&self, port: &str) -> Option<&Payload> {
        self.entries.iter().find(|(name, _)| *name == port).map(|(_, payload)| payload)
    }

    /// Takes the payload at a port out, if there is one.
    ///
    /// # Errors
    /// When it is of another type than `T`.
    pub fn take_optional<T: PayloadType>(&mut self, port: &'static str) -> Result<Option<T>, PortError> {
        let Some(position) = self.entries.iter().position(|(name, _)| *name == port) else {
            return Ok(None);
        };
        typed(port, self.entries.swap_remove(position).1).map(Some)
    }

    /// Takes the payload at a port out.
    ///
    /// # Errors
    /// When there is none, or it is of another type than `T`.
    pub fn take<T: PayloadType>(&mut self, port: &'static str) -> Result<T, PortError> {
        self.take_optional(port)?.ok_or(PortError::Missing { port, expected: T::KIND })
    }

    /// Names and payloads in the order in which they were put.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Payload)> {
        self.entries.iter().map(|(name, payload)| (*name, payload))
    }
}

impl IntoIterator for PortValues {
    type Item = (&'static str, Payload);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// The payload as one of type `T`.
///
/// # Errors
/// Names the port when the payload is of another type.
pub fn typed<T: PayloadType>(port: &str, payload: Payload) -> Result<T, PortError> {
    T::from_payload(payload).map_err(|other| PortError::Mismatch {
        port: port.to_owned(),
        found: other.kind().to_string(),
        expected: T::KIND.to_string(),
    })
}

/// The shapes of what is wired to the inputs of a module, by port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputShapes(BTreeMap<String, Shape>);

impl InputShapes {
    /// Adds the shape at a port.
    #[must_use]
    pub fn with(mut self, port: &str, shape: Shape) -> Self {
        self.0.insert(port.to_owned(), shape);
        self
    }

    /// The shape at a port, if it is wired.
    pub fn get(&self, port: &str) -> Option<&Shape> {
        self.0.get(port)
    }

    /// The shape at a port that has to be wired.
    ///
    /// # Errors
    /// When it is not.
    pub fn require(&self, port: &'static str, expected: PayloadKind) -> Result<&Shape, PortError> {
        self.get(port).ok_or(PortError::Missing { port, expected })
    }

    /// Checks names and types against the ports of a module.
    ///
    /// # Errors
    /// The first port that is unknown, missing or of another type.
    ///
    /// # Examples
    /// ```
    /// use spark_core::payload::{PayloadKind, Shape};
    /// use spark_core::ports::{InputShapes, PortSpec};
    ///
    /// let ports = [PortSpec {
    ///     name: "current",
    ///     kind: PayloadKind::Currents,
    ///     optional: false,
    ///     description: "pA",
    /// }];
    /// let wired = InputShapes::default().with("curent", Shape::new(PayloadKind::Currents, &[3]));
    /// let error = wired.check(&ports).unwrap_err();
    /// assert_eq!(error.to_string(), "unknown input port `curent`: the module has current");
    /// ```
    pub fn check(&self, ports: &[PortSpec]) -> Result<(), PortError> {
        for (name, shape) in &self.0 {
            let Some(port) = ports.iter().find(|port| port.name == name) else {
                let known = ports.iter().map(|port| port.name).collect();
                return Err(PortError::Unknown { what: "input port", name: name.clone(), known });
            };
            if port.kind != shape.kind {
                return Err(PortError::Mismatch {
                    port: name.clone(),
                    found: shape.kind.to_string(),
                    expected: port.kind.to_string(),
                });
            }
        }
        let missing = ports.iter().find(|port| !port.optional && !self.0.contains_key(port.name));
        match missing {
            Some(port) => Err(PortError::Missing { port: port.name, expected: port.kind }),
            None => Ok(()),
        }
    }
}

/// A structure whose fields are ports; made by [`ports!`](crate::ports!).
pub trait Ports: Clone + std::fmt::Debug + Sized {
    /// The ports in the order of the fields.
    const PORTS: &'static [PortSpec];

    /// Takes the payloads of all ports.
    ///
    /// # Errors
    /// Names the port that lacks a payload or has one of another type.
    fn from_values(values: PortValues) -> Result<Self, PortError>;

    /// The payloads by port.
    fn into_values(self) -> PortValues;
}

/// A field of a structure of ports: a payload, or an optional one.
pub trait PortField: Clone + std::fmt::Debug + Sized {
    /// The type of the payload.
    const KIND: PayloadKind;
    /// Whether the port may be left unwired.
    const OPTIONAL: bool;

    /// Takes the field out of the payloads.
    ///
    /// # Errors
    /// Names the port that lacks a payload or has one of another type.
    fn take(values: &mut PortValues, port: &'static str) -> Result<Self, PortError>;

    /// Adds the field to the payloads.
    fn put(self, values: &mut PortValues, port: &'static str);
}

impl<T: PayloadType> PortField for T {
    const KIND: PayloadKind = T::KIND;
    const OPTIONAL: bool = false;

    fn take(values: &mut PortValues, port: &'static str) -> Result<Self, PortError> {
        values.take(port)
    }

    fn put(self, values: &mut PortValues, port: &'static str) {
        values.put(port, self.into_payload());
    }
}

impl<T: PayloadType> PortField for Option<T> {
    const KIND: PayloadKind = T::KIND;
    const OPTIONAL: bool = true;

    fn take(values: &mut PortValues, port: &'static str) -> Result<Self, PortError> {
        values.take_optional(port)
    }

    fn put(self, values: &mut PortValues, port: &'static str) {
        if let Some(payload) = self {
            values.put(port, payload.into_payload());
        }
    }
}

/// A structure of ports. The doc comment of a field is the description of its port; a field of type
/// `Option<…>` may be left unwired.
///
/// # Examples
/// ```
/// use spark_core::payload::{Currents, Mask};
/// use spark_core::ports::Ports;
///
/// spark_core::ports! {
///     /// What a soma takes.
///     pub struct Inputs {
///         /// Input current.
///         current: Currents,
///         /// Which units inhibit.
///         inhibition_mask: Option<Mask>,
///     }
/// }
/// assert_eq!(Inputs::PORTS[0].description, "Input current.");
/// assert!(Inputs::PORTS[1].optional);
/// ```
#[macro_export]
macro_rules! ports {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(#[doc = $description:literal] $port:ident: $type:ty),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $(#[doc = $description] pub $port: $type,)*
        }

        impl $crate::ports::Ports for $name {
            const PORTS: &'static [$crate::ports::PortSpec] = &[$($crate::ports::PortSpec {
                name: stringify!($port),
                kind: <$type as $crate::ports::PortField>::KIND,
                optional: <$type as $crate::ports::PortField>::OPTIONAL,
                description: $description.trim_ascii(),
            }),*];

            #[allow(unused_mut)]
            fn from_values(
                mut values: $crate::ports::PortValues,
            ) -> Result<Self, $crate::ports::PortError> {
                Ok(Self {
                    $($port: $crate::ports::PortField::take(&mut values, stringify!($port))?,)*
                })
            }

            #[allow(unused_mut)]
            fn into_values(self) -> $crate::ports::PortValues {
                let mut values = $crate::ports::PortValues::default();
                $($crate::ports::PortField::put(self.$port, &mut values, stringify!($port));)*
                values
            }
        }
    };
}
