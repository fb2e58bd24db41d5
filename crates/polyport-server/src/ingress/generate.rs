//! Requests for answers of a model, in the four client protocols.

use bytes::Bytes;
use http::{HeaderName, Response};
use polyport_protocol::RequestHead;
use polyport_types::{ClientProtocol, Text};

use super::{Call, Entered, idempotency, request_head};
use crate::body::Body;
use crate::relay::origin::Origin;
use crate::relay::peek::{Edits, Peek};
use crate::relay::{self, Exchange};

/// Refuses a request rather than losing some of it.
const STRICT: HeaderName = HeaderName::from_static("x-polyport-strict");

/// Chat, Responses and Messages: everything but the key is in the body.
pub(crate) async fn body_protocol(call: Call, protocol: ClientProtocol) -> Response<Body> {
    let head = request_head(call.headers());
    match call.enter(protocol, protocol.as_str()).await {
        Ok(mut entered) => {
            if protocol == ClientProtocol::Chat && entered.runtime.config.stream_by_default {
                set_if_absent(&mut entered.body, "stream", "true".to_owned());
            }
            let relay = |entered| relay::relay(exchange(entered, protocol, protocol, head));
            idempotency::once(entered, protocol, relay).await
        }
        Err(refused) => refused,
    }
}

/// Gives a body a member that it has not. A body that is no object is refused later.
fn set_if_absent(body: &mut Bytes, name: &str, value: String) {
    if let Ok(peek) = Peek::parse(body)
        && !peek.has(body, name)
    {
        let mut edits = Edits::default();
        edits.set(name, value);
        *body = peek.edited(body, &edits);
    }
}

/// Chat with the model in the path; one in the body counts more.
pub(crate) async fn deployment(call: Call, name: &str) -> Response<Body> {
    let protocol = ClientProtocol::Chat;
    let head = request_head(call.headers());
    match call.enter(protocol, protocol.as_str()).await {
        Ok(mut entered) => {
            set_if_absent(&mut entered.body, "model", serde_json::Value::from(name).to_string());
            let relay = |entered| relay::relay(exchange(entered, protocol, protocol, head));
            idempotency::once(entered, protocol, relay).await
        }
        Err(refused) => refused,
    }
}

/// Gemini: model and method are in the path.
pub(crate) async fn gemini(call: Call, model: String, stream: bool) -> Response<Body> {
    let protocol = ClientProtocol::Gemini;
    let sse = call.query("alt").as_deref() == Some("sse");
    let head =
        RequestHead { model: Some(Text::from(model)), stream, json_array: stream && !sse, ..RequestHead::default() };
    match call.enter(protocol, protocol.as_str()).await {
        Ok(entered) => {
            let relay = |entered| relay::relay(exchange(entered, protocol, protocol, head));
            idempotency::once(entered, protocol, relay).await
        }
        Err(refused) => refused,
    }
}

/// The older paths: the vendor's own body, or a simple one of `model` and `messages`; the answer is the vendor's in both cases.
pub(crate) async fn compat(call: Call, protocol: ClientProtocol) -> Response<Body> {
    let mut head = request_head(call.headers());
    match call.enter(protocol, "compat").await {
        Ok(mut entered) => {
            let wire = compat_wire(protocol, &mut entered.body, &mut head);
            let relay = |entered| relay::relay(exchange(entered, wire, protocol, head));
            idempotency::once(entered, protocol, relay).await
        }
        Err(refused) => refused,
    }
}

fn exchange(entered: Entered, wire: ClientProtocol, answer: ClientProtocol, head: RequestHead) -> Exchange {
    let Entered { app, runtime, id, parts, body, caller, record } = entered;
    let strict = parts.headers.get(STRICT).is_some_and(|value| value == "1" || value == "true");
    Exchange {
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
        origin: Origin::Body,
        expanded: None,
        record,
    }
}

/// Tells a vendor's body from a simple one: Messages has `max_tokens`, Gemini has `contents`.
fn compat_wire(vendor: ClientProtocol, body: &mut Bytes, head: &mut RequestHead) -> ClientProtocol {
    let Ok(peek) = Peek::parse(body) else { return vendor };
    match vendor {
        ClientProtocol::Gemini if peek.get(body, "contents").is_some() => {
            head.model = peek.text(body, "model").map(|model| Text::from(model.trim_start_matches("models/")));
            head.stream = peek.is_true(body, "stream");
            // Here they stand in the path.
            let edits = Edits { drop: vec!["model".into(), "stream".into()], ..Edits::default() };
            *body = peek.edited(body, &edits);
            ClientProtocol::Gemini
        }
        ClientProtocol::Messages if peek.get(body, "max_tokens").is_some() => ClientProtocol::Messages,
        _ => ClientProtocol::Chat,
    }
}
