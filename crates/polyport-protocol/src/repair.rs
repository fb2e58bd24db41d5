//! Tool arguments that have to be a JSON object but are only text.
//!
//! Chat and Responses carry arguments as text, Messages and Gemini as an object. Models write broken text, and token limits cut it.
//! What is already an object is handed on as it is, number literals and key order included; the rest is mended as little
//! as possible, and the caller is told how, so that it can be reported.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::json::write_str;

/// What had to be done to make an object of arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repaired {
    /// Nothing: the text is an object.
    Unchanged,
    /// The text was empty, white space or `null`: `{}`.
    Empty,
    /// The text is another JSON value: `{"value": …}`.
    Wrapped,
    /// Small mistakes were mended: trailing commas, raw control characters and wrong escapes in strings.
    Mended,
    /// The text stopped in the middle and was closed; what was cut is lost.
    Truncated,
    /// The text makes no sense as JSON: `{"_raw_arguments": "…"}`.
    Raw,
}

impl Repaired {
    /// Whether the arguments mean what the model wrote.
    #[must_use]
    pub fn is_faithful(self) -> bool {
        matches!(self, Self::Unchanged | Self::Empty)
    }

    /// What was done, for the loss report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Empty => "empty arguments became {}",
            Self::Wrapped => "arguments that are no object were wrapped in `value`",
            Self::Mended => "small mistakes in the JSON of the arguments were mended",
            Self::Truncated => "arguments that stop in the middle were closed",
            Self::Raw => "arguments that are not JSON were wrapped in `_raw_arguments`",
        }
    }
}

/// Makes the JSON text of an object of tool arguments. Always valid JSON, borrowed where nothing had to change.
#[must_use]
pub fn arguments_object(text: &str) -> (Cow<'_, str>, Repaired) {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    if text.is_empty() || text == "null" {
        return (Cow::Borrowed("{}"), Repaired::Empty);
    }
    if is_json(text) {
        return if text.starts_with('{') {
            (Cow::Borrowed(text), Repaired::Unchanged)
        } else {
            (Cow::Owned(format!("{{\"value\":{text}}}")), Repaired::Wrapped)
        };
    }
    if text.starts_with('{')
        && let Some((mended, cut)) = Mender::new(text).run()
        && is_json(&mended)
    {
        return (Cow::Owned(mended), if cut { Repaired::Truncated } else { Repaired::Mended });
    }
    let mut raw = b"{\"_raw_arguments\":".to_vec();
    write_str(&mut raw, text);
    raw.push(b'}');
    // `write_str` writes UTF-8 only; the fallback cannot happen.
    (Cow::Owned(String::from_utf8(raw).unwrap_or_else(|_| "{}".to_owned())), Repaired::Raw)
}

/// Makes arguments for protocols that carry them as text: nothing at all is `{}`, everything else stays as it is.
#[must_use]
pub fn arguments_text(text: &str) -> &str {
    match text.trim_matches([' ', '\t', '\r', '\n']) {
        "" | "null" => "{}",
        _ => text,
    }
}

/// Takes the blanks between tokens out of JSON, and the escapes out of strings that need none; number literals and the order
/// of members stay. Arguments written for protocols that carry them as text look like this. `json` must be valid.
#[must_use]
pub fn compact(json: &str) -> Cow<'_, str> {
    let mut scan = Tokens { rest: json };
    let clean = |token: &Token<'_>| match token {
        Token::Blank => false,
        Token::String(text) => !text.contains("\\u"),
        Token::Other(_) => true,
    };
    if scan.all(|token| clean(&token)) {
        return Cow::Borrowed(json);
    }
    let mut out = Vec::with_capacity(json.len());
    for token in (Tokens { rest: json }) {
        match token {
            Token::Blank => {}
            Token::String(text) if text.contains("\\u") => match serde_json::from_str::<String>(text) {
                Ok(plain) => write_str(&mut out, &plain),
                // Half of a surrogate pair has no characters to write.
                Err(_) => out.extend_from_slice(text.as_bytes()),
            },
            Token::String(text) | Token::Other(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(json), Cow::Owned)
}

/// Cuts JSON into strings (with their quotes), blanks, and everything else.
struct Tokens<'t> {
    rest: &'t str,
}

enum Token<'t> {
    Blank,
    String(&'t str),
    Other(&'t str),
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];
        let first = self.rest.chars().next()?;
        let end = if first == '"' {
            let mut escaped = false;
            let inside = self.rest.bytes().enumerate().skip(1);
            let mut end = self.rest.len();
            for (at, byte) in inside {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => {
                        end = at + 1;
                        break;
                    }
                    _ => {}
                }
            }
            end
        } else if BLANKS.contains(&first) {
            self.rest.find(|c| !BLANKS.contains(&c)).unwrap_or(self.rest.len())
        } else {
            self.rest.find(|c| c == '"' || BLANKS.contains(&c)).unwrap_or(self.rest.len())
        };
        let (token, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some(match first {
            '"' => Token::String(token),
            c if BLANKS.contains(&c) => Token::Blank,
            _ => Token::Other(token),
        })
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Copies JSON, leaving out or completing what is wrong.
struct Mender<'t> {
    text: &'t str,
    out: String,
    /// Open brackets, innermost last.
    open: Vec<Level>,
}

/// An open bracket.
struct Level {
    object: bool,
    /// Where the entry being written begins in `out`, its comma included: the place to cut back to if it stays unfinished.
    entry: usize,
    /// How far the entry got.
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing, or a comma that may turn out to be trailing.
    Empty,
    /// The key of an object's entry.
    Key,
    /// The key and its colon.
    Colon,
    /// A whole value.
    Value,
}

/// How a string ended.
enum Ended<'t> {
    /// With its quote; the text after it.
    Whole(&'t str),
    /// In the middle of a value: what there is of it is kept.
    CutValue,
    /// In the middle of a key: the entry is dropped.
    CutKey,
}

impl<'t> Mender<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, out: String::with_capacity(text.len() + 16), open: Vec::new() }
    }

    /// The mended text and whether the end was missing; `None` if there is no telling what is meant.
    fn run(mut self) -> Option<(String, bool)> {
        let mut rest = self.text;
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
            let Some(first) = rest.chars().next() else { break };
            let finished = !self.out.is_empty() && self.open.is_empty();
            if finished {
                return None;
            }
            rest = match first {
                '{' | '[' => {
                    self.out.push(first);
                    self.open.push(Level { object: first == '{', entry: self.out.len(), stage: Stage::Empty });
                    rest.get(1..)?
                }
                '}' | ']' => {
                    self.close(first == '}')?;
                    rest.get(1..)?
                }
                ',' => {
                    let level = self.open.last_mut()?;
                    match level.stage {
                        Stage::Value => {
                            level.entry = self.out.len();
                            level.stage = Stage::Empty;
                            self.out.push(',');
                        }
                        // Repeated commas stand for one.
                        Stage::Empty => {}
                        Stage::Key | Stage::Colon => return None,
                    }
                    rest.get(1..)?
                }
                ':' => {
                    let level = self.open.last_mut()?;
                    if level.stage != Stage::Key {
                        return None;
                    }
                    level.stage = Stage::Colon;
                    self.out.push(':');
                    rest.get(1..)?
                }
                '"' => match self.string(rest.get(1..)?)? {
                    Ended::Whole(after) => after,
                    Ended::CutValue => return Some(self.complete(true)),
                    Ended::CutKey => return Some(self.complete(false)),
                },
                _ => {
                    let end =
                        rest.find([' ', '\t', '\r', '\n', ',', ':', '{', '}', '[', ']', '"']).unwrap_or(rest.len());
                    let (word, after) = rest.split_at_checked(end)?;
                    let whole = is_json(word);
                    let value = match (whole, after.is_empty()) {
                        (true, _) => word,
                        (false, true) => match completed(word) {
                            Some(value) => value,
                            None if word == "-" => return Some(self.complete(false)),
                            // Nothing that JSON knows begins like this.
                            None => return None,
                        },
                        (false, false) => return None,
                    };
                    self.out.push_str(value);
                    self.advance(false)?;
                    if after.is_empty() && !whole {
                        return Some(self.complete(true));
                    }
                    after
                }
            };
        }
        if self.open.is_empty() { Some((self.out, false)) } else { Some(self.complete(true)) }
    }

    /// Notes that a string or another value was written.
    fn advance(&mut self, string: bool) -> Option<()> {
        let level = self.open.last_mut()?;
        level.stage = match (level.object, level.stage) {
            (true, Stage::Empty) if string => Stage::Key,
            (true, Stage::Colon) | (false, Stage::Empty) => Stage::Value,
            _ => return None,
        };
        Some(())
    }

    /// Closes the innermost bracket, dropping a trailing comma.
    fn close(&mut self, object: bool) -> Option<()> {
        let level = self.open.pop()?;
        match level.stage {
            Stage::Value => {}
            Stage::Empty => self.out.truncate(level.entry),
            Stage::Key | Stage::Colon => return None,
        }
        if level.object != object {
            return None;
        }
        self.out.push(if object { '}' } else { ']' });
        if let Some(outer) = self.open.last_mut() {
            let expected = if outer.object { Stage::Colon } else { Stage::Empty };
            if outer.stage != expected {
                return None;
            }
            outer.stage = Stage::Value;
        }
        Some(())
    }

    /// Copies the inside of a string whose quote is already read.
    fn string(&mut self, inside: &'t str) -> Option<Ended<'t>> {
        let level = self.open.last()?;
        let key = level.object && level.stage == Stage::Empty;
        self.out.push('"');
        let mut chars = inside.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => {
                    self.out.push('"');
                    self.advance(true)?;
                    return Some(Ended::Whole(chars.as_str()));
                }
                '\\' => match self.escape(chars.as_str())? {
                    Some(after) => chars = after.chars(),
                    None => break,
                },
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                c if u32::from(c) < 0x20 => self.out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => self.out.push(c),
            }
        }
        if key {
            return Some(Ended::CutKey);
        }
        self.out.push('"');
        self.advance(true)?;
        Some(Ended::CutValue)
    }

    /// Copies one escape whose backslash is already read and gives what follows; the inner `None` says that it is cut.
    fn escape(&mut self, after: &'t str) -> Option<Option<&'t str>> {
        let mut chars = after.chars();
        let Some(c) = chars.next() else { return Some(None) };
        match c {
            '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => {
                self.out.push('\\');
                self.out.push(c);
            }
            'u' => {
                let digits = chars.as_str().bytes().take(4).take_while(u8::is_ascii_hexdigit).count();
                if digits == 4 {
                    let (hex, after) = chars.as_str().split_at_checked(4)?;
                    self.out.push_str("\\u");
                    self.out.push_str(hex);
                    return Some(Some(after));
                }
                if digits == chars.as_str().len() {
                    return Some(None);
                }
                self.out.push_str("\\\\u");
            }
            '\'' => self.out.push('\''),
            // Not an escape: the backslash itself is meant (paths, regular expressions).
            _ => {
                self.out.push_str("\\\\");
                return Some(Some(after));
            }
        }
        Some(Some(chars.as_str()))
    }

    /// Drops what is unfinished and closes every bracket. `keep` says that the innermost entry may be whole.
    fn complete(mut self, keep: bool) -> (String, bool) {
        let mut innermost = true;
        while let Some(level) = self.open.pop() {
            let whole = if innermost { keep && level.stage == Stage::Value } else { true };
            if !whole {
                self.out.truncate(level.entry);
            }
            self.out.push(if level.object { '}' } else { ']' });
            innermost = false;
        }
        (self.out, true)
    }
}

/// The value a word that was cut off can only mean; a number is cut back to its last whole form.
fn completed(word: &str) -> Option<&str> {
    if let Some(literal) = ["true", "false", "null"].into_iter().find(|literal| literal.starts_with(word)) {
        return Some(literal);
    }
    let number = word.trim_end_matches(['-', '+', 'e', 'E', '.']);
    (!number.is_empty() && is_json(number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str, how: Repaired) {
        let (object, repaired) = arguments_object(text);
        assert_eq!((object.as_ref(), repaired), (expected, how), "{text}");
    }

    #[test]
    fn objects_stay_as_they_are() {
        check(
            r#"{"b":1.50,"a":123456789012345678901}"#,
            r#"{"b":1.50,"a":123456789012345678901}"#,
            Repaired::Unchanged,
        );
        check(" {\n} ", "{\n}", Repaired::Unchanged);
        check(r#"{"a":"\ud83d\ude42"}"#, r#"{"a":"\ud83d\ude42"}"#, Repaired::Unchanged);
    }

    #[test]
    fn nothing_becomes_an_empty_object() {
        for text in ["", "  \n", "null", " null "] {
            check(text, "{}", Repaired::Empty);
            assert_eq!(arguments_text(text), "{}");
        }
        assert_eq!(arguments_text(" [1]"), " [1]");
    }

    #[test]
    fn other_values_are_wrapped() {
        check("[1, 2]", r#"{"value":[1, 2]}"#, Repaired::Wrapped);
        check("\"x\"", r#"{"value":"x"}"#, Repaired::Wrapped);
        check("3.10", r#"{"value":3.10}"#, Repaired::Wrapped);
    }

    #[test]
    fn small_mistakes_are_mended() {
        check("{\"a\": [1, 2,], \"b\": {\"c\":1,},}", r#"{"a":[1,2],"b":{"c":1}}"#, Repaired::Mended);
        check("{\"a\":\"x\ny\tz\u{1}\"}", r#"{"a":"x\ny\tz\u0001"}"#, Repaired::Mended);
        check(r#"{"a":"it\'s \d+ C:\windows \u12"}"#, r#"{"a":"it's \\d+ C:\\windows \\u12"}"#, Repaired::Mended);
    }

    #[test]
    fn cut_text_is_closed() {
        check(r#"{"cmd":"make te"#, r#"{"cmd":"make te"}"#, Repaired::Truncated);
        check(r#"{"cmd":"make","ti"#, r#"{"cmd":"make"}"#, Repaired::Truncated);
        check(r#"{"cmd":"make","time":"#, r#"{"cmd":"make"}"#, Repaired::Truncated);
        check(r#"{"cmd":"make","time""#, r#"{"cmd":"make"}"#, Repaired::Truncated);
        check(r#"{"cmd":"make","time":12."#, r#"{"cmd":"make","time":12}"#, Repaired::Truncated);
        check(r#"{"cmd":"make","on":tr"#, r#"{"cmd":"make","on":true}"#, Repaired::Truncated);
        check(r#"{"cmd":"make","on":-"#, r#"{"cmd":"make"}"#, Repaired::Truncated);
        check(r#"{"a":[{"b":"c\"#, r#"{"a":[{"b":"c"}]}"#, Repaired::Truncated);
        check(r#"{"a":"\u00"#, r#"{"a":""}"#, Repaired::Truncated);
        check(r#"{"a":[1,"#, r#"{"a":[1]}"#, Repaired::Truncated);
        check("{", "{}", Repaired::Truncated);
    }

    #[test]
    fn nonsense_is_kept_as_text() {
        check(r#"{"a": oops"#, r#"{"_raw_arguments":"{\"a\": oops"}"#, Repaired::Raw);
        check("ls -l", r#"{"_raw_arguments":"ls -l"}"#, Repaired::Raw);
        check(r#"{"a":1}{"a":1}"#, r#"{"_raw_arguments":"{\"a\":1}{\"a\":1}"}"#, Repaired::Raw);
        check("{'a':1}", r#"{"_raw_arguments":"{'a':1}"}"#, Repaired::Raw);
        check("{\"a\" 1}", r#"{"_raw_arguments":"{\"a\" 1}"}"#, Repaired::Raw);
        check("{]", r#"{"_raw_arguments":"{]"}"#, Repaired::Raw);
    }

    #[test]
    fn compact_takes_blanks_and_needless_escapes() {
        assert!(matches!(compact(r#"{"a b":[1.50,"x \" y"]}"#), Cow::Borrowed(_)));
        assert_eq!(
            compact("{ \"a b\" : [1.50,\n \"x \\\" \\u00e9\\n\\u0007\" ,\ttrue] }"),
            "{\"a b\":[1.50,\"x \\\" é\\n\\u0007\",true]}"
        );
        assert_eq!(compact(r#"{"a": "\ud800"}"#), r#"{"a":"\ud800"}"#);
    }

    proptest! {
        #[test]
        fn compact_keeps_the_value(text in ".{0,20}", number in any::<i32>()) {
            let value = serde_json::json!({ &text: [number, text, { "x": null }], "\u{1}é": {} });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&pretty).into_owned(), value.to_string());
        }

        #[test]
        fn compact_survives_anything(text in ".{0,40}") {
            prop_assert!(compact(&text).len() <= text.len());
        }

        #[test]
        fn the_result_is_always_an_object(text in ".{0,80}") {
            let (object, _) = arguments_object(&text);
            let value: serde_json::Value = serde_json::from_str(&object).unwrap();
            prop_assert!(value.is_object());
        }

        #[test]
        fn every_prefix_of_an_object_is_repaired(key in "[a-zé\"\\\\]{1,4}", text in ".{0,12}", number in -1e9f64..1e9, cut in 1usize..200) {
            let whole = serde_json::json!({ &key: [text, number, { "x": null, "y": [true, {}] }], "z": "🙂" }).to_string();
            let mut cut = cut.min(whole.len());
            while !whole.is_char_boundary(cut) { cut -= 1; }
            let prefix = whole.get(..cut).unwrap_or_default();
            let (object, repaired) = arguments_object(prefix);
            prop_assert!(matches!(repaired, Repaired::Unchanged | Repaired::Truncated), "{prefix} -> {object}");
            prop_assert!(serde_json::from_str::<serde_json::Value>(&object).is_ok(), "{prefix} -> {object}");
        }
    }
}
