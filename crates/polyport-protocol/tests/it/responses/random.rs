//! Any legal answer of any provider gives a legal stream, and the whole answer says the same.

use std::sync::Arc;

use polyport_protocol::CarrierKey;
use polyport_testkit::grammar::Check;
use polyport_types::{
    Candidate, Citation, CodeOutcome, Extras, Family, FinishReason, IndexUnit, Media, MediaSource, Part, PartStatus,
    Reasoning, ReasoningControl, ReasoningText, ReasoningVisibility, ServerToolCall, ServerToolKind, ServerToolResult,
    Signature, SignatureKind, Span, TextPart, ToolCall, ToolCallKind, Usage,
};
use proptest::prelude::*;

use super::*;

fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "é", "🙂", " ", "\n", "\"", "\\", "word", "𝕏"]), 0..12)
        .prop_map(|pieces| pieces.concat())
}

fn signature() -> impl Strategy<Value = Option<Signature>> {
    let families = prop::sample::select(vec![Family::OpenAi, Family::Google, Family::Anthropic, Family::Unknown]);
    let kinds = prop::sample::select(vec![SignatureKind::Thinking, SignatureKind::Part, SignatureKind::ReasoningItem]);
    prop::option::of(
        (families, kinds, "[a-z]{0,6}").prop_map(|(family, kind, value)| Signature::new(family, kind, value)),
    )
}

fn raw(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}

fn part() -> impl Strategy<Value = Part> {
    let text = (words(), signature(), prop::option::of("msg_[a-c]"), 0_u32..4).prop_map(
        |(text, signature, item_id, cited)| {
            let mut part = TextPart::new(text);
            for at in 0..cited {
                let span = (at % 2 == 0).then_some(Span { start: 0, end: at, unit: IndexUnit::Byte });
                part.citations.push(Citation::url(format!("https://example.org/{at}"), None, span));
            }
            Part { signature, item_id: item_id.map(Into::into), ..Part::new(PartKind::Text(part)) }
        },
    );
    let reasoning = (prop::collection::vec(words(), 0..3), signature(), any::<bool>(), prop::option::of("rs_[a-c]"))
        .prop_map(|(texts, signature, full, item_id)| {
            let texts: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).map(Into::into).collect();
            let text = match texts.first() {
                None => ReasoningText::None,
                Some(first) if full => ReasoningText::Full(polyport_types::Text::clone(first)),
                Some(_) => ReasoningText::Summary(texts),
            };
            let kind = PartKind::Reasoning(Box::new(Reasoning { text, redacted: false }));
            Part { signature, item_id: item_id.map(Into::into), ..Part::new(kind) }
        });
    let kinds = vec![
        (ToolCallKind::Function, "f", "{\"a\":\"é\"}"),
        (ToolCallKind::Function, "f", ""),
        (ToolCallKind::Function, "declared", "{\"input\":\"x\\ny\"}"),
        (ToolCallKind::Custom, "c", "free\ntext"),
        (ToolCallKind::Custom, "c", ""),
        (ToolCallKind::Builtin("local_shell".into()), "local_shell", r#"{"type":"exec","command":["ls"],"env":{}}"#),
        (ToolCallKind::Builtin("apply_patch".into()), "apply_patch", r#"{"type":"delete_file","path":"a"}"#),
        (
            ToolCallKind::Builtin("shell".into()),
            "shell",
            r#"{"commands":["ls"],"timeout_ms":null,"max_output_length":null}"#,
        ),
        (ToolCallKind::Builtin("bash".into()), "bash", r#"{"command":"ls"}"#),
        (ToolCallKind::Builtin("shell".into()), "shell", "no json"),
    ];
    let call = (prop::sample::select(kinds), signature(), "[a-z0-9]{8,80}").prop_map(
        |((kind, name, arguments), signature, id)| {
            let call = ToolCall {
                id: id.into(),
                name: name.into(),
                namespace: None,
                kind,
                arguments: arguments.into(),
                caller: None,
                status: PartStatus::Complete,
            };
            Part { signature, ..Part::new(PartKind::ToolCall(Box::new(call))) }
        },
    );
    let whole = prop::sample::select(vec![
        PartKind::Refusal("no".into()),
        PartKind::Image(Media::new(MediaSource::Base64 { mime: "image/png".into(), data: "AAAA".into() })),
        PartKind::Image(Media::new(MediaSource::Url { url: "https://example.org/a.png".into(), mime: None })),
        PartKind::ExecutableCode { language: "PYTHON".into(), code: "print(1)".into(), id: None },
        PartKind::CodeResult { outcome: CodeOutcome::Ok, output: "1".into(), id: None },
        PartKind::ServerToolCall(Box::new(ServerToolCall {
            id: "srv_1".into(),
            tool: ServerToolKind::WebSearch,
            name: "web_search".into(),
            input: raw(r#"{"query":"x"}"#),
            raw: None,
            protocol: Protocol::Messages,
        })),
        PartKind::ServerToolCall(Box::new(ServerToolCall {
            id: "srv_2".into(),
            tool: ServerToolKind::CodeExecution,
            name: "code_execution".into(),
            input: raw(r#"{"code":"1+1"}"#),
            raw: None,
            protocol: Protocol::Messages,
        })),
        PartKind::ServerToolResult(Box::new(ServerToolResult {
            call_id: "srv_2".into(),
            tool: ServerToolKind::CodeExecution,
            payload: raw(r#"{"stdout":"2","stderr":""}"#),
            is_error: false,
            raw: None,
            protocol: Protocol::Messages,
        })),
        PartKind::Reasoning(Box::new(Reasoning { text: ReasoningText::None, redacted: true })),
    ]);
    prop_oneof![3 => text, 2 => reasoning, 2 => call, 2 => (whole, signature()).prop_map(|(kind, signature)| {
        Part { signature, ..Part::new(kind) }
    })]
}

fn finish() -> impl Strategy<Value = FinishReason> {
    prop::sample::select(vec![
        FinishReason::Stop,
        FinishReason::MaxTokens,
        FinishReason::ContentFilter,
        FinishReason::Refusal { category: None, explanation: None },
        FinishReason::Refusal { category: None, explanation: Some("because".into()) },
        FinishReason::PauseTurn,
        FinishReason::Other,
        FinishReason::MalformedToolCall,
        FinishReason::Cancelled,
        FinishReason::Error,
    ])
}

fn context(provider: Protocol, shown: bool, sealed: bool) -> ClientContext {
    let mut request = Request::new(ClientProtocol::Responses, "alias");
    request.reasoning = Some(ReasoningControl {
        visibility: Some(if shown { ReasoningVisibility::Summary } else { ReasoningVisibility::Omitted }),
        ..ReasoningControl::default()
    });
    request.tools.push(polyport_types::Tool::Custom(Box::new(polyport_types::CustomTool {
        name: "declared".into(),
        namespace: None,
        description: None,
        format: polyport_types::CustomFormat::Text,
        ext: Extras::new(),
    })));
    let carrier = sealed.then(|| Arc::new(CarrierKey::new([3; 32])));
    ClientContext { carrier, now: 1_790_000_000, ..ClientContext::fixed(request, provider) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_a_legal_stream(
        mut parts in prop::collection::vec(part(), 0..7),
        finish in finish(),
        provider in prop::sample::select(Protocol::ALL.to_vec()),
        shown in any::<bool>(),
        sealed in any::<bool>(),
        cut in prop::option::of(0_usize..40),
    ) {
        // Call ids are unique in an answer, and nothing is left of a shorter one.
        for (at, part) in parts.iter_mut().enumerate() {
            if let PartKind::ToolCall(call) = &mut part.kind {
                call.id = format!("{at}{}", call.id).into();
            }
        }
        let called = parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_)));
        let reason = if called && finish == FinishReason::Stop { FinishReason::ToolCalls } else { finish };
        let usage = Usage { input_uncached: Some(3), output_text: Some(4), ..Usage::default() };
        let response = Response {
            candidates: vec![Candidate { parts, finish: reason, ..Candidate::default() }],
            usage,
            ..Response::default()
        };
        let context = context(provider, shown, sealed);
        let events = polyport_protocol::collect::into_events(response.clone());
        let stream = to_client(&context, &events);
        if let Err(problem) = Check::new(Protocol::Responses).stream(stream.as_bytes()) {
            prop_assert!(false, "{problem}\n{stream}");
        }
        let last: Value = serde_json::from_str(stream.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
        let whole: Value =
            serde_json::from_slice(&encode_response(ClientProtocol::Responses, &context, &response)).unwrap();
        if last["response"]["status"] != "failed" {
            prop_assert_eq!(&last["response"], &whole);
        }
        if let Err(problem) = Check::new(Protocol::Responses).answer(whole.to_string().as_bytes()) {
            prop_assert!(whole["status"] == "cancelled", "{problem}\n{whole}");
        }
        // A stream that breaks off anywhere ends in an error that clients understand.
        if let Some(cut) = cut {
            let mut broken: Vec<Event> = events.into_iter().take(cut).filter(|event| *event != Event::End).collect();
            broken.push(Event::Error(Box::new(polyport_types::Fault::new(polyport_types::FaultClass::Overloaded, "busy"))));
            broken.push(Event::End);
            let stream = to_client(&context, &broken);
            let seen = Check::new(Protocol::Responses).stream(stream.as_bytes());
            prop_assert!(seen.as_ref().is_ok_and(|seen| seen.failure.is_some()), "{seen:?}\n{stream}");
        }
    }
}
