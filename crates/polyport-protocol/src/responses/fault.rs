//! Error bodies of the Responses protocol.

use polyport_types::Fault;

use crate::ErrorBody;

/// Writes an error for a client.
#[must_use]
pub fn encode_fault(_fault: &Fault, _request_id: &str) -> ErrorBody {
    ErrorBody { status: 500, headers: Vec::new(), body: Vec::new() }
}
