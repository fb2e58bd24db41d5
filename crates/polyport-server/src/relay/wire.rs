//! Asking a provider, within its time limits.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use polyport_protocol::classify::classify;
use polyport_protocol::custom::Custom;
use polyport_protocol::profile::Capabilities;
use polyport_protocol::{Profile, ProviderAnswer};
use polyport_provider::auth::AwsKeyError;
use polyport_provider::{Call, EndpointError, ProviderBody, ProviderRequest, ProviderResponse, RequestBody, SendError};
use polyport_recording::End;
use polyport_types::{Fault, FaultClass, ReasoningMode, Request, Text};
use tokio::time::Instant;
use tracing::warn;

use super::course::Slot;
use crate::config::Timeouts;
use crate::config::provider::Service;
use crate::recorder::Tape;

/// Errors longer than this are cut.
const ERROR_BYTES: usize = 64 << 10;

/// An error's body is waited for this long.
const ERROR_TIME: Duration = Duration::from_secs(10);

/// A provider that only shows signs of life is waited for this many times longer than one that is silent.
const ALIVE_FACTOR: u32 = 5;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("polyport/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// The time limits of one answer.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    limits: Timeouts,
    sent: Instant,
    /// When the last bytes came.
    heard: Option<Instant>,
    /// When the last bytes came that were more than signs of life.
    progress: Option<Instant>,
}

impl Patience {
    pub(crate) fn new(mut limits: Timeouts, reasons: bool) -> Self {
        if reasons {
            limits.first_byte = limits.first_byte_reasoning;
        }
        Self { limits, sent: Instant::now(), heard: None, progress: None }
    }

    /// Bytes came.
    pub(crate) fn hear(&mut self, progress: bool) {
        let now = Instant::now();
        self.heard = Some(now);
        if progress {
            self.progress = Some(now);
        }
    }

    /// When patience ends. Signs of life put off the end of silence, but not for ever.
    pub(crate) fn deadline(&self) -> Instant {
        let silence = match self.heard {
            None => self.sent + self.limits.first_byte,
            Some(heard) => heard + self.limits.idle,
        };
        let standstill =
            self.progress.unwrap_or(self.sent) + self.limits.idle.max(self.limits.first_byte) * ALIVE_FACTOR;
        silence.min(standstill).min(self.sent + self.limits.total)
    }

    /// What to say when it ended.
    pub(crate) fn fault(&self, provider: &str) -> Fault {
        let now = Instant::now();
        let words = if now >= self.sent + self.limits.total {
            format!("the answer of provider `{provider}` took longer than {} seconds", self.limits.total.as_secs())
        } else if self.heard.is_none() {
            format!("provider `{provider}` sent nothing for {} seconds", self.limits.first_byte.as_secs())
        } else {
            format!("provider `{provider}` stopped sending for {} seconds", self.limits.idle.as_secs())
        };
        Fault { from_upstream: true, ..Fault::new(FaultClass::Timeout, words) }
    }
}

/// Media types of answers that come in pieces.
const STREAMED: [&str; 5] = [
    "text/event-stream",
    "application/vnd.amazon.eventstream",
    "application/x-ndjson",
    "application/jsonl",
    "application/x-jsonlines",
];

/// An answer with a status below 300.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: ProviderBody,
    pub(crate) patience: Patience,
}

impl Opened {
    /// Whether the provider says that it sends a stream; `None` when it says nothing of use.
    pub(crate) fn is_stream(&self) -> Option<bool> {
        let kind = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if STREAMED.iter().any(|known| kind.eq_ignore_ascii_case(known)) {
            return Some(true);
        }
        let json = kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json");
        json.then_some(false)
    }

    /// The provider's own id of the request.
    pub(crate) fn request_id(&self) -> Option<String> {
        const NAMES: [HeaderName; 4] = [
            HeaderName::from_static("x-request-id"),
            HeaderName::from_static("request-id"),
            HeaderName::from_static("x-amzn-requestid"),
            HeaderName::from_static("apim-request-id"),
        ];
        NAMES
            .iter()
            .find_map(|name| self.headers.get(name)?.to_str().ok())
            .map(|id| id.chars().filter(char::is_ascii_graphic).take(128).collect())
    }
}

/// Headers that every JSON request to a provider has.
pub(crate) fn json_headers(stream: bool) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ACCEPT, if stream { EVENTS } else { JSON });
    headers.insert(ACCEPT_ENCODING, IDENTITY);
    headers.insert(USER_AGENT, AGENT);
    headers
}

/// Adds what protocol and server need beside authentication.
pub(crate) fn add_headers(headers: &mut HeaderMap, own: &[(Cow<'static, str>, String)], profile: &Profile) {
    for (name, value) in own {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(&**name), HeaderValue::try_from(value.as_str())) {
            headers.insert(name, value);
        }
    }
    add_profile_headers(headers, profile);
}

/// Adds the headers of a profile.
pub(crate) fn add_profile_headers(headers: &mut HeaderMap, profile: &Profile) {
    for (name, value) in &profile.extra_headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
            headers.insert(name, value);
        }
    }
}

/// Whether a model thinks before it answers: because it was asked to, or because it cannot do otherwise.
pub(crate) fn reasons(capabilities: &Capabilities, asked: bool) -> bool {
    capabilities.reasoning && (asked || !capabilities.reasoning_off)
}

/// Whether a request asks the model to think.
pub(crate) fn asks_to_reason(request: &Request) -> bool {
    request.reasoning.as_ref().is_some_and(|control| control.mode != ReasoningMode::Off)
}

/// Asks for an answer of the model and waits for its head. A model that `reasons` may think before it says a word. `path` is what the
/// request says of its address.
///
/// # Errors
/// As [`send`].
pub(crate) async fn generate(
    slot: &Slot,
    stream: bool,
    reasons: bool,
    headers: HeaderMap,
    path: Option<&str>,
    body: Bytes,
) -> Result<Opened, Fault> {
    let model = &slot.target.model;
    let call = match path {
        Some(path) => Call::Other { path, model, query: None },
        None => Call::Generate { model, stream },
    };
    ask(slot, Method::POST, call, reasons, headers, body.into()).await
}

/// Posts a body and waits for the head of the answer.
///
/// # Errors
/// What the failure means; the body of an error was read and classified.
pub(crate) async fn post(
    slot: &Slot,
    call: Call<'_>,
    headers: HeaderMap,
    body: impl Into<RequestBody>,
) -> Result<Opened, Fault> {
    send(slot, Method::POST, call, headers, body).await
}

/// Sends a request that no model has to think about and waits for the head of its answer.
///
/// # Errors
/// What the failure means; the body of an error was read and classified.
pub(crate) async fn send(
    slot: &Slot,
    method: Method,
    call: Call<'_>,
    headers: HeaderMap,
    body: impl Into<RequestBody>,
) -> Result<Opened, Fault> {
    let body = body.into();
    // A large body takes its time.
    let slow = body.is_streamed();
    let began = Instant::now();
    let opened = ask(slot, method, call, slow, headers, body).await?;
    slot.succeeded(opened.status.as_u16(), true, began.elapsed());
    Ok(opened)
}

async fn ask(
    slot: &Slot,
    method: Method,
    call: Call<'_>,
    slow: bool,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<Opened, Fault> {
    let provider = &slot.target.provider;
    let (Service::Http(service), Some(client)) = (&slot.upstream.config.service, &slot.upstream.client) else {
        return Err(Fault::new(FaultClass::NotFound, format!("provider `{provider}` has no such endpoint")));
    };
    let project = slot.project().map(|project| &**project);
    let uri = service.endpoint.uri(call, project).map_err(|error| match error {
        EndpointError::NoSuchCall => Fault::new(FaultClass::NotFound, format!("provider `{provider}`: {error}")),
        _ => unknown_model(&slot.target.model),
    })?;
    let uri = match slot.server_port().await? {
        Some(port) => at_port(uri, port),
        None => uri,
    };
    let mut headers = headers;
    for (name, value) in service.endpoint.headers() {
        headers.insert(name.clone(), value.clone());
    }
    if let Some(credential) = slot.auth() {
        credential.apply(&mut headers);
    }
    let adapter = service.endpoint.adapter();
    let mut patience = Patience::new(service.timeouts.clone(), slow);
    let mut request = ProviderRequest { method, uri, headers, body };
    if let Some(key) = slot.signer() {
        // Last of all: nothing that is signed may change.
        key.sign(&mut request, SystemTime::now()).map_err(|error| unsigned(provider, &error))?;
    }
    let mut tape = slot.upstream.recorder().and_then(|recorder| recorder.provider(slot, &request)).map(Box::new);
    let sent = tokio::time::timeout_at(patience.deadline(), client.send(request)).await;
    let answer = match (sent, tape.take()) {
        (Ok(Ok(answer)), None) => answer,
        (Ok(Ok(answer)), Some(tape)) => taped(answer, tape),
        (Ok(Err(error)), tape) => {
            tape.into_iter().for_each(|mut tape| tape.end(End::Reset));
            return Err(unsent(provider, &error));
        }
        (Err(_), tape) => {
            tape.into_iter().for_each(|mut tape| tape.end(End::Timeout));
            return Err(patience.fault(provider));
        }
    };
    if answer.status.is_success() {
        let ProviderResponse { status, headers, body } = answer;
        return Ok(Opened { status, headers, body, patience });
    }
    patience.hear(true);
    let fault = refused(provider, service.custom.as_deref(), answer).await;
    let fault = without_credential(slot, fault);
    Err(if adapter.is_aws() { of_credential(slot, fault) } else { fault })
}

/// The answer, taken down while it is read.
fn taped(answer: ProviderResponse, mut tape: Box<Tape>) -> ProviderResponse {
    tape.answered(answer.status, &answer.headers);
    ProviderResponse { body: answer.body.watched(tape), ..answer }
}

/// Some providers repeat in a refusal the key that they refuse.
pub(crate) fn without_credential(slot: &Slot, fault: Fault) -> Fault {
    match slot.auth().and_then(|auth| auth.hidden_in(&fault.message)) {
        Some(message) => Fault { message, ..fault },
        None => fault,
    }
}

/// The same address at another port of its host.
fn at_port(uri: Uri, port: u16) -> Uri {
    let mut parts = uri.clone().into_parts();
    let host = uri.host().unwrap_or_default();
    let Ok(authority) = format!("{host}:{port}").parse() else { return uri };
    parts.authority = Some(authority);
    Uri::from_parts(parts).unwrap_or(uri)
}

pub(crate) fn unknown_model(model: &str) -> Fault {
    Fault::new(FaultClass::ModelNotFound, format!("no provider has a model of the name `{}`", clean(model)))
}

/// The request could not be signed.
fn unsigned(provider: &Text, error: &AwsKeyError) -> Fault {
    let class = match error {
        AwsKeyError::Streamed => FaultClass::NotFound,
        _ => FaultClass::AuthInvalid,
    };
    Fault::new(class, format!("provider `{provider}`: {error}"))
}

/// A refusal of a credential, which says of which one.
fn of_credential(slot: &Slot, fault: Fault) -> Fault {
    if fault.class != FaultClass::AuthInvalid {
        return fault;
    }
    let label = slot.credential_label().map_or_else(String::new, |label| format!(" refused the credential `{label}`"));
    let message = format!("provider `{}`{label}: {}", slot.target.provider, fault.message);
    Fault { message, ..fault }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// No answer came.
fn unsent(provider: &Text, error: &SendError) -> Fault {
    // Addresses stay in the log.
    warn!(%provider, %error, "no answer");
    let (class, words) = match error {
        SendError::Connect { reason, .. } => {
            (FaultClass::Transport, format!("provider `{provider}` cannot be reached: {reason}"))
        }
        SendError::ConnectTimeout { limit, .. } => (
            FaultClass::Timeout,
            format!("provider `{provider}` did not accept a connection within {} seconds", limit.as_secs()),
        ),
        SendError::Certificate { reason, .. } => {
            (FaultClass::Untrusted, format!("the certificate of provider `{provider}` is not trusted: {reason}"))
        }
        SendError::Broken { reason, .. } => {
            (FaultClass::Transport, format!("the connection to provider `{provider}` failed: {reason}"))
        }
    };
    let unsent = !matches!(error, SendError::Broken { .. });
    Fault { from_upstream: true, unsent, ..Fault::new(class, words) }
}

/// Reads an error and says what it means.
async fn refused(provider: &Text, custom: Option<&Custom>, answer: ProviderResponse) -> Fault {
    let ProviderResponse { status, headers, mut body } = answer;
    if status.is_redirection() || status.is_informational() {
        return Fault {
            upstream_status: Some(status.as_u16()),
            from_upstream: true,
            ..Fault::new(
                FaultClass::UpstreamProtocol,
                format!("provider `{provider}` answered {status}; redirects are not followed: check its `base_url`"),
            )
        };
    }
    let mut text = BytesMut::new();
    let reading = async {
        while let Ok(Some(chunk)) = body.chunk().await {
            let room = ERROR_BYTES.saturating_sub(text.len());
            text.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
            if text.len() >= ERROR_BYTES {
                break;
            }
        }
    };
    // What has arrived by then is enough.
    tokio::time::timeout(ERROR_TIME, reading).await.ok();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let text = text.freeze();
    let body = custom.and_then(|custom| custom.error_body(&text)).map_or(text, Bytes::from);
    classify(&ProviderAnswer { status: status.as_u16(), header: &header, body, now: now() })
}

/// Reads a whole answer.
///
/// # Errors
/// When it breaks off, takes too long or is too large.
pub(crate) async fn whole(opened: &mut Opened, provider: &str, limit: usize) -> Result<Bytes, Fault> {
    let mut first: Option<Bytes> = None;
    let mut buffer = BytesMut::new();
    loop {
        let chunk = match tokio::time::timeout_at(opened.patience.deadline(), opened.body.chunk()).await {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => return Err(broken(provider, &error.to_string())),
            Err(_) => return Err(opened.patience.fault(provider)),
        };
        let Some(chunk) = chunk else { return Ok(first.unwrap_or_else(|| buffer.freeze())) };
        opened.patience.hear(true);
        if first.as_ref().map_or(buffer.len(), Bytes::len) + chunk.len() > limit {
            return Err(broken(provider, &format!("it exceeds {} MiB", limit >> 20)));
        }
        match first.take() {
            None if buffer.is_empty() => first = Some(chunk),
            None => buffer.extend_from_slice(&chunk),
            Some(head) => {
                buffer.extend_from_slice(&head);
                buffer.extend_from_slice(&chunk);
            }
        }
    }
}

/// The answer makes no sense or stopped in the middle.
pub(crate) fn broken(provider: &str, reason: &str) -> Fault {
    Fault {
        from_upstream: true,
        ..Fault::new(
            FaultClass::UpstreamProtocol,
            format!("the answer of provider `{provider}` cannot be used: {reason}"),
        )
    }
}

/// Now, Unix seconds.
pub(crate) fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
