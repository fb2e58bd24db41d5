//! Requests of clients, and what providers get of them.

use std::path::PathBuf;

use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::{ErrorBody, encode_fault, resolve};
use polyport_types::{
    CacheMark, CacheTtl, Family, Fault, FaultClass, Instruction, LossCode, Message, Part, PartKind, ReasoningMode,
    ReasoningText, ReasoningVisibility, Role, Severity, Signature, SignatureKind, Tool, ToolCallKind, ToolChoice,
};

use super::*;

fn fixture(name: &str) -> String {
    let path: PathBuf = shared::workspace_root().unwrap().join("fixtures/responses/request").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn hand_made_requests_keep_every_member() {
    for name in ["agent.json", "everything.json"] {
        let sent: Value = serde_json::from_str(&fixture(name)).unwrap();
        let (body, losses) = encode(&decode(&fixture(name)));
        assert!(losses.is_empty(), "{name}: {losses:?}");
        let mut problems = Vec::new();
        let mut wanted = normal_request(sent);
        wanted["model"] = "gpt-5.6".into();
        // One of the two ways to name a conversation.
        if let Some(id) = wanted.pointer("/conversation/id").cloned() {
            wanted["conversation"] = id;
        }
        missing("", &wanted, &normal_request(body.clone()), &mut problems, name);
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        if let Err(violations) = schema::validate_schema(Protocol::Responses, &body) {
            panic!("{name}: {violations:#?}");
        }
        // Verbatim: numbers and the order of members are the client's.
        if name == "everything.json" {
            let text = body.to_string();
            assert!(text.contains(r#""properties":{"b":{"type":"string"},"a":{"type":"string"}}"#), "{text}");
        }
    }
}

/// What an agent sends reaches providers that know none of its tools.
#[test]
fn an_agent_reaches_every_provider() {
    let request = decode(&fixture("agent.json"));
    for provider in Protocol::ALL {
        let target = Target::plain(provider, "model");
        let mut losses = Losses::new();
        let context = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
        let (resolved, _) = resolve(&target, request.clone(), &context, &mut losses);
        let body = encode_request(&target, &resolved, &mut losses).body;
        assert_eq!(losses.first_at_least(Severity::Error), None, "{provider}");
        let body: Value = serde_json::from_slice(&body).unwrap();
        schema::validate_schema(provider, &body).unwrap_or_else(|problems| panic!("{provider}: {problems:#?}\n{body}"));
        let text = body.to_string();
        for words in
            ["You are a coding agent.", "Sandbox: read-only.", "Fix the test.", "main.rs", "Begin Patch", "Thanks."]
        {
            assert!(text.contains(words), "{provider} never learns {words:?}: {text}");
        }
        for tool in ["view_image", "exec_command", "apply_patch", "local_shell", "later"] {
            assert!(text.contains(tool), "{provider} has no {tool}");
        }
    }
}

#[test]
fn the_parts_of_a_request_have_their_places() {
    let request = decode(&fixture("agent.json"));
    assert_eq!(request.instructions.len(), 2);
    assert!(request.instructions[0].ext.is_empty());
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    let (user, model, tool) = (Role::User, Role::Assistant, Role::Tool);
    assert_eq!(roles, [user, model, model, tool, model, model, tool, model, tool, model, Role::Developer, user]);
    // Positions are those of the client's list, the instruction before counted.
    assert_eq!(request.messages[0].index, 1);
    assert_eq!(request.message_path(&request.messages[11]), "/input/12");
    let names: Vec<_> = request.tools.iter().map(|tool| &**tool.name()).collect();
    assert_eq!(names, ["view_image", "exec_command", "apply_patch", "local_shell", "web_search", "later"]);
    assert!(
        matches!(&request.tools[1], Tool::Function(tool) if tool.namespace.as_deref() == Some("terminal") && tool.strict.is_none())
    );
    assert!(
        matches!(&request.messages[7].parts[0].kind, PartKind::ToolCall(call) if call.kind == ToolCallKind::Builtin("local_shell".into()))
    );
    assert_eq!(request.messages[4].phase.as_deref(), Some("commentary"));
    let control = request.reasoning.unwrap();
    assert_eq!((control.visibility, control.summary.as_deref()), (Some(ReasoningVisibility::Summary), Some("auto")));
    let hidden = decode(r#"{"model":"m","input":"x","reasoning":{"effort":"none"}}"#).reasoning.unwrap();
    assert_eq!((hidden.mode, hidden.visibility), (ReasoningMode::Off, Some(ReasoningVisibility::Omitted)));
    // A word of tomorrow goes on.
    let request = decode(r#"{"model":"m","input":"x","reasoning":{"effort":"ultra"},"future":{"a":1.50}}"#);
    let (body, _) = encode(&request);
    assert_eq!(body["reasoning"]["effort"], "ultra");
    assert_eq!(request.ext.get("future").unwrap().as_str(), r#"{"a":1.50}"#);
}

#[test]
fn settings_inside_the_history_hold_for_the_answer() {
    let request = decode(
        r#"{"model":"m","reasoning":{"effort":"low","summary":"auto"},"input":[{"role":"user","content":"a"},
            {"type":"configuration_update","reasoning":{"effort":"high"},
             "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}}},
            {"role":"user","content":"b"}]}"#,
    );
    let control = request.reasoning.as_ref().unwrap();
    assert_eq!((control.effort, control.summary.as_deref()), (Some(polyport_types::Effort::High), Some("auto")));
    assert!(matches!(request.response_format, Some(polyport_types::ResponseFormat::JsonSchema { .. })));
    let (body, _) = encode(&request);
    assert_eq!(body["input"][1]["type"], "configuration_update");
}

#[test]
fn mistakes_are_named() {
    let cases = [
        (r#"{"input":"x"}"#, "model", "Missing required parameter: 'model'."),
        (r#"{"model":"m"}"#, "input", "must be provided"),
        (
            r#"{"model":"m","input":"x","previous_response_id":"r","conversation":"c"}"#,
            "previous_response_id",
            "Mutually exclusive",
        ),
        (
            r#"{"model":"m","input":"x","temperature":"hot"}"#,
            "temperature",
            "Invalid type for 'temperature': expected f64, but got string instead.",
        ),
        (r#"{"model":"m","input":{"role":"user"}}"#, "input", "expected a string or an array, but got map instead."),
        (
            r#"{"model":"m","input":[{"role":"robot","content":"x"}]}"#,
            "input[0].role",
            "Supported values are: 'assistant', 'system', 'developer', and 'user'.",
        ),
        (r#"{"model":"m","input":[{"role":"user"}]}"#, "input[0].content", "Missing required parameter"),
        (
            r#"{"model":"m","input":[{"role":"user","content":[{"text":5}]}]}"#,
            "input[0].content[0].text",
            "Invalid type",
        ),
        (r#"{"model":"m","input":[{"content":"x"}]}"#, "input[0].role", "Missing required parameter"),
        (
            r#"{"model":"m","input":[{"role":"user","content":"x"},{"type":"function_call","name":"f","arguments":"{}"}]}"#,
            "input[1].call_id",
            "Missing required parameter: 'input[1].call_id'.",
        ),
        (
            r#"{"model":"m","input":[{"type":"function_call_output","call_id":"c"}]}"#,
            "input[0].output",
            "Missing required parameter",
        ),
        (r#"{"model":"m","input":"x","max_output_tokens":-1}"#, "max_output_tokens", "integer below minimum value"),
        (r#"{"model":"m","input":"x","tools":[{"type":"function"}]}"#, "tools[0].name", "Missing required parameter"),
        (r#"{"model":"m","input":"x","tools":[{"name":"f"}]}"#, "tools[0].type", "Missing required parameter"),
        (
            r#"{"model":"m","input":"x","tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":""}]}]}"#,
            "tools[0].tools[0].name",
            "empty string",
        ),
        (
            r#"{"model":"m","input":"x","tool_choice":"maybe"}"#,
            "tool_choice",
            "Supported values are: 'none', 'auto', and 'required'.",
        ),
        (
            r#"{"model":"m","input":"x","text":{"format":{"type":"json_schema","schema":{}}}}"#,
            "text.format.name",
            "Missing required parameter",
        ),
        (r#"{"model":"m","input":"x""#, "", "not valid JSON"),
        ("[]", "", "expected an object"),
    ];
    for (body, path, words) in cases {
        let body_bytes = Bytes::copy_from_slice(body.as_bytes());
        let error = decode_request(ClientProtocol::Responses, &RequestHead::default(), body_bytes).unwrap_err();
        assert_eq!(error.path, path, "{body}: {error}");
        assert!(error.message.contains(words), "{body}: {error}");
        let fault = Fault::from(error);
        let ErrorBody { status, body, .. } = encode_fault(ClientProtocol::Responses, &fault, "req_1");
        assert_eq!(status, 400);
        let failure = Check::new(Protocol::Responses).failure(&body).unwrap();
        assert!(failure.message.contains(words));
    }
}

#[test]
fn a_fault_has_the_form_of_openai() {
    let fault = Fault::new(FaultClass::Overloaded, "busy");
    let error = encode_fault(ClientProtocol::Responses, &fault, "req_1");
    assert_eq!(error.status, 503);
    let body: Value = serde_json::from_slice(&error.body).unwrap();
    assert_eq!(body["error"]["code"], "server_is_overloaded");
    assert!(error.headers.iter().any(|(name, _)| *name == "retry-after"));
}

fn foreign() -> Request {
    Request::new(ClientProtocol::Messages, "alias")
}

#[test]
fn instructions_of_other_protocols() {
    let block = |text: &str| Instruction {
        authority: polyport_types::Authority::System,
        parts: vec![Part::text(text)],
        name: None,
        ext: Default::default(),
    };
    let mut request = foreign();
    request.messages = vec![Message::new(Role::User, 0, vec![Part::text("Hi")])];
    request.instructions = vec![block("one")];
    assert_eq!(encode(&request).0["instructions"], "one");
    // A marker needs a part to stand on.
    request.instructions[0].parts[0].cache = Some(CacheMark { ttl: Some(CacheTtl::Hour1) });
    let (body, losses) = encode(&request);
    assert!(body.get("instructions").is_none());
    assert_eq!(
        body["input"][0],
        json!({"type": "message", "role": "system", "content": [{"type": "input_text", "text": "one", "prompt_cache_breakpoint": {"mode": "explicit"}}]})
    );
    assert_eq!(losses.entries()[0].code, LossCode::CacheTtlChanged);
    let mut long = target();
    long.profile = std::sync::Arc::new(polyport_protocol::Profile { cache_ttl_12h: true, ..(*long.profile).clone() });
    let body: Value = serde_json::from_slice(&encode_request(&long, &request, &mut Losses::new()).body).unwrap();
    assert_eq!(body["input"][0]["content"][0]["prompt_cache_breakpoint"]["ttl"], "12h");
    // Several blocks keep their order.
    request.instructions = vec![block("one"), block("two")];
    let (body, _) = encode(&request);
    assert_eq!(
        (&body["input"][0]["content"][0]["text"], &body["input"][1]["content"][0]["text"]),
        (&json!("one"), &json!("two"))
    );
    schema::validate_encoded(Protocol::Responses, &body).unwrap();
    // Nothing but instructions still needs an input.
    request.instructions = vec![block("one")];
    request.messages.clear();
    let (body, _) = encode(&request);
    assert_eq!(body["input"].as_array().unwrap().len(), 1);
}

fn thought(signature: Option<Signature>, text: &str) -> Part {
    let reasoning = polyport_types::Reasoning { text: ReasoningText::Summary(vec![text.into()]), redacted: false };
    Part { signature, item_id: Some("rs_1".into()), ..Part::new(PartKind::Reasoning(Box::new(reasoning))) }
}

#[test]
fn reasoning_goes_back_only_whole_and_followed_by_what_it_led_to() {
    let own = |value: &str| {
        let mut signature = Signature::new(Family::OpenAi, SignatureKind::ReasoningItem, value);
        signature.item_id = Some("rs_1".into());
        Some(signature)
    };
    let kinds = |parts: Vec<Part>| {
        let mut request = decode(r#"{"model":"m","store":false,"input":"x"}"#);
        request.messages.push(Message::new(Role::Assistant, 1, parts));
        request.messages.push(Message::new(Role::User, 2, vec![Part::text("y")]));
        let (body, losses) = encode(&request);
        let kinds: Vec<String> =
            body["input"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap().to_owned()).collect();
        let codes: Vec<LossCode> = losses.entries().iter().map(|loss| loss.code).collect();
        (kinds.join(" "), codes)
    };
    let said = || Part { item_id: Some("msg_1".into()), ..Part::text("a") };
    assert_eq!(kinds(vec![thought(own("e"), "t"), said()]).0, "message reasoning message message");
    // Alone it is refused.
    assert_eq!(kinds(vec![said(), thought(own("e"), "t")]).0, "message message message");
    // Without its content nothing can be found again when nothing is stored.
    let lost = kinds(vec![thought(None, "t"), said()]);
    assert_eq!(lost, ("message message message".to_owned(), vec![LossCode::ReasoningTextDropped]));
    let foreign = Signature::new(Family::Anthropic, SignatureKind::Thinking, "EqQB");
    let lost = kinds(vec![thought(Some(foreign), "t"), said()]);
    assert_eq!(lost.1, [LossCode::SignatureForeignDropped, LossCode::ReasoningTextDropped]);
    // Tokens of ours never reach a provider.
    assert_eq!(kinds(vec![thought(own("pp1.a.t.00000000.x.y"), "t"), said()]).0, "message message message");
}

#[test]
fn an_item_whose_reasoning_is_missing_loses_its_id() {
    let mut request = decode(r#"{"model":"m","store":false,"input":"x"}"#);
    let said = Part { item_id: Some("msg_1".into()), ..Part::text("a") };
    request.messages.push(Message::new(Role::Assistant, 1, vec![thought(None, "t"), said]));
    request.messages.push(Message::new(Role::User, 2, vec![Part::text("y")]));
    assert_eq!(encode(&request).0["input"][1], json!({"type": "message", "role": "assistant", "content": "a"}));
}

#[test]
fn results_and_ids() {
    let mut request = foreign();
    let long = "x".repeat(100);
    let call = Part::new(PartKind::ToolCall(Box::new(polyport_types::ToolCall {
        id: long.as_str().into(),
        name: "f".into(),
        namespace: None,
        kind: ToolCallKind::Function,
        arguments: "".into(),
        caller: None,
        status: polyport_types::PartStatus::Complete,
    })));
    let result = |parts: Vec<Part>, structured: Option<&str>, is_error: bool| {
        Part::new(PartKind::ToolResult(Box::new(polyport_types::ToolResult {
            call_id: long.as_str().into(),
            name: None,
            kind: ToolCallKind::Function,
            parts,
            structured: structured.map(|json| RawJson::parse(json).unwrap()),
            is_error,
        })))
    };
    let mut output = |part: Part| {
        request.messages = vec![
            Message::new(Role::User, 0, vec![Part::text("x")]),
            Message::new(Role::Assistant, 1, vec![call.clone()]),
            Message::new(Role::Tool, 2, vec![part]),
        ];
        let (body, losses) = encode(&request);
        schema::validate_encoded(Protocol::Responses, &body).unwrap_or_else(|problems| panic!("{problems:#?}\n{body}"));
        let items = body["input"].as_array().unwrap();
        assert_eq!(items[1]["call_id"], items[2]["call_id"]);
        assert_eq!(items[1]["arguments"], "{}");
        assert!(losses.entries().iter().any(|loss| loss.code == LossCode::IdRewritten));
        items[2]["output"].clone()
    };
    assert_eq!(output(result(vec![], None, false)), "");
    assert_eq!(output(result(vec![Part::text(" ")], None, false)), " ");
    assert_eq!(output(result(vec![], Some(r#"{"b":1.50}"#), false)), r#"{"b":1.50}"#);
    assert_eq!(output(result(vec![Part::text("broke")], None, true)), "Error: broke");
    assert_eq!(output(result(vec![Part::text("ERROR: broke")], None, true)), "ERROR: broke");
    assert_eq!(output(result(vec![], None, true)), "Error");
    let image = Part::new(PartKind::Image(polyport_types::Media::new(polyport_types::MediaSource::Base64 {
        mime: "image/png".into(),
        data: "AAEC".into(),
    })));
    assert_eq!(
        output(result(vec![Part::text("see"), image], None, false)),
        json!([{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "data:image/png;base64,AAEC", "detail": "auto"}])
    );
}

#[test]
fn what_has_no_place_is_reported() {
    let mut request = Request::new(ClientProtocol::Chat, "alias");
    request.messages = vec![Message::new(Role::User, 0, vec![Part::text("x")])];
    request.sampling.seed = Some(1);
    request.sampling.top_k = Some(4.0);
    request.sampling.frequency_penalty = Some(1.0);
    request.sampling.presence_penalty = Some(0.0);
    request.sampling.logit_bias = Some(RawJson::parse("{}").unwrap());
    request.sampling.logprobs = Some(true);
    request.limits.stop = vec!["END".into()];
    request.limits.max_output_tokens = Some(5);
    request.candidates = Some(2);
    request.prediction = Some(RawJson::parse("{}").unwrap());
    request.end_user = Some("u".into());
    request.end_user_is_legacy = true;
    request.tool_choice = Some(ToolChoice::Required);
    request.ext.push("chat_template_kwargs", RawJson::parse("{}").unwrap());
    let (body, losses) = encode(&request);
    schema::validate_encoded(Protocol::Responses, &body).unwrap();
    assert_eq!((&body["max_output_tokens"], &body["user"], &body["store"]), (&json!(16), &json!("u"), &json!(false)));
    assert_eq!(body["include"], json!(["reasoning.encrypted_content", "message.output_text.logprobs"]));
    assert!(body.get("tool_choice").is_none());
    let mut codes: Vec<_> = losses.entries().iter().map(|loss| loss.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(
        codes,
        [
            "candidates.unsupported",
            "max_tokens.raised",
            "sampling.unsupported",
            "server_feature.dropped",
            "stop.unsupported",
            "tool_choice.degraded",
            "unknown_field.dropped",
        ]
    );
}

#[test]
fn the_profile_of_a_server_is_obeyed() {
    let mut target = target();
    let mut profile = (*target.profile).clone();
    profile.stateful = false;
    profile.drop = vec!["include".to_owned()];
    profile.rename = [("max_output_tokens".to_owned(), "max_tokens".to_owned())].into();
    profile.clamp = [("temperature".to_owned(), (0.0, 1.0))].into();
    profile.extra_body = json!({"provider": {"only": ["x"]}}).as_object().unwrap().clone();
    target.profile = std::sync::Arc::new(profile);
    let request = decode(
        r#"{"model":"m","input":"x","store":true,"temperature":1.5,"max_output_tokens":20,"previous_response_id":"resp_1"}"#,
    );
    let mut losses = Losses::new();
    let body: Value = serde_json::from_slice(&encode_request(&target, &request, &mut losses).body).unwrap();
    assert_eq!(
        body,
        json!({"model": "gpt-5.6", "store": false,
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}],
            "temperature": 1, "max_tokens": 20, "provider": {"only": ["x"]}})
    );
    assert_eq!(losses.first_at_least(Severity::Error).unwrap().code, LossCode::StateUnsupported);
}

#[test]
fn service_tiers_of_other_protocols() {
    let cases = [
        (ClientProtocol::Messages, "standard_only", Some("default")),
        (ClientProtocol::Messages, "auto", Some("auto")),
        (ClientProtocol::Gemini, "FLEX", Some("flex")),
        (ClientProtocol::Gemini, "standard", Some("default")),
        (ClientProtocol::Gemini, "odd", None),
        (ClientProtocol::Chat, "ultrafast", Some("ultrafast")),
    ];
    for (source, tier, wanted) in cases {
        let mut request = Request::new(source, "alias");
        request.messages = vec![Message::new(Role::User, 0, vec![Part::text("x")])];
        request.service_tier = Some(tier.into());
        let (body, losses) = encode(&request);
        assert_eq!(body.get("service_tier").and_then(Value::as_str), wanted, "{tier}");
        assert_eq!(losses.is_empty(), wanted.is_some_and(|word| word.eq_ignore_ascii_case(tier)), "{tier}: {losses:?}");
    }
}

#[test]
fn tools_of_other_protocols() {
    let mut request = foreign();
    request.messages = vec![Message::new(Role::User, 0, vec![Part::text("x")])];
    let search = polyport_types::ServerTool {
        kind: polyport_types::ServerToolKind::WebSearch,
        name: "web_search".into(),
        wire_type: "web_search_20260318".into(),
        allowed_domains: vec!["example.org".into()],
        blocked_domains: Vec::new(),
        max_uses: Some(3),
        user_location: Some(polyport_types::UserLocation { city: Some("Oslo".into()), ..Default::default() }),
        context_size: None,
        mcp: None,
        cache: None,
        raw: RawJson::parse("{}").unwrap(),
    };
    request.tools = vec![Tool::Server(Box::new(search))];
    request.tool_choice =
        Some(ToolChoice::Server { kind: polyport_types::ServerToolKind::WebSearch, name: Some("web_search".into()) });
    let (body, losses) = encode(&request);
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(
        body["tools"],
        json!([{"type": "web_search", "filters": {"allowed_domains": ["example.org"]}, "user_location": {"type": "approximate", "city": "Oslo"}}])
    );
    assert_eq!(body["max_tool_calls"], 3);
    assert_eq!(
        body["tool_choice"],
        json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]})
    );
    schema::validate_encoded(Protocol::Responses, &body).unwrap();
}
