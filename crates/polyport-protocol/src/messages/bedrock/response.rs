//! Whole answers of Converse.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use polyport_types::{
    Candidate, Citation, CitationKind, Family, Fault, FaultClass, Part, PartKind, Protocol, Response, Text, TextPart,
};
use serde_json::value::RawValue;

use super::super::block::part;
use super::super::finish;
use super::super::response::settle_calls;
use super::super::types::{Block, CacheCreation, UsageBody};
use super::super::usage::Meter;
use super::types::{CitationBody, ContentBlock, ConverseBody, TokenUsage};
use crate::classify::classify_body;
use crate::collect::status_of;
use crate::context::Target;
use crate::json::{Int, Str, from_text, raw};

/// Reads a provider's whole answer.
///
/// # Errors
/// A [`Fault`] if it is an error in disguise or makes no sense.
pub fn decode_response(target: &Target, body: &Text) -> Result<Response, Fault> {
    let unreadable = |what: &str| Fault {
        from_upstream: true,
        ..Fault::new(FaultClass::UpstreamProtocol, format!("the provider's answer is {what}"))
    };
    let wire: ConverseBody<'_> = from_text(body).map_err(|error| unreadable(&format!("not a message: {error}")))?;
    if wire.output.is_none() && wire.stop_reason.is_none() {
        let is_error = wire.extra.iter().any(|(name, _)| matches!(&**name, "message" | "Message" | "error"));
        return Err(if is_error { classify_body(None, body) } else { unreadable("neither a message nor an error") });
    }
    let family = target.capabilities.family;
    let content = wire.output.and_then(|output| output.message).and_then(|message| message.content);
    let mut parts: Vec<Part> =
        content.unwrap_or_default().into_iter().filter_map(|block| answer_part(block, family, body)).collect();
    let calls = settle_calls(&mut parts);
    let mut meter = Meter::default();
    if let Some(usage) = wire.usage {
        take_usage(&mut meter, usage, body);
    }
    let raw_finish = wire.stop_reason.map(|reason| reason.into_text(body));
    let sequence = wire.additional.and_then(|fields| fields.stop_sequence).map(|sequence| sequence.into_text(body));
    let reason = finish::settle(finish::read(raw_finish.as_deref(), sequence, None), calls);
    let candidate = Candidate { parts, finish: reason, raw_finish, ..Candidate::default() };
    Ok(Response {
        model: target.model.clone(),
        status: status_of(Some(&candidate)),
        candidates: vec![candidate],
        usage: meter.usage(target.profile.input_includes_cache),
        service_tier: wire.service_tier.and_then(|tier| tier.kind).map(|tier| tier.into_text(body)),
        ..Response::default()
    })
}

/// A block of an answer; `None` for one that says nothing.
fn answer_part(json: &RawValue, family: Family, body: &Text) -> Option<Part> {
    let block: ContentBlock<'_> = serde_json::from_str(json.get()).ok()?;
    if let Some(text) = block.text {
        return Some(Part::text(text.into_text(body)))
            .filter(|part| part.as_text().is_some_and(|text| !text.is_empty()));
    }
    if let Some(cited) = block.citations {
        let text: String =
            cited.content.unwrap_or_default().into_iter().filter_map(|piece| piece.text).map(|it| it.0).collect();
        let citations = cited.citations.unwrap_or_default().into_iter().filter_map(|one| citation(one, body)).collect();
        return Some(PartKind::Text(TextPart { text: text.into(), citations, logprobs: Vec::new() }).into());
    }
    let own = if let Some(call) = block.tool_use {
        Block { kind: word("tool_use"), id: call.id, name: call.name, input: call.input, ..Block::default() }
    } else if let Some(reasoning) = block.reasoning {
        match reasoning.text {
            Some(readable) => {
                let thinking = readable.text.or(Some(Str::default()));
                let signature = readable.signature.filter(|signature| !signature.is_empty());
                Block { kind: word("thinking"), thinking, signature, ..Block::default() }
            }
            None => redacted_block(reasoning.redacted?, family),
        }
    } else {
        let kind = block.extra.first().map(|(name, _)| Text::from(&**name)).unwrap_or_default();
        return Some(Part::new(PartKind::Opaque { protocol: Protocol::Messages, kind, raw: raw(json, body) }));
    };
    Some(part(own, family, body))
}

pub(super) fn word(kind: &'static str) -> Option<Str<'static>> {
    Some(Str(kind.into()))
}

/// Hidden reasoning. Anthropic's is a text; in the base64 of this interface its bytes stand.
pub(super) fn redacted_block(blob: Str<'_>, family: Family) -> Block<'_> {
    let text = STANDARD.decode(&*blob).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let data = match text.filter(|_| family == Family::Anthropic) {
        Some(text) => Str(text.into()),
        None => blob,
    };
    Block { kind: word("redacted_thinking"), data: Some(data), ..Block::default() }
}

/// The same the other way round.
pub(super) fn redacted_blob(data: &str, family: Family) -> String {
    if family == Family::Anthropic { STANDARD.encode(data) } else { data.to_owned() }
}

/// Takes a usage object.
pub(super) fn take_usage(meter: &mut Meter, usage: &RawValue, body: &Text) {
    let Ok(wire) = serde_json::from_str::<TokenUsage<'_>>(usage.get()) else { return };
    let lifetime = |wanted: &str| {
        let details = wire.details.iter().flatten().filter(|detail| detail.ttl.as_deref() == Some(wanted));
        details.filter_map(|detail| detail.input).next()
    };
    let written =
        CacheCreation { ephemeral_5m: lifetime("5m"), ephemeral_1h: lifetime("1h"), ..CacheCreation::default() };
    let known = written.ephemeral_5m.is_some() || written.ephemeral_1h.is_some();
    let counted = UsageBody {
        input_tokens: wire.input,
        output_tokens: wire.output,
        cache_read_input_tokens: wire.cache_read,
        cache_creation_input_tokens: wire.cache_write,
        cache_creation: known.then_some(written),
        ..UsageBody::default()
    };
    meter.count(counted, raw(usage, body), body);
}

/// A source of what is said.
pub(super) fn citation(json: &RawValue, body: &Text) -> Option<Citation> {
    let wire: CitationBody<'_> = serde_json::from_str(json.get()).ok()?;
    let location = wire.location.unwrap_or_default();
    let (url, web) = (location.web.and_then(|web| web.url), CitationKind::Url);
    let (kind, place) = match (location.chars, location.pages, location.chunks, location.hits) {
        (Some(place), ..) => (CitationKind::DocumentChars, Some(place)),
        (_, Some(place), ..) => (CitationKind::DocumentPages, Some(place)),
        (_, _, Some(place), _) => (CitationKind::DocumentBlocks, Some(place)),
        (.., Some(_)) => (CitationKind::SearchResult, None),
        _ if url.is_some() => (web, None),
        _ => (CitationKind::Other, None),
    };
    let cited: String =
        wire.content.unwrap_or_default().into_iter().filter_map(|piece| piece.text).map(|it| it.0).collect();
    Some(Citation {
        kind,
        span: None,
        url: url.or(wire.source).map(|url| url.into_text(body)),
        title: wire.title.map(|title| title.into_text(body)),
        cited_text: (!cited.is_empty()).then(|| cited.into()),
        file_id: None,
        filename: None,
        document_index: place.and_then(|place| place.document).and_then(|Int(index)| u32::try_from(index).ok()),
        raw: None,
    })
}
