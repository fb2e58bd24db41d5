//! Errors as answers: the only place where a fault gets a status and a body.

use http::header::{CONNECTION, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use polyport_protocol::encode_fault;
use polyport_types::{ClientProtocol, Fault, FaultClass};

use crate::body::Body;
use crate::id::RequestId;

/// Writes a fault in the client's protocol.
pub(crate) fn answer(protocol: ClientProtocol, fault: &Fault, id: &RequestId) -> Response<Body> {
    let written = encode_fault(protocol, fault, &id.header());
    let mut response = Response::new(Body::from(written.body));
    *response.status_mut() = StatusCode::from_u16(written.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in written.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers.insert("x-polyport-error", HeaderValue::from_static(fault.class.as_str()));
    if ends_connection(fault.class) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    name(protocol, id, headers);
    response
}

/// Puts the request's id under the names the protocol's clients read.
pub(crate) fn name(protocol: ClientProtocol, id: &RequestId, headers: &mut http::HeaderMap) {
    let Ok(value) = HeaderValue::try_from(id.header()) else { return };
    if protocol == ClientProtocol::Messages {
        headers.insert(const { HeaderName::from_static("request-id") }, value.clone());
    }
    headers.insert(const { HeaderName::from_static("x-request-id") }, value);
}

/// After these the rest of the request is not worth reading.
fn ends_connection(class: FaultClass) -> bool {
    matches!(class, FaultClass::TooLarge | FaultClass::RequestTimeout)
}
