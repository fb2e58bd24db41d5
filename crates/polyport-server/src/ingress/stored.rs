//! The life of stored answers of the Responses protocol.

use std::sync::Arc;

use http::Response;
use polyport_protocol::{ClientContext, encode_response, responses};
use polyport_types::{ClientProtocol, Fault, FaultClass, Request};
use serde_json::{Value, json};

use super::{Call, access};
use crate::body::Body;
use crate::state::Stored;

const PROTOCOL: ClientProtocol = ClientProtocol::Responses;

/// Most items of a page.
const PAGE: usize = 100;

/// The answer as it was given.
pub(crate) fn retrieve(call: &Call, id: &str) -> Response<Body> {
    if call.query("stream").as_deref() == Some("true") {
        let fault = Fault::bad_request("stream", "a stored answer cannot be streamed again; ask without `stream`");
        return call.refuse(PROTOCOL, &fault);
    }
    match find(call, id) {
        Ok(stored) => {
            let body = encode_response(PROTOCOL, &context(call, &stored), &stored.response);
            let value: Value = serde_json::from_slice(&body).unwrap_or_default();
            call.json(PROTOCOL, &value)
        }
        Err(fault) => call.refuse(PROTOCOL, &fault),
    }
}

/// Forgets an answer.
pub(crate) fn delete(call: &Call, id: &str) -> Response<Body> {
    let removed = access::caller(&call.app, &call.runtime, &call.head)
        .and_then(|caller| if call.app.responses.remove(caller.owner(), id) { Ok(()) } else { Err(unknown(id)) });
    match removed {
        Ok(()) => call.json(PROTOCOL, &json!({ "id": id, "object": "response", "deleted": true })),
        Err(fault) => call.refuse(PROTOCOL, &fault),
    }
}

/// Only answers in the background could be cancelled, and none is made in the background.
pub(crate) fn cancel(call: &Call, id: &str) -> Response<Body> {
    let fault = match find(call, id) {
        Ok(_) => Fault::bad_request("id", "only responses created with `background: true` can be cancelled"),
        Err(fault) => fault,
    };
    call.refuse(PROTOCOL, &fault)
}

/// The input of an answer, its history included.
pub(crate) fn input_items(call: &Call, id: &str) -> Response<Body> {
    match find(call, id).and_then(|stored| page(call, &stored)) {
        Ok(page) => call.json(PROTOCOL, &page),
        Err(fault) => call.refuse(PROTOCOL, &fault),
    }
}

fn find(call: &Call, id: &str) -> Result<Arc<Stored>, Fault> {
    let caller = access::caller(&call.app, &call.runtime, &call.head)?;
    call.app.responses.get(caller.owner(), id).ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Fault {
    let shown: String = id.chars().filter(char::is_ascii_graphic).take(80).collect();
    Fault::new(FaultClass::NotFound, format!("Response with id '{shown}' not found."))
}

fn context(call: &Call, stored: &Stored) -> ClientContext {
    ClientContext {
        request: Arc::clone(&stored.request),
        model: stored.model.clone(),
        id: stored.id.clone(),
        now: stored.created,
        carrier: Some(Arc::clone(&call.runtime.config.carrier)),
        scope: stored.scope,
        provider: stored.provider,
        input_estimate: 0,
        expose_reasoning: true,
        previous_response_id: stored.previous.clone(),
    }
}

fn page(call: &Call, stored: &Stored) -> Result<Value, Fault> {
    let limit = match call.query("limit").map(|text| text.parse::<usize>()) {
        None => 20,
        Some(Ok(limit)) if (1..=PAGE).contains(&limit) => limit,
        Some(_) => {
            return Err(Fault::bad_request("limit", format!("limit: a number between 1 and {PAGE} is expected")));
        }
    };
    let mut items = items(&stored.request);
    if call.query("order").as_deref() != Some("asc") {
        items.reverse();
    }
    if let Some(after) = call.query("after") {
        let at = items.iter().position(|item| item.get("id").and_then(Value::as_str) == Some(&after));
        let at = at.ok_or_else(|| Fault::bad_request("after", "after: there is no item of this id"))?;
        items.drain(..=at);
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let id_of = |item: Option<&Value>| item.and_then(|item| item.get("id")).cloned().unwrap_or_default();
    Ok(json!({
        "object": "list",
        "first_id": id_of(items.first()),
        "last_id": id_of(items.last()),
        "has_more": more,
        "data": items,
    }))
}

/// The input as items, each with an id.
fn items(request: &Request) -> Vec<Value> {
    let written = responses::encode_input_items(&responses::input_messages(request));
    let mut list: Value = serde_json::from_slice(&written).unwrap_or_default();
    match list.get_mut("data").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}
