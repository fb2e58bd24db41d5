//! Whole answers of the Chat protocol.

use polyport_types::{Event, Fault, FaultClass, Response, Text};

use super::stream::Decoder;
use super::types::Chunk;
use crate::collect::Collector;
use crate::{ClientContext, Target};

/// Reads a provider's whole answer: a chunk that holds everything.
///
/// # Errors
/// A [`Fault`] if it is an error in disguise or makes no sense.
pub fn decode_response(target: &Target, body: &Text) -> Result<Response, Fault> {
    let chunk: Chunk<'_> = serde_json::from_str(body).map_err(|error| Fault {
        from_upstream: true,
        ..Fault::new(FaultClass::UpstreamProtocol, format!("the provider's answer cannot be read: {error}"))
    })?;
    let mut decoder = Decoder::new(target);
    let mut events = Vec::new();
    decoder.chunk(chunk, body, &mut events);
    if !matches!(events.last(), Some(Event::Error(_))) {
        decoder.finish(false, &mut events);
    }
    let mut collector = Collector::new();
    events.into_iter().for_each(|event| collector.push(event));
    collector.into_response()
}

/// Writes a whole answer for a client.
#[must_use]
pub fn encode_response(_context: &ClientContext, _response: &Response) -> Vec<u8> {
    Vec::new()
}
