//! The components, neurons and brains that a program knows, gathered when it is linked.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Borrow;
use std::fmt;

use std::sync::{PoisonError, RwLock};

use crate::component::{Alias, Component, ComponentConfig, Family};
use crate::config::ConfigError;
use crate::model::{Settings, is_name};
use crate::ports::{PortSpec, Ports, PropertySpec, intern};
use crate::schema::{self, Field};

/// What is known of a registered component, or of a controller such as a neuron.
pub struct Registration {
    /// The name in configurations.
    pub name: &'static str,
    /// Its other names.
    pub aliases: &'static [Alias],
    /// What kind of part it is.
    pub family: Family,
    /// One line on what it is.
    pub summary: &'static str,
    /// Its equations, in plain text.
    pub equation: &'static str,
    /// The paper or book that it comes from.
    pub source: &'static str,
    /// Ports that it takes from.
    pub inputs: &'static [PortSpec],
    /// Ports that it gives to.
    pub outputs: &'static [PortSpec],
    /// What others may read and write.
    pub properties: &'static [PropertySpec],
    schema: fn() -> Value,
    default: Defaults,
    parse: Parse,
}

/// Where the default of a configuration comes from.
enum Defaults {
    /// From code.
    Code(fn() -> Settings),
    /// From a file.
    Given(Settings),
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("name", &self.name).field("family", &self.family).finish()
    }
}

/// Reads the complete configuration of what is registered under a name; an error is the path of the field and
/// what is wrong with it.
pub type Parse = fn(&'static str, Settings) -> Result<Box<dyn AnyConfig>, (String, String)>;

pub use crate::any_config::{AnyConfig, Interface, OutputShapes};

inventory::collect!(Registration);

/// Registers the component of a configuration type under its name: one line beside the component.
///
/// # Examples
/// See the components of `spark-nn`.
#[macro_export]
macro_rules! register {
    ($config:ty) => {
        $crate::registry::inventory::submit! { $crate::registry::Registration::of::<$config>() }
    };
}

#[doc(hidden)]
pub use inventory;

impl Registration {
    /// What follows from a configuration type.
    pub const fn of<C: ComponentConfig>() -> Self {
        Self {
            name: C::NAME,
            aliases: C::ALIASES,
            family: C::FAMILY,
            summary: C::SUMMARY,
            equation: C::EQUATION,
            source: C::SOURCE,
            inputs: <<C::Component as Component>::Inputs as Ports>::PORTS,
            outputs: <<C::Component as Component>::Outputs as Ports>::PORTS,
            properties: <C::Component as Component>::PROPERTIES,
            schema: || schemars::schema_for!(C).into(),
            default: Defaults::Code(|| fields_of(&C::default()).into()),
            parse: typed::<C>,
        }
    }

    /// A controller: its ports follow from its modules.
    pub const fn controller(
        name: &'static str,
        family: Family,
        summary: &'static str,
        schema: fn() -> Value,
        default: fn() -> Settings,
        parse: Parse,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            family,
            summary,
            equation: "",
            source: "",
            inputs: &[],
            outputs: &[],
            properties: &[],
            schema,
            default: Defaults::Code(default),
            parse,
        }
    }

    /// The ports of its default configuration.
    pub fn interface(&self) -> Interface {
        let default = self.default_settings();
        (self.parse)(self.name, default).map(|config| config.interface()).unwrap_or_default()
    }

    /// The JSON schema of its configuration.
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    /// The fields of its configuration.
    pub fn fields(&self) -> Vec<Field> {
        schema::fields(&self.schema())
    }

    /// The fields of the configuration with every default.
    pub fn default_config(&self) -> Value {
        Value::Object(self.default_settings().fields)
    }

    /// The configuration with every default, for a controller with its modules.
    pub fn default_settings(&self) -> Settings {
        match &self.default {
            Defaults::Code(default) => default(),
            Defaults::Given(settings) => settings.clone(),
        }
    }

    /// Reads the fields of a configuration; `origin` names its source in errors.
    ///
    /// # Errors
    /// When a field is unknown or of a wrong type.
    pub fn parse(&self, value: Value, origin: &str) -> Result<Box<dyn AnyConfig>, ConfigError> {
        let content = |(field, message)| ConfigError::Content { origin: origin.to_owned(), field, message };
        let fields =
            Map::deserialize(&value).map_err(|error| content((".".to_owned(), error.to_string())))?;
        self.parse_settings(fields.into()).map_err(content)
    }

    /// Reads a configuration, which may leave fields and modules out.
    ///
    /// # Errors
    /// The path of the field that is unknown or of a wrong type, and what is wrong with it.
    pub fn parse_settings(&self, settings: Settings) -> Result<Box<dyn AnyConfig>, (String, String)> {
        (self.parse)(self.name, settings)
    }
}

fn typed<C: ComponentConfig>(
    _: &'static str,
    settings: Settings,
) -> Result<Box<dyn AnyConfig>, (String, String)> {
    if !settings.modules.is_empty() {
        return Err(("modules".to_owned(), format!("{} has no modules inside", C::NAME)));
    }
    let config: Result<C, _> = serde_path_to_error::deserialize(Value::Object(settings.fields));
    match config {
        Ok(config) => Ok(Box::new(config)),
        Err(error) => Err((error.path().to_string(), error.inner().to_string())),
    }
}

/// The fields of a configuration, numbers written as short as they can be.
pub fn fields_of<C: serde::Serialize>(config: &C) -> Map<String, Value> {
    let mut value = serde_json::to_value(config).unwrap_or_default();
    shorten(&mut value);
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Replaces numbers that are those of an `f32` by the shortest decimals that mean the same `f32`.
fn shorten(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let wide = number.as_f64().unwrap_or_default();
            let narrow = wide as f32;
            if f64::from(narrow) == wide
                && let Some(short) = narrow.to_string().parse().ok().and_then(serde_json::Number::from_f64)
            {
                *number = short;
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

/// A name that no component has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown component `{name}`{}", suggestion(near))]
pub struct UnknownComponent {
    /// The name.
    pub name: String,
    /// The names most like it.
    pub near: Vec<&'static str>,
}

/// How an error ends that knows what may have been meant.
pub(crate) fn suggestion<S: Borrow<str>>(near: &[S]) -> String {
    if near.is_empty() { String::new() } else { format!(": did you mean {}?", near.join(" or ")) }
}

/// What was registered while the program ran.
static DEFINED: RwLock<Vec<&'static Registration>> = RwLock::new(Vec::new());

fn defined() -> Vec<&'static Registration> {
    DEFINED.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Everything that is registered, by family and name.
pub fn all() -> Vec<&'static Registration> {
    let mut all: Vec<&Registration> = inventory::iter::<Registration>().chain(defined()).collect();
    all.sort_by_key(|registration| (registration.family, registration.name));
    all
}

/// A name that cannot be given to a neuron.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefineError {
    /// It has signs that addresses use, or none at all.
    #[error("found the name `{0}`, expected one without dots, spaces and brackets")]
    Name(String),
    /// Something else has this name.
    #[error("`{0}` is registered already, with another configuration")]
    Taken(String),
    /// What it is based on is unknown, or no controller.
    #[error("`{name}` is based on `{base}`: {message}")]
    Base {
        /// The name.
        name: String,
        /// What it is based on.
        base: String,
        /// What is wrong with that.
        message: String,
    },
}

/// Registers a neuron or brain under a name of its own while the program runs: `base` with these settings as
/// the default. Registering the same once more changes nothing.
///
/// # Errors
/// When the name is taken by something else, or the base is no controller.
pub fn define(
    name: &str,
    summary: &str,
    base: &str,
    settings: Settings,
) -> Result<&'static Registration, DefineError> {
    if !is_name(name) {
        return Err(DefineError::Name(name.to_owned()));
    }
    let wrong = |message: String| DefineError::Base { name: name.to_owned(), base: base.to_owned(), message };
    let (parent, _) = find(base).map_err(|error| wrong(error.to_string()))?;
    if !parent.family.is_controller() {
        return Err(wrong(format!("found a {}, expected a neuron or a brain", parent.family)));
    }
    let mut defined = DEFINED.write().unwrap_or_else(PoisonError::into_inner);
    let known =
        inventory::iter::<Registration>().chain(defined.iter().copied()).find(|known| known.name == name);
    match known {
        Some(known) if matches!(&known.default, Defaults::Given(given) if *given == settings) => Ok(known),
        Some(_) => Err(DefineError::Taken(name.to_owned())),
        None => {
            // Lives as long as the program, as all registrations do.
            let registration: &'static Registration = Box::leak(Box::new(Registration {
                name: intern(name),
                summary: intern(summary),
                default: Defaults::Given(settings),
                ..Registration::controller(
                    "",
                    parent.family,
                    "",
                    parent.schema,
                    Settings::default,
                    parent.parse,
                )
            }));
            defined.push(registration);
            Ok(registration)
        }
    }
}

/// A component, and the alias that it was found by, if it was one.
pub type Found = (&'static Registration, Option<&'static Alias>);

/// The component of a name or alias.
///
/// # Errors
/// When there is none; names that are much like it are suggested.
pub fn find(name: &str) -> Result<Found, UnknownComponent> {
    first(|known| known == name).ok_or_else(|| unknown(name))
}

/// The component whose name or alias is `name` but for capitals and underscores: `rd_tracer` for `RDTracer`.
/// Model files of the reference write names so.
///
/// # Errors
/// When there is none; names that are much like it are suggested.
pub fn find_snake_case(name: &str) -> Result<Found, UnknownComponent> {
    let plain = name.replace('_', "");
    first(|known| known.eq_ignore_ascii_case(&plain)).ok_or_else(|| unknown(&plain))
}

fn first(is_meant: impl Fn(&str) -> bool) -> Option<Found> {
    inventory::iter::<Registration>().chain(defined()).find_map(|registration| {
        let alias = registration.aliases.iter().find(|alias| is_meant(alias.name));
        (alias.is_some() || is_meant(registration.name)).then_some((registration, alias))
    })
}

fn unknown(name: &str) -> UnknownComponent {
    let lower = name.to_lowercase();
    let near = |known: &&'static str| {
        let known = known.to_lowercase();
        // So that `piosson` finds the PoissonSpiker.
        let start: String = known.chars().take(lower.chars().count().max(5)).collect();
        let close = |known: &str| distance(known, &lower) <= 2;
        known.contains(&lower) || lower.contains(&known) || close(&known) || close(&start)
    };
    let names = all().into_iter().map(|registration| registration.name);
    UnknownComponent { name: name.to_owned(), near: names.filter(near).take(3).collect() }
}

/// Reads the configuration of the component called `name`, which may be an alias.
///
/// # Errors
/// When there is no such component, or a field is unknown or of a wrong type.
pub fn parse(name: &str, value: Value, origin: &str) -> Result<Box<dyn AnyConfig>, ConfigError> {
    let (registration, alias) = find(name).map_err(|error| ConfigError::Content {
        origin: origin.to_owned(),
        field: ".".to_owned(),
        message: error.to_string(),
    })?;
    let mut value = value;
    if let (Value::Object(fields), Some(alias)) = (&mut value, alias) {
        alias.complete(fields);
    }
    registration.parse(value, origin)
}

/// The edit distance of two names: the fewest letters put in, left out or replaced that make one the other.
///
/// # Examples
/// ```
/// assert_eq!(spark_core::registry::distance("potential", "potentail"), 2);
/// ```
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The fields of a configuration that a user would have to write: those that differ from the default.
///
/// # Errors
/// When the component is unknown.
pub fn changed(config: &dyn AnyConfig) -> Result<Map<String, Value>, UnknownComponent> {
    let default = find(config.name())?.0.default_settings().fields;
    let fields = config.settings().fields;
    Ok(fields.into_iter().filter(|(name, value)| default.get(name) != Some(value)).collect())
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn the_distance_counts_edits() {
        assert_eq!(distance("soma", "soma"), 0);
        assert_eq!(distance("leakysoma", "leekysomas"), 2);
        assert_eq!(distance("", "abc"), 3);
    }
}
