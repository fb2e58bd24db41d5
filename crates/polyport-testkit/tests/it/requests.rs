//! What the services accepted passes the judge; what they refuse does not.

use polyport_testkit::schema::{self, Judge};
use polyport_testkit::shared;
use polyport_types::Protocol;

#[test]
fn every_request_an_official_service_accepted_is_accepted() {
    if shared::dir().is_none() {
        return shared::skip("every_request_an_official_service_accepted_is_accepted");
    }
    let mut refused = Vec::new();
    let mut accepted = 0;
    for record in shared::all_records().iter().filter(|r| r.is_official() && r.is_good_generation()) {
        let Some(request) = &record.request else { continue };
        let body = serde_json::from_str(&request.body).expect("JSON");
        let mut judge = Judge::new(record.wire());
        if let Some(model) = record.model() {
            judge = judge.model(&model);
        }
        match judge.request(&body) {
            Ok(()) => accepted += 1,
            Err(violations) => refused.push(format!("{} {}: {violations:#?}", record.id, record.provider)),
        }
    }
    assert!(refused.is_empty(), "{} refused, {accepted} accepted\n{}", refused.len(), refused.join("\n"));
}

/// Requests that a service is known to refuse, each with words of the reason.
#[test]
fn what_the_services_refuse_is_refused() {
    let tool = r#"{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}"#;
    let call = r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]}"#;
    let hi = r#"{"role":"user","content":"hi"}"#;
    let chat = |more: &str| format!(r#"{{"model":"m","messages":[{hi}]{more}}}"#);
    let chat_history = |messages: &str| format!(r#"{{"model":"m","messages":[{hi},{messages}]}}"#);
    let responses = |input: &str| format!(r#"{{"model":"m","input":[{{"role":"user","content":"hi"}}{input}]}}"#);
    let messages = |more: &str| format!(r#"{{"model":"m","max_tokens":2000,"messages":[{hi}]{more}}}"#);
    let messages_history = |more: &str| format!(r#"{{"model":"m","max_tokens":9,"messages":[{hi},{more}]}}"#);
    let uses = r#"{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}},{"type":"tool_use","id":"b","name":"f","input":{}}]}"#;
    let gemini = |more: &str| format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"hi"}}]}}{more}}}"#);
    let calls = r#",{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}},{"functionCall":{"name":"g","args":{}}}]}"#;
    let cases = [
        (Protocol::Chat, r#"{"model":"m","messages":[]}"#.to_owned(), "at least 1 message"),
        (Protocol::Chat, chat(r#","tools":[]"#), "at least 1 tool"),
        (Protocol::Chat, chat(r#","tool_choice":"auto""#), "only allowed when 'tools'"),
        (Protocol::Chat, chat(r#","stream_options":{"include_usage":true}"#), "'stream'"),
        (Protocol::Chat, chat(r#","max_tokens":5,"max_completion_tokens":5"#), "same time"),
        (Protocol::Chat, chat(r#","response_format":{"type":"json_object"}"#), "word 'json'"),
        (Protocol::Chat, chat(r#","stop":["1","2","3","4","5"]"#), "stop"),
        (Protocol::Chat, chat(&format!(r#","tools":[{}]"#, tool.replace(r#""f""#, r#""a.b""#))), "bad tool name"),
        (
            Protocol::Chat,
            chat(&format!(r#","tools":[{}]"#, tool.replace(r#""name""#, r#""strict":true,"name""#))),
            "false",
        ),
        (Protocol::Chat, chat_history(call), "missing `c1`"),
        (Protocol::Chat, chat_history(&format!("{call},{hi}")), "missing `c1`"),
        (Protocol::Chat, chat_history(r#"{"role":"tool","tool_call_id":"x","content":""}"#), "preceding message"),
        (Protocol::Chat, chat_history(r#"{"role":"assistant","content":null}"#), "'content' is null"),
        (Protocol::Responses, r#"{"model":"m"}"#.to_owned(), "is needed"),
        (
            Protocol::Responses,
            responses(r#",{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#),
            "no tool output",
        ),
        (
            Protocol::Responses,
            responses(r#",{"type":"function_call_output","call_id":"c","output":""}"#),
            "no tool call found",
        ),
        (
            Protocol::Responses,
            responses(&format!(r#",{{"type":"function_call_output","call_id":"{}","output":""}}"#, "c".repeat(65))),
            "64",
        ),
        (
            Protocol::Responses,
            responses(r#",{"type":"reasoning","id":"rs_1","summary":[]},{"role":"user","content":"x"}"#),
            "following item",
        ),
        (
            Protocol::Responses,
            responses(r#",{"role":"assistant","content":[{"type":"input_text","text":"x"}]}"#),
            "no content of this role",
        ),
        (
            Protocol::Messages,
            messages(r#","thinking":{"type":"enabled","budget_tokens":2000}"#),
            "'max_tokens' must be greater",
        ),
        (
            Protocol::Messages,
            messages(r#","thinking":{"type":"enabled","budget_tokens":1024},"temperature":0.5"#),
            "may only be 1",
        ),
        (
            Protocol::Messages,
            messages(
                r#","thinking":{"type":"enabled","budget_tokens":1024},"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"}"#,
            ),
            "forces tool use",
        ),
        (Protocol::Messages, messages(r#","system":[{"type":"text","text":" "}]"#), "non-whitespace"),
        (Protocol::Messages, messages(r#","stop_sequences":["\n"]"#), "non-whitespace"),
        (
            Protocol::Messages,
            messages(r#","tools":[{"name":"f","input_schema":{"type":"object","anyOf":[]}}]"#),
            "anyOf",
        ),
        (Protocol::Messages, messages_history(uses), "immediately after: a"),
        (
            Protocol::Messages,
            messages_history(&format!(
                r#"{uses},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"a"}}]}}"#
            )),
            "immediately after: b",
        ),
        (
            Protocol::Messages,
            messages_history(&format!(
                r#"{uses},{{"role":"user","content":[{{"type":"text","text":"x"}},{{"type":"tool_result","tool_use_id":"a"}},{{"type":"tool_result","tool_use_id":"b"}}]}}"#
            )),
            "must come first",
        ),
        (
            Protocol::Messages,
            messages_history(r#"{"role":"assistant","content":[{"type":"text","text":"x "}]}"#),
            "trailing whitespace",
        ),
        (Protocol::Gemini, r#"{"contents":[]}"#.to_owned(), "not specified"),
        (Protocol::Gemini, gemini(&format!("{calls}]")), "function response parts (0)"),
        (
            Protocol::Gemini,
            gemini(&format!(
                r#"{calls},{{"role":"user","parts":[{{"functionResponse":{{"name":"g","response":{{}}}}}},{{"functionResponse":{{"name":"f","response":{{}}}}}}]}}]"#
            )),
            "does not match",
        ),
        (Protocol::Gemini, gemini(r#",{"role":"model","parts":[]}]"#), "at least one parts"),
        (
            Protocol::Gemini,
            gemini(r#"],"generationConfig":{"thinkingConfig":{"thinkingBudget":1,"thinkingLevel":"LOW"}}"#),
            "only one of",
        ),
        (
            Protocol::Gemini,
            gemini(r#"],"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}"#),
            "without function_declarations",
        ),
        (
            Protocol::Gemini,
            gemini(r#"],"generationConfig":{"responseJsonSchema":{"type":"object"}}"#),
            "application/json",
        ),
    ];
    for (protocol, body, reason) in cases {
        let value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"));
        let violations = schema::validate_request(protocol, &value).expect_err(&body);
        // Schemas, which say some of this as well, are absent together with the reference folder.
        assert!(violations.iter().any(|v| v.contains(reason)), "{body}\nexpected `{reason}`, got {violations:#?}");
    }
}

#[test]
fn headers_and_models_add_rules() {
    let body = serde_json::json!({ "model": "m", "max_tokens": 9, "temperature": 0.5, "messages": [{ "role": "user", "content": "x" }] });
    assert_eq!(Judge::new(Protocol::Messages).version("2023-06-01").request(&body), Ok(()));
    assert!(Judge::new(Protocol::Messages).version("2026-10-21").request(&body).is_err());

    let unsigned = serde_json::json!({ "contents": [
        { "role": "user", "parts": [{ "text": "x" }] },
        { "role": "model", "parts": [{ "functionCall": { "name": "f", "args": {} } }] },
        { "role": "user", "parts": [{ "functionResponse": { "name": "f", "response": {} } }] },
    ] });
    assert_eq!(Judge::new(Protocol::Gemini).model("gemini-2.5-pro").request(&unsigned), Ok(()));
    assert!(Judge::new(Protocol::Gemini).model("gemini-3-pro-preview").request(&unsigned).is_err());

    let vendor =
        serde_json::json!({ "model": "m", "enable_thinking": true, "messages": [{ "role": "user", "content": "x" }] });
    assert_eq!(Judge::new(Protocol::Chat).allow(["enable_thinking"]).request(&vendor), Ok(()));
}

#[test]
fn members_outside_the_published_schemas_are_refused() {
    if shared::dir().is_none() {
        return shared::skip("members_outside_the_published_schemas_are_refused");
    }
    for (protocol, body) in [
        (Protocol::Chat, r#"{"model":"m","messages":[{"role":"user","content":"x","nonsense":1}]}"#),
        (Protocol::Responses, r#"{"model":"m","input":[{"role":"user","content":"x","nonsense":1}]}"#),
        (Protocol::Messages, r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x","nonsense":1}]}"#),
        (Protocol::Gemini, r#"{"contents":[{"role":"user","parts":[{"text":"x","nonsense":1}]}]}"#),
    ] {
        let value = serde_json::from_str(body).expect("JSON");
        let violations = schema::validate_request(protocol, &value).expect_err(body);
        assert!(violations.iter().any(|v| v.contains("nonsense")), "{violations:?}");
    }
}

#[test]
fn only_a_client_leaves_strictness_to_the_service() {
    let body = r#"{"model":"m","input":"x","tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}"#;
    let body = serde_json::from_str(body).expect("JSON");
    assert_eq!(schema::validate_request(Protocol::Responses, &body), Ok(()));
    assert!(schema::validate_encoded(Protocol::Responses, &body).is_err());
}
