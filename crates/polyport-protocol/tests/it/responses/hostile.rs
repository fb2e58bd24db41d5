//! Streams that nobody should send: events lost, repeated, in another order, cut off.

use polyport_protocol::stream::BodyEnd;
use polyport_testkit::grammar::Check;
use polyport_types::{ClientProtocol, Protocol};
use proptest::prelude::*;

use super::*;

/// Recorded streams of a size that can be played many times.
fn short_streams(name: &str) -> Vec<(String, Vec<String>)> {
    let Some(records) = good(name) else { return Vec::new() };
    let streams =
        records.iter().filter(|record| record.streaming && record.response.sse.as_ref().unwrap().len() < 60_000);
    streams
        .map(|record| {
            let sse = record.response.sse.as_ref().unwrap();
            let mut frames: Vec<String> = Vec::new();
            let mut deltas = 0;
            for frame in sse.split("\n\n").filter(|frame| !frame.trim().is_empty()) {
                // A few deltas of a kind are enough.
                deltas = if frame.contains("delta\"") { deltas + 1 } else { 0 };
                if deltas <= 3 {
                    frames.push(format!("{frame}\n\n"));
                }
            }
            (record.id.clone(), frames)
        })
        .collect()
}

fn judge(id: &str, what: &str, frames: &[String]) -> Vec<Event> {
    let events = events(&frames.concat());
    Validator::check_all(&events).unwrap_or_else(|problem| panic!("{id}, {what}: {problem}"));
    let stream = to_client(&client(), &events);
    // Whatever arrives, the client gets a stream that its libraries can read.
    Check::new(Protocol::Responses).stream(stream.as_bytes()).unwrap_or_else(|problem| {
        // Items of the provider are handed on as they are, also when they miss what the schema wants.
        assert!(problem.contains("[required]") || problem.contains("[enum]"), "{id}, {what}: {problem}\n{stream}");
        Default::default()
    });
    events
}

#[test]
fn lost_repeated_and_swapped_events_break_nothing() {
    for (id, frames) in short_streams("lost_repeated_and_swapped_events_break_nothing") {
        for at in 0..frames.len() {
            let mut lost = frames.clone();
            lost.remove(at);
            judge(&id, &format!("without {}", frames[at]), &lost);
            let mut twice = frames.clone();
            twice.insert(at, frames[at].clone());
            judge(&id, &format!("twice {}", frames[at]), &twice);
            if at + 1 < frames.len() {
                let mut swapped = frames.clone();
                swapped.swap(at, at + 1);
                judge(&id, &format!("swapped {}", frames[at]), &swapped);
            }
        }
    }
}

#[test]
fn a_stream_without_its_end_is_an_error() {
    for (id, frames) in short_streams("a_stream_without_its_end_is_an_error") {
        let last = frames.iter().rposition(|frame| frame.contains("\"response.completed\"")).unwrap_or(frames.len());
        for at in 0..last {
            if frames[..at].iter().any(|frame| frame.contains("\"response.completed\"")) {
                break;
            }
            let mut decoder = StreamDecoder::new(&target(), MAX_EVENT);
            let mut events = Vec::new();
            decoder.push(frames[..at].concat().into(), &mut events);
            decoder.finish(BodyEnd::Broken, &mut events);
            Validator::check_all(&events).unwrap_or_else(|problem| panic!("{id} cut at {at}: {problem}"));
            assert!(matches!(events[events.len() - 2], Event::Error(_)), "{id} cut at {at}: no error");
            let stream = to_client(&client(), &events);
            let seen = Check::new(Protocol::Responses).stream(stream.as_bytes());
            if let Ok(seen) = seen {
                assert_eq!(seen.failure.unwrap().code, "server_error", "{id} cut at {at}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes changed at random never panic, and the stream ends.
    #[test]
    fn damaged_bytes_are_survived(seed in 0_usize..1000, damage in prop::collection::vec((0_usize..60_000, any::<u8>()), 1..20)) {
        let streams = short_streams("damaged_bytes_are_survived");
        if !streams.is_empty() {
            let (_, frames) = &streams[seed % streams.len()];
            let mut bytes = frames.concat().into_bytes();
            for (at, byte) in damage {
                let len = bytes.len();
                bytes[at % len] = byte;
            }
            let events = events_in(&[&bytes]);
            prop_assert!(Validator::check_all(&events).is_ok(), "{:?}", Validator::check_all(&events));
            to_client(&client(), &events);
        }
    }

    /// Bodies changed at random never panic.
    #[test]
    fn damaged_requests_are_survived(seed in 0_usize..1000, damage in prop::collection::vec((0_usize..60_000, any::<u8>()), 1..4)) {
        if let Some(records) = good("damaged_requests_are_survived") {
            let with_request: Vec<_> = records.iter().filter(|record| record.request.is_some()).collect();
            let mut bytes = with_request[seed % with_request.len()].request.as_ref().unwrap().body.clone().into_bytes();
            for (at, byte) in damage {
                let len = bytes.len();
                bytes[at % len] = byte;
            }
            if let Ok(request) = decode_request(ClientProtocol::Responses, &RequestHead::default(), bytes.into()) {
                let (body, _) = encode(&request);
                prop_assert!(body.is_object());
            }
        }
    }
}
