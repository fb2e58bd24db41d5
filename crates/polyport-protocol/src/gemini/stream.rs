//! Streams of Gemini servers, read.

use std::collections::{BTreeMap, HashMap};

use polyport_types::{
    Event, Extras, Fault, FaultClass, Finish, FinishReason, MAX_CHOICES, Part, PartId, PartStart, PartStatus,
    PromptBlock, Signature, SignatureKind, StreamStart, Text, ToolCallKind, ToolCallStart,
};
use serde_json::value::RawValue;

use super::answer::{another_id, generated_id, id_base};
use super::grounding::{self, Answered};
use super::partial::Partial;
use super::response::{MAX_WRAPPERS, keep_head, keep_metadata, read_block, read_logprobs};
use super::types::{self, GenerateResponse};
use super::{finish, names, parts, usage};
use crate::Target;
use crate::classify::classify_body;
use crate::json::{self, Int};
use crate::sse::Frame;
use crate::stream::Step;

/// Members of an answer that have no slot and are kept.
const MAX_MEMBERS: usize = 64;

/// Provider stream to events.
#[derive(Debug)]
pub struct Decoder {
    may_omit_finish: bool,
    started: bool,
    /// Code Assist's id of the request: stands for a missing id of the answer.
    trace: Text,
    /// Number of the next part.
    next: u32,
    /// Ids of calls are made from this.
    base: String,
    candidates: BTreeMap<u32, Answering>,
    /// Calls so far, of all candidates, by id: ids must differ.
    calls: HashMap<Text, Seen>,
    /// The last usage object, to notice changes.
    usage: Text,
    block: Option<PromptBlock>,
}

/// One answer on its way.
#[derive(Debug, Default)]
struct Answering {
    index: u32,
    /// The provider sent at least one part.
    answered: bool,
    /// Parts begun so far, pieces of one counted once.
    position: usize,
    open: Option<Open>,
    /// Lengths of the text parts in bytes, the open one last.
    texts: Vec<usize>,
    pending: Option<(PartId, Partial)>,
    /// A call of a client tool is whole.
    called: bool,
    finish: Option<Text>,
    message: Option<Text>,
    ext: Extras,
}

/// The text or reasoning part that grows.
#[derive(Debug)]
struct Open {
    part: PartId,
    thought: bool,
    /// Comes last.
    signature: Option<Text>,
}

/// A call that was given out.
#[derive(Debug)]
struct Seen {
    name: Text,
    args: Text,
}

impl Decoder {
    /// A decoder for the stream of `target`.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        Self {
            may_omit_finish: target.profile.may_omit_finish,
            started: false,
            trace: Text::new(),
            next: 0,
            base: String::new(),
            candidates: BTreeMap::new(),
            calls: HashMap::new(),
            usage: Text::new(),
            block: None,
        }
    }

    /// Takes one frame.
    pub fn event(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Step {
        let Frame::Event { data, .. } = frame else { return Step::Ok };
        match data.trim_start().as_bytes().first() {
            Some(b'[') if data.trim() == "[DONE]" => Step::Ok,
            Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(data) {
                Ok(chunks) => {
                    for chunk in chunks {
                        match self.chunk(&data.slice_ref(chunk.get()), MAX_WRAPPERS, out) {
                            Step::Ok => {}
                            other => return other,
                        }
                    }
                    Step::Ok
                }
                Err(_) => Step::Unreadable,
            },
            _ => self.chunk(data, MAX_WRAPPERS, out),
        }
    }

    /// Takes the end of the body; `broken` says that it was cut. The caller appends `End`.
    pub fn finish(&mut self, broken: bool, out: &mut Vec<Event>) {
        let answered = self.candidates.values().any(|candidate| candidate.answered || candidate.finish.is_some());
        if !answered {
            match self.block.take() {
                Some(block) => out.push(blocked(block)),
                None => out.push(truncated("the provider's stream ended before any answer")),
            }
            return;
        }
        let all = self.candidates.values().all(|candidate| candidate.finish.is_some());
        let any = self.candidates.values().any(|candidate| candidate.finish.is_some());
        if !(all || !broken && (any || self.may_omit_finish)) {
            out.push(truncated("the provider's stream ended before the answer was finished"));
            return;
        }
        if self.candidates.keys().any(|index| *index as usize >= self.candidates.len()) {
            out.push(truncated("one of the provider's answers is missing"));
            return;
        }
        for mut candidate in std::mem::take(&mut self.candidates).into_values() {
            candidate.end(out);
        }
    }

    fn chunk(&mut self, body: &Text, wrappers: u8, out: &mut Vec<Event>) -> Step {
        let Ok(mut wire) = serde_json::from_str::<GenerateResponse<'_>>(body) else { return Step::Unreadable };
        if wire.error.is_some() {
            out.push(Event::Error(Box::new(classify_body(None, body))));
            return Step::Done;
        }
        if let Some(trace) = wire.trace_id.as_ref().filter(|_| !self.started) {
            self.trace = trace.to_text(body);
        }
        if let (Some(inner), None, 1..) = (wire.response, &wire.candidates, wrappers) {
            return self.chunk(&body.slice_ref(inner.get()), wrappers - 1, out);
        }
        if !self.started {
            let nothing = wire.response_id.is_none()
                && wire.model_version.is_none()
                && wire.candidates.is_none()
                && wire.usage_metadata.is_none()
                && wire.prompt_feedback.is_none();
            if nothing {
                return Step::Ok;
            }
            self.start(&mut wire, body, out);
        }
        if let Some(raw) = wire.usage_metadata
            && raw.get() != &*self.usage
        {
            self.usage = json::raw(raw, body).text().clone();
            out.extend(usage::read(raw, body).map(|usage| Event::Usage(Box::new(usage))));
        }
        if let Some(block) = wire.prompt_feedback.and_then(|raw| read_block(raw, body)) {
            self.block = Some(block);
        }
        for (number, candidate) in wire.candidates.unwrap_or_default().0.into_iter().enumerate() {
            let index = candidate.index.map_or(number as u64, Int::count);
            let Some(index) = u32::try_from(index).ok().filter(|index| *index < MAX_CHOICES) else {
                out.push(truncated("the provider's stream holds too many answers"));
                return Step::Done;
            };
            self.candidate(candidate, index, body, out);
        }
        Step::Ok
    }

    fn start(&mut self, wire: &mut GenerateResponse<'_>, body: &Text, out: &mut Vec<Event>) {
        self.started = true;
        let trace = std::mem::take(&mut self.trace);
        let id = wire.response_id.as_ref().map_or(trace, |id| id.to_text(body));
        self.base = id_base(&id, body);
        let mut ext = Extras::new();
        let created = keep_head(wire.create_time.as_deref(), std::mem::take(&mut wire.extra), body, &mut ext);
        out.push(Event::Start(Box::new(StreamStart {
            id,
            model: wire.model_version.as_ref().map(|model| model.to_text(body)).unwrap_or_default(),
            created,
            ext,
            ..StreamStart::default()
        })));
    }

    fn candidate(&mut self, wire: types::Candidate<'_>, index: u32, body: &Text, out: &mut Vec<Event>) {
        let known = self.candidates.remove(&index);
        let mut candidate = known.unwrap_or_else(|| Answering { index, ..Answering::default() });
        for part in wire.content.and_then(|content| content.parts).unwrap_or_default().0 {
            candidate.answered = true;
            self.part(&mut candidate, part, body, out);
        }
        if let Some(logprobs) = wire.logprobs {
            let tokens = read_logprobs(logprobs, body, &mut candidate.ext);
            if !tokens.is_empty() {
                out.push(Event::Logprobs { choice: index, part: None, tokens });
            }
        }
        let mut ext = Extras::new();
        keep_metadata(wire.grounding, wire.citations, body, &mut ext);
        names::keep(wire.extra, "", body, &mut ext);
        for (name, value) in ext.iter() {
            // Each chunk says what holds now.
            let known = candidate.ext.remove(name).is_some();
            if known || candidate.ext.iter().count() < MAX_MEMBERS {
                candidate.ext.push(name.clone(), value.clone());
            }
        }
        if let Some(word) = wire.finish_reason.filter(|word| !word.is_empty()) {
            candidate.finish = Some(word.into_text(body));
        }
        if let Some(message) = wire.finish_message {
            candidate.message = Some(message.into_text(body));
        }
        self.candidates.insert(index, candidate);
    }

    fn part(&mut self, candidate: &mut Answering, wire: types::Part<'_>, body: &Text, out: &mut Vec<Event>) {
        let [member, _] = parts::data_members(&wire);
        match member {
            None if wire.extra.is_empty() && wire.thought_signature.is_none() => {}
            // A signature alone is one on an empty text.
            Some("text") | None if wire.extra.is_empty() || wire.text.is_some() => {
                let thought = wire.thought == Some(true);
                let signature = wire.thought_signature.filter(|value| !value.is_empty());
                let signature = signature.map(|value| value.into_text(body));
                let text = wire.text.map(|text| text.into_text(body)).unwrap_or_default();
                candidate.close_call(PartStatus::Complete, out);
                self.text(candidate, text, thought, signature, out);
            }
            Some("functionCall") => self.call(candidate, wire, body, out),
            _ => {
                candidate.close_call(PartStatus::Complete, out);
                candidate.close(out);
                candidate.position += 1;
                out.push(Event::Part { choice: candidate.index, part: Box::new(parts::decode(wire, body)) });
            }
        }
    }

    fn text(
        &mut self,
        candidate: &mut Answering,
        text: Text,
        thought: bool,
        signature: Option<Text>,
        out: &mut Vec<Event>,
    ) {
        if text.is_empty() {
            let Some(signature) = signature else { return };
            match &mut candidate.open {
                Some(open) if open.signature.is_none() => open.signature = Some(signature),
                _ => {
                    // It belongs to nothing that could still take it: hidden reasoning of its own.
                    candidate.close(out);
                    let mut part = Part::new(parts::hidden_reasoning());
                    part.signature = Some(google(SignatureKind::Part, signature));
                    candidate.position += 1;
                    out.push(Event::Part { choice: candidate.index, part: Box::new(part) });
                }
            }
            return;
        }
        if candidate.open.as_ref().is_some_and(|open| open.thought != thought || open.signature.is_some()) {
            candidate.close(out);
        }
        let part = match &candidate.open {
            Some(open) => open.part,
            None => {
                let part = self.open_part(candidate);
                let start = if thought {
                    PartStart::Reasoning { item_id: None, summary: false }
                } else {
                    candidate.texts.push(0);
                    PartStart::Text { item_id: None, phase: None }
                };
                out.push(Event::PartStart { part, choice: candidate.index, start });
                candidate.open = Some(Open { part, thought, signature: None });
                part
            }
        };
        if !thought && let Some(length) = candidate.texts.last_mut() {
            *length += text.len();
        }
        out.push(Event::Delta { part, text });
        if let Some(open) = &mut candidate.open {
            open.signature = signature;
        }
    }

    fn open_part(&mut self, candidate: &mut Answering) -> PartId {
        let part = PartId(self.next);
        self.next += 1;
        candidate.position += 1;
        part
    }

    fn call(&mut self, candidate: &mut Answering, wire: types::Part<'_>, body: &Text, out: &mut Vec<Event>) {
        let Some(call) = wire.function_call else { return };
        let more = call.will_continue == Some(true);
        let pieces = call.partial_args.unwrap_or_default().0;
        let Some(name) = call.name.filter(|name| !name.is_empty()) else {
            // More of the call at hand, or its end.
            if let Some((_, partial)) = &mut candidate.pending {
                pieces.into_iter().for_each(|piece| partial.piece(piece));
            }
            if !more {
                candidate.close_call(PartStatus::Complete, out);
            }
            return;
        };
        candidate.close_call(PartStatus::Complete, out);
        candidate.close(out);
        let name = name.into_text(body);
        let args = call.args.map(|args| json::raw(args, body).text().clone());
        let whole = !more && pieces.is_empty();
        let given = call.id.filter(|id| !id.is_empty()).map(|id| id.into_text(body));
        let seen = args.clone().unwrap_or_default();
        let Some(id) = self.call_id(given, &name, &seen, whole, candidate) else { return };
        self.calls.insert(id.clone(), Seen { name: name.clone(), args: seen });
        let mut ext = Extras::new();
        names::keep(call.extra, "functionCall", body, &mut ext);
        names::keep(wire.extra, "", body, &mut ext);
        let signature = wire.thought_signature.filter(|value| !value.is_empty());
        let signature = signature.map(|value| google(SignatureKind::FunctionCall, value.into_text(body)));
        let part = self.open_part(candidate);
        let start = ToolCallStart {
            id,
            name,
            namespace: None,
            kind: ToolCallKind::Function,
            item_id: None,
            signature,
            caller: None,
            ext,
        };
        out.push(Event::PartStart { part, choice: candidate.index, start: PartStart::ToolCall(Box::new(start)) });
        if whole {
            if let Some(args) = args {
                out.push(Event::Delta { part, text: args });
            }
            out.push(Event::PartEnd { part, status: PartStatus::Complete });
            candidate.called = true;
            return;
        }
        let mut partial = Partial::with(args.as_deref());
        pieces.into_iter().for_each(|piece| partial.piece(piece));
        candidate.pending = Some((part, partial));
        if !more {
            candidate.close_call(PartStatus::Complete, out);
        }
    }

    /// The id of a new call; `None` if it repeats an earlier one.
    fn call_id(
        &self,
        given: Option<Text>,
        name: &Text,
        args: &Text,
        whole: bool,
        candidate: &Answering,
    ) -> Option<Text> {
        let Some(id) = given else { return Some(generated_id(&self.base, candidate.index, candidate.position)) };
        match self.calls.get(&id) {
            None => Some(id),
            Some(seen) if whole && seen.name == *name && seen.args == *args => None,
            Some(_) => Some(another_id(&id, candidate.index, candidate.position)),
        }
    }
}

impl Answering {
    /// Ends the text or reasoning part, its signature last.
    fn close(&mut self, out: &mut Vec<Event>) {
        let Some(Open { part, signature, .. }) = self.open.take() else { return };
        if let Some(value) = signature {
            let signature = Box::new(google(SignatureKind::Part, value));
            out.push(Event::Signature { part, signature });
        }
        out.push(Event::PartEnd { part, status: PartStatus::Complete });
    }

    /// Ends the call that arrives in pieces.
    fn close_call(&mut self, status: PartStatus, out: &mut Vec<Event>) {
        let Some((part, partial)) = self.pending.take() else { return };
        let status = if partial.is_sound() { status } else { PartStatus::Invalid };
        out.push(Event::Delta { part, text: partial.into_json().into() });
        out.push(Event::PartEnd { part, status });
        self.called |= status == PartStatus::Complete;
    }

    /// Ends the answer: citations of the text that is still open, its end, the reason.
    fn end(&mut self, out: &mut Vec<Event>) {
        let reason = self.finish.as_deref().map_or(FinishReason::Stop, finish::read);
        let cut = matches!(reason, FinishReason::MaxTokens);
        self.close_call(if cut { PartStatus::Incomplete } else { PartStatus::Complete }, out);
        if let Some(Open { part, thought: false, .. }) = &self.open {
            let part = *part;
            let last = self.texts.len().saturating_sub(1);
            let cited = self.citations().into_iter().filter(|(number, _)| *number == last);
            out.extend(cited.map(|(_, citation)| Event::Citation { part, citation: Box::new(citation) }));
        }
        self.close(out);
        out.push(Event::Finish(Box::new(Finish {
            choice: self.index,
            reason: finish::raise(reason, self.called),
            raw: self.finish.take(),
            message: self.message.take(),
            prompt_block: None,
            ext: std::mem::take(&mut self.ext),
        })));
    }

    fn citations(&self) -> Vec<(usize, polyport_types::Citation)> {
        let metadata =
            |name: &str| self.ext.get(name).and_then(|raw| serde_json::from_str::<&RawValue>(raw.as_str()).ok());
        let text = |length: &usize| Answered { part: None, length: *length, text: None };
        let texts: Vec<Answered<'_>> = self.texts.iter().map(text).collect();
        grounding::read(metadata("groundingMetadata"), metadata("citationMetadata"), &texts)
    }
}

fn google(kind: SignatureKind, value: Text) -> Signature {
    Signature::new(polyport_types::Family::Google, kind, value)
}

fn truncated(message: &str) -> Event {
    Event::Error(Box::new(Fault { from_upstream: true, ..Fault::new(FaultClass::UpstreamProtocol, message) }))
}

fn blocked(block: PromptBlock) -> Event {
    Event::Finish(Box::new(Finish {
        reason: FinishReason::ContentFilter,
        raw: Some(block.reason.clone()),
        message: block.message.clone(),
        prompt_block: Some(block),
        ..Finish::default()
    }))
}
