//! Events to chunks for a client.

use polyport_types::{Event, Signature, Text};

use crate::context::ClientContext;

/// Events to a client's stream.
#[derive(Debug)]
pub struct Encoder {
    #[allow(dead_code, reason = "read by the encoder")]
    context: ClientContext,
}

impl Encoder {
    /// An encoder for a client.
    #[must_use]
    pub fn new(context: ClientContext) -> Self {
        Self { context }
    }

    /// Appends what `event` means for the client.
    pub fn encode(&mut self, _event: Event, _out: &mut Vec<u8>) {}

    /// Signatures this client cannot carry, by tool call id.
    pub fn take_signatures(&mut self) -> Vec<(Text, Vec<Signature>)> {
        Vec::new()
    }
}
