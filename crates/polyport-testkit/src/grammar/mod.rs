//! Strict readers of what clients receive: bytes in, a [`Summary`] or the first broken rule out.
//!
//! A reader refuses whatever makes one of the official client libraries throw, lose text or lose a call, and what a
//! careful third-party parser could stumble over. It accumulates like those libraries do, so that the summaries of a
//! stream and of a whole answer, or of two protocols, can be compared.
//!
//! [`Check::new`] judges what a gateway sends; [`Check::provider`] allows what the real services were seen to do.

use polyport_types::Protocol;
use serde_json::Value;

mod chat;
mod gemini;
mod messages;
mod responses;
mod sse;
mod summary;

pub use summary::{Choice, Failure, Media, Summary, ToolCall, Usage};

/// Reads a whole event stream as a client of `protocol` would, by the strict rules.
///
/// # Errors
/// The first broken rule, with the number of the event.
pub fn check_stream(protocol: impl Into<Protocol>, bytes: &[u8]) -> Result<Summary, String> {
    Check::new(protocol).stream(bytes)
}

/// Reads a whole answer as a client of `protocol` would, by the strict rules.
///
/// # Errors
/// The first broken rule.
pub fn check_answer(protocol: impl Into<Protocol>, bytes: &[u8]) -> Result<Summary, String> {
    Check::new(protocol).answer(bytes)
}

/// What to expect of a stream or an answer.
#[derive(Clone, Debug)]
pub struct Check {
    protocol: Protocol,
    include_usage: Option<bool>,
    /// Judged as sent by a gateway, not as recorded from a provider.
    strict: bool,
    /// The answer comes from a provider of the same protocol, whose own members may come with it.
    vendor: bool,
}

impl Check {
    /// A reader of what a gateway sends to a client of `protocol`.
    #[must_use]
    pub fn new(protocol: impl Into<Protocol>) -> Self {
        Self { protocol: protocol.into(), include_usage: None, strict: true, vendor: false }
    }

    /// A reader of what the official provider of `protocol` sends: allows missing `event:` lines, either line end,
    /// `[DONE]` after Responses, members and events that are newer than this reader.
    #[must_use]
    pub fn provider(protocol: impl Into<Protocol>) -> Self {
        Self { protocol: protocol.into(), include_usage: None, strict: false, vendor: true }
    }

    /// Allows the members and words of vendors that a gateway hands on from a provider of the same protocol.
    #[must_use]
    pub fn vendor(mut self) -> Self {
        self.vendor = true;
        self
    }

    /// Whether a Chat client asked for the usage chunk: then it must come, otherwise it must not. Without this call
    /// both are accepted.
    #[must_use]
    pub fn include_usage(mut self, asked: bool) -> Self {
        self.include_usage = Some(asked);
        self
    }

    /// Reads a whole event stream.
    ///
    /// # Errors
    /// The first broken rule, with the number of the event.
    pub fn stream(&self, bytes: &[u8]) -> Result<Summary, String> {
        let stream = sse::frames(bytes, self.protocol, self.strict)?;
        match self.protocol {
            Protocol::Chat => chat::stream(&stream, self),
            Protocol::Responses => responses::stream(&stream, self),
            Protocol::Messages => messages::stream(&stream, self),
            Protocol::Gemini => gemini::stream(&stream, self),
        }
    }

    /// Reads the JSON array form of a Gemini stream, as sent without `alt=sse`.
    ///
    /// # Errors
    /// The first broken rule, with the number of the element.
    ///
    /// # Panics
    /// For another protocol.
    pub fn array(&self, bytes: &[u8]) -> Result<Summary, String> {
        assert_eq!(self.protocol, Protocol::Gemini, "only Gemini streams JSON arrays");
        gemini::array(bytes, self)
    }

    /// Reads a whole answer with status 200.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn answer(&self, bytes: &[u8]) -> Result<Summary, String> {
        let body: Value = serde_json::from_slice(bytes).map_err(|e| format!("the answer is not JSON: {e}"))?;
        match self.protocol {
            Protocol::Chat => chat::answer(&body, self),
            Protocol::Responses => responses::answer(&body, self),
            Protocol::Messages => messages::answer(&body, self),
            Protocol::Gemini => gemini::answer(&body, self),
        }
    }

    /// Reads the body of an answer with an error status: the error object of the protocol.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn failure(&self, bytes: &[u8]) -> Result<Failure, String> {
        let body: Value = serde_json::from_slice(bytes).map_err(|e| format!("the error body is not JSON: {e}"))?;
        match self.protocol {
            Protocol::Chat | Protocol::Responses => chat::failure(&body),
            Protocol::Messages => messages::failure(&body),
            Protocol::Gemini => gemini::failure(&body),
        }
    }
}

/// `Err(message)` unless `holds`.
fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

/// The string member `name`.
fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, String> {
    value
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("`{name}` is missing or no string in {}", short(value)))
}

/// The string member `name`, not empty.
fn filled<'a>(value: &'a Value, name: &str) -> Result<&'a str, String> {
    let text = text(value, name)?;
    ensure(!text.is_empty(), || format!("`{name}` is empty in {}", short(value)))?;
    Ok(text)
}

/// The non-negative integer member `name`.
fn count(value: &Value, name: &str) -> Result<u64, String> {
    value
        .get(name)
        .and_then(Value::as_u64)
        .ok_or_else(|| format!("`{name}` is missing or no count in {}", short(value)))
}

/// The non-negative integer member `name`, 0 where it is absent or null.
fn count_or_zero(value: &Value, name: &str) -> Result<u64, String> {
    if value.get(name).is_none_or(Value::is_null) { Ok(0) } else { count(value, name) }
}

/// The array member `name`.
fn list<'a>(value: &'a Value, name: &str) -> Result<&'a [Value], String> {
    let items = value.get(name).and_then(Value::as_array);
    items.map(Vec::as_slice).ok_or_else(|| format!("`{name}` is missing or no array in {}", short(value)))
}

/// The object member `name`.
fn object<'a>(value: &'a Value, name: &str) -> Result<&'a Value, String> {
    let found = value.get(name).filter(|member| member.is_object());
    found.ok_or_else(|| format!("`{name}` is missing or no object in {}", short(value)))
}

/// Refuses members outside `known`.
fn only(value: &Value, known: &[&str]) -> Result<(), String> {
    let unknown = value.as_object().into_iter().flatten().find(|(name, _)| !known.contains(&name.as_str()));
    ensure(unknown.is_none(), || {
        format!("unknown member `{}` in {}", unknown.map_or("", |(name, _)| name), short(value))
    })
}

/// Whether a member is there and not null.
fn given(value: &Value, name: &str) -> bool {
    value.get(name).is_some_and(|member| !member.is_null())
}

/// The start of a value for messages.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
