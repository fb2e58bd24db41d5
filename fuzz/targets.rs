//! What the fuzzers check. Also included by the tests of `polyport-protocol`, which replay the corpus.

use bytes::Bytes;
use polyport_protocol::sse::{Framing, Frame};
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    ClientContext, RequestHead, Restorer, StreamDecoder, StreamEncoder, Target, collect, decode_request, decode_response,
    encode_request, encode_response, resolve, resolve::ResolveContext,
};
use polyport_types::{ClientProtocol, Event, Losses, Protocol, Request, Validator};

/// Largest event in bytes.
const MAX_EVENT: usize = 1 << 16;

/// Framing gives the same frames however the bytes are cut.
pub fn sse(data: &[u8]) {
    let Some((cut, body)) = data.split_first() else { return };
    let whole = frames(&[body]);
    let at = usize::from(*cut) % (body.len() + 1);
    let (left, right) = body.split_at(at);
    assert_eq!(frames(&[left, right]), whole);
}

fn frames(pieces: &[&[u8]]) -> Option<(Vec<Frame>, bool)> {
    let mut framing = Framing::new(MAX_EVENT);
    let mut out = Vec::new();
    for piece in pieces {
        framing.push(Bytes::copy_from_slice(piece), &mut out).ok()?;
    }
    let truncated = framing.finish(&mut out);
    Some((out, truncated))
}

/// Any body is a request or a clean error; any request can be written for every provider, twice the same.
pub fn request(data: &[u8]) {
    let Some((selector, body)) = data.split_first() else { return };
    let client = ClientProtocol::ALL[usize::from(*selector) % 4];
    let head = RequestHead { model: Some("m".into()), ..RequestHead::default() };
    let Ok(request) = decode_request(client, &head, Bytes::copy_from_slice(body)) else { return };
    for protocol in Protocol::ALL {
        let target = Target::plain(protocol, "m");
        let first = written(&target, &request);
        assert!(serde_json::from_slice::<serde_json::Value>(&first).is_ok(), "not JSON for {protocol}");
        assert_eq!(first, written(&target, &request), "not the same twice for {protocol}");
    }
}

fn written(target: &Target, request: &Request) -> Vec<u8> {
    let mut losses = Losses::new();
    let context = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
    let (request, _) = resolve(target, request.clone(), &context, &mut losses);
    encode_request(target, &request, &mut losses).body
}

/// Any stream gives legal events, the same ones however it is cut, and every client's encoder takes them.
pub fn stream(data: &[u8]) {
    let [selector, cut, body @ ..] = data else { return };
    let target = Target::plain(Protocol::ALL[usize::from(*selector) % 4], "m");
    let whole = events(&target, &[body]);
    let at = usize::from(*cut) % (body.len() + 1);
    let (left, right) = body.split_at(at);
    // Pings only say that bytes arrived.
    let quiet = |events: &[Event]| -> Vec<Event> { events.iter().filter(|e| !matches!(e, Event::Ping)).cloned().collect() };
    assert_eq!(quiet(&events(&target, &[left, right])), quiet(&whole), "cut at {at}");
    if let Err(problem) = Validator::check_all(&whole) {
        panic!("illegal events: {problem}\n{whole:#?}");
    }
    for client in ClientProtocol::ALL {
        let context = ClientContext::fixed(Request::new(client, "m"), target.protocol);
        let mut encoder = StreamEncoder::new(client, context);
        let mut restorer = Restorer::new(polyport_protocol::Restore::default());
        let mut restored = Vec::new();
        let mut out = Vec::new();
        for event in &whole {
            restorer.event(event.clone(), &mut restored);
            for event in restored.drain(..) {
                encoder.encode(event, &mut out);
            }
        }
        assert!(std::str::from_utf8(&out).is_ok());
    }
}

fn events(target: &Target, pieces: &[&[u8]]) -> Vec<Event> {
    let mut decoder = StreamDecoder::new(target, MAX_EVENT);
    let mut out = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece), &mut out);
    }
    decoder.finish(BodyEnd::Clean, &mut out);
    out
}

/// Any answer is one or a clean fault; it can be written for every client and given as legal events.
pub fn response(data: &[u8]) {
    let Some((selector, body)) = data.split_first() else { return };
    let target = Target::plain(Protocol::ALL[usize::from(*selector) % 4], "m");
    let Ok(response) = decode_response(&target, Bytes::copy_from_slice(body)) else { return };
    for client in ClientProtocol::ALL {
        let context = ClientContext::fixed(Request::new(client, "m"), target.protocol);
        let written = encode_response(client, &context, &response);
        assert!(serde_json::from_slice::<serde_json::Value>(&written).is_ok(), "not JSON for {client}");
    }
    let events = collect::into_events(response);
    if let Err(problem) = Validator::check_all(&events) {
        panic!("illegal events: {problem}\n{events:#?}");
    }
}
