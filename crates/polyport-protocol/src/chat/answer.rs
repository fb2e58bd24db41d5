//! What whole and streamed answers to a client have in common.

use polyport_types::{
    Citation, Family, FinishReason, IndexUnit, Media, MediaSource, PromptBlock, Protocol, RawJson, Signature, Text,
    TokenLogprob, ToolCallKind,
};

use super::media;
use super::request::write_url;
use crate::carrier::Placement;
use crate::context::ClientContext;
use crate::json::JsonWriter;

/// Said for a model that declined without words of its own.
const DECLINED: &str = "The model declined to continue.";

/// Whether the provider speaks Chat as well: then members without a slot may go on to the client.
pub(super) fn is_chat(context: &ClientContext) -> bool {
    context.provider == Protocol::Chat
}

/// Id of the answer: the provider's where it is of this protocol.
pub(super) fn id(context: &ClientContext, provider_id: &Text) -> Text {
    if is_chat(context) && !provider_id.is_empty() {
        provider_id.clone()
    } else {
        Text::from(format!("chatcmpl-{}", context.id))
    }
}

/// The tiers of this protocol.
const TIERS: [&str; 6] = ["auto", "default", "flex", "scale", "priority", "fast"];

/// The tier in the words of this protocol.
pub(super) fn service_tier<'t>(context: &ClientContext, tier: Option<&'t Text>) -> Option<&'t str> {
    let tier = tier?;
    match (context.provider, &**tier) {
        (Protocol::Chat, tier) => Some(tier),
        (Protocol::Responses, "ultrafast") => Some("fast"),
        (Protocol::Responses, tier) => TIERS.contains(&tier).then_some(tier),
        (Protocol::Messages, "standard") => Some("default"),
        (Protocol::Messages, "priority") => Some("priority"),
        (Protocol::Messages | Protocol::Gemini, _) => None,
    }
}

/// Whether the client gets the text of reasoning.
pub(super) fn shows_reasoning(context: &ClientContext) -> bool {
    let wish = context.request.reasoning.as_ref().and_then(|control| control.visibility);
    context.expose_reasoning && wish != Some(polyport_types::ReasoningVisibility::Omitted)
}

/// What stands in `refusal` when no part says it: the words for a refused prompt or a declined answer.
pub(super) fn refusal_words(
    reason: &FinishReason,
    message: Option<&Text>,
    block: Option<&PromptBlock>,
) -> Option<Text> {
    match (block, reason) {
        (Some(block), _) => Some(Text::from(format!("Prompt blocked by the upstream ({})", block.reason))),
        (None, FinishReason::Refusal { explanation, .. }) => {
            Some(explanation.clone().unwrap_or_else(|| Text::from_static(DECLINED)))
        }
        (None, FinishReason::ContentFilter | FinishReason::Recitation) => message.cloned(),
        _ => None,
    }
}

/// What `extra_content.google.thought_signature` holds for a signature: a carrier, or the value itself where the client asked
/// for Google's form or no carrier can be made. Other families have no slot there.
pub(super) fn google_value(context: &ClientContext, signature: &Signature) -> Option<Text> {
    if signature.family != Family::Google || signature.value.is_empty() {
        return None;
    }
    let asked = ["google", "extra_body", "extra_content"].iter().any(|name| context.request.ext.get(name).is_some());
    if asked {
        return Some(signature.value.clone());
    }
    Some(context.carried(signature, Placement::Own).unwrap_or_else(|| signature.value.clone()))
}

/// `"extra_content":{"google":{"thought_signature":…}}`.
pub(super) fn write_google(w: &mut JsonWriter<'_>, value: &str) {
    w.object_field("extra_content", |w| w.object_field("google", |w| w.str("thought_signature", value)));
}

/// UTF-16 units of a text: what positions of citations count.
pub(super) fn units(text: &str) -> u32 {
    let units = if text.is_ascii() { text.len() } else { text.encode_utf16().count() };
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// Where a citation stands in the whole content, if its part begins at `base`, is `len` units long and has this text.
pub(super) fn position(citation: &Citation, base: u32, len: u32, text: Option<&str>, verbatim: bool) -> (u32, u32) {
    let whole = (base, base.saturating_add(len));
    let Some(span) = citation.span else {
        // A provider of this protocol that names no position means none.
        return if verbatim { (0, 0) } else { whole };
    };
    let place = |at: u32| match span.unit {
        IndexUnit::Utf16 => Some(at),
        IndexUnit::Byte => {
            let text = text?;
            let mut at = usize::try_from(at).ok()?.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.get(..at).map(units)
        }
    };
    match (place(span.start), place(span.end)) {
        (Some(start), Some(end)) => (base.saturating_add(start), base.saturating_add(end)),
        _ => whole,
    }
}

/// Members of a tool call before its arguments.
pub(super) fn write_call(
    w: &mut JsonWriter<'_>,
    id: &str,
    name: &str,
    kind: &ToolCallKind,
    arguments: &str,
    google: Option<&str>,
) {
    w.str("id", id);
    if *kind == ToolCallKind::Custom {
        w.str("type", "custom");
        w.object_field("custom", |w| {
            w.str("name", name);
            w.str("input", arguments);
        });
    } else {
        w.str("type", "function");
        w.object_field("function", |w| {
            w.str("name", name);
            w.str("arguments", arguments);
        });
    }
    if let Some(google) = google {
        write_google(w, google);
    }
}

/// An image of an answer, in the form of `OpenRouter`.
pub(super) fn write_image(w: &mut JsonWriter<'_>, image: &Media) {
    w.object(|w| {
        w.str("type", "image_url");
        w.object_field("image_url", |w| {
            w.key("url");
            write_url(w, &image.source);
        });
    });
}

/// Members of a spoken answer: there is room for one, so pieces of samples are joined.
pub(super) fn write_audio(w: &mut JsonWriter<'_>, pieces: &[&Media], context: &ClientContext) {
    match pieces.iter().find_map(|piece| piece.id.as_ref()) {
        Some(id) => w.str("id", id),
        None => w.str("id", &format!("audio_{}", context.id)),
    }
    let data: Vec<(&str, &str)> = pieces
        .iter()
        .filter_map(|piece| match &piece.source {
            MediaSource::Base64 { mime, data } => Some((&**mime, &**data)),
            MediaSource::Url { .. } | MediaSource::FileId { .. } => None,
        })
        .collect();
    let (_, first) = data.first().copied().unwrap_or_default();
    match media::samples(&data) {
        Some((rate, samples)) if wants_wav(context) => w.str("data", &media::wav(rate, &samples)),
        Some((_, samples)) if data.len() > 1 => w.str("data", &media::base64(&samples)),
        _ => w.str("data", first),
    }
    // An hour is how long such an id lives.
    let expires_at = pieces.iter().find_map(|piece| piece.expires_at);
    w.num("expires_at", expires_at.unwrap_or(context.now.saturating_add(3600)));
    let transcripts: Vec<&str> = pieces.iter().filter_map(|piece| piece.transcript.as_deref()).collect();
    w.str("transcript", &transcripts.concat());
}

/// Whether the client asked for spoken answers as WAV.
fn wants_wav(context: &ClientContext) -> bool {
    let asked = context.request.audio_out.as_ref().map(RawJson::to_value);
    asked.is_some_and(|asked| asked.get("format").is_some_and(|format| format == "wav"))
}

/// The value of `logprobs`: tokens of the text, or of a refusal.
pub(super) fn write_logprobs(context: &ClientContext, w: &mut JsonWriter<'_>, tokens: &[TokenLogprob], refusal: bool) {
    let derive = !is_chat(context);
    w.object(|w| {
        let (full, empty) = if refusal { ("refusal", "content") } else { ("content", "refusal") };
        w.array_field(full, |w| tokens.iter().for_each(|token| write_token(w, token, true, derive)));
        w.null(empty);
    });
}

fn write_token(w: &mut JsonWriter<'_>, token: &TokenLogprob, outer: bool, derive: bool) {
    w.object(|w| {
        w.str("token", &token.token);
        w.num("logprob", if token.logprob.is_finite() { token.logprob } else { -9999.0 });
        match &token.bytes {
            Some(bytes) => w.array_field("bytes", |w| bytes.iter().for_each(|byte| w.number(u16::from(*byte)))),
            // The text's own bytes, unless it is a piece of a character.
            None if derive && !token.token.contains('\u{fffd}') => {
                w.array_field("bytes", |w| token.token.bytes().for_each(|byte| w.number(u16::from(byte))));
            }
            None => w.null("bytes"),
        }
        if outer {
            w.array_field("top_logprobs", |w| token.top.iter().for_each(|top| write_token(w, top, false, derive)));
        }
    });
}
