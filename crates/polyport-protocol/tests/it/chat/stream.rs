//! Streams: hand-made cases of every dialect, and what a client sees of them.

use std::sync::Arc;

use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{ClientContext, Profile, StreamEncoder, Target};
use polyport_testkit::grammar::Check;
use polyport_types::{Candidate, ClientProtocol, Event, PartKind, Protocol, Request, Text};
use serde_json::{Map, Value, json};

use super::{collect, events, expected, fixtures};

/// The official API, but for what the case says.
fn target(case: &Value) -> Target {
    let mut profile = serde_json::to_value(Profile::of_protocol(Protocol::Chat)).unwrap();
    for (name, value) in case["profile"].as_object().unwrap_or(&Map::new()) {
        profile[name] = value.clone();
    }
    let names = |list: &Vec<Value>| list.iter().filter_map(Value::as_str).map(Text::from).collect();
    Target {
        profile: Arc::new(serde_json::from_value(profile).unwrap()),
        offered: case["offered"].as_array().map(names),
        ..Target::plain(Protocol::Chat, "m")
    }
}

fn context() -> ClientContext {
    let mut request = Request::new(ClientProtocol::Chat, "m");
    request.stream = true;
    request.stream_options.include_usage = true;
    ClientContext::fixed(request, Protocol::Chat)
}

fn encode(events: &[Event]) -> Vec<u8> {
    let mut encoder = StreamEncoder::new(ClientProtocol::Chat, context());
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.encode(event.clone(), &mut out));
    out
}

/// What the events say, in the form of the expectations. Of ids that were made up only the form counts.
fn summary(events: &[Event], case: &Value) -> Value {
    let error = events.iter().find_map(|event| match event {
        Event::Error(fault) => Some(fault.class.as_str()),
        _ => None,
    });
    // What came before an error counts here.
    let before = events.iter().filter(|event| !matches!(event, Event::Error(_))).cloned().collect();
    let response = collect(before).unwrap();
    let empty = Candidate::default();
    let first = response.first().unwrap_or(&empty);
    let mut seen = json!({
        "text": said(first),
        "reasoning": reasoning(first),
        "calls": calls(first),
        "finish": error.is_none().then(|| format!("{:?}", first.finish)),
        "error": error,
        "input": response.usage.input_total(),
        "output": response.usage.output_total(),
    });
    let signatures: Vec<_> =
        first.parts.iter().filter_map(|part| Some(part.signature.as_ref()?.value.to_string())).collect();
    let optional = [
        (
            "refusal",
            json!(
                parts(first, |kind| match kind {
                    PartKind::Refusal(text) => Some(text.to_string()),
                    _ => None,
                })
                .concat()
            ),
        ),
        ("signatures", json!(signatures)),
        (
            "statuses",
            json!(parts(first, |kind| match kind {
                PartKind::ToolCall(call) => Some(format!("{:?}", call.status)),
                _ => None,
            })),
        ),
        ("images", json!(parts(first, |kind| matches!(kind, PartKind::Image(_)).then_some(())).len())),
        ("citations", json!(citations(first))),
        ("second", second(response.candidates.get(1))),
    ];
    for (name, value) in optional {
        if case.get(name).is_some() {
            seen[name] = value;
        }
    }
    for name in ["profile", "offered"] {
        if let Some(given) = case.get(name) {
            seen[name] = given.clone();
        }
    }
    seen
}

fn parts<T>(candidate: &Candidate, pick: impl Fn(&PartKind) -> Option<T>) -> Vec<T> {
    candidate.parts.iter().filter_map(|part| pick(&part.kind)).collect()
}

fn said(candidate: &Candidate) -> String {
    candidate.parts.iter().filter_map(|part| part.as_text()).map(|text| &**text).collect()
}

fn reasoning(candidate: &Candidate) -> String {
    parts(candidate, |kind| match kind {
        PartKind::Reasoning(reasoning) => Some(reasoning.text.joined().to_string()),
        _ => None,
    })
    .concat()
}

fn calls(candidate: &Candidate) -> Vec<[String; 3]> {
    parts(candidate, |kind| match kind {
        PartKind::ToolCall(call) => {
            let made_up = call.id.strip_prefix("call_").is_some_and(|rest| rest.len() == 24);
            let id = if made_up { "*".to_owned() } else { call.id.to_string() };
            Some([id, call.name.to_string(), call.arguments.to_string()])
        }
        _ => None,
    })
}

fn citations(candidate: &Candidate) -> Vec<Value> {
    let lists = parts(candidate, |kind| match kind {
        PartKind::Text(text) => Some(text.citations.clone()),
        _ => None,
    });
    let place = |citation: &polyport_types::Citation| citation.span.map(|span| [span.start, span.end]);
    lists.iter().flatten().map(|citation| json!([citation.url.as_deref(), place(citation)])).collect()
}

fn second(candidate: Option<&Candidate>) -> Value {
    candidate.map_or(Value::Null, |second| json!({"text": said(second), "finish": format!("{:?}", second.finish)}))
}

#[test]
fn hand_made_streams_say_what_they_mean_wherever_they_are_cut() {
    let cases = fixtures("stream", ".sse");
    assert!(cases.len() > 60);
    for (name, body) in cases {
        let case = expected("stream", &name);
        let target = target(&case);
        let bytes = body.as_bytes();
        let whole = events(&target, [bytes], BodyEnd::Clean);
        assert_eq!(summary(&whole, &case), case, "{name}");
        for cut in 0..bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(events(&target, [head, tail], BodyEnd::Clean), whole, "{name} cut at {cut}");
        }
    }
}

#[test]
fn hand_made_streams_reach_a_strict_client() {
    for (name, body) in fixtures("stream", ".sse") {
        let case = expected("stream", &name);
        let target = target(&case);
        let before = events(&target, [body.as_bytes()], BodyEnd::Clean);
        let bytes = encode(&before);
        let seen = Check::new(ClientProtocol::Chat).vendor().stream(&bytes);
        let seen = seen.unwrap_or_else(|problem| panic!("{name}: {problem}\n{}", String::from_utf8_lossy(&bytes)));
        assert_eq!(seen.failure.is_some(), !case["error"].is_null(), "{name}");
        if case["error"].is_null() {
            // Read once more it says the same.
            let again = events(&Target::plain(Protocol::Chat, "m"), [bytes.as_slice()], BodyEnd::Clean);
            let mut case = case;
            if let Some(case) = case.as_object_mut() {
                case.remove("profile");
                case.remove("offered");
            }
            // Separate thoughts are separate paragraphs for a client that sees one text.
            let mut seen = summary(&again, &case);
            seen["reasoning"] = json!(seen["reasoning"].as_str().unwrap().replace("\n\n", ""));
            assert_eq!(seen, case, "{name}: {}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn answers_are_begun_in_their_order_for_clients_that_keep_them_in_a_list() {
    let stream = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":1,\"delta\":{\"content\":\"second\"}}]}\n\n\
                  data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"first\"}}]}\n\n\
                  data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                  data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                  data: [DONE]\n\n";
    let before = events(&Target::plain(Protocol::Chat, "m"), [stream.as_bytes()], BodyEnd::Clean);
    let bytes = encode(&before);
    let seen = Check::new(ClientProtocol::Chat).stream(&bytes).unwrap();
    let texts: Vec<&str> = seen.choices.iter().map(|choice| choice.text.as_str()).collect();
    assert_eq!(texts, ["first", "second"], "{}", String::from_utf8_lossy(&bytes));
}
