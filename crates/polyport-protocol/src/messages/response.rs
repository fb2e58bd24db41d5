//! Whole answers of the Messages protocol.

use polyport_types::{Candidate, Extras, Fault, FaultClass, Part, PartKind, Response, Signature, Text};

use super::block::part;
use super::client::{self, Blocks, Piece, Sight};
use super::finish::{self, Calls, End, Stop};
use super::ids::CallIds;
use super::types::MessageBody;
use super::usage::{self, Meter, Scene};
use crate::classify::classify_body;
use crate::collect::status_of;
use crate::json::{JsonWriter, extras, from_text, raw};
use crate::{ClientContext, Target};

/// Reads a provider's whole answer.
///
/// # Errors
/// A [`Fault`] if it is an error in disguise or makes no sense.
pub fn decode_response(target: &Target, body: &Text) -> Result<Response, Fault> {
    let unreadable = |what: &str| Fault {
        from_upstream: true,
        ..Fault::new(FaultClass::UpstreamProtocol, format!("the provider's answer is {what}"))
    };
    let wire: MessageBody<'_> = from_text(body).map_err(|error| unreadable(&format!("not a message: {error}")))?;
    if wire.error.is_some() || wire.kind.as_deref() == Some("error") {
        return Err(classify_body(None, body));
    }
    if wire.content.is_none() && wire.stop_reason.is_none() {
        return Err(unreadable("neither a message nor an error"));
    }
    Ok(message(target, wire, body))
}

/// A message as an answer: of a body, or inside `message_start`.
pub(super) fn message(target: &Target, wire: MessageBody<'_>, body: &Text) -> Response {
    let family = target.capabilities.family;
    let mut meter = Meter::default();
    if let Some(usage) = wire.usage {
        meter.take(usage, body);
    }
    let blocks = wire.content.unwrap_or_default().into_iter();
    let mut parts: Vec<Part> = blocks.map(|block| part(block, family, body)).collect();
    let calls = settle_calls(&mut parts);
    let mut ext = Extras::new();
    for (name, value) in [
        ("stop_details", wire.stop_details),
        ("container", wire.container),
        ("context_management", wire.context_management),
    ] {
        if let Some(value) = value {
            ext.push(name, raw(value, body));
        }
    }
    let raw_finish = wire.stop_reason.map(|reason| reason.into_text(body));
    let sequence = wire.stop_sequence.map(|sequence| sequence.into_text(body));
    let reason = finish::read(raw_finish.as_deref(), sequence, ext.get("stop_details"));
    let candidate = Candidate { parts, finish: finish::settle(reason, calls), raw_finish, ext, ..Candidate::default() };
    Response {
        id: wire.id.map(|id| id.into_text(body)).unwrap_or_default(),
        model: wire.model.map(|model| model.into_text(body)).unwrap_or_default(),
        status: status_of(Some(&candidate)),
        candidates: vec![candidate],
        usage: meter.usage(target.profile.input_includes_cache),
        service_tier: meter.tier(),
        ext: extras(wire.extra, body),
        ..Response::default()
    }
}

/// Gives calls what every call must have; calls of nothing are left out.
pub(super) fn settle_calls(parts: &mut Vec<Part>) -> Calls {
    let mut calls = Calls::default();
    let mut ids = CallIds::default();
    parts.retain_mut(|part| match &mut part.kind {
        PartKind::ToolCall(call) => {
            let named = !call.name.is_empty();
            if named {
                call.id = ids.unique(std::mem::take(&mut call.id));
            }
            if named {
                calls.add(call.status);
            }
            named
        }
        _ => true,
    });
    calls
}

/// Writes a whole answer for a client.
#[must_use]
pub fn encode_response(context: &ClientContext, response: &Response) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let empty = Candidate::default();
    let candidate = response.first().unwrap_or(&empty);
    let refusal = client::refusal(&candidate.parts);
    let parts = client::signed(&candidate.parts);
    let pieces = pieces(context, &parts);
    let failed = response.error.clone().or_else(|| {
        let end = End {
            reason: &candidate.finish,
            raw: candidate.raw_finish.as_deref(),
            message: candidate.finish_message.as_deref(),
            prompt_block: response.prompt_block.as_ref(),
            ext: &candidate.ext,
            refusal: refusal.as_deref(),
            has_text: pieces.iter().any(|piece| matches!(piece, Piece::Text { .. })),
            called: pieces.iter().any(|piece| matches!(piece, Piece::ToolUse { .. })),
            provider: context.provider,
        };
        match Stop::of(end) {
            Some(stop) => {
                whole(&mut out, context, response, &pieces, &stop);
                None
            }
            None => Some(finish::failure(
                &candidate.finish,
                candidate.raw_finish.as_deref(),
                candidate.finish_message.as_deref(),
            )),
        }
    });
    if let Some(fault) = failed {
        out.clear();
        super::fault::write(&mut out, &fault, None);
    }
    out
}

fn whole(out: &mut Vec<u8>, context: &ClientContext, response: &Response, pieces: &[Piece<'_>], stop: &Stop<'_>) {
    JsonWriter::new(out).object(|w| {
        w.str("id", &client::message_id(context, &response.id));
        w.str("type", "message");
        w.str("role", "assistant");
        w.str("model", &context.model);
        w.array_field("content", |w| pieces.iter().for_each(|piece| w.object(|w| piece.members(w, context))));
        stop.write(w);
        w.key("usage");
        usage::write(w, context, &response.usage, response.service_tier.as_deref(), Scene::Whole, 0);
        if client::is_own(context) {
            let candidate = response.first().map(|candidate| &candidate.ext);
            for (name, value) in response.ext.iter().chain(candidate.into_iter().flat_map(|ext| ext.iter())) {
                if &**name != "stop_details" {
                    w.raw(name, value);
                }
            }
        }
    });
}

/// The blocks of an answer: calls last, with what belongs before each, unless the order is the provider's own.
fn pieces<'p>(context: &ClientContext, parts: &'p [Part]) -> Vec<Piece<'p>> {
    let mut blocks = Blocks::new(context);
    let (mut pieces, mut calls) = (Vec::with_capacity(parts.len()), Vec::new());
    for part in parts {
        let last = matches!(part.kind, PartKind::ToolCall(_)) && !client::is_own(context);
        let list = if last { &mut calls } else { &mut pieces };
        list.extend(blocks.pieces(context, part));
    }
    pieces.extend(calls);
    pieces
}

/// The signatures of a whole answer that its client cannot carry, by the id of the tool call they led to or the text they sign (see
/// [`text_anchor`](crate::carrier::text_anchor)): those of a stream are given by the encoder.
#[must_use]
pub fn uncarried_signatures(context: &ClientContext, response: &Response) -> Vec<(Text, Vec<Signature>)> {
    let mut uncarried = Vec::new();
    if Sight::of(context) != Sight::None {
        return uncarried;
    }
    let mut ids = CallIds::default();
    let mut pending = Vec::new();
    let parts = response.first().map(|candidate| candidate.parts.as_slice()).unwrap_or_default();
    for part in &*client::signed(parts) {
        match &part.kind {
            PartKind::Reasoning(_) => pending.extend(part.signature.clone()),
            PartKind::Text(_) => {
                let signed = client::signed_text(part);
                uncarried.extend(signed.map(|(anchor, signature)| (anchor, vec![signature.clone()])));
            }
            PartKind::ToolCall(call) if client::input(&call.kind, &call.arguments, call.status).is_some() => {
                let id = ids.safe(&call.id);
                pending.extend(part.signature.clone());
                if !pending.is_empty() {
                    uncarried.push((id, std::mem::take(&mut pending)));
                }
            }
            _ => {}
        }
    }
    uncarried
}
