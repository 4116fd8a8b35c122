//! The `.scfg` files of the Python framework: JSON, mostly packed with xz.
//!
//! Version 1.2.2 wraps a configuration as `{"__version__": "1.0", "__data__": {"__type__": …, "__cfg__": …}}`;
//! 1.0.0 has the inner part alone, with other names and with what its graph editor noted in between. Both are
//! read, the first is written.
//!
//! What a model cannot hold as a field is kept in the `metadata` of the module where it stood, under
//! [`NOTED`]: names that have changed, number formats, entries without a meaning here. What the graph editor
//! noted stands there under [`EDITOR`]. What a file has no place for is written beside its `__data__`, as text:
//! the Python framework would take objects inside for its own.

mod arrays;
mod module;
mod names;
mod read;
#[cfg(test)]
mod tests;
mod write;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) use read::read;
pub(super) use write::write;

/// What is kept of a file, in the metadata of a module.
pub const NOTED: &str = "scfg";

/// What the graph editor of a file noted, in the metadata of a module.
pub const EDITOR: &str = "graph_editor";

/// The version of the layout.
const VERSION: &str = "1.0";

/// The entry beside `__data__`.
const BESIDE: &str = "__spark__";

/// What is kept of a module's configuration in a file beside its fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Noted {
    /// Its type, where that does not follow from the module.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    /// The type of its numbers: at the root that of all modules, elsewhere where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    dtype: Option<String>,
    /// Likewise of its initializers, by field.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    initializers: BTreeMap<String, String>,
    /// The types of arrays, by field.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    arrays: BTreeMap<String, String>,
    /// Fields that the neuron around it decides, where they said something else.
    #[serde(skip_serializing_if = "Map::is_empty")]
    handed_down: Map<String, Value>,
    /// Fields that the module knows in a narrower form only.
    #[serde(skip_serializing_if = "Map::is_empty")]
    narrowed: Map<String, Value>,
    /// Entries that mean nothing here.
    #[serde(skip_serializing_if = "Map::is_empty")]
    entries: Map<String, Value>,
}

/// Whether text is that of a `.scfg` file which is not packed: all entries of it start with two underscores.
pub(super) fn is_unpacked(text: &[u8]) -> bool {
    let rest = text.trim_ascii_start().strip_prefix(b"{").unwrap_or_default();
    rest.trim_ascii_start().starts_with(b"\"__")
}

impl Noted {
    /// What the metadata of a module says; nothing where it says something else.
    fn of(metadata: &Map<String, Value>) -> Self {
        metadata.get(NOTED).and_then(|noted| Self::deserialize(noted).ok()).unwrap_or_default()
    }

    /// Puts it into the metadata of a module.
    fn into_metadata(self, metadata: &mut Map<String, Value>) {
        match serde_json::to_value(self) {
            Ok(Value::Object(noted)) if !noted.is_empty() => {
                metadata.insert(NOTED.to_owned(), Value::Object(noted));
            }
            _ => {
                metadata.remove(NOTED);
            }
        }
    }
}

/// What of a module has no place in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Beside {
    /// Its metadata.
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
    /// Fields that the Python framework does not know.
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
    /// The same of its modules, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    modules: BTreeMap<String, Beside>,
}
