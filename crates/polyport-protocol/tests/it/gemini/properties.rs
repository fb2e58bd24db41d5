//! Whatever comes in, what goes out is legal.

use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    RequestHead, StreamDecoder, StreamEncoder, Target, decode_request, decode_response, encode_request,
    encode_response, gemini,
};
use polyport_testkit::grammar::Check;
use polyport_testkit::schema;
use proptest::prelude::*;

use super::*;

fn word() -> impl Strategy<Value = Text> {
    prop::sample::select(vec!["", " ", "\n", "a", "Ä\"\\\u{1}", "two words", "{\"x\":1}", "{\"error\":1}", "Error: x"])
        .prop_map(Text::from)
}

fn signature() -> impl Strategy<Value = Option<Signature>> {
    let families = prop::sample::select(vec![Family::Anthropic, Family::Google, Family::Google, Family::Unknown]);
    let kinds = prop::sample::select(vec![SignatureKind::Part, SignatureKind::FunctionCall, SignatureKind::Redacted]);
    let values = prop::sample::select(vec!["", "QUJD", "pp1.a.t.0.x.y", "cHAxLmE="]);
    prop::option::of((families, kinds, values).prop_map(|(family, kind, value)| Signature::new(family, kind, value)))
}

fn source() -> impl Strategy<Value = MediaSource> {
    prop_oneof![
        prop::sample::select(vec!["image/jpg", "audio/wav", "application/pdf", "text/plain"])
            .prop_map(|mime| MediaSource::Base64 { mime: mime.into(), data: "AAAA".into() }),
        prop::sample::select(vec!["https://example.org/a.png", "gs://b/c", "https://youtu.be/x"])
            .prop_map(|url| MediaSource::Url { url: url.into(), mime: None }),
        prop::sample::select(vec![Protocol::Messages, Protocol::Gemini]).prop_map(|owner| MediaSource::FileId {
            owner,
            id: "files/f".into(),
            mime: None
        }),
    ]
}

fn document(source: DocumentSource) -> PartKind {
    PartKind::Document(Box::new(Document {
        source,
        filename: Some("n".into()),
        title: Some("t".into()),
        context: Some("c".into()),
        citations: Some(true),
        detail: Some(ImageDetail::Original),
    }))
}

fn leaf() -> impl Strategy<Value = PartKind> {
    prop_oneof![
        4 => word().prop_map(|text| PartKind::Text(TextPart::new(text))),
        1 => word().prop_map(PartKind::Refusal),
        2 => source().prop_map(|source| PartKind::Image(Media { detail: Some(ImageDetail::High), ..Media::new(source) })),
        1 => source().prop_map(|source| PartKind::Video(Media::new(source))),
        1 => source().prop_map(|source| document(DocumentSource::File(source))),
        1 => word().prop_map(|text| document(DocumentSource::PlainText(text))),
        1 => word().prop_map(|text| document(DocumentSource::Blocks(vec![Part::text(text)]))),
        1 => word().prop_map(|text| PartKind::SearchResult(Box::new(SearchResult {
            source: text.clone(), title: text.clone(), parts: vec![Part::text(text)], citations: None,
        }))),
        1 => (word(), word()).prop_map(|(language, code)| PartKind::ExecutableCode { language, code, id: None }),
        1 => word().prop_map(|output| PartKind::CodeResult { outcome: CodeOutcome::Other("x".into()), output, id: None }),
        1 => word().prop_map(|name| PartKind::ToolReference { name }),
        1 => word().prop_map(|text| PartKind::Compaction { content: Some(text), raw: RawJson::of(&json!({})) }),
        1 => Just(PartKind::ItemReference { id: "i".into() }),
        1 => Just(PartKind::ContainerUpload { file_id: "f".into() }),
        1 => Just(PartKind::Opaque { protocol: Protocol::Responses, kind: "x".into(), raw: RawJson::of(&json!([])) }),
        1 => Just(PartKind::ServerToolCall(Box::new(ServerToolCall {
            id: "s".into(), tool: ServerToolKind::WebSearch, name: "web_search".into(), input: RawJson::of(&json!({"query": "q"})),
            raw: None, protocol: Protocol::Responses,
        }))),
    ]
}

fn call_id() -> impl Strategy<Value = Text> {
    prop::sample::select(vec!["a", "b", "call_g1_0", "é"]).prop_map(Text::from)
}

fn part() -> impl Strategy<Value = Part> {
    let arguments = prop::sample::select(vec!["", "{}", "{\"a\":\n1}", "[1]", "{\"a\":", "nonsense", "null"]);
    let kinds =
        prop::sample::select(vec![ToolCallKind::Function, ToolCallKind::Custom, ToolCallKind::Builtin("shell".into())]);
    let call = (call_id(), arguments, kinds).prop_map(|(id, arguments, kind)| {
        let mut part = call_part(&id, "run", arguments);
        if let PartKind::ToolCall(call) = &mut part.kind {
            call.kind = kind;
        }
        part.kind
    });
    let result = (call_id(), prop::collection::vec(leaf(), 0..3), any::<bool>(), any::<bool>()).prop_map(
        |(call_id, parts, structured, is_error)| {
            PartKind::ToolResult(Box::new(ToolResult {
                call_id,
                name: None,
                kind: ToolCallKind::Function,
                parts: parts.into_iter().map(Part::new).collect(),
                structured: structured.then(|| RawJson::of(&json!([1]))),
                is_error,
            }))
        },
    );
    let reasoning = word().prop_map(|text| thought(&text, None).kind);
    let kind = prop_oneof![3 => leaf(), 2 => call, 2 => result, 1 => reasoning];
    (kind, signature()).prop_map(|(kind, signature)| Part {
        cache: Some(CacheMark::default()),
        signature,
        ..Part::new(kind)
    })
}

fn request() -> impl Strategy<Value = Request> {
    let roles = prop::sample::select(vec![Role::User, Role::Assistant, Role::Assistant, Role::Tool, Role::System]);
    let history = prop::collection::vec((roles, prop::collection::vec(part(), 0..4)), 0..8);
    let choice = prop::sample::select(vec![
        ToolChoice::Auto,
        ToolChoice::None,
        ToolChoice::Required,
        ToolChoice::Tool(ToolRef { name: "run".into(), custom: false }),
        ToolChoice::Allowed { required: false, tools: vec![ToolRef { name: "else".into(), custom: false }] },
        ToolChoice::Validated { names: vec!["run".into()] },
        ToolChoice::Server { kind: ServerToolKind::WebSearch, name: None },
    ]);
    let tools = prop::collection::vec(prop::sample::select(vec!["run", "find", "search"]), 0..4);
    let sources = prop::sample::select(ClientProtocol::ALL.to_vec());
    (sources, history, prop::collection::vec(leaf(), 0..3), tools, prop::option::of(choice)).prop_map(
        |(source, history, instruction, tools, choice)| {
            let mut request = Request::new(source, "m");
            request.messages =
                (0..).zip(history).map(|(index, (role, parts))| Message::new(role, index, parts)).collect();
            request.instructions.push(Instruction {
                authority: Authority::System,
                parts: instruction.into_iter().map(Part::new).collect(),
                name: None,
                ext: Extras::new(),
            });
            request.tools = tools.into_iter().map(tool).collect();
            request.tool_choice = choice;
            request.limits.stop = vec!["x".into(); 7];
            request.sampling = Sampling { seed: Some(-1 << 40), top_logprobs: Some(2), ..Sampling::default() };
            request.reasoning = Some(ReasoningControl {
                effort: Some(Effort::Max),
                budget_tokens: Some(5),
                visibility: Some(ReasoningVisibility::Full),
                ..ReasoningControl::default()
            });
            request
        },
    )
}

fn tool(name: &str) -> Tool {
    if name == "search" {
        return Tool::Server(Box::new(ServerTool {
            kind: ServerToolKind::WebSearch,
            name: name.into(),
            wire_type: "googleSearch".into(),
            allowed_domains: Vec::new(),
            blocked_domains: Vec::new(),
            max_uses: None,
            user_location: None,
            context_size: None,
            mcp: None,
            cache: None,
            raw: RawJson::of(&json!({"googleSearch": {}})),
        }));
    }
    Tool::Function(Box::new(FunctionTool { name: name.into(), ..FunctionTool::default() }))
}

/// Bodies of a Gemini client or server, right and wrong.
fn wire() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(json!(null)),
        Just(json!(3)),
        Just(json!("x")),
        Just(json!("")),
        Just(json!(true)),
        Just(json!({})),
        Just(json!([])),
        Just(json!("pp1.g.p.0.x.y")),
    ];
    let names = prop::sample::select(vec![
        "contents",
        "parts",
        "role",
        "text",
        "thought",
        "thoughtSignature",
        "functionCall",
        "functionResponse",
        "name",
        "args",
        "id",
        "response",
        "willContinue",
        "partialArgs",
        "jsonPath",
        "stringValue",
        "inlineData",
        "mimeType",
        "data",
        "fileData",
        "fileUri",
        "tools",
        "functionDeclarations",
        "parameters",
        "toolConfig",
        "functionCallingConfig",
        "mode",
        "generationConfig",
        "thinkingConfig",
        "thinkingBudget",
        "responseSchema",
        "responseMimeType",
        "candidates",
        "content",
        "finishReason",
        "index",
        "usageMetadata",
        "promptTokenCount",
        "totalTokenCount",
        "promptFeedback",
        "blockReason",
        "groundingMetadata",
        "groundingChunks",
        "web",
        "uri",
        "groundingSupports",
        "segment",
        "endIndex",
        "groundingChunkIndices",
        "toolCall",
        "executableCode",
        "error",
        "responseId",
        "logprobsResult",
        "chosenCandidates",
        "unknown_name",
    ]);
    scalar.prop_recursive(6, 48, 5, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            3 => prop::collection::vec((names.clone(), inner), 0..5)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

/// A chunk that is nearly right.
fn chunk() -> impl Strategy<Value = Value> {
    let parts = prop::sample::select(vec![
        json!({"text": "hello"}),
        json!({"text": ""}),
        json!({"text": "hm", "thought": true}),
        json!({"text": "hm", "thought": true, "thoughtSignature": "QQ=="}),
        json!({"text": "", "thoughtSignature": "Qg=="}),
        json!({"thoughtSignature": "Qw=="}),
        json!({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "RA=="}),
        json!({"functionCall": {"id": "x", "name": "f"}}),
        json!({"functionCall": {"name": "f", "willContinue": true}}),
        json!({"functionCall": {"partialArgs": [{"jsonPath": "$.a[0]", "stringValue": "x", "willContinue": true}], "willContinue": true}}),
        json!({"functionCall": {"partialArgs": [{"jsonPath": "$.a.b", "numberValue": 1}]}}),
        json!({"functionCall": {}}),
        json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": true}),
        json!({"executableCode": {"language": "PYTHON", "code": "1"}}),
        json!({"toolCall": {"toolType": "X"}}),
        json!({"new": 1}),
        json!({}),
    ]);
    let finish = prop::option::weighted(0.2, prop::sample::select(vec!["STOP", "MAX_TOKENS", "SAFETY", "NEW"]));
    let extra = prop::option::weighted(
        0.2,
        prop::sample::select(vec![
            json!({"usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}),
            json!({"promptFeedback": {"blockReason": "OTHER"}}),
            json!({"error": {"code": 500}}),
            json!({"candidates": 3}),
            json!({"groundingMetadata": 4}),
        ]),
    );
    (prop::collection::vec(parts, 0..3), finish, 0u32..2, extra).prop_map(|(parts, finish, index, extra)| {
        let mut candidate = json!({"content": {"parts": parts}, "index": index, "groundingMetadata": {
            "groundingChunks": [{"web": {"uri": "u"}}], "groundingSupports": [{"segment": {"endIndex": 3}, "groundingChunkIndices": [0]}]}});
        if let Some(word) = finish {
            candidate["finishReason"] = word.into();
        }
        let mut chunk = json!({"candidates": [candidate], "responseId": "r", "modelVersion": "m"});
        for (name, value) in extra.into_iter().flat_map(|extra| extra.as_object().cloned().unwrap()) {
            chunk[name] = value;
        }
        chunk
    })
}

fn events_of(body: &str, broken: bool) -> Vec<Event> {
    let mut decoder = StreamDecoder::new(&Target::plain(Protocol::Gemini, "m"), 1 << 20);
    let mut events = Vec::new();
    decoder.push(body.as_bytes().to_vec().into(), &mut events);
    decoder.finish(if broken { BodyEnd::Broken } else { BodyEnd::Clean }, &mut events);
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_becomes_a_legal_body(request in request(), new in any::<bool>(), ids in any::<bool>(), json_schema in any::<bool>()) {
        let mut target = Target::plain(Protocol::Gemini, "m");
        let capabilities = std::sync::Arc::make_mut(&mut target.capabilities);
        (capabilities.needs_signatures, capabilities.tool_result_media, capabilities.validated_calls) = (new, new, new);
        let profile = std::sync::Arc::make_mut(&mut target.profile);
        (profile.accepts_call_ids, profile.json_schema_fields) = (ids, json_schema);
        let encoded = encode_request(&target, &request, &mut Losses::new());
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        if shared::dir().is_some() {
            // What its own clients leave blank stays so.
            let verdict = match request.source {
                ClientProtocol::Gemini => schema::validate_request(Protocol::Gemini, &body),
                _ => schema::validate_encoded(Protocol::Gemini, &body),
            };
            prop_assert!(verdict.is_ok(), "{:#?}\n{body:#}", verdict.unwrap_err());
        }
        let again = encode_request(&target, &request, &mut Losses::new());
        prop_assert_eq!(again.body, encoded.body, "the same history gives the same bytes");
        let count = gemini::encode_count_request(&target, &request, &mut Losses::new());
        prop_assert!(serde_json::from_slice::<Value>(&count.body).is_ok());
    }

    #[test]
    fn every_stream_becomes_legal_events_and_a_legal_stream(
        chunks in prop::collection::vec(chunk(), 0..10), broken in any::<bool>(), own in any::<bool>(), thoughts in any::<bool>(),
    ) {
        let body: String = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
        let events = events_of(&body, broken);
        prop_assert_eq!(Validator::check_all(&events), Ok(()), "{}", body);
        let provider = if own { Protocol::Gemini } else { Protocol::Messages };
        let mut encoder = StreamEncoder::new(ClientProtocol::Gemini, context(provider, Some(thoughts)));
        let mut out = Vec::new();
        for event in events {
            encoder.encode(event, &mut out);
            encoder.keep_alive(&mut out);
        }
        let text = String::from_utf8_lossy(&out);
        let one_line = text.split_terminator("\r\n\r\n").all(|event| event.starts_with("data: {") && !event.contains('\n'));
        prop_assert!(one_line, "{}", text);
        let read = Check::provider(ClientProtocol::Gemini).stream(&out);
        prop_assert!(read.is_ok(), "{}\n{text}", read.unwrap_err());
    }

    #[test]
    fn no_body_makes_a_reader_panic(body in wire(), text in ".{0,60}") {
        let target = Target::plain(Protocol::Gemini, "m");
        let head = RequestHead::default();
        for body in [body.to_string(), text.clone(), json!({"contents": body}).to_string(), json!({"candidates": [{"content": body}]}).to_string()] {
            if let Ok(request) = decode_request(ClientProtocol::Gemini, &head, body.clone().into()) {
                let encoded = encode_request(&target, &request, &mut Losses::new());
                prop_assert!(serde_json::from_slice::<Value>(&encoded.body).is_ok());
            }
            if let Ok(response) = decode_response(&target, body.clone().into()) {
                let written = encode_response(ClientProtocol::Gemini, &context(Protocol::Gemini, Some(true)), &response);
                prop_assert!(serde_json::from_slice::<Value>(&written).is_ok());
            }
            let body = Text::from(body);
            gemini::decode_count_request(&head, &body).ok();
            let _count = gemini::decode_count(&body);
            let events = events_of(&format!("data: {}\n\n", body.replace(['\r', '\n'], " ")), false);
            prop_assert_eq!(Validator::check_all(&events), Ok(()));
        }
    }
}
