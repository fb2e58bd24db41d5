//! Answers, whole and streamed: recorded traffic there and back.

use bytes::Bytes;
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{ClientContext, StreamEncoder, Target, decode_response, encode_response};
use polyport_types::{
    ClientProtocol, Event, FinishReason, PartKind, Protocol, Request, Response, StreamOptions, Usage,
};

use super::{collect, events, records};

fn target() -> Target {
    Target::plain(Protocol::Chat, "m")
}

/// A client that wants to see everything the provider says.
fn context(model: &str) -> ClientContext {
    let mut request = Request::new(ClientProtocol::Chat, model);
    request.stream = true;
    request.stream_options = StreamOptions { include_usage: true, ..StreamOptions::default() };
    ClientContext::fixed(request, Protocol::Chat)
}

/// What may differ once an answer was written in the official form: the provider's own words for the finish and for its counts,
/// and an id where it gave none.
fn comparable(mut response: Response) -> Response {
    if response.id.starts_with("chatcmpl-0000") {
        response.id = "".into();
    }
    response.usage = Usage { raw: None, ..response.usage };
    for candidate in &mut response.candidates {
        candidate.raw_finish = None;
    }
    response
}

fn encode(context: &ClientContext, events: Vec<Event>) -> String {
    let mut encoder = StreamEncoder::new(ClientProtocol::Chat, context.clone());
    let mut out = Vec::new();
    events.into_iter().for_each(|event| encoder.encode(event, &mut out));
    String::from_utf8(out).unwrap()
}

#[test]
fn recorded_answers_survive_the_way_to_a_client_of_the_same_protocol() {
    for record in records("recorded_answers_survive_the_way_to_a_client_of_the_same_protocol") {
        let (Some(body), true) = (&record.response.body, record.is_good_generation()) else { continue };
        let response = decode_response(&target(), Bytes::copy_from_slice(body.as_bytes()))
            .unwrap_or_else(|fault| panic!("{}: {fault}", record.id));
        let again = encode_response(ClientProtocol::Chat, &context(&response.model), &response);
        let second = decode_response(&target(), again.clone().into())
            .unwrap_or_else(|fault| panic!("{}: {fault} in {}", record.id, String::from_utf8_lossy(&again)));
        assert_eq!(comparable(second), comparable(response), "{}: {}", record.id, String::from_utf8_lossy(&again));
    }
}

#[test]
fn recorded_streams_survive_the_way_to_a_client_of_the_same_protocol() {
    for record in records("recorded_streams_survive_the_way_to_a_client_of_the_same_protocol") {
        let (Some(sse), true) = (&record.response.sse, record.is_good_generation()) else { continue };
        let before = events(&target(), [sse.as_bytes()], BodyEnd::Clean);
        let Ok(response) = collect(before.clone()) else {
            assert!(record.has_tag("error") || record.id == "groq-7c4f176aad", "{}", record.id);
            continue;
        };
        let text = encode(&context(&response.model), before);
        assert!(text.ends_with("data: [DONE]\n\n"), "{}: {text}", record.id);
        let second = collect(events(&target(), [text.as_bytes()], BodyEnd::Clean)).unwrap();
        assert_eq!(comparable(second), comparable(response), "{}: {text}", record.id);
    }
}

#[test]
fn a_stream_may_be_cut_into_packets_anywhere() {
    for record in records("a_stream_may_be_cut_into_packets_anywhere") {
        let (Some(sse), true) = (&record.response.sse, record.is_good_generation()) else { continue };
        let whole = events(&target(), [sse.as_bytes()], BodyEnd::Clean);
        let bytes = sse.as_bytes();
        for size in if bytes.len() < 20_000 { [1] } else { [50] } {
            assert_eq!(events(&target(), bytes.chunks(size), BodyEnd::Clean), whole, "{} by {size}", record.id);
        }
        // Every single cut, of short streams.
        for at in 0..if bytes.len() < 2500 { bytes.len() } else { 0 } {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(events(&target(), [head, tail], BodyEnd::Clean), whole, "{} cut at {at}", record.id);
        }
    }
}

#[test]
fn a_stream_that_breaks_off_never_looks_finished() {
    for record in records("a_stream_that_breaks_off_never_looks_finished") {
        let (Some(sse), true) = (&record.response.sse, record.is_good_generation()) else { continue };
        let finish = sse.find("\"finish_reason\":\"").or_else(|| sse.find("\"finish_reason\": \""));
        let Some(head) = finish.and_then(|at| sse.get(..at)) else { continue };
        for cut in [head.len() / 3, head.len() / 2, head.len()] {
            let head = head.as_bytes().get(..cut).unwrap_or_default();
            let events = events(&target(), [head], BodyEnd::Broken);
            let finished = events.iter().any(|event| matches!(event, Event::Finish(_)));
            let failed = events.iter().any(|event| matches!(event, Event::Error(_)));
            assert!(failed && !finished, "{} cut at {cut}: {:?}", record.id, events.last());
            let text = encode(&context("m"), events);
            assert!(text.contains("\"error\":") && !text.contains("[DONE]"), "{}: {text}", record.id);
        }
    }
}

#[test]
fn recorded_errors_are_errors() {
    for record in records("recorded_errors_are_errors") {
        let (Some(body), false) = (&record.response.body, record.is_good_generation()) else { continue };
        let fault = decode_response(&target(), Bytes::copy_from_slice(body.as_bytes())).unwrap_err();
        assert!(fault.from_upstream && !fault.message.is_empty(), "{}: {fault:?}", record.id);
    }
}

#[test]
fn recorded_calls_end_in_tool_calls() {
    for record in records("recorded_calls_end_in_tool_calls") {
        let (Some(body), true) = (&record.response.body, record.is_good_generation()) else { continue };
        let response = decode_response(&target(), Bytes::copy_from_slice(body.as_bytes())).unwrap();
        for candidate in &response.candidates {
            let called = candidate.parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_)));
            assert_eq!(called, candidate.finish == FinishReason::ToolCalls, "{}", record.id);
        }
    }
}
