//! Answers that a provider pauses: asked to go on by ourselves, for clients whose protocol has no word for that.
//!
//! Messages pauses long turns of its own tools (`pause_turn`) and goes on when it gets its own words back as the last message; Gemini
//! gives a token for going on. The client sees one answer.

use std::future::Future;
use std::pin::Pin;

use polyport_protocol::collect::Collector;
use polyport_protocol::{Target, encode_request};
use polyport_types::{
    Event, Fault, FinishReason, Losses, Message, Part, PartId, Protocol, RawJson, Request, Response, Role, Tool, Usage,
};

use super::Exchange;
use super::course::Slot;
use super::peek::{Edits, Peek};
use super::wire::{self, Opened};

/// Most continuations of one answer.
const ROUNDS: u32 = 10;

/// The member in which Gemini gives and takes its token.
const TOKEN: &str = "continuationToken";

/// A call that goes on.
pub(crate) type Following = Pin<Box<dyn Future<Output = Result<Opened, Fault>> + Send>>;

/// What going on needs.
#[derive(Debug)]
pub(crate) struct Resume {
    slot: Slot,
    target: Target,
    /// The request as it was sent, the provider's own words appended with each round.
    request: Request,
    stream: bool,
    rounds: u32,
    /// What the provider says in this round.
    collector: Collector,
    /// Tokens of earlier rounds.
    used: Usage,
    /// Added to the numbers of this round's parts, and the highest number so far.
    offset: u32,
    highest: u32,
}

/// What becomes of an event.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It goes on its way.
    Pass(Event),
    /// It belongs to a later round and the client has seen its like.
    Swallow,
    /// The provider pauses here.
    Pause(Event),
}

impl Resume {
    /// For answers that may be paused and whose client would not understand that.
    pub(crate) fn new(x: &Exchange, slot: &Slot, target: &Target, request: &Request) -> Option<Self> {
        let foreign = Protocol::from(x.answer) != target.protocol;
        let own_tools = request.tools.iter().any(|tool| matches!(tool, Tool::Server(_)));
        if !foreign || !own_tools || !matches!(target.protocol, Protocol::Messages | Protocol::Gemini) {
            return None;
        }
        Some(Self {
            slot: slot.clone(),
            target: target.clone(),
            request: request.clone(),
            stream: x.stream,
            rounds: 0,
            collector: Collector::new(),
            used: Usage::default(),
            offset: 0,
            highest: 0,
        })
    }

    /// Takes an event of the provider.
    pub(crate) fn take(&mut self, mut event: Event) -> Taken {
        self.collector.push(event.clone());
        self.renumber(&mut event);
        match event {
            Event::Start(_) if self.rounds > 0 => Taken::Swallow,
            Event::Usage(mut usage) => {
                add(&mut usage, &self.used);
                Taken::Pass(Event::Usage(usage))
            }
            Event::Finish(ref finish) if self.rounds < ROUNDS && is_pause(&finish.reason) => Taken::Pause(event),
            other => Taken::Pass(other),
        }
    }

    fn renumber(&mut self, event: &mut Event) {
        let (offset, highest) = (self.offset, &mut self.highest);
        let mut number = |part: &mut PartId| {
            part.0 = part.0.saturating_add(offset);
            *highest = (*highest).max(part.0);
        };
        match event {
            Event::PartStart { part, .. }
            | Event::Delta { part, .. }
            | Event::SummaryBreak { part }
            | Event::Signature { part, .. }
            | Event::Citation { part, .. }
            | Event::PartEnd { part, .. } => number(part),
            Event::Logprobs { part: Some(part), .. } => number(part),
            Event::Logprobs { part: None, .. }
            | Event::Start(_)
            | Event::Part { .. }
            | Event::Usage(_)
            | Event::Finish(_)
            | Event::Error(_)
            | Event::Ping
            | Event::Opaque { .. }
            | Event::End => {}
        }
    }

    /// Asks the provider to go on after a paused stream. `None` if it gave nothing to go on with.
    pub(crate) fn go_on(&mut self) -> Option<Following> {
        let said = std::mem::take(&mut self.collector).into_response().ok()?;
        self.offset = self.highest.saturating_add(1);
        self.ask(said)
    }

    /// The same after a whole answer.
    pub(crate) fn go_on_after(&mut self, said: Response) -> Option<Following> {
        self.ask(said)
    }

    fn ask(&mut self, said: Response) -> Option<Following> {
        self.rounds += 1;
        add(&mut self.used, &said.usage);
        let token = said.ext.get(TOKEN).cloned();
        let parts: Vec<Part> = said.candidates.into_iter().next().map(|candidate| candidate.parts).unwrap_or_default();
        match (self.target.protocol, token) {
            (Protocol::Messages, _) if !parts.is_empty() => self.append(parts),
            (Protocol::Gemini, Some(token)) => return Some(self.post(Some(&token))),
            _ => return None,
        }
        Some(self.post(None))
    }

    /// Appends the provider's words to the history; those of one pause after the other form one turn.
    fn append(&mut self, parts: Vec<Part>) {
        match self.request.messages.last_mut() {
            Some(last) if self.rounds > 1 && last.role == Role::Assistant => last.parts.extend(parts),
            _ => {
                let index = u32::try_from(self.request.messages.len()).unwrap_or(u32::MAX);
                self.request.messages.push(Message::new(Role::Assistant, index, parts));
            }
        }
    }

    fn post(&self, token: Option<&RawJson>) -> Following {
        let encoded = encode_request(&self.target, &self.request, &mut Losses::new());
        let mut headers = wire::json_headers(self.stream);
        wire::add_headers(&mut headers, &encoded.headers, &self.target.profile);
        let path = encoded.path;
        let mut body = bytes::Bytes::from(encoded.body);
        if let (Some(token), Ok(peek)) = (token, Peek::parse(&body)) {
            let mut edits = Edits::default();
            edits.set(TOKEN, token.as_str().to_owned());
            body = peek.edited(&body, &edits);
        }
        let reasons = wire::reasons(&self.target.capabilities, wire::asks_to_reason(&self.request));
        let (slot, stream) = (self.slot.clone(), self.stream);
        Box::pin(async move { wire::generate(&slot, stream, reasons, headers, path.as_deref(), body).await })
    }

    /// Whether a whole answer is paused and may be continued.
    pub(crate) fn is_paused(&self, response: &Response) -> bool {
        self.rounds < ROUNDS && response.first().is_some_and(|candidate| is_pause(&candidate.finish))
    }
}

/// Joins what was said before a pause with what was said after it.
pub(crate) fn joined(mut before: Response, after: Response) -> Response {
    let usage = std::mem::take(&mut before.usage);
    let mut whole = after;
    add(&mut whole.usage, &usage);
    whole.id = before.id;
    if let (Some(first), Some(last)) = (before.candidates.into_iter().next(), whole.candidates.first_mut()) {
        let mut parts = first.parts;
        parts.append(&mut last.parts);
        last.parts = parts;
    }
    whole
}

fn is_pause(reason: &FinishReason) -> bool {
    matches!(reason, FinishReason::PauseTurn | FinishReason::Continuation)
}

/// Adds the counts of an earlier round: its input really is billed again.
fn add(sum: &mut Usage, earlier: &Usage) {
    let plus = |slot: &mut Option<u64>, more: Option<u64>| {
        if let Some(more) = more {
            *slot = Some(slot.unwrap_or(0).saturating_add(more));
        }
    };
    plus(&mut sum.input_uncached, earlier.input_uncached);
    plus(&mut sum.cache_read, earlier.cache_read);
    plus(&mut sum.cache_write_5m, earlier.cache_write_5m);
    plus(&mut sum.cache_write_30m, earlier.cache_write_30m);
    plus(&mut sum.cache_write_1h, earlier.cache_write_1h);
    plus(&mut sum.cache_write_12h, earlier.cache_write_12h);
    plus(&mut sum.cache_write_unknown, earlier.cache_write_unknown);
    plus(&mut sum.tool_prompt, earlier.tool_prompt);
    plus(&mut sum.output_text, earlier.output_text);
    plus(&mut sum.reasoning, earlier.reasoning);
    plus(&mut sum.web_search_requests, earlier.web_search_requests);
    plus(&mut sum.web_fetch_requests, earlier.web_fetch_requests);
}
