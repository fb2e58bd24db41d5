//! The body of a streamed answer. It goes on by itself when the connection to the client asks for bytes; dropping it ends the call at the
//! provider.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use polyport_protocol::{ClientContext, StreamEncoder};
use polyport_types::{ClientProtocol, Event, Fault, FaultClass, Request};
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::drain::{self, Awaited};
use super::passthrough::Passthrough;
use super::translate::Translation;
use super::wire::now;
use super::{Answered, Ready};
use crate::app::App;
use crate::id::RequestId;
use crate::observe::{Outcome, Record};

/// A stream that has output.
#[derive(Debug)]
pub(crate) enum Live {
    Translation(Box<Translation>),
    Passthrough(Box<Passthrough>),
}

/// What a poll of a stream gave.
#[derive(Debug)]
pub(crate) enum Step {
    /// Bytes for the client, never empty.
    Bytes(Bytes),
    /// Nothing yet; the task has been woken and polls again at once.
    Turn,
    /// The stream is over; how it ended.
    End(Outcome),
}

/// Lets other tasks have their turn, above all the provider's connection: what it has read already shall leave in the same write as what
/// is here. Nothing waits for bytes that have not arrived.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    polls: u8,
}

impl Turn {
    /// hyper polls a body twice before it lets its task go, so the second poll is not yet another turn.
    const POLLS: u8 = 2;

    /// Bytes came: there may be more behind them.
    pub(crate) fn begin(&mut self) {
        self.polls = Self::POLLS;
    }

    /// Whether the turn goes on; then the task is woken and the poll is over.
    pub(crate) fn goes_on(&mut self, cx: &mut Context<'_>) -> bool {
        if self.polls == 0 {
            return false;
        }
        self.polls -= 1;
        cx.waker().wake_by_ref();
        true
    }
}

/// A streamed answer on its way to a client.
pub(crate) struct RelayBody {
    state: State,
    protocol: ClientProtocol,
    app: Arc<App>,
    id: RequestId,
    /// Gemini: the stream is a JSON array.
    json_array: bool,
    /// It ended with an error.
    failed: bool,
    keep_alive: Duration,
    written: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    /// Completes when open streams have had their time.
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

enum State {
    /// The client got its 200 before there was any output.
    Waiting(Awaited),
    Live {
        live: Live,
        record: Box<Record>,
    },
    Over,
}

impl std::fmt::Debug for RelayBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RelayBody").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl RelayBody {
    fn new(app: &Arc<App>, protocol: ClientProtocol, id: &RequestId, state: State, keep_alive: Duration) -> Self {
        app.metrics.streams.inc();
        Self {
            state,
            protocol,
            app: Arc::clone(app),
            id: id.clone(),
            json_array: false,
            failed: false,
            keep_alive,
            written: Instant::now(),
            timer: None,
            cut: Box::pin(app.cut.clone().cancelled_owned()),
        }
    }

    /// A stream that waits for its first output.
    pub(crate) fn waiting(
        app: &Arc<App>,
        protocol: ClientProtocol,
        id: &RequestId,
        pending: Awaited,
        keep_alive: Duration,
        json_array: bool,
    ) -> Self {
        let mut body = Self::new(app, protocol, id, State::Waiting(pending), keep_alive);
        body.json_array = json_array;
        body
    }

    /// A stream with output.
    pub(crate) fn live(
        app: &Arc<App>,
        protocol: ClientProtocol,
        id: &RequestId,
        mut live: Live,
        record: Box<Record>,
        keep_alive: Duration,
    ) -> Self {
        live.settle();
        Self::new(app, protocol, id, State::Live { live, record }, keep_alive)
    }

    /// The next bytes for the client; `None` at the end.
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let polled = match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Waiting(pending) => match pending.poll(cx) {
                    Poll::Ready(answered) => {
                        if let Some(last) = self.answered(answered) {
                            return self.hand_over(last);
                        }
                        continue;
                    }
                    Poll::Pending => Poll::Pending,
                },
                State::Live { live, record } => live.poll(cx, record),
            };
            match polled {
                Poll::Ready(Step::Bytes(bytes)) => return self.hand_over(bytes),
                Poll::Ready(Step::Turn) => return Poll::Pending,
                Poll::Ready(Step::End(outcome)) => {
                    self.end(outcome);
                    return Poll::Ready(None);
                }
                Poll::Pending => {}
            }
            if self.cut.as_mut().poll(cx).is_ready() {
                let fault = Fault::new(FaultClass::Overloaded, "the gateway is being restarted; please try again");
                let last = self.fail(&fault);
                return if last.is_empty() { Poll::Ready(None) } else { Poll::Ready(Some(last)) };
            }
            let Poll::Ready(alive) = self.poll_timers(cx) else { return Poll::Pending };
            if let Some(bytes) = alive {
                return self.hand_over(bytes);
            }
        }
    }

    /// Whether it ended with an error.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    fn hand_over(&mut self, bytes: Bytes) -> Poll<Option<Bytes>> {
        self.written = Instant::now();
        if let State::Live { record, .. } = &mut self.state
            && let Some(capture) = &mut record.capture
        {
            capture.answer(&bytes);
        }
        Poll::Ready(Some(bytes))
    }

    /// What was waited for is here: goes on with it, or gives the last bytes.
    fn answered(&mut self, answered: Answered) -> Option<Bytes> {
        let Answered { mut record, result } = answered;
        record.status = 200;
        match result {
            Ok(Ready::Live { mut live, .. }) => {
                live.settle();
                self.state = State::Live { live, record };
                None
            }
            // Attempts for a streaming client give streams.
            Ok(Ready::Whole { body, .. }) => {
                record.end(Outcome::Answered);
                self.state = State::Over;
                Some(body)
            }
            Err(fault) => {
                self.failed = true;
                record.told(&fault);
                record.end(Outcome::Failed(fault.class));
                self.state = State::Over;
                Some(first_error(self.protocol, self.json_array, &fault, &self.id))
            }
        }
    }

    /// Ends the stream with an error in the client's protocol.
    fn fail(&mut self, fault: &Fault) -> Bytes {
        self.failed = true;
        let state = std::mem::replace(&mut self.state, State::Over);
        match state {
            State::Over => Bytes::new(),
            State::Waiting(pending) => {
                pending.give_up();
                first_error(self.protocol, self.json_array, fault, &self.id)
            }
            State::Live { mut live, mut record } => {
                // What was read along is in the record then.
                live.is_said(&mut record);
                record.told(fault);
                record.end(Outcome::Failed(fault.class));
                live.fail(fault, &self.id)
            }
        }
    }

    fn end(&mut self, outcome: Outcome) {
        if let State::Live { mut record, .. } = std::mem::replace(&mut self.state, State::Over) {
            self.failed = outcome != Outcome::Answered;
            if let (Outcome::Failed(class), Some(attempt)) = (outcome, &record.attempt) {
                attempt.broke_off(class);
            }
            record.end(outcome);
        }
    }

    /// Waits for the next thing that happens by time alone. Ready means that something happened; with bytes if they go to the client.
    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let alive_at = self.written + self.keep_alive;
        let deadline = match &self.state {
            State::Live { live, .. } => live.deadline().min(alive_at),
            State::Waiting(_) => alive_at,
            State::Over => return Poll::Ready(None),
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        // A timer that fires too early costs less than one moved with every chunk.
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if now < deadline {
                timer.as_mut().reset(deadline);
                continue;
            }
            if let State::Live { live, .. } = &mut self.state
                && now >= live.deadline()
            {
                live.time_is_up();
                return Poll::Ready(None);
            }
            // The next keep-alive is counted from here even if this protocol has none now.
            self.written = now;
            let bytes = match &mut self.state {
                State::Live { live, .. } => live.keep_alive(),
                State::Waiting(_) => idle_comment(self.protocol),
                State::Over => Bytes::new(),
            };
            if !bytes.is_empty() {
                return Poll::Ready(Some(bytes));
            }
            timer.as_mut().reset(now + self.keep_alive);
        }
    }
}

impl Drop for RelayBody {
    fn drop(&mut self) {
        if let State::Live { mut live, mut record } = std::mem::replace(&mut self.state, State::Over) {
            // Clients that have read the last event need not wait for the end of the stream.
            match live.is_said(&mut record) {
                true => record.end(Outcome::Answered),
                false => drain::leave(&self.app, live, record),
            }
        }
        self.app.metrics.streams.dec();
    }
}

impl Live {
    /// The attempts are over: what only another one would need is let go.
    fn settle(&mut self) {
        if let Self::Translation(translation) = self {
            translation.settle();
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, record: &mut Record) -> Poll<Step> {
        match self {
            Self::Translation(translation) => translation.poll(cx, record),
            Self::Passthrough(passthrough) => passthrough.poll(cx, record),
        }
    }

    /// Whether all of a good answer was handed on.
    pub(super) fn is_said(&mut self, record: &mut Record) -> bool {
        match self {
            Self::Translation(translation) => translation.is_said(),
            Self::Passthrough(passthrough) => passthrough.is_said(record),
        }
    }

    fn keep_alive(&mut self) -> Bytes {
        match self {
            Self::Translation(translation) => translation.keep_alive(),
            Self::Passthrough(passthrough) => passthrough.keep_alive(),
        }
    }

    /// When the provider has been silent too long.
    pub(super) fn deadline(&self) -> Instant {
        match self {
            Self::Translation(translation) => translation.deadline(),
            Self::Passthrough(passthrough) => passthrough.deadline(),
        }
    }

    /// The deadline has passed: the next poll ends the stream.
    pub(super) fn time_is_up(&mut self) {
        match self {
            Self::Translation(translation) => translation.time_is_up(),
            Self::Passthrough(passthrough) => passthrough.time_is_up(),
        }
    }

    fn fail(&mut self, fault: &Fault, id: &RequestId) -> Bytes {
        match self {
            Self::Translation(translation) => translation.fail(fault),
            Self::Passthrough(passthrough) => passthrough.fail(fault, id),
        }
    }
}

/// A keep-alive before anything else was written. Only comments are legal there, and only where comments are.
fn idle_comment(protocol: ClientProtocol) -> Bytes {
    match protocol {
        ClientProtocol::Chat | ClientProtocol::Responses => Bytes::from_static(b": ping\n\n"),
        ClientProtocol::Messages | ClientProtocol::Gemini => Bytes::new(),
    }
}

/// The error form of a stream in which nothing was written yet.
fn first_error(protocol: ClientProtocol, json_array: bool, fault: &Fault, id: &RequestId) -> Bytes {
    let mut request = Request::new(protocol, "");
    request.stream = true;
    request.stream_options.json_array = json_array;
    let context = ClientContext { id: id.text().clone(), now: now(), ..ClientContext::fixed(request, protocol.into()) };
    let mut encoder = StreamEncoder::new(protocol, context);
    let mut out = Vec::new();
    encoder.encode(Event::Error(Box::new(fault.clone())), &mut out);
    encoder.encode(Event::End, &mut out);
    out.into()
}

/// What a Responses stream has shown so far, for its error form.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponsesTail {
    /// Number of the next event.
    pub(crate) sequence: u64,
    /// The first event, which holds the response as it began.
    pub(crate) created: Vec<u8>,
    /// `completed` or `incomplete`.
    pub(crate) ended: Option<String>,
}

/// The error form of a stream in which whole frames of the provider were written.
pub(crate) fn later_error(protocol: ClientProtocol, fault: &Fault, id: &RequestId, tail: &ResponsesTail) -> Bytes {
    let written = polyport_protocol::encode_fault(protocol, fault, &id.header());
    let body = String::from_utf8_lossy(&written.body);
    match protocol {
        ClientProtocol::Chat => format!("data: {body}\n\n"),
        ClientProtocol::Messages => format!("event: error\ndata: {body}\n\n"),
        ClientProtocol::Gemini => format!("data: {body}\r\n\r\n"),
        ClientProtocol::Responses => responses_error(&body, fault, tail),
    }
    .into()
}

/// `error`, then `response.failed` with the response as it began.
fn responses_error(body: &str, fault: &Fault, tail: &ResponsesTail) -> String {
    let parsed: Value = serde_json::from_str(body).unwrap_or_default();
    let error = parsed.get("error").unwrap_or(&Value::Null);
    let code =
        error.get("code").filter(|code| !code.is_null()).or_else(|| error.get("type")).cloned().unwrap_or_default();
    let first = json!({
        "type": "error",
        "sequence_number": tail.sequence,
        "code": code,
        "message": fault.message,
        "param": fault.param,
    });
    let created: Value = serde_json::from_slice(&tail.created).unwrap_or_default();
    let mut response =
        created.get("response").cloned().unwrap_or_else(|| json!({ "object": "response", "output": [] }));
    if let Some(members) = response.as_object_mut() {
        members.insert("status".to_owned(), "failed".into());
        members.insert("error".to_owned(), json!({ "code": code, "message": fault.message }));
    }
    let second = json!({ "type": "response.failed", "sequence_number": tail.sequence + 1, "response": response });
    format!("event: error\ndata: {first}\n\nevent: response.failed\ndata: {second}\n\n")
}
