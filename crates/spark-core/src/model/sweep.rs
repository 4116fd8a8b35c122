//! Settings as people write them, and every combination of their values.

use serde_json::Value;
use std::fmt;
use std::str::FromStr;

use super::{Model, Pattern, PatternError, SetError};

/// Fields and the values that they take in turn, written `pool.soma.threshold=-45,-40`.
///
/// Every value is JSON, or text where it is none; commas inside of brackets and quotes belong to a value.
///
/// # Examples
/// ```
/// use serde_json::json;
/// use spark_core::model::Setting;
///
/// let setting: Setting = "**.threshold=-45,-40.5".parse()?;
/// assert_eq!(setting.values, [json!(-45), json!(-40.5)]);
/// let units: Setting = "pool.units=[4, 8]".parse()?;
/// assert_eq!(units.values, [json!([4, 8])]);
/// let mode: Setting = "decoder.mode=time,decay".parse()?;
/// assert_eq!(mode.values, [json!("time"), json!("decay")]);
/// # Ok::<(), spark_core::model::SettingError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The fields.
    pub pattern: Pattern,
    /// The values, at least one.
    pub values: Vec<Value>,
}

/// Text that is no setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is no sign of equality.
    #[error("found `{0}`, expected ADDRESS=VALUE, such as pool.soma.threshold=-45")]
    Form(String),
    /// What stands before it is no address.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A value is missing, or its brackets do not close.
    #[error("found the value `{value}` for {pattern}: {message}")]
    Value {
        /// The fields.
        pattern: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        message: String,
    },
    /// Text that names no seeds.
    #[error("found `{0}`, expected seeds such as 7, 0..9 (both included) or 1,5,20..29")]
    Seeds(String),
}

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let (address, values) =
            text.split_once('=').ok_or_else(|| SettingError::Form(text.to_owned()))?;
        let pattern: Pattern = address.trim().parse()?;
        let value = |text: &str| {
            value(text.trim()).map_err(|message| SettingError::Value {
                pattern: pattern.to_string(),
                value: text.to_owned(),
                message: message.to_owned(),
            })
        };
        let values = pieces(values).into_iter().map(value).collect::<Result<_, _>>()?;
        Ok(Self { pattern, values })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self.values.iter().map(Value::to_string).collect();
        write!(f, "{}={}", self.pattern, values.join(","))
    }
}

/// Text between commas that stand in no bracket and no quotes.
fn pieces(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut escaped, mut start) = (0i32, false, false, 0);
    let mut pieces = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth <= 0 => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

/// A value as JSON, or as text where it does not look like JSON.
fn value(text: &str) -> Result<Value, &'static str> {
    if text.is_empty() {
        return Err("expected a value");
    }
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(_) if text.starts_with(['[', '{', '"']) => Err("expected JSON"),
        Err(_) => Ok(Value::from(text)),
    }
}

/// Most seeds that are read from text; more are a slip of the keyboard.
const MOST_SEEDS: u64 = 1_000_000;

/// Seeds as people list them: numbers and ranges with both ends, with commas between them.
///
/// # Errors
/// When the text is no such list, or a range runs backwards or over a million seeds.
///
/// # Examples
/// ```
/// use spark_core::model::seeds;
///
/// assert_eq!(seeds("0..3,7")?, [0, 1, 2, 3, 7]);
/// assert!(seeds("3..1").is_err());
/// # Ok::<(), spark_core::model::SettingError>(())
/// ```
pub fn seeds(text: &str) -> Result<Vec<u64>, SettingError> {
    let wrong = || SettingError::Seeds(text.to_owned());
    let mut seeds = Vec::new();
    for piece in text.split(',') {
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
        let (first, last) = match piece.split_once("..") {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(piece)?, number(piece)?),
        };
        if first > last || last - first >= MOST_SEEDS {
            return Err(wrong());
        }
        seeds.extend(first..=last);
    }
    Ok(seeds)
}

/// Every combination of settings and seeds.
///
/// # Examples
/// ```
/// use spark_core::model::Sweep;
///
/// let sweep = Sweep { settings: vec!["**.threshold=-45,-40".parse()?], seeds: vec![1, 2, 3] };
/// assert_eq!(sweep.count(), 6);
/// # Ok::<(), spark_core::model::SettingError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sweep {
    /// Fields with their values; the last one changes fastest.
    pub settings: Vec<Setting>,
    /// Seeds, which change faster still; without any the model keeps its own.
    pub seeds: Vec<u64>,
}

/// One of the models of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// What was set, by pattern.
    pub settings: Vec<(String, Value)>,
    /// The seed, where one was given.
    pub seed: Option<u64>,
    /// The model with both.
    pub model: Model,
}

impl Sweep {
    /// How many models there are.
    pub fn count(&self) -> usize {
        let values = self.settings.iter().map(|setting| setting.values.len());
        values.fold(self.seeds.len().max(1), usize::saturating_mul)
    }

    /// The models, one for every combination.
    ///
    /// # Errors
    /// When a pattern means no field.
    pub fn variants(&self, model: &Model) -> Result<Vec<Variant>, SetError> {
        let mut variants = vec![Variant { settings: Vec::new(), seed: None, model: model.clone() }];
        for Setting { pattern, values } in &self.settings {
            let mut next = Vec::with_capacity(variants.len() * values.len());
            for variant in &variants {
                for value in values {
                    let mut variant = variant.clone();
                    variant.model.set(pattern, value)?;
                    variant.settings.push((pattern.to_string(), value.clone()));
                    next.push(variant);
                }
            }
            variants = next;
        }
        if self.seeds.is_empty() {
            return Ok(variants);
        }
        let seeded = |variant: &Variant, seed: u64| Variant {
            seed: Some(seed),
            model: variant.model.with_new_seeds(seed),
            settings: variant.settings.clone(),
        };
        let all = variants.iter().flat_map(|variant| self.seeds.iter().map(move |seed| seeded(variant, *seed)));
        Ok(all.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(text: &str) -> Vec<Value> {
        format!("a={text}").parse::<Setting>().unwrap().values
    }

    #[test]
    fn commas_in_brackets_and_quotes_belong_to_the_value() {
        assert_eq!(values("[1,2],[3]"), [json!([1, 2]), json!([3])]);
        assert_eq!(values(r#""a,b",c"#), [json!("a,b"), json!("c")]);
        assert_eq!(values(r#"{"kind":"normal","scale":2},1"#), [json!({"kind": "normal", "scale": 2}), json!(1)]);
        assert_eq!(values("null,true,1e3,x=y"), [Value::Null, json!(true), json!(1e3), json!("x=y")]);
    }

    #[test]
    fn what_is_no_setting_is_explained() {
        for (text, message) in [
            ("a", "expected ADDRESS=VALUE"),
            ("a..b=1", "names with dots between them"),
            ("a=", "expected a value"),
            ("a=1,,2", "expected a value"),
            ("a=[1", "expected JSON"),
        ] {
            let error = text.parse::<Setting>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
        for text in ["", "a", "1..", "2..1", "-1", "0..99999999999"] {
            assert!(seeds(text).is_err(), "{text}");
        }
    }
}
