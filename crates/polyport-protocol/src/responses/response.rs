//! Whole answers of the Responses protocol.

use polyport_types::{Fault, Response, Text};

use crate::{ClientContext, Target};

/// Reads a provider's whole answer.
///
/// # Errors
/// A [`Fault`] if it is an error in disguise or makes no sense.
pub fn decode_response(_target: &Target, _body: &Text) -> Result<Response, Fault> {
    Ok(Response::default())
}

/// Writes a whole answer for a client.
#[must_use]
pub fn encode_response(_context: &ClientContext, _response: &Response) -> Vec<u8> {
    Vec::new()
}
