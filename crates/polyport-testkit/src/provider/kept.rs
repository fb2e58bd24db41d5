//! What a Responses provider keeps: answers and conversations, each known only to the credential that made it.

use serde_json::{Value, json};

use super::exchange::Exchange;
use super::plan::{Body, Plan};
use super::step::Step;
use super::{Shared, endpoints};

/// Credential and id.
pub(super) type Name = (String, String);

/// An answer or a conversation.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    object: Value,
    items: Vec<Value>,
    background: bool,
}

fn name(exchange: &Exchange, id: &str) -> Name {
    (exchange.header("authorization").unwrap_or_default().to_owned(), id.to_owned())
}

/// Keeps an answer.
pub(super) fn keep(shared: &Shared, exchange: &Exchange, request: &Value, answer: Value) {
    let items = match &request["input"] {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        text => vec![json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }] })],
    };
    let items = items
        .into_iter()
        .enumerate()
        .map(|(index, mut item)| {
            item["id"] = Value::from(format!("msg_in{index}"));
            item
        })
        .collect();
    let id = answer["id"].as_str().unwrap_or_default().to_owned();
    let kept = Kept { object: answer, items, background: request["background"] == true };
    shared.stored().insert(name(exchange, &id), kept);
}

/// An answer in the background, as it is told at its beginning.
pub(super) fn begun(mut answer: Value) -> Value {
    answer["status"] = json!("queued");
    answer["output"] = json!([]);
    answer["background"] = json!(true);
    answer
}

/// The refusal of a request that refers to what this credential does not have.
pub(super) fn missing_reference(shared: &Shared, exchange: &Exchange, request: &Value) -> Option<Plan> {
    let protocol = shared.settings.protocol;
    if let Some(id) = request.get("previous_response_id").and_then(Value::as_str)
        && !shared.stored().contains_key(&name(exchange, id))
    {
        let mut error = endpoints::error(protocol, 400, &format!("Previous response with id '{id}' not found."));
        error["error"]["code"] = Value::from("previous_response_not_found");
        error["error"]["param"] = Value::from("previous_response_id");
        return Some(shared.simple(400, &error));
    }
    let conversation = request.get("conversation").and_then(|value| value.as_str().or_else(|| value["id"].as_str()))?;
    let known = shared.stored().contains_key(&name(exchange, conversation));
    let words = format!("Conversation with id '{conversation}' not found.");
    (!known).then(|| shared.simple(404, &endpoints::missing(protocol, &words)))
}

/// Answers a request about what is kept.
pub(super) fn plan(shared: &Shared, exchange: &Exchange, path: &str, body: &Value) -> Plan {
    let parts: Vec<&str> = path.split('/').collect();
    let method = exchange.method();
    let protocol = shared.settings.protocol;
    let absent = |words: String| shared.simple(404, &endpoints::missing(protocol, &words));
    let unknown = || absent(format!("Unknown request URL: {method} /{path}"));
    match (method, parts.as_slice()) {
        ("POST", ["responses", "compact"]) => {
            if let Some(refusal) = missing_reference(shared, exchange, body) {
                return refusal;
            }
            let item = json!({ "type": "compaction", "id": "cmp_1", "encrypted_content": "x" });
            let usage = json!({ "input_tokens": 5, "output_tokens": 1, "total_tokens": 6 });
            let answer = json!({ "id": "resp_c", "object": "response.compaction", "created_at": 1, "output": [item], "usage": usage });
            shared.simple(200, &answer)
        }
        ("POST", ["conversations"]) => {
            let id = format!("conv_{}", exchange.serial());
            let object = json!({ "id": id, "object": "conversation", "created_at": 1, "metadata": body["metadata"] });
            let items = body["items"].as_array().cloned().unwrap_or_default();
            shared.stored().insert(name(exchange, &id), Kept { object: object.clone(), items, background: false });
            shared.simple(200, &object)
        }
        (_, [kind @ ("responses" | "conversations"), id, rest @ ..]) => {
            let found = shared.stored().get(&name(exchange, id)).cloned();
            let Some(kept) = found else {
                let noun = if *kind == "responses" { "Response" } else { "Conversation" };
                return absent(format!("{noun} with id '{id}' not found."));
            };
            about(shared, exchange, kind, id, rest, &kept).unwrap_or_else(unknown)
        }
        _ => unknown(),
    }
}

fn about(shared: &Shared, exchange: &Exchange, kind: &str, id: &str, rest: &[&str], kept: &Kept) -> Option<Plan> {
    let answers = kind == "responses";
    Some(match (exchange.method(), rest) {
        ("GET", []) if answers && exchange.query().split('&').any(|pair| pair == "stream=true") => {
            let after = exchange.query().split('&').find_map(|pair| pair.strip_prefix("starting_after="));
            let after: i64 = after.and_then(|after| after.parse().ok()).unwrap_or(-1);
            let events = (0_i64..).zip(["response.created", "response.completed"]).filter(|(at, _)| *at > after);
            let frames = events.map(|(at, event)| {
                let data = json!({ "type": event, "response": kept.object, "sequence_number": at });
                format!("event: {event}\ndata: {data}\n\n").into_bytes()
            });
            let body = Body { content_type: "text/event-stream".to_owned(), events: frames.collect(), streamed: true };
            Plan::answer(&Step::json(""), body)
        }
        ("GET", []) => shared.simple(200, &kept.object),
        ("POST", []) if !answers => shared.simple(200, &kept.object),
        ("DELETE", []) => {
            shared.stored().remove(&name(exchange, id));
            let object = if answers { "response" } else { "conversation.deleted" };
            shared.simple(200, &json!({ "id": id, "object": object, "deleted": true }))
        }
        ("POST", ["cancel"]) if answers => {
            if !kept.background {
                let words = "Cannot cancel a synchronous response.";
                return Some(shared.simple(400, &endpoints::error(shared.settings.protocol, 400, words)));
            }
            let mut object = kept.object.clone();
            object["status"] = json!("cancelled");
            shared.simple(200, &object)
        }
        ("GET", ["input_items" | "items"]) => {
            let list = json!({
                "object": "list", "data": kept.items, "has_more": false,
                "first_id": kept.items.first().map(|item| item["id"].clone()),
                "last_id": kept.items.last().map(|item| item["id"].clone()),
            });
            shared.simple(200, &list)
        }
        ("GET" | "DELETE", ["items", _]) | ("POST", ["items"]) if !answers => shared.simple(200, &kept.object),
        _ => return None,
    })
}
