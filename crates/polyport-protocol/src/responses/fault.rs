//! Error bodies of the Responses protocol.

use polyport_types::Fault;

use crate::ErrorBody;
use crate::openai_fault;

/// Writes an error for a client.
#[must_use]
pub fn encode_fault(fault: &Fault, _request_id: &str) -> ErrorBody {
    openai_fault::error_body(fault)
}
