//! Whole answers of the Chat protocol.

use foldhash::HashSet;
use polyport_types::{
    Candidate, Citation, Event, Fault, FaultClass, FinishReason, Media, Part, PartKind, PartStatus, Protocol, RawJson,
    ReasoningText, Response, Signature, Text, ToolCall, ToolCallKind,
};

use super::reasoning::{self, BREAK, Slot};
use super::request::fenced;
use super::stream::Decoder;
use super::types::Chunk;
use super::{annotations, answer, finish, members, usage};
use crate::carrier::Placement;
use crate::collect::Collector;
use crate::json::{self, JsonWriter};
use crate::{ClientContext, Target, openai_fault};

/// Reads a provider's whole answer: a chunk that holds everything.
///
/// # Errors
/// A [`Fault`] if it is an error in disguise or makes no sense.
pub fn decode_response(target: &Target, body: &Text) -> Result<Response, Fault> {
    let mut chunk: Chunk<'_> = json::from_json(body).map_err(|error| Fault {
        from_upstream: true,
        ..Fault::new(FaultClass::UpstreamProtocol, format!("the provider's answer cannot be read: {error}"))
    })?;
    // Nothing is missing from a whole answer: its order counts, not its numbers.
    if let Some(choices) = &mut chunk.choices {
        choices.sort_by_key(|choice| choice.index.map(|index| index.0));
        choices.iter_mut().for_each(|choice| choice.index = None);
    }
    let mut decoder = Decoder::new(target);
    let mut events = Vec::new();
    decoder.chunk(chunk, body, &mut events);
    if !matches!(events.last(), Some(Event::Error(_))) {
        decoder.finish(false, &mut events);
    }
    let mut collector = Collector::new();
    events.into_iter().for_each(|event| collector.push(event));
    collector.into_response()
}

/// Writes a whole answer for a client. An answer that failed is written as its error.
#[must_use]
pub fn encode_response(context: &ClientContext, response: &Response) -> Vec<u8> {
    if let Some(fault) = &response.error {
        return openai_fault::body(fault);
    }
    let blocked = Candidate { finish: FinishReason::ContentFilter, ..Candidate::default() };
    let candidates = match response.candidates.as_slice() {
        [] => std::slice::from_ref(&blocked),
        candidates => candidates,
    };
    // One answer that only an error can say: nothing else is left to write.
    if let [only] = candidates {
        let message = Message::of(context, response, only);
        if finish::word(&only.finish, message.held()).is_none() {
            return openai_fault::body(&finish::fault(&only.finish, only.raw_finish.as_deref()));
        }
    }
    let mut out = Vec::with_capacity(1024);
    JsonWriter::new(&mut out).object(|w| {
        w.str("id", &answer::id(context, &response.id));
        w.str("object", "chat.completion");
        w.num("created", response.created.unwrap_or(context.now));
        w.str("model", &context.model);
        w.array_field("choices", |w| {
            for candidate in candidates {
                Message::of(context, response, candidate).write(w);
            }
        });
        if !response.usage.is_absent() {
            w.key("usage");
            usage::write(w, &response.usage, answer::is_chat(context));
        }
        w.opt_str("service_tier", answer::service_tier(context, response.service_tier.as_ref()));
        if answer::is_chat(context) {
            w.opt_str("system_fingerprint", response.fingerprint.as_deref());
            w.extras(&response.ext);
        }
    });
    out
}

/// One answer, sorted into the members of a message.
struct Message<'r> {
    context: &'r ClientContext,
    response: &'r Response,
    candidate: &'r Candidate,
    content: String,
    /// How much of it was counted, and how many units that is.
    counted: (usize, u32),
    refusal: Option<Text>,
    reasoning: Vec<&'r Part>,
    calls: Vec<(&'r ToolCall, Option<Text>)>,
    annotations: Vec<(&'r Citation, u32, u32)>,
    /// Sources and places that were told: once is enough.
    told: HashSet<(&'r Option<Text>, u32, u32)>,
    audio: Vec<&'r Media>,
    images: Vec<&'r Media>,
    signature: Option<&'r Signature>,
    /// Members of a provider's message without a slot.
    rest: Vec<&'r RawJson>,
}

impl<'r> Message<'r> {
    fn of(context: &'r ClientContext, response: &'r Response, candidate: &'r Candidate) -> Self {
        let mut message = Self {
            context,
            response,
            candidate,
            content: String::new(),
            counted: (0, 0),
            refusal: None,
            reasoning: Vec::new(),
            calls: Vec::new(),
            annotations: Vec::new(),
            told: HashSet::default(),
            audio: Vec::new(),
            images: Vec::new(),
            signature: None,
            rest: Vec::new(),
        };
        for part in &candidate.parts {
            message.take(part);
        }
        let block = response.prompt_block.as_ref();
        let words = answer::refusal_words(&candidate.finish, candidate.finish_message.as_ref(), block);
        message.refusal = message.refusal.or(words);
        message
    }

    /// Length of the content in units of positions.
    fn units(&mut self) -> u32 {
        let (counted, units) = self.counted;
        let new = self.content.get(counted..).unwrap_or_default();
        let units = units.saturating_add(answer::units(new));
        self.counted = (self.content.len(), units);
        units
    }

    fn take(&mut self, part: &'r Part) {
        match &part.kind {
            PartKind::Text(text) => {
                let verbatim = answer::is_chat(self.context);
                let base = self.units();
                let len = answer::units(&text.text);
                for citation in text.citations.iter().filter(|c| annotations::is_expressible(c, verbatim)) {
                    let (start, end) = answer::position(citation, base, len, Some(&text.text), verbatim);
                    if self.told.insert((&citation.url, start, end)) || verbatim {
                        self.annotations.push((citation, start, end));
                    }
                }
                self.content.push_str(&text.text);
                self.signature = part.signature.as_ref().or(self.signature);
            }
            PartKind::Refusal(text) => {
                self.refusal = Some(match self.refusal.take() {
                    Some(have) => Text::from(format!("{have}{text}")),
                    None => text.clone(),
                });
            }
            PartKind::Reasoning(_) => self.reasoning.push(part),
            PartKind::ToolCall(call) => self.call(call, part.signature.as_ref()),
            PartKind::Image(image) => self.images.push(image),
            PartKind::Audio(audio) => self.audio.push(audio),
            PartKind::ExecutableCode { language, code, .. } => {
                self.content.push_str(&fenced(&language.to_lowercase(), code));
            }
            PartKind::CodeResult { output, .. } => self.content.push_str(&fenced("", output)),
            PartKind::Opaque { protocol: Protocol::Chat, kind, raw } if **kind == *"message" => self.rest.push(raw),
            PartKind::Document(_)
            | PartKind::Video(_)
            | PartKind::SearchResult(_)
            | PartKind::ToolResult(_)
            | PartKind::ServerToolCall(_)
            | PartKind::ServerToolResult(_)
            | PartKind::Compaction { .. }
            | PartKind::ContainerUpload { .. }
            | PartKind::ItemReference { .. }
            | PartKind::ToolReference { .. }
            | PartKind::Opaque { .. } => {}
        }
    }

    /// A call that the token limit cut off cannot be made; others go on as the model wrote them.
    fn call(&mut self, call: &'r ToolCall, signature: Option<&Signature>) {
        let cut = matches!(self.candidate.finish, FinishReason::MaxTokens | FinishReason::ContextWindow);
        let broken = || serde_json::from_str::<serde::de::IgnoredAny>(&call.arguments).is_err();
        if cut && call.status != PartStatus::Complete && (call.kind == ToolCallKind::Custom || broken()) {
            return;
        }
        let google = signature.and_then(|signature| answer::google_value(self.context, signature));
        self.calls.push((call, google));
    }

    fn held(&self) -> finish::Held {
        finish::Held {
            calls: !self.calls.is_empty(),
            words: !self.content.is_empty() || self.refusal.is_some(),
            refusal: self.candidate.parts.iter().any(|part| matches!(part.kind, PartKind::Refusal(_))),
        }
    }

    fn write(&self, w: &mut JsonWriter<'_>) {
        let candidate = self.candidate;
        let legacy = self.context.request.legacy_functions;
        let word = finish::word(&candidate.finish, self.held()).unwrap_or("stop");
        w.object(|w| {
            w.num("index", candidate.index);
            w.object_field("message", |w| self.write_message(w, legacy));
            self.write_logprobs(w);
            w.str("finish_reason", if word == "tool_calls" && legacy { "function_call" } else { word });
            if answer::is_chat(self.context) {
                w.extras(&candidate.ext);
            }
        });
    }

    fn write_message(&self, w: &mut JsonWriter<'_>, legacy: bool) {
        w.str("role", "assistant");
        let blocked = self.response.prompt_block.is_some();
        let elsewhere = !self.calls.is_empty() || !self.audio.is_empty() || (self.refusal.is_some() && !blocked);
        if self.content.is_empty() && elsewhere {
            w.null("content");
        } else {
            w.str("content", &self.content);
        }
        match &self.refusal {
            Some(refusal) => w.str("refusal", refusal),
            None => w.null("refusal"),
        }
        self.write_reasoning(w);
        match self.calls.as_slice() {
            [] => {}
            [(call, _), ..] if legacy => w.object_field("function_call", |w| {
                w.str("name", &call.name);
                w.str("arguments", arguments(call));
            }),
            calls => w.array_field("tool_calls", |w| {
                for (call, google) in calls {
                    w.object(|w| {
                        answer::write_call(w, &call.id, &call.name, &call.kind, arguments(call), google.as_deref());
                    });
                }
            }),
        }
        if !self.annotations.is_empty() {
            let verbatim = answer::is_chat(self.context);
            w.array_field("annotations", |w| {
                for (citation, start, end) in &self.annotations {
                    annotations::write(w, citation, *start, *end, verbatim);
                }
            });
        }
        if !self.audio.is_empty() {
            w.object_field("audio", |w| answer::write_audio(w, &self.audio, self.context));
        }
        if !self.images.is_empty() {
            w.array_field("images", |w| self.images.iter().for_each(|image| answer::write_image(w, image)));
        }
        if let Some(value) = self.signature.and_then(|signature| answer::google_value(self.context, signature)) {
            answer::write_google(w, &value);
        }
        for raw in self.rest.iter().filter(|_| answer::is_chat(self.context)) {
            members::write(w, raw);
        }
    }

    fn write_reasoning(&self, w: &mut JsonWriter<'_>) {
        let shown = answer::shows_reasoning(self.context);
        let texts: Vec<Text> = self.reasoning.iter().filter_map(|part| reasoning::visible(part)).collect();
        if shown && !texts.is_empty() {
            w.str("reasoning_content", &texts.join(BREAK));
        }
        let values: Vec<Option<Text>> = self
            .reasoning
            .iter()
            .map(|part| {
                let signature = part.signature.as_ref().filter(|signature| !signature.value.is_empty())?;
                self.context.carried(signature, Placement::Own)
            })
            .collect();
        let summary =
            |part: &&Part| matches!(&part.kind, PartKind::Reasoning(r) if matches!(r.text, ReasoningText::Summary(_)));
        let summaries = shown && answer::is_chat(self.context) && self.reasoning.iter().any(summary);
        if values.iter().all(Option::is_none) && !summaries {
            return;
        }
        w.array_field("reasoning_details", |w| {
            let mut index = 0;
            for (part, value) in self.reasoning.iter().zip(&values) {
                let PartKind::Reasoning(reasoning) = &part.kind else { continue };
                let slot = part.signature.as_ref().zip(value.as_deref());
                let slot = slot.map(|(signature, value)| Slot { signature, value });
                let text = if shown { &reasoning.text } else { &ReasoningText::None };
                reasoning::write_entries(w, text, slot.as_ref(), &mut index);
            }
        });
    }

    fn write_logprobs(&self, w: &mut JsonWriter<'_>) {
        w.key("logprobs");
        let of_parts = self.candidate.parts.iter().filter_map(|part| match &part.kind {
            PartKind::Text(text) => Some(&text.logprobs),
            _ => None,
        });
        let tokens: Vec<_> = match self.candidate.logprobs.as_slice() {
            [] => of_parts.flatten().cloned().collect(),
            tokens => tokens.to_vec(),
        };
        if tokens.is_empty() {
            w.null_value();
        } else {
            answer::write_logprobs(self.context, w, &tokens, self.content.is_empty() && self.refusal.is_some());
        }
    }
}

/// The arguments of a call; none at all is the empty object.
fn arguments(call: &ToolCall) -> &str {
    match (&call.kind, call.arguments.trim()) {
        (ToolCallKind::Custom, _) => &call.arguments,
        (_, "" | "null") => "{}",
        _ => &call.arguments,
    }
}
