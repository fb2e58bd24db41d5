//! Writes an [`Answer`] the way the real service of each protocol writes it.

use polyport_types::Protocol;
use serde_json::Value;

use super::model::Prompt;
use super::step::{Answer, Part, Tokens};

mod chat;
mod foreign;
mod gemini;
mod messages;
mod responses;
mod signature;
mod warp;

pub(super) use foreign::{lumen, ollama};
pub(super) use signature::{check as check_signatures, sign};
pub(super) use warp::events as warp_events;

/// Unix seconds of every answer: nothing here depends on the clock.
pub(super) const CREATED: u64 = 1_790_000_000;

/// All that is known when an answer is written.
pub(super) struct Saying<'a> {
    pub(super) prompt: &'a Prompt,
    pub(super) answer: &'a Answer,
    pub(super) request: &'a Value,
    /// Number of the request at this provider: makes ids unique.
    pub(super) serial: usize,
}

impl Saying<'_> {
    fn model(&self) -> &str {
        self.answer.model.as_deref().unwrap_or(&self.prompt.model)
    }

    fn call_id(&self, prefix: &str, at: usize) -> String {
        format!("{prefix}fake{}x{at}", self.serial)
    }

    fn tokens(&self) -> Tokens {
        let words = |text: &str| u64::try_from(text.split_whitespace().count()).unwrap_or(0);
        self.answer.usage.unwrap_or_else(|| {
            let mut tokens = Tokens { input: self.prompt.tokens, ..Tokens::default() };
            for part in &self.answer.parts {
                match part {
                    Part::Text(text) | Part::Refusal(text) => tokens.output += words(text),
                    Part::Reasoning(text) => tokens.reasoning += words(text),
                    Part::Tool { arguments: text, .. } | Part::Custom { input: text, .. } => {
                        tokens.output += 5 + words(text)
                    }
                    Part::Image { .. } => tokens.output += 1000,
                }
            }
            tokens.output = tokens.output.max(1);
            tokens
        })
    }
}

/// The whole answer.
pub(super) fn whole(protocol: Protocol, saying: &Saying<'_>) -> Value {
    match protocol {
        Protocol::Chat => chat::whole(saying),
        Protocol::Responses => responses::whole(saying),
        Protocol::Messages => messages::whole(saying),
        Protocol::Gemini => gemini::whole(saying),
    }
}

/// The stream, one string for each event with its framing.
pub(super) fn events(protocol: Protocol, saying: &Saying<'_>, array: bool) -> Vec<String> {
    match protocol {
        Protocol::Chat => chat::events(saying),
        Protocol::Responses => responses::events(saying),
        Protocol::Messages => messages::events(saying),
        Protocol::Gemini => gemini::events(saying, array),
    }
}

/// Text in the pieces it is streamed in: words with the blank before them.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.char_indices().skip(1).find(|(_, c)| c.is_whitespace()).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// JSON text in pieces of a few characters, as models stream arguments.
fn fragments(json: &str) -> Vec<String> {
    let letters: Vec<char> = json.chars().collect();
    letters.chunks(7).map(|chunk| chunk.iter().collect()).collect()
}
