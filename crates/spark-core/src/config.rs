//! JSON configuration: read strictly, with errors that name the file, the path inside it and the line.

use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// A configuration that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not JSON, or not this configuration.
    #[error("{origin}: at `{field}`: {message}")]
    Content {
        /// Where the text came from, usually the file.
        origin: String,
        /// Path of the field inside the document.
        field: String,
        /// What was found and expected, with line and column.
        message: String,
    },
}

/// Reads a configuration from a JSON file.
///
/// # Errors
/// When the file cannot be read, is not JSON, or does not fit `T`.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text, &path.display().to_string())
}

/// Reads a configuration from JSON text; `origin` names its source in errors.
///
/// # Errors
/// When the text is not JSON or does not fit `T`.
///
/// # Examples
/// ```
/// #[derive(serde::Deserialize, Debug)]
/// #[serde(deny_unknown_fields)]
/// struct Training { epochs: u32 }
///
/// let error = spark_core::config::parse::<Training>(r#"{"epoch": 3}"#, "run.json").unwrap_err();
/// assert!(error.to_string().starts_with("run.json: at `epoch`: unknown field `epoch`"));
/// ```
pub fn parse<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T, ConfigError> {
    let content =
        |field: String, message: String| ConfigError::Content { origin: origin.to_owned(), field, message };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| content(error.path().to_string(), error.inner().to_string()))?;
    deserializer.end().map_err(|error| content(".".to_owned(), error.to_string()))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[allow(dead_code)]
        inner: Vec<Inner>,
    }

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[allow(dead_code)]
        tau: f32,
    }

    fn message(text: &str) -> String {
        parse::<Outer>(text, "model.json").unwrap_err().to_string()
    }

    #[test]
    fn errors_name_file_path_and_line() {
        let found = message("{\"inner\": [{\"tau\": 1.0},\n {\"tau\": \"long\"}]}");
        assert!(found.contains("model.json: at `inner[1].tau`") && found.contains("line 2"), "{found}");
    }

    #[test]
    fn truncated_and_trailing_text_are_errors() {
        assert!(message("{\"inner\": [").contains("EOF"));
        assert!(message("{\"inner\": []} x").contains("trailing"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read::<Outer>(Path::new("/nowhere/run.json")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/run.json"));
    }
}
