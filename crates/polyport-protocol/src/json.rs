//! JSON in and out: borrowed reading that keeps unknown members, and a writer that splices verbatim text.
//!
//! Reading: `wire!` declares a wire object. Its members are read in one pass into borrowed values; members it does not name are
//! kept as raw text in `extra`. `#[serde(flatten)]`, `untagged` and internally tagged enums are avoided on purpose: they
//! buffer the whole value into a private tree, which costs most on large bodies and breaks raw text.
//!
//! Writing: [`JsonWriter`] appends to a buffer; strings are escaped, verbatim JSON is copied.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use bytestring::ByteString;
use polyport_types::{Extras, RawJson, Text};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::DecodeError;
use crate::scan::marks::Marks;

/// A JSON string that borrows from the body when it holds no escape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Str<'a>(pub Cow<'a, str>);

impl Str<'_> {
    /// The text as a slice of `body` where it borrows from it, otherwise owned.
    #[must_use]
    pub fn to_text(&self, body: &Text) -> Text {
        match &self.0 {
            // Short strings are cheaper to copy than to count.
            Cow::Borrowed(text) if text.len() > 64 => body.slice_ref(text),
            Cow::Borrowed(text) => Text::from(*text),
            Cow::Owned(text) => Text::from(text.as_str()),
        }
    }

    /// The same, giving the owned text away.
    #[must_use]
    pub fn into_text(self, body: &Text) -> Text {
        match self.0 {
            Cow::Borrowed(text) if text.len() > 64 => body.slice_ref(text),
            Cow::Borrowed(text) => Text::from(text),
            Cow::Owned(text) => Text::from(text),
        }
    }
}

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StrVisitor;
        impl<'de> Visitor<'de> for StrVisitor {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Borrowed(v)))
            }

            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(v.to_owned())))
            }

            fn visit_string<E>(self, v: String) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(v)))
            }
        }
        deserializer.deserialize_str(StrVisitor)
    }
}

/// A member that is either a string or a list (`content`, `input`, `system`, `stop`).
#[derive(Clone, Debug, PartialEq)]
pub enum OneOrMany<'a, T> {
    /// A string.
    One(Str<'a>),
    /// A list.
    Many(Vec<T>),
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrManyVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
            type Value = OneOrMany<'de, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array")
            }

            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(OneOrMany::One(Str(Cow::Borrowed(v))))
            }

            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(OneOrMany::One(Str(Cow::Owned(v.to_owned()))))
            }

            fn visit_string<E>(self, v: String) -> Result<Self::Value, E> {
                Ok(OneOrMany::One(Str(Cow::Owned(v))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(64));
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(OneOrMany::Many(items))
            }
        }
        deserializer.deserialize_any(OneOrManyVisitor(std::marker::PhantomData))
    }
}

/// Members of an object that its declaration does not name.
pub type Extra<'a> = Vec<(Str<'a>, &'a RawValue)>;

/// A map in the order received.
#[derive(Clone, Debug, PartialEq)]
pub struct Pairs<'a, T>(pub Vec<(Str<'a>, T)>);

impl<T> Default for Pairs<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Pairs<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for PairsVisitor<T> {
            type Value = Pairs<'de, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(key) = map.next_key::<Str<'de>>()? {
                    pairs.push((key, map.next_value()?));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor(std::marker::PhantomData))
    }
}

/// An integer that may be written as a number (also `3.0`) or as a decimal string, as proto JSON allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Int(pub i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntVisitor;
        impl Visitor<'_> for IntVisitor {
            type Value = Int;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer")
            }

            fn visit_i64<E>(self, v: i64) -> Result<Int, E> {
                Ok(Int(v))
            }

            fn visit_u64<E>(self, v: u64) -> Result<Int, E> {
                Ok(Int(i64::try_from(v).unwrap_or(i64::MAX)))
            }

            fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Int, E> {
                // 2^53: beyond it a double does not name one integer.
                if v.fract() == 0.0 && v.abs() <= 9_007_199_254_740_992.0 {
                    #[allow(clippy::cast_possible_truncation, reason = "checked to be integral and in range")]
                    return Ok(Int(v as i64));
                }
                Err(E::custom(format!("{v} is not an integer")))
            }

            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Int, E> {
                v.trim().parse().map(Int).map_err(|_| E::custom("expected an integer"))
            }
        }
        deserializer.deserialize_any(IntVisitor)
    }
}

impl Int {
    /// As a count; negative becomes zero.
    #[must_use]
    pub fn count(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }
}

/// Declares wire objects: every named member is optional (`null` is absent), the last of repeated members wins, the rest goes to
/// `extra`. Several names for one member (`"systemInstruction" | "system_instruction"`) are alternatives.
///
/// ```ignore
/// wire! {
///     /// A content part.
///     pub(crate) struct ContentPart<'a> {
///         kind: Str<'a> = "type",
///         text: Str<'a> = "text",
///     }
/// }
/// ```
/// gives `kind: Option<Str<'a>>`, `text: Option<Str<'a>>` and `extra: Extra<'a>`.
macro_rules! wire {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident<$lt:lifetime> {
            $($(#[$field_meta:meta])* $field:ident : $ty:ty = $($key:literal)|+,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        $vis struct $name<$lt> {
            $($(#[$field_meta])* $vis $field: Option<$ty>,)*
            /// Members not named above, in order.
            #[allow(dead_code, reason = "not every object hands its unknown members on")]
            $vis extra: $crate::json::Extra<$lt>,
        }

        impl<'de: $lt, $lt> serde::de::Deserialize<'de> for $name<$lt> {
            fn deserialize<D: serde::de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ObjectVisitor<$lt>(std::marker::PhantomData<&$lt ()>);
                impl<'de: $lt, $lt> serde::de::Visitor<'de> for ObjectVisitor<$lt> {
                    type Value = $name<$lt>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut object = $name::default();
                        while let Some(key) = map.next_key::<$crate::json::Str<'de>>()? {
                            match &*key {
                                $($($key)|+ => object.$field = map.next_value()?,)*
                                _ => object.extra.push((key, map.next_value()?)),
                            }
                        }
                        Ok(object)
                    }
                }
                deserializer.deserialize_map(ObjectVisitor(std::marker::PhantomData))
            }
        }
    )*};
}
pub(crate) use wire;

/// Reads a value. On failure it is read again, by a general parser that names the mistake.
///
/// # Errors
/// The general parser's.
pub(crate) fn from_json<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    let mut reader = crate::scan::reader::Reader::new(text);
    if let Ok(value) = T::deserialize(&mut reader)
        && reader.end().is_ok()
    {
        return Ok(value);
    }
    serde_json::from_str(text)
}

/// Reads a whole body. On failure it is read again, by a general parser that names the mistake and its path.
///
/// # Errors
/// [`DecodeError`] with the path (`messages[2].role`) and the parser's words, or for JSON that is nested deeper than [`MAX_DEPTH`].
pub(crate) fn from_text<'a, T: Deserialize<'a>>(body: &'a Text) -> Result<T, DecodeError> {
    let mut reader = crate::scan::reader::Reader::new(body);
    if let Ok(value) = T::deserialize(&mut reader)
        && reader.end().is_ok()
    {
        return Ok(value);
    }
    check_depth(body.as_bytes())?;
    match serde_json::from_str(body) {
        Ok(value) => Ok(value),
        Err(error) => {
            let mut deserializer = serde_json::Deserializer::from_str(body);
            let path = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
                Ok(_) => String::new(),
                Err(located) if error.is_data() => match located.path().to_string() {
                    path if path == "." => String::new(),
                    path => path,
                },
                Err(_) => String::new(),
            };
            Err(DecodeError { path, message: sentence(&error) })
        }
    }
}

/// The parser's message as a sentence a user can act on.
fn sentence(error: &serde_json::Error) -> String {
    if error.is_data() { error.to_string() } else { format!("the body is not valid JSON: {error}") }
}

/// Checks that a body is UTF-8 and makes it shareable text without a copy.
///
/// # Errors
/// [`DecodeError`] naming the byte.
pub fn body_text(body: bytes::Bytes) -> Result<Text, DecodeError> {
    utf8(&body)?;
    // `ByteString` checks again: cheap beside the parse, and the only safe way to it.
    ByteString::try_from(body).map_err(|_| DecodeError::body("the body is not valid UTF-8"))
}

/// A body as text.
///
/// # Errors
/// [`DecodeError`] naming the first byte that is not UTF-8.
pub fn utf8(body: &[u8]) -> Result<&str, DecodeError> {
    simdutf8::compat::from_utf8(body).map_err(|error| {
        DecodeError::body(format!("the body is not valid UTF-8 (first wrong byte at {})", error.valid_up_to()))
    })
}

/// Refuses JSON that is nested deeper than [`MAX_DEPTH`].
///
/// # Errors
/// [`DecodeError`] naming the byte.
pub fn check_depth(json: &[u8]) -> Result<(), DecodeError> {
    refuse_deeper(json, MAX_DEPTH)
}

/// Refuses a body that is nested deeper than `limit`, where that is less than what every decoder refuses by itself.
///
/// # Errors
/// [`DecodeError`] naming the byte.
pub fn check_depth_below(json: &[u8], limit: usize) -> Result<(), DecodeError> {
    if limit < MAX_DEPTH { refuse_deeper(json, limit) } else { Ok(()) }
}

fn refuse_deeper(json: &[u8], limit: usize) -> Result<(), DecodeError> {
    match deeper_than(json, limit) {
        None => Ok(()),
        Some(at) => Err(DecodeError::body(format!("the body is nested deeper than {limit} levels at byte {}", at + 1))),
    }
}

/// Deepest nesting of a body.
pub const MAX_DEPTH: usize = 128;

/// Where JSON is nested deeper than [`MAX_DEPTH`], as a byte offset. Opaque values are carried as text, so no parser of ours would
/// notice; those of others would.
#[must_use]
pub fn too_deep(json: &[u8]) -> Option<usize> {
    deeper_than(json, MAX_DEPTH)
}

fn deeper_than(json: &[u8], limit: usize) -> Option<usize> {
    let mut marks = Marks::new(json);
    let mut depth: usize = 0;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                at = crate::scan::string_end(&mut marks, at + 1, json);
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return Some(at);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Verbatim JSON as a slice of `body`.
#[must_use]
pub(crate) fn raw(value: &RawValue, body: &Text) -> RawJson {
    let text = value.get();
    RawJson::from_valid(if text.len() > 64 { body.slice_ref(text) } else { Text::from(text) })
}

/// Unknown members as [`Extras`].
#[must_use]
pub(crate) fn extras(extra: Extra<'_>, body: &Text) -> Extras {
    extra.into_iter().map(|(key, value)| (key.into_text(body), raw(value, body))).collect()
}

/// Reads a string out of raw JSON; `None` if it is something else.
#[must_use]
pub(crate) fn raw_str<'a>(value: &'a RawValue) -> Option<Cow<'a, str>> {
    serde_json::from_str::<Str<'a>>(value.get()).ok().map(|text| text.0)
}

/// Makes the JSON that begins at `from` one line, as an event wants it: verbatim JSON may have line ends between its tokens, and
/// nowhere else, for strings hold them escaped.
pub(crate) fn one_line(out: &mut [u8], from: usize) {
    let Some(json) = out.get_mut(from..) else { return };
    if memchr::memchr2(b'\n', b'\r', json).is_some() {
        json.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    }
}

/// Appends JSON to a buffer. Members and elements get their commas by themselves.
///
/// ```ignore
/// let mut w = JsonWriter::new(&mut buffer);
/// w.object(|w| {
///     w.str("type", "text");
///     w.opt_f64("temperature", None);
/// });
/// ```
#[derive(Debug)]
pub struct JsonWriter<'b> {
    out: &'b mut Vec<u8>,
    /// Whether the next member or element needs a comma before it.
    comma: bool,
}

impl<'b> JsonWriter<'b> {
    /// Writes to the end of `out`.
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out, comma: false }
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }

    /// A member name; its value must follow.
    pub fn key(&mut self, name: &str) {
        self.separate();
        write_str(self.out, name);
        self.out.push(b':');
        self.comma = false;
    }

    /// `{ … }` as a value.
    pub fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push(b'{');
        self.comma = false;
        members(self);
        self.out.push(b'}');
        self.comma = true;
    }

    /// `[ … ]` as a value.
    pub fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push(b'[');
        self.comma = false;
        elements(self);
        self.out.push(b']');
        self.comma = true;
    }

    /// A string value.
    pub fn string(&mut self, value: &str) {
        self.separate();
        write_str(self.out, value);
    }

    /// A string value of two texts joined, without building them first (data URLs).
    pub fn string_concat(&mut self, pieces: &[&str]) {
        self.separate();
        self.out.push(b'"');
        for piece in pieces {
            write_escaped(self.out, piece);
        }
        self.out.push(b'"');
    }

    /// Verbatim JSON as a value.
    pub fn raw_value(&mut self, json: &str) {
        self.separate();
        self.out.extend_from_slice(json.as_bytes());
    }

    /// `null` as a value.
    pub fn null_value(&mut self) {
        self.raw_value("null");
    }

    /// A number as a value.
    pub fn number(&mut self, value: impl Number) {
        self.separate();
        value.write(self.out);
    }

    /// `"name":{…}`.
    pub fn object_field(&mut self, name: &str, members: impl FnOnce(&mut Self)) {
        self.key(name);
        self.object(members);
    }

    /// `"name":[…]`.
    pub fn array_field(&mut self, name: &str, elements: impl FnOnce(&mut Self)) {
        self.key(name);
        self.array(elements);
    }

    /// `"name":"value"`.
    pub fn str(&mut self, name: &str, value: &str) {
        self.key(name);
        self.string(value);
    }

    /// `"name":"value"` unless absent.
    pub fn opt_str(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.str(name, value);
        }
    }

    /// `"name":json`, verbatim.
    pub fn raw(&mut self, name: &str, json: &RawJson) {
        self.key(name);
        self.raw_value(json.as_str());
    }

    /// `"name":json` unless absent.
    pub fn opt_raw(&mut self, name: &str, json: Option<&RawJson>) {
        if let Some(json) = json {
            self.raw(name, json);
        }
    }

    /// `"name":true`.
    pub fn bool(&mut self, name: &str, value: bool) {
        self.key(name);
        self.raw_value(if value { "true" } else { "false" });
    }

    /// `"name":true` unless absent.
    pub fn opt_bool(&mut self, name: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.bool(name, value);
        }
    }

    /// `"name":1`.
    pub fn num(&mut self, name: &str, value: impl Number) {
        self.key(name);
        self.number(value);
    }

    /// `"name":1` unless absent.
    pub fn opt_num(&mut self, name: &str, value: Option<impl Number>) {
        if let Some(value) = value {
            self.num(name, value);
        }
    }

    /// `"name":null`.
    pub fn null(&mut self, name: &str) {
        self.key(name);
        self.null_value();
    }

    /// Every member of `ext`, verbatim.
    pub fn extras(&mut self, ext: &Extras) {
        for (name, value) in ext.iter() {
            self.raw(name, value);
        }
    }
}

/// Numbers [`JsonWriter`] can write.
pub trait Number {
    /// Appends the number.
    fn write(self, out: &mut Vec<u8>);
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl Number for $ty {
            fn write(self, out: &mut Vec<u8>) {
                use std::io::Write as _;
                // Writing to a Vec cannot fail.
                write!(out, "{self}").ok();
            }
        }
    )*};
}
integers!(u16, u32, u64, usize, i32, i64);

impl Number for f64 {
    fn write(self, out: &mut Vec<u8>) {
        if self.is_finite() {
            // Writing to a Vec cannot fail. A whole number keeps the form most clients sent it in: `1`, not `1.0`.
            if self.fract() == 0.0 && self.abs() < 1e15 {
                #[allow(clippy::cast_possible_truncation, reason = "checked to be integral and in range")]
                (self as i64).write(out);
            } else {
                serde_json::to_writer(out, &self).ok();
            }
        } else {
            out.extend_from_slice(b"null");
        }
    }
}

/// Appends a JSON string with its quotes.
pub fn write_str(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Appends the first `length` bytes of `text`. Runs of text between two escapes are short: a block of fixed size, cut afterwards, costs
/// less than a call that copies as many bytes as there are.
#[inline]
fn push_run(out: &mut Vec<u8>, text: &[u8], length: usize) {
    match text.first_chunk::<32>() {
        Some(block) if length <= block.len() => {
            let end = out.len() + length;
            out.extend_from_slice(block);
            out.truncate(end);
        }
        _ => out.extend_from_slice(text.get(..length).unwrap_or(text)),
    }
}

/// Appends the inside of a JSON string.
fn write_escaped(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut marks = Marks::new(bytes);
    let mut from = 0;
    loop {
        let at = marks.next(from);
        push_run(out, bytes.get(from..).unwrap_or_default(), at - from);
        let Some(&byte) = bytes.get(at) else { return };
        from = at + 1;
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            other => {
                out.extend_from_slice(b"\\u00");
                out.extend([other >> 4, other & 0xf].iter().filter_map(|&digit| HEX.get(usize::from(digit))));
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_are_escaped_as_by_a_general_writer(text in "[\u{0}-\u{24}\\\\a-zé你\u{2028}\u{1F642}\u{7f}]{0,60}") {
            let mut out = Vec::new();
            write_str(&mut out, &text);
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }
}
