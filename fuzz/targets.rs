//! What the fuzzers check, one function for each target. The tests of `polyport-protocol` include this file too and replay the
//! corpus with it.

use bytes::Bytes;
use polyport_protocol::sse::{Frame, Framing};
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    ClientContext, RequestHead, Target, collect, decode_request, decode_response, encode_response,
};
use polyport_testkit::grammar::Check;
use polyport_types::{
    ClientProtocol, Event, PartKind, PartStatus, Protocol, Request, Response, ResponseStatus, Severity, Validator,
};
use serde_json::Value;

use crate::wire::{self, MAX_EVENT, collected, curious, streamed};

/// A fuzzer: its name, and what it checks.
type Fuzzer = (&'static str, fn(&[u8]));

/// All targets.
pub(crate) const TARGETS: [Fuzzer; 13] = [
    ("sse", sse),
    ("request_chat", |data| request(ClientProtocol::Chat, data)),
    ("request_responses", |data| request(ClientProtocol::Responses, data)),
    ("request_messages", |data| request(ClientProtocol::Messages, data)),
    ("request_gemini", |data| request(ClientProtocol::Gemini, data)),
    ("stream_chat", |data| stream(Protocol::Chat, data)),
    ("stream_responses", |data| stream(Protocol::Responses, data)),
    ("stream_messages", |data| stream(Protocol::Messages, data)),
    ("stream_gemini", |data| stream(Protocol::Gemini, data)),
    ("response_chat", |data| response(Protocol::Chat, data)),
    ("response_responses", |data| response(Protocol::Responses, data)),
    ("response_messages", |data| response(Protocol::Messages, data)),
    ("response_gemini", |data| response(Protocol::Gemini, data)),
];

/// Runs the target called `name`.
pub(crate) fn run(name: &str, data: &[u8]) {
    let (_, check) = TARGETS.iter().find(|(target, _)| *target == name).expect("a known target");
    check(data);
}

/// Places to cut: everywhere in short bodies, some places that depend on the bytes in longer ones.
fn cuts(data: &[u8]) -> Vec<usize> {
    if data.len() <= 64 {
        return (0..=data.len()).collect();
    }
    let mut seed = data.iter().fold(data.len(), |seed, byte| seed.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 17) % (data.len() + 1)
    })
    .take(4)
    .collect()
}

/// Framing gives the same frames however the bytes are cut.
fn sse(data: &[u8]) {
    let whole = frames([data]);
    for at in cuts(data) {
        let (left, right) = data.split_at(at);
        assert_eq!(frames([left, right]), whole, "cut at {at}");
    }
    assert_eq!(frames(data.chunks(1)), whole, "byte by byte");
}

/// The frames, and whether something was cut off at the end or made no sense.
fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Result<bool, String>) {
    let mut framing = Framing::new(MAX_EVENT);
    let mut out = Vec::new();
    for piece in pieces {
        if let Err(error) = framing.push(Bytes::copy_from_slice(piece), &mut out) {
            return (out, Err(error.to_string()));
        }
    }
    let truncated = framing.finish(&mut out);
    (out, Ok(truncated))
}

/// Any body is a request or a clean error; any request can be written for every provider, twice the same, and what its own
/// provider is sent is that request again.
fn request(client: ClientProtocol, data: &[u8]) {
    let head = RequestHead { model: Some("m".into()), ..RequestHead::default() };
    let Ok(request) = decode_request(client, &head, Bytes::copy_from_slice(data)) else { return };
    let said = said(&request);
    for protocol in Protocol::ALL {
        let target = Target::plain(protocol, "m");
        let (encoded, _, losses) = wire::sent(&target, request.clone(), None);
        let body = encoded.body;
        let value = match serde_json::from_slice::<Value>(&body) {
            Ok(value) => value,
            Err(problem) => panic!("not JSON for {protocol}: {problem}\n{}", String::from_utf8_lossy(&body)),
        };
        let again = wire::sent(&target, request.clone(), None).0.body;
        assert_eq!(again, body, "not the same twice for {protocol}");
        assert!(body.len() <= 16 * data.len() + 4096, "{} bytes became {} for {protocol}", data.len(), body.len());
        // What is said arrives, or is named.
        if losses.entries().is_empty() {
            for text in &said {
                assert!(holds(&value, text), "{client} → {protocol} lost {text:?}\n{value}");
            }
        }
        // A request that holds what cannot be carried is never sent.
        if protocol == client.into() && losses.first_at_least(Severity::Error).is_none() {
            let again = decode_request(client, &head, body.clone().into());
            let again = again.unwrap_or_else(|problem| panic!("{problem}\n{}", String::from_utf8_lossy(&body)));
            let second: Value = serde_json::from_slice(&wire::sent(&target, again, None).0.body).expect("JSON");
            assert_eq!(second, value, "another request after {client} → {client}");
        }
    }
}

/// The texts of a conversation, but for white space.
fn said(request: &Request) -> Vec<String> {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts
        .filter_map(|part| match &part.kind {
            PartKind::Text(text) => Some(text.text.trim().to_owned()),
            _ => None,
        })
        .filter(|text| !text.is_empty())
        .collect()
}

/// Whether a string in `value` holds `text`.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string.contains(text),
        Value::Array(items) => items.iter().any(|item| holds(item, text)),
        Value::Object(members) => members.values().any(|member| holds(member, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Any stream gives legal events, the same ones however it is cut, and every client gets a legal stream and a legal answer of its
/// own protocol that say the same.
fn stream(protocol: Protocol, data: &[u8]) {
    let target = Target::plain(protocol, "m");
    let whole = events(&target, [data]);
    for at in cuts(data) {
        let (left, right) = data.split_at(at);
        assert_eq!(events(&target, [left, right]), whole, "cut at {at}");
    }
    assert_eq!(events(&target, data.chunks(1)), whole, "byte by byte");
    let legal = Check::provider(protocol).stream(data).is_ok();
    reach_clients(protocol, &whole, data.len(), legal);
}

fn events<'a>(target: &Target, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    wire::events(target, pieces, BodyEnd::Clean)
}

/// Any answer is one or a clean fault; every client gets it whole and as a stream.
fn response(protocol: Protocol, data: &[u8]) {
    let target = Target::plain(protocol, "m");
    let Ok(response) = decode_response(&target, Bytes::copy_from_slice(data)) else { return };
    // An answer in the background is not there yet: only its own protocol can say so.
    if matches!(response.status, ResponseStatus::Queued | ResponseStatus::InProgress) {
        return;
    }
    let legal = Check::provider(protocol).answer(data).is_ok();
    reach_clients(protocol, &collect::into_events(response), data.len(), legal);
}

/// Gives the events to a client of each protocol, one that wants everything and one that asked for nothing. Members and words that
/// only the provider knows go on to clients of the same protocol, so theirs is as legal as what came: `legal`.
fn reach_clients(provider: Protocol, events: &[Event], size: usize, legal: bool) {
    if let Err(problem) = Validator::check_all(events) {
        panic!("illegal events: {problem}\n{events:#?}");
    }
    let collected = collected(events).ok();
    let broken = events.iter().any(|event| matches!(event, Event::PartEnd { status: PartStatus::Invalid, .. }));
    for (client, context) in clients(provider) {
        let out = streamed(client, context, events);
        assert!(out.len() <= 64 * size + 65_536, "{size} bytes became {} for {client}", out.len());
        let Some(reader) = reader(client, provider, legal) else { continue };
        match reader.stream(&out) {
            Ok(seen) if seen.failure.is_some() || collected.is_some() => {}
            Ok(_) => panic!("{provider} → {client}: a failure looks finished\n{}", String::from_utf8_lossy(&out)),
            // By the time arguments turn out to be broken, most of them have been handed on.
            Err(problem) if broken && client == ClientProtocol::Messages && problem.contains("is no JSON object") => {}
            Err(problem) => {
                panic!("{provider} → {client}: {problem}\n{events:#?}\n{}", String::from_utf8_lossy(&out))
            }
        }
    }
    if let Some(response) = &collected {
        answer(provider, response, legal);
    }
}

/// Gives a whole answer to a client of each protocol.
fn answer(provider: Protocol, response: &Response, legal: bool) {
    for (client, context) in clients(provider) {
        let out = encode_response(client, &context, response);
        let Some(reader) = reader(client, provider, legal) else { continue };
        // A failure of generation is an error.
        if let Err(problem) = reader.answer(&out)
            && reader.failure(&out).is_err()
        {
            panic!("{provider} → {client}: {problem}\n{response:#?}\n{}", String::from_utf8_lossy(&out));
        }
    }
}

/// A client of each protocol that wants to see everything, and one that asked for nothing.
fn clients(provider: Protocol) -> impl Iterator<Item = (ClientProtocol, ClientContext)> {
    ClientProtocol::ALL.into_iter().flat_map(move |client| {
        let plain = ClientContext::fixed(Request::new(client, "m"), provider);
        [(client, curious(client, provider)), (client, plain)]
    })
}

fn reader(client: ClientProtocol, provider: Protocol, legal: bool) -> Option<Check> {
    match provider == client.into() {
        false => Some(Check::new(client)),
        true => legal.then(|| Check::provider(client)),
    }
}
