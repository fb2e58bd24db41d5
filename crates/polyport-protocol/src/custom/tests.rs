use bytes::Bytes;
use polyport_types::{ClientProtocol, Event, LossCode, Losses, PartKind, Protocol, Request, Response};
use serde_json::{Value, json};

use super::*;
use crate::collect::Collector;
use crate::resolve::{ResolveContext, resolve};
use crate::stream::BodyEnd;
use crate::{Encoded, RequestHead, StreamDecoder, Target, Wire, decode_request, encode_request};

fn place(path: &str) -> Vec<Place> {
    vec![Place { path: path.to_owned(), ..Place::default() }]
}

fn declaration(body: Value) -> Declaration {
    Declaration { body, answer: Places { text: place("$.text"), ..Places::default() }, ..Declaration::default() }
}

fn target(declared: &Declaration) -> Target {
    let custom = Custom::new("acme", declared).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let plain = Target::plain(Protocol::Chat, "model/1");
    Target {
        profile: Arc::new(custom.quirks(Profile::default())),
        capabilities: Arc::new(custom.abilities(Capabilities::clone(&plain.capabilities))),
        wire: Wire::Custom(Arc::new(custom)),
        ..plain
    }
}

fn mistakes(declared: &Declaration) -> Vec<String> {
    let mistakes = Custom::new("acme", declared).expect_err("it should have mistakes");
    mistakes.into_iter().map(|mistake| format!("{}: {}", mistake.setting.join("."), mistake.message)).collect()
}

fn request(body: &Value) -> Request {
    let body = Bytes::from(body.to_string());
    decode_request(ClientProtocol::Chat, &RequestHead::default(), body).unwrap()
}

fn encoded(declared: &Declaration, body: &Value) -> (Encoded, Losses) {
    let target = target(declared);
    let mut losses = Losses::new();
    let context = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
    let (resolved, _) = resolve(&target, request(body), &context, &mut losses);
    let encoded = encode_request(&target, &resolved, &mut losses);
    (encoded, losses)
}

fn written(declared: &Declaration, body: &Value) -> Value {
    let (encoded, losses) = encoded(declared, body);
    assert!(encoded.fault.is_none(), "{:?} {losses:?}", encoded.fault);
    serde_json::from_slice(&encoded.body).unwrap()
}

fn hello() -> Value {
    json!({ "model": "m", "messages": [
        { "role": "system", "content": "Be \"brief\"." }, { "role": "user", "content": "Hello <you> & me." }
    ], "temperature": 0.5 })
}

#[test]
fn a_tree_keeps_types_and_leaves_out_what_has_no_value() {
    let declared = declaration(json!({
        "model": "{{ model }}",
        "live": "{{ stream }}",
        "fixed": [1, null, "x", {}],
        "heat": "{{ temperature }}",
        "words": "{{ max_tokens }}",
        "empty": { "top": "{{ top_p }}" },
        "greeting": "to {{ model }}: {{ messages | length }}",
        "said": { "$for": "message in messages", "$if": "message.role != 'system'", "$do": { "text": "{{ message.content }}" } },
        "system": "{{ system }}",
        "first": ["{{ messages[0].role }}", "{{ tools }}"],
    }));
    assert_eq!(
        written(&declared, &hello()),
        json!({ "model": "model/1", "live": false, "fixed": [1, null, "x", {}], "heat": 0.5, "greeting": "to model/1: 2",
            "said": [{ "text": "Hello <you> & me." }], "system": "Be \"brief\".", "first": ["system"] })
    );
}

#[test]
fn a_text_renders_to_json_and_nothing_in_it_is_escaped_for_pages() {
    let declared = declaration(json!("{\"a\": {{ prompt | tojson }}, \"b\": {{ top_p | tojson }}}"));
    assert_eq!(
        written(&declared, &hello()),
        json!({ "a": "Be \"brief\".\n\nUser: Hello <you> & me.\n\nAssistant:", "b": null })
    );
}

#[test]
fn a_path_cannot_be_left_and_headers_without_a_value_are_none() {
    let mut declared = declaration(json!({ "messages": "{{ messages }}" }));
    declared.path = Some("/v1/{{ model }}:go?live={{ stream }}&of={{ user }}".to_owned());
    declared.headers =
        vec![("x-model".to_owned(), "{{ model }}".to_owned()), ("x-user".to_owned(), "{{ user }}".to_owned())];
    let mut body = hello();
    let (plain, _) = encoded(&declared, &body);
    assert_eq!(plain.path.as_deref(), Some("/v1/model%2F1:go?live=false&of="));
    assert_eq!(plain.headers, [("x-model".into(), "model/1".to_owned())]);
    body["user"] = json!("a/../b?c#d e");
    let (named, _) = encoded(&declared, &body);
    assert_eq!(named.path.as_deref(), Some("/v1/model%2F1:go?live=false&of=a%2F..%2Fb%3Fc%23d%20e"));
    body["user"] = json!("a\r\nx-evil: 1");
    let fault = encoded(&declared, &body).0.fault.unwrap();
    assert!(fault.message.contains("`acme`") && fault.message.contains("`custom.headers.x-user`"), "{}", fault.message);
}

#[test]
fn what_no_template_reads_is_reported() {
    let mut body = hello();
    body["seed"] = json!(7);
    body["num_ctx"] = json!(4096);
    body["top_k"] = json!(40);
    let all = declaration(json!({ "all": "{{ request }}" }));
    let (_, losses) = encoded(&all, &body);
    assert!(losses.is_empty(), "{losses:?}");
    let some = declaration(json!({ "messages": "{{ messages }}", "context": "{{ num_ctx }}", "k": "{{ top_k }}" }));
    let (encoded, losses) = encoded(&some, &body);
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!((&body["context"], &body["k"]), (&json!(4096), &json!(40)), "{losses:?}");
    let lost: Vec<(LossCode, &str)> = losses.entries().iter().map(|loss| (loss.code, loss.path.as_str())).collect();
    assert_eq!(lost, [(LossCode::SamplingUnsupported, "/temperature"), (LossCode::SamplingUnsupported, "/seed")]);
}

#[test]
fn every_member_of_a_chat_body_is_known() {
    let target = Target::plain(Protocol::Chat, "gpt-5");
    let body = json!({
        "model": "m", "messages": [{ "role": "user", "content": "x" }], "stream": true, "temperature": 1, "top_p": 1, "seed": 1,
        "frequency_penalty": 1, "presence_penalty": 1, "logit_bias": { "1": 1 }, "logprobs": true, "top_logprobs": 2, "n": 2,
        "max_completion_tokens": 5, "stop": ["a"], "response_format": { "type": "json_object" }, "verbosity": "low",
        "modalities": ["text", "audio"], "audio": { "voice": "alloy", "format": "wav" }, "tool_choice": "auto",
        "prediction": { "type": "content", "content": "x" }, "parallel_tool_calls": true, "reasoning_effort": "low",
        "web_search_options": {}, "store": true, "metadata": { "a": "b" }, "safety_identifier": "u", "prompt_cache_key": "k",
        "prompt_cache_retention": "24h", "service_tier": "flex",
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }],
    });
    let encoded = encode_request(&target, &request(&body), &mut Losses::new());
    let written: serde_json::Map<String, Value> = serde_json::from_slice(&encoded.body).unwrap();
    assert!(written.len() > 25, "{written:?}");
    for member in written
        .keys()
        .filter(|name| !["model", "messages", "stream", "stream_options", "tools"].contains(&name.as_str()))
    {
        assert!(request::MEMBERS.contains(&member.as_str()), "{member}");
    }
}

#[test]
fn images_reach_the_body_or_are_refused() {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": [{ "type": "text", "text": "See?" },
        { "type": "image_url", "image_url": { "url": "data:image/png;base64,aGVsbG8gd29ybGQ=" } }] }] });
    let blind = declaration(json!({ "said": "{{ prompt }}" }));
    let (_, losses) = encoded(&blind, &body);
    assert_eq!(losses.entries()[0].code, LossCode::MediaUnsupported);
    let seeing = declaration(json!({ "turns": { "$for": "m in messages", "$do": {
        "text": "{{ m.content | text }}", "pictures": { "$for": "i in m.content | images", "$do": "{{ i.media_type }} {{ i.data }}" } } } }));
    assert_eq!(
        written(&seeing, &body),
        json!({ "turns": [{ "text": "See?", "pictures": ["image/png aGVsbG8gd29ybGQ="] }] })
    );
}

#[test]
fn tools_that_no_template_reads_are_not_offered() {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }],
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }] });
    let (_, losses) = encoded(&declaration(json!({ "said": "{{ prompt }}" })), &body);
    assert_eq!(losses.entries()[0].code, LossCode::ToolUnsupported, "{losses:?}");
    let declared = declaration(json!({ "said": "{{ prompt }}", "functions": "{{ tools }}" }));
    assert_eq!(written(&declared, &body)["functions"][0]["function"]["name"], "f");
}

#[test]
fn mistakes_are_found_at_load_with_their_settings() {
    let cases = [
        (json!({ "a": "{{ messages | nonsense }}" }), "body.a: an ordinary request cannot be written: unknown filter"),
        (json!({ "a": { "b": ["{{ messages }}", "{% if %}"] } }), "body.a.b.1: the template cannot be read"),
        (json!({ "a": "{{ model }}" }), "body: no template reads the conversation"),
        (json!({ "a": "{{ turns }}" }), "body: `turns` is the conversation without its instructions"),
        (json!("{{ prompt }}"), "body: an ordinary request cannot be written: what it renders to is not JSON"),
        (json!({ "a": { "$for": "messages", "$do": "x" } }), "body.a: this is no list made of another"),
        (json!({ "a": { "$for": "m in messages", "$do": "x", "b": 1 } }), "body.a: `b` stands beside `$for`"),
        (json!({ "a": { "$for": "m in messages +", "$do": "x" } }), "body.a: the expression cannot be read"),
        (Value::Null, "body: the body is missing"),
    ];
    for (body, expected) in cases {
        let found = mistakes(&declaration(body.clone()));
        assert!(found.iter().any(|mistake| mistake.starts_with(expected)), "{body}: {found:?}");
    }
    let mut declared = declaration(json!({ "a": "{{ messages }}" }));
    declared.path = Some("https://elsewhere.example/x".to_owned());
    declared.headers = vec![("no header".to_owned(), "x".to_owned())];
    declared.answer.finish = place("$.done[");
    declared.answer.reasoning = vec![Place { when: Some("@.type ==".to_owned()), ..place("$.a").remove(0) }];
    declared.answer.tool_calls = Some(CallPlaces { each: place("$.calls[*]"), ..CallPlaces::default() });
    let found = mistakes(&declared);
    let expected = [
        "path: this is no path",
        "headers.no header: this is not the name of a header",
        "answer.reasoning: `@.type ==` is not a JSONPath filter",
        "answer.tool_calls: `each` says where calls stand",
        "answer.finish: `$.done[` is not a JSONPath expression",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn a_template_has_no_way_out_and_no_endless_loop() {
    for body in ["{% include 'x' %}{{ messages }}", "{% extends 'x' %}{{ messages }}"] {
        assert!(!mistakes(&declaration(json!(body))).is_empty());
    }
    let loops = "{{ messages }}{% for a in range(99999) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endfor %}";
    let found = mistakes(&declaration(json!(loops)));
    assert!(found[0].contains("ran out of fuel"), "{found:?}");
    let calls = "{% macro a() %}{{ a() }}{% endmacro %}{{ messages }}{{ a() }}";
    assert!(
        mistakes(&declaration(json!(calls)))[0].contains("recursion"),
        "{:?}",
        mistakes(&declaration(json!(calls)))
    );
}

/// Whole answers and streams of a vendor with names of its own.
fn vendor() -> Declaration {
    let mut declared = declaration(json!({ "messages": "{{ messages }}", "tools": "{{ tools }}" }));
    declared.answer = Places {
        text: place("$.out[?@.kind == 'text'].text"),
        reasoning: place("$.out[?@.kind == 'thought'].text"),
        tool_calls: Some(CallPlaces {
            each: place("$.out[?@.kind == 'call']"),
            id: Some("$.ref".to_owned()),
            name: Some("$.tool".to_owned()),
            arguments: Some("$.input".to_owned()),
            index: None,
        }),
        usage: UsagePlaces {
            input: place("$.spent.in"),
            cache_read: place("$.spent.again"),
            output: place("$.spent.out"),
            cache_outside: true,
            ..UsagePlaces::default()
        },
        finish: place("$.why"),
        finish_words: BTreeMap::from([("full".to_owned(), FinishWord::Length)]),
        error: place("$.trouble"),
        ..Places::default()
    };
    let named = |event: &str| Place { event: Some(event.to_owned()), ..place("$.piece").remove(0) };
    declared.stream = Streams {
        done: Some("[OVER]".to_owned()),
        event: Places {
            text: vec![named("text")],
            reasoning: vec![Place { when: Some("@.kind == 'thought'".to_owned()), ..place("$.piece").remove(0) }],
            tool_calls: Some(CallPlaces {
                each: place("$.call"),
                id: Some("$.ref".to_owned()),
                name: Some("$.tool".to_owned()),
                arguments: Some("$.piece".to_owned()),
                index: Some("$.number".to_owned()),
            }),
            ..Places::default()
        },
        ..Streams::default()
    };
    declared
}

fn whole(declared: &Declaration, body: &Value) -> Result<Response, Fault> {
    crate::decode_response(&target(declared), Bytes::from(body.to_string()))
}

fn streamed(declared: &Declaration, stream: &str) -> (Vec<Event>, Result<Response, Fault>) {
    let target = target(declared);
    let mut seen = None;
    for size in [1, 7, 4096] {
        let mut decoder = StreamDecoder::new(&target, 1 << 20);
        let mut events = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            decoder.push(Bytes::copy_from_slice(piece), &mut events);
        }
        decoder.finish(BodyEnd::Clean, &mut events);
        let before = seen.get_or_insert_with(|| events.clone());
        assert_eq!(*before, events, "in pieces of {size}");
    }
    let events = seen.unwrap();
    let mut collector = Collector::new();
    events.clone().into_iter().for_each(|event| collector.push(event));
    (events, collector.into_response())
}

use polyport_types::{Fault, FaultClass, FinishReason};

fn texts(response: &Response) -> Vec<String> {
    let parts = response.first().map(|candidate| candidate.parts.as_slice()).unwrap_or_default();
    parts
        .iter()
        .map(|part| match &part.kind {
            PartKind::Text(text) => format!("text {}", text.text),
            PartKind::Reasoning(_) => "reasoning".to_owned(),
            PartKind::ToolCall(call) => format!("{} {} {}", call.id, call.name, call.arguments),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_whole_answer_is_found_where_it_stands() {
    let response = whole(
        &vendor(),
        &json!({ "out": [
            { "kind": "thought", "text": "Hm." }, { "kind": "text", "text": "Well, " }, { "kind": "text", "text": "look:" },
            { "kind": "call", "ref": "c1", "tool": "look", "input": { "at": [1, "é"] } },
            { "kind": "call", "ref": "c2", "tool": "look", "input": {} }
        ], "why": "done", "spent": { "in": 10, "again": 4, "out": 7.0 } }),
    )
    .unwrap();
    assert_eq!(texts(&response), ["reasoning", "text Well, look:", r#"c1 look {"at":[1,"é"]}"#, "c2 look {}"]);
    let usage = &response.usage;
    assert_eq!((usage.input_uncached, usage.cache_read, usage.output_text), (Some(10), Some(4), Some(7)));
    assert_eq!(response.first().unwrap().finish, FinishReason::ToolCalls);
    let cut = whole(&vendor(), &json!({ "out": [{ "kind": "text", "text": "Wel" }], "why": "FULL" })).unwrap();
    assert_eq!(cut.first().unwrap().finish, FinishReason::MaxTokens);
}

#[test]
fn a_stream_is_put_together_from_its_pieces() {
    let stream = [
        ("begin", json!({ "spent": { "in": 10 } })),
        ("thought", json!({ "kind": "thought", "piece": "Hm." })),
        ("text", json!({ "piece": "Well, " })),
        ("text", json!({ "piece": "look:" })),
        ("call", json!({ "call": { "number": 3, "ref": "c1", "tool": "look" } })),
        ("call", json!({ "call": { "number": 3, "piece": "{\"at\":" } })),
        ("call", json!({ "call": { "number": 5, "ref": "c2", "tool": "look", "piece": "{}" } })),
        ("call", json!({ "call": { "number": 3, "piece": "1}" } })),
        ("call", json!({ "call": { "number": 9, "piece": "of no call" } })),
        ("end", json!({ "why": "done", "spent": { "again": 4, "out": 7 } })),
    ];
    let mut text: String = stream.iter().map(|(name, data)| format!("event: {name}\ndata: {data}\n\n")).collect();
    text.push_str(": still here\n\ndata: [OVER]\n\n");
    let (_, response) = streamed(&vendor(), &text);
    let response = response.unwrap();
    assert_eq!(texts(&response), ["reasoning", "text Well, look:", r#"c1 look {"at":1}"#, "c2 look {}"]);
    let usage = &response.usage;
    assert_eq!((usage.input_uncached, usage.cache_read, usage.output_text), (Some(10), Some(4), Some(7)));
    assert_eq!(response.first().unwrap().finish, FinishReason::ToolCalls);
}

#[test]
fn lines_of_json_and_texts_that_grow_are_streams_too() {
    let mut declared = declaration(json!({ "messages": "{{ messages }}" }));
    declared.answer.finish = place("$.done");
    declared.stream = Streams { form: Form::JsonLines, cumulative: true, ..Streams::default() };
    let (events, response) =
        streamed(&declared, "{\"text\":\"a\"}\n{\"text\":\"ab\"}\n{\"text\":\"ab\",\"done\":true}\n");
    assert_eq!(texts(&response.unwrap()), ["text ab"]);
    let deltas = events.iter().filter(|event| matches!(event, Event::Delta { .. }));
    assert_eq!(deltas.count(), 2);
}

#[test]
fn errors_are_found_in_every_place() {
    let busy = json!({ "trouble": { "code": 503, "message": "overloaded, sorry" } });
    for fault in
        [whole(&vendor(), &busy).unwrap_err(), streamed(&vendor(), &format!("data: {busy}\n\n")).1.unwrap_err()]
    {
        assert!(fault.message.contains("overloaded, sorry"), "{fault:?}");
    }
    let custom = Custom::new("acme", &vendor()).unwrap();
    let body = custom.error_body(br#"{"trouble":"no credits","text":"x"}"#).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({ "error": { "message": "no credits" } }));
    assert_eq!(custom.error_body(b"<html>"), None);
    let plain = streamed(&vendor(), "event: error\ndata: out of order\n\n").1.unwrap_err();
    assert!(plain.message.contains("out of order"), "{plain:?}");
}

#[test]
fn an_answer_in_which_nothing_is_found_names_provider_and_setting() {
    let other = json!({ "output": "hello", "why": "done" });
    let end = format!("data: {other}\n\ndata: [OVER]\n\n");
    for fault in [
        whole(&vendor(), &other).unwrap_err(),
        streamed(&vendor(), &end).1.unwrap_err(),
        streamed(&vendor(), &format!("data: {other}\n\n")).1.unwrap_err(),
        streamed(&vendor(), "data: {}\n\n").1.unwrap_err(),
    ] {
        assert_eq!(fault.class, FaultClass::UpstreamProtocol);
        assert!(fault.message.contains("`acme`") && fault.message.contains(".text` ($."), "{}", fault.message);
    }
    // Empty is not missing, and a refusal says something.
    assert!(whole(&vendor(), &json!({ "out": [{ "kind": "text", "text": "" }], "why": "done" })).is_ok());
    assert!(whole(&vendor(), &json!({ "out": [], "why": "safety" })).is_ok());
}

#[test]
fn a_stream_that_stops_early_is_an_error_where_its_end_is_known() {
    let (_, response) = streamed(&vendor(), "event: text\ndata: {\"piece\":\"We\"}\n\n");
    assert!(response.is_err());
    let (_, response) = streamed(&declaration(json!("[{{ prompt | tojson }}]")), "data: {\"text\":\"We\"}\n\n");
    assert_eq!(texts(&response.unwrap()), ["text We"]);
}
