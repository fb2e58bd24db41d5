//! Streams, both ways.

use polyport_protocol::collect::{Collector, into_events};
use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    ClientContext, Profile, RequestHead, StreamDecoder, StreamEncoder, Target, decode_request, decode_response,
    encode_request, encode_response, resolve,
};

use polyport_testkit::grammar::Check;

use super::*;
use crate::wire;

fn target() -> Target {
    Target::plain(Protocol::Gemini, "m")
}

fn read_pieces<'b>(target: &Target, pieces: impl IntoIterator<Item = &'b [u8]>, end: BodyEnd) -> Vec<Event> {
    let mut decoder = StreamDecoder::new(target, 1 << 24);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(piece.to_vec().into(), &mut events);
    }
    decoder.finish(end, &mut events);
    events
}

fn read(body: &str) -> Vec<Event> {
    let events = read_pieces(&target(), [body.as_bytes()], BodyEnd::Clean);
    Validator::check_all(&events).unwrap_or_else(|problem| panic!("{problem}\n{events:#?}"));
    events
}

fn sse(chunks: &[Value]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect()
}

fn collect(events: Vec<Event>) -> Result<Response, Fault> {
    let mut collector = Collector::new();
    events.into_iter().for_each(|event| collector.push(event));
    collector.into_response()
}

fn write(context: ClientContext, events: Vec<Event>) -> String {
    let mut encoder = StreamEncoder::new(ClientProtocol::Gemini, context);
    let mut out = Vec::new();
    events.into_iter().for_each(|event| encoder.encode(event, &mut out));
    String::from_utf8(out).unwrap()
}

/// The chunks of a stream that keeps to what official readers take.
fn chunks(text: &str) -> Vec<Value> {
    assert!(text.ends_with("\r\n\r\n"), "{text}");
    text.split_terminator("\r\n\r\n")
        .map(|event| {
            let data = event.strip_prefix("data: ").unwrap_or_else(|| panic!("not a data line: {event}"));
            assert!(!data.contains(['\r', '\n']));
            serde_json::from_str(data).unwrap()
        })
        .collect()
}

fn chunk(parts: impl Into<Value>, finish: Option<&str>) -> Value {
    let parts: Value = parts.into();
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(word) = finish {
        candidate["finishReason"] = word.into();
    }
    json!({"candidates": [candidate], "modelVersion": "gemini-3-flash", "responseId": "r1"})
}

fn fault_of(events: &[Event]) -> &Fault {
    match events {
        [.., Event::Error(fault), Event::End] => fault,
        other => panic!("no error at the end of {other:#?}"),
    }
}

#[test]
fn thoughts_text_calls_and_their_signatures() {
    let body = sse(&[
        chunk(json!([{"text": "Two ", "thought": true}]), None),
        chunk(json!([{"text": "lookups.", "thought": true, "thoughtSignature": "VGg="}]), None),
        chunk(json!([{"text": "Check"}, {"text": "ing."}]), None),
        chunk(json!([{"text": "", "thoughtSignature": "VHg="}]), None),
        chunk(
            json!([{"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": "Q2lR"}]),
            None,
        ),
        chunk(json!([{"functionCall": {"name": "weather", "args": {"city": "Rome"}}}]), None),
        chunk(json!([{"text": ""}]), Some("STOP")),
        json!({"usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6}}),
    ]);
    let events = read(&body);
    let PartId(first) = PartId(0);
    assert_eq!(first, 0);
    let expected = [
        Event::Start(Box::new(StreamStart {
            id: "r1".into(),
            model: "gemini-3-flash".into(),
            ..StreamStart::default()
        })),
        Event::PartStart { part: PartId(0), choice: 0, start: PartStart::Reasoning { item_id: None, summary: false } },
        Event::Delta { part: PartId(0), text: "Two ".into() },
        Event::Delta { part: PartId(0), text: "lookups.".into() },
        Event::Signature { part: PartId(0), signature: Box::new(google(SignatureKind::Part, "VGg=")) },
        Event::PartEnd { part: PartId(0), status: PartStatus::Complete },
        Event::PartStart { part: PartId(1), choice: 0, start: PartStart::Text { item_id: None, phase: None } },
        Event::Delta { part: PartId(1), text: "Check".into() },
        Event::Delta { part: PartId(1), text: "ing.".into() },
        Event::Signature { part: PartId(1), signature: Box::new(google(SignatureKind::Part, "VHg=")) },
        Event::PartEnd { part: PartId(1), status: PartStatus::Complete },
    ];
    assert_eq!(events.get(..expected.len()).unwrap(), expected);
    let response = collect(events).unwrap();
    let candidate = &response.candidates[0];
    assert_eq!(candidate.finish, FinishReason::ToolCalls);
    assert_eq!(
        candidate.parts[2..],
        [
            Part {
                signature: Some(google(SignatureKind::FunctionCall, "Q2lR")),
                ..call_part("call_r1x0x2", "weather", r#"{"city":"Oslo"}"#)
            },
            call_part("call_r1x0x3", "weather", r#"{"city":"Rome"}"#)
        ]
    );
    assert_eq!(response.usage.total(), 6);
}

#[test]
fn a_signature_that_belongs_to_nothing_stands_alone() {
    let events = read(&sse(&[
        chunk(json!([{"functionCall": {"name": "f"}}]), None),
        chunk(json!([{"text": "", "thoughtSignature": "QQ=="}]), Some("STOP")),
    ]));
    let response = collect(events).unwrap();
    assert_eq!(
        response.candidates[0].parts,
        [call_part("call_r1x0x0", "f", "{}"), thought("", Some(google(SignatureKind::Part, "QQ==")))]
    );
    // Visible text with a signature is not reasoning; text after it is another part.
    let response =
        collect(read(&sse(&[chunk(json!([{"text": "a", "thoughtSignature": "QQ=="}, {"text": "b"}]), Some("STOP"))])))
            .unwrap();
    let signed = Part { signature: Some(google(SignatureKind::Part, "QQ==")), ..Part::text("a") };
    assert_eq!(response.candidates[0].parts, [signed, Part::text("b")]);
}

#[test]
fn calls_in_pieces() {
    let piece = |path: &str, value: Value, more: bool| {
        let mut arg = value;
        arg["jsonPath"] = path.into();
        chunk(json!([{"functionCall": {"partialArgs": [arg], "willContinue": more}}]), None)
    };
    let body = sse(&[
        chunk(json!([{"functionCall": {"name": "write", "willContinue": true}, "thoughtSignature": "QQ=="}]), None),
        piece("$.items[0].name", json!({"stringValue": "app", "willContinue": true}), true),
        piece("$.items[0].name", json!({"stringValue": "le", "willContinue": true}), true),
        piece("$.items[0].name", json!({"stringValue": ""}), true),
        piece("$.items[0].price", json!({"numberValue": 0.5}), true),
        chunk(json!([{"functionCall": {}}]), None),
        // The end of the next one is only told by what follows.
        chunk(json!([{"functionCall": {"name": "more", "willContinue": true}}]), None),
        piece("$.on", json!({"boolValue": true}), true),
        chunk(json!([{"functionCall": {"name": "none"}}, {"text": ""}]), Some("STOP")),
    ]);
    let response = collect(read(&body)).unwrap();
    let parts = &response.candidates[0].parts;
    assert_eq!(parts.len(), 3);
    assert_eq!(
        parts[0],
        Part {
            signature: Some(google(SignatureKind::FunctionCall, "QQ==")),
            ..call_part("call_r1x0x0", "write", r#"{"items":[{"name":"apple","price":0.5}]}"#)
        }
    );
    assert_eq!(parts[1], call_part("call_r1x0x1", "more", r#"{"on":true}"#));
    assert_eq!(parts[2], call_part("call_r1x0x2", "none", "{}"));
    assert_eq!(response.candidates[0].finish, FinishReason::ToolCalls);

    // Cut off by the limit, the last call is not whole and the reason stays.
    let cut = sse(&[
        chunk(json!([{"functionCall": {"name": "write", "willContinue": true}}]), None),
        piece("$.a", json!({"stringValue": "x", "willContinue": true}), true),
        chunk(json!([]), Some("MAX_TOKENS")),
    ]);
    let response = collect(read(&cut)).unwrap();
    let PartKind::ToolCall(call) = &response.candidates[0].parts[0].kind else { panic!() };
    assert_eq!((call.status, &response.candidates[0].finish), (PartStatus::Incomplete, &FinishReason::MaxTokens));
}

#[test]
fn usage_is_revised_and_traffic_is_no_usage() {
    let usage = |prompt: u64, thoughts: u64| {
        json!({"candidates": [{"content": {"parts": [{"text": "a"}]}}],
        "usageMetadata": {"promptTokenCount": prompt, "candidatesTokenCount": 1, "thoughtsTokenCount": thoughts, "totalTokenCount": prompt + thoughts + 1}})
    };
    let mut last = usage(8, 5);
    last["candidates"][0]["finishReason"] = "STOP".into();
    let events = read(&sse(&[
        json!({"usageMetadata": {"trafficType": "ON_DEMAND"}, "responseId": "r"}),
        usage(10, 0),
        usage(10, 0),
        last,
    ]));
    let counts: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Usage(usage) => Some((usage.input_total(), usage.reasoning)),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [(10, Some(0)), (8, Some(5))]);
}

#[test]
fn a_blocked_prompt_is_no_empty_success() {
    let body = sse(&[
        json!({"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "no"}, "modelVersion": "m", "responseId": "r",
        "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}),
    ]);
    let events = read(&body);
    let response = collect(events.clone()).unwrap();
    assert_eq!(response.prompt_block.as_ref().unwrap().reason, "SAFETY");
    assert_eq!(response.candidates[0].finish, FinishReason::ContentFilter);
    let chunks = chunks(&write(context(Protocol::Gemini, None), events));
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0]["promptFeedback"], json!({"blockReason": "SAFETY", "blockReasonMessage": "no"}));
    assert_eq!(chunks[0].get("candidates"), None);
}

#[test]
fn errors_in_every_form() {
    let error = json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}});
    let text = chunk(json!([{"text": "a"}]), None);
    for body in [
        sse(&[text.clone(), error.clone()]),
        format!("{}{error}", sse(std::slice::from_ref(&text))),
        format!("[{text},\n{error}]"),
        format!("[{error}]"),
        sse(&[json!([error])]),
        sse(&[json!({"response": error})]),
        error.to_string(),
    ] {
        let events = read_pieces(&target(), [body.as_bytes()], BodyEnd::Clean);
        Validator::check_all(&events).unwrap();
        let fault = fault_of(&events);
        assert_eq!((fault.class, fault.upstream_status), (FaultClass::Overloaded, Some(503)), "{body}");
    }
}

#[test]
fn how_a_body_may_end() {
    let text = chunk(json!([{"text": "a"}]), None);
    let done = chunk(json!([{"text": "b"}]), Some("STOP"));
    let finished = |body: &str, end| {
        let events = read_pieces(&target(), [body.as_bytes()], end);
        Validator::check_all(&events).unwrap();
        matches!(events.as_slice(), [.., Event::Finish(_), Event::End])
    };
    assert!(!finished("", BodyEnd::Clean));
    assert!(!finished(
        &sse(&[json!({"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}})]),
        BodyEnd::Clean
    ));
    assert!(!finished(&sse(std::slice::from_ref(&text)), BodyEnd::Clean));
    assert!(finished(&sse(&[text.clone(), done.clone()]), BodyEnd::Clean));
    assert!(finished(&sse(&[text.clone(), done.clone()]), BodyEnd::Broken), "the reason was there");
    assert!(finished(&format!("{}data: [DONE]\n\n", sse(std::slice::from_ref(&done))), BodyEnd::Clean));
    assert!(finished(&format!("[{text},\r\n{done}]"), BodyEnd::Clean), "a JSON array");
    assert!(finished(&sse(&[json!({"response": text, "traceId": "t"}), json!({"response": done})]), BodyEnd::Clean));
    assert!(finished(&format!(": hello\n\nevent: message\ndata: {done}"), BodyEnd::Clean), "no blank line at the end");
    assert!(!finished("data: {oops}\n\n", BodyEnd::Clean));
    assert!(finished(&format!("data: {{oops}}\n\n{}", sse(std::slice::from_ref(&done))), BodyEnd::Clean));
    let lenient = Target { profile: Profile { may_omit_finish: true, ..Profile::default() }.into(), ..target() };
    let events = read_pieces(&lenient, [sse(&[text]).as_bytes()], BodyEnd::Clean);
    assert_eq!(collect(events).unwrap().candidates[0].finish, FinishReason::Stop);
}

#[test]
fn several_candidates_interleave() {
    let of = |index: u32, text: &str, finish: Option<&str>| {
        let mut candidate = json!({"content": {"parts": [{"text": text}]}, "index": index});
        if let Some(word) = finish {
            candidate["finishReason"] = word.into();
        }
        candidate
    };
    let events = read(&sse(&[
        json!({"candidates": [of(0, "a", None), of(1, "x", None)]}),
        json!({"candidates": [of(1, "y", Some("MAX_TOKENS"))]}),
        json!({"candidates": [of(0, "b", Some("STOP"))]}),
    ]));
    let written = write(context(Protocol::Gemini, None), events.clone());
    let last = chunks(&written).pop().unwrap();
    assert_eq!(last["candidates"][1]["index"], 1);
    let response = collect(events).unwrap();
    let texts: Vec<_> =
        response.candidates.iter().map(|c| (c.parts[0].as_text().unwrap().to_string(), c.finish.clone())).collect();
    assert_eq!(texts, [("ab".to_owned(), FinishReason::Stop), ("xy".to_owned(), FinishReason::MaxTokens)]);
    assert_eq!(collect(read(&written)).unwrap().candidates, response.candidates);
}

#[test]
fn grounding_becomes_citations_of_the_text() {
    let mut last = chunk(json!([{"text": " ist da."}]), Some("STOP"));
    last["candidates"][0]["groundingMetadata"] = json!({"groundingChunks": [{"web": {"uri": "https://a.org", "title": "a"}}],
        "groundingSupports": [{"segment": {"startIndex": 3, "endIndex": 6, "text": "ist"}, "groundingChunkIndices": [0]}]});
    let response = collect(read(&sse(&[chunk(json!([{"text": "Ös"}]), None), last]))).unwrap();
    let PartKind::Text(text) = &response.candidates[0].parts[0].kind else { panic!() };
    assert_eq!(text.citations[0].span, Some(Span { start: 3, end: 6, unit: IndexUnit::Byte }));
    assert!(response.candidates[0].ext.get("groundingMetadata").is_some());
}

/// What a client sees of another provider's stream, to the byte.
#[test]
fn events_become_chunks() {
    let signed = Signature::new(Family::Anthropic, SignatureKind::Thinking, "EqQB");
    let mut events = into_events(Response {
        id: "msg_1".into(),
        candidates: vec![Candidate {
            parts: vec![
                thought("Hm.", Some(signed.clone())),
                Part::text("Hi\n"),
                call_part("toolu_1", "f", r#"{"a": 1}"#),
                call_part("toolu_2", "g", ""),
            ],
            finish: FinishReason::ToolCalls,
            ..Candidate::default()
        }],
        usage: Usage { input_uncached: Some(4), output_text: Some(2), ..Usage::default() },
        ..Response::default()
    });
    // Some providers tell the usage after the finish.
    let at = events.iter().position(|event| matches!(event, Event::Usage(_))).unwrap();
    let usage = events.remove(at);
    events.insert(events.len() - 1, usage);
    events.insert(3, Event::Ping);
    let written = write(context(Protocol::Messages, None), events.clone());
    let token = |text: &str| {
        let (signature, placement) = key().open_base64(text).unwrap();
        (signature.value, placement)
    };
    let all = chunks(&written);
    let envelope = |candidate: Value| json!({"candidates": [candidate], "modelVersion": "fast-tier", "responseId": "0".repeat(22)});
    let parts = |part: Value| envelope(json!({"content": {"parts": [part], "role": "model"}, "index": 0}));
    assert_eq!(all.len(), 5);
    let hidden = all[0]["candidates"][0]["content"]["parts"][0].clone();
    assert_eq!(hidden["text"], "");
    assert_eq!(
        token(hidden["thoughtSignature"].as_str().unwrap()),
        ("EqQB".into(), polyport_protocol::carrier::Placement::Own)
    );
    assert_eq!(all[1], parts(json!({"text": "Hi\n"})));
    assert_eq!(all[2], parts(json!({"functionCall": {"name": "f", "args": {"a": 1}}})));
    assert_eq!(all[3], parts(json!({"functionCall": {"name": "g", "args": {}}})));
    let mut last =
        envelope(json!({"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}));
    last["usageMetadata"] = json!({"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6});
    assert_eq!(all[4], last);
    assert!(
        written.starts_with("data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\",\"thoughtSignature\":\"")
    );
    // Arguments keep their text.
    assert!(written.contains(r#""args":{"a": 1}"#));

    let shown = chunks(&write(context(Protocol::Messages, Some(true)), events));
    assert_eq!(shown[0]["candidates"][0]["content"]["parts"], json!([{"text": "Hm.", "thought": true}]));
    let carrier = shown[1]["candidates"][0]["content"]["parts"][0]["thoughtSignature"].as_str().unwrap();
    assert_eq!(token(carrier), ("EqQB".into(), polyport_protocol::carrier::Placement::Previous));
}

/// Arguments of models are often spread over lines; an event is one line whatever it holds.
#[test]
fn an_event_is_one_line() {
    let response = Response {
        candidates: vec![Candidate {
            parts: vec![call_part("c", "f", "{\n  \"a\": \"x\\ny\",\r\n  \"b\": [1,\n 2]\n}")],
            finish: FinishReason::ToolCalls,
            ..Candidate::default()
        }],
        ..Response::default()
    };
    let all = chunks(&write(context(Protocol::Chat, None), into_events(response)));
    let call = &all[0]["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!(call["args"], json!({"a": "x\ny", "b": [1, 2]}));
}

#[test]
fn without_alt_sse_a_stream_is_a_list() {
    let listed = |events: Vec<Event>| {
        let mut context = context(Protocol::Chat, None);
        let mut request = (*context.request).clone();
        request.stream_options.json_array = true;
        context.request = request.into();
        let mut encoder = StreamEncoder::new(ClientProtocol::Gemini, context);
        assert_eq!(encoder.content_type(), "application/json");
        let mut out = Vec::new();
        for event in events {
            encoder.keep_alive(&mut out);
            encoder.encode(event, &mut out);
        }
        serde_json::from_slice::<Value>(&out).unwrap()
    };
    let response = |text: &str| Response {
        candidates: vec![Candidate { parts: vec![Part::text(text)], ..Candidate::default() }],
        ..Response::default()
    };
    let list = listed(into_events(response("hi")));
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[1]["candidates"][0]["finishReason"], "STOP");
    let fault = Fault::new(FaultClass::Overloaded, "busy");
    let error = json!({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}});
    assert_eq!(listed(vec![Event::Error(Box::new(fault.clone())), Event::End]), json!([error]));
    let mut events = into_events(response("hi"));
    let at = events.iter().position(|event| matches!(event, Event::PartEnd { .. })).unwrap();
    events.truncate(at);
    events.extend([Event::Error(Box::new(fault.clone())), Event::End]);
    let list = listed(events.clone());
    assert_eq!(list[1], error);
    // The same in an event stream; keep-alives are not for its readers.
    let mut encoder = StreamEncoder::new(ClientProtocol::Gemini, context(Protocol::Chat, None));
    assert_eq!(encoder.content_type(), "text/event-stream");
    let mut out = Vec::new();
    for event in events {
        encoder.keep_alive(&mut out);
        encoder.encode(event, &mut out);
    }
    assert_eq!(chunks(&String::from_utf8(out).unwrap()).pop().unwrap(), error);
}

#[test]
fn refusals_citations_and_log_probabilities_in_the_last_chunk() {
    let text = |part| Event::PartStart { part, choice: 0, start: PartStart::Text { item_id: None, phase: None } };
    let delta = |part, text: &str| Event::Delta { part, text: text.into() };
    let end = |part| Event::PartEnd { part, status: PartStatus::Complete };
    let span = Span { start: 3, end: 4, unit: IndexUnit::Utf16 };
    let token = TokenLogprob { token: "a".into(), logprob: -0.5, bytes: None, token_id: None, top: Vec::new() };
    let events = vec![
        Event::Start(Box::default()),
        text(PartId(0)),
        delta(PartId(0), "🙂 "),
        Event::Logprobs { choice: 0, part: Some(PartId(0)), tokens: vec![token] },
        delta(PartId(0), "a."),
        Event::Citation { part: PartId(0), citation: Box::new(Citation::url("https://a.org", None, Some(span))) },
        end(PartId(0)),
        Event::PartStart { part: PartId(1), choice: 0, start: PartStart::Refusal },
        delta(PartId(1), "No more."),
        end(PartId(1)),
        Event::Finish(Box::default()),
        Event::End,
    ];
    Validator::check_all(&events).unwrap();
    let last = chunks(&write(context(Protocol::Responses, None), events)).pop().unwrap();
    let candidate = &last["candidates"][0];
    assert_eq!((&candidate["finishReason"], &candidate["finishMessage"]), (&json!("SAFETY"), &json!("No more.")));
    assert_eq!(
        candidate["groundingMetadata"]["groundingSupports"],
        json!([{"segment": {"startIndex": 5, "endIndex": 6, "text": "a"}, "groundingChunkIndices": [0]}])
    );
    assert_eq!(candidate["avgLogprobs"], -0.5);
}

/// Every hand-made stream says what the file beside it says, however it is cut.
#[test]
fn hand_made_streams() {
    let cases = fixtures("stream", ".sse");
    assert!(cases.len() > 20);
    for (name, body) in cases {
        let bytes = body.as_bytes();
        let events = read_pieces(&target(), [bytes], BodyEnd::Clean);
        Validator::check_all(&events).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        for cut in 0..bytes.len() {
            let (a, b) = bytes.split_at(cut);
            assert!(read_pieces(&target(), [a, b], BodyEnd::Clean) == events, "{name} cut at {cut}");
        }
        assert_eq!(summary(&events), fixture("stream", &format!("{name}.json")), "{name}");
        if let Ok(response) = collect(events.clone()) {
            let again = collect(read(&write(context(Protocol::Gemini, Some(true)), events))).unwrap();
            let response = Response { model: "fast-tier".into(), ..response };
            assert_same(&name, &again, &response);
        } else {
            let failed = write(context(Protocol::Gemini, Some(true)), events);
            assert!(chunks(&failed).pop().unwrap().get("error").is_some(), "{name}");
        }
    }
}

fn summary(events: &[Event]) -> Value {
    let mut collector = Collector::new();
    let mut error = Value::Null;
    for event in events {
        match event {
            // What came before an error counts here.
            Event::Error(fault) => error = fault.class.as_str().into(),
            other => collector.push(other.clone()),
        }
    }
    let response = collector.into_response().unwrap();
    let none = Candidate::default();
    let candidate = response.first().unwrap_or(&none);
    let mut reasoning = String::new();
    let mut calls = Vec::new();
    for part in &candidate.parts {
        match &part.kind {
            PartKind::Reasoning(part) => reasoning.push_str(&part.text.joined()),
            PartKind::ToolCall(call) => calls.push(json!([&*call.name, &*call.arguments])),
            _ => {}
        }
    }
    let text: String = candidate.parts.iter().filter_map(Part::as_text).map(|text| &**text).collect();
    json!({"text": text, "reasoning": reasoning, "calls": calls, "finish": candidate.raw_finish.as_deref(), "error": error,
        "input": response.usage.input_total(), "output": response.usage.output_total()})
}

/// Every recorded stream keeps the rules of events, however it is cut; written for a client and read again it is the same.
#[test]
fn recorded_streams_survive() {
    let Some(records) = shared::records_or_skip("recorded_streams_survive", "gemini.jsonl") else { return };
    let mut seen = 0;
    for record in records.iter() {
        let Some(body) = &record.response.sse else { continue };
        let bytes = body.as_bytes();
        let events = read_pieces(&target(), [bytes], BodyEnd::Clean);
        Validator::check_all(&events).unwrap_or_else(|problem| panic!("{}: {problem}", record.id));
        for size in [1, 7, 61, 1024] {
            let cut = read_pieces(&target(), bytes.chunks(size), BodyEnd::Clean);
            assert!(cut == events, "{} by {size}", record.id);
        }
        if bytes.len() < 2000 {
            for cut in 0..bytes.len() {
                let (a, b) = bytes.split_at(cut);
                assert!(read_pieces(&target(), [a, b], BodyEnd::Clean) == events, "{} at {cut}", record.id);
            }
        }
        seen += 1;
        if record.has_tag("abnormal_stream") {
            assert!(matches!(events.last(), Some(Event::End)), "{}", record.id);
            continue;
        }
        let response = collect(events.clone()).unwrap_or_else(|fault| panic!("{}: {fault}", record.id));
        let mut context = context(Protocol::Gemini, Some(true));
        context.model = response.model.clone();
        let written = write(context, events);
        chunks(&written);
        let again = collect(read(&written)).unwrap();
        assert_same(&record.id, &again, &response);
    }
    assert!(seen > 10, "{seen}");
}

/// Every recorded whole answer told as a stream says the same.
#[test]
fn recorded_answers_told_as_streams() {
    let Some(records) = shared::records_or_skip("recorded_answers_told_as_streams", "gemini.jsonl") else { return };
    for record in records.iter().filter(|record| record.is_good_generation()) {
        let Some(body) = &record.response.body else { continue };
        let response = decode_response(&target(), body.clone().into()).unwrap();
        let events = into_events(response.clone());
        Validator::check_all(&events).unwrap_or_else(|problem| panic!("{}: {problem}", record.id));
        let mut context = context(Protocol::Gemini, Some(true));
        context.model = response.model.clone();
        let again = collect(read(&write(context, events))).unwrap_or_else(|fault| panic!("{}: {fault}", record.id));
        let say = |response: &Response| {
            let candidate = response.first().unwrap();
            let signatures = candidate.parts.iter().filter_map(|part| part.signature.clone()).collect::<Vec<_>>();
            let texts: String = candidate.parts.iter().filter_map(Part::as_text).map(|text| &**text).collect();
            let calls: Vec<_> = candidate
                .parts
                .iter()
                .filter_map(|part| match &part.kind {
                    PartKind::ToolCall(call) => Some((call.name.clone(), call.arguments.clone())),
                    _ => None,
                })
                .collect();
            (signatures, texts, calls, candidate.finish.clone(), candidate.ext.clone(), response.usage.clone())
        };
        assert!(say(&again) == say(&response), "{}", record.id);
    }
}

/// A Gemini client talks with a Messages model: its signatures travel in carriers, whole or streamed, and come back to their words.
#[test]
fn foreign_signatures_return_to_their_words() {
    let signed = Signature::new(Family::Anthropic, SignatureKind::Thinking, "EqQB");
    let hidden = Signature::new(Family::Anthropic, SignatureKind::Redacted, "RedA");
    let response = Response {
        id: "msg_1".into(),
        candidates: vec![Candidate {
            parts: vec![
                thought("Hm.", Some(signed.clone())),
                thought("", Some(hidden.clone())),
                call_part("toolu_1", "f", "{}"),
            ],
            finish: FinishReason::ToolCalls,
            ..Candidate::default()
        }],
        ..Response::default()
    };
    let streamed: Vec<Value> = chunks(&write(context(Protocol::Messages, Some(true)), into_events(response.clone())))
        .iter()
        .flat_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array().unwrap().clone())
        .collect();
    let whole: Value = serde_json::from_slice(&encode_response(
        ClientProtocol::Gemini,
        &context(Protocol::Messages, Some(true)),
        &response,
    ))
    .unwrap();
    let whole = whole["candidates"][0]["content"]["parts"].as_array().unwrap().clone();
    for parts in [streamed, whole] {
        let body = json!({"contents": [
            {"role": "user", "parts": [{"text": "go"}]},
            {"role": "model", "parts": parts},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "done"}}}]}]});
        let head = RequestHead { model: Some("claude".into()), ..RequestHead::default() };
        let request = decode_request(ClientProtocol::Gemini, &head, body.to_string().into()).unwrap();
        let target = Target { scope: 7, ..Target::plain(Protocol::Messages, "claude") };
        let carrier = key();
        let context = ResolveContext { carrier: Some(&carrier), signatures: &|_| Vec::new() };
        let mut losses = Losses::new();
        let (resolved, _) = resolve(&target, request, &context, &mut losses);
        let said: Vec<_> = resolved.messages[1]
            .parts
            .iter()
            .map(|part| {
                (
                    part.signature.as_ref().map(|signature| signature.value.to_string()),
                    matches!(&part.kind, PartKind::Reasoning(_)),
                )
            })
            .collect();
        assert_eq!(said, [(Some("EqQB".to_owned()), true), (Some("RedA".to_owned()), true), (None, false)]);
        let PartKind::Reasoning(reasoning) = &resolved.messages[1].parts[0].kind else { panic!() };
        assert_eq!(reasoning.text, ReasoningText::Full("Hm.".into()));

        // A Gemini model gets none of it, and the bypass for the call.
        let request = decode_request(ClientProtocol::Gemini, &head, body.to_string().into()).unwrap();
        let target = Target::plain(Protocol::Gemini, "gemini-3-pro");
        let (resolved, _) = resolve(&target, request, &context, &mut losses);
        let body: Value = serde_json::from_slice(&encode_request(&target, &resolved, &mut losses).body).unwrap();
        let model = body["contents"][1]["parts"].as_array().unwrap();
        assert_eq!(model.len(), 1, "{model:?}");
        assert_eq!(model[0]["thoughtSignature"], "skip_thought_signature_validator");
    }
}

#[test]
fn answers_are_begun_in_their_order_and_none_may_be_missing() {
    let chunk = |index: u32, finish: &str| {
        let candidate = json!({"content": {"parts": [{"text": format!("t{index}")}], "role": "model"}, "index": index, "finishReason": finish});
        format!("data: {}\r\n\r\n", json!({"candidates": [candidate], "modelVersion": "m", "responseId": "r"}))
    };
    let target = Target::plain(Protocol::Gemini, "m");
    let swapped = chunk(1, "STOP") + &chunk(0, "STOP");
    let events = wire::events(&target, [swapped.as_bytes()], BodyEnd::Clean);
    Validator::check_all(&events).unwrap();
    for client in [ClientProtocol::Gemini, ClientProtocol::Chat] {
        let seen =
            Check::new(client).stream(&wire::streamed(client, wire::curious(client, Protocol::Messages), &events));
        let texts: Vec<String> = seen.unwrap().choices.into_iter().map(|choice| choice.text).collect();
        assert_eq!(texts, ["t0", "t1"], "{client}");
    }
    for broken in [chunk(0, "STOP") + &chunk(2, "STOP"), chunk(0, "STOP") + &chunk(128, "STOP")] {
        wire::collected(&wire::events(&target, [broken.as_bytes()], BodyEnd::Clean)).unwrap_err();
    }
}
