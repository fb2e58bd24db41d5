//! One answer for each rule about servers that are almost compatible, read with the profile of a preset and told to every client.
//!
//! The numbers are those of the reference's vectors (`upstreams/openai-compatible-quirks.md`, section 12). Those about headers are tested
//! beside `classify`, that about ids (T16) here.

use std::sync::Arc;

use bytes::Bytes;
use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    ClientContext, Profile, RequestHead, StreamEncoder, Target, decode_request, decode_response, encode_request,
    resolve,
};
use polyport_testkit::grammar::Check;
use polyport_types::{ClientProtocol, Event, FaultClass, FinishReason, Losses, PartKind, Protocol, Request, Response};
use serde_json::{Value, json};

use super::{collect, events};

/// What a stream says.
#[derive(Debug, Default, PartialEq)]
struct Said {
    reasoning: String,
    text: String,
    calls: Vec<(String, String)>,
    /// Nothing for an answer that failed.
    finish: Option<FinishReason>,
    error: Option<FaultClass>,
    /// All input, all output, reasoning.
    usage: (u64, u64, u64),
}

fn said(events: &[Event]) -> Said {
    let error = events.iter().find_map(|event| match event {
        Event::Error(fault) => Some(fault.class),
        _ => None,
    });
    let rest = events.iter().filter(|event| !matches!(event, Event::Error(_))).cloned().collect();
    let response: Response = collect(rest).unwrap();
    let mut said = Said { error, ..Said::default() };
    let usage = &response.usage;
    said.usage = (usage.input_total(), usage.output_total(), usage.reasoning.unwrap_or_default());
    for candidate in &response.candidates {
        said.finish = error.is_none().then(|| candidate.finish.clone());
        for part in &candidate.parts {
            match &part.kind {
                PartKind::Reasoning(reasoning) => said.reasoning.push_str(&reasoning.text.joined()),
                PartKind::Text(text) => said.text.push_str(&text.text),
                PartKind::ToolCall(call) => said.calls.push((call.name.to_string(), call.arguments.to_string())),
                other => panic!("{other:?}"),
            }
        }
    }
    said
}

fn target(preset: &str) -> Target {
    Target { profile: Arc::new(Profile::named(preset).unwrap()), ..Target::plain(Protocol::Chat, "m") }
}

/// Lines as the server sends them; what begins with a brace or bracket becomes the data of an event.
fn wire(lines: &[&str]) -> String {
    let event = |line: &&str| {
        if line.starts_with(['{', '[']) { format!("data: {line}\n\n") } else { format!("{line}\n\n") }
    };
    lines.iter().map(event).collect()
}

/// A choice with this delta.
fn delta(delta: &str) -> String {
    format!(r#"{{"id":"a","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)
}

fn finish(reason: &str) -> String {
    format!(r#"{{"id":"a","choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#)
}

const DONE: &str = "[DONE]";

fn calls(calls: &[(&str, &str)]) -> Vec<(String, String)> {
    calls.iter().map(|(name, arguments)| ((*name).to_owned(), (*arguments).to_owned())).collect()
}

/// Number, preset, what arrives, what it says.
fn vectors() -> Vec<(&'static str, &'static str, String, Said)> {
    let stop = || Some(FinishReason::Stop);
    let tools = || Some(FinishReason::ToolCalls);
    let hello = [
        ": OPENROUTER PROCESSING",
        r#"{"id":"a","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]}"#,
        r#"{"id":"a","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]}"#,
        r#"{"id":"a","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#,
        DONE,
    ];
    let greeted = || Said { text: "Hello".into(), finish: stop(), usage: (5, 2, 0), ..Said::default() };
    let filter = r#"{"choices":[],"id":"","model":"","created":0,"prompt_filter_results":[{"prompt_index":0}]}"#;
    let filtered: Vec<&str> = [filter].into_iter().chain(hello).collect();
    let whole_call = |id: &str, name: &str, arguments: &str| {
        delta(&format!(
            r#"{{"tool_calls":[{{"index":0,"id":"{id}","function":{{"name":"{name}","arguments":"{arguments}"}}}}]}}"#
        ))
    };
    vec![
        ("T1", "openrouter", wire(&hello), greeted()),
        ("T2", "azure", wire(&filtered), greeted()),
        (
            "T3",
            "mistral",
            wire(&[
                r#"{"choices":[{"delta":{"tool_calls":[{"id":"D7","function":{"name":"look","arguments":"{\"at\":2}"}},
                    {"id":"E8","function":{"name":"wait","arguments":"{}"}}]},"finish_reason":"stop"}]}"#
                    .replace('\n', " ")
                    .as_str(),
                DONE,
            ]),
            Said { calls: calls(&[("look", r#"{"at":2}"#), ("wait", "{}")]), finish: tools(), ..Said::default() },
        ),
        (
            "T4",
            "ollama",
            wire(&[&whole_call("one", "look", "{}"), &whole_call("two", "look", "{}"), &finish("stop"), DONE]),
            Said { calls: calls(&[("look", "{}"), ("look", "{}")]), finish: tools(), ..Said::default() },
        ),
        (
            "T5",
            "sglang",
            wire(&[
                &delta(r#"{"tool_calls":[{"index":0,"id":"c9","function":{"arguments":"{\"at\""}}]}"#),
                &delta(r#"{"tool_calls":[{"index":0,"id":"","function":{"name":"look","arguments":":3}"}}]}"#),
                &finish("tool_calls"),
                DONE,
            ]),
            Said { calls: calls(&[("look", r#"{"at":3}"#)]), finish: tools(), ..Said::default() },
        ),
        (
            "T6",
            "openrouter",
            wire(&[
                &delta(r#"{"content":"Lon"}"#),
                r#"{"error":{"code":429,"message":"too fast"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
            ]),
            Said { text: "Lon".into(), error: Some(FaultClass::RateLimited), ..Said::default() },
        ),
        (
            "T7",
            "xai",
            r#"{"code":"The service is currently unavailable","error":"come back later"}"#.to_owned(),
            Said { error: Some(FaultClass::Overloaded), ..Said::default() },
        ),
        (
            "T7, any other code",
            "xai",
            r#"{"code":"Client specified an invalid argument","error":"grok does not know this"}"#.to_owned(),
            Said { error: Some(FaultClass::BadRequest), ..Said::default() },
        ),
        (
            "T8",
            "vllm",
            wire(&[&delta(r#"{"content":"half"}"#)]),
            Said { text: "half".into(), error: Some(FaultClass::UpstreamProtocol), ..Said::default() },
        ),
        (
            "T9",
            "openrouter",
            wire(&[
                &delta(r#"{"reasoning":"hm","reasoning_content":"hm"}"#),
                &delta(r#"{"content":"so"}"#),
                &finish("stop"),
                DONE,
            ]),
            Said { reasoning: "hm".into(), text: "so".into(), finish: stop(), ..Said::default() },
        ),
        (
            "T10",
            "mistral",
            wire(&[
                &delta(r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}"#),
                &delta(r#"{"content":[{"type":"text","text":"so"}]}"#),
                &finish("stop"),
                DONE,
            ]),
            Said { reasoning: "hm".into(), text: "so".into(), finish: stop(), ..Said::default() },
        ),
        (
            "T11",
            "llama-cpp",
            wire(&[r#"error: {"code":500,"message":"out of slots","type":"server_error"}"#, DONE]),
            Said { error: Some(FaultClass::ServerError), ..Said::default() },
        ),
        (
            "T12",
            "groq",
            wire(&[
                &delta(r#"{"content":"so"}"#),
                r#"{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],
                    "x_groq":{"id":"r","usage":{"prompt_tokens":6,"completion_tokens":8,"total_tokens":14}}}"#
                    .replace('\n', " ")
                    .as_str(),
                DONE,
            ]),
            Said { text: "so".into(), finish: stop(), usage: (6, 8, 0), ..Said::default() },
        ),
        (
            "T13",
            "xai",
            wire(&[
                &delta(r#"{"content":"so"}"#),
                &finish("stop"),
                r#"{"id":"a","choices":[],"usage":{"prompt_tokens":291,"completion_tokens":26,"total_tokens":513,
                    "completion_tokens_details":{"reasoning_tokens":196}}}"#
                    .replace('\n', " ")
                    .as_str(),
                DONE,
            ]),
            Said { text: "so".into(), finish: stop(), usage: (291, 222, 196), ..Said::default() },
        ),
        (
            "T14",
            "together",
            wire(&[
                r#"{"id":"a","choices":[{"index":0,"delta":{"content":"so"},"finish_reason":""}]}"#,
                r#"{"id":"a","choices":[{"index":0,"delta":{"content":"."},"finish_reason":""}]}"#,
                &finish("eos"),
                DONE,
            ]),
            Said { text: "so.".into(), finish: stop(), ..Said::default() },
        ),
    ]
}

fn context(client: ClientProtocol) -> ClientContext {
    let mut request = Request::new(client, "m");
    request.stream = true;
    request.stream_options.include_usage = true;
    ClientContext::fixed(request, Protocol::Chat)
}

#[test]
fn every_vector_says_what_it_means_wherever_it_is_cut_and_to_every_client() {
    for (number, preset, body, expected) in vectors() {
        let target = target(preset);
        let whole = events(&target, [body.as_bytes()], BodyEnd::Clean);
        assert_eq!(said(&whole), expected, "{number} of {preset}");
        for cut in 1..body.len() {
            let (head, tail) = body.as_bytes().split_at(cut);
            assert_eq!(events(&target, [head, tail], BodyEnd::Clean), whole, "{number} cut at {cut}");
        }
        for client in ClientProtocol::ALL {
            let mut encoder = StreamEncoder::new(client, context(client));
            let mut out = Vec::new();
            whole.iter().for_each(|event| encoder.encode(event.clone(), &mut out));
            let seen = Check::new(client).vendor().stream(&out);
            let seen =
                seen.unwrap_or_else(|why| panic!("{number} to {client}: {why}\n{}", String::from_utf8_lossy(&out)));
            assert_eq!(seen.failure.is_some(), expected.error.is_some(), "{number} to {client}");
            assert_eq!(seen.text(), expected.text, "{number} to {client}");
            let called: Vec<_> =
                seen.tool_calls().iter().map(|call| (call.name.clone(), call.arguments.clone())).collect();
            assert_eq!(called, expected.calls, "{number} to {client}");
        }
    }
}

/// Bodies of status 200 that are no answer.
#[test]
fn a_200_without_an_answer_is_an_error() {
    use FaultClass as C;
    for (body, class) in [
        (r#"{"id":"a","choices":null,"error":{"code":429,"message":"slow"}}"#, C::RateLimited),
        (r#"{"id":"a","error":{"code":502,"message":"bad gateway","metadata":{"provider_name":"x"}}}"#, C::ServerError),
        (r#"{"id":"a","object":"chat.completion","choices":null}"#, C::UpstreamProtocol),
        (r#"{"id":"a","object":"chat.completion","choices":[]}"#, C::UpstreamProtocol),
        (r#"{"provider":{"id":"a","choices":[{"message":{"role":"assistant","content":"hi"}}]}}"#, C::UpstreamProtocol),
        (r#"{"choices":[{"index":0,"error":{"code":503,"message":"x"},"message":{"content":"a"}}]}"#, C::Overloaded),
        (r#"{"error":"text"}"#, C::ServerError),
        (r#"{"error":{"message":"m"},"message":"m"}"#, C::ServerError),
        (r#"{"detail":"not now"}"#, C::ServerError),
        (
            r#"{"object":"error","message":"no such model","type":"NotFoundError","param":null,"code":404}"#,
            C::ModelNotFound,
        ),
        (
            r#"{"message":"wrong key","type":"authentication_error","param":"api_key","code":"invalid_api_key"}"#,
            C::AuthInvalid,
        ),
        ("<html><body>502</body></html>", C::UpstreamProtocol),
        ("", C::UpstreamProtocol),
    ] {
        let answer = decode_response(&target("generic"), Bytes::copy_from_slice(body.as_bytes()));
        assert_eq!(answer.map(|_| ()).unwrap_err().class, class, "{body}");
    }
}

/// T16.
#[test]
fn ids_become_nine_characters_for_mistral_and_stay_the_same() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_01ZYXWVUTSRQPONM", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01ZYXWVUTSRQPONM", "content": "a tree"}]},
    ], "tools": [{"name": "look", "input_schema": {"type": "object"}}]});
    let ids = || {
        let sent = sent(ClientProtocol::Messages, "mistral", &body).0;
        let messages = sent["messages"].as_array().unwrap().clone();
        let call = messages.iter().find_map(|message| message["tool_calls"][0]["id"].as_str()).unwrap().to_owned();
        let result = messages.iter().find_map(|message| message["tool_call_id"].as_str()).unwrap().to_owned();
        (call, result)
    };
    let (call, result) = ids();
    assert!(call.len() == 9 && call.chars().all(|c| c.is_ascii_alphanumeric()), "{call}");
    assert_eq!(call, result);
    assert_eq!(ids(), (call, result), "the same in every request");
}

/// What the server of a preset gets of a client's body, and what is said to be lost.
pub(super) fn sent(client: ClientProtocol, preset: &str, body: &Value) -> (Value, Losses) {
    let model = body["model"].as_str().unwrap_or("m");
    let head = RequestHead { model: Some(model.into()), ..RequestHead::default() };
    let request = decode_request(client, &head, body.to_string().into_bytes().into()).unwrap();
    let target = Target {
        profile: Arc::new(Profile::named(preset).unwrap()),
        capabilities: Arc::new(polyport_protocol::Capabilities::of_model(Protocol::Chat, Some(preset), model)),
        ..Target::plain(Protocol::Chat, model.to_owned())
    };
    let mut losses = Losses::new();
    let context = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
    let (resolved, _) = resolve(&target, request, &context, &mut losses);
    let encoded = encode_request(&target, &resolved, &mut losses);
    (serde_json::from_slice(&encoded.body).unwrap(), losses)
}
