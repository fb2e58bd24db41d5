//! Frames and chunks of any dialect to events.

use std::collections::HashSet;
use std::sync::Arc;

use polyport_types::{Event, Extras, Family, Fault, FaultClass, MAX_CHOICES, PartId, Protocol, StreamStart, Text};
use serde_json::value::RawValue;

use super::choice::{Choice, Scope};
use super::slots::Numbering;
use crate::chat::types::{self, Chunk, Word, XGroq, filled};
use crate::chat::{members, usage};
use crate::classify::classify_body;
use crate::context::Target;
use crate::json;
use crate::profile::Profile;
use crate::sse::Frame;
use crate::stream::Step;

/// Events with two objects in them, of which the first is cut, are mended so often.
const MAX_BROKEN: u32 = 3;
/// Most members without a slot that one answer may have beside its choices.
const MAX_MEMBERS: usize = 128;

/// Provider stream to events.
#[derive(Debug)]
pub struct Decoder {
    rules: Rules,
    /// Facts for `Start`, until it is sent.
    start: Option<Box<StreamStart>>,
    choices: Vec<Choice>,
    numbers: Numbers,
    /// The usage object seen last: servers repeat it on every chunk.
    last_usage: Option<Text>,
    /// Names of the members without a slot that the client has got.
    told: Vec<Text>,
    broken: u32,
    /// The answer came as one object, not in chunks.
    whole: bool,
}

/// What the target says about its answers.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) profile: Arc<Profile>,
    /// Whose signatures those without a format are.
    pub(super) family: Family,
    pub(super) offered: Option<Arc<[Text]>>,
}

/// Counts parts and keeps call ids apart.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    next: u32,
    /// Id of the answer, from which ids of calls are derived that the server does not name.
    seed: Text,
    taken: HashSet<Text>,
    /// Bytes of arguments so far.
    pub(super) held: usize,
}

impl Numbering for Numbers {
    fn part(&mut self) -> PartId {
        self.next += 1;
        PartId(self.next - 1)
    }

    fn call_id(&mut self, wanted: &Text, choice: u32, ordinal: usize) -> Text {
        let wanted = if wanted.is_empty() { made_up_id(&self.seed, choice, ordinal) } else { wanted.clone() };
        let mut id = wanted.clone();
        let mut copy = 2;
        while !self.taken.insert(id.clone()) {
            id = Text::from(format!("{wanted}_{copy}"));
            copy += 1;
        }
        id
    }
}

/// The same answer gives the same ids, however often it is read.
fn made_up_id(seed: &str, choice: u32, ordinal: usize) -> Text {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let hash = blake3::hash(format!("{seed}/{choice}/{ordinal}").as_bytes());
    let digits = hash.as_bytes().iter().take(24).filter_map(|byte| DIGITS.get(usize::from(*byte) % DIGITS.len()));
    Text::from(format!("call_{}", digits.map(|digit| char::from(*digit)).collect::<String>()))
}

impl Decoder {
    /// A decoder for the stream of `target`.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        Self {
            rules: Rules {
                profile: Arc::clone(&target.profile),
                family: target.capabilities.family,
                offered: target.offered.clone(),
            },
            start: Some(Box::default()),
            choices: Vec::new(),
            numbers: Numbers::default(),
            last_usage: None,
            told: Vec::new(),
            broken: 0,
            whole: false,
        }
    }

    /// Takes one frame.
    pub fn event(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Step {
        let Frame::Event { name, data } = frame else { return Step::Ok };
        match data.trim() {
            "" | "null" => return Step::Ok,
            "[DONE]" => return self.done(out),
            _ => {}
        }
        if name.as_deref() == Some("error") {
            return fail(classify_body(None, data), out);
        }
        match serde_json::from_str::<Chunk<'_>>(data) {
            Ok(chunk) => self.chunk(chunk, data, out),
            Err(_) => self.run_together(data, out),
        }
    }

    /// Some servers cut an object off and run the next event into it: the last one is saved.
    fn run_together(&mut self, data: &Text, out: &mut Vec<Event>) -> Step {
        let tail = ["data: {", "data:{"].into_iter().filter_map(|head| data.rfind(head)).max();
        let tail = tail.and_then(|at| data.get(at..)).map(|tail| tail.trim_start_matches("data:").trim());
        let Some(tail) = tail.map(|tail| data.slice_ref(tail)) else { return Step::Unreadable };
        let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(&tail) else { return Step::Unreadable };
        self.broken += 1;
        if self.broken > MAX_BROKEN {
            return fail(unreadable("too many of its events are cut off"), out);
        }
        self.chunk(chunk, &tail, out)
    }

    /// Takes one chunk, or a whole answer.
    pub(in crate::chat) fn chunk(&mut self, mut chunk: Chunk<'_>, body: &Text, out: &mut Vec<Event>) -> Step {
        let groq = groq_of(&chunk);
        let raw_usage = chunk.usage.or(groq.usage);
        if let Some(fault) = fault_of(&chunk, groq.error, body) {
            self.usage(raw_usage, body, out);
            return fail(fault, out);
        }
        let choices = chunk.choices.take().unwrap_or_default();
        let silent = choices.is_empty();
        self.begin(&mut chunk, silent, body, out);
        let citations = sources(chunk.citations, body);
        if self.start.is_none() {
            self.rest(&chunk, silent && raw_usage.is_none(), body, out);
        }
        for (position, choice) in choices.into_iter().enumerate() {
            self.usage(choice.usage, body, out);
            if let Err(fault) = self.choice(position, choice, &citations, body, out) {
                self.usage(raw_usage, body, out);
                return fail(*fault, out);
            }
        }
        self.usage(raw_usage, body, out);
        Step::Ok
    }

    /// Sends `Start` with the first chunk that belongs to the answer. Azure sends one before it, without id and model.
    fn begin(&mut self, chunk: &mut Chunk<'_>, silent: bool, body: &Text, out: &mut Vec<Event>) {
        let Some(mut start) = self.start.take() else { return };
        let text = |word: &Option<Word<'_>>| filled(word).map(|text| text.to_text(body));
        if start.id.is_empty() {
            start.id = text(&chunk.id).unwrap_or_default();
        }
        if start.model.is_empty() {
            start.model = text(&chunk.model).unwrap_or_default();
        }
        start.created = start.created.or(chunk.created.and_then(seconds));
        start.service_tier = start.service_tier.take().or_else(|| text(&chunk.service_tier));
        start.fingerprint = start.fingerprint.take().or_else(|| text(&chunk.system_fingerprint));
        for (name, value) in rest_of(chunk, |_| true, body).iter() {
            start.ext.push(name.clone(), value.clone());
            self.told.push(name.clone());
        }
        if start.fingerprint.is_some() {
            self.told.push(Text::from_static("system_fingerprint"));
        }
        chunk.extra.clear();
        if silent && start.id.is_empty() {
            self.start = Some(start);
            return;
        }
        self.numbers.seed = start.id.clone();
        out.push(Event::Start(start));
    }

    /// Members without a slot that no chunk before had. `alone`: the chunk says nothing else (`moderation`).
    fn rest(&mut self, chunk: &Chunk<'_>, alone: bool, body: &Text, out: &mut Vec<Event>) {
        let told = &self.told;
        let mut rest = rest_of(chunk, |name| told.iter().all(|known| known != name), body);
        if let Some(word) = filled(&chunk.system_fingerprint)
            && told.iter().all(|known| known != "system_fingerprint")
        {
            rest.push("system_fingerprint", polyport_types::RawJson::of(&word.to_string().into()));
        }
        if rest.is_empty() || told.len() > MAX_MEMBERS {
            return;
        }
        self.told.extend(rest.iter().map(|(name, _)| name.clone()));
        let name = Text::from_static(if alone { "chunk" } else { "members" });
        out.push(Event::Opaque { protocol: Protocol::Chat, name, raw: members::object(&rest) });
    }

    fn usage(&mut self, raw: Option<&RawValue>, body: &Text, out: &mut Vec<Event>) {
        let Some(raw) = raw else { return };
        if self.last_usage.as_deref() == Some(raw.get()) {
            return;
        }
        if let Some(usage) = usage::read(raw, self.rules.profile.usage_rule, body) {
            if let Some(start) = self.start.take() {
                out.push(Event::Start(start));
            }
            self.last_usage = Some(Text::from(raw.get()));
            out.push(Event::Usage(Box::new(usage)));
        }
    }

    fn choice(
        &mut self,
        position: usize,
        wire: types::Choice<'_>,
        citations: &[Text],
        body: &Text,
        out: &mut Vec<Event>,
    ) -> Result<(), Box<Fault>> {
        if let Some(error) = wire.error.filter(|error| is_error(error)) {
            return Err(Box::new(classify_body(None, error.get())));
        }
        let index = wire.index.map_or(position, |index| usize::try_from(index.0).unwrap_or(position));
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let whole = wire.message.is_some();
        self.whole |= whole;
        let at = match self.choices.iter().position(|choice| choice.index == index) {
            Some(at) => at,
            None if index >= MAX_CHOICES => return Err(Box::new(unreadable("it holds too many answers"))),
            None => {
                // Nearly all streams have one; room for four would be most of what an idle stream holds.
                self.choices.reserve_exact(1);
                self.choices.push(Choice::new(index, &self.rules));
                self.choices.len() - 1
            }
        };
        let mut scope = Scope { rules: &self.rules, numbers: &mut self.numbers, body, whole, out };
        match self.choices.get_mut(at) {
            Some(choice) => choice.take(wire, citations, &mut scope),
            None => Ok(()),
        }
    }

    /// `[DONE]`.
    fn done(&mut self, out: &mut Vec<Event>) -> Step {
        if self.choices.iter().any(Choice::is_something) {
            self.end_all(out);
            return Step::Done;
        }
        fail(unreadable("it ended without an answer"), out)
    }

    /// Takes the end of the body; `broken` says that it was cut. The caller appends `End`.
    pub fn finish(&mut self, broken: bool, out: &mut Vec<Event>) {
        let some = self.choices.iter().any(Choice::is_something);
        let all = !self.choices.is_empty() && self.choices.iter().all(Choice::is_finished);
        let may_omit = !broken && some && (self.whole || self.rules.profile.may_omit_finish);
        if all || may_omit {
            self.end_all(out);
        } else if some {
            fail(unreadable("it ended in the middle of the answer"), out);
        } else {
            fail(unreadable("it ended without an answer"), out);
        }
    }

    fn end_all(&mut self, out: &mut Vec<Event>) {
        if self.choices.iter().any(|choice| choice.index as usize >= self.choices.len()) {
            fail(unreadable("one of its answers is missing"), out);
            return;
        }
        let body = Text::new();
        for choice in &mut self.choices {
            let scope = Scope {
                rules: &self.rules,
                numbers: &mut self.numbers,
                body: &body,
                whole: self.whole,
                out: &mut *out,
            };
            choice.end(scope);
        }
    }
}

fn fail(fault: Fault, out: &mut Vec<Event>) -> Step {
    out.push(Event::Error(Box::new(fault)));
    Step::Done
}

/// A stream that is no stream of this protocol.
pub(super) fn unreadable(why: &str) -> Fault {
    Fault {
        from_upstream: true,
        ..Fault::new(FaultClass::UpstreamProtocol, format!("the provider's answer cannot be used: {why}"))
    }
}

/// An error in the place of an answer, or beside it.
fn fault_of(chunk: &Chunk<'_>, nested: Option<&RawValue>, body: &Text) -> Option<Fault> {
    if chunk.error.is_some_and(is_error) {
        return Some(classify_body(None, body));
    }
    if let Some(error) = nested.filter(|error| is_error(error)) {
        return Some(classify_body(None, error.get()));
    }
    let names = |name: &str| chunk.extra.iter().any(|(have, value)| &**have == name && value.get() != "null");
    let object = chunk.object.as_deref();
    let flat = chunk.choices.is_none() && chunk.usage.is_none() && (names("message") || names("detail"));
    (object == Some("error") || flat).then(|| classify_body(None, body))
}

/// Whether an `error` member says something.
fn is_error(raw: &RawValue) -> bool {
    !matches!(raw.get(), "null" | "false" | "\"\"" | "{}" | "[]" | "0")
}

fn seconds(raw: &RawValue) -> Option<i64> {
    let seconds: f64 = serde_json::from_str(raw.get()).ok()?;
    #[allow(clippy::cast_possible_truncation, reason = "a time in seconds; the cast saturates")]
    (seconds > 0.0).then_some(seconds as i64)
}

/// Addresses that belong to the whole answer (`citations` of Perplexity and xAI).
fn sources(raw: Option<&RawValue>, body: &Text) -> Vec<Text> {
    let list: Vec<Word<'_>> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    list.iter().filter(|url| url.starts_with("http")).map(|url| url.0.to_text(body)).collect()
}

/// Members of a chunk without a slot.
fn rest_of(chunk: &Chunk<'_>, wanted: impl Fn(&str) -> bool, body: &Text) -> Extras {
    let said = |value: &RawValue| !matches!(value.get(), "null" | "[]" | "{}");
    let kept = chunk.extra.iter().filter(|(name, value)| said(value) && wanted(name));
    let mut rest = json::extras(kept.cloned().collect(), body);
    if let Some(citations) = chunk.citations.filter(|_| wanted("citations")) {
        rest.push("citations", json::raw(citations, body));
    }
    if let Some(groq) = chunk.x_groq.filter(|_| wanted("x_groq")) {
        rest.push("x_groq", json::raw(groq, body));
    }
    rest
}

/// `x_groq`, where Groq puts usage and errors of streams.
fn groq_of<'a>(chunk: &Chunk<'a>) -> XGroq<'a> {
    chunk.x_groq.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}
