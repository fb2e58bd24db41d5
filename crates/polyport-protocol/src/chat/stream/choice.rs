//! One answer of a stream: which part is open, and what a delta adds.

use std::collections::HashSet;

use base64::Engine as _;
use polyport_types::{
    Citation, Event, Extras, Fault, Finish, FinishReason, Media, MediaSource, Part, PartId, PartKind, PartStart,
    PartStatus, Protocol, RawJson, Reasoning, ReasoningText, Signature, SignatureKind, Text, TokenLogprob,
};
use serde_json::value::RawValue;

use super::decode::{Numbers, Rules, unreadable};
use super::slots::{Calls, Numbering as _, arguments_of};
use super::text_calls::{Extractor, Found};
use super::think::{Splitter, Stretch};
use crate::chat::finish::{self, Verdict};
use crate::chat::reasoning::{self, Entry, EntryKind};
use crate::chat::request::{call_signature, message_signature, thinking_text};
use crate::chat::types::{self, Content, ContentPart, Delta, Logprobs, Token, Word, WordOr, filled};
use crate::chat::{annotations, media, members};
use crate::json;

/// Most arguments of one answer are a few hundred bytes; this many are no answer any more.
const MAX_ARGUMENTS: usize = 64 << 20;
/// Calls of one answer.
const MAX_CALLS: usize = 4096;

/// One answer of a stream.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) index: u32,
    open: Option<Open>,
    calls: Calls,
    /// UTF-16 units of all text so far: citations count in it.
    units: u32,
    finish: Option<(FinishReason, Text)>,
    ext: Extras,
    splitter: Splitter,
    extractor: Option<Extractor>,
    spoken: Option<Spoken>,
    /// The last piece of reasoning, where repetitions are dropped.
    last_thought: Text,
    /// Citations that were handed on.
    cited: HashSet<String>,
    /// Addresses of the whole answer.
    sources: Vec<Text>,
    /// Signatures that wait for the call they name.
    call_signatures: Vec<(Text, Signature)>,
    /// A signature of the whole message that waits for a text or a call.
    message_signature: Option<Signature>,
    produced: bool,
}

/// The part that takes text; there is one at most.
#[derive(Debug)]
struct Open {
    part: PartId,
    kind: OpenKind,
    signature: Option<Signature>,
}

#[derive(Debug)]
enum OpenKind {
    /// Begins at this position of the whole text.
    Text {
        base: u32,
    },
    Refusal,
    Reasoning {
        summary: bool,
        index: Option<i64>,
        id: Option<Text>,
    },
}

/// Spoken output, in pieces.
#[derive(Debug, Default)]
struct Spoken {
    id: Option<Text>,
    /// Base64 as received, if it came in one piece.
    one: Option<Text>,
    /// Bytes of several pieces.
    bytes: Vec<u8>,
    transcript: String,
    expires_at: Option<i64>,
}

/// What a step of a choice may use.
pub(super) struct Scope<'s> {
    pub(super) rules: &'s Rules,
    pub(super) numbers: &'s mut Numbers,
    /// The text the wire objects borrow from.
    pub(super) body: &'s Text,
    /// The delta is the whole message.
    pub(super) whole: bool,
    pub(super) out: &'s mut Vec<Event>,
}

impl Choice {
    pub(super) fn new(index: u32, rules: &Rules) -> Self {
        Self {
            index,
            open: None,
            calls: Calls::new(rules.offered.clone()),
            units: 0,
            finish: None,
            ext: Extras::new(),
            splitter: Splitter::new(rules.profile.reasoning_read),
            extractor: Extractor::new(rules.profile.text_tool_calls, rules.offered.clone()),
            spoken: None,
            last_thought: Text::new(),
            cited: HashSet::new(),
            sources: Vec::new(),
            call_signatures: Vec::new(),
            message_signature: None,
            produced: false,
        }
    }

    /// Whether a finish reason came.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Whether there is anything to finish.
    pub(super) fn is_something(&self) -> bool {
        self.produced || self.finish.is_some()
    }

    /// Takes a delta (or message) with everything beside it, in the order reasoning, text, calls, finish.
    pub(super) fn take(
        &mut self,
        mut wire: types::Choice<'_>,
        citations: &[Text],
        scope: &mut Scope<'_>,
    ) -> Result<(), Box<Fault>> {
        let finish = filled(&wire.finish_reason).and_then(|raw| Some((finish::read(raw)?, raw.to_text(scope.body))));
        let delta = wire.message.take().or(wire.delta.take()).unwrap_or_default();
        // An empty whole answer is an answer.
        self.produced |= scope.whole;
        self.delta(delta, wire.logprobs, finish.is_some(), scope)?;
        for url in citations {
            if !self.sources.contains(url) && self.sources.len() < MAX_CALLS {
                self.sources.push(url.clone());
            }
        }
        self.finish(wire, finish, scope)
    }

    fn finish(
        &mut self,
        wire: types::Choice<'_>,
        finish: Option<(Verdict, Text)>,
        scope: &mut Scope<'_>,
    ) -> Result<(), Box<Fault>> {
        if finish.is_some() || scope.whole {
            let said = |value: &RawValue| !matches!(value.get(), "null" | "[]" | "{}" | "\"\"");
            if let Some(native) = wire.native_finish_reason.filter(|value| said(value)) {
                self.set_ext("native_finish_reason", json::raw(native, scope.body));
            }
            let extra = wire.extra.into_iter().filter(|(_, value)| said(value)).collect();
            for (name, value) in json::extras(extra, scope.body).iter() {
                self.set_ext(name, value.clone());
            }
        }
        let Some((verdict, raw)) = finish else { return Ok(()) };
        let malformed =
            wire.native_finish_reason.is_some_and(|native| native.get().contains("MALFORMED_FUNCTION_CALL"));
        let reason = match verdict {
            Verdict::Failed(fault) if !malformed => return Err(fault),
            Verdict::Finished(reason) if !malformed => reason,
            _ => FinishReason::MalformedToolCall,
        };
        if self.finish.as_ref().is_none_or(|(old, _)| finish::outweighs(&reason, old)) {
            self.finish = Some((reason, raw));
        }
        Ok(())
    }

    fn set_ext(&mut self, name: &str, value: RawJson) {
        self.ext.remove(name);
        self.ext.push(Text::from(name), value);
    }

    fn delta(
        &mut self,
        mut delta: Delta<'_>,
        logprobs: Option<&RawValue>,
        last: bool,
        scope: &mut Scope<'_>,
    ) -> Result<(), Box<Fault>> {
        let calls = delta.tool_calls.take().unwrap_or_default();
        if scope.whole {
            self.whole_reasoning(&delta, &calls, scope);
        } else {
            self.reasoning(&delta, scope);
        }
        let signature = message_signature(delta.extra_content.as_ref(), &delta.thought_signature, scope.body);
        self.message_signature = signature.or(self.message_signature.take());
        match delta.content.take() {
            Some(Content::Text(text)) => self.text(text, scope),
            Some(Content::Parts(parts)) => parts.into_iter().for_each(|part| self.part(part, scope)),
            Some(Content::Other) | None => {}
        }
        if let Some(refusal) = filled(&delta.refusal) {
            self.refuse(refusal.to_text(scope.body), scope);
        }
        self.sign_text();
        if let Some(raw) = delta.annotations {
            self.cite(annotations::read(raw, scope.body), scope);
        }
        if let Some(tokens) = logprobs.and_then(read_logprobs) {
            scope.out.push(Event::Logprobs { choice: self.index, part: None, tokens });
        }
        for image in delta.images.take().unwrap_or_default() {
            self.image(image, scope);
        }
        if let Some(audio) = delta.audio.take() {
            self.speak(&audio, scope.body);
        }
        for call in &calls {
            self.call(call, last, scope)?;
        }
        if let Some(call) =
            delta.function_call.take().filter(|call| filled(&call.name).is_some() || call.arguments.is_some())
        {
            self.legacy_call(&call, last, scope)?;
        }
        self.unknown(delta, scope);
        Ok(())
    }

    /// Reasoning of a delta. Several members may hold the same text; details win, for they are signed.
    fn reasoning(&mut self, delta: &Delta<'_>, scope: &mut Scope<'_>) {
        let details = delta.reasoning_details.as_ref();
        let list = if reasoning::entries(details).next().is_some() { details } else { delta.thinking_blocks.as_ref() };
        if !reasoning::entries(list).any(|entry| entry.text.is_some())
            && let Some(text) = filled(&delta.reasoning_content).or(filled(&delta.reasoning))
        {
            self.think(text.to_text(scope.body), false, None, None, scope);
        }
        for entry in reasoning::entries(list) {
            self.entry(&entry, scope);
        }
    }

    fn entry(&mut self, entry: &Entry<'_, '_>, scope: &mut Scope<'_>) {
        let signature = entry.signature(scope.rules.family, scope.body);
        let id = entry.id.map(|id| id.to_text(scope.body));
        if let Some(text) = entry.text {
            let summary = entry.kind == EntryKind::Summary;
            self.think(text.to_text(scope.body), summary, entry.index, id.clone(), scope);
        }
        let Some(signature) = signature else { return };
        if let (EntryKind::Encrypted, Some(id), polyport_types::Family::Google) = (entry.kind, &id, signature.family) {
            // It names the call it belongs to, which comes later.
            let signature = Signature { kind: SignatureKind::FunctionCall, item_id: None, ..signature };
            self.call_signatures.push((id.clone(), signature));
            return;
        }
        let fits = match &self.open {
            Some(Open { kind: OpenKind::Reasoning { summary, index, id }, signature: None, .. }) => {
                if entry.kind == EntryKind::Encrypted {
                    entry.completes(*summary, *index, id.as_deref())
                } else {
                    index.is_none() || entry.index.is_none() || *index == entry.index
                }
            }
            _ => false,
        };
        if !fits {
            if signature.kind == SignatureKind::Redacted {
                self.hidden_reasoning(signature, scope);
                return;
            }
            self.open_reasoning(false, entry.index, id, scope);
        }
        if let Some(open) = &mut self.open {
            open.signature = Some(signature);
        }
    }

    fn hidden_reasoning(&mut self, signature: Signature, scope: &mut Scope<'_>) {
        let reasoning = Reasoning { text: ReasoningText::None, redacted: true };
        let part = Part::new(PartKind::Reasoning(Box::new(reasoning)));
        self.emit(Part { signature: Some(signature), ..part }, scope);
    }

    fn open_reasoning(&mut self, summary: bool, index: Option<i64>, id: Option<Text>, scope: &mut Scope<'_>) {
        self.close(PartStatus::Complete, scope);
        self.settle(None, scope);
        let part = scope.numbers.part();
        let start = PartStart::Reasoning { item_id: None, summary };
        scope.out.push(Event::PartStart { part, choice: self.index, start });
        self.open = Some(Open { part, kind: OpenKind::Reasoning { summary, index, id }, signature: None });
        self.produced = true;
    }

    fn think(&mut self, text: Text, summary: bool, index: Option<i64>, id: Option<Text>, scope: &mut Scope<'_>) {
        if scope.rules.profile.dedupe_reasoning {
            if text == self.last_thought {
                return;
            }
            self.last_thought = text.clone();
        }
        let same = match &mut self.open {
            Some(Open { part, kind: OpenKind::Reasoning { summary: have, index: at, .. }, signature: None })
                if *have == summary =>
            {
                let moved = at.is_some() && index.is_some() && *at != index;
                if moved && summary {
                    scope.out.push(Event::SummaryBreak { part: *part });
                    *at = index;
                }
                summary || !moved
            }
            _ => false,
        };
        if !same {
            self.open_reasoning(summary, index, id, scope);
        }
        if let Some(open) = &self.open {
            scope.out.push(Event::Delta { part: open.part, text });
        }
    }

    fn whole_reasoning(&mut self, delta: &Delta<'_>, calls: &[types::ToolCall<'_>], scope: &mut Scope<'_>) {
        let members = reasoning::Members {
            details: delta.reasoning_details.as_ref(),
            blocks: delta.thinking_blocks.as_ref(),
            reasoning_content: &delta.reasoning_content,
            reasoning: &delta.reasoning,
            calls,
        };
        let message = members.read(scope.rules.family, scope.body);
        self.call_signatures.extend(message.calls);
        for part in message.parts {
            let PartKind::Reasoning(reasoning) = part.kind else { continue };
            if reasoning.redacted {
                if let Some(signature) = part.signature {
                    self.hidden_reasoning(signature, scope);
                }
                continue;
            }
            let (summary, texts) = match reasoning.text {
                ReasoningText::None => (false, Vec::new()),
                ReasoningText::Full(text) => (false, vec![text]),
                ReasoningText::Summary(texts) => (true, texts),
            };
            self.open_reasoning(summary, None, None, scope);
            let Some(open) = &mut self.open else { continue };
            for (at, text) in texts.into_iter().enumerate() {
                if at > 0 {
                    scope.out.push(Event::SummaryBreak { part: open.part });
                }
                scope.out.push(Event::Delta { part: open.part, text });
            }
            open.signature = part.signature;
            self.close(PartStatus::Complete, scope);
        }
    }

    /// Text of the content, which may hold reasoning and calls as the profile says.
    fn text(&mut self, text: json::Str<'_>, scope: &mut Scope<'_>) {
        if text.is_empty() {
            return;
        }
        if self.splitter.is_off() && self.extractor.is_none() {
            self.say(text.into_text(scope.body), scope);
            return;
        }
        let mut stretches = Vec::new();
        self.splitter.push(&text, &mut stretches);
        self.stretches(stretches, scope);
    }

    fn stretches(&mut self, stretches: Vec<Stretch>, scope: &mut Scope<'_>) {
        for stretch in stretches {
            match (stretch, &mut self.extractor) {
                (Stretch::Reasoning(text), _) => self.think(text, false, None, None, scope),
                (Stretch::Answer(text), None) => self.say(text, scope),
                (Stretch::Answer(text), Some(extractor)) => {
                    let mut found = Vec::new();
                    extractor.push(&text, &mut found);
                    self.found(found, scope);
                }
            }
        }
    }

    fn found(&mut self, found: Vec<Found>, scope: &mut Scope<'_>) {
        for found in found {
            match found {
                Found::Text(text) => self.say(text.into(), scope),
                Found::Call { name, arguments } => {
                    let at = self.calls.whole(&name, &arguments);
                    self.start_call(at, scope);
                    self.calls.settle(None, scope.out);
                }
            }
        }
    }

    /// Gives out text that was held back because it might be a tag or a call.
    fn flush_text(&mut self, scope: &mut Scope<'_>) {
        if !self.splitter.is_off() {
            let mut stretches = Vec::new();
            self.splitter.finish(&mut stretches);
            self.stretches(stretches, scope);
        }
        if let Some(extractor) = &mut self.extractor {
            let mut found = Vec::new();
            extractor.finish(&mut found);
            self.found(found, scope);
        }
    }

    /// The text part that is open; opens one if there is none.
    fn text_part(&mut self, scope: &mut Scope<'_>) -> (PartId, u32) {
        if let Some(Open { part, kind: OpenKind::Text { base }, .. }) = &self.open {
            return (*part, *base);
        }
        self.close(PartStatus::Complete, scope);
        self.settle(None, scope);
        let part = scope.numbers.part();
        let start = PartStart::Text { item_id: None, phase: None };
        scope.out.push(Event::PartStart { part, choice: self.index, start });
        let base = self.units;
        self.open = Some(Open { part, kind: OpenKind::Text { base }, signature: None });
        self.produced = true;
        (part, base)
    }

    fn say(&mut self, text: Text, scope: &mut Scope<'_>) {
        if text.is_empty() {
            return;
        }
        let (part, _) = self.text_part(scope);
        let units = if text.is_ascii() { text.len() } else { text.encode_utf16().count() };
        self.units = self.units.saturating_add(u32::try_from(units).unwrap_or(u32::MAX));
        scope.out.push(Event::Delta { part, text });
    }

    fn refuse(&mut self, text: Text, scope: &mut Scope<'_>) {
        let part = match &self.open {
            Some(Open { part, kind: OpenKind::Refusal, .. }) => *part,
            _ => {
                self.close(PartStatus::Complete, scope);
                self.settle(None, scope);
                let part = scope.numbers.part();
                scope.out.push(Event::PartStart { part, choice: self.index, start: PartStart::Refusal });
                self.open = Some(Open { part, kind: OpenKind::Refusal, signature: None });
                self.produced = true;
                part
            }
        };
        scope.out.push(Event::Delta { part, text });
    }

    /// One element of a content list.
    fn part(&mut self, raw: &RawValue, scope: &mut Scope<'_>) {
        let Ok(part) = serde_json::from_str::<ContentPart<'_>>(raw.get()) else { return };
        match part.kind.as_deref().unwrap_or_default() {
            "text" | "output_text" => {
                if let Some(text) = part.text {
                    self.text(text, scope);
                }
            }
            "thinking" => {
                let text = thinking_text(part.thinking);
                if !text.is_empty() {
                    self.think(text.into(), false, None, None, scope);
                }
            }
            "refusal" => {
                if let Some(text) = part.refusal.filter(|text| !text.is_empty()) {
                    self.refuse(text.into_text(scope.body), scope);
                }
            }
            "image_url" => self.image(part, scope),
            kind => {
                let raw = json::raw(raw, scope.body);
                let kind = PartKind::Opaque { protocol: Protocol::Chat, kind: Text::from(kind), raw };
                self.emit(Part::new(kind), scope);
            }
        }
    }

    /// A part in one piece.
    fn emit(&mut self, part: Part, scope: &mut Scope<'_>) {
        self.close(PartStatus::Complete, scope);
        self.produced = true;
        scope.out.push(Event::Part { choice: self.index, part: Box::new(part) });
    }

    fn image(&mut self, part: ContentPart<'_>, scope: &mut Scope<'_>) {
        let url = match part.image_url {
            Some(WordOr::Word(url)) => Some(url),
            Some(WordOr::Object(image, _)) => image.url,
            None => None,
        };
        if let Some(url) = url.filter(|url| !url.is_empty()) {
            let image = Media::new(media::source(&url, scope.body));
            self.emit(Part::new(PartKind::Image(image)), scope);
        }
    }

    fn speak(&mut self, audio: &types::Audio<'_>, body: &Text) {
        let text = |word: &Option<Word<'_>>| filled(word).map(|text| text.to_text(body));
        let (id, data, transcript) = (text(&audio.id), text(&audio.data), text(&audio.transcript));
        if self.spoken.is_none() && id.is_none() && data.is_none() && transcript.is_none() {
            return;
        }
        let spoken = self.spoken.get_or_insert_with(Spoken::default);
        spoken.id = id.or(spoken.id.take());
        spoken.expires_at = audio.expires_at.map(|at| at.0).or(spoken.expires_at);
        spoken.transcript.push_str(transcript.as_deref().unwrap_or_default());
        let Some(data) = data else { return };
        match spoken.one.take() {
            None if spoken.bytes.is_empty() => spoken.one = Some(data),
            first => {
                for piece in first.iter().chain([&data]) {
                    // Every piece is base64 of its own.
                    let decoded = base64::engine::general_purpose::STANDARD.decode(piece.as_bytes());
                    spoken.bytes.extend(decoded.unwrap_or_default());
                }
            }
        }
        self.produced = true;
    }

    fn cite(&mut self, citations: Vec<Citation>, scope: &mut Scope<'_>) {
        for citation in citations {
            if self.cited.len() >= MAX_CALLS || !self.cited.insert(format!("{citation:?}")) {
                continue;
            }
            let (part, base) = self.text_part(scope);
            let citation = Box::new(annotations::localise(citation, base));
            scope.out.push(Event::Citation { part, citation });
        }
    }

    /// Gives the signature of a message to its text, if there is one.
    fn sign_text(&mut self) {
        if let Some(open @ Open { kind: OpenKind::Text { .. }, .. }) = &mut self.open
            && self.message_signature.is_some()
        {
            open.signature = self.message_signature.take();
        }
    }

    fn call(&mut self, call: &types::ToolCall<'_>, last: bool, scope: &mut Scope<'_>) -> Result<(), Box<Fault>> {
        let Some(at) = self.calls.resolve(call, scope.body) else { return Ok(()) };
        if !self.calls.is_started(at) {
            let signature = call_signature(call.extra_content.as_ref(), scope.body)
                .or_else(|| self.claim(filled(&call.id).map(|id| &**id)))
                .or_else(|| {
                    self.message_signature.take().map(|s| Signature { kind: SignatureKind::FunctionCall, ..s })
                });
            if let Some(slot) = self.calls.slot_mut(at) {
                slot.signature = slot.signature.take().or(signature);
            }
        }
        self.feed(at, arguments_of(call), last, scope)
    }

    /// The signature that names this call.
    fn claim(&mut self, id: Option<&str>) -> Option<Signature> {
        let at = self.call_signatures.iter().position(|(of, _)| Some(&**of) == id)?;
        Some(self.call_signatures.remove(at).1)
    }

    fn legacy_call(
        &mut self,
        call: &types::FunctionCall<'_>,
        last: bool,
        scope: &mut Scope<'_>,
    ) -> Result<(), Box<Fault>> {
        let name = filled(&call.name);
        let text = call.arguments.as_ref().map(types::Json::as_str).unwrap_or_default();
        if name.is_none() && text.is_empty() {
            return Ok(());
        }
        let at = self.calls.legacy(name.map(|name| &**name));
        self.feed(at, text, last, scope)
    }

    fn feed(&mut self, at: usize, text: &str, last: bool, scope: &mut Scope<'_>) -> Result<(), Box<Fault>> {
        scope.numbers.held = scope.numbers.held.saturating_add(text.len());
        if self.calls.len() > MAX_CALLS || scope.numbers.held > MAX_ARGUMENTS {
            return Err(Box::new(unreadable("its tool calls are too large")));
        }
        if let Some(slot) = self.calls.slot_mut(at) {
            slot.feed(text, last);
        }
        self.start_call(at, scope);
        Ok(())
    }

    /// Starts a call as soon as that is possible, and hands on what is new of it.
    fn start_call(&mut self, at: usize, scope: &mut Scope<'_>) {
        if self.calls.is_ready(at) {
            if self.extractor.is_none() {
                self.flush_text(scope);
            }
            self.close(PartStatus::Complete, scope);
            self.settle(Some(at), scope);
            self.produced = true;
        }
        self.calls.advance(at, self.index, scope.numbers, scope.out);
    }

    /// Ends calls that something else follows.
    fn settle(&mut self, but: Option<usize>, scope: &mut Scope<'_>) {
        self.calls.settle(but, scope.out);
    }

    /// Members of a message without a slot. Of a stream only what is more than a mark on a token is kept.
    fn unknown(&mut self, delta: Delta<'_>, scope: &mut Scope<'_>) {
        let whole = scope.whole;
        let kept = |value: &RawValue| match value.get() {
            "null" | "[]" | "{}" | "\"\"" => false,
            text => whole || text.starts_with(['{', '[']),
        };
        let extra: Vec<_> = delta.extra.into_iter().filter(|(_, value)| kept(value)).collect();
        if extra.is_empty() {
            return;
        }
        let raw = members::object(&json::extras(extra, scope.body));
        let kind = Text::from_static("message");
        self.emit(Part::new(PartKind::Opaque { protocol: Protocol::Chat, kind, raw }), scope);
    }

    /// Ends the open part.
    fn close(&mut self, status: PartStatus, scope: &mut Scope<'_>) {
        let Some(Open { part, signature, .. }) = self.open.take() else { return };
        if let Some(signature) = signature {
            scope.out.push(Event::Signature { part, signature: Box::new(signature) });
        }
        scope.out.push(Event::PartEnd { part, status });
    }

    /// Ends the answer. Without a finish reason it was simply done.
    pub(super) fn end(&mut self, mut scope: Scope<'_>) {
        let scope = &mut scope;
        self.flush_text(scope);
        let (reason, raw) = match self.finish.take() {
            Some((reason, raw)) => (reason, Some(raw)),
            None => (FinishReason::Stop, None),
        };
        let cut = matches!(reason, FinishReason::MaxTokens | FinishReason::ContextWindow | FinishReason::ContentFilter);
        self.late_parts(scope);
        self.close(if cut { PartStatus::Incomplete } else { PartStatus::Complete }, scope);
        self.calls.end_all(self.index, cut, scope.numbers, scope.out);
        scope.out.push(Event::Finish(Box::new(Finish {
            choice: self.index,
            reason: finish::in_the_light_of(reason, self.calls.completed),
            raw,
            message: None,
            prompt_block: None,
            ext: std::mem::take(&mut self.ext),
        })));
    }

    /// What is known to be whole only now.
    fn late_parts(&mut self, scope: &mut Scope<'_>) {
        if matches!(self.open, Some(Open { kind: OpenKind::Text { .. }, .. })) {
            let known: Vec<Text> =
                self.sources.drain(..).filter(|url| !self.cited.iter().any(|have| have.contains(&**url))).collect();
            self.cite(known.into_iter().map(|url| Citation::url(url, None, None)).collect(), scope);
        }
        for (_, signature) in std::mem::take(&mut self.call_signatures) {
            let signature = Signature { kind: SignatureKind::Part, ..signature };
            let part = Part::new(PartKind::Reasoning(Box::default()));
            self.emit(Part { signature: Some(signature), ..part }, scope);
        }
        if self.message_signature.is_some() {
            self.text_part(scope);
            self.sign_text();
        }
        if let Some(spoken) = self.spoken.take() {
            self.emit(spoken.into_part(), scope);
        }
    }
}

impl Spoken {
    fn into_part(self) -> Part {
        let data = match self.one {
            Some(data) => data,
            None => base64::engine::general_purpose::STANDARD.encode(&self.bytes).into(),
        };
        let source = if data.is_empty() {
            let id = self.id.clone().unwrap_or_default();
            MediaSource::FileId { owner: Protocol::Chat, id, mime: None }
        } else {
            MediaSource::Base64 { mime: media::mime_of_base64_audio(&data), data }
        };
        let transcript = Some(self.transcript).filter(|text| !text.is_empty()).map(Text::from);
        let audio = Media { transcript, id: self.id, expires_at: self.expires_at, ..Media::new(source) };
        Part::new(PartKind::Audio(audio))
    }
}

/// Tokens of text, or of a refusal where there is no text. Other shapes are none.
fn read_logprobs(raw: &RawValue) -> Option<Vec<TokenLogprob>> {
    let wire: Logprobs<'_> = serde_json::from_str(raw.get()).ok()?;
    let tokens = wire.content.filter(|tokens| !tokens.is_empty()).or(wire.refusal)?;
    (!tokens.is_empty()).then(|| tokens.into_iter().map(read_token).collect())
}

fn read_token(token: Token<'_>) -> TokenLogprob {
    TokenLogprob {
        token: token.token.map(|text| Text::from(&*text)).unwrap_or_default(),
        // What the official API writes for "nothing known".
        logprob: token.logprob.unwrap_or(-9999.0),
        bytes: token.bytes,
        token_id: None,
        top: token.top_logprobs.unwrap_or_default().into_iter().map(read_token).collect(),
    }
}
