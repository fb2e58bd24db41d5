//! Error bodies of the Chat protocol.

use polyport_types::Fault;

use crate::{ErrorBody, openai_fault};

/// Writes an error for a client. The id of the request travels in a header of the server, not in the body.
#[must_use]
pub fn encode_fault(fault: &Fault, _request_id: &str) -> ErrorBody {
    openai_fault::error_body(fault)
}
