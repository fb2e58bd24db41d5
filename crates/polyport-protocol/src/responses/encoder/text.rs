//! Messages of the model: text and refusals.

use polyport_types::{Citation, CitationKind, PartId, PartStatus, Protocol, Signature, Text, TokenLogprob};

use super::{Encoder, Sink, state_word};
use crate::carrier::Placement;
use crate::json::JsonWriter;
use crate::responses::write::{annotation, can_cite, logprob, place, utf16_len};

/// A message item that is being written.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) index: u32,
    pub(super) id: String,
    /// The provider's id of the item.
    pub(super) item_id: Option<Text>,
    pub(super) phase: Option<Text>,
    /// Finished content parts with commas between them.
    pub(super) content: Vec<u8>,
    pub(super) parts: u32,
    pub(super) open: Option<Content>,
}

/// A content part that is being written. Neighbouring texts of other protocols share one.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) refusal: bool,
    pub(super) text: String,
    /// The neutral part that writes to it, and where its own text begins.
    pub(super) part: Option<PartId>,
    pub(super) begin: usize,
    pub(super) annotations: Vec<u8>,
    pub(super) annotated: u32,
    /// Citations of the whole text of the neutral part: their place is known at its end.
    pub(super) waiting: Vec<Citation>,
    pub(super) logprobs: Vec<u8>,
    pub(super) signature: Option<Signature>,
}
impl Encoder {
    pub(super) fn text_start(&mut self, part: PartId, item_id: Option<Text>, phase: Option<Text>, out: &mut Vec<u8>) {
        let native = self.context.provider == Protocol::Responses;
        let item_id = item_id.filter(|_| native);
        let phase = phase.filter(|_| native);
        self.close_foreign(item_id.as_ref(), phase.as_ref(), out);
        if self.message.is_none() {
            self.settle(out);
            self.open_message(item_id.clone(), phase, out);
        }
        // Texts of other protocols that follow one another are one text here.
        let joins = item_id.is_none()
            && self.message.as_ref().and_then(|message| message.open.as_ref()).is_some_and(|open| !open.refusal);
        if !joins {
            self.close_content(out);
            self.open_content(false, Some(part), out);
        } else if let Some(content) = self.message.as_mut().and_then(|message| message.open.as_mut()) {
            content.part = Some(part);
            content.begin = content.text.len();
        }
        self.spoken = true;
    }

    /// Closes an open message that a text of this item cannot join.
    pub(super) fn close_foreign(&mut self, item_id: Option<&Text>, phase: Option<&Text>, out: &mut Vec<u8>) {
        if let Some(message) = &self.message
            && (message.item_id.as_ref() != item_id || message.phase.as_ref() != phase)
            // A refusal may have opened the message of a text that follows.
            && !(message.item_id.is_none() && message.parts == 0 && message.open.is_none())
        {
            self.close_message(PartStatus::Complete, out);
        }
    }

    pub(super) fn refusal_start(&mut self, part: Option<PartId>, out: &mut Vec<u8>) {
        if self.message.is_none() {
            self.settle(out);
            self.open_message(None, None, out);
        }
        self.close_content(out);
        self.open_content(true, part, out);
        self.refused = true;
    }

    pub(super) fn open_message(&mut self, item_id: Option<Text>, phase: Option<Text>, out: &mut Vec<u8>) {
        let index = self.reserve();
        let id = self.item_id("msg", item_id.as_ref());
        let phase_word = phase.clone();
        self.added(out, index, |w| {
            w.object(|w| {
                w.str("id", &id);
                w.str("type", "message");
                w.str("status", "in_progress");
                w.str("role", "assistant");
                w.array_field("content", |_| {});
                w.opt_str("phase", phase_word.as_deref());
            });
        });
        self.message = Some(Message { index, id, item_id, phase, content: Vec::new(), parts: 0, open: None });
    }

    pub(super) fn open_content(&mut self, refusal: bool, part: Option<PartId>, out: &mut Vec<u8>) {
        let Some(message) = &mut self.message else { return };
        message.open = Some(Content {
            refusal,
            text: String::new(),
            part,
            begin: 0,
            annotations: Vec::new(),
            annotated: 0,
            waiting: Vec::new(),
            logprobs: Vec::new(),
            signature: None,
        });
        self.sink.frame(out, "response.content_part.added", |w| {
            message.place(w);
            w.object_field("part", |w| {
                if refusal {
                    w.str("type", "refusal");
                    w.str("refusal", "");
                } else {
                    w.str("type", "output_text");
                    w.str("text", "");
                    w.array_field("annotations", |_| {});
                    w.array_field("logprobs", |_| {});
                }
            });
        });
    }

    pub(super) fn citation(&mut self, part: PartId, citation: Citation, out: &mut Vec<u8>) {
        let native = self.context.provider == Protocol::Responses;
        let Some(message) = &mut self.message else { return };
        let Some(content) = message.content_of(part).filter(|content| !content.refusal) else { return };
        let known = can_cite(&citation) || (native && citation.raw.is_some());
        if !known {
            return;
        }
        // Without a place of its own it means everything said in this part.
        if citation.span.is_none() && (!native || citation.kind == CitationKind::Url) {
            let known = |known: &Citation| known.url == citation.url && known.file_id == citation.file_id;
            if native || !content.waiting.iter().any(known) {
                content.waiting.push(citation);
            }
            return;
        }
        message.annotate(&mut self.sink, &citation, native, out);
    }

    pub(super) fn logprobs(&mut self, part: Option<PartId>, tokens: &[TokenLogprob]) {
        let Some(message) = &mut self.message else { return };
        let content = match part {
            Some(part) => message.content_of(part),
            None => message.open.as_mut(),
        };
        let Some(content) = content else { return };
        for token in tokens {
            if !content.logprobs.is_empty() {
                content.logprobs.push(b',');
            }
            logprob(&mut JsonWriter::new(&mut content.logprobs), token);
        }
    }

    pub(super) fn text_end(&mut self, status: PartStatus, out: &mut Vec<u8>) {
        let Some(message) = &mut self.message else { return };
        message.place_citations(&mut self.sink, out);
        let signature = message.open.as_mut().and_then(|content| {
            content.part = None;
            content.signature.take()
        });
        if status != PartStatus::Complete {
            return self.close_message(status, out);
        }
        if signature.is_some() {
            self.close_message(PartStatus::Complete, out);
            self.carry(signature.as_ref(), Placement::Previous, out);
        }
    }

    pub(super) fn close_content(&mut self, out: &mut Vec<u8>) {
        if let Some(message) = &mut self.message {
            message.close_content(&mut self.sink, out);
        }
    }

    pub(super) fn close_message(&mut self, status: PartStatus, out: &mut Vec<u8>) {
        self.close_content(out);
        let Some(message) = self.message.take() else { return };
        self.done(out, message.index, |w| {
            w.object(|w| {
                w.str("id", &message.id);
                w.str("type", "message");
                w.str("status", state_word(status));
                w.str("role", "assistant");
                w.array_field("content", |w| {
                    if !message.content.is_empty() {
                        // Written by `JsonWriter`, commas included.
                        w.raw_value(std::str::from_utf8(&message.content).unwrap_or_default());
                    }
                });
                w.opt_str("phase", message.phase.as_deref());
            });
        });
    }
}

impl Message {
    pub(super) fn writes(&self, part: PartId) -> bool {
        self.open.as_ref().is_some_and(|content| content.part == Some(part))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.as_ref().is_none_or(|content| content.part.is_none())
    }

    pub(super) fn content_of(&mut self, part: PartId) -> Option<&mut Content> {
        self.open.as_mut().filter(|content| content.part == Some(part))
    }

    /// Members that say which content part an event is about.
    pub(super) fn place(&self, w: &mut JsonWriter<'_>) {
        w.str("item_id", &self.id);
        w.num("output_index", self.index);
        w.num("content_index", self.parts);
    }

    pub(super) fn delta(&mut self, sink: &mut Sink, text: &str, out: &mut Vec<u8>) {
        let Some(content) = &mut self.open else { return };
        content.text.push_str(text);
        let refusal = content.refusal;
        let kind = if refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        sink.frame(out, kind, |w| {
            self.place(w);
            w.str("delta", text);
            if !refusal {
                w.array_field("logprobs", |_| {});
            }
        });
    }

    pub(super) fn annotate(&mut self, sink: &mut Sink, citation: &Citation, native: bool, out: &mut Vec<u8>) {
        let Some(content) = &mut self.open else { return };
        let (before, own) = content.text.split_at_checked(content.begin).unwrap_or(("", ""));
        let at = place(citation, utf16_len(before), own);
        if !content.annotations.is_empty() {
            content.annotations.push(b',');
        }
        let first = content.annotations.len();
        annotation(&mut JsonWriter::new(&mut content.annotations), citation, at, native);
        let number = content.annotated;
        content.annotated += 1;
        let Some(content) = &self.open else { return };
        let written = content.annotations.get(first..).unwrap_or_default();
        sink.frame(out, "response.output_text.annotation.added", |w| {
            self.place(w);
            w.num("annotation_index", number);
            w.key("annotation");
            // Written by `JsonWriter`, or verbatim JSON.
            w.raw_value(std::str::from_utf8(written).unwrap_or("null"));
        });
    }

    /// Citations of the whole neutral part get their place.
    pub(super) fn place_citations(&mut self, sink: &mut Sink, out: &mut Vec<u8>) {
        let waiting = self.open.as_mut().map(|content| std::mem::take(&mut content.waiting)).unwrap_or_default();
        for citation in waiting {
            self.annotate(sink, &citation, self.item_id.is_some(), out);
        }
    }

    pub(super) fn close_content(&mut self, sink: &mut Sink, out: &mut Vec<u8>) {
        self.place_citations(sink, out);
        let Some(content) = self.open.take() else { return };
        let logprobs = std::str::from_utf8(&content.logprobs).unwrap_or_default();
        let list = |w: &mut JsonWriter<'_>| {
            if !logprobs.is_empty() {
                w.raw_value(logprobs);
            }
        };
        let (kind, member) =
            if content.refusal { ("response.refusal.done", "refusal") } else { ("response.output_text.done", "text") };
        sink.frame(out, kind, |w| {
            self.place(w);
            w.str(member, &content.text);
            if !content.refusal {
                w.array_field("logprobs", list);
            }
        });
        let mut part = Vec::with_capacity(content.text.len() + 64);
        JsonWriter::new(&mut part).object(|w| {
            w.str("type", if content.refusal { "refusal" } else { "output_text" });
            w.str(member, &content.text);
            if !content.refusal {
                w.array_field("annotations", |w| {
                    if !content.annotations.is_empty() {
                        // Written by `JsonWriter`, commas included.
                        w.raw_value(std::str::from_utf8(&content.annotations).unwrap_or_default());
                    }
                });
                w.array_field("logprobs", list);
            }
        });
        sink.frame(out, "response.content_part.done", |w| {
            self.place(w);
            w.key("part");
            // Written by `JsonWriter`.
            w.raw_value(std::str::from_utf8(&part).unwrap_or("null"));
        });
        if !self.content.is_empty() {
            self.content.push(b',');
        }
        self.content.extend_from_slice(&part);
        self.parts += 1;
    }
}
