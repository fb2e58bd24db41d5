//! Streams of Converse. They say what a stream of the Messages protocol says: its decoder takes them in other words.

use polyport_types::{Event, StreamStart};

use super::super::stream::Decoder;
use super::super::types::{self as own, Block};
use super::response::{citation, redacted_block, take_usage, word};
use super::types::{Delta, ReasoningDelta, StreamEvent};
use crate::context::Target;
use crate::json::{Int, Str};
use crate::sse::Frame;
use crate::stream::Step;

/// Provider stream to events.
#[derive(Debug)]
pub struct ConverseDecoder {
    inner: Decoder,
    /// The message has ended: only its usage may follow.
    stopped: bool,
}

impl ConverseDecoder {
    /// A decoder for the stream of `target`.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        Self { inner: Decoder::new(target), stopped: false }
    }

    /// Takes one frame.
    pub fn event(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Step {
        let Frame::Event { name, data } = frame else { return Step::Ok };
        let Ok(wire) = serde_json::from_str::<StreamEvent<'_>>(data) else { return Step::Unreadable };
        let index = wire.index.map_or(0, |Int(index)| index);
        let family = self.inner.family();
        let stopped = &mut self.stopped;
        self.inner.noting(out, |inner, out| {
            let model = inner.model();
            inner.start_with(|| StreamStart { model, ..StreamStart::default() }, out);
            match name.as_deref().unwrap_or_default() {
                "contentBlockStart" => {
                    if let Some(call) = wire.start.and_then(|start| start.tool_use) {
                        let block = Block { kind: word("tool_use"), id: call.id, name: call.name, ..Block::default() };
                        inner.block_start(index, block, data, out);
                    }
                }
                "contentBlockDelta" => match wire.delta.unwrap_or_default() {
                    Delta { text: Some(text), .. } => {
                        let delta = own::Delta { kind: word("text_delta"), text: Some(text), ..own::Delta::default() };
                        inner.block_delta(index, delta, data, out);
                    }
                    Delta { tool_use: Some(call), .. } => {
                        let kind = word("input_json_delta");
                        let delta = own::Delta { kind, partial_json: call.input, ..own::Delta::default() };
                        inner.block_delta(index, delta, data, out);
                    }
                    Delta { reasoning: Some(piece), .. } => match piece {
                        ReasoningDelta { redacted: Some(blob), .. } => {
                            inner.block_start(index, redacted_block(blob, family), data, out);
                        }
                        ReasoningDelta { text, signature, .. } => {
                            // A block that shows nothing is opened by its signature.
                            if text.is_none() && signature.is_some() && !inner.is_open(index) {
                                let thinking = Some(Str::default());
                                let block = Block { kind: word("thinking"), thinking, ..Block::default() };
                                inner.block_start(index, block, data, out);
                            }
                            let kind = word(if text.is_some() { "thinking_delta" } else { "signature_delta" });
                            let delta = own::Delta { kind, thinking: text, signature, ..own::Delta::default() };
                            inner.block_delta(index, delta, data, out);
                        }
                    },
                    Delta { citation: Some(json), .. } => {
                        if let Some(citation) = citation(json, data) {
                            inner.cite(index, citation, out);
                        }
                    }
                    Delta { .. } => {}
                },
                "contentBlockStop" => inner.block_stop(index, out),
                "messageStop" => {
                    *stopped = true;
                    let sequence = wire.additional.and_then(|fields| fields.stop_sequence);
                    let delta =
                        own::Delta { stop_reason: wire.stop_reason, stop_sequence: sequence, ..own::Delta::default() };
                    let event = own::StreamEvent { delta: Some(delta), ..own::StreamEvent::default() };
                    inner.message_delta(event, data, out);
                }
                "metadata" => {
                    if let Some(usage) = wire.usage {
                        inner.metered(|meter| take_usage(meter, usage, data), out);
                    }
                    if *stopped {
                        inner.finish_message(out);
                        return Step::Done;
                    }
                }
                // The beginning, and what came after this was written.
                _ => {}
            }
            Step::Ok
        })
    }

    /// Takes the end of the body; `broken` says that it was cut. The caller appends `End`.
    pub fn finish(&mut self, broken: bool, out: &mut Vec<Event>) {
        self.inner.finish(broken, out);
    }
}
