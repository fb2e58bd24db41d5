//! What hyper lets pass and we do not: requests that two parsers could read differently.

use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method, Version};
use polyport_types::{Fault, FaultClass};

/// What the bytes of the head showed and the parsed head hides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HeadBytes {
    #[default]
    Clean,
    /// Content-Length stands twice.
    DoubleLength,
    /// Content-Length stands beside Transfer-Encoding.
    LengthAndChunked,
}

/// A request that must not be answered.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Word for metrics.
    pub(crate) reason: &'static str,
    pub(crate) fault: Fault,
}

/// Refuses a head with unclear framing.
pub(crate) fn check(head: &Parts, bytes: HeadBytes) -> Result<(), Refused> {
    let refuse = |reason, words: &str| Err(Refused { reason, fault: Fault::new(FaultClass::BadRequest, words) });
    match bytes {
        HeadBytes::Clean => {}
        HeadBytes::DoubleLength => return refuse("double_length", "the request has two Content-Length headers"),
        HeadBytes::LengthAndChunked => {
            return refuse("length_and_chunked", "the request has both Content-Length and Transfer-Encoding");
        }
    }
    if head.method == Method::CONNECT {
        return refuse("connect", "this is not a proxy for CONNECT");
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return refuse("double_host", "the request has two Host headers");
    }
    if head.version == Version::HTTP_11 && host.is_none() {
        return refuse("no_host", "the request has no Host header");
    }
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    if [host.map(HeaderValue::as_bytes), authority].into_iter().flatten().any(|name| name.contains(&b'@')) {
        return refuse("user_in_host", "the host holds a user name");
    }
    if let (Some(host), Some(authority)) = (host, authority)
        && !host.as_bytes().eq_ignore_ascii_case(authority)
    {
        return refuse("other_host", "the Host header and the address of the request differ");
    }
    let mut encodings = head.headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(encoding) = encodings.next()
        && (encodings.next().is_some() || !encoding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return refuse("transfer_encoding", "Transfer-Encoding may only be `chunked`");
    }
    Ok(())
}

/// Reads the bytes of request heads as they arrive, only to find what hyper's parser hides: it drops repeated lengths.
#[derive(Debug, Default)]
pub(crate) struct HeadScanner {
    /// The first bytes of the present line, lower case.
    line: Vec<u8>,
    lengths: u8,
    encodings: u8,
    ended: bool,
}

impl HeadScanner {
    /// Starts over with the next head.
    pub(crate) fn reset(&mut self) {
        self.line.clear();
        self.lengths = 0;
        self.encodings = 0;
        self.ended = false;
    }

    /// Takes bytes of the head; those after its end are ignored.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        /// Length of the longer of the two names and its colon.
        const ENOUGH: usize = "transfer-encoding:".len();
        let mut rest = bytes;
        while !self.ended && !rest.is_empty() {
            let (line, after, whole) = match memchr::memchr(b'\n', rest) {
                Some(at) => {
                    let (line, after) = rest.split_at(at);
                    (line, after.get(1..).unwrap_or_default(), true)
                }
                None => (rest, &[][..], false),
            };
            let room = ENOUGH - self.line.len().min(ENOUGH);
            self.line.extend(line.iter().take(room).map(u8::to_ascii_lowercase));
            if whole {
                match self.line.as_slice() {
                    b"" | b"\r" => self.ended = true,
                    line if line.starts_with(b"content-length:") => self.lengths = self.lengths.saturating_add(1),
                    line if line.starts_with(b"transfer-encoding:") => {
                        self.encodings = self.encodings.saturating_add(1)
                    }
                    _ => {}
                }
                self.line.clear();
            }
            rest = after;
        }
    }

    /// What was found.
    pub(crate) fn found(&self) -> HeadBytes {
        match (self.lengths, self.encodings) {
            (0 | 1, 0) | (0, _) => HeadBytes::Clean,
            (_, 0) => HeadBytes::DoubleLength,
            _ => HeadBytes::LengthAndChunked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(head: &str, step: usize) -> HeadBytes {
        let mut scanner = HeadScanner::default();
        for piece in head.as_bytes().chunks(step) {
            scanner.push(piece);
        }
        scanner.found()
    }

    #[test]
    fn a1_hidden_lengths_are_found_however_the_head_is_cut() {
        for step in [1, 3, 7, 1000] {
            let twice = "POST / HTTP/1.1\r\nContent-Length: 5\r\ncontent-LENGTH: 5\r\n\r\n";
            assert_eq!(scan(twice, step), HeadBytes::DoubleLength);
            let both = "POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 5\n\n";
            assert_eq!(scan(both, step), HeadBytes::LengthAndChunked);
            let clean = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nContent-Length: 9\r\n";
            assert_eq!(scan(clean, step), HeadBytes::Clean);
        }
    }
}
