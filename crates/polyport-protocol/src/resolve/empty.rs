//! Parts and messages that say nothing. Messages refuses them; Gemini and Responses clients may send them to their own protocol.

use polyport_types::{LossAction, LossCode, Message, Part, PartKind, Protocol, ReasoningMode, Request, Role};

use super::{Job, Place, Tally};

/// Asks for what a prefilled answer asks for.
const GO_ON: &str = "Continue your last message from exactly where it stops.";

/// Removes what is empty.
pub(super) fn remove(job: &mut Job<'_>, request: &mut Request) {
    if job.to(Protocol::Chat) || (job.same && !job.to(Protocol::Messages)) {
        return;
    }
    for instruction in &mut request.instructions {
        drop_blank(&mut instruction.parts, false);
    }
    request.instructions.retain(|instruction| !instruction.parts.is_empty());
    let mut dropped = Tally::default();
    let last = request.messages.len().checked_sub(1);
    for (at, message) in request.messages.iter_mut().enumerate() {
        if message.role == Role::Tool {
            continue;
        }
        let had_parts = !message.parts.is_empty();
        let signed = job.target.protocol == Protocol::Gemini;
        let count = drop_blank(&mut message.parts, signed);
        let emptied = had_parts && message.parts.is_empty();
        if emptied && Some(at) == last && message.role == Role::User {
            // The last word of the user is still a word.
            message.parts.push(Part::text(if signed { " " } else { "." }));
        }
        if count > 0 {
            dropped.add(job.place(message));
        }
    }
    request.messages.retain(|message| !says_nothing(message));
    if last.is_some() && request.messages.is_empty() && job.to(Protocol::Responses) {
        // A history in which nobody said anything is still one; the other encoders see to that themselves.
        request.messages.push(Message::new(Role::User, 0, vec![Part::text(".")]));
        let place = Place::Message(job.source, 0);
        job.losses.info(LossCode::TurnSynthesised, LossAction::Synthesised, place, "");
    }
    if let Some((place, detail)) = dropped.take("messages") {
        job.losses.info(LossCode::TurnDroppedEmpty, LossAction::Dropped, place, detail);
    }
}

/// Where a model cannot go on from its own words, the user asks it to.
pub(super) fn avoid_prefill(job: &mut Job<'_>, request: &mut Request) {
    if job.to(Protocol::Responses) && !job.same {
        return report_prefill(job, request);
    }
    if !job.to(Protocol::Messages) {
        return;
    }
    let thinks = request.reasoning.as_ref().is_some_and(|control| {
        matches!(control.mode, ReasoningMode::On | ReasoningMode::Adaptive | ReasoningMode::BetweenTools)
    });
    let Some(last) = request.messages.last().filter(|last| last.role == Role::Assistant) else { return };
    // A turn that the provider paused is sent back as it is.
    let words = last.parts.last().is_some_and(|part| matches!(part.kind, PartKind::Text(_)));
    if !words || (job.capabilities().prefill && !thinks) {
        return;
    }
    let (index, place) = (last.index, job.place(last));
    request.messages.push(Message::new(Role::User, index, vec![Part::text(GO_ON)]));
    let detail = "the model does not continue its own words; it is asked to";
    job.losses.warn(LossCode::TurnSynthesised, LossAction::Synthesised, place, detail);
}

/// Models behind Responses answer anew where others go on with their own last words.
fn report_prefill(job: &mut Job<'_>, request: &Request) {
    let last = request.messages.last().filter(|last| last.role == Role::Assistant);
    let Some(last) = last.filter(|last| matches!(last.parts.last(), Some(part) if part.as_text().is_some())) else {
        return;
    };
    let place = job.place(last);
    let detail = "the model does not continue its own words";
    job.losses.warn(LossCode::ServerFeatureDropped, LossAction::Degraded, place, detail);
}

fn says_nothing(message: &Message) -> bool {
    message.parts.is_empty() && message.ext.is_empty()
}

/// Drops blank texts; a cache marker moves to the part before. The number dropped.
fn drop_blank(parts: &mut Vec<Part>, keep_signed: bool) -> usize {
    let is_blank = |part: &Part| matches!(&part.kind, PartKind::Text(text) if text.text.trim().is_empty());
    if !parts.iter().any(is_blank) {
        return 0;
    }
    let before = parts.len();
    let mut kept: Vec<Part> = Vec::with_capacity(before);
    for part in std::mem::take(parts) {
        if !is_blank(&part) || (keep_signed && part.signature.is_some()) {
            kept.push(part);
            continue;
        }
        if let (Some(mark), Some(previous)) = (part.cache, kept.last_mut()) {
            previous.cache.get_or_insert(mark);
        }
    }
    *parts = kept;
    before - parts.len()
}
