//! Walks over JSON without building anything from it: is it JSON, is it nested too deeply, where do its members stand?
//!
//! Bodies that pass through are read only this way. A general parser spends most of its time in the strings of a prompt, which hold an
//! escape every few dozen bytes; here plain text is skipped in blocks, see `marks`.

pub(crate) mod marks;
pub(crate) mod reader;

use std::borrow::Cow;
use std::ops::Range;

use crate::DecodeError;
use crate::json::MAX_DEPTH;
use marks::Marks;

/// A member of an object: its name, and where its value stands in the text.
pub type Member<'a> = (Cow<'a, str>, Range<usize>);

/// The members of a JSON object, which is checked to its end.
///
/// # Errors
/// [`DecodeError`] if the text is anything but one JSON object, or is nested deeper than [`MAX_DEPTH`].
pub fn members(text: &str) -> Result<Vec<Member<'_>>, DecodeError> {
    let mut scan = Scan::new(text);
    scan.members().map_err(|broken| broken.told(text))
}

/// The members of each object of a JSON array, which is checked to its end; places count from the start of `text`.
///
/// # Errors
/// [`DecodeError`] if the text is anything but one JSON array of objects, or is nested deeper than [`MAX_DEPTH`].
pub fn objects(text: &str) -> Result<Vec<Vec<Member<'_>>>, DecodeError> {
    let mut scan = Scan::new(text);
    scan.objects().map_err(|broken| broken.told(text))
}

/// Bytes up to and with the quote that ends a string whose first quote stands before `from`. Nothing is checked.
pub(crate) fn string_end(marks: &mut Marks<'_>, from: usize, bytes: &[u8]) -> usize {
    let mut at = from;
    loop {
        at = marks.next(at);
        match bytes.get(at) {
            None => return bytes.len(),
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// Why a text is not what it should be.
struct Broken {
    at: usize,
    what: What,
}

enum What {
    Expected(&'static str),
    End,
    TooDeep,
}

impl Broken {
    #[cold]
    fn told(&self, text: &str) -> DecodeError {
        let before = text.as_bytes().get(..self.at).unwrap_or(text.as_bytes());
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
        DecodeError::body(match self.what {
            What::Expected(what) => {
                format!("the body is not valid JSON: expected {what} at line {line} column {column}")
            }
            What::End => format!("the body is not valid JSON: it ends too early, at line {line} column {column}"),
            What::TooDeep => {
                format!("the body is nested deeper than {MAX_DEPTH} levels at byte {}", self.at + 1)
            }
        })
    }
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    marks: Marks<'a>,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, marks: Marks::new(text.as_bytes()) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, Broken> {
        let what = if self.at < self.bytes.len() { What::Expected(what) } else { What::End };
        Err(Broken { at: self.at, what })
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// White space, then this byte.
    fn take(&mut self, byte: u8, what: &'static str) -> Result<(), Broken> {
        self.space();
        if self.peek() != Some(byte) {
            return self.expected(what);
        }
        self.at += 1;
        Ok(())
    }

    /// White space, then this byte if it is there.
    fn took(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn end(&mut self) -> Result<(), Broken> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { self.expected("the end of the body") }
    }

    fn members(&mut self) -> Result<Vec<Member<'a>>, Broken> {
        let members = self.object(1)?;
        self.end()?;
        Ok(members)
    }

    fn objects(&mut self) -> Result<Vec<Vec<Member<'a>>>, Broken> {
        let mut objects = Vec::new();
        self.take(b'[', "a JSON array")?;
        if !self.took(b']') {
            loop {
                objects.push(self.object(2)?);
                if !self.took(b',') {
                    self.take(b']', "`,` or `]`")?;
                    break;
                }
            }
        }
        self.end()?;
        Ok(objects)
    }

    /// An object that is the `depth`th from the outside.
    fn object(&mut self, depth: usize) -> Result<Vec<Member<'a>>, Broken> {
        let mut members = Vec::with_capacity(4);
        self.take(b'{', "a JSON object")?;
        if self.took(b'}') {
            return Ok(members);
        }
        loop {
            let name = self.name()?;
            members.push((name, self.value(depth)?));
            if !self.took(b',') {
                self.take(b'}', "`,` or `}`")?;
                return Ok(members);
            }
        }
    }

    /// A member's name and its colon.
    fn name(&mut self) -> Result<Cow<'a, str>, Broken> {
        self.space();
        let from = self.at;
        let escaped = self.string("a name in quotes")?;
        let quoted = self.text.get(from..self.at).unwrap_or_default();
        self.take(b':', "`:`")?;
        if !escaped {
            return Ok(Cow::Borrowed(quoted.trim_matches('"')));
        }
        match serde_json::from_str(quoted) {
            Ok(name) => Ok(Cow::Owned(name)),
            // A lone surrogate.
            Err(_) => Err(Broken { at: from, what: What::Expected("a name without half a character") }),
        }
    }

    /// A value of any kind inside `outer` objects and arrays, and where it stands.
    fn value(&mut self, outer: usize) -> Result<Range<usize>, Broken> {
        // One bit per open object (1) or array (0), innermost last.
        let mut kinds: u128 = 0;
        let mut depth = 0;
        self.space();
        let from = self.at;
        loop {
            self.space();
            match self.peek() {
                Some(b'"') => {
                    self.string("")?;
                }
                Some(open @ (b'{' | b'[')) => {
                    let object = open == b'{';
                    if outer + depth >= MAX_DEPTH {
                        return Err(Broken { at: self.at, what: What::TooDeep });
                    }
                    self.at += 1;
                    if !self.took(if object { b'}' } else { b']' }) {
                        depth += 1;
                        kinds = kinds << 1 | u128::from(object);
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                Some(b'n') => self.word("null")?,
                _ => return self.expected("a value"),
            }
            // A value has ended, and perhaps what it stands in.
            loop {
                if depth == 0 {
                    return Ok(from..self.at);
                }
                let object = kinds & 1 == 1;
                if self.took(b',') {
                    if object {
                        self.key()?;
                    }
                    break;
                }
                if object {
                    self.take(b'}', "`,` or `}`")?;
                } else {
                    self.take(b']', "`,` or `]`")?;
                }
                depth -= 1;
                kinds >>= 1;
            }
        }
    }

    /// A name that is not wanted, and its colon.
    fn key(&mut self) -> Result<(), Broken> {
        self.space();
        self.string("a name in quotes")?;
        self.take(b':', "`:`")
    }

    /// A string; true if it holds an escape.
    fn string(&mut self, what: &'static str) -> Result<bool, Broken> {
        if self.peek() != Some(b'"') {
            return self.expected(what);
        }
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at = self.marks.next(self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                _ => return self.expected("no control character in a string"),
            }
        }
    }

    /// What follows a backslash.
    #[inline]
    fn escape(&mut self) -> Result<(), Broken> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.expected("four hexadecimal digits");
                    }
                    self.at += 1;
                }
                Ok(())
            }
            _ => self.expected("a known escape"),
        }
    }

    fn number(&mut self) -> Result<(), Broken> {
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Broken> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == from { self.expected("a digit") } else { Ok(()) }
    }

    fn word(&mut self, word: &'static str) -> Result<(), Broken> {
        for byte in word.bytes() {
            if self.peek() != Some(byte) {
                return self.expected("a value");
            }
            self.at += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// What a general parser says: the members in order, each with its value.
    fn reference(text: &str) -> Option<Vec<(String, Value)>> {
        match serde_json::from_str(text).ok()? {
            Value::Object(members) => Some(members.into_iter().collect()),
            _ => None,
        }
    }

    fn scanned(text: &str) -> Option<Vec<(String, Value)>> {
        let members = members(text).ok()?;
        Some(
            members
                .into_iter()
                .map(|(name, range)| (name.into_owned(), serde_json::from_str(text.get(range).unwrap()).unwrap()))
                .collect(),
        )
    }

    #[test]
    fn c3_what_is_no_json_object_is_refused_with_its_place() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[]",
            "1",
            "{} {}",
            "{}x",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":+1}",
            "{\"a\":1e}",
            "{\"a\":-}",
            "{\"a\":tru}",
            "{\"a\":truex}",
            "{\"a\":[1,]}",
            "{\"a\":[1}",
            "{\"a\":[1]]",
            "{\"a\":\"\u{1}\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":\"",
            "{\"a\":\"\\",
            "{\"a\":NaN}",
            "{\"a\":1 2}",
            "\u{feff}{}",
        ] {
            assert!(reference(text).is_none(), "{text}");
            assert!(members(text).is_err(), "{text}");
        }
        assert_eq!(
            members("{\n \"a\": ]}").unwrap_err().message,
            "the body is not valid JSON: expected a value at line 2 column 7"
        );
        assert_eq!(
            members("{\"a\":1").unwrap_err().message,
            "the body is not valid JSON: it ends too early, at line 1 column 7"
        );
    }

    #[test]
    fn members_stand_where_they_are_told_to() {
        let text = " { \"a\" : [ 1 , {\"b\":[]} ] ,\"c\\u0041\":\"x\\\"y\", \"d\":-1.5e+3 } ";
        let found = members(text).unwrap();
        let shown: Vec<(&str, &str)> =
            found.iter().map(|(name, range)| (&**name, text.get(range.clone()).unwrap())).collect();
        assert_eq!(shown, [("a", "[ 1 , {\"b\":[]} ]"), ("cA", "\"x\\\"y\""), ("d", "-1.5e+3")]);
        let text = " [ {}, { \"a\" : [1] } ] ";
        let found = objects(text).unwrap();
        assert_eq!((found.len(), found[0].len(), text.get(found[1][0].1.clone()).unwrap()), (2, 0, "[1]"));
        assert!(objects("[]").unwrap().is_empty());
        assert!(objects("[1]").is_err());
    }

    #[test]
    fn c4_the_depth_is_counted_from_the_outside() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(members(&nested(MAX_DEPTH - 1)).is_ok());
        let told = members(&nested(MAX_DEPTH)).unwrap_err().message;
        assert!(told.contains("nested deeper") && told.contains("byte"), "{told}");
        assert!(members(&nested(1_000_000)).is_err());
    }

    #[test]
    fn strings_end_where_they_end() {
        for (text, length) in [
            ("\"", 1),
            ("a\"b", 2),
            ("\\\"\"", 3),
            ("\\\\\"x", 3),
            ("0123456789abcdef0123\"z", 21),
            ("open", 4),
            ("\\", 1),
        ] {
            let bytes = text.as_bytes();
            assert_eq!(string_end(&mut Marks::new(bytes), 0, bytes), length, "{text}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(|number| serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)),
            "[ -~é你\u{1F642}\n\t\"\\\\]{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec(("[a-zé\"\\\\ ]{0,12}", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_object_is_read_as_by_a_general_parser(members in prop::collection::vec(("[a-z\"\\\\é]{0,10}", json()), 0..8), pretty: bool) {
            let value = Value::Object(members.into_iter().collect());
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(scanned(&text), reference(&text));
        }

        #[test]
        fn a_broken_body_is_refused_as_by_a_general_parser(value in json(), at: prop::sample::Index, with in "[\"\\\\{}\\[\\]:,0-9a-z \u{1}]?") {
            let text = format!("{{\"a\":{value}}}");
            let mut chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len());
            match with.chars().next() {
                Some(other) => chars[at] = other,
                None => { chars.remove(at); }
            }
            let text: String = chars.into_iter().collect();
            // The scanner passes numbers on as they are, also those no machine number can hold, and half characters in values.
            if let Some(expected) = reference(&text) {
                let names: Vec<String> = expected.into_iter().map(|(name, _)| name).collect();
                let mut found: Vec<String> = members(&text).unwrap().into_iter().map(|(name, _)| name.into_owned()).collect();
                found.dedup();
                prop_assert_eq!(found, names);
            } else if let Ok(found) = members(&text) {
                for (_, range) in found {
                    let raw: Result<&serde_json::value::RawValue, _> = serde_json::from_str(text.get(range).unwrap());
                    prop_assert!(raw.is_ok());
                }
            }
        }
    }
}
