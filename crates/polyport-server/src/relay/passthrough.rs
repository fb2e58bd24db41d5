//! Client and provider speak the same protocol: the body goes as it is but for a declared list of edits, and so does the answer.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use polyport_protocol::classify::classify_body;
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{Profile, Restore, StreamDecoder, Target, decode_response, read_usage};
use polyport_provider::ProviderBody;
use polyport_types::{ClientProtocol, Event, Fault, Losses, Protocol, Text};
use tokio::time::Instant;

use super::account::Holder;
use super::attempt::{Failed, Sent};
use super::course::Slot;
use super::fits::{asks_to_reason, edits, json};
use super::frames::Framed;
use super::peek::{Edits, Peek};
use super::stream::{Live, Step, Turn, later_error};
use super::tap::{Tap, word_after};
use super::translate::{Answerer, Reading, is_event_stream, is_output, refuse_losses};
use super::wire::{self, Patience};

use super::{Exchange, Ready, limits, stream_headers};
use crate::clock;
use crate::id::RequestId;
use crate::ingress::{ANTHROPIC_BETA, ANTHROPIC_VERSION};
use crate::observe::{Outcome, Record};

/// One write to the client holds about this much at most.
const FULL: usize = 64 << 10;

/// One attempt.
///
/// # Errors
/// [`Failed`] when it gave no output.
pub(crate) async fn attempt(x: &mut Exchange, slot: &Slot, sent: &mut Sent) -> Result<Ready, Failed> {
    x.peeked().await?;
    let Some(peek) = &x.peeked else { return Err(super::admit::internal().into()) };
    let mut losses = Losses::new();
    let (edits, hide_usage) = edits(x, slot, peek, &mut losses);
    let body = peek.edited(&x.body, &edits);
    let (provider, model) = (&slot.target.provider, &slot.target.model);
    let body = x.app.learned.heeded(provider, model, clock::now(), body, &mut losses);
    x.count_losses(&losses, Protocol::from(x.wire));
    refuse_losses(x, &losses)?;
    sent.body = body.clone();
    let mut headers = request_headers(x, &slot.upstream.config.profile);
    x.record.passthrough = true;
    x.record.sent();
    x.record.tell_trace(&mut headers);
    let capabilities = x.runtime.config.capabilities(&slot.upstream.config, &slot.target.model);
    let reasons = wire::reasons(&capabilities, asks_to_reason(x.wire, peek, &x.body));
    let mut opened = wire::generate(slot, x.stream, reasons, headers, None, body).await?;
    x.record.upstream_id = opened.request_id();
    let forwarded = answer_headers(&opened.headers);
    if opened.is_stream().is_some_and(|stream| stream != x.stream) {
        // The provider streams where it should not, or the other way round: only translation can mend that.
        let reading = reading(x, slot, losses, forwarded).await?;
        // Boxed: this is rare, and larger than all the rest.
        return Box::pin(reading.read(x, slot, opened)).await;
    }
    if x.stream {
        let mut live = Passthrough::new(x, slot, opened.body, opened.patience, hide_usage);
        live.hold_back(x, slot).await?;
        x.record.first_output();
        let mut headers = stream_headers(x.answer, false);
        headers.extend(x.reply_headers(slot, &losses));
        headers.extend(forwarded);
        return Ok(Ready::Live { headers, live: Live::Passthrough(Box::new(live)) });
    }
    let limit = x.runtime.config.limits.answer_bytes;
    let bytes = wire::whole(&mut opened, &slot.target.provider, limit).await?;
    if is_event_stream(&bytes) {
        // The same without a word.
        return reading(x, slot, losses, forwarded).await?.whole_of(x, slot, bytes);
    }
    let body = whole(x, slot, bytes)?;
    x.record.first_output();
    let mut headers = x.reply_headers(slot, &losses);
    let kind = opened.headers.get(CONTENT_TYPE).cloned();
    headers.insert(CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/json")));
    headers.extend(forwarded);
    Ok(Ready::Whole { headers, body })
}

/// What it takes to read the answer after all.
async fn reading(x: &mut Exchange, slot: &Slot, losses: Losses, forwarded: HeaderMap) -> Result<Reading, Failed> {
    x.record.passthrough = false;
    let request = x.request_for(slot).await?;
    let target = slot.codec_target(x);
    let answerer = Answerer { context: x.context(slot, &target, request), restore: Restore::default() };
    Ok(Reading { target, answerer, losses, forwarded, resume: None })
}

/// Checks a whole answer and gives it the model name the client knows.
fn whole(x: &mut Exchange, slot: &Slot, bytes: Bytes) -> Result<Bytes, Fault> {
    let provider = &slot.target.provider;
    let peek = Peek::parse(&bytes).map_err(|_| wire::broken(provider, "it is not JSON"))?;
    if peek.has(&bytes, "error") && !peek.has(&bytes, "status") {
        return Err(classify_body(None, &String::from_utf8_lossy(&bytes)));
    }
    let protocol = Protocol::from(x.wire);
    let says: &[&str] = match protocol {
        Protocol::Chat => &["choices"],
        Protocol::Responses => &["output", "status"],
        Protocol::Messages => &["content"],
        Protocol::Gemini => &["candidates", "promptFeedback", "usageMetadata"],
    };
    if !says.iter().any(|name| peek.has(&bytes, name)) {
        return Err(wire::broken(provider, "it is no answer of its protocol"));
    }
    if protocol == Protocol::Chat && peek.get(&bytes, "choices").is_none_or(|choices| !choices.starts_with(b"[{")) {
        // No answer, or none at first sight.
        decode_response(&counting(protocol, slot), bytes.clone())?;
    }
    let counts = if protocol == Protocol::Gemini { "usageMetadata" } else { "usage" };
    if let Some(counts) = peek.get(&bytes, counts)
        && let Some(usage) = read_usage(&counting(protocol, slot), bytes.slice_ref(counts))
    {
        x.record.usage = usage;
    }
    x.record.seen = limits::tokens_of(bytes.len());
    let finish: &[u8] = match protocol {
        Protocol::Chat => b"\"finish_reason\"",
        Protocol::Responses => b"\"status\"",
        Protocol::Messages => b"\"stop_reason\"",
        Protocol::Gemini => b"\"finishReason\"",
    };
    x.record.finish = word_after(&bytes, finish).map(Text::from);
    if matches!(x.record.finish.as_deref(), Some("queued" | "in_progress")) {
        x.record.presume_answer();
    }
    if let Some(mut holder) = x.holder(slot)
        && holder.name(&bytes)
    {
        holder.keep(&bytes);
    }
    let name = if protocol == Protocol::Gemini { "modelVersion" } else { "model" };
    if x.record.is_traced() {
        let id = if protocol == Protocol::Gemini { "responseId" } else { "id" };
        let text = |name: &str| peek.text(&bytes, name).unwrap_or_default();
        x.record.answered_as(&text(id), &text(name));
    }
    let shown = x.shown_model(slot);
    if shown != slot.target.model && peek.has(&bytes, name) {
        let mut edits = Edits::default();
        edits.set(name, json(&shown));
        return Ok(peek.edited(&bytes, &edits));
    }
    Ok(bytes)
}

/// A target that counts as the provider does.
pub(crate) fn counting(protocol: Protocol, slot: &Slot) -> Target {
    Target { profile: Arc::clone(&slot.upstream.config.profile), ..Target::plain(protocol, "") }
}

/// Headers of the client that mean something to the provider of the same protocol.
fn request_headers(x: &Exchange, profile: &Profile) -> HeaderMap {
    const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
    const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");
    const OPENAI: [HeaderName; 6] = [
        HeaderName::from_static("openai-beta"),
        IDEMPOTENCY_KEY,
        CLIENT_REQUEST_ID,
        HeaderName::from_static("session-id"),
        HeaderName::from_static("thread-id"),
        HeaderName::from_static("originator"),
    ];
    const MESSAGES: [HeaderName; 3] = [ANTHROPIC_VERSION, IDEMPOTENCY_KEY, CLIENT_REQUEST_ID];
    let mut headers = wire::json_headers(x.stream);
    let names: &[HeaderName] = match x.wire {
        ClientProtocol::Chat | ClientProtocol::Responses => &OPENAI,
        ClientProtocol::Messages => &MESSAGES,
        ClientProtocol::Gemini => &[],
    };
    for name in names {
        if let Some(value) = x.headers.get(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    if x.wire == ClientProtocol::Messages {
        headers.entry(ANTHROPIC_VERSION).or_insert(HeaderValue::from_static("2023-06-01"));
        if let Some(betas) = betas(x, profile) {
            headers.insert(ANTHROPIC_BETA, betas);
        }
    }
    wire::add_profile_headers(&mut headers, profile);
    headers
}

/// The client's beta flags, as they are or only those the server takes.
fn betas(x: &Exchange, profile: &Profile) -> Option<HeaderValue> {
    if profile.betas.is_empty() {
        let mut values = x.headers.get_all(ANTHROPIC_BETA).iter();
        let first = values.next()?;
        if values.next().is_none() {
            return Some(first.clone());
        }
    }
    let allowed = |flag: &&Text| profile.betas.is_empty() || profile.betas.iter().any(|known| **known == ***flag);
    let flags: Vec<&str> = x.head.betas.iter().filter(allowed).map(|flag| &**flag).collect();
    if flags.is_empty() { None } else { HeaderValue::try_from(flags.join(",")).ok() }
}

/// Headers of the provider that mean something to clients of the same protocol.
fn answer_headers(headers: &HeaderMap) -> HeaderMap {
    const NAMES: [&str; 6] =
        ["retry-after", "retry-after-ms", "openai-processing-ms", "openai-version", "x-models-etag", "server-timing"];
    const STARTS: [&str; 3] = ["x-ratelimit-", "anthropic-ratelimit-", "x-codex-"];
    /// A header longer than this helps nobody.
    const LONGEST: usize = 1024;
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        let text = name.as_str();
        let known = NAMES.contains(&text) || STARTS.iter().any(|start| text.starts_with(start));
        if known && value.len() <= LONGEST && kept.len() < 64 {
            kept.insert(name.clone(), value.clone());
        }
    }
    kept
}

/// A stream that goes through.
#[derive(Debug)]
pub(crate) struct Passthrough {
    protocol: ClientProtocol,
    provider: Text,
    body: ProviderBody,
    tap: Tap,
    /// None where the answer is not kept, and once it has been noted.
    holder: Option<Box<Holder>>,
    /// The answer goes on without its client, who needs its id at once.
    background: bool,
    /// Frame by frame, because some of them are changed or left out.
    framed: Option<Box<Framed>>,
    /// Chunks on their way, oldest first.
    single: Option<Bytes>,
    joined: BytesMut,
    patience: Patience,
    may_omit_finish: bool,
    turn: Turn,
    expired: bool,
    over: Option<Outcome>,
    max_event: usize,
}

impl Passthrough {
    fn new(x: &Exchange, slot: &Slot, body: ProviderBody, patience: Patience, hide_usage: bool) -> Self {
        let shown = x.shown_model(slot);
        let model = (shown != slot.target.model).then(|| (slot.target.model.clone(), shown));
        let framed = Framed::new(hide_usage, model);
        let holder = x.holder(slot);
        let background = x.wire == ClientProtocol::Responses
            && x.peeked.as_ref().is_some_and(|peek| peek.is_true(&x.body, "background"));
        Self {
            protocol: x.wire,
            provider: slot.target.provider.clone(),
            body,
            tap: Tap::new(counting(Protocol::from(x.wire), slot)).keep_end(holder.is_some()),
            holder,
            background,
            framed,
            single: None,
            joined: BytesMut::new(),
            patience,
            may_omit_finish: slot.upstream.config.profile.may_omit_finish,
            turn: Turn::default(),
            expired: false,
            over: None,
            max_event: x.runtime.config.limits.event_bytes,
        }
    }

    /// Waits for output that may be shown. Until then a failure is a failure of the attempt, not of the stream.
    async fn hold_back(&mut self, x: &mut Exchange, slot: &Slot) -> Result<(), Fault> {
        let target = slot.codec_target(x);
        let mut decoder = StreamDecoder::new(&target, self.max_event);
        let mut events = Vec::new();
        loop {
            match tokio::time::timeout_at(self.patience.deadline(), self.body.chunk()).await {
                Err(_) => return Err(self.patience.fault(&self.provider)),
                Ok(Ok(Some(chunk))) => {
                    decoder.push(chunk.clone(), &mut events);
                    self.patience.hear(false);
                    self.learn_model(&events);
                    self.take(chunk);
                }
                Ok(Ok(None)) => decoder.finish(BodyEnd::Clean, &mut events),
                Ok(Err(_)) => decoder.finish(BodyEnd::Broken, &mut events),
            }
            for event in events.drain(..) {
                if let Event::Start(start) = &event {
                    x.record.answered_as(&start.id, &start.model);
                }
                match event {
                    Event::Error(fault) => return Err(*fault),
                    event if is_output(&event) || (self.background && matches!(event, Event::Start(_))) => {
                        if decoder.is_ended() {
                            self.close(BodyEnd::Clean);
                        }
                        return Ok(());
                    }
                    _ => {}
                }
            }
        }
    }

    /// The name that the provider itself gives the model, where it shall be replaced.
    fn learn_model(&mut self, events: &[Event]) {
        let started =
            events.iter().find_map(|event| if let Event::Start(start) = event { Some(&start.model) } else { None });
        if let (Some(name), Some(framed)) = (started, &mut self.framed)
            && !name.is_empty()
        {
            framed.learn_model(name);
        }
    }

    /// Takes bytes of the provider.
    fn take(&mut self, chunk: Bytes) {
        self.tap.push(&chunk);
        self.note();
        let chunk = match &mut self.framed {
            None => chunk,
            Some(framed) => framed.take(&chunk),
        };
        self.put(chunk);
    }

    /// Notes where the answer is kept as soon as it has an id, and what passed through when it is whole.
    fn note(&mut self) {
        let Some(holder) = &mut self.holder else { return };
        if !holder.is_named() && !self.tap.responses.created.is_empty() && !holder.name(&self.tap.responses.created) {
            self.holder = None;
            return;
        }
        if self.tap.finished()
            && let Some(holder) = self.holder.take()
        {
            holder.keep(&self.tap.take_end());
        }
    }

    fn put(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        if self.joined.is_empty() && self.single.is_none() {
            self.single = Some(chunk);
            return;
        }
        if let Some(first) = self.single.take() {
            self.joined.extend_from_slice(&first);
        }
        self.joined.extend_from_slice(&chunk);
    }

    fn waiting(&self) -> usize {
        self.joined.len() + self.single.as_ref().map_or(0, Bytes::len)
    }

    fn hand_over(&mut self) -> Bytes {
        self.single.take().unwrap_or_else(|| std::mem::take(&mut self.joined).freeze())
    }

    /// The next bytes for the client, or the end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, record: &mut Record) -> Poll<Step> {
        loop {
            if let Some(outcome) = self.over {
                self.tell(record);
                return if self.waiting() == 0 {
                    Poll::Ready(Step::End(outcome))
                } else {
                    Poll::Ready(Step::Bytes(self.hand_over()))
                };
            }
            if self.waiting() >= FULL {
                return Poll::Ready(Step::Bytes(self.hand_over()));
            }
            if self.expired {
                let fault = self.patience.fault(&self.provider);
                self.end_with(&fault, None);
                continue;
            }
            match self.body.poll_chunk(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    self.turn.begin();
                    self.patience.hear(true);
                    self.take(chunk);
                    if self.waiting() < FULL && self.turn.goes_on(cx) {
                        return Poll::Ready(Step::Turn);
                    }
                }
                Poll::Ready(Some(Err(_))) => self.close(BodyEnd::Broken),
                Poll::Ready(None) => self.close(BodyEnd::Clean),
                Poll::Pending if self.waiting() == 0 => return Poll::Pending,
                Poll::Pending if self.turn.goes_on(cx) => return Poll::Ready(Step::Turn),
                Poll::Pending => return Poll::Ready(Step::Bytes(self.hand_over())),
            }
        }
    }

    /// Whether all of a good answer was handed on. What it used is in the record then.
    pub(crate) fn is_said(&mut self, record: &mut Record) -> bool {
        self.tell(record);
        self.tap.finished() && !self.tap.failed() && self.waiting() == 0
    }

    /// What was read along.
    fn tell(&mut self, record: &mut Record) {
        record.usage = self.tap.usage();
        record.seen = self.tap.seen();
        record.finish = self.tap.finish_reason().map(Text::from);
    }

    /// The provider's body is over.
    fn close(&mut self, end: BodyEnd) {
        self.tap.finish();
        self.note();
        if let Some(framed) = &mut self.framed {
            let rest = framed.flush();
            self.put(rest);
        }
        if self.tap.failed() {
            self.over = Some(Outcome::Failed(polyport_types::FaultClass::ServerError));
            return;
        }
        if self.tap.finished() || (self.may_omit_finish && end == BodyEnd::Clean) {
            let missing = self.tap.missing();
            if !missing.is_empty() && !self.tap.at_boundary() {
                self.put(Bytes::from_static(b"\n\n"));
            }
            self.put(Bytes::from_static(missing));
            self.over = Some(Outcome::Answered);
            return;
        }
        let fault = wire::broken(&self.provider, "it stopped in the middle");
        self.end_with(&fault, None);
    }

    /// Ends the stream with the protocol's error form.
    fn end_with(&mut self, fault: &Fault, id: Option<&RequestId>) {
        self.over = Some(Outcome::Failed(fault.class));
        self.body = ProviderBody::whole(Bytes::new());
        if !self.tap.at_boundary() {
            // An event that was cut in the middle must not swallow the error.
            self.put(Bytes::from_static(b"\n\n"));
        }
        let unknown = RequestId::new();
        let error = later_error(self.protocol, fault, id.unwrap_or(&unknown), &self.tap.responses);
        // It repeats what the provider began with, which the client knows by another name.
        let error = self.framed.as_ref().map_or(error.clone(), |framed| framed.changed(&error));
        self.put(error);
    }

    /// When the provider has been silent too long.
    pub(crate) fn deadline(&self) -> Instant {
        self.patience.deadline()
    }

    /// The deadline has passed.
    pub(crate) fn time_is_up(&mut self) {
        self.expired = true;
    }

    /// The protocol's sign of life, where an event may stand.
    pub(crate) fn keep_alive(&mut self) -> Bytes {
        if !self.tap.at_boundary() {
            return Bytes::new();
        }
        match self.protocol {
            ClientProtocol::Chat | ClientProtocol::Responses => Bytes::from_static(b": ping\n\n"),
            ClientProtocol::Messages => Bytes::from_static(b"event: ping\ndata: {\"type\":\"ping\"}\n\n"),
            ClientProtocol::Gemini => Bytes::new(),
        }
    }

    /// Ends the stream with an error of ours.
    pub(crate) fn fail(&mut self, fault: &Fault, id: &RequestId) -> Bytes {
        if self.over.is_some() {
            return Bytes::new();
        }
        self.end_with(fault, Some(id));
        self.hand_over()
    }
}
