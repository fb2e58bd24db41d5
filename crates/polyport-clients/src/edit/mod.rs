//! Changing settings files of others: what is not ours stays as it is, down to the comments.
//!
//! Every change is checked before it counts: what the new text says must be what the old text said, with the edits applied.

mod dotenv;
mod json;
mod toml;
mod yaml;

use serde::Deserialize;
use serde_json::{Map, Value};

/// How a settings file is written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON.
    Json,
    /// JSON with comments and commas at the end of lists.
    Jsonc,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
    /// Lines of `NAME=value`.
    Dotenv,
}

impl Format {
    /// Its name, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jsonc => "jsonc",
            Self::Toml => "toml",
            Self::Yaml => "yaml",
            Self::Dotenv => "dotenv",
        }
    }
}

/// A change.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// The member at this path has this value.
    Set { at: Vec<String>, value: Value },
    /// It has this value if there is none.
    Default { at: Vec<String>, value: Value },
    /// The list at this path has an object with these members, known by the member `by`.
    Entry { list: Vec<String>, by: String, entry: Map<String, Value> },
}

/// Why a file is not changed.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Refused {
    /// It cannot be read.
    #[error("line {line}: {message}")]
    Broken { line: usize, message: String },
    /// Something else stands where the settings belong.
    #[error("`{0}` is something else than it should be")]
    Other(String),
    /// It is written in a way that cannot be changed without changing more.
    #[error("it is written in a way that cannot be changed safely")]
    Unsafe,
}

/// What a text says; an empty one says nothing.
///
/// # Errors
/// The text is damaged.
pub fn read(format: Format, text: &str) -> Result<Value, Refused> {
    match format {
        Format::Json | Format::Jsonc => json::read(text, format == Format::Jsonc),
        Format::Toml => toml::read(text),
        Format::Yaml => yaml::read(text),
        Format::Dotenv => dotenv::read(text),
    }
}

/// The text with the edits applied. The text itself, if they are there already.
///
/// # Errors
/// The text is damaged, holds something else where the edits belong, or cannot be changed safely.
pub fn edited(format: Format, text: &str, edits: &[Edit]) -> Result<String, Refused> {
    let before = read(format, text)?;
    check(&before, edits)?;
    let wanted = merged(&before, edits);
    if wanted == before {
        return Ok(text.to_owned());
    }
    let new = match format {
        Format::Json | Format::Jsonc => json::edited(text, format == Format::Jsonc, edits),
        Format::Toml => toml::edited(text, edits),
        Format::Yaml => yaml::edited(text, &before, edits),
        Format::Dotenv => dotenv::edited(text, edits),
    }?;
    match read(format, &new) {
        Ok(after) if after == wanted => Ok(new),
        _ => Err(Refused::Unsafe),
    }
}

/// Whether what is on the way to the places of the edits is what it has to be.
fn check(before: &Value, edits: &[Edit]) -> Result<(), Refused> {
    for edit in edits {
        let (at, list) = match edit {
            Edit::Set { at, .. } | Edit::Default { at, .. } => (at.get(..at.len().saturating_sub(1)), false),
            Edit::Entry { list, .. } => (Some(list.as_slice()), true),
        };
        let (mut value, at) = (before, at.unwrap_or_default());
        for depth in 0..=at.len() {
            let last = depth == at.len();
            let fits = value.is_null() || if last && list { value.is_array() } else { value.is_object() };
            if !fits {
                let place = at.get(..depth).unwrap_or_default().join(".");
                return Err(Refused::Other(if place.is_empty() { "the whole file".to_owned() } else { place }));
            }
            if let Some(name) = at.get(depth) {
                value = value.get(name).unwrap_or(&Value::Null);
            }
        }
    }
    Ok(())
}

/// A value with the edits applied.
#[must_use]
pub fn merged(before: &Value, edits: &[Edit]) -> Value {
    let mut after = before.clone();
    for edit in edits {
        match edit {
            Edit::Set { at, value } => *place(&mut after, at) = value.clone(),
            Edit::Default { at, value } => {
                let place = place(&mut after, at);
                if place.is_null() {
                    *place = value.clone();
                }
            }
            Edit::Entry { list, by, entry } => {
                let place = place(&mut after, list);
                if !place.is_array() {
                    *place = Value::Array(Vec::new());
                }
                let Some(items) = place.as_array_mut() else { continue };
                match items.iter_mut().find(|item| item.get(by) == entry.get(by)).and_then(Value::as_object_mut) {
                    Some(item) => item.extend(entry.clone()),
                    None => items.push(Value::Object(entry.clone())),
                }
            }
        }
    }
    after
}

/// The place at a path, which is made where it is missing.
fn place<'v>(value: &'v mut Value, at: &[String]) -> &'v mut Value {
    at.iter().fold(value, |value, name| {
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        // An object's index makes what is missing.
        &mut value[name.as_str()]
    })
}

/// Lines as a text, with the line ends of the text they come from.
fn joined(lines: &[String], of: &str) -> String {
    let end = match of.find('\n') {
        Some(at) if at > 0 && of.as_bytes().get(at - 1) == Some(&b'\r') => "\r\n",
        _ => "\n",
    };
    lines.iter().flat_map(|line| [line.as_str(), end]).collect()
}

/// The line, from 1, at this many bytes.
fn line_at(text: &str, bytes: usize) -> usize {
    text.as_bytes().iter().take(bytes).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn set(at: &str, value: &str) -> Edit {
        Edit::Set { at: at.split('.').map(str::to_owned).collect(), value: value.into() }
    }

    pub(super) fn entry(list: &str, by: &str, entry: &Value) -> Edit {
        let list = list.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Edit::Entry { list, by: by.to_owned(), entry: entry.as_object().unwrap().clone() }
    }

    #[test]
    fn edits_are_applied_to_values() {
        let edits = [
            set("a.b", "1"),
            Edit::Default { at: vec!["name".to_owned()], value: "new".into() },
            entry("a.list", "id", &json!({"id": "x", "v": 2})),
            entry("a.list", "id", &json!({"id": "y"})),
        ];
        let before = json!({"name": "old", "a": {"list": [{"id": "x", "own": true, "v": 1}]}});
        let after = json!({"name": "old", "a": {"list": [{"id": "x", "own": true, "v": 2}, {"id": "y"}], "b": "1"}});
        assert_eq!(merged(&before, &edits), after);
        assert_eq!(merged(&after, &edits), after);
        assert_eq!(merged(&Value::Null, &edits)["a"]["list"][0]["id"], "x");
    }

    #[test]
    fn what_is_something_else_is_not_overwritten() {
        for (text, edit, place) in [
            (r#"{"env": "text"}"#, set("env.A", "1"), "env"),
            (r#"{"env": [1]}"#, set("env.A", "1"), "env"),
            (r#"[1]"#, set("env.A", "1"), "the whole file"),
            (r#"{"a": {"list": {}}}"#, entry("a.list", "id", &json!({"id": "x"})), "a.list"),
        ] {
            assert_eq!(edited(Format::Json, text, &[edit]), Err(Refused::Other(place.to_owned())), "{text}");
        }
    }

    #[test]
    fn o13_damaged_files_are_refused_with_the_line() {
        for (format, text, line) in [
            (Format::Json, "{\n  \"a\": 1,\n  \"b\": \n}", 4),
            (Format::Json, "{\n  // comment\n}", 2),
            (Format::Jsonc, "{\n  // comment\n  \"a\": tru\n}", 3),
            (Format::Toml, "a = 1\nb = \n", 2),
            (Format::Toml, "a = 1\na = 2\n", 2),
            (Format::Yaml, "a: 1\nb: [1, 2\n", 2),
            (Format::Yaml, "a: 1\na: 2\n", 2),
            (Format::Dotenv, "A=1\nthis is no line\n", 2),
        ] {
            match edited(format, text, &[set("a", "1")]) {
                Err(Refused::Broken { line: found, .. }) => assert_eq!(found, line, "{format:?} {text:?}"),
                other => panic!("{format:?} {text:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for (format, text) in [
            (Format::Json, nested.clone()),
            (Format::Jsonc, nested.clone()),
            (Format::Toml, format!("a = {nested}")),
            (Format::Yaml, format!("a: {nested}")),
        ] {
            assert!(matches!(edited(format, &text, &[set("b", "1")]), Err(Refused::Broken { .. })), "{format:?}");
        }
    }
}
