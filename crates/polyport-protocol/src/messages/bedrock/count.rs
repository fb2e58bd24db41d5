//! The operation `CountTokens`: it takes a request of either kind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use polyport_types::{Losses, Request};

use super::super::encode::{self, Draft};
use super::request::prompt;
use crate::context::{Encoded, Target};
use crate::json::JsonWriter;
use crate::wires::Wire;

/// Writes a request that only counts the tokens of the prompt.
#[must_use]
pub fn encode_count_request(target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    let mut body = Vec::with_capacity(request.about_bytes());
    JsonWriter::new(&mut body).object(|w| {
        w.object_field("input", |w| match target.wire {
            Wire::Converse => {
                let draft = Draft::new(target, request, false, losses);
                w.object_field("converse", |w| prompt(w, &draft, losses));
            }
            _ => {
                let whole = encode::encode_request(target, request, losses).body;
                w.object_field("invokeModel", |w| w.str("body", &STANDARD.encode(whole)));
            }
        });
    });
    Encoded { body, ..Encoded::default() }
}
