//! Arrays as model files write them, and nested lists.

use serde_json::Value;

use crate::model::tree::{At, Json, Wrong, object};

/// What arrays are called; later versions know them as `array` too, but read both.
const ARRAY: &str = "jax_array";

/// Whether a value is an array.
pub(super) fn is_array(kind: &str) -> bool {
    kind == ARRAY || kind == "array"
}

/// A number or nested lists, and the type of the numbers.
pub(super) fn read(at: &At<'_>) -> Result<(Value, String), Wrong> {
    at.only(&["__type__", "dtype", "shape", "data"])?;
    let dtype = at.need("dtype")?.text()?.to_owned();
    let mut shape = Vec::new();
    for length in at.need("shape")?.items()? {
        let count = match length.json {
            Json::Number(number) => number.as_u64().and_then(|count| usize::try_from(count).ok()),
            _ => None,
        };
        shape.push(count.ok_or_else(|| length.wrong("a whole number of at least 0"))?);
    }
    let data = at.need("data")?;
    check(&data, &shape)?;
    Ok((data.json.into(), dtype))
}

/// Whether nested lists have a shape.
fn check(data: &At<'_>, shape: &[usize]) -> Result<(), Wrong> {
    let Some((length, rest)) = shape.split_first() else {
        return match data.json {
            Json::Number(_) | Json::Bool(_) => Ok(()),
            _ => Err(data.wrong("a number, as the shape says")),
        };
    };
    match data.json {
        Json::List(items) if items.len() == *length => data.items()?.try_for_each(|item| check(&item, rest)),
        _ => Err(data.wrong(format!("a list of {length}, as the shape says"))),
    }
}

/// The array of nested lists.
pub(super) fn write(value: &Value, dtype: &str) -> Json {
    let mut shape = Vec::new();
    let mut inside = value;
    while let Value::Array(items) = inside {
        shape.push(Json::Number(items.len().into()));
        let Some(first) = items.first() else { break };
        inside = first;
    }
    object([
        ("__type__", ARRAY.into()),
        ("dtype", dtype.into()),
        ("shape", Json::List(shape)),
        ("data", value.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tree::parse;

    fn read(text: &str) -> Result<Value, String> {
        let tree = parse(text.as_bytes()).unwrap();
        super::read(&At::root(&tree))
            .map(|(value, _)| value)
            .map_err(|wrong| format!("{}: {}", wrong.field, wrong.message))
    }

    #[test]
    fn arrays_become_lists_and_back() {
        let text = r#"{"__type__":"jax_array","dtype":"float16","shape":[2,1],"data":[[1.5],[2]]}"#;
        let value = read(text).unwrap();
        assert_eq!(value, serde_json::json!([[1.5], [2]]));
        assert_eq!(serde_json::to_string(&write(&value, "float16")).unwrap(), text);
        let scalar = r#"{"__type__":"array","dtype":"int32","shape":[],"data":-1}"#;
        assert_eq!(read(scalar).unwrap(), -1);
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let array = |shape: &str, data: &str| {
            read(&format!(r#"{{"__type__":"jax_array","dtype":"f","shape":{shape},"data":{data}}}"#))
                .unwrap_err()
        };
        assert_eq!(array("[-1]", "[]"), "shape[0]: found -1, expected a whole number of at least 0");
        assert!(array("[18446744073709551616]", "[]").contains("shape[0]"));
        assert_eq!(array("[2]", "[1]"), "data: found a list of 1, expected a list of 2, as the shape says");
        assert!(array("[1,1]", "[1]").contains("data[0]: found 1"));
        assert!(array("[]", "[1]").contains("a number"));
        assert!(array("[1]", "[\"x\"]").contains("data[0]: found `x`"));
    }
}
