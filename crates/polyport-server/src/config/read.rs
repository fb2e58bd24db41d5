//! From the tree to typed sections.
//!
//! A mistake does not stop the reading: it is noted with its place, the node is taken out of the tree and the rest is read again, so
//! that one run finds all mistakes.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use super::problem::Problem;
use super::tree::{Entry, Kind, Node, Step, show_path};
use super::units::UNTYPED;

/// More mistakes than this are not looked for.
const MOST_PROBLEMS: usize = 100;

/// Reads `T` from the tree, noting every mistake. What is wrong has been taken out of `tree` afterwards.
pub(super) fn read<T: DeserializeOwned + Default>(tree: &mut Node, problems: &mut Vec<Problem>) -> T {
    for _ in 0..MOST_PROBLEMS {
        let error = match T::deserialize(In { node: tree }) {
            Ok(value) => return value,
            Err(error) => error,
        };
        let path: Vec<Step> = error.path.into_iter().rev().collect();
        let place = if error.at_key { tree.key_place(&path) } else { tree.place_of(&path) };
        problems.push(Problem::error(place, error.message).at(show_path(&path)).remedy(error.remedy));
        if !tree.remove(&path) {
            break;
        }
    }
    T::default()
}

/// A mistake and the way to it, innermost step first.
#[derive(Debug)]
pub(super) struct Error {
    message: String,
    remedy: String,
    path: Vec<Step>,
    /// The key is wrong, not its value.
    at_key: bool,
}

impl Error {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: String::new(), path: Vec::new(), at_key: false }
    }

    fn under(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A text in the wrong place may be a secret: only its kind is told.
fn kind_of(unexpected: &de::Unexpected<'_>) -> String {
    match unexpected {
        de::Unexpected::Str(_) | de::Unexpected::Bytes(_) => "a text".to_owned(),
        de::Unexpected::Seq => "a list".to_owned(),
        de::Unexpected::Map => "a map".to_owned(),
        de::Unexpected::Unit | de::Unexpected::Option => "nothing".to_owned(),
        other => other.to_string(),
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}, found {}", kind_of(&unexpected)))
    }

    fn invalid_value(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}, found {}", kind_of(&unexpected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self {
            remedy: suggestion(field, expected, "keys here"),
            at_key: true,
            ..Self::new(format!("unknown key `{field}`"))
        }
        .under(Step::Key(field.to_owned()))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("expected one of {}", listed(expected)))
    }
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Words of other gateways' configurations, and ours.
const ELSEWHERE: [(&str, &str); 13] = [
    ("api_key", "keys"),
    ("api_keys", "keys"),
    ("token", "keys"),
    ("tokens", "keys"),
    ("url", "base_url"),
    ("endpoint", "base_url"),
    ("api_base", "base_url"),
    ("api_base_url", "base_url"),
    ("type", "protocol"),
    ("model_list", "models"),
    ("model", "target"),
    ("timeout", "timeouts"),
    ("router", "routes"),
];

/// What was probably meant, or what is possible.
pub(crate) fn suggestion(field: &str, expected: &[&str], what: &str) -> String {
    let field = field.to_lowercase();
    let elsewhere =
        ELSEWHERE.iter().find(|(word, ours)| *word == field && expected.contains(ours)).map(|(_, ours)| ours);
    let near = expected.iter().min_by_key(|known| distance(&field, known));
    let near = near.filter(|known| distance(&field, known) <= (field.chars().count() / 3).clamp(1, 2));
    match elsewhere.or(near) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if expected.is_empty() => String::new(),
        None => format!("{what}: {}", listed(expected)),
    }
}

/// Number of changed, added, left out or swapped characters, for suggestions.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // The rows of the last two characters of `a` and the one that is made.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let changed = last[j] + usize::from(a[i] != b[j]);
            let swapped = i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j];
            let swapped = if swapped { before[j - 1] + 1 } else { usize::MAX };
            row.push(changed.min(last[j + 1] + 1).min(row[j] + 1).min(swapped));
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[derive(Clone, Copy)]
struct In<'t> {
    node: &'t Node,
}

impl<'t> In<'t> {
    fn scalar(self, expected: &dyn de::Expected) -> Result<(&'t str, bool), Error> {
        match &self.node.kind {
            Kind::Scalar { text, plain } => Ok((text, *plain)),
            Kind::List(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, expected)),
            Kind::Map(_) => Err(de::Error::invalid_type(de::Unexpected::Map, expected)),
        }
    }

    fn number<T: std::str::FromStr>(self, expected: &str) -> Result<T, Error> {
        let (text, _) = self.scalar(&expected)?;
        // 1_000 is a number in many configuration languages, and unmistakable.
        text.replace('_', "").parse().map_err(|_| Error::new(format!("expected {expected}")))
    }

    fn list<V: Visitor<'t>>(self, items: &'t [Node], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { items: items.iter().enumerate() })
    }

    fn entries<V: Visitor<'t>>(self, entries: &'t [Entry], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Entries { entries: entries.iter(), current: None })
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty, $least:expr;)*) => {$(
        fn $method<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.number::<$type>(&format!("a number from {} to {}", $least, <$type>::MAX))?)
        }
    )*};
}

impl<'t> Deserializer<'t> for In<'t> {
    type Error = Error;

    /// The type follows from the text, as in YAML's core schema.
    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() {
            return visitor.visit_unit();
        }
        match &self.node.kind {
            Kind::List(items) => self.list(items, visitor),
            Kind::Map(entries) => self.entries(entries, visitor),
            Kind::Scalar { text, plain: false } => visitor.visit_str(text),
            Kind::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => visitor.visit_bool(true),
                "false" | "False" | "FALSE" => visitor.visit_bool(false),
                text => {
                    if let Ok(number) = text.parse::<i64>() {
                        visitor.visit_i64(number)
                    } else if let Some(number) = float(text) {
                        visitor.visit_f64(number)
                    } else {
                        visitor.visit_str(text)
                    }
                }
            },
        }
    }

    fn deserialize_bool<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        let (text, _) = self.scalar(&visitor)?;
        match text {
            "true" | "True" | "TRUE" => visitor.visit_bool(true),
            "false" | "False" | "FALSE" => visitor.visit_bool(false),
            _ => Err(Error::new("expected `true` or `false`")),
        }
    }

    numbers! {
        deserialize_i8 visit_i8 i8, i8::MIN;
        deserialize_i16 visit_i16 i16, i16::MIN;
        deserialize_i32 visit_i32 i32, i32::MIN;
        deserialize_i64 visit_i64 i64, i64::MIN;
        deserialize_u8 visit_u8 u8, u8::MIN;
        deserialize_u16 visit_u16 u16, u16::MIN;
        deserialize_u32 visit_u32 u32, u32::MIN;
        deserialize_u64 visit_u64 u64, u64::MIN;
    }

    fn deserialize_f32<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f32(self.number("a number")?)
    }

    fn deserialize_f64<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(self.number("a number")?)
    }

    fn deserialize_str<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() {
            return Err(de::Error::invalid_type(de::Unexpected::Unit, &visitor));
        }
        let (text, _) = self.scalar(&visitor)?;
        visitor.visit_str(text)
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name != UNTYPED {
            return visitor.visit_newtype_struct(self);
        }
        match &self.node.kind {
            _ if self.node.is_null() => visitor.visit_unit(),
            Kind::List(items) => self.list(items, visitor),
            Kind::Map(entries) => self.entries(entries, visitor),
            Kind::Scalar { text, .. } => visitor.visit_str(text),
        }
    }

    fn deserialize_seq<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::List(items) => self.list(items, visitor),
            _ if self.node.is_null() => self.list(&[], visitor),
            Kind::Map(_) => Err(de::Error::invalid_type(de::Unexpected::Map, &"a list")),
            Kind::Scalar { .. } => {
                Err(Error { remedy: "write it as `[…]`".into(), ..Error::new("expected a list, found a text") })
            }
        }
    }

    fn deserialize_map<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Map(entries) => self.entries(entries, visitor),
            _ if self.node.is_null() => self.entries(&[], visitor),
            Kind::List(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &"a map")),
            Kind::Scalar { .. } => Err(Error::new("expected a map (`key: value`), found a text")),
        }
    }

    fn deserialize_struct<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (text, _) = self.scalar(&"one of some words")?;
        let word: StrDeserializer<'_, Error> = text.into_deserializer();
        visitor.visit_enum(word)
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'t>>
        i128 u128 char bytes byte_buf unit_struct tuple tuple_struct ignored_any
    }

    fn deserialize_string<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }
}

/// A number with a point or exponent; words such as `inf` and `nan` are texts.
fn float(text: &str) -> Option<f64> {
    let digits = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    let number: f64 = text.parse().ok().filter(|_| digits)?;
    number.is_finite().then_some(number)
}

struct Items<'t> {
    items: std::iter::Enumerate<std::slice::Iter<'t, Node>>,
}

impl<'t> de::SeqAccess<'t> for Items<'t> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((at, node)) = self.items.next() else { return Ok(None) };
        seed.deserialize(In { node }).map(Some).map_err(|error| error.under(Step::Index(at)))
    }
}

struct Entries<'t> {
    entries: std::slice::Iter<'t, Entry>,
    current: Option<&'t Entry>,
}

impl<'t> de::MapAccess<'t> for Entries<'t> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.current = self.entries.next();
        let Some(entry) = self.current else { return Ok(None) };
        let key: StrDeserializer<'_, Error> = entry.key.as_str().into_deserializer();
        seed.deserialize(key)
            .map(Some)
            .map_err(|error| if error.path.is_empty() { error.under(Step::Key(entry.key.clone())) } else { error })
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(entry) = self.current else { return Err(Error::new("a key without a value")) };
        seed.deserialize(In { node: &entry.value }).map_err(|error| error.under(Step::Key(entry.key.clone())))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    use serde::Deserialize;

    use super::super::tree::parse;
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        name: Option<String>,
        port: Option<u16>,
        on: bool,
        share: Option<f64>,
        mode: Option<Mode>,
        list: Vec<Inner>,
        map: BTreeMap<String, Inner>,
        any: serde_json::Value,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        size: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
        Slow,
    }

    fn sample(text: &str) -> (Sample, Vec<String>) {
        let mut tree = parse(text, &Arc::from(Path::new("p.yaml"))).unwrap();
        let mut problems = Vec::new();
        let sample = read(&mut tree, &mut problems);
        (sample, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn types_follow_from_what_is_wanted() {
        let (sample, problems) = sample(
            "name: 1.10\nport: 8_080\non: true\nshare: 2\nmode: fast\nlist: [{ size: 1 }]\nany: { a: [1, '2', 2.5, ~] }\n",
        );
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(sample.name.as_deref(), Some("1.10"));
        assert_eq!(sample.port, Some(8080));
        assert_eq!(sample.share, Some(2.0));
        assert_eq!(sample.mode, Some(Mode::Fast));
        assert_eq!(sample.any, serde_json::json!({ "a": [1, "2", 2.5, null] }));
    }

    #[test]
    fn suggestions_are_near_or_known_from_elsewhere() {
        let keys = ["keys", "base_url", "port", "host"];
        for (word, meant) in [
            ("prot", "port"),
            ("Host", "host"),
            ("key", "keys"),
            ("api_key", "keys"),
            ("url", "base_url"),
            ("bse_ulr", "base_url"),
        ] {
            assert_eq!(suggestion(word, &keys, "keys here"), format!("did you mean `{meant}`?"));
        }
        assert_eq!(suggestion("cors", &keys, "keys here"), "keys here: `keys`, `base_url`, `port`, `host`");
        for (a, b, expected) in [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("ab", "ba", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn all_mistakes_are_found_with_their_places() {
        let (_, problems) = sample(
            "nam: x\nport: 99999\non: yes\nmode: quick\nlist: [{ size: 1 }, { sise: 2 }, sk-secret]\nmap:\n  a: { size: big }\n  b: [1]\n",
        );
        let expected = [
            "p.yaml:1:1: error: nam: unknown key `nam`; did you mean `name`?",
            "p.yaml:2:7: error: port: expected a number from 0 to 65535",
            "p.yaml:3:5: error: on: expected `true` or `false`",
            "p.yaml:4:7: error: mode: expected one of `fast`, `slow`",
            "p.yaml:5:23: error: list[1].sise: unknown key `sise`; did you mean `size`?",
            "p.yaml:5:34: error: list[2]: expected a map (`key: value`), found a text",
            "p.yaml:7:14: error: map.a.size: expected a number from 0 to 4294967295",
            "p.yaml:8:3: error: map.b: expected a map, found a list",
        ];
        assert_eq!(problems, expected);
    }
}
