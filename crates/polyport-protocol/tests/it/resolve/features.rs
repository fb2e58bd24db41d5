//! Members that only one protocol has, and turns that only some models continue.

use polyport_types::{
    ClientProtocol, FunctionTool, LossAction, LossCode, Part, PartKind, Protocol, RawJson, ReasoningControl,
    ReasoningMode, Severity, Text, Tool,
};

use super::support::*;

fn json(text: &'static str) -> RawJson {
    RawJson::from_valid(Text::from_static(text))
}

#[test]
fn features_of_a_provider_are_named_when_they_are_lost() {
    let cases = [
        (ClientProtocol::Responses, "prompt", r#"{"id":"pmpt_1"}"#, LossCode::ServerFeatureDropped, Severity::Error),
        (ClientProtocol::Responses, "client_metadata", "{}", LossCode::MetadataDropped, Severity::Info),
        (ClientProtocol::Messages, "container", "\"c\"", LossCode::ServerFeatureDropped, Severity::Warn),
        (
            ClientProtocol::Messages,
            "context_management",
            r#"{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}"#,
            LossCode::ServerFeatureDropped,
            Severity::Info,
        ),
        (
            ClientProtocol::Messages,
            "context_management",
            r#"{"edits":[{"type":"compact_20260112"}]}"#,
            LossCode::ServerFeatureDropped,
            Severity::Warn,
        ),
        (
            ClientProtocol::Messages,
            "thread",
            r#"{"type":"continue","previous_message_id":"msg_1"}"#,
            LossCode::ServerFeatureDropped,
            Severity::Error,
        ),
        (ClientProtocol::Gemini, "continuationToken", "\"t\"", LossCode::ServerFeatureDropped, Severity::Error),
        (ClientProtocol::Gemini, "modelArmorConfig", "{}", LossCode::SafetyDropped, Severity::Warn),
    ];
    for (source, member, value, code, severity) in cases {
        for target in Protocol::ALL {
            let mut request = request(source);
            request.ext.push(member, json(value));
            let outcome = run(&plain(target), request);
            if Protocol::from(source) == target {
                assert!(outcome.request.ext.get(member).is_some(), "{member} is for its own protocol");
                assert!(!outcome.losses.entries().iter().any(|loss| loss.code == code));
                continue;
            }
            assert!(outcome.request.ext.is_empty());
            let loss = outcome.losses.entries().iter().find(|loss| loss.code == code).unwrap();
            assert_eq!((loss.severity, loss.path.as_str()), (severity, format!("/{member}").as_str()));
        }
    }
}

#[test]
fn what_has_a_slot_of_its_own_is_no_loss() {
    let mut request = request(ClientProtocol::Gemini);
    request.ext.push("generationConfig/mediaResolution", json("\"MEDIA_RESOLUTION_LOW\""));
    let outcome = run(&plain(Protocol::Chat), request);
    assert!(outcome.request.ext.is_empty() && outcome.losses.is_empty());
}

#[test]
fn unknown_blocks_of_a_result_are_given_as_json() {
    let state = Part::new(PartKind::Opaque {
        protocol: Protocol::Messages,
        kind: "browser_state".into(),
        raw: json(r#"{"type":"browser_state","url":"https://a"}"#),
    });
    let history = vec![user("Go"), assistant(vec![call("a", "f", "{}")]), results(vec![result_of("a", vec![state])])];
    let outcome = run(&plain(Protocol::Chat), with(ClientProtocol::Messages, history));
    let PartKind::ToolResult(result) = &outcome.request.messages[2].parts[0].kind else { panic!() };
    assert!(result.parts[0].as_text().unwrap().contains("https://a"));
}

#[test]
fn a_model_that_cannot_go_on_is_asked_to() {
    let prefilled = || with(ClientProtocol::Chat, vec![user("Count"), assistant(vec![Part::text("One, two,")])]);
    assert_eq!(run(&plain(Protocol::Messages), prefilled()).request.messages.len(), 2);
    let newer = able(Protocol::Messages, |abilities| abilities.prefill = false);
    let outcome = run(&newer, prefilled());
    assert_eq!(outline(&outcome.request).len(), 3);
    assert!(outcome.has(LossCode::TurnSynthesised, LossAction::Synthesised));
    let mut thinking = prefilled();
    thinking.reasoning = Some(ReasoningControl { mode: ReasoningMode::Adaptive, ..ReasoningControl::default() });
    assert_eq!(run(&plain(Protocol::Messages), thinking).request.messages.len(), 3);
    assert_eq!(run(&plain(Protocol::Chat), prefilled()).request.messages.len(), 2);
}

#[test]
fn strict_tools_are_as_many_as_one_request_may_have() {
    let schema = r#"{"type":"object","properties":{"a":{"type":["string","null"]}},"required":["a"],"additionalProperties":false}"#;
    let tools = |count: usize, schema: &str| -> Vec<Tool> {
        let tool = |at| FunctionTool {
            name: format!("f{at}").into(),
            schema: Some(RawJson::parse(schema.to_owned()).unwrap()),
            strict: Some(true),
            ..FunctionTool::default()
        };
        (0..count).map(|at| Tool::Function(Box::new(tool(at)))).collect()
    };
    let strict = |tools| {
        let mut request = request(ClientProtocol::Chat);
        request.tools = tools;
        let outcome = run(&plain(Protocol::Messages), request);
        let tools = outcome.request.tools.iter();
        tools.filter(|tool| matches!(tool, Tool::Function(tool) if tool.strict == Some(true))).count()
    };
    assert_eq!(strict(tools(25, schema)), 16, "as many as have alternatives in all");
    assert_eq!(strict(tools(25, &schema.replace(r#"["string","null"]"#, r#""string""#))), 20);
}
