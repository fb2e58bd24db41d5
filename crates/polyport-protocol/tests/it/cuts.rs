//! A stream means the same wherever the network cuts it.
//!
//! A decoder sees frames, never pieces of them, so two things are shown: framing gives the same frames and is left in the same
//! state wherever a frame is cut in two, for every byte of every recorded stream; and a decoder fed with single bytes, which
//! are all cuts at once, gives the events of the whole stream.

use bytes::Bytes;
use polyport_protocol::Target;
use polyport_protocol::sse::{Frame, Framing};
use polyport_protocol::stream::BodyEnd;
use polyport_testkit::shared;
use polyport_types::{Event, Protocol};

use crate::wire::{self, MAX_EVENT};

/// From this size on an event is cut at every byte of its beginning and its end, and at some bytes between.
const LARGE: usize = 600;

/// Cuts `stream` in two at every byte.
fn cut_everywhere(name: &str, stream: &[u8]) {
    let stream = Bytes::copy_from_slice(stream);
    let mut before = Framing::new(MAX_EVENT);
    let mut start = 0;
    while start < stream.len() {
        let rest = stream.slice(start..);
        // An event with its blank line, and the first byte of the next one: a CR may be the first half of a line's end.
        let blank = rest.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 2);
        let blank_crlf = rest.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        let end = [blank, blank_crlf].into_iter().flatten().min().unwrap_or(rest.len());
        let event = rest.slice(..end);
        let (whole, after) = pushed(before.clone(), [event.clone()]);
        for at in 0..=event.len() {
            if event.len() > LARGE && at > 80 && at + 80 < event.len() && at % 97 != 0 {
                continue;
            }
            let (frames, state) = pushed(before.clone(), [event.slice(..at), event.slice(at..)]);
            assert!(frames == whole, "{name} cut at {}: {frames:?}\n{whole:?}", start + at);
            assert!(state == after, "{name} cut at {}: {state:?}\n{after:?}", start + at);
        }
        before = after;
        start += end;
    }
}

fn pushed(mut framing: Framing, pieces: impl IntoIterator<Item = Bytes>) -> (Vec<Frame>, Framing) {
    let mut out = Vec::new();
    for piece in pieces {
        framing.push(piece, &mut out).unwrap();
    }
    (out, framing)
}

fn events<'a>(target: &Target, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    wire::events(target, pieces, BodyEnd::Clean)
}

fn byte_by_byte(name: &str, protocol: Protocol, stream: &[u8]) {
    let target = Target::plain(protocol, "model");
    let whole = events(&target, [stream]);
    for size in [1, 7, 1000] {
        assert!(events(&target, stream.chunks(size)) == whole, "{name} by {size}");
    }
}

fn recorded(file: &str) {
    let Some(records) = shared::records_or_skip("recorded streams", file) else { return };
    let mut count = 0;
    for record in records.iter() {
        let Some(stream) = &record.response.sse else { continue };
        cut_everywhere(&record.id, stream.as_bytes());
        byte_by_byte(&record.id, record.wire(), stream.as_bytes());
        count += 1;
    }
    assert!(count > 10, "{count}");
}

#[test]
fn messages_recordings_mean_the_same_however_they_are_cut() {
    recorded("anthropic.jsonl");
}

#[test]
fn gemini_recordings_mean_the_same_however_they_are_cut() {
    recorded("gemini.jsonl");
}

#[test]
fn chat_recordings_mean_the_same_however_they_are_cut() {
    recorded("openai-chat.jsonl");
    recorded("openai-compatible.jsonl");
}

#[test]
fn responses_recordings_mean_the_same_however_they_are_cut() {
    recorded("openai-responses.jsonl");
}

/// The hand-made streams are short: they are decoded whole for each cut.
#[test]
fn hand_made_streams_mean_the_same_however_they_are_cut() {
    for protocol in Protocol::ALL {
        let target = Target::plain(protocol, "model");
        let folder = shared::workspace_root().unwrap().join("fixtures").join(protocol.as_str()).join("stream");
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.extension().is_none_or(|end| end != "sse") {
                continue;
            }
            let name = path.display().to_string();
            let stream = std::fs::read(&path).unwrap();
            byte_by_byte(&name, protocol, &stream);
            let whole = events(&target, [&stream[..]]);
            for at in 0..=stream.len() {
                let (head, tail) = stream.split_at(at);
                assert!(events(&target, [head, tail]) == whole, "{name} cut at {at}");
            }
        }
    }
}
