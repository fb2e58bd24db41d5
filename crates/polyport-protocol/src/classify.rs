//! What kind of failure a provider's answer is.

use std::time::Duration;

use bytes::Bytes;
use polyport_types::{Fault, FaultClass, Protocol};

/// An unsuccessful answer of a provider.
#[derive(Clone, Debug)]
pub struct ProviderAnswer<'a> {
    /// What the provider speaks.
    pub protocol: Protocol,
    /// HTTP status.
    pub status: u16,
    /// Reads a response header.
    pub headers: &'a [(String, String)],
    /// The body, possibly cut to a limit.
    pub body: Bytes,
    /// Now, Unix seconds: `Retry-After` may be a date.
    pub now: i64,
}

/// Reads an error body of any shape and says what it means.
#[must_use]
pub fn classify(answer: &ProviderAnswer<'_>) -> Fault {
    Fault {
        upstream_status: Some(answer.status),
        from_upstream: true,
        ..Fault::new(FaultClass::ServerError, "the provider failed")
    }
}

/// When the provider may be asked again, from headers and body.
#[must_use]
pub fn retry_after(_headers: &[(String, String)], _now: i64) -> Option<Duration> {
    None
}
