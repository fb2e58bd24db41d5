//! Answers, whole and streamed.

use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{ClientContext, StreamDecoder, StreamEncoder, collect, decode_response, encode_response};
use polyport_testkit::grammar::Check;
use polyport_types::{
    Event, FaultClass, FinishReason, Part, PartKind, ReasoningControl, ReasoningMode, Response, Validator,
};

use super::*;

const MAX_EVENT: usize = 64 << 20;

fn recorded(test: &str, wanted: impl Fn(&Record) -> bool) -> Vec<Record> {
    let Some(records) = shared::records_or_skip(test, FILE) else { return Vec::new() };
    records.iter().filter(|record| record.is_good_generation() && wanted(record)).cloned().collect()
}

pub(super) fn events(target: &Target, sse: &str) -> Vec<Event> {
    let mut decoder = StreamDecoder::new(target, MAX_EVENT);
    let mut events = Vec::new();
    decoder.push(Bytes::copy_from_slice(sse.as_bytes()), &mut events);
    decoder.finish(BodyEnd::Clean, &mut events);
    events
}

pub(super) fn collected(events: &[Event]) -> Result<Response, polyport_types::Fault> {
    let mut collector = collect::Collector::new();
    events.iter().cloned().for_each(|event| collector.push(event));
    collector.into_response()
}

/// A client that asked for thinking and for this very model.
pub(super) fn context(model: &str) -> ClientContext {
    let mut request = Request::new(ClientProtocol::Messages, model);
    request.reasoning = Some(ReasoningControl { mode: ReasoningMode::Adaptive, ..ReasoningControl::default() });
    ClientContext::fixed(request, Protocol::Messages)
}

pub(super) fn streamed(context: ClientContext, events: &[Event]) -> String {
    let mut encoder = StreamEncoder::new(ClientProtocol::Messages, context);
    let mut out = Vec::new();
    events.iter().cloned().for_each(|event| encoder.encode(event, &mut out));
    String::from_utf8(out).unwrap()
}

/// Without what a second writing may say otherwise: the text of the usage, zeros that stand for nothing.
fn plain(mut response: Response) -> Response {
    let usage = &mut response.usage;
    usage.raw = None;
    for counter in
        [&mut usage.cache_read, &mut usage.cache_write_5m, &mut usage.cache_write_1h, &mut usage.cache_write_unknown]
    {
        *counter = counter.filter(|count| *count > 0);
    }
    usage.web_fetch_requests = usage.web_fetch_requests.filter(|count| *count > 0);
    response.service_tier = None;
    let ext = response.ext.iter().map(|(name, raw)| (name.clone(), polyport_types::RawJson::of(&raw.to_value())));
    response.ext = ext.collect();
    for candidate in &mut response.candidates {
        if candidate.finish == FinishReason::ToolCalls {
            candidate.raw_finish = None;
        }
        let ext = candidate.ext.iter().map(|(name, raw)| (name.clone(), polyport_types::RawJson::of(&raw.to_value())));
        candidate.ext = ext.collect();
        candidate.parts.retain(|part| !part.as_text().is_some_and(|text| text.is_empty()));
        for part in &mut candidate.parts {
            plain_part(part);
        }
    }
    response
}

fn plain_part(part: &mut Part) {
    match &mut part.kind {
        PartKind::Text(text) => {
            for citation in &mut text.citations {
                citation.raw = citation.raw.take().map(|raw| polyport_types::RawJson::of(&raw.to_value()));
            }
        }
        PartKind::ToolCall(call) => {
            call.arguments = serde_json::from_str::<Value>(&call.arguments).unwrap().to_string().into();
        }
        PartKind::ServerToolCall(call) => call.input = polyport_types::RawJson::of(&call.input.to_value()),
        PartKind::ServerToolResult(result) => {
            result.payload = polyport_types::RawJson::of(&result.payload.to_value());
            result.raw = result.raw.take().map(|raw| polyport_types::RawJson::of(&raw.to_value()));
        }
        PartKind::Opaque { raw, .. } | PartKind::Compaction { raw, .. } => {
            *raw = polyport_types::RawJson::of(&raw.to_value());
        }
        _ => {}
    }
    let ext = part.ext.iter().map(|(name, raw)| (name.clone(), polyport_types::RawJson::of(&raw.to_value())));
    part.ext = ext.collect();
}

/// The strict reader, which knows no blocks and events of tomorrow; cases about those are read as the provider's own.
fn reader(name: &str) -> Check {
    let tomorrow = ["unknown", "everything"].iter().any(|about| name.starts_with(about));
    if tomorrow { Check::provider(Protocol::Messages) } else { Check::new(Protocol::Messages) }
}

/// Reads a whole answer and writes it again, whole and as a stream: all of it must come back.
fn round_trip(name: &str, target: &Target, body: &str) {
    let response = decode_response(target, Bytes::copy_from_slice(body.as_bytes())).unwrap();
    let context = context(&response.model);
    let written = encode_response(ClientProtocol::Messages, &context, &response);
    reader(name).answer(&written).unwrap_or_else(|e| panic!("{name}: {e}"));
    let again = decode_response(target, Bytes::from(written.clone())).unwrap();
    assert_eq!(plain(again), plain(response.clone()), "{name}");
    // The body itself comes back, but for what has no meaning; a call waits for its result whatever the body says.
    let (mut after, mut before) = (reduced(json_of(&written)), reduced(json_of(body.as_bytes())));
    if response.first().unwrap().finish == FinishReason::ToolCalls {
        before["stop_reason"] = json!("tool_use");
        after["stop_reason"] = json!("tool_use");
    }
    assert_eq!(after, before, "{name}");

    let events = collect::into_events(response.clone());
    Validator::check_all(&events).unwrap_or_else(|e| panic!("{name}: {e}"));
    let stream = streamed(context, &events);
    reader(name).stream(stream.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}\n{stream}"));
    let again = collected(&self::events(target, &stream)).unwrap();
    assert_eq!(plain(again), plain(response), "{name} as a stream");
}

#[test]
fn every_whole_answer_survives_a_round_trip() {
    let mut seen = 0;
    for record in recorded("every_whole_answer_survives_a_round_trip", |record| !record.streaming) {
        seen += 1;
        round_trip(&record.id, &target(&record), record.response.body.as_ref().unwrap());
    }
    assert!(seen == 0 || seen > 150, "only {seen} answers");
}

#[test]
fn every_answer_made_by_hand_survives_a_round_trip() {
    for (name, body) in fixtures("response") {
        round_trip(&name, &Target::plain(Protocol::Messages, "claude-test"), &body);
    }
}

/// What a hand-made stream says, and that its client reads the same.
#[test]
fn every_stream_made_by_hand_is_read_as_expected() {
    let cases = fixtures("stream");
    let target = Target::plain(Protocol::Messages, "claude-test");
    for (name, sse) in cases.iter().filter(|(name, _)| name.ends_with(".sse")) {
        let expected = name.replace(".sse", ".json");
        let expected = &cases.iter().find(|(name, _)| *name == expected).unwrap_or_else(|| panic!("no {expected}")).1;
        let mut expected = json_of(expected.as_bytes());
        let events = events(&target, sse);
        Validator::check_all(&events).unwrap_or_else(|e| panic!("{name}: {e}"));
        let stream = streamed(context("claude-test"), &events);
        let collected = collected(&events);
        let said = match &collected {
            Err(fault) => json!({ "text": "", "reasoning": "", "calls": [], "finish": null, "error": fault.class }),
            Ok(response) => {
                let read = reader(name).stream(stream.as_bytes());
                let read = read.unwrap_or_else(|e| panic!("{name}: {e}\n{stream}"));
                let usage = read.usage.clone().unwrap();
                let arguments = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
                let calls: Vec<Value> =
                    read.tool_calls().iter().map(|call| json!([call.name, arguments(&call.arguments)])).collect();
                assert_eq!(response.usage.input_total(), usage.input, "{name}");
                json!({
                    "text": read.text(), "reasoning": read.reasoning(), "calls": calls, "finish": read.finish(),
                    "error": null, "input": usage.input, "output": usage.output
                })
            }
        };
        if collected.is_err() {
            assert!(stream.contains("event: error") && !stream.contains("message_stop"), "{name}: {stream}");
            expected.as_object_mut().unwrap().retain(|member, _| !matches!(member.as_str(), "input" | "output"));
        }
        assert_eq!(said, expected, "{name}");
    }
}

/// An answer without null members, empty text and members that say nothing.
fn reduced(mut body: Value) -> Value {
    reduce(&mut body);
    let object = body.as_object_mut().unwrap();
    if let Some(Value::Array(content)) = object.get_mut("content") {
        content.retain(|block| block["type"] != "text" || block["text"] != "");
        for block in content {
            if block["type"] == "thinking" && block["signature"] == "" {
                block.as_object_mut().unwrap().remove("signature");
            }
        }
    }
    let usage = object["usage"].as_object_mut().unwrap();
    usage.remove("service_tier");
    usage.retain(|_, value| *value != json!(0));
    for nested in ["server_tool_use", "cache_creation"] {
        let empty = usage.get_mut(nested).and_then(Value::as_object_mut).is_some_and(|counts| {
            counts.retain(|_, value| *value != json!(0));
            counts.is_empty()
        });
        if empty {
            usage.remove(nested);
        }
    }
    body
}

fn reduce(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null() && *value != json!([]));
            object.values_mut().for_each(reduce);
        }
        Value::Array(items) => items.iter_mut().for_each(reduce),
        _ => {}
    }
}

#[test]
fn every_stream_survives_a_round_trip() {
    let mut seen = 0;
    for record in recorded("every_stream_survives_a_round_trip", |record| record.streaming) {
        if record.has_tag("abnormal_stream") {
            continue;
        }
        seen += 1;
        let target = target(&record);
        let events = events(&target, record.response.sse.as_ref().unwrap());
        Validator::check_all(&events).unwrap_or_else(|e| panic!("{}: {e}", record.id));
        let response = collected(&events).unwrap_or_else(|e| panic!("{}: {e}", record.id));
        let stream = streamed(context(&response.model), &events);
        let read = Check::new(Protocol::Messages).stream(stream.as_bytes());
        let said = read.unwrap_or_else(|e| panic!("{}: {e}\n{stream}", record.id)).said();
        let again = collected(&self::events(&target, &stream)).unwrap();
        assert_eq!(plain(again), plain(response.clone()), "{}", record.id);

        let whole = encode_response(ClientProtocol::Messages, &context(&response.model), &response);
        let again = decode_response(&target, Bytes::from(whole.clone())).unwrap();
        assert_eq!(plain(again), plain(response), "{} as a whole", record.id);
        let read = Check::new(Protocol::Messages).answer(&whole).unwrap_or_else(|e| panic!("{}: {e}", record.id));
        assert_eq!(read.said(), said, "{}", record.id);
    }
    assert!(seen == 0 || seen >= 20, "only {seen} streams");
}

#[test]
fn what_the_provider_said_is_what_the_client_reads() {
    for record in recorded("what_the_provider_said_is_what_the_client_reads", |record| record.streaming) {
        if record.has_tag("abnormal_stream") {
            continue;
        }
        let sse = record.response.sse.as_ref().unwrap();
        let provider = Check::provider(Protocol::Messages).stream(sse.as_bytes());
        let provider = provider.unwrap_or_else(|e| panic!("{}: {e}", record.id));
        let events = events(&target(&record), sse);
        let stream = streamed(context(&provider.model), &events);
        let client = Check::new(Protocol::Messages).stream(stream.as_bytes()).unwrap();
        assert_eq!(client.said(), provider.said(), "{}", record.id);
        assert_eq!(client.usage, provider.usage, "{}", record.id);
    }
}

#[test]
fn streams_that_are_cut_anywhere_give_the_same_events() {
    for record in recorded("streams_that_are_cut_anywhere_give_the_same_events", |record| record.streaming) {
        let target = target(&record);
        let sse = record.response.sse.as_ref().unwrap();
        let whole = events(&target, sse);
        let mut decoder = StreamDecoder::new(&target, MAX_EVENT);
        let mut single = Vec::new();
        for byte in sse.bytes() {
            decoder.push(Bytes::copy_from_slice(&[byte]), &mut single);
        }
        decoder.finish(BodyEnd::Clean, &mut single);
        assert_eq!(single, whole, "{}", record.id);
        let bytes = Bytes::copy_from_slice(sse.as_bytes());
        let step = (bytes.len() / 25).max(1);
        for cut in (0..=bytes.len()).step_by(step) {
            let mut decoder = StreamDecoder::new(&target, MAX_EVENT);
            let mut pieces = Vec::new();
            decoder.push(bytes.slice(..cut), &mut pieces);
            decoder.push(bytes.slice(cut..), &mut pieces);
            decoder.finish(BodyEnd::Clean, &mut pieces);
            assert_eq!(pieces, whole, "{} cut at {cut}", record.id);
        }
    }
}

#[test]
fn a_stream_that_ends_early_never_looks_finished() {
    for record in recorded("a_stream_that_ends_early_never_looks_finished", |record| record.streaming) {
        let target = target(&record);
        let sse = record.response.sse.as_ref().unwrap();
        let first = sse.find("event: message_delta").or_else(|| sse.find("\"message_delta\"")).unwrap_or(sse.len());
        let ends: Vec<usize> = sse.match_indices("\n\n").map(|(at, _)| at + 2).filter(|at| *at <= first).collect();
        let step = (ends.len() / 20).max(1);
        for end in ends.into_iter().step_by(step) {
            for body_end in [BodyEnd::Clean, BodyEnd::Broken] {
                let mut decoder = StreamDecoder::new(&target, MAX_EVENT);
                let mut events = Vec::new();
                decoder.push(Bytes::copy_from_slice(&sse.as_bytes()[..end]), &mut events);
                decoder.finish(body_end, &mut events);
                Validator::check_all(&events).unwrap_or_else(|e| panic!("{} cut at {end}: {e}", record.id));
                let fault = collected(&events).expect_err("a cut stream is no answer");
                assert_eq!(fault.class, FaultClass::UpstreamProtocol);
                let stream = streamed(context("m"), &events);
                assert!(!stream.contains("message_stop"), "{stream}");
                assert!(stream.ends_with("\n\n") && stream.contains("event: error"), "{stream}");
            }
        }
    }
}

#[test]
fn abnormal_streams_end_properly() {
    for record in recorded("abnormal_streams_end_properly", |record| record.has_tag("abnormal_stream")) {
        let target = target(&record);
        let events = events(&target, record.response.sse.as_ref().unwrap());
        Validator::check_all(&events).unwrap_or_else(|e| panic!("{}: {e}", record.id));
        let stream = streamed(context("m"), &events);
        match collected(&events) {
            Ok(_) => {
                let read = Check::new(Protocol::Messages).stream(stream.as_bytes());
                read.unwrap_or_else(|e| panic!("{}: {e}\n{stream}", record.id));
            }
            Err(fault) => {
                assert_eq!(fault.class, FaultClass::UpstreamProtocol, "{}", record.id);
                assert!(stream.contains("event: error") && !stream.contains("message_stop"), "{}", record.id);
            }
        }
    }
}

#[test]
fn an_error_in_a_200_is_an_error() {
    let target = Target::plain(Protocol::Messages, "m");
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let fault = decode_response(&target, Bytes::from_static(body.as_bytes())).unwrap_err();
    assert_eq!(fault.class, FaultClass::Overloaded);
    assert!(fault.from_upstream);
    for body in ["{}", "[]", "x", r#"{"id":"1"}"#] {
        let fault = decode_response(&target, Bytes::from_static(body.as_bytes())).unwrap_err();
        assert_eq!(fault.class, FaultClass::UpstreamProtocol, "{body}");
    }
    let empty =
        r#"{"type":"message","content":[],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let response = decode_response(&target, Bytes::from_static(empty.as_bytes())).unwrap();
    assert_eq!(response.first().unwrap().finish, FinishReason::Stop);
}
