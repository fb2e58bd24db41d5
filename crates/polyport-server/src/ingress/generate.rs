//! Requests for answers of a model, in the four client protocols.

use bytes::Bytes;
use http::{HeaderMap, Response};
use polyport_protocol::RequestHead;
use polyport_types::{ClientProtocol, Fault, Text};

use super::{Call, access, body};
use crate::body::Body;
use crate::observe::Record;
use crate::relay::peek::Peek;
use crate::relay::{self, Exchange};

/// Gemini clients put whole videos into a request: this much is taken from them at least.
const GEMINI_BYTES: usize = 100 << 20;

/// Chat, Responses and Messages: everything but the key is in the body.
pub(crate) async fn body_protocol(call: Call, protocol: ClientProtocol) -> Response<Body> {
    let head = request_head(call.headers());
    let mut record = Box::new(Record::new(call.app.clone(), &call.id, protocol, protocol.as_str()));
    match admitted(&call, protocol, call.body_limit(protocol), &mut record) {
        Ok((caller, limits)) => {
            run(call, Entry { caller, limits, wire: protocol, answer: protocol, head, compat: false }, record).await
        }
        Err(fault) => relay::refuse(protocol, &call.id, *record, &fault),
    }
}

/// Gemini: model and method are in the path.
pub(crate) async fn gemini(call: Call, model: String, stream: bool) -> Response<Body> {
    let protocol = ClientProtocol::Gemini;
    let sse = call.head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    let head =
        RequestHead { model: Some(Text::from(model)), stream, json_array: stream && !sse, ..RequestHead::default() };
    let mut record = Box::new(Record::new(call.app.clone(), &call.id, protocol, protocol.as_str()));
    match admitted(&call, protocol, call.body_limit(protocol), &mut record) {
        Ok((caller, limits)) => {
            run(call, Entry { caller, limits, wire: protocol, answer: protocol, head, compat: false }, record).await
        }
        Err(fault) => relay::refuse(protocol, &call.id, *record, &fault),
    }
}

/// The older paths: the vendor's own body, or a simple one of `model` and `messages`; the answer is the vendor's in both cases.
pub(crate) async fn compat(call: Call, protocol: ClientProtocol) -> Response<Body> {
    let head = request_head(call.headers());
    let mut record = Box::new(Record::new(call.app.clone(), &call.id, protocol, "compat"));
    match admitted(&call, protocol, call.body_limit(protocol), &mut record) {
        Ok((caller, limits)) => {
            run(call, Entry { caller, limits, wire: protocol, answer: protocol, head, compat: true }, record).await
        }
        Err(fault) => relay::refuse(protocol, &call.id, *record, &fault),
    }
}

/// How a request came in.
struct Entry {
    caller: access::Caller,
    limits: body::BodyLimits,
    wire: ClientProtocol,
    answer: ClientProtocol,
    head: RequestHead,
    compat: bool,
}

impl Call {
    /// Most bytes of a body.
    pub(crate) fn body_limit(&self, protocol: ClientProtocol) -> usize {
        let limit = self.runtime.config.limits.request_body_bytes;
        if protocol == ClientProtocol::Gemini { limit.max(GEMINI_BYTES) } else { limit }
    }
}

/// Lets a caller in, before its body is read.
fn admitted(
    call: &Call,
    _protocol: ClientProtocol,
    bytes: usize,
    record: &mut Record,
) -> Result<(access::Caller, body::BodyLimits), Fault> {
    let caller = access::caller(&call.app, &call.runtime, &call.head)?;
    record.place = Some(access::Place::take(&call.app, &call.runtime, &caller)?);
    Ok((caller, body::BodyLimits { bytes, time: call.runtime.config.limits.body_time }))
}

async fn run(call: Call, entry: Entry, record: Box<Record>) -> Response<Body> {
    let Call { app, runtime, id, head: parts, body: incoming } = call;
    let Entry { caller, limits, mut wire, answer, mut head, compat } = entry;
    let body = match body::read(&parts, incoming, limits).await {
        Ok(body) => body,
        Err(fault) => return relay::refuse(answer, &id, *record, &fault),
    };
    if compat {
        wire = compat_wire(answer, &body, &mut head);
    }
    let strict = parts.headers.get("x-polyport-strict").is_some_and(|value| value == "1" || value == "true");
    relay::relay(Exchange {
        app,
        runtime,
        id,
        caller,
        wire,
        answer,
        head,
        headers: parts.headers,
        body,
        model: Text::new(),
        stream: false,
        strict,
        decoded: None,
        peeked: None,
        previous: None,
        record,
    })
    .await
}

/// What the protocols keep in headers.
fn request_head(headers: &HeaderMap) -> RequestHead {
    let betas = headers
        .get_all("anthropic-beta")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|flag| !flag.is_empty())
        .map(Text::from)
        .collect();
    let api_version = headers.get("anthropic-version").and_then(|value| value.to_str().ok()).map(Text::from);
    RequestHead { api_version, betas, ..RequestHead::default() }
}

/// Tells a vendor's body from a simple one: Messages has `max_tokens`, Gemini has `contents`.
fn compat_wire(vendor: ClientProtocol, body: &Bytes, head: &mut RequestHead) -> ClientProtocol {
    let Ok(peek) = Peek::parse(body) else { return vendor };
    match vendor {
        ClientProtocol::Gemini if peek.get(body, "contents").is_some() => {
            head.model = peek.text(body, "model").map(|model| Text::from(model.trim_start_matches("models/")));
            head.stream = peek.is_true(body, "stream");
            ClientProtocol::Gemini
        }
        ClientProtocol::Messages if peek.get(body, "max_tokens").is_some() => ClientProtocol::Messages,
        _ => ClientProtocol::Chat,
    }
}
