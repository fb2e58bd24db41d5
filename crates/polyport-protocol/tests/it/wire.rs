//! Bytes through the codecs, as most tests need it. The fuzzers include this file too.

use std::sync::Arc;

use bytes::Bytes;
use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    CarrierKey, ClientContext, Encoded, Restore, StreamDecoder, StreamEncoder, Target, collect, encode_request, resolve,
};
use polyport_types::{
    ClientProtocol, Event, Fault, Losses, Modality, Protocol, ReasoningControl, ReasoningMode, ReasoningVisibility,
    Request, Response,
};

/// Largest event in bytes.
pub(crate) const MAX_EVENT: usize = 64 << 20;

/// The events of a provider's stream that arrives in these pieces.
pub(crate) fn events<'a>(target: &Target, pieces: impl IntoIterator<Item = &'a [u8]>, end: BodyEnd) -> Vec<Event> {
    let mut decoder = StreamDecoder::new(target, MAX_EVENT);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece), &mut events);
    }
    decoder.finish(end, &mut events);
    events
}

/// The whole answer of a stream, or the fault it ends with.
pub(crate) fn collected(events: &[Event]) -> Result<Response, Fault> {
    let mut collector = collect::Collector::new();
    events.iter().for_each(|event| collector.push(event.clone()));
    collector.into_response()
}

/// The bytes a client gets for these events.
pub(crate) fn streamed(client: ClientProtocol, context: ClientContext, events: &[Event]) -> Vec<u8> {
    let mut encoder = StreamEncoder::new(client, context);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.encode(event.clone(), &mut out));
    out
}

/// A client that wants to see everything.
pub(crate) fn curious(client: ClientProtocol, provider: Protocol) -> ClientContext {
    let mut request = Request::new(client, "alias");
    request.reasoning = Some(ReasoningControl {
        mode: ReasoningMode::Adaptive,
        visibility: Some(ReasoningVisibility::Summary),
        summary: Some("auto".into()),
        ..ReasoningControl::default()
    });
    request.stream = true;
    request.stream_options.include_usage = true;
    request.output_modalities = vec![Modality::Text, Modality::Image];
    ClientContext { carrier: Some(Arc::new(CarrierKey::new([7; 32]))), ..ClientContext::fixed(request, provider) }
}

/// What a provider is sent for a request.
pub(crate) fn sent(target: &Target, request: Request, carrier: Option<&CarrierKey>) -> (Encoded, Restore, Losses) {
    let mut losses = Losses::new();
    let context = ResolveContext { carrier, signatures: &|_| Vec::new() };
    let (request, restore) = resolve(target, request, &context, &mut losses);
    (encode_request(target, &request, &mut losses), restore, losses)
}
