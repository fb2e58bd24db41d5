//! The life of stored answers of the Responses protocol.

use std::sync::Arc;

use http::Response;
use polyport_protocol::{ClientContext, encode_response, responses};
use polyport_types::{ClientProtocol, Fault, FaultClass, Request, Text};
use serde_json::{Value, json};

use super::{Call, access, held};
use crate::body::Body;
use crate::relay::origin::{shown, store_away};
use crate::state::Stored;

const PROTOCOL: ClientProtocol = ClientProtocol::Responses;

/// Most items of a page.
const PAGE: usize = 100;

/// What is asked about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Retrieve,
    Delete,
    Cancel,
    InputItems,
}

/// Answers from what is kept here, or has the provider answer that keeps it.
pub(crate) async fn handle(call: Call, id: String, ask: Ask) -> Response<Body> {
    let caller = match access::caller(&call.app, &call.runtime, &call.head) {
        Ok(caller) => caller,
        Err(fault) => return call.logged(call.refuse(PROTOCOL, &fault)),
    };
    let store = &call.app.responses;
    let recalled = store.recall(caller.owner(), &[Text::from(id.as_str())]).await;
    if let Some(stored) = store.get(caller.owner(), &id) {
        return call.logged(ours(&call, caller.owner(), &stored, ask));
    }
    let tail = match ask {
        Ask::Retrieve | Ask::Delete => "",
        Ask::Cancel => "/cancel",
        Ask::InputItems => "/input_items",
    };
    match store.held(caller.owner(), &id) {
        Some(held) => held::relay(call, &held, "responses", &id, tail).await,
        None if recalled.is_err() => call.logged(call.refuse(PROTOCOL, &store_away())),
        None => {
            let words = format!("Response with id '{}' not found.", shown(&id));
            call.logged(call.refuse(PROTOCOL, &Fault::new(FaultClass::NotFound, words)))
        }
    }
}

fn ours(call: &Call, owner: &Text, stored: &Stored, ask: Ask) -> Response<Body> {
    let answer = match ask {
        Ask::Retrieve if call.query("stream").as_deref() == Some("true") => {
            Err(Fault::bad_request("stream", "this answer cannot be streamed again; ask without `stream`"))
        }
        Ask::Retrieve => {
            let body = encode_response(PROTOCOL, &context(call, stored), &stored.response);
            Ok(serde_json::from_slice(&body).unwrap_or_default())
        }
        Ask::Delete => {
            let id = format!("resp_{}", stored.id);
            call.app.responses.remove(owner, &id);
            Ok(json!({ "id": id, "object": "response", "deleted": true }))
        }
        // What is kept here was not made in the background.
        Ask::Cancel => Err(Fault::bad_request("id", "only responses created with `background: true` can be cancelled")),
        Ask::InputItems => page(call, stored),
    };
    match answer {
        Ok(value) => call.json(PROTOCOL, &value),
        Err(fault) => call.refuse(PROTOCOL, &fault),
    }
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
