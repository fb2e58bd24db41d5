//! Events to a whole answer and back.
//!
//! A client that does not stream gets the events of a stream collected into a [`Response`]; a client that streams gets the whole
//! answer of a provider that cannot stream as events. Both ways go through the same neutral form, so they agree.

use std::collections::BTreeMap;

use polyport_types::{
    Candidate, Event, Fault, Finish, FinishReason, Part, PartId, PartKind, PartStart, PartStatus, Reasoning,
    ReasoningText, Response, ResponseStatus, ServerToolCall, ServerToolCallStart, StreamStart, Text, TextPart,
    ToolCall, ToolCallStart,
};

/// Longest piece a whole text is cut into for a streaming client, in bytes: some clients limit one event.
const PIECE: usize = 4096;

/// Gathers the events of one stream.
#[derive(Debug, Default)]
pub struct Collector {
    response: Response,
    candidates: BTreeMap<u32, Candidate>,
    /// Where each part stands: candidate and position, and its growing text.
    open: BTreeMap<PartId, Open>,
    error: Option<Fault>,
    size: usize,
}

#[derive(Debug)]
struct Open {
    choice: u32,
    position: usize,
    text: String,
    /// Finished summary paragraphs of a reasoning part.
    paragraphs: Vec<Text>,
    summary: bool,
}

impl Collector {
    /// A collector that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event.
    pub fn push(&mut self, event: Event) {
        match event {
            Event::Start(start) => self.start(*start),
            Event::PartStart { part, choice, start } => self.open(part, choice, start),
            Event::Delta { part, text } => {
                self.size += text.len();
                if let Some(open) = self.open.get_mut(&part) {
                    open.text.push_str(&text);
                }
            }
            Event::SummaryBreak { part } => {
                if let Some(open) = self.open.get_mut(&part) {
                    open.paragraphs.push(std::mem::take(&mut open.text).into());
                }
            }
            Event::Signature { part, signature } => {
                if let Some(part) = self.part_mut(part) {
                    part.signature = Some(*signature);
                }
            }
            Event::Citation { part, citation } => {
                if let Some(Part { kind: PartKind::Text(text), .. }) = self.part_mut(part) {
                    text.citations.push(*citation);
                }
            }
            Event::Logprobs { choice, part, tokens } => {
                let text = part.and_then(|part| self.part_mut(part)).and_then(|part| match &mut part.kind {
                    PartKind::Text(text) => Some(text),
                    _ => None,
                });
                match text {
                    Some(text) => text.logprobs.extend(tokens),
                    None => self.candidate(choice).logprobs.extend(tokens),
                }
            }
            Event::PartEnd { part, status } => self.close(part, status),
            Event::Part { choice, part } => {
                self.size += std::mem::size_of::<Part>();
                self.candidate(choice).parts.push(*part);
            }
            Event::Usage(usage) => self.response.usage = *usage,
            Event::Finish(finish) => self.finish(*finish),
            Event::Error(fault) => self.error = Some(*fault),
            Event::Ping | Event::Opaque { .. } | Event::End => {}
        }
    }

    /// Bytes of text held so far, to bound memory.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The whole answer.
    ///
    /// # Errors
    /// The fault with which the stream ended.
    pub fn into_response(mut self) -> Result<Response, Fault> {
        if let Some(fault) = self.error {
            return Err(fault);
        }
        let open: Vec<PartId> = self.open.keys().copied().collect();
        for part in open {
            self.close(part, PartStatus::Incomplete);
        }
        self.response.candidates = self.candidates.into_values().collect();
        self.response.status = status_of(self.response.first());
        Ok(self.response)
    }

    fn start(&mut self, start: StreamStart) {
        self.response.id = start.id;
        self.response.model = start.model;
        self.response.created = start.created;
        self.response.service_tier = start.service_tier;
        self.response.fingerprint = start.fingerprint;
        self.response.ext = start.ext;
    }

    fn candidate(&mut self, choice: u32) -> &mut Candidate {
        self.candidates.entry(choice).or_insert_with(|| Candidate { index: choice, ..Candidate::default() })
    }

    fn part_mut(&mut self, part: PartId) -> Option<&mut Part> {
        let open = self.open.get(&part)?;
        self.candidates.get_mut(&open.choice)?.parts.get_mut(open.position)
    }

    fn open(&mut self, id: PartId, choice: u32, start: PartStart) {
        let mut summary = false;
        let part = match start {
            PartStart::Text { item_id, phase } => {
                let mut part = Part::text("");
                part.item_id = item_id;
                if let Some(phase) = phase {
                    part.ext.push("phase", polyport_types::RawJson::of(&serde_json::Value::String(phase.to_string())));
                }
                part
            }
            PartStart::Refusal => Part::new(PartKind::Refusal(Text::new())),
            PartStart::Reasoning { item_id, summary: is_summary } => {
                summary = is_summary;
                Part { item_id, ..Part::new(PartKind::Reasoning(Box::default())) }
            }
            PartStart::ToolCall(call) => tool_call_part(*call),
            PartStart::ServerToolCall(call) => server_tool_part(*call),
        };
        let candidate = self.candidate(choice);
        candidate.parts.push(part);
        let position = candidate.parts.len() - 1;
        self.open.insert(id, Open { choice, position, text: String::new(), paragraphs: Vec::new(), summary });
    }

    fn close(&mut self, id: PartId, status: PartStatus) {
        let Some(mut open) = self.open.remove(&id) else { return };
        let Some(part) = self.candidates.get_mut(&open.choice).and_then(|c| c.parts.get_mut(open.position)) else {
            return;
        };
        let text = Text::from(open.text);
        match &mut part.kind {
            PartKind::Text(TextPart { text: slot, .. }) | PartKind::Refusal(slot) => *slot = text,
            PartKind::Reasoning(reasoning) => {
                reasoning.text = if open.summary {
                    if !text.is_empty() {
                        open.paragraphs.push(text);
                    }
                    if open.paragraphs.is_empty() {
                        ReasoningText::None
                    } else {
                        ReasoningText::Summary(open.paragraphs)
                    }
                } else if text.is_empty() {
                    ReasoningText::None
                } else {
                    ReasoningText::Full(text)
                };
            }
            PartKind::ToolCall(call) => {
                call.arguments = if text.is_empty() && call.kind == polyport_types::ToolCallKind::Function {
                    Text::from_static("{}")
                } else {
                    text
                };
                call.status = status;
            }
            PartKind::ServerToolCall(call) => {
                if let Ok(input) = polyport_types::RawJson::parse(text) {
                    call.input = input;
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, finish: Finish) {
        let Finish { choice, reason, raw, message, prompt_block, ext } = finish;
        if prompt_block.is_some() {
            self.response.prompt_block = prompt_block;
        }
        let candidate = self.candidate(choice);
        candidate.finish = reason;
        candidate.raw_finish = raw;
        candidate.finish_message = message;
        candidate.ext = ext;
    }
}

pub(crate) fn status_of(candidate: Option<&Candidate>) -> ResponseStatus {
    match candidate.map(|candidate| &candidate.finish) {
        Some(
            FinishReason::MaxTokens
            | FinishReason::ContextWindow
            | FinishReason::ContentFilter
            | FinishReason::Recitation
            | FinishReason::PauseTurn
            | FinishReason::Continuation
            | FinishReason::Steered,
        ) => ResponseStatus::Incomplete,
        Some(FinishReason::Cancelled) => ResponseStatus::Cancelled,
        Some(FinishReason::Error) => ResponseStatus::Failed,
        _ => ResponseStatus::Completed,
    }
}

fn tool_call_part(call: ToolCallStart) -> Part {
    let ToolCallStart { id, name, namespace, kind, item_id, signature, caller, ext } = call;
    let call = ToolCall { id, name, namespace, kind, arguments: Text::new(), caller, status: PartStatus::Incomplete };
    Part { signature, item_id, ext, ..Part::new(PartKind::ToolCall(Box::new(call))) }
}

fn server_tool_part(call: ServerToolCallStart) -> Part {
    let ServerToolCallStart { id, tool, name, protocol, ext } = call;
    let input = polyport_types::RawJson::from_valid(Text::from_static("{}"));
    let call = ServerToolCall { id, tool, name, input, raw: None, protocol };
    Part { ext, ..Part::new(PartKind::ServerToolCall(Box::new(call))) }
}

/// Gives a whole answer as the events of a stream, `Start` to `End`.
#[must_use]
pub fn into_events(response: Response) -> Vec<Event> {
    let mut events = Vec::new();
    if let Some(fault) = response.error {
        return vec![Event::Error(Box::new(fault)), Event::End];
    }
    events.push(Event::Start(Box::new(StreamStart {
        id: response.id,
        model: response.model,
        created: response.created,
        service_tier: response.service_tier,
        fingerprint: response.fingerprint,
        ext: response.ext,
    })));
    // Known now, and some clients are told the input before anything else.
    events.push(Event::Usage(Box::new(response.usage)));
    let mut next = 0;
    let mut prompt_block = response.prompt_block;
    let mut candidates = response.candidates;
    if candidates.is_empty() {
        // A refused prompt has no candidate, but every stream has a finish.
        candidates.push(Candidate { finish: FinishReason::ContentFilter, ..Candidate::default() });
    }
    for candidate in candidates {
        let Candidate { index: choice, mut parts, finish, raw_finish, finish_message, mut logprobs, ext } = candidate;
        // Behind the last part an encoder could no longer tell what they belong to.
        if let Some(text) = only_text(&mut parts).filter(|text| text.logprobs.is_empty()) {
            text.logprobs = std::mem::take(&mut logprobs);
        }
        for part in parts {
            part_events(part, choice, &mut next, &mut events);
        }
        if !logprobs.is_empty() {
            events.push(Event::Logprobs { choice, part: None, tokens: logprobs });
        }
        events.push(Event::Finish(Box::new(Finish {
            choice,
            reason: finish,
            raw: raw_finish,
            message: finish_message,
            prompt_block: prompt_block.take(),
            ext,
        })));
    }
    events.push(Event::End);
    events
}

/// The text of an answer that has exactly one.
fn only_text(parts: &mut [Part]) -> Option<&mut TextPart> {
    let mut texts = parts.iter_mut().filter_map(|part| match &mut part.kind {
        PartKind::Text(text) => Some(text),
        _ => None,
    });
    texts.next().filter(|_| texts.next().is_none())
}

fn part_events(part: Part, choice: u32, next: &mut u32, events: &mut Vec<Event>) {
    let id = PartId(*next);
    let Part { kind, cache: _, signature, item_id, ext } = part;
    let (start, texts, status) = match kind {
        PartKind::Text(text) => {
            let phase =
                ext.get("phase").and_then(|raw| serde_json::from_str::<String>(raw.as_str()).ok()).map(Text::from);
            *next += 1;
            events.push(Event::PartStart { part: id, choice, start: PartStart::Text { item_id, phase } });
            pieces(id, &text.text, events);
            if !text.logprobs.is_empty() {
                events.push(Event::Logprobs { choice, part: Some(id), tokens: text.logprobs });
            }
            let citations = text.citations.into_iter();
            events.extend(citations.map(|citation| Event::Citation { part: id, citation: Box::new(citation) }));
            signed_end(id, signature, PartStatus::Complete, events);
            return;
        }
        PartKind::Refusal(text) => (PartStart::Refusal, vec![text], PartStatus::Complete),
        PartKind::Reasoning(reasoning) if !reasoning.redacted => {
            let Reasoning { text, .. } = *reasoning;
            let (summary, texts) = match text {
                ReasoningText::None => (false, Vec::new()),
                ReasoningText::Full(text) => (false, vec![text]),
                ReasoningText::Summary(texts) => (true, texts),
            };
            (PartStart::Reasoning { item_id, summary }, texts, PartStatus::Complete)
        }
        PartKind::ToolCall(call) => {
            let ToolCall { id: call_id, name, namespace, kind, arguments, caller, status } = *call;
            *next += 1;
            let start = ToolCallStart { id: call_id, name, namespace, kind, item_id, signature, caller, ext };
            events.push(Event::PartStart { part: id, choice, start: PartStart::ToolCall(Box::new(start)) });
            if !arguments.is_empty() {
                events.push(Event::Delta { part: id, text: arguments });
            }
            events.push(Event::PartEnd { part: id, status });
            return;
        }
        kind => {
            let part = Part { kind, cache: None, signature, item_id, ext };
            events.push(Event::Part { choice, part: Box::new(part) });
            return;
        }
    };
    *next += 1;
    events.push(Event::PartStart { part: id, choice, start });
    for (number, text) in texts.iter().enumerate() {
        if number > 0 {
            events.push(Event::SummaryBreak { part: id });
        }
        pieces(id, text, events);
    }
    signed_end(id, signature, status, events);
}

fn signed_end(part: PartId, signature: Option<polyport_types::Signature>, status: PartStatus, events: &mut Vec<Event>) {
    if let Some(signature) = signature {
        events.push(Event::Signature { part, signature: Box::new(signature) });
    }
    events.push(Event::PartEnd { part, status });
}

/// Cuts a long text at character boundaries.
fn pieces(part: PartId, text: &Text, events: &mut Vec<Event>) {
    let mut rest: &str = text;
    while !rest.is_empty() {
        let mut end = rest.len().min(PIECE);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, tail) = rest.split_at(end);
        events.push(Event::Delta { part, text: text.slice_ref(piece) });
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use polyport_types::{Citation, Family, Signature, SignatureKind, ToolCallKind, Usage, Validator};

    use super::*;

    fn answer() -> Response {
        let mut reasoning = Part::new(PartKind::Reasoning(Box::new(Reasoning {
            text: ReasoningText::Summary(vec!["one".into(), "two".into()]),
            redacted: false,
        })));
        reasoning.signature = Some(Signature::new(Family::OpenAi, SignatureKind::ReasoningItem, "sig"));
        let mut text = Part::text("é".repeat(5000));
        if let PartKind::Text(part) = &mut text.kind {
            part.citations.push(Citation::url("https://example.org", None, None));
        }
        let call = Part::new(PartKind::ToolCall(Box::new(ToolCall {
            id: "call_1".into(),
            name: "f".into(),
            namespace: None,
            kind: ToolCallKind::Function,
            arguments: "{\"a\":1}".into(),
            caller: None,
            status: PartStatus::Complete,
        })));
        Response {
            id: "r".into(),
            model: "m".into(),
            candidates: vec![
                Candidate {
                    parts: vec![reasoning, text, call],
                    finish: FinishReason::ToolCalls,
                    ..Candidate::default()
                },
                Candidate { index: 1, parts: vec![Part::text("b")], ..Candidate::default() },
            ],
            usage: Usage { input_uncached: Some(1), output_text: Some(2), ..Usage::default() },
            ..Response::default()
        }
    }

    #[test]
    fn whole_answer_to_events_and_back() {
        let events = into_events(answer());
        Validator::check_all(&events).unwrap();
        assert!(events.iter().all(|event| !matches!(event, Event::Delta { text, .. } if text.len() > PIECE)));
        let mut collector = Collector::new();
        for event in events {
            collector.push(event);
        }
        assert_eq!(collector.into_response().unwrap(), answer());
    }

    #[test]
    fn refused_prompt_still_has_a_finish() {
        let block = polyport_types::PromptBlock { reason: "SAFETY".into(), message: None, ratings: None };
        let response = Response { prompt_block: Some(block.clone()), ..Response::default() };
        let events = into_events(response);
        Validator::check_all(&events).unwrap();
        let mut collector = Collector::new();
        for event in events {
            collector.push(event);
        }
        assert_eq!(collector.into_response().unwrap().prompt_block, Some(block));
    }

    #[test]
    fn an_error_ends_in_an_error() {
        let fault = Fault::new(polyport_types::FaultClass::Overloaded, "busy");
        let mut collector = Collector::new();
        collector.push(Event::Start(Box::default()));
        collector.push(Event::Error(Box::new(fault.clone())));
        collector.push(Event::End);
        assert_eq!(collector.into_response(), Err(fault));
    }
}
