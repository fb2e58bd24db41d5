//! The scanner as a source for `serde`: wire objects are read with it, and their strings are where a general parser spends its time.
//!
//! It says only that something is wrong, not what: whoever wants words reads the text again with `serde_json`, which also is asked for
//! everything that is neither a string nor a container, so that both always mean the same.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Error;

use super::{Broken, Scan, What};
use crate::json::MAX_DEPTH;

/// Reads one JSON text.
pub(crate) struct Reader<'de> {
    scan: Scan<'de>,
    /// Containers that are open.
    depth: usize,
}

impl From<Broken> for Error {
    #[cold]
    fn from(_: Broken) -> Self {
        Self::custom("not as expected")
    }
}

impl<'de> Reader<'de> {
    pub(crate) fn new(text: &'de str) -> Self {
        Self { scan: Scan::new(text), depth: 0 }
    }

    /// Nothing may follow.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        Ok(self.scan.end()?)
    }

    /// The first byte of the next value.
    fn first(&mut self) -> Option<u8> {
        self.scan.space();
        self.scan.peek()
    }

    /// The next value as it stands.
    fn verbatim(&mut self) -> Result<&'de str, Error> {
        let place = self.scan.value(self.depth)?;
        Ok(self.scan.text.get(place).unwrap_or_default())
    }

    fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.scan.space();
        match self.scan.decoded()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.open(b'{')?;
        let value = visitor.visit_map(Items { reader: self, last: b'}', fresh: true })?;
        self.close(b'}')?;
        Ok(value)
    }

    fn seq<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.open(b'[')?;
        let value = visitor.visit_seq(Items { reader: self, last: b']', fresh: true })?;
        self.close(b']')?;
        Ok(value)
    }

    fn open(&mut self, byte: u8) -> Result<(), Broken> {
        self.scan.take(byte, "")?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Broken { at: self.scan.at, what: What::TooDeep });
        }
        Ok(())
    }

    fn close(&mut self, byte: u8) -> Result<(), Broken> {
        self.depth -= 1;
        self.scan.take(byte, "")
    }
}

/// The rest of a container.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    /// The byte that ends it.
    last: u8,
    /// Nothing was read yet.
    fresh: bool,
}

impl Items<'_, '_> {
    /// Goes to the next item; false if there is none.
    fn advance(&mut self) -> Result<bool, Broken> {
        if self.reader.first() == Some(self.last) {
            return Ok(false);
        }
        if !std::mem::replace(&mut self.fresh, false) {
            self.reader.scan.take(b',', "")?;
        }
        Ok(true)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if !self.advance()? {
            return Ok(None);
        }
        if self.reader.first() != Some(b'"') {
            self.reader.scan.expected::<()>("a name in quotes")?;
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        self.reader.scan.take(b':', "")?;
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.advance()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

/// Hands single values to `serde_json`.
macro_rules! general {
    ($($method:ident($($arg:ident: $ty:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, Error> {
            serde_json::Deserializer::from_str(self.verbatim()?).$method($($arg,)* visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.first() {
            Some(b'"') => self.string(visitor),
            Some(b'{') => self.map(visitor),
            Some(b'[') => self.seq(visitor),
            _ => serde_json::Deserializer::from_str(self.verbatim()?).deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.string(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.string(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.map(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.first() == Some(b'[') { self.seq(visitor) } else { self.map(visitor) }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.first() == Some(b'n') {
            self.scan.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.verbatim()?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        let text = self.verbatim()?;
        if !name.starts_with("$serde_json::private::") {
            return serde_json::Deserializer::from_str(text).deserialize_newtype_struct(name, visitor);
        }
        // This is how `serde_json` asks for verbatim JSON. It is checked already, so its own parser need not see it; should it one day
        // ask otherwise, this fails and the text is read again.
        let member = (BorrowedStrDeserializer::new(name), BorrowedStrDeserializer::new(text));
        visitor.visit_map(MapDeserializer::new(std::iter::once(member)))
    }

    general! {
        deserialize_bool()
        deserialize_i8()
        deserialize_i16()
        deserialize_i32()
        deserialize_i64()
        deserialize_u8()
        deserialize_u16()
        deserialize_u32()
        deserialize_u64()
        deserialize_f32()
        deserialize_f64()
        deserialize_char()
        deserialize_bytes()
        deserialize_byte_buf()
        deserialize_unit()
        deserialize_unit_struct(name: &'static str)
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }
}

/// Appends a part of `text` that ends before a quote or an escape. These are short: a block of fixed size, cut afterwards, costs less than
/// a call that copies as many bytes as there are.
#[inline]
fn push_run(out: &mut String, text: &str, from: usize, to: usize) {
    const BLOCK: usize = 32;
    match text.get(from..from + BLOCK) {
        Some(block) if to - from <= BLOCK => {
            let end = out.len() + (to - from);
            out.push_str(block);
            out.truncate(end);
        }
        _ => out.push_str(text.get(from..to).unwrap_or_default()),
    }
}

impl<'a> Scan<'a> {
    /// A string without its escapes.
    fn decoded(&mut self) -> Result<Cow<'a, str>, Broken> {
        self.take(b'"', "a string")?;
        let mut from = self.at;
        self.at = self.marks.next(from);
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(self.text.get(from..self.at - 1).unwrap_or_default()));
        }
        let mut out = String::with_capacity(256.max(2 * (self.at - from)));
        loop {
            push_run(&mut out, self.text, from, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(out));
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.character()?);
                }
                _ => return self.expected("no control character in a string"),
            }
            from = self.at;
            self.at = self.marks.next(from);
        }
    }

    /// What an escape stands for.
    fn character(&mut self) -> Result<char, Broken> {
        let found = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => return self.unicode(),
            _ => return self.expected("a known escape"),
        };
        self.at += 1;
        Ok(found)
    }

    /// `u` and four digits, or two such halves of one character.
    fn unicode(&mut self) -> Result<char, Broken> {
        let first = self.half()?;
        let code = match first {
            0xd800..0xdc00 if self.peek() == Some(b'\\') => {
                self.at += 1;
                let second = self.half()?;
                if !(0xdc00..0xe000).contains(&second) {
                    return self.expected("the other half of a character");
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            whole => whole,
        };
        char::from_u32(code).map_or_else(|| self.expected("a character"), Ok)
    }

    fn half(&mut self) -> Result<u32, Broken> {
        let from = self.at;
        self.escape()?;
        // `escape` took `u` and four digits, or a shorter escape that is no number.
        let digits = self.text.get(from + 1..self.at).unwrap_or_default();
        u32::from_str_radix(digits, 16).or_else(|_| self.expected("four hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
        let mut reader = Reader::new(text);
        let value = T::deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    #[test]
    fn all_escapes_are_undone() {
        for text in [
            r#""a\"b\\c\/d\be\ff\ng\rh\ti""#,
            r#""\u0041\u00e9\u4f60\ud83d\ude42\u0000""#,
            r#""plain 你 🙂""#,
            r#""""#,
            r#" "\n" "#,
        ] {
            assert_eq!(read::<String>(text).unwrap(), serde_json::from_str::<String>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_not_read() {
        for text in [
            "",
            "{",
            "[1,]",
            "[,1]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{1:1}",
            "{\"a\":1}x",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\n\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"\\u12\"",
            "\"a",
            "\"a\\",
            "\"\u{1}\"",
            "[1 2]",
            "[01]",
            "nul",
            "[1}",
            "{\"a\":1]",
        ] {
            assert!(read::<Value>(text).is_err(), "{text}");
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(read::<serde::de::IgnoredAny>(&deep(MAX_DEPTH)).is_ok());
        assert!(read::<serde::de::IgnoredAny>(&deep(MAX_DEPTH + 1)).is_err());
        assert!(read::<Value>(&deep(MAX_DEPTH + 1)).is_err());
    }

    #[derive(Debug, Deserialize)]
    struct Sample<'a> {
        #[serde(borrow)]
        raw: &'a RawValue,
        #[serde(borrow)]
        text: Cow<'a, str>,
        number: Option<f64>,
        list: Vec<Option<i64>>,
        yes: bool,
    }

    #[test]
    fn typed_members_and_verbatim_ones_are_read() {
        let text = r#" { "raw" : {"b": [1, 2.50]} , "text":"a\nb","number":3,"list":[1,null,-2],"yes":true,"more":{"x":[]} } "#;
        let sample: Sample<'_> = read(text).unwrap();
        assert_eq!(sample.raw.get(), r#"{"b": [1, 2.50]}"#);
        assert_eq!((&*sample.text, sample.number, sample.yes), ("a\nb", Some(3.0), true));
        assert_eq!(sample.list, [Some(1), None, Some(-2)]);
        assert!(read::<Sample<'_>>(r#"{"raw":1,"text":2,"list":[],"yes":true}"#).is_err());
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[\u{0}-\u{24}\\\\a-zé你\u{2028}\u{1F642}]{0,60}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec(("[a-z\"\\\\\n]{0,4}", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_a_general_parser_reads(value in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let general: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read::<Value>(&text).unwrap(), general);
        }

        #[test]
        fn agrees_on_any_text(text in "[\\[\\]{}:,\"\\\\0-9eE.+ntrueflsa \n\u{1}é-]{0,24}") {
            prop_assert_eq!(read::<Value>(&text).ok(), serde_json::from_str::<Value>(&text).ok());
        }
    }
}
