//! Answers of a declared interface, read.

use std::sync::Arc;

use polyport_types::{Event, Fault, FaultClass, Response, Text};
use serde_json::Value;

use super::Custom;
use super::answer::{Answers, Found};
use crate::chat;
use crate::context::Target;
use crate::sse::Frame;
use crate::stream::Step;

/// Provider stream to events.
#[derive(Debug)]
pub struct Decoder {
    answers: Arc<Answers>,
    chat: chat::Decoder,
    found: Found,
    /// The id of the answer where the server gives none: made of its first event.
    id: Option<String>,
    /// An end that waits, because nothing was found before it.
    end: Option<Value>,
}

impl Decoder {
    /// A decoder for the stream of `target`.
    #[must_use]
    pub fn new(custom: &Custom, target: &Target) -> Self {
        Self::of(Arc::clone(&custom.event), target)
    }

    /// A decoder of JSON values in which things stand where `answers` says.
    #[must_use]
    pub fn of(answers: Arc<Answers>, target: &Target) -> Self {
        let chat = chat::Decoder::new(target);
        Self { answers, chat, found: Found::default(), id: None, end: None }
    }

    /// Takes one frame.
    pub fn event(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Step {
        let Frame::Event { name, data } = frame else { return Step::Ok };
        let data = data.trim();
        if data.is_empty() {
            return Step::Ok;
        }
        if data == self.answers.done() {
            return self.end(out);
        }
        let Ok(value) = serde_json::from_str::<Value>(data) else {
            // An error need not be JSON.
            return if name.as_deref() == Some("error") { self.chat.event(frame, out) } else { Step::Unreadable };
        };
        let id = self.id.get_or_insert_with(|| made_up_id(data)).clone();
        let answer = Value::Array(vec![value]);
        let Some(mut chunk) = self.answers.chunk(&answer, name.as_deref(), false, &mut self.found) else {
            return if name.as_deref() == Some("error") { self.chat.event(frame, out) } else { Step::Ok };
        };
        if chunk.get("error").is_some() {
            return self.say(&chunk, out);
        }
        if let Some(members) = chunk.as_object_mut() {
            members.entry("id").or_insert_with(|| id.into());
        }
        if !self.found.is_something() && is_end(&chunk) {
            self.end = Some(chunk);
            return Step::Ok;
        }
        self.say(&chunk, out)
    }

    fn say(&mut self, chunk: &Value, out: &mut Vec<Event>) -> Step {
        self.chat.event(&Frame::Event { name: None, data: chunk.to_string().into() }, out)
    }

    /// The server says that it is done.
    fn end(&mut self, out: &mut Vec<Event>) -> Step {
        if let Some(fault) = self.answers.nothing(&self.found) {
            out.push(Event::Error(Box::new(fault)));
            return Step::Done;
        }
        if let Some(end) = self.end.take() {
            self.say(&end, out);
        }
        self.chat.event(&Frame::Event { name: None, data: Text::from_static("[DONE]") }, out)
    }

    /// Takes the end of the body; `broken` says that it was cut. The caller appends `End`.
    pub fn finish(&mut self, broken: bool, out: &mut Vec<Event>) {
        let seen = self.id.is_some();
        if let Some(fault) = self.answers.nothing(&self.found).filter(|_| seen && !broken) {
            out.push(Event::Error(Box::new(fault)));
            return;
        }
        if let Some(end) = self.end.take() {
            self.say(&end, out);
        }
        self.chat.finish(broken, out);
    }
}

fn is_end(chunk: &Value) -> bool {
    chunk.pointer("/choices/0/finish_reason").is_some_and(|reason| !reason.is_null())
}

/// The same answer gives the same id, however often it is read.
fn made_up_id(of: &str) -> String {
    let hash = blake3::hash(of.as_bytes()).to_hex();
    hash.chars().take(24).collect()
}

/// Reads a whole answer.
///
/// # Errors
/// A [`Fault`] if it is an error in disguise, makes no sense, or holds nothing where it is looked for.
pub(crate) fn decode_response(custom: &Custom, target: &Target, body: &Text) -> Result<Response, Fault> {
    let value: Value = serde_json::from_str(body).map_err(|error| unreadable(custom, &error.to_string()))?;
    let answer = Value::Array(vec![value]);
    let mut found = Found::default();
    let mut chunk = custom.whole.chunk(&answer, None, true, &mut found).unwrap_or_default();
    if chunk.get("error").is_none() {
        if let Some(fault) = custom.whole.nothing(&found) {
            return Err(fault);
        }
        if let Some(members) = chunk.as_object_mut() {
            members.entry("id").or_insert_with(|| made_up_id(body).into());
        }
    }
    chat::decode_response(target, &chunk.to_string().into())
}

fn unreadable(custom: &Custom, why: &str) -> Fault {
    let words = format!("the answer of provider `{}` cannot be read: {why}", custom.provider);
    Fault { from_upstream: true, ..Fault::new(FaultClass::UpstreamProtocol, words) }
}
