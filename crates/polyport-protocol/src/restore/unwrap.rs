//! Takes the value of one member out of an object of JSON while it arrives.

use serde_json::Value;

/// White space and the name before a value: longer beginnings are no wrapper.
const MAX_HEAD: usize = 1024;

/// Reads `{"<member>": <value>}` in pieces and gives the value. What turns out to be something else is given as it is.
#[derive(Debug)]
pub(super) struct Unwrapper {
    member: String,
    want: Want,
    state: State,
}

/// What is wanted of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// Its JSON.
    Json,
    /// The characters of a string.
    String,
    /// The characters of a string, wherever the model put it.
    Input,
}

#[derive(Debug)]
enum State {
    /// Before the value.
    Head(String),
    /// Inside a value that is given as JSON.
    Json { depth: u32, in_string: bool, escaped: bool },
    /// Inside a string whose characters are given.
    String(Escape),
    /// After the value.
    Tail,
    /// There is no wrapper: everything is given as it is.
    Plain,
    /// There is no wrapper, and only the whole text tells what is meant.
    Whole(String),
}

/// Where inside an escape of a string the text stands.
#[derive(Debug)]
enum Escape {
    None,
    /// After the backslash.
    Begun,
    /// After `\u`, with the digits so far.
    Hex {
        digits: u32,
        code: u32,
    },
}

enum Head {
    Incomplete,
    Mismatch,
    /// The value begins at this byte.
    Value(usize),
}

impl Unwrapper {
    /// Gives the JSON of the value.
    pub(super) fn json(member: &str) -> Self {
        Self::new(member, Want::Json)
    }

    /// Gives the characters of a string; the JSON of any other value.
    pub(super) fn string(member: &str) -> Self {
        Self::new(member, Want::String)
    }

    /// The same for the input of a free-form tool, which models also put into members of other names.
    pub(super) fn input(member: &str) -> Self {
        Self::new(member, Want::Input)
    }

    fn new(member: &str, want: Want) -> Self {
        Self { member: member.to_owned(), want, state: State::Head(String::new()) }
    }

    /// Unwraps a whole text.
    pub(super) fn whole(mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        self.push(text, &mut out);
        self.finish(&mut out);
        out
    }

    /// Takes a piece and appends what it gives.
    pub(super) fn push(&mut self, piece: &str, out: &mut String) {
        match &mut self.state {
            State::Head(head) => {
                head.push_str(piece);
                let head = std::mem::take(head);
                self.begin(head, out);
            }
            State::Plain => out.push_str(piece),
            State::Whole(text) => text.push_str(piece),
            State::Json { .. } | State::String(_) => self.value(piece, out),
            State::Tail => {}
        }
    }

    /// Takes the end of the text and appends what was held back.
    pub(super) fn finish(self, out: &mut String) {
        match &self.state {
            State::Head(text) | State::Whole(text) if self.want == Want::Input => out.push_str(&self.guess(text)),
            State::Head(text) | State::Whole(text) => out.push_str(text),
            // A text that stops inside an escape loses that character.
            State::String(_) | State::Json { .. } | State::Tail | State::Plain => {}
        }
    }

    fn begin(&mut self, head: String, out: &mut String) {
        match read_head(&head, &self.member) {
            Head::Incomplete if head.len() <= MAX_HEAD => self.state = State::Head(head),
            Head::Incomplete | Head::Mismatch if self.want == Want::Input => self.state = State::Whole(head),
            Head::Incomplete | Head::Mismatch => {
                out.push_str(&head);
                self.state = State::Plain;
            }
            Head::Value(at) => {
                let value = head.get(at..).unwrap_or_default();
                match value.strip_prefix('"').filter(|_| self.want != Want::Json) {
                    Some(inside) => {
                        self.state = State::String(Escape::None);
                        self.value(inside, out);
                    }
                    None => {
                        self.state = State::Json { depth: 0, in_string: false, escaped: false };
                        self.value(value, out);
                    }
                }
            }
        }
    }

    fn value(&mut self, piece: &str, out: &mut String) {
        let mut rest = piece.chars();
        while let Some(character) = rest.next() {
            let over = match &mut self.state {
                State::Json { depth, in_string, escaped } => json_character(character, depth, in_string, escaped, out),
                State::String(escape) => string_character(character, escape, &mut rest, out),
                State::Head(_) | State::Tail | State::Plain | State::Whole(_) => return,
            };
            if over {
                self.state = State::Tail;
                return;
            }
        }
    }

    /// What a model means that did not use the member it was given.
    fn guess(&self, text: &str) -> String {
        match serde_json::from_str(text) {
            Ok(Value::String(text)) => text,
            Ok(Value::Object(members)) => {
                if let Some(Value::String(text)) = members.get(&self.member) {
                    return text.clone();
                }
                let mut values = members.values();
                match (values.next(), values.next()) {
                    (None, _) => String::new(),
                    (Some(Value::String(only)), None) => only.clone(),
                    _ => text.to_owned(),
                }
            }
            _ => text.to_owned(),
        }
    }
}

/// Takes a character of a JSON value; true if the value is over.
fn json_character(
    character: char,
    depth: &mut u32,
    in_string: &mut bool,
    escaped: &mut bool,
    out: &mut String,
) -> bool {
    if *in_string {
        out.push(character);
        match character {
            _ if *escaped => *escaped = false,
            '\\' => *escaped = true,
            '"' => {
                *in_string = false;
                return *depth == 0;
            }
            _ => {}
        }
        return false;
    }
    match character {
        '"' => *in_string = true,
        '{' | '[' => *depth = depth.saturating_add(1),
        '}' | ']' | ',' if *depth == 0 => return true,
        '}' | ']' => {
            *depth -= 1;
            out.push(character);
            return *depth == 0;
        }
        ' ' | '\t' | '\r' | '\n' if *depth == 0 => return false,
        _ => {}
    }
    out.push(character);
    false
}

/// Takes a character of a string; true if the string is over.
fn string_character(character: char, escape: &mut Escape, rest: &mut std::str::Chars<'_>, out: &mut String) -> bool {
    match escape {
        Escape::None => match character {
            '"' => return true,
            '\\' => *escape = Escape::Begun,
            other => {
                out.push(other);
                // The usual case in one go: characters up to the next one that means something.
                let text = rest.as_str();
                let end = text.find(['"', '\\']).unwrap_or(text.len());
                let (plain, after) = text.split_at(end);
                out.push_str(plain);
                *rest = after.chars();
            }
        },
        Escape::Begun => {
            *escape = Escape::None;
            match character {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'b' => out.push('\u{8}'),
                'f' => out.push('\u{c}'),
                'u' => *escape = Escape::Hex { digits: 0, code: 0 },
                other => out.push(other),
            }
        }
        Escape::Hex { digits, code } => match (*digits, character, character.to_digit(16)) {
            // The other half of a pair announces itself by an escape of its own.
            (4, '\\', _) => *digits = 5,
            (5, 'u', _) => *digits = 6,
            (0..4 | 6.., _, Some(digit)) => {
                *code = (*code & 0x0fff_ffff) << 4 | digit;
                *digits += 1;
                hex_digits(escape, out);
            }
            _ => {
                out.push(char::REPLACEMENT_CHARACTER);
                *escape = if *digits == 5 { Escape::Begun } else { Escape::None };
                return string_character(character, escape, rest, out);
            }
        },
    }
    false
}

/// Writes the character that `\uXXXX` or a pair of them stands for, once all digits are there. The digits of a first half count up to
/// four, its partner's `\u` makes six, the partner's digits up to ten.
fn hex_digits(escape: &mut Escape, out: &mut String) {
    let Escape::Hex { digits, code } = escape else { return };
    match *digits {
        4 if (0xd800..0xdc00).contains(code) => {}
        4 => {
            out.push(char::from_u32(*code).unwrap_or(char::REPLACEMENT_CHARACTER));
            *escape = Escape::None;
        }
        10 => {
            let (high, low) = (*code >> 16, *code & 0xffff);
            if (0xdc00..0xe000).contains(&low) {
                let scalar = 0x1_0000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
                out.push(char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER));
                *escape = Escape::None;
            } else {
                out.push(char::REPLACEMENT_CHARACTER);
                *escape = Escape::Hex { digits: 4, code: low };
                hex_digits(escape, out);
            }
        }
        _ => {}
    }
}

/// Reads what stands before the value.
fn read_head(text: &str, member: &str) -> Head {
    let mut rest = text.trim_start();
    // What is expected, and whether white space may follow.
    for (expected, spaced) in [("{", true), ("\"", false), (member, false), ("\"", true), (":", true)] {
        if rest.len() < expected.len() {
            return if expected.starts_with(rest) { Head::Incomplete } else { Head::Mismatch };
        }
        let Some(after) = rest.strip_prefix(expected) else { return Head::Mismatch };
        rest = if spaced { after.trim_start() } else { after };
    }
    if rest.is_empty() { Head::Incomplete } else { Head::Value(text.len() - rest.len()) }
}
