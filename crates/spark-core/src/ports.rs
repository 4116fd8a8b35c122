//! The ports of modules: what they take and give, by name.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::payload::{Payload, PayloadKind, PayloadType, Shape};

/// A port of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// Its name.
    pub name: &'static str,
    /// What it carries; `None` where it takes every type.
    pub kind: Option<PayloadKind>,
    /// Whether it may be left unwired.
    pub optional: bool,
    /// Whether it stands for any number of ports: of inputs under the names that the wiring gives them, of
    /// outputs as `name_0`, `name_1` and so on.
    pub many: bool,
    /// What it is for.
    pub description: &'static str,
}

impl PortSpec {
    /// The name of what it carries.
    ///
    /// # Examples
    /// ```
    /// use spark_core::payload::PayloadKind;
    /// use spark_core::ports::PortSpec;
    ///
    /// let port = PortSpec { name: "input", kind: None, optional: false, many: false, description: "" };
    /// assert_eq!(port.carries(), "any");
    /// assert_eq!(PortSpec { kind: Some(PayloadKind::Spikes), ..port }.carries(), "spikes");
    /// ```
    pub fn carries(&self) -> &'static str {
        self.kind.map_or("any", PayloadKind::name)
    }

    /// A port of a controller, under a name that is kept as long as the program runs.
    pub fn of_controller(name: &str, kind: Option<PayloadKind>, optional: bool) -> Self {
        Self { name: intern(name), kind, optional, many: false, description: "" }
    }

    /// The name of port number `index` of the many that it stands for.
    fn numbered(name: &str, index: usize) -> String {
        format!("{name}_{index}")
    }
}

/// The one copy of a name that lives as long as the program: controllers get the names of their ports from
/// files, and every step speaks of them.
pub fn intern(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name = Box::leak(name.to_owned().into_boxed_str());
    names.insert(name);
    name
}

/// Names and shapes of output ports, those that stand for many written out; such a port is the last one.
pub(crate) fn written_out(ports: &[PortSpec], shapes: Vec<Shape>) -> Vec<(Cow<'static, str>, Shape)> {
    let name = |place: usize| {
        let last = place.min(ports.len() - 1);
        match ports[last] {
            PortSpec { name, many: true, .. } => PortSpec::numbered(name, place - last).into(),
            PortSpec { name, .. } => name.into(),
        }
    };
    shapes.into_iter().enumerate().map(|(place, shape)| (name(place), shape)).collect()
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
        expected: &'static str,
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
    entries: Vec<(Cow<'static, str>, Payload)>,
}

impl PortValues {
    /// Adds a payload.
    pub fn put(&mut self, port: impl Into<Cow<'static, str>>, payload: impl Into<Payload>) {
        self.entries.push((port.into(), payload.into()));
    }

    /// The payload at a port.
    pub fn get(&self, port: &str) -> Option<&Payload> {
        self.entries.iter().find(|(name, _)| name == port).map(|(_, payload)| payload)
    }

    /// Takes the payload at a port out, if there is one.
    ///
    /// # Errors
    /// When it is of another type than `T`.
    pub fn take_optional<T: PayloadType>(&mut self, port: &str) -> Result<Option<T>, PortError> {
        self.take_any(port).map(|payload| typed(port, payload)).transpose()
    }

    /// Takes the payload at a port out, of whatever type it is.
    pub fn take_any(&mut self, port: &str) -> Option<Payload> {
        let position = self.entries.iter().position(|(name, _)| name == port)?;
        Some(self.entries.remove(position).1)
    }

    /// Takes all payloads out that are still there, in their order.
    pub fn take_rest(&mut self) -> Vec<Payload> {
        self.entries.drain(..).map(|(_, payload)| payload).collect()
    }

    /// Puts the payloads into the order of `shapes`.
    pub(crate) fn sort_as(&mut self, shapes: &InputShapes) {
        self.entries.sort_by_key(|(name, _)| shapes.position(name));
    }

    /// Takes the payload at a port out.
    ///
    /// # Errors
    /// When there is none, or it is of another type than `T`.
    pub fn take<T: PayloadType>(&mut self, port: &'static str) -> Result<T, PortError> {
        self.take_optional(port)?.ok_or(PortError::Missing { port, expected: T::KIND.name() })
    }

    /// Names and payloads in the order in which they were put.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Payload)> {
        self.entries.iter().map(|(name, payload)| (name.as_ref(), payload))
    }
}

impl IntoIterator for PortValues {
    type Item = (Cow<'static, str>, Payload);
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

/// The input port that takes what is wired under a name: the one of this name, or the one that stands for many.
pub(crate) fn taking<'a>(ports: &'a [PortSpec], name: &str) -> Option<&'a PortSpec> {
    let named = ports.iter().find(|port| !port.many && port.name == name);
    named.or_else(|| ports.iter().find(|port| port.many))
}

/// The shapes of what is wired to the inputs of a module, by port, in the order of the wiring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputShapes(Vec<(String, Shape)>);

impl InputShapes {
    /// Adds the shape at a port.
    #[must_use]
    pub fn with(mut self, port: &str, shape: Shape) -> Self {
        match self.position(port) {
            Some(position) => self.0[position].1 = shape,
            None => self.0.push((port.to_owned(), shape)),
        }
        self
    }

    fn position(&self, port: &str) -> Option<usize> {
        self.0.iter().position(|(name, _)| name == port)
    }

    /// Ports and their shapes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Shape)> {
        self.0.iter().map(|(port, shape)| (port.as_str(), shape))
    }

    /// The shape at a port, if it is wired.
    pub fn get(&self, port: &str) -> Option<&Shape> {
        self.position(port).map(|position| &self.0[position].1)
    }

    /// The shape at a port that has to be wired.
    ///
    /// # Errors
    /// When it is not.
    pub fn require(&self, port: &'static str, expected: PayloadKind) -> Result<&Shape, PortError> {
        self.get(port).ok_or(PortError::Missing { port, expected: expected.name() })
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
    ///     kind: Some(PayloadKind::Currents),
    ///     optional: false,
    ///     many: false,
    ///     description: "pA",
    /// }];
    /// let wired = InputShapes::default().with("curent", Shape::new(PayloadKind::Currents, &[3]));
    /// let error = wired.check(&ports).unwrap_err();
    /// assert_eq!(error.to_string(), "unknown input port `curent`: the module has current");
    /// ```
    pub fn check(&self, ports: &[PortSpec]) -> Result<(), PortError> {
        let port_of = |name: &str| taking(ports, name);
        for (name, shape) in &self.0 {
            let Some(port) = port_of(name) else {
                let known = ports.iter().map(|port| port.name).collect();
                return Err(PortError::Unknown { what: "input port", name: name.clone(), known });
            };
            if port.kind.is_some_and(|kind| kind != shape.kind) {
                return Err(PortError::Mismatch {
                    port: name.clone(),
                    found: shape.kind.to_string(),
                    expected: port.carries().to_owned(),
                });
            }
        }
        let wired = |port: &PortSpec| self.0.iter().any(|(name, _)| port_of(name) == Some(port));
        match ports.iter().find(|port| !port.optional && !wired(port)) {
            Some(port) => Err(PortError::Missing { port: port.name, expected: port.carries() }),
            None => Ok(()),
        }
    }
}

impl InputShapes {
    /// Checks that there is a payload for everything that is wired, and nothing else.
    pub(crate) fn check_all(&self, values: &PortValues) -> Result<(), PortError> {
        let lacking = self.iter().find(|(port, _)| values.get(port).is_none());
        let unwired = values.iter().find(|(port, _)| self.get(port).is_none());
        let problem = |port: &str, found: &str, expected: String| {
            Err(PortError::Mismatch { port: port.to_owned(), found: found.to_owned(), expected })
        };
        match (lacking, unwired) {
            (Some((port, shape)), _) => problem(port, "nothing", shape.to_string()),
            (_, Some((port, payload))) => problem(port, payload.kind().name(), "nothing".to_owned()),
            _ => Ok(()),
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

/// A field of a structure of ports: a payload of one type or of any, an optional one, or any number of them.
pub trait PortField: Clone + std::fmt::Debug + Sized {
    /// The type of the payload, where the port takes only one.
    const KIND: Option<PayloadKind>;
    /// Whether the port may be left unwired.
    const OPTIONAL: bool = false;
    /// Whether the field stands for any number of ports.
    const MANY: bool = false;

    /// Takes the field out of the payloads.
    ///
    /// # Errors
    /// Names the port that lacks a payload or has one of another type.
    fn take(values: &mut PortValues, port: &'static str) -> Result<Self, PortError>;

    /// Adds the field to the payloads.
    fn put(self, values: &mut PortValues, port: &'static str);
}

impl<T: PayloadType> PortField for T {
    const KIND: Option<PayloadKind> = Some(T::KIND);

    fn take(values: &mut PortValues, port: &'static str) -> Result<Self, PortError> {
        values.take(port)
    }

    fn put(self, values: &mut PortValues, port: &'static str) {
        values.put(port, self.into_payload());
    }
}

impl<T: PayloadType> PortField for Option<T> {
    const KIND: Option<PayloadKind> = Some(T::KIND);
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

impl PortField for Payload {
    const KIND: Option<PayloadKind> = None;

    fn take(values: &mut PortValues, port: &'static str) -> Result<Self, PortError> {
        values.take_any(port).ok_or(PortError::Missing { port, expected: "any" })
    }

    fn put(self, values: &mut PortValues, port: &'static str) {
        values.put(port, self);
    }
}

impl PortField for Vec<Payload> {
    const KIND: Option<PayloadKind> = None;
    const MANY: bool = true;

    fn take(values: &mut PortValues, port: &'static str) -> Result<Self, PortError> {
        let rest = values.take_rest();
        if rest.is_empty() { Err(PortError::Missing { port, expected: "any" }) } else { Ok(rest) }
    }

    fn put(self, values: &mut PortValues, port: &'static str) {
        for (index, payload) in self.into_iter().enumerate() {
            values.put(PortSpec::numbered(port, index), payload);
        }
    }
}

/// A structure of ports. The doc comment of a field is the description of its port; a field of type
/// `Option<…>` may be left unwired, one of type [`Payload`] carries any type.
///
/// A last field of type `Vec<Payload>` stands for any number of ports: as an input it takes whatever is
/// wired under other names, in the order of the wiring; as an output `out` it gives `out_0`, `out_1`, ….
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
                many: <$type as $crate::ports::PortField>::MANY,
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
