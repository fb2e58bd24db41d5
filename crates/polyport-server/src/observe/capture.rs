//! What was said, where the operator wants it kept.

use polyport_protocol::classify::mask;
use polyport_store::log::Payload;

/// The bodies of a request and of its answer, as the client sees them, up to a size.
#[derive(Debug)]
pub(crate) struct Capture {
    most: usize,
    request: Vec<u8>,
    answer: Vec<u8>,
    truncated: bool,
}

impl Capture {
    /// Keeps at most so many bytes of each.
    pub(crate) fn new(most: usize, request: &[u8]) -> Self {
        let mut this = Self { most, request: Vec::new(), answer: Vec::new(), truncated: false };
        this.truncated = !put(&mut this.request, request, most);
        this
    }

    /// More of the answer.
    pub(crate) fn answer(&mut self, bytes: &[u8]) {
        self.truncated |= !put(&mut self.answer, bytes, self.most);
    }

    /// For the log: without what looks like a key, a token or an address of a person.
    pub(crate) fn payload(&self) -> Payload {
        let text = |bytes: &[u8]| (!bytes.is_empty()).then(|| mask(&String::from_utf8_lossy(bytes)));
        Payload { request: text(&self.request), answer: text(&self.answer), truncated: self.truncated }
    }
}

/// Adds as much as there is room for; false if that is not all.
fn put(to: &mut Vec<u8>, bytes: &[u8], most: usize) -> bool {
    let room = most.saturating_sub(to.len()).min(bytes.len());
    to.extend_from_slice(bytes.get(..room).unwrap_or_default());
    room == bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_holds_no_keys() {
        let mut capture = Capture::new(60, br#"{"key":"sk-proj-0123456789abcdef"}"#);
        capture.answer(b"hello ");
        let payload = capture.payload();
        assert_eq!(payload.request.as_deref(), Some(r#"{"key":"[redacted]"}"#));
        assert!(!payload.truncated);
        capture.answer(&[b'x'; 100]);
        let payload = capture.payload();
        assert!(payload.truncated && payload.answer.unwrap().len() == 60);
    }
}
