//! Requests of the Responses protocol.

use polyport_types::{ClientProtocol, Losses, Request, Text};

use crate::{DecodeError, Encoded, RequestHead, Target};

/// Reads a client's request.
///
/// # Errors
/// [`DecodeError`] names the wrong path.
pub fn decode_request(_head: &RequestHead, _body: &Text) -> Result<Request, DecodeError> {
    Ok(Request::new(ClientProtocol::Responses, ""))
}

/// Writes a resolved request for a provider.
#[must_use]
pub fn encode_request(_target: &Target, _request: &Request, _losses: &mut Losses) -> Encoded {
    Encoded::default()
}
