//! Client and provider speak different protocols, or the request needs more than small edits: through the neutral form.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use polyport_protocol::collect::{Collector, into_events};
use polyport_protocol::resolve::{ResolveContext, strip_signatures};
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    CarrierKey, ClientContext, Encoded, Restore, Restorer, StreamDecoder, StreamEncoder, Target, Wire, answer_losses,
    decode_response, encode_request, encode_response, estimate, resolve,
};
use polyport_provider::{ProviderBody, echo};
use polyport_types::{
    ClientProtocol, Event, Fault, Loss, LossAction, LossCode, Losses, PartStart, Protocol, Request, Response, Severity,
    Text, Usage,
};
use tokio::time::Instant;

use super::account::{Keeper, Kept};
use super::attempt::{Failed, Repairs, Sent};
use super::course::Slot;
use super::resume::{Following, Resume, Taken, joined};
use super::stream::{Live, Step, Turn};
use super::useful::{Content, Revocable, useful};

use super::limits::{BYTES_PER_TOKEN, tokens_of};
use super::wire::{self, Opened, Patience};
use super::{Exchange, Ready, local, stream_headers};
use crate::app::App;
use crate::clock;
use crate::config::{LossPolicy, Service};
use crate::observe::{Outcome, Record};

/// After the finish of the only answer, usage is waited for no longer than this.
const LATE_USAGE: Duration = Duration::from_secs(2);

/// Calls that may be taken back are held until this much was read.
const HELD: usize = 1 << 20;

/// One write to the client holds about this much at most.
const FULL: usize = 64 << 10;

/// One attempt.
///
/// # Errors
/// [`Failed`] when it gave no output.
pub(crate) async fn attempt(
    x: &mut Exchange,
    slot: &Slot,
    repairs: &Repairs,
    sent: &mut Sent,
) -> Result<Ready, Failed> {
    let request = x.request_for(slot).await?;
    let target = slot.codec_target(x);
    if request.state.background == Some(true) && target.protocol == Protocol::Responses && target.profile.stateful {
        // Its answer would be known here, under an id of ours, and go on there.
        let words = "background: not together with what only this gateway knows; send the conversation as `input`";
        return Err(Failed { fault: Fault::bad_request("background", words), unable: true });
    }
    let work = Work {
        target: target.clone(),
        request: Arc::clone(&request),
        carrier: Arc::clone(&x.runtime.config.carrier),
        app: Arc::clone(&x.app),
        owner: x.caller.owner().clone(),
        unsigned: repairs.unsigned.as_ref().map(|refused| refused.body.clone()),
        encode: !matches!(slot.upstream.config.service, Service::Echo),
    };
    let work = Arc::new(work);
    let first = Arc::clone(&work);
    let mut translated = x.off_worker(move || first.run()).await?;
    if x.app.signatures.recall(x.caller.owner(), &translated.missed).await {
        translated = x.off_worker(move || work.run()).await?;
    }
    let Translated { resolved, restore, mut losses, mut encoded, .. } = translated;
    if let Some(fault) = encoded.fault.take() {
        return Err(Failed { fault: *fault, unable: true });
    }
    if x.expanded.is_some() {
        losses.info(LossCode::StateExpanded, LossAction::Emulated, "/previous_response_id", "");
    }
    if let Service::Process(process) = &slot.upstream.config.service {
        local::note_unsaid(process, &resolved, &mut losses);
    }
    let (provider, model) = (&slot.target.provider, &slot.target.model);
    let body = x.app.learned.heeded(provider, model, clock::now(), Bytes::from(encoded.body), &mut losses);
    x.count_losses(&losses, target.protocol);
    refuse_losses(x, &losses)?;
    let answerer = Answerer { context: x.context(slot, &target, request), restore };
    match &slot.upstream.config.service {
        Service::Echo => {
            x.record.sent();
            let events = echo::answer(&resolved);
            let reading = Reading { target, answerer, losses, forwarded: HeaderMap::new(), resume: None };
            return Ok(reading.answer_with(x, slot, events));
        }
        Service::Process(process) => {
            let opened = local::run(x, slot, process, resolved, body.into()).await?;
            x.record.sent();
            let reading = Reading { target, answerer, losses, forwarded: HeaderMap::new(), resume: None };
            return reading.read(x, slot, opened).await;
        }
        Service::Http(_) => {}
    }
    // The answer may be there only as a stream.
    let stream = x.stream || resolved.stream;
    let mut headers = wire::json_headers(stream);
    wire::add_headers(&mut headers, &encoded.headers, &target.profile);
    if let Some(refused) = repairs.unsigned.as_ref().filter(|refused| refused.body == body) {
        // Nothing could be left out: the same again would be refused again.
        return Err(refused.fault.clone().into());
    }
    sent.body = body.clone();
    let reasons = wire::reasons(&target.capabilities, wire::asks_to_reason(&resolved));
    let target = target.offering(&resolved);
    let resume = Resume::new(x, slot, &target, &resolved).map(Box::new);
    drop(resolved);
    x.record.sent();
    x.record.tell_trace(&mut headers);
    let opened = wire::generate(slot, stream, reasons, headers, encoded.path.as_deref(), body).await?;
    x.record.upstream_id = opened.request_id();
    let reading = Reading { target, answerer, losses, forwarded: HeaderMap::new(), resume };
    reading.read(x, slot, opened).await
}

/// What reading a provider's answer needs.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) target: Target,
    pub(crate) answerer: Answerer,
    pub(crate) losses: Losses,
    /// Headers of the provider that the client shall see.
    pub(crate) forwarded: HeaderMap,
    /// Goes on with answers that the provider pauses.
    pub(crate) resume: Option<Box<Resume>>,
}

impl Reading {
    /// Reads the provider's answer, in whichever of the two forms it comes, and gives the client the one it asked for.
    pub(crate) async fn read(mut self, x: &mut Exchange, slot: &Slot, opened: Opened) -> Result<Ready, Failed> {
        match (x.stream, self.comes_as_stream(x.stream, &opened)) {
            (true, Some(false)) => {
                let response = self.whole(x, slot, opened).await?;
                // Already restored.
                self.answerer.restore = Restore::default();
                Ok(self.answer_with(x, slot, into_events(response)))
            }
            (true, _) => Box::pin(self.live(x, slot, opened)).await,
            (false, _) => {
                let response = self.whole(x, slot, opened).await?;
                Ok(self.whole_ready(x, slot, response))
            }
        }
    }

    /// Whether the answer is a stream; `None` where nothing says so.
    fn comes_as_stream(&self, asked: bool, opened: &Opened) -> Option<bool> {
        match &self.target.wire {
            Wire::Custom(custom) => custom.comes_as_stream(asked, opened.is_stream()),
            _ => opened.is_stream(),
        }
    }

    /// A whole answer, whatever form it comes in, pauses mended and restored.
    async fn whole(&mut self, x: &Exchange, slot: &Slot, opened: Opened) -> Result<Response, Fault> {
        let mut response = self.one(x, slot, opened).await?;
        while let Some(resume) = self.resume.as_mut().filter(|resume| resume.is_paused(&response)) {
            let Some(following) = resume.go_on_after(response.clone()) else { break };
            let opened = following.await?;
            let next = self.one(x, slot, opened).await?;
            response = joined(response, next);
        }
        Restorer::new(self.answerer.restore.clone()).response(&mut response);
        Ok(response)
    }

    async fn one(&self, x: &Exchange, slot: &Slot, mut opened: Opened) -> Result<Response, Fault> {
        let response = if self.comes_as_stream(x.stream, &opened) == Some(true) {
            // Boxed: this is rare, and larger than all the rest.
            Box::pin(self.collected(x, slot, opened)).await?
        } else {
            let limits = &x.runtime.config.limits;
            let bytes = wire::whole(&mut opened, &slot.target.provider, limits.answer_bytes).await?;
            decoded(&self.target, bytes, limits.event_bytes)?
        };
        if let Some(candidate) = response.first() {
            useful(&candidate.finish, Content::of(&candidate.parts))?;
        }
        Ok(response)
    }

    /// The answer to a client that wants it whole, of a body that is here already.
    pub(crate) fn whole_of(self, x: &mut Exchange, slot: &Slot, bytes: Bytes) -> Result<Ready, Failed> {
        let response = decoded(&self.target, bytes, x.runtime.config.limits.event_bytes)?;
        if let Some(candidate) = response.first() {
            useful(&candidate.finish, Content::of(&candidate.parts))?;
        }
        Ok(self.whole_ready(x, slot, response))
    }

    /// A provider that streams although it was not asked to.
    async fn collected(&self, x: &Exchange, slot: &Slot, opened: Opened) -> Result<Response, Fault> {
        let limits = &x.runtime.config.limits;
        let Opened { mut body, mut patience, .. } = opened;
        let mut decoder = StreamDecoder::new(&self.target, limits.event_bytes);
        let mut collector = Collector::new();
        let mut events = Vec::new();
        while !decoder.is_ended() {
            match tokio::time::timeout_at(patience.deadline(), body.chunk()).await {
                Err(_) => return Err(patience.fault(&slot.target.provider)),
                Ok(Ok(Some(chunk))) => {
                    patience.hear(true);
                    decoder.push(chunk, &mut events);
                }
                Ok(Ok(None)) => decoder.finish(BodyEnd::Clean, &mut events),
                Ok(Err(_)) => decoder.finish(BodyEnd::Broken, &mut events),
            }
            for event in events.drain(..) {
                collector.push(event);
            }
            if collector.size() > limits.answer_bytes {
                return Err(wire::broken(&slot.target.provider, "it is too large"));
            }
        }
        collector.into_response()
    }

    /// Writes a whole answer.
    fn whole_ready(mut self, x: &mut Exchange, slot: &Slot, response: Response) -> Ready {
        let context = &self.answerer.context;
        let unsaid = answer_losses(x.answer, context, &response);
        x.count_losses(&unsaid, self.target.protocol);
        self.losses.extend(unsaid);
        x.record.first_output();
        x.record.usage = response.usage.clone();
        x.record.answered_as(&response.id, &response.model);
        x.record.finish = response.first().map(|candidate| candidate.finish.as_str().into());
        let body = Bytes::from(encode_response(x.answer, context, &response));
        x.record.seen = tokens_of(body.len());
        let mut headers = x.reply_headers(slot, &self.losses);
        headers.extend(self.forwarded);
        headers.insert(CONTENT_TYPE, json_type(x.answer));
        x.keep_signatures(context, &response);
        if let Some(keeper) = x.keeper(context) {
            keeper.keep(Kept { response, size: body.len() });
        }
        Ready::Whole { headers, body }
    }

    /// An answer that is already here as events.
    fn answer_with(self, x: &mut Exchange, slot: &Slot, events: Vec<Event>) -> Ready {
        if !x.stream {
            let mut collector = Collector::new();
            events.into_iter().for_each(|event| collector.push(event));
            // These events come from ourselves and hold no error.
            let mut response = collector.into_response().unwrap_or_default();
            Restorer::new(self.answerer.restore.clone()).response(&mut response);
            return self.whole_ready(x, slot, response);
        }
        x.record.first_output();
        let headers = self.stream_headers(x, slot);
        let mut translation = Translation::new(x, slot, self, None, ProviderBody::whole(Bytes::new()), None);
        translation.events = events;
        Ready::Live { headers, live: Live::Translation(Box::new(translation)) }
    }

    /// A stream of the provider, read up to its first output.
    async fn live(self, x: &mut Exchange, slot: &Slot, opened: Opened) -> Result<Ready, Failed> {
        let decoder = StreamDecoder::new(&self.target, x.runtime.config.limits.event_bytes);
        let Opened { body, patience, .. } = opened;
        let protocol = self.target.protocol;
        let headers = self.stream_headers(x, slot);
        let mut translation = Translation::new(x, slot, self, Some(decoder), body, Some(patience));
        translation.hold_back(protocol).await?;
        x.record.first_output();
        Ok(Ready::Live { headers, live: Live::Translation(Box::new(translation)) })
    }

    fn stream_headers(&self, x: &mut Exchange, slot: &Slot) -> HeaderMap {
        let mut headers = stream_headers(x.answer, x.head.json_array);
        headers.extend(x.reply_headers(slot, &self.losses));
        headers.extend(self.forwarded.clone());
        headers
    }
}

/// Reads a whole body, which may be the events of a stream that nobody has announced.
fn decoded(target: &Target, bytes: Bytes, event_bytes: usize) -> Result<Response, Fault> {
    if !is_event_stream(&bytes) {
        return decode_response(target, bytes);
    }
    let mut decoder = StreamDecoder::new(target, event_bytes);
    let mut events = Vec::new();
    decoder.push(bytes, &mut events);
    decoder.finish(BodyEnd::Clean, &mut events);
    let mut collector = Collector::new();
    events.into_iter().for_each(|event| collector.push(event));
    collector.into_response()
}

/// Whether a body begins like an event stream.
pub(super) fn is_event_stream(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    [&b"data:"[..], b"event:", b":"].iter().any(|begin| start.starts_with(begin))
}

/// What writing answers needs.
#[derive(Debug)]
pub(crate) struct Answerer {
    pub(crate) context: ClientContext,
    pub(crate) restore: Restore,
}

impl Exchange {
    /// The context of an answer to this client.
    pub(crate) fn context(&self, slot: &Slot, target: &Target, request: Arc<Request>) -> ClientContext {
        ClientContext {
            model: self.shown_model(slot),
            id: self.id.text().clone(),
            now: wire::now(),
            carrier: Some(Arc::clone(&self.runtime.config.carrier)),
            scope: target.scope,
            provider: target.protocol,
            // Only Messages names it before the provider does.
            input_estimate: if self.answer == ClientProtocol::Messages && self.stream {
                estimate::input_tokens(&request)
            } else {
                0
            },
            expose_reasoning: self.runtime.config.expose_reasoning,
            previous_response_id: self.previous(),
            request,
        }
    }
}

/// Everything the pure part of a translation needs, so that it can run on another thread.
struct Work {
    target: Target,
    request: Arc<Request>,
    carrier: Arc<CarrierKey>,
    app: Arc<App>,
    owner: Text,
    /// Signatures are left out: the provider refused those of this body.
    unsigned: Option<Bytes>,
    encode: bool,
}

struct Translated {
    resolved: Request,
    restore: Restore,
    losses: Losses,
    encoded: Encoded,
    /// What signatures were looked for and are not in memory.
    missed: Vec<Text>,
}

impl Work {
    fn run(&self) -> Translated {
        let mut losses = Losses::new();
        let mut request = Request::clone(&self.request);
        let mut stripped = None;
        if let Some(refused) = &self.unsigned {
            let target = stripped.insert(self.target.clone());
            strip_signatures(target, &mut request, refused, &mut losses);
        }
        let target = stripped.as_ref().unwrap_or(&self.target);
        let missed = RefCell::new(Vec::new());
        let signatures = |anchor: &str| {
            if self.unsigned.is_some() {
                return Vec::new();
            }
            let found = self.app.signatures.get(&self.owner, anchor);
            found.unwrap_or_else(|| {
                missed.borrow_mut().push(Text::from(anchor));
                Vec::new()
            })
        };
        let context = ResolveContext { carrier: Some(&self.carrier), signatures: &signatures };
        let (resolved, restore) = resolve(target, request, &context, &mut losses);
        let encoded = if self.encode { encode_request(target, &resolved, &mut losses) } else { Encoded::default() };
        Translated { resolved, restore, losses, encoded, missed: missed.into_inner() }
    }
}

/// Refuses a request whose losses the policy does not allow.
pub(super) fn refuse_losses(x: &Exchange, losses: &Losses) -> Result<(), Failed> {
    let strict = x.strict || x.runtime.config.losses == LossPolicy::Strict;
    let limit = if strict { Severity::Warn } else { Severity::Error };
    let Some(loss) = losses.first_at_least(limit) else { return Ok(()) };
    let fault = Fault::bad_request(dotted(&loss.path), sentence(loss, strict));
    Err(Failed { fault, unable: true })
}

fn sentence(loss: &Loss, strict: bool) -> String {
    let what = if loss.detail.is_empty() {
        loss.code.as_str().to_owned()
    } else {
        format!("{} ({})", loss.detail, loss.code.as_str())
    };
    let why =
        if strict { "strict mode allows no loss" } else { "the request cannot be carried to the model that answers" };
    format!("{}: {what}; {why}", dotted(&loss.path))
}

/// A JSON pointer the way clients name fields: `messages[2].content[0]`.
fn dotted(pointer: &str) -> String {
    let mut out = String::new();
    for segment in pointer.split('/').filter(|segment| !segment.is_empty()) {
        if segment.bytes().all(|byte| byte.is_ascii_digit()) {
            out.push('[');
            out.push_str(segment);
            out.push(']');
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(segment);
        }
    }
    if out.is_empty() { "body".to_owned() } else { out }
}

fn json_type(protocol: ClientProtocol) -> HeaderValue {
    match protocol {
        ClientProtocol::Gemini => HeaderValue::from_static("application/json; charset=UTF-8"),
        ClientProtocol::Chat | ClientProtocol::Responses | ClientProtocol::Messages => {
            HeaderValue::from_static("application/json")
        }
    }
}

/// A stream that is translated while it flows.
pub(crate) struct Translation {
    provider: Text,
    body: ProviderBody,
    /// None once the provider's body is over, or when there never was one.
    decoder: Option<Box<StreamDecoder>>,
    /// Goes on with answers that the provider pauses; with the target to read the rest from.
    resume: Option<Box<Resume>>,
    target: Option<Box<Target>>,
    following: Option<Following>,
    max_event: usize,
    restorer: Restorer,
    encoder: StreamEncoder,
    /// Decoded, not yet written.
    events: Vec<Event>,
    restored: Vec<Event>,
    out: Vec<u8>,
    patience: Option<Box<Patience>>,
    /// Several answers were asked for.
    several: bool,
    /// Bytes of the answer.
    seen: u64,
    /// When the only answer was finished.
    finished: Option<Instant>,
    outcome: Outcome,
    /// `End` was written.
    ended: bool,
    turn: Turn,
    expired: bool,
    keeper: Option<Box<Keeper>>,
    collector: Option<Box<Collector>>,
    signatures: SignatureSink,
    /// Of the request; at the end also of the answer.
    losses: Losses,
}

impl fmt::Debug for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translation").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// Where signatures go that the client cannot carry.
#[derive(Debug)]
struct SignatureSink {
    app: Arc<App>,
    owner: Text,
    scope: u32,
}

impl Translation {
    fn new(
        x: &Exchange,
        slot: &Slot,
        reading: Reading,
        decoder: Option<StreamDecoder>,
        body: ProviderBody,
        patience: Option<Patience>,
    ) -> Self {
        let Reading { target, answerer, resume, losses, .. } = reading;
        let keeper = x.keeper(&answerer.context).map(Box::new);
        let signatures =
            SignatureSink { app: Arc::clone(&x.app), owner: x.caller.owner().clone(), scope: answerer.context.scope };
        Self {
            provider: slot.target.provider.clone(),
            body,
            decoder: decoder.map(Box::new),
            target: resume.is_some().then(|| Box::new(target)),
            resume,
            following: None,
            max_event: x.runtime.config.limits.event_bytes,
            restorer: Restorer::new(answerer.restore),
            several: answerer.context.request.candidates.is_some_and(|count| count > 1),
            seen: 0,
            encoder: StreamEncoder::new(x.answer, answerer.context),
            events: Vec::new(),
            restored: Vec::new(),
            out: Vec::new(),
            patience: patience.map(Box::new),
            finished: None,
            outcome: Outcome::Answered,
            ended: false,
            turn: Turn::default(),
            expired: false,
            collector: keeper.is_some().then(Box::default),
            keeper,
            signatures,
            losses,
        }
    }

    /// Waits for output that may be shown. Until then a failure is a failure of the attempt, not of the stream.
    async fn hold_back(&mut self, protocol: Protocol) -> Result<(), Fault> {
        let mut seen = 0;
        let mut read = 0;
        let mut calls = Revocable::new(protocol == Protocol::Gemini);
        loop {
            let Some(decoder) = &mut self.decoder else { return Ok(()) };
            let Some(patience) = &mut self.patience else { return Ok(()) };
            match tokio::time::timeout_at(patience.deadline(), self.body.chunk()).await {
                Err(_) => return Err(patience.fault(&self.provider)),
                Ok(Ok(Some(chunk))) => {
                    read += chunk.len();
                    decoder.push(chunk, &mut self.events);
                    patience.hear(false);
                }
                Ok(Ok(None)) => decoder.finish(BodyEnd::Clean, &mut self.events),
                Ok(Err(_)) => decoder.finish(BodyEnd::Broken, &mut self.events),
            }
            for event in self.events.iter().skip(seen) {
                match event {
                    Event::Error(fault) => return Err(Fault::clone(fault)),
                    Event::Finish(finish) => useful(&finish.reason, calls.content())?,
                    event if read <= HELD && calls.hold(event) => continue,
                    event if !is_output(event) => continue,
                    _ => {}
                }
                return Ok(());
            }
            // Signs of life need not be kept.
            self.events.retain(|event| !matches!(event, Event::Ping));
            seen = self.events.len();
            if decoder.is_ended() {
                return Ok(());
            }
        }
    }

    /// The attempts are over: the client's conversation is needed no more.
    pub(crate) fn settle(&mut self) {
        self.encoder.forget_history();
    }

    /// The next bytes for the client, or the end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, record: &mut Record) -> Poll<Step> {
        loop {
            self.write_events(record);
            if self.ended {
                self.note_losses(record);
                self.shut();
                return self.flush_or_end();
            }
            if self.out.len() >= FULL {
                return self.flush_or_end();
            }
            if self.expired {
                self.expire();
                continue;
            }
            if let Some(following) = &mut self.following {
                match following.as_mut().poll(cx) {
                    Poll::Ready(opened) => self.follow(opened),
                    Poll::Pending if self.out.is_empty() => return Poll::Pending,
                    Poll::Pending => return self.flush_or_end(),
                }
                continue;
            }
            let Some(decoder) = &mut self.decoder else {
                // Events that came from ourselves end by themselves.
                self.events.push(Event::End);
                continue;
            };
            match self.body.poll_chunk(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    self.turn.begin();
                    decoder.push(chunk, &mut self.events);
                    let progress = self.events.iter().any(|event| !matches!(event, Event::Ping));
                    if let Some(patience) = &mut self.patience {
                        patience.hear(progress);
                    }
                    if self.turn.goes_on(cx) {
                        return Poll::Ready(Step::Turn);
                    }
                }
                Poll::Ready(Some(Err(_))) => decoder.finish(BodyEnd::Broken, &mut self.events),
                Poll::Ready(None) => decoder.finish(BodyEnd::Clean, &mut self.events),
                Poll::Pending if self.out.is_empty() => {
                    // A stream that is idle holds no room for events.
                    (self.events, self.restored) = (Vec::new(), Vec::new());
                    return Poll::Pending;
                }
                Poll::Pending if self.turn.goes_on(cx) => return Poll::Ready(Step::Turn),
                Poll::Pending => return self.flush_or_end(),
            }
        }
    }

    /// Whether all of a good answer was handed on.
    pub(crate) fn is_said(&self) -> bool {
        self.ended && self.out.is_empty() && self.outcome == Outcome::Answered
    }

    fn flush_or_end(&mut self) -> Poll<Step> {
        if self.out.is_empty() {
            return Poll::Ready(Step::End(self.outcome));
        }
        // The buffer is given away: a stream that is idle holds none.
        Poll::Ready(Step::Bytes(Bytes::from(std::mem::take(&mut self.out))))
    }

    /// Writes what was decoded.
    fn write_events(&mut self, record: &mut Record) {
        if self.events.is_empty() {
            return;
        }
        let mut events = std::mem::take(&mut self.events);
        let mut restored = std::mem::take(&mut self.restored);
        for event in events.drain(..) {
            if self.following.is_some() {
                // What comes after the pause is not the end.
                break;
            }
            let Some(event) = self.not_paused(event) else { continue };
            self.restorer.event(event, &mut restored);
            for event in restored.drain(..) {
                self.write(event, record);
            }
        }
        // Room for a few events is kept, not for a flood.
        if events.capacity() <= 16 {
            self.events = events;
        }
        self.restored = restored;
    }

    /// Passes events on, but for those at which the provider pauses: then it is asked to go on.
    fn not_paused(&mut self, event: Event) -> Option<Event> {
        let Some(resume) = &mut self.resume else { return Some(event) };
        match resume.take(event) {
            Taken::Pass(event) => Some(event),
            Taken::Swallow => None,
            Taken::Pause(finish) => match resume.go_on() {
                Some(following) => {
                    self.following = Some(following);
                    self.decoder = None;
                    self.body = ProviderBody::whole(Bytes::new());
                    None
                }
                None => Some(finish),
            },
        }
    }

    /// The provider goes on, or fails to.
    fn follow(&mut self, opened: Result<Opened, Fault>) {
        self.following = None;
        match (opened, &self.target) {
            (Ok(opened), Some(target)) => {
                self.decoder = Some(Box::new(StreamDecoder::new(target, self.max_event)));
                self.body = opened.body;
                self.patience = Some(Box::new(opened.patience));
            }
            (Err(fault), _) => self.events.extend([Event::Error(Box::new(fault)), Event::End]),
            (Ok(_), None) => self.events.push(Event::End),
        }
    }

    /// Its headers are gone: what the client was not told stands in the log only.
    fn note_losses(&mut self, record: &mut Record) {
        let unsaid = self.encoder.take_losses();
        if !unsaid.is_empty() {
            record.count_losses(&unsaid);
            self.losses.extend(unsaid);
            record.lost(&self.losses);
        }
    }

    fn write(&mut self, event: Event, record: &mut Record) {
        if self.ended {
            return;
        }
        match &event {
            Event::Start(start) => record.answered_as(&start.id, &start.model),
            Event::Usage(usage) => record.usage = Usage::clone(usage),
            Event::Delta { text, .. } => {
                self.seen += u64::try_from(text.len()).unwrap_or_default();
                record.seen = self.seen.div_ceil(BYTES_PER_TOKEN);
            }
            Event::Error(fault) => self.outcome = Outcome::Failed(fault.class),
            Event::Finish(finish) => {
                record.finish.get_or_insert_with(|| finish.reason.as_str().into());
                if !self.several {
                    self.finished = Some(Instant::now());
                }
            }
            Event::End => self.ended = true,
            _ => {}
        }
        if let Some(collector) = &mut self.collector {
            collector.push(event.clone());
        }
        self.encoder.encode(event, &mut self.out);
    }

    /// The stream is over: hands on what is kept and lets go of the provider.
    fn shut(&mut self) {
        self.decoder = None;
        self.following = None;
        self.body = ProviderBody::whole(Bytes::new());
        let sink = &self.signatures;
        for (anchor, signatures) in self.encoder.take_signatures() {
            sink.app.signatures.put(&sink.owner, sink.scope, anchor, signatures);
        }
        if let (Some(keeper), Some(collector)) = (self.keeper.take(), self.collector.take())
            && self.outcome == Outcome::Answered
        {
            let size = collector.size();
            if let Ok(response) = collector.into_response() {
                keeper.keep(Kept { response, size });
            }
        }
    }

    /// When the provider has been silent too long.
    pub(crate) fn deadline(&self) -> Instant {
        let patience = self.patience.as_ref().map(|patience| patience.deadline());
        let late = self.finished.map(|finished| finished + LATE_USAGE);
        let never = || Instant::now() + Duration::from_secs(24 * 3600);
        patience.into_iter().chain(late).min().unwrap_or_else(never)
    }

    /// The deadline has passed.
    pub(crate) fn time_is_up(&mut self) {
        self.expired = true;
    }

    fn expire(&mut self) {
        self.expired = false;
        self.following = None;
        if self.finished.is_none()
            && let Some(patience) = &self.patience
        {
            self.events.push(Event::Error(Box::new(patience.fault(&self.provider))));
        }
        self.events.push(Event::End);
    }

    /// The protocol's sign of life.
    pub(crate) fn keep_alive(&mut self) -> Bytes {
        let mut out = Vec::new();
        self.encoder.keep_alive(&mut out);
        out.into()
    }

    /// Ends the stream with an error of ours.
    pub(crate) fn fail(&mut self, fault: &Fault) -> Bytes {
        if self.ended {
            return Bytes::new();
        }
        self.ended = true;
        self.outcome = Outcome::Failed(fault.class);
        self.encoder.encode(Event::Error(Box::new(fault.clone())), &mut self.out);
        self.encoder.encode(Event::End, &mut self.out);
        self.shut();
        Bytes::from(std::mem::take(&mut self.out))
    }
}

/// Whether an event shows that the model has begun to answer.
pub(crate) fn is_output(event: &Event) -> bool {
    match event {
        Event::Start(_) | Event::Usage(_) | Event::Ping | Event::Opaque { .. } | Event::SummaryBreak { .. } => false,
        Event::PartStart { start, .. } => matches!(start, PartStart::ToolCall(_) | PartStart::ServerToolCall(_)),
        Event::Delta { .. }
        | Event::Signature { .. }
        | Event::Citation { .. }
        | Event::Logprobs { .. }
        | Event::PartEnd { .. }
        | Event::Part { .. }
        | Event::Finish(_)
        | Event::Error(_)
        | Event::End => true,
    }
}
