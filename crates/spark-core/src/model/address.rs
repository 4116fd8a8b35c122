//! Addresses of fields, and patterns that match them.

use serde_json::Value;
use std::fmt;
use std::str::FromStr;

use super::{ModuleSpec, Settings};

/// Where a field stands: the names of modules from the outside in, then the name of the field, and below it
/// those of an initializer.
///
/// Written with dots, such as `pool.soma.threshold` or `pool.synapses.kernel.scale`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The modules.
    pub modules: Vec<String>,
    /// The field, and the names below it.
    pub field: Vec<String>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names().collect();
        f.write_str(&names.join("."))
    }
}

impl Address {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().chain(&self.field).map(String::as_str)
    }

    /// The value at this address.
    pub fn value<'a>(&self, settings: &'a Settings) -> Option<&'a Value> {
        let mut settings = settings;
        for name in &self.modules {
            settings = &settings.module(name)?.config;
        }
        let (first, rest) = self.field.split_first()?;
        rest.iter().try_fold(settings.fields.get(first)?, |value, name| value.get(name))
    }

    /// Writes the value at this address, modules that are only in `complete` included.
    ///
    /// * `complete`: the same settings with every default.
    pub(super) fn write(&self, settings: &mut Settings, complete: &Settings, value: Value) {
        let (mut at, mut full) = (settings, complete);
        for name in &self.modules {
            let Some(below) = full.module(name) else { return };
            full = &below.config;
            if at.module(name).is_none() {
                at.modules.push(ModuleSpec { name: name.clone(), ..ModuleSpec::default() });
            }
            let Some(module) = at.module_mut(name) else { return };
            at = &mut module.config;
        }
        let [first, rest @ ..] = self.field.as_slice() else { return };
        // Below a field stands an initializer, which is written as a whole.
        let whole = at.fields.get(first).or_else(|| full.fields.get(first)).cloned();
        let mut whole = whole.unwrap_or(Value::Null);
        let mut place = &mut whole;
        for name in rest {
            let Value::Object(fields) = place else { return };
            place = fields.entry(name.clone()).or_insert(Value::Null);
        }
        *place = value;
        at.fields.insert(first.clone(), whole);
    }
}

/// Every field of settings with its address, initializers as a whole and field by field.
pub(super) fn fields(settings: &Settings) -> Vec<(Address, &Value)> {
    fn collect<'a>(settings: &'a Settings, modules: &[String], found: &mut Vec<(Address, &'a Value)>) {
        for (name, value) in &settings.fields {
            let field = vec![name.clone()];
            found.push((Address { modules: modules.to_vec(), field }, value));
            for (inner, value) in value.as_object().into_iter().flatten() {
                let field = vec![name.clone(), inner.clone()];
                found.push((Address { modules: modules.to_vec(), field }, value));
            }
        }
        for module in &settings.modules {
            collect(&module.config, &[modules, std::slice::from_ref(&module.name)].concat(), found);
        }
    }
    let mut found = Vec::new();
    collect(settings, &[], &mut found);
    found
}

/// A pattern of addresses: `*` stands for any text within a name, `**` for any number of names.
///
/// # Examples
/// ```
/// use spark_core::model::Pattern;
///
/// let everywhere: Pattern = "**.dt".parse()?;
/// assert!(everywhere.matches(["dt"]) && everywhere.matches(["pool", "soma", "dt"]));
/// let pools: Pattern = "pool_*.soma.threshold".parse()?;
/// assert!(pools.matches(["pool_a", "soma", "threshold"]));
/// assert!(!pools.matches(["spiker", "soma", "threshold"]));
/// assert!("pool..dt".parse::<Pattern>().is_err());
/// # Ok::<(), spark_core::model::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    names: Vec<String>,
}

/// Text that is no pattern of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found `{0}`, expected names with dots between them, such as pool.soma.threshold or **.dt")]
pub struct PatternError(String);

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        let valid = |name: &String| !name.is_empty() && !name.contains(char::is_whitespace);
        if names.iter().all(valid) { Ok(Self { names }) } else { Err(PatternError(text.to_owned())) }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join("."))
    }
}

impl Pattern {
    /// Whether an address, name by name, is one of those meant.
    pub fn matches<'a>(&self, address: impl IntoIterator<Item = &'a str>) -> bool {
        let address: Vec<&str> = address.into_iter().collect();
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        globbed(&names, &address, |name| *name == "**", |name, found| {
            let [name, found]: [Vec<char>; 2] = [name, found].map(|text| text.chars().collect());
            globbed(&name, &found, |letter| *letter == '*', |letter, found| letter == found)
        })
    }

    /// Whether it means this address.
    pub fn means(&self, address: &Address) -> bool {
        self.matches(address.names())
    }
}

/// Whether items match a pattern in which a wild item stands for any number of them; in linear space and
/// without running back further than to the last wild item.
fn globbed<T>(pattern: &[T], items: &[T], wild: impl Fn(&T) -> bool, same: impl Fn(&T, &T) -> bool) -> bool {
    let (mut at, mut item, mut last) = (0, 0, None);
    while item < items.len() {
        if at < pattern.len() && wild(&pattern[at]) {
            last = Some((at, item));
            at += 1;
        } else if at < pattern.len() && same(&pattern[at], &items[item]) {
            (at, item) = (at + 1, item + 1);
        } else if let Some((wild_at, taken)) = last {
            (at, item) = (wild_at + 1, taken + 1);
            last = Some((wild_at, taken + 1));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(wild)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, address: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(address.split('.'))
    }

    #[test]
    fn stars_stay_within_a_name_and_double_stars_do_not() {
        assert!(matches("*.tau", "synapses.tau") && !matches("*.tau", "pool.synapses.tau"));
        assert!(matches("**.tau", "pool.synapses.tau") && matches("**.tau", "tau"));
        assert!(matches("pool.**", "pool.soma.dt") && !matches("pool.**", "pond.soma.dt"));
        assert!(matches("a*c", "abc") && matches("a*c", "ac") && !matches("a*c", "ab"));
        assert!(matches("**.a.**.b", "x.a.a.y.b") && !matches("**.a.**.b", "x.y.b"));
    }

    #[test]
    fn many_stars_do_not_take_forever() {
        let pattern = vec!["**"; 64].join(".") + ".x";
        assert!(!matches(&pattern, &vec!["a"; 4096].join(".")));
    }
}
