//! Tool calls that a server left in the text: taken out where the profile says so and the names are of tools that were offered.

use std::sync::Arc;

use polyport_types::Text;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::profile::TextToolCalls;

/// What is not a call after so many bytes is text.
const MAX_HELD: usize = 256 * 1024;

/// A stretch of the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Text(String),
    Call { name: String, arguments: String },
}

/// How a call begins and ends in the text.
#[derive(Clone, Copy, Debug)]
struct Marker {
    open: &'static str,
    /// `None`: the rest of the text.
    close: Option<&'static str>,
    /// Only where nothing but white space stands before it.
    first: bool,
    /// The opening belongs to the call (`<function=name>`).
    inside: bool,
}

const fn marker(open: &'static str, close: Option<&'static str>) -> Marker {
    Marker { open, close, first: false, inside: false }
}

const FUNCTION: Marker = Marker { inside: true, ..marker("<function=", Some("</function>")) };
const QWEN: &[Marker] = &[marker("<tool_call>", Some("</tool_call>")), FUNCTION];
const MISTRAL: &[Marker] = &[marker("[TOOL_CALLS]", None)];
const LLAMA: &[Marker] = &[
    marker("<|python_tag|>", None),
    FUNCTION,
    Marker { first: true, ..marker("```json", Some("```")) },
    Marker { first: true, inside: true, ..marker("{", None) },
];

/// Takes calls out of text that arrives in pieces.
#[derive(Debug)]
pub(super) struct Extractor {
    markers: &'static [Marker],
    /// Names that may be called; `None` if nobody said.
    offered: Option<Arc<[Text]>>,
    /// Text that may belong to a call.
    held: String,
    inside: Option<Marker>,
    /// Something but white space came before.
    begun: bool,
    /// White space right behind a call is dropped.
    behind: bool,
}

impl Extractor {
    /// `None` if nothing is to be taken out.
    pub(super) fn new(mode: TextToolCalls, offered: Option<Arc<[Text]>>) -> Option<Self> {
        let markers = match mode {
            TextToolCalls::Off => return None,
            TextToolCalls::Qwen => QWEN,
            TextToolCalls::Mistral => MISTRAL,
            TextToolCalls::Llama => LLAMA,
        };
        if offered.as_ref().is_some_and(|names| names.is_empty()) {
            return None;
        }
        Some(Self { markers, offered, held: String::new(), inside: None, begun: false, behind: false })
    }

    /// Takes a piece.
    pub(super) fn push(&mut self, piece: &str, out: &mut Vec<Found>) {
        self.held.push_str(piece);
        while self.step(out) {}
        if self.held.len() > MAX_HELD {
            self.inside = None;
            self.say_held(out);
        }
    }

    /// Gives out what was held back.
    pub(super) fn finish(&mut self, out: &mut Vec<Found>) {
        if let Some(marker) = self.inside.take() {
            let held = std::mem::take(&mut self.held);
            // The end may be missing.
            let text = held.strip_suffix(marker.close.unwrap_or_default()).unwrap_or(&held).to_owned();
            self.conclude(marker, &text, &held, out);
        } else {
            self.say_held(out);
        }
    }

    /// One transition; true if there may be another one.
    fn step(&mut self, out: &mut Vec<Found>) -> bool {
        match self.inside {
            None => self.look_for_opening(out),
            Some(Marker { close: None, .. }) => false,
            Some(marker @ Marker { close: Some(close), .. }) => {
                let Some((text, rest)) = self.held.split_once(close) else { return false };
                let (text, rest) = (text.to_owned(), rest.to_owned());
                self.held = rest;
                self.inside = None;
                let whole = format!("{text}{close}");
                self.conclude(marker, &text, &whole, out);
                true
            }
        }
    }

    fn look_for_opening(&mut self, out: &mut Vec<Found>) -> bool {
        if self.behind {
            self.held = self.held.trim_start().to_owned();
        }
        let blank = |text: &str| text.trim().is_empty();
        let found = self
            .markers
            .iter()
            .filter_map(|marker| self.held.find(marker.open).map(|at| (at, *marker)))
            .filter(|(at, marker)| !marker.first || (!self.begun && self.held.get(..*at).is_some_and(blank)))
            .min_by_key(|(at, _)| *at);
        if let Some((at, marker)) = found {
            let (before, rest) = self.held.split_at(at);
            let (before, rest) = (before.to_owned(), rest.strip_prefix(marker.open).unwrap_or(rest).to_owned());
            self.say(before, out);
            self.held = rest;
            self.inside = Some(marker);
            return true;
        }
        let keep = self.markers.iter().map(|marker| prefix_at_end(&self.held, marker.open)).max().unwrap_or(0);
        let (ready, held) = self.held.split_at(self.held.len() - keep);
        let (ready, held) = (ready.to_owned(), held.to_owned());
        self.held = held;
        self.say(ready, out);
        false
    }

    /// Decides about the text between the ends of a marker.
    fn conclude(&mut self, marker: Marker, text: &str, whole: &str, out: &mut Vec<Found>) {
        let inner = if marker.inside { format!("{}{text}", marker.open) } else { text.to_owned() };
        let calls = calls(&inner).filter(|calls| calls.iter().all(|(name, _)| self.may_call(name)));
        match calls {
            Some(calls) => {
                out.extend(calls.into_iter().map(|(name, arguments)| Found::Call { name, arguments }));
                (self.begun, self.behind) = (true, true);
            }
            None => self.say(format!("{}{whole}", marker.open), out),
        }
    }

    fn may_call(&self, name: &str) -> bool {
        match &self.offered {
            Some(names) => names.iter().any(|offered| **offered == *name),
            None => name.len() <= 128 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c)),
        }
    }

    fn say_held(&mut self, out: &mut Vec<Found>) {
        let held = std::mem::take(&mut self.held);
        self.say(held, out);
    }

    fn say(&mut self, text: String, out: &mut Vec<Found>) {
        if !text.is_empty() {
            self.begun |= !text.trim().is_empty();
            self.behind = false;
            out.push(Found::Text(text));
        }
    }
}

/// Length of the longest end of `text` that begins `marker`.
fn prefix_at_end(text: &str, marker: &str) -> usize {
    (1..marker.len()).rev().find(|len| marker.get(..*len).is_some_and(|head| text.ends_with(head))).unwrap_or(0)
}

#[derive(Deserialize)]
struct JsonCall<'a> {
    name: String,
    #[serde(borrow, alias = "parameters", alias = "args")]
    arguments: Option<&'a RawValue>,
}

/// Name and arguments of every call in the text between markers; `None` unless it holds nothing else.
fn calls(text: &str) -> Option<Vec<(String, String)>> {
    let text = text.trim().trim_end_matches("<|eom_id|>").trim_end_matches("<|eot_id|>").trim();
    let found = if text.starts_with("<function=") {
        tagged_calls(text)?
    } else if text.starts_with('[') {
        let list: Vec<JsonCall<'_>> = serde_json::from_str(text).ok()?;
        list.into_iter().map(read_json_call).collect()
    } else if text.starts_with('{') {
        json_calls(text)?
    } else {
        named_calls(text)?
    };
    (!found.is_empty()).then_some(found)
}

fn read_json_call(call: JsonCall<'_>) -> (String, String) {
    let arguments = match call.arguments {
        None => "{}".to_owned(),
        Some(raw) => serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned()),
    };
    (call.name, arguments)
}

/// Objects one after the other, perhaps with `;` between them.
fn json_calls(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<JsonCall<'_>>();
        let call = values.next()?.ok()?;
        rest = rest.get(values.byte_offset()..)?.trim_start_matches([' ', '\n', '\r', '\t', ';', ',']);
        found.push(read_json_call(call));
    }
    Some(found)
}

/// `<function=name>{…}</function>`, or with one `<parameter=key>value</parameter>` per argument.
fn tagged_calls(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(tail) = rest.strip_prefix("<function=") {
        let (name, tail) = tail.split_once('>')?;
        let (inner, tail) = tail.split_once("</function>").unwrap_or((tail, ""));
        let inner = inner.trim();
        let arguments = if inner.is_empty() {
            "{}".to_owned()
        } else if inner.starts_with('{') {
            serde_json::from_str::<&RawValue>(inner).ok()?.get().to_owned()
        } else {
            parameters(inner)?
        };
        found.push((name.trim().to_owned(), arguments));
        rest = tail.trim_start();
    }
    rest.is_empty().then_some(found)
}

fn parameters(text: &str) -> Option<String> {
    let mut members = serde_json::Map::new();
    let mut rest = text;
    while let Some(tail) = rest.strip_prefix("<parameter=") {
        let (name, tail) = tail.split_once('>')?;
        let (value, tail) = tail.split_once("</parameter>")?;
        let value = value.strip_prefix('\n').unwrap_or(value);
        let value = value.strip_suffix('\n').unwrap_or(value);
        // What reads as JSON but a string is meant so; the template writes strings without quotes.
        let value = match serde_json::from_str::<serde_json::Value>(value.trim()) {
            Ok(json) if !json.is_string() => json,
            _ => serde_json::Value::String(value.to_owned()),
        };
        members.insert(name.trim().to_owned(), value);
        rest = tail.trim_start();
    }
    (rest.is_empty() && !members.is_empty()).then(|| serde_json::Value::Object(members).to_string())
}

/// `name[ARGS]{…}` or `name{…}`, perhaps several with `[TOOL_CALLS]` between them.
fn named_calls(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.find('{')?;
        let (head, tail) = rest.split_at(at);
        let name = head.split('[').next().unwrap_or_default().trim();
        if name.is_empty() {
            return None;
        }
        let mut values = serde_json::Deserializer::from_str(tail).into_iter::<&RawValue>();
        let arguments = values.next()?.ok()?.get().to_owned();
        found.push((name.to_owned(), arguments));
        rest = tail.get(values.byte_offset()..)?.trim_start();
        rest = rest.strip_prefix("[TOOL_CALLS]").unwrap_or(rest).trim_start();
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(mode: TextToolCalls, pieces: &[&str]) -> Vec<Found> {
        let offered: Arc<[Text]> = vec![Text::from("f"), Text::from("g")].into();
        let mut extractor = Extractor::new(mode, Some(offered)).unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            extractor.push(piece, &mut out);
        }
        extractor.finish(&mut out);
        let mut joined: Vec<Found> = Vec::new();
        for found in out {
            match (joined.last_mut(), found) {
                (Some(Found::Text(have)), Found::Text(more)) => have.push_str(&more),
                (_, found) => joined.push(found),
            }
        }
        joined
    }

    fn text(text: &str) -> Found {
        Found::Text(text.to_owned())
    }

    fn call(name: &str, arguments: &str) -> Found {
        Found::Call { name: name.to_owned(), arguments: arguments.to_owned() }
    }

    #[test]
    fn qwen_calls_cut_anywhere() {
        let whole = "so <tool_call>\n{\"name\": \"f\", \"arguments\": {\"n\": 1.0}}\n</tool_call>\n<tool_call>{\"name\":\"g\"}</tool_call>";
        for at in 0..whole.len() {
            let (head, tail) = whole.split_at(at);
            let found = extract(TextToolCalls::Qwen, &[head, tail]);
            assert_eq!(found, [text("so "), call("f", "{\"n\": 1.0}"), call("g", "{}")], "{head:?}");
        }
    }

    #[test]
    fn parameters_in_tags() {
        let whole = "<tool_call>\n<function=f>\n<parameter=a>\nx y\n</parameter>\n<parameter=b>\n2\n</parameter>\n</function>\n</tool_call>";
        assert_eq!(extract(TextToolCalls::Qwen, &[whole]), [call("f", r#"{"a":"x y","b":2}"#)]);
    }

    #[test]
    fn mistral_calls() {
        let list = r#"[TOOL_CALLS][{"name":"f","arguments":{"a":1}},{"name":"g","arguments":{}}]"#;
        assert_eq!(extract(TextToolCalls::Mistral, &[list]), [call("f", r#"{"a":1}"#), call("g", "{}")]);
        let named = r#"[TOOL_CALLS]f[ARGS]{"a":1}[TOOL_CALLS]g{"b":2}"#;
        assert_eq!(extract(TextToolCalls::Mistral, &[named]), [call("f", r#"{"a":1}"#), call("g", r#"{"b":2}"#)]);
    }

    #[test]
    fn llama_calls() {
        let tag = r#"<|python_tag|>{"name": "f", "parameters": {"a": 1}}<|eom_id|>"#;
        assert_eq!(extract(TextToolCalls::Llama, &[tag]), [call("f", r#"{"a": 1}"#)]);
        let bare = r#"{"name": "f", "parameters": {"a": 1}}; {"name": "g", "parameters": {}}"#;
        assert_eq!(extract(TextToolCalls::Llama, &[bare]), [call("f", r#"{"a": 1}"#), call("g", "{}")]);
        let fenced = "```json\n{\"name\": \"f\", \"parameters\": {}}\n```";
        assert_eq!(extract(TextToolCalls::Llama, &[fenced]), [call("f", "{}")]);
    }

    #[test]
    fn what_is_no_call_stays_text() {
        for (mode, whole) in [
            (TextToolCalls::Qwen, "<tool_call>{\"name\":\"unknown\"}</tool_call> and so on"),
            (TextToolCalls::Qwen, "a <tool_call>{broken</tool_call>"),
            (TextToolCalls::Qwen, "a < b"),
            (TextToolCalls::Llama, "{\"answer\": 42}"),
            (TextToolCalls::Llama, "see {\"name\": \"f\"}"),
            (TextToolCalls::Mistral, "[TOOL_CALLS]nothing"),
        ] {
            assert_eq!(extract(mode, &[whole]), [text(whole)]);
        }
    }
}
