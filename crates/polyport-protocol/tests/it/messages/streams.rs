//! What a client reads of any provider's answer, event by event and as a whole.

use std::sync::Arc;

use polyport_protocol::carrier::{CarrierKey, Placement};
use polyport_protocol::{ClientContext, StreamEncoder, encode_response};
use polyport_testkit::grammar::Check;
use polyport_types::{
    Candidate, CodeOutcome, Event, Family, Fault, FaultClass, Finish, FinishReason, Media, MediaSource, Part, PartId,
    PartKind, PartStart, PartStatus, PromptBlock, RawJson, Reasoning, ReasoningControl, ReasoningMode, ReasoningText,
    ReasoningVisibility, Response, ServerToolCallStart, ServerToolKind, Signature, SignatureKind, StreamStart, Text,
    ToolCall, ToolCallKind, ToolCallStart, Usage,
};

use super::*;

const KEY: [u8; 32] = [9; 32];

/// A client of a provider that speaks another protocol.
fn client(provider: Protocol, control: Option<ReasoningControl>) -> ClientContext {
    let mut request = Request::new(ClientProtocol::Messages, "alias");
    request.reasoning = control;
    let mut context = ClientContext::fixed(request, provider);
    context.carrier = Some(Arc::new(CarrierKey::new(KEY)));
    context.scope = 0x77aa_01bc;
    context.input_estimate = 321;
    context
}

fn thinking() -> Option<ReasoningControl> {
    Some(ReasoningControl { mode: ReasoningMode::Adaptive, ..ReasoningControl::default() })
}

fn hidden_thinking() -> Option<ReasoningControl> {
    Some(ReasoningControl { visibility: Some(ReasoningVisibility::Omitted), ..thinking().unwrap() })
}

fn start() -> Event {
    Event::Start(Box::new(StreamStart { id: "r1".into(), model: "m".into(), ..StreamStart::default() }))
}

fn text(part: u32) -> Event {
    open(part, PartStart::Text { item_id: None, phase: None })
}

fn reasoning(part: u32) -> Event {
    open(part, PartStart::Reasoning { item_id: None, summary: false })
}

fn open(part: u32, start: PartStart) -> Event {
    Event::PartStart { part: PartId(part), choice: 0, start }
}

fn call_of(id: &str, kind: ToolCallKind, signature: Option<Signature>) -> ToolCallStart {
    ToolCallStart {
        id: id.to_owned().into(),
        name: "weather".into(),
        namespace: None,
        kind,
        item_id: None,
        signature,
        caller: None,
        ext: Default::default(),
    }
}

fn call(part: u32, id: &str) -> Event {
    open(part, PartStart::ToolCall(Box::new(call_of(id, ToolCallKind::Function, None))))
}

fn delta(part: u32, text: &str) -> Event {
    Event::Delta { part: PartId(part), text: text.to_owned().into() }
}

fn end(part: u32) -> Event {
    Event::PartEnd { part: PartId(part), status: PartStatus::Complete }
}

fn signed(part: u32, signature: Signature) -> Event {
    Event::Signature { part: PartId(part), signature: Box::new(signature) }
}

fn used(input: u64, output: u64) -> Event {
    Event::Usage(Box::new(Usage { input_uncached: Some(input), output_text: Some(output), ..Usage::default() }))
}

fn finish(reason: FinishReason) -> Event {
    Event::Finish(Box::new(Finish { reason, ..Finish::default() }))
}

fn google() -> Signature {
    Signature::new(Family::Google, SignatureKind::FunctionCall, "Q2lR")
}

fn write(context: ClientContext, events: Vec<Event>) -> String {
    let mut encoder = StreamEncoder::new(ClientProtocol::Messages, context);
    let mut out = Vec::new();
    events.into_iter().for_each(|event| encoder.encode(event, &mut out));
    String::from_utf8(out).unwrap()
}

/// Writes a stream that must be legal and gives its events, the `ping`s left out.
fn read(context: ClientContext, events: Vec<Event>) -> Vec<Value> {
    let stream = write(context, events);
    Check::new(Protocol::Messages).stream(stream.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{stream}"));
    data(&stream).into_iter().filter(|event| event["type"] != "ping").collect()
}

fn data(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// The blocks of a stream: kind and what their deltas say together.
fn blocks(events: &[Value]) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    for event in events {
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                let block = &event["content_block"];
                let data = block.get("data").and_then(Value::as_str).unwrap_or_default();
                blocks.push((block["type"].as_str().unwrap().to_owned(), data.to_owned()));
            }
            "content_block_delta" => {
                let delta = &event["delta"];
                let piece = ["text", "thinking", "partial_json"].iter().find_map(|name| delta.get(*name)?.as_str());
                blocks.last_mut().unwrap().1.push_str(piece.unwrap_or_default());
            }
            _ => {}
        }
    }
    blocks
}

fn texts(blocks: &[(String, String)]) -> Vec<(&str, &str)> {
    blocks.iter().map(|(kind, text)| (kind.as_str(), text.as_str())).collect()
}

#[test]
fn a_plain_stream_byte_by_byte() {
    let events = vec![
        start(),
        text(0),
        delta(0, "Hi \"you\"\n"),
        Event::Ping,
        end(0),
        finish(FinishReason::Stop),
        used(12, 3),
        Event::End,
    ];
    let stream = write(client(Protocol::Chat, None), events);
    let expected = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_000000000000000000000000\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"alias\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":321,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0,\"service_tier\":\"standard\"}}}\n\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi \\\"you\\\"\\n\"}}\n\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":12,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":3}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    assert_eq!(stream, expected);
}

#[test]
fn overlapping_calls_stand_one_after_the_other() {
    let events = vec![
        start(),
        text(0),
        delta(0, "Two calls."),
        end(0),
        call(1, "a"),
        delta(1, "{\"city\":"),
        call(2, "b"),
        delta(2, "{\"city\":\"Rome\"}"),
        delta(1, "\"Oslo\"}"),
        call(3, "c"),
        end(3),
        end(2),
        end(1),
        used(1, 1),
        finish(FinishReason::ToolCalls),
        Event::End,
    ];
    let events = read(client(Protocol::Chat, None), events);
    assert_eq!(
        texts(&blocks(&events)),
        [
            ("text", "Two calls."),
            ("tool_use", "{\"city\":\"Oslo\"}"),
            ("tool_use", "{\"city\":\"Rome\"}"),
            ("tool_use", "{}")
        ]
    );
    assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "tool_use");
}

#[test]
fn too_much_that_overlaps_is_an_error() {
    let mut events = vec![start(), call(0, "a"), call(1, "b")];
    let big = "x".repeat(1 << 20);
    events.extend((0..9).map(|_| delta(1, &big)));
    events.extend([end(1), end(0), finish(FinishReason::ToolCalls), Event::End]);
    let stream = write(client(Protocol::Chat, None), events);
    assert!(stream.len() < 4096 && stream.contains("event: error") && !stream.contains("message_stop"));
}

#[test]
fn e9_a_google_answer_for_a_client_that_thinks() {
    let head = call_of("call_r1x0x2", ToolCallKind::Function, Some(google()));
    let events = vec![
        start(),
        reasoning(0),
        delta(0, "Two lookups needed."),
        end(0),
        text(1),
        delta(1, "Checking."),
        end(1),
        open(2, PartStart::ToolCall(Box::new(head))),
        delta(2, "{\"city\":\"Oslo\"}"),
        end(2),
        call(3, "call_r1x0x3"),
        delta(3, "{\"city\":\"Rome\"}"),
        end(3),
        Event::Usage(Box::new(Usage {
            input_uncached: Some(40),
            output_text: Some(20),
            reasoning: Some(10),
            ..Usage::default()
        })),
        finish(FinishReason::ToolCalls),
        Event::End,
    ];
    let context = client(Protocol::Gemini, thinking());
    let response = collected_of(&events);
    let read = read(context.clone(), events);
    let key = CarrierKey::new(KEY);
    let unsigned = key.seal(&Signature::new(Family::Google, SignatureKind::Part, ""), Placement::Own, context.scope);
    let carried = key.seal(&google(), Placement::Next, context.scope);
    assert!(unsigned.starts_with("pp1.g.p.77aa01bc..") && carried.starts_with("pp1.g.fn.77aa01bc.UTJsUg."));
    assert_eq!(
        texts(&blocks(&read)),
        [
            ("thinking", "Two lookups needed."),
            ("text", "Checking."),
            ("redacted_thinking", carried.as_str()),
            ("tool_use", "{\"city\":\"Oslo\"}"),
            ("tool_use", "{\"city\":\"Rome\"}")
        ]
    );
    let signatures: Vec<&Value> = read.iter().filter_map(|event| event["delta"].get("signature")).collect();
    assert_eq!(signatures, [&json!(unsigned)]);

    let whole = json_of(&encode_response(ClientProtocol::Messages, &context, &response));
    assert_eq!(
        whole["content"],
        json!([
            {"type": "thinking", "thinking": "Two lookups needed.", "signature": unsigned},
            {"type": "text", "text": "Checking."},
            {"type": "redacted_thinking", "data": carried},
            {"type": "tool_use", "id": "call_r1x0x2", "name": "weather", "input": {"city": "Oslo"}},
            {"type": "tool_use", "id": "call_r1x0x3", "name": "weather", "input": {"city": "Rome"}}
        ])
    );
    assert_eq!(whole["stop_reason"], "tool_use");
    assert_eq!(whole["usage"]["output_tokens"], 30);
    assert_eq!(whole["usage"]["output_tokens_details"], json!({"thinking_tokens": 10}));
}

fn collected_of(events: &[Event]) -> Response {
    super::answers::collected(events).unwrap()
}

#[test]
fn clients_without_thinking_get_none_and_signatures_go_to_the_side() {
    let openai = Signature::new(Family::OpenAi, SignatureKind::ReasoningItem, "gAAAA");
    let events = vec![
        start(),
        reasoning(0),
        delta(0, "secret thoughts"),
        signed(0, openai.clone()),
        end(0),
        open(1, PartStart::ToolCall(Box::new(call_of("call.1", ToolCallKind::Function, Some(google()))))),
        end(1),
        used(1, 1),
        finish(FinishReason::ToolCalls),
        Event::End,
    ];
    for control in [None, Some(ReasoningControl { mode: ReasoningMode::Off, ..ReasoningControl::default() })] {
        let context = client(Protocol::Gemini, control);
        let mut encoder = StreamEncoder::new(ClientProtocol::Messages, context.clone());
        let mut out = Vec::new();
        events.iter().cloned().for_each(|event| encoder.encode(event, &mut out));
        let stream = String::from_utf8(out).unwrap();
        assert!(!stream.contains("thinking") && !stream.contains("secret"), "{stream}");
        let kept = vec![(Text::from("call_1"), vec![openai.clone(), google()])];
        assert_eq!(encoder.take_signatures(), kept);
        assert!(encoder.take_signatures().is_empty());
        let response = collected_of(&events);
        assert_eq!(messages::uncarried_signatures(&context, &response), kept);
        let whole = String::from_utf8(encode_response(ClientProtocol::Messages, &context, &response)).unwrap();
        assert!(!whole.contains("thinking") && !whole.contains("secret"), "{whole}");
    }
    let context = client(Protocol::Gemini, thinking());
    assert!(messages::uncarried_signatures(&context, &collected_of(&events)).is_empty());
}

#[test]
fn hidden_thinking_keeps_its_signature() {
    let native = Signature::new(Family::Anthropic, SignatureKind::Thinking, "EqQB");
    let openai = Signature::new(Family::OpenAi, SignatureKind::ReasoningItem, "gAAAA");
    let answer = |signature: Option<Signature>| {
        let mut events = vec![start(), reasoning(0), delta(0, "hidden words")];
        events.extend(signature.map(|signature| signed(0, signature)));
        events.extend([end(0), text(1), delta(1, "Hi"), end(1), used(1, 1), finish(FinishReason::Stop), Event::End]);
        events
    };
    let blocks_of = |provider, signature| {
        let events = read(client(provider, hidden_thinking()), answer(signature));
        assert!(!json!(events).to_string().contains("hidden words"));
        blocks(&events)
    };
    assert_eq!(texts(&blocks_of(Protocol::Messages, Some(native))), [("thinking", ""), ("text", "Hi")]);
    assert_eq!(texts(&blocks_of(Protocol::Chat, None)), [("text", "Hi")]);
    let carried = blocks_of(Protocol::Responses, Some(openai.clone()));
    assert_eq!(carried[0].0, "redacted_thinking");
    assert_eq!(CarrierKey::new(KEY).open(&carried[0].1).unwrap().0.value, openai.value);
}

#[test]
fn a_thinking_block_has_exactly_one_signature() {
    let native = |value: &str| Signature::new(Family::Anthropic, SignatureKind::Thinking, value.to_owned());
    let sse = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"content\":[],\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"first\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"last\"}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let events = super::answers::events(&Target::plain(Protocol::Messages, "m"), sse);
    let signatures: Vec<&Event> = events.iter().filter(|event| matches!(event, Event::Signature { .. })).collect();
    assert_eq!(signatures, [&signed(0, native("last"))]);
    let read = read(client(Protocol::Messages, thinking()), events);
    let deltas: Vec<&Value> = read.iter().filter_map(|event| event["delta"].get("signature")).collect();
    assert_eq!(deltas, [&json!("last")]);
    // What the provider counted at the start stands at the end as well.
    assert_eq!(read[read.len() - 2]["usage"]["input_tokens"], 5);
}

#[test]
fn a_signature_after_the_text_stands_before_the_next_block() {
    let part = Signature::new(Family::Google, SignatureKind::Part, "AbC0");
    let events = vec![
        start(),
        text(0),
        delta(0, "Done."),
        signed(0, part.clone()),
        end(0),
        text(1),
        delta(1, "More."),
        end(1),
        used(1, 1),
        finish(FinishReason::Stop),
        Event::End,
    ];
    let context = client(Protocol::Gemini, thinking());
    let whole = json_of(&encode_response(ClientProtocol::Messages, &context, &collected_of(&events)));
    let key = CarrierKey::new(KEY);
    let read = blocks(&read(context, events));
    assert_eq!(read[0], ("text".to_owned(), "Done.".to_owned()));
    assert_eq!(key.open(&read[1].1).unwrap().1, Placement::Previous);
    assert_eq!(read[2], ("text".to_owned(), "More.".to_owned()));
    // Known in time, it stands before: some clients refuse thinking at the end.
    assert_eq!(whole["content"][1]["type"], "text");
    assert_eq!(key.open(whole["content"][0]["data"].as_str().unwrap()).unwrap().1, Placement::Next);
}

#[test]
fn the_end_waits_for_the_usage() {
    let mut encoder = StreamEncoder::new(ClientProtocol::Messages, client(Protocol::Chat, None));
    let mut out = Vec::new();
    for event in [start(), text(0), delta(0, "four bytes a token"), end(0), finish(FinishReason::MaxTokens)] {
        encoder.encode(event, &mut out);
    }
    assert!(encoder.is_holding());
    assert!(!String::from_utf8_lossy(&out).contains("message_delta"));
    let before = out.len();
    encoder.keep_alive(&mut out);
    assert!(out.len() > before);
    encoder.flush_held(&mut out);
    assert!(!encoder.is_holding());
    let stream = String::from_utf8(out.clone()).unwrap();
    let events = data(&stream);
    let last = &events[events.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], "max_tokens");
    // Unknown input is not said; output is estimated.
    assert_eq!(last["usage"], json!({"output_tokens": 5}));
    // Nothing follows the end.
    for event in [used(1, 2), Event::Ping, text(7), delta(7, "x"), Event::End] {
        encoder.encode(event, &mut out);
    }
    encoder.keep_alive(&mut out);
    encoder.flush_held(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), stream);

    let late = vec![start(), text(0), delta(0, "x"), end(0), finish(FinishReason::Stop), Event::End];
    assert!(
        write(client(Protocol::Chat, None), late)
            .ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
    );
}

#[test]
fn keep_alives_wait_for_the_beginning() {
    let mut encoder = StreamEncoder::new(ClientProtocol::Messages, client(Protocol::Chat, None));
    let mut out = Vec::new();
    encoder.keep_alive(&mut out);
    assert!(out.is_empty());
    encoder.encode(start(), &mut out);
    encoder.encode(used(77, 0), &mut out);
    assert!(out.is_empty(), "the usage still belongs to the start");
    encoder.keep_alive(&mut out);
    let stream = String::from_utf8(out).unwrap();
    assert!(stream.starts_with("event: message_start") && stream.ends_with("{\"type\":\"ping\"}\n\n"));
    assert!(stream.contains("\"input_tokens\":77"));
}

#[test]
fn a_second_start_is_not_written() {
    let mut again = vec![start(), Event::Ping, start()];
    again.extend([text(0), delta(0, "x"), end(0), used(1, 1), finish(FinishReason::Stop), Event::End]);
    let events = read(client(Protocol::Chat, None), again);
    assert_eq!(events.iter().filter(|event| event["type"] == "message_start").count(), 1);
}

#[test]
fn an_error_ends_the_stream_in_its_own_form() {
    let fault = Fault::new(FaultClass::Overloaded, "busy");
    let stream = write(
        client(Protocol::Chat, None),
        vec![start(), text(0), delta(0, "x"), Event::Error(Box::new(fault)), Event::End],
    );
    assert!(stream.ends_with(
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"
    ));
    for events in [vec![start(), text(0), delta(0, "x"), Event::End], vec![Event::End]] {
        let stream = write(client(Protocol::Chat, None), events);
        assert!(stream.contains("event: error") && !stream.contains("message_stop"));
    }
}

#[test]
fn arguments_become_objects() {
    let answer = |kind: ToolCallKind, pieces: &[&str]| {
        let mut events = vec![start(), open(0, PartStart::ToolCall(Box::new(call_of("a", kind, None))))];
        events.extend(pieces.iter().map(|piece| delta(0, piece)));
        events.extend([end(0), used(1, 1), finish(FinishReason::ToolCalls), Event::End]);
        blocks(&read(client(Protocol::Chat, None), events))[0].1.clone()
    };
    let function = || ToolCallKind::Function;
    assert_eq!(answer(function(), &[]), "{}");
    assert_eq!(answer(function(), &["\n ", "{\"a\"", ":1}"]), "{\"a\":1}");
    assert_eq!(answer(function(), &["nu", "ll"]), "{}");
    assert_eq!(answer(function(), &["[1,", "2]"]), "{\"value\":[1,2]}");
    assert_eq!(answer(ToolCallKind::Custom, &["*** Begin", " \"Patch\""]), "{\"input\":\"*** Begin \\\"Patch\\\"\"}");
    assert_eq!(answer(ToolCallKind::Builtin("shell".into()), &["{\"cmd\":[]}"]), "{\"cmd\":[]}");
}

#[test]
fn ids_are_rewritten_the_same_way_everywhere() {
    let events = vec![
        start(),
        call(0, "call_A.1"),
        end(0),
        call(1, "call_A_1"),
        end(1),
        used(1, 1),
        finish(FinishReason::ToolCalls),
        Event::End,
    ];
    let response = collected_of(&events);
    let context = client(Protocol::Chat, None);
    let streamed: Vec<Value> =
        read(context.clone(), events).iter().filter_map(|event| event["content_block"].get("id").cloned()).collect();
    let whole = json_of(&encode_response(ClientProtocol::Messages, &context, &response));
    let ids: Vec<Value> = whole["content"].as_array().unwrap().iter().map(|block| block["id"].clone()).collect();
    assert_eq!(streamed, [json!("call_A_1"), json!("call_A_1_2")]);
    assert_eq!(ids, streamed);
}

#[test]
fn other_providers_tools_media_and_answers_are_left_out_or_told_in_words() {
    let foreign_tool = ServerToolCallStart {
        id: "ws_1".into(),
        tool: ServerToolKind::WebSearch,
        name: "web_search".into(),
        protocol: Protocol::Responses,
        ext: Default::default(),
    };
    let image = Media::new(MediaSource::Base64 { mime: "image/png".into(), data: "AAAA".into() });
    let whole = |kind: PartKind| Event::Part { choice: 0, part: Box::new(kind.into()) };
    let events = vec![
        start(),
        open(0, PartStart::ServerToolCall(Box::new(foreign_tool))),
        delta(0, "{\"q\":1}"),
        end(0),
        whole(PartKind::Image(image)),
        whole(PartKind::ExecutableCode { language: "PYTHON".into(), code: "print(1)\n".into(), id: None }),
        whole(PartKind::CodeResult { outcome: CodeOutcome::Ok, output: "1\n".into(), id: None }),
        whole(PartKind::Opaque {
            protocol: Protocol::Gemini,
            kind: "toolCall".into(),
            raw: RawJson::parse("{}").unwrap(),
        }),
        Event::Opaque { protocol: Protocol::Responses, name: "response.x".into(), raw: RawJson::parse("{}").unwrap() },
        Event::PartStart { part: PartId(9), choice: 1, start: PartStart::Text { item_id: None, phase: None } },
        Event::Delta { part: PartId(9), text: "another answer".into() },
        Event::PartEnd { part: PartId(9), status: PartStatus::Complete },
        Event::Finish(Box::new(Finish { choice: 1, ..Finish::default() })),
        text(1),
        delta(1, "Done"),
        end(1),
        used(1, 1),
        finish(FinishReason::Stop),
        Event::End,
    ];
    let context = client(Protocol::Gemini, None);
    let response = collected_of(&events);
    let said = [
        ("text", "[image omitted]"),
        ("text", "```python\nprint(1)\n```"),
        ("text", "Output:\n```\n1\n```"),
        ("text", "Done"),
    ];
    assert_eq!(texts(&blocks(&read(context.clone(), events))), said);
    let body = json_of(&encode_response(ClientProtocol::Messages, &context, &response));
    let content = body["content"].as_array().unwrap().iter();
    let content: Vec<_> =
        content.map(|block| (block["type"].as_str().unwrap(), block["text"].as_str().unwrap())).collect();
    assert_eq!(content, said);
}

#[test]
fn the_providers_own_blocks_and_events_pass_on_one_line() {
    let raw = |text: &str| RawJson::parse(text.to_owned()).unwrap();
    let opaque = PartKind::Opaque {
        protocol: Protocol::Messages,
        kind: "fallback".into(),
        raw: raw("{\n \"type\": \"fallback\",\r\n \"from\": {\n}}"),
    };
    let events = vec![
        start(),
        Event::Opaque { protocol: Protocol::Messages, name: "new".into(), raw: raw("{\"type\":\n\"new\"}") },
        Event::Part { choice: 0, part: Box::new(opaque.into()) },
        used(1, 1),
        finish(FinishReason::Stop),
        Event::End,
    ];
    let stream = write(client(Protocol::Messages, None), events);
    assert!(stream.contains("event: new\ndata: {\"type\":\"new\"}\n\n"), "{stream}");
    assert!(stream.contains("\"content_block\":{\"type\":\"fallback\",\"from\":{ }}}\n\n"), "{stream}");
    for line in stream.lines() {
        assert!(["event: ", "data: {"].iter().any(|field| line.starts_with(field)) || line.is_empty(), "{line}");
    }
}

#[test]
fn a_refusal_is_text_and_a_reason() {
    let events = vec![
        start(),
        open(0, PartStart::Refusal),
        delta(0, "I can"),
        delta(0, "not."),
        end(0),
        used(1, 1),
        finish(FinishReason::Stop),
        Event::End,
    ];
    let context = client(Protocol::Chat, None);
    let details = json!({"type": "refusal", "category": null, "explanation": "I cannot."});
    let whole = json_of(&encode_response(ClientProtocol::Messages, &context, &collected_of(&events)));
    assert_eq!((&whole["stop_reason"], &whole["stop_details"]), (&json!("refusal"), &details));
    assert_eq!(whole["content"], json!([{"type": "text", "text": "I cannot."}]));
    let events = read(context, events);
    assert_eq!(texts(&blocks(&events)), [("text", "I cannot.")]);
    let end = &events[events.len() - 2]["delta"];
    assert_eq!((&end["stop_reason"], &end["stop_details"]), (&json!("refusal"), &details));
}

#[test]
fn e10_a_blocked_prompt_is_a_refusal() {
    let response = Response {
        prompt_block: Some(PromptBlock { reason: "PROHIBITED_CONTENT".into(), message: None, ratings: None }),
        usage: Usage { input_uncached: Some(12), ..Usage::default() },
        ..Response::default()
    };
    let body = json_of(&encode_response(ClientProtocol::Messages, &client(Protocol::Gemini, None), &response));
    assert_eq!(body["content"], json!([]));
    assert_eq!(body["stop_reason"], "refusal");
    assert_eq!(
        body["stop_details"],
        json!({"type": "refusal", "category": null, "explanation": "Prompt blocked by the upstream (PROHIBITED_CONTENT)"})
    );
    assert_eq!(body["usage"]["input_tokens"], 12);
    assert_eq!(body["usage"]["output_tokens"], 0);
}

#[test]
fn e8_usage_in_disjoint_classes() {
    let usage = Usage {
        input_uncached: Some(100),
        cache_read: Some(900),
        cache_write_5m: Some(200),
        output_text: Some(50),
        reasoning: Some(30),
        ..Usage::default()
    };
    let response = Response { usage, candidates: vec![Candidate::default()], ..Response::default() };
    let body = json_of(&encode_response(ClientProtocol::Messages, &client(Protocol::Chat, None), &response));
    assert_eq!(
        body["usage"],
        json!({
            "input_tokens": 100, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 200,
            "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 80, "output_tokens_details": {"thinking_tokens": 30}, "service_tier": "standard"
        })
    );
}

#[test]
fn every_reason_has_its_word() {
    let word = |provider: Protocol, finish: FinishReason, raw: Option<&'static str>| {
        let candidate = Candidate {
            parts: vec![Part::text("x")],
            finish,
            raw_finish: raw.map(Text::from_static),
            ..Candidate::default()
        };
        let response = Response { candidates: vec![candidate], ..Response::default() };
        json_of(&encode_response(ClientProtocol::Messages, &client(provider, None), &response))
    };
    let plain = |finish| word(Protocol::Gemini, finish, None)["stop_reason"].clone();
    for (finish, expected) in [
        (FinishReason::Stop, "end_turn"),
        (FinishReason::StopSequence(None), "end_turn"),
        (FinishReason::MaxTokens, "max_tokens"),
        (FinishReason::ContextWindow, "model_context_window_exceeded"),
        (FinishReason::ToolCalls, "tool_use"),
        (FinishReason::PauseTurn, "pause_turn"),
        (FinishReason::Continuation, "max_tokens"),
        (FinishReason::Recitation, "refusal"),
        (FinishReason::MalformedToolCall, "end_turn"),
        (FinishReason::UnexpectedToolCall, "end_turn"),
        (FinishReason::Compaction, "compaction"),
        (FinishReason::Steered, "max_tokens"),
        (FinishReason::Other, "end_turn"),
    ] {
        assert_eq!(plain(finish.clone()), expected, "{finish:?}");
    }
    let stopped = word(Protocol::Messages, FinishReason::StopSequence(Some("END".into())), None);
    assert_eq!((&stopped["stop_reason"], &stopped["stop_sequence"]), (&json!("stop_sequence"), &json!("END")));
    let filtered = word(Protocol::Gemini, FinishReason::ContentFilter, Some("SAFETY"));
    assert_eq!(filtered["stop_details"]["explanation"], "SAFETY");
    assert_eq!(word(Protocol::Messages, FinishReason::Other, Some("new_reason"))["stop_reason"], "new_reason");
    for failed in [FinishReason::Error, FinishReason::Cancelled] {
        assert_eq!(word(Protocol::Chat, failed, None)["type"], "error");
    }
}

#[test]
fn a_cut_call_is_kept_if_it_can_be_mended() {
    let cut = |arguments: &str| {
        let call = ToolCall {
            id: "a".into(),
            name: "f".into(),
            namespace: None,
            kind: ToolCallKind::Function,
            arguments: arguments.to_owned().into(),
            caller: None,
            status: PartStatus::Incomplete,
        };
        let candidate = Candidate {
            parts: vec![PartKind::ToolCall(Box::new(call)).into()],
            finish: FinishReason::MaxTokens,
            ..Candidate::default()
        };
        let response = Response { candidates: vec![candidate], ..Response::default() };
        json_of(&encode_response(ClientProtocol::Messages, &client(Protocol::Chat, None), &response))["content"].clone()
    };
    assert_eq!(cut("{\"a\":\"b"), json!([{"type": "tool_use", "id": "a", "name": "f", "input": {"a": "b"}}]));
    assert_eq!(cut("nonsense"), json!([]));
}

#[test]
fn reasoning_without_text_from_elsewhere_is_redacted() {
    let mut part = Part::new(PartKind::Reasoning(Box::new(Reasoning { text: ReasoningText::None, redacted: false })));
    part.signature = Some(Signature::new(Family::OpenAi, SignatureKind::ReasoningItem, "gAAAA"));
    let response = Response {
        candidates: vec![Candidate { parts: vec![part, Part::text("x")], ..Candidate::default() }],
        ..Response::default()
    };
    let context = client(Protocol::Responses, thinking());
    let body = json_of(&encode_response(ClientProtocol::Messages, &context, &response));
    assert_eq!(body["content"][0]["type"], "redacted_thinking");
    // Without a key nothing can be carried.
    let mut bare = context;
    bare.carrier = None;
    let body = json_of(&encode_response(ClientProtocol::Messages, &bare, &response));
    assert_eq!(body["content"], json!([{"type": "text", "text": "x"}]));
}
