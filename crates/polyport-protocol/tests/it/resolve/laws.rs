//! Laws that hold for any request and any target.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use polyport_protocol::carrier::{self, CarrierKey, Placement};
use polyport_protocol::profile::{
    AnthropicThinking, GeminiThinking, JsonMode, ReasoningBack, SchemaClean, ToolChoiceMode, ToolIdRule,
};
use polyport_protocol::{Capabilities, Profile, Target};
use polyport_types::{
    Authority, CacheMark, CacheTtl, ClientProtocol, CustomFormat, CustomTool, Document, DocumentSource, Effort, Extras,
    Family, FunctionTool, GrammarSyntax, ImageDetail, Instruction, Media, MediaSource, Message, Part, PartKind,
    PartStatus, Protocol, RawJson, Reasoning, ReasoningControl, ReasoningMode, ReasoningText, Request, ResponseFormat,
    Role, SearchResult, ServerTool, ServerToolCall, ServerToolKind, ServerToolResult, Signature, SignatureKind, Text,
    Tool, ToolCall, ToolCallKind, ToolChoice, ToolRef, ToolResult,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::support::{Outcome, run_with};

fn key() -> CarrierKey {
    CarrierKey::new([3; 32])
}

fn words() -> impl Strategy<Value = Text> {
    select(vec![
        "",
        " ",
        "a",
        "call_1",
        "call_1",
        "call.1",
        "toolu_01AbC",
        "ключ 🔑",
        "find",
        "mcp.find",
        "json_response",
        "pp1.a.t.0.x.y",
    ])
    .prop_map(Text::from_static)
}

fn protocols() -> impl Strategy<Value = Protocol> {
    select(Protocol::ALL.to_vec())
}

fn kinds() -> impl Strategy<Value = ToolCallKind> {
    prop_oneof![
        3 => Just(ToolCallKind::Function),
        1 => Just(ToolCallKind::Custom),
        1 => Just(ToolCallKind::Builtin("local_shell".into()))
    ]
}

fn signatures() -> impl Strategy<Value = Signature> {
    let families = select(vec![Family::Anthropic, Family::OpenAi, Family::Google, Family::XAi, Family::Unknown]);
    let signs = select(vec![
        SignatureKind::Thinking,
        SignatureKind::Redacted,
        SignatureKind::ReasoningItem,
        SignatureKind::Part,
        SignatureKind::FunctionCall,
    ]);
    let places = option::of(select(vec![Placement::Own, Placement::Next, Placement::Previous, Placement::Alone]));
    (families, signs, words(), 0..2_u32, places, 0..3_u8).prop_map(|(family, kind, value, scope, place, wrap)| {
        let signature = Signature::new(family, kind, value);
        match (place, wrap) {
            (None, _) => signature,
            (Some(place), 0) => Signature { value: key().seal_base64(&signature, place, scope).into(), ..signature },
            (Some(place), _) => Signature { value: key().seal(&signature, place, scope).into(), ..signature },
        }
    })
}

fn sources() -> impl Strategy<Value = MediaSource> {
    let mimes = select(vec!["image/png", "image/jpg", "application/pdf", "text/plain", "audio/wav", "", "x"]);
    prop_oneof![
        (mimes, words()).prop_map(|(mime, data)| MediaSource::Base64 { mime: mime.into(), data }),
        select(vec!["https://a.org/x.png", "gs://b/x", "ftp:", ""])
            .prop_map(|url| MediaSource::Url { url: url.into(), mime: None }),
        (protocols(), words()).prop_map(|(owner, id)| MediaSource::FileId { owner, id, mime: None }),
    ]
}

fn json() -> RawJson {
    RawJson::from_valid(Text::from_static(r#"{"a":[1,null]}"#))
}

fn reasoning() -> impl Strategy<Value = PartKind> {
    let text = prop_oneof![
        Just(ReasoningText::None),
        words().prop_map(ReasoningText::Full),
        vec(words(), 0..3).prop_map(ReasoningText::Summary)
    ];
    (text, any::<bool>()).prop_map(|(text, redacted)| PartKind::Reasoning(Box::new(Reasoning { text, redacted })))
}

fn media() -> impl Strategy<Value = PartKind> {
    let one = |source| Media { detail: Some(ImageDetail::High), ..Media::new(source) };
    prop_oneof![
        sources().prop_map(move |source| PartKind::Image(one(source))),
        (sources(), option::of(words()), option::of(words()))
            .prop_map(|(source, id, transcript)| PartKind::Audio(Media { id, transcript, ..Media::new(source) })),
        sources().prop_map(|source| PartKind::Video(Media::new(source))),
    ]
}

fn calls() -> impl Strategy<Value = PartKind> {
    (words(), words(), option::of(words()), kinds(), words()).prop_map(|(id, name, namespace, kind, arguments)| {
        PartKind::ToolCall(Box::new(ToolCall {
            id,
            name,
            namespace,
            kind,
            arguments,
            caller: None,
            status: PartStatus::Complete,
        }))
    })
}

fn others() -> impl Strategy<Value = PartKind> {
    prop_oneof![
        words().prop_map(PartKind::Refusal),
        (protocols(), words(), words()).prop_map(|(protocol, id, name)| {
            PartKind::ServerToolCall(Box::new(ServerToolCall {
                id,
                tool: ServerToolKind::WebSearch,
                name,
                input: json(),
                raw: None,
                protocol,
            }))
        }),
        (protocols(), words()).prop_map(|(protocol, call_id)| {
            let tool = ServerToolKind::WebSearch;
            PartKind::ServerToolResult(Box::new(ServerToolResult {
                call_id,
                tool,
                payload: json(),
                is_error: false,
                raw: None,
                protocol,
            }))
        }),
        (protocols(), words()).prop_map(|(protocol, kind)| PartKind::Opaque { protocol, kind, raw: json() }),
        option::of(words()).prop_map(|content| PartKind::Compaction { content, raw: json() }),
        words().prop_map(|id| PartKind::ItemReference { id }),
        words().prop_map(|name| PartKind::ToolReference { name }),
        words().prop_map(|file_id| PartKind::ContainerUpload { file_id }),
        (words(), words()).prop_map(|(language, code)| PartKind::ExecutableCode { language, code, id: None }),
    ]
}

fn parts() -> impl Strategy<Value = Part> {
    let leaf = prop_oneof![
        4 => words().prop_map(|text| Part::text(text).kind),
        2 => media(),
        3 => reasoning(),
        4 => calls(),
        2 => others(),
    ];
    let leaf = marked(leaf);
    leaf.prop_recursive(2, 12, 3, |inner| {
        let results = (words(), option::of(words()), kinds(), vec(inner.clone(), 0..3), any::<(bool, bool)>())
            .prop_map(|(call_id, name, kind, parts, (structured, is_error))| {
                let structured = structured.then(json);
                PartKind::ToolResult(Box::new(ToolResult { call_id, name, kind, parts, structured, is_error }))
            });
        let documents = (sources(), vec(inner.clone(), 0..3), 0..3_u8, option::of(words())).prop_map(
            |(source, parts, which, title)| {
                let source = match which {
                    0 => DocumentSource::File(source),
                    1 => DocumentSource::PlainText("Words".into()),
                    _ => DocumentSource::Blocks(parts),
                };
                let (context, citations) = (title.clone(), Some(true));
                PartKind::Document(Box::new(Document {
                    source,
                    filename: None,
                    title,
                    context,
                    citations,
                    detail: None,
                }))
            },
        );
        let hits = vec(inner, 0..2).prop_map(|parts| {
            PartKind::SearchResult(Box::new(SearchResult {
                source: "s".into(),
                title: "t".into(),
                parts,
                citations: None,
            }))
        });
        marked(prop_oneof![4 => results, 1 => documents, 1 => hits])
    })
}

fn marked(kinds: impl Strategy<Value = PartKind>) -> impl Strategy<Value = Part> {
    let cache = option::of(
        option::of(select(vec![CacheTtl::Minutes5, CacheTtl::Hour1, CacheTtl::Hours12]))
            .prop_map(|ttl| CacheMark { ttl }),
    );
    (kinds, option::weighted(0.3, signatures()), cache).prop_map(|(kind, signature, cache)| Part {
        signature,
        cache,
        ..Part::new(kind)
    })
}

fn tools() -> impl Strategy<Value = Tool> {
    let schema =
        select(vec![r#"{"type":"object"}"#, "true", "{}", r#"{"anyOf":[{"type":"null"}]}"#, r##"{"$ref":"#"}"##]);
    let function = (words(), option::of(words()), option::of(schema), option::of(any::<bool>())).prop_map(
        |(name, namespace, schema, strict)| {
            Tool::Function(Box::new(FunctionTool {
                name,
                namespace,
                schema: schema.map(|text| RawJson::from_valid(text.into())),
                strict,
                cache: Some(CacheMark::default()),
                ..FunctionTool::default()
            }))
        },
    );
    let custom = (words(), any::<bool>()).prop_map(|(name, grammar)| {
        let format = if grammar {
            CustomFormat::Grammar { syntax: GrammarSyntax::Regex, definition: "x".into() }
        } else {
            CustomFormat::Text
        };
        Tool::Custom(Box::new(CustomTool { name, namespace: None, description: None, format, ext: Extras::new() }))
    });
    let server = (
        select(vec![
            ServerToolKind::WebSearch,
            ServerToolKind::Shell,
            ServerToolKind::LocalShell,
            ServerToolKind::Bash,
            ServerToolKind::Computer,
            ServerToolKind::Mcp,
            ServerToolKind::Memory,
            ServerToolKind::Other("new".into()),
        ]),
        words(),
        option::of(0..9_u32),
    )
        .prop_map(|(kind, name, max_uses)| {
            Tool::Server(Box::new(ServerTool {
                kind,
                wire_type: name.clone(),
                name,
                allowed_domains: vec!["a".into()],
                blocked_domains: Vec::new(),
                max_uses,
                user_location: None,
                context_size: None,
                mcp: None,
                cache: None,
                raw: json(),
            }))
        });
    prop_oneof![3 => function, 1 => custom, 1 => server]
}

fn choices() -> impl Strategy<Value = ToolChoice> {
    let reference = || (words(), any::<bool>()).prop_map(|(name, custom)| ToolRef { name, custom });
    prop_oneof![
        Just(ToolChoice::None),
        Just(ToolChoice::Auto),
        Just(ToolChoice::Required),
        reference().prop_map(ToolChoice::Tool),
        (any::<bool>(), vec(reference(), 0..3)).prop_map(|(required, tools)| ToolChoice::Allowed { required, tools }),
        vec(words(), 0..2).prop_map(|names| ToolChoice::Validated { names }),
        Just(ToolChoice::Server { kind: ServerToolKind::WebSearch, name: None }),
    ]
}

fn formats() -> impl Strategy<Value = ResponseFormat> {
    let schema = select(vec![r#"{"type":"object"}"#, r#"{"type":"array"}"#, "true", r#"{"enum":["a"]}"#]);
    prop_oneof![
        Just(ResponseFormat::Text),
        Just(ResponseFormat::JsonObject),
        (schema.clone(), option::of(words()), option::of(any::<bool>())).prop_map(|(schema, name, strict)| {
            ResponseFormat::JsonSchema {
                description: name.clone(),
                name,
                schema: RawJson::from_valid(schema.into()),
                strict,
            }
        }),
        schema.prop_map(|schema| ResponseFormat::Enum { schema: RawJson::from_valid(schema.into()) }),
    ]
}

fn controls() -> impl Strategy<Value = ReasoningControl> {
    let modes = select(vec![
        ReasoningMode::Unset,
        ReasoningMode::Off,
        ReasoningMode::On,
        ReasoningMode::Adaptive,
        ReasoningMode::BetweenTools,
    ]);
    let budgets = select(vec![-1, 0, 1, 1024, 6000, i64::MAX, i64::MIN]);
    (modes, option::of(select(Effort::ALL.to_vec())), option::of(budgets)).prop_map(|(mode, effort, budget_tokens)| {
        ReasoningControl { mode, effort, budget_tokens, ..ReasoningControl::default() }
    })
}

fn requests() -> impl Strategy<Value = Request> {
    let roles = select(vec![
        Role::User,
        Role::Assistant,
        Role::Assistant,
        Role::Tool,
        Role::Tool,
        Role::System,
        Role::Developer,
    ]);
    let messages = vec((roles, vec(parts(), 0..4)), 0..8);
    let numbers = select(vec![f64::NAN, -1.0, 0.0, 0.5, 1.0, 3.7, f64::INFINITY]);
    let limits = (option::of(select(vec![0, 1, 1024, 5000, u64::MAX])), vec(words(), 0..7), option::of(0..12_u32));
    let settings = (option::of(controls()), option::of(formats()), option::of(choices()), option::of(numbers), limits);
    let state = (option::weighted(0.1, words()), option::of(words()), option::of(any::<bool>()));
    (select(ClientProtocol::ALL.to_vec()), messages, vec(tools(), 0..5), settings, state).prop_map(
        |(
            source,
            messages,
            tools,
            (reasoning, response_format, tool_choice, number, (max, stop, candidates)),
            (stored, user, store),
        )| {
            let mut request = Request::new(source, "alias");
            for (index, (role, parts)) in messages.into_iter().enumerate() {
                request.messages.push(Message::new(role, u32::try_from(index).unwrap(), parts));
            }
            let parts = vec![Part::text("Be brief.")];
            request.instructions.push(Instruction {
                authority: Authority::System,
                parts,
                name: None,
                ext: Extras::new(),
            });
            request.tools = tools;
            (request.reasoning, request.response_format, request.tool_choice) =
                (reasoning, response_format, tool_choice);
            (request.sampling.temperature, request.sampling.top_k) = (number, number);
            (request.limits.max_output_tokens, request.limits.stop, request.candidates) = (max, stop, candidates);
            (request.state.previous_response_id, request.end_user, request.state.store) = (stored, user, store);
            request
        },
    )
}

fn targets() -> impl Strategy<Value = Target> {
    let profile = (
        select(vec![ToolIdRule::Any, ToolIdRule::Mistral9, ToolIdRule::Safe]),
        select(vec![SchemaClean::None, SchemaClean::Basic, SchemaClean::Gemini]),
        select(vec![JsonMode::Schema, JsonMode::Object, JsonMode::None]),
        select(vec![ReasoningBack::Never, ReasoningBack::Details]),
        vec(
            select(vec![ToolChoiceMode::Auto, ToolChoiceMode::None, ToolChoiceMode::Required, ToolChoiceMode::Named]),
            0..4,
        ),
        any::<(bool, bool, bool)>(),
    );
    let classes = select(vec![
        AnthropicThinking::None,
        AnthropicThinking::Budget,
        AnthropicThinking::Both,
        AnthropicThinking::Adaptive,
    ]);
    let levels = select(vec![GeminiThinking::None, GeminiThinking::Budget, GeminiThinking::Level]);
    let efforts = vec(select(Effort::ALL.to_vec()), 0..4);
    let abilities = (classes, levels, efforts, any::<[bool; 12]>(), option::of(select(vec![1_u64, 2000, 64_000])));
    (protocols(), profile, abilities, 0..2_u32).prop_map(
        |(
            protocol,
            (tool_id, clean, json_mode, back, choices, quirks),
            (class, level, efforts, can, max_output),
            scope,
        )| {
            let mut target = Target::plain(protocol, "model");
            target.scope = scope;
            let profile: &mut Profile = Arc::make_mut(&mut target.profile);
            (profile.tool_id, profile.schema_clean, profile.json_mode) = (tool_id, clean, json_mode);
            (profile.reasoning_back, profile.tool_choice) = (back, choices);
            (profile.custom_tools, profile.strict_tools, profile.json_schema_fields) = quirks;
            let abilities: &mut Capabilities = Arc::make_mut(&mut target.capabilities);
            (abilities.anthropic_thinking, abilities.gemini_thinking, abilities.efforts) = (class, level, efforts);
            abilities.max_output = max_output;
            let flags = [
                &mut abilities.temperature,
                &mut abilities.tools,
                &mut abilities.forced_tool_choice,
                &mut abilities.structured_output,
                &mut abilities.structured_with_tools,
                &mut abilities.images,
                &mut abilities.url_media,
                &mut abilities.reasoning_off,
                &mut abilities.tool_result_media,
                &mut abilities.validated_calls,
                &mut abilities.reasoning,
                &mut abilities.stop,
            ];
            for (flag, value) in flags.into_iter().zip(can) {
                *flag = value;
            }
            target
        },
    )
}

fn resolved(target: &Target, request: Request) -> Outcome {
    let kept = |id: &str| {
        if id == "a" { vec![Signature::new(Family::Google, SignatureKind::FunctionCall, "kept")] } else { Vec::new() }
    };
    run_with(target, request, Some(&key()), &kept)
}

fn all_parts(request: &Request) -> impl Iterator<Item = (&Message, &Part)> {
    request.messages.iter().flat_map(|message| message.parts.iter().map(move |part| (message, part)))
}

/// Every call is answered once, behind it, under an id of its own that the target takes.
fn check_calls(target: &Target, request: &Request) -> Result<(), TestCaseError> {
    let mut open: HashMap<Text, u32> = HashMap::new();
    let mut ids = HashSet::new();
    for (message, part) in all_parts(request) {
        match &part.kind {
            PartKind::ToolCall(call) if message.role == Role::Assistant => {
                prop_assert!(ids.insert(call.id.clone()), "id {} twice", call.id);
                prop_assert!(!call.id.is_empty());
                let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
                match (target.protocol, target.profile.tool_id) {
                    (_, ToolIdRule::Mistral9) => {
                        prop_assert!(call.id.len() == 9 && call.id.bytes().all(|b| b.is_ascii_alphanumeric()))
                    }
                    (Protocol::Messages, _) | (_, ToolIdRule::Safe) => {
                        prop_assert!(call.id.bytes().all(safe), "{}", call.id)
                    }
                    _ => {}
                }
                open.insert(call.id.clone(), 0);
            }
            PartKind::ToolResult(result) if message.role == Role::Tool => {
                let Some(count) = open.get_mut(&result.call_id) else {
                    return Err(TestCaseError::fail(format!("result {} before its call", result.call_id)));
                };
                *count += 1;
            }
            _ => {}
        }
    }
    let wrong: Vec<_> = open.iter().filter(|(_, count)| **count != 1).collect();
    prop_assert!(wrong.is_empty(), "not answered once: {wrong:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_same_request_always_becomes_the_same(target in targets(), request in requests()) {
        let (one, two) = (resolved(&target, request.clone()), resolved(&target, request));
        prop_assert_eq!(format!("{:?}", one.request), format!("{:?}", two.request));
        prop_assert_eq!(one.losses, two.losses);
    }

    #[test]
    fn nothing_of_ours_reaches_a_provider(target in targets(), request in requests()) {
        let outcome = resolved(&target, request);
        for (_, part) in all_parts(&outcome.request) {
            let Some(signature) = &part.signature else { continue };
            prop_assert!(!carrier::is_token(&signature.value), "{:?}", signature);
            prop_assert_eq!(signature.family, target.capabilities.family);
            prop_assert!(signature.scope.is_none_or(|scope| scope == target.scope));
        }
    }

    #[test]
    fn every_call_has_its_result(target in targets(), mut request in requests()) {
        // By the contract of decoders calls are the model's and results stand in messages of their own.
        for message in &mut request.messages {
            let role = message.role;
            message.parts.retain(|part| match part.kind {
                PartKind::ToolCall(_) => role == Role::Assistant,
                PartKind::ToolResult(_) => role == Role::Tool,
                _ => role != Role::Tool,
            });
        }
        let continued = request.source == ClientProtocol::Responses && request.state.previous_response_id.is_some();
        let outcome = resolved(&target, request);
        if !continued {
            check_calls(&target, &outcome.request)?;
        }
    }

    #[test]
    fn numbers_stay_in_range(target in targets(), request in requests()) {
        let same = Protocol::from(request.source) == target.protocol;
        let outcome = resolved(&target, request);
        let request = &outcome.request;
        if let (Protocol::Messages, Some(control)) = (target.protocol, &request.reasoning)
            && !same
            && control.mode == ReasoningMode::On
        {
            let (budget, tokens) = (control.budget_tokens.unwrap(), request.limits.max_output_tokens.unwrap());
            prop_assert!(budget >= 1024 && u64::try_from(budget).unwrap() < tokens, "{budget} of {tokens}");
        }
        if !same && let Some(temperature) = request.sampling.temperature {
            prop_assert!((0.0..=2.0).contains(&temperature));
        }
        prop_assert!(same || request.tool_choice.is_none() || !request.tools.is_empty());
        for loss in outcome.losses.entries() {
            prop_assert!(loss.path.is_empty() || loss.path.starts_with('/'), "{:?}", loss);
        }
    }

    #[test]
    fn whatever_is_resolved_can_be_encoded(target in targets(), request in requests()) {
        let mut outcome = resolved(&target, request);
        let encoded = polyport_protocol::encode_request(&target, &outcome.request, &mut outcome.losses);
        if !encoded.body.is_empty() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&encoded.body).is_ok());
        }
    }
}
