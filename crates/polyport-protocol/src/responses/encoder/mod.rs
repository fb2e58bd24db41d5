//! Events to a client's stream, and to the items of a whole answer.
//!
//! One state machine makes both: a whole answer is a stream whose events nobody sees. Every item is written once, when it is done;
//! `response.completed` repeats those bytes, so that both always agree.

use std::collections::HashSet;

use polyport_types::{
    Event, Extras, Fault, FaultClass, Finish, FinishReason, Part, PartId, PartKind, PartStart, PartStatus, Protocol,
    Response, ResponseStatus, Signature, StreamStart, Text, ToolCallKind, Usage,
};

use self::calls::Call;
use self::reasoning::Reasoning;
use self::text::Message;
use super::hosted::{CodeRun, Hosted, native_id, with_id};
use super::response::{Outcome, ResponseState, echo, error_code, error_of, outcome, shows_reasoning, tier};
use super::write::{ReasoningItem, generated_image, made_id};
use crate::ClientContext;
use crate::carrier::Placement;
use crate::collect;
use crate::json::{JsonWriter, one_line};

mod calls;
mod reasoning;
mod text;

/// Writes events with their numbers.
#[derive(Debug)]
pub(in crate::responses) struct Sink {
    sequence: u64,
    /// Events are not wanted: only the items.
    silent: bool,
}

impl Sink {
    /// Writes one event.
    pub(in crate::responses) fn frame(
        &mut self,
        out: &mut Vec<u8>,
        kind: &str,
        members: impl FnOnce(&mut JsonWriter<'_>),
    ) {
        if self.silent {
            return;
        }
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let data = out.len();
        let number = self.sequence;
        self.sequence += 1;
        JsonWriter::new(out).object(|w| {
            w.str("type", kind);
            members(w);
            w.num("sequence_number", number);
        });
        one_line(out, data);
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

impl Encoder {
    /// An encoder for a client.
    #[must_use]
    pub fn new(context: ClientContext) -> Self {
        let echo = echo(&context, &Extras::new());
        let created = context.now;
        Self {
            context,
            sink: Sink { sequence: 0, silent: false },
            echo,
            started: false,
            ended: false,
            created,
            tier: None,
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
    pub(in crate::responses) fn whole(context: ClientContext, response: &Response) -> Vec<u8> {
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
            if let Some(candidate) = response.first() {
                encoder.settle_settings(&candidate.ext);
            }
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

    /// Whether an event of this answer is for the client, who sees the first; starts the stream if nothing did.
    fn is_shown(&mut self, choice: u32, out: &mut Vec<u8>) -> bool {
        if !self.started {
            self.start(StreamStart::default(), out);
        }
        self.finish.is_none() && choice == 0
    }

    fn start(&mut self, start: StreamStart, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        self.created = start.created.unwrap_or(self.created);
        self.tier = start.service_tier;
        self.settle_settings(&start.ext);
        for kind in ["response.created", "response.in_progress"] {
            self.lifecycle(out, kind, "in_progress", None, None);
        }
    }

    /// A provider of this protocol tells the settings that the client left to it.
    fn settle_settings(&mut self, told: &Extras) {
        if self.context.provider == Protocol::Responses && !told.is_empty() {
            self.echo = echo(&self.context, told);
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
        let last = self.finish.as_ref().and_then(|finish| finish.ext.get("service_tier"));
        let last = last.and_then(|raw| serde_json::from_str::<String>(raw.as_str()).ok());
        let told = last.as_deref().or(self.tier.as_deref());
        let told = told.and_then(|word| tier(word, self.context.provider));
        ResponseState {
            status,
            created: self.created,
            completed: status == "completed",
            error: fault.map(error_of),
            incomplete: reason,
            output: if over { self.items.iter().flatten().map(Vec::as_slice).collect() } else { Vec::new() },
            usage: self.usage.as_ref().filter(|_| over),
            service_tier: told.or(self.context.request.service_tier.as_deref()),
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
            reasoning.encrypted = carried(&self.context, &signature, Placement::Own);
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
            return self.hosted_result(&result, out);
        }
        self.settle(out);
        match part.kind {
            PartKind::ServerToolCall(call) => self.hosted_call(*call, part.ext, out),
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
                let encrypted = part.signature.as_ref().and_then(|sign| carried(&self.context, sign, Placement::Own));
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
        let Some(value) = signature.and_then(|sign| carried(&self.context, sign, placement)) else { return };
        let id = self.item_id("rs", None);
        self.whole_item(out, |w| {
            ReasoningItem { id: &id, encrypted: Some(&value), ..ReasoningItem::default() }.write(w);
        });
    }

    // -------------------------------------------------------------------------------------------------------------- end

    fn finish(&mut self, finish: Finish, out: &mut Vec<u8>) {
        self.settle_settings(&finish.ext);
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
        self.sink.frame(out, "error", |w| {
            w.str("code", error_code(fault));
            w.str("message", &error_of(fault).1);
            match &fault.param {
                Some(param) => w.str("param", param),
                None => w.null("param"),
            }
        });
        self.lifecycle(out, "response.failed", "failed", None, Some(fault));
    }
}

/// The value of a signature for the client's slot, where there is one.
fn carried(context: &ClientContext, signature: &Signature, placement: Placement) -> Option<Text> {
    context.carried(signature, placement).filter(|value| !value.is_empty())
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
