//! AWS Bedrock's Converse: what requests become and what answers mean, beyond what the whole gateway is tested with.

use std::sync::Arc;

use bytes::Bytes;
use polyport_protocol::profile::Profile;
use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    Capabilities, RequestHead, StreamDecoder, Target, Wire, decode_request, decode_response, encode_request, resolve,
};
use polyport_testkit::provider::aws_frame;
use polyport_types::{ClientProtocol, Event, FinishReason, Losses, PartKind, Protocol};
use proptest::prelude::*;
use serde_json::{Value, json};

const CLAUDE: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn target(model: &str) -> Target {
    Target {
        wire: Wire::Converse,
        profile: Arc::new(Profile::named("bedrock").unwrap()),
        capabilities: Arc::new(Capabilities::of_model(Protocol::Messages, Some("bedrock"), model)),
        ..Target::plain(Protocol::Messages, model.to_owned())
    }
}

/// What a client's request becomes, and the codes of what was lost.
fn encoded(model: &str, client: ClientProtocol, body: &Value) -> (Value, Vec<String>) {
    let target = target(model);
    let request = decode_request(client, &RequestHead::default(), body.to_string().into()).unwrap();
    let context = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
    let mut losses = Losses::new();
    let (request, _) = resolve(&target, request, &context, &mut losses);
    let encoded = encode_request(&target, &request, &mut losses);
    let codes = losses.entries().iter().map(|loss| loss.code.as_str().to_owned()).collect();
    (serde_json::from_slice(&encoded.body).unwrap(), codes)
}

fn messages(extra: &Value) -> Value {
    let mut body = json!({ "model": "m", "max_tokens": 4096, "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

#[test]
fn documents_get_names_that_are_taken_and_words_beside_them() {
    let pdf = json!({ "type": "base64", "media_type": "application/pdf", "data": "JVBERi0=" });
    let document = json!({ "type": "document", "title": "Q3_report.pdf", "source": pdf });
    let text = json!({ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "words" } });
    let body = messages(&json!({ "messages": [{ "role": "user", "content": [document, document, text] }] }));
    let (sent, _) = encoded(CLAUDE, ClientProtocol::Messages, &body);
    let content = &sent["messages"][0]["content"];
    assert_eq!(content[0], json!({ "text": "." }));
    let source = json!({ "bytes": "JVBERi0=" });
    assert_eq!(content[1], json!({ "document": { "format": "pdf", "name": "Q3 report pdf", "source": source } }));
    assert_eq!(content[2]["document"]["name"], "Q3 report pdf 2");
    assert_eq!(
        content[3],
        json!({ "document": { "format": "txt", "name": "document", "source": { "text": "words" } } })
    );
}

#[test]
fn markers_stand_behind_what_they_mark_and_never_inside_a_result() {
    let mark = json!({ "type": "ephemeral", "ttl": "1h" });
    let body = messages(&json!({
        "system": [{ "type": "text", "text": "Be brief.", "cache_control": mark }],
        "tools": [{ "name": "look", "input_schema": { "type": "object" }, "cache_control": mark }],
        "messages": [
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": [{ "type": "tool_use", "id": "t1", "name": "look", "input": {} }] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t1",
                "content": [{ "type": "text", "text": "seen", "cache_control": { "type": "ephemeral" } }] }] }
        ]
    }));
    let (sent, _) = encoded(CLAUDE, ClientProtocol::Messages, &body);
    let hour = json!({ "cachePoint": { "type": "default", "ttl": "1h" } });
    assert_eq!(sent["system"], json!([{ "text": "Be brief." }, hour]));
    assert_eq!(sent["toolConfig"]["tools"][1], hour);
    let result = json!({ "toolUseId": "t1", "content": [{ "text": "seen" }] });
    assert_eq!(
        sent["messages"][2]["content"],
        json!([{ "toolResult": result }, { "cachePoint": { "type": "default" } }])
    );
    // A model that knows no markers gets none.
    let (sent, lost) = encoded("meta.llama3-3-70b-instruct-v1:0", ClientProtocol::Messages, &body);
    assert!(!sent.to_string().contains("cachePoint"), "{sent}");
    assert!(lost.iter().any(|code| code == "cache.breakpoint_dropped"), "{lost:?}");
}

#[test]
fn what_only_one_maker_knows_stands_among_the_models_own_members() {
    let body = messages(&json!({
        "max_tokens": 8000, "thinking": { "type": "enabled", "budget_tokens": 2000 },
        "tools": [{ "name": "look", "input_schema": { "type": "object" } }],
        "tool_choice": { "type": "auto", "disable_parallel_tool_use": true }, "stop_sequences": ["END"]
    }));
    let (sent, _) = encoded(CLAUDE, ClientProtocol::Messages, &body);
    let own = &sent["additionalModelRequestFields"];
    assert_eq!((&own["thinking"]["type"], &own["thinking"]["budget_tokens"]), (&json!("enabled"), &json!(2000)));
    assert_eq!(own["tool_choice"], json!({ "type": "auto", "disable_parallel_tool_use": true }));
    assert_eq!(sent["toolConfig"].get("toolChoice"), None);
    assert_eq!(sent["inferenceConfig"], json!({ "maxTokens": 8000, "stopSequences": ["END"] }));
    assert_eq!(sent["additionalModelResponseFieldPaths"], json!(["/stop_sequence"]));

    let chat = json!({ "model": "m", "reasoning_effort": "low", "messages": [{ "role": "user", "content": "hi" }] });
    let (sent, _) = encoded("openai.gpt-oss-120b-1:0", ClientProtocol::Chat, &chat);
    assert_eq!(sent["additionalModelRequestFields"], json!({ "reasoning_effort": "low" }));
    let (sent, lost) = encoded("amazon.nova-pro-v1:0", ClientProtocol::Chat, &chat);
    assert_eq!(sent.get("additionalModelRequestFields"), None);
    assert!(lost.iter().any(|code| code == "reasoning.unsupported"), "{lost:?}");
}

#[test]
fn tools_that_must_not_be_used_are_left_out_unless_the_history_needs_them() {
    let tools = json!([{ "name": "look", "input_schema": { "type": "object" } }]);
    let body = messages(&json!({ "tools": tools, "tool_choice": { "type": "none" } }));
    let (sent, _) = encoded("amazon.nova-pro-v1:0", ClientProtocol::Messages, &body);
    assert_eq!(sent.get("toolConfig"), None);
    // Calls in the history without any tool: declared, since the service insists.
    let body = messages(&json!({ "messages": [
        { "role": "user", "content": "hi" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "t1", "name": "look", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t1", "content": "seen", "is_error": true }] }
    ] }));
    let (sent, lost) = encoded("amazon.nova-pro-v1:0", ClientProtocol::Messages, &body);
    assert_eq!(sent["toolConfig"]["tools"][0]["toolSpec"]["name"], "look");
    assert_eq!(sent["messages"][2]["content"][0]["toolResult"]["status"], "error");
    assert!(lost.iter().any(|code| code == "tool_choice.degraded"), "{lost:?}");
}

#[test]
fn a_schema_goes_as_a_text_and_tiers_in_the_services_words() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false });
    let body = json!({ "model": "m", "service_tier": "priority", "messages": [{ "role": "user", "content": "hi" }],
        "response_format": { "type": "json_schema", "json_schema": { "name": "reply", "schema": schema } } });
    let (sent, lost) = encoded(CLAUDE, ClientProtocol::Chat, &body);
    let format = &sent["outputConfig"]["textFormat"];
    assert_eq!((&format["type"], &format["structure"]["jsonSchema"]["name"]), (&json!("json_schema"), &json!("reply")));
    let text = format["structure"]["jsonSchema"]["schema"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap()["required"], json!(["a"]));
    assert_eq!(sent["serviceTier"], json!({ "type": "priority" }));
    assert!(!lost.iter().any(|code| code.starts_with("service_tier")), "{lost:?}");
}

#[test]
fn reasons_to_stop_and_hidden_reasoning_are_read() {
    let answer = |stop: &str, content: Value| {
        let body = json!({ "output": { "message": { "role": "assistant", "content": content } }, "stopReason": stop,
            "usage": { "inputTokens": 5, "outputTokens": 2, "totalTokens": 7 } });
        decode_response(&target(CLAUDE), Bytes::from(body.to_string())).unwrap()
    };
    for (word, reason) in [
        ("end_turn", FinishReason::Stop),
        ("max_tokens", FinishReason::MaxTokens),
        ("guardrail_intervened", FinishReason::ContentFilter),
        ("content_filtered", FinishReason::ContentFilter),
        ("model_context_window_exceeded", FinishReason::ContextWindow),
    ] {
        assert_eq!(answer(word, json!([{ "text": "x" }])).candidates[0].finish, reason, "{word}");
    }
    // The bytes of Anthropic's text stand in base64, and go back so.
    let hidden = json!([{ "reasoningContent": { "redactedContent": "RW1vaGE=" } }, { "text": "x" }]);
    let parts = answer("end_turn", hidden).candidates[0].parts.clone();
    assert!(matches!(&parts[0].kind, PartKind::Reasoning(reasoning) if reasoning.redacted));
    assert_eq!(&*parts[0].signature.as_ref().unwrap().value, "Emoha");
    let error = decode_response(&target(CLAUDE), Bytes::from_static(br#"{"message":"no"}"#)).unwrap_err();
    assert_eq!(error.message, "no");
}

fn event(kind: &str, payload: &Value) -> Vec<u8> {
    aws_frame(&[(":event-type", kind), (":message-type", "event")], payload.to_string().as_bytes())
}

fn good_stream() -> Vec<u8> {
    let delta =
        |index: u32, delta: Value| event("contentBlockDelta", &json!({ "contentBlockIndex": index, "delta": delta }));
    let stop = |index: u32| event("contentBlockStop", &json!({ "contentBlockIndex": index }));
    [
        event("messageStart", &json!({ "role": "assistant" })),
        delta(0, json!({ "reasoningContent": { "text": "Hm." } })),
        delta(0, json!({ "reasoningContent": { "signature": "c2ln" } })),
        stop(0),
        delta(1, json!({ "text": "你好 " })),
        delta(1, json!({ "text": "there" })),
        stop(1),
        event("contentBlockStart", &json!({ "contentBlockIndex": 2, "start": { "toolUse": { "toolUseId": "t1", "name": "look" } } })),
        delta(2, json!({ "toolUse": { "input": "{\"a\":" } })),
        delta(2, json!({ "toolUse": { "input": "1}" } })),
        stop(2),
        event("messageStop", &json!({ "stopReason": "tool_use" })),
        event("metadata", &json!({ "usage": { "inputTokens": 5, "outputTokens": 2, "totalTokens": 7 }, "metrics": { "latencyMs": 1 } })),
    ]
    .concat()
}

fn events(pieces: &[&[u8]]) -> Vec<Event> {
    let mut decoder = StreamDecoder::new(&target(CLAUDE), 1 << 20);
    let mut out = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece), &mut out);
    }
    decoder.finish(BodyEnd::Clean, &mut out);
    out
}

#[test]
fn a_stream_is_read_whole() {
    let out = events(&[&good_stream()]);
    let mut validator = polyport_types::Validator::new();
    for event in &out {
        validator.check(event).unwrap();
    }
    let text: String = out
        .iter()
        .filter_map(|event| match event {
            Event::Delta { text, .. } => Some(text.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(text, "Hm.你好 there{\"a\":1}");
    assert!(out.iter().any(|event| matches!(event, Event::Signature { signature, .. } if &*signature.value == "c2ln")));
    assert!(out.iter().any(|event| matches!(event, Event::Finish(finish) if finish.reason == FinishReason::ToolCalls)));
    assert!(out.iter().any(|event| matches!(event, Event::Usage(usage) if usage.input_uncached == Some(5))));
}

fn failed(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Error(_)))
}

proptest! {
    #[test]
    fn the_cut_of_the_bytes_changes_nothing(cuts in proptest::collection::vec(0_usize..2000, 0..6)) {
        let body = good_stream();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([body.len()]);
        let pieces: Vec<&[u8]> = std::iter::once(0).chain(cuts.iter().copied()).zip(ends).map(|(from, to)| &body[from..to]).collect();
        prop_assert_eq!(events(&pieces), events(&[&body]));
    }

    #[test]
    fn a_cut_stream_ends_with_an_error(at in 0_usize..1000) {
        let body = good_stream();
        // The last message only tells the tokens.
        let usage = json!({ "usage": { "inputTokens": 5, "outputTokens": 2, "totalTokens": 7 }, "metrics": { "latencyMs": 1 } });
        let at = at.min(body.len() - event("metadata", &usage).len() - 1);
        let out = events(&[&body[..at]]);
        prop_assert!(failed(&out));
        prop_assert_eq!(out.last(), Some(&Event::End));
    }

    #[test]
    fn a_damaged_stream_ends_with_an_error(at in 0_usize..1000, with in 1_u8..=255) {
        let mut body = good_stream();
        let at = at.min(body.len() - 1);
        body[at] ^= with;
        let out = events(&[&body]);
        prop_assert!(failed(&out), "byte {at}");
        prop_assert_eq!(out.last(), Some(&Event::End));
    }

    #[test]
    fn any_bytes_end_in_a_clean_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let out = events(&[&bytes]);
        prop_assert!(failed(&out));
        prop_assert_eq!(out.last(), Some(&Event::End));
    }
}
