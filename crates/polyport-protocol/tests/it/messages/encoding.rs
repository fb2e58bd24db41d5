//! What neutral requests become: the worked examples and the rules one by one.

use std::sync::Arc;

use polyport_protocol::profile::{Capabilities, Profile};
use polyport_types::{
    Authority, CacheMark, CacheTtl, Document, DocumentSource, Effort, Family, FunctionTool, Instruction, LossCode,
    McpServer, Media, MediaSource, Message, Part, PartKind, PartStatus, RawJson, Reasoning, ReasoningControl,
    ReasoningMode, ReasoningText, ReasoningVisibility, ResponseFormat, Role, ServerTool, ServerToolKind, Severity,
    Signature, SignatureKind, Tool, ToolCall, ToolCallKind, ToolChoice, ToolRef, ToolResult,
};

use super::*;

fn plain_target() -> Target {
    let mut target = Target::plain(Protocol::Messages, "claude");
    Arc::make_mut(&mut target.profile).auto_cache = false;
    target
}

fn with(change: impl FnOnce(&mut Profile, &mut Capabilities)) -> Target {
    let mut target = plain_target();
    change(Arc::make_mut(&mut target.profile), Arc::make_mut(&mut target.capabilities));
    target
}

fn foreign() -> Request {
    let mut request = Request::new(ClientProtocol::Chat, "alias");
    request.limits.max_output_tokens = Some(1000);
    request.messages = vec![said(Role::User, 0, vec![Part::text("hi")])];
    request
}

fn said(role: Role, index: u32, parts: Vec<Part>) -> Message {
    Message::new(role, index, parts)
}

fn call(id: &str, arguments: &str) -> Part {
    PartKind::ToolCall(Box::new(ToolCall {
        id: id.to_owned().into(),
        name: "plot".into(),
        namespace: None,
        kind: ToolCallKind::Function,
        arguments: arguments.to_owned().into(),
        caller: None,
        status: PartStatus::Complete,
    }))
    .into()
}

fn result(id: &str, parts: Vec<Part>) -> Part {
    PartKind::ToolResult(Box::new(ToolResult {
        call_id: id.to_owned().into(),
        name: None,
        kind: ToolCallKind::Function,
        parts,
        structured: None,
        is_error: false,
    }))
    .into()
}

fn tool(name: &str) -> Tool {
    Tool::Function(Box::new(FunctionTool { name: name.to_owned().into(), ..FunctionTool::default() }))
}

fn codes(losses: &Losses) -> Vec<&'static str> {
    losses.entries().iter().map(|loss| loss.code.as_str()).collect()
}

/// Encodes and lets the judge of encoded requests see it.
fn judged(target: &Target, request: &Request) -> (Value, Losses) {
    let (body, headers, losses) = encode(target, request);
    let version = &headers.iter().find(|(name, _)| *name == "anthropic-version").unwrap().1;
    let mut judge = Judge::new(Protocol::Messages).version(version);
    if let Some((_, betas)) = headers.iter().find(|(name, _)| *name == "anthropic-beta") {
        judge = judge.betas(betas);
    }
    judge.request(&body).unwrap_or_else(|problems| panic!("{problems:#?}\n{body:#}"));
    (body, losses)
}

#[test]
fn e1_instructions_parallel_calls_image_and_a_note() {
    let body = json!({
        "model": "team-opus", "temperature": 1.4,
        "messages": [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": "Compare the two plots."},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "call_A.1", "type": "function", "function": {"name": "plot", "arguments": "{\"id\":1}"}},
                {"id": "call_A.2", "type": "function", "function": {"name": "plot", "arguments": ""}}
            ]},
            {"role": "tool", "tool_call_id": "call_A.2", "content": "no id given"},
            {"role": "tool", "tool_call_id": "call_A.1", "content": "done"},
            {"role": "developer", "content": "Answer in French."},
            {"role": "user", "content": [
                {"type": "text", "text": "Here is the first one"},
                {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA", "detail": "high"}}
            ]}
        ],
        "tools": [{"type": "function", "function": {"name": "plot", "parameters": {"type": "object", "properties": {"id": {"type": "integer"}}}}}],
        "parallel_tool_calls": false
    });
    let body = Bytes::from(body.to_string());
    let request = decode_request(ClientProtocol::Chat, &RequestHead::default(), body).unwrap();
    let mut target = with(|_, can| {
        can.max_output = Some(128_000);
        can.temperature = false;
    });
    target.model = "claude-opus-4-7".into();
    let (body, losses) = judged(&target, &request);
    assert_eq!(
        body,
        json!({
            "model": "claude-opus-4-7",
            "max_tokens": 128_000,
            "system": [{"type": "text", "text": "You are terse."}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Compare the two plots."}]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "call_A_1", "name": "plot", "input": {"id": 1}},
                    {"type": "tool_use", "id": "call_A_2", "name": "plot", "input": {}}
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "call_A_1", "content": "done"},
                    {"type": "tool_result", "tool_use_id": "call_A_2", "content": "no id given"},
                    {"type": "text", "text": "<system-reminder>\nAnswer in French.\n</system-reminder>"},
                    {"type": "text", "text": "Here is the first one"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}}
                ]}
            ],
            "tools": [{"name": "plot", "input_schema": {"type": "object", "properties": {"id": {"type": "integer"}}}}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}
        })
    );
    let codes = codes(&losses);
    for code in [
        "sampling.unsupported",
        "max_tokens.defaulted",
        "id.rewritten",
        "role.degraded",
        "media.detail_dropped",
        "turn.merged",
    ] {
        assert!(codes.contains(&code), "{code} is missing: {codes:?}");
    }
    let degraded = losses.entries().iter().find(|loss| loss.code == LossCode::RoleDegraded).unwrap();
    assert_eq!(degraded.path, "/messages/5");
}

#[test]
fn e3_reasoning_of_this_provider_comes_back_from_another_client() {
    let mut request = Request::new(ClientProtocol::Responses, "alias");
    request.limits.max_output_tokens = Some(9000);
    request.instructions.push(Instruction {
        authority: Authority::Developer,
        parts: vec![Part::text("Fix bugs.")],
        name: None,
        ext: Default::default(),
    });
    let summary = ReasoningText::Summary(vec!["I should call the shell.".into()]);
    let mut reasoning = Part::new(PartKind::Reasoning(Box::new(Reasoning { text: summary, redacted: false })));
    reasoning.signature = Some(Signature::new(Family::Anthropic, SignatureKind::Thinking, "EqQBCgIYAhIk"));
    let run = ToolCall {
        name: "run".into(),
        ..match call("toolu_77", "{\"cmd\":\"make test\"}").kind {
            PartKind::ToolCall(call) => *call,
            _ => unreachable!(),
        }
    };
    let image = Media::new(MediaSource::Url { url: "https://example.org/shot.png".into(), mime: None });
    request.messages = vec![
        said(Role::User, 0, vec![Part::text("Run the tests")]),
        said(Role::Assistant, 1, vec![reasoning]),
        said(Role::Assistant, 2, vec![PartKind::ToolCall(Box::new(run)).into()]),
        said(Role::Tool, 3, vec![result("toolu_77", vec![Part::text("2 failed"), PartKind::Image(image).into()])]),
    ];
    request.tools = vec![tool("run")];
    request.reasoning = Some(ReasoningControl { mode: ReasoningMode::Adaptive, ..ReasoningControl::default() });
    let (body, _) = judged(&plain_target(), &request);
    assert_eq!(body["system"], json!([{"type": "text", "text": "Fix bugs."}]));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "Run the tests"}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "I should call the shell.", "signature": "EqQBCgIYAhIk"},
                {"type": "tool_use", "id": "toolu_77", "name": "run", "input": {"cmd": "make test"}}
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_77", "content": [
                    {"type": "text", "text": "2 failed"},
                    {"type": "image", "source": {"type": "url", "url": "https://example.org/shot.png"}}
                ]}
            ]}
        ])
    );
    // Responses clients that do not ask for a summary want none.
    assert_eq!(body["thinking"], json!({"type": "adaptive", "display": "omitted"}));
}

#[test]
fn e5_structured_output_is_a_format_and_its_description_goes_inside() {
    let mut request = foreign();
    request.messages = vec![said(Role::User, 0, vec![Part::text("x")])];
    let schema =
        r#"{"type":"object","properties":{"age":{"type":"integer"}},"required":["age"],"additionalProperties":false}"#;
    request.response_format = Some(ResponseFormat::JsonSchema {
        name: Some("person".into()),
        description: None,
        schema: RawJson::parse(schema).unwrap(),
        strict: Some(true),
    });
    let (body, losses) = judged(&plain_target(), &request);
    let schema: Value = serde_json::from_str(schema).unwrap();
    assert_eq!(body["output_config"], json!({"format": {"type": "json_schema", "schema": schema}}));
    assert!(losses.is_empty(), "{losses:?}");
    if let Some(ResponseFormat::JsonSchema { description, .. }) = &mut request.response_format {
        *description = Some("A person.".into());
    }
    let (body, _) = judged(&plain_target(), &request);
    assert_eq!(body["output_config"]["format"]["schema"]["description"], "A person.");
    request.response_format = Some(ResponseFormat::JsonObject);
    let (body, losses) = judged(&plain_target(), &request);
    assert!(body["system"][0]["text"].as_str().unwrap().contains("JSON object"));
    assert_eq!(codes(&losses), ["format.emulated"]);
}

#[test]
fn the_history_is_brought_into_legal_turns() {
    let mut request = foreign();
    request.tools = vec![tool("plot")];
    // The assistant begins, a call is never answered, a result answers nothing, the end is blank.
    request.messages = vec![
        said(Role::Assistant, 0, vec![Part::text("Hello")]),
        said(Role::Assistant, 1, vec![call("a", "{}"), Part::text("and words after it")]),
        said(Role::User, 2, vec![Part::text("   ")]),
        said(Role::Assistant, 3, vec![call("b", "[1]")]),
        said(Role::Tool, 4, vec![result("zzz", vec![Part::text("lost")]), result("b", vec![])]),
        said(Role::User, 5, vec![Part::text("")]),
    ];
    let (body, losses) = judged(&plain_target(), &request);
    assert_eq!(
        body["messages"],
        json!([
            {"role": "assistant", "content": [
                {"type": "text", "text": "Hello"},
                {"type": "text", "text": "and words after it"},
                {"type": "tool_use", "id": "a", "name": "plot", "input": {}},
                {"type": "tool_use", "id": "b", "name": "plot", "input": {"value": [1]}}
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "Error: no result was recorded for this call", "is_error": true},
                {"type": "tool_result", "tool_use_id": "b"},
                {"type": "text", "text": "Tool result (zzz):"},
                {"type": "text", "text": "lost"}
            ]}
        ])
    );
    let codes = codes(&losses);
    for code in ["turn.merged", "turn.dropped_empty", "tool_result.missing", "tool_result.orphan"] {
        assert!(codes.contains(&code), "{code} is missing: {codes:?}");
    }
    // Of servers that imitate the API it is not known that they let the assistant begin; of a client's own server it is his affair.
    let imitator = with(|_, capabilities| capabilities.family = Family::Unknown);
    let (body, losses) = judged(&imitator, &request);
    assert_eq!(body["messages"][0], json!({"role": "user", "content": [{"type": "text", "text": "."}]}));
    assert!(self::codes(&losses).contains(&"turn.synthesised"), "{losses:?}");
    request.source = ClientProtocol::Messages;
    assert_eq!(judged(&imitator, &request).0["messages"][0]["role"], "assistant");
}

#[test]
fn a_request_ends_with_something_and_prefill_without_blanks() {
    let mut request = foreign();
    request.messages.clear();
    let (body, _) = judged(&plain_target(), &request);
    assert_eq!(body["messages"], json!([{"role": "user", "content": [{"type": "text", "text": "."}]}]));
    request.messages = vec![
        said(Role::User, 0, vec![Part::text("Write a line")]),
        said(Role::Assistant, 1, vec![Part::text("Roses are \n ")]),
    ];
    let (body, _) = judged(&plain_target(), &request);
    assert_eq!(body["messages"][1]["content"], json!([{"type": "text", "text": "Roses are"}]));
    request.messages.push(said(Role::User, 2, vec![]));
    let (body, _) = judged(&plain_target(), &request);
    assert_eq!(body["messages"][2]["content"], json!([{"type": "text", "text": "."}]));
}

#[test]
fn results_follow_their_calls_whatever_was_said_in_between() {
    let mut request = foreign();
    request.tools = vec![tool("plot")];
    let mut structured = result("b", vec![]);
    if let PartKind::ToolResult(result) = &mut structured.kind {
        result.structured = Some(RawJson::parse(r#"{"error": "no such file"}"#).unwrap());
    }
    let mut object = result("c", vec![]);
    if let PartKind::ToolResult(result) = &mut object.kind {
        result.structured = Some(RawJson::parse(r#"{"temp": 3, "unit": "C"}"#).unwrap());
    }
    request.messages = vec![
        said(Role::User, 0, vec![Part::text("go")]),
        said(Role::Assistant, 1, vec![call("a", ""), call("b", "null"), call("c", "{\"x\":1.50}")]),
        said(Role::User, 2, vec![Part::text("meanwhile")]),
        said(Role::Tool, 3, vec![object]),
        said(Role::Tool, 4, vec![structured, result("a", vec![Part::text("done")])]),
    ];
    let (body, _) = judged(&plain_target(), &request);
    assert_eq!(
        body["messages"][2]["content"],
        json!([
            {"type": "tool_result", "tool_use_id": "a", "content": "done"},
            {"type": "tool_result", "tool_use_id": "b", "content": "no such file", "is_error": true},
            {"type": "tool_result", "tool_use_id": "c", "content": "{\"temp\":3,\"unit\":\"C\"}"},
            {"type": "text", "text": "meanwhile"}
        ])
    );
    let encoded = encode_request(&plain_target(), &request, &mut Losses::new());
    assert!(String::from_utf8(encoded.body).unwrap().contains(r#""input":{"x":1.50}"#));
}

#[test]
fn instructions_in_the_history_stay_in_place_where_the_model_takes_them() {
    let mut request = foreign();
    request.messages = vec![
        said(Role::System, 0, vec![Part::text("first of all")]),
        said(Role::User, 1, vec![Part::text("hi")]),
        said(Role::Developer, 2, vec![Part::text("be brief")]),
        said(Role::Assistant, 3, vec![Part::text("ok")]),
        said(Role::System, 4, vec![Part::text("now long")]),
    ];
    let able = with(|_, can| can.mid_system = true);
    let (body, _) = judged(&able, &request);
    let roles: Vec<&str> =
        body["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
    // Nothing precedes the first and the last follows the assistant: both become words to the user's side.
    assert_eq!(roles, ["user", "system", "assistant", "user"]);
    assert_eq!(body["messages"][1]["content"], json!([{"type": "text", "text": "be brief"}]));
    assert_eq!(body["messages"][3]["content"][0]["text"], "<system-reminder>\nnow long\n</system-reminder>");
}

#[test]
fn only_this_providers_signatures_are_sent() {
    let thought = |signature: Option<Signature>| {
        let text = ReasoningText::Full("hm".into());
        let mut part = Part::new(PartKind::Reasoning(Box::new(Reasoning { text, redacted: false })));
        part.signature = signature;
        part
    };
    let of = |family, value: &str| Some(Signature::new(family, SignatureKind::Thinking, value.to_owned()));
    let mut request = foreign();
    request.messages = vec![
        said(Role::User, 0, vec![Part::text("hi")]),
        said(
            Role::Assistant,
            1,
            vec![
                thought(of(Family::Google, "Q2lR")),
                thought(of(Family::Anthropic, "")),
                thought(of(Family::Anthropic, "pp1.a.t.00000000.x.y")),
                thought(None),
                Part::text("first"),
                thought(of(Family::Anthropic, "EqQB")),
            ],
        ),
        said(Role::User, 2, vec![Part::text("more")]),
    ];
    let (body, losses) = judged(&plain_target(), &request);
    assert_eq!(
        body["messages"][1]["content"],
        json!([{"type": "thinking", "thinking": "hm", "signature": "EqQB"}, {"type": "text", "text": "first"}])
    );
    assert!(codes(&losses).contains(&"signature.foreign_dropped"));
    // The provider's own order is not touched.
    request.source = ClientProtocol::Messages;
    let (body, _) = judged(&plain_target(), &request);
    assert_eq!(body["messages"][1]["content"][1]["type"], "thinking");
    // Without thinking its blocks stay out.
    request.reasoning = Some(ReasoningControl { mode: ReasoningMode::Off, ..ReasoningControl::default() });
    let (body, _) = judged(&plain_target(), &request);
    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    assert_eq!(body["messages"][1]["content"], json!([{"type": "text", "text": "first"}]));
}

#[test]
fn thinking_is_written_as_it_is_wanted() {
    let mut request = foreign();
    request.limits.max_output_tokens = Some(8000);
    let thinking = |request: &Request, control: ReasoningControl| {
        let request = Request { reasoning: Some(control), ..request.clone() };
        let (body, _) = judged(&plain_target(), &request);
        (body["thinking"].clone(), body["output_config"].clone())
    };
    let on = ReasoningControl { mode: ReasoningMode::On, budget_tokens: Some(4000), ..ReasoningControl::default() };
    assert_eq!(
        thinking(&request, on.clone()).0,
        json!({"type": "enabled", "budget_tokens": 4000, "display": "summarized"})
    );
    let hidden = ReasoningControl { visibility: Some(ReasoningVisibility::Omitted), ..on.clone() };
    assert_eq!(thinking(&request, hidden).0["display"], "omitted");
    let big = ReasoningControl { budget_tokens: Some(90_000), ..on.clone() };
    assert_eq!(thinking(&request, big).0["budget_tokens"], 7999);
    let adaptive =
        ReasoningControl { mode: ReasoningMode::Adaptive, effort: Some(Effort::XHigh), ..ReasoningControl::default() };
    assert_eq!(
        thinking(&request, adaptive),
        (json!({"type": "adaptive", "display": "summarized"}), json!({"effort": "xhigh"}))
    );
    let automatic = ReasoningControl { budget_tokens: Some(-1), ..ReasoningControl::default() };
    assert_eq!(thinking(&request, automatic).0["type"], "adaptive");
    let between = ReasoningControl { mode: ReasoningMode::BetweenTools, ..ReasoningControl::default() };
    assert_eq!(thinking(&request, between).0, json!({"type": "between_tools"}));
    request.limits.max_output_tokens = Some(500);
    assert_eq!(thinking(&request, on).0, json!({"type": "disabled"}));
}

#[test]
fn sampling_needs_the_older_version_and_a_model_that_takes_it() {
    let mut request = foreign();
    request.sampling.temperature = Some(1.7);
    request.sampling.top_k = Some(40.4);
    request.sampling.seed = Some(3);
    let (body, headers, losses) = encode(&plain_target(), &request);
    assert_eq!((&body["temperature"], &body["top_k"]), (&json!(1), &json!(40)));
    assert_eq!(headers, [("anthropic-version", "2023-06-01".to_owned())]);
    assert_eq!(codes(&losses), ["sampling.clamped", "sampling.unsupported"]);
    let (body, headers, _) = encode(
        &with(|_, can| {
            can.temperature = false;
            can.top_k = false;
        }),
        &request,
    );
    assert!(body.get("temperature").is_none() && body.get("top_k").is_none());
    assert_eq!(headers, [("anthropic-version", "2026-10-21".to_owned())]);
    request.reasoning = Some(ReasoningControl { mode: ReasoningMode::Adaptive, ..ReasoningControl::default() });
    request.sampling.temperature = Some(0.2);
    let (body, _) = judged(&plain_target(), &request);
    assert!(body.get("temperature").is_none() && body.get("top_k").is_none());
}

#[test]
fn servers_that_imitate_the_api_get_what_they_know() {
    let mut request = foreign();
    request.source = ClientProtocol::Messages;
    request.reasoning = Some(ReasoningControl { mode: ReasoningMode::Adaptive, ..ReasoningControl::default() });
    let text = ReasoningText::Full("my words".into());
    let thought = Part::new(PartKind::Reasoning(Box::new(Reasoning { text, redacted: false })));
    request.messages.push(said(Role::Assistant, 1, vec![thought, Part::text("hello")]));
    request.messages.push(said(Role::User, 2, vec![Part::text("go on")]));
    let (body, headers, _) = encode(&with(|_, can| can.family = Family::Moonshot), &request);
    assert_eq!(headers, [("anthropic-version", "2023-06-01".to_owned())]);
    assert_eq!(body["thinking"], json!({"type": "adaptive"}));
    // They take their own words back unsigned; the official service does not.
    assert_eq!(body["messages"][1]["content"][0], json!({"type": "thinking", "thinking": "my words", "signature": ""}));
    let (body, headers, _) = encode(&plain_target(), &request);
    assert_eq!(headers, [("anthropic-version", "2026-10-21".to_owned())]);
    assert_eq!(body["messages"][1]["content"], json!([{"type": "text", "text": "hello"}]));
}

fn marked(text: &str, ttl: Option<CacheTtl>) -> Part {
    Part { cache: Some(CacheMark { ttl }), ..Part::text(text.to_owned()) }
}

#[test]
fn at_most_four_cache_markers_stay_and_the_longest_come_first() {
    let mut request = foreign();
    request.instructions.push(Instruction {
        authority: Authority::System,
        parts: vec![marked("a", None), marked("  ", Some(CacheTtl::Minutes30)), marked("b", None)],
        name: None,
        ext: Default::default(),
    });
    let turns = (0..5u32).map(|n| {
        let role = if n % 2 == 0 { Role::User } else { Role::Assistant };
        said(role, n, vec![marked(&format!("turn {n}"), (n == 4).then_some(CacheTtl::Hours12))])
    });
    request.messages = turns.collect();
    let (body, losses) = judged(&plain_target(), &request);
    let marks = body.to_string().matches("cache_control").count();
    assert_eq!(marks, 4);
    assert_eq!(body["system"][0]["cache_control"], json!({"type": "ephemeral", "ttl": "1h"}));
    assert_eq!(body["messages"][4]["content"][0]["cache_control"], json!({"type": "ephemeral", "ttl": "1h"}));
    assert!(body["messages"][2]["content"][0].get("cache_control").is_none());
    assert!(codes(&losses).contains(&"cache.breakpoint_dropped"));
    assert!(codes(&losses).contains(&"cache.ttl_changed"));

    // A marker on what is left out moves to what comes before it.
    request.instructions.clear();
    request.messages = vec![said(Role::User, 0, vec![Part::text("kept"), marked(" ", Some(CacheTtl::Minutes5))])];
    let (body, _) = judged(&plain_target(), &request);
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], json!({"type": "ephemeral", "ttl": "5m"}));

    let (body, losses) = judged(&with(|_, can| can.cache_markers = false), &request);
    assert!(!body.to_string().contains("cache_control"));
    assert_eq!(codes(&losses), ["turn.dropped_empty", "cache.breakpoint_dropped"]);
}

#[test]
fn clients_that_cannot_place_markers_get_one() {
    let mut request = foreign();
    let auto = with(|profile, _| profile.auto_cache = true);
    assert_eq!(judged(&auto, &request).0["cache_control"], json!({"type": "ephemeral"}));
    request.cache.retention = Some("24h".into());
    assert_eq!(judged(&auto, &request).0["cache_control"], json!({"type": "ephemeral", "ttl": "1h"}));
    request.cache.explicit_only = Some(true);
    assert!(judged(&auto, &request).0.get("cache_control").is_none());
    request.cache.explicit_only = None;
    request.source = ClientProtocol::Messages;
    assert!(judged(&auto, &request).0.get("cache_control").is_none());
    // Its breakpoint counts among the four.
    request.source = ClientProtocol::Chat;
    request.messages = vec![said(Role::User, 0, (0..6).map(|n| marked(&n.to_string(), None)).collect())];
    let (body, _) = judged(&auto, &request);
    assert_eq!(body["messages"].to_string().matches("cache_control").count(), 3);
}

#[test]
fn media_become_what_the_api_takes_or_are_refused() {
    let image = |mime: &str| {
        let source = MediaSource::Base64 { mime: mime.to_owned().into(), data: "AAAA".into() };
        Part::new(PartKind::Image(Media::new(source)))
    };
    let file = |mime: &str, data: &str| {
        let source = MediaSource::Base64 { mime: mime.to_owned().into(), data: data.to_owned().into() };
        Part::new(PartKind::Document(Box::new(Document {
            source: DocumentSource::File(source),
            filename: Some("a.pdf".into()),
            title: None,
            context: None,
            citations: None,
            detail: None,
        })))
    };
    let mut request = foreign();
    request.messages = vec![
        said(Role::User, 0, vec![image("image/jpg"), file("application/pdf", "JVBERi0="), file("text/csv", "YSxi")]),
        said(Role::Assistant, 1, vec![Part::text("here"), image("image/png")]),
    ];
    let (body, losses) = judged(&plain_target(), &request);
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "title": "a.pdf"},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}, "title": "a.pdf"}
        ])
    );
    assert_eq!(body["messages"][2]["role"], "user");
    assert_eq!(body["messages"][2]["content"][1]["type"], "image");
    assert!(losses.first_at_least(Severity::Error).is_none());
    for part in [
        image("image/bmp"),
        file("application/zip", "AAAA"),
        PartKind::Audio(Media::new(MediaSource::Base64 { mime: "audio/wav".into(), data: "AA".into() })).into(),
        PartKind::Image(Media::new(MediaSource::Url { url: "gs://b/x.png".into(), mime: None })).into(),
        PartKind::Image(Media::new(MediaSource::FileId {
            owner: Protocol::Responses,
            id: "file-1".into(),
            mime: None,
        }))
        .into(),
    ] {
        request.messages = vec![said(Role::User, 0, vec![part.clone()])];
        let (_, losses) = judged(&plain_target(), &request);
        assert!(losses.first_at_least(Severity::Error).is_some(), "{part:?}");
    }
}

#[test]
fn tools_and_their_choice() {
    let mut request = foreign();
    request.tools = vec![tool("a"), tool("b")];
    let chosen = |request: &Request, choice: ToolChoice| {
        let request = Request { tool_choice: Some(choice), ..request.clone() };
        let (body, losses) = judged(&plain_target(), &request);
        (body["tool_choice"].clone(), body["tools"].as_array().map_or(0, Vec::len), codes(&losses))
    };
    let named = |name: &str| ToolRef { name: name.to_owned().into(), custom: false };
    assert_eq!(chosen(&request, ToolChoice::None).0, json!({"type": "none"}));
    assert_eq!(chosen(&request, ToolChoice::Required).0, json!({"type": "any"}));
    assert_eq!(chosen(&request, ToolChoice::Tool(named("b"))).0, json!({"type": "tool", "name": "b"}));
    let (choice, _, losses) = chosen(&request, ToolChoice::Tool(named("c")));
    assert_eq!((choice, losses), (json!({"type": "auto"}), vec!["tool_choice.degraded"]));
    let allowed = ToolChoice::Allowed { required: true, tools: vec![named("b")] };
    assert_eq!(chosen(&request, allowed), (json!({"type": "any"}), 1, vec!["tool_choice.filtered"]));
    request.parallel_tool_calls = Some(false);
    assert_eq!(chosen(&request, ToolChoice::Auto).0, json!({"type": "auto", "disable_parallel_tool_use": true}));
    assert_eq!(chosen(&request, ToolChoice::None).0, json!({"type": "none"}));
    // With a thinking budget nothing can be forced; without tools there is nothing to choose.
    request.limits.max_output_tokens = Some(5000);
    request.reasoning =
        Some(ReasoningControl { mode: ReasoningMode::On, budget_tokens: Some(2000), ..ReasoningControl::default() });
    assert_eq!(chosen(&request, ToolChoice::Required).0["type"], "auto");
    request.tools.clear();
    assert_eq!(chosen(&request, ToolChoice::Required).0, Value::Null);
}

#[test]
fn earlier_calls_are_declared_when_no_tool_is() {
    let mut request = foreign();
    request.messages = vec![
        said(Role::User, 0, vec![Part::text("x")]),
        said(Role::Assistant, 1, vec![call("a", "{}")]),
        said(Role::Tool, 2, vec![result("a", vec![])]),
    ];
    let (body, losses) = judged(&plain_target(), &request);
    assert_eq!(body["tools"], json!([{"name": "plot", "input_schema": {"type": "object"}}]));
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
    assert!(codes(&losses).contains(&"turn.synthesised"));
}

#[test]
fn server_tools_of_others_are_declared_anew_and_remote_servers_with_them() {
    let server = |kind: ServerToolKind, wire_type: &str| ServerTool {
        kind,
        name: "x".into(),
        wire_type: wire_type.to_owned().into(),
        allowed_domains: vec!["example.org".into()],
        blocked_domains: Vec::new(),
        max_uses: None,
        user_location: None,
        context_size: None,
        mcp: None,
        cache: None,
        raw: RawJson::parse("{\"type\":\"x\"}").unwrap(),
    };
    let mut request = foreign();
    request.limits.max_server_tool_calls = Some(3);
    let mut mcp = server(ServerToolKind::Mcp, "mcp");
    mcp.mcp = Some(Box::new(McpServer {
        label: "wiki".into(),
        url: Some("https://example.org/mcp".into()),
        authorization: Some("t".into()),
        allowed_tools: vec!["search".into()],
        require_approval: Some(RawJson::parse("\"never\"").unwrap()),
    }));
    request.tools = vec![
        Tool::Server(Box::new(server(ServerToolKind::WebSearch, "web_search"))),
        Tool::Server(Box::new(server(ServerToolKind::FileSearch, "file_search"))),
        Tool::Server(Box::new(mcp.clone())),
    ];
    let (body, headers, losses) = encode(&plain_target(), &request);
    Judge::new(Protocol::Messages).request(&body).unwrap();
    assert_eq!(
        body["tools"],
        json!([
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "allowed_domains": ["example.org"]},
            {"type": "mcp_toolset", "mcp_server_name": "wiki", "default_config": {"enabled": false}, "configs": {"search": {"enabled": true}}}
        ])
    );
    assert_eq!(
        body["mcp_servers"],
        json!([{"type": "url", "name": "wiki", "url": "https://example.org/mcp", "authorization_token": "t"}])
    );
    assert!(headers.contains(&("anthropic-beta", "mcp-client-2025-11-20".to_owned())));
    assert_eq!(codes(&losses), ["server_feature.dropped", "tool.server.unsupported"]);
    mcp.mcp.as_mut().unwrap().require_approval = None;
    request.tools = vec![Tool::Server(Box::new(mcp.clone()))];
    assert!(judged(&plain_target(), &request).1.is_empty());
    mcp.mcp.as_mut().unwrap().require_approval = Some(RawJson::parse("\"always\"").unwrap());
    request.tools = vec![Tool::Server(Box::new(mcp))];
    assert!(judged(&plain_target(), &request).1.first_at_least(Severity::Error).is_some());
}

#[test]
fn betas_are_the_clients_own_and_only_those_the_server_takes() {
    let mut request = foreign();
    request.betas = vec!["context-1m-2025-08-07".into(), "effort-2025-11-24".into()];
    let betas = |target: &Target, request: &Request| {
        let (_, headers, _) = encode(target, request);
        headers.into_iter().find(|(name, _)| *name == "anthropic-beta").map(|(_, value)| value)
    };
    assert_eq!(betas(&plain_target(), &request), None);
    request.source = ClientProtocol::Messages;
    assert_eq!(betas(&plain_target(), &request).unwrap(), "context-1m-2025-08-07,effort-2025-11-24");
    let picky = with(|profile, _| profile.betas = vec!["effort-2025-11-24".to_owned()]);
    assert_eq!(betas(&picky, &request).unwrap(), "effort-2025-11-24");
    request.service_tier = Some("fast".into());
    assert_eq!(betas(&plain_target(), &request).unwrap().split(',').count(), 3);
}

#[test]
fn identity_and_tier_are_mapped() {
    let mut request = foreign();
    request.end_user = Some("user-17".into());
    assert_eq!(judged(&plain_target(), &request).0["metadata"], json!({"user_id": "user-17"}));
    for personal in ["joe@example.com", "+49 170 1234567", "555-123-4567"] {
        request.end_user = Some(personal.into());
        let (body, losses) = judged(&plain_target(), &request);
        assert_eq!(body["metadata"]["user_id"].as_str().unwrap().len(), 64);
        assert_eq!(codes(&losses), ["identity.hashed"]);
    }
    request.end_user = None;
    for (tier, sent) in [
        ("auto", json!("auto")),
        ("default", json!("standard_only")),
        ("flex", json!("standard_only")),
        ("priority", json!("auto")),
        ("fast", json!("auto")),
        ("scale", json!("auto")),
        ("mystery", Value::Null),
    ] {
        request.service_tier = Some(tier.into());
        assert_eq!(judged(&plain_target(), &request).0["service_tier"], sent, "{tier}");
    }
    request.service_tier = Some("fast".into());
    let (body, _) = judged(&with(|_, can| can.fast = true), &request);
    assert_eq!((&body["speed"], &body["service_tier"]), (&json!("fast"), &Value::Null));
}

#[test]
fn fields_without_a_slot_are_reported() {
    let mut request = foreign();
    request.sampling.presence_penalty = Some(0.5);
    request.sampling.logit_bias = Some(RawJson::parse("{\"1\":2}").unwrap());
    request.sampling.logprobs = Some(true);
    request.candidates = Some(3);
    request.cache.key = Some("k".into());
    request.metadata = vec![("a".into(), "b".into())];
    request.limits.stop = vec!["END".into(), " \n".into()];
    request.ext.push("chat_template_kwargs", RawJson::parse("{}").unwrap());
    let (body, losses) = judged(&plain_target(), &request);
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert!(body.get("chat_template_kwargs").is_none());
    let codes = codes(&losses);
    for code in [
        "sampling.unsupported",
        "logprobs.unsupported",
        "candidates.unsupported",
        "cache.key_dropped",
        "metadata.dropped",
        "stop.whitespace",
        "unknown_field.dropped",
    ] {
        assert!(codes.contains(&code), "{code} is missing: {codes:?}");
    }
}

#[test]
fn the_servers_own_rules_change_members() {
    let mut request = foreign();
    request.end_user = Some("u".into());
    request.stream = true;
    let target = with(|profile, _| {
        profile.drop = vec!["metadata".to_owned()];
        profile.rename.insert("max_tokens".to_owned(), "max_output".to_owned());
        profile.extra_body.insert("anthropic_version".to_owned(), json!("vertex-2023-10-16"));
    });
    let (body, _, _) = encode(&target, &request);
    assert!(body.get("metadata").is_none());
    assert_eq!(body["max_output"], 1000);
    assert_eq!(body["anthropic_version"], "vertex-2023-10-16");
    assert_eq!(body["stream"], true);
}

#[test]
fn counting_sends_only_what_is_counted() {
    let mut request = foreign();
    request.stream = true;
    request.sampling.temperature = Some(0.5);
    request.end_user = Some("u".into());
    request.tools = vec![tool("a")];
    let mut losses = Losses::new();
    let encoded = messages::encode_count_request(&plain_target(), &request, &mut losses);
    let body = json_of(&encoded.body);
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["model", "messages", "tools"]);
    assert!(losses.is_empty());
    assert_eq!(messages::decode_count(br#"{"input_tokens":123,"context_management":{}}"#), Some(123));
    assert_eq!(messages::decode_count(b"{}"), None);
    assert_eq!(messages::encode_count(7), br#"{"input_tokens":7}"#);
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    let body = include_str!("../../../../../fixtures/messages/request/everything.json");
    let target = with(|_, can| can.mid_system = true);
    let once = encode_request(&target, &decode(body), &mut Losses::new());
    let twice = encode_request(&target, &decode(body), &mut Losses::new());
    assert_eq!(once.body, twice.body);
    assert_eq!(once.headers, twice.headers);
}
