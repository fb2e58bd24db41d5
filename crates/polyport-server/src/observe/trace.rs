//! The record of one request: what its log line and its figures are made of.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use parking_lot::Mutex;
use polyport_routing::Disconnect;
use polyport_store::log::{Attempt, Ending, Entry};
use polyport_types::{ClientProtocol, Fault, FaultClass, Losses, Text, Usage};
use tracing::{Level, Span, debug, info, info_span};

use super::capture::Capture;
use super::metrics::{AskedLabels, Ended, Name, ReasonLabels, RequestLabels, Word};
use super::otlp::{self, Trace};
use crate::app::{App, Runtime};
use crate::clock;
use crate::id::RequestId;
use crate::ingress::access::{Caller, Place};
use crate::ledger::Demand;
use crate::ledger::accounts::Ticket;
use crate::ledger::journal::Intent;
use crate::ledger::tries::{self, Close, Estimate, Known, Try};
use crate::relay::course::{Slot, UnderWay};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The client got an answer.
    Answered,
    /// The client got an error, or its stream ended with one.
    Failed(FaultClass),
    /// The client left before the end.
    ClientGone,
}

impl Outcome {
    /// What went wrong, if something did.
    fn error_type(self) -> Option<&'static str> {
        match self {
            Self::Answered => None,
            Self::Failed(class) => Some(class.as_str()),
            Self::ClientGone => Some("client_gone"),
        }
    }

    /// As logs have it.
    pub(crate) fn as_str(self) -> &'static str {
        self.error_type().unwrap_or("answered")
    }
}

/// The tries of a request.
#[derive(Debug, Default)]
struct Tries {
    made: Vec<Try>,
    /// What is in the journal of them.
    intent: Option<Intent>,
}

/// What is known about a request while it is answered. Writes one log event when it ends, whatever way it ends.
#[derive(Debug)]
pub(crate) struct Record {
    app: Arc<App>,
    span: Span,
    started: Instant,
    /// What the client speaks.
    pub(crate) protocol: ClientProtocol,
    /// Name of the route, for metrics.
    pub(crate) route: &'static str,
    /// HTTP status of the answer.
    pub(crate) status: u16,
    /// Model asked for.
    pub(crate) model: Text,
    /// Who asks; `None` as long as that is not known.
    pub(crate) caller: Option<Caller>,
    /// Where the present attempt goes: provider, its model, and the credential.
    target: Option<(Text, Text, Option<Text>)>,
    /// Its protocol, or `none`.
    pub(crate) to: &'static str,
    /// Tries made, those of a second attempt beside this one included.
    tries: Arc<Mutex<Tries>>,
    /// The place of the present one among them.
    current: Option<usize>,
    /// A second one was made while the first was slow.
    hedged: bool,
    /// The client streams.
    pub(crate) stream: bool,
    /// The body went through unchanged.
    pub(crate) passthrough: bool,
    /// Tokens of the present attempt, as its provider counts them.
    pub(crate) usage: Usage,
    /// The same of the answer that counts, once it has ended.
    answered: Usage,
    /// What it may use.
    estimate: Estimate,
    /// Tokens of the answer that the client has, where nobody else counts them.
    pub(crate) seen: u64,
    /// Why the answer ended.
    pub(crate) finish: Option<Text>,
    /// What was said of an error.
    error: Option<String>,
    /// The client's address, as far as it is kept.
    pub(crate) source: Option<String>,
    /// What is said, where that is kept.
    pub(crate) capture: Option<Box<Capture>>,
    /// What becomes of the answer when the client leaves.
    pub(crate) disconnect: Disconnect,
    /// How a provider is left whose client has gone.
    pub(crate) left: Ending,
    /// What was taken from the caller's limits.
    ticket: Option<Ticket>,
    id: Text,
    at: i64,
    /// When the last attempt was sent.
    sent: Option<Instant>,
    first_output: Option<Instant>,
    /// The provider's own request id.
    pub(crate) upstream_id: Option<String>,
    /// Entries of the loss report.
    losses: usize,
    /// The whole loss report, if there is one.
    loss_report: Option<String>,
    /// The request's place among those in flight.
    pub(crate) place: Option<Place>,
    /// The answer's place among those of its credential.
    pub(crate) attempt: Option<UnderWay>,
    /// When the attempt under way was sent.
    under_way: Option<Instant>,
    /// What its trace will tell, if it has one.
    trace: Option<Box<Trace>>,
    ended: bool,
}

impl Record {
    /// The record of a request that has just begun.
    pub(crate) fn new(app: Arc<App>, id: &RequestId, protocol: ClientProtocol, route: &'static str) -> Self {
        let span = info_span!("request", id = &**id.text(), protocol = protocol.as_str(), route);
        app.metrics.inflight.inc();
        Self::blank(app, span, id.text().clone(), protocol, route)
    }

    fn blank(app: Arc<App>, span: Span, id: Text, protocol: ClientProtocol, route: &'static str) -> Self {
        Self {
            app,
            span,
            started: Instant::now(),
            protocol,
            route,
            status: 0,
            model: Text::new(),
            caller: None,
            target: None,
            to: "none",
            tries: Arc::default(),
            current: None,
            hedged: false,
            stream: false,
            passthrough: false,
            usage: Usage::default(),
            answered: Usage::default(),
            estimate: Estimate::default(),
            seen: 0,
            finish: None,
            error: None,
            source: None,
            capture: None,
            disconnect: Disconnect::Cancel,
            left: Ending::Cancelled,
            ticket: None,
            id,
            at: clock::now_signed(),
            sent: None,
            first_output: None,
            upstream_id: None,
            losses: 0,
            loss_report: None,
            place: None,
            attempt: None,
            under_way: None,
            trace: None,
            ended: false,
        }
    }

    /// The record of a second attempt beside the present one: it is not logged, but may be [adopted](Self::adopt).
    pub(crate) fn beside(&self) -> Self {
        let mut beside =
            Self::blank(Arc::clone(&self.app), self.span.clone(), self.id.clone(), self.protocol, self.route);
        (beside.started, beside.at) = (self.started, self.at);
        beside.model = self.model.clone();
        beside.caller = self.caller.clone();
        beside.tries = Arc::clone(&self.tries);
        (beside.stream, beside.hedged) = (self.stream, true);
        beside.estimate = self.estimate;
        // Our own time before the first attempt is measured there.
        beside.sent = Some(Instant::now());
        beside.trace = self.trace.as_ref().map(|trace| trace.beside());
        beside.ended = true;
        beside
    }

    /// Counts a second attempt; where it is the one that counts, what is known of it is what is known of the request.
    pub(crate) fn adopt(&mut self, mut beside: Self, counts: bool) {
        self.hedged = true;
        if let (Some(trace), Some(other)) = (&mut self.trace, beside.trace.take()) {
            trace.adopt(*other, counts);
        }
        if counts {
            self.close(Close::Outrun);
            self.target = beside.target.take();
            self.to = beside.to;
            self.under_way = beside.under_way;
            self.passthrough = beside.passthrough;
            self.usage = std::mem::take(&mut beside.usage);
            self.seen = beside.seen;
            self.finish = beside.finish.take();
            self.first_output = beside.first_output;
            self.upstream_id = beside.upstream_id.take();
            self.losses = beside.losses;
            self.loss_report = beside.loss_report.take();
            self.current = beside.current;
        } else {
            beside.close(Close::Outrun);
        }
    }

    /// When the request came.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// What a request is about is known: takes what it may use from the limits of its caller.
    ///
    /// # Errors
    /// `LocalRate` or `LocalQuota`.
    pub(crate) fn admit(&mut self, runtime: &Runtime, asked: Demand<'_>, estimate: Estimate) -> Result<(), Fault> {
        self.estimate = estimate;
        if let Some(before) = self.ticket.take() {
            self.app.ledger.accounts.close(before, None);
        }
        let Some(caller) = &self.caller else { return Ok(()) };
        let ticket = self.app.ledger.admit(runtime, caller, asked, estimate);
        self.ticket = ticket.inspect_err(|fault| {
            let reason = Word(fault.class.as_str());
            self.app.metrics.limit_refusals.get_or_create(&ReasonLabels { reason }).inc();
        })?;
        Ok(())
    }

    /// Tells the client what is left of its limits.
    pub(crate) fn tell_limits(&self, headers: &mut HeaderMap) {
        if let Some(ticket) = &self.ticket {
            ticket.tell(self.protocol, headers);
        }
    }

    /// Where the next attempt goes; `to` is what is spoken there.
    pub(crate) fn aim(&mut self, slot: &Slot, to: &'static str) {
        self.target = Some((slot.target.provider.clone(), slot.target.model.clone(), slot.credential_id().cloned()));
        self.to = to;
    }

    /// An attempt goes out.
    pub(crate) fn sent(&mut self) {
        if self.sent.is_none() {
            let figures = self.app.metrics.pair(self.protocol, self.to);
            figures.overhead.observe(self.started.elapsed().as_secs_f64());
        }
        let now = Instant::now();
        (self.sent, self.under_way) = (Some(now), Some(now));
        if let Some(trace) = &mut self.trace {
            let target = self.target.as_ref().map_or(("", ""), |(provider, model, _)| (&**provider, &**model));
            trace.sent(target.0, target.1);
        }
        self.first_output = None;
        // Whatever became of the one before was told already, or nobody knows.
        self.close(Close::Outrun);
        let (provider, model, credential) = self.target.clone().unwrap_or_default();
        let attempt = Attempt {
            at: clock::now_signed(),
            provider: provider.to_string(),
            credential: credential.map(|credential| credential.to_string()),
            model: model.to_string(),
            ..Attempt::default()
        };
        let priced = self.app.ledger.prices.of(&self.app.runtime(), &provider, &model);
        let shared = Arc::clone(&self.tries);
        let mut tries = shared.lock();
        let n = u16::try_from(tries.made.len() + 1).unwrap_or(u16::MAX);
        self.current = Some(tries.made.len());
        tries.made.push(Try::begin(Attempt { n, ..attempt }, self.estimate, &priced));
        // What nobody asked for with a key is in no log, and was never meant to be.
        if self.caller.is_none() {
            return;
        }
        let before = tries.intent.take();
        let entry = || self.entry(&tries.made, "unknown".to_owned(), Duration::ZERO);
        tries.intent = self.app.ledger.intend(before, entry);
    }

    /// Attempts made.
    pub(crate) fn attempts(&self) -> usize {
        self.tries.lock().made.len()
    }

    /// The attempt under way has failed.
    pub(crate) fn failed(&mut self, fault: &Fault) {
        self.attempted(Some(fault.class.as_str()));
        if let Some(trace) = &mut self.trace {
            trace.failed(fault.class.as_str(), fault.upstream_status);
        }
        self.close(Close::Failed(fault));
    }

    /// Counts the attempt under way, if there is one.
    fn attempted(&mut self, failed: Option<&'static str>) {
        if let Some(sent) = self.under_way.take() {
            self.app.metrics.attempted(self.asked(), sent.elapsed(), failed);
        }
    }

    /// Begins a trace, or goes on with that of the caller, if traces go anywhere.
    pub(crate) fn follow(&mut self, id: &RequestId, head: &Parts) {
        self.trace = self.app.tracer.as_ref().and_then(|tracer| tracer.begin(id, head));
    }

    /// Whether it has a trace.
    pub(crate) fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    /// What the provider calls the answer and the model that gives it.
    pub(crate) fn answered_as(&mut self, id: &str, model: &str) {
        if let Some(trace) = &mut self.trace {
            trace.answered_as(id, model);
        }
    }

    /// Tells a provider of the trace, if providers are to know.
    pub(crate) fn tell_trace(&self, headers: &mut HeaderMap) {
        if let Some(trace) = &self.trace {
            trace.tell(headers);
        }
    }

    /// Ends the attempt under way, if there is one.
    fn close(&mut self, how: Close<'_>) {
        let shared = Arc::clone(&self.tries);
        let mut tries = shared.lock();
        let Some(one) = self.current.and_then(|at| tries.made.get_mut(at)).filter(|one| one.open) else { return };
        let known = Known {
            usage: std::mem::take(&mut self.usage),
            seen: Estimate { input: self.estimate.input, output: std::mem::take(&mut self.seen) },
            first_output: self.first_output,
        };
        let priced = self.app.ledger.prices.of_attempt(&self.app.runtime(), &one.attempt);
        one.close(how, &known, &priced);
        self.answered = known.usage;
    }

    /// Ends what a second attempt left open.
    fn close_others(&mut self) {
        let shared = Arc::clone(&self.tries);
        let mut tries = shared.lock();
        let current = self.current;
        for (_, one) in tries.made.iter_mut().enumerate().filter(|(at, one)| one.open && Some(*at) != current) {
            let seen = Estimate { input: self.estimate.input, output: 0 };
            let known = Known { usage: Usage::default(), seen, first_output: None };
            one.close(Close::Outrun, &known, &self.app.ledger.prices.of_attempt(&self.app.runtime(), &one.attempt));
        }
    }

    fn entry(&self, tries: &[Try], outcome: String, took: Duration) -> Entry {
        let grant = self.caller.as_ref().and_then(|caller| caller.grant());
        let (user, team) = (grant.and_then(|grant| grant.user.as_ref()), grant.and_then(|grant| grant.team.as_ref()));
        let text = |text: &Text| text.to_string();
        let caller = self.caller.as_ref().filter(|caller| !caller.owner().is_empty());
        Entry {
            id: text(&self.id),
            at: self.at,
            key: caller.map(|caller| text(caller.owner())),
            key_name: caller.map(|caller| text(&caller.name)),
            user: user.map(|user| text(&user.id)),
            user_name: user.map(|user| text(&user.name)),
            team: team.map(|team| text(&team.id)),
            team_name: team.map(|team| text(&team.name)),
            protocol: self.protocol.as_str().to_owned(),
            route: self.route.to_owned(),
            model: self.model.chars().filter(is_plain).take(200).collect(),
            stream: self.stream,
            status: self.status,
            outcome,
            finish: self.finish.as_ref().map(text),
            error: self.error.clone(),
            first_token_ms: self.first_output.map(|at| tries::millis(at.saturating_duration_since(self.started))),
            duration_ms: tries::millis(took),
            losses: u32::try_from(self.losses).unwrap_or(u32::MAX),
            loss_report: self.loss_report.clone(),
            upstream_id: self.upstream_id.clone(),
            source: self.source.clone(),
            attempts: tries.iter().map(|one| one.attempt.clone()).collect(),
            payload: None,
        }
    }

    /// What could not be carried as it was.
    pub(crate) fn lost(&mut self, losses: &Losses) {
        self.losses = losses.entries().len();
        // Paths hold names that the client chose.
        self.loss_report = losses.report().map(|report| report.chars().filter(is_plain).collect());
    }

    /// Counts what was lost of a stream.
    pub(crate) fn count_losses(&self, losses: &Losses) {
        self.app.metrics.lost(losses, self.protocol.as_str(), self.to);
    }

    /// The first output is here.
    pub(crate) fn first_output(&mut self) {
        self.first_output.get_or_insert_with(Instant::now);
    }

    /// The answer comes later: all that may be used of it counts.
    pub(crate) fn presume_answer(&mut self) {
        self.seen = self.estimate.output;
    }

    /// What the client is told of a failure.
    pub(crate) fn told(&mut self, fault: &Fault) {
        self.error = Some(fault.message.chars().filter(is_plain).take(300).collect());
    }

    /// The request has ended.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.attempted(outcome.error_type());
        self.close_others();
        match outcome {
            Outcome::Answered => self.close(Close::Answered),
            // What the client was told of it says why.
            Outcome::Failed(class) => {
                let words = self.error.clone().unwrap_or_default();
                self.close(Close::Failed(&Fault::new(class, words)));
            }
            Outcome::ClientGone => self.close(Close::Gone(self.left)),
        }
        let metrics = &self.app.metrics;
        metrics.inflight.dec();
        let total = self.started.elapsed();
        if outcome == Outcome::ClientGone {
            self.status = 499;
            let reason = if self.first_output.is_some() { "streaming" } else { "waiting" };
            metrics.disconnects.get_or_create(&ReasonLabels { reason: Word(reason) }).inc();
        }
        let labels =
            RequestLabels { protocol: Word(self.protocol.as_str()), route: Word(self.route), status: self.status };
        metrics.requests.get_or_create(&labels).inc();
        let ttft = self.first_output.map(|at| at.saturating_duration_since(self.started));
        metrics.ended(Ended {
            asked: self.asked(),
            usage: &self.answered,
            total,
            first_token: ttft.filter(|_| self.stream),
            failed: outcome.error_type(),
        });
        self.log(outcome, total, ttft);
        if let (Some(trace), Some(tracer)) = (self.trace.take(), &self.app.tracer) {
            let ended = otlp::Ended {
                trace,
                started: self.started,
                first_output: self.first_output,
                operation: self.operation(),
                protocol: self.protocol.as_str(),
                route: self.route,
                model: clean(&self.model).into_owned(),
                status: self.status,
                error: outcome.error_type(),
                stream: self.stream,
                passthrough: self.passthrough,
                losses: self.losses,
                usage: Usage { raw: None, ..self.answered.clone() },
                upstream_id: self.upstream_id.clone(),
                finish: self.finish.clone(),
                now: self.started + total,
            };
            tracer.end(ended, &self.app.metrics);
        }
        // Whoever has no key fills no log.
        if self.caller.is_some() {
            let shared = Arc::clone(&self.tries);
            let mut tries = shared.lock();
            let payload = self.capture.as_ref().map(|capture| capture.payload());
            let entry = Entry { payload, ..self.entry(&tries.made, outcome.as_str().to_owned(), total) };
            for attempt in &entry.attempts {
                self.app.metrics.priced(attempt);
            }
            self.app.pulse.ended(&entry);
            let (intent, ticket) = (tries.intent.take(), self.ticket.take());
            self.app.ledger.settle(&self.app.runtime(), ticket, intent, &entry);
        }
    }

    /// What was asked of whom.
    fn asked(&self) -> AskedLabels {
        let nobody = (Text::from_static("none"), Text::from_static("none"), None);
        let (provider, model, _) = self.target.as_ref().unwrap_or(&nobody);
        AskedLabels {
            gen_ai_operation_name: Word(self.operation()),
            gen_ai_provider_name: Name::of(provider),
            gen_ai_request_model: Name::of(model),
        }
    }

    /// What the GenAI conventions call this kind of request; those they do not know go by the name of the route.
    fn operation(&self) -> &'static str {
        match (self.route, self.protocol) {
            ("embeddings" | "count_tokens" | "forward" | "objects" | "kept", _) => self.route,
            ("completions", _) => "text_completion",
            (_, ClientProtocol::Gemini) => "generate_content",
            (_, ClientProtocol::Chat | ClientProtocol::Responses | ClientProtocol::Messages) => "chat",
        }
    }

    fn log(&self, outcome: Outcome, total: Duration, ttft: Option<Duration>) {
        if self.span.is_disabled() {
            return;
        }
        let usage = &self.answered;
        let counted = !usage.is_absent();
        let (provider, upstream_model) = match &self.target {
            Some((provider, model, _)) => (Some(clean(provider)), Some(clean(model))),
            None => (None, None),
        };
        self.span.in_scope(|| {
            info!(
                status = self.status,
                outcome = outcome.as_str(),
                gen_ai.request.model = &*clean(&self.model),
                gen_ai.provider.name = provider.as_deref(),
                gen_ai.response.model = upstream_model.as_deref(),
                stream = self.stream,
                passthrough = self.passthrough,
                attempts = self.attempts(),
                hedged = self.hedged.then_some(true),
                losses = self.losses,
                loss_report = self.loss_report.as_deref(),
                gen_ai.usage.input_tokens = counted.then(|| usage.input_total()),
                gen_ai.usage.output_tokens = counted.then(|| usage.output_total()),
                gen_ai.usage.cache_read.input_tokens = usage.cache_read,
                gen_ai.usage.cache_creation.input_tokens = Some(usage.cache_write()).filter(|&count| count > 0),
                gen_ai.usage.reasoning.output_tokens = usage.reasoning,
                upstream.request_id = self.upstream_id.as_deref().map(clean).as_deref(),
                upstream.ttft_ms = ttft.map(millis),
                duration_ms = millis(total),
                "request ended"
            );
        });
    }
}

/// Writes the log event of a request that asked no model. Its query is left out: it may hold a key.
pub(crate) fn ended(level: Level, id: &RequestId, method: &Method, path: &str, status: StatusCode) {
    let (id, path, status) = (id.text(), clean(path), status.as_u16());
    if level == Level::DEBUG {
        debug!(%id, %method, %path, status, "request ended");
    } else {
        info!(%id, %method, %path, status, "request ended");
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // Whatever drops a record early is the client's connection going away.
        self.end(Outcome::ClientGone);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Text of a client in a log line: at most 120 characters, see [`is_plain`].
fn clean(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 120;
    if text.len() <= LONGEST && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(is_plain).take(LONGEST).collect())
}

/// Whether a character can neither end a line nor change how it is shown.
fn is_plain(c: &char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
