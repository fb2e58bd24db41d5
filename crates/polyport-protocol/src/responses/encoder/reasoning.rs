//! Reasoning items.

use polyport_types::{Family, PartId, Protocol, Signature, SignatureKind, Text};

use super::{Encoder, Sink, carried};
use crate::carrier::Placement;
use crate::json::JsonWriter;
use crate::responses::response::shows_reasoning;
use crate::responses::write::ReasoningItem;

/// A reasoning item that is being written.
#[derive(Debug)]
pub(super) struct Reasoning {
    /// Known once there is something to show.
    pub(super) index: Option<u32>,
    pub(super) id: String,
    pub(super) item_id: Option<Text>,
    pub(super) part: Option<PartId>,
    /// Full reasoning text goes to `content`, everything else to the summary.
    pub(super) full: bool,
    pub(super) summary: Vec<String>,
    /// The last summary paragraph is still growing.
    pub(super) growing: bool,
    pub(super) content: Option<String>,
    pub(super) content_open: bool,
    pub(super) encrypted: Option<Text>,
    pub(super) signed: bool,
}
impl Encoder {
    pub(super) fn reasoning_start(&mut self, part: PartId, item_id: Option<Text>, summary: bool, out: &mut Vec<u8>) {
        let native = self.context.provider == Protocol::Responses;
        let item_id = item_id.filter(|_| native);
        if let Some(open) = self.reasoning.as_mut().filter(|open| open.item_id.is_some() && open.item_id == item_id) {
            open.part = Some(part);
            open.full = !summary;
            return;
        }
        self.settle(out);
        self.close_reasoning(out);
        self.reasoning = Some(Reasoning {
            index: None,
            id: String::new(),
            item_id,
            part: Some(part),
            full: native && !summary,
            summary: Vec::new(),
            growing: false,
            content: None,
            content_open: false,
            encrypted: None,
            signed: false,
        });
    }

    /// Announces the reasoning item.
    pub(super) fn reasoning_added(&mut self, out: &mut Vec<u8>) {
        let Some(mut reasoning) = self.reasoning.take() else { return };
        if reasoning.index.is_none() {
            let index = self.reserve();
            reasoning.index = Some(index);
            reasoning.id = self.item_id("rs", reasoning.item_id.as_ref());
            self.added(out, index, |w| {
                ReasoningItem { id: &reasoning.id, ..ReasoningItem::default() }.write(w);
            });
        }
        self.reasoning = Some(reasoning);
    }

    pub(super) fn reasoning_delta(&mut self, text: &str, out: &mut Vec<u8>) {
        if !shows_reasoning(&self.context) {
            return;
        }
        self.reasoning_added(out);
        if let Some(reasoning) = &mut self.reasoning {
            reasoning.delta(&mut self.sink, text, out);
        }
    }

    pub(super) fn summary_break(&mut self, part: PartId, out: &mut Vec<u8>) {
        if let Some(reasoning) = self.reasoning.as_mut().filter(|reasoning| reasoning.part == Some(part)) {
            reasoning.close_paragraph(&mut self.sink, out);
        }
    }

    pub(super) fn close_reasoning(&mut self, out: &mut Vec<u8>) {
        let Some(reasoning) = &mut self.reasoning else { return };
        let visible = reasoning.index.is_some();
        if visible && !reasoning.signed && self.context.provider != Protocol::Responses {
            // A mark of where the words come from, so that they can go back there.
            let mark = unsigned(self.context.provider);
            reasoning.encrypted = carried(&self.context, &mark, Placement::Own);
        }
        if !visible && reasoning.encrypted.is_none() && reasoning.item_id.is_none() {
            // Hidden words without a signature: nothing of them is left.
            self.reasoning = None;
            return;
        }
        self.reasoning_added(out);
        let Some(mut reasoning) = self.reasoning.take() else { return };
        reasoning.close_paragraph(&mut self.sink, out);
        reasoning.close_content(&mut self.sink, out);
        let Some(index) = reasoning.index else { return };
        self.done(out, index, |w| {
            ReasoningItem {
                id: &reasoning.id,
                summary: reasoning.summary.iter().map(String::as_str).collect(),
                full: reasoning.content.as_deref(),
                encrypted: reasoning.encrypted.as_deref(),
                ..ReasoningItem::default()
            }
            .write(w);
        });
    }
}

/// The signature of words that have none.
fn unsigned(provider: Protocol) -> Signature {
    let (family, kind) = match provider {
        Protocol::Gemini => (Family::Google, SignatureKind::Part),
        Protocol::Messages => (Family::Anthropic, SignatureKind::Thinking),
        Protocol::Chat | Protocol::Responses => (Family::Unknown, SignatureKind::Thinking),
    };
    Signature::new(family, kind, "")
}
impl Reasoning {
    pub(super) fn head(&self, w: &mut JsonWriter<'_>) {
        w.str("item_id", &self.id);
        w.num("output_index", self.index.unwrap_or_default());
    }

    pub(super) fn delta(&mut self, sink: &mut Sink, text: &str, out: &mut Vec<u8>) {
        if self.full {
            if !self.content_open {
                self.content_open = true;
                sink.frame(out, "response.content_part.added", |w| {
                    self.head(w);
                    w.num("content_index", 0_u32);
                    w.object_field("part", |w| {
                        w.str("type", "reasoning_text");
                        w.str("text", "");
                    });
                });
            }
            self.content.get_or_insert_default().push_str(text);
            sink.frame(out, "response.reasoning_text.delta", |w| {
                self.head(w);
                w.num("content_index", 0_u32);
                w.str("delta", text);
            });
            return;
        }
        if !self.growing {
            self.growing = true;
            self.summary.push(String::new());
            sink.frame(out, "response.reasoning_summary_part.added", |w| {
                self.paragraph(w);
                w.object_field("part", |w| {
                    w.str("type", "summary_text");
                    w.str("text", "");
                });
            });
        }
        if let Some(last) = self.summary.last_mut() {
            last.push_str(text);
        }
        sink.frame(out, "response.reasoning_summary_text.delta", |w| {
            self.paragraph(w);
            w.str("delta", text);
        });
    }

    /// Members that say which summary paragraph an event is about.
    pub(super) fn paragraph(&self, w: &mut JsonWriter<'_>) {
        self.head(w);
        w.num("summary_index", self.summary.len().saturating_sub(1));
    }

    pub(super) fn close_paragraph(&mut self, sink: &mut Sink, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.growing) {
            return;
        }
        let text = self.summary.last().map_or("", String::as_str);
        sink.frame(out, "response.reasoning_summary_text.done", |w| {
            self.paragraph(w);
            w.str("text", text);
        });
        sink.frame(out, "response.reasoning_summary_part.done", |w| {
            self.paragraph(w);
            w.object_field("part", |w| {
                w.str("type", "summary_text");
                w.str("text", text);
            });
        });
    }

    pub(super) fn close_content(&mut self, sink: &mut Sink, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.content_open) {
            return;
        }
        let text = self.content.as_deref().unwrap_or_default();
        sink.frame(out, "response.reasoning_text.done", |w| {
            self.head(w);
            w.num("content_index", 0_u32);
            w.str("text", text);
        });
        sink.frame(out, "response.content_part.done", |w| {
            self.head(w);
            w.num("content_index", 0_u32);
            w.object_field("part", |w| {
                w.str("type", "reasoning_text");
                w.str("text", text);
            });
        });
    }
}
