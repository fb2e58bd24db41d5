//! Provider stream to events.
//!
//! Items are told apart by their `output_index`: their ids may change while they stream. Everything that only a later event tells —
//! arguments without deltas, an item that was never announced, a response that lists more than was streamed — is made up for then.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use polyport_types::{
    Event, Fault, FaultClass, Finish, Media, MediaSource, Part, PartKind, PartStart, PartStatus, Protocol, RawJson,
    StreamStart, Text, ToolCall, ToolCallStart,
};
use serde_json::Value;
use serde_json::value::RawValue;

use self::calls::{CallHead, arguments_of, head};
use self::reasoning::Thought;
use super::item::ItemReader;
use super::lanes::{Key, Lanes};
use super::response::{self, CallIds, failure, finish_of, own_ext, read_item, read_usage, reason_of, seconds};
use super::types::{Item, ResponseObject, StreamEvent};
use crate::context::Target;
use crate::json::{Str, raw_str};
use crate::sse::Frame;
use crate::stream::Step;

mod calls;
mod message;
mod reasoning;

/// Most audio kept, in bytes.
const MAX_AUDIO: usize = 64 << 20;

/// Most items of an answer: those without a place are looked for among all.
const MAX_ITEMS: usize = 4096;

/// Provider stream to events.
#[derive(Debug)]
pub struct Decoder {
    target: Target,
    reader: ItemReader,
    started: bool,
    /// Items by output index.
    items: BTreeMap<u32, Slot>,
    lanes: Lanes,
    call_ids: CallIds,
    /// A call of a client tool is complete.
    called: bool,
    refused: bool,
    /// An `error` event: a fuller one may follow.
    failed: Option<Fault>,
    audio: Vec<u8>,
    transcript: String,
}

/// What is known of an item.
#[derive(Debug, Default)]
struct Slot {
    kind: Kind,
    id: Option<Text>,
    phase: Option<Text>,
    /// Head of a call, until it has begun.
    head: Option<CallHead>,
    /// Arguments that arrived before the head, or white space at their beginning.
    early: String,
    /// Content parts of a message that have ended.
    closed: BTreeSet<u32>,
    /// What is known of the texts of reasoning.
    thought: Thought,
    done: bool,
}

/// How an item becomes events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// Not announced yet.
    #[default]
    Unknown,
    Message,
    Reasoning,
    Function,
    Custom,
    /// A tool of the provider whose result is part of the item.
    Hosted,
    /// In one piece, when it is done.
    Whole,
}

impl Decoder {
    /// A decoder for the stream of `target`.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
            reader: ItemReader::new(target.capabilities.family),
            started: false,
            items: BTreeMap::new(),
            lanes: Lanes::default(),
            call_ids: CallIds::default(),
            called: false,
            refused: false,
            failed: None,
            audio: Vec::new(),
            transcript: String::new(),
        }
    }

    /// Takes one frame.
    pub fn event(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Step {
        let Frame::Event { name, data } = frame else { return Step::Ok };
        if data.trim() == "[DONE]" {
            return Step::Ok;
        }
        let Ok(event) = serde_json::from_str::<StreamEvent<'_>>(data) else { return Step::Unreadable };
        let kind = match (&event.kind, name) {
            (Some(kind), _) => Text::from(&**kind),
            (None, _) if event.object.as_deref() == Some("response") => Text::from_static("whole"),
            (None, _) if event.error.is_some() => Text::from_static("error"),
            (None, Some(name)) => name.clone(),
            (None, None) => return Step::Unreadable,
        };
        // Only a fuller description of the same failure may follow an error.
        if self.failed.is_some() && &*kind != "response.failed" {
            return self.fail(out);
        }
        let step = self.dispatch(&kind, event, data, out);
        let many = match step {
            Step::Ok if self.lanes.is_full() => "too many parts of the answer overlap",
            Step::Ok if self.items.len() > MAX_ITEMS => "the answer has too many items",
            step => return step,
        };
        self.failed = Some(protocol_fault(many));
        self.fail(out)
    }

    /// Takes the end of the body; `broken` says that it was cut. The caller appends `End`.
    pub fn finish(&mut self, broken: bool, out: &mut Vec<Event>) {
        if self.failed.is_none() {
            let why = if broken { "the connection broke" } else { "the stream ended" };
            self.failed = Some(protocol_fault(&format!("{why} before the answer was complete")));
        }
        self.fail(out);
    }

    fn dispatch(&mut self, kind: &str, event: StreamEvent<'_>, data: &Text, out: &mut Vec<Event>) -> Step {
        if self.is_stray(kind, &event, data) {
            return Step::Ok;
        }
        match kind {
            "response.created" => self.start(event.response, data, out),
            "response.in_progress" | "response.queued" => {
                self.start(event.response, data, out);
                out.push(Event::Ping);
            }
            "response.output_item.added" => self.added(&event, data, out),
            "response.output_item.done" => {
                if let Some(item) = event.item {
                    self.start(None, data, out);
                    let index = self.index(&event, data);
                    self.item_done(index, item, data, out);
                }
            }
            "response.content_part.added" => self.part_added(&event, data, out),
            "response.content_part.done" => self.part_done(event, data, out),
            "response.output_text.delta" => self.text_delta(event, data, out),
            "response.output_text.done" => {
                let key = self.content_key(&event, data, out);
                self.begin_text(key, event.item_id.as_ref(), data, out);
                if let Some(text) = &event.text {
                    self.lanes.complete(key, text, out);
                }
                self.logprobs(key, event.logprobs, true, data, out);
            }
            "response.output_text.annotation.added" => {
                if let Some(annotation) = event.annotation {
                    let key = self.content_key(&event, data, out);
                    self.begin_text(key, event.item_id.as_ref(), data, out);
                    self.cite(key, annotation, data, out);
                }
            }
            "response.refusal.delta" => {
                let key = self.content_key(&event, data, out);
                self.begin_refusal(key, out);
                self.lanes.delta(key, delta_text(&event, data), out);
            }
            "response.refusal.done" => {
                let key = self.content_key(&event, data, out);
                self.begin_refusal(key, out);
                if let Some(text) = &event.refusal {
                    self.lanes.complete(key, text, out);
                }
            }
            "response.reasoning_summary_part.added" => {
                let index = self.open_item(&event, Kind::Reasoning, data, out);
                self.begin_thought(index, true, out);
            }
            "response.reasoning_summary_text.delta" => {
                let (index, at) = self.thought_place(&event, event.summary_index, data, out);
                self.think(index, true, at, &delta_text(&event, data), out);
            }
            "response.reasoning_summary_text.done" => {
                let (index, at) = self.thought_place(&event, event.summary_index, data, out);
                self.thought_whole(index, true, at, event.text.as_deref(), out);
            }
            "response.reasoning_summary_part.done" => {
                let (index, at) = self.thought_place(&event, event.summary_index, data, out);
                let text = event.part.as_ref().and_then(|part| part.text.as_deref());
                self.thought_whole(index, true, at, text, out);
            }
            "response.reasoning_text.delta" => {
                let (index, at) = self.thought_place(&event, event.content_index, data, out);
                self.think(index, false, at, &delta_text(&event, data), out);
            }
            "response.reasoning_text.done" => {
                let (index, at) = self.thought_place(&event, event.content_index, data, out);
                self.thought_whole(index, false, at, event.text.as_deref(), out);
            }
            "response.function_call_arguments.delta" => self.argument(&event, Kind::Function, false, data, out),
            "response.function_call_arguments.done" => self.argument(&event, Kind::Function, true, data, out),
            "response.custom_tool_call_input.delta" => self.argument(&event, Kind::Custom, false, data, out),
            "response.custom_tool_call_input.done" => self.argument(&event, Kind::Custom, true, data, out),
            "response.mcp_call_arguments.delta" | "response.code_interpreter_call_code.delta" => {
                self.hosted_delta(kind, &event, data, out);
            }
            "response.audio.delta" => self.audio_delta(&event),
            "response.audio.transcript.delta" => {
                if self.transcript.len() < MAX_AUDIO {
                    self.transcript.push_str(&event.delta.and_then(raw_str).unwrap_or_default());
                }
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled"
            | "response.done" => {
                let word = kind.trim_start_matches("response.");
                return self.terminal(event.response, Some(word), data, out);
            }
            "whole" => {
                // A provider that was asked to stream and did not.
                return match serde_json::from_str::<&RawValue>(data) {
                    Ok(response) => self.terminal(Some(response), None, data, out),
                    Err(_) => Step::Unreadable,
                };
            }
            "error" => {
                self.failed = Some(event_fault(data));
                out.push(Event::Ping);
            }
            _ => self.other(kind, data, out),
        }
        Step::Ok
    }

    /// Progress of items whose end says everything, and what nobody knows.
    fn other(&mut self, kind: &str, data: &Text, out: &mut Vec<Event>) {
        const PROGRESS: [&str; 7] =
            [".in_progress", ".searching", ".completed", ".generating", ".interpreting", ".failed", ".compacting"];
        let quiet = PROGRESS.iter().any(|state| kind.ends_with(state))
            || kind.starts_with("response.shell_call")
            || kind.starts_with("response.apply_patch_call")
            || matches!(
                kind,
                "response.mcp_call_arguments.done"
                    | "response.code_interpreter_call_code.done"
                    | "response.audio.done"
                    | "response.audio.transcript.done"
                    | "ping"
                    | "keepalive"
            );
        if quiet {
            out.push(Event::Ping);
            return;
        }
        // Other protocols drop it, and nothing may come before the start.
        self.start(None, data, out);
        let raw = RawJson::from_valid(data.clone());
        out.push(Event::Opaque { protocol: Protocol::Responses, name: kind.into(), raw });
    }

    fn start(&mut self, response: Option<&RawValue>, data: &Text, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let wire = response.and_then(|response| serde_json::from_str::<ResponseObject<'_>>(response.get()).ok());
        let wire = wire.unwrap_or_default();
        out.push(Event::Start(Box::new(StreamStart {
            id: wire.id.unwrap_or_default().into_text(data),
            model: wire.model.unwrap_or_default().into_text(data),
            created: wire.created_at.and_then(seconds),
            service_tier: wire.service_tier.map(|tier| tier.into_text(data)),
            fingerprint: None,
            ext: own_ext(wire.extra, data),
        })));
    }

    // ------------------------------------------------------------------------------------------------------------ items

    /// Whether an event grows an item of another kind than the one at its place: it would run into the wrong part.
    fn is_stray(&self, kind: &str, event: &StreamEvent<'_>, data: &Text) -> bool {
        let Some(wanted) = grown_by(kind, event) else { return false };
        let known = self.items.get(&self.index(event, data)).map_or(Kind::Unknown, |slot| slot.kind);
        !matches!(known, Kind::Unknown | Kind::Whole) && known != wanted
    }

    /// Says what an item is. If another kind of item was begun at its place, that one ends here.
    fn name_kind(&mut self, index: u32, kind: Kind, out: &mut Vec<Event>) {
        let known = self.slot(index).kind;
        if known != kind && known != Kind::Unknown {
            self.end_item(index, true, out);
            self.items.insert(index, Slot::default());
        }
        self.slot(index).kind = kind;
    }

    /// Which item an event is about: by its place, else by its id, else the last one.
    fn index(&self, event: &StreamEvent<'_>, data: &Text) -> u32 {
        if let Some(index) = event.output_index {
            return u32::try_from(index.0.max(0)).unwrap_or(u32::MAX);
        }
        let id = match (&event.item_id, event.item) {
            (Some(id), _) => Some(id.to_text(data)),
            (None, Some(item)) => {
                serde_json::from_str::<Item<'_>>(item.get()).ok().and_then(|item| item.id).map(|id| Text::from(&*id))
            }
            (None, None) => None,
        };
        let known = id.as_ref().and_then(|id| self.items.iter().find(|(_, slot)| slot.id.as_ref() == Some(id)));
        match (known, self.items.last_key_value()) {
            (Some((index, _)), _) => *index,
            // A new item.
            (None, Some((last, _))) if event.item.is_some() => last.saturating_add(1),
            (None, Some((last, _))) => *last,
            (None, None) => 0,
        }
    }

    /// The item of an event; one that was never announced is taken to be of this kind.
    fn open_item(&mut self, event: &StreamEvent<'_>, kind: Kind, data: &Text, out: &mut Vec<Event>) -> u32 {
        self.start(None, data, out);
        let index = self.index(event, data);
        let slot = self.items.entry(index).or_default();
        if slot.kind == Kind::Unknown {
            slot.kind = kind;
        }
        if slot.id.is_none() {
            slot.id = event.item_id.as_ref().map(|id| id.to_text(data));
        }
        index
    }

    fn slot(&mut self, index: u32) -> &mut Slot {
        self.items.entry(index).or_default()
    }

    fn added(&mut self, event: &StreamEvent<'_>, data: &Text, out: &mut Vec<Event>) {
        self.start(None, data, out);
        let Some(Ok(item)) = event.item.map(|item| serde_json::from_str::<Item<'_>>(item.get())) else { return };
        let index = self.index(event, data);
        let wire_kind = item.kind.as_deref().unwrap_or_default().to_owned();
        let kind = kind_of(&wire_kind);
        self.name_kind(index, kind, out);
        let slot = self.slot(index);
        slot.id = item.id.as_ref().map(|id| id.to_text(data)).or(slot.id.take());
        slot.phase = item.phase.as_ref().map(|phase| phase.to_text(data));
        match kind {
            Kind::Function | Kind::Custom => {
                let early = arguments_of(kind, &item, data);
                slot.head = Some(head(item, data));
                slot.early.push_str(if kind == Kind::Function && &*early == "{}" { "" } else { &early });
                self.lanes.open(whole(index));
                self.begin_call(index, out);
            }
            Kind::Hosted => self.begin_hosted(index, &wire_kind, &item, data, out),
            Kind::Reasoning | Kind::Whole => {
                self.lanes.open(whole(index));
            }
            Kind::Message | Kind::Unknown => {}
        }
    }

    /// An item is whole: whatever its deltas left out follows, then its parts end.
    fn item_done(&mut self, index: u32, wire: &RawValue, data: &Text, out: &mut Vec<Event>) {
        if self.slot(index).done {
            return;
        }
        let Ok(item) = serde_json::from_str::<Item<'_>>(wire.get()) else { return };
        let wire_kind = item.kind.as_deref().unwrap_or_default().to_owned();
        let kind = kind_of(&wire_kind);
        self.name_kind(index, kind, out);
        let slot = self.slot(index);
        slot.done = true;
        if slot.id.is_none() {
            slot.id = item.id.as_ref().map(|id| id.to_text(data));
        }
        if slot.phase.is_none() {
            slot.phase = item.phase.as_ref().map(|phase| phase.to_text(data));
        }
        let status = item.status.as_ref().map(|status| status.to_string());
        match kind {
            Kind::Message => self.message_done(index, wire, status.as_deref(), data, out),
            Kind::Reasoning => self.reasoning_done(index, wire, data, out),
            Kind::Function | Kind::Custom => {
                let whole_arguments = arguments_of(kind, &item, data);
                let slot = self.slot(index);
                if slot.head.as_ref().is_none_or(|known| known.call_id.is_empty() || known.name.is_empty()) {
                    slot.head = Some(head(item, data));
                }
                self.call_done(index, Some(&whole_arguments), status.as_deref(), out);
            }
            Kind::Hosted => {
                self.begin_hosted(index, &wire_kind, &item, data, out);
                self.hosted_done(index, wire, data, out);
            }
            Kind::Whole | Kind::Unknown => self.whole_done(index, wire, data, out),
        }
    }

    /// Parts that come in one piece.
    fn whole_done(&mut self, index: u32, wire: &RawValue, data: &Text, out: &mut Vec<Event>) {
        let key = whole(index);
        self.lanes.open(key);
        for part in read_item(&mut self.reader, wire, data) {
            let Part { kind, signature, item_id, ext, .. } = part;
            match kind {
                PartKind::ToolCall(call) => {
                    let ToolCall { id, name, namespace, kind, arguments, caller, status } = *call;
                    let id = self.call_ids.unique(&id, index as usize);
                    let start = ToolCallStart { id, name, namespace, kind, item_id, signature, caller, ext };
                    self.lanes.begin_another(key, PartStart::ToolCall(Box::new(start)), out);
                    self.lanes.delta(key, arguments, out);
                    self.lanes.end_part(key, status, out);
                    self.called |= status == PartStatus::Complete;
                }
                kind => {
                    let part = Part { kind, cache: None, signature, item_id, ext };
                    self.lanes.push(key, Event::Part { choice: 0, part: Box::new(part) }, out);
                }
            }
        }
        self.lanes.end(key, PartStatus::Complete, out);
    }

    // ------------------------------------------------------------------------------------------------------------ audio

    fn audio_delta(&mut self, event: &StreamEvent<'_>) {
        let piece = event.delta.and_then(raw_str).and_then(|delta| STANDARD.decode(&*delta).ok()).unwrap_or_default();
        if self.audio.len() + piece.len() <= MAX_AUDIO {
            self.audio.extend_from_slice(&piece);
        }
    }

    fn spoken(&mut self, out: &mut Vec<Event>) {
        if self.audio.is_empty() && self.transcript.is_empty() {
            return;
        }
        let audio = std::mem::take(&mut self.audio);
        let mime = match audio.get(..4) {
            Some(b"RIFF") => "audio/wav",
            Some(b"OggS") => "audio/ogg",
            Some(b"fLaC") => "audio/flac",
            Some([b'I', b'D', b'3', _] | [0xff, 0xf2..=0xff, ..]) => "audio/mpeg",
            _ => "audio/pcm",
        };
        let data = STANDARD.encode(audio).into();
        let source = MediaSource::Base64 { mime: Text::from_static(mime), data };
        let transcript = Some(std::mem::take(&mut self.transcript)).filter(|text| !text.is_empty()).map(Text::from);
        let part = Part::new(PartKind::Audio(Media { transcript, ..Media::new(source) }));
        out.push(Event::Part { choice: 0, part: Box::new(part) });
    }

    // -------------------------------------------------------------------------------------------------------------- end

    /// The last event. `word` is its own word for the state, used if the response has none.
    fn terminal(&mut self, response: Option<&RawValue>, word: Option<&str>, data: &Text, out: &mut Vec<Event>) -> Step {
        self.start(response, data, out);
        let wire = response.and_then(|response| serde_json::from_str::<ResponseObject<'_>>(response.get()).ok());
        let wire = wire.unwrap_or_default();
        let usage = wire.usage.map(|usage| read_usage(usage, &self.target, data));
        let failed = failure(&wire)
            .or_else(|| (word == Some("failed")).then(|| protocol_fault("the provider failed to give an answer")));
        if let Some(fault) = failed {
            if let Some(usage) = usage {
                out.push(Event::Usage(Box::new(usage)));
            }
            // The fuller of two descriptions.
            let known = self.failed.take().filter(|known| known.code.is_some() && fault.code.is_none());
            self.failed = Some(known.unwrap_or(fault));
            return self.fail(out);
        }
        let status = wire.status.as_ref().map(|status| status.to_string()).or(word.map(str::to_owned));
        let complete = matches!(status.as_deref(), Some("completed" | "complete" | "done") | None);
        self.unseen(wire.output.as_deref().unwrap_or_default(), data, out);
        self.close_all(complete, out);
        self.spoken(out);
        if let Some(usage) = usage {
            out.push(Event::Usage(Box::new(usage)));
        }
        let reason = reason_of(&wire.incomplete_details);
        let (reason, raw) = finish_of(status.as_deref(), reason, self.called, self.refused);
        let mut ext = own_ext(wire.extra, data);
        if let Some(tier) = wire.service_tier {
            // Known for sure only now.
            ext.push("service_tier", RawJson::of(&Value::String(tier.to_string())));
        }
        out.push(Event::Finish(Box::new(Finish { choice: 0, reason, raw, ext, ..Finish::default() })));
        Step::Done
    }

    /// Items that the response lists but the stream never told, or never finished.
    fn unseen(&mut self, output: &[&RawValue], data: &Text, out: &mut Vec<Event>) {
        for (at, wire) in output.iter().enumerate() {
            let index = u32::try_from(at).unwrap_or(u32::MAX);
            if self.items.get(&index).is_some_and(|slot| slot.done) {
                continue;
            }
            let id = serde_json::from_str::<Item<'_>>(wire.get()).ok().and_then(|item| item.id);
            let place = match &id {
                Some(id) => self.items.iter().find(|(_, slot)| slot.id.as_deref() == Some(&**id)).map(|(at, _)| *at),
                None => None,
            };
            self.item_done(place.unwrap_or(index), wire, data, out);
        }
    }

    /// Parts whose end the stream never told.
    fn close_all(&mut self, complete: bool, out: &mut Vec<Event>) {
        let mut items: Vec<u32> = self.lanes.all().iter().map(|key| key.item).collect();
        items.dedup();
        for item in items {
            self.end_item(item, complete, out);
        }
    }

    /// Ends the open parts of an item.
    fn end_item(&mut self, index: u32, complete: bool, out: &mut Vec<Event>) {
        let status = if complete { PartStatus::Complete } else { PartStatus::Incomplete };
        for key in self.lanes.of_item(index) {
            match self.slot(index).kind {
                Kind::Function | Kind::Custom => {
                    let word = if complete { None } else { Some("incomplete") };
                    self.call_done(index, None, word, out);
                }
                _ => self.lanes.end(key, status, out),
            }
        }
    }

    fn fail(&mut self, out: &mut Vec<Event>) -> Step {
        let fault = self.failed.take().unwrap_or_else(|| protocol_fault("the provider failed"));
        out.push(Event::Error(Box::new(fault)));
        Step::Done
    }
}

/// The lane of an item that is one part.
fn whole(item: u32) -> Key {
    Key { item, content: 0 }
}

fn kind_of(wire: &str) -> Kind {
    match wire {
        "message" => Kind::Message,
        "reasoning" => Kind::Reasoning,
        "function_call" => Kind::Function,
        "custom_tool_call" => Kind::Custom,
        "web_search_call" | "file_search_call" | "code_interpreter_call" | "mcp_call" => Kind::Hosted,
        _ => Kind::Whole,
    }
}

/// The kind of item that an event adds to.
fn grown_by(event: &str, wire: &StreamEvent<'_>) -> Option<Kind> {
    let (family, _) = event.strip_prefix("response.")?.split_once('.')?;
    match family {
        "output_text" | "refusal" => Some(Kind::Message),
        "content_part" => match wire.part.as_ref()?.kind.as_deref()? {
            "output_text" | "text" | "refusal" => Some(Kind::Message),
            "reasoning_text" | "summary_text" => Some(Kind::Reasoning),
            _ => None,
        },
        "reasoning_text" | "reasoning_summary_text" | "reasoning_summary_part" => Some(Kind::Reasoning),
        "function_call_arguments" => Some(Kind::Function),
        "custom_tool_call_input" => Some(Kind::Custom),
        "mcp_call_arguments" | "code_interpreter_call_code" => Some(Kind::Hosted),
        _ => None,
    }
}

fn delta_text(event: &StreamEvent<'_>, data: &Text) -> Text {
    event.delta.and_then(raw_str).map_or_else(Text::new, |delta| Str(delta).into_text(data))
}

/// A stream that breaks the rules of the protocol.
fn protocol_fault(message: &str) -> Fault {
    Fault { from_upstream: true, ..Fault::new(FaultClass::UpstreamProtocol, message) }
}

/// An `error` event: its members stand in it or in an object inside.
fn event_fault(data: &Text) -> Fault {
    let mut value: Value = serde_json::from_str(data).unwrap_or_default();
    if let Some(inner) = value.get_mut("error").filter(|inner| inner.is_object()) {
        value = inner.take();
    }
    if let Some(members) = value.as_object_mut()
        && members.get("type").and_then(Value::as_str) == Some("error")
    {
        members.remove("type");
    }
    response::error_fault(&value)
}
