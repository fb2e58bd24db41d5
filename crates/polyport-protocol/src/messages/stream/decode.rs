//! A provider's stream as events.
//!
//! On a good stream blocks come strictly one after the other. Servers that imitate this API open a second block inside the
//! first, forget to close one, or send pieces for none; the parts that come out keep the rules of events all the same.

use polyport_types::{
    Citation, Event, Family, Fault, FaultClass, Finish, FinishReason, Part, PartId, PartKind, PartStart, PartStatus,
    Protocol, RawJson, ServerToolCallStart, Signature, SignatureKind, StreamStart, Text, ToolCallStart,
};
use serde_json::{Map, Value};

use super::super::block::{citation, part};
use super::super::finish::{self, Calls};
use super::super::ids::CallIds;
use super::super::response::message;
use super::super::types::{Block, Delta, MessageBody, StreamEvent};
use super::super::usage::Meter;
use crate::classify::classify_body;
use crate::collect;
use crate::context::Target;
use crate::json::{Int, Str, extras, raw};
use crate::repair::{Repaired, arguments_object};
use crate::sse::Frame;
use crate::stream::Step;

/// Provider stream to events.
#[derive(Debug)]
pub struct Decoder {
    target: Target,
    phase: Phase,
    next_part: u32,
    ids: CallIds,
    /// Blocks under way, in the order they were opened.
    open: Vec<Open>,
    calls: Calls,
    meter: Meter,
    stop: Option<Stop>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    /// Nothing yet.
    Idle,
    /// The message has begun, nothing of it was handed on.
    Started,
    /// Some of it was handed on.
    Content,
    /// It ended.
    Done,
}

/// What `message_delta` said.
#[derive(Debug, Default)]
struct Stop {
    reason: Option<Text>,
    sequence: Option<Text>,
    ext: polyport_types::Extras,
}

/// A block under way.
#[derive(Debug)]
struct Open {
    index: i64,
    state: State,
}

#[derive(Debug)]
enum State {
    Text {
        part: PartId,
    },
    Thinking {
        part: PartId,
        signature: Option<Text>,
    },
    Tool {
        part: PartId,
        client: bool,
        arguments: String,
        input: Option<Text>,
    },
    /// A block that is handed on whole when it ends; pieces may still change it.
    Whole(Map<String, Value>),
    /// It was handed on at once.
    Done,
}

impl Decoder {
    /// A decoder for the stream of `target`.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
            phase: Phase::Idle,
            next_part: 0,
            ids: CallIds::default(),
            open: Vec::new(),
            calls: Calls::default(),
            meter: Meter::default(),
            stop: None,
        }
    }

    /// Takes one frame.
    pub fn event(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Step {
        let Frame::Event { name, data } = frame else { return Step::Ok };
        if data.trim() == "[DONE]" {
            return Step::Ok;
        }
        let Ok(mut wire) = serde_json::from_str::<StreamEvent<'_>>(data) else {
            // An error need not be an object.
            return if name.as_deref() == Some("error") { self.error(data, out) } else { Step::Unreadable };
        };
        let kind = wire.kind.take();
        let kind = kind.as_deref().or(name.as_deref()).unwrap_or_default();
        self.noting(out, |decoder, out| decoder.step(kind, wire, data, out))
    }

    /// Takes a step and notes whether it gave content.
    pub(in crate::messages) fn noting(
        &mut self,
        out: &mut Vec<Event>,
        step: impl FnOnce(&mut Self, &mut Vec<Event>) -> Step,
    ) -> Step {
        let known = out.len();
        let step = step(self, out);
        if out.get(known..).is_some_and(|new| new.iter().any(is_content)) {
            self.phase = self.phase.max_of(Phase::Content);
        }
        step
    }

    fn step(&mut self, kind: &str, mut wire: StreamEvent<'_>, data: &Text, out: &mut Vec<Event>) -> Step {
        if wire.error.is_some() || kind == "error" {
            return self.error(data, out);
        }
        match kind {
            "message_start" => return self.message_start(&wire, data, out),
            "content_block_start" => {
                self.start(out);
                let index = self.index(wire.index);
                let block = wire.content_block.and_then(|block| serde_json::from_str(block.get()).ok());
                self.block_start(index, block.unwrap_or_default(), data, out);
            }
            "content_block_delta" => {
                self.start(out);
                let index = self.index(wire.index);
                self.block_delta(index, wire.delta.take().unwrap_or_default(), data, out);
            }
            "content_block_stop" => {
                let index = self.index(wire.index);
                self.block_stop(index, out);
            }
            "message_delta" => {
                self.start(out);
                self.message_delta(wire, data, out);
            }
            "message_stop" => {
                self.start(out);
                self.finish_message(out);
                return Step::Done;
            }
            "ping" => out.push(Event::Ping),
            // The server answered with a whole message instead of a stream.
            "message" => return self.whole(data, out),
            _ if self.phase == Phase::Idle => return if kind.is_empty() { Step::Unreadable } else { Step::Ok },
            _ => out.push(Event::Opaque {
                protocol: Protocol::Messages,
                name: Text::from(kind),
                raw: RawJson::from_valid(data.clone()),
            }),
        }
        Step::Ok
    }

    fn error(&mut self, data: &Text, out: &mut Vec<Event>) -> Step {
        self.phase = Phase::Done;
        out.push(Event::Error(Box::new(classify_body(None, data))));
        Step::Done
    }

    /// Takes the end of the body; `broken` says that it was cut. The caller appends `End`.
    pub fn finish(&mut self, broken: bool, out: &mut Vec<Event>) {
        if self.phase == Phase::Done {
            return;
        }
        if self.stop.as_ref().is_some_and(|stop| stop.reason.is_some()) {
            self.finish_message(out);
            return;
        }
        let idle = self.phase == Phase::Idle;
        self.phase = Phase::Done;
        let message = match (idle, broken) {
            (true, _) => "the provider's stream ended before the answer began",
            (false, true) => "the provider's stream broke off in the middle of the answer",
            (false, false) => "the provider's stream ended before the answer was complete",
        };
        out.push(failure(message));
    }

    /// The index of a block; servers that leave it out mean the newest.
    fn index(&self, index: Option<Int>) -> i64 {
        index.map_or_else(|| self.open.last().map_or(0, |open| open.index), |index| index.0)
    }

    /// Begins the answer for servers that skip `message_start`.
    fn start(&mut self, out: &mut Vec<Event>) {
        self.start_with(StreamStart::default, out);
    }

    /// Begins the answer, unless it has begun.
    pub(in crate::messages) fn start_with(&mut self, start: impl FnOnce() -> StreamStart, out: &mut Vec<Event>) {
        if self.phase == Phase::Idle {
            self.phase = Phase::Started;
            out.push(Event::Start(Box::new(start())));
        }
    }

    fn message_start(&mut self, wire: &StreamEvent<'_>, data: &Text, out: &mut Vec<Event>) -> Step {
        let again = self.phase != Phase::Idle;
        if self.phase == Phase::Content {
            return self.second_answer(out);
        }
        let mut body: MessageBody<'_> =
            wire.message.and_then(|message| serde_json::from_str(message.get()).ok()).unwrap_or_default();
        self.meter = Meter::default();
        self.open.clear();
        self.stop = None;
        if let Some(usage) = body.usage {
            self.meter.take(usage, data);
        }
        let blocks = body.content.take().unwrap_or_default();
        let mut ext = extras(std::mem::take(&mut body.extra), data);
        for (name, value) in [("container", body.container), ("context_management", body.context_management)] {
            if let Some(value) = value {
                ext.push(name, raw(value, data));
            }
        }
        self.phase = Phase::Started;
        if !again {
            out.push(Event::Start(Box::new(StreamStart {
                id: body.id.map(|id| id.into_text(data)).unwrap_or_default(),
                model: body.model.map(|model| model.into_text(data)).unwrap_or_default(),
                service_tier: self.meter.tier(),
                ext,
                ..StreamStart::default()
            })));
        }
        if body.usage.is_some() {
            self.usage(out);
        }
        for (index, block) in (0..).zip(blocks) {
            self.block_start(index, block, data, out);
            self.block_stop(index, out);
        }
        if let Some(reason) = body.stop_reason {
            let mut stop = Stop { reason: Some(reason.into_text(data)), ..Stop::default() };
            stop.sequence = body.stop_sequence.map(|sequence| sequence.into_text(data));
            if let Some(details) = body.stop_details {
                stop.ext.push("stop_details", raw(details, data));
            }
            self.stop = Some(stop);
        }
        Step::Ok
    }

    fn second_answer(&mut self, out: &mut Vec<Event>) -> Step {
        self.phase = Phase::Done;
        out.push(failure("the provider began a second answer inside the first"));
        Step::Done
    }

    /// A whole message in place of a stream.
    fn whole(&mut self, data: &Text, out: &mut Vec<Event>) -> Step {
        if self.phase == Phase::Content {
            return self.second_answer(out);
        }
        let Ok(body) = serde_json::from_str::<MessageBody<'_>>(data) else { return Step::Unreadable };
        let response = message(&self.target, body, data);
        let events = collect::into_events(response);
        let begun = self.phase != Phase::Idle;
        out.extend(events.into_iter().filter(|event| match event {
            Event::End => false,
            Event::Start(_) => !begun,
            _ => true,
        }));
        self.phase = Phase::Done;
        Step::Done
    }

    /// Lets the counters take something and tells what they show.
    pub(in crate::messages) fn metered(&mut self, take: impl FnOnce(&mut Meter), out: &mut Vec<Event>) {
        take(&mut self.meter);
        self.usage(out);
    }

    fn usage(&self, out: &mut Vec<Event>) {
        out.push(Event::Usage(Box::new(self.meter.usage(self.target.profile.input_includes_cache))));
    }

    pub(in crate::messages) fn block_start(
        &mut self,
        index: i64,
        mut block: Block<'_>,
        data: &Text,
        out: &mut Vec<Event>,
    ) {
        self.block_stop(index, out);
        let state = match block.kind.as_deref().unwrap_or_default() {
            "text" => self.text_start(block, data, out),
            "thinking" => {
                let part = self.exclusive(reasoning(), out);
                piece(part, block.thinking.take(), data, out);
                let signature = block.signature.take().filter(|value| !value.is_empty());
                State::Thinking { part, signature: signature.map(|value| value.into_text(data)) }
            }
            "tool_use" | "server_tool_use" | "mcp_tool_use" => self.tool_start(block, data, out),
            "redacted_thinking" | "container_upload" => self.at_once(block, data, out),
            kind if kind.ends_with("_tool_result") => self.at_once(block, data, out),
            _ => match object(block, data) {
                Some(object) => State::Whole(object),
                None => State::Done,
            },
        };
        self.open.push(Open { index, state });
    }

    /// Opens a text or reasoning part; only one of them is open at a time.
    fn exclusive(&mut self, start: PartStart, out: &mut Vec<Event>) -> PartId {
        let others: Vec<i64> = self.open.iter().filter(|open| open.is_exclusive()).map(|open| open.index).collect();
        others.into_iter().for_each(|index| self.block_stop(index, out));
        self.open_part(start, out)
    }

    fn open_part(&mut self, start: PartStart, out: &mut Vec<Event>) -> PartId {
        let part = PartId(self.next_part);
        self.next_part += 1;
        out.push(Event::PartStart { part, choice: 0, start });
        part
    }

    fn text_start(&mut self, mut block: Block<'_>, data: &Text, out: &mut Vec<Event>) -> State {
        let part = self.exclusive(text(), out);
        piece(part, block.text.take(), data, out);
        let citations = block.citations.and_then(|list| serde_json::from_str::<Vec<_>>(list.get()).ok());
        for one in citations.into_iter().flatten() {
            if let Some(citation) = citation(one, data) {
                out.push(Event::Citation { part, citation: Box::new(citation) });
            }
        }
        State::Text { part }
    }

    fn tool_start(&mut self, block: Block<'_>, data: &Text, out: &mut Vec<Event>) -> State {
        let Part { kind, ext, .. } = part(block, self.family(), data);
        let (start, client, input) = match kind {
            PartKind::ToolCall(call) if !call.name.is_empty() => {
                let start = ToolCallStart {
                    id: self.ids.unique(call.id),
                    name: call.name,
                    namespace: None,
                    kind: call.kind,
                    item_id: None,
                    signature: None,
                    caller: call.caller,
                    ext,
                };
                (PartStart::ToolCall(Box::new(start)), true, call.arguments)
            }
            PartKind::ServerToolCall(call) => {
                let start = ServerToolCallStart {
                    id: call.id,
                    tool: call.tool,
                    name: call.name,
                    protocol: Protocol::Messages,
                    ext,
                };
                (PartStart::ServerToolCall(Box::new(start)), false, call.input.text().clone())
            }
            // A call of nothing.
            _ => return State::Done,
        };
        let part = self.open_part(start, out);
        let input = Some(input).filter(|input| !matches!(input.trim(), "{}" | ""));
        State::Tool { part, client, arguments: String::new(), input }
    }

    fn at_once(&self, block: Block<'_>, data: &Text, out: &mut Vec<Event>) -> State {
        let part = part(block, self.family(), data);
        out.push(Event::Part { choice: 0, part: Box::new(part) });
        State::Done
    }

    /// The model that answers.
    pub(in crate::messages) fn model(&self) -> Text {
        self.target.model.clone()
    }

    /// Whether a block is under way.
    pub(in crate::messages) fn is_open(&self, index: i64) -> bool {
        self.open.iter().any(|open| open.index == index)
    }

    /// Adds a source to a text block.
    pub(in crate::messages) fn cite(&mut self, index: i64, citation: Citation, out: &mut Vec<Event>) {
        let at = self.open.iter().position(|open| open.index == index);
        if let Some(State::Text { part }) = self.state(at) {
            out.push(Event::Citation { part: *part, citation: Box::new(citation) });
        }
    }

    pub(in crate::messages) fn family(&self) -> Family {
        self.target.capabilities.family
    }

    pub(in crate::messages) fn block_delta(
        &mut self,
        index: i64,
        mut delta: Delta<'_>,
        data: &Text,
        out: &mut Vec<Event>,
    ) {
        let at = self.open.iter().position(|open| open.index == index);
        match delta.kind.as_deref().unwrap_or_default() {
            "text_delta" => {
                if let Some(part) = self.text_part(index, at, delta.text.as_ref(), out) {
                    piece(part, delta.text.take(), data, out);
                }
            }
            "thinking_delta" => {
                if let Some(part) = self.thinking_part(index, at, delta.thinking.as_ref(), out) {
                    piece(part, delta.thinking.take(), data, out);
                }
            }
            "signature_delta" => {
                let Some(value) = delta.signature.take().filter(|value| !value.is_empty()) else { return };
                if let Some(State::Thinking { signature, .. }) = self.state(at) {
                    // The last one counts; it is handed on when the block ends.
                    *signature = Some(value.into_text(data));
                }
            }
            "input_json_delta" => self.input_delta(at, delta.partial_json.take(), data, out),
            "citations_delta" => {
                let value = delta.extra.iter().find(|(name, _)| &**name == "citation").map(|(_, value)| *value);
                if let (Some(State::Text { part }), Some(value)) = (self.state(at), value)
                    && let Some(citation) = citation(value, data)
                {
                    out.push(Event::Citation { part: *part, citation: Box::new(citation) });
                }
            }
            _ => {
                if let Some(State::Whole(object)) = self.state(at) {
                    merge(object, delta, data);
                }
            }
        }
    }

    fn state(&mut self, at: Option<usize>) -> Option<&mut State> {
        self.open.get_mut(at?).map(|open| &mut open.state)
    }

    /// The text part that a piece of text belongs to, opened if the server did not.
    fn text_part(
        &mut self,
        index: i64,
        at: Option<usize>,
        piece: Option<&Str<'_>>,
        out: &mut Vec<Event>,
    ) -> Option<PartId> {
        if let Some(State::Text { part }) = self.state(at) {
            return Some(*part);
        }
        piece.filter(|text| !text.is_empty())?;
        self.block_stop(index, out);
        let part = self.exclusive(text(), out);
        self.open.push(Open { index, state: State::Text { part } });
        Some(part)
    }

    /// The same for reasoning.
    fn thinking_part(
        &mut self,
        index: i64,
        at: Option<usize>,
        piece: Option<&Str<'_>>,
        out: &mut Vec<Event>,
    ) -> Option<PartId> {
        if let Some(State::Thinking { part, .. }) = self.state(at) {
            return Some(*part);
        }
        piece.filter(|text| !text.is_empty())?;
        self.block_stop(index, out);
        let part = self.exclusive(reasoning(), out);
        self.open.push(Open { index, state: State::Thinking { part, signature: None } });
        Some(part)
    }

    fn input_delta(&mut self, at: Option<usize>, json: Option<Str<'_>>, data: &Text, out: &mut Vec<Event>) {
        let Some(json) = json.filter(|json| !json.is_empty()) else { return };
        if let Some(State::Tool { part, arguments, .. }) = self.state(at) {
            arguments.push_str(&json);
            out.push(Event::Delta { part: *part, text: json.into_text(data) });
        }
    }

    pub(in crate::messages) fn block_stop(&mut self, index: i64, out: &mut Vec<Event>) {
        let Some(at) = self.open.iter().position(|open| open.index == index) else { return };
        match self.open.remove(at).state {
            State::Text { part } => out.push(Event::PartEnd { part, status: PartStatus::Complete }),
            State::Thinking { part, signature } => {
                if let Some(value) = signature {
                    let signature = Box::new(Signature::new(self.family(), SignatureKind::Thinking, value));
                    out.push(Event::Signature { part, signature });
                }
                out.push(Event::PartEnd { part, status: PartStatus::Complete });
            }
            State::Tool { part, client, arguments, input } => {
                let status = match (arguments.is_empty(), input) {
                    (true, Some(input)) => {
                        out.push(Event::Delta { part, text: input });
                        PartStatus::Complete
                    }
                    (true, None) => PartStatus::Complete,
                    (false, _) => status_of_arguments(&arguments),
                };
                if client {
                    self.calls.add(status);
                }
                out.push(Event::PartEnd { part, status });
            }
            State::Whole(object) => {
                let text = Text::from(Value::Object(object).to_string());
                if let Ok(block) = serde_json::from_str::<Block<'_>>(&text) {
                    let part = part(block, self.family(), &text);
                    out.push(Event::Part { choice: 0, part: Box::new(part) });
                }
            }
            State::Done => {}
        }
    }

    pub(in crate::messages) fn message_delta(&mut self, wire: StreamEvent<'_>, data: &Text, out: &mut Vec<Event>) {
        if let Some(usage) = wire.usage {
            self.meter.take(usage, data);
            self.usage(out);
        }
        let stop = self.stop.get_or_insert_default();
        if let Some(delta) = wire.delta {
            if let Some(reason) = delta.stop_reason {
                stop.reason = Some(reason.into_text(data));
            }
            if let Some(sequence) = delta.stop_sequence {
                stop.sequence = Some(sequence.into_text(data));
            }
            keep(&mut stop.ext, delta.extra, data);
        }
        keep(&mut stop.ext, wire.extra, data);
    }

    pub(in crate::messages) fn finish_message(&mut self, out: &mut Vec<Event>) {
        let open: Vec<i64> = self.open.iter().map(|open| open.index).collect();
        open.into_iter().for_each(|index| self.block_stop(index, out));
        let Stop { reason: raw, sequence, ext } = self.stop.take().unwrap_or_default();
        let reason = finish::read(raw.as_deref(), sequence, ext.get("stop_details"));
        let reason: FinishReason = finish::settle(reason, self.calls);
        out.push(Event::Finish(Box::new(Finish { reason, raw, ext, ..Finish::default() })));
        self.phase = Phase::Done;
    }
}

impl Phase {
    fn max_of(self, other: Self) -> Self {
        if self < other { other } else { self }
    }
}

impl Open {
    fn is_exclusive(&self) -> bool {
        matches!(self.state, State::Text { .. } | State::Thinking { .. })
    }
}

fn text() -> PartStart {
    PartStart::Text { item_id: None, phase: None }
}

fn reasoning() -> PartStart {
    PartStart::Reasoning { item_id: None, summary: false }
}

fn is_content(event: &Event) -> bool {
    matches!(event, Event::PartStart { .. } | Event::Part { .. } | Event::Delta { .. })
}

fn piece(part: PartId, text: Option<Str<'_>>, data: &Text, out: &mut Vec<Event>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        out.push(Event::Delta { part, text: text.into_text(data) });
    }
}

fn status_of_arguments(arguments: &str) -> PartStatus {
    if serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok() {
        return PartStatus::Complete;
    }
    match arguments_object(arguments).1 {
        Repaired::Truncated => PartStatus::Incomplete,
        _ => PartStatus::Invalid,
    }
}

/// A block of a kind that may still grow, as an object.
fn object(block: Block<'_>, data: &Text) -> Option<Map<String, Value>> {
    block.kind.as_ref()?;
    match super::super::types::json_of(block, data).to_value() {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// Adds what a piece says to the block: text grows, everything else is set.
fn merge(object: &mut Map<String, Value>, mut delta: Delta<'_>, data: &Text) {
    delta.kind = None;
    for (name, value) in delta.rest(data).iter() {
        match (object.get_mut(&**name), value.to_value()) {
            (_, Value::Null) => {}
            (Some(Value::String(text)), Value::String(more)) => text.push_str(&more),
            (_, value) => {
                object.insert(name.to_string(), value);
            }
        }
    }
}

/// Keeps members of `message_delta` that have no slot; the last of each counts, and null says nothing.
fn keep(ext: &mut polyport_types::Extras, extra: crate::json::Extra<'_>, data: &Text) {
    for (name, value) in extra {
        if value.get() != "null" {
            ext.remove(&name);
            ext.push(name.into_text(data), raw(value, data));
        }
    }
}

fn failure(message: &str) -> Event {
    Event::Error(Box::new(Fault { from_upstream: true, ..Fault::new(FaultClass::UpstreamProtocol, message) }))
}
