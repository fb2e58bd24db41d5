//! The two protocols of `OpenAI` and the servers that imitate them.

use polyport_types::{ClientProtocol, LossCode, Protocol, Severity};
use serde_json::{Value, json};

use super::{answer, at, send};

fn chat(more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    let Value::Object(more) = more else { panic!("{more} has no members") };
    body.as_object_mut().unwrap().extend(more);
    body
}

fn responses(more: Value) -> Value {
    let mut body = json!({"model": "m", "input": "Hi"});
    let Value::Object(more) = more else { panic!("{more} has no members") };
    body.as_object_mut().unwrap().extend(more);
    body
}

#[test]
fn a_model_that_declines_in_its_own_words_stops() {
    let declined = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
         "content": [{"type": "refusal", "refusal": "I can't."}]}]});
    let target = at(Protocol::Responses, None, "gpt-4.1");
    let (whole, stream) = answer(ClientProtocol::Chat, &target, &chat(json!({"stream": true})), &declined);
    let choice = &whole["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["refusal"]), (&json!("stop"), &json!("I can't.")));
    assert!(stream.contains(r#""finish_reason":"stop""#) && !stream.contains("content_filter"), "{stream}");

    // A classifier that cuts in is a filter.
    let cut = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "refusal",
        "content": [{"type": "text", "text": "First"}], "usage": {"input_tokens": 1, "output_tokens": 1}});
    let target = at(Protocol::Messages, None, "claude-sonnet-4-5");
    let (whole, stream) = answer(ClientProtocol::Chat, &target, &chat(json!({"stream": true})), &cut);
    assert_eq!(whole["choices"][0]["finish_reason"], "content_filter");
    assert!(stream.contains(r#""finish_reason":"content_filter""#), "{stream}");
}

#[test]
fn log_probabilities_arrive_beside_calls() {
    let said = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{
        "index": 0, "finish_reason": "tool_calls",
        "logprobs": {"content": [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}]},
        "message": {"role": "assistant", "content": "Hi", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}]});
    let request = responses(json!({"include": ["message.output_text.logprobs"]}));
    let target = at(Protocol::Chat, None, "gpt-4.1");
    let (whole, stream) = answer(ClientProtocol::Responses, &target, &request, &said);
    assert_eq!(whole["output"][0]["content"][0]["logprobs"][0]["token"], "Hi", "{whole}");
    assert!(stream.contains(r#""logprobs":[{"token":"Hi""#), "{stream}");
}

#[test]
fn what_a_server_does_anyway_is_not_lost() {
    let target = at(Protocol::Chat, Some("zai"), "glm-5.2");
    let agent = json!({"store": false, "service_tier": "auto", "parallel_tool_calls": true, "prompt_cache_key": "k",
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]});
    let sent = send(ClientProtocol::Responses, &target, &responses(agent));
    assert_eq!(sent.codes(), ["cache.key_dropped"]);
    assert_eq!(sent.severity(LossCode::CacheKeyDropped), Some(Severity::Info));
    for member in ["store", "service_tier", "parallel_tool_calls", "prompt_cache_key"] {
        assert!(sent.body.get(member).is_none(), "{member}: {}", sent.body);
    }

    let wishes = json!({"store": true, "service_tier": "priority", "parallel_tool_calls": false, "metadata": {"a": "b"},
        "tools": [{"type": "function", "function": {"name": "f"}}], "user": "someone"});
    let sent = send(ClientProtocol::Chat, &target, &chat(wishes));
    for (code, severity) in [
        (LossCode::StateUnsupported, Severity::Info),
        (LossCode::MetadataDropped, Severity::Info),
        (LossCode::ServiceTierDropped, Severity::Warn),
        (LossCode::ParallelUnsupported, Severity::Warn),
    ] {
        assert_eq!(sent.severity(code), Some(severity), "{}", code.as_str());
    }
}

#[test]
fn both_names_of_a_user_go_to_openai_and_are_named_elsewhere() {
    let body = || chat(json!({"safety_identifier": "s", "user": "u"}));
    for protocol in [Protocol::Chat, Protocol::Responses] {
        let sent = send(ClientProtocol::Chat, &at(protocol, None, "gpt-4.1"), &body());
        assert_eq!((&sent.body["safety_identifier"], &sent.body["user"]), (&json!("s"), &json!("u")));
        assert!(sent.losses.is_empty(), "{:?}", sent.losses);
    }
    for (protocol, model) in [(Protocol::Messages, "claude-opus-4-7"), (Protocol::Gemini, "gemini-3-pro-preview")] {
        let sent = send(ClientProtocol::Chat, &at(protocol, None, model), &body());
        assert_eq!(sent.severity(LossCode::IdentityDropped), Some(Severity::Info));
        assert_eq!(sent.severity(LossCode::UnknownFieldDropped), None);
    }
}

#[test]
fn a_budget_goes_only_to_servers_that_know_budgets() {
    let body = json!({"model": "m", "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 4000},
        "messages": [{"role": "user", "content": "a"}]});
    for (profile, model, budget) in
        [("deepseek", "deepseek-v4-pro", None), ("zai", "glm-4.6", None), ("moonshot", "kimi-k2.5", Some(4000))]
    {
        let sent = send(ClientProtocol::Messages, &at(Protocol::Chat, Some(profile), model), &body);
        assert_eq!(sent.body["thinking"]["type"], "enabled", "{profile}");
        assert_eq!(
            sent.body["thinking"].get("budget_tokens"),
            budget.map(|budget| json!(budget)).as_ref(),
            "{profile}"
        );
        let said = [LossCode::ReasoningMapped, LossCode::ReasoningUnsupported].map(|code| sent.severity(code));
        assert_eq!(said.iter().any(Option::is_some), budget.is_none(), "{profile}: {:?}", sent.losses);
    }
}

#[test]
fn unsigned_calls_get_the_bypass_at_googles_compatible_endpoint() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "done"});
    let mut signed = call("d");
    signed["extra_content"] = json!({"google": {"thought_signature": "c2lnbmVk"}});
    let body = chat(json!({"messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": null, "tool_calls": [call("a")]}, result("a"),
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": null, "tool_calls": [call("b"), call("c")]}, result("b"), result("c"),
        {"role": "assistant", "content": null, "tool_calls": [signed]}, result("d")]}));
    let signatures = |host: &str, model: &str| {
        let sent = send(ClientProtocol::Chat, &at(Protocol::Chat, Some(host), model), &body);
        let calls =
            sent.body["messages"].as_array().unwrap().iter().filter_map(|message| message["tool_calls"].as_array());
        let found: Vec<String> = calls
            .flatten()
            .map(|call| call["extra_content"]["google"]["thought_signature"].as_str().unwrap_or_default().to_owned())
            .collect();
        (found, sent.severity(LossCode::SignatureSentinel))
    };
    let bypass = "skip_thought_signature_validator";
    let (found, said) = signatures("gemini-compat", "gemini-3-pro-preview");
    assert_eq!(found, ["", bypass, "", "c2lnbmVk"], "only in the running turn, once a step");
    assert_eq!(said, Some(Severity::Warn));
    for (host, model) in [("gemini-compat", "gemini-2.5-flash"), ("openrouter", "google/gemini-3-pro-preview")] {
        let (found, said) = signatures(host, model);
        assert!(!found.contains(&bypass.to_owned()) && said.is_none(), "{host} {model}: {found:?}");
    }
}

#[test]
fn a_history_that_says_nothing_is_still_a_legal_one() {
    for messages in [
        json!([{"role": "user", "content": ""}]),
        json!([{"role": "user", "content": " "}, {"role": "assistant", "content": ""}]),
        json!([{"role": "user", "content": []}]),
        json!([{"role": "assistant", "content": ""}]),
    ] {
        let body = json!({"model": "m", "messages": messages});
        for (protocol, list) in
            [(Protocol::Responses, "input"), (Protocol::Messages, "messages"), (Protocol::Gemini, "contents")]
        {
            let sent = send(ClientProtocol::Chat, &at(protocol, None, "m"), &body);
            let list = sent.body[list].as_array().unwrap();
            assert!(!list.is_empty(), "{protocol}: {}", sent.body);
            assert!(!list.iter().any(|item| item["content"] == json!([])), "{protocol}: {}", sent.body);
        }
    }
}

#[test]
fn an_effort_the_model_does_not_know_is_reported() {
    let body = || chat(json!({"reasoning_effort": "none"}));
    let sent = send(ClientProtocol::Chat, &at(Protocol::Chat, None, "gpt-5"), &body());
    assert_eq!(sent.body["reasoning_effort"], "minimal");
    assert_eq!(sent.codes(), ["reasoning.mapped"]);
    let sent = send(ClientProtocol::Chat, &at(Protocol::Chat, None, "gpt-5.1"), &body());
    assert_eq!(sent.body["reasoning_effort"], "none");
    assert!(sent.losses.is_empty(), "{:?}", sent.losses);
}

#[test]
fn citations_and_signatures_of_the_history_are_named() {
    let history = json!({"input": [
        {"role": "user", "content": "a"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text",
            "text": "b", "annotations": [{"type": "url_citation", "start_index": 0, "end_index": 1, "url": "u", "title": "t"}]}]},
        {"role": "user", "content": "c"}]});
    let sent = send(ClientProtocol::Responses, &at(Protocol::Chat, None, "gpt-5.1"), &responses(history));
    assert_eq!(sent.codes(), ["signature.foreign_dropped", "citation.dropped"]);

    let history = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "annotations": [
        {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "url": "u", "title": "t"}}]},
        {"role": "user", "content": "c"}]});
    for protocol in Protocol::ALL {
        let sent = send(ClientProtocol::Chat, &at(protocol, None, "m"), &chat(history.clone()));
        assert_eq!(sent.severity(LossCode::CitationDropped), Some(Severity::Info), "{protocol:?}");
    }
}

#[test]
fn padding_of_streams_is_asked_for_as_the_client_asked() {
    let body = json!({"stream": true, "stream_options": {"include_obfuscation": false}});
    let target = at(Protocol::Chat, Some("openai"), "gpt-4.1");
    let sent = send(ClientProtocol::Responses, &target, &responses(body.clone()));
    assert_eq!(sent.body["stream_options"], json!({"include_usage": true, "include_obfuscation": false}));
    let sent = send(ClientProtocol::Responses, &at(Protocol::Chat, Some("groq"), "llama"), &responses(body));
    assert_eq!(sent.body["stream_options"], json!({"include_usage": true}));
}

#[test]
fn arguments_that_stop_in_the_middle_are_mended_and_named() {
    let history = json!({"input": [{"role": "user", "content": "a"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "no json", "status": "incomplete"},
        {"type": "function_call_output", "call_id": "c1", "output": "r"}]});
    let sent = send(ClientProtocol::Responses, &at(Protocol::Chat, None, "gpt-4.1"), &responses(history));
    let call = &sent.body["messages"][1]["tool_calls"][0]["function"];
    assert_eq!(call["arguments"], r#"{"_raw_arguments":"no json"}"#);
    assert_eq!(sent.severity(LossCode::ToolSchemaRelaxed), Some(Severity::Warn));
}

#[test]
fn speed_is_a_tier_of_openai() {
    let body = json!({"model": "m", "max_tokens": 50, "speed": "fast", "messages": [{"role": "user", "content": "a"}]});
    for protocol in [Protocol::Chat, Protocol::Responses] {
        let sent = send(ClientProtocol::Messages, &at(protocol, None, "gpt-5.1"), &body);
        assert_eq!(sent.body["service_tier"], "fast");
        assert!(sent.losses.is_empty(), "{:?}", sent.losses);
    }
    let sent = send(ClientProtocol::Messages, &at(Protocol::Gemini, None, "gemini-2.5-pro"), &body);
    assert_eq!(sent.body["serviceTier"], "priority");
    assert_eq!(sent.severity(LossCode::ServiceTierMapped), Some(Severity::Warn));
    let usual =
        json!({"model": "m", "max_tokens": 50, "speed": "standard", "messages": [{"role": "user", "content": "a"}]});
    let sent = send(ClientProtocol::Messages, &at(Protocol::Gemini, None, "gemini-2.5-pro"), &usual);
    assert!(sent.body.get("serviceTier").is_none() && sent.losses.is_empty(), "{:?}", sent.losses);
}
