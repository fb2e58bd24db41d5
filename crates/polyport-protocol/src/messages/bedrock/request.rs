//! Requests of Converse, written from the same decisions as those of the Messages protocol.

use polyport_types::{LossAction, LossCode, Losses, Request};

use super::super::encode::Draft;
use super::super::turns::{Block, Kind, Side, Turn};
use super::config;
use super::content::{Names, blocks, cache_point};
use crate::context::{Encoded, Target};
use crate::json::JsonWriter;

/// What stands where words are needed and there are none.
pub(super) const PLACEHOLDER: &str = ".";

/// Writes a resolved request for a provider. What the protocol has no slot for is appended to `losses`.
#[must_use]
pub fn encode_request(target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    let draft = Draft::new(target, request, false, losses);
    let mut body = Vec::with_capacity(request.about_bytes());
    JsonWriter::new(&mut body).object(|w| {
        prompt(w, &draft, losses);
        config::write(w, &draft, losses);
    });
    let accept = if request.stream { "application/vnd.amazon.eventstream" } else { "application/json" };
    Encoded { body, headers: vec![("accept".into(), accept.to_owned())], ..Encoded::default() }
}

/// The members that make the prompt.
pub(super) fn prompt(w: &mut JsonWriter<'_>, draft: &Draft<'_>, losses: &mut Losses) {
    let mut names = Names::default();
    if !draft.system.is_empty() {
        w.array_field("system", |w| draft.system.iter().for_each(|block| instruction(w, block, losses)));
    }
    w.array_field("messages", |w| {
        for (at, turn) in draft.turns.iter().enumerate() {
            let last = at + 1 == draft.turns.len();
            w.object(|w| {
                w.str("role", if turn.side == Side::Assistant { "assistant" } else { "user" });
                w.array_field("content", |w| {
                    alone(w, turn, losses);
                    blocks(w, &turn.blocks, draft, &mut names, losses);
                    if let Some(mark) = draft.auto.filter(|_| last) {
                        cache_point(w, mark);
                    }
                });
            });
        }
    });
    config::tools(w, draft, losses);
}

/// A document must not stand without words.
fn alone(w: &mut JsonWriter<'_>, turn: &Turn<'_>, losses: &mut Losses) {
    let is_document = |block: &Block<'_>| matches!(block.kind, Kind::Document { .. });
    let is_text = |block: &Block<'_>| matches!(block.kind, Kind::Text { .. });
    if turn.blocks.iter().any(is_document) && !turn.blocks.iter().any(is_text) {
        losses.info(LossCode::TurnSynthesised, LossAction::Synthesised, "/messages", "words beside a document");
        w.object(|w| w.str("text", PLACEHOLDER));
    }
}

fn instruction(w: &mut JsonWriter<'_>, block: &Block<'_>, losses: &mut Losses) {
    match &block.kind {
        Kind::Text { text, .. } => w.object(|w| w.str("text", text)),
        _ => losses.warn(LossCode::ServerFeatureDropped, LossAction::Dropped, "/system", "instructions hold only text"),
    }
    if let Some(mark) = block.cache {
        cache_point(w, mark);
    }
}
