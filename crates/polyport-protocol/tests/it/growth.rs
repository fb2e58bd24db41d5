//! What takes a moment must not take minutes eight times as large.

use std::time::{Duration, Instant};

use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{RequestHead, Target, decode_request, encode_response};
use polyport_types::{ClientProtocol, PartKind, Protocol};
use serde_json::Value;

use crate::wire::{self, collected, curious, streamed};

mod requests;
mod streams;

/// A shape: its name, and how a body of a length is made.
type Shape = (&'static str, fn(usize) -> String);

/// The smaller of two lengths that are compared.
const SIZE: usize = 500;

/// So much more may take a body of eight times the length; a square would take 64 times as long.
const MOST: f64 = 24.0;

/// Looking at all blanks again with every piece would take an hour.
#[test]
fn blanks_in_place_of_arguments_are_read_once() {
    let first = streams::call(0, r#""id":"c","function":{"name":"f","arguments":""}"#);
    let blanks = (0..100_000).map(|_| streams::call(0, r#""function":{"arguments":"          "}"#));
    let body = streams::chat(std::iter::once(first).chain(blanks));
    let events = wire::events(&Target::plain(Protocol::Chat, "m"), [body.as_bytes()], BodyEnd::Clean);
    let answer = collected(&events).unwrap();
    let PartKind::ToolCall(call) = &answer.first().unwrap().parts[0].kind else { panic!("{answer:?}") };
    assert_eq!(&*call.arguments, "{}");
}

/// So would looking through all results for that of each call.
#[test]
fn results_find_their_calls_at_once() {
    const CALLS: usize = 40_000;
    let calls = requests::list(CALLS, |at| format!(r#"{{"type":"tool_use","id":"t{at}","name":"f","input":{{}}}}"#));
    let results = requests::list(CALLS, |at| {
        format!(r#"{{"type":"tool_result","tool_use_id":"t{}","content":"a"}}"#, CALLS - 1 - at)
    });
    let body = format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}},
            {{"role":"assistant","content":[{calls}]}},{{"role":"user","content":[{results}]}}]}}"#
    );
    let request = decode_request(ClientProtocol::Messages, &RequestHead::default(), body.into()).unwrap();
    let (encoded, _, _) = wire::sent(&Target::plain(Protocol::Messages, "m"), request, None);
    let sent: Value = serde_json::from_slice(&encoded.body).unwrap();
    for at in [0, CALLS / 2, CALLS - 1] {
        assert_eq!(sent["messages"][1]["content"][at]["id"], sent["messages"][2]["content"][at]["tool_use_id"]);
    }
}

fn through(protocol: Protocol, body: &str, piece: usize) -> Vec<(String, Duration)> {
    let target = Target::plain(protocol, "m");
    let mut took = Vec::new();
    let begin = Instant::now();
    let events = wire::events(&target, body.as_bytes().chunks(piece), BodyEnd::Clean);
    took.push(("read".to_owned(), begin.elapsed()));
    for client in ClientProtocol::ALL {
        let begin = Instant::now();
        streamed(client, curious(client, protocol), &events);
        took.push((format!("to {client}"), begin.elapsed()));
    }
    let begin = Instant::now();
    if let Ok(answer) = collected(&events) {
        took.push(("collected".to_owned(), begin.elapsed()));
        for client in ClientProtocol::ALL {
            let begin = Instant::now();
            drop(encode_response(client, &curious(client, protocol), &answer));
            took.push((format!("answer to {client}"), begin.elapsed()));
        }
    }
    took
}

/// Names the steps that take too much longer for a body of eight times the length.
fn compare(what: &str, found: &mut Vec<String>, run: impl Fn(usize) -> Vec<(String, Duration)>) {
    run(10);
    let small = run(SIZE);
    let large = run(SIZE * 8);
    for (name, large) in &large {
        let Some((_, small)) = small.iter().find(|(known, _)| known == name) else { continue };
        let ratio = large.as_secs_f64() / small.as_secs_f64().max(1e-4);
        if ratio > MOST && large.as_millis() > 20 {
            found.push(format!("{what}: {name}: ×{ratio:.1} ({} ms)", large.as_millis()));
        }
    }
}

#[test]
#[ignore = "measures time: for a quiet machine"]
fn streams_take_as_long_as_they_are() {
    let mut found = Vec::new();
    let all = [
        (Protocol::Chat, streams::CHAT),
        (Protocol::Messages, streams::MESSAGES),
        (Protocol::Gemini, streams::GEMINI),
        (Protocol::Responses, streams::RESPONSES),
    ];
    for (protocol, shapes) in all {
        for (name, shape) in shapes {
            compare(&format!("{protocol} {name}"), &mut found, |n| through(protocol, &shape(n), 1 << 16));
        }
        for (name, shape) in shapes.iter().take(3).chain(shapes.iter().rev().take(4)) {
            compare(&format!("{protocol} {name}, bytewise"), &mut found, |n| through(protocol, &shape(n / 4), 1));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
#[ignore = "measures time: for a quiet machine"]
fn requests_take_as_long_as_they_are() {
    let mut found = Vec::new();
    let head = RequestHead { model: Some("m".into()), ..RequestHead::default() };
    for (client, name, shape) in requests::REQUESTS {
        compare(&format!("{client} {name}"), &mut found, |n| {
            let body = shape(n);
            let begin = Instant::now();
            let request = decode_request(*client, &head, body.into());
            let mut took = vec![("read".to_owned(), begin.elapsed())];
            if let Ok(request) = request {
                for protocol in Protocol::ALL {
                    let request = request.clone();
                    let begin = Instant::now();
                    drop(wire::sent(&Target::plain(protocol, "m"), request, None));
                    took.push((format!("to {protocol}"), begin.elapsed()));
                }
            }
            took
        });
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
