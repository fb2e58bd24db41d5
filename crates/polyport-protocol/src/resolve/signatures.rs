//! Whose reasoning may be sent.
//!
//! A signature comes back in a slot of the client's protocol: verbatim where the slot is made for it, else as a carrier. It goes on only
//! to the family and scope it was issued for, unchanged and to the part it belongs to; everything else is dropped.

use polyport_types::{
    ClientProtocol, DocumentSource, Family, LossAction, LossCode, Losses, Message, Part, PartKind, Protocol, Reasoning,
    ReasoningMode, ReasoningText, Request, Role, Signature, SignatureKind,
};

use super::{Job, Place, Tally, state};
use crate::carrier::{self, Placement};
use crate::profile::ReasoningBack;
use crate::{Target, bypass};

/// Opens carriers, gives each signature to its part and adds those that were kept for the client.
pub(super) fn open(job: &mut Job<'_>, messages: &mut Vec<Message>) {
    if !messages.iter().flat_map(|message| &message.parts).any(|part| part.signature.is_some() || holds_parts(part)) {
        for message in messages.iter_mut().filter(|message| message.role == Role::Assistant) {
            look_up(job, &mut message.parts);
        }
        return;
    }
    let mut opener = Opener { carried: Tally::default(), dropped: Tally::default(), next: Vec::new() };
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    for mut message in std::mem::take(messages) {
        if message.role != Role::Assistant {
            opener.lose_next();
        }
        let had_parts = !message.parts.is_empty();
        message.parts.iter_mut().for_each(unsign_inner);
        opener.message(job, &mut message, &mut out);
        if message.role == Role::Assistant {
            look_up(job, &mut message.parts);
        }
        // An item that was nothing but a carrier is gone with it.
        if !(had_parts && message.parts.is_empty()) {
            out.push(message);
        }
    }
    opener.lose_next();
    *messages = out;
    if let Some((place, detail)) = opener.carried.take("signatures") {
        job.losses.info(LossCode::SignatureCarried, LossAction::Emulated, place, detail);
    }
    if let Some((place, _)) = opener.dropped.take("") {
        job.losses.info(LossCode::SignatureForeignDropped, LossAction::Dropped, place, "a carrier that cannot be read");
    }
}

struct Opener {
    carried: Tally,
    dropped: Tally,
    /// Signatures that belong to the next part.
    next: Vec<Signature>,
}

impl Opener {
    fn message(&mut self, job: &Job<'_>, message: &mut Message, before: &mut [Message]) {
        if !message.parts.iter().any(|part| part.signature.is_some()) && self.next.is_empty() {
            return;
        }
        let place = job.place(message);
        let mut kept: Vec<Part> = Vec::with_capacity(message.parts.len());
        for mut part in std::mem::take(&mut message.parts) {
            let token = part.signature.as_ref().filter(|signature| carrier::is_token(&signature.value));
            let Some(token) = token else {
                self.attach_next(&mut part);
                kept.push(part);
                continue;
            };
            let opened = job.context.carrier.and_then(|key| key.open_any(&token.value));
            // A token inside a token comes from nobody who could read it.
            let opened = opened.filter(|(signature, _)| !carrier::is_token(&signature.value));
            part.signature = None;
            let bare = is_bare(&part);
            match opened {
                None => self.dropped.add(place),
                Some((signature, placement)) => {
                    self.carried.add(place);
                    match placement {
                        Placement::Own | Placement::Alone => {
                            own(&mut part, signature);
                            self.attach_next(&mut part);
                            kept.push(part);
                            continue;
                        }
                        Placement::Next => self.next.push(signature),
                        Placement::Previous => {
                            let previous = kept.last_mut().or_else(|| last_assistant_part(before));
                            if let Some(previous) = previous {
                                attach(previous, signature);
                            }
                        }
                    }
                }
            }
            if !bare {
                kept.push(part);
            }
        }
        message.parts = kept;
    }

    fn attach_next(&mut self, part: &mut Part) {
        for signature in self.next.drain(..) {
            attach(part, signature);
        }
    }

    fn lose_next(&mut self) {
        self.next.clear();
    }
}

fn holds_parts(part: &Part) -> bool {
    match &part.kind {
        PartKind::ToolResult(result) => result.parts.iter().any(|part| part.signature.is_some() || holds_parts(part)),
        PartKind::SearchResult(_) => true,
        PartKind::Document(document) => matches!(document.source, DocumentSource::Blocks(_)),
        _ => false,
    }
}

/// Parts inside others have no slot for a signature.
fn unsign_inner(part: &mut Part) {
    let inner = match &mut part.kind {
        PartKind::ToolResult(result) => &mut result.parts,
        PartKind::SearchResult(result) => &mut result.parts,
        PartKind::Document(document) => match &mut document.source {
            DocumentSource::Blocks(blocks) => blocks,
            DocumentSource::File(_) | DocumentSource::PlainText(_) => return,
        },
        _ => return,
    };
    for part in inner {
        part.signature = None;
        unsign_inner(part);
    }
}

fn last_assistant_part(messages: &mut [Message]) -> Option<&mut Part> {
    messages.last_mut().filter(|message| message.role == Role::Assistant)?.parts.last_mut()
}

/// Nothing is left of the part without its signature.
fn is_bare(part: &Part) -> bool {
    match &part.kind {
        PartKind::Reasoning(reasoning) => reasoning.text.joined().is_empty(),
        PartKind::Text(text) => text.text.is_empty(),
        _ => false,
    }
}

/// Gives a part a signature from elsewhere; what it has already is worth more.
fn attach(part: &mut Part, signature: Signature) {
    if part.signature.is_none() {
        part.signature = Some(signature);
    }
}

/// Gives a part the signature of its own slot, and the shape that goes with it.
fn own(part: &mut Part, signature: Signature) {
    if let PartKind::Reasoning(reasoning) = &mut part.kind {
        match signature.kind {
            SignatureKind::Redacted => reasoning.redacted = true,
            SignatureKind::Part => reasoning.redacted = reasoning.text == ReasoningText::None,
            SignatureKind::Thinking | SignatureKind::FunctionCall => reasoning.redacted = false,
            SignatureKind::ReasoningItem => {
                reasoning.redacted = false;
                part.item_id.clone_from(&signature.item_id);
                // Responses gave it as a summary, whatever the client's protocol calls it.
                if let ReasoningText::Full(text) = &reasoning.text {
                    reasoning.text = ReasoningText::Summary(vec![text.clone()]);
                }
            }
        }
        if signature.kind != SignatureKind::ReasoningItem
            && let ReasoningText::Summary(paragraphs) = &reasoning.text
        {
            // It was one text when it was signed.
            reasoning.text = match paragraphs.as_slice() {
                [] => ReasoningText::None,
                _ => ReasoningText::Full(reasoning.text.joined()),
            };
        }
    }
    part.signature = Some(signature);
}

/// Adds the signatures that were kept under the ids of a message's calls, or for its texts where the provider signs these.
fn look_up(job: &Job<'_>, parts: &mut Vec<Part>) {
    let mut at = 0;
    while at < parts.len() {
        let found = match parts.get(at) {
            Some(Part { kind: PartKind::ToolCall(call), signature: None, .. }) => (job.context.signatures)(&call.id),
            Some(Part { kind: PartKind::Text(text), signature: None, .. }) if job.to(Protocol::Gemini) => {
                (job.context.signatures)(&carrier::text_anchor(&text.text))
            }
            _ => Vec::new(),
        };
        for signature in found {
            if is_ours(job, &signature) && place(signature, parts, at) {
                at += 1;
            }
        }
        at += 1;
    }
}

/// Puts a kept signature where it belongs; true if that took a new part before the call at `at`.
fn place(signature: Signature, parts: &mut Vec<Part>, at: usize) -> bool {
    let text = parts.get(at).is_some_and(|part| matches!(part.kind, PartKind::Text(_)));
    if text || signature.kind == SignatureKind::FunctionCall {
        if let Some(part) = parts.get_mut(at) {
            attach(part, signature);
        }
        return false;
    }
    let known = parts.iter().any(|part| part.signature.as_ref().is_some_and(|have| have.value == signature.value));
    let unsigned = parts
        .iter_mut()
        .take(at)
        .find(|part| part.signature.is_none() && matches!(&part.kind, PartKind::Reasoning(text) if !text.redacted));
    match unsigned {
        _ if known => false,
        Some(part) if signature.kind != SignatureKind::Redacted => {
            own(part, signature);
            false
        }
        // The words it signs are gone, and it is worth nothing without them.
        _ if signature.kind == SignatureKind::Thinking => false,
        _ => {
            let mut part = Part::new(PartKind::Reasoning(Box::<Reasoning>::default()));
            own(&mut part, signature);
            parts.insert(at, part);
            true
        }
    }
}

/// Whether the target can read a signature.
fn is_ours(job: &Job<'_>, signature: &Signature) -> bool {
    signature.family == job.capabilities().family && signature.scope.is_none_or(|scope| scope == job.target.scope)
}

/// Drops signatures of others and the reasoning they leave behind, and switches thinking off where the history does not allow it.
pub(super) fn filter(job: &mut Job<'_>, request: &mut Request) {
    let mut lost = Lost::default();
    let stored = state::keeps(job) && request.state.store != Some(false);
    let had_parts: Vec<bool> = request.messages.iter().map(|message| !message.parts.is_empty()).collect();
    for message in &mut request.messages {
        let place = job.place(message);
        message.parts.retain_mut(|part| keep(job, part, stored, place, &mut lost));
    }
    if job.to(Protocol::Responses) && job.capabilities().family == Family::OpenAi {
        drop_loose_items(&mut request.messages);
    }
    if job.to(Protocol::Messages) {
        allow_thinking(job, request, &mut lost);
    }
    remove_emptied(&mut request.messages, &had_parts);
    if let Some((place, detail)) = lost.signatures.take("signatures") {
        job.losses.info(LossCode::SignatureForeignDropped, LossAction::Dropped, place, detail);
    }
    if let Some((place, detail)) = lost.texts.take("parts") {
        job.losses.info(LossCode::ReasoningTextDropped, LossAction::Dropped, place, detail);
    }
}

#[derive(Default)]
struct Lost {
    signatures: Tally,
    texts: Tally,
}

/// Removes messages that lost all they had: nothing but reasoning, so that is no loss of its own.
fn remove_emptied(messages: &mut Vec<Message>, had_parts: &[bool]) {
    let mut had_parts = had_parts.iter();
    messages.retain(|message| had_parts.next() != Some(&true) || !message.parts.is_empty());
}

/// Decides about one part; false drops it.
fn keep(job: &Job<'_>, part: &mut Part, stored: bool, place: Place, lost: &mut Lost) -> bool {
    let had = part.signature.take();
    let (ours, foreign) = match had {
        None => (None, false),
        Some(signature) if !is_ours(job, &signature) => {
            // Known to be unsigned: nothing is lost.
            let empty = signature.value.is_empty();
            if !empty {
                lost.signatures.add(place);
            }
            (None, true)
        }
        Some(signature) => (Some(signature), false),
    };
    let PartKind::Reasoning(reasoning) = &part.kind else {
        part.signature = ours.filter(|signature| !signature.value.is_empty());
        return true;
    };
    let visible = !reasoning.text.joined().is_empty();
    // Chat has one dialect that takes signatures; text alone may be wanted by any.
    let slot = !job.to(Protocol::Chat) || job.profile().reasoning_back == ReasoningBack::Details;
    if !slot && ours.as_ref().is_some_and(|signature| !signature.value.is_empty()) {
        lost.signatures.add(place);
    }
    let kept = match (&ours, job.target.protocol) {
        (Some(_), Protocol::Chat) => visible || slot,
        (None, Protocol::Chat) => visible,
        (Some(signature), Protocol::Gemini) => visible || !signature.value.is_empty(),
        (Some(signature), Protocol::Messages | Protocol::Responses) if !signature.value.is_empty() => true,
        // Servers of other families take their own words back unsigned.
        (_, Protocol::Messages) => visible && !foreign && job.same && job.capabilities().family != Family::Anthropic,
        (_, Protocol::Responses) => {
            let own_words = visible && job.capabilities().family != Family::OpenAi;
            !foreign && job.same && (own_words || (stored && part.item_id.is_some()))
        }
        (None, Protocol::Gemini) => visible && !foreign && job.same,
    };
    if !kept {
        if visible {
            lost.texts.add(place);
        }
        return false;
    }
    part.signature = ours.filter(|signature| !signature.value.is_empty() && slot);
    true
}

/// A reasoning item must be followed by what it led to.
fn drop_loose_items(messages: &mut [Message]) {
    let mut followed = false;
    for message in messages.iter_mut().rev() {
        if message.role != Role::Assistant {
            followed = false;
            continue;
        }
        let mut at = message.parts.len();
        while at > 0 {
            at -= 1;
            match message.parts.get(at).map(|part| &part.kind) {
                Some(PartKind::Reasoning(_)) if !followed => drop(message.parts.remove(at)),
                Some(_) => followed = true,
                None => {}
            }
        }
    }
}

/// Anthropic wants the running turn to begin with thinking while thinking is on. Where no message has any, it is switched off.
fn allow_thinking(job: &mut Job<'_>, request: &mut Request, lost: &mut Lost) {
    let Some(control) = &mut request.reasoning else { return };
    let active = matches!(control.mode, ReasoningMode::On | ReasoningMode::Adaptive | ReasoningMode::BetweenTools);
    let in_tool_loop = request.messages.last().is_some_and(|message| message.role == Role::Tool);
    let signed = job.capabilities().family == Family::Anthropic;
    let has_thinking = request.messages.iter().flat_map(|message| &message.parts).any(is_reasoning);
    // A client of the same protocol knows what it sends, unless something was taken out.
    let touched = !job.same || lost.signatures.count + lost.texts.count > 0;
    if active && in_tool_loop && signed && touched && !has_thinking && job.capabilities().reasoning_off {
        control.mode = ReasoningMode::Off;
        control.budget_tokens = None;
        control.effort = None;
        let path = if job.source == ClientProtocol::Messages { "/thinking" } else { "/reasoning" };
        let detail = "no earlier thinking of this model in the running turn";
        job.losses.warn(LossCode::ReasoningDisabledForHistory, LossAction::Degraded, path, detail);
    }
    if request.reasoning.as_ref().is_some_and(|control| control.mode == ReasoningMode::Off) && !job.same {
        for message in &mut request.messages {
            let place = job.place(message);
            message.parts.retain(|part| {
                if is_reasoning(part) && !is_bare(part) {
                    lost.texts.add(place);
                }
                !is_reasoning(part)
            });
        }
    }
}

fn is_reasoning(part: &Part) -> bool {
    matches!(part.kind, PartKind::Reasoning(_))
}

/// Takes every signature out of a request, and what is nothing without one; a bypass value that stood in the `refused` body gets its
/// other form. For the one repetition after a provider refused a signature: call it on the client's own request, then
/// [`super::resolve`] that without kept signatures.
pub fn strip_signatures(target: &mut Target, request: &mut Request, refused: &[u8], losses: &mut Losses) {
    bypass::other_form(target, refused);
    let detail = "the provider refused the signatures of earlier reasoning";
    losses.warn(LossCode::SignatureForeignDropped, LossAction::Dropped, "", detail);
    let had_parts: Vec<bool> = request.messages.iter().map(|message| !message.parts.is_empty()).collect();
    for message in &mut request.messages {
        message.parts.retain_mut(|part| {
            let signed = part.signature.take().is_some();
            let hidden = matches!(&part.kind, PartKind::Reasoning(reasoning) if reasoning.redacted);
            !(hidden || (signed && is_bare(part)))
        });
    }
    remove_emptied(&mut request.messages, &had_parts);
}
