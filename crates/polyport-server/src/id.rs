//! Ids of requests and answers.

use polyport_types::Text;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The random id of one request, 24 characters of base62. Ids of answers and items derive from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(Text);

impl RequestId {
    /// A new one.
    pub(crate) fn new() -> Self {
        let random: [u8; 24] = rand::random();
        let letters = random.map(|byte| ALPHABET.get(usize::from(byte) % ALPHABET.len()).copied().unwrap_or(b'0'));
        Self(Text::from(std::str::from_utf8(&letters).unwrap_or_default()))
    }

    /// The 24 characters.
    pub(crate) fn text(&self) -> &Text {
        &self.0
    }

    /// As clients see it: `req_…`.
    pub(crate) fn header(&self) -> String {
        ["req_", &*self.0].concat()
    }
}
