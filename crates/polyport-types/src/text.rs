//! Shared text and verbatim JSON.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// UTF-8 text that is a reference-counted slice of a larger buffer where possible: cloning copies no characters.
/// A base64 image decoded from a request body is a slice of that body.
pub type Text = bytestring::ByteString;

/// One valid JSON value, kept as the text it was received in: key order, number literals and escapes survive.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawJson(Text);

impl RawJson {
    /// Takes text that is already known to be one JSON value, for instance because a parser delimited it.
    #[must_use]
    pub fn from_valid(text: Text) -> Self {
        Self(text)
    }

    /// Checks that `text` is one JSON value.
    ///
    /// # Errors
    /// The parser's error when it is not.
    pub fn parse(text: impl Into<Text>) -> Result<Self, serde_json::Error> {
        let text = text.into();
        serde_json::from_str::<serde::de::IgnoredAny>(&text)?;
        Ok(Self(text))
    }

    /// Writes `value` as compact JSON.
    #[must_use]
    pub fn of(value: &serde_json::Value) -> Self {
        Self(value.to_string().into())
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The JSON text as shared [`Text`].
    #[must_use]
    pub fn text(&self) -> &Text {
        &self.0
    }

    /// Parses into a tree. Only for cold paths: schemas, tool results that have to be inspected.
    #[must_use]
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or(serde_json::Value::Null)
    }

    /// Whether the value is a JSON object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.0.trim_start().starts_with('{')
    }

    /// Whether the value is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.trim() == "null"
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&serde_json::value::RawValue>(&self.0) {
            Ok(raw) => raw.serialize(serializer),
            Err(_) => serializer.serialize_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
        Ok(Self(String::from(Box::<str>::from(raw)).into()))
    }
}

/// Members of a wire object that have no slot in the neutral form, in the order received.
/// They belong to the protocol the enclosing request or response was decoded from and are sent to no other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras(Vec<(Text, RawJson)>);

impl Extras {
    /// No members.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a member.
    pub fn push(&mut self, name: impl Into<Text>, value: RawJson) {
        self.0.push((name.into(), value));
    }

    /// The member `name`, if present.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawJson> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Takes the member `name` out.
    pub fn remove(&mut self, name: &str) -> Option<RawJson> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1)
    }

    /// All members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &RawJson)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Text, RawJson)> for Extras {
    fn from_iter<I: IntoIterator<Item = (Text, RawJson)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}
