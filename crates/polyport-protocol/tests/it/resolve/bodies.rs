//! Bodies as clients send them, read, resolved and written: what arrives, and what the report says of the rest.

use std::sync::Arc;

use bytes::Bytes;
use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::{Capabilities, RequestHead, Target, decode_request, encode_request, resolve};
use polyport_types::{ClientProtocol, Losses, Protocol};
use serde_json::{Value, json};

/// What a provider gets of a body, and the losses as `code path`.
fn through(source: ClientProtocol, target: Protocol, model: &str, body: &Value) -> (Value, Vec<String>) {
    let head = RequestHead { model: Some(model.into()), ..RequestHead::default() };
    let request = decode_request(source, &head, Bytes::from(body.to_string())).unwrap();
    let target =
        Target { capabilities: Arc::new(Capabilities::of_model(target, None, model)), ..Target::plain(target, model) };
    let mut losses = Losses::new();
    let context = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
    let (request, _) = resolve(&target, request, &context, &mut losses);
    let body = serde_json::from_slice(&encode_request(&target, &request, &mut losses).body).unwrap();
    let lost = losses.entries().iter().map(|loss| format!("{} {}", loss.code.as_str(), loss.path));
    (body, lost.collect())
}

fn messages(members: Value) -> Value {
    with(json!({"model": "alias", "max_tokens": 3000, "messages": [{"role": "user", "content": "Hi"}]}), members)
}

fn gemini(members: Value) -> Value {
    with(json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}), members)
}

fn with(mut body: Value, members: Value) -> Value {
    let (Value::Object(all), Value::Object(members)) = (&mut body, members) else { panic!("not an object") };
    all.extend(members);
    body
}

/// The models the tests ask, one for each protocol.
const MODELS: [(Protocol, &str); 4] = [
    (Protocol::Chat, "gpt-4.1"),
    (Protocol::Responses, "gpt-5.6"),
    (Protocol::Messages, "claude-opus-4-8"),
    (Protocol::Gemini, "gemini-3.5-flash"),
];

#[test]
fn settings_of_a_function_that_only_its_protocol_has_are_named() {
    let of_messages = messages(json!({"tools": [
        {"name": "f", "input_schema": {"type": "object"}},
        {"name": "g", "input_schema": {"type": "object"}, "input_examples": [{}], "allowed_callers": ["direct"]},
    ]}));
    let of_gemini = gemini(json!({"tools": [{"functionDeclarations": [
        {"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}, "behavior": "BLOCKING"},
    ]}]}));
    for (target, model) in MODELS {
        let named = |lost: Vec<String>| lost.into_iter().filter(|loss| loss.contains("/tools/")).collect::<Vec<_>>();
        let lost = named(through(ClientProtocol::Messages, target, model, &of_messages).1);
        let expected =
            ["server_feature.dropped /tools/1/input_examples", "server_feature.dropped /tools/1/allowed_callers"];
        assert_eq!(lost, if target == Protocol::Messages { &[][..] } else { &expected });
        let lost = named(through(ClientProtocol::Gemini, target, model, &of_gemini).1);
        let expected = ["server_feature.dropped /tools/0/behavior"];
        assert_eq!(lost, if target == Protocol::Gemini { &[][..] } else { &expected });
    }
}

#[test]
fn settings_of_a_providers_tool_without_an_equal_are_named() {
    let fetch =
        messages(json!({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch", "max_content_tokens": 9}]}));
    let (body, lost) = through(ClientProtocol::Messages, Protocol::Gemini, "gemini-3.5-flash", &fetch);
    assert_eq!(body["tools"], json!([{"urlContext": {}}]));
    assert_eq!(lost, ["server_feature.dropped /tools/0/max_content_tokens"]);

    let search = gemini(json!({"tools": [
        {"googleSearch": {"excludeDomains": ["x.com"], "timeRangeFilter": {"startTime": "2026-01-01T00:00:00Z"}}},
        {"codeExecution": {}},
    ]}));
    let (body, lost) = through(ClientProtocol::Gemini, Protocol::Messages, "claude-opus-4-8", &search);
    assert_eq!(body["tools"][0]["blocked_domains"], json!(["x.com"]));
    assert!(lost.contains(&"server_feature.dropped /tools/0/timeRangeFilter".to_owned()), "{lost:?}");
    assert!(!lost.iter().any(|loss| loss.contains("/tools/1")), "{lost:?}");

    let server = |headers: Value| {
        let transport = json!({"url": "https://m/x", "headers": headers});
        gemini(json!({"tools": [{"mcpServers": [{"name": "dw", "streamableHttpTransport": transport}]}]}))
    };
    let lost = |headers: Value| through(ClientProtocol::Gemini, Protocol::Responses, "gpt-5.6", &server(headers)).1;
    assert_eq!(lost(json!({"Authorization": "Bearer t"})), ["server_feature.dropped /tools/0/authorization"]);
    assert!(lost(json!({"X-Team": "a"})).contains(&"server_feature.dropped /tools/0/headers".to_owned()));
}

#[test]
fn a_toolset_offers_elsewhere_only_the_tools_it_names() {
    let toolset = |configs: Value, all: bool| {
        messages(json!({
            "mcp_servers": [{"type": "url", "name": "dw", "url": "https://m/x"}],
            "tools": [{"type": "mcp_toolset", "mcp_server_name": "dw", "default_config": {"enabled": all}, "configs": configs}],
        }))
    };
    let sent = |body: &Value| through(ClientProtocol::Messages, Protocol::Responses, "gpt-5.6", body);
    let (body, lost) =
        sent(&toolset(json!({"a": {"enabled": true}, "b": {"enabled": false}, "c": {"enabled": true}}), false));
    assert_eq!(body["tools"][0]["allowed_tools"], json!(["a", "c"]));
    assert!(lost.is_empty(), "{lost:?}");
    // All but some cannot be said.
    let (body, lost) = sent(&toolset(json!({"b": {"enabled": false}}), true));
    assert_eq!(body["tools"][0].get("allowed_tools"), None);
    assert!(lost.contains(&"server_feature.dropped /tools/0/configs".to_owned()), "{lost:?}");
}

#[test]
fn a_client_that_switches_thinking_on_sees_it_where_that_has_to_be_asked_for() {
    let shown = |thinking: Value| {
        let body = messages(json!({"thinking": thinking}));
        let (sent, _) = through(ClientProtocol::Messages, Protocol::Gemini, "gemini-3.5-flash", &body);
        sent["generationConfig"]["thinkingConfig"]["includeThoughts"].clone()
    };
    assert_eq!(shown(json!({"type": "adaptive"})), json!(true));
    assert_eq!(shown(json!({"type": "enabled", "budget_tokens": 2000})), json!(true));
    assert_eq!(shown(json!({"type": "adaptive", "display": "omitted"})), json!(false));
    assert_eq!(shown(json!({"type": "disabled"})), Value::Null);
}

#[test]
fn the_report_names_the_places_the_client_wrote_to() {
    let lost = |source, target, model, body: &Value| through(source, target, model, body).1;
    let config =
        json!({"topK": 3, "stopSequences": ["a"], "candidateCount": 2, "thinkingConfig": {"thinkingBudget": 99}});
    let body = gemini(json!({"generationConfig": config, "safetySettings": []}));
    assert_eq!(
        lost(ClientProtocol::Gemini, Protocol::Responses, "gpt-5.6", &body),
        [
            "stop.unsupported /generationConfig/stopSequences",
            "candidates.unsupported /generationConfig/candidateCount",
            "reasoning.mapped /generationConfig/thinkingConfig",
            "sampling.unsupported /generationConfig/topK",
            "safety.dropped /safetySettings",
        ]
    );
    let body = messages(json!({"stop_sequences": [" "], "thinking": {"type": "between_tools"}}));
    assert_eq!(
        lost(ClientProtocol::Messages, Protocol::Responses, "gpt-5.6", &body),
        ["stop.unsupported /stop_sequences", "reasoning.unsupported /thinking"]
    );
    let format = json!({"format": {"type": "json_object"}});
    let body = json!({"model": "alias", "input": [{"role": "user", "content": []}, {"role": "user", "content": "Hi"}], "text": format});
    assert_eq!(
        lost(ClientProtocol::Responses, Protocol::Messages, "claude-opus-4-8", &body),
        ["max_tokens.defaulted /max_output_tokens", "format.emulated /text/format"]
    );
}

#[test]
fn thinking_is_cleared_only_from_requests_that_think() {
    let edits =
        json!({"edits": [{"type": "clear_tool_uses_20250919"}, {"type": "clear_thinking_20251015", "keep": "all"}]});
    let sent = |model: &str, thinking: &str| {
        let body = messages(json!({"thinking": {"type": thinking}, "context_management": edits}));
        let (body, lost) = through(ClientProtocol::Messages, Protocol::Messages, model, &body);
        (body["context_management"].clone(), lost)
    };
    assert_eq!(sent("claude-opus-4-8", "adaptive"), (edits.clone(), vec![]));
    let left = json!({"edits": [{"type": "clear_tool_uses_20250919"}]});
    let named = "server_feature.dropped /context_management/edits".to_owned();
    assert_eq!(sent("claude-opus-4-8", "disabled"), (left.clone(), vec![named.clone()]));
    let (body, lost) = sent("claude-3-5-haiku-20241022", "adaptive");
    assert!(body == left && lost.contains(&named), "{lost:?}");
}

#[test]
fn members_of_parts_without_a_slot_are_named() {
    let image =
        json!({"type": "image", "source": {"type": "url", "url": "https://a/b.png"}, "transformations": {"x": 1}});
    let content = json!([{"type": "text", "text": "a", "citations": null}, image]);
    let body = messages(json!({"messages": [{"role": "user", "content": content, "clear_at": 3}]}));
    let lost = |source, body: &Value| through(source, Protocol::Chat, "gpt-4.1", body).1;
    assert_eq!(
        lost(ClientProtocol::Messages, &body),
        ["unknown_field.dropped /messages/0/clear_at", "unknown_field.dropped /messages/0/transformations"]
    );
    let result = json!({"functionResponse": {"name": "f", "response": {"output": "r"}, "scheduling": "WHEN_IDLE"}});
    let contents = json!([
        {"role": "user", "parts": [{"text": "Hi", "partMetadata": {"a": 1}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [result]},
    ]);
    assert_eq!(
        lost(ClientProtocol::Gemini, &gemini(json!({"contents": contents}))),
        [
            "unknown_field.dropped /contents/0/partMetadata",
            "unknown_field.dropped /contents/2/functionResponse/scheduling"
        ]
    );
}

#[test]
fn programs_that_gemini_ran_are_told_in_blocks_of_their_own() {
    let contents = json!([
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [
            {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
            {"text": "One."},
        ]},
        {"role": "user", "parts": [{"text": "And?"}]},
    ]);
    let body = gemini(json!({"contents": contents}));
    let (body, lost) = through(ClientProtocol::Gemini, Protocol::Chat, "gpt-4.1", &body);
    assert_eq!(body["messages"][1]["content"], "```python\nprint(1)\n```\n```\n1\n```\nOne.");
    assert_eq!(lost, ["tool.server.unsupported /contents/1"]);
}

#[test]
fn older_gemini_models_answer_in_a_shape_or_call_functions_but_not_both() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
    let sent = |model: &str, format: Value| {
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        let body = json!({"model": "alias", "messages": [{"role": "user", "content": "Hi"}], "tools": tools, "response_format": format});
        let (body, lost) = through(ClientProtocol::Chat, Protocol::Gemini, model, &body);
        let functions = body["tools"][0]["functionDeclarations"].as_array().unwrap().len();
        let shaped = body["generationConfig"].get("responseMimeType").is_some();
        (functions, shaped, lost.contains(&"format.emulated /response_format".to_owned()))
    };
    let shape = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let object = json!({"type": "json_object"});
    assert_eq!(sent("gemini-3.5-flash", shape.clone()), (1, true, false));
    assert_eq!(sent("gemini-2.5-flash", shape), (2, false, true));
    assert_eq!(sent("gemini-3.5-flash", object.clone()), (1, true, false));
    assert_eq!(sent("gemini-2.5-flash", object), (1, false, true));
}
