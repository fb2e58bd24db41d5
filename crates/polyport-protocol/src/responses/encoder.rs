//! Events to a client's stream, and to the items of a whole answer.
//!
//! One state machine makes both: a whole answer is a stream whose events nobody sees. Every item is written once, when it is done;
//! `response.completed` repeats those bytes, so that both always agree.

use std::collections::HashSet;

use polyport_types::{
    Citation, CitationKind, Event, Family, Fault, FaultClass, Finish, FinishReason, Part, PartId, PartKind, PartStart,
    PartStatus, Protocol, Response, ResponseStatus, ServerToolCallStart, Signature, SignatureKind, StreamStart, Text,
    TokenLogprob, Tool, ToolCallKind, ToolCallStart, Usage,
};

use super::hosted::{CodeRun, Hosted, hosted_query, native_id, with_id};
use super::response::{Outcome, ResponseState, echo, error_of, outcome, shows_reasoning, tier};
use super::write::{
    CallItem, ReasoningItem, annotation, call_id, can_cite, generated_image, logprob, made_id, place, utf16_len,
};
use crate::ClientContext;
use crate::carrier::Placement;
use crate::collect;
use crate::json::{JsonWriter, write_str};

/// Writes events with their numbers.
#[derive(Debug)]
pub(super) struct Sink {
    sequence: u64,
    /// Events are not wanted: only the items.
    silent: bool,
}

impl Sink {
    /// Writes one event.
    pub(super) fn frame(&mut self, out: &mut Vec<u8>, kind: &str, members: impl FnOnce(&mut JsonWriter<'_>)) {
        if self.silent {
            return;
        }
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let number = self.sequence;
        self.sequence += 1;
        JsonWriter::new(out).object(|w| {
            w.str("type", kind);
            members(w);
            w.num("sequence_number", number);
        });
        out.extend_from_slice(b"\n\n");
    }
}

/// Events to a client's stream.
#[derive(Debug)]
pub struct Encoder {
    context: ClientContext,
    sink: Sink,
    /// Members of the `response` object that repeat the request.
    echo: String,
    started: bool,
    /// The terminal event is written.
    ended: bool,
    created: i64,
    tier: Option<Text>,
    /// The answer that is shown: a client of this protocol sees one.
    choice: Option<u32>,
    /// Finished items by output index.
    items: Vec<Option<Vec<u8>>>,
    ids: HashSet<String>,
    message: Option<Message>,
    reasoning: Option<Reasoning>,
    calls: Vec<Call>,
    hosted: Vec<Hosted>,
    /// A program run at another provider whose output is still to come.
    code: Option<CodeRun>,
    usage: Option<Usage>,
    finish: Option<Finish>,
    spoken: bool,
    refused: bool,
}

/// A message item that is being written.
#[derive(Debug)]
struct Message {
    index: u32,
    id: String,
    /// The provider's id of the item.
    item_id: Option<Text>,
    phase: Option<Text>,
    /// Finished content parts with commas between them.
    content: Vec<u8>,
    parts: u32,
    open: Option<Content>,
}

/// A content part that is being written. Neighbouring texts of other protocols share one.
#[derive(Debug)]
struct Content {
    refusal: bool,
    text: String,
    /// The neutral part that writes to it, and where its own text begins.
    part: Option<PartId>,
    begin: usize,
    annotations: Vec<u8>,
    annotated: u32,
    /// Citations of the whole text of the neutral part: their place is known at its end.
    waiting: Vec<Citation>,
    logprobs: Vec<u8>,
    signature: Option<Signature>,
}

/// A reasoning item that is being written.
#[derive(Debug)]
struct Reasoning {
    /// Known once there is something to show.
    index: Option<u32>,
    id: String,
    item_id: Option<Text>,
    part: Option<PartId>,
    /// Full reasoning text goes to `content`, everything else to the summary.
    full: bool,
    summary: Vec<String>,
    /// The last summary paragraph is still growing.
    growing: bool,
    content: Option<String>,
    content_open: bool,
    encrypted: Option<Text>,
    signed: bool,
}

/// A call that is being written.
#[derive(Debug)]
struct Call {
    part: PartId,
    index: Option<u32>,
    id: String,
    call_id: String,
    start: ToolCallStart,
    arguments: String,
    /// The client declared a free-form tool: the input stands in one member of the arguments.
    unwrap: bool,
}

impl Encoder {
    /// An encoder for a client.
    #[must_use]
    pub fn new(context: ClientContext) -> Self {
        let echo = echo(&context);
        let created = context.now;
        Self {
            context,
            sink: Sink { sequence: 0, silent: false },
            echo,
            started: false,
            ended: false,
            created,
            tier: None,
            choice: None,
            items: Vec::new(),
            ids: HashSet::new(),
            message: None,
            reasoning: None,
            calls: Vec::new(),
            hosted: Vec::new(),
            code: None,
            usage: None,
            finish: None,
            spoken: false,
            refused: false,
        }
    }

    /// A whole answer as one object.
    pub(super) fn whole(context: ClientContext, response: &Response) -> Vec<u8> {
        let mut encoder = Self::new(context);
        encoder.sink.silent = true;
        let mut nothing = Vec::new();
        let status = response.status;
        let fault = response.error.clone();
        let mut first = response.clone();
        first.candidates = response.first().cloned().into_iter().collect();
        let waits = matches!(status, ResponseStatus::Queued | ResponseStatus::InProgress);
        if !waits && fault.is_none() {
            for event in collect::into_events(first) {
                match event {
                    Event::End => break,
                    event => encoder.encode(event, &mut nothing),
                }
            }
        } else {
            encoder.created = response.created.unwrap_or(encoder.created);
            encoder.tier.clone_from(&response.service_tier);
        }
        let mut out = Vec::new();
        match (status, fault) {
            (ResponseStatus::Queued, None) => encoder.object(&mut JsonWriter::new(&mut out), "queued", None, None),
            (ResponseStatus::InProgress, None) => {
                encoder.object(&mut JsonWriter::new(&mut out), "in_progress", None, None);
            }
            (_, Some(fault)) => encoder.object(&mut JsonWriter::new(&mut out), "failed", None, Some(&fault)),
            (_, None) => {
                let (status, reason, fault) = encoder.ending();
                encoder.object(&mut JsonWriter::new(&mut out), status, reason.as_deref(), fault.as_ref());
            }
        }
        out
    }

    /// Appends what `event` means for the client.
    pub fn encode(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start(start) => self.start(*start, out),
            Event::PartStart { part, choice, start } => {
                if self.is_shown(choice, out) {
                    self.part_start(part, start, out);
                }
            }
            Event::Delta { part, text } => self.delta(part, &text, out),
            Event::SummaryBreak { part } => self.summary_break(part, out),
            Event::Signature { part, signature } => self.signature(part, *signature),
            Event::Citation { part, citation } => self.citation(part, *citation, out),
            Event::Logprobs { choice, part, tokens } => {
                if self.is_shown(choice, out) {
                    self.logprobs(part, &tokens);
                }
            }
            Event::PartEnd { part, status } => self.part_end(part, status, out),
            Event::Part { choice, part } => {
                if self.is_shown(choice, out) {
                    self.part(*part, out);
                }
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish(finish) => {
                if self.is_shown(finish.choice, out) {
                    self.finish(*finish, out);
                }
            }
            Event::Error(fault) => self.fail(&fault, out),
            Event::End => self.end(out),
            Event::Ping | Event::Opaque { .. } => {}
        }
    }

    /// Whether an event of this answer is for the client; starts the stream if nothing did.
    fn is_shown(&mut self, choice: u32, out: &mut Vec<u8>) -> bool {
        if !self.started {
            self.start(StreamStart::default(), out);
        }
        self.finish.is_none() && *self.choice.get_or_insert(choice) == choice
    }

    fn start(&mut self, start: StreamStart, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        self.created = start.created.unwrap_or(self.created);
        self.tier = start.service_tier;
        for kind in ["response.created", "response.in_progress"] {
            self.lifecycle(out, kind, "in_progress", None, None);
        }
    }

    /// An event that carries the `response` object.
    fn lifecycle(
        &mut self,
        out: &mut Vec<u8>,
        kind: &str,
        status: &'static str,
        reason: Option<&str>,
        fault: Option<&Fault>,
    ) {
        if self.sink.silent {
            return;
        }
        let mut object = Vec::with_capacity(self.echo.len() + 512);
        self.object(&mut JsonWriter::new(&mut object), status, reason, fault);
        self.sink.frame(out, kind, |w| {
            w.key("response");
            // Written by `JsonWriter`.
            w.raw_value(std::str::from_utf8(&object).unwrap_or("null"));
        });
    }

    fn object(&self, w: &mut JsonWriter<'_>, status: &'static str, reason: Option<&str>, fault: Option<&Fault>) {
        let over = !matches!(status, "in_progress" | "queued");
        let native = self.context.provider == Protocol::Responses;
        let tier_word = self.tier.as_deref().and_then(|word| tier(word, self.context.provider));
        let last = self.finish.as_ref().and_then(|finish| finish.ext.get("service_tier"));
        let last = last.and_then(|raw| serde_json::from_str::<String>(raw.as_str()).ok());
        ResponseState {
            status,
            created: self.created,
            completed: status == "completed",
            error: fault.map(error_of),
            incomplete: reason,
            output: if over { self.items.iter().flatten().map(Vec::as_slice).collect() } else { Vec::new() },
            usage: self.usage.as_ref().filter(|_| over),
            service_tier: last.as_deref().or(tier_word).or(self.context.request.service_tier.as_deref()),
            ext: self.finish.as_ref().map(|finish| &finish.ext).filter(|_| over && native),
        }
        .write(w, &self.context, &self.echo);
    }

    // ------------------------------------------------------------------------------------------------------------ items

    /// The next output index, without gaps.
    fn reserve(&mut self) -> u32 {
        self.items.push(None);
        u32::try_from(self.items.len() - 1).unwrap_or(u32::MAX)
    }

    /// The provider's own id of an item where it is one, otherwise one made of the answer's id and the item's place.
    fn item_id(&mut self, prefix: &str, native: Option<&Text>) -> String {
        let own = native.filter(|id| self.context.provider == Protocol::Responses && !id.is_empty());
        if let Some(id) = own
            && self.ids.insert(id.to_string())
        {
            return id.to_string();
        }
        let made = made_id(prefix, &format!("{}{:03}", self.context.id, self.ids.len()));
        self.ids.insert(made.clone());
        made
    }

    fn added(&mut self, out: &mut Vec<u8>, index: u32, item: impl FnOnce(&mut JsonWriter<'_>)) {
        self.sink.frame(out, "response.output_item.added", |w| {
            w.num("output_index", index);
            w.key("item");
            item(w);
        });
    }

    fn done(&mut self, out: &mut Vec<u8>, index: u32, item: impl FnOnce(&mut JsonWriter<'_>)) {
        let mut bytes = Vec::new();
        item(&mut JsonWriter::new(&mut bytes));
        self.sink.frame(out, "response.output_item.done", |w| {
            w.num("output_index", index);
            w.key("item");
            // Written by `JsonWriter`.
            w.raw_value(std::str::from_utf8(&bytes).unwrap_or("null"));
        });
        if let Some(slot) = self.items.get_mut(index as usize) {
            *slot = Some(bytes);
        }
    }

    /// An item that is whole from the start.
    fn whole_item(&mut self, out: &mut Vec<u8>, item: impl Fn(&mut JsonWriter<'_>)) {
        let index = self.reserve();
        self.added(out, index, &item);
        self.done(out, index, &item);
    }

    /// Closes what the coming item cannot go on with.
    fn settle(&mut self, out: &mut Vec<u8>) {
        if self.message.as_ref().is_some_and(|message| message.is_idle()) {
            self.close_message(PartStatus::Complete, out);
        }
        if self.reasoning.as_ref().is_some_and(|reasoning| reasoning.part.is_none()) {
            self.close_reasoning(out);
        }
        self.close_code(out);
    }

    // ------------------------------------------------------------------------------------------------------------ parts

    fn part_start(&mut self, part: PartId, start: PartStart, out: &mut Vec<u8>) {
        match start {
            PartStart::Text { item_id, phase } => self.text_start(part, item_id, phase, out),
            PartStart::Refusal => self.refusal_start(Some(part), out),
            PartStart::Reasoning { item_id, summary } => self.reasoning_start(part, item_id, summary, out),
            PartStart::ToolCall(start) => self.call_start(part, *start, out),
            PartStart::ServerToolCall(start) => self.hosted_start(part, *start, out),
        }
    }

    fn delta(&mut self, part: PartId, text: &str, out: &mut Vec<u8>) {
        if let Some(message) = self.message.as_mut().filter(|message| message.writes(part)) {
            message.delta(&mut self.sink, text, out);
            return;
        }
        if self.reasoning.as_ref().is_some_and(|reasoning| reasoning.part == Some(part)) {
            return self.reasoning_delta(text, out);
        }
        if let Some(call) = self.calls.iter_mut().find(|call| call.part == part) {
            call.arguments.push_str(text);
            if let Some(index) = call.index {
                let kind = match call.start.kind {
                    ToolCallKind::Custom => "response.custom_tool_call_input.delta",
                    ToolCallKind::Function | ToolCallKind::Builtin(_) => "response.function_call_arguments.delta",
                };
                self.sink.frame(out, kind, |w| {
                    w.str("item_id", &call.id);
                    w.num("output_index", index);
                    w.str("delta", text);
                });
            }
            return;
        }
        if let Some(hosted) = self.hosted.iter_mut().find(|hosted| hosted.part == Some(part)) {
            hosted.input.push_str(text);
        }
    }

    fn signature(&mut self, part: PartId, signature: Signature) {
        if let Some(content) = self.message.as_mut().and_then(|message| message.content_of(part)) {
            content.signature = Some(signature);
        } else if let Some(reasoning) = self.reasoning.as_mut().filter(|reasoning| reasoning.part == Some(part)) {
            reasoning.encrypted = self.context.carried(&signature, Placement::Own).filter(|value| !value.is_empty());
            reasoning.signed = true;
        }
    }

    fn part_end(&mut self, part: PartId, status: PartStatus, out: &mut Vec<u8>) {
        if self.message.as_ref().is_some_and(|message| message.writes(part)) {
            return self.text_end(status, out);
        }
        if let Some(reasoning) = self.reasoning.as_mut().filter(|reasoning| reasoning.part == Some(part)) {
            reasoning.part = None;
            // Another part of the same item may follow, unless this one has closed it with its signature.
            if reasoning.signed || reasoning.item_id.is_none() {
                self.close_reasoning(out);
            }
            return;
        }
        if let Some(at) = self.calls.iter().position(|call| call.part == part) {
            let call = self.calls.remove(at);
            return self.call_end(call, status, out);
        }
        if let Some(at) = self.hosted.iter().position(|hosted| hosted.part == Some(part)) {
            self.hosted_end(at, out);
        }
    }

    /// A part that arrives in one piece.
    fn part(&mut self, part: Part, out: &mut Vec<u8>) {
        let native = self.context.provider == Protocol::Responses;
        if let PartKind::CodeResult { output, .. } = &part.kind {
            return self.code_result(output, out);
        }
        if let PartKind::ServerToolResult(result) = part.kind {
            return self.hosted_result(*result, out);
        }
        self.settle(out);
        match part.kind {
            PartKind::ServerToolCall(call) => self.hosted_call(*call, out),
            PartKind::Image(image) => {
                self.carry(part.signature.as_ref(), Placement::Next, out);
                match image.source {
                    polyport_types::MediaSource::Base64 { data, .. } => {
                        let id = self.item_id("ig", part.item_id.as_ref());
                        let ext = native.then_some(&part.ext);
                        self.whole_item(out, |w| generated_image(w, &id, &data, ext));
                    }
                    polyport_types::MediaSource::Url { url, .. } => self.say(&url, out),
                    polyport_types::MediaSource::FileId { .. } => {}
                }
            }
            PartKind::Audio(audio) => {
                if let Some(transcript) = audio.transcript {
                    self.say(&transcript, out);
                }
            }
            PartKind::Reasoning(reasoning) => {
                let encrypted = part.signature.as_ref().and_then(|sign| self.context.carried(sign, Placement::Own));
                let shown = !reasoning.redacted && shows_reasoning(&self.context);
                let text = if shown { reasoning.text.joined() } else { Text::new() };
                if encrypted.is_some() || !text.is_empty() {
                    let id = self.item_id("rs", part.item_id.as_ref());
                    let summary: Vec<&str> = Some(&*text).filter(|text| !text.is_empty()).into_iter().collect();
                    self.whole_item(out, |w| {
                        let item =
                            ReasoningItem { id: &id, encrypted: encrypted.as_deref(), ..ReasoningItem::default() };
                        ReasoningItem { summary: summary.clone(), ..item }.write(w);
                    });
                }
            }
            PartKind::ExecutableCode { code, .. } => {
                self.carry(part.signature.as_ref(), Placement::Next, out);
                self.code = Some(CodeRun { call_id: None, code: code.to_string() });
            }
            PartKind::Opaque { protocol: Protocol::Responses, raw, .. } => self.verbatim(&raw, out),
            PartKind::Compaction { raw, .. } if native => self.verbatim(&raw, out),
            // Text, calls and the like begin and end as events of their own; the rest has no form here.
            _ => {}
        }
    }

    /// An item of this protocol, as the provider wrote it.
    fn verbatim(&mut self, raw: &polyport_types::RawJson, out: &mut Vec<u8>) {
        let own = native_id(raw);
        let id = self.item_id("item", own.as_ref());
        let item = with_id(raw, &id);
        self.whole_item(out, |w| w.raw_value(&item));
    }

    /// Text of our own in place of something that has no form here.
    fn say(&mut self, text: &str, out: &mut Vec<u8>) {
        self.open_message(None, None, out);
        self.open_content(false, None, out);
        if let Some(message) = &mut self.message {
            message.delta(&mut self.sink, text, out);
        }
        self.spoken = true;
        self.close_message(PartStatus::Complete, out);
    }

    /// A signature in an item of its own, where the client can carry it.
    fn carry(&mut self, signature: Option<&Signature>, placement: Placement, out: &mut Vec<u8>) {
        let Some(value) = signature.and_then(|signature| self.context.carried(signature, placement)) else { return };
        let id = self.item_id("rs", None);
        self.whole_item(out, |w| {
            ReasoningItem { id: &id, encrypted: Some(&value), ..ReasoningItem::default() }.write(w);
        });
    }

    // ------------------------------------------------------------------------------------------------------------- text

    fn text_start(&mut self, part: PartId, item_id: Option<Text>, phase: Option<Text>, out: &mut Vec<u8>) {
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
    fn close_foreign(&mut self, item_id: Option<&Text>, phase: Option<&Text>, out: &mut Vec<u8>) {
        if let Some(message) = &self.message
            && (message.item_id.as_ref() != item_id || message.phase.as_ref() != phase)
            // A refusal may have opened the message of a text that follows.
            && !(message.item_id.is_none() && message.parts == 0 && message.open.is_none())
        {
            self.close_message(PartStatus::Complete, out);
        }
    }

    fn refusal_start(&mut self, part: Option<PartId>, out: &mut Vec<u8>) {
        if self.message.is_none() {
            self.settle(out);
            self.open_message(None, None, out);
        }
        self.close_content(out);
        self.open_content(true, part, out);
        self.refused = true;
    }

    fn open_message(&mut self, item_id: Option<Text>, phase: Option<Text>, out: &mut Vec<u8>) {
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

    fn open_content(&mut self, refusal: bool, part: Option<PartId>, out: &mut Vec<u8>) {
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

    fn citation(&mut self, part: PartId, citation: Citation, out: &mut Vec<u8>) {
        let native = self.context.provider == Protocol::Responses;
        let Some(message) = &mut self.message else { return };
        let Some(content) = message.content_of(part).filter(|content| !content.refusal) else { return };
        if !can_cite(&citation) && !(native && citation.raw.is_some()) {
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

    fn logprobs(&mut self, part: Option<PartId>, tokens: &[TokenLogprob]) {
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

    fn text_end(&mut self, status: PartStatus, out: &mut Vec<u8>) {
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

    fn close_content(&mut self, out: &mut Vec<u8>) {
        if let Some(message) = &mut self.message {
            message.close_content(&mut self.sink, out);
        }
    }

    fn close_message(&mut self, status: PartStatus, out: &mut Vec<u8>) {
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

    // -------------------------------------------------------------------------------------------------------- reasoning

    fn reasoning_start(&mut self, part: PartId, item_id: Option<Text>, summary: bool, out: &mut Vec<u8>) {
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
    fn reasoning_added(&mut self, out: &mut Vec<u8>) {
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

    fn reasoning_delta(&mut self, text: &str, out: &mut Vec<u8>) {
        if !shows_reasoning(&self.context) {
            return;
        }
        self.reasoning_added(out);
        if let Some(reasoning) = &mut self.reasoning {
            reasoning.delta(&mut self.sink, text, out);
        }
    }

    fn summary_break(&mut self, part: PartId, out: &mut Vec<u8>) {
        if let Some(reasoning) = self.reasoning.as_mut().filter(|reasoning| reasoning.part == Some(part)) {
            reasoning.close_paragraph(&mut self.sink, out);
        }
    }

    fn close_reasoning(&mut self, out: &mut Vec<u8>) {
        let Some(reasoning) = &mut self.reasoning else { return };
        let visible = reasoning.index.is_some();
        if visible && !reasoning.signed && self.context.provider != Protocol::Responses {
            // A mark of where the words come from, so that they can go back there.
            let mark = unsigned(self.context.provider);
            reasoning.encrypted = self.context.carried(&mark, Placement::Own).filter(|value| !value.is_empty());
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

    // ------------------------------------------------------------------------------------------------------------ calls

    fn call_start(&mut self, part: PartId, mut start: ToolCallStart, out: &mut Vec<u8>) {
        self.settle(out);
        let signature = start.signature.take();
        self.carry(signature.as_ref(), Placement::Next, out);
        let unwrap = start.kind == ToolCallKind::Function && self.declared_custom(&start);
        if unwrap {
            start.kind = ToolCallKind::Custom;
        }
        let prefix = match start.kind {
            ToolCallKind::Custom => "ctc",
            ToolCallKind::Function => "fc",
            ToolCallKind::Builtin(_) => "item",
        };
        let id = self.item_id(prefix, start.item_id.as_ref());
        let call_id = call_id(&start.id).into_owned();
        let mut call = Call { part, index: None, id, call_id, start, arguments: String::new(), unwrap };
        if !unwrap && !matches!(call.start.kind, ToolCallKind::Builtin(_)) {
            self.call_added(&mut call, out);
        }
        self.calls.push(call);
    }

    /// Whether the client offered this tool as a free-form one.
    fn declared_custom(&self, start: &ToolCallStart) -> bool {
        self.context.request.tools.iter().any(|tool| match tool {
            Tool::Custom(tool) => tool.name == start.name && tool.namespace == start.namespace,
            Tool::Function(_) | Tool::Server(_) => false,
        })
    }

    fn call_added(&mut self, call: &mut Call, out: &mut Vec<u8>) {
        let index = self.reserve();
        call.index = Some(index);
        let native = self.context.provider == Protocol::Responses;
        let item = call.item(native, "", "in_progress", true);
        self.sink.frame(out, "response.output_item.added", |w| {
            w.num("output_index", index);
            w.key("item");
            item.write(w);
        });
    }

    fn call_end(&mut self, mut call: Call, status: PartStatus, out: &mut Vec<u8>) {
        let native = self.context.provider == Protocol::Responses;
        if call.unwrap {
            call.arguments = repair_input(&call.arguments);
        }
        if matches!(call.start.kind, ToolCallKind::Builtin(_)) {
            let index = self.reserve();
            if call.item(native, &call.arguments, "completed", false).is_builtin() {
                let item = call.item(native, &call.arguments, "in_progress", false);
                self.added(out, index, |w| item.write(w));
                let item = call.item(native, &call.arguments, state_word(status), false);
                return self.done(out, index, |w| item.write(w));
            }
            // A tool of another maker: a plain function.
            call.start.kind = ToolCallKind::Function;
            call.index = Some(index);
            let item = call.item(native, "", "in_progress", true);
            self.added(out, index, |w| item.write(w));
            self.call_delta(&call, &call.arguments, out);
        } else if call.index.is_none() {
            self.call_added(&mut call, out);
            self.call_delta(&call, &call.arguments, out);
        }
        let custom = call.start.kind == ToolCallKind::Custom;
        let cut = status == PartStatus::Incomplete;
        // No arguments are an empty object, no free text is an empty text.
        let nothing = if custom { "" } else { "{}" };
        if !cut && (call.arguments.is_empty() || !custom && call.arguments.trim().is_empty()) {
            self.call_delta(&call, nothing, out);
            call.arguments.push_str(nothing);
        }
        let Some(index) = call.index else { return };
        if !cut {
            let (kind, member) = if custom {
                ("response.custom_tool_call_input.done", "input")
            } else {
                ("response.function_call_arguments.done", "arguments")
            };
            self.sink.frame(out, kind, |w| {
                w.str("item_id", &call.id);
                w.num("output_index", index);
                if !custom {
                    w.str("name", &call.start.name);
                }
                w.str(member, &call.arguments);
            });
        }
        let item = call.item(native, &call.arguments, state_word(status), true);
        self.done(out, index, |w| item.write(w));
    }

    fn call_delta(&mut self, call: &Call, delta: &str, out: &mut Vec<u8>) {
        let Some(index) = call.index else { return };
        let kind = match call.start.kind {
            ToolCallKind::Custom => "response.custom_tool_call_input.delta",
            ToolCallKind::Function | ToolCallKind::Builtin(_) => "response.function_call_arguments.delta",
        };
        self.sink.frame(out, kind, |w| {
            w.str("item_id", &call.id);
            w.num("output_index", index);
            w.str("delta", delta);
        });
    }

    // ----------------------------------------------------------------------------------------------------- server tools

    fn hosted_start(&mut self, part: PartId, start: ServerToolCallStart, out: &mut Vec<u8>) {
        self.settle(out);
        let mut hosted = Hosted::new(Some(part), start);
        if hosted.is_native() {
            self.hosted_added(&mut hosted, out);
        }
        self.hosted.push(hosted);
    }

    fn hosted_added(&mut self, hosted: &mut Hosted, out: &mut Vec<u8>) {
        let index = self.reserve();
        hosted.index = Some(index);
        hosted.id = self.item_id(hosted.prefix(), Some(&hosted.start.id));
        self.added(out, index, |w| hosted.write_open(w));
        hosted.progress(&mut self.sink, out);
    }

    /// A call of another provider's tool is whole: some have a form here.
    fn hosted_end(&mut self, at: usize, out: &mut Vec<u8>) {
        let Some(hosted) = self.hosted.get_mut(at) else { return };
        if hosted.is_native() {
            // Its result will say how it ended.
            hosted.part = None;
            return;
        }
        let hosted = self.hosted.remove(at);
        self.foreign_call(hosted, out);
    }

    fn foreign_call(&mut self, mut hosted: Hosted, out: &mut Vec<u8>) {
        if let Some(code) = hosted.code() {
            self.code = Some(CodeRun { call_id: Some(hosted.start.id.clone()), code });
            return;
        }
        let Some(action) = hosted_query(&hosted) else { return };
        hosted.action = Some(action);
        self.hosted_added(&mut hosted, out);
        hosted.finished(&mut self.sink, out);
        let Some(index) = hosted.index else { return };
        self.done(out, index, |w| hosted.write_done(w));
    }

    /// A call in one piece.
    fn hosted_call(&mut self, call: polyport_types::ServerToolCall, out: &mut Vec<u8>) {
        if let (Protocol::Responses, Some(raw)) = (call.protocol, &call.raw) {
            return self.verbatim(raw, out);
        }
        let start = ServerToolCallStart {
            id: call.id,
            tool: call.tool,
            name: call.name,
            protocol: call.protocol,
            ext: polyport_types::Extras::new(),
        };
        let mut hosted = Hosted::new(None, start);
        hosted.input = call.input.as_str().to_owned();
        if hosted.is_native() {
            self.hosted_added(&mut hosted, out);
            self.hosted.push(hosted);
        } else {
            self.foreign_call(hosted, out);
        }
    }

    fn hosted_result(&mut self, result: polyport_types::ServerToolResult, out: &mut Vec<u8>) {
        let waiting = self.hosted.iter().position(|hosted| hosted.is_native() && hosted.start.id == result.call_id);
        match (result.protocol, &result.raw, waiting) {
            (Protocol::Responses, Some(raw), Some(at)) => {
                let hosted = self.hosted.remove(at);
                hosted.result(raw, &mut self.sink, out);
                let Some(index) = hosted.index else { return };
                let item = hosted.complete(raw);
                self.done(out, index, |w| w.raw_value(&item));
            }
            (Protocol::Responses, Some(raw), None) => {
                self.settle(out);
                self.verbatim(raw, out);
            }
            _ => {
                let ours = self.code.as_ref().is_some_and(|code| code.call_id.as_ref() == Some(&result.call_id));
                if ours {
                    let output = super::hosted::printed(&result.payload);
                    self.code_result(&output, out);
                }
            }
        }
    }

    /// What a program of another provider printed.
    fn code_result(&mut self, output: &str, out: &mut Vec<u8>) {
        if let Some(code) = self.code.take() {
            self.settle(out);
            self.code_item(&code, Some(output), out);
        }
    }

    /// A program whose output never came.
    fn close_code(&mut self, out: &mut Vec<u8>) {
        if let Some(code) = self.code.take() {
            self.code_item(&code, None, out);
        }
    }

    fn code_item(&mut self, code: &CodeRun, output: Option<&str>, out: &mut Vec<u8>) {
        let id = self.item_id("ci", None);
        let index = self.reserve();
        self.added(out, index, |w| code.write(w, &id, "in_progress", "", None));
        code.progress(&mut self.sink, &id, index, out);
        self.done(out, index, |w| code.write(w, &id, "completed", &code.code, output));
    }

    // -------------------------------------------------------------------------------------------------------------- end

    fn finish(&mut self, finish: Finish, out: &mut Vec<u8>) {
        let native = self.context.provider == Protocol::Responses;
        let cut = matches!(
            finish.reason,
            FinishReason::MaxTokens
                | FinishReason::ContextWindow
                | FinishReason::ContentFilter
                | FinishReason::Recitation
        );
        if let FinishReason::Refusal { explanation, .. } = &finish.reason
            && !self.refused
        {
            let words = explanation.clone().unwrap_or(Text::from_static("The model declined to continue."));
            self.refusal_start(None, out);
            if let Some(message) = &mut self.message {
                message.delta(&mut self.sink, &words, out);
            }
            // The outcome is still a classifier's, not the model's.
            self.refused = false;
        }
        let empty = self.items.is_empty() && self.code.is_none() && self.reasoning.is_none();
        let answers = !matches!(finish.reason, FinishReason::ContentFilter | FinishReason::Error);
        if empty && answers && !native && finish.prompt_block.is_none() && !is_fault(&finish.reason) {
            self.open_message(None, None, out);
            self.open_content(false, None, out);
        }
        self.close_all(if cut { PartStatus::Incomplete } else { PartStatus::Complete }, out);
        self.finish = Some(finish);
    }

    /// Closes every open item. Text that has not ended is cut only if the answer was.
    fn close_all(&mut self, status: PartStatus, out: &mut Vec<u8>) {
        let idle = self.message.as_ref().is_some_and(Message::is_idle);
        self.close_message(if idle { PartStatus::Complete } else { status }, out);
        if let Some(reasoning) = &mut self.reasoning {
            reasoning.part = None;
        }
        self.close_reasoning(out);
        self.close_code(out);
        for call in std::mem::take(&mut self.calls) {
            self.call_end(call, PartStatus::Incomplete, out);
        }
        for hosted in std::mem::take(&mut self.hosted) {
            if let Some(index) = hosted.index {
                self.done(out, index, |w| hosted.write_cut(w));
            }
        }
    }

    /// Status, reason and fault of the finished answer.
    fn ending(&self) -> (&'static str, Option<Text>, Option<Fault>) {
        let Some(finish) = &self.finish else {
            let fault = Fault::new(FaultClass::UpstreamProtocol, "the provider's answer has no end");
            return ("failed", None, Some(fault));
        };
        let word = finish.raw.as_ref();
        match outcome(&finish.reason, word, self.context.provider, self.spoken, self.refused) {
            Outcome::Completed => ("completed", None, None),
            Outcome::Incomplete(reason) => ("incomplete", Some(reason), None),
            Outcome::Cancelled => ("cancelled", None, None),
            Outcome::Failed => {
                let said = finish.message.as_ref().or(word).map_or("no reason given", |word| &**word);
                let message = format!("the provider gave no usable answer: {said}");
                ("failed", None, Some(Fault::new(FaultClass::ServerError, message)))
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.start(StreamStart::default(), out);
        }
        let (status, reason, fault) = self.ending();
        let fault = match status {
            // There is no event for it.
            "cancelled" => Some(Fault::new(FaultClass::ServerError, "the answer was cancelled")),
            _ => fault,
        };
        if let Some(fault) = fault {
            return self.fail(&fault, out);
        }
        self.ended = true;
        let kind = if status == "completed" { "response.completed" } else { "response.incomplete" };
        self.lifecycle(out, kind, status, reason.as_deref(), None);
    }

    /// The stream failed: open items stay open, nothing pretends to be whole.
    fn fail(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        if !self.started {
            self.start(StreamStart::default(), out);
        }
        self.ended = true;
        let (code, message) = error_of(fault);
        self.sink.frame(out, "error", |w| {
            w.str("code", &code);
            w.str("message", &message);
            match &fault.param {
                Some(param) => w.str("param", param),
                None => w.null("param"),
            }
        });
        self.lifecycle(out, "response.failed", "failed", None, Some(fault));
    }
}

fn is_fault(reason: &FinishReason) -> bool {
    matches!(
        reason,
        FinishReason::MalformedToolCall
            | FinishReason::UnexpectedToolCall
            | FinishReason::TooManyToolCalls
            | FinishReason::MissingSignature
            | FinishReason::Cancelled
    )
}

fn state_word(status: PartStatus) -> &'static str {
    match status {
        PartStatus::Complete | PartStatus::Invalid => "completed",
        PartStatus::Incomplete => "incomplete",
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

/// The text of a free-form tool out of the arguments of the function that stood for it.
fn repair_input(arguments: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Input {
        input: String,
    }
    serde_json::from_str::<Input>(arguments).map_or_else(|_| arguments.to_owned(), |input| input.input)
}

impl Call {
    fn item<'a>(&'a self, native: bool, arguments: &'a str, status: &'a str, exact: bool) -> CallItem<'a> {
        CallItem {
            id: Some(&self.id),
            call_id: &self.call_id,
            name: &self.start.name,
            namespace: self.start.namespace.as_deref(),
            kind: &self.start.kind,
            arguments,
            status: Some(status),
            caller: self.start.caller.as_ref().filter(|_| native),
            ext: native.then_some(&self.start.ext),
            exact,
        }
    }
}

impl Message {
    fn writes(&self, part: PartId) -> bool {
        self.open.as_ref().is_some_and(|content| content.part == Some(part))
    }

    fn is_idle(&self) -> bool {
        self.open.as_ref().is_none_or(|content| content.part.is_none())
    }

    fn content_of(&mut self, part: PartId) -> Option<&mut Content> {
        self.open.as_mut().filter(|content| content.part == Some(part))
    }

    /// Members that say which content part an event is about.
    fn place(&self, w: &mut JsonWriter<'_>) {
        w.str("item_id", &self.id);
        w.num("output_index", self.index);
        w.num("content_index", self.parts);
    }

    fn delta(&mut self, sink: &mut Sink, text: &str, out: &mut Vec<u8>) {
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

    fn annotate(&mut self, sink: &mut Sink, citation: &Citation, native: bool, out: &mut Vec<u8>) {
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
    fn place_citations(&mut self, sink: &mut Sink, out: &mut Vec<u8>) {
        let waiting = self.open.as_mut().map(|content| std::mem::take(&mut content.waiting)).unwrap_or_default();
        for citation in waiting {
            self.annotate(sink, &citation, self.item_id.is_some(), out);
        }
    }

    fn close_content(&mut self, sink: &mut Sink, out: &mut Vec<u8>) {
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

impl Reasoning {
    fn head(&self, w: &mut JsonWriter<'_>) {
        w.str("item_id", &self.id);
        w.num("output_index", self.index.unwrap_or_default());
    }

    fn delta(&mut self, sink: &mut Sink, text: &str, out: &mut Vec<u8>) {
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
    fn paragraph(&self, w: &mut JsonWriter<'_>) {
        self.head(w);
        w.num("summary_index", self.summary.len().saturating_sub(1));
    }

    fn close_paragraph(&mut self, sink: &mut Sink, out: &mut Vec<u8>) {
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

    fn close_content(&mut self, sink: &mut Sink, out: &mut Vec<u8>) {
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

/// Writes a JSON string into a text.
pub(super) fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    write_str(&mut out, text);
    // `write_str` writes UTF-8 only.
    String::from_utf8(out).unwrap_or_default()
}
