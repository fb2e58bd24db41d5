//! Events to chunks for a client.

use std::collections::{HashMap, HashSet};

use polyport_types::{
    Citation, Event, Extras, Fault, FaultClass, Finish, MAX_CHOICES, Media, Part, PartId, PartKind, PartStart,
    PartStatus, Protocol, RawJson, Reasoning, ReasoningText, Signature, StreamStart, Text, TokenLogprob, ToolCallKind,
    ToolCallStart, Usage,
};

use crate::carrier::Placement;
use crate::chat::members::one_line;
use crate::chat::reasoning::{self, BREAK, Slot};
use crate::chat::request::fenced;
use crate::chat::{annotations, answer, finish, members, usage};
use crate::context::ClientContext;
use crate::json::{JsonWriter, Number as _};
use crate::openai_fault;

/// Events to a client's stream.
#[derive(Debug)]
pub struct Encoder {
    pub(crate) context: ClientContext,
    state: State,
    /// `data: {"id":…,"model":…,"choices":` with everything that all chunks share; empty until `Start`.
    head: Vec<u8>,
    /// Members of the provider's chunks without a slot, for the next chunk.
    more: Option<Extras>,
    choices: Vec<Choice>,
    parts: HashMap<PartId, Open>,
    usage: Option<Box<Usage>>,
    signatures: Vec<(Text, Vec<Signature>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Chunks may follow.
    Live,
    /// The error or `[DONE]` is written: nothing may follow.
    Over,
}

/// One answer; its number is its place in the list.
#[derive(Debug, Default)]
struct Choice {
    role_sent: bool,
    finished: bool,
    /// Calls so far: their indexes count from 0 without gaps.
    calls: u32,
    /// UTF-16 units of the content so far.
    units: u32,
    said: bool,
    refused: bool,
    /// Reasoning parts with visible text so far.
    thoughts: u32,
    /// Entries of `reasoning_details` so far.
    details: u32,
    annotations: Vec<(Citation, u32, u32)>,
    /// Sources and places of annotations: once is enough.
    told: HashSet<(Option<Text>, u32, u32)>,
    /// Signatures since the last call, for the side table.
    pending: Vec<Signature>,
}

/// A part that grows.
#[derive(Debug)]
struct Open {
    /// Position in `choices`.
    choice: usize,
    kind: OpenKind,
}

#[derive(Debug)]
enum OpenKind {
    Text {
        /// Where the part begins in the content.
        base: u32,
        /// The text itself, where positions count bytes of it.
        text: Option<String>,
        citations: Vec<Citation>,
    },
    Refusal,
    Reasoning {
        /// Some of its text was seen.
        said: bool,
        signature: Option<Box<Signature>>,
    },
    Call {
        /// `None` for a second call of a client that knows only one.
        index: Option<u32>,
        kind: ToolCallKind,
        empty: bool,
    },
    /// Nothing a client of this protocol sees.
    Hidden,
}

impl Encoder {
    /// An encoder for a client.
    #[must_use]
    pub fn new(context: ClientContext) -> Self {
        Self {
            context,
            state: State::Live,
            head: Vec::new(),
            more: None,
            choices: Vec::new(),
            parts: HashMap::new(),
            usage: None,
            signatures: Vec::new(),
        }
    }

    /// Appends what `event` means for the client.
    pub fn encode(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.state == State::Over {
            return;
        }
        match event {
            Event::Start(start) => self.start(*start),
            Event::PartStart { part, choice, start } => self.open(part, choice, start, out),
            Event::Delta { part, text } => self.delta(part, &text, out),
            Event::SummaryBreak { part } => self.summary_break(part, out),
            Event::Signature { part, signature } => self.signature(part, signature, out),
            Event::Citation { part, citation } => self.citation(part, *citation),
            Event::Logprobs { choice, tokens, .. } => self.logprobs(choice, &tokens, out),
            Event::PartEnd { part, status } => self.close(part, status, out),
            Event::Part { choice, part } => self.part(choice, *part, out),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Finish(finish) => self.finish(*finish, out),
            Event::Error(fault) => self.fail(&fault, out),
            // Before the first chunk nothing may force the answer to begin.
            Event::Ping if self.choices.is_empty() => {}
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Opaque { protocol: Protocol::Chat, name, raw } if answer::is_chat(&self.context) => {
                self.opaque(&name, &raw, out);
            }
            Event::Opaque { .. } => {}
            Event::End => self.end(out),
        }
    }

    /// Signatures this client cannot carry, by tool call id.
    pub fn take_signatures(&mut self) -> Vec<(Text, Vec<Signature>)> {
        std::mem::take(&mut self.signatures)
    }

    /// A second start (after a fail-over) goes on under the first one's names.
    fn start(&mut self, start: StreamStart) {
        if !self.head.is_empty() {
            return;
        }
        let context = &self.context;
        let mut head = b"data: ".to_vec();
        JsonWriter::new(&mut head).object(|w| {
            w.str("id", &answer::id(context, &start.id));
            w.str("object", "chat.completion.chunk");
            w.num("created", start.created.unwrap_or(context.now));
            w.str("model", &context.model);
            w.opt_str("service_tier", answer::service_tier(context, start.service_tier.as_ref()));
            if answer::is_chat(context) {
                w.opt_str("system_fingerprint", start.fingerprint.as_deref());
            }
        });
        // The object stays open for the choices.
        head.pop();
        head.extend_from_slice(b",\"choices\":");
        self.head = head;
        if answer::is_chat(context) && !start.ext.is_empty() {
            self.more = Some(start.ext);
        }
    }

    /// Writes one chunk. `choices` writes the list, `rest` the members after it.
    fn chunk(
        &mut self,
        out: &mut Vec<u8>,
        choices: impl FnOnce(&mut JsonWriter<'_>),
        rest: impl FnOnce(&mut JsonWriter<'_>),
    ) {
        if self.head.is_empty() {
            self.start(StreamStart::default());
        }
        out.extend_from_slice(&self.head);
        choices(&mut JsonWriter::new(out));
        let mut tail = Vec::new();
        JsonWriter::new(&mut tail).object(|w| {
            rest(w);
            if let Some(more) = self.more.take() {
                more.iter().for_each(|(name, value)| write_raw(w, name, value.as_str()));
            }
        });
        match tail.as_slice() {
            [b'{', b'}'] => out.push(b'}'),
            [_, members @ ..] => {
                out.push(b',');
                out.extend_from_slice(members);
            }
            [] => {}
        }
        out.extend_from_slice(b"\n\n");
    }

    /// A chunk of one answer.
    fn choice_chunk(
        &mut self,
        out: &mut Vec<u8>,
        choice: usize,
        delta: impl FnOnce(&mut JsonWriter<'_>),
        end: impl FnOnce(&mut JsonWriter<'_>),
    ) {
        let usage = self.context.request.stream_options.include_usage;
        let list = |w: &mut JsonWriter<'_>| {
            w.array(|w| {
                w.object(|w| {
                    w.num("index", choice);
                    w.object_field("delta", delta);
                    end(w);
                });
            });
        };
        self.chunk(out, list, |w| {
            if usage {
                w.null("usage");
            }
        });
    }

    /// A chunk that only adds to the message.
    fn delta_chunk(&mut self, out: &mut Vec<u8>, choice: usize, delta: impl FnOnce(&mut JsonWriter<'_>)) {
        self.choice_chunk(out, choice, delta, |w| {
            w.null("logprobs");
            w.null("finish_reason");
        });
    }

    /// The hot path: a chunk with one text.
    fn text_chunk(&mut self, out: &mut Vec<u8>, choice: usize, member: &str, text: &str) {
        if self.more.is_some() || self.head.is_empty() {
            self.delta_chunk(out, choice, |w| w.str(member, text));
            return;
        }
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"[{\"index\":");
        choice.write(out);
        out.extend_from_slice(b",\"delta\":{\"");
        out.extend_from_slice(member.as_bytes());
        out.extend_from_slice(b"\":");
        crate::json::write_str(out, text);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":null}]");
        if self.context.request.stream_options.include_usage {
            out.extend_from_slice(b",\"usage\":null");
        }
        out.extend_from_slice(b"}\n\n");
    }

    /// Position of an answer in `choices`. Clients collect answers in a list, so those before it are begun first.
    fn choice(&mut self, index: u32, out: &mut Vec<u8>) -> usize {
        let at = index.min(MAX_CHOICES) as usize;
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
            // One of them may be known by what nobody sees of it.
            (0..at).for_each(|earlier| self.role(earlier, false, out));
        }
        at
    }

    /// The first chunk of an answer says who speaks.
    fn role(&mut self, at: usize, null: bool, out: &mut Vec<u8>) {
        let Some(choice) = self.choices.get_mut(at).filter(|choice| !choice.role_sent) else { return };
        choice.role_sent = true;
        self.delta_chunk(out, at, |w| {
            w.str("role", "assistant");
            if null {
                w.null("content");
            } else {
                w.str("content", "");
            }
            w.null("refusal");
        });
    }

    fn open(&mut self, part: PartId, choice: u32, start: PartStart, out: &mut Vec<u8>) {
        let at = self.choice(choice, out);
        self.role(at, matches!(start, PartStart::ToolCall(_)), out);
        let Some(choice) = self.choices.get_mut(at) else { return };
        let kind = match start {
            PartStart::Text { .. } => OpenKind::Text {
                base: choice.units,
                text: (self.context.provider == Protocol::Gemini).then(String::new),
                citations: Vec::new(),
            },
            PartStart::Refusal => OpenKind::Refusal,
            PartStart::Reasoning { .. } => OpenKind::Reasoning { said: false, signature: None },
            PartStart::ToolCall(call) => self.open_call(at, *call, out),
            PartStart::ServerToolCall(_) => OpenKind::Hidden,
        };
        self.parts.insert(part, Open { choice: at, kind });
    }

    fn open_call(&mut self, at: usize, call: ToolCallStart, out: &mut Vec<u8>) -> OpenKind {
        let legacy = self.context.request.legacy_functions;
        let kind = call.kind.clone();
        let google = call.signature.as_ref().and_then(|signature| answer::google_value(&self.context, signature));
        self.remember(at, &call.id, call.signature);
        let Some(choice) = self.choices.get_mut(at) else { return OpenKind::Hidden };
        let index = choice.calls;
        choice.calls += 1;
        let name = &call.name;
        if legacy {
            if index > 0 {
                return OpenKind::Call { index: None, kind, empty: true };
            }
            self.delta_chunk(out, at, |w| {
                w.object_field("function_call", |w| {
                    w.str("name", name);
                    w.str("arguments", "");
                });
            });
        } else {
            self.delta_chunk(out, at, |w| {
                w.array_field("tool_calls", |w| {
                    w.object(|w| {
                        w.num("index", index);
                        answer::write_call(w, &call.id, name, &call.kind, "", google.as_deref());
                    });
                });
            });
        }
        OpenKind::Call { index: Some(index), kind, empty: true }
    }

    /// Keeps the signatures that belong to a call, for clients that hand back nothing but its id.
    fn remember(&mut self, at: usize, id: &Text, own: Option<Signature>) {
        let Some(choice) = self.choices.get_mut(at) else { return };
        let mut signatures = std::mem::take(&mut choice.pending);
        signatures.extend(own);
        signatures.retain(|signature| !signature.value.is_empty());
        if !signatures.is_empty() {
            self.signatures.push((id.clone(), signatures));
        }
    }

    fn delta(&mut self, part: PartId, text: &Text, out: &mut Vec<u8>) {
        let Some(Open { choice: at, kind }) = self.parts.get_mut(&part) else { return };
        let at = *at;
        let Some(choice) = self.choices.get_mut(at) else { return };
        match kind {
            OpenKind::Text { text: kept, .. } => {
                choice.units = choice.units.saturating_add(answer::units(text));
                choice.said = true;
                if let Some(kept) = kept {
                    kept.push_str(text);
                }
                self.text_chunk(out, at, "content", text);
            }
            OpenKind::Refusal => {
                choice.said = true;
                choice.refused = true;
                self.text_chunk(out, at, "refusal", text);
            }
            OpenKind::Reasoning { said, .. } => {
                let begins = !std::mem::replace(said, true);
                choice.thoughts += u32::from(begins);
                let between = begins && choice.thoughts > 1;
                self.think(at, if between { BREAK } else { "" }, text, out);
            }
            OpenKind::Call { index: Some(index), kind, empty } => {
                *empty = false;
                let (index, custom) = (*index, *kind == ToolCallKind::Custom);
                self.arguments(at, index, custom, text, out);
            }
            OpenKind::Call { index: None, .. } | OpenKind::Hidden => {}
        }
    }

    fn think(&mut self, at: usize, before: &str, text: &str, out: &mut Vec<u8>) {
        if !answer::shows_reasoning(&self.context) {
            return;
        }
        if before.is_empty() {
            self.text_chunk(out, at, "reasoning_content", text);
        } else {
            self.text_chunk(out, at, "reasoning_content", &format!("{before}{text}"));
        }
    }

    fn arguments(&mut self, at: usize, index: u32, custom: bool, text: &str, out: &mut Vec<u8>) {
        let legacy = self.context.request.legacy_functions;
        self.delta_chunk(out, at, |w| {
            if legacy {
                w.object_field("function_call", |w| w.str("arguments", text));
                return;
            }
            w.array_field("tool_calls", |w| {
                w.object(|w| {
                    w.num("index", index);
                    if custom {
                        w.object_field("custom", |w| w.str("input", text));
                    } else {
                        w.object_field("function", |w| w.str("arguments", text));
                    }
                });
            });
        });
    }

    fn summary_break(&mut self, part: PartId, out: &mut Vec<u8>) {
        let Some(Open { choice, kind: OpenKind::Reasoning { said: true, .. } }) = self.parts.get_mut(&part) else {
            return;
        };
        let at = *choice;
        self.think(at, "", BREAK, out);
    }

    fn signature(&mut self, part: PartId, signature: Box<Signature>, out: &mut Vec<u8>) {
        let Some(Open { choice, kind }) = self.parts.get_mut(&part) else { return };
        let at = *choice;
        if let Some(choice) = self.choices.get_mut(at) {
            choice.pending.push(Signature::clone(&signature));
        }
        match kind {
            OpenKind::Reasoning { signature: slot, .. } => *slot = Some(signature),
            OpenKind::Text { .. } => {
                if let Some(value) = answer::google_value(&self.context, &signature) {
                    self.delta_chunk(out, at, |w| answer::write_google(w, &value));
                }
            }
            OpenKind::Refusal | OpenKind::Call { .. } | OpenKind::Hidden => {}
        }
    }

    fn citation(&mut self, part: PartId, citation: Citation) {
        if let Some(Open { kind: OpenKind::Text { citations, .. }, .. }) = self.parts.get_mut(&part) {
            citations.push(citation);
        }
    }

    fn logprobs(&mut self, choice: u32, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        if tokens.is_empty() {
            return;
        }
        let at = self.choice(choice, out);
        self.role(at, false, out);
        let refused = self.choices.get(at).is_some_and(|choice| choice.refused && choice.units == 0);
        let context = self.context.clone();
        self.choice_chunk(
            out,
            at,
            |_| {},
            |w| {
                w.key("logprobs");
                answer::write_logprobs(&context, w, tokens, refused);
                w.null("finish_reason");
            },
        );
    }

    fn close(&mut self, part: PartId, status: PartStatus, out: &mut Vec<u8>) {
        let Some(Open { choice: at, kind }) = self.parts.remove(&part) else { return };
        match kind {
            OpenKind::Text { base, text, citations } => self.place(at, base, text.as_deref(), citations),
            OpenKind::Reasoning { signature, .. } => self.details(at, signature.as_deref(), out),
            OpenKind::Call {
                index: Some(index),
                kind: ToolCallKind::Function | ToolCallKind::Builtin(_),
                empty: true,
            } if status == PartStatus::Complete => {
                self.arguments(at, index, false, "{}", out);
            }
            OpenKind::Call { .. } | OpenKind::Refusal | OpenKind::Hidden => {}
        }
    }

    /// Puts the citations of a part where they stand in the whole content.
    fn place(&mut self, at: usize, base: u32, text: Option<&str>, citations: Vec<Citation>) {
        let verbatim = answer::is_chat(&self.context);
        let Some(choice) = self.choices.get_mut(at) else { return };
        let len = choice.units.saturating_sub(base);
        for citation in citations.into_iter().filter(|citation| annotations::is_expressible(citation, verbatim)) {
            let (start, end) = answer::position(&citation, base, len, text, verbatim);
            if choice.told.insert((citation.url.clone(), start, end)) || verbatim {
                choice.annotations.push((citation, start, end));
            }
        }
    }

    /// The entry of `reasoning_details` for a part; its text has gone out already.
    fn details(&mut self, at: usize, signature: Option<&Signature>, out: &mut Vec<u8>) {
        let Some(signature) = signature.filter(|signature| !signature.value.is_empty()) else { return };
        let Some(value) = self.context.carried(signature, Placement::Own) else { return };
        let Some(mut index) = self.choices.get(at).map(|choice| choice.details) else { return };
        self.delta_chunk(out, at, |w| {
            w.array_field("reasoning_details", |w| {
                let slot = Slot { signature, value: &value };
                reasoning::write_entries(w, &ReasoningText::None, Some(&slot), &mut index);
            });
        });
        if let Some(choice) = self.choices.get_mut(at) {
            choice.details = index;
        }
    }

    /// A part in one piece.
    fn part(&mut self, choice: u32, part: Part, out: &mut Vec<u8>) {
        let at = self.choice(choice, out);
        match part.kind {
            PartKind::Reasoning(reasoning) => {
                self.role(at, false, out);
                self.whole_reasoning(at, &reasoning, part.signature.as_ref(), out);
            }
            PartKind::Image(image) => {
                self.role(at, false, out);
                self.delta_chunk(out, at, |w| w.array_field("images", |w| answer::write_image(w, &image)));
            }
            PartKind::Audio(audio) => {
                self.role(at, false, out);
                self.audio(at, &audio, out);
            }
            PartKind::ExecutableCode { language, code, .. } => {
                self.say(at, &fenced(&language.to_lowercase(), &code), out);
            }
            PartKind::CodeResult { output, .. } => self.say(at, &fenced("", &output), out),
            PartKind::Text(text) => self.say(at, &text.text, out),
            PartKind::Opaque { protocol: Protocol::Chat, kind, raw }
                if kind == "message" && answer::is_chat(&self.context) =>
            {
                self.role(at, false, out);
                let raw = RawJson::from_valid(one_line(raw.as_str()).into_owned().into());
                self.delta_chunk(out, at, |w| members::write(w, &raw));
            }
            // Calls of the provider's own tools, and what only its protocol knows.
            _ => {}
        }
    }

    fn say(&mut self, at: usize, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.role(at, false, out);
        if let Some(choice) = self.choices.get_mut(at) {
            choice.units = choice.units.saturating_add(answer::units(text));
            choice.said = true;
        }
        self.text_chunk(out, at, "content", text);
    }

    fn whole_reasoning(&mut self, at: usize, reasoning: &Reasoning, signature: Option<&Signature>, out: &mut Vec<u8>) {
        let text = reasoning.text.joined();
        if let Some(choice) = self.choices.get_mut(at) {
            choice.pending.extend(signature.cloned());
            let before = if choice.thoughts > 0 { BREAK } else { "" };
            if !text.is_empty() {
                choice.thoughts += 1;
                self.think(at, before, &text, out);
            }
        }
        self.details(at, signature, out);
    }

    fn audio(&mut self, at: usize, audio: &Media, out: &mut Vec<u8>) {
        let context = self.context.clone();
        self.delta_chunk(out, at, |w| w.object_field("audio", |w| answer::write_audio(w, &[audio], &context)));
    }

    fn finish(&mut self, finish: Finish, out: &mut Vec<u8>) {
        let at = self.choice(finish.choice, out);
        let Some(choice) = self.choices.get(at).filter(|choice| !choice.finished) else { return };
        let held = finish::Held { calls: choice.calls > 0, words: choice.said, refusal: choice.refused };
        let Some(word) = finish::word(&finish.reason, held) else {
            self.fail(&finish::fault(&finish.reason, finish.raw.as_deref()), out);
            return;
        };
        self.role(at, false, out);
        let words = answer::refusal_words(&finish.reason, finish.message.as_ref(), finish.prompt_block.as_ref());
        if let Some(words) = words.filter(|words| !held.refusal && !words.is_empty()) {
            self.text_chunk(out, at, "refusal", &words);
        }
        let legacy = self.context.request.legacy_functions && word == "tool_calls";
        let verbatim = answer::is_chat(&self.context);
        let annotations =
            self.choices.get_mut(at).map(|choice| std::mem::take(&mut choice.annotations)).unwrap_or_default();
        let ext = if verbatim { finish.ext } else { Extras::new() };
        let delta = |w: &mut JsonWriter<'_>| {
            if !annotations.is_empty() {
                w.array_field("annotations", |w| {
                    for (mut citation, start, end) in annotations {
                        citation.raw =
                            citation.raw.map(|raw| RawJson::from_valid(one_line(raw.as_str()).into_owned().into()));
                        annotations::write(w, &citation, start, end, verbatim);
                    }
                });
            }
        };
        self.choice_chunk(out, at, delta, |w| {
            w.null("logprobs");
            w.str("finish_reason", if legacy { "function_call" } else { word });
            ext.iter().for_each(|(name, value)| write_raw(w, name, value.as_str()));
        });
        if let Some(choice) = self.choices.get_mut(at) {
            choice.finished = true;
        }
    }

    /// A chunk of the provider that says something without a slot, or members that stood beside an answer.
    fn opaque(&mut self, name: &str, raw: &RawJson, out: &mut Vec<u8>) {
        if name == "members" {
            let more = self.more.get_or_insert_default();
            members::each(raw, |name, value| more.push(name, value));
            return;
        }
        let raw = RawJson::from_valid(one_line(raw.as_str()).into_owned().into());
        self.chunk(out, |w| w.array(|_| {}), |w| members::write(w, &raw));
    }

    /// The error is the last word: no finish, no `[DONE]`.
    fn fail(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        self.state = State::Over;
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&openai_fault::body(fault));
        out.extend_from_slice(b"\n\n");
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.choices.is_empty() || self.choices.iter().any(|choice| !choice.finished) {
            let why = "the provider's answer stopped before it was finished";
            self.fail(&Fault::new(FaultClass::UpstreamProtocol, why), out);
            return;
        }
        let usage = self.usage.take().filter(|usage| !usage.is_absent());
        if let Some(usage) = usage.filter(|_| self.context.request.stream_options.include_usage) {
            let own = answer::is_chat(&self.context);
            self.chunk(
                out,
                |w| w.array(|_| {}),
                |w| {
                    w.key("usage");
                    usage::write(w, &usage, own);
                },
            );
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.state = State::Over;
    }
}

/// A member whose verbatim value may have line ends, which would end the event.
fn write_raw(w: &mut JsonWriter<'_>, name: &str, value: &str) {
    w.key(name);
    w.raw_value(&one_line(value));
}
