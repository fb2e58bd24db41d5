//! Answers of `count_tokens`.

use super::types::CountBody;
use crate::json::JsonWriter;

/// Reads the number of tokens; `None` if the body has none.
#[must_use]
pub fn decode_count(body: &[u8]) -> Option<u64> {
    let body: CountBody<'_> = serde_json::from_slice(body).ok()?;
    body.input_tokens.and_then(|count| u64::try_from(count.0).ok())
}

/// Writes the number of tokens for a client.
#[must_use]
pub fn encode_count(tokens: u64) -> Vec<u8> {
    let mut out = Vec::new();
    JsonWriter::new(&mut out).object(|w| w.num("input_tokens", tokens));
    out
}
