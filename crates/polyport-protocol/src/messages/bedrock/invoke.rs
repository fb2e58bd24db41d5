//! Streams of Anthropic's models: each frame holds one of their own events, in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use polyport_types::{Event, Text};

use super::super::stream::Decoder;
use crate::context::Target;
use crate::json::Str;
use crate::sse::Frame;
use crate::stream::Step;

crate::json::wire! {
    /// The payload of a frame.
    struct Chunk<'a> {
        bytes: Str<'a> = "bytes",
    }
}

/// Provider stream to events.
#[derive(Debug)]
pub struct InvokeDecoder(Decoder);

impl InvokeDecoder {
    /// A decoder for the stream of `target`.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        Self(Decoder::new(target))
    }

    /// Takes one frame.
    pub fn event(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Step {
        let Frame::Event { data, .. } = frame else { return Step::Ok };
        let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(data) else { return Step::Unreadable };
        let Some(text) = chunk.bytes else { return Step::Ok };
        let inner = STANDARD.decode(&*text).ok().and_then(|inner| Text::try_from(bytes::Bytes::from(inner)).ok());
        match inner {
            Some(data) => self.0.event(&Frame::Event { name: None, data }, out),
            None => Step::Unreadable,
        }
    }

    /// Takes the end of the body; `broken` says that it was cut. The caller appends `End`.
    pub fn finish(&mut self, broken: bool, out: &mut Vec<Event>) {
        self.0.finish(broken, out);
    }
}
