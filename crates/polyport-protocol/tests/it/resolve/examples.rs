//! The worked examples of the reference from the client's body to the provider's.

use std::collections::BTreeSet;

use bytes::Bytes;
use polyport_protocol::carrier::{CarrierKey, Placement};
use polyport_protocol::profile::{AnthropicThinking, ReasoningBack};
use polyport_protocol::{RequestHead, Target, decode_request, encode_request};
use polyport_types::{ClientProtocol, Effort, Family, Protocol, Signature, SignatureKind};
use serde_json::{Value, json};

use super::support::*;

/// The provider's body and what was reported.
fn translate(
    client: ClientProtocol,
    body: &Value,
    target: &Target,
    key: Option<&CarrierKey>,
) -> (Value, BTreeSet<&'static str>) {
    let head = RequestHead { model: Some("alias".into()), ..RequestHead::default() };
    let request = decode_request(client, &head, Bytes::from(body.to_string())).unwrap();
    let mut outcome = run_with(target, request, key, &|_| Vec::new());
    let encoded = encode_request(target, &outcome.request, &mut outcome.losses);
    let codes = outcome.codes().into_iter().collect();
    (serde_json::from_slice(&encoded.body).unwrap(), codes)
}

fn assert_codes(codes: &BTreeSet<&str>, expected: &[&str]) {
    let missing: Vec<_> = expected.iter().filter(|code| !codes.contains(**code)).collect();
    assert!(missing.is_empty(), "{missing:?} not among {codes:?}");
}

#[test]
fn e1_chat_to_messages() {
    let body = json!({
        "model": "team-opus", "temperature": 1.4,
        "messages": [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": "Compare the two plots."},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "call_A.1", "type": "function", "function": {"name": "plot", "arguments": "{\"id\":1}"}},
                {"id": "call_A.2", "type": "function", "function": {"name": "plot", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "call_A.2", "content": "no id given"},
            {"role": "tool", "tool_call_id": "call_A.1", "content": "done"},
            {"role": "developer", "content": "Answer in French."},
            {"role": "user", "content": [
                {"type": "text", "text": "Here is the first one"},
                {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA", "detail": "high"}}]}],
        "tools": [{"type": "function", "function": {"name": "plot",
            "parameters": {"type": "object", "properties": {"id": {"type": "integer"}}}}}],
        "parallel_tool_calls": false
    });
    let target = able(Protocol::Messages, |abilities| {
        abilities.anthropic_thinking = AnthropicThinking::Adaptive;
        (abilities.temperature, abilities.top_p, abilities.top_k) = (false, false, false);
        abilities.max_output = Some(128_000);
    });
    let (sent, codes) = translate(ClientProtocol::Chat, &body, &target, None);
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "Compare the two plots."}]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "call_A_1", "name": "plot", "input": {"id": 1}},
                {"type": "tool_use", "id": "call_A_2", "name": "plot", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_A_1", "content": sent["messages"][2]["content"][0]["content"]},
                {"type": "tool_result", "tool_use_id": "call_A_2", "content": sent["messages"][2]["content"][1]["content"]},
                {"type": "text", "text": "<system-reminder>\nAnswer in French.\n</system-reminder>"},
                {"type": "text", "text": "Here is the first one"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}}]}])
    );
    assert!(sent["messages"][2]["content"][0]["content"].to_string().contains("done"));
    assert_eq!((&sent["max_tokens"], sent.get("temperature")), (&json!(128_000), None));
    assert_eq!(sent["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    assert_eq!(sent["tools"][0]["input_schema"], json!({"type": "object", "properties": {"id": {"type": "integer"}}}));
    assert_codes(
        &codes,
        &["sampling.unsupported", "max_tokens.defaulted", "id.rewritten", "role.degraded", "media.detail_dropped"],
    );
}

fn weather(thinking: &Value) -> Value {
    json!({
        "model": "alias", "max_tokens": 4000, "system": "Be brief.",
        "thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "medium"},
        "messages": [
            {"role": "user", "content": "Weather in Oslo and Rome?"},
            {"role": "assistant", "content": [
                thinking,
                {"type": "tool_use", "id": "toolu_01", "name": "weather", "input": {"city": "Oslo"}},
                {"type": "tool_use", "id": "toolu_02", "name": "weather", "input": {"city": "Rome"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_01", "content": [{"type": "text", "text": "{\"temp\":3}"}]},
                {"type": "tool_result", "tool_use_id": "toolu_02", "is_error": true, "content": "timeout"}]}],
        "tools": [{"name": "weather", "description": "Current weather", "input_schema":
            {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]
    })
}

#[test]
fn e2_messages_to_gemini() {
    let target = quirky(Protocol::Gemini, |profile| profile.accepts_call_ids = false);
    let thinking = json!({"type": "thinking", "thinking": "Need two calls.", "signature": "EqQBCgIYAhIk"});
    let (sent, codes) = translate(ClientProtocol::Messages, &weather(&thinking), &target, None);
    assert_eq!(
        sent["contents"],
        json!([
            {"role": "user", "parts": [{"text": "Weather in Oslo and Rome?"}]},
            {"role": "model", "parts": [
                {"functionCall": {"name": "weather", "args": {"city": "Oslo"}},
                    "thoughtSignature": "skip_thought_signature_validator"},
                {"functionCall": {"name": "weather", "args": {"city": "Rome"}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "weather", "response": {"temp": 3}}},
                {"functionResponse": {"name": "weather", "response": {"error": "timeout"}}}]}])
    );
    assert_eq!(sent["generationConfig"]["thinkingConfig"], json!({"thinkingLevel": "MEDIUM", "includeThoughts": true}));
    assert_eq!(sent["generationConfig"]["maxOutputTokens"], 4000);
    assert_codes(
        &codes,
        &["signature.foreign_dropped", "reasoning.text_dropped", "signature.sentinel", "reasoning.mapped"],
    );

    // Had Google's own signature travelled with the call, it would be there again.
    let key = CarrierKey::new([3; 32]);
    let google = Signature::new(Family::Google, SignatureKind::FunctionCall, "Q2lR");
    let carrier = json!({"type": "redacted_thinking", "data": key.seal(&google, Placement::Next, target.scope)});
    let (sent, codes) = translate(ClientProtocol::Messages, &weather(&carrier), &target, Some(&key));
    assert_eq!(sent["contents"][1]["parts"][0]["thoughtSignature"], "Q2lR");
    assert_eq!(sent["contents"][1]["parts"].as_array().map(Vec::len), Some(2));
    assert!(!codes.contains("signature.sentinel"));
}

#[test]
fn e3_responses_to_messages() {
    let key = CarrierKey::new([3; 32]);
    let mut target = plain(Protocol::Messages);
    target.scope = 0x5c1e_90aa;
    let signed = Signature::new(Family::Anthropic, SignatureKind::Thinking, "EqQBCgIYAhIk");
    let body = json!({
        "model": "alias", "store": false, "instructions": "Fix bugs.", "reasoning": {"effort": "high"},
        "input": [
            {"role": "user", "content": "Run the tests"},
            {"type": "reasoning", "id": "rs_01",
                "summary": [{"type": "summary_text", "text": "I should call the shell."}],
                "encrypted_content": key.seal(&signed, Placement::Own, target.scope)},
            {"type": "function_call", "id": "fc_01", "call_id": "toolu_77", "name": "run",
                "arguments": "{\"cmd\":\"make test\"}"},
            {"type": "function_call_output", "call_id": "toolu_77", "output": [
                {"type": "input_text", "text": "2 failed"},
                {"type": "input_image", "image_url": "https://example.org/shot.png", "detail": "auto"}]}],
        "tools": [{"type": "function", "name": "run", "strict": null,
            "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}}}]
    });
    let (sent, _) = translate(ClientProtocol::Responses, &body, &target, Some(&key));
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "Run the tests"}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "I should call the shell.", "signature": "EqQBCgIYAhIk"},
                {"type": "tool_use", "id": "toolu_77", "name": "run", "input": {"cmd": "make test"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_77", "content": [
                {"type": "text", "text": "2 failed"},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/shot.png"}}]}]}])
    );
    assert_eq!(sent["thinking"]["type"], "adaptive");

    // Another account: the block is left out and this call does not think.
    target.scope += 1;
    let (sent, codes) = translate(ClientProtocol::Responses, &body, &target, Some(&key));
    assert_eq!(sent["messages"][1]["content"].as_array().map(Vec::len), Some(1));
    assert_eq!(sent["thinking"], json!({"type": "disabled"}));
    assert_codes(&codes, &["signature.foreign_dropped", "reasoning.text_dropped", "reasoning.disabled_for_history"]);
}

#[test]
fn e4_messages_to_servers_that_take_reasoning_back() {
    let body = json!({
        "model": "alias", "max_tokens": 100,
        "messages": [
            {"role": "user", "content": "List"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Plan…", "signature": "EqQ"}, {"type": "text", "text": "On it."},
                {"type": "tool_use", "id": "toolu_9", "name": "ls", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_9", "content": "a"}]}]
    });
    let target = quirky(Protocol::Chat, |profile| profile.reasoning_back = ReasoningBack::ReasoningContent);
    let (sent, _) = translate(ClientProtocol::Messages, &body, &target, None);
    assert_eq!(
        sent["messages"][1],
        json!({"role": "assistant", "content": "On it.", "reasoning_content": "Plan…", "tool_calls": [
            {"id": "toolu_9", "type": "function", "function": {"name": "ls", "arguments": "{}"}}]})
    );
    let (sent, codes) = translate(ClientProtocol::Messages, &body, &plain(Protocol::Chat), None);
    assert!(sent["messages"][1].get("reasoning_content").is_none());
    assert_codes(&codes, &["reasoning.text_dropped"]);
}

#[test]
fn e5_one_schema_for_all() {
    let schema = json!({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}, "nick": {"type": ["string", "null"]}},
        "required": ["age", "nick"], "additionalProperties": false});
    let body = json!({"model": "alias", "messages": [{"role": "user", "content": "Who?"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "person", "strict": true, "schema": schema}}});
    let send = |target: &Target| translate(ClientProtocol::Chat, &body, target, None).0;
    assert_eq!(
        send(&plain(Protocol::Responses))["text"]["format"],
        json!({"type": "json_schema", "name": "person", "strict": true, "schema": schema})
    );
    let mut relaxed = schema.clone();
    relaxed["properties"]["age"] = json!({"type": "integer", "description": "(minimum: 0)"});
    assert_eq!(
        send(&plain(Protocol::Messages))["output_config"],
        json!({"format": {"type": "json_schema", "schema": relaxed}})
    );
    let sent = send(&plain(Protocol::Gemini));
    assert_eq!(sent["generationConfig"]["responseMimeType"], "application/json");
    assert_eq!(sent["generationConfig"]["responseJsonSchema"], schema);
    let older = quirky(Protocol::Gemini, |profile| profile.json_schema_fields = false);
    assert_eq!(
        send(&older)["generationConfig"]["responseSchema"],
        json!({"type": "OBJECT", "properties": {"age": {"type": "INTEGER", "minimum": 0}, "nick": {"type": "STRING", "nullable": true}},
            "required": ["age", "nick"], "propertyOrdering": ["age", "nick"]})
    );
}

#[test]
fn e6_gemini_to_responses() {
    let body = json!({
        "system_instruction": {"parts": [{"text": "Cite pages."}]},
        "contents": [
            {"parts": [{"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}}, {"text": "Look it up"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "find", "args": {"q": "x"}}, "thoughtSignature": "AbC0"}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "find", "response": {"output": "p. 3"}}}]}],
        "tools": [{"functionDeclarations": [
            {"name": "find", "description": "search", "parameters":
                {"type": "OBJECT", "properties": {"q": {"type": "STRING"}}, "required": ["q"]}},
            {"name": "open", "description": "open page"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["open"]}},
        "generationConfig": {"thinkingConfig": {"thinkingBudget": 6000, "includeThoughts": true},
            "stopSequences": ["END"], "candidateCount": 1}
    });
    let target =
        able(Protocol::Responses, |abilities| abilities.efforts = vec![Effort::Low, Effort::Medium, Effort::High]);
    let (sent, codes) = translate(ClientProtocol::Gemini, &body, &target, None);
    assert_eq!(sent["store"], false);
    assert_eq!(sent["instructions"], "Cite pages.");
    assert_eq!(sent["reasoning"], json!({"effort": "medium", "summary": "auto"}));
    assert_eq!(
        sent["tool_choice"],
        json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "open"}]})
    );
    assert_eq!(
        sent["tools"][0],
        json!({"type": "function", "name": "find", "description": "search", "strict": false,
            "parameters": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}})
    );
    assert_eq!(sent["tools"][1]["strict"], false);
    assert_eq!(
        sent["input"][1],
        json!({"type": "function_call", "call_id": "call_g1_0", "name": "find", "arguments": "{\"q\":\"x\"}"})
    );
    assert_eq!(sent["input"][2], json!({"type": "function_call_output", "call_id": "call_g1_0", "output": "p. 3"}));
    assert_codes(&codes, &["signature.foreign_dropped", "stop.unsupported", "reasoning.mapped"]);
}
