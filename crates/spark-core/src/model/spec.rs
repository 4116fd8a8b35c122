//! Modules of a controller as a model describes them.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Wire;
use crate::component::ComponentConfig;
use crate::registry;

/// What feeds each port or property, in the order in which it was written.
pub type Wiring = IndexMap<String, Vec<Wire>>;

/// One module of a controller: what it is, how it is set, and how it is wired.
///
/// # Examples
/// ```
/// use spark_core::model::ModuleSpec;
///
/// let soma: ModuleSpec = serde_json::from_str(
///     r#"{"name": "soma", "module": "LeakySoma", "inputs": {"current": "synapses.currents"},
///         "outputs": {"out_spikes": "spikes"}, "config": {"threshold": -45.0}}"#,
/// )?;
/// assert_eq!(soma.inputs["current"][0].to_string(), "synapses.currents");
/// assert_eq!(soma.config.fields["threshold"], -45.0);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleSpec {
    /// Its name, unique in its controller.
    pub name: String,
    /// The registered component, interface or neuron that it is; may be absent where a registered neuron has a
    /// module of this name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub module: String,
    /// What feeds its input ports; several connections to one port are joined in their order.
    #[serde(default, with = "wires", skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, wires::Wires>")]
    pub inputs: Wiring,
    /// Outputs of the controller that come from here: the name outside and the port of the module.
    #[serde(default, with = "in_order", skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub outputs: IndexMap<String, String>,
    /// What writes its properties after every step.
    #[serde(default, with = "wires", skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, wires::Wires>")]
    pub effects: Wiring,
    /// Its configuration; what is absent has its default.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub config: Settings,
    /// What programs such as a graph editor note about it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// The configuration of a module: fields, and for a controller the modules inside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// Fields by name.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
    /// The modules of a controller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<ModuleSpec>,
}

impl Settings {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.modules.is_empty()
    }

    /// The module of a name.
    pub fn module(&self, name: &str) -> Option<&ModuleSpec> {
        self.modules.iter().find(|module| module.name == name)
    }

    /// The module of a name, to be changed.
    pub fn module_mut(&mut self, name: &str) -> Option<&mut ModuleSpec> {
        self.modules.iter_mut().find(|module| module.name == name)
    }
}

impl From<Map<String, Value>> for Settings {
    fn from(fields: Map<String, Value>) -> Self {
        Self { fields, modules: Vec::new() }
    }
}

impl ModuleSpec {
    /// A component with the fields of its configuration that differ from the default.
    ///
    /// # Panics
    /// If the component is not registered.
    pub fn new<C: ComponentConfig>(name: &str, config: &C) -> Self {
        let fields = registry::changed(config).expect("a component of the program is registered");
        Self::named(name, C::NAME, fields.into())
    }

    /// A module by the name of what it is.
    pub fn named(name: &str, module: &str, config: Settings) -> Self {
        Self { name: name.to_owned(), module: module.to_owned(), config, ..Self::default() }
    }

    /// Feeds an input port, after what feeds it already.
    ///
    /// # Panics
    /// If the text is no [`Wire`].
    #[must_use]
    pub fn input(mut self, port: &str, wire: &str) -> Self {
        self.inputs.entry(port.to_owned()).or_default().push(literal(wire));
        self
    }

    /// Gives an output port to the outside under a name.
    #[must_use]
    pub fn output(mut self, name: &str, port: &str) -> Self {
        self.outputs.insert(name.to_owned(), port.to_owned());
        self
    }

    /// Writes a property after every step.
    ///
    /// # Panics
    /// If the text is no [`Wire`].
    #[must_use]
    pub fn effect(mut self, property: &str, wire: &str) -> Self {
        self.effects.entry(property.to_owned()).or_default().push(literal(wire));
        self
    }
}

fn literal(wire: &str) -> Wire {
    wire.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// Maps in the order in which they are written, names not repeated.
pub(super) mod in_order {
    use super::IndexMap;
    use serde::de::{Error, MapAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::fmt;
    use std::marker::PhantomData;

    pub fn serialize<V: Serialize, S: Serializer>(
        map: &IndexMap<String, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map)
    }

    pub fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<IndexMap<String, V>, D::Error> {
        struct InOrder<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for InOrder<V> {
            type Value = IndexMap<String, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut map = IndexMap::new();
                while let Some((name, value)) = entries.next_entry::<String, V>()? {
                    if map.contains_key(&name) {
                        return Err(A::Error::custom(format!("`{name}` is listed twice")));
                    }
                    map.insert(name, value);
                }
                Ok(map)
            }
        }
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

/// As [`in_order`], where one connection may stand without a list around it.
mod wires {
    use super::{IndexMap, JsonSchema, Wire, Wiring, in_order};
    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serializer};
    use std::fmt;

    pub fn serialize<S: Serializer>(wiring: &Wiring, serializer: S) -> Result<S::Ok, S::Error> {
        in_order::serialize(wiring, serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Wiring, D::Error> {
        let wiring: IndexMap<String, OneOrMany> = in_order::deserialize(deserializer)?;
        Ok(wiring.into_iter().map(|(port, OneOrMany(wires))| (port, wires)).collect())
    }

    struct OneOrMany(Vec<Wire>);

    impl<'de> Deserialize<'de> for OneOrMany {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Either;

            impl<'de> Visitor<'de> for Either {
                type Value = OneOrMany;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a connection or a list of connections")
                }

                fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
                    text.parse().map(|wire| OneOrMany(vec![wire])).map_err(E::custom)
                }

                fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                    let mut wires = Vec::new();
                    while let Some(wire) = list.next_element()? {
                        wires.push(wire);
                    }
                    Ok(OneOrMany(wires))
                }
            }
            deserializer.deserialize_any(Either)
        }
    }

    /// What the schema says of [`OneOrMany`].
    #[derive(JsonSchema)]
    #[schemars(untagged)]
    #[allow(dead_code)] // Only its schema is of use.
    pub enum Wires {
        /// One connection.
        One(Wire),
        /// Connections that are joined in this order.
        Many(Vec<Wire>),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiring_keeps_its_order() {
        let text = r#"{"name":"join","module":"Concat","inputs":{"z":["b.x"],"a":["a.x","c.x"]}}"#;
        let spec: ModuleSpec = serde_json::from_str(text).unwrap();
        assert_eq!(spec.inputs.keys().collect::<Vec<_>>(), ["z", "a"]);
        assert_eq!(serde_json::to_string(&spec).unwrap(), text);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| serde_json::from_str::<ModuleSpec>(text).unwrap_err().to_string();
        let twice = r#"{"name":"a","module":"B","inputs":{"x":"c.y","x":"d.y"}}"#;
        assert!(error(twice).contains("`x` is listed twice"), "{}", error(twice));
        let wire = r#"{"name":"a","module":"B","inputs":{"x":"c"}}"#;
        assert!(error(wire).contains("found `c`, expected module.port"), "{}", error(wire));
        let unknown = r#"{"name":"a","module":"B","input":{}}"#;
        assert!(error(unknown).contains("unknown field `input`"), "{}", error(unknown));
    }

    #[test]
    fn modules_nest() {
        let text = r#"{"name":"p","module":"Neuron","config":{"units":[3],"modules":[{"name":"s","module":"X"}]}}"#;
        let spec: ModuleSpec = serde_json::from_str(text).unwrap();
        assert_eq!(spec.config.module("s").unwrap().module, "X");
        assert_eq!(serde_json::to_string(&spec).unwrap(), text);
    }
}
