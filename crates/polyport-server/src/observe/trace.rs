//! The record of one request: what its log line and its figures are made of.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use polyport_types::{ClientProtocol, Fault, FaultClass, Losses, Text, Usage};
use tracing::{Level, Span, debug, info, info_span};

use super::metrics::{AskedLabels, Ended, Name, ReasonLabels, RequestLabels, Word};
use super::otlp::{self, Trace};
use crate::app::App;
use crate::id::RequestId;
use crate::ingress::access::Place;
use crate::relay::course::UnderWay;

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
    /// Provider and its model.
    pub(crate) target: Option<(Text, Text)>,
    /// Its protocol, or `none`.
    pub(crate) to: &'static str,
    /// Tries made.
    pub(crate) attempts: u32,
    /// A second one was made while the first was slow.
    hedged: bool,
    /// The client streams.
    pub(crate) stream: bool,
    /// The body went through unchanged.
    pub(crate) passthrough: bool,
    /// Tokens.
    pub(crate) usage: Usage,
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
        Self {
            app,
            span,
            started: Instant::now(),
            protocol,
            route,
            status: 0,
            model: Text::new(),
            target: None,
            to: "none",
            attempts: 0,
            hedged: false,
            stream: false,
            passthrough: false,
            usage: Usage::default(),
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
        Self {
            app: Arc::clone(&self.app),
            span: self.span.clone(),
            started: self.started,
            protocol: self.protocol,
            route: self.route,
            status: 0,
            model: self.model.clone(),
            target: None,
            to: "none",
            attempts: 0,
            hedged: true,
            stream: self.stream,
            passthrough: false,
            usage: Usage::default(),
            // Our own time before the first attempt is measured there.
            sent: Some(Instant::now()),
            first_output: None,
            upstream_id: None,
            losses: 0,
            loss_report: None,
            place: None,
            attempt: None,
            under_way: None,
            trace: self.trace.as_ref().map(|trace| trace.beside()),
            ended: true,
        }
    }

    /// Counts a second attempt; where it is the one that counts, what is known of it is what is known of the request.
    pub(crate) fn adopt(&mut self, mut beside: Self, counts: bool) {
        self.hedged = true;
        self.attempts += beside.attempts;
        if let (Some(trace), Some(other)) = (&mut self.trace, beside.trace.take()) {
            trace.adopt(*other, counts);
        }
        if counts {
            self.target = beside.target.take();
            self.to = beside.to;
            self.under_way = beside.under_way;
            self.passthrough = beside.passthrough;
            self.usage = std::mem::take(&mut beside.usage);
            self.first_output = beside.first_output;
            self.upstream_id = beside.upstream_id.take();
            self.losses = beside.losses;
            self.loss_report = beside.loss_report.take();
        }
    }

    /// When the request came.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// An attempt goes out.
    pub(crate) fn sent(&mut self) {
        if self.sent.is_none() {
            let figures = self.app.metrics.pair(self.protocol, self.to);
            figures.overhead.observe(self.started.elapsed().as_secs_f64());
        }
        let now = Instant::now();
        (self.sent, self.under_way) = (Some(now), Some(now));
        self.attempts += 1;
        if let Some(trace) = &mut self.trace {
            let (provider, model) = self.target.as_ref().map_or(("", ""), |(provider, model)| (&**provider, &**model));
            trace.sent(provider, model);
        }
    }

    /// The attempt under way has failed.
    pub(crate) fn failed(&mut self, fault: &Fault) {
        self.attempted(Some(fault.class.as_str()));
        if let Some(trace) = &mut self.trace {
            trace.failed(fault.class.as_str(), fault.upstream_status);
        }
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

    /// The request has ended.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.attempted(outcome.error_type());
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
            usage: &self.usage,
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
                usage: Usage { raw: None, ..self.usage.clone() },
                upstream_id: self.upstream_id.clone(),
                now: self.started + total,
            };
            tracer.end(ended, &self.app.metrics);
        }
    }

    /// What was asked of whom.
    fn asked(&self) -> AskedLabels {
        let nobody = (Text::from_static("none"), Text::from_static("none"));
        let (provider, model) = self.target.as_ref().unwrap_or(&nobody);
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
        let words = outcome.error_type().unwrap_or("answered");
        let counted = !self.usage.is_absent();
        let (provider, upstream_model) = match &self.target {
            Some((provider, model)) => (Some(clean(provider)), Some(clean(model))),
            None => (None, None),
        };
        self.span.in_scope(|| {
            info!(
                status = self.status,
                outcome = words,
                gen_ai.request.model = &*clean(&self.model),
                gen_ai.provider.name = provider.as_deref(),
                gen_ai.response.model = upstream_model.as_deref(),
                stream = self.stream,
                passthrough = self.passthrough,
                attempts = self.attempts,
                hedged = self.hedged.then_some(true),
                losses = self.losses,
                loss_report = self.loss_report.as_deref(),
                gen_ai.usage.input_tokens = counted.then(|| self.usage.input_total()),
                gen_ai.usage.output_tokens = counted.then(|| self.usage.output_total()),
                gen_ai.usage.cache_read.input_tokens = self.usage.cache_read,
                gen_ai.usage.cache_creation.input_tokens = Some(self.usage.cache_write()).filter(|&count| count > 0),
                gen_ai.usage.reasoning.output_tokens = self.usage.reasoning,
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
