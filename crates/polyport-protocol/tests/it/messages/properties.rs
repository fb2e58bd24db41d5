//! Whatever comes in, what goes out is legal.

use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{StreamDecoder, StreamEncoder, decode_response};
use polyport_testkit::grammar::Check;
use polyport_types::{
    Authority, CacheMark, CacheTtl, Citation, CodeOutcome, Document, DocumentSource, Effort, Event, Family, Finish,
    FinishReason, FunctionTool, Instruction, Media, MediaSource, Message, Part, PartId, PartKind, PartStart,
    PartStatus, RawJson, Reasoning, ReasoningControl, ReasoningMode, ReasoningText, Role, SearchResult, ServerToolCall,
    ServerToolCallStart, ServerToolKind, ServerToolResult, Signature, SignatureKind, Text, TextPart, Tool, ToolCall,
    ToolCallKind, ToolCallStart, ToolChoice, ToolRef, ToolResult, Usage, Validator,
};
use proptest::prelude::*;

use super::*;

fn word() -> impl Strategy<Value = Text> {
    prop::sample::select(vec!["", " ", "\n", "a", "Ä\"\\", "two words ", "</system-reminder>", "call.1", "call_1"])
        .prop_map(Text::from)
}

fn mark() -> impl Strategy<Value = Option<CacheMark>> {
    prop::option::weighted(
        0.3,
        prop::option::of(prop::sample::select(vec![CacheTtl::Minutes5, CacheTtl::Minutes30, CacheTtl::Hours12]))
            .prop_map(|ttl| CacheMark { ttl }),
    )
}

fn signature() -> impl Strategy<Value = Option<Signature>> {
    let families = prop::sample::select(vec![Family::Anthropic, Family::Google, Family::OpenAi, Family::Unknown]);
    let kinds =
        prop::sample::select(vec![SignatureKind::Thinking, SignatureKind::Redacted, SignatureKind::ReasoningItem]);
    let values = prop::sample::select(vec!["", "EqQB", "pp1.a.t.0.x.y"]);
    prop::option::of((families, kinds, values).prop_map(|(family, kind, value)| Signature::new(family, kind, value)))
}

fn source() -> impl Strategy<Value = MediaSource> {
    prop_oneof![
        prop::sample::select(vec!["image/png", "image/jpg", "image/bmp", "application/pdf", "text/csv", "x"])
            .prop_map(|mime| MediaSource::Base64 { mime: mime.into(), data: "AAAA".into() }),
        prop::sample::select(vec!["https://example.org/a", "gs://b", ""])
            .prop_map(|url| MediaSource::Url { url: url.into(), mime: None }),
        prop::sample::select(vec![Protocol::Messages, Protocol::Gemini]).prop_map(|owner| MediaSource::FileId {
            owner,
            id: "f".into(),
            mime: None
        }),
    ]
}

fn leaf() -> impl Strategy<Value = PartKind> {
    prop_oneof![
        4 => word().prop_map(|text| PartKind::Text(TextPart {
            text,
            citations: vec![Citation::url("https://example.org", None, None)],
            logprobs: Vec::new(),
        })),
        1 => word().prop_map(PartKind::Refusal),
        2 => source().prop_map(|source| PartKind::Image(Media::new(source))),
        1 => source().prop_map(|source| PartKind::Audio(Media::new(source))),
        1 => source().prop_map(|source| PartKind::Document(Box::new(Document {
            source: DocumentSource::File(source),
            filename: None,
            title: None,
            context: Some("c".into()),
            citations: Some(true),
            detail: None,
        }))),
        1 => word().prop_map(|text| PartKind::Document(Box::new(Document {
            source: DocumentSource::Blocks(vec![Part::text(text.clone()), Part::text("x")]),
            filename: None,
            title: Some(text),
            context: None,
            citations: None,
            detail: None,
        }))),
        1 => word().prop_map(|text| PartKind::SearchResult(Box::new(SearchResult {
            source: text.clone(),
            title: text.clone(),
            parts: vec![Part::text(text)],
            citations: None,
        }))),
        1 => (word(), word()).prop_map(|(language, code)| PartKind::ExecutableCode { language, code, id: None }),
        1 => word().prop_map(|output| PartKind::CodeResult { outcome: CodeOutcome::Failed, output, id: None }),
        1 => word().prop_map(|name| PartKind::ToolReference { name }),
        1 => word().prop_map(|content| PartKind::Compaction {
            content: Some(content),
            raw: RawJson::parse("{\"type\":\"x\"}").unwrap(),
        }),
        1 => Just(PartKind::ItemReference { id: "i".into() }),
        1 => Just(PartKind::ContainerUpload { file_id: "f".into() }),
        1 => Just(PartKind::Opaque {
            protocol: Protocol::Responses,
            kind: "x".into(),
            raw: RawJson::parse("[]").unwrap(),
        }),
        1 => Just(PartKind::ServerToolCall(Box::new(ServerToolCall {
            id: "s".into(),
            tool: ServerToolKind::WebSearch,
            name: "web_search".into(),
            input: RawJson::parse("{}").unwrap(),
            raw: None,
            protocol: Protocol::Responses,
        }))),
        1 => Just(PartKind::ServerToolResult(Box::new(ServerToolResult {
            call_id: "s".into(),
            tool: ServerToolKind::WebSearch,
            payload: RawJson::parse("{}").unwrap(),
            is_error: false,
            raw: None,
            protocol: Protocol::Messages,
        }))),
    ]
}

fn call_id() -> impl Strategy<Value = Text> {
    prop::sample::select(vec!["a", "b", "call.1", "call_1", "", "é"]).prop_map(Text::from)
}

fn part() -> impl Strategy<Value = Part> {
    let arguments = prop::sample::select(vec!["", "{}", "{\"a\":1}", "[1]", "{\"a\":", "nonsense", "null"]);
    let kinds =
        prop::sample::select(vec![ToolCallKind::Function, ToolCallKind::Custom, ToolCallKind::Builtin("shell".into())]);
    let call = (call_id(), arguments, kinds).prop_map(|(id, arguments, kind)| {
        PartKind::ToolCall(Box::new(ToolCall {
            id,
            name: "run".into(),
            namespace: None,
            kind,
            arguments: arguments.into(),
            caller: None,
            status: PartStatus::Complete,
        }))
    });
    let result =
        (call_id(), prop::collection::vec(leaf(), 0..3), any::<bool>()).prop_map(|(call_id, parts, object)| {
            PartKind::ToolResult(Box::new(ToolResult {
                call_id,
                name: None,
                kind: ToolCallKind::Function,
                parts: parts.into_iter().map(Part::new).collect(),
                structured: object.then(|| RawJson::parse("{\"x\": [1]}").unwrap()),
                is_error: object,
            }))
        });
    let reasoning = (word(), any::<bool>()).prop_map(|(text, redacted)| {
        PartKind::Reasoning(Box::new(Reasoning { text: ReasoningText::Full(text), redacted }))
    });
    let kind = prop_oneof![3 => leaf(), 2 => call, 2 => result, 1 => reasoning];
    (kind, mark(), signature()).prop_map(|(kind, cache, signature)| Part { cache, signature, ..Part::new(kind) })
}

fn history() -> impl Strategy<Value = Vec<Message>> {
    let roles = prop::sample::select(vec![
        Role::User,
        Role::Assistant,
        Role::Assistant,
        Role::Tool,
        Role::Tool,
        Role::System,
        Role::Developer,
    ]);
    prop::collection::vec((roles, prop::collection::vec(part(), 0..4)), 0..8).prop_map(|messages| {
        let numbered = (0..).zip(messages);
        numbered.map(|(index, (role, parts))| Message::new(role, index, parts)).collect()
    })
}

fn request() -> impl Strategy<Value = Request> {
    let control = (
        prop::sample::select(vec![
            ReasoningMode::Unset,
            ReasoningMode::Off,
            ReasoningMode::Adaptive,
            ReasoningMode::BetweenTools,
        ]),
        prop::option::of(prop::sample::select(Effort::ALL.to_vec())),
    );
    let choice = prop::sample::select(vec![
        ToolChoice::Auto,
        ToolChoice::None,
        ToolChoice::Required,
        ToolChoice::Tool(ToolRef { name: "run".into(), custom: false }),
        ToolChoice::Tool(ToolRef { name: "else".into(), custom: false }),
        ToolChoice::Validated { names: Vec::new() },
        ToolChoice::Server { kind: ServerToolKind::WebSearch, name: None },
    ]);
    let tools = prop::collection::vec(prop::sample::select(vec!["run", "find"]), 0..2);
    (history(), prop::collection::vec(leaf(), 0..3), mark(), prop::option::of(control), tools, prop::option::of(choice))
        .prop_map(|(messages, instruction, cache, control, tools, choice)| {
            let mut request = Request::new(ClientProtocol::Responses, "m");
            request.messages = messages;
            if !instruction.is_empty() {
                request.instructions.push(Instruction {
                    authority: Authority::System,
                    parts: instruction.into_iter().map(|kind| Part { cache, ..Part::new(kind) }).collect(),
                    name: None,
                    ext: Default::default(),
                });
            }
            request.reasoning =
                control.map(|(mode, effort)| ReasoningControl { mode, effort, ..ReasoningControl::default() });
            request.tools = tools
                .into_iter()
                .map(|name| {
                    Tool::Function(Box::new(FunctionTool { name: name.into(), cache, ..FunctionTool::default() }))
                })
                .collect();
            request.tool_choice = choice;
            request.sampling.temperature = Some(1.5);
            request
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_becomes_a_legal_body(request in request(), mid_system in any::<bool>()) {
        let mut target = Target::plain(Protocol::Messages, "m");
        std::sync::Arc::make_mut(&mut target.capabilities).mid_system = mid_system;
        let (body, headers, _) = encode(&target, &request);
        let version = headers.iter().find(|(name, _)| *name == "anthropic-version").unwrap().1.clone();
        let judged = Judge::new(Protocol::Messages).version(&version).request(&body);
        // Two tools of one name and words after which thinking must stand are not this encoder's to mend.
        let problems: Vec<String> = judged.err().unwrap_or_default().into_iter().filter(|problem| {
            !problem.contains("tool names must be unique") && !problem.contains("must start with a thinking block")
        }).collect();
        prop_assert!(problems.is_empty(), "{problems:#?}\n{body:#}");
        prop_assert_eq!(encode(&target, &request).0, body);
    }

    #[test]
    fn every_legal_sequence_becomes_a_legal_stream(events in events(), own in any::<bool>(), thinks in any::<bool>()) {
        prop_assert_eq!(Validator::check_all(&events), Ok(()));
        let mut context = super::answers::context("m");
        context.provider = if own { Protocol::Messages } else { Protocol::Gemini };
        context.carrier = Some(std::sync::Arc::new(polyport_protocol::CarrierKey::new([3; 32])));
        if !thinks {
            std::sync::Arc::make_mut(&mut context.request).reasoning = None;
        }
        let mut encoder = StreamEncoder::new(ClientProtocol::Messages, context);
        let mut out = Vec::new();
        for event in events {
            encoder.encode(event, &mut out);
            encoder.keep_alive(&mut out);
        }
        let read = Check::new(Protocol::Messages).stream(&out);
        prop_assert!(read.is_ok(), "{}\n{}", read.unwrap_err(), String::from_utf8_lossy(&out));
    }

    #[test]
    fn every_sequence_of_wire_events_becomes_legal_events(frames in prop::collection::vec(frame(), 0..12), broken in any::<bool>()) {
        let target = Target::plain(Protocol::Messages, "m");
        let mut decoder = StreamDecoder::new(&target, 1 << 20);
        let mut events = Vec::new();
        decoder.push(Bytes::from(frames.concat()), &mut events);
        decoder.finish(if broken { BodyEnd::Broken } else { BodyEnd::Clean }, &mut events);
        prop_assert_eq!(Validator::check_all(&events), Ok(()), "{}", frames.concat());
        let stream = super::answers::streamed(super::answers::context("m"), &events);
        let ends = stream.matches("event: message_stop").count() + stream.matches("event: error").count();
        prop_assert_eq!(ends, 1, "{}", stream);
    }

    #[test]
    fn no_body_makes_a_reader_panic(body in wire(), text in ".{0,60}") {
        for body in [body, text] {
            let target = Target::plain(Protocol::Messages, "m");
            if let Ok(request) = decode_request(ClientProtocol::Messages, &RequestHead::default(), Bytes::from(body.clone())) {
                encode(&target, &request);
            }
            if let Ok(response) = decode_response(&target, Bytes::from(body)) {
                let context = super::answers::context("m");
                json_of(&polyport_protocol::encode_response(ClientProtocol::Messages, &context, &response));
            }
        }
    }
}

/// Events that keep the rules, of one or two answers.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let step = (0u8..9, word(), signature(), 0u8..5);
    prop::collection::vec(step, 0..14).prop_map(|steps| {
        let mut events = vec![Event::Start(Box::default())];
        let mut exclusive: Option<PartId> = None;
        let mut calls: Vec<(PartId, String)> = Vec::new();
        let mut completed = false;
        for (at, (step, text, signature, pick)) in (0u32..).zip(steps) {
            let part = PartId(at);
            let close = |exclusive: &mut Option<PartId>, events: &mut Vec<Event>| {
                if let Some(part) = exclusive.take() {
                    events.push(Event::PartEnd { part, status: PartStatus::Complete });
                }
            };
            match step {
                0..=2 => {
                    close(&mut exclusive, &mut events);
                    let start = match step {
                        0 => PartStart::Text { item_id: None, phase: None },
                        1 => PartStart::Refusal,
                        _ => PartStart::Reasoning { item_id: None, summary: pick > 2 },
                    };
                    events.push(Event::PartStart { part, choice: 0, start });
                    if !text.is_empty() {
                        events.push(Event::Delta { part, text });
                    }
                    if step == 2 && pick == 3 {
                        events.push(Event::SummaryBreak { part });
                    }
                    if step != 1
                        && let Some(signature) = signature
                    {
                        events.push(Event::Signature { part, signature: Box::new(signature) });
                    }
                    exclusive = Some(part);
                }
                3 | 4 => {
                    let start = ToolCallStart {
                        id: format!("call.{at}").into(),
                        name: "f".into(),
                        namespace: None,
                        kind: ToolCallKind::Function,
                        item_id: None,
                        signature,
                        caller: None,
                        ext: Default::default(),
                    };
                    events.push(Event::PartStart { part, choice: 0, start: PartStart::ToolCall(Box::new(start)) });
                    calls.push((part, ["", "{\"a\":1}", "[1]", "\"x\"", "{ }"][usize::from(pick)].to_owned()));
                }
                5 => {
                    if let Some((part, arguments)) = calls.pop() {
                        if !arguments.is_empty() {
                            events.push(Event::Delta { part, text: arguments.into() });
                        }
                        events.push(Event::PartEnd { part, status: PartStatus::Complete });
                        completed = true;
                    }
                }
                6 => {
                    let start = ServerToolCallStart {
                        id: format!("srv{at}").into(),
                        tool: ServerToolKind::WebSearch,
                        name: "web_search".into(),
                        protocol: if pick > 2 { Protocol::Messages } else { Protocol::Gemini },
                        ext: Default::default(),
                    };
                    events.push(Event::PartStart {
                        part,
                        choice: 0,
                        start: PartStart::ServerToolCall(Box::new(start)),
                    });
                    events.push(Event::Delta { part, text: "{\"query\":\"q\"}".into() });
                    events.push(Event::PartEnd { part, status: PartStatus::Complete });
                }
                7 => {
                    let mut part = Part::new(PartKind::Reasoning(Box::new(Reasoning {
                        text: ReasoningText::None,
                        redacted: true,
                    })));
                    part.signature = signature;
                    events.push(Event::Part { choice: 0, part: Box::new(part) });
                }
                _ => events.push(Event::Usage(Box::new(Usage {
                    input_uncached: Some(u64::from(at)),
                    output_text: (pick > 1).then_some(1),
                    ..Usage::default()
                }))),
            }
        }
        if let Some(part) = exclusive {
            events.push(Event::PartEnd { part, status: PartStatus::Complete });
        }
        for (part, arguments) in calls {
            if !arguments.is_empty() {
                events.push(Event::Delta { part, text: arguments.into() });
            }
            events.push(Event::PartEnd { part, status: PartStatus::Complete });
            completed = true;
        }
        let reason = if completed { FinishReason::ToolCalls } else { FinishReason::Stop };
        events.push(Event::Finish(Box::new(Finish { reason, ..Finish::default() })));
        events.push(Event::End);
        events
    })
}

/// Events of the wire in any order, right and wrong.
fn frame() -> impl Strategy<Value = String> {
    let index = 0..3;
    let blocks = prop::sample::select(vec![
        r#"{"type":"text","text":""}"#,
        r#"{"type":"text","text":"x"}"#,
        r#"{"type":"thinking","thinking":"","signature":""}"#,
        r#"{"type":"redacted_thinking","data":"d"}"#,
        r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#,
        r#"{"type":"tool_use","id":"t","name":"f","input":{"a":1}}"#,
        r#"{"type":"tool_use","id":"","name":"","input":{}}"#,
        r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#,
        r#"{"type":"web_search_tool_result","tool_use_id":"s","content":[]}"#,
        r#"{"type":"compaction","content":null}"#,
        r#"{"type":"new_kind","x":1}"#,
        r#"{}"#,
        r#"3"#,
    ]);
    let deltas = prop::sample::select(vec![
        r#"{"type":"text_delta","text":"hello"}"#,
        r#"{"type":"text_delta","text":""}"#,
        r#"{"type":"thinking_delta","thinking":"hm"}"#,
        r#"{"type":"signature_delta","signature":"s"}"#,
        r#"{"type":"input_json_delta","partial_json":"{\"a\""}"#,
        r#"{"type":"input_json_delta","partial_json":":1}"}"#,
        r#"{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"u"}}"#,
        r#"{"type":"compaction_delta","content":"c"}"#,
        r#"{"type":"new_delta","x":"y"}"#,
        r#"{}"#,
    ]);
    let stops = prop::sample::select(vec!["\"end_turn\"", "\"tool_use\"", "\"max_tokens\"", "\"new\"", "null"]);
    prop_oneof![
        2 => Just(r#"{"type":"message_start","message":{"id":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}"#.to_owned()),
        1 => Just(r#"{"type":"message_start","message":{"content":[{"type":"text","text":"x"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}],"stop_reason":"tool_use"}}"#.to_owned()),
        4 => (index.clone(), blocks).prop_map(|(index, block)| format!(r#"{{"type":"content_block_start","index":{index},"content_block":{block}}}"#)),
        6 => (index.clone(), deltas).prop_map(|(index, delta)| format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#)),
        4 => index.prop_map(|index| format!(r#"{{"type":"content_block_stop","index":{index}}}"#)),
        2 => stops.prop_map(|stop| format!(r#"{{"type":"message_delta","delta":{{"stop_reason":{stop},"stop_sequence":null}},"usage":{{"output_tokens":3}}}}"#)),
        1 => Just(r#"{"type":"message_stop"}"#.to_owned()),
        1 => Just(r#"{"type":"ping"}"#.to_owned()),
        1 => Just(r#"{"type":"something_new","a":1}"#.to_owned()),
        1 => Just("not json".to_owned()),
        1 => Just("[DONE]".to_owned()),
        1 => Just(r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#.to_owned()),
        1 => Just(r#"{"type":"message","content":[{"type":"text","text":"whole"}],"stop_reason":"end_turn"}"#.to_owned()),
    ]
    .prop_map(|data| format!("data: {data}\n\n"))
}

/// JSON that looks like a body, with anything anywhere.
fn wire() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "text",
            "user",
            "assistant",
            "tool_use",
            "tool_result",
            "image",
            "base64",
            "thinking"
        ])
        .prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "type",
        "role",
        "content",
        "messages",
        "model",
        "max_tokens",
        "system",
        "text",
        "id",
        "name",
        "input",
        "source",
        "tools",
        "thinking",
        "signature",
        "usage",
        "stop_reason",
        "tool_use_id",
        "cache_control",
        "citations",
    ]);
    let value = scalar.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|members| Value::Object(
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    });
    value.prop_map(|value| value.to_string())
}
