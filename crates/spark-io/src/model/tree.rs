//! JSON as it stands in a file: entries in their order, no name twice, every place with its path.

use indexmap::IndexMap;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};
use spark_core::schema::join;
use std::cell::Cell;
use std::fmt;

/// How many values a document may hold: it takes more memory than its text.
const MOST_VALUES: usize = 8 << 20;

/// Longest path and text that an error quotes.
const LONGEST: usize = 200;

/// What is wrong in a document.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Path inside the document; `.` for the whole.
    pub field: String,
    /// What was found and expected.
    pub message: String,
}

impl Wrong {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        let field = field.into();
        let field = if field.is_empty() { ".".to_owned() } else { shortened(&field) };
        Self { field, message: message.into() }
    }
}

fn shortened(text: &str) -> String {
    let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(end, _)| end);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Json>),
    Object(Entries),
}

/// The entries of an object in their order.
pub(super) type Entries = IndexMap<String, Json>;

/// Reads a document.
pub(super) fn parse(bytes: &[u8]) -> Result<Json, Wrong> {
    let left = Cell::new(MOST_VALUES);
    let mut track = serde_path_to_error::Track::new();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let tree = Grow { left: &left }
        .deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track))
        .map_err(|error| Wrong::new(track.path().to_string(), explained(bytes, &error)))?;
    json.end().map_err(|error| Wrong::new(".", explained(bytes, &error)))?;
    Ok(tree)
}

/// The message of a parser; the numbers that Python writes and JSON does not know are named.
pub(super) fn explained(bytes: &[u8], error: &serde_json::Error) -> String {
    let message = error.to_string();
    let Some(line) = error.line().checked_sub(1) else { return message };
    let line = bytes.split(|byte| *byte == b'\n').nth(line).unwrap_or_default();
    let around = error.column().saturating_sub(3)..=error.column();
    let found = around.filter_map(|start| line.get(start..)).find_map(|rest| {
        ["-Infinity", "Infinity", "NaN"].into_iter().find(|token| rest.starts_with(token.as_bytes()))
    });
    match found {
        Some(token) => {
            format!("found {token} at line {}, expected a finite number", error.line())
        }
        None => shortened(&message),
    }
}

/// Builds a tree as long as values are left.
struct Grow<'a> {
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Grow<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(D::Error::custom(format!(
                "found more than {MOST_VALUES} values, expected at most that"
            )));
        };
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Grow<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value)
            .map(Json::Number)
            .ok_or_else(|| E::custom("found a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Grow { left: self.left })? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Entries::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Grow { left: self.left })?;
            if object.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format!("`{}` is listed twice", shortened(&name))));
            }
        }
        Ok(Json::Object(object))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(entries) => serializer.collect_map(entries),
        }
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(value) => Self::Number(value.clone()),
            Value::String(value) => Self::Text(value.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                Self::Object(fields.iter().map(|(name, value)| (name.clone(), value.into())).collect())
            }
        }
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(value) => Self::Number(value.clone()),
            Json::Text(value) => Self::String(value.clone()),
            Json::List(items) => Self::Array(items.iter().map(Self::from).collect()),
            Json::Object(entries) => {
                let fields = entries.iter().map(|(name, value)| (name.clone(), value.into()));
                Self::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// An object of these entries.
pub(super) fn object<const N: usize>(entries: [(&str, Json); N]) -> Json {
    Json::Object(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<'a> {
    pub json: &'a Json,
    pub path: String,
}

impl<'a> At<'a> {
    pub(super) fn root(json: &'a Json) -> Self {
        Self { json, path: String::new() }
    }

    /// What an error says that found something else than was expected here.
    pub(super) fn wrong(&self, expected: impl fmt::Display) -> Wrong {
        let found = match self.json {
            Json::Null => "null".to_owned(),
            Json::Bool(value) => value.to_string(),
            Json::Number(value) => value.to_string(),
            Json::Text(text) => format!("`{}`", shortened(text)),
            Json::List(items) => format!("a list of {}", items.len()),
            Json::Object(_) => "an object".to_owned(),
        };
        Wrong::new(self.path.clone(), format!("found {found}, expected {expected}"))
    }

    pub(super) fn text(&self) -> Result<&'a str, Wrong> {
        if let Json::Text(text) = self.json { Ok(text) } else { Err(self.wrong("text")) }
    }

    pub(super) fn boolean(&self) -> Result<bool, Wrong> {
        if let Json::Bool(value) = self.json { Ok(*value) } else { Err(self.wrong("true or false")) }
    }

    pub(super) fn items(&self) -> Result<impl Iterator<Item = Self> + use<'a>, Wrong> {
        let Json::List(items) = self.json else { return Err(self.wrong("a list")) };
        let path = self.path.clone();
        Ok(items.iter().enumerate().map(move |(place, json)| Self { json, path: format!("{path}[{place}]") }))
    }

    pub(super) fn entries(&self) -> Result<impl Iterator<Item = (&'a str, Self)> + use<'a>, Wrong> {
        let Json::Object(entries) = self.json else { return Err(self.wrong("an object")) };
        let path = self.path.clone();
        Ok(entries.iter().map(move |(name, json)| (name.as_str(), Self { json, path: join(&path, name) })))
    }

    /// The entry of a name, if there is one.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let Json::Object(entries) = self.json else { return None };
        entries.get(name).map(|json| Self { json, path: join(&self.path, name) })
    }

    /// The entry of a name.
    pub(super) fn need(&self, name: &str) -> Result<Self, Wrong> {
        if !matches!(self.json, Json::Object(_)) {
            return Err(self.wrong(format!("an object with `{name}`")));
        }
        self.get(name).ok_or_else(|| Wrong::new(self.path.clone(), format!("found no `{name}`")))
    }

    /// Refuses entries of other names.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Wrong> {
        match self.entries()?.find(|(name, _)| !known.contains(name)) {
            None => Ok(()),
            Some((_, at)) => {
                Err(Wrong::new(at.path, format!("unknown entry, expected one of {}", known.join(", "))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let wrong = parse(text.as_bytes()).unwrap_err();
        format!("{}: {}", wrong.field, wrong.message)
    }

    #[test]
    fn order_and_digits_are_kept() {
        let text = r#"{"z":1,"a":[1.0,-60.0,10.75268817204301,null,true,"µ"],"m":{}}"#;
        let tree = parse(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&tree).unwrap(), text);
        assert_eq!(Json::from(&Value::from(&tree)), parse(text.as_bytes()).unwrap());
    }

    #[test]
    fn numbers_that_python_writes_are_named_with_their_path() {
        assert_eq!(error("{\"a\": {\"dt\": NaN}}"), "a.dt: found NaN at line 1, expected a finite number");
        assert_eq!(
            error("{\"a\": [1,\n -Infinity]}"),
            "a[1]: found -Infinity at line 2, expected a finite number"
        );
        assert!(error("{\"a\": Infinity}").contains("a: found Infinity"));
        assert!(error("{\"a\": 1e999}").contains("out of range"));
    }

    #[test]
    fn repeated_names_depth_and_ends_are_errors() {
        assert!(error(r#"{"a": {"b": 1, "b": 2}}"#).starts_with("a"));
        assert!(error(r#"{"a": {"b": 1, "b": 2}}"#).contains("`b` is listed twice"));
        let deep = "[".repeat(100_000);
        assert!(error(&deep).contains("recursion limit") && error(&deep).len() < 700);
        assert!(error("{} {}").contains("trailing"));
        assert!(error("{\"a\": [").contains("EOF"));
    }
}
