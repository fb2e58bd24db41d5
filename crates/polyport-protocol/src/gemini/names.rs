//! Names of members and words of enumerations: proto JSON takes both spellings of a member and any case of a word, Polyport
//! writes camelCase and upper case only.

use std::borrow::Cow;

use polyport_types::{Extras, RawJson, Text};
use serde_json::value::RawValue;

use crate::json::{self, Extra};

/// Members whose value is the user's own JSON: nothing inside is renamed.
const OPAQUE: [&str; 11] = [
    "args",
    "response",
    "schema",
    "headers",
    "labels",
    "customConfigs",
    "partMetadata",
    "customMetadata",
    "responseJsonSchema",
    "parametersJsonSchema",
    "responseSchema",
];

/// Members that hold the word of an enumeration, and how its words begin.
const WORDS: [(&str, &str); 10] = [
    ("category", "HARM_CATEGORY_"),
    ("threshold", ""),
    ("method", ""),
    ("level", "MEDIA_RESOLUTION_"),
    ("mediaResolution", "MEDIA_RESOLUTION_"),
    ("mediaProcessing", ""),
    ("environment", "ENVIRONMENT_"),
    ("toolType", ""),
    ("scheduling", ""),
    ("behavior", ""),
];

/// The camelCase spelling of a member's name. A name that is no snake_case is another member: it stays as it is.
pub(super) fn camel(name: &str) -> Cow<'_, str> {
    let snake = |word: &str| !word.is_empty() && !word.bytes().any(|byte| byte.is_ascii_uppercase());
    if !name.contains('_') || !name.split('_').all(snake) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    for (number, word) in name.split('_').enumerate() {
        let mut letters = word.chars();
        match letters.next() {
            Some(first) if number > 0 => {
                out.push(first.to_ascii_uppercase());
                out.push_str(letters.as_str());
            }
            _ => out.push_str(word),
        }
    }
    Cow::Owned(out)
}

/// The upper-case word of an enumeration whose words begin with `prefix`.
pub(super) fn word<'w>(word: &'w str, prefix: &str) -> Cow<'w, str> {
    let upper: Cow<'_, str> = if word.bytes().any(|byte| byte.is_ascii_lowercase()) {
        Cow::Owned(word.to_ascii_uppercase())
    } else {
        Cow::Borrowed(word)
    };
    if upper.starts_with(prefix) || upper.is_empty() { upper } else { Cow::Owned(format!("{prefix}{upper}")) }
}

/// Verbatim JSON with the names and words Polyport writes; a slice of `body` where nothing had to change.
pub(super) fn raw(value: &RawValue, body: &Text) -> RawJson {
    match normalise(value.get()) {
        Cow::Borrowed(_) => json::raw(value, body),
        Cow::Owned(text) => RawJson::from_valid(text.into()),
    }
}

/// Keeps the members of an object that have no slot. `within` names the object, as a pointer without its first slash: members of
/// `generationConfig` are kept as `generationConfig/<name>`.
pub(super) fn keep(extra: Extra<'_>, within: &str, body: &Text, ext: &mut Extras) {
    for (name, value) in extra {
        let name = camel(&name);
        let value = if OPAQUE.contains(&&*name) { json::raw(value, body) } else { words_of(&name, raw(value, body)) };
        keep_raw(&name, value, within, ext);
    }
}

/// Keeps one member under its pointer.
pub(super) fn keep_raw(name: &str, value: RawJson, within: &str, ext: &mut Extras) {
    let name = if name.contains(['/', '~']) {
        Cow::Owned(name.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(name)
    };
    if within.is_empty() {
        ext.push(&*name, value);
    } else {
        ext.push(format!("{within}/{name}"), value);
    }
}

/// The members kept for the object at `within`, by their own names.
pub(super) fn kept<'e>(ext: &'e Extras, within: &'e str) -> impl Iterator<Item = (Cow<'e, str>, &'e RawJson)> {
    ext.iter().filter_map(move |(pointer, value)| {
        let name = match within {
            "" => pointer,
            _ => pointer.strip_prefix(within)?.strip_prefix('/')?,
        };
        if name.contains('/') {
            return None;
        }
        let name = if name.contains('~') {
            Cow::Owned(name.replace("~1", "/").replace("~0", "~"))
        } else {
            Cow::Borrowed(name)
        };
        Some((name, value))
    })
}

/// Gives a member that is itself the word of an enumeration its upper-case form.
fn words_of(name: &str, value: RawJson) -> RawJson {
    let Some((_, prefix)) = WORDS.iter().find(|(member, _)| *member == name) else { return value };
    match serde_json::from_str::<String>(value.as_str()) {
        Ok(text) => RawJson::of(&word(&text, prefix).into_owned().into()),
        Err(_) => value,
    }
}

/// Rewrites names and words all through a JSON text, which must be valid.
pub(super) fn normalise(json: &str) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    // Everything before this place is in `out`, once there is one.
    let mut copied = 0;
    let mut at = 0;
    let mut prefix: Option<&str> = None;
    while let Some(start) = find_quote(json, at) {
        let Some(end) = string_end(json, start) else { break };
        let inside = json.get(start + 1..end - 1).unwrap_or_default();
        let after = json.get(end..).unwrap_or_default();
        let rest = after.trim_start_matches([' ', '\t', '\r', '\n']);
        at = end;
        let replacement = if let Some(value) = rest.strip_prefix(':') {
            let name = camel(inside);
            prefix = WORDS.iter().find(|(member, _)| *member == name).map(|(_, prefix)| *prefix);
            if OPAQUE.contains(&&*name) {
                at = json.len() - value.len() + value_len(value);
            }
            name
        } else {
            prefix.map_or(Cow::Borrowed(inside), |prefix| word(inside, prefix))
        };
        if let Cow::Owned(replacement) = replacement {
            let out = out.get_or_insert_with(|| String::with_capacity(json.len() + 32));
            out.push_str(json.get(copied..=start).unwrap_or_default());
            out.push_str(&replacement);
            copied = end - 1;
        }
    }
    match out {
        Some(mut out) => {
            out.push_str(json.get(copied..).unwrap_or_default());
            Cow::Owned(out)
        }
        None => Cow::Borrowed(json),
    }
}

fn find_quote(json: &str, from: usize) -> Option<usize> {
    memchr::memchr(b'"', json.as_bytes().get(from..)?).map(|at| from + at)
}

/// Position after the closing quote of the string that begins at `start`.
fn string_end(json: &str, start: usize) -> Option<usize> {
    let bytes = json.as_bytes();
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// Length of the value that `json` begins with, white space before it included.
fn value_len(json: &str) -> usize {
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<serde::de::IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => values.byte_offset(),
        _ => json.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_camel_case() {
        assert_eq!(camel("file_search_store_names"), "fileSearchStoreNames");
        assert_eq!(camel("topK"), "topK");
        assert_eq!(camel("_private"), "_private");
    }

    #[test]
    fn text_that_needs_nothing_is_borrowed() {
        let json = r#"[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}]"#;
        assert!(matches!(normalise(json), Cow::Borrowed(_)));
    }

    #[test]
    fn names_and_words_are_rewritten_but_not_the_users_own_json() {
        let json =
            r#"{"tool_type":"google_search_web", "args" : {"my_key":["a_b",{"c_d":1}]},"x_y":["l\"_m"],"level":"low"}"#;
        assert_eq!(
            normalise(json),
            r#"{"toolType":"GOOGLE_SEARCH_WEB", "args" : {"my_key":["a_b",{"c_d":1}]},"xY":["l\"_m"],"level":"MEDIA_RESOLUTION_LOW"}"#
        );
        assert_eq!(normalise(r#"{"category":"harassment"}"#), r#"{"category":"HARM_CATEGORY_HARASSMENT"}"#);
    }

    #[test]
    fn kept_members_come_back_by_object() {
        let mut ext = Extras::new();
        keep_raw("audioTimestamp", RawJson::from_valid("true".into()), "generationConfig", &mut ext);
        keep_raw("a/b", RawJson::from_valid("1".into()), "", &mut ext);
        let names = |within| kept(&ext, within).map(|(name, _)| name.into_owned()).collect::<Vec<_>>();
        assert_eq!(names("generationConfig"), ["audioTimestamp"]);
        assert_eq!(names(""), ["a/b"]);
    }
}
