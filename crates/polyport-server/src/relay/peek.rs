//! Looking into a body without translating it: the members of its top level, and edits that leave everything else as it is.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use polyport_protocol::{DecodeError, scan};
use polyport_types::Text;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The `model` of a body, found without reading further than it stands. `None` if there is none or the body is broken before it.
pub(crate) fn model_of(body: &[u8]) -> Option<Text> {
    struct Model<'m>(&'m mut Option<Text>);
    impl<'de> Visitor<'de> for Model<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                if key == "model" {
                    *self.0 = Some(Text::from(map.next_value::<String>()?));
                    // The rest is not read now.
                    return Err(serde::de::Error::custom("found"));
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }
    impl<'de> DeserializeSeed<'de> for Model<'_> {
        type Value = ();

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_map(self)
        }
    }
    let mut found = None;
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    // The error is the way out.
    deserializer.deserialize_map(Model(&mut found)).ok();
    found
}

/// The top level of a JSON object: names, and where their values stand.
#[derive(Clone, Debug)]
pub(crate) struct Peek {
    members: Vec<(Text, Range<usize>)>,
    /// A name stands twice; the last one counts.
    repeated: bool,
}

impl Peek {
    /// Reads the whole body once.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not one JSON object, or nested too deeply.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let text = polyport_protocol::json::utf8(body)?;
        let found = scan::members(text)?;
        let mut members: Vec<(Text, Range<usize>)> = Vec::with_capacity(found.len());
        let mut repeated = false;
        for (name, range) in found {
            match members.iter_mut().find(|(known, _)| **known == *name) {
                Some(earlier) => {
                    repeated = true;
                    earlier.1 = range;
                }
                None => members.push((Text::from(&*name), range)),
            }
        }
        Ok(Self { members, repeated })
    }

    /// The value of a member, as it stands in `body`.
    pub(crate) fn get<'b>(&self, body: &'b [u8], name: &str) -> Option<&'b [u8]> {
        body.get(self.range(name)?)
    }

    fn range(&self, name: &str) -> Option<Range<usize>> {
        self.members.iter().find(|(known, _)| **known == *name).map(|(_, range)| range.clone())
    }

    /// The names of all members.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Text> {
        self.members.iter().map(|(name, _)| name)
    }

    /// A member that is a string.
    pub(crate) fn text(&self, body: &[u8], name: &str) -> Option<String> {
        serde_json::from_slice(self.get(body, name)?).ok()
    }

    /// Whether a member is `true`.
    pub(crate) fn is_true(&self, body: &[u8], name: &str) -> bool {
        self.get(body, name) == Some(b"true")
    }

    /// Whether there is such a member that is not `null`.
    pub(crate) fn has(&self, body: &[u8], name: &str) -> bool {
        self.get(body, name).is_some_and(|value| value != b"null")
    }
}

/// What is changed in a body that otherwise goes through as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Edits {
    /// Members that get another value, or are added with it.
    pub(crate) set: Vec<(Text, String)>,
    /// Members left out.
    pub(crate) drop: Vec<Text>,
    /// Members that get another name.
    pub(crate) rename: Vec<(Text, Text)>,
}

impl Edits {
    /// Changes the value of a member to this JSON.
    pub(crate) fn set(&mut self, name: &str, json: String) {
        self.set.push((Text::from(name), json));
    }
}

impl Peek {
    /// The body with its edits; the same bytes when there are none and no name stands twice.
    pub(crate) fn edited(&self, body: &Bytes, edits: &Edits) -> Bytes {
        let whole = edits.drop.is_empty() && edits.rename.is_empty() && !self.repeated;
        if whole && edits.set.is_empty() {
            return body.clone();
        }
        if whole { self.spliced(body, &edits.set) } else { self.rebuilt(body, edits) }
    }

    /// Replaces values in place and puts new members first.
    fn spliced(&self, body: &[u8], set: &[(Text, String)]) -> Bytes {
        let mut places: Vec<(Range<usize>, &str)> = Vec::with_capacity(set.len());
        let mut added = Vec::new();
        for (name, json) in set {
            match self.range(name) {
                Some(range) => places.push((range, json)),
                None => added.push((name, json)),
            }
        }
        places.sort_by_key(|(range, _)| range.start);
        let extra: usize = set.iter().map(|(name, json)| name.len() + json.len() + 4).sum();
        let mut out = Vec::with_capacity(body.len() + extra);
        let mut from = 0;
        if !added.is_empty() {
            // A body that parsed as an object has its brace first after white space.
            from = body.iter().position(|&byte| byte == b'{').map_or(0, |at| at + 1);
            out.extend_from_slice(body.get(..from).unwrap_or_default());
            for (index, (name, json)) in added.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                member(&mut out, name, json.as_bytes());
            }
            if !self.members.is_empty() {
                out.push(b',');
            }
        }
        for (range, json) in places {
            out.extend_from_slice(body.get(from..range.start).unwrap_or_default());
            out.extend_from_slice(json.as_bytes());
            from = range.end;
        }
        out.extend_from_slice(body.get(from..).unwrap_or_default());
        out.into()
    }

    /// Writes the members anew; their values stay as they are.
    fn rebuilt(&self, body: &[u8], edits: &Edits) -> Bytes {
        let mut out = Vec::with_capacity(body.len() + 64);
        out.push(b'{');
        for (name, range) in &self.members {
            if edits.drop.contains(name) {
                continue;
            }
            let set = edits.set.iter().find(|(changed, _)| changed == name).map(|(_, json)| json.as_bytes());
            let value = set.unwrap_or_else(|| body.get(range.clone()).unwrap_or_default());
            let name = edits.rename.iter().find(|(from, _)| from == name).map_or(name, |(_, to)| to);
            if out.len() > 1 {
                out.push(b',');
            }
            member(&mut out, name, value);
        }
        for (name, json) in &edits.set {
            if self.range(name).is_none() {
                if out.len() > 1 {
                    out.push(b',');
                }
                member(&mut out, name, json.as_bytes());
            }
        }
        out.push(b'}');
        out.into()
    }
}

fn member(out: &mut Vec<u8>, name: &str, json: &[u8]) {
    polyport_protocol::json::write_str(out, name);
    out.push(b':');
    out.extend_from_slice(json);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(body: &'static str, edits: &Edits) -> String {
        let bytes = Bytes::from_static(body.as_bytes());
        let peek = Peek::parse(&bytes).unwrap();
        String::from_utf8(peek.edited(&bytes, edits).to_vec()).unwrap()
    }

    #[test]
    fn the_model_is_found_wherever_it_stands() {
        assert_eq!(model_of(br#"{"model":"a","rest":"#).as_deref(), Some("a"));
        assert_eq!(model_of(br#"{"messages":[{"model":"no"}],"mod\u0065l":"b"}"#).as_deref(), Some("b"));
        assert_eq!(model_of(br#"{"messages":[]}"#), None);
        assert_eq!(model_of(b"[1]"), None);
        assert_eq!(model_of(br#"{"model":5}"#), None);
    }

    #[test]
    fn bytes_stay_but_for_the_edits() {
        let mut edits = Edits::default();
        assert_eq!(edited("  {\"a\" : 1.0e5}\n", &edits), "  {\"a\" : 1.0e5}\n");
        edits.set("model", "\"new\"".to_owned());
        assert_eq!(
            edited("{ \"x\": \"\\u00e9\", \"model\" : \"old\" , \"z\":[1,  2] }", &edits),
            "{ \"x\": \"\\u00e9\", \"model\" : \"new\" , \"z\":[1,  2] }"
        );
        edits.set("stream_options", "{\"include_usage\":true}".to_owned());
        assert_eq!(
            edited("{\"model\":\"old\"}", &edits),
            "{\"stream_options\":{\"include_usage\":true},\"model\":\"new\"}"
        );
        assert_eq!(edited("{ }", &edits), "{\"model\":\"new\",\"stream_options\":{\"include_usage\":true} }");
    }

    #[test]
    fn members_are_left_out_and_renamed() {
        let edits = Edits {
            set: vec![("model".into(), "\"n\"".into())],
            drop: vec!["user".into()],
            rename: vec![("max_tokens".into(), "max_completion_tokens".into())],
        };
        assert_eq!(
            edited(r#"{"user":"u", "max_tokens": 5,"model":"o","n":1}"#, &edits),
            r#"{"max_completion_tokens":5,"model":"n","n":1}"#
        );
    }

    #[test]
    fn c5_of_repeated_members_the_last_counts() {
        let body = r#"{"model":"a","x":1,"model":"b"}"#;
        let peek = Peek::parse(body.as_bytes()).unwrap();
        assert_eq!(peek.text(body.as_bytes(), "model").as_deref(), Some("b"));
        assert_eq!(edited(r#"{"model":"a","x":1,"model":"b"}"#, &Edits::default()), r#"{"model":"b","x":1}"#);
    }

    #[test]
    fn c4_values_are_nested_as_deep_as_a_parser_can_follow() {
        let nested =
            |depth: usize| format!("{{\"a\":\"\\\\\\\"[[[\",\"b\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(Peek::parse(nested(127).as_bytes()).is_ok());
        let refused = Peek::parse(nested(128).as_bytes()).unwrap_err();
        assert!(refused.message.contains("at byte"), "{refused}");
    }

    #[test]
    fn c3_other_bodies_are_refused() {
        for body in ["", "[]", "{\"a\":1} {}", "{\"a\":", "\u{feff}{}", "nope"] {
            assert!(Peek::parse(body.as_bytes()).is_err(), "{body:?}");
        }
    }
}
