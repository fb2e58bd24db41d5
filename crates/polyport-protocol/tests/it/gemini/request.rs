//! Requests, both ways.

use polyport_protocol::{
    Capabilities, DecodeError, Profile, RequestHead, Target, decode_request, encode_request, gemini,
};
use polyport_testkit::{schema, shared};
use polyport_types::*;
use serde_json::{Value, json};

use super::fixture;

fn head() -> RequestHead {
    RequestHead { model: Some("gemini-3-flash".into()), ..RequestHead::default() }
}

fn decode(body: &Value) -> Result<Request, DecodeError> {
    decode_request(ClientProtocol::Gemini, &head(), body.to_string().into())
}

fn target(change: impl FnOnce(&mut Capabilities, &mut Profile)) -> Target {
    let mut capabilities = Capabilities::of_protocol(Protocol::Gemini);
    let mut profile = Profile::of_protocol(Protocol::Gemini);
    change(&mut capabilities, &mut profile);
    Target {
        capabilities: capabilities.into(),
        profile: profile.into(),
        ..Target::plain(Protocol::Gemini, "gemini-3-flash")
    }
}

fn encode(target: &Target, request: &Request) -> (Value, Losses) {
    let mut losses = Losses::new();
    let encoded = encode_request(target, request, &mut losses);
    let body = serde_json::from_slice(&encoded.body).unwrap();
    (body, losses)
}

fn codes(losses: &Losses) -> Vec<&'static str> {
    losses.entries().iter().map(|loss| loss.code.as_str()).collect()
}

fn valid(body: &Value) {
    if shared::dir().is_some() {
        schema::validate_encoded(Protocol::Gemini, body).unwrap_or_else(|found| panic!("{found:#?}\n{body:#}"));
    }
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::new(PartKind::ToolCall(Box::new(ToolCall {
        id: id.into(),
        name: name.into(),
        namespace: None,
        kind: ToolCallKind::Function,
        arguments: arguments.into(),
        caller: None,
        status: PartStatus::Complete,
    })))
}

fn result(id: &str, parts: Vec<Part>, is_error: bool) -> Part {
    Part::new(PartKind::ToolResult(Box::new(ToolResult {
        call_id: id.into(),
        name: None,
        kind: ToolCallKind::Function,
        parts,
        structured: None,
        is_error,
    })))
}

fn function(name: &str, description: &str, schema: Option<Value>) -> Tool {
    Tool::Function(Box::new(FunctionTool {
        name: name.into(),
        description: (!description.is_empty()).then(|| description.into()),
        schema: schema.map(|schema| RawJson::of(&schema)),
        ..FunctionTool::default()
    }))
}

/// Example E2 of the reference: what a Messages client asked, as `resolve` hands it on.
#[test]
fn example_e2_foreign_history_with_bypass() {
    let mut request = Request::new(ClientProtocol::Messages, "opus");
    request.instructions.push(Instruction {
        authority: Authority::System,
        parts: vec![Part::text("Be brief.")],
        name: None,
        ext: Extras::new(),
    });
    let mut thinking = Part::new(PartKind::Reasoning(Box::new(Reasoning {
        text: ReasoningText::Full("Need two calls.".into()),
        redacted: false,
    })));
    thinking.signature = Some(Signature::new(Family::Anthropic, SignatureKind::Thinking, "EqQBCgIYAhIk"));
    request.messages = vec![
        Message::new(Role::User, 0, vec![Part::text("Weather in Oslo and Rome?")]),
        Message::new(
            Role::Assistant,
            1,
            vec![
                thinking,
                call("toolu_01", "weather", r#"{"city": "Oslo"}"#),
                call("toolu_02", "weather", r#"{"city": "Rome"}"#),
            ],
        ),
        // The client answered in the other order.
        Message::new(
            Role::Tool,
            2,
            vec![
                result("toolu_02", vec![Part::text("timeout")], true),
                result("toolu_01", vec![Part::text("{\"temp\":3}")], false),
            ],
        ),
    ];
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    request.tools.push(function("weather", "Current weather", Some(schema.clone())));
    request.limits.max_output_tokens = Some(4000);
    request.reasoning = Some(ReasoningControl {
        mode: ReasoningMode::Adaptive,
        effort: Some(Effort::Medium),
        visibility: Some(ReasoningVisibility::Summary),
        ..ReasoningControl::default()
    });
    let (body, losses) = encode(&target(|_, profile| profile.accepts_call_ids = false), &request);
    assert_eq!(
        body,
        json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Weather in Oslo and Rome?"}]},
                {"role": "model", "parts": [
                    {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": "skip_thought_signature_validator"},
                    {"functionCall": {"name": "weather", "args": {"city": "Rome"}}}]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "weather", "response": {"temp": 3}}},
                    {"functionResponse": {"name": "weather", "response": {"error": "timeout"}}}]}],
            "tools": [{"functionDeclarations": [{"name": "weather", "description": "Current weather", "parametersJsonSchema": schema}]}],
            "generationConfig": {"maxOutputTokens": 4000, "thinkingConfig": {"thinkingLevel": "MEDIUM", "includeThoughts": true}}
        })
    );
    assert_eq!(codes(&losses), ["signature.foreign_dropped", "reasoning.text_dropped", "signature.sentinel"]);
    valid(&body);

    // A signature that `resolve` found in a carrier stands where the bypass stood; another server wants the bypass in base64.
    let mut signed = request.clone();
    signed.messages[1].parts[1].signature = Some(Signature::new(Family::Google, SignatureKind::FunctionCall, "Q2lR"));
    let (body, losses) = encode(&target(|_, _| {}), &signed);
    assert_eq!(body["contents"][1]["parts"][0]["thoughtSignature"], "Q2lR");
    assert_eq!(body["contents"][1]["parts"][0]["functionCall"]["id"], "toolu_01");
    assert_eq!(body["contents"][2]["parts"][1]["functionResponse"]["id"], "toolu_02");
    assert!(!codes(&losses).contains(&"signature.sentinel"));
    let (body, _) = encode(&target(|_, profile| profile.sentinel_base64 = true), &request);
    assert_eq!(body["contents"][1]["parts"][0]["thoughtSignature"], "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=");
    let (body, _) = encode(&target(|capabilities, _| capabilities.needs_signatures = false), &request);
    assert_eq!(body["contents"][1]["parts"][0].get("thoughtSignature"), None);
}

fn e6() -> Value {
    fixture("request", "look-it-up.json")
}

/// Example E6 of the reference, read.
#[test]
fn example_e6_read() {
    let request = decode(&e6()).unwrap();
    assert_eq!(request.model, "gemini-3-flash");
    assert_eq!(request.instructions[0].parts[0].as_text().unwrap(), "Cite pages.");
    let roles: Vec<_> = request.messages.iter().map(|message| (message.role, message.index)).collect();
    assert_eq!(roles, [(Role::User, 0), (Role::Assistant, 1), (Role::Tool, 2)]);
    let PartKind::Document(document) = &request.messages[0].parts[0].kind else { panic!() };
    assert_eq!(
        document.source,
        DocumentSource::File(MediaSource::Base64 { mime: "application/pdf".into(), data: "JVBERi0=".into() })
    );
    let part = &request.messages[1].parts[0];
    assert_eq!(part.signature, Some(Signature::new(Family::Google, SignatureKind::FunctionCall, "AbC0")));
    let PartKind::ToolCall(call) = &part.kind else { panic!() };
    assert_eq!((&*call.id, &*call.name, &*call.arguments), ("call_g1_0", "find", r#"{"q":"x"}"#));
    let PartKind::ToolResult(result) = &request.messages[2].parts[0].kind else { panic!() };
    assert_eq!((&*result.call_id, result.parts[0].as_text().map(|text| &**text)), ("call_g1_0", Some("p. 3")));
    let Tool::Function(find) = &request.tools[0] else { panic!() };
    assert_eq!(
        find.schema.as_ref().unwrap().to_value(),
        json!({"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]})
    );
    assert_eq!(
        request.tool_choice,
        Some(ToolChoice::Allowed { required: true, tools: vec![ToolRef { name: "open".into(), custom: false }] })
    );
    let reasoning = request.reasoning.as_ref().unwrap();
    assert_eq!(reasoning.budget_tokens, Some(6000));
    assert_eq!(reasoning.visibility, Some(ReasoningVisibility::Summary));
    assert_eq!((request.candidates, &request.limits.stop), (Some(1), &vec!["END".into()]));

    let (body, losses) = encode(&target(|_, _| {}), &request);
    let mut expected = e6();
    let system = expected.as_object_mut().unwrap().remove("system_instruction").unwrap();
    expected["systemInstruction"] = system;
    expected["contents"][0]["role"] = "user".into();
    assert_eq!(body, expected);
    assert!(losses.is_empty(), "{losses:?}");
    valid(&body);
}

/// Example E6 of the reference the other way: a Responses client asks for a Gemini model.
#[test]
fn example_e6_written() {
    let mut request = Request::new(ClientProtocol::Responses, "gpt-5.6");
    request.instructions.push(Instruction {
        authority: Authority::System,
        parts: vec![Part::text("Cite pages.")],
        name: None,
        ext: Extras::new(),
    });
    let pdf = MediaSource::Base64 { mime: "application/pdf".into(), data: "JVBERi0=".into() };
    request.messages = vec![
        Message::new(
            Role::User,
            0,
            vec![
                Part::new(PartKind::Document(Box::new(Document {
                    source: DocumentSource::File(pdf),
                    filename: Some("document.pdf".into()),
                    title: None,
                    context: None,
                    citations: None,
                    detail: None,
                }))),
                Part::text("Look it up"),
            ],
        ),
        Message::new(Role::Assistant, 1, vec![call("call_g1_0", "find", "{\"q\":\"x\"}")]),
        Message::new(Role::Tool, 2, vec![result("call_g1_0", vec![Part::text("p. 3")], false)]),
    ];
    let schema = json!({"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]});
    request.tools = vec![function("find", "search", Some(schema.clone())), function("open", "open page", None)];
    request.tool_choice =
        Some(ToolChoice::Allowed { required: true, tools: vec![ToolRef { name: "open".into(), custom: false }] });
    request.reasoning = Some(ReasoningControl {
        budget_tokens: Some(6000),
        visibility: Some(ReasoningVisibility::Summary),
        ..ReasoningControl::default()
    });
    let budget = target(|capabilities, _| {
        capabilities.gemini_thinking = polyport_protocol::profile::GeminiThinking::Budget;
        capabilities.needs_signatures = false;
    });
    let (body, _) = encode(&budget, &request);
    let mut expected = e6();
    let system = expected.as_object_mut().unwrap().remove("system_instruction").unwrap();
    expected["systemInstruction"] = system;
    expected["contents"][0]["role"] = "user".into();
    expected["contents"][1]["parts"][0].as_object_mut().unwrap().remove("thoughtSignature");
    let find = expected["tools"][0]["functionDeclarations"][0].as_object_mut().unwrap();
    find.remove("parameters");
    find.insert("parametersJsonSchema".to_owned(), schema);
    let config = expected["generationConfig"].as_object_mut().unwrap();
    config.remove("stopSequences");
    config.remove("candidateCount");
    assert_eq!(body, expected);
    valid(&body);

    let own_schema = target(|_, profile| profile.json_schema_fields = false);
    let (body, _) = encode(&own_schema, &request);
    assert_eq!(body["tools"][0]["functionDeclarations"][0]["parameters"]["properties"]["q"]["type"], "STRING");
    valid(&body);
}

/// Both spellings of every member and words in any case mean the same.
#[test]
fn spellings_do_not_matter() {
    let camel = fixture("request", "everything-camel-case.json");
    let snake = fixture("request", "everything-snake-case.json");
    let request = decode(&camel).unwrap();
    assert_eq!(request, decode(&snake).unwrap());
    let (body, losses) = encode(&target(|capabilities, _| capabilities.needs_signatures = false), &request);
    assert_eq!(body, camel);
    assert!(losses.is_empty(), "{losses:?}");
    let PartKind::ToolCall(call) = &request.messages[1].parts[1].kind else { panic!() };
    assert_eq!(call.arguments, r#"{"a_b":1.5}"#, "serde_json wrote the 1.50 of the file so");
    let PartKind::Image(image) = &request.messages[0].parts[1].kind else { panic!() };
    assert_eq!(image.detail, Some(ImageDetail::High), "its own resolution wins over the request's");
    let PartKind::Video(video) = &request.messages[0].parts[2].kind else { panic!() };
    assert_eq!(video.detail, Some(ImageDetail::Low));
}

#[test]
fn results_without_ids_find_their_calls() {
    let request = decode(&json!({"contents": [
        {"parts": [{"text": "go"}]},
        {"role": "model", "parts": [
            {"functionCall": {"name": "a"}}, {"functionCall": {"name": "b", "args": {}}}, {"functionCall": {"name": "a", "args": {"n": 2}}}]},
        {"role": "user", "parts": [
            {"text": "done"},
            {"functionResponse": {"name": "b", "response": {"result": "B"}}},
            {"functionResponse": {"name": "a", "response": {"content": "A1"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "elsewhere", "response": {"x": 1, "y": 2}}}]},
        {"role": "model", "parts": [{"text": "ok"}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "a", "response": {"error": "late"}}}]}
    ]}))
    .unwrap();
    let shape: Vec<(Role, u32, usize)> =
        request.messages.iter().map(|message| (message.role, message.index, message.parts.len())).collect();
    assert_eq!(
        shape,
        [
            (Role::User, 0, 1),
            (Role::Assistant, 1, 3),
            (Role::Tool, 2, 2),
            (Role::User, 2, 1),
            (Role::Tool, 3, 1),
            (Role::Assistant, 4, 1),
            (Role::Tool, 5, 1)
        ]
    );
    let ids: Vec<&str> = request
        .messages
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| match &part.kind {
            PartKind::ToolResult(result) => Some(&*result.call_id),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["call_g1_1", "call_g1_0", "call_g1_2", "call_g5_0"]);

    let (body, losses) = encode(&target(|capabilities, _| capabilities.needs_signatures = false), &request);
    let names: Vec<&str> = body["contents"][2]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|part| part["functionResponse"]["name"].as_str())
        .collect();
    assert_eq!(names, ["a", "b", "elsewhere"], "in the order of the calls");
    assert_eq!(body["contents"][4]["parts"], json!([{"text": "Tool result (call_g5_0): late"}]));
    assert_eq!(codes(&losses), ["tool_result.orphan"]);
}

#[test]
fn wrong_requests_are_refused_with_a_path() {
    let refused = |body: Value, path: &str, words: &str| {
        let error = decode(&body).unwrap_err();
        assert_eq!(error.path, path, "{error}");
        assert!(error.message.contains(words), "{error}");
    };
    let hi = json!([{"parts": [{"text": "hi"}]}]);
    refused(json!({}), "contents", "contents is not specified");
    refused(json!({"contents": []}), "contents", "contents is not specified");
    refused(
        json!({"contents": [{"role": "system", "parts": []}]}),
        "contents[0].role",
        "Please use a valid role: user, model.",
    );
    refused(json!({"contents": [{"parts": [{"text": "a"}, {}]}]}), "contents[0].parts[1]", "one initialized field");
    refused(
        json!({"contents": [{"parts": [{"text": "a", "functionCall": {"name": "f"}}]}]}),
        "contents[0].parts[0]",
        "already set",
    );
    refused(json!({"contents": [{"parts": [{"text": 5}]}]}), "contents[0].parts[0].text", "expected a string");
    refused(
        json!({"contents": [{"parts": [{"functionCall": {}}]}]}),
        "contents[0].parts[0].functionCall.name",
        "empty",
    );
    refused(
        json!({"contents": hi, "tools": [{"functionDeclarations": [{}]}]}),
        "tools[0].functionDeclarations[0].name",
        "empty",
    );
    refused(
        json!({"contents": hi, "toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}),
        "toolConfig.functionCallingConfig.mode",
        "VALIDATED",
    );
    refused(
        json!({"contents": hi, "generationConfig": {"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}}}),
        "generationConfig.thinkingConfig",
        "only one of thinking budget and thinking level",
    );
    let error = decode_request(ClientProtocol::Gemini, &head(), "{\"contents\":[".into()).unwrap_err();
    assert!(error.message.starts_with("Invalid JSON payload received."), "{error}");
}

#[test]
fn shape_of_the_answer() {
    let format = |config: Value| {
        let request = decode(&json!({"contents": "hi", "generationConfig": config})).unwrap();
        let (body, _) = encode(&target(|_, _| {}), &request);
        (request.response_format, body["generationConfig"].clone())
    };
    let schema = |value: Value| RawJson::of(&value);
    let json_schema = |value: Value| {
        Some(ResponseFormat::JsonSchema { name: None, description: None, schema: schema(value), strict: None })
    };
    let own = json!({"responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": true}}}});
    assert_eq!(
        format(own.clone()),
        (json_schema(json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}})), own)
    );
    let upper = json!({"responseMimeType": "application/json", "responseJsonSchema": {"type": "OBJECT"}});
    assert_eq!(format(upper.clone()), (json_schema(json!({"type": "object"})), upper));
    let words = json!({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a", "b"]}});
    assert_eq!(
        format(words.clone()),
        (Some(ResponseFormat::Enum { schema: schema(json!({"type": "string", "enum": ["a", "b"]})) }), words)
    );
    let list = json!({"responseFormat": [{"text": {"mimeType": "application/json", "schema": {"type": "object"}}}, {"image": {"imageSize": "IMAGE_SIZE_ONE_K"}}]});
    assert_eq!(format(list.clone()), (json_schema(json!({"type": "object"})), list));
    let plain = json!({"responseMimeType": "text/plain"});
    assert_eq!(format(plain.clone()), (Some(ResponseFormat::Text), plain));
    assert_eq!(format(json!({"responseMimeType": "application/json"})).0, Some(ResponseFormat::JsonObject));
}

/// Example E5 of the reference: one schema in both forms.
#[test]
fn example_e5_structured_output() {
    let schema = json!({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}, "nick": {"type": ["string", "null"]}},
        "required": ["age", "nick"], "additionalProperties": false});
    let mut request = Request::new(ClientProtocol::Chat, "m");
    request.messages = vec![Message::new(Role::User, 0, vec![Part::text("hi")])];
    request.response_format = Some(ResponseFormat::JsonSchema {
        name: Some("person".into()),
        description: None,
        schema: RawJson::of(&schema),
        strict: Some(true),
    });
    let (body, _) = encode(&target(|_, _| {}), &request);
    assert_eq!(body["generationConfig"], json!({"responseMimeType": "application/json", "responseJsonSchema": schema}));
    valid(&body);
    let (body, _) = encode(&target(|_, profile| profile.json_schema_fields = false), &request);
    assert_eq!(
        body["generationConfig"],
        json!({"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT",
            "properties": {"age": {"type": "INTEGER", "minimum": 0}, "nick": {"type": "STRING", "nullable": true}},
            "required": ["age", "nick"], "propertyOrdering": ["age", "nick"]}})
    );
    valid(&body);
}

/// What a request of another protocol may hold and Gemini cannot: nothing goes silently, and the body stays legal.
#[test]
fn what_has_no_slot_is_reported() {
    let mut request = Request::new(ClientProtocol::Chat, "m");
    let mut marked = Part::text("hi");
    marked.cache = Some(CacheMark::default());
    request.messages = vec![
        Message::new(Role::Assistant, 0, vec![Part::new(PartKind::Refusal("no".into()))]),
        Message { name: Some("ann".into()), ..Message::new(Role::User, 1, vec![marked, Part::text("  ")]) },
        Message::new(Role::Developer, 2, vec![Part::text("Answer in French.")]),
        Message::new(
            Role::User,
            3,
            vec![Part::new(PartKind::Image(Media::new(MediaSource::FileId {
                owner: Protocol::Responses,
                id: "file-1".into(),
                mime: None,
            })))],
        ),
        Message::new(Role::Assistant, 4, vec![call("c", "f", "")]),
        Message::new(Role::User, 5, vec![]),
    ];
    request.tools = vec![
        function("f", "", Some(json!({"type": "object", "properties": {}}))),
        Tool::Custom(Box::new(CustomTool {
            name: "patch".into(),
            namespace: None,
            description: None,
            format: CustomFormat::Text,
            ext: Extras::new(),
        })),
    ];
    request.parallel_tool_calls = Some(false);
    request.sampling = Sampling {
        min_p: Some(0.1),
        repetition_penalty: Some(1.1),
        logit_bias: Some(RawJson::of(&json!({"1": 2}))),
        seed: Some(i64::from(i32::MAX) + 10),
        top_logprobs: Some(3),
        ..Sampling::default()
    };
    request.limits.stop = ["1", "2", "3", "4", "5", "6"].map(Text::from_static).to_vec();
    request.verbosity = Some(Verbosity::Low);
    request.cache.key = Some("k".into());
    request.end_user = Some("u".into());
    request.metadata = vec![("a".into(), "b".into())];
    request.service_tier = Some("scale".into());
    request.state.store = Some(true);
    request.prediction = Some(RawJson::of(&json!({"type": "content"})));
    request.ext.push("vendor", RawJson::of(&json!(1)));
    request.ext.push("moderation", RawJson::of(&json!({"model": "m"})));
    let (body, losses) = encode(&target(|_, _| {}), &request);
    valid(&body);
    assert_eq!(
        body["contents"],
        json!([
            {"role": "user", "parts": [{"text": "."}]},
            {"role": "model", "parts": [{"text": "no"}]},
            {"role": "user", "parts": [{"text": "hi"}, {"text": "<system-reminder>\nAnswer in French.\n</system-reminder>"}]},
            {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "skip_thought_signature_validator"}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "c", "name": "f", "response": {"error": "no result was recorded for this call"}}}]}
        ])
    );
    assert_eq!(
        body["generationConfig"],
        json!({"seed": 9, "responseLogprobs": true, "logprobs": 3, "stopSequences": ["1", "2", "3", "4", "5"]})
    );
    let mut found = codes(&losses);
    found.sort_unstable();
    found.dedup();
    let mut expected = [
        "role.degraded",
        "name.dropped",
        "cache.breakpoint_dropped",
        "turn.dropped_empty",
        "turn.merged",
        "file_id.foreign",
        "tool_result.missing",
        "signature.sentinel",
        "turn.synthesised",
        "tool.server.unsupported",
        "sampling.unsupported",
        "sampling.clamped",
        "stop.too_many",
        "parallel.unsupported",
        "identity.dropped",
        "server_feature.dropped",
        "cache.key_dropped",
        "metadata.dropped",
        "state.unsupported",
        "unknown_field.dropped",
        "moderation.dropped",
        "service_tier.dropped",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(losses.first_at_least(Severity::Error).unwrap().code, LossCode::FileIdForeign);
}

#[test]
fn media_of_results_stand_inside_or_beside() {
    let mut request = Request::new(ClientProtocol::Messages, "m");
    let image = || {
        Part::new(PartKind::Image(Media::new(MediaSource::Base64 { mime: "image/jpg".into(), data: "AAAA".into() })))
    };
    request.messages = vec![
        Message::new(Role::User, 0, vec![Part::text("go")]),
        Message::new(Role::Assistant, 1, vec![call("c", "f", "{}")]),
        Message::new(Role::Tool, 2, vec![result("c", vec![Part::text("a"), image(), Part::text("b")], false)]),
        Message::new(Role::User, 3, vec![Part::text("what is it?")]),
    ];
    let (body, losses) = encode(&target(|_, _| {}), &request);
    let jpeg = json!({"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}});
    assert_eq!(
        body["contents"][2]["parts"],
        json!([{"functionResponse": {"id": "c", "name": "f", "response": {"output": "a\nb"}, "parts": [jpeg]}}, {"text": "what is it?"}])
    );
    assert!(!codes(&losses).contains(&"tool_result.media_hoisted"));
    valid(&body);
    let (body, losses) = encode(&target(|capabilities, _| capabilities.tool_result_media = false), &request);
    assert_eq!(
        body["contents"][2]["parts"],
        json!([{"functionResponse": {"id": "c", "name": "f", "response": {"output": "a\nb"}}}, jpeg, {"text": "what is it?"}])
    );
    assert!(codes(&losses).contains(&"tool_result.media_hoisted"));
    valid(&body);
}

#[test]
fn tool_choice_and_server_tools() {
    let mut request = Request::new(ClientProtocol::Messages, "m");
    request.messages = vec![Message::new(Role::User, 0, vec![Part::text("go")])];
    request.tools = vec![function("f", "d", None), function("g", "d", None)];
    let refs = |names: &[&str]| -> Vec<ToolRef> {
        names.iter().map(|name| ToolRef { name: (*name).into(), custom: false }).collect()
    };
    let mut config = |choice: Option<ToolChoice>, validated: bool| {
        request.tool_choice = choice;
        let (body, losses) = encode(&target(|capabilities, _| capabilities.validated_calls = validated), &request);
        valid(&body);
        let count = body["tools"][0]["functionDeclarations"].as_array().unwrap().len();
        (body["toolConfig"]["functionCallingConfig"].clone(), count, codes(&losses))
    };
    assert_eq!(config(None, true), (Value::Null, 2, vec![]));
    assert_eq!(config(Some(ToolChoice::Auto), true).0, json!({"mode": "AUTO"}));
    assert_eq!(config(Some(ToolChoice::None), true).0, json!({"mode": "NONE"}));
    assert_eq!(config(Some(ToolChoice::Required), true).0, json!({"mode": "ANY"}));
    assert_eq!(
        config(Some(ToolChoice::Tool(ToolRef { name: "g".into(), custom: false })), true).0,
        json!({"mode": "ANY", "allowedFunctionNames": ["g"]})
    );
    let some = |required| Some(ToolChoice::Allowed { required, tools: refs(&["g", "unknown"]) });
    assert_eq!(config(some(true), false).0, json!({"mode": "ANY", "allowedFunctionNames": ["g"]}));
    assert_eq!(config(some(false), true).0, json!({"mode": "VALIDATED", "allowedFunctionNames": ["g"]}));
    assert_eq!(config(some(false), false), (json!({"mode": "AUTO"}), 1, vec!["tool_choice.filtered"]));
    assert_eq!(config(Some(ToolChoice::Validated { names: vec![] }), true).0, json!({"mode": "VALIDATED"}));
    let forced = Some(ToolChoice::Server { kind: ServerToolKind::WebSearch, name: None });
    assert_eq!(config(forced, true), (json!({"mode": "AUTO"}), 2, vec!["tool_choice.degraded"]));

    let server = |kind: ServerToolKind, mcp: Option<McpServer>| {
        Tool::Server(Box::new(ServerTool {
            kind,
            name: "x".into(),
            wire_type: "web_search_20250305".into(),
            allowed_domains: vec!["a.org".into()],
            blocked_domains: vec![],
            max_uses: None,
            user_location: None,
            context_size: None,
            mcp: mcp.map(Box::new),
            cache: None,
            raw: RawJson::of(&json!({"type": "web_search_20250305"})),
        }))
    };
    let mcp = McpServer {
        label: "docs".into(),
        url: Some("https://mcp.example.org".into()),
        authorization: Some("t".into()),
        allowed_tools: vec![],
        require_approval: None,
    };
    request.tool_choice = Some(ToolChoice::Auto);
    request.tools.push(server(ServerToolKind::WebSearch, None));
    request.tools.push(server(ServerToolKind::Mcp, Some(mcp)));
    request.tools.push(server(ServerToolKind::Memory, None));
    let (body, losses) = encode(&target(|_, _| {}), &request);
    valid(&body);
    assert_eq!(body["tools"][1], json!({"googleSearch": {}}));
    assert_eq!(
        body["tools"][2],
        json!({"mcpServers": [{"name": "docs", "streamableHttpTransport":
            {"url": "https://mcp.example.org", "headers": {"Authorization": "Bearer t"}}}]})
    );
    assert_eq!(
        body["toolConfig"],
        json!({"functionCallingConfig": {"mode": "VALIDATED"}, "includeServerSideToolInvocations": true})
    );
    assert!(codes(&losses).contains(&"tool.server.unsupported") && codes(&losses).contains(&"server_feature.dropped"));
    // Before Gemini 3 the two sorts of tools exclude each other.
    let (body, losses) = encode(&target(|capabilities, _| capabilities.validated_calls = false), &request);
    valid(&body);
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert!(codes(&losses).contains(&"tool.server.unsupported"));
}

#[test]
fn profiles_of_unusual_servers() {
    let request = decode(&json!({"contents": "hi", "safetySettings": [], "labels": {"a": "b"},
        "generationConfig": {"temperature": 1, "topK": 3, "seed": 5}}))
    .unwrap();
    let odd = target(|_, profile| {
        profile.drop = vec!["safetySettings".to_owned(), "topK".to_owned()];
        profile.rename.insert("labels".to_owned(), "tags".to_owned());
        let Value::Object(extra) = json!({"store": false, "generationConfig": {"seed": 7, "audioTimestamp": true}})
        else {
            panic!()
        };
        profile.extra_body = extra;
    });
    let (body, _) = encode(&odd, &request);
    assert_eq!(
        body,
        json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "tags": {"a": "b"}, "store": false,
            "generationConfig": {"temperature": 1, "seed": 7, "audioTimestamp": true}})
    );
}

#[test]
fn counting_tokens() {
    let head = head();
    let plain: Text = json!({"contents": [{"parts": [{"text": "hi"}]}], "systemInstruction": "s"}).to_string().into();
    let request = gemini::decode_count_request(&head, &plain).unwrap();
    assert_eq!(request.instructions.len(), 1);
    let inner: Text = json!({"generateContentRequest": {"model": "models/g", "contents": [{"parts": [{"text": "hi"}]}],
        "systemInstruction": {"parts": [{"text": "s"}]}}})
    .to_string()
    .into();
    let wrapped = gemini::decode_count_request(&RequestHead::default(), &inner).unwrap();
    assert_eq!((&*wrapped.model, &wrapped.messages), ("g", &request.messages));
    let both: Text = json!({"contents": "a", "generateContentRequest": {"contents": "a"}}).to_string().into();
    assert_eq!(gemini::decode_count_request(&head, &both).unwrap_err().path, "generateContentRequest");

    let encoded = gemini::encode_count_request(&target(|_, _| {}), &request, &mut Losses::new());
    assert_eq!(
        serde_json::from_slice::<Value>(&encoded.body).unwrap(),
        json!({"generateContentRequest": {"model": "models/gemini-3-flash", "systemInstruction": {"parts": [{"text": "s"}]},
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}})
    );
    assert_eq!(gemini::decode_count(&"{\"totalTokens\":\"31\"}".into()), Some(31));
    assert_eq!(gemini::decode_count(&"{\"error\":{}}".into()), None);
    assert_eq!(gemini::encode_count(31), b"{\"totalTokens\":31}");
}

/// Every recorded request is read, and written again it holds all it held.
#[test]
fn recorded_requests_keep_everything() {
    let Some(records) = shared::records_or_skip("recorded_requests_keep_everything", "gemini.jsonl") else { return };
    let target = target(|capabilities, _| capabilities.needs_signatures = false);
    let mut seen = 0;
    for record in records.iter().filter(|record| record.response.status == 200) {
        let Some(sent) = &record.request else { continue };
        let head = RequestHead { model: record.model().map(Text::from), ..RequestHead::default() };
        let text = Text::from(sent.body.as_str());
        let request = match record.operation.as_str() {
            "count_tokens" => gemini::decode_count_request(&head, &text),
            _ => decode_request(ClientProtocol::Gemini, &head, sent.body.clone().into()),
        };
        let request = request.unwrap_or_else(|error| panic!("{}: {error}", record.id));
        assert_eq!(Some(&*request.model), record.model().as_deref());
        let (body, _) = encode(&target, &request);
        schema::validate_request(Protocol::Gemini, &body).unwrap_or_else(|found| panic!("{}: {found:#?}", record.id));
        schema::validate_schema(Protocol::Gemini, &body).unwrap_or_else(|found| panic!("{}: {found:#?}", record.id));
        let original = normal(serde_json::from_str(&sent.body).unwrap());
        let again = normal(body.clone());
        if let Some(path) = missing(&original, &again, String::new()) {
            panic!("{}: {path} is lost\n{original:#}\n{again:#}", record.id);
        }
        // What was written is read as the same again.
        let second = decode_request(ClientProtocol::Gemini, &head, body.to_string().into()).unwrap();
        assert_eq!(encode(&target, &second).0, body, "{}", record.id);
        seen += 1;
    }
    assert!(seen > 250, "{seen}");
}

/// The body with one spelling, its history as turns, and without what says nothing.
fn normal(body: Value) -> Value {
    let mut body = camel(body);
    for name in ["tools", "contents"] {
        if let Some(member) = body.get_mut(name).filter(|member| member.is_object()) {
            *member = json!([member.take()]);
        }
    }
    let mut turns: Vec<(String, Vec<Value>)> = Vec::new();
    for content in body["contents"].as_array().unwrap() {
        let role = content["role"].as_str().unwrap_or("user").to_owned();
        let parts = content["parts"].as_array().unwrap().iter().filter(|part| part["text"] != "").cloned();
        match turns.last_mut() {
            Some((last, all)) if *last == role => all.extend(parts),
            _ => turns.push((role, parts.collect())),
        }
    }
    for (_, parts) in &mut turns {
        // A turn without words is written as the smallest one.
        if parts.is_empty() || *parts == [json!({"text": "."})] || *parts == [json!({"text": " "})] {
            *parts = vec![json!({"text": ""})];
        }
        parts.sort_by_key(|part| part.get("functionResponse").is_none());
    }
    body["contents"] = turns.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect();
    for tool in body["tools"].as_array_mut().into_iter().flatten() {
        let functions = tool.get_mut("functionDeclarations").and_then(Value::as_array_mut);
        for function in functions.into_iter().flatten() {
            if function["description"] == "" {
                function["description"] = function["name"].clone();
            }
        }
    }
    if let Some(config) = body["generationConfig"].as_object()
        && config.is_empty()
    {
        body.as_object_mut().unwrap().remove("generationConfig");
    }
    body
}

fn camel(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| {
                let mut words = name.split('_');
                let mut key = words.next().unwrap_or_default().to_owned();
                for word in words {
                    let (first, rest) = word.split_at(1);
                    key.push_str(&first.to_uppercase());
                    key.push_str(rest);
                }
                let own = ["args", "response", "parametersJsonSchema", "responseJsonSchema", "parameters"];
                let member = if own.contains(&&*key) { member } else { camel(member) };
                (key, member)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(camel).collect(),
        other => other,
    }
}

/// The first thing of `whole` that `part` lacks.
fn missing(whole: &Value, part: &Value, path: String) -> Option<String> {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => whole.iter().find_map(|(name, value)| match part.get(name) {
            Some(other) => missing(value, other, format!("{path}/{name}")),
            None => Some(format!("{path}/{name}")),
        }),
        (Value::Array(whole), Value::Array(part)) if whole.len() == part.len() => {
            whole.iter().zip(part).enumerate().find_map(|(at, (a, b))| missing(a, b, format!("{path}/{at}")))
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        (Value::String(a), Value::String(b)) if path.ends_with("/type") && a.eq_ignore_ascii_case(b) => None,
        (a, b) if a == b => None,
        _ => Some(path),
    }
}
