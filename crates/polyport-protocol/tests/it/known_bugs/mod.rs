//! Defects that other gateways had, each with the test that keeps it away from here. `docs/KNOWN_BUGS.md` lists them all; a test is
//! named after its number.

mod arguments;
mod bytes;
mod finish;
mod indexes;
mod reasoning;
mod responses_events;
mod tools;
mod usage;

use ::bytes::Bytes;
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    CarrierKey, ClientContext, Encoded, RequestHead, Restore, Restorer, Target, decode_request, encode_response,
};
use polyport_testkit::grammar::{Check, Summary};
use polyport_types::{ClientProtocol, Event, Fault, FinishReason, Protocol, Response, Validator};
use serde_json::{Value, json};

use crate::wire::{self, MAX_EVENT, collected, curious, streamed};

/// The events of a provider's stream; they always keep the rules.
fn events(provider: Protocol, stream: impl AsRef<[u8]>) -> Vec<Event> {
    events_of(&Target::plain(provider, "model"), &[stream.as_ref()], BodyEnd::Clean)
}

fn events_of(target: &Target, pieces: &[&[u8]], end: BodyEnd) -> Vec<Event> {
    let events = wire::events(target, pieces.iter().copied(), end);
    if let Err(problem) = Validator::check_all(&events) {
        panic!("illegal events: {problem}\n{events:#?}");
    }
    events
}

/// The whole answer of a provider's stream.
fn answer(provider: Protocol, stream: impl AsRef<[u8]>) -> Response {
    collected(&events(provider, stream)).expect("an answer")
}

/// The fault a provider's stream ends with.
fn fault(provider: Protocol, stream: impl AsRef<[u8]>) -> Fault {
    collected(&events(provider, stream)).expect_err("a fault")
}

/// A client that wants to see everything.
fn context(client: ClientProtocol, provider: Protocol) -> ClientContext {
    ClientContext { input_estimate: 11, ..curious(client, provider) }
}

/// The bytes a client of `client` gets for these events.
fn written(client: ClientProtocol, provider: Protocol, events: &[Event]) -> Vec<u8> {
    streamed(client, context(client, provider), events)
}

/// What a strict client of `client` understands of a provider's stream: as a stream, and whole where it is an answer. Both agree.
fn seen(client: ClientProtocol, provider: Protocol, stream: impl AsRef<[u8]>) -> Summary {
    let events = events(provider, stream);
    let bytes = written(client, provider, &events);
    let check = if provider == client.into() { Check::new(client).vendor() } else { Check::new(client) };
    let streamed = check
        .stream(&bytes)
        .unwrap_or_else(|problem| panic!("{client}: {problem}\n{}", String::from_utf8_lossy(&bytes)));
    if let Ok(response) = collected(&events) {
        let body = encode_response(client, &context(client, provider), &response);
        let whole = check
            .answer(&body)
            .unwrap_or_else(|problem| panic!("{client}, whole: {problem}\n{}", String::from_utf8_lossy(&body)));
        assert_eq!(streamed.text(), whole.text(), "{client}: text of stream and whole answer");
        assert_eq!(calls(&streamed), calls(&whole), "{client}: calls of stream and whole answer");
        assert_eq!(streamed.finish(), whole.finish(), "{client}: finish of stream and whole answer");
        if !response.usage.is_absent() {
            assert_eq!(streamed.usage, whole.usage, "{client}: usage of stream and whole answer");
        }
    }
    streamed
}

/// Name and arguments of every call.
fn calls(summary: &Summary) -> Vec<(String, Value)> {
    summary.tool_calls().iter().map(|call| (call.name.clone(), call.json())).collect()
}

/// A Chat stream of these chunks, with `[DONE]`.
fn chat(chunks: &[Value]) -> String {
    let mut stream: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    stream.push_str("data: [DONE]\n\n");
    stream
}

/// A Chat chunk with this delta.
fn delta(delta: &Value) -> Value {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

/// A Chat chunk that finishes.
fn finish(reason: &str) -> Value {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// A Chat usage chunk.
fn usage(prompt: u64, completion: u64) -> Value {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}})
}

/// An event stream whose events are named by the `type` of their data.
fn typed(events: &[Value]) -> String {
    events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or(""))).collect()
}

/// A Messages stream with these events between start and stop.
fn messages(events: &[Value], stop_reason: &str) -> String {
    let mut all =
        vec![json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "m", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 1}}})];
    all.extend_from_slice(events);
    all.push(json!({"type": "message_delta", "delta": {"stop_reason": stop_reason, "stop_sequence": null},
        "usage": {"output_tokens": 5}}));
    all.push(json!({"type": "message_stop"}));
    typed(&all)
}

/// A Messages block of `kind` with its deltas.
fn block(index: u32, start: &Value, deltas: &[Value]) -> Vec<Value> {
    let mut all = vec![json!({"type": "content_block_start", "index": index, "content_block": start})];
    all.extend(deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})));
    all.push(json!({"type": "content_block_stop", "index": index}));
    all
}

/// A Gemini stream of these chunks.
fn gemini(chunks: &[Value]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect()
}

/// A Gemini chunk with these parts.
fn parts(parts: &Value, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    json!({"candidates": [candidate], "modelVersion": "m", "responseId": "r1",
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}})
}

/// A Responses stream with these events between `created` and `completed`; the final output is `output`.
fn responses(events: &[Value], output: &Value) -> String {
    let response = |status: &str, output: &Value, usage: &Value| {
        json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status, "output": output,
            "error": null, "incomplete_details": null, "usage": usage})
    };
    let counts = json!({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 13});
    let mut all =
        vec![json!({"type": "response.created", "response": response("in_progress", &json!([]), &Value::Null)})];
    all.extend_from_slice(events);
    all.push(json!({"type": "response.completed", "response": response("completed", output, &counts)}));
    for (number, event) in all.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    typed(&all)
}

/// A client's request written for a provider.
fn translated(client: ClientProtocol, body: &Value, provider: Protocol) -> Value {
    let (encoded, _) = translated_for(client, body, &Target::plain(provider, "model"));
    serde_json::from_slice(&encoded.body).expect("JSON")
}

fn translated_for(client: ClientProtocol, body: &Value, target: &Target) -> (Encoded, Restore) {
    let key = CarrierKey::new([7; 32]);
    let head = RequestHead { model: Some("alias".into()), ..RequestHead::default() };
    let request = decode_request(client, &head, Bytes::from(body.to_string())).expect("a request");
    let (encoded, restore, _) = wire::sent(target, request, Some(&key));
    (encoded, restore)
}

/// The reason the first answer stopped.
fn reason(response: &Response) -> FinishReason {
    response.first().expect("a candidate").finish.clone()
}

/// Applies what a request's translation has to undo.
fn restored(restore: Restore, events: Vec<Event>) -> Vec<Event> {
    let mut restorer = Restorer::new(restore);
    let mut out = Vec::new();
    for event in events {
        restorer.event(event, &mut out);
    }
    out
}
