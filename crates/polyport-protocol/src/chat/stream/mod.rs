//! Streams of the Chat protocol.

use polyport_types::{Event, Signature, Text};

use crate::context::{ClientContext, Target};
use crate::sse::Frame;
use crate::stream::Step;

/// Provider stream to events.
#[derive(Debug)]
pub struct Decoder {}

impl Decoder {
    /// A decoder for the stream of `target`.
    #[must_use]
    pub fn new(_target: &Target) -> Self {
        Self {}
    }

    /// Takes one frame.
    pub fn event(&mut self, _frame: &Frame, _out: &mut Vec<Event>) -> Step {
        Step::Ok
    }

    /// Takes the end of the body; `broken` says that it was cut. The caller appends `End`.
    pub fn finish(&mut self, _broken: bool, _out: &mut Vec<Event>) {}
}

/// Events to a client's stream.
#[derive(Debug)]
pub struct Encoder {
    #[allow(dead_code, reason = "read by the encoder")]
    context: ClientContext,
}

impl Encoder {
    /// An encoder for a client.
    #[must_use]
    pub fn new(context: ClientContext) -> Self {
        Self { context }
    }

    /// Appends what `event` means for the client.
    pub fn encode(&mut self, _event: Event, _out: &mut Vec<u8>) {}

    /// Signatures this client cannot carry, by tool call id.
    pub fn take_signatures(&mut self) -> Vec<(Text, Vec<Signature>)> {
        Vec::new()
    }
}
