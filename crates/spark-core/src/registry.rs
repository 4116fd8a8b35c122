//! The components that a program knows, gathered when it is linked.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt;

use crate::component::{Alias, BuildError, Component, ComponentConfig, Context, Family, Instance};
use crate::config::ConfigError;
use crate::ports::{InputShapes, PortSpec, Ports, PropertySpec};
use crate::schema::{self, Field};
use crate::validate::Problems;

/// What is known of a registered component.
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
    default: fn() -> Value,
    parse: Parse,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("name", &self.name).field("family", &self.family).finish()
    }
}

/// Reads a configuration; an error is the path of the field and what is wrong with it.
type Parse = fn(Value) -> Result<Box<dyn AnyConfig>, (String, String)>;

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
            default: || serde_json::to_value(C::default()).unwrap_or_default(),
            parse: typed::<C>,
        }
    }

    /// The JSON schema of its configuration.
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    /// The fields of its configuration.
    pub fn fields(&self) -> Vec<Field> {
        schema::fields(&self.schema())
    }

    /// The configuration with every default.
    pub fn default_config(&self) -> Value {
        (self.default)()
    }

    /// Reads a configuration; `origin` names its source in errors.
    ///
    /// # Errors
    /// When a field is unknown or of a wrong type.
    pub fn parse(&self, value: Value, origin: &str) -> Result<Box<dyn AnyConfig>, ConfigError> {
        (self.parse)(value).map_err(|(field, message)| ConfigError::Content {
            origin: origin.to_owned(),
            field,
            message,
        })
    }
}

fn typed<C: ComponentConfig>(value: Value) -> Result<Box<dyn AnyConfig>, (String, String)> {
    let config: Result<C, _> = serde_path_to_error::deserialize(value);
    match config {
        Ok(config) => Ok(Box::new(config)),
        Err(error) => Err((error.path().to_string(), error.inner().to_string())),
    }
}

/// The configuration of any component.
pub trait AnyConfig: fmt::Debug + Send + Sync {
    /// The name of its component.
    fn name(&self) -> &'static str;

    /// Checks everything; `path` is where the configuration stands, empty at the top.
    fn validate(&self, path: &str, problems: &mut Problems);

    /// The component with its initial state for `batch` samples.
    ///
    /// # Errors
    /// When the configuration does not make sense, or does not fit what is wired.
    fn instance(
        &self,
        inputs: &InputShapes,
        batch: usize,
        context: &Context,
    ) -> Result<Box<dyn Instance>, BuildError>;

    /// As JSON.
    fn to_value(&self) -> Value;
}

impl<C: ComponentConfig> AnyConfig for C {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn validate(&self, path: &str, problems: &mut Problems) {
        ComponentConfig::validate(self, path, problems);
    }

    fn instance(
        &self,
        inputs: &InputShapes,
        batch: usize,
        context: &Context,
    ) -> Result<Box<dyn Instance>, BuildError> {
        Ok(Box::new(self.run(inputs, batch, context)?))
    }

    fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
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

fn suggestion(near: &[&str]) -> String {
    if near.is_empty() { String::new() } else { format!(": did you mean {}?", near.join(" or ")) }
}

/// All registered components, by family and name.
pub fn all() -> Vec<&'static Registration> {
    let mut all: Vec<&Registration> = inventory::iter::<Registration>().collect();
    all.sort_by_key(|registration| (registration.family, registration.name));
    all
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
    inventory::iter::<Registration>().find_map(|registration| {
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

/// The edit distance of two names.
fn distance(a: &str, b: &str) -> usize {
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
    let default = find(config.name())?.0.default_config();
    let value = config.to_value();
    let fields = Map::deserialize(&value).unwrap_or_default();
    Ok(fields.into_iter().filter(|(name, value)| default[name] != *value).collect())
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
