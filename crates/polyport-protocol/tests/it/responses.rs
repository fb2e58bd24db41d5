//! The Responses protocol: recorded traffic both ways, the worked examples, the hard cases.

use bytes::Bytes;
use polyport_protocol::collect::Collector;
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    ClientContext, RequestHead, StreamDecoder, StreamEncoder, Target, decode_request, decode_response, encode_request,
    encode_response,
};
use polyport_testkit::grammar::{self, Check};
use polyport_testkit::schema;
use polyport_testkit::shared::{self, Record};
use polyport_types::{ClientProtocol, Event, Losses, PartKind, Protocol, RawJson, Request, Response, Validator};
use serde_json::{Map, Value, json};

mod examples;
mod hostile;
mod random;
mod requests;
mod streams;

const FILE: &str = "openai-responses.jsonl";
/// Largest event in bytes.
const MAX_EVENT: usize = 64 << 20;

fn target() -> Target {
    Target::plain(Protocol::Responses, "gpt-5.6")
}

fn good(name: &str) -> Option<Vec<Record>> {
    let records = shared::records_or_skip(name, FILE)?;
    Some(records.iter().filter(|record| record.is_good_generation()).cloned().collect())
}

fn decode(body: &str) -> Request {
    decode_request(ClientProtocol::Responses, &RequestHead::default(), Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn encode(request: &Request) -> (Value, Losses) {
    let mut losses = Losses::new();
    let encoded = encode_request(&target(), request, &mut losses);
    (serde_json::from_slice(&encoded.body).unwrap(), losses)
}

fn events(sse: &str) -> Vec<Event> {
    events_in(&[sse.as_bytes()])
}

fn events_in(pieces: &[&[u8]]) -> Vec<Event> {
    let mut decoder = StreamDecoder::new(&target(), MAX_EVENT);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece), &mut events);
    }
    decoder.finish(BodyEnd::Clean, &mut events);
    events
}

fn collect(events: &[Event]) -> Response {
    let mut collector = Collector::new();
    events.iter().cloned().for_each(|event| collector.push(event));
    collector.into_response().unwrap()
}

fn client() -> ClientContext {
    ClientContext::fixed(Request::new(ClientProtocol::Responses, "alias"), Protocol::Responses)
}

fn to_client(context: &ClientContext, events: &[Event]) -> String {
    let mut encoder = StreamEncoder::new(ClientProtocol::Responses, context.clone());
    let mut out = Vec::new();
    events.iter().cloned().for_each(|event| encoder.encode(event, &mut out));
    String::from_utf8(out).unwrap()
}

/// Members that tell what an answer was made with.
const SETTINGS: [&str; 17] = [
    "background",
    "completed_at",
    "frequency_penalty",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "service_tier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
];

/// What must not change between decoding and decoding again what was encoded from it: everything that is not the envelope.
fn essence(response: &Response) -> Response {
    let mut response = response.clone();
    response.id = "".into();
    response.model = "".into();
    response.created = None;
    response.service_tier = None;
    response.ext = polyport_types::Extras::new();
    response.usage.raw = None;
    // Every detail is written, also those that were not told.
    for count in
        [&mut response.usage.cache_read, &mut response.usage.cache_write_unknown, &mut response.usage.reasoning]
    {
        *count = count.filter(|count| *count > 0);
    }
    for candidate in &mut response.candidates {
        // What the answer was made with: an answer of ours tells all of it.
        candidate.ext = candidate
            .ext
            .iter()
            .filter(|(name, _)| !SETTINGS.contains(&&***name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        candidate.raw_finish =
            candidate.raw_finish.take().filter(|word| &**word != "complete" && &**word != "completed");
        for part in &mut candidate.parts {
            // The schema asks for the member; null in it says as little as its absence.
            if part.ext.get("environment").is_some_and(polyport_types::RawJson::is_null) {
                part.ext.remove("environment");
            }
            match &mut part.kind {
                PartKind::ServerToolResult(result) => {
                    // A search written like a function call gets the action that clients expect.
                    let mut raw = result.raw.as_ref().map(sorted).unwrap().to_value();
                    if raw.get("arguments").is_some() && raw["type"] != "mcp_call" {
                        for name in ["action", "code", "container_id"] {
                            raw.as_object_mut().unwrap().shift_remove(name);
                        }
                    }
                    result.raw = Some(RawJson::of(&raw));
                }
                PartKind::Text(text) => {
                    let all = u32::try_from(text.text.encode_utf16().count()).unwrap();
                    for citation in &mut text.citations {
                        citation.raw = None;
                        citation.span = citation.span.filter(|span| (span.start, span.end) != (0, all));
                        citation.title = citation.title.take().filter(|title| !title.is_empty());
                    }
                }
                _ => {}
            }
        }
    }
    response
}

/// The same JSON with sorted members and without those that are null.
fn sorted(raw: &RawJson) -> RawJson {
    fn sort(value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut members: Vec<(String, Value)> =
                    members.into_iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k, sort(v))).collect();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                Value::Object(Map::from_iter(members))
            }
            Value::Array(items) => Value::Array(items.into_iter().map(sort).collect()),
            other => other,
        }
    }
    RawJson::of(&sort(raw.to_value()))
}

// ------------------------------------------------------------------------------------------------------------- requests

#[test]
fn recorded_requests_are_encoded_again_with_every_member() {
    let Some(records) = good("recorded_requests_are_encoded_again_with_every_member") else { return };
    let mut problems = Vec::new();
    for record in records.iter().filter(|record| record.request.is_some()) {
        let body = &record.request.as_ref().unwrap().body;
        let original: Value = serde_json::from_str(body).unwrap();
        let request = decode(body);
        let mut target = target();
        target.model = original["model"].as_str().unwrap().into();
        let mut losses = Losses::new();
        let encoded: Value = serde_json::from_slice(&encode_request(&target, &request, &mut losses).body).unwrap();
        if !losses.is_empty() {
            problems.push(format!("{}: {losses:?}", record.id));
        }
        if let Err(violations) = schema::validate_schema(Protocol::Responses, &encoded)
            && record.provider != "openrouter"
        {
            problems.push(format!("{}: {}", record.id, violations.join("; ")));
        }
        missing("", &normal_request(original), &normal_request(encoded), &mut problems, &record.id);
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

/// Two ways to say the same become one: texts as lists of parts, types of messages, nulls and empty lists as nothing.
fn normal_request(mut body: Value) -> Value {
    // Said or not, it is the same.
    for (name, default) in [("stream", json!(false)), ("instructions", json!(""))] {
        if body.get(name) == Some(&default) {
            body[name] = Value::Null;
        }
    }
    let input = body["input"].take();
    body["input"] = match input {
        Value::String(text) => json!([{ "role": "user", "content": text }]),
        other => other,
    };
    for item in body["input"].as_array_mut().unwrap() {
        if item.get("role").is_some() && item.get("content").is_some() {
            item["type"] = "message".into();
            let kind = if item["role"] == "assistant" { "output_text" } else { "input_text" };
            if let Value::String(text) = item["content"].take_if_string() {
                item["content"] = json!([{ "type": kind, "text": text }]);
            }
        }
    }
    plain(body)
}

trait TakeString {
    fn take_if_string(&mut self) -> Value;
}

impl TakeString for Value {
    fn take_if_string(&mut self) -> Value {
        if self.is_string() { self.take() } else { Self::Null }
    }
}

fn plain(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (name, plain(value)))
                .filter(|(_, value)| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        other => other,
    }
}

/// Notes what `wanted` has and `got` has not.
fn missing(path: &str, wanted: &Value, got: &Value, problems: &mut Vec<String>, record: &str) {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            for (name, value) in wanted {
                match got.get(name) {
                    Some(other) => missing(&format!("{path}/{name}"), value, other, problems, record),
                    None => problems.push(format!("{record}: {path}/{name} is gone: {value}")),
                }
            }
        }
        (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => {
            for (at, (value, other)) in wanted.iter().zip(got).enumerate() {
                missing(&format!("{path}/{at}"), value, other, problems, record);
            }
        }
        (wanted, got) if wanted == got || wanted.as_f64().is_some_and(|w| got.as_f64() == Some(w)) => {}
        (wanted, got) => problems.push(format!("{record}: {path} was {wanted:.200} and is {got:.200}")),
    }
}

// -------------------------------------------------------------------------------------------------------------- answers

#[test]
fn recorded_answers_survive_the_way_to_a_client_and_back() {
    let Some(records) = good("recorded_answers_survive_the_way_to_a_client_and_back") else { return };
    let mut problems = Vec::new();
    for record in records.iter().filter(|record| !record.streaming) {
        let body = record.response.body.as_ref().unwrap();
        let first = match decode_response(&target(), Bytes::copy_from_slice(body.as_bytes())) {
            Ok(first) => first,
            Err(fault) => {
                problems.push(format!("{}: {fault}", record.id));
                continue;
            }
        };
        let context = client();
        let again = decode_response(&target(), encode_response(ClientProtocol::Responses, &context, &first).into());
        let again = again.unwrap();
        if essence(&again) != essence(&first) {
            problems.push(format!("{}: changed\n{:?}\n{:?}", record.id, essence(&first), essence(&again)));
        }
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn recorded_streams_survive_the_way_to_a_client_and_back() {
    let Some(records) = good("recorded_streams_survive_the_way_to_a_client_and_back") else { return };
    let mut problems = Vec::new();
    for record in records.iter().filter(|record| record.streaming) {
        let first = events(record.response.sse.as_ref().unwrap());
        if let Err(problem) = Validator::check_all(&first) {
            problems.push(format!("{}: {problem}", record.id));
            continue;
        }
        if record.has_tag("abnormal_stream") {
            let over = first.iter().any(|event| matches!(event, Event::Finish(_) | Event::Error(_)));
            assert!(over, "{}: neither finish nor error", record.id);
            continue;
        }
        let answer = collect(&first);
        let stream = to_client(&client(), &first);
        if let Err(problem) = Check::new(Protocol::Responses).stream(stream.as_bytes()) {
            problems.push(format!("{}: {problem}", record.id));
        }
        let again = events(&stream);
        if let Err(problem) = Validator::check_all(&again) {
            problems.push(format!("{}: again: {problem}", record.id));
        }
        if essence(&collect(&again)) != essence(&answer) {
            problems.push(format!("{}: changed\n{:?}\n{:?}", record.id, essence(&answer), essence(&collect(&again))));
        }
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

/// The last event of a stream holds the whole answer: what the deltas told must be the same.
#[test]
fn a_stream_tells_what_its_last_event_lists() {
    let Some(records) = good("a_stream_tells_what_its_last_event_lists") else { return };
    let mut problems = Vec::new();
    for record in records.iter().filter(|record| record.streaming && !record.has_tag("abnormal_stream")) {
        let sse = record.response.sse.as_ref().unwrap();
        let last = sse.lines().rev().filter_map(|line| line.strip_prefix("data:")).find(|data| data.trim() != "[DONE]");
        let last: Value = serde_json::from_str(last.unwrap()).unwrap();
        if last["response"]["output"].as_array().is_none_or(Vec::is_empty) {
            continue;
        }
        let whole = decode_response(&target(), last["response"].to_string().into()).unwrap();
        let told = collect(&events(sse));
        let (mut whole, mut told) = (essence(&whole), essence(&told));
        // Every event seals reasoning anew, and servers make up ids as they go.
        for part in whole.candidates.iter_mut().chain(&mut told.candidates).flat_map(|candidate| &mut candidate.parts) {
            part.item_id = None;
            if let Some(signature) = &mut part.signature {
                signature.value = "".into();
                signature.item_id = None;
            }
            if let PartKind::Compaction { raw, .. } = &mut part.kind {
                *raw = RawJson::of(&Value::Null);
            }
        }
        if whole != told {
            problems.push(format!("{}:\nlisted {whole:?}\ntold   {told:?}", record.id));
        }
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn a_stream_means_the_same_wherever_it_is_cut() {
    let Some(records) = good("a_stream_means_the_same_wherever_it_is_cut") else { return };
    for record in records.iter().filter(|record| record.streaming) {
        let sse = record.response.sse.as_ref().unwrap().as_bytes();
        let whole = events_in(&[sse]);
        // Every byte of the shorter ones, some of the longer ones.
        let step = if sse.len() < 8_000 { 1 } else { sse.len() / 10 };
        for at in (0..sse.len()).step_by(step) {
            let (head, tail) = sse.split_at(at);
            assert!(events_in(&[head, tail]) == whole, "{} cut at {at}", record.id);
        }
        if step == 1 {
            let bytes: Vec<&[u8]> = sse.chunks(1).collect();
            assert!(events_in(&bytes) == whole, "{} byte by byte", record.id);
        }
    }
}

#[test]
fn a_collected_stream_is_the_whole_answer() {
    let Some(records) = good("a_collected_stream_is_the_whole_answer") else { return };
    for record in records.iter().filter(|record| record.streaming && !record.has_tag("abnormal_stream")) {
        let first = events(record.response.sse.as_ref().unwrap());
        let stream = to_client(&client(), &first);
        let last = stream.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let last: Value = serde_json::from_str(last).unwrap();
        let whole = encode_response(ClientProtocol::Responses, &client(), &collect(&first));
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(last["response"]["output"], whole["output"], "{}", record.id);
        grammar::check_answer(Protocol::Responses, whole.to_string().as_bytes())
            .unwrap_or_else(|problem| panic!("{}: {problem}", record.id));
    }
}
